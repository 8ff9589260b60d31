"""One cell worked out: from a study to its figures, and to what pairs it with another."""

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from riskadj.casemix import choose_casemix
from riskadj.cohort import select_cohort
from riskadj.episodes import Episodes
from riskadj.expected import Evaluation, Expectations, cross_fit, evaluate
from riskadj.experiment.plan import Task
from riskadj.followup import follow_up
from riskadj.pipeline import read_study
from riskadj.profile import Profiles, flag_labels, profile_providers
from riskadj.report.disclosure import suppress_providers
from riskadj.report.provenance import digest_of_study, portable_study
from riskadj.study import Outcome, Study

EPISODE_COLUMNS = [
    "outcome", "learner", "episode_id", "provider_id", "observed_score", "expected_score",
]  # fmt: skip
PROVIDER_COLUMNS = ["outcome", "learner", "provider_id", "n", "observed", "adjusted", "z", "flag"]
OF_EFFECTS = frozenset({"OHS", "OKS"})
"""Instruments in whose points the effects of a simulated world are."""
_EXPECTED_BY = (
    "data", "cohort", "casemix", "learners", "split", "recalibration", "report",
)  # fmt: skip
_KEPT = 4
_ANALYSES = ("complete", "weighted", "imputed")
_HOW_MANY_AT_30 = 30


@dataclass(frozen=True)
class Worked:
    """What a cell found.

    Attributes
    ----------
    record : dict
        JSON-ready: `study`, `data` (name, digest, rows), `outcomes` (better), `labels`, `levels`,
        and `rows`, by `outcome-learner`, of figures.
    episodes : DataFrame
        Observed and expected by outcome, learner and episode; stays where it was made.
    providers : DataFrame
        By outcome, learner and provider, after disclosure control.
    """

    record: dict[str, Any]
    episodes: pd.DataFrame
    providers: pd.DataFrame


@dataclass
class Bench:
    """What cells share: episodes are read once, and expectations fitted once for several limits."""

    read: tuple[str, Episodes] | None = None
    expected: "OrderedDict[str, tuple[Expectations, Evaluation]]" = field(
        default_factory=OrderedDict
    )

    def work_out(self, task: Task) -> Worked:
        """Work out a cell.

        Raises
        ------
        RiskadjError
            As the journey raises.
        """
        study = task.study
        rows: dict[str, dict[str, Any]] = {}
        episodes: list[pd.DataFrame] = []
        providers: list[pd.DataFrame] = []
        with threadpool_limits(1, user_api="blas"):
            read = self._episodes(task)
            for outcome in study.outcomes:
                expectations, evaluation = self._expected(read, study, outcome)
                profiles = profile_providers(expectations, study)
                shown = _shown(profiles, study)
                figures = dict(_figures(task, outcome, expectations, evaluation, profiles, shown))
                rows |= {f"{outcome.name}-{learner}": one for learner, one in figures.items()}
                episodes.append(expectations.table[EPISODE_COLUMNS])
                providers.append(shown)
        record = {
            "study": digest_of_study(study),
            "data": [
                {"name": one.name, "digest": one.digest, "rows": one.rows} for one in read.sources
            ],
            "better": {one.name: one.better for one in study.outcomes},
            "labels": study.profile.labels,
            "levels": list(study.profile.levels),
            "rows": rows,
        }
        return Worked(record, pd.concat(episodes), pd.concat(providers))

    def _episodes(self, task: Task) -> Episodes:
        key = f"{task.data}{portable_study(task.study)['data']}"
        if self.read is None or self.read[0] != key:
            self.read = None  # not both at once
            self.read = key, read_study(task.study)
        return self.read[1]

    def _expected(
        self, episodes: Episodes, study: Study, outcome: Outcome
    ) -> tuple[Expectations, Evaluation]:
        content = portable_study(study)
        parts = [content[one] for one in _EXPECTED_BY]
        key = f"{episodes.digest}{outcome!r}{parts}{study.profile.peer_group}"
        if key not in self.expected:
            casemix = choose_casemix(select_cohort(episodes, study, outcome), study)
            expectations = cross_fit(casemix, study)
            self.expected[key] = expectations, evaluate(expectations)
            while len(self.expected) > _KEPT:
                self.expected.popitem(last=False)
        return self.expected[key]


def _shown(profiles: Profiles, study: Study) -> pd.DataFrame:
    """Return what may be told of providers, and of those compared only."""
    rules = study.profile
    too_few = flag_labels(rules.labels, rules.levels).too_few
    table = suppress_providers(profiles.table, rules.suppress_below, rules.suppress_by, too_few)
    return table.loc[table["adjusted"].notna(), PROVIDER_COLUMNS]


def _figures(
    task: Task, outcome: Outcome, expectations: Expectations, evaluation: Evaluation,
    profiles: Profiles, shown: pd.DataFrame,
) -> Iterator[tuple[str, dict[str, Any]]]:  # fmt: skip
    """Yield each learner with its figures."""
    truth = None if task.truth is None else pd.read_csv(task.truth).set_index("provider_id")
    followed = follow_up(expectations, task.study) if task.follows_up else None
    for learner, metrics in evaluation.metrics.items():
        mine = shown[shown["learner"] == learner]
        found = dict(metrics) | _of_providers(mine, task.study)
        found |= _belief(profiles, learner)
        if truth is not None:
            found |= _beside_truth(mine, truth, outcome, task.study)
        if followed is not None and len(followed.analyses):
            analyses = followed.analyses
            found |= _followed(analyses[analyses["learner"] == learner], truth, outcome)
        yield learner, {name: _rounded(value) for name, value in found.items()}


def _rounded(value: Any) -> float | None:
    """Return a figure to ten digits, so that the last bit of a machine tells nothing."""
    return None if value is None or not np.isfinite(value) else float(f"{value:.10g}")


def _of_providers(shown: pd.DataFrame, study: Study) -> dict[str, float]:
    places = _places(shown, study)
    return {
        "providers": len(shown),
        "outside": int((places != 0).sum()),
        "far_outside": int((places.abs() == 2).sum()),
        "spread": shown["adjusted"].astype(float).std(),
        "raw_spearman": _correlation(shown["observed"], shown["adjusted"], "spearman"),
    }


def _places(shown: pd.DataFrame, study: Study) -> "pd.Series[int]":
    words = flag_labels(study.profile.labels, study.profile.levels)
    known = {words.of[place]: place for place in (2, -2, 1, -1, 0)}
    return shown["flag"].map(known).fillna(0).astype(int)


def _correlation(a: "pd.Series[float]", b: "pd.Series[float]", method: str = "pearson") -> float:
    if len(a) < 3 or a.nunique() < 2 or b.nunique() < 2:
        return np.nan
    x, y = (one.astype(float) for one in (a, b))
    if method == "spearman":
        x, y = x.rank(), y.rank()
    return float(x.corr(y))


def _belief(profiles: Profiles, learner: str) -> dict[str, float]:
    reliability, agreement = (
        one[one["learner"] == learner] for one in (profiles.reliability, profiles.agreement)
    )
    found: dict[str, float] = {}
    for row in reliability[reliability["used"].astype(bool)].head(1).itertuples():
        at_30 = _HOW_MANY_AT_30 * row.icc / (1 + (_HOW_MANY_AT_30 - 1) * row.icc)
        found = {
            "tau": row.tau, "icc": row.icc, "reliability_median": row.median_reliability,
            "reliability_30": at_30, "volume_07": row.volume_07, "volume_09": row.volume_09,
        }  # fmt: skip
    halves = agreement[agreement["kind"] == "split_half"]
    years = agreement[agreement["kind"] == "year_on_year"]
    return found | {
        "split_half": halves["corrected"].mean(),
        "year_on_year": years["correlation"].mean(),
        "year_on_year_corrected": years["corrected"].mean(),
        "year_on_year_providers": years["n_providers"].mean(),
    }


def _beside_truth(
    shown: pd.DataFrame, truth: pd.DataFrame, outcome: Outcome, study: Study
) -> dict[str, float]:
    effect = truth["effect"].reindex(shown["provider_id"]).to_numpy()
    side = np.sign(_places(shown, study).to_numpy()) * outcome.better
    right = side * np.sign(effect - effect.mean())
    return {
        **_closeness(shown["adjusted"], effect, outcome),
        "truth_right": int((right > 0).sum()),
        "truth_wrong": int((right < 0).sum()),
    }


def _closeness(adjusted: "pd.Series[float]", effect: Any, outcome: Outcome) -> dict[str, float]:
    """Return how close adjusted figures are to effects; the error only where units are the same."""
    found = {"truth_correlation": _correlation(adjusted.reset_index(drop=True), pd.Series(effect))}
    if outcome.kind not in ("gain", "final_score") or outcome.instrument not in OF_EFFECTS:
        return found
    error = adjusted.to_numpy(dtype=float) - effect
    return found | {"truth_rmse": float(np.sqrt(((error - error.mean()) ** 2).mean()))}


def _followed(
    analyses: pd.DataFrame, truth: pd.DataFrame | None, outcome: Outcome
) -> dict[str, float]:
    columns = [f"adjusted_{one}" for one in _ANALYSES]
    judged = analyses.dropna(subset=columns)
    found = {"response": judged["answered"].sum() / max(judged["eligible"].sum(), 1)}
    for name in _ANALYSES:
        outside = judged[f"z_{name}"].abs() > 1.96  # NHS England's inner limit
        found[f"outside_{name}"] = int(outside.sum())
        if name != "complete":
            other = judged[f"flag_{name}"] != judged["flag_complete"]
            found[f"flags_changed_{name}"] = int(other.sum())
        if truth is not None:
            effect = truth["effect"].reindex(judged["provider_id"]).to_numpy()
            close = _closeness(judged[f"adjusted_{name}"], effect, outcome)
            found |= {f"{figure}_{name}": value for figure, value in close.items()}
    for name in _ANALYSES[1:]:
        if f"truth_rmse_{name}" in found:
            lost = found[f"truth_rmse_{name}"] - found["truth_rmse_complete"]
            found[f"truth_rmse_difference_{name}"] = lost
    return found
