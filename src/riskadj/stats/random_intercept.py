"""Random provider intercepts: drawn from one distribution, small providers to its middle.

With one grouping factor nothing depends on the number of episodes but a few passes over them.
Coefficients mix differences within and between providers; where case mix goes with quality they
are biased, and `correlated=True` keeps the two apart (Mundlak 1978, Econometrica 46:69-85).
"""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from riskadj.engine import Blocks
from riskadj.errors import ArrayError
from riskadj.stats.arrays import Floats, one_of
from riskadj.stats.arrow import SMALLEST_PIVOT, CollinearError
from riskadj.stats.between import between_covariates, shrinkage
from riskadj.stats.blocks import Block
from riskadj.stats.design import Design, build_design, design_over, no_bound, said, worded
from riskadj.stats.families import FAMILIES
from riskadj.stats.fits import (
    FitWarning,
    NotConvergedWarning,
    RandomIntercept,
    SeparationWarning,
    tell,
)
from riskadj.stats.laplace import Point, fit_laplace
from riskadj.stats.linear_sums import weighted_covariates
from riskadj.stats.newton import LARGE, Summit
from riskadj.stats.parts import Part
from riskadj.stats.reml import fit_linear
from riskadj.stats.threads import one_thread

METHODS = ("reml", "ml")


def fit_random_intercept(
    y: ArrayLike,
    X: ArrayLike,
    provider: ArrayLike,
    family: str = "gaussian",
    *,
    method: str = "reml",
    correlated: bool = False,
    weights: ArrayLike | None = None,
    offset: ArrayLike | None = None,
) -> RandomIntercept:
    """Fit case-mix coefficients and normally distributed provider intercepts.

    Parameters
    ----------
    y : array-like of shape (n_episodes,)
        Outcome; 0 or 1 for `binomial`, above 0 for `gamma`.
    X : array-like or DataFrame of shape (n_episodes, n_covariates)
        Case mix, without a constant; may have no columns.
    provider : array-like of shape (n_episodes,)
        Labels; at least two different ones.
    family : {"gaussian", "binomial", "gamma"}
        With identity, logit and log link. `binomial` and `gamma` maximise Laplace's
        approximation of the likelihood, which is glmer's with nAGQ = 1.
    method : {"reml", "ml"}
        For `gaussian`: restricted or full maximum likelihood.
    correlated : bool
        Add each provider's mean of every covariate: correlated random effects. Coefficients are
        then those within providers. Every covariate has to vary within providers, and there
        have to be more providers than covariates.
    weights : array-like of shape (n_episodes,), optional
        Not negative. `gaussian`: inverse variances, up to a factor; otherwise they multiply the
        log-likelihood. Episodes of weight 0 take no part; a provider with no others is refused:
        leave its episodes out.
    offset : array-like of shape (n_episodes,), optional
        Added to the linear predictor.

    Returns
    -------
    RandomIntercept

    Raises
    ------
    ArrayError
        When arrays do not fit each other or are not finite, a covariate is collinear or constant
        (with `correlated`, constant within providers), there are fewer than two providers (with
        `correlated`, no more than covariates), every provider has one episode only, or a
        `gaussian` outcome does not differ beyond providers and covariates.

    Warns
    -----
    SeparationWarning, NotConvergedWarning
        Also in `warnings` of the result.

    Notes
    -----
    Standard errors of coefficients are those given sigma. Posterior standard deviations of
    effects are those given coefficients and sigma, as lme4 reports them.

    Examples
    --------
    >>> y = [1.0, 2.0, 4.0, 6.5, 5.0, 2.0]
    >>> x = [[0.0], [1.0], [0.0], [2.0], [1.0], [1.0]]
    >>> fit = fit_random_intercept(y, x, ["a", "a", "b", "b", "b", "a"], method="ml")
    >>> fit.coef.round(3).tolist(), fit.effects.round(3).tolist(), round(fit.sigma, 3)
    ([1.189], [-1.548, 1.548], 1.55)
    """
    _check_choices(family, method)
    return _fit(build_design(y, X, provider, weights, offset), family, method, correlated)


def random_intercept_over(
    blocks: Blocks, family: str = "gaussian", *, method: str = "reml", correlated: bool = False
) -> RandomIntercept:
    """Fit what `fit_random_intercept` fits to episodes that are laid in blocks.

    Parameters
    ----------
    blocks : Blocks
        Of `Rows`, cut anywhere: a provider may be in several.
    family, method, correlated
        As in `fit_random_intercept`.

    Returns
    -------
    RandomIntercept
        Where blocks begin, and in which order workers finish, changes rounding only.

    Raises
    ------
    ArrayError
        As `fit_random_intercept`; of blocks that are not sound, the first is told.
    EngineError
        When those who hold the blocks are gone.

    Examples
    --------
    >>> from riskadj.engine import Local
    >>> from riskadj.stats import Rows
    >>> rows = [
    ...     Rows([1.0, 2.0, 4.0], [[0.0], [1.0], [0.0]], ["a", "a", "b"]),
    ...     Rows([6.5, 5.0, 2.0], [[2.0], [1.0], [1.0]], ["b", "b", "a"]),
    ... ]
    >>> random_intercept_over(Local().place(rows), method="ml").coef.round(3).tolist()
    [1.189]
    """
    _check_choices(family, method)
    return _fit(design_over(blocks), family, method, correlated)


def _check_choices(family: str, method: str) -> None:
    one_of("family", family, FAMILIES)
    one_of("method", method, METHODS)


def _fit(design: Design, family: str, method: str, correlated: bool) -> RandomIntercept:
    FAMILIES[family].check(design.outcomes)
    _check_providers(design)
    try:
        with one_thread():
            between = between_covariates(design, correlated)
            if family == "gaussian":
                return _linear(design, between, method)
            return _laplace(design.in_order(), between, family)
    except CollinearError as error:
        raise not_apart(design, error, correlated) from None
    except np.linalg.LinAlgError as error:
        raise ArrayError(f"y, X: wanted a model that can be fitted; got none ({error}).") from None


def not_apart(design: Design, error: CollinearError, correlated: bool) -> ArrayError:
    """Return why coefficients are not apart, in words of the covariates."""
    p = design.n_covariates
    if not correlated and not _combined(design):
        return ArrayError(
            "X, y: wanted covariates that do not tell outcomes apart without error; got such "
            "(separation). Leave some out, or take fit_fixed_effects with firth=True."
        )
    between = 1 + p if correlated else 1
    own = error.columns[error.columns >= between] - between
    means = error.columns[(error.columns >= 1) & (error.columns < between)] - 1
    if correlated:
        of_providers = np.intersect1d(np.union1d(own, means), _level_within(design))
        if of_providers.size:
            return _of_providers(design, of_providers)
    if own.size or not means.size:
        within = " within providers" if correlated else ""
        return ArrayError(
            f"X: wanted covariates that vary{within}, none a combination of others; got "
            f"{said(design.names, own)}. Leave {worded(len(own), 'it', 'them')} out."
        )
    return _too_few_means(design, means)


def _combined(design: Design) -> bool:
    """Whether some covariate is a combination of others, whatever the outcomes are."""
    mean = design.add_up(_covariates).whole[0] / design.n
    gram = design.add_up(_products_about, mean).whole[0]
    size = np.sqrt(np.diag(gram))
    if not size.all():
        return True
    return bool(np.linalg.eigvalsh(gram / np.outer(size, size))[0] < SMALLEST_PIVOT)


def _covariates(block: Block) -> Part:
    return Part(whole=(block.x.sum(axis=1),))


def _products_about(block: Block, mean: Floats) -> Part:
    apart = block.x - mean[:, None]
    return Part(whole=(apart @ apart.T,))


def _level_within(design: Design) -> NDArray[np.intp]:
    """Return which covariates vary between providers and not within any."""
    weight, cross = weighted_covariates(design)
    overall = np.repeat(cross.sum(axis=1, keepdims=True) / weight.sum(), len(weight), axis=1)
    within = design.add_up(_squares_about, cross / weight).whole[0]
    total = design.add_up(_squares_about, overall).whole[0]
    return np.flatnonzero((within <= SMALLEST_PIVOT * total) & (total > 0))


def _squares_about(block: Block, means: Floats) -> Part:
    pairs = zip(block.x, block.of_here(means), strict=True)
    codes = block.groups.codes
    squares = [block.weighted((x - mean[codes]) ** 2).sum() for x, mean in pairs]
    return Part(whole=(np.array(squares),))


def _of_providers(design: Design, which: NDArray[np.intp]) -> ArrayError:
    does, it = worded(len(which), "does", "do"), worded(len(which), "it", "them")
    return ArrayError(
        "X: with correlated=True, wanted covariates that vary within providers; got "
        f"{said(design.names, which)}, which {does} not. Leave {it} out, or set correlated to "
        "False."
    )


def _too_few_means(design: Design, means: NDArray[np.intp]) -> ArrayError:
    m, p = design.n_providers, design.n_covariates
    if m <= p:
        return ArrayError(
            "provider: with correlated=True, wanted more providers than covariates; got "
            f"{m:,} {worded(m, 'provider', 'providers')} and {p:,} "
            f"{worded(p, 'covariate', 'covariates')}. Leave covariates out, or set correlated to "
            "False."
        )
    return ArrayError(
        "X: with correlated=True, wanted covariates whose provider means vary, none a combination "
        f"of others; got {worded(len(means), 'that', 'those')} of {said(design.names, means)}. "
        f"Leave {worded(len(means), 'it', 'them')} out, or set correlated to False."
    )


def _check_providers(design: Design) -> None:
    if design.n_providers < 2:
        raise ArrayError("provider: wanted at least two providers; got one.")
    if design.n == design.n_providers:
        raise ArrayError(
            "provider: wanted providers with several episodes, to tell differences between them "
            f"from those within; got {design.n:,} providers of one episode each."
        )


def _linear(design: Design, between: Floats, method: str) -> RandomIntercept:
    fit = fit_linear(design, between, restricted=method == "reml")
    covariance = fit.residual_variance * fit.arrow.coef_covariance
    return RandomIntercept(
        family="gaussian",
        method=method,
        **_coefficients(design, between, fit.coef, covariance),
        effects=fit.effects,
        effects_se=np.sqrt(fit.residual_variance * fit.arrow.inverse),
        sigma=float(np.sqrt(fit.ratio * fit.residual_variance)),
        residual_sd=float(np.sqrt(fit.residual_variance)),
        shape=float("nan"),
        loglik=fit.loglik,
        converged=True,
        passes=2,
    )


def _laplace(design: Design, between: Floats, family: str) -> RandomIntercept:
    fit = fit_laplace(design, FAMILIES[family], between, _start(design, family, between))
    point, summit = fit.point, fit.summit
    return RandomIntercept(
        family=family,
        method="laplace",
        **_coefficients(design, between, point.coef, summit.view.arrow.coef_covariance),
        effects=point.effects,
        effects_se=np.sqrt(shrinkage(point.variance, fit.information)),
        sigma=float(np.sqrt(point.variance)),
        residual_sd=float("nan"),
        shape=point.shape if FAMILIES[family].has_shape else float("nan"),
        loglik=summit.view.objective,
        converged=summit.settled,
        passes=summit.passes,
        warnings=tell(_warnings(design, summit)),
    )


def _start(design: Design, family: str, between: Floats) -> Point | None:
    """Start from a fit to a tenth of the episodes, where there are many."""
    if design.n < LARGE:
        return None
    part = design.part(10)
    if part.n > design.n // 2:
        return None
    try:
        _check_providers(part)
        FAMILIES[family].check(part.outcomes)
        found = fit_laplace(part, FAMILIES[family], between[:, : part.n_providers])
    except (ArrayError, np.linalg.LinAlgError):
        return None
    if not found.summit.settled:
        return None
    return replace(found.point, effects=np.zeros(design.n_providers))


def _coefficients(
    design: Design, between: Floats, coef: Floats, covariance: Floats
) -> dict[str, Any]:
    """Name the coefficients: intercept, those of provider means, those of the covariates."""
    k = len(between)
    coef, covariance = _as_they_came(design, k, coef, covariance)
    errors = np.sqrt(np.diag(covariance))
    return {
        "providers": design.labels,
        "n": design.sizes,
        "intercept": float(coef[0]),
        "intercept_se": float(errors[0]),
        "coef": coef[k:],
        "coef_se": errors[k:],
        "between_coef": coef[1:k],
        "between_se": errors[1:k],
        "coef_covariance": covariance,
    }


def _as_they_came(
    design: Design, k: int, coef: Floats, covariance: Floats
) -> tuple[Floats, Floats]:
    """Return coefficients with the intercept where covariates are 0 as they came."""
    back = np.eye(len(coef))
    back[0, k:] = -design.shift
    if k > 1:
        back[0, 1:k] = -design.shift
    return back @ coef, back @ covariance @ back.T


def _warnings(design: Design, found: Summit) -> list[FitWarning]:
    if found.runaway.size:
        places = found.runaway - (len(found.view.arrow.gram) - len(design.names))
        instead = "fixed effects with firth=True"
        return [SeparationWarning(no_bound(design.names, places[places >= 0], instead))]
    if not found.settled:
        return [NotConvergedWarning(f"not settled after {found.passes} passes.")]
    return []
