"""From normal variables that nobody sees to the flags, grades and answers that are written down."""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri

Floats: TypeAlias = NDArray[np.float64]

SQRT_TWO_PI = float(np.sqrt(2 * np.pi))


def mix(noise: Floats, *drivers: tuple[float, Floats]) -> Floats:
    """Return a standard normal variable that loads on others.

    Parameters
    ----------
    noise : ndarray
        Standard normal, independent of the drivers; fills up the variance to 1.
    *drivers : tuple of (float, ndarray)
        A loading, and a standard normal variable; drivers are taken to be uncorrelated.
    """
    explained = sum(loading**2 for loading, _ in drivers)
    total: Floats = np.sqrt(1 - explained) * noise
    for loading, driver in drivers:
        total = total + loading * driver
    return total


def cut_points(shares: ArrayLike) -> Floats:
    """Return where to cut a standard normal variable so that each code has its share.

    The shares of codes run along the last axis and are scaled to add up to 1.

    Examples
    --------
    >>> cut_points([0.5, 0.5])
    array([0.])
    """
    table = np.asarray(shares, dtype=float)
    cumulated = np.cumsum(table, axis=-1) / table.sum(axis=-1, keepdims=True)
    return np.asarray(ndtri(cumulated[..., :-1]))


def grade(latent: Floats, shares: Sequence[float], lowest: int = 1) -> Floats:
    """Return codes, the lowest for the lowest latent values, each with its share.

    Examples
    --------
    >>> grade(np.array([-2.0, 0.1, 2.0]), [0.3, 0.4, 0.3])
    array([1., 2., 3.])
    """
    return lowest + np.searchsorted(cut_points(shares), latent).astype(float)


def flag(latent: Floats, share: float) -> Floats:
    """Return 1 for the highest latent values, up to the share, and 0 for the others.

    Examples
    --------
    >>> flag(np.array([-2.0, 0.1, 2.0]), share=0.2)
    array([0., 0., 1.])
    """
    return np.asarray(latent > ndtri(1 - share), dtype=float)


def expected_sum(centre: Floats, spread: float, cuts: Floats) -> Floats:
    """Return the mean of a sum of items, each counting the cuts that its latent variable passes.

    Parameters
    ----------
    centre : ndarray of shape (n,)
        Mean of every item's latent variable.
    spread : float
        Its standard deviation.
    cuts : ndarray of shape (n_items, n_cuts)
        Cut points.
    """
    total = np.zeros(len(centre))
    for cut in cuts.ravel():
        total += ndtr((centre - cut) / spread)
    return total


def density(values: Floats) -> Floats:
    """Return the standard normal density."""
    return np.exp(-(values**2) / 2) / SQRT_TWO_PI
