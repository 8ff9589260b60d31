"""Whether expectations are right on average, wherever they are high or low."""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def calibration_line(observed: ArrayLike, expected: ArrayLike) -> tuple[float, float]:
    """Return intercept and slope of the least-squares line of observed on expected.

    Perfect calibration is (0, 1); a slope below 1 says that expectations are too extreme
    (Cox 1958, Biometrika 45:562-565).

    Parameters
    ----------
    observed, expected : array-like of shape (n_episodes,)

    Returns
    -------
    intercept, slope : float
        NaN slope when the expectation is the same for all.

    Examples
    --------
    >>> calibration_line([1.0, 3.0, 5.0], [0.0, 1.0, 2.0])
    (1.0, 2.0)
    """
    o, e = np.asarray(observed, dtype=float), np.asarray(expected, dtype=float)
    centred = e - e.mean()
    spread = float(centred @ centred)
    if spread == 0.0:
        return float(o.mean()), float("nan")
    slope = float(centred @ (o - o.mean())) / spread
    return float(o.mean()) - slope * float(e.mean()), slope


def groups_by_rank(values: ArrayLike, groups: int = 10) -> NDArray[np.intp]:
    """Return the group, 1 to `groups`, of each value when all are ranked into equal shares.

    Ties keep their order, so shares differ by one at most.

    Parameters
    ----------
    values : array-like of shape (n_episodes,)
    groups : int

    Examples
    --------
    >>> groups_by_rank([5.0, 1.0, 3.0, 2.0], groups=2)
    array([2, 1, 2, 1])
    """
    v = np.asarray(values, dtype=float)
    rank = np.empty(v.size, dtype=np.intp)
    rank[np.argsort(v, kind="stable")] = np.arange(v.size)
    return rank * groups // max(v.size, 1) + 1
