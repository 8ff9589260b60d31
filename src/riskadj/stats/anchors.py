"""Which change patients call an improvement: thresholds estimated with an anchor question.

Changes count upwards: where a lower score is better, hand over before minus after. For a threshold
of worsening, hand over the loss and who said that they were worse.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import logit

from riskadj.errors import ArrayError
from riskadj.stats.anchor_tables import by_answer, count_patients
from riskadj.stats.arrays import Floats, a_number, finite
from riskadj.stats.groups import group_rows
from riskadj.stats.table_logistic import fit_tables
from riskadj.stats.threads import one_thread

METHODS = ("predictive", "adjusted", "improved_adjusted", "roc")
"""How a threshold is estimated, in the order of every array of methods."""


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
    reliability = checked_reliability(anchor_reliability)
    table = count_patients(change, improved)
    with one_thread():
        found = every_estimate(table.values[:, 0], *by_answer(table.counts), reliability)
    _refuse_lost(found)
    keys = [*METHODS, "sensitivity", "specificity", "auc", "share_improved"]
    keys += ["correlation", "sd_change", "intercept", "slope"]
    return AnchorThreshold(n=int(table.counts.sum()), **{key: float(found[key][0]) for key in keys})


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


def checked_reliability(value: float | None) -> float:
    """Return the reliability of the anchor question; NaN when none is given."""
    if value is None:
        return float("nan")
    number = a_number("anchor_reliability", value)
    if not 0 < number <= 1:
        raise ArrayError(
            f"anchor_reliability: wanted a number above 0 and up to 1; got {number:g}."
        )
    return number


def every_estimate(
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
    return np.asarray(product / (sd * np.sqrt((n - 1) * n * share * (1 - share))))


def _regress(values: Floats, improved: Floats, both: Floats) -> Floats:
    """Return intercept and slope of the logistic regression on the change, a row per replicate."""
    centre, spread = values.mean(), values.std()
    scaled = fit_tables(
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
