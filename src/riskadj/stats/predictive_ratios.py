"""Whether groups of patients, and equal shares of them, are paid what they cost.

Predictive ratio and net compensation, with intervals that draw providers, as in `clusters`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from riskadj.errors import ArrayError
from riskadj.stats.arrays import Floats, a_mask, whole
from riskadj.stats.calibration import groups_by_rank
from riskadj.stats.clusters import Estimate, Figure, interval_by_cluster, sums_by_cluster
from riskadj.stats.cost_fit import checked_costs
from riskadj.stats.groups import group_rows
from riskadj.stats.sandwich import clusters_of, robust_sum, student


@dataclass(frozen=True)
class PredictiveRatios:
    """Expected over observed cost in equal shares by rank of the expectation, cheapest first.

    Attributes
    ----------
    n : ndarray of shape (n_groups,)
        Episodes.
    observed, expected : ndarray of shape (n_groups,)
        Mean cost.
    ratio, lower, upper : ndarray of shape (n_groups,)
        NaN where nothing was spent.
    level : float
    """

    n: NDArray[np.intp]
    observed: Floats
    expected: Floats
    ratio: Floats
    lower: Floats
    upper: Floats
    level: float


def predictive_ratio(
    y: ArrayLike,
    expected: ArrayLike,
    member: ArrayLike,
    cluster: ArrayLike,
    weights: ArrayLike | None = None,
    method: str = "bca",
    *,
    replicates: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> Estimate:
    """Return expected over observed cost of a group: below 1, the group is paid too little.

    Providers who have no member of the group say nothing about it and are not drawn.

    Parameters
    ----------
    y, expected : array-like of shape (n_episodes,)
        Observed and expected cost.
    member : array-like of bool, shape (n_episodes,)
        Who is in the group.
    cluster : array-like of shape (n_episodes,)
        Providers.
    weights : array-like of shape (n_episodes,), optional
        Not negative.
    method, replicates, seed, level
        As in `interval_by_cluster`.

    Raises
    ------
    ArrayError
        When the group is empty, cost nothing, or is with fewer than 2 providers.

    Examples
    --------
    >>> cost, pays = [100.0, 100.0, 300.0, 300.0], [150.0, 150.0, 200.0, 200.0]
    >>> dear = [False, False, True, True]
    >>> round(predictive_ratio(cost, pays, dear, list("aabc"), method="jackknife").value, 4)
    0.6667
    """
    columns, providers = _of_group(y, expected, member, cluster, weights)
    if not columns["wy"].sum() > 0:
        raise ArrayError(
            "y: wanted a group that cost something; got one whose costs sum to "
            f"{columns['wy'].sum():g}. Ask for its net compensation."
        )
    return interval_by_cluster(
        sums_by_cluster(columns, providers), _ratio, method,
        replicates=replicates, seed=seed, level=level,
    )  # fmt: skip


def net_compensation(
    y: ArrayLike,
    expected: ArrayLike,
    member: ArrayLike,
    cluster: ArrayLike,
    weights: ArrayLike | None = None,
    method: str = "bca",
    *,
    replicates: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> Estimate:
    """Return the mean of expected minus observed cost in a group: below 0, it is paid too little.

    Parameters
    ----------
    y, expected, member, cluster, weights, method, replicates, seed, level
        As in `predictive_ratio`.

    Raises
    ------
    ArrayError
        When the group is empty or with fewer than 2 providers.

    Examples
    --------
    >>> cost, pays = [100.0, 100.0, 300.0, 300.0], [150.0, 150.0, 200.0, 200.0]
    >>> dear = [False, False, True, True]
    >>> net_compensation(cost, pays, dear, list("aabc"), method="jackknife").value
    -100.0
    """
    columns, providers = _of_group(y, expected, member, cluster, weights)
    return interval_by_cluster(
        sums_by_cluster(columns, providers), _net, method,
        replicates=replicates, seed=seed, level=level,
    )  # fmt: skip


def predictive_ratios_by_tenth(
    y: ArrayLike,
    expected: ArrayLike,
    cluster: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    *,
    groups: int = 10,
    level: float = 0.95,
) -> PredictiveRatios:
    """Return predictive ratios in equal shares by rank of the expectation.

    Parameters
    ----------
    y, expected : array-like of shape (n_episodes,)
        Observed and expected cost.
    cluster : array-like of shape (n_episodes,), optional
        Providers; without them each episode counts as one.
    weights : array-like of shape (n_episodes,), optional
        Not negative. They count in sums; shares are of episodes.
    groups : int
        How many shares; ties keep the order of the episodes.
    level : float

    Raises
    ------
    ArrayError
        When a share has no weight, or is with fewer than 2 clusters.

    Notes
    -----
    Standard error of the ratio R = sum E / sum O by linearisation: that of the sum of E - R O, over
    sum O, robust by cluster; Student's t.

    Examples
    --------
    >>> got = predictive_ratios_by_tenth([1.0, 3.0, 4.0, 6.0], [2.0, 1.0, 5.0, 5.5], groups=2)
    >>> got.ratio.tolist()
    [0.75, 1.05]
    """
    o, e, w = checked_costs(y, expected, weights)
    whole("groups", groups, 1)
    by = group_rows(groups_by_rank(e, groups))
    at = clusters_of(cluster, o.size).codes
    cuts = by.starts[1:]
    parts = zip(*(np.split(by.sort(one), cuts) for one in (o, e, w, at)), strict=True)
    rows = np.array([_share(o, e, w, at, level) for o, e, w, at in parts])
    spent, expects, ratio, lower, upper = rows.T
    return PredictiveRatios(by.sizes, spent, expects, ratio, lower, upper, level)


def _of_group(
    y: ArrayLike,
    expected: ArrayLike,
    member: ArrayLike,
    cluster: ArrayLike,
    weights: ArrayLike | None,
) -> tuple[dict[str, Floats], NDArray[np.intp]]:
    """Return the columns whose sums a group's figures need, and the provider of each row."""
    o, e, w = checked_costs(y, expected, weights)
    inside = a_mask("member", member, o.shape)
    if not w[inside].sum() > 0:
        raise ArrayError("member: wanted somebody, with a weight above 0, in the group; got none.")
    providers = clusters_of(cluster, o.size).codes[inside]
    columns = {"wy": (w * o)[inside], "we": (w * e)[inside], "w": w[inside]}
    return columns, providers


_ratio: Figure = lambda of: of["we"] / of["wy"]  # noqa: E731
_net: Figure = lambda of: (of["we"] - of["wy"]) / of["w"]  # noqa: E731


def _share(o: Floats, e: Floats, w: Floats, at: NDArray[np.intp], level: float) -> list[float]:
    """Return mean cost, mean expectation, and their ratio with its ends, in one share."""
    clusters = clusters_of(at, o.size)
    size, spent = w.sum(), float(w @ o)
    if not size > 0:
        raise ArrayError("weights: wanted some above 0 in each share; got one without.")
    if spent <= 0:
        return [spent / size, float(w @ e) / size, np.nan, np.nan, np.nan]
    ratio = float(w @ e) / spent
    error = float(np.sqrt(robust_sum(clusters, (w * (e - ratio * o))[None])[0, 0])) / spent
    found = student(ratio, error, level, o.size, len(clusters))
    return [spent / size, float(w @ e) / size, ratio, found.lower, found.upper]
