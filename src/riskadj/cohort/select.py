"""Selecting the episodes of one outcome, and counting everybody who leaves."""

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from riskadj.digest import digest_of_frame
from riskadj.episodes import Column, Episodes
from riskadj.errors import (
    ColumnError,
    EmptyCohortError,
    NoVariationError,
    TooFewProvidersError,
    did_you_mean,
)
from riskadj.study import Outcome, Study
from riskadj.study.records import Exclusion

FLOW_COLUMNS = ["outcome", "station", "reason", "left", "remaining"]


@dataclass(frozen=True)
class Cohort:
    """The episodes of one outcome that teach or are compared.

    Attributes
    ----------
    outcome : Outcome
    train, test : DataFrame
        Episodes that models learn from, and episodes whose providers are compared; the same
        ones when the study is cross-fitted. Both hold `baseline_score` and `observed_score`.
    volumes : Series of int
        By provider, in the order of their names: eligible episodes in the periods compared,
        whether or not both scores are there; 0 for a provider that did other procedures only.
    columns : dict of str to Column
        Declarations of the columns.
    flow : DataFrame
        `outcome, station, reason, left, remaining`.
    digest : str
    """

    outcome: Outcome
    train: pd.DataFrame
    test: pd.DataFrame
    volumes: pd.Series
    columns: dict[str, Column]
    flow: pd.DataFrame
    digest: str


def select_cohort(episodes: Episodes, study: Study, outcome: Outcome) -> Cohort:
    """Select the episodes of an outcome by the rules of a study.

    Parameters
    ----------
    episodes : Episodes
    study : Study
    outcome : Outcome
        One of the study's.

    Raises
    ------
    ColumnError
        When a rule needs a column that the episodes do not have.
    EmptyCohortError
        When nobody is left to learn from or to compare.
    TooFewProvidersError
        When fewer than two providers are left.
    NoVariationError
        When the outcome is the same for everybody.
    """
    kept = _with_scores(episodes, outcome)
    flow = [_flow_row(outcome, "episodes", "read", 0, len(kept))]
    for reason, leaves in _rules(kept, study):
        kept, row = _leave(kept, leaves, outcome, "cohort", reason)
        flow.append(row)
    train = kept[kept["period"].isin(study.split.train)]
    test = kept[kept["period"].isin(study.split.test)]
    flow.append(_flow_row(outcome, "train", f"periods {_list(study.split.train)}", 0, len(train)))
    flow.append(_flow_row(outcome, "test", f"periods {_list(study.split.test)}", 0, len(test)))
    if study.has_learner("reference"):
        name = f"reference_predicted_{outcome.definition.measure}"
        _need(episodes, name, "learners: reference")
        test, row = _leave(test, test[name].isna(), outcome, "test", "no reference expectation")
        flow.append(row)
    table = pd.DataFrame(flow, columns=FLOW_COLUMNS)
    _check_usable(train, test, table, study, outcome)
    digest = digest_of_frame(test, digest_of_frame(train, episodes.digest))
    return Cohort(
        outcome,
        train.reset_index(drop=True),
        test.reset_index(drop=True),
        _volumes(episodes.table, study),
        episodes.columns,
        table,
        digest,
    )


def _with_scores(episodes: Episodes, outcome: Outcome) -> pd.DataFrame:
    measure = outcome.definition.measure
    scores = {"baseline_score": f"q1_score_{measure}", "observed_score": f"q2_score_{measure}"}
    for name in scores.values():
        _need(episodes, name, f"outcomes: {outcome.name}")
    return episodes.table.assign(**{new: episodes.table[old] for new, old in scores.items()})


def _volumes(table: pd.DataFrame, study: Study) -> pd.Series:
    compared = table[table["period"].isin(study.split.test)]
    eligible = compared["procedure_group"] == study.cohort.procedure_group
    return eligible.groupby(compared["provider_id"]).sum().sort_index()


def _rules(table: pd.DataFrame, study: Study) -> Iterator[tuple[str, pd.Series]]:
    """Yield each reason to leave with whom it concerns, over the whole table."""
    rules = study.cohort
    yield (
        f"another procedure than {rules.procedure_group}",
        (table["procedure_group"] != rules.procedure_group),
    )
    periods = {*study.split.train, *study.split.test}
    yield "a period neither in train nor in test", ~table["period"].isin(periods)
    for number, one in enumerate(rules.exclude):
        yield one.reason, _excluded(table, one, f"cohort.exclude.{number}")
    if rules.follow_up_days is not None:
        window = rules.follow_up_days
        days = _follow_up_days(table)
        outside = ~days.between(window.at_least, window.at_most) & table["observed_score"].notna()
        yield (
            f"follow-up not within {window.at_least:g} to {window.at_most:g} days",
            outside,
        )
    yield "no score before", table["baseline_score"].isna()
    yield "no score after", table["observed_score"].isna()


def _follow_up_days(table: pd.DataFrame) -> pd.Series:
    if "q2_days" in table.columns:
        return table["q2_days"]
    if {"q2_date", "index_date"} <= set(table.columns):
        return (table["q2_date"] - table["index_date"]).dt.days
    raise ColumnError(
        "cohort.follow_up_days: wanted q2_days, or q2_date and index_date, in the episodes; got "
        "neither. Add them, or set it to null if the window was applied already."
    )


def _excluded(table: pd.DataFrame, rule: Exclusion, where: str) -> pd.Series:
    if rule.column not in table.columns:
        raise ColumnError(
            f"{where}.column: wanted a column of the episodes; got {rule.column!r}."
            f"{did_you_mean(rule.column, table.columns)}"
        )
    values = table[rule.column]
    excluded = pd.Series(False, index=table.index)
    if rule.missing:
        excluded |= values.isna()
    if rule.values:
        excluded |= values.isin(list(rule.values))
    if rule.below is not None:
        excluded |= values < rule.below
    if rule.above is not None:
        excluded |= values > rule.above
    return excluded


def _leave(
    kept: pd.DataFrame, leaves: pd.Series, outcome: Outcome, station: str, reason: str
) -> tuple[pd.DataFrame, tuple[str, str, str, int, int]]:
    stays = kept[~leaves.reindex(kept.index)]
    left = len(kept) - len(stays)
    return stays, _flow_row(outcome, station, reason, left, len(stays))


def _flow_row(
    outcome: Outcome, station: str, reason: str, left: int, remaining: int
) -> tuple[str, str, str, int, int]:
    return (outcome.name, station, reason, left, remaining)


def _need(episodes: Episodes, name: str, where: str) -> None:
    if name not in episodes.table.columns:
        raise ColumnError(
            f"{where}: wanted the column {name!r} in the episodes; there is none. Add it, or leave "
            "this out of the study."
        )


def _check_usable(
    train: pd.DataFrame, test: pd.DataFrame, flow: pd.DataFrame, study: Study, outcome: Outcome
) -> None:
    for name, part in (("test", test), ("train", train)):
        if part.empty:
            raise EmptyCohortError(_nobody(name, flow, study, outcome))
    providers = test["provider_id"].nunique()
    if providers < 2:
        raise TooFewProvidersError(
            f"outcome {outcome.name}: wanted two providers or more to compare; got {providers}. "
            "Check provider_id and cohort.exclude."
        )
    for name, part in (("test", test), ("train", train)):
        if part["observed_score"].nunique() < 2:
            raise NoVariationError(
                f"outcome {outcome.name}: wanted scores after that differ in {name}; got "
                f"{part['observed_score'].iloc[0]:g} for all {len(part):,} episodes."
            )


def _nobody(name: str, flow: pd.DataFrame, study: Study, outcome: Outcome) -> str:
    largest = flow.loc[flow["left"].idxmax()]
    lost = f" Most left for: {largest['reason']} ({largest['left']:,})." if largest["left"] else ""
    return (
        f"outcome {outcome.name}: wanted episodes in split.{name} "
        f"({_list(getattr(study.split, name))}); got none of {flow['remaining'].iloc[0]:,}.{lost}"
    )


def _list(periods: tuple[str, ...]) -> str:
    return ", ".join(periods)
