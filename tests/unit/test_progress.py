"""What the command line shows: whole names, what figures are on, lists that fit or can be cut."""

import dataclasses
import io
from types import SimpleNamespace
from typing import Any

import pytest
from findings_example import example_findings
from rich.console import Console

from riskadj.cli.progress import _columns_table, _metrics_table, _modelled, show_columns
from riskadj.episodes import COLUMNS

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
