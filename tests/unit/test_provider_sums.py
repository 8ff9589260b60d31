"""Sums by provider against exact ones, and what they refuse."""

import math

import numpy as np
import pytest

from riskadj.engine import Local
from riskadj.errors import ArrayError
from riskadj.stats import Values, provider_sums
from riskadj.stats.parts import Part, add_up


def summed(*rows):
    return provider_sums(Local().place([Values(*one) for one in rows]))


@pytest.mark.parametrize("spread", [0.0, 3.0, 8.0])
def test_sums_are_within_rounding_of_exact_ones(spread):
    rng = np.random.default_rng(int(spread))
    code = rng.integers(0, 5, 5000)
    value = rng.normal(size=5000) * np.exp(spread * rng.normal(size=5000))
    found = summed((code, value[None, :]))
    exact = [math.fsum(value[code == one]) for one in range(5)]
    squares = [math.fsum(value[code == one] ** 2) for one in range(5)]
    assert np.array_equal(found.n, np.bincount(code))
    np.testing.assert_array_almost_equal_nulp(found.sums[0], np.array(exact), 1)
    np.testing.assert_array_almost_equal_nulp(found.squares[0], np.array(squares), 1)


def test_what_cancels_is_not_lost():
    tiny = summed((["a"] * 3, [[1e17, 3.0, -1e17]]), (["a"], [[0.25]]))
    assert tiny.sums[0, 0] == 3.25


def test_labels_of_blocks_are_put_together():
    found = summed((["b", "a"], [[1.0, 2.0]]), ([], np.zeros((1, 0))), (["c", "b"], [[4.0, 8.0]]))
    assert (found.providers.tolist(), found.n.tolist()) == (["a", "b", "c"], [1, 2, 1])
    assert found.sums.tolist() == [[2.0, 9.0, 4.0]]


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([(["a"], [[np.nan]])], "^values: wanted finite numbers"),
        ([(["a"], [[1.0]]), (["a"], [[1e121]])], "^block 2: values: wanted numbers within 1e.120"),
        ([(["a"], [1.0])], "^values: wanted a row for each thing"),
        ([(["a", "b"], [[1.0]])], "^provider: wanted one per episode, 1; got 2"),
        ([(["a"], [[1.0]]), (["a"], [[1.0], [2.0]])], "^values: .* as many rows"),
        ([([], np.zeros((1, 0)))], "^values: wanted episodes"),
        ([], "^values: wanted episodes"),
    ],
)
def test_values_that_cannot_be_summed_are_refused(rows, says):
    with pytest.raises(ArrayError, match=says):
        summed(*rows)


def test_sums_of_blocks_keep_the_digits_that_rounding_takes():
    rng = np.random.default_rng(0)
    terms = rng.normal(size=1000) * 10.0 ** rng.integers(-9, 9, 1000)
    parts = [Part((np.array([one]),), (one, np.array([one, -one]))) for one in terms]
    found = add_up(parts, [np.array([1])] * 1000, 3)
    exact = math.fsum(terms)
    assert (found.by_provider[0].tolist(), found.whole[0]) == ([0.0, exact, 0.0], exact)
    assert found.whole[1].tolist() == [exact, -exact]


def test_a_sum_that_is_infinite_stays_so():
    parts = [Part(whole=(np.inf,)), Part(whole=(1.0,))]
    assert add_up(parts, [np.arange(0)] * 2, 0).whole == (np.inf,)
