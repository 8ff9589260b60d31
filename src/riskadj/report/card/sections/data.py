"""What went in: the files, who was left out, what is compared, and what is adjusted for."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from riskadj.casemix.roles import refusal_by
from riskadj.instruments import Instrument
from riskadj.instruments.thresholds import KINDS as THRESHOLD_KINDS
from riskadj.instruments.thresholds import Threshold
from riskadj.report.blocks import Block, facts, number, percent, table, text, warning
from riskadj.report.card.person import told
from riskadj.report.findings import Findings
from riskadj.report.lookup import learns, rows_of
from riskadj.report.words import counted, is_cost, measure, named
from riskadj.study import Outcome

MISSING_SHOWN = 0.0005
_BETTER = {1: "more is better", -1: "less is better"}
_DIRECTIONS = {1: "higher is better", -1: "lower is better"}


_COLLECTED: Mapping[str, str] = MappingProxyType({
    "nhs_proms": "record files of NHS England's programme of patient-reported outcomes, as "
    "published",
    "sparcs": "New York State's de-identified inpatient discharges (SPARCS)",
    "csv": "an episode table, as text",
    "parquet": "an episode table, as Parquet",
    "redcap": "exports of a REDCap project",
    "fhir": "FHIR bundles of questionnaire responses",
    "claims": "claim lines, with patients and questionnaires beside them",
})  # fmt: skip
_PERIODS: Mapping[str, str] = MappingProxyType({
    "period": "as the data name them",
    "calendar_year": "calendar years of the index date",
    "financial_year_april": "years from April of the index date",
})  # fmt: skip


def data(findings: Findings) -> Iterable[Block]:
    """Yield the files, the flow of episodes, and what was not recorded."""
    yield facts(_collected(findings))
    yield table(
        "Sources",
        [text("File"), text("Digest (SHA-256)", code=True), number("Rows", 0, "")],
        [(one["name"], one["digest"], one["rows"] or None) for one in findings.provenance["data"]],
    )
    yield from _rounded(findings)
    for outcome in findings.study.outcomes:
        yield _flow(findings, outcome)
    yield from _missing(findings)
    yield facts(told(findings.study.card, "consent_and_representativeness"))


def _collected(findings: Findings) -> Iterable[tuple[str, str]]:
    """Yield what the files are, and of when."""
    study = findings.study
    yield "Collected as", _COLLECTED[study.data.format]
    yield "Periods", _PERIODS[study.data.period_from]
    yield "Learned from", _learned_from(findings)
    yield "Compared", ", ".join(study.split.test)


def _rounded(findings: Findings) -> Iterable[Block]:
    base = findings.study.report.round_counts_to
    if base:
        yield warning(
            f"Rounded: numbers of patients are multiples of {base} here and in every table, other "
            "figures have three digits. What adds up or is told to be equal does so only nearly."
        )


def _flow(findings: Findings, outcome: Outcome) -> Block:
    rows = rows_of(findings.flow, outcome=outcome.name)
    return table(
        f"{measure(outcome)} ({outcome.name}): flow of episodes",
        [text("Station"), text("Reason"), number("Left"), number("Remaining")],
        rows[["station", "reason", "left", "remaining"]].itertuples(index=False),
    )


def _missing(findings: Findings) -> Iterable[Block]:
    rows = findings.missing
    if rows.empty:
        return
    wide = rows.pivot(index="column", columns="outcome", values="share")
    wide = wide.reindex(rows["column"].unique())[[one.name for one in findings.study.outcomes]]
    some = wide[wide.max(axis=1) >= MISSING_SHOWN]
    rest = counted(len(wide) - len(some), "further column")
    yield table(
        "Case mix that was not recorded, share of the episodes compared",
        [text("Column", code=True), *(percent(name) for name in wide.columns)],
        ([name, *shares] for name, *shares in some.itertuples()),
        f"Complete, or lacking in less than 0.05 %: {rest}.",
    )


# --- outcome definition ---------------------------------------------------------------------------


def outcomes(findings: Findings) -> Iterable[Block]:
    """Yield what each outcome measures, and when."""
    study = findings.study
    for outcome in study.outcomes:
        read_from = _cost(outcome) if is_cost(outcome) else _instrument(outcome.definition)
        yield facts(
            [
                *read_from,
                ("Compared on", outcome.compares.words),
                *_threshold(outcome),
                *([("Window", _window(findings))] if outcome.compares.asked else []),
                ("Learned from", _learned_from(findings)),
                ("Compared", ", ".join(study.split.test)),
            ],
            named(outcome),
        )
    yield facts(told(study.card, "rationale"))


def _instrument(one: Instrument) -> Iterable[tuple[str, str]]:
    """Yield what an instrument is, and how it is scored."""
    low, high = one.score_range
    yield "Instrument", f"{one.title}; {one.version}" if one.version else one.title
    if one.unverified:
        yield "Scoring not verified", one.unverified
    yield "Range", f"{_range(low, high)} {one.unit}; {_DIRECTIONS[one.direction]}"
    yield "Missing answers", _missing_rule(one)
    yield "Source", one.source


def _cost(outcome: Outcome) -> Iterable[tuple[str, str]]:
    """Yield what is counted as cost, in which money, and where it is capped."""
    yield "Counted", f"{outcome.measured.title} (column {outcome.column})"
    yield "Currency", f"{outcome.currency}, in prices of {outcome.price_year}; {_BETTER[-1]}"
    capped = outcome.winsorise
    if capped is None:
        yield "Capped", "nowhere"
        return
    of = f", of each group by {capped.by}" if capped.by else ""
    yield (
        "Capped",
        f"at the {capped.upper:g} quantile of the episodes that teach{of}: a dearer episode counts "
        "as that. The flow says how many, and how much cost that leaves out of account.",
    )


def _threshold(outcome: Outcome) -> Iterable[tuple[str, str]]:
    """Yield what a responder has to reach, and who says so."""
    if outcome.threshold is None:
        return
    rule = outcome.rule
    yield "Threshold", f"{rule.meaning} ({rule.id}): {_asks(rule)}; {_BETTER[outcome.better]}"
    yield (
        "Estimated",
        (
            f"anchor: {rule.anchor}; method: {rule.method}; follow-up: {rule.follow_up}; "
            f"in: {rule.population}"
        ),
    )
    yield "Source of the threshold", rule.source
    if not rule.verified:
        yield "Unverified", rule.why_unverified


def _asks(rule: Threshold) -> str:
    return f"{THRESHOLD_KINDS[rule.kind].title}, {rule.value:g} {rule.unit}"


def _range(low: float, high: float) -> str:
    return f"{low:g} to {high:g}".replace("-", "\N{MINUS SIGN}")


def _missing_rule(one: Instrument) -> str:
    if one.items == 0:
        return "The score is asked for directly; without an answer there is none."
    if one.max_missing == 0:
        return f"Any of the {one.items} items missing: {one.missing_rule}."
    return (
        f"Up to {one.max_missing} of {one.items} items missing: {one.missing_rule}; more: no score."
    )


def _window(findings: Findings) -> str:
    window = findings.study.cohort.follow_up_days
    if window is None:
        return "As the publisher applied it; the files carry no dates."
    return f"{window.at_least:g} to {window.at_most:g} days after the operation."


def _learned_from(findings: Findings) -> str:
    split = findings.study.split
    if not learns(findings):
        return "nothing here; the expectation was published with each record"
    periods = ", ".join(split.train)
    return periods if split.out_of_time else f"{periods}, out of fold"


# --- case mix -------------------------------------------------------------------------------------


def casemix(findings: Findings) -> Iterable[Block]:
    """Yield what is adjusted for, and what may not be."""
    yield table(
        "Adjusted for",
        [text("Column", code=True), text("Meaning"), text("Unit"), text("Role"),
         text("Known at")],
        [
            (one.name, one.meaning, one.unit, one.role.replace("_", " "), one.known_at)
            for one in findings.casemix
        ],
    )  # fmt: skip
    rules = findings.study.casemix
    allowed = "allowed" if rules.allow_provider_influenced else "refused"
    coded = ", ".join(rules.coded_at_discharge)
    unused = ", ".join(one.name for one in findings.unused)
    yield facts(
        [
            ("Columns that the provider can influence", allowed),
            *([("Coded at discharge, and let in all the same", coded)] if coded else []),
            *([("In the data, and not adjusted for", unused)] if unused else []),
            *told(findings.study.card, "casemix_rationale"),
        ]
    )
    reasons: dict[str, list[str]] = {}
    for one in findings.refused:
        why = refusal_by(rules, one) or "not chosen"
        reasons.setdefault(why, []).append(one.name)
    if reasons:
        yield table(
            "Refused: columns of the data that case mix may not hold",
            [text("Because"), number("How many"), text("Columns")],
            [(why, len(names), ", ".join(names)) for why, names in reasons.items()],
        )
