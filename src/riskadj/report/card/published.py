"""Cards that were written before: read, asked what is still to be written, and put on a shelf."""

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from riskadj.digest import digest_of_file
from riskadj.errors import FileFormatError, FileMissingError, OutputError
from riskadj.report.acts import note_done
from riskadj.report.card.person import ASKED, unwritten
from riskadj.report.folder import (
    MARK,
    alone,
    check_there,
    files_in,
    flushed,
    put_in_place,
    read_json,
    read_provenance,
)
from riskadj.report.provenance import FORMAT, check_format
from riskadj.study import Study

CARD = "card.json"
RENDERINGS = ("card.md", "card.html")
FIGURES = "figures"
_WANTED = "wanted a card, or the folder of a finished run"
_KEYS = frozenset({"title", "study", "summary", "todo", "sections", "provenance"})


@dataclass(frozen=True)
class Unwritten:
    """What a person has still to write.

    Attributes
    ----------
    name, version : str
        Of the study.
    fields : tuple of str
        Of the study's `card:` block, in the order of the card.
    """

    name: str
    version: str
    fields: tuple[str, ...]

    def told(self) -> str:
        """Return it as a sentence.

        Examples
        --------
        >>> Unwritten("demo", "1", ()).told()
        'demo, version 1: all 18 texts that only a person can write are written'
        >>> Unwritten("demo", "1", ("users", "licence")).told()
        'demo, version 1: 2 of 18 texts are still to be written: users, licence'
        """
        whole = f"{self.name}, version {self.version}: "
        if not self.fields:
            return f"{whole}all {len(ASKED)} texts that only a person can write are written"
        named = ", ".join(self.fields)
        return f"{whole}{len(self.fields)} of {len(ASKED)} texts are still to be written: {named}"


def unwritten_of_study(study: Study) -> Unwritten:
    """Return what a person has still to write into a study."""
    return Unwritten(study.name, study.version, tuple(unwritten(study.card)))


def unwritten_of_card(card: Mapping[str, Any]) -> Unwritten:
    """Return what a person has still to write, by a card as `read_card` returns it.

    Raises
    ------
    FileFormatError
        When its list is not what its sections show.
    """
    shown = {
        item["label"]
        for section in card["sections"]
        for block in section["blocks"]
        if block["kind"] == "facts"
        for item in block["items"]
        if item["todo"]
    }
    fields = card["todo"]
    if {ASKED[one].label if one in ASKED else one for one in fields} != shown:
        raise FileFormatError(
            f"card of {card['study']['name']}: wanted one that lists what it shows as to be "
            f"written ({', '.join(sorted(shown)) or 'nothing'}); got {', '.join(fields) or 'none'}."
            " It was changed: run the study again."
        )
    return Unwritten(card["study"]["name"], card["study"]["version"], tuple(fields))


def read_card(path: str | Path) -> dict[str, Any]:
    """Return a card that was written before, as `build_card` made it.

    Parameters
    ----------
    path : str or Path
        A `card.json`, or a folder with one: that of a run, or that of a published card.

    Raises
    ------
    FileMissingError
        When there is none.
    FileFormatError
        When it is no card, one of a newer version or of one without a format, or, in the folder of
        a run, not the one that the run wrote.
    """
    path = Path(path)
    check_there(path, _WANTED)
    file = path / CARD if path.is_dir() else path
    if not file.is_file():
        raise FileMissingError(
            f"{path}: {_WANTED}; got a folder without {CARD}. Give the folder that riskadj run "
            "wrote."
        )
    if file.suffix != ".json":
        raise FileFormatError(
            f"{file}: {_WANTED}; got another file. Give the {CARD} that riskadj run wrote."
        )
    if file.name == CARD and (file.parent / MARK).is_file():
        read_provenance(file.parent, [CARD])
    card = read_json(file)
    _check_card(file, card)
    return card


def _check_card(file: Path, card: Mapping[str, Any]) -> None:
    got = card.get("format")
    if absent := sorted(_KEYS - {"provenance"} - card.keys()):
        raise FileFormatError(
            f"{file}: wanted a card; got JSON without {', '.join(absent)}. Give the {CARD} that "
            "riskadj run wrote."
        )
    check_format(file, card)
    if not _is_built_as_one(card):
        raise FileFormatError(
            f"{file}: wanted a card; got JSON whose parts are of other kinds. Give the {CARD} that "
            "riskadj run wrote."
        )
    if got != FORMAT or "provenance" not in card:
        raise FileFormatError(
            f"{file}: wanted format {FORMAT}; got {'none' if got is None else repr(got)}: a card "
            "of an older version, or a changed one. Run the study again."
        )


def _is_built_as_one(card: Mapping[str, Any]) -> bool:
    """Whether a card has the parts that are looked into, whatever they say."""
    try:
        texts = [card["study"][one] for one in ("name", "version")] + list(card["todo"])
        for section in card["sections"]:
            for block in section["blocks"]:
                texts += [block["kind"], block.get("file", "")]
                if block["kind"] == "facts":
                    texts += [one["label"] for one in block["items"] if one["todo"]]
    except (LookupError, TypeError, AttributeError):
        return False
    return all(isinstance(one, str) for one in texts)


def publish_card(folder: Path, shelf: Path) -> Path:
    """Put the card of a run on a shelf, as `<shelf>/<study>/<version>/`, and return its folder.

    The files are those of the run, byte for byte: `card.json`, its renderings, and the figures
    that it names. An earlier card of the same study and version is replaced: nobody else publishes
    there meanwhile, and what a process that was ended left there is taken away.

    Parameters
    ----------
    folder : Path
        The folder of a run.
    shelf : Path

    Raises
    ------
    FileMissingError, FileFormatError
        When the folder is none of a finished run, or a file is not what its run wrote.
    OutputError
        When there is something else in the place of the card, another process writes there, or it
        cannot be written.
    """
    card = read_card(folder)
    unwritten_of_card(card)
    names = [CARD, *RENDERINGS, *(f"{FIGURES}/{one}" for one in figures_of(card))]
    read_provenance(folder, names)
    place: Path = shelf / card["study"]["name"] / card["study"]["version"]
    target = place.resolve()
    staging = target.with_name(f".{target.name}.partial-{os.getpid()}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with alone(target, place):
            _check_replaceable(place)
            try:
                for name in names:
                    (staging / name).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(folder / name, staging / name)
                flushed(staging)
                note_done("publish", folder, shelf.name, card=digest_of_file(staging / CARD))
                put_in_place(staging, target)
            finally:
                shutil.rmtree(staging, ignore_errors=True)
    except OSError as error:
        raise OutputError(
            f"{place}: wanted to write the card; got {error.strerror!r}. Choose another --to."
        ) from None
    return place


def figures_of(card: Mapping[str, Any]) -> list[str]:
    """Return the files of the figures that a card shows, each once."""
    blocks = (block for section in card["sections"] for block in section["blocks"])
    return sorted({one["file"] for one in blocks if one["kind"] == "figure"})


def _check_replaceable(place: Path) -> None:
    if not place.exists():
        return
    there = files_in(place) if place.is_dir() else {place.name: place}
    strangers = [
        one for one in there
        if one not in (CARD, *RENDERINGS) and not one.startswith(f"{FIGURES}/")
    ]  # fmt: skip
    if strangers:
        raise OutputError(
            f"{place}: wanted an earlier card to replace, or nothing; got {strangers[0]}. Choose "
            "another --to."
        )
