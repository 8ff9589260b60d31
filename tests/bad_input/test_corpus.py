"""Every bad input is refused in one line, by its kind of error, at once; nothing is left behind."""

from collections.abc import Callable
from pathlib import Path

import pytest

from bad_input import cases_collections, cases_contracts, cases_runs, cases_studies, cases_tables
from bad_input.case import Case
from bad_input.changes import cell
from bad_input.good import GOOD, MARKER
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
    ("csv", RUN, cases_studies.TEXTS),
    ("csv", RUN, cases_studies.KEYS),
    ("csv", RUN, cases_tables.CSV),
    ("parquet", RUN, cases_tables.PARQUET),
    ("nhs", RUN, cases_tables.NHS),
    ("sparcs", RUN, cases_tables.SPARCS),
    ("participation", RUN, cases_tables.PARTICIPATION),
    ("value_sets", RUN, cases_tables.VALUE_SETS),
    ("pseudonyms", RUN, cases_tables.PSEUDONYMS),
    ("redcap", RUN, cases_collections.REDCAP),
    ("redcap", RUN, cases_collections.REDCAP_MAPPING),
    ("fhir", RUN, cases_collections.FHIR),
    ("fhir", RUN, cases_collections.FHIR_MAPPING),
    ("claims", RUN, cases_collections.CLAIMS),
    ("run", SETTLE, cases_contracts.CONTRACT),
    ("run", SETTLE, cases_contracts.PROVIDER_TABLE),
    ("scenario", SIMULATE, cases_contracts.SCENARIO),
    ("experiment", EXPERIMENT, cases_contracts.EXPERIMENT),
    ("run", REPORT, cases_runs.UNSEALED),
    ("run", REPORT, cases_runs.RESEALED),
    ("run", CHECK, cases_runs.CARDS),
    ("run", WITH_SETTLEMENT, cases_runs.SETTLEMENTS),
    ("model", LOAD, cases_runs.MODEL),
)
SETTINGS = [
    Case("csv", name, lambda _: None, error, words, (*RUN, "--set", setting))
    for name, setting, error, words in cases_studies.SETTINGS
]
CORPUS = [Case(good, *row, verb) for good, verb, rows in TABLES for row in rows] + SETTINGS
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


def test_there_are_hundreds_of_bad_inputs_none_twice():
    assert len(CORPUS) >= 700
    assert len({str(one) for one in CORPUS}) > 0.9 * len(CORPUS)


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
