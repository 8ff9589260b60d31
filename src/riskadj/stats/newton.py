"""Newton's climb: when to look at the curvature again, when to stop, and when to give up."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, Protocol, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from riskadj.stats.arrays import Floats
from riskadj.stats.arrow import Arrow

NEAR = 0.1
"""Step, in standard errors, of estimates that are all but there."""
LOST = 1e-6
"""Share of its first information at which a coefficient is running away."""
MAX_PASSES = 100
LARGE = 200_000
"""Episodes from which a fit to a tenth of them pays as a start."""


@dataclass(frozen=True)
class Patience:
    """When a climb may end.

    Attributes
    ----------
    settled : float
        Largest step, in standard errors, of estimates that have settled.
    stale : float
        Movement of the linear predictor after which its curvature is computed again on the way.
    fine : float
        The same at the end: standard errors are as exact as the curvature.
    """

    settled: float = 1e-6
    stale: float = 0.02
    fine: float = 1e-4


class _Point(Protocol):
    def halfway(self, to: Self, /) -> Self:
        """Return the point between this one and another."""


P = TypeVar("P", bound=_Point)


@dataclass(frozen=True)
class View(Generic[P]):
    """What is seen from a point: how high it is, and where to go.

    Attributes
    ----------
    objective : float
    arrow : Arrow
        Information about effects and coefficients.
    proposal : point
        Where a Newton step leads.
    errors : float
        Length of that step in standard errors: the largest of all estimates.
    movement : float
        Of the linear predictor on the way.
    """

    objective: float
    arrow: Arrow
    proposal: P
    errors: float
    movement: float


@dataclass(frozen=True)
class Summit(Generic[P]):
    """Where a climb ended.

    Attributes
    ----------
    point : point
    view : View
        From the point before the last step, its curvature fresh.
    passes : int
    settled : bool
    runaway : ndarray of int
        Places of coefficients without bound.
    """

    point: P
    view: View[P]
    passes: int
    settled: bool
    runaway: NDArray[np.intp] = field(default_factory=lambda: np.array([], dtype=np.intp))


def climb(
    start: P,
    look: Callable[[P, Arrow | None], View[P]],
    slack: float = 1e-9,
    bends: bool = True,
    patience: Patience = Patience(),
) -> Summit[P]:
    """Take Newton steps until they are short.

    Parameters
    ----------
    start : point
    look : callable
        Of a point and the arrow of an earlier view; with None the curvature is computed anew.
    slack : float
        Relative fall of the objective that calls for half a step.
    bends : bool
        Whether curvature differs between points.
    patience : Patience
    """
    view = look(start, None)
    first, before, point = np.diag(view.arrow.schur), start, view.proposal
    drift = view.movement if bends else 0.0
    for passes in range(2, MAX_PASSES + 1):
        fresh = drift > (patience.fine if view.errors < NEAR else patience.stale)
        seen = look(point, None if fresh else view.arrow)
        if seen.objective < view.objective - slack * (1 + abs(view.objective)):
            point = before.halfway(point)
            continue
        drift = 0.0 if fresh else drift
        view, lost = seen, _runaway(first, seen.arrow)
        if lost.size or (view.errors < patience.settled and drift <= patience.fine):
            return Summit(view.proposal, view, passes, not lost.size, lost)
        drift += view.movement if bends else 0.0
        before, point = point, view.proposal
    return Summit(point, view, MAX_PASSES, settled=False)


def _runaway(first: Floats, now: Arrow) -> NDArray[np.intp]:
    """Return the places of coefficients whose information has all but gone.

    Under separation each step adds about one to a linear predictor that has no bound, and takes
    a constant share of the information with it.
    """
    return np.flatnonzero(np.diag(now.schur) < LOST * first)


def measure(arrow: Arrow, effects: Floats, coef: Floats, weight: Floats) -> tuple[float, float]:
    """Return the length of a step in standard errors, and the movement of the linear predictor.

    Parameters
    ----------
    arrow : Arrow
    effects : ndarray of shape (n_providers,)
        Change of effects.
    coef : ndarray of shape (n_coef,)
        Change of coefficients.
    weight : ndarray of shape (n_providers,)
        Information of each provider's episodes about its effect.
    """
    information = np.maximum(np.diag(arrow.schur), 0.0)
    of_coef = float((np.abs(coef) * np.sqrt(information)).max(initial=0.0))
    precision = np.divide(1.0, arrow.inverse, out=np.zeros_like(weight), where=arrow.inverse > 0)
    of_effects = float((np.abs(effects) * np.sqrt(precision)).max(initial=0.0))
    total = max(float(weight.sum()), np.finfo(float).tiny)
    movement = np.sqrt(float(weight @ effects**2) / total) + of_coef / np.sqrt(total)
    return max(of_coef, of_effects), float(movement)
