"""How far a factor is adjusted for: slopes among patients of the same provider, times a share.

Where poorer patients go to worse providers, a slope between patients of all providers takes part
of the difference in quality for the factor's effect, and adjusting for it hides that difference. A
slope among patients of the same provider does not (Mundlak 1978, Econometrica 46:69-85).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from riskadj.errors import ArrayError
from riskadj.stats.arrays import Floats, a_row, covariate_rows, finite, one_of
from riskadj.stats.clusters import enough_clusters
from riskadj.stats.groups import Groups, group_rows, groups_of
from riskadj.stats.links import link_named
from riskadj.stats.threads import one_thread

LOOSE = 0.1
"""Penalty on squared provider effects under logit: a variance of 10, when theirs is about 0.1. It
bounds the effect of a provider with no or only events, and leaves the others next to free. Under
log a provider without any cost has no bound, but says nothing about slopes either."""
_MOST_STEPS = 100
_HALVINGS = 30
_SETTLED = 1e-9
_FOLLOWS = 1e-9
"""Share of a factor's variance within providers that has to be left by what is beside it."""


@dataclass(frozen=True)
class WithinSlopes:
    """What factors do to an outcome, all else equal.

    Attributes
    ----------
    coef, standard_error : ndarray of shape (n_factors,)
        Per unit, on the scale of the linear predictor; errors are robust by provider.
    covariance : ndarray of shape (n_factors, n_factors)
    follows : ndarray of shape (n_beside, n_factors)
        By how much each factor goes up with what is beside it.
    mean : ndarray of shape (n_factors,)
    mean_beside : ndarray of shape (n_beside,)
    n, n_providers : int
    """

    coef: Floats
    standard_error: Floats
    covariance: Floats
    follows: Floats
    mean: Floats
    mean_beside: Floats
    n: int
    n_providers: int

    def part(self, factors: ArrayLike, beside: ArrayLike | None = None) -> Floats:
        """Return what factors add to the linear predictor of each episode, 0 at their mean.

        Parameters
        ----------
        factors : array-like of shape (n_episodes, n_factors)
        beside : array-like of shape (n_episodes, n_beside), optional
            With it: what they add beyond what goes with case mix anyhow, and hence is in an
            expectation from case mix alone. Without it: all of it.

        Raises
        ------
        ArrayError
            When there are other columns than those learned from.
        """
        rows = covariate_rows(factors, len(np.asarray(factors)))
        _same_width("factors", rows, self.mean)
        away = rows - self.mean
        if beside is not None and self.mean_beside.size:
            others = covariate_rows(beside, len(rows))
            _same_width("beside", others, self.mean_beside)
            away = away - (others - self.mean_beside) @ self.follows
        return np.asarray(away @ self.coef)


def slopes_within(
    y: ArrayLike,
    offset: ArrayLike,
    factors: ArrayLike,
    provider: ArrayLike,
    family: str = "gaussian",
    beside: ArrayLike | None = None,
    *,
    within: bool = True,
) -> WithinSlopes:
    r"""Return what factors do among patients of the same provider, given what is expected of them.

    Parameters
    ----------
    y : array-like of shape (n_episodes,)
        Outcome; 0 or 1 for `binomial`; 0 or more for `gamma`.
    offset : array-like of shape (n_episodes,)
        Linear predictor of an expectation that was learned from other episodes, by any learner.
    factors : array-like of shape (n_episodes, n_factors) or (n_episodes,)
    provider : array-like of shape (n_episodes,)
        Labels.
    family : {"gaussian", "binomial", "gamma"}
        Identity, logit and log link. `gamma`: a variance in proportion to the squared mean, and no
        further shape (quasi-likelihood).
    beside : array-like of shape (n_episodes, n_beside), optional
        Case mix that factors go with; its columns may follow from each other.
    within : bool
        False: one intercept for all providers instead of one each, so that differences between
        providers are taken for effects of the factors; for comparison.

    Raises
    ------
    ArrayError
        When arrays are not finite or do not fit each other, a factor is the same for all patients
        of every provider or follows from what is beside it, there are fewer than 2 providers, or
        nothing was settled.

    Notes
    -----
    The linear predictor is :math:`o_i + a_{j(i)} + s_i'\beta + z_i'\gamma`, with the offset
    :math:`o`, factors :math:`s` and what is beside them :math:`z`. Provider intercepts are
    eliminated from each Newton step. :math:`\beta` is the slope on the part of :math:`s` that does
    not follow from :math:`z` and the provider (Frisch and Waugh 1933, Econometrica 1:387-401);
    errors as Liang and Zeger (1986, Biometrika 73:13-22), with G / (G - 1).

    Examples
    --------
    >>> poor, provider = [0.0, 1.0, 0.0, 1.0, 1.0], list("aabbb")
    >>> got = slopes_within([10.0, 8.0, 5.0, 3.0, 3.0], [0.0] * 5, poor, provider)
    >>> got.coef.round(9).tolist()
    [-2.0]
    """
    model = _MODELS[one_of("family", family, _MODELS)]
    target = a_row("y", y, "episode")
    n = target.size
    start = finite("offset", offset, (n,))
    rows = covariate_rows(factors, n)
    others = np.empty((n, 0)) if beside is None else covariate_rows(beside, n)
    clusters = group_rows(provider)
    _check(model, target, rows, clusters)
    groups = clusters if within else groups_of(np.zeros(1), np.zeros(n, dtype=np.intp))
    design = np.column_stack([rows, others])
    centre, unit = design.mean(axis=0), _unit(design)
    with one_thread():
        problem = _Problem(model, target, start, (design - centre) / unit, groups)
        inner, scores = _settle(problem, clusters)
    return _told(inner, scores, problem.coef, centre, unit, rows.shape[1], clusters)


class BetweenSlopes(NamedTuple):
    """Slopes of providers' mean results on their mean factors.

    Attributes
    ----------
    coef, standard_error : ndarray of shape (n_factors,)
        NaN where slopes do not follow from the means, or their errors do not.
    """

    coef: Floats
    standard_error: Floats


def slope_between(
    y: ArrayLike,
    offset: ArrayLike,
    factors: ArrayLike,
    provider: ArrayLike,
    family: str = "gaussian",
) -> BetweenSlopes:
    """Return the slopes of providers' mean results on their mean factors: what is not adjusted for.

    Parameters
    ----------
    y, offset, factors, provider, family
        As in `slopes_within`.

    Returns
    -------
    BetweenSlopes
        By least squares of residuals, each provider counting by its episodes; on the scale of the
        linear predictor, to first order.

    Raises
    ------
    ArrayError

    Notes
    -----
    Errors are those of HC3 (MacKinnon and White 1985, Journal of Econometrics 29:305-325), as few
    providers may hold a slope: a residual counts by 1 / (1 - its provider's leverage).

    Examples
    --------
    >>> poor, provider = [0.0, 1.0, 0.0, 1.0, 1.0, 1.0], list("aabbbb")
    >>> y = [10.0, 8.0, 5.0, 3.0, 3.0, 3.0]
    >>> got = slope_between(y, [0.0] * 6, poor, provider)
    >>> got.coef.round(9).tolist(), got.standard_error.tolist()
    ([-22.0], [nan])
    """
    model = _MODELS[one_of("family", family, _MODELS)]
    target = a_row("y", y, "episode")
    rows, groups = covariate_rows(factors, target.size), group_rows(provider)
    _check(model, target, rows, groups)
    mean = link_named(model.link).mean(finite("offset", offset, target.shape))
    left = groups.total((target - mean) / model.per(mean)) / groups.total(model.weight(mean))
    root = np.sqrt(groups.sizes / target.size)
    design = root[:, None] * _centred(groups.mean(rows.T).T, root**2)
    return _least_squares(design, root * _centred(left, root**2), root)


def _centred(values: Floats, share: Floats) -> Floats:
    return np.asarray(values - share @ values)


def _least_squares(design: Floats, y: Floats, intercept: Floats) -> BetweenSlopes:
    """Return slopes with HC3 errors; `intercept` is a column at right angles to the others."""
    coef, _, rank, _ = np.linalg.lstsq(design, y, rcond=_FOLLOWS)
    nothing = np.full(design.shape[1], np.nan)
    if rank < design.shape[1]:
        return BetweenSlopes(nothing, nothing)
    reach = np.linalg.pinv(design)
    room = 1 - (design * reach.T).sum(axis=1) - intercept**2
    if (room < _FOLLOWS).any():
        return BetweenSlopes(np.asarray(coef), nothing)
    errors = reach * ((y - design @ coef) / room)
    return BetweenSlopes(np.asarray(coef), np.sqrt((errors**2).sum(axis=1)))


def shift_to_total(predictor: ArrayLike, total: float, link: str = "identity") -> float:
    """Return what has to be added to linear predictors for means to sum to a total.

    Parameters
    ----------
    predictor : array-like of shape (n_episodes,)
    total : float
        Such as what was observed of all. Above 0 with `log`; with `logit` below n besides.
    link : {"identity", "logit", "log"}

    Raises
    ------
    ArrayError
        When no shift gives that total.

    Examples
    --------
    >>> shift_to_total([1.0, 3.0], 10.0)
    3.0
    >>> round(shift_to_total([0.0, 2.0], 1.0, "logit"), 9)
    -1.0
    """
    eta, scale = a_row("predictor", predictor, "episode"), link_named(link)
    if link == "identity":
        return float((total - eta.sum()) / eta.size)
    most = eta.size if link == "logit" else np.inf
    if not 0 < total < most:
        raise ArrayError(f"total: wanted one above 0 and below {most:g}; got {total:g}.")
    if link == "log":
        return float(np.log(total) - np.log(scale.mean(eta).sum()))
    return _shift_of_log_odds(eta, total)


# --- families -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Model:
    """What Newton's method needs of a family.

    Attributes
    ----------
    link : str
    weight : callable
        Information of an episode about its linear predictor, from its mean.
    per : callable
        From the mean: what y - mean is divided by to make the score of an episode.
    deviance : callable
        From y and the linear predictor: what is minimised, without what is constant.
    allows : callable
        Which y can be.
    says : str
    loose : float
        Penalty on squared provider effects.
    """

    link: str
    weight: Callable[[Floats], Floats]
    per: Callable[[Floats], Floats]
    deviance: Callable[[Floats, Floats], Floats]
    allows: Callable[[Floats], NDArray[np.bool_]]
    says: str
    loose: float


_MODELS: Mapping[str, _Model] = MappingProxyType(
    {
        "gaussian": _Model(
            "identity", np.ones_like, np.ones_like, lambda y, eta: (y - eta) ** 2 / 2,
            np.isfinite, "numbers", 0.0,
        ),
        "binomial": _Model(
            "logit", lambda mean: np.maximum(mean * (1 - mean), 1e-12), np.ones_like,
            lambda y, eta: np.logaddexp(0.0, eta) - y * eta,
            lambda y: (y == 0) | (y == 1), "0 and 1", LOOSE,
        ),
        "gamma": _Model(
            "log", np.ones_like, lambda mean: mean, lambda y, eta: y * np.exp(-eta) + eta,
            lambda y: y >= 0, "0 or more", 0.0,
        ),
    }
)  # fmt: skip


class _Problem:
    """Coefficients with the intercepts of groups, which are eliminated from each step."""

    def __init__(
        self, model: _Model, y: Floats, offset: Floats, design: Floats, groups: Groups
    ) -> None:
        self.model, self.y, self.offset, self.design, self.groups = model, y, offset, design, groups
        self.coef, self.effects = np.zeros(design.shape[1]), np.zeros(len(groups))
        self.link = link_named(model.link)

    def predictor(self, coef: Floats, effects: Floats) -> Floats:
        return self.offset + self.design @ coef + effects[self.groups.codes]

    def objective(self, coef: Floats, effects: Floats) -> float:
        with np.errstate(over="ignore"):
            fit = self.model.deviance(self.y, self.predictor(coef, effects)).sum()
        return float(fit + self.model.loose * effects @ effects / 2)

    def step(self) -> tuple[Floats, Floats, Floats, Floats]:
        """Return Newton's step, the information about coefficients, and the scores of episodes."""
        mean = self.link.mean(self.predictor(self.coef, self.effects))
        weight = self.model.weight(mean)
        scores = (self.y - mean) / self.model.per(mean)
        weighted = self.design * weight[:, None]
        cross = self.groups.total(weighted.T)
        of_effects = self.groups.total(weight) + self.model.loose
        slope = self.groups.total(scores) - self.model.loose * self.effects
        inner = self.design.T @ weighted - (cross / of_effects) @ cross.T
        outer = self.design.T @ scores - cross @ (slope / of_effects)
        coef = np.asarray(np.linalg.lstsq(inner, outer, rcond=1e-11)[0])
        effects = (slope - cross.T @ coef) / of_effects
        away = self.design - (cross / of_effects).T[self.groups.codes]
        return coef, effects, inner, away * scores[:, None]

    def move(self, coef: Floats, effects: Floats) -> None:
        """Take the step, or half of it, or half of that: as far as it is downhill."""
        here = self.objective(self.coef, self.effects)
        for halving in range(_HALVINGS):
            share = 0.5**halving
            there = self.coef + share * coef, self.effects + share * effects
            if self.objective(*there) <= here * (1 + np.sign(here) * 1e-14):
                self.coef, self.effects = there
                return


def _settle(problem: _Problem, clusters: Groups) -> tuple[Floats, Floats]:
    """Return the information about settled coefficients, and their scores by cluster."""
    for _ in range(_MOST_STEPS):
        coef, effects, inner, scores = problem.step()
        if np.abs(coef).max(initial=0.0) < _SETTLED * (1 + np.abs(problem.coef).max(initial=0.0)):
            return inner, clusters.total(scores.T)
        problem.move(coef, effects)
    raise ArrayError(
        f"slopes_within: wanted slopes settled in {_MOST_STEPS} steps; got none. Look for a factor "
        "that tells events from others without error."
    )


def _told(
    inner: Floats,
    scores: Floats,
    coef: Floats,
    centre: Floats,
    unit: Floats,
    k: int,
    clusters: Groups,
) -> WithinSlopes:
    """Put what was learned in units of the columns, factors first."""
    follows = np.asarray(np.linalg.lstsq(inner[k:, k:], inner[k:, :k], rcond=1e-11)[0])
    left = inner[:k, :k] - inner[:k, k:] @ follows
    if not (np.diag(left) > _FOLLOWS * clusters.n_rows).all():
        raise ArrayError(
            "factors: wanted factors that differ between patients of the same provider, and none "
            "that follows from others or from what is beside it; got one. Leave it out."
        )
    inverse = np.linalg.inv(left)
    own = (scores[:k] - follows.T @ scores[k:]) * np.sqrt(len(clusters) / (len(clusters) - 1))
    covariance = inverse @ (own @ own.T) @ inverse / np.outer(unit[:k], unit[:k])
    return WithinSlopes(
        coef=coef[:k] / unit[:k],
        standard_error=np.sqrt(np.diag(covariance)),
        covariance=covariance,
        follows=follows * unit[:k] / unit[k:, None],
        mean=centre[:k],
        mean_beside=centre[k:],
        n=clusters.n_rows,
        n_providers=len(clusters),
    )


def _unit(design: Floats) -> Floats:
    spread = design.std(axis=0)
    return np.where(spread > 0, spread, 1.0)


def _check(model: _Model, y: Floats, factors: Floats, clusters: Groups) -> None:
    if clusters.n_rows != y.size:
        raise ArrayError(f"provider: wanted {y.size:,} labels; got {clusters.n_rows:,}.")
    enough_clusters(len(clusters))
    if not factors.shape[1]:
        raise ArrayError("factors: wanted one or more; got none.")
    if not model.allows(y).all():
        raise ArrayError(f"y: wanted {model.says}; got others. Choose another family.")


def _same_width(name: str, rows: Floats, mean: Floats) -> None:
    if rows.shape[1] != mean.size:
        raise ArrayError(f"{name}: wanted {mean.size} columns; got {rows.shape[1]}.")


def _shift_of_log_odds(eta: Floats, total: float) -> float:
    """Find the one root by Newton's method, kept between ends that close in on it."""
    scale, aim = link_named("logit"), np.log(total / (eta.size - total))
    low, high = float(aim - eta.max()), float(aim - eta.min())
    shift = (low + high) / 2
    for _ in range(_MOST_STEPS):
        mean = scale.mean(eta + shift)
        off = float(mean.sum()) - total
        low, high = (low, shift) if off > 0 else (shift, high)
        if abs(off) < 1e-12 * eta.size:
            break
        there = shift - off / max(float((mean * (1 - mean)).sum()), 1e-300)
        shift = there if low < there < high else (low + high) / 2
    return shift


def crossing(here: Any, there: Any, at: float, to: float) -> float:
    """Return where a line from `here` at one share to `there` at another is 0.

    Parameters
    ----------
    here, there : float
        Of different signs, or one of them 0.
    at, to : float
        The shares.

    Raises
    ------
    ArrayError
        When the line has no 0 between them.

    Examples
    --------
    >>> crossing(1.0, -3.0, 0.5, 1.0)
    0.625
    """
    if here == there or here * there > 0:
        raise ArrayError(f"crossing: wanted values on both sides of 0; got {here:g} and {there:g}.")
    return float(at + (to - at) * here / (here - there))
