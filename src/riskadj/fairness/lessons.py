"""Expectations to learn on top of: of episodes that teach, and not learned from them.

Whatever is laid over an expectation (how far social circumstances count, what it takes to be fair
to a group) is learned from episodes, and asked about others. The expectation under it has to come
from outside for both: from models that were not taught by the episode.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from riskadj.casemix import CaseMix, CaseMixEncoder
from riskadj.errors import StudyError, UnknownNameError, did_you_mean
from riskadj.expected import Expectations, cross_fit
from riskadj.expected.crossfit import SUPPLIED
from riskadj.expected.folds import Fold
from riskadj.stats.arrays import Floats
from riskadj.study import Study
from riskadj.study.kinds import Family
from riskadj.study.learners import Learner

INNER_FOLDS = 2
"""Of the episodes that teach, where others are compared: half of them expects the other half."""


@dataclass(frozen=True)
class Lessons:
    """Episodes that teach and that are asked about, with what one learner expects of them.

    Attributes
    ----------
    learner : str
    family : {"gaussian", "binomial", "gamma"}
    teach, asked : DataFrame
        Rows of the cohort; the same ones where the study is cross-fitted.
    expected_teach, expected_asked : ndarray
        On the scale of what is modelled, before recalibration, by models that were not taught by
        the episode.
    folds : tuple of (rows of `teach`, rows of `asked`)
        Every row of `asked` is in one fold, and neither it nor its group teaches there.
    """

    learner: str
    family: Family
    teach: pd.DataFrame
    asked: pd.DataFrame
    expected_teach: Floats
    expected_asked: Floats
    folds: tuple[Fold, ...]

    @property
    def y(self) -> Floats:
        """What is modelled, of the episodes that teach."""
        return np.asarray(self.teach["observed_score"], dtype=float)

    @property
    def provider(self) -> NDArray[np.object_]:
        """Of the episodes that teach."""
        return np.asarray(self.teach["provider_id"])


def lessons_of(expectations: Expectations, learner: str, study: Study) -> Lessons:
    """Return what can be learned on top of the expectations of one learner.

    Where other periods teach than are compared, the learner is taught again by halves of the
    providers (or patients) of the periods that teach, each of which expects the other half; its
    settings are those of the study, not searched again.

    Raises
    ------
    UnknownNameError
        When there are no expectations of such a learner.
    """
    by_learner = dict(expectations.by_learner())
    if learner not in by_learner:
        raise UnknownNameError(
            f"fairness: wanted a learner with expectations ({', '.join(by_learner)}); got "
            f"{learner!r}.{did_you_mean(learner, by_learner)}"
        )
    rows, cohort = by_learner[learner], expectations.cohort
    family, asked = cohort.outcome.compares.family, cohort.test
    raw = rows["expected_score_raw"].to_numpy(dtype=float)
    if study.split.out_of_time:
        teach, before = _expected_among_themselves(expectations, learner, study)
        everybody = (np.arange(len(teach)), np.arange(len(asked)))
        return Lessons(learner, family, teach, asked, before, raw, (everybody,))
    fold = rows["fold"].to_numpy()
    folds = tuple((np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in np.unique(fold))
    return Lessons(learner, family, asked, asked, raw, raw, folds)


def without_columns(
    expectations: Expectations,
    columns: Sequence[str],
    study: Study,
    where: str = "fairness.social.columns",
) -> Expectations:
    """Return expectations from case mix without some columns, taught again where it held any.

    A supplied expectation stays as it is: what it adjusts for is not known here. `where` is what
    of the study names the columns.

    Raises
    ------
    StudyError
        When no case mix would be left.
    """
    casemix = expectations.casemix
    kept = tuple(one for one in casemix.columns if one.name not in columns)
    if len(kept) == len(casemix.columns):
        return expectations
    if not kept:
        raise StudyError(f"{where}: wanted case mix besides; got all of it. Leave some out.")
    learners = tuple(_without_signs(one, columns) for one in study.learners)
    return cross_fit(
        replace(casemix, columns=kept), study.model_copy(update={"learners": learners})
    )


def _without_signs(learner: Learner, columns: Sequence[str]) -> Learner:
    """Return a learner that demands nothing of columns that it does not get."""
    signs = getattr(learner, "monotone", None)
    if not signs:
        return learner
    kept = {name: sign for name, sign in signs.items() if name not in columns}
    return learner.model_copy(update={"monotone": kept})


def _expected_among_themselves(
    expectations: Expectations, learner: str, study: Study
) -> tuple[pd.DataFrame, Floats]:
    """Return the episodes that teach, and what halves of them expect of each other."""
    cohort = expectations.cohort
    if learner == SUPPLIED:
        name = str(cohort.outcome.measured.supplied)
        teach = cohort.train[cohort.train[name].notna()].reset_index(drop=True)
        return teach, teach[name].to_numpy(dtype=float)
    asked_of = next(one for one in study.learners if one.kind == learner)
    given = {"tune": 0} if getattr(asked_of, "tune", 0) else {}
    split = study.split.model_copy(update={"test": study.split.train, "folds": INNER_FOLDS})
    inner = study.model_copy(
        update={"split": split, "learners": (asked_of.model_copy(update=given),)}
    )
    casemix = replace(expectations.casemix, cohort=replace(cohort, test=cohort.train))
    again = cross_fit(casemix, inner)
    return cohort.train, again.table["expected_score_raw"].to_numpy(dtype=float)


# --- columns as numbers ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Coding:
    """How columns become numbers without gaps.

    Attributes
    ----------
    names : tuple of str
        Of the numbers.
    code : callable
        From episodes to an array of shape (n_episodes, n_numbers).
    """

    names: tuple[str, ...]
    code: Callable[[pd.DataFrame], Floats]


def coding_of(columns: Sequence[str], like: pd.DataFrame) -> Coding:
    """Return how columns become numbers: as they are, text as one per level but the commonest.

    A missing number is the mean of `like`, and 1 in a column of its own; a missing text is a level.

    Parameters
    ----------
    columns : sequence of str
    like : DataFrame
        Episodes whose levels and means count.

    Examples
    --------
    >>> like = pd.DataFrame({"sex": ["f", "f", "m"], "age": [60.0, None, 70.0]})
    >>> coding = coding_of(["sex", "age"], like)
    >>> coding.names
    ('sex=m', 'age', 'age (not recorded)')
    >>> coding.code(like).tolist()
    [[0.0, 60.0, 0.0], [0.0, 65.0, 1.0], [1.0, 70.0, 0.0]]
    """
    names = list(columns)
    encoder = CaseMixEncoder().fit(like[names])
    commonest = {
        f"{name}={like[name].value_counts().sort_index().idxmax()}"
        for name in encoder.levels_
        if like[name].notna().any()
    }
    kept = np.flatnonzero([one not in commonest for one in encoder.features_])
    absent = [name for name in names if like[name].isna().any()]
    first = encoder.transform(like[names])[:, kept]
    texts = np.array([encoder.sources_[one] in encoder.levels_ for one in kept], dtype=bool)
    known = ~np.isnan(first)
    mean = np.where(known, first, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    fill = np.where(texts, 0.0, mean)

    def code(episodes: pd.DataFrame) -> Floats:
        X = encoder.transform(episodes[names])[:, kept]
        gaps = [episodes[name].isna().to_numpy(dtype=float) for name in absent]
        return np.column_stack([np.where(np.isnan(X), fill, X), *gaps])

    labels = [encoder.features_[one] for one in kept]
    return Coding((*labels, *(f"{one} (not recorded)" for one in absent)), code)


def casemix_coding(casemix: CaseMix, like: pd.DataFrame) -> Coding:
    """Return how the case mix becomes numbers."""
    return coding_of(casemix.names, like)
