"""The journey in plain sight: from a study to its run folder and its log."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import pandas as pd
from threadpoolctl import threadpool_limits

from riskadj.casemix import choose_casemix
from riskadj.cohort import select_cohort
from riskadj.episodes import Episodes, ValuesFault, read_episodes
from riskadj.errors import RiskadjError, ValuesError
from riskadj.expected import cross_fit, evaluate
from riskadj.explain import explain_expectations
from riskadj.profile import profile_providers
from riskadj.report.findings import Findings
from riskadj.report.folder import run_folder
from riskadj.report.provenance import build_provenance, digest_of_study
from riskadj.report.results import OutcomeResults, build_findings, write_results
from riskadj.study import Outcome, Study, StudyFaults, load_study

if TYPE_CHECKING:
    from riskadj.tracking import LoggedRun

OnStage = Callable[[str, str, float | None], None]
"""Told a stage and its outcome when it begins (with None) and when it ends (with its seconds)."""


@dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes
    ----------
    folder : Path
    findings : Findings
        What may leave, as tables.
    results : tuple of OutcomeResults
        The records of every station, by outcome.
    seconds : dict of str to float
        By stage.
    logged : LoggedRun or None
        Where it was logged; None when tracking is off.
    """

    folder: Path
    findings: Findings
    results: tuple[OutcomeResults, ...]
    seconds: dict[str, float]
    logged: "LoggedRun | None" = None


def run_study(study: Study, out: str | Path | None = None, on_stage: OnStage | None = None) -> Run:
    """Run a study: read, select, encode, expect, profile, explain, report, log.

    Parameters
    ----------
    study : Study
    out : str or Path, optional
        The run folder; without it, `runs/<study>-<digest>`. An earlier run there is replaced.
    on_stage : callable, optional
        Told of progress.

    Raises
    ------
    RiskadjError
        One line for what was wrong; nothing is left behind. With a `TrackingError` the run folder
        is whole, and can be logged later.
    """
    folder = Path(out) if out else Path("runs") / f"{study.name}-{digest_of_study(study)[:8]}"
    stages = Stages(on_stage or (lambda *_: None))
    with run_folder(folder) as staging, threadpool_limits(1, user_api="blas"):
        with stages("read"):
            episodes = read_study(study)
        stages.digests["read"] = episodes.digest
        results = tuple(follow_outcome(episodes, study, one, stages) for one in study.outcomes)
        with stages("report"):
            provenance = build_provenance(study, episodes.sources, stages.table())
            findings = build_findings(study, results, provenance)
            write_results(findings, results, staging)
    logged = _log(study, folder, stages)
    return Run(folder, findings, results, dict(stages.seconds), logged)


def read_study(study: Study) -> Episodes:
    """Read the episodes that a study names."""
    data = study.data
    return read_episodes(
        data.paths,
        data.format,
        columns=data.columns,
        rename=data.rename,
        period_from=data.period_from,
    )


def follow_outcome(
    episodes: Episodes, study: Study, outcome: Outcome, stages: "Stages | None" = None
) -> OutcomeResults:
    """Take one outcome from episodes to profiles and their explanation."""
    stages = stages or Stages(lambda *_: None)
    with stages("select", outcome.name):
        cohort = select_cohort(episodes, study, outcome)
        casemix = choose_casemix(cohort, study)
    with stages("expect", outcome.name):
        expectations = cross_fit(casemix, study)
        evaluation = evaluate(expectations, study.report.subgroups)
    with stages("profile", outcome.name):
        profiles = profile_providers(expectations, study)
    with stages("explain", outcome.name):
        explanation = explain_expectations(expectations)
    stages.digests |= {
        f"{outcome.name}: select": cohort.digest,
        f"{outcome.name}: expect": expectations.digest,
        f"{outcome.name}: profile": profiles.digest,
        f"{outcome.name}: explain": explanation.digest if explanation else "",
    }
    return OutcomeResults(casemix, expectations, evaluation, profiles, explanation)


@dataclass
class Stages:
    """A clock with a name for each stage; stages of the same name add up."""

    on_stage: OnStage
    seconds: dict[str, float] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)

    @contextmanager
    def __call__(self, name: str, outcome: str = "") -> Iterator[None]:
        """Time what happens inside."""
        self.on_stage(name, outcome, None)
        began = perf_counter()
        yield
        spent = perf_counter() - began
        self.seconds[name] = self.seconds.get(name, 0.0) + spent
        self.on_stage(name, outcome, spent)

    def table(self) -> list[dict[str, Any]]:
        """Return the digest of each stage so far, with the seconds of all outcomes together."""
        return [
            {
                "stage": name,
                "digest": digest,
                "seconds": round(self.seconds[name.rsplit(": ", 1)[-1]], 3),
            }
            for name, digest in self.digests.items()
        ]


def _log(study: Study, folder: Path, stages: Stages) -> "LoggedRun | None":
    if study.tracking.uri == "off":
        return None
    from riskadj.tracking import log_run

    with stages("track"):
        return log_run(folder, study.tracking.uri, study.tracking.experiment)


@dataclass(frozen=True)
class Checked:
    """What `check_study` found: every fault, and the flow of the outcomes without one."""

    faults: tuple[RiskadjError, ...]
    flow: pd.DataFrame


def check_study(
    path: str | Path, overrides: Iterable[str] = (), on_stage: OnStage | None = None
) -> Checked:
    """Return every fault of a study and of its data; nothing is written or fitted."""
    stages = Stages(on_stage or (lambda *_: None))
    try:
        study = load_study(path, overrides)
    except RiskadjError as error:
        return Checked(_each_fault(error), pd.DataFrame())
    faults: list[RiskadjError] = []
    with stages("read"):
        parts = [_attempt(faults, read_study, _one_file(study, file)) for file in study.data.paths]
        whole = None if None in parts else _attempt(faults, read_study, study)
    if whole is None:
        return Checked(tuple(faults), pd.DataFrame())
    flows = []
    with stages("select"):
        for outcome in study.outcomes:
            cohort = _attempt(faults, select_cohort, whole, study, outcome)
            if cohort is not None:
                flows.append(cohort.flow)
                _attempt(faults, choose_casemix, cohort, study)
    once = {str(one): one for one in faults}
    return Checked(tuple(once.values()), pd.concat(flows) if flows else pd.DataFrame())


def _attempt(faults: list[RiskadjError], step: Callable[..., Any], *inputs: Any) -> Any:
    try:
        return step(*inputs)
    except RiskadjError as error:
        faults.extend(_each_fault(error))
        return None


def _each_fault(error: RiskadjError) -> tuple[RiskadjError, ...]:
    """Return the faults inside an error that holds several, each with the error's exit code."""
    if isinstance(error, ValuesFault):
        return tuple(ValuesError(f"{error.source}: {one}") for one in error.faults)
    return error.faults if isinstance(error, StudyFaults) else (error,)


def _one_file(study: Study, file: Path) -> Study:
    return study.model_copy(update={"data": study.data.model_copy(update={"paths": (file,)})})
