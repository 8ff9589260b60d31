"""Participation, linkage, issue and response by provider: from episodes, or from counts."""

import numpy as np
import pandas as pd

from riskadj.episodes.participation import COUNTS, NATION, Participation
from riskadj.errors import ValuesError
from riskadj.stats.follow_up import RATES, follow_up_rates
from riskadj.study import Outcome, Study

ALL = "(all)"
"""The row of all together: providers, groups, patients."""
NOT_HERE = "(not in the episodes)"
"""The row of providers that are in the participation files only."""
FROM_EPISODES, FROM_COUNTS = "episodes", "participation file"
PAIRS_ONLY = frozenset({"nhs_proms"})
"""Formats whose files hold only those who returned both questionnaires."""
RATE_COLUMNS = [
    "outcome", "source", "counted", "provider_id", *COUNTS, "answered", *RATES,
]  # fmt: skip


def provider_rates(
    asked: pd.DataFrame,
    volumes: pd.Series,
    study: Study,
    outcome: Outcome,
    participation: Participation | None,
) -> pd.DataFrame:
    """Return how many of each provider's patients were followed up.

    Parameters
    ----------
    asked : DataFrame
        Eligible episodes of the periods compared that have a score before; `answered`: whether
        they have one after that counts.
    volumes : Series of int
        Eligible episodes of each provider there is, with a score before or without.
    study : Study
    outcome : Outcome
    participation : Participation, optional
        Counts of the same periods.

    Returns
    -------
    DataFrame
        `outcome, source, counted, provider_id, procedures, q1, linked, q2_sent, q2_returned,
        answered, participation, linkage, issue, response`, first of all providers, then of each,
        then of those that only the counts know; NaN where the source does not say. A
        questionnaire counts as returned whenever it was: `answered` are those with a score within
        the study's window.

    Raises
    ------
    ValuesError
        When a rate other than participation is above 100 %.
    """
    parts = []
    if study.data.format not in PAIRS_ONLY:
        parts.append(_of_episodes(asked, volumes))
    if participation is not None:
        parts.append(_of_counts(participation, volumes.index, study.cohort.procedure_group))
    if not parts:
        return pd.DataFrame(columns=RATE_COLUMNS)
    table = pd.concat(parts, ignore_index=True).assign(outcome=outcome.name)
    rates = follow_up_rates(**{one: table[one].fillna(0) for one in COUNTS})
    told = {name: table[[one.part, one.whole]].notna().all(axis=1) for name, one in RATES.items()}
    known = {name: pd.Series(getattr(rates, name)).where(told[name]) for name in RATES}
    return table.assign(**known)[RATE_COLUMNS]


def response_by_provider(rates: pd.DataFrame) -> pd.Series:
    """Return the response rate that speaks for each provider; NaN where none is known.

    That of the participation file where it has one; else that of the episodes: questionnaires
    returned of those sent, or where the file does not say of every patient of the provider who was
    sent one and who returned it, answers of all who answered before.
    """
    if rates.empty:
        return pd.Series(dtype="float64", name="rate")
    told = rates[["q2_sent", "q2_returned"]].notna().all(axis=1)
    own = (rates["answered"] / rates["q1"]).mask(told)
    known = rates.assign(rate=rates["response"].fillna(own)).dropna(subset="rate")
    first = known[~known["provider_id"].isin((ALL, NOT_HERE))].sort_values(
        "source", key=lambda source: source == FROM_EPISODES, kind="stable"
    )
    return first.drop_duplicates("provider_id").set_index("provider_id")["rate"].astype(float)


def _of_episodes(asked: pd.DataFrame, volumes: pd.Series) -> pd.DataFrame:
    counted = {"q1": pd.Series(1, index=asked.index), "answered": asked["answered"]}
    if {"q2_sent", "q2_returned"} <= set(asked.columns):
        unsent = asked["q2_sent"].eq(0) & asked["q2_returned"].isna()
        counted |= {
            "q2_sent": asked["q2_sent"],
            "q2_returned": asked["q2_returned"].mask(unsent, 0),
        }
    by_provider = pd.DataFrame(counted).astype(float).groupby(asked["provider_id"])
    # A blank is no no: of a provider with blanks nobody knows how many were sent or returned.
    sums = by_provider.agg(lambda column: column.sum(skipna=False))
    sums = sums.reindex(volumes.index, fill_value=0.0)
    if volumes.sum() > len(asked):  # else the file holds only those who answered before
        sums["procedures"] = volumes.astype(float)
    sums = sums.rename_axis("provider_id").reset_index()
    _check_returned(sums)
    totals = sums.drop(columns="provider_id").sum(skipna=False)
    whole = totals.to_frame().T.assign(provider_id=ALL)
    table = pd.concat([whole, sums], ignore_index=True).assign(source=FROM_EPISODES, counted="")
    return table.reindex(columns=RATE_COLUMNS)


def _check_returned(sums: pd.DataFrame) -> None:
    if "q2_sent" not in sums:
        return
    wrong = sums[sums["q2_returned"] > sums["q2_sent"]]
    if len(wrong):
        one = wrong.iloc[0]
        raise ValuesError(
            f"{one['provider_id']}: wanted no more episodes with q2_returned than with q2_sent, or "
            f"the response rate is above 100 %; got {one['q2_returned']:,.0f} of "
            f"{one['q2_sent']:,.0f}, and {len(wrong):,} such providers. Correct these columns."
        )


def _of_counts(
    participation: Participation, providers: pd.Index, procedure_group: str
) -> pd.DataFrame:
    found = participation.of(procedure_group)
    everybody = found.loc[[NATION]] if NATION in found.index else _sum_of(found)
    strangers = found.drop(index=found.index.intersection([*providers, NATION]))
    elsewhere = [_sum_of(strangers, NOT_HERE)] if len(strangers) else []
    table = pd.concat([everybody.rename({NATION: ALL}), found.reindex(providers), *elsewhere])
    table = table.rename_axis("provider_id").reset_index().assign(source=FROM_COUNTS)
    return table.assign(counted=table["counted"].fillna("")).reindex(columns=RATE_COLUMNS)


def _sum_of(found: pd.DataFrame, name: str = ALL) -> pd.DataFrame:
    """Return the sum of those whose counts are all known."""
    known = found.dropna(subset=[*COUNTS])
    noun = "provider" if len(found) == 1 else "providers"
    sums = known[[*COUNTS]].sum(min_count=1).astype(np.float64)
    return sums.to_frame(name).T.assign(counted=f"{len(found)} {noun}, {len(known)} counted")
