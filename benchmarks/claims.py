"""Measure how fast claim lines become episodes, and in how much memory.

    python benchmarks/claims.py                       20 million lines
    python benchmarks/claims.py --lines 50000000
    python benchmarks/claims.py --no-comorbidity      without diagnoses
    python benchmarks/claims.py --keep                put it under results/, too

Makes the lines itself, with DuckDB, as Parquet: a tenth are inpatient, an episode to about twenty
lines. Reading them is measured in a fresh process, from files to the checked table. The peak of
memory is that of the process, the database's included; that of the disk is the database's own.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import threading
import time
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
from report import machine

RULES = {
    "index": {
        "HIP_PRIM": {"drgs": ["470"]},
        "SPINE": {"drgs": ["455", "460"]},
    },
    "windows": [30, 60, 90, 180, 365],
    "counted_from": "discharge",
    "overlap": "first",
    "transfers": "to_first",
    "death": "exclude",
    "disenrolment": "annualise",
    "annualise_from_days": 30,
    "lookback_days": 365,
    "comorbidity": {"charlson": True, "elixhauser": True, "cms_hcc": "V28"},
    "currency": "USD",
    "price_year": 2022,
    "period": {"begins": "2018-01-01", "ends": "2023-12-31"},
    "known_drgs": ["455", "460", "470", "871"],
}

_PATIENTS = """
COPY (
    SELECT 'P' || lpad(CAST(i AS VARCHAR), 9, '0') AS patient_id,
        DATE '1930-01-01' + CAST(hash(i, 1) % 11000 AS INTEGER) AS birth_date,
        CASE WHEN hash(i, 2) % 2 = 0 THEN 'female' ELSE 'male' END AS sex,
        DATE '2017-01-01' AS enrolled_from,
        CASE WHEN hash(i, 3) % 20 = 0 THEN DATE '2021-01-01' + CAST(hash(i, 4) % 900 AS INTEGER) END
            AS enrolled_to,
        CAST(NULL AS DATE) AS death_date,
        22 + hash(i, 5) % 180 / 10 AS bmi
    FROM range({patients}) t(i)
) TO '{folder}/patients.parquet' (FORMAT parquet)
"""

# A patient's care gathers about one operation, so that windows and look-back are full.
_LINES = """
COPY (
    WITH drawn AS (
        SELECT i, hash(i, 11) % {patients} AS patient, CAST(hash(i, 12) % 1000003 AS BIGINT) AS a,
            CAST(hash(i, 13) % 1000033 AS BIGINT) AS b,
            i % 20 = 0 AS is_index
        FROM range({first}, {last}) t(i)
    ), placed AS (
        SELECT *, CASE WHEN is_index THEN i // 20 ELSE patient END AS who FROM drawn
    ), dated AS (
        SELECT *, DATE '2019-06-01' + CAST(hash(who, 14) % 1200 AS INTEGER) AS operation FROM placed
    )
    SELECT 'C' || i AS claim_id, 'P' || lpad(CAST(who AS VARCHAR), 9, '0') AS patient_id,
        'H' || hash(who, 15) % 400 AS provider_id,
        CASE WHEN is_index THEN operation ELSE operation - 400 + CAST(a % 800 AS INTEGER) END
            AS from_date,
        from_date + CASE WHEN is_index THEN 2 + CAST(b % 5 AS INTEGER) ELSE 0 END AS to_date,
        CASE WHEN is_index OR b % 20 = 0 THEN 'inpatient'
            WHEN b % 20 < 3 THEN 'outpatient' WHEN b % 20 < 5 THEN 'drug'
            WHEN b % 20 = 5 THEN 'snf' WHEN b % 20 = 6 THEN 'home_health'
            ELSE 'professional' END AS setting,
        CASE WHEN is_index THEN ['470', '455', '460'][1 + b % 3]
            WHEN setting = 'inpatient' THEN '871' END AS drg,
        CAST(NULL AS VARCHAR) AS procedure_code,
        ['E119', 'I10', 'J449', 'I509', 'M1611', 'N183', 'E669', 'C509', 'F329', 'Z471',
         'E1150', 'I252'][1 + a % 12] || ' ' ||
        ['E785', 'I10', 'I480', 'K219', 'M545', 'D509', 'G40909', 'I739'][1 + b % 8]
            AS diagnosis_codes,
        CAST(CASE WHEN setting = 'inpatient' THEN 900000 ELSE 2000 END + b % 30000 AS BIGINT) / 100
            AS paid_amount,
        CASE WHEN setting = 'inpatient' THEN
            CASE WHEN a % 50 = 0 THEN 'transfer' ELSE 'home' END END AS discharge_status
    FROM dated
) TO '{folder}/claims-{number}.parquet' (FORMAT parquet)
"""

_LINES_OF_A_FILE = 5_000_000
_EVERY = 0.2
"""Seconds between two looks at the disk."""
RESULTS = Path(__file__).parent / "results"
_NO_COMORBIDITY = {"charlson": False, "elixhauser": False, "cms_hcc": None}
_ABOUT = (
    "`python benchmarks/claims.py --keep`: whole calls of `read_claims`, from Parquet files to the "
    "checked table of episodes, with five windows and a look-back of a year. The lines are made "
    "for it, about twenty to an episode. Memory: peak of the process, the database's included. "
    "Disk: peak of the database's files. Target: 20 million lines in at most 10 minutes and 8 GiB."
)


def main() -> None:
    """Make the lines, read them in a fresh process, and say how it went."""
    asked = _arguments()
    if asked.read is not None:
        _read(asked)
        return
    with tempfile.TemporaryDirectory(dir=asked.scratch) as folder:
        began = time.perf_counter()
        _make(Path(folder), asked.lines)
        made = time.perf_counter() - began
        command = [sys.executable, __file__, "--read", folder, "--memory", asked.memory]
        command += ["--threads", str(asked.threads)]
        command += ["--no-comorbidity"] * (not asked.comorbidity)
        found = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    told = {"command": _command(asked), "lines": asked.lines, "made_seconds": round(made, 1)}
    told |= found | {"disk_bytes_per_line": round(found["disk_gib"] * 1024**3 / asked.lines, 1)}
    print(json.dumps(told, indent=2))
    if asked.keep:
        _keep(told)


def _command(asked: argparse.Namespace) -> str:
    """Return what was asked, without where."""
    parts = ["python benchmarks/claims.py", f"--lines {asked.lines}", f"--memory {asked.memory}"]
    parts += [f"--threads {asked.threads}", *["--no-comorbidity"] * (not asked.comorbidity)]
    return " ".join(parts)


def _keep(told: dict[str, Any]) -> None:
    """Add a row to the results: the runs of one day on one machine stand in one table."""
    path = RESULTS / "claims.json"
    kept = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    kept = [one for one in kept if one["command"] != told["command"]]
    kept.append({"date": date.today().isoformat(), "machine": machine()} | told)
    path.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    path.with_suffix(".md").write_text(as_markdown(kept), encoding="utf-8")


def as_markdown(kept: list[dict[str, Any]]) -> str:
    """Return the runs as a table to read."""
    head = ("date", "lines", "episodes", "comorbidity", "seconds", "CPU s", "peak memory GiB",
            "peak disk GiB", "disk bytes a line", "machine", "command")  # fmt: skip
    rows = [head, ["---"] * len(head)]
    rows += [
        (one["date"], f"{one['lines']:,}", f"{one['episodes']:,}",
         "yes" if one["comorbidity"] else "no", f"{one['seconds']:.0f}",
         f"{one['cpu_seconds']:.0f}", f"{one['peak_gib']:.2f}", f"{one['disk_gib']:.2f}",
         f"{one['disk_bytes_per_line']:.0f}", ", ".join(one["machine"].values()),
         f"`{one['command']}`")
        for one in kept
    ]  # fmt: skip
    table = "\n".join("| " + " | ".join(row) + " |" for row in rows)
    return f"# Claim lines to episodes\n\n{_ABOUT}\n\n{table}\n"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lines", type=int, default=20_000_000)
    parser.add_argument("--memory", default="4GB", help="of the database")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--scratch", default=None, help="folder for the lines")
    parser.add_argument("--no-comorbidity", action="store_false", dest="comorbidity")
    parser.add_argument("--keep", action="store_true", help="put it under results/")
    parser.add_argument("--read", default=None, help=argparse.SUPPRESS)
    return parser.parse_args()


def _make(folder: Path, lines: int) -> None:
    patients = lines // 20
    with duckdb.connect() as database:
        database.execute(_PATIENTS.format(folder=folder, patients=patients))
        for number, first in enumerate(range(0, lines, _LINES_OF_A_FILE)):
            last = min(first + _LINES_OF_A_FILE, lines)
            database.execute(
                _LINES.format(
                    folder=folder, patients=patients, first=first, last=last,
                    number=number,
                )
            )  # fmt: skip


def _read(asked: argparse.Namespace) -> None:
    from riskadj.claims import ClaimRules, read_claims

    folder = Path(asked.read)
    given = {"patients": folder / "patients.parquet"}
    given |= {} if asked.comorbidity else {"comorbidity": _NO_COMORBIDITY}
    rules = ClaimRules.model_validate(RULES | given)
    files = sorted(folder.glob("claims-*.parquet"))
    with tempfile.TemporaryDirectory(dir=folder) as place:
        disk = _Disk(Path(place))
        began = time.perf_counter()
        episodes = read_claims(
            files, rules, memory_limit=asked.memory, threads=asked.threads, folder=place
        )
        seconds = time.perf_counter() - began
        most = disk.stop()
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(
        json.dumps(
            {
                "comorbidity": asked.comorbidity,
                "seconds": round(seconds, 1),
                "cpu_seconds": round(used.ru_utime + used.ru_stime, 1),
                "peak_gib": round(used.ru_maxrss / 1024**2, 2),
                "disk_gib": round(most / 1024**3, 3),
                "episodes": len(episodes.table),
                "left_out": episodes.left_out,
                "mean_total_365d": round(float(episodes.table["cost_total_365d"].mean()), 2),
            }
        )
    )


class _Disk:
    """The most that a folder holds while somebody works in it."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._most, self._done = folder, 0, threading.Event()
        self._watch = threading.Thread(target=self._look, daemon=True)
        self._watch.start()

    def _look(self) -> None:
        while not self._done.wait(_EVERY):
            self._most = max(self._most, sum(map(_size, self._folder.rglob("*"))))

    def stop(self) -> int:
        """Stop looking, and return the most bytes that there were."""
        self._done.set()
        self._watch.join()
        return self._most


def _size(path: Path) -> int:
    """Return the bytes of a file, 0 of one that is gone meanwhile."""
    try:
        return path.stat().st_size if path.is_file() else 0
    except FileNotFoundError:
        return 0


if __name__ == "__main__":
    main()
