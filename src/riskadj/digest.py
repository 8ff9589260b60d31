"""Digests: short names for content, so that results can be traced to what they were made from."""

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


_ROWS = 250_000
"""Of a table that are looked at together: a text takes many times its room meanwhile."""


def digest_of_file(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, as hexadecimal text."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def digest_of_bytes(content: bytes) -> str:
    """Return the SHA-256 of some bytes, as hexadecimal text."""
    return hashlib.sha256(content).hexdigest()


def digest_of_json(value: Any) -> str:
    """Return the SHA-256 of a JSON-like value, whatever the order of its keys.

    Examples
    --------
    >>> digest_of_json({"a": 1, "b": 2}) == digest_of_json({"b": 2, "a": 1})
    True
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def digest_of_frame(frame: "pd.DataFrame", *parents: str) -> str:
    """Return the SHA-256 of a frame's column names, values and row order, and of its parents.

    Naming the digests of the parents makes a chain: a result's digest changes when
    anything that it came from does.
    """
    import pandas as pd

    digest = hashlib.sha256()
    for parent in parents:
        digest.update(parent.encode())
    for name in frame.columns:
        digest.update(str(name).encode())
        for start in range(0, len(frame), _ROWS):
            some = frame[name].iloc[start : start + _ROWS]
            digest.update(pd.util.hash_pandas_object(some, index=False).to_numpy().tobytes())
    return digest.hexdigest()
