"""What hangs on what is recorded."""

from collections.abc import Hashable, Iterable, Mapping
from typing import Any

import pandas as pd

from riskadj.episodes import Column
from riskadj.fairness.gaming import WORDS
from riskadj.profile.flags import cut_of
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
from riskadj.report.charts.groups import condition_label
from riskadj.report.findings import Findings
from riskadj.report.lookup import rows_of
from riskadj.report.words import (
    counted,
    format_number,
    is_cost,
    kept_in,
    learner_title,
    listed,
    named,
    table_decimals,
)
from riskadj.study import Outcome

NOT_WORKED_OUT = "not worked out"
_GAMING = (
    "What hangs on what is recorded: columns are changed, the models are asked again, and "
    "everybody else stays as they are. Above 0 the provider would come out better. A condition "
    "that is recorded because the patient has it is no gaming; a large figure says that recording "
    "has to be checked."
)
_INTERVALS = (
    "Intervals of 95 %: all is worked out again without each group of providers, who then teach "
    "nothing and are not asked about (the delete-a-group jackknife, Kott 2001, J Off Stat "
    "17:521-526). They say how far a figure hangs on the providers who taught, not that a "
    "condition is a cause."
)
_UNSURE = ", without intervals"
_WHY_UNSURE = (
    "No intervals: the learner takes too long to be taught again without groups of providers, or "
    "there is only one group."
)
_SILENT = "drop_silent"


def gaming(findings: Findings) -> Iterable[Block]:
    """Yield what changes in records are worth; nothing where the study does not ask."""
    if findings.gaming.empty:
        return
    yield paragraph(_GAMING, _INTERVALS)
    for outcome in findings.study.outcomes:
        rows = rows_of(findings.gaming, outcome=outcome.name)
        worth, silent = rows[rows["action"] != _SILENT], rows[rows["action"] == _SILENT]
        for unsure, some in worth.groupby(worth["groups"] == 0):
            yield _worth(findings, outcome, some, _UNSURE if unsure else "")
        if not silent.empty:
            yield _silent(outcome, silent.iloc[0])


def _worth(findings: Findings, outcome: Outcome, rows: pd.DataFrame, unsure: str) -> Block:
    decimals, columns = table_decimals(outcome) + 1, {one.name: one for one in findings.casemix}
    figure = number if unsure else estimate
    unit = "share of cost" if is_cost(outcome) else outcome.unit
    shown = {
        "per_patient": figure(f"Per patient, {unit}", 3 if is_cost(outcome) else decimals),
        "worth": figure(f"Adjusted {outcome.compares.noun}", decimals),
        "z": figure("z", 2),
    }
    if rows["money"].notna().any():
        shown["money"] = figure(f"Money, {rows['currency'].iloc[0]}", 0)
    return table(
        f"{named(outcome)}: what records are worth to a provider with "
        f"{counted(int(rows['n'].iloc[0]), 'episode')}{unsure}",
        [text("Learner"), text("Change"), number("Patients"), percent("Of all"),
         *(one | {"missing": NOT_WORKED_OUT} for one in shown.values())],
        [
            [learner_title(one["learner"]), _change(one, columns), one["patients"], one["share"],
             *(one[name] if unsure else _estimate(one, name) for name in shown)]
            for one in rows.to_dict("records")
        ],
        "Patients: to whom it can be done. Adjusted: if it is done to all of them, or where it "
        "says so to one. z: the same in standard deviations of such a provider's result; limits of "
        f"flags by z are at {_limits(findings)}, either side of 0.",
        _WHY_UNSURE if unsure else "",
        kept_in("gaming.csv", "every change"),
    )  # fmt: skip


def _limits(findings: Findings) -> str:
    return listed(format_number(cut_of(one), 2) for one in findings.study.profile.levels)


def _silent(outcome: Outcome, row: "pd.Series[Any]") -> Block:
    """Return what losing one who did not answer does, which is the same for every learner."""
    points, low, high = (
        format_number(100 * row[f"response{end}"], 2) for end in ("", "_lower95", "_upper95")
    )
    sure = f" ({low} to {high})" if row["groups"] else ""
    return paragraph(
        f"{named(outcome)}: one patient who did not answer, no longer counted "
        f"({format_number(int(row['patients']))} did not): the response rate of a provider with "
        f"{counted(int(row['n']), 'answer')} is higher by {points}{sure} percentage points. "
        "Nothing else changes, as by complete cases one who did not answer counts for nothing."
    )


def _estimate(one: Mapping[Hashable, Any], name: str) -> list[float] | None:
    ends = "" if name == "per_patient" else f"{name}_"
    return estimated(one[name], one[f"{ends}lower95"], one[f"{ends}upper95"])


def _change(one: Mapping[Hashable, Any], columns: Mapping[str, Column]) -> str:
    words = WORDS[one["action"]]
    return f"{words}: {condition_label(one['column'], columns)}" if one["column"] else words
