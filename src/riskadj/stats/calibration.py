"""Whether expectations are right on average, wherever they are high or low."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, special

from riskadj.errors import ArrayError, NoVariationError
from riskadj.stats.arrays import Floats, a_number, a_row, finite, one_of, plain, whole
from riskadj.stats.clusters import Estimate
from riskadj.stats.groups import Groups, group_rows
from riskadj.stats.intervals import proportion_interval
from riskadj.stats.sandwich import (
    clusters_of,
    mean_by_cluster,
    regress_by_cluster,
    robust_sum,
    student,
)

Bools = NDArray[np.bool_]

KINDS = ("mean", "risk")
"""What is expected: the mean of a number, or the risk of an event."""
_STEPS = 100
"""Newton steps after which a fit with two coefficients would be a mistake of ours."""
_SHARES = 2000
"""Equal shares of the episodes, by rank, whose means a local curve goes by when there are more."""
_FARTHEST = 20.0
"""How far one step may move a logit."""


@dataclass(frozen=True)
class Calibration:
    """Whether expectations are too high or too low, and too extreme or too cautious.

    Attributes
    ----------
    in_the_large : Estimate
        0 when right on average. `mean`: mean of observed - expected. `risk`: the intercept of a
        logistic regression of the event with the logit of the risk as offset.
    slope : Estimate
        1 when differences between expectations are as large as those they stand for; under 1 when
        expectations are too extreme. NaN when the expectation is the same for all.
    intercept : Estimate
        Of the line that has the slope; NaN with it, and for lack of meaning rarely shown.
    kind : {"mean", "risk"}
    """

    in_the_large: Estimate
    slope: Estimate
    intercept: Estimate
    kind: str


@dataclass(frozen=True)
class CalibrationBins:
    """Observed against expected in groups by rank of the expectation.

    Attributes
    ----------
    n : ndarray of shape (n_groups,)
        Episodes; groups that hold none are left out.
    expected, observed : ndarray of shape (n_groups,)
        Means.
    lower, upper : ndarray of shape (n_groups,)
        Interval of the observed mean; NaN where a group has one cluster, or one episode to take the
        mean of.
    level : float
    """

    n: NDArray[np.intp]
    expected: Floats
    observed: Floats
    lower: Floats
    upper: Floats
    level: float


@dataclass(frozen=True)
class CalibrationCurve:
    """Observed as a smooth function of expected, and how far it is from the diagonal.

    Attributes
    ----------
    expected, observed : ndarray of shape (n_points,)
        The curve, from the lowest expectation to the highest.
    ici : float
        Mean over episodes of the distance between curve and diagonal: the integrated calibration
        index, in the unit of the outcome; 0 or more.
    e50, e90, e_max : float
        Median, 90th percentile and largest of those distances.
    method : {"local", "isotonic"}
    n : int
    """

    expected: Floats
    observed: Floats
    ici: float
    e50: float
    e90: float
    e_max: float
    method: str
    n: int


def calibration_line(observed: ArrayLike, expected: ArrayLike) -> tuple[float, float]:
    """Return intercept and slope of the least-squares line of observed on expected.

    Perfect calibration is (0, 1); a slope below 1 says that expectations are too extreme
    (Cox 1958, Biometrika 45:562-565).

    Parameters
    ----------
    observed, expected : array-like of shape (n_episodes,)

    Returns
    -------
    intercept, slope : float
        NaN slope when the expectation is the same for all.

    Raises
    ------
    ArrayError

    Examples
    --------
    >>> calibration_line([1.0, 3.0, 5.0], [0.0, 1.0, 2.0])
    (1.0, 2.0)
    """
    o = a_row("observed", observed, "episode")
    e = finite("expected", expected, o.shape)
    centred = e - e.mean()
    spread = float(centred @ centred)
    if spread == 0.0:
        return float(o.mean()), float("nan")
    slope = float(centred @ (o - o.mean())) / spread
    return float(o.mean()) - slope * float(e.mean()), slope


def groups_by_rank(values: ArrayLike, groups: int = 10) -> NDArray[np.intp]:
    """Return the group, 1 to `groups`, of each value when all are ranked into equal shares.

    Ties keep their order, so shares differ by one at most.

    Parameters
    ----------
    values : array-like of shape (n_episodes,)
    groups : int

    Raises
    ------
    ArrayError

    Examples
    --------
    >>> groups_by_rank([5.0, 1.0, 3.0, 2.0], groups=2)
    array([2, 1, 2, 1])
    """
    v = finite("values", values, (np.size(values),))
    rank = np.empty(v.size, dtype=np.intp)
    rank[np.argsort(v, kind="stable")] = np.arange(v.size)
    return rank * groups // max(v.size, 1) + 1


def assess_calibration(
    observed: ArrayLike,
    expected: ArrayLike,
    kind: str = "mean",
    cluster: ArrayLike | None = None,
    level: float = 0.95,
) -> Calibration:
    """Return calibration in the large, slope and intercept, with their intervals.

    Parameters
    ----------
    observed : array-like of shape (n_episodes,)
        With kind `risk` 0 or 1.
    expected : array-like of shape (n_episodes,)
        With kind `risk` above 0 and below 1.
    kind : {"mean", "risk"}
        `mean`: least squares, as `calibration_line`. `risk`: logistic regression of the event on
        the logit of the risk (Cox 1958, Biometrika 45:562-565; the intercept with the slope held
        at 1: Steyerberg and others 2010, Epidemiology 21:128-138).
    cluster : array-like of shape (n_episodes,), optional
        Labels; without them each episode counts as a cluster.
    level : float

    Raises
    ------
    ArrayError
        Also when risks separate events from non-events, so that no finite slope is best.
    NoVariationError
        With kind `risk`, when all or none have an event.

    Notes
    -----
    Standard errors are robust: B M B with B the inverse information, M the covariance of the
    summed scores over clusters (Liang and Zeger 1986, Biometrika 73:13-22), times G / (G - 1).
    Intervals: Student's t with clusters less one degrees of freedom.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> risk = rng.uniform(0.05, 0.95, 2000)
    >>> got = assess_calibration(rng.random(2000) < risk, risk, "risk")
    >>> bool(got.slope.lower < 1 < got.slope.upper), bool(abs(got.in_the_large.value) < 0.1)
    (True, True)
    """
    return _ASSESSORS[one_of("kind", kind, KINDS)](observed, expected, cluster, level)


def recalibrated_risk(risk: ArrayLike, intercept: float, slope: float = 1.0) -> Floats:
    """Return risks on the calibrated line: expit(intercept + slope logit(risk)).

    Parameters
    ----------
    risk : array-like of shape (n_episodes,)
        Above 0 and below 1.
    intercept, slope : float
        As from `assess_calibration`, on other episodes than those recalibrated.

    Raises
    ------
    ArrayError

    Examples
    --------
    >>> recalibrated_risk([0.2, 0.5], 0.0, 2.0).round(4).tolist()
    [0.0588, 0.5]
    """
    a, b = a_number("intercept", intercept), a_number("slope", slope)
    return np.asarray(special.expit(a + b * _logits(finite("risk", risk))))


def calibration_bins(
    observed: ArrayLike,
    expected: ArrayLike,
    groups: int = 10,
    kind: str = "mean",
    cluster: ArrayLike | None = None,
    level: float = 0.95,
) -> CalibrationBins:
    """Return observed against expected means in equal shares by rank of the expectation.

    Parameters
    ----------
    observed, expected, kind, cluster, level
        As in `assess_calibration`; risks may be 0 and 1.
    groups : int
        As in `groups_by_rank`; ties keep the order of the episodes.

    Raises
    ------
    ArrayError, NoVariationError

    Notes
    -----
    `mean`: Student's t with the standard error of `mean_by_cluster`. `risk`: Wilson's interval;
    with clusters of n divided by the design effect, the robust variance over p (1 - p) / n, where
    that is above 1 (Dean and Pagano 2015, J Surv Stat Methodol 3:484-503).

    Examples
    --------
    >>> got = calibration_bins([1.0, 2.0, 4.0, 5.0], [0.0, 2.0, 3.0, 7.0], groups=2)
    >>> got.expected.tolist(), got.observed.tolist()
    ([1.0, 5.0], [1.5, 4.5])
    """
    o, e = _outcomes(observed, expected, kind)
    whole("groups", groups, 1)
    by = group_rows(groups_by_rank(e, groups))
    within = clusters_of(cluster, len(o)).codes
    parts = [
        _ENDS[kind](rows, labels, level)
        for rows, labels in zip(_split(by, o), _split(by, within), strict=True)
    ]
    lower, upper = np.array(parts, dtype=np.float64).T
    return CalibrationBins(by.sizes, by.mean(e), by.mean(o), lower, upper, level)


def calibration_curve(
    observed: ArrayLike,
    expected: ArrayLike,
    method: str = "local",
    kind: str = "mean",
    *,
    span: float = 0.75,
    points: int = 101,
) -> CalibrationCurve:
    """Return a smooth calibration curve, and its distance from the diagonal.

    Parameters
    ----------
    observed, expected, kind
        As in `assess_calibration`; risks may be 0 and 1.
    method : {"local", "isotonic"}
        `local`: local lines with tricube weights over the nearest `span` of the episodes
        (Cleveland 1979, J Am Stat Assoc 74:829-836, one pass), linear between the points; from 0
        to 1 for risks; of more than 2,000 episodes by the means of 2,000 equal shares by rank.
        `isotonic`: the best curve that never falls, by pooling adjacent violators (Ayer and others
        1955, Ann Math Stat 26:641-647), given by the ends of its steps.
    span : float
        For `local`: share of the episodes, above 0 and at most 1.
    points : int
        For `local`: at equally spaced ranks of the expectation; at least 2.

    Raises
    ------
    ArrayError, NoVariationError

    Notes
    -----
    ICI, E50, E90: Austin and Steyerberg 2019, Stat Med 38:4051-4065. A curve follows chance too,
    so all are above 0 for perfect expectations, isotonic ones more so: compare like with like.

    Examples
    --------
    >>> x = np.linspace(0, 1, 200)
    >>> got = calibration_curve(x**2, x)
    >>> 0.15 < got.ici < 0.18  # the mean of x - x^2 is 1/6
    True
    """
    o, e = _outcomes(observed, expected, kind)
    one_of("method", method, _SMOOTHERS)
    if not 0 < span <= 1:
        raise ArrayError(f"span: wanted a share above 0 and at most 1; got {plain(span)!r}.")
    whole("points", points, 2)
    x, y = _SMOOTHERS[method](o, e, span, points)
    curve = np.clip(y, 0.0, 1.0) if kind == "risk" else y
    distance = np.abs(np.interp(e, x, curve) - e)
    e50, e90 = np.quantile(distance, (0.5, 0.9))
    return CalibrationCurve(
        expected=x,
        observed=curve,
        ici=float(distance.mean()),
        e50=float(e50),
        e90=float(e90),
        e_max=float(distance.max()),
        method=method,
        n=len(o),
    )


def events(name: str, values: ArrayLike) -> Bools:
    """Return which episodes have an event.

    Raises
    ------
    ArrayError
        When values are not 0 or 1.
    NoVariationError
        When all or none are 1.

    Examples
    --------
    >>> events("event", [0, 1, 1]).tolist()
    [False, True, True]
    """
    array = a_row(name, values, "episode")
    strange = array[(array != 0) & (array != 1)]
    if strange.size:
        raise ArrayError(f"{name}: wanted 0 or 1; got {strange[0]:g}.")
    happened: NDArray[np.bool_] = array == 1
    if happened.all() or not happened.any():
        raise NoVariationError(
            f"{name}: wanted some with an event and some without; got {int(happened.sum())} of "
            f"{happened.size} with one. Choose an outcome, or episodes, in which both occur."
        )
    return happened


def _outcomes(observed: ArrayLike, expected: ArrayLike, kind: str) -> tuple[Floats, Floats]:
    if one_of("kind", kind, KINDS) == "mean":
        o = a_row("observed", observed, "episode")
        return o, finite("expected", expected, o.shape)
    o = events("observed", observed).astype(np.float64)
    e = finite("expected", expected, o.shape)
    if e.min() < 0 or e.max() > 1:
        raise ArrayError(f"expected: wanted risks of 0 to 1; got {e.min():g} to {e.max():g}.")
    return o, e


def _logits(risk: Floats) -> Floats:
    if risk.size and not (risk.min() > 0 and risk.max() < 1):
        raise ArrayError(
            f"risk: wanted numbers above 0 and below 1; got {risk.min():g} to {risk.max():g}. "
            "Keep risks away from 0 and 1: no event is certain."
        )
    return np.asarray(special.logit(risk))


def _of_mean(
    observed: ArrayLike, expected: ArrayLike, cluster: ArrayLike | None, level: float
) -> Calibration:
    o, e = _outcomes(observed, expected, "mean")
    large = mean_by_cluster(o - e, cluster, level)
    if np.ptp(e) == 0:
        return Calibration(large, _none(large), _none(large), "mean")
    fit = regress_by_cluster(o, e, cluster, level)
    intercept, slope = (
        student(float(fit.coef[at]), float(fit.standard_error[at]), level, fit.n, fit.n_clusters)
        for at in (0, 1)
    )
    return Calibration(large, slope, intercept, "mean")


def _of_risk(
    observed: ArrayLike, expected: ArrayLike, cluster: ArrayLike | None, level: float
) -> Calibration:
    o, e = _outcomes(observed, expected, "risk")
    eta, groups = _logits(e), clusters_of(cluster, len(o))
    one = np.ones((1, len(o)))
    (large,) = _logistic(o, one, eta, groups, level)
    if np.ptp(eta) <= 1e-9 * np.abs(eta).max():
        return Calibration(large, _none(large), _none(large), "risk")
    _refuse_separation(o == 1, e)
    intercept, slope = _logistic(o, np.vstack([one, eta]), np.zeros(len(o)), groups, level)
    return Calibration(large, slope, intercept, "risk")


_ASSESSORS: dict[str, Callable[[ArrayLike, ArrayLike, ArrayLike | None, float], Calibration]] = {
    "mean": _of_mean,
    "risk": _of_risk,
}


def _none(like: Estimate) -> Estimate:
    nan = float("nan")
    return Estimate(nan, nan, nan, nan, like.level, like.n, like.n_clusters, like.method)


def _refuse_separation(happened: Bools, risk: Floats) -> None:
    with_event, without = risk[happened], risk[~happened]
    if with_event.min() >= without.max() or without.min() >= with_event.max():
        raise ArrayError(
            "expected: wanted risks that overlap between those with and without an event; got "
            "some that separate them, so that no finite slope is best. Take more episodes."
        )


def _logistic(
    y: Floats, rows: Floats, offset: Floats, groups: Groups, level: float
) -> list[Estimate]:
    """Return the coefficients of a logistic regression on a few rows, robust errors beside them."""
    beta = _climb(y, rows, offset)
    p = special.expit(offset + beta @ rows)
    bread = np.linalg.inv((rows * (p * (1 - p))) @ rows.T)
    covariance = bread @ robust_sum(groups, rows * (y - p)) @ bread
    error = np.sqrt(np.diag(covariance))
    return [
        student(float(b), float(s), level, len(y), len(groups))
        for b, s in zip(beta, error, strict=True)
    ]


def _climb(y: Floats, rows: Floats, offset: Floats) -> Floats:
    """Take Newton's steps to the highest likelihood, half of one where it would go down."""
    beta = np.zeros(len(rows))
    height = _height(y, offset)
    for _ in range(_STEPS):
        p = special.expit(offset + beta @ rows)
        step = _step((rows * (p * (1 - p))) @ rows.T, rows @ (y - p))
        step /= max(1.0, float(np.abs(step @ rows).max()) / _FARTHEST)
        reached = _height(y, offset + (beta + step) @ rows)
        while reached < height - 1e-9 * abs(height):
            step = step / 2
            reached = _height(y, offset + (beta + step) @ rows)
        beta, height = beta + step, reached
        if np.abs(step).max() <= 1e-9 * (1 + np.abs(beta).max()):
            return np.asarray(beta)
    raise ArrayError("expected: wanted risks to fit a slope to; got a fit that does not settle.")


def _step(information: Floats, slope: Floats) -> Floats:
    try:
        return np.asarray(np.linalg.solve(information, slope))
    except np.linalg.LinAlgError:
        raise ArrayError(
            "expected: wanted risks that leave something in doubt; got only 0 and 1, as good as. "
            "Keep risks away from 0 and 1: no event is certain."
        ) from None


def _height(y: Floats, eta: Floats) -> float:
    return float(y @ eta - np.logaddexp(0.0, eta).sum())


def _split(by: Groups, rows: NDArray[Any]) -> Iterator[NDArray[Any]]:
    return iter(np.split(by.sort(rows), by.starts[1:]))


def _ends_of_mean(rows: Floats, labels: NDArray[np.intp], level: float) -> tuple[float, float]:
    if len(np.unique(labels)) < 2:
        return float("nan"), float("nan")
    found = mean_by_cluster(rows, labels, level)
    return found.lower, found.upper


def _ends_of_share(rows: Floats, labels: NDArray[np.intp], level: float) -> tuple[float, float]:
    distinct, n, p = len(np.unique(labels)), len(rows), float(rows.mean())
    if distinct == 1 and n > 1:
        return float("nan"), float("nan")
    effect = 1.0
    if distinct < n and 0 < p < 1:
        error = mean_by_cluster(rows, labels, level).standard_error
        effect = max(1.0, error**2 * n / (p * (1 - p)))
    ends = proportion_interval(p * n / effect, max(n / effect, 1.0), level)
    return float(ends.lower), float(ends.upper)


_ENDS: dict[str, Callable[[Floats, NDArray[np.intp], float], tuple[float, float]]] = {
    "mean": _ends_of_mean,
    "risk": _ends_of_share,
}


class _Line(NamedTuple):
    x: Floats
    y: Floats


def _isotonic(o: Floats, e: Floats, _span: float, _points: int) -> _Line:
    by = group_rows(e, "expected")
    fit = optimize.isotonic_regression(by.mean(o), weights=by.sizes.astype(np.float64))
    ends = np.unique(np.concatenate([fit.blocks[:-1], fit.blocks[1:] - 1]))
    return _Line(by.labels.astype(np.float64)[ends], np.asarray(fit.x)[ends])


def _local(o: Floats, e: Floats, span: float, points: int) -> _Line:
    order = np.argsort(e, kind="stable")
    x, y = (_thinned(one[order]) for one in (e, o))
    places = np.unique(x[np.rint(np.linspace(0, len(x) - 1, points)).astype(np.intp)])
    near = max(int(np.ceil(span * len(x))), 1)
    return _Line(places, np.array([_local_line(x, y, one, near) for one in places]))


def _thinned(ordered: Floats) -> Floats:
    """Return the means of equal shares, of no more than a curve can show."""
    if len(ordered) <= _SHARES:
        return ordered
    starts = np.arange(_SHARES) * len(ordered) // _SHARES
    return np.add.reduceat(ordered, starts) / np.diff(starts, append=len(ordered))


def _local_line(x: Floats, y: Floats, at: float, near: int) -> float:
    """Return the height at one place of the line through the nearest, weighted by nearness."""
    apart = np.abs(x - at)
    reach = max(float(np.partition(apart, near - 1)[near - 1]), float(np.spacing(abs(at))))
    low, high = np.searchsorted(x, (at - reach, at + reach), side="left")
    high = max(int(high), int(np.searchsorted(x, at, side="right")))
    weight = np.clip(1 - (apart[low:high] / reach) ** 3, 0.0, None) ** 3
    total = float(weight.sum())
    middle = float(weight @ x[low:high]) / total
    away = weight * (x[low:high] - middle)
    spread = float(away @ (x[low:high] - middle))
    slope = float(away @ y[low:high]) / spread if spread > 1e-12 * reach**2 * total else 0.0
    return float(weight @ y[low:high]) / total + slope * (at - middle)


_SMOOTHERS: dict[str, Callable[[Floats, Floats, float, int], _Line]] = {
    "local": _local,
    "isotonic": _isotonic,
}
