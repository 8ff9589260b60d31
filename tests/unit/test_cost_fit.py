"""Figures of expected cost: against formulas, brute force, other libraries and known truth."""

import numpy as np
import pytest
from cost_arrays import cost_world
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import mean_absolute_error, r2_score

from riskadj.errors import ArrayError, NoVariationError
from riskadj.stats.accuracy import accuracy
from riskadj.stats.cost_fit import cost_fit, top_coded_share


@pytest.fixture(scope="module")
def world():
    return cost_world()


# --- fit ---


def test_figures_are_those_of_other_libraries(world):
    y, e, w = world["y"], world["expected"], world["weights"]
    got, plain = cost_fit(y, e, w), cost_fit(y, e)
    assert got.r2 == pytest.approx(r2_score(y, e, sample_weight=w), rel=1e-12)
    assert got.mae == pytest.approx(mean_absolute_error(y, e, sample_weight=w), rel=1e-12)
    mean = np.full_like(y, np.average(y, weights=w))
    worst = mean_absolute_error(y, mean, sample_weight=w)
    assert got.cpm == pytest.approx(1 - got.mae / worst, rel=1e-12)
    assert got.total_ratio == pytest.approx((w * y).sum() / (w * e).sum(), rel=1e-12)
    other = accuracy(y, e)
    assert (plain.n, plain.r2) == (other.n, pytest.approx(other.r2, rel=1e-12))
    assert plain.total_ratio == pytest.approx(other.total_ratio, rel=1e-12)


@given(
    st.lists(st.tuples(st.integers(0, 999), st.integers(-99, 999), st.integers(1, 4)), min_size=2)
    .filter(lambda rows: len({one for one, _, _ in rows}) > 1)
)  # fmt: skip
def test_weights_count_like_copies_of_an_episode(rows):
    y, e, w = np.array(rows, dtype=float).T
    times = w.astype(int)
    got, want = cost_fit(y, e, w), cost_fit(np.repeat(y, times), np.repeat(e, times))
    for name in ("r2", "cpm", "mae", "negative_share"):
        assert getattr(got, name) == pytest.approx(getattr(want, name), rel=1e-9, abs=1e-9)


def test_negative_expectations_are_counted_and_a_total_below_0_has_no_ratio():
    assert cost_fit([1, 2, 3, 4], [-1, 2, 0, 4]).negative_share == 0.25
    assert cost_fit([1, 2], [-1, -2], [3, 1]).negative_share == 1
    assert np.isnan(cost_fit([1, 2], [-1, -2]).total_ratio)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        (([1, 1], [1, 2]), NoVariationError, "wanted costs that differ; got 1 throughout"),
        (([1, 2, 3], [1, 2, 3], [0, 1, 0]), NoVariationError, "wanted costs that differ"),
        (([0.1] * 3, [1, 2, 3]), NoVariationError, "wanted costs that differ"),
        (([1, 2], [1]), ArrayError, "expected: wanted shape"),
        (([1, np.nan], [1, 2]), ArrayError, "y: wanted finite"),
        (([], []), ArrayError, "y: wanted one number per episode"),
        (([1, 2], [1, 2], [-1, 2]), ArrayError, "weights: wanted numbers of 0 or more"),
    ],
)
def test_costs_that_say_nothing_are_refused(arguments, error, words):
    with pytest.raises(error, match=words):
        cost_fit(*arguments)


# --- top-coding ---


@given(st.lists(st.integers(0, 10**6), min_size=1).filter(any), st.integers(0, 10**6))
def test_what_is_capped_and_what_is_left_make_all_cost(cost, cap):
    got = top_coded_share(cost, cap)
    left = np.minimum(cost, cap).sum()
    assert got.share_of_cost * np.sum(cost) + left == pytest.approx(np.sum(cost))
    assert got.n_capped == sum(one > cap for one in cost)
    assert top_coded_share(cost, [cap] * len(cost)) == got


@pytest.mark.parametrize(
    ("cost", "cap", "words"),
    [
        ([-1, 2], 1, "y: wanted numbers of 0 or more"),
        ([0, 0], 1, "wanted some cost above 0"),
        ([1, 2], [1, 2, 3], "cap: wanted one number or 2"),
        ([1, 2], -1, "cap: wanted numbers of 0 or more"),
    ],
)
def test_a_cap_that_cannot_be_is_refused(cost, cap, words):
    with pytest.raises(ArrayError, match=words):
        top_coded_share(cost, cap)
