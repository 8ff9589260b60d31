"""The card: everything a reader is told about a run, as one JSON-ready value.

Markdown and HTML are renderings of it and add nothing. What it is built from is in `blocks`, what
each section says in `sections`. A text that begins with `TODO` is one that a person has still to
write.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from riskadj.report.blocks import Block
from riskadj.report.card.person import unwritten
from riskadj.report.card.sections.belief import belief
from riskadj.report.card.sections.calibration import calibration
from riskadj.report.card.sections.crosswalk import Contents, crosswalk
from riskadj.report.card.sections.data import casemix, data, outcomes
from riskadj.report.card.sections.explanation import explanation
from riskadj.report.card.sections.fair import fair
from riskadj.report.card.sections.fairness import fairness
from riskadj.report.card.sections.followup import followup
from riskadj.report.card.sections.gaming import gaming
from riskadj.report.card.sections.identity import identity, provenance, use
from riskadj.report.card.sections.limitations import limitations
from riskadj.report.card.sections.models import models
from riskadj.report.card.sections.performance import performance
from riskadj.report.card.sections.providers import providers
from riskadj.report.card.sections.sensitivity import sensitivity
from riskadj.report.card.sections.social import social
from riskadj.report.card.sections.subgroups import subgroups
from riskadj.report.card.sections.value import value
from riskadj.report.contest import contest
from riskadj.report.findings import Findings
from riskadj.report.lookup import called, flags_by_learner, places_of
from riskadj.report.provenance import FORMAT
from riskadj.report.words import counted, is_cost, listed, procedure_title
from riskadj.study import Outcome

if TYPE_CHECKING:
    import pandas as pd

SECTIONS: Sequence[tuple[str, str, Callable[[Findings], Iterable[Block]]]] = (
    ("Identity", "identity", identity),
    ("Intended use", "use", use),
    ("Data and flow", "data", data),
    ("Outcome definition", "outcomes", outcomes),
    ("Case mix", "casemix", casemix),
    ("Models", "models", models),
    ("Performance", "performance", performance),
    ("Calibration", "calibration", calibration),
    ("Subgroups", "subgroups", subgroups),
    ("Fairness and change", "fairness", fairness),
    ("Providers", "providers", providers),
    ("Outcome and cost together", "value", value),
    ("How far flags hang on choices", "sensitivity", sensitivity),
    ("Social circumstances", "social", social),
    ("Fairness to named groups", "fair", fair),
    ("What is recorded", "records", gaming),
    ("How much to believe it", "belief", belief),
    ("Who answered", "followup", followup),
    ("Explanation", "explanation", explanation),
    ("Limitations", "limitations", limitations),
    ("Provenance", "provenance", provenance),
)
CROSSWALK = ("Crosswalk to other frameworks", "crosswalk")
"""Title and anchor of the appendix."""


def build_card(findings: Findings) -> dict[str, Any]:
    """Put into words and tables what a run found.

    Returns
    -------
    dict
        `title`; `study` (name, version); `summary`, a list of sentences; `todo`, the fields that a
        person has still to write; `sections`, each with `title`, `anchor` and `blocks`. A block's
        `kind` is `paragraph`, `warning`, `facts`, `table` or `figure`. The last section says where
        the headings of other frameworks are in those above. `format`, of this record;
        `provenance`, as `provenance.json` has it but for its files and their seal.

    Examples
    --------
    >>> card = build_card(findings)  # doctest: +SKIP
    >>> [one["anchor"] for one in card["sections"]][:2]  # doctest: +SKIP
    ['identity', 'use']
    """
    study, todo = findings.study, unwritten(findings.study.card)
    sections = [
        {"title": title, "anchor": anchor, "blocks": said}
        for title, anchor, blocks in SECTIONS
        if (said := [*blocks(findings)])
    ]
    return {
        "format": FORMAT,
        "title": study.title,
        "study": {"name": study.name, "version": study.version},
        "summary": _summary(findings),
        "todo": todo,
        "sections": [*sections, _appendix(sections, todo)],
        "provenance": dict(findings.provenance),
    }


def _appendix(sections: Iterable[Mapping[str, Any]], todo: Sequence[str]) -> dict[str, Any]:
    """Return where the headings of other frameworks are in these sections."""
    title, anchor = CROSSWALK
    titles = {name: called for called, name, _ in SECTIONS}
    there = {one["anchor"] for one in sections}
    blocks = [*crosswalk(Contents(titles, there, todo))]
    return {"title": title, "anchor": anchor, "blocks": blocks}


def _summary(findings: Findings) -> list[str]:
    study = findings.study
    periods = ", ".join(study.split.test)
    names = listed(_within_a_sentence(called(findings, one)) for one in study.outcomes)
    numbers = sorted({len(study.learners_of(one)) for one in study.outcomes})
    most = f"up to {numbers[-1]} expectations" if len(numbers) > 1 else ""
    first = (
        f"Providers of {procedure_title(study.cohort.procedure_group)} in {periods}, "
        f"compared on {names} under {most or counted(len(study.learners), 'expectation')} "
        "from case mix."
    )
    verdicts = [_verdict(findings, one) for one in study.outcomes]
    return [first, *verdicts, *_warned(findings)]


def _warned(findings: Findings) -> list[str]:
    number = len(findings.fit_warnings)
    return [f"Read with care: {counted(number, 'warning')} under Providers."] if number else []


def _verdict(findings: Findings, outcome: Outcome) -> str:
    """Return how many providers lie outside the limits, and how far that hangs on the learner."""
    flags = flags_by_learner(findings, outcome)
    if flags.empty:
        peers = " and peers" if findings.study.profile.peer_group else ""
        name = called(findings, outcome)
        return f"{name}: no provider has enough episodes{peers} to be compared."
    counts = {one: (flags == one).sum() for one in places_of(findings).outside}
    text = (
        f"{called(findings, outcome)}: {counted(len(flags), 'provider')} compared; "
        f"{_outside(findings, outcome, counts)}"
    )
    depending = any(one.nunique() > 1 for one in counts.values())
    hanging = ", depending on the learner" if depending else ""
    return f"{text}{hanging}.{_by_learner(flags)}{_by_analysis(findings, outcome)}"


def _outside(findings: Findings, outcome: Outcome, counts: "Mapping[str, pd.Series[int]]") -> str:
    """Return how many are outside each pair of limits; of the inner ones, not counted again."""
    told = places_of(findings)
    words = "{} above and {} below the {}"
    if is_cost(outcome):
        words = "{} cheaper and {} dearer than the {}"
    pairs = [
        words.format(_between(counts[better]), _between(counts[worse]), f"{limits} limits")
        for better, worse, (_, _, limits) in zip(
            told.outside, told.outside[::-1], told.limits[::-1], strict=False
        )
    ]
    if is_cost(outcome):
        pairs[0] = f"{pairs[0]} allow for chance"
    return f"{', '.join(pairs)}{' alone' if len(pairs) > 1 else ''}"


def _within_a_sentence(name: str) -> str:
    return f"cost{name.removeprefix('Cost')}" if name.startswith("Cost, ") else name


def _by_learner(flags: "pd.DataFrame") -> str:
    if flags.shape[1] == 1:
        return ""
    whole = flags.dropna()
    changing = int((whole.nunique(axis=1) > 1).sum())
    return f" {changing} of {len(whole)} change flag when the learner changes."


def _by_analysis(findings: Findings, outcome: Outcome) -> str:
    flags = contest(findings, outcome)
    if len(flags.analyses) == len(findings.study.learners_of(outcome)):
        return ""
    number, mine = len(flags.analyses), flags.flagged_by_own
    several = " with any learner" if len(flags.own) > 1 else ""
    firm = f" {int(flags.firm.sum())} have one flag under all {number} analyses."
    if not mine.any():
        return f"{firm} The study's own analysis puts nobody outside limits{several}."
    return (
        f"{firm} Of the {int(mine.sum())} that the study's own analysis puts outside "
        f"limits{several}, the flag holds under all for {int((flags.firm & mine).sum())}, and the "
        f"side for {int((flags.one_sided & mine).sum())}."
    )


def _between(counts: "pd.Series[int]") -> str:
    low, high = int(counts.min()), int(counts.max())
    return str(low) if low == high else f"{low} to {high}"
