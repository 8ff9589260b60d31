"""Reading episodes: from files in any accepted form to one checked, canonical table."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from riskadj.digest import digest_of_file, digest_of_json
from riskadj.engine import Local, in_use
from riskadj.episodes.columns import Column, declared_columns
from riskadj.episodes.fhir import read_fhir
from riskadj.episodes.fhir_mapping import FhirMapping
from riskadj.episodes.files import Source, check_there, read_text_table
from riskadj.episodes.mapped import gathered
from riskadj.episodes.mapping import LEFT_OUT, check_mapped_columns, read_mapping
from riskadj.episodes.nhs import read_nhs_file
from riskadj.episodes.participation import Participation
from riskadj.episodes.pieces import Piece, Pieces, holds_rows, one_piece, parquet_pieces
from riskadj.episodes.redcap import read_redcap
from riskadj.episodes.redcap_mapping import RedcapMapping
from riskadj.episodes.scores import add_scores
from riskadj.episodes.shown import shown_cell
from riskadj.episodes.sparcs import read_sparcs_file
from riskadj.episodes.validation import (
    Fault,
    ValuesFault,
    find_repeats,
    merged,
    row_faults,
    to_declared,
)
from riskadj.errors import ColumnError, FileFormatError, StudyError, did_you_mean
from riskadj.instruments import ValueSet


@dataclass(frozen=True)
class Episodes:
    """Episodes as read, one row each, in the order of their files.

    Attributes
    ----------
    table : DataFrame of shape (n_episodes, n_columns)
        Canonical columns, typed, within their declared ranges.
    columns : dict of str to Column
        Declarations of the table's columns.
    sources : tuple of Source
    digest : str
        Of the sources.
    left_out : dict of str to int
        What the files hold and the table does not, by reason.
    participation : Participation or None
        Counts of follow-up from files of their own, where the study names some.
    """

    table: pd.DataFrame
    columns: dict[str, Column]
    sources: tuple[Source, ...]
    digest: str
    left_out: dict[str, int] = field(default_factory=dict)
    participation: Participation | None = None


_FORMATS: dict[str, Callable[[Path], Pieces]] = {
    "nhs_proms": lambda path: one_piece(read_nhs_file(path)),
    "sparcs": lambda path: one_piece(read_sparcs_file(path)),
    "csv": lambda path: one_piece(read_text_table(path)),
    "parquet": parquet_pieces,
}
MAPPED_FORMATS: dict[str, tuple[type, Callable[..., pd.DataFrame]]] = {
    "redcap": (RedcapMapping, read_redcap),
    "fhir": (FhirMapping, read_fhir),
}
"""Formats that need a mapping file: its record, and the reader that takes it."""
ALWAYS_NEEDED = ("provider_id", "period", "procedure_group")


def read_episodes(
    paths: Iterable[str | Path],
    format: str,
    *,
    columns: Iterable[Column] = (),
    rename: dict[str, str] | None = None,
    period_from: str = "period",
    mapping: str | Path | None = None,
    value_sets: Mapping[str, ValueSet] | None = None,
) -> Episodes:
    """Read files of episodes into one checked table.

    Parameters
    ----------
    paths : iterable of str or Path
        Of `parquet` folders as well: the files in each, in the order of their names.
    format : {"nhs_proms", "sparcs", "csv", "parquet", "redcap", "fhir"}
    columns : iterable of Column
        Declarations of columns beyond the canonical ones; undeclared columns are not read.
    rename : dict of str to str, optional
        From the files' column names to ours.
    period_from : {"period", "calendar_year", "financial_year_april"}
        Where the reporting period comes from.
    mapping : str or Path, optional
        The mapping file that `redcap` and `fhir` need.
    value_sets : mapping of str to ValueSet, optional
        By the id of an instrument without one of its own, such as EQ5D5L.

    Raises
    ------
    FileMissingError, FileFormatError, ColumnError
    StudyError
        When the declarations clash with each other or with the canonical ones.
    ValuesFault
        With every rule that some rows break.
    """
    declared = declared_columns(columns)
    files = [one for path in paths for one in _parts_of(Path(path), format)]
    for path in files:
        check_there(path)
    read, mapping_source = _reader(format, mapping, declared)
    pieces = [read(path) for path in files]
    _check_rename(rename or {}, pieces, files)
    beside = (*mapping_source, *_as_sources(value_sets))
    checks = _Checks(declared, rename or {}, period_from, value_sets)
    episodes = join_episodes(
        checks.episodes(path, one, beside) for path, one in zip(files, pieces, strict=True)
    )
    for fault in repeated(episodes):
        raise fault
    return episodes


def _parts_of(path: Path, format: str) -> list[Path]:
    """Return the files of a folder that holds one table, as Spark and Dask write it, by name.

    Partitions that hold nobody are written as files without rows.
    """
    if format != "parquet" or not path.is_dir():
        return [path]
    parts = sorted(one for one in path.glob("*.parquet") if one.name[0] not in "._")
    if not parts:
        raise FileFormatError(
            f"{path}: wanted a Parquet file, or a folder with some; got a folder without. Name the "
            "files, or write the table without folders in folders."
        )
    return [one for one in parts if holds_rows(one)] or parts


def join_episodes(parts: Iterable[Episodes]) -> Episodes:
    """Put the episodes of several files under each other, in their order."""
    columns: dict[str, Column] = {}
    sources: list[Source] = []
    left_out: Counter[str] = Counter()

    def tables() -> Iterator[pd.DataFrame]:
        for one in parts:
            columns.update(one.columns)
            sources.extend(one.sources)
            left_out.update(one.left_out)
            yield one.table

    table = gathered(tables())
    files = [one for one in sources if one.rows]
    beside = dict.fromkeys(one for one in sources if not one.rows)
    sources = [*files, *beside]
    digest = digest_of_json([one.digest for one in sources])
    return Episodes(
        table, {name: columns[name] for name in table.columns}, tuple(sources), digest,
        dict(left_out),
    )  # fmt: skip


def _reader(
    format: str, mapping: str | Path | None, declared: dict[str, Column]
) -> tuple[Callable[[Path], Pieces], tuple[Source, ...]]:
    """Return what reads a file, and the mapping as a source that the digest depends on."""
    if format not in MAPPED_FORMATS:
        return _FORMATS[format], ()
    if mapping is None:
        raise StudyError(f"data.mapping: wanted a mapping file for {format}; got none. Add it.")
    kind, read = MAPPED_FORMATS[format]
    loaded = read_mapping(mapping, kind)
    check_mapped_columns(loaded, declared, str(mapping))
    source = Source(Path(mapping).name, digest_of_file(Path(mapping)), 0)
    return lambda path: one_piece(read(path, mapping=loaded)), (source,)


def _as_sources(value_sets: Mapping[str, ValueSet] | None) -> tuple[Source, ...]:
    """Return the value sets as sources, so that the digest depends on them."""
    return tuple(Source(one.id, one.digest, 0) for one in (value_sets or {}).values())


def repeated(episodes: Episodes) -> Iterator[ValuesFault]:
    """Yield the fault of episodes that are in more than one file, if there are any."""
    if len(episodes.sources) > 1 and (faults := find_repeats(episodes.table, episodes.columns)):
        yield ValuesFault(" and ".join(one.name for one in episodes.sources if one.rows), faults)


def _check_rename(rename: dict[str, str], pieces: list[Pieces], files: list[Path]) -> None:
    names = {name for one in pieces for name in one.names}
    for name in rename:
        if name not in names:
            raise ColumnError(
                f"data.rename: wanted columns of {' or '.join(one.name for one in files)}; got "
                f"{name!r}, which none has.{did_you_mean(name, names)}"
            )


@dataclass(frozen=True)
class _Checks:
    """What every file is held against."""

    declared: dict[str, Column]
    rename: dict[str, str]
    period_from: str
    value_sets: Mapping[str, ValueSet] | None

    def episodes(self, path: Path, pieces: Pieces, beside: tuple[Source, ...]) -> Episodes:
        """Return the episodes of a file, or every fault of all its pieces at once."""
        digest = digest_of_file(path)
        faults: list[Fault] = []
        left_out: Counter[str] = Counter()
        engine = in_use().engine if len(pieces.parts) > 1 else Local()

        def parts() -> Iterator[pd.DataFrame]:
            for part, found, gone in engine.through(_checked, pieces.parts, self, path, digest):
                faults.extend(found)
                left_out.update(gone)
                yield part

        table = gathered(parts())
        faults = [*merged(faults), *find_repeats(table, self.declared)]
        if faults:
            raise ValuesFault(str(path), faults)
        columns = {name: self.declared[name] for name in table}
        return Episodes(
            table, columns, (Source(path.name, digest, len(table)), *beside), digest, dict(left_out)
        )

    def piece(
        self, raw: pd.DataFrame, path: Path, digest: str, before: int
    ) -> tuple[pd.DataFrame, list[Fault]]:
        """Return some rows of a file as declared, and what is wrong with them."""
        raw = raw.rename(columns=self.rename)
        _check_names(raw, path)
        table, faults = to_declared(raw, self.declared)
        if "episode_id" not in table.columns:
            rows = range(before + 1, before + len(table) + 1)
            table["episode_id"] = [f"{digest[:8]}-{row:06d}" for row in rows]
        table = _with_period(table, self.period_from, path)
        _check_needed(table, raw, path)
        table, score_faults = add_scores(table, self.value_sets)
        faults += row_faults(table, self.declared) + score_faults
        return table[[name for name in self.declared if name in table.columns]], faults


def _checked(
    piece: Piece, checks: _Checks, path: Path, digest: str
) -> tuple[pd.DataFrame, list[Fault], dict[str, int]]:
    """Read and check a piece: its rows, its faults with their rows in the file, who is left out."""
    raw = piece.read()
    table, faults = checks.piece(raw, path, digest, piece.before)
    found = [one.below(piece.before) for one in _once_each(faults)]
    return table, found, raw.attrs.get(LEFT_OUT, {})


def _with_period(table: pd.DataFrame, period_from: str, path: Path) -> pd.DataFrame:
    if period_from == "period":
        return table
    if "index_date" not in table.columns:
        raise ColumnError(
            f"{path}: wanted the column 'index_date' to take the period from; there is none. "
            "Add it, or set data.period_from to period."
        )
    dates = table["index_date"]
    if period_from == "calendar_year":
        return table.assign(period=dates.dt.year.map("{:.0f}".format, na_action="ignore"))
    start = (dates - pd.DateOffset(months=3)).dt.year
    return table.assign(
        period=start.map(lambda year: f"{year:.0f}/{(year + 1) % 100:02.0f}", na_action="ignore")
    )


def _check_names(raw: pd.DataFrame, path: Path) -> None:
    if not raw.columns.is_unique:
        twice = raw.columns[raw.columns.duplicated()][0]
        raise ColumnError(
            f"{path}: wanted each column once; got {shown_cell(twice)!r} twice. Rename another "
            "one with data.rename."
        )


def _check_needed(table: pd.DataFrame, raw: pd.DataFrame, path: Path) -> None:
    for name in ALWAYS_NEEDED:
        if name not in table.columns:
            raise ColumnError(
                f"{path}: wanted the column {name!r}; there is none."
                f"{did_you_mean(name, raw.columns, 0.75)} Rename it with data.rename."
            )


def _once_each(faults: list[Fault]) -> list[Fault]:
    return list({(one.column, one.rule): one for one in faults}.values())
