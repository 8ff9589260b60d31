"""A Dask cluster: blocks stay on the workers, functions go to them.

Dask carries tasks and blocks between its processes as pickles. That is its transport, between
processes that are ours. Whoever may talk to a scheduler may run code on its workers. So a cluster
that is started here listens on loopback only, speaks with those alone who have the key that was
made for it (TLS), and writes no block to disk. Of an address that is given, all this is for its
owner to see to: `tls://` with keys in Dask's own configuration, workers that do not spill.

What a worker held when it died is made again, of what is sent to the others once more.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass, is_dataclass
from functools import cache
from time import sleep
from typing import Any, NamedTuple, Self

from threadpoolctl import ThreadpoolController

from riskadj.engine.blocks import Blocks, in_turn
from riskadj.engine.local import Local
from riskadj.engine.seats import HERE, free_ports, seats_at
from riskadj.engine.use import using
from riskadj.errors import EngineError
from riskadj.stopping import held_back

LOOPBACK = "127.0.0.1:0"
"""Where what is started here listens: any free port, for this machine only."""
SETTINGS = {
    # Episodes are not to be written to disk: a worker without memory left is stopped instead.
    **{f"distributed.worker.memory.{when}": False for when in ("target", "spill", "pause")},
    # What Dask watches of itself many times a second, nobody here looks at.
    "distributed.worker.profile.enabled": False,
    "distributed.admin.tick.interval": "1s",
    "distributed.admin.system-monitor.interval": "10s",
    # Dask has every array given back to the system at once, and asked for again a moment later.
    "distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": None,
}
"""Of workers that are started here."""
AHEAD = 2
"""Items under way for each thread of a worker: one that it works on, and the next."""
LOOK = 0.1
"""Seconds after which it is looked whether workers that wait for each other are all there."""
ATTEMPTS = 5
"""Times that blocks are made again for one computation before it is given up."""


@dataclass(frozen=True)
class _Call:
    """A function and what it is given beside a block; nothing that Dask would look into.

    Attributes
    ----------
    function : callable
    args : tuple
    away : bool
        Whether it runs in another process than this one.
    """

    function: Callable[..., Any]
    args: tuple[Any, ...]
    away: bool


@dataclass(frozen=True)
class _Recipe:
    """How blocks were made: from what, and by which calls, one for each block at each step.

    Attributes
    ----------
    source : list
        Blocks that are here and were sent.
    steps : tuple of list of _Call
    """

    source: list[Any]
    steps: tuple[list[_Call], ...]


@dataclass(frozen=True)
class _Held:
    """A block on a worker, of a size that Dask knows: what is large it leaves where it is."""

    block: Any

    def __sizeof__(self) -> int:
        return _size(self.block)


class Dask:
    """An engine on a Dask cluster: one that is started on this machine, or a running one.

    Parameters
    ----------
    address : str, optional
        Of a running scheduler. Its workers have to have the same version of this package.
        Without one, workers are started on this machine and stopped at the end.
    workers : int
        To start, of one thread each.
    processes : bool
        Start processes; False: threads of this process.
    timeout : float
        Seconds to wait for a scheduler, and for its first worker.

    Raises
    ------
    EngineError
        When Dask is not installed, nobody answers at the address, or there is no worker.

    Notes
    -----
    What is sent from here (`place`) is also kept here, to be sent again when a worker that held it
    dies; what is made of it there (`keep`) is kept on the workers only.
    """

    def __init__(
        self,
        address: str | None = None,
        workers: int = 2,
        processes: bool = True,
        timeout: float = 30.0,
    ) -> None:
        self.address, self.workers, self.processes = address, workers, processes
        self.timeout = timeout
        self._away = processes if address is None else not address.startswith("inproc:")
        self._distributed = _distributed()
        self._cluster = None
        try:
            with held_back():  # half a cluster cannot be stopped
                if not address:
                    self._cluster = _started(self._distributed, workers, processes)
            self._client = self._connected(timeout)
            self._wait_for_workers(timeout)
        except BaseException:
            self.close()
            raise

    def _connected(self, timeout: float) -> Any:
        where = self.address or self._cluster
        try:
            return self._distributed.Client(
                where,
                timeout=timeout,
                set_as_default=False,
                direct_to_workers=not self.address,  # of others, only the scheduler may be in reach
            )
        except (OSError, ValueError) as error:
            raise EngineError(
                f"engine: wanted a Dask scheduler at {self.address}; got no answer ({error}). "
                "Start one there, or choose engine: local."
            ) from None

    def _wait_for_workers(self, timeout: float) -> None:
        try:
            self._client.wait_for_workers(1, timeout=timeout)
        except TimeoutError:
            raise EngineError(
                f"engine: wanted workers of the scheduler at {self.address or 'this machine'}; got "
                f"none within {timeout:g} s. Start some, or choose engine: local."
            ) from None

    def place(self, parts: Iterable[Any]) -> Blocks:
        """Send blocks to the workers."""
        recipe = _Recipe(list(parts), ())
        return Blocks(self, self._made(recipe), recipe)

    def map(
        self,
        function: Callable[..., Any],
        blocks: Blocks,
        *args: Any,
        each: Sequence[Any] | None = None,
    ) -> list[Any]:
        """Return what a function says of each block, in block order."""
        calls = self._calls(function, len(blocks), args, each)
        for _ in range(ATTEMPTS):
            with self._answering():
                try:
                    return self._gathered(self._submitted(_run, calls, blocks.parts))
                except self._distributed.client.FutureCancelledError:
                    blocks.parts[:] = self._made(blocks.recipe)
        raise _given_up("workers died again and again")

    def keep(
        self,
        function: Callable[..., Any],
        blocks: Blocks,
        *args: Any,
        each: Sequence[Any] | None = None,
    ) -> Blocks:
        """Return the blocks that a function makes of others; they stay on the workers."""
        calls, before = self._calls(function, len(blocks), args, each), blocks.recipe
        recipe = _Recipe(before.source, (*before.steps, calls))
        return Blocks(self, self._submitted(_hold, calls, blocks.parts), recipe)

    def through(
        self, function: Callable[..., Any], items: Iterable[Any], *args: Any
    ) -> Iterator[Any]:
        """Yield what a function says of each item, in order; items are sent as workers are free."""
        call = _Call(function, args, self._away)
        ahead = AHEAD * sum(self._client.nthreads().values())
        yield from in_turn(lambda item: self._sent(item, call), self._answer, items, max(ahead, 1))

    def _sent(self, item: Any, call: _Call) -> "_Sent":
        blocks = self.place([item])
        return _Sent(blocks, call, self._submitted(_run, [call], blocks.parts))

    def _answer(self, sent: "_Sent") -> Any:
        with self._answering():
            try:
                return self._gathered(sent.futures)[0]
            except self._distributed.client.FutureCancelledError:
                sent.blocks.parts[:] = self._made(sent.blocks.recipe)
        return self.map(sent.call.function, sent.blocks, *sent.call.args)[0]

    def together(self, function: Callable[..., Any], items: Sequence[Any], *args: Any) -> list[Any]:
        """Return what a function says of each item and its seat, each on a worker of its own.

        Where a worker dies the others wait for it in vain: all are started again, and all begins
        again.

        Raises
        ------
        EngineError
            When there are fewer workers than items.
        """
        for _ in range(ATTEMPTS):
            workers = self._as_many_as(len(items))
            with self._answering():
                try:
                    futures = self._seated(function, items, args, workers)
                except (OSError, KeyError):  # a worker died before it was asked, or while it was
                    continue
                if self._all_stay(futures, workers):
                    return self._gathered(futures)
                self._start_again(workers)
        raise _given_up("workers died again and again")

    def _as_many_as(self, count: int) -> list[str]:
        """Return the addresses of so many workers."""
        with suppress(TimeoutError):
            self._client.wait_for_workers(count, timeout=self.timeout)
        workers = sorted(self._client.nthreads())
        if len(workers) < count:
            raise EngineError(
                f"engine: wanted {count} workers at the same time; got {len(workers)}. Start more, "
                "or ask for fewer shares."
            )
        return workers[:count]

    def _seated(
        self,
        function: Callable[..., Any],
        items: Sequence[Any],
        args: tuple[Any, ...],
        workers: list[str],
    ) -> list[Any]:
        """Start a computation for each item, each on its own worker."""
        hosts = [_host(one) for one in workers]
        ports = self._free_ports(workers, hosts)
        futures = []
        for worker, item, seat in zip(
            workers, items, seats_at(zip(hosts, ports, strict=True)), strict=True
        ):
            held = self._client.scatter(_Held(item), workers=[worker], hash=False)
            call = _Call(function, (seat, *args), self._away)
            futures.append(
                self._client.submit(
                    _run, call, held, workers=[worker], allow_other_workers=False, pure=False
                )
            )
        return futures

    def _free_ports(self, workers: list[str], hosts: list[str]) -> list[int]:
        """Return a free port for each worker, different ones where they share a host."""
        first = dict(zip(hosts, workers, strict=True))
        free = {
            host: iter(self._client.run(free_ports, hosts.count(host), workers=[worker])[worker])
            for host, worker in first.items()
        }
        return [next(free[host]) for host in hosts]

    def _all_stay(self, futures: list[Any], workers: list[str]) -> bool:
        """Wait until all are done, or one cannot be; tell whether all workers are still there."""
        while any(one.status == "pending" for one in futures):
            sleep(LOOK)
            if not set(workers) <= set(self._client.nthreads()):
                return False
            if any(one.status == "error" for one in futures):
                if self.address is None:  # those of others hold what is others'; waiting has an end
                    self._start_again(workers)
                return True
        return all(one.status in ("finished", "error") for one in futures)

    def _start_again(self, workers: list[str]) -> None:
        """Stop workers that wait for others in vain; threads of this process end by themselves."""
        if self._away:
            left = sorted(set(workers) & set(self._client.nthreads()))
            self._client.restart_workers(left, timeout=self.timeout, raise_for_error=False)

    def _calls(
        self,
        function: Callable[..., Any],
        count: int,
        args: tuple[Any, ...],
        each: Sequence[Any] | None,
    ) -> list[_Call]:
        if each is None:
            return [_Call(function, args, self._away)] * count
        if len(each) != count:
            raise ValueError(f"each: wanted one item per block, {count}; got {len(each)}.")
        return [_Call(function, (own, *args), self._away) for own in each]

    def _gathered(self, futures: list[Any]) -> list[Any]:
        try:
            return list(self._client.gather(futures))
        except self._distributed.KilledWorker as error:
            raise _given_up(error) from None

    @contextmanager
    def _answering(self) -> Iterator[None]:
        """Refuse a scheduler that has gone, of which Dask says so in several ways."""
        try:
            yield
        except Exception as error:
            if self._client.status == "running":
                raise
            raise _given_up(f"the scheduler has gone: {error}") from None

    def _made(self, recipe: _Recipe) -> list[Any]:
        """Make blocks from what they came from."""
        parts = self._scattered([_Held(one) for one in recipe.source])
        for calls in recipe.steps:
            parts = self._submitted(_hold, calls, parts)
        return parts

    def _scattered(self, held: list[_Held]) -> list[Any]:
        """Send blocks to the workers that are there, again where one dies while it is sent to."""
        if not held:
            return []
        for _ in range(ATTEMPTS):
            with self._answering():
                try:
                    return list(self._client.scatter(held, hash=False))
                except OSError:  # a worker died while something was sent to it
                    sleep(LOOK)
        raise _given_up("workers died again and again")

    def _submitted(
        self, run: Callable[..., Any], calls: list[_Call], parts: list[Any]
    ) -> list[Any]:
        if not parts:
            return []
        return list(self._client.map(run, calls, parts, pure=False))

    def close(self) -> None:
        """Stop what was started here; of what is under way nobody waits for the answer."""
        with ExitStack() as left:
            for one in (self._cluster, getattr(self, "_client", None)):
                if one is not None:
                    left.callback(one.close)
                    one.loop.asyncio_loop.set_exception_handler(lambda *_: None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Sent(NamedTuple):
    """An item that is on its way, and the answer to come."""

    blocks: Blocks
    call: _Call
    futures: list[Any]


def _run(call: _Call, *held: _Held) -> Any:
    # One thread each: sums then come in one order, and the workers of others stay as they were.
    alone = _algebra().limit(limits=1, user_api="blas") if call.away else nullcontext()
    with alone, using(Local(), threads=1 if call.away else None):
        return call.function(*(one.block for one in held), *call.args)


def _host(address: str) -> str:
    """Return the host of a worker's address.

    Examples
    --------
    >>> _host("tls://10.0.0.7:41234"), _host("inproc://10.0.0.7/12/3")
    ('10.0.0.7', '127.0.0.1')
    """
    scheme, _, rest = address.partition("://")
    return HERE if scheme == "inproc" else rest.rpartition(":")[0].strip("[]")


def _hold(call: _Call, *held: _Held) -> _Held:
    return _Held(_run(call, *held))


def _size(one: Any) -> int:
    """Return the bytes of a record; Dask knows those of what a record holds."""
    from dask.sizeof import sizeof

    if is_dataclass(one):
        return sum(_size(part) for part in vars(one).values())
    if isinstance(one, tuple):
        return sum(_size(part) for part in one)
    return int(sizeof(one))


@cache
def _algebra() -> ThreadpoolController:
    """Return what says how many threads linear algebra takes in this process."""
    return ThreadpoolController()


def _distributed() -> Any:
    try:
        import distributed
    except ImportError as error:
        raise EngineError(
            f"engine: wanted the packages dask and distributed; got none ({error}). "
            "pip install 'riskadj[dask]', or choose engine: local."
        ) from None
    return distributed


def _started(distributed: Any, workers: int, processes: bool) -> Any:
    """Start workers; what Dask says of dead ones is answered here."""
    if workers < 1:
        raise EngineError(f"workers: wanted 1 or more; got {workers}.")
    import dask

    try:
        with dask.config.set(SETTINGS | _ctrl_c_for_us(dask.config) if processes else SETTINGS):
            return distributed.LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                processes=processes,
                security=True if processes else None,
                dashboard_address=None,
                scheduler_kwargs={"dashboard": False, "dashboard_address": LOOPBACK},
                worker_dashboard_address=LOOPBACK,
                silence_logs=logging.CRITICAL,
            )
    except (OSError, RuntimeError) as error:
        raise EngineError(
            f"engine: wanted workers on this machine, {workers}; they did not start ({error}). In "
            "a script, start them below `if __name__ == '__main__':`; or choose engine: local."
        ) from None


def _ctrl_c_for_us(config: Any) -> dict[str, Any]:
    """Return the setting by which Ctrl-C is for the process that started workers, and ends them."""
    name = "distributed.worker.preload"
    return {name: [*config.get(name, []), "riskadj.engine.worker"]}


def _given_up(why: object) -> EngineError:
    return EngineError(
        f"engine: wanted workers that stay; got none ({why}). Give them more memory, make blocks "
        "smaller, or choose engine: local."
    )
