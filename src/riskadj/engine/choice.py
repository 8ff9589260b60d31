"""From the name of an engine to the engine."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from riskadj.engine.blocks import Engine
from riskadj.engine.cluster import Dask
from riskadj.engine.local import Local
from riskadj.engine.use import ROWS, InUse, using
from riskadj.errors import UnknownNameError, did_you_mean

ENGINES: dict[str, Callable[[int], Engine]] = {
    "local": Local,
    "dask": lambda workers: Dask(workers=workers),
}
"""By name, given threads or processes; the address of a Dask scheduler is a name as well."""


def start_engine(name: str = "local", workers: int = 2) -> Engine:
    """Return an engine, for use as a context.

    Parameters
    ----------
    name : str
        `local`, `dask` for processes on this machine, or the address of a running Dask
        scheduler such as `tls://host:8786`.
    workers : int
        Threads or processes on this machine; a running scheduler has its own.

    Raises
    ------
    UnknownNameError
        When the name is none of these.
    EngineError
        When Dask is not installed, or no scheduler answers there.

    Examples
    --------
    >>> with start_engine("local", workers=1) as engine:
    ...     engine.place([[1.0], [2.0, 3.0]]).map(len)
    [1, 2]
    >>> start_engine("dusk")
    Traceback (most recent call last):
    riskadj.errors.UnknownNameError: engine: wanted local, dask or an address such as \
tls://host:8786; got 'dusk'. Did you mean 'dask'?
    """
    if "://" in name:
        return Dask(address=name)
    if name not in ENGINES:
        raise UnknownNameError(
            "engine: wanted local, dask or an address such as tls://host:8786; got "
            f"{name!r}.{did_you_mean(name, ENGINES)}"
        )
    return ENGINES[name](workers)


@contextmanager
def engine_started(name: str = "local", workers: int = 2, rows: int = ROWS) -> Iterator[InUse]:
    """Start an engine, use it in what is done inside, and stop it.

    Parameters
    ----------
    name, workers
        As in `start_engine`; `local` takes one block after the other, whatever the workers, as
        what is done with a block has threads of its own.
    rows : int
        Of a block.

    Raises
    ------
    UnknownNameError, EngineError, StudyError

    Examples
    --------
    >>> from riskadj.engine.use import in_use
    >>> with engine_started("local", rows=1000):
    ...     in_use().rows
    1000
    """
    with (
        start_engine(name, 1 if name == "local" else workers) as engine,
        using(engine, rows) as run,
    ):
        yield run
