"""The card: everything a reader is told about a run, as one JSON-ready value.

Markdown and HTML are renderings of it and add nothing. What it is built from is in `blocks`, what
each section says in `sections`. A text that begins with `TODO` is one that a person has still to
write.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from riskadj.report.blocks import TODO_MARK, Block
from riskadj.report.contest import contest
from riskadj.report.findings import Findings
from riskadj.report.lookup import flags_by_learner, places_of
from riskadj.report.sections.belief import belief
from riskadj.report.sections.data import casemix, data, outcomes
from riskadj.report.sections.expectations import calibration, models, performance, subgroups
from riskadj.report.sections.explanation import explanation
from riskadj.report.sections.followup import followup
from riskadj.report.sections.identity import identity, provenance, use
from riskadj.report.sections.limitations import limitations
from riskadj.report.sections.providers import providers
from riskadj.report.sections.sensitivity import sensitivity
from riskadj.report.words import counted, listed, measure
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
    ("Providers", "providers", providers),
    ("How far flags hang on choices", "sensitivity", sensitivity),
    ("How much to believe it", "belief", belief),
    ("Who answered", "followup", followup),
    ("Explanation", "explanation", explanation),
    ("Limitations", "limitations", limitations),
    ("Provenance", "provenance", provenance),
)


def build_card(findings: Findings) -> dict[str, Any]:
    """Put into words and tables what a run found.

    Returns
    -------
    dict
        `title`; `study` (name, version); `summary`, a list of sentences; `todo`, the fields that a
        person has still to write; `sections`, each with `title`, `anchor` and `blocks`. A block's
        `kind` is `paragraph`, `warning`, `facts`, `table` or `figure`.

    Examples
    --------
    >>> card = build_card(findings)  # doctest: +SKIP
    >>> [one["anchor"] for one in card["sections"]][:2]  # doctest: +SKIP
    ['identity', 'use']
    """
    study = findings.study
    return {
        "title": study.title,
        "study": {"name": study.name, "version": study.version},
        "summary": _summary(findings),
        "todo": _todo(findings),
        "sections": [
            {"title": title, "anchor": anchor, "blocks": [*blocks(findings)]}
            for title, anchor, blocks in SECTIONS
        ],
    }


def _summary(findings: Findings) -> list[str]:
    study = findings.study
    periods = ", ".join(study.split.test)
    names = listed(measure(one) for one in study.outcomes)
    first = (
        f"Providers of {study.cohort.procedure_group} in {periods}, compared on {names} under "
        f"{counted(len(study.learners), 'expectation')} from case mix."
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
        return f"{measure(outcome)}: no provider has enough episodes{peers} to be compared."
    told = places_of(findings)
    above, below = (_between((flags == flag).sum()) for flag in told.beyond)
    text = (
        f"{measure(outcome)}: {counted(len(flags), 'provider')} compared; {above} above and "
        f"{below} below the {told.outermost} limits"
    )
    return f"{text}{_by_learner(flags)}{_by_analysis(findings, outcome)}"


def _by_learner(flags: "pd.DataFrame") -> str:
    if flags.shape[1] == 1:
        return "."
    whole = flags.dropna()
    changing = int((whole.nunique(axis=1) > 1).sum())
    return (
        f", depending on the learner. {changing} of {len(whole)} change flag when the learner "
        "changes."
    )


def _by_analysis(findings: Findings, outcome: Outcome) -> str:
    flags = contest(findings, outcome)
    if len(flags.analyses) == len(findings.study.learners):
        return ""
    number, mine = len(flags.analyses), flags.flagged_by_own
    several = " with any learner" if len(flags.own) > 1 else ""
    return (
        f" {int(flags.firm.sum())} have one flag under all {number} analyses. Of the "
        f"{int(mine.sum())} that the study's own analysis puts outside limits{several}, "
        f"the flag holds under all for {int((flags.firm & mine).sum())}, and the side for "
        f"{int((flags.one_sided & mine).sum())}."
    )


def _between(counts: "pd.Series[int]") -> str:
    low, high = int(counts.min()), int(counts.max())
    return str(low) if low == high else f"{low} to {high}"


def _todo(findings: Findings) -> list[str]:
    card = findings.study.card
    texts = {name: getattr(card, name) for name in type(card).model_fields}
    return [name for name, text in texts.items() if not text or str(text).startswith(TODO_MARK)]
