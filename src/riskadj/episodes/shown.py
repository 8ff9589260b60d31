"""What an error shows of a cell: what helps to mend it, and nothing that could be a patient's.

What columns of identifiers hold is never shown. But cells stray: in a file whose columns are
shifted, the number of a patient stands under `sex`. So what looks like an identifier is not shown
either, wherever it stands.
"""

import math
import re
from collections.abc import Iterable

NOT_SHOWN = "(not shown)"
LONGEST = 24
"""Signs of a text that may be shown."""
MOST_DIGITS = 6
"""Digits of a text that may be shown; patients' numbers have more."""
_DATE = re.compile(r"(?:\d{1,4}[-./]\d{1,2}[-./]\d{1,4}|\d{8})(?:[ T]\d\d:\d\d(?::\d\d)?)?")


def shown_cell(value: object) -> str:
    """Return a cell as an error shows it.

    Examples
    --------
    >>> shown_cell("M"), shown_cell(-3.0), shown_cell("2019-02-30"), shown_cell(float("nan"))
    ('M', '-3', '2019-02-30', 'nothing')
    >>> shown_cell("943 476 5919"), shown_cell(9434765919.0)
    ('(not shown)', '(not shown)')
    """
    if isinstance(value, float):
        if math.isnan(value):
            return "nothing"
        return f"{value:g}" if abs(value) < 10**MOST_DIGITS or math.isinf(value) else NOT_SHOWN
    text = str(value).strip()
    few_digits = sum(one.isdigit() for one in text) <= MOST_DIGITS
    fits = text.isprintable() and len(text) <= LONGEST and (few_digits or _DATE.fullmatch(text))
    return text if fits else NOT_SHOWN


def shown_list(values: Iterable[object]) -> str:
    """Return cells as an error shows them, one after another.

    Examples
    --------
    >>> shown_list(["M", "943 476 5919"])
    'M, (not shown)'
    """
    return ", ".join(map(shown_cell, values))
