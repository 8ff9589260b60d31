"""Whether the threshold goes with the baseline: in bands of it, and along it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from riskadj.errors import ArrayError
from riskadj.stats.anchor_tables import (
    MOST_FAILED,
    by_answer,
    count_patients,
    percentiles,
    refuse_failed,
    replicate,
)
from riskadj.stats.anchors import estimate_threshold, every_estimate
from riskadj.stats.arrays import Floats, a_row, finite, tail_of, whole
from riskadj.stats.table_logistic import fit_tables
from riskadj.stats.threads import one_thread

_FEWEST_BANDS = 2


@dataclass(frozen=True)
class BaselineBands:
    """Thresholds in bands of the baseline, an entry per band.

    Attributes
    ----------
    low, high : ndarray of shape (n_bands,)
        Smallest and largest baseline of the band's patients.
    n : ndarray of shape (n_bands,)
    share_improved, mean_change : ndarray of shape (n_bands,)
    predictive, adjusted, roc, auc : ndarray of shape (n_bands,)
        As in :class:`AnchorThreshold`. NaN in a band where nobody or everybody improved, or the
        improved did not change more.
    lower, upper : ndarray of shape (n_bands,)
        Bootstrap percentile interval of `predictive`. NaN where that is, or where more than a
        twentieth of the replicates had no estimate.
    level : float
    """

    low: Floats
    high: Floats
    n: NDArray[np.intp]
    share_improved: Floats
    mean_change: Floats
    predictive: Floats
    adjusted: Floats
    roc: Floats
    auc: Floats
    lower: Floats
    upper: Floats
    level: float


@dataclass(frozen=True)
class BaselineLine:
    """The predictive threshold as a straight line over the baseline.

    Attributes
    ----------
    at : ndarray of shape (n_points,)
        Baselines.
    threshold, lower, upper : ndarray of shape (n_points,)
        At those, with bootstrap percentile intervals.
    centre : float
        Mean baseline.
    at_centre : float
        Threshold there.
    slope, slope_lower, slope_upper : float
        Change of the threshold per unit of the baseline.
    level : float
    failed : int
        Replicates without an estimate.
    seed : int
    """

    at: Floats
    threshold: Floats
    lower: Floats
    upper: Floats
    centre: float
    at_centre: float
    slope: float
    slope_lower: float
    slope_upper: float
    level: float
    failed: int
    seed: int


def threshold_by_baseline(
    change: ArrayLike,
    improved: ArrayLike,
    baseline: ArrayLike,
    *,
    seed: int,
    bands: int = 4,
    replicates: int = 500,
    level: float = 0.95,
) -> BaselineBands:
    """Estimate the threshold in bands of the baseline.

    Do not read the trend as dependence on the baseline when `baseline` is the score that the
    change was computed from. Whoever scored poorly by chance is in a low band and gains by chance:
    error is handed to the bands unevenly, so that low bands have larger thresholds even where all
    patients share one (Terluin, Roos, Terwee, Thorlund and Ingelsrud 2021, Qual Life Res
    30:2773-2782). Hand over another measurement of the baseline, whose error is another: a second
    score, another instrument, or one half of the items, with twice the change of the other half.
    A dependence that is there then looks smaller than it is.

    Parameters
    ----------
    change, improved
        As in `estimate_threshold`.
    baseline : array-like of shape (n_patients,)
        What is banded.
    seed : int
        Of the bootstrap of episodes.
    bands : int
        Bands of about equal numbers, at least 2. Equal baselines are never parted; where that
        leaves a band without patients there are fewer.
    replicates : int
        At least 2.
    level : float
        Of the intervals; between 0 and 1.

    Raises
    ------
    ArrayError
        As `estimate_threshold`, for the cohort as a whole; also when the baseline is not finite or
        takes a single value.
    NoVariationError
        As `estimate_threshold`, for the cohort as a whole.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> before = rng.integers(0, 40, 4000)
    >>> gain = rng.integers(-5, 25, 4000)
    >>> improved = rng.random(4000) < 1 / (1 + np.exp(-(gain - 8) / 3))
    >>> got = threshold_by_baseline(gain, improved, before, seed=1, bands=2, replicates=50)
    >>> got.low.tolist(), bool(np.ptp(got.predictive) < 1)
    ([0.0, 20.0], True)
    """
    estimate_threshold(change, improved)
    whole("bands", bands, _FEWEST_BANDS)
    tail, gain, better = tail_of(level), finite("change", change), finite("improved", improved)
    start = finite("baseline", baseline, gain.shape)
    rows = [
        _band(_Patients(gain[at], better[at], start[at]), replicates, seed, stream, tail)
        for stream, at in enumerate(_banded(start, bands))
    ]
    columns = {key: np.array([row[key] for row in rows]) for key in rows[0]}
    return BaselineBands(**columns, level=float(level))


def threshold_along_baseline(
    change: ArrayLike,
    improved: ArrayLike,
    baseline: ArrayLike,
    *,
    seed: int,
    at: ArrayLike | None = None,
    replicates: int = 500,
    level: float = 0.95,
    provider: ArrayLike | None = None,
) -> BaselineLine:
    """Estimate the predictive threshold as a straight line over the baseline.

    Parameters
    ----------
    change, improved
        As in `estimate_threshold`.
    baseline : array-like of shape (n_patients,)
        Covariate. The warning of `threshold_by_baseline` holds here too: adjusting for the score
        that the change was computed from bends the line as banding by it does. Hand over another
        measurement of the baseline.
    seed : int
        Same seed, same answer.
    at : array-like of shape (n_points,), optional
        Baselines at which the threshold is wanted; the tenth, half and nine tenths of the
        patients' by default.
    replicates : int
        At least 2.
    level : float
        Of the intervals; between 0 and 1.
    provider : array-like of shape (n_patients,), optional
        As in `bootstrap_threshold`.

    Raises
    ------
    ArrayError
        As `bootstrap_threshold`; also when the baseline is not finite or takes a single value.
    NoVariationError
        As `estimate_threshold`.

    Notes
    -----
    The definition of the predictive threshold, a likelihood ratio of 1 (Terluin et al. 2015, as in
    `estimate_threshold`), is applied at each baseline b. With logit(improved) = C + B change + D b
    after the change is known, and logit(improved) = E + F b before, both sides agree at a change
    of (E - C) / B + b (F - D) / B. There is no correction for the share improved: where that
    varies with the baseline, the line leans a little.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> before, improved = rng.integers(0, 40, 4000), rng.random(4000) < 0.8
    >>> gain = 14 - 0.3 * before + np.where(improved, 6, -6) + rng.normal(0, 7, 4000)
    >>> got = threshold_along_baseline(gain, improved, before, seed=1, replicates=100)
    >>> bool(got.slope_upper < 0), bool(abs(got.slope + 0.3) < 0.1)
    (True, True)
    """
    estimate_threshold(change, improved)
    tail, points = tail_of(level), None if at is None else a_row("at", at)
    start = finite("baseline", baseline, np.shape(change))
    _refuse_one_baseline(start)
    points = np.quantile(start, [0.1, 0.5, 0.9]) if points is None else points
    table = count_patients(change, improved, start, provider)
    centre, spread = float(start.mean()), float(start.std())
    scaled = (table.values[:, 1] - centre) / spread

    def lines(counts: Floats) -> Floats:
        return _line(table.values[:, 0], scaled, *by_answer(counts))

    with one_thread():
        fitted = lines(table.counts[None])[0]
    if np.isnan(fitted).any():
        raise ArrayError(
            "change: wanted one that says more about improvement than the baseline does, with "
            "patients of both kinds at the same changes; got none."
        )
    draws = replicate(table, lines, replicates, seed)
    failed = int(np.isnan(draws[:, 0]).sum())
    refuse_failed(failed, replicates)
    where = (points - centre) / spread
    lower, upper = percentiles(draws[:, :1] + draws[:, 1:] * where, tail)
    slope_lower, slope_upper = percentiles(draws[:, 1:] / spread, tail)
    return BaselineLine(
        at=points,
        threshold=fitted[0] + fitted[1] * where,
        lower=lower,
        upper=upper,
        centre=centre,
        at_centre=float(fitted[0]),
        slope=float(fitted[1] / spread),
        slope_lower=float(slope_lower[0]),
        slope_upper=float(slope_upper[0]),
        level=float(level),
        failed=failed,
        seed=int(seed),
    )


def _line(change: Floats, baseline: Floats, others: Floats, improved: Floats) -> Floats:
    """Return the threshold at baseline 0 and its slope, a row per replicate."""
    ones, both = np.ones_like(change), others + improved
    centre, spread = change.mean(), change.std()
    scaled = (change - centre) / spread
    after = fit_tables(np.column_stack((ones, scaled, baseline)), improved, both)
    before = fit_tables(np.column_stack((ones, baseline)), improved, both)
    with np.errstate(divide="ignore", invalid="ignore"):
        lines = (before - after[:, [0, 2]]) / after[:, [1]]
    lines = np.where(after[:, [1]] > 0, lines, np.nan) * spread
    return np.asarray(lines + np.array([centre, 0.0]))


def _banded(baseline: Floats, bands: int) -> list[NDArray[np.intp]]:
    """Return the rows of each band, cut so that equal baselines stay together."""
    _refuse_one_baseline(baseline)
    edges = np.unique(np.quantile(baseline, np.arange(1, bands) / bands, method="higher"))
    codes = np.searchsorted(edges, baseline, side="right")
    return [np.flatnonzero(codes == one) for one in np.unique(codes)]


@dataclass(frozen=True)
class _Patients:
    """Those of a band."""

    change: Floats
    improved: Floats
    baseline: Floats

    def described(self) -> dict[str, float]:
        return {
            "low": float(self.baseline.min()),
            "high": float(self.baseline.max()),
            "n": len(self.change),
            "share_improved": float(self.improved.mean()),
            "mean_change": float(self.change.mean()),
        }

    def differ(self) -> bool:
        return bool(np.ptp(self.improved) > 0 and np.ptp(self.change) > 0)


_OF_A_BAND = ("predictive", "adjusted", "roc", "auc")


def _band(
    patients: _Patients, replicates: int, seed: int, stream: int, tail: float
) -> dict[str, float]:
    if not patients.differ():
        return patients.described() | dict.fromkeys((*_OF_A_BAND, "lower", "upper"), float("nan"))
    table = count_patients(patients.change, patients.improved)
    values = table.values[:, 0]

    def estimates(counts: Floats) -> Floats:
        found = every_estimate(values, *by_answer(counts), float("nan"))
        return np.stack([found[one] for one in _OF_A_BAND], axis=1)

    with one_thread():
        found = dict(zip(_OF_A_BAND, estimates(table.counts)[0].tolist(), strict=True))
    draws = replicate(table, estimates, replicates, seed, stream)[:, :1]
    sound = np.isnan(draws).mean() <= MOST_FAILED
    lower, upper = percentiles(draws if sound else np.full_like(draws, np.nan), tail)
    return patients.described() | found | {"lower": float(lower[0]), "upper": float(upper[0])}


def _refuse_one_baseline(baseline: Floats) -> None:
    if baseline.min() == baseline.max():
        raise ArrayError(f"baseline: wanted values that differ; got {baseline[0]:g} throughout.")
