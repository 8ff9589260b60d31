"""A run folder as one page."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from riskadj.digest import digest_of_bytes
from riskadj.errors import OutputError
from riskadj.report.acts import note_done
from riskadj.report.folder import MARK, read_json, read_provenance, write_whole
from riskadj.report.page.content import PAGE, page_content
from riskadj.report.page.render import render_page
from riskadj.report.page.tables import files_read
from riskadj.report.reading import as_a_run_writes_it


@dataclass(frozen=True)
class WrittenPage:
    """Where a page is, and what it holds.

    Attributes
    ----------
    path : Path
    providers, outcomes : int
    size : int
        Bytes.
    settled : str
        The contract on it; empty without one.
    """

    path: Path
    providers: int
    outcomes: int
    size: int
    settled: str = ""

    def told(self) -> str:
        """Return what to tell whoever asked for it.

        Examples
        --------
        >>> WrittenPage(Path("page.html"), 62, 2, 912_345).told()
        'wrote page.html: 62 providers, 2 outcomes, 0.9 MB, opens offline'
        """
        with_it = f", settled by {self.settled}" if self.settled else ""
        return (
            f"wrote {self.path}: {self.providers} providers, {self.outcomes} outcomes{with_it}, "
            f"{self.size / 1e6:.1f} MB, opens offline"
        )


def write_page(folder: Path, out: Path, settlement: Path | None = None) -> WrittenPage:
    """Write the page of a finished run, and write that down in its log before.

    Parameters
    ----------
    folder : Path
        A run folder. Only its tables after disclosure control are read.
    out : Path
        A file there is replaced.
    settlement : Path, optional
        A folder that `riskadj settle` wrote of this run.

    Raises
    ------
    FileMissingError, FileFormatError
        When the folder holds no finished run, or one that was changed.
    ValuesError
        When the settlement is of another run.
    OutputError
        When the page cannot be written, or written down, or would go into the run folder or the
        settlement's.

    Examples
    --------
    >>> write_page(Path("runs/demo"), Path("page.html")).told()  # doctest: +SKIP
    """
    _check_apart(out, folder, settlement)
    there = read_json(folder / MARK).get("files", {}) if (folder / MARK).is_file() else {}
    provenance = read_provenance(folder, files_read(there if isinstance(there, dict) else {}))
    content, text = _page(folder, provenance, settlement)
    note_done("export", folder, f"page: {out.name}", file=digest_of_bytes(text.encode()))
    try:
        write_whole(text, out)
    except OSError as error:
        raise OutputError(
            f"{out}: wanted to write the page; got {error.strerror or str(error)!r}. Choose "
            "another --out."
        ) from None
    settled = content["settlement"]["title"] if content["settlement"] else ""
    return WrittenPage(
        out, len(content["providers"]), len(content["outcomes"]), len(text.encode()), settled
    )


def page_of(folder: Path, provenance: Mapping[str, Any]) -> str:
    """Return the page of a run folder that is being written, its card the last thing in it.

    Parameters
    ----------
    folder : Path
    provenance : mapping
        With `files`: the digests of all that is in the folder so far.
    """
    return _page(folder, provenance, None)[1]


def _page(
    folder: Path, provenance: Mapping[str, Any], settlement: Path | None
) -> tuple[dict[str, Any], str]:
    with as_a_run_writes_it(folder):
        content = page_content(folder, provenance, settlement)
        return content, render_page(content, read_json(folder / "card.json"))


def _check_apart(out: Path, folder: Path, settlement: Path | None) -> None:
    """Refuse to write into a folder whose files are named with their digests."""
    for place in (folder, settlement):
        if place is not None and out.resolve().is_relative_to(place.resolve()):
            raise OutputError(
                f"{out}: wanted a file outside the run folder and the settlement's, which hold "
                f"what their commands wrote; got one inside ({PAGE} of a run is there already). "
                "Choose another --out."
            )
