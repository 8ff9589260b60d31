"""Every file of a run folder against the digest that the run gave it, and those against a seal."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from riskadj.audit.keys import changed_keys
from riskadj.audit.subject import CARD, Subject
from riskadj.audit.verdict import Fault, Found, How
from riskadj.digest import digest_of_file
from riskadj.errors import ChangedFileError, ValuesError
from riskadj.report.folder import MARK, files_in, json_text, read_json
from riskadj.report.provenance import run_digest, sealed

LEAST_SIGNS = 16
_AGAIN = "Get the whole folder again, or run the study again."


def check_files(subject: Subject, digest: str | None = None) -> Found:
    """Return which files are not as the run wrote them: changed, missing or added.

    Parameters
    ----------
    subject : Subject
    digest : str, optional
        Of the run or its seal, kept elsewhere; 16 hexadecimal signs of it or more.

    Notes
    -----
    The seal is the digest of `provenance.json` without it, and the folder has no secret: who
    changes a file, its digest in `provenance.json` and the seal passes this step. The figures
    still have to come out of study and data again, so such a change is found by the fresh run,
    except of times, and except where study and data were changed to yield other figures. Against
    that only a digest that was kept elsewhere helps: in a log, a settlement, a signed letter. A
    digest that is shortened is worth as many bits as are left of it, four a sign.
    """
    faults = tuple(_faults(subject)) if subject.is_run else tuple(_of_card(subject))
    if digest is not None:
        faults = (*faults, *_not_the_one(subject, digest))
    known = "" if digest is None else ", and the digest is the one given"
    if subject.is_run:
        return Found(f"{len(subject.origin.files) + 1} files as the run wrote them{known}", faults)
    alone = ", this file alone" if subject.is_alone else ""
    return Found(f"a card of run {subject.origin.run[:LEAST_SIGNS]}{alone}{known}", faults)


def _faults(subject: Subject) -> Iterator[Fault]:
    """Yield each fault once: files are not blamed for what was changed in the record of them."""
    there = {
        name: digest_of_file(path)
        for name, path in files_in(subject.folder).items()
        if name != MARK and path.is_file()
    }
    listed = subject.origin.files
    if there != listed and _has_seal_of(subject, there):
        yield _fault(subject, MARK, f"got one with other digests of {_named(listed, there)}")
        return
    differing = [name for name in sorted(listed) if listed[name] != there.get(name)]
    record = tuple(_record(subject, CARD in there and CARD not in differing))
    yield from record
    for name in differing:
        if name in there:
            yield _fault(subject, name, "got other bytes")
        else:
            yield _fault(subject, name, "got none", how="missing")
    if CARD in there and CARD not in differing and not record:
        yield from _card_of_another(subject)
    for name in sorted(files_in(subject.folder).keys() - listed.keys() - {MARK}):
        yield _fault(
            subject, name, "got this one besides", "only files that the run wrote", "Take it away.",
            how="added",
        )  # fmt: skip


def _has_seal_of(subject: Subject, files: Mapping[str, str]) -> bool:
    """Whether the seal is that of a record of these files."""
    content = {**subject.content, "files": dict(files)}
    return bool(sealed(content)["seal"] == subject.origin.seal)


def _named(old: Mapping[str, str], new: Mapping[str, str]) -> str:
    return ", ".join(sorted(one for one in {*old, *new} if old.get(one) != new.get(one)))


def _record(subject: Subject, has_card: bool) -> Iterator[Fault]:
    """Yield whether `provenance.json` was changed, by as little as a space."""
    content = subject.content
    if sealed(content)["seal"] != subject.origin.seal:
        where = _where(subject) if has_card else ""
        yield _fault(subject, MARK, f"got one that its seal does not fit{where}")
    elif subject.written != json_text(content).encode():
        yield _fault(subject, MARK, "got other bytes that say the same")
    elif run_digest(content) != subject.origin.run:
        yield _fault(subject, MARK, "got one whose chain of digests does not lead to its run")


def _where(subject: Subject) -> str:
    """Return in which keys a record is not as the card of its run has it."""
    old, new = _of_card_of(subject.folder), without_files(subject.content)
    keys = [one.key for one in changed_keys(old, new)]
    return f": another {', '.join(keys)} than {CARD} has" if old and keys else ""


def _of_card_of(folder: Path) -> Any:
    return read_json(folder / CARD).get("provenance")


def _card_of_another(subject: Subject) -> Iterator[Fault]:
    if _of_card_of(subject.folder) != without_files(subject.content):
        yield _fault(subject, CARD, f"got that of another run than {MARK} tells of")


def _of_card(subject: Subject) -> Iterator[Fault]:
    if subject.written != json_text(subject.content).encode():
        yield _fault(subject, subject.path.name, "got other bytes")
    elif run_digest(subject.content["provenance"]) != subject.origin.run:
        yield _fault(subject, subject.path.name, "got one whose chain of digests does not fit")


def without_files(provenance: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a card holds of a provenance."""
    return {key: value for key, value in provenance.items() if key not in ("files", "seal")}


def checked_digest(digest: str) -> str:
    """Return a digest that was given, if it is long enough to be one.

    Raises
    ------
    ValuesError
    """
    wanted = digest.strip().lower()
    if len(wanted) < LEAST_SIGNS or len(wanted) > 64 or set(wanted) - set("0123456789abcdef"):
        raise ValuesError(
            f"--digest: wanted a digest of a run or its seal, {LEAST_SIGNS} to 64 hexadecimal "
            f"signs; got {digest!r}. riskadj run shows the seal."
        )
    return wanted


def _not_the_one(subject: Subject, digest: str) -> Iterator[Fault]:
    wanted = checked_digest(digest)
    if not any(one.startswith(wanted) for one in (subject.origin.seal, subject.origin.run)):
        name = MARK if subject.is_run else subject.path.name
        yield _fault(
            subject, name, f"got seal {subject.origin.seal or 'none'}, run {subject.origin.run}",
            f"the run with digest {wanted}", "This is another run, or one that was written anew. "
            "(The head of a log is given with the folder that the log is in.)",
        )  # fmt: skip


def _fault(
    subject: Subject,
    name: str,
    got: str,
    wanted: str = "the file as its run wrote it",
    way_out: str = _AGAIN,
    how: How = "changed",
) -> Fault:
    where = subject.folder / name
    return Fault(name, ChangedFileError(f"{where}: wanted {wanted}; {got}. {way_out}"), how)
