"""Bootstrap intervals of thresholds: resamples, coverage, and what is refused."""

from dataclasses import fields

import numpy as np
import pytest
from scipy.special import expit

from riskadj.errors import ArrayError
from riskadj.stats.anchor_baseline import threshold_along_baseline
from riskadj.stats.anchor_intervals import bootstrap_threshold
from riskadj.stats.anchors import METHODS, estimate_threshold


def _patients(n=3_000, seed=1, centre=8.0, scale=5.0):
    rng = np.random.default_rng(seed)
    change = rng.normal(12, 10, n).round()
    return change, (rng.random(n) < expit((change - centre) / scale)).astype(float)


def _same(one, other):
    return all(repr(getattr(one, f.name)) == repr(getattr(other, f.name)) for f in fields(one))


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
