"""Large tables in a file without a name, of which the machine holds what is being looked at.

A table in memory has to fit there; pages of a mapped file may be put away and fetched again. The
file has no name from the moment it is made, so that nothing is left behind whatever ends the
process.
"""

import mmap
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from riskadj.errors import OutputError

MAPPED_FROM = 64 * 2**20
"""Bytes: smaller tables stay in memory."""
_ALIGNED = 64


def mapped(table: pd.DataFrame) -> pd.DataFrame:
    """Return the same table; a large one with its numbers and texts in a mapped file.

    Columns of other kinds stay in memory. The file is in the folder for temporary files (`TMPDIR`
    says which), and as large as the table.

    Parameters
    ----------
    table : DataFrame
        With a range as its index.

    Raises
    ------
    OutputError
        When there is no room for the file.

    Examples
    --------
    >>> mapped(pd.DataFrame({"x": [1.0, float("nan")]}))["x"].tolist()
    [1.0, nan]
    """
    return joined([table]) if _is_large([table]) else table


def joined(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Return tables under each other; where they are large together, mapped a column at a time.

    Parameters
    ----------
    parts : sequence of DataFrame
        A column that only some have is missing in the rows of the others.

    Raises
    ------
    OutputError
        When there is no room for the file.
    """
    if not _is_large(parts):
        return pd.concat(parts, ignore_index=True)
    names = dict.fromkeys(name for one in parts for name in one.columns)
    with _file() as file:
        pages = _Pages(file)
        for name in names:
            pages.keep(name, _column(parts, name))
        return pages.read()


def gathered(parts: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Return the same of tables that come one by one, of which few are in memory meanwhile.

    Parameters
    ----------
    parts : iterable of DataFrame
        Small ones wait in memory until they are large together.

    Raises
    ------
    OutputError
        When there is no room for the file.

    Examples
    --------
    >>> gathered(pd.DataFrame({"x": [k]}) for k in range(3))["x"].tolist()
    [0, 1, 2]
    """
    kept: list[pd.DataFrame] = []
    waiting: list[pd.DataFrame] = []
    for one in parts:
        waiting.append(one)
        if _is_large(waiting):
            kept.append(joined(waiting))
            waiting = []
    return joined([*kept, *waiting])


def chosen(table: pd.DataFrame, rows: NDArray[np.bool_]) -> pd.DataFrame:
    """Return some rows of a table, numbered anew; where large, mapped a column at a time.

    Parameters
    ----------
    table : DataFrame
    rows : ndarray of bool of shape (n_rows,)

    Raises
    ------
    OutputError
        When there is no room for the file.

    Examples
    --------
    >>> chosen(pd.DataFrame({"x": [1.0, 2.0]}), np.array([False, True]))["x"].tolist()
    [2.0]
    """
    size = float(table.memory_usage(index=False).sum()) * float(rows.mean() if rows.size else 0)
    if size < MAPPED_FROM:
        return table[rows].reset_index(drop=True)
    with _file() as file:
        pages = _Pages(file)
        for name in table.columns:
            pages.keep(name, table[name][rows].reset_index(drop=True))
        return pages.read()


def room_for(rows: int, columns: int) -> NDArray[np.float64]:
    """Return an array of zeros to be filled, a row for each column; a large one is mapped.

    Raises
    ------
    OutputError
        When there is no room for the file.

    Examples
    --------
    >>> room_for(rows=2, columns=1)
    array([[0., 0.]])
    """
    size = rows * columns * np.dtype(np.float64).itemsize
    if size < MAPPED_FROM:
        return np.zeros((columns, rows))
    with _file() as file:
        for start in range(0, size, MAPPED_FROM):  # written, or a full disk would end the process
            file.write(bytes(min(MAPPED_FROM, size - start)))
        file.flush()
        pages = mmap.mmap(file.fileno(), size)
    return np.frombuffer(pages, dtype=np.float64).reshape(columns, rows)


@contextmanager
def _file() -> Iterator[IO[bytes]]:
    try:
        with tempfile.TemporaryFile(prefix="riskadj-") as file:
            yield file
    except OSError as error:
        raise OutputError(
            "temporary files: wanted room for a large table; got "
            f"{error.strerror or str(error)!r}. Free some space, or set TMPDIR to a folder that "
            "has it."
        ) from None


def _is_large(parts: Iterable[pd.DataFrame]) -> bool:
    return bool(sum(one.memory_usage(index=False).sum() for one in parts) >= MAPPED_FROM)


def _column(parts: Sequence[pd.DataFrame], name: str) -> pd.Series:
    narrow = [one[[name]] if name in one else one[[]] for one in parts]
    return pd.concat(narrow, ignore_index=True)[name]


class _Pages:
    """Columns one after the other in a file."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        self.columns: dict[str, pd.Series | _Place] = {}

    def keep(self, name: str, values: pd.Series) -> None:
        """Write a column, or hold it if it is of a kind that cannot be mapped."""
        if isinstance(values.dtype, np.dtype) and values.dtype.kind in "fi":
            kind = pa.from_numpy_dtype(values.dtype)
            buffers = [None, pa.py_buffer(np.ascontiguousarray(values.to_numpy()))]
        elif values.dtype == "str":
            kind = pa.large_string()
            buffers = _whole(pa.array(values, type=kind, from_pandas=True)).buffers()
        else:
            self.columns[name] = values
            return
        spans = tuple(one and self._write(one) for one in buffers)
        self.columns[name] = _Place(kind, len(values), spans)

    def _write(self, buffer: pa.Buffer) -> tuple[int, int]:
        self.file.write(b"\0" * (-self.file.tell() % _ALIGNED))
        start = self.file.tell()
        self.file.write(buffer)
        return start, buffer.size

    def read(self) -> pd.DataFrame:
        """Return the columns as a table, mapped."""
        self.file.flush()
        pages = pa.py_buffer(mmap.mmap(self.file.fileno(), 0, access=mmap.ACCESS_READ))
        columns = {
            name: one.read(pages) if isinstance(one, _Place) else one
            for name, one in self.columns.items()
        }
        return pd.DataFrame(columns, copy=False)


@dataclass(frozen=True)
class _Place:
    """Where the parts of a column are in the file."""

    kind: pa.DataType
    rows: int
    spans: tuple[tuple[int, int] | None, ...]

    def read(self, pages: pa.Buffer) -> pd.Series:
        buffers = [one and pages.slice(*one) for one in self.spans]
        array = pa.Array.from_buffers(self.kind, self.rows, buffers)
        return pa.table({"one": array}).to_pandas(split_blocks=True)["one"]


def _whole(array: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Return texts in one piece, the first of them first in its buffers."""
    pieces = array.chunks if isinstance(array, pa.ChunkedArray) else [array]
    if len(pieces) == 1 and pieces[0].offset == 0:
        return pieces[0]
    return pa.concat_arrays([*pieces, pa.array([], type=array.type)])
