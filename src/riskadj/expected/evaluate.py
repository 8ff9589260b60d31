"""How good expectations are on episodes that their models never saw."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise

import numpy as np
import pandas as pd

from riskadj.expected.crossfit import Expectations
from riskadj.stats import Z95, accuracy, calibration_line, groups_by_rank

DECILES = 10


@dataclass(frozen=True)
class Evaluation:
    """Figures on held-out episodes, in the unit of the score.

    Attributes
    ----------
    metrics : mapping of str to mapping
        Learner -> `n, r2, mae, rmse, bias, total_ratio, calibration_slope,
        calibration_intercept, drift, r2_before_recalibration, largest_decile_error`; all on the
        score after. `drift` is the mean of observed - expected that recalibration removed.
    calibration : DataFrame
        `outcome, learner, decile, n, expected, observed, difference`, by decile of expectation.
    subgroups : DataFrame
        `outcome, learner, column, level, n, observed, expected, difference, lower95, upper95`.
    """

    metrics: Mapping[str, Mapping[str, float]]
    calibration: pd.DataFrame
    subgroups: pd.DataFrame


def evaluate(expectations: Expectations, subgroups: tuple[str, ...] = ()) -> Evaluation:
    """Evaluate every learner.

    Parameters
    ----------
    expectations : Expectations
    subgroups : tuple of str
        Columns of the episodes to report by; those that the data lack are passed over. Numbers
        of more than ten values are reported by fifths.
    """
    metrics, calibrations, groups = {}, [], []
    for learner, rows in expectations.by_learner():
        calibration = calibration_table(rows)
        metrics[learner] = _metrics(rows, calibration)
        calibrations.append(calibration)
        groups += [
            _subgroup(rows, expectations.cohort.test, name)
            for name in subgroups
            if name in expectations.cohort.test.columns
        ]
    columns = [*_KEYS, "column", "level", "n", "observed", "expected", "difference"]
    empty = pd.DataFrame(columns=[*columns, "lower95", "upper95"])
    return Evaluation(
        metrics,
        pd.concat(calibrations, ignore_index=True),
        pd.concat(groups, ignore_index=True) if groups else empty,
    )


_KEYS = ["outcome", "learner"]


def calibration_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Return observed against expected scores by decile of the expected."""
    decile = groups_by_rank(rows["expected_score"], DECILES)
    means = (
        rows.groupby(decile)
        .agg(
            n=("expected_score", "size"),
            expected=("expected_score", "mean"),
            observed=("observed_score", "mean"),
        )
        .rename_axis("decile")
        .reset_index()
    )
    means["difference"] = means["observed"] - means["expected"]
    return _keyed(means, rows)


def _metrics(rows: pd.DataFrame, calibration: pd.DataFrame) -> dict[str, float]:
    observed, expected = rows["observed_score"].to_numpy(), rows["expected_score"].to_numpy()
    raw = rows["expected_score_raw"].to_numpy()
    intercept, slope = calibration_line(observed, expected)
    before = accuracy(observed, raw)
    return asdict(accuracy(observed, expected)) | {
        "calibration_slope": slope,
        "calibration_intercept": intercept,
        "drift": before.bias,
        "r2_before_recalibration": before.r2,
        "largest_decile_error": float(calibration["difference"].abs().max()),
    }


def _subgroup(rows: pd.DataFrame, test: pd.DataFrame, name: str) -> pd.DataFrame:
    level = _levels(test[name]).fillna("not recorded").to_numpy()
    residual = rows["observed_score"] - rows["expected_score"]
    means = (
        rows.assign(difference=residual)
        .groupby(level)
        .agg(
            n=("difference", "size"),
            observed=("observed_score", "mean"),
            expected=("expected_score", "mean"),
            difference=("difference", "mean"),
            sd=("difference", "std"),
        )
        .rename_axis("level")
        .reset_index()
    )
    half = Z95 * means.pop("sd") / np.sqrt(means["n"])
    means.insert(0, "column", name)
    means["lower95"], means["upper95"] = means["difference"] - half, means["difference"] + half
    return _keyed(means, rows)


def _levels(values: pd.Series) -> pd.Series:
    """Return the group of each value: itself or, where numbers are many, its fifth."""
    if not pd.api.types.is_numeric_dtype(values):
        return values
    if values.nunique() <= DECILES:
        return values.map("{:g}".format, na_action="ignore")
    edges = np.unique(values.quantile(np.linspace(0, 1, 6)))
    labels = [f"{low:g} to {high:g}" for low, high in pairwise(edges)]
    return pd.cut(values, edges, labels=labels, include_lowest=True).astype("str")


def _keyed(table: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    for position, key in enumerate(_KEYS):
        table.insert(position, key, rows[key].iloc[0])
    return table
