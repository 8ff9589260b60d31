"""The episodes of a provider-effect model: checked, and in order of their provider."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from riskadj.errors import ArrayError
from riskadj.stats.arrays import Floats, at_least, finite
from riskadj.stats.groups import Groups, group_rows

CHUNK = 8192
"""Episodes that are looked at together: their covariates stay in the processor's cache."""


class Chunk(NamedTuple):
    """Neighbouring episodes: their rows, the providers they belong to, and where each begins."""

    rows: slice
    providers: slice
    starts: NDArray[np.intp]
    sizes: NDArray[np.intp]

    def spread(self, per_provider: Floats) -> Floats:
        """Return each row's value of its provider (along the last axis)."""
        return np.repeat(per_provider[..., self.providers], self.sizes, axis=-1)


@dataclass(frozen=True)
class Design:
    """Outcome and covariates of episodes, in order of their provider.

    Attributes
    ----------
    y : ndarray of shape (n_episodes,)
    x : ndarray of shape (n_covariates, n_episodes)
    weights : ndarray of shape (n_episodes,) or None
        None: all 1.
    offset : ndarray of shape (n_episodes,) or None
        None: all 0.
    groups : Groups
        The providers; `labels`, `starts` and `sizes` are those of the episodes here.
    names : tuple of str
        Of the covariates.
    copies : ndarray of shape (n_providers,) or None
        How often each provider was drawn, each time as another provider. None: once.
    """

    y: Floats
    x: Floats
    weights: Floats | None
    offset: Floats | None
    groups: Groups
    names: tuple[str, ...]
    copies: Floats | None = None

    @property
    def n(self) -> int:
        """Number of episodes."""
        return self.y.size

    @property
    def counted(self) -> float:
        """Number of episodes, those of a provider as often as it was drawn."""
        return float(self.n if self.copies is None else self.copies @ self.groups.sizes)

    def total(self, rows: Floats) -> float:
        """Return the sum over episodes, weights and copies included."""
        weighted = rows if self.weights is None else self.weights * rows
        if self.copies is None:
            return float(weighted.sum())
        return float(self.copies @ self.groups.total_ordered(weighted))

    def chunks(self) -> Iterator[Chunk]:
        """Walk over the episodes, neighbours together."""
        starts = self.groups.starts
        for begin in range(0, self.n, CHUNK):
            end = min(begin + CHUNK, self.n)
            first = int(np.searchsorted(starts, begin, side="right")) - 1
            last = int(np.searchsorted(starts, end, side="left"))
            within = np.maximum(starts[first:last] - begin, 0)
            sizes = np.diff(within, append=end - begin)
            yield Chunk(slice(begin, end), slice(first, last), within, sizes)

    def part(self, share: int) -> "Design":
        """Return about one in `share` episodes: those of some providers, whole."""
        keep = slice(0, int(np.searchsorted(self.groups.starts, self.n // share)) or 1)
        sizes = self.groups.sizes[keep]
        rows = slice(0, int(sizes.sum()))
        groups = Groups(self.groups.labels[keep], None, self.groups.starts[keep], sizes)
        return replace(
            self,
            y=self.y[rows],
            x=self.x[:, rows],
            weights=None if self.weights is None else self.weights[rows],
            offset=None if self.offset is None else self.offset[rows],
            groups=groups,
        )


def build_design(
    y: ArrayLike,
    X: ArrayLike,
    provider: ArrayLike,
    weights: ArrayLike | None = None,
    offset: ArrayLike | None = None,
) -> Design:
    """Check the episodes and put them in order of their provider.

    Episodes of weight 0 take no part.

    Raises
    ------
    ArrayError
        When lengths differ, a value is missing or not finite, or a provider is left without an
        episode of weight above 0.
    """
    outcome = finite("y", y)
    if outcome.ndim != 1 or not outcome.size:
        raise ArrayError(f"y: wanted one outcome per episode; got shape {outcome.shape}.")
    x, names = _covariates(X, outcome.size)
    groups = group_rows(provider)
    if groups.n_rows != outcome.size:
        raise ArrayError(
            f"provider: wanted one per episode, {outcome.size:,}; got {groups.n_rows:,}."
        )
    w = None if weights is None else at_least("weights", weights, 0.0, outcome.shape)
    o = None if offset is None else finite("offset", offset, outcome.shape)
    design = Design(
        groups.sort(outcome),
        _in_order(x, groups),
        None if w is None else groups.sort(w),
        None if o is None else groups.sort(o),
        groups,
        names,
    )
    return _without_weightless(design)


def _covariates(X: ArrayLike, n: int) -> tuple[Floats, tuple[str, ...]]:
    """Return covariates by row of episodes, and their names."""
    names = tuple(str(one) for one in getattr(X, "columns", ()))
    x = finite("X", X)
    if x.ndim == 1:
        x = x[:, None]
    if x.ndim != 2 or len(x) != n:
        raise ArrayError(f"X: wanted {n:,} rows of covariates; got shape {x.shape}.")
    return x, names or tuple(f"column {j}" for j in range(x.shape[1]))


def _in_order(x: Floats, groups: Groups) -> Floats:
    """Return covariates as rows, each contiguous, their episodes in order."""
    if groups.order is None and x.T.flags.c_contiguous:
        return x.T
    ordered = np.empty(x.shape[::-1])
    if not x.flags.c_contiguous:
        for row, column in zip(ordered, x.T, strict=True):
            row[:] = groups.sort(column)
        return ordered
    for begin in range(0, len(x), CHUNK):
        rows = slice(begin, begin + CHUNK)
        ordered[:, rows] = (x[rows] if groups.order is None else x[groups.order[rows]]).T
    return ordered


def _without_weightless(design: Design) -> Design:
    if design.weights is None or design.weights.min() > 0:
        return design
    kept = design.weights > 0
    sizes = np.add.reduceat(kept, design.groups.starts, dtype=np.intp)
    if not sizes.all():
        raise ArrayError(
            "weights: wanted an episode of weight above 0 for every provider; got "
            f"{int((sizes == 0).sum()):,} providers without. Leave their episodes out."
        )
    starts = np.concatenate(([0], np.cumsum(sizes)[:-1]))
    return replace(
        design,
        y=design.y[kept],
        x=np.ascontiguousarray(design.x[:, kept]),
        weights=design.weights[kept],
        offset=None if design.offset is None else design.offset[kept],
        groups=Groups(design.groups.labels, None, starts, sizes),
    )


def said(names: tuple[str, ...], which: NDArray[Any]) -> str:
    """Return the names at these places, for an error."""
    return ", ".join(repr(names[int(j)]) for j in which)
