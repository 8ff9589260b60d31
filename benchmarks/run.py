"""Measure riskadj against its peers, and write benchmarks/results/<date>.md and .json.

    python benchmarks/run.py                                everything (make bench)
    python benchmarks/run.py --only linear --size 100k      a part
    python benchmarks/run.py --limit 60 --repeats 2         sooner

A fit is a whole public call, from a pandas frame to estimates with standard errors, in a fresh
process, on one thread, after a small fit that loads what is loaded late. Entrants take turns.
"""

import argparse
import datetime
import json
import re
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import peers
import report
from tasks import ENTRANTS, REPEATS, SIZES, TASKS
from world import make_world, read_world, write_world

HERE = Path(__file__).parent


@dataclass
class Row:
    """What one entrant did on one task at one size; `left_out` says why there is no more."""

    task: str
    size: str
    entrant: str
    seconds: list[float] = field(default_factory=list)
    cpu_seconds: list[float] = field(default_factory=list)
    memory_mb: float | None = None
    objective: float | None = None
    figure: float | None = None
    left_out: str = ""


def main():
    chosen = _arguments()
    commands = peers.commands()
    rows = []
    for size in chosen.size:
        with tempfile.TemporaryDirectory(dir=chosen.scratch) as folder:
            _say(f"{size}: making {SIZES[size][0]:,} episodes of {SIZES[size][1]:,} providers")
            write_world(make_world(*SIZES[size]), Path(folder))
            for name in chosen.only:
                rows += _measure(name, size, Path(folder), commands, chosen)
    findings = {
        "date": datetime.date.today().isoformat(),
        "machine": report.machine(),
        "versions": peers.versions(commands),
        "threads": 1,
        "limit_seconds": chosen.limit,
        "rows": [asdict(row) for row in rows],
    }
    _write(findings, chosen)


def _measure(name, size, folder, commands, chosen):
    """Let the entrants take turns; one that failed or ran out of time takes no further turn."""
    task = TASKS[name]
    rows = [Row(name, size, one) for one in task.entrants.get(size, ())]
    for turn in range(chosen.repeats or task.turns or REPEATS[size]):
        for row in rows:
            if not row.left_out:
                _take_turn(row, task, folder, commands, chosen.limit)
                _say(f"{size} {name} {turn + 1}: {row.entrant:24} {_heard(row)}")
    return rows


def _take_turn(row, task, folder, commands, limit):
    entrant = ENTRANTS[row.entrant]
    command = commands[entrant.where]
    if isinstance(command, str):
        row.left_out = command
        return
    try:
        line = peers.start(command, entrant.fits, row.task, folder, task.outcome, seconds=limit)
    except subprocess.TimeoutExpired:
        row.left_out = f"over {limit:g} s"
    except subprocess.CalledProcessError as error:
        row.left_out = _last_words(error.stderr)
    else:
        _note(row, task, folder, json.loads(line))


def _last_words(stderr):
    """Return the last line without the folders of this machine."""
    line = (stderr.strip().splitlines() or ["failed without a word"])[-1]
    return re.sub(r"(/[\w.-]+)+/", "", line)


def _note(row, task, folder, found):
    times = task.times.get(row.entrant, 1)
    row.seconds.append(found["seconds"] * times)
    row.cpu_seconds.append(found["cpu_seconds"] * times)
    row.memory_mb = max(found["memory_mb"] or 0, row.memory_mb or 0) or None
    if task.figure:
        row.figure = float(found["answer"][task.figure])
    if row.objective is None and task.yardstick:
        answer = {name: np.asarray(found["answer"][name]) for name in task.answer}
        world = read_world(folder)
        row.objective = float(
            task.yardstick(world.outcomes[task.outcome], world.X, world.provider, **answer)
        )


def _heard(row):
    return row.left_out or f"{row.seconds[-1]:.3f} s"


def _write(findings, chosen):
    chosen.out.mkdir(parents=True, exist_ok=True)
    whole = [*chosen.only] == [*TASKS] and [*chosen.size] == [*SIZES]
    part = "" if whole else "-" + "-".join([*chosen.only, *chosen.size])
    stem = chosen.out / (findings["date"] + part)
    text = report.as_markdown(findings)
    stem.with_suffix(".json").write_text(json.dumps(findings, indent=1) + "\n")
    stem.with_suffix(".md").write_text(text)
    print(text)


def _arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--only", nargs="+", choices=TASKS, default=[*TASKS], help="tasks")
    add("--size", nargs="+", choices=SIZES, default=[*SIZES], help="episodes")
    add("--repeats", type=int, help="turns of each entrant; by task and size otherwise")
    add("--limit", type=float, default=300, help="seconds that a turn may take")
    add("--out", type=Path, default=HERE / "results", help="where the tables go")
    add("--scratch", type=Path, help="where the data stays meanwhile; the system's place otherwise")
    return parser.parse_args()


def _say(text):
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
