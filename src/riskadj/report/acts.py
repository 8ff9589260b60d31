"""What is made of a run and done with it, written down in the log before it happens."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from riskadj.journal import Act, Entry, write_entry
from riskadj.report.folder import MARK, read_json


def note_run(folder: Path, staging: Path) -> None:
    """Write down that a run is put in its place.

    Parameters
    ----------
    folder, staging : Path
        Its place, and where all of it is now.

    Raises
    ------
    OutputError, FileFormatError
        As `write_entry`.
    """
    provenance = read_json(staging / MARK)
    write_entry("run", folder, made_from(provenance) | {"seal": provenance["seal"]})


def note_done(act: Act, run: Path, told: str = "", **digests: str) -> Entry:
    """Write down what is done with a finished run, in the log beside it.

    Parameters
    ----------
    act : str
    run : Path
        Its folder.
    told : str
        Who approves, or where it goes.
    **digests
        Of what leaves.

    Raises
    ------
    OutputError, FileFormatError
        As `write_entry`.
    """
    seal = str(read_json(run / MARK).get("seal", ""))
    return write_entry(act, run, {"seal": seal, **digests}, told)


def made_from(provenance: Mapping[str, Any]) -> dict[str, str | tuple[str, ...]]:
    """Return the digests of study, data and code, and that of the run which they make."""
    return {
        "study": provenance["study"]["digest"],
        "data": tuple(one["digest"] for one in provenance["data"]),
        "code": provenance["code"]["digest"],
        "run": provenance["stages"][-1]["digest"],
    }
