"""Funnels: how far a provider is from a target, and the limits that chance alone would set.

There are two sorts of limits, and they answer different questions.

Interval limits turn a confidence interval, or a number of standard errors, into limits about the
target: `funnel_limits`, `poisson_limits`, `expected_at_limits`. They are smooth and easily drawn.
With counts, a provider that is in control falls outside of them with a probability that is not the
nominal one. For expected counts of up to 50 the median probability of being above the upper 95 per
cent limit, nominally 0.025, is 0.0301 with Wald's interval and 0.0121 with the exact one; Seaton
and Manktelow (2012, BMC Med Res Methodol 12:98) conclude that control limits should not be based
on confidence intervals.

Predictive limits are counts that an in-control provider exceeds with at most, or as nearly as a
count allows, the nominal probability: `predictive_limits_of_count`,
`predictive_limits_of_binomial`, `predictive_limits_of_sum`. Each comes with that probability.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import signal, special, stats

from riskadj.errors import ArrayError
from riskadj.stats.arrays import Floats, above, at_least, finite, one_of, plain, tail_of
from riskadj.stats.groups import group_rows
from riskadj.stats.intervals import Interval, garwood_bounds, ratio_interval

Bools = NDArray[np.bool_]

_ROUNDING = 1 + 1e-12
"""What is equal but for rounding is equal."""


@dataclass(frozen=True)
class Effect:
    """Distance from the target on the scale of a funnel.

    Attributes
    ----------
    effect : ndarray
        Transformed value minus transformed target.
    standard_error : ndarray
        Of the effect, from chance alone.
    target : float
        On the outcome's own scale.
    """

    effect: Floats
    standard_error: Floats
    target: float

    @property
    def z(self) -> Floats:
        """Effect divided by its standard error."""
        return self.effect / self.standard_error


class PredictiveLimits(NamedTuple):
    """Counts outside of which an in-control provider is rarely found.

    Attributes
    ----------
    lower, upper : ndarray
        A provider is outside with a count below `lower` or above `upper`; on them it is inside.
    below, above : ndarray
        Probability that an in-control provider is found there, from 0 to 1.
    """

    lower: Floats
    upper: Floats
    below: Floats
    above: Floats


class ExpectedAtLimits(NamedTuple):
    """Expected counts for which an observed count is just at a limit.

    Attributes
    ----------
    lower, upper : ndarray
        The observed count is on the lower limit when `lower` are expected, which are more than
        were observed; on the upper limit when `upper` are expected, which are fewer.
    """

    lower: Floats
    upper: Floats


@dataclass(frozen=True)
class _Kind:
    """One way to put a provider on a funnel; `back` holds a limit inside of what can happen."""

    outcome: str
    value: Callable[[Floats, Floats], Floats]
    error: Callable[[Floats, Floats, float], Floats]
    forward: Callable[[Floats], Floats]
    back: Callable[[Floats], Floats]


class _Cuts(NamedTuple):
    """Limits whose tails are not over the nominal one, and the tails one count further inwards."""

    lower: Floats
    upper: Floats
    below: Floats
    below_next: Floats
    above: Floats
    above_next: Floats


def funnel_effect(
    kind: str,
    numerator: ArrayLike,
    denominator: ArrayLike,
    target: float | None = None,
    sd: float | None = None,
) -> Effect:
    """Return how far each provider is from the target, with standard error and z.

    Parameters
    ----------
    kind : {"mean", "ratio_shmi", "ratio_cqc", "proportion", "proportion_score", "counts"}
        See Notes.
    numerator, denominator : array-like of shape (n_providers,)
        Mean and episodes; observed and expected; events and episodes; or two counts.
    target : float, optional
        On the outcome's own scale. That of a ratio is 1. When it is not given it is the sum of
        numerators over the sum of denominators for proportions and counts; a mean needs one.
    sd : float, optional
        Standard deviation of single episodes; for a mean, and only for a mean.

    Raises
    ------
    ArrayError
        When a value is not finite or outside its range; when the kind is unknown; when an
        observed count of 0 would be taken the logarithm of.

    Notes
    -----
    With x the value, t the target and D the denominator:

    ================== ==================== ======================== ================
    kind               value                effect                   standard error
    ================== ==================== ======================== ================
    mean               mean                 x - t                    sd / sqrt(D)
    ratio_shmi         observed / D         log x - log t            1 / sqrt(D)
    ratio_cqc          observed / D         sqrt x - sqrt t          1 / (2 sqrt D)
    proportion         events / D           asin sqrt x - asin sqrt  1 / (2 sqrt D)
    proportion_score   events / D           x - t                    sqrt(t (1-t) / D)
    counts             (A + 1/2)/(D + 1/2)  log x - log t            see below
    ================== ==================== ======================== ================

    For counts A and D the squared standard error is A/(A + 1/2)^2 + D/(D + 1/2)^2.
    Sources: Spiegelhalter (2005), Stat Med 24:1185-1202, appendix; the scales of the SHMI
    (NHS Digital) and of the Care Quality Commission as FunnelPlotR 0.6.0 has them. The SHMI
    rounds expected counts to two decimals first: round before the call to follow it. Wilson's
    interval (1927, JASA 22:209-212) touches the target where `proportion_score` is z.

    Examples
    --------
    >>> funnel_effect("ratio_shmi", [100, 150], [108, 112]).z.round(6).tolist()
    [-0.799803, 3.091681]
    >>> funnel_effect("ratio_shmi", [0], [3.1])
    Traceback (most recent call last):
    riskadj.errors.ArrayError: numerator: wanted numbers above 0; got 0.
    """
    made = _kind(kind)
    top, bottom = _counts(kind, numerator, denominator)
    if target is None and made.outcome in ("proportion", "counts"):
        target = _pooled(top, bottom)
    centre = _target(kind, target)
    value = made.value(top, bottom)
    error = made.error(top, bottom, centre) * _sd(kind, sd)
    if error.size and not error.min() > 0:
        raise ArrayError(
            f"{kind}: wanted a standard error above 0; got 0. "
            "Leave out providers with two counts of 0, and targets of 0 or 1."
        )
    moved = made.forward(value) - made.forward(np.asarray(centre))
    return Effect(np.asarray(moved), error, centre)


def funnel_limits(
    kind: str,
    denominator: ArrayLike,
    target: float | None = None,
    level: float = 0.95,
    *,
    sd: float | None = None,
    numerator: ArrayLike | None = None,
    phi: float = 1.0,
    tau2: float = 0.0,
) -> Interval:
    """Return interval limits about the target, on the outcome's own scale.

    A provider is outside of them when its |z|, adjusted for the same `phi` or `tau2`, is above
    the normal quantile of `level`. With counts that happens to an in-control provider more or
    less often than `level` says: see the module's warning, and the predictive limits.

    Parameters
    ----------
    kind : str
        As in `funnel_effect`.
    denominator : array-like of shape (n_limits,)
        Episodes, or expected counts; of providers, or of points along a curve.
    target : float, optional
        That of a ratio is 1; other kinds need one.
    level : float
        Between 0 and 1: 0.95, 0.998, or any.
    sd : float, optional
        For a mean, and only for a mean.
    numerator : array-like of shape (n_limits,), optional
        For `counts`, and only for them: their standard error rests on both counts.
    phi : float
        Multiplicative over-dispersion; 1 or more.
    tau2 : float
        Additive over-dispersion on the scale of the effect; 0 or more.

    Returns
    -------
    Interval
        Held inside what can happen: ratios not below 0, proportions within 0 and 1.

    Raises
    ------
    ArrayError
        When both `phi` and `tau2` are given, or a value is outside its range.

    Notes
    -----
    back(forward(target) -+ z sqrt(phi s^2 + tau2)), with forward, back and s those of the kind
    (Spiegelhalter 2005, Stat Med 24:1185-1202). Limits of `ratio_cqc` are of the ratio:
    (1 -+ z s)^2. Software that draws 1 -+ z s has the limits of the ratio's square root.

    Examples
    --------
    >>> one = funnel_limits("ratio_shmi", 108, tau2=0.01947753)
    >>> float(one.lower.round(6)), float(one.upper.round(6))
    (0.717307, 1.394104)
    """
    made = _kind(kind)
    if (numerator is None) == (kind == "counts"):
        raise ArrayError("numerator: wanted for counts, and for nothing else; got the other.")
    top, bottom = _counts(kind, denominator if numerator is None else numerator, denominator)
    centre = _target(kind, target)
    error = made.error(top, bottom, centre) * _sd(kind, sd)
    half = _z(level) * np.sqrt(_widened(error, phi, tau2))
    middle = made.forward(np.asarray(centre))
    return Interval(made.back(middle - half), made.back(middle + half))


def poisson_limits(expected: ArrayLike, level: float = 0.95) -> Interval:
    """Return interval limits of observed / expected: the exact interval of the expected count.

    An in-control provider is above the upper limit less often, and below the lower one more
    often, than `level` says: see the module's warning, and `predictive_limits_of_count`.

    Parameters
    ----------
    expected : array-like of shape (n_limits,)
        Above 0.
    level : float
        Between 0 and 1.

    Raises
    ------
    ArrayError

    Notes
    -----
    chi2(tail; 2E) / 2E and chi2(1 - tail; 2E + 2) / 2E (Spiegelhalter 2005, Stat Med
    24:1185-1202; FunnelPlotR 0.6.0). They have no over-dispersed form; `ratio_shmi` and
    `ratio_cqc` have.

    Examples
    --------
    >>> one = poisson_limits(15.0)
    >>> float(one.lower.round(7)), float(one.upper.round(6))
    (0.5596924, 1.649348)
    """
    count = above("expected", expected, 0.0)
    lower, upper = garwood_bounds(count, tail_of(level))
    return Interval(lower / count, upper / count)


def expected_at_limits(observed: ArrayLike, level: float = 0.95) -> ExpectedAtLimits:
    """Return the expected counts for which each observed count is just at a limit.

    The funnel drawn the other way round: along whole observed counts, at each of which the
    Poisson probability of the tail is exactly the nominal one.

    Parameters
    ----------
    observed : array-like of shape (n_counts,)
        0 or more. At 0 no expected count puts it on an upper limit, and `upper` is 0.
    level : float
        Between 0 and 1.

    Raises
    ------
    ArrayError

    Notes
    -----
    P(X <= observed | lower) = P(X >= observed | upper) = (1 - level) / 2: Garwood's bounds (1936,
    Biometrika 28:437-442) of the observed count, the table of the funnels for ratios and rates
    of Public Health England (Fingertips technical guidance).

    Examples
    --------
    >>> one = expected_at_limits(1)
    >>> float(one.lower.round(6)), float(one.upper.round(6))
    (5.571643, 0.025318)
    """
    count = at_least("observed", observed, 0.0)
    bounds = ratio_interval(count, 1.0, "exact", level)
    return ExpectedAtLimits(lower=bounds.upper, upper=bounds.lower)


def predictive_limits_of_count(
    expected: ArrayLike, level: float = 0.95, rule: str = "at_most"
) -> PredictiveLimits:
    """Return predictive limits of a Poisson count.

    Parameters
    ----------
    expected : array-like of shape (n_limits,)
        Above 0. Divide the limits by it for those of observed / expected.
    level : float
        From 0.5 to 1.
    rule : {"at_most", "closest"}
        The probability of each side is at most half of 1 - level, or as close to it as a count
        allows, whichever side of it that is; a tie goes to the smaller.

    Raises
    ------
    ArrayError

    Notes
    -----
    With `at_most`: the largest count with P(X < lower) under the tail and the smallest with
    P(X > upper) not over it, the prediction limits of Seaton and Manktelow (2012), BMC Med Res
    Methodol 12:98.

    Examples
    --------
    >>> one = predictive_limits_of_count(10.0)
    >>> float(one.lower), float(one.upper), float(one.above.round(4))
    (4.0, 17.0, 0.0143)
    """
    mean, tail = above("expected", expected, 0.0), _half_tail(level)
    return _by_rule(_cuts(stats.poisson(mean), tail), tail, rule)


def predictive_limits_of_binomial(
    n: ArrayLike, target: ArrayLike, level: float = 0.95, rule: str = "at_most"
) -> PredictiveLimits:
    """Return predictive limits of the events among n episodes with one probability.

    Parameters
    ----------
    n : array-like of shape (n_limits,)
        Whole numbers of 1 or more. Divide the limits by it for those of the proportion.
    target : float or array-like of shape (n_limits,)
        Probability of an event, within 0 and 1.
    level, rule
        As in `predictive_limits_of_count`.

    Raises
    ------
    ArrayError

    Notes
    -----
    As in `predictive_limits_of_count`, with the binomial distribution.

    Examples
    --------
    >>> one = predictive_limits_of_binomial(100, 0.1)
    >>> float(one.lower), float(one.upper)
    (5.0, 16.0)
    """
    size, tail = at_least("n", n, 1.0), _half_tail(level)
    if (size != np.rint(size)).any():
        raise ArrayError("n: wanted whole numbers; got others.")
    chance = _probabilities("target", target)
    if chance.shape not in {(), size.shape} and size.shape:
        raise ArrayError(f"target: wanted one, or shape {size.shape}; got {chance.shape}.")
    return _by_rule(_cuts(stats.binom(size, chance), tail), tail, rule)


def predictive_limits_of_sum(
    probability: ArrayLike, provider: ArrayLike, level: float = 0.95, rule: str = "at_most"
) -> PredictiveLimits:
    """Return predictive limits of each provider's events, every episode with its own probability.

    The limits to use when the outcome is not rare: a Poisson count varies more than such a sum.

    Parameters
    ----------
    probability : array-like of shape (n_episodes,)
        Expected probability of an event, within 0 and 1.
    provider : array-like of shape (n_episodes,)
        Labels.
    level, rule
        As in `predictive_limits_of_count`.

    Returns
    -------
    PredictiveLimits
        One per provider, providers in order of their label as in `group_rows`.

    Raises
    ------
    ArrayError

    Notes
    -----
    The exact distribution of a sum of independent Bernoulli variables, by convolution of halves;
    n log^2 n steps for a provider of n episodes. Tails under about 1e-13 are lost to rounding.

    Examples
    --------
    >>> one = predictive_limits_of_sum([0.5] * 10, ["a"] * 10)
    >>> float(one.lower[0]), float(one.upper[0]), float(one.above[0].round(4))
    (2.0, 8.0, 0.0107)
    """
    tail, groups = _half_tail(level), group_rows(provider)
    chance = groups.sort(_probabilities("probability", probability, (groups.n_rows,)))
    parts = np.split(chance, groups.starts[1:])
    found = np.array([_cuts_of_sum(_distribution_of_sum(one), tail) for one in parts])
    return _by_rule(_Cuts(*found.T), tail, rule)


def _kind(kind: str) -> _Kind:
    return _KINDS[one_of("kind", kind, _KINDS)]


def _counts(kind: str, numerator: ArrayLike, denominator: ArrayLike) -> tuple[Floats, Floats]:
    """Return both as floats within the range of their kind."""
    outcome = _KINDS[kind].outcome
    low = at_least if outcome == "counts" else above
    bottom = low("denominator", denominator, 0.0)
    if outcome == "mean":
        return finite("numerator", numerator, bottom.shape), bottom
    low = above if kind == "ratio_shmi" else at_least
    top = low("numerator", numerator, 0.0, bottom.shape)
    if outcome == "proportion" and (top > bottom).any():
        raise ArrayError("numerator: wanted no more events than episodes; got more.")
    return top, bottom


def _number(name: str, value: float, check: Callable[..., Floats], *bound: float) -> float:
    """Return one number that has passed the check of an array."""
    return float(check(name, [value], *bound, shape=(1,))[0])


def _pooled(top: Floats, bottom: Floats) -> float:
    if not (top.sum() > 0 and bottom.sum() > 0):
        raise ArrayError("target: wanted counts to make one of; got none above 0. Give a target.")
    return float(top.sum() / bottom.sum())


def _target(kind: str, target: float | None) -> float:
    """Return the target within the range of its kind."""
    outcome = _KINDS[kind].outcome
    if outcome == "ratio":
        return _one(target)
    if target is None:
        raise ArrayError(f"target: wanted a number for {kind}; got none. Give one.")
    return _number("target", target, *_IN_RANGE[outcome])


def _one(target: float | None) -> float:
    """Return 1: the standard error of a ratio is that at 1."""
    if target not in (None, 1):
        raise ArrayError(
            f"target: wanted 1 for a ratio; got {plain(target)!r}. Multiply the expected counts "
            "by it."
        )
    return 1.0


def _sd(kind: str, sd: float | None) -> float:
    if (sd is None) == (kind == "mean"):
        given = plain(sd)
        raise ArrayError(f"sd: wanted for a mean, and for nothing else; got {given!r} for {kind}.")
    return 1.0 if sd is None else _number("sd", sd, above, 0.0)


def _widened(error: Floats, phi: float, tau2: float) -> Floats:
    """Return the variance with one of the two models of over-dispersion."""
    times, plus = _number("phi", phi, at_least, 1.0), _number("tau2", tau2, at_least, 0.0)
    if times > 1 and plus > 0:
        raise ArrayError("phi, tau2: wanted one model of over-dispersion; got both. Choose one.")
    return np.asarray(times * error**2 + plus)


def _half_tail(level: float) -> float:
    """Return the tail of a level at which the two limits cannot cross."""
    if not 0.5 <= level < 1:
        raise ArrayError(f"level: wanted a number from 0.5 to 1; got {plain(level)!r}.")
    return (1 - level) / 2


def _z(level: float) -> float:
    return float(special.ndtri(1 - tail_of(level)))


def _probabilities(
    name: str, values: ArrayLike, shape: tuple[int, ...] | None = None
) -> NDArray[np.float64]:
    array = at_least(name, values, 0.0, shape)
    if array.size and array.max() > 1:
        raise ArrayError(f"{name}: wanted numbers within 0 and 1; got {array.max():g}.")
    return array


def _cuts(counts: Any, tail: float) -> _Cuts:
    """Return the limits of a distribution that scipy knows."""
    lower, upper = counts.ppf(tail * _ROUNDING), counts.ppf(1 - tail * _ROUNDING)
    return _Cuts(
        lower=lower,
        upper=upper,
        below=counts.cdf(lower - 1),
        below_next=counts.cdf(lower),
        above=counts.sf(upper),
        above_next=counts.sf(upper - 1),
    )


def _cuts_of_sum(chance_of: Floats, tail: float) -> _Cuts:
    """Return the limits of a distribution over 0, 1, ...."""
    less = np.concatenate(([0.0], np.cumsum(chance_of)))
    more = np.concatenate((np.cumsum(chance_of[::-1])[::-1], [0.0]))
    # Places where P(X <= k) is under the tail, and where P(X > k) is over it.
    lower = int((less[1:-1] < tail * _ROUNDING).sum())
    upper = int((more[1:] > tail * _ROUNDING).sum())
    ends = (lower, upper, less[lower], less[lower + 1], more[upper + 1], more[upper])
    return _Cuts(*(np.asarray(one, dtype=np.float64) for one in ends))


def _by_rule(cuts: _Cuts, tail: float, rule: str) -> PredictiveLimits:
    """Keep each limit, or take the next count inwards."""
    inwards = _RULES[one_of("rule", rule, _RULES)]
    up = inwards(cuts.below, cuts.below_next, tail)
    down = inwards(cuts.above, cuts.above_next, tail)
    return PredictiveLimits(
        lower=cuts.lower + up,
        upper=cuts.upper - down,
        below=np.where(up, cuts.below_next, cuts.below),
        above=np.where(down, cuts.above_next, cuts.above),
    )


def _distribution_of_sum(probability: Floats) -> Floats:
    """Return P(sum = 0), P(sum = 1), ...: products of pairs of factors, then of pairs of those."""
    factors = np.column_stack((1 - probability, probability))
    while len(factors) > 1:
        if len(factors) % 2:
            # A factor of 1: an episode that has no event for certain.
            factors = np.vstack((factors, np.eye(1, factors.shape[1])))
        factors = signal.fftconvolve(factors[0::2], factors[1::2], axes=1)
    chance_of = np.maximum(factors[0, : len(probability) + 1], 0.0)
    return np.asarray(chance_of / chance_of.sum())


def _per_root(unit: Callable[[float], float]) -> Callable[[Floats, Floats, float], Floats]:
    """Return a standard error that falls with the root of the denominator."""
    return lambda _top, bottom, target: np.asarray(unit(target) / np.sqrt(bottom))


def _counts_error(top: Floats, bottom: Floats, _target: float) -> Floats:
    return np.asarray(np.sqrt(top / (top + 0.5) ** 2 + bottom / (bottom + 0.5) ** 2))


def _quotient(top: Floats, bottom: Floats) -> Floats:
    return top / bottom


def _same(value: Floats) -> Floats:
    return value


_KINDS: dict[str, _Kind] = {
    "mean": _Kind(
        outcome="mean",
        value=lambda top, _bottom: top,
        error=_per_root(lambda _target: 1.0),
        forward=_same,
        back=_same,
    ),
    "ratio_shmi": _Kind(
        outcome="ratio",
        value=_quotient,
        error=_per_root(lambda _target: 1.0),
        forward=np.log,
        back=np.exp,
    ),
    "ratio_cqc": _Kind(
        outcome="ratio",
        value=_quotient,
        error=_per_root(lambda _target: 0.5),
        forward=np.sqrt,
        back=lambda limit: np.maximum(limit, 0.0) ** 2,
    ),
    "proportion": _Kind(
        outcome="proportion",
        value=_quotient,
        error=_per_root(lambda _target: 0.5),
        forward=lambda value: np.arcsin(np.sqrt(value)),
        # Outside of 0 and pi/2 the sine would turn round and the limits with it.
        back=lambda limit: np.sin(np.clip(limit, 0.0, np.pi / 2)) ** 2,
    ),
    "proportion_score": _Kind(
        outcome="proportion",
        value=_quotient,
        error=_per_root(lambda target: float(np.sqrt(target * (1 - target)))),
        forward=_same,
        back=lambda limit: np.clip(limit, 0.0, 1.0),
    ),
    "counts": _Kind(
        outcome="counts",
        value=lambda top, bottom: (top + 0.5) / (bottom + 0.5),
        error=_counts_error,
        forward=np.log,
        back=np.exp,
    ),
}

_IN_RANGE: dict[str, tuple[Any, ...]] = {
    "mean": (finite,),
    "proportion": (_probabilities,),
    "counts": (above, 0.0),
}

_RULES: dict[str, Callable[[Floats, Floats, float], Bools]] = {
    "at_most": lambda tail_here, _next, _tail: np.zeros(np.shape(tail_here), dtype=bool),
    "closest": lambda tail_here, following, tail: following + tail_here < 2 * tail / _ROUNDING,
}

FUNNEL_KINDS: tuple[str, ...] = tuple(_KINDS)
"""The kinds of `funnel_effect` and `funnel_limits`."""
