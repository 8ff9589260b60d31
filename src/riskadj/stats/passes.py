"""One pass over episodes in order: all that a Newton step needs of them, as sums by provider.

A pass is a sum over blocks, and in a block one over neighbours that fit in the cache.

Covariates are never looked at one provider at a time. The information matrix of coefficients
and provider effects is an arrow, a dense block with a diagonal beside it, so that these sums
are everything: `weight` is the diagonal, `cross` the shaft, `gram` the dense block.
"""

from dataclasses import dataclass

import numpy as np

from riskadj.stats.arrays import Floats
from riskadj.stats.arrow import Arrow
from riskadj.stats.blocks import Block, Chunk
from riskadj.stats.design import Design
from riskadj.stats.families import Family, Slopes
from riskadj.stats.parts import Part


@dataclass(frozen=True)
class Sums:
    """Sums over episodes, at given coefficients and provider effects.

    Attributes
    ----------
    loglik : float
    score, weight, bend : ndarray of shape (n_providers,)
        First slope of each provider's log-likelihood in its effect, minus the second, and the
        slope of that.
    slope : ndarray of shape (n_covariates,)
        Slope of the log-likelihood in the coefficients.
    drag : ndarray of shape (n_covariates,)
        Sum of bend times covariate times the `posterior` of the episode's provider.
    cross : ndarray of shape (n_covariates, n_providers)
        Weighted sum of covariates; 0 when curvature was not asked for.
    gram : ndarray of shape (n_covariates, n_covariates)
        Weighted sum of their products; 0 when curvature was not asked for.
    copies : ndarray of shape (n_providers,)
        How often each provider counts: in `loglik`, `slope`, `drag` and `gram` it already does.
    """

    loglik: float
    score: Floats
    weight: Floats
    bend: Floats
    slope: Floats
    drag: Floats
    cross: Floats
    gram: Floats
    copies: Floats

    def times(self, shape: float) -> "Sums":
        """Return the sums at another shape, by which every slope is multiplied."""
        if shape == 1.0:
            return self
        return Sums(
            shape * self.loglik,
            shape * self.score,
            shape * self.weight,
            shape * self.bend,
            shape * self.slope,
            shape * self.drag,
            shape * self.cross,
            shape * self.gram,
            self.copies,
        )


def sum_episodes(
    design: Design,
    family: Family,
    coef: Floats,
    effect: Floats,
    posterior: Floats | None = None,
    curvature: bool = True,
) -> Sums:
    """Sum the slopes of all episodes.

    Parameters
    ----------
    design : Design
    family : Family
    coef : ndarray of shape (n_covariates,)
    effect : ndarray of shape (n_providers,)
        Everything in the linear predictor that a provider's episodes share.
    posterior : ndarray of shape (n_providers,), optional
        Posterior variance of the effects; without it, `drag` is 0.
    curvature : bool
        Whether `cross` and `gram` are wanted: they are two thirds of the work.
    """
    found = design.add_up(_of_block, family, coef, effect, posterior, curvature, design.copies)
    (score, weight, bend), *cross = found.by_provider
    loglik, slope, drag, *gram = found.whole
    p, m = design.n_covariates, design.n_providers
    return Sums(
        loglik,
        score,
        weight,
        bend,
        slope,
        drag,
        cross[0] if curvature else np.zeros((p, m)),
        gram[0] if curvature else np.zeros((p, p)),
        design.times,
    )


def _of_block(
    block: Block,
    family: Family,
    coef: Floats,
    effect: Floats,
    posterior: Floats | None,
    curvature: bool,
    drawn: Floats | None,
) -> Part:
    p, m = len(block.x), len(block.groups)
    by_provider, slope, drag, loglik = np.zeros((3, m)), np.zeros(p), np.zeros(p), 0.0
    cross, gram = np.zeros((p, m)), np.zeros((p, p))
    effect = block.of_here(effect)
    posterior = None if posterior is None else block.of_here(posterior)
    drawn = None if drawn is None else block.of_here(drawn)
    for chunk in block.chunks():
        x = block.x[:, chunk.rows]
        one = _slopes(block, family, chunk, x, coef, effect)
        by_provider[:, chunk.providers] += np.add.reduceat(np.stack(one[1:]), chunk.starts, axis=1)
        copies = 1.0 if drawn is None else chunk.spread(drawn)
        loglik += float(np.sum(copies * one.loglik))
        slope += x @ (copies * one.score)
        if posterior is not None:
            drag += x @ (copies * one.bend * chunk.spread(posterior))
        if curvature:
            _add_curvature(cross, gram, x, one.weight, copies, chunk)
    if curvature:
        return Part((by_provider, cross), (loglik, slope, drag, gram))
    return Part((by_provider,), (loglik, slope, drag))


def _slopes(
    block: Block, family: Family, chunk: Chunk, x: Floats, coef: Floats, effect: Floats
) -> Slopes:
    eta = coef @ x + chunk.spread(effect)
    if block.offset is not None:
        eta += block.offset[chunk.rows]
    with np.errstate(over="ignore", invalid="ignore"):  # the caller looks at sums
        slopes = family.slopes(block.y[chunk.rows], eta)
    if block.weights is None:
        return slopes
    weights = block.weights[chunk.rows]
    return Slopes(*(weights * one for one in slopes))


def _add_curvature(
    cross: Floats, gram: Floats, x: Floats, weight: Floats, copies: Floats | float, chunk: Chunk
) -> None:
    """Add the products of covariates; with their root, half of a symmetric product is enough."""
    rooted = x * np.sqrt(copies * weight)
    gram += rooted @ rooted.T
    weighted = np.multiply(x, weight, out=rooted)
    cross[:, chunk.providers] += np.add.reduceat(weighted, chunk.starts, axis=1)


def sum_outcomes(design: Design) -> Floats:
    """Return by provider the sums of weighted outcomes, weights and offsets, in three rows."""
    return design.add_up(_outcomes).by_provider[0]


def _outcomes(block: Block) -> Part:
    weights = np.ones(block.n) if block.weights is None else block.weights
    offset = np.zeros(block.n) if block.offset is None else block.offset
    return Part((block.groups.total_ordered(np.stack([weights * block.y, weights, offset])),))


@dataclass(frozen=True)
class Penalty:
    """Firth's addition to the scores, and to the information about provider effects.

    Attributes
    ----------
    score, information : ndarray of shape (n_providers,)
    slope : ndarray of shape (n_covariates,)
    """

    score: Floats
    information: Floats
    slope: Floats


def sum_penalty(
    design: Design, family: Family, coef: Floats, effect: Floats, sums: Sums, arrow: Arrow
) -> Penalty:
    """Sum bend x variance of the linear predictor / 2 (Firth 1993, section 4).

    The variance is 1 / d + (x - c)' inverse(schur) (x - c), with c the weighted mean of the
    covariates of the episode's provider. The information is that of log(d) / 2 alone, logit link.
    """
    half_mean = arrow.half(arrow.cross * arrow.inverse)
    found = design.add_up(
        _penalty_of_block, family, coef, effect, arrow.root, half_mean, arrow.inverse
    )
    score, bend_slope = found.by_provider[0]
    information = _ratio(_ratio(sums.bend**2, sums.weight) - bend_slope, 2 * sums.weight)
    return Penalty(score, information, found.whole[0])


def _penalty_of_block(
    block: Block,
    family: Family,
    coef: Floats,
    effect: Floats,
    root: Floats,
    half_mean: Floats,
    inverse: Floats,
) -> Part:
    by_provider, by_covariate = np.zeros((2, len(block.groups))), np.zeros(len(block.x))
    effect, half_mean, inverse = map(block.of_here, (effect, half_mean, inverse))
    for chunk in block.chunks():
        x = block.x[:, chunk.rows]
        one = _slopes(block, family, chunk, x, coef, effect)
        half = root @ x - chunk.spread(half_mean)
        variance = chunk.spread(inverse)
        variance += np.einsum("ij,ij->j", half, half)
        pull = one.bend * variance / 2
        bend_slope = _ratio(one.bend**2, one.weight) - 2 * one.weight**2
        by_provider[:, chunk.providers] += np.add.reduceat(
            np.stack([pull, bend_slope]), chunk.starts, axis=1
        )
        by_covariate += x @ pull
    return Part((by_provider,), (by_covariate,))


def _ratio(above: Floats, below: Floats) -> Floats:
    """Divide, and take 0 by 0 for 0."""
    return np.divide(above, below, out=np.zeros_like(above), where=below > 0)
