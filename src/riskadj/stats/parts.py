"""What blocks of episodes add up to: sums of sums, in block order, that lose no digits.

Sums of blocks are added in twice the working precision (Knuth 1998, The Art of Computer
Programming 2, section 4.2.2, theorem B; Ogita, Rump and Oishi 2005, SIAM J Sci Comput 26:1955-1988,
algorithm 4.4), so that what is left of the cutting into blocks is the rounding within one.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from riskadj.stats.arrays import Floats


class Part(NamedTuple):
    """Sums over the episodes of one block, or of all.

    Attributes
    ----------
    by_provider : tuple of ndarray
        The last axis is the providers of the block.
    whole : tuple of ndarray or float
    """

    by_provider: tuple[Floats, ...] = ()
    whole: tuple[Any, ...] = ()


def add_up(parts: Sequence[Part], places: Sequence[NDArray[np.intp]], n_providers: int) -> Part:
    """Add the sums of blocks.

    Parameters
    ----------
    parts : sequence of Part
        One per block; at least one.
    places : sequence of ndarray of int
        Of each block's providers among all.
    n_providers : int

    Examples
    --------
    >>> blocks = [Part((np.array([1.0, 2.0]),), (1e16,)), Part((np.array([4.0]),), (1.0,))]
    >>> add_up([*blocks, Part((np.array([8.0]),), (-1e16,))], [[0, 2], [2], [1]], 3)
    Part(by_provider=(array([1., 8., 6.]),), whole=(1.0,))
    """
    first = parts[0]
    if len(parts) == 1 and len(places[0]) == n_providers:
        return first
    by_provider = [_Exactly((*one.shape[:-1], n_providers)) for one in first.by_provider]
    whole = [_Exactly(np.shape(one)) for one in first.whole]
    for part, place in zip(parts, places, strict=True):
        for total, one in zip(by_provider, part.by_provider, strict=True):
            total.add(one, (..., place))
        for total, one in zip(whole, part.whole, strict=True):
            total.add(one, ...)
    return Part(tuple(one.value for one in by_provider), tuple(one.value for one in whole))


class _Exactly:
    """A sum, and what rounding has taken off it."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._sum, self._lost = np.zeros(shape), np.zeros(shape)

    def add(self, terms: Floats | float, at: Any) -> None:
        """Add terms at some places, each once."""
        with np.errstate(over="ignore", invalid="ignore"):
            before = self._sum[at]
            after = before + terms
            of_terms = after - before
            self._lost[at] += (before - (after - of_terms)) + (terms - of_terms)
            self._sum[at] = after

    @property
    def value(self) -> Any:
        """The sum; a float where it is one number."""
        total = np.where(np.isfinite(self._sum), self._sum + self._lost, self._sum)
        return total if total.shape else float(total)
