"""Which outcome and cost a provider was seen to have, and how far both may be off by chance."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from riskadj.errors import ArrayError, NoVariationError
from riskadj.stats.arrays import Floats, finite
from riskadj.stats.between_pairs import matrix_of
from riskadj.stats.groups import Groups

_HALF = 0.5


class _Part(NamedTuple):
    """Outcome or cost: by row, 0 where it has none, and its sums by provider."""

    has: NDArray[np.bool_]
    n: NDArray[np.intp]
    effect: Floats
    residual: Floats
    weight: Floats
    variance: Floats
    observed: Floats
    expected: Floats
    square: float


def seen_outcome(
    observed: ArrayLike, expected: ArrayLike, groups: Groups, better: int, family: str
) -> _Part:
    """Return outcomes as `joint_profile` takes them, positive when better."""
    o, e, has = _both("outcome", observed, expected, groups)
    if family == "binomial" and not ((e[has] > 0) & (e[has] < 1)).all():
        raise ArrayError("outcome_expected: wanted chances between 0 and 1; got others.")
    v = np.where(has, e * (1 - e) if family == "binomial" else 1.0, 0.0)
    n, difference = groups.total(has), better * (o - e)
    effect = _divided(groups.total(difference), n)
    u = np.divide(difference - groups.at_rows(effect), np.sqrt(v), out=np.zeros_like(v), where=has)
    square = _mean_square("outcome", u, n)
    overall = difference.sum() / n.sum()
    variance = square * _divided(groups.total(v), n**2)
    return _Part(
        has, n.astype(np.intp), effect - overall, u, np.sqrt(v), variance,
        groups.total(o), groups.total(e), square,
    )  # fmt: skip


def seen_cost(observed: ArrayLike, expected: ArrayLike, groups: Groups) -> _Part:
    """Return costs as `joint_profile` takes them, on the log scale."""
    o, e, has = _both("cost", observed, expected, groups)
    if (o < 0).any() or not (e[has] > 0).all() or not o.sum() > 0:
        raise ArrayError(
            "cost_observed, cost_expected: wanted costs of 0 or more, not all 0, and expectations "
            "above 0; got others."
        )
    e = e * (o.sum() / e.sum())
    n, sums, expected_sums = groups.total(has), groups.total(o), groups.total(e)
    half = np.where(sums > 0, 0.0, _HALF * e.sum() / n.sum())
    ratio = _divided(sums + half, expected_sums + half, n > 0)
    q = np.divide(o, e * groups.at_rows(ratio), out=np.ones_like(e), where=has) - 1
    square = _mean_square("cost", q, n)
    variance = square * _divided(groups.total(e**2), expected_sums**2)
    return _Part(has, n.astype(np.intp), np.log(ratio), q, e, variance, sums, expected_sums, square)


def _both(
    name: str, observed: ArrayLike, expected: ArrayLike, groups: Groups
) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """Return observed and expected with 0 where there are none, and where there are some."""
    o, e = (np.asarray(one, dtype=np.float64) for one in (observed, expected))
    for what, values in (("observed", o), ("expected", e)):
        if values.shape != (groups.n_rows,):
            raise ArrayError(f"{name}_{what}: wanted shape ({groups.n_rows},); got {values.shape}.")
    has = ~np.isnan(o)
    if (has != ~np.isnan(e)).any():
        raise ArrayError(
            f"{name}_observed, {name}_expected: wanted both or neither of each episode; got "
            f"{int((has != ~np.isnan(e)).sum()):,} with one of them."
        )
    if not has.any():
        raise ArrayError(f"{name}_observed: wanted some that are not missing; got none.")
    o, e = (np.where(has, one, 0.0) for one in (o, e))
    return finite(f"{name}_observed", o), finite(f"{name}_expected", e), has


def _mean_square(name: str, residual: Floats, n: Floats) -> float:
    """Return the mean square about providers' own means, a degree of freedom less for each."""
    free = float(n.sum() - (n > 0).sum())
    square = float(residual @ residual)
    if free > 0 and square > 0:
        return square / free
    raise NoVariationError(
        f"{name}: wanted episodes of a provider that differ from what was expected by more or "
        "less; got none that do."
    )


class _Seen(NamedTuple):
    n_both: NDArray[np.intp]
    effect: Floats
    covariance: Floats
    correlation: float


def seen_pairs(outcome: _Part, cost: _Part, groups: Groups) -> _Seen:
    """Return the pairs, and their covariance from chance."""
    shared = outcome.has & cost.has
    u, q = outcome.residual * shared, cost.residual * shared
    size = np.sqrt((u @ u) * (q @ q))
    correlation = float(u @ q / size) if size else 0.0
    together = groups.total(outcome.weight * cost.weight * shared)
    scale = correlation * np.sqrt(outcome.square * cost.square)
    cross = scale * _divided(together, outcome.n * cost.expected)
    effect = np.column_stack([outcome.effect, cost.effect])
    covariance = matrix_of(outcome.variance, cross, cost.variance)
    covariance[np.isnan(effect).any(axis=1)] = np.nan
    return _Seen(groups.total(shared).astype(np.intp), effect, covariance, correlation)


def ratio_of(outcome: _Part) -> Floats:
    """Return summed observed over summed expected; NaN where nothing is expected."""
    return _divided(outcome.observed, outcome.expected)


def _divided(over: Floats, under: Any, where: NDArray[np.bool_] | None = None) -> Floats:
    """Return a ratio, NaN where there is nothing to divide by."""
    some = np.asarray(under != 0) if where is None else where
    ratio: Floats = np.divide(over, under, out=np.full(over.shape, np.nan), where=some)
    return ratio
