"""What two releases tell together that neither tells alone.

Each release hides small numbers. Two of nearly the same patients, an episode more, a year more, an
exclusion more, tell by subtraction of those who are in one of them only: if these are few, their
number follows, and from two means what they have on average. So releases are held against each
other before the second one leaves.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd

from riskadj.report.folder import read_json, read_provenance

TOLD_COLUMNS = ["table", "row", "count", "a", "b", "difference", "why"]
BY_DIFFERENCE = "the same row, and few are in one release only"
BY_TOTAL = "hidden in both: totals less the rows shown differ by few"
BY_ONE = "hidden in one release, and shown in the other with hardly more than few"


class _Table(NamedTuple):
    """How many patients the rows of a table are about.

    Attributes
    ----------
    keys : tuple of str
        By which a row is known again.
    counts : tuple of str
    is_whole : bool
        Whether rows that are hidden are blank; else they are left out.
    adds_up : bool
        Whether rows that differ in the last key alone add up to the episodes compared.
    """

    keys: tuple[str, ...]
    counts: tuple[str, ...]
    is_whole: bool = True
    adds_up: bool = False


_PAIR = ("outcome", "learner")
_BOTH = ("outcome", "cost_outcome", "learner", "cost_learner", "provider_id")
_ASKED = ("procedures", "q1", "linked", "q2_sent", "q2_returned", "answered")
TABLES: Mapping[str, _Table] = {
    "flow.csv": _Table(("outcome", "station", "reason"), ("left", "remaining")),
    "providers.csv": _Table((*_PAIR, "provider_id"), ("n", "episodes"), adds_up=True),
    "rates.csv": _Table(("outcome", "source", "provider_id"), _ASKED),
    "follow_up.csv": _Table((*_PAIR, "provider_id"), ("eligible", "answered"), is_whole=False),
    "value.csv": _Table(_BOTH, ("n_both",)),
    "subgroups.csv": _Table((*_PAIR, "column", "level"), ("n",), adds_up=True),
    "groups.csv": _Table((*_PAIR, "fold", "group", "level"), ("n",)),
    "social.csv": _Table((*_PAIR, "mode", "provider_id", "stratum"), ("n",), is_whole=False),
    "drift.csv": _Table(
        (*_PAIR, "part", "column", "level", "provider_id", "to_period"), ("n_from", "n_to"), False
    ),
    "gaming.csv": _Table((*_PAIR, "action", "column"), ("patients",), is_whole=False),
}
"""Files of a run folder that tell how many patients something is about, and not by rank alone."""
_RANKED = ("(provider volume)",)
"""Columns whose levels are not the same patients in two releases."""


@dataclass(frozen=True)
class _Release:
    folder: Path
    below: int
    totals: Mapping[tuple[str, str], float]

    @classmethod
    def of(cls, folder: str | Path) -> "_Release":
        folder = Path(folder)
        there = [one for one in TABLES if (folder / one).is_file()]
        read_provenance(folder, ["study.json", "metrics.json", *there])
        metrics = read_json(folder / "metrics.json")
        totals = {
            (outcome, learner): float(found["n"])
            for outcome, learners in metrics.items()
            for learner, found in learners.items()
            if found.get("n") is not None
        }
        below = int(read_json(folder / "study.json")["profile"]["suppress_below"])
        return cls(folder, below, totals)

    def counts(self, name: str) -> pd.DataFrame:
        """Return the counts of a table, infinite where hidden; empty where there is no such one."""
        path, (keys, counts, *_) = self.folder / name, TABLES[name]
        if not path.is_file():
            return pd.DataFrame(columns=[*keys, *counts]).set_index([*keys])
        read = pd.read_csv(path, dtype=str, keep_default_na=False)
        known = read.reindex(columns=[*keys, *counts]).drop_duplicates([*keys]).set_index([*keys])
        return known.apply(pd.to_numeric, errors="coerce").fillna(np.inf)


def told_by_both(a: str | Path, b: str | Path, below: int | None = None) -> pd.DataFrame:
    """Return the rows of two releases that tell of few patients when held against each other.

    Parameters
    ----------
    a, b : str or Path
        Run folders, of which everything but the files by episode is taken to be known.
    below : int, optional
        Fewer than this are few; without it, the larger `profile.suppress_below` of the two.

    Returns
    -------
    DataFrame
        `table, row, count, a, b, difference, why`: a line for each number of patients that differs
        by few. `row` is what the row is called; null where a release hides the number. Empty where
        both together tell no more than each.

    Raises
    ------
    FileMissingError, FileFormatError
        When a folder is none of a finished run, or was changed.

    Notes
    -----
    Levels that are cut by rank, such as thirds of providers by volume, are not the same patients in
    two releases and are passed over. Where as many patients left as came, no count differs: that
    others are behind it is seen by its mean alone, and is not looked for.
    """
    first, second = _Release.of(a), _Release.of(b)
    few = max(first.below, second.below) if below is None else below
    rows = [row for name in TABLES for row in _of_table(name, first, second, few)]
    return pd.DataFrame(rows, columns=TOLD_COLUMNS)


def _of_table(name: str, a: _Release, b: _Release, below: int) -> Iterator[tuple[Any, ...]]:
    rule, old, new = TABLES[name], a.counts(name), b.counts(name)
    join: Literal["outer", "inner"] = "outer" if rule.is_whole else "inner"
    for count in rule.counts:
        both = pd.concat({"a": old[count], "b": new[count]}, axis=1, join=join)
        both = both.fillna(0.0).astype(float)  # a row that is not there holds nobody
        ranked = [any(part in _RANKED for part in key) for key in both.index]
        both = both.loc[~np.array(ranked, dtype=bool)]
        found = [*_differing(both, below), *_shown_once(both, below)]
        if rule.adds_up and count == "n":
            found += _rests(both, (a, b), below)
        yield from ((name, row, count, *numbers, why) for row, numbers, why in found)


_Found = Iterator[tuple[str, tuple[float | None, ...], str]]


def _differing(both: pd.DataFrame, below: int) -> _Found:
    shown = both[np.isfinite(both).all(axis=1)]
    away = shown["b"] - shown["a"]
    for key, (old, new) in shown[away.abs().between(1, below - 1)].iterrows():
        yield _named(key), (old, new, new - old), BY_DIFFERENCE


def _shown_once(both: pd.DataFrame, below: int) -> _Found:
    """Yield rows that one release hides, and the other shows to be nearly small."""
    shown = both.min(axis=1)
    once = np.isinf(both).sum(axis=1) == 1
    for key, row in both[once & shown.between(below, 2 * below - 2)].iterrows():
        yield (
            _named(key),
            tuple(one if np.isfinite(one) else None for one in (*row, np.inf)),
            BY_ONE,
        )


def _rests(both: pd.DataFrame, releases: Sequence[_Release], below: int) -> _Found:
    """Yield sets whose hidden rows together differ by few."""
    for key, rows in both.groupby(level=[*range(both.index.nlevels - 1)], sort=False):
        totals = [one.totals.get(key[:2]) for one in releases]
        hidden = np.isinf(rows).any(axis=1)
        if None in totals or not hidden.any():
            continue
        shown = rows[~hidden].sum()
        old, new = (total - shown[side] for total, side in zip(totals, "ab", strict=True))
        if 0 < abs(new - old) < below:
            yield f"{_named(key)}: {int(hidden.sum())} hidden", (old, new, new - old), BY_TOTAL


def _named(key: tuple[str, ...]) -> str:
    return ", ".join(one for one in key if one)
