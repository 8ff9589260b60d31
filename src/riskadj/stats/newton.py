"""Newton's climb: when to look at the curvature again, when to stop, and when to give up.

A point is a vector, coefficients first. A view says where a Newton step from it leads. Steps that
go too far are halved; steps that shrink slowly, or go to and fro, are combined (Anderson 1965, J
ACM 12:547-560; Walker and Ni 2011, SIAM J Numer Anal 49:1715-1735).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from riskadj.stats.arrays import Floats
from riskadj.stats.arrow import Arrow

NEAR = 0.1
"""Step, in standard errors, of estimates that are all but there."""
LOST = 1e-6
"""Share of its first information at which a coefficient may be running away."""
AWAY = 1e-3
"""Step, on the scale of the linear predictor, of a coefficient that has not arrived."""
FADING = 1e-2
"""Share of its first information below which steps are not combined: they may lead nowhere."""
DIRECT = 8
"""Passes after which steps are combined."""
MEMORY = 5
"""Steps that are combined."""
HALVINGS = 40
MAX_PASSES = 200
LARGE = 200_000
"""Episodes from which a fit to a tenth of them pays as a start."""


@dataclass(frozen=True)
class Patience:
    """When a climb may end.

    Attributes
    ----------
    settled : float
        What may be left to go, in standard errors.
    stale : float
        Movement of the linear predictor after which its curvature is computed again on the way.
    fine : float
        The same at the end: standard errors are as exact as the curvature.
    """

    settled: float = 1e-6
    stale: float = 0.02
    fine: float = 1e-4


@dataclass(frozen=True)
class View:
    """What is seen from a point.

    Attributes
    ----------
    objective : float
    arrow : Arrow
        Information about effects and coefficients.
    step : ndarray
        To where Newton leads.
    precision : ndarray
        One over the standard error of each estimate.
    weight : float
        Information of all episodes about one effect for all.
    slack : float
        Relative fall of the objective, against the view before, that calls for half a step.
    bend : float
        Relative change of what else the curvature depends on.
    """

    objective: float
    arrow: Arrow
    step: Floats
    precision: Floats
    weight: float
    slack: float = 1e-8
    bend: float = 0.0

    @property
    def errors(self) -> float:
        """Length of the step in standard errors: the largest of all estimates."""
        return float((np.abs(self.step) * self.precision).max(initial=0.0))

    @property
    def movement(self) -> float:
        """Of the linear predictor on the way, root mean square, and of what else bends."""
        of_effects = (self.step * self.precision)[len(self.arrow.gram) :]
        of_coef = np.abs(self.step * self.precision)[: len(self.arrow.gram)].max(initial=0.0)
        moved = (np.sqrt(of_effects @ of_effects) + of_coef) / np.sqrt(self.weight)
        return float(moved + self.bend)


Look = Callable[[Floats, Arrow | None], View | None]
"""Of a point and the arrow of an earlier view (None: the curvature is computed anew); None when
nothing can be seen from there."""


@dataclass(frozen=True)
class Summit:
    """Where a climb ended.

    Attributes
    ----------
    point : ndarray
    view : View
        From the point before the last step.
    passes : int
    settled : bool
    runaway : ndarray of int
        Places of coefficients without bound.
    """

    point: Floats
    view: View
    passes: int
    settled: bool
    runaway: NDArray[np.intp] = field(default_factory=lambda: np.array([], dtype=np.intp))


def climb(start: Floats, look: Look, patience: Patience = Patience()) -> Summit:
    """Take Newton steps until little is left to go.

    Parameters
    ----------
    start : ndarray
    look : callable
    patience : Patience

    Raises
    ------
    LinAlgError
        When nothing can be seen from the start.
    """
    view = look(start, None)
    if view is None:
        raise np.linalg.LinAlgError("nothing can be seen from the start")
    first, trail, drift = view, [(start, view.step)], view.movement
    ways = _ways(start, view)
    for passes in range(2, MAX_PASSES + 1):
        point = next(ways, None)
        if point is None:
            break
        fresh = drift > (patience.fine if view.errors < NEAR else patience.stale)
        seen = _seen(look, point, None if fresh else view.arrow)
        if seen is None or _falls(view, seen):
            continue
        drift = 0.0 if fresh else drift
        last, view = view, seen
        lost = _runaway(first, last, view)
        arrived = _left(last, view) < patience.settled and not _away(first, view).any()
        if lost.size or (arrived and drift <= patience.fine):
            return Summit(point + view.step, view, passes, not lost.size, lost)
        drift += view.movement
        trail = [*trail[-MEMORY:], (point, view.step)]
        slow = passes > DIRECT and not _faded(first, view, FADING).any()
        ways = _ways(point, view, trail if slow else [])
    return Summit(trail[-1][0], view, passes, settled=False)


def _ways(
    point: Floats, view: View, trail: Sequence[tuple[Floats, Floats]] = ()
) -> Iterator[Floats]:
    """Yield where to go: where the last steps together lead, by one step, by half of it, ..."""
    if trail:
        yield _combined(trail, view)
    for halvings in range(HALVINGS):
        yield point + view.step / 2**halvings


def _seen(look: Look, point: Floats, earlier: Arrow | None) -> View | None:
    try:
        return look(point, earlier)
    except np.linalg.LinAlgError:
        return None


def _falls(before: View, view: View) -> bool:
    slack = max(before.slack, view.slack)
    return view.objective < before.objective - slack * (1 + abs(before.objective))


def _left(last: View, view: View) -> float:
    """Return what is left to go after this step, in standard errors, steps shrinking as they do."""
    rate = min(view.errors / last.errors, 0.99) if last.errors > 0 else 0.0
    return max(view.errors, view.errors * rate / (1 - rate))


def _away(first: View, view: View) -> NDArray[np.bool_]:
    """Return which coefficients still move the linear predictor of the episodes."""
    p = len(view.arrow.gram)
    spread = np.sqrt(np.maximum(np.diag(first.arrow.schur), 0.0) / first.weight)
    return np.abs(view.step[:p]) * spread > AWAY


def _faded(first: View, view: View, share: float) -> NDArray[np.bool_]:
    return np.diag(view.arrow.schur) < share * np.diag(first.arrow.schur)


def _runaway(first: View, last: View, view: View) -> NDArray[np.intp]:
    """Return the places of coefficients whose information fades while they go on and on.

    Under separation each step adds about one to a linear predictor that has no bound, and takes
    a constant share of the information with it, so that ever less of the likelihood is to be won.
    """
    p = len(view.arrow.gram)
    steady = np.abs(view.step[:p]) > 0.5 * np.abs(last.step[:p])
    to_no_end = np.abs(view.step[:p]) * view.precision[:p] < NEAR
    return np.flatnonzero(_faded(first, view, LOST) & steady & to_no_end & _away(first, view))


def _combined(trail: Sequence[tuple[Floats, Floats]], view: View) -> Floats:
    """Return the point to which the last steps together lead."""
    points = np.array([point for point, _ in trail])
    steps = np.array([step for _, step in trail])
    differences = np.diff(steps, axis=0)
    share, *_ = np.linalg.lstsq(
        (differences * view.precision).T, steps[-1] * view.precision, rcond=1e-10
    )
    return np.asarray(points[-1] + steps[-1] - share @ (np.diff(points, axis=0) + differences))
