"""Families of outcomes: log-likelihood of an episode and its slopes in the linear predictor."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.special import expit, logit

from riskadj.errors import ArrayError
from riskadj.stats.arrays import Floats


class Slopes(NamedTuple):
    """Of each episode: log-likelihood, first slope, minus the second, and the slope of that.

    Derivatives are in the linear predictor, at unit shape.
    """

    loglik: Floats
    score: Floats
    weight: Floats
    bend: Floats


@dataclass(frozen=True)
class Family:
    """A distribution of outcomes with its usual link.

    Attributes
    ----------
    name : str
    slopes : callable
        Of (y, linear predictor).
    link, mean : callable
        The linear predictor of means, and the reverse.
    check : callable
        Raises ArrayError when outcomes are none of this family's.
    has_shape : bool
        Whether a shape parameter multiplies every slope.
    """

    name: str
    slopes: Callable[[Floats, Floats], Slopes]
    link: Callable[[Floats], Floats]
    mean: Callable[[Floats], Floats]
    check: Callable[[Floats], None]
    has_shape: bool = False


def _gaussian(y: Floats, eta: Floats) -> Slopes:
    residual = y - eta
    return Slopes(-0.5 * residual**2, residual, np.ones_like(y), np.zeros_like(y))


def _binomial(y: Floats, eta: Floats) -> Slopes:
    small = np.exp(-np.abs(eta))
    larger = 1 / (1 + small)
    smaller = small * larger
    up = eta >= 0
    p = np.where(up, larger, smaller)
    weight = smaller * larger
    loglik = np.log(larger) + np.where(up, y - 1, y) * eta
    return Slopes(loglik, y - p, weight, weight * (1 - 2 * p))


def _gamma(y: Floats, eta: Floats) -> Slopes:
    ratio = y * np.exp(-eta)
    return Slopes(np.log(ratio) - ratio, ratio - 1, ratio, -ratio)


def _check_gaussian(y: Floats) -> None:
    if y.min() == y.max():
        raise ArrayError(f"y: wanted outcomes that differ; got {y[0]:g} for all.")


def _check_binomial(y: Floats) -> None:
    if not ((y == 0) | (y == 1)).all():
        raise ArrayError("y: wanted 0 or 1, event or none; got other values.")
    if y.min() == y.max():
        raise ArrayError(f"y: wanted episodes with and without the event; got {y[0]:g} for all.")


def _check_gamma(y: Floats) -> None:
    if not y.min() > 0:
        raise ArrayError(
            f"y: wanted amounts above 0; got {y.min():g}. Model zeros apart (two-part)."
        )


def _same(mean: Floats) -> Floats:
    return mean


FAMILIES = {
    "gaussian": Family("gaussian", _gaussian, _same, _same, _check_gaussian),
    "binomial": Family("binomial", _binomial, logit, expit, _check_binomial),
    "gamma": Family("gamma", _gamma, np.log, np.exp, _check_gamma, has_shape=True),
}
"""By name."""
