"""Measure the whole journey of a study as episodes grow: time and memory, stage by stage.

    OMP_WAIT_POLICY=passive python benchmarks/scale.py --episodes 100000 1000000 --keep
    OMP_WAIT_POLICY=passive python benchmarks/scale.py --episodes 10000000 --keep
    python benchmarks/scale.py --episodes 2000000 --memory 0.6 --keep     and no more than that

Makes the episodes itself: 40 case-mix columns, 4,000 providers of very unequal size, in several
Parquet files. The study is `riskadj run` from those files to a run folder with page and card: a
line and 200 trees, taught on one year and held against the next. Each size runs in a process of
its own.

Two figures of memory are told. Resident: the most that the process had in memory, pages of mapped
files included, which the machine takes back when it needs them. Its own: without those; this is
what has to be there.

With `--memory`, a run of few episodes goes before, in the same process. What it then has, of
software and its thread pools, is the start; of so many GiB more it may ask the machine
(`RLIMIT_DATA`, which counts what may be written and is of no shared file, touched or not), or it
ends. The table in memory: what its columns take as the package reads them. Provider tables are
compared with those of a run without a limit.
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
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from report import commit, machine

RESULTS = Path(__file__).parent / "results"
PROVIDERS, NUMBERS, FLAGS = 4_000, 20, 17  # 37 risks beside age, sex and the score before
ROWS_OF_A_GROUP, ROWS_OF_A_FILE = 100_000, 1_000_000
FEW = 20_000
"""Episodes of the run that goes before one with limited memory."""
ROWS_OF_A_BLOCK = 25_000
"""With limited memory: of the study's `engine.rows`."""
EVERY = 0.02
"""Seconds between two looks at the memory."""
GIB = 2**30
WHOLE = (
    "episodes", "memory limit GiB", "seconds", "CPU s", "CPU s per million", "resident GiB",
    "its own GiB", "load before", "verdict", "date, source, machine",
)  # fmt: skip
LITTLE = (
    "episodes", "table GiB", "limit GiB", "had GiB", "at the start GiB", "provider tables",
    "verdict",
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
_ABOUT_LIMITED = (
    "`python benchmarks/scale.py --episodes N --memory GIB --keep`: table, what the columns of the "
    "episodes take as the package reads them; limit, what the process may ask of the machine "
    "(`RLIMIT_DATA`) beyond what it has once a run of few episodes is done; had, the most of its "
    "own that it had in memory beyond that start. What does not fit is in mapped files without a "
    "name, under `TMPDIR`. Provider tables are held against those of a run without a limit."
)


def main() -> None:
    """Make the episodes, run the study in a fresh process for each size, and say how it went."""
    asked = _arguments()
    if asked.folder:
        _run(Path(asked.folder), asked.memory, asked.out)
        return
    for episodes in asked.episodes:
        with tempfile.TemporaryDirectory(dir=asked.scratch) as folder:
            make(Path(folder), episodes, ROWS_OF_A_BLOCK if asked.memory else None)
            load = os.getloadavg()[0]
            ran = _in_a_process(folder, asked.memory)
            same = _same_without_limit(folder) if asked.memory else {}
        told = {
            "episodes": episodes,
            "memory_limit_gib": asked.memory,
            "load_before": round(load, 1),
        }
        told |= ran | same
        print(json.dumps(told, indent=1), flush=True)
        if asked.keep:
            keep(told)


def _in_a_process(folder: str, memory: float, out: str = "run") -> dict[str, Any]:
    """Run the study of a folder in a process of its own, and return what it took."""
    command = [sys.executable, __file__, "--folder", folder, "--memory", str(memory), "--out", out]
    # Arrow's own pool asks for a GiB ahead, out of which a limited run could then help itself.
    pool = {"ARROW_DEFAULT_MEMORY_POOL": "system"} if memory else {}
    ran = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, text=True, env=os.environ | pool
    )
    return dict(json.loads(ran.stdout.splitlines()[-1]))


def _same_without_limit(folder: str) -> dict[str, Any]:
    """Run it again without a limit, and return whether provider tables are the same bytes."""
    free = _in_a_process(folder, 0.0, "free")
    names = ("providers.csv", "analyses.csv", "reference.csv")
    pairs = [[(Path(folder) / run / one).read_bytes() for run in ("run", "free")] for one in names]
    return {"same_tables": all(a == b for a, b in pairs), "free_own_gib": free["own_gib"]}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--episodes", type=int, nargs="+", default=[100_000])
    parser.add_argument("--memory", type=float, default=0.0, help="GiB it may have beyond start")
    parser.add_argument("--scratch", default=None, help="folder for the episodes")
    parser.add_argument("--keep", action="store_true", help="put it under results/")
    parser.add_argument("--folder", default=None, help=argparse.SUPPRESS)
    parser.add_argument("--out", default="run", help=argparse.SUPPRESS)
    return parser.parse_args()


# --- the episodes -----------------------------------------------------------------------------


def make(folder: Path, episodes: int, rows: int | None = None) -> None:
    """Write `episodes-*.parquet` and the study of them, in blocks of so many rows."""
    draw = _Draw(np.random.default_rng(1))
    paths = []
    for start in range(0, episodes, ROWS_OF_A_FILE):
        paths.append(folder / f"episodes-{len(paths):03d}.parquet")
        _write(draw, start, min(start + ROWS_OF_A_FILE, episodes), paths[-1])
    study = study_of(paths) | ({"engine": {"rows": rows}} if rows else {})
    (folder / "study.json").write_text(json.dumps(study))


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


def _run(folder: Path, limit: float, out: str) -> None:
    """Run the study that is in a folder and print what it took."""
    limited = limit_memory(folder / "few", limit) if limit else {}
    began, watch = time.perf_counter(), _Memory()
    from riskadj.pipeline import run_study
    from riskadj.study import load_study

    run = run_study(load_study(folder / "study.json"), folder / out, watch.on_stage)
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
    if limited:
        told |= limited | {"table_gib": round(size_of_table(folder), 2)}
    print(json.dumps(told))


def limit_memory(folder: Path, limit: float) -> dict[str, float]:
    """Run few episodes, then take no more than so many GiB beyond what the process now has."""
    from riskadj.pipeline import run_study
    from riskadj.study import load_study

    folder.mkdir()
    make(folder, FEW)
    run_study(load_study(folder / "study.json"), folder / "run")
    start = _own()
    most = int(limit * GIB) + _in_status("VmData")
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    return {"start_gib": round(start, 2)}


def size_of_table(folder: Path) -> float:
    """Return the GiB that the columns of the episodes take, as the package reads them."""
    size = 0
    for path in sorted(folder.glob("episodes-*.parquet")):
        for group in pq.ParquetFile(path).iter_batches(ROWS_OF_A_GROUP):
            size += int(group.to_pandas().memory_usage(index=False).sum())
    return size / GIB


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
            self.most[self._stage] = max(self.most.get(self._stage, 0.0), _own())
            time.sleep(EVERY)


def _own() -> float:
    """Return GiB of this process that are pages of no file."""
    return _in_status("RssAnon") / GIB


def _in_status(name: str) -> int:
    """Return bytes that the machine says of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(one.split()[1]) * 1024 for one in lines if one.startswith(name))


# --- results ----------------------------------------------------------------------------------


def keep(told: dict[str, Any]) -> None:
    """Put a row into the results, in the place of an earlier one of this size."""
    path = RESULTS / "scale.json"
    kept = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    same = ("episodes", "memory_limit_gib")
    kept = [one for one in kept if any(one[key] != told[key] for key in same)]
    kept.append({"date": date.today().isoformat(), "machine": machine(), "source": commit()} | told)
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
    limited = [LITTLE, *(_limited(one) for one in kept if one["memory_limit_gib"])]
    return (
        f"# The whole journey by number of episodes\n\n{_ABOUT}\n\n{_table(whole)}\n\n"
        f"Seconds and GiB of its own, by stage:\n\n{_table(stages)}\n\n"
        f"## A cohort larger than memory\n\n{_ABOUT_LIMITED}\n\n{_table(limited)}\n"
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
        ", ".join([one["date"], one["source"], *one["machine"].values()]),
    )


def _limited(one: dict[str, Any]) -> tuple[str, ...]:
    beyond = one["own_gib"] - one["start_gib"]
    held = beyond < one["table_gib"] and one["memory_limit_gib"] < one["table_gib"]
    return (
        f"{one['episodes']:,}",
        f"{one['table_gib']:.2f}",
        f"{one['memory_limit_gib']:.2f}",
        f"{beyond:.2f}",
        f"{one['start_gib']:.2f}",
        "the same bytes" if one["same_tables"] else "others",
        "as wanted" if held and one["same_tables"] else "not as wanted",
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
