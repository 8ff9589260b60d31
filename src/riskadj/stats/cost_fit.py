"""How good an expectation of cost is, whom it pays too little, and what putting that right costs.

Figures that risk adjustment is judged by: R2 and Cumming's prediction measure (how much of the
variation is expected), predictive ratio and net compensation (is a group paid what it costs?), the
share of cost above a cap, and the share of expectations that no payer could pay. Intervals draw
providers, as in `clusters`. The modified Park test suggests how variance goes with the mean;
constrained least squares moves a regression so that named groups are paid what they cost.

Amounts are in the unit of cost throughout. Expectations should come from a model that did not see
the episodes: every figure flatters one that did.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, special

from riskadj.errors import ArrayError, NoVariationError
from riskadj.stats.arrays import Floats, above, at_least, finite, weights_or_ones, whole
from riskadj.stats.calibration import groups_by_rank
from riskadj.stats.clusters import (
    Estimate,
    Figure,
    clusters_of,
    interval_by_cluster,
    robust_sum,
    student,
    sums_by_cluster,
)
from riskadj.stats.groups import group_rows
from riskadj.stats.threads import one_thread

PARK_FAMILIES: Mapping[str, int] = MappingProxyType(
    {"gaussian": 0, "poisson": 1, "gamma": 2, "inverse_gaussian": 3}
)
"""Of each family, the power of the mean that its variance is proportional to."""
_STEEPEST = 1e6
"""A slope beyond which none is looked for."""
_COLLINEAR = 1e8
"""Condition number above which one covariate follows from others."""


@dataclass(frozen=True)
class CostFit:
    """How close expected costs are to observed ones.

    Attributes
    ----------
    n : int
    r2 : float
        1 - sum w (O - E)^2 / sum w (O - mean O)^2; at most 1, negative when worse than the mean.
    cpm : float
        Cumming's prediction measure, the same with absolute values: a dear few count for less.
    mae : float
        Mean of |O - E|.
    total_ratio : float
        Sum of O over sum of E; NaN when the latter is not above 0.
    negative_share : float
        Share of episodes, by weight, that are expected to cost less than nothing.
    """

    n: int
    r2: float
    cpm: float
    mae: float
    total_ratio: float
    negative_share: float


@dataclass(frozen=True)
class PredictiveRatios:
    """Expected over observed cost in equal shares by rank of the expectation, cheapest first.

    Attributes
    ----------
    n : ndarray of shape (n_groups,)
        Episodes.
    observed, expected : ndarray of shape (n_groups,)
        Mean cost.
    ratio, lower, upper : ndarray of shape (n_groups,)
        NaN where nothing was spent.
    level : float
    """

    n: NDArray[np.intp]
    observed: Floats
    expected: Floats
    ratio: Floats
    lower: Floats
    upper: Floats
    level: float


@dataclass(frozen=True)
class TopCoded:
    """What a cap takes away.

    Attributes
    ----------
    n, n_capped : int
        Episodes, and those that cost more than their cap.
    share_of_episodes, share_of_cost : float
        Both of 1: n_capped / n, and what is above the cap over all cost.
    """

    n: int
    n_capped: int
    share_of_episodes: float
    share_of_cost: float


@dataclass(frozen=True)
class ParkTest:
    """How variance goes with the mean: var(y) proportional to a power of it.

    Attributes
    ----------
    slope : float
        The power.
    standard_error, lower, upper : float
        Robust by cluster; Student's t with clusters less one degrees of freedom.
    family : str
        Of `PARK_FAMILIES`, the one whose power is nearest.
    level : float
    n, n_clusters : int
    """

    slope: float
    standard_error: float
    lower: float
    upper: float
    family: str
    level: float
    n: int
    n_clusters: int


@dataclass(frozen=True)
class ConstrainedFit:
    """A least-squares fit that pays named groups what they cost, or nearly.

    Attributes
    ----------
    coef : ndarray of shape (1 + n_covariates,)
        Intercept first.
    expected : ndarray of shape (n_episodes,)
    net_compensation : ndarray of shape (n_groups,)
        Mean of E - O in each group; 0 but for rounding where it is held there.
    r2 : float
    r2_unconstrained : float
        What plain (weighted) least squares reaches: the price of the constraint is the difference.
    """

    coef: Floats
    expected: Floats
    net_compensation: Floats
    r2: float
    r2_unconstrained: float


def cost_fit(y: ArrayLike, expected: ArrayLike, weights: ArrayLike | None = None) -> CostFit:
    """Return how close expected costs are to observed ones.

    Parameters
    ----------
    y, expected : array-like of shape (n_episodes,)
        Observed and expected cost.
    weights : array-like of shape (n_episodes,), optional
        Not negative.

    Raises
    ------
    ArrayError
        When arrays differ in length or are not finite.
    NoVariationError
        When all observed costs are the same, so that there is nothing to explain.

    Notes
    -----
    CPM: Cumming, Knutson, Cameron and Derrick 2002, A comparative analysis of claims-based methods
    of health risk assessment for commercial populations, Society of Actuaries.

    Examples
    --------
    >>> got = cost_fit([100.0, 100.0, 300.0, 300.0], [150.0, 150.0, 200.0, 200.0])
    >>> got.r2, got.cpm, got.mae, round(got.total_ratio, 4), got.negative_share
    (0.375, 0.25, 75.0, 1.1429, 0.0)
    """
    o, e, w = _costs(y, expected, weights)
    away = o - w @ o / w.sum()
    if not (np.abs(away) @ w > 0 and o.min() < o.max()):
        raise NoVariationError(
            f"y: wanted costs that differ; got {o[0]:g} throughout. Choose another outcome."
        )
    total = float(w @ e)
    return CostFit(
        n=o.size,
        r2=1 - float(w @ (o - e) ** 2 / (w @ away**2)),
        cpm=1 - float(w @ np.abs(o - e) / (w @ np.abs(away))),
        mae=float(w @ np.abs(o - e) / w.sum()),
        total_ratio=float(w @ o) / total if total > 0 else float("nan"),
        negative_share=float(w @ (e < 0) / w.sum()),
    )


def predictive_ratio(
    y: ArrayLike,
    expected: ArrayLike,
    member: ArrayLike,
    cluster: ArrayLike,
    weights: ArrayLike | None = None,
    method: str = "bca",
    *,
    replicates: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> Estimate:
    """Return expected over observed cost of a group: below 1, the group is paid too little.

    Providers who have no member of the group say nothing about it and are not drawn.

    Parameters
    ----------
    y, expected : array-like of shape (n_episodes,)
        Observed and expected cost.
    member : array-like of bool, shape (n_episodes,)
        Who is in the group.
    cluster : array-like of shape (n_episodes,)
        Providers.
    weights : array-like of shape (n_episodes,), optional
        Not negative.
    method, replicates, seed, level
        As in `interval_by_cluster`.

    Raises
    ------
    ArrayError
        When the group is empty, cost nothing, or is with fewer than 2 providers.

    Examples
    --------
    >>> cost, pays = [100.0, 100.0, 300.0, 300.0], [150.0, 150.0, 200.0, 200.0]
    >>> dear = [False, False, True, True]
    >>> round(predictive_ratio(cost, pays, dear, list("aabc"), method="jackknife").value, 4)
    0.6667
    """
    columns, providers = _of_group(y, expected, member, cluster, weights)
    if not columns["wy"].sum() > 0:
        raise ArrayError(
            "y: wanted a group that cost something; got one whose costs sum to "
            f"{columns['wy'].sum():g}. Ask for its net compensation."
        )
    return interval_by_cluster(
        sums_by_cluster(columns, providers), _ratio, method,
        replicates=replicates, seed=seed, level=level,
    )  # fmt: skip


def net_compensation(
    y: ArrayLike,
    expected: ArrayLike,
    member: ArrayLike,
    cluster: ArrayLike,
    weights: ArrayLike | None = None,
    method: str = "bca",
    *,
    replicates: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> Estimate:
    """Return the mean of expected minus observed cost in a group: below 0, it is paid too little.

    Parameters
    ----------
    y, expected, member, cluster, weights, method, replicates, seed, level
        As in `predictive_ratio`.

    Raises
    ------
    ArrayError
        When the group is empty or with fewer than 2 providers.

    Examples
    --------
    >>> cost, pays = [100.0, 100.0, 300.0, 300.0], [150.0, 150.0, 200.0, 200.0]
    >>> dear = [False, False, True, True]
    >>> net_compensation(cost, pays, dear, list("aabc"), method="jackknife").value
    -100.0
    """
    columns, providers = _of_group(y, expected, member, cluster, weights)
    return interval_by_cluster(
        sums_by_cluster(columns, providers), _net, method,
        replicates=replicates, seed=seed, level=level,
    )  # fmt: skip


def predictive_ratios_by_tenth(
    y: ArrayLike,
    expected: ArrayLike,
    cluster: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    *,
    groups: int = 10,
    level: float = 0.95,
) -> PredictiveRatios:
    """Return predictive ratios in equal shares by rank of the expectation.

    Parameters
    ----------
    y, expected : array-like of shape (n_episodes,)
        Observed and expected cost.
    cluster : array-like of shape (n_episodes,), optional
        Providers; without them each episode counts as one.
    weights : array-like of shape (n_episodes,), optional
        Not negative. They count in sums; shares are of episodes.
    groups : int
        How many shares; ties keep the order of the episodes.
    level : float

    Raises
    ------
    ArrayError
        When a share has no weight, or is with fewer than 2 clusters.

    Notes
    -----
    Standard error of the ratio R = sum E / sum O by linearisation: that of the sum of E - R O, over
    sum O, robust by cluster; Student's t.

    Examples
    --------
    >>> got = predictive_ratios_by_tenth([1.0, 3.0, 4.0, 6.0], [2.0, 1.0, 5.0, 5.5], groups=2)
    >>> got.ratio.tolist()
    [0.75, 1.05]
    """
    o, e, w = _costs(y, expected, weights)
    whole("groups", groups, 1)
    by = group_rows(groups_by_rank(e, groups))
    at = clusters_of(cluster, o.size).codes
    cuts = by.starts[1:]
    parts = zip(*(np.split(by.sort(one), cuts) for one in (o, e, w, at)), strict=True)
    rows = np.array([_share(o, e, w, at, level) for o, e, w, at in parts])
    spent, expects, ratio, lower, upper = rows.T
    return PredictiveRatios(by.sizes, spent, expects, ratio, lower, upper, level)


def top_coded_share(y: ArrayLike, cap: ArrayLike) -> TopCoded:
    """Return how many episodes cost more than a cap, and what share of all cost is above it.

    Parameters
    ----------
    y : array-like of shape (n_episodes,)
        Observed cost before capping, 0 or more, some of it above 0.
    cap : float or array-like of shape (n_episodes,)
        One for all, or each episode's own (that of its group); 0 or more.

    Raises
    ------
    ArrayError

    Examples
    --------
    >>> got = top_coded_share([100.0, 200.0, 300.0, 1400.0], 400.0)
    >>> got.n_capped, got.share_of_episodes, got.share_of_cost
    (1, 0.25, 0.5)
    """
    cost = at_least("y", _row("y", y), 0.0)
    ceiling = at_least("cap", cap, 0.0)
    if ceiling.shape not in {(), cost.shape}:
        raise ArrayError(f"cap: wanted one number or {cost.size}; got shape {ceiling.shape}.")
    if not cost.sum() > 0:
        raise ArrayError("y: wanted some cost above 0; got none.")
    beyond = np.maximum(cost - ceiling, 0.0)
    n_capped = int((beyond > 0).sum())
    return TopCoded(cost.size, n_capped, n_capped / cost.size, float(beyond.sum() / cost.sum()))


def park_test(
    y: ArrayLike, expected: ArrayLike, cluster: ArrayLike | None = None, level: float = 0.95
) -> ParkTest:
    """Return the power of the mean that the variance of cost goes with, and the family it suggests.

    Parameters
    ----------
    y, expected : array-like of shape (n_episodes,)
        Observed cost, and expected cost above 0 that differs between episodes.
    cluster : array-like of shape (n_episodes,), optional
        Providers; without them each episode counts as one.
    level : float

    Raises
    ------
    ArrayError
        When an expectation is not above 0, or residuals lie so that no slope is finite.
    NoVariationError
        When all expectations are the same, or all residuals are 0.

    Notes
    -----
    The modified Park test of Manning and Mullahy (2001, J Health Econ 20:461-494) in the form of a
    gamma model: (O - E)^2 has the mean exp(a + b log E), and b is the power. The older form, least
    squares of log (O - E)^2, has no place for a residual of 0 and lets the smallest residuals
    decide. Given b the intercept is known, so that b is where the mean of log E with weights
    (O - E)^2 / E^b is the plain mean: an equation with one root. Expectations are taken as known.
    Look at the interval too: powers between 1 and 2 are Tweedie's, and 1.5 is near no family.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> mean = np.exp(rng.normal(8, 0.5, size=20_000))
    >>> got = park_test(rng.gamma(2.0, mean / 2.0), mean)
    >>> got.family, got.lower < 2 < got.upper
    ('gamma', True)
    """
    o, e, _ = _costs(y, expected, None)
    x, square = np.log(above("expected", e, 0.0)), (o - e) ** 2
    if not (x.min() < x.max() and square.any()):
        raise NoVariationError(
            "expected: wanted expectations that differ, and residuals that are not 0; got the same "
            "throughout. Give expectations of a model with case mix."
        )
    groups, centred = clusters_of(cluster, o.size), x - x.mean()
    slope = _root_of_slope(centred, square)
    size = o.size * special.softmax(_log_weight(slope, centred, square))
    meat = robust_sum(groups, (centred * (size - 1))[None])[0, 0]
    found = student(
        slope, float(np.sqrt(meat) / (centred @ centred)), level, o.size, len(groups)
    )  # fmt: skip
    return ParkTest(
        slope=found.value,
        standard_error=found.standard_error,
        lower=found.lower,
        upper=found.upper,
        family=min(PARK_FAMILIES, key=lambda one: abs(slope - PARK_FAMILIES[one])),
        level=level,
        n=found.n,
        n_clusters=found.n_clusters,
    )


def constrained_least_squares(
    y: ArrayLike,
    X: ArrayLike,
    groups: ArrayLike,
    weights: ArrayLike | None = None,
    penalty: float = np.inf,
    *,
    balanced: bool = True,
) -> ConstrainedFit:
    """Return the least-squares fit, an intercept included, that pays groups what they cost.

    It holds on the episodes that it is fitted to; judge it on others. Expectations may be negative.
    What a group gains somebody pays: the other episodes when `balanced`, else the payer.

    Parameters
    ----------
    y : array-like of shape (n_episodes,)
        Observed cost.
    X : array-like of shape (n_episodes, n_covariates) or (n_episodes,)
        Without a column of ones.
    groups : array-like of bool, shape (n_groups, n_episodes) or (n_episodes,)
        Who is in each group; groups may overlap.
    weights : array-like of shape (n_episodes,), optional
        Not negative.
    penalty : float
        What a squared net compensation counts, in the unit of the weights: one as large as their
        sum counts it like the mean squared error. Infinite: net compensation is held at 0. 0: plain
        weighted least squares.
    balanced : bool
        Whether all expected cost is held at all observed cost, as plain least squares has it.
        Otherwise a group's shortfall raises the total.

    Raises
    ------
    ArrayError
        When covariates are collinear, a group is empty, or groups cannot all be paid what they
        cost, there being too few covariates.

    Notes
    -----
    Minimises sum w (y - xb)^2 + penalty sum NC^2, or the first under NC = 0 (Zink and Rose 2020,
    Biometrics 76:973-982). In coordinates z in which the first is |z - z0|^2, with NC = C z - d:
    z = z0 - C'(CC' + I / penalty)^-1 (C z0 - d), which is the solution of the Karush-Kuhn-Tucker
    equations as the penalty grows. Balanced: with what moves the total taken out of C's rows.

    Examples
    --------
    >>> cost, age = [100.0, 120.0, 300.0, 300.0], [50.0, 60.0, 60.0, 70.0]
    >>> dear = [False, False, True, True]
    >>> got = constrained_least_squares(cost, age, dear)
    >>> bool(abs(got.net_compensation[0]) < 1e-9), got.r2 < got.r2_unconstrained
    (True, True)
    """
    target = _row("y", y)
    w = weights_or_ones(weights, target.size)
    masks = _masks(groups, target.size, w)
    strength = _penalty(penalty)
    with one_thread():
        design = _design(X, target.size)
        basis, root = _orthogonal(design, w)
        start = basis.T @ (np.sqrt(w) * target)
        shares = masks * w / (masks @ w)[:, None]
        rows = shares @ design @ root
        off = rows @ start - shares @ target
        moves = _without(w @ design @ root, rows) if balanced else rows
        coef = root @ (start - moves.T @ _multipliers(moves, off, strength))
        expected, plain = design @ coef, design @ (root @ start)
        left = shares @ (expected - target)
    _check_held(left, shares @ np.abs(target), strength)
    fits = [cost_fit(target, one, w).r2 for one in (expected, plain)]
    return ConstrainedFit(coef, expected, left, fits[0], fits[1])


def rescaling_weights(stratum: ArrayLike, replicates: int = 1000, seed: int = 0) -> Floats:
    """Return bootstrap weights of clusters that were sampled by stratum.

    Of each stratum's n clusters n - 1 are drawn with replacement, and each drawing counts
    n / (n - 1): then variances of sums are those of the design, where the plain bootstrap is too
    small by (n - 1) / n, which is a half when a stratum has two clusters. Multiply the weight of
    each episode by that of its cluster.

    Parameters
    ----------
    stratum : array-like of shape (n_clusters,)
        Labels, one per cluster; at least 2 clusters in each.
    replicates : int
    seed : int
        Same seed, same weights.

    Returns
    -------
    ndarray of shape (replicates, n_clusters)
        In order of the clusters as they came; each stratum's sum to its number of clusters.

    Raises
    ------
    ArrayError
        When a stratum has one cluster.

    Notes
    -----
    Rao and Wu 1988, J Am Stat Assoc 83:231-241, with n - 1 drawings; as weights: Rao, Wu and Yue
    1992, Surv Methodol 18:209-217. Memory: 8 bytes x replicates x clusters.

    Examples
    --------
    >>> rescaling_weights(["a", "a"], replicates=3, seed=1).tolist()
    [[2.0, 0.0], [2.0, 0.0], [0.0, 2.0]]
    """
    strata = group_rows(stratum, "stratum")
    whole("replicates", replicates, 1)
    if strata.sizes.min() < 2:
        alone = strata.labels[strata.sizes.argmin()]
        raise ArrayError(
            f"stratum: wanted at least 2 clusters in each; got 1 in {str(alone)!r}. "
            "Put strata together."
        )
    rng = np.random.default_rng(seed)
    drawn = [
        rng.multinomial(n - 1, np.full(n, 1 / n), size=replicates) * (n / (n - 1))
        for n in strata.sizes.tolist()
    ]
    return strata.unsort(np.hstack(drawn))


# --- what comes in ---


def _row(name: str, values: ArrayLike) -> Floats:
    array = finite(name, values)
    if array.ndim != 1 or not array.size:
        raise ArrayError(f"{name}: wanted one number per episode; got shape {array.shape}.")
    return array


def _costs(
    y: ArrayLike, expected: ArrayLike, weights: ArrayLike | None
) -> tuple[Floats, Floats, Floats]:
    o = _row("y", y)
    return o, finite("expected", expected, o.shape), weights_or_ones(weights, o.size)


def _mask(name: str, values: ArrayLike, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    mask = finite(name, values, shape)
    if not np.isin(mask, (0, 1)).all():
        raise ArrayError(f"{name}: wanted True or False for each episode; got other numbers.")
    return mask == 1


def _masks(groups: ArrayLike, n: int, w: Floats) -> Floats:
    given = np.atleast_2d(np.asarray(groups))
    masks = _mask("groups", given, (given.shape[0], n)).astype(np.float64)
    if len(masks) and (masks @ w > 0).all():
        return masks
    raise ArrayError("groups: wanted somebody, with a weight above 0, in each; got an empty group.")


def _penalty(penalty: float) -> float:
    if not penalty >= 0:
        raise ArrayError(f"penalty: wanted a number of 0 or more, or infinity; got {penalty!r}.")
    return float(penalty)


def _design(X: ArrayLike, n: int) -> Floats:
    matrix = finite("X", X)
    columns = matrix[:, None] if matrix.ndim == 1 else matrix
    if columns.ndim != 2 or len(columns) != n:
        raise ArrayError(f"X: wanted {n} rows of covariates; got shape {matrix.shape}.")
    return np.column_stack([np.ones(n), columns])


# --- ratios ---


def _of_group(
    y: ArrayLike,
    expected: ArrayLike,
    member: ArrayLike,
    cluster: ArrayLike,
    weights: ArrayLike | None,
) -> tuple[dict[str, Floats], NDArray[np.intp]]:
    """Return the columns whose sums a group's figures need, and the provider of each row."""
    o, e, w = _costs(y, expected, weights)
    inside = _mask("member", member, o.shape)
    if not w[inside].sum() > 0:
        raise ArrayError("member: wanted somebody, with a weight above 0, in the group; got none.")
    providers = clusters_of(cluster, o.size).codes[inside]
    columns = {"wy": (w * o)[inside], "we": (w * e)[inside], "w": w[inside]}
    return columns, providers


_ratio: Figure = lambda of: of["we"] / of["wy"]  # noqa: E731
_net: Figure = lambda of: (of["we"] - of["wy"]) / of["w"]  # noqa: E731


def _share(o: Floats, e: Floats, w: Floats, at: NDArray[np.intp], level: float) -> list[float]:
    """Return mean cost, mean expectation, and their ratio with its ends, in one share."""
    clusters = clusters_of(at, o.size)
    size, spent = w.sum(), float(w @ o)
    if not size > 0:
        raise ArrayError("weights: wanted some above 0 in each share; got one without.")
    if spent <= 0:
        return [spent / size, float(w @ e) / size, np.nan, np.nan, np.nan]
    ratio = float(w @ e) / spent
    error = float(np.sqrt(robust_sum(clusters, (w * (e - ratio * o))[None])[0, 0])) / spent
    found = student(ratio, error, level, o.size, len(clusters))
    return [spent / size, float(w @ e) / size, ratio, found.lower, found.upper]


# --- the Park test ---


def _log_weight(slope: float, x: Floats, square: Floats) -> Floats:
    with np.errstate(divide="ignore"):
        return np.log(square) - slope * x


def _root_of_slope(centred: Floats, square: Floats) -> float:
    """Return the slope at which x with weights square / exp(slope x) has the mean of x, 0."""
    some = square > 0
    x, log_square = centred[some], np.log(square[some])
    if not x.min() < 0 < x.max():
        raise ArrayError(
            "y: wanted residuals on both sides of the mean of log expected; got them on one side "
            "only, so that no slope is finite. Give more episodes."
        )

    def off(slope: float) -> float:
        return float(special.softmax(log_square - slope * x) @ x)

    reach = 4.0
    while (off(-reach) < 0 or off(reach) > 0) and reach < _STEEPEST:
        reach *= 2
    if off(-reach) < 0 or off(reach) > 0:
        raise ArrayError("expected: wanted costs that differ by more; got them nearly alike.")
    return float(optimize.brentq(off, -reach, reach, xtol=1e-12, rtol=1e-14))


# --- constrained least squares ---


def _orthogonal(design: Floats, w: Floats) -> tuple[Floats, Floats]:
    """Return an orthonormal basis of the weighted design, and what turns its coordinates into b."""
    weighted = np.sqrt(w)[:, None] * design
    size = np.sqrt((weighted**2).sum(axis=0))
    if len(design) < design.shape[1] or not (size > 0).all():
        raise ArrayError("X: wanted more episodes than covariates, none all 0; got others.")
    basis, triangle = np.linalg.qr(weighted / size)
    if np.linalg.cond(triangle) > _COLLINEAR:
        raise ArrayError("X: wanted covariates none of which follows from others; got collinear.")
    return basis, np.linalg.inv(triangle) / size[:, None]


def _without(one: Floats, rows: Floats) -> Floats:
    """Return rows without their part along one."""
    along = one / np.sqrt(one @ one)
    return rows - np.outer(rows @ along, along)


def _multipliers(rows: Floats, off: Floats, penalty: float) -> Floats:
    cross = rows @ rows.T
    if np.isinf(penalty):
        # Groups that follow from others, such as a group and everybody else, leave no unique
        # multipliers; the shortest will do, as the fit is the same.
        return np.asarray(np.linalg.lstsq(cross, off, rcond=1e-12)[0])
    return np.asarray(np.linalg.solve(np.eye(len(off)) + penalty * cross, penalty * off))


def _check_held(left: Floats, scale: Floats, penalty: float) -> None:
    if np.isfinite(penalty) or (np.abs(left) <= 1e-7 * np.maximum(scale, 1e-300)).all():
        return
    raise ArrayError(
        "groups: wanted groups that can all be paid what they cost; got some that cannot, "
        f"{np.abs(left).max():g} off at best. Give fewer groups, more covariates or a penalty."
    )
