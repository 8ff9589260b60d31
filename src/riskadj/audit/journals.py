"""The audit log: whether its chain is whole, and whether it knows a run beside it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from riskadj.audit.files import LEAST_SIGNS, checked_digest
from riskadj.audit.subject import CARD, Subject
from riskadj.audit.verdict import Fault, Found
from riskadj.errors import ChangedJournalError
from riskadj.journal import JOURNAL, Entry, Journal, journal_of, read_journal
from riskadj.report.folder import MARK

NO_LOG = "no log beside this folder: it was copied, or made before there was one"


@dataclass(frozen=True)
class JournalAudit:
    """What an audit of a log found.

    Attributes
    ----------
    journal : Journal
    told : str
        What holds.
    faults : tuple of ChangedJournalError
        Every fault, in the order of lines.
    """

    journal: Journal
    told: str
    faults: tuple[ChangedJournalError, ...]

    @property
    def exit_code(self) -> int:
        """0 when the chain holds, 55 when it does not."""
        return self.faults[0].exit_code if self.faults else 0

    @property
    def answer(self) -> str:
        """The answer in one sentence."""
        if self.faults:
            return f"Does not hold: {self.faults[0]}"
        return f"Holds: {self.told}."

    def as_json(self) -> dict[str, Any]:
        """Return it for machines: `answer`, `exit_code`, `faults`, `torn`, `head`, `entries`."""
        return {
            "subject": str(self.journal.path),
            "answer": self.answer,
            "exit_code": self.exit_code,
            "faults": [str(one) for one in self.faults],
            "torn": self.journal.torn,
            "head": self.journal.head,
            "entries": [one.model_dump(mode="json") for one in self.journal.entries],
        }


def is_journal(path: Path) -> bool:
    """Whether a path is a log, or a folder that has one and is no run."""
    if path.is_dir():
        return (path / JOURNAL).exists() and not any((path / one).exists() for one in (MARK, CARD))
    return path.name == JOURNAL


def audit_journal(path: str | Path, digest: str | None = None) -> JournalAudit:
    """Say whether a log holds: every entry as it was written, none missing in between.

    Parameters
    ----------
    path : str or Path
        `journal.jsonl`, or the folder that it is in.
    digest : str, optional
        Of an entry, kept elsewhere: 16 hexadecimal signs or more. MLflow has it of every run that
        was logged, as the tag `riskadj.journal`.

    Raises
    ------
    FileMissingError, FileFormatError
        As `read_journal`.
    ValuesError
        When the digest is none.

    Notes
    -----
    The log has no secret. Who may write to it can cut its end, or write all of it anew, and it
    holds; a digest that was kept elsewhere shows both, for all that came before it.
    """
    wanted = None if digest is None else checked_digest(digest)
    found = read_journal(Path(path))
    faults = [*_broken(found)]
    if wanted and not any(one.digest.startswith(wanted) for one in found.entries):
        faults.append(
            ChangedJournalError(
                f"{found.path}: wanted the entry with digest {wanted}; got none. Entries were "
                "taken away from the end, or all was written anew."
            )
        )
    return JournalAudit(found, _told(found, wanted), tuple(faults))


def check_journal(subject: Subject) -> Found | None:
    """Return whether the log beside a run is whole and knows the run; None where there is no log.

    Raises
    ------
    FileFormatError
        When it is no log, or one of a newer version.
    """
    path = journal_of(subject.folder)
    if not path.exists():
        return None
    found = read_journal(path)
    faults = [Fault(JOURNAL, one) for one in _broken(found)]
    mine = found.of_run(subject.origin.seal)
    if not mine and not faults:
        faults.append(Fault(JOURNAL, _unknown(found, subject)))
    return Found(_told_of_run(found, mine), tuple(faults))


def _broken(found: Journal) -> list[ChangedJournalError]:
    way_out = "Compare it with a copy that was kept elsewhere."
    return [
        ChangedJournalError(f"{found.path}: wanted entries as they were written; {one}. {way_out}")
        for one in found.faults
    ]


def _unknown(found: Journal, subject: Subject) -> ChangedJournalError:
    return ChangedJournalError(
        f"{found.path}: wanted an entry of the run with seal {subject.origin.seal[:LEAST_SIGNS]}; "
        f"got {len(found.entries)} of others. It was written anew or put here from elsewhere, or "
        "the end of the log was cut: audit it where it was made, or look for its seal there."
    )


def _told(found: Journal, wanted: str | None) -> str:
    many = len(found.entries)
    told = f"{many} {'entry' if many == 1 else 'entries'}, each following from the one before it"
    if wanted and (known := [one for one in found.entries if one.digest.startswith(wanted)]):
        told += f", up to entry {known[0].number} as when its digest was kept"
    return told + _torn(found)


def _torn(found: Journal) -> str:
    if not found.torn:
        return ""
    return f"; the last line is torn ({found.torn} bytes): what it was to tell of was not done"


def _told_of_run(found: Journal, mine: tuple[Entry, ...]) -> str:
    many = len(found.entries)
    if not mine:
        return ""
    acts = "; ".join(f"{_past(one)} (entry {one.number} of {many})" for one in mine)
    later = [
        one for one in found.entries
        if one.act == "run" and one.number > mine[0].number and one not in mine
        and one.place == mine[0].place and mine[0].act == "run"
    ]  # fmt: skip
    put_back = f"; a later run was put into this folder (entry {later[-1].number})" if later else ""
    return f"{acts}{put_back}{_torn(found)}"


def _past(entry: Entry) -> str:
    told = f" ({entry.told})" if entry.told else ""
    return f"{entry.act}{told} by {entry.account} at {entry.at}"
