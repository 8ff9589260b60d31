"""A run made again, in a process of its own that has loaded nothing yet."""

import os
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from riskadj.errors import IncompleteError, NotRederivedError
from riskadj.report.folder import write_json
from riskadj.report.provenance import AGAIN

OnLine = Callable[[str], None]
"""Told each line that the fresh run says of its progress."""

_ERROR = "riskadj: error: "
_NOT_ITS_FAULT = frozenset({40, 41, 70, 130})
"""Exit codes by which a run says that it could not be made here, whatever the study."""


def run_again(
    content: Mapping[str, Any], origin: Mapping[str, Any], place: Path, on_line: OnLine
) -> Path:
    """Run a study again, in a fresh process and without logging it, and return its folder.

    A process of its own, as modules that are loaded already hide what is installed; without the
    current folder on its path, as a file there could stand in for a package.

    Parameters
    ----------
    content : mapping
        The study, with where its data are.
    origin : mapping
        The provenance whose times the new run takes over.
    place : Path
        A folder to work in.
    on_line : callable

    Raises
    ------
    NotRederivedError
        When the study and its data are refused now.
    IncompleteError
        When the run could not be finished.
    """
    study, times, out = place / "study.json", place / "times.json", place / "run"
    write_json(content, study)
    write_json(origin, times)
    command = [sys.executable, "-P", "-m", "riskadj", "run", str(study), "--out", str(out)]
    code, last = _told(command, {**os.environ, AGAIN: str(times)}, on_line)
    if code == 0:
        return out
    why = last.removeprefix(_ERROR) or "no word"
    if code in _NOT_ITS_FAULT or code < 0:
        raise IncompleteError(f"wanted a fresh run to the end; it stopped with {code}: {why}")
    raise NotRederivedError(f"wanted a fresh run like the first; it was refused: {why}")


def _told(command: list[str], env: Mapping[str, str], on_line: OnLine) -> tuple[int, str]:
    """Run a command, pass on what it says on stderr, and return its exit code and last line."""
    last: deque[str] = deque(maxlen=1)
    with subprocess.Popen(
        command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            for line in process.stderr or ():
                last.append(line.strip())
                on_line(line.rstrip())
        except BaseException:
            process.terminate()  # it tidies up after itself
            raise
    return process.returncode, last[0] if last else ""
