"""How each provider compares, and how far that hangs on the learner."""

from collections.abc import Callable, Iterable
from itertools import chain, combinations
from operator import attrgetter
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
from riskadj.report.card.sections.comparing import comparing, warnings
from riskadj.report.figures import figure_blocks
from riskadj.report.findings import Findings
from riskadj.report.lookup import (
    compared,
    costs_of,
    flags_by_learner,
    learner_names,
    places_of,
    rows_of,
    told_of,
)
from riskadj.report.places import Places
from riskadj.report.words import is_cost, kept_in, listed, named, table_decimals
from riskadj.study import Outcome

WITHHELD = "withheld"
_Shown = tuple[Callable[[Any], Any], Column]
"""What is read of a row of providers, and the column that shows it."""
_NOT_CENTRED = (
    "Without recalibration O \N{MINUS SIGN} E and O/E are against expectations as learned, while "
    "adjusted results and z are against residuals centred on the episodes compared."
)
_PER_EPISODE = {
    "gain": "Gains are means per episode.",
    "score after": "Scores are means per episode.",
    "change": "Changes are means per episode.",
    "share": "Shares are of episodes.",
    "cost": "Costs are means per episode.",
}
_RATIOS = (
    "O/E: observed over expected; P/E: predicted over expected, predicted with the provider's own "
    "effect drawn to the middle. Both are withheld where what is expected is too near 0 to divide "
    "by."
)


_Z = (
    "z: how far the result is from where a provider that is not to be flagged would be, in the "
    "standard deviations by which limits are set."
)


def providers(findings: Findings) -> Iterable[Block]:
    """Yield how providers are compared, who is flagged, and how flags change with the learner."""
    yield from warnings(findings)
    yield from comparing(findings)
    yield _flag_counts(findings)
    for outcome in findings.study.outcomes:
        yield from _side_by_side(findings, outcome)
        yield _beyond(findings, outcome)
    yield _agreement(findings)


def _side_by_side(findings: Findings, outcome: Outcome) -> Iterable[Block]:
    """Yield funnel and caterpillar of each learner, next to each other."""
    kinds = [figure_blocks(findings, kind, outcome) for kind in ("funnel", "caterpillar")]
    return chain.from_iterable(zip(*kinds, strict=True))


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
    sides = "the better side, too"
    if costs_of(findings):
        sides = f"{sides}: of a cost, the cheaper"
    return f"Of {listed(names)} less is better: there, above stands for {sides}."


def _beyond(findings: Findings, outcome: Outcome) -> Block:
    several = len(learner_names(findings, outcome)) > 1
    told, flags = told_of(findings, outcome), flags_by_learner(findings, outcome)
    columns = _columns(findings, outcome)
    order = "the provider's mean z" if several else "z"
    rows = [
        [
            *(read(one) for read, _ in columns),
            *([_same_flag(flags, one.provider_id, one.flag)] * several),
        ]
        for one in _flagged(findings, outcome).itertuples(index=False)
    ]
    return table(
        f"{named(outcome)}: providers {told.whom}",
        [*(column for _, column in columns), *([text("Learners that agree")] * several)],
        rows,
        f"In order of {order}. {_PER_EPISODE[outcome.compares.noun]} {_RATIOS} A provider is "
        f"unnamed in the figure where its name has no room. {_Z}",
        kept_in("providers.csv", "every provider"),
        _NOT_CENTRED if findings.study.recalibration.method == "none" else "",
    )


def _columns(findings: Findings, outcome: Outcome) -> list[_Shown]:
    """Return what is shown of a provider, in order; of costs ratios come first."""
    score, limits = table_decimals(outcome), told_of(findings, outcome).limits
    noun = outcome.compares.noun
    who: list[_Shown] = [
        (attrgetter("provider_id"), text("Provider")),
        (attrgetter("learner"), text("Learner", code=True)),
        (attrgetter("n"), number("Episodes")),
    ]
    means: list[_Shown] = [
        (attrgetter("observed"), number(f"Observed {noun}", score)),
        (attrgetter("expected"), number(f"Expected {noun}", score)),
    ]
    ratios: list[_Shown] = [
        (attrgetter("ratio"), number("O/E", 3, WITHHELD)),
        _predicted_ratio(findings),
    ]
    rest: list[_Shown] = [
        (attrgetter("difference"), number("O \N{MINUS SIGN} E", score)),
        (attrgetter("adjusted"), number(f"Adjusted {noun}", score)),
        (attrgetter(f"lower{limits}"), number("Lower limit", score)),
        (attrgetter(f"upper{limits}"), number("Upper limit", score)),
        (attrgetter("z"), number("z", 2)),
    ]
    first = [*ratios, *means] if is_cost(outcome) else [*means, *ratios]
    return [*who, *first, *rest]


def _predicted_ratio(findings: Findings) -> _Shown:
    """Return predicted over expected, with its interval where the study asks for a bootstrap."""
    if not findings.study.profile.replicates:
        return attrgetter("predicted_ratio"), number("P/E", 3, WITHHELD)
    ends = attrgetter("predicted_ratio", "predicted_ratio_lower95", "predicted_ratio_upper95")
    column = estimate("P/E (95 %)", 3) | {"missing": WITHHELD}
    return lambda one: estimated(*ends(one)), column


def _flagged(findings: Findings, outcome: Outcome) -> pd.DataFrame:
    rows = compared(findings, outcome=outcome.name)
    rows = rows[rows["flag"].isin(told_of(findings, outcome).flags)]
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
