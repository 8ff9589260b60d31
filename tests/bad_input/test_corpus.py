"""Every bad input is refused in one line, by its kind of error, at once; nothing is left behind.

========================  ========================================================================
to add                    write
========================  ========================================================================
a bad input               a row of a table in cases_*.py: its name, a change of a good one, the
                          error, the words. `TABLES` names the table, with its verb and its kind
a way to spoil a file     a function in changes.py
something else to read    a good one in good.py, a table of cases, and a target in targets.py, which
                          Hypothesis (test_found.py) and the fuzzer (fuzz.py) spoil by spoil.py
a verb                    a row for each kind of file it is given in cases_verbs.py
what a fuzzer found       nothing: fuzz.py puts it into found/, test_found.py replays it
========================  ========================================================================
"""

import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.main import get_command

from bad_input import (
    cases_collections,
    cases_contracts,
    cases_runs,
    cases_studies,
    cases_tables,
    cases_verbs,
)
from bad_input.case import Case
from bad_input.changes import cell, nothing
from bad_input.good import GOOD, MARKER
from riskadj.cli.app import app
from riskadj.errors import RiskadjError
from riskadj.expected import load_model
from riskadj.pipeline import read_study, run_study
from riskadj.study import load_study

RUN = ("run", "study.yaml", "--out", "out")
VALIDATE = ("validate", "study.yaml")
SETTLE = ("settle", "contract.yaml", "run", "--out", "out")
REPORT = ("report", "run", "--out", "page.html")
SIMULATE = ("simulate", "scenario.yaml", "--out", "out.csv")
EXPERIMENT = ("experiment", ".", "--work", "work", "--tracking-uri", "off")
CHECK = ("card", "check", "run")
WITH_SETTLEMENT = (*REPORT, "--settlement", "run-settled")
LOAD = ("load_model", "model")
"""No verb reads a model alone: whoever holds one calls this."""
TABLES = (
    ("study", "csv", RUN, cases_studies.TEXTS),
    ("study", "csv", RUN, cases_studies.KEYS),
    ("table", "csv", RUN, cases_tables.CSV),
    ("table", "parquet", RUN, cases_tables.PARQUET),
    ("table", "nhs", RUN, cases_tables.NHS),
    ("table", "sparcs", RUN, cases_tables.SPARCS),
    ("table", "participation", RUN, cases_tables.PARTICIPATION),
    ("value set", "value_sets", RUN, cases_tables.VALUE_SETS),
    ("pseudonyms", "pseudonyms", RUN, cases_tables.PSEUDONYMS),
    ("table", "redcap", RUN, cases_collections.REDCAP),
    ("mapping", "redcap", RUN, cases_collections.REDCAP_MAPPING),
    ("FHIR bundle", "fhir", RUN, cases_collections.FHIR),
    ("mapping", "fhir", RUN, cases_collections.FHIR_MAPPING),
    ("claims", "claims", RUN, cases_collections.CLAIMS),
    ("contract", "run", SETTLE, cases_contracts.CONTRACT),
    ("table", "run", SETTLE, cases_contracts.PROVIDER_TABLE),
    ("scenario", "scenario", SIMULATE, cases_contracts.SCENARIO),
    ("experiment", "experiment", EXPERIMENT, cases_contracts.EXPERIMENT),
    ("run", "run", REPORT, cases_runs.UNSEALED),
    ("run", "run", REPORT, cases_runs.RESEALED),
    ("card", "run", CHECK, cases_runs.CARDS),
    ("settlement", "run", WITH_SETTLEMENT, cases_runs.SETTLEMENTS),
    ("model", "model", LOAD, cases_runs.MODEL),
)
"""Of which kind it is, which good one is spoilt, what is called, and the cases."""
SETTINGS = [
    Case("csv", name, nothing, error, words, (*RUN, "--set", setting))
    for name, setting, error, words in cases_studies.SETTINGS
]
VERBS, LISTED = (
    [
        Case(good, name, change, error, words, verb)
        for good, verb, name, change, error, words in rows
    ]
    for rows in (cases_verbs.VERBS, cases_verbs.LISTED)
)
CORPUS = [Case(good, *row, verb) for _, good, verb, rows in TABLES for row in rows] + SETTINGS
AT_LEAST = {
    "study": 150, "table": 150, "claims": 70, "contract": 50, "mapping": 45, "model": 35,
    "FHIR bundle": 30, "scenario": 30, "experiment": 30, "run": 25, "value set": 15, "setting": 15,
    "card": 10, "pseudonyms": 10, "settlement": 9,
}  # fmt: skip
"""Cases of each kind; over 700 in all."""
EVERY = 5
"""Of each that many cases one goes through the command line by default, and all of them in slow."""
ONLY_WHEN_FITTED = ("a sign of no column",)
"""What validate cannot see, as it fits nothing."""
ALSO = (
    ("run", ("explain", "run", "--provider", "H01"), cases_runs.RESEALED + cases_runs.UNSEALED),
    ("run", ("compare", "run", "run"), cases_runs.RESEALED),
    ("run", ("diff", "run", "run", "--settlement", "run-settled", "run-settled"),
     cases_runs.UNSEALED),
    ("run", ("audit", "run", "--no-rerun", "--data", "episodes.csv"), cases_runs.UNSEALED),
    ("run", SETTLE, cases_runs.UNSEALED),
    ("run", ("card", "publish", "run", "--to", "shelf"), cases_runs.CARDS),
)  # fmt: skip
"""Other verbs that read the same: each may refuse in its own words."""


def listed(folder: Path) -> set[str]:
    return {str(one.relative_to(folder)) for one in folder.rglob("*")}


def check_line(line: str) -> None:
    """Hold a message to its form: what was wanted, in one line that ends, and no patient."""
    assert "wanted" in line
    assert line.endswith((".", "?", ")", "32")), line
    assert not any(sign in line for sign in "\n\r\t\x1b\0")
    assert MARKER not in line
    assert "Traceback" not in line


def check_refused(case: Case, folder: Path, call: Callable[..., tuple[int, str, str]]) -> None:
    case.change(folder)
    before = listed(folder)
    code, out, err = call(*case.verb)
    assert code == case.error.exit_code, err
    told = [one for one in err.splitlines() if one.startswith("riskadj: error: ")]
    assert len(told) == 1, err
    check_line(told[0])
    assert case.words in told[0]
    assert MARKER not in out + err
    assert "Traceback" not in out + err
    assert listed(folder) == before


def check_not_loaded(case: Case, folder: Path, soon) -> None:
    case.change(folder)
    with soon, pytest.raises(case.error) as caught:
        load_model(case.verb[1])
    check_line(str(caught.value))
    assert case.words in str(caught.value)


def through_the_command_line(case: Case, home, call, soon) -> None:
    folder = home(case.good)
    if case.verb == LOAD:
        check_not_loaded(case, folder, soon)
    else:
        check_refused(case, folder, call)


def test_there_are_hundreds_of_bad_inputs_of_each_kind_that_matters():
    counted = Counter({"setting": len(SETTINGS)})
    for kind, _, _, rows in TABLES:
        counted[kind] += len(rows)
    assert counted.keys() == AT_LEAST.keys()
    assert {kind: n for kind, n in counted.items() if n < AT_LEAST[kind]} == {}
    assert counted.total() == len(CORPUS) >= 700


@pytest.mark.slow
def test_no_two_bad_inputs_are_the_same(good, tmp_path):
    """Two that are called alike differ all the same, be it in the call alone."""
    made = {}
    for case in CORPUS:
        folder = shutil.copytree(good(case.good), tmp_path / case.good)
        case.change(folder)
        content = tuple(sorted(
            (str(one.relative_to(folder)), one.read_bytes() if one.is_file() else None)
            for one in folder.rglob("*")
        ))  # fmt: skip
        made.setdefault(hash((case.good, case.verb, content)), []).append(str(case))
        shutil.rmtree(folder)
    assert [names for names in made.values() if len(names) > 1] == []


def test_every_verb_that_reads_files_is_given_bad_ones():
    called = {one.verb[0] for one in CORPUS + VERBS + LISTED} - {LOAD[0]}
    assert called == set(get_command(app).commands) - cases_verbs.READ_NOTHING


@pytest.mark.parametrize("case", VERBS, ids=str)
def test_each_verb_refuses(case: Case, home, call):
    check_refused(case, home(case.good), call)


@pytest.mark.parametrize("case", LISTED, ids=str)
def test_a_verb_that_answers_in_a_list_refuses_there(case: Case, home, call):
    folder = home(case.good)
    case.change(folder)
    before = listed(folder)
    code, out, err = call(*case.verb)
    told = " ".join((out + err).split())
    assert code == case.error.exit_code, told
    assert case.words in told
    assert "Traceback" not in told
    assert MARKER not in told
    assert listed(folder) == before


@pytest.mark.parametrize("case", CORPUS[::EVERY], ids=str)
def test_a_bad_input_is_refused(case: Case, home, call, soon):
    through_the_command_line(case, home, call, soon)


@pytest.mark.slow
@pytest.mark.parametrize("case", [one for at, one in enumerate(CORPUS) if at % EVERY], ids=str)
def test_every_other_bad_input_is_refused(case: Case, home, call, soon):
    through_the_command_line(case, home, call, soon)


@pytest.mark.slow
@pytest.mark.parametrize(
    "case",
    [one for one in CORPUS if one.verb[0] == "run" and one.name not in ONLY_WHEN_FITTED],
    ids=str,
)
def test_what_a_run_refuses_validate_refuses(case: Case, home, call):
    case.change(home(case.good))
    code, out, err = call(*VALIDATE, *case.verb[len(RUN) :])
    assert code >= 10, out + err
    assert "Traceback" not in out + err
    assert MARKER not in out + err


@pytest.mark.slow
@pytest.mark.parametrize(
    "case",
    [Case(good, *row[:2], RiskadjError, "", verb) for good, verb, rows in ALSO for row in rows],
    ids=str,
)
def test_every_verb_that_reads_it_refuses_it_or_does_not_need_it(case: Case, home, call):
    folder = home(case.good)
    case.change(folder)
    code, out, err = call(*case.verb)
    assert code == 0 or 10 <= code < 70, err
    assert "Traceback" not in out + err


@pytest.mark.parametrize("name", [one for one in GOOD if one not in ("scenario", "run", "model")])
def test_the_good_ones_are_read(name: str, home):
    home(name)
    assert len(read_study(load_study("study.yaml")).table)


def test_the_good_scenario_run_contract_and_model_are_taken(home, call, good, monkeypatch):
    home("scenario")
    assert call(*SIMULATE)[0] == 0
    monkeypatch.chdir(good("run"))
    for verb in (SETTLE, REPORT, WITH_SETTLEMENT):
        assert call(*verb)[0] == 0
    load_model(good("model") / "model")


@pytest.mark.slow
def test_a_cohort_too_small_for_tenths_is_run_all_the_same(home):
    folder = home("sparcs")
    cell("discharges.csv", "Discharge Year", "")(folder)
    finished = run_study(load_study("study.yaml"), folder / "out").folder
    assert "no tenth has episodes enough" in (finished / "card.html").read_text(encoding="utf-8")
