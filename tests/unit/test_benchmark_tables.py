"""The tables of the benchmarks: every target has a row, and no row says more than was measured."""

import importlib.util
import json
import sys
from functools import partial
from pathlib import Path

import pytest

from riskadj.claims import ClaimRules

FOLDER = Path(__file__).parents[2] / "benchmarks"
ITS_MODULES = ("report", "tasks", "objective")


@pytest.fixture
def report(monkeypatch):
    """Import benchmarks/report.py as its scripts do, and forget it afterwards."""
    monkeypatch.syspath_prepend(FOLDER)
    for name in ITS_MODULES:
        monkeypatch.delitem(sys.modules, name, raising=False)
    yield importlib.import_module("report")
    for name in ITS_MODULES:
        sys.modules.pop(name, None)


@pytest.fixture
def recovery():
    """Load benchmarks/recovery.py under another name than that of tests/recovery."""
    spec = importlib.util.spec_from_file_location("recovery_tables", FOLDER / "recovery.py")
    module = importlib.util.module_from_spec(spec)
    path = [*sys.path]
    spec.loader.exec_module(module)
    sys.path[:] = path
    return module


def row(task, size, entrant="riskadj", seconds=1.0, cpu=None, **more):
    times = {"seconds": [seconds], "cpu_seconds": [seconds if cpu is None else cpu]}
    nothing = {"memory_mb": None, "objective": None, "left_out": ""}
    return {"task": task, "size": size, "entrant": entrant, **times, **nothing, **more}


def targets(report, *rows):
    """Return the rows of the table of targets, cell by cell."""
    findings = {"date": "today", "machine": {}, "versions": {}, "rows": rows}
    _, _, table = report.as_markdown(findings).partition("## Targets")
    lines = [line for line in table.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line[1:-1].split("|")] for line in lines[2:]]


def verdicts(report, wanted, *rows):
    return [line[3:] for line in targets(report, *rows) if wanted in line[2]]


@pytest.mark.parametrize(
    ("wanted", "count"),
    [
        ("x GPBoost", 4), ("x lme4", 1), ("x pprof (R)", 2), ("pprof_py's kernel", 2),
        ("at most 60 s", 1), ("difference in width", 1), ("level cost per episode", 3),
    ],
)  # fmt: skip
def test_every_target_has_a_row_and_is_not_measured_without_a_figure(report, wanted, count):
    found = verdicts(report, wanted)
    assert [one[1] for one in found] == [""] * count
    assert all(one[0].startswith("not measured") for one in found)


@pytest.mark.parametrize(
    ("seconds", "cpu", "says"),
    [
        (59.0, 34.0, "reached"),
        (61.0, 34.0, "MISSED, reached in CPU time"),
        (90.0, 70.0, "MISSED"),
    ],
)
def test_the_bootstrap_is_held_to_its_minute(report, seconds, cpu, says):
    (found,) = verdicts(report, "at most 60 s", row("bootstrap", "100k", seconds=seconds, cpu=cpu))
    assert found == [f"{seconds:.3f} s ({cpu:.3f} s in CPU time)", says]


@pytest.mark.parametrize(("figure", "says"), [(0.021, "reached"), (0.051, "MISSED")])
def test_widths_are_held_to_five_per_cent(report, figure, says):
    (found,) = verdicts(report, "difference in width", row("widths", "100k", figure=figure))
    assert found == [f"{figure:.4f}", says]


@pytest.mark.parametrize(("largest", "says"), [(5.0, "reached"), (10.0, "MISSED")])
def test_cost_is_level_or_not(report, largest, says):
    rows = [row("linear", "100k", seconds=0.1), row("linear", "5M", seconds=largest)]
    (_, found, _) = verdicts(report, "level cost per episode", *rows)
    assert found[0].startswith(f"{largest / 5:.2f} x (CPU s per million: 1.00 at 0.1M, ")
    assert found[1] == says


def test_a_ratio_is_to_the_entrant_of_the_same_size(report):
    rows = [
        row("linear", "100k", seconds=0.1), row("linear", "100k", "GPBoost", 2.0),
        row("linear", "1M", seconds=1.0), row("linear", "1M", "GPBoost", 14.0),
    ]  # fmt: skip
    small, large = verdicts(report, "at least 15 x GPBoost", *rows)
    assert small == ["20.0 x (20.0 x in CPU time)", "reached"]
    assert large == ["14.0 x (14.0 x in CPU time)", "MISSED"]


def test_what_cannot_be_installed_is_said_plainly(report):
    rows = [
        row("fixed", "1M"),
        row("fixed", "1M", "pprof (R)", left_out="not here") | {"seconds": []},
    ]
    assert ["not measured: not here", ""] in verdicts(report, "x pprof (R)", *rows)
    findings = {"date": "today", "machine": {}, "versions": {}, "rows": rows}
    assert "no ratio to either is measured" in report.as_markdown(findings)


def test_every_table_of_recovery_says_what_is_asserted(recovery):
    rows = {name: [{"figure": 0.25, "trim": (0.0, 1.0)}] for name in recovery.PARTS}
    findings = {"date": "today", "command": "make", "versions": {"riskadj": "0"}} | rows
    text = recovery.as_markdown(findings)
    assert text.count("\nAsserted: ") == text.count("\n## ") == len(recovery.PARTS)
    assert text.count("| 0.2500 | (0.0, 1.0) |") == len(recovery.PARTS)
    assert sum("Missing follow-up" in one.title for one in recovery.PARTS.values()) == 5


@pytest.mark.parametrize("name", ["follow_up", "trimming", "planted", "boundary", "imputed_ratios"])
def test_the_tables_of_missing_follow_up_are_those_of_its_functions(recovery, monkeypatch, name):
    missing = recovery.missing
    for function in ("compare", "trimmed", "planted", "boundary", "ratios"):
        monkeypatch.setattr(missing, function, partial(getattr(missing, function), replicates=2))
    rows = recovery.PARTS[name].measure()
    counts = {"follow_up": len(missing.RECIPES) * len(missing.ANALYSES), "trimming": 6}
    assert len(rows) == counts.get(name, 1)
    assert all(one["replicates"] == 2 for one in rows)
    assert len({frozenset(one) for one in rows}) == 1


@pytest.fixture
def claims(report):
    """Load benchmarks/claims.py; `report` lets it find the machine."""
    spec = importlib.util.spec_from_file_location("claims_benchmark", FOLDER / "claims.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("comorbidity", [True, False])
def test_the_rules_of_the_claims_benchmark_are_rules(claims, comorbidity, tmp_path):
    more = {} if comorbidity else {"comorbidity": claims._NO_COMORBIDITY}
    rules = ClaimRules.model_validate(claims.RULES | {"patients": tmp_path / "p.parquet"} | more)
    assert rules.comorbidity.wanted == comorbidity


def test_the_table_of_claims_is_that_of_what_was_measured(claims):
    kept = json.loads((claims.RESULTS / "claims.json").read_text(encoding="utf-8"))
    table = (claims.RESULTS / "claims.md").read_text(encoding="utf-8")
    assert table == claims.as_markdown(kept)
    (most,) = [one for one in kept if one["lines"] == 20_000_000]
    assert most["seconds"] <= 600
    assert most["peak_gib"] <= 8
