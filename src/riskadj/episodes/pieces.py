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
    if not file.metadata.num_rows:
        raise FileFormatError(f"{path}: wanted rows; got none.")
    return Pieces(tuple(file.schema_arrow.names), _tables(file, path))


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
    for position, size in enumerate(sizes):
        if run and sum(sizes[one] for one in run) + size > most:
            yield run
            run = []
        run.append(position)
    if run:
        yield run


def _does_not_open(path: Path, error: Exception) -> FileFormatError:
    return FileFormatError(
        f"{path}: wanted a Parquet file that opens; got one that does not "
        f"({str(error).strip().splitlines()[0].rstrip('.')}). Write it again."
    )
