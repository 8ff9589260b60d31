"""A run in a process of its own, which tells of its stages until it is killed.

It imports next to nothing of its own: a process that is forked for it has all that is needed.
"""

import resource
import sys
import time
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from riskadj import load_study, pipeline
from riskadj.cli import main
from riskadj.report import figures, provenance
from riskadj.report.folder import run_folder


class _NoTime(datetime):
    @classmethod
    def now(cls, tz: Any = None) -> "datetime":
        return datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def run_and_tell(study: str, out: str, mouth: Connection) -> None:
    """Run a study without clock and figures, so that its bytes are always the same ones."""
    pipeline.perf_counter = lambda: 0.0  # type: ignore[attr-defined]
    provenance.datetime = _NoTime  # type: ignore[attr-defined]
    figures._draw = lambda *_: '<svg xmlns="http://www.w3.org/2000/svg"/>'

    def tell(name: str, outcome: str, seconds: float | None) -> None:
        stage = f"{outcome}: {name}" if outcome else name
        mouth.send((stage, seconds is not None, isinstance(seconds, pipeline.TakenUp)))

    pipeline.run_study(load_study(study), out, tell)


def run_within(study: str, out: str, largest: int, mouth: Connection) -> None:
    """Run a study that may write no file larger than so many bytes, and tell what became of it."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))
    try:
        pipeline.run_study(load_study(study), out)
        mouth.send("no error")
    except Exception as error:
        mouth.send(f"{type(error).__name__}: {error}")


def hold(out: str, mouth: Connection) -> None:
    """Write a run folder for ever."""
    with run_folder(Path(out)):
        mouth.send("held")
        time.sleep(3600)


def run_verb(arguments: list[str], heard: str) -> None:
    """Run the command line; what it says goes to a file."""
    figures._draw = lambda *_: '<svg xmlns="http://www.w3.org/2000/svg"/>'
    with Path(heard).open("w", encoding="utf-8") as sys.stderr:
        sys.argv = ["riskadj", *arguments]
        main()
