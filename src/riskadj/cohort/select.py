"""Selecting the episodes of one outcome, and counting everybody who leaves."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from riskadj.cohort.exclusions import exclusion_faults, is_excluded
from riskadj.cohort.rates import RATE_COLUMNS, provider_rates
from riskadj.cohort.winsorising import Winsorising, winsorised
from riskadj.digest import digest_of_frame
from riskadj.engine import in_use
from riskadj.episodes import Column, Episodes
from riskadj.episodes.mapped import chosen
from riskadj.errors import (
    ColumnError,
    EmptyCohortError,
    NoVariationError,
    RiskadjError,
    StudyError,
    TooFewProvidersError,
    ValuesError,
    did_you_mean,
    raise_all,
)
from riskadj.study import Outcome, Study

FLOW_COLUMNS = ["outcome", "station", "reason", "left", "remaining"]


@dataclass(frozen=True)
class Cohort:
    """The episodes of one outcome that teach or are compared.

    Attributes
    ----------
    outcome : Outcome
    train, test : DataFrame
        Episodes that models learn from, and episodes whose providers are compared; the same
        ones when the study is cross-fitted. Both hold `baseline_score` and `observed_score`, which
        is what is modelled: the score after, or what the outcome's kind makes of both; of a cost,
        the cost, capped where the study says so, with no score before.
    volumes : Series of int
        By provider, in the order of their names: eligible episodes in the periods compared,
        whether or not both scores are there; 0 for a provider that did other procedures only.
    columns : dict of str to Column
        Declarations of the columns.
    flow : DataFrame
        `outcome, station, reason, left, remaining`.
    digest : str
    unanswered : DataFrame
        Eligible episodes of the periods compared with a score before and none after that counts:
        never answered, answered outside the window, or not so that it could be scored. Not among
        them: those who died before, and those for whom nothing could have been compared whatever
        they answered. `observed_score` is NaN.
    rates : DataFrame
        By provider, as from `provider_rates`.
    winsorising : Winsorising or None
        What capping costs did; None where nothing is capped.
    """

    outcome: Outcome
    train: pd.DataFrame
    test: pd.DataFrame
    volumes: pd.Series
    columns: dict[str, Column]
    flow: pd.DataFrame
    digest: str
    unanswered: pd.DataFrame = field(default_factory=pd.DataFrame)
    rates: pd.DataFrame = field(default_factory=pd.DataFrame)
    winsorising: Winsorising | None = None


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
    ColumnError, StudyError
        When a rule cannot be applied to the columns that the episodes have.
    EmptyCohortError
        When nobody is left to learn from or to compare.
    TooFewProvidersError
        When fewer than two providers are left.
    NoVariationError
        When the outcome is the same for everybody.
    ValuesError
        When a cost is negative.
    """
    raise_all([*study_faults(episodes, study), *outcome_faults(episodes, study, outcome)])
    table = _with_target(episodes, outcome)
    flow = _Flow(outcome, np.ones(len(table), dtype=bool))
    for reason, count in episodes.left_out.items():
        flow.note("reading", f"left out of {reason}", len(table), count)
    flow.note("episodes", "read", len(table))
    for reason, leaves in _leaving(_eligibility, table, study, episodes.columns):
        flow.leave("cohort", reason, leaves)
    volumes = _volumes(table.loc[flow.here, [*_WHO]], table[[*_WHO]], study)
    unanswered, rates = _silent(table, flow.here, volumes, episodes, study, outcome)
    for reason, leaves in _leaving(_completeness, table, study, outcome):
        flow.leave("cohort", reason, leaves)
    table, capped = winsorised(table, flow.here, outcome, study.split)
    if capped is not None:
        flow.note("cohort", capped.told, flow.remaining)
    train = _of_periods(table, flow, study, "train")
    test = _of_periods(table, flow, study, "test")
    listed = pd.DataFrame(flow.rows, columns=FLOW_COLUMNS)
    _check_usable(train, test, listed, study, outcome)
    digest = digest_of_frame(test, digest_of_frame(train, episodes.digest))
    return Cohort(
        outcome, train, test, volumes, episodes.columns, listed, digest, unanswered, rates, capped
    )


_WHO = ("period", "provider_id")


@dataclass
class _Flow:
    """Who is still here, and who left and why."""

    outcome: Outcome
    here: NDArray[np.bool_]
    rows: list[tuple[str, str, str, int, int]] = field(default_factory=list)

    @property
    def remaining(self) -> int:
        return int(self.here.sum())

    def leave(self, station: str, reason: str, leaves: NDArray[np.bool_]) -> None:
        before = self.remaining
        self.here = self.here & ~leaves
        self.note(station, reason, self.remaining, before - self.remaining)

    def note(self, station: str, reason: str, remaining: int, left: int = 0) -> None:
        self.rows.append((self.outcome.name, station, reason, left, remaining))


def _silent(
    table: pd.DataFrame,
    eligible: NDArray[np.bool_],
    volumes: pd.Series,
    episodes: Episodes,
    study: Study,
    outcome: Outcome,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return who was asked and did not answer, and the rates of that."""
    if not outcome.compares.asked:
        nobody = table.iloc[:0].assign(answered=False)
        return _unanswered(nobody, study, outcome), pd.DataFrame(columns=RATE_COLUMNS)
    asked = _asked(table, eligible, study)
    rates = provider_rates(asked, volumes, study, outcome, episodes.participation)
    return _unanswered(asked, study, outcome), rates


def _of_periods(table: pd.DataFrame, flow: _Flow, study: Study, part: str) -> pd.DataFrame:
    """Return the episodes that teach, or those that are compared."""
    periods = getattr(study.split, part)
    inside = _Flow(flow.outcome, flow.here & table["period"].isin(periods).to_numpy(), flow.rows)
    inside.note(part, f"periods {_list(periods)}", inside.remaining)
    if part == "test" and study.expects(flow.outcome, "reference"):
        supplied = table[flow.outcome.measured.supplied]
        inside.leave(part, "no reference expectation", supplied.isna().to_numpy())
    return chosen(table, inside.here)


def study_faults(episodes: Episodes, study: Study) -> Iterator[RiskadjError]:
    """Yield what keeps the cohort rules of a study from being applied to any outcome."""
    yield from exclusion_faults(study.cohort.exclude, episodes.columns)
    asked = any(one.compares.asked for one in study.outcomes)
    if (
        asked
        and study.cohort.follow_up_days is not None
        and not (
            "q2_days" in episodes.columns or {"q2_date", "index_date"} <= set(episodes.columns)
        )
    ):
        yield ColumnError(
            "cohort.follow_up_days: wanted q2_days, or q2_date and index_date, in the episodes; "
            "got neither. Add them, or set it to null if the window was applied already."
        )
    periods = set(episodes.table["period"].dropna())
    for part in ("train", "test"):
        for period in getattr(study.split, part):
            if period not in periods:
                yield EmptyCohortError(
                    f"split.{part}: wanted periods of the episodes "
                    f"({', '.join(sorted(periods)[-5:])}); got {period!r}, which has none."
                    f"{did_you_mean(period, periods)}"
                )


def outcome_faults(episodes: Episodes, study: Study, outcome: Outcome) -> Iterator[RiskadjError]:
    """Yield the columns that an outcome needs and the episodes lack."""
    one, where = outcome.measured, f"outcomes: {outcome.name}"
    needed = {name: where for name in (one.before, one.after) if name}
    if outcome.winsorise and outcome.winsorise.by:
        needed[outcome.winsorise.by] = f"{where}.winsorise.by"
    if one.supplied and study.expects(outcome, "reference"):
        needed[one.supplied] = "learners: reference"
    for name, said in needed.items():
        if name not in episodes.columns:
            yield ColumnError(
                f"{said}: wanted the column {name!r} in the episodes; there is none. Add it, or "
                "leave this out of the study."
            )
    if outcome.kind == "cost" and one.after in episodes.columns:
        yield from _cost_faults(episodes.columns[one.after], where)


def _cost_faults(column: Column, where: str) -> Iterator[RiskadjError]:
    """Yield why a column cannot be what an episode cost."""
    if column.kind not in ("number", "whole") or column.known_at == "baseline":
        yield StudyError(
            f"{where}.column: wanted an amount known during or after the episode; got "
            f"{column.name!r}, {column.kind}, known at {column.known_at}. Choose another column."
        )


def _with_target(episodes: Episodes, outcome: Outcome) -> pd.DataFrame:
    table, one = episodes.table, outcome.measured
    nothing = pd.Series(np.nan, index=table.index)
    scores = {
        "baseline_score": table[one.before] if one.before else nothing,
        "score_after": table[one.after],
    }
    before, after = (each.to_numpy(dtype=float) for each in scores.values())
    if outcome.kind == "cost" and np.nanmin(after, initial=np.inf) < 0:
        raise ValuesError(
            f"outcome {outcome.name}: wanted {one.after!r} of 0 or more; got {np.nanmin(after):g}. "
            "Correct the file."
        )
    target = outcome.compares.target(outcome, before, after)
    return table.assign(**scores, observed_score=target)


def _volumes(eligible: pd.DataFrame, everybody: pd.DataFrame, study: Study) -> pd.Series:
    """Count eligible episodes of each provider that is there in the periods compared."""
    compared = everybody.loc[everybody["period"].isin(study.split.test), "provider_id"]
    counted = eligible.loc[eligible["period"].isin(study.split.test), "provider_id"]
    providers = pd.Index(sorted(compared.unique()), name="provider_id")
    return counted.value_counts().reindex(providers, fill_value=0).astype(int)


Rules = Iterator[tuple[str, pd.Series]]
"""Each reason to leave, with whom it concerns."""
_LOOKED_AT = (
    "procedure_group", "period", "q2_days", "q2_date", "index_date", "score_after",
    "baseline_score", "observed_score",
)  # fmt: skip


def _leaving(
    rules: Callable[..., Rules], table: pd.DataFrame, study: Study, *args: Any
) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Yield each reason of some rules with whom it concerns, found out block by block."""
    names = {*_LOOKED_AT, *(one.column for one in study.cohort.exclude)}
    looked_at = table[[name for name in table.columns if name in names]]
    blocks = [found for _, found in in_use().over_rows(_listed, [looked_at], rules, study, *args)]
    for same in zip(*blocks, strict=True):
        yield same[0][0], np.concatenate([leaves for _, leaves in same])


def _listed(
    table: pd.DataFrame, rules: Callable[..., Rules], *args: Any
) -> list[tuple[str, NDArray[np.bool_]]]:
    return [(reason, leaves.to_numpy(dtype=bool)) for reason, leaves in rules(table, *args)]


def _eligibility(table: pd.DataFrame, study: Study, columns: dict[str, Column]) -> Rules:
    group = study.cohort.procedure_group
    yield f"another procedure than {group}", table["procedure_group"] != group
    periods = {*study.split.train, *study.split.test}
    yield "a period neither in train nor in test", ~table["period"].isin(periods)
    for one in study.cohort.exclude:
        yield one.reason, is_excluded(table, one, columns[one.column])


def _completeness(table: pd.DataFrame, study: Study, outcome: Outcome) -> Rules:
    window = study.cohort.follow_up_days
    if window is not None and outcome.compares.asked:
        outside = _outside_window(table, study)
        yield f"follow-up not within {window.at_least:g} to {window.at_most:g} days", outside
    for column, reason in outcome.compares.needs:
        yield reason, table[column].isna()
    undefined = outcome.compares.undefined(outcome)
    if undefined:
        yield undefined, table["observed_score"].isna()


def _outside_window(table: pd.DataFrame, study: Study) -> pd.Series:
    window = study.cohort.follow_up_days
    if window is None:
        return pd.Series(False, index=table.index)
    days = _follow_up_days(table)
    return ~days.between(window.at_least, window.at_most) & table["score_after"].notna()


def _asked(table: pd.DataFrame, eligible: NDArray[np.bool_], study: Study) -> pd.DataFrame:
    """Return those of the periods compared with a score before, and whether they answered."""
    before = table["baseline_score"].notna() & table["period"].isin(study.split.test)
    asked = chosen(table, (eligible & before).to_numpy())
    answered = asked["score_after"].notna() & ~_outside_window(asked, study)
    return asked.assign(answered=answered)


def _unanswered(asked: pd.DataFrame, study: Study, outcome: Outcome) -> pd.DataFrame:
    silent = chosen(asked.drop(columns="answered"), ~asked["answered"].to_numpy(dtype=bool))
    if silent.empty:
        return silent.assign(score_after=np.nan, observed_score=np.nan).reset_index(drop=True)
    before = silent["baseline_score"].to_numpy(dtype=float)
    # Whether a target is defined hangs on the score before alone: any score after will do.
    any_after = np.full(before.size, outcome.measured.range[0])
    stays = ~np.isnan(outcome.compares.target(outcome, before, any_after))
    if "deceased" in silent.columns:
        stays &= ~silent["deceased"].eq(1).to_numpy()
    if study.expects(outcome, "reference"):
        stays &= silent[outcome.measured.supplied].notna().to_numpy()
    unknown = {"score_after": np.nan, "observed_score": np.nan}
    return silent[stays].assign(**unknown).reset_index(drop=True)


def _follow_up_days(table: pd.DataFrame) -> pd.Series:
    if "q2_days" in table.columns:
        return table["q2_days"]
    return (table["q2_date"] - table["index_date"]).dt.days


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
                f"outcome {outcome.name}: wanted results ({outcome.compares.noun}) that differ in "
                f"{name}; got {part['observed_score'].iloc[0]:g} for all {len(part):,} episodes."
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
