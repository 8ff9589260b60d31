"""The standard deviation between providers: what each method recovers of it."""

import warnings
from dataclasses import dataclass
from functools import cache

import numpy as np
from threadpoolctl import threadpool_limits

from recovery.worlds_of_effects import Recipe, worlds
from riskadj.stats import FitWarning, fit_random_intercept

SIGMA = 0.5


@dataclass(frozen=True)
class Recovered:
    """Means over replicates, relative to the truth; `error` is the Monte Carlo error of both.

    Attributes
    ----------
    sigma, variance : float
        1 where the mean of the standard deviations, or of their squares, is right.
    error : float
        Of `variance`.
    zero : float
        Share of replicates in which it was 0.
    failed : int
    """

    sigma: float
    variance: float
    error: float
    zero: float
    failed: int


@cache
def recover_sigma(
    family: str,
    size: int,
    method: str = "reml",
    providers: int = 40,
    replicates: int = 500,
) -> Recovered:
    """Return how the estimates of sigma compare with the truth, at providers of about one size."""
    recipe = Recipe(
        family=family,
        providers=providers,
        median_size=size,
        smallest=2,
        spread_of_sizes=0.2,
        sigma=SIGMA,
        coef=(0.5,),
        between=0.0,
    )
    found = []
    with warnings.catch_warnings(), threadpool_limits(1, user_api="blas"):
        warnings.simplefilter("ignore", FitWarning)
        for world in worlds(recipe, replicates):
            try:
                fit = fit_random_intercept(world.y, world.X, world.provider, family, method=method)
            except ValueError:
                continue
            found.append(fit.sigma / SIGMA)
    sigma = np.array(found)
    return Recovered(
        sigma=float(sigma.mean()),
        variance=float(np.mean(sigma**2)),
        error=float(np.std(sigma**2, ddof=1) / np.sqrt(sigma.size)),
        zero=float(np.mean(sigma == 0)),
        failed=replicates - sigma.size,
    )
