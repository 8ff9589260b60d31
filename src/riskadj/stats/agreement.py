"""Whether a comparison of providers says the same thing twice.

Half of the episodes against the other half, one year against the next, one set of flags against
another.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from riskadj.errors import ArrayError
from riskadj.stats.arrays import Floats, a_row, above, at_least, finite, plain, whole
from riskadj.stats.groups import group_rows

_FEWEST = 3
"""Two points always lie on a line."""


@dataclass(frozen=True)
class SplitHalf:
    """Agreement between the provider means of random halves of the episodes.

    Attributes
    ----------
    correlation, correlation_sd : float
        Mean and standard deviation over splits of the correlation between halves, -1 to 1. The
        standard deviation is that of splitting (0 with one split); it is no standard error.
    reliability : float
        Of the means of all episodes, 2 r / (1 + r) with r the mean correlation. Below 0 when
        halves disagree; NaN when r is -1.
    weighted_correlation, weighted_correlation_sd, weighted_reliability : float
        The same, providers weighted by their number of episodes.
    splits, minimum_n : int
        As asked for.
    n_providers, n_episodes : int
        What was split.
    n_providers_left_out, n_episodes_left_out : int
        Providers with fewer than `minimum_n` episodes, and their episodes.
    estimator : str
        "split half, Spearman-Brown".
    """

    correlation: float
    correlation_sd: float
    reliability: float
    weighted_correlation: float
    weighted_correlation_sd: float
    weighted_reliability: float
    splits: int
    minimum_n: int
    n_providers: int
    n_episodes: int
    n_providers_left_out: int
    n_episodes_left_out: int
    estimator: str


@dataclass(frozen=True)
class EffectAgreement:
    """Agreement between two sets of effects of the same providers.

    Attributes
    ----------
    n_providers : int
    pearson, spearman : float
        Correlation of effects, and of their ranks (ties share the mean rank); -1 to 1. NaN when
        there are fewer than 3 providers, or all effects of a set are the same.
    corrected : float
        Correlation of the true effects, pearson / sqrt(product of the reliabilities). NaN when
        errors were not given or a reliability is not above 0. An estimate: beyond 1 and -1 at
        times.
    first_reliability, second_reliability : float
        1 - mean squared error / variance of the effects. Below 0 when the effects differ less
        than their errors; NaN when errors were not given or `pearson` is NaN.
    """

    n_providers: int
    pearson: float
    spearman: float
    corrected: float
    first_reliability: float
    second_reliability: float


@dataclass(frozen=True)
class YearOnYear:
    """Agreement of each period with the next, an entry per pair of periods.

    Attributes
    ----------
    first, second : ndarray of shape (n_periods - 1,)
        Labels of the periods.
    n_providers : ndarray of shape (n_periods - 1,)
        Providers with `minimum_n` episodes in both.
    pearson, spearman, corrected : ndarray of shape (n_periods - 1,)
        As of :class:`EffectAgreement`, NaN where it has NaN.
    minimum_n : int
    """

    first: NDArray[Any]
    second: NDArray[Any]
    n_providers: NDArray[np.intp]
    pearson: Floats
    spearman: Floats
    corrected: Floats
    minimum_n: int


@dataclass(frozen=True)
class FlagAgreement:
    """Agreement between two flaggings of the same providers.

    Attributes
    ----------
    flags : ndarray of shape (n_flags,)
        Sorted; every flag that either gave.
    table : ndarray of shape (n_flags, n_flags)
        Providers by flag of the first (rows) and of the second (columns).
    n_providers : int
    share_equal : float
        Share of providers with the same flag in both, 0 to 1.
    kappa : float
        Cohen's kappa: 1 is full agreement, 0 that of chance. NaN when both gave everybody the
        same flag, as chance alone would agree fully.
    """

    flags: NDArray[Any]
    table: NDArray[np.intp]
    n_providers: int
    share_equal: float
    kappa: float


def split_half(
    values: ArrayLike,
    provider: ArrayLike,
    *,
    seed: int,
    splits: int = 100,
    weights: ArrayLike | None = None,
    minimum_n: int = 2,
) -> SplitHalf:
    """Correlate the provider means of random halves of each provider's episodes.

    Parameters
    ----------
    values : array-like of shape (n_episodes,)
        What is averaged by provider: residuals, outcomes.
    provider : array-like of shape (n_episodes,)
        Labels.
    seed : int
        Of the splits; the same seed gives the same answer.
    splits : int
        How often the episodes are split; 1 or more.
    weights : array-like of shape (n_episodes,), optional
        Weights of episodes in a mean, such as those of response; above 0.
    minimum_n : int
        Providers with fewer episodes are left out and counted; 2 or more.

    Raises
    ------
    ArrayError
        When fewer than 3 providers are left, means of a half are all the same, or an argument
        is out of its range, not finite or not one per label.

    Notes
    -----
    Each provider is halved on its own; of an odd number the first half has one more. A half has
    half of the volume, hence the correction of Spearman (1910) and Brown (1910), British Journal
    of Psychology 3:271-295 and 296-322.

    Episodes are put in order of provider, value and weight before they are split, so the order
    of rows does not matter. The order of labels does: other labels are another draw.

    Examples
    --------
    >>> one = split_half([1.0, 1.0, 5.0, 5.0, 6.0, 6.0, 9.0], list("aabbccd"), seed=1, splits=5)
    >>> round(one.correlation, 6), one.n_providers, one.n_providers_left_out
    (1.0, 3, 1)
    """
    whole("seed", seed, 0)
    whole("splits", splits, 1)
    whole("minimum_n", minimum_n, 2)
    v, w, sizes, left_out = _to_split(values, provider, weights, minimum_n)
    found = _over_splits(v, w, sizes, splits, seed)
    if np.isnan(found).any():
        raise ArrayError(
            "values: wanted halves in which provider means differ; got one in which they do not. "
            f"Raise minimum_n, now {minimum_n}."
        )
    (plain, weighted), (plain_sd, weighted_sd) = found.mean(axis=0), found.std(axis=0)
    return SplitHalf(
        correlation=float(plain),
        correlation_sd=float(plain_sd),
        reliability=_doubled(float(plain)),
        weighted_correlation=float(weighted),
        weighted_correlation_sd=float(weighted_sd),
        weighted_reliability=_doubled(float(weighted)),
        splits=splits,
        minimum_n=minimum_n,
        n_providers=len(sizes),
        n_episodes=v.size,
        n_providers_left_out=left_out[0],
        n_episodes_left_out=left_out[1],
        estimator="split half, Spearman-Brown",
    )


def correlate_effects(
    first: ArrayLike,
    second: ArrayLike,
    first_error: ArrayLike | None = None,
    second_error: ArrayLike | None = None,
) -> EffectAgreement:
    """Correlate two sets of effects of the same providers, with and without their noise.

    Parameters
    ----------
    first, second : array-like of shape (n_providers,)
        Effects; the same provider at the same place.
    first_error, second_error : array-like of shape (n_providers,), optional
        Their standard errors, 0 or more; both or neither. The errors of the two sets are taken as
        independent: they share no episodes.

    Raises
    ------
    ArrayError
        When arrays are empty, not finite or of unequal length, an error is negative, or one set
        has errors and the other has not.

    Notes
    -----
    The correction for attenuation of Spearman (1904), American Journal of Psychology 15:72-101,
    each reliability estimated from the errors. It is uncertain when reliabilities are low.

    Examples
    --------
    >>> one = correlate_effects([1.0, 2.0, 3.0], [1.0, 3.0, 2.0], [0.5] * 3, [0.5] * 3)
    >>> round(one.pearson, 4), round(one.first_reliability, 4), round(one.corrected, 4)
    (0.5, 0.75, 0.6667)
    """
    a = a_row("first", first)
    b = finite("second", second, a.shape)
    if (first_error is None) != (second_error is None):
        raise ArrayError("first_error, second_error: wanted both or neither; got one. Give both.")
    pearson = _correlation(a, b, np.ones(a.size))
    reliabilities = (
        _reliability(a, "first_error", first_error, pearson),
        _reliability(b, "second_error", second_error, pearson),
    )
    return EffectAgreement(
        n_providers=a.size,
        pearson=pearson,
        spearman=_correlation(stats.rankdata(a), stats.rankdata(b), np.ones(a.size)),
        corrected=_disattenuated(pearson, *reliabilities),
        first_reliability=reliabilities[0],
        second_reliability=reliabilities[1],
    )


def year_on_year(
    values: ArrayLike, provider: ArrayLike, period: ArrayLike, *, minimum_n: int = 30
) -> YearOnYear:
    """Correlate the provider means of each period with those of the next.

    Parameters
    ----------
    values : array-like of shape (n_episodes,)
        What is averaged by provider: residuals, outcomes.
    provider, period : array-like of shape (n_episodes,)
        Labels. Periods follow each other in sorted order; two or more of them.
    minimum_n : int
        Providers with fewer episodes in either period are left out of a pair; 2 or more. The
        default is that of NHS England's guide for a published figure.

    Raises
    ------
    ArrayError
        When there is one period only, or an argument is out of its range, not finite or not one
        per label.

    Notes
    -----
    Means are corrected for their sampling error (see :func:`correlate_effects`) with the variance
    of episodes within the providers of the pair, pooled by period, over the number of episodes.

    Examples
    --------
    >>> one = year_on_year(
    ...     [0, 2, 4, 6, 8, 9, 1, 2, 3, 6, 9, 7],
    ...     list("aabbccaabbcc"),
    ...     ["2018"] * 6 + ["2019"] * 6,
    ...     minimum_n=2,
    ... )
    >>> one.first.tolist(), one.second.tolist(), one.n_providers.tolist()
    (['2018'], ['2019'], [3])
    >>> one.pearson.round(4).tolist(), one.spearman.round(4).tolist()
    ([0.9966], [1.0])
    """
    whole("minimum_n", minimum_n, 2)
    providers, periods = group_rows(provider), group_rows(period, "period")
    v = finite("values", values, (providers.n_rows,))
    if periods.n_rows != v.size:
        raise ArrayError(f"period: wanted {v.size:,} labels; got {periods.n_rows:,}.")
    if len(periods) < 2:
        raise ArrayError(f"period: wanted two or more; got {plain(periods.labels[0])!r} only.")
    shape = len(periods), len(providers)
    cell = periods.at_rows(np.arange(shape[0])) * shape[1]
    cell += providers.at_rows(np.arange(shape[1]))
    n, mean, squares = _moments(v, cell, shape)
    pairs = [
        _successive(n[at : at + 2], mean[at : at + 2], squares[at : at + 2], minimum_n)
        for at in range(shape[0] - 1)
    ]
    return YearOnYear(
        first=periods.labels[:-1],
        second=periods.labels[1:],
        n_providers=np.array([one.n_providers for one in pairs]),
        pearson=np.array([one.pearson for one in pairs]),
        spearman=np.array([one.spearman for one in pairs]),
        corrected=np.array([one.corrected for one in pairs]),
        minimum_n=minimum_n,
    )


def flag_agreement(first: ArrayLike, second: ArrayLike) -> FlagAgreement:
    """Compare two flaggings of the same providers.

    Parameters
    ----------
    first, second : array-like of shape (n_providers,)
        Flags: text or numbers; the same provider at the same place.

    Raises
    ------
    ArrayError
        When there are none, one is missing, or the lengths differ.

    Notes
    -----
    Cohen (1960), Educational and Psychological Measurement 20:37-46: with p the share that is
    equal and q that expected of independent flaggings with the same shares of each flag, kappa is
    (p - q) / (1 - q). It takes no account of how far apart two flags are.

    Examples
    --------
    >>> one = flag_agreement(["in", "in", "high", "in"], ["in", "high", "high", "in"])
    >>> one.flags.tolist(), one.table.tolist()
    (['high', 'in'], [[1, 0], [1, 2]])
    >>> one.share_equal, one.kappa
    (0.75, 0.5)
    """
    both = [np.asarray(one, dtype=object) for one in (first, second)]
    if both[0].ndim != 1 or both[0].shape != both[1].shape:
        raise ArrayError(
            f"second: wanted one flag per flag of the first, shape {both[0].shape}; "
            f"got {both[1].shape}."
        )
    groups = group_rows(np.concatenate(both), "flag")
    size, n = len(groups), both[0].size
    code = groups.at_rows(np.arange(size))
    table = np.bincount(code[:n] * size + code[n:], minlength=size**2).reshape(size, size)
    # Whole numbers, so that a chance agreement of 1 is met exactly.
    equal = n * int(np.trace(table))
    chance = int(table.sum(axis=0) @ table.sum(axis=1))
    return FlagAgreement(
        flags=groups.labels,
        table=table,
        n_providers=n,
        share_equal=equal / n**2,
        kappa=(equal - chance) / (n**2 - chance) if chance < n**2 else float("nan"),
    )


def _over_splits(
    v: Floats, w: Floats | None, sizes: NDArray[np.intp], splits: int, seed: int
) -> Floats:
    """Return the correlation of each split: plain, and weighted by volume."""
    rng = np.random.default_rng(seed)
    halves = _Halves(sizes)
    volumes = np.ones(len(sizes)), sizes.astype(float)
    found = np.empty((splits, 2))
    for one in range(splits):
        first, second = halves.means(v, w, rng)
        found[one] = [_correlation(first, second, volume) for volume in volumes]
    return found


class _Halves:
    """Providers of these sizes, one after the other, and which rows are in which half."""

    def __init__(self, sizes: NDArray[np.intp]) -> None:
        starts = np.concatenate(([0], np.cumsum(sizes)[:-1]))
        rank = np.arange(sizes.sum()) - np.repeat(starts, sizes)
        self._provider = np.repeat(np.arange(len(sizes), dtype=float), sizes)
        self._rows = [np.flatnonzero(rank % 2 == half) for half in (0, 1)]
        self._starts = [np.concatenate(([0], np.cumsum((sizes + odd) // 2)[:-1])) for odd in (1, 0)]

    def means(self, v: Floats, w: Floats | None, rng: np.random.Generator) -> tuple[Floats, Floats]:
        """Shuffle within each provider and return the means of every other row, and of the rest."""
        # Halved so that rounding can never carry a row over to the next provider.
        order = np.argsort(self._provider + rng.random(v.size) / 2)
        first, second = (
            _mean(v[order[rows]], None if w is None else w[order[rows]], starts)
            for rows, starts in zip(self._rows, self._starts, strict=True)
        )
        return first, second


def _mean(v: Floats, w: Floats | None, starts: NDArray[np.intp]) -> Floats:
    if w is None:
        return np.add.reduceat(v, starts) / np.diff(starts, append=v.size)
    return np.add.reduceat(v * w, starts) / np.add.reduceat(w, starts)


def _to_split(
    values: ArrayLike, provider: ArrayLike, weights: ArrayLike | None, minimum_n: int
) -> tuple[Floats, Floats | None, NDArray[np.intp], tuple[int, int]]:
    """Return values, weights and sizes of the providers with enough, and how many have not."""
    groups = group_rows(provider)
    v = groups.sort(finite("values", values, (groups.n_rows,)))
    w = None if weights is None else groups.sort(above("weights", weights, 0.0, v.shape))
    kept = groups.sizes >= minimum_n
    sizes = groups.sizes[kept]
    if len(sizes) < _FEWEST:
        raise ArrayError(
            f"provider: wanted {_FEWEST} or more with {minimum_n} or more episodes; "
            f"got {len(sizes)}."
        )
    if not kept.all():
        rows = groups.spread(kept)
        v, w = v[rows], None if w is None else w[rows]
    keys = (v, np.repeat(np.arange(len(sizes)), sizes))
    order = np.lexsort(keys if w is None else (w, *keys))
    left_out = len(groups) - len(sizes), groups.n_rows - v.size
    return v[order], None if w is None else w[order], sizes, left_out


def _moments(
    v: Floats, cell: NDArray[np.intp], shape: tuple[int, int]
) -> tuple[Floats, Floats, Floats]:
    """Return number, mean and sum of squared deviations by cell; 0 where it is empty."""
    cells = shape[0] * shape[1]
    n = np.bincount(cell, minlength=cells).astype(np.float64)
    mean = np.bincount(cell, weights=v, minlength=cells) / np.maximum(n, 1)
    rest = (v - mean[cell]) ** 2
    squares = np.bincount(cell, weights=rest, minlength=cells).astype(np.float64)
    return n.reshape(shape), mean.reshape(shape), squares.reshape(shape)


def _successive(n: Floats, mean: Floats, squares: Floats, minimum_n: int) -> EffectAgreement:
    """Return the agreement of two periods, one a row, over the providers with enough in both."""
    kept = (n >= minimum_n).all(axis=0)
    if not kept.any():
        nan = float("nan")
        return EffectAgreement(0, nan, nan, nan, nan, nan)
    n, mean, squares = n[:, kept], mean[:, kept], squares[:, kept]
    within = squares.sum(axis=1) / (n - 1).sum(axis=1)
    return correlate_effects(*mean, *np.sqrt(within[:, None] / n))


def _correlation(a: Floats, b: Floats, weight: Floats) -> float:
    """Return the weighted correlation; NaN of too few, or of values that do not differ."""
    if a.size < _FEWEST:
        return float("nan")
    share = weight / weight.sum()
    x, y = a - share @ a, b - share @ b
    spread_a, spread_b = float(share @ x**2), float(share @ y**2)
    # What rounding leaves of values that are the same is not variation.
    if spread_a <= 1e-24 * float(share @ a**2) or spread_b <= 1e-24 * float(share @ b**2):
        return float("nan")
    return float(np.clip((share * x) @ y / np.sqrt(spread_a) / np.sqrt(spread_b), -1.0, 1.0))


def _reliability(effect: Floats, name: str, error: ArrayLike | None, pearson: float) -> float:
    if error is None:
        return float("nan")
    squared = at_least(name, error, 0.0, effect.shape) ** 2
    if np.isnan(pearson):
        return float("nan")
    return float(1 - squared.mean() / effect.var(ddof=1))


def _disattenuated(pearson: float, first: float, second: float) -> float:
    if not (first > 0 and second > 0):
        return float("nan")
    return float(pearson / np.sqrt(first * second))


def _doubled(correlation: float) -> float:
    """Return the reliability of twice the volume."""
    return 2 * correlation / (1 + correlation) if correlation > -1 else float("nan")
