"""Blocks of rows in a fixed order, and what is asked of whoever computes on them.

A table is cut into blocks anywhere: a provider's episodes may lie in several, a block may be
empty. A computation is a function of one block, and a sum of what it returns, taken in block
order; so neither the order in which workers finish nor their number is seen in an answer.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self


@dataclass(frozen=True, eq=False)
class Blocks:
    """Rows in blocks, wherever these are.

    Attributes
    ----------
    engine : Engine
        Who holds them and computes on them.
    parts : list
        By what the engine knows each block: the block itself, or a promise of it.
    recipe : object
        How they were made, where an engine may have to make them again.

    Examples
    --------
    >>> from riskadj.engine import Local
    >>> blocks = Local().place([[1, 2], [], [3]])
    >>> len(blocks), blocks.map(sum), blocks.keep(sorted, each=None).map(len)
    (3, [3, 0, 3], [2, 0, 1])
    """

    engine: "Engine"
    parts: list[Any]
    recipe: Any = None

    def __len__(self) -> int:
        return len(self.parts)

    def map(
        self, function: Callable[..., Any], *args: Any, each: Sequence[Any] | None = None
    ) -> list[Any]:
        """Return what a function says of each block, in block order.

        Parameters
        ----------
        function : callable
            Of a block, of what is the block's own (when `each` is given), and of `args`.
            Found by its module and name; no lambda, nothing defined within a function.
        *args
            The same for all blocks.
        each : sequence, optional
            One item per block.
        """
        return self.engine.map(function, self, *args, each=each)

    def keep(
        self, function: Callable[..., Any], *args: Any, each: Sequence[Any] | None = None
    ) -> "Blocks":
        """Return the blocks that a function makes of these; they stay where they are made."""
        return self.engine.keep(function, self, *args, each=each)


class Engine(Protocol):
    """Whoever holds blocks and computes on them.

    An engine is a context: leaving it lets go of what it started.
    """

    def place(self, parts: Iterable[Any]) -> Blocks:
        """Take over blocks that are here."""

    def map(
        self,
        function: Callable[..., Any],
        blocks: Blocks,
        *args: Any,
        each: Sequence[Any] | None = None,
    ) -> list[Any]:
        """Return what a function says of each block, in block order."""

    def keep(
        self,
        function: Callable[..., Any],
        blocks: Blocks,
        *args: Any,
        each: Sequence[Any] | None = None,
    ) -> Blocks:
        """Return the blocks that a function makes of others."""

    def through(
        self, function: Callable[..., Any], items: Iterable[Any], *args: Any
    ) -> Iterator[Any]:
        """Yield what a function says of each item, in order; no more are at hand than needed.

        For what comes once and goes, where `place` is for what is asked again and again.
        """

    def together(self, function: Callable[..., Any], items: Sequence[Any], *args: Any) -> list[Any]:
        """Return what a function says of each item, all at the same time and knowing each other.

        The function takes an item, its `Seat` among the others, and `args`.
        """

    def __enter__(self) -> Self:
        """Return the engine."""

    def __exit__(self, *_: object) -> None:
        """Let go of what was started."""


def in_turn(
    start: Callable[[Any], Any], finish: Callable[[Any], Any], items: Iterable[Any], ahead: int
) -> Iterator[Any]:
    """Yield what comes of each item, in order, with no more than so many under way.

    Examples
    --------
    >>> list(in_turn(lambda x: [x], lambda begun: begun[0] + 1, [1, 2, 3], ahead=2))
    [2, 3, 4]
    """
    begun: deque[Any] = deque()
    for item in items:
        begun.append(start(item))
        if len(begun) >= ahead:
            yield finish(begun.popleft())
    while begun:
        yield finish(begun.popleft())
