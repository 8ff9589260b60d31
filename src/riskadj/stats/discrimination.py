"""Whether risks tell those with an event from those without, how close they are, and where."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special, stats

from riskadj.errors import ArrayError
from riskadj.stats.arrays import Floats, finite, one_of, tail_of, whole
from riskadj.stats.calibration import KINDS, Bools, assess_calibration, events, groups_by_rank
from riskadj.stats.clusters import Estimate
from riskadj.stats.groups import Groups, group_rows
from riskadj.stats.meta_analysis import PooledEstimate, pool_estimates
from riskadj.stats.sandwich import clusters_of


@dataclass(frozen=True)
class Brier:
    """The Brier score and what it is made of: all of them squared probabilities.

    brier = reliability - resolution + uncertainty + within_variance - within_covariance, exactly.

    Attributes
    ----------
    brier : float
        Mean squared difference between event and risk; 0 to 1, lower is better.
    scaled : float
        1 - brier / uncertainty: at most 1; 0 for everybody's risk being the share of events, and
        negative when worse than that. The index of prediction accuracy.
    reliability : float
        Mean over groups of (mean risk - share of events)^2; 0 when calibrated.
    resolution : float
        Variance of the share of events between groups; higher is better.
    uncertainty : float
        Variance of the event, p (1 - p).
    within_variance, within_covariance : float
        Variance of the risk within groups, and twice its covariance with the event there; both 0
        when a group shares one risk.
    n, n_groups : int
    """

    brier: float
    scaled: float
    reliability: float
    resolution: float
    uncertainty: float
    within_variance: float
    within_covariance: float
    n: int
    n_groups: int


@dataclass(frozen=True)
class ClusterFigure:
    """One figure of performance in each cluster, and over clusters.

    Attributes
    ----------
    value, standard_error : ndarray of shape (n_clusters,)
        NaN where the cluster is too small, or the figure or its error cannot be computed there.
    pooled : PooledEstimate or None
        None when fewer than 2 clusters have the figure.
    n_left_out : int
        Clusters without the figure.
    """

    value: Floats
    standard_error: Floats
    pooled: PooledEstimate | None
    n_left_out: int


@dataclass(frozen=True)
class ClusterPerformance:
    """How well expectations do in each cluster: provider, or year.

    Attributes
    ----------
    labels : ndarray of shape (n_clusters,)
        Sorted.
    n : ndarray of shape (n_clusters,)
        Episodes.
    figures : mapping of str to ClusterFigure
        `slope` and `in_the_large`; with risks also `c`.
    kind : {"mean", "risk"}
    """

    labels: NDArray[Any]
    n: NDArray[np.intp]
    figures: Mapping[str, ClusterFigure]
    kind: str


def c_statistic(event: ArrayLike, risk: ArrayLike) -> float:
    """Return the probability that an episode with an event has a higher risk than one without.

    Equal risks count a half: the area under the receiver operating characteristic. Mann and
    Whitney's statistic by ranks, in n log n steps (Hanley and McNeil 1982, Radiology 143:29-36).

    Parameters
    ----------
    event : array-like of shape (n_episodes,)
        0 or 1.
    risk : array-like of shape (n_episodes,)
        Any numbers that are higher where an event is more likely.

    Raises
    ------
    ArrayError
        When values are not finite, events not 0 or 1, or the lengths differ.
    NoVariationError
        When all or none have an event.

    Examples
    --------
    >>> c_statistic([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    0.75
    """
    happened, score = _pair(event, risk)
    return float(_placements(happened, score)[happened].mean())


def discrimination(
    event: ArrayLike, risk: ArrayLike, cluster: ArrayLike | None = None, level: float = 0.95
) -> Estimate:
    """Return the C-statistic with its standard error and interval.

    Parameters
    ----------
    event, risk : array-like of shape (n_episodes,)
        As in `c_statistic`.
    cluster : array-like of shape (n_episodes,), optional
        Labels, such as providers; without them episodes count as independent.
    level : float
        Of the interval; between 0 and 1.

    Returns
    -------
    Estimate
        `lower` and `upper` are NaN when C is 0 or 1, where the variance is 0 and says nothing, and
        `standard_error` is 0.

    Raises
    ------
    ArrayError
        Also when fewer than 2 clusters (episodes, without clusters) have an event, or lack one.
    NoVariationError

    Notes
    -----
    Without clusters: DeLong, DeLong and Clarke-Pearson 1988, Biometrics 44:837-845. With clusters:
    the same sums by cluster, and the covariance within clusters between those with and those
    without an event (Obuchowski 1997, Biometrics 53:567-578); with one episode per cluster both
    are the same. Placements by ranks, as Sun and Xu 2014, IEEE Signal Process Lett 21:1389-1393.
    The interval is symmetric on the logit scale, with the normal distribution, or with clusters
    with Student's t on clusters less one degrees of freedom.

    Examples
    --------
    >>> got = discrimination([0, 0, 1, 1, 0, 1], [0.1, 0.4, 0.35, 0.8, 0.2, 0.3])
    >>> round(got.value, 4), round(got.standard_error, 4)
    (0.7778, 0.2485)
    """
    happened, score = _pair(event, risk)
    groups = clusters_of(cluster, len(happened))
    c, error = _with_error(_placements(happened, score), happened, groups)
    lower, upper = _logit_ends(c, error, _z(level, cluster, groups))
    method = "DeLong" if cluster is None else "Obuchowski"
    return Estimate(c, error, lower, upper, level, len(happened), len(groups), method)


def discrimination_difference(
    event: ArrayLike,
    risk: ArrayLike,
    other: ArrayLike,
    cluster: ArrayLike | None = None,
    level: float = 0.95,
) -> Estimate:
    """Return how much one learner's C-statistic is above another's on the same episodes.

    Parameters
    ----------
    event, risk, other : array-like of shape (n_episodes,)
        `other`: the risks of the learner to compare with.
    cluster : array-like of shape (n_episodes,), optional
    level : float

    Raises
    ------
    ArrayError, NoVariationError
        As `discrimination`.

    Notes
    -----
    The variance of `discrimination` of the differences between placements, which is that of the
    difference, covariance included. The interval is symmetric.

    Examples
    --------
    >>> event, good, poor = [0, 0, 1, 1, 0, 1], [1, 2, 3, 4, 2, 5], [1, 4, 3, 4, 3, 2]
    >>> got = discrimination_difference(event, good, poor)
    >>> round(got.value, 4), round(got.standard_error, 4)
    (0.4444, 0.2833)
    """
    happened, first = _pair(event, risk)
    second = finite("other", other, first.shape)
    groups = clusters_of(cluster, len(happened))
    apart = _placements(happened, first) - _placements(happened, second)
    value, error = _with_error(apart, happened, groups)
    half = _z(level, cluster, groups) * error
    method = "DeLong" if cluster is None else "Obuchowski"
    return Estimate(
        value, error, value - half, value + half, level, len(happened), len(groups), method
    )


def brier_score(event: ArrayLike, risk: ArrayLike, groups: int | None = 10) -> Brier:
    """Return the Brier score with its decomposition.

    For an interval: `accuracy_by_cluster` of event and risk, figures `mse` and `r2`.

    Parameters
    ----------
    event : array-like of shape (n_episodes,)
        0 or 1.
    risk : array-like of shape (n_episodes,)
        From 0 to 1.
    groups : int or None
        Equal shares by rank of the risk; None: a group for every risk that occurs.

    Raises
    ------
    ArrayError
        When events are not 0 or 1, or risks are outside 0 to 1.
    NoVariationError
        When all or none have an event.

    Notes
    -----
    Reliability, resolution and uncertainty: Murphy 1973, J Appl Meteorol 12:595-600. The two terms
    within groups, without which the sum is not exact when risks differ within a group: Stephenson,
    Coelho and Jolliffe 2008, Weather Forecast 23:752-757. Scaled: Kattan and Gerds 2018, Diagn
    Progn Res 2:7. Reliability and resolution depend on the groups; the others' sum with them
    does not.

    Examples
    --------
    >>> got = brier_score([0, 0, 1, 1], [0.25, 0.25, 0.75, 0.75], groups=None)
    >>> got.brier, got.scaled, got.reliability, got.resolution
    (0.0625, 0.75, 0.0625, 0.25)
    """
    happened, p = _pair(event, risk)
    if p.min() < 0 or p.max() > 1:
        raise ArrayError(f"risk: wanted 0 to 1; got {p.min():g} to {p.max():g}.")
    if groups is not None:
        whole("groups", groups, 1)
    o = happened.astype(np.float64)
    by = group_rows(p if groups is None else groups_by_rank(p, groups), "risk")
    share, o_mean, p_mean = by.sizes / len(o), by.mean(o), by.mean(p)
    within = p - by.at_rows(p_mean)
    brier, base = float(np.mean((p - o) ** 2)), float(o.mean())
    return Brier(
        brier=brier,
        scaled=1 - brier / (base * (1 - base)),
        reliability=float(share @ (p_mean - o_mean) ** 2),
        resolution=float(share @ (o_mean - base) ** 2),
        uncertainty=base * (1 - base),
        within_variance=float(np.mean(within**2)),
        within_covariance=2 * float(np.mean(within * (o - by.at_rows(o_mean)))),
        n=len(o),
        n_groups=len(by),
    )


def performance_by_cluster(
    observed: ArrayLike,
    expected: ArrayLike,
    cluster: ArrayLike,
    kind: str = "mean",
    *,
    minimum_n: int = 30,
    minimum_events: int = 10,
    method: str = "reml",
    level: float = 0.95,
) -> ClusterPerformance:
    """Return performance in each cluster, its mean over clusters, and its prediction interval.

    Internal-external validation, when each cluster's expectations come from a model that did not
    learn from it (Royston, Parmar and Sylvester 2004, Stat Med 23:907-926; Riley and others 2016,
    BMJ 353:i3140). Whether they do is for the caller to see to.

    Parameters
    ----------
    observed, expected : array-like of shape (n_episodes,)
        With kind `risk` 0 or 1, and above 0 and below 1.
    cluster : array-like of shape (n_episodes,)
    kind : {"mean", "risk"}
        As in `assess_calibration`.
    minimum_n : int
        Clusters with fewer episodes have no figures.
    minimum_events : int
        With kind `risk`: nor have those with fewer episodes with, or without, an event.
    method, level
        As in `pool_estimates`; C-statistics are pooled on the logit scale.

    Raises
    ------
    ArrayError
        When values are not finite, outside their range, or of unequal length.
    NoVariationError
        With kind `risk`, when all or none have an event.

    Notes
    -----
    The robust errors of small clusters are somewhat small, so that tau holds some chance, too:
    shuffle the labels to see how much.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> cluster, risk = np.repeat(np.arange(20), 200), rng.uniform(0.05, 0.95, 4000)
    >>> got = performance_by_cluster(rng.random(4000) < risk, risk, cluster, "risk")
    >>> sorted(got.figures), bool(abs(got.figures["slope"].pooled.value - 1) < 0.1)
    (['c', 'in_the_large', 'slope'], True)
    """
    whole("minimum_n", minimum_n, 3)
    whole("minimum_events", minimum_events, 2)
    if one_of("kind", kind, KINDS) == "risk":
        happened, e = _pair(observed, expected)
        o = happened.astype(np.float64)
        assess_calibration(o, e, kind)  # refuses what no cluster could be assessed with
    else:
        o, e = (finite(*one) for one in (("observed", observed), ("expected", expected)))
    groups = group_rows(cluster, "cluster")
    if not o.shape == e.shape == (groups.n_rows,):
        raise ArrayError(
            f"observed, expected, cluster: wanted as many of each; got {o.shape}, {e.shape} and "
            f"{groups.n_rows}."
        )
    rows = zip(*(np.split(groups.sort(one), groups.starts[1:]) for one in (o, e)), strict=True)
    least = minimum_events if kind == "risk" else 0
    found = [_figures(a, b, kind, minimum_n, least) for a, b in rows]
    figures = {
        name: _pooled(np.array([one.get(name, _NO_FIGURE) for one in found]), scale, method, level)
        for name, scale in _FIGURES[kind].items()
    }
    return ClusterPerformance(groups.labels, groups.sizes, figures, kind)


_FIGURES: dict[str, dict[str, str]] = {
    "mean": {"slope": "identity", "in_the_large": "identity"},
    "risk": {"c": "logit", "slope": "identity", "in_the_large": "identity"},
}
"""By kind: each figure, and the scale that it is pooled on."""
_NO_FIGURE = (np.nan, np.nan)


def _figures(
    o: Floats, e: Floats, kind: str, minimum_n: int, minimum_events: int
) -> dict[str, tuple[float, float]]:
    """Return each figure of one cluster with its standard error; none when it is too small."""
    if len(o) < minimum_n:
        return {}
    if minimum_events and min(int(o.sum()), int((1 - o).sum())) < minimum_events:
        return {}
    try:
        found = assess_calibration(o, e, kind)
    except ArrayError:  # risks separate those with an event
        return {}
    values = {"slope": found.slope, "in_the_large": found.in_the_large}
    if kind == "risk":
        values["c"] = discrimination(o, e)
    return {name: (one.value, one.standard_error) for name, one in values.items()}


def _pooled(found: Floats, scale: str, method: str, level: float) -> ClusterFigure:
    value, error = found.T
    usable = np.isfinite(value) & np.isfinite(error) & (error > 0)
    value, error = (np.where(usable, one, np.nan) for one in (value, error))
    n = int(usable.sum())
    pooled = pool_estimates(value[usable], error[usable], scale, method, level) if n > 1 else None
    return ClusterFigure(value, error, pooled, len(value) - n)


def _pair(event: ArrayLike, risk: ArrayLike) -> tuple[Bools, Floats]:
    happened = events("event", event)
    return happened, finite("risk", risk, happened.shape)


def _placements(happened: Bools, score: Floats) -> Floats:
    """Return for each episode the share of those of the other kind that it is in order with.

    Its rank among all less its rank among its own kind counts the others that are below it.
    """
    below: Floats = stats.rankdata(score)
    for kind in (happened, ~happened):
        below[kind] -= stats.rankdata(score[kind])
    n_events = int(happened.sum())
    return np.where(happened, below / (len(score) - n_events), 1 - below / n_events)


def _with_error(placed: Floats, happened: Bools, groups: Groups) -> tuple[float, float]:
    """Return the mean placement and its standard error, Obuchowski's equations."""
    value = float(placed[happened].mean())
    away = placed - value
    sums, counts = zip(*(_part(groups, away, kind) for kind in (happened, ~happened)), strict=True)
    if min(counts) < 2:
        raise ArrayError(
            f"cluster: wanted at least 2 with an event and 2 without; got {counts[0]} and "
            f"{counts[1]}. Leave clusters out, or take more episodes."
        )
    m = len(groups)
    own = sum(k / (k - 1) * float(one @ one) for one, k in zip(sums, counts, strict=True))
    both = m / (m - 1) * float(sums[0] @ sums[1])
    return value, float(np.sqrt(max(own + 2 * both, 0.0)))


def _part(groups: Groups, away: Floats, kind: Bools) -> tuple[Floats, int]:
    """Return each cluster's part of the mean over one kind, and how many clusters have the kind."""
    by_cluster = groups.total(np.where(kind, away, 0.0)) / kind.sum()
    return by_cluster, int((groups.total(kind) > 0).sum())


def _z(level: float, cluster: ArrayLike | None, groups: Groups) -> float:
    tail = tail_of(level)
    if cluster is None:
        return float(-special.ndtri(tail))
    return float(stats.t.isf(tail, len(groups) - 1))


def _logit_ends(c: float, error: float, z: float) -> tuple[float, float]:
    if not 0 < c < 1:
        return float("nan"), float("nan")
    half = z * error / (c * (1 - c))
    middle = float(special.logit(c))
    return float(special.expit(middle - half)), float(special.expit(middle + half))
