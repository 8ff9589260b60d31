"""What a stage made is kept until the run is whole, so that a run that was ended can be taken up.

Beside a run folder `<name>` is `<name>.stages/<of>/<key>/`: a folder for each stage that has
finished, `of` being the digest of study, data, code and software, `key` that of the stage and of
what it was made from. A stage is written under another name, sealed with the digest of every file,
and renamed: it is there whole or not at all. When the run folder is in place, all are removed.

It holds rows of patients, as `expectations.parquet` does, and stays where it was made, for its
owner alone to read. It has no secret, so a folder that others may write to is not taken up.
"""

import os
import re
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from riskadj.digest import digest_of_file, digest_of_json
from riskadj.episodes import Episodes
from riskadj.report.folder import files_in, flushed, read_json, write_json
from riskadj.report.provenance import digest_of_code, digest_of_study, software
from riskadj.stages.written import read_record, write_record
from riskadj.study import Study

FORMAT = 1
SEAL = "seal.json"
_OURS = re.compile(r"[0-9a-f]{64}")
_OWNER_ONLY = 0o700
NOTHING: Any = object()
"""What `find` returns where nothing is kept; a stage may have made None."""


def of_run(study: Study, episodes: Episodes) -> str:
    """Return the digest of all that what a stage makes can depend on, but the stages before it."""
    engine = study.model_dump(mode="json", include={"engine"})
    made_from = [digest_of_study(study), episodes.digest, digest_of_code(), software(), engine]
    return digest_of_json([FORMAT, *made_from])


class KeptStages:
    """What the stages of a run made, on disk.

    Parameters
    ----------
    folder : Path
        The run folder; stages are kept beside it. Who uses them holds its lock.
    of : str
        As from `of_run`. What is there of other studies, data, code or engines stays until a run
        is in place.
    fresh : bool
        Whether to remove all that is there.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as runs:
    ...     stages = KeptStages(Path(runs, "hips"), "0" * 64)
    ...     stages.keep([1.5], "ohs: expect", "digest of the cohort")
    ...     stages.find("ohs: expect", "digest of the cohort")
    True
    [1.5]
    """

    def __init__(self, folder: Path, of: str, fresh: bool = False) -> None:
        target = folder.resolve()
        self.folder = target.with_name(f"{target.name}.stages")
        self.place = self.folder / of
        if fresh:
            self.remove()

    def find(self, stage: str, *made_from: str, at_hand: Mapping[str, Any] | None = None) -> Any:
        """Return what a stage made from what has these digests; `NOTHING` where it is not whole.

        Parameters
        ----------
        stage : str
            With the name of the outcome.
        *made_from : str
            Digests.
        at_hand : mapping, optional
            As in `read_record`.
        """
        place = self._place_of(stage, made_from)
        try:
            if self._is_owned() and is_whole(place):
                return read_record(place, at_hand)
        except Exception:  # whatever is wrong with it, it is worked out again
            pass
        return NOTHING

    def keep(
        self, value: Any, stage: str, *made_from: str, at_hand: Mapping[str, Any] | None = None
    ) -> bool:
        """Keep what a stage made, and return whether that could be done."""
        place = self._place_of(stage, made_from)
        staging = place.with_name(f"{place.name}.partial")
        try:
            _emptied(staging)
            write_record(value, staging, at_hand)
            write_json(_digests(staging), staging / SEAL)
            flushed(staging)
            if not self._leaves_room():
                return False
            shutil.rmtree(place, ignore_errors=True)
            staging.rename(place)
        except Exception:  # no form to write it in, or no room: a run goes on without
            return False
        finally:
            shutil.rmtree(staging, ignore_errors=True)
        return True

    def remove(self, every: bool = True) -> None:
        """Remove what is kept, of every study or of this; what else somebody put there stays."""
        found = self.folder.iterdir() if self.folder.is_dir() else ()
        for one in found:
            if _OURS.fullmatch(one.name) if every else one == self.place:
                shutil.rmtree(one, ignore_errors=True)
        with suppress(OSError):  # it is not there, or not empty
            self.folder.rmdir()

    def __bool__(self) -> bool:
        """Whether anything is kept."""
        return any(_OURS.fullmatch(one.name) for one in self.place.glob("*"))

    def _place_of(self, stage: str, made_from: tuple[str, ...]) -> Path:
        return self.place / digest_of_json([stage, *made_from])

    def _is_owned(self) -> bool:
        """Whether nobody but its owner, who runs this, can have written there."""
        found = self.folder.stat()
        return found.st_uid == os.getuid() and not found.st_mode & 0o022

    def _leaves_room(self) -> bool:
        """Whether as much again is free: the results have to be written, too."""
        held = sum(one.stat().st_size for one in files_in(self.place).values())
        return shutil.disk_usage(self.place).free > held


def is_whole(place: Path) -> bool:
    """Whether what is kept is what was written, every file and no other.

    Raises
    ------
    OSError, FileFormatError
        When there is nothing, or its seal cannot be read.
    """
    return read_json(place / SEAL) == _digests(place)


def _digests(place: Path) -> dict[str, str]:
    files = files_in(place).items()
    return {name: digest_of_file(path) for name, path in files if name != SEAL}


def _emptied(staging: Path) -> None:
    shutil.rmtree(staging, ignore_errors=True)
    for one in (staging.parent.parent, staging.parent):
        one.mkdir(mode=_OWNER_ONLY, parents=True, exist_ok=True)
    staging.mkdir(mode=_OWNER_ONLY)
