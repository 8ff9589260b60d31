"""Computations that talk to each other while they run: who they are, and where to find each."""

import socket
from collections.abc import Iterable
from contextlib import ExitStack
from typing import NamedTuple

HERE = "127.0.0.1"


class Seat(NamedTuple):
    """One of several computations that run at the same time.

    Attributes
    ----------
    number : int
        Its place among them, from 0 on.
    places : tuple of (str, int)
        Host and port of each.
    """

    number: int
    places: tuple[tuple[str, int], ...]

    @property
    def port(self) -> int:
        """Where this one listens."""
        return self.places[self.number][1]


def seats_at(places: Iterable[tuple[str, int]]) -> list[Seat]:
    """Return the seats of computations at these hosts and ports.

    Examples
    --------
    >>> [one.port for one in seats_at([("127.0.0.1", 4001), ("127.0.0.1", 4002)])]
    [4001, 4002]
    """
    everybody = tuple(places)
    return [Seat(number, everybody) for number in range(len(everybody))]


def free_ports(count: int) -> list[int]:
    """Return different ports of this machine on which nobody listened a moment ago."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind((HERE, 0))
        return [int(one.getsockname()[1]) for one in sockets]
