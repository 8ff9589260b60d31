"""Slopes within providers: what case mix does among patients of the same provider.

A pooled slope also holds differences between providers: where better providers treat healthier
patients, part of their quality is taken for case mix, and adjusted away. Comparing patients of the
same provider leaves it out (He, Kalbfleisch, Li and Li 2013, Lifetime Data Anal 19:490-512).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from scipy.special import expit, log_expit

from riskadj.engine import in_use
from riskadj.errors import ArrayError
from riskadj.stats import between_variance
from riskadj.stats.log_ratios import log_ratios

Floats = NDArray[np.float64]

SLOPES = ("pooled", "within")
FAMILIES = ("gaussian", "binomial", "gamma", "tweedie")
LOOSE = 1.0
"""Penalty on provider effects of log odds: a variance of 1, when theirs is about 0.1. It bounds the
effect of a provider with no or only events, and leaves the others next to free."""
_MOST_STEPS = 50
_HALVINGS = 30
_SETTLED = 1e-10
_WORKING_STEPS = 4


class Line(NamedTuple):
    """A linear predictor at the average provider."""

    intercept: float
    coef: Floats


def codes_of(groups: ArrayLike | None, n: int) -> NDArray[np.intp]:
    """Return a number for the provider of each episode, in order of appearance.

    Raises
    ------
    ArrayError
        When there are none, not one per episode, or some are missing.

    Examples
    --------
    >>> codes_of(["b", "a", "b"], 3)
    array([0, 1, 0])
    """
    if groups is None:
        raise ArrayError(
            "groups: wanted the provider of each episode, as slopes are within providers; got "
            "none. Give groups, or set slopes to pooled."
        )
    labels = np.asarray(groups)
    if labels.shape != (n,):
        raise ArrayError(f"groups: wanted shape {(n,)}; got {labels.shape}.")
    codes: NDArray[np.intp] = pd.factorize(labels)[0]
    if (codes < 0).any():
        raise ArrayError(
            f"groups: wanted a provider for every episode; got {int((codes < 0).sum()):,} missing."
        )
    return codes.astype(np.intp)


def line_within(design: Floats, y: Floats, codes: NDArray[np.intp], ridge: float) -> Line:
    """Return least-squares slopes with every provider's own intercept absorbed.

    Parameters
    ----------
    design : ndarray of shape (n_episodes, n_columns)
    y : ndarray of shape (n_episodes,)
    codes : ndarray of int of shape (n_episodes,)
    ridge : float
        Penalty on the squared slopes; with 0 the shortest of many solutions is taken.

    Notes
    -----
    Slopes are those of provider-centred columns; the intercept is the mean of providers'
    intercepts by episodes, so that the mean expectation is the mean score.

    Examples
    --------
    >>> x, provider = np.array([[0.0], [1.0], [5.0], [6.0]]), np.array([0, 0, 1, 1])
    >>> line_within(x, np.array([10.0, 12.0, 0.0, 2.0]), provider, ridge=0.0)
    Line(intercept=0.0, coef=array([2.]))
    """
    return line_within_blocks(lambda rows: design[rows], y, codes, ridge)


def line_within_blocks(
    design: Callable[[slice], Floats], y: Floats, codes: NDArray[np.intp], ridge: float
) -> Line:
    """Return the same of a design that is made a block at a time, and so need not fit in memory.

    Parameters
    ----------
    design : callable
        From rows to their design; asked twice, for the means of providers and for what is left.
    y : ndarray of shape (n_episodes,)
    codes : ndarray of int of shape (n_episodes,)
    ridge : float
    """
    counts, cuts = np.bincount(codes), list(in_use().cuts(len(y)))
    sums = whole = np.zeros(1)
    for rows in cuts:
        some = design(rows)
        sums = sums + _adder(codes[rows], among=len(counts)) @ some
        whole = whole + some.sum(axis=0)
    means, moved = sums / counts[:, None], y - (np.bincount(codes, y) / counts)[codes]
    inner, outer = ridge * np.eye(len(whole)), np.zeros(len(whole))
    for rows in cuts:
        centred = design(rows) - means[codes[rows]]
        inner += centred.T @ centred
        outer += centred.T @ moved[rows]
    coef = _solve(inner, outer)
    return Line(float(y.mean() - whole / len(y) @ coef), coef)


def logistic_line(
    design: Floats, y: Floats, ridge: float, codes: NDArray[np.intp] | None = None
) -> Line:
    """Return the penalised maximum of a logistic likelihood, by Newton's method.

    Parameters
    ----------
    design : ndarray of shape (n_episodes, n_columns)
    y : ndarray of shape (n_episodes,)
        0 or 1.
    ridge : float
        Above 0: the penalty is ridge / 2 times the squared slopes, so that there is a maximum
        even where case mix tells events from others without error.
    codes : ndarray of int of shape (n_episodes,), optional
        Of providers, each of which then has an intercept of its own (with a variance of 1).

    Raises
    ------
    ArrayError
        When `ridge` is 0, or nothing was settled after 50 steps.
    """
    if not ridge > 0:
        raise ArrayError(f"ridge: wanted more than 0 with family binomial; got {ridge:g}.")
    ones = np.column_stack([np.ones(len(y)), design])
    world = _Logistic(ones, y, np.r_[0.0, np.full(design.shape[1], ridge)], codes)
    place = world.start()
    for _ in range(_MOST_STEPS):
        step, gain = world.newton(place)
        if gain < _SETTLED * len(y):
            coef = place[0]
            return Line(float(coef[0]), coef[1:])
        place = world.move(place, step)
    raise ArrayError(
        f"logistic fit: wanted one settled in {_MOST_STEPS} steps; got none. Raise ridge."
    )


Place = tuple[Floats, Floats]


class _Logistic:
    """Slopes and provider effects of a logistic model, with the effects eliminated per step."""

    def __init__(
        self, X: Floats, y: Floats, penalty: Floats, codes: NDArray[np.intp] | None
    ) -> None:
        self.X, self.y, self.penalty = X, y, penalty
        self.codes = np.zeros(0, dtype=np.intp) if codes is None else codes
        self.sums = _adder(self.codes, len(y))

    def start(self) -> Place:
        share = np.clip(self.y.mean(), 1e-6, 1 - 1e-6)
        coef = np.zeros(self.X.shape[1])
        coef[0] = np.log(share / (1 - share))
        return coef, np.zeros(self.sums.shape[0])

    def linear(self, place: Place) -> Floats:
        return np.asarray(self.X @ place[0] + self.sums.T @ place[1])

    def objective(self, place: Place) -> float:
        """Return the penalised log-likelihood, negated."""
        sign = np.where(self.y > 0, 1.0, -1.0)
        fit = -np.sum(log_expit(sign * self.linear(place)))
        return float(fit + self.penalty @ place[0] ** 2 / 2 + LOOSE * place[1] @ place[1] / 2)

    def newton(self, place: Place) -> tuple[Place, float]:
        """Return Newton's step and what it promises to gain."""
        share = expit(self.linear(place))
        weight = share * (1 - share)
        slope = self.X.T @ (self.y - share) - self.penalty * place[0]
        slope_u = self.sums @ (self.y - share) - LOOSE * place[1]
        weighted = self.X * weight[:, None]
        cross = self.sums @ weighted
        of_u = self.sums @ weight + LOOSE
        inner = self.X.T @ weighted + np.diag(self.penalty) - cross.T @ (cross / of_u[:, None])
        step = _solve(inner, slope - cross.T @ (slope_u / of_u))
        step_u = (slope_u - cross @ step) / of_u
        return (step, step_u), float(slope @ step + slope_u @ step_u) / 2

    def move(self, place: Place, step: Place) -> Place:
        """Return the place after the step, or after half of it, or half of that."""
        here = self.objective(place)
        for halving in range(_HALVINGS):
            share = 0.5**halving
            there = (place[0] + share * step[0], place[1] + share * step[1])
            if self.objective(there) <= here:
                return there
        return place


def _adder(codes: NDArray[np.intp], n: int | None = None, among: int | None = None) -> Any:
    """Return the matrix that sums episodes by provider, of whom there may be more than here."""
    last = int(codes.max()) + 1 if len(codes) else 0
    shape = (last if among is None else among, len(codes) if n is None else n)
    return sparse.csr_array((np.ones(len(codes)), (codes, np.arange(len(codes)))), shape=shape)


def _solve(inner: Floats, outer: Floats) -> Floats:
    """Solve, and take the shortest of many solutions where columns are collinear."""
    return np.asarray(np.linalg.lstsq(inner, outer)[0])


def offsets_of(
    linear: Floats, y: Floats, codes: NDArray[np.intp], family: str = "gaussian"
) -> Floats:
    """Return each provider's offset to a linear predictor, shrunk towards 0.

    Parameters
    ----------
    linear : ndarray of shape (n_episodes,)
        What case mix says, on the scale of the linear predictor.
    y : ndarray of shape (n_episodes,)
    codes : ndarray of int of shape (n_episodes,)
        Of providers, from 0 on without gaps.
    family : {"gaussian", "binomial", "gamma", "tweedie"}

    Returns
    -------
    ndarray of shape (n_providers,)
        Mean residual by provider (of working residuals with `binomial`, log of observed over
        expected of costs), times tau2 / (tau2 + s2 / n); their mean over episodes is 0. tau2 is
        the variance between providers by DerSimonian and Laird (1986).

    Examples
    --------
    >>> y = np.array([4.0, 6.0, 14.0, 16.0])
    >>> offsets_of(np.zeros(4), y - y.mean(), np.array([0, 0, 1, 1])).round(2)
    array([-4.9,  4.9])
    """
    offsets = np.zeros(int(codes.max()) + 1)
    if len(offsets) < 2:
        return offsets
    effects, variances = _WORKING[family](linear, y, codes)
    tau2 = between_variance(effects, np.sqrt(variances)).tau2
    shrunk = effects * tau2 / (tau2 + variances)
    return shrunk - np.bincount(codes) @ shrunk / len(codes)


def _mean_residuals(linear: Floats, y: Floats, codes: NDArray[np.intp]) -> tuple[Floats, Floats]:
    counts = np.bincount(codes)
    left = y - linear
    left = left - left.mean()
    means = np.bincount(codes, left) / counts
    freedom = max(len(y) - len(counts), 1)
    spread = float(np.sum((left - means[codes]) ** 2)) / freedom
    return means, max(spread, np.finfo(float).tiny) / counts


def _mean_log_odds(linear: Floats, y: Floats, codes: NDArray[np.intp]) -> tuple[Floats, Floats]:
    effects = np.zeros(int(codes.max()) + 1)
    for _ in range(_WORKING_STEPS):
        share = expit(linear + effects[codes])
        information = np.bincount(codes, share * (1 - share)) + LOOSE
        effects = effects + (np.bincount(codes, y - share) - LOOSE * effects) / information
    return effects, 1 / information


def _mean_log_ratios(linear: Floats, y: Floats, codes: NDArray[np.intp]) -> tuple[Floats, Floats]:
    found = log_ratios(y, np.exp(linear), codes)
    return found.effect, found.error**2


_WORKING: dict[str, Callable[..., tuple[Floats, Floats]]] = {
    "gaussian": _mean_residuals,
    "binomial": _mean_log_odds,
    "gamma": _mean_log_ratios,
    "tweedie": _mean_log_ratios,
}
