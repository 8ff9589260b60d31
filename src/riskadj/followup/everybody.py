"""Those who answered and those who did not, side by side: case mix, expectation, provider."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from riskadj.casemix import CaseMix, CaseMixEncoder
from riskadj.cohort import Cohort
from riskadj.expected import Expectations
from riskadj.expected.model import moved
from riskadj.expected.recalibrate import recalibration
from riskadj.stats.arrays import Floats
from riskadj.stats.groups import Groups, group_rows
from riskadj.study import Study
from riskadj.study.kinds import LINK_OF, shown

Bools = NDArray[np.bool_]
UNRECORDED = " (not recorded)"


@dataclass(frozen=True)
class Covariates:
    """Case mix as numbers without gaps.

    Attributes
    ----------
    X : ndarray of shape (n_episodes, n_covariates)
        A missing value is the middle one of those that are there, and 1 in a column of its own.
    names : tuple of str
    """

    X: Floats
    names: tuple[str, ...]


@dataclass(frozen=True)
class Everybody:
    """All who were asked: those compared first, then those who did not answer.

    Attributes
    ----------
    observed : ndarray of shape (n_episodes,)
        What is compared; NaN where there is no answer.
    expected : ndarray of shape (n_episodes,)
        By one learner.
    answered : ndarray of bool, shape (n_episodes,)
    groups : Groups
        Of providers.
    least, most : ndarray of shape (n_episodes,)
        What the scale lets the result be, given the score before.
    """

    observed: Floats
    expected: Floats
    answered: Bools
    groups: Groups
    least: Floats
    most: Floats

    @property
    def providers(self) -> NDArray[Any]:
        """Labels, sorted."""
        return self.groups.labels

    @property
    def eligible(self) -> NDArray[np.intp]:
        """Episodes of each provider."""
        return self.groups.sizes

    @property
    def n(self) -> Floats:
        """Answers of each provider."""
        return self.groups.total(self.answered)

    @property
    def residual(self) -> Floats:
        """Observed - expected; 0 where there is no answer, for sums."""
        return np.where(self.answered, self.observed - self.expected, 0.0)


def asked(cohort: Cohort) -> pd.DataFrame:
    """Return the rows of everybody, those compared first."""
    return pd.concat([cohort.test, cohort.unanswered], ignore_index=True)


def covariates_of(casemix: CaseMix) -> Covariates:
    """Return the case mix of everybody as numbers."""
    rows = asked(casemix.cohort)[casemix.names]
    encoder = CaseMixEncoder().fit(rows)
    X = encoder.transform(rows)
    absent = {
        name: rows[name].isna().to_numpy(dtype=float)
        for name in casemix.names
        if rows[name].isna().any()
    }
    filled = np.where(np.isnan(X), _middles(X), X)
    names = (*encoder.features_, *(f"{name}{UNRECORDED}" for name in absent))
    return Covariates(np.column_stack([filled, *absent.values()]), names)


def _middles(X: Floats) -> Floats:
    """Return a value of each column that somebody has, 0 where nobody has one.

    Any would do beside an indicator of what is not recorded. A mean would not: of a level that
    nobody who answered has, it is the only variation among them, next to nothing in size, and
    whoever has the level would seem to be thousands of standard deviations off.
    """
    ranked = np.sort(X, axis=0)  # those not recorded come last
    known = (~np.isnan(X)).sum(axis=0)
    middle = ranked[np.maximum(known - 1, 0) // 2, np.arange(X.shape[1])]
    return np.where(known > 0, middle, 0.0)


def without_expectation(cohort: Cohort) -> Everybody:
    """Return everybody, before any learner has said what to expect."""
    rows, outcome = asked(cohort), cohort.outcome
    before = rows["baseline_score"].to_numpy(dtype=float)
    ends = [
        shown(outcome, outcome.compares.target(outcome, before, np.full(before.size, end)), before)
        for end in outcome.measured.range
    ]
    target = rows["observed_score"].to_numpy(dtype=float)
    return Everybody(
        observed=shown(outcome, target, before),
        expected=np.full(before.size, np.nan),
        answered=np.arange(before.size) < len(cohort.test),
        groups=group_rows(rows["provider_id"].to_numpy()),
        least=np.minimum(*ends),
        most=np.maximum(*ends),
    )


def expected_by(
    everybody: Everybody, expectations: Expectations, learner: str, rows: pd.DataFrame, study: Study
) -> Everybody:
    """Return everybody as one learner expects them; nobody is asked about by who learned of them.

    Parameters
    ----------
    everybody : Everybody
    expectations : Expectations
    learner : str
    rows : DataFrame
        Its rows of the expectations.
    study : Study
    """
    cohort = expectations.cohort
    silent, outcome = cohort.unanswered, cohort.outcome
    score = _expected_score(expectations, learner, rows, study)
    before = silent["baseline_score"].to_numpy(dtype=float)
    here = rows["expected"].to_numpy(dtype=float)
    return replace(everybody, expected=np.concatenate([here, shown(outcome, score, before)]))


def _expected_score(
    expectations: Expectations, learner: str, rows: pd.DataFrame, study: Study
) -> Floats:
    silent, outcome = expectations.cohort.unanswered, expectations.cohort.outcome
    if learner not in expectations.models:
        raw = silent[outcome.measured.supplied].to_numpy(dtype=float)
        link = LINK_OF[outcome.compares.family]
        observed, said = (rows[one].to_numpy() for one in ("observed_score", "expected_score_raw"))
        line = recalibration(observed, said, study.recalibration.method, link)
        return moved(raw, *line, link)
    model, fold = expectations.models[learner], _folds(expectations, rows)
    strangers = fold < 0
    score = np.empty(len(silent))
    if strangers.any():  # no member learned from them: all are asked
        score[strangers] = model.expect(silent[strangers])
    if not strangers.all():
        score[~strangers] = model.expect(silent[~strangers], fold[~strangers])
    return score


def _folds(expectations: Expectations, rows: pd.DataFrame) -> NDArray[np.intp]:
    """Return which member did not learn from each group that has silent episodes; -1: none did."""
    cohort, column = expectations.cohort, expectations.group_column
    if (rows["fold"] == 0).all():
        return np.zeros(len(cohort.unanswered), dtype=np.intp)
    fold_of = dict(zip(cohort.test[column], rows["fold"], strict=True))
    return np.asarray(cohort.unanswered[column].map(fold_of).fillna(-1), dtype=np.intp)
