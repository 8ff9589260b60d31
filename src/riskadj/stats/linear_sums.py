"""All that a linear model needs of its episodes, in whatever order they come.

The sums are those of `passes`. The likelihood being quadratic, its curvature is the same
everywhere; a second look, at estimates from a first one, costs little and keeps the digits that
large means of covariates, or a nearly perfect fit, would cancel.
"""

import numpy as np

from riskadj.stats.arrays import Floats
from riskadj.stats.design import CHUNK, Design
from riskadj.stats.passes import Sums


def first_look(design: Design, centre: float) -> Sums:
    """Return the sums at coefficients of 0 and effects that are all `centre`."""
    m, p = len(design.groups), len(design.x)
    nothing = Sums(
        loglik=0.0,
        score=np.zeros(m),
        weight=provider_totals(design, design.weights),
        bend=np.zeros(m),
        slope=np.zeros(p),
        drag=np.zeros(p),
        cross=weighted_covariates(design),
        gram=_gram(design),
        copies=np.ones(m) if design.copies is None else design.copies,
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
    codes = design.groups.codes
    residual = design.y - effects[codes]
    if design.offset is not None:
        residual -= design.offset
    if coef.any():
        residual -= coef @ design.x
    weighted = residual if design.weights is None else design.weights * residual
    counted = weighted if design.copies is None else design.copies[codes] * weighted
    return Sums(
        -0.5 * float(counted @ residual),
        provider_totals(design, weighted),
        sums.weight,
        sums.bend,
        design.x @ counted,
        sums.drag,
        sums.cross,
        sums.gram,
        sums.copies,
    )


def provider_totals(design: Design, rows: Floats | None) -> Floats:
    """Return the sum of rows by provider; without rows, their number."""
    totals = np.bincount(design.groups.codes, rows, len(design.groups))
    return np.asarray(totals, dtype=np.float64)


def weighted_covariates(design: Design) -> Floats:
    """Return the weighted sum of each covariate by provider."""
    cross, weights = np.empty((len(design.x), len(design.groups))), design.weights
    for row, x in zip(cross, design.x, strict=True):
        row[:] = provider_totals(design, x if weights is None else weights * x)
    return cross


def _gram(design: Design) -> Floats:
    """Return the weighted products of covariates, chunk by chunk so that they stay in the cache."""
    gram = np.zeros((len(design.x), len(design.x)))
    for begin in range(0, design.n, CHUNK):
        rows = slice(begin, begin + CHUNK)
        x = design.x[:, rows]
        if design.copies is not None:
            x = x * np.sqrt(design.copies[design.groups.codes[rows]])
        if design.weights is not None:
            x = x * np.sqrt(design.weights[rows])
        gram += x @ x.T
    return gram


def centre_of(design: Design) -> float:
    """Return the mean outcome beyond the offset, where little cancels."""
    return float(design.y.mean() if design.offset is None else (design.y - design.offset).mean())
