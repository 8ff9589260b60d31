"""Disclosure control: small numbers leave nothing, and cannot be worked out from the rest.

NHS England's rules (CSV footnotes 2018/19): with 1 to 5 episodes every figure of a provider is
hidden; with fewer modelled records than the minimum nothing is adjusted. Besides, 1 to 5 modelled
records hide every figure too, as those of a single record would be a patient's; and where a single
row of a set is hidden, the next smallest is hidden too, as the hidden one would follow from the
total.
"""

import numpy as np
import pandas as pd

from riskadj.cohort.rates import ALL, NOT_HERE
from riskadj.episodes.participation import COUNTS
from riskadj.fairness.drift import DRIFT_KEYS
from riskadj.fairness.groups import GROUP_KEYS
from riskadj.value import NOT_COMPARED
from riskadj.value.profile import KEYS as VALUE_KEYS

SUPPRESSED = "all"
NOT_ADJUSTED = "adjusted"
_PROVIDER_KEYS = ("outcome", "learner", "provider_id", "flag", "suppression")
_PROVIDER_TEXTS = ("note", "flag_moved_by", "flag_holds_under", "peer_group")
_DECILE_KEYS = ("outcome", "learner", "column", "level", "decile", "n")
_SUBGROUP_KEYS = ("outcome", "learner", "column", "level")
_SHARES = ("at_better", "at_worse")


def suppress_providers(
    table: pd.DataFrame, below: int, by: str = "records", too_few: str = "Insufficient records"
) -> pd.DataFrame:
    """Return provider rows that may leave.

    Parameters
    ----------
    table : DataFrame
        As in `Profiles.table`.
    below : int
        Fewer than this, and any at all: every figure is hidden.
    by : {"records", "episodes"}
        What is counted: records with both scores (eligible episodes where there are none), or
        eligible episodes alone, as NHS England does.
    too_few : str
        The flag of a provider that is hidden.

    Returns
    -------
    DataFrame
        With `suppression`: `all` where every figure is null, `adjusted` where only the adjusted
        ones are, else empty.
    """
    records, episodes = table["n"], table["episodes"]
    sizes = episodes if by == "episodes" else records.where(records > 0, episodes)
    sets = [table["outcome"], table["learner"]]
    hidden = _hide(sizes, records, below, sets)
    if "peer_group" in table:  # the centre of each group tells its total
        known = sizes.mask(hidden, min(1, below - 1))
        hidden = _hide(known, records, below, [*sets, table["peer_group"]])
    table = table.assign(
        suppression=np.select(
            [hidden, table["adjusted"].isna() & (table["episodes"] > 0)],
            [SUPPRESSED, NOT_ADJUSTED],
            default="",
        )
    )
    texts = [name for name in _PROVIDER_TEXTS if name in table]
    table[texts] = table[texts].mask(hidden, "")
    table["flag"] = table["flag"].mask(hidden, too_few)
    return _blank(table, hidden, (*_PROVIDER_KEYS, *texts))


def suppress_subgroups(table: pd.DataFrame, below: int) -> pd.DataFrame:
    """Return subgroup rows that may leave: small ones are blank, and never just one of them."""
    if table.empty:
        return table
    sets = [table["outcome"], table["learner"], table["column"]]
    return _blank(table, _hide(table["n"], table["n"], below, sets), _SUBGROUP_KEYS)


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
    sizes = table["fewest"].mask(known, min(1, below - 1))
    sets = [table["outcome"], table["learner"], table["fold"], table["group"]]
    hidden = _hide(sizes, table["n"], below, sets) | known
    for share in _SHARES:
        there = (table[share] * table["n"]).round().fillna(0)
        few = _hide(there, there, below, sets) | _hide(
            (table["n"] - there).where(table[share].notna(), 0), table["n"], below, sets
        )
        table = table.assign(
            **{one: table[one].mask(few) for one in table if one.startswith(share)}
        )
    return _blank(table, hidden, tuple(GROUP_KEYS)).drop(columns="fewest")


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
    blanked = _blank(drift, hidden, tuple(DRIFT_KEYS))
    stability = [one for one in drift if one.startswith("stability")]
    any_hidden = hidden.groupby(sets, sort=False).transform("any")
    blanked[stability] = blanked[stability].mask(any_hidden)
    return blanked


def _shown_providers(
    rows: pd.DataFrame, whole: pd.DataFrame, providers: pd.DataFrame, below: int
) -> pd.DataFrame:
    """Return the rows of providers that may be named, those without a row never being few."""
    hidden = providers.loc[providers["suppression"].eq(SUPPRESSED), ["outcome", "provider_id"]]
    names = set(map(tuple, hidden.to_numpy()))
    known = [one in names for one in zip(rows["outcome"], rows["provider_id"], strict=True)]
    kept = rows[~np.array(known, dtype=bool) & (rows["fewest"] >= below)]
    keys = ["outcome", "learner", "part", "column", "level", "to_period"]
    sizes = ["n_from", "n_to"]
    total = whole.set_index(keys)[sizes]
    rest = total.sub(kept.groupby(keys)[sizes].sum(), fill_value=0)
    few = rest[((rest > 0) & (rest < below)).any(axis=1)].index
    smallest = kept.sort_values("n_from", kind="stable").groupby(keys, sort=False).head(1)
    again = smallest[pd.MultiIndex.from_frame(smallest[keys]).isin(few)]
    return kept.drop(index=again.index)


def keep_shown(table: pd.DataFrame, providers: pd.DataFrame, below: int) -> pd.DataFrame:
    """Return the rows of a table by provider whose provider is not hidden and has records enough.

    Contributions to the expectation of few patients describe those patients, so here records
    count whatever counts elsewhere.
    """
    keys = ["outcome", "learner", "provider_id"]
    shown = providers["suppression"].ne(SUPPRESSED) & providers["n"].ge(below).fillna(False)
    return table.merge(providers.loc[shown, keys], on=keys, how="inner")


def keep_shown_parts(table: pd.DataFrame, below: int) -> pd.DataFrame:
    """Return the rows of a table by part of the episodes, none where a part of its set is small."""
    if table.empty:
        return table
    smallest = table.groupby(["outcome", "learner"], sort=False)["n"].transform("min")
    return table[smallest >= below]


def suppress_rates(rates: pd.DataFrame, providers: pd.DataFrame, below: int) -> pd.DataFrame:
    """Return rates of follow-up that may leave.

    Blank where the provider is hidden, or any of its counts is small; and never just one of a set.
    """
    if rates.empty:
        return rates
    counts = [*COUNTS, "answered"]
    keys = ["outcome", "provider_id"]
    names = providers.loc[providers["suppression"].eq(SUPPRESSED), keys].drop_duplicates()
    known = rates[keys].merge(names.assign(hidden=True), how="left")["hidden"].notna().to_numpy()
    least = rates[counts].where(rates[counts] > 0).min(axis=1).fillna(0)
    least = least.mask(known, min(1, below - 1))
    of_one = ~rates["provider_id"].isin((ALL, NOT_HERE))
    records = rates["q1"].fillna(rates["procedures"]).fillna(0).where(of_one, 0)
    hidden = _hide(least.where(of_one, 0), records, below, [rates["outcome"], rates["source"]])
    whole = rates.astype(dict.fromkeys(counts, "Int64"))
    return _blank(whole, hidden | known, ("outcome", "source", "counted", "provider_id"))


def suppress_balance(balance: pd.DataFrame, below: int) -> pd.DataFrame:
    """Return balance that may leave: blank where few have a level, and never just one level."""
    if balance.empty:
        return balance.drop(columns="fewest")
    sizes = balance["fewest"].fillna(0)
    sets = [balance["outcome"], balance["covariate"].str.partition("=")[0]]
    blanked = _blank(balance, _hide(sizes, sizes, below, sets), ("outcome", "covariate"))
    return blanked.drop(columns="fewest")


def suppress_value(value: pd.DataFrame, providers: pd.DataFrame, below: int) -> pd.DataFrame:
    """Return outcome and cost together that may leave.

    Blank where the provider is hidden with the outcome or with the cost, or few episodes have
    both.
    """
    shown = providers.loc[providers["suppression"].ne(SUPPRESSED), _PROVIDER_KEYS[:3]]
    known = {tuple(one) for one in shown.itertuples(index=False)}
    hidden = value["n_both"].between(1, below - 1)
    for keys in (("outcome", "learner"), ("cost_outcome", "cost_learner")):
        rows = value[[*keys, "provider_id"]].itertuples(index=False)
        hidden |= np.array([tuple(one) not in known for one in rows], dtype=bool)
    classed = value.assign(**{"class": value["class"].mask(hidden, NOT_COMPARED)})
    return _blank(classed, hidden, (*VALUE_KEYS, "provider_id", "class"))


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
    smallest = table.groupby(["outcome", "learner"], sort=False)["n"].transform("min")
    return _blank(table, smallest < below, _DECILE_KEYS)


def _hide(sizes: pd.Series, records: pd.Series, below: int, sets: list[pd.Series]) -> pd.Series:
    """Return which rows to hide: the small ones, and as many more as keep their sum from view.

    What is hidden of a set, taken together, follows from its total; so two rows or more are
    hidden, and records enough that their sum is not small itself.
    """
    hidden = (sizes > 0) & (sizes < below)
    for rows in records.groupby(sets, sort=False).groups.values():
        holding = records.loc[rows][records.loc[rows] > 0].sort_values(kind="stable")
        small = holding[hidden.loc[holding.index]]
        for row, more in holding.drop(small.index).items():
            if small.empty or (len(small) > 1 and small.sum() >= below):
                break
            small.loc[row] = more
        hidden.loc[small.index] = True
    return hidden


def _blank(table: pd.DataFrame, hidden: pd.Series, keys: tuple[str, ...]) -> pd.DataFrame:
    figures = [name for name in table.columns if name not in keys]
    blanked = table.copy()
    whole = [name for name in figures if pd.api.types.is_integer_dtype(blanked[name])]
    blanked[whole] = blanked[whole].astype("Int64")
    blanked.loc[hidden, whole] = pd.NA
    blanked.loc[hidden, [name for name in figures if name not in whole]] = np.nan
    return blanked
