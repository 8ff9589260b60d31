"""How sure a mean or a line is when episodes come in clusters: standard errors without draws."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from riskadj.errors import ArrayError
from riskadj.stats.arrays import Floats, a_row, covariate_rows, tail_of
from riskadj.stats.clusters import Estimate, enough_clusters
from riskadj.stats.groups import Groups, group_rows
from riskadj.stats.threads import one_thread


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
    y = a_row("values", values, "episode")
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
    target, matrix = a_row("y", y, "episode"), _matrix(X, np.size(y))
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
    half = student_half(level, len(groups)) * error
    return ClusterRegression(
        coef, covariance, error, coef - half, coef + half, level, n, len(groups)
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
    enough_clusters(len(groups))
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
    half = student_half(level, n_clusters) * error
    by = "robust by cluster" if n_clusters < n else "robust"
    return Estimate(value, error, value - half, value + half, level, n, n_clusters, by)


def student_half(level: float, n_clusters: int) -> float:
    """Return half the width of an interval in standard errors, by Student's t."""
    return float(stats.t.isf(tail_of(level), n_clusters - 1))


def _matrix(X: ArrayLike, n: int) -> Floats:
    columns = covariate_rows(X, n)
    if not columns.shape[1]:
        raise ArrayError(f"X: wanted a covariate or more; got shape {columns.shape}.")
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
