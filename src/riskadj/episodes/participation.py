"""Participation files: how many procedures there were, and what became of the questionnaires.

Record files hold those who answered twice. How many did not is told by counts alone, as NHS England
publishes them beside its records: a row per provider, and for each group of procedures five counts
and their rates, `*` where a count is 1 to 5 (PROMs CSV footnotes 2018/19).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from types import MappingProxyType

import pandas as pd

from riskadj.digest import digest_of_file
from riskadj.episodes.files import Source, read_text_table
from riskadj.errors import ColumnError, ValuesError, did_you_mean

NATION = "England"
"""The code of the row of all providers; more than their sum, where some of them are suppressed."""
COUNTS = MappingProxyType(
    {
        "procedures": "Total HES Procedures",
        "q1": "Total Pre-Op Qs",
        "linked": "Total Linked",
        "q2_sent": "Total Q2s sent to date",
        "q2_returned": "Total Q2s returned to date",
    }
)
"""What a count is called in the files."""
_RATES = ("Participation Rate", "Linkage rate", "Issue rate", "Response rate")
_CODE, _NAME, _BETWEEN = "Organisation Code", "Organisation Name", " - "
_HIDDEN = ("*", "-", "")
_GROUPS = MappingProxyType(
    {
        "HIP_PRIM": ("Primary Hip Replacement", "Hip Replacement"),
        "HIP_REV": ("Revision Hip Replacement", "Hip Replacement"),
        "KNEE_PRIM": ("Primary Knee Replacement", "Knee Replacement"),
        "KNEE_REV": ("Revision Knee Replacement", "Knee Replacement"),
    }
)
"""Of each procedure, its own counts first, then those it is part of."""
_OF_ALL = ("All Procedures",)
_IN_ANOTHER = (("linked", "q1"), ("q2_sent", "q1"), ("q2_returned", "q2_sent"))
"""What is counted among what, so that it cannot be more."""


@dataclass(frozen=True)
class Participation:
    """Counts of follow-up, by group of procedures and provider.

    Attributes
    ----------
    table : DataFrame
        `counted, provider_id, procedures, q1, linked, q2_sent, q2_returned`; NaN where a count
        is suppressed in any of the files.
    sources : tuple of Source
    """

    table: pd.DataFrame
    sources: tuple[Source, ...]

    def of(self, procedure_group: str) -> pd.DataFrame:
        """Return the counts of a procedure, a row per provider.

        A provider whose own counts of it are suppressed has those of primary and revision
        together; `counted` says which.

        Raises
        ------
        ColumnError
            When the files count other procedures only.
        """
        wanted = _GROUPS.get(procedure_group, _OF_ALL)
        found = [self.table[self.table["counted"] == one] for one in wanted]
        if all(one.empty for one in found):
            raise ColumnError(
                f"data.participation: wanted counts of {' or '.join(wanted)}; got those of "
                f"{', '.join(self.table['counted'].unique())}. Give the files of this procedure."
            )
        told = pd.concat([one.dropna(subset=["q1", "q2_sent", "q2_returned"]) for one in found])
        rest = pd.concat(found)
        return pd.concat([told, rest]).drop_duplicates("provider_id").set_index("provider_id")


def read_participation(paths: Iterable[str | Path]) -> Participation:
    """Read participation files of the periods compared; counts of several are added up.

    Parameters
    ----------
    paths : iterable of str or Path
        CSV, plain or packed, in latin-1, as NHS England publishes them.

    Raises
    ------
    FileMissingError, FileFormatError
    ColumnError
        When a file has columns that it should not have, or lacks some.
    ValuesError
        When a count is not one, or a rate other than participation is above 100 %.
    """
    files = [Path(one) for one in paths]
    parts = [_read_file(one) for one in files]
    keys = ["counted", "provider_id"]
    total = reduce(_added, [one.set_index(keys) for one in parts]).reset_index()
    sources = (
        Source(path.name, digest_of_file(path), part["provider_id"].nunique())
        for path, part in zip(files, parts, strict=True)
    )
    return Participation(total, tuple(sources))


def _added(one: pd.DataFrame, other: pd.DataFrame) -> pd.DataFrame:
    """Return sums; a provider that is in one file only keeps its counts."""
    both = one.index.intersection(other.index)
    alone = pd.concat([one.drop(both), other.drop(both)])
    return pd.concat([one.loc[both] + other.loc[both], alone])


def _read_file(path: Path) -> pd.DataFrame:
    raw = read_text_table(path, "latin-1")
    groups = _groups_of(raw, path)
    codes = raw[_CODE].str.strip()
    if codes.duplicated().any():
        twice = codes[codes.duplicated()].iloc[0]
        raise ValuesError(f"{path}: wanted each provider once; got {twice!r} twice.")
    parts = [_counts_of(raw, group, path) for group in groups]
    table = pd.concat(parts, ignore_index=True)
    _check_shares(table, path)
    return table


def _counts_of(raw: pd.DataFrame, group: str, path: Path) -> pd.DataFrame:
    counts = {one: _numbers(raw[f"{group}{_BETWEEN}{name}"], path) for one, name in COUNTS.items()}
    return pd.DataFrame({"counted": group, "provider_id": raw[_CODE].str.strip(), **counts})


def _groups_of(raw: pd.DataFrame, path: Path) -> list[str]:
    """Return the groups of procedures that a file counts."""
    known = (*COUNTS.values(), *_RATES)
    groups: dict[str, set[str]] = {}
    for column in raw.columns:
        group, between, name = column.rpartition(_BETWEEN)
        if column not in (_CODE, _NAME) and (not between or name not in known):
            raise ColumnError(
                f"{path}: wanted the columns of a participation file (a group of procedures, "
                f"{_BETWEEN.strip()!r}, and one of {', '.join(known)}); got {column!r}."
                f"{did_you_mean(name, known)} Give NHS England's file as published."
            )
        if between:
            groups.setdefault(group, set()).add(name)
    if _CODE not in raw.columns or not groups:
        raise ColumnError(f"{path}: wanted {_CODE!r} and counts of procedures; there are none.")
    for group, names in groups.items():
        if lacking := [one for one in COUNTS.values() if one not in names]:
            raise ColumnError(f"{path}: wanted '{group} - {lacking[0]}'; there is none. Add it.")
    return list(groups)


def _numbers(texts: pd.Series, path: Path) -> pd.Series:
    told = texts.str.strip()
    hidden = told.isin(_HIDDEN)
    numbers = pd.to_numeric(told.mask(hidden), errors="coerce")
    wrong = ~hidden & ~((numbers >= 0) & (numbers % 1 == 0))
    if wrong.any():
        row = int(wrong.to_numpy().argmax())
        raise ValuesError(
            f"{path}: {texts.name}: wanted counts, or * where suppressed; got "
            f"{told.iloc[row]!r} in row {row + 1}."
        )
    return numbers.astype("float64")


def _check_shares(table: pd.DataFrame, path: Path) -> None:
    for part, whole in _IN_ANOTHER:
        wrong = table[table[part] > table[whole]]
        if len(wrong):
            one = wrong.iloc[0]
            raise ValuesError(
                f"{path}: {one['counted']}, {one['provider_id']}: wanted no more "
                f"{COUNTS[part]!r} than {COUNTS[whole]!r}, or a rate is above 100 %; got "
                f"{one[part]:,.0f} of {one[whole]:,.0f}, and {len(wrong):,} such in all. "
                "Correct the counts."
            )
