"""Large tables are held in a file, and nobody can tell by their content."""

import weakref
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from riskadj.episodes import mapped as place
from riskadj.episodes.mapped import chosen, gathered, joined, mapped


@pytest.fixture
def table() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    return pd.DataFrame(
        {
            "score": [1.5, np.nan, -0.0, np.inf] * 50,
            "whole": np.arange(200),
            "text": ["a", None, "", "später"] * 50,
            "flag": pd.array([1, 0, None, 1] * 50, dtype="Int64"),
            "truth": rng.random(200) < 0.5,
            "date": pd.to_datetime(["2024-01-01", None] * 100),
            "level": pd.Categorical(["x", "y"] * 100),
        }
    ).astype({"text": "str"})


@pytest.fixture
def _every_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(place, "MAPPED_FROM", 0)


@pytest.mark.usefixtures("_every_table")
class TestMapped:
    def test_values_and_kinds_stay_as_they_were(self, table: pd.DataFrame) -> None:
        pd.testing.assert_frame_equal(mapped(table), table)

    def test_a_column_of_texts_without_any_stays_one(self) -> None:
        table = pd.DataFrame({"x": ["", None]}).astype({"x": "str"}).iloc[1:].reset_index(drop=True)
        pd.testing.assert_frame_equal(mapped(table), table)

    def test_a_table_without_rows_stays_one(self, table: pd.DataFrame) -> None:
        pd.testing.assert_frame_equal(mapped(table.iloc[:0]), table.iloc[:0])

    def test_parts_are_joined_as_pandas_joins_them(self, table: pd.DataFrame) -> None:
        parts = [
            table.iloc[:50],
            table.iloc[50:50],
            table.iloc[50:].drop(columns=["text", "score"]),
        ]
        wanted = pd.concat(parts, ignore_index=True)
        pd.testing.assert_frame_equal(joined(parts), wanted)

    def test_numbers_are_not_copied_into_memory(self, table: pd.DataFrame) -> None:
        held = mapped(table)["score"].to_numpy()
        assert not held.flags.owndata
        assert not held.flags.writeable

    def test_a_mapped_table_can_be_changed_without_changing_the_file(
        self, table: pd.DataFrame
    ) -> None:
        held = mapped(table)
        other = held.assign(score=0.0)
        held.loc[0, "whole"] = 7
        assert held["whole"].iloc[0] == 7
        assert other["score"].eq(0).all()

    def test_no_file_is_left_where_it_was_made(
        self, table: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
        held = mapped(table)
        assert list(tmp_path.iterdir()) == []
        assert held["whole"].sum() == table["whole"].sum()


@pytest.mark.parametrize("mapped_from", [0, 5_000, place.MAPPED_FROM])
def test_parts_that_come_one_by_one_are_joined_as_pandas_joins_them(
    table: pd.DataFrame, mapped_from: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(place, "MAPPED_FROM", mapped_from)
    parts = [table.iloc[start : start + 30] for start in range(0, len(table), 30)]
    pd.testing.assert_frame_equal(gathered(iter(parts)), pd.concat(parts, ignore_index=True))


def test_of_parts_that_come_one_by_one_few_are_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(place, "MAPPED_FROM", 4_000)
    made: list[weakref.ref[pd.DataFrame]] = []
    most = 0

    def parts() -> Iterator[pd.DataFrame]:
        nonlocal most
        for k in range(40):
            one = pd.DataFrame({"x": np.full(100, float(k))})
            made.append(weakref.ref(one))
            most = max(most, sum(each() is not None for each in made))
            yield one

    gathered(parts())
    assert most <= 8


@pytest.mark.parametrize("mapped_from", [0, place.MAPPED_FROM])
@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_chosen_rows_are_those_that_pandas_chooses(
    table: pd.DataFrame, share: float, mapped_from: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(place, "MAPPED_FROM", mapped_from)
    rows = np.random.default_rng(2).random(len(table)) < share
    pd.testing.assert_frame_equal(chosen(table, rows), table[rows].reset_index(drop=True))


def test_a_small_table_stays_where_it_is(table: pd.DataFrame) -> None:
    assert mapped(table) is table
