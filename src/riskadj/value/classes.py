"""What a provider is called when outcome and cost are looked at together.

A class is given when it is sure enough: first a quarter of the plane, both sides at once, then one
side alone. The level is above a half, so that no two quarters can have it.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from riskadj.errors import ArrayError


class ValueClass(NamedTuple):
    """A class of providers.

    Attributes
    ----------
    name : str
    outcome : int
        1 better, -1 worse, 0 not told.
    cost : int
        1 cheaper, -1 dearer, 0 not told.
    """

    name: str
    outcome: int
    cost: int


QUARTERS = (
    ValueClass("better and cheaper", 1, 1),
    ValueClass("better and dearer", 1, -1),
    ValueClass("worse and cheaper", -1, 1),
    ValueClass("worse and dearer", -1, -1),
)
"""In the order of the four probabilities."""
SIDES = (
    ValueClass("better, cost unclear", 1, 0),
    ValueClass("worse, cost unclear", -1, 0),
    ValueClass("cheaper, outcome unclear", 0, 1),
    ValueClass("dearer, outcome unclear", 0, -1),
)
NOT_TOLD_APART = ValueClass("not told apart", 0, 0)
CLASSES = (*QUARTERS, *SIDES, NOT_TOLD_APART)
"""Every class of a provider that is compared."""
NOT_COMPARED = "not compared"
"""Of a provider with too few episodes, too low a response, or no peers."""


def chances_of_sides(quarters: ArrayLike) -> NDArray[np.float64]:
    """Return the chance of each of `SIDES`, from those of the quarters.

    Parameters
    ----------
    quarters : array-like of shape (n_providers, 4)

    Returns
    -------
    ndarray of shape (n_providers, 4)

    Examples
    --------
    >>> chances_of_sides([[0.6, 0.3, 0.1, 0.0]]).round(2).tolist()
    [[0.9, 0.1, 0.7, 0.3]]
    """
    p = np.asarray(quarters, dtype=float)
    inside = [[_holds(side, one) for side in SIDES] for one in QUARTERS]
    return np.asarray(p @ np.array(inside, dtype=float))


def _holds(side: ValueClass, quarter: ValueClass) -> bool:
    return side.outcome == quarter.outcome or side.cost == quarter.cost


def classify(quarters: ArrayLike, level: float = 0.95) -> NDArray[np.object_]:
    """Return the class of each provider.

    Parameters
    ----------
    quarters : array-like of shape (n_providers, 4)
        Chances of the quarters, in the order of `QUARTERS`; NaN: not compared.
    level : float
        From which chance on it is given; above 0.5 and under 1.

    Raises
    ------
    ArrayError

    Examples
    --------
    >>> classify([[0.96, 0.02, 0.01, 0.01], [0.6, 0.37, 0.02, 0.01], [0.4, 0.2, 0.2, 0.2]]).tolist()
    ['better and cheaper', 'better, cost unclear', 'not told apart']
    """
    p = np.asarray(quarters, dtype=float)
    if p.ndim != 2 or p.shape[1] != len(QUARTERS):
        raise ArrayError(f"quarters: wanted four chances per provider; got shape {p.shape}.")
    if not 0.5 < level < 1:
        raise ArrayError(f"level: wanted a number above 0.5 and under 1; got {level:g}.")
    given = np.where(np.isnan(p).any(axis=1), NOT_COMPARED, NOT_TOLD_APART.name).astype(object)
    for classes, chances in ((SIDES, chances_of_sides(p)), (QUARTERS, p)):
        surest = np.nan_to_num(chances).argmax(axis=1)
        sure = np.nan_to_num(chances).max(axis=1) >= level
        given[sure] = np.array([one.name for one in classes], dtype=object)[surest[sure]]
    return given
