"""Files of rows: one table of text out of whatever holds it, or one line that says why not."""

import csv
import zipfile
import zlib
from collections import Counter
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path
from typing import IO

import pandas as pd

from riskadj.episodes.opened import check_amount, opened
from riskadj.episodes.shown import shown_cell
from riskadj.errors import ColumnError, FileFormatError, FileMissingError

MOST_COLUMNS = 10_000


@dataclass(frozen=True)
class Source:
    """A file that episodes came from: its name, the SHA-256 of its bytes, and its rows."""

    name: str
    digest: str
    rows: int


def read_text_table(path: Path, encoding: str = "utf-8") -> pd.DataFrame:
    """Read a CSV file, plain, `.gz` or a `.zip` with one CSV in it; every cell stays text.

    Raises
    ------
    FileMissingError, FileFormatError, ColumnError
    """
    check_there(path)
    try:
        table = _read_csv(path, encoding)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError) as error:
        raise FileFormatError(
            f"{path}: wanted a {path.suffix} file that opens; got one that does not ({error}). "
            "Fetch or make it again."
        ) from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError, csv.Error, UnicodeError) as error:
        raise FileFormatError(
            f"{path}: wanted a CSV table in {encoding}; got something else "
            f"({str(error).strip().splitlines()[0]})."
        ) from None
    if table.empty:
        raise FileFormatError(f"{path}: wanted rows under the header; got none.")
    return table


def check_there(path: Path) -> None:
    """Raise unless the path is a file.

    Raises
    ------
    FileMissingError, FileFormatError
    """
    try:
        is_there = path.exists()
    except OSError:  # such as a name too long for any file
        is_there = False
    if not is_there:
        raise FileMissingError(
            f"{path}: wanted a file with episodes; there is none. Check data.paths."
        )
    if not path.is_file():
        raise FileFormatError(f"{path}: wanted a file with episodes; got a folder.")


def _read_csv(path: Path, encoding: str) -> pd.DataFrame:
    with opened(path, lines=True) as stream:
        header, first = _first_rows(stream, encoding)
        check_amount(stream, path)
    _check_header(header, path)
    if len(first) > len(header):  # pandas would take what sticks out for an index
        raise FileFormatError(
            f"{path}: wanted as many cells in a row as in the header; got more in the first row."
        )
    with opened(path, lines=True) as stream:
        return pd.read_csv(stream, encoding=encoding, dtype=str, keep_default_na=False, engine="c")


def _first_rows(stream: IO[bytes], encoding: str) -> tuple[list[str], list[str]]:
    """Return the first two rows that are none of nothing at all."""
    text = TextIOWrapper(stream, encoding=encoding, newline="")
    rows = (row for row in csv.reader(text) if row)
    found = next(rows, []), next(rows, [])
    text.detach()
    return found


def _check_header(header: list[str], path: Path) -> None:
    if len(header) > MOST_COLUMNS:
        raise FileFormatError(
            f"{path}: wanted up to {MOST_COLUMNS:,} columns; got {len(header):,}. Check that it is "
            "a table with a header."
        )
    names = [one.removeprefix("\ufeff") for one in header if one.strip()]
    twice = next((one for one, count in Counter(names).items() if count > 1), None)
    if twice is not None:  # pandas would give the second one a name of its own
        raise ColumnError(
            f"{path}: wanted each column once; got {shown_cell(twice)!r} twice. Rename or remove "
            "one of them in the file."
        )
