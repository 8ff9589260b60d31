"""The audit log: whether its chain is whole, and whether it knows a run beside it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from riskadj.audit.beside import Beside, check_log_is_there, runs_beside
from riskadj.audit.files import LEAST_SIGNS, checked_digest
from riskadj.audit.subject import CARD, Subject
from riskadj.audit.verdict import Fault, Found
from riskadj.errors import ChangedJournalError, ValuesError
from riskadj.journal import JOURNAL, Entry, Journal, journal_of, read_journal
from riskadj.report.folder import MARK
from riskadj.report.words import counted, listed

NO_LOG = "no log beside this folder: it was copied, or made before there was one"
_BROUGHT = "no entry says that it was run here: it was copied, or made before there was a log"


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
    """Whether a path is a log, or a folder that has one, or should have, and is no run."""
    if not path.is_dir():
        return path.name == JOURNAL
    if any((path / one).exists() for one in (MARK, CARD)):
        return False
    return (path / JOURNAL).exists() or bool(runs_beside(path))


def audit_journal(path: str | Path, digest: str | None = None) -> JournalAudit:
    """Say whether a log holds: every entry as it was written, none missing in between.

    Every run folder beside it has to be in an entry that says that it was run.

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
        As `read_journal`; also when there are run folders and no log.
    ValuesError
        When the digest is none, or the seal or digest of a run in the log.

    Notes
    -----
    The log has no secret. Who may write to it can cut its end, or write all of it anew, and it
    holds where no run folder is left that it does not know; a digest that was kept elsewhere shows
    both, for all that came before it. Of the folders only the seals are read: whether their files
    are those that were sealed is for `audit_run` to say.
    """
    wanted = None if digest is None else checked_digest(digest)
    path = Path(path)
    log = path / JOURNAL if path.is_dir() else path
    runs = runs_beside(log.parent) if log.name == JOURNAL and log.parent.is_dir() else ()
    check_log_is_there(log, runs)
    found = read_journal(log)  # after the folders: a run has its entry before it is in its place
    _check_is_of_entry(found, wanted)
    faults = [*_broken(found)]
    if not faults:
        faults += [_unknown(found, one) for one in runs if not _knows(found, one)]
    if wanted and not any(one.digest.startswith(wanted) for one in found.entries):
        faults.append(
            ChangedJournalError(
                f"{found.path}: wanted the entry with digest {wanted}; got none. Entries were "
                "taken away from the end, or all was written anew."
            )
        )
    return JournalAudit(found, _told(found, wanted, runs), tuple(faults))


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
    run = Beside(subject.folder.resolve(), subject.origin.seal)
    mine = found.of_run(run.seal)
    if not faults and not _knows(found, run):
        faults.append(Fault(JOURNAL, _unknown(found, run)))
    return Found(_told_of_run(found, mine), tuple(faults))


def _broken(found: Journal) -> list[ChangedJournalError]:
    way_out = "Compare it with a copy that was kept elsewhere."
    return [
        ChangedJournalError(f"{found.path}: wanted entries as they were written; {one}. {way_out}")
        for one in found.faults
    ]


def _check_is_of_entry(found: Journal, wanted: str | None) -> None:
    """Refuse the digest of something else that the log has: it tells nothing of the log."""
    if wanted is None or any(one.digest.startswith(wanted) for one in found.entries):
        return
    for one in found.entries:
        for name, what in (("seal", "the seal"), ("run", "the digest")):
            if str(one.digests.get(name, "")).startswith(wanted):
                raise ValuesError(
                    f"--digest: wanted the head of the log; got {what} of the run in entry "
                    f"{one.number} ({one.place}). Give it with the folder of that run, which it "
                    "can prove."
                )


def _knows(found: Journal, run: Beside) -> bool:
    """Whether a log says that a run was made here, or what was done with one that came here.

    That is no answer where another run was made in this place: so who writes a run anew cannot have
    it known by an export of it.
    """
    if _was_run(found, run):
        return True
    place = run.folder.resolve().name
    was_made_here = any(one.act == "run" and one.place == place for one in found.entries)
    return bool(found.of_run(run.seal)) and not was_made_here


def _was_run(found: Journal, run: Beside) -> bool:
    return any(one.act == "run" for one in found.of_run(run.seal))


def _unknown(found: Journal, run: Beside) -> ChangedJournalError:
    return ChangedJournalError(
        f"{found.path}: wanted an entry that the run in {run.folder.name} with seal "
        f"{run.seal[:LEAST_SIGNS]} was made; got none among {_entries(found)}. It was written anew "
        "or put here from elsewhere, or the end of the log was cut: audit it where it was made, or "
        "look for its seal there."
    )


def _told(found: Journal, wanted: str | None, runs: tuple[Beside, ...]) -> str:
    told = f"{_entries(found)}, each following from the one before it"
    if wanted and (known := [one for one in found.entries if one.digest.startswith(wanted)]):
        told += f", up to entry {known[0].number} as when its digest was kept"
    return "; ".join([told, *_mended(found), *_of_runs(found, runs), *_torn(found)])


def _entries(found: Journal) -> str:
    many = len(found.entries)
    return "1 entry" if many == 1 else f"{many} entries"


def _mended(found: Journal) -> Iterator[str]:
    numbers = [str(one.number) for one in found.entries if one.act == "mend"]
    if numbers:
        were, where = ("was", "entry") if len(numbers) == 1 else ("were", "entries")
        yield f"{counted(len(numbers), 'line')} {were} torn and mended ({where} {listed(numbers)})"


def _of_runs(found: Journal, runs: tuple[Beside, ...]) -> Iterator[str]:
    made = [one for one in runs if _was_run(found, one)]
    brought = [one.folder.name for one in runs if one not in made and _knows(found, one)]
    if made:
        yield f"{counted(len(made), 'run folder')} beside it, sealed as it says"
    if brought:
        yield f"{listed(brought)}: {_BROUGHT}"


def _torn(found: Journal) -> Iterator[str]:
    if found.torn:
        yield (
            f"the last line is torn ({found.torn} bytes): either it was being written when its "
            "process ended, and what it tells of was not done, or the end of the log was cut"
        )


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
    brought = "" if any(one.act == "run" for one in mine) else f"; {_BROUGHT}"
    return "; ".join([f"{acts}{put_back}{brought}", *_torn(found)])


def _past(entry: Entry) -> str:
    told = f" ({entry.told})" if entry.told else ""
    return f"{entry.act}{told} by {entry.account} at {entry.at}"
