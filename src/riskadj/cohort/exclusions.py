"""Exclusions: whether a study's rules can be applied to the columns, and whom they concern."""

from collections.abc import Iterator, Mapping

import pandas as pd

from riskadj.episodes import Column
from riskadj.errors import ColumnError, RiskadjError, StudyError, did_you_mean
from riskadj.study.cohort import Exclusion

_MEASURED = ("number", "whole", "flag")


def exclusion_faults(
    rules: tuple[Exclusion, ...], columns: Mapping[str, Column]
) -> Iterator[RiskadjError]:
    """Yield what keeps a study's exclusions from meaning anything."""
    for number, rule in enumerate(rules):
        where = f"cohort.exclude.{number}"
        column = columns.get(rule.column)
        if column is None:
            yield ColumnError(
                f"{where}.column: wanted a column of the episodes; got {rule.column!r}."
                f"{did_you_mean(rule.column, columns)}"
            )
            continue
        bounded = rule.below is not None or rule.above is not None
        if bounded and column.kind not in _MEASURED:
            yield StudyError(
                f"{where}: wanted below or above for a number; {column.name!r} holds "
                f"{column.kind}. Use values or missing."
            )
        for value in rule.values:
            if _held(value, column) is None:
                yield StudyError(
                    f"{where}.values: wanted what {column.name!r} may hold{_choices(column)}; got "
                    f"{value!r}."
                )


def is_excluded(table: pd.DataFrame, rule: Exclusion, column: Column) -> pd.Series:
    """Return whom a rule leaves out, of shape (n_episodes,)."""
    values = table[rule.column]
    excluded = pd.Series(False, index=table.index)
    if rule.missing:
        excluded |= values.isna()
    if rule.values:
        excluded |= values.isin([_held(one, column) for one in rule.values])
    if rule.below is not None:
        excluded |= values < rule.below
    if rule.above is not None:
        excluded |= values > rule.above
    return excluded


def _held(value: str | float, column: Column) -> str | float | None:
    """Return what the table holds for a value or a file's code of it, or None if it cannot."""
    code = value if isinstance(value, str) else f"{value:g}"
    if column.codes:
        return column.codes.get(code)
    if column.kind == "text":
        return code
    return None if isinstance(value, str) or column.kind == "date" else float(value)


def _choices(column: Column) -> str:
    held = dict.fromkeys(str(one) for one in column.codes.values())
    return f" ({', '.join(held)})" if held else ""
