"""How probable an answer is, by who the patient is and who the provider."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit

from riskadj.errors import ArrayError
from riskadj.stats.arrays import Bools, Floats, covariate_rows, finite, one_of
from riskadj.stats.directions import Directions, directions
from riskadj.stats.fits import FitWarning, SeparationWarning
from riskadj.stats.fixed_effects import fit_fixed_effects
from riskadj.stats.groups import Groups, group_rows
from riskadj.stats.random_intercept import fit_random_intercept


@dataclass(frozen=True)
class ResponseModel:
    """The probability of an answer, from a logistic model.

    Attributes
    ----------
    probability : ndarray of shape (n_episodes,)
    intercept : float
    coef : ndarray of shape (n_covariates,)
        Log-odds per unit. Of collinear covariates one of many sets with the same fitted values.
    providers : ndarray of shape (n_providers,)
        Labels, sorted.
    effects : ndarray of shape (n_providers,)
        Log-odds beside the intercept; 0 without provider effects.
    sigma : float
        Standard deviation between providers (log-odds); 0 without provider effects.
    provider_effect : str
    converged : bool
    warnings : tuple of FitWarning
    """

    probability: Floats
    intercept: float
    coef: Floats
    providers: NDArray[Any]
    effects: Floats
    sigma: float
    provider_effect: str
    converged: bool
    warnings: tuple[FitWarning, ...] = ()


def fit_response(
    answered: ArrayLike, X: ArrayLike, provider: ArrayLike, provider_effect: str = "random"
) -> ResponseModel:
    """Fit the probability that an episode has an answer.

    Parameters
    ----------
    answered : array-like of shape (n_episodes,)
        0 or 1; an answer that cannot be scored is none.
    X : array-like of shape (n_episodes, n_covariates)
        Known for everybody, missing values encoded; may be collinear, may have no columns.
        Give all that goes with both answering and outcome, the expected value among it.
    provider : array-like of shape (n_episodes,)
        Labels.
    provider_effect : {"random", "fixed", "none"}
        `random`: normal intercepts, Laplace's approximation of the likelihood; `fixed` instead
        where the covariates tell some who answered from the others without error. `fixed`: an
        intercept for each provider. `none`: one for all. The last two with Firth's correction
        (1993, Biometrika 80:27-38), so that coefficients stay finite where covariates, or a
        provider's name, tell answers from silence without error.

    Returns
    -------
    ResponseModel
        Of probability 1 throughout when everybody answered: there is nothing to model.

    Raises
    ------
    ArrayError
        When arrays do not fit each other or nobody answered.

    Examples
    --------
    >>> answered = [1, 0, 1, 1, 0, 1, 0, 0]
    >>> model = fit_response(answered, np.zeros((8, 0)), list("aaaabbbb"), "none")
    >>> model.probability.round(3).tolist()[:2]
    [0.5, 0.5]
    """
    one_of("provider_effect", provider_effect, _FITS)
    groups = group_rows(provider)
    answer = answered_rows(answered, groups.n_rows)
    x = covariate_rows(X, groups.n_rows)
    if answer.all():
        return _everybody(groups, x.shape[1], provider_effect)
    try:
        span, fitted = _fit(provider_effect, answer, x, groups)
    except ArrayError:
        if provider_effect != "random":
            raise
        provider_effect = "fixed"
        span, fitted = _fit(provider_effect, answer, x, groups)
    coef = span.basis @ fitted.coef
    return ResponseModel(
        probability=expit(fitted.intercept + fitted.effects[groups.codes] + (x - span.mean) @ coef),
        intercept=fitted.intercept - float(span.mean @ coef),
        coef=coef,
        providers=groups.labels,
        effects=fitted.effects,
        sigma=fitted.sigma,
        provider_effect=provider_effect,
        converged=fitted.converged,
        warnings=fitted.warnings,
    )


def _fit(
    provider_effect: str, answer: Bools, x: Floats, groups: Groups
) -> tuple[Directions, "_Fitted"]:
    span = directions(x, groups if provider_effect == "fixed" else None)
    return span, _FITS[provider_effect](answer.astype(np.float64), span.of(x), groups)


class _Fitted(NamedTuple):
    intercept: float
    coef: Floats
    effects: Floats
    sigma: float
    converged: bool
    warnings: tuple[FitWarning, ...]


def answered_rows(answered: ArrayLike, n: int) -> Bools:
    """Return who answered, of 0 and 1.

    Raises
    ------
    ArrayError
        When there are other values, or nobody did.
    """
    values = finite("answered", answered, (n,))
    if not ((values == 0) | (values == 1)).all():
        raise ArrayError("answered: wanted 0 or 1; got other values.")
    if not values.any():
        raise ArrayError("answered: wanted somebody who did; got nobody. There is no outcome.")
    return values.astype(bool)


def _everybody(groups: Groups, n_covariates: int, provider_effect: str) -> ResponseModel:
    return ResponseModel(
        probability=np.ones(groups.n_rows),
        intercept=float("inf"),
        coef=np.zeros(n_covariates),
        providers=groups.labels,
        effects=np.zeros(len(groups)),
        sigma=0.0,
        provider_effect=provider_effect,
        converged=True,
    )


def _random(answer: Floats, x: Floats, groups: Groups) -> _Fitted:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SeparationWarning)
        fit = fit_random_intercept(answer, x, groups.codes, "binomial")
    # One silent patient alone at a level of a factor is enough for a coefficient without end.
    if not fit.converged or any(isinstance(one, SeparationWarning) for one in fit.warnings):
        raise ArrayError("X: wanted covariates that do not tell all answers; got such.")
    return _Fitted(fit.intercept, fit.coef, fit.effects, fit.sigma, fit.converged, fit.warnings)


def _fixed(answer: Floats, x: Floats, groups: Groups) -> _Fitted:
    fit = fit_fixed_effects(answer, x, groups.codes, "binomial", firth=True)
    centre = float(groups.sizes @ fit.effects) / groups.n_rows
    return _Fitted(centre, fit.coef, fit.effects - centre, fit.sigma, fit.converged, fit.warnings)


def _pooled(answer: Floats, x: Floats, groups: Groups) -> _Fitted:
    fit = fit_fixed_effects(answer, x, np.zeros(groups.n_rows), "binomial", firth=True)
    none = np.zeros(len(groups))
    return _Fitted(float(fit.effects[0]), fit.coef, none, 0.0, fit.converged, fit.warnings)


_FITS: dict[str, Callable[[Floats, Floats, Groups], _Fitted]] = {
    "random": _random,
    "fixed": _fixed,
    "none": _pooled,
}
