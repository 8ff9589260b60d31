"""What is audited: a run folder or a card, opened without trusting it."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from riskadj.errors import ChangedFileError, FileFormatError, FileMissingError
from riskadj.report.folder import MARK, check_no_experiment, check_there
from riskadj.report.provenance import check_format

CARD = "card.json"
_OF_RUNS_ONLY = ("study.json", "metrics.json", "providers.csv", "expectations.parquet")
_WANTED = "wanted the folder of a finished run, or a card"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")


class Named(_Part):
    """Something by its digest; `name` is empty where it needs none."""

    digest: str
    name: str = ""
    version: str = ""


class Stage(_Part):
    """A stage, its digest and what it took."""

    stage: str
    digest: str
    seconds: float | None


class Software(_Part):
    """Python and the packages whose numbers a run depends on."""

    python: str
    packages: dict[str, str]


class Origin(_Part):
    """Where a run says that it comes from: `provenance.json`, or that part of a card.

    Attributes
    ----------
    study, code : Named
    data : tuple of Named
        Files, and whatever else was read, such as rules and value sets.
    stages : tuple of Stage
        The last is `run`, whose digest is made from all above.
    files : dict of str to str
        Digest by name; empty in a card.
    seal : str
        The digest of all the rest; empty in a card.
    """

    format: int
    study: Named
    data: tuple[Named, ...]
    code: Named
    environment: Software
    seed: int
    stages: tuple[Stage, ...]
    created: str
    files: dict[str, str] = {}
    seal: str = ""

    @property
    def run(self) -> str:
        """The digest of the run."""
        return self.stages[-1].digest if self.stages else ""


@dataclass(frozen=True)
class Subject:
    """A run folder, the folder of a card with all that is in it, or a card alone.

    Attributes
    ----------
    path, folder : Path
        `path` is the folder of a run, or the file of a card.
    is_run : bool
    content : dict
        What `provenance.json` or the card holds, as it was read.
    written : bytes
        The same, before it was read.
    origin : Origin
    is_alone : bool
        Whether it is the file of a card, of which nothing beside it is looked at.
    """

    path: Path
    folder: Path
    is_run: bool
    content: dict[str, Any]
    written: bytes
    origin: Origin
    is_alone: bool = False


def open_subject(path: str | Path) -> Subject:
    """Open a run folder, or a card by its file or folder.

    Raises
    ------
    FileMissingError, FileFormatError
        When there is neither, or one that a newer or a much older version wrote.
    ChangedFileError
        When the record that names all others is gone, or is no longer one.
    """
    path = Path(path)
    check_there(path, _WANTED)
    folder = path if path.is_dir() else path.parent
    has_record = (folder / MARK).is_file()
    if has_record and (path.is_dir() or path.name in (MARK, CARD)):
        return _open_run(folder)
    if not path.is_dir() and (has_record or path.suffix != ".json"):
        way_out = f"Give {folder}" if has_record else f"Give the {CARD} that riskadj run wrote"
        raise FileFormatError(f"{path}: {_WANTED}; got another file. {way_out}.")
    if path.is_dir() or path.name == CARD:
        _check_no_record_is_lost(folder)
    if path.is_dir() and not (folder / CARD).is_file():
        raise FileMissingError(
            f"{folder}: {_WANTED}; got a folder with neither {MARK} nor {CARD}. "
            "Give the folder that riskadj run wrote."
        )
    return _open_card(folder / CARD if path.is_dir() else path, is_alone=not path.is_dir())


def _check_no_record_is_lost(folder: Path) -> None:
    check_no_experiment(folder, _WANTED)
    if any((folder / one).is_file() for one in _OF_RUNS_ONLY):
        raise ChangedFileError(
            f"{folder / MARK}: wanted the record of the run in this folder; got none. "
            "Get the whole folder again."
        )


def _open_run(folder: Path) -> Subject:
    path = folder / MARK
    written = path.read_bytes()
    content = _parsed(path, written)
    if "stages" not in content and "files" in content:
        raise FileFormatError(
            f"{folder}: {_WANTED}; got the folder of something else ({', '.join(sorted(content))} "
            f"in its {MARK}). Give the folder that riskadj run wrote."
        )
    if "seal" not in content and "format" not in content:
        raise FileFormatError(
            f"{path}: wanted a record with a seal; got one of an older version, without. "
            "Run the study again."
        )
    return Subject(folder, folder, True, content, written, _origin(path, content))


def _open_card(path: Path, *, is_alone: bool) -> Subject:
    written = path.read_bytes()
    content = _parsed(path, written)
    if "sections" not in content:
        raise FileFormatError(
            f"{path}: {_WANTED}; got another file. Give the card.json that riskadj run wrote."
        )
    if "provenance" not in content:
        raise FileFormatError(
            f"{path}: wanted a card that says where it comes from; got one of an older version. "
            "Run the study again."
        )
    check_format(path, content)
    origin = _origin(path, content["provenance"])
    return Subject(path, path.parent, False, content, written, origin, is_alone)


def _parsed(path: Path, written: bytes) -> dict[str, Any]:
    try:
        content = json.loads(written)
    except (ValueError, RecursionError) as error:
        raise ChangedFileError(
            f"{path}: wanted the file as its run wrote it; got no JSON ({error}). "
            "Get the whole folder again."
        ) from None
    if not isinstance(content, dict):
        raise FileFormatError(f"{path}: {_WANTED}; got another file.")
    return content


def _origin(path: Path, content: Any) -> Origin:
    if isinstance(content, dict):
        check_format(path, content)
    try:
        return Origin.model_validate_json(json.dumps(content))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "all of it"
        raise ChangedFileError(
            f"{path}: wanted the record of a run as the run wrote it; got a fault in {where} "
            f"({first['msg']}). Get the whole folder again."
        ) from None
