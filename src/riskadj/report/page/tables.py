"""What a page takes from a run folder, and how it is packed; no file with a row per episode."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from riskadj.report.disclosure import SUPPRESSED
from riskadj.report.folder import read_csv
from riskadj.report.words import WAYS

KEYS = ("outcome", "learner", "provider_id")
DIGITS = 9
"""Significant digits of the numbers in a page; the run folder has twelve, people are shown fewer.

So many more than are shown that rounding twice comes out as rounding once.
"""
FEWER = 3
"""Of those of an audit: as many as are shown, so that they are rounded once."""
EXACT = 15
"""Significant digits of amounts, which are paid to the cent."""


@dataclass(frozen=True)
class TableRule:
    """Which part of a table goes into a page.

    Attributes
    ----------
    file : str
        In the run folder.
    split : tuple of str
        The columns whose values tell the parts of the table apart.
    columns : tuple of str
        What is taken besides, where the table has it.
    texts : tuple of str
        Those of `columns` that are no numbers.
    shown : mapping of str to int
        Those of `columns` that keep the decimals that people are shown, and no more, as nothing is
        computed from them; None: those of the outcome.
    computed : tuple of str
        Those of `columns` that say how others hang together; the page itself has no use for them.
    required : bool
        Whether every run folder has the file.
    """

    file: str
    split: tuple[str, ...]
    columns: tuple[str, ...]
    texts: tuple[str, ...] = ()
    shown: Mapping[str, int | None] = field(default_factory=dict)
    computed: tuple[str, ...] = ()
    required: bool = False


_PAIR = ("outcome", "learner")
_LIMITS = ("lower95", "upper95", "lower998", "upper998")
_SHRUNKEN = ("shrunken", "shrunken_lower95", "shrunken_upper95")
_RANK = ("rank", "rank_lower95", "rank_upper95")

RULES: Mapping[str, TableRule] = {
    "providers": TableRule(
        "providers.csv", _PAIR,
        ("provider_id", "n", "episodes", "observed", "expected", "adjusted", "difference", "ratio",
         "ci_lower95", "ci_upper95", "z", "flag", *_LIMITS, "reliability", *_SHRUNKEN,
         *_RANK, "flag_share", "flag_side_share", "flag_moved_by", "note", "suppression"),
        ("provider_id", "flag", "flag_moved_by", "note", "suppression"),
        {**dict.fromkeys((*_LIMITS, *_SHRUNKEN)), **dict.fromkeys(_RANK, 0), "reliability": 2,
         "z": 2},
        computed=("difference", "ratio"), required=True,
    ),
    "analyses": TableRule(
        "analyses.csv", (*_PAIR, "method", "limits"),
        ("provider_id", "adjusted", *_LIMITS, "flag"), ("provider_id", "flag"),
        dict.fromkeys(("adjusted", *_LIMITS)),
    ),
    "graded": TableRule(
        "graded.csv", (*_PAIR, "lambda"),
        ("provider_id", "n", "observed", "expected", "ratio", "z", "flag", "flag_changes_at"),
        ("provider_id", "flag"),
        {"observed": None, "expected": None, "ratio": 3, "z": 2, "flag_changes_at": 2},
    ),
    "contributions": TableRule(
        "shap_providers.csv", _PAIR,
        ("provider_id", "n", "feature", "theme", "contribution", "difference"),
        ("provider_id", "feature", "theme"), {"contribution": 4},
    ),
    "value": TableRule(
        "value.csv", ("outcome", "cost_outcome", "learner", "cost_learner"),
        ("provider_id", "n_outcome", "n_cost", "shrunken_outcome", "shrunken_cost_ratio",
         "shrunken_outcome_error", "shrunken_cost_error", "shrunken_correlation", "class"),
        ("provider_id", "class"),
    ),
    "calibration": TableRule(
        "calibration.csv", _PAIR,
        ("column", "level", "decile", "n", "expected", "observed", "difference", "lower95",
         "upper95"),
        ("column", "level"),
    ),
    "subgroups": TableRule(
        "subgroups.csv", _PAIR,
        ("column", "level", "n", "observed", "expected", "difference", "lower95", "upper95"),
        ("column", "level"),
    ),
    "reliability": TableRule(
        "reliability.csv", _PAIR,
        ("estimator", "used", "n_providers", "tau", "icc", "median_reliability", "volume_07",
         "volume_09"),
        ("estimator", "used"),
    ),
    "reference": TableRule(
        "reference.csv", _PAIR,
        ("gain", "sd", "centre", "inner", "outer", "shift", "factor", "tau"),
        computed=("gain", "sd", "centre", "inner", "outer", "shift", "factor", "tau"),
    ),
    "flow": TableRule(
        "flow.csv", ("outcome",), ("station", "reason", "left", "remaining"),
        ("station", "reason"),
    ),
}  # fmt: skip
"""Every table of the page's charts."""

AUDITED: Mapping[str, tuple[str, str]] = {
    "groups.csv": ("Groups of patients", ""),
    "social.csv": (
        "Ways to treat social factors",
        "z is how far a provider's result is from what it is held against, in the spreads that "
        "limits are made of. The interval is that of its adjusted result; who is not compared has "
        "none.",
    ),
    "fair.csv": ("Regression held to be fair", ""),
    "drift.csv": ("What changed between periods", ""),
}
"""Tables of an audit that are shown as they are where a run has them: title and a note, by file."""
_NAMES = ("level", "stratum", "from_period", "to_period", "provider_id", "peer_group")
"""Columns of these tables whose numbers are names."""
_LEFT_OUT = ("fewest",)
"""Columns of these tables that say what has to be hidden, and nothing to a reader."""
_WORDS = {"mode": WAYS}

RECORDS = ("study.json", "card.json")


def files_read(files: Iterable[str]) -> list[str]:
    """Return the files that a page takes, of those that a run folder has and those it must have.

    Examples
    --------
    >>> files_read(["providers.csv", "flow.csv", "expectations.parquet"])
    ['study.json', 'card.json', 'providers.csv', 'flow.csv']
    """
    there = set(files)
    wanted = [one.file for one in RULES.values() if one.required or one.file in there]
    return [*RECORDS, *wanted, *(one for one in AUDITED if one in there)]


def read_tables(folder: Path) -> dict[str, pd.DataFrame]:
    """Return every table of the page's charts; without those of providers that are hidden."""
    providers = _read(folder, RULES["providers"])
    hidden = providers[providers["suppression"] == SUPPRESSED]
    tables = {
        name: _without(_read(folder, rule), hidden)
        for name, rule in RULES.items()
        if name != "providers" and (folder / rule.file).is_file()
    }
    return {"providers": _blank(providers), **tables}


def read_audited(folder: Path, hidden: Iterable[str]) -> dict[str, pd.DataFrame]:
    """Return the tables of an audit that the run has, by file, without rows of `hidden`."""
    them = set(hidden)
    tables = {file: _typed(folder / file) for file in AUDITED if (folder / file).is_file()}
    return {
        file: table[~table["provider_id"].isin(them)] if "provider_id" in table else table
        for file, table in tables.items()
    }


def _typed(path: Path) -> pd.DataFrame:
    """Return a table whose columns of nothing but numbers are numbers."""
    table = read_csv(path, dtype=str, keep_default_na=False)
    table = table.drop(columns=list(_LEFT_OUT), errors="ignore")
    numbers = {
        name: pd.to_numeric(table[name].where(table[name] != ""), errors="coerce")
        for name in table.columns.difference(_NAMES)
    }
    whole = {
        name: one
        for name, one in numbers.items()
        if one.notna().any() and one.notna().equals(table[name] != "")
    }
    words = {
        name: table[name].map(lambda one, by=by: by.get(one, one))
        for name, by in _WORDS.items()
        if name in table
    }
    return table.assign(**whole, **words)


def _read(folder: Path, rule: TableRule) -> pd.DataFrame:
    """Return the columns of a rule that the file has; texts as they are, numbers as such."""
    texts = dict.fromkeys((*rule.split, *rule.texts), str)
    wanted = {*rule.split, *rule.columns}
    table = read_csv(
        folder / rule.file, usecols=lambda name: name in wanted, dtype=texts,
        keep_default_na=False, na_values=dict.fromkeys(wanted - set(texts), ""),
    )  # fmt: skip
    return table[[one for one in (*rule.split, *rule.columns) if one in table]]


def _without(table: pd.DataFrame, hidden: pd.DataFrame) -> pd.DataFrame:
    """Return rows of providers that are shown under the same outcome and learner."""
    keys = [one for one in KEYS if one in table]
    if "provider_id" not in keys or hidden.empty:
        return table
    gone = pd.MultiIndex.from_frame(hidden[keys].drop_duplicates())
    kept: pd.DataFrame = table[~pd.MultiIndex.from_frame(table[keys]).isin(gone)]
    if "cost_outcome" not in table:
        return kept
    theirs = pd.MultiIndex.from_frame(kept[["cost_outcome", "cost_learner", "provider_id"]])
    return kept[~theirs.isin(gone)]


def _blank(providers: pd.DataFrame) -> pd.DataFrame:
    """Return providers with every figure of the hidden ones blank, whatever the file says."""
    hidden = providers["suppression"] == SUPPRESSED
    figures = list(providers.select_dtypes("number").columns)
    return providers.assign(**{one: providers[one].mask(hidden) for one in figures})


class Pool:
    """Columns of a page's tables, each kept once however many tables have it."""

    def __init__(self) -> None:
        self.columns: list[Any] = []
        self._places: dict[str, int] = {}

    def keep(self, table: Mapping[str, Any]) -> dict[str, Any]:
        """Return a packed table with the places of its columns instead of longer ones."""
        columns = {name: self._place(one) for name, one in table["columns"].items()}
        return {**table, "columns": columns}

    def _place(self, column: Any) -> Any:
        text = json.dumps(column)
        if len(text) < SHORT:
            return column
        if text not in self._places:
            self._places[text] = len(self.columns)
            self.columns.append(column)
        return self._places[text]


SHORT = 40
"""Signs of a column that is written where it stands."""


def packed_parts(
    name: str, table: pd.DataFrame, decimals: Mapping[str, int], pool: Pool
) -> list[dict[str, Any]]:
    """Return the parts of a table, each with what it is a part of and its packed columns.

    Parameters
    ----------
    name : str
        Of the rule.
    table : DataFrame
    decimals : mapping of str to int
        That people are shown of each outcome.
    pool : Pool
    """
    rule = RULES[name]
    keys, seen = list(rule.split), table.drop(columns=list(rule.computed), errors="ignore")
    if set(seen) == set(keys):
        return []
    parts = []
    for names, part in seen.groupby(keys, sort=False):
        of = dict(zip(keys, map(str, names), strict=True))
        own = decimals[of["outcome"]]
        shown = {name: own if places is None else places for name, places in rule.shown.items()}
        parts.append({"of": of, "table": pool.keep(packed(part.drop(columns=keys), shown=shown))})
    return parts


def packed(
    table: pd.DataFrame, digits: int = DIGITS, shown: Mapping[str, int] | None = None
) -> dict[str, Any]:
    """Return a table by columns: numbers to some digits, texts as their levels and places in them.

    Parameters
    ----------
    table : DataFrame
    digits : int
        Significant ones.
    shown : mapping of str to int, optional
        Columns that keep so many decimals instead; they are whole numbers `of` which so many are 1
        (`per`).

    Examples
    --------
    >>> packed(pd.DataFrame({"flag": ["in", "out"], "z": [0.12345678912, float("nan")]}))
    {'n': 2, 'columns': {'flag': {'levels': ['in', 'out']}, 'z': [0.123456789, None]}}
    >>> packed(pd.DataFrame({"z": [0.145, -2.5]}), shown={"z": 2})["columns"]
    {'z': {'per': 100, 'of': [14, -250]}}
    """
    kept = shown or {}
    columns = {str(name): _column(table[name], digits, kept.get(str(name))) for name in table}
    return {"n": len(table), "columns": columns}


def _column(column: "pd.Series[Any]", digits: int, decimals: int | None) -> Any:
    """Return a column; one of long runs as their values, one that comes again as its beginning."""
    if column.notna().sum() == 0:
        return None
    period = _period(column)
    if period:
        return {"again": _values(column.iloc[:period], digits, decimals)}
    starts = column.ne(column.shift()) & (column.notna() | column.shift().notna())
    starts.iloc[0] = True
    at = np.flatnonzero(starts)
    if not 1 < len(at) <= len(column) / LONG_RUN:
        return _values(column, digits, decimals)
    runs = np.diff([*at, len(column)]).tolist()
    return {"runs": runs, "of": _values(column.iloc[at], digits, decimals)}


LONG_RUN = 3


def _period(column: "pd.Series[Any]") -> int:
    """Return after how many rows a column of texts begins again; 0 where it does not."""
    if pd.api.types.is_numeric_dtype(column):
        return 0
    values = column.astype(str).to_numpy(dtype=object)
    (at,) = np.nonzero(values[1:] == values[0])
    if not at.size or at[0] == 0 or len(values) % (at[0] + 1):
        return 0
    rows = values.reshape(-1, at[0] + 1)
    return int(at[0] + 1) if bool((rows == rows[0]).all()) else 0


def _values(column: "pd.Series[Any]", digits: int, decimals: int | None) -> Any:
    if not pd.api.types.is_numeric_dtype(column):
        return _levels(column.astype(str))
    if decimals is None:
        return [_short(one, digits) for one in column.tolist()]
    return {"per": 10**decimals, "of": [_whole(one, decimals) for one in column.tolist()]}


def _levels(column: "pd.Series[str]") -> dict[str, Any]:
    """Return levels, and places in them where they are neither one nor each row's own."""
    codes, levels = pd.factorize(column)
    names = {"levels": [str(one) for one in levels]}
    return names if len(levels) in (1, len(column)) else {**names, "codes": codes.tolist()}


def _whole(value: float, decimals: int) -> int | None:
    """Return a number in units of its last decimal, rounded as a card rounds it."""
    return round(round(float(value), decimals) * 10**decimals) if isfinite(value) else None


def _short(value: float, digits: int) -> float | int | None:
    """Return a number with the digits that a page keeps, and all before the point."""
    if not isfinite(value):
        return None
    rounded = float(f"{value:.{digits}g}") if abs(value) < 10**digits else float(f"{value:.0f}")
    return int(rounded) if rounded == int(rounded) and abs(rounded) < 1e15 else rounded
