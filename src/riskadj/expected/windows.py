"""What episodes cost, and what is expected of them, by component and by window.

The total of every window is expected by the study's first learner of costs. Components are
expected by the same learner, but by a chance and a mean (two parts) where some episodes have none
of a component, and in proportion to the total where hardly any has; then they are scaled so that
those of an episode sum to its expected total, and those of all episodes to what was observed.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from riskadj.casemix import CaseMix
from riskadj.cohort import Cohort
from riskadj.cohort.winsorising import winsorised
from riskadj.digest import digest_of_frame
from riskadj.episodes.columns import COST_PARTS, COST_WINDOWS
from riskadj.errors import ColumnError, EmptyCohortError, StudyError, ValuesError
from riskadj.expected.crossfit import SUPPLIED, cross_fit
from riskadj.stats.cost_parts import rake
from riskadj.study import Outcome, Study
from riskadj.study.learners import Learner, TwoPartLearner

Floats = NDArray[np.float64]

COMPONENTS = ("index", *COST_PARTS)
FEWEST_WITH = 50
"""Episodes that teach and have some of a component, below which it is not modelled."""
TWO_PART = TwoPartLearner(kind="two_part")
HOW = MappingProxyType(
    {
        "learner": "by the learner itself, as every episode has some",
        "two_part": "by the chance of any and the mean of some",
        "total": "in proportion to the total, as hardly any episode has some",
    }
)
"""How a component is expected."""
_CENTS = 0.05
"""By which components and a total that are rounded may differ, in units of the currency."""


@dataclass(frozen=True)
class WindowCosts:
    """Observed and expected costs of the episodes compared.

    Attributes
    ----------
    outcome : Outcome
        The study's cost.
    learner : str
        Its kind.
    windows : tuple of int
        Days, shortest first.
    provider : ndarray of shape (n_episodes,)
    observed, expected : ndarray of shape (n_windows, n_episodes, 5)
        In the order of `COMPONENTS`; both sum to the same over episodes.
    how : mapping of (int, str) to str
        How a component of a window is expected, one of `HOW`.
    capped : mapping of int to float
        By window, the share of cost that capping left out; empty where the study caps nothing.
    incomplete : int
        Episodes that were not compared because the cost of a window is not known.
    digest : str
    """

    outcome: Outcome
    learner: str
    windows: tuple[int, ...]
    provider: NDArray[np.object_]
    observed: Floats
    expected: Floats
    how: dict[tuple[int, str], str]
    capped: dict[int, float]
    incomplete: int
    digest: str


def cost_columns(days: int) -> list[str]:
    """Return the columns of the components of a window, in the order of `COMPONENTS`."""
    return ["cost_index", *(f"cost_{part}_{days}d" for part in COST_PARTS)]


def whole_windows(columns: Iterable[str]) -> tuple[int, ...]:
    """Return the windows of which a table has the total and every component.

    Raises
    ------
    ColumnError
        When there is none.

    Examples
    --------
    >>> whole_windows(["cost_total_30d", "cost_total_90d", *cost_columns(90)])
    (90,)
    """
    known = set(columns)
    found = tuple(
        days for days in COST_WINDOWS if {f"cost_total_{days}d", *cost_columns(days)} <= known
    )
    if not found:
        raise ColumnError(
            "episodes: wanted the total and every component of a window, such as "
            f"cost_total_90d, {', '.join(cost_columns(90))}; there is none. Make episodes of "
            "claims, or add them."
        )
    return found


def expect_windows(casemix: CaseMix, study: Study, outcome: Outcome) -> WindowCosts:
    """Return observed and expected of every window that the episodes have whole.

    Parameters
    ----------
    casemix : CaseMix
    study : Study
    outcome : Outcome
        The study's cost, whose rule of capping holds for the total of every window; the
        components of a capped episode are capped in the same proportion.

    Raises
    ------
    ColumnError
        When no window is whole.
    EmptyCohortError
        When no episode has all of them.
    StudyError
        When no learner expects costs.
    ValuesError
        When components do not sum to the total, or one is negative.
    RiskadjError
        As `cross_fit` raises.
    """
    learner = _first_learner(study, outcome)
    windows = whole_windows(casemix.cohort.columns)
    complete, left = _complete(casemix, windows)
    found = [_expect_window(complete, study, outcome, learner, days) for days in windows]
    observed = np.stack([one.observed for one in found])
    expected = np.stack([one.expected for one in found])
    return WindowCosts(
        outcome=outcome,
        learner=learner.kind,
        windows=windows,
        provider=complete.cohort.test["provider_id"].to_numpy(dtype=object),
        observed=observed,
        expected=expected,
        how={(one.days, name): way for one in found for name, way in one.how.items()},
        capped={one.days: one.capped for one in found} if outcome.winsorise else {},
        incomplete=left,
        digest=_digest(complete.cohort, windows, observed, expected),
    )


# --- parts of these -------------------------------------------------------------------------------


class _Expected(NamedTuple):
    """A window: costs of shape (n_episodes, 5), how they are expected, the share capped."""

    days: int
    observed: Floats
    expected: Floats
    how: dict[str, str]
    capped: float


def _expect_window(
    casemix: CaseMix, study: Study, outcome: Outcome, learner: Learner, days: int
) -> _Expected:
    costs, share = _capped(casemix.cohort, study, outcome, days)
    total = _expect(casemix, study, outcome, learner, costs.sum(axis=1))
    teach = costs.loc[casemix.cohort.train["episode_id"]]
    how = {name: _way(teach[name]) for name in COMPONENTS}
    by = {"learner": learner, "two_part": TWO_PART}
    seed = np.column_stack(
        [
            _expect(casemix, study, outcome, by[way], costs[name]) if way in by else total
            for name, way in how.items()
        ]
    )
    observed = costs.loc[casemix.cohort.test["episode_id"]].to_numpy()
    sums = observed.sum(axis=0)
    expected = rake(seed, total * (sums.sum() / total.sum()), sums)
    return _Expected(days, observed, expected, how, share)


def _first_learner(study: Study, outcome: Outcome) -> Learner:
    """Return the first learner of a cost that is ours."""
    ours = [one for one in study.learners_of(outcome) if one.kind != SUPPLIED]
    if not ours:
        raise StudyError(
            f"learners: wanted one that expects the cost {outcome.name!r}; got none. Add gamma."
        )
    return ours[0]


def _digest(cohort: Cohort, windows: tuple[int, ...], observed: Floats, expected: Floats) -> str:
    names = [f"{side}_{days}_{one}" for side in "oe" for days in windows for one in COMPONENTS]
    flat = np.concatenate([*observed, *expected], axis=1)
    return digest_of_frame(pd.DataFrame(flat, columns=names), cohort.digest)


def _complete(casemix: CaseMix, windows: tuple[int, ...]) -> tuple[CaseMix, int]:
    """Return the episodes whose cost is known in every window, and how many compared are not."""
    cohort = casemix.cohort
    names = [*dict.fromkeys(name for days in windows for name in cost_columns(days))]
    train, test = (part[part[names].notna().all(axis=1)] for part in (cohort.train, cohort.test))
    if train.empty or test.empty:
        raise EmptyCohortError(
            f"episodes: wanted some with every cost to day {windows[-1]}; got none. Leave the "
            "columns of long windows out of the file."
        )
    kept = replace(cohort, train=train.reset_index(drop=True), test=test.reset_index(drop=True))
    return replace(casemix, cohort=kept), len(cohort.test) - len(test)


def _capped(
    cohort: Cohort, study: Study, outcome: Outcome, days: int
) -> tuple[pd.DataFrame, float]:
    """Return components by episode, capped in the proportion of the total, and the share capped."""
    both = pd.concat([cohort.train, cohort.test]).drop_duplicates("episode_id")
    costs = both[cost_columns(days)].astype(float).set_axis([*COMPONENTS], axis=1)
    costs.index = pd.Index(both["episode_id"])
    total = costs.sum(axis=1)
    _check_sums(costs, both[f"cost_total_{days}d"].to_numpy(dtype=float), days)
    both = both.assign(observed_score=total.to_numpy())
    rows, found = winsorised(both, np.ones(len(both), dtype=bool), outcome, study.split)
    if found is None:
        return costs, 0.0
    kept = rows["observed_score"].to_numpy(dtype=float)
    factor = np.divide(kept, total, out=np.ones(len(kept)), where=total.to_numpy() > 0)
    return costs.mul(factor, axis=0), found.share_capped


def _check_sums(costs: pd.DataFrame, total: Floats, days: int) -> None:
    negative = costs.columns[(costs < 0).any()]
    if len(negative):
        raise ValuesError(
            f"cost_{negative[0]}: wanted 0 or more; got {costs[negative[0]].min():g}. Correct the "
            "file."
        )
    off = np.abs(costs.sum(axis=1).to_numpy() - total)
    if (off > _CENTS).any():
        raise ValuesError(
            f"cost_total_{days}d: wanted the sum of {', '.join(cost_columns(days))}; got "
            f"{int((off > _CENTS).sum()):,} episodes that differ, by up to {off.max():,.2f}. "
            "Correct the file."
        )


def _way(teaches: pd.Series) -> str:
    if (teaches > 0).all():
        return "learner"
    return "two_part" if (teaches > 0).sum() >= FEWEST_WITH else "total"


def _expect(
    casemix: CaseMix, study: Study, outcome: Outcome, learner: Learner, costs: pd.Series
) -> Floats:
    """Return what a learner expects of the episodes compared."""
    cohort = casemix.cohort
    of = replace(
        cohort,
        outcome=outcome.model_copy(update={"winsorise": None}),
        train=cohort.train.assign(observed_score=costs.loc[cohort.train["episode_id"]].to_numpy()),
        test=cohort.test.assign(observed_score=costs.loc[cohort.test["episode_id"]].to_numpy()),
    )
    asked = study.model_copy(update={"outcomes": (of.outcome,), "learners": (learner,)})
    found = cross_fit(replace(casemix, cohort=of), asked)
    return np.asarray(found.table["expected"], dtype=float)
