"""Being told to stop, by Ctrl-C or SIGTERM, even where the code under way does not pass it on.

Python raises an interruption in the middle of whatever runs. In a clean-up that is ignored, in an
import it can come out as another error. So it is noted, too, and looked for between stages.
"""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, current_thread, main_thread
from types import FrameType

Handler = Callable[[int, FrameType | None], object] | int | None
"""None: one that Python did not set."""

_TOLD = Event()
_STOPS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def listening() -> Iterator[None]:
    """Inside, take SIGTERM as Ctrl-C is taken, and note both; of the main thread only.

    Examples
    --------
    >>> try:
    ...     with listening():
    ...         signal.raise_signal(signal.SIGTERM)
    ... except KeyboardInterrupt:
    ...     print("stopped", was_told())
    stopped False
    """
    before = [signal.signal(one, _stop) for one in _STOPS]
    try:
        yield
    finally:
        _restore(before)
        _TOLD.clear()


def _stop(number: int, frame: FrameType | None) -> None:
    _TOLD.set()
    signal.default_int_handler(number, frame)


def _restore(handlers: list[Handler]) -> None:
    for one, handler in zip(_STOPS, handlers, strict=True):
        if handler is not None:
            signal.signal(one, handler)


@contextmanager
def held_back() -> Iterator[None]:
    """Let what is done inside come to its end before this process is stopped, unless told twice.

    Examples
    --------
    >>> done = []
    >>> try:
    ...     with listening(), held_back():
    ...         signal.raise_signal(signal.SIGTERM)
    ...         done.append("it is started, and can be ended")
    ... except KeyboardInterrupt:
    ...     done.append("stopped")
    >>> done
    ['it is started, and can be ended', 'stopped']
    """
    if current_thread() is not main_thread():  # no signal comes there
        yield
        return
    came: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        came.append(number)
        if came.count(number) > 1:
            signal.default_int_handler(number, None)

    before = [signal.signal(one, note) for one in _STOPS]
    try:
        yield
    finally:
        _restore(before)
        for number in dict.fromkeys(came):
            signal.raise_signal(number)


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
