"""Which figures an experiment can show of a cell, by name; results.json has all that it has."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import pandas as pd


class Figure(NamedTuple):
    """A column of the comparison table: its title, decimals, and whether bounds go with it.

    `paired`: whether it holds a cell against the baseline.
    """

    title: str
    decimals: int
    paired: bool = False


_OF_FIT = {
    "n": Figure("n", 0),
    "r2": Figure("R2", 4),
    "mae": Figure("MAE", 3),
    "rmse": Figure("RMSE", 3),
    "calibration_slope": Figure("slope", 3),
    "calibration_intercept": Figure("intercept", 3),
    "largest_decile_error": Figure("largest decile error", 4),
    "ici": Figure("ICI", 3),
    "total_ratio": Figure("O/E", 4),
    "drift": Figure("drift", 4),
}
_OF_PROVIDERS = {
    "providers": Figure("providers", 0),
    "outside": Figure("outside inner limits", 0),
    "far_outside": Figure("outside outer limits", 0),
    "spread": Figure("SD of adjusted", 4),
    "tau": Figure("SD between", 4),
    "icc": Figure("ICC", 4),
    "reliability_30": Figure("reliability at n = 30", 3),
    "reliability_median": Figure("median reliability", 3),
    "volume_07": Figure("n for 0.7", 0),
    "volume_09": Figure("n for 0.9", 0),
    "split_half": Figure("halves, to whole", 3),
    "year_on_year": Figure("year on year", 3),
    "year_on_year_providers": Figure("providers in both years", 0),
    "year_on_year_corrected": Figure("year on year, without chance", 3),
    "raw_spearman": Figure("raw against adjusted, Spearman", 3),
}
_OF_TRUTH = {
    "truth_correlation": Figure("correlation with truth", 3),
    "truth_rmse": Figure("RMSE of effects", 3),
    "truth_right": Figure("flags on the right side", 0),
    "truth_wrong": Figure("flags on the wrong side", 0),
}
_OF_FOLLOW_UP = {
    "response": Figure("response", 3),
    **{
        f"{name}_{one}": figure._replace(title=f"{one}: {figure.title}")
        for one in ("complete", "weighted", "imputed")
        for name, figure in (
            ("truth_correlation", _OF_TRUTH["truth_correlation"]),
            ("truth_rmse", _OF_TRUTH["truth_rmse"]),
            ("outside", Figure("outside inner limits", 0)),
        )
    },
    **{
        f"truth_rmse_difference_{one}": Figure(f"{one}: RMSE, less complete", 3)
        for one in ("weighted", "imputed")
    },
    "flags_changed_weighted": Figure("weighted: flags changed", 0),
    "flags_changed_imputed": Figure("imputed: flags changed", 0),
}
_PAIRED = {
    "r2_difference": Figure("R2 difference", 4, True),
    "mae_difference": Figure("MAE difference", 4, True),
    "slope_difference": Figure("slope difference", 4, True),
    "spearman": Figure("Spearman", 3, True),
    "kendall": Figure("Kendall", 3, True),
    "episodes": Figure("episodes in both", 0, True),
    "flags_compared": Figure("flags compared", 0, True),
    "flags_changed": Figure("flags changed", 0, True),
    "sides_changed": Figure("sides changed", 0, True),
    "largest_move": Figure("largest move of adjusted", 3, True),
}
FIGURES: Mapping[str, Figure] = MappingProxyType(
    _OF_FIT | _OF_PROVIDERS | _OF_TRUTH | _OF_FOLLOW_UP | _PAIRED
)
"""Every figure that `experiment.yaml` can ask for."""
_HUNDREDS = 100
NEEDS_FOLLOW_UP = frozenset(_OF_FOLLOW_UP)
"""Figures for which those who did not answer are looked at."""
NEEDS_TRUTH = frozenset(one for one in FIGURES if one.startswith("truth_"))
"""Figures of a simulated world only."""


def told(row: Mapping[str, object], name: str, decimals: int | None = None) -> str:
    """Return a figure of a row in words, with its interval where there is one.

    Parameters
    ----------
    row : mapping
        Figures by name.
    name : str
    decimals : int, optional
        Those of its column, by `decimals_of`; without it, of this row alone.

    Examples
    --------
    >>> told({"r2": 0.17694, "r2_lower95": 0.168, "r2_upper95": 0.1864}, "r2")
    '0.1769 (0.1680 to 0.1864)'
    >>> told({"n": 38432.0}, "n"), told({}, "n")
    ('38,432', '')
    """
    value = row.get(name)
    if value is None or pd.isna(value):
        return ""
    spec = f"z,.{decimals_of([row], name) if decimals is None else decimals}f"
    ends = [row.get(f"{name}_{end}95") for end in ("lower", "upper")]
    if any(one is None or pd.isna(one) for one in ends):
        return format(value, spec)
    return f"{format(value, spec)} ({format(ends[0], spec)} to {format(ends[1], spec)})"


def decimals_of(rows: Iterable[Mapping[str, object]], name: str) -> int:
    """Return how many decimals say something of a figure in every one of some rows.

    None where there are hundreds among them, one or more of means of counts. Rows should have one
    unit, as those of an outcome have.

    Examples
    --------
    >>> decimals_of([{"mae_difference": 1377.0}, {"mae_difference": -87.2}], "mae_difference")
    0
    """
    known = list(rows)
    ends = (row.get(f"{name}{end}") for row in known for end in ("", "_lower95", "_upper95"))
    values = [abs(float(one)) for one in ends if one is not None and not pd.isna(one)]  # type: ignore[arg-type]
    if max(values, default=0.0) >= _HUNDREDS:
        return 0
    least = FIGURES[name].decimals
    return max(least, 1) if any("repeats" in row for row in known) else least


def decimals_by(
    rows: Iterable[tuple[str, Mapping[str, object]]], names: Iterable[str]
) -> dict[tuple[str, str], int]:
    """Return the decimals of figures by outcome and name, so that a column is told alike.

    Parameters
    ----------
    rows : iterable of (str, mapping)
        The outcome of each row, which has its unit, and its figures.
    names : iterable of str
    """
    known, asked = list(rows), list(names)
    return {
        (outcome, name): decimals_of([row for of, row in known if of == outcome], name)
        for outcome in {of for of, _ in known}
        for name in asked
    }
