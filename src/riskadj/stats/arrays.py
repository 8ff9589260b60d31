"""What every statistic asks of the arrays it is given: numbers, finite, of the right shape."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from riskadj.errors import ArrayError

Floats = NDArray[np.float64]


def finite(name: str, values: ArrayLike, shape: tuple[int, ...] | None = None) -> Floats:
    """Return the values as floats.

    Raises
    ------
    ArrayError
        When they are not numbers, not finite, or not of the shape that is wanted.

    Examples
    --------
    >>> finite("weights", [1, 2], shape=(2,))
    array([1., 2.])
    >>> finite("weights", [1, float("nan")])
    Traceback (most recent call last):
    riskadj.errors.ArrayError: weights: wanted finite numbers; got 1 that are not, first at row 1.
    """
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ArrayError(f"{name}: wanted numbers; got others ({error}).") from None
    if shape is not None and array.shape != shape:
        raise ArrayError(f"{name}: wanted shape {shape}; got {array.shape}.")
    # A sum is one pass without a mask; it is finite unless a value is not, or it overflows.
    with np.errstate(over="ignore", invalid="ignore"):
        total = array.sum()
    if not np.isfinite(total) and not np.isfinite(array).all():
        wrong = np.argwhere(~np.isfinite(np.atleast_1d(array)))
        raise ArrayError(
            f"{name}: wanted finite numbers; got {len(wrong):,} that are not, "
            f"first at row {wrong[0][0]}."
        )
    return array


def above(
    name: str, values: ArrayLike, bound: float, shape: tuple[int, ...] | None = None
) -> Floats:
    """Return the values as floats, all of them above `bound`.

    Raises
    ------
    ArrayError
    """
    array = finite(name, values, shape)
    if array.size and not array.min() > bound:
        raise ArrayError(f"{name}: wanted numbers above {bound:g}; got {array.min():g}.")
    return array


def at_least(
    name: str, values: ArrayLike, bound: float, shape: tuple[int, ...] | None = None
) -> Floats:
    """Return the values as floats, none of them below `bound`.

    Raises
    ------
    ArrayError
    """
    array = finite(name, values, shape)
    if array.size and array.min() < bound:
        raise ArrayError(f"{name}: wanted numbers of {bound:g} or more; got {array.min():g}.")
    return array


def one_of(name: str, value: Any, known: Any) -> Any:
    """Return the value when it is known.

    Raises
    ------
    ArrayError

    Examples
    --------
    >>> one_of("method", "exat", ["exact", "byar"])
    Traceback (most recent call last):
    riskadj.errors.ArrayError: method: wanted one of exact, byar; got 'exat'.
    """
    if value not in known:
        raise ArrayError(f"{name}: wanted one of {', '.join(known)}; got {value!r}.")
    return value
