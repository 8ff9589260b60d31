"""Intervals for ratios of observed to expected counts, and for proportions."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import special, stats
from scipy.optimize import elementwise

from riskadj.errors import ArrayError
from riskadj.stats.arrays import Floats, above, at_least, one_of, tail_of

Bounds = tuple[Floats, Floats]


class Interval(NamedTuple):
    """Lower and upper bounds, arrays of the same shape."""

    lower: Floats
    upper: Floats


def ratio_interval(
    observed: ArrayLike, expected: ArrayLike, method: str = "exact", level: float = 0.95
) -> Interval:
    """Return the interval of observed / expected, the observed a Poisson count.

    Parameters
    ----------
    observed : array-like of shape (n_providers,) or float
        Counts; not negative. Whole numbers, but for `byar`.
    expected : array-like of shape (n_providers,) or float
        Expected counts, taken as known; above 0. One number stands for all providers.
    method : {"exact", "midp", "byar"}
        `exact`: each tail has at most half of 1 - level (Garwood 1936, Biometrika 28:437-442).
        `midp`: half of the probability of the observed count is in each tail, so that coverage
        is closer to the level on average (Cohen and Yang 1994, Stat Med 13:2189-2203).
        `byar`: Byar's approximation (Breslow and Day 1987, IARC 82, equation 2.13).
    level : float
        Between 0 and 1.

    Raises
    ------
    ArrayError
        When a count is negative, not finite or (but for `byar`) not whole, an expected count is
        not above 0, shapes differ, the method is unknown, or the level is not between 0 and 1.

    Examples
    --------
    >>> one = ratio_interval(10, 8.0)
    >>> float(one.lower.round(4)), float(one.upper.round(4))
    (0.5994, 2.2988)
    """
    count, mean = at_least("observed", observed, 0.0), above("expected", expected, 0.0)
    _same_shape("observed", count, "expected", mean)
    if one_of("method", method, _COUNT_BOUNDS) != "byar":
        _whole_counts(count)
    lower, upper = _COUNT_BOUNDS[method](count, tail_of(level))
    return Interval(lower / mean, upper / mean)


def _same_shape(name: str, one: Floats, other_name: str, other: Floats) -> None:
    """Refuse two arrays of different shape; a single number goes with any."""
    if one.ndim and other.ndim and one.shape != other.shape:
        raise ArrayError(
            f"{name}, {other_name}: wanted one shape, or a single number; got {one.shape} and "
            f"{other.shape}."
        )


def _whole_counts(count: Floats) -> None:
    strange = count[count != np.rint(count)]
    if strange.size:
        raise ArrayError(
            f"observed: wanted whole numbers; got {strange[0]:g}. Weighted counts have no exact "
            "distribution: choose method 'byar'."
        )


def proportion_interval(events: ArrayLike, n: ArrayLike, level: float = 0.95) -> Interval:
    """Return Wilson's score interval of events / n (Wilson 1927, JASA 22:209-212).

    Parameters
    ----------
    events, n : array-like of shape (n_providers,) or float
        0 <= events <= n, n at least 1. A single number goes with any shape.

    Raises
    ------
    ArrayError
        When a number is out of its range or shapes differ.

    Examples
    --------
    >>> one = proportion_interval(65, 100)
    >>> float(one.lower.round(6)), float(one.upper.round(6))
    (0.552544, 0.736358)
    """
    k, size = at_least("events", events, 0.0), at_least("n", n, 1.0)
    _same_shape("events", k, "n", size)
    if (k > size).any():
        raise ArrayError("events: wanted no more events than episodes, n; got more.")
    z = float(special.ndtri(1 - tail_of(level)))
    p = k / size
    centre = (p + z**2 / (2 * size)) / (1 + z**2 / size)
    half = z / (1 + z**2 / size) * np.sqrt(p * (1 - p) / size + z**2 / (4 * size**2))
    return Interval(np.maximum(centre - half, 0.0), np.minimum(centre + half, 1.0))


def garwood_bounds(count: Floats, tail: float) -> Bounds:
    """Return the means under which a count is just in either tail (Garwood 1936).

    Quantiles of gamma distributions, which extend to counts that are not whole.
    """
    lower = np.where(count > 0, stats.gamma.ppf(tail, np.maximum(count, 1e-300)), 0.0)
    return lower, stats.gamma.isf(tail, count + 1)


def _byar(count: Floats, tail: float) -> Bounds:
    z = float(special.ndtri(1 - tail))
    safe = np.maximum(count, 1e-300)
    lower = safe * np.maximum(1 - 1 / (9 * safe) - z / (3 * np.sqrt(safe)), 0.0) ** 3
    more = count + 1
    upper = more * (1 - 1 / (9 * more) + z / (3 * np.sqrt(more))) ** 3
    return np.where(count > 0, lower, 0.0), upper


def _midp(count: Floats, tail: float) -> Bounds:
    """Solve for the means under which the observed count is just in the tail.

    With P(X < k) = 1 - I(k, m) and P(X <= k) = 1 - I(k + 1, m), I the regularised lower
    incomplete gamma function, the mid-P lower tail is 1 - (I(k, m) + I(k + 1, m)) / 2.
    """
    exact_lower, exact_upper = garwood_bounds(count, tail)

    def above(mean: Floats, k: Floats) -> Floats:
        at_least = np.where(k > 0, special.gammainc(np.maximum(k, 1e-300), mean), 1.0)
        return np.asarray((at_least + special.gammainc(k + 1, mean)) / 2)

    def solve(goal: float) -> Floats:
        bracket = (exact_lower * 0.5, exact_upper * 1.5)
        found = elementwise.find_root(lambda mean, k: above(mean, k) - goal, bracket, args=(count,))
        return np.asarray(found.x)

    return np.where(count > 0, solve(tail), 0.0), solve(1 - tail)


_COUNT_BOUNDS: dict[str, Callable[[Floats, float], Bounds]] = {
    "exact": garwood_bounds,
    "midp": _midp,
    "byar": _byar,
}
