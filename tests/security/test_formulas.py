"""No cell that we write is a formula to a spreadsheet, and each is read back as it was."""

import csv
import io
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from riskadj.report.folder import csv_text, no_formula, read_csv, with_formula, write_csv

BEGINS = "=+-@\t\r\n\uff1d\uff0b\uff0d\uff20"
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
LIKELY = st.text(st.sampled_from("=+-@\t\r\n;'\",ab1. \uff1d"), max_size=12)
TEXTS = LIKELY | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))


def cells_of(text: str, separator: str) -> list[str]:
    """Return where a spreadsheet begins a cell that is no number, whatever its separator."""
    parts = re.split(f"[{separator}\t\r\n]", text)
    return [one for one in parts if one and not NUMBER.fullmatch(one)]


@given(TEXTS)
def test_no_text_is_a_formula(text: str):
    if not NUMBER.fullmatch(text):
        assert not no_formula(text).startswith(tuple(BEGINS))
    for cell in cells_of(no_formula(text), ";"):
        assert cell[0] not in "=@+"


@given(TEXTS)
def test_every_text_comes_back_as_it_was(text: str):
    assert with_formula(no_formula(text)) == text


@given(TEXTS)
def test_what_is_harmless_is_written_as_it_is(text: str):
    if not re.search(f"(^|[;\t\r\n])'*[{re.escape(BEGINS)}]", text):
        assert no_formula(text) == text == with_formula(text)


@settings(deadline=None)
@given(
    rows=st.lists(st.tuples(TEXTS, st.floats(allow_nan=False)), min_size=1, max_size=6),
    heading=LIKELY,
)
def test_a_table_comes_back_as_it_was(rows, heading, tmp_path_factory):
    name = f"x{heading}"  # a heading of nothing has no name to come back to
    table = pd.DataFrame({name: [one for one, _ in rows], "n": [one for _, one in rows]})
    path = tmp_path_factory.getbasetemp() / "table.csv"
    write_csv(table, path)
    again = read_csv(
        path, dtype={no_formula(name): str}, keep_default_na=False, na_values={"n": ""}
    )
    assert again.columns[0] == name
    assert again[name].tolist() == table[name].tolist()
    np.testing.assert_allclose(again["n"], table["n"], rtol=1e-11)


@pytest.mark.parametrize("value", [-1.5, -0.0, 1e-300, -1e300, -7, float("-inf")])
def test_numbers_stay_numbers(value: float):
    _, (cell,) = csv.reader(io.StringIO(csv_text(pd.DataFrame({"n": [value]}))))
    assert float(cell) == value


@pytest.mark.parametrize("text", ["-1.5", "+7", "-1e5", "-.5", "3"])
def test_a_number_as_text_is_one_too(text: str):
    assert no_formula(text) == text


@pytest.mark.parametrize(
    "text",
    ["=1+1", "+1+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", "-inf", "+46 (0)70", "\uff1d1+1", "'=1"],
)
def test_a_formula_gets_an_apostrophe(text: str):
    assert no_formula(text).startswith("'")
    assert with_formula(no_formula(text)) == text


@pytest.mark.parametrize("kind", ["category", "object", "str"])
def test_texts_of_every_kind_are_made_safe(kind: str, tmp_path):
    table = pd.DataFrame({"name": pd.Series(["=1", "b", None, "=1"]).astype(kind), "n": range(4)})
    assert csv_text(table) == "name,n\n'=1,0\nb,1\n,2\n'=1,3\n"
    write_csv(table, tmp_path / "t.csv")
    assert read_csv(tmp_path / "t.csv")["name"].dropna().tolist() == ["=1", "b", "=1"]


def test_a_table_without_rows_keeps_its_header(tmp_path):
    write_csv(pd.DataFrame({"=a": [], "b": []}), tmp_path / "t.csv")
    assert (tmp_path / "t.csv").read_text() == "'=a,b\n"
    assert list(read_csv(tmp_path / "t.csv")) == ["=a", "b"]
