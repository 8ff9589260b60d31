"""Fixed provider effects: every provider's own intercept, case mix estimated within providers.

Coefficients compare patients of the same provider, so that they do not absorb differences in
quality when better providers treat different patients (He, Kalbfleisch, Li and Li 2013, Lifetime
Data Anal 19:490-512). Provider effects are eliminated from each Newton step, so that thousands of
them cost no more than their sums.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import ArrayLike, NDArray

from riskadj.errors import ArrayError
from riskadj.stats.arrays import Floats, one_of
from riskadj.stats.arrow import Arrow, CollinearError
from riskadj.stats.design import Design, build_design, said
from riskadj.stats.dispersion import between_variance
from riskadj.stats.families import FAMILIES, Family
from riskadj.stats.fits import (
    AllOrNoneWarning,
    FitWarning,
    FixedEffects,
    NotConvergedWarning,
    SeparationWarning,
    tell,
)
from riskadj.stats.newton import LARGE, Summit, View, climb, measure
from riskadj.stats.passes import Sums, sum_episodes, sum_penalty
from riskadj.stats.threads import one_thread

FAMILY_NAMES = ("gaussian", "binomial")
BEYOND = 500.0
"""Stands for an infinite logit: at it, an episode has no information left."""


def fit_fixed_effects(
    y: ArrayLike,
    X: ArrayLike,
    provider: ArrayLike,
    family: str = "gaussian",
    firth: bool = False,
    *,
    weights: ArrayLike | None = None,
    offset: ArrayLike | None = None,
) -> FixedEffects:
    """Fit case-mix coefficients and an intercept for every provider, by maximum likelihood.

    Parameters
    ----------
    y : array-like of shape (n_episodes,)
        Outcome; 0 or 1 for `binomial`.
    X : array-like or DataFrame of shape (n_episodes, n_covariates)
        Case mix, without a constant. Covariates have to vary within providers.
    provider : array-like of shape (n_episodes,)
        Labels.
    family : {"gaussian", "binomial"}
        Identity and logit link.
    firth : bool
        Maximise the likelihood times the square root of the information's determinant (Firth
        1993, Biometrika 80:27-38), all coefficients and effects included: less bias with few
        events, and finite effects for providers with no or only events. `binomial` only.
    weights : array-like of shape (n_episodes,), optional
        Not negative. `gaussian`: inverse variances; `binomial`: multiply the log-likelihood.
        Episodes of weight 0 take no part.
    offset : array-like of shape (n_episodes,), optional
        Added to the linear predictor.

    Returns
    -------
    FixedEffects

    Raises
    ------
    ArrayError
        When arrays do not fit each other or are not finite, a covariate is collinear or constant
        within providers, or nothing is left to learn from.

    Warns
    -----
    AllOrNoneWarning, SeparationWarning, NotConvergedWarning
        Also in `warnings` of the result.

    Examples
    --------
    >>> y = [1.0, 2.0, 4.0, 6.5, 5.0]
    >>> x = [[0.0], [1.0], [0.0], [2.0], [1.0]]
    >>> fit = fit_fixed_effects(y, x, ["a", "a", "b", "b", "b"])
    >>> fit.coef.round(6).tolist(), fit.effects.round(6).tolist()
    ([1.2], [0.9, 3.966667])
    """
    one_of("family", family, FAMILY_NAMES)
    if firth and family != "binomial":
        raise ArrayError(f"firth: wanted family 'binomial'; got {family!r}. Set firth to False.")
    design = build_design(y, X, provider, weights, offset)
    FAMILIES[family].check(design.y)
    if family == "gaussian" and _degrees_of_freedom(design) < 1:
        raise ArrayError(
            "provider: wanted more episodes than providers and covariates together; got "
            f"{design.n:,} episodes of {len(design.groups):,} providers. Fit random intercepts."
        )
    try:
        with one_thread():
            return _result(design, family, firth, _maximise(design, FAMILIES[family], firth))
    except CollinearError as error:
        raise ArrayError(
            "X: wanted covariates that vary within providers, none a combination of others; got "
            f"{said(design.names, error.columns)}. Leave them out."
        ) from None


@dataclass(frozen=True)
class _Point:
    coef: Floats
    effects: Floats

    def halfway(self, to: "_Point", /) -> "_Point":
        return _Point((self.coef + to.coef) / 2, (self.effects + to.effects) / 2)


def _maximise(design: Design, family: Family, firth: bool) -> Summit[_Point]:
    held = _without_information(design, family, firth)
    if held.all():
        raise ArrayError(
            "y: wanted a provider with episodes that differ in outcome; got none. "
            "Fit random intercepts, or Firth's correction."
        )
    look = partial(_look_penalised if firth else _look, design, family, held)
    start = _start(design, family, firth, held)
    return climb(start, look, bends=family.name != "gaussian")


def _start(design: Design, family: Family, firth: bool, held: NDArray[np.bool_]) -> _Point:
    """Start from provider means, and from the coefficients of a tenth where that pays."""
    effects = np.where(held, np.where(_provider_mean(design) > 0.5, BEYOND, -BEYOND), 0.0)
    effects[~held] = family.link(_provider_mean(design)[~held])
    if family.name == "gaussian" or design.n < LARGE:
        return _Point(np.zeros(len(design.x)), effects)
    part = design.part(10)
    try:
        found = _maximise(part, family, firth)
    except ArrayError:
        return _Point(np.zeros(len(design.x)), effects)
    moved = (found.point.effects - effects[: len(part.groups)])[~held[: len(part.groups)]]
    return _Point(found.point.coef, np.where(held, effects, effects + np.median(moved)))


def _provider_mean(design: Design) -> Floats:
    """Return provider means, drawn to the overall mean by the weight of one episode."""
    w = np.ones(design.n) if design.weights is None else design.weights
    overall = float(w @ design.y / w.sum())
    sums = design.groups.total_ordered(np.stack([w * design.y, w]))
    return (sums[0] + overall) / (sums[1] + 1)


def _without_information(design: Design, family: Family, firth: bool) -> NDArray[np.bool_]:
    """Return which providers have no or only events."""
    if family.name == "gaussian" or firth:
        return np.zeros(len(design.groups), dtype=bool)
    events = design.groups.total_ordered(design.y)
    return (events == 0) | (events == design.groups.sizes)


def _look(
    design: Design, family: Family, held: NDArray[np.bool_], point: _Point, earlier: Arrow | None
) -> View[_Point]:
    sums = sum_episodes(design, family, point.coef, point.effects, curvature=earlier is None)
    arrow = _arrow(sums, held) if earlier is None else earlier
    inverse = _inverse(sums.weight, held)
    effects, coef = arrow.solve(sums.score, sums.slope, inverse)
    scale = _scale(design, sums) if family.name == "gaussian" else 1.0
    return _view(sums.loglik, arrow, point, effects, coef, sums.weight, scale)


def _scale(design: Design, sums: Sums) -> float:
    """Return the residual standard deviation, or a trifle of the outcome's when all but 0."""
    return float(np.sqrt(-2 * sums.loglik / design.n) + 1e-9 * np.abs(design.y).max())


def _look_penalised(
    design: Design, family: Family, held: NDArray[np.bool_], point: _Point, _: Arrow | None
) -> View[_Point]:
    """Look with Firth's scores, and with his penalty's own information about effects."""
    sums = sum_episodes(design, family, point.coef, point.effects)
    arrow = _arrow(sums, held)
    penalty = sum_penalty(design, family, point.coef, point.effects, sums, arrow)
    inverse = 1 / np.maximum(sums.weight + penalty.information, sums.weight / 2)
    effects, coef = arrow.solve(sums.score + penalty.score, sums.slope + penalty.slope, inverse)
    penalised = sums.loglik + (np.log(sums.weight).sum() + arrow.log_determinant) / 2
    return _view(float(penalised), arrow, point, effects, coef, sums.weight)


def _arrow(sums: Sums, held: NDArray[np.bool_]) -> Arrow:
    return Arrow(_inverse(sums.weight, held), sums.cross, sums.gram)


def _inverse(weight: Floats, held: NDArray[np.bool_]) -> Floats:
    return np.divide(1.0, weight, out=np.zeros_like(weight), where=~held & (weight > 0))


def _view(
    loglik: float,
    arrow: Arrow,
    point: _Point,
    effects: Floats,
    coef: Floats,
    weight: Floats,
    scale: float = 1.0,
) -> View[_Point]:
    errors, movement = measure(arrow, effects, coef, weight)
    errors /= scale
    proposal = _Point(point.coef + coef, point.effects + effects)
    return View(loglik, arrow, proposal, errors, movement)


def _result(design: Design, family: str, firth: bool, found: Summit[_Point]) -> FixedEffects:
    held = _without_information(design, FAMILIES[family], firth)
    squares = max(-2 * found.view.objective, 0.0)
    dispersion = squares / _degrees_of_freedom(design) if family == "gaussian" else 1.0
    effects = np.where(held, np.copysign(np.inf, found.point.effects), found.point.effects)
    variance = dispersion * found.view.arrow.effect_variance
    effects_se = np.where(held, np.inf, np.sqrt(variance))
    covariance = dispersion * found.view.arrow.coef_covariance
    return FixedEffects(
        family=family,
        providers=design.groups.labels,
        n=design.groups.sizes,
        coef=found.point.coef,
        coef_se=np.sqrt(np.diag(covariance)),
        coef_covariance=covariance,
        effects=effects,
        effects_se=effects_se,
        sigma=_between(effects[~held], effects_se[~held]),
        residual_sd=float(np.sqrt(dispersion)) if family == "gaussian" else float("nan"),
        loglik=_loglik(design, family, found),
        converged=found.settled,
        passes=found.passes,
        firth=firth,
        warnings=tell(_warnings(design, found, held)),
    )


def _degrees_of_freedom(design: Design) -> int:
    return design.n - len(design.groups) - len(design.x)


def _loglik(design: Design, family: str, found: Summit[_Point]) -> float:
    if family != "gaussian":
        return found.view.objective
    log_weights = 0.0 if design.weights is None else float(np.log(design.weights).sum())
    squares = max(-2 * found.view.objective, np.finfo(float).tiny)
    return -0.5 * (design.n * (np.log(2 * np.pi * squares / design.n) + 1) - log_weights)


def _between(effects: Floats, errors: Floats) -> float:
    if len(effects) < 2 or not (errors > 0).all():
        return float("nan")
    return float(np.sqrt(between_variance(effects, errors).tau2))


def _warnings(design: Design, found: Summit[_Point], held: NDArray[np.bool_]) -> list[FitWarning]:
    told: list[FitWarning] = []
    if held.any():
        only = int((held & (found.point.effects > 0)).sum())
        told.append(
            AllOrNoneWarning(
                f"{int(held.sum()) - only:,} providers have no events and {only:,} only events: "
                "their fixed effects are infinite. Use firth=True, random intercepts or exact "
                "tests."
            )
        )
    if found.runaway.size:
        told.append(
            SeparationWarning(
                f"{said(design.names, found.runaway)} tell events from others without error: the "
                "coefficients have no bound. Use firth=True or leave them out."
            )
        )
    elif not found.settled:
        told.append(NotConvergedWarning(f"not settled after {found.passes} passes."))
    return told
