"""How far non-responders would have to be from what is expected of them before a flag changes.

Weights and imputation take those who did not answer to be like those who did, covariates equal.
No data can tell whether they are. A tipping point turns the question round: at which difference,
delta, would the conclusion be another? Whether such a delta is plausible is for people to judge
(Rubin 1977, JASA 72:538-543; National Research Council 2010, The Prevention and Treatment of
Missing Data in Clinical Trials, chapter 5).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from riskadj.errors import ArrayError
from riskadj.stats.arrays import Floats, a_number, a_row, above, at_least, finite, is_masked
from riskadj.stats.limits import Z95

Places = NDArray[np.int8]


@dataclass(frozen=True)
class TippingPoints:
    """The delta at which each provider's place among the limits changes.

    Attributes
    ----------
    place : ndarray of shape (n_providers,)
        With delta 0: 1 above the limits, 0 within, -1 below.
    z : ndarray of shape (n_providers,)
        With delta 0: distance from the target in errors, to be held against `cut`.
    down, up : ndarray of shape (n_providers,)
        In units of the outcome: the place changes once delta is below `down`, or above `up`. -inf
        and inf where no delta in that direction, within the instrument's range, changes it. An
        effect above the limits changes down only, one below them up only.
    delta : ndarray of shape (n_providers,)
        The one of the two that is nearer to 0; inf where neither is finite.
    """

    place: Places
    z: Floats
    down: Floats
    up: Floats
    delta: Floats


def tipping_points(
    effect: ArrayLike,
    error: ArrayLike,
    missing: ArrayLike,
    *,
    cut: ArrayLike = Z95,
    target: ArrayLike = 0.0,
    share: ArrayLike = 0.0,
    lowest: ArrayLike = -np.inf,
    highest: ArrayLike = np.inf,
) -> TippingPoints:
    """Return how much worse, or better, non-responders must be before a provider's flag changes.

    Parameters
    ----------
    effect : array-like of shape (n_providers,)
        With non-responders imputed as the model expects them, or as `effect_with_delta` puts it
        together.
    error : array-like of shape (n_providers,)
        What one z is in units of the outcome; above 0. sd / sqrt(n) is NHS England's rule, the
        pooled error of `pool_differences` allows for what imputation does not know.
    missing : array-like of shape (n_providers,)
        Share of episodes without an outcome, 0 to 1.
    cut : float or array-like of shape (n_providers,)
        The limits are at z of -+ `cut`; above 0. With a pooled error, `student_cut` of its degrees
        of freedom.
    target : float or array-like of shape (n_providers,)
        What effects are held against.
    share : float or array-like of shape (n_providers,)
        By how much the target moves with the provider's own effect, from 0 to under 1: its share
        of all episodes where the target is the mean of all. 0: the target is fixed.
    lowest, highest : float or array-like of shape (n_providers,)
        Least and greatest delta that the instrument allows (`delta_range`); not above and not
        below 0.

    Returns
    -------
    TippingPoints

    Raises
    ------
    ArrayError
        When arrays are not finite, of unequal length, or out of their range.

    Notes
    -----
    The effect is linear in delta, so that limits which stay where they are have a closed form:
    z(delta) = (effect + missing (1 - share) delta - target) / error, and z = c where
    delta = (c error + target - effect) / (missing (1 - share)). `error` is taken not to change
    with delta: a shift that all non-responders share adds to the spread between them and
    responders only, and hardly to that of all providers' episodes.

    Examples
    --------
    >>> found = tipping_points([2.0, 0.0, -3.0, 2.0], [1.0] * 4, [0.4, 0.5, 0.25, 0.0])
    >>> found.place.tolist(), found.down.round(2).tolist(), found.up.round(2).tolist()
    ([1, 0, -1, 1], [-0.1, -3.92, -inf, -inf], [inf, 3.92, 4.16, inf])
    """
    start = a_row("effect", effect)
    spread = above("error", error, 0.0, start.shape)
    slope = _share("missing", missing, start) * (1 - _share("share", share, start, below_one=True))
    distance = start - _spread_out("target", finite("target", target), start)
    limit = _spread_out("cut", above("cut", cut, 0.0), start)
    at = limit * spread
    least, most = _range(lowest, highest, start)
    z = distance / spread
    place = place_of(z, limit)
    down = _reach(np.where(place > 0, at, -at) - distance, slope, -1.0, place >= 0)
    up = _reach(np.where(place < 0, -at, at) - distance, slope, 1.0, place <= 0)
    down, up = np.where(down >= least, down, -np.inf), np.where(up <= most, up, np.inf)
    nearer = np.where(-down < up, down, up)
    return TippingPoints(place=place, z=z, down=down, up=up, delta=nearer)


def place_of(z: ArrayLike, cut: ArrayLike = Z95) -> Places:
    """Return 1 where z is above `cut`, -1 where it is below -`cut`, else 0.

    Parameters
    ----------
    z : array-like of shape (n_providers,)
    cut : float or array-like of shape (n_providers,)

    Raises
    ------
    ArrayError

    Examples
    --------
    >>> place_of([-3.0, 0.0, 1.96, 1.97]).tolist()
    [-1, 0, 0, 1]
    """
    scores = finite("z", z)
    limit = _spread_out("cut", finite("cut", cut), scores)
    return (scores > limit).astype(np.int8) - (scores < -limit).astype(np.int8)


def effect_with_delta(
    responders: ArrayLike, imputed: ArrayLike, missing: ArrayLike, delta: ArrayLike
) -> Floats:
    """Return the effect of a provider whose non-responders are `delta` from what is expected.

    Parameters
    ----------
    responders : array-like of shape (n_providers,)
        Mean of observed - expected among responders; any value, NaN too, where nobody answered.
    imputed : array-like of shape (n_providers,)
        Mean of imputed - expected among the others; any value, NaN too, where everybody answered.
    missing : array-like of shape (n_providers,)
        Share without an outcome, 0 to 1.
    delta : float or array-like that goes with shape (n_providers,)
        In units of the outcome; 0: missing at random.

    Returns
    -------
    ndarray
        (1 - missing) responders + missing (imputed + delta).

    Raises
    ------
    ArrayError

    Examples
    --------
    >>> effect_with_delta([1.0, float("nan")], [0.5, 0.2], [0.5, 1.0], -1.0).tolist()
    [0.25, -0.8]
    """
    m = at_least("missing", missing, 0.0)
    if m.size and m.max() > 1:
        raise ArrayError(f"missing: wanted numbers of 1 or less; got {m.max():g}.")
    known = _where("responders", responders, m < 1)
    guessed = _where("imputed", imputed, m > 0)
    return np.asarray((1 - m) * known + m * (guessed + finite("delta", delta)))


def delta_range(imputed_mean: ArrayLike, low: float, high: float) -> tuple[Floats, Floats]:
    """Return the least and the greatest delta at which the mean non-responder is on the scale.

    Parameters
    ----------
    imputed_mean : array-like of shape (n_providers,)
        Mean imputed outcome; NaN where nobody is missing, and there any delta is allowed.
    low, high : float
        Ends of the scale. A mean beyond one of them leaves no delta in that direction.

    Raises
    ------
    ArrayError

    Examples
    --------
    >>> lowest, highest = delta_range([38.5, float("nan")], 0.0, 48.0)
    >>> lowest.tolist(), highest.tolist()
    ([-38.5, -inf], [9.5, inf])
    """
    bottom, top = a_number("low", low), a_number("high", high)
    if not bottom < top:
        raise ArrayError(f"low, high: wanted the ends of a scale, in order; got {low}, {high}.")
    given = np.asarray(imputed_mean, dtype=np.float64)
    known = ~np.isnan(given)
    mean = _where("imputed_mean", given, known)
    lowest = np.where(known, np.minimum(bottom - mean, 0.0), -np.inf)
    return lowest, np.where(known, np.maximum(top - mean, 0.0), np.inf)


def _reach(way: Floats, slope: Floats, sign: float, open_: NDArray[np.bool_]) -> Floats:
    """Return the delta that goes the way; infinite where the way is closed or has no slope."""
    possible = open_ & (slope > 0)
    delta: Floats = np.divide(way, slope, out=np.full(way.shape, sign * np.inf), where=possible)
    return delta


def _share(name: str, values: ArrayLike, like: Floats, below_one: bool = False) -> Floats:
    array = _spread_out(name, at_least(name, values, 0.0), like)
    if array.max() > 1 or (below_one and array.max() == 1):
        wanted = "under 1" if below_one else "of 1 or less"
        raise ArrayError(f"{name}: wanted numbers {wanted}; got {array.max():g}.")
    return array


def _spread_out(name: str, array: Floats, like: Floats) -> Floats:
    """Return one value per provider."""
    if array.shape not in ((), like.shape):
        raise ArrayError(f"{name}: wanted shape {like.shape}; got {array.shape}.")
    return np.broadcast_to(array, like.shape)


def _range(lowest: ArrayLike, highest: ArrayLike, like: Floats) -> tuple[Floats, Floats]:
    """Return both ends of delta, which may be infinite."""
    least, most = (
        _spread_out(name, np.asarray(one, dtype=np.float64), like)
        for name, one in (("lowest", lowest), ("highest", highest))
    )
    if not ((least <= 0) & (most >= 0)).all():
        raise ArrayError("lowest, highest: wanted a range of delta with 0 in it; got others.")
    return least, most


def _where(name: str, values: ArrayLike, wanted: NDArray[np.bool_]) -> Floats:
    """Return values that are finite where they are wanted, 0 elsewhere."""
    given = np.asarray(values, dtype=np.float64)
    if given.shape != wanted.shape or is_masked(values):
        raise ArrayError(f"{name}: wanted shape {wanted.shape}; got {given.shape}.")
    kept = np.zeros(wanted.shape)
    kept[wanted] = finite(name, given[wanted])
    return kept
