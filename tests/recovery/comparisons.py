"""Fixed, random and correlated effects on the same worlds: what each says of a known truth."""

import warnings
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from threadpoolctl import threadpool_limits

from recovery.worlds_of_effects import Floats, Recipe, World, worlds
from riskadj.stats import FitWarning, fit_fixed_effects, fit_random_intercept, group_rows

Z = 1.959963984540054
SMALL = 30
"""Most episodes of a small provider."""
REPLICATES = 600
FAMILIES = ("gaussian", "binomial", "gamma")
CONFOUNDING = 0.5
"""Correlation of effects with provider means; of each of three covariates, so about 0.76 of all."""
FIXED, FIRTH = "fixed effects", "fixed effects, Firth"
RANDOM, CORRELATED = "random intercept", "correlated random effects"
BESIDE = "correlated, beside case mix"
"""The same fit; its provider effects without what goes with the provider's case mix."""


class Found(NamedTuple):
    """What a method says. Effects are about `centre`: 0, or the true intercept."""

    coef: Floats
    coef_se: Floats
    effect: Floats
    effect_se: Floats
    centre: float


class Judged(NamedTuple):
    """How far one answer is from the truth of its world."""

    coef_error: Floats
    coef_covered: NDArray[np.bool_]
    effect_covered: NDArray[np.bool_]
    small_error: Floats
    small_outward: Floats
    rank: float


@dataclass(frozen=True)
class Line:
    """One method in one kind of world, over all replicates.

    Attributes
    ----------
    failed : int
        Replicates that the method raised an error on; they are left out of its figures.
    bias, bias_error, rmse, coverage : float
        Of coefficients, averaged over them; `bias_error` is the Monte Carlo error of `bias`.
    effect_bias : float
        Of small providers: how much farther from the average than the truth, below 0 nearer.
    effect_rmse : float
        Of small providers, effects and truth both centred on their mean.
    rank_correlation : float
        Spearman's, of effects with the truth, over all providers with a finite fixed effect.
    effect_coverage : float
        Of the true effect by effect -+ 1.96 `effects_se`.
    """

    family: str
    confounding: float
    method: str
    replicates: int
    failed: int
    bias: float
    bias_error: float
    rmse: float
    coverage: float
    effect_bias: float
    effect_rmse: float
    rank_correlation: float
    effect_coverage: float


def _fixed(world: World, recipe: Recipe, firth: bool) -> Found:
    fit = fit_fixed_effects(world.y, world.X, world.provider, recipe.family, firth=firth)
    return Found(fit.coef, fit.coef_se, fit.effects, fit.effects_se, recipe.intercept)


def fixed(world: World, recipe: Recipe) -> dict[str, Found]:
    return {FIXED: _fixed(world, recipe, firth=False)}


def firth(world: World, recipe: Recipe) -> dict[str, Found]:
    return {FIRTH: _fixed(world, recipe, firth=True)}


def random_intercept(world: World, recipe: Recipe) -> dict[str, Found]:
    fit = fit_random_intercept(world.y, world.X, world.provider, recipe.family)
    return {RANDOM: Found(fit.coef, fit.coef_se, fit.effects, fit.effects_se, 0.0)}


def correlated(world: World, recipe: Recipe) -> dict[str, Found]:
    fit = fit_random_intercept(world.y, world.X, world.provider, recipe.family, correlated=True)
    # The average provider has the average case mix: about 0, and less than half of all ticks.
    means = group_rows(world.provider).mean(world.X.T)
    with_case_mix = fit.effects + fit.between_coef @ (means - means.mean(axis=1, keepdims=True))
    coef = (fit.coef, fit.coef_se)
    return {
        CORRELATED: Found(*coef, with_case_mix, fit.effects_se, 0.0),
        BESIDE: Found(*coef, fit.effects, fit.effects_se, 0.0),
    }


METHODS = {
    "gaussian": (
        (fixed, (FIXED,)),
        (random_intercept, (RANDOM,)),
        (correlated, (CORRELATED, BESIDE)),
    ),
    "binomial": (
        (fixed, (FIXED,)),
        (firth, (FIRTH,)),
        (random_intercept, (RANDOM,)),
        (correlated, (CORRELATED, BESIDE)),
    ),
    "gamma": ((random_intercept, (RANDOM,)), (correlated, (CORRELATED, BESIDE))),
}
"""By family: fits, and the names of what each returns."""


def recipe_of(family: str, confounding: float) -> Recipe:
    return Recipe(family=family, confounding=confounding)


def compare(family: str, confounding: float = 0.0, replicates: int = REPLICATES) -> dict[str, Line]:
    """Return a line for each method; every method sees the same worlds."""
    # By place and in full, so that a default left out is the same question.
    return _compare(family, confounding, replicates)


@cache
def _compare(family: str, confounding: float, replicates: int) -> dict[str, Line]:
    recipe = recipe_of(family, confounding)
    judged: dict[str, list[Judged]] = {}
    with warnings.catch_warnings(), threadpool_limits(1, user_api="blas"):
        warnings.simplefilter("ignore", FitWarning)
        for world in worlds(recipe, replicates):
            for name, one in _judge_all(world, recipe).items():
                judged.setdefault(name, []).append(one)
    return {name: _line(name, recipe, replicates, many) for name, many in judged.items()}


def _judge_all(world: World, recipe: Recipe) -> dict[str, Judged]:
    found: dict[str, Found] = {}
    for fit, _ in METHODS[recipe.family]:
        try:
            found |= fit(world, recipe)
        except ValueError:
            # Counted in the line's `failed`; there is a test that there are none.
            continue
    known = np.ones(recipe.providers, dtype=bool)
    for one in found.values():
        known &= np.isfinite(one.effect)
    return {name: _judge(one, world, recipe, known) for name, one in found.items()}


def _judge(found: Found, world: World, recipe: Recipe, known: NDArray[np.bool_]) -> Judged:
    coef_error = found.coef - np.array(recipe.coef)
    effect, truth = found.effect[known], world.effect[known]
    small = world.size[known] <= SMALL
    error = (effect - effect.mean()) - (truth - truth.mean())
    return Judged(
        coef_error=coef_error,
        coef_covered=np.abs(coef_error) <= Z * found.coef_se,
        effect_covered=np.abs(effect - found.centre - truth) <= Z * found.effect_se[known],
        small_error=error[small],
        small_outward=(error * np.sign(truth - truth.mean()))[small],
        rank=_rank_correlation(effect, truth),
    )


def _rank_correlation(effect: Floats, truth: Floats) -> float:
    """Return Spearman's correlation; 0 when a method says that nobody differs."""
    if np.ptp(effect) == 0:
        return 0.0
    return float(stats.spearmanr(effect, truth).statistic)


def _line(name: str, recipe: Recipe, replicates: int, many: list[Judged]) -> Line:
    errors = np.array([one.coef_error for one in many])
    by_replicate = errors.mean(axis=1)
    small = np.concatenate([one.small_error for one in many])
    return Line(
        family=recipe.family,
        confounding=recipe.confounding,
        method=name,
        replicates=replicates,
        failed=replicates - len(many),
        bias=float(by_replicate.mean()),
        bias_error=float(by_replicate.std(ddof=1) / np.sqrt(len(many))),
        rmse=float(np.sqrt(np.mean(errors**2))),
        coverage=float(np.mean([one.coef_covered for one in many])),
        effect_bias=float(np.concatenate([one.small_outward for one in many]).mean()),
        effect_rmse=float(np.sqrt(np.mean(small**2))),
        rank_correlation=float(np.mean([one.rank for one in many])),
        effect_coverage=float(np.concatenate([one.effect_covered for one in many]).mean()),
    )
