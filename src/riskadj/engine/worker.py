"""What a worker process that is started here does first; Dask finds it by its name."""

import signal


def dask_setup(_worker: object) -> None:
    """Leave Ctrl-C, which reaches every process of a terminal, to the one that started this one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
