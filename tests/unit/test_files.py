"""Files of rows: everything that may hold a table, and everything that only looks as if."""

import gzip
import zipfile
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from riskadj.episodes import read_episodes
from riskadj.episodes.files import read_text_table
from riskadj.episodes.pieces import read_parquet_table
from riskadj.errors import ColumnError, FileFormatError, FileMissingError

UNREADABLE = Path("/proc/self/mem")
CSV = "provider_id,note\nH01,NA\nH02,\n"
LONG = "provider_id,note\n" + "".join(f"H{one * one % 977:04d},n{one}\n" for one in range(5000))


def zipped(path: Path, **members: str) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members.items():
            archive.writestr(name.replace("__", "/").replace("_csv", ".csv"), text)
    return path


def gzipped(path: Path, text: str) -> Path:
    path.write_bytes(gzip.compress(text.encode()))
    return path


def plain(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def cut(path: Path, share: float = 0.5) -> Path:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    return path


def made(kind: str, folder: Path, text: str = CSV) -> Path:
    if kind == "zip":
        return zipped(folder / "table.zip", inner_csv=text)
    if kind == "gz":
        return gzipped(folder / "table.csv.gz", text)
    return plain(folder / "table.csv", text)


@pytest.mark.parametrize("kind", ["plain", "gz", "zip"])
def test_every_cell_of_a_csv_stays_the_text_it_is(kind: str, tmp_path: Path) -> None:
    table = read_text_table(made(kind, tmp_path))
    assert table.to_dict("list") == {"provider_id": ["H01", "H02"], "note": ["NA", ""]}


@pytest.mark.parametrize("kind", ["plain", "gz", "zip"])
@pytest.mark.parametrize("rows", ["21,x,22\n", "", "21,x\n"])
def test_a_header_with_one_name_twice_is_refused(kind: str, rows: str, tmp_path: Path) -> None:
    path = made(kind, tmp_path, f"bmi,note,bmi\n{rows}")
    with pytest.raises(ColumnError, match=r"table\..*: wanted each column once; got 'bmi' twice"):
        read_text_table(path)


@pytest.mark.parametrize("kind", ["plain", "gz", "zip"])
def test_a_header_of_a_name_and_its_numbered_neighbour_is_fine(kind: str, tmp_path: Path) -> None:
    table = read_text_table(made(kind, tmp_path, 'bmi,bmi.1,"a\nb"\n21,22,\n'))
    assert list(table.columns) == ["bmi", "bmi.1", "a\nb"]


def test_columns_without_a_name_may_be_many(tmp_path: Path) -> None:
    table = read_text_table(plain(tmp_path / "table.csv", "provider_id,, ,,\nH01,,,,\n"))
    assert table["provider_id"].tolist() == ["H01"]


def test_the_ending_of_a_zip_may_be_in_capitals(tmp_path: Path) -> None:
    assert len(read_text_table(zipped(tmp_path / "TABLE.ZIP", INNER_csv=CSV))) == 2


def test_what_macos_leaves_in_a_zip_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "table.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("folder/table.csv", CSV)
        archive.writestr("__MACOSX/folder/._table.csv", b"\x00\x05\x16\x07")
        archive.writestr("folder/._table.csv", b"\x00\x05\x16\x07")
    assert len(read_text_table(path)) == 2


def test_latin_1_is_read_when_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes("name\nHôpital\n".encode("latin-1"))
    assert read_text_table(path, encoding="latin-1")["name"].tolist() == ["Hôpital"]


def test_latin_1_that_claims_to_be_utf_8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes("name\nHôpital\n".encode("latin-1"))
    with pytest.raises(FileFormatError, match="wanted a CSV table in utf-8"):
        read_text_table(path)


def test_the_mark_that_spreadsheets_put_first_is_not_part_of_a_name(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text(CSV, encoding="utf-8-sig")
    assert list(read_text_table(path).columns) == ["provider_id", "note"]


@pytest.mark.parametrize("read", [read_text_table, read_parquet_table])
def test_a_file_that_is_not_there_is_missing(
    read: Callable[[Path], pd.DataFrame], tmp_path: Path
) -> None:
    with pytest.raises(FileMissingError, match=r"nowhere\.csv: wanted a file"):
        read(tmp_path / "nowhere.csv")


@pytest.mark.parametrize("read", [read_text_table, read_parquet_table])
def test_a_folder_is_no_file(read: Callable[[Path], pd.DataFrame], tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match="got a folder"):
        read(tmp_path)


@pytest.mark.parametrize("kind", ["gz", "zip"])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_a_truncated_archive_is_refused_in_one_line(
    kind: str, share: float, tmp_path: Path
) -> None:
    path = cut(made(kind, tmp_path, LONG), share)
    with pytest.raises(FileFormatError, match=r"table\.(zip|csv\.gz)") as caught:
        read_text_table(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["gz", "zip"])
def test_an_archive_with_a_damaged_middle_is_refused(kind: str, tmp_path: Path) -> None:
    path = made(kind, tmp_path, LONG)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 40] = bytes(40)
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match="wanted a"):
        read_text_table(path)


def test_a_zip_with_a_password_is_refused(tmp_path: Path) -> None:
    path = made("zip", tmp_path)
    content = bytearray(path.read_bytes())
    content[6] |= 1  # the flag in the member's header
    content[content.index(b"PK\x01\x02") + 8] |= 1  # and in the directory
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match="encrypted"):
        read_text_table(path)


@pytest.mark.parametrize("name", ["table.zip", "table.csv.gz"])
def test_a_csv_that_only_claims_to_be_an_archive_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match="that opens"):
        read_text_table(plain(tmp_path / name, CSV))


def test_a_zip_without_a_csv_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match="one CSV file in it; got 0"):
        read_text_table(zipped(tmp_path / "table.zip", readme="hello"))


def test_a_zip_with_two_csv_files_is_refused_with_their_names(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match=r"got 2: a\.csv, b\.csv"):
        read_text_table(zipped(tmp_path / "table.zip", a_csv=CSV, b_csv=CSV))


@pytest.mark.parametrize("kind", ["plain", "gz", "zip"])
@pytest.mark.parametrize("text", ["", "\n", "provider_id,note\n"])
def test_a_table_without_rows_is_refused(kind: str, text: str, tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match="wanted"):
        read_text_table(made(kind, tmp_path, text))


def test_a_row_with_more_cells_than_the_header_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match="wanted a CSV table"):
        read_text_table(plain(tmp_path / "table.csv", "a,b\n1,2\n1,2,3\n"))


def test_rows_that_all_have_more_cells_than_the_header_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match="header"):
        read_text_table(plain(tmp_path / "table.csv", "a,b\n1,2,3\n4,5,6\n"))


def test_an_image_is_no_table(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)))
    with pytest.raises(FileFormatError, match="wanted a CSV table"):
        read_text_table(path)


@pytest.mark.skipif(not UNREADABLE.exists(), reason="needs a file that no read succeeds on")
@pytest.mark.parametrize("read", [read_text_table, read_parquet_table])
def test_a_file_that_cannot_be_read_is_refused(read: Callable[[Path], pd.DataFrame]) -> None:
    with pytest.raises(FileFormatError, match="wanted"):
        read(UNREADABLE)


@pytest.mark.skipif(not UNREADABLE.exists(), reason="needs a file that no read succeeds on")
@pytest.mark.parametrize("kind", ["csv", "nhs_proms", "parquet"])
def test_episodes_in_a_file_that_cannot_be_read_are_refused(kind: str) -> None:
    with pytest.raises(FileFormatError, match="/proc/self/mem: wanted a"):
        read_episodes([UNREADABLE], kind)


def test_a_parquet_file_comes_back_as_it_was(tmp_path: Path) -> None:
    table = pd.DataFrame({"provider_id": ["H01", None], "age_years": [61.5, None]})
    table.to_parquet(tmp_path / "table.parquet")
    read = read_parquet_table(tmp_path / "table.parquet")
    assert read["age_years"].tolist()[0] == 61.5
    assert read.isna().sum().tolist() == [1, 1]


def test_the_index_of_a_parquet_file_is_a_column_like_others(tmp_path: Path) -> None:
    table = pd.DataFrame({"episode_id": ["a", "b"], "age_years": [61.5, 62.0]})
    table.set_index("episode_id").to_parquet(tmp_path / "table.parquet")
    read = read_parquet_table(tmp_path / "table.parquet")
    assert read["episode_id"].tolist() == ["a", "b"]
    assert read.index.tolist() == [0, 1]


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_a_truncated_parquet_file_is_refused_in_one_line(share: float, tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    pd.DataFrame({"a": range(5000)}).to_parquet(path)
    with pytest.raises(FileFormatError, match="Parquet file that opens") as caught:
        read_parquet_table(cut(path, share))
    assert "\n" not in str(caught.value)


def test_a_csv_is_no_parquet_file(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match="Parquet file that opens"):
        read_parquet_table(plain(tmp_path / "table.parquet", CSV))


def test_a_parquet_file_without_rows_is_refused(tmp_path: Path) -> None:
    pd.DataFrame({"a": []}).to_parquet(tmp_path / "table.parquet")
    with pytest.raises(FileFormatError, match="wanted rows; got none"):
        read_parquet_table(tmp_path / "table.parquet")


def test_renaming_a_column_that_no_file_has_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "episodes.csv"
    path.write_text("Hospital,period,procedure_group\nA,2021,HIP_PRIM\n")
    with pytest.raises(ColumnError, match=r"data\.rename.*'Hopsital'.*Did you mean 'Hospital'"):
        read_episodes([path], "csv", rename={"Hopsital": "provider_id"})
