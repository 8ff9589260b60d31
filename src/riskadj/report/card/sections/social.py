"""What hangs on social circumstances."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

import pandas as pd

from riskadj.episodes.columns import Column
from riskadj.expected.evaluate import NOT_RECORDED
from riskadj.fairness.social import MODES, TOGETHER
from riskadj.report.blocks import (
    Block,
    estimate,
    estimated,
    number,
    paragraph,
    table,
    text,
    warning,
)
from riskadj.report.charts.graded import graded_curve, has_curve
from riskadj.report.charts.groups import columns_of, group_label
from riskadj.report.figures import figure_blocks
from riskadj.report.findings import Findings
from riskadj.report.lookup import learner_names, places_of, rows_of
from riskadj.report.words import feature_label, kept_in, listed, named, table_decimals
from riskadj.study import Outcome

MODE_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "none": "none: case mix alone",
        "adjust": "adjust: patients in like circumstances expect the like",
        "stratify": "stratify: like against like, in the population's shares",
        "peer_group": "peer group: providers of patients in like circumstances",
        "study": "as the study has it: in the case mix",
    }
)
_MODES = (
    "Four ways to deal with social circumstances, side by side. None: they count for nothing. "
    "Adjust: what they do among patients of the same provider is part of the expectation. "
    "Stratify: patients are compared with others in like circumstances only, and the strata put "
    "together in the shares of the whole population, by NHS England's method. Peer group: the "
    "expectation is from case mix alone, and a provider is compared with those whose patients are "
    "in like circumstances."
)
_CHOICE = (
    "Which of them is right is a choice and no finding. Without adjustment a provider answers for "
    "circumstances that it did not make; with it worse results of the poor are what is expected. "
    "Strata show both."
)
_WITHIN = (
    "Where poorer patients go to worse providers, a slope between all patients takes part of the "
    "difference in quality for poverty, and adjusting for it would hide that. So what is adjusted "
    "for is learned among patients of the same provider, and from other episodes than those it is "
    "used for. In all ways but the study's own case mix is taken without social factors."
)
_OWN = (
    "The study's own way has the figures of the provider tables. It follows from its case mix and "
    "its peer groups."
)
_FEW = "too few providers"
_GAP = " (not recorded)"
"""How the name of a factor ends that says that a column has no value."""
_CURVE = (
    "Between none and all there are degrees. The curve is this package's own proposal: the share "
    "times what social circumstances do within providers, beyond what goes with case mix, is added "
    "to the expectation on the scale of its link, and the sum of expectations is kept."
)


def social(findings: Findings) -> Iterable[Block]:
    """Yield modes and curve; nothing where the study asks for none."""
    yield from map(warning, findings.fairness_told)
    rules = findings.study.fairness.social
    if rules is None or findings.social.empty:
        return
    columns = columns_of(findings)
    factors = listed(feature_label(one, columns) for one in rules.columns)
    yield paragraph(_MODES, _CHOICE, f"Social factors here: {factors}.", _OWN)
    yield _counts(findings)
    yield paragraph(_WITHIN)
    yield _slopes(findings)
    yield paragraph(_CURVE)
    for outcome in findings.study.outcomes:
        yield from figure_blocks(findings, "graded", outcome)
        yield from _changing(findings, outcome)


def _counts(findings: Findings) -> Block:
    rows = [
        [outcome.name, learner, MODE_WORDS[mode], *told]
        for outcome in findings.study.outcomes
        for learner in learner_names(findings, outcome)
        for mode in MODES
        if (told := _counted(findings, outcome, learner, mode))
    ]
    return table(
        "Providers under each way",
        [text("Outcome"), text("Learner", code=True), text("Way"), text("The study's own"),
         number("Compared"), number("On the better side"), number("On the worse side"),
         number("Flag other than under none")],
        rows,
        "On a side: outside any limits.",
        kept_in("social.csv", "every provider, by stratum too,"),
    )  # fmt: skip


def _counted(findings: Findings, outcome: Outcome, learner: str, mode: str) -> list[Any]:
    sides = places_of(findings, outcome).sides
    whole = rows_of(findings.social, outcome=outcome.name, learner=learner, stratum=TOGETHER)
    flags = {name: _flags(whole, name) for name in ("none", mode)}
    mine = flags[mode]
    if mine.empty:
        return []
    at = mine.map(sides)
    both = mine.index.intersection(flags["none"].index)
    moved = int((mine[both] != flags["none"][both]).sum())
    own = rows_of(whole, mode=mode)["own"].any()
    return ["yes" if own else "", len(mine), int((at > 0).sum()), int((at < 0).sum()), moved]


def _flags(rows: pd.DataFrame, mode: str) -> "pd.Series[str]":
    some = rows[(rows["mode"] == mode) & rows["z"].notna()]
    return some.set_index("provider_id")["flag"]


def _slopes(findings: Findings) -> Block:
    columns = columns_of(findings)
    return table(
        "What social factors do: within providers, and between them",
        [text("Outcome"), text("Learner", code=True), text("Factor"),
         estimate("Within providers (95 %)", None),
         estimate("Between all patients (95 %)", None),
         estimate("Between providers (95 %)", None) | {"missing": _FEW},
         number("Episodes"), number("Providers")],
        [
            [one.outcome, one.learner, _factor(one.factor, columns),
             estimated(one.within, one.lower95, one.upper95),
             estimated(one.pooled, one.pooled_lower95, one.pooled_upper95),
             estimated(one.between, one.between_lower95, one.between_upper95),
             one.n, one.providers]
            for one in findings.social_slopes.itertuples(index=False)
        ],
        "Per unit of the factor or, of a level, against the commonest; of what is modelled, of "
        "shares in log-odds, of costs as logarithms; of the episodes that teach. Within providers "
        "is what is used; the others are for comparison. Intervals draw providers, so that a level "
        "that hardly differs in share between them has a wide one between providers.",
    )  # fmt: skip


def _factor(name: str, columns: Mapping[str, Column]) -> str:
    """Return what a reader calls a factor: a column, or a level of it."""
    column, _, level = name.removesuffix(_GAP).partition("=")
    if level or name.endswith(_GAP):
        return group_label(column, column, level or NOT_RECORDED, columns)
    return feature_label(column, columns)


def _changing(findings: Findings, outcome: Outcome) -> Iterable[Block]:
    rows: list[list[Any]] = []
    words = {one.flag: one.words for one in places_of(findings, outcome).all}
    for learner in learner_names(findings, outcome):
        one = graded_curve(findings, outcome, learner)
        if not has_curve(one):
            continue
        rows += [
            [name, learner, row["n"], words.get(row["first"], ""), words.get(row["last"], ""),
             row["at"], *(_adjusted(row, end) for end in ("first", "last"))]
            for name, row in one.changing.iterrows()
        ]  # fmt: skip
    label, decimals = f"Adjusted {outcome.compares.noun} (95 %)", table_decimals(outcome)
    if rows:
        yield table(
            f"{named(outcome)}: providers whose flag hangs on how far circumstances are adjusted "
            "for",
            [text("Provider"), text("Learner", code=True), number("Episodes"), text("Not adjusted"),
             text("Fully adjusted"), number("Changes at", 2),
             estimate(f"{label}, not adjusted", decimals), estimate(f"{label}, fully", decimals)],
            rows,
            "Changes at: the share at which the flag first changes; it can change back. It has no "
            "interval, as it says where the provider passes a limit, slopes being as they are. "
            "Intervals are of the provider's own adjusted result.",
            kept_in("graded.csv", "every provider"),
        )  # fmt: skip
    elif not rows_of(findings.graded, outcome=outcome.name).empty:
        yield paragraph(f"{named(outcome)}: no flag hangs on how far circumstances are adjusted "
                        "for.")  # fmt: skip


def _adjusted(row: Any, end: str) -> list[float] | None:
    return estimated(*(row[f"{one}_{end}"] for one in ("adjusted", "ci_lower95", "ci_upper95")))
