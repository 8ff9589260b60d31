"""Links: how a linear predictor becomes a mean."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from riskadj.errors import ArrayError
from riskadj.stats.arrays import Floats, finite, one_of

SMALLEST = 1e-12
"""A chance, or a mean that is above 0, is taken to be no closer to its limit."""


@dataclass(frozen=True)
class Link:
    """A link function, by what undoes it.

    Attributes
    ----------
    name : str
    inverse : callable
        From the linear predictor to the mean, element by element.
    forward : callable
        From the mean to the linear predictor.
    limits : tuple of float
        Infinite predictors for which there is a mean: a provider without any event has the effect
        -inf under logit and log, and the mean 0.
    """

    name: str
    inverse: Callable[[Floats], Floats]
    forward: Callable[[Floats], Floats]
    limits: tuple[float, ...]

    def predictor(self, mean: Floats) -> Floats:
        """Return the linear predictor of each mean, finite for means that are at a limit.

        A chance of 0 or 1 counts as one that floats can tell from it.
        """
        return self.forward(np.asarray(mean, dtype=float))

    def mean(self, predictor: Floats) -> Floats:
        """Return the mean of each linear predictor.

        Raises
        ------
        ArrayError
            When a mean is too large to be a number.
        """
        with np.errstate(over="ignore"):
            mean = self.inverse(predictor)
        if np.isfinite(mean.sum()) or np.isfinite(mean).all():
            return mean
        raise ArrayError(
            f"linear predictor: wanted values with a mean under the {self.name} link; got "
            f"{predictor[~np.isfinite(mean)].flat[0]:g}. Check the unit and the coefficients."
        )

    def admit(self, name: str, effects: Floats) -> Floats:
        """Return effects, infinite ones only where the link has a mean for them.

        Raises
        ------
        ArrayError
        """
        wrong = np.isinf(effects) & ~np.isin(effects, self.limits)
        if not wrong.any():
            return effects
        raise ArrayError(
            f"{name}: wanted effects with a mean under the {self.name} link; got "
            f"{effects[wrong][0]:g}. Leave that provider out, or give it a finite effect."
        )


def _log_odds(mean: Floats) -> Floats:
    return np.asarray(special.logit(np.clip(mean, SMALLEST, 1 - SMALLEST)))


def _logarithm(mean: Floats) -> Floats:
    return np.log(np.maximum(mean, SMALLEST))


def _itself(predictor: Floats) -> Floats:
    return predictor


LINKS = {
    one.name: one
    for one in (
        Link("logit", special.expit, _log_odds, (-np.inf, np.inf)),
        Link("log", np.exp, _logarithm, (-np.inf,)),
        Link("identity", _itself, _itself, ()),
    )
}


def link_named(name: str) -> Link:
    """Return the link of that name.

    Parameters
    ----------
    name : {"logit", "log", "identity"}

    Raises
    ------
    ArrayError
        When there is no such link.

    Examples
    --------
    >>> float(link_named("logit").mean(np.array([0.0]))[0])
    0.5
    """
    return LINKS[one_of("link", name, LINKS)]


def effects_of(name: str, values: ArrayLike) -> Floats:
    """Return effects as floats: infinite is a number here, missing is not.

    Raises
    ------
    ArrayError

    Examples
    --------
    >>> effects_of("effects", [0, -np.inf])
    array([  0., -inf])
    """
    try:
        effects = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ArrayError(f"{name}: wanted numbers; got others ({error}).") from None
    finite(name, np.atleast_1d(np.where(np.isinf(effects), 0.0, effects)))
    return effects
