"""An experiment from its folder to its results: what is missing is worked out, the rest is kept."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from riskadj.errors import OutputError, RiskadjError
from riskadj.experiment.cells import Bench, Worked
from riskadj.experiment.keep import Kept, Store, write_together
from riskadj.experiment.plan import Task, plan
from riskadj.experiment.records import FILE, Experiment, load_experiment
from riskadj.experiment.results import RESULTS, files_of, results_of
from riskadj.report.provenance import digest_of_study

if TYPE_CHECKING:
    from riskadj.tracking.nested import NestedRuns

OnCell = Callable[[str, int, int, float | None], None]
"""Told a cell's label, how many are done of how many, and its seconds (None: it was kept)."""
WORK = Path("runs", "experiments")


@dataclass(frozen=True)
class Finished:
    """A finished experiment.

    Attributes
    ----------
    folder, work : Path
        Where results are, and where cells are kept.
    results : dict
        What `results.json` holds.
    worked_out, kept : int
        How many cells were worked out now, and how many had been before.
    logged : str
        The MLflow run that all cells are nested in; empty when tracking is off.
    """

    folder: Path
    work: Path
    results: dict[str, Any]
    worked_out: int
    kept: int
    logged: str


@dataclass(frozen=True)
class _Failure:
    """What stopped a cell, as it crosses from one process to another."""

    message: str
    exit_code: int


def run_experiment(
    folder: str | Path,
    *,
    jobs: int = 1,
    again: bool = False,
    work: str | Path | None = None,
    uri: str | None = None,
    on_cell: OnCell | None = None,
) -> Finished:
    """Work out every cell of an experiment that is not kept yet, then write its results.

    Parameters
    ----------
    folder : str or Path
        With `experiment.yaml`; `results.json`, `comparison.csv`, `comparison.md` and
        `comparison.svg` are written beside it.
    jobs : int
        Processes. Results do not depend on it.
    again : bool
        Whether to work out kept cells anew.
    work : str or Path, optional
        Where cells are kept, by the digest of study, data and code; episodes are among them. By
        default `runs/experiments/<name of the folder>`.
    uri : str, optional
        A tracking URI instead of the experiment's; "off" for none.
    on_cell : callable, optional
        Told of progress.

    Returns
    -------
    Finished

    Raises
    ------
    RiskadjError
        When the experiment or a cell cannot be; cells that were done stay kept.
    TrackingError
        When it could not be logged; cells stay kept.

    Examples
    --------
    >>> run_experiment("experiments/04_linear_or_boosting", jobs=2)  # doctest: +SKIP
    """
    path = Path(folder)
    home = path.parent if path.name == FILE else path
    experiment = load_experiment(path)
    place = Path(work) if work else WORK / home.resolve().name
    store = Store(place)
    tasks = plan(experiment, place)
    known = {} if again else {
        one.digest: kept for one in tasks if (kept := store.find(one.digest))
    }  # fmt: skip
    with _said_if_interrupted(place), _tracked(home, experiment, uri) as log:
        found = _all_of(tasks, known, store, jobs, on_cell or (lambda *_: None), log)
        results = results_of(home.resolve().name, experiment, [(t, found[t.digest]) for t in tasks])
        _write(home, results)
        if log is not None:
            log.finish(home, results)
    made = len({one.digest for one in tasks}) - len(known)
    logged = "" if log is None else log.run_id
    return Finished(home, place, results, made, len(known), logged)


@contextmanager
def _said_if_interrupted(work: Path) -> Iterator[None]:
    """Let an interruption say what it left behind."""
    try:
        yield
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"Cells that were done are kept in {work}; the same command goes on from there."
        ) from None


def _write(home: Path, results: dict[str, Any]) -> None:
    texts = files_of(results)
    last = texts.pop(RESULTS)
    write_together(home, texts | {RESULTS: last})


def _all_of(
    tasks: Sequence[Task], known: dict[str, Kept], store: Store, jobs: int, on_cell: OnCell,
    log: "NestedRuns | None",
) -> dict[str, Kept]:  # fmt: skip
    """Return every cell by its digest: those that are kept first, the others as they are done."""
    once = {one.digest: one for one in tasks}
    found = dict(known)
    for done, digest in enumerate(known, 1):
        on_cell(once[digest].cell.label, done, len(once), None)
        _log(log, once[digest], found[digest])
    missing = [one for one in once.values() if one.digest not in known]
    for task, worked, seconds in _worked_out(missing, jobs):
        found[task.digest] = store.put(task.digest, worked)
        on_cell(task.cell.label, len(found), len(once), seconds)
        _log(log, task, found[task.digest])
    return found


def _log(log: "NestedRuns | None", task: Task, kept: Kept) -> None:
    if log is not None:
        log.add(
            task.cell.label, task.digest, digest_of_study(task.study), task.cell.settings,
            kept.record["rows"],
        )  # fmt: skip


def _worked_out(tasks: Sequence[Task], jobs: int) -> Iterator[tuple[Task, Worked, float]]:
    if jobs <= 1 or len(tasks) < 2:
        bench = Bench()
        for task in tasks:
            yield task, *_checked(task, _attempt(task, bench))
        return
    one_thread = {"compute": tasks[0].study.compute.model_copy(update={"threads": 1})}
    with ProcessPoolExecutor(min(jobs, len(tasks)), mp_context=get_context("spawn")) as pool:
        waiting = {
            pool.submit(_elsewhere, _with_study(task, one_thread)): task for task in tasks
        }  # fmt: skip
        try:
            for future in as_completed(waiting):
                yield waiting[future], *_checked(waiting[future], future.result())
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _with_study(task: Task, update: dict[str, Any]) -> Task:
    return replace(task, study=task.study.model_copy(update=update))


@cache
def _bench() -> Bench:
    """Return the bench of this process, on which its cells share what they can."""
    return Bench()


def _elsewhere(task: Task) -> "tuple[Worked, float] | _Failure":
    return _attempt(task, _bench())


def _attempt(task: Task, bench: Bench) -> "tuple[Worked, float] | _Failure":
    began = perf_counter()
    try:
        return bench.work_out(task), perf_counter() - began
    except RiskadjError as error:
        return _Failure(str(error), error.exit_code)


def _checked(task: Task, found: "tuple[Worked, float] | _Failure") -> tuple[Worked, float]:
    if isinstance(found, _Failure):
        error = RiskadjError(f"cell {task.cell.label!r}: {found.message} Other cells are kept.")
        error.exit_code = found.exit_code
        raise error
    return found


def _tracked(
    home: Path, experiment: Experiment, uri: str | None
) -> "AbstractContextManager[NestedRuns | None]":
    store = uri or experiment.tracking.uri
    if store == "off":
        return nullcontext(None)
    from riskadj.tracking.nested import nested_runs

    if not home.is_dir():
        raise OutputError(f"{home}: wanted the folder of an experiment; there is none.")
    return nested_runs(
        store, experiment.tracking.experiment, home.resolve().name,
        experiment.model_dump(mode="json", exclude={"tracking", "study", "scenario"}),
    )  # fmt: skip
