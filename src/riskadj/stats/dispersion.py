"""More variation between providers than chance would leave: how much, and what to do about it.

Two models. Multiplicative: every standard error is sqrt(phi) times as large. Additive: providers
truly differ, with variance tau2, which is added to every squared standard error. Both are
estimated from z-scores whose extremes are pulled in or left out first, lest the outliers that
are sought widen the limits that should find them (Spiegelhalter 2005, Qual Saf Health Care
14:347-351; Spiegelhalter and others 2012, J R Stat Soc A 175:1-47).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, stats

from riskadj.errors import ArrayError
from riskadj.stats.arrays import Floats, above, finite, one_of, plain

Bools = NDArray[np.bool_]

_FEWEST = 2
"""Providers without which there is no variation between them."""


@dataclass(frozen=True)
class Dispersion:
    """Variation of z-scores about a known centre.

    Attributes
    ----------
    phi : float
        Mean of the squared z-scores that were used; 1 by chance alone.
    tau2 : float or None
        Variance between providers, in squared units of the effect, 0 or more; None when no
        standard errors were given.
    n : int
        Providers whose z-scores were used.
    n_providers : int
        Providers there were.
    over_dispersed : bool
        Whether n phi is above n - 1; no test of significance.
    trim : str
    share : float
        Share pulled in or left out at each end; 0 without trimming.
    """

    phi: float
    tau2: float | None
    n: int
    n_providers: int
    over_dispersed: bool
    trim: str
    share: float


@dataclass(frozen=True)
class BetweenVariance:
    """Variance of the true effects between providers.

    Attributes
    ----------
    tau2 : float
        In squared units of the effect; 0 or more.
    mean : float
        Mean effect: weighted by 1 / (s^2 + tau2), or 0 where the centre is taken as known.
    method : str
    n_providers : int
    """

    tau2: float
    mean: float
    method: str
    n_providers: int


def dispersion(
    z: ArrayLike,
    trim: str = "none",
    share: float = 0.1,
    standard_error: ArrayLike | None = None,
) -> Dispersion:
    """Return how much z-scores vary, and the variance between providers behind it.

    With `winsorised` or `trimmed` both figures are **too small by design** (see Notes): rules for
    limits that outliers must not widen, not estimates. The centre of z is taken as 0.

    Parameters
    ----------
    z : array-like of shape (n_providers,)
        Effect about a known centre, divided by its standard error.
    trim : {"none", "winsorised", "trimmed"}
        `winsorised` pulls z-scores in to the quantiles at `share` and 1 - `share` (linear between
        order statistics). `trimmed` puts them in 1 / `share` groups by rank and leaves out the
        first and the last, the rule of England's SHMI; with few providers these groups are empty.
    share : float
        Above 0 and under 0.5.
    standard_error : array-like of shape (n_providers,), optional
        Of the effects; above 0. Without them there is no `tau2`.

    Raises
    ------
    ArrayError
        When values are not finite or outside their range, or fewer than 2 providers are used.

    Notes
    -----
    The rules say nothing about what trimming itself takes away. Of standard normal z-scores a
    `share` of 0.1 leaves a phi of 0.68 `winsorised` and of 0.44 `trimmed`, not of 1: both see
    over-dispersion only once it is above about 1.5 and 2.3, and their tau2 is too small: on
    average 0.14 and 0.00 of the true variance at a median reliability of 0.3, 0.45 and 0.11 at
    0.6 (150 simulated providers).

    phi = sum z^2 / n. With weights w = 1 / s^2 of the providers used,
    tau2 = max(0, (n phi - (n - 1)) / (sum w - sum w^2 / sum w)), the estimator of DerSimonian and
    Laird (1986, Control Clin Trials 7:177-188) with the centre known. Groups of `trimmed`:
    floor(rank / share / (n + 1)), ties sharing their mean rank. Rules as in FunnelPlotR 0.6.0.

    Examples
    --------
    >>> z = [-0.799803, 3.091681, 1.117681, -1.674989, 1.823216, 0.333326]
    >>> error = [108**-0.5, 112**-0.5, 165**-0.5, 95**-0.5, 100**-0.5, 220**-0.5]
    >>> found = dispersion(z, "trimmed", standard_error=error)
    >>> round(found.phi, 5), round(found.tau2, 7), found.n, found.over_dispersed
    (2.94803, 0.0194775, 6, True)
    """
    scores = finite("z", z)
    _enough("z", scores)
    used, kept = _TRIMS[one_of("trim", trim, _TRIMS)](scores, _checked_share(trim, share))
    _enough("z after trimming", used)
    error = None if standard_error is None else _errors(standard_error, scores)
    n, phi = len(used), float(np.mean(used**2))
    return Dispersion(
        phi=phi,
        tau2=None if error is None else _moment(n * phi, error[kept] ** -2),
        n=n,
        n_providers=len(scores),
        over_dispersed=n * phi > n - 1,
        trim=trim,
        share=_checked_share(trim, share),
    )


def between_variance(
    effect: ArrayLike,
    standard_error: ArrayLike,
    method: str = "dersimonian_laird",
    share: float = 0.1,
) -> BetweenVariance:
    """Return the variance of the true effects between providers.

    Two of the five methods, `winsorised` and `trimmed`, **take the centre as 0**: take the known
    centre off the effects first, or their distance from 0 counts as variance. The other three
    estimate the centre. Both are also **too small by design**, as pulling in or leaving out
    extremes takes true variance away with them: on average 0.14 and 0.00 of it where the median
    provider's reliability is 0.3, 0.45 and 0.11 where it is 0.6 (150 simulated providers). Use
    them for limits that outliers must not widen, never as an estimate of the variance.

    Parameters
    ----------
    effect : array-like of shape (n_providers,)
        Estimated effects; about the known centre for `winsorised` and `trimmed`.
    standard_error : array-like of shape (n_providers,)
        From chance alone; above 0, and taken as known.
    method : {"dersimonian_laird", "paule_mandel", "reml", "winsorised", "trimmed"}
        The first three estimate the mean effect along with the variance. The last two take the
        centre as 0 and are those of `dispersion` with the same `trim`: outliers count for less,
        and the variance is too small (see there).
    share : float
        For `winsorised` and `trimmed`.

    Raises
    ------
    ArrayError

    Notes
    -----
    `dersimonian_laird` (1986, Control Clin Trials 7:177-188): (Q - (k - 1)) / (sum w -
    sum w^2 / sum w) with w = 1 / s^2 and Q = sum w (y - ybar)^2. `paule_mandel` (1982, J Res Nat
    Bur Stand 87:377-385): the tau2 at which sum (y - mean)^2 / (s^2 + tau2) is k - 1. `reml`:
    the maximum of the restricted likelihood (Viechtbauer 2005, J Educ Behav Stat 30:261-293), to
    about 7 digits. Each is 0 where its equation would have it negative.

    Examples
    --------
    >>> effect = [-0.581, 0.530, 0.771, 1.031, 0.553, 0.295, 0.078, 0.573, -0.176, -0.232]
    >>> variance = [0.023, 0.052, 0.060, 0.115, 0.095, 0.203, 0.200, 0.211, 0.051, 0.040]
    >>> error = [one**0.5 for one in variance]
    >>> [round(between_variance(effect, error, one).tau2, 4) for one in METHODS[:3]]
    [0.2768, 0.192, 0.2232]
    """
    y = finite("effect", effect)
    _enough("effect", y)
    error = _errors(standard_error, y)
    tau2, mean = _METHODS[one_of("method", method, _METHODS)](y, error, share)
    return BetweenVariance(tau2=tau2, mean=mean, method=method, n_providers=len(y))


def adjusted_z(
    effect: ArrayLike,
    standard_error: ArrayLike,
    dispersion: Dispersion,
    model: str = "additive",
) -> Floats:
    """Return z-scores with the allowance for over-dispersion, where there is any.

    Parameters
    ----------
    effect, standard_error : array-like of shape (n_providers,)
        Of any providers on the scale that the dispersion was estimated on.
    dispersion : Dispersion
    model : {"none", "multiplicative", "additive"}
        s, sqrt(phi) s or sqrt(s^2 + tau2) in the denominator.

    Raises
    ------
    ArrayError
        Also when `dispersion` is not one, or the model is additive and it has no tau2.

    Notes
    -----
    Nothing is allowed for unless n phi is above n - 1, and never a phi under 1: over-dispersion
    widens limits and does not narrow them (Spiegelhalter 2005, Stat Med 24:1185-1202).

    Examples
    --------
    >>> found = dispersion([-2.0, 2.0, 0.0, 2.0], standard_error=[1.0, 1.0, 1.0, 1.0])
    >>> adjusted_z([3.0], [1.0], found, "multiplicative").round(4).tolist()
    [1.7321]
    """
    if not isinstance(dispersion, Dispersion):
        raise ArrayError(
            "dispersion: wanted what dispersion() returns; got "
            f"{type(dispersion).__name__}. Estimate it from z-scores first."
        )
    y = finite("effect", effect)
    error = _errors(standard_error, y)
    variance = _MODELS[one_of("model", model, _MODELS)](error**2, dispersion)
    return np.asarray(y / np.sqrt(variance if dispersion.over_dispersed else error**2))


def _enough(name: str, values: Floats) -> None:
    if values.ndim != 1 or len(values) < _FEWEST:
        raise ArrayError(
            f"{name}: wanted one number for each of at least {_FEWEST} providers; "
            f"got shape {values.shape}."
        )


def _errors(standard_error: ArrayLike, like: Floats) -> Floats:
    return above("standard_error", standard_error, 0.0, like.shape)


def _checked_share(trim: str, share: float) -> float:
    if trim == "none":
        return 0.0
    if not 0 < share < 0.5:
        raise ArrayError(f"share: wanted a number above 0 and under 0.5; got {plain(share)!r}.")
    return float(share)


def _untrimmed(z: Floats, _share: float) -> tuple[Floats, Bools]:
    return z, np.ones(len(z), dtype=bool)


def _winsorised(z: Floats, share: float) -> tuple[Floats, Bools]:
    return np.clip(z, *np.quantile(z, (share, 1 - share))), np.ones(len(z), dtype=bool)


def _without_outer_groups(z: Floats, share: float) -> tuple[Floats, Bools]:
    groups = 1 / share
    place = np.floor(stats.rankdata(z) * groups / (len(z) + 1))
    kept = (place > 0) & (place < groups - 1)
    return z[kept], kept


def _moment(q: float, weight: Floats) -> float:
    """Return the variance at which a sum of squares would be expected to be as large as q."""
    # The same as sum w - sum w^2 / sum w, without the loss of digits when one weight is large.
    ordered = np.sort(weight)
    spread = 2 * float(ordered[1:] @ np.cumsum(ordered)[:-1]) / float(ordered.sum())
    return max(0.0, (q - (len(weight) - 1)) / spread)


def _weighted_mean(y: Floats, weight: Floats) -> float:
    return float(weight @ y / weight.sum())


def _excess(tau2: float, y: Floats, error: Floats) -> float:
    """Return the sum of squares about the mean, less its expectation k - 1."""
    weight = 1 / (error**2 + tau2)
    return float(weight @ (y - _weighted_mean(y, weight)) ** 2) - (len(y) - 1)


def _dersimonian_laird(y: Floats, error: Floats) -> float:
    return _moment(_excess(0.0, y, error) + len(y) - 1, error**-2)


def _paule_mandel(y: Floats, error: Floats) -> float:
    if _excess(0.0, y, error) <= 0:
        return 0.0
    # With the plain variance of y in place of every s^2 + tau2 there is no excess left.
    unit = float(np.var(y, ddof=1))
    found = optimize.brentq(lambda t: _excess(2 * unit * t, y, error), 0.0, 1.0, xtol=1e-15)
    return float(2 * unit * found)


def _reml(y: Floats, error: Floats) -> float:
    """Search the whole of where a maximum can be, as there may be more than one."""
    # The restricted likelihood falls once tau2 is above the squared range of y.
    longest = float(np.ptp(y)) ** 2
    if longest == 0:
        return 0.0
    grid = longest * np.concatenate(([0.0], np.geomspace(1e-12, 1.0, 121)))
    lost = _restricted_loss(grid, y, error)
    best = int(lost.argmin())
    low, high = grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)]
    ends = [_restricted_slope(t, y, error) for t in (low, high)]
    if ends[0] >= 0 or ends[1] <= 0:
        return float(grid[best])
    found = optimize.brentq(_restricted_slope, low, high, (y, error), xtol=1e-15 * high)
    return float(found) if _restricted_loss(np.array([found]), y, error)[0] < lost[0] else 0.0


def _restricted_loss(tau2: Floats, y: Floats, error: Floats) -> Floats:
    """Return minus twice the restricted log likelihood at each tau2, up to a constant."""
    variance = error**2 + tau2[:, None]
    weight = 1 / variance
    total = weight.sum(axis=1)
    mean = weight @ y / total
    squares = (weight * (y - mean[:, None]) ** 2).sum(axis=1)
    return np.asarray(np.log(variance).sum(axis=1) + np.log(total) + squares)


def _restricted_slope(tau2: float, y: Floats, error: Floats) -> float:
    """Return by how much the loss rises with tau2."""
    weight = 1 / (error**2 + tau2)
    total = weight.sum()
    away = y - weight @ y / total
    return float(total - weight @ weight / total - weight**2 @ away**2)


def _with_mean(
    solve: Callable[[Floats, Floats], float],
) -> Callable[[Floats, Floats, float], tuple[float, float]]:
    def estimate(y: Floats, error: Floats, _share: float) -> tuple[float, float]:
        tau2 = solve(y, error)
        return tau2, _weighted_mean(y, 1 / (error**2 + tau2))

    return estimate


def _about_zero(trim: str) -> Callable[[Floats, Floats, float], tuple[float, float]]:
    def estimate(y: Floats, error: Floats, share: float) -> tuple[float, float]:
        found = dispersion(y / error, trim, share, standard_error=error)
        return found.tau2 or 0.0, 0.0

    return estimate


def _additive(variance: Floats, found: Dispersion) -> Floats:
    if found.tau2 is None:
        raise ArrayError(
            "dispersion: wanted one with tau2; got one without. "
            "Give standard errors to dispersion(), or choose the multiplicative model."
        )
    return variance + found.tau2


_TRIMS: dict[str, Callable[[Floats, float], tuple[Floats, Bools]]] = {
    "none": _untrimmed,
    "winsorised": _winsorised,
    "trimmed": _without_outer_groups,
}

_METHODS: dict[str, Callable[[Floats, Floats, float], tuple[float, float]]] = {
    "dersimonian_laird": _with_mean(_dersimonian_laird),
    "paule_mandel": _with_mean(_paule_mandel),
    "reml": _with_mean(_reml),
    "winsorised": _about_zero("winsorised"),
    "trimmed": _about_zero("trimmed"),
}

_MODELS: dict[str, Callable[[Floats, Dispersion], Floats]] = {
    "none": lambda variance, _found: variance,
    "multiplicative": lambda variance, found: variance * max(found.phi, 1.0),
    "additive": _additive,
}

METHODS: tuple[str, ...] = tuple(_METHODS)
"""The methods of `between_variance`."""
TRIMS: tuple[str, ...] = tuple(_TRIMS)
"""The ways of `dispersion` to deal with extremes."""
MODELS: tuple[str, ...] = tuple(_MODELS)
"""The models of `adjusted_z`."""
