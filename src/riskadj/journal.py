"""The audit log: who did what to which run, and when; a line each, chained by digests.

`journal.jsonl` lies beside the folders of runs. A line is added before what it tells of is put in
place, and no line is ever changed: an act that cannot be written down is not done, and one that is
cut off in between leaves a line too many, never one too few.
"""

import errno
import fcntl
import json
import os
import pwd
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Literal, get_args

from pydantic import ValidationError

from riskadj.digest import digest_of_bytes
from riskadj.errors import FileFormatError, FileMissingError, OutputError
from riskadj.record import Record

JOURNAL = "journal.jsonl"
FORMAT = 1
"""Of a line: newer ones are refused."""
Act = Literal["run", "windows", "settle", "log", "export", "publish", "approve", "mend"]
"""What is written down; `mend` says that the line before it was torn, and keeps its digest."""
ACTS: tuple[Act, ...] = get_args(Act)
LONGEST_WAIT = 60.0
"""Seconds for which another process may hold the log."""
_BEGINS = b'{"account":'
_OURS = b'"format":%d,' % FORMAT
_PAUSE = 0.01
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP)


class Entry(Record):
    """One act.

    Attributes
    ----------
    format : int
    number : int
        From 1, without gaps.
    at : str
        When, in UTC, by this computer's clock.
    act : str
    account : str
        The name of the account that did it, as the operating system has it.
    place : str
        The name of the folder that was made, or of the run that it was done to.
    told : str
        Who approved, or where it went; often empty.
    digests : dict of str to str or list of str
        Of what it was made from, and of what was made.
    before : str
        The digest of the entry before; empty for the first.
    digest : str
        The SHA-256 of all the rest, as it is written.
    """

    format: int = FORMAT
    number: int
    at: str
    act: str
    account: str
    place: str
    told: str = ""
    digests: dict[str, str | tuple[str, ...]]
    before: str
    digest: str = ""


@dataclass(frozen=True)
class Journal:
    """A log as it was read.

    Attributes
    ----------
    path : Path
    entries : tuple of Entry
        Every line that is one.
    faults : tuple of str
        What does not hold, in the order of lines; none where the chain is whole.
    torn : int
        Bytes of a last line that is no entry: its process ended while it wrote, or the end was cut.
        The next entry mends it.
    """

    path: Path
    entries: tuple[Entry, ...]
    faults: tuple[str, ...]
    torn: int = 0

    @property
    def head(self) -> str:
        """The digest of the last entry: kept elsewhere, it proves all up to there."""
        return self.entries[-1].digest if self.entries else ""

    def of_run(self, seal: str) -> tuple[Entry, ...]:
        """Return what was done with a run."""
        return tuple(one for one in self.entries if one.digests.get("seal") == seal)


def journal_of(place: Path) -> Path:
    """Return where acts on a folder are written down: beside it.

    Examples
    --------
    >>> journal_of(Path("/data/runs/hip")).as_posix()
    '/data/runs/journal.jsonl'
    """
    return place.resolve().parent / JOURNAL


def write_entry(
    act: Act, place: Path, digests: Mapping[str, str | tuple[str, ...]], told: str = ""
) -> Entry:
    """Write down an act, before it is done; when this returns it is on disk.

    Parameters
    ----------
    act : str
        One of `ACTS`.
    place : Path
        The folder that is made, or the run that it is done to: the log lies beside it.
    digests : mapping
        Of what it is made from, and of what is made.
    told : str
        Who approves, or where it goes.

    Returns
    -------
    Entry

    Raises
    ------
    OutputError
        When it cannot be written: the act must not be done then.
    FileFormatError
        When a newer version has written to the log.

    Notes
    -----
    Processes take turns by a lock on the file, which vanishes with whoever holds it; where a file
    system knows no locks, two acts at the same moment break the chain. A last line
    that was torn, by a process that was killed or a full disk, stays: an entry of its own, `mend`,
    keeps its digest.
    """
    path, name = journal_of(place), _shown(place.resolve().name)
    try:
        with _opened(path, "a+b", fcntl.LOCK_EX) as file:
            last, rest, is_open = _end_of(path, _content(file))
            torn = _mend(last, name, rest)
            entry = _next(torn or last, act, name, digests, told)
            new = b"".join(_line(one) + b"\n" for one in (torn, entry) if one)
            _add(file, b"\n" + new if is_open else new)
            if last is None:
                _keep_name(path)
    except OSError as error:
        raise OutputError(
            f"{path}: wanted to write down what is done ({act} {name}); got "
            f"{_reason(error)}. Nothing was done. Choose a place that can be written to."
        ) from None
    return entry


def read_journal(path: Path) -> Journal:
    """Read a log and verify its chain.

    Parameters
    ----------
    path : Path
        The file, or the folder that it is in.

    Raises
    ------
    FileMissingError, FileFormatError
        When there is none, or one of a newer version, or something else.

    Notes
    -----
    A line that is changed, taken away, put in or put elsewhere breaks the chain. That lines are
    missing at the end cannot be seen from the file alone, nor that somebody wrote all of it anew:
    for that, a digest has to be kept elsewhere. `riskadj audit` shows the last one.
    """
    file = path / JOURNAL if path.is_dir() else path
    if not file.is_file():
        raise FileMissingError(
            f"{file}: wanted the log of a folder of runs; there is none. Check the path."
        )
    try:
        with _opened(file, "rb", fcntl.LOCK_SH) as stream:
            content = _content(stream)
    except OSError as error:
        raise FileMissingError(
            f"{file}: wanted to read the log; got {_reason(error)}. Check who may."
        ) from None
    _check_ours(file, content)
    chain = _Chain(file)
    *lines, open_line = content.split(b"\n")
    for number, line in enumerate(lines, 1):
        chain.take(number, line)
    return chain.ended(len(lines), open_line)


class _Chain:
    """What has been read so far, and what of it does not hold."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.entries: list[Entry] = []
        self.faults: list[str] = []
        self.unread = b""

    def take(self, number: int, line: bytes) -> None:
        """Read a line that ends."""
        entry = _entry_of(self.path, line)
        if entry is None:
            self.unread += line + b"\n"
            return
        self.faults.extend(f"line {number} {one}" for one in self._faults(entry, line))
        self.entries.append(entry)
        self.unread = b""

    def _faults(self, entry: Entry, line: bytes) -> Iterator[str]:
        last = self.entries[-1] if self.entries else None
        if line != _line(entry) or entry.digest != _digest(entry):
            yield f"was changed (entry {entry.number})"
        if entry.number != (last.number + 1 if last else 1):
            yield f"is entry {entry.number}, after {last.number if last else 'none'}"
        elif entry.before != (last.digest if last else ""):
            yield f"does not follow from the one before it (entry {entry.number})"
        if entry.digests.get("torn", "") != _digest_or_none(self.unread):
            yield "follows what cannot be read" if self.unread else "mends what is not there"

    def ended(self, lines: int, open_line: bytes) -> Journal:
        """Return what was read; a line without an end is torn, or whole but for its end."""
        if self.unread:
            self.faults.append(f"line {lines} cannot be read")
        is_torn = bool(open_line) and _entry_of(self.path, open_line) is None
        if open_line and not is_torn:
            self.take(lines + 1, open_line)
        torn = len(open_line) if is_torn else 0
        return Journal(self.path, tuple(self.entries), tuple(self.faults), torn)


# --- lines ----------------------------------------------------------------------------------------


def _line(entry: Entry) -> bytes:
    return _text({**entry.model_dump(mode="json")})


def _digest(entry: Entry) -> str:
    return digest_of_bytes(_text(entry.model_dump(mode="json", exclude={"digest"})))


def _text(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, sort_keys=True, separators=(",", ":")).encode("ascii")


def _digest_or_none(content: bytes) -> str:
    return digest_of_bytes(content) if content else ""


def _shown(name: str) -> str:
    """Return a name as text, whatever bytes the file system has for it."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _entry_of(path: Path, line: bytes) -> Entry | None:
    """Return what a line says; nothing where it is no entry."""
    if _OURS not in line:
        _check_format(path, line)
    try:
        return Entry.model_validate_json(line)
    except ValidationError:
        return None


def _check_format(path: Path, line: bytes) -> None:
    try:
        content = json.loads(line)
    except (ValueError, RecursionError):
        return
    got = content.get("format") if isinstance(content, dict) else None
    if type(got) is int and got > FORMAT:
        raise FileFormatError(
            f"{path}: wanted lines of format {FORMAT}, which this version writes; got {got}. "
            "Use the version of riskadj that wrote it, or a later one."
        )


def _check_ours(path: Path, content: bytes) -> None:
    """Refuse a file in which no line begins as an entry does, not even a torn one."""
    lines = content.split(b"\n")
    if content and not any(one and one[: len(_BEGINS)] == _BEGINS[: len(one)] for one in lines):
        raise FileFormatError(
            f"{path}: wanted a log that riskadj wrote; got another file. Take it away."
        )


def _end_of(path: Path, content: bytes) -> tuple[Entry | None, bytes, bool]:
    """Return the last entry, the lines after it, and whether the last line has no end."""
    _check_ours(path, content)
    lines = content.split(b"\n")
    is_open = bool(lines[-1])
    rest = b""
    for line in reversed(lines if is_open else lines[:-1]):
        if entry := _entry_of(path, line):
            return entry, rest, is_open
        rest = line + b"\n" + rest
    return None, rest, is_open


def _mend(last: Entry | None, place: str, rest: bytes) -> Entry | None:
    """Return the entry that says of which bytes nothing can be read; none where there are none."""
    return _next(last, "mend", place, {"torn": digest_of_bytes(rest)}) if rest else None


def _next(
    last: Entry | None,
    act: Act,
    place: str,
    digests: Mapping[str, str | tuple[str, ...]],
    told: str = "",
) -> Entry:
    entry = Entry(
        number=last.number + 1 if last else 1,
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        act=act,
        account=_shown(account()),
        place=place,
        told=_shown(told),
        digests=dict(digests),
        before=last.digest if last else "",
    )
    return entry.model_copy(update={"digest": _digest(entry)})


def account() -> str:
    """Return the name of the account that runs this, as the operating system has it."""
    number = os.getuid()
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"uid {number}"


# --- the file -------------------------------------------------------------------------------------


@contextmanager
def _opened(path: Path, how: str, lock: int) -> Iterator[IO[bytes]]:
    """Yield the log, locked; a link to a log elsewhere is followed."""
    if path.exists() and not path.is_file():
        raise OSError(None, "no plain file")
    with path.open(how, buffering=0) as file:
        _lock(file, lock)
        yield file


def _lock(file: IO[bytes], how: int) -> None:
    until = time.monotonic() + LONGEST_WAIT
    while True:
        try:
            fcntl.flock(file, how | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                raise OSError(None, "another process that does not let go of it") from None
            time.sleep(_PAUSE)
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            return
        else:
            return


def _content(file: IO[bytes]) -> bytes:
    file.seek(0)
    return file.read()


def _add(file: IO[bytes], content: bytes) -> None:
    """Add bytes at the end; they are on disk when this returns."""
    while content:
        content = content[file.write(content) :]
    os.fsync(file.fileno())


def _keep_name(path: Path) -> None:
    """Have the folder know a new file even if the machine stops now."""
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _reason(error: OSError) -> str:
    return repr(error.strerror or str(error))
