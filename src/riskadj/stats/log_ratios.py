"""Providers by the logarithm of observed over expected, where both are above 0 and skewed: costs.

The variance of an episode is taken in proportion to the square of what is expected of it, as a
gamma model has it, and no further shape is assumed (quasi-likelihood; Wedderburn 1974, Biometrika
61:439-447; McCullagh and Nelder 1989, Generalized Linear Models, chapters 8 and 9). All effects are
logarithms: 0.1 is dearer than expected by a factor of exp(0.1).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from riskadj.errors import ArrayError, NoVariationError
from riskadj.stats.arrays import Floats, a_number, a_row, above, at_least, finite, tail_of, whole
from riskadj.stats.dispersion import between_variance
from riskadj.stats.groups import Groups, group_rows
from riskadj.stats.shrinkage import shrink

FEWEST_TO_ALLOW = 4
"""Providers from which it can be told how uncertain their variance and their centre are."""
_HALF = 0.5
_MOST_STEPS = 100
_SETTLED = 1e-12


@dataclass(frozen=True)
class LogRatios:
    """Effects of providers on the log scale.

    Attributes
    ----------
    providers : ndarray of shape (n_providers,)
        Labels, sorted.
    n : ndarray of shape (n_providers,)
        Episodes.
    effect, error : ndarray of shape (n_providers,)
        Log of observed over expected, less that of all episodes together, and its standard error.
    phi : float
        Variance of an episode over the square of what is expected of it.
    """

    providers: NDArray[Any]
    n: NDArray[np.intp]
    effect: Floats
    error: Floats
    phi: float


@dataclass(frozen=True)
class Drawn:
    """Ratios with the interval that drawing providers gives them.

    Attributes
    ----------
    lower, upper : ndarray of shape (n_providers,)
        NaN for a provider that was never drawn.
    ratios : ndarray of shape (n_replicates, n_providers)
        NaN where the provider was not drawn.
    """

    lower: Floats
    upper: Floats
    ratios: Floats


def relative_residuals(observed: ArrayLike, expected: ArrayLike) -> Floats:
    """Return (O - cE) / cE of each episode, with c such that both sum to the same.

    Parameters
    ----------
    observed : array-like of shape (n_episodes,)
        0 or more, not all 0.
    expected : array-like of shape (n_episodes,)
        Above 0.

    Raises
    ------
    ArrayError

    Examples
    --------
    >>> relative_residuals([1.0, 3.0], [2.0, 2.0]).tolist()
    [-0.5, 0.5]
    """
    o, e = _costs(observed, expected)
    return np.asarray(o / (e * (o.sum() / e.sum())) - 1)


def log_ratios(
    observed: ArrayLike, expected: ArrayLike, provider: ArrayLike, phi: float | None = None
) -> LogRatios:
    r"""Return the log of summed observed over summed expected of each provider.

    Parameters
    ----------
    observed : array-like of shape (n_episodes,)
        0 or more, not all 0.
    expected : array-like of shape (n_episodes,)
        Above 0.
    provider : array-like of shape (n_episodes,)
    phi : float, optional
        As known from elsewhere; by default the mean squared relative residual.

    Raises
    ------
    ArrayError
    NoVariationError
        When every episode is as expected, so that chance cannot be told.

    Notes
    -----
    :math:`\log(\sum O / \sum E)` has the standard error
    :math:`\sqrt{\phi \sum E^2} / \sum E`: that of a sum whose parts vary with :math:`\phi E^2`,
    over what is expected of it. A provider whose observed sum is 0 has no logarithm; half an
    episode of the mean expectation is added to both of its sums.

    Examples
    --------
    >>> got = log_ratios([2.0, 6.0, 4.0, 4.0], [4.0, 4.0, 4.0, 4.0], ["a", "a", "b", "b"], phi=0.5)
    >>> got.effect.tolist(), got.error.round(4).tolist()
    ([0.0, 0.0], [0.5, 0.5])
    """
    o, e = _costs(observed, expected)
    groups = _groups(provider, o)
    e = e * (o.sum() / e.sum())
    spread = _phi(o / e - 1) if phi is None else a_number("phi", phi, 0.0)
    sums, whole_e = groups.total(o), groups.total(e)
    half = np.where(sums > 0, 0.0, _HALF * e.mean())
    effect = np.log((sums + half) / (whole_e + half))
    error = np.sqrt(spread * groups.total(e**2)) / whole_e
    return LogRatios(groups.labels, groups.sizes, effect, error, spread)


def log_levels(observed: ArrayLike, expected: ArrayLike, provider: ArrayLike) -> LogRatios:
    r"""Return a level of each provider, with one slope for the log of the expected: fixed effects.

    The slope compares episodes of the same provider. Observed values have the mean
    :math:`\exp(a_j + b \log E)` and a variance in proportion to its square; given b each level is
    the log of a mean, so that one convex function of b is left to minimise.

    Parameters
    ----------
    observed, expected, provider
        As in `log_ratios`.

    Returns
    -------
    LogRatios
        Levels at the mean of log E, less their mean over episodes. Errors allow for that of b.

    Raises
    ------
    ArrayError
    NoVariationError

    Examples
    --------
    >>> expected = np.array([1.0, 2.0, 4.0, 1.0, 2.0, 4.0])
    >>> factor = np.array([1.0, 1.1, 0.9, 2.0, 2.2, 1.8])
    >>> got = log_levels(3 * factor * expected, expected, list("aaabbb"))
    >>> round(float(np.exp(got.effect[1] - got.effect[0])), 3)
    2.0
    """
    o, e = _costs(observed, expected)
    groups = _groups(provider, o)
    x = np.log(e) - np.log(e).mean()
    inner = x - groups.at_rows(groups.mean(x))
    slope, around = _slope_within(o, x, groups), float(inner @ inner)
    relative = o * np.exp(-slope * x)
    means = groups.mean(relative)
    shown = np.where(means > 0, means, _HALF * relative.mean() / (groups.sizes + _HALF))
    freedom = max(o.size - len(groups) - 1, 1)
    phi = _phi(relative / groups.at_rows(shown) - 1) * o.size / freedom
    effect = np.log(shown) - float(groups.sizes @ np.log(shown)) / o.size
    of_slope = groups.mean(x) ** 2 * phi / around if around > 0 else 0.0
    error = np.sqrt(phi / groups.sizes + of_slope)
    return LogRatios(groups.labels, groups.sizes, effect, error, phi)


def shrunken_ratios(
    effect: ArrayLike, error: ArrayLike, covariate: ArrayLike | None = None
) -> tuple[Floats, Floats]:
    """Return mean and standard deviation of true log ratios, drawn from a normal distribution.

    Its variance is by restricted maximum likelihood, its mean estimated. With a covariate, it is
    about a line of it, by weighted least squares; the line is the provider's.

    Parameters
    ----------
    effect, error : array-like of shape (n_providers,)
    covariate : array-like of shape (n_providers,), optional

    Raises
    ------
    ArrayError

    Examples
    --------
    >>> effect, sd = shrunken_ratios([0.2, -0.2, 0.1, -0.1], [0.1, 0.1, 0.1, 0.1])
    >>> bool(0 < effect[0] < 0.2), bool((sd < 0.2).all())
    (True, True)
    """
    y = a_row("effect", effect)
    s = finite("error", error, y.shape)
    enough = y.size >= FEWEST_TO_ALLOW
    if y.size == 1:
        return np.zeros(1), s
    x = np.zeros(y.size) if covariate is None else finite("covariate", covariate, y.shape)
    if np.ptp(x) == 0:
        tau2 = between_variance(y, s, "reml").tau2
        found = shrink(y, s, tau2, centre=None, allow_for_estimation=enough)
        return found.effect, found.sd
    line, tau2 = _line_of(y, s, x)
    found = shrink(y - line, s, tau2, allow_for_estimation=enough)
    return line + found.effect, found.sd


def drawn_ratios(
    effect: ArrayLike, error: ArrayLike, *, replicates: int, seed: int, level: float = 0.95
) -> Drawn:
    """Return the interval of shrunken ratios when other providers are drawn.

    Providers are drawn with replacement, variance and mean of their log ratios estimated again,
    and each drawn provider's ratio drawn from what is then known of it, as in CMS's measures
    (Horwitz et al. 2011).

    Parameters
    ----------
    effect, error : array-like of shape (n_providers,)
    replicates : int
        At least 2; intervals want hundreds.
    seed : int
        Same seed, same answer.
    level : float

    Raises
    ------
    ArrayError

    Examples
    --------
    >>> got = drawn_ratios([0.1, -0.1, 0.0], [0.1, 0.1, 0.1], replicates=200, seed=1)
    >>> bool((got.lower < got.upper).all())
    True
    """
    y = a_row("effect", effect)
    s = above("error", error, 0.0, y.shape)
    whole("replicates", replicates, 2)
    tail, rng = tail_of(level), np.random.default_rng(seed)
    ratios = np.full((replicates, y.size), np.nan)
    for row in ratios:
        chosen = rng.integers(y.size, size=y.size)
        tau2 = between_variance(y[chosen], s[chosen], "reml").tau2 if y.size > 1 else 0.0
        found = shrink(y[chosen], s[chosen], tau2, centre=None)
        row[chosen] = np.exp(rng.normal(found.effect, found.sd))
    ends = np.full((2, y.size), np.nan)
    some = ~np.isnan(ratios).all(axis=0)
    ends[:, some] = np.nanquantile(ratios[:, some], [tail, 1 - tail], axis=0)
    return Drawn(ends[0], ends[1], ratios)


def _costs(observed: ArrayLike, expected: ArrayLike) -> tuple[Floats, Floats]:
    o = at_least("observed", observed, 0.0)
    if o.ndim != 1 or not o.size:
        raise ArrayError(f"observed: wanted one number per episode; got shape {o.shape}.")
    if not o.sum() > 0:
        raise NoVariationError("observed: wanted some above 0; got none.")
    return o, above("expected", expected, 0.0, o.shape)


def _groups(provider: ArrayLike, o: Floats) -> Groups:
    groups = group_rows(provider)
    if groups.n_rows != o.size:
        raise ArrayError(f"provider: wanted {o.size} labels; got {groups.n_rows}.")
    return groups


def _phi(relative: Floats) -> float:
    phi = float(np.mean(relative**2))
    if phi > 0:
        return phi
    raise NoVariationError(
        "observed: wanted results that differ from what was expected; got none that does."
    )


def _slope_within(o: Floats, x: Floats, groups: Groups) -> float:
    """Return the slope at which the profile quasi-likelihood is highest, by Newton's method."""
    slope, some = 1.0, groups.at_rows(groups.total(o) > 0)
    share = groups.at_rows(groups.sizes.astype(float))
    for _ in range(_MOST_STEPS):
        relative = o * np.exp(-slope * x)
        sums = groups.at_rows(groups.total(relative))
        weight = np.divide(relative, sums, out=np.zeros_like(relative), where=some)
        middle = groups.at_rows(groups.total(weight * x))
        first = float(np.sum(share * weight * x) - x[some].sum())
        second = float(np.sum(share * weight * (x - middle) ** 2))
        if second <= 0:
            return slope
        step = first / second
        slope += float(np.clip(step, -1.0, 1.0))
        if abs(step) < _SETTLED:
            break
    return slope


def _line_of(y: Floats, s: Floats, x: Floats) -> tuple[Floats, float]:
    """Return the line of a covariate, and the variance of true effects about it."""
    design = np.column_stack([np.ones_like(x), x - x.mean()])
    tau2 = between_variance(y, s, "reml").tau2
    line = np.zeros_like(y)
    for _ in range(_MOST_STEPS):
        root = 1 / np.sqrt(s**2 + tau2)
        line = design @ np.linalg.lstsq(design * root[:, None], y * root)[0]
        again = between_variance(y - line, s, "reml").tau2
        if abs(again - tau2) < _SETTLED:
            break
        tau2 = again
    return line, tau2
