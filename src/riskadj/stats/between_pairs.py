"""How true pairs of outcome and cost differ between providers: their centre and covariance."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from riskadj.errors import ArrayError, TooFewProvidersError
from riskadj.stats.arrays import Floats, finite

FEWEST = 4
"""Providers from which a covariance between them can be told at all."""
_PENALTY = 0.5
_MOST_STEPS, SETTLED, ROUGH = 200, 1e-7, 1e-3
"""How far a covariance is climbed to: steps, and the length of the last one relative to it."""
_LONGEST_STEP = 0.9
_PRODUCTS = ((0, 0), (0, 1), (1, 1), (0, 2), (1, 2), (2, 2))
"""Which entries of two symmetric matrices are multiplied in a curvature."""

Symmetric = tuple[Floats, Floats, Floats]
"""Symmetric matrices of two rows: first, off the diagonal, last."""


class BetweenPairs(NamedTuple):
    """Centre, shape (2,), and covariance, shape (2, 2), of true pairs."""

    centre: Floats
    covariance: Floats


def between_pairs(effect: ArrayLike, covariance: ArrayLike) -> BetweenPairs:
    """Return the mean of true pairs and their covariance between providers.

    Parameters
    ----------
    effect : array-like of shape (n_providers, 2)
    covariance : array-like of shape (n_providers, 2, 2)
        From chance, taken as known; positive definite.

    Raises
    ------
    ArrayError
    TooFewProvidersError

    Notes
    -----
    The maximum of the restricted likelihood times the square root of the determinant (Chung and
    others 2015, J Educ Behav Stat, doi:10.3102/1076998615570945), by Fisher scoring whose steps
    are short enough to stay positive definite.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> true = rng.multivariate_normal([1.0, 0.0], [[1.0, 0.5], [0.5, 1.0]], 4000)
    >>> seen = true + rng.normal(size=true.shape)
    >>> between_pairs(seen, np.tile(np.eye(2), (4000, 1, 1))).covariance.round(1).tolist()
    [[1.0, 0.5], [0.5, 1.0]]
    """
    y = finite("effect", effect)
    if y.ndim != 2 or y.shape[1] != 2:
        raise ArrayError(f"effect: wanted pairs, shape (n_providers, 2); got {y.shape}.")
    s = finite("covariance", covariance, (len(y), 2, 2))
    if not ((s[:, 0, 0] > 0) & (np.linalg.det(s) > 0)).all():
        raise ArrayError("covariance: wanted positive definite ones; got others.")
    if len(y) < FEWEST:
        raise TooFewProvidersError(
            f"between_pairs: wanted {FEWEST} providers or more; got {len(y)}."
        )
    pairs = Pairs.of(y, s)
    copies = np.ones((1, len(y)))
    t = climb_pairs(pairs, copies, pairs.start(1), SETTLED)
    centre = centre_of(pairs, copies, weights_of(pairs, t))
    return BetweenPairs(
        np.array([one[0] for one in centre]) * pairs.unit,
        matrix_of(*(one[0] for one in t)) * np.outer(pairs.unit, pairs.unit),
    )


def matrix_of(first: Any, cross: Any, last: Any) -> Floats:
    """Return symmetric matrices, shape (..., 2, 2)."""
    return np.moveaxis(np.array([[first, cross], [cross, last]]), (0, 1), (-2, -1))


class Pairs(NamedTuple):
    """Observed pairs and their covariances, in units in which chance is about 1."""

    y: tuple[Floats, Floats]
    s: Symmetric
    unit: Floats

    @classmethod
    def of(cls, effect: Floats, covariance: Floats) -> "Pairs":
        """Return pairs in the unit of their chance."""
        unit = np.sqrt(covariance[:, [0, 1], [0, 1]].mean(axis=0))
        y, s = effect / unit, covariance / np.outer(unit, unit)
        return cls((y[:, 0], y[:, 1]), (s[:, 0, 0], s[:, 0, 1], s[:, 1, 1]), unit)

    @property
    def providers(self) -> int:
        """How many there are."""
        return self.y[0].size

    def start(self, samples: int) -> Symmetric:
        """Return a covariance for each sample to begin with."""
        ones = np.ones(samples)
        return ones, np.zeros(samples), ones

    def stretched(self, centre: Floats) -> "Pairs":
        """Return pairs that vary as much in samples of them as these do among all providers."""
        factor = np.sqrt(self.providers / (self.providers - 1))
        y1, y2 = (c + factor * (y - c) for y, c in zip(self.y, centre, strict=True))
        return self._replace(y=(y1, y2))

    def about(self, centre: tuple[Floats, Floats]) -> tuple[Floats, Floats]:
        """Return how far each pair is from the centre of each sample."""
        return self.y[0] - centre[0][:, None], self.y[1] - centre[1][:, None]


def weights_of(pairs: Pairs, t: Symmetric) -> Symmetric:
    """Return (T + S)^-1 of every sample and provider."""
    v1, v2, v3 = (one[:, None] + own for one, own in zip(t, pairs.s, strict=True))
    return inverse(v1, v2, v3)


def inverse(first: Floats, cross: Floats, last: Floats) -> Symmetric:
    """Return the inverse of symmetric matrices."""
    determinant = first * last - cross**2
    return last / determinant, -cross / determinant, first / determinant


def times(matrix: Symmetric, first: Floats, second: Floats) -> tuple[Floats, Floats]:
    """Return symmetric matrices times pairs."""
    p, q, w = matrix
    return p * first + q * second, q * first + w * second


def centre_of(pairs: Pairs, copies: Floats, weights: Symmetric) -> tuple[Floats, Floats]:
    """Return the mean of true pairs in each sample, weighted by (T + S)^-1."""
    total = inverse(*(np.einsum("bk,bk->b", copies, one) for one in weights))
    pulled = times(weights, *pairs.y)
    return times(total, *(np.einsum("bk,bk->b", copies, one) for one in pulled))


def climb_pairs(pairs: Pairs, copies: Floats, start: Symmetric, settled: float) -> Symmetric:
    """Return the penalised maximum of each sample's restricted likelihood."""
    t = start
    for _ in range(_MOST_STEPS):
        step, length = _step(pairs, copies, t)
        share = _LONGEST_STEP / np.maximum(length, _LONGEST_STEP)
        first, cross, last = t
        t = (first + share * step[:, 0], cross + share * step[:, 1], last + share * step[:, 2])
        if length.max() < settled:
            break
    return t


def _step(pairs: Pairs, copies: Floats, t: Symmetric) -> tuple[Floats, Floats]:
    """Return a step of Fisher scoring, and its length relative to T.

    With E one of the three directions of T, the slope is half of
    tr E (sum W r r' W - sum W + sum W H W), H the covariance of the centre, and the curvature half
    of sum tr W E W E; the penalty adds the same of T^-1.
    """
    weights = weights_of(pairs, t)
    p, q, w = weights
    heavy = tuple(copies * one for one in weights)
    total = tuple(one.sum(axis=1) for one in heavy)
    squares = tuple(np.einsum("bk,bk->b", heavy[a], weights[b]) for a, b in _PRODUCTS)
    h1, h2, h3 = inverse(*total)
    centre = centre_of(pairs, copies, weights)
    z1, z2 = times((p, q, w), *pairs.about(centre))
    pp, pq, qq, pw, qw, ww = squares
    slope = (
        np.einsum("bk,bk,bk->b", copies, z1, z1) - total[0] + pp * h1 + 2 * pq * h2 + qq * h3,
        np.einsum("bk,bk,bk->b", copies, z1, z2) - total[1] + pq * h1 + (pw + qq) * h2 + qw * h3,
        np.einsum("bk,bk,bk->b", copies, z2, z2) - total[2] + qq * h1 + 2 * qw * h2 + ww * h3,
    )
    own = inverse(*t)
    metric = _curvature(tuple(own[a] * own[b] for a, b in _PRODUCTS))
    gradient = np.stack(
        [
            double * (one / 2 + _PENALTY * mine)
            for double, one, mine in zip((1, 2, 1), slope, own, strict=True)
        ],
        axis=-1,
    )
    curvature = _curvature(squares) / 2 + _PENALTY * metric
    step = np.linalg.solve(curvature, gradient[..., None])[..., 0]
    return step, np.sqrt(np.einsum("bi,bij,bj->b", step, metric, step))


def _curvature(products: tuple[Floats, ...]) -> Floats:
    """Return tr W E W E for the three directions E of a symmetric matrix."""
    pp, pq, qq, pw, qw, ww = products
    rows = ((pp, 2 * pq, qq), (2 * pq, 2 * (pw + qq), 2 * qw), (qq, 2 * qw, ww))
    return np.moveaxis(np.array(rows), (0, 1), (-2, -1))
