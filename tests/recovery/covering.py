"""How often intervals hold the truth: of effects, adjusted gains, ranks, ratios and counts."""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special, stats

from recovery.worlds_of_effects import Floats, Recipe, World, draw_sizes, make_world, worlds
from riskadj.profile.analysis import analyse
from riskadj.profile.estimates import Sample
from riskadj.stats import (
    Z95,
    FitWarning,
    between_variance,
    bootstrap_predicted_over_expected,
    exact_ratio_interval,
    poisson_binomial_tails,
    predicted_over_expected,
    proportion_interval,
    rank_probabilities,
    ratio_interval,
    shrink,
)
from riskadj.study.profile import ProfileRules

BOOTSTRAPPED = {"gaussian": 250, "binomial": 500}
"""Worlds; each costs some two hundred fits."""
LINKS = {"gaussian": "identity", "binomial": "logit", "gamma": "log"}
PROFILE_METHODS = (
    "nhs_england",
    "fixed_effects",
    "random_intercept",
    "correlated_random_effects",
    "empirical_bayes",
)


@dataclass(frozen=True)
class Coverage:
    """Share of intervals that hold the truth, and its Monte Carlo error (0: enumerated)."""

    coverage: float
    error: float
    replicates: int


def _coverage(shares: list[float] | Floats) -> Coverage:
    """Return the mean over replicates, whose intervals are not independent within."""
    values = np.asarray(shares)
    error = float(values.std(ddof=1) / np.sqrt(values.size))
    return Coverage(float(values.mean()), error, values.size)


# --- effects of providers, given their standard errors ---


@dataclass(frozen=True)
class Estimated:
    """Observed effects, their standard errors, and the truth."""

    effect: Floats
    error: Floats
    truth: Floats


def estimated(
    providers: int, reliability: float, replicates: int, spread_of_sizes: float = 0.6, seed: int = 1
) -> Iterator[Estimated]:
    """Yield providers whose standard errors go with the root of lognormal sizes.

    Effects have a standard deviation of 1; a provider of median size has that reliability.
    """
    recipe = Recipe(providers=providers, spread_of_sizes=spread_of_sizes)
    unit = np.sqrt(recipe.median_size * (1 - reliability) / reliability)
    for one in range(replicates):
        rng = np.random.default_rng([20250602, seed, one])
        error = unit / np.sqrt(draw_sizes(recipe, rng))
        truth = rng.standard_normal(providers)
        yield Estimated(truth + error * rng.standard_normal(providers), error, truth)


@cache
def shrunken(
    providers: int, reliability: float, allow: bool = True, replicates: int = 2_000
) -> Coverage:
    """Return how often the empirical Bayes interval holds the true effect."""
    shares = []
    for one in estimated(providers, reliability, replicates):
        tau2 = between_variance(one.effect, one.error).tau2
        found = shrink(one.effect, one.error, tau2, centre=None, allow_for_estimation=allow)
        shares.append(np.mean((one.truth >= found.lower) & (one.truth <= found.upper)))
    return _coverage(shares)


@cache
def ranked(providers: int, reliability: float, replicates: int = 500) -> Coverage:
    """Return how often the interval of the rank holds the true rank, as `believe` makes it."""
    shares = []
    for one in estimated(providers, reliability, replicates, seed=2):
        tau2 = between_variance(one.effect, one.error).tau2
        found = shrink(one.effect, one.error, tau2, allow_for_estimation=True)
        ranks = rank_probabilities(found.effect, found.sd, seed=1, draws=2_000)
        truth = stats.rankdata(-one.truth)
        shares.append(np.mean((truth >= ranks.lower) & (truth <= ranks.upper)))
    return _coverage(shares)


# --- adjusted gains, as a profile shows them ---

GAIN = 20.0
SCORE_SD = 8.0
QUALITY_SD = 2.0
CASE_MIX_SD = 4.0


@cache
def adjusted_gains(
    method: str, providers: int = 40, gain: float = GAIN, replicates: int = 500
) -> Coverage:
    """Return how often adjusted -+ 1.96 error holds the gain of the reference at that provider.

    Scores are like those after a hip replacement; expectations are the true ones, so that what is
    covered is the provider's effect and not the learner's error.
    """
    rules = ProfileRules(method=method, minimum_n=2, suppress_below=1)
    recipe = Recipe(providers=providers, coef=(1.0,), between=0.3)
    shares = [
        _gain_covered(make_world(recipe, [20250603, one]), rules, gain) for one in range(replicates)
    ]
    return _coverage(shares)


def _gain_covered(world: World, rules: ProfileRules, gain: float) -> float:
    centred = world.X[:, 0] - world.X[:, 0].mean()
    expected = gain + CASE_MIX_SD * centred
    quality = QUALITY_SD / 0.4 * world.effect
    residual = SCORE_SD * (world.y - world.base - world.effect[world.provider])
    observed = expected + quality[world.provider] + residual
    sample = Sample(observed, expected, world.provider, SCORE_SD, rules.between)
    # Where nobody differs a z is 0 / 0; there is a test that it is not.
    with np.errstate(invalid="ignore"):
        table = analyse(sample, rules, float(observed.mean())).table
    truth = pd.Series(expected.mean() + quality)
    return float(((table["adjusted"] - truth).abs() <= Z95 * table["error"]).mean())


# --- predicted over expected ---


@dataclass(frozen=True)
class BootstrapCoverage:
    """Of true predicted over expected: sum g(x'b + m + u) / sum g(x'b + m).

    Attributes
    ----------
    of_the_world : Coverage
        With m the mean that provider effects were drawn about.
    of_the_sample : Coverage
        With m the mean of the effects that these providers have.
    """

    of_the_world: Coverage
    of_the_sample: Coverage


@cache
def bootstrapped(family: str, draws: int = 200, providers: int = 30) -> BootstrapCoverage:
    """Return how often the provider bootstrap's interval holds the true ratio."""
    recipe = Recipe(
        family=family,
        providers=providers,
        coef=(0.5,),
        sigma=0.5,
        median_size=30,
        between=0.3,
        intercept={"gaussian": 5.0}.get(family, -0.5),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FitWarning)
        shares = [
            _ratio_covered(world, recipe, draws, seed)
            for seed, world in enumerate(worlds(recipe, BOOTSTRAPPED[family]))
        ]
    return BootstrapCoverage(*(_coverage(one) for one in np.array(shares).T))


def _ratio_covered(world: World, recipe: Recipe, draws: int, seed: int) -> list[float]:
    found = bootstrap_predicted_over_expected(
        world.y, world.X, world.provider, recipe.family, replicates=draws, seed=seed
    )
    truths = (
        predicted_over_expected(
            world.base, world.provider, world.effect, centre, link=LINKS[recipe.family]
        ).ratio
        for centre in (0.0, world.effect.mean())
    )
    return [float(np.mean((one >= found.lower) & (one <= found.upper))) for one in truths]


# --- counts: every count there can be, weighted by its probability ---


def wilson(n: int, grid: int = 400) -> Floats:
    """Return the coverage of Wilson's interval at each of many true proportions."""
    p = (np.arange(grid) + 0.5) / grid
    k = np.arange(n + 1)
    bounds = proportion_interval(k, np.full(n + 1, n))
    held = (p[:, None] >= bounds.lower) & (p[:, None] <= bounds.upper)
    return np.sum(stats.binom.pmf(k, n, p[:, None]) * held, axis=1)


def poisson(method: str, low: float = 1.0, high: float = 50.0, grid: int = 500) -> Floats:
    """Return the coverage of a count's interval at each of many true means."""
    mean = np.geomspace(low, high, grid)
    k = np.arange(int(high + 12 * np.sqrt(high)) + 1)
    bounds = ratio_interval(k, np.ones(k.size), method)
    held = (mean[:, None] >= bounds.lower) & (mean[:, None] <= bounds.upper)
    return np.sum(stats.poisson.pmf(k, mean[:, None]) * held, axis=1)


def sums_of_events(method: str, n: int = 25, vectors: int = 20, shifts: int = 21) -> Floats:
    """Return the coverage of the true O / E of a provider, each episode with its own risk.

    The truth is a shift of the log-odds of all its episodes.
    """
    rng = np.random.default_rng(20250604)
    return np.concatenate(
        [
            _held_at(method, special.expit(rng.normal(-1.5, 1.0, n)), shift)
            for _ in range(vectors)
            for shift in np.linspace(-1.0, 1.0, shifts)
        ]
    )


def _held_at(method: str, risk: Floats, shift: float) -> Floats:
    episodes = every_count(risk)
    interval = exact_ratio_interval(*episodes, method=method)
    truth = special.expit(special.logit(risk) + shift)
    ratio = truth.sum() / risk.sum()
    held = (ratio >= interval.lower) & (ratio <= interval.upper)
    return np.array([chance_of_every_count(truth) @ held])


def every_count(risk: Floats) -> tuple[Floats, NDArray[np.intp], Floats]:
    """Return probability, provider and outcome: provider k has these risks, and k events."""
    n = risk.size
    count = np.arange(n + 1)
    outcome = (np.arange(n) < count[:, None]).astype(float)
    return np.tile(risk, n + 1), np.repeat(count, n), outcome.ravel()


def chance_of_every_count(risk: Floats) -> Floats:
    return poisson_binomial_tails(*every_count(risk)).point
