"""Thresholds from an anchor question, against definitions, row by row, and known truth."""

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import expit, logit
from scipy.stats import mannwhitneyu

from riskadj.errors import ArrayError, NoVariationError
from riskadj.stats.anchor_intervals import bootstrap_threshold
from riskadj.stats.anchors import METHODS, estimate_threshold, mean_change

NAN = float("nan")


def _patients(n=3_000, seed=1, centre=8.0, scale=5.0):
    rng = np.random.default_rng(seed)
    change = rng.normal(12, 10, n).round()
    return change, (rng.random(n) < expit((change - centre) / scale)).astype(float)


def _by_rows(change, improved):
    """Maximise the likelihood of the rows, with an optimiser that knows nothing of counts."""
    x = (change - change.mean()) / change.std()

    def fall(coef):
        eta = coef[0] + coef[1] * x
        slope = expit(eta) - improved
        return np.logaddexp(0, eta).sum() - improved @ eta, np.array([slope.sum(), slope @ x])

    found = minimize(fall, [0.0, 0.0], jac=True, method="BFGS", options={"gtol": 1e-8}).x
    slope = found[1] / change.std()
    return found[0] - slope * change.mean(), slope


def test_the_regression_is_that_of_the_rows():
    change, improved = _patients()
    got, (intercept, slope) = estimate_threshold(change, improved), _by_rows(change, improved)
    assert got.intercept == pytest.approx(intercept, abs=1e-6)
    assert got.slope == pytest.approx(slope, abs=1e-7)
    assert got.predictive == pytest.approx((logit(improved.mean()) - intercept) / slope, abs=1e-5)


def test_the_corrections_are_the_published_formulas():
    change, improved = _patients()
    got = estimate_threshold(change, improved, anchor_reliability=0.7)
    odds, r = logit(improved.mean()), np.corrcoef(change, improved)[0, 1]
    sd = change.std(ddof=1)
    assert (got.correlation, got.sd_change) == (pytest.approx(r), pytest.approx(sd))
    assert got.adjusted == pytest.approx(got.predictive - (0.09 + 0.103 * r) * sd * odds)
    assert got.improved_adjusted == pytest.approx(
        got.predictive - (0.8 / 0.7 - 0.5) * sd * r * odds
    )
    assert got.adjusted < got.predictive


def test_without_a_reliability_there_is_no_improved_adjustment():
    assert np.isnan(estimate_threshold(*_patients()).improved_adjusted)


def test_the_area_is_that_of_the_rank_test():
    change, improved = _patients()
    u = mannwhitneyu(change[improved == 1], change[improved == 0]).statistic
    want = u / ((improved == 1).sum() * (improved == 0).sum())
    assert estimate_threshold(change, improved).auc == pytest.approx(want)


def test_the_cut_is_the_best_of_all():
    change, improved = _patients(400)
    got = estimate_threshold(change, improved)

    def youden(cut):
        return (change[improved == 1] >= cut).mean() - (change[improved == 0] >= cut).mean()

    cuts = np.unique(change)
    assert got.roc == cuts[np.argmax([youden(one) for one in cuts])]
    assert got.sensitivity == (change[improved == 1] >= got.roc).mean()
    assert got.specificity == pytest.approx((change[improved == 0] < got.roc).mean())


def test_of_cuts_that_tie_it_is_the_smallest():
    """Cuts at 2 and 4 both tell two thirds of the improved, or all, from as many others."""
    change = [0, 0, 0, 2, 3, 3, 4, 4, 4]
    improved = [0, 0, 0, 1, 0, 0, 1, 1, 1]
    # At 2: 4/4 - 2/5 = 0.6; at 4: 3/4 - 0 = 0.75.
    assert estimate_threshold(change, improved).roc == 4
    # At 1: 2/2 - 1/2 = 0.5; at 3: 1/2 - 0 = 0.5.
    assert estimate_threshold([0, 1, 2, 3], [0, 1, 0, 1]).roc == 1


COHORT = st.lists(st.tuples(st.integers(-20, 40), st.booleans()), min_size=30, max_size=80).map(
    lambda rows: np.array(rows + [(0, True), (1, False), (30, True), (-9, False)], dtype=float)
)


def _or_none(change, improved):
    try:
        return estimate_threshold(change, improved, anchor_reliability=0.8)
    except ArrayError:
        return None


@settings(max_examples=40)
@given(COHORT, st.integers(-50, 50), st.sampled_from([0.1, 0.5, 3.0]))
def test_thresholds_move_and_stretch_with_the_scale(rows, shift, factor):
    change, improved = rows.T
    one, other = _or_none(change, improved), _or_none(factor * change + shift, improved)
    if one is None or one.correlation < 0.1:
        return
    for method in METHODS:
        want = factor * getattr(one, method) + shift
        assert getattr(other, method) == pytest.approx(want, rel=1e-6, abs=1e-6)
    assert other.auc == pytest.approx(one.auc)


@settings(max_examples=40)
@given(COHORT)
def test_getting_worse_is_getting_better_backwards(rows):
    change, improved = rows.T
    one, other = _or_none(change, improved), _or_none(-change, 1 - improved)
    if one is None or one.correlation < 0.1:
        return
    for method in ("predictive", "adjusted", "improved_adjusted"):
        assert getattr(other, method) == pytest.approx(-getattr(one, method), rel=1e-6, abs=1e-6)


@settings(max_examples=40)
@given(COHORT)
def test_nothing_is_corrected_where_half_improved(rows):
    change, improved = rows.T
    both = np.r_[change, -change], np.r_[improved, 1 - improved]
    got = _or_none(*both)
    if got is None:
        return
    assert got.share_improved == 0.5
    assert got.adjusted == pytest.approx(got.predictive, abs=1e-9)
    assert got.improved_adjusted == pytest.approx(got.predictive, abs=1e-9)


@settings(max_examples=20)
@given(st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(random):
    change, improved = _patients(200)
    provider = np.arange(200) % 20
    order = list(range(200))
    random.shuffle(order)
    shuffled = change[order], improved[order]
    assert _same(estimate_threshold(change, improved), estimate_threshold(*shuffled))
    one = bootstrap_threshold(change, improved, seed=1, replicates=20, provider=provider)
    other = bootstrap_threshold(*shuffled, seed=1, replicates=20, provider=provider[order])
    np.testing.assert_array_equal(one.draws, other.draws)


def _same(one, other):
    return all(repr(getattr(one, f.name)) == repr(getattr(other, f.name)) for f in fields(one))


def test_the_predictive_threshold_is_the_centre_of_two_equal_spreads():
    """Normal changes with one spread: the likelihood ratio is 1 half-way between the means."""
    rng = np.random.default_rng(4)
    change = np.r_[rng.normal(20, 6, 60_000), rng.normal(8, 6, 20_000)]
    got = estimate_threshold(change, np.repeat([1, 0], [60_000, 20_000]))
    assert got.predictive == pytest.approx(14, abs=0.15)


@pytest.mark.parametrize("above", [-6.0, 0.0, 6.0])
@pytest.mark.parametrize("felt_sd", [4.0, 6.0])
def test_the_corrections_find_what_patients_hold_for_enough(above, felt_sd):
    """Everybody calls a felt change of 10 enough; few or many reach it."""
    rng = np.random.default_rng(5)
    true, error = rng.normal(10 + above, 8, 40_000), rng.normal(0, felt_sd, 40_000)
    change = (true + rng.normal(0, 5, 40_000)).round()
    reliability = 64 / (64 + felt_sd**2)
    got = estimate_threshold(change, true + error > 10, anchor_reliability=reliability)
    assert got.improved_adjusted == pytest.approx(10, abs=0.3)
    if above:
        assert abs(got.adjusted - 10) < 0.7 * abs(got.predictive - 10)


def test_one_who_overlaps_is_enough():
    change = np.r_[np.arange(1_000.0), 400.0]
    improved = np.r_[np.arange(1_000) > 500, True]
    got = estimate_threshold(change, improved)
    assert 400 < got.predictive < 520


FINE = {"change": [1.0, 2, 3, 4, 5, 6], "improved": [0, 0, 1, 0, 1, 1]}


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        ({"improved": [0] * 6}, NoVariationError, "got nobody who did"),
        ({"improved": [1] * 6}, NoVariationError, "got everybody who did"),
        ({"change": [2.0] * 6}, NoVariationError, "got 2 throughout"),
        ({"improved": [1, 2, 3, 4, 5, 1]}, ArrayError, r"0 or 1; got 2 \(4 others"),
        ({"improved": [0, 1, 0, 1, NAN, 1]}, ArrayError, "improved: wanted finite"),
        ({"improved": [0, 1]}, ArrayError, "improved: wanted shape"),
        ({"change": [1.0, NAN, 3, 4, 5, 6]}, ArrayError, "change: wanted finite"),
        ({"change": []}, ArrayError, "one number per patient"),
        ({"change": [[1.0]]}, ArrayError, "one number per patient"),
        ({"change": list("abcdef")}, ArrayError, "change: wanted numbers"),
        ({"change": [6.0, 5, 4, 3, 2, 1]}, ArrayError, "hand over before minus after"),
        ({"anchor_reliability": 0.0}, ArrayError, "above 0 and up to 1; got 0"),
        ({"anchor_reliability": 1.5}, ArrayError, "above 0 and up to 1"),
    ],
)
def test_a_cohort_that_says_nothing_is_refused(change, error, says):
    with pytest.raises(error, match=says):
        estimate_threshold(**(FINE | change))


def test_mean_changes_are_those_of_each_answer():
    got = mean_change([20.0, 24, 10, 14, 3, 1], list("aabbbc"))
    assert got.rating.tolist() == ["a", "b", "c"]
    assert got.n.tolist() == [2, 3, 1]
    assert got.share == pytest.approx([1 / 3, 1 / 2, 1 / 6])
    assert got.mean == pytest.approx([22, 9, 1])
    assert got.sd == pytest.approx(
        [np.std([20, 24], ddof=1), np.std([10, 14, 3], ddof=1), NAN], nan_ok=True
    )
    assert got.standard_error == pytest.approx(got.sd / np.sqrt(got.n), nan_ok=True)


@pytest.mark.parametrize(
    ("change", "rating", "says"),
    [
        ([1.0, 2.0], [1], "change: wanted shape"),
        ([1.0, NAN], [1, 2], "change: wanted finite"),
        ([1.0, 2.0], [1, NAN], "rating: wanted a label"),
    ],
)
def test_mean_changes_of_no_answers_are_refused(change, rating, says):
    with pytest.raises(ArrayError, match=says):
        mean_change(change, rating)
