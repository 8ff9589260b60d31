"""No text of a file becomes part of a statement: codes, names and columns that try to are data."""

import ast
import re
import sqlite3
from pathlib import Path
from typing import Any

import duckdb
import pytest
from claims_worlds import line, patient, rules_of, write_world
from hypothesis import given
from hypothesis import strategies as st

from riskadj.claims import read_claims
from riskadj.claims.database import quoted

ATTACKS = (
    "'); DROP TABLE lines; --",
    "' OR '1'='1",
    '"; DROP TABLE patients; --',
    "x'); COPY (SELECT 1) TO 'stolen.csv'; --",
    "$minor",
    "{kept}",
    "?",
)
SRC = Path(__file__).parents[2] / "src" / "riskadj"


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1))
def test_a_quoted_name_is_that_name_and_no_more(name: str):
    assert duckdb.sql(f"SELECT 1 AS {quoted(name)}").columns == [name]
    found = sqlite3.connect(":memory:").execute(f"SELECT 1 AS {quoted(name)}")
    assert found.description[0][0] == name


@pytest.mark.parametrize("attack", ATTACKS)
def test_codes_and_columns_that_are_statements_are_data(attack: str, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    stay: dict[str, Any] = {"to_date": "2020-03-05", "drg": "470", "provider_id": attack}
    lines = [
        line(attack, "2020-03-01", **stay, claim_id=attack, procedure_code=attack),
        line("bob", "2020-05-01", **stay | {"to_date": "2020-05-04"}),
        line("bob", "2020-05-20", "outpatient", paid_amount="25.50", diagnosis_codes=attack),
    ]
    people = [patient(attack, **{attack: "1"}), patient("bob", **{attack: "2"})]
    files = write_world(tmp_path, lines, people)
    before = {one.name for one in tmp_path.iterdir()}
    table = read_claims(files, rules_of(tmp_path), threads=1).table
    assert sorted(table["patient_id"]) == sorted([attack, "bob"])
    assert set(table["provider_id"]) == {attack}
    assert {one.name for one in tmp_path.iterdir()} == before


def test_statements_are_made_in_the_claims_alone_and_never_of_what_was_read():
    """Parts of statements are our own expressions; `quoted` is the only way in for a name."""
    makers = {
        path.relative_to(SRC).as_posix()
        for path in SRC.rglob("*.py")
        if re.search(r"\.(execute|sql|query|text)", path.read_text(encoding="utf-8"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("execute", "executemany", "executescript", "sql", "query", "text")
        and node.args
        and not isinstance(node.args[0], ast.Constant)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id in ("database", "connection", "cursor", "duckdb", "sqlalchemy")
    }
    constants = {"tracking/opening.py"}  # a table of statements with nothing to fill in
    assert makers <= constants | {"claims/database.py", "claims/lines.py", "claims/events.py",
                                  "claims/costs.py"}  # fmt: skip
