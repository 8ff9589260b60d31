"""Worlds as files: the episodes, and beside them what is true of the providers."""

import gzip
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import pandas as pd

from riskadj.errors import OutputError, StudyError
from riskadj.simulate.world import World

Writer = Callable[[pd.DataFrame, Path], None]


def _write_parquet(table: pd.DataFrame, path: Path) -> None:
    table.to_parquet(path, index=False)


def _write_csv(table: pd.DataFrame, path: Path) -> None:
    path.write_bytes(_to_csv(table))


def _write_gzip(table: pd.DataFrame, path: Path) -> None:
    path.write_bytes(gzip.compress(_to_csv(table), compresslevel=6, mtime=0))


def _to_csv(table: pd.DataFrame) -> bytes:
    text: str = table.to_csv(index=False, date_format="%Y-%m-%d", lineterminator="\n")
    return text.encode()


_WRITERS: dict[str, Writer] = {
    ".parquet": _write_parquet,
    ".csv.gz": _write_gzip,
    ".csv": _write_csv,
}


def write_world(world: World, out: str | Path) -> tuple[Path, Path]:
    """Write the episodes, and the truth of the providers as `<stem>.truth.csv` beside them.

    Parameters
    ----------
    world : World
        What `simulate` returned.
    out : str or Path
        Ends in .parquet, .csv or .csv.gz. Its folder is made when there is none; files of these
        names are replaced.

    Returns
    -------
    tuple of Path
        The episodes and the truth.

    Raises
    ------
    StudyError
        When the name ends otherwise.
    OutputError
        When it cannot be written; then neither file is left half done.
    """
    out = Path(out)
    suffix = _suffix_of(out)
    truth = out.with_name(f"{out.name[: -len(suffix)]}.truth.csv")
    tables = {truth: (world.truth, _write_csv), out: (world.episodes, _WRITERS[suffix])}
    try:
        _check_targets(tables)
        _replace_all(tables)
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(f"{out}: wanted to write a world; could not: {reason}.") from None
    return out, truth


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


def _replace_all(tables: Mapping[Path, tuple[pd.DataFrame, Writer]]) -> None:
    """Write every table beside its target, and only then move them into place."""
    finished: dict[Path, Path] = {}
    try:
        for path, (table, write) in tables.items():
            finished[path] = path.with_name(f".{path.name}.partial-{os.getpid()}")
            write(table, finished[path])
        for path, temporary in finished.items():
            temporary.replace(path)
    finally:
        for temporary in finished.values():
            temporary.unlink(missing_ok=True)
