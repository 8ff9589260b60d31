"""Processes that log runs, for tests of stores: several at once, and some that are killed.

A script: `loggers.py together URI TIMES FOLDER...`, or `loggers.py killed URI FOLDER EMPTY SEED
KILLS`. What happened is printed as JSON. Processes are forked from one that holds no store, so that
MLflow is imported once.
"""

import json
import multiprocessing
import os
import random
import shutil
import signal
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

FORK = multiprocessing.get_context("fork")
PATIENCE = 240
WHILE_MADE, TO_MAKE = 2, 1200
"""At most so many kills while the store is made, which takes more steps (1,766 in MLflow 3.17)."""
WRITING = os.O_WRONLY | os.O_RDWR


def together(uri: str, times: int, folders: list[str]) -> list[list[Any]]:
    """Log every folder in a process of its own, all at once; then all of them again."""
    barrier, said = FORK.Barrier(len(folders)), FORK.Queue()
    processes = [
        FORK.Process(target=_log_again, args=(barrier, said, uri, times, one)) for one in folders
    ]
    for one in processes:
        one.start()
    answers = [said.get(timeout=PATIENCE) for _ in range(times * len(folders))]
    for one in processes:
        one.join()
    return answers


def _log_again(barrier: Any, said: Any, uri: str, times: int, folder: str) -> None:
    for _ in range(times):
        barrier.wait(PATIENCE)
        said.put([folder, *_log(uri, folder)])


def _log(uri: str, folder: str) -> tuple[str, bool, tuple[str, ...], str]:
    """Return the run, whether the store is new, the runs that were given up, and the refusal."""
    from riskadj.errors import TrackingError
    from riskadj.tracking import log_run

    try:
        logged = log_run(folder, uri)
    except TrackingError as error:
        return "", False, (), str(error)
    return logged.run_id, logged.new_store is not None, logged.failed, ""


def killed(uri: str, folder: str, empty: str, seed: int, kills: int) -> dict[str, Any]:
    """Log a folder in processes that are killed at steps drawn at random, and at last in one.

    The first of them while the store is made, the others while the run is logged. A step is a
    statement to a database, or a file that is opened to be written, moved or removed. How many
    there are is counted in a copy of an empty store.
    """
    draw, place = random.Random(seed), Path(uri.removeprefix("sqlite:///"))
    aside = shutil.copyfile(empty, f"{place}-aside")
    steps = _in_a_process(_count, f"sqlite:///{aside}", folder)
    left, made, while_made = [], False, min(WHILE_MADE, kills // 2)
    for position in range(kills):
        if position == while_made:
            made = place.exists()
            shutil.copyfile(empty, place)
        at = draw.randrange(1, TO_MAKE if position < while_made else steps)
        died = _in_a_process(_log_until, uri, folder, at) == -signal.SIGKILL
        left.append({"step": at, "died": died, **_state(place)})
    at_last = _in_a_process(_log, uri, folder)
    return {"steps": steps, "made": made, "left": left, "at_last": at_last}


def _in_a_process(function: Callable[..., Any], *arguments: Any) -> Any:
    """Return what a function says in a process of its own, or minus the signal that ended it."""
    receiver, sender = FORK.Pipe(duplex=False)
    process = FORK.Process(target=_say, args=(sender, function, arguments))
    process.start()
    sender.close()
    with receiver:
        try:
            answer = receiver.recv()
        except EOFError:
            answer = None
    process.join(PATIENCE)
    return answer if process.exitcode == 0 else process.exitcode


def _say(sender: Any, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    sender.send(function(*arguments))
    sender.close()


def _count(uri: str, folder: str) -> int:
    steps = [0]

    def counted() -> None:
        steps[0] += 1

    _at_every_step(counted)
    assert _log(uri, folder)[-1] == ""
    return steps[0]


def _log_until(uri: str, folder: str, at: int) -> int:
    left = [at]

    def counted() -> None:
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    _at_every_step(counted)
    _log(uri, folder)
    return 0


def _at_every_step(call: Callable[[], None]) -> None:
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    def audited(name: str, arguments: tuple[Any, ...]) -> None:
        if name in ("os.rename", "os.remove", "os.mkdir", "sqlite3.connect") or (
            name == "open" and isinstance(arguments[2], int) and arguments[2] & WRITING
        ):
            call()

    sys.addaudithook(audited)
    event.listen(Engine, "before_cursor_execute", lambda *_: call())
    event.listen(Engine, "commit", lambda *_: call())


def _state(place: Path) -> dict[str, Any]:
    """Return whether a store can be written to at once, and what it shows of its runs."""
    for path in (place, place.with_name(f".{place.name}.lock")):
        if path.exists():
            with closing(sqlite3.connect(path, timeout=0)) as connection:
                connection.execute("BEGIN EXCLUSIVE")
    if not place.exists():
        return {"runs": []}
    with closing(sqlite3.connect(place)) as connection:
        return {"runs": [one for (one,) in connection.execute("SELECT status FROM runs")]}


def main() -> None:
    """Do what the command line says."""
    import lightgbm  # noqa: F401
    import mlflow.pyfunc
    import mlflow.store.tracking.sqlalchemy_store  # noqa: F401
    import pyarrow.pandas_compat  # noqa: F401
    import sklearn.linear_model  # noqa: F401
    from mlflow.utils import requirements_utils

    import riskadj.tracking  # noqa: F401

    requirements_utils._init_modules_to_packages_map()  # half a second, once instead of in each

    verb, uri, *more = sys.argv[1:]
    if verb == "together":
        times, *folders = more
        answer: Any = together(uri, int(times), folders)
    else:
        folder, empty, seed, kills = more
        answer = killed(uri, folder, empty, int(seed), int(kills))
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
