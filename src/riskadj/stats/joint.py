r"""Two results of the same providers at once: how much better, how much dearer, and how sure.

An outcome and a cost of the same patients are not independent: within a patient (a complication is
both), and between providers (who is better may be cheaper). Both correlations are estimated, and
everything about a provider is said of the pair: the difference of its outcome from what was
expected, and the logarithm of its cost over what was expected.

Observed pairs are taken as normal about the true ones with a covariance :math:`S_i` from chance,
the true ones as normal between providers with a covariance :math:`T`: the model of a bivariate
random-effects meta-analysis, in which a provider takes the place of a study. What is known of a
provider is its posterior, averaged over samples of providers drawn with replacement, so that it
allows for the estimation of centre and covariance between them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from riskadj.errors import ArrayError, NoVariationError, TooFewProvidersError
from riskadj.stats.arrays import Floats, finite, one_of, plain, tail_of, whole
from riskadj.stats.groups import Groups, group_rows

FEWEST = 4
"""Providers from which a covariance between them can be told at all."""
_FAMILIES = ("gaussian", "binomial")
_HALF = 0.5
_PENALTY = 0.5
_BLOCK = 100_000
"""Providers times samples at a time, so that they stay in the cache."""
_MOST_STEPS, _SETTLED, _ROUGH = 200, 1e-7, 1e-3
"""How far a covariance is climbed to: steps, and the length of the last one relative to it."""
_LONGEST_STEP = 0.9
_NEARLY_ONE = 1 - 1e-12
_PRODUCTS = ((0, 0), (0, 1), (1, 1), (0, 2), (1, 2), (2, 2))
"""Which entries of two symmetric matrices are multiplied in a curvature."""

Symmetric = tuple[Floats, Floats, Floats]
"""Symmetric matrices of two rows: first, off the diagonal, last."""


@dataclass(frozen=True)
class JointProfile:
    """Outcome and cost of providers, as a pair: (outcome, log of the cost ratio).

    Attributes
    ----------
    providers : ndarray of shape (n_providers,)
        Labels, sorted.
    n_outcome, n_cost, n_both : ndarray of shape (n_providers,)
        Episodes with an outcome, with a cost, with both.
    effect : ndarray of shape (n_providers, 2)
        Mean of observed - expected outcome, signed so that positive is better, less that of all
        episodes; log of summed observed over summed expected cost, less that of all. NaN where
        there is no episode with it.
    outcome_ratio : ndarray of shape (n_providers,)
        Summed observed over summed expected outcome, as they came; NaN where nothing is expected.
    covariance : ndarray of shape (n_providers, 2, 2)
        Of `effect`, from chance; NaN where either is.
    judged : ndarray of shape (n_providers,)
        Who has `minimum_n` episodes with each; the others have NaN in all that follows.
    shrunken : ndarray of shape (n_providers, 2)
        Mean of the true pair, given what was observed.
    shrunken_covariance : ndarray of shape (n_providers, 2, 2)
        Of the true pair about it.
    p_better_and_cheaper, p_better_and_dearer, p_worse_and_cheaper, p_worse_and_dearer : ndarray
        Of shape (n_providers,): chances of the true pair; they sum to 1.
    centre : ndarray of shape (2,)
        Mean of the true pairs.
    between : ndarray of shape (2, 2)
        Covariance of the true pairs between providers.
    within_correlation : float
        Of outcome and relative cost within a provider's episodes that have both; 0 without any.
    replicates, seed : int
    """

    providers: NDArray[Any]
    n_outcome: NDArray[np.intp]
    n_cost: NDArray[np.intp]
    n_both: NDArray[np.intp]
    effect: Floats
    outcome_ratio: Floats
    covariance: Floats
    judged: NDArray[np.bool_]
    shrunken: Floats
    shrunken_covariance: Floats
    p_better_and_cheaper: Floats
    p_better_and_dearer: Floats
    p_worse_and_cheaper: Floats
    p_worse_and_dearer: Floats
    centre: Floats
    between: Floats
    within_correlation: float
    replicates: int
    seed: int


def joint_profile(
    outcome_observed: ArrayLike,
    outcome_expected: ArrayLike,
    cost_observed: ArrayLike,
    cost_expected: ArrayLike,
    provider: ArrayLike,
    *,
    better: int = 1,
    outcome_family: str = "gaussian",
    minimum_n: int = 1,
    replicates: int = 1000,
    seed: int = 0,
) -> JointProfile:
    r"""Return outcome and cost of providers together, with the chances of the four quarters.

    Parameters
    ----------
    outcome_observed, outcome_expected : array-like of shape (n_episodes,)
        NaN, in both, where an episode has no outcome.
    cost_observed, cost_expected : array-like of shape (n_episodes,)
        Costs of 0 or more, and expectations above 0; NaN, in both, where it has no cost.
    provider : array-like of shape (n_episodes,)
    better : {1, -1}
        Whether more of the outcome is better, or less.
    outcome_family : {"gaussian", "binomial"}
        `gaussian`: chance is the same for every episode. `binomial`: outcomes are 1 or 0 and
        expected as chances e, so that chance varies with e (1 - e).
    minimum_n : int
        Providers with fewer episodes with either are part of the reference, and no more.
    replicates : int
        Samples of providers, at least 2; hundreds are wanted.
    seed : int
        Same seed, same answer.

    Raises
    ------
    ArrayError
        When values are outside what is said above.
    NoVariationError
        When every outcome or every cost is as expected.
    TooFewProvidersError
        When fewer than 4 providers have `minimum_n` episodes with each.

    Notes
    -----
    Residuals are :math:`u = (o - e - d_i) / \sqrt{v}` of outcomes, with v 1 or :math:`e (1 - e)`,
    and :math:`q = o / (R_i e) - 1` of costs, both about their provider's own :math:`d_i, R_i`, so
    that differences between providers are no chance. With their mean squares
    :math:`\sigma^2, \phi` (a degree of freedom less per provider) and their correlation
    :math:`\rho` among episodes that have both,

    .. math::

        S_i = \begin{pmatrix}
        \sigma^2 \sum v / n_i^2 & \rho \sigma \sqrt{\phi} \sum_{both} \sqrt{v} e / (n_i \sum e) \\
        \cdot & \phi \sum e^2 / (\sum e)^2 \end{pmatrix}

    The last is quasi-likelihood with a variance in proportion to the square of the mean, and the
    delta method for the logarithm; :math:`S_i` is positive semi-definite by Cauchy and Schwarz. A
    provider whose costs are all 0 has half an episode of mean expectation added to both sums. The
    logarithm of a mean lies below that of its expectation by half its variance (delta method, to
    the second order), which is added before anything is concluded of the truth.

    `between` is the maximum of the restricted likelihood times :math:`|T|^{1/2}`, the weakly
    informative Wishart prior of Chung and others (2015, J Educ Behav Stat,
    doi:10.3102/1076998615570945). It keeps correlations off 1 where few providers say little, and
    counts for less than one provider.

    A posterior that takes centre and covariance as known is too narrow; samples say how far they
    may be off (Laird and Louis 1987, JASA 82:739-750). Providers are drawn with replacement, each
    with its pair; centre and covariance :math:`T^*` are estimated again, from pairs stretched about
    the centre by :math:`\sqrt{k / (k - 1)}`, as samples of k vary by so much less. What may be true
    is as far from the estimate as the estimate from :math:`T^*`, in ratios:
    :math:`\hat T T^{*-1} \hat T`, which allows for a truth that is wider by more than for one that
    is narrower. Given them, the whole posterior of every provider is counted, not one draw of it,
    so that chances and moments hold no noise but that of the samples.

    The reference is not drawn: it is all these episodes, and their means are known. Were it moved
    to the providers of each sample, pairs would be held against a population of providers, and
    regions of few providers that differ much would be wider than their own data make them.

    Where a quarter is rare, as better and cheaper is where the better are the dearer, its chance is
    overstated, as the correlation between providers is drawn to 0: with 60 providers and a true
    correlation of 0.5, 0.71 was said where 0.58 was true (tests/recovery/test_joint.py).

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> provider = np.repeat(np.arange(20), 60)
    >>> true = rng.normal(size=(20, 2)) * [1.0, 0.2]
    >>> outcome = 20 + true[provider, 0] + rng.normal(0, 4, 1200)
    >>> cost = 100 * np.exp(true[provider, 1]) * rng.gamma(4, 1 / 4, 1200)
    >>> got = joint_profile(outcome, np.full(1200, 20.0), cost, np.full(1200, 100.0), provider)
    >>> bool(np.corrcoef(got.shrunken.T.ravel(), true.T.ravel())[0, 1] > 0.9)
    True
    """
    if better not in (1, -1):
        raise ArrayError(f"better: wanted 1 or -1; got {plain(better)!r}.")
    one_of("outcome_family", outcome_family, _FAMILIES)
    whole("minimum_n", minimum_n, 1)
    whole("replicates", replicates, 2)
    groups = group_rows(provider)
    outcome = _outcome(outcome_observed, outcome_expected, groups, better, outcome_family)
    cost = _cost(cost_observed, cost_expected, groups)
    seen = _observed(outcome, cost, groups)
    judged = (outcome.n >= minimum_n) & (cost.n >= minimum_n)
    if judged.sum() < FEWEST:
        raise TooFewProvidersError(
            f"joint_profile: wanted {FEWEST} providers or more with {minimum_n} episodes with an "
            f"outcome and as many with a cost; got {int(judged.sum())}. Lower the minimum, or look "
            "at outcome and cost apart."
        )
    effect, covariance = seen.effect[judged].copy(), seen.covariance[judged]
    effect[:, 1] += covariance[:, 1, 1] / 2
    fitted = between_pairs(effect, covariance)
    samples = _samples(len(effect), replicates, seed)
    found = _known(_Pairs.of(effect, covariance), fitted, samples)
    return JointProfile(
        providers=groups.labels,
        n_outcome=outcome.n,
        n_cost=cost.n,
        n_both=seen.n_both,
        effect=seen.effect,
        outcome_ratio=_ratio(outcome),
        covariance=seen.covariance,
        judged=judged,
        centre=fitted.centre,
        between=fitted.covariance,
        within_correlation=seen.correlation,
        replicates=replicates,
        seed=seed,
        **{name: _where(judged, values) for name, values in found.items()},
    )


class BetweenPairs(NamedTuple):
    """Centre, shape (2,), and covariance, shape (2, 2), of true pairs."""

    centre: Floats
    covariance: Floats


def between_pairs(effect: ArrayLike, covariance: ArrayLike) -> BetweenPairs:
    """Return the mean of true pairs and their covariance between providers.

    Parameters
    ----------
    effect : array-like of shape (n_providers, 2)
    covariance : array-like of shape (n_providers, 2, 2)
        From chance, taken as known; positive definite.

    Raises
    ------
    ArrayError
    TooFewProvidersError

    Notes
    -----
    The maximum of the restricted likelihood times the square root of the determinant (Chung and
    others 2015, J Educ Behav Stat, doi:10.3102/1076998615570945), by Fisher scoring whose steps
    are short enough to stay positive definite.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> true = rng.multivariate_normal([1.0, 0.0], [[1.0, 0.5], [0.5, 1.0]], 4000)
    >>> seen = true + rng.normal(size=true.shape)
    >>> between_pairs(seen, np.tile(np.eye(2), (4000, 1, 1))).covariance.round(1).tolist()
    [[1.0, 0.5], [0.5, 1.0]]
    """
    y = finite("effect", effect)
    if y.ndim != 2 or y.shape[1] != 2:
        raise ArrayError(f"effect: wanted pairs, shape (n_providers, 2); got {y.shape}.")
    s = finite("covariance", covariance, (len(y), 2, 2))
    if not ((s[:, 0, 0] > 0) & (np.linalg.det(s) > 0)).all():
        raise ArrayError("covariance: wanted positive definite ones; got others.")
    if len(y) < FEWEST:
        raise TooFewProvidersError(
            f"between_pairs: wanted {FEWEST} providers or more; got {len(y)}."
        )
    pairs = _Pairs.of(y, s)
    copies = np.ones((1, len(y)))
    t = _climb(pairs, copies, pairs.start(1), _SETTLED)
    centre = _centre_of(pairs, copies, _weights(pairs, t))
    return BetweenPairs(
        np.array([one[0] for one in centre]) * pairs.unit,
        _matrix(*(one[0] for one in t)) * np.outer(pairs.unit, pairs.unit),
    )


def ellipse(
    centre: ArrayLike, covariance: ArrayLike, level: float = 0.95, corners: int = 72
) -> Floats:
    r"""Return the edge of the region that holds a normal pair with probability `level`.

    Parameters
    ----------
    centre : array-like of shape (2,)
    covariance : array-like of shape (2, 2)
    level : float
    corners : int

    Returns
    -------
    ndarray of shape (corners, 2)

    Notes
    -----
    The points x with :math:`(x - c)' C^{-1} (x - c) = -2 \log(1 - level)`, the quantile of
    chi-squared with two degrees of freedom.

    Examples
    --------
    >>> edge = ellipse([0.0, 0.0], [[4.0, 0.0], [0.0, 1.0]])
    >>> edge.max(axis=0).round(3).tolist()
    [4.895, 2.448]
    """
    middle, spread = finite("centre", centre, (2,)), finite("covariance", covariance, (2, 2))
    angle = np.linspace(0, 2 * np.pi, corners, endpoint=False)
    values, axes = np.linalg.eigh(spread)
    root = (axes * np.sqrt(np.clip(values, 0.0, None))) @ axes.T
    return np.asarray(middle + region_radius(level) * np.c_[np.cos(angle), np.sin(angle)] @ root)


def region_radius(level: float = 0.95) -> float:
    """Return how many standard deviations from its centre a region of normal pairs ends.

    Examples
    --------
    >>> round(region_radius(0.95), 4)
    2.4477
    """
    return float(np.sqrt(-2 * np.log(2 * tail_of(level))))


def quarter_chance(first: ArrayLike, second: ArrayLike, correlation: ArrayLike) -> Floats:
    """Return P(X < first, Y < second) of a standard normal pair.

    Parameters
    ----------
    first, second, correlation : array-like
        Of one shape; correlations from -1 to 1.

    Notes
    -----
    By Owen's T function (Owen 1956, Ann Math Stat 27:1075-1090).

    Examples
    --------
    >>> quarter_chance([0.0, 0.0], [0.0, 0.0], [0.0, 0.5]).round(4).tolist()
    [0.25, 0.3333]
    """
    h, k = (np.where(np.asarray(one) == 0, 1e-300, one) for one in (first, second))
    r = np.clip(correlation, -_NEARLY_ONE, _NEARLY_ONE)
    root = np.sqrt(1 - r**2)
    with np.errstate(over="ignore"):
        of_h, of_k = (k / h - r) / root, (h / k - r) / root
    half = (special.ndtr(h) + special.ndtr(k) - ((h < 0) != (k < 0))) / 2
    return np.clip(half - special.owens_t(h, of_h) - special.owens_t(k, of_k), 0.0, 1.0)


# --- what is observed -----------------------------------------------------------------------------


class _Part(NamedTuple):
    """Outcome or cost: by row, 0 where it has none, and its sums by provider."""

    has: NDArray[np.bool_]
    n: NDArray[np.intp]
    effect: Floats
    residual: Floats
    weight: Floats
    variance: Floats
    observed: Floats
    expected: Floats
    square: float


def _outcome(
    observed: ArrayLike, expected: ArrayLike, groups: Groups, better: int, family: str
) -> _Part:
    o, e, has = _both("outcome", observed, expected, groups)
    if family == "binomial" and not ((e[has] > 0) & (e[has] < 1)).all():
        raise ArrayError("outcome_expected: wanted chances between 0 and 1; got others.")
    v = np.where(has, e * (1 - e) if family == "binomial" else 1.0, 0.0)
    n, difference = groups.total(has), better * (o - e)
    effect = _divided(groups.total(difference), n)
    u = np.divide(difference - groups.at_rows(effect), np.sqrt(v), out=np.zeros_like(v), where=has)
    square = _mean_square("outcome", u, n)
    overall = difference.sum() / n.sum()
    variance = square * _divided(groups.total(v), n**2)
    return _Part(
        has, n.astype(np.intp), effect - overall, u, np.sqrt(v), variance,
        groups.total(o), groups.total(e), square,
    )  # fmt: skip


def _cost(observed: ArrayLike, expected: ArrayLike, groups: Groups) -> _Part:
    o, e, has = _both("cost", observed, expected, groups)
    if (o < 0).any() or not (e[has] > 0).all() or not o.sum() > 0:
        raise ArrayError(
            "cost_observed, cost_expected: wanted costs of 0 or more, not all 0, and expectations "
            "above 0; got others."
        )
    e = e * (o.sum() / e.sum())
    n, sums, expected_sums = groups.total(has), groups.total(o), groups.total(e)
    half = np.where(sums > 0, 0.0, _HALF * e.sum() / n.sum())
    ratio = _divided(sums + half, expected_sums + half, n > 0)
    q = np.divide(o, e * groups.at_rows(ratio), out=np.ones_like(e), where=has) - 1
    square = _mean_square("cost", q, n)
    variance = square * _divided(groups.total(e**2), expected_sums**2)
    return _Part(has, n.astype(np.intp), np.log(ratio), q, e, variance, sums, expected_sums, square)


def _both(
    name: str, observed: ArrayLike, expected: ArrayLike, groups: Groups
) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """Return observed and expected with 0 where there are none, and where there are some."""
    o, e = (np.asarray(one, dtype=np.float64) for one in (observed, expected))
    for what, values in (("observed", o), ("expected", e)):
        if values.shape != (groups.n_rows,):
            raise ArrayError(f"{name}_{what}: wanted shape ({groups.n_rows},); got {values.shape}.")
    has = ~np.isnan(o)
    if (has != ~np.isnan(e)).any():
        raise ArrayError(
            f"{name}_observed, {name}_expected: wanted both or neither of each episode; got "
            f"{int((has != ~np.isnan(e)).sum()):,} with one of them."
        )
    if not has.any():
        raise ArrayError(f"{name}_observed: wanted some that are not missing; got none.")
    o, e = (np.where(has, one, 0.0) for one in (o, e))
    return finite(f"{name}_observed", o), finite(f"{name}_expected", e), has


def _mean_square(name: str, residual: Floats, n: Floats) -> float:
    """Return the mean square about providers' own means, a degree of freedom less for each."""
    free = float(n.sum() - (n > 0).sum())
    square = float(residual @ residual)
    if free > 0 and square > 0:
        return square / free
    raise NoVariationError(
        f"{name}: wanted episodes of a provider that differ from what was expected by more or "
        "less; got none that do."
    )


class _Seen(NamedTuple):
    n_both: NDArray[np.intp]
    effect: Floats
    covariance: Floats
    correlation: float


def _observed(outcome: _Part, cost: _Part, groups: Groups) -> _Seen:
    """Return the pairs, and their covariance from chance."""
    shared = outcome.has & cost.has
    u, q = outcome.residual * shared, cost.residual * shared
    size = np.sqrt((u @ u) * (q @ q))
    correlation = float(u @ q / size) if size else 0.0
    together = groups.total(outcome.weight * cost.weight * shared)
    scale = correlation * np.sqrt(outcome.square * cost.square)
    cross = scale * _divided(together, outcome.n * cost.expected)
    effect = np.column_stack([outcome.effect, cost.effect])
    covariance = _matrix(outcome.variance, cross, cost.variance)
    covariance[np.isnan(effect).any(axis=1)] = np.nan
    return _Seen(groups.total(shared).astype(np.intp), effect, covariance, correlation)


def _ratio(outcome: _Part) -> Floats:
    return _divided(outcome.observed, outcome.expected)


def _divided(over: Floats, under: Any, where: NDArray[np.bool_] | None = None) -> Floats:
    """Return a ratio, NaN where there is nothing to divide by."""
    some = np.asarray(under != 0) if where is None else where
    return np.divide(over, under, out=np.full(over.shape, np.nan), where=some)


def _matrix(first: Any, cross: Any, last: Any) -> Floats:
    return np.moveaxis(np.array([[first, cross], [cross, last]]), (0, 1), (-2, -1))


def _where(judged: NDArray[np.bool_], values: Floats) -> Floats:
    full = np.full((judged.size, *values.shape[1:]), np.nan)
    full[judged] = values
    return full


# --- samples of providers -------------------------------------------------------------------------


def _samples(providers: int, replicates: int, seed: int) -> Iterator[Floats]:
    """Yield how often each provider is in each of some samples."""
    rng = np.random.default_rng(seed)
    at_once, chance = max(1, _BLOCK // providers), np.full(providers, 1 / providers)
    for done in range(0, replicates, at_once):
        size = min(at_once, replicates - done)
        yield rng.multinomial(providers, chance, size=size).astype(np.float64)


def _known(pairs: "_Pairs", fitted: BetweenPairs, samples: Iterator[Floats]) -> dict[str, Floats]:
    """Return what is known of each true pair, over all samples."""
    t = (fitted.covariance / np.outer(pairs.unit, pairs.unit))[[0, 0, 1], [0, 1, 1]]
    drawn = pairs.stretched(fitted.centre / pairs.unit)
    sums, number = np.zeros((8, pairs.providers)), 0
    for copies in samples:
        size = len(copies)
        start = (np.repeat(t[0], size), np.repeat(t[1], size), np.repeat(t[2], size))
        sums += _posteriors(pairs, drawn, copies, start)
        number += size
    first, last, square, cross, last_square, p_better, p_cheaper, p_both = sums / number
    covariance = _matrix(square - first**2, cross - first * last, last_square - last**2)
    return {
        "shrunken": np.column_stack([first, last]) * pairs.unit,
        "shrunken_covariance": covariance * np.outer(pairs.unit, pairs.unit),
        "p_better_and_cheaper": p_both,
        "p_better_and_dearer": np.clip(p_better - p_both, 0.0, 1.0),
        "p_worse_and_cheaper": np.clip(p_cheaper - p_both, 0.0, 1.0),
        "p_worse_and_dearer": np.clip(1 - p_better - p_cheaper + p_both, 0.0, 1.0),
    }


def _posteriors(pairs: "_Pairs", drawn: "_Pairs", copies: Floats, start: Symmetric) -> Floats:
    """Return sums over samples of posterior moments and chances, `drawn` being what they hold."""
    t = _climb(drawn, copies, start, _ROUGH)
    centre = _centre_of(drawn, copies, _weights(drawn, t))
    t = _turned(start, t)
    weights = _weights(pairs, t)
    pulled = _times(weights, *pairs.about(centre))
    t1, t2, t3 = (one[:, None] for one in t)
    m1 = centre[0][:, None] + t1 * pulled[0] + t2 * pulled[1]
    m2 = centre[1][:, None] + t2 * pulled[0] + t3 * pulled[1]
    v1, v2, v3 = _left((t1, t2, t3), weights)
    better, cheaper = m1 / np.sqrt(v1), -m2 / np.sqrt(v3)
    both = quarter_chance(better, cheaper, -v2 / np.sqrt(v1 * v3))
    parts = (
        m1, m2, v1 + m1**2, v2 + m1 * m2, v3 + m2**2,
        special.ndtr(better), special.ndtr(cheaper), both,
    )  # fmt: skip
    return np.array([one.sum(axis=0) for one in parts])


def _turned(fitted: Symmetric, sampled: Symmetric) -> Symmetric:
    """Return F S^-1 F: as far from F as F is from S, which is how far the truth may be from F."""
    (f1, f2, f3), (p, q, w) = fitted, _inverse(*sampled)
    a, b, c, d = f1 * p + f2 * q, f1 * q + f2 * w, f2 * p + f3 * q, f2 * q + f3 * w
    return a * f1 + b * f2, a * f2 + b * f3, c * f2 + d * f3


def _left(t: Symmetric, weights: Symmetric) -> Symmetric:
    """Return T - T W T, the variance that is left of true pairs."""
    (t1, t2, t3), (p, q, w) = t, weights
    a, b, c, d = t1 * p + t2 * q, t1 * q + t2 * w, t2 * p + t3 * q, t2 * q + t3 * w
    return t1 - a * t1 - b * t2, t2 - a * t2 - b * t3, t3 - c * t2 - d * t3


# --- covariance between providers -----------------------------------------------------------------


class _Pairs(NamedTuple):
    """Observed pairs and their covariances, in units in which chance is about 1."""

    y: tuple[Floats, Floats]
    s: Symmetric
    unit: Floats

    @classmethod
    def of(cls, effect: Floats, covariance: Floats) -> "_Pairs":
        unit = np.sqrt(covariance[:, [0, 1], [0, 1]].mean(axis=0))
        y, s = effect / unit, covariance / np.outer(unit, unit)
        return cls((y[:, 0], y[:, 1]), (s[:, 0, 0], s[:, 0, 1], s[:, 1, 1]), unit)

    @property
    def providers(self) -> int:
        return self.y[0].size

    def start(self, samples: int) -> Symmetric:
        ones = np.ones(samples)
        return ones, np.zeros(samples), ones

    def stretched(self, centre: Floats) -> "_Pairs":
        """Return pairs that vary as much in samples of them as these do among all providers."""
        factor = np.sqrt(self.providers / (self.providers - 1))
        y1, y2 = (c + factor * (y - c) for y, c in zip(self.y, centre, strict=True))
        return self._replace(y=(y1, y2))

    def about(self, centre: tuple[Floats, Floats]) -> tuple[Floats, Floats]:
        return self.y[0] - centre[0][:, None], self.y[1] - centre[1][:, None]


def _weights(pairs: _Pairs, t: Symmetric) -> Symmetric:
    """Return (T + S)^-1 of every sample and provider."""
    v1, v2, v3 = (one[:, None] + own for one, own in zip(t, pairs.s, strict=True))
    return _inverse(v1, v2, v3)


def _inverse(first: Floats, cross: Floats, last: Floats) -> Symmetric:
    determinant = first * last - cross**2
    return last / determinant, -cross / determinant, first / determinant


def _times(matrix: Symmetric, first: Floats, second: Floats) -> tuple[Floats, Floats]:
    p, q, w = matrix
    return p * first + q * second, q * first + w * second


def _centre_of(pairs: _Pairs, copies: Floats, weights: Symmetric) -> tuple[Floats, Floats]:
    """Return the mean of true pairs in each sample, weighted by (T + S)^-1."""
    total = _inverse(*(np.einsum("bk,bk->b", copies, one) for one in weights))
    pulled = _times(weights, *pairs.y)
    return _times(total, *(np.einsum("bk,bk->b", copies, one) for one in pulled))


def _climb(pairs: _Pairs, copies: Floats, start: Symmetric, settled: float) -> Symmetric:
    """Return the penalised maximum of each sample's restricted likelihood."""
    t = start
    for _ in range(_MOST_STEPS):
        step, length = _step(pairs, copies, t)
        share = _LONGEST_STEP / np.maximum(length, _LONGEST_STEP)
        first, cross, last = t
        t = (first + share * step[:, 0], cross + share * step[:, 1], last + share * step[:, 2])
        if length.max() < settled:
            break
    return t


def _step(pairs: _Pairs, copies: Floats, t: Symmetric) -> tuple[Floats, Floats]:
    """Return a step of Fisher scoring, and its length relative to T.

    With E one of the three directions of T, the slope is half of
    tr E (sum W r r' W - sum W + sum W H W), H the covariance of the centre, and the curvature half
    of sum tr W E W E; the penalty adds the same of T^-1.
    """
    weights = _weights(pairs, t)
    p, q, w = weights
    heavy = tuple(copies * one for one in weights)
    total = tuple(one.sum(axis=1) for one in heavy)
    squares = tuple(np.einsum("bk,bk->b", heavy[a], weights[b]) for a, b in _PRODUCTS)
    h1, h2, h3 = _inverse(*total)
    centre = _centre_of(pairs, copies, weights)
    z1, z2 = _times((p, q, w), *pairs.about(centre))
    pp, pq, qq, pw, qw, ww = squares
    slope = (
        np.einsum("bk,bk,bk->b", copies, z1, z1) - total[0] + pp * h1 + 2 * pq * h2 + qq * h3,
        np.einsum("bk,bk,bk->b", copies, z1, z2) - total[1] + pq * h1 + (pw + qq) * h2 + qw * h3,
        np.einsum("bk,bk,bk->b", copies, z2, z2) - total[2] + qq * h1 + 2 * qw * h2 + ww * h3,
    )
    own = _inverse(*t)
    metric = _curvature(tuple(own[a] * own[b] for a, b in _PRODUCTS))
    gradient = np.stack(
        [
            double * (one / 2 + _PENALTY * mine)
            for double, one, mine in zip((1, 2, 1), slope, own, strict=True)
        ],
        axis=-1,
    )
    curvature = _curvature(squares) / 2 + _PENALTY * metric
    step = np.linalg.solve(curvature, gradient[..., None])[..., 0]
    return step, np.sqrt(np.einsum("bi,bij,bj->b", step, metric, step))


def _curvature(products: tuple[Floats, ...]) -> Floats:
    """Return tr W E W E for the three directions E of a symmetric matrix."""
    pp, pq, qq, pw, qw, ww = products
    rows = ((pp, 2 * pq, qq), (2 * pq, 2 * (pw + qq), 2 * qw), (qq, 2 * qw, ww))
    return np.moveaxis(np.array(rows), (0, 1), (-2, -1))
