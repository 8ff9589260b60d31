"""Being told to stop, by Ctrl-C or SIGTERM, even where the code under way does not pass it on.

Python raises an interruption in the middle of whatever runs. In a clean-up that is ignored, in an
import it can come out as another error. So it is noted, too, and looked for between stages.
"""

import signal
from threading import Event
from types import FrameType

_TOLD = Event()


def listen() -> None:
    """From now on take SIGTERM as Ctrl-C is taken, and note both; of the main thread only."""
    _TOLD.clear()
    for one in (signal.SIGINT, signal.SIGTERM):
        signal.signal(one, _stop)


def _stop(number: int, frame: FrameType | None) -> None:
    _TOLD.set()
    signal.default_int_handler(number, frame)


def was_told() -> bool:
    """Whether this process was told to stop.

    Examples
    --------
    >>> was_told()
    False
    """
    return _TOLD.is_set()


def heed() -> None:
    """Stop, if this process was told to and somebody has swallowed it.

    Raises
    ------
    KeyboardInterrupt
    """
    if was_told():
        raise KeyboardInterrupt
