"""What those who answered say of coefficients, of spreads and of providers.

Responders are seen as a linear model with normal provider effects, whatever their family; its
parameters are drawn independently, spreads first, from sums by provider alone.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from scipy import special

from riskadj.errors import ArrayError
from riskadj.stats.arrays import Floats
from riskadj.stats.fits import FitWarning
from riskadj.stats.incomplete import Incomplete, by_provider
from riskadj.stats.random_intercept import fit_random_intercept

Rng = np.random.Generator
COARSE = np.concatenate(([0.0], np.geomspace(1e-4, 1e3, 80)))
"""Ratios of standard deviations, between over within, at which the likely ones are looked for."""
FINE = 257
"""Points of the grid between the likely ones."""
UNLIKELY = 15.0
"""Log-likelihood below the highest at which a ratio is left out."""


class Work(NamedTuple):
    """Responders as a linear model sees them.

    `known_variance`: of e, None to estimate it; `coef`: about which it is linear, none where it
    is everywhere.
    """

    y: Floats
    weight: Floats
    known_variance: float | None
    coef: Floats


def as_it_is(episodes: Incomplete) -> tuple[Work, tuple[FitWarning, ...]]:
    """Return outcomes that the linear model holds for as they are."""
    y = episodes.y[episodes.answered]
    return Work(y, np.ones(y.size), None, np.empty(0)), ()


def working_response(episodes: Incomplete) -> tuple[Work, tuple[FitWarning, ...]]:
    """Return what makes least squares of the logistic likelihood near its maximum."""
    x, y = episodes.span.of(episodes.x[episodes.answered]), episodes.y[episodes.answered]
    fit = fit_random_intercept(y, x, episodes.here, "binomial")
    _, place = np.unique(episodes.here, return_inverse=True)
    eta = fit.intercept + x @ fit.coef + fit.effects[place]
    p = special.expit(eta)
    weight = np.maximum(p * special.expit(-eta), 1e-12)
    coef = np.concatenate(([fit.intercept], fit.coef))
    return Work(eta + (y - p) / weight, weight, 1.0, coef), fit.warnings


@dataclass(frozen=True)
class WorkSums:
    """All that the posterior needs: sums by provider of responders, about a pooled fit.

    Attributes
    ----------
    weight, score : ndarray of shape (n_providers,)
        Sums of weights, and of weighted residuals.
    cross : ndarray of shape (n_coef, n_providers)
    gram : ndarray of shape (n_coef, n_coef)
    slope : ndarray of shape (n_coef,)
    squares : float
    pooled : ndarray of shape (n_coef,)
        What was taken off coefficients.
    n : int
    """

    weight: Floats
    score: Floats
    cross: Floats
    gram: Floats
    slope: Floats
    squares: float
    pooled: Floats
    n: int


def sum_work(work: Work, episodes: Incomplete) -> WorkSums:
    """Return the sums of responders, about the fit without provider effects.

    Raises
    ------
    ArrayError
        When outcomes are what covariates say, without error.
    """
    x, codes, m = episodes.design(episodes.answered), episodes.here, len(episodes.groups)
    weighted = x * work.weight[:, None]
    gram = x.T @ weighted
    pooled = np.asarray(np.linalg.solve(gram, weighted.T @ work.y), dtype=np.float64)
    residual = work.y - x @ pooled
    squares = float(work.weight @ residual**2)
    if work.known_variance is None and not squares > 1e-20 * max(float(work.y @ work.y), 1e-300):
        raise ArrayError("observed: wanted outcomes that differ beyond their covariates; got none.")
    return WorkSums(
        weight=by_provider(codes, work.weight, m),
        score=by_provider(codes, work.weight * residual, m),
        cross=np.stack([by_provider(codes, one, m) for one in weighted.T]),
        gram=gram,
        slope=weighted.T @ residual,
        squares=squares,
        pooled=pooled,
        n=work.y.size,
    )


class Parameters(NamedTuple):
    """One set of parameters: coefficients (the constant first), provider effects, spreads.

    `beyond`: what effects have beyond draws from the distribution between providers.
    """

    coef: Floats
    effects: Floats
    beyond: Floats
    residual_sd: float
    sigma: float


class _Solved(NamedTuple):
    """The model at one ratio of spreads, residual variance apart."""

    kept: Floats
    coef: Floats
    information: Floats
    squares: float
    loglik: float


@dataclass(frozen=True)
class Posterior:
    """Draws from the posterior of a linear model with normal provider effects."""

    sums: WorkSums
    known_variance: float | None
    own: "OwnEffects"

    @property
    def degrees(self) -> int:
        """Responders less coefficients."""
        return self.sums.n - len(self.sums.gram)

    def at(self, ratio: float) -> _Solved:
        """Return estimates and restricted log-likelihood at sd(u) / sd(e) = `ratio`."""
        sums = self.sums
        kept = ratio**2 / (1 + ratio**2 * sums.weight)
        information = sums.gram - (sums.cross * kept) @ sums.cross.T
        right = sums.slope - sums.cross @ (kept * sums.score)
        coef = np.asarray(np.linalg.solve(information, right), dtype=np.float64)
        squares = sums.squares - float(kept @ sums.score**2) - float(coef @ right)
        loglik = -0.5 * float(np.log1p(ratio**2 * sums.weight).sum())
        loglik -= 0.5 * float(np.linalg.slogdet(information)[1])
        loglik -= 0.5 * self._distance(squares)
        return _Solved(kept, coef, information, squares, loglik)

    def _distance(self, squares: float) -> float:
        if self.known_variance is not None:
            return squares / self.known_variance
        return self.degrees * float(np.log(max(squares, np.finfo(float).tiny)))

    @cached_property
    def grid(self) -> tuple[Floats, Floats]:
        """Return ratios, and the probability of being below each."""
        rough = np.array([self.at(one).loglik for one in COARSE])
        likely = np.flatnonzero(rough > rough.max() - UNLIKELY)
        low = COARSE[max(likely[0] - 1, 0)]
        high = COARSE[min(likely[-1] + 1, len(COARSE) - 1)]
        ratio = np.linspace(low, high, FINE)
        loglik = np.array([self.at(one).loglik for one in ratio])
        density = np.exp(loglik - loglik.max())
        below = np.concatenate(([0.0], np.cumsum((density[1:] + density[:-1]) / 2)))
        return ratio, below / below[-1]

    def likely(self) -> Parameters:
        """Return the estimates at the median ratio."""
        ratio, below = self.grid
        middle = float(np.interp(0.5, below, ratio))
        solved = self.at(middle)
        sd = float(np.sqrt(self.known_variance or solved.squares / self.degrees))
        return self._given(solved, solved.coef, sd, middle, None)

    def draws(self, number: int, rng: np.random.Generator) -> Iterator[Parameters]:
        """Yield independent draws of all parameters."""
        ratio, below = self.grid
        for one in np.interp(rng.random(number), below, ratio):
            solved = self.at(float(one))
            sd = self._residual_sd(solved, rng)
            lower = np.linalg.cholesky(solved.information)
            noise = np.linalg.solve(lower.T, rng.standard_normal(len(lower)))
            yield self._given(solved, solved.coef + sd * noise, sd, float(one), rng)

    def _residual_sd(self, solved: _Solved, rng: np.random.Generator) -> float:
        if self.known_variance is not None:
            return float(np.sqrt(self.known_variance))
        return float(np.sqrt(solved.squares / rng.chisquare(self.degrees)))

    def _given(
        self, solved: _Solved, coef: Floats, sd: float, ratio: float, rng: Rng | None
    ) -> Parameters:
        """Return the parameters with effects given the coefficients, the likeliest or drawn."""
        size = solved.kept.size
        noise = np.zeros(size) if rng is None else rng.standard_normal(size)
        drawn = solved.kept * (self.sums.score - coef @ self.sums.cross)
        drawn += sd * np.sqrt(solved.kept) * noise
        total = self.sums.pooled + coef
        effects = self.own(drawn, total, sd, noise, rng)
        return Parameters(total, effects, effects - drawn, sd, ratio * sd)


OwnEffects = Callable[[Floats, Floats, float, Floats, Rng | None], Floats]
"""Effects from draws between providers, coefficients, sd(e), their noise, and more of it."""
