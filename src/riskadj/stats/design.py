"""The episodes of a provider-effect model: checked, their providers known, in blocks.

A fit never looks at an episode itself: it asks for sums, which each block says of its own
episodes. In memory there is one block.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from riskadj.engine import Blocks
from riskadj.errors import ArrayError
from riskadj.stats.arrays import Floats, at_least, finite
from riskadj.stats.blocks import (
    Block,
    Rows,
    attempt,
    few_outcomes,
    in_order,
    laid,
    of_providers,
    sound,
)
from riskadj.stats.groups import groups_of_rows, labels_together
from riskadj.stats.parts import Part, add_up

FAR = 2.0
"""Spreads from 0 at which a covariate is moved there, lest its mean cost the digits of the rest."""
JUDGED = 10_000
"""Episodes by which that is judged."""


@dataclass(frozen=True)
class Design:
    """Episodes in blocks, and what is known of all of them.

    Attributes
    ----------
    blocks : Blocks
        Of `Block`.
    places : tuple of ndarray of int
        Of each block's providers among all.
    labels : ndarray of shape (n_providers,)
        Sorted.
    sizes : ndarray of shape (n_providers,)
        Episodes.
    names : tuple of str
        Of the covariates.
    shift : ndarray of shape (n_covariates,) or (n_covariates, n_providers)
        What was taken off each covariate: its mean where that is far from 0 for its spread; of
        fixed effects its mean at each provider where it hardly varies within.
    has_weights, has_offset : bool
        Without, weights are 1, and offsets 0.
    copies : ndarray of shape (n_providers,) or None
        How often each provider was drawn, each time as another provider. None: once.
    """

    blocks: Blocks
    places: tuple[NDArray[np.intp], ...]
    labels: NDArray[Any]
    sizes: NDArray[np.intp]
    names: tuple[str, ...]
    shift: Floats
    has_weights: bool
    has_offset: bool
    copies: Floats | None = None

    @property
    def n(self) -> int:
        """Number of episodes."""
        return int(self.sizes.sum())

    @property
    def n_providers(self) -> int:
        """Number of providers."""
        return len(self.labels)

    @property
    def n_covariates(self) -> int:
        """Number of covariates."""
        return len(self.names)

    @property
    def counted(self) -> float:
        """Number of episodes, those of a provider as often as it was drawn."""
        return float(self.n if self.copies is None else self.copies @ self.sizes)

    @property
    def times(self) -> Floats:
        """How often each provider counts."""
        return np.ones(self.n_providers) if self.copies is None else self.copies

    @cached_property
    def log_weights(self) -> float:
        """Sum of the logarithms of weights, those of a provider once."""
        return self.add_up(_log_weights).whole[0] if self.has_weights else 0.0

    @cached_property
    def outcomes(self) -> Floats:
        """A few outcomes by which all can be told: least, greatest, and some other than 0 or 1."""
        return np.concatenate(self.blocks.map(few_outcomes))

    def add_up(self, function: Callable[..., Part], *args: Any) -> Part:
        """Return the sums over all episodes of what a function says of each block."""
        return add_up(self.blocks.map(function, *args), self.places, self.n_providers)

    def keep(self, function: Callable[..., Block], *args: Any) -> "Design":
        """Return the episodes as a function leaves them, block by block."""
        return replace(self, blocks=self.blocks.keep(function, *args))

    def part(self, share: int) -> "Design":
        """Return about one in `share` episodes: those of some providers, whole."""
        first = np.cumsum(self.sizes) - self.sizes
        last = int(np.searchsorted(first, self.n // share)) or 1
        return self.of_providers(np.arange(self.n_providers) < last)

    def in_order(self) -> "Design":
        """Return the same episodes, those of each block in order of their provider."""
        return self.keep(in_order)

    def of_providers(self, kept: NDArray[np.bool_]) -> "Design":
        """Return the episodes of some providers."""
        if kept.all():
            return self
        place = np.cumsum(kept) - 1
        return replace(
            self.keep(of_providers, kept),
            places=tuple(place[one[kept[one]]] for one in self.places),
            labels=self.labels[kept],
            sizes=self.sizes[kept],
        )


def _log_weights(block: Block) -> Part:
    assert block.weights is not None
    return Part(whole=(float(np.log(block.weights).sum()),))


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
    return design_over(laid(Rows(y, X, provider, weights, offset)))


def design_over(blocks: Blocks) -> Design:
    """Check episodes that are laid in blocks of `Rows`, as `build_design` does.

    Raises
    ------
    ArrayError
    """
    checked = blocks.keep(attempt, _checked, len(blocks) == 1)
    told = sound(checked.map(attempt, _tell))
    _check_alike(told)
    _check_left(told)
    labels, places = labels_together([one.labels for one in told])
    shift = _shift(checked, [one.n for one in told])
    sizes = np.zeros(len(labels), dtype=np.intp)
    for place, one in zip(places, told, strict=True):
        sizes[place] += one.sizes
    first = told[0]
    return Design(
        checked.keep(_lay, shift, each=places),
        tuple(places),
        labels,
        sizes,
        first.names,
        shift,
        first.has_weights,
        first.has_offset,
    )


class _Checked(NamedTuple):
    """A block whose providers go by their labels, and which of them have no episode left."""

    block: Block
    names: tuple[str, ...]
    gone: NDArray[Any]


class _Told(NamedTuple):
    """What has to be known of a block to put it beside others."""

    names: tuple[str, ...]
    has_weights: bool
    has_offset: bool
    n: int
    labels: NDArray[Any]
    sizes: NDArray[np.intp]
    gone: NDArray[Any]


def _checked(rows: Rows, alone: bool) -> _Checked:
    outcome = finite("y", rows.y)
    if outcome.ndim != 1 or (alone and not outcome.size):
        raise ArrayError(f"y: wanted one outcome per episode; got shape {outcome.shape}.")
    x, names = _covariates(rows.X, outcome.size)
    groups = groups_of_rows(rows.provider, outcome.size)
    w, o = rows.weights, rows.offset
    w = None if w is None else at_least("weights", w, 0.0, outcome.shape)
    o = None if o is None else finite("offset", o, outcome.shape)
    block = Block(outcome, x, w, o, groups)
    if w is None or not w.size or w.min() > 0:
        return _Checked(block, names, groups.labels[:0])
    some = groups.of_rows(w > 0)
    gone = np.bincount(groups.codes[w > 0], minlength=len(groups)) == 0
    return _Checked(block.keep(w > 0, some), names, groups.labels[gone])


def _tell(checked: _Checked) -> _Told:
    block, names, gone = checked
    weighed, moved = block.weights is not None, block.offset is not None
    return _Told(names, weighed, moved, block.n, block.groups.labels, block.groups.sizes, gone)


def _check_alike(told: Sequence[_Told]) -> None:
    """Refuse blocks that are not like the first, and blocks without any episode."""
    for number, one in enumerate(told, 1):
        if one[:3] != told[0][:3]:
            raise ArrayError(
                "blocks: wanted the same covariates in each, and weights and offset in each or in "
                f"none; got others in block {number}."
            )
    if not any(one.n or one.gone.size for one in told):
        raise ArrayError("y: wanted one outcome per episode; got none.")


def _check_left(told: Sequence[_Told]) -> None:
    """Refuse providers that are left without an episode of weight above 0 in any block."""
    gone = {label for one in told for label in one.gone.tolist()}
    without = len(gone.difference(*(one.labels.tolist() for one in told))) if gone else 0
    if without:
        raise ArrayError(
            "weights: wanted an episode of weight above 0 for every provider; got "
            f"{without:,} {worded(without, 'provider', 'providers')} without. Leave "
            f"{worded(without, 'its', 'their')} episodes out."
        )


def _shift(checked: Blocks, sizes: Sequence[int]) -> Floats:
    """Return the mean of covariates that are far from 0, judged by some of their values."""
    n = sum(sizes)
    first = (np.cumsum(sizes) - np.asarray(sizes)).tolist()
    parts = checked.map(_some, max(1, n // JUDGED), each=first)
    count, total, squares = add_up(parts, [np.arange(0)] * len(parts), 0).whole
    mean = total / count
    # Above FAR standard deviations, without the subtraction that loses their digits.
    far = mean**2 * (1 + FAR**2) > FAR**2 * squares / count
    return np.where(far, mean, 0.0)


def _some(checked: _Checked, first: int, stride: int) -> Part:
    """Sum one in so many episodes, the same ones wherever blocks begin."""
    some = checked.block.x[:, -first % stride :: stride]
    return Part(whole=(some.shape[1], some.sum(axis=1), np.einsum("ij,ij->i", some, some)))


def _lay(checked: _Checked, places: NDArray[np.intp], shift: Floats) -> Block:
    """Return a block whose providers go by their places, covariates moved near 0."""
    block = checked.block
    x = block.x - shift[:, None] if shift.any() else block.x
    return replace(block, x=x, groups=replace(block.groups, labels=places))


def _covariates(X: ArrayLike, n: int) -> tuple[Floats, tuple[str, ...]]:
    """Return covariates, a row each, and their names."""
    names = tuple(str(one) for one in getattr(X, "columns", ()))
    x = finite("X", X)
    if x.ndim == 1:
        x = x[:, None]
    if x.ndim != 2 or len(x) != n:
        raise ArrayError(f"X: wanted {n:,} rows of covariates; got shape {x.shape}.")
    return x.T, names or tuple(f"column {j}" for j in range(x.shape[1]))


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
