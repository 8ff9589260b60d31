"""Run folders beside a log: those of which it should have an entry."""

import re
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from riskadj.errors import FileFormatError, FileMissingError
from riskadj.journal import JOURNAL, journal_of
from riskadj.report.folder import MARK, read_json

_UNFINISHED = re.compile(r"\..+\.partial-(old-)?\d+")
"""Names under which a run is being written or taken away."""
_OF_RUNS = {"stages", "seal"}
"""In the record of a run; those of other folders lack one of them."""


class Beside(NamedTuple):
    """A run folder beside a log, and the seal that its record has."""

    folder: Path
    seal: str


def runs_beside(place: Path) -> tuple[Beside, ...]:
    """Return the run folders in a folder whose log is the one there, by name.

    Raises
    ------
    FileMissingError
        When the folder cannot be looked at.
    """
    try:
        folders = sorted(one for one in place.iterdir() if not _UNFINISHED.fullmatch(one.name))
    except OSError as error:
        raise FileMissingError(
            f"{place}: wanted the run folders in it; got {error.strerror!r}. Check who may."
        ) from None
    log = place.resolve() / JOURNAL
    records = ((one, _record(one)) for one in folders if journal_of(one) == log)
    return tuple(Beside(one, str(it["seal"])) for one, it in records if it.keys() >= _OF_RUNS)


def _record(folder: Path) -> dict[str, Any]:
    """Return what the record in a folder holds; nothing where there is none that can be read."""
    with suppress(FileFormatError, OSError):
        return read_json(folder / MARK)
    return {}


def check_log_is_there(log: Path, runs: tuple[Beside, ...]) -> None:
    """Fail where there are runs and no log of them.

    Raises
    ------
    FileMissingError
    """
    if runs and not log.exists():
        names = ", ".join(one.folder.name for one in runs)
        raise FileMissingError(
            f"{log}: wanted the log of the runs beside it ({names}); it is missing. It was taken "
            "away, or they were copied here or made before there was a log: get it from where they "
            "were made, or audit each folder by itself."
        )
