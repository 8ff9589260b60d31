"""The journey in plain sight: from a study to its run folder and its log."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, TypeVar

import pandas as pd
from pydantic import BaseModel
from threadpoolctl import threadpool_limits

from riskadj.casemix import CaseMix, casemix_faults, choose_casemix
from riskadj.claims import read_claims
from riskadj.cohort import AnchoredThresholds, anchored_thresholds, select_cohort
from riskadj.digest import digest_of_json
from riskadj.engine import engine_started
from riskadj.episodes import Episodes, ValuesFault, read_episodes
from riskadj.episodes.participation import read_participation
from riskadj.episodes.pseudonyms import pseudonymised, read_key
from riskadj.episodes.readers import join_episodes, repeated
from riskadj.errors import (
    EngineError,
    OutputError,
    RiskadjError,
    UnknownNameError,
    ValuesError,
    did_you_mean,
    raise_all,
)
from riskadj.expected import Evaluation, Expectations, cross_fit, evaluate, validate_elsewhere
from riskadj.expected.crossfit import GROUP_COLUMNS
from riskadj.expected.windows import expect_windows, whole_windows
from riskadj.explain import Explanation, explain_expectations
from riskadj.fairness import assess_fairness, fairness_cohort_faults, fairness_faults
from riskadj.followup import follow_up
from riskadj.instruments import ValueSet, read_value_sets
from riskadj.profile import profile_providers
from riskadj.profile.windows import WindowVariation, vary_by_window
from riskadj.report.acts import note_run
from riskadj.report.differencing import told_by_both
from riskadj.report.findings import Findings
from riskadj.report.folder import MARK, run_folder, run_of_other_data
from riskadj.report.provenance import build_provenance, digest_of_study, is_made_again
from riskadj.report.results import OutcomeResults, build_findings, write_results
from riskadj.report.windows import write_windows
from riskadj.stages import NOTHING, KeptStages, of_run
from riskadj.stopping import heed, was_told
from riskadj.study import Outcome, Study, load_study, read_yaml
from riskadj.study.data import Data
from riskadj.study.load import anchor_paths, build
from riskadj.value import Values, profile_value

if TYPE_CHECKING:
    from riskadj.tracking import LoggedRun

OnStage = Callable[[str, str, float | None], None]
"""Told a stage and its outcome when it begins (with None) and when it ends (with its seconds)."""
Made = TypeVar("Made")


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
        By stage, of all outcomes together.
    logged : LoggedRun or None
        Where it was logged; None when tracking is off.
    replaced : str
        What an earlier run in the same folder was, where it was of other data; else empty.
    told_with_replaced : int
        How many numbers of this run and of the one that it replaced tell of few patients when they
        are held against each other.
    """

    folder: Path
    findings: Findings
    results: tuple[OutcomeResults, ...]
    seconds: dict[str, float]
    logged: "LoggedRun | None" = None
    replaced: str = ""
    told_with_replaced: int = 0


def run_study(
    study: Study,
    out: str | Path | None = None,
    on_stage: OnStage | None = None,
    *,
    fresh: bool = False,
) -> Run:
    """Run a study: read, select, encode, expect, profile, follow up, explain, report, log.

    What a stage makes is kept beside the run folder until that is in place. So a run that was
    ended, by whatever, is taken up by the next run of the same study, data and code into the same
    folder, which reads and selects again, takes what is there, and writes the same bytes.

    Parameters
    ----------
    study : Study
    out : str or Path, optional
        The run folder; without it, `runs/<study>-<digest>`, the digest being that of study and
        data, so that other data are another folder. An earlier run there is replaced.
    on_stage : callable, optional
        Told of progress.
    fresh : bool
        Whether to begin from the beginning, whatever is kept.

    Raises
    ------
    RiskadjError
        One line for what was wrong; nothing is left behind, but finished stages where the machine
        was at fault and not the study (`OutputError`, `EngineError`). With a `TrackingError` the
        run folder is whole, and can be logged later.
    """
    stages = Stages(on_stage or (lambda *_: None))
    with (
        _said_if_interrupted(stages.left),
        threadpool_limits(1, user_api="blas"),
        engine_started(**study.engine.model_dump()),
        _placed(study, out, stages, fresh) as (episodes, folder, staging),
    ):
        stages.digests["read", ""] = episodes.digest
        results = tuple(follow_outcome(episodes, study, one, stages) for one in study.outcomes)
        values = _value(results, study, stages)
        with stages("report"):
            provenance = build_provenance(study, episodes.sources, stages.table())
            findings = build_findings(study, results, provenance, values)
            write_results(findings, results, staging)
            note_run(folder, staging)
        replaced = run_of_other_data(folder, provenance)
        told = _told_with(folder, staging)
    said = f"The results are in {folder}; log them with: riskadj log {folder}"
    with _said_if_interrupted(lambda: said):
        logged = _log(study, folder, stages)
    return Run(folder, findings, results, stages.totals(), logged, replaced, told)


def _told_with(folder: Path, staging: Path) -> int:
    """Return how many numbers tell of few beside those of the run that is about to be replaced."""
    if not (folder / MARK).is_file():
        return 0
    try:
        return len(told_by_both(folder, staging))
    except RiskadjError:  # it was changed, or is of another version: nobody can say
        return 0


@contextmanager
def _placed(
    study: Study, out: str | Path | None, stages: "Stages", fresh: bool
) -> Iterator[tuple[Episodes, Path, Path]]:
    """Yield episodes, the run folder, and where to write meanwhile.

    A folder that is named is tried before anybody waits; another has its name from what is read.
    """
    early = None
    if not out:
        early = _timed_read(study, stages)
        out = default_folder(study, early)
    folder = Path(out)
    with run_folder(folder, stages.remove_kept) as staging, _not_kept_if_refused(stages):
        episodes = early or _timed_read(study, stages)
        stages.kept = KeptStages(folder, of_run(study, episodes), fresh)
        yield episodes, folder, staging


@contextmanager
def _not_kept_if_refused(stages: "Stages") -> Iterator[None]:
    """Remove what is kept, unless the machine was at fault, or whoever ended the run.

    Where nothing is kept, its empty place goes in any case.
    """
    try:
        yield
    except BaseException as error:
        is_of_machine = isinstance(error, (OutputError, EngineError))
        if not stages.kept or (isinstance(error, RiskadjError) and not is_of_machine):
            stages.remove_kept(every=False)
        raise


def _timed_read(study: Study, stages: "Stages") -> Episodes:
    with stages("read"):
        return read_study(study)


def default_folder(study: Study, episodes: Episodes) -> Path:
    """Return where a run goes that nobody says a place for: one folder per study and data.

    Whoever corrects the data so gets a new folder, and keeps the run before the correction.
    """
    digest = digest_of_json([digest_of_study(study), episodes.digest])
    return Path("runs") / f"{study.name}-{digest[:8]}"


def read_study(study: Study) -> Episodes:
    """Read the episodes that a study names."""
    return _read(study.data)


def _read(data: Data) -> Episodes:
    return _with_participation(_with_pseudonyms(_read_files(data), data), data)


def _with_pseudonyms(episodes: Episodes, data: Data) -> Episodes:
    """Put pseudonyms in place of identifiers, where the study asks for that."""
    rules = data.pseudonymise
    if rules is None:
        return episodes
    key = read_key(rules.key_file, rules.key_variable)
    return pseudonymised(episodes, rules.columns, key)


def _with_participation(episodes: Episodes, data: Data) -> Episodes:
    """Add the counts of participation files, on whose digests everything then depends."""
    if not data.participation:
        return episodes
    counts = read_participation(data.participation)
    return replace(
        episodes,
        participation=counts,
        sources=(*episodes.sources, *counts.sources),
        digest=digest_of_json([episodes.digest, *(one.digest for one in counts.sources)]),
    )


def _read_files(data: Data) -> Episodes:
    if data.claims is not None and data.period_from != "period":
        return read_claims(
            data.paths,
            data.claims,
            data.columns,
            period_from=data.period_from,
            value_sets=_value_sets(data),
        )
    return read_episodes(
        data.paths,
        data.format,
        columns=data.columns,
        rename=data.rename,
        mapping=data.mapping,
        value_sets=_value_sets(data),
        period_from=data.period_from,
    )


def _value_sets(data: Data) -> dict[str, ValueSet]:
    if data.value_sets is None:
        return {}
    at_hand = read_value_sets(data.value_sets.folder)
    return {
        one: at_hand.find(name, f"data.value_sets.{one}")
        for one, name in data.value_sets.chosen.items()
    }


def follow_outcome(
    episodes: Episodes, study: Study, outcome: Outcome, stages: "Stages | None" = None
) -> OutcomeResults:
    """Take one outcome from episodes to profiles and their explanation."""
    stages = stages or Stages(lambda *_: None)
    with stages("select", outcome.name):
        raise_all(fairness_faults(episodes, study))
        cohort = select_cohort(episodes, study, outcome)
        casemix = choose_casemix(cohort, study)
        raise_all(fairness_cohort_faults(cohort, study))
    expectations, evaluation = stages.once(
        "expect", outcome.name, lambda: _expect(casemix, study), cohort.digest,
        at_hand={"casemix": casemix, "taught": cohort.train["episode_id"],
                 "groups": cohort.train[GROUP_COLUMNS[study.split.group]]},
    )  # fmt: skip
    profiles = stages.once(
        "profile", outcome.name, lambda: profile_providers(expectations, study), expectations.digest
    )
    followed = stages.once(
        "follow_up", outcome.name, lambda: follow_up(expectations, study), expectations.digest
    )
    fairness = stages.once(
        "fairness", outcome.name, lambda: assess_fairness(expectations, profiles, study),
        expectations.digest, profiles.digest,
    )  # fmt: skip
    explanation = stages.once(
        "explain", outcome.name, lambda: _explain(expectations, study), expectations.digest
    )
    stages.digests |= {
        ("select", outcome.name): cohort.digest,
        ("expect", outcome.name): expectations.digest,
        ("profile", outcome.name): profiles.digest,
        ("follow_up", outcome.name): followed.digest,
        ("fairness", outcome.name): fairness.digest,
    }
    if explanation:
        stages.digests["explain", outcome.name] = explanation.digest
    return OutcomeResults(
        casemix, expectations, evaluation, profiles, explanation, followed, fairness
    )


def _expect(casemix: CaseMix, study: Study) -> tuple[Expectations, Evaluation]:
    expectations = cross_fit(casemix, study)
    evaluation = evaluate(expectations, study.report.subgroups)
    return expectations, replace(evaluation, validation=validate_elsewhere(casemix, study))


def _explain(expectations: Expectations, study: Study) -> Explanation | None:
    return explain_expectations(
        expectations,
        study.casemix,
        interactions=study.explain.interactions,
        seed=study.split.seed,
    )


def _value(results: Iterable[OutcomeResults], study: Study, stages: "Stages") -> Values | None:
    """Look at an outcome and a cost together, where the study asks for it."""
    if study.value is None:
        return None
    named = {one.casemix.cohort.outcome.name: one.expectations for one in results}
    outcome, cost = named[study.value.outcome], named[study.value.cost]
    values = stages.once(
        "value", "", lambda: profile_value(outcome, cost, study), outcome.digest, cost.digest
    )
    stages.digests["value", ""] = values.digest
    return values


def anchor_study(
    study: Study,
    outcome: str | None = None,
    improved: float = 2,
    replicates: int = 500,
    on_stage: OnStage | None = None,
) -> AnchoredThresholds:
    """Estimate the threshold of an outcome from the anchor question of a study's episodes.

    Parameters
    ----------
    study : Study
    outcome : str, optional
        Its name; the study's first unless given.
    improved, replicates
        As in `anchored_thresholds`; the seed is `split.seed`.
    on_stage : callable, optional
        Told of progress.

    Raises
    ------
    UnknownNameError
        When the study has no such outcome.
    RiskadjError
        As reading, selecting and `anchored_thresholds` raise.
    """
    stages = Stages(on_stage or (lambda *_: None))
    named = {one.name: one for one in study.outcomes}
    wanted = outcome or study.outcomes[0].name
    if wanted not in named:
        raise UnknownNameError(
            f"wanted an outcome of the study ({', '.join(named)}); got {wanted!r}."
            f"{did_you_mean(wanted, named)}"
        )
    with stages("read"):
        episodes = read_study(study)
    with stages("select", wanted):
        cohort = select_cohort(episodes, study, named[wanted])
    with stages("anchor", wanted):
        return anchored_thresholds(cohort, improved, replicates=replicates, seed=study.split.seed)


def windows_of_study(
    study: Study,
    out: str | Path,
    outcome: str | None = None,
    replicates: int = 1000,
    on_stage: OnStage | None = None,
) -> WindowVariation:
    """Compare providers on cost by component and window, and write the folder of it.

    Parameters
    ----------
    study : Study
    out : str or Path
        An earlier comparison there is replaced.
    outcome : str, optional
        Name of the cost; the study's first unless given.
    replicates : int
        As in `vary_by_window`.
    on_stage : callable, optional
        Told of progress.

    Raises
    ------
    UnknownNameError
        When the study has no such cost.
    RiskadjError
        As reading, selecting, `expect_windows`, `vary_by_window` and `write_windows` raise.
    """
    stages = Stages(on_stage or (lambda *_: None))
    cost = _cost_of(study, outcome)
    with (
        _said_if_interrupted(lambda: "Nothing was written."),
        threadpool_limits(1, user_api="blas"),
    ):
        with stages("read"):
            episodes = read_study(study)
        stages.digests["read", ""] = episodes.digest
        longest = f"cost_total_{whole_windows(episodes.columns)[-1]}d"
        with stages("select", cost.name):
            whole = cost.model_copy(update={"column": longest, "winsorise": None})
            casemix = choose_casemix(select_cohort(episodes, study, whole), study)
        with stages("expect", cost.name):
            costs = expect_windows(casemix, study, cost)
        with stages("profile", cost.name):
            found = vary_by_window(costs, study, replicates)
        stages.digests |= {
            ("select", cost.name): casemix.cohort.digest,
            ("expect", cost.name): costs.digest,
            ("profile", cost.name): found.digest,
        }
        with stages("report"):
            provenance = build_provenance(study, episodes.sources, stages.table())
            write_windows(found, study, provenance, out)
    return found


def _cost_of(study: Study, name: str | None) -> Outcome:
    named = {one.name: one for one in study.outcomes if one.kind == "cost"}
    if not named or (name and name not in named):
        raise UnknownNameError(
            f"wanted a cost of the study ({', '.join(named) or 'it has none'}); got "
            f"{name or 'no outcome of kind cost'!r}.{did_you_mean(name or '', named)}"
        )
    return named[name or next(iter(named))]


class TakenUp(float):
    """Seconds of a stage whose result was there from a run that was ended."""


@dataclass
class Stages:
    """A clock, the digests of what was made, by stage and outcome, and where it is kept."""

    on_stage: OnStage
    seconds: dict[tuple[str, str], float] = field(default_factory=dict)
    digests: dict[tuple[str, str], str] = field(default_factory=dict)
    kept: KeptStages | None = None

    @contextmanager
    def __call__(self, name: str, outcome: str = "") -> Iterator[None]:
        """Time what happens inside."""
        with self._timed(name, outcome):
            yield

    @contextmanager
    def _timed(self, name: str, outcome: str) -> Iterator[list[type[float]]]:
        """Yield what kind of seconds these are, for whoever knows better."""
        heed()
        self.on_stage(name, outcome, None)
        kind: list[type[float]] = [float]
        began = perf_counter()
        yield kind
        spent = kind[-1](max(perf_counter() - began, 0.0))  # clocks jump
        self.seconds[name, outcome] = spent
        self.on_stage(name, outcome, spent)

    def once(
        self,
        name: str,
        outcome: str,
        make: Callable[[], Made],
        *made_from: str,
        at_hand: Mapping[str, Any] | None = None,
    ) -> Made:
        """Return what a stage makes: what is kept of it, or else what it makes now, to be kept.

        Parameters
        ----------
        name, outcome : str
        make : callable
        *made_from, at_hand
            As in `KeptStages.find`.
        """
        stage = f"{outcome}: {name}"
        with self._timed(name, outcome) as kind:
            if self.kept is None:
                return make()
            found: Made = self.kept.find(stage, *made_from, at_hand=at_hand)
            if found is not NOTHING:
                kind.append(TakenUp)
                return found
            made = make()
            self.kept.keep(made, stage, *made_from, at_hand=at_hand)
            return made

    def left(self) -> str:
        """Say what is left of a run that was ended."""
        if not self.kept:
            return "No results were kept."
        return (
            f"No results were kept. What stages had finished is in {self.kept.folder}, from where "
            "the same command goes on."
        )

    def remove_kept(self, every: bool = True) -> None:
        """Remove what is kept of stages, of every study or of this."""
        if self.kept is not None:
            self.kept.remove(every)

    def table(self) -> list[dict[str, Any]]:
        """Return the digest of each stage so far, with its seconds."""
        return [
            {
                "stage": f"{outcome}: {name}" if outcome else name,
                "digest": digest,
                "seconds": round(self.seconds[name, outcome], 3),
            }
            for (name, outcome), digest in self.digests.items()
        ]

    def totals(self) -> dict[str, float]:
        """Return the seconds of each stage, of all outcomes together."""
        totals: dict[str, float] = {}
        for (name, _), spent in self.seconds.items():
            totals[name] = totals.get(name, 0.0) + spent
        return totals


@contextmanager
def _said_if_interrupted(what_is_left: Callable[[], str]) -> Iterator[None]:
    """Let an interruption say what it left behind."""
    try:
        yield
    except (KeyboardInterrupt, Exception) as error:
        if isinstance(error, KeyboardInterrupt) or was_told():
            raise KeyboardInterrupt(what_is_left()) from None
        raise


def _log(study: Study, folder: Path, stages: Stages) -> "LoggedRun | None":
    if study.tracking.uri == "off" or is_made_again():
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
    """Return every fault of a study and of its data; nothing is written or fitted.

    A study with faults still has its files checked, when it says well enough where they are.
    """
    stages = Stages(on_stage or (lambda *_: None))
    faults: list[RiskadjError] = []
    flows: list[pd.DataFrame] = []
    study = _attempt(faults, load_study, path, overrides := tuple(overrides))
    data = study.data if study else _attempt([], _data_of, path, overrides)
    if data:
        with stages("read"):
            episodes = _read_each(faults, data)
        if study and episodes:
            with stages("select"):
                flows = _select_each(faults, episodes, study)
    once = {str(one): one for one in faults}
    return Checked(tuple(once.values()), pd.concat(flows) if flows else pd.DataFrame())


class _OnlyData(BaseModel):
    """What can be told of a study that has faults elsewhere."""

    data: Data


def _data_of(path: str | Path, overrides: Iterable[str]) -> Data:
    content = read_yaml(path)
    anchor_paths(content, Path(path).parent)
    return build(_OnlyData, content, str(path), overrides).data


def _read_each(faults: list[RiskadjError], data: Data) -> Episodes | None:
    """Read each file on its own, so that the faults of one do not hide those of another."""
    alone = [data.model_copy(update={"paths": (file,)}) for file in data.paths]
    parts = [part for one in alone if (part := _attempt(faults, _read_files, one))]
    if len(parts) < len(alone):
        return None
    joined = join_episodes(parts)
    joined = _attempt(faults, _with_pseudonyms, joined, data) or joined
    episodes = _attempt(faults, _with_participation, joined, data) or joined
    for fault in repeated(episodes):
        faults.extend(_each_fault(fault))
    return episodes


def _select_each(
    faults: list[RiskadjError], episodes: Episodes, study: Study
) -> list[pd.DataFrame]:
    """Return the flow of each outcome that has a cohort and a case mix."""
    faults.extend(casemix_faults(episodes.columns, study))
    faults.extend(fairness_faults(episodes, study))
    flows = []
    for outcome in study.outcomes:
        cohort = _attempt(faults, select_cohort, episodes, study, outcome)
        if cohort:
            flows.append(cohort.flow)
            _attempt(faults, choose_casemix, cohort, study)
            faults.extend(fairness_cohort_faults(cohort, study))
    return flows


def _attempt(faults: list[RiskadjError], step: Callable[..., Any], *inputs: Any) -> Any:
    try:
        return step(*inputs)
    except RiskadjError as error:
        faults.extend(_each_fault(error))
        return None


def _each_fault(error: RiskadjError) -> tuple[RiskadjError, ...]:
    """Return the faults inside an error that holds several, or the error itself."""
    if isinstance(error, ValuesFault):
        return tuple(ValuesError(f"{error.source}: {one}") for one in error.faults)
    inside = [one for one in getattr(error, "faults", ()) if isinstance(one, RiskadjError)]
    return tuple(fault for one in inside for fault in _each_fault(one)) or (error,)
