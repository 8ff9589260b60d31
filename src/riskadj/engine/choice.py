"""From the name of an engine to the engine."""

from riskadj.engine.blocks import Engine
from riskadj.engine.cluster import Dask
from riskadj.engine.local import Local
from riskadj.errors import UnknownNameError, did_you_mean

ENGINES = {"local": Local, "dask": Dask}
"""By name; the address of a Dask scheduler is a name as well."""


def start_engine(name: str = "local", workers: int = 2) -> Engine:
    """Return an engine, for use as a context.

    Parameters
    ----------
    name : str
        `local`, `dask` for processes on this machine, or the address of a running Dask
        scheduler such as `tcp://host:8786`.
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
tcp://host:8786; got 'dusk'. Did you mean 'dask'?
    """
    if "://" in name:
        return Dask(address=name)
    if name not in ENGINES:
        raise UnknownNameError(
            "engine: wanted local, dask or an address such as tcp://host:8786; got "
            f"{name!r}.{did_you_mean(name, ENGINES)}"
        )
    return Local(workers) if name == "local" else Dask(workers=workers)
