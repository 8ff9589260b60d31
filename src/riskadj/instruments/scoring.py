"""From items to scores, whole columns at a time."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from riskadj.errors import ValuesError
from riskadj.instruments.registry import Instrument, LevelWeights

VALUE_SET_DECIMALS = 3
"""Value sets are published to three decimals; sums of them are exact there and nowhere further."""


def score(instrument: Instrument, items: ArrayLike) -> NDArray[np.float64]:
    """Score every row of a table of items.

    Parameters
    ----------
    instrument : Instrument
        Which rule to apply.
    items : array-like of shape (n_episodes, n_items)
        Item codes within the instrument's `item_range`; NaN where missing.

    Returns
    -------
    ndarray of shape (n_episodes,)
        Scores in the instrument's unit; NaN where too many items are missing.

    Raises
    ------
    ValuesError
        When the number of items is not the instrument's, or a code is not one of its codes.

    Notes
    -----
    A sum with missing items is the mean of those answered times the number of items, allowed for
    up to `max_missing` items (NHS England, A Guide to PROMs Methodology, version 12).

    Examples
    --------
    >>> from riskadj.instruments import instrument
    >>> score(instrument("EQ5D3L_UK_TTO"), [[1, 1, 1, 1, 1], [2, 3, 3, 1, 2]])
    array([1.   , 0.202])
    """
    codes = np.atleast_2d(np.asarray(items, dtype=float))
    _check_items(instrument, codes)
    if instrument.items == 0:
        return codes[:, 0].copy()
    missing = np.isnan(codes).sum(axis=1)
    scores = (
        _sum_with_imputation(codes, missing)
        if instrument.value_set is None
        else _apply_weights(instrument.value_set, codes, instrument.item_range[0])
    )
    return np.where(missing > instrument.max_missing, np.nan, scores)


def _check_items(instrument: Instrument, codes: NDArray[np.float64]) -> None:
    wanted = max(instrument.items, 1)
    if codes.shape[1] != wanted:
        raise ValuesError(
            f"{instrument.id}: wanted {wanted} items per episode; got {codes.shape[1]}."
        )
    low, high = instrument.item_range if instrument.items else instrument.score_range
    answered = ~np.isnan(codes)
    wrong = answered & ((codes < low) | (codes > high))
    if instrument.items:
        wrong |= answered & (codes != np.floor(codes))
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        raise ValuesError(
            f"{instrument.id}: wanted codes from {low:g} to {high:g}; got {codes[row, column]:g} "
            f"for item {column + 1} in row {row + 1} ({wrong.any(axis=1).sum()} rows in all)."
        )


def _sum_with_imputation(
    codes: NDArray[np.float64], missing: NDArray[np.int64]
) -> NDArray[np.float64]:
    n_items = codes.shape[1]
    answered = np.maximum(n_items - missing, 1)
    return np.nansum(codes, axis=1) * n_items / answered


def _apply_weights(
    weights: LevelWeights, codes: NDArray[np.float64], best_code: int
) -> NDArray[np.float64]:
    levels = np.nan_to_num(codes - best_code).astype(np.intp)
    worst_level = len(weights.items[0]) - 1
    values = np.full(len(codes), weights.full_health)
    for item, row in enumerate(weights.items):
        values += np.asarray(row)[levels[:, item]]
    values += np.where((levels > 0).any(axis=1), weights.any_problem, 0.0)
    values += np.where((levels == worst_level).any(axis=1), weights.any_worst, 0.0)
    return np.round(values, VALUE_SET_DECIMALS)
