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
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from riskadj.errors import ArrayError, TooFewProvidersError
from riskadj.stats.arrays import Floats, one_of, plain, whole
from riskadj.stats.between_pairs import (
    FEWEST,
    ROUGH,
    BetweenPairs,
    Pairs,
    Symmetric,
    between_pairs,
    centre_of,
    climb_pairs,
    inverse,
    matrix_of,
    times,
    weights_of,
)
from riskadj.stats.groups import group_rows
from riskadj.stats.normal_pairs import quarter_chance
from riskadj.stats.observed_pairs import ratio_of, seen_cost, seen_outcome, seen_pairs

_FAMILIES = ("gaussian", "binomial")
_BLOCK = 100_000
"""Providers times samples at a time, so that they stay in the cache."""


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
    outcome = seen_outcome(outcome_observed, outcome_expected, groups, better, outcome_family)
    cost = seen_cost(cost_observed, cost_expected, groups)
    seen = seen_pairs(outcome, cost, groups)
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
    found = _known(Pairs.of(effect, covariance), fitted, samples)
    return JointProfile(
        providers=groups.labels,
        n_outcome=outcome.n,
        n_cost=cost.n,
        n_both=seen.n_both,
        effect=seen.effect,
        outcome_ratio=ratio_of(outcome),
        covariance=seen.covariance,
        judged=judged,
        centre=fitted.centre,
        between=fitted.covariance,
        within_correlation=seen.correlation,
        replicates=replicates,
        seed=seed,
        **{name: _where(judged, values) for name, values in found.items()},
    )


def _where(judged: NDArray[np.bool_], values: Floats) -> Floats:
    full = np.full((judged.size, *values.shape[1:]), np.nan)
    full[judged] = values
    return full


def _samples(providers: int, replicates: int, seed: int) -> Iterator[Floats]:
    """Yield how often each provider is in each of some samples."""
    rng = np.random.default_rng(seed)
    at_once, chance = max(1, _BLOCK // providers), np.full(providers, 1 / providers)
    for done in range(0, replicates, at_once):
        size = min(at_once, replicates - done)
        yield rng.multinomial(providers, chance, size=size).astype(np.float64)


def _known(pairs: "Pairs", fitted: BetweenPairs, samples: Iterator[Floats]) -> dict[str, Floats]:
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
    covariance = matrix_of(square - first**2, cross - first * last, last_square - last**2)
    return {
        "shrunken": np.column_stack([first, last]) * pairs.unit,
        "shrunken_covariance": covariance * np.outer(pairs.unit, pairs.unit),
        "p_better_and_cheaper": p_both,
        "p_better_and_dearer": np.clip(p_better - p_both, 0.0, 1.0),
        "p_worse_and_cheaper": np.clip(p_cheaper - p_both, 0.0, 1.0),
        "p_worse_and_dearer": np.clip(1 - p_better - p_cheaper + p_both, 0.0, 1.0),
    }


def _posteriors(pairs: "Pairs", drawn: "Pairs", copies: Floats, start: Symmetric) -> Floats:
    """Return sums over samples of posterior moments and chances, `drawn` being what they hold."""
    t = climb_pairs(drawn, copies, start, ROUGH)
    centre = centre_of(drawn, copies, weights_of(drawn, t))
    t = _turned(start, t)
    weights = weights_of(pairs, t)
    pulled = times(weights, *pairs.about(centre))
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
    (f1, f2, f3), (p, q, w) = fitted, inverse(*sampled)
    a, b, c, d = f1 * p + f2 * q, f1 * q + f2 * w, f2 * p + f3 * q, f2 * q + f3 * w
    return a * f1 + b * f2, a * f2 + b * f3, c * f2 + d * f3


def _left(t: Symmetric, weights: Symmetric) -> Symmetric:
    """Return T - T W T, the variance that is left of true pairs."""
    (t1, t2, t3), (p, q, w) = t, weights
    a, b, c, d = t1 * p + t2 * q, t1 * q + t2 * w, t2 * p + t3 * q, t2 * q + t3 * w
    return t1 - a * t1 - b * t2, t2 - a * t2 - b * t3, t3 - c * t2 - d * t3
