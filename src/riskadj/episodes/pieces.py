"""A file of episodes as pieces, so that a large one need not be in memory all at once."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from riskadj.episodes.files import check_there
from riskadj.errors import FileFormatError

ROWS = 1_000_000
"""Of a Parquet file, so many rows are looked at together."""
_MOST_CELLS_PER_BYTE, _NEVER_TOO_MANY = 100, 5 * 10**7


@dataclass(frozen=True)
class Pieces:
    """What a file holds: the names of its columns, and its rows, a table after the other."""

    names: tuple[str, ...]
    tables: Iterable[pd.DataFrame]


def one_piece(table: pd.DataFrame) -> Pieces:
    """Return a table that was read at once as pieces."""
    return Pieces(tuple(table.columns), (table,))


def parquet_pieces(path: Path) -> Pieces:
    """Open a Parquet file.

    Raises
    ------
    FileMissingError, FileFormatError
        Some of it only when the rows are read.
    """
    check_there(path)
    try:
        file = pq.ParquetFile(path)
    except (pa.ArrowInvalid, pa.ArrowException, OSError) as error:
        raise _does_not_open(path, error) from None
    _check_cells(file.metadata, path)
    return Pieces(tuple(file.schema_arrow.names), _tables(file, path))


def read_parquet_table(path: Path) -> pd.DataFrame:
    """Read a Parquet file at once.

    Raises
    ------
    FileMissingError, FileFormatError
    """
    return pd.concat(parquet_pieces(path).tables, ignore_index=True)


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


def _tables(file: pq.ParquetFile, path: Path) -> Iterator[pd.DataFrame]:
    sizes = [file.metadata.row_group(one).num_rows for one in range(file.num_row_groups)]
    for groups in together(sizes, ROWS):
        try:
            yield file.read_row_groups(groups).to_pandas(ignore_metadata=True)
        except (pa.ArrowInvalid, pa.ArrowException, OSError) as error:
            raise _does_not_open(path, error) from None


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
