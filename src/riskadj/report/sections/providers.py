"""How each provider compares, and how far that hangs on the learner."""

from collections.abc import Iterable
from itertools import combinations
from typing import Any

import pandas as pd

from riskadj.report.blocks import Block, facts, number, paragraph, table, text
from riskadj.report.figures import figure_blocks
from riskadj.report.findings import Findings
from riskadj.report.lookup import (
    BEYOND_998,
    compared,
    flags_by_learner,
    learner_names,
    rows_of,
)
from riskadj.report.words import (
    FLAG_PLACES,
    format_number,
    measure,
    named,
    sentence_decimals,
    table_decimals,
    unit_phrase,
)
from riskadj.study import Outcome

WITHHELD = "withheld"
_METHODS = {
    "nhs_england": "NHS England's (A Guide to PROMs Methodology, version 12). Adjusted gain: the "
    "mean gain of the reference population plus the provider's mean residual, residuals being "
    "centred on the episodes compared. Limits: that mean gain plus and minus 1.96 and 3.0902 times "
    "the standard deviation of the population's residuals over the square root of the provider's "
    "episodes."
}
_GIVEN = (
    "Figures that the study gives are those of a population that the files hold only in part. "
    "Residuals are still centred on the episodes compared, so that a provider at their mean is put "
    "at the gain given."
)
_NOT_CENTRED = (
    "Without recalibration O \N{MINUS SIGN} E and O/E are against expectations as learned, while "
    "the adjusted gain and z are against residuals centred on the episodes compared."
)


def providers(findings: Findings) -> Iterable[Block]:
    """Yield the method, who is flagged, and how flags change with the learner."""
    rules = findings.study.profile
    yield facts([
        ("Method", _METHODS[rules.method]),
        *_compared_with(findings),
        ("Minimum", f"{rules.minimum_n} episodes; with fewer nothing is adjusted or flagged"),
        ("Suppression", f"under {rules.suppress_below} episodes nothing of a provider is shown"),
        ("Reading", "A flag says that a difference is larger than chance would make it, given the "
         "case mix recorded. It does not say why; it is a reason to look."),
    ])  # fmt: skip
    yield _reference(findings)
    yield _flag_counts(findings)
    for outcome in findings.study.outcomes:
        yield from figure_blocks(findings, "funnel", outcome)
        yield from figure_blocks(findings, "caterpillar", outcome)
        yield _beyond(findings, outcome)
    yield _agreement(findings)


# --- the population compared with -----------------------------------------------------------------


def _compared_with(findings: Findings) -> list[tuple[str, str]]:
    """Return what outcomes are compared with whose reference figures the study gives."""
    return [
        (f"Compared with ({one.name})", _given(one))
        for one in findings.study.outcomes
        if one.reference
    ]


def _given(outcome: Outcome) -> str:
    given, decimals, unit = outcome.reference, sentence_decimals(outcome), unit_phrase(outcome)
    assert given is not None
    return (
        f"{measure(outcome)} is compared with figures the study gives, not with these episodes: a "
        f"mean gain of {format_number(given.gain, decimals)} {unit}, and a standard deviation of "
        f"residuals of {format_number(given.sd, decimals)}."
    )


def _reference(findings: Findings) -> Block:
    by_name = {one.name: one for one in findings.study.outcomes}
    columns = [
        text("Outcome"), text("Unit"), text("Learner", code=True), number("Episodes"),
        *(number(label, 3) for label in ("Mean score before", "Mean gain", "SD of residuals")),
    ]  # fmt: skip
    rows = [
        [one.outcome, by_name[one.outcome].definition.unit, one.learner, one.n, one.baseline,
         one.gain, one.sd]
        for one in findings.reference.itertuples(index=False)
    ]  # fmt: skip
    if not any(one.reference for one in by_name.values()):
        return table("The reference population: all episodes compared", columns, rows)
    sources = [
        "the study" if by_name[row[0]].reference else "the episodes compared" for row in rows
    ]
    return table(
        "The episodes compared, and the reference population",
        [*columns, text("Mean gain and SD from")],
        [[*row, source] for row, source in zip(rows, sources, strict=True)],
        _GIVEN,
    )


# --- flags ----------------------------------------------------------------------------------------


def _flag_counts(findings: Findings) -> Block:
    rows = []
    for outcome in findings.study.outcomes:
        for learner in learner_names(findings):
            everybody = rows_of(findings.providers, outcome=outcome.name, learner=learner)
            flags = compared(findings.providers, outcome.name, learner)["flag"]
            counts = [int((flags == one).sum()) for one in FLAG_PLACES]
            rows.append([outcome.name, learner, *counts, len(everybody) - len(flags)])
    return table(
        "Providers by flag",
        [text("Outcome"), text("Learner", code=True),
         *(number(place[0].upper() + place[1:]) for place in FLAG_PLACES.values()),
         number("Not compared")],
        rows,
        "Above and below: of the limits around the reference gain; above is better. Those beyond "
        "the 99.8 % limits are not counted again at 95 %.",
    )  # fmt: skip


def _beyond(findings: Findings, outcome: Outcome) -> Block:
    several = len(learner_names(findings)) > 1
    flags = flags_by_learner(findings, outcome)
    score, order = table_decimals(outcome), "the provider's mean z" if several else "z"
    columns = [
        text("Provider"), text("Learner", code=True), number("Episodes"),
        number("Observed gain", score), number("Expected gain", score),
        number("O/E", 3, WITHHELD), number("O \N{MINUS SIGN} E", score),
        number("Adjusted gain", score), number("Lower limit", score),
        number("Upper limit", score), number("z", 2),
    ]  # fmt: skip
    rows = [
        [one.provider_id, one.learner, one.n, one.observed, one.expected, one.ratio,
         one.difference, one.adjusted, one.lower998, one.upper998, one.z,
         *([_same_flag(flags, one.provider_id, one.flag)] if several else [])]
        for one in _flagged(findings, outcome).itertuples(index=False)
    ]  # fmt: skip
    return table(
        f"{named(outcome)}: providers beyond the 99.8 % limits",
        [*columns, text("Learners that agree")] if several else columns,
        rows,
        f"In order of {order}. Gains are means per episode. O/E is withheld where the expected "
        "gain is too near 0 to divide by. A provider is unnamed in the figure where its name has "
        "no room. Every provider is in providers.csv.",
        _NOT_CENTRED if findings.study.recalibration.method == "none" else "",
    )


def _flagged(findings: Findings, outcome: Outcome) -> pd.DataFrame:
    rows = rows_of(findings.providers, outcome=outcome.name)
    rows = rows[rows["adjusted"].notna() & rows["flag"].isin(BEYOND_998)]
    middle = rows.groupby("provider_id")["z"].transform("mean")
    return rows.assign(middle=middle).sort_values(["middle", "provider_id", "z"])


def _same_flag(flags: pd.DataFrame, provider: str, flag: str) -> str:
    same = int((flags.loc[provider] == flag).sum())
    return f"{same} of {flags.shape[1]}"


# --- agreement between learners -------------------------------------------------------------------


def _agreement(findings: Findings) -> Block:
    if len(learner_names(findings)) == 1:
        return paragraph("With one learner, agreement between learners cannot be shown.")
    rows = [
        [outcome.name, first, second, *_agreed(flags[first], flags[second])]
        for outcome in findings.study.outcomes
        for flags in [flags_by_learner(findings, outcome)]
        for first, second in combinations(flags.columns, 2)
    ]
    return table(
        "How many providers change flag when the learner changes",
        [text("Outcome"), text("From", code=True), text("To", code=True),
         *(number(one) for one in
           ("Compared", "Same flag", "Change flag", "In or out of the 99.8 % limits",
            "From one side to the other"))],
        rows,
    )  # fmt: skip


def _agreed(first: "pd.Series[Any]", second: "pd.Series[Any]") -> list[int]:
    both = first.notna() & second.notna()
    a, b = first[both], second[both]
    beyond = a.isin(BEYOND_998) != b.isin(BEYOND_998)
    opposite = a.map(_side) * b.map(_side) < 0
    same = int((a == b).sum())
    return [len(a), same, len(a) - same, int(beyond.sum()), int(opposite.sum())]


def _side(flag: str) -> int:
    return int(flag.startswith("Positive")) - int(flag.startswith("Negative"))
