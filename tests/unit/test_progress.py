"""What the command line shows: whole names, what figures are on, lists that fit or can be cut."""

import dataclasses
import io
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from findings_example import example_findings
from rich.console import Console

from riskadj.cli.progress import (
    _columns_table,
    _metrics_table,
    _modelled,
    show_anchored,
    show_columns,
    show_faults,
    show_flow,
    show_run,
    show_thresholds,
)
from riskadj.episodes import COLUMNS
from riskadj.errors import UnknownNameError, ValuesError
from riskadj.instruments.thresholds import THRESHOLDS
from riskadj.report.folder import MARK

HEADER = "column\tmeaning\tholds\tknown\trole"
LONG = (
    "reference_predicted_eq5d5l",
    "m" * 60,
    "one, two, three",
    "baseline",
    "provider_influenced",
)
SHORT = ("sex", "sex of the patient", "male, female, both of them", "baseline", "clinical")


def shown(table: Any, width: int) -> list[str]:
    console = Console(file=io.StringIO(), width=width)
    console.print(table)
    lines: list[str] = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    return [one.rstrip() for one in lines]


def test_into_a_pipe_a_column_is_one_line_with_tabs(capsys: pytest.CaptureFixture[str]) -> None:
    show_columns("*")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == HEADER
    assert len(lines) == len(COLUMNS) + 1
    assert {one.count("\t") for one in lines} == {4}
    assert [one.split("\t")[0] for one in lines[1:]] == list(COLUMNS)
    assert "sex\t" in "\n".join(lines)


@pytest.mark.parametrize("width", [60, 80, 100, 120, 200])
@pytest.mark.parametrize("rows", [[LONG], [SHORT], [LONG, SHORT]], ids=["long", "short", "both"])
def test_on_a_terminal_it_fits_and_no_name_is_cut(width: int, rows: list[tuple[str, ...]]) -> None:
    lines = shown(_columns_table(rows, width), width)
    assert max(map(len, lines)) <= width
    assert "…" not in "".join(lines)
    for name, _, _, known, role in rows:
        assert any(name in one for one in lines)
        text = " ".join(" ".join(lines).split())
        assert known in text
        assert role in text


def test_what_a_column_holds_is_folded_before_its_meaning() -> None:
    row = (*SHORT[:1], "m" * 40, *SHORT[2:])
    lines = shown(_columns_table([row], 90), 90)
    assert any("m" * 40 in one for one in lines)
    assert sum(bool(one) for one in lines) == 3  # the header, and two lines of what it holds


@pytest.mark.parametrize("width", range(60, 121, 5))
def test_a_meaning_has_thirty_characters_at_least(width: int) -> None:
    row = (*LONG[:1], "m" * 30, *LONG[2:])
    assert any("m" * 30 in one for one in shown(_columns_table([row], width), width))


@pytest.mark.parametrize(
    ("kinds", "told"),
    [
        (["gain"], "the score after"),
        (["gain", "responder"], "what is modelled (of a gain the score after)"),
        (["responder", "percentage_change", "final_score"], "what is compared"),
    ],
    ids=str,
)
def test_the_title_says_what_the_figures_are_on(kinds: list[str], told: str) -> None:
    outcomes = tuple(SimpleNamespace(kind=one) for one in kinds)
    run: Any = SimpleNamespace(findings=SimpleNamespace(study=SimpleNamespace(outcomes=outcomes)))
    assert _modelled(run) == told


def test_the_names_of_outcomes_are_not_cut_at_80() -> None:
    found = example_findings()
    names = {"ohs": "nrs_arm_success_after_a_year", "eq5d": "ndi_success"}
    metrics = {names[one]: them for one, them in found.metrics.items()}
    providers = found.providers.replace({"outcome": names})
    renamed = dataclasses.replace(found, metrics=metrics, providers=providers)
    run: Any = SimpleNamespace(findings=renamed)
    lines = shown(_metrics_table(run), 80)
    assert "…" not in "".join(lines)
    assert max(map(len, lines)) <= 80
    firsts = [one.strip().split(" ")[0] for one in lines]
    assert "nrs_arm_success_after_a_year" in "".join(firsts)
    assert "ndi_success" in firsts


def test_every_threshold_is_shown_and_one_that_is_not_verified_says_so(capsys) -> None:
    show_thresholds("*")
    out = capsys.readouterr().out
    assert all(one in out for one in THRESHOLDS)
    assert out.count("not verified: ") == sum(not one.verified for one in THRESHOLDS.values())


@pytest.mark.parametrize("show", [show_thresholds, show_columns])
def test_a_pattern_that_matches_nothing_is_refused(show) -> None:
    with pytest.raises(UnknownNameError, match="matches none"):
        show("nothing-of-the-kind")


@pytest.mark.parametrize(("count", "noun"), [(1, "1 fault;"), (2, "2 faults;")])
def test_faults_are_counted(count: int, noun: str, capsys) -> None:
    show_faults([ValuesError("wanted 1; got 2.")] * count)
    err = capsys.readouterr().err
    assert err.count("- wanted 1; got 2.") == count
    assert noun in err


def test_the_flow_has_a_line_for_each_reason(capsys) -> None:
    flow = pd.DataFrame(
        [("ohs", "cohort", "no score after", 1200, 34000)],
        columns=["outcome", "station", "reason", "left", "remaining"],
    )
    show_flow(flow)
    out = capsys.readouterr().out
    assert "1,200" in out
    assert "34,000" in out


def run_of(tmp_path, **given):
    (tmp_path / MARK).write_text('{"seal": "abc"}', encoding="utf-8")
    more = {"replaced": "", "told_with_replaced": 0, "logged": None} | given
    return SimpleNamespace(
        findings=example_findings(), seconds={"read": 1.0}, folder=tmp_path, **more
    )


def test_a_run_says_where_it_is_and_what_it_replaced_and_where_it_was_logged(
    tmp_path, capsys
) -> None:
    show_run(run_of(tmp_path))
    alone = capsys.readouterr().out
    assert "seal      abc" in alone
    assert "replaced" not in alone
    assert "warning" not in alone
    assert "MLflow" not in alone
    logged = SimpleNamespace(run_id="r1", uri="sqlite:///mlflow.db")
    show_run(run_of(tmp_path, replaced="old.csv", told_with_replaced=3, logged=logged))
    out = capsys.readouterr().out
    assert "a run of other data: old.csv" in out
    assert "run r1 at sqlite:///mlflow.db" in out
    assert "3 numbers tell of few patients beside those of the run that was here before" in out


def test_answers_of_few_are_hidden_and_so_is_the_one_that_would_tell_them(capsys) -> None:
    answers = pd.DataFrame(
        {"answer": [1, 2, 3], "n": [50, 20, 3], "share": [0.68, 0.27, 0.04],
         "mean_change": [9.0, 4.0, 1.0], "sd": [2.0, 2.0, 2.0]}
    )  # fmt: skip
    ends = {"lower95": [4.0], "upper95": [6.0]}
    show_anchored(
        SimpleNamespace(
            measured=SimpleNamespace(n=73, share_improved=0.7, correlation=0.4, auc=0.8),
            thresholds=pd.DataFrame({"method": ["predictive"], "value": [5.0], **ends}),
            answers=answers,
            slope=(0.1, 0.0, 0.2),
            along=pd.DataFrame({"baseline": [20.0], "threshold": [5.0], **ends}),
            baseline_of="items",
        ),  # type: ignore[arg-type]
        suppress_below=6,
    )
    out = capsys.readouterr().out
    assert "50" in out
    assert "20.0%" not in out
    assert out.count("*") >= 8  # two rows of four
