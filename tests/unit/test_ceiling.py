"""The two-part learner: its share at the ceiling and its mean, against a world with a ceiling."""

import numpy as np
import pytest
from scipy import stats

from riskadj.expected import (
    CeilingExpectation,
    LightGBMExpectation,
    LinearExpectation,
    read_learner,
    write_learner,
)
from riskadj.stats import groups_by_rank

BEST = 48.0
TREES = {"trees": 150, "learning_rate": 0.1, "min_episodes_per_leaf": 50, "column_share": 0.7}
LINEAR = {
    "at_best": LinearExpectation(family="binomial"),
    "below": LinearExpectation(),
}
BOOSTED = {
    "at_best": LightGBMExpectation(family="binomial", **TREES),
    "below": LightGBMExpectation(**TREES),
}
KINDS = pytest.mark.parametrize("parts", [LINEAR, BOOSTED], ids=["linear", "boosted"])


def world(n: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return case mix, scores cut at the ceiling, and the true chance and mean of each."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3))
    latent = 42 + 5 * X[:, 0] - 3 * X[:, 1]
    y = np.minimum(latent + rng.normal(0, 7, n), BEST)
    room = (BEST - latent) / 7
    share = stats.norm.sf(room)
    mean = share * BEST + (1 - share) * latent - 7 * stats.norm.pdf(room)
    return X, y, share, mean


@KINDS
def test_the_expected_share_at_the_ceiling_is_that_observed_by_tenth(parts: dict) -> None:
    X, y, _, _ = world(8_000, 0)
    Z, later, _, _ = world(8_000, 1)
    share = CeilingExpectation(**parts, best=BEST).fit(X, y).expected_share_at_ceiling(Z)
    tenth = np.asarray(groups_by_rank(share, 10))
    for one in np.unique(tenth):
        inside = tenth == one
        assert (later[inside] == BEST).mean() == pytest.approx(share[inside].mean(), abs=0.06)


@KINDS
def test_it_is_nearer_the_true_mean_than_a_line_where_most_is_expected(parts: dict) -> None:
    X, y, _, mean = world(8_000, 0)
    aware = CeilingExpectation(**parts, best=BEST).fit(X, y).predict(X)
    line = LinearExpectation().fit(X, y).predict(X)
    top = mean > np.quantile(mean, 0.9)
    assert abs((aware - mean)[top].mean()) < 0.4 * abs((line - mean)[top].mean())


def test_it_tells_each_episodes_chance() -> None:
    X, y, share, _ = world(20_000, 3)
    told = CeilingExpectation(**LINEAR, best=BEST).fit(X, y).expected_share_at_ceiling(X)
    assert np.sqrt(np.mean((told - share) ** 2)) < 0.04


@KINDS
def test_nobody_is_expected_beyond_the_best_score(parts: dict) -> None:
    X, y, _, _ = world(3_000, 0)
    learner = CeilingExpectation(**parts).fit(X, y)
    assert learner.best_ == BEST
    assert learner.predict(20 * X).max() <= BEST


def test_the_best_score_may_be_the_lowest() -> None:
    X, y, _, _ = world(3_000, 0)
    up = CeilingExpectation(**LINEAR).fit(X, y)
    down = CeilingExpectation(**LINEAR, best=0.0).fit(X, BEST - y)
    np.testing.assert_allclose(down.predict(X), BEST - up.predict(X), atol=1e-8)


@pytest.mark.parametrize(("best", "share"), [(99.0, 0.0), (7.0, 1.0)])
def test_where_nobody_or_everybody_is_at_the_ceiling_it_says_so(best: float, share: float) -> None:
    X = np.random.default_rng(0).normal(size=(100, 2))
    y = np.full(100, 7.0) if share else 7 + X[:, 0]
    learner = CeilingExpectation(**LINEAR, best=best).fit(X, y)
    assert (learner.expected_share_at_ceiling(X) == share).all()
    np.testing.assert_allclose(learner.predict(X), y, atol=0.2)


@KINDS
def test_written_and_read_again_it_says_the_same(parts: dict) -> None:
    X, y, _, _ = world(1_000, 0)
    X[::7, 1] = np.nan
    learner = CeilingExpectation(**parts).fit(X, y)
    again = read_learner(write_learner(learner))
    np.testing.assert_array_equal(again.predict(X), learner.predict(X))
    np.testing.assert_array_equal(
        again.expected_share_at_ceiling(X), learner.expected_share_at_ceiling(X)
    )
