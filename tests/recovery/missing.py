"""Missing follow-up: what each analysis makes of a truth that responders only partly show.

Outcomes have expectations that are true, a covariate that may not be adjusted for but goes with
answering, and noise. Providers differ in quality and in how many answer; the two go together a
little. Sizes, case mix and all else are drawn anew for each replicate.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats
from threadpoolctl import threadpool_limits

from riskadj.stats.imputation import impute
from riskadj.stats.limits import Z95
from riskadj.stats.pooling import student_cut
from riskadj.stats.provider_draws import pool_differences, pool_ratios
from riskadj.stats.response import fit_response
from riskadj.stats.response_weights import response_weights
from riskadj.stats.tipping import effect_with_delta, place_of, tipping_points
from riskadj.stats.weighted_means import weighted_means

Floats = NDArray[np.float64]

REPLICATES = 200
FULL, COMPLETE, WEIGHTED = "full data", "complete cases", "weighted"
IMPUTED, DONORS, RANDOM = "imputed", "imputed from donors", "imputed by random effects"
MIDDLE, CASE_MIX_SD = 20.0, 4.0
NO_CEILING = 1e9


@dataclass(frozen=True)
class Recipe:
    """What worlds are drawn from.

    Attributes
    ----------
    of_expected, of_covariate, of_noise : float
        Log-odds of an answer per standard deviation of the expected value, of the covariate that
        is not adjusted for, and of what no covariate says. With the last, not at random.
    of_quality, between_rates : float
        Log-odds per standard deviation of the provider's quality; of providers, quality apart.
    quality, covariate, noise : float
        Standard deviations, in points.
    ceiling : float
        Scores above are that score.
    """

    of_expected: float = 0.3
    of_covariate: float = 0.0
    of_noise: float = 0.0
    of_quality: float = 0.2
    between_rates: float = 0.8
    rate: float = 0.3
    quality: float = 2.0
    covariate: float = 4.0
    noise: float = 7.0
    ceiling: float = NO_CEILING
    providers: int = 40
    median_size: float = 100.0
    spread_of_sizes: float = 0.6
    smallest: int = 30


RECIPES = {
    "at random, expected value": Recipe(),
    "at random, covariate": Recipe(of_covariate=1.0),
    "at random, covariate, ceiling": Recipe(of_covariate=1.0, ceiling=MIDDLE + 8.0),
    "not at random": Recipe(of_covariate=1.0, of_noise=0.7),
}
"""Who answers."""


@dataclass(frozen=True)
class World:
    """Episodes in order of their provider.

    Attributes
    ----------
    y : ndarray of shape (n_episodes,)
        Outcomes of everybody.
    answered : ndarray of bool, shape (n_episodes,)
    expected, covariate : ndarray of shape (n_episodes,)
    provider : ndarray of shape (n_episodes,)
        0, 1, ...
    truth : ndarray of shape (n_providers,)
        Mean outcome - expected over all patients like the provider's, about the mean of all.
    willing : ndarray of shape (n_providers,)
        The provider's own part of the log-odds of an answer.
    """

    y: Floats
    answered: NDArray[np.bool_]
    expected: Floats
    covariate: Floats
    provider: NDArray[np.intp]
    truth: Floats
    willing: Floats

    @property
    def size(self) -> Floats:
        """Episodes of each provider."""
        return np.bincount(self.provider).astype(float)

    @property
    def observed(self) -> Floats:
        """Outcomes, NaN where there is no answer."""
        return np.where(self.answered, self.y, np.nan)

    @property
    def missing(self) -> Floats:
        """Share of each provider without an answer."""
        return np.bincount(self.provider, ~self.answered) / self.size

    def about_all(self, effect: Floats) -> Floats:
        """Return effects about their mean by eligible episodes."""
        return effect - np.average(effect, weights=self.size)


def make_world(recipe: Recipe, seed: list[int]) -> World:
    """Return one world; the same seed, the same world."""
    rng = np.random.default_rng(seed)
    drawn = rng.lognormal(np.log(recipe.median_size), recipe.spread_of_sizes, recipe.providers)
    provider = np.repeat(
        np.arange(recipe.providers), np.maximum(np.rint(drawn), recipe.smallest).astype(int)
    )
    quality = rng.standard_normal(recipe.providers)
    own = 0.3 * rng.standard_normal(recipe.providers)
    x, z, e = rng.standard_normal((3, provider.size))
    x += own[provider]
    plain = MIDDLE + CASE_MIX_SD * x
    effect = recipe.quality * quality[provider]
    y = np.minimum(plain + effect + recipe.covariate * z + recipe.noise * e, recipe.ceiling)
    willing = recipe.between_rates * rng.standard_normal(recipe.providers)
    willing += recipe.of_quality * quality
    odds = recipe.rate + willing[provider] + recipe.of_expected * x
    odds += recipe.of_covariate * z + recipe.of_noise * e
    answered = rng.random(provider.size) < special.expit(odds)
    answered |= np.r_[True, np.diff(provider) > 0]  # somebody everywhere: complete cases need it
    expected = _mean_below(plain, recipe)
    gained = np.bincount(provider, _mean_below(plain + effect, recipe) - expected)
    world = World(y, answered, expected, z, provider, gained / np.bincount(provider), willing)
    return replace(world, truth=world.about_all(world.truth))


def _mean_below(mean: Floats, recipe: Recipe) -> Floats:
    """Return the mean of the smaller of a normal score and the ceiling."""
    sd = np.hypot(recipe.covariate, recipe.noise)
    at = (recipe.ceiling - mean) / sd
    above = special.ndtr(-at)
    return np.where(
        above > 0, mean * (1 - above) - sd * stats.norm.pdf(at) + recipe.ceiling * above, mean
    )


# --- what each analysis says ---


class Said(NamedTuple):
    """Effects about the mean of all, half the width of their 95 % interval, and their error."""

    effect: Floats
    half: Floats
    error: Floats


def _means(world: World, weight: Floats) -> Said:
    found = weighted_means(world.observed - world.expected, weight, world.provider)
    return Said(world.about_all(found.mean), Z95 * found.pooled_error, found.pooled_error)


def _full(world: World, seed: int) -> Said:
    found = weighted_means(world.y - world.expected, np.ones(world.y.size), world.provider)
    return Said(world.about_all(found.mean), Z95 * found.pooled_error, found.pooled_error)


def _complete(world: World, seed: int) -> Said:
    return _means(world, world.answered.astype(float))


def _weighted(world: World, seed: int) -> Said:
    X = np.column_stack((world.expected, world.covariate))
    model = fit_response(world.answered, X, world.provider)
    return _means(world, response_weights(world.answered, model.probability, world.provider).weight)


def _imputed(**how: str) -> Callable[[World, int], Said]:
    def analyse(world: World, seed: int) -> Said:
        found = pool_differences(
            impute(
                world.observed,
                world.expected,
                world.provider,
                seed=seed,
                covariates=world.covariate,
                **how,
            )
        )
        return Said(found.estimate, found.interval().upper - found.estimate, found.error)

    return analyse


ANALYSES = {
    FULL: _full,
    COMPLETE: _complete,
    WEIGHTED: _weighted,
    IMPUTED: _imputed(),
    DONORS: _imputed(draw="donors"),
    RANDOM: _imputed(effects="random"),
}


@dataclass(frozen=True)
class Line:
    """One analysis in one kind of world, over all replicates.

    Attributes
    ----------
    bias_few, bias_many : float
        Mean error of the effect, in points, at the quarter of providers whose patients, case mix
        apart, are least, and most, likely to answer.
    bias_error : float
        Monte Carlo error of the larger of the two.
    rmse : float
        Of effects, in points.
    coverage, coverage_few : float
        Of the true effect by the 95 % interval; at all providers, and where fewest answered.
    spread : float
        Standard deviation of effects over that with full data.
    same_flag : float
        Share of providers that are above, within or below 95 % limits as with full data.
    """

    who_answers: str
    analysis: str
    replicates: int
    bias_few: float
    bias_many: float
    bias_error: float
    rmse: float
    coverage: float
    coverage_few: float
    spread: float
    same_flag: float


class Judged(NamedTuple):
    few: float
    many: float
    square: float
    covered: float
    covered_few: float
    spread: float
    same: float


def compare(who_answers: str, replicates: int = REPLICATES) -> dict[str, Line]:
    """Return a line for each analysis; each sees the same worlds."""
    return _compare(who_answers, replicates)


@cache
def _compare(who_answers: str, replicates: int) -> dict[str, Line]:
    judged: dict[str, list[Judged]] = {name: [] for name in ANALYSES}
    with threadpool_limits(1, user_api="blas"):
        for one in range(replicates):
            world = make_world(RECIPES[who_answers], [20250701, one])
            said = {name: analyse(world, one) for name, analyse in ANALYSES.items()}
            for name, found in said.items():
                judged[name].append(_judge(world, found, said[FULL]))
    return {name: _line(who_answers, name, many) for name, many in judged.items()}


def _judge(world: World, found: Said, full: Said) -> Judged:
    order = np.argsort(world.willing)
    quarter = order.size // 4
    few, many = order[:quarter], order[-quarter:]
    error = found.effect - world.truth
    covered = np.abs(error) <= found.half
    return Judged(
        few=float(error[few].mean()),
        many=float(error[many].mean()),
        square=float(np.mean(error**2)),
        covered=float(covered.mean()),
        covered_few=float(covered[few].mean()),
        spread=float(found.effect.std() / full.effect.std()),
        same=float(np.mean(_place(found) == _place(full))),
    )


def _place(said: Said) -> NDArray[np.int8]:
    return place_of(said.effect / said.half, 1.0)


def _line(who_answers: str, name: str, many: list[Judged]) -> Line:
    values = np.array(many)
    mean = Judged(*(float(one) for one in values.mean(axis=0)))
    error = values[:, :2].std(axis=0, ddof=1).max() / np.sqrt(len(values))
    return Line(
        who_answers=who_answers,
        analysis=name,
        replicates=len(values),
        bias_few=mean.few,
        bias_many=mean.many,
        bias_error=float(error),
        rmse=float(np.sqrt(mean.square)),
        coverage=mean.covered,
        coverage_few=mean.covered_few,
        spread=mean.spread,
        same_flag=mean.same,
    )


# --- flags, where providers differ as much as they do, and not at all ---

FLAGGING = 60
"""Replicates."""
WITHIN_SD = 7.5
"""Of outcomes about what is expected, in points: with 0.75 between providers an ICC of 0.01."""
BETWEEN = (0.0, 0.75, 2.0)
RESPONSES = (0.3, 0.6)
"""Chance of an answer of the middle patient of the middle provider."""
SMALL = {
    "completely at random": Recipe(of_expected=0.0, of_quality=0.0),
    "at random, expected value": Recipe(),
    "at random, covariate": Recipe(of_covariate=1.0),
}
"""Who answers."""


@dataclass(frozen=True)
class Flags:
    """Intervals and flags of one analysis, over all replicates.

    Attributes
    ----------
    coverage : float
        Of the true effect by the 95 % interval.
    flagged : float
        Share of providers outside 95 % limits; where providers do not differ, falsely.
    right : float
        Share outside on the right side, of those truly farther from the mean than one standard
        deviation between providers; NaN where they do not differ.
    """

    who_answers: str
    between: float
    response: float
    analysis: str
    coverage: float
    flagged: float
    right: float
    replicates: int


def small(who_answers: str, between: float, response: float) -> Recipe:
    """Return what worlds are drawn from."""
    return replace(
        SMALL[who_answers],
        quality=between,
        noise=float(np.sqrt(WITHIN_SD**2 - Recipe.covariate**2)),
        rate=float(special.logit(response)),
        providers=60,
    )


@cache
def flags(
    who_answers: str, between: float, response: float, replicates: int = FLAGGING
) -> dict[str, Flags]:
    """Return a line for each analysis; each sees the same worlds."""
    recipe = small(who_answers, between, response)
    analyses = {name: one for name, one in ANALYSES.items() if name != DONORS}
    kept: dict[str, list[tuple[float, float, float]]] = {name: [] for name in analyses}
    with threadpool_limits(1, user_api="blas"):
        for one in range(replicates):
            world = make_world(recipe, [20250705, one])
            for name, analyse in analyses.items():
                kept[name].append(_flagged(world, analyse(world, one), between))
    return {
        name: Flags(who_answers, between, response, name, *_means_of(rows), replicates)
        for name, rows in kept.items()
    }


def _flagged(world: World, said: Said, between: float) -> tuple[float, float, float]:
    place, far = _place(said), np.abs(world.truth) > between
    right = float((place == np.sign(world.truth))[far].mean()) if between else np.nan
    covered = np.abs(said.effect - world.truth) <= said.half
    return float(covered.mean()), float((place != 0).mean()), right


def _means_of(rows: list[tuple[float, float, float]]) -> tuple[float, ...]:
    return tuple(float(one) for one in np.array(rows).mean(axis=0))


# --- what is trimmed ---


@dataclass(frozen=True)
class Trimmed:
    """Weighted effects under one numerator and one trimming; `bias_few` as in `Line`."""

    numerator: str
    trim: tuple[float, float]
    bias_few: float
    rmse: float
    coverage: float
    replicates: int


@cache
def trimmed(numerator: str, trim: tuple[float, float], replicates: int = REPLICATES) -> Trimmed:
    """Return what trimming leaves of the adjustment, where answers go with a covariate."""
    rows = np.array([_trimmed(one, numerator, trim) for one in range(replicates)])
    mean = Judged(*(float(one) for one in rows.mean(axis=0)))
    rmse = float(np.sqrt(mean.square))
    return Trimmed(numerator, trim, mean.few, rmse, mean.covered, replicates)


@cache
def _world_and_chance(one: int) -> tuple[World, Floats]:
    world = make_world(RECIPES["at random, covariate"], [20250701, one])
    X = np.column_stack((world.expected, world.covariate))
    return world, fit_response(world.answered, X, world.provider).probability


def _trimmed(one: int, numerator: str, trim: tuple[float, float]) -> Judged:
    world, chance = _world_and_chance(one)
    found = response_weights(world.answered, chance, world.provider, numerator=numerator, trim=trim)
    return _judge(world, _means(world, found.weight), _full(world, one))


# --- tipping points ---

PLANTED = -6.0
"""Points by which non-responders of some providers are truly worse than at random."""
EACH = 4
"""One provider in so many has such non-responders."""


@dataclass(frozen=True)
class Planted:
    """Flags where some providers' non-responders are worse, by a delta that is known.

    Attributes
    ----------
    same_at_random : float
        Share of these providers whose flag is that of full data, with delta taken as 0.
    same_with_delta : float
        The same with the delta that was planted.
    expected_share : float
        What the second should be: the chance, given the imputations, that full data have the
        flag.
    error : float
        Monte Carlo error of the second less the third.
    """

    same_at_random: float
    same_with_delta: float
    expected_share: float
    error: float
    replicates: int


@cache
def planted(replicates: int = REPLICATES, delta: float = PLANTED) -> Planted:
    """Return how often a flag with the right delta is the flag of full data."""
    rows = [_planted(one, delta) for one in range(replicates)]
    at_random, with_delta, share = np.array(rows).T
    error = float((with_delta - share).std(ddof=1) / np.sqrt(replicates))
    return Planted(
        float(at_random.mean()), float(with_delta.mean()), float(share.mean()), error, replicates
    )


def _planted(one: int, delta: float) -> tuple[float, float, float]:
    world = make_world(RECIPES["at random, covariate"], [20250702, one])
    shifted = np.where(np.arange(world.size.size) % EACH == 0, delta, 0.0)
    residual = world.y - world.expected + np.where(world.answered, 0.0, shifted[world.provider])
    full = world.about_all(np.bincount(world.provider, residual) / world.size)
    error = residual.std(ddof=1) / np.sqrt(world.size)
    draws = impute(
        world.observed, world.expected, world.provider, seed=one, covariates=world.covariate
    )
    parts = (draws.responders_effect, draws.imputed_effect, draws.missing)
    guess = world.about_all(effect_with_delta(*parts, shifted))
    at_random = world.about_all(effect_with_delta(*parts, 0.0))
    doubt = np.sqrt(pool_differences(draws).between * (1 + 1 / draws.sd.size))
    who, truly = shifted != 0, place_of(full / error)
    return (
        float((place_of(at_random / error) == truly)[who].mean()),
        float((place_of(guess / error) == truly)[who].mean()),
        float(_chance_of_place(guess, doubt, error)[who].mean()),
    )


def _chance_of_place(guess: Floats, doubt: Floats, error: Floats) -> Floats:
    """Return the chance that full data, about the guess, are where the guess is."""
    below = special.ndtr((-Z95 * error - guess) / doubt)
    above = special.ndtr((guess - Z95 * error) / doubt)
    place = place_of(guess / error)
    return np.choose(place + 1, (below, 1 - below - above, above))


TARGET = -8.0
"""Far below all providers, so that all are above their limits until a delta takes them there."""


@dataclass(frozen=True)
class Boundary:
    """The delta that takes a provider to its limit, planted and found.

    Attributes
    ----------
    planted : float
        Mean, in points.
    bias, bias_error : float
        Mean of found - planted, and its Monte Carlo error.
    rmse : float
    coverage : float
        Of the planted delta by found -+ t pooled error / share missing, t of the pooled degrees
        of freedom.
    flagged : float
        Share flagged with full data at the planted delta: at a limit, a half.
    """

    planted: float
    bias: float
    bias_error: float
    rmse: float
    coverage: float
    flagged: float
    replicates: int


@cache
def boundary(between: float = Recipe.quality, replicates: int = REPLICATES) -> Boundary:
    """Return how well the delta is found at which providers are at their limits."""
    recipe = replace(RECIPES["at random, covariate"], quality=between)
    rows = np.array([_boundary(one, recipe) for one in range(replicates)])
    mean = rows.mean(axis=0)
    error = float(rows[:, 1].std(ddof=1) / np.sqrt(replicates))
    return Boundary(
        planted=float(mean[0]),
        bias=float(mean[1]),
        bias_error=error,
        rmse=float(np.sqrt(mean[2])),
        coverage=float(mean[3]),
        flagged=float(mean[4]),
        replicates=replicates,
    )


def _boundary(one: int, recipe: Recipe) -> tuple[float, ...]:
    """Return means over providers where at least a fifth did not answer."""
    world = make_world(recipe, [20250703, one])
    draws = impute(
        world.observed, world.expected, world.provider, seed=one, covariates=world.covariate
    )
    pooled, m = pool_differences(draws), world.missing
    error = draws.sd.mean() / np.sqrt(world.size)
    found = tipping_points(pooled.estimate, error, m, target=TARGET)
    who = m >= 0.2
    delta = (Z95 * error + TARGET - world.truth)[who] / m[who]
    away = found.down[who] - delta
    full = _full(world, 0).effect[who] + m[who] * delta
    half = (student_cut(Z95, pooled.df) * pooled.error)[who]
    return (
        float(delta.mean()),
        float(away.mean()),
        float(np.mean(away**2)),
        float(np.mean(np.abs(away) <= half / m[who])),
        float(np.mean(full > TARGET + Z95 * error[who])),
    )


# --- events ---


@dataclass(frozen=True)
class Ratios:
    """Observed over expected events, imputed; truths are ratios over all patients alike.

    Attributes
    ----------
    bias_complete, bias_imputed : float
        Mean error at the quarter of providers where fewest answered.
    coverage_complete, coverage_imputed : float
    """

    bias_complete: float
    bias_imputed: float
    coverage_complete: float
    coverage_imputed: float
    replicates: int


RESPONDER = MIDDLE + 5.0
"""A score above this is an event."""


@cache
def ratios(replicates: int = REPLICATES) -> Ratios:
    """Return how near complete cases and imputation come to true observed over expected."""
    with threadpool_limits(1, user_api="blas"):
        rows = np.array([_ratios(one) for one in range(replicates)])
    return Ratios(*(float(one) for one in rows.mean(axis=0)), replicates=replicates)


def _ratios(one: int) -> tuple[float, ...]:
    recipe = RECIPES["at random, covariate"]
    world = make_world(recipe, [20250704, one])
    sd = np.hypot(recipe.covariate, recipe.noise)
    chance = special.ndtr((world.expected - RESPONDER) / sd)
    # What the provider's quality adds, about an average provider: its place is known.
    truly = special.ndtr((world.expected + world.truth[world.provider] - RESPONDER) / sd)
    event = (world.y > RESPONDER).astype(float)

    def total(rows: Floats) -> Floats:
        return np.bincount(world.provider, rows, world.size.size)

    expected = total(chance * world.answered)
    complete = total(event * world.answered) / expected
    error = np.sqrt(total(chance * (1 - chance) * world.answered)) / expected
    draws = impute(
        np.where(world.answered, event, np.nan),
        chance,
        world.provider,
        seed=one,
        covariates=world.covariate,
        family="binomial",
    )
    pooled = pool_ratios(draws)
    truth = total(truly) / total(chance)
    few = np.argsort(world.willing)[: world.size.size // 4]
    low, high = pooled.interval()
    return (
        float((complete - truth)[few].mean()),
        float((pooled.estimate - truth)[few].mean()),
        float(np.mean(np.abs(complete - truth) <= Z95 * error)),
        float(np.mean((low <= truth) & (truth <= high))),
    )


@cache
def event_flags(
    who_answers: str, between: float, response: float, replicates: int = FLAGGING
) -> dict[str, Flags]:
    """Return how often intervals for the share of events cover, and flags, as `flags` does."""
    recipe = small(who_answers, between, response)
    kept: dict[str, list[tuple[float, float, float]]] = {}
    with threadpool_limits(1, user_api="blas"):
        for one in range(replicates):
            for name, row in _event_flags(one, recipe).items():
                kept.setdefault(name, []).append(row)
    return {
        name: Flags(who_answers, between, response, name, *_means_of(rows), replicates)
        for name, rows in kept.items()
    }


def _event_flags(one: int, recipe: Recipe) -> dict[str, tuple[float, float, float]]:
    world = make_world(recipe, [20250706, one])
    sd = np.hypot(recipe.covariate, recipe.noise)
    chance = special.ndtr((world.expected - RESPONDER) / sd)
    truly = special.ndtr((world.expected + world.truth[world.provider] - RESPONDER) / sd)
    event = (world.y > RESPONDER).astype(float)
    truth = world.about_all(np.bincount(world.provider, truly - chance) / world.size)
    seen = np.where(world.answered, event, np.nan)

    here = np.bincount(world.provider, world.answered)

    def mean(rows: Floats) -> Floats:
        return np.bincount(world.provider, rows * world.answered) / here

    error = np.sqrt(mean(chance * (1 - chance)) / here)
    complete = world.about_all(mean(event - chance))
    said = {COMPLETE: Said(complete, Z95 * error, error)}
    for name, effects in ((IMPUTED, "own"), (RANDOM, "random")):
        draws = impute(
            seen,
            chance,
            world.provider,
            seed=one,
            covariates=world.covariate,
            family="binomial",
            effects=effects,
        )
        found = pool_differences(draws)
        said[name] = Said(found.estimate, student_cut(Z95, found.df) * found.error, found.error)
    judged = replace(world, truth=truth)
    limit = float(truth.std()) if recipe.quality else 0.0
    return {name: _flagged(judged, one_said, limit) for name, one_said in said.items()}
