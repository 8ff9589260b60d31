"""What it costs to pay named groups what they cost: least squares under that condition."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from riskadj.errors import ArrayError
from riskadj.stats.arrays import Floats, a_mask, a_row, covariate_rows, weights_or_ones
from riskadj.stats.cost_fit import cost_fit
from riskadj.stats.threads import one_thread

_COLLINEAR = 1e8
"""Condition number above which one covariate follows from others."""


@dataclass(frozen=True)
class ConstrainedFit:
    """A least-squares fit that pays named groups what they cost, or nearly.

    Attributes
    ----------
    coef : ndarray of shape (1 + n_covariates,)
        Intercept first.
    expected : ndarray of shape (n_episodes,)
    net_compensation : ndarray of shape (n_groups,)
        Mean of E - O in each group; 0 but for rounding where it is held there.
    r2 : float
    r2_unconstrained : float
        What plain (weighted) least squares reaches: the price of the constraint is the difference.
    """

    coef: Floats
    expected: Floats
    net_compensation: Floats
    r2: float
    r2_unconstrained: float


def constrained_least_squares(
    y: ArrayLike,
    X: ArrayLike,
    groups: ArrayLike,
    weights: ArrayLike | None = None,
    penalty: float = np.inf,
    *,
    balanced: bool = True,
) -> ConstrainedFit:
    """Return the least-squares fit, an intercept included, that pays groups what they cost.

    It holds on the episodes that it is fitted to; judge it on others. Expectations may be negative.
    What a group gains somebody pays: the other episodes when `balanced`, else the payer.

    Parameters
    ----------
    y : array-like of shape (n_episodes,)
        Observed cost.
    X : array-like of shape (n_episodes, n_covariates) or (n_episodes,)
        Without a column of ones.
    groups : array-like of bool, shape (n_groups, n_episodes) or (n_episodes,)
        Who is in each group; groups may overlap.
    weights : array-like of shape (n_episodes,), optional
        Not negative.
    penalty : float
        What a squared net compensation counts, in the unit of the weights: one as large as their
        sum counts it like the mean squared error. Infinite: net compensation is held at 0. 0: plain
        weighted least squares.
    balanced : bool
        Whether all expected cost is held at all observed cost, as plain least squares has it.
        Otherwise a group's shortfall raises the total.

    Raises
    ------
    ArrayError
        When covariates are collinear, a group is empty, or groups cannot all be paid what they
        cost, there being too few covariates.

    Notes
    -----
    Minimises sum w (y - xb)^2 + penalty sum NC^2, or the first under NC = 0 (Zink and Rose 2020,
    Biometrics 76:973-982). In coordinates z in which the first is |z - z0|^2, with NC = C z - d:
    z = z0 - C'(CC' + I / penalty)^-1 (C z0 - d), which is the solution of the Karush-Kuhn-Tucker
    equations as the penalty grows. Balanced: with what moves the total taken out of C's rows.

    Examples
    --------
    >>> cost, age = [100.0, 120.0, 300.0, 300.0], [50.0, 60.0, 60.0, 70.0]
    >>> dear = [False, False, True, True]
    >>> got = constrained_least_squares(cost, age, dear)
    >>> bool(abs(got.net_compensation[0]) < 1e-9), got.r2 < got.r2_unconstrained
    (True, True)
    """
    target = a_row("y", y, "episode")
    w = weights_or_ones(weights, target.size)
    masks = _masks(groups, target.size, w)
    strength = _penalty(penalty)
    with one_thread():
        design = _design(X, target.size)
        basis, root = _orthogonal(design, w)
        start = basis.T @ (np.sqrt(w) * target)
        shares = masks * w / (masks @ w)[:, None]
        rows = shares @ design @ root
        off = rows @ start - shares @ target
        moves = _without(w @ design @ root, rows) if balanced else rows
        coef = root @ (start - moves.T @ _multipliers(moves, off, strength))
        expected, plain = design @ coef, design @ (root @ start)
        left = shares @ (expected - target)
    _check_held(left, shares @ np.abs(target), strength)
    fits = [cost_fit(target, one, w).r2 for one in (expected, plain)]
    return ConstrainedFit(coef, expected, left, fits[0], fits[1])


def _masks(groups: ArrayLike, n: int, w: Floats) -> Floats:
    given = np.atleast_2d(np.asarray(groups))
    masks = a_mask("groups", given, (given.shape[0], n)).astype(np.float64)
    if len(masks) and (masks @ w > 0).all():
        return masks
    raise ArrayError("groups: wanted somebody, with a weight above 0, in each; got an empty group.")


def _penalty(penalty: float) -> float:
    if not penalty >= 0:
        raise ArrayError(f"penalty: wanted a number of 0 or more, or infinity; got {penalty!r}.")
    return float(penalty)


def _design(X: ArrayLike, n: int) -> Floats:
    return np.column_stack([np.ones(n), covariate_rows(X, n)])


def _orthogonal(design: Floats, w: Floats) -> tuple[Floats, Floats]:
    """Return an orthonormal basis of the weighted design, and what turns its coordinates into b."""
    weighted = np.sqrt(w)[:, None] * design
    size = np.sqrt((weighted**2).sum(axis=0))
    if len(design) < design.shape[1] or not (size > 0).all():
        raise ArrayError("X: wanted more episodes than covariates, none all 0; got others.")
    basis, triangle = np.linalg.qr(weighted / size)
    if np.linalg.cond(triangle) > _COLLINEAR:
        raise ArrayError("X: wanted covariates none of which follows from others; got collinear.")
    return basis, np.linalg.inv(triangle) / size[:, None]


def _without(one: Floats, rows: Floats) -> Floats:
    """Return rows without their part along one."""
    along = one / np.sqrt(one @ one)
    return rows - np.outer(rows @ along, along)


def _multipliers(rows: Floats, off: Floats, penalty: float) -> Floats:
    cross = rows @ rows.T
    if np.isinf(penalty):
        # Groups that follow from others, such as a group and everybody else, leave no unique
        # multipliers; the shortest will do, as the fit is the same.
        return np.asarray(np.linalg.lstsq(cross, off, rcond=1e-12)[0])
    return np.asarray(np.linalg.solve(np.eye(len(off)) + penalty * cross, penalty * off))


def _check_held(left: Floats, scale: Floats, penalty: float) -> None:
    if np.isfinite(penalty) or (np.abs(left) <= 1e-7 * np.maximum(scale, 1e-300)).all():
        return
    raise ArrayError(
        "groups: wanted groups that can all be paid what they cost; got some that cannot, "
        f"{np.abs(left).max():g} off at best. Give fewer groups, more covariates or a penalty."
    )
