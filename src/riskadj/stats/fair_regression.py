"""Constrained regression on top of a score: what it learned, and what it says of others.

`constrained` holds the net compensation of groups at 0 on the episodes it is fitted to. Here a fit
can be asked about other episodes, its covariates may follow from each other, and a penalty can be
followed from none to the constraint itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from riskadj.errors import ArrayError
from riskadj.stats.arrays import Floats, covariate_rows, finite, weights_or_ones
from riskadj.stats.constrained import constrained_least_squares
from riskadj.stats.threads import one_thread

_FOLLOWS = 1e-9
"""Share of a covariate's variance below which it follows from those before it."""


@dataclass(frozen=True)
class FairFit:
    """A regression that pays groups what they cost, or nearly, to be asked about any episode.

    Attributes
    ----------
    intercept : float
    coef : ndarray of shape (n_covariates,)
        0 where a covariate follows from those before it.
    dropped : ndarray of int
        Places of those.
    net_compensation : ndarray of shape (n_groups,)
        Mean of E - O of each group, on the episodes that it was fitted to.
    r2, r2_unconstrained : float
        On these too; the price of the constraint is the difference.
    """

    intercept: float
    coef: Floats
    dropped: NDArray[np.intp]
    net_compensation: Floats
    r2: float
    r2_unconstrained: float

    def expect(self, X: ArrayLike) -> Floats:
        """Return what is expected of episodes, shape (n_episodes,).

        Raises
        ------
        ArrayError
            When there are other covariates than those it was fitted on.
        """
        rows = covariate_rows(X, len(np.asarray(X)))
        if rows.shape[1] != self.coef.size:
            raise ArrayError(f"X: wanted {self.coef.size} covariates; got {rows.shape[1]}.")
        return np.asarray(self.intercept + rows @ self.coef)


@dataclass(frozen=True)
class PenaltyPath:
    """What a growing penalty on net compensation buys and costs.

    Attributes
    ----------
    penalties : ndarray of shape (n_penalties,)
    net_compensation : ndarray of shape (n_penalties, n_groups)
    r2 : ndarray of shape (n_penalties,)
    """

    penalties: Floats
    net_compensation: Floats
    r2: Floats


def fit_fair(
    y: ArrayLike,
    X: ArrayLike,
    groups: ArrayLike,
    weights: ArrayLike | None = None,
    penalty: float = np.inf,
    *,
    balanced: bool = True,
) -> FairFit:
    """Fit a regression under which groups have a net compensation of 0, or nearly.

    Parameters
    ----------
    y : array-like of shape (n_episodes,)
    X : array-like of shape (n_episodes, n_covariates) or (n_episodes,)
        Such as an expectation that was not learned from these episodes, and case mix. Where a
        group is itself among them, the constraint holds without any loss of fit: the group is then
        adjusted for.
    groups : array-like of bool, shape (n_groups, n_episodes)
    weights, penalty, balanced
        As in `constrained_least_squares`.

    Raises
    ------
    ArrayError
        When no covariate varies, a group is empty, or groups cannot all be paid what they cost by
        the covariates that there are.

    Notes
    -----
    Constrained and penalised regression of Zink and Rose (2020, Biometrics 76:973-982). Trees that
    boost cannot be held to the constraint split by split, so that they come in as a score; the
    regression on top settles it exactly.

    Examples
    --------
    >>> cost, age = [100.0, 120.0, 300.0, 300.0], [50.0, 60.0, 60.0, 70.0]
    >>> fit = fit_fair(cost, np.column_stack([age, age]), [[False, False, True, True]])
    >>> fit.dropped.tolist(), bool(abs(fit.net_compensation[0]) < 1e-9)
    ([1], True)
    >>> fit.expect([[65.0, 65.0]]).round(6).tolist()
    [300.0]
    """
    rows = covariate_rows(X, np.size(y))
    kept = independent_columns(rows, weights)
    got = constrained_least_squares(y, rows[:, kept], groups, weights, penalty, balanced=balanced)
    coef = np.zeros(rows.shape[1])
    coef[kept] = got.coef[1:]
    dropped = np.setdiff1d(np.arange(rows.shape[1]), kept)
    return FairFit(
        float(got.coef[0]), coef, dropped, got.net_compensation, got.r2, got.r2_unconstrained
    )


def penalty_path(
    y: ArrayLike,
    X: ArrayLike,
    groups: ArrayLike,
    penalties: Sequence[float],
    weights: ArrayLike | None = None,
) -> PenaltyPath:
    """Return net compensation and fit as the penalty on squared net compensation grows.

    Parameters
    ----------
    y, X, groups, weights
        As in `fit_fair`.
    penalties : sequence of float
        0 or more, or infinite; 0 is weighted least squares, infinite the constraint.

    Raises
    ------
    ArrayError

    Examples
    --------
    >>> cost, age = [100.0, 120.0, 300.0, 300.0], [50.0, 60.0, 60.0, 70.0]
    >>> path = penalty_path(cost, age, [[False, False, True, True]], [0, 1, np.inf])
    >>> bool((np.diff(np.abs(path.net_compensation[:, 0])) < 0).all())
    True
    """
    if not len(penalties):
        raise ArrayError("penalties: wanted one or more; got none.")
    fits = [fit_fair(y, X, groups, weights, one) for one in penalties]
    return PenaltyPath(
        np.asarray(penalties, dtype=float),
        np.array([one.net_compensation for one in fits]),
        np.array([one.r2 for one in fits]),
    )


def independent_columns(X: ArrayLike, weights: ArrayLike | None = None) -> NDArray[np.intp]:
    """Return the places of columns that do not follow from a constant and those before them.

    Parameters
    ----------
    X : array-like of shape (n_episodes, n_covariates)
    weights : array-like of shape (n_episodes,), optional

    Raises
    ------
    ArrayError
        When no column varies.

    Examples
    --------
    >>> independent_columns([[1.0, 2.0, 5.0], [2.0, 4.0, 5.0], [3.0, 6.0, 5.0]]).tolist()
    [0]
    """
    rows = finite("X", X)
    w = weights_or_ones(weights, len(rows))
    with one_thread():
        centred = rows - (w @ rows) / w.sum()
        inner = (centred * w[:, None]).T @ centred
        own = np.diag(inner).copy()
        scale = np.maximum((w[:, None] * rows**2).sum(axis=0), np.finfo(float).tiny)
        kept = _swept(inner, np.where(own > _FOLLOWS**2 * scale, own, np.inf))
    if not kept.size:
        raise ArrayError("X: wanted a covariate that varies; got none.")
    return kept


def _swept(inner: Floats, own: Floats) -> NDArray[np.intp]:
    """Return the columns that leave variance of their own after those before are swept out."""
    left, kept = inner.copy(), []
    for place in range(len(left)):
        pivot = left[place, place]
        if pivot > _FOLLOWS * own[place]:
            kept.append(place)
            left = left - np.outer(left[:, place], left[place]) / pivot
    return np.array(kept, dtype=np.intp)
