"""What several imputations say together.

Each completed data set has an estimate and its variance; Rubin's rules put them together, so that
what imputation does not know is part of the error (Rubin 1987, Multiple Imputation for Nonresponse
in Surveys). The degrees of freedom say how far a pooled estimate is out as a normal score.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from riskadj.errors import ArrayError
from riskadj.stats.arrays import Floats, above, at_least, finite, tail_of
from riskadj.stats.intervals import Interval


@dataclass(frozen=True)
class Pooled:
    """What several imputations say together.

    Attributes
    ----------
    estimate : ndarray of shape (...)
    within, between : ndarray of shape (...)
        Mean of the variances, and variance of the estimates.
    variance, error : ndarray of shape (...)
        Total variance, and its root.
    df : ndarray of shape (...)
        Degrees of freedom; infinite where imputations agree.
    missing_information : ndarray of shape (...)
        Fraction of information that is missing, 0 to 1.
    imputations : int
    """

    estimate: Floats
    within: Floats
    between: Floats
    variance: Floats
    error: Floats
    df: Floats
    missing_information: Floats
    imputations: int

    def interval(self, level: float = 0.95) -> Interval:
        """Return the interval of Student's distribution that holds the truth with `level`."""
        half = special.stdtrit(self.df, 1 - tail_of(level)) * self.error
        return Interval(self.estimate - half, self.estimate + half)

    def z(self, target: ArrayLike = 0.0) -> Floats:
        """Return the normal score that is as far out as (estimate - target) / error.

        With few degrees of freedom the same distance is less remarkable; limits at 1.96 or 3.0902
        can be used with this.
        """
        return normal_score((self.estimate - finite("target", target)) / self.error, self.df)


def normal_score(t: ArrayLike, df: ArrayLike) -> Floats:
    """Return the normal score that is as far out as t of Student's distribution.

    Parameters
    ----------
    t : array-like of shape (...)
    df : array-like that goes with that shape
        Above 0; infinite: t is one already.

    Raises
    ------
    ArrayError

    Notes
    -----
    Where the tail is too small for a number, z^2 = df log(1 + t^2 / df), corrected as by Wallace
    (1959, Ann Math Stat 30:1121-1130).

    Examples
    --------
    >>> normal_score([2.0, 2.0, -100.0], [10.0, float("inf"), 2000.0]).round(3).tolist()
    [1.79, 2.0, -59.855]
    """
    scores, known = finite("t", t), _complete("df", df)
    away, few = np.abs(scores), np.where(np.isinf(known), 1.0, known)
    tail = special.stdtr(few, -away)
    wallace = np.sqrt(few * np.log1p(away**2 / few)) * (8 * few + 1) / (8 * few + 3)
    tiny = tail < np.finfo(float).tiny
    score = np.where(tiny, wallace, -special.ndtri(np.where(tiny, 0.5, tail)))
    return np.asarray(np.sign(scores) * np.where(np.isinf(known), away, score))


def student_cut(cut: float, df: ArrayLike) -> Floats:
    """Return the t that is as far out as a normal score: limits for estimate / error.

    Parameters
    ----------
    cut : float
        Above 0.
    df : array-like of shape (...)
        Above 0.

    Raises
    ------
    ArrayError

    Examples
    --------
    >>> student_cut(1.959964, [10.0, 38.0, float("inf")]).round(3).tolist()
    [2.228, 2.024, 1.96]
    """
    normal, known = above("cut", [cut], 0.0)[0], _complete("df", df)
    few = np.where(np.isinf(known), 1.0, known)
    student = -special.stdtrit(few, special.ndtr(-normal))
    return np.asarray(np.where(np.isinf(known), normal, student))


def pool(estimates: ArrayLike, variances: ArrayLike, complete_df: ArrayLike = np.inf) -> Pooled:
    """Return estimate, total variance and degrees of freedom by Rubin's rules.

    Parameters
    ----------
    estimates, variances : array-like of shape (n_imputations, ...)
        Of each completed data set; variances above 0, two imputations or more.
    complete_df : float or array-like of shape (...)
        Degrees of freedom there would be with nothing missing, above 0.

    Returns
    -------
    Pooled

    Raises
    ------
    ArrayError

    Notes
    -----
    With W the mean variance, B the variance of the m estimates and r = (1 + 1/m) B / W:
    T = W + (1 + 1/m) B, df = (m - 1) (1 + 1/r)^2, and the fraction of missing information
    (r + 2 / (df + 3)) / (r + 1) (Rubin 1987, section 3.1). With finite `complete_df`
    the degrees of freedom that are returned are those of Barnard and Rubin (1999, Biometrika
    86:948-955); the fraction stays that of Rubin, which is 0 where imputations agree.

    Examples
    --------
    >>> one = pool([1.0, 2.0, 3.0], [4.0, 4.0, 4.0])
    >>> float(one.estimate), float(one.variance.round(4)), float(one.df), float(one.error.round(3))
    (2.0, 5.3333, 32.0, 2.309)
    """
    q = finite("estimates", estimates)
    if q.ndim < 1 or len(q) < 2:
        raise ArrayError(f"estimates: wanted two imputations or more; got shape {q.shape}.")
    u = at_least("variances", variances, 0.0, q.shape)
    if not (u > 0).all():
        raise ArrayError("variances: wanted numbers above 0; got 0.")
    m = len(q)
    within, between = u.mean(axis=0), q.var(axis=0, ddof=1)
    increase = (1 + 1 / m) * between / within
    total = within * (1 + increase)
    rubin, df = _degrees(increase, m, _complete("complete_df", complete_df))
    return Pooled(
        estimate=q.mean(axis=0),
        within=within,
        between=between,
        variance=total,
        error=np.sqrt(total),
        df=df,
        missing_information=(increase + 2 / (rubin + 3)) / (increase + 1),
        imputations=m,
    )


def _complete(name: str, degrees: ArrayLike) -> Floats:
    """Return degrees of freedom as floats, above 0, which may be infinite."""
    try:
        df = np.asarray(degrees, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ArrayError(f"{name}: wanted numbers; got others ({error}).") from None
    if not (df > 0).all():
        raise ArrayError(f"{name}: wanted numbers above 0; got others.")
    return df


def _degrees(increase: Floats, m: int, complete: Floats) -> tuple[Floats, Floats]:
    """Return Rubin's degrees of freedom, and those of Barnard and Rubin."""
    with np.errstate(divide="ignore", over="ignore"):
        rubin = (m - 1) * (1 + 1 / increase) ** 2
    # Finite stand-ins where a limit is taken: 1 / (1 / inf + 1 / x) is x.
    known = np.where(np.isinf(complete), 1.0, complete)
    observed = (known + 1) / (known + 3) * known / (1 + increase)
    both = 1 / (1 / rubin + 1 / observed)
    return rubin, np.where(np.isinf(complete), rubin, both)
