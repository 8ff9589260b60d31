"""A regression that is fair to named groups, and what that does to all the others.

It is laid over a learner's expectation, so that what trees know is kept, and it is judged out of
fold: a mean residual of 0 among the episodes that teach need not be 0 among others.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from riskadj.cohort.rates import ALL
from riskadj.errors import ArrayError
from riskadj.expected import Expectations, recalibration
from riskadj.expected.crossfit import SUPPLIED
from riskadj.fairness.groupings import Grouping, groupings, published_levels, smallest_cells
from riskadj.fairness.intervals import interval_method
from riskadj.fairness.lessons import Lessons, casemix_coding, lessons_of, without_columns
from riskadj.stats.arrays import Bools, Floats
from riskadj.stats.cluster_accuracy import accuracy_by_cluster, accuracy_difference
from riskadj.stats.clusters import Estimate
from riskadj.stats.fair_regression import fit_fair
from riskadj.stats.predictive_ratios import net_compensation
from riskadj.study import Study
from riskadj.study.kinds import shown

_RESIDUALS = ("mean_residual", "lower95", "upper95")
_FITS = ("r2", "r2_lower95", "r2_upper95", "r2_change", "r2_change_lower95", "r2_change_upper95")
FAIR_COLUMNS = [
    "outcome", "learner", "model", "group", "level", "targeted", "n", "fewest", "providers",
    *_RESIDUALS, "change", *_FITS, "out_of_range",
]  # fmt: skip


class FairModel(NamedTuple):
    """One way to expect, on top of a learner's expectation.

    Attributes
    ----------
    name : str
    penalty : float
        On the squared mean residual of the groups named, in episodes: 1 counts it like the mean
        squared error.
    with_groups : bool
        Whether membership of these groups is a covariate.
    blind : bool
        Whether it knows nothing of the columns of these groups: neither as covariates, nor by the
        learner that it is laid over, which is taught again without them.
    words : str
    """

    name: str
    penalty: float
    with_groups: bool
    blind: bool
    words: str


LEARNER = "learner"
MODELS: Mapping[str, FairModel] = MappingProxyType(
    {
        one.name: one
        for one in (
            FairModel("stacked", 0.0, False, False, "a regression on its expectation and case mix"),
            FairModel(
                "fair",
                np.inf,
                True,
                False,
                "the same, held to a mean residual of 0 in the groups named, membership of which "
                "is a covariate",
            ),
            FairModel(
                "fair_blind",
                np.inf,
                False,
                True,
                "held to it by other case mix alone, on top of the learner taught again without "
                "the columns of the groups named",
            ),
            FairModel(
                "penalised_blind",
                1.0,
                False,
                True,
                "as fair blind, held to it only as far as that costs less than it gains in squares",
            ),
        )
    }
)
"""Beside the learner itself. `stacked` tells what comes of the regression, not the constraint."""


@dataclass(frozen=True)
class FairAdjustment:
    """What being fair to named groups costs in fit, and does to every group.

    Attributes
    ----------
    fair : DataFrame
        The columns of `FAIR_COLUMNS`, a row per model, group and level, `(all)` first. `model`:
        `learner`, or a name in `MODELS`. `targeted`: whether the group is among those named.
        `mean_residual`: mean of observed - expected of what is compared, with an interval of 95 %
        that draws providers; above 0 less is expected of the group than it has, or it is paid less
        than it costs. `change`: from that of the learner. `r2` and its change from that of
        the learner, of what is modelled, in rows of `(all)`. `out_of_range`: share of expectations
        that the outcome cannot have. `fewest`: for disclosure control.
    told : tuple of str
        Which models could not be fitted, and why; and which cannot be known to be blind.
    """

    fair: pd.DataFrame
    told: tuple[str, ...] = ()


no_fair = partial(pd.DataFrame, columns=FAIR_COLUMNS)


def adjust_fairly(expectations: Expectations, study: Study) -> FairAdjustment:
    """Hold named groups to a mean residual of 0, and look at every group, out of fold.

    Parameters
    ----------
    expectations : Expectations
    study : Study
        Its `fairness.fair` says which groups, and on top of which learner; without it, or where
        that learner does not expect the outcome, nothing is done.

    Raises
    ------
    RiskadjError
        As `lessons_of` raises, and `without_columns` where the groups are all of the case mix.

    Notes
    -----
    A blind model knows nothing of the columns that the groups are made of: `without_columns`. What
    other columns tell of them, such as an age band beside an age, it does know.
    """
    rules = study.fairness.fair
    known = {learner for learner, _ in expectations.by_learner()}
    if rules is None or rules.learner not in known:
        return FairAdjustment(no_fair())
    subject = _Subject.of(expectations, rules.learner, study)
    parts, told = [subject.rows(LEARNER, subject.recalibrated)], [*subject.doubts()]
    for model in MODELS.values():
        try:
            expected = subject.expected_by(model)
        except ArrayError as why:
            told.append(f"{subject.outcome}: fair regression {model.name} left out. {why}")
        else:
            parts.append(subject.rows(model.name, expected))
    whole = pd.concat(parts, ignore_index=True)
    return FairAdjustment(whole.assign(outcome=subject.outcome)[FAIR_COLUMNS], tuple(told))


def shown_groups(table: pd.DataFrame, below: int) -> pd.DataFrame:
    """Return rows that may leave: none of a group a level of which is small.

    Parameters
    ----------
    table : DataFrame
        As `fair` in `FairAdjustment`.
    below : int
        Fewer episodes than this are few.
    """
    least = table.groupby(["outcome", "learner", "group"], sort=False)["fewest"].transform("min")
    return table[least >= below].reset_index(drop=True)


@dataclass(frozen=True)
class _Subject:
    """The episodes with what is expected of them, what is known of them, and their groups."""

    expectations: Expectations
    study: Study
    lessons: Lessons
    recalibrated: Floats
    targeted: tuple[Grouping, ...]
    others: tuple[Grouping, ...]

    @classmethod
    def of(cls, expectations: Expectations, learner: str, study: Study) -> "_Subject":
        lessons = lessons_of(expectations, learner, study)
        rows = dict(expectations.by_learner())[learner]
        fair = study.fairness.fair
        named = study.model_copy(
            update={
                "fairness": study.fairness.model_copy(
                    update={"groups": fair.groups if fair else ()}
                )
            }
        )
        targeted = groupings(named, expectations.cohort)
        names = {one.group for one in targeted}
        others = groupings(study, expectations.cohort)
        return cls(
            expectations, study, lessons, rows["expected_score"].to_numpy(dtype=float),
            targeted, tuple(one for one in others if one.group not in names),
        )  # fmt: skip

    @property
    def outcome(self) -> str:
        """Its name."""
        return self.expectations.cohort.outcome.name

    def expected_by(self, model: FairModel) -> Floats:
        """Return what a model expects of every episode, taught without its group."""
        X, asked = self._blind if model.blind else self._knowing
        masks = _masks(self.targeted, self.lessons.teach)
        if model.with_groups:
            X = np.column_stack([X, *masks.astype(float)])
            asked = np.column_stack(
                [asked, *_masks(self.targeted, self.lessons.asked, self.lessons.teach)]
            )
        expected = np.empty(len(asked))
        for inside, outside in self.lessons.folds:
            some = masks[:, inside]
            fit = fit_fair(
                self.lessons.y[inside], X[inside], some[some.any(axis=1)],
                penalty=model.penalty * len(inside),
            )  # fmt: skip
            expected[outside] = fit.expect(asked[outside])
        return self._moved(expected)

    @cached_property
    def _knowing(self) -> tuple[Floats, Floats]:
        """The covariates of those who teach and of those asked about."""
        return _covariates(self.lessons, self.expectations)

    @cached_property
    def _blind(self) -> tuple[Floats, Floats]:
        """The same without the columns of the groups named, and so is the learner under it."""
        columns, learner = {one.column for one in self.targeted}, self.lessons.learner
        only = tuple(one for one in self.study.learners if one.kind == learner)
        study = self.study.model_copy(update={"learners": only})
        blind = without_columns(self.expectations, [*columns], study, "fairness.fair.groups")
        if blind is self.expectations:
            return self._knowing
        return _covariates(lessons_of(blind, learner, study), blind)

    def doubts(self) -> Iterator[str]:
        """Yield a word where a published expectation may know of the groups."""
        learner = next(one for one in self.study.learners if one.kind == self.lessons.learner)
        if learner.kind == SUPPLIED or getattr(learner, "with_reference", False):
            yield (
                f"{self.outcome}: fair blind and penalised blind rest on a published expectation. "
                "What it adjusts for is not known here, so that it may know of the groups named."
            )

    def _moved(self, expected: Floats) -> Floats:
        """Return expectations moved to the episodes compared, unless the study moves none."""
        method = "none" if self.study.recalibration.method == "none" else "shift"
        observed = self.lessons.asked["observed_score"].to_numpy(dtype=float)
        intercept, slope = recalibration(observed, expected, method)
        return intercept + slope * expected

    def rows(self, name: str, expected: Floats) -> pd.DataFrame:
        """Return the rows of one model."""
        asked, outcome = self.lessons.asked, self.expectations.cohort.outcome
        before = asked["baseline_score"].to_numpy(dtype=float)
        target = asked["observed_score"].to_numpy(dtype=float)
        provider = asked["provider_id"].to_numpy()
        o, e, was = (shown(outcome, one, before) for one in (target, expected, self.recalibrated))
        whole = {
            "group": ALL, "level": "", "targeted": False, "n": len(asked), "fewest": len(asked),
            "providers": np.unique(provider).size, "change": float((was - e).mean()),
            **self._fit(target, expected, provider),
            **_residual(o, e, np.ones(len(o), dtype=bool), provider, self._how),
            "out_of_range": self._out_of_range(expected),
        }  # fmt: skip
        by_group = [
            one
            | {"change": float((was - e)[inside].mean())}
            | _residual(o, e, inside, provider, self._how)
            for one, inside in self._groups(provider)
        ]
        table = pd.DataFrame([whole, *by_group]).assign(learner=self.lessons.learner, model=name)
        return table.reindex(columns=FAIR_COLUMNS)

    @cached_property
    def _how(self) -> dict[str, Any]:
        return interval_method(self.study)

    def _fit(self, o: Floats, e: Floats, provider: NDArray[Any]) -> dict[str, float]:
        found = accuracy_by_cluster(o, e, provider, "r2", **self._how)
        if np.array_equal(e, self.recalibrated):
            return dict(zip(_FITS, (*_three(found), 0.0, 0.0, 0.0), strict=True))
        change = accuracy_difference(o, e, self.recalibrated, provider, "r2", **self._how)
        return dict(zip(_FITS, (*_three(found), *_three(change)), strict=True))

    def _out_of_range(self, expected: Floats) -> float:
        outcome = self.expectations.cohort.outcome
        ends = _RANGES.get(outcome.kind, outcome.measured.range)
        return float(np.mean((expected < ends[0]) | (expected > ends[1])))

    def _groups(self, provider: NDArray[Any]) -> Iterator[tuple[dict[str, Any], Bools]]:
        """Yield every level of every group with who is in it."""
        asked, made = self.lessons.asked, (*self.targeted, *self.others)
        also = published_levels(self.study, self.expectations.casemix)
        fewest = smallest_cells(made, also, asked).set_index(["group", "level"])["fewest"]
        for one in made:
            for level, inside in one.members(asked):
                yield {
                    "group": one.group, "level": level, "targeted": one in self.targeted,
                    "n": int(inside.sum()), "fewest": int(fewest[one.group, level]),
                    "providers": np.unique(provider[inside]).size,
                }, inside  # fmt: skip


_RANGES = {
    "responder": (0.0, 1.0),
    "cost": (0.0, np.inf),
    "percentage_change": (-np.inf, 100.0),
}
"""Of what is modelled, where it is not that of the score."""


def _covariates(lessons: Lessons, expectations: Expectations) -> tuple[Floats, Floats]:
    """Return expectation and case mix of the episodes that teach, and of those asked about."""
    code = casemix_coding(expectations.casemix, lessons.teach).code
    return (
        np.column_stack([lessons.expected_teach, code(lessons.teach)]),
        np.column_stack([lessons.expected_asked, code(lessons.asked)]),
    )


def _masks(
    made: Sequence[Grouping], episodes: pd.DataFrame, like: pd.DataFrame | None = None
) -> NDArray[np.bool_]:
    """Return who is in each level of each group; in levels that `like` has, in its order."""
    rows = []
    for one in made:
        found, nobody = dict(one.members(episodes)), np.zeros(len(episodes), dtype=bool)
        known = found if like is None else dict(one.members(like))
        rows += [found.get(level, nobody) for level in known]
    return np.array(rows)


def _residual(
    o: Floats, e: Floats, inside: Bools, provider: NDArray[Any], how: dict[str, Any]
) -> dict[str, float]:
    """Return the mean residual with its interval, which is NaN at a single provider."""
    try:
        found = net_compensation(o, e, inside, provider, **how)
    except ArrayError:
        return dict(zip(_RESIDUALS, (float((o - e)[inside].mean()), np.nan, np.nan), strict=True))
    paid = (-found.value, -found.upper, -found.lower)
    return dict(zip(_RESIDUALS, paid, strict=True))


def _three(found: Estimate) -> tuple[float, float, float]:
    return found.value, found.lower, found.upper
