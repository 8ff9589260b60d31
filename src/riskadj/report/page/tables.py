"""What a page takes from a run folder, and how it is packed; no file with a row per episode."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from riskadj.report.disclosure import SUPPRESSED

KEYS = ("outcome", "learner", "provider_id")
DIGITS = 6
"""Significant digits of the numbers in a page; the run folder has twelve."""
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
    required : bool
        Whether every run folder has the file.
    """

    file: str
    split: tuple[str, ...]
    columns: tuple[str, ...]
    texts: tuple[str, ...] = ()
    required: bool = False


_PAIR = ("outcome", "learner")
_LIMITS = ("lower95", "upper95", "lower998", "upper998")

RULES: Mapping[str, TableRule] = {
    "providers": TableRule(
        "providers.csv", _PAIR,
        ("provider_id", "n", "episodes", "observed", "expected", "difference", "ratio", "adjusted",
         "ci_lower95", "ci_upper95", "z", "flag", *_LIMITS, "reliability", "shrunken",
         "shrunken_lower95", "shrunken_upper95", "rank", "rank_lower95", "rank_upper95",
         "flag_share", "flag_moved_by", "peer_group", "note", "suppression"),
        ("provider_id", "flag", "flag_moved_by", "peer_group", "note", "suppression"), True,
    ),
    "analyses": TableRule(
        "analyses.csv", (*_PAIR, "method", "limits"),
        ("provider_id", "adjusted", *_LIMITS, "z", "flag"), ("provider_id", "flag"),
    ),
    "contributions": TableRule(
        "shap_providers.csv", _PAIR,
        ("provider_id", "n", "feature", "theme", "contribution", "difference"),
        ("provider_id", "feature", "theme"),
    ),
    "value": TableRule(
        "value.csv", ("outcome", "cost_outcome", "learner", "cost_learner"),
        ("provider_id", "n_outcome", "n_cost", "n_both", "outcome_difference", "outcome_error",
         "cost_ratio", "cost_error", "shrunken_outcome", "shrunken_cost_ratio",
         "shrunken_outcome_error", "shrunken_cost_error", "shrunken_correlation",
         "p_better_and_cheaper", "p_better_and_dearer", "p_worse_and_cheaper",
         "p_worse_and_dearer", "class"),
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
        ("n", "gain", "sd", "centre", "inner", "outer", "shift", "factor", "tau"),
    ),
    "flow": TableRule(
        "flow.csv", ("outcome",), ("station", "reason", "left", "remaining"),
        ("station", "reason"),
    ),
}  # fmt: skip
"""Every table of the page's charts."""

AUDITED: Mapping[str, str] = {
    "groups.csv": "Groups of patients",
    "social.csv": "Ways to treat social factors",
    "fair.csv": "Regression held to be fair",
    "drift.csv": "What changed between periods",
}
"""Tables of an audit that are shown as they are where a run has them: titles by file."""

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
    """Return the tables of an audit that the run has, by title, without rows of `hidden`."""
    tables = {
        title: pd.read_csv(folder / file, dtype=str, keep_default_na=False)
        for file, title in AUDITED.items()
        if (folder / file).is_file()
    }
    them = set(hidden)
    return {
        title: table[~table["provider_id"].isin(them)] if "provider_id" in table else table
        for title, table in tables.items()
    }


def _read(folder: Path, rule: TableRule) -> pd.DataFrame:
    """Return the columns of a rule that the file has; texts as they are, numbers as such."""
    texts = dict.fromkeys((*rule.split, *rule.texts), str)
    wanted = {*rule.split, *rule.columns}
    table = pd.read_csv(
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


def packed_parts(table: pd.DataFrame, split: Iterable[str]) -> list[dict[str, Any]]:
    """Return the parts of a table, each with what it is a part of and its packed columns."""
    keys = list(split)
    return [
        {
            "of": dict(zip(keys, map(str, names), strict=True)),
            "table": packed(part.drop(columns=keys)),
        }
        for names, part in table.groupby(keys, sort=False)
    ]


def packed(table: pd.DataFrame, digits: int = DIGITS) -> dict[str, Any]:
    """Return a table by columns: numbers to some digits, texts as their levels and places in them.

    Examples
    --------
    >>> packed(pd.DataFrame({"flag": ["in", "out"], "z": [0.12345678, float("nan")]}))
    {'n': 2, 'columns': {'flag': {'levels': ['in', 'out'], 'codes': [0, 1]}, 'z': [0.123457, None]}}
    """
    columns = {str(name): _packed_column(table[name], digits) for name in table}
    return {"n": len(table), "columns": columns}


def _packed_column(column: "pd.Series[Any]", digits: int) -> Any:
    if column.notna().sum() == 0:
        return None
    if pd.api.types.is_numeric_dtype(column):
        return [_short(one, digits) for one in column.tolist()]
    codes, levels = pd.factorize(column.astype(str))
    if len(levels) == 1:
        return {"levels": [str(levels[0])]}
    return {"levels": [str(one) for one in levels], "codes": codes.tolist()}


def _short(value: float, digits: int) -> float | int | None:
    """Return a number with the digits that a page keeps; a whole one as such."""
    if value != value or value in (float("inf"), float("-inf")):
        return None
    rounded = float(f"{value:.{digits}g}")
    return int(rounded) if rounded == int(rounded) and abs(rounded) < 1e15 else rounded
