"""Which rows of the findings a question is about."""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

import pandas as pd

from riskadj.report import words
from riskadj.report.findings import Findings
from riskadj.report.places import Places, Told
from riskadj.report.words import is_cost
from riskadj.study import Outcome

Answer = TypeVar("Answer")
More = ParamSpec("More")
Question = Callable[Concatenate[Findings, Outcome, More], Answer]


def once(ask: Question[More, Answer]) -> Question[More, Answer]:
    """Let a question about an outcome be worked out once per findings, which never change."""

    @wraps(ask)
    def asked(
        findings: Findings, outcome: Outcome, /, *args: More.args, **named: More.kwargs
    ) -> Answer:
        key = (ask.__qualname__, outcome.name, *map(str, args), *map(str, named.values()))
        if key not in findings.answers:
            findings.answers[key] = ask(findings, outcome, *args, **named)
        answer: Answer = findings.answers[key]
        return answer

    return asked


def rows_of(table: pd.DataFrame, **wanted: str) -> pd.DataFrame:
    """Return the rows whose columns hold the values wanted."""
    for name, value in wanted.items():
        table = table[table[name] == value]
    return table


def learner_names(findings: Findings, outcome: Outcome | None = None) -> list[str]:
    """Return the learners of the study, or those that expect an outcome, in its order."""
    study = findings.study
    return [one.kind for one in (study.learners_of(outcome) if outcome else study.learners)]


def learns(findings: Findings) -> bool:
    """Whether any expectation is learned here, rather than read as published."""
    return any(one != "reference" for one in learner_names(findings))


def places_of(findings: Findings, outcome: Outcome | None = None) -> Places:
    """Return where the flags of a study can put a provider, in the words of an outcome."""
    rules = findings.study.profile
    return Places(rules) if outcome is None else Places(rules, outcome.compares.sides)


def has_scores(findings: Findings) -> bool:
    """Whether patients are asked for any outcome."""
    return any(one.compares.asked for one in findings.study.outcomes)


def costs_of(findings: Findings) -> list[Outcome]:
    """Return the outcomes that are costs."""
    return [one for one in findings.study.outcomes if is_cost(one)]


def compared(findings: Findings, **wanted: str) -> pd.DataFrame:
    """Return the provider rows wanted that are compared with the limits."""
    rows = rows_of(findings.providers, **wanted)
    return rows[rows["adjusted"].notna() & rows["flag"].isin(places_of(findings).flags)]


def called(findings: Findings, outcome: Outcome) -> str:
    """Return what a sentence calls an outcome of these findings."""
    return words.called(outcome, findings.study.outcomes)


@once
def told_of(findings: Findings, outcome: Outcome) -> Told:
    """Return whom the tables of an outcome name, whatever the learner."""
    return places_of(findings).told_of(compared(findings, outcome=outcome.name)["flag"])


@once
def flags_by_learner(findings: Findings, outcome: Outcome) -> pd.DataFrame:
    """Return flags of the providers compared: a row per provider, a column per learner."""
    by_learner = {
        learner: compared(findings, outcome=outcome.name, learner=learner)
        .set_index("provider_id")["flag"]
        .astype(object)
        for learner in learner_names(findings, outcome)
    }
    return pd.DataFrame(by_learner)
