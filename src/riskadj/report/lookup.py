"""Which rows of the findings a question is about."""

import pandas as pd

from riskadj.report.findings import Findings
from riskadj.report.places import Places
from riskadj.study import Outcome


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


def places_of(findings: Findings) -> Places:
    """Return where the flags of a study can put a provider."""
    return Places(findings.study.profile)


def compared(findings: Findings, **wanted: str) -> pd.DataFrame:
    """Return the provider rows wanted that are compared with the limits."""
    rows = rows_of(findings.providers, **wanted)
    return rows[rows["adjusted"].notna() & rows["flag"].isin(places_of(findings).flags)]


def flags_by_learner(findings: Findings, outcome: Outcome) -> pd.DataFrame:
    """Return flags of the providers compared: a row per provider, a column per learner."""
    by_learner = {
        learner: compared(findings, outcome=outcome.name, learner=learner)
        .set_index("provider_id")["flag"]
        .astype(object)
        for learner in learner_names(findings, outcome)
    }
    return pd.DataFrame(by_learner)
