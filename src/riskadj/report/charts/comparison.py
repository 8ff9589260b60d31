"""One outcome under one learner, with all that its figures need."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from riskadj.report.findings import Findings
from riskadj.report.lookup import called, compared, once, rows_of
from riskadj.report.places import Told
from riskadj.report.subject import OfLearner, WithPlaces
from riskadj.report.words import (
    TOP_FEATURES,
    explained_decimals,
    explained_in,
    feature_label,
    format_number,
    is_cost,
    sentence_decimals,
    unit_phrase,
)
from riskadj.study import Outcome
from riskadj.study.profile import ProfileRules

POPULATION = ("gain", "sd", "centre", "inner", "outer", "shift", "factor", "tau")
"""What is taken from the reference table: the population, and what its limits learned."""
VOLUMES = {0.7: "volume_07", 0.9: "volume_09"}
"""Columns of the reliability table, by the reliability that they are about."""


@dataclass(frozen=True)
class Comparison(OfLearner, WithPlaces):
    """One outcome under one learner; providers from least to most adjusted gain."""

    outcome: Outcome
    called: str
    learner: str
    rules: ProfileRules
    compared: pd.DataFrame
    not_compared: int
    reference: Mapping[str, float]
    reliability: pd.DataFrame
    calibration: pd.DataFrame
    features: pd.DataFrame

    @property
    def unit(self) -> str:
        """The unit of what is compared."""
        return self.outcome.unit

    @property
    def target(self) -> str:
        """What is modelled, as a sentence calls it."""
        return "score after" if self.outcome.compares.of_score else self.noun

    @property
    def explained_in(self) -> str:
        """The unit of contributions."""
        return explained_in(self.outcome)

    @property
    def noun(self) -> str:
        """What is compared, as a sentence calls it."""
        return self.outcome.compares.noun

    @property
    def result(self) -> str:
        """What of a provider is shown: its adjusted result; of a cost, that over the mean."""
        return f"{self.noun} over expected" if self.is_ratio else f"adjusted {self.noun}"

    @property
    def axis(self) -> str:
        """What is shown, with its unit."""
        if self.unit == "share":
            return f"{self.result} of episodes"
        return f"{self.result}, {'ratio' if self.is_ratio else self.unit}"

    @property
    def bounds(self) -> tuple[float, float]:
        """Between what results can be: nothing beyond it is drawn, wherever limits reach."""
        return (0.0, 1.0) if self.unit == "share" else (-np.inf, np.inf)

    @property
    def is_ratio(self) -> bool:
        """Whether ratios are shown."""
        return is_cost(self.outcome)

    @property
    def per(self) -> float:
        """What adjusted results are divided by to be shown."""
        return self.reference["gain"] if self.is_ratio else 1.0

    def shown(self, value: float) -> str:
        """Return an adjusted result as figures show it."""
        return format_number(float(value) / self.per, 2) if self.is_ratio else self.text(value)

    @cached_property
    def named(self) -> Told:
        """Whom figures name."""
        return self.told.told_of(self.compared["flag"])

    @property
    def places(self) -> dict[str, int]:
        """How many of the providers compared are where."""
        counts = self.compared["flag"].value_counts()
        return {one.words: int(counts.get(one.flag, 0)) for one in self.told.all}

    @property
    def centre(self) -> float | None:
        """The adjusted gain that all are compared with; None when peer groups differ in it."""
        centre = self.reference["centre"]
        return None if np.isnan(centre) else centre

    @property
    def by_volume(self) -> bool:
        """Whether limits hang on the number of episodes alone, so that they are curves."""
        gaussian = self.outcome.compares.family == "gaussian"
        return self.rules.method == "nhs_england" and gaussian and self.centre is not None

    def limits_at(self, n: "pd.Series[float]") -> pd.DataFrame:
        """Return limits by number of episodes, where they hang on it alone.

        Returns
        -------
        DataFrame
            `n`; `middle`; `lower95` ... of the limits that flags tell apart.
        """
        known, error = self.reference, self.reference["sd"] / np.sqrt(n)
        middle = known["centre"] + known["shift"] * error
        spread = np.sqrt((known["factor"] * error) ** 2 + known["tau"] ** 2)
        limits = pd.DataFrame({"n": n, "middle": middle})
        for (name, _, _), cut in zip(self.told.limits, self.cuts, strict=False):
            limits[f"lower{name}"] = middle - cut * spread
            limits[f"upper{name}"] = middle + cut * spread
        return limits

    @property
    def cuts(self) -> tuple[float, float]:
        """How many spreads from the middle the inner and the outer limits are."""
        return self.reference["inner"], self.reference["outer"]

    @property
    def taus(self) -> dict[str, float]:
        """The standard deviation between providers, by estimator."""
        return dict(zip(self.reliability["estimator"], self.reliability["tau"], strict=True))

    @property
    def volumes(self) -> dict[float, float]:
        """The episodes that reach a reliability, by that reliability."""
        return {target: float(self._used[name]) for target, name in VOLUMES.items()}

    @property
    def _used(self) -> "pd.Series[float]":
        return self.reliability[self.reliability["used"].astype(bool)].iloc[0]

    def text(self, value: float, decimals: int = 0) -> str:
        """Return a value of the score with its unit's decimals, or so many more."""
        return format_number(float(value), sentence_decimals(self.outcome) + decimals)

    def contribution(self, value: float) -> str:
        """Return a contribution with the decimals it needs."""
        return format_number(float(value), explained_decimals(self.outcome) + 1)

    def with_unit(self, value: float, decimals: int = 0) -> str:
        """Return a value of the score and its unit, as a sentence wants them."""
        return f"{self.text(value, decimals)} {unit_phrase(self.outcome)}"


@once
def comparison(findings: Findings, outcome: Outcome, learner: str) -> Comparison:
    """Return what the findings hold on an outcome under a learner."""
    key = {"outcome": outcome.name, "learner": learner}
    rows = compared(findings, **key)
    reference = rows_of(findings.reference, **key)
    columns = {one.name: one for one in findings.casemix}
    features = rows_of(findings.features, **key).nlargest(TOP_FEATURES, "mean_absolute")
    return Comparison(
        outcome=outcome,
        called=called(findings, outcome),
        learner=learner,
        rules=findings.study.profile,
        compared=rows.sort_values(["adjusted", "provider_id"], ignore_index=True),
        not_compared=len(rows_of(findings.providers, **key)) - len(rows),
        reference={one: float(reference[one].iloc[0]) for one in POPULATION},
        reliability=rows_of(findings.reliability, **key),
        calibration=rows_of(findings.calibration, **key).sort_values("decile", ignore_index=True),
        features=features.assign(
            label=[feature_label(name, columns) for name in features["feature"]]
        ),
    )
