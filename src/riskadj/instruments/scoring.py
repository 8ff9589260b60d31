"""From items to scores, whole columns at a time.

Every rule is a table made once: by number of items missing and sum of the levels, or by profile.
Scoring a row is reading one number of that table, so no rule is slower than another.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from riskadj.errors import ValuesError
from riskadj.instruments.registry import Instrument, with_value_set
from riskadj.instruments.value_sets import SHIPPED, ValueSet

Sums = NDArray[np.int_]

BLOCK = 32_768
"""Rows at a time: what is made on the way stays within the processor's cache."""


def score(
    instrument: Instrument, items: ArrayLike, value_set: ValueSet | str | None = None
) -> NDArray[np.float64]:
    """Score every row of a table of items.

    Parameters
    ----------
    instrument : Instrument
        Which rule to apply.
    items : array-like of shape (n_episodes, n_items)
        Item codes within the instrument's `item_range`; NaN where missing. One column of scores
        for an instrument whose score is asked for directly.
    value_set : ValueSet, str or None
        For an EQ-5D instrument that has none of its own; a name is looked up among those that
        come with the package.

    Returns
    -------
    ndarray of shape (n_episodes,)
        Scores in the instrument's unit; NaN where too many items are missing.

    Raises
    ------
    ValuesError
        When the number of items is not the instrument's, a code is not one of its codes, or the
        value set is missing or not one for it.
    UnknownNameError
        When there is no value set of that name.

    Notes
    -----
    A sum with missing items is the mean of those answered times the number of items, allowed for
    up to `max_missing` items (NHS England, A Guide to PROMs Methodology, version 12). A percentage
    is `100 * sum / (highest code * answered)`; KOOS and HOOS turn it round.

    Examples
    --------
    >>> from riskadj.instruments import instrument
    >>> score(instrument("EQ5D3L_UK_TTO"), [[1, 1, 1, 1, 1], [2, 3, 3, 1, 2]])
    array([1.   , 0.202])
    >>> score(instrument("EQ5D3L"), [[2, 3, 3, 1, 2]], value_set="EQ-5D-3L/TTO/UK")
    array([0.202])
    """
    chosen = _with_chosen(instrument, value_set)
    codes = _as_table(chosen, items)
    if chosen.rule == "as_answered":
        return _as_answered(chosen, codes)
    look_up = _by_profile if chosen.rule == "value_set" else _by_sum
    scores = np.empty(len(codes))
    for start in range(0, len(codes), BLOCK):
        rows = slice(start, start + BLOCK)
        scores[rows] = look_up(chosen, *_levels(chosen, codes, rows))
    return scores


# --- what came ------------------------------------------------------------------------------------


def _with_chosen(instrument: Instrument, value_set: ValueSet | str | None) -> Instrument:
    if value_set is not None:
        found = SHIPPED.find(value_set) if isinstance(value_set, str) else value_set
        return with_value_set(instrument, found)
    if instrument.rule != "value_set" or instrument.value_set is not None:
        return instrument
    known = SHIPPED.of_version(instrument.version)
    raise ValuesError(
        f"{instrument.id}: wanted a value set among {', '.join((*known, 'those of a folder'))}; "
        "got none. Choose one with value_set=, or read_value_sets(folder).find(...)."
    )


def _as_table(instrument: Instrument, items: ArrayLike) -> NDArray[Any]:
    codes = np.atleast_2d(_as_numbers(instrument, items))
    wanted = max(instrument.items, 1)
    if codes.ndim != 2 or codes.shape[1] != wanted:
        raise ValuesError(
            f"{instrument.id}: wanted {wanted} items per episode; got {codes.shape[-1]}"
            f"{'.' if codes.ndim == 2 else f' in {codes.ndim} dimensions.'}"
        )
    return codes


def _as_numbers(instrument: Instrument, items: ArrayLike) -> NDArray[Any]:
    """Leave whole numbers as they are: a copy as floats is what takes time."""
    codes = np.asarray(items)
    if codes.dtype.kind in "iuf":
        return codes
    try:
        if hasattr(items, "to_numpy"):
            return np.asarray(items.to_numpy(dtype=float, na_value=np.nan))
        return np.asarray(items, dtype=float)
    except (TypeError, ValueError):
        raise ValuesError(
            f"{instrument.id}: wanted codes as numbers, NaN where missing; got others. Turn them "
            "into numbers first."
        ) from None


def _levels(
    instrument: Instrument, codes: NDArray[Any], rows: slice
) -> tuple[NDArray[np.int8], NDArray[np.int64] | None]:
    """Return codes above the lowest, one row per item, and how many are missing, if any are."""
    block = codes[rows].T
    with np.errstate(invalid="ignore"):
        levels = block.astype(np.int8, order="C")
    low, high = instrument.item_range
    known = levels == block
    known &= (levels >= low) & (levels <= high)
    levels -= np.int8(low)
    if known.all():
        return levels, None
    unknown = ~known
    if not np.isnan(block[unknown]).all():
        raise _wrong_codes(instrument, codes)
    levels[unknown] = 0
    return levels, unknown.sum(axis=0)


def _wrong_codes(instrument: Instrument, codes: NDArray[Any]) -> ValuesError:
    low, high = instrument.item_range if instrument.items else instrument.score_range
    wrong = ~np.isnan(codes) & ~((codes >= low) & (codes <= high))
    if instrument.items:
        with np.errstate(invalid="ignore"):
            wrong |= ~np.isnan(codes) & (codes != np.floor(codes))
    row, column = np.argwhere(wrong)[0]
    return ValuesError(
        f"{instrument.id}: wanted codes from {low:g} to {high:g}; got {codes[row, column]:g} "
        f"for item {column + 1} in row {row + 1} ({wrong.any(axis=1).sum()} rows in all)."
    )


# --- what it is worth -----------------------------------------------------------------------------


def _as_answered(instrument: Instrument, codes: NDArray[Any]) -> NDArray[np.float64]:
    answers = codes[:, 0]
    low, high = instrument.score_range
    if not (np.isnan(answers) | ((answers >= low) & (answers <= high))).all():
        raise _wrong_codes(instrument, codes)
    return answers.astype(float)


def _by_profile(
    instrument: Instrument, levels: NDArray[np.int8], missing: NDArray[np.int64] | None
) -> NDArray[np.float64]:
    assert instrument.value_set is not None
    base = np.int16(instrument.value_set.levels)
    place = levels[0].astype(np.int16)
    for level in levels[1:]:
        place *= base
        place += level
    values = instrument.value_set.values[place]
    return values if missing is None else np.where(missing > 0, np.nan, values)


def _by_sum(
    instrument: Instrument, levels: NDArray[np.int8], missing: NDArray[np.int64] | None
) -> NDArray[np.float64]:
    table = _table_by_sum(instrument)
    total = levels.sum(axis=0, dtype=np.int16)
    return np.asarray(table[0, total] if missing is None else table[missing, total])


@cache
def _table_by_sum(instrument: Instrument) -> NDArray[np.float64]:
    """Return the score by number of items missing and sum of levels; NaN where there is none."""
    low, high = instrument.item_range
    table = np.full((instrument.items + 1, instrument.items * (high - low) + 1), np.nan)
    for missing in range(instrument.max_missing + 1):
        answered = instrument.items - missing
        sums = np.arange(answered * (high - low) + 1)
        table[missing, sums] = _RULES[instrument.rule](instrument, sums, answered)
    return table


def _sum(instrument: Instrument, sums: Sums, answered: int) -> NDArray[np.float64]:
    lowest = instrument.item_range[0] * instrument.items
    return lowest + sums * instrument.items / answered


def _percentage(instrument: Instrument, sums: Sums, answered: int) -> NDArray[np.float64]:
    low, high = instrument.item_range
    return 100 * sums / ((high - low) * answered)


def _health_percentage(instrument: Instrument, sums: Sums, answered: int) -> NDArray[np.float64]:
    return 100 - _percentage(instrument, sums, answered)


def _conversion(instrument: Instrument, sums: Sums, _answered: int) -> NDArray[np.float64]:
    return np.array(instrument.conversion)[sums]


_RULES: dict[str, Callable[[Instrument, Sums, int], NDArray[np.float64]]] = {
    "sum": _sum,
    "percentage": _percentage,
    "health_percentage": _health_percentage,
    "conversion": _conversion,
}
