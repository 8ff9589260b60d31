"""Changes of chance to good files, each decided by some bytes: the same bytes, the same change.

Bytes come from Hypothesis or from a fuzzer, which learns which of them lead somewhere new.
"""

import copy
import io
import json
from collections.abc import Callable
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

STRANGE: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2, 0.5, -0.0, 1e308, 10**30, 10**400, float("nan"), float("inf"),
    "", " ", "a", "0", "nan", "true", "../../etc", "a\0b", "\x1b[2J", "\u202eb", "\u0663", "<b>",
    "=1+1", "x" * 5000, "2021-02-30", "0001-01-01", "9999-12-31", "2021/22", "\ud800", [], [[]],
    {}, {"": None}, {"kind": "linear"}, {"kind": "x"}, ["a", "a"], [None], [1, "a", {}],
)  # fmt: skip
TEXTS = (
    "", " ", "0", "-1", "1.5", "1e400", "9" * 400, "nan", "inf", "-", "*", "x", "true", "\0",
    "\x1b[2J", "\u0663", "2021-02-30", "0001-01-01", "31/12/2021", "2021-01-01T00:00:00Z", '"', ",",
    "\n", "'", "=1+1", "<b>", "x" * 2000, "943 476 5919", "\u2028", "\ufeff",
)  # fmt: skip
BYTES = (
    b"",
    b"\0",
    b"\xff",
    b'"',
    b"\n",
    b",",
    b"\r",
    b"{",
    b"[" * 70,
    b"\xef\xbb\xbf",
    b"\x1f\x8b",
)
ARRAYS: tuple[Callable[[int], pa.Array], ...] = (
    pa.nulls,
    lambda n: pa.array([True] * n),
    lambda n: pa.array([2**63 - 1] * n),
    lambda n: pa.array([float("nan")] * n),
    lambda n: pa.array([float("-inf")] * n),
    lambda n: pa.array(["\0"] * n),
    lambda n: pa.array([b"\xff"] * n),
    lambda n: pa.array([[1, 2]] * n),
    lambda n: pa.array([{"a": 1}] * n),
    lambda n: pa.array([pd.Timestamp("2021-05-05", tz="UTC")] * n),
    lambda n: pa.array([pd.Timedelta(1, "D")] * n),
    lambda n: pa.array([10**30] * n, pa.decimal128(38, 2)),
    lambda n: pa.array([0] * n, pa.date32()),
    lambda n: pa.array(["a"] * n).dictionary_encode(),
    lambda n: pa.array([[("a", 1)]] * n, pa.map_(pa.string(), pa.int64())),
    lambda n: pa.array([1] * n, pa.uint8()),
    lambda n: pa.array([1.5] * n, pa.float16()),
)


class Choices:
    """Decisions out of bytes; when they are used up, the first of whatever there is."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def below(self, many: int) -> int:
        """Return a number from 0 to below many."""
        two = self.data[self.at : self.at + 2]
        self.at += 2
        return int.from_bytes(two, "little") % max(many, 1)

    def of(self, some: Any) -> Any:
        """Return one of some."""
        return some[self.below(len(some))]

    @property
    def is_used_up(self) -> bool:
        """Whether there is nothing left to decide with."""
        return self.at >= len(self.data)


def spoil_json(good: bytes, data: bytes) -> bytes:
    """Change a few parts of a JSON text, or of a YAML text that is one."""
    content = json.loads(good)
    choices = Choices(data)
    for _ in range(1 + choices.below(3)):
        content = _change_part(content, choices)
        if choices.is_used_up:
            break
    return json.dumps(content, indent=1).encode()


def _change_part(content: Any, choices: Choices) -> Any:
    places = list(_places(content))
    if not places:
        return copy.deepcopy(choices.of(STRANGE))
    inside, key = choices.of(places)
    act = choices.below(6)
    if act == 0:
        del inside[key]
    elif act == 1:
        other, from_key = choices.of(places)
        inside[key] = copy.deepcopy(other[from_key])
    elif act == 2:
        inside[key] = [inside[key]] * (1 + choices.below(3))
    elif act == 3 and isinstance(inside, dict):
        inside[str(choices.of(TEXTS))] = inside.pop(key)
    else:
        inside[key] = copy.deepcopy(choices.of(STRANGE))
    return content


def _places(content: Any) -> Any:
    """Yield every part of nested content, as what it is in and its key there."""
    pairs = content.items() if isinstance(content, dict) else enumerate(content)
    for key, value in list(pairs):
        yield content, key
        if isinstance(value, (dict, list)):
            yield from _places(value)


def spoil_csv(good: bytes, data: bytes) -> bytes:
    """Change a few cells, columns or rows of a CSV table."""
    table = pd.read_csv(io.BytesIO(good), dtype=str, keep_default_na=False, encoding="latin-1")
    choices = Choices(data)
    for _ in range(1 + choices.below(3)):
        table = _change_table(table, choices)
        if choices.is_used_up or table.empty:
            break
    return table.to_csv(index=False).encode("utf-8", "surrogatepass")


def _change_table(table: pd.DataFrame, choices: Choices) -> pd.DataFrame:
    column = choices.below(len(table.columns))
    act = choices.below(7)
    name = table.columns[column]
    if act == 0:
        return table.drop(columns=name)
    if act == 1:
        return table.rename(columns={name: choices.of((*table.columns, *TEXTS))})
    if act == 2:
        return table.iloc[[choices.below(len(table)) for _ in range(1 + choices.below(40))]]
    if act == 3:
        return table.assign(**{name: choices.of(TEXTS)})
    if act == 4:
        return table.assign(**{name: table[choices.of(list(table.columns))]})
    table = table.copy()
    table.iloc[choices.below(len(table)), column] = choices.of(TEXTS)
    return table


def spoil_parquet(good: bytes, data: bytes) -> bytes:
    """Put an array of another type in the place of columns, or change bytes."""
    choices = Choices(data)
    if choices.below(3) == 0:
        return spoil_bytes(good, data[2:])
    table = pq.read_table(io.BytesIO(good))
    for _ in range(1 + choices.below(2)):
        name = choices.of(table.column_names)
        array = choices.of(ARRAYS)(len(table))
        table = table.set_column(table.column_names.index(name), name, array)
    made = io.BytesIO()
    pq.write_table(table, made, row_group_size=1 + choices.below(200))
    return made.getvalue()


def spoil_bytes(good: bytes, data: bytes) -> bytes:
    """Change, insert, remove or repeat a few bytes, or cut the rest off."""
    content, choices = bytearray(good), Choices(data)
    for _ in range(1 + choices.below(4)):
        at = choices.below(len(content) + 1)
        act = choices.below(5)
        if act == 0:
            del content[at:]
        elif act == 1:
            content[at : at + 1] = choices.of(BYTES)
        elif act == 2:
            content[at:at] = content[at : at + choices.below(200)]
        elif act == 3:
            del content[at : at + choices.below(50)]
        else:
            content[at : at + 1] = bytes([choices.below(256)])
        if choices.is_used_up:
            break
    return bytes(content)
