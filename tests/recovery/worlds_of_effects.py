"""Worlds whose truth is known: providers of unequal size, their effects, and their patients.

Everything is drawn anew for each replicate, sizes and case mix too, so that a figure is an
average over such worlds and not a property of one of them.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

Floats = NDArray[np.float64]
RESIDUAL_SD = 1.0
SHAPE = 2.0


@dataclass(frozen=True)
class Recipe:
    """What worlds are drawn from.

    Attributes
    ----------
    family : str
        `gaussian` (residual standard deviation 1), `binomial` or `gamma` (shape 2).
    confounding : float
        Correlation of a provider's effect with its mean of each covariate.
    providers : int
    median_size, spread_of_sizes, smallest : float
        Episodes of a provider: lognormal, its logarithm with that standard deviation, and at
        least `smallest`.
    sigma : float
        Standard deviation of provider effects, on the scale of the linear predictor.
    coef : tuple of float
        The last covariate is a tick, the others are measurements.
    between : float
        Standard deviation of providers' means of a measurement; within a provider it is 1.
    intercept : float
    """

    family: str = "gaussian"
    confounding: float = 0.0
    providers: int = 40
    median_size: float = 50.0
    spread_of_sizes: float = 0.6
    smallest: int = 15
    sigma: float = 0.4
    coef: tuple[float, ...] = (0.5, 0.4, 0.3)
    between: float = 0.7
    intercept: float = -0.5


@dataclass(frozen=True)
class World:
    """Episodes in order of their provider, and the truth about them.

    Attributes
    ----------
    y : ndarray of shape (n_episodes,)
    X : ndarray of shape (n_episodes, n_covariates)
    provider : ndarray of shape (n_episodes,)
        0, 1, ...
    base : ndarray of shape (n_episodes,)
        True linear predictor at a provider with an effect of 0.
    effect, size : ndarray of shape (n_providers,)
    """

    y: Floats
    X: Floats
    provider: NDArray[np.intp]
    base: Floats
    effect: Floats
    size: NDArray[np.intp]


def _gaussian(eta: Floats, rng: np.random.Generator) -> Floats:
    return eta + RESIDUAL_SD * rng.standard_normal(eta.size)


def _binomial(eta: Floats, rng: np.random.Generator) -> Floats:
    return (rng.random(eta.size) < expit(eta)).astype(float)


def _gamma(eta: Floats, rng: np.random.Generator) -> Floats:
    return np.exp(eta) * rng.gamma(SHAPE, 1 / SHAPE, eta.size)


_OUTCOME: dict[str, Callable[[Floats, np.random.Generator], Floats]] = {
    "gaussian": _gaussian,
    "binomial": _binomial,
    "gamma": _gamma,
}
MEAN: dict[str, Callable[[Floats], Floats]] = {
    "gaussian": lambda eta: eta,
    "binomial": expit,
    "gamma": np.exp,
}


def make_world(recipe: Recipe, seed: int | list[int]) -> World:
    """Return one world; the same seed, the same world."""
    rng = np.random.default_rng(seed)
    size = draw_sizes(recipe, rng)
    provider = np.repeat(np.arange(recipe.providers), size)
    standard = rng.standard_normal(recipe.providers)
    X = _case_mix(recipe, standard, provider, rng)
    base = recipe.intercept + X @ np.array(recipe.coef)
    effect = recipe.sigma * standard
    y = _OUTCOME[recipe.family](base + effect[provider], rng)
    return World(y, X, provider, base, effect, size)


def worlds(recipe: Recipe, replicates: int, first: int = 0) -> Iterator[World]:
    """Yield worlds number `first` and the following."""
    for one in range(first, first + replicates):
        yield make_world(recipe, [20250601, one])


def draw_sizes(recipe: Recipe, rng: np.random.Generator) -> NDArray[np.intp]:
    """Return lognormal numbers of episodes."""
    drawn = rng.lognormal(np.log(recipe.median_size), recipe.spread_of_sizes, recipe.providers)
    return np.maximum(np.rint(drawn), recipe.smallest).astype(np.intp)


def _case_mix(
    recipe: Recipe, standard: Floats, provider: NDArray[np.intp], rng: np.random.Generator
) -> Floats:
    """Draw covariates whose provider means go with the provider's effect, as far as is asked."""
    p, with_effect = len(recipe.coef), recipe.confounding
    own = rng.standard_normal((recipe.providers, p))
    means = with_effect * standard[:, None] + np.sqrt(1 - with_effect**2) * own
    X = recipe.between * means[provider] + rng.standard_normal((provider.size, p))
    X[:, -1] = X[:, -1] > 0.5
    return X
