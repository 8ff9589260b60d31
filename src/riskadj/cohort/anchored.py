"""Thresholds of a cohort's own: which change its patients call an improvement."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from riskadj.cohort.select import Cohort
from riskadj.errors import ColumnError, EmptyCohortError, StudyError
from riskadj.stats.anchor_baseline import threshold_along_baseline
from riskadj.stats.anchor_intervals import bootstrap_threshold
from riskadj.stats.anchors import METHODS, AnchorThreshold, estimate_threshold, mean_change

ANCHOR = "anchor_change"
DECIMALS = 6
"""Of a change: in binary fractions 0.8 - 0.5 is not 0.3."""
METHOD_NAMES = {
    "predictive": "predictive",
    "adjusted": "adjusted predictive",
    "improved_adjusted": "improved adjusted predictive",
    "roc": "ROC (Youden)",
}
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class AnchoredThresholds:
    """What a cohort's anchor question says of the change that counts.

    Attributes
    ----------
    measured : AnchorThreshold
        Point estimates, and how far they can be trusted: `share_improved`, `correlation`, `auc`.
    thresholds : DataFrame
        `method, value, lower95, upper95`; intervals draw providers.
    answers : DataFrame
        `answer, n, share, mean_change, sd`, a row per answer to the anchor question.
    along : DataFrame
        `baseline, threshold, lower95, upper95`: the predictive threshold at some baselines.
    slope : tuple of float
        Of the threshold per unit of the baseline, with its interval.
    baseline_of : str
        "items": one half of the items is the baseline, the change is twice that of the other half;
        "score": the score itself, whose error bends the line (see `threshold_along_baseline`).
    """

    measured: AnchorThreshold
    thresholds: pd.DataFrame
    answers: pd.DataFrame
    along: pd.DataFrame
    slope: tuple[float, float, float]
    baseline_of: str


def anchored_thresholds(
    cohort: Cohort, improved: float = 2, *, replicates: int = 500, seed: int = 1
) -> AnchoredThresholds:
    """Estimate from a cohort's anchor question which change counts as an improvement.

    Parameters
    ----------
    cohort : Cohort
        Of an outcome with an instrument; the episodes compared are used, those who answered both
        questionnaires and `anchor_change` (1 much better ... 5 much worse).
    improved : float
        The worst answer that still counts as improved: 2, a little better; 1, much better.
    replicates, seed : int
        Of the bootstrap, which draws providers with all their patients.

    Raises
    ------
    StudyError
        When the outcome is a cost.
    ColumnError
        When the episodes have no anchor question.
    EmptyCohortError
        When nobody answered it.
    ArrayError, NoVariationError
        When a threshold cannot be estimated: as `riskadj.stats.estimate_threshold`.

    Notes
    -----
    Methods and their sources: `riskadj.stats.estimate_threshold`.
    """
    if not cohort.outcome.compares.asked:
        raise StudyError(
            f"outcome {cohort.outcome.name}: wanted a score that patients gave; got kind "
            f"{cohort.outcome.kind}. Choose another outcome."
        )
    rows = _who_answered(cohort)
    change = _change(rows["baseline_score"], rows["score_after"], cohort)
    better = (rows[ANCHOR] <= improved).to_numpy(dtype=float)
    provider = rows["provider_id"].to_numpy(dtype=str)
    intervals = bootstrap_threshold(
        change, better, seed=seed, replicates=replicates, provider=provider
    )
    thresholds = pd.DataFrame(
        {
            "method": [METHOD_NAMES[one] for one in METHODS],
            "value": intervals.estimate,
            "lower95": intervals.lower,
            "upper95": intervals.upper,
        }
    ).dropna(subset=["value"])
    baseline, apart, baseline_of = _apart(rows, change, cohort)
    line = threshold_along_baseline(
        apart, better, baseline, seed=seed, replicates=replicates, provider=provider
    )
    along = {"baseline": line.at, "threshold": line.threshold}
    return AnchoredThresholds(
        measured=estimate_threshold(change, better),
        thresholds=thresholds.reset_index(drop=True),
        answers=_answers(change, rows[ANCHOR].to_numpy(dtype=float)),
        along=pd.DataFrame(along | {"lower95": line.lower, "upper95": line.upper}),
        slope=(line.slope, line.slope_lower, line.slope_upper),
        baseline_of=baseline_of,
    )


def _who_answered(cohort: Cohort) -> pd.DataFrame:
    if ANCHOR not in cohort.columns:
        raise ColumnError(
            f"wanted the column {ANCHOR!r} in the episodes, the answer to how things are compared "
            "with before; there is none. Add it: 1 much better ... 5 much worse."
        )
    rows = cohort.test.dropna(subset=[ANCHOR, "baseline_score", "score_after"])
    if rows.empty:
        raise EmptyCohortError(
            f"outcome {cohort.outcome.name}: wanted episodes with both scores and {ANCHOR!r}; got "
            f"none of {len(cohort.test):,}."
        )
    return rows


def _change(before: pd.Series, after: pd.Series, cohort: Cohort) -> Floats:
    direction = cohort.outcome.definition.direction
    change = direction * (after.to_numpy(dtype=float) - before.to_numpy(dtype=float))
    return np.asarray(np.round(change, DECIMALS), dtype=np.float64)


def _apart(rows: pd.DataFrame, change: Floats, cohort: Cohort) -> tuple[Floats, Floats, str]:
    """Return a baseline and a change whose errors are not each other's, where items allow it.

    Every item of the Oxford scores counts alike; only of sums can a half stand for the whole.
    """
    one = cohort.outcome.definition
    names = [[f"{q}_item_{one.measure}_{i:02}" for i in range(1, one.items + 1)] for q in _ROUNDS]
    wanted = [name for several in names for name in several]
    if one.id not in _SUMS or not set(wanted) <= set(rows) or rows[wanted].isna().any(axis=None):
        return rows["baseline_score"].to_numpy(dtype=float), change, "score"
    before, after = (rows[several].to_numpy(dtype=float) for several in names)
    start = 2 * before[:, ::2].sum(axis=1)
    moved = 2 * one.direction * (after[:, 1::2] - before[:, 1::2]).sum(axis=1)
    return start, moved, "items"


_ROUNDS = ("q1", "q2")
_SUMS = frozenset({"OHS", "OKS"})


def _answers(change: Floats, rating: Floats) -> pd.DataFrame:
    found = mean_change(change, rating)
    columns = {"answer": found.rating.astype(int), "n": found.n, "share": found.share}
    return pd.DataFrame(columns | {"mean_change": found.mean, "sd": found.sd})
