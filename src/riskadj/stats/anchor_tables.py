"""How many patients changed by how much and called it an improvement, in bootstrap samples too.

Scores take few values, so that a cohort is a table of counts: distinct change by anchor. Every
estimate is arithmetic on such tables, and a bootstrap is so many tables at once.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from riskadj.errors import ArrayError, NoVariationError
from riskadj.stats.arrays import Floats, a_row, finite, whole
from riskadj.stats.groups import group_rows
from riskadj.stats.threads import one_thread

MOST_FAILED = 0.05
"""With a larger share of replicates without an answer, the rest would be too short an interval."""

_CELLS_AT_ONCE = 2_000_000


@dataclass(frozen=True)
class AnchorTable:
    """Distinct values, and how many patients of either answer have them, by provider if asked."""

    values: Floats
    counts: Floats
    by_provider: sparse.csr_array | None


def count_patients(
    change: ArrayLike,
    improved: ArrayLike,
    baseline: Floats | None = None,
    provider: ArrayLike | None = None,
) -> AnchorTable:
    """Count the patients of each distinct value: those who did not improve, then those who did."""
    gain, better = _checked(change, improved)
    rows = gain[:, None] if baseline is None else np.column_stack((gain, baseline))
    values, codes = np.unique(rows, axis=0, return_inverse=True)
    cells = codes.ravel() + len(values) * better.astype(np.intp)
    size = 2 * len(values)
    by_provider = None if provider is None else _by_provider(cells, size, provider)
    return AnchorTable(values, np.bincount(cells, minlength=size).astype(np.float64), by_provider)


def _checked(change: ArrayLike, improved: ArrayLike) -> tuple[Floats, Floats]:
    gain = a_row("change", change, "patient")
    better = finite("improved", improved, gain.shape)
    wrong = (better != 0) & (better != 1)
    if wrong.any():
        raise ArrayError(
            f"improved: wanted 0 or 1; got {better[wrong][0]:g} ({wrong.sum():,} others in all). "
            "Say which answers count as improved, such as rating <= 2."
        )
    if better.min() == better.max():
        who = "everybody" if better[0] else "nobody"
        raise NoVariationError(
            f"improved: wanted some who improved and some who did not; got {who} who did. "
            "Choose other answers of the anchor."
        )
    if gain.min() == gain.max():
        raise NoVariationError(f"change: wanted changes that differ; got {gain[0]:g} throughout.")
    return gain, better


def _by_provider(cells: NDArray[np.intp], size: int, provider: ArrayLike) -> sparse.csr_array:
    groups = group_rows(provider)
    if groups.n_rows != len(cells):
        raise ArrayError(f"provider: wanted {len(cells):,} labels; got {groups.n_rows:,}.")
    if len(groups) < 2:
        raise ArrayError(
            "provider: wanted two or more to draw from; got one. Draw episodes instead: leave "
            "provider out."
        )
    ones = np.ones(len(cells))
    return sparse.csr_array((ones, (groups.codes, cells)), shape=(len(groups), size))


def by_answer(counts: Floats) -> tuple[Floats, Floats]:
    """Return who did not improve and who did, a row per replicate."""
    tables = np.atleast_2d(counts)
    middle = tables.shape[1] // 2
    return tables[:, :middle], tables[:, middle:]


def replicate(
    table: AnchorTable,
    estimate: Callable[[Floats], Floats],
    replicates: int,
    seed: int,
    stream: int = 0,
) -> Floats:
    """Return the estimates of every bootstrap sample, a row each.

    Raises
    ------
    ArrayError
        When replicates are fewer than 2, or the seed is no whole number of 0 or more.
    """
    whole("replicates", replicates, 2)
    whole("seed", seed, 0)
    rng = np.random.default_rng([seed, stream])
    with one_thread():
        rows = [estimate(counts) for counts in _samples(table, replicates, rng)]
    return np.concatenate(rows)


def _samples(table: AnchorTable, replicates: int, rng: np.random.Generator) -> Iterator[Floats]:
    """Yield tables of counts, a row per sample, a few at a time."""
    at_once = max(1, _CELLS_AT_ONCE // len(table.counts))
    n = int(table.counts.sum())
    for first in range(0, replicates, at_once):
        size = min(at_once, replicates - first)
        if table.by_provider is None:
            yield rng.multinomial(n, table.counts / n, size=size).astype(np.float64)
            continue
        m = table.by_provider.shape[0]
        copies = rng.multinomial(m, np.full(m, 1 / m), size=size).astype(np.float64)
        yield np.asarray(copies @ table.by_provider)


def percentiles(draws: Floats, tail: float) -> tuple[Floats, Floats]:
    """Return percentiles of each column over the rows that have a value; NaN where none has.

    The share's place is among n + 1 gaps: so many draws are beyond as of those to come.
    """
    shares = [tail, 1 - tail]
    ends = np.full((2, draws.shape[1]), np.nan)
    for column, values in enumerate(draws.T):
        known = values[~np.isnan(values)]
        if known.size:
            ends[:, column] = np.quantile(known, shares, method="weibull")
    return ends[0], ends[1]


def refuse_failed(failed: int, replicates: int) -> None:
    """Raise when too many replicates have no estimate for an interval of the others."""
    if failed > MOST_FAILED * replicates:
        raise ArrayError(
            f"improved: wanted bootstrap samples with an estimate; got {failed:,} of "
            f"{replicates:,} without. There are too few patients of one kind for an interval."
        )
