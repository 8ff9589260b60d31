"""Measure the whole journey of a study as episodes grow: time and memory, stage by stage.

    OMP_WAIT_POLICY=passive python benchmarks/scale.py --episodes 100000 1000000 --keep
    OMP_WAIT_POLICY=passive python benchmarks/scale.py --episodes 10000000 --keep
    python benchmarks/scale.py --episodes 1000000 --memory 2      with 2 GiB of its own, no more

Makes the episodes itself: 40 case-mix columns, 4,000 providers of very unequal size, in several
Parquet files. The study is `riskadj run` from those files to a run folder with page and card: a
line and 200 trees, taught on one year and held against the next. Each size runs in a process of
its own.

Two figures of memory are told. Resident: the most that the process had in memory, pages of mapped
files included, which the machine takes back when it needs them. Its own: without those; this is
what has to be there.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from report import machine

RESULTS = Path(__file__).parent / "results"
PROVIDERS, NUMBERS, FLAGS = 4_000, 20, 17  # 37 risks beside age, sex and the score before
ROWS_OF_A_GROUP, ROWS_OF_A_FILE = 100_000, 1_000_000
EVERY = 0.02
"""Seconds between two looks at the memory."""
GIB = 2**30
WHOLE = (
    "episodes", "memory limit GiB", "seconds", "CPU s", "CPU s per million", "resident GiB",
    "its own GiB", "load before", "verdict", "date, machine",
)  # fmt: skip
WANTED = {10_000_000: (30 * 60, 24.0)}
"""By episodes: seconds and GiB that it may take."""
_ABOUT = (
    "`python benchmarks/scale.py --episodes N --keep`: a whole run, from Parquet files to run "
    "folder, page and card; 40 case-mix columns, 4,000 providers, a line and 200 trees, taught on "
    "one year and held against the next, one process for each size. Resident: the most that the "
    "process had in memory, pages of mapped files included, which the machine takes back when it "
    "needs them. Its own: without those. Wanted: 10 million within 30 minutes and 24 GiB on two "
    "cores."
)


def main() -> None:
    """Make the episodes, run the study in a fresh process for each size, and say how it went."""
    asked = _arguments()
    if asked.folder:
        _run(Path(asked.folder), asked.memory)
        return
    for episodes in asked.episodes:
        with tempfile.TemporaryDirectory(dir=asked.scratch) as folder:
            make(Path(folder), episodes)
            command = [sys.executable, __file__, "--folder", folder, "--memory", str(asked.memory)]
            load = os.getloadavg()[0]
            ran = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        told = {
            "episodes": episodes,
            "memory_limit_gib": asked.memory,
            "load_before": round(load, 1),
        }
        told |= json.loads(ran.stdout.splitlines()[-1])
        print(json.dumps(told, indent=1), flush=True)
        if asked.keep:
            keep(told)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--episodes", type=int, nargs="+", default=[100_000])
    parser.add_argument("--memory", type=float, default=0.0, help="GiB it may have of its own")
    parser.add_argument("--scratch", default=None, help="folder for the episodes")
    parser.add_argument("--keep", action="store_true", help="put it under results/")
    parser.add_argument("--folder", default=None, help=argparse.SUPPRESS)
    return parser.parse_args()


# --- the episodes -----------------------------------------------------------------------------


def make(folder: Path, episodes: int) -> None:
    """Write `episodes-*.parquet` and the study of them."""
    draw = _Draw(np.random.default_rng(1))
    paths = []
    for start in range(0, episodes, ROWS_OF_A_FILE):
        paths.append(folder / f"episodes-{len(paths):03d}.parquet")
        _write(draw, start, min(start + ROWS_OF_A_FILE, episodes), paths[-1])
    (folder / "study.json").write_text(json.dumps(study_of(paths)))


def _write(draw: "_Draw", start: int, stop: int, path: Path) -> None:
    tables = (
        draw.table(at, min(at + ROWS_OF_A_GROUP, stop))
        for at in range(start, stop, ROWS_OF_A_GROUP)
    )
    first = next(tables)
    with pq.ParquetWriter(path, first.schema, compression="zstd") as writer:
        for table in (first, *tables):
            writer.write_table(table, row_group_size=ROWS_OF_A_GROUP)


class _Draw:
    """Episodes of a world: scores before and after a hip replacement."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.coef = rng.normal(0, 0.4, NUMBERS + FLAGS)
        size = rng.lognormal(0, 0.8, PROVIDERS)
        self.upto, self.effect = np.cumsum(size / size.sum()), rng.normal(0, 0.7, PROVIDERS)

    def table(self, start: int, stop: int) -> pa.Table:
        rng, n = self.rng, stop - start
        provider = np.minimum(np.searchsorted(self.upto, rng.random(n)), PROVIDERS - 1)
        risks = rng.normal(size=(n, NUMBERS + FLAGS)).round(3)
        risks[:, NUMBERS:] = risks[:, NUMBERS:] > 0.8
        before = np.clip(np.round(rng.normal(18, 8, n)), 0, 48)
        age = np.clip(np.round(rng.normal(68, 10, n)), 18, 100)
        mean = 26 + 0.45 * before - 0.05 * (age - 68) + risks @ self.coef + self.effect[provider]
        columns = {
            "episode_id": np.char.add("E", np.arange(start, stop).astype(str)),
            "provider_id": np.char.add("P", (provider + 10_000).astype(str)),
            "period": np.where(rng.random(n) < 0.5, "2024", "2025"),
            "procedure_group": np.full(n, "HIP_PRIM"),
            "q2_days": np.full(n, 200),
            "age_years": age,
            "sex": rng.choice(["female", "male"], n),
            "q1_score_ohs": before,
            "q2_score_ohs": np.clip(np.round(mean + rng.normal(0, 8, n)), 0, 48),
        }
        return pa.table(columns | {name: risks[:, k] for k, name in enumerate(_risks())})


def _risks() -> list[str]:
    return [f"risk_{k:02d}" for k in range(NUMBERS + FLAGS)]


def study_of(paths: list[Path]) -> dict[str, Any]:
    """Return the study, as its file would hold it."""
    declared = [
        {"name": name, "kind": "number" if k < NUMBERS else "flag", "role": "clinical",
         "known_at": "baseline", "group": "risk", "meaning": f"Risk {k}"}
        for k, name in enumerate(_risks())
    ]  # fmt: skip
    return {
        "name": "scale",
        "version": 1,
        "title": "Scale",
        "data": {"format": "parquet", "paths": [str(one) for one in paths], "columns": declared},
        "cohort": {
            "procedure_group": "HIP_PRIM",
            "follow_up_days": {"at_least": 1, "at_most": 999},
            "exclude": [],
        },
        "outcomes": [{"name": "ohs", "instrument": "OHS", "kind": "gain"}],
        "casemix": {
            "columns": ["age_years", "sex", "q1_score_*", "risk_*"],
            "allow_provider_influenced": False,
        },
        "learners": [
            {"kind": "linear"},
            {"kind": "lightgbm", "trees": 200, "min_episodes_per_leaf": 50},
        ],
        "split": {"train": ["2024"], "test": ["2025"], "seed": 1},
        "recalibration": {"method": "shift"},
        "profile": {"method": "nhs_england", "minimum_n": 30, "suppress_below": 6},
        "tracking": {"uri": "off"},
    }


# --- one run ----------------------------------------------------------------------------------


def _run(folder: Path, limit: float) -> None:
    """Run the study that is in a folder and print what it took."""
    if limit:
        resource.setrlimit(resource.RLIMIT_DATA, (int(limit * GIB), int(limit * GIB)))
    began, watch = time.perf_counter(), _Memory()
    from riskadj.pipeline import run_study
    from riskadj.study import load_study

    run = run_study(load_study(folder / "study.json"), folder / "run", watch.on_stage)
    seconds, used = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF)
    told = {
        "seconds": round(seconds, 1),
        "cpu_seconds": round(used.ru_utime + used.ru_stime, 1),
        "resident_gib": round(used.ru_maxrss * 1024 / GIB, 2),
        "own_gib": round(max(watch.most.values()), 2),
        "stages": {
            name: {"seconds": round(spent, 1), "own_gib": round(watch.most.get(name, 0), 2)}
            for name, spent in run.seconds.items()
        },
    }
    print(json.dumps(told))


class _Memory:
    """The most memory of its own that this process has, by stage."""

    def __init__(self) -> None:
        self.most: dict[str, float] = {}
        self._stage = "start"
        threading.Thread(target=self._look, daemon=True).start()

    def on_stage(self, stage: str, outcome: str, seconds: float | None) -> None:
        if seconds is None:
            self._stage = stage
        else:
            print(f"{stage} {outcome} {seconds:.1f} s", file=sys.stderr, flush=True)

    def _look(self) -> None:
        while True:
            self.most[self._stage] = max(self.most.get(self._stage, 0.0), next(_own()))
            time.sleep(EVERY)


def _own() -> Iterator[float]:
    """Yield GiB of this process that are pages of no file."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            yield int(line.split()[1]) * 1024 / GIB


# --- results ----------------------------------------------------------------------------------


def keep(told: dict[str, Any]) -> None:
    """Put a row into the results, in the place of an earlier one of this size."""
    path = RESULTS / "scale.json"
    kept = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    same = ("episodes", "memory_limit_gib")
    kept = [one for one in kept if any(one[key] != told[key] for key in same)]
    kept.append({"date": date.today().isoformat(), "machine": machine()} | told)
    kept.sort(key=lambda one: [one[key] for key in same])
    path.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    path.with_suffix(".md").write_text(as_markdown(kept), encoding="utf-8")


def as_markdown(kept: list[dict[str, Any]]) -> str:
    """Return sizes and stages as tables to read."""
    whole = [WHOLE, *(_sums(one) for one in kept)]
    names = list(dict.fromkeys(name for one in kept for name in one["stages"]))
    stages = [("episodes", *names)] + [
        (f"{one['episodes']:,}", *(_stage(one["stages"].get(name)) for name in names))
        for one in kept
    ]
    return (
        f"# The whole journey by number of episodes\n\n{_ABOUT}\n\n{_table(whole)}\n\n"
        f"Seconds and GiB of its own, by stage:\n\n{_table(stages)}\n"
    )


def _sums(one: dict[str, Any]) -> tuple[str, ...]:
    limit, cpu = one["memory_limit_gib"], one["cpu_seconds"]
    return (
        f"{one['episodes']:,}",
        f"{limit:g}" if limit else "none",
        f"{one['seconds']:.0f}",
        f"{cpu:.0f}",
        f"{cpu / one['episodes'] * 1e6:.0f}",
        f"{one['resident_gib']:.1f}",
        f"{one['own_gib']:.1f}",
        f"{one['load_before']:.1f}",
        _verdict(one),
        ", ".join([one["date"], *one["machine"].values()]),
    )


def _verdict(one: dict[str, Any]) -> str:
    if one["episodes"] not in WANTED:
        return ""
    seconds, gib = WANTED[one["episodes"]]
    held = one["seconds"] <= seconds and one["resident_gib"] <= gib
    return "as wanted" if held else "not as wanted"


def _stage(one: dict[str, float] | None) -> str:
    return f"{one['seconds']:.1f} s, {one['own_gib']:.1f}" if one else ""


def _table(rows: list[tuple[str, ...]]) -> str:
    head, *others = rows
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *others))


if __name__ == "__main__":
    main()
