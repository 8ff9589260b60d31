"""Whether expectations are right for every group of patients, and what changes between periods."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from riskadj.cohort.rates import ALL
from riskadj.fairness.drift import ACCESS, CALIBRATION, CASE_MIX, CODING, HARD
from riskadj.fairness.groups import HELD_OUT, IN_SAMPLE
from riskadj.report.blocks import (
    Block,
    estimate,
    estimated,
    number,
    paragraph,
    percent,
    table,
    text,
)
from riskadj.report.charts.groups import (
    GroupForest,
    columns_of,
    group_forest,
    group_label,
    has_groups,
    without_mirrors,
)
from riskadj.report.figures import figure_blocks
from riskadj.report.findings import Findings
from riskadj.report.lookup import called, learner_names, rows_of
from riskadj.report.words import (
    counted,
    feature_label,
    format_number,
    kept_in,
    listed,
    named,
    table_decimals,
)
from riskadj.study import Outcome

MOST_TOLD = 10
"""Rows of one table."""
_WHAT = (
    "Observed \N{MINUS SIGN} expected of a group is the mean of its results minus what was "
    "expected of them, in the unit of what is compared, of episodes held out."
)
_WHY = (
    "A group may be off because nobody foresees how it fares, because it is treated by providers "
    "that are better or worse than others, or because it is treated otherwise everywhere. Within "
    "providers, a group is held against other patients of the same provider, so that the second "
    "is out of it."
)
_SIDES = {
    1: "Where a group has less than is expected of it (below 0), providers that treat many of it "
    "come out worse than they are; where it has more, better.",
    -1: "Where a group costs more than is expected (above 0), it is paid too little, and providers "
    "that treat many of it come out worse than they are; where it costs less, better.",
}
_FITTED = (
    "On the episodes that a model learned from it is right for a group that it knows of, whatever "
    "it would do elsewhere: off there, too, a group is one that the model cannot tell apart. No "
    "profile uses these."
)
_NOT_COUNTED = (
    "Not counted: groups that are too small to have an interval, and, of a condition that patients "
    "have or have not, those without it, who mirror those with it."
)
_NO_CAUSE = (
    "A change is one in who is treated, who answers, or what is written down; which, and why, "
    "these figures cannot tell. They are of episodes with a result."
)
_BOTH = "Episodes of both"
_ONE_PERIOD = "The study has one period, so that nothing can be said of change."
_NOT_ASKED = "Changes between periods were not looked at (fairness.drift)."


def fairness(findings: Findings) -> Iterable[Block]:
    """Yield how far off expectations are for groups, and what changed; nothing where not done."""
    if findings.groups.empty:
        return
    sides = dict.fromkeys(one.better for one in findings.study.outcomes)
    yield paragraph(_WHAT, *(_SIDES[one] for one in sides), _WHY)
    for outcome in findings.study.outcomes:
        yield from _groups(findings, outcome)
    yield from _in_and_out(findings)
    yield from _drift(findings)


# --- groups ---------------------------------------------------------------------------------------


def _groups(findings: Findings, outcome: Outcome) -> Iterator[Block]:
    one = group_forest(findings, outcome)
    if not has_groups(one):
        yield paragraph(f"{called(findings, outcome)}: no group is large enough to be told of.")
        return
    yield paragraph(_counted(one))
    yield from figure_blocks(findings, "groups", outcome)
    yield from _off(one)
    yield from _flagged(findings, one)


def _counted(one: GroupForest) -> str:
    tried = len(one.rows)
    off = int((one.rows["come_out"] != "").sum())
    within = int(_off_within(one.rows).sum())
    groups, by = counted(len(one.labels), "group"), counted(len(one.learners), "learner")
    chance = format_number(0.05 * tried, 1)
    return (
        f"{one.called}: {groups} by {by}, {tried} intervals. {_leave(off)} out 0; within "
        f"providers {_leave(within).lower()} out 0. If expectations were right for every group, "
        f"about {chance} would by chance alone, of either kind."
    )


def _leave(number_of: int) -> str:
    return f"{format_number(number_of)} {'leaves' if number_of == 1 else 'leave'}"


def _off(one: GroupForest) -> Iterator[Block]:
    """Yield the groups that are surely off, by themselves or within providers."""
    rows = one.rows
    told = rows[(rows["come_out"] != "") | _off_within(rows)]
    if told.empty:
        return
    decimals = table_decimals(one.outcome)
    far = told[["mean_residual", "within_providers"]].abs().max(axis=1)
    order = told.loc[far.sort_values(ascending=False, kind="stable").index].head(MOST_TOLD)
    yield table(
        f"{named(one.outcome)}: groups that are off, or off within providers",
        [text("Group"), estimate("Observed \N{MINUS SIGN} expected (95 %)", decimals),
         estimate("Within providers (95 %)", decimals) | {"missing": "none have both"},
         text("Learner", code=True), number("Episodes"), text("In case mix")],
        [
            [row.label, _of(row, "mean_residual"), _of(row, "within_providers"), row.learner,
             row.n, row.adjusted_for]
            for row in order.itertuples(index=False)
        ],
        _the_first(len(told), "rows"),
        _which(told),
        _NOT_COUNTED,
        kept_in("groups.csv", "every group"),
    )  # fmt: skip


def _which(told: pd.DataFrame) -> str:
    """Return how many are off by themselves, and how many within providers only."""
    by_itself = int((told["come_out"] != "").sum())
    return (
        f"Of {counted(len(told), 'row')}, a group by a learner each, {by_itself} "
        f"{'has' if by_itself == 1 else 'have'} an interval that leaves out 0, and "
        f"{len(told) - by_itself} only one within providers that does."
    )


def _off_within(rows: pd.DataFrame) -> "pd.Series[bool]":
    return (rows["within_providers_lower95"] > 0) | (rows["within_providers_upper95"] < 0)


def _flagged(findings: Findings, one: GroupForest) -> Iterator[Block]:
    """Yield the groups that are treated at flagged providers more often than others, or less."""
    everybody = rows_of(findings.groups, outcome=one.outcome.name, fold=HELD_OUT, group=ALL)
    rows = [
        [row.label, _of_share(row, side), one.outcome.compares.sides[side == "worse"], row.learner,
         getattr(row, f"at_{side}"), _share_of(everybody, row.learner, side), row.n]
        for side in ("better", "worse")
        for row in _otherwise(one.rows, side).itertuples(index=False)
    ]  # fmt: skip
    if not rows:
        yield paragraph(
            f"{one.called}: no group is treated at flagged providers more often than everybody, or "
            "less, by more than chance."
        )
        return
    rows.sort(key=lambda row: -abs(row[1][0]))
    yield table(
        f"{named(one.outcome)}: groups that are treated at flagged providers otherwise than all",
        [text("Group"), estimate("Difference, percentage points (95 %)", 1),
         text("Flagged"), text("Learner", code=True), percent("Of the group"), percent("Of all"),
         number("Episodes")],
        rows[:MOST_TOLD],
        _the_first(len(rows), "differences whose interval leaves out 0"),
        "Flags are taken as they are. Who is flagged hangs on whom a provider treats only where "
        "expectations are off.",
    )  # fmt: skip


def _otherwise(rows: pd.DataFrame, side: str) -> pd.DataFrame:
    name = f"at_{side}_above_all"
    return rows[(rows[f"{name}_lower95"] > 0) | (rows[f"{name}_upper95"] < 0)]


def _share_of(everybody: pd.DataFrame, learner: str, side: str) -> float:
    return float(rows_of(everybody, learner=learner)[f"at_{side}"].iloc[0])


def _of_share(row: Any, side: str) -> list[float]:
    ends = ("", "_lower95", "_upper95")
    return [100 * float(getattr(row, f"at_{side}_above_all{end}")) for end in ends]


def _of(row: Any, figure: str) -> list[float] | None:
    middle, low, high = (getattr(row, f"{figure}{end}") for end in ("", "_lower95", "_upper95"))
    return estimated(middle, low, high)


def _the_first(number_of: int, what: str) -> str:
    return "" if number_of <= MOST_TOLD else f"The {MOST_TOLD} furthest of {number_of} {what}."


def _in_and_out(findings: Findings) -> Iterator[Block]:
    """Yield how far groups are off where models did not learn and where they did."""
    rows = []
    for outcome in findings.study.outcomes:
        mine = rows_of(findings.groups, outcome=outcome.name)
        for learner in learner_names(findings, outcome):
            far = [_distance(rows_of(mine, learner=learner, fold=one)) for one in _FOLDS]
            if not np.isnan(far[1]):
                rows.append([outcome.name, learner, *far, outcome.unit, *_sizes(mine, learner)])
    if rows:
        yield table(
            "How far groups are off on average, held out and in sample",
            [text("Outcome"), text("Learner", code=True), number("Held out", None),
             number("In sample", None), text("Unit"), number("Groups"), number("Episodes")],
            rows,
            "Mean over groups of how far observed is from expected, on either side, by episodes; "
            "no interval, as distances are above 0 by chance alone.",
            _FITTED,
        )  # fmt: skip


_FOLDS = (HELD_OUT, IN_SAMPLE)


def _sizes(rows: pd.DataFrame, learner: str) -> list[int]:
    """Return how many groups and episodes there are, held out."""
    known = rows_of(rows, learner=learner, fold=HELD_OUT)
    known = known[known["n"].notna()]
    everybody = known["group"] == ALL
    return [int((~everybody).sum()), int(known.loc[everybody, "n"].sum())]


def _distance(rows: pd.DataFrame) -> float:
    known = rows[(rows["group"] != ALL) & rows["n"].notna()]
    if known.empty:
        return float("nan")
    return float(np.average(known["mean_residual"].abs(), weights=known["n"].astype(float)))


# --- drift ----------------------------------------------------------------------------------------


def _drift(findings: Findings) -> Iterator[Block]:
    if not findings.study.fairness.drift:
        yield paragraph(_NOT_ASKED)
        return
    yield from _calibration(findings)
    first, *later = sorted({*findings.study.split.train, *findings.study.split.test})
    if not later:
        yield paragraph(_ONE_PERIOD)
        return
    rows = findings.drift[
        (findings.drift["to_period"] == later[-1]) & findings.drift["n_to"].notna()
    ]
    yield paragraph(f"What follows is of {later[-1]} against {first}.", _NO_CAUSE)
    for outcome in _one_of_a_kind(findings):
        mine = rows_of(rows, outcome=outcome.name)
        everybody, one_each = mine[mine["provider_id"] == ""], mine[mine["provider_id"] != ""]
        yield from _casemix(findings, outcome, everybody)
        yield from _access(findings, outcome, everybody)
        yield from _coding(findings, outcome, everybody, one_each)


def _one_of_a_kind(findings: Findings) -> list[Outcome]:
    """Return the first outcome that patients are asked for, and the first that they are not.

    Those who have one result mostly have the others, so that tables of each would be much the same.
    """
    first: dict[bool, Outcome] = {}
    for outcome in findings.study.outcomes:
        first.setdefault(outcome.compares.asked, outcome)
    return list(first.values())


def _calibration(findings: Findings) -> Iterator[Block]:
    rows = findings.drift[findings.drift["part"] == CALIBRATION]
    keys = ["outcome", "learner", "to_period", "level", "n_to"]
    told = []
    for group, some in rows.groupby(keys, sort=False):
        figures = {one.column: one for one in some.itertuples(index=False)}
        outcome, learner, period, taught, n = group
        cells = [_after(figures.get(one)) for one in ("mean residual", "slope")]
        told.append([outcome, learner, *cells, period, n, taught])
    if told:
        yield table(
            "Does what was learned still hold?",
            [text("Outcome"), text("Learner", code=True),
             estimate("Observed \N{MINUS SIGN} expected (95 %)", None),
             estimate("Slope (95 %)", 2), text("Period"), number("Episodes"), text("Model")],
            told,
            "On what is modelled, before recalibration. 0 and 1 where nothing has changed; other "
            "values where it has, or where a learner is too bold or too timid on new episodes. "
            "Intervals take a model as it is, whoever might have taught it otherwise.",
        )  # fmt: skip


def _after(row: Any) -> list[float] | None:
    if row is None:
        return None
    return estimated(row.after, row.lower95 + row.before, row.upper95 + row.before)


def _casemix(findings: Findings, outcome: Outcome, rows: pd.DataFrame) -> Iterator[Block]:
    known = rows[(rows["part"] == CASE_MIX) & rows["standardised"].notna()]
    if known.empty:
        return
    order = known["standardised"].abs().sort_values(ascending=False, kind="stable").index
    yield table(
        f"{called(findings, outcome)}: the case mix that changed most",
        [text("Case mix"), number("In SD", 3), estimate("Change (95 %)", None),
         number("Before", None), number("After", None), number(_BOTH)],
        [
            [_name(findings, row), row.standardised, _change(row), row.before, row.after,
             row.n_from + row.n_to]
            for row in known.loc[order].head(MOST_TOLD).itertuples(index=False)
        ],
        "In SD: in standard deviations of patients. Of a level, its share. The largest of all are "
        "shown, which are large by chance, too.",
        kept_in("drift.csv", "every column, for every outcome,"),
    )  # fmt: skip


def _access(findings: Findings, outcome: Outcome, rows: pd.DataFrame) -> Iterator[Block]:
    known = rows[(rows["part"] == ACCESS) & rows["change"].notna()]
    known = without_mirrors(known, columns_of(findings))
    if known.empty:
        return
    told = known.assign(
        moved=(known["lower95"] > 0) | (known["upper95"] < 0), some=known["fell"] + known["rose"]
    )
    told = told[told["moved"] | (told["some"] > 0) | (told["column"] == HARD)]
    providers = int(known["providers"].max())
    if told.empty:
        yield paragraph(
            f"{called(findings, outcome)}: no group's share changed by more than chance, at all "
            f"providers together or at any of the {providers} with episodes enough in both periods."
        )
        return
    order = told.sort_values(["some", "moved"], ascending=False, kind="stable")
    yield table(
        f"{called(findings, outcome)}: who is treated, and where shares changed",
        [text("Group"), estimate("Change, percentage points (95 %)", 1),
         number("Fell"), number("Rose"), percent("Before"), percent("After"), number(_BOTH)],
        [
            [_name(findings, row), [100 * one for one in _change(row) or ()], row.fell, row.rose,
             row.before, row.after, row.n_from + row.n_to]
            for row in order.head(MOST_TOLD).itertuples(index=False)
        ],
        f"The first {min(MOST_TOLD, len(told))} of {len(told)} groups whose share changed, at all "
        f"providers together or at one, of {len(known)}.",
        _beyond(findings, providers),
        kept_in("drift.csv", "every group, with the providers,"),
    )  # fmt: skip


def _beyond(findings: Findings, providers: int) -> str:
    level = findings.study.profile.levels[1]
    chance = format_number((1 - level) * providers, 1)
    return (
        "Fell, rose: at how many providers otherwise than at all together by more than "
        f"{100 * level:g} % limits; of {counted(providers, 'provider')} with episodes enough in "
        f"both periods {chance} would by chance."
    )


def _coding(
    findings: Findings, outcome: Outcome, rows: pd.DataFrame, one_each: pd.DataFrame
) -> Iterator[Block]:
    known = rows[rows["part"] == CODING]
    if known.empty:
        return
    yield table(
        f"{called(findings, outcome)}: comorbidities on record per episode",
        [text("Counted"), estimate("Change (95 %)", 3), number("Fell"), number("Rose"),
         number("Before", 2), number("After", 2), number(_BOTH)],
        [
            [row.column, _change(row), row.fell, row.rose, row.before, row.after,
             row.n_from + row.n_to]
            for row in known.itertuples(index=False)
        ],
        *_largest(one_each[one_each["part"] == CODING], list(known["column"])),
    )  # fmt: skip


def _largest(rows: pd.DataFrame, columns: Sequence[str]) -> Iterator[str]:
    """Yield the provider whose coding changed most surely otherwise than that of all."""
    for column in columns:
        known = rows[(rows["column"] == column) & rows["z"].notna()]
        if known.empty:
            continue
        row = known.loc[known["z"].abs().idxmax()]
        values = [format_number(float(row[one]), 2) for one in ("before", "after")]
        ends = listed(format_number(float(row[one]), 2) for one in ("lower95", "upper95"))
        yield (
            f"Furthest from all together, {column}: {row['provider_id']}, from {values[0]} to "
            f"{values[1]} (change between {ends}), {format_number(abs(float(row['z'])), 1)} "
            f"standard errors, of {counted(len(known), 'provider')}."
        )


def _name(findings: Findings, row: Any) -> str:
    """Return what changed, in words: a level of a column, or the column."""
    columns = columns_of(findings)
    if row.level:
        return group_label(row.column, row.column, row.level, columns)
    return feature_label(row.column, columns)


def _change(row: Any) -> list[float] | None:
    return estimated(row.change, row.lower95, row.upper95)
