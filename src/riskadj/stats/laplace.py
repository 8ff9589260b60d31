"""Random intercepts of a non-linear model, by Laplace's approximation of its likelihood.

With u the provider effects and v their variance, the approximation (Breslow and Clayton 1993,
JASA 88:9-25, equation 4; Bates et al. 2015) is

    sum loglik(coef, u) - sum u^2 / (2 v) - sum log(1 + v W) / 2

at the mode of u, W being each provider's information about its effect. Its slopes are exact here:
that of log(1 + v W) includes how W and the mode move. Each pass over the episodes gives sums by
provider; coefficients and variance then climb the expansion those sums describe, without another
look at the episodes.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy.optimize import brentq
from scipy.special import digamma, gammaln

from riskadj.stats.arrays import Floats
from riskadj.stats.arrow import Arrow
from riskadj.stats.between import extended_arrow, extended_slope
from riskadj.stats.design import Design
from riskadj.stats.families import Family
from riskadj.stats.newton import Patience, Summit, View, climb, measure
from riskadj.stats.passes import Sums, sum_episodes

ROUNDS = 3
"""Times that coefficients, variance and shape take turns between two passes."""
PATIENT = Patience(settled=1e-5)
"""The last step is still taken; what is left is a fiftieth of it."""
LARGEST_VARIANCE = 1e8


@dataclass(frozen=True)
class Point:
    """Where the likelihood is looked at.

    Attributes
    ----------
    coef : ndarray of shape (n_coef,)
        Those between providers first.
    effects : ndarray of shape (n_providers,)
    variance : float
        Of the effects.
    shape : float
        Multiplies every slope; 1 but for `gamma`.
    information : ndarray of shape (n_providers,)
        As last seen, at unit shape: what the next pass divides by.
    """

    coef: Floats
    effects: Floats
    variance: float
    shape: float
    information: Floats

    def halfway(self, to: "Point", /) -> "Point":
        """Return the point between this one and another."""
        return Point(
            (self.coef + to.coef) / 2,
            (self.effects + to.effects) / 2,
            (self.variance + to.variance) / 2,
            (self.shape + to.shape) / 2,
            self.information,
        )


def fit_laplace(
    design: Design,
    family: Family,
    between: Floats,
    start: Point | None = None,
    patience: Patience = PATIENT,
) -> Summit[Point]:
    """Maximise Laplace's approximation, from `start` where it is given.

    Raises
    ------
    CollinearError
    """
    look = partial(_look, design, family, between)
    start = start or first_point(design, family, between)
    return climb(start, look, slack=1e-4, patience=patience)


def first_point(design: Design, family: Family, between: Floats) -> Point:
    """Start from the overall mean, and from a little variation between providers."""
    coef = np.zeros(len(between) + len(design.x))
    coef[0] = family.link(np.asarray(np.average(design.y, weights=design.weights)))
    m = len(design.groups)
    flat = family.slopes(design.y[:1], coef[:1]).weight if not family.has_shape else np.ones(1)
    return Point(coef, np.zeros(m), 0.1, 1.0, flat * design.groups.sizes)


def shrinkage(variance: float, information: Floats) -> Floats:
    """Return the posterior variance of each effect, v / (1 + v W)."""
    return variance / (1 + variance * information)


def _look(
    design: Design, family: Family, between: Floats, point: Point, earlier: Arrow | None
) -> View[Point]:
    fixed = point.coef[: len(between)] @ between + point.effects
    posterior = shrinkage(point.variance, point.shape * point.information)
    seen = sum_episodes(
        design, family, point.coef[len(between) :], fixed, posterior, curvature=earlier is None
    )
    sums = seen.times(point.shape)
    inverse = shrinkage(point.variance, sums.weight)
    arrow = extended_arrow(between, sums, inverse) if earlier is None else earlier
    objective = _objective(design, family, seen, point)
    proposal, step = _propose(design, family, between, seen, arrow, point)
    effects = proposal.effects - point.effects
    errors, movement = measure(arrow, effects, step, sums.weight)
    errors = max(errors, _variance_errors(point, proposal, sums.weight))
    return View(objective, arrow, proposal, errors, movement)


def _variance_errors(point: Point, proposal: Point, information: Floats) -> float:
    """Return the step of variance and shape in (generous) standard errors."""
    reliability = proposal.variance * information / (1 + proposal.variance * information)
    precision = np.sqrt(float(np.sum(reliability**2)) / 2)
    larger = max(point.variance, proposal.variance)
    of_variance = abs(proposal.variance - point.variance) / larger * precision if larger else 0.0
    of_shape = abs(proposal.shape / point.shape - 1) * np.sqrt(len(information))
    return float(max(of_variance, of_shape))


def _objective(design: Design, family: Family, seen: Sums, point: Point) -> float:
    """Return Laplace's approximation, as far as effects are at their mode."""
    value = point.shape * seen.loglik
    if point.variance > 0:
        value -= float(seen.copies @ point.effects**2) / (2 * point.variance)
    value -= 0.5 * float(seen.copies @ np.log1p(point.variance * point.shape * seen.weight))
    if not family.has_shape:
        return value
    constant = point.shape * np.log(point.shape) - gammaln(point.shape)
    return value + design.total(constant - np.log(design.y))


def _propose(
    design: Design, family: Family, between: Floats, seen: Sums, arrow: Arrow, point: Point
) -> tuple[Point, Floats]:
    """Let coefficients, variance and shape take turns on what the pass saw."""
    variance, shape, step = point.variance, point.shape, np.zeros(len(point.coef))
    effects, as_seen = point.effects, seen.times(point.shape)
    for _ in range(ROUNDS):
        step = _coef_step(between, as_seen, arrow, point.effects, variance)
        sums = seen.times(shape)
        # The score of each effect, carried on to where it is 0.
        score = sums.score + sums.weight * point.effects - step @ arrow.cross
        variance = _best_variance(sums, score, point.effects)
        effects = shrinkage(variance, sums.weight) * score
        if family.has_shape:
            shape = _best_shape(design, seen, variance)
    proposal = Point(point.coef + step, effects, variance, shape, seen.weight)
    return proposal, step


def _coef_step(
    between: Floats, sums: Sums, arrow: Arrow, effects: Floats, variance: float
) -> Floats:
    posterior = shrinkage(variance, sums.weight)
    pull = (variance * sums.score - effects) / (1 + variance * sums.weight)
    drag = np.concatenate([between @ (sums.copies * sums.bend * posterior), sums.drag])
    right = extended_slope(between, sums) - drag / 2
    right += arrow.cross @ (sums.copies * (sums.bend * posterior**2 / 2 - pull))
    return arrow.solve_schur(right)


def _best_variance(sums: Sums, score: Floats, effects: Floats) -> float:
    """Return the variance at which the likelihood is highest, given the coefficients."""

    def slope(variance: float) -> float:
        by = 1 + variance * sums.weight
        mode = variance * score / by
        information = np.maximum(sums.weight + sums.bend * (mode - effects), sums.weight / 4)
        posterior = variance / (1 + variance * information)
        terms = (score / by) ** 2 - information / (1 + variance * information)
        return float(sums.copies @ (terms - sums.bend * posterior * score / by**2))

    if slope(0.0) <= 0:
        return 0.0
    low, high = 0.0, 0.1
    while slope(high) > 0 and high < LARGEST_VARIANCE:
        low, high = high, high * 10
    return float(brentq(slope, low, high, xtol=1e-14, rtol=1e-12)) if slope(high) <= 0 else high


def _best_shape(design: Design, seen: Sums, variance: float) -> float:
    """Return the gamma shape at which the likelihood is highest, given the rest."""
    episodes = design.total(np.ones(design.n))

    def slope(shape: float) -> float:
        posterior = shrinkage(variance, shape * seen.weight)
        own = episodes * (np.log(shape) + 1 - digamma(shape)) + seen.loglik
        moved = shape * seen.bend * posterior * seen.score
        return float(own - 0.5 * seen.copies @ (posterior * (seen.weight + moved)))

    return float(brentq(slope, 1e-6, 1e9, rtol=1e-13))
