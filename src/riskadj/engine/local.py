"""One machine: blocks are in memory (or mapped into it), one after the other or in threads."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Self

from riskadj.engine.blocks import Blocks, in_turn
from riskadj.engine.seats import HERE, free_ports, seats_at
from riskadj.errors import StudyError


@dataclass(frozen=True)
class Local:
    """An engine in this process.

    Parameters
    ----------
    threads : int
        How many blocks are worked on at once. Answers do not depend on it.

    Raises
    ------
    StudyError
        When threads are fewer than one.

    Examples
    --------
    >>> with Local(threads=2) as engine:
    ...     engine.place([3, 0, 2]).keep(range).map(sum)
    [3, 0, 1]
    """

    threads: int = 1

    def __post_init__(self) -> None:
        if self.threads < 1:
            raise StudyError(f"threads: wanted 1 or more; got {self.threads}.")

    def place(self, parts: Iterable[Any]) -> Blocks:
        """Take over blocks."""
        return Blocks(self, list(parts))

    def map(
        self,
        function: Callable[..., Any],
        blocks: Blocks,
        *args: Any,
        each: Sequence[Any] | None = None,
    ) -> list[Any]:
        """Return what a function says of each block, in block order."""
        if each is None:
            return self._all(function, [(part, *args) for part in blocks.parts])
        pairs = zip(blocks.parts, each, strict=True)
        return self._all(function, [(part, own, *args) for part, own in pairs])

    def keep(
        self,
        function: Callable[..., Any],
        blocks: Blocks,
        *args: Any,
        each: Sequence[Any] | None = None,
    ) -> Blocks:
        """Return the blocks that a function makes of others."""
        return Blocks(self, self.map(function, blocks, *args, each=each))

    def through(
        self, function: Callable[..., Any], items: Iterable[Any], *args: Any
    ) -> Iterator[Any]:
        """Yield what a function says of each item, in order; each is let go of before the next."""
        if self.threads == 1:
            for item in items:
                yield function(item, *args)
                del item
            return
        with ThreadPoolExecutor(self.threads) as pool:
            yield from in_turn(
                lambda item: pool.submit(function, item, *args), Future.result, items, self.threads
            )

    def together(self, function: Callable[..., Any], items: Sequence[Any], *args: Any) -> list[Any]:
        """Return what a function says of each item and its seat, each in a thread of its own."""
        seats = seats_at((HERE, port) for port in free_ports(len(items)))
        with ThreadPoolExecutor(max(len(items), 1)) as pool:
            calls = [
                pool.submit(function, item, seat, *args)
                for item, seat in zip(items, seats, strict=True)
            ]
            return [one.result() for one in calls]

    def _all(self, function: Callable[..., Any], calls: list[tuple[Any, ...]]) -> list[Any]:
        if self.threads == 1 or len(calls) < 2:
            return [function(*call) for call in calls]
        with ThreadPoolExecutor(self.threads) as pool:
            return list(pool.map(lambda call: function(*call), calls))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Do nothing: nothing was started."""
