"""How far a sum over providers hangs on which providers there are: others like these, drawn."""

import numpy as np
from numpy.typing import ArrayLike

FEWEST = 3
"""Providers, as for the order of ranks (`riskadj.stats.rank_agreement`)."""
_TAIL = 0.025
_BLOCK = 4_000_000

Ends = tuple[int, int] | None


def drawn_sums(values: ArrayLike, seed: int, replicates: int) -> tuple[Ends, ...]:
    """Return 95 % intervals of sums over providers, from drawing providers with replacement.

    A row has what both analyses make of one provider, so that each draw is of the same providers
    in both. The interval is of other providers like these; expectations, limits and prices stay
    as they are, and so does what each provider's patients reported. The order of rows is nothing
    to it.

    Parameters
    ----------
    values : array-like of int of shape (n_providers, n_figures)
        What each provider adds to each sum.
    seed : int
        Same seed, same answer.
    replicates : int
        Draws.

    Returns
    -------
    tuple of ((int, int) or None)
        By figure: percentiles, the nearest draws outside of them. None where drawing says
        nothing: under 3 providers, or all add the same (such as nothing).

    Notes
    -----
    Efron 1979, Ann Stat 7:1-26.

    Examples
    --------
    >>> drawn_sums([[1, 0], [1, 0], *[[0, 0]] * 38], seed=1, replicates=1000)
    ((0, 5), None)
    """
    table = np.asarray(values, dtype=np.int64)
    if len(table) < FEWEST:
        return (None,) * int(table.shape[1])
    table = table[np.lexsort(table.T)]
    n = len(table)
    rng, step = np.random.default_rng(seed), max(1, _BLOCK // n)
    sizes = [min(step, replicates - at) for at in range(0, replicates, step)]
    sums = np.concatenate([rng.multinomial(n, np.full(n, 1 / n), one) @ table for one in sizes])
    lower = np.quantile(sums, _TAIL, axis=0, method="lower")
    upper = np.quantile(sums, 1 - _TAIL, axis=0, method="higher")
    return tuple(
        (int(low), int(high)) if differs else None
        for low, high, differs in zip(lower, upper, np.ptp(table, axis=0) > 0, strict=True)
    )
