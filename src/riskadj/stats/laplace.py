"""Random intercepts of a non-linear model, by Laplace's approximation of its likelihood.

With u the provider effects and v their variance, the approximation (Breslow and Clayton 1993,
JASA 88:9-25, equation 4; Bates et al. 2015) is

    sum loglik(coef, u) - sum u^2 / (2 v) - sum log(1 + v W) / 2

at the mode of u, W being each provider's information about its effect. Its slopes are exact here:
that of log(1 + v W) includes how W and the mode move. Each pass over the episodes gives sums by
provider; coefficients and variance then climb the expansion those sums describe, without another
look at the episodes.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple, Self

import numpy as np
from scipy.optimize import brentq
from scipy.special import digamma, gammaln

from riskadj.errors import ArrayError
from riskadj.stats.arrays import Floats
from riskadj.stats.arrow import Arrow
from riskadj.stats.between import extended_arrow, extended_slope, shrinkage
from riskadj.stats.blocks import Block, with_logarithms
from riskadj.stats.design import Design
from riskadj.stats.families import Family
from riskadj.stats.newton import Patience, Summit, View, climb
from riskadj.stats.parts import Part
from riskadj.stats.passes import Sums, sum_episodes, sum_outcomes
from riskadj.stats.reml import fit_linear

ROUNDS = 3
"""Times that coefficients, variance and shape take turns between two passes."""
PATIENT = Patience(settled=1e-6, fine=1e-5)
LONGEST = 3.0
"""How far the linear predictor may move in one step."""
FALL = 0.05
"""Fall that calls for half a step: away from the mode the approximation may be spuriously high."""
QUICK = 8
"""Looks after which each begins by finding the mode, so that what is seen is the likelihood."""
MODE_STEPS, AT_MODE = 50, 1e-6
AT_LEAST = 1e-3
"""Providers' worth of information that a spread is held to have, lest one without bound settle."""
LEAST = 1e-100
LARGEST_SHAPE = 1e12
NEXT_TO_NOTHING = 0.1
"""Variance, times the information of the largest provider, from which 0 is in sight."""


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
    """

    coef: Floats
    effects: Floats
    variance: float
    shape: float

    @property
    def vector(self) -> Floats:
        """All of it, coefficients first."""
        return np.concatenate([self.coef, self.effects, [self.variance, self.shape]])

    @classmethod
    def of(cls, vector: Floats, n_coef: int) -> Self:
        """Return the point of a vector; variance and shape are kept from falling below 0."""
        coef, effects = vector[:n_coef], vector[n_coef:-2]
        return cls(coef, effects, max(float(vector[-2]), 0.0), max(float(vector[-1]), LEAST))


@dataclass(frozen=True)
class LaplaceFit:
    """The highest point that was found.

    Attributes
    ----------
    point : Point
    information : ndarray of shape (n_providers,)
        About each effect.
    summit : Summit
    """

    point: Point
    information: Floats
    summit: Summit


def fit_laplace(
    design: Design,
    family: Family,
    between: Floats,
    start: Point | None = None,
    patience: Patience = PATIENT,
) -> LaplaceFit:
    """Maximise Laplace's approximation, from `start` where it is given.

    The likelihood can have a second maximum beside a variance of 0; where a climb ends there,
    another one starts from providers that differ much, and the higher end is taken.

    Raises
    ------
    CollinearError
    LinAlgError
        When coefficients lose all information.
    """
    start = start or first_point(design, family, between)
    found = _climb(design, family, between, start, patience)
    if found.point.variance > 0 or patience is not PATIENT:
        return found
    apart = replace(found.point, variance=1.0, effects=_apart(design, family))
    other = _climb(design, family, between, apart, patience)
    higher = other.summit.view.objective > found.summit.view.objective
    return other if higher and other.point.variance > 0 else found


def _apart(design: Design, family: Family) -> Floats:
    """Return how far the mean of each provider is from that of all, half an episode drawn to it."""
    total, sizes, _ = sum_outcomes(design)
    mean = total.sum() / sizes.sum()
    link = family.link(np.r_[mean, (total + mean / 2) / (sizes + 0.5)])
    return np.asarray(link[1:] - link[0])


def _climb(
    design: Design, family: Family, between: Floats, start: Point, patience: Patience
) -> LaplaceFit:
    eye = _Eye(design, family, between, _amounts(design) if family.has_shape else None)
    summit = climb(start.vector, eye, patience)
    assert eye.information is not None
    point = Point.of(summit.point, len(start.coef))
    return LaplaceFit(point, point.shape * eye.information, summit)


def first_point(design: Design, family: Family, between: Floats) -> Point:
    """Start from the overall mean, or from a linear model of the logarithm."""
    k, p = len(between), design.n_covariates
    if family.has_shape:
        linear = fit_linear(design.keep(with_logarithms), between, restricted=False)
        shape = 1 / max(linear.residual_variance, 1e-6)
        variance = linear.ratio * linear.residual_variance
        # The mean of a logarithm is below the logarithm of the mean.
        coef = linear.coef + np.r_[linear.residual_variance / 2, np.zeros(k + p - 1)]
        return Point(coef, linear.effects, variance, shape)
    coef = np.zeros(k + p)
    total, weight, offset = sum_outcomes(design).sum(axis=1)
    coef[0] = family.link(np.asarray(total / weight)) - offset / design.n
    return Point(coef, np.zeros(design.n_providers), 0.1, 1.0)


class _Amounts(NamedTuple):
    """What a shape parameter needs of outcomes: the sums of weights and of their logarithms."""

    weight: float
    logarithms: float


def _amounts(design: Design) -> _Amounts:
    """Return the sums, those of a provider as often as it was drawn."""
    return _Amounts(*(design.add_up(_amounts_of_block).by_provider[0] @ design.times).tolist())


def _amounts_of_block(block: Block) -> Part:
    weights = np.ones(block.n) if block.weights is None else block.weights
    return Part((block.groups.total_ordered(np.stack([weights, weights * np.log(block.y)])),))


@dataclass
class _Eye:
    """Looks at the likelihood, and remembers each provider's information from look to look."""

    design: Design
    family: Family
    between: Floats
    amounts: _Amounts | None
    information: Floats | None = None
    looks: int = 0

    def __call__(self, vector: Floats, earlier: Arrow | None) -> View | None:
        self.looks += 1
        point = Point.of(vector, len(self.between) + self.design.n_covariates)
        quick = self.looks <= QUICK
        if not quick:
            point = self._at_mode(point)
        seen = self._sum(point, curvature=earlier is None)
        objective = _objective(self.amounts, seen, point)
        if not np.isfinite(objective) or not np.isfinite(seen.gram).all():
            return None
        self.information = seen.weight
        sums = seen.times(point.shape)
        arrow = earlier or extended_arrow(self.between, sums, point.variance)
        if self.looks == 1:
            extended_arrow(self.between, sums, 0.0).check()
        proposal = _propose(self.amounts, self.between, seen, arrow, point)
        view = _view(objective, arrow, point, proposal, sums.weight)
        step = view.step + (point.vector - vector)
        return replace(view, step=step, slack=FALL if quick else view.slack)

    def _at_mode(self, point: Point) -> Point:
        """Return the point with every effect at its mode."""
        for _ in range(MODE_STEPS):
            sums = self._sum(point, curvature=False).times(point.shape)
            by = 1 + point.variance * sums.weight
            step = (point.variance * sums.score - point.effects) / by
            if not np.isfinite(step).all():
                break
            point = replace(point, effects=point.effects + np.clip(step, -LONGEST, LONGEST))
            if np.abs(step).max() < AT_MODE * (1 + np.sqrt(point.variance)):
                break
        return point

    def _sum(self, point: Point, curvature: bool) -> Sums:
        k = len(self.between)
        fixed = point.coef[:k] @ self.between + point.effects
        posterior = None
        if self.information is not None:
            posterior = shrinkage(point.variance, point.shape * self.information)
        with np.errstate(over="ignore", invalid="ignore"):
            return sum_episodes(
                self.design, self.family, point.coef[k:], fixed, posterior, curvature
            )


def _view(
    objective: float, arrow: Arrow, point: Point, proposal: Point, information: Floats
) -> View:
    step = proposal.vector - point.vector
    posterior = shrinkage(proposal.variance, information)
    precision = np.divide(1.0, posterior, out=np.zeros_like(posterior), where=posterior > 0)
    reliability = proposal.variance * information / (1 + proposal.variance * information)
    larger = max(point.variance, proposal.variance, LEAST)
    of_variance = max(np.sqrt(float(reliability @ reliability) / 2), AT_LEAST) / larger
    of_shape = np.sqrt(len(information)) / point.shape
    precisions = np.concatenate(
        [np.sqrt(np.diag(arrow.schur)), np.sqrt(precision), [of_variance, of_shape]]
    )
    view = View(objective, arrow, step, precisions, max(float(information.sum()), LEAST))
    bend = abs(step[-2]) / larger + abs(step[-1]) / point.shape
    return replace(view, step=step * min(1.0, LONGEST / max(view.movement, LEAST)), bend=bend)


def _objective(amounts: _Amounts | None, seen: Sums, point: Point) -> float:
    """Return Laplace's approximation, as far as effects are at their mode."""
    value = point.shape * seen.loglik
    if point.variance > 0:
        value -= float(seen.copies @ point.effects**2) / (2 * point.variance)
    value -= 0.5 * float(seen.copies @ np.log1p(point.variance * point.shape * seen.weight))
    if amounts is None:
        return value
    constant = point.shape * np.log(point.shape) - gammaln(point.shape)
    return float(value + amounts.weight * constant - amounts.logarithms)


def _propose(
    amounts: _Amounts | None, between: Floats, seen: Sums, arrow: Arrow, point: Point
) -> Point:
    """Let coefficients, variance and shape take turns on what the pass saw."""
    variance, shape, step = point.variance, point.shape, np.zeros(len(point.coef))
    effects, as_seen = point.effects, seen.times(point.shape)
    for _ in range(ROUNDS):
        step = _coef_step(between, as_seen, arrow, point.effects, variance)
        sums = seen.times(shape)
        # The score of each effect, carried on to where it is 0.
        score = sums.score + sums.weight * point.effects - step @ arrow.cross
        variance = _best_variance(sums, score, point.effects, variance)
        effects = shrinkage(variance, sums.weight) * score
        if amounts is not None:
            shape = _best_shape(amounts, seen, variance)
    return Point(point.coef + step, effects, variance, shape)


def _coef_step(
    between: Floats, sums: Sums, arrow: Arrow, effects: Floats, variance: float
) -> Floats:
    posterior = shrinkage(variance, sums.weight)
    pull = (variance * sums.score - effects) / (1 + variance * sums.weight)
    drag = np.concatenate([between @ (sums.copies * sums.bend * posterior), sums.drag])
    right = extended_slope(between, sums) - drag / 2
    right += arrow.cross @ (sums.copies * (sums.bend * posterior**2 / 2 - pull))
    return arrow.solve_schur(right)


def _best_variance(sums: Sums, score: Floats, effects: Floats, current: float) -> float:
    """Return the variance at which the likelihood is highest, given the coefficients."""

    def slope(variance: float) -> float:
        by = 1 + variance * sums.weight
        mode = variance * score / by
        information = np.maximum(sums.weight + sums.bend * (mode - effects), sums.weight / 4)
        posterior = variance / (1 + variance * information)
        terms = (score / by) ** 2 - information / (1 + variance * information)
        return float(sums.copies @ (terms - sums.bend * posterior * score / by**2))

    return _climbed(slope, current, float(sums.weight.max()))


def _climbed(slope: Callable[[float], float], current: float, largest: float) -> float:
    """Return where a slope is next 0, uphill from here and not farther than it can be seen."""
    if slope(current) > 0:
        high = max(4 * current, NEXT_TO_NOTHING / largest)
        return high if slope(high) > 0 else _zero(slope, current, high)
    low = current / 4
    if slope(low) > 0:
        return _zero(slope, low, current)
    return low if low * largest > NEXT_TO_NOTHING or slope(0.0) > 0 else 0.0


def _zero(slope: Callable[[float], float], low: float, high: float) -> float:
    return float(brentq(slope, low, high, xtol=1e-14, rtol=1e-12))


def _best_shape(amounts: _Amounts, seen: Sums, variance: float) -> float:
    """Return the gamma shape at which the likelihood is highest, given the rest."""

    def slope(log_shape: float) -> float:
        shape = np.exp(log_shape)
        posterior = shrinkage(variance, shape * seen.weight)
        own = amounts.weight * (log_shape + 1 - digamma(shape)) + seen.loglik
        moved = shape * seen.bend * posterior * seen.score
        return float(own - 0.5 * seen.copies @ (posterior * (seen.weight + moved)))

    low, high = np.log(1e-6), np.log(LARGEST_SHAPE)
    if slope(high) > 0:
        raise ArrayError("y: wanted amounts that differ beyond their covariates; got none.")
    return float(np.exp(brentq(slope, low, high, rtol=1e-13)))
