"""What a group of patients is to the providers that treat it: apart from them, and among them.

What is expected of a group may be off because nobody foresees how it fares, or because it is
treated by providers that are better or worse than others. The figures here tell the two apart, and
say where the group is treated. Intervals draw providers, as in `clusters`.
"""

import numpy as np
from numpy.typing import ArrayLike

from riskadj.errors import ArrayError
from riskadj.stats.arrays import Floats, a_mask, a_row
from riskadj.stats.clusters import Estimate, Totals, interval_by_cluster, sums_by_cluster
from riskadj.stats.groups import group_rows


def difference_within(
    values: ArrayLike,
    member: ArrayLike,
    cluster: ArrayLike,
    method: str = "jackknife",
    *,
    replicates: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> Estimate:
    """Return how far the mean of a group is from that of others of the same provider.

    What providers differ in is out of it. Providers with members only, or with none, say nothing.

    Parameters
    ----------
    values : array-like of shape (n_episodes,)
        Such as expected - observed.
    member : array-like of bool, shape (n_episodes,)
        Who is in the group.
    cluster : array-like of shape (n_episodes,)
        Providers.
    method, replicates, seed, level
        As in `interval_by_cluster`.

    Raises
    ------
    ArrayError
        When fewer than 2 providers have both members and others.

    Notes
    -----
    The coefficient of membership in least squares with an intercept per provider: with m the
    share of members at a provider, the sum of (member - m) value over the sum of n m (1 - m).

    Examples
    --------
    >>> values, member = [1.0, 3.0, 10.0, 12.0], [False, True, False, True]
    >>> difference_within(values, member, list("aabb")).value
    2.0
    """
    v = a_row("values", values, "episode")
    inside = a_mask("member", member, v.shape).astype(np.float64)
    groups = group_rows(cluster, "cluster")
    share = groups.mean(inside)[groups.codes]
    both = (share > 0) & (share < 1)
    if np.unique(groups.codes[both]).size < 2:
        raise ArrayError(
            "member: wanted 2 or more providers with members of the group and others; got fewer. "
            "Choose a group that is not all of a provider."
        )
    away = (inside - share)[both]
    columns = {"moved": away * v[both], "spread": away**2}
    sums = sums_by_cluster(columns, groups.codes[both])
    return interval_by_cluster(
        sums, lambda of: of["moved"] / of["spread"], method,
        replicates=replicates, seed=seed, level=level,
    )  # fmt: skip


def share_against_all(
    event: ArrayLike,
    member: ArrayLike,
    cluster: ArrayLike,
    method: str = "jackknife",
    *,
    replicates: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> Estimate:
    """Return how much more often something holds of a group's episodes than of everybody's.

    Parameters
    ----------
    event : array-like of bool, shape (n_episodes,)
        Such as whether the episode's provider is flagged.
    member : array-like of bool, shape (n_episodes,)
        Who is in the group.
    cluster : array-like of shape (n_episodes,)
        Providers; all are drawn, those without members too.
    method, replicates, seed, level
        As in `interval_by_cluster`.

    Raises
    ------
    ArrayError
        When the group is empty, or all of it is with one provider.

    Examples
    --------
    >>> at_worse, member = [1, 1, 0, 0, 0, 0], [1, 1, 1, 0, 0, 0]
    >>> round(share_against_all(at_worse, member, list("aabbcc")).value, 3)
    0.333
    """
    inside = a_mask("member", member, np.shape(member))
    happened = a_mask("event", event, inside.shape)
    if not inside.any():
        raise ArrayError("member: wanted somebody in the group; got none.")
    columns: dict[str, Floats] = {
        "all": happened.astype(np.float64),
        "mine": (happened & inside).astype(np.float64),
        "members": inside.astype(np.float64),
    }
    sums = sums_by_cluster(columns, cluster)
    return interval_by_cluster(
        sums, _against_all, method, replicates=replicates, seed=seed, level=level
    )


def _against_all(of: Totals) -> Floats:
    return of["mine"] / of["members"] - of["all"] / of["n"]
