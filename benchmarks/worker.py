"""One fit by one entrant in a process of its own; prints one line of JSON.

python worker.py ENTRANT TASK FOLDER OUTCOME
"""

import importlib
import json
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
from world import read_world

WARM_UP_PROVIDERS = 20


def main(entrant, task, folder, outcome):
    fit = _fit(entrant, task)
    frame, covariates = _frame(folder, outcome)
    fit(frame[frame["provider"] < WARM_UP_PROVIDERS].reset_index(drop=True), covariates, outcome)
    _forget_peak()
    held, clock, cpu = _memory("VmRSS"), time.perf_counter(), time.process_time()
    answer = fit(frame, covariates, outcome)
    found = {
        "seconds": time.perf_counter() - clock,
        "cpu_seconds": time.process_time() - cpu,
        "memory_mb": None if held is None else _memory("VmHWM") - held,
        "answer": {name: np.asarray(value).tolist() for name, value in answer.items()},
    }
    print(json.dumps(found))


def _fit(entrant, task):
    fits = importlib.import_module(f"entrants.{entrant}").FITS
    if task not in fits:
        sys.exit("not in this version")
    return fits[task]


def _frame(folder, outcome):
    world = read_world(folder)
    covariates = [f"x{number:02d}" for number in range(1, world.X.shape[1] + 1)]
    frame = pd.DataFrame(world.X, columns=covariates, copy=False)
    return frame.assign(provider=world.provider, **{outcome: world.outcomes[outcome]}), covariates


def _memory(what):
    """Return megabytes from what Linux keeps about this process; None elsewhere."""
    status = Path("/proc/self/status")
    if not status.exists():
        return None
    line = next(one for one in status.read_text().splitlines() if one.startswith(what))
    return int(line.split()[1]) / 1024


def _forget_peak():
    """Let the highest mark start afresh, so that reading the data does not count."""
    if Path("/proc/self/clear_refs").exists():
        Path("/proc/self/clear_refs").write_text("5")


if __name__ == "__main__":
    main(*sys.argv[1:])
