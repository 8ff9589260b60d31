"""What hangs on social circumstances, on being fair to groups, and on what is recorded."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

import pandas as pd

from riskadj.fairness.fair import ALL, LEARNER
from riskadj.fairness.fair import MODELS as FAIR_MODELS
from riskadj.fairness.gaming import WORDS as ACTIONS
from riskadj.fairness.social import MODES, TOGETHER
from riskadj.report.blocks import (
    Block,
    estimate,
    estimated,
    number,
    paragraph,
    percent,
    table,
    text,
    warning,
)
from riskadj.report.charts.graded import graded_curve, has_curve
from riskadj.report.figures import figure_blocks
from riskadj.report.findings import Findings
from riskadj.report.lookup import learner_names, places_of, rows_of
from riskadj.report.words import (
    counted,
    feature_label,
    in_order,
    is_cost,
    kept_in,
    named,
    table_decimals,
)
from riskadj.study import Outcome

MOST_OTHERS = 8
NOT_WORKED_OUT = "not worked out"
MODE_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "none": "none: case mix alone",
        "adjust": "adjust: patients in like circumstances expect the like",
        "stratify": "stratify: like against like, in the population's shares",
        "peer_group": "peer group: providers of patients in like circumstances",
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
    "used for. Case mix is taken without social factors here, whatever the study's case mix holds; "
    "so figures can differ from those above."
)
_CURVE = (
    "Between none and all there are degrees. The curve is this package's own proposal: the share "
    "times what social circumstances do within providers, beyond what goes with case mix, is added "
    "to the expectation on the scale of its link, and the sum of expectations is kept."
)
_GAMING = (
    "What hangs on what is recorded: columns are changed, the models are asked again, nothing is "
    "learned again, and everybody else stays as they are. Above 0 the provider would come out "
    "better. A condition that is recorded because the patient has it is no gaming; a large figure "
    "says that recording has to be checked."
)


def social(findings: Findings) -> Iterable[Block]:
    """Yield modes, curve, fair regression and gaming; nothing where the study asks for none."""
    yield from map(warning, findings.fairness_told)
    yield from _circumstances(findings)
    yield from _fair(findings)
    yield from _gaming(findings)


# --- the four modes -------------------------------------------------------------------------------


def _circumstances(findings: Findings) -> Iterable[Block]:
    rules = findings.study.fairness.social
    if rules is None or findings.social.empty:
        return
    columns = ", ".join(rules.columns)
    own = f"The study names {rules.mode.replace('_', ' ')} as its own; factors: {columns}."
    yield paragraph(_MODES, _CHOICE, own)
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
        "Providers under each of the four ways",
        [text("Outcome"), text("Learner", code=True), text("Way"), number("Compared"),
         number("On the better side"), number("On the worse side"),
         number("Flag other than under none")],
        rows,
        "On a side: outside any limits.",
        kept_in("social.csv", "every provider, by stratum too,"),
    )  # fmt: skip


def _counted(findings: Findings, outcome: Outcome, learner: str, mode: str) -> list[int]:
    sides = places_of(findings, outcome).sides
    whole = rows_of(findings.social, outcome=outcome.name, learner=learner, stratum=TOGETHER)
    flags = {name: _flags(whole, name) for name in ("none", mode)}
    mine = flags[mode]
    if mine.empty:
        return []
    at = mine.map(sides)
    both = mine.index.intersection(flags["none"].index)
    moved = int((mine[both] != flags["none"][both]).sum())
    return [len(mine), int((at > 0).sum()), int((at < 0).sum()), moved]


def _flags(rows: pd.DataFrame, mode: str) -> "pd.Series[str]":
    some = rows[(rows["mode"] == mode) & rows["z"].notna()]
    return some.set_index("provider_id")["flag"]


def _slopes(findings: Findings) -> Block:
    return table(
        "What social factors do: within providers, and between them",
        [text("Outcome"), text("Learner", code=True), text("Factor", code=True),
         estimate("Within providers", None), number("Between all patients", None),
         number("Between providers", None)],
        [
            [one.outcome, one.learner, one.factor,
             estimated(one.within, one.lower95, one.upper95), one.pooled, one.between]
            for one in findings.social_slopes.itertuples(index=False)
        ],
        "Per unit of the factor or, of a level, against the commonest; of what is modelled, of "
        "shares in log-odds, of costs as logarithms. Within providers is what is used, with an "
        "interval of 95 % that allows for clusters; the others are shown for comparison.",
    )  # fmt: skip


def _changing(findings: Findings, outcome: Outcome) -> Iterable[Block]:
    rows: list[list[Any]] = []
    shown = "ratio" if is_cost(outcome) else "difference"
    words = {one.flag: one.words for one in places_of(findings, outcome).all}
    for learner in learner_names(findings, outcome):
        one = graded_curve(findings, outcome, learner)
        if not has_curve(one):
            continue
        rows += [
            [name, learner, words.get(row["first"], ""), words.get(row["last"], ""), row["at"],
             row[f"{shown}_first"], row[f"{shown}_last"]]
            for name, row in one.changing.iterrows()
        ]  # fmt: skip
    label = "Observed over expected" if is_cost(outcome) else "Observed \N{MINUS SIGN} expected"
    decimals = 3 if is_cost(outcome) else table_decimals(outcome)
    if rows:
        yield table(
            f"{named(outcome)}: providers whose flag hangs on how far circumstances are adjusted "
            "for",
            [text("Provider"), text("Learner", code=True), text("Not adjusted"),
             text("Fully adjusted"), number("Changes at", 2),
             number(f"{label}, not adjusted", decimals), number(f"{label}, fully", decimals)],
            rows,
            "Changes at: the share at which the flag first changes; it can change back.",
            kept_in("graded.csv", "every provider"),
        )  # fmt: skip
    elif not rows_of(findings.graded, outcome=outcome.name).empty:
        yield paragraph(f"{named(outcome)}: no flag hangs on how far circumstances are adjusted "
                        "for.")  # fmt: skip


# --- being fair to groups -------------------------------------------------------------------------


def _fair(findings: Findings) -> Iterable[Block]:
    if findings.fair.empty:
        return
    models = [f"{name}: {one.words}" for name, one in FAIR_MODELS.items()]
    yield paragraph(
        "Regressions on top of a learner, under which the mean of expected \N{MINUS SIGN} observed "
        "of named groups is 0 among those who teach (Zink and Rose 2020, Biometrics 76:973-982); "
        "figures are of episodes that did not teach.",
        f"{'; '.join(models)}.",
        "Where a group is a covariate its own level is adjusted for, quality of those who treat it "
        "included. Where it is none, others that go with it carry the money, at a price in fit "
        "and to other groups.",
    )
    for outcome in findings.study.outcomes:
        rows = rows_of(findings.fair, outcome=outcome.name)
        if not rows.empty:
            yield _fits(outcome, rows)
            yield _nets(findings, outcome, rows)


def _fits(outcome: Outcome, rows: pd.DataFrame) -> Block:
    whole = rows[rows["group"] == ALL]
    return table(
        f"{named(outcome)}: fit of fair regressions",
        [text("Learner", code=True), text("Model", code=True), estimate("R\N{SUPERSCRIPT TWO}", 3),
         estimate("Change", 3) | {"missing": ""}, percent("Out of range")],
        [
            [one.learner, one.model, estimated(one.r2, one.r2_lower95, one.r2_upper95),
             estimated(one.r2_change, one.r2_change_lower95, one.r2_change_upper95)
             if one.model != LEARNER else None, one.out_of_range]
            for one in whole.itertuples(index=False)
        ],
        "Intervals of 95 %, by provider. Out of range: expectations that the outcome cannot have.",
    )  # fmt: skip


def _nets(findings: Findings, outcome: Outcome, rows: pd.DataFrame) -> Block:
    """Return net compensation of the groups named, and of the others that move most."""
    groups = rows[rows["group"] != ALL]
    wide = groups.pivot_table(
        index=["group", "level", "targeted"], columns="model", values="net_compensation"
    )
    models = [name for name in (LEARNER, *FAIR_MODELS) if name in wide]
    first = groups[groups["model"] == LEARNER].set_index(["group", "level", "targeted"])
    moved = wide[models[1:]].sub(wide[LEARNER], axis=0).abs().max(axis=1)
    order = pd.DataFrame({"moved": moved}).reset_index()
    order = order.sort_values(["group", "level"], key=lambda one: one.map(in_order))
    kept = pd.concat(
        [order[order["targeted"]], order[~order["targeted"]].nlargest(MOST_OTHERS, "moved")]
    )
    columns = {one.name: one for one in findings.casemix}
    decimals = table_decimals(outcome)
    return table(
        f"{named(outcome)}: expected \N{MINUS SIGN} observed, groups named and others",
        [text("Group"), text("Level"), text("Named"), number("Episodes"),
         estimate("Learner", decimals), *(number(name, decimals) for name in models[1:])],
        [
            [feature_label(group, columns), level, "yes" if targeted else "",
             first["n"].get(key), _interval(first, key), *(wide.at[key, one] for one in models[1:])]
            for key in kept[["group", "level", "targeted"]].itertuples(index=False, name=None)
            for group, level, targeted in (key,)
        ],
        "Below 0 less is expected of the group than it has. Others: those that the regressions "
        "move most.",
        kept_in("fair.csv", "every group"),
    )  # fmt: skip


def _interval(first: pd.DataFrame, key: tuple[Any, ...]) -> list[float] | None:
    row = first.loc[key]
    return estimated(row["net_compensation"], row["lower95"], row["upper95"])


# --- what is recorded -----------------------------------------------------------------------------


def _gaming(findings: Findings) -> Iterable[Block]:
    if findings.gaming.empty:
        return
    yield paragraph(_GAMING)
    for outcome in findings.study.outcomes:
        rows = rows_of(findings.gaming, outcome=outcome.name)
        if not rows.empty:
            yield _worth(findings, outcome, rows)


def _worth(findings: Findings, outcome: Outcome, rows: pd.DataFrame) -> Block:
    decimals, columns = table_decimals(outcome) + 1, {one.name: one for one in findings.casemix}
    paid = rows["money"].notna().any()
    unit = "share of cost" if is_cost(outcome) else outcome.unit
    money = [number(f"Money, {rows['currency'].iloc[0]}", 0, NOT_WORKED_OUT)] if paid else []
    return table(
        f"{named(outcome)}: what records are worth to a provider with "
        f"{counted(int(rows['n'].iloc[0]), 'episode')}",
        [text("Learner", code=True), text("Change"), text("Done to"), percent("Can be done to"),
         number(f"Per patient, {unit}", 3 if is_cost(outcome) else decimals, ""),
         number(f"Adjusted {outcome.compares.noun}", decimals, ""), number("z", 2, ""),
         percent("Response"), *money],
        [
            [one.learner, _change(one, columns), one.done_to, one.share, one.per_patient,
             one.worth, one.z, one.response, *([one.money] if paid else [])]
            for one in rows.itertuples(index=False)
        ],
        "Positive is in the provider's favour. Adjusted: if it is done to all whom it can be done "
        "to, or to one. z: the same in spreads, of which the limits are some two and three. One "
        "who did not answer counts for nothing by complete cases, so that only the response rate "
        "changes.",
        kept_in("gaming.csv", "every change, with intervals,"),
    )  # fmt: skip


def _change(one: Any, columns: Mapping[str, Any]) -> str:
    words = ACTIONS[one.action]
    return f"{words}: {feature_label(one.column, columns)}" if one.column else words
