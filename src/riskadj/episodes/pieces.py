"""A file of episodes as pieces, so that a large one need not be in memory all at once.

Whoever works on a piece reads it, on this machine or on a worker of a cluster.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Protocol

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from riskadj.engine import in_use
from riskadj.episodes.files import check_there
from riskadj.errors import ChangedFileError, FileFormatError, FileMissingError

ROWS = 1_000_000
"""Of a Parquet file, no more rows than these are looked at together, and no more than a block."""
_END = 2**16
"""Bytes at the end of a Parquet file, where it says what it holds."""
_MOST_CELLS_PER_BYTE, _NEVER_TOO_MANY = 100, 5 * 10**7


class Piece(Protocol):
    """Some rows of a file, and how many come before them."""

    @property
    def before(self) -> int:
        """Rows above."""

    def read(self) -> pd.DataFrame:
        """Return the rows."""


@dataclass(frozen=True)
class Pieces:
    """What a file holds: the names of its columns, and its rows, a piece after the other."""

    names: tuple[str, ...]
    parts: tuple[Piece, ...]


@dataclass(frozen=True, eq=False)
class _Whole:
    """A table that was read at once."""

    table: pd.DataFrame
    before: int = 0

    def read(self) -> pd.DataFrame:
        return self.table


def one_piece(table: pd.DataFrame) -> Pieces:
    """Return a table that was read at once as pieces."""
    return Pieces(tuple(table.columns), (_Whole(table),))


@dataclass(frozen=True)
class _RowGroups:
    """Neighbouring row groups of a Parquet file.

    Attributes
    ----------
    path : Path
    groups : tuple of int
    before : int
    seal : tuple of (int, str)
        Bytes of the file, and a digest of the last of them.
    """

    path: Path
    groups: tuple[int, ...]
    before: int
    seal: tuple[int, str]

    def read(self) -> pd.DataFrame:
        """Return the rows, out of the same file, be it here or on a worker.

        Raises
        ------
        FileMissingError, ChangedFileError, FileFormatError
        """
        where = "Put it where this machine and every worker see it, or choose engine: local."
        if not self.path.is_file():
            raise FileMissingError(
                f"{self.path}: wanted the file wherever it is read; a worker has none. {where}"
            )
        if _seal(self.path) != self.seal:
            raise ChangedFileError(
                f"{self.path}: wanted the file that was opened, wherever it is read; got another. "
                f"{where}"
            )
        try:
            with pq.ParquetFile(self.path) as file:
                return file.read_row_groups(self.groups).to_pandas(ignore_metadata=True)
        except (ValueError, pa.ArrowException, OSError) as error:
            raise _does_not_open(self.path, error) from None


def _seal(path: Path) -> tuple[int, str]:
    """Return what tells a Parquet file from others without reading all of it."""
    size = path.stat().st_size
    with path.open("rb") as stream:
        stream.seek(max(0, size - _END))
        return size, sha256(stream.read()).hexdigest()


def holds_rows(path: Path) -> bool:
    """Return whether a Parquet file has rows, or cannot say."""
    try:
        return bool(pq.read_metadata(path).num_rows)
    except (ValueError, pa.ArrowException, OSError):
        return True


def parquet_pieces(path: Path) -> Pieces:
    """Open a Parquet file.

    Raises
    ------
    FileMissingError, FileFormatError
        Some of it only when the rows are read.
    """
    check_there(path)
    path = path.absolute()
    try:
        with pq.ParquetFile(path) as file:
            names, metadata = tuple(file.schema_arrow.names), file.metadata
    except (ValueError, pa.ArrowException, OSError) as error:
        raise _does_not_open(path, error) from None
    _check_cells(metadata, path)
    return Pieces(names, tuple(_parts(metadata, path)))


def read_parquet_table(path: Path) -> pd.DataFrame:
    """Read a Parquet file at once.

    Raises
    ------
    FileMissingError, FileFormatError
    """
    return pd.concat((one.read() for one in parquet_pieces(path).parts), ignore_index=True)


def _check_cells(metadata: pq.FileMetaData, path: Path) -> None:
    """Refuse a file without cells, or that says of a few bytes that they are very many rows."""
    cells = metadata.num_rows * metadata.num_columns
    if not cells:
        raise FileFormatError(f"{path}: wanted rows; got none.")
    if cells > max(_NEVER_TOO_MANY, _MOST_CELLS_PER_BYTE * path.stat().st_size):
        raise FileFormatError(
            f"{path}: wanted a table of its size; got {metadata.num_rows:,} rows out of "
            f"{path.stat().st_size:,} bytes, which would fill the memory. Ask for it again."
        )


def _parts(metadata: pq.FileMetaData, path: Path) -> Iterator[_RowGroups]:
    sizes = [metadata.row_group(one).num_rows for one in range(metadata.num_row_groups)]
    seal, before = _seal(path), 0
    for groups in together(sizes, min(ROWS, in_use().rows)):
        yield _RowGroups(path, tuple(groups), before, seal)
        before += sum(sizes[one] for one in groups)


def together(sizes: Sequence[int], most: int) -> Iterator[list[int]]:
    """Yield runs of positions whose sizes sum to no more than the most, or that are one alone.

    Examples
    --------
    >>> list(together([4, 3, 9, 0, 2], 8))
    [[0, 1], [2], [3, 4]]
    """
    run: list[int] = []
    rows = 0
    for position, size in enumerate(sizes):
        if run and rows + size > most:
            yield run
            run, rows = [], 0
        run.append(position)
        rows += size
    if run:
        yield run


def _does_not_open(path: Path, error: Exception) -> FileFormatError:
    return FileFormatError(
        f"{path}: wanted a Parquet file that opens; got one that does not "
        f"({str(error).strip().splitlines()[0].rstrip('.')}). Write it again."
    )
