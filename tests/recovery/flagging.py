"""False flags: how many providers that are not to be flagged are, and how many flags are false."""

from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy import special

from recovery.covering import chance_of_every_count, estimated, every_count
from recovery.worlds_of_effects import Floats, Recipe, worlds
from riskadj.profile.flags import places_from_z
from riskadj.profile.limits import yardstick
from riskadj.stats import (
    Z95,
    Z998,
    between_variance,
    exact_test,
    fit_fixed_effects,
    predictive_limits_of_sum,
    score_test,
    wald_test,
)

CUTS = (Z95, Z998)
PROVIDERS = 150
NONE_TRULY = 1e-9
"""Reliability of effects that are all but the same."""


def _outside(effect: Floats, error: Floats, limits: str) -> Floats:
    held = yardstick(limits, effect, error, CUTS)
    z = (effect - held.middle(error)) / held.spread(error)
    return places_from_z(z, held.inner, held.outer) != 0


@cache
def share_flagged(
    limits: str,
    reliability: float,
    spread_of_sizes: float = 0.6,
    providers: int = PROVIDERS,
    replicates: int = 500,
) -> float:
    """Return the share outside the 95 per cent limits of providers from one normal distribution."""
    drawn = estimated(providers, reliability, replicates, spread_of_sizes, seed=3)
    return float(np.mean([_outside(one.effect, one.error, limits) for one in drawn]))


@dataclass(frozen=True)
class Discoveries:
    """False discovery rate, share of those truly out that are flagged."""

    false: float
    power: float


@cache
def discoveries(
    limits: str, out: int, away: float = 4.0, tau: float = 0.0, replicates: int = 5_000
) -> Discoveries:
    """Return what is flagged when some providers are `away` standard errors from all others.

    With `tau` above 0 the others differ, too: by so many of their standard errors.
    """
    false, power = [], []
    for one in range(replicates):
        rng = np.random.default_rng([20250605, one])
        error = rng.uniform(0.5, 2.0, PROVIDERS)
        truly = np.arange(PROVIDERS) < out
        z = rng.normal(0, np.hypot(1, tau), PROVIDERS) + away * truly
        flagged = _outside(z * error, error, limits)
        false.append((flagged & ~truly).sum() / max(flagged.sum(), 1))
        power.append(flagged[truly].mean() if out else 0.0)
    return Discoveries(float(np.mean(false)), float(np.mean(power)))


@cache
def tau2_recovered(method: str, reliability: float = 0.6, replicates: int = 500) -> float:
    """Return the mean estimate of the variance between providers; the truth is 1."""
    drawn = estimated(PROVIDERS, reliability, replicates, seed=3)
    return float(np.mean([between_variance(one.effect, one.error, method).tau2 for one in drawn]))


# --- tests of counts: every count there can be, weighted by its probability ---

TESTS = {
    "exact": lambda *episodes: exact_test(*episodes).p,
    "midp": lambda *episodes: exact_test(*episodes, method="midp").p,
    "score": lambda *episodes: score_test(*episodes).p,
}


def risks(expected: float, n: int, vectors: int = 40) -> list[Floats]:
    """Return risks of n episodes that differ, with about that many events expected."""
    rng = np.random.default_rng(20250606)
    middle = special.logit(expected / n) - 0.3
    return [special.expit(rng.normal(middle, 0.8, n)) for _ in range(vectors)]


def size_of_test(test: str, expected: float, n: int = 60) -> Floats:
    """Return the chance that an average provider is refused at 5 per cent, for many case mixes."""
    return np.array(
        [
            chance_of_every_count(risk) @ (TESTS[test](*every_count(risk)) <= 0.05)
            for risk in risks(expected, n)
        ]
    )


def outside_predictive_limits(rule: str, expected: float, n: int = 60) -> Floats:
    """Return the chance that an average provider is outside its limits, for many case mixes."""
    count = np.arange(n + 1)
    shares = []
    for risk in risks(expected, n):
        limits = predictive_limits_of_sum(risk, np.zeros(n), rule=rule)
        outside = (count < limits.lower[0]) | (count > limits.upper[0])
        shares.append(chance_of_every_count(risk) @ outside)
    return np.array(shares)


def size_of_wald_test(replicates: int = 500) -> float:
    """Return the share of linear fixed effects refused at 5 per cent at their true value."""
    recipe = Recipe(providers=10, median_size=8, smallest=3, coef=(0.5,))
    refused = []
    for world in worlds(recipe, replicates):
        fit = fit_fixed_effects(world.y, world.X, world.provider)
        free = len(world.y) - len(fit.effects) - 1
        truth = recipe.intercept + world.effect
        refused.append(wald_test(fit.effects, fit.effects_se, truth, df=free).p <= 0.05)
    return float(np.mean(refused))
