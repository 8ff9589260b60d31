"""What a run says of each provider: its results in an outcome, its rates of follow-up."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from riskadj.errors import UnknownNameError
from riskadj.payment.contract import Contract
from riskadj.payment.steps import Gate, NotNegativeOutlier
from riskadj.payment.tables import (
    Floats,
    Tables,
    check_not_negative,
    figures_of,
    outcome_of,
    rows_of,
)

_FIGURES = (
    "n", "episodes", "observed", "expected", "difference", "adjusted", "z", "reliability",
    "predicted_ratio",
)  # fmt: skip
RATES = ("procedures", "participation", "linkage", "issue", "response")
_FROM_FILE = "participation file"


@dataclass(frozen=True)
class Measure:
    """One provider's result in one outcome; NaN where it is hidden or there is none.

    Attributes
    ----------
    figures : mapping of str to float
        By column of `providers.csv`.
    places : mapping
        (method, limits) -> -2 ... 2, as flags are; None for the study's own analysis.
    better : int
        +1 where more is better, -1 where less is.
    """

    figures: Mapping[str, float]
    places: Mapping[tuple[str, str] | None, float]
    better: int

    def __getitem__(self, name: str) -> float:
        return self.figures[name]

    @property
    def known(self) -> bool:
        """Whether the result is shown and rests on episodes enough."""
        return not (np.isnan(self["n"]) or np.isnan(self["adjusted"]))


def measures_of(
    rows: pd.DataFrame, outcome: str, contract: Contract, tables: Tables
) -> dict[str, Measure]:
    """Return every provider's result in one outcome.

    Raises
    ------
    UnknownNameError
        When a gate asks for an analysis that the run does not have.
    ValuesError
        For cells that are no numbers, and negative costs.
    """
    figures = figures_of(rows, _FIGURES, f"providers, {outcome}")
    if outcome == contract.cost:
        check_not_negative({one: figures[one] for one in ("observed", "expected")}, rows, outcome)
    places = _all_places(rows, contract, outcome, tables)
    better = _better(tables.study, outcome, contract.cost)
    return {
        str(name): Measure(
            {one: float(values[at]) for one, values in figures.items()},
            {key: float(some.get(name, np.nan)) for key, some in places.items()},
            better,
        )
        for at, name in enumerate(rows.index)
    }


def _places(rows: pd.DataFrame) -> Floats:
    """Return how far outside its limits each provider is, negative when worse."""
    limits = [one.removeprefix("lower") for one in rows if re.fullmatch(r"lower\d+", one)]
    sides = [f"{side}{one}" for one in limits for side in ("lower", "upper")]
    known = figures_of(rows, ["z", "adjusted", *sides], "providers")
    adjusted = known["adjusted"]
    outside = np.zeros(len(rows))
    for one in limits:
        outside += (adjusted < known[f"lower{one}"]) | (adjusted > known[f"upper{one}"])
    return np.where(np.isnan(known["z"]), np.nan, np.sign(known["z"]) * outside)


def _all_places(
    rows: pd.DataFrame, contract: Contract, outcome: str, tables: Tables
) -> dict[tuple[str, str] | None, dict[str, float]]:
    """Return places under the study's own analysis, and every other that a gate asks for."""
    gates = [one for step in contract.steps if isinstance(step, Gate) for one in step.criteria]
    wanted = {
        (one.method, one.limits)
        for one in gates
        if isinstance(one, NotNegativeOutlier) and one.outcome == outcome and one.method
    }
    found: dict[tuple[str, str] | None, dict[str, float]] = {
        None: dict(zip(rows.index, _places(rows), strict=True))
    }
    learner = contract.learner_of(outcome)
    for method, limits in sorted(wanted, key=str):
        rows = _analysis(tables.analyses, outcome, learner, str(method), str(limits))
        if rows.empty:
            raise UnknownNameError(
                f"contract {contract.name}: wanted the analysis {method} with {limits} limits of "
                f"{outcome} by {learner}; the run has none. Declare it under "
                "profile.sensitivity of the study."
            )
        places = _places(rows)
        found[str(method), str(limits)] = dict(zip(rows.index, places, strict=True))
    return found


def _analysis(
    analyses: pd.DataFrame | None, outcome: str, learner: str, method: str, limits: str
) -> pd.DataFrame:
    if analyses is None:
        return pd.DataFrame()
    mine = analyses[(analyses["method"] == method) & (analyses["limits"] == limits)]
    return rows_of(mine, outcome, learner)


def _better(study: Mapping[str, Any] | None, outcome: str, cost: str | None) -> int:
    """Return +1 where more of an outcome is better, -1 where less is."""
    from riskadj.study import Outcome

    content = outcome_of(study or {}, outcome)
    if outcome == cost or content.get("kind") == "cost":
        return -1
    return Outcome.model_validate(content).better if content else 1


def rates_of(rates: pd.DataFrame | None, outcome: str) -> dict[str, dict[str, float]]:
    """Return rates by provider: those of a participation file where there is one."""
    if rates is None or rates.empty:
        return {}
    mine = rates[rates["outcome"] == outcome]
    mine = mine.sort_values("source", key=lambda one: one != _FROM_FILE, kind="stable")
    figures = pd.DataFrame(figures_of(mine, RATES, "rates"), mine["provider_id"].astype(str))
    first = figures.groupby(level=0).first()  # skips what is missing
    return {str(name): one for name, one in first.to_dict("index").items()}
