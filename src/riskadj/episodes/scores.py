"""Scores out of items, for every instrument that the table has items of."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from riskadj.episodes.validation import EXAMPLES, Fault
from riskadj.errors import StudyError
from riskadj.instruments import INSTRUMENTS, Instrument, ValueSet, score

ROUNDS = ("q1", "q2")
MOST_DECIMALS = 3
"""A supplied score may be rounded to so many decimals, or fewer, and still be the same score."""


def add_scores(
    table: pd.DataFrame, value_sets: Mapping[str, ValueSet] | None = None
) -> tuple[pd.DataFrame, list[Fault]]:
    """Score the items and hold the result against any score supplied.

    Parameters
    ----------
    table : DataFrame
    value_sets : mapping of str to ValueSet, optional
        By the id of the instrument that has none of its own.

    Raises
    ------
    StudyError
        When there are items of an instrument that needs a value set and has none.

    Returns
    -------
    table : DataFrame
        With `q1_score_<measure>` and `q2_score_<measure>` computed from items; a supplied score
        stands where no item is answered.
    faults : list of Fault
        Supplied scores that are not what their items give, be it nothing.
    """
    scored: dict[str, pd.Series] = {}
    faults: list[Fault] = []
    for one in INSTRUMENTS.values():
        for q in ROUNDS:
            items = item_columns(one, q)
            if items and set(items) <= set(table.columns):
                name = f"{q}_score_{one.measure}"
                computed = _score(one, table[items], (value_sets or {}).get(one.id))
                supplied = table[name] if name in table.columns else computed
                faults += _disagreement(name, computed, supplied)
                faults += _out_of_too_few(name, table[items], computed, supplied)
                scored[name] = supplied.fillna(computed)
    return table.assign(**scored), faults


def item_columns(one: Instrument, q: str) -> list[str]:
    """Return the names of an instrument's item columns in one round of questions.

    Examples
    --------
    >>> from riskadj.instruments import instrument
    >>> item_columns(instrument("EQ5D3L_UK_TTO"), "q1")[0]
    'q1_item_eq5d_01'
    """
    return [f"{q}_item_{one.measure}_{number:02d}" for number in range(1, one.items + 1)]


def _score(one: Instrument, items: pd.DataFrame, value_set: ValueSet | None) -> pd.Series:
    """Score the rows whose codes are codes; the others are faults already."""
    if one.rule == "value_set" and one.value_set is None and value_set is None:
        raise StudyError(
            f"data.value_sets: wanted a value set for {one.id}, whose items the episodes hold; "
            "got none. Name a folder of value sets, and which of them."
        )
    codes = items.to_numpy(dtype=float)
    low, high = one.item_range
    known = np.isnan(codes) | ((codes >= low) & (codes <= high) & (codes == np.floor(codes)))
    return pd.Series(score(one, np.where(known, codes, np.nan), value_set), index=items.index)


def _rounding(supplied: pd.Series) -> float:
    """Return half a unit of the last decimal that the supplied scores have."""
    known = supplied.dropna().to_numpy(dtype=float)
    for decimals in range(MOST_DECIMALS):
        if np.allclose(known, np.round(known, decimals), rtol=0, atol=1e-9):
            return 0.5 * 10.0**-decimals + 1e-9
    return 0.5 * 10.0**-MOST_DECIMALS


def _out_of_too_few(
    name: str, items: pd.DataFrame, computed: pd.Series, supplied: pd.Series
) -> list[Fault]:
    """Return supplied scores whose items are answered in part, and too few for a score."""
    wrong = items.notna().any(axis=1) & computed.isna() & supplied.notna()
    if not wrong.any():
        return []
    rows = np.flatnonzero(wrong.to_numpy())[:EXAMPLES]
    answered = items.notna().sum(axis=1)
    examples = tuple(
        (int(row) + 1, f"{supplied.iloc[row]:g} with {answered.iloc[row]} of {items.shape[1]}")
        for row in rows
    )
    return [
        Fault(name, "no score, as too few of its items are answered", int(wrong.sum()), examples)
    ]


def _disagreement(name: str, computed: pd.Series, supplied: pd.Series) -> list[Fault]:
    wrong = (computed - supplied).abs() > _rounding(supplied)
    if not wrong.any():
        return []
    rows = np.flatnonzero(wrong.to_numpy())[:EXAMPLES]
    examples = tuple(
        (int(row) + 1, f"{supplied.iloc[row]:g}, its items give {computed.iloc[row]:g}")
        for row in rows
    )
    return [Fault(name, "the score that its items give", int(wrong.sum()), examples)]
