"""The columns as data: what each means, when it is known, and that they can be written and read."""

import re

import pytest
from pydantic import ValidationError

from riskadj.casemix.roles import refusal
from riskadj.episodes import COLUMNS, Column, declared_columns
from riskadj.episodes.columns import RESERVED
from riskadj.errors import StudyError
from riskadj.expected import Expectations
from riskadj.instruments import INSTRUMENTS, Instrument

EVERY = pytest.mark.parametrize("column", COLUMNS.values(), ids=COLUMNS)
OUTCOME_TIME = (
    "anchor_change", "satisfaction", "complication_wound", "readmitted", "further_surgery",
    "revised_before_q2", "q2_date", "q2_days", "q2_returned", "deceased",
)  # fmt: skip


@EVERY
def test_every_column_says_what_it_means(column: Column) -> None:
    assert len(column.meaning) >= 3
    assert re.fullmatch(r"[a-z][a-z0-9_]*", column.name)
    assert COLUMNS[column.name] is column


@EVERY
def test_every_number_has_a_unit_and_a_range(column: Column) -> None:
    if column.kind in ("number", "whole"):
        assert column.unit
        assert column.low < column.high
    if column.kind == "flag":
        assert (column.low, column.high) == (0, 1)


@EVERY
def test_coded_columns_read_back_what_they_hold(column: Column) -> None:
    held = {f"{one:g}" if isinstance(one, float) else one for one in column.codes.values()}
    assert held <= set(column.codes)
    assert not held & set(column.missing_codes)


@EVERY
def test_an_empty_cell_is_missing_in_every_column(column: Column) -> None:
    assert {"", "*", "-"} <= set(column.missing_codes)


@EVERY
def test_everything_after_the_operation_is_declared_so(column: Column) -> None:
    if column.name.startswith(("q2_", "complication_")) or column.name in OUTCOME_TIME:
        assert column.known_at == "after"
        assert "only after the episode" in refusal(column)


@pytest.mark.parametrize("name", [one for one in COLUMNS if one.endswith("_id")])
def test_every_identifier_is_declared_one(name: str) -> None:
    assert COLUMNS[name].role == "identifier"


@pytest.mark.parametrize("one", INSTRUMENTS.values(), ids=INSTRUMENTS)
@pytest.mark.parametrize(("q", "known_at"), [("q1", "baseline"), ("q2", "after")])
def test_every_instrument_has_its_columns(one: Instrument, q: str, known_at: str) -> None:
    items = [f"{q}_item_{one.measure}_{item:02d}" for item in range(1, one.items + 1)]
    for name in [f"{q}_score_{one.measure}", *items]:
        assert COLUMNS[name].known_at == known_at
    assert COLUMNS[f"q1_score_{one.measure}"].low == one.score_range[0]
    assert COLUMNS[f"reference_predicted_{one.measure}"].role == "reference"


def test_a_declared_column_joins_the_canonical_ones() -> None:
    mine = Column(name="frailty", kind="whole", known_at="baseline", role="clinical", meaning="x")
    assert declared_columns([mine])["frailty"] is mine
    assert "frailty" not in COLUMNS


def test_a_result_declared_as_known_before_is_refused() -> None:
    mine = COLUMNS["q2_score_ohs"].model_copy(update={"known_at": "baseline"})
    with pytest.raises(StudyError, match=r"^data\.columns: .* got 'q2_score_ohs', which is one"):
        declared_columns([mine])


def test_a_name_declared_twice_is_refused() -> None:
    mine = COLUMNS["bmi"].model_copy(update={"name": "frailty"})
    with pytest.raises(StudyError, match=r"^data\.columns: .* got 'frailty' twice"):
        declared_columns([mine, mine.model_copy(update={"high": 100.0})])


@pytest.mark.parametrize("name", sorted(RESERVED))
def test_a_name_that_a_run_uses_itself_is_refused(name: str) -> None:
    assert name not in COLUMNS
    with pytest.raises(StudyError, match=rf"^data\.columns: .* got {re.escape(repr(name))}, which"):
        declared_columns([COLUMNS["bmi"].model_copy(update={"name": name})])


def test_every_name_that_a_run_uses_itself_is_reserved(expectations: Expectations) -> None:
    assert {*expectations.table.columns} <= RESERVED | set(COLUMNS)


@pytest.mark.parametrize(
    "change", [{"known": "baseline"}, {"known_at": "later"}, {"role": "guess"}, {"kind": "int"}]
)
def test_a_declaration_that_makes_no_sense_is_refused(change: dict[str, str]) -> None:
    fine = {"name": "x", "kind": "text", "known_at": "baseline", "role": "social", "meaning": "x"}
    with pytest.raises(ValidationError):
        Column(**(fine | change))


@pytest.mark.parametrize("missing", ["known_at", "role", "kind", "meaning"])
def test_a_declaration_must_say_when_it_is_known_and_whose_it_is(missing: str) -> None:
    fine = {"name": "x", "kind": "text", "known_at": "baseline", "role": "social", "meaning": "x"}
    with pytest.raises(ValidationError, match=missing):
        Column(**{key: value for key, value in fine.items() if key != missing})
