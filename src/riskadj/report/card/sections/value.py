"""Outcome and cost together: who is better, cheaper, both or neither, and how sure that is."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from riskadj.report.blocks import (
    Block,
    estimate,
    number,
    paragraph,
    percent,
    table,
    text,
    warning,
)
from riskadj.report.charts.value import ValuePlane, value_planes
from riskadj.report.figures import figure_blocks
from riskadj.report.findings import Findings
from riskadj.report.words import counted, kept_in, listed, measure, table_decimals
from riskadj.stats import Z95
from riskadj.study import Outcome
from riskadj.study.profile import ValueRules
from riskadj.value import CLASSES, NOT_COMPARED
from riskadj.value.classes import QUARTERS
from riskadj.value.profile import CHANCE_COLUMNS

_HOW = (
    "Outcome and cost of a patient go together, and so may those of a provider; both are allowed "
    "for. What is told is the true pair of a provider, as far as it is known: drawn to the middle "
    "by as much as chance is in it. How far providers truly differ is an estimate too, and the "
    "uncertainty from that is counted by drawing providers with replacement."
)
_AGAINST = (
    "Better and worse, cheaper and dearer: than all episodes compared, case mix aside{others}."
)
_NOT_WHY = (
    "A class says where a provider is, not why. That some are better and cheaper does not tell "
    "that spending less makes outcomes better, nor that spending more would. A class asks whether "
    "a provider differs from the mean at all, a flag whether it differs by more than the limits "
    "of the study allow for: one may be there without the other."
)


def value(findings: Findings) -> Iterable[Block]:
    """Yield what the plane of outcome and cost shows; nothing where no study asks."""
    rules = findings.study.value
    if rules is None:
        return
    yield from map(warning, findings.value_warnings)
    outcome = next(one for one in findings.study.outcomes if one.name == rules.outcome)
    planes = value_planes(findings, outcome)
    if not planes:
        yield paragraph("Outcome and cost together: nobody could be compared.")
        return
    yield paragraph(*(_counted(one) for one in planes))
    yield paragraph(_against(findings), _level(rules), _HOW, _NOT_WHY)
    yield _classes(planes)
    yield _correlations(findings, outcome)
    yield from figure_blocks(findings, "value", outcome)
    yield from (_told_apart(one) for one in planes)


def _counted(one: ValuePlane) -> str:
    said = [f"{one.counts[quarter.name]} {quarter.name}" for quarter in QUARTERS
            if quarter.name in one.counts]  # fmt: skip
    whole = counted(len(one.rows), "provider")
    return (
        f"{measure(one.outcome)} and cost, by {one.title}: of {whole} compared, "
        f"{listed(said) if said else 'none is told apart on both'}."
    )


def _against(findings: Findings) -> str:
    profile = findings.study.profile
    others = ["peers"] * (profile.peer_group is not None)
    others += ["reference"] * (profile.reference != "volume_weighted")
    return _AGAINST.format(others=f"; the study's {' and '.join(others)} play no part here"
                           if others else "")  # fmt: skip


def _level(rules: ValueRules) -> str:
    return (
        f"A class is given with a probability of {rules.level:g} or more; where neither a quarter "
        "of the plane nor a side of it has that, a provider is not told apart. A ring "
        "in the figure may reach across a line even so: it leaves out what is unlikely on every "
        "side, a class on one."
    )


def _classes(planes: list[ValuePlane]) -> Block:
    columns = [one for one in CLASSES if any(one.name in plane.counts for plane in planes)]
    return table(
        "Providers by class",
        [text("Learners", code=True), *(number(_capital(one.name)) for one in columns),
         number(_capital(NOT_COMPARED))],
        [
            [_learners(plane), *(plane.counts.get(one.name, 0) for one in columns),
             plane.not_compared]
            for plane in planes
        ],
        "Not compared: too few episodes with an outcome or a cost, too low a response, no peers, "
        "or hidden.",
    )  # fmt: skip


def _correlations(findings: Findings, outcome: Outcome) -> Block:
    return table(
        "How outcome and cost go together",
        [text("Learner", code=True), text("Learner of cost", code=True),
         number(f"SD between providers, outcome, {outcome.unit}", table_decimals(outcome) + 1),
         number("SD between providers, cost on the log scale", 3),
         number("Correlation between providers", 2), number("Within their patients", 2),
         number("Classes expected to be wrong", 2)],
        [
            [one.learner, one.cost_learner, one.sd_outcome, one.sd_cost, one.correlation,
             one.within_correlation, one.expected_wrong]
            for one in findings.value_summary.itertuples(index=False)
        ],
        "Correlations of how much better than expected with how much dearer: below 0, the better "
        "are the cheaper. SD: standard deviation. Expected to be wrong: the chances against them, "
        "summed over all classes.",
    )  # fmt: skip


def _told_apart(one: ValuePlane) -> Block:
    names = [quarter.name for quarter in QUARTERS]
    rows = one.rows[one.rows["class"].isin(names)]
    rows = rows.assign(place=rows["class"].map(names.index)).sort_values(["place", "provider_id"])
    return table(
        f"{measure(one.outcome)} ({one.outcome.name}) and cost, by {one.title}: providers told "
        "apart on both",
        [text("Provider"), text("Class"), percent("Probability"), number("Episodes with both"),
         estimate(f"Above expected, {one.outcome.unit}", table_decimals(one.outcome)),
         estimate("Cost over expected", 3)],
        [_told(row) for row in rows.to_dict("records")],
        "Both drawn to the middle, with intervals that hold 95 %, each on its own: an interval "
        "leaves out what is unlikely on two sides, a class on one.",
        kept_in("value.csv", "every provider, with what was observed,"),
    )  # fmt: skip


def _told(row: dict[str, Any]) -> list[Any]:
    middle, half = row["shrunken_outcome"], Z95 * row["shrunken_outcome_error"]
    ratio, factor = row["shrunken_cost_ratio"], np.exp(Z95 * row["shrunken_cost_error"])
    return [
        row["provider_id"], row["class"], _chance(row), row["n_both"],
        [middle, middle - half, middle + half], [ratio, ratio / factor, ratio * factor],
    ]  # fmt: skip


def _chance(row: dict[str, Any]) -> float:
    return float(pd.Series({name: row[name] for name in CHANCE_COLUMNS}).max())


def _learners(plane: ValuePlane) -> str:
    return ", ".join(dict.fromkeys(plane.learners))


def _capital(words: str) -> str:
    return words[0].upper() + words[1:]
