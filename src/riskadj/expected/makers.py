"""From a study's learners to fitted ones: what each is made of, and what it is taught with."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from riskadj.casemix import CaseMix, CaseMixEncoder
from riskadj.engine import in_use
from riskadj.episodes import Column
from riskadj.episodes.mapped import room_for
from riskadj.errors import StudyError, did_you_mean
from riskadj.expected.ceiling import CeilingExpectation
from riskadj.expected.cost_learners import (
    GammaExpectation,
    LogSmearingExpectation,
    TweedieExpectation,
    TwoPartExpectation,
)
from riskadj.expected.folds import Fold, grouped_folds, last_period
from riskadj.expected.learners import LightGBMExpectation, LinearExpectation
from riskadj.expected.nets import NetExpectation
from riskadj.expected.parts import PartsExpectation, score_parts
from riskadj.expected.stacked import StackedExpectation
from riskadj.expected.tuning import (
    COST_SPACE,
    LIGHTGBM_SPACE,
    LINEAR_SPACE,
    TWEEDIE_SPACE,
    Space,
    Tuning,
    tune,
)
from riskadj.study import Outcome, Study
from riskadj.study.learners import (
    CeilingLearner,
    Learner,
    LightGBMLearner,
    LinearLearner,
    StackedLearner,
)

TUNING_FOLDS = 3
"""Of the providers who teach, where one period teaches; several are tuned on their last one."""


@dataclass(frozen=True)
class Lesson:
    """What a learner is taught with.

    Attributes
    ----------
    columns : tuple of Column
        The inputs: the case mix and, for a stack with the reference, the supplied expectation.
    encoder : CaseMixEncoder
    X : ndarray of shape (n_episodes, n_features)
    y : ndarray of shape (n_episodes,)
        What is modelled.
    provider, period : ndarray of shape (n_episodes,)
    parts : ndarray of shape (n_episodes, n_parts) or None
        Of which the scores are sums.
    """

    columns: tuple[Column, ...]
    encoder: CaseMixEncoder
    X: NDArray[np.float64]
    y: NDArray[np.float64]
    provider: NDArray[Any]
    period: NDArray[Any]
    parts: NDArray[np.float64] | None

    def of(self, rows: NDArray[np.intp]) -> "Lesson":
        """Return the lesson of some of the episodes."""
        if len(rows) == len(self.y) and (np.diff(rows) == 1).all():
            return self
        return replace(
            self,
            X=self.X[rows],
            y=self.y[rows],
            provider=self.provider[rows],
            period=self.period[rows],
            parts=None if self.parts is None else self.parts[rows],
        )

    @property
    def inner_folds(self) -> tuple[Fold, ...] | None:
        """The last period asked about, where several teach; otherwise folds are the learner's."""
        return last_period(self.period) if len(np.unique(self.period)) > 1 else None


def lesson(learner: Learner, casemix: CaseMix) -> Lesson:
    """Return what a learner is taught with, of all episodes that teach."""
    cohort = casemix.cohort
    columns = inputs(learner, casemix)
    train = cohort.train
    encoder = CaseMixEncoder().fit(train[[one.name for one in columns]])
    y = train["observed_score"].to_numpy(dtype=float)
    return Lesson(
        columns,
        encoder,
        _encoded(encoder, train[[one.name for one in columns]]),
        y,
        train["provider_id"].to_numpy(),
        train["period"].to_numpy(),
        _parts(learner, cohort.outcome, train, y),
    )


def _encoded(encoder: CaseMixEncoder, casemix: pd.DataFrame) -> NDArray[np.float64]:
    """Return the whole matrix; a large one mapped, so that encoding needs a block of it at once."""
    X = room_for(len(encoder.features_), len(casemix))
    for rows in in_use().cuts(len(casemix)):
        X[rows] = encoder.transform(casemix.iloc[rows])
    return X


def inputs(learner: Learner, casemix: CaseMix) -> tuple[Column, ...]:
    """Return the columns that a learner takes.

    Raises
    ------
    StudyError
        When it is to take the supplied expectation and the episodes have none.
    """
    if not (isinstance(learner, StackedLearner) and learner.with_reference):
        return casemix.columns
    cohort = casemix.cohort
    name = cohort.outcome.measured.supplied
    if name is None or name not in cohort.columns:
        column = repr(name) if name else f"an expectation of {cohort.outcome.name}"
        raise StudyError(
            f"learners: stacked: wanted {column} in the episodes, as with_reference is true; "
            "there is none. Add it, or set with_reference to false."
        )
    return (*casemix.columns, cohort.columns[name])


def _parts(
    learner: Learner, outcome: Outcome, train: pd.DataFrame, y: NDArray[np.float64]
) -> NDArray[np.float64] | None:
    if not isinstance(learner, StackedLearner) or outcome.compares.family != "gaussian":
        return None
    items = train.filter(regex=outcome.measured.items or "^$")
    scored = outcome.compares.of_score and items.shape[1] > 0
    return score_parts(y, items if scored else None)


def make(learner: Learner, casemix: CaseMix, study: Study, taught: Lesson) -> Any:
    """Return the learner that a study asks for, not fitted yet."""
    return _MAKERS[learner.kind](learner, casemix, study, taught)


def _linear(learner: LinearLearner, casemix: CaseMix, _: Study, __: Lesson) -> LinearExpectation:
    settings = learner.model_dump(exclude={"kind", "tune"})
    return LinearExpectation(**settings, family=casemix.cohort.outcome.compares.family)


def _lightgbm(
    learner: LightGBMLearner, casemix: CaseMix, study: Study, taught: Lesson
) -> LightGBMExpectation:
    settings = learner.model_dump(exclude={"kind", "tune", "monotone", "objective"})
    family = casemix.cohort.outcome.compares.family
    return LightGBMExpectation(
        **settings,
        family=learner.objective if family == "gamma" else family,
        monotone=_signs(learner.monotone, taught),
        seed=study.split.seed,
        threads=study.compute.threads,
    )


def _signs(by_column: Mapping[str, int], taught: Lesson) -> dict[int, int] | None:
    """Return by feature what a study says by column."""
    names = [one.name for one in taught.columns]
    for name in by_column:
        if name not in names:
            raise StudyError(
                f"learners: lightgbm.monotone: wanted columns of the case mix; got {name!r}."
                f"{did_you_mean(name, names)}"
            )
    sources = taught.encoder.sources_
    return {
        place: by_column[source] for place, source in enumerate(sources) if source in by_column
    } or None


def _ceiling(
    learner: CeilingLearner, casemix: CaseMix, study: Study, _: Lesson
) -> CeilingExpectation:
    seed, threads = study.split.seed, study.compute.threads
    return CeilingExpectation(
        LightGBMExpectation(
            family="binomial", trees=learner.trees_at_best, seed=seed, threads=threads
        ),
        LightGBMExpectation(trees=learner.trees_below, seed=seed, threads=threads),
        best=casemix.cohort.outcome.measured.best,
    )


def _stacked(
    learner: StackedLearner, casemix: CaseMix, study: Study, _: Lesson
) -> StackedExpectation:
    family = casemix.cohort.outcome.compares.family
    seed, threads = study.split.seed, study.compute.threads
    members: list[Any] = [
        LinearExpectation(family=family),
        LightGBMExpectation(family=family, seed=seed, threads=threads),
    ]
    if family == "gaussian":
        by_parts = LightGBMExpectation(
            trees=learner.trees_by_parts, leaves=learner.leaves_by_parts, learning_rate=0.05,
            seed=seed, threads=threads,
        )  # fmt: skip
        members += [PartsExpectation(by_parts), NetExpectation(nets=learner.nets, seed=seed)]
    if family == "gamma":
        members.append(TwoPartExpectation())
    return StackedExpectation(members, folds=learner.folds, seed=seed, family=family)


def _of_costs(made: type[Any]) -> Callable[..., Any]:
    return lambda learner, *_: made(**learner.model_dump(exclude={"kind", "tune"}))


_MAKERS: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {
        "linear": _linear,
        "lightgbm": _lightgbm,
        "ceiling": _ceiling,
        "stacked": _stacked,
        "gamma": _of_costs(GammaExpectation),
        "tweedie": _of_costs(TweedieExpectation),
        "two_part": _of_costs(TwoPartExpectation),
        "log_smearing": _of_costs(LogSmearingExpectation),
    }
)
SPACES: Mapping[str, Space] = MappingProxyType(
    {
        "linear": LINEAR_SPACE,
        "lightgbm": LIGHTGBM_SPACE,
        "gamma": COST_SPACE,
        "tweedie": TWEEDIE_SPACE,
        "two_part": COST_SPACE,
        "log_smearing": COST_SPACE,
    }
)
"""Settings that are searched, by kind of learner."""


def tuned(maker: Any, learner: Learner, taught: Lesson, seed: int) -> Tuning | None:
    """Search the settings of a learner among the episodes that teach; None when not asked to."""
    trials = getattr(learner, "tune", 0)
    if not trials:
        return None
    folds: Sequence[Fold] = taught.inner_folds or grouped_folds(taught.provider, TUNING_FOLDS, seed)
    return tune(
        maker, SPACES[learner.kind], taught.X, taught.y, folds,
        trials=trials, seed=seed, groups=taught.provider,
    )  # fmt: skip


def teach(maker: Any, taught: Lesson) -> Any:
    """Return the learner, taught."""
    extra: dict[str, Any] = {"groups": taught.provider}
    if isinstance(maker, StackedExpectation):
        extra |= {"folds": taught.inner_folds, "parts": taught.parts}
    return maker.fit(taught.X, taught.y, **extra)
