"""How much better the best of several contracts and learners is, in the same worlds."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pandas as pd

from riskadj.stats.arrays import Floats
from riskadj.stats.clusters import ClusterSums, Totals, sums_by_cluster
from riskadj.trial.intervals import ANY, DIFFERENCE_OF_SHARES, Bounds, on_scale
from riskadj.trial.measures import FIGURES
from riskadj.trial.variants import Variant

COMPARED = (
    "misallocated_share", "misallocated_too_few", "follows_truth", "squared_correlation",
    "wrongly_paid", "misjudged", "failed_though_fine", "passed_though_failing",
)  # fmt: skip
"""Figures that have no currency."""
DIFFERENCE_COLUMNS = [
    "contract", "learner", "best_contract", "best_learner", "figure", "worlds", "value",
    "best_value", "difference", "difference_lower95", "difference_upper95",
]  # fmt: skip
_BEST = "best "


class Measured(NamedTuple):
    """What was measured of a contract and learner, as from `riskadj.trial.measures.measure`."""

    variant: Variant
    rows: pd.DataFrame


def differences_from_best(found: Sequence[Measured], worlds: Sequence[int]) -> pd.DataFrame:
    """Return how every contract and learner differs from the best, world by world the same.

    Parameters
    ----------
    found : sequence of Measured
        The best first. It is the best of these very worlds, so that it is flattered: a difference
        whose interval comes near to 0 says little.
    worlds : sequence of int
        All of them.

    Returns
    -------
    DataFrame
        The columns of `DIFFERENCE_COLUMNS`, a row per further variant and figure of `COMPARED`
        that both have: `difference` is `value` less `best_value`. The interval is Student's t with
        the standard error from leaving out the same world of both (`on_scale`), on the scale of the
        inverse hyperbolic tangent, so that it stays within -1 and 1, but for `follows_truth`, which
        has no lower end. Empty with one world.
    """
    if len(found) < 2:
        return pd.DataFrame(columns=DIFFERENCE_COLUMNS)
    best, *others = found
    rows = [row for one in others for row in _rows(one, best, worlds)]
    return pd.DataFrame(rows, columns=DIFFERENCE_COLUMNS)


def sums_of(rows: pd.DataFrame) -> ClusterSums:
    """Return the sums of what was measured, by world."""
    return sums_by_cluster(dict(rows.drop(columns="world").items()), rows["world"])


def _rows(one: Measured, best: Measured, worlds: Sequence[int]) -> list[dict[str, object]]:
    keys = {
        "contract": one.variant.name,
        "learner": one.variant.learner,
        "best_contract": best.variant.name,
        "best_learner": best.variant.learner,
    }
    sums = _side_by_side(one.rows, best.rows, worlds)
    totals = sums.named(sums.values.sum(axis=1, keepdims=True))
    rows = []
    for name in COMPARED:
        mine, theirs = (float(side[0]) for side in _both(name, totals))
        if mine != mine or theirs != theirs:
            continue
        figures = {"figure": name, "worlds": len(worlds), "value": mine, "best_value": theirs}
        bounds = _bounds(name, sums)._asdict()
        ends = {f"difference_{side}95": value for side, value in bounds.items()}
        rows.append({**keys, **figures, "difference": mine - theirs, **ends})
    return rows


def _side_by_side(mine: pd.DataFrame, theirs: pd.DataFrame, worlds: Sequence[int]) -> ClusterSums:
    """Return the sums of both by world; a world in which one has nobody counts nothing of it."""
    sides = {"": mine, _BEST: theirs}
    summed = [
        rows.assign(n=1.0).groupby("world").sum().reindex(worlds, fill_value=0.0).add_prefix(prefix)
        for prefix, rows in sides.items()
    ]
    table = pd.concat(summed, axis=1)
    return ClusterSums(tuple(table), table.to_numpy(dtype=float).T)


def _bounds(name: str, sums: ClusterSums) -> Bounds:
    def difference(of: Totals) -> Floats:
        mine, theirs = _both(name, of)
        return mine - theirs

    return on_scale(sums, difference, ANY if name == "follows_truth" else DIFFERENCE_OF_SHARES)


def _both(name: str, of: Mapping[str, Floats]) -> tuple[Floats, Floats]:
    theirs = {one.removeprefix(_BEST): of[one] for one in of if one.startswith(_BEST)}
    return FIGURES[name](of), FIGURES[name](theirs)
