"""Measure how fast claim lines become episodes, and in how much memory.

    python benchmarks/claims.py                       20 million lines
    python benchmarks/claims.py --lines 50000000

Makes the lines itself, with DuckDB, as Parquet: a tenth are inpatient, an episode to about twenty
lines. Reading them is measured in a fresh process, from files to the checked table. The peak of
memory is that of the process, the database's included.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import duckdb

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


def main() -> None:
    """Make the lines, read them in a fresh process, and say how it went."""
    asked = _arguments()
    if asked.read is not None:
        _read(Path(asked.read), asked.memory, asked.threads)
        return
    with tempfile.TemporaryDirectory(dir=asked.scratch) as folder:
        began = time.perf_counter()
        _make(Path(folder), asked.lines)
        made = time.perf_counter() - began
        command = [sys.executable, __file__, "--read", folder, "--memory", asked.memory]
        command += ["--threads", str(asked.threads)]
        found = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    print(json.dumps({"lines": asked.lines, "made_seconds": round(made, 1)} | found, indent=2))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lines", type=int, default=20_000_000)
    parser.add_argument("--memory", default="4GB", help="of the database")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--scratch", default=None, help="folder for the lines")
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


def _read(folder: Path, memory: str, threads: int) -> None:
    from riskadj.claims import ClaimRules, read_claims

    rules = ClaimRules.model_validate(RULES | {"patients": folder / "patients.parquet"})
    began = time.perf_counter()
    episodes = read_claims(
        sorted(folder.glob("claims-*.parquet")), rules, memory_limit=memory, threads=threads
    )
    seconds = time.perf_counter() - began
    used = resource.getrusage(resource.RUSAGE_SELF)
    peak = used.ru_maxrss / 1024**2
    print(
        json.dumps(
            {
                "seconds": round(seconds, 1),
                "cpu_seconds": round(used.ru_utime + used.ru_stime, 1),
                "peak_gib": round(peak, 2),
                "episodes": len(episodes.table),
                "left_out": episodes.left_out,
                "mean_total_365d": round(float(episodes.table["cost_total_365d"].mean()), 2),
            }
        )
    )


if __name__ == "__main__":
    main()
