"""How sure a figure is when episodes of the same provider resemble each other.

Episodes of a provider are no independent draws, so that an interval which counts episodes is too
narrow. Here the provider is what is drawn: by its sums, which are all that a mean, a slope, R2 or
the difference of two learners' R2 need, so that a thousand bootstrap samples are one matrix
product.

With few clusters every interval is too narrow rather than too wide, those with Student's t least;
how few are few is some 20 to 50, more where clusters differ in size (Cameron and Miller 2015, J
Hum Resour 50:317-372).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import special, stats

from riskadj.errors import ArrayError
from riskadj.stats.arrays import Floats, finite, one_of, tail_of, whole
from riskadj.stats.groups import group_rows
from riskadj.stats.threads import one_thread

_BLOCK = 4_000_000
"""Counts that are drawn at a time: 32 MB."""
FEWEST = 2
"""Clusters without which nothing is known about how clusters differ."""

Totals = Mapping[str, Floats]
"""Sums of columns over the clusters of each sample, shape (n_samples,)."""
Figure = Callable[[Totals], Floats]
"""What is computed from totals, sample by sample."""


@dataclass(frozen=True)
class Estimate:
    """A figure with its standard error and interval.

    Attributes
    ----------
    value : float
    standard_error : float
    lower, upper : float
    level : float
        Of the interval; between 0 and 1.
    n : int
        Episodes.
    n_clusters : int
        Clusters; the number of episodes where each counts as one of its own.
    method : str
        What the standard error and the interval stand on.
    """

    value: float
    standard_error: float
    lower: float
    upper: float
    level: float
    n: int
    n_clusters: int
    method: str


@dataclass(frozen=True)
class ClusterSums:
    """Sums by cluster.

    Attributes
    ----------
    names : tuple of str
        Of the columns; the first is `n`, the number of episodes.
    values : ndarray of shape (n_columns, n_clusters)
    """

    names: tuple[str, ...]
    values: Floats

    def named(self, values: Floats) -> Totals:
        """Return sums by the name of their column."""
        return dict(zip(self.names, values, strict=True))


def sums_by_cluster(columns: Mapping[str, ArrayLike], cluster: ArrayLike) -> ClusterSums:
    """Return the sum of every column by cluster, and the number of episodes as `n`.

    Parameters
    ----------
    columns : mapping of str to array-like of shape (n_episodes,)
        Any names but `n`.
    cluster : array-like of shape (n_episodes,)
        Labels.

    Raises
    ------
    ArrayError
        When a label is missing, or a column is not finite or of another length.

    Examples
    --------
    >>> sums_by_cluster({"cost": [1.0, 2.0, 4.0]}, ["b", "a", "b"]).values.tolist()
    [[1.0, 2.0], [2.0, 5.0]]
    """
    groups = group_rows(cluster, "cluster")
    rows = [finite(name, values, (groups.n_rows,)) for name, values in columns.items()]
    values = np.vstack([groups.sizes.astype(np.float64), *(groups.total(one) for one in rows)])
    return ClusterSums(("n", *columns), values)


def interval_by_cluster(
    sums: ClusterSums,
    figure: Figure,
    method: str = "bca",
    *,
    replicates: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> Estimate:
    """Return a figure of sums with the interval that drawing clusters gives it.

    Parameters
    ----------
    sums : ClusterSums
    figure : callable
        Given totals by name, each of shape (n_samples,), returns the figure of each sample.
    method : {"bca", "percentile", "jackknife"}
        `percentile`: of the figure over samples of clusters drawn with replacement (Efron 1979,
        Ann Stat 7:1-26). `bca`: the same, corrected for bias and skewness (Efron 1987, J Am Stat
        Assoc 82:171-185). `jackknife`: Student's t with as many degrees of freedom as clusters
        less one, and the standard error from leaving out one cluster at a time; nothing is drawn.
    replicates : int
        Samples, at least 50; intervals want hundreds.
    seed : int
        Same seed, same answer. Two figures of the same sums see the same samples.
    level : float

    Raises
    ------
    ArrayError
        When there are fewer than 2 clusters, or the figure is undefined in some sample.

    Examples
    --------
    >>> sums = sums_by_cluster({"y": [1.0, 2.0, 4.0, 5.0]}, [1, 1, 2, 2])
    >>> got = interval_by_cluster(sums, lambda of: of["y"] / of["n"], "jackknife")
    >>> got.value, got.standard_error
    (3.0, 1.5)
    """
    ends = _METHODS[one_of("method", method, _METHODS)]
    tail = tail_of(level)
    whole("replicates", replicates, 50)
    n_clusters = enough_clusters(sums.values.shape[1])
    value = float(_computed(sums, figure, sums.values.sum(axis=1, keepdims=True))[0])
    draws = _Draws(sums, figure, value, replicates, seed)
    error, lower, upper = ends(draws, tail)
    return Estimate(
        value=value,
        standard_error=error,
        lower=lower,
        upper=upper,
        level=level,
        n=int(sums.values[0].sum()),
        n_clusters=n_clusters,
        method=f"{method} by cluster",
    )


def enough_clusters(n_clusters: int) -> int:
    """Return the number of clusters; refuse fewer than 2.

    Raises
    ------
    ArrayError
    """
    if n_clusters < FEWEST:
        raise ArrayError(
            f"cluster: wanted at least {FEWEST} clusters; got {n_clusters}. "
            "Leave clusters out to count each episode as one."
        )
    return n_clusters


class GroupJackknife(NamedTuple):
    """Standard errors and intervals of figures; NaN where a figure is in some leaving-out.

    Attributes
    ----------
    standard_error, lower, upper : ndarray of shape (n_figures,)
    """

    standard_error: Floats
    lower: Floats
    upper: Floats


def jackknife_groups(value: ArrayLike, left_out: ArrayLike, level: float = 0.95) -> GroupJackknife:
    """Return the intervals of figures that were worked out again without each group of clusters.

    Parameters
    ----------
    value : array-like of shape (n_figures,)
        Of all clusters; the middle of the interval.
    left_out : array-like of shape (n_groups, n_figures)
        Of all but one group. Groups are drawn at random and hold whole clusters.
    level : float

    Raises
    ------
    ArrayError
        When there are fewer than 2 groups, or other figures left out than there are.

    Notes
    -----
    The delete-a-group jackknife (Kott 2001, J Off Stat 17:521-526): (K - 1) / K times the sum of
    squares about the mean of K leavings-out, and Student's t with K - 1 degrees of freedom. What a
    figure takes to be worked out does not matter: models that are taught again come in, too.

    Examples
    --------
    >>> got = jackknife_groups([3.0], [[4.5], [1.5]])
    >>> got.standard_error.tolist()
    [1.5]
    """
    middle, rest = (np.asarray(one, dtype=np.float64) for one in (value, left_out))
    if middle.ndim != 1 or rest.ndim != 2 or rest.shape[1] != middle.size:
        raise ArrayError(
            "left_out: wanted a row per group, with as many figures as value has; got shapes "
            f"{rest.shape} and {middle.shape}."
        )
    k = enough_clusters(len(rest))
    error = np.sqrt((k - 1) / k * ((rest - rest.mean(axis=0)) ** 2).sum(axis=0))
    half = float(stats.t.isf(tail_of(level), k - 1)) * error
    return GroupJackknife(error, middle - half, middle + half)


class _Draws(NamedTuple):
    """What an interval is made of: the figure of all clusters, of samples, and with one left out.

    Samples and leavings-out are computed when they are asked for.
    """

    sums: ClusterSums
    figure: Figure
    value: float
    replicates: int
    seed: int

    def samples(self) -> Floats:
        """Return the figure of each sample, in ascending order."""
        rng, m = np.random.default_rng(self.seed), self.sums.values.shape[1]
        step = max(1, _BLOCK // m)
        blocks = [
            self._drawn(rng, min(step, self.replicates - done))
            for done in range(0, self.replicates, step)
        ]
        return np.sort(np.concatenate(blocks))

    def left_out(self) -> Floats:
        """Return the figure without each cluster."""
        values = self.sums.values
        return _computed(self.sums, self.figure, values.sum(axis=1, keepdims=True) - values)

    def _drawn(self, rng: np.random.Generator, size: int) -> Floats:
        m = self.sums.values.shape[1]
        copies = rng.multinomial(m, np.full(m, 1 / m), size=size).astype(np.float64)
        with one_thread():
            totals = self.sums.values @ copies.T
        return _computed(self.sums, self.figure, totals)


def _computed(sums: ClusterSums, figure: Figure, totals: Floats) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        values = np.asarray(figure(sums.named(totals)), dtype=np.float64)
    wrong = int((~np.isfinite(values)).sum())
    if wrong:
        raise ArrayError(
            f"figure: wanted one that is defined in every sample of clusters; got {wrong} of "
            f"{values.size} in which it is not. Put clusters together, or choose another figure."
        )
    return values


def _percentile(draws: _Draws, tail: float) -> tuple[float, float, float]:
    return _ends(draws.samples(), tail, 1 - tail)


def _bca(draws: _Draws, tail: float) -> tuple[float, float, float]:
    samples, least = draws.samples(), 0.5 / draws.replicates
    below = float(np.mean(samples < draws.value) + np.mean(samples == draws.value) / 2)
    bias = float(special.ndtri(np.clip(below, least, 1 - least)))
    away = draws.left_out()
    away = away.mean() - away
    spread = float((away**2).sum())
    skew = float((away**3).sum()) / (6 * spread**1.5) if spread else 0.0
    moved = [bias + float(special.ndtri(one)) for one in (tail, 1 - tail)]
    low, high = (float(special.ndtr(bias + z / (1 - skew * z))) for z in moved)
    return _ends(samples, low, high)


def _ends(samples: Floats, low: float, high: float) -> tuple[float, float, float]:
    """Return standard deviation and quantiles; so many of n + 1 gaps lie below each on average."""
    lower, upper = np.quantile(samples, (low, high), method="weibull")
    return float(samples.std(ddof=1)), float(lower), float(upper)


def _jackknife(draws: _Draws, tail: float) -> tuple[float, float, float]:
    """Take the spread over leavings-out; Efron and Stein 1981, Ann Stat 9:586-596."""
    away = draws.left_out()
    m = len(away)
    error = float(np.sqrt((m - 1) / m * ((away - away.mean()) ** 2).sum()))
    half = float(stats.t.isf(tail, m - 1)) * error
    return error, draws.value - half, draws.value + half


_METHODS: dict[str, Callable[[_Draws, float], tuple[float, float, float]]] = {
    "bca": _bca,
    "percentile": _percentile,
    "jackknife": _jackknife,
}
