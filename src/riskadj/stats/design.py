"""The episodes of a provider-effect model: checked, and put in order of their provider."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from riskadj.errors import ArrayError
from riskadj.stats.arrays import Floats, at_least, finite
from riskadj.stats.groups import Groups, group_rows, groups_of

FAR = 2.0
"""Spreads from 0 at which a covariate is moved there, lest its mean cost the digits of the rest."""
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
    """Outcome and covariates of episodes.

    Attributes
    ----------
    y : ndarray of shape (n_episodes,)
    x : ndarray of shape (n_covariates, n_episodes)
    weights : ndarray of shape (n_episodes,) or None
        None: all 1.
    offset : ndarray of shape (n_episodes,) or None
        None: all 0.
    groups : Groups
        The providers.
    names : tuple of str
        Of the covariates.
    shift : ndarray of shape (n_covariates,) or (n_covariates, n_providers)
        What was taken off each covariate: its mean where that is far from 0 for its spread; of
        fixed effects its mean at each provider where it hardly varies within.
    copies : ndarray of shape (n_providers,) or None
        How often each provider was drawn, each time as another provider. None: once.
    """

    y: Floats
    x: Floats
    weights: Floats | None
    offset: Floats | None
    groups: Groups
    names: tuple[str, ...]
    shift: Floats
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
        """Walk over episodes that are in order, neighbours together."""
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
        last = int(np.searchsorted(self.groups.starts, self.n // share)) or 1
        rows = slice(0, int(self.groups.sizes[:last].sum()))
        return self._keep(rows, groups_of(self.groups.labels[:last], self.groups.codes[rows]))

    def in_order(self) -> "Design":
        """Return the same episodes in order of their provider."""
        groups = self.groups
        if groups.order is None:
            return self
        return replace(
            self,
            y=groups.sort(self.y),
            x=_in_order(self.x, groups.order),
            weights=None if self.weights is None else groups.sort(self.weights),
            offset=None if self.offset is None else groups.sort(self.offset),
            groups=groups.in_order(),
        )

    def of_providers(self, kept: NDArray[np.bool_]) -> "Design":
        """Return the episodes of some providers."""
        if kept.all():
            return self
        rows, place = kept[self.groups.codes], np.cumsum(kept) - 1
        groups = groups_of(self.groups.labels[kept], place[self.groups.codes[rows]])
        return self._keep(rows, groups)

    def weighted(self) -> "Design":
        """Return the episodes whose weight is above 0.

        Raises
        ------
        ArrayError
            When a provider is left without any.
        """
        if self.weights is None or self.weights.min() > 0:
            return self
        kept = self.weights > 0
        groups = groups_of(self.groups.labels, self.groups.codes[kept])
        without = int((groups.sizes == 0).sum())
        if without:
            raise ArrayError(
                "weights: wanted an episode of weight above 0 for every provider; got "
                f"{without:,} {worded(without, 'provider', 'providers')} without. Leave "
                f"{worded(without, 'its', 'their')} episodes out."
            )
        return self._keep(kept, groups)

    def _keep(self, rows: slice | NDArray[np.bool_], groups: Groups) -> "Design":
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
    """Check the episodes; those of weight 0 take no part.

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
    near, shift = _moved_near(x)
    return Design(outcome, near, w, o, groups, names, shift).weighted()


def _covariates(X: ArrayLike, n: int) -> tuple[Floats, tuple[str, ...]]:
    """Return covariates, a row each, and their names."""
    names = tuple(str(one) for one in getattr(X, "columns", ()))
    x = finite("X", X)
    if x.ndim == 1:
        x = x[:, None]
    if x.ndim != 2 or len(x) != n:
        raise ArrayError(f"X: wanted {n:,} rows of covariates; got shape {x.shape}.")
    return x.T, names or tuple(f"column {j}" for j in range(x.shape[1]))


def _moved_near(x: Floats) -> tuple[Floats, Floats]:
    """Move covariates that are far from 0 near it, judged by some of their values."""
    some = x[:, :: max(1, x.shape[1] // 10_000)]
    mean = some.mean(axis=1)
    shift = np.where(np.abs(mean) > FAR * some.std(axis=1), mean, 0.0)
    return (x - shift[:, None] if shift.any() else x), shift


def _in_order(x: Floats, order: NDArray[np.intp]) -> Floats:
    """Return covariates, a row each, their episodes in order."""
    ordered = np.empty(x.shape)
    if x.flags.c_contiguous:
        for row, column in zip(ordered, x, strict=True):
            np.take(column, order, out=row, mode="clip")  # in range: nothing to buffer or to check
        return ordered
    for begin in range(0, x.shape[1], CHUNK):
        rows = slice(begin, begin + CHUNK)
        ordered[:, rows] = x[:, order[rows]]
    return ordered


def said(names: tuple[str, ...], which: NDArray[Any]) -> str:
    """Return the names at these places, for an error."""
    return ", ".join(repr(names[int(j)]) for j in which)


def no_bound(names: tuple[str, ...], which: NDArray[Any], instead: str) -> str:
    """Return what to say of covariates whose coefficients run away.

    Examples
    --------
    >>> no_bound(("age", "rare"), np.array([1]), "firth=True")
    "'rare' tells events from others without error: its coefficient has no bound. Use firth=True \
or leave it out."
    """
    several = len(which) != 1
    told = "tell" if several else "tells"
    coefficients = "their coefficients have" if several else "its coefficient has"
    return (
        f"{said(names, which) or 'some covariates'} {told} events from others without error: "
        f"{coefficients} no bound. Use {instead} or leave {'them' if several else 'it'} out."
    )


def worded(count: int, one: str, several: str) -> str:
    """Return the words for one, or for several (or none).

    Examples
    --------
    >>> worded(1, "does", "do"), worded(2, "does", "do")
    ('does', 'do')
    """
    return one if count == 1 else several
