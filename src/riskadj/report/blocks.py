"""What a card is built from: paragraphs, warnings, facts, tables and figures, as JSON-ready values.

Numbers keep their full precision; each column says how many decimals people want to see, and how
a missing value is worded.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

Block = dict[str, Any]
Column = dict[str, Any]

TODO_MARK = "TODO"
"""How a text begins that a person has still to write."""

SUPPRESSED = "suppressed"
_DIGEST = re.compile("[0-9a-f]{64}")


def paragraph(*sentences: str) -> Block:
    """Return sentences to read; empty ones are passed over."""
    return {"kind": "paragraph", "text": " ".join(one for one in sentences if one)}


def warning(words: str) -> Block:
    """Return what a reader must not miss."""
    return {"kind": "warning", "text": words}


def facts(items: Iterable[tuple[str, Any]], caption: str = "") -> Block:
    """Return labels with a value each; one still to be written is marked."""
    return {"kind": "facts", "caption": caption, "items": [_fact(*one) for one in items]}


def table(
    caption: str, columns: Sequence[Column], rows: Iterable[Sequence[Any]], *notes: str
) -> Block:
    """Return a table with notes below it; empty notes are passed over."""
    return {
        "kind": "table",
        "caption": caption,
        "columns": list(columns),
        "rows": [[_plain(value) for value in row] for row in rows],
        "notes": [one for one in notes if one],
        "turned": False,
    }


def turned(one: Block) -> Block:
    """Return a table that is shown with a line for each column: many figures of few things."""
    return one | {"turned": True}


def figure(file: str, alt: str, caption: str) -> Block:
    """Return a figure, by the name of its file and with what it shows in words."""
    return {"kind": "figure", "file": file, "alt": alt, "caption": caption}


# --- columns of a table ---------------------------------------------------------------------------


def text(label: str, *, code: bool = False) -> Column:
    """Return a column of words, or of code and digests."""
    return {"label": label, "format": "code" if code else "text", "missing": ""}


def number(label: str, decimals: int | None = 0, missing: str = SUPPRESSED) -> Column:
    """Return a column of numbers; without decimals each has three significant digits."""
    return {"label": label, "format": "number", "decimals": decimals, "missing": missing}


def percent(label: str, missing: str = "") -> Column:
    """Return a column of shares, shown as percentages."""
    return {"label": label, "format": "percent", "decimals": 1, "missing": missing}


def estimate(label: str, decimals: int | None) -> Column:
    """Return a column of estimates with their interval, three numbers each."""
    return {"label": label, "format": "estimate", "decimals": decimals, "missing": SUPPRESSED}


def estimated(middle: float, low: float, high: float) -> list[float] | None:
    """Return a value for a column of estimates; none where there is no estimate."""
    return [middle, low, high] if np.isfinite([middle, low, high]).all() else None


# --- values as JSON has them ----------------------------------------------------------------------


def _fact(label: str, value: Any) -> dict[str, Any]:
    plain = _plain(value)
    todo = isinstance(plain, str) and plain.startswith(TODO_MARK)
    return {"label": label, "value": plain, "format": _format_of(plain), "todo": todo}


def _format_of(value: Any) -> str:
    if isinstance(value, (int, float)):
        return "number"
    return "code" if _DIGEST.fullmatch(str(value)) else "text"


def _plain(value: Any) -> Any:
    """Return a value as JSON has it: null for missing, Python's own numbers, lists."""
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    if value is None or pd.isna(value):
        return None
    plain = value.item() if hasattr(value, "item") else value
    return int(plain) if isinstance(plain, float) and plain.is_integer() else plain
