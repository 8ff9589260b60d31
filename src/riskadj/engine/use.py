"""The engine in use, so that no signature on the way down has to name one.

Whoever starts an engine says so once, in a `with` statement; whoever has rows to go through asks
here. Tables are cut into blocks of so many rows, by their number alone: as workers come and go, and
from one engine to the other, cuts are the same.

A cluster does what costs by the episode: it reads and checks row groups of Parquet, applies the
rules of selection, encodes and scores, explains, makes the passes of fits and of the provider
bootstrap (of more episodes than a block), and grows trees of several shares. The rest is done here:
keeping the table, grouping, learning by other learners, and tables of providers.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from riskadj.engine.blocks import Blocks, Engine
from riskadj.engine.local import Local
from riskadj.errors import StudyError

ROWS = 250_000
"""Of a block, unless said otherwise: 80 MB of 40 numbers each."""


@dataclass(frozen=True)
class InUse:
    """An engine, and how rows are cut for it.

    Attributes
    ----------
    engine : Engine
    rows : int
        Of a block; the last has what is left.
    threads : int or None
        That a computation may take at most; None: as many as it was told.
    """

    engine: Engine
    rows: int = ROWS
    threads: int | None = None

    def over_rows(
        self, function: Callable[..., Any], tables: Sequence[Any], *args: Any
    ) -> Iterator[tuple[slice, Any]]:
        """Yield the rows of each block, and what a function says of them, in order.

        Parameters
        ----------
        function : callable
            Of the block's rows of each table, and of `args`. Found by its module and name.
        tables : sequence of DataFrame, Series, ndarray or None
            Of as many rows each; None stays None.
        *args
            The same for all blocks.

        Notes
        -----
        On this machine a block is gone before the next is made; on a cluster so many are under way
        as keep its workers busy. Tables without rows are one block.

        Examples
        --------
        >>> import numpy as np
        >>> with using(Local(), rows=2) as run:
        ...     [(rows.stop, found) for rows, found in run.over_rows(np.sum, [np.arange(5)])]
        [(2, np.int64(1)), (4, np.int64(5)), (5, np.int64(4))]
        """
        cuts = list(self.cuts(len(next(one for one in tables if one is not None))))
        blocks = ([rows_of(one, rows) for one in tables] for rows in cuts)
        yield from zip(cuts, self.engine.through(_of_block, blocks, function, *args), strict=True)

    def cuts(self, n: int) -> Iterator[slice]:
        """Yield the rows of each block of n rows; one block where there are none.

        Examples
        --------
        >>> list(InUse(Local(), rows=3).cuts(4))
        [slice(0, 3, None), slice(3, 4, None)]
        """
        for start in range(0, max(n, 1), self.rows):
            yield slice(start, min(start + self.rows, n))

    def lay(self, make: Callable[..., Any], tables: Sequence[Any], n: int) -> Blocks:
        """Return rows as blocks that stay with the engine; few rows stay here, as one block.

        Parameters
        ----------
        make : callable
            Makes a block of its rows of each table.
        tables : sequence of DataFrame, Series, ndarray or None
        n : int
            Rows of each.
        """
        if n <= self.rows or isinstance(self.engine, Local):
            return Local().place([make(*tables)])
        return self.engine.place(
            make(*(rows_of(one, rows) for one in tables)) for rows in self.cuts(n)
        )

    def threads_of(self, wanted: int) -> int:
        """Return how many threads to take: what is wanted, or on a worker what it has."""
        return wanted if self.threads is None else min(wanted, self.threads)


_IN_USE: ContextVar[InUse] = ContextVar("riskadj engine", default=InUse(Local()))  # noqa: B039


def in_use() -> InUse:
    """Return the engine in use: this process, one block after the other, unless said otherwise."""
    return _IN_USE.get()


@contextmanager
def using(engine: Engine, rows: int = ROWS, threads: int | None = None) -> Iterator[InUse]:
    """Use an engine in what is done inside; it is started, and let go of, by whoever calls.

    Parameters
    ----------
    engine : Engine
    rows : int
        Of a block.
    threads : int, optional
        That a computation may take at most.

    Raises
    ------
    StudyError
        When blocks are to have less than one row.

    Examples
    --------
    >>> with using(Local(), rows=10):
    ...     in_use().rows
    10
    >>> in_use().rows == ROWS
    True
    """
    if rows < 1:
        raise StudyError(f"rows: wanted 1 or more in a block; got {rows}.")
    token = _IN_USE.set(InUse(engine, rows, threads))
    try:
        yield _IN_USE.get()
    finally:
        _IN_USE.reset(token)


def rows_of(table: Any, rows: slice) -> Any:
    """Return some rows of a table or an array; None of None.

    Examples
    --------
    >>> rows_of(["a", "b", "c"], slice(1, 3)), rows_of(None, slice(1, 3))
    (['b', 'c'], None)
    """
    if table is None:
        return None
    return table.iloc[rows] if hasattr(table, "iloc") else table[rows]


def _of_block(block: Sequence[Any], function: Callable[..., Any], *args: Any) -> Any:
    return function(*block, *args)
