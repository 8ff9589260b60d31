"""How a provider's effect is estimated: the methods that a study can choose.

Each takes episodes with observed and expected values, whatever learner expected them, and returns
effects: in the unit of the outcome; where a method fits a model of chances, in log-odds; of costs,
logarithms of observed over expected. The expectation stands for case mix: methods that fit a model
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
    Groups,
    RandomIntercept,
    between_variance,
    fit_fixed_effects,
    fit_random_intercept,
    group_rows,
    shrink,
)
from riskadj.stats.arrays import Floats
from riskadj.stats.links import link_named
from riskadj.stats.log_ratios import (
    LogRatios,
    log_levels,
    log_ratios,
    relative_residuals,
    shrunken_ratios,
)
from riskadj.study.kinds import LINK_OF, Family

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
        Of residuals in the reference population, of costs relative to what is expected; None: that
        of these episodes.
    between : str
        Estimator of the variance between providers, for methods that need one.
    family : {"gaussian", "binomial", "gamma"}
        `binomial`: `observed` is 1 or 0, `expected` the chance of 1. `gamma`: a cost.
    """

    observed: Floats
    expected: Floats
    provider: NDArray[Any]
    sd: float | None
    between: str
    family: Family = "gaussian"

    @property
    def covariate(self) -> Floats:
        """The expectation on the scale of the model: itself, its log-odds or its logarithm."""
        return link_named(LINK_OF[self.family]).predictor(self.expected)


@dataclass(frozen=True)
class Estimates:
    """Effects of providers: how much better than the episodes' mean, case mix aside.

    Attributes
    ----------
    providers : ndarray of shape (n_providers,)
    effect, error : ndarray of shape (n_providers,)
        `error`: standard error, or posterior standard deviation where effects are shrunken.
    warnings : tuple of FitWarning
    link : {"identity", "logit", "log"}
        On whose scale effects are.
    """

    providers: NDArray[Any]
    effect: Floats
    error: Floats
    warnings: tuple[FitWarning, ...] = ()
    link: str = "identity"


def residuals(observed: Floats, expected: Floats, family: Family) -> Floats:
    """Return how far each episode is from what was expected; of a cost, relative to that."""
    if family == "gamma":
        return relative_residuals(observed, expected)
    return observed - expected


def _of_ratios(found: LogRatios) -> Estimates:
    return Estimates(found.providers, found.effect, found.error, link="log")


def _ratios(sample: Sample) -> LogRatios:
    phi = None if sample.sd is None else sample.sd**2
    return log_ratios(sample.observed, sample.expected, sample.provider, phi)


def _shrunken_ratios(sample: Sample, correlated: bool) -> Estimates:
    raw = _ratios(sample)
    mean = group_rows(sample.provider).mean(sample.covariate) if correlated else None
    effect, error = shrunken_ratios(raw.effect, raw.error, mean)
    return Estimates(raw.providers, effect, error, link="log")


def _differences(sample: Sample) -> Estimates:
    """Mean of observed - expected; of costs, the log of the ratio of their sums.

    Its standard error is by the population's standard deviation of residuals; that of chances by
    the chances themselves, as in a score test; that of costs by quasi-likelihood.
    """
    if sample.family == "gamma":
        return _of_ratios(_ratios(sample))
    groups = group_rows(sample.provider)
    residual = sample.observed - sample.expected
    effect = groups.mean(residual) - residual.mean()
    return Estimates(groups.labels, effect, _chance_error(sample, residual, groups))


def _chance_error(sample: Sample, residual: Floats, groups: Groups) -> Floats:
    if sample.family == "binomial" and sample.sd is None:
        variance = groups.mean(sample.expected * (1 - sample.expected))
        return np.sqrt(variance / groups.sizes)
    sd = residual.std(ddof=1) if sample.sd is None else sample.sd
    return sd / np.sqrt(groups.sizes)


def _fixed(sample: Sample) -> Estimates:
    if sample.family == "gamma":
        return _of_ratios(log_levels(sample.observed, sample.expected, sample.provider))
    # Effects are where covariates are 0; there, at the mean expectation, nothing is extrapolated.
    covariate = sample.covariate
    fit = fit_fixed_effects(
        sample.observed,
        covariate - covariate.mean(),
        sample.provider,
        sample.family,
        firth=sample.family == "binomial",  # else providers with all or none would have no effect
    )
    centre = float(fit.n @ fit.effects) / float(fit.n.sum())
    return Estimates(
        fit.providers, fit.effects - centre, fit.effects_se, fit.warnings, LINK_OF[sample.family]
    )


def _random(sample: Sample, correlated: bool = False) -> Estimates:
    if sample.family == "gamma":
        return _shrunken_ratios(sample, correlated)
    fit = fit_random_intercept(
        sample.observed, sample.covariate, sample.provider, sample.family, correlated=correlated
    )
    mean = group_rows(sample.provider).mean(sample.covariate)
    effect = fit.effects
    if correlated:  # what goes with the provider's mean is the provider's too, not case mix
        effect = effect + fit.between_coef[0] * (mean - sample.covariate.mean())
    own, weight = _drawn_to_the_middle(sample, fit, mean)
    error = np.sqrt(own**2 + _of_coefficients(fit, mean, float(sample.covariate.mean()), weight))
    return Estimates(fit.providers, effect, error, fit.warnings, LINK_OF[sample.family])


def _drawn_to_the_middle(
    sample: Sample, fit: RandomIntercept, mean: Floats
) -> tuple[Floats, Floats]:
    """Return posterior standard deviations, and how much of its own difference a provider keeps.

    Those of the fit take sigma as known: too narrow when providers are few, 0 when sigma is. Of
    normal outcomes sigma's own uncertainty is allowed for (Morris 1983, JASA 78:47-55).
    """
    if sample.family == "binomial" or len(fit.n) < FEWEST_TO_ALLOW:
        kept = 1 - (fit.effects_se / fit.sigma) ** 2 if fit.sigma else np.zeros(len(fit.n))
        return fit.effects_se, kept
    between = [mean] * fit.between_coef.size
    design = np.column_stack([np.ones_like(mean), *between, mean])
    line = design @ np.r_[fit.intercept, fit.between_coef, fit.coef]
    residual = group_rows(sample.provider).mean(sample.observed) - line
    error = fit.residual_sd / np.sqrt(fit.n)
    found = shrink(residual, error, fit.sigma**2, allow_for_estimation=True)
    return found.sd, found.weight


def _of_coefficients(fit: RandomIntercept, mean: Floats, overall: float, kept: Floats) -> Floats:
    """Return the variance that adjusted results have from coefficients being estimates.

    A provider's result is the line at the overall mean, plus what it keeps of its distance from
    the line at its own (Kackar and Harville 1984, JASA 79:853-862).
    """
    ones, between = np.ones_like(mean), [mean] * fit.between_coef.size
    here = np.column_stack([ones, *between, np.full_like(mean, overall)])
    away = here - kept[:, None] * np.column_stack([ones, *between, mean])
    return np.asarray(np.einsum("ij,jk,ik->i", away, fit.coef_covariance, away))


def _correlated(sample: Sample) -> Estimates:
    return _random(sample, correlated=True)


def _empirical_bayes(sample: Sample) -> Estimates:
    raw = _differences(sample)
    tau2 = between_variance(raw.effect, raw.error, sample.between).tau2
    shrunken = shrink(
        raw.effect, raw.error, tau2, allow_for_estimation=len(raw.effect) >= FEWEST_TO_ALLOW
    )
    return Estimates(raw.providers, shrunken.effect, shrunken.sd, link=raw.link)


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
