"""Episodes put in order of their provider, so that a sum by provider is a sum of neighbours."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from riskadj.errors import ArrayError

_MISSING = {"None", "nan", "<NA>", "NaT"}


@dataclass(frozen=True)
class Groups:
    """Rows in groups, and where each group begins once the rows are in order.

    Attributes
    ----------
    labels : ndarray of shape (n_groups,)
        Sorted; one per group that has a row.
    order : ndarray of shape (n_rows,) or None
        Row numbers by group; within a group in the order they came. None: they came so.
    starts, sizes : ndarray of shape (n_groups,)

    Examples
    --------
    >>> groups = group_rows(["b", "a", "b"])
    >>> groups.labels.tolist(), groups.total([1.0, 2.0, 4.0]).tolist()
    (['a', 'b'], [2.0, 5.0])
    """

    labels: NDArray[Any]
    order: NDArray[np.intp] | None
    starts: NDArray[np.intp]
    sizes: NDArray[np.intp]

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return int(self.sizes.sum())

    def sort(self, rows: ArrayLike) -> NDArray[Any]:
        """Return rows (along the last axis) in order of their group."""
        array = np.asarray(rows)
        return array if self.order is None else np.take(array, self.order, axis=-1)

    def unsort(self, ordered: NDArray[Any]) -> NDArray[Any]:
        """Return ordered rows (along the last axis) as they came."""
        if self.order is None:
            return ordered
        rows = np.empty_like(ordered)
        rows[..., self.order] = ordered
        return rows

    def total_ordered(self, ordered: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the sum of each group, of rows (along the last axis) that are in order."""
        return np.add.reduceat(ordered, self.starts, axis=-1)

    def total(self, rows: ArrayLike) -> NDArray[np.float64]:
        """Return the sum of each group."""
        return self.total_ordered(self.sort(rows).astype(np.float64, copy=False))

    def mean(self, rows: ArrayLike) -> NDArray[np.float64]:
        """Return the mean of each group."""
        return self.total(rows) / self.sizes

    def spread(self, per_group: NDArray[Any]) -> NDArray[Any]:
        """Return each ordered row's value of its group."""
        return np.repeat(per_group, self.sizes, axis=-1)

    def at_rows(self, per_group: NDArray[Any]) -> NDArray[Any]:
        """Return each row's value of its group, rows as they came."""
        return self.unsort(self.spread(per_group))


def group_rows(group: ArrayLike, name: str = "provider") -> Groups:
    """Put rows in order of their group.

    Parameters
    ----------
    group : array-like of shape (n_rows,)
        Labels: numbers, text, or a pandas categorical.
    name : str
        What the groups are called in an error.

    Raises
    ------
    ArrayError
        When there are no rows, or a label is missing.
    """
    labels, codes = _coded(group, name)
    sizes = np.bincount(codes, minlength=len(labels))
    starts = np.concatenate(([0], np.cumsum(sizes)[:-1]))
    return Groups(labels, _order(codes, len(labels)), starts, sizes)


def _coded(group: ArrayLike, name: str) -> tuple[NDArray[Any], NDArray[np.intp]]:
    """Return the sorted labels, and each row's place among them."""
    categorical = getattr(group, "cat", group)
    if hasattr(categorical, "codes") and hasattr(categorical, "categories"):
        return _of_categories(categorical, name)
    array = np.asarray(group)
    if array.ndim != 1 or not array.size:
        raise ArrayError(f"{name}: wanted one label per row; got shape {array.shape}.")
    if array.dtype.kind == "f":
        if np.isnan(array).any():
            raise ArrayError(f"{name}: wanted a label for every row; got some missing.")
        if (array == np.rint(array)).all() and np.abs(array).max() < 2**53:
            labels, codes = _of_integers(array.astype(np.int64))
            return labels.astype(array.dtype), codes
    if array.dtype.kind in "iu":
        return _of_integers(array)
    if array.dtype.kind in "OUT":
        return _of_objects(array.tolist(), name)
    labels, codes = np.unique(array, return_inverse=True)
    return labels, codes


def _of_categories(categorical: Any, name: str) -> tuple[NDArray[Any], NDArray[np.intp]]:
    codes = np.asarray(categorical.codes, dtype=np.intp)
    if not codes.size or (codes < 0).any():
        raise ArrayError(f"{name}: wanted a label for every row; got some missing.")
    categories = np.asarray(categorical.categories)
    place, rank = _sorted(categories)
    used, dense = _of_integers(rank[codes])
    return categories[place][used], dense


def _of_integers(values: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.intp]]:
    low, high = int(values.min()), int(values.max())
    if high - low > 4 * values.size:
        labels, codes = np.unique(values, return_inverse=True)
        return labels, codes
    # Read without a sign: the distance between two small integers may pass their type.
    offset = (values - low).view(f"u{values.itemsize}").astype(np.intp, copy=False)
    present = np.bincount(offset, minlength=high - low + 1) > 0
    codes = (np.cumsum(present) - 1)[offset]
    return np.flatnonzero(present).astype(values.dtype) + low, codes


def _of_objects(values: list[Any], name: str) -> tuple[NDArray[Any], NDArray[np.intp]]:
    """Number labels as they come, then sort the few labels instead of the many rows."""
    numbered: dict[Any, int] = {}
    came = np.array([numbered.setdefault(one, len(numbered)) for one in values], dtype=np.intp)
    labels = np.array(list(numbered), dtype=object)
    if any(repr(one) in _MISSING for one in labels):
        raise ArrayError(f"{name}: wanted a label for every row; got some missing.")
    place, rank = _sorted(labels)
    return labels[place], rank[came]


def _sorted(labels: NDArray[Any]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return which label comes at each place, and the place of each; mixed kinds go as text."""
    try:
        place = np.argsort(labels, kind="stable")
    except TypeError:
        place = np.argsort(labels.astype(str), kind="stable")
    rank = np.empty_like(place)
    rank[place] = np.arange(len(place))
    return place, rank


def _order(codes: NDArray[np.intp], n_groups: int) -> NDArray[np.intp] | None:
    """Sort by counting: one pass, and rows of a group keep the order they came in."""
    if (codes[1:] >= codes[:-1]).all():
        return None
    n = len(codes)
    rows = sparse.csr_array(
        (np.ones(n, dtype=np.int8), codes.astype(np.int32), np.arange(n + 1, dtype=np.int32)),
        shape=(n, n_groups),
    )
    return rows.tocsc().indices.astype(np.intp)
