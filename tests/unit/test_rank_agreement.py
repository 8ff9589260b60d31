"""Two orders of the same providers, and how sure their agreement is."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from riskadj.errors import ArrayError
from riskadj.stats.rank_agreement import rank_agreement


def two(seed: int, n: int = 60, ties: bool = False):
    rng = np.random.default_rng(seed)
    a = rng.normal(size=n)
    b = a + rng.normal(size=n)
    return (a.round(), b.round()) if ties else (a, b)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", [1, 2])
def test_both_correlations_are_scipys(seed, ties):
    a, b = two(seed, ties=ties)
    got = rank_agreement(a, b, replicates=50)
    assert got.spearman == pytest.approx(stats.spearmanr(a, b).statistic, abs=1e-12)
    assert got.kendall == pytest.approx(stats.kendalltau(a, b).statistic, abs=1e-12)


def test_a_sample_is_as_scipy_would_have_it():
    a, b = two(3, 12)
    got = rank_agreement(a, b, replicates=50, seed=9)
    draws = np.random.default_rng(9).integers(12, size=(50, 12))
    spearman = [stats.spearmanr(a[one], b[one]).statistic for one in draws]
    kendall = [stats.kendalltau(a[one], b[one]).statistic for one in draws]
    for name, values in {"spearman": spearman, "kendall": kendall}.items():
        ends = np.quantile(values, (0.025, 0.975), method="weibull")
        assert (getattr(got, f"{name}_lower"), getattr(got, f"{name}_upper")) == pytest.approx(
            tuple(ends)
        )


@settings(max_examples=20)
@given(st.integers(0, 1000))
def test_any_rising_change_of_either_side_leaves_all_of_it_alone(seed):
    a, b = two(seed, 20)
    one = rank_agreement(a, b, replicates=50, seed=1)
    assert rank_agreement(np.exp(a), 3 * b - 7, replicates=50, seed=1) == one


def test_intervals_hold_the_truth_about_as_often_as_they_say():
    truth = 6 / np.pi * np.arcsin(0.7 / 2)  # of a bivariate normal with correlation 0.7
    rng = np.random.default_rng(5)
    held = 0
    for turn in range(100):
        x = rng.normal(size=(2, 80))
        got = rank_agreement(x[0], 0.7 * x[0] + np.sqrt(1 - 0.49) * x[1], replicates=200, seed=turn)
        held += got.spearman_lower < truth < got.spearman_upper
    assert 86 <= held <= 100


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        ([1.0, 2.0], [1.0, 2.0], "at least 3 providers"),
        ([1.0, 1.0, 1.0], [1.0, 2.0, 3.0], "that differ"),
        ([1.0, 2.0, np.nan], [1.0, 2.0, 3.0], "first"),
        ([1.0, 2.0, 3.0], [1.0, 2.0], "second"),
    ],
)
def test_what_has_no_order_is_refused(first, second, words):
    with pytest.raises(ArrayError, match=words):
        rank_agreement(first, second)
