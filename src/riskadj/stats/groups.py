"""Episodes put in order of their provider, so that a sum by provider is a sum of neighbours."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from riskadj.errors import ArrayError
from riskadj.stats.arrays import is_masked

_MISSING = {"nan", "NaN", "<NA>", "NaT"}


@dataclass(frozen=True)
class Groups:
    """Rows in groups, and where each group begins once the rows are in order.

    Attributes
    ----------
    labels : ndarray of shape (n_groups,)
        Sorted; one per group that has a row.
    codes : ndarray of shape (n_rows,)
        Each row's place among the labels.
    starts, sizes : ndarray of shape (n_groups,)
        Of the rows of each group, once in order.

    Examples
    --------
    >>> groups = group_rows(["b", "a", "b"])
    >>> groups.labels.tolist(), groups.total([1.0, 2.0, 4.0]).tolist()
    (['a', 'b'], [2.0, 5.0])
    """

    labels: NDArray[Any]
    codes: NDArray[np.intp]
    starts: NDArray[np.intp]
    sizes: NDArray[np.intp]

    @cached_property
    def order(self) -> NDArray[np.intp] | None:
        """Row numbers by group, within a group in the order they came; None when they came so."""
        return _order(self.codes, len(self.labels))

    def in_order(self) -> "Groups":
        """Return the groups of the rows once they are in order."""
        if self.order is None:
            return self
        codes = np.repeat(np.arange(len(self.labels)), self.sizes)
        return Groups(self.labels, codes, self.starts, self.sizes)

    def of_rows(self, kept: NDArray[np.bool_]) -> "Groups":
        """Return the groups of some rows; a group that is left without any is left out."""
        codes = self.codes[kept]
        used = np.bincount(codes, minlength=len(self.labels)) > 0
        if used.all():
            return groups_of(self.labels, codes)
        return groups_of(self.labels[used], (np.cumsum(used) - 1)[codes])

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(self.codes)

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
    return groups_of(*_coded(group, name))


def groups_of_rows(group: ArrayLike, n: int) -> Groups:
    """Put n rows in order of their provider; there may be none.

    Raises
    ------
    ArrayError
    """
    if not n and not np.size(np.asarray(group)):
        return groups_of(np.zeros(0), np.zeros(0, dtype=np.intp))
    groups = group_rows(group)
    if groups.n_rows != n:
        raise ArrayError(f"provider: wanted one per episode, {n:,}; got {groups.n_rows:,}.")
    return groups


def groups_of(labels: NDArray[Any], codes: NDArray[np.intp]) -> Groups:
    """Return the groups of rows that are already coded."""
    sizes = np.bincount(codes, minlength=len(labels))
    return Groups(labels, codes, np.cumsum(sizes) - sizes, sizes)


def labels_together(
    labels: Sequence[NDArray[Any]],
) -> tuple[NDArray[Any], list[NDArray[np.intp]]]:
    """Return the labels of several lists as one, sorted, and the places of each list's in it.

    Examples
    --------
    >>> together, places = labels_together([np.array(["a", "c"]), np.array(["b", "c"])])
    >>> together.tolist(), [one.tolist() for one in places]
    (['a', 'b', 'c'], [[0, 2], [1, 2]])
    """
    if len(labels) == 1:
        return labels[0], [np.arange(len(labels[0]))]
    some = [one for one in labels if one.size]
    if len({one.dtype.kind for one in some}) > 1:
        some = [one.astype(object) for one in some]
    groups = group_rows(np.concatenate(some))
    cuts = np.cumsum([len(one) for one in labels])[:-1]
    return groups.labels, np.split(groups.codes, cuts)


def _coded(group: ArrayLike, name: str) -> tuple[NDArray[Any], NDArray[np.intp]]:
    """Return the sorted labels, and each row's place among them."""
    categorical = getattr(group, "cat", group)
    if hasattr(categorical, "codes") and hasattr(categorical, "categories"):
        return _of_categories(categorical, name)
    array = np.asarray(group)
    if array.dtype.kind == "U" and not isinstance(group, np.ndarray):
        array = np.asarray(group, dtype=object)  # or a missing label would have become text
    if array.ndim != 1 or not array.size:
        raise ArrayError(f"{name}: wanted one label per row; got shape {array.shape}.")
    if is_masked(group) or (array.dtype.kind in "fM" and (array != array).any()):
        raise _missing(name)
    return _CODERS.get(array.dtype.kind, _of_others)(array, name)


def _of_categories(categorical: Any, name: str) -> tuple[NDArray[Any], NDArray[np.intp]]:
    codes = np.asarray(categorical.codes, dtype=np.intp)
    if not codes.size or (codes < 0).any():
        raise _missing(name)
    categories = np.asarray(categorical.categories)
    place, rank = _sorted(categories)
    used, dense = _of_integers(rank[codes])
    return categories[place][used], dense


def _of_integers(values: NDArray[Any], _: str = "") -> tuple[NDArray[Any], NDArray[np.intp]]:
    low, high = int(values.min()), int(values.max())
    if high - low > 4 * values.size:
        labels, codes = np.unique(values, return_inverse=True)
        return labels, codes
    # Read without a sign: the distance between two small integers may pass their type.
    offset = (values - low).view(f"u{values.itemsize}").astype(np.intp, copy=False)
    present = np.bincount(offset, minlength=high - low + 1) > 0
    codes = (np.cumsum(present) - 1)[offset]
    return np.flatnonzero(present).astype(values.dtype) + low, codes


def _of_floats(values: NDArray[Any], name: str) -> tuple[NDArray[Any], NDArray[np.intp]]:
    if (values == np.rint(values)).all() and np.abs(values).max() < 2**53:
        labels, codes = _of_integers(values.astype(np.int64))
        return labels.astype(values.dtype), codes
    return _of_others(values, name)


def _of_others(values: NDArray[Any], _: str) -> tuple[NDArray[Any], NDArray[np.intp]]:
    labels, codes = np.unique(values, return_inverse=True)
    return labels, codes


def _of_objects(values: NDArray[Any], name: str) -> tuple[NDArray[Any], NDArray[np.intp]]:
    """Number labels as they come, then sort the few labels instead of the many rows."""
    numbered: dict[Any, int] = {}
    try:
        codes = [numbered.setdefault(one, len(numbered)) for one in values.tolist()]
    except TypeError as error:
        raise ArrayError(
            f"{name}: wanted numbers or text as labels; got others ({error})."
        ) from None
    if any(_is_missing(one) for one in numbered):
        raise _missing(name)
    if any(isinstance(one, tuple) for one in numbered):
        raise ArrayError(f"{name}: wanted numbers or text as labels; got several parts in one.")
    labels, came = np.empty(len(numbered), dtype=object), np.array(codes, dtype=np.intp)
    labels[:] = list(numbered)
    place, rank = _sorted(labels)
    return labels[place], rank[came]


_CODERS: dict[str, Callable[[NDArray[Any], str], tuple[NDArray[Any], NDArray[np.intp]]]] = {
    "i": _of_integers,
    "u": _of_integers,
    "f": _of_floats,
    "O": _of_objects,
    "U": _of_objects,
    "T": _of_objects,
}
"""By the kind of the array."""


def _is_missing(label: Any) -> bool:
    return label is None or (not isinstance(label, str) and str(label) in _MISSING)


def _missing(name: str) -> ArrayError:
    return ArrayError(f"{name}: wanted a label for every row; got some missing.")


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
    return np.asarray(rows.tocsc().indices, dtype=np.intp)
