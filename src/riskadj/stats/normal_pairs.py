"""Where a normal pair is likely to be: its region, and the chance of a quarter."""

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from riskadj.stats.arrays import Floats, finite, tail_of

_NEARLY_ONE = 1 - 1e-12


def ellipse(
    centre: ArrayLike, covariance: ArrayLike, level: float = 0.95, corners: int = 72
) -> Floats:
    r"""Return the edge of the region that holds a normal pair with probability `level`.

    Parameters
    ----------
    centre : array-like of shape (2,)
    covariance : array-like of shape (2, 2)
    level : float
    corners : int

    Returns
    -------
    ndarray of shape (corners, 2)

    Notes
    -----
    The points x with :math:`(x - c)' C^{-1} (x - c) = -2 \log(1 - level)`, the quantile of
    chi-squared with two degrees of freedom.

    Examples
    --------
    >>> edge = ellipse([0.0, 0.0], [[4.0, 0.0], [0.0, 1.0]])
    >>> edge.max(axis=0).round(3).tolist()
    [4.895, 2.448]
    """
    middle, spread = finite("centre", centre, (2,)), finite("covariance", covariance, (2, 2))
    angle = np.linspace(0, 2 * np.pi, corners, endpoint=False)
    values, axes = np.linalg.eigh(spread)
    root = (axes * np.sqrt(np.clip(values, 0.0, None))) @ axes.T
    return np.asarray(middle + region_radius(level) * np.c_[np.cos(angle), np.sin(angle)] @ root)


def region_radius(level: float = 0.95) -> float:
    """Return how many standard deviations from its centre a region of normal pairs ends.

    Examples
    --------
    >>> round(region_radius(0.95), 4)
    2.4477
    """
    return float(np.sqrt(-2 * np.log(2 * tail_of(level))))


def quarter_chance(first: ArrayLike, second: ArrayLike, correlation: ArrayLike) -> Floats:
    """Return P(X < first, Y < second) of a standard normal pair.

    Parameters
    ----------
    first, second, correlation : array-like
        Of one shape; correlations from -1 to 1.

    Notes
    -----
    By Owen's T function (Owen 1956, Ann Math Stat 27:1075-1090).

    Examples
    --------
    >>> quarter_chance([0.0, 0.0], [0.0, 0.0], [0.0, 0.5]).round(4).tolist()
    [0.25, 0.3333]
    """
    h, k = (np.where(np.asarray(one) == 0, 1e-300, one) for one in (first, second))
    r = np.clip(correlation, -_NEARLY_ONE, _NEARLY_ONE)
    root = np.sqrt(1 - r**2)
    with np.errstate(over="ignore"):
        of_h, of_k = (k / h - r) / root, (h / k - r) / root
    half = (special.ndtr(h) + special.ndtr(k) - ((h < 0) != (k < 0))) / 2
    chance: Floats = half - special.owens_t(h, of_h) - special.owens_t(k, of_k)
    return np.clip(chance, 0.0, 1.0)
