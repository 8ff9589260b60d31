"""Logistic regressions of many tables of counts at once, the covariates common to all."""

import numpy as np
from scipy.special import expit, logit

from riskadj.stats.arrays import Floats

_PASSES = 60
_HALVINGS = 30
_SETTLED = 1e-9
_LOST = 1e-9
"""Share of its first information at which a coefficient has run away."""


def fit_tables(x: Floats, events: Floats, trials: Floats) -> Floats:
    """Fit a logistic regression to each replicate; NaN where it has no maximum.

    Rows of x are common; events and trials have a row per replicate.
    """
    coef = np.zeros((len(events), x.shape[1]))
    share = events.sum(axis=1) / trials.sum(axis=1)
    sound = (share > 0) & (share < 1)
    coef[sound, 0] = logit(share[sound])
    settled = ~sound
    height = _log_likelihood(x, coef, events, trials)
    for _ in range(_PASSES):
        going = np.flatnonzero(~settled)
        if not going.size:
            break
        step = _newton_step(x, coef[going], events[going], trials[going])
        coef[going], height[going] = _climb(
            x, coef[going], step, height[going], events[going], trials[going]
        )
        settled[going] = np.abs(step).max(axis=1) < _SETTLED
    start = np.zeros_like(coef)
    start[sound, 0] = logit(share[sound])
    left, first = _least_information(x, coef, trials), _least_information(x, start, trials)
    coef[~(settled & sound & (left > _LOST * first))] = np.nan
    return coef


def _log_likelihood(x: Floats, coef: Floats, events: Floats, trials: Floats) -> Floats:
    eta = coef @ x.T
    return np.asarray((events * eta - trials * np.logaddexp(0.0, eta)).sum(axis=1))


def _newton_step(x: Floats, coef: Floats, events: Floats, trials: Floats) -> Floats:
    slope = (events - trials * expit(coef @ x.T)) @ x
    curvature = _curvature(x, coef, trials)
    # A trace of a ridge: where there is no maximum, curvature fades away altogether.
    ridge = 1e-12 * np.trace(curvature, axis1=1, axis2=2) + np.finfo(float).tiny
    curvature += ridge[:, None, None] * np.eye(x.shape[1])
    return np.linalg.solve(curvature, slope[:, :, None])[:, :, 0]


def _curvature(x: Floats, coef: Floats, trials: Floats) -> Floats:
    p, mean = x.shape[1], expit(coef @ x.T)
    products = (x[:, :, None] * x[:, None, :]).reshape(len(x), p * p)
    whole: Floats = (trials * mean * (1 - mean)) @ products
    return whole.reshape(-1, p, p)


def _least_information(x: Floats, coef: Floats, trials: Floats) -> Floats:
    return np.asarray(np.linalg.eigvalsh(_curvature(x, coef, trials))[:, 0], dtype=np.float64)


def _climb(
    x: Floats, coef: Floats, step: Floats, height: Floats, events: Floats, trials: Floats
) -> tuple[Floats, Floats]:
    """Take the step, halved for the replicates in which it would lead down."""
    taken = coef + step
    reached = _log_likelihood(x, taken, events, trials)
    # Rounding of a sum of so many terms is no way down.
    slack = 1e-10 * np.abs(height)
    for halving in range(1, _HALVINGS):
        down = np.flatnonzero(~(reached >= height - slack))
        if not down.size:
            break
        taken[down] = coef[down] + step[down] * 0.5**halving
        reached[down] = _log_likelihood(x, taken[down], events[down], trials[down])
    return taken, reached
