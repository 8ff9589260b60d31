"""Logistic fixed effects: Newton steps from sums by provider, effects eliminated from each.

Thousands of provider effects cost no more than their sums. Providers with no or only events have
no finite effect and say nothing about the coefficients, so they are left out; Firth's correction
keeps them, and takes the leverage of every episode.
"""

from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from riskadj.stats.arrays import Floats
from riskadj.stats.arrow import ABOUT_MEAN, SMALLEST_PIVOT, Arrow, CollinearError
from riskadj.stats.blocks import Block
from riskadj.stats.design import Design
from riskadj.stats.families import FAMILIES
from riskadj.stats.newton import LARGE, Look, Summit, View, climb
from riskadj.stats.parts import Part
from riskadj.stats.passes import Sums, sum_episodes, sum_outcomes, sum_penalty

BINOMIAL = FAMILIES["binomial"]
LONGEST = 8.0
"""Logits that an effect may move in one step."""
LITTLE = 1e-3
"""Share of a covariate's variance that is within providers under which that is little."""
JUDGED = 2_000
"""Pairs of episodes by which that share is judged."""
FEW = 10
"""Episodes of the smallest provider under which a summit of Firth's likelihood may be none."""
RETRIES = 4
RISE = 1e-7
"""Of the log-likelihood, that makes one summit higher than another."""
LEAST = 1e-100
"""Information below which there is as good as none."""


def fit_logistic(design: Design, firth: bool) -> Summit:
    """Maximise the likelihood, or Firth's penalised one.

    Every provider has to have an episode with and one without the event, but for Firth's. Points
    are coefficients, then effects.

    Raises
    ------
    CollinearError
    LinAlgError
        When coefficients lose all information.
    """
    look = partial(_look_penalised if firth else _look, design)
    found = climb(_start(design, firth), look)
    if not firth or design.sizes.min() >= FEW:
        return found
    return _highest([found, *(_from_beside(found, look, seed) for seed in range(RETRIES))])


def moved_to_means(design: Design) -> Design:
    """Move covariates that hardly vary within providers to a mean of 0 at every one.

    Effects where they are 0 would be so far away, and so nearly a combination of them, that no
    climb reaches them.

    Raises
    ------
    CollinearError
        When one does not vary within providers at all.
    """
    few = _seem_level(design)
    if not few.size:
        return design
    means = design.add_up(_totals, few).by_provider[0] / design.sizes
    within, *about = design.add_up(_about_means, few, means).whole
    squares = _squares(design.n, *about)
    level = few[within <= SMALLEST_PIVOT * squares]
    if level.size:
        raise CollinearError(level, alone=True)
    little = within <= LITTLE * squares
    if not little.any():
        return design
    shift = np.repeat(design.shift[:, None], design.n_providers, axis=1)
    shift[few[little]] += means[little]
    return replace(design.keep(_moved, few[little], means[little]), shift=shift)


def _totals(block: Block, few: NDArray[np.intp]) -> Part:
    return Part((block.groups.total_ordered(block.x[few]),))


def _about_means(block: Block, few: NDArray[np.intp], means: Floats) -> Part:
    """Sum squares about provider means; values, and squares about 0."""
    x = block.x[few]
    moved = x - block.groups.spread(block.of_here(means))
    within = np.einsum("ij,ij->i", moved, moved)
    return Part(whole=(within, x.sum(axis=1), np.einsum("ij,ij->i", x, x)))


def _moved(block: Block, few: NDArray[np.intp], means: Floats) -> Block:
    x = block.x.copy()
    x[few] -= block.groups.spread(block.of_here(means))
    return replace(block, x=x)


def _seem_level(design: Design) -> NDArray[np.intp]:
    """Return which covariates hardly vary within providers, judged by some pairs of neighbours."""
    pairs, within, *about = design.add_up(_pairs, max(1, design.n // JUDGED)).whole
    if not pairs:
        return np.arange(design.n_covariates)
    return np.flatnonzero(within <= LITTLE * _squares(pairs, *about))


def _pairs(block: Block, stride: int) -> Part:
    """Sum squares about the mean of pairs; values of one of each, and squares about 0."""
    codes = block.groups.codes
    one = np.arange(0, max(block.n - 1, 0), stride)
    one = one[codes[one] == codes[one + 1]]
    some = block.x[:, one]
    within = np.sum((some - block.x[:, one + 1]) ** 2, axis=1) / 2
    return Part(whole=(one.size, within, some.sum(axis=1), np.einsum("ij,ij->i", some, some)))


def _squares(count: float, total: Floats, squares: Floats) -> Floats:
    """Return the sum of squares of each covariate about its mean, and more than rounding."""
    return np.maximum(squares - total**2 / count, ABOUT_MEAN * squares)


def _from_beside(found: Summit, look: Look, seed: int) -> Summit | None:
    """Climb again from beside a summit: Firth's penalty can make a pass look like one.

    Of a pass between two summits the slopes are 0 as well, but no step away from it leads back.
    """
    nudge = np.random.default_rng(seed).normal(size=found.point.size) / found.view.precision
    try:
        return climb(found.point + np.clip(nudge, -1, 1), look)
    except np.linalg.LinAlgError:
        return None


def _highest(summits: list[Summit | None]) -> Summit:
    reached = [one for one in summits if one is not None]
    first = reached[0]
    higher = [one for one in reached if one.settled and _above(one, first)]
    return max(higher, key=lambda one: one.view.objective) if higher else first


def _above(one: Summit, other: Summit) -> bool:
    return not other.settled or one.view.objective > other.view.objective + RISE


def events_of(design: Design) -> Floats:
    """Return the number of events of each provider."""
    return design.add_up(_events).by_provider[0]


def _events(block: Block) -> Part:
    return Part((block.totals(block.y),))


def _start(design: Design, firth: bool) -> Floats:
    """Start from provider means, and from the coefficients of a tenth where that pays."""
    effects = _cold(design)
    cold = np.concatenate([np.zeros(design.n_covariates), effects])
    if firth or design.n < LARGE:
        return cold
    part = design.part(10)
    if part.n > design.n // 2:
        return cold
    p, few = design.n_covariates, part.n_providers
    try:
        found = climb(cold[: p + few], partial(_look, part))
    except (CollinearError, np.linalg.LinAlgError):
        return cold
    if not found.settled:
        return cold
    moved = float(np.median(found.point[p:] - effects[:few]))
    return np.concatenate([found.point[:p], effects + moved])


def _cold(design: Design) -> Floats:
    """Return provider means, drawn to the overall mean by the weight of one episode, as effects."""
    total, weight, offset = sum_outcomes(design)
    overall = total.sum() / weight.sum()
    return np.asarray(BINOMIAL.link((total + overall) / (weight + 1)) - offset / design.sizes)


def _look(design: Design, point: Floats, earlier: Arrow | None) -> View | None:
    coef, effects = np.split(point, [design.n_covariates])
    sums = sum_episodes(design, BINOMIAL, coef, effects, curvature=earlier is None)
    inverse = 1 / np.maximum(sums.weight, LEAST)
    arrow = earlier or _arrow(sums, inverse, first=not coef.any())
    more_effects, more_coef = arrow.solve(sums.score, sums.slope, inverse)
    return _view(sums, sums.loglik, arrow, more_coef, more_effects)


def _look_penalised(design: Design, point: Floats, _earlier: Arrow | None) -> View | None:
    """Look with Firth's scores.

    The penalty is like one more episode at each provider's weighted mean: it adds to the
    information about effects, and nothing to that about coefficients once these are eliminated.
    """
    coef, effects = np.split(point, [design.n_covariates])
    sums = sum_episodes(design, BINOMIAL, coef, effects)
    inverse = 1 / np.maximum(sums.weight, LEAST)
    arrow = _arrow(sums, inverse, first=not coef.any())
    penalty = sum_penalty(design, BINOMIAL, coef, effects, sums, arrow)
    score = sums.score + penalty.score
    more_coef = arrow.solve(score, sums.slope + penalty.slope)[1]
    information = np.maximum(sums.weight + penalty.information, sums.weight / 2)
    more_effects = score / np.maximum(information, LEAST) - more_coef @ (sums.cross * inverse)
    penalised = sums.loglik + (np.log(sums.weight).sum() + arrow.log_determinant) / 2
    return _view(sums, float(penalised), arrow, more_coef, more_effects)


def _arrow(sums: Sums, inverse: Floats, first: bool) -> Arrow:
    arrow = Arrow(inverse, sums.cross, sums.gram)
    if first:
        arrow.check()
    return arrow


def _view(sums: Sums, objective: float, arrow: Arrow, coef: Floats, effects: Floats) -> View:
    return View(
        objective,
        arrow,
        np.concatenate([coef, np.clip(effects, -LONGEST, LONGEST)]),
        np.sqrt(np.concatenate([np.diag(arrow.schur), np.maximum(sums.weight, LEAST)])),
        max(float(sums.weight.sum()), LEAST),
    )
