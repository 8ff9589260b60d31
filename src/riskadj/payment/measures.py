"""What a run says of each provider: its results in an outcome, its rates of follow-up."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from riskadj.errors import UnknownNameError, ValuesError
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
    "predicted", "predicted_ratio",
)  # fmt: skip
RATES = ("procedures", "participation", "linkage", "issue", "response")
_FROM_FILE = "participation file"
_STAGES = ("participation", "linkage", "issue", "response")


class Bounds(NamedTuple):
    """What a result is held against, on the side that is worse; NaN where not known.

    Attributes
    ----------
    adjusted : float
        The result.
    inner, outer : float
        The limits; of a single pair both are its own.
    """

    adjusted: float
    inner: float
    outer: float


UNBOUNDED = Bounds(np.nan, np.nan, np.nan)


@dataclass(frozen=True)
class Measure:
    """One provider's result in one outcome; NaN where it is hidden or there is none.

    Attributes
    ----------
    figures : mapping of str to float
        By column of `providers.csv`.
    bounds : mapping
        (method, limits) -> `Bounds`; None for the study's own analysis.
    better : int
        +1 where more is better, -1 where less is.
    """

    figures: Mapping[str, float]
    bounds: Mapping[tuple[str, str] | None, Bounds]
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
        For cells that are no numbers, negative costs, and results without what they are made of.
    """
    figures = figures_of(rows, _FIGURES, f"providers, {outcome}")
    _check_together(figures, rows, outcome)
    if outcome == contract.cost:
        check_not_negative({one: figures[one] for one in ("observed", "expected")}, rows, outcome)
    better = _better(tables.study, outcome, contract.cost)
    bounds = _all_bounds(rows, contract, outcome, tables, better)
    return {
        str(name): Measure(
            {one: float(values[at]) for one, values in figures.items()},
            {key: some.get(name, UNBOUNDED) for key, some in bounds.items()},
            better,
        )
        for at, name in enumerate(rows.index)
    }


def _check_together(figures: Mapping[str, Floats], rows: pd.DataFrame, outcome: str) -> None:
    """Refuse a provider whose result is shown, and not what it is made of."""
    shown = ~np.isnan(figures["n"]) & ~np.isnan(figures["adjusted"])
    for name in ("observed", "expected"):
        wrong = shown & np.isnan(figures[name])
        if name in rows and wrong.any():
            raise ValuesError(
                f"providers, {outcome}: wanted {name} where n and adjusted are shown; got none for "
                f"{rows.index[int(wrong.argmax())]}. Give the table as the run wrote it."
            )


def _bounds(rows: pd.DataFrame, better: int) -> dict[str, Bounds]:
    """Return results beside their limits on the worse side, by provider."""
    side = "lower" if better > 0 else "upper"
    limits = [one for one in rows if re.fullmatch(rf"{side}\d+", one)]
    known = figures_of(rows, ["z", "adjusted", *limits], "providers")
    adjusted = np.where(np.isnan(known["z"]), np.nan, known["adjusted"])
    none = np.full(len(rows), np.nan)
    inwards: Floats = np.array([better * known[one] for one in limits] or [none])
    outwards = better * -np.sort(-inwards, axis=0)
    pairs = zip(adjusted, outwards[0], outwards[min(1, len(outwards) - 1)], strict=True)
    return {
        str(name): Bounds(*(float(one) for one in found))
        for name, found in zip(rows.index, pairs, strict=True)
    }


def _all_bounds(
    rows: pd.DataFrame, contract: Contract, outcome: str, tables: Tables, better: int
) -> dict[tuple[str, str] | None, dict[str, Bounds]]:
    """Return bounds of the study's own analysis, and of every other that a gate asks for."""
    gates = [one for step in contract.steps if isinstance(step, Gate) for one in step.criteria]
    wanted = {
        (one.method, one.limits)
        for one in gates
        if isinstance(one, NotNegativeOutlier) and one.outcome == outcome and one.method
    }
    found: dict[tuple[str, str] | None, dict[str, Bounds]] = {None: _bounds(rows, better)}
    learner = contract.learner_of(outcome)
    for method, limits in sorted(wanted, key=str):
        rows = _analysis(tables.analyses, outcome, learner, str(method), str(limits))
        if rows.empty:
            raise UnknownNameError(
                f"contract {contract.name}: wanted the analysis {method} with {limits} limits of "
                f"{outcome} by {learner}; the run has none. Declare it under "
                "profile.sensitivity of the study."
            )
        found[str(method), str(limits)] = _bounds(rows, better)
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


def rates_of(rates: pd.DataFrame | None, outcome: str | None) -> dict[str, dict[str, float]]:
    """Return rates by provider: those of a participation file where there is one.

    Of an outcome; None: of the first that there are any of.
    """
    if rates is None or rates.empty:
        return {}
    mine = rates[rates["outcome"] == (outcome or rates["outcome"].iloc[0])]
    mine = mine.sort_values("source", key=lambda one: one != _FROM_FILE, kind="stable")
    figures = pd.DataFrame(figures_of(mine, RATES, "rates"), mine["provider_id"].astype(str))
    first = figures.groupby(level=0).first()  # skips what is missing
    return {str(name): one for name, one in first.to_dict("index").items()}


def followed_up(rates: Mapping[str, float]) -> float:
    """Return the share of operations that were followed up, NaN without a known response.

    The product of participation, linkage, issue and response, as far as they are known, so that
    nothing is gained by not asking.

    Examples
    --------
    >>> followed_up({"participation": 0.8, "linkage": np.nan, "issue": 1.0, "response": 0.5})
    0.4
    """
    if np.isnan(rates["response"]):
        return np.nan
    return float(np.nanprod([rates[one] for one in _STAGES]))
