"""Many providers at once: p-values, false discoveries, and a null that is learnt from the middle.

Which providers are out is a question about many tests. The Benjamini-Hochberg adjustment answers
it for z-scores that are standard normal by chance. Where the case mix is not wholly measured they
are not: in-control providers then vary more than chance, and about another mean. The empirical
null takes both from the middle of the z-scores, where in-control providers are.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from riskadj.errors import ArrayError
from riskadj.stats.arrays import Floats, at_least, finite, plain

_MAD_TO_SD = 1 / float(special.ndtri(0.75))
_LARGEST_SD = 5.0
"""In robust standard deviations; a fit as wide as this, or as narrow as one by it, is no bell."""
_LARGEST_WIDTH = 5.0
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(128)
_SMALL = 1e-13
_MOST_STEPS = 100


@dataclass(frozen=True)
class EmpiricalNull:
    """Distribution of z-scores of in-control providers, as the middle of all z-scores shows it.

    Attributes
    ----------
    mean, sd : ndarray of shape (n_providers,)
        Of the stratum that each provider is in; 0 and 1 by chance alone.
    stratum : ndarray of shape (n_providers,)
        0, 1, ... by growing size; all 0 when there is one.
    inside : ndarray of shape (n_strata,)
        Providers that each stratum's estimates rest on.
    """

    mean: Floats
    sd: Floats
    stratum: NDArray[np.intp]
    inside: NDArray[np.intp]


def two_sided_p(z: ArrayLike) -> Floats:
    """Return P(|Z| >= |z|) for a standard normal Z.

    Parameters
    ----------
    z : array-like

    Returns
    -------
    ndarray
        From 0 to 1; accurate in relative terms down to about 1e-300.

    Raises
    ------
    ArrayError

    Examples
    --------
    >>> two_sided_p([0.0, -1.959964, 3.090232]).round(6).tolist()
    [1.0, 0.05, 0.002]
    """
    return np.asarray(2 * special.ndtr(-np.abs(finite("z", z))))


def benjamini_hochberg(p: ArrayLike) -> Floats:
    """Return adjusted p-values: the false discovery rate at which each would just be found.

    Parameters
    ----------
    p : array-like of shape (n_tests,)
        Within 0 and 1.

    Returns
    -------
    ndarray of shape (n_tests,)
        In the order they came; never under p. Flagging those at or under q holds the expected
        share of false discoveries to q, with independent tests.

    Raises
    ------
    ArrayError

    Notes
    -----
    The smallest of n p_(j) / j over all ranks j from its own up, and 1 at most (Benjamini and
    Hochberg 1995, J R Stat Soc B 57:289-300).

    Examples
    --------
    >>> benjamini_hochberg([0.01, 0.04, 0.03, 0.9]).round(4).tolist()
    [0.04, 0.0533, 0.0533, 0.9]
    """
    raw = at_least("p", p, 0.0)
    if raw.ndim != 1 or (raw.size and raw.max() > 1):
        raise ArrayError("p: wanted one number within 0 and 1 per test; got others.")
    order = np.argsort(-raw, kind="stable")
    # The quotient first: with a factor of 1 or more nothing falls under its own p.
    steps = raw[order] * (len(raw) / np.arange(len(raw), 0, -1))
    adjusted = np.empty_like(raw)
    adjusted[order] = np.minimum(np.minimum.accumulate(steps), 1.0) if len(raw) else steps
    return adjusted


def empirical_null(
    z: ArrayLike,
    size: ArrayLike | None = None,
    n_strata: int = 1,
    width: float = 2.0,
    fewest: int = 30,
) -> EmpiricalNull:
    """Return mean and standard deviation of the z-scores of in-control providers.

    One of several estimators: central matching, robust M-estimates and curves along size are
    others, and give other numbers when providers are few.

    Parameters
    ----------
    z : array-like of shape (n_providers,)
    size : array-like of shape (n_providers,), optional
        Episodes or expected counts; needed for more than one stratum.
    n_strata : int
        Strata between quantiles of size; providers of one size are in one stratum.
    width : float
        Half the width of the middle, in robust standard deviations (1.4826 times the median
        absolute deviation) about the median; from 1 to 5. Under about 1.5 the estimates become
        unstable, above about 2.5 outliers come in.
    fewest : int
        Providers that a stratum must have. With 30 the standard deviation is known to about a
        fifth, with 250 to about a fourteenth.

    Raises
    ------
    ArrayError
        When a stratum has too few providers, half of its z-scores or more are equal, or its
        middle is no bell: whether to use fewer strata, or the theoretical null, is the caller's
        decision.

    Notes
    -----
    An empirical null is due to Efron (2004, JASA 99:96-104). Here a normal distribution truncated
    to the middle is fitted by maximum likelihood to the z-scores inside, so that neither the
    number nor the place of those outside matters beyond the median and its deviation. It can be
    narrower than the theoretical null, and then flags more. With a mean of 0 and one stratum
    per size it is the additive model of over-dispersion; it differs from it in that providers
    that are all worse than the target become the norm. Unusual and bad are not the same.

    Examples
    --------
    >>> z = 0.3 + 1.5 * special.ndtri((np.arange(2000) + 0.5) / 2000)
    >>> null = empirical_null(z)
    >>> float(null.mean[0].round(2)), float(null.sd[0].round(2))
    (0.3, 1.5)
    """
    scores = finite("z", z)
    if scores.ndim != 1:
        raise ArrayError(f"z: wanted one number per provider; got shape {scores.shape}.")
    if not 1 <= width <= _LARGEST_WIDTH:
        raise ArrayError(
            f"width: wanted a number from 1 to {_LARGEST_WIDTH:g}; got {plain(width)!r}."
        )
    stratum = _strata(scores, size, n_strata)
    _enough_in_each(stratum, n_strata, fewest)
    fits = [_truncated_normal(scores[stratum == one], width) for one in range(n_strata)]
    mean, sd, inside = (np.array(one) for one in zip(*fits, strict=True))
    return EmpiricalNull(mean=mean[stratum], sd=sd[stratum], stratum=stratum, inside=inside)


def empirical_null_z(z: ArrayLike, null: EmpiricalNull) -> Floats:
    """Return (z - mean) / sd of each provider's null.

    Parameters
    ----------
    z : array-like of shape (n_providers,)
        In the order in which the null was estimated.
    null : EmpiricalNull

    Raises
    ------
    ArrayError

    Examples
    --------
    >>> null = EmpiricalNull(np.array([0.5]), np.array([2.0]), np.array([0]), np.array([30]))
    >>> empirical_null_z([4.5], null).tolist()
    [2.0]
    """
    return np.asarray((finite("z", z, null.mean.shape) - null.mean) / null.sd)


def _strata(z: Floats, size: ArrayLike | None, n_strata: int) -> NDArray[np.intp]:
    """Return each provider's stratum; equal sizes share one, whatever the order of rows."""
    if n_strata < 1:
        raise ArrayError(f"n_strata: wanted 1 or more; got {n_strata}.")
    if size is None and n_strata > 1:
        raise ArrayError("size: wanted sizes to make strata of; got none. Give them, or 1 stratum.")
    if size is None:
        return np.zeros(len(z), dtype=np.intp)
    sizes = finite("size", size, z.shape)
    inner = np.arange(1, n_strata) / n_strata
    edges = np.quantile(sizes, inner) if len(sizes) else inner
    return np.searchsorted(edges, sizes, side="left")


def _enough_in_each(stratum: NDArray[np.intp], n_strata: int, fewest: int) -> None:
    counts = np.bincount(stratum, minlength=n_strata)
    if counts.min() < max(fewest, 2):
        raise ArrayError(
            f"z: wanted at least {max(fewest, 2)} providers in every stratum; "
            f"got {counts.min()} in stratum {counts.argmin() + 1} of {n_strata}. Use fewer strata."
        )


def _truncated_normal(z: Floats, width: float) -> tuple[float, float, int]:
    """Return mean, standard deviation and number of the z-scores in the middle."""
    middle = float(np.median(z))
    unit = _MAD_TO_SD * float(np.median(np.abs(z - middle)))
    if unit == 0:
        raise ArrayError("z: wanted scores that differ; got half of them or more equal.")
    scaled = (z - middle) / unit
    inside = scaled[np.abs(scaled) <= width]
    # A spike is too narrow for the nodes of the fit; its fit would be as narrow.
    narrow = inside.var() < _LARGEST_SD**-2 / 2
    slope, precision = (0.0, 0.0) if narrow else _bell(inside, width)
    if not (_LARGEST_SD**-2 < precision < _LARGEST_SD**2 and abs(slope) < width * precision):
        raise ArrayError(
            "z: wanted scores whose middle has the shape of a bell; got a spike, or shoulders. "
            "Look at their distribution before choosing a null."
        )
    return middle + unit * slope / precision, unit * precision**-0.5, len(inside)


def _bell(inside: Floats, width: float) -> tuple[float, float]:
    """Return the most likely a and b of a density exp(a x - b x^2 / 2) within -+ width.

    It is a normal one, with mean a / b and variance 1 / b, when b is above 0. The likelihood has
    one maximum, where the means of x and x^2 are those of the scores; Newton's steps, halved
    where they would go down, reach it.
    """
    wanted = np.array([inside.mean(), -np.mean(inside**2) / 2])
    at = np.array([0.0, 1.0])
    loss, slope, curvature = _log_mass(at, wanted, width)
    for _ in range(_MOST_STEPS):
        if np.abs(slope).max() < _SMALL:
            break
        step = _solved(curvature, slope)
        while _log_mass(at - step, wanted, width)[0] > loss + _SMALL:
            step = step / 2
        at = at - step
        loss, slope, curvature = _log_mass(at, wanted, width)
    return float(at[0]), float(at[1])


def _log_mass(at: Floats, wanted: Floats, width: float) -> tuple[float, Floats, Floats]:
    """Return minus the mean log likelihood, its slope and its curvature."""
    x = width * _NODES
    features = np.stack((x, -(x**2) / 2))
    height = at[0] * features[0] + at[1] * features[1]
    top = float(height.max())
    mass = _WEIGHTS * np.exp(height - top)
    share = mass / mass.sum()
    mean = (features * share).sum(axis=1)
    apart = features - mean[:, None]
    curvature = (apart[:, None] * apart * share).sum(axis=2)
    return top + float(np.log(mass.sum())) - float((at * wanted).sum()), mean - wanted, curvature


def _solved(matrix: Floats, right: Floats) -> Floats:
    """Return the solution of two equations; a library's threads cost more than the answer."""
    (a, b), (_, d) = matrix
    found = np.array([d * right[0] - b * right[1], a * right[1] - b * right[0]])
    return np.asarray(found / (a * d - b * b))
