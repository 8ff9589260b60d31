"""How good expectations are on episodes that their models never saw.

Intervals allow for episodes of a provider resembling each other: the provider is what is drawn.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from itertools import combinations, pairwise
from typing import Any

import numpy as np
import pandas as pd

from riskadj.errors import ArrayError, NoVariationError
from riskadj.expected.crossfit import Expectations
from riskadj.stats import (
    Estimate,
    accuracy,
    accuracy_by_cluster,
    accuracy_difference,
    assess_calibration,
    brier_score,
    calibration_curve,
    discrimination,
    discrimination_difference,
    groups_by_rank,
    mean_by_cluster,
    performance_by_cluster,
)
from riskadj.study.kinds import Family

DECILES = 10
VOLUME = "(provider volume)"
"""Stands for how many episodes a provider has, as a column of the subgroup table."""
VOLUMES = ("small", "middle", "large")
KIND_OF: Mapping[str, str] = {"gaussian": "mean", "binomial": "risk"}
_KEYS = ["outcome", "learner"]
_SURE = ("slope", "slope_lower95", "slope_upper95")
_TOLD = ("c_statistic", "c_statistic_lower95", "c_statistic_upper95")
SUBGROUP_COLUMNS = [
    *_KEYS, "column", "level", "n", "observed", "expected", "difference", "lower95", "upper95",
    *_SURE, "r2", *_TOLD,
]  # fmt: skip
DIFFERENCE_COLUMNS = [
    "outcome", "learner", "other", "figure", "n", "difference", "lower95", "upper95",
]  # fmt: skip
CALIBRATION_COLUMNS = [*_KEYS, "decile", "n", "expected", "observed", "difference"]
SLOPE_COLUMNS = [*_KEYS, "used", "n_providers", "sd", "largest"]
AT_BEST = 1e-9
"""Scores this close to the best one are it."""
VALIDATION_COLUMNS = [
    *_KEYS, "left_out", "figure", "groups", "value", "lower95", "upper95", "prediction_lower95",
    "prediction_upper95", "tau",
]  # fmt: skip


@dataclass(frozen=True)
class Evaluation:
    """Figures on held-out episodes, in the unit of what is modelled.

    Attributes
    ----------
    metrics : mapping of str to mapping
        Learner -> `n, r2, mae, rmse, bias, total_ratio, calibration_slope,
        calibration_intercept, drift, r2_before_recalibration, largest_decile_error, ici`; all on
        what is modelled. `drift` is the mean of observed - expected that recalibration removed;
        `ici` the mean distance of the calibration curve from the diagonal. Of chances also
        `c_statistic, brier`, and `r2` is the scaled Brier score. With `_lower95` and `_upper95`
        where there is an interval.
    calibration : DataFrame
        `outcome, learner, decile, n, expected, observed, difference`, by decile of expectation.
    subgroups : DataFrame
        The columns of `SUBGROUP_COLUMNS`: those asked for, and thirds of providers by volume.
    ceiling : DataFrame
        `outcome, learner, decile, n, expected, observed, difference`: the share of episodes at
        the best score, by decile of its expectation; of learners that expect it.
    slopes : DataFrame
        `outcome, learner, used, n_providers, sd, largest`: how far providers' mean expectations
        are moved by slopes within providers, in the unit of what is modelled.
    differences : DataFrame
        The columns of `DIFFERENCE_COLUMNS`: how much a figure of one learner is above that of
        another on the same episodes.
    validation : DataFrame
        The columns of `VALIDATION_COLUMNS`: internal-external validation. A figure by provider or
        by period, pooled (Riley and others 2016, BMJ 353:i3140), and where that of the next one
        would be.
    """

    metrics: Mapping[str, Mapping[str, float]]
    calibration: pd.DataFrame
    subgroups: pd.DataFrame
    ceiling: pd.DataFrame
    slopes: pd.DataFrame
    differences: pd.DataFrame
    validation: pd.DataFrame


def evaluate(expectations: Expectations, subgroups: tuple[str, ...] = ()) -> Evaluation:
    """Evaluate every learner.

    Parameters
    ----------
    expectations : Expectations
    subgroups : tuple of str
        Columns of the episodes to report by; those that the data lack are passed over. Numbers
        of more than ten values are reported by fifths.
    """
    cohort, family = expectations.cohort, expectations.cohort.outcome.compares.family
    levels = {
        name: _levels(cohort.test[name]).fillna("not recorded").to_numpy()
        for name in subgroups
        if name in cohort.test.columns
    }
    levels[VOLUME] = _volumes(cohort.test["provider_id"])
    metrics, calibrations, groups, validations = {}, [], [], []
    by_learner = dict(expectations.by_learner())
    for learner, rows in by_learner.items():
        calibration = calibration_table(rows)
        metrics[learner] = _metrics(rows, calibration, family)
        calibrations.append(calibration)
        groups += [_subgroup(rows, name, level, family) for name, level in levels.items()]
        validations += _validation(rows, family)
    return Evaluation(
        metrics,
        pd.concat(calibrations, ignore_index=True),
        pd.concat(groups, ignore_index=True),
        _ceiling(expectations, by_learner),
        _slopes(expectations),
        pd.DataFrame(_differences(by_learner, family), columns=DIFFERENCE_COLUMNS),
        pd.DataFrame(validations, columns=VALIDATION_COLUMNS),
    )


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


def _metrics(rows: pd.DataFrame, calibration: pd.DataFrame, family: Family) -> dict[str, float]:
    observed, expected = rows["observed_score"].to_numpy(), rows["expected_score"].to_numpy()
    before = accuracy(observed, rows["expected_score_raw"].to_numpy())
    found = assess_calibration(observed, expected, KIND_OF[family], rows["provider_id"])
    curve = calibration_curve(observed, expected, kind=KIND_OF[family])
    return (
        asdict(accuracy(observed, expected))
        | _bounds("r2", _r2_interval(rows))
        | {"calibration_slope": found.slope.value}
        | _bounds("calibration_slope", found.slope)
        | {
            "calibration_intercept": found.intercept.value,
            "drift": before.bias,
            "r2_before_recalibration": before.r2,
            "largest_decile_error": float(calibration["difference"].abs().max()),
            "ici": curve.ici,
        }
        | (_of_chances(rows) if family == "binomial" else {})
    )


def _ceiling(expectations: Expectations, by_learner: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return observed against expected shares at the best score, by decile of the expected."""
    cohort, tables = expectations.cohort, []
    best = cohort.outcome.definition.best
    for learner, rows in by_learner.items():
        model = expectations.models.get(learner)
        share = model and model.expected_share_at_ceiling(cohort.test, rows["fold"])
        if share is None:
            continue
        there = (rows["observed_score"] - best).abs() < AT_BEST
        shares = rows[_KEYS].assign(expected_score=share, observed_score=there.astype(float))
        tables.append(calibration_table(shares))
    nothing = pd.DataFrame(columns=CALIBRATION_COLUMNS)
    return pd.concat(tables, ignore_index=True) if tables else nothing


def _slopes(expectations: Expectations) -> pd.DataFrame:
    """Summarise how far slopes within providers move expectations."""
    outcome = expectations.cohort.outcome.name
    rows = [
        (outcome, learner, expectations.used_within[learner], len(shift), shift.std(),
         shift.abs().max())
        for learner, shift in expectations.shifts.items()
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=SLOPE_COLUMNS)


def _of_chances(rows: pd.DataFrame) -> dict[str, float]:
    observed, expected = rows["observed_score"].to_numpy(), rows["expected_score"].to_numpy()
    found = discrimination(observed, expected, rows["provider_id"])
    return (
        {"c_statistic": found.value}
        | _bounds("c_statistic", found)
        | {"brier": brier_score(observed, expected).brier}
    )


def _r2_interval(rows: pd.DataFrame) -> Estimate | None:
    try:
        return accuracy_by_cluster(
            rows["observed_score"], rows["expected_score"], rows["provider_id"]
        )
    except ArrayError:  # too few providers, or a sample of them without any variance
        return None


def _bounds(name: str, found: Estimate | None) -> dict[str, float]:
    lower, upper = (found.lower, found.upper) if found else (np.nan, np.nan)
    return {f"{name}_lower95": float(lower), f"{name}_upper95": float(upper)}


# --- subgroups ------------------------------------------------------------------------------------


def _subgroup(rows: pd.DataFrame, name: str, level: np.ndarray, family: Family) -> pd.DataFrame:
    table = pd.DataFrame(
        [_figures(part, family) | {"level": key} for key, part in rows.groupby(level)]
    )
    keys = {key: rows[key].iloc[0] for key in _KEYS} | {"column": name}
    return table.assign(**keys).reindex(columns=SUBGROUP_COLUMNS)


def _figures(part: pd.DataFrame, family: Family) -> dict[str, Any]:
    """Return how close expectations are in a part; what it is too small for is null."""
    observed, expected = part["observed_score"], part["expected_score"]
    figures = {
        "n": len(part),
        "observed": observed.mean(),
        "expected": expected.mean(),
        "difference": (observed - expected).mean(),
        "r2": accuracy(observed, expected).r2,
    }
    provider = part["provider_id"]
    try:
        mean = mean_by_cluster(observed - expected, provider)
        figures |= {"lower95": mean.lower, "upper95": mean.upper}
        slope = assess_calibration(observed, expected, KIND_OF[family], provider).slope
        figures |= dict(zip(_SURE, (slope.value, slope.lower, slope.upper), strict=True))
        if family == "binomial":
            told = discrimination(observed, expected, provider)
            figures |= dict(zip(_TOLD, (told.value, told.lower, told.upper), strict=True))
    except (ArrayError, NoVariationError):
        pass
    return figures


def _volumes(provider: pd.Series) -> np.ndarray:
    """Return the third of providers, by number of episodes, that each episode's is in."""
    sizes = provider.value_counts().sort_index()
    third = pd.Series(groups_by_rank(sizes, len(VOLUMES)), sizes.index)
    return provider.map(third).map(dict(enumerate(VOLUMES, start=1))).to_numpy()


# --- learners against each other, and elsewhere ---------------------------------------------------


def _differences(by_learner: Mapping[str, pd.DataFrame], family: Family) -> list[tuple[Any, ...]]:
    figures: dict[str, Callable[..., Estimate]] = {"r2": accuracy_difference}
    if family == "binomial":
        figures["c_statistic"] = discrimination_difference
    found = []
    for (other, theirs), (learner, ours) in combinations(by_learner.items(), 2):
        same = theirs.set_index("episode_id").loc[ours["episode_id"]]
        for figure, compare in figures.items():
            try:
                one = compare(
                    ours["observed_score"], ours["expected_score"],
                    same["expected_score"].to_numpy(), ours["provider_id"],
                )  # fmt: skip
            except ArrayError:
                continue
            key = (ours["outcome"].iloc[0], learner, other, figure, len(ours))
            found.append((*key, one.value, one.lower, one.upper))
    return found


_FIGURES = {
    "mean": {"slope": "calibration_slope", "in_the_large": "in_the_large"},
    "risk": {"c": "c_statistic", "slope": "calibration_slope", "in_the_large": "in_the_large"},
}
"""What is summarised over providers and periods, by its name here."""


def _validation(rows: pd.DataFrame, family: Family) -> list[tuple[Any, ...]]:
    """Summarise figures over providers and over periods."""
    found, key = [], (rows["outcome"].iloc[0], rows["learner"].iloc[0])
    for left_out in ("provider", "period"):
        cluster = rows[f"{left_out}_id" if left_out == "provider" else left_out]
        if cluster.nunique() < 2:
            continue
        try:
            summary = performance_by_cluster(
                rows["observed_score"], rows["expected_score"], cluster, KIND_OF[family]
            )
        except (ArrayError, NoVariationError):
            continue
        for figure, name in _FIGURES[KIND_OF[family]].items():
            one = summary.figures[figure].pooled
            if one is not None:
                found.append(
                    (*key, left_out, name, one.n_clusters, one.value, one.lower, one.upper,
                     one.prediction_lower, one.prediction_upper, one.tau)
                )  # fmt: skip
    return found


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
