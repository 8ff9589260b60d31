"""Records of ours as a folder of JSON, Arrow files and models as text, and back.

What is read says which fields a record has, never what is done: the kinds of records are those of
`RECORDS`, and there is no pickle. What was at hand when a record was written, such as the case mix
that it belongs to, is named and not copied.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from riskadj.expected import Evaluation, ExpectationModel, Expectations, load_model, save_model
from riskadj.expected.crossfit import Learned
from riskadj.expected.tuning import Tuning
from riskadj.explain import Explanation
from riskadj.fairness import Fairness
from riskadj.fairness.fair import FairAdjustment
from riskadj.fairness.social import SocialAdjustment
from riskadj.followup import FollowUp
from riskadj.profile import Profiles
from riskadj.stages.tables import Node, UnkeptError, read_table, write_table
from riskadj.value import Values

RECORDS: dict[str, type[Any]] = {
    one.__name__: one
    for one in (
        Expectations, Learned, Tuning, Evaluation, Profiles, FollowUp, Fairness, SocialAdjustment,
        FairAdjustment, Explanation, Values,
    )
}  # fmt: skip
"""What stages make, by name, and every record inside."""
CONTENT = "record.json"


def write_record(value: Any, folder: Path, at_hand: Mapping[str, Any] | None = None) -> None:
    """Write what a stage made into an empty folder.

    Parameters
    ----------
    value : record, or list, tuple, mapping, table or plain value of these
    folder : Path
    at_hand : mapping of str to anything, optional
        What will be there when the record is read: it is named where it occurs. Of a column of
        texts, what a set holds is said by its places.

    Raises
    ------
    UnkeptError
        When something inside has no written form.
    OSError
    """
    writer = _Writer(folder, at_hand or {})
    content = writer.node(value)
    text = json.dumps({"sets": writer.sets, "content": content}, allow_nan=False)
    (folder / CONTENT).write_text(text, encoding="utf-8")


def read_record(folder: Path, at_hand: Mapping[str, Any] | None = None) -> Any:
    """Return what `write_record` wrote.

    Parameters
    ----------
    folder : Path
        As it was written: nobody here looks whether it is whole.
    at_hand : mapping of str to anything, optional
        The same as when it was written.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     write_record({"a": (1, float("nan"))}, Path(folder))
    ...     read_record(Path(folder))
    {'a': (1, nan)}
    """
    held = json.loads((folder / CONTENT).read_bytes())
    reader = _Reader(folder, at_hand or {})
    reader.sets += [reader.set_of(one) for one in held["sets"]]
    return reader.value(held["content"])


@dataclass
class _Writer:
    """Values to nodes: what JSON says itself stays, all else is `{kind: what}`."""

    folder: Path
    at_hand: Mapping[str, Any]
    sets: list[Node] = field(default_factory=list)
    place_of: dict[frozenset[Any], int] = field(default_factory=dict)
    count: int = 0

    def node(self, value: Any) -> Node:
        for name, one in self.at_hand.items():
            if value is one:
                return {"at hand": name}
        if value is None or type(value) in (bool, int, str):
            return value
        if type(value) is float:
            return value if np.isfinite(value) else {"float": repr(value)}
        if type(value) in _TO_NODE:
            return _TO_NODE[type(value)](self, value)
        if type(value) is RECORDS.get(type(value).__name__):
            content = {one.name: self.node(getattr(value, one.name)) for one in fields(value)}
            return {"record": [type(value).__name__, content]}
        if isinstance(value, np.generic) and value.dtype.kind in "fiub":
            return {"scalar": [value.dtype.str, self.node(value.item())]}
        raise UnkeptError(f"a value of {type(value)}")

    def file(self, suffix: str = "") -> tuple[str, Path]:
        """Return a new name in the folder."""
        name = f"{self.count}{suffix}"
        self.count += 1
        return name, self.folder / name

    def listed(self, value: Any) -> Node:
        return [self.node(one) for one in value]

    def mapping(self, value: dict[Any, Any]) -> Node:
        return {"dict": [[self.node(key), self.node(one)] for key, one in value.items()]}

    def table(self, value: pd.DataFrame) -> Node:
        name, path = self.file(".arrow")
        return {"table": [name, write_table(value, path, self.node)]}

    def column(self, value: pd.Series) -> Node:
        return {"column": [self.node(value.to_frame(0)), self.node(value.name)]}

    def array(self, value: np.ndarray) -> Node:
        if value.dtype.kind not in "fiub":
            raise UnkeptError(f"an array of {value.dtype}")
        name, path = self.file(".npy")
        np.save(path, value, allow_pickle=False)
        return {"array": name}

    def model(self, value: ExpectationModel) -> Node:
        name, path = self.file()
        save_model(value, path)
        return {"model": name}

    def set(self, value: frozenset[Any]) -> Node:
        """Write a set once, however often it occurs: learners are taught by the same episodes."""
        if value not in self.place_of:
            self.place_of[value] = len(self.sets)
            self.sets.append(self._content_of(value))
        return {"set": self.place_of[value]}

    def _content_of(self, value: frozenset[Any]) -> Node:
        if not all(type(one) is str for one in value):
            raise UnkeptError("a set of anything but texts")
        columns = (item for item in self.at_hand.items() if isinstance(item[1], pd.Series))
        for name, column in columns if value else ():
            inside = column.isin(value).to_numpy(dtype=bool)
            if inside.sum() >= len(value) and column[inside].nunique() == len(value):
                return {"of": name, "inside": self.array(np.packbits(inside))}
        return sorted(value)


_TO_NODE: dict[type[Any], Any] = {
    list: _Writer.listed,
    tuple: lambda writer, value: {"tuple": writer.listed(value)},
    dict: _Writer.mapping,
    frozenset: _Writer.set,
    pd.DataFrame: _Writer.table,
    pd.Series: _Writer.column,
    np.ndarray: _Writer.array,
    ExpectationModel: _Writer.model,
}


@dataclass
class _Reader:
    """Nodes to values: the way back of `_Writer`."""

    folder: Path
    at_hand: Mapping[str, Any]
    sets: list[frozenset[str]] = field(default_factory=list)

    def value(self, node: Node) -> Any:
        if isinstance(node, list):
            return [self.value(one) for one in node]
        if not isinstance(node, dict):
            return node
        ((kind, content),) = node.items()
        return _FROM_NODE[kind](self, content)

    def set_of(self, content: Node) -> frozenset[str]:
        if isinstance(content, list):
            return frozenset(content)
        column = self.at_hand[content["of"]]
        inside = np.unpackbits(self.value(content["inside"]), count=len(column)).astype(bool)
        return frozenset(column[inside])

    def record(self, content: Node) -> Any:
        name, held = content
        return RECORDS[name](**{key: self.value(one) for key, one in held.items()})

    def table(self, content: Node) -> pd.DataFrame:
        name, described = content
        return read_table(described, self.inside(name), self.value)

    def column(self, content: Node) -> pd.Series:
        table, name = content
        return self.value(table).iloc[:, 0].rename(self.value(name))

    def inside(self, name: str) -> Path:
        """Return the place of a file of the folder, and of nothing outside it."""
        if Path(name).name != name:
            raise ValueError(f"a file outside the folder, {name[:60]!r}")
        return self.folder / name


_FROM_NODE: dict[str, Any] = {
    "at hand": lambda reader, name: reader.at_hand[name],
    "float": lambda _, text: float(text),
    "scalar": lambda reader, content: np.dtype(content[0]).type(reader.value(content[1])),
    "tuple": lambda reader, content: tuple(reader.value(one) for one in content),
    "dict": lambda reader, content: {reader.value(k): reader.value(v) for k, v in content},
    "set": lambda reader, place: reader.sets[place],
    "record": _Reader.record,
    "table": _Reader.table,
    "column": _Reader.column,
    "array": lambda reader, name: np.load(reader.inside(name), allow_pickle=False),
    "model": lambda reader, name: load_model(reader.inside(name)),
}
