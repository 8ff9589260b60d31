"""A process that may take so much more memory, and no more, than a run of few episodes took.

    python tests/little_memory.py FEW STUDY OUT MEBIBYTES     run the study of STUDY
    python tests/little_memory.py FEW FILE "" MEBIBYTES       load a file of Parquet at once

What it has after a run of FEW (software, compiled functions, thread pools, the engine that draws
charts) is where it starts. `RLIMIT_DATA` holds it to so many MiB more of memory that may be
written and belongs to no shared file; without a number there is no limit. Prints the most MiB that
it had in memory beyond the start.
"""

import resource
import sys
import threading
import time
from pathlib import Path

import pandas as pd

from riskadj.episodes import mapped
from riskadj.pipeline import run_study
from riskadj.study import load_study

MAPPED_FROM = 2**22
"""Bytes: what is large, where the limit is a hundred MiB or two."""


def main(few: str, asked: str, out: str, mebibytes: str = "") -> None:
    """Run few episodes, take the limit, do what is asked."""
    mapped.MAPPED_FROM = MAPPED_FROM
    run_study(load_study(few), Path(few).parent / f"few-{mebibytes}-{bool(out)}")
    if mebibytes:
        most = _has("VmData") + int(mebibytes) * 2**20
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    watch = _Most()
    if out:
        run_study(load_study(asked), out)
    else:
        pd.read_parquet(asked)
    print(f"{watch.most / 2**20:.0f}")


class _Most(threading.Thread):
    """The most bytes beyond the start that this process has in memory, of no file."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.most, self._began = 0, _has("RssAnon")
        self.start()

    def run(self) -> None:
        while True:
            self.most = max(self.most, _has("RssAnon") - self._began)
            time.sleep(0.005)


def _has(what: str) -> int:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(one.split()[1]) * 1024 for one in lines if one.startswith(what))


if __name__ == "__main__":
    main(*sys.argv[1:])
