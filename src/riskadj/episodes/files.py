"""Files of rows: one table of text out of whatever holds it, or one line that says why not."""

import gzip
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO

import pandas as pd

from riskadj.errors import ColumnError, FileFormatError, FileMissingError

_MACOS_LITTER = ("__MACOSX/", "._")


def read_text_table(path: Path, encoding: str = "utf-8") -> pd.DataFrame:
    """Read a CSV file, plain, `.gz` or a `.zip` with one CSV in it; every cell stays text.

    Raises
    ------
    FileMissingError, FileFormatError, ColumnError
    """
    check_there(path)
    readers: dict[str, Callable[[Path, str], pd.DataFrame]] = {
        ".zip": _read_zip,
        ".gz": _read_gzip,
    }
    read = readers.get(path.suffix.lower(), _read_plain)
    try:
        table = read(path, encoding)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError) as error:
        raise FileFormatError(
            f"{path}: wanted a {path.suffix} file that opens; got one that does not ({error}). "
            "Fetch or make it again."
        ) from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise FileFormatError(
            f"{path}: wanted a CSV table in {encoding}; got something else "
            f"({str(error).strip().splitlines()[0]})."
        ) from None
    if not isinstance(table.index, pd.RangeIndex):  # pandas takes what sticks out for an index
        raise FileFormatError(
            f"{path}: wanted as many cells in a row as in the header; got more in every row."
        )
    if table.empty:
        raise FileFormatError(f"{path}: wanted rows under the header; got none.")
    return table


def read_parquet_table(path: Path) -> pd.DataFrame:
    """Read a Parquet file.

    Raises
    ------
    FileMissingError, FileFormatError
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    check_there(path)
    try:
        table = pq.read_table(path).to_pandas(ignore_metadata=True)
    except (pa.ArrowInvalid, pa.ArrowException, OSError) as error:
        raise FileFormatError(
            f"{path}: wanted a Parquet file that opens; got one that does not "
            f"({str(error).strip().splitlines()[0].rstrip('.')}). Write it again."
        ) from None
    if table.empty:
        raise FileFormatError(f"{path}: wanted rows; got none.")
    return table


def check_there(path: Path) -> None:
    """Raise unless the path is a file.

    Raises
    ------
    FileMissingError, FileFormatError
    """
    if not path.exists():
        raise FileMissingError(
            f"{path}: wanted a file with episodes; there is none. Check data.paths."
        )
    if not path.is_file():
        raise FileFormatError(f"{path}: wanted a file with episodes; got a folder.")


def _read_csv(stream: IO[bytes] | gzip.GzipFile, path: Path, encoding: str) -> pd.DataFrame:
    options = {"encoding": encoding, "dtype": str, "keep_default_na": False, "engine": "c"}
    header = pd.read_csv(stream, header=None, nrows=1, **options).iloc[0]
    twice = header[header.duplicated() & (header.str.strip() != "")]
    if not twice.empty:  # pandas would give the second one a name of its own
        raise ColumnError(
            f"{path}: wanted each column once; got {twice.iloc[0]!r} twice. Rename or remove one "
            "of them in the file."
        )
    stream.seek(0)
    return pd.read_csv(stream, **options)


def _read_plain(path: Path, encoding: str) -> pd.DataFrame:
    with path.open("rb") as stream:
        return _read_csv(stream, path, encoding)


def _read_gzip(path: Path, encoding: str) -> pd.DataFrame:
    with gzip.open(path) as stream:
        return _read_csv(stream, path, encoding)


def _read_zip(path: Path, encoding: str) -> pd.DataFrame:
    with zipfile.ZipFile(path) as archive:
        names = [one for one in archive.namelist() if _is_csv(one)]
        if len(names) != 1:
            raise FileFormatError(
                f"{path}: wanted a zip with one CSV file in it; got {len(names)}"
                f"{': ' + ', '.join(names[:3]) if names else ''}."
            )
        with archive.open(names[0]) as stream:
            return _read_csv(stream, path, encoding)


def _is_csv(name: str) -> bool:
    last = name.rsplit("/", 1)[-1]
    litter = name.startswith(_MACOS_LITTER[0]) or last.startswith(_MACOS_LITTER[1])
    return last.lower().endswith(".csv") and not litter
