"""The same models, taught without each group of providers in turn.

They say how far an answer hangs on the providers who happened to teach. Whom a model was taught by
does not matter here: what is compared is two answers about the same episode, never an answer with
what was observed.
"""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import clone

from riskadj.cohort import Cohort
from riskadj.expected import ExpectationModel, Expectations, grouped_folds
from riskadj.expected.makers import lesson, teach
from riskadj.stats.clusters import FEWEST
from riskadj.study import Study

GROUPS = 10
"""Of providers; as many models of a formula are taught in a second or two."""
GROUPS_OF_TREES = 5
"""Where there are no folds; seconds each."""
TREES = frozenset({"lightgbm", "ceiling", "stacked"})
NOT_AGAIN = frozenset({"stacked"})
"""Learners that are not taught again where there are no folds: minutes each."""
Groups = NDArray[np.intp]


@dataclass(frozen=True)
class LeftOut:
    """Providers in groups, and the models that each of them taught nothing.

    Attributes
    ----------
    n_groups : int
        1 where everybody who is asked about is in one group: then nothing can be left out.
    asked, silent : ndarray of int
        The group of the provider of every episode compared, and of those that did not answer; -1
        where a provider has no episodes and is in no group.
    models : tuple of ExpectationModel
        By group; empty where nothing is taught, or not again.
    """

    n_groups: int
    asked: Groups
    silent: Groups
    models: tuple[ExpectationModel, ...]


def leave_out_groups(expectations: Expectations, learner: str, study: Study) -> LeftOut:
    """Return groups of providers, and a learner's models taught without each.

    Trees that have folds of whole providers have such models already. Else a learner is taught
    without each of `GROUPS` groups, or `GROUPS_OF_TREES`, with the settings it has; without any
    group, and so nothing, where there is one provider.

    Parameters
    ----------
    expectations : Expectations
    learner : str
    study : Study
    """
    cohort, split = expectations.cohort, study.split
    model = expectations.models.get(learner)
    if learner in TREES and model and not split.out_of_time and split.group == "provider":
        rows = dict(expectations.by_learner())[learner]
        group = rows.groupby("provider_id")["fold"].first()
        models = tuple(replace(model, members=(one,)) for one in model.members)
    else:
        group = _group_of(cohort, GROUPS_OF_TREES if learner in TREES else GROUPS, split.seed)
        models = _taught_again(expectations, learner, group, study)
    asked = _of(cohort.test, group)
    n_groups = int(group.max()) + 1 if np.unique(asked).size > 1 else 1
    return LeftOut(n_groups, asked, _of(cohort.unanswered, group), models)


def _group_of(cohort: Cohort, groups: int, seed: int) -> "pd.Series[int]":
    """Return the group of each provider, by its name."""
    provider = pd.concat(
        [cohort.train["provider_id"], cohort.test["provider_id"]], ignore_index=True
    )
    groups = min(groups, provider.nunique())
    if groups < FEWEST:
        return pd.Series(0, index=provider.unique())
    group = pd.Series(0, index=provider.index)
    for number, (_, outside) in enumerate(grouped_folds(provider, groups, seed)):
        group.iloc[outside] = number
    return group.groupby(provider).first()


def _taught_again(
    expectations: Expectations, learner: str, group: "pd.Series[int]", study: Study
) -> tuple[ExpectationModel, ...]:
    model = expectations.models.get(learner)
    if model is None or learner in NOT_AGAIN or group.max() + 1 < FEWEST:
        return ()
    asked_of = next(
        one for one in study.learners_of(expectations.cohort.outcome) if one.kind == learner
    )
    whole, mine = lesson(asked_of, expectations.casemix), _of(expectations.cohort.train, group)
    return tuple(
        replace(
            model,
            members=(teach(clone(model.members[0]), whole.of(np.flatnonzero(mine != number))),),
        )
        for number in range(int(group.max()) + 1)
    )


def _of(episodes: pd.DataFrame, group: "pd.Series[int]") -> Groups:
    if episodes.empty:
        return np.empty(0, dtype=np.intp)
    return np.asarray(episodes["provider_id"].map(group).fillna(-1), dtype=np.intp)
