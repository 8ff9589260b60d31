"""Expectations for episodes that their model never saw: out of fold, or out of time."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.model_selection import GroupKFold

from riskadj.casemix import CaseMix, CaseMixEncoder
from riskadj.cohort import Cohort
from riskadj.digest import digest_of_frame
from riskadj.errors import ColumnError, InSampleError, TooFewProvidersError
from riskadj.expected.learners import LightGBMExpectation, LinearExpectation
from riskadj.expected.model import Estimator, ExpectationModel, typical_episode
from riskadj.stats import calibration_line
from riskadj.study import Study
from riskadj.study.records import Learner, LightGBMLearner, LinearLearner, Split

SUPPLIED = "reference"
"""The one learner whose expectations come from outside, so that nobody here knows from whom."""
GROUP_COLUMNS = {"provider": "provider_id", "patient": "patient_id"}
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
        Scores are in the instrument's unit; `observed` and `expected` are gains, positive when
        better; `raw` is before recalibration.
    models : mapping of str to ExpectationModel
        By learner; none for a supplied reference.
    learned : mapping of str to tuple of Learned
        By learner, one per member.
    group_column : str
        What folds keep whole.
    digest : str
    """

    casemix: CaseMix
    table: pd.DataFrame
    models: Mapping[str, ExpectationModel]
    learned: Mapping[str, tuple[Learned, ...]]
    group_column: str
    digest: str

    def __post_init__(self) -> None:
        for learner, rows in self.table.groupby("learner", sort=False):
            members = self.learned.get(str(learner), ())
            supplied = learner == SUPPLIED and learner not in self.models
            if not supplied and not rows["fold"].isin(range(len(members))).all():
                raise InSampleError(
                    f"{learner}: wanted to know whom the model of every fold learned from; got "
                    f"{len(members)} folds, and episodes of others. Make them with cross_fit."
                )
            for fold, learned in enumerate(members):
                self._refuse_in_sample(str(learner), rows[rows["fold"] == fold], learned)

    def _refuse_in_sample(self, learner: str, rows: pd.DataFrame, learned: Learned) -> None:
        seen = rows["episode_id"].isin(learned.episode_ids)
        if learned.groups:
            groups = self.cohort.test.set_index("episode_id")[self.group_column]
            seen |= rows["episode_id"].map(groups).isin(learned.groups)
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
    encoder = CaseMixEncoder().fit(casemix.train)
    parts: list[pd.DataFrame] = []
    models: dict[str, ExpectationModel] = {}
    learned: dict[str, tuple[Learned, ...]] = {}
    for learner in study.learners:
        if learner.kind == SUPPLIED:
            raw = cohort.test[f"reference_predicted_{cohort.outcome.definition.measure}"]
            expected = raw.to_numpy(dtype=float)
        else:
            members, learned[learner.kind] = _fit(learner, casemix, encoder, folds, study)
            typical = typical_episode(casemix.train, casemix.columns)
            model = ExpectationModel(
                cohort.outcome.name, learner.kind, casemix.columns, encoder, members, typical
            )
            expected = model.expect_raw(casemix.test, folds.of_test)
            models[learner.kind] = model
        intercept, slope = recalibration(
            cohort.test["observed_score"].to_numpy(), expected, study.recalibration.method
        )
        if learner.kind in models:
            models[learner.kind] = models[learner.kind].recalibrated(intercept, slope)
        parts.append(_rows(cohort, learner.kind, folds.of_test, expected, intercept, slope))
    table = pd.concat(parts, ignore_index=True)
    column = GROUP_COLUMNS[study.split.group]
    digest = digest_of_frame(table, cohort.digest)
    return Expectations(casemix, table, models, learned, column, digest)


def recalibration(
    observed: NDArray[np.float64], expected: NDArray[np.float64], method: str
) -> tuple[float, float]:
    """Return intercept and slope that move expectations to the reference population.

    Parameters
    ----------
    observed, expected : ndarray of shape (n_episodes,)
        Of the reference population.
    method : {"shift", "line", "none"}
        `shift` makes the mean residual 0, as NHS England publishes; `line` also makes the
        calibration slope 1.

    Examples
    --------
    >>> recalibration(np.array([3.0, 5.0]), np.array([1.0, 3.0]), "shift")
    (2.0, 1.0)
    """
    if method == "none":
        return 0.0, 1.0
    if method == "shift":
        return float(np.mean(observed - expected)), 1.0
    intercept, slope = calibration_line(observed, expected)
    return (intercept, slope) if np.isfinite(slope) else (float(np.mean(observed - expected)), 1.0)


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
    codes, _ = pd.factorize(groups)  # in order of appearance: folds do not depend on names
    splitter = GroupKFold(n_splits=split.folds, shuffle=True, random_state=split.seed)
    teaches: list[NDArray[np.intp]] = []
    fold_of: dict[str, int] = {}
    for fold, (inside, outside) in enumerate(splitter.split(codes, groups=codes)):
        teaches.append(inside)
        fold_of |= dict.fromkeys(groups.iloc[outside].unique(), fold)
    of_test = _groups(cohort.test, split).map(fold_of).to_numpy(dtype=np.intp)
    kept = tuple(frozenset(groups.iloc[inside]) for inside in teaches)
    return _Folds(tuple(teaches), of_test, kept)


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


def _fit(
    learner: Learner, casemix: CaseMix, encoder: CaseMixEncoder, folds: _Folds, study: Study
) -> tuple[tuple[Estimator, ...], tuple[Learned, ...]]:
    X = encoder.transform(casemix.train)
    train = casemix.cohort.train
    y = train["observed_score"].to_numpy(dtype=float)
    ids = train["episode_id"].to_numpy()
    make = _MAKERS[learner.kind]
    members = tuple(make(learner, study).fit(X[inside], y[inside]) for inside in folds.teaches)
    learned = tuple(
        Learned(frozenset(ids[inside]), groups)
        for inside, groups in zip(folds.teaches, folds.groups, strict=True)
    )
    return members, learned


def _linear(learner: LinearLearner, _: Study) -> LinearExpectation:
    return LinearExpectation(discrete_up_to=learner.discrete_up_to, ridge=learner.ridge)


def _lightgbm(learner: LightGBMLearner, study: Study) -> LightGBMExpectation:
    return LightGBMExpectation(
        **learner.model_dump(exclude={"kind"}),
        seed=study.split.seed,
        threads=study.compute.threads,
    )


_MAKERS: dict[str, Callable[..., Estimator]] = {"linear": _linear, "lightgbm": _lightgbm}


def _rows(
    cohort: Cohort,
    learner: str,
    fold: NDArray[np.intp],
    raw: NDArray[np.float64],
    intercept: float,
    slope: float,
) -> pd.DataFrame:
    test, direction = cohort.test, cohort.outcome.definition.direction
    expected_score = intercept + slope * raw
    baseline = test["baseline_score"]
    return pd.DataFrame(
        {
            "outcome": cohort.outcome.name,
            "learner": learner,
            "episode_id": test["episode_id"],
            "provider_id": test["provider_id"],
            "period": test["period"],
            "fold": fold,
            "baseline_score": baseline,
            "observed_score": test["observed_score"],
            "expected_score_raw": raw,
            "expected_score": expected_score,
            "observed": direction * (test["observed_score"] - baseline),
            "expected": direction * (expected_score - baseline),
        }
    )[EXPECTATION_COLUMNS]
