"""What was worked out is kept: each cell in a folder named by its digest, whole or not at all."""

import errno
import fcntl
import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from riskadj.digest import digest_of_file
from riskadj.errors import OutputError, RiskadjError
from riskadj.experiment.cells import Worked
from riskadj.journal import LONGEST_WAIT
from riskadj.report.folder import (
    flushed,
    read_csv,
    read_json,
    write_csv,
    write_json,
    write_parquet,
)

RECORD, EPISODES, PROVIDERS = "cell.json", "episodes.parquet", "providers.csv"
_LEFT = re.compile(r"[0-9a-f]{64}\.partial-\d+")
_PAUSE = 0.05


@dataclass(frozen=True)
class Kept:
    """A cell that is kept, as `Worked` says; tables are read when they are asked for."""

    folder: Path
    record: dict[str, Any]

    @property
    def episodes(self) -> pd.DataFrame:
        """Observed and expected by outcome, learner and episode."""
        return pd.read_parquet(self.folder / EPISODES)

    @property
    def providers(self) -> pd.DataFrame:
        """Adjusted figures and flags by outcome, learner and provider."""
        texts = {"provider_id": str, "flag": str}
        return read_csv(self.folder / PROVIDERS, dtype=texts)


class Store:
    """The cells of an experiment on this computer.

    Parameters
    ----------
    work : Path
        The work folder. Episodes are kept in it: it is no part of the experiment's own folder.
    """

    def __init__(self, work: Path) -> None:
        self.cells = work / "cells"

    def find(self, digest: str) -> Kept | None:
        """Return a cell, if it is there and as it was written."""
        folder = self.cells / digest
        with suppress(OSError, RiskadjError, KeyError):
            record = read_json(folder / RECORD)
            if all(digest_of_file(folder / one) == is_ for one, is_ in record["files"].items()):
                return Kept(folder, record)
        return None

    def put(self, digest: str, worked: Worked) -> Kept:
        """Keep a cell; one that is there and says something else is replaced.

        Experiments that keep cells in the same folder take turns. What processes that were ended
        left there, rows of patients among it, is taken away.

        Raises
        ------
        OutputError
        """
        target = self.cells / digest
        staging = target.with_name(f"{digest}.partial-{os.getpid()}")
        try:
            self.cells.mkdir(parents=True, exist_ok=True)
            with _in_turn(self.cells) as is_alone:
                if is_alone:
                    self._sweep()
                try:
                    return self._put(digest, worked, staging)
                finally:
                    shutil.rmtree(staging, ignore_errors=True)
        except OSError as error:
            raise unwritable(target, error) from None

    def _put(self, digest: str, worked: Worked, staging: Path) -> Kept:
        target = self.cells / digest
        staging.mkdir(exist_ok=True)
        write_parquet(worked.episodes, staging / EPISODES)
        write_csv(worked.providers, staging / PROVIDERS)
        files = {one: digest_of_file(staging / one) for one in (EPISODES, PROVIDERS)}
        write_json({**worked.record, "digest": digest, "files": files}, staging / RECORD)
        there, record = self.find(digest), read_json(staging / RECORD)
        if there and there.record == record:  # others may be reading it
            return there
        flushed(staging)
        shutil.rmtree(target, ignore_errors=True)
        try:
            staging.rename(target)
        except OSError as error:  # without locks, somebody else was as fast
            there = self.find(digest)
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST) or there is None:
                raise
            return there
        return Kept(target, record)

    def _sweep(self) -> None:
        """Take away what ended processes left: one that is still at work would hold the lock."""
        for one in self.cells.iterdir():
            if _LEFT.fullmatch(one.name):
                shutil.rmtree(one, ignore_errors=True)


@contextmanager
def _in_turn(folder: Path) -> Iterator[bool]:
    """Hold the lock of a folder; False where a file system knows none."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        yield _locked(handle)
    finally:
        os.close(handle)


def _locked(handle: int) -> bool:
    until = time.monotonic() + LONGEST_WAIT
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                raise OSError(None, "another process that does not let go of it") from None
            time.sleep(_PAUSE)
        except OSError:
            return False
        else:
            return True


def write_together(folder: Path, texts: Mapping[str, str]) -> None:
    """Write files that belong together: all are on disk before any takes its name's place.

    Raises
    ------
    OutputError
    """
    staged = {name: folder / f"{name}.partial-{os.getpid()}" for name in texts}
    try:
        for name, path in staged.items():
            with path.open("w", encoding="utf-8") as file:
                file.write(texts[name])
                file.flush()
                os.fsync(file.fileno())
        for name, path in staged.items():
            path.replace(folder / name)
    except OSError as error:
        raise unwritable(folder, error) from None
    finally:
        for path in staged.values():
            path.unlink(missing_ok=True)


def unwritable(place: Path, error: OSError) -> OutputError:
    """Return what to say when a place cannot be written to."""
    return OutputError(
        f"{place}: wanted to write results; got {error.strerror or error}. Free some space, or "
        "choose another place with --work or --out."
    )
