"""What the fit of a provider-effect model holds, and what it warns of."""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from riskadj.stats.arrays import Floats


class FitWarning(UserWarning):
    """A fit that is not what was asked for; its message says why, and what to do."""


class NotConvergedWarning(FitWarning):
    """Iterations ended before the estimates settled."""


class SeparationWarning(FitWarning):
    """Covariates that tell events from others without error: their coefficients have no bound."""


class AllOrNoneWarning(FitWarning):
    """Providers with no event or only events: their fixed effects have no bound.

    They are `providers[numpy.isinf(effects)]` of the result: `effects` is -inf without events, inf
    with only events.
    """


@dataclass(frozen=True)
class FixedEffects:
    """Each provider's own intercept, as free parameters.

    Attributes
    ----------
    family : str
    providers : ndarray of shape (n_providers,)
        Labels, sorted; `effects` and the rest are in this order.
    n : ndarray of shape (n_providers,)
        Episodes.
    coef, coef_se : ndarray of shape (n_covariates,)
        Per unit of each covariate, on the scale of the linear predictor.
    coef_covariance : ndarray of shape (n_covariates, n_covariates)
    effects, effects_se : ndarray of shape (n_providers,)
        Intercepts: the linear predictor where all covariates are 0. Standard errors include
        that of the coefficients. Infinite, with infinite standard error, for a provider with no
        or only events (`binomial` without Firth's correction).
    sigma : float
        Standard deviation between providers, from effects and their standard errors
        (DerSimonian and Laird 1986); providers with infinite effects left out.
    residual_sd : float
        Of single episodes around their fit; NaN for `binomial`.
    loglik : float
        At the estimates; with Firth's correction the penalised one.
    converged : bool
    passes : int
        Over the episodes.
    firth : bool
    warnings : tuple of FitWarning
        All of which were also raised as Python warnings.
    """

    family: str
    providers: NDArray[Any]
    n: NDArray[np.intp]
    coef: Floats
    coef_se: Floats
    coef_covariance: Floats
    effects: Floats
    effects_se: Floats
    sigma: float
    residual_sd: float
    loglik: float
    converged: bool
    passes: int
    firth: bool
    warnings: tuple[FitWarning, ...] = ()


@dataclass(frozen=True)
class RandomIntercept:
    """Provider intercepts drawn from one normal distribution.

    Attributes
    ----------
    family, method : str
        `method`: `reml`, `ml` or `laplace`.
    providers : ndarray of shape (n_providers,)
        Labels, sorted; `effects` and the rest are in this order.
    n : ndarray of shape (n_providers,)
        Episodes.
    intercept, intercept_se : float
        The average provider's linear predictor where all covariates are 0.
    coef, coef_se : ndarray of shape (n_covariates,)
        Per unit of each covariate; with `correlated`, within providers.
    between_coef, between_se : ndarray of shape (n_covariates,) or (0,)
        With `correlated`: of the provider's mean of each covariate, beside the covariate itself.
    coef_covariance : ndarray
        Of intercept, between_coef and coef, in this order.
    effects, effects_se : ndarray of shape (n_providers,)
        Each provider's distance from what intercept (and means) say: posterior mode and standard
        deviation, given coefficients and sigma.
    sigma : float
        Standard deviation between providers; 0 when chance explains all differences.
    residual_sd : float
        Of single episodes (`gaussian`); NaN otherwise.
    shape : float
        Of the gamma distribution, 1 / (coefficient of variation squared); NaN otherwise.
    loglik : float
        Maximised log-likelihood: Laplace's approximation, or the restricted one under `reml`.
    converged : bool
    passes : int
        Over the episodes.
    warnings : tuple of FitWarning
        All of which were also raised as Python warnings.
    """

    family: str
    method: str
    providers: NDArray[Any]
    n: NDArray[np.intp]
    intercept: float
    intercept_se: float
    coef: Floats
    coef_se: Floats
    between_coef: Floats
    between_se: Floats
    coef_covariance: Floats
    effects: Floats
    effects_se: Floats
    sigma: float
    residual_sd: float
    shape: float
    loglik: float
    converged: bool
    passes: int
    warnings: tuple[FitWarning, ...] = ()


def tell(found: list[FitWarning]) -> tuple[FitWarning, ...]:
    """Raise the warnings for all to hear, and return them."""
    for one in found:
        warnings.warn(one, stacklevel=5)
    return tuple(found)
