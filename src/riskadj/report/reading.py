"""Folders whose digests fit, and whose files are still not what a run writes."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
from jinja2 import UndefinedError

from riskadj.errors import FileFormatError, RiskadjError
from riskadj.stats.provider_sums import LARGEST

_NOT_AS_WRITTEN = (
    LookupError, ValueError, TypeError, AttributeError, ArithmeticError, NotImplementedError,
    RecursionError, UndefinedError,
)  # fmt: skip
"""What comes of looking for something where a changed file has something else, or nothing."""


@contextmanager
def as_a_run_writes_it(folder: str | Path) -> Iterator[None]:
    """Say of a folder, while it is read, that what is in it is not what is written into one.

    Whoever may write into a folder can make its digests fit. Nothing but reading goes under this,
    so that a fault of ours elsewhere is not taken for one of the folder.

    Raises
    ------
    FileFormatError

    Examples
    --------
    >>> with as_a_run_writes_it("runs/demo"):
    ...     {}["outcomes"]
    Traceback (most recent call last):
    riskadj.errors.FileFormatError: runs/demo: wanted files as a run writes them; got others, ...
    """
    try:
        yield
    except RiskadjError:
        raise
    except _NOT_AS_WRITTEN as error:
        problem = (f"{type(error).__name__}: {error}".splitlines() or [""])[0][:120]
        raise FileFormatError(
            f"{folder}: wanted files as a run writes them; got others, whose digests were made to "
            f"fit ({problem.rstrip('.')}). Get the folder again, or run the study again."
        ) from error


def check_table(
    table: pd.DataFrame, path: Path, columns: Iterable[str], numbers: Iterable[str] = ()
) -> None:
    """Refuse a table of a run without columns that are always there, or with no numbers in some.

    Numbers of a run are those that its sums could be made of, so within `LARGEST` of 0.

    Raises
    ------
    FileFormatError

    Examples
    --------
    >>> check_table(pd.DataFrame({"n": ["few"]}), Path("providers.csv"), ["n"], ["n"])
    Traceback (most recent call last):
    riskadj.errors.FileFormatError: providers.csv: wanted numbers in 'n'; got text. Run ...
    """
    for name in columns:
        if name not in table:
            raise FileFormatError(
                f"{path}: wanted the column {name!r}, as a run writes it; there is none. Run the "
                "study again."
            )
    for name in numbers:
        if name not in table:
            continue
        if not pd.api.types.is_numeric_dtype(table[name]):
            raise FileFormatError(
                f"{path}: wanted numbers in {name!r}; got text. Run the study again."
            )
        if table[name].abs().max() > LARGEST:
            raise FileFormatError(
                f"{path}: wanted numbers within {LARGEST:g} of 0 in {name!r}; got others. Run the "
                "study again."
            )
