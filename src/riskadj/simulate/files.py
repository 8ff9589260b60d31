"""Worlds as files: the episodes, or a folder of claims, and beside them what is true of them."""

import gzip
import os
from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path

import pandas as pd

from riskadj.errors import OutputError, StudyError
from riskadj.simulate.claim_study import (
    CLAIMS_FILE,
    PATIENTS_FILE,
    PROMS_FILE,
    claims_study,
    write_study,
)
from riskadj.simulate.programmes import programme_tables
from riskadj.simulate.world import World

Writer = Callable[[pd.DataFrame, Path], None]
Job = Callable[[Path], None]

EPISODES_FILE = "episodes.parquet"
_NOT_OF_PROMS = (
    "episode_id", "provider_id", "period", "procedure_group", "discharge_date", "age_*", "sex",
    "drg", "length_of_stay", "prior_cost", "readmitted*", "cost_*",
)  # fmt: skip
"""What claims and the file of patients tell."""


def _write_parquet(table: pd.DataFrame, path: Path) -> None:
    table.to_parquet(path, index=False)


def _write_csv(table: pd.DataFrame, path: Path) -> None:
    path.write_bytes(_to_csv(table))


def _write_gzip(table: pd.DataFrame, path: Path) -> None:
    path.write_bytes(gzip.compress(_to_csv(table), compresslevel=6, mtime=0))


def _write_text(text: str, path: Path) -> None:
    path.write_text(text, encoding="utf-8")


def _to_csv(table: pd.DataFrame) -> bytes:
    text: str = table.to_csv(index=False, date_format="%Y-%m-%d", lineterminator="\n")
    return text.encode()


_WRITERS: dict[str, Writer] = {
    ".parquet": _write_parquet,
    ".csv.gz": _write_gzip,
    ".csv": _write_csv,
}


def write_world(world: World, out: str | Path) -> tuple[Path, ...]:
    """Write a world as a file of episodes, or one with claims as a folder.

    Parameters
    ----------
    world : World
        What `simulate` returned.
    out : str or Path
        Ends in .parquet, .csv or .csv.gz: the episodes, and `<stem>.truth.csv` beside them.
        Any other name, of a world with claims or of a payment programme, is a folder:
        episodes.parquet, or with claims claims.parquet, patients.parquet, proms.parquet and
        study.yaml; what the programme publishes (`programme_tables`); and what is true of
        providers and episodes in truth.parquet and truth_episodes.parquet. Folders are made when
        there are none; files of these names are replaced.

    Returns
    -------
    tuple of Path
        What was written: the episodes and the truth, or the files of the folder.

    Raises
    ------
    StudyError
        When the name ends otherwise and the world has neither.
    OutputError
        When it cannot be written; then no file is left half done.
    """
    out = Path(out)
    jobs = _folder_jobs(world, out) if _is_folder(world, out) else _file_jobs(world, out)
    try:
        _check_targets(jobs)
        _replace_all(jobs)
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(f"{out}: wanted to write a world; could not: {reason}.") from None
    return tuple(jobs)


def _is_folder(world: World, out: Path) -> bool:
    named = any(out.name.endswith(suffix) for suffix in _WRITERS)
    return not named and (world.claims is not None or world.scenario.programme is not None)


def _file_jobs(world: World, out: Path) -> dict[Path, Job]:
    suffix = _suffix_of(out)
    truth = out.with_name(f"{out.name[: -len(suffix)]}.truth.csv")
    return {
        out: partial(_WRITERS[suffix], world.episodes),
        truth: partial(_write_csv, world.truth),
    }


def _folder_jobs(world: World, out: Path) -> dict[Path, Job]:
    seen = _seen_as_claims(world) if world.claims else {EPISODES_FILE: world.episodes}
    tables = seen | {"truth.parquet": world.truth, "truth_episodes.parquet": world.truth_episodes}
    jobs: dict[Path, Job] = {
        out / name: partial(_write_parquet, table) for name, table in tables.items()
    }
    for name, table in programme_tables(world).items():
        jobs[out / name] = partial(_write_csv, table)
    if world.claims and world.scenario.claims:
        study = write_study(claims_study(world.scenario, world.scenario.claims, world.claims))
        jobs[out / "study.yaml"] = partial(_write_text, study)
    return jobs


def _seen_as_claims(world: World) -> dict[str, pd.DataFrame]:
    claims = world.claims
    if claims is None:
        raise StudyError("wanted a world with claims; got one without.")
    return {
        CLAIMS_FILE: claims.lines,
        PATIENTS_FILE: claims.patients,
        PROMS_FILE: _only_proms(world.episodes),
    }


def _only_proms(episodes: pd.DataFrame) -> pd.DataFrame:
    elsewhere = [name for name in episodes if any(fnmatchcase(name, one) for one in _NOT_OF_PROMS)]
    return episodes.drop(columns=elsewhere)


def _suffix_of(out: Path) -> str:
    for suffix in _WRITERS:
        if out.name.endswith(suffix) and out.name != suffix:
            return suffix
    raise StudyError(
        f"{out}: wanted a file name that ends in {', '.join(_WRITERS)}; got {out.name!r}. "
        "Name it so."
    )


def _check_targets(paths: Iterable[Path]) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            raise IsADirectoryError(21, f"{path} is a folder")


def _replace_all(jobs: Mapping[Path, Job]) -> None:
    """Write every file beside its target, and only then move them into place."""
    finished: dict[Path, Path] = {}
    try:
        for path, write in jobs.items():
            finished[path] = path.with_name(f".{path.name}.partial-{os.getpid()}")
            write(finished[path])
        for path, temporary in finished.items():
            temporary.replace(path)
    finally:
        for temporary in finished.values():
            temporary.unlink(missing_ok=True)
