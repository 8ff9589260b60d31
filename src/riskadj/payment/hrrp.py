"""The payment factor of the US Hospital Readmissions Reduction Program, from patient rows up.

A hospital's excess readmission ratio of a measure is predicted over expected: what its patients
would have with its own, shrunken effect over what they would have at the average hospital. Where
the ratio lies above the median of the hospital's peers, the excess, times the share of its
payments that the measure's diagnoses make up, is taken off all its payments. So a ratio below 1
costs money when the peers do better still.

Source: Centers for Medicare & Medicaid Services, hospital-specific reports of the program and
their footnotes; every step gives the published figures of the mock reports of fiscal years 2022,
2023 and 2025.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from riskadj.errors import ColumnError, ValuesError, did_you_mean
from riskadj.stats.standardise import indirect_standardisation, predicted_over_expected
from riskadj.stats.threads import one_thread

MEASURE_COLUMNS = ("n", "err", "peer_median", "drg_ratio")
"""What is known of a measure: eligible discharges, excess readmission ratio, the median of that
ratio among peers, and the measure's share of payments."""
REASONS: Mapping[str, str] = MappingProxyType(
    {
        "": "Counted: above the median of its peers.",
        "no_result": "Left out: the hospital has no result.",
        "suppressed": "Left out: the programme gives no median of peers for this measure.",
        "below_minimum": "Left out: too few discharges.",
        "not_above_peers": "No penalty: not above the median of its peers.",
    }
)
"""Why a measure has no penalty, in words for a statement."""
_NO_NUMBER = ("", "NQ", "--", "N/A")
"""What stands in the reports where there is no number."""
_DECIMALS = 4


@dataclass(frozen=True)
class ExcessRatio:
    """A hospital's result in one measure.

    Attributes
    ----------
    n : int
        Discharges.
    predicted, expected : float
        Mean risk with the hospital's own effect, and with the average one.
    ratio : float
        Predicted over expected: the excess readmission ratio.
    observed : float or None
        Share of discharges with the event; None when it was not given.
    observed_ratio : float or None
        Observed over expected: another figure, 0 where nothing happened. Show both.
    """

    n: int
    predicted: float
    expected: float
    ratio: float
    observed: float | None = None
    observed_ratio: float | None = None


def excess_readmission_ratio(
    patients: pd.DataFrame,
    coefficients: Mapping[str, float],
    hospital_effect: float,
    average_effect: float,
    readmitted: ArrayLike | None = None,
) -> ExcessRatio:
    """Return a hospital's predicted and expected readmissions, and their ratio.

    Parameters
    ----------
    patients : DataFrame of shape (n_discharges, any)
        A column of numbers for each coefficient; others are ignored.
    coefficients : mapping of column to coefficient
    hospital_effect, average_effect : float
        Intercepts on the logit scale: HOSP_EFFECT and AVG_EFFECT of the reports.
    readmitted : array-like of shape (n_discharges,), optional
        0 or 1; for the observed ratio.

    Raises
    ------
    ColumnError
        When a coefficient has no column.
    ArrayError
        When there are no patients, or a number is missing.

    Examples
    --------
    >>> patients = pd.DataFrame({"male": [1, 0], "diabetes": [0, 1]})
    >>> found = excess_readmission_ratio(patients, {"male": 0.2, "diabetes": 0.3}, -2.0, -2.1)
    >>> found.n, round(found.ratio, 4)
    (2, 1.0896)
    """
    weights = dict(coefficients)
    missing = [name for name in weights if name not in patients]
    if missing:
        raise ColumnError(
            f"patients: wanted a column for each coefficient; got none for {missing[0]!r}."
            f"{did_you_mean(str(missing[0]), map(str, patients))}"
        )
    with one_thread():
        linear = patients[list(weights)].to_numpy(np.float64) @ np.array(list(weights.values()))
    one = np.zeros(len(patients), dtype=np.intp)
    found = predicted_over_expected(linear, one, float(hospital_effect), float(average_effect))
    return ExcessRatio(
        n=int(found.n[0]),
        predicted=float(found.predicted[0]),
        expected=float(found.expected[0]),
        ratio=float(found.ratio[0]),
        **_observed(readmitted, found.expected[0], one),
    )


def hrrp_payment_factor(
    measures: pd.DataFrame,
    neutrality_modifier: float,
    minimum: int = 25,
    cap: float = 0.03,
) -> float:
    """Return the factor that a hospital's payments are multiplied by, to four decimals.

    Parameters
    ----------
    measures : DataFrame with columns `n`, `err`, `peer_median`, `drg_ratio`
        A row per measure, as in `hrrp_penalties`. Without rows there is no penalty.
    neutrality_modifier : float
        What keeps the programme's budget where it was before there were peer groups.
    minimum : int
        Discharges that a measure needs to count.
    cap : float
        The largest reduction, a share of payments.

    Returns
    -------
    float
        From 1 - cap to 1.

    Raises
    ------
    ColumnError, ValuesError
        As `hrrp_penalties`; also when the cap is not from 0 to 1.

    Notes
    -----
    1 - min(cap, P), P = modifier x sum of drg_ratio x (err - peer_median) over the measures with
    `minimum` discharges or more and err above peer_median.

    Examples
    --------
    >>> measures = pd.DataFrame(
    ...     {"n": [32, 45], "err": [1.00678435268232, 0.88194557229393],
    ...      "peer_median": [0.99115160184587, 0.99629211465373],
    ...      "drg_ratio": [0.04944402732139, 0.10399770649871]}
    ... )
    >>> hrrp_payment_factor(measures, 0.96524016588985)
    0.9993
    """
    if not 0 <= cap <= 1:
        raise ValuesError(f"cap: wanted a share from 0 to 1; got {cap!r}. Give 0.03 for 3 %.")
    penalty = hrrp_penalties(measures, neutrality_modifier, minimum)["penalty"].sum()
    return round(1.0 - min(float(cap), float(penalty)), _DECIMALS)


def hrrp_penalties(
    measures: pd.DataFrame, neutrality_modifier: float, minimum: int = 25
) -> pd.DataFrame:
    """Return what each measure takes off a hospital's payments, and why some take nothing.

    Parameters
    ----------
    measures : DataFrame with columns `n`, `err`, `peer_median`, `drg_ratio`
        A row per measure; other columns are ignored, the index is kept. Numbers, or text as in
        CMS's files: `0.07%` is 0.0007, `NQ` and blanks are missing. Without `n` and `err` the
        hospital has no result; without `peer_median` the measure is suppressed.
    neutrality_modifier : float
        Above 0.
    minimum : int
        Discharges that a measure needs to count; 1 or more.

    Returns
    -------
    DataFrame
        `n, err, peer_median, drg_ratio, excess, penalty, reason`, in the order of `measures`.
        `excess` is err - peer_median, NaN where either is missing. `penalty` is a share of
        payments, before the cap, 0 where there is none; `reason` is a key of `REASONS`.

    Raises
    ------
    ColumnError
        When a column is missing.
    ValuesError
        When a number is not what it should be, a measure that counts is incomplete, or a measure
        comes twice.

    Examples
    --------
    >>> measures = pd.DataFrame(
    ...     {"n": [36, 18, 27], "err": [1.05, 1.2, 0.9], "peer_median": [1.0, 1.0, None],
    ...      "drg_ratio": ["3.00%", "2.00%", "NQ"]},
    ...     index=["HF", "COPD", "Pneumonia"],
    ... )
    >>> hrrp_penalties(measures, 0.96)[["penalty", "reason"]].round(6).values.tolist()
    [[0.00144, ''], [0.0, 'below_minimum'], [0.0, 'suppressed']]
    """
    table = _measures(measures)
    modifier = _positive("neutrality_modifier", neutrality_modifier)
    if isinstance(minimum, bool) or minimum != int(minimum) or minimum < 1:
        raise ValuesError(f"minimum: wanted a whole number of 1 or more; got {minimum!r}.")
    reason = _reasons(table, minimum)
    _check_complete(table, reason)
    excess = table["err"] - table["peer_median"]
    penalty = (modifier * table["drg_ratio"] * excess).where(reason == "", 0.0)
    return table.assign(excess=excess, penalty=penalty, reason=reason)


def _observed(readmitted: ArrayLike | None, expected: float, one: NDArray[Any]) -> dict[str, float]:
    if readmitted is None:
        return {}
    found = indirect_standardisation(readmitted, np.full(len(one), expected), one)
    return {
        "observed": float(found.observed[0] / found.n[0]),
        "observed_ratio": float(found.ratio[0]),
    }


def _measures(measures: pd.DataFrame) -> pd.DataFrame:
    missing = [name for name in MEASURE_COLUMNS if name not in measures]
    if missing:
        raise ColumnError(
            f"measures: wanted columns {', '.join(MEASURE_COLUMNS)}; got no {missing[0]!r}."
            f"{did_you_mean(missing[0], map(str, measures))}"
        )
    twice = measures.index[measures.index.duplicated()]
    if len(twice):
        raise ValuesError(
            f"measures: wanted each measure once; got {twice[0]!r} twice. Give rows an index of "
            "their own."
        )
    table = pd.DataFrame({name: _numbers(name, measures[name]) for name in MEASURE_COLUMNS})
    for name, (wanted, holds) in _RANGES.items():
        wrong = table.index[table[name].notna() & ~holds(table[name])]
        if len(wrong):
            raise ValuesError(
                f"measures: wanted {name} {wanted}; got {table.loc[wrong[0], name]:g} for "
                f"{wrong[0]!r}. Check the report."
            )
    return table


_RANGES: dict[str, tuple[str, Any]] = {
    "n": ("a whole number of 0 or more", lambda x: (x >= 0) & (x == x.round())),
    "err": ("a finite ratio of 0 or more", lambda x: (x >= 0) & np.isfinite(x)),
    "peer_median": ("a finite ratio above 0", lambda x: (x > 0) & np.isfinite(x)),
    "drg_ratio": ("a share from 0 to 1", lambda x: (x >= 0) & (x <= 1)),
}


def _numbers(name: str, column: pd.Series) -> pd.Series:
    """Return a column as numbers, from CMS's text where it is text."""
    if pd.api.types.is_numeric_dtype(column):
        return column.astype(np.float64)
    text = column.astype("string").str.strip()
    text = text.mask(text.isin(_NO_NUMBER))
    percent = text.str.endswith("%").fillna(False).astype(bool)
    values = pd.to_numeric(text.str.removesuffix("%"), errors="coerce").astype(np.float64)
    wrong = column[text.notna() & values.isna()]
    if len(wrong):
        raise ValuesError(
            f"measures: wanted numbers, percentages or NQ in {name}; got {wrong.iloc[0]!r}. "
            "Remove what is beside the number."
        )
    return values.where(~percent, values / 100)


def _reasons(table: pd.DataFrame, minimum: int) -> pd.Series:
    """Return why each measure has no penalty; the first that holds."""
    tests = {
        "no_result": table["n"].isna() & table["err"].isna(),
        "suppressed": table["peer_median"].isna(),
        "below_minimum": table["n"] < minimum,
        "not_above_peers": table["err"] <= table["peer_median"],
    }
    found = np.select([one.to_numpy() for one in tests.values()], list(tests), default="")
    return pd.Series(found, index=table.index, dtype=object)


def _check_complete(table: pd.DataFrame, reason: pd.Series) -> None:
    """Refuse a measure that counts but of which something is missing."""
    counts = table[reason.isin(("", "not_above_peers"))]
    for label, row in counts[counts.isna().any(axis=1)].iterrows():
        raise ValuesError(
            f"measures: wanted all of {', '.join(MEASURE_COLUMNS)} for a measure that counts; got "
            f"no {row.index[row.isna()][0]} for {label!r}. Complete it, or leave the measure out."
        )


def _positive(name: str, value: float) -> float:
    if np.isfinite(value) and value > 0:
        return float(value)
    raise ValuesError(f"{name}: wanted a number above 0; got {value!r}. Take it from the report.")
