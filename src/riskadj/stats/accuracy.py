"""How close expectations are to what was observed."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from riskadj.stats.arrays import a_row, finite


@dataclass(frozen=True)
class Accuracy:
    """Figures of closeness, in the unit of the score where they have one.

    Attributes
    ----------
    n : int
    r2 : float
        1 - sum (O - E)^2 / sum (O - mean O)^2; at most 1, negative when worse than the mean.
    mae, rmse : float
        Mean absolute, and root mean squared, of O - E.
    bias : float
        Mean of O - E.
    total_ratio : float
        Sum of O over sum of E; NaN when the latter is 0.
    """

    n: int
    r2: float
    mae: float
    rmse: float
    bias: float
    total_ratio: float


def accuracy(observed: ArrayLike, expected: ArrayLike) -> Accuracy:
    """Compare observed values with expected ones.

    Parameters
    ----------
    observed, expected : array-like of shape (n_episodes,)

    Raises
    ------
    ArrayError
        When the shapes differ, a value is missing or there is nothing to compare.

    Examples
    --------
    >>> accuracy([1.0, 2.0, 3.0], [1.0, 2.0, 4.0]).r2
    0.5
    """
    o = a_row("observed", observed, "episode")
    e = finite("expected", expected, o.shape)
    residual = o - e
    spread = float(np.sum((o - o.mean()) ** 2))
    squared = float(np.sum(residual**2))
    total = float(e.sum())
    return Accuracy(
        n=o.size,
        r2=1.0 - squared / spread if spread else float("nan"),
        mae=float(np.abs(residual).mean()),
        rmse=float(np.sqrt(squared / o.size)),
        bias=float(residual.mean()),
        total_ratio=float(o.sum()) / total if total else float("nan"),
    )
