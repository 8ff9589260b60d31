"""Sums by provider that are the same to the last bit, however episodes are cut and ordered.

Every value is split into parts that are whole multiples of a step, the same for all episodes and
so coarse that sums of parts are exact (Rump, Ogita and Oishi 2008, SIAM J Sci Comput 31:189-224,
section 3; Demmel and Nguyen 2015, IEEE Trans Comput 64:2060-2070). An exact sum knows no order.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from riskadj.engine import Blocks
from riskadj.errors import ArrayError
from riskadj.stats.arrays import Floats, finite
from riskadj.stats.blocks import attempt, sound
from riskadj.stats.groups import Groups, groups_of_rows, labels_together
from riskadj.stats.parts import Part, add_up

SPLITS = 3
"""Parts of each value: with ten million episodes, what is left is 2 ** -87 of the largest."""
LARGEST = 1e120
"""Size of a value whose square can still be split."""


@dataclass(frozen=True)
class Values:
    """Values of episodes, to be laid in blocks; unchecked.

    Attributes
    ----------
    provider : array-like of shape (n,)
        Labels.
    values : array-like of shape (n_values, n)
        A row for each thing to be summed.
    """

    provider: ArrayLike
    values: ArrayLike


@dataclass(frozen=True)
class ProviderSums:
    """Sums by provider.

    Attributes
    ----------
    providers : ndarray of shape (n_providers,)
        Labels, sorted.
    n : ndarray of shape (n_providers,)
        Episodes.
    sums, squares : ndarray of shape (n_values, n_providers)
        Of values, and of their squares.
    """

    providers: NDArray[Any]
    n: NDArray[np.intp]
    sums: Floats
    squares: Floats


def provider_sums(blocks: Blocks) -> ProviderSums:
    """Sum values by provider.

    Parameters
    ----------
    blocks : Blocks
        Of `Values`, cut anywhere: a provider may be in several.

    Returns
    -------
    ProviderSums
        The same bits wherever blocks begin and in whatever order episodes come.

    Raises
    ------
    ArrayError
        When a value is missing, not finite or beyond 1e120, lengths differ, or there is none.

    Examples
    --------
    >>> from riskadj.engine import Local
    >>> first = Values(["a", "b"], [[1e16, 2.0]])
    >>> blocks = Local().place([first, Values(["a", "a"], [[1.0, -1e16]])])
    >>> provider_sums(blocks).sums.tolist()
    [[1.0, 2.0]]
    """
    checked = blocks.keep(attempt, _checked)
    told = sound(checked.map(attempt, _tell))
    n = sum(one.n for one in told)
    if not n or len({one.largest.size for one in told}) > 1:
        raise ArrayError(
            "values: wanted episodes, and as many rows of values in each block; got none, or more "
            "in some."
        )
    labels, places = labels_together([one.labels for one in told])
    largest = np.max([one.largest for one in told], axis=0)
    found = add_up(checked.map(_split_sums, n, largest), places, len(labels))
    count, parts = found.by_provider
    sums, squares = parts[0] + (parts[1] + parts[2])
    return ProviderSums(labels, count.astype(np.intp), sums, squares)


class _Told(NamedTuple):
    n: int
    labels: NDArray[Any]
    largest: Floats


class _Checked(NamedTuple):
    values: Floats
    groups: Groups


def _checked(rows: Values) -> _Checked:
    values = finite("values", rows.values)
    if values.ndim != 2:
        raise ArrayError(f"values: wanted a row for each thing to sum; got shape {values.shape}.")
    if np.abs(values).max(initial=0.0) > LARGEST:
        raise ArrayError(f"values: wanted numbers within {LARGEST:g} of 0; got others.")
    return _Checked(values, groups_of_rows(rows.provider, values.shape[1]))


def _tell(checked: _Checked) -> _Told:
    values, groups = checked
    return _Told(values.shape[1], groups.labels, np.abs(values).max(axis=1, initial=0.0))


def _split_sums(checked: _Checked, n: int, largest: Floats) -> Part:
    """Sum the parts of values and of their squares, shape (SPLITS, 2, n_values, n_providers)."""
    values, groups = checked
    sums = np.zeros((SPLITS, 2, len(values), len(groups)))
    for power in range(2):
        for row, value in enumerate(values):
            top = largest[row] ** (power + 1)
            parts = _parts(value if power == 0 else value * value, float(top), n)
            for split, part in enumerate(parts):
                sums[split, power, row] = np.bincount(groups.codes, part, len(groups))
    return Part((groups.sizes.astype(np.float64), sums))


def _parts(values: Floats, largest: float, n: int) -> Sequence[Floats]:
    """Split values into parts whose sums are exact, and leave the rest."""
    room = int(n + 1).bit_length()
    step = np.frexp(largest)[1] + room
    found = []
    for _ in range(SPLITS):
        coarse = np.ldexp(1.0, int(step))
        part = (coarse + values) - coarse
        values = values - part
        found.append(part)
        step += room - np.finfo(float).nmant - 1
    return found
