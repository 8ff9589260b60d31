"""A large Parquet file is looked at a piece at a time, and it comes out as if it were not."""

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from worlds import episode_frame

from riskadj.episodes import mapped, pieces, read_episodes
from riskadj.episodes.validation import EXAMPLES, ValuesFault
from riskadj.errors import FileFormatError


@pytest.fixture
def frame() -> pd.DataFrame:
    return episode_frame().reset_index(drop=True)


def written(frame: pd.DataFrame, path: Path, rows: int) -> Path:
    pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), path, row_group_size=rows)
    return path


@pytest.fixture
def _in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "ROWS", 100)
    monkeypatch.setattr(mapped, "MAPPED_FROM", 0)


def test_row_groups_are_taken_together_up_to_so_many_rows() -> None:
    assert list(pieces.together([50, 50, 1, 300, 20], 100)) == [[0, 1], [2], [3], [4]]
    assert list(pieces.together([], 100)) == []


def test_pieces_give_the_table_that_the_whole_gives(
    frame: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(frame.drop(columns="episode_id", errors="ignore"), tmp_path / "e.parquet", 40)
    whole = read_episodes([path], "parquet")
    monkeypatch.setattr(pieces, "ROWS", 100)
    monkeypatch.setattr(mapped, "MAPPED_FROM", 0)
    parts = read_episodes([path], "parquet")
    pd.testing.assert_frame_equal(parts.table, whole.table)
    assert (parts.digest, parts.sources, parts.columns) == (
        whole.digest, whole.sources, whole.columns
    )  # fmt: skip


def test_a_folder_of_parts_is_read_as_its_files_are(frame: pd.DataFrame, tmp_path: Path) -> None:
    folder = tmp_path / "episodes.parquet"
    folder.mkdir()
    parts = [
        written(frame.iloc[begin : begin + 150], folder / f"part-{begin:05}.parquet", 40)
        for begin in range(0, len(frame), 150)
    ]
    (folder / "_SUCCESS").touch()
    (folder / ".part-00000.parquet.crc").write_text("a sum")
    told, found = read_episodes(parts, "parquet"), read_episodes([folder], "parquet")
    pd.testing.assert_frame_equal(found.table, told.table)
    assert (found.digest, found.sources) == (told.digest, told.sources)
    assert len(found.sources) == len(parts) > 1


def test_a_folder_without_parts_is_refused(tmp_path: Path) -> None:
    (tmp_path / "period=2020").mkdir()
    with pytest.raises(FileFormatError, match="or a folder with some; got a folder without"):
        read_episodes([tmp_path], "parquet")


def faults_of(path: Path) -> list[str]:
    with pytest.raises(ValuesFault) as caught:
        read_episodes([path], "parquet")
    return sorted(str(one) for one in caught.value.faults)


def test_faults_of_all_pieces_are_counted_once_with_their_rows_in_the_file(
    frame: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame.loc[frame.index % 30 == 7, "q1_score_ohs"] = 99
    frame.loc[frame.index % 50 == 3, "provider_id"] = None
    frame.loc[150, "episode_id"] = frame.loc[3, "episode_id"]
    path = written(frame, tmp_path / "e.parquet", 40)
    whole = faults_of(path)
    monkeypatch.setattr(pieces, "ROWS", 100)
    assert faults_of(path) == whole
    assert len(whole) == 3
    assert any("row 4" in one and "row 151" in one for one in whole)
    assert max(one.count("row ") for one in whole) == EXAMPLES


@pytest.mark.usefixtures("_in_pieces")
def test_the_same_episode_in_two_pieces_is_found(frame: pd.DataFrame, tmp_path: Path) -> None:
    frame.loc[250, "episode_id"] = frame.loc[3, "episode_id"]
    (fault,) = faults_of(written(frame, tmp_path / "e.parquet", 40))
    assert "episode_id: wanted each value once; 2 rows differ (row 4: " in fault
