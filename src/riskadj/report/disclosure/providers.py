"""What may leave about providers: the same ones in every table, and no more than can be kept."""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from riskadj.cohort.rates import ALL
from riskadj.episodes.participation import COUNTS
from riskadj.report.disclosure.hiding import (
    Known,
    Sets,
    as_small,
    blank,
    complete,
    complete_all,
    hide,
    is_small,
    least_of,
)
from riskadj.value import NOT_COMPARED
from riskadj.value.profile import KEYS as VALUE_KEYS

SUPPRESSED = "all"
NOT_ADJUSTED = "adjusted"
TOGETHER = ""
"""The stratum of a provider's figures of all strata together."""
_PAIR = ("outcome", "learner")
_KEYS = (*_PAIR, "provider_id")
_PROVIDER_KEYS = (*_KEYS, "flag", "suppression")
_PROVIDER_TEXTS = ("note", "flag_moved_by", "flag_holds_under", "peer_group")
_RATE_KEYS = ("outcome", "source", "counted", "provider_id")
_COUNTED = (*COUNTS, "answered")


def suppress_providers(
    table: pd.DataFrame, below: int, by: str = "records", too_few: str = "Insufficient records"
) -> pd.DataFrame:
    """Return provider rows that may leave.

    Parameters
    ----------
    table : DataFrame
        As in `Profiles.table`, of every outcome: some tell of others.
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
    hidden = _hidden_providers(table, below, by)
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
    return blank(table, hidden, (*_PROVIDER_KEYS, *texts))


def _hidden_providers(table: pd.DataFrame, below: int, by: str) -> pd.Series:
    """Return the rows to hide: of all outcomes where episodes are few, else of one."""
    records, episodes = table["n"], table["episodes"]
    few = is_small(records, below) & (by == "records")
    sets = [table["outcome"], table["learner"]]
    few_episodes = _few_episodes(table, few, below)
    told = Known(records * 0, episodes, few_episodes)
    hidden = few | few_episodes
    hidden = complete(hidden, records.where(records > 0, episodes), below, sets)
    hidden = complete(hidden, records, below, sets, told)
    if "peer_group" in table:  # the centre of each group tells its total
        hidden = complete(hidden, records, below, [*sets, table["peer_group"]])
    return hidden


def _few_episodes(table: pd.DataFrame, few: pd.Series, below: int) -> pd.Series:
    """Return rows of providers of few eligible episodes, which are the same for every outcome.

    Where an outcome lacks few of a provider's episodes, its records are nearly told by these; so
    providers of few records and hardly more episodes are among them.
    """
    told = few & (table["episodes"] - table["n"] < below)
    sizes = as_small(table["episodes"], told, below).groupby(table["provider_id"]).min()
    episodes = table.groupby("provider_id")["episodes"].max()
    everybody = [pd.Series("", index=episodes.index)]
    hidden = hide(sizes, episodes, below, everybody)
    return table["provider_id"].map(hidden).astype(bool)


def hidden_in(providers: pd.DataFrame, keys: Iterable[str] = _KEYS) -> set[tuple[str, ...]]:
    """Return who is hidden in the provider table, by outcome, learner and name or some of these."""
    rows = providers.loc[providers["suppression"].eq(SUPPRESSED), list(keys)]
    return set(rows.itertuples(index=False, name=None))


def _is_among(table: pd.DataFrame, names: set[tuple[str, ...]], keys: Iterable[str]) -> pd.Series:
    rows = table[list(keys)].itertuples(index=False, name=None)
    return pd.Series([one in names for one in rows], index=table.index, dtype=bool)


def keep_shown(table: pd.DataFrame, providers: pd.DataFrame, below: int) -> pd.DataFrame:
    """Return the rows of a table by provider whose provider is not hidden and has records enough.

    Contributions to the expectation of few patients describe those patients, so here records
    count whatever counts elsewhere.
    """
    shown = providers["suppression"].ne(SUPPRESSED) & providers["n"].ge(below).fillna(False)
    return table.merge(providers.loc[shown, list(_KEYS)], on=list(_KEYS), how="inner")


def suppress_rates(
    rates: pd.DataFrame, providers: pd.DataFrame, below: int, by: str = "records"
) -> pd.DataFrame:
    """Return rates of follow-up that may leave.

    Blank where the provider is hidden, or any of its counts is small (by `episodes`, as NHS England
    has it, only how many were eligible: few answers may show); and never just one of a set, for any
    of these counts. Whoever is blank in one outcome or source is in all of them, as they count much
    the same patients.
    """
    if rates.empty:
        return rates
    hidden = _hidden_rates(rates, providers, below, _ELIGIBLE if by == "episodes" else _COUNTED)
    whole = rates.astype(dict.fromkeys(_COUNTED, "Int64"))
    return blank(whole, hidden, _RATE_KEYS)


_ELIGIBLE = ("procedures", "q1")


def _hidden_rates(
    rates: pd.DataFrame, providers: pd.DataFrame, below: int, counted: Sequence[str]
) -> pd.Series:
    counts = rates[list(counted)].fillna(0)
    of_one = rates["provider_id"] != ALL
    gone = _is_among(rates, hidden_in(providers, ("outcome", "provider_id")), _RATE_KEYS[::3])
    hidden = (gone | is_small(least_of(counts), below)) & of_one
    held, known = counts.where(of_one, 0), _known_of(rates, providers)
    sets: Sets = [rates["outcome"], rates["source"]]
    while True:
        more = complete_all(hidden, held, below, sets, known)
        more = more.groupby(rates["provider_id"]).transform("any")
        if more.equals(hidden):
            break
        hidden = more
    small = least_of(counts.where(~of_one, 0)).pipe(is_small, below)
    return hidden | small.groupby(sets).transform("any")


def _known_of(rates: pd.DataFrame, providers: pd.DataFrame) -> Known:
    """Return what the provider table tells of counts: who is compared answered, and is eligible."""
    figures = providers.reindex(columns=["outcome", "provider_id", "n", "episodes"])
    figures = figures.astype({"n": float, "episodes": float})
    least = figures.groupby(["outcome", "provider_id"])["n"].max()
    least = least.reindex(pd.MultiIndex.from_frame(rates[["outcome", "provider_id"]])).fillna(0)
    most = rates["provider_id"].map(figures.groupby("provider_id")["episodes"].max())
    high = rates["procedures"].fillna(np.inf)
    return Known(pd.Series(least.to_numpy(), rates.index), high, most.isna())


def keep_rated(table: pd.DataFrame, rates: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of a table by provider that tell no count that `rates` hides."""
    if rates.empty or table.empty:
        return table
    counts = rates[list(_COUNTED)].isna().all(axis=1)
    hidden = rates.loc[counts, ["outcome", "provider_id"]].itertuples(index=False, name=None)
    return table[~_is_among(table, set(hidden), ("outcome", "provider_id"))]


def suppress_value(value: pd.DataFrame, providers: pd.DataFrame, below: int) -> pd.DataFrame:
    """Return outcome and cost together that may leave.

    Blank where the provider is hidden with the outcome or with the cost, or few episodes have
    both.
    """
    shown = providers.loc[providers["suppression"].ne(SUPPRESSED), list(_KEYS)]
    known = set(shown.itertuples(index=False, name=None))
    hidden = value["n_both"].between(1, below - 1)
    for keys in (_PAIR, ("cost_outcome", "cost_learner")):
        hidden |= ~_is_among(value, known, (*keys, "provider_id"))
    classed = value.assign(**{"class": value["class"].mask(hidden, NOT_COMPARED)})
    return blank(classed, hidden, (*VALUE_KEYS, "provider_id", "class"))


def suppress_strata(social: pd.DataFrame, whole: pd.DataFrame, below: int) -> pd.DataFrame:
    """Return rows of social modes that may leave, those by stratum too.

    None by stratum of a provider one of whose strata is small, nor of as many more as keep it from
    following from how many of a stratum there are in all; where none are enough, of nobody.

    Parameters
    ----------
    social : DataFrame
        The columns of `SOCIAL_COLUMNS`; rows of providers that are hidden are not among them.
    whole : DataFrame
        The same of every provider.
    below : int
    """
    by_stratum = whole[whole["stratum"] != TOGETHER]
    if by_stratum.empty:
        return social
    index = [*_PAIR, "mode", "provider_id"]
    wide = by_stratum.pivot_table("n", index, "stratum", "sum", fill_value=0)
    shown = social.loc[social["stratum"] != TOGETHER, index].drop_duplicates()
    known = wide.index.isin(pd.MultiIndex.from_frame(shown))
    rows = wide.reset_index()
    hidden = pd.Series(~known, index=rows.index) | is_small(least_of(rows[wide.columns]), below)
    sets: Sets = [rows[one] for one in index[:-1]]
    hidden = complete_all(hidden, rows[wide.columns], below, sets)
    kept_from_view = rows[wide.columns].where(hidden, 0).groupby(sets).transform("sum")
    hidden |= is_small(kept_from_view, below).any(axis=1)
    names = set(rows.loc[hidden, index].itertuples(index=False, name=None))
    gone = (social["stratum"] != TOGETHER) & _is_among(social, names, index)
    return social[~gone].reset_index(drop=True)
