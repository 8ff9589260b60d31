"""Which change patients call an improvement: thresholds estimated with an anchor question.

Scores take few values, so that a cohort is a table of counts: distinct change by anchor. Every
estimate is arithmetic on such tables, and a bootstrap is so many tables at once.

Changes count upwards: where a lower score is better, hand over before minus after. For a threshold
of worsening, hand over the loss and who said that they were worse.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from scipy.special import expit, logit

from riskadj.errors import ArrayError, NoVariationError
from riskadj.stats.arrays import Floats, a_number, a_row, finite, tail_of, whole
from riskadj.stats.groups import group_rows
from riskadj.stats.threads import one_thread

METHODS = ("predictive", "adjusted", "improved_adjusted", "roc")
"""How a threshold is estimated, in the order of every array of methods."""

MOST_FAILED = 0.05
"""With a larger share of replicates without an answer, the rest would be too short an interval."""

_CELLS_AT_ONCE = 2_000_000
_PASSES = 60
_HALVINGS = 30
_SETTLED = 1e-9
_LOST = 1e-9
"""Share of its first information at which a coefficient has run away."""
_FEWEST_BANDS = 2


@dataclass(frozen=True)
class AnchorThreshold:
    """The change from which on patients say that they are better, by several methods.

    Attributes
    ----------
    predictive : float
        The change that is as likely among the improved as among the others.
    adjusted : float
        `predictive`, corrected for the share improved.
    improved_adjusted : float
        The same with the reliability of the anchor; NaN when that was not given.
    roc : float
        The change with the largest sum of sensitivity and specificity when reaching it predicts
        improvement. Of several the smallest.
    sensitivity, specificity : float
        At `roc`; 0 to 1.
    auc : float
        Probability that of an improved patient and another the improved one changed more, ties
        counting half; 0 to 1.
    n : int
        Patients.
    share_improved : float
        0 to 1.
    correlation : float
        Of the anchor with the change, 0 to 1.
    sd_change : float
        Standard deviation of the change.
    intercept, slope : float
        Of the logistic regression of the anchor on the change.
    """

    predictive: float
    adjusted: float
    improved_adjusted: float
    roc: float
    sensitivity: float
    specificity: float
    auc: float
    n: int
    share_improved: float
    correlation: float
    sd_change: float
    intercept: float
    slope: float


@dataclass(frozen=True)
class ThresholdIntervals:
    """Thresholds with bootstrap percentile intervals, an entry per method of `METHODS`.

    Attributes
    ----------
    methods : tuple of str
    estimate : ndarray of shape (n_methods,)
        As `estimate_threshold` gives them.
    lower, upper : ndarray of shape (n_methods,)
        NaN where the estimate is.
    level : float
    draws : ndarray of shape (n_replicates, n_methods)
        NaN where a replicate has no estimate.
    failed : int
        Replicates without one: nobody or everybody improved, or no relation with the change.
    resampled : str
        "episodes" or "providers".
    seed : int
    """

    methods: tuple[str, ...]
    estimate: Floats
    lower: Floats
    upper: Floats
    level: float
    draws: Floats
    failed: int
    resampled: str
    seed: int


@dataclass(frozen=True)
class MeanChange:
    """Mean change by answer to the anchor question, an entry per answer.

    Attributes
    ----------
    rating : ndarray of shape (n_ratings,)
        Sorted.
    n : ndarray of shape (n_ratings,)
    share : ndarray of shape (n_ratings,)
        0 to 1.
    mean, sd, standard_error : ndarray of shape (n_ratings,)
        Of the change. The last two are NaN with a single patient.
    """

    rating: NDArray[Any]
    n: NDArray[np.intp]
    share: Floats
    mean: Floats
    sd: Floats
    standard_error: Floats


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


def estimate_threshold(
    change: ArrayLike, improved: ArrayLike, *, anchor_reliability: float | None = None
) -> AnchorThreshold:
    """Estimate the change from which on patients say that they are better.

    Parameters
    ----------
    change : array-like of shape (n_patients,)
        Improvement of the score; above 0 is better. Round that of an index to its decimals first:
        in binary fractions 0.8 - 0.5 is not 0.3.
    improved : array-like of shape (n_patients,)
        1 for those who said that they were better, else 0.
    anchor_reliability : float, optional
        Reliability of the anchor question, above 0 and up to 1, estimated elsewhere.

    Raises
    ------
    ArrayError
        When arrays are not numbers of one length or the anchor is not 0 and 1; when the improved
        changed no more than the others, or so much more that the two do not overlap.
    NoVariationError
        When nobody improved, everybody did, or every change is the same.

    Notes
    -----
    With q the share improved, p = logit(q) and the logistic regression
    logit(improved) = C + B change:

    - predictive: (p - C) / B, the change with a likelihood ratio of 1 (Terluin, Eekhout, Terwee
      and de Vet 2015, J Clin Epidemiol 68:1388-1396);
    - adjusted: predictive - (0.09 + 0.103 r) s p, r the correlation of anchor and change and s
      the standard deviation of the change (Terluin, Eekhout and Terwee 2017, J Clin Epidemiol
      83:90-100);
    - improved adjusted: predictive - (0.8 / reliability - 0.5) s r p (Terluin, Eekhout and Terwee
      2022, J Clin Epidemiol 148:48-53).

    The corrections are regressions on simulated cohorts. They vanish when half improved, and are
    the less to be trusted the further from half the share is: after hip replacement it is 0.96.

    The area under the curve is that of Hanley and McNeil 1982, Radiology 143:29-36; the cut is
    the largest index of Youden 1950, Cancer 3:32-35, over the changes that occur.

    Examples
    --------
    >>> got = estimate_threshold([0, 2, 4, 6, 8, 10], [0, 0, 1, 0, 1, 1])
    >>> round(got.predictive, 6), got.roc, round(got.auc, 6)
    (5.0, 4.0, 0.888889)
    """
    reliability = _reliability(anchor_reliability)
    table = _table(change, improved)
    with one_thread():
        found = _estimate(table.values[:, 0], *_halves(table.counts), reliability)
    _refuse_lost(found)
    keys = [*METHODS, "sensitivity", "specificity", "auc", "share_improved"]
    keys += ["correlation", "sd_change", "intercept", "slope"]
    return AnchorThreshold(n=int(table.counts.sum()), **{key: float(found[key][0]) for key in keys})


def bootstrap_threshold(
    change: ArrayLike,
    improved: ArrayLike,
    *,
    seed: int,
    replicates: int = 500,
    level: float = 0.95,
    provider: ArrayLike | None = None,
    anchor_reliability: float | None = None,
) -> ThresholdIntervals:
    """Estimate thresholds with bootstrap percentile intervals.

    Parameters
    ----------
    change, improved, anchor_reliability
        As in `estimate_threshold`.
    seed : int
        Same seed, same answer, whatever the order of rows.
    replicates : int
        At least 2; intervals want hundreds.
    level : float
        Of the intervals; between 0 and 1.
    provider : array-like of shape (n_patients,), optional
        Labels. With them providers are drawn with all their patients, as patients of one provider
        are alike; without, patients are drawn.

    Raises
    ------
    ArrayError
        As `estimate_threshold`; also with fewer than two providers, or when more than a twentieth
        of the replicates have no estimate.
    NoVariationError
        As `estimate_threshold`.

    Notes
    -----
    Efron 1979, Ann Stat 7:1-26. The cut of the receiver operating characteristic jumps between
    changes that occur, so that its interval does too. The reliability is taken as known.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> change = rng.integers(-10, 30, 2000)
    >>> improved = rng.random(2000) < 1 / (1 + np.exp(-(change - 8) / 4))
    >>> got = bootstrap_threshold(change, improved, seed=1, replicates=200)
    >>> bool(got.lower[0] < got.estimate[0] < got.upper[0])
    True
    """
    point = estimate_threshold(change, improved, anchor_reliability=anchor_reliability)
    reliability, tail = _reliability(anchor_reliability), tail_of(level)
    table = _table(change, improved, provider=provider)
    values = table.values[:, 0]

    def estimates(counts: Floats) -> Floats:
        found = _estimate(values, *_halves(counts), reliability)
        return np.stack([found[one] for one in METHODS], axis=1)

    draws = _replicate(table, estimates, replicates, seed)
    lower, upper = _interval(draws, tail)
    failed = int(np.isnan(draws[:, 0]).sum())
    _refuse_failed(failed, replicates)
    return ThresholdIntervals(
        methods=METHODS,
        estimate=np.array([getattr(point, one) for one in METHODS]),
        lower=lower,
        upper=upper,
        level=float(level),
        draws=draws,
        failed=failed,
        resampled="episodes" if provider is None else "providers",
        seed=int(seed),
    )


def mean_change(change: ArrayLike, rating: ArrayLike) -> MeanChange:
    """Return the mean change by answer to the anchor question.

    The mean-change method takes that of the smallest improvement there is an answer for ("a little
    better") as threshold. It is the mean of a group: about half of those who give that answer
    changed by less.

    Parameters
    ----------
    change : array-like of shape (n_patients,)
        Improvement of the score; above 0 is better.
    rating : array-like of shape (n_patients,)
        Answers: numbers or text.

    Raises
    ------
    ArrayError
        When changes are not finite, or not one per answer.

    Notes
    -----
    Jaeschke, Singer and Guyatt 1989, Control Clin Trials 10:407-415.

    Examples
    --------
    >>> got = mean_change([20, 24, 10, 14, 1], [1, 1, 2, 2, 3])
    >>> got.rating.tolist(), got.mean.tolist()
    ([1, 2, 3], [22.0, 12.0, 1.0])
    """
    groups = group_rows(rating, "rating")
    values = finite("change", change, (groups.n_rows,))
    mean = groups.mean(values)
    squares = groups.total((values - groups.at_rows(mean)) ** 2)
    free = np.where(groups.sizes > 1, groups.sizes - 1.0, np.nan)
    sd = np.sqrt(squares / free)
    return MeanChange(
        rating=groups.labels,
        n=groups.sizes,
        share=groups.sizes / groups.n_rows,
        mean=mean,
        sd=sd,
        standard_error=sd / np.sqrt(groups.sizes),
    )


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
    table = _table(change, improved, start, provider)
    centre, spread = float(start.mean()), float(start.std())
    scaled = (table.values[:, 1] - centre) / spread

    def lines(counts: Floats) -> Floats:
        return _line(table.values[:, 0], scaled, *_halves(counts))

    with one_thread():
        fitted = lines(table.counts[None])[0]
    if np.isnan(fitted).any():
        raise ArrayError(
            "change: wanted one that says more about improvement than the baseline does, with "
            "patients of both kinds at the same changes; got none."
        )
    draws = _replicate(table, lines, replicates, seed)
    failed = int(np.isnan(draws[:, 0]).sum())
    _refuse_failed(failed, replicates)
    where = (points - centre) / spread
    lower, upper = _interval(draws[:, :1] + draws[:, 1:] * where, tail)
    slope_lower, slope_upper = _interval(draws[:, 1:] / spread, tail)
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


@dataclass(frozen=True)
class _Table:
    """Distinct values, and how many patients of either answer have them, by provider if asked."""

    values: Floats
    counts: Floats
    by_provider: sparse.csr_array | None


def _table(
    change: ArrayLike,
    improved: ArrayLike,
    baseline: Floats | None = None,
    provider: ArrayLike | None = None,
) -> _Table:
    """Count the patients of each distinct value: those who did not improve, then those who did."""
    gain, better = _checked(change, improved)
    rows = gain[:, None] if baseline is None else np.column_stack((gain, baseline))
    values, codes = np.unique(rows, axis=0, return_inverse=True)
    cells = codes.ravel() + len(values) * better.astype(np.intp)
    size = 2 * len(values)
    by_provider = None if provider is None else _by_provider(cells, size, provider)
    return _Table(values, np.bincount(cells, minlength=size).astype(np.float64), by_provider)


def _checked(change: ArrayLike, improved: ArrayLike) -> tuple[Floats, Floats]:
    gain = _one_per_patient("change", change)
    better = finite("improved", improved, gain.shape)
    wrong = (better != 0) & (better != 1)
    if wrong.any():
        raise ArrayError(
            f"improved: wanted 0 or 1; got {better[wrong][0]:g} ({wrong.sum():,} others in all). "
            "Say which answers count as improved, such as rating <= 2."
        )
    if better.min() == better.max():
        who = "everybody" if better[0] else "nobody"
        raise NoVariationError(
            f"improved: wanted some who improved and some who did not; got {who} who did. "
            "Choose other answers of the anchor."
        )
    if gain.min() == gain.max():
        raise NoVariationError(f"change: wanted changes that differ; got {gain[0]:g} throughout.")
    return gain, better


def _one_per_patient(name: str, values: ArrayLike) -> Floats:
    array = finite(name, values)
    if array.ndim != 1 or not array.size:
        raise ArrayError(f"{name}: wanted one number per patient; got shape {array.shape}.")
    return array


def _by_provider(cells: NDArray[np.intp], size: int, provider: ArrayLike) -> sparse.csr_array:
    groups = group_rows(provider)
    if groups.n_rows != len(cells):
        raise ArrayError(f"provider: wanted {len(cells):,} labels; got {groups.n_rows:,}.")
    if len(groups) < 2:
        raise ArrayError(
            "provider: wanted two or more to draw from; got one. Draw episodes instead: leave "
            "provider out."
        )
    ones = np.ones(len(cells))
    return sparse.csr_array((ones, (groups.codes, cells)), shape=(len(groups), size))


def _reliability(value: float | None) -> float:
    if value is None:
        return float("nan")
    number = a_number("anchor_reliability", value)
    if not 0 < number <= 1:
        raise ArrayError(
            f"anchor_reliability: wanted a number above 0 and up to 1; got {number:g}."
        )
    return number


def _halves(counts: Floats) -> tuple[Floats, Floats]:
    """Return who did not improve and who did, a row per replicate."""
    tables = np.atleast_2d(counts)
    middle = tables.shape[1] // 2
    return tables[:, :middle], tables[:, middle:]


def _estimate(
    values: Floats, others: Floats, improved: Floats, reliability: float
) -> dict[str, Floats]:
    """Return every estimate, an entry per replicate; NaN where there is none."""
    both, n_improved, n = others + improved, improved.sum(axis=1), (others + improved).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = n_improved / n
        mean, sd = _moments(values, both)
        correlation = _correlation(values, improved, mean, sd, share, n)
        odds = logit(share)
        coef = _regress(values, improved, both)
        predictive = (odds - coef[:, 0]) / coef[:, 1]
        predictive = np.where(coef[:, 1] > 0, predictive, np.nan)
        found = {
            "predictive": predictive,
            "adjusted": predictive - (0.09 + 0.103 * correlation) * sd * odds,
            "improved_adjusted": predictive - (0.8 / reliability - 0.5) * sd * correlation * odds,
        }
        curve = _curve(values, others, improved)
    lost = np.isnan(predictive)
    found |= {key: np.where(lost, np.nan, one) for key, one in curve.items()}
    return found | {
        "share_improved": share,
        "correlation": correlation,
        "sd_change": sd,
        "intercept": coef[:, 0],
        "slope": coef[:, 1],
    }


def _moments(values: Floats, counts: Floats) -> tuple[Floats, Floats]:
    """Return mean and standard deviation of each replicate."""
    n = counts.sum(axis=1)
    mean = counts @ values / n
    # Around a common centre first: differences of large squares would lose digits.
    centred = values - values.mean()
    squares = counts @ centred**2 - n * (mean - values.mean()) ** 2
    return mean, np.sqrt(np.maximum(squares, 0.0) / (n - 1))


def _correlation(
    values: Floats, improved: Floats, mean: Floats, sd: Floats, share: Floats, n: Floats
) -> Floats:
    product = improved @ values - improved.sum(axis=1) * mean
    return product / (sd * np.sqrt((n - 1) * n * share * (1 - share)))


def _regress(values: Floats, improved: Floats, both: Floats) -> Floats:
    """Return intercept and slope of the logistic regression on the change, a row per replicate."""
    centre, spread = values.mean(), values.std()
    scaled = _logistic(
        np.column_stack((np.ones_like(values), (values - centre) / spread)), improved, both
    )
    slope = scaled[:, 1] / spread
    return np.stack((scaled[:, 0] - slope * centre, slope), axis=1)


def _curve(values: Floats, others: Floats, improved: Floats) -> dict[str, Floats]:
    """Return the best cut of the receiver operating characteristic, and the area under it."""
    n_others, n_improved = others.sum(axis=1), improved.sum(axis=1)
    # Numbers who reach each change; whole, so that ties between cuts are exact.
    true = np.cumsum(improved[:, ::-1], axis=1)[:, ::-1]
    false = np.cumsum(others[:, ::-1], axis=1)[:, ::-1]
    best = np.argmax(true * n_others[:, None] - false * n_improved[:, None], axis=1)
    rows = np.arange(len(best))
    above = true - improved / 2
    return {
        "roc": values[best],
        "sensitivity": true[rows, best] / n_improved,
        "specificity": 1 - false[rows, best] / n_others,
        "auc": (others * above).sum(axis=1) / (n_others * n_improved),
    }


def _line(change: Floats, baseline: Floats, others: Floats, improved: Floats) -> Floats:
    """Return the threshold at baseline 0 and its slope, a row per replicate."""
    ones, both = np.ones_like(change), others + improved
    centre, spread = change.mean(), change.std()
    scaled = (change - centre) / spread
    after = _logistic(np.column_stack((ones, scaled, baseline)), improved, both)
    before = _logistic(np.column_stack((ones, baseline)), improved, both)
    with np.errstate(divide="ignore", invalid="ignore"):
        lines = (before - after[:, [0, 2]]) / after[:, [1]]
    lines = np.where(after[:, [1]] > 0, lines, np.nan) * spread
    return lines + np.array([centre, 0.0])


def _logistic(x: Floats, events: Floats, trials: Floats) -> Floats:
    """Fit a logistic regression to each replicate; NaN where it has no maximum.

    Rows of x are common; events and trials have a row per replicate.
    """
    coef = np.zeros((len(events), x.shape[1]))
    share = events.sum(axis=1) / trials.sum(axis=1)
    sound = (share > 0) & (share < 1)
    coef[sound, 0] = logit(share[sound])
    settled = ~sound
    height = _log_likelihood(x, coef, events, trials)
    for _ in range(_PASSES):
        going = np.flatnonzero(~settled)
        if not going.size:
            break
        step = _newton_step(x, coef[going], events[going], trials[going])
        coef[going], height[going] = _climb(
            x, coef[going], step, height[going], events[going], trials[going]
        )
        settled[going] = np.abs(step).max(axis=1) < _SETTLED
    start = np.zeros_like(coef)
    start[sound, 0] = logit(share[sound])
    left, first = _least_information(x, coef, trials), _least_information(x, start, trials)
    coef[~(settled & sound & (left > _LOST * first))] = np.nan
    return coef


def _log_likelihood(x: Floats, coef: Floats, events: Floats, trials: Floats) -> Floats:
    eta = coef @ x.T
    return (events * eta - trials * np.logaddexp(0.0, eta)).sum(axis=1)


def _newton_step(x: Floats, coef: Floats, events: Floats, trials: Floats) -> Floats:
    slope = (events - trials * expit(coef @ x.T)) @ x
    curvature = _curvature(x, coef, trials)
    # A trace of a ridge: where there is no maximum, curvature fades away altogether.
    ridge = 1e-12 * np.trace(curvature, axis1=1, axis2=2) + np.finfo(float).tiny
    curvature += ridge[:, None, None] * np.eye(x.shape[1])
    return np.linalg.solve(curvature, slope[:, :, None])[:, :, 0]


def _curvature(x: Floats, coef: Floats, trials: Floats) -> Floats:
    p, mean = x.shape[1], expit(coef @ x.T)
    products = (x[:, :, None] * x[:, None, :]).reshape(len(x), p * p)
    return ((trials * mean * (1 - mean)) @ products).reshape(-1, p, p)


def _least_information(x: Floats, coef: Floats, trials: Floats) -> Floats:
    return np.asarray(np.linalg.eigvalsh(_curvature(x, coef, trials))[:, 0], dtype=np.float64)


def _climb(
    x: Floats, coef: Floats, step: Floats, height: Floats, events: Floats, trials: Floats
) -> tuple[Floats, Floats]:
    """Take the step, halved for the replicates in which it would lead down."""
    taken = coef + step
    reached = _log_likelihood(x, taken, events, trials)
    # Rounding of a sum of so many terms is no way down.
    slack = 1e-10 * np.abs(height)
    for halving in range(1, _HALVINGS):
        down = np.flatnonzero(~(reached >= height - slack))
        if not down.size:
            break
        taken[down] = coef[down] + step[down] * 0.5**halving
        reached[down] = _log_likelihood(x, taken[down], events[down], trials[down])
    return taken, reached


def _replicate(
    table: _Table,
    estimate: Callable[[Floats], Floats],
    replicates: int,
    seed: int,
    stream: int = 0,
) -> Floats:
    """Return the estimates of every bootstrap sample, a row each."""
    whole("replicates", replicates, 2)
    whole("seed", seed, 0)
    rng = np.random.default_rng([seed, stream])
    with one_thread():
        rows = [estimate(counts) for counts in _samples(table, replicates, rng)]
    return np.concatenate(rows)


def _samples(table: _Table, replicates: int, rng: np.random.Generator) -> Iterator[Floats]:
    """Yield tables of counts, a row per sample, a few at a time."""
    at_once = max(1, _CELLS_AT_ONCE // len(table.counts))
    n = int(table.counts.sum())
    for first in range(0, replicates, at_once):
        size = min(at_once, replicates - first)
        if table.by_provider is None:
            yield rng.multinomial(n, table.counts / n, size=size).astype(np.float64)
            continue
        m = table.by_provider.shape[0]
        copies = rng.multinomial(m, np.full(m, 1 / m), size=size).astype(np.float64)
        yield np.asarray(copies @ table.by_provider)


def _interval(draws: Floats, tail: float) -> tuple[Floats, Floats]:
    """Return percentiles of each column over the rows that have a value; NaN where none has.

    The share's place is among n + 1 gaps: so many draws are beyond as of those to come.
    """
    shares = [tail, 1 - tail]
    ends = np.full((2, draws.shape[1]), np.nan)
    for column, values in enumerate(draws.T):
        known = values[~np.isnan(values)]
        if known.size:
            ends[:, column] = np.quantile(known, shares, method="weibull")
    return ends[0], ends[1]


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
    table = _table(patients.change, patients.improved)
    values = table.values[:, 0]

    def estimates(counts: Floats) -> Floats:
        found = _estimate(values, *_halves(counts), float("nan"))
        return np.stack([found[one] for one in _OF_A_BAND], axis=1)

    with one_thread():
        found = dict(zip(_OF_A_BAND, estimates(table.counts)[0].tolist(), strict=True))
    draws = _replicate(table, estimates, replicates, seed, stream)[:, :1]
    sound = np.isnan(draws).mean() <= MOST_FAILED
    lower, upper = _interval(draws if sound else np.full_like(draws, np.nan), tail)
    return patients.described() | found | {"lower": float(lower[0]), "upper": float(upper[0])}


def _refuse_one_baseline(baseline: Floats) -> None:
    if baseline.min() == baseline.max():
        raise ArrayError(f"baseline: wanted values that differ; got {baseline[0]:g} throughout.")


def _refuse_lost(found: dict[str, Floats]) -> None:
    if not np.isnan(found["predictive"][0]):
        return
    if not found["correlation"][0] > 0:
        raise ArrayError(
            "change: wanted larger changes among those who improved; got a correlation of "
            f"{found['correlation'][0]:.2f}. Where a lower score is better, hand over before "
            "minus after."
        )
    raise ArrayError(
        "change: wanted some who did not improve among the changes of those who did; got two "
        "kinds that do not overlap, so that any change between them would do."
    )


def _refuse_failed(failed: int, replicates: int) -> None:
    if failed > MOST_FAILED * replicates:
        raise ArrayError(
            f"improved: wanted bootstrap samples with an estimate; got {failed:,} of "
            f"{replicates:,} without. There are too few patients of one kind for an interval."
        )
