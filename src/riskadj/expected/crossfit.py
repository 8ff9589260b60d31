"""Expectations for episodes that their model never saw: out of fold, or out of time."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import clone

from riskadj.casemix import CaseMix
from riskadj.cohort import Cohort
from riskadj.digest import digest_of_frame
from riskadj.episodes.mapped import joined
from riskadj.errors import ColumnError, InSampleError, TooFewProvidersError
from riskadj.expected.folds import grouped_folds
from riskadj.expected.makers import Lesson, lesson, make, teach, tuned
from riskadj.expected.model import ExpectationModel, moved, typical_episode
from riskadj.expected.recalibrate import recalibration
from riskadj.expected.tuning import Tuning
from riskadj.study import Study
from riskadj.study.kinds import LINK_OF, shown
from riskadj.study.learners import Learner, Split

SUPPLIED = "reference"
"""The one learner whose expectations come from outside, so that nobody here knows from whom."""
GROUP_COLUMNS = {"provider": "provider_id", "patient": "patient_id", "episode": "episode_id"}
EXPECTATION_COLUMNS = [
    "outcome", "learner", "episode_id", "provider_id", "period", "fold", "baseline_score",
    "observed_score", "expected_score_raw", "expected_score", "observed", "expected",
]  # fmt: skip


@dataclass(frozen=True)
class Learned:
    """Whom a member of a model learned from.

    Attributes
    ----------
    episode_ids : frozenset of str
    groups : frozenset of str
        Providers or patients kept out of the member's own fold; empty when out of time.
    """

    episode_ids: frozenset[str]
    groups: frozenset[str]


@dataclass(frozen=True)
class Expectations:
    """Observed and expected of every episode compared, by every learner.

    On construction, every expectation but a supplied reference is checked to be for an episode
    that its model did not learn from.

    Attributes
    ----------
    casemix : CaseMix
    table : DataFrame
        A row per learner and episode: `outcome, learner, episode_id, provider_id, period, fold,
        baseline_score, observed_score, expected_score_raw, expected_score, observed, expected`.
        Scores are what is modelled: the score after, a percentage, or 1 and 0 with the chance of
        1; `observed` and `expected` are what is compared, gains positive when better; `raw` is
        before recalibration.
    models : mapping of str to ExpectationModel
        By learner; none for a supplied reference.
    learned : mapping of str to tuple of Learned
        By learner, one per member.
    group_column : str
        What folds keep whole.
    digest : str
    searches : mapping of str to tuple of Tuning
        By learner that was tuned, one per member.
    shifts : mapping of str to Series
        By learner: how far each provider's mean expectation is moved by slopes within providers.
    """

    casemix: CaseMix
    table: pd.DataFrame
    models: Mapping[str, ExpectationModel]
    learned: Mapping[str, tuple[Learned, ...]]
    group_column: str
    digest: str
    searches: Mapping[str, tuple[Tuning, ...]] = field(default_factory=dict)
    shifts: Mapping[str, pd.Series] = field(default_factory=dict)

    def __post_init__(self) -> None:
        looked_at = self.table[["learner", "fold", "episode_id"]]
        for learner, rows in looked_at.groupby("learner", sort=False):
            members = self.learned.get(str(learner), ())
            supplied = learner == SUPPLIED and learner not in self.models
            if not supplied and not rows["fold"].isin(range(len(members))).all():
                raise InSampleError(
                    f"{learner}: wanted to know whom the model of every fold learned from; got "
                    f"{len(members)} folds, and episodes of others. Make them with cross_fit."
                )
            for fold, learned in enumerate(members):
                ids = rows.loc[rows["fold"] == fold, "episode_id"]
                self._refuse_in_sample(str(learner), ids, learned)

    def _refuse_in_sample(self, learner: str, ids: pd.Series, learned: Learned) -> None:
        # One by one: pandas would make a list of all whom the model learned from, and a text each.
        seen = np.fromiter((one in learned.episode_ids for one in ids), dtype=bool, count=len(ids))
        if learned.groups:
            groups = self.cohort.test.set_index("episode_id", drop=False)[self.group_column]
            seen |= ids.map(groups).isin(learned.groups).to_numpy()
        if seen.any():
            raise InSampleError(
                f"{learner}: wanted expectations for episodes and groups that the model did not "
                f"learn from; got {int(seen.sum()):,} that it did. Expect them out of fold or out "
                "of time."
            )

    @property
    def cohort(self) -> Cohort:
        """The cohort that was expected for."""
        return self.casemix.cohort

    def uses_within(self, learner: str) -> bool:
        """Whether the expectations of a learner in `shifts` are those with such slopes."""
        return bool(self.models[learner].members[0].slopes == "within")

    def by_learner(self) -> Iterator[tuple[str, pd.DataFrame]]:
        """Yield each learner with its rows, in the order of the cohort's episodes."""
        for learner, rows in self.table.groupby("learner", sort=False):
            yield str(learner), rows


def cross_fit(casemix: CaseMix, study: Study) -> Expectations:
    """Expect every episode compared, by every learner of a study, then recalibrate.

    Periods that teach and are compared are expected out of fold, with providers or patients kept
    whole; periods that are only compared, out of time.

    Raises
    ------
    ColumnError
        When folds are to keep patients whole and the episodes have no `patient_id`.
    TooFewProvidersError
        When there are fewer groups than folds.
    """
    cohort = casemix.cohort
    folds = _folds(cohort, study.split)
    whom = _learned(cohort, folds)  # of every learner the same, and large
    parts: list[pd.DataFrame] = []
    models: dict[str, ExpectationModel] = {}
    learned: dict[str, tuple[Learned, ...]] = {}
    searches: dict[str, tuple[Tuning, ...]] = {}
    shifts: dict[str, pd.Series] = {}
    link = LINK_OF[cohort.outcome.compares.family]
    for learner in study.learners_of(cohort.outcome):
        if learner.kind == SUPPLIED:
            raw = cohort.test[cohort.outcome.measured.supplied]
            expected = raw.to_numpy(dtype=float)
        else:
            fitted = _fit(learner, casemix, folds, study)
            models[learner.kind], learned[learner.kind] = fitted.model, whom
            expected = fitted.model.expect_raw(cohort.test, folds.of_test)
            if fitted.searches:
                searches[learner.kind] = fitted.searches
            if fitted.other is not None:
                other = fitted.other.expect_raw(cohort.test, folds.of_test)
                within = getattr(learner, "slopes", "") == "within"
                shifts[learner.kind] = _shift(
                    expected - other if within else other - expected, cohort
                )
        intercept, slope = recalibration(
            cohort.test["observed_score"].to_numpy(), expected, study.recalibration.method, link
        )
        if learner.kind in models:
            models[learner.kind] = models[learner.kind].recalibrated(intercept, slope)
        expected_score = moved(expected, intercept, slope, link)
        parts.append(_rows(cohort, learner.kind, folds.of_test, expected, expected_score))
    table = joined(parts)
    column = GROUP_COLUMNS[study.split.group]
    digest = digest_of_frame(table, cohort.digest)
    return Expectations(casemix, table, models, learned, column, digest, searches, shifts)


def _shift(difference: NDArray[np.float64], cohort: Cohort) -> pd.Series:
    """Return by provider how far its mean expectation moves, against that of all episodes."""
    away = pd.Series(difference - difference.mean())
    return away.groupby(cohort.test["provider_id"].to_numpy()).mean()


@dataclass(frozen=True)
class _Folds:
    """Positions in the cohort: which episodes teach each member, and whom it is asked about."""

    teaches: tuple[NDArray[np.intp], ...]
    of_test: NDArray[np.intp]
    groups: tuple[frozenset[str], ...]


def _folds(cohort: Cohort, split: Split) -> _Folds:
    n_train, n_test = len(cohort.train), len(cohort.test)
    if split.out_of_time:
        return _Folds((np.arange(n_train),), np.zeros(n_test, dtype=np.intp), (frozenset(),))
    groups = _groups(cohort.train, split)
    teaches: list[NDArray[np.intp]] = []
    fold_of: dict[str, int] = {}
    for fold, (inside, outside) in enumerate(grouped_folds(groups, split.folds, split.seed)):
        teaches.append(inside)
        fold_of |= dict.fromkeys(groups.iloc[outside].unique(), fold)
    of_test = _groups(cohort.test, split).map(fold_of).to_numpy(dtype=np.intp)
    kept = tuple(frozenset(groups.iloc[inside]) for inside in teaches)
    return _Folds(tuple(teaches), of_test, kept)


def _learned(cohort: Cohort, folds: _Folds) -> tuple[Learned, ...]:
    """Return whom each member learns from."""
    ids = cohort.train["episode_id"].to_numpy()
    return tuple(
        Learned(frozenset(ids[inside]), groups)
        for inside, groups in zip(folds.teaches, folds.groups, strict=True)
    )


def _groups(part: pd.DataFrame, split: Split) -> pd.Series:
    name = GROUP_COLUMNS[split.group]
    if name not in part.columns or part[name].isna().any():
        raise ColumnError(
            f"split.group: wanted {name!r} for every episode; the episodes lack it. Add it, or "
            "set split.group to provider."
        )
    if part[name].nunique() < split.folds:
        raise TooFewProvidersError(
            f"split.folds: wanted {split.folds} or more different values of {name!r}; got "
            f"{part[name].nunique()}. Lower split.folds."
        )
    return part[name]


@dataclass(frozen=True)
class _Fitted:
    """A learner of every fold; `other` is the same with its slopes learned the other way."""

    model: ExpectationModel
    searches: tuple[Tuning, ...]
    other: ExpectationModel | None


def _fit(learner: Learner, casemix: CaseMix, folds: _Folds, study: Study) -> _Fitted:
    whole = lesson(learner, casemix)
    cohort = casemix.cohort
    lessons = [whole.of(inside) for inside in folds.teaches]
    makers = [make(learner, casemix, study, whole) for _ in lessons]
    searches = [
        tuned(maker, learner, taught, study.split.seed)
        for maker, taught in zip(makers, lessons, strict=True)
    ]
    for maker, search in zip(makers, searches, strict=True):
        maker.set_params(**(search.settings if search else {}))
    model = ExpectationModel(
        cohort.outcome.name,
        learner.kind,
        whole.columns,
        whole.encoder,
        tuple(teach(clone(one), taught) for one, taught in zip(makers, lessons, strict=True)),
        typical_episode(cohort.train, whole.columns),
        LINK_OF[cohort.outcome.compares.family],
    )
    other = _with_other_slopes(learner, model, makers, lessons)
    return _Fitted(model, tuple(one for one in searches if one), other)


def _with_other_slopes(
    learner: Learner, model: ExpectationModel, makers: list[Any], lessons: list[Lesson]
) -> ExpectationModel | None:
    """Return the same learner with pooled slopes for within, and (where cheap) the reverse."""
    slopes = getattr(learner, "slopes", None)
    if slopes is None or (slopes == "pooled" and learner.kind != "linear"):
        return None
    others = [clone(one).set_params(slopes=_OTHER[slopes]) for one in makers]
    members = tuple(teach(one, taught) for one, taught in zip(others, lessons, strict=True))
    return replace(model, members=members)


_OTHER = {"pooled": "within", "within": "pooled"}


def _rows(
    cohort: Cohort,
    learner: str,
    fold: NDArray[np.intp],
    raw: NDArray[np.float64],
    expected_score: NDArray[np.float64],
) -> pd.DataFrame:
    test, outcome = cohort.test, cohort.outcome
    baseline = test["baseline_score"].to_numpy(dtype=float)
    observed_score = test["observed_score"].to_numpy(dtype=float)
    return pd.DataFrame(
        {
            "outcome": outcome.name,
            "learner": learner,
            "episode_id": test["episode_id"],
            "provider_id": test["provider_id"],
            "period": test["period"],
            "fold": fold,
            "baseline_score": baseline,
            "observed_score": observed_score,
            "expected_score_raw": raw,
            "expected_score": expected_score,
            "observed": shown(outcome, observed_score, baseline),
            "expected": shown(outcome, expected_score, baseline),
        }
    )[EXPECTATION_COLUMNS]


def never_in_sample(verb: str, given: object) -> None:
    """Refuse whatever else a verb is given than `Expectations`, which cannot be in-sample.

    Raises
    ------
    InSampleError
    """
    if not isinstance(given, Expectations):
        raise InSampleError(
            f"{verb}: wanted Expectations, which are never in-sample; got "
            f"{type(given).__name__}. Make them with cross_fit."
        )
