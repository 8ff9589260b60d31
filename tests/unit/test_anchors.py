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
from riskadj.stats.anchor_baseline import threshold_along_baseline, threshold_by_baseline
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


def test_the_same_seed_is_the_same_interval_and_another_is_not():
    one, same, other = (
        bootstrap_threshold(*_patients(500), seed=seed, replicates=30) for seed in (1, 1, 2)
    )
    assert _same(one, same)
    np.testing.assert_array_equal(one.draws, same.draws)
    assert (one.draws[:, 0] != other.draws[:, 0]).all()


def test_every_replicate_is_the_estimate_of_a_resample():
    """Replicates of counts have the spread of replicates of rows."""
    change, improved = _patients(800)
    got = bootstrap_threshold(change, improved, seed=1, replicates=250, anchor_reliability=0.8)
    rng = np.random.default_rng(9)
    rows = [rng.integers(0, 800, 800) for _ in range(250)]
    slow = [estimate_threshold(change[r], improved[r], anchor_reliability=0.8) for r in rows]
    for place, method in enumerate(METHODS):
        want = np.array([getattr(one, method) for one in slow])
        assert got.draws[:, place].std() == pytest.approx(want.std(), rel=0.2)
        assert got.draws[:, place].mean() == pytest.approx(want.mean(), abs=want.std() / 4)


def test_intervals_cover_the_truth_as_often_as_they_say():
    """True predictive threshold: half-way between the means of two equal spreads."""
    rng = np.random.default_rng(6)
    covered = 0
    for one in range(100):
        change = np.r_[rng.normal(20, 8, 300), rng.normal(10, 8, 150)].round()
        got = bootstrap_threshold(change, np.repeat([1, 0], [300, 150]), seed=one, replicates=200)
        covered += got.lower[0] <= 15 <= got.upper[0]
    assert 88 <= covered <= 99


def test_drawing_providers_of_one_patient_is_drawing_patients():
    change, improved = _patients(1_000)
    one = bootstrap_threshold(change, improved, seed=1, replicates=400)
    other = bootstrap_threshold(change, improved, seed=1, replicates=400, provider=np.arange(1_000))
    assert (one.resampled, other.resampled) == ("episodes", "providers")
    assert other.draws[:, 0].std() == pytest.approx(one.draws[:, 0].std(), rel=0.15)


def test_patients_who_are_alike_within_providers_widen_the_interval():
    change, improved = _patients(500)
    tenfold = np.tile(change, 10), np.tile(improved, 10)
    alike = np.tile(np.arange(500), 10)
    plain = bootstrap_threshold(*tenfold, seed=1, replicates=300)
    clustered = bootstrap_threshold(*tenfold, seed=1, replicates=300, provider=alike)
    ratio = (clustered.upper[0] - clustered.lower[0]) / (plain.upper[0] - plain.lower[0])
    assert ratio == pytest.approx(np.sqrt(10), rel=0.2)


def test_intervals_are_percentiles_of_the_replicates():
    got = bootstrap_threshold(*_patients(500), seed=1, replicates=99, level=0.9)
    ordered = np.sort(got.draws[:, 0])
    assert (got.lower[0], got.upper[0]) == (pytest.approx(ordered[4]), pytest.approx(ordered[94]))
    assert np.isnan([got.lower[2], got.upper[2]]).all()


def test_a_few_replicates_without_an_answer_are_counted_and_many_are_refused():
    change = np.r_[np.arange(40.0), [3.0, 8.0, 1.0, 12.0]]
    improved = np.r_[np.ones(40), np.zeros(4)]
    got = bootstrap_threshold(change, improved, seed=1, replicates=300)
    assert got.failed == np.isnan(got.draws[:, 0]).sum() > 0
    assert np.isfinite(got.lower[:2]).all()
    with pytest.raises(ArrayError, match="There are too few patients of one kind"):
        bootstrap_threshold(change[:-2], improved[:-2], seed=1, replicates=300)


@pytest.mark.parametrize(
    ("change", "improved"),
    [
        ([0, 1, 2, 3, 10, 11, 12], [0, 0, 0, 0, 1, 1, 1]),
        ([0, 1, 2, 2, 3, 4], [0, 0, 0, 1, 1, 1]),
        ([0, 0, 1, 1, 1], [0, 0, 0, 1, 1]),
    ],
    ids=["apart", "a shared change", "a shared change at the end"],
)
def test_kinds_that_do_not_overlap_are_refused(change, improved):
    with pytest.raises(ArrayError, match="two kinds that do not overlap"):
        estimate_threshold(change, improved)


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


def _interval(**given):
    return bootstrap_threshold(*_patients(200), **given)


def _line(**given):
    return threshold_along_baseline(*_patients(200), np.arange(200), **given)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"provider": ["a"] * 200}, "two or more to draw from"),
        ({"provider": ["a", "b"]}, "wanted 200 labels; got 2"),
        ({"replicates": 1}, "replicates: wanted"),
        ({"seed": -1}, "seed: wanted"),
        ({"level": 1.0}, "level: wanted"),
    ],
)
@pytest.mark.parametrize("function", [_interval, _line])
def test_a_bootstrap_that_cannot_be_is_refused(function, change, says):
    with pytest.raises(ArrayError, match=says):
        function(**({"seed": 1} | change))


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


def _world(slope=0.0, n=40_000, seed=3):
    """Changes felt against a threshold of 10 at a baseline of 20; two readings of the baseline."""
    rng = np.random.default_rng(seed)
    true, gain = rng.normal(20, 7, n), rng.normal(8, 8, n)
    first, second, after = rng.normal(0, 4, (3, n))
    improved = gain + rng.normal(0, 3, n) > 10 + slope * (true - 20)
    baseline = (true + first).round()
    return (true + gain + after).round() - baseline, improved, baseline, (true + second).round()


def test_bands_of_the_same_score_show_a_dependence_that_is_not_there():
    """Terluin et al. 2021: error moves between bands; another reading's does not."""
    change, improved, same, other = _world()
    biased = threshold_by_baseline(change, improved, same, seed=1, replicates=50)
    fair = threshold_by_baseline(change, improved, other, seed=1, replicates=50)
    assert biased.predictive[0] - biased.predictive[-1] > 3
    assert np.ptp(fair.predictive) < 0.4


def test_the_line_over_the_same_score_shows_it_too_and_over_another_does_not():
    change, improved, same, other = _world()
    biased = threshold_along_baseline(change, improved, same, seed=1, replicates=100)
    fair = threshold_along_baseline(change, improved, other, seed=1, replicates=100)
    assert biased.slope_upper < -0.15
    assert fair.slope_lower < 0.015
    assert abs(fair.slope) < 0.02


def test_a_dependence_that_is_there_is_found_with_another_reading():
    change, improved, _, other = _world(slope=-0.3)
    line = threshold_along_baseline(change, improved, other, seed=1, replicates=100)
    bands = threshold_by_baseline(change, improved, other, seed=1, replicates=50)
    assert line.slope_upper < -0.08
    assert (np.diff(bands.predictive) < 0).all()


def test_a_line_without_error_is_the_one_that_was_planted():
    """At each baseline two normal kinds of one spread, half-way between them 14 - 0.3 baseline."""
    rng = np.random.default_rng(7)
    before, improved = rng.integers(0, 40, 30_000), rng.random(30_000) < 0.8
    gain = (14 - 0.3 * before + 6 * (improved - 0.5) * 2 + rng.normal(0, 7, 30_000)).round()
    got = threshold_along_baseline(gain, improved, before, seed=1, at=[0, 20], replicates=100)
    assert got.slope == pytest.approx(-0.3, abs=0.02)
    assert got.threshold == pytest.approx([14, 8], abs=0.3)
    assert (got.slope_lower < got.slope) & (got.slope < got.slope_upper)
    assert got.threshold[1] - got.threshold[0] == pytest.approx(20 * got.slope)
    assert got.at_centre == pytest.approx(got.threshold[0] + got.slope * got.centre)
    assert ((got.lower < got.threshold) & (got.threshold < got.upper)).all()


def test_a_line_is_given_at_the_tenth_half_and_nine_tenths_unless_asked():
    change, improved, same, _ = _world(n=2_000)
    got = threshold_along_baseline(change, improved, same, seed=1, replicates=20)
    assert got.at == pytest.approx(np.quantile(same, [0.1, 0.5, 0.9]))


def test_lines_do_not_depend_on_the_order_of_rows_and_move_with_the_baseline():
    change, improved, same, _ = _world(n=2_000)
    order = np.random.default_rng(1).permutation(2_000)
    one = threshold_along_baseline(change, improved, same, seed=1, at=[10], replicates=20)
    other = threshold_along_baseline(
        change[order], improved[order], 2 * same[order] + 5, seed=1, at=[25], replicates=20
    )
    assert other.slope == pytest.approx(one.slope / 2)
    assert other.threshold == pytest.approx(one.threshold)
    assert other.upper == pytest.approx(one.upper)


def test_bands_keep_equal_baselines_together_and_count_everybody():
    change, improved, same, _ = _world(n=3_000)
    got = threshold_by_baseline(change, improved, same, seed=1, bands=5, replicates=20)
    assert got.n.sum() == 3_000
    assert (got.low[1:] > got.high[:-1]).all()
    assert (np.abs(got.n - 600) < 200).all()
    assert got.n @ got.mean_change == pytest.approx(change.sum())
    assert got.n @ got.share_improved == pytest.approx(improved.sum())
    two = threshold_by_baseline(change, improved, same > 20, seed=1, bands=8, replicates=20)
    assert (two.low.tolist(), two.high.tolist()) == ([0, 1], [0, 1])


def test_a_band_is_estimated_as_a_cohort_of_its_own():
    change, improved, same, _ = _world(n=3_000)
    got = threshold_by_baseline(change, improved, same, seed=1, bands=3, replicates=100)
    for place in range(3):
        inside = (same >= got.low[place]) & (same <= got.high[place])
        alone = estimate_threshold(change[inside], improved[inside])
        for field in ("predictive", "adjusted", "roc", "auc"):
            assert getattr(got, field)[place] == getattr(alone, field)
        assert got.lower[place] < got.predictive[place] < got.upper[place]


def test_a_band_in_which_everybody_improved_has_no_threshold():
    change, improved = _patients(600)
    start = np.repeat([10, 20, 30], 200)
    improved[start == 20] = 1
    got = threshold_by_baseline(change, improved, start, seed=1, bands=3, replicates=20)
    assert np.isnan(got.predictive).tolist() == [False, True, False]
    assert np.isnan(got.lower).tolist() == [False, True, False]
    assert (got.n.tolist(), got.share_improved[1]) == ([200] * 3, 1)


@pytest.mark.parametrize("function", [threshold_by_baseline, threshold_along_baseline])
@pytest.mark.parametrize(
    ("baseline", "says"),
    [
        (np.full(200, 7.0), "baseline: wanted values that differ; got 7"),
        (np.r_[np.arange(199), NAN], "baseline: wanted finite"),
        (np.arange(3), "baseline: wanted shape"),
    ],
)
def test_baselines_that_say_nothing_are_refused(function, baseline, says):
    with pytest.raises(ArrayError, match=says):
        function(*_patients(200), baseline, seed=1, replicates=20)


def test_one_band_is_no_banding():
    with pytest.raises(ArrayError, match="bands: wanted a whole number of 2"):
        threshold_by_baseline(*_patients(200), np.arange(200), seed=1, bands=1)


def test_a_baseline_that_is_the_change_is_refused():
    change, improved = _patients(500)
    with pytest.raises(ArrayError, match="says more about improvement than the baseline"):
        threshold_along_baseline(change, improved, -change, seed=1, replicates=20)
