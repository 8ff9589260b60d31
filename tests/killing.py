"""Runs in processes that are killed at chosen moments, and what has to be true of what is left."""

import multiprocessing
import re
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlparse

import numpy as np
from ended import ALL_ON, bytes_of, home_with
from killed import run_and_tell

from riskadj.stages.kept import is_whole
from riskadj.tracking.log import MAY_LEAVE

SMALL: dict[str, Any] = ALL_ON | {
    "profile": ALL_ON["profile"] | {"replicates": 0, "sensitivity": {}},
    "fairness": ALL_ON["fairness"] | {"replicates": 0},
    "learners": [{"kind": "lightgbm", "trees": 3, "min_episodes_per_leaf": 20}],
    "explain": {"interactions": False},
}
SMALL["fairness"]["fair"] = SMALL["fairness"]["fair"] | {"learner": "lightgbm"}
NURSERY = multiprocessing.get_context("forkserver")
"""Processes are forked from one that has done the imports and nothing else."""
NURSERY.set_forkserver_preload(
    ["riskadj.pipeline", "riskadj.tracking.log", "mlflow.pyfunc", "vl_convert", "lightgbm",
     "mlflow.store.tracking.sqlalchemy_store", "alembic.command", "pandera.pandas", "ruamel.yaml"]
)  # fmt: skip
WITHIN, KEEPING, AFTER = "within", "keeping", "after"
"""So far into a stage, while what it made is being kept, and just after it."""
MEANWHILE = 0.03
"""Seconds after a stage: after the report, in which a run folder takes its place."""
PATIENCE = 900.0


class Moment(NamedTuple):
    """When to kill: `seconds` in a stage or after it, or before it has been kept for so long."""

    stage: str
    how: str
    seconds: float


class Home(NamedTuple):
    """A study, its run folder and its store."""

    study: Path
    out: Path
    store: Path

    @property
    def stages(self) -> Path:
        return self.out.with_name(f"{self.out.name}.stages")


def small_home(folder: Path) -> Home:
    """Write the study that is killed, which logs to a store of its own."""
    store = folder / "store" / "mlflow.db"
    study = home_with("all on", folder, **SMALL, tracking={"uri": f"sqlite:///{store}"})
    return Home(study, folder / "run", store)


# The parent --------------------------------------------------------------------------------------


class Ran(NamedTuple):
    """What was heard of a run: seconds of its stages, which were taken up, where it was killed."""

    seconds: dict[str, float]
    taken_up: tuple[str, ...]
    was_killed: bool
    in_stage: str


def run_in_nursery(home: Home, moment: Moment | None = None) -> Ran:
    """Run a study in a process of its own, and kill that at a moment; it may be over by then."""
    ear, mouth = NURSERY.Pipe(duplex=False)
    child = NURSERY.Process(target=run_and_tell, args=(str(home.study), str(home.out), mouth))
    child.start()
    mouth.close()
    seconds: dict[str, float] = {}
    taken_up: list[str] = []
    began, stage = time.monotonic(), ""
    for said, has_ended, was_kept in _heard(ear):
        if has_ended:
            seconds[said] = time.monotonic() - began
            taken_up += [said] if was_kept else []
        began, stage = time.monotonic(), f"after {said}" if has_ended else said
        if moment and _is_now(moment, said, has_ended, home):
            child.kill()
            moment = None  # what it said before is heard still
    child.join(PATIENCE)
    assert child.exitcode in (0, -9), f"the run ended with {child.exitcode}"
    return Ran(seconds, tuple(taken_up), child.exitcode == -9, stage)


def _heard(ear: Connection) -> Iterator[tuple[str, bool, bool]]:
    while True:
        try:
            assert ear.poll(PATIENCE), "nothing was heard of a run"
            yield ear.recv()
        except (EOFError, ConnectionResetError):
            return


def _is_now(moment: Moment, stage: str, has_ended: bool, home: Home) -> bool:
    """Wait for the moment in a stage that has begun or ended, if it is the one."""
    if stage != moment.stage or has_ended != (moment.how == AFTER):
        return False
    if moment.how == KEEPING:
        end = time.monotonic() + 2 * moment.seconds
        while time.monotonic() < end and not _is_keeping(home):
            pass
    else:
        time.sleep(moment.seconds)
    return True


def _is_keeping(home: Home) -> bool:
    try:
        return bool([*home.stages.glob("*/*.partial/*")])
    except FileNotFoundError:  # it was there a moment ago
        return False


def moments(seconds: Mapping[str, float], number: int, rng: np.random.Generator) -> list[Moment]:
    """Return moments in the order of a run's stages, so that most of them are worked out."""
    stages = [*seconds]
    drawn = sorted(int(one) for one in rng.integers(len(stages), size=number))
    found = []
    for one in drawn:
        spent, how = seconds[stages[one]], str(rng.choice([WITHIN, WITHIN, KEEPING, AFTER]))
        far = rng.random() * (MEANWHILE if how == AFTER else spent)
        found.append(Moment(stages[one], how, spent if how == KEEPING else far))
    return found


# What is left ------------------------------------------------------------------------------------


def check_left(home: Home, wanted: dict[str, str]) -> None:
    """Hold what a killed run left to be whole, wherever it is, and the store to be open."""
    old = [*home.out.parent.glob(f".{home.out.name}.partial-old-*")]
    for folder in [*old, *([home.out] if home.out.exists() else [])]:
        assert bytes_of(folder) == wanted, f"{folder.name} is not whole"
    for one in home.stages.glob("*/*"):
        assert one.name.endswith(".partial") or is_whole(one)
    check_store(home, wanted)


def check_over(home: Home, wanted: dict[str, str]) -> None:
    """Hold a run that came to its end to have the same bytes, and nothing left beside it."""
    assert bytes_of(home.out) == wanted
    beside = {one.name for one in home.out.parent.iterdir()}
    assert not {one for one in beside if re.match(rf"\.?{home.out.name}.", one)}, beside
    check_store(home, wanted)


def check_store(home: Home, wanted: dict[str, str]) -> int:
    """Return how many runs a store shows as finished, each of which has all of its files."""
    if not home.store.exists():
        return 0
    with closing(sqlite3.connect(home.store, timeout=0)) as store:
        store.execute("BEGIN IMMEDIATE")
        assert store.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        runs = store.execute("SELECT artifact_uri FROM runs WHERE status = 'FINISHED'").fetchall()
        models = store.execute(
            "SELECT artifact_location FROM logged_models WHERE status = 2"
        ).fetchall()
    for (uri,) in runs:
        logged = bytes_of(Path(urlparse(uri).path))
        leaving = {name for name in wanted if _may_leave(name)}
        assert {name: logged.get(name) for name in leaving} == {
            name: wanted[name] for name in leaving
        }
    for (uri,) in models:
        assert Path(urlparse(uri).path, "MLmodel").is_file()
    return len(runs)


def _may_leave(name: str) -> bool:
    return any(Path(name).match(one) for one in MAY_LEAVE)
