"""Calibration of means and risks: against other software, identities and known truth."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from riskadj.errors import ArrayError, NoVariationError
from riskadj.stats.calibration import (
    assess_calibration,
    calibration_bins,
    calibration_curve,
    calibration_line,
    recalibrated_risk,
)
from riskadj.stats.intervals import proportion_interval
from riskadj.stats.sandwich import mean_by_cluster


def expit(x):
    return 1 / (1 + np.exp(-x))


def logit(p):
    return np.log(p / (1 - p))


def risks(n=3000, slope=0.7, shift=-0.4, seed=1):
    """Return events, risks that are too extreme and too high, and 30 clusters."""
    rng = np.random.default_rng(seed)
    eta = rng.normal(0, 1.5, n)
    return rng.random(n) < expit(shift + slope * eta), expit(eta), rng.integers(0, 30, n)


def test_slope_and_intercept_of_risks_are_those_of_logistic_regression():
    event, risk, _ = risks()
    fit = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(logit(risk)[:, None], event)
    got = assess_calibration(event, risk, "risk")
    assert got.slope.value == pytest.approx(fit.coef_[0, 0], abs=1e-5)
    assert got.intercept.value == pytest.approx(fit.intercept_[0], abs=1e-5)


def test_planted_miscalibration_is_found():
    event, risk, cluster = risks(30_000)
    got = assess_calibration(event, risk, "risk", cluster)
    assert got.slope.lower < 0.7 < got.slope.upper
    assert got.intercept.lower < -0.4 < got.intercept.upper
    assert got.in_the_large.upper < -0.2
    assert got.slope.n_clusters == 30


def test_in_the_large_makes_expected_events_as_many_as_observed():
    event, risk, _ = risks()
    shift = assess_calibration(event, risk, "risk").in_the_large.value
    assert recalibrated_risk(risk, shift).sum() == pytest.approx(event.sum(), rel=1e-10)


@pytest.mark.parametrize("seed", range(5))
def test_recalibrated_risks_have_slope_one_and_intercept_zero(seed):
    event, risk, _ = risks(500, seed=seed)
    got = assess_calibration(event, risk, "risk")
    better = recalibrated_risk(risk, got.intercept.value, got.slope.value)
    again = assess_calibration(event, better, "risk")
    assert again.slope.value == pytest.approx(1, abs=1e-8)
    assert again.intercept.value == pytest.approx(0, abs=1e-8)
    assert again.in_the_large.value == pytest.approx(0, abs=1e-8)


def test_a_slope_is_found_where_newton_steps_too_far():
    """Risks the wrong way round, some far out: there a whole step makes the fit worse."""
    rng = np.random.default_rng(351)
    x = np.clip(rng.standard_t(1, 40) * 4, -18, 18)
    event = (rng.random(40) < expit(3 - x)).astype(float)
    risk = np.clip(expit(x), 1e-9, 1 - 1e-9)
    got = assess_calibration(event, risk, "risk")
    found = LogisticRegression(C=1e12, tol=1e-12, max_iter=10_000).fit(
        np.log(risk / (1 - risk))[:, None], event
    )
    assert got.slope.value == pytest.approx(found.coef_[0, 0], rel=1e-3)
    assert got.slope.value < -3


@settings(max_examples=50)
@given(st.integers(0, 10_000), st.floats(0.2, 5), st.floats(-50, 50))
def test_recalibrated_means_have_slope_one_and_no_bias(seed, stretch, shift):
    rng = np.random.default_rng(seed)
    e = rng.normal(size=50)
    o = e + rng.normal(size=50)
    intercept, slope = calibration_line(o, shift + stretch * e)
    got = assess_calibration(o, intercept + slope * (shift + stretch * e))
    assert got.slope.value == pytest.approx(1, abs=1e-6)
    assert got.in_the_large.value == pytest.approx(0, abs=1e-8)


def test_the_line_of_means_is_the_calibration_line():
    rng = np.random.default_rng(2)
    e, cluster = rng.normal(20, 4, 400), rng.integers(0, 25, 400)
    o = 3 + 0.8 * e + rng.normal(size=400)
    got = assess_calibration(o, e, "mean", cluster)
    assert (got.intercept.value, got.slope.value) == pytest.approx(calibration_line(o, e))
    assert got.in_the_large == mean_by_cluster(o - e, cluster)


def test_errors_of_risks_are_the_sandwich_by_hand():
    event, risk, cluster = risks(600)
    got = assess_calibration(event, risk, "risk", cluster)
    rows = np.column_stack([np.ones(600), logit(risk)])
    p = expit(rows @ [got.intercept.value, got.slope.value])
    bread = np.linalg.inv(rows.T @ (rows * (p * (1 - p))[:, None]))
    scores = np.array([rows[cluster == k].T @ (event - p)[cluster == k] for k in range(30)])
    wanted = np.sqrt(np.diag(bread @ scores.T @ scores @ bread * 30 / 29))
    found = [got.intercept.standard_error, got.slope.standard_error]
    np.testing.assert_allclose(found, wanted, rtol=1e-6)


def test_intervals_of_the_slope_cover_where_clusters_share_luck():
    """Clusters of 30 with slopes of their own, SD 0.5: episodes alone are too sure."""
    rng = np.random.default_rng(3)
    cluster, inside, alone = np.repeat(np.arange(40), 30), 0, 0
    for _ in range(200):
        eta = rng.normal(size=1200)
        own = rng.normal(0, 0.5, 40)[cluster]
        o = eta * (1 + own) + rng.normal(size=1200)
        one, two = assess_calibration(o, eta, "mean", cluster), assess_calibration(o, eta)
        inside += one.slope.lower < 1 < one.slope.upper
        alone += two.slope.lower < 1 < two.slope.upper
    assert inside >= 180
    assert alone < inside - 10


def test_the_slope_of_risks_covers():
    rng, inside = np.random.default_rng(4), 0
    for _ in range(300):
        eta = rng.normal(size=600)
        event = rng.random(600) < expit(-0.5 + 0.8 * eta)
        got = assess_calibration(event, expit(eta), "risk").slope
        inside += got.lower < 0.8 < got.upper
    assert 274 <= inside <= 298


@pytest.mark.parametrize("kind", ["mean", "risk"])
def test_one_expectation_for_all_has_no_slope(kind):
    got = assess_calibration([0, 1, 1, 0], [0.3] * 4, kind)
    assert np.isnan(got.slope.value)
    assert np.isnan(got.slope.upper)
    wanted = 0.2 if kind == "mean" else logit(0.5) - logit(0.3)
    assert got.in_the_large.value == pytest.approx(wanted)


@pytest.mark.parametrize("risk", [[1e-300, 1e-12, 0.5, 1 - 1e-15], [1e-9, 1e-9, 0.2, 0.1]])
def test_risks_near_certainty_still_have_a_fit(risk):
    got = assess_calibration([0, 1, 0, 1], risk, "risk")
    shift = got.in_the_large.value
    assert recalibrated_risk(risk, shift).sum() == pytest.approx(2, rel=1e-6)


def test_bins_hold_equal_shares_with_their_means():
    rng = np.random.default_rng(5)
    e = rng.normal(size=1003)
    o = e + rng.normal(size=1003)
    got = calibration_bins(o, e)
    order = np.argsort(e)
    assert got.n.sum() == 1003
    assert set(got.n) == {100, 101}
    ends = np.concatenate([[0], np.cumsum(got.n)])
    for at in range(10):
        rows = order[ends[at] : ends[at + 1]]
        assert got.expected[at] == pytest.approx(e[rows].mean())
        found = mean_by_cluster(o[rows])
        wanted = (found.value, found.lower, found.upper)
        assert (got.observed[at], got.lower[at], got.upper[at]) == pytest.approx(wanted)


def test_bins_of_risks_have_wilsons_interval():
    event, risk, _ = risks(1000)
    got = calibration_bins(event, risk, 5, "risk")
    wanted = proportion_interval(np.rint(got.observed * got.n), got.n)
    np.testing.assert_allclose(got.lower, wanted.lower, rtol=1e-12)
    np.testing.assert_allclose(got.upper, wanted.upper, rtol=1e-12)


def test_bins_are_less_sure_where_clusters_share_luck():
    rng = np.random.default_rng(6)
    cluster = np.repeat(np.arange(40), 50)
    risk = rng.uniform(0.1, 0.9, 2000)
    event = rng.random(2000) < expit(logit(risk) + rng.normal(0, 1, 40)[cluster])
    one = calibration_bins(event, risk, 4, "risk", cluster)
    two = calibration_bins(event, risk, 4, "risk")
    assert (one.upper - one.lower > 1.2 * (two.upper - two.lower)).all()


def test_a_bin_of_one_cluster_has_no_interval():
    got = calibration_bins([1.0, 2.0, 3.0, 4.0], [1, 2, 3, 4], 2, cluster=["a", "a", "b", "c"])
    assert np.isnan([got.lower[0], got.upper[0]]).all()
    assert np.isfinite([got.lower[1], got.upper[1]]).all()


def test_more_groups_than_episodes_leave_empty_ones_out():
    got = calibration_bins([1.0, 2.0], [1.0, 2.0], 10)
    assert got.n.tolist() == [1, 1]
    assert np.isnan(got.lower).all()


def test_an_isotonic_curve_is_that_of_scikit_learn():
    event, risk, _ = risks(500)
    risk = risk.round(2).clip(0.01, 0.99)
    got = calibration_curve(event, risk, "isotonic", "risk")
    fit = IsotonicRegression().fit(risk, event)
    np.testing.assert_allclose(np.interp(risk, got.expected, got.observed), fit.predict(risk))
    distance = np.abs(fit.predict(risk) - risk)
    assert got.ici == pytest.approx(distance.mean())
    assert got.e50 == pytest.approx(np.median(distance))
    assert got.e90 == pytest.approx(np.quantile(distance, 0.9))
    assert got.e_max == pytest.approx(distance.max())


@pytest.mark.parametrize("n", [60, 5000])
@pytest.mark.parametrize("span", [0.3, 0.75, 1.0])
def test_a_local_curve_keeps_to_a_line(n, span):
    x = np.random.default_rng(7).exponential(size=n)
    got = calibration_curve(1 + 0.5 * x, x, span=span)
    np.testing.assert_allclose(got.observed, 1 + 0.5 * got.expected, rtol=1e-9)


def test_a_local_line_is_weighted_least_squares_by_hand():
    rng = np.random.default_rng(8)
    x = np.sort(rng.normal(size=80))
    y = np.sin(x) + 0.1 * rng.normal(size=80)
    got = calibration_curve(y, x, span=0.5, points=5)
    for at, height in zip(got.expected, got.observed, strict=True):
        apart = np.abs(x - at)
        near = np.sort(apart)[39]
        weight = np.where(apart < near, (1 - (apart / near) ** 3) ** 3, 0)
        assert height == pytest.approx(np.polyval(np.polyfit(x, y, 1, w=np.sqrt(weight)), at))


@pytest.mark.parametrize("method", ["local", "isotonic"])
def test_the_index_is_the_distance_that_was_planted(method):
    rng = np.random.default_rng(9)
    risk = rng.uniform(0.05, 0.95, 40_000)
    true = 0.1 + 0.6 * risk
    got = calibration_curve(rng.random(40_000) < true, risk, method, "risk")
    distance = np.abs(true - risk)
    assert got.ici == pytest.approx(distance.mean(), abs=0.01)
    assert got.e50 == pytest.approx(np.median(distance), abs=0.015)
    assert got.e90 == pytest.approx(np.quantile(distance, 0.9), abs=0.02)


@pytest.mark.parametrize("method", ["local", "isotonic"])
def test_calibrated_risks_are_near_the_diagonal(method):
    rng = np.random.default_rng(10)
    risk = rng.beta(1, 4, 20_000)
    got = calibration_curve(rng.random(20_000) < risk, risk, method, "risk")
    assert got.ici < 0.02
    assert got.observed.min() >= 0
    assert got.observed.max() <= 1


@pytest.mark.parametrize("method", ["local", "isotonic"])
def test_a_curve_does_not_mind_the_order_of_episodes_or_ties(method):
    rng = np.random.default_rng(11)
    e = rng.integers(0, 12, 400).astype(float)
    o = e + rng.normal(size=400)
    order = rng.permutation(400)
    one, two = (calibration_curve(o[at], e[at], method) for at in (slice(None), order))
    np.testing.assert_allclose(one.observed, two.observed, rtol=1e-9)
    flat = calibration_curve(o, np.full(400, 3.0), method)
    assert flat.observed == pytest.approx(o.mean())


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda: assess_calibration([1, 2], [1, 2, 3]), ArrayError, "expected"),
        (lambda: assess_calibration([1, 2, 3], [1, 2, 3], "share"), ArrayError, "kind"),
        (lambda: assess_calibration([0, 1, 1], [0, 0.2, 0.3], "risk"), ArrayError, "certain"),
        (lambda: assess_calibration([0, 1, 1], [0.1, 0.2, 1.3], "risk"), ArrayError, "0 to 1"),
        (lambda: assess_calibration([0, 1, 2], [0.1, 0.2, 0.3], "risk"), ArrayError, "0 or 1"),
        (lambda: assess_calibration([1, 1], [0.1, 0.2], "risk"), NoVariationError, "2 of 2"),
        (
            lambda: assess_calibration([0, 0, 1, 1], [0.1, 0.2, 0.2, 0.3], "risk"),
            ArrayError,
            "separate",
        ),
        (
            lambda: assess_calibration([1, 1, 0, 0], [0.1, 0.2, 0.3, 0.4], "risk"),
            ArrayError,
            "separate",
        ),
        (lambda: assess_calibration([1, 2], [1, 2]), ArrayError, "more episodes"),
        (lambda: calibration_bins([1, 2], [1, 2], 0), ArrayError, "groups"),
        (lambda: calibration_curve([1, 2], [1, 2], "spline"), ArrayError, "method"),
        (lambda: calibration_curve([1, 2], [1, 2], span=0.0), ArrayError, "span"),
        (lambda: calibration_curve([1, 2], [1, 2], points=1), ArrayError, "points"),
        (lambda: recalibrated_risk([0.0, 0.5], 1.0), ArrayError, "above 0 and below 1"),
        (lambda: recalibrated_risk([0.5], np.nan), ArrayError, "intercept"),
    ],
)
def test_what_cannot_be_calibrated_is_refused(call, error, says):
    with pytest.raises(error, match=says):
        call()
