"""Faults of a table: all at once, each with its count, a few rows, and no identifier shown."""

import datetime
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from worlds import episode_frame, text_table

from riskadj.episodes import COLUMNS, Column, Episodes, Fault, ValuesFault, read_episodes
from riskadj.episodes.validation import find_faults, to_declared
from riskadj.errors import ColumnError, ValuesError

Change = dict[str, dict[int, Any]]


def written(folder: Path, changes: Change | None = None, name: str = "episodes.csv") -> Path:
    """Write ten episodes as CSV, with some cells changed."""
    table = text_table(episode_frame(10, providers=2))
    for column, cells in (changes or {}).items():
        for row, value in cells.items():
            table.loc[row, column] = value
    table.fillna("").to_csv(folder / name, index=False)
    return folder / name


def read(path: Path, **options: Any) -> Episodes:
    return read_episodes([path], "csv", **options)


def faults_of(folder: Path, changes: Change) -> dict[str, Fault]:
    with pytest.raises(ValuesFault) as caught:
        read(written(folder, changes))
    return {one.column: one for one in caught.value.faults}


def declared(name: str, cells: list[Any], **more: Any) -> tuple[pd.Series, list[Fault]]:
    table, faults = to_declared(pd.DataFrame({name: cells}), COLUMNS | more)
    return table[name], faults


def test_a_clean_table_reads_without_a_fault(tmp_path: Path) -> None:
    episodes = read(written(tmp_path))
    assert len(episodes.table) == 10
    assert episodes.sources[0].rows == 10
    assert find_faults(episodes.table, COLUMNS) == []


def test_every_fault_is_found_at_once_with_its_count(tmp_path: Path) -> None:
    faults = faults_of(
        tmp_path,
        {
            "age_years": {0: "130", 3: "-1"},
            "sex": {1: "x"},
            "comorb_heart": {2: "7", 4: "maybe", 5: "2"},
            "q1_score_ohs": {6: "many"},
        },
    )
    counts = {name: one.count for name, one in faults.items()}
    assert counts == {"age_years": 2, "sex": 1, "comorb_heart": 3, "q1_score_ohs": 1}
    assert faults["age_years"].examples == ((1, "130"), (4, "-1"))


def test_a_fault_shows_five_rows_at_most(tmp_path: Path) -> None:
    fault = faults_of(tmp_path, {"asa": dict.fromkeys(range(10), "9")})["asa"]
    assert fault.count == 10
    assert [row for row, _ in fault.examples] == [1, 2, 3, 4, 5]


def test_the_message_is_one_line_that_counts_the_other_faults(tmp_path: Path) -> None:
    with pytest.raises(ValuesError) as caught:
        read(written(tmp_path, {"age_years": {0: "130"}, "sex": {1: "x"}}))
    assert "\n" not in str(caught.value)
    assert "1 more fault:" in str(caught.value)
    assert "episodes.csv" in str(caught.value)


@pytest.mark.parametrize(
    ("column", "cells"),
    [("episode_id", {1: "SECRET", 2: "SECRET"}), ("provider_id", {0: ""})],
)
def test_what_an_identifier_holds_is_never_shown(
    column: str, cells: dict[int, str], tmp_path: Path
) -> None:
    fault = faults_of(tmp_path, {column: cells})[column]
    assert {shown for _, shown in fault.examples} == {"(not shown)"}
    assert "SECRET" not in str(fault)


def test_every_row_of_a_duplicated_episode_is_a_fault(tmp_path: Path) -> None:
    fault = faults_of(tmp_path, {"episode_id": {1: "twice", 7: "twice"}})["episode_id"]
    assert (fault.rule, fault.count) == ("each value once", 2)
    assert [row for row, _ in fault.examples] == [2, 8]


def test_an_episode_in_two_files_is_a_fault_that_names_both(tmp_path: Path) -> None:
    paths = [written(tmp_path, name=name) for name in ("one.csv", "two.csv")]
    with pytest.raises(ValuesFault, match=r"one\.csv and two\.csv: episode_id.*once; 20 rows"):
        read_episodes(paths, "csv")


@pytest.mark.parametrize("column", ["episode_id", "provider_id"])
def test_an_episode_without_its_identifiers_is_a_fault(column: str, tmp_path: Path) -> None:
    assert faults_of(tmp_path, {column: {0: ""}})[column].rule == "a value"


@pytest.mark.parametrize(
    ("column", "date", "wrong"),
    [
        ("q1_date", "2021-05-02", True),
        ("q1_date", "2021-05-01", False),
        ("discharge_date", "2021-04-30", True),
        ("discharge_date", "2021-05-01", False),
        ("q2_date", "2021-04-30", True),
        ("q2_date", "2021-12-01", False),
        ("q2_date", "", False),
    ],
)
def test_dates_must_be_in_the_order_of_events(
    column: str, date: str, wrong: bool, tmp_path: Path
) -> None:
    cells = {"index_date": {0: "2021-05-01"}, column: {0: date}, "q2_days": {0: ""}}
    path = written(tmp_path, cells)
    if not wrong:
        assert len(read(path).table) == 10
        return
    with pytest.raises(ValuesFault, match=rf"{column}: wanted a date on or .*row 1: {date}"):
        read(path)


@pytest.mark.parametrize(
    ("cells", "column", "told"),
    [
        (
            {"index_date": "2021-05-01", "q2_date": "2026-10-22", "q2_days": "200"},
            "q2_days",
            "the days from index_date to q2_date",
        ),
        ({"q2_returned": "0"}, "q2_returned", "1 where there is a score after"),
        ({"q2_returned": "1", "q2_sent": "0"}, "q2_sent", "1 where q2_returned is 1"),
    ],
)
def test_what_one_column_says_and_another_denies_is_a_fault(
    cells: dict[str, Any], column: str, told: str, tmp_path: Path
) -> None:
    found = faults_of(tmp_path, {name: {0: cell} for name, cell in cells.items()})
    assert (found[column].rule, found[column].count) == (told, 1)


def items_of(answered: int) -> dict[str, dict[int, Any]]:
    """Return the first row's Oxford items, the best answer to some and none to the others."""
    return {f"q2_item_ohs_{i:02}": {0: "4" if i <= answered else ""} for i in range(1, 13)}


@pytest.mark.parametrize("answered", [1, 9])
def test_a_score_out_of_too_few_items_is_a_fault(answered: int, tmp_path: Path) -> None:
    """The rule lets two items be missing; a supplied score does not make up for more."""
    found = faults_of(tmp_path, items_of(answered) | {"q2_score_ohs": {0: "48"}})
    assert found["q2_score_ohs"].rule == "no score, as too few of its items are answered"
    assert found["q2_score_ohs"].examples == ((1, f"48 with {answered} of 12"),)


@pytest.mark.parametrize(("answered", "score"), [(0, 31), (10, 48)])
def test_a_score_stands_where_no_item_or_enough_are_answered(
    answered: int, score: float, tmp_path: Path
) -> None:
    path = written(tmp_path, items_of(answered) | {"q2_score_ohs": {0: f"{score}"}})
    assert read(path).table["q2_score_ohs"].iloc[0] == score


@pytest.mark.parametrize(
    "cell",
    [
        "01/05/2021", "2021-13-01", "yesterday", "today", "2021", "2021-05", 18500, 3.5,
        "12021-05-01", "2021-05-01T25:00", "2021-05-01T10:00 London",
    ],
)  # fmt: skip
def test_a_date_written_otherwise_is_a_fault(cell: Any) -> None:
    values, faults = declared("index_date", [cell, "2021-05-01"])
    assert values.isna().tolist() == [True, False]
    assert faults[0].rule == "a date such as 2019-03-31"


@pytest.mark.parametrize(
    "cell",
    [
        "2021-05-01", " 2021-05-01 ", "20210501", 20210501, 20210501.0, "2021-05-01 23:30",
        "2021-05-01T23:30:00Z", "2021-05-01T00:30:00.123+01:00", "2021-05-01T23:30-0500",
        "2021-05-01T10+01", "2021-05-01+01:00", "2021-05-01Z",
        datetime.date(2021, 5, 1), pd.Timestamp("2021-05-01 23:30"),
        pd.Timestamp("2021-05-01 00:30", tz="Asia/Tokyo"), np.datetime64("2021-05-01T23:30"),
    ],
)  # fmt: skip
def test_a_date_is_the_one_that_is_written_whatever_its_time_and_zone(cell: Any) -> None:
    values, faults = declared("index_date", [cell, None, "2021-05-02T01:00+02:00"])
    assert faults == []
    assert values.dtype.kind == "M"
    assert values.tolist() == [pd.Timestamp("2021-05-01"), pd.NaT, pd.Timestamp("2021-05-02")]


@pytest.mark.parametrize("zone", [None, "UTC", "Europe/London", "Asia/Tokyo"])
def test_dates_of_a_parquet_file_with_a_zone_are_local_ones(
    zone: str | None, tmp_path: Path
) -> None:
    frame = episode_frame(10, providers=2).drop(columns="q2_days")
    for name in ("index_date", "q1_date", "q2_date"):
        frame[name] = pd.Timestamp("2021-05-01")
    zoned = frame.assign(
        index_date=pd.Timestamp("2021-05-01 00:30", tz=zone),
        q1_date=pd.Timestamp("2021-05-01 23:30"),
    )
    zoned.to_parquet(tmp_path / "zoned.parquet")
    table = read_episodes([tmp_path / "zoned.parquet"], "parquet").table
    for name in ("index_date", "q1_date", "q2_date"):
        assert (table[name] == frame[name]).all()


def test_offsets_that_differ_from_row_to_row_are_read(tmp_path: Path) -> None:
    days = {0: "2021-05-01T00:30:00+01:00", 1: "2021-05-01T23:30:00-05:00", 2: "2021-05-01"}
    table = read(written(tmp_path, {"index_date": days})).table
    assert (table["index_date"].iloc[:3] == pd.Timestamp("2021-05-01")).all()


@pytest.mark.parametrize(
    ("column", "cell", "want"),
    [
        ("provider_id", "P001 ", "P001"),
        ("provider_id", "\tP001\xa0", "P001"),
        ("provider_id", " * ", None),
        ("sex", " 1 ", "male"),
        ("sex", "9 ", None),
        ("smoker", " yes", 1.0),
        ("age_years", " 61.5 ", 61.5),
        ("age_years", " - ", None),
        ("age_years", "   ", None),
    ],
)
@pytest.mark.parametrize("dtype", ["str", "object", "category"])
def test_spaces_around_a_cell_are_not_part_of_it(
    column: str, cell: str, want: object, dtype: str
) -> None:
    values, faults = declared(column, pd.Series([cell], dtype=dtype))
    assert faults == []
    assert values.tolist() == [want] if want else values.isna().all()


def test_a_date_in_a_column_of_numbers_is_a_fault() -> None:
    _, faults = declared("age_years", [pd.Timestamp("2021-05-01")])
    assert [(one.rule, one.count) for one in faults] == [("a number", 1)]


@pytest.mark.parametrize("cell", ["many", "inf", "-inf", "1e999", "1,5"])
def test_what_is_not_a_finite_number_is_a_fault(cell: str) -> None:
    values, faults = declared("age_years", [cell, "61.5"])
    assert values.tolist()[1] == 61.5
    assert np.isnan(values.tolist()[0])
    assert faults[0].examples == ((1, cell),)


def test_an_infinite_number_of_a_parquet_file_is_a_fault() -> None:
    values, faults = declared("age_years", [np.inf, 61.5])
    assert faults[0].count == 1
    assert np.isnan(values.tolist()[0])


@pytest.mark.parametrize(
    "column", ["age_years", "sex", "comorb_heart", "index_date", "provider_id"]
)
@pytest.mark.parametrize("cell", ["", "*", "-", None])
def test_codes_for_missing_are_read_as_missing(column: str, cell: str | None) -> None:
    values, faults = declared(column, [cell])
    assert values.isna().all()
    assert faults == []


@pytest.mark.parametrize(
    ("cells", "want"),
    [
        (["1", "0", "9"], [1, 0, None]),
        (["true", "False", ""], [1, 0, None]),
        (["yes", "no", "*"], [1, 0, None]),
        ([1, 0, 1], [1, 0, 1]),
        ([1.0, 0.0, np.nan], [1, 0, None]),
        ([1, 0, 9], [1, 0, None]),
        ([True, False, True], [1, 0, 1]),
        ([True, False, None], [1, 0, None]),
    ],
)
def test_a_flag_is_1_0_or_missing_however_it_is_written(
    cells: list[Any], want: list[float | None]
) -> None:
    values, faults = declared("smoker", cells)
    assert faults == []
    assert values.tolist() == pytest.approx([np.nan if x is None else x for x in want], nan_ok=True)


def test_a_flag_written_as_something_else_is_a_fault_that_lists_the_codes() -> None:
    _, faults = declared("smoker", ["2"])
    assert "one of 0, 0.0, 1, 1.0, False" in faults[0].rule


@pytest.mark.parametrize(
    ("column", "cell", "want"),
    [("period", 2021.0, "2021"), ("patient_id", 12345678901234567, "12345678901234567")],
)
def test_a_number_in_a_column_of_text_is_written_out(column: str, cell: float, want: str) -> None:
    values, faults = declared(column, [cell])
    assert values.tolist() == [want]
    assert faults == []


@pytest.mark.parametrize(
    "cells", [["1", "2", "9"], [1, 2, 9], ["male", "female", "0"], pd.Categorical(["1", "2", "9"])]
)
def test_codes_of_text_become_the_text(cells: list[Any]) -> None:
    values, faults = declared("sex", cells)
    assert values.tolist()[:2] == ["male", "female"]
    assert values.isna().tolist() == [False, False, True]
    assert faults == []


def test_half_a_grade_is_a_fault() -> None:
    faults = find_faults(pd.DataFrame({"asa": [1.5, 2.0, np.nan]}), COLUMNS)
    assert [(one.rule, one.count) for one in faults] == [("a whole number", 1)]


@pytest.mark.parametrize(
    ("bounds", "values", "count"),
    [
        ({"low": 0, "high": 1}, [-1.0, 0.0, 1.0, 2.0], 2),
        ({"low": 0}, [-1.0, 0.0, 1.0, 2.0], 1),
        ({"high": 1}, [-1.0, 0.0, 1.0, 2.0], 1),
        ({}, [-1.0, 0.0, 1.0, 2.0], 0),
    ],
)
def test_a_declared_bound_holds_with_or_without_the_other(
    bounds: dict[str, float], values: list[float], count: int
) -> None:
    column = Column(
        name="frailty", kind="number", known_at="baseline", role="clinical", meaning="x", **bounds
    )  # type: ignore[arg-type]
    faults = find_faults(pd.DataFrame({"frailty": values}), {"frailty": column})
    assert sum(one.count for one in faults) == count


def test_rows_are_counted_from_the_first_whatever_their_index() -> None:
    table = pd.DataFrame({"asa": [1.0, 9.0]}, index=[40, 70])
    assert find_faults(table, COLUMNS)[0].examples == ((2, "9"),)


def test_undeclared_columns_are_not_read(tmp_path: Path) -> None:
    episodes = read(written(tmp_path, {"shoe_size": dict.fromkeys(range(10), "42")}))
    assert "shoe_size" not in episodes.table.columns


def test_a_column_declared_by_the_study_is_read_and_checked(tmp_path: Path) -> None:
    shoe = Column(
        name="shoe_size", kind="whole", known_at="baseline", role="clinical", meaning="size",
        low=15, high=60,
    )  # fmt: skip
    path = written(tmp_path, {"shoe_size": {0: "42", 1: "420"}})
    with pytest.raises(ValuesFault, match="shoe_size: wanted 15 to 60; 1 row differs"):
        read(path, columns=[shoe])


@pytest.mark.parametrize("column", ["provider_id", "period", "procedure_group"])
def test_a_needed_column_that_is_not_there_is_named(column: str, tmp_path: Path) -> None:
    path = written(tmp_path)
    pd.read_csv(path, dtype=str).drop(columns=column).to_csv(path, index=False)
    with pytest.raises(ColumnError, match=f"wanted the column '{column}'"):
        read(path)


def test_a_needed_column_under_another_name_is_renamed(tmp_path: Path) -> None:
    path = written(tmp_path)
    pd.read_csv(path, dtype=str).rename(columns={"provider_id": "Trust"}).to_csv(path, index=False)
    assert read(path, rename={"Trust": "provider_id"}).table["provider_id"].notna().all()


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path, {"Trust": dict.fromkeys(range(10), "H01")})
    with pytest.raises(ColumnError, match=r"'provider_id'.*twice"):
        read(path, rename={"Trust": "provider_id"})


@pytest.mark.parametrize(
    ("period_from", "want"),
    [("calendar_year", ["2021", "2021"]), ("financial_year_april", ["2020/21", "2021/22"])],
)
def test_the_period_may_come_from_the_date_of_the_operation(
    period_from: str, want: list[str], tmp_path: Path
) -> None:
    path = written(tmp_path, {"index_date": {0: "2021-03-31", 1: "2021-04-01"}})
    table = read(path, period_from=period_from).table
    assert table["period"].tolist()[:2] == want
    assert table["period"].isna().tolist()[2:] == [True] * 8


def test_a_period_from_dates_that_are_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ColumnError, match="'index_date' to take the period from"):
        read(written(tmp_path), period_from="calendar_year")


def test_episodes_without_identifiers_get_some_that_depend_on_the_file_alone(
    tmp_path: Path,
) -> None:
    path = written(tmp_path)
    pd.read_csv(path, dtype=str).drop(columns="episode_id").to_csv(path, index=False)
    first, again = read(path).table["episode_id"], read(path).table["episode_id"]
    assert first.is_unique
    assert first.tolist() == again.tolist()


@pytest.mark.parametrize("write", [pd.DataFrame.to_parquet, pd.DataFrame.to_csv])
def test_the_same_episodes_read_the_same_from_either_format(
    write: Callable[..., None], tmp_path: Path
) -> None:
    frame = episode_frame(20)
    path = tmp_path / "table"
    write(frame, path, index=False)
    kind = "parquet" if write is pd.DataFrame.to_parquet else "csv"
    table = read_episodes([path], kind).table
    pd.testing.assert_frame_equal(table[list(frame.columns)], frame)


def test_items_make_the_score_where_none_is_supplied(tmp_path: Path) -> None:
    items = {f"q1_item_ohs_{one:02d}": dict.fromkeys(range(10), "3") for one in range(1, 13)}
    path = written(tmp_path, {**items, "q1_score_ohs": dict.fromkeys(range(10), "")})
    assert read(path).table["q1_score_ohs"].tolist() == [36.0] * 10


def test_a_score_that_its_items_do_not_give_is_a_fault(tmp_path: Path) -> None:
    items = {f"q1_item_ohs_{one:02d}": dict.fromkeys(range(10), "3") for one in range(1, 13)}
    scores = dict.fromkeys(range(10), "36") | {4: "35"}
    fault = faults_of(tmp_path, {**items, "q1_score_ohs": scores})["q1_score_ohs"]
    assert fault.count == 1
    assert fault.examples == ((5, "35, its items give 36"),)
