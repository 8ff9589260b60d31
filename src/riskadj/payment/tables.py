"""The tables of a run that a settlement rests on, and how their cells are read."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from riskadj.errors import ValuesError
from riskadj.record import LARGEST

Floats = NDArray[np.float64]


class Source(NamedTuple):
    """The run that tables were read from, as it was then.

    Attributes
    ----------
    folder : Path
    seal : str
        Of its provenance.
    """

    folder: Path
    seal: str


@dataclass(frozen=True)
class Tables:
    """The tables of a run that a settlement rests on, as its folder holds them.

    Attributes
    ----------
    providers : DataFrame
        The rows of `providers.csv`, after disclosure control.
    rates, reference, analyses : DataFrame or None
        The rows of the files of these names.
    given : DataFrame or None
        The provider table that the contract names: `provider_id` and further values.
    study : mapping or None
        What `study.json` holds.
    digest : str
        Of the run.
    source : Source or None
        The run folder; None where they are of none.
    """

    providers: pd.DataFrame
    rates: pd.DataFrame | None = None
    reference: pd.DataFrame | None = None
    analyses: pd.DataFrame | None = None
    given: pd.DataFrame | None = None
    study: Mapping[str, Any] | None = None
    digest: str = ""
    source: Source | None = None


def rows_of(providers: pd.DataFrame, outcome: str, learner: str) -> pd.DataFrame:
    """Return the rows of an outcome by a learner, by provider; each once."""
    rows = providers[(providers["outcome"] == outcome) & (providers["learner"] == learner)]
    names = rows["provider_id"].astype(str)
    if names.duplicated().any():
        twice = names[names.duplicated()].iloc[0]
        raise ValuesError(
            f"providers: wanted each provider once for {outcome} by {learner}; got {twice!r} "
            "twice. Give the table of one run."
        )
    return rows.set_index(names)


def outcome_of(study: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return what a study says of an outcome; nothing where it does not have it."""
    found: dict[str, Any] = {}
    return next((one for one in study.get("outcomes", ()) if one["name"] == name), found)


def figures_of(rows: pd.DataFrame, columns: Iterable[str], where: str) -> dict[str, Floats]:
    """Return columns as numbers, NaN where a cell is empty; a column that is not there is NaN."""
    none = np.full(len(rows), np.nan)
    return {one: numbers_of(rows[one], where) if one in rows else none for one in columns}


def numbers_of(column: pd.Series, where: str) -> Floats:
    """Return cells as numbers, NaN where one is empty; anything else is refused."""
    if column.dtype.kind in "fi" and not pd.api.types.is_extension_array_dtype(column.dtype):
        return _finite(column, column.to_numpy(np.float64), ~column.isna(), where)
    told = column.where(column.notna() & (column.astype(str) != ""))
    numbers = pd.to_numeric(told, errors="coerce").to_numpy(np.float64, na_value=np.nan)
    return _finite(told, numbers, told.notna(), where)


def _finite(column: pd.Series, numbers: Floats, told: pd.Series, where: str) -> Floats:
    """Return numbers, if every cell that says something says one that money can be."""
    wrong = told.to_numpy() & ~(np.abs(numbers) <= LARGEST)
    if wrong.any():
        at = int(wrong.argmax())
        raise ValuesError(
            f"{where}: {column.name}: wanted numbers, empty where not known; got "
            f"{column.iloc[at]} for {column.index[at]}. Correct it."
        )
    return numbers


def check_not_negative(figures: Mapping[str, Floats], rows: pd.DataFrame, where: str) -> None:
    """Refuse figures below 0, by the name of the first."""
    for name, values in figures.items():
        wrong = values < 0
        if wrong.any():
            at = int(wrong.argmax())
            raise ValuesError(
                f"{where}: {name}: wanted 0 or more; got {values[at]:g} for {rows.index[at]}. "
                "Correct it."
            )
