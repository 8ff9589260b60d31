"""How each provider compares, and how far that hangs on the learner."""

from collections.abc import Iterable
from itertools import combinations
from typing import Any

import pandas as pd

from riskadj.report.blocks import (
    Block,
    Column,
    estimate,
    estimated,
    number,
    paragraph,
    table,
    text,
)
from riskadj.report.figures import figure_blocks
from riskadj.report.findings import Findings
from riskadj.report.lookup import compared, flags_by_learner, learner_names, places_of, rows_of
from riskadj.report.places import Places
from riskadj.report.sections.comparing import comparing, warnings
from riskadj.report.words import listed, named, table_decimals
from riskadj.study import Outcome

WITHHELD = "withheld"
_NOT_CENTRED = (
    "Without recalibration O \N{MINUS SIGN} E and O/E are against expectations as learned, while "
    "adjusted results and z are against residuals centred on the episodes compared."
)
_PER_EPISODE = {
    "gain": "Gains are means per episode.",
    "score after": "Scores are means per episode.",
    "change": "Changes are means per episode.",
    "share": "Shares are of episodes.",
}
_RATIOS = (
    "O/E: observed over expected; P/E: predicted over expected, predicted with the provider's own "
    "effect drawn to the middle. Both are withheld where what is expected is too near 0 to divide "
    "by."
)


def providers(findings: Findings) -> Iterable[Block]:
    """Yield how providers are compared, who is flagged, and how flags change with the learner."""
    yield from warnings(findings)
    yield from comparing(findings)
    yield _flag_counts(findings)
    for outcome in findings.study.outcomes:
        yield from figure_blocks(findings, "funnel", outcome)
        yield from figure_blocks(findings, "caterpillar", outcome)
        yield _beyond(findings, outcome)
    yield _agreement(findings)


# --- flags ----------------------------------------------------------------------------------------


def _flag_counts(findings: Findings) -> Block:
    told, rows = places_of(findings), []
    for outcome in findings.study.outcomes:
        for learner in learner_names(findings, outcome):
            key = {"outcome": outcome.name, "learner": learner}
            flags = compared(findings, **key)["flag"]
            counts = [int((flags == one).sum()) for one in told.flags]
            rest = len(rows_of(findings.providers, **key)) - len(flags)
            rows.append([outcome.name, learner, *counts, rest])
    return table(
        "Providers by flag",
        [text("Outcome"), text("Learner", code=True),
         *(number(one.words[0].upper() + one.words[1:]) for one in told.all),
         number("Not compared")],
        rows,
        _sides_in_words(told),
        _where_less_is_better(findings),
    )  # fmt: skip


def _sides_in_words(told: Places) -> str:
    if len(told.limits) == 1:
        return f"Better and worse: outside the {told.outermost} limits."
    inner = told.limits[0][2]
    return (
        f"Above and below: of the limits; above is better. Those beyond the {told.outermost} "
        f"limits are not counted again at {inner}."
    )


def _where_less_is_better(findings: Findings) -> str:
    names = [one.name for one in findings.study.outcomes if one.better < 0]
    if not names:
        return ""
    return f"Of {listed(names)} less is better: there, above stands for the better side, too."


def _beyond(findings: Findings, outcome: Outcome) -> Block:
    several = len(learner_names(findings, outcome)) > 1
    told, flags = places_of(findings), flags_by_learner(findings, outcome)
    order = "the provider's mean z" if several else "z"
    rows = [
        [*_figures(one, told), *([_same_flag(flags, one.provider_id, one.flag)] * several)]
        for one in _flagged(findings, outcome).itertuples(index=False)
    ]
    return table(
        f"{named(outcome)}: providers beyond the {told.outermost} limits",
        [*_columns(findings, outcome), *([text("Learners that agree")] * several)],
        rows,
        f"In order of {order}. {_PER_EPISODE[outcome.compares.noun]} {_RATIOS} A provider is "
        "unnamed in the figure where its name has no room. Every provider is in providers.csv.",
        _NOT_CENTRED if findings.study.recalibration.method == "none" else "",
    )


def _columns(findings: Findings, outcome: Outcome) -> list[Column]:
    score, drawn = table_decimals(outcome), findings.study.profile.replicates
    noun = outcome.compares.noun
    ratio = estimate("P/E (95 %)", 3) if drawn else number("P/E", 3)
    return [
        text("Provider"), text("Learner", code=True), number("Episodes"),
        number(f"Observed {noun}", score), number(f"Expected {noun}", score),
        number("O/E", 3, WITHHELD), ratio | {"missing": WITHHELD},
        number("O \N{MINUS SIGN} E", score), number(f"Adjusted {noun}", score),
        number("Lower limit", score), number("Upper limit", score), number("z", 2),
    ]  # fmt: skip


def _figures(one: Any, told: Places) -> list[Any]:
    name = told.limits[-1][0]
    ratio = one.predicted_ratio
    if told.rules.replicates:
        ratio = estimated(ratio, one.predicted_ratio_lower95, one.predicted_ratio_upper95)
    return [
        one.provider_id, one.learner, one.n, one.observed, one.expected, one.ratio, ratio,
        one.difference, one.adjusted, getattr(one, f"lower{name}"), getattr(one, f"upper{name}"),
        one.z,
    ]  # fmt: skip


def _flagged(findings: Findings, outcome: Outcome) -> pd.DataFrame:
    rows = compared(findings, outcome=outcome.name)
    rows = rows[rows["flag"].isin(places_of(findings).beyond)]
    middle = rows.groupby("provider_id")["z"].transform("mean")
    return rows.assign(middle=middle).sort_values(["middle", "provider_id", "z"])


def _same_flag(flags: pd.DataFrame, provider: str, flag: str) -> str:
    same = int((flags.loc[provider] == flag).sum())
    return f"{same} of {flags.shape[1]}"


# --- agreement between learners -------------------------------------------------------------------


def _agreement(findings: Findings) -> Block:
    if len(learner_names(findings)) == 1:
        return paragraph("With one learner, agreement between learners cannot be shown.")
    told = places_of(findings)
    rows = [
        [outcome.name, first, second, *_agreed(flags[first], flags[second], told)]
        for outcome in findings.study.outcomes
        for flags in [flags_by_learner(findings, outcome)]
        for first, second in combinations(flags.columns, 2)
    ]
    return table(
        "How many providers change flag when the learner changes",
        [text("Outcome"), text("From", code=True), text("To", code=True),
         *(number(one) for one in
           ("Compared", "Same flag", "Change flag", f"In or out of the {told.outermost} limits",
            "From one side to the other"))],
        rows,
    )  # fmt: skip


def _agreed(first: "pd.Series[Any]", second: "pd.Series[Any]", told: Places) -> list[int]:
    both = first.notna() & second.notna()
    a, b = first[both], second[both]
    beyond = a.isin(told.beyond) != b.isin(told.beyond)
    opposite = a.map(told.sides) * b.map(told.sides) < 0
    same = int((a == b).sum())
    return [len(a), same, len(a) - same, int(beyond.sum()), int(opposite.sum())]
