"""Rounded counts, for whoever must not publish exact ones: done once, on the way out.

Numbers of patients become multiples of a base, so that what two of them differ by tells nobody's
presence. Rates are worked out of rounded counts, and every other figure keeps three digits, as a
mean with all of its digits tells how many it is of. Rows that are hidden stay so.
"""

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from riskadj.episodes.participation import COUNTS
from riskadj.stats.follow_up import RATES

if TYPE_CHECKING:
    from riskadj.report.findings import Findings

PATIENTS = frozenset({
    *COUNTS, "answered", "eligible", "episodes", "fewest", "left", "n", "n_both", "n_cost",
    "n_from", "n_outcome", "n_to", "patients", "remaining", "rows", "smallest_n", "top_coded_n",
})  # fmt: skip
"""What tables call numbers of patients or their episodes."""
DIGITS = 3
_SHARES = (
    *((name, one.part, one.whole) for name, one in RATES.items()),
    ("response", "answered", "eligible"),
)


def rounded(findings: "Findings", base: int) -> "Findings":
    """Return findings whose counts are multiples of a base, and whose figures have three digits.

    Parameters
    ----------
    findings : Findings
        After suppression.
    base : int
        Such as 5; a count that is above 0 becomes no less than that.

    Returns
    -------
    Findings
        Sums of its rows equal its totals only nearly.
    """
    tables = {
        one.name: rounded_table(value, base)
        for one in fields(findings)
        if isinstance(value := getattr(findings, one.name), pd.DataFrame)
    }
    data = [one | {"rows": _count(one["rows"], base)} for one in findings.provenance["data"]]
    return replace(
        findings,
        **tables,
        metrics=_rounded_leaves(findings.metrics, base),
        provenance={**findings.provenance, "data": data},
    )


def rounded_table(table: pd.DataFrame, base: int) -> pd.DataFrame:
    """Return a table with rounded counts, rates of these, and figures of three digits.

    Examples
    --------
    >>> rounded_table(pd.DataFrame({"n": [1, 38], "observed": [1.23456, 20.0]}), 5)
        n  observed
    0   5      1.23
    1  40     20.00
    """
    numbers = table.select_dtypes("number")
    changed = {
        name: to_base(numbers[name], base) if name in PATIENTS else to_digits(numbers[name])
        for name in numbers
        if name in PATIENTS or pd.api.types.is_float_dtype(numbers[name])
    }
    whole = table.assign(**changed)
    for name, part, of in _SHARES:
        if {name, part, of} <= set(whole):
            share = whole[part].astype(float) / whole[of].astype(float).where(whole[of] > 0)
            whole[name] = to_digits(share.where(table[name].notna()))
    return whole


def to_base(counts: pd.Series, base: int) -> pd.Series:
    """Return counts as the nearest multiples of a base, those above 0 as no less than the base."""
    values = counts.astype(float)
    nearest = (np.floor(values / base + 0.5) * base).clip(lower=base).where(values > 0, values)
    return nearest.astype(counts.dtype)


def to_digits(figures: pd.Series, digits: int = DIGITS) -> pd.Series:
    """Return figures with so many significant digits."""
    return figures.map(lambda one: float(f"{one:.{digits}g}"), na_action="ignore").astype(float)


def _rounded_leaves(content: Any, base: int, name: str = "") -> Any:
    if isinstance(content, Mapping):
        return {key: _rounded_leaves(one, base, key) for key, one in content.items()}
    if name in PATIENTS:
        return _count(content, base)
    return float(f"{content:.{DIGITS}g}") if isinstance(content, float) else content


def _count(value: float | None, base: int) -> float | None:
    """Return a number of patients as a multiple of a base; what is not known stays so."""
    if value is None or np.isnan(value) or value == 0:
        return value
    return type(value)(to_base(pd.Series([float(value)]), base).iloc[0])
