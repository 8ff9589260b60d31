"""How sure a figure is when episodes of the same provider resemble each other.

Episodes of a provider are no independent draws, so that an interval which counts episodes is too
narrow. Here the provider is what is drawn: by its sums, which are all that a mean, a slope, R2 or
the difference of two learners' R2 need, so that a thousand bootstrap samples are one matrix
product; or by the sandwich standard error, which needs no draws. And where every provider has a
figure of its own: what the figure is on average, and what it would be at the next provider.

With few clusters every interval here is too narrow rather than too wide, those with Student's t
least; how few are few is some 20 to 50, more where clusters differ in size (Cameron and Miller
2015, J Hum Resour 50:317-372).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import special, stats

from riskadj.errors import ArrayError
from riskadj.stats.arrays import Floats, above, finite, one_of, tail_of, whole
from riskadj.stats.dispersion import between_variance
from riskadj.stats.groups import Groups, group_rows
from riskadj.stats.threads import one_thread

_BLOCK = 4_000_000
"""Counts that are drawn at a time: 32 MB."""
_FEWEST = 2
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


@dataclass(frozen=True)
class ClusterRegression:
    """A least-squares fit whose standard errors allow for clusters.

    Attributes
    ----------
    coef : ndarray of shape (1 + n_covariates,)
        Intercept first.
    covariance : ndarray of shape (1 + n_covariates, 1 + n_covariates)
    standard_error, lower, upper : ndarray of shape (1 + n_covariates,)
    level : float
    n, n_clusters : int
    """

    coef: Floats
    covariance: Floats
    standard_error: Floats
    lower: Floats
    upper: Floats
    level: float
    n: int
    n_clusters: int


@dataclass(frozen=True)
class PooledEstimate:
    """Estimates of clusters put together, on the scale that they came on.

    Attributes
    ----------
    value : float
        Mean over clusters, each weighted by 1 / (s^2 + tau2) on the pooling scale.
    standard_error : float
        Of the mean, on the pooling scale.
    lower, upper : float
        Interval of the mean.
    prediction_lower, prediction_upper : float
        Where the true value of a further cluster lies; NaN with fewer than 3 clusters.
    tau : float
        Standard deviation of the true values between clusters, on the pooling scale.
    scale, method : str
    level : float
    n_clusters : int
    """

    value: float
    standard_error: float
    lower: float
    upper: float
    prediction_lower: float
    prediction_upper: float
    tau: float
    scale: str
    method: str
    level: float
    n_clusters: int


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
    n_clusters = _enough(sums.values.shape[1])
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


def accuracy_by_cluster(
    observed: ArrayLike,
    expected: ArrayLike,
    cluster: ArrayLike,
    figure: str = "r2",
    method: str = "bca",
    *,
    replicates: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> Estimate:
    """Return a figure of closeness with an interval that allows for clusters.

    Parameters
    ----------
    observed, expected, cluster : array-like of shape (n_episodes,)
    figure : {"r2", "mae", "rmse", "mse", "bias", "slope"}
        As in `accuracy` and `calibration_line`; `mse` is the mean of (O - E)^2. Of events (0 and
        1) and risks `mse` is the Brier score, and `r2` the scaled one.
    method, replicates, seed, level
        As in `interval_by_cluster`.

    Raises
    ------
    ArrayError

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> cluster, expected = np.repeat(np.arange(50), 20), rng.normal(size=1000)
    >>> got = accuracy_by_cluster(expected + rng.normal(size=1000), expected, cluster)
    >>> bool(0.4 < got.lower < got.value < got.upper < 0.6)
    True
    """
    found = FIGURES[one_of("figure", figure, FIGURES)]
    o, e = _pair(observed, expected)
    sums = sums_by_cluster(_of_pair(o, e), cluster)
    return interval_by_cluster(sums, found, method, replicates=replicates, seed=seed, level=level)


def accuracy_difference(
    observed: ArrayLike,
    expected: ArrayLike,
    other: ArrayLike,
    cluster: ArrayLike,
    figure: str = "r2",
    method: str = "bca",
    *,
    replicates: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> Estimate:
    """Return how much a figure of one learner is above that of another on the same episodes.

    Both learners see the same samples of clusters, so that what they share cancels.

    Parameters
    ----------
    observed, expected, other, cluster : array-like of shape (n_episodes,)
        `other`: what the learner to compare with expects.
    figure, method, replicates, seed, level
        As in `accuracy_by_cluster`.

    Raises
    ------
    ArrayError

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> cluster, truth = np.repeat(np.arange(50), 20), rng.normal(size=1000)
    >>> observed, worse = truth + rng.normal(size=1000), truth + 0.5 * rng.normal(size=1000)
    >>> accuracy_difference(observed, truth, worse, cluster).lower > 0
    True
    """
    found = FIGURES[one_of("figure", figure, FIGURES)]
    o, first = _pair(observed, expected)
    second = finite("other", other, o.shape)
    columns = _of_pair(o, first) | {f"other {k}": v for k, v in _of_pair(o, second).items()}

    def difference(of: Totals) -> Floats:
        theirs = {name: of[f"other {name}"] for name in _PAIR} | {"n": of["n"]}
        return found(of) - found(theirs)

    sums = sums_by_cluster(columns, cluster)
    return interval_by_cluster(
        sums, difference, method, replicates=replicates, seed=seed, level=level
    )


def mean_by_cluster(
    values: ArrayLike, cluster: ArrayLike | None = None, level: float = 0.95
) -> Estimate:
    """Return a mean with its cluster-robust standard error.

    Parameters
    ----------
    values : array-like of shape (n_episodes,)
    cluster : array-like of shape (n_episodes,), optional
        Labels; without them each episode counts as a cluster, and the standard error is s / root n.
    level : float

    Raises
    ------
    ArrayError
        When there are fewer than 2 clusters, or values are not finite.

    Notes
    -----
    Variance: G / (G - 1) sum over clusters of (sum of values - mean)^2 / n^2 (Liang and Zeger
    1986, Biometrika 73:13-22, with the correction for few clusters of Cameron and Miller 2015, J
    Hum Resour 50:317-372); Student's t with G - 1 degrees of freedom.

    Examples
    --------
    >>> mean_by_cluster([1.0, 2.0, 4.0, 5.0], [1, 1, 2, 2]).standard_error
    1.5
    >>> round(mean_by_cluster([1.0, 2.0, 4.0, 5.0]).standard_error, 4)
    0.9129
    """
    y = _episodes("values", values)
    groups = clusters_of(cluster, len(y))
    mean = float(y.mean())
    variance = robust_sum(groups, (y - mean)[None])[0, 0] / len(y) ** 2
    return student(mean, float(np.sqrt(variance)), level, len(y), len(groups))


def regress_by_cluster(
    y: ArrayLike, X: ArrayLike, cluster: ArrayLike | None = None, level: float = 0.95
) -> ClusterRegression:
    """Return a least-squares fit, an intercept included, with cluster-robust standard errors.

    Parameters
    ----------
    y : array-like of shape (n_episodes,)
    X : array-like of shape (n_episodes, n_covariates) or (n_episodes,)
        Without a column of ones.
    cluster : array-like of shape (n_episodes,), optional
        Without it each episode counts as a cluster: standard errors hold under unequal variances.
    level : float

    Raises
    ------
    ArrayError
        When covariates are collinear, clusters fewer than 2, or episodes too few.

    Notes
    -----
    B M B with B the inverse of X'X, M the sum over clusters of the outer products of X'r, times
    G / (G - 1) (n - 1) / (n - k), k the coefficients (Cameron and Miller 2015, J Hum Resour
    50:317-372); Student's t with G - 1 degrees of freedom.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> x = rng.normal(size=400)
    >>> got = regress_by_cluster(1 + 2 * x + rng.normal(size=400), x, np.arange(400) // 10)
    >>> got.coef.round().tolist()
    [1.0, 2.0]
    """
    target, matrix = _episodes("y", y), _matrix(X, np.size(y))
    groups = clusters_of(cluster, len(target))
    n, k = len(target), matrix.shape[1] + 1
    if n <= k:
        raise ArrayError(f"y: wanted more episodes than coefficients, {k}; got {n}.")
    centre = matrix.mean(axis=0)
    with one_thread():
        coef, covariance = _sandwich(target, matrix - centre, groups)
        moved = np.eye(k)
        moved[0, 1:] = -centre
        coef, covariance = moved @ coef, moved @ covariance @ moved.T * (n - 1) / (n - k)
    error = np.sqrt(np.diag(covariance))
    half = _t(level, len(groups)) * error
    return ClusterRegression(
        coef, covariance, error, coef - half, coef + half, level, n, len(groups)
    )


def pool_estimates(
    estimate: ArrayLike,
    standard_error: ArrayLike,
    scale: str = "identity",
    method: str = "reml",
    level: float = 0.95,
) -> PooledEstimate:
    """Return the mean of clusters' estimates, and where that of a further cluster lies.

    Internal-external validation: a figure of performance in each provider or year that the model
    did not learn from (Riley and others 2016, BMJ 353:i3140).

    Parameters
    ----------
    estimate, standard_error : array-like of shape (n_clusters,)
        On their own scale; standard errors above 0.
    scale : {"identity", "logit", "log"}
        On which they are pooled: `logit` for C-statistics, `log` for ratios, `identity` for slopes
        and intercepts (Snell and others 2018, Stat Methods Med Res 27:3505-3522).
    method : str
        Of `between_variance`: "reml", "paule_mandel" or "dersimonian_laird".
    level : float

    Raises
    ------
    ArrayError
        When there are fewer than 2 clusters, or an estimate is outside its scale.

    Notes
    -----
    With w = 1 / (s^2 + tau2), the standard error is sqrt(q / sum w), q = sum w (y - mean)^2 /
    (k - 1), and the interval is Student's t with k - 1 degrees of freedom (Hartung and Knapp 2001,
    Stat Med 20:3875-3889). A q under 1 counts as 1, or the interval could be narrower than that
    without variation between clusters. Prediction interval: mean -+ t sqrt(tau2 + s^2) with k - 2
    degrees of freedom (Higgins, Thompson and Spiegelhalter 2009, J R Stat Soc A 172:137-159). A
    standard error s moves to the logit scale as s / (y (1 - y)), to the log scale as s / y.

    Examples
    --------
    >>> got = pool_estimates([0.70, 0.74, 0.72, 0.69], [0.01, 0.02, 0.01, 0.02], "logit")
    >>> round(got.value, 3), got.prediction_lower < got.lower < got.value < got.upper
    (0.711, True)
    """
    kind = _SCALES[one_of("scale", scale, _SCALES)]
    one_of("method", method, ("reml", "paule_mandel", "dersimonian_laird"))
    raw = finite("estimate", estimate)
    error = above("standard_error", standard_error, 0.0, raw.shape)
    if raw.ndim != 1 or not kind.inside(raw):
        raise ArrayError(f"estimate: wanted a row of numbers with a {scale}; got others.")
    y, error = kind.there(raw), error * kind.slope(raw)
    tau2 = between_variance(y, error, method).tau2
    weight = 1 / (error**2 + tau2)
    mean, k = float(weight @ y / weight.sum()), len(y)
    excess = max(1.0, float(weight @ (y - mean) ** 2) / (k - 1))
    spread = float(np.sqrt(excess / weight.sum()))
    half = _t(level, k) * spread
    wide = _t(level, k - 1) * float(np.sqrt(tau2 + spread**2)) if k > _FEWEST else np.nan
    back = [float(kind.back(mean + one)) for one in (0.0, -half, half, -wide, wide)]
    return PooledEstimate(
        value=back[0],
        standard_error=spread,
        lower=back[1],
        upper=back[2],
        prediction_lower=back[3],
        prediction_upper=back[4],
        tau=float(np.sqrt(tau2)),
        scale=scale,
        method=method,
        level=level,
        n_clusters=k,
    )


def clusters_of(cluster: ArrayLike | None, n: int) -> Groups:
    """Return the clusters of n episodes, each its own without labels; refuse fewer than 2.

    Raises
    ------
    ArrayError
    """
    groups = group_rows(np.arange(n) if cluster is None else cluster, "cluster")
    if groups.n_rows != n:
        raise ArrayError(f"cluster: wanted a label for each of {n} episodes; got {groups.n_rows}.")
    _enough(len(groups))
    return groups


def robust_sum(groups: Groups, scores: Floats) -> Floats:
    """Return the covariance of summed scores over clusters, G / (G - 1) sum of outer products.

    Parameters
    ----------
    groups : Groups
    scores : ndarray of shape (n_scores, n_episodes)
        Each with a sum of 0.
    """
    by_cluster, g = groups.total(scores), len(groups)
    return np.asarray(by_cluster @ by_cluster.T) * (g / (g - 1))


def student(value: float, error: float, level: float, n: int, n_clusters: int) -> Estimate:
    """Return an estimate with the interval of Student's t, clusters less one degrees of freedom."""
    half = _t(level, n_clusters) * error
    by = "robust by cluster" if n_clusters < n else "robust"
    return Estimate(value, error, value - half, value + half, level, n, n_clusters, by)


def _t(level: float, n_clusters: int) -> float:
    return float(stats.t.isf(tail_of(level), n_clusters - 1))


def _enough(n_clusters: int) -> int:
    if n_clusters < _FEWEST:
        raise ArrayError(
            f"cluster: wanted at least {_FEWEST} clusters; got {n_clusters}. "
            "Leave clusters out to count each episode as one."
        )
    return n_clusters


def _episodes(name: str, values: ArrayLike) -> Floats:
    array = finite(name, values)
    if array.ndim != 1 or not array.size:
        raise ArrayError(f"{name}: wanted one number per episode; got shape {array.shape}.")
    return array


def _pair(observed: ArrayLike, expected: ArrayLike) -> tuple[Floats, Floats]:
    o = _episodes("observed", observed)
    return o, finite("expected", expected, o.shape)


def _matrix(X: ArrayLike, n: int) -> Floats:
    matrix = finite("X", X)
    columns = matrix[:, None] if matrix.ndim == 1 else matrix
    if columns.ndim != 2 or len(columns) != n or not columns.shape[1]:
        raise ArrayError(f"X: wanted {n} rows of covariates; got shape {matrix.shape}.")
    return columns


def _sandwich(y: Floats, centred: Floats, groups: Groups) -> tuple[Floats, Floats]:
    """Return coefficients and their covariance, the intercept at the mean of the covariates."""
    size = np.sqrt((centred**2).sum(axis=0))
    if not (size > 0).all() or np.linalg.cond(centred / size) > 1e8:
        raise ArrayError("X: wanted covariates none of which follows from others; got collinear.")
    basis, triangle = np.linalg.qr(centred / size)
    root = np.linalg.inv(triangle) / size[:, None]
    slopes = root @ (basis.T @ (y - y.mean()))
    rest = y - y.mean() - centred @ slopes
    meat = robust_sum(groups, np.vstack([rest / len(y), basis.T * rest]))
    bread = np.eye(len(meat))
    bread[1:, 1:] = root
    return np.concatenate([[y.mean()], slopes]), bread @ meat @ bread.T


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

_PAIR = ("o", "e", "oo", "ee", "oe", "rest", "square", "absolute")


def _of_pair(observed: Floats, expected: Floats) -> dict[str, ArrayLike]:
    """Return the columns whose sums say how close expectations are, about the observed mean."""
    centre = observed.mean()
    o, e, rest = observed - centre, expected - centre, observed - expected
    columns = (o, e, o * o, e * e, o * e, rest, rest * rest, np.abs(rest))
    return dict(zip(_PAIR, columns, strict=True))


def _r2(of: Totals) -> Floats:
    return 1 - of["square"] / (of["oo"] - of["o"] ** 2 / of["n"])


def _slope(of: Totals) -> Floats:
    return (of["oe"] - of["o"] * of["e"] / of["n"]) / (of["ee"] - of["e"] ** 2 / of["n"])


FIGURES: dict[str, Figure] = {
    "r2": _r2,
    "mae": lambda of: of["absolute"] / of["n"],
    "rmse": lambda of: np.sqrt(of["square"] / of["n"]),
    "mse": lambda of: of["square"] / of["n"],
    "bias": lambda of: of["rest"] / of["n"],
    "slope": _slope,
}
"""The figures of `accuracy_by_cluster`."""


class _Scale(NamedTuple):
    """A scale to pool on: which values have a place on it, how to get there and back."""

    inside: Callable[[Floats], bool]
    there: Callable[[Floats], Floats]
    slope: Callable[[Floats], Floats]
    back: Callable[[float], float]


_SCALES = {
    "identity": _Scale(lambda _y: True, lambda y: y, np.ones_like, lambda y: y),
    "logit": _Scale(
        lambda y: bool(((y > 0) & (y < 1)).all()),
        special.logit,
        lambda y: 1 / (y * (1 - y)),
        special.expit,
    ),
    "log": _Scale(lambda y: bool((y > 0).all()), np.log, lambda y: 1 / y, np.exp),
}
