"""Intervals of ratios and proportions, against published values and their own definitions."""

import numpy as np
import pytest
from scipy.stats import poisson

from riskadj.errors import ArrayError
from riskadj.stats import proportion_interval, ratio_interval

COUNTS = np.array([0, 1, 2, 8, 65, 1045])


@pytest.mark.parametrize(
    ("count", "level", "lower", "upper"),
    [
        (65, 0.95, 50.163188, 82.849139),
        (65, 0.998, 42.880261, 94.000291),
        (1045, 0.95, 982.593202, 1110.331213),
        (10, 0.998, 2.916318, 24.193725),
    ],
)
def test_byar_is_that_of_phe_indicator_methods(count, level, lower, upper):
    """PHEindicatormethods (UKHSA), test data for Byar's method."""
    got = ratio_interval(count, 1.0, method="byar", level=level)
    assert got.lower == pytest.approx(lower, abs=1e-6)
    assert got.upper == pytest.approx(upper, abs=1e-6)


@pytest.mark.parametrize(
    ("events", "n", "lower", "upper"),
    [(65, 100, 0.552544, 0.736358), (1045, 5000, 0.197955, 0.220491)],
)
def test_wilson_is_that_of_phe_indicator_methods(events, n, lower, upper):
    got = proportion_interval(events, n)
    assert got.lower == pytest.approx(lower, abs=1e-6)
    assert got.upper == pytest.approx(upper, abs=1e-6)


@pytest.mark.parametrize("level", [0.9, 0.95, 0.998])
def test_exact_bounds_leave_half_of_the_rest_in_each_tail(level):
    lower, upper = ratio_interval(COUNTS, 1.0, level=level)
    np.testing.assert_allclose(poisson.cdf(COUNTS, upper), (1 - level) / 2, rtol=1e-9)
    np.testing.assert_allclose(poisson.sf(COUNTS[1:] - 1, lower[1:]), (1 - level) / 2, rtol=1e-9)
    assert lower[0] == 0


@pytest.mark.parametrize("level", [0.9, 0.95, 0.998])
def test_midp_bounds_split_the_observed_count(level):
    lower, upper = ratio_interval(COUNTS, 1.0, method="midp", level=level)
    half = poisson.pmf(COUNTS, upper) / 2
    np.testing.assert_allclose(poisson.cdf(COUNTS - 1, upper) + half, (1 - level) / 2, rtol=1e-7)
    half = poisson.pmf(COUNTS, lower) / 2
    tail = (poisson.sf(COUNTS, lower) + half)[1:]
    np.testing.assert_allclose(tail, (1 - level) / 2, rtol=1e-7)


@pytest.mark.parametrize("method", ["exact", "midp", "byar"])
def test_the_ratio_scales_with_the_expected_count_and_is_inside(method):
    one, four = ratio_interval(COUNTS, 1.0, method), ratio_interval(COUNTS, 4.0, method)
    np.testing.assert_allclose(one.lower, 4 * four.lower)
    np.testing.assert_allclose(one.upper, 4 * four.upper)
    assert (one.lower <= COUNTS).all()
    assert (one.upper > COUNTS).all()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((-1, 1.0), "observed"),
        ((np.nan, 1.0), "observed"),
        ((1, 0.0), "expected"),
        ((1, np.inf), "expected"),
        ((1, 1.0, "wald"), "method"),
        ((1, 1.0, "exact", 1.0), "level"),
        (([1, 2], [2.0]), r"observed, expected: wanted one shape.* got \(2,\) and \(1,\)"),
        (([1], [2.0, 3.0]), "observed, expected: wanted one shape"),
        (([1, 2], [[2.0], [3.0]]), "observed, expected: wanted one shape"),
        ((1.5, 2.0), "observed: wanted whole numbers; got 1.5. .* 'byar'"),
        (([1, 2.25], [2.0, 2.0], "midp"), "observed: wanted whole numbers; got 2.25"),
    ],
)
def test_what_has_no_interval_is_refused(arguments, says):
    with pytest.raises(ValueError, match=says):
        ratio_interval(*arguments)


@pytest.mark.parametrize("method", ["exact", "midp", "byar"])
def test_a_single_number_goes_with_any_shape(method):
    one, all_alike = (ratio_interval(COUNTS, each, method) for each in (2.0, np.full(6, 2.0)))
    np.testing.assert_array_equal(one, all_alike)
    assert ratio_interval(3, [1.0, 2.0], method).lower.shape == (2,)
    assert ratio_interval(3, 2.0, method).lower.shape == ()


def test_byar_takes_counts_that_are_not_whole():
    """Between those of the whole numbers beside it."""
    at = [ratio_interval(one, 1.0, "byar") for one in (1, 1.5, 2)]
    assert at[0].lower < at[1].lower < at[2].lower
    assert at[0].upper < at[1].upper < at[2].upper


@pytest.mark.parametrize(("events", "n"), [([1, 2], [4]), ([1], [4, 5])])
def test_proportions_of_unequal_length_are_refused(events, n):
    with pytest.raises(ArrayError, match="events, n: wanted one shape"):
        proportion_interval(events, n)
    assert proportion_interval([1, 2], 4).lower.shape == (2,)


def test_a_proportion_is_of_something():
    with pytest.raises(ValueError, match="events"):
        proportion_interval(3, 2)
