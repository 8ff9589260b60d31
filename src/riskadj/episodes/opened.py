"""The bytes of a file that somebody sent: unpacked as they are read, and never without end."""

import gzip
import io
import stat
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Any

from riskadj.errors import FileFormatError

MOST_UNPACKED = 8 * 2**30
"""Bytes of a file once unpacked."""
NEVER_TOO_MUCH = 16 * 2**20
"""Bytes that any archive may hold, however small it is."""
MOST_PER_BYTE = 100
"""Bytes of larger ones to each packed byte; tables of patients have 5 to 30."""
LONGEST_LINE = 2**20
"""Bytes of a line of a table."""
_MOST_MEMBERS = 1000
_LONGEST_DIRECTORY = 2**20
_CHUNK = 2**18
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_MACOS_LITTER = ("__MACOSX/", "._")


@contextmanager
def opened(path: Path, *, lines: bool) -> Iterator[IO[bytes]]:
    """Yield the bytes of a file: plain, `.gz`, or a `.zip` with one CSV file in it.

    Parameters
    ----------
    path : Path
    lines : bool
        Whether it is a table of lines, of which none may be longer than `LONGEST_LINE`.

    Raises
    ------
    FileFormatError
        When an archive is not as it should be, or more comes out of a file than may.
    """
    with ExitStack() as stack:
        inner, packed = _inner(path, stack)
        most = _most_of(path.stat().st_size) if packed else None
        yield stack.enter_context(
            io.BufferedReader(_Within(inner, path, most, LONGEST_LINE if lines else None), _CHUNK)
        )


def check_amount(stream: IO[bytes], path: Path) -> None:
    """Read on to the end of what says of itself too little, so that it is known before it is used.

    Raises
    ------
    FileFormatError
    """
    while path.suffix.lower() == ".gz" and stream.read(_CHUNK):
        pass


def _inner(path: Path, stack: ExitStack) -> tuple[IO[bytes], bool]:
    ending = path.suffix.lower()
    if ending == ".zip":
        archive = zipfile.ZipFile(stack.enter_context(_ShortDirectory(path)))
        return stack.enter_context(archive.open(_table_in(archive, path))), True
    if ending == ".gz":
        return stack.enter_context(gzip.open(path)), True  # type: ignore[arg-type]
    return stack.enter_context(path.open("rb", buffering=0)), False


def _most_of(packed: int) -> int:
    return min(MOST_UNPACKED, max(NEVER_TOO_MUCH, MOST_PER_BYTE * packed))


class _Within(io.RawIOBase):
    """A stream that stops with an error before it, or a line of it, is longer than may be."""

    def __init__(
        self, inner: IO[bytes], path: Path, most: int | None, longest_line: int | None
    ) -> None:
        super().__init__()
        self.inner, self.path, self.most, self.longest_line = inner, path, most, longest_line
        self.read_so_far = self.since_line_end = 0

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read on; see `io.RawIOBase`."""
        chunk = self.inner.read(len(buffer))
        self.read_so_far += len(chunk)
        if self.most is not None and self.read_so_far > self.most:
            raise _too_much(self.path, self.most)
        if self.longest_line is not None:
            self._check_line(chunk, self.longest_line)
        buffer[: len(chunk)] = chunk
        return len(chunk)

    def _check_line(self, chunk: bytes, longest: int) -> None:
        end = max(chunk.rfind(b"\n"), chunk.rfind(b"\r"))
        self.since_line_end = len(chunk) - end - 1 + (self.since_line_end if end < 0 else 0)
        if self.since_line_end > longest:
            raise FileFormatError(
                f"{self.path}: wanted lines of up to {longest:,} bytes; got a longer one. Check "
                "that it is a table."
            )


def _too_much(path: Path, most: int) -> FileFormatError:
    return FileFormatError(
        f"{path}: wanted up to {most:,} bytes out of an archive of its size; got more, as of one "
        "that is made to fill the memory. Unpack it where it came from, or ask for it again."
    )


class _ShortDirectory(io.FileIO):
    """A zip file whose list of members is not read when it is too long."""

    def read(self, size: int | None = -1, /) -> bytes:
        """Read; see `io.FileIO`."""
        most = _LONGEST_DIRECTORY + 1
        content = super().read(most if size is None or size < 0 else min(size, most))
        if len(content) == most:
            raise zipfile.BadZipFile("a list of files in it that is too long")
        return content


def _table_in(archive: zipfile.ZipFile, path: Path) -> zipfile.ZipInfo:
    """Return the one CSV file of an archive in which nothing else is strange."""
    members = archive.infolist()
    if len(members) > _MOST_MEMBERS:
        raise zipfile.BadZipFile(f"over {_MOST_MEMBERS:,} files in it")
    for one in members:
        _check_member(one, path)
    tables = [one for one in members if _is_csv(one.filename)]
    if len(tables) != 1:
        raise FileFormatError(
            f"{path}: wanted a zip with one CSV file in it; got {len(tables)}"
            f"{': ' + ', '.join(one.filename for one in tables[:3]) if tables else ''}."
        )
    return _checked_table(tables[0], path)


def _check_member(member: zipfile.ZipInfo, path: Path) -> None:
    name = PurePosixPath(member.filename)
    if name.is_absolute() or ".." in name.parts or {"\\", ":"} & set(member.filename):
        raise FileFormatError(
            f"{path}: wanted names of files inside the zip; got {member.filename[:60]!r}, which "
            "leads out of it. Do not unpack it; ask for it again."
        )
    if stat.S_ISLNK(member.external_attr >> 16):
        raise FileFormatError(
            f"{path}: wanted files in the zip; got a link, {member.filename[:60]!r}. Do not unpack "
            "it; ask for it again."
        )


def _checked_table(member: zipfile.ZipInfo, path: Path) -> zipfile.ZipInfo:
    if member.flag_bits & 1:
        raise FileFormatError(
            f"{path}: wanted a zip that opens; got one with a password (encrypted). Unpack it, and "
            "give the CSV file."
        )
    if member.compress_type not in _METHODS:
        raise FileFormatError(
            f"{path}: wanted a zip that is stored or deflated; got another method. Unpack it, and "
            "give the CSV file."
        )
    most = _most_of(min(member.compress_size, path.stat().st_size))
    if member.file_size > most:
        raise _too_much(path, most)
    return member


def _is_csv(name: str) -> bool:
    last = name.rsplit("/", 1)[-1]
    litter = name.startswith(_MACOS_LITTER[0]) or last.startswith(_MACOS_LITTER[1])
    return last.lower().endswith(".csv") and not litter
