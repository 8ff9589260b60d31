"""The database in which claim lines become episodes: DuckDB, on disk, alone with its files.

It spills to disk when memory runs out. It loads nothing from the network, and no text of a file
ever becomes part of a statement: values are parameters, and names of columns are quoted.
"""

import csv
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, TypeAlias

import pandas as pd

from riskadj.episodes.files import check_there
from riskadj.episodes.opened import check_amount, opened
from riskadj.errors import ColumnError, FileFormatError, StudyError, did_you_mean

if TYPE_CHECKING:
    import duckdb

# Rules are read with every study; the database is imported when there are claims.
Database: TypeAlias = "duckdb.DuckDBPyConnection"

_OFFLINE = {"autoinstall_known_extensions": False, "autoload_known_extensions": False}
_READERS = ".parquet, .csv, .csv.gz"
_PATTERN = frozenset("*?[")


@contextmanager
def open_database(
    memory_limit: str = "4GB", threads: int | None = None, folder: str | Path | None = None
) -> Iterator[Database]:
    """Open an empty database, and leave nothing behind.

    Parameters
    ----------
    memory_limit : str
        Beyond which it works on disk, such as "4GB".
    threads : int, optional
        All that there are.
    folder : str or Path, optional
        Where its files are while it is open; the system's place for such.

    Raises
    ------
    StudyError
        When the settings make no sense, or the work does not fit into the memory.
    """
    import duckdb

    with TemporaryDirectory(prefix="riskadj-claims-", dir=folder) as place:
        settings: dict[str, Any] = _OFFLINE | {
            "memory_limit": memory_limit,
            "temp_directory": str(Path(place) / "spill"),
            "preserve_insertion_order": False,
        }
        if threads is not None:
            settings["threads"] = threads
        try:
            database = duckdb.connect(str(Path(place) / "claims.duckdb"), config=settings)
        except duckdb.Error:
            raise StudyError(
                f"claims: wanted a memory_limit such as 4GB and 1 thread or more; got "
                f"{memory_limit!r} and {threads!r}."
            ) from None
        try:
            yield database
        except duckdb.OutOfMemoryException:
            raise StudyError(
                f"claims: wanted to work within memory_limit; {memory_limit} is too little. "
                "Raise it."
            ) from None
        finally:
            database.close()


@dataclass(frozen=True)
class FileColumns:
    """The columns of a file, as expressions of what we call them.

    Attributes
    ----------
    path : Path
    theirs : dict of str to str
        Our names, to those of the file.
    types : dict of str to str
        The file's names, to the database's types.
    """

    path: Path
    theirs: dict[str, str]
    types: dict[str, str]

    def need(self, names: Iterable[str]) -> None:
        """Raise unless the columns are there.

        Raises
        ------
        ColumnError
        """
        for name in names:
            if name not in self.theirs:
                raise ColumnError(
                    f"{self.path}: wanted the column {name!r}; there is none."
                    f"{did_you_mean(name, self.types, 0.75)} Rename it with claims.rename."
                )

    def text(self, name: str) -> str:
        """Return the expression of a column as text without spaces around it, null where empty."""
        if name not in self.theirs:
            return "CAST(NULL AS VARCHAR)"
        return f"nullif(trim(CAST({quoted(self.theirs[name])} AS VARCHAR)), '')"

    def date(self, name: str) -> str:
        """Return the expression of a column as a date, null where it is none."""
        return self._typed(name, "DATE", ("DATE",))

    def number(self, name: str) -> str:
        """Return the expression of a column as a number, null where it is none."""
        return self._typed(name, "DOUBLE", ("DOUBLE", "FLOAT", "BIGINT", "INTEGER", "DECIMAL"))

    def _typed(self, name: str, wanted: str, enough: tuple[str, ...]) -> str:
        theirs = self.theirs[name]
        # A column that is of the type already need not become text and back.
        is_typed = self.types[theirs].startswith(enough)
        return f"TRY_CAST({quoted(theirs) if is_typed else self.text(name)} AS {wanted})"


def view_file(database: Database, path: Path, view: str, rename: dict[str, str]) -> FileColumns:
    """Make a view of a file, and return its columns.

    Parameters
    ----------
    database : Database
    path : Path
    view : str
    rename : dict of str to str
        The file's names, to ours.

    Raises
    ------
    FileMissingError, FileFormatError
    ColumnError
        When a column is there twice once it is renamed.
    """
    check_there(path)
    name = path.name.lower()
    is_text = name.endswith((".csv", ".csv.gz"))
    if not is_text and not name.endswith(".parquet"):
        raise FileFormatError(f"{path}: wanted a file that ends in {_READERS}; got another ending.")
    if _PATTERN & set(str(path)):
        raise FileFormatError(
            f"{path}: wanted a path without {' '.join(sorted(_PATTERN))}, which stand for several "
            "files; got one. Rename it."
        )
    with reading(path):
        relation = _read_csv(database, path) if is_text else database.read_parquet(str(path))
        relation.create_view(view, replace=True)
    types = {name: str(of) for name, of in zip(relation.columns, relation.types, strict=True)}
    ours = [rename.get(one, one) for one in types]
    for name in ours:
        if ours.count(name) > 1:
            raise ColumnError(
                f"{path}: wanted each column once; got {name!r} twice. Correct claims.rename."
            )
    return FileColumns(path, dict(zip(ours, types, strict=True)), types)


def _read_csv(database: Database, path: Path) -> "duckdb.DuckDBPyRelation":
    """Read a CSV file whose first line is its header; nothing is a comment, all is text."""
    with opened(path, lines=True) as stream:
        text = TextIOWrapper(stream, encoding="utf-8-sig", newline="")
        header = next(csv.reader(text), [])
        check_amount(text.detach(), path)
    relation = database.read_csv(
        str(path), header=True, all_varchar=True, sep=",", quotechar='"', escapechar='"',
        comment="", skiprows=0,
    )  # fmt: skip
    # The database gives the second of two names another one, and may pass over a line.
    if list(relation.columns) != [one.strip() for one in header]:
        raise FileFormatError(
            f"{path}: wanted a first line that names each column once, without spaces around the "
            "names; got another. Correct it."
        )
    return relation


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Say of a file that it does not open; the database's own words may hold its rows.

    Raises
    ------
    FileFormatError
    """
    import duckdb

    try:
        yield
    except duckdb.OutOfMemoryException:
        raise
    except (duckdb.Error, OSError, UnicodeDecodeError, csv.Error, EOFError):
        raise FileFormatError(
            f"{path}: wanted a table that opens, in UTF-8, with as many cells in a row as in the "
            "header; got one that does not. Write it again."
        ) from None


def quoted(name: str) -> str:
    """Return the name of a column as a statement takes it.

    Examples
    --------
    >>> quoted('a"b')
    '"a""b"'
    """
    return '"' + name.replace('"', '""') + '"'


def fill_table(database: Database, name: str, columns: str, rows: list[tuple[Any, ...]]) -> None:
    """Make a table of constants."""
    database.execute(f"CREATE TABLE {name} ({columns})")
    if rows:
        database.register("constants", pd.DataFrame(rows))
        database.execute(f"INSERT INTO {name} SELECT * FROM constants")
        database.unregister("constants")


def frame_of(database: Database, statement: str, **values: Any) -> pd.DataFrame:
    """Return the rows of a statement as a table."""
    return database.execute(statement, values or None).df()
