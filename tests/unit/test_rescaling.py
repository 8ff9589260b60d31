"""Weights of clusters sampled by stratum: the variance is that of the design."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from riskadj.errors import ArrayError
from riskadj.stats.clusters import interval_by_cluster, sums_by_cluster
from riskadj.stats.rescaling import rescaling_weights


@given(st.lists(st.integers(2, 6), min_size=1, max_size=5), st.integers(0, 2**32 - 1))
@settings(max_examples=50)
def test_every_stratum_keeps_its_size_in_steps_of_n_over_n_less_1(sizes, seed):
    stratum = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))
    got = rescaling_weights(stratum, replicates=20, seed=seed)
    assert got.shape == (20, len(stratum))
    for label, n in enumerate(sizes):
        drawn = got[:, stratum == label]
        np.testing.assert_allclose(drawn.sum(axis=1), n, rtol=1e-12)
        steps = drawn * (n - 1) / n
        np.testing.assert_allclose(steps, steps.round(), atol=1e-12)


def test_the_variance_of_a_sum_is_that_of_the_design():
    """sum over strata of n / (n - 1) sum (y - mean)^2; the plain bootstrap has half of it with
    two clusters to a stratum."""
    rng = np.random.default_rng(4)
    stratum, y = np.repeat([0, 1, 2], [2, 2, 5]), rng.normal(10, 3, 9)
    wanted = sum(
        one.size / (one.size - 1) * ((one - one.mean()) ** 2).sum()
        for one in (y[stratum == label] for label in range(3))
    )
    totals = rescaling_weights(stratum, replicates=40_000, seed=1) @ y
    assert totals.var() == pytest.approx(wanted, rel=0.03)
    assert totals.mean() == pytest.approx(y.sum(), rel=0.005)


def test_in_one_stratum_its_errors_are_those_of_the_jackknife():
    rng = np.random.default_rng(6)
    y, cluster = rng.gamma(2, 500, 600), np.arange(600) // 20
    totals = sums_by_cluster({"y": y}, cluster)
    weights = rescaling_weights(np.zeros(30), replicates=20_000, seed=2)
    n, sums = weights @ totals.values[0], weights @ totals.values[1]
    wanted = interval_by_cluster(totals, lambda of: of["y"] / of["n"], "jackknife")
    assert (sums / n).std() == pytest.approx(wanted.standard_error, rel=0.03)


def test_a_stratum_of_one_cluster_is_refused():
    with pytest.raises(ArrayError, match="wanted at least 2 clusters in each; got 1 in 'b'"):
        rescaling_weights(["a", "a", "b"])


def test_the_same_seed_gives_the_same_weights():
    one, two, other = (rescaling_weights([1] * 9, 5, seed) for seed in (1, 1, 2))
    assert (one == two).all()
    assert (one != other).any()
