"""Whether a fresh run gives the files of an earlier one again: byte for byte, or to a tolerance."""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from riskadj.audit.verdict import Fault, Found
from riskadj.errors import NotRederivedError
from riskadj.report.folder import files_in
from riskadj.report.words import counted

TOLERANCE = 1e-9
"""Of a figure's size, or of 1 where it is smaller: what other versions of packages may move."""
PROVIDERS = "providers.csv"
_TABLES = (".csv", ".parquet")
_RECORDS = ("metrics.json", "card.json")
_OF_SOFTWARE = ("identity", "provenance")
"""Sections of a card that tell of code and packages."""
_NAMING = ("outcome", "learner", "provider_id", "episode_id", "key")


class Difference(NamedTuple):
    """What of a file is not what a fresh run gives.

    `largest` is the greatest difference among its numbers, as a share of their size; infinite
    where texts, rows or columns differ, or where it is no table.
    """

    name: str
    told: str
    largest: float


def compare_folders(old: Mapping[str, Path], new: Path, within: float | None = None) -> Found:
    """Compare files of a run with those of a fresh run.

    Parameters
    ----------
    old : mapping of str to Path
        The files to be found again, by name.
    new : Path
        The folder of the fresh run.
    within : float, optional
        Compare tables, metrics and card number by number to this tolerance, and nothing else;
        without it, every file byte for byte. Of the card, not what it says of code and packages.
    """
    there = files_in(new)
    names = sorted(old, key=lambda one: (one != PROVIDERS, not _is_table(one), one))
    looked = [one for one in names if within is None or _is_table(one)]
    differing = [*_differences({one: old[one] for one in looked}, there, within)]
    left = len(names) - len(looked)
    return Found(_told(looked, left, within), tuple(_faults(differing, within)))


def _told(looked: list[str], left: int, within: float | None) -> str:
    run = "a fresh run from the same study and data gives"
    if within is None:
        whole = "the file" if len(looked) == 1 else f"all {len(looked)} files"
        return f"{run} {whole} again, byte for byte"
    were = "that only shows them was" if left == 1 else "that only show them were"
    beside = f"; {counted(left, 'file')} {were} not compared" if left else ""
    return f"{run} {counted(len(looked), 'file')} with figures again, to {within:g}{beside}"


def _faults(differing: Iterable[Difference], within: float | None) -> Iterator[Fault]:
    for one in differing:
        near = within is None and 0 < one.largest <= TOLERANCE
        hint = " Another processor may do that: say --within 1e-9 to allow for it." if near else ""
        error = NotRederivedError(f"{one.name}: wanted what a fresh run gives; {one.told}.{hint}")
        yield Fault(one.name, error)


def _differences(
    old: Mapping[str, Path], new: Mapping[str, Path], within: float | None
) -> Iterator[Difference]:
    for name, path in old.items():
        if name not in new:
            yield Difference(name, "it gives no such file", np.inf)
        elif within is None and path.read_bytes() == new[name].read_bytes():
            continue
        elif _is_table(name):
            yield from _tables(name, path, new[name], within)
        else:
            yield Difference(name, "the bytes differ", np.inf)


def _is_table(name: str) -> bool:
    return name.endswith(_TABLES) or name in _RECORDS


def _read(path: Path) -> pd.DataFrame:
    if path.suffix == ".json":
        leaves = _leaves(_of_figures(json.loads(path.read_bytes())))
        return pd.DataFrame(leaves, columns=["key", "value"], dtype=str)
    if path.suffix == ".parquet":
        return pd.read_parquet(path)
    return pd.read_csv(path, dtype=str, keep_default_na=False)


def _of_figures(content: dict[str, Any]) -> dict[str, Any]:
    """Return a record without what it says of code and packages."""
    sections = [one for one in content.get("sections", ()) if one["anchor"] not in _OF_SOFTWARE]
    kept = {key: value for key, value in content.items() if key not in ("provenance", "sections")}
    return kept | {one["anchor"]: one for one in sections}


def _leaves(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Yield every number and text of a record with where it stands."""
    if not isinstance(value, (dict, list)):
        yield key, str(value)
        return
    for name, one in value.items() if isinstance(value, dict) else enumerate(value):
        yield from _leaves(one, f"{key}.{name}" if key else str(name))


def _tables(name: str, path: Path, again: Path, within: float | None) -> Iterator[Difference]:
    """Yield how two tables differ; where none of their cells does, their bytes do."""
    old, new = _read(path), _read(again)
    if len(old) != len(new):
        yield Difference(name, f"{len(old)} rows then, {len(new)} now", np.inf)
        return
    if missing := [one for one in old.columns if one not in new.columns]:
        yield Difference(name, f"no column {', '.join(missing)} now", np.inf)
        return
    apart = pd.DataFrame({one: _apart(old[one], new[one]) for one in old.columns})
    differing = apart.to_numpy() > (within or 0)
    if differing.any():
        yield Difference(name, _cells(old, new, differing), float(apart.to_numpy().max()))
    elif within is None:
        yield Difference(name, "the bytes differ, and no figure", 0.0)


def _apart(old: "pd.Series[Any]", new: "pd.Series[Any]") -> np.ndarray:
    """Return by how much cells differ, as a share of their size; infinite for texts."""
    same = ((old == new) | (old.isna() & new.isna())).to_numpy(dtype=bool)
    left, right = (pd.to_numeric(one, errors="coerce").to_numpy(float) for one in (old, new))
    gap = np.abs(left - right) / np.maximum(1.0, np.abs(left))
    return np.where(same, 0.0, np.where(np.isfinite(gap), gap, np.inf))


def _cells(old: pd.DataFrame, new: pd.DataFrame, differing: np.ndarray) -> str:
    row, column = np.argwhere(differing)[0]
    name = old.columns[column]
    whose = ", ".join(str(old[one].iloc[row]) for one in _NAMING if one in old and one != name)
    cell = f"{name} of {whose or f'row {row + 1}'}"
    number = int(differing.sum())
    more = f" ({number} cells in {int(differing.any(axis=1).sum())} rows)" if number > 1 else ""
    return f"{cell} was {old[name].iloc[row]}, is {new[name].iloc[row]}{more}"
