"""Figures whose intervals allow for clusters: against formulas, brute force and known truth."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import r2_score

from riskadj.episodes.nhs import read_nhs_file
from riskadj.errors import ArrayError
from riskadj.stats.accuracy import accuracy
from riskadj.stats.calibration import calibration_line
from riskadj.stats.cluster_accuracy import FIGURES, accuracy_by_cluster, accuracy_difference
from riskadj.stats.clusters import interval_by_cluster, jackknife_groups, sums_by_cluster
from riskadj.stats.meta_analysis import pool_estimates
from riskadj.stats.sandwich import mean_by_cluster, regress_by_cluster

NHS = Path(__file__).parents[3] / "shared/data/nhs_proms/Hip Replacement Provider 1819.csv.zip"


METHODS = ("bca", "percentile", "jackknife")


def clustered(rng, clusters=40, size=25, between=1.0):
    """Return observed, expected, a worse expectation, and the cluster of each."""
    cluster = np.repeat(np.arange(clusters), size)
    expected = rng.normal(size=clusters * size) + rng.normal(0, 0.5, clusters)[cluster]
    shared = rng.normal(0, between, clusters)[cluster]
    observed = 20 + expected + shared + rng.normal(size=clusters * size)
    return observed, 20 + expected, 20 + 0.6 * expected, cluster


@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.parametrize("method", METHODS)
def test_figures_from_sums_are_those_of_all_episodes(name, method):
    o, e, _, cluster = clustered(np.random.default_rng(1))
    plain = accuracy(o, e)
    wanted = {
        "r2": r2_score(o, e), "mae": plain.mae, "rmse": plain.rmse, "mse": plain.rmse**2,
        "bias": plain.bias, "slope": calibration_line(o, e)[1],
    }  # fmt: skip
    got = accuracy_by_cluster(o, e, cluster, name, method, replicates=200)
    assert got.value == pytest.approx(wanted[name], rel=1e-9)
    assert got.lower < got.value < got.upper
    assert (got.n, got.n_clusters) == (1000, 40)


@pytest.mark.parametrize("name", FIGURES)
def test_samples_are_those_of_drawing_every_episode_of_a_cluster(name):
    o, e, _, cluster = clustered(np.random.default_rng(2), clusters=8, size=5)
    copies = np.random.default_rng(7).multinomial(8, np.full(8, 1 / 8), size=60)
    rows = [np.repeat(np.arange(40), one[cluster]) for one in copies]
    by_hand = [
        accuracy_by_cluster(o[one], e[one], np.arange(len(one)), name, "jackknife").value
        for one in rows
    ]
    got = accuracy_by_cluster(o, e, cluster, name, "percentile", replicates=60, seed=7)
    assert got.standard_error == pytest.approx(np.std(by_hand, ddof=1), rel=1e-9)
    wanted = np.quantile(by_hand, (0.025, 0.975), method="weibull")
    np.testing.assert_allclose((got.lower, got.upper), wanted, rtol=1e-9)


def test_the_jackknife_leaves_out_a_cluster_at_a_time():
    o, e, _, cluster = clustered(np.random.default_rng(3), clusters=9, size=11)
    without = [r2_score(o[cluster != one], e[cluster != one]) for one in range(9)]
    wanted = np.sqrt(8 / 9 * np.sum((without - np.mean(without)) ** 2))
    got = accuracy_by_cluster(o, e, cluster, "r2", "jackknife")
    assert got.standard_error == pytest.approx(wanted, rel=1e-9)


def test_the_corrected_bootstrap_is_that_of_scipy():
    """scipy.stats.bootstrap, BCa, of a mean; both by chance, so that they agree to a few per cent
    of the width."""
    from scipy.stats import bootstrap

    rng = np.random.default_rng(4)
    y = rng.exponential(size=60) ** 2
    sums = sums_by_cluster({"y": y}, np.arange(60))
    got = interval_by_cluster(sums, lambda of: of["y"] / of["n"], "bca", replicates=20_000)
    wanted = bootstrap(
        (y,), np.mean, method="BCa", n_resamples=20_000, rng=np.random.default_rng(5)
    ).confidence_interval
    width = wanted.high - wanted.low
    assert got.lower == pytest.approx(wanted.low, abs=0.03 * width)
    assert got.upper == pytest.approx(wanted.high, abs=0.03 * width)


@pytest.mark.parametrize("name", FIGURES)
def test_a_learner_does_not_differ_from_itself(name):
    o, e, _, cluster = clustered(np.random.default_rng(5))
    got = accuracy_difference(o, e, e, cluster, name, replicates=50)
    assert (got.value, got.lower, got.upper, got.standard_error) == (0, 0, 0, 0)


@pytest.mark.parametrize("method", METHODS)
def test_a_difference_is_surer_than_its_parts(method):
    o, e, worse, cluster = clustered(np.random.default_rng(6))
    parts = [accuracy_by_cluster(o, one, cluster, "r2", method) for one in (e, worse)]
    got = accuracy_difference(o, e, worse, cluster, "r2", method)
    assert got.value == pytest.approx(parts[0].value - parts[1].value, rel=1e-12)
    assert got.standard_error < 0.8 * np.hypot(*(one.standard_error for one in parts))


def test_swapping_learners_turns_the_difference_round():
    o, e, worse, cluster = clustered(np.random.default_rng(7))
    one = accuracy_difference(o, e, worse, cluster, method="percentile")
    two = accuracy_difference(o, worse, e, cluster, method="percentile")
    np.testing.assert_allclose((one.lower, one.upper), (-two.upper, -two.lower), rtol=1e-9)


def test_the_same_seed_gives_the_same_interval_whatever_the_block(monkeypatch):
    o, e, _, cluster = clustered(np.random.default_rng(8))
    whole = accuracy_by_cluster(o, e, cluster, replicates=200, seed=3)
    monkeypatch.setattr("riskadj.stats.clusters._BLOCK", 1000)
    parts = accuracy_by_cluster(o, e, cluster, replicates=200, seed=3)
    np.testing.assert_allclose((parts.lower, parts.upper), (whole.lower, whole.upper), rtol=1e-12)
    other = accuracy_by_cluster(o, e, cluster, replicates=200, seed=4)
    assert abs(other.lower - whole.lower) > 1e-6


def test_labels_and_the_order_of_episodes_do_not_matter():
    rng = np.random.default_rng(9)
    o, e, _, cluster = clustered(rng)
    order = rng.permutation(len(o))
    names = np.array([f"P{one:02d}" for one in range(40)])[cluster]
    one = accuracy_by_cluster(o, e, cluster)
    two = accuracy_by_cluster(o[order], e[order], names[order])
    np.testing.assert_allclose((one.lower, one.upper), (two.lower, two.upper), rtol=1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_intervals_of_r2_cover_where_those_of_episodes_do_not(method):
    """Truth from a world of 4,000 clusters; 200 worlds of 40 clusters: 0.95 -+ 0.03 by chance."""
    rng = np.random.default_rng(10)

    def world(clusters):
        cluster = np.repeat(np.arange(clusters), 20)
        spread = np.exp(rng.normal(0, 0.4, clusters))[cluster]  # clusters differ in R2, too
        e = rng.normal(0, 1, len(cluster))
        o = e + rng.normal(0, 0.7, clusters)[cluster] + spread * rng.normal(size=len(cluster))
        return o, e, cluster

    truth = accuracy(*world(4000)[:2]).r2
    inside = {"clusters": 0, "episodes": 0}
    for _ in range(200):
        o, e, cluster = world(40)
        got = accuracy_by_cluster(o, e, cluster, "r2", method, replicates=400)
        inside["clusters"] += got.lower < truth < got.upper
        alone = accuracy_by_cluster(o, e, np.arange(len(o)), "r2", "jackknife")
        inside["episodes"] += alone.lower < truth < alone.upper
    assert inside["clusters"] >= 178
    assert inside["episodes"] < inside["clusters"] - 15


@settings(max_examples=50)
@given(st.integers(0, 10_000), st.floats(-1e6, 1e6))
def test_r2_does_not_mind_where_zero_is(seed, shift):
    o, e, _, cluster = clustered(np.random.default_rng(seed), clusters=5, size=6)
    here = accuracy_by_cluster(o, e, cluster, "r2", "jackknife")
    there = accuracy_by_cluster(o + shift, e + shift, cluster, "r2", "jackknife")
    assert there.value == pytest.approx(here.value, rel=1e-6, abs=1e-6)
    assert there.standard_error == pytest.approx(here.standard_error, rel=1e-4, abs=1e-6)


@pytest.fixture(scope="module")
def hip_primaries():
    records = read_nhs_file(NHS)
    return records[records["procedure_group"] == "HIP_PRIM"]


@pytest.mark.data
@pytest.mark.skipif(not NHS.is_file(), reason="the public NHS files are not here")
@pytest.mark.parametrize(
    ("measure", "n", "raw", "recentred"),
    [("ohs", 38_029, 0.1306, 0.1605), ("eq5d", 35_132, 0.1665, 0.1740)],
)
def test_nhs_englands_prediction_has_its_r2_and_an_interval(
    hip_primaries, measure, n, raw, recentred
):
    """Out of time on 2018/19; recentring, one number for all, must come out as an improvement."""
    names = [f"q2_score_{measure}", f"reference_predicted_{measure}"]
    scores = hip_primaries[names].apply(pd.to_numeric, errors="coerce").dropna()
    o, e = scores.to_numpy().T
    provider = hip_primaries.loc[scores.index, "provider_id"].astype(str)
    centred = e + np.mean(o - e)
    one, two = (accuracy_by_cluster(o, each, provider) for each in (e, centred))
    assert (one.n, one.n_clusters) == (n, 274)
    assert (one.value, two.value) == pytest.approx((raw, recentred), abs=6e-5)
    assert 0.01 < two.upper - two.lower < 0.03
    gain = accuracy_difference(o, centred, e, provider)
    assert gain.value == pytest.approx(recentred - raw, abs=1e-4)
    assert gain.lower > 0


Y = [1.0, 2.0, 3.0, 5.0]


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: mean_by_cluster(Y, ["a"] * 4), "at least 2 clusters"),
        (lambda: mean_by_cluster(Y, ["a", "b", None, "b"]), "label for every row"),
        (lambda: mean_by_cluster(Y, ["a", "b"]), "cluster: wanted a label for each"),
        (lambda: mean_by_cluster([*Y[:3], np.nan]), "finite"),
        (lambda: mean_by_cluster([]), "one number per episode"),
        (lambda: mean_by_cluster(Y, level=95), "level"),
        (lambda: accuracy_by_cluster(Y, Y[:3], [1, 1, 2, 2]), "expected"),
        (lambda: accuracy_by_cluster(Y, Y, [1, 1, 2, 2], "r3"), "figure"),
        (lambda: accuracy_by_cluster(Y, Y, [1, 1, 2, 2], "r2", "boot"), "method"),
        (lambda: accuracy_by_cluster(Y, Y, [1, 1, 2, 2], replicates=10), "replicates"),
        (lambda: accuracy_by_cluster([1, 1, 2, 2], Y, [1, 1, 2, 2]), "defined in every sample"),
        (lambda: accuracy_difference(Y, Y, Y[:2], [1, 1, 2, 2]), "other"),
        (lambda: regress_by_cluster(Y, np.ones(4)), "collinear"),
        (lambda: regress_by_cluster(Y, np.c_[Y, 2 * np.array(Y)]), "collinear"),
        (lambda: regress_by_cluster(Y, np.ones((3, 1))), "X: wanted 4 rows"),
        (lambda: regress_by_cluster(Y[:2], [1.0, 2.0]), "more episodes than"),
        (lambda: pool_estimates([0.7, 1.0], [0.1, 0.1], "logit"), "logit"),
        (lambda: pool_estimates([0.7, 0.8], [0.1, 0.0]), "standard_error"),
        (lambda: pool_estimates([0.7], [0.1]), "at least 2 providers"),
        (lambda: pool_estimates([0.7, 0.8], [0.1, 0.1], "sqrt"), "scale"),
        (lambda: pool_estimates([0.7, 0.8], [0.1, 0.1], method="winsorised"), "method"),
    ],
)
def test_what_has_no_interval_is_refused(call, says):
    with pytest.raises(ArrayError, match=says):
        call()


def test_a_cluster_in_each_group_is_the_jackknife_by_cluster():
    o, _, _, cluster = clustered(np.random.default_rng(3), clusters=12)
    wanted = interval_by_cluster(
        sums_by_cluster({"o": o}, cluster), lambda of: of["o"] / of["n"], "jackknife"
    )
    left = [[o[cluster != one].mean()] for one in range(12)]
    got = jackknife_groups([o.mean()], left)
    assert got.standard_error[0] == pytest.approx(wanted.standard_error)
    assert (got.lower[0], got.upper[0]) == pytest.approx((wanted.lower, wanted.upper))


def test_a_figure_that_cannot_be_had_without_a_group_has_no_interval():
    got = jackknife_groups([1.0, 2.0], [[1.0, np.nan], [2.0, 2.0]])
    assert np.isfinite(got.lower[0])
    assert np.isnan(got.lower[1])


@pytest.mark.parametrize("left", [[[1.0]], [[1.0, 2.0], [1.0, 2.0]], [1.0, 2.0]])
def test_groups_that_cannot_be_left_out_are_refused(left):
    with pytest.raises(ArrayError, match=r"left_out: wanted a row per group|at least 2 clusters"):
        jackknife_groups([1.0], left)
