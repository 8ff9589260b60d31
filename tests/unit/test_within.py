"""Slopes within providers, families and monotone constraints: nearer the truth, or refused."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from riskadj.casemix import CaseMixEncoder
from riskadj.engine import Local, using
from riskadj.errors import ArrayError
from riskadj.expected import (
    LightGBMExpectation,
    LinearExpectation,
    read_learner,
    write_learner,
)
from riskadj.expected.within import codes_of, line_within, logistic_line, offsets_of
from riskadj.simulate import demo_scenario, simulate_world
from riskadj.stats import fit_fixed_effects

TREES = {"trees": 80, "learning_rate": 0.1, "min_episodes_per_leaf": 50, "column_share": 1.0}
LEARNERS = pytest.mark.parametrize(
    "make",
    [LinearExpectation, lambda **more: LightGBMExpectation(**TREES, **more)],
    ids=["linear", "lightgbm"],
)


def confounded(n: int = 8_000, family: str = "gaussian", seed: int = 0) -> dict[str, Any]:
    """Return episodes of 40 providers of which better ones treat patients with higher x."""
    rng = np.random.default_rng(seed)
    quality = rng.normal(size=40)
    provider = rng.integers(40, size=n)
    x = quality[provider] + rng.normal(size=n)
    linear = 0.5 * x + 0.8 * (quality - quality.mean())[provider]
    if family == "binomial":
        y = (rng.random(n) < expit(linear)).astype(float)
    else:
        y = linear + rng.normal(size=n)
    return {"X": x[:, None], "y": y, "groups": provider, "truth": 0.5 * x}


# --- nearer the truth ---


@LEARNERS
@pytest.mark.parametrize("family", ["gaussian", "binomial"])
def test_within_providers_the_slope_is_nearer_the_truth(make: Any, family: str) -> None:
    world = confounded(family=family)
    X, y, groups = world["X"], world["y"], world["groups"]
    at = np.array([[-1.0], [1.0]])
    told = {}
    for slopes in ("pooled", "within"):
        learner = make(family=family, slopes=slopes).fit(X, y, groups=groups)
        low, high = learner.predict(at)
        if family == "binomial":
            low, high = np.log(low / (1 - low)), np.log(high / (1 - high))
        told[slopes] = (high - low) / 2
    assert told["pooled"] > 0.7
    assert abs(told["within"] - 0.5) < 0.6 * abs(told["pooled"] - 0.5)


@pytest.fixture(scope="module")
def simulated() -> dict[str, Any]:
    """Return a simulated world whose weaker providers treat frailer patients."""
    scenario = demo_scenario()
    providers = scenario.providers.model_copy(
        update={"number": 40, "effect_sd": 3.0, "severity_sd": 0.7, "confounding": -0.7}
    )
    world = simulate_world(scenario.model_copy(update={"providers": providers}))
    episodes = world.episodes
    known = episodes["q2_score_ohs"].notna().to_numpy()
    names = [one for one in episodes if one.startswith(("comorb_", "q1_score_", "q1_item_"))]
    X = CaseMixEncoder().fit_transform(episodes[[*names, "age_years", "sex", "bmi"]])
    return {
        "X": X[known],
        "y": episodes["q2_score_ohs"].to_numpy(dtype=float)[known],
        "groups": episodes["provider_id"].to_numpy()[known],
        "truth": world.truth.set_index("provider_id")["effect_on_score"],
    }


@LEARNERS
def test_in_a_confounded_world_providers_are_judged_nearer_their_true_effects(
    make: Any, simulated: dict[str, Any]
) -> None:
    errors = {}
    for slopes in ("pooled", "within"):
        learner = make(slopes=slopes)
        learner.fit(simulated["X"], simulated["y"], groups=simulated["groups"])
        left = pd.Series(simulated["y"] - learner.predict(simulated["X"]))
        gap = left.groupby(simulated["groups"]).mean() - simulated["truth"]
        errors[slopes] = (gap - gap.mean()).std()
    assert errors["within"] < 0.9 * errors["pooled"]


# --- the same as others compute ---


def test_linear_slopes_within_are_those_of_fixed_effects() -> None:
    world = confounded(1_500)
    X = np.column_stack([world["X"], np.random.default_rng(1).normal(size=1_500)])
    ours = line_within(X, world["y"], codes_of(world["groups"], 1_500), ridge=0.0)
    theirs = fit_fixed_effects(world["y"], X, world["groups"])
    np.testing.assert_allclose(ours.coef, theirs.coef, rtol=1e-9)
    assert (ours.intercept + X @ ours.coef).mean() == pytest.approx(world["y"].mean())


def test_slopes_within_are_the_same_however_rows_are_cut() -> None:
    world = confounded(1_500)
    codes = codes_of(world["groups"], 1_500)
    whole = line_within(world["X"], world["y"], codes, ridge=1.0)
    with using(Local(), rows=170):
        cut = line_within(world["X"], world["y"], codes, ridge=1.0)
    np.testing.assert_allclose(cut.coef, whole.coef, rtol=1e-12)
    assert cut.intercept == pytest.approx(whole.intercept, rel=1e-12)


def test_logistic_slopes_within_are_about_those_of_fixed_effects() -> None:
    world = confounded(4_000, "binomial")
    ours = logistic_line(world["X"], world["y"], 1e-3, codes_of(world["groups"], 4_000))
    theirs = fit_fixed_effects(world["y"], world["X"], world["groups"], "binomial")
    assert ours.coef == pytest.approx(theirs.coef, abs=0.02)


@pytest.mark.parametrize("ridge", [0.1, 5.0])
def test_the_logistic_line_is_that_of_scikit_learn(ridge: float) -> None:
    rng = np.random.default_rng(2)
    X = rng.normal(size=(600, 4))
    y = (rng.random(600) < expit(X @ [1.0, -2.0, 0.0, 0.5] - 1)).astype(float)
    ours = logistic_line(X, y, ridge)
    theirs = LogisticRegression(C=1 / ridge, tol=1e-10, max_iter=1_000).fit(X, y)
    np.testing.assert_allclose(ours.coef, theirs.coef_[0], atol=1e-5)
    assert ours.intercept == pytest.approx(theirs.intercept_[0], abs=1e-5)


def test_the_logistic_line_has_an_end_where_events_are_told_without_error() -> None:
    x = np.linspace(-1, 1, 50)[:, None]
    line = logistic_line(x, (x[:, 0] > 0).astype(float), ridge=0.01)
    assert 5 < line.coef[0] < 100


def test_a_provider_with_only_events_does_not_run_away() -> None:
    world = confounded(2_000, "binomial")
    y = np.where(world["groups"] == 3, 1.0, world["y"])
    line = logistic_line(world["X"], y, 1.0, codes_of(world["groups"], 2_000))
    assert line.coef[0] == pytest.approx(0.5, abs=0.15)


# --- offsets ---


@pytest.mark.parametrize("family", ["gaussian", "binomial"])
def test_offsets_are_near_true_effects_and_their_mean_is_0(family: str) -> None:
    rng = np.random.default_rng(0)
    groups = rng.integers(30, size=9_000)
    effects = rng.normal(0, 0.8, 30)
    linear = rng.normal(size=9_000)
    mean = linear + effects[groups]
    drawn = (
        rng.random(9_000) < expit(mean) if family == "binomial" else mean + rng.normal(size=9_000)
    )
    offsets = offsets_of(linear, drawn.astype(float), groups, family)
    assert offsets[groups].mean() == pytest.approx(0, abs=1e-10)
    gap = offsets - effects
    assert (gap - gap.mean()).std() < 0.25


def test_offsets_that_chance_explains_are_0() -> None:
    y = np.tile([-1.0, 1.0], 60)
    assert (offsets_of(np.zeros(120), y, np.arange(120) // 12) == 0).all()


def test_one_provider_has_no_offset() -> None:
    assert offsets_of(np.zeros(3), np.ones(3), np.zeros(3, dtype=int)).tolist() == [0.0]


@LEARNERS
def test_names_of_providers_do_not_matter(make: Any) -> None:
    world = confounded(1_000)
    names = np.array([f"P{(7 * one) % 40}" for one in world["groups"]])
    first, second = (
        make(slopes="within").fit(world["X"], world["y"], groups=one).predict(world["X"])
        for one in (world["groups"], names)
    )
    np.testing.assert_array_equal(first, second)


# --- refused ---


@LEARNERS
@pytest.mark.parametrize(
    ("groups", "match"),
    [(None, "got none"), ([1, 2], "wanted shape"), ([None] * 100, "100 missing")],
)
def test_slopes_within_want_a_provider_per_episode(make: Any, groups: Any, match: str) -> None:
    X = np.random.default_rng(0).normal(size=(100, 1))
    with pytest.raises(ArrayError, match=match):
        make(slopes="within").fit(X, X[:, 0], groups=groups)


@LEARNERS
@pytest.mark.parametrize("setting", [{"slopes": "inside"}, {"family": "poisson"}])
def test_unknown_settings_are_refused(make: Any, setting: dict[str, str]) -> None:
    X = np.random.default_rng(0).normal(size=(100, 1))
    with pytest.raises(ArrayError, match="wanted one of"):
        make(**setting).fit(X, X[:, 0])


@LEARNERS
def test_a_binomial_outcome_is_0_or_1(make: Any) -> None:
    X = np.random.default_rng(0).normal(size=(100, 1))
    with pytest.raises(ArrayError, match="wanted 0 or 1"):
        make(family="binomial").fit(X, X[:, 0])


def test_a_logistic_line_wants_a_penalty() -> None:
    with pytest.raises(ArrayError, match="ridge: wanted more than 0"):
        LinearExpectation(ridge=0.0, family="binomial").fit([[0.0], [1.0]], [0.0, 1.0])


# --- probabilities and constraints ---


@LEARNERS
def test_binomial_expectations_are_probabilities_that_add_up(make: Any) -> None:
    world = confounded(family="binomial")
    share = make(family="binomial").fit(world["X"], world["y"]).predict(world["X"])
    assert ((share > 0) & (share < 1)).all()
    assert share.mean() == pytest.approx(world["y"].mean(), abs=0.005)


def test_contributions_of_a_binomial_expectation_add_up_to_log_odds() -> None:
    world = confounded(1_000, "binomial")
    learner = LightGBMExpectation(family="binomial", **TREES).fit(world["X"], world["y"])
    log_odds = learner.contributions(world["X"]).sum(axis=1)
    np.testing.assert_allclose(expit(log_odds), learner.predict(world["X"]), atol=1e-9)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("family", ["gaussian", "binomial"])
def test_a_monotone_expectation_moves_one_way_only(sign: int, family: str) -> None:
    rng = np.random.default_rng(0)
    X = rng.uniform(-2, 2, size=(3_000, 2))
    y = np.sin(3 * X[:, 0]) + 0.2 * sign * X[:, 0] + rng.normal(size=3_000)
    y = (y > 0).astype(float) if family == "binomial" else y
    line = np.column_stack([np.linspace(-2, 2, 200), np.zeros(200)])
    free, held = (
        LightGBMExpectation(**TREES, family=family, monotone=monotone).fit(X, y).predict(line)
        for monotone in (None, {0: sign})
    )
    assert (np.diff(held) * sign >= 0).all()
    assert np.ptp(held) > 0
    assert (np.diff(free) * sign < 0).any()


@pytest.mark.parametrize("monotone", [{2: 1}, {0: 2}, {-1: 1}, {"age": 1}])
def test_a_constraint_on_nothing_is_refused(monotone: dict) -> None:
    X = np.random.default_rng(0).normal(size=(100, 2))
    with pytest.raises(ArrayError, match="monotone: wanted features from 0 to 1"):
        LightGBMExpectation(monotone=monotone).fit(X, X[:, 0])


@LEARNERS
@pytest.mark.parametrize("family", ["gaussian", "binomial"])
def test_written_and_read_again_it_says_the_same(make: Any, family: str) -> None:
    world = confounded(500, family)
    settings = {"family": family, "slopes": "within"}
    learner = make(**settings).fit(world["X"], world["y"], groups=world["groups"])
    if isinstance(learner, LightGBMExpectation):
        learner.set_params(monotone={0: 1})
    again = read_learner(write_learner(learner))
    np.testing.assert_array_equal(again.predict(world["X"]), learner.predict(world["X"]))
    assert again.get_params() == learner.get_params()
