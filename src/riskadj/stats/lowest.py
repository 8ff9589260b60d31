"""The smallest of several draws: what is expected of it, from everybody's distribution."""

import numpy as np
from numpy.typing import ArrayLike

from riskadj.stats.arrays import a_row, whole


def expected_lowest(values: ArrayLike, n: int) -> float:
    """Return the expected smallest of n values drawn with replacement.

    Parameters
    ----------
    values : array-like of shape (n_episodes,)
        Everybody's.
    n : int
        1 or more.

    Raises
    ------
    ArrayError

    Notes
    -----
    Of N values in order the k-th is the smallest of n draws with probability
    ((N - k + 1) / N)^n - ((N - k) / N)^n, k from 1: all draws are at it or above, and not all
    above it.

    Examples
    --------
    >>> expected_lowest([0.0, 4.0], 1), expected_lowest([0.0, 4.0], 2)
    (2.0, 1.0)
    """
    ordered = np.sort(a_row("values", values, "episode"))
    whole("n", n, 1)
    above = (np.arange(ordered.size, -1, -1) / ordered.size) ** n
    return float(-np.diff(above) @ ordered)
