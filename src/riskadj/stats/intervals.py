"""Intervals for ratios of observed to expected counts, and for proportions."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special, stats
from scipy.optimize import elementwise

from riskadj.errors import ArrayError
from riskadj.stats.arrays import above, at_least, one_of, tail_of

Bounds = tuple[NDArray[np.float64], NDArray[np.float64]]


class Interval(NamedTuple):
    """Lower and upper bounds, arrays of the same shape."""

    lower: NDArray[np.float64]
    upper: NDArray[np.float64]


def ratio_interval(
    observed: ArrayLike, expected: ArrayLike, method: str = "exact", level: float = 0.95
) -> Interval:
    """Return the interval of observed / expected, the observed a Poisson count.

    Parameters
    ----------
    observed : array-like of shape (n_providers,)
        Counts; not negative.
    expected : array-like of shape (n_providers,)
        Expected counts, taken as known; above 0.
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
        When a count is negative or not finite, an expected count is not above 0, the method is
        unknown, or the level is not between 0 and 1.

    Examples
    --------
    >>> one = ratio_interval(10, 8.0)
    >>> float(one.lower.round(4)), float(one.upper.round(4))
    (0.5994, 2.2988)
    """
    count, mean = at_least("observed", observed, 0.0), above("expected", expected, 0.0)
    lower, upper = _COUNT_BOUNDS[one_of("method", method, _COUNT_BOUNDS)](count, tail_of(level))
    return Interval(lower / mean, upper / mean)


def proportion_interval(events: ArrayLike, n: ArrayLike, level: float = 0.95) -> Interval:
    """Return Wilson's score interval of events / n (Wilson 1927, JASA 22:209-212).

    Parameters
    ----------
    events, n : array-like of shape (n_providers,)
        0 <= events <= n, n at least 1.

    Examples
    --------
    >>> one = proportion_interval(65, 100)
    >>> float(one.lower.round(6)), float(one.upper.round(6))
    (0.552544, 0.736358)
    """
    k, size = at_least("events", events, 0.0), at_least("n", n, 1.0)
    if (k > size).any():
        raise ArrayError("events: wanted no more events than episodes, n; got more.")
    z = float(special.ndtri(1 - tail_of(level)))
    p = k / size
    centre = (p + z**2 / (2 * size)) / (1 + z**2 / size)
    half = z / (1 + z**2 / size) * np.sqrt(p * (1 - p) / size + z**2 / (4 * size**2))
    return Interval(np.maximum(centre - half, 0.0), np.minimum(centre + half, 1.0))


def _exact(count: NDArray[np.float64], tail: float) -> Bounds:
    lower = np.where(count > 0, stats.gamma.ppf(tail, np.maximum(count, 1e-300)), 0.0)
    return lower, stats.gamma.isf(tail, count + 1)


def _byar(count: NDArray[np.float64], tail: float) -> Bounds:
    z = float(special.ndtri(1 - tail))
    safe = np.maximum(count, 1e-300)
    lower = safe * np.maximum(1 - 1 / (9 * safe) - z / (3 * np.sqrt(safe)), 0.0) ** 3
    more = count + 1
    upper = more * (1 - 1 / (9 * more) + z / (3 * np.sqrt(more))) ** 3
    return np.where(count > 0, lower, 0.0), upper


def _midp(count: NDArray[np.float64], tail: float) -> Bounds:
    """Solve for the means under which the observed count is just in the tail.

    With P(X < k) = 1 - I(k, m) and P(X <= k) = 1 - I(k + 1, m), I the regularised lower
    incomplete gamma function, the mid-P lower tail is 1 - (I(k, m) + I(k + 1, m)) / 2.
    """
    exact_lower, exact_upper = _exact(count, tail)

    def above(mean: NDArray[np.float64], k: NDArray[np.float64]) -> NDArray[np.float64]:
        at_least = np.where(k > 0, special.gammainc(np.maximum(k, 1e-300), mean), 1.0)
        return (at_least + special.gammainc(k + 1, mean)) / 2

    def solve(goal: float) -> NDArray[np.float64]:
        bracket = (exact_lower * 0.5, exact_upper * 1.5)
        found = elementwise.find_root(lambda mean, k: above(mean, k) - goal, bracket, args=(count,))
        return np.asarray(found.x)

    return np.where(count > 0, solve(tail), 0.0), solve(1 - tail)


_COUNT_BOUNDS: dict[str, Callable[[NDArray[np.float64], float], Bounds]] = {
    "exact": _exact,
    "midp": _midp,
    "byar": _byar,
}
