"""One outcome under one learner, with all that its figures need."""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from riskadj.report.findings import Findings
from riskadj.report.lookup import compared, rows_of
from riskadj.report.words import (
    FLAG_PLACES,
    TOP_FEATURES,
    feature_label,
    format_number,
    learner_title,
    measure,
    sentence_decimals,
    unit_phrase,
)
from riskadj.study import Outcome


@dataclass(frozen=True)
class Comparison:
    """One outcome under one learner; providers from least to most adjusted gain."""

    outcome: Outcome
    learner: str
    compared: pd.DataFrame
    not_compared: int
    reference: Mapping[str, float]
    minimum_n: int
    calibration: pd.DataFrame
    features: pd.DataFrame

    @property
    def unit(self) -> str:
        """The unit of the score."""
        return self.outcome.definition.unit

    @property
    def measure(self) -> str:
        """What the outcome measures."""
        return measure(self.outcome)

    @property
    def title(self) -> str:
        """What the learner is called in a sentence."""
        return learner_title(self.learner)

    @property
    def places(self) -> dict[str, int]:
        """How many of the providers compared are where."""
        counts = self.compared["flag"].value_counts()
        return {place: int(counts.get(flag, 0)) for flag, place in FLAG_PLACES.items()}

    def text(self, value: float, decimals: int = 0) -> str:
        """Return a value of the score with its unit's decimals, or so many more."""
        return format_number(float(value), sentence_decimals(self.outcome) + decimals)

    def with_unit(self, value: float, decimals: int = 0) -> str:
        """Return a value of the score and its unit, as a sentence wants them."""
        return f"{self.text(value, decimals)} {unit_phrase(self.outcome)}"


def comparison(findings: Findings, outcome: Outcome, learner: str) -> Comparison:
    """Return what the findings hold on an outcome under a learner."""
    key = {"outcome": outcome.name, "learner": learner}
    rows = compared(findings.providers, **key)
    reference = rows_of(findings.reference, **key)
    columns = {one.name: one for one in findings.casemix}
    features = rows_of(findings.features, **key).nlargest(TOP_FEATURES, "mean_absolute")
    return Comparison(
        outcome=outcome,
        learner=learner,
        compared=rows.sort_values(["adjusted", "provider_id"], ignore_index=True),
        not_compared=len(rows_of(findings.providers, **key)) - len(rows),
        reference={one: float(reference[one].iloc[0]) for one in ("gain", "sd")},
        minimum_n=findings.study.profile.minimum_n,
        calibration=rows_of(findings.calibration, **key).sort_values("decile", ignore_index=True),
        features=features.assign(
            label=[feature_label(name, columns) for name in features["feature"]]
        ),
    )
