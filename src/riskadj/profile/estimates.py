"""How a provider's effect is estimated: the methods that a study can choose.

Each takes episodes with observed and expected values, whatever learner expected them, and returns
effects on the scale of the outcome. The expectation stands for case mix: methods that fit a model
give it a coefficient of their own.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from riskadj.stats import (
    FitWarning,
    RandomIntercept,
    between_variance,
    fit_fixed_effects,
    fit_random_intercept,
    group_rows,
    shrink,
)
from riskadj.stats.arrays import Floats

FEWEST_TO_ALLOW = 3
"""Providers from which it can be told how uncertain the variance between them is."""


@dataclass(frozen=True)
class Sample:
    """The episodes of one outcome under one learner.

    Attributes
    ----------
    observed, expected : ndarray of shape (n_episodes,)
    provider : ndarray of shape (n_episodes,)
    sd : float or None
        Of residuals in the reference population; None: that of these episodes.
    between : str
        Estimator of the variance between providers, for methods that need one.
    """

    observed: Floats
    expected: Floats
    provider: NDArray[Any]
    sd: float | None
    between: str


@dataclass(frozen=True)
class Estimates:
    """Effects of providers: how much better than the episodes' mean, case mix aside.

    Attributes
    ----------
    providers : ndarray of shape (n_providers,)
    effect, error : ndarray of shape (n_providers,)
        `error`: standard error, or posterior standard deviation where effects are shrunken.
    warnings : tuple of FitWarning
    """

    providers: NDArray[Any]
    effect: Floats
    error: Floats
    warnings: tuple[FitWarning, ...] = ()


def _differences(sample: Sample) -> Estimates:
    """Mean of observed - expected, with the population's standard deviation of residuals."""
    groups = group_rows(sample.provider)
    residual = sample.observed - sample.expected
    sd = residual.std(ddof=1) if sample.sd is None else sample.sd
    effect = groups.mean(residual) - residual.mean()
    return Estimates(groups.labels, effect, sd / np.sqrt(groups.sizes))


def _fixed(sample: Sample) -> Estimates:
    # Effects are where covariates are 0; there, at the mean expectation, nothing is extrapolated.
    centred = sample.expected - sample.expected.mean()
    fit = fit_fixed_effects(sample.observed, centred, sample.provider)
    centre = float(fit.n @ fit.effects) / float(fit.n.sum())
    return Estimates(fit.providers, fit.effects - centre, fit.effects_se, fit.warnings)


def _random(sample: Sample, correlated: bool = False) -> Estimates:
    fit = fit_random_intercept(
        sample.observed, sample.expected, sample.provider, correlated=correlated
    )
    return Estimates(fit.providers, fit.effects, _with_all_estimated(sample, fit), fit.warnings)


def _with_all_estimated(sample: Sample, fit: RandomIntercept) -> Floats:
    """Return posterior standard deviations that allow for sigma and coefficients being estimates.

    Those of the fit take both as known: too narrow when providers are few, 0 when sigma is. Sigma
    is allowed for as in Morris (1983, JASA 78:47-55), coefficients as in Kackar and Harville
    (1984, JASA 79:853-862).
    """
    if len(fit.n) < FEWEST_TO_ALLOW:
        return fit.effects_se
    groups = group_rows(sample.provider)
    expected = groups.mean(sample.expected)
    means = np.column_stack([np.ones_like(expected), *[expected] * (fit.between_coef.size + 1)])
    coef = np.r_[fit.intercept, fit.between_coef, fit.coef]
    residual, error = groups.mean(sample.observed) - means @ coef, fit.residual_sd / np.sqrt(fit.n)
    own = shrink(residual, error, fit.sigma**2, allow_for_estimation=True)
    of_mean = np.einsum("ij,jk,ik->i", means, fit.coef_covariance, means)
    return np.sqrt(own.sd**2 + (1 - own.weight) ** 2 * of_mean)


def _correlated(sample: Sample) -> Estimates:
    return _random(sample, correlated=True)


def _empirical_bayes(sample: Sample) -> Estimates:
    raw = _differences(sample)
    tau2 = between_variance(raw.effect, raw.error, sample.between).tau2
    shrunken = shrink(
        raw.effect, raw.error, tau2, allow_for_estimation=len(raw.effect) >= FEWEST_TO_ALLOW
    )
    return Estimates(raw.providers, shrunken.effect, shrunken.sd)


METHODS: MappingProxyType[str, Callable[[Sample], Estimates]] = MappingProxyType(
    {
        "nhs_england": _differences,
        "fixed_effects": _fixed,
        "random_intercept": _random,
        "correlated_random_effects": _correlated,
        "empirical_bayes": _empirical_bayes,
    }
)
"""By the name a study calls them."""


def estimate(method: str, sample: Sample) -> Estimates:
    """Return the effects of providers by a method; what its fit warns of is in the result."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FitWarning)
        return METHODS[method](sample)
