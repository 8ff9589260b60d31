"""How far expectations are off for the subgroups that a study names."""

from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from riskadj.fairness.groups import HELD_OUT
from riskadj.report.blocks import (
    Block,
    estimate,
    estimated,
    number,
    paragraph,
    table,
    text,
)
from riskadj.report.card.sections.calibration import OF_RATIOS
from riskadj.report.findings import Findings
from riskadj.report.lookup import costs_of, has_scores, learner_names, rows_of
from riskadj.report.words import (
    in_order,
    is_cost,
    kept_in,
    level_title,
    named,
    table_decimals,
)
from riskadj.study import Outcome


def subgroups(findings: Findings) -> Iterable[Block]:
    """Yield observed minus expected of the groups that the study names."""
    if findings.subgroups.empty:
        yield paragraph("The study names no subgroups (report.subgroups).")
        return
    yield paragraph(
        "Mean of observed minus expected, with its 95 % interval. Above 0 the group has more than "
        f"expected: {_more_of(findings)}. A group with too few episodes is "
        "suppressed, and so is another one where the first would follow from the total."
    )
    for outcome in findings.study.outcomes:
        yield _subgroup_table(findings, outcome)
        if is_cost(outcome):
            yield from _subgroup_ratios(findings, outcome)
    yield from _subgroup_curves(findings)


def _more_of(findings: Findings) -> str:
    scores = ["a higher score after", "a larger share"] if has_scores(findings) else []
    *most, last = [*scores, *(["more cost"] if costs_of(findings) else [])]
    return f"{', '.join(most)}, or {last}" if most else last


def _subgroup_table(findings: Findings, outcome: Outcome) -> Block:
    rows = rows_of(findings.subgroups, outcome=outcome.name)
    learners = [one for one in learner_names(findings) if one in set(rows["learner"])]
    groups = _in_order(rows[["column", "level"]].drop_duplicates())
    cells = {(one.column, one.level, one.learner): one for one in rows.itertuples(index=False)}
    decimals = table_decimals(outcome)
    return table(
        f"{named(outcome)}: observed minus expected, by subgroup and learner",
        [text("Column", code=True), text("Level"), number("Episodes"),
         number("Observed", decimals), *(estimate(one, decimals) for one in learners)],
        [_subgroup_row(group, [cells.get((*group, one)) for one in learners]) for group in groups],
    )  # fmt: skip


def _subgroup_ratios(findings: Findings, outcome: Outcome) -> Iterable[Block]:
    """Yield predictive ratios of the subgroups that the audit of groups has, too."""
    rows = rows_of(findings.groups, outcome=outcome.name, fold=HELD_OUT)
    ratios = {
        (one.column, one.level, one.learner): one
        for one in rows[rows["group"] == rows["column"]].itertuples(index=False)
    }
    told = rows_of(findings.subgroups, outcome=outcome.name)[["column", "level"]].drop_duplicates()
    known = {key[:2] for key in ratios}
    groups = [one for one in _in_order(told) if one in known]
    if not groups:
        return
    learners = learner_names(findings, outcome)
    yield table(
        f"{named(outcome)}: expected over observed, by subgroup and learner",
        [text("Column", code=True), text("Level"), number("Episodes"),
         *(estimate(one, 3) for one in learners)],
        [_ratio_row(group, [ratios.get((*group, one)) for one in learners]) for group in groups],
        OF_RATIOS,
        kept_in("groups.csv", "the predictive ratio of every group"),
    )  # fmt: skip


def _ratio_row(group: tuple[str, str], cells: Sequence[Any]) -> list[Any]:
    first = next(one for one in cells if one is not None)
    column, level = group
    return [column, level_title(level), first.n, *map(_ratio, cells)]


def _ratio(cell: Any) -> list[float] | None:
    if cell is None:
        return None
    ends = (getattr(cell, f"predictive_ratio{end}") for end in ("", "_lower95", "_upper95"))
    return estimated(*map(float, ends))


def _in_order(groups: pd.DataFrame) -> list[tuple[str, str]]:
    """Return columns and levels: columns as they come, levels as people count."""
    places = {name: place for place, name in enumerate(groups["column"].unique())}
    pairs = [(str(column), str(level)) for column, level in groups.to_numpy()]
    return sorted(pairs, key=lambda pair: (places[pair[0]], in_order(pair[1])))


def _subgroup_curves(findings: Findings) -> Iterable[Block]:
    """Yield how many fifths of subgroups are off, and the one that is farthest, by learner."""
    rows, units = [], {one.name: one.unit for one in findings.study.outcomes}
    for (outcome, learner), fifths in findings.curves.groupby(["outcome", "learner"], sort=False):
        known = fifths[fifths["lower95"].notna()]
        off = known[(known["lower95"] > 0) | (known["upper95"] < 0)]
        if off.empty:
            continue
        one = off.loc[off[["lower95", "upper95"]].abs().min(axis=1).idxmax()]
        rows.append([
            outcome, learner, len(known), len(off), one["column"], level_title(one["level"]),
            one["decile"], one["n"], estimated(one["difference"], one["lower95"], one["upper95"]),
            units[outcome],
        ])  # fmt: skip
    if not rows:
        return
    yield table(
        "Calibration within subgroups",
        [text("Outcome"), text("Learner", code=True), number("Fifths"), number("Off"),
         text("Farthest off", code=True), text("Level"), number("Fifth"), number("Episodes"),
         estimate("Observed \N{MINUS SIGN} expected (95 %)", None), text("Unit")],
        rows,
        "Each subgroup in fifths of what is expected of its own episodes, from lowest to highest. "
        "Off: 0 is outside the 95 % interval, as by chance in 1 fifth of 20. Farthest off: whose "
        "interval is farthest from 0.",
        kept_in("calibration.csv", "every fifth of every subgroup"),
    )  # fmt: skip


def _subgroup_row(group: tuple[str, str], cells: Sequence[Any]) -> list[Any]:
    first = next(one for one in cells if one is not None)
    column, level = group
    return [column, level_title(level), first.n, first.observed, *map(_interval, cells)]


def _interval(cell: Any) -> list[float] | None:
    return None if cell is None else estimated(cell.difference, cell.lower95, cell.upper95)
