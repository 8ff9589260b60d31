"""The run folder: all of it or nothing, and the same bytes for the same inputs."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pandas as pd

from riskadj.errors import OutputError

MARK = "provenance.json"
"""Names every file of a run, so that a run can be told from anything else in its folder."""


@contextmanager
def run_folder(out: Path) -> Iterator[Path]:
    """Yield a folder to write into, which becomes `out` at the end or vanishes on any error.

    Raises
    ------
    OutputError
        When `out` holds something else than a run, cannot be written, or the disk is full.
    """
    _check_replaceable(out)
    target = out.resolve()  # a link to an earlier run stays one
    staging = target.with_name(f"{target.name}.partial-{os.getpid()}")
    above = [one for one in staging.parents if not one.exists()]
    try:
        staging.mkdir(parents=True)
        yield staging
        _swap(staging, target)
    except OSError as error:
        raise _unwritable(out, error) from None
    finally:
        shutil.rmtree(staging, ignore_errors=True)
        for one in above:
            with suppress(OSError):  # it holds the results
                one.rmdir()


def write_csv(table: pd.DataFrame, path: Path) -> None:
    """Write a table as CSV, numbers to twelve significant digits."""
    table.to_csv(path, index=False, float_format="%.12g", lineterminator="\n")


def write_parquet(table: pd.DataFrame, path: Path) -> None:
    """Write a table as Parquet."""
    table.to_parquet(path, index=False, compression="zstd")


def write_json(content: Any, path: Path) -> None:
    """Write JSON with sorted keys; NaN and infinities as null."""
    text = json.dumps(_finite(content), indent=2, sort_keys=True, ensure_ascii=False)
    path.write_text(f"{text}\n", encoding="utf-8")


def write_text(text: str, path: Path) -> None:
    """Write text in UTF-8."""
    path.write_text(text, encoding="utf-8")


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _finite(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(one) for one in value]
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    return value


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
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _swap(staging: Path, out: Path) -> None:
    """Put the new folder in the place of the old one, which is deleted last."""
    old = out.with_name(f"{out.name}.partial-old-{os.getpid()}")
    if out.exists():
        out.rename(old)
    try:
        staging.rename(out)
    except BaseException:
        if old.exists():
            old.rename(out)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _unwritable(out: Path, error: OSError) -> OutputError:
    reason = error.strerror or str(error)
    return OutputError(
        f"{out}: wanted to write the results; got {reason!r}. Nothing was kept. Free some space, "
        "or choose another --out."
    )
