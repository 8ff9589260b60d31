"""Intervals over worlds that stay where a figure can be.

A world is what is drawn, so that all of a world's providers count as one draw. Student's t with one
degree of freedom less than there are worlds keeps intervals wide where worlds are few.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from scipy import special, stats

from riskadj.errors import ArrayError
from riskadj.stats.arrays import Floats
from riskadj.stats.clusters import ClusterSums, Figure, Totals, interval_by_cluster

LEVEL = 0.95
_TAIL = (1 - LEVEL) / 2


class Bounds(NamedTuple):
    """A 95 % interval; NaN where there is none.

    Attributes
    ----------
    lower, upper : float
    """

    lower: float
    upper: float


class Scale(NamedTuple):
    """A scale without ends, on which an interval is made, and the way back."""

    there: Callable[[Floats], Floats]
    back: Callable[[float], float]


NONE = Bounds(float("nan"), float("nan"))
SHARE = Scale(special.logit, special.expit)
AMOUNT = Scale(np.log, np.exp)
AT_MOST_1 = Scale(lambda one: -np.log(1 - one), lambda one: 1 - np.exp(-one))
DIFFERENCE_OF_SHARES = Scale(np.arctanh, np.tanh)
ANY = Scale(lambda one: one, lambda one: one)
SCALES: Mapping[str, Scale] = MappingProxyType(
    dict.fromkeys(
        ("right", "paid", "misallocated", "misallocated_of_right", "misallocated_per_episode"),
        AMOUNT,
    )
    | dict.fromkeys(("misallocated_share", "misallocated_too_few", "squared_correlation"), SHARE)
    | {"follows_truth": AT_MOST_1}
)
"""By figure that is no share of provider-years."""


def on_scale(sums: ClusterSums, figure: Figure, scale: Scale) -> Bounds:
    """Return the interval of a figure, made on a scale and taken back.

    Student's t about the figure on the scale, with the standard error from leaving out one world
    at a time (Efron and Stein 1981, Ann Stat 9:586-596). NaN with one world, and where the figure
    is at an end of its scale in all worlds or without one of them.

    Parameters
    ----------
    sums : ClusterSums
        By world.
    figure : callable
        Of sums.
    scale : Scale

    Examples
    --------
    >>> from riskadj.stats.clusters import sums_by_cluster
    >>> sums = sums_by_cluster({"off": [1.0, 3.0], "all": [20.0, 20.0]}, ["a", "b"])
    >>> bounds = on_scale(sums, lambda of: of["off"] / of["all"], SHARE)
    >>> 0 < bounds.lower < 0.1 < bounds.upper < 1
    True
    """
    if sums.values.shape[1] < 2:
        return NONE

    def moved(of: Totals) -> Floats:
        with np.errstate(divide="ignore", invalid="ignore"):
            return scale.there(figure(of))

    try:
        found = interval_by_cluster(sums, moved, "jackknife", level=LEVEL)
    except ArrayError:  # at an end, or not defined without one of the worlds
        return NONE
    with np.errstate(over="ignore"):
        return Bounds(float(scale.back(found.lower)), float(scale.back(found.upper)))


def of_count(sums: ClusterSums, name: str, among: str) -> Bounds:
    """Return the interval of a share of provider-years.

    Clopper and Pearson's with the number of provider-years that, drawn one by one, would know as
    much: p (1 - p) over the variance between worlds, brought down for few worlds by the square of
    the ratio of Student's quantiles (Korn and Graubard 1998, Surv Methodol 24:193-201). So it ends
    within 0 and 1, and has a width where nobody or everybody is counted. NaN with one world.

    Parameters
    ----------
    sums : ClusterSums
        By world.
    name, among : str
        Columns: counted, and of how many.

    Examples
    --------
    >>> from riskadj.stats.clusters import sums_by_cluster
    >>> sums = sums_by_cluster({"wrong": [0.0, 0.0, 0.0]}, ["a", "b", "c"])
    >>> bounds = of_count(sums, "wrong", "n")
    >>> bounds.lower, 0.5 < bounds.upper < 1
    (0.0, True)
    """
    worlds, totals = sums.values.shape[1], sums.named(sums.values.sum(axis=1))
    counted, n = float(totals[name]), float(totals[among])
    if worlds < 2 or not n > 0:
        return NONE
    alone = _alone(sums, name, among)
    wide = stats.t.isf(_TAIL, n - 1) if n > 1 else np.inf
    as_good_as = alone * min(wide / stats.t.isf(_TAIL, worlds - 1), 1.0) ** 2
    x = counted / n * as_good_as
    lower = stats.beta.ppf(_TAIL, x, as_good_as - x + 1) if x > 0 else 0.0
    upper = stats.beta.isf(_TAIL, x + 1, as_good_as - x) if x < as_good_as else 1.0
    return Bounds(float(lower), float(upper))


def _alone(sums: ClusterSums, name: str, among: str) -> float:
    """Return of how many provider-years drawn one by one a share would be as sure, n at most."""
    of = sums.named(sums.values)
    counted, n = of[name], of[among]
    share, worlds = counted.sum() / n.sum(), len(n)
    rest = counted - share * n
    variance = worlds / (worlds - 1) * float((rest**2).sum()) / n.sum() ** 2
    if not variance > 0:
        return float(n.sum())
    return min(float(share * (1 - share) / variance), float(n.sum()))
