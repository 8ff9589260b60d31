"""Thresholds of the Oxford Hip Score from NHS England's record files and their anchor question.

Primary hip replacements of 2018/19 with both scores and an answer, from 1 (much better) to 5 (much
worse). The figures to meet were computed independently on the same file with the formulas of the R
package MIC 1.0.0. Figures for knees of 2018/19 exist too; the knee file that is here is that of
2016/17.
"""

from pathlib import Path

import numpy as np
import pytest

from riskadj.episodes import read_episodes
from riskadj.instruments.thresholds import THRESHOLDS, attainable, responds
from riskadj.stats.anchor_baseline import threshold_along_baseline, threshold_by_baseline
from riskadj.stats.anchor_intervals import bootstrap_threshold
from riskadj.stats.anchors import estimate_threshold, mean_change

DATA = Path(__file__).parents[3] / "shared" / "data" / "nhs_proms"
pytestmark = [
    pytest.mark.data,
    pytest.mark.skipif(not DATA.is_dir(), reason="the public NHS files are not here"),
]

HIPS, KNEES = "Hip Replacement Provider 1819.csv.zip", "Knee Replacement Provider 1617.csv.zip"
MUCH_BETTER, LITTLE_BETTER = 1, 2
ODD, EVEN = [f"{one:02}" for one in range(1, 13, 2)], [f"{one:02}" for one in range(2, 13, 2)]


@pytest.fixture(scope="module")
def hips():
    """Return primary hips with both scores and an answer."""
    return _answered(HIPS, "HIP_PRIM", "ohs")


@pytest.fixture(scope="module")
def change(hips):
    return (hips["q2_score_ohs"] - hips["q1_score_ohs"]).to_numpy()


def _answered(file, group, measure):
    table = read_episodes([DATA / file], format="nhs_proms").table
    needed = ["anchor_change", f"q1_score_{measure}", f"q2_score_{measure}"]
    return table[table["procedure_group"] == group].dropna(subset=needed)


def _improved(rows, worst_answer):
    return (rows["anchor_change"] <= worst_answer).to_numpy()


def test_answers_and_mean_changes_are_those_known(hips, change):
    got = mean_change(change, hips["anchor_change"].to_numpy())
    assert got.n.sum() == 37_983
    assert got.rating.tolist() == [1, 2, 3, 4, 5]
    assert (100 * got.share).round(2).tolist() == [87.75, 7.96, 2.20, 1.20, 0.89]
    assert got.mean.round(2).tolist() == [24.39, 13.17, 8.79, 4.31, 3.07]


@pytest.mark.parametrize(
    ("worst_answer", "want"),
    [
        (LITTLE_BETTER, {"predictive": 15.176, "adjusted": 11.317, "roc": 14}),
        (MUCH_BETTER, {"predictive": 17.860, "adjusted": 15.212, "roc": 18}),
    ],
)
def test_thresholds_are_those_known(hips, change, worst_answer, want):
    """The known figures are a thousandth off the optimum of the regression, hence the tolerance."""
    got = estimate_threshold(change, _improved(hips, worst_answer))
    for method, value in want.items():
        assert getattr(got, method) == pytest.approx(value, abs=0.0015)


def test_what_they_are_made_of_is_what_is_known(hips, change):
    got = estimate_threshold(change, _improved(hips, LITTLE_BETTER))
    assert got.n == 37_983
    assert got.share_improved == pytest.approx(0.9571, abs=5e-5)
    assert got.auc == pytest.approx(0.8874, abs=5e-5)
    assert got.correlation == pytest.approx(0.3518, abs=5e-5)
    assert got.sd_change == pytest.approx(9.842, abs=5e-4)


def test_providers_make_intervals_wider_and_the_cut_uncertain(hips, change):
    improved = _improved(hips, LITTLE_BETTER)
    plain = bootstrap_threshold(change, improved, seed=1)
    drawn = bootstrap_threshold(
        change, improved, seed=1, provider=hips["provider_id"].to_numpy(str)
    )
    for got in (plain, drawn):
        assert got.failed == 0
        assert got.lower[0] < 15.176 < got.upper[0]
        assert got.lower[1] < 11.317 < got.upper[1]
    width = [got.upper - got.lower for got in (plain, drawn)]
    assert width[1][0] > 1.3 * width[0][0]
    assert width[0][3] > 5 * width[0][0]


def test_the_threshold_falls_with_the_baseline(hips, change):
    improved, before = _improved(hips, LITTLE_BETTER), hips["q1_score_ohs"].to_numpy()
    bands = threshold_by_baseline(change, improved, before, seed=1, replicates=200)
    line = threshold_along_baseline(change, improved, before, seed=1, replicates=200)
    assert bands.n.sum() == 37_983
    assert (bands.lower[:-1] > bands.upper[1:]).all()
    assert bands.predictive == pytest.approx([20.8, 18.3, 15.3, 9.4], abs=0.05)
    assert line.slope == pytest.approx(-0.486, abs=0.002)


@pytest.mark.parametrize(("baseline", "outcome"), [(ODD, EVEN), (EVEN, ODD)])
def test_it_falls_too_where_the_error_of_the_baseline_is_another(hips, baseline, outcome):
    """Baseline of one half of the items, change of the other (Terluin et al. 2021)."""
    whole = hips.dropna(subset=[one for one in hips if "_item_ohs_" in one])
    before, start, end = (
        2 * whole[[f"{q}_item_ohs_{one}" for one in half]].sum(axis=1).to_numpy(float)
        for q, half in (("q1", baseline), ("q1", outcome), ("q2", outcome))
    )
    improved = _improved(whole, LITTLE_BETTER)
    line = threshold_along_baseline(end - start, improved, before, seed=1, replicates=200)
    assert line.slope_upper < -0.3


def test_knees_of_2016_17_have_the_cut_of_2018_19_and_are_near_it_otherwise():
    """2018/19: share improved 0.9075, predictive 11.119, adjusted 8.082, cut 11, area 0.8937.

    Hips moved as much, and the same way, between these years.
    """
    knees = _answered(KNEES, "KNEE_PRIM", "oks")
    gain = (knees["q2_score_oks"] - knees["q1_score_oks"]).to_numpy()
    got = estimate_threshold(gain, _improved(knees, LITTLE_BETTER))
    assert got.roc == 11
    assert got.share_improved == pytest.approx(0.9075, abs=0.01)
    assert got.predictive == pytest.approx(11.119, abs=1.2)
    assert got.adjusted == pytest.approx(8.082, abs=1.2)
    assert got.auc == pytest.approx(0.8937, abs=0.02)


def test_nearly_everybody_gains_eight_and_some_never_could(hips, change):
    rule, before = THRESHOLDS["OHS_MIC_8"], hips["q1_score_ohs"].to_numpy()
    got = responds(rule, before, hips["q2_score_ohs"].to_numpy(), 1)
    np.testing.assert_array_equal(got, change >= 8)
    open_ones = attainable(rule, before, (0.0, 48.0), 1)
    np.testing.assert_array_equal(open_ones, before <= 40)
    assert not got[~open_ones].any()
    assert 0 < (~open_ones).sum() < 200
