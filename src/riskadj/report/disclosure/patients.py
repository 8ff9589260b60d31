"""What may leave about groups of patients: levels, tenths, periods, what is not recorded."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from riskadj.expected.evaluate import VOLUME, VOLUMES
from riskadj.fairness.drift import ACCESS, DRIFT_KEYS
from riskadj.fairness.groups import GROUP_KEYS
from riskadj.report.disclosure.hiding import as_small, blank, hide, is_small
from riskadj.report.disclosure.providers import SUPPRESSED, hidden_in
from riskadj.stats.calibration import groups_by_rank

_PAIR = ["outcome", "learner"]
_DECILE_KEYS = ("outcome", "learner", "column", "level", "decile", "n")
_SUBGROUP_KEYS = ("outcome", "learner", "column", "level")
_SHARES = ("at_better", "at_worse")
_ROW = ["outcome", "learner", "part", "column", "level", "to_period"]
_SIZES = ["n_from", "n_to"]
Metrics = Mapping[str, Mapping[str, Mapping[str, Any]]]


def suppress_subgroups(table: pd.DataFrame, below: int) -> pd.DataFrame:
    """Return subgroup rows that may leave: small ones are blank, and never just one of them."""
    if table.empty:
        return table
    sets = [table["outcome"], table["learner"], table["column"]]
    return blank(table, hide(table["n"], table["n"], below, sets), _SUBGROUP_KEYS)


def suppress_thirds(
    subgroups: pd.DataFrame, profiled: pd.DataFrame, providers: pd.DataFrame, below: int
) -> pd.DataFrame:
    """Return subgroup rows without thirds of providers by volume where these tell of hidden ones.

    Whoever knows a third and the providers shown in it knows those hidden in it together.

    Parameters
    ----------
    subgroups : DataFrame
        As from `suppress_subgroups`.
    profiled, providers : DataFrame
        Profiles before disclosure control, and after.
    below : int
    """
    telling = [
        pair for pair, rows in profiled.groupby(_PAIR, sort=False)
        if _tells(rows, providers.loc[rows.index, "suppression"].eq(SUPPRESSED), below)
    ]  # fmt: skip
    pairs = pd.MultiIndex.from_frame(subgroups[_PAIR])
    return blank(subgroups, (subgroups["column"] == VOLUME) & pairs.isin(telling), _SUBGROUP_KEYS)


def _tells(rows: pd.DataFrame, hidden: pd.Series, below: int) -> bool:
    """Whether a third holds a single hidden provider, or few patients of hidden ones.

    A hidden provider without patients is in none, which would tell that it has none.
    """
    if (rows["n"][hidden] == 0).any():
        return True
    there = rows[rows["n"] > 0].sort_values("provider_id", kind="stable")
    third = pd.Series(groups_by_rank(there["n"], len(VOLUMES)), there.index)
    inside = there["n"][hidden[there.index]].groupby(third).agg(["count", "sum"])
    return bool(((inside["count"] < 2) | (inside["sum"] < below)).any())


def suppress_groups(table: pd.DataFrame, subgroups: pd.DataFrame, below: int) -> pd.DataFrame:
    """Return rows of the group audit that may leave.

    Blank where a group is small, or a part of it that another group tells apart; where `subgroups`,
    as from `suppress_subgroups`, hides the level; and never just one of a set. Shares at flagged
    providers are blank, too, where few of a group are there, or few are not.
    """
    if table.empty:
        return table.drop(columns="fewest")
    gone = subgroups.loc[subgroups["n"].isna(), list(_SUBGROUP_KEYS)].assign(gone=True)
    known = table[list(_SUBGROUP_KEYS)].merge(gone, how="left")["gone"].notna().to_numpy()
    sizes = as_small(table["fewest"], known, below)
    sets = [table["outcome"], table["learner"], table["fold"], table["group"]]
    hidden = hide(sizes, table["n"], below, sets) | known
    for share in _SHARES:
        there = (table[share] * table["n"]).round().fillna(0)
        few = hide(there, there, below, sets) | hide(
            (table["n"] - there).where(table[share].notna(), 0), table["n"], below, sets
        )
        table = table.assign(
            **{one: table[one].mask(few) for one in table if one.startswith(share)}
        )
    return blank(table, hidden, tuple(GROUP_KEYS)).drop(columns="fewest")


def suppress_drift(
    drift: pd.DataFrame, groups: pd.DataFrame, providers: pd.DataFrame, below: int
) -> pd.DataFrame:
    """Return what changed between periods, as far as it may leave.

    Shares of a column are blank together where few are behind any of them, or `groups`, as from
    `suppress_groups`, hides a level of it. Rows of a provider are left out where it is hidden, few
    are behind them, or so few are left without a row that the others would tell who they are.
    """
    if drift.empty:
        return drift.drop(columns="fewest")
    of_one = drift["provider_id"] != ""
    whole = _blank_small_columns(drift[~of_one], groups, below)
    shown = _shown_providers(drift[of_one], drift[~of_one], providers, below)
    kept = pd.concat([whole, shown]).sort_index().reset_index(drop=True)
    return kept.drop(columns="fewest")


def _blank_small_columns(drift: pd.DataFrame, groups: pd.DataFrame, below: int) -> pd.DataFrame:
    sets = [drift[one] for one in ("outcome", "learner", "part", "column", "to_period")]
    few = drift["fewest"].between(1, below - 1)
    hidden = few.groupby(sets, sort=False).transform("any")
    gone = groups[groups["n"].isna()]
    for name in ("group", "column"):
        pairs = set(zip(gone["outcome"], gone[name], strict=True))
        mine = pd.Series(zip(drift["outcome"], drift["column"], strict=True), index=drift.index)
        hidden |= mine.isin(pairs) & drift["fewest"].notna()
    blanked = blank(drift, hidden, tuple(DRIFT_KEYS))
    stability = [one for one in drift if one.startswith("stability")]
    any_hidden = hidden.groupby(sets, sort=False).transform("any")
    blanked[stability] = blanked[stability].mask(any_hidden)
    return blanked


def _shown_providers(
    rows: pd.DataFrame, whole: pd.DataFrame, providers: pd.DataFrame, below: int
) -> pd.DataFrame:
    """Return the rows of providers that may be named, those without a row never being few."""
    names = hidden_in(providers, ("outcome", "provider_id"))
    known = [one in names for one in zip(rows["outcome"], rows["provider_id"], strict=True)]
    kept = rows[~np.array(known, dtype=bool) & (rows["fewest"] >= below)]
    total = _told(whole).groupby(_ROW).sum()
    while True:
        rest = total.sub(_told(kept).groupby(_ROW).sum(), fill_value=0)
        few = rest[is_small(rest, below).any(axis=1)].index
        smallest = kept.sort_values("n_from", kind="stable").groupby(_ROW, sort=False).head(1)
        again = smallest[pd.MultiIndex.from_frame(smallest[_ROW]).isin(few)]
        if again.empty:
            return kept
        kept = kept.drop(index=again.index)


def _told(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the numbers that a row tells: of episodes, and of those with and without a level."""
    told = rows[[*_ROW, *_SIZES]].copy()
    of_share = rows["part"] == ACCESS
    for size, share in zip(_SIZES, ("before", "after"), strict=True):
        inside = (rows[size] * rows[share]).round().where(of_share, 0.0)
        told[f"with_{size}"] = inside
        told[f"without_{size}"] = (rows[size] - inside).where(of_share, 0.0)
    return told


def keep_shown_parts(table: pd.DataFrame, below: int) -> pd.DataFrame:
    """Return the rows of a table by part of the episodes, none where a part of its set is small."""
    if table.empty:
        return table
    smallest = table.groupby(_PAIR, sort=False)["n"].transform("min")
    return table[smallest >= below]


def suppress_balance(balance: pd.DataFrame, below: int) -> pd.DataFrame:
    """Return balance that may leave: blank where few have a level, and never just one level."""
    if balance.empty:
        return balance.drop(columns="fewest")
    sizes = balance["fewest"].fillna(0)
    sets = [balance["outcome"], balance["covariate"].str.partition("=")[0]]
    blanked = blank(balance, hide(sizes, sizes, below, sets), ("outcome", "covariate"))
    return blanked.drop(columns="fewest")


def suppress_curves(table: pd.DataFrame, subgroups: pd.DataFrame, below: int) -> pd.DataFrame:
    """Return calibration rows of subgroups that may leave.

    None of a subgroup that is hidden in `subgroups`, as from `suppress_subgroups`, or a part of
    which is small: even how many parts a subgroup has would tell how few are in it.
    """
    of = list(_SUBGROUP_KEYS)
    shown = subgroups.loc[subgroups["n"].notna(), of].assign(shown=True)
    hidden = table[of].merge(shown, how="left")["shown"].isna().to_numpy()
    smallest = table.groupby(of, sort=False)["n"].transform("min")
    return table[~hidden & (smallest >= below)]


def suppress_deciles(table: pd.DataFrame, below: int) -> pd.DataFrame:
    """Return calibration rows that may leave: where a decile is small, none of its set."""
    smallest = table.groupby(_PAIR, sort=False)["n"].transform("min")
    return blank(table, smallest < below, _DECILE_KEYS)


def suppress_missing(missing: pd.DataFrame, below: int) -> pd.DataFrame:
    """Return shares not recorded that may leave: blank where few lack a column, or few have it.

    Parameters
    ----------
    missing : DataFrame
        `outcome, column, share, n`: of how many episodes. The result is without `n`.
    below : int
    """
    lack = (missing["share"] * missing["n"]).round()
    few = is_small(lack, below) | is_small(missing["n"] - lack, below)
    return missing.assign(share=missing["share"].mask(few)).drop(columns="n")


def suppress_gaming(gaming: pd.DataFrame, below: int) -> pd.DataFrame:
    """Return what changes of records are worth, where neither few allow them nor all but few.

    What is done to one patient at a time is told all the same: it hangs on how many there are in
    all.
    """
    if gaming.empty or "patients" not in gaming:
        return gaming
    can = gaming["patients"].astype(float)
    cannot = (can / gaming["share"].astype(float) - can).round()
    few = is_small(can, below) | is_small(cannot, below)
    return gaming[~(few & gaming["done_to"].ne("one patient"))].reset_index(drop=True)


_TOP_CODED = ("top_coded_n", "top_coded_share")


def suppress_metrics(metrics: Metrics, below: int) -> dict[str, dict[str, dict[str, Any]]]:
    """Return figures of learners that may leave: how few costs are capped is not told."""
    return {
        outcome: {learner: _without_few(found, below) for learner, found in learners.items()}
        for outcome, learners in metrics.items()
    }


def _without_few(found: Mapping[str, Any], below: int) -> dict[str, Any]:
    gone = _TOP_CODED if 0 < found.get("top_coded_n", 0) < below else ()
    return {name: np.nan if name in gone else value for name, value in found.items()}
