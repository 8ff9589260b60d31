"""Which rows of the findings a question is about."""

import pandas as pd

from riskadj.report.findings import Findings
from riskadj.report.words import FLAG_PLACES
from riskadj.study import Outcome

BEYOND_998 = ("Positive outlier (99.8%)", "Negative outlier (99.8%)")
"""The flags outside the 99.8 % limits: above, below."""


def rows_of(table: pd.DataFrame, **wanted: str) -> pd.DataFrame:
    """Return the rows whose columns hold the values wanted."""
    for name, value in wanted.items():
        table = table[table[name] == value]
    return table


def learner_names(findings: Findings) -> list[str]:
    """Return the learners of the study, in its order."""
    return [one.kind for one in findings.study.learners]


def learns(findings: Findings) -> bool:
    """Whether any expectation is learned here, rather than read as published."""
    return any(one != "reference" for one in learner_names(findings))


def compared(providers: pd.DataFrame, outcome: str, learner: str) -> pd.DataFrame:
    """Return the rows of an outcome and learner that are compared with the limits."""
    rows = rows_of(providers, outcome=outcome, learner=learner)
    return rows[rows["adjusted"].notna() & rows["flag"].isin(list(FLAG_PLACES))]


def flags_by_learner(findings: Findings, outcome: Outcome) -> pd.DataFrame:
    """Return flags of the providers compared: a row per provider, a column per learner."""
    by_learner = {
        learner: compared(findings.providers, outcome.name, learner)
        .set_index("provider_id")["flag"]
        .astype(object)
        for learner in learner_names(findings)
    }
    return pd.DataFrame(by_learner)
