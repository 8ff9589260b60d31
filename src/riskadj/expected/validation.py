"""Would expectations do as well elsewhere? Each provider and each period is left out in turn.

Internal-external validation: a learner is taught without some clusters and asked about them, until
all have been asked about; the figures of clusters are then pooled (Royston, Parmar and Sylvester
2004, Stat Med 23:907-926; Riley and others 2016, BMJ 353:i3140). Nothing is recalibrated here:
whether the level would be right elsewhere is part of the question.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import clone

from riskadj.casemix import CaseMix
from riskadj.errors import (
    ArrayError,
    InSampleError,
    NoVariationError,
    StudyError,
    TooFewProvidersError,
)
from riskadj.expected.crossfit import GROUP_COLUMNS, Learned
from riskadj.expected.evaluate import KIND_OF, VALIDATION_COLUMNS
from riskadj.expected.folds import Fold, grouped_folds
from riskadj.expected.makers import lesson, make, teach, tuned
from riskadj.stats import (
    Estimate,
    accuracy_by_cluster,
    assess_calibration,
    discrimination,
    pool_estimates,
)
from riskadj.study import Study
from riskadj.study.kinds import Family
from riskadj.study.learners import Learner

Floats = NDArray[np.float64]
CLUSTERS: Mapping[str, str] = MappingProxyType(
    {"provider": GROUP_COLUMNS["provider"], "period": "period"}
)
"""What can be left out, and the column that says whose episode it is."""
FEWEST_EPISODES = 30
"""Of a cluster that has figures of its own."""
FEWEST_EVENTS = 10
"""The same of episodes with an event, and of episodes without."""


@dataclass(frozen=True)
class LeftOut:
    """What is expected of episodes whose provider, or whose period, taught nothing.

    On construction every episode is checked to be of a cluster that its model did not learn from.

    Attributes
    ----------
    left_out : {"provider", "period"}
    table : DataFrame
        A row per episode: `episode_id, provider_id, period, observed_score, fold,
        expected_score_raw, outcome, learner`; on what is modelled, not recalibrated.
    learned : tuple of Learned
        By fold; `groups` are the providers, or the periods, that taught.
    """

    left_out: str
    table: pd.DataFrame
    learned: tuple[Learned, ...]

    def __post_init__(self) -> None:
        if not self.table["fold"].isin(range(len(self.learned))).all():
            raise InSampleError(
                f"validation by {self.left_out}: wanted to know whom the model of every fold "
                f"learned from; got {len(self.learned)} folds, and episodes of others. Make it "
                "with leave_out."
            )
        seen = sum(
            len(self._seen(self.table[self.table["fold"] == fold], one))
            for fold, one in enumerate(self.learned)
        )
        if seen:
            raise InSampleError(
                f"validation by {self.left_out}: wanted episodes of {self.left_out}s that taught "
                f"nothing; got {seen:,} of others. Make it with leave_out."
            )

    def _seen(self, rows: pd.DataFrame, learned: Learned) -> set[str]:
        """Return the episodes that a model learned from, or some of whose cluster it did."""
        ids, cluster = rows["episode_id"].to_numpy(), rows[CLUSTERS[self.left_out]]
        taught = cluster.isin(learned.groups.intersection(cluster.unique())).to_numpy()
        return set(ids[taught]) | learned.episode_ids.intersection(ids)


def validate_elsewhere(casemix: CaseMix, study: Study) -> pd.DataFrame:
    """Return how the learners that a study names do where they have learned nothing.

    Parameters
    ----------
    casemix : CaseMix
    study : Study
        `validation` says which learners, and what is left out; without learners nothing is done.

    Returns
    -------
    DataFrame
        The columns of `VALIDATION_COLUMNS`, a row per learner, what was left out, and figure: R2,
        calibration slope, observed - expected (of chances on the scale of log-odds) and, of
        chances, the C-statistic. `groups` clusters have the figure, of `smallest_n` episodes or
        more; `too_small` have not. `value` is the mean over clusters and `tau` the standard
        deviation between them; NaN where fewer than 2 have the figure, as is the prediction
        interval where fewer than 3 have.

    Raises
    ------
    TooFewProvidersError
        When there are fewer providers than folds.
    StudyError
        When a period is to be left out and there is only one.
    """
    outcome = casemix.cohort.outcome
    found = [
        one
        for learner in study.learners_of(outcome)
        if learner.kind in study.validation.learners
        for by in study.validation.by
        for one in pooled_figures(leave_out(learner, casemix, study, by), outcome.compares.family)
    ]
    return pd.DataFrame(found, columns=VALIDATION_COLUMNS)


def leave_out(learner: Learner, casemix: CaseMix, study: Study, by: str) -> LeftOut:
    """Expect every episode by a learner that was taught without its provider, or its period.

    Episodes are those of the periods that teach and of the periods compared.

    Parameters
    ----------
    learner : Learner
    casemix : CaseMix
    study : Study
    by : {"provider", "period"}
        `period`: one at a time. `provider`: in `study.validation.folds` folds that keep providers
        whole.

    Raises
    ------
    TooFewProvidersError, StudyError
        As `validate_elsewhere`.
    """
    everybody = _everybody(casemix)
    ids, cluster = everybody["episode_id"].to_numpy(), everybody[CLUSTERS[by]]
    parts, learned = [], []
    for fold, (inside, outside) in enumerate(_FOLDS[by](cluster, study)):
        teaching, asked = (everybody.iloc[rows] for rows in (inside, outside))
        expected = _expect(learner, _between(casemix, teaching, asked), study)
        parts.append(asked[_KEPT].assign(fold=fold, expected_score_raw=expected))
        learned.append(Learned(frozenset(ids[inside]), frozenset(cluster.iloc[inside].unique())))
    table = pd.concat(parts).sort_index()
    keys = {"outcome": casemix.cohort.outcome.name, "learner": learner.kind}
    return LeftOut(by, table.assign(**keys), tuple(learned))


_KEPT = ["episode_id", "provider_id", "period", "observed_score"]


def _everybody(casemix: CaseMix) -> pd.DataFrame:
    """Return the episodes that teach and those compared, each once."""
    cohort = casemix.cohort
    both = pd.concat([cohort.train, cohort.test], ignore_index=True)
    return both.drop_duplicates("episode_id", ignore_index=True)


def _folds_of_providers(cluster: "pd.Series[str]", study: Study) -> Sequence[Fold]:
    folds = study.validation.folds
    if cluster.nunique() < folds:
        raise TooFewProvidersError(
            f"validation.folds: wanted {folds} or more providers; got {cluster.nunique()}. Lower "
            "validation.folds, or take provider out of validation.by."
        )
    return grouped_folds(cluster, folds, study.split.seed)


def _each_period(cluster: "pd.Series[str]", _: Study) -> Sequence[Fold]:
    periods = sorted(cluster.unique())
    if len(periods) < 2:
        raise StudyError(
            f"validation.by: wanted episodes of 2 periods or more, to leave one out; got "
            f"{', '.join(periods)} alone. Take period out of validation.by."
        )
    mine = [(cluster == one).to_numpy() for one in periods]
    return [(np.flatnonzero(~one), np.flatnonzero(one)) for one in mine]


_FOLDS: Mapping[str, Callable[["pd.Series[str]", Study], Sequence[Fold]]] = MappingProxyType(
    {"provider": _folds_of_providers, "period": _each_period}
)


def _between(casemix: CaseMix, teaching: pd.DataFrame, asked: pd.DataFrame) -> CaseMix:
    """Return the case mix of other episodes, of columns that those who teach have values in."""
    recorded = tuple(one for one in casemix.columns if teaching[one.name].notna().any())
    return CaseMix(replace(casemix.cohort, train=teaching, test=asked), recorded)


def _expect(learner: Learner, casemix: CaseMix, study: Study) -> Floats:
    """Return what a learner expects of those asked about; levels and settings are learned anew."""
    taught = lesson(learner, casemix)
    maker = make(learner, casemix, study, taught)
    search = tuned(maker, learner, taught, study.split.seed)
    maker.set_params(**(search.settings if search else {}))
    asked = casemix.cohort.test[[one.name for one in taught.columns]]
    expected = teach(clone(maker), taught).predict(taught.encoder.transform(asked))
    return np.asarray(expected, dtype=np.float64)


# --- figures by cluster, and pooled ---------------------------------------------------------------


def pooled_figures(found: LeftOut, family: Family) -> list[dict[str, Any]]:
    """Return the figures of the clusters left out, pooled: a record per figure.

    Standard errors of a period's figures allow for episodes of a provider resembling each other;
    a provider's take its episodes as independent. Pooled by random effects, as `pool_estimates`.

    Parameters
    ----------
    found : LeftOut
    family : {"gaussian", "binomial", "gamma"}
        Of what is modelled.
    """
    kind = KIND_OF[family]
    keys = {name: found.table[name].iloc[0] for name in ("outcome", "learner")}
    clusters = [one for _, one in found.table.groupby(CLUSTERS[found.left_out], sort=False)]
    figures = [_figures(one, found.left_out, kind) for one in clusters]
    return [
        {**keys, "left_out": found.left_out, "figure": name}
        | _pooled([one[name] for one in figures if name in one], scale, len(clusters))
        for name, scale in _SCALES[kind].items()
    ]


_OF_MEANS = {"r2": "identity", "calibration_slope": "identity", "in_the_large": "identity"}
_SCALES: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {"mean": _OF_MEANS, "risk": {"c_statistic": "logit", **_OF_MEANS}}
)
"""By kind of expectation, as in `assess_calibration`: the scale that each figure is pooled on."""


def _figures(rows: pd.DataFrame, left_out: str, kind: str) -> dict[str, Estimate]:
    """Return the figures of one cluster; none where it is too small, or nothing in it differs."""
    observed, expected = rows["observed_score"].to_numpy(), rows["expected_score_raw"].to_numpy()
    if not _is_enough(observed, kind):
        return {}
    within = np.arange(len(rows)) if left_out == "provider" else rows["provider_id"].to_numpy()
    try:
        calibration = assess_calibration(observed, expected, kind, within)
        figures = {
            "r2": accuracy_by_cluster(observed, expected, within, "r2", "jackknife"),
            "calibration_slope": calibration.slope,
            "in_the_large": calibration.in_the_large,
        }
        if kind == "risk":
            figures["c_statistic"] = discrimination(observed, expected, within)
    except (ArrayError, NoVariationError):
        return {}
    return {
        name: one
        for name, one in figures.items()
        if np.isfinite(one.value) and np.isfinite(one.standard_error) and one.standard_error > 0
    }


def _is_enough(observed: Floats, kind: str) -> bool:
    events = min(observed.sum(), len(observed) - observed.sum())
    return len(observed) >= FEWEST_EPISODES and (kind != "risk" or events >= FEWEST_EVENTS)


def _pooled(found: list[Estimate], scale: str, n_clusters: int) -> dict[str, Any]:
    sizes = {
        "groups": len(found),
        "too_small": n_clusters - len(found),
        "smallest_n": min((one.n for one in found), default=0),
    }
    if len(found) < 2:
        return sizes
    pooled = pool_estimates(
        [one.value for one in found], [one.standard_error for one in found], scale
    )
    return sizes | {name: getattr(pooled, attribute) for name, attribute in _POOLED.items()}


_POOLED: Mapping[str, str] = MappingProxyType(
    {
        "value": "value",
        "lower95": "lower",
        "upper95": "upper",
        "prediction_lower95": "prediction_lower",
        "prediction_upper95": "prediction_upper",
        "tau": "tau",
    }
)
