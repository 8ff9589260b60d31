"""What every statistic asks of what it is given: numbers, finite, in range, of the right shape."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from riskadj.errors import ArrayError

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


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
    riskadj.errors.ArrayError: weights: wanted finite numbers; got 1 that is not, first at row 1.
    """
    try:
        array = np.asarray(values)
        if array.dtype.kind in "mM" or is_masked(values):
            raise TypeError("dates, or masked values")
        array = array.astype(np.float64, copy=False)
    except (TypeError, ValueError) as error:
        raise ArrayError(f"{name}: wanted numbers; got others ({error}).") from None
    if shape is not None and array.shape != shape:
        raise ArrayError(f"{name}: wanted shape {shape}; got {array.shape}.")
    # A sum is one pass without a mask; it is finite unless a value is not, or it overflows.
    with np.errstate(over="ignore", invalid="ignore"):
        total = array.sum()
    if not np.isfinite(total) and not np.isfinite(array).all():
        wrong = np.argwhere(~np.isfinite(np.atleast_1d(array)))
        are = "is" if len(wrong) == 1 else "are"
        raise ArrayError(
            f"{name}: wanted finite numbers; got {len(wrong):,} that {are} not, "
            f"first at row {wrong[0][0]}."
        )
    return array


def is_masked(values: Any) -> bool:
    """Whether some values are hidden by a mask, which plain arrays would forget."""
    return isinstance(values, np.ma.MaskedArray) and bool(np.ma.is_masked(values))


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
        raise ArrayError(f"{name}: wanted one of {', '.join(known)}; got {plain(value)!r}.")
    return value


def plain(value: Any) -> Any:
    """Return a number or text as Python's own, which an error shows without its type.

    Examples
    --------
    >>> plain(np.float64(1.5)), plain("a")
    (1.5, 'a')
    """
    return value.item() if isinstance(value, np.generic) else value


def a_row(name: str, values: ArrayLike, per: str = "provider") -> Floats:
    """Return the values as floats, one per provider or whatever `per` says.

    Raises
    ------
    ArrayError
        When they are not finite numbers in one dimension, or there are none.

    Examples
    --------
    >>> a_row("effect", [])
    Traceback (most recent call last):
    riskadj.errors.ArrayError: effect: wanted one number per provider; got shape (0,).
    """
    array = finite(name, values)
    if array.ndim != 1 or not array.size:
        raise ArrayError(f"{name}: wanted one number per {per}; got shape {array.shape}.")
    return array


def a_mask(name: str, values: ArrayLike, shape: tuple[int, ...]) -> Bools:
    """Return True and False, or 1 and 0, one for each episode.

    Raises
    ------
    ArrayError

    Examples
    --------
    >>> a_mask("member", [0, 2], (2,))
    Traceback (most recent call last):
    riskadj.errors.ArrayError: member: wanted True or False for each episode; got other numbers.
    """
    mask = finite(name, values, shape)
    if not np.isin(mask, (0, 1)).all():
        raise ArrayError(f"{name}: wanted True or False for each episode; got other numbers.")
    return np.asarray(mask == 1)


def covariate_rows(X: ArrayLike, n: int) -> Floats:
    """Return covariates as floats of shape (n, n_covariates); a row of n is one covariate.

    Raises
    ------
    ArrayError

    Examples
    --------
    >>> covariate_rows([1, 2], 2).shape
    (2, 1)
    """
    matrix = finite("X", X)
    columns = matrix[:, None] if matrix.ndim == 1 else matrix
    if columns.ndim != 2 or len(columns) != n:
        raise ArrayError(f"X: wanted {n:,} rows of covariates; got shape {matrix.shape}.")
    return columns


def a_number(name: str, value: float, least: float = -np.inf) -> float:
    """Return one finite number of `least` or more.

    Raises
    ------
    ArrayError

    Examples
    --------
    >>> a_number("tau2", -1.0, 0.0)
    Traceback (most recent call last):
    riskadj.errors.ArrayError: tau2: wanted numbers of 0 or more; got -1.
    """
    if np.ndim(value):
        raise ArrayError(f"{name}: wanted one number; got shape {np.shape(value)}.")
    return float(at_least(name, [value], least)[0])


def tail_of(level: float) -> float:
    """Return the probability below (and above) a two-sided interval.

    Raises
    ------
    ArrayError
        When the level is not between 0 and 1.

    Examples
    --------
    >>> tail_of(0.5)
    0.25
    """
    if not 0 < level < 1:
        raise ArrayError(f"level: wanted a number between 0 and 1; got {plain(level)!r}.")
    return (1 - float(level)) / 2


def whole(name: str, value: Any, bound: int) -> None:
    """Refuse what is not a whole number of `bound` or more.

    Raises
    ------
    ArrayError

    Examples
    --------
    >>> whole("draws", 0, 1)
    Traceback (most recent call last):
    riskadj.errors.ArrayError: draws: wanted a whole number of 1 or more; got 0.
    """
    if not isinstance(value, int | np.integer) or value < bound:
        raise ArrayError(f"{name}: wanted a whole number of {bound} or more; got {plain(value)!r}.")


def weights_or_ones(weights: ArrayLike | None, n: int) -> Floats:
    """Return the weights of n rows, not all of them 0; without weights, ones.

    Raises
    ------
    ArrayError
    """
    if weights is None:
        return np.ones(n)
    array = at_least("weights", weights, 0.0, (n,))
    if not array.sum() > 0:
        raise ArrayError("weights: wanted some above 0; got none.")
    return array
