"""Tests and intervals for the number of events of a provider, each episode with its own risk.

A provider's number of events X is a sum of independent events with unequal probabilities: its
distribution is the Poisson-binomial. It is used here as it is, not by way of a normal or Poisson
approximation, so that small providers and rare events get the error that is promised.

Two facts make that cheap. A convolution of probabilities adds positive numbers only, so that each
probability of a count is right to rounding, however small. And when the log-odds of all episodes
are shifted by d, P_d(X = k) is proportional to P_0(X = k) exp(d k): one convolution gives the
distribution under every shift. It is made under the shift under which the provider expects
what it observed, where nothing that matters is too small for a number.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from riskadj.errors import ArrayError
from riskadj.stats.arrays import Floats, above, finite, one_of, plain, tail_of
from riskadj.stats.groups import Groups, group_rows
from riskadj.stats.links import effects_of

_AT_COUNT = {"exact": 1.0, "midp": 0.5}
"""How much of the probability of the observed count belongs to a tail."""
_BLOCK = 256
"""Episodes whose distribution is made in one go."""
_AT_A_TIME = 2**15
"""Episodes in blocks convolved together: few enough to stay in the processor's cache."""
_LEAST = 1e-300
"""Probabilities below are 0 for all that can be computed from them."""
_NEGLIGIBLE = 1e-100
"""Probability of a count below which the ends of the distribution of over 256 episodes are cut."""


@dataclass(frozen=True)
class CountTails:
    """Where each provider's number of events lies in its distribution.

    Attributes
    ----------
    providers : ndarray of shape (n_providers,)
        Sorted labels.
    n : ndarray of shape (n_providers,)
        Episodes.
    observed, expected : ndarray of shape (n_providers,)
        Number of events, and sum of the probabilities.
    lower, upper, point : ndarray of shape (n_providers,)
        P(X <= O), P(X >= O) and P(X = O); lower + upper = 1 + point.
    """

    providers: NDArray[Any]
    n: NDArray[np.intp]
    observed: Floats
    expected: Floats
    lower: Floats
    upper: Floats
    point: Floats


@dataclass(frozen=True)
class CountTest:
    """A test of each provider's number of events against what is expected.

    Attributes
    ----------
    providers : ndarray of shape (n_providers,)
        Sorted labels.
    n : ndarray of shape (n_providers,)
        Episodes.
    observed, expected : ndarray of shape (n_providers,)
        Number of events, and sum of the probabilities.
    z : ndarray of shape (n_providers,)
        Above 0 with more events than expected; in `exact_test`, where the upper tail is smaller.
    p : ndarray of shape (n_providers,)
        Two-sided.
    """

    providers: NDArray[Any]
    n: NDArray[np.intp]
    observed: Floats
    expected: Floats
    z: Floats
    p: Floats


class WaldTest(NamedTuple):
    """Statistic and two-sided p of each effect, arrays of the same shape."""

    z: Floats
    p: Floats


@dataclass(frozen=True)
class RatioInterval:
    """Each provider's standardised ratio with its exact interval.

    Attributes
    ----------
    providers : ndarray of shape (n_providers,)
        Sorted labels.
    n : ndarray of shape (n_providers,)
        Episodes.
    observed, expected : ndarray of shape (n_providers,)
        Number of events O, and sum of the probabilities E.
    ratio, lower, upper : ndarray of shape (n_providers,)
        O / E and its bounds. Without any event `lower` is 0; with only events `upper` is n / E,
        the highest ratio that can be.
    shift_lower, shift_upper : ndarray of shape (n_providers,)
        The same bounds as shifts of the log-odds of all its episodes; -inf without any event,
        inf with only events. exp of them bounds the provider's odds ratio.
    """

    providers: NDArray[Any]
    n: NDArray[np.intp]
    observed: Floats
    expected: Floats
    ratio: Floats
    lower: Floats
    upper: Floats
    shift_lower: Floats
    shift_upper: Floats


def poisson_binomial_tails(
    probability: ArrayLike, provider: ArrayLike, observed: ArrayLike
) -> CountTails:
    """Return the exact tail probabilities of each provider's number of events.

    Parameters
    ----------
    probability : array-like of shape (n_episodes,)
        Expected probabilities, above 0 and below 1, from any model.
    provider : array-like of shape (n_episodes,)
        Labels.
    observed : array-like of shape (n_episodes,)
        1 with the event, 0 without.

    Returns
    -------
    CountTails

    Raises
    ------
    ArrayError
        When an array has another shape, a probability is not between 0 and 1, or an outcome is
        neither 0 nor 1.

    Notes
    -----
    Compared with exact arithmetic the relative error of a tail is below 1e-12 up to 20,000
    episodes of a provider. A tail below 1e-308 is 0; `exact_test` still has its z. The order of
    the episodes matters to rounding only. Cost: n^2 up to 256 episodes, beyond that n log n.

    Examples
    --------
    >>> tails = poisson_binomial_tails([0.5, 0.5, 0.1], ["a", "a", "b"], [1, 0, 1])
    >>> [one.round(12).tolist() for one in (tails.lower, tails.upper, tails.point)]
    [[0.75, 1.0], [0.75, 0.1], [0.5, 0.1]]
    """
    counts = _event_counts(probability, provider, observed)
    tails = _tails(counts)
    beyond, point = np.exp(tails.beyond), np.exp(tails.point)
    nearer, farther = np.minimum(beyond + point, 1.0), 1 - beyond
    return CountTails(
        *counts.described,
        lower=np.where(tails.side < 0, nearer, farther),
        upper=np.where(tails.side > 0, nearer, farther),
        point=point,
    )


def exact_test(
    probability: ArrayLike, provider: ArrayLike, observed: ArrayLike, method: str = "exact"
) -> CountTest:
    """Test each provider's number of events by its exact distribution.

    p is twice the smaller tail, at most 1. z is the normal deviate with the same two-sided p.

    Parameters
    ----------
    probability, provider, observed : array-like of shape (n_episodes,)
        As in `poisson_binomial_tails`.
    method : {"exact", "midp"}
        `exact`: the observed count belongs to both tails; the error is at most what it says.
        `midp`: half of its probability does; the error is closer to what it says on average.

    Returns
    -------
    CountTest

    Raises
    ------
    ArrayError
        As in `poisson_binomial_tails`; or when the method is unknown.

    Notes
    -----
    pprof 1.0.3 (R) offers the exact Poisson-binomial test for fixed provider effects. Where the
    probabilities were estimated from the same episodes they are taken as known.

    Examples
    --------
    >>> result = exact_test([0.2] * 10, ["a"] * 10, [1] * 6 + [0] * 4)
    >>> float(result.p[0].round(6)), float(result.z[0].round(4))
    (0.012739, 2.491)
    """
    at_count = _AT_COUNT[one_of("method", method, _AT_COUNT)]
    counts = _event_counts(probability, provider, observed)
    tails = _tails(counts)
    nearer = np.logaddexp(tails.beyond, tails.point + np.log(at_count))
    farther = np.log1p(-np.exp(tails.beyond) - (1 - at_count) * np.exp(tails.point))
    log_p = np.minimum(np.minimum(nearer, farther) + np.log(2), 0.0)
    side = np.where(nearer < farther, tails.side, -tails.side)
    z = -side * special.ndtri_exp(log_p - np.log(2))
    return CountTest(*counts.described, z=z + 0.0, p=np.exp(log_p))


def score_test(probability: ArrayLike, provider: ArrayLike, observed: ArrayLike) -> CountTest:
    """Test each provider's number of events by z = (O - E) / sqrt(sum p (1 - p)).

    Its tails are normal: where sum p (1 - p) is small, ask `exact_test`.

    Parameters
    ----------
    probability, provider, observed : array-like of shape (n_episodes,)
        As in `poisson_binomial_tails`.

    Returns
    -------
    CountTest

    Raises
    ------
    ArrayError
        As in `poisson_binomial_tails`.

    Examples
    --------
    >>> float(score_test([0.2] * 100, ["a"] * 100, [1] * 28 + [0] * 72).z[0].round(6))
    2.0
    """
    episodes = _episodes(probability, provider, observed)
    total = episodes.groups.total_ordered
    variance = total(episodes.probability * (1 - episodes.probability))
    z = total(episodes.observed - episodes.probability) / np.sqrt(variance)
    return CountTest(*episodes.described, z=z, p=_two_sided(z))


def wald_test(
    effect: ArrayLike,
    standard_error: ArrayLike,
    reference: ArrayLike = 0.0,
    df: float | None = None,
) -> WaldTest:
    """Test each provider's effect against a reference by z = (effect - reference) / its error.

    Parameters
    ----------
    effect : array-like of shape (n_providers,)
        May be infinite (a provider with no, or only, events): then z and p are NaN, as Wald's
        test has no answer; `exact_test` has.
    standard_error : array-like of shape (n_providers,)
        Above 0; anything where the effect is infinite.
    reference : float or array-like of shape (n_providers,)
        The effect that counts as average, such as that of `reference_effect`; taken as known.
    df : float, optional
        Residual degrees of freedom, above 0: p from Student's t. By default from the normal.

    Returns
    -------
    WaldTest

    Raises
    ------
    ArrayError
        When an effect is missing or a standard error is not above 0.

    Notes
    -----
    pprof 1.0.3 (R) tests linear fixed effects so, by t with n - m - p degrees of freedom (n
    episodes, m providers, p covariates), or by the normal.

    Examples
    --------
    >>> wald_test([0.5], [0.25]).p.round(4).tolist()
    [0.0455]
    """
    value = np.atleast_1d(effects_of("effect", effect))
    average = finite("reference", np.atleast_1d(reference))
    if average.shape not in {(1,), value.shape}:
        raise ArrayError(f"reference: wanted one, or {value.size}; got shape {average.shape}.")
    known = np.isfinite(value)
    given = np.atleast_1d(standard_error)
    if given.shape not in {(1,), value.shape}:
        raise ArrayError(f"standard_error: wanted one, or {value.size}; got shape {given.shape}.")
    error = above("standard_error", np.where(known, given, 1.0), 0.0)
    if df is not None and not df > 0:
        raise ArrayError(f"df: wanted a number above 0; got {plain(df)!r}.")
    z = (np.where(known, value, np.nan) - average) / error
    p = _two_sided(z) if df is None else 2 * special.stdtr(df, -np.abs(z))
    return WaldTest(z, p)


def exact_ratio_interval(
    probability: ArrayLike,
    provider: ArrayLike,
    observed: ArrayLike,
    level: float = 0.95,
    method: str = "exact",
) -> RatioInterval:
    """Return the interval of O / E from the exact distribution of the number of events.

    The interval holds the shifts d of the log-odds, the same for all of a provider's episodes,
    that the exact test does not refuse: at the lower bound P_d(X >= O) is half of 1 - level, at
    the upper P_d(X <= O) is. On the scale of the ratio a shift is
    sum expit(logit p + d) / sum p. So no bound implies a probability above 1.

    Parameters
    ----------
    probability, provider, observed : array-like of shape (n_episodes,)
        As in `poisson_binomial_tails`.
    level : float
        Between 0 and 1.
    method : {"exact", "midp"}
        Whether the observed count belongs to the tails wholly or by half; `exact` covers the true
        ratio at least as often as the level says.

    Returns
    -------
    RatioInterval

    Raises
    ------
    ArrayError
        As in `poisson_binomial_tails`; or when the level or the method is wrong.

    Notes
    -----
    With equal probabilities this is the interval of Clopper and Pearson (1934, Biometrika
    26:404-413), over p. A provider with no event, or only events, has one bound that says
    nothing; the other still leaves half of 1 - level.
    The bounds solve log P_d(tail) = log((1 - level) / 2) by Newton's method; the slope is
    E_d(X | tail) - E_d(X), as X has an exponential family in d.

    Examples
    --------
    >>> one = exact_ratio_interval([0.2] * 10, ["a"] * 10, [1] * 4 + [0] * 6)
    >>> [float(bound[0].round(4)) for bound in (one.ratio, one.lower, one.upper)]
    [2.0, 0.6078, 3.6881]
    """
    at_count = _AT_COUNT[one_of("method", method, _AT_COUNT)]
    goal = float(np.log(tail_of(level)))
    counts = _event_counts(probability, provider, observed)
    episodes = counts.episodes
    lower = _shift_at(counts, goal, at_count, side=1.0)
    upper = _shift_at(counts, goal, at_count, side=-1.0)
    expected = episodes.events_expected(np.zeros_like(lower))
    return RatioInterval(
        *episodes.described,
        ratio=episodes.events / expected,
        lower=episodes.events_expected(lower) / expected,
        upper=episodes.events_expected(upper) / expected,
        shift_lower=lower,
        shift_upper=upper,
    )


# --- episodes ---


@dataclass(frozen=True)
class _Episodes:
    """Probabilities and outcomes in order of their provider."""

    groups: Groups
    probability: Floats
    log_odds: Floats
    observed: Floats
    events: Floats

    @property
    def described(self) -> tuple[NDArray[Any], NDArray[np.intp], Floats, Floats]:
        """Provider, n, observed and expected, as every result begins."""
        expected = self.groups.total_ordered(self.probability)
        return self.groups.labels, self.groups.sizes, self.events, expected

    def shifted(self, shift: Floats) -> Floats:
        """Return the log-odds, those of each provider shifted by its own number."""
        return np.asarray(self.log_odds + self.groups.spread(shift))

    def events_expected(self, shift: Floats) -> Floats:
        """Return the sum of the shifted probabilities."""
        return self.groups.total_ordered(special.expit(self.shifted(shift)))


def _episodes(probability: ArrayLike, provider: ArrayLike, observed: ArrayLike) -> _Episodes:
    groups = group_rows(provider)
    p = groups.sort(finite("probability", probability, (groups.n_rows,)))
    if not (p.min() > _LEAST and p.max() < 1):
        raise ArrayError(
            f"probability: wanted numbers above 0 and below 1; got {p.min():g} to {p.max():g}. "
            "Nothing is certain: limit the model's probabilities."
        )
    outcome = groups.sort(finite("observed", observed, (groups.n_rows,)))
    wrong = (outcome != 0) & (outcome != 1)
    if wrong.any():
        raise ArrayError(
            f"observed: wanted 1 with the event and 0 without; got {outcome[wrong][0]:g}."
        )
    return _Episodes(groups, p, special.logit(p), outcome, groups.total_ordered(outcome))


# --- the distribution of each provider's number of events ---


@dataclass(frozen=True)
class _Counts:
    """The distribution of each provider's number of events, one after the other.

    `distance` is k - O, and `log_mass` log P(X = k), under the shift `centre`; where a provider's
    part begins is in `starts`, how long it is in `sizes`.
    """

    episodes: _Episodes
    centre: Floats
    distance: Floats
    log_mass: Floats
    starts: NDArray[np.intp]
    sizes: NDArray[np.intp]

    @property
    def described(self) -> tuple[NDArray[Any], NDArray[np.intp], Floats, Floats]:
        return self.episodes.described

    def log_weight(self, shift: Floats) -> Floats:
        """Return log P(X = k) under a shift, but for a constant of each provider's own."""
        return self.log_mass + self.spread(shift - self.centre) * self.distance

    def log_total(self, log_weight: Floats) -> tuple[Floats, Floats]:
        """Return log sum w, and the mean of k - O under w, of each provider."""
        top = np.maximum.reduceat(log_weight, self.starts)
        top = np.where(np.isfinite(top), top, 0.0)
        weight = np.exp(log_weight - self.spread(top))
        total = np.add.reduceat(weight, self.starts)
        moment = np.add.reduceat(weight * self.distance, self.starts)
        mean = np.divide(moment, total, out=np.zeros_like(total), where=total > 0)
        with np.errstate(divide="ignore"):
            return top + np.log(total), mean

    def spread(self, per_provider: Floats) -> Floats:
        return np.repeat(per_provider, self.sizes)


def _event_counts(probability: ArrayLike, provider: ArrayLike, observed: ArrayLike) -> _Counts:
    episodes = _episodes(probability, provider, observed)
    centre = _centre(episodes)
    shifted = episodes.shifted(centre)
    masses = _masses(special.expit(shifted), special.expit(-shifted), episodes.groups)
    sizes = np.array([mass.size for _, mass in masses])
    starts = np.concatenate(([0], np.cumsum(sizes)[:-1]))
    # Count k stands at place k - first after the provider's start.
    zero = starts - np.array([first for first, _ in masses]) + episodes.events
    with np.errstate(divide="ignore"):
        log_mass = np.log(np.concatenate([mass for _, mass in masses]))
    distance = np.arange(sizes.sum()) - np.repeat(zero, sizes)
    return _Counts(episodes, centre, distance, log_mass, starts, sizes)


def _centre(episodes: _Episodes) -> Floats:
    """Return the shift under which each provider expects the events that it has.

    Without any event, or with only events, there is none: then half an event from there.
    Newton's method on the log-odds of the mean, which is straight when all risks are equal, kept
    between bounds that it cannot leave: the goal less the highest and the lowest log-odds.
    """
    groups, log_odds = episodes.groups, episodes.log_odds
    goal = np.clip(episodes.events, 0.5, groups.sizes - 0.5)
    goal = np.log(goal / (groups.sizes - goal))
    low = goal - np.maximum.reduceat(log_odds, groups.starts)
    high = goal - np.minimum.reduceat(log_odds, groups.starts)
    shift, active = (low + high) / 2, np.ones(len(groups), dtype=bool)
    for _ in range(200):
        shifted = episodes.shifted(shift)
        event, none = special.expit(shifted), special.expit(-shifted)
        events, others, variance = map(groups.total_ordered, (event, none, event * none))
        miss = np.log(events / others) - goal
        active &= np.abs(miss) > 1e-9
        if not active.any():
            break
        low, high = np.where(miss < 0, shift, low), np.where(miss > 0, shift, high)
        step = shift - miss * events * others / (variance * groups.sizes)
        inside = (step >= low) & (step <= high)
        shift = np.where(active, np.where(inside, step, (low + high) / 2), shift)
    return shift


def _masses(event: Floats, none: Floats, groups: Groups) -> list[tuple[int, Floats]]:
    """Return each provider's first count, and P(X = k) from there on."""
    pieces = -(-groups.sizes // _BLOCK)
    ends = np.cumsum(pieces)
    within = np.arange(ends[-1]) - np.repeat(ends - pieces, pieces)
    starts = np.repeat(groups.starts, pieces) + within * _BLOCK
    sizes = np.minimum(np.repeat(groups.sizes, pieces) - within * _BLOCK, _BLOCK)
    blocks = _block_masses(event, none, starts, sizes)
    merged = [
        (0, blocks[end - 1]) if many == 1 else _merge(blocks[end - many : end])
        for end, many in zip(ends.tolist(), pieces.tolist(), strict=True)
    ]
    # Rounding of event + none is the same for like episodes, so that it adds up; the sum is 1.
    return [(first, mass / mass.sum()) for first, mass in merged]


def _block_masses(
    event: Floats, none: Floats, starts: NDArray[np.intp], sizes: NDArray[np.intp]
) -> list[Floats]:
    """Return P(X = 0), ..., P(X = size) of each block of up to 256 episodes."""
    found: list[Floats] = [np.empty(0)] * sizes.size
    for width, members in _of_like_size(sizes):
        place = np.arange(width)[:, None]
        inside = place < sizes[members]
        rows = np.where(inside, starts[members] + place, 0)
        # An episode that is not there has the event with probability 0.
        factors = np.stack([np.where(inside, none[rows], 1.0), np.where(inside, event[rows], 0.0)])
        mass = _product(factors)
        for column, block in enumerate(members.tolist()):
            found[block] = mass[: sizes[block] + 1, column]
    return found


def _of_like_size(sizes: NDArray[np.intp]) -> Iterator[tuple[int, NDArray[np.intp]]]:
    """Yield powers of 2, and blocks that fill more than half of such a width, some at a time."""
    width = 1
    while width <= _BLOCK:
        members = np.flatnonzero((sizes > width // 2) & (sizes <= width))
        step = max(1, _AT_A_TIME // width)
        for start in range(0, members.size, step):
            yield width, members[start : start + step]
        width *= 2


def _product(factors: Floats) -> Floats:
    """Multiply polynomials (coefficients along the first axis) along the second axis, by pairs."""
    while factors.shape[1] > 1:
        left, right = factors[:, 0::2], np.ascontiguousarray(factors[:, 1::2])
        terms = len(right)
        product = np.zeros((2 * terms - 1, *right.shape[1:]))
        for power in range(terms):
            product[power : power + terms] += left[power] * right
        factors = product
    return factors[:, 0]


def _merge(blocks: list[Floats]) -> tuple[int, Floats]:
    """Return the first count that matters and the distribution of the sum of all blocks."""
    parts = [_trim(0, one) for one in blocks]
    while len(parts) > 1:
        pairs = zip(parts[0::2], parts[1::2], strict=False)
        last = parts[-1:] if len(parts) % 2 else []
        parts = [_trim(i + j, np.convolve(left, right)) for (i, left), (j, right) in pairs] + last
    return parts[0]


def _trim(first: int, mass: Floats) -> tuple[int, Floats]:
    kept = np.flatnonzero(mass > _NEGLIGIBLE)
    return first + int(kept[0]), mass[kept[0] : kept[-1] + 1]


# --- tails ---


class _Tails(NamedTuple):
    """Logs of P(X further out than O) and of P(X = O), on the side of E on which O is."""

    side: Floats
    beyond: Floats
    point: Floats


def _tails(counts: _Counts) -> _Tails:
    rows = counts.episodes
    side = np.where(rows.events >= rows.groups.total_ordered(rows.probability), 1.0, -1.0)
    no_shift = np.zeros_like(side)
    weight, constant = counts.log_weight(no_shift), _log_point_against_centre(counts)
    outside = counts.distance * counts.spread(side) > 0
    beyond, _ = counts.log_total(np.where(outside, weight, -np.inf))
    point = weight[counts.distance == 0]
    return _Tails(side, np.minimum(beyond + constant, 0.0), np.minimum(point + constant, 0.0))


def _log_point_against_centre(counts: _Counts) -> Floats:
    """Return log P(X = O) without shift, less that under the centre c.

    That is sum log(1 - p + p exp c) - c O. Where p is above a half, c is taken out of the log:
    then what is left is small wherever the event is rare or common, and so is its rounding.
    """
    rows, spread = counts.episodes, counts.episodes.groups.spread
    common = rows.probability > 0.5
    p = np.where(common, 1 - rows.probability, rows.probability)
    growth = np.where(common, *(spread(np.expm1(c)) for c in (-counts.centre, counts.centre)))
    left = rows.groups.total_ordered(np.log1p(p * growth))
    return left - counts.centre * rows.groups.total_ordered(rows.observed - common)


def _shift_at(counts: _Counts, goal: float, at_count: float, side: float) -> Floats:
    """Return the shift under which the tail on that side has the log-probability `goal`.

    The log of a tail is concave in the shift (its curvature is Var(X | tail) - Var(X)), so that
    Newton's method comes from below and never passes the solution.
    """
    rows, centre = counts.episodes, counts.centre
    variance = rows.groups.total_ordered(_variance(rows.shifted(centre)))
    solvable = rows.events != (0 if side > 0 else rows.groups.sizes)
    shift = centre + side * special.ndtri_exp(goal) / np.sqrt(variance)
    active = solvable
    belongs = _log_membership(counts.distance * side, at_count)
    for _ in range(100):
        if not active.any():
            return np.where(solvable, shift, -side * np.inf)
        weight = counts.log_weight(shift)
        (whole, mean), (tail, beyond) = map(counts.log_total, (weight, weight + belongs))
        slope = np.where(active, beyond - mean, side)
        step = (goal - tail + whole) / slope
        shift = np.where(active, shift + step, shift)
        active = active & (np.abs(step) > 1e-9 * (1 + np.abs(shift)))
    label = plain(rows.groups.labels[active][0])
    raise ArrayError(f"level: wanted one with a bound for every provider; got none for {label!r}.")


def _log_membership(outwards: Floats, at_count: float) -> Floats:
    """Return the log of how much of each count belongs to the tail."""
    return np.where(outwards > 0, 0.0, np.where(outwards == 0, np.log(at_count), -np.inf))


def _variance(log_odds: Floats) -> Floats:
    return np.asarray(special.expit(log_odds) * special.expit(-log_odds))


def _two_sided(z: Floats) -> Floats:
    return np.asarray(2 * special.ndtr(-np.abs(z)))
