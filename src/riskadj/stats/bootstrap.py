"""The provider bootstrap: how far predicted over expected moves when other providers are drawn.

Providers are drawn with replacement, each draw counting as another provider; the random-intercept
model is fitted again; each drawn provider's effect is drawn from its posterior; and predicted over
expected is computed anew (the uncertainty of CMS's risk-standardised measures, as described with
the hospital-wide readmission measure: Horwitz et al. 2011). Percentiles of the ratio are its
interval.

A refit starts from the fit to all providers. A bootstrap sample lies a standard error or two away
from it, so that a few Newton steps are within a thousandth of a standard error of the optimum;
`refit=True` climbs all the way from nothing, to show it.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from riskadj.engine import Blocks
from riskadj.errors import ArrayError
from riskadj.stats.arrays import Floats, one_of
from riskadj.stats.arrow import CollinearError
from riskadj.stats.between import between_covariates, shrinkage
from riskadj.stats.blocks import Block
from riskadj.stats.design import Design, build_design, design_over
from riskadj.stats.families import FAMILIES, Family
from riskadj.stats.laplace import PATIENT, Point, fit_laplace
from riskadj.stats.newton import Patience
from riskadj.stats.parts import Part
from riskadj.stats.random_intercept import not_apart
from riskadj.stats.reml import fit_linear
from riskadj.stats.threads import one_thread

ROUGH = Patience(settled=1e-2, stale=0.2, fine=np.inf)
"""A refit's last step is under a hundredth of a standard error; a tenth of that is left."""


@dataclass(frozen=True)
class ProviderBootstrap:
    """Predicted over expected with its bootstrap interval.

    Attributes
    ----------
    providers : ndarray of shape (n_providers,)
        Labels, sorted.
    n : ndarray of shape (n_providers,)
        Episodes.
    predicted, expected, ratio : ndarray of shape (n_providers,)
        At the fit to all providers: mean per episode with the provider's own effect, with the
        average provider's, and the first over the second.
    lower, upper : ndarray of shape (n_providers,)
        Percentiles of the ratio over the replicates in which the provider was drawn.
    level : float
    drawn : ndarray of shape (n_providers,)
        Replicates in which each was drawn; about 63 per cent of all.
    ratios : ndarray of shape (n_replicates, n_providers)
        NaN where the provider was not drawn.
    sigma : ndarray of shape (n_replicates,)
        Standard deviation between providers of each refit.
    failed : int
        Replicates whose refit had no solution; they are left out of everything.
    seed : int
    """

    providers: NDArray[Any]
    n: NDArray[np.intp]
    predicted: Floats
    expected: Floats
    ratio: Floats
    lower: Floats
    upper: Floats
    level: float
    drawn: NDArray[np.intp]
    ratios: Floats
    sigma: Floats
    failed: int
    seed: int


def bootstrap_predicted_over_expected(
    y: ArrayLike,
    X: ArrayLike,
    provider: ArrayLike,
    family: str = "binomial",
    *,
    replicates: int = 1000,
    seed: int = 0,
    level: float = 0.95,
    refit: bool = False,
    weights: ArrayLike | None = None,
    offset: ArrayLike | None = None,
    on_replicate: Callable[[int, int], None] | None = None,
) -> ProviderBootstrap:
    """Return predicted over expected of each provider, with its bootstrap interval.

    Parameters
    ----------
    y, X, provider, family, weights, offset
        As in `fit_random_intercept`.
    replicates : int
        At least 2; intervals want hundreds.
    seed : int
        Same seed, same answer; each replicate has a stream of its own.
    level : float
        Of the interval; between 0 and 1.
    refit : bool
        Fit every replicate from nothing, to convergence: slower, to check the default with.
    on_replicate : callable, optional
        Told (done, replicates) after each.

    Raises
    ------
    ArrayError
        As `fit_random_intercept`; also when every replicate failed.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> provider = np.repeat(np.arange(20), 50)
    >>> x = rng.normal(size=(1000, 1))
    >>> event = rng.random(1000) < 1 / (1 + np.exp(1 - x[:, 0] - 0.05 * (provider - 10)))
    >>> got = bootstrap_predicted_over_expected(event, x, provider, replicates=100)
    >>> bool((got.lower < got.ratio).all() and (got.ratio < got.upper).all())
    True
    """
    asked = _asked(family, replicates, seed, level, refit, on_replicate)
    return _checked_bootstrap(build_design(y, X, provider, weights, offset), asked)


def bootstrap_over(
    blocks: Blocks,
    family: str = "binomial",
    *,
    replicates: int = 1000,
    seed: int = 0,
    level: float = 0.95,
    refit: bool = False,
    on_replicate: Callable[[int, int], None] | None = None,
) -> ProviderBootstrap:
    """Return what `bootstrap_predicted_over_expected` does of episodes that are laid in blocks.

    Replicates follow each other, and each pass of each is a sum over blocks.

    Parameters
    ----------
    blocks : Blocks
        Of `Rows`, cut anywhere: a provider may be in several.
    family, replicates, seed, level, refit, on_replicate
        As in `bootstrap_predicted_over_expected`; the same seed draws the same providers.

    Raises
    ------
    ArrayError
        As `bootstrap_predicted_over_expected`.
    EngineError
        When those who hold the blocks are gone.
    """
    asked = _asked(family, replicates, seed, level, refit, on_replicate)
    return _checked_bootstrap(design_over(blocks), asked)


class _Asked(NamedTuple):
    """What is asked of a bootstrap."""

    family: Family
    replicates: int
    seed: int
    level: float
    refit: bool
    on_replicate: Callable[[int, int], None] | None


def _asked(family: str, replicates: int, *others: Any) -> _Asked:
    asked = _Asked(FAMILIES[one_of("family", family, FAMILIES)], replicates, *others)
    if replicates < 2 or not 0 < asked.level < 1:
        raise ArrayError(
            "replicates, level: wanted at least 2 replicates and a level between 0 and 1; got "
            f"{replicates} and {asked.level:g}."
        )
    return asked


def _checked_bootstrap(design: Design, asked: _Asked) -> ProviderBootstrap:
    asked.family.check(design.outcomes)
    try:
        with one_thread():
            return _bootstrap(design.in_order(), asked)
    except CollinearError as error:
        raise not_apart(design, error, correlated=False) from None


@dataclass(frozen=True)
class _Fit:
    """What predicted over expected is computed from."""

    coef: Floats
    effects: Floats
    posterior_sd: Floats
    sigma: float
    point: Point | None


def _bootstrap(design: Design, asked: _Asked) -> ProviderBootstrap:
    fitted = _fit(design, asked.family)
    ratios = np.full((asked.replicates, design.n_providers), np.nan)
    sigma = np.full(asked.replicates, np.nan)
    for one in range(asked.replicates):
        rng = np.random.default_rng([asked.seed, one])
        sample = _drawn(design, rng)
        try:
            found = _fit(sample, asked.family, None if asked.refit else fitted)
            ratios[one], sigma[one] = _drawn_ratio(sample, asked.family, found, rng), found.sigma
        except (ArrayError, np.linalg.LinAlgError):
            pass
        if asked.on_replicate:
            asked.on_replicate(one + 1, asked.replicates)
    return _result(design, asked, fitted, ratios, sigma)


def _drawn(design: Design, rng: np.random.Generator) -> Design:
    m = design.n_providers
    copies = np.bincount(rng.integers(0, m, m), minlength=m)
    return replace(design, copies=copies.astype(np.float64))


def _fit(design: Design, family: Family, near: _Fit | None = None) -> _Fit:
    between = between_covariates(design, correlated=False)
    if family.name == "gaussian":
        linear = fit_linear(design, between, restricted=True)
        posterior = linear.residual_variance * linear.arrow.inverse
        sigma = float(np.sqrt(linear.ratio * linear.residual_variance))
        return _Fit(linear.coef, linear.effects, np.sqrt(posterior), sigma, None)
    start, patience = (near.point, ROUGH) if near else (None, PATIENT)
    found = fit_laplace(design, family, between, start, patience)
    if not found.summit.settled:
        raise ArrayError("y: wanted a refit that settles; got none.")
    point, posterior = found.point, shrinkage(found.point.variance, found.information)
    return _Fit(
        point.coef, point.effects, np.sqrt(posterior), float(np.sqrt(point.variance)), point
    )


def _drawn_ratio(sample: Design, family: Family, found: _Fit, rng: np.random.Generator) -> Floats:
    """Return the ratio of the providers that were drawn, each with an effect from its posterior."""
    effects = found.effects + found.posterior_sd * rng.standard_normal(len(found.effects))
    predicted, expected = _predicted_expected(sample, family, found, effects)
    return np.where(sample.copies == 0, np.nan, predicted / expected)


def _predicted_expected(
    design: Design, family: Family, found: _Fit, effects: Floats
) -> tuple[Floats, Floats]:
    """Return each provider's mean with its own effect, and with the average provider's."""
    sums = design.add_up(_means_of_block, family, found.coef, effects)
    own, average, weight = sums.by_provider[0]
    return own / weight, average / weight


def _means_of_block(block: Block, family: Family, coef: Floats, effects: Floats) -> Part:
    sums, effects = np.zeros((3, len(block.groups))), block.of_here(effects)
    for chunk in block.chunks():
        eta = coef[1:] @ block.x[:, chunk.rows] + coef[0]
        if block.offset is not None:
            eta += block.offset[chunk.rows]
        weights = np.ones(len(eta)) if block.weights is None else block.weights[chunk.rows]
        means = np.stack([family.mean(eta + chunk.spread(effects)), family.mean(eta), weights])
        means[:2] *= weights
        sums[:, chunk.providers] += np.add.reduceat(means, chunk.starts, axis=1)
    return Part((sums,))


def _result(
    design: Design, asked: _Asked, fitted: _Fit, ratios: Floats, sigma: Floats
) -> ProviderBootstrap:
    failed = int(np.isnan(sigma).sum())
    if failed == len(sigma):
        raise ArrayError(
            "y: wanted bootstrap samples that a model can be fitted to; got none. Use fewer "
            "covariates."
        )
    predicted, expected = _predicted_expected(design, asked.family, fitted, fitted.effects)
    lower, upper = _percentiles(ratios, asked.level)
    return ProviderBootstrap(
        providers=design.labels,
        n=design.sizes,
        predicted=predicted,
        expected=expected,
        ratio=predicted / expected,
        lower=lower,
        upper=upper,
        level=asked.level,
        drawn=np.isfinite(ratios).sum(axis=0),
        ratios=ratios,
        sigma=sigma,
        failed=failed,
        seed=asked.seed,
    )


def _percentiles(ratios: Floats, level: float) -> tuple[Floats, Floats]:
    """Return percentiles over the replicates that have a value; NaN where none has."""
    ordered = np.sort(ratios, axis=0)
    last = np.isfinite(ratios).sum(axis=0) - 1
    tail = (1 - level) / 2
    return _at(ordered, last, tail), _at(ordered, last, 1 - tail)


def _at(ordered: Floats, last: NDArray[np.intp], share: float) -> Floats:
    """Return the share's place among n + 1 gaps, NaN being sorted last.

    So many of a sample's values are below it on average as of those to come, however few there are.
    """
    place = np.clip(share * (last + 2) - 1, 0, np.maximum(last, 0))
    below = np.floor(place).astype(np.intp)
    columns = np.arange(ordered.shape[1])
    low, high = (
        ordered[below, columns],
        ordered[np.minimum(below + 1, np.maximum(last, 0)), columns],
    )
    return np.asarray(low + (place - below) * (high - low))
