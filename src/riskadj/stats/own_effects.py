"""What a provider's own answers, and they alone, say of its effect."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

from riskadj.stats.arrays import Floats
from riskadj.stats.incomplete import Incomplete
from riskadj.stats.linear_posterior import OwnEffects, Rng, Work, WorkSums

MOST_STEPS, SETTLED, LONGEST = 50, 1e-9, 2.0
"""Of the climb to each provider's own log-odds: steps, and the shortest and longest of them."""
LITTLE, SHAPES = 1e-12, (0.1, 1e12)
"""Information that is as good as none; least and greatest shapes of gammas."""


def as_the_others(_episodes: Incomplete, _work: Work, _sums: WorkSums) -> OwnEffects:
    """Leave effects as the distribution between providers has them."""

    def draw(drawn: Floats, _c: Floats, _sd: float, _n: Floats, _rng: Rng | None) -> Floats:
        return drawn

    return draw


def own_mean(_episodes: Incomplete, _work: Work, sums: WorkSums) -> OwnEffects:
    """Draw effects about the provider's mean residual: normal, with a flat prior."""
    some = sums.weight > 0
    share = np.divide(1.0, sums.weight, out=np.zeros(sums.weight.size), where=some)

    def draw(drawn: Floats, coef: Floats, sd: float, noise: Floats, _rng: Rng | None) -> Floats:
        mean = share * (sums.score - (coef - sums.pooled) @ sums.cross)
        return np.where(some, mean + sd * np.sqrt(share) * noise, drawn)

    return draw


def own_odds(episodes: Incomplete, work: Work, sums: WorkSums) -> OwnEffects:
    """Draw effects in log-odds about the provider's own, with Jeffreys' prior."""
    some = sums.weight > 0
    x = episodes.design(episodes.answered)
    _, codes = np.unique(episodes.here, return_inverse=True)
    found = own_log_odds(episodes.y[episodes.answered], x @ work.coef, codes)
    weight = np.maximum(found.chance * (1 - found.chance), LITTLE)
    cross = np.stack([np.bincount(codes, weight * one) for one in x.T]) / np.bincount(codes, weight)

    def draw(drawn: Floats, coef: Floats, _sd: float, _n: Floats, rng: Rng | None) -> Floats:
        effects = drawn.copy()
        effects[some] = found.mode - (coef - work.coef) @ cross
        if rng is not None:
            effects[some] += found.draw(rng)
        return effects

    return draw


@dataclass(frozen=True)
class OwnLogOdds:
    """What a provider's own events say of its effect, as a logistic function of two gammas.

    Attributes
    ----------
    mode : ndarray of shape (n_providers,)
        The likeliest effect, in log-odds.
    events, others : ndarray of shape (n_providers,)
        Shapes of the two: where episodes are alike, their numbers and a half each.
    chance : ndarray of shape (n_episodes,)
        At the mode.
    """

    mode: Floats
    events: Floats
    others: Floats
    chance: Floats

    def draw(self, rng: np.random.Generator) -> Floats:
        """Return distances from the mode."""
        odds = rng.standard_gamma(self.events) / rng.standard_gamma(self.others)
        return np.asarray(np.log(odds * self.others / self.events))


def own_log_odds(y: Floats, offset: Floats, codes: NDArray[np.intp]) -> OwnLogOdds:
    """Return the posterior of each provider's effect in log-odds, with Jeffreys' prior.

    Parameters
    ----------
    y : ndarray of shape (n_episodes,)
        0 or 1.
    offset : ndarray of shape (n_episodes,)
        Log-odds that are known.
    codes : ndarray of int, shape (n_episodes,)
        Providers, 0, 1, ..., each with an episode.

    Notes
    -----
    The prior is the root of the information, with which the mode is that of Firth (1993,
    Biometrika 80:27-38), finite with no or only events. Episodes that are alike make the chance a
    beta distribution of shapes events + 1/2 and others + 1/2, and its log-odds those of two gammas,
    which is what is drawn here; of others, mode, curvature and skewness are near those of the
    posterior, so that mean and standard deviation of the chance are too (tests/unit).

    Examples
    --------
    >>> found = own_log_odds(np.array([0.0, 0, 0, 1]), np.zeros(4), np.array([0, 0, 1, 1]))
    >>> found.events.round(6).tolist(), found.others.round(6).tolist()
    ([0.5, 1.5], [2.5, 1.5])
    >>> special.expit(found.mode).round(3).tolist()
    [0.167, 0.5]
    """
    size, events = np.bincount(codes).astype(float), np.bincount(codes, y)
    mode = np.log((events + 0.5) / (size - events + 0.5)) - np.bincount(codes, offset) / size
    for _ in range(MOST_STEPS):
        at = _odds_at(mode, offset, codes)
        score = events - np.bincount(codes, at.chance) + at.slope / 2
        step = np.clip(score / (at.information * (1 + 1 / size)), -LONGEST, LONGEST)
        mode = mode + step
        if np.abs(step).max() < SETTLED:
            break
    at = _odds_at(mode, offset, codes)
    curvature = np.maximum(at.information - at.bend / 2, at.information / 2)
    # Two gammas of shapes a, b: curvature a b / (a + b), and its log has a slope (b - a) / (a + b).
    shapes = 2 * curvature / np.stack([1 + at.slope, 1 - at.slope])
    events, others = np.clip(shapes, *SHAPES)
    return OwnLogOdds(mode, events, others, at.chance)


class _Odds(NamedTuple):
    """Chances, their information on effects, and the first two slopes of its logarithm."""

    chance: Floats
    information: Floats
    slope: Floats
    bend: Floats


def _odds_at(mode: Floats, offset: Floats, codes: NDArray[np.intp]) -> _Odds:
    p = special.expit(offset + mode[codes])
    weight = p * (1 - p)
    information = np.maximum(np.bincount(codes, weight), LITTLE)
    slope = np.bincount(codes, weight * (1 - 2 * p)) / information
    second = np.bincount(codes, weight * (1 - 6 * weight)) / information
    return _Odds(p, information, slope, second - slope**2)
