"""Fixed provider effects: every provider's own intercept, case mix estimated within providers.

Coefficients compare patients of the same provider, so that they do not absorb differences in
quality when better providers treat different patients (He, Kalbfleisch, Li and Li 2013, Lifetime
Data Anal 19:490-512). Provider effects are eliminated from each Newton step, so that thousands of
them cost no more than their sums.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from riskadj.engine import Blocks
from riskadj.errors import ArrayError
from riskadj.stats.arrays import Floats, one_of
from riskadj.stats.arrow import Arrow, CollinearError
from riskadj.stats.design import Design, build_design, design_over, no_bound, said, worded
from riskadj.stats.dispersion import between_variance
from riskadj.stats.families import FAMILIES
from riskadj.stats.fits import (
    AllOrNoneWarning,
    FitWarning,
    FixedEffects,
    NotConvergedWarning,
    SeparationWarning,
    tell,
)
from riskadj.stats.fixed_logistic import events_of, fit_logistic, moved_to_means
from riskadj.stats.linear_sums import centre_of, first_look, look_again
from riskadj.stats.newton import Summit
from riskadj.stats.threads import one_thread

FAMILY_NAMES = ("gaussian", "binomial")


def fit_fixed_effects(
    y: ArrayLike,
    X: ArrayLike,
    provider: ArrayLike,
    family: str = "gaussian",
    firth: bool = False,
    *,
    weights: ArrayLike | None = None,
    offset: ArrayLike | None = None,
) -> FixedEffects:
    """Fit case-mix coefficients and an intercept for every provider, by maximum likelihood.

    Parameters
    ----------
    y : array-like of shape (n_episodes,)
        Outcome; 0 or 1 for `binomial`.
    X : array-like or DataFrame of shape (n_episodes, n_covariates)
        Case mix, without a constant. Covariates have to vary within providers.
    provider : array-like of shape (n_episodes,)
        Labels.
    family : {"gaussian", "binomial"}
        Identity and logit link.
    firth : bool
        Maximise the likelihood times the square root of the information's determinant (Firth
        1993, Biometrika 80:27-38), all coefficients and effects included: less bias with few
        events, and finite effects for providers with no or only events. `binomial` only.
    weights : array-like of shape (n_episodes,), optional
        Not negative. `gaussian`: inverse variances; `binomial`: multiply the log-likelihood.
        Episodes of weight 0 take no part; a provider with no others is refused, as it has no
        effect: leave its episodes out.
    offset : array-like of shape (n_episodes,), optional
        Added to the linear predictor.

    Returns
    -------
    FixedEffects

    Raises
    ------
    ArrayError
        When arrays do not fit each other or are not finite, a covariate is collinear or constant
        within providers, or nothing is left to learn from.

    Warns
    -----
    AllOrNoneWarning, SeparationWarning, NotConvergedWarning
        Also in `warnings` of the result.

    Notes
    -----
    A `gaussian` outcome that covariates and providers explain without any rest is fitted exactly,
    and without a warning: `residual_sd` and all standard errors are then 0 but for rounding, and
    a z-score from them has no meaning. `fit_random_intercept` refuses such an outcome, for it has
    to tell variance between providers from variance within.

    Examples
    --------
    >>> y = [1.0, 2.0, 4.0, 6.5, 5.0]
    >>> x = [[0.0], [1.0], [0.0], [2.0], [1.0]]
    >>> fit = fit_fixed_effects(y, x, ["a", "a", "b", "b", "b"])
    >>> fit.coef.round(6).tolist(), fit.effects.round(6).tolist()
    ([1.2], [0.9, 3.966667])
    """
    _check_choices(family, firth)
    return _fit(build_design(y, X, provider, weights, offset), family, firth)


def fixed_effects_over(
    blocks: Blocks, family: str = "gaussian", firth: bool = False
) -> FixedEffects:
    """Fit what `fit_fixed_effects` fits to episodes that are laid in blocks, wherever these are.

    Parameters
    ----------
    blocks : Blocks
        Of `Rows`, cut anywhere: a provider may be in several.
    family, firth
        As in `fit_fixed_effects`.

    Returns
    -------
    FixedEffects
        Where blocks begin, and in which order workers finish, changes rounding only.

    Raises
    ------
    ArrayError
        As `fit_fixed_effects`; of blocks that are not sound, the first is told.
    EngineError
        When those who hold the blocks are gone.

    Examples
    --------
    >>> from riskadj.engine import Local
    >>> from riskadj.stats import Rows
    >>> rows = [
    ...     Rows([1.0, 2.0, 4.0], [[0.0], [1.0], [0.0]], ["a", "a", "b"]),
    ...     Rows([6.5, 5.0], [[2.0], [1.0]], ["b", "b"]),
    ... ]
    >>> fixed_effects_over(Local().place(rows)).effects.round(6).tolist()
    [0.9, 3.966667]
    """
    _check_choices(family, firth)
    return _fit(design_over(blocks), family, firth)


def _check_choices(family: str, firth: bool) -> None:
    one_of("family", family, FAMILY_NAMES)
    if firth and family != "binomial":
        raise ArrayError(f"firth: wanted family 'binomial'; got {family!r}. Set firth to False.")


def _fit(design: Design, family: str, firth: bool) -> FixedEffects:
    FAMILIES[family].check(design.outcomes)
    _check_episodes(design, firth)
    try:
        with one_thread():
            return _linear(design) if family == "gaussian" else _logistic(design.in_order(), firth)
    except CollinearError as error:
        raise _not_apart(design, error, family == "binomial" and not firth) from None
    except np.linalg.LinAlgError as error:
        raise ArrayError(f"y, X: wanted a model that can be fitted; got none ({error}).") from None


def _check_episodes(design: Design, firth: bool) -> None:
    """Refuse providers of one episode each, within which nothing can be compared."""
    if design.n > design.n_providers or (firth and not design.n_covariates):
        return
    raise ArrayError(
        "provider: wanted providers with several episodes, within which episodes can be compared; "
        f"got {design.n:,} {worded(design.n, 'provider', 'providers')} of one episode each. "
        "Compare larger units."
    )


def _not_apart(design: Design, error: CollinearError, both_outcomes: bool) -> ArrayError:
    """Return why coefficients are not apart, in words of the covariates."""
    which, count = said(design.names, error.columns), len(error.columns)
    them = worded(count, "it", "them")
    within = "providers that have both outcomes" if both_outcomes else "providers"
    if error.alone:
        return ArrayError(
            f"X: wanted covariates that vary within {within}; got {which}, which "
            f"{worded(count, 'does', 'do')} not. Leave {them} out, or fit random intercepts."
        )
    return ArrayError(
        f"X: wanted covariates that vary within {within}, none a combination of others; got "
        f"{which}. Leave {them} out."
    )


def _linear(design: Design) -> FixedEffects:
    """Return the least-squares fit: one look and a solve, and another for the last digits."""
    left = design.n - design.n_providers - design.n_covariates
    if left < 1:
        raise ArrayError(
            "provider: wanted more episodes than providers and covariates together; got "
            f"{design.n:,} episodes of {design.n_providers:,} providers. Fit random intercepts."
        )
    centre = centre_of(design)
    sums = first_look(design, centre)
    arrow = Arrow(1 / sums.weight, sums.cross, sums.gram)
    arrow.check(int(design.sizes.max()))
    effects, coef = arrow.solve(sums.score, sums.slope)
    effects += centre
    sums = look_again(design, sums, coef, effects)
    more_effects, more_coef = arrow.solve(sums.score, sums.slope)
    squares = float(-2 * sums.loglik - more_coef @ sums.slope - more_effects @ sums.score)
    variance = max(squares, 0.0) / left
    return FixedEffects(
        family="gaussian",
        **_estimates(design, arrow, coef + more_coef, effects + more_effects, variance),
        providers=design.labels,
        n=design.sizes,
        residual_sd=float(np.sqrt(variance)),
        loglik=_log_likelihood(design, squares),
        converged=True,
        passes=2,
        firth=False,
    )


def _log_likelihood(design: Design, squares: float) -> float:
    variance = max(squares / design.n, np.finfo(float).tiny)
    return float(-0.5 * (design.n * (np.log(2 * np.pi * variance) + 1) - design.log_weights))


def _logistic(design: Design, firth: bool) -> FixedEffects:
    events = events_of(design)
    held = ((events == 0) | (events == design.sizes)) & (not firth)
    if held.all():
        raise ArrayError(
            "y: wanted a provider with episodes that differ in outcome; got none. "
            "Fit random intercepts, or Firth's correction."
        )
    few = moved_to_means(design.of_providers(~held))
    found = fit_logistic(few, firth)
    coef, effects = np.split(found.point, [design.n_covariates])
    estimates = _estimates(few, found.view.arrow, coef, effects)
    infinite = np.where(events > 0, np.inf, -np.inf)
    for name, whole in (("effects", infinite), ("effects_se", np.abs(infinite))):
        whole[~held] = estimates[name]
        estimates[name] = whole
    return FixedEffects(
        family="binomial",
        **estimates,
        providers=design.labels,
        n=design.sizes,
        residual_sd=float("nan"),
        loglik=found.view.objective,
        converged=found.settled,
        passes=found.passes,
        firth=firth,
        warnings=tell(_warnings(design, found, estimates["effects"])),
    )


def _estimates(
    design: Design, arrow: Arrow, coef: Floats, effects: Floats, variance: float = 1.0
) -> dict[str, Any]:
    """Name the estimates, effects where covariates are 0 as they came."""
    covariance = variance * arrow.coef_covariance
    shift = design.shift if design.shift.ndim == 2 else design.shift[:, None]
    errors = np.sqrt(variance * arrow.effect_variance(-shift))
    return {
        "coef": coef,
        "coef_se": np.sqrt(np.diag(covariance)),
        "coef_covariance": covariance,
        "effects": effects - coef @ shift,
        "effects_se": errors,
        "sigma": _spread(arrow, coef, effects, variance, shift),
    }


def _spread(arrow: Arrow, coef: Floats, effects: Floats, variance: float, shift: Floats) -> float:
    """Return how far effects vary beyond their errors, both where covariates are at their mean."""
    weight = 1 / arrow.inverse
    mean = (arrow.cross + weight * shift).sum(axis=1) / weight.sum()
    at = mean[:, None] - shift
    errors = np.sqrt(variance * arrow.effect_variance(at))
    if len(effects) < 2 or not (errors > 0).all():
        return float("nan")
    return float(np.sqrt(between_variance(effects + coef @ at, errors).tau2))


def _warnings(design: Design, found: Summit, effects: Floats) -> list[FitWarning]:
    told: list[FitWarning] = []
    if np.isinf(effects).any():
        none, only = int((effects == -np.inf).sum()), int((effects == np.inf).sum())
        told.append(
            AllOrNoneWarning(
                f"{none:,} {worded(none, 'provider has', 'providers have')} no events and "
                f"{only:,} only events: their fixed effects are infinite (of the result, "
                "`providers[numpy.isinf(effects)]`). Use firth=True, random intercepts or exact "
                "tests."
            )
        )
    if found.runaway.size:
        told.append(SeparationWarning(no_bound(design.names, found.runaway, "firth=True")))
    elif not found.settled:
        told.append(NotConvergedWarning(f"not settled after {found.passes} passes."))
    return told
