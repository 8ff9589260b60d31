"""Faults of an episode table: all of them at once, each with its count and a few rows."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from riskadj.episodes.columns import Column
from riskadj.episodes.distinct import map_distinct
from riskadj.episodes.shown import NOT_SHOWN, shown_cell
from riskadj.errors import ValuesError

EXAMPLES = 5
_DATE = r"^(\d{4}-?\d\d-?\d\d(?:[T ][^Z+-]*)?)(?:Z|[+-]\d\d(?::?\d\d){0,2})?$"
"""A whole date in ISO 8601, maybe with a time; an offset from UTC stays outside the group."""
_CONTROL = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]"
"""What no name holds, and what could take over the terminal that it is shown on."""


@dataclass(frozen=True)
class Fault:
    """One rule that some rows break.

    Attributes
    ----------
    column : str
    rule : str
        What was wanted.
    count : int
        How many rows break it.
    examples : tuple of (int, str)
        Up to five row numbers (1 = first row under the header) with what they hold; what an
        identifier holds is not shown.
    """

    column: str
    rule: str
    count: int
    examples: tuple[tuple[int, str], ...]

    def __str__(self) -> str:
        rows = "; ".join(f"row {row}: {value}" for row, value in self.examples)
        differ = "row differs" if self.count == 1 else "rows differ"
        return f"{self.column}: wanted {self.rule}; {self.count:,} {differ} ({rows})"

    def below(self, rows: int) -> "Fault":
        """Return the same fault of a table that stands below so many rows."""
        examples = tuple((row + rows, value) for row, value in self.examples)
        return replace(self, examples=examples)


def merged(faults: Iterable[Fault]) -> list[Fault]:
    """Return each rule once, with the faults of all pieces of a table."""
    once: dict[tuple[str, str], Fault] = {}
    for one in faults:
        first = once.setdefault((one.column, one.rule), one)
        if first is not one:
            examples = tuple(sorted({*first.examples, *one.examples})[:EXAMPLES])
            once[one.column, one.rule] = replace(
                first, count=first.count + one.count, examples=examples
            )
    return list(once.values())


class ValuesFault(ValuesError):
    """Values outside their declaration; `faults` has every rule that is broken."""

    def __init__(self, source: str, faults: Sequence[Fault]) -> None:
        self.source = source
        self.faults = tuple(faults)
        more = len(self.faults) - 1
        noun = "fault" if more == 1 else "faults"
        rest = f" {more} more {noun}: riskadj validate lists them all." if more else ""
        super().__init__(f"{source}: {self.faults[0]}. Correct the data or its declaration.{rest}")


def to_declared(
    raw: pd.DataFrame, columns: Mapping[str, Column]
) -> tuple[pd.DataFrame, list[Fault]]:
    """Turn what a file holds into what the columns declare.

    Returns
    -------
    table : DataFrame
        Text as `str` without spaces around it, numbers and flags as float64, dates as datetime64;
        missing is null. A point in time is the date on the clock that it was written by.
    faults : list of Fault
        What could not be turned; such cells are null in the table.
    """
    kept: dict[str, pd.Series] = {}
    faults: list[Fault] = []
    for name, column in columns.items():
        if name not in raw.columns:
            continue
        kept[name], wrong = _convert(raw[name], column)
        faults += _fault(name, _wanted_kind(column), raw[name], wrong, _hidden(column))
    return pd.DataFrame(kept, index=raw.index), faults


def find_faults(table: pd.DataFrame, columns: Mapping[str, Column]) -> list[Fault]:
    """Return every rule of the declarations that the table breaks.

    Parameters
    ----------
    table : DataFrame of shape (n_episodes, n_columns)
        Typed as `to_declared` returns it.
    columns : mapping of str to Column
        Declarations by name; those without a column in the table are passed over.
    """
    return [*row_faults(table, columns), *find_repeats(table, columns)]


def row_faults(table: pd.DataFrame, columns: Mapping[str, Column]) -> list[Fault]:
    """Return every rule that a row can break alone; of pieces of a table as of the whole."""
    import pandera.pandas as pa
    from pandera.errors import SchemaErrors

    present = {name: one for name, one in columns.items() if name in table.columns}
    schema = pa.DataFrameSchema({name: _schema(one) for name, one in present.items()})
    try:
        schema.validate(table, lazy=True)
        of_cells = []
    except SchemaErrors as error:
        of_cells = _summarise(error.failure_cases, table, present)
    return [*of_cells, *_date_faults(table), *_contradictions(table)]


def find_repeats(table: pd.DataFrame, columns: Mapping[str, Column]) -> list[Fault]:
    """Return values that are there more than once and are declared to be unique."""
    faults = []
    for name, column in columns.items():
        if column.unique and name in table.columns:
            wrong = table[name].duplicated(keep=False) & table[name].notna()
            faults += _fault(name, "each value once", table[name], wrong, _hidden(column))
    return faults


def _schema(column: Column) -> "object":
    import pandera.pandas as pa

    checks = []
    if column.low is not None or column.high is not None:
        low, high = _bounds(column)
        checks.append(pa.Check.in_range(low, high, error=_wanted_range(column)))
    if column.kind == "whole":
        checks.append(pa.Check(lambda values: values == np.floor(values), error="a whole number"))
    return pa.Column(checks=checks, nullable=not column.required, required=False)


def _summarise(
    cases: pd.DataFrame, table: pd.DataFrame, columns: Mapping[str, Column]
) -> list[Fault]:
    faults = []
    for (name, check), rows in cases.groupby(["column", "check"], sort=False):
        rule = {"not_nullable": "a value"}.get(check, check)
        wrong = pd.Series(False, index=table.index)
        wrong[rows["index"].dropna().unique()] = True
        faults += _fault(name, rule, table[name], wrong, _hidden(columns[name]))
    return faults


def _date_faults(table: pd.DataFrame) -> list[Fault]:
    """Return dates that are in the wrong order."""
    ordered = (
        ("q1_date", "index_date", "a date on or before the operation"),
        ("discharge_date", "index_date", "a date on or after the operation"),
        ("q2_date", "index_date", "a date on or after the operation"),
    )
    faults = []
    for name, other, rule in ordered:
        if name in table.columns and other in table.columns:
            later = table[name] > table[other]
            earlier = table[name] < table[other]
            wrong = later if name == "q1_date" else earlier
            faults += _fault(name, rule, table[name], wrong)
    return faults


def _contradictions(table: pd.DataFrame) -> list[Fault]:
    """Return what one column says and another denies."""
    faults = []
    if {"q2_days", "q2_date", "index_date"} <= set(table.columns):
        days = (table["q2_date"] - table["index_date"]).dt.days
        wrong = (table["q2_days"] - days).abs() > _A_DAY
        faults += _fault("q2_days", "the days from index_date to q2_date", table["q2_days"], wrong)
    if "q2_returned" in table.columns:
        returned = table["q2_returned"]
        if "q2_sent" in table.columns:
            wrong = returned.eq(1) & table["q2_sent"].eq(0)
            faults += _fault("q2_sent", "1 where q2_returned is 1", table["q2_sent"], wrong)
        after = [one for one in table.columns if one.startswith("q2_score_")]
        wrong = returned.eq(0) & table[after].notna().any(axis=1)
        faults += _fault("q2_returned", "1 where there is a score after", returned, wrong)
    return faults


_A_DAY = 1
"""By which two counts of days may differ: one may be of the hour."""


def _convert(raw: pd.Series, column: Column) -> tuple[pd.Series, pd.Series]:
    """Return the column as declared, and which of its cells could not be read as that."""
    try:
        converted = map_distinct(raw, lambda values: _convert_values(values, column))
    except (TypeError, NotImplementedError):  # lists, structures, half floats: none of them cells
        nothing = _convert_values(pd.Series(None, index=raw.index, dtype="str"), column)
        return nothing["kept"].rename(column.name), raw.notna()
    return converted["kept"].rename(column.name), converted["wrong"]


def _convert_values(raw: pd.Series, column: Column) -> pd.DataFrame:
    text = raw if raw.dtype == "str" else raw.map(_as_code, na_action="ignore").astype("str")
    text = text.str.strip()
    missing = raw.isna() | text.isin(("", *column.missing_codes))
    if column.codes:
        kept = text.map(column.codes).astype("str" if column.kind == "text" else "float64")
        wrong = kept.isna()
    elif column.kind == "date":
        kept = _to_dates(text.mask(missing))
        wrong = kept.isna()
    elif column.kind == "text":
        kept = text
        wrong = text.str.contains(_CONTROL, na=False)
    else:
        values = raw if pd.api.types.is_numeric_dtype(raw) else text
        kept = pd.to_numeric(values.mask(missing), errors="coerce").astype("float64")
        wrong = ~np.isfinite(kept)
    if column.kind != "flag" and raw.dtype != "str":
        wrong |= np.array([isinstance(value, (bool, np.bool_)) for value in raw], dtype=bool)
    return pd.DataFrame({"kept": kept.mask(missing | wrong), "wrong": wrong & ~missing})


def _to_dates(text: pd.Series) -> pd.Series:
    """Read dates, with or without a time and its zone, as the date that is written."""
    written = text.str.extract(_DATE, expand=False)
    return pd.to_datetime(written, errors="coerce", format="ISO8601").dt.normalize()


def _as_code(value: object) -> str:
    """Return a value as a file of text would hold it: 1 for 1.0 and for True."""
    if isinstance(value, (bool, np.bool_, float)) and float(value).is_integer():
        return f"{float(value):.0f}"
    return str(value)


def _fault(
    name: str, rule: str, raw: pd.Series, wrong: pd.Series, hidden: bool = False
) -> list[Fault]:
    if not wrong.any():
        return []
    rows = np.flatnonzero(wrong.to_numpy())[:EXAMPLES]
    examples = tuple(
        (int(row) + 1, NOT_SHOWN if hidden else shown_cell(raw.iloc[row])) for row in rows
    )
    return [Fault(name, rule, int(wrong.sum()), examples)]


def _hidden(column: Column) -> bool:
    return column.role == "identifier"


def _wanted_kind(column: Column) -> str:
    if column.codes:
        return f"one of {', '.join(sorted({str(one) for one in column.codes}))}"
    return {"date": "a date such as 2019-03-31", "text": "text without control characters"}.get(
        column.kind, "a number"
    )


def _bounds(column: Column) -> tuple[float, float]:
    return (
        -np.inf if column.low is None else column.low,
        np.inf if column.high is None else column.high,
    )


def _wanted_range(column: Column) -> str:
    unit = f" {column.unit}" if column.unit else ""
    if column.high is None:
        return f"{column.low:g} or more{unit}"
    if column.low is None:
        return f"{column.high:g} or less{unit}"
    return f"{column.low:g} to {column.high:g}{unit}"
