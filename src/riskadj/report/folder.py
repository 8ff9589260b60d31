"""The run folder: all of it or nothing, and the same bytes for the same inputs."""

import csv
import errno
import fcntl
import json
import os
import re
import shutil
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import pandas as pd

from riskadj.digest import digest_of_file
from riskadj.errors import FileFormatError, FileMissingError, OutputError, did_you_mean
from riskadj.report.provenance import check_format

MARK = "provenance.json"
"""Names every file of a run, so that a run can be told from anything else in its folder."""
_WANTED = "wanted the folder of a finished run"
_OF_EXPERIMENTS = {
    "cell.json": "a cell of an experiment, which keeps figures only",
    "experiment.yaml": "an experiment",
}


@contextmanager
def run_folder(out: Path, then: Callable[[], None] = lambda: None) -> Iterator[Path]:
    """Yield a folder to write into, which becomes `out` at the end or vanishes on any error.

    Nobody else writes to `out` meanwhile: a lock beside it goes with the process, however it ends.
    What a process that was ended left beside `out` is taken away by the next one. Where a file
    system knows no locks, neither holds. `then` is called when all is in place, before anybody
    else may begin.

    Raises
    ------
    OutputError
        When `out` holds something else than a run, another process writes there, it cannot be
        written, or the disk is full.
    """
    _check_replaceable(out)
    target = out.resolve()  # a link to an earlier run stays one
    staging = target.with_name(f".{target.name}.partial-{os.getpid()}")
    above = [one for one in staging.parents if not one.exists()]
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with alone(target, out), _vanishing(staging):
            yield staging
            flushed(staging)
            _check_replaceable(out)  # once more: a run takes hours
            staging.chmod(_as_others())
            put_in_place(staging, target)
            then()
    except OSError as error:
        raise _unwritable(out, error) from None
    finally:
        for one in above:
            with suppress(OSError):  # it holds the results
                one.rmdir()


def _as_others() -> int:
    """Return the mode of a folder as whoever runs this has chosen it for new ones."""
    os.umask(umask := os.umask(0o077))
    return 0o777 & ~umask


@contextmanager
def _vanishing(staging: Path) -> Iterator[None]:
    try:
        staging.mkdir(mode=_OWNER_ONLY)
        yield
    finally:
        shutil.rmtree(staging, ignore_errors=True)


_OWNER_ONLY = 0o700
"""While it is written to; a process that is killed leaves rows of patients there."""
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP)


@contextmanager
def alone(target: Path, out: Path) -> Iterator[None]:
    """Be the only one who writes to a place, and take away what is left of those who were ended."""
    path = target.with_name(f".{target.name}.partial-lock")
    with _locked(path, out) as is_locked:
        if is_locked:
            _sweep(target)
        try:
            yield
        finally:
            with suppress(OSError):
                path.unlink()


@contextmanager
def _locked(path: Path, out: Path) -> Iterator[bool]:
    """Hold the lock of a file, which says by whom; False where a file system knows no locks."""
    with path.open("a+", encoding="utf-8") as stream:
        is_locked = _lock(stream, out)
        if not is_locked or _is_at(path, stream):
            stream.truncate(0)
            stream.write(f"process {os.getpid()} on {socket.gethostname()}")
            stream.flush()
            yield is_locked
            return
    with _locked(path, out) as is_locked:  # whoever had it has just taken it away
        yield is_locked


def _lock(stream: IO[str], out: Path) -> bool:
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise _taken(out, stream) from None
    except OSError as error:
        if error.errno in _NO_LOCKS:
            return False
        raise
    return True


def _is_at(path: Path, stream: IO[str]) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(stream.fileno()))
    except FileNotFoundError:
        return False


def _taken(out: Path, stream: IO[str]) -> OutputError:
    stream.seek(0)
    by = " ".join(stream.read(200).split()) or "another process"
    return OutputError(
        f"{out}: wanted to write results alone; got that {by} is writing there. Wait for it, or "
        "choose another --out."
    )


def _sweep(target: Path) -> None:
    """Take away what ended processes left beside a place; an earlier run that was moved comes back.

    All of it is theirs: one that is still at work would hold the lock.
    """
    left = re.compile(rf"\.{re.escape(target.name)}\.partial-(old-)?\d+")
    for one in [*target.parent.iterdir()]:
        found = left.fullmatch(one.name)
        if found and found[1] and not target.exists():
            one.rename(target)
        elif found:
            shutil.rmtree(one, ignore_errors=True)


def flushed(folder: Path) -> None:
    """Wait until every file of a folder is on disk, so that its name may say that it is whole."""
    for path in (*folder.rglob("*"), folder):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def write_csv(table: pd.DataFrame, path: Path) -> None:
    """Write a table as CSV, numbers to twelve significant digits; see `csv_text`."""
    path.write_text(csv_text(table), encoding="utf-8", newline="")


def csv_text(table: pd.DataFrame, digits: int = 12) -> str:
    """Return a table as CSV in which no text is a formula to a spreadsheet; numbers stay numbers.

    `read_csv` takes it back to the same texts.

    Parameters
    ----------
    table : DataFrame
    digits : int
        Significant ones, of numbers that are not whole.

    Examples
    --------
    >>> csv_text(pd.DataFrame({"provider_id": ["=1+1", "-2"], "adjusted": [-0.5, 2.0]})).split()
    ['provider_id,adjusted', "'=1+1,-0.5", '-2,2']
    """
    safe = _texts_mapped(table, no_formula)
    text = str(safe.to_csv(index=False, float_format=f"%.{digits}g", lineterminator="\n"))
    if "\r" in text:  # which ends a line where a cell is not quoted
        every = csv.QUOTE_ALL
        return str(safe.to_csv(index=False, float_format=f"%.{digits}g", lineterminator="\n",
                               quoting=every))  # fmt: skip
    return text


def read_csv(path: Path, **options: Any) -> pd.DataFrame:
    """Return a table that `write_csv` wrote, its texts as they were.

    Parameters
    ----------
    path : Path
    **options
        Of `pandas.read_csv`.
    """
    return _texts_mapped(pd.read_csv(path, **options), with_formula)


_BEGINS = "=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20"
_AT_START = r"(?<![^;\t\r\n])"  # of the text, or behind what ends a cell
_AT_RISK = re.compile(rf"{_AT_START}('*)(?=[{_BEGINS}])")
_ESCAPED = re.compile(rf"{_AT_START}'('*)(?=[{_BEGINS}])")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def no_formula(text: str) -> str:
    """Return a text as a spreadsheet takes it for text: what begins like a formula gets a `'`.

    A spreadsheet of another language begins a new cell after a semicolon or a tab. A number is
    none, even as text. `with_formula` is the way back, whatever the text.

    Examples
    --------
    >>> no_formula("=1+1"), no_formula("Clinic;=1+1"), no_formula("'=1"), no_formula("-1.5")
    ("'=1+1", "Clinic;'=1+1", "''=1", '-1.5')
    """
    return text if _NUMBER.fullmatch(text) else _AT_RISK.sub(r"'\1", text)


def with_formula(text: str) -> str:
    """Return the text that `no_formula` was given.

    Examples
    --------
    >>> with_formula("'=1+1"), with_formula("''=1"), with_formula("d'Or")
    ('=1+1', "'=1", "d'Or")
    """
    return _ESCAPED.sub(r"\1", text)


def _texts_mapped(table: pd.DataFrame, of: Callable[[str], str]) -> pd.DataFrame:
    """Return a table with its texts and the names of its columns mapped."""
    named = table.rename(columns=lambda name: of(str(name)))
    return named.assign(**{name: _mapped(named[name], of) for name in named.columns})


def _mapped(column: pd.Series, of: Callable[[str], str]) -> pd.Series:
    if pd.api.types.is_numeric_dtype(column) or pd.api.types.is_datetime64_any_dtype(column):
        return column
    texts = {one: of(one) for one in column if isinstance(one, str)}
    if all(one == to for one, to in texts.items()):
        return column
    mapped = [texts[one] if isinstance(one, str) else one for one in column]
    kind = object if isinstance(column.dtype, pd.CategoricalDtype) else column.dtype
    return pd.Series(mapped, index=column.index, dtype=kind)


def write_parquet(table: pd.DataFrame, path: Path) -> None:
    """Write a table as Parquet, for its owner alone to read: it may hold rows of patients."""
    path.touch(mode=0o600)
    table.to_parquet(path, index=False, compression="zstd")


def write_json(content: Any, path: Path) -> None:
    """Write JSON with sorted keys; NaN and infinities as null."""
    path.write_text(json_text(content), encoding="utf-8")


def json_text(content: Any) -> str:
    """Return JSON as `write_json` writes it; the same content is always the same text.

    Examples
    --------
    >>> json_text({"b": float("nan"), "a": 1}).split()
    ['{', '"a":', '1,', '"b":', 'null', '}']
    """
    text = json.dumps(_finite(content), indent=2, sort_keys=True, ensure_ascii=False)
    return f"{text}\n"


def write_text(text: str, path: Path) -> None:
    """Write text in UTF-8."""
    path.write_text(text, encoding="utf-8")


def write_whole(text: str, path: Path) -> None:
    """Write a text that has no folder of its own: all of it takes its place at once, or none."""
    target = path.resolve()
    if target.exists() and not target.is_file():  # a device
        write_text(text, target)
        return
    staging = target.with_name(f".{target.name}.partial-{os.getpid()}")
    try:
        write_text(text, staging)
        staging.replace(target)
    finally:
        staging.unlink(missing_ok=True)


def read_json(path: Path) -> dict[str, Any]:
    """Return what a file of a run folder says.

    Raises
    ------
    FileFormatError
        When it is no JSON.
    """
    try:
        content = json.loads(path.read_bytes(), parse_int=_whole)
        json_text(content).encode()  # half a sign (a lone surrogate) is in no text of ours
    except (ValueError, RecursionError) as error:
        raise FileFormatError(f"{path}: wanted JSON; got {error}. Run the study again.") from None
    return content if isinstance(content, dict) else {}


def _whole(digits: str) -> int:
    """Return a whole number that arithmetic with others can take."""
    number = int(digits)
    if abs(number) >= 2**63:
        raise ValueError("a whole number of more than 64 bits")
    return number


def read_provenance(folder: Path, names: Iterable[str]) -> dict[str, Any]:
    """Return what says where a run comes from, if some of its files are as the run wrote them.

    Raises
    ------
    FileMissingError, FileFormatError
        When the folder is none of a finished run, a newer version wrote it, or a file is not what
        its run wrote.
    """
    check_there(folder, _WANTED)
    if not folder.is_dir():
        raise FileMissingError(f"{folder}: {_WANTED}; got a file. Give the folder that it is in.")
    check_no_experiment(folder, _WANTED)
    absent = [one for one in (MARK, *names) if not (folder / one).is_file()]
    if absent:
        named = MARK if MARK in absent else ", ".join(absent)
        raise FileMissingError(
            f"{folder}: {_WANTED}; got a folder without {named}. "
            "Give the folder that riskadj run wrote."
        )
    provenance = read_json(folder / MARK)
    check_format(folder / MARK, provenance)
    written = provenance.get("files")
    for name in names:
        if not isinstance(written, dict) or written.get(name) != digest_of_file(folder / name):
            raise FileFormatError(
                f"{folder / name}: wanted the file as its run wrote it ({MARK} has its digest); "
                "got another. Run the study again."
            )
    return provenance


def check_there(path: Path, wanted: str) -> None:
    """Refuse a path at which nothing is, with a hint at what has nearly that name.

    Raises
    ------
    FileMissingError
    """
    if path.exists():
        return
    near = [one.name for one in path.parent.iterdir()] if path.parent.is_dir() else []
    hint = did_you_mean(path.name, near) or " Check the path."
    raise FileMissingError(f"{path}: {wanted}; got nothing there.{hint}")


def check_no_experiment(folder: Path, wanted: str) -> None:
    """Refuse the folder of an experiment, or of a cell of one, and say how it becomes a run.

    Raises
    ------
    FileMissingError
    """
    for mark, what in _OF_EXPERIMENTS.items():
        if (folder / mark).is_file():
            raise FileMissingError(
                f"{folder}: {wanted}; got {what}. riskadj experiment EXPERIMENT_DIR --list prints "
                "the commands that make run folders of its cells."
            )


def check_own_place(out: Path, key: str, wanted: str, got: str) -> None:
    """Refuse to write in the place of anything else that this program wrote, or inside it.

    Parameters
    ----------
    out : Path
    key : str
        Of the provenance, by which a folder of the same kind is known.
    wanted, got : str
        For the message.

    Raises
    ------
    OutputError
    """
    for place in (out.resolve(), *out.resolve().parents):
        if (place / MARK).is_file() and key not in _content_of(place / MARK):
            raise OutputError(
                f"{out}: wanted a folder of its own for {wanted}; got {got}. Choose another --out."
            )


def _content_of(path: Path) -> dict[str, Any]:
    with suppress(FileFormatError, OSError):
        return read_json(path)
    return {}


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _finite(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(one) for one in value]
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    return value


def run_of_other_data(out: Path, provenance: Mapping[str, Any]) -> str:
    """Return what a folder holds of data other than those of a run that will replace it.

    Parameters
    ----------
    out : Path
        The place of the run; it need not be there.
    provenance : mapping
        Of the new run; of its `data` only the digests count, as files may be moved.

    Returns
    -------
    str
        When it was made, of what, and its seal; empty where there is no run, or one of these data.

    Examples
    --------
    >>> run_of_other_data(Path("not there"), {"data": []})
    ''
    """
    earlier = _content_of(out / MARK)
    if "data" not in earlier or _digests(earlier) == _digests(provenance):
        return ""
    names = ", ".join(one["name"] for one in earlier["data"])
    return f"{names}, made {earlier.get('created')}, seal {earlier.get('seal')}"


def _digests(provenance: Mapping[str, Any]) -> list[str]:
    return [one["digest"] for one in provenance["data"]]


def _check_replaceable(out: Path) -> None:
    if not out.exists():
        return
    if not out.is_dir():
        raise OutputError(f"{out}: wanted a folder to write to; got a file. Choose another --out.")
    strangers = sorted(set(files_in(out)) - {MARK, *_files_of_run(out)})
    if strangers:
        raise OutputError(
            f"{out}: wanted a new folder or an earlier run to replace; got a folder with other "
            f"things in it, such as {strangers[0]}. Choose another --out."
        )
    if Path.cwd().is_relative_to(out.resolve()):
        raise OutputError(
            f"{out}: wanted a folder to put in place when all is written; got the current one. "
            "Choose another --out."
        )


def files_in(folder: Path) -> dict[str, Path]:
    """Return every file below a folder, by its path from there."""
    found = (one for one in sorted(folder.rglob("*")) if not one.is_dir())
    return {one.relative_to(folder).as_posix(): one for one in found}


def _files_of_run(folder: Path) -> list[str]:
    try:
        return list(json.loads((folder / MARK).read_bytes())["files"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return []


def put_in_place(staging: Path, out: Path) -> None:
    """Put the new folder in the place of the old one, which is deleted last.

    By the name of an old one it is whole: what is being deleted has the name of the new one.
    """
    old = out.with_name(f".{out.name}.partial-old-{os.getpid()}")
    if out.exists():
        out.rename(old)
    try:
        staging.rename(out)
    except BaseException:
        if old.exists():
            old.rename(out)
        raise
    if old.exists():
        old.rename(staging)
        shutil.rmtree(staging, ignore_errors=True)


def _unwritable(out: Path, error: OSError) -> OutputError:
    reason = error.strerror or str(error)
    return OutputError(
        f"{out}: wanted to write the results; got {reason!r}. Nothing was kept. Free some space, "
        "or choose another --out."
    )
