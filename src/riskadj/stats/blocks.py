"""A block of episodes: what whoever computes on it holds, and steps from one block to the next.

Functions of a block are found by their name wherever the block is; they return a `Part`, or
another block.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from riskadj.engine import Blocks, in_use
from riskadj.errors import ArrayError
from riskadj.stats.arrays import Floats
from riskadj.stats.groups import Groups

CHUNK = 8192
"""Episodes that are looked at together: their covariates stay in the processor's cache."""


@dataclass(frozen=True)
class Rows:
    """Episodes as they come, to be laid in blocks; unchecked.

    Attributes
    ----------
    y : array-like of shape (n,)
    X : array-like or DataFrame of shape (n, n_covariates)
    provider : array-like of shape (n,)
    weights, offset : array-like of shape (n,), optional
        In every block, or in none.
    """

    y: ArrayLike
    X: ArrayLike
    provider: ArrayLike
    weights: ArrayLike | None = None
    offset: ArrayLike | None = None


class Chunk(NamedTuple):
    """Neighbouring episodes: their rows, the providers they belong to, and where each begins."""

    rows: slice
    providers: slice
    starts: NDArray[np.intp]
    sizes: NDArray[np.intp]

    def spread(self, per_provider: Floats) -> Floats:
        """Return each row's value of its provider (along the last axis)."""
        return np.repeat(per_provider[..., self.providers], self.sizes, axis=-1)


@dataclass(frozen=True)
class Block:
    """Outcome and covariates of some episodes.

    Attributes
    ----------
    y : ndarray of shape (n,)
    x : ndarray of shape (n_covariates, n)
    weights : ndarray of shape (n,) or None
        None: all 1.
    offset : ndarray of shape (n,) or None
        None: all 0.
    groups : Groups
        The providers that have an episode here; labels are their places among all providers.
    """

    y: Floats
    x: Floats
    weights: Floats | None
    offset: Floats | None
    groups: Groups

    @property
    def n(self) -> int:
        """Number of episodes."""
        return self.y.size

    def of_here(self, per_provider: Floats) -> Floats:
        """Return the values (along the last axis) of the providers of this block."""
        return per_provider[..., self.groups.labels]

    def weighted(self, rows: Floats) -> Floats:
        """Return rows times their weights."""
        return rows if self.weights is None else self.weights * rows

    def beyond_offset(self) -> Floats:
        """Return outcomes less their offset."""
        return self.y if self.offset is None else self.y - self.offset

    def totals(self, rows: Floats | None) -> Floats:
        """Return the sum of rows by provider, in whatever order they are; without rows, number."""
        totals = np.bincount(self.groups.codes, rows, len(self.groups))
        return np.asarray(totals, dtype=np.float64)

    def chunks(self) -> Iterator[Chunk]:
        """Walk over episodes that are in order, neighbours together."""
        starts = self.groups.starts
        for begin in range(0, self.n, CHUNK):
            end = min(begin + CHUNK, self.n)
            first = int(np.searchsorted(starts, begin, side="right")) - 1
            last = int(np.searchsorted(starts, end, side="left"))
            within = np.maximum(starts[first:last] - begin, 0)
            sizes = np.diff(within, append=end - begin)
            yield Chunk(slice(begin, end), slice(first, last), within, sizes)

    def keep(self, rows: slice | NDArray[np.bool_], groups: Groups) -> "Block":
        """Return some of the episodes."""
        return replace(
            self,
            y=self.y[rows],
            x=self.x[:, rows],
            weights=None if self.weights is None else self.weights[rows],
            offset=None if self.offset is None else self.offset[rows],
            groups=groups,
        )


def laid(rows: Rows) -> Blocks:
    """Return rows with the engine in use, in blocks where they are many; unchecked."""
    tables = (rows.y, rows.X, rows.provider, rows.weights, rows.offset)
    lengths = {_length(one) for one in tables if one is not None}
    return in_use().lay(Rows, tables, lengths.pop() if len(lengths) == 1 else 0)


def _length(table: Any) -> int:
    """Return the number of rows of what can be cut by rows, 0 of anything else."""
    shape = table.shape if isinstance(table, np.ndarray) or hasattr(table, "iloc") else ()
    return int(shape[0]) if shape else 0


def attempt(block: Any, function: Callable[..., Any], *args: Any) -> Any:
    """Return what a function says of a block, or the error that it refuses it with.

    An error that has come before is passed on.
    """
    if isinstance(block, ArrayError):
        return block
    try:
        return function(block, *args)
    except ArrayError as error:
        return error


def sound(found: list[Any]) -> list[Any]:
    """Return what was found of blocks, or raise the error of the first that was refused.

    Raises
    ------
    ArrayError
    """
    for number, one in enumerate(found, 1):
        if isinstance(one, ArrayError):
            raise ArrayError(f"block {number}: {one}" if len(found) > 1 else str(one))
    return found


def in_order(block: Block) -> Block:
    """Return the same episodes in order of their provider."""
    groups = block.groups
    if groups.order is None:
        return block
    return replace(
        block,
        y=groups.sort(block.y),
        x=_ordered(block.x, groups.order),
        weights=None if block.weights is None else groups.sort(block.weights),
        offset=None if block.offset is None else groups.sort(block.offset),
        groups=groups.in_order(),
    )


def _ordered(x: Floats, order: NDArray[np.intp]) -> Floats:
    """Return covariates, a row each, their episodes in order."""
    ordered = np.empty(x.shape)
    if x.flags.c_contiguous:
        for row, column in zip(ordered, x, strict=True):
            np.take(column, order, out=row, mode="clip")  # in range: nothing to buffer or to check
        return ordered
    for begin in range(0, x.shape[1], CHUNK):
        rows = slice(begin, begin + CHUNK)
        ordered[:, rows] = x[:, order[rows]]
    return ordered


def of_providers(block: Block, kept: NDArray[np.bool_]) -> Block:
    """Return the episodes of some providers, whose places are then among those kept."""
    rows = kept[block.groups.labels][block.groups.codes]
    groups = block.groups.of_rows(rows)
    groups = replace(groups, labels=(np.cumsum(kept) - 1)[groups.labels])
    return block.keep(_as_slice(rows), groups)


def _as_slice(rows: NDArray[np.bool_]) -> slice | NDArray[np.bool_]:
    """Return a slice where rows are neighbours, for it copies nothing."""
    count = int(np.count_nonzero(rows))
    first = int(rows.argmax()) if count else 0
    return slice(first, first + count) if rows[first : first + count].all() else rows


def with_logarithms(block: Block) -> Block:
    """Return the episodes with the logarithm of their outcome."""
    return replace(block, y=np.log(block.y))


def few_outcomes(block: Block) -> Floats:
    """Return the least, the greatest, and one that is neither 0 nor 1 where there is one."""
    if not block.n:
        return np.zeros(0)
    low, high = block.y.min(), block.y.max()
    if low < 0 or high > 1:
        return np.array([low, high])
    neither = (block.y != 0) & (block.y != 1)
    return np.array([low, high, block.y[neither.argmax()]])
