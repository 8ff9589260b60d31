"""Which rows of a table to hide, so that no small number follows from what is shown.

The rows of a set that are hidden follow together from its total. So they are two or more, and what
they hold together is not small either (secondary suppression; Willenborg and de Waal 2001, Elements
of Statistical Disclosure Control, chapter 6; Hundepool and others 2012, Statistical Disclosure
Control, chapter 4). Where other tables tell between which numbers a hidden one is, as nobody
answered who was not asked, what is left open is no narrower than a small number is either. Whether
that is enough is tried in `tests/security`, with a linear programme over all that is shown.
"""

from typing import NamedTuple, TypeVar

import numpy as np
import pandas as pd

_Counts = TypeVar("_Counts", pd.Series, pd.DataFrame)
Sets = list[pd.Series]
"""What the rows of one set have in common, by row."""


class Known(NamedTuple):
    """What other tables tell of the counts of every row.

    Attributes
    ----------
    low, high : Series
        The least and the most that it can be.
    open : Series of bool
        Where the most is itself hidden, and only known of all such rows together.
    """

    low: pd.Series
    high: pd.Series
    open: pd.Series


def is_small(counts: _Counts, below: int) -> _Counts:
    """Return which counts are small: fewer than `below`, and any at all."""
    return (counts > 0) & (counts < below)


def least_of(counts: pd.DataFrame) -> pd.Series:
    """Return the smallest count of each row that is above 0; 0 where there is none."""
    return counts.where(counts > 0).min(axis=1).fillna(0)


def as_small(counts: pd.Series, which: pd.Series, below: int) -> pd.Series:
    """Return counts that are small in some rows, whatever they were: others tell enough of them."""
    return counts.mask(which, min(1, below - 1))


def hide(sizes: pd.Series, records: pd.Series, below: int, sets: Sets) -> pd.Series:
    """Return which rows to hide: those of small size, and as many more as keep them from view.

    Parameters
    ----------
    sizes : Series
        By which a row is small.
    records : Series
        What is summed: rows that hold nothing keep nobody from view.
    below : int
    sets : list of Series
        Rows alike in all of them are a set, the total of which is known.
    """
    return complete(is_small(sizes, below), records, below, sets)


def complete(
    hidden: pd.Series, records: pd.Series, below: int, sets: Sets, known: Known | None = None
) -> pd.Series:
    """Return which rows to hide besides some, the smallest first, until no set tells of them."""
    hidden = hidden.copy()
    numbered = records.groupby(records.groupby(sets, sort=False).ngroup(), sort=False)
    for rows in numbered.groups.values():
        holding = records.loc[rows][records.loc[rows] > 0].sort_values(kind="stable")
        out = hidden.loc[holding.index]
        while out.any() and not out.all() and _tells(holding[out], below, known):
            out[out.idxmin()] = True
        hidden.loc[holding.index] = out
    return hidden


def _tells(hidden: pd.Series, below: int, known: Known | None) -> bool:
    """Whether hidden rows that hold anybody follow from their total, or nearly."""
    if len(hidden) < 2 or hidden.sum() < below:
        return True
    if known is None:
        return False
    low, high, is_open = (one[hidden.index] for one in known)
    above, under = hidden - low, (high - hidden).clip(lower=0)
    down = np.minimum(above, under.sum() - under.mask(is_open, -hidden))
    up = np.minimum(under.mask(is_open, np.inf), above.sum() - above)
    return bool((down + up)[is_small(hidden, below)].lt(below).any())


def complete_all(
    hidden: pd.Series, counts: pd.DataFrame, below: int, sets: Sets, known: Known | None = None
) -> pd.Series:
    """Return which rows to hide besides some, where a row holds several counts, each with totals.

    Whoever is hidden for the sake of one count has to be kept from view in the others.
    """
    while True:
        more = hidden
        for name in counts:
            more = complete(more, counts[name].fillna(0), below, sets, known)
        if more.equals(hidden):
            return hidden
        hidden = more


def blank(table: pd.DataFrame, hidden: pd.Series, keys: tuple[str, ...]) -> pd.DataFrame:
    """Return a table without the figures of hidden rows; whole numbers stay whole."""
    figures = [name for name in table.columns if name not in keys]
    blanked = table.copy()
    whole = [name for name in figures if pd.api.types.is_integer_dtype(blanked[name])]
    blanked[whole] = blanked[whole].astype("Int64")
    blanked.loc[hidden, whole] = pd.NA
    blanked.loc[hidden, [name for name in figures if name not in whole]] = np.nan
    return blanked
