"""How providers are compared: the rules in force, the population, and what its limits learned."""

from collections.abc import Iterable

from riskadj.report.blocks import (
    SUPPRESSED,
    Block,
    Column,
    facts,
    number,
    paragraph,
    table,
    text,
    warning,
)
from riskadj.report.choices import rules_in_words
from riskadj.report.findings import Findings
from riskadj.report.lookup import called, costs_of, has_scores, places_of
from riskadj.report.words import (
    format_number,
    kept_in,
    listed,
    noun_of,
    sentence_decimals,
    unit_phrase,
)
from riskadj.study import Outcome
from riskadj.study.profile import ProfileRules

_ALL_WELL = "All fits behind the comparison converged, and none of its analyses was left out."
_GIVEN = (
    "Figures that the study gives are those of a population that the files hold only in part. "
    "Residuals are still centred on the episodes compared, so that a provider at their mean is put "
    "at the mean given."
)
_SD = "SD: standard deviation."
_LEARNED = (
    "A provider that is not to be flagged has a result around the centre: off it by the shift, "
    "with a standard deviation made of its standard error times the factor, and of the differences "
    "allowed for. Limits are so many standard deviations (SD) away."
)


def warnings(findings: Findings) -> Iterable[Block]:
    """Yield what fits warned of, or that none did."""
    if not findings.fit_warnings:
        yield paragraph(_ALL_WELL)
    yield from map(warning, findings.fit_warnings)


def comparing(findings: Findings) -> Iterable[Block]:
    """Yield the rules in force, and the population that providers are compared with."""
    rules, costs = findings.study.profile, costs_of(findings)
    yield facts([
        *rules_in_words(
            rules, noun_of(findings.study.outcomes),
            scores=len(costs) < len(findings.study.outcomes), costs=bool(costs),
        ),
        *((f"Reference figures ({one.name})", _given(findings, one))
          for one in findings.study.outcomes if one.reference),
        ("Minimum", f"{rules.minimum_n} episodes; with fewer nothing is adjusted or flagged"),
        *_minimum_response(rules),
        ("Suppression", _suppression(rules, "both scores" if has_scores(findings) else "a cost")),
        ("Reading", "A flag says that a difference is larger than the limits allow for, given the "
         "case mix recorded. It does not say why; it is a reason to look."),
    ])  # fmt: skip
    yield _reference(findings)
    if rules.peer_group is not None:
        yield _peers(findings)
    if rules.limits != "nominal":
        yield _learned(findings)


def _minimum_response(rules: ProfileRules) -> Iterable[tuple[str, str]]:
    if rules.minimum_response is not None:
        least = f"{100 * rules.minimum_response:g} %"
        yield "Minimum response", f"{least}; with less, adjusted but neither flagged nor ranked"


def _suppression(rules: ProfileRules, records: str) -> str:
    of = "episodes" if rules.suppress_by == "episodes" else f"episodes with {records}"
    return f"under {rules.suppress_below} {of} nothing of a provider is shown"


def _given(findings: Findings, outcome: Outcome) -> str:
    given, decimals, unit = outcome.reference, sentence_decimals(outcome), unit_phrase(outcome)
    assert given is not None
    return (
        f"{called(findings, outcome)} is compared with figures the study gives, not with these "
        f"episodes: a mean {outcome.compares.noun} of {format_number(given.gain, decimals)} "
        f"{unit}, and a standard deviation of residuals of {format_number(given.sd, decimals)}."
    )


def _reference(findings: Findings) -> Block:
    by_name = {one.name: one for one in findings.study.outcomes}
    noun = noun_of(by_name.values())
    columns = [
        text("Outcome"), text("Unit"), text("Learner", code=True), number("Episodes"),
        number("Mean score before", None, "none" if costs_of(findings) else SUPPRESSED),
        *(number(label, None) for label in (f"Mean {noun}", "SD of residuals")),
    ]  # fmt: skip
    rows = [
        [one.outcome, by_name[one.outcome].unit, one.learner, one.n, one.baseline,
         one.gain, one.sd]
        for one in findings.reference.itertuples(index=False)
    ]  # fmt: skip
    if not any(one.reference for one in by_name.values()):
        return table(
            "The reference population: all episodes compared", columns, rows, _SD,
            _relative(findings),
        )  # fmt: skip
    sources = [
        "the study" if by_name[row[0]].reference else "the episodes compared" for row in rows
    ]
    return table(
        "The episodes compared, and the reference population",
        [*columns, text("Mean and SD from")],
        [[*row, source] for row, source in zip(rows, sources, strict=True)],
        _GIVEN,
        _SD,
        _relative(findings),
    )


def _relative(findings: Findings) -> str:
    """Return what residuals of costs are, where there are any."""
    names = [one.name for one in costs_of(findings)]
    return f"Residuals of {listed(names)} are relative to what is expected." if names else ""


def _peers(findings: Findings) -> Block:
    """Return the peer groups, and what each is compared with."""
    several = findings.providers[findings.providers["peer_group"].ne("")]
    groups = several.groupby(["outcome", "learner", "peer_group"], sort=False)
    rows = [
        [*name, len(one), int(one["centre"].notna().sum()), one["centre"].max()]
        for name, one in sorted(groups, key=lambda each: each[0][-1])
    ]
    names = [(one.name, learner.kind) for one in findings.study.outcomes
             for learner in findings.study.learners_of(one)]  # fmt: skip
    return table(
        "Peer groups, and the adjusted result that each is compared with",
        [text("Outcome"), text("Learner", code=True), text("Group"), number("Providers shown"),
         number("Compared"), number("Centre", None, "nobody compared")],
        sorted(rows, key=lambda row: names.index((row[0], row[1]))),
        kept_in("providers.csv", "the group of every provider"),
    )  # fmt: skip


def _learned(findings: Findings) -> Block:
    """Return what limits that learn from the providers have learned."""
    units = {one.name: one.unit for one in findings.study.outcomes}
    return table(
        "What the limits learned from the providers",
        [text("Outcome"), text("Learner", code=True), text("Unit"),
         number("Centre", None, "by peer group"), number("Shift, standard errors", 2),
         number("Factor", 2), number("SD between providers", None), *_cut_columns(findings)],
        findings.reference.assign(unit=findings.reference["outcome"].map(units))[
            ["outcome", "learner", "unit", "centre", "shift", "factor", "tau",
             *("inner", "outer")[: len(_cut_columns(findings))]]
        ].itertuples(index=False),
        _LEARNED,
        _on_the_log_scale(findings),
    )  # fmt: skip


def _on_the_log_scale(findings: Findings) -> str:
    names = [one.name for one in costs_of(findings)]
    return f"Of {listed(names)} the SD between providers is on the log scale." if names else ""


def _cut_columns(findings: Findings) -> list[Column]:
    return [number(f"{words} limits at", 2) for _, _, words in places_of(findings).limits]
