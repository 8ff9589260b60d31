"""How far two analyses put the same providers in one order, and how sure that is.

Providers are what is drawn: another set of providers would have given another correlation of
ranks. What each provider's own figure would have been with other patients is not part of it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from riskadj.errors import ArrayError
from riskadj.stats.arrays import Floats, a_row, finite, tail_of, whole
from riskadj.stats.threads import one_thread

FEWEST = 3
_BLOCK = 4_000_000


@dataclass(frozen=True)
class RankAgreement:
    """Rank correlations of two figures of the same providers, with intervals.

    Attributes
    ----------
    spearman, kendall : float
        -1 to 1; Kendall's is tau-b, which allows for ties.
    spearman_lower, spearman_upper, kendall_lower, kendall_upper : float
        Percentiles over samples of providers.
    n : int
        Providers.
    level : float
        Of the intervals.
    """

    spearman: float
    spearman_lower: float
    spearman_upper: float
    kendall: float
    kendall_lower: float
    kendall_upper: float
    n: int
    level: float


def rank_agreement(
    first: ArrayLike,
    second: ArrayLike,
    *,
    replicates: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> RankAgreement:
    """Return rank correlations with the intervals that drawing providers gives them.

    Parameters
    ----------
    first, second : array-like of shape (n_providers,)
        A figure of each provider by either analysis; at least 3 providers.
    replicates : int
        Samples of providers, at least 50.
    seed : int
        Same seed, same answer.
    level : float

    Raises
    ------
    ArrayError
        When there are fewer than 3 providers, a value is not finite, or all are the same.

    Notes
    -----
    Spearman 1904, Am J Psychol 15:72-101; Kendall 1945, Biometrika 33:239-251 (tau-b); percentile
    intervals: Efron 1979, Ann Stat 7:1-26. A sample in which nothing differs says nothing of
    order and is left out.

    Examples
    --------
    >>> got = rank_agreement([1, 2, 3, 4, 5], [1, 2, 3, 5, 4], seed=1)
    >>> round(got.spearman, 6), round(got.kendall, 6), got.n
    (0.9, 0.8, 5)
    """
    a = a_row("first", first)
    b = finite("second", second, a.shape)
    whole("replicates", replicates, 50)
    tail = tail_of(level)
    if a.size < FEWEST or np.ptp(a) == 0 or np.ptp(b) == 0:
        raise ArrayError(
            f"first, second: wanted at least {FEWEST} providers that differ; got {a.size} with "
            f"{np.unique(a).size} and {np.unique(b).size} values. Compare more providers."
        )
    rng = np.random.default_rng(seed)
    draws = rng.integers(a.size, size=(replicates, a.size))
    everybody = np.arange(a.size)[None, :]
    spearman, kendall = (
        (float(one(a, b, everybody)[0]), *_percentiles(one(a, b, draws), tail))
        for one in (_spearman, _kendall)
    )
    return RankAgreement(*spearman, *kendall, a.size, level)


def _percentiles(values: Floats, tail: float) -> tuple[float, float]:
    lower, upper = np.nanquantile(values, (tail, 1 - tail), method="weibull")
    return float(lower), float(upper)


def _spearman(a: Floats, b: Floats, draws: np.ndarray) -> Floats:
    step = max(1, _BLOCK // a.size)
    parts = [_of_ranks(a[one], b[one]) for one in _blocks(draws, step)]
    return np.concatenate(parts)


def _blocks(draws: np.ndarray, step: int) -> list[np.ndarray]:
    return [draws[at : at + step] for at in range(0, len(draws), step)]


def _of_ranks(a: Floats, b: Floats) -> Floats:
    """Return the correlation of ranks in each row; NaN where a row has one value."""
    ranks = [stats.rankdata(one, axis=1) - (one.shape[1] + 1) / 2 for one in (a, b)]
    (aa, bb), ab = ((one**2).sum(axis=1) for one in ranks), (ranks[0] * ranks[1]).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(ab / np.sqrt(aa * bb), dtype=np.float64)


def _kendall(a: Floats, b: Floats, draws: np.ndarray) -> Floats:
    """Return tau-b of each draw from how often each provider is in it: pairs are looked at once."""
    copies = np.zeros((len(draws), a.size))
    np.add.at(copies, (np.arange(len(draws))[:, None], draws), 1.0)
    signs = [np.sign(one[:, None] - one[None, :]) for one in (a, b)]
    with one_thread():
        same, in_a, in_b = (
            np.einsum("di,di->d", copies @ pairs, copies)
            for pairs in (signs[0] * signs[1], np.abs(signs[0]), np.abs(signs[1]))
        )
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(same / np.sqrt(in_a * in_b), dtype=np.float64)
