"""Tables as Arrow files beside a description of them, and back as they were.

A file holds the buffers of columns and nothing else; of what kinds these are, and what rows and
columns are called, is in the description. So numbers keep every bit, what is missing stays so in
its own way, and nothing that is read says what is to be done with it.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from riskadj.episodes import mapped

Node = Any
"""What JSON can hold."""
ToNode = Callable[[Any], Node]
FromNode = Callable[[Node], Any]

_AS_BYTES = {"M": np.int64, "m": np.int64, "b": np.uint8}
"""Kinds that Arrow would pack or change, and as what their bytes are kept."""


class UnkeptError(TypeError):
    """A value that has no written form."""


def write_table(table: pd.DataFrame, path: Path, to_node: ToNode) -> Node:
    """Write a table, and return its description.

    Parameters
    ----------
    table : DataFrame
    path : Path
        Of the Arrow file, which is not written where there is nothing for it.
    to_node : callable
        Describes names, and objects in a column of them.

    Raises
    ------
    UnkeptError
        When the table has what has no written form.
    """
    if table.attrs or table.index.nlevels + table.columns.nlevels > 2:
        raise UnkeptError("a table with attributes, or with names in several levels")
    columns = [table.iloc[:, place] for place in range(table.shape[1])]
    rows, node = _rows_node(table.index, to_node)
    kinds, arrays = [], []
    for one in (*columns, *rows):
        kind, array = _to_arrow(one, to_node)
        kinds.append(kind)
        arrays += [] if array is None else [array]
    _write_arrays(arrays, path)
    return {
        "columns": kinds,
        "names": [to_node(one) for one in table.columns],
        "names_are": [str(table.columns.dtype), to_node(table.columns.name)],
        "rows": node,
    }


def read_table(node: Node, path: Path, from_node: FromNode) -> pd.DataFrame:
    """Return the table that `write_table` wrote; of a large one the numbers stay in its file."""
    kinds = node["columns"]
    arrays = iter(_read_arrays(path) if any("objects" not in one for one in kinds) else ())
    columns = [_from_arrow(one, arrays, from_node) for one in kinds]
    rows = node["rows"]
    if "range" in rows:
        index: pd.Index = pd.RangeIndex(*rows["range"], name=from_node(rows["name"]))
    else:
        named = columns.pop()
        index = pd.Index(named, dtype=named.dtype, name=from_node(rows["name"]))
    in_memory = sum(one.nbytes for one in columns) < mapped.MAPPED_FROM
    table = pd.DataFrame(
        {  # each of its own kind: objects that are texts would become a column of texts
            place: pd.Series(one, index=index, dtype=one.dtype, copy=False)
            for place, one in enumerate(columns)
        },
        index=index,
        copy=in_memory,
    )
    dtype, name = node["names_are"]
    names = [from_node(one) for one in node["names"]]
    table.columns = pd.Index(names, dtype=dtype, name=from_node(name))
    return table


def _rows_node(index: pd.Index, to_node: ToNode) -> tuple[list[pd.Series], Node]:
    """Return the names of rows as a column, unless they are a range, and their description."""
    if isinstance(index, pd.RangeIndex):
        span = [index.start, index.stop, index.step]
        return [], {"range": span, "name": to_node(index.name)}
    return [index.to_series()], {"name": to_node(index.name)}


def _to_arrow(column: pd.Series, to_node: ToNode) -> tuple[Node, pa.Array | None]:
    """Return what a column is of, and its array; objects are told, and have none."""
    dtype = column.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        levels = dtype.categories
        node = {
            "levels": [to_node(one) for one in levels],
            "levels_are": str(levels.dtype),
            "ordered": bool(dtype.ordered),
        }
        return node, pa.array(np.ascontiguousarray(column.cat.codes.to_numpy()))
    if isinstance(dtype, pd.StringDtype):
        node = {"texts": dtype.storage, "na": dtype.na_value is pd.NA}
        return node, pa.array(column, type=pa.large_string(), from_pandas=True)
    if not isinstance(dtype, np.dtype) or dtype.kind not in "fiubMmO":
        raise UnkeptError(f"a column of {dtype}, {column.name!r}")
    if dtype.kind == "O":
        return {"objects": [to_node(one) for one in column]}, None
    values = np.ascontiguousarray(column.to_numpy())
    return {"numbers": dtype.str}, pa.array(values.view(_AS_BYTES.get(dtype.kind, dtype)))


def _from_arrow(kind: Node, arrays: Any, from_node: FromNode) -> Any:
    if "objects" in kind:
        held = np.empty(len(kind["objects"]), dtype=object)  # a list of lists is no matrix
        held[:] = [from_node(one) for one in kind["objects"]]
        return held
    array = next(arrays)
    if "texts" in kind:
        dtype = pd.StringDtype(kind["texts"], na_value=pd.NA if kind["na"] else np.nan)
        return dtype.__from_arrow__(array)
    values = array.to_numpy(zero_copy_only=True)
    if "numbers" in kind:
        return values.view(kind["numbers"])
    levels = pd.Index([from_node(one) for one in kind["levels"]], dtype=kind["levels_are"])
    return pd.Categorical.from_codes(values, dtype=pd.CategoricalDtype(levels, kind["ordered"]))


def _write_arrays(arrays: Sequence[pa.Array | pa.ChunkedArray], path: Path) -> None:
    if not arrays:
        return
    table = pa.table(dict(zip(map(str, range(len(arrays))), arrays, strict=True)))
    whole = table.combine_chunks()
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, whole.schema) as writer:
        writer.write_table(whole)


def _read_arrays(path: Path) -> list[pa.Array]:
    """Return the columns of a file, mapped."""
    with pa.memory_map(str(path)) as file:
        table = pa.ipc.open_file(file).read_all()
    return [_whole(one) for one in table.columns]


def _whole(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else pa.array([], type=column.type)
