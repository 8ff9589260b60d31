"""All that a linear model needs of its episodes, in whatever order they come.

The sums are those of `passes`. The likelihood being quadratic, its curvature is the same
everywhere; a second look, at estimates from a first one, costs little and keeps the digits that
large means of covariates, or a nearly perfect fit, would cancel.
"""

from dataclasses import replace

import numpy as np

from riskadj.stats.arrays import Floats
from riskadj.stats.blocks import CHUNK, Block
from riskadj.stats.design import Design
from riskadj.stats.parts import Part
from riskadj.stats.passes import Sums


def first_look(design: Design, centre: float) -> Sums:
    """Return the sums at coefficients of 0 and effects that are all `centre`."""
    m, p = design.n_providers, design.n_covariates
    found = design.add_up(_curvature, design.copies)
    weight, cross = found.by_provider
    nothing = Sums(
        loglik=0.0,
        score=np.zeros(m),
        weight=weight,
        bend=np.zeros(m),
        slope=np.zeros(p),
        drag=np.zeros(p),
        cross=cross,
        gram=found.whole[0],
        copies=design.times,
    )
    return look_again(design, nothing, np.zeros(p), np.full(m, centre))


def look_again(design: Design, sums: Sums, coef: Floats, effects: Floats) -> Sums:
    """Return the sums at other estimates; curvature stays. The log-likelihood is at unit variance.

    Parameters
    ----------
    design : Design
    sums : Sums
    coef : ndarray of shape (n_covariates,)
    effects : ndarray of shape (n_providers,)
    """
    found = design.add_up(_residuals, coef, effects, design.copies)
    loglik, slope = found.whole
    return replace(sums, loglik=loglik, score=found.by_provider[0], slope=slope)


def weighted_covariates(design: Design) -> tuple[Floats, Floats]:
    """Return by provider the sum of weights, and the weighted sum of each covariate."""
    weight, cross = design.add_up(_by_provider).by_provider
    return weight, cross


def centre_of(design: Design) -> float:
    """Return the mean outcome beyond the offset, where little cancels."""
    return float(design.add_up(_beyond_offset).whole[0] / design.n)


def _curvature(block: Block, drawn: Floats | None) -> Part:
    return Part(_by_provider(block).by_provider, (_gram(block, drawn),))


def _by_provider(block: Block) -> Part:
    cross = np.empty((len(block.x), len(block.groups)))
    for row, x in zip(cross, block.x, strict=True):
        row[:] = block.totals(block.weighted(x))
    return Part((block.totals(block.weights), cross))


def _gram(block: Block, drawn: Floats | None) -> Floats:
    """Return the weighted products of covariates, chunk by chunk so that they stay in the cache."""
    gram = np.zeros((len(block.x), len(block.x)))
    copies = None if drawn is None else block.of_here(drawn)
    for begin in range(0, block.n, CHUNK):
        rows = slice(begin, begin + CHUNK)
        x = block.x[:, rows]
        if copies is not None:
            x = x * np.sqrt(copies[block.groups.codes[rows]])
        if block.weights is not None:
            x = x * np.sqrt(block.weights[rows])
        gram += x @ x.T
    return gram


def _residuals(block: Block, coef: Floats, effects: Floats, drawn: Floats | None) -> Part:
    codes = block.groups.codes
    residual = block.y - block.of_here(effects)[codes]
    if block.offset is not None:
        residual -= block.offset
    if coef.any():
        residual -= coef @ block.x
    weighted = block.weighted(residual)
    counted = weighted if drawn is None else block.of_here(drawn)[codes] * weighted
    loglik = -0.5 * float(counted @ residual)
    return Part((block.totals(weighted),), (loglik, block.x @ counted))


def _beyond_offset(block: Block) -> Part:
    return Part(whole=(float(block.beyond_offset().sum()),))
