"""Learners of costs: what they find, that they stay positive, and that they are written as text."""

import json
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone

from riskadj.errors import ArrayError
from riskadj.expected import (
    GammaExpectation,
    LightGBMExpectation,
    LinearExpectation,
    LogSmearingExpectation,
    StackedExpectation,
    TweedieExpectation,
    TwoPartExpectation,
    grouped_folds,
    read_learner,
    tune,
    write_learner,
)
from riskadj.expected.recalibrate import recalibration, slope_of_logs
from riskadj.expected.tuning import COST_SPACE, TWEEDIE_SPACE

TREES = LightGBMExpectation(
    trees=60, learning_rate=0.1, min_episodes_per_leaf=20, column_share=1.0, family="gamma"
)
LEARNERS: dict[str, Any] = {
    "gamma": GammaExpectation(),
    "tweedie": TweedieExpectation(),
    "two_part": TwoPartExpectation(),
    "log_smearing": LogSmearingExpectation(),
    "log_smearing by tenth": LogSmearingExpectation(by_tenth=True),
    "linear": LinearExpectation(family="gamma"),
    "trees, gamma": TREES,
    "trees, tweedie": clone(TREES).set_params(family="tweedie"),
    "stacked": StackedExpectation([LinearExpectation(family="gamma"), TREES], family="gamma"),
}
TAKE_ZERO = ("tweedie", "two_part", "linear", "trees, gamma", "trees, tweedie", "stacked")


def world(n: int = 3000, seed: int = 0, zero: float = 0.0) -> tuple[np.ndarray, ...]:
    """Return covariates (one missing at times), costs and their true means."""
    rng = np.random.default_rng(seed)
    X = np.column_stack([rng.normal(size=n), rng.integers(0, 3, n), rng.normal(size=n)])
    mean = np.exp(8 + 0.4 * X[:, 0] + 0.3 * X[:, 1])
    some = rng.random(n) >= zero
    y = np.where(some, mean * rng.gamma(4, 0.25, n), 0.0)
    X[rng.random(n) < 0.1, 2] = np.nan
    return X, y, mean * (1 - zero)


@pytest.mark.parametrize("name", LEARNERS)
def test_what_is_expected_is_near_the_true_mean_and_above_zero(name: str) -> None:
    X, y, mean = world()
    expected = clone(LEARNERS[name]).fit(X, y).predict(X)
    assert (expected > 0).all()
    assert expected.sum() == pytest.approx(y.sum(), rel=0.03)
    assert np.corrcoef(expected, mean)[0, 1] > 0.9


@pytest.mark.parametrize("name", LEARNERS)
def test_another_currency_changes_the_unit_and_nothing_else(name: str) -> None:
    X, y, _ = world(800)
    was = clone(LEARNERS[name]).fit(X, y).predict(X)
    now = clone(LEARNERS[name]).fit(X, 9.31 * y).predict(X)
    assert now == pytest.approx(9.31 * was, rel=1e-4)


@pytest.mark.parametrize("name", TAKE_ZERO)
def test_costs_of_zero_are_expected_where_the_learner_says_so(name: str) -> None:
    X, y, mean = world(zero=0.3)
    expected = clone(LEARNERS[name]).fit(X, y).predict(X)
    assert (expected > 0).all()
    assert expected.sum() == pytest.approx(mean.sum(), rel=0.05)


@pytest.mark.parametrize("name", ["gamma", "log_smearing"])
def test_costs_of_zero_are_refused_by_name_where_there_can_be_none(name: str) -> None:
    X, y, _ = world(zero=0.3)
    with pytest.raises(ArrayError, match=f"learner {name}; got .* Choose two_part or tweedie"):
        LEARNERS[name].fit(X, y)


@pytest.mark.parametrize("name", LEARNERS)
def test_a_negative_cost_is_refused(name: str) -> None:
    X, y, _ = world(100)
    with pytest.raises(ArrayError, match="wanted costs of 0 or more"):
        clone(LEARNERS[name]).fit(X, np.where(np.arange(100) == 7, -1.0, y))


@pytest.mark.parametrize("name", LEARNERS)
def test_written_as_text_a_learner_expects_the_same(name: str) -> None:
    X, y, _ = world(600, zero=0.2 if name in TAKE_ZERO else 0.0)
    fitted = clone(LEARNERS[name]).fit(X, y)
    again = read_learner(json.loads(json.dumps(write_learner(fitted))))
    assert (again.predict(X) == fitted.predict(X)).all()
    assert type(again) is type(fitted)


@pytest.mark.parametrize("name", ["gamma", "tweedie", "two_part", "log_smearing", "linear"])
def test_nobody_is_expected_to_cost_what_nobody_could(name: str) -> None:
    X, y, _ = world()
    fitted = clone(LEARNERS[name]).fit(X, y)
    lowest, highest = fitted.predict(X).min(), fitted.predict(X).max()
    strange = np.array([[-60.0, 0.0, 0.0], [60.0, 2.0, 0.0]])
    cheap, dear = fitted.predict(strange)
    assert cheap > 0
    if name != "linear":  # a line goes on
        assert (cheap, dear) == pytest.approx((lowest, highest))


@pytest.mark.parametrize("name", ["gamma", "tweedie", "log_smearing"])
def test_a_level_that_hardly_anybody_has_is_drawn_to_the_others(name: str) -> None:
    rng = np.random.default_rng(3)
    level = np.r_[np.zeros(500), np.ones(500), [2.0]][:, None]
    y = np.r_[rng.gamma(4, 25, 500), rng.gamma(4, 50, 500), [10_000.0]]
    cheap, dear, alone = clone(LEARNERS[name]).fit(level, y).predict([[0.0], [1.0], [2.0]])
    assert dear / cheap == pytest.approx(2, rel=0.15)
    assert alone < 8_000


def test_a_line_never_expects_less_than_a_hundredth_of_the_mean() -> None:
    x = np.linspace(0, 1, 200)[:, None]
    learner = LinearExpectation(2, ridge=0, family="gamma").fit(x, np.maximum(x[:, 0] - 0.5, 0.01))
    assert learner.predict(x).min() == learner.least_ > 0


def test_smearing_by_tenth_allows_for_a_spread_that_grows() -> None:
    rng = np.random.default_rng(1)
    x = rng.uniform(0, 2, 20_000)[:, None]
    spread = 0.2 + 0.5 * x[:, 0]
    mean = np.exp(8 + x[:, 0] + spread**2 / 2)
    y = np.exp(8 + x[:, 0] + spread * rng.normal(size=len(x)))
    off = {}
    for by_tenth in (False, True):
        expected = LogSmearingExpectation(by_tenth=by_tenth, discrete_up_to=2).fit(x, y).predict(x)
        off[by_tenth] = np.abs(np.log(expected / mean)).mean()
    assert off[True] < 0.05 < 0.15 < off[False]


def test_two_parts_are_the_gamma_model_where_everybody_has_some_cost() -> None:
    X, y, _ = world(500)
    assert (
        TwoPartExpectation().fit(X, y).predict(X) == GammaExpectation().fit(X, y).predict(X)
    ).all()


def test_two_parts_are_the_chance_times_the_mean_of_the_rest() -> None:
    X, y, _ = world(zero=0.4)
    learner = TwoPartExpectation().fit(X, y)
    assert learner.predict(X) == pytest.approx(learner.any_.predict(X) * learner.some_.predict(X))
    assert learner.any_.predict(X).mean() == pytest.approx(0.6, abs=0.03)


@pytest.mark.parametrize("power", [1.0, 2.0])
def test_a_power_that_is_no_tweedie_is_refused(power: float) -> None:
    X, y, _ = world(100)
    with pytest.raises(ArrayError, match="power: wanted above 1 and below 2"):
        TweedieExpectation(power=power).fit(X, y)


def test_trees_within_providers_leave_out_what_goes_with_the_provider() -> None:
    rng = np.random.default_rng(2)
    provider = np.repeat(np.arange(40), 150)
    quality = rng.normal(0, 0.4, 40)
    x = quality[provider] + rng.normal(0, 0.2, len(provider))
    y = np.exp(8 + 0.3 * x + quality[provider]) * rng.gamma(8, 1 / 8, len(x))
    spreads = {}
    for slopes in ("pooled", "within"):
        learner = clone(TREES).set_params(slopes=slopes, rounds=4)
        spreads[slopes] = np.log(learner.fit(x[:, None], y, provider).predict(x[:, None])).std()
    assert spreads["within"] < 0.7 * spreads["pooled"]


def test_contributions_to_a_cost_add_up_to_its_logarithm() -> None:
    X, y, _ = world(600)
    fitted = clone(TREES).fit(X, y)
    assert fitted.contributions(X).sum(axis=1) == pytest.approx(np.log(fitted.predict(X)))


def test_a_stack_of_costs_weighs_with_shares_of_one() -> None:
    X, y, _ = world(zero=0.2)
    members = [LinearExpectation(family="gamma"), TREES, TwoPartExpectation()]
    stack = StackedExpectation(members, family="gamma").fit(X, y)
    assert stack.intercept_ == 0
    assert stack.weights_.sum() == pytest.approx(1)
    assert (stack.weights_ >= 0).all()


@pytest.mark.parametrize(
    ("learner", "space"),
    [(GammaExpectation(ridge=1e4), COST_SPACE), (TweedieExpectation(ridge=1e4), TWEEDIE_SPACE)],
)
def test_settings_are_searched_by_the_quasi_likelihood(learner: Any, space: Any) -> None:
    X, y, _ = world(600)
    folds = grouped_folds(np.arange(600) % 20, 2, seed=0)
    found = tune(learner, space, X, y, folds, trials=6, seed=1)
    assert found.value < found.start
    dearer = tune(learner, space, X, 100 * y, folds, trials=6, seed=1)
    assert dearer.value == pytest.approx(found.value)


@pytest.mark.parametrize("method", ["shift", "line"])
def test_recalibration_by_factor_makes_the_sums_equal(method: str) -> None:
    X, y, _ = world(500, zero=0.3)
    expected = 2.0 * np.exp(7 + 0.2 * X[:, 0])
    intercept, slope = recalibration(y, expected, method, "log")
    moved = np.exp(intercept + slope * np.log(expected))
    assert moved.sum() == pytest.approx(y.sum(), rel=1e-12)
    assert slope == 1.0 if method == "shift" else slope == pytest.approx(2.0, abs=0.2)


def test_the_slope_of_logs_solves_the_gamma_equations() -> None:
    X, y, _ = world(500)
    logs = 7 + 0.2 * X[:, 0]
    slope = slope_of_logs(y, logs)
    level = np.log(np.mean(y * np.exp(-slope * logs)))
    score = (y / np.exp(level + slope * logs) - 1) @ (logs - logs.mean())
    assert score == pytest.approx(0, abs=1e-6 * len(y))
