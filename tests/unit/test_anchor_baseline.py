"""Thresholds and the baseline: what is planted is found, and what error makes is shown."""

import numpy as np
import pytest
from scipy.special import expit

from riskadj.errors import ArrayError
from riskadj.stats.anchor_baseline import threshold_along_baseline, threshold_by_baseline
from riskadj.stats.anchors import estimate_threshold

NAN = float("nan")


def _patients(n=3_000, seed=1, centre=8.0, scale=5.0):
    rng = np.random.default_rng(seed)
    change = rng.normal(12, 10, n).round()
    return change, (rng.random(n) < expit((change - centre) / scale)).astype(float)


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
