"""Who was followed up: rates of follow-up, and weights that let responders stand for everybody.

Weights remove what differs between responders and everybody else only as far as it is in the
covariates of the response model. What is not there, no weight removes (see `tipping`).
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit

from riskadj.errors import ArrayError, ValuesError
from riskadj.stats.arrays import Floats, above, at_least, finite, one_of, plain
from riskadj.stats.fits import FitWarning, SeparationWarning
from riskadj.stats.fixed_effects import fit_fixed_effects
from riskadj.stats.groups import Groups, group_rows
from riskadj.stats.random_intercept import fit_random_intercept
from riskadj.stats.threads import one_thread

Bools = NDArray[np.bool_]

SAME = 1e-9
"""Share of the variation of standardised covariates below which a direction says nothing new."""


# --- rates ---


class _Rate(NamedTuple):
    part: str
    whole: str
    may_exceed: bool = False


RATES: dict[str, _Rate] = {
    "participation": _Rate("q1", "procedures", may_exceed=True),
    "linkage": _Rate("linked", "q1"),
    "issue": _Rate("q2_sent", "q1"),
    "response": _Rate("q2_returned", "q2_sent"),
}
"""What is divided by what."""


@dataclass(frozen=True)
class FollowUpRates:
    """How many of those eligible were asked, found again, asked again, and answered.

    Attributes
    ----------
    participation, linkage, issue, response : ndarray of shape (n_providers,)
        Shares, 0 to 1; participation may be above 1. NaN where there was nobody to count, or
        where a count was not given. NHS England prints 0 for nobody of nobody.
    over_participation : ndarray of bool, shape (n_providers,)
        More questionnaires before the operation than procedures, no procedure at all included.
        They are counted where they are handed out, procedures where they are done, so that the
        two need not be the same patients.
    """

    participation: Floats
    linkage: Floats
    issue: Floats
    response: Floats
    over_participation: Bools


def follow_up_rates(
    *,
    procedures: ArrayLike | None = None,
    q1: ArrayLike | None = None,
    linked: ArrayLike | None = None,
    q2_sent: ArrayLike | None = None,
    q2_returned: ArrayLike | None = None,
) -> FollowUpRates:
    """Return participation, linkage, issue and response rates.

    Parameters
    ----------
    procedures : array-like of shape (n_providers,), optional
        Eligible procedures at the operating provider.
    q1 : array-like of shape (n_providers,), optional
        Questionnaires before the operation, at the provider that hands them out.
    linked : array-like of shape (n_providers,), optional
        Of `q1`, those linked to a procedure.
    q2_sent, q2_returned : array-like of shape (n_providers,), optional
        Questionnaires after the operation.

    Returns
    -------
    FollowUpRates

    Raises
    ------
    ArrayError
        When counts are negative, not whole, not finite or of unequal length; or none is given.
    ValuesError
        When a rate other than participation is above 100 %.

    Notes
    -----
    Participation: q1 / procedures; linkage: linked / q1; issue: q2_sent / q1; response:
    q2_returned / q2_sent (NHS England, A Guide to PROMs Methodology, version 12).

    Examples
    --------
    >>> england = follow_up_rates(
    ...     procedures=[175_041], q1=[150_340], linked=[117_142], q2_sent=[139_953],
    ...     q2_returned=[97_545],
    ... )
    >>> float(england.participation[0].round(7)), float(england.response[0].round(6))
    (0.8588845, 0.696984)
    """
    given = {
        "procedures": procedures,
        "q1": q1,
        "linked": linked,
        "q2_sent": q2_sent,
        "q2_returned": q2_returned,
    }
    counts = _counted({name: one for name, one in given.items() if one is not None})
    shape = next(iter(counts.values())).shape
    rates = {name: _rate(name, counts, shape) for name in RATES}
    return FollowUpRates(**rates, over_participation=_over(counts, shape))


def _counted(given: dict[str, ArrayLike]) -> dict[str, Floats]:
    """Return counts, all of one shape."""
    if not given:
        raise ArrayError("counts: wanted those of follow-up; got none. Give at least two of them.")
    shape = np.shape(next(iter(given.values())))
    counts = {name: at_least(name, one, 0.0, shape) for name, one in given.items()}
    for name, one in counts.items():
        if (one != np.rint(one)).any():
            raise ArrayError(f"{name}: wanted whole numbers; got others.")
    return counts


def _rate(name: str, counts: dict[str, Floats], shape: tuple[int, ...]) -> Floats:
    rate = RATES[name]
    if rate.part not in counts or rate.whole not in counts:
        return np.full(shape, np.nan)
    part, whole = counts[rate.part], counts[rate.whole]
    wrong = np.flatnonzero(part > whole)
    if wrong.size and not rate.may_exceed:
        first = np.unravel_index(wrong[0], shape)
        raise ValuesError(
            f"{rate.part}: wanted no more than {rate.whole}, or the {name} rate is above 100 %; "
            f"got {part[first]:,.0f} of {whole[first]:,.0f}, and {wrong.size:,} such in all. "
            "Count the same patients in both."
        )
    return np.divide(part, whole, out=np.full(shape, np.nan), where=whole > 0)


def _over(counts: dict[str, Floats], shape: tuple[int, ...]) -> Bools:
    if "q1" not in counts or "procedures" not in counts:
        return np.zeros(shape, dtype=bool)
    return np.asarray(counts["q1"] > counts["procedures"])


# --- the response model ---


@dataclass(frozen=True)
class Directions:
    """Covariates as uncorrelated directions; what says nothing new is left out.

    Attributes
    ----------
    mean : ndarray of shape (n_covariates,)
    basis : ndarray of shape (n_covariates, n_directions)
        A direction is (x - mean) @ basis.
    """

    mean: Floats
    basis: Floats

    def of(self, X: Floats) -> Floats:
        """Return the directions of some rows of covariates."""
        return np.asarray((X - self.mean) @ self.basis)


def directions(X: Floats, within: Groups | None = None) -> Directions:
    """Return uncorrelated directions of unit variance that span the covariates.

    Collinear covariates (a column for every level of a category) and constant ones are no fault
    here: fitted values do not depend on which of them is left out.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_covariates)
    within : Groups, optional
        Keep only what varies within groups.
    """
    mean = X.mean(axis=0)
    apart = X - (mean if within is None else within.at_rows(within.mean(X.T)).T)
    scale = apart.std(axis=0)
    # What is left of a constant after its mean is rounding, not variation.
    varies = scale > SAME * np.abs(X).max(axis=0, initial=0.0)
    unit = np.where(varies, 1 / np.where(varies, scale, 1.0), 0.0)
    with one_thread():
        standard = apart * unit
        size, vectors = np.linalg.eigh(standard.T @ standard / len(X))
    kept = size > SAME * max(1, int(varies.sum()))
    return Directions(mean, unit[:, None] * vectors[:, kept] / np.sqrt(size[kept]))


def covariate_rows(X: ArrayLike, n: int) -> Floats:
    """Return covariates as floats of shape (n, n_covariates).

    Raises
    ------
    ArrayError
    """
    x = finite("X", X)
    x = x[:, None] if x.ndim == 1 else x
    if x.ndim != 2 or len(x) != n:
        raise ArrayError(f"X: wanted {n:,} rows of covariates; got shape {x.shape}.")
    return x


@dataclass(frozen=True)
class ResponseModel:
    """The probability of an answer, from a logistic model.

    Attributes
    ----------
    probability : ndarray of shape (n_episodes,)
    intercept : float
    coef : ndarray of shape (n_covariates,)
        Log-odds per unit. Of collinear covariates one of many sets with the same fitted values.
    providers : ndarray of shape (n_providers,)
        Labels, sorted.
    effects : ndarray of shape (n_providers,)
        Log-odds beside the intercept; 0 without provider effects.
    sigma : float
        Standard deviation between providers (log-odds); 0 without provider effects.
    provider_effect : str
    converged : bool
    warnings : tuple of FitWarning
    """

    probability: Floats
    intercept: float
    coef: Floats
    providers: NDArray[Any]
    effects: Floats
    sigma: float
    provider_effect: str
    converged: bool
    warnings: tuple[FitWarning, ...] = ()


def fit_response(
    answered: ArrayLike, X: ArrayLike, provider: ArrayLike, provider_effect: str = "random"
) -> ResponseModel:
    """Fit the probability that an episode has an answer.

    Parameters
    ----------
    answered : array-like of shape (n_episodes,)
        0 or 1; an answer that cannot be scored is none.
    X : array-like of shape (n_episodes, n_covariates)
        Known for everybody, missing values encoded; may be collinear, may have no columns.
        Give all that goes with both answering and outcome, the expected value among it.
    provider : array-like of shape (n_episodes,)
        Labels.
    provider_effect : {"random", "fixed", "none"}
        `random`: normal intercepts, Laplace's approximation of the likelihood; `fixed` instead
        where the covariates tell some who answered from the others without error. `fixed`: an
        intercept for each provider. `none`: one for all. The last two with Firth's correction
        (1993, Biometrika 80:27-38), so that coefficients stay finite where covariates, or a
        provider's name, tell answers from silence without error.

    Returns
    -------
    ResponseModel
        Of probability 1 throughout when everybody answered: there is nothing to model.

    Raises
    ------
    ArrayError
        When arrays do not fit each other or nobody answered.

    Examples
    --------
    >>> answered = [1, 0, 1, 1, 0, 1, 0, 0]
    >>> model = fit_response(answered, np.zeros((8, 0)), list("aaaabbbb"), "none")
    >>> model.probability.round(3).tolist()[:2]
    [0.5, 0.5]
    """
    one_of("provider_effect", provider_effect, _FITS)
    groups = group_rows(provider)
    answer = _answers(answered, groups.n_rows)
    x = covariate_rows(X, groups.n_rows)
    if answer.all():
        return _everybody(groups, x.shape[1], provider_effect)
    try:
        span, fitted = _fit(provider_effect, answer, x, groups)
    except ArrayError:
        if provider_effect != "random":
            raise
        provider_effect = "fixed"
        span, fitted = _fit(provider_effect, answer, x, groups)
    coef = span.basis @ fitted.coef
    return ResponseModel(
        probability=expit(fitted.intercept + fitted.effects[groups.codes] + (x - span.mean) @ coef),
        intercept=fitted.intercept - float(span.mean @ coef),
        coef=coef,
        providers=groups.labels,
        effects=fitted.effects,
        sigma=fitted.sigma,
        provider_effect=provider_effect,
        converged=fitted.converged,
        warnings=fitted.warnings,
    )


def _fit(
    provider_effect: str, answer: Bools, x: Floats, groups: Groups
) -> tuple[Directions, "_Fitted"]:
    span = directions(x, groups if provider_effect == "fixed" else None)
    return span, _FITS[provider_effect](answer.astype(np.float64), span.of(x), groups)


class _Fitted(NamedTuple):
    intercept: float
    coef: Floats
    effects: Floats
    sigma: float
    converged: bool
    warnings: tuple[FitWarning, ...]


def _answers(answered: ArrayLike, n: int) -> Bools:
    values = finite("answered", answered, (n,))
    if not ((values == 0) | (values == 1)).all():
        raise ArrayError("answered: wanted 0 or 1; got other values.")
    if not values.any():
        raise ArrayError("answered: wanted somebody who did; got nobody. There is no outcome.")
    return values.astype(bool)


def _everybody(groups: Groups, n_covariates: int, provider_effect: str) -> ResponseModel:
    return ResponseModel(
        probability=np.ones(groups.n_rows),
        intercept=float("inf"),
        coef=np.zeros(n_covariates),
        providers=groups.labels,
        effects=np.zeros(len(groups)),
        sigma=0.0,
        provider_effect=provider_effect,
        converged=True,
    )


def _random(answer: Floats, x: Floats, groups: Groups) -> _Fitted:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SeparationWarning)
        fit = fit_random_intercept(answer, x, groups.codes, "binomial")
    # One silent patient alone at a level of a factor is enough for a coefficient without end.
    if not fit.converged or any(isinstance(one, SeparationWarning) for one in fit.warnings):
        raise ArrayError("X: wanted covariates that do not tell all answers; got such.")
    return _Fitted(fit.intercept, fit.coef, fit.effects, fit.sigma, fit.converged, fit.warnings)


def _fixed(answer: Floats, x: Floats, groups: Groups) -> _Fitted:
    fit = fit_fixed_effects(answer, x, groups.codes, "binomial", firth=True)
    centre = float(groups.sizes @ fit.effects) / groups.n_rows
    return _Fitted(centre, fit.coef, fit.effects - centre, fit.sigma, fit.converged, fit.warnings)


def _pooled(answer: Floats, x: Floats, groups: Groups) -> _Fitted:
    fit = fit_fixed_effects(answer, x, np.zeros(groups.n_rows), "binomial", firth=True)
    none = np.zeros(len(groups))
    return _Fitted(float(fit.effects[0]), fit.coef, none, 0.0, fit.converged, fit.warnings)


_FITS: dict[str, Callable[[Floats, Floats, Groups], _Fitted]] = {
    "random": _random,
    "fixed": _fixed,
    "none": _pooled,
}


# --- weights ---


@dataclass(frozen=True)
class ResponseWeights:
    """Stabilised, trimmed inverse-probability weights.

    Attributes
    ----------
    weight : ndarray of shape (n_episodes,)
        0 for those who did not answer.
    lower, upper : float
        What weights were trimmed to.
    trimmed : int
        Weights that were changed by it.
    providers : ndarray of shape (n_providers,)
        Labels, sorted.
    eligible, responders : ndarray of shape (n_providers,)
        Episodes, and those with an answer.
    effective : ndarray of shape (n_providers,)
        Kish's effective number of responders (1965, Survey Sampling),
        (sum w)^2 / sum w^2; 0 where nobody answered.
    effective_n : float
        The same over all episodes.
    numerator : str
    """

    weight: Floats
    lower: float
    upper: float
    trimmed: int
    providers: NDArray[Any]
    eligible: NDArray[np.intp]
    responders: NDArray[np.intp]
    effective: Floats
    effective_n: float
    numerator: str


def response_weights(
    answered: ArrayLike,
    probability: ArrayLike,
    provider: ArrayLike,
    *,
    numerator: str = "provider",
    trim: tuple[float, float] = (0.01, 0.99),
) -> ResponseWeights:
    """Return the weight of every responder: a response rate over the probability of its answer.

    Parameters
    ----------
    answered : array-like of shape (n_episodes,)
        0 or 1.
    probability : array-like of shape (n_episodes,)
        Of an answer, from `fit_response`; above 0 and at most 1.
    provider : array-like of shape (n_episodes,)
        Labels.
    numerator : {"provider", "overall"}
        Whose response rate. A factor that all of a provider's episodes share cancels in its own
        weighted mean, so that before trimming the two compare providers alike. They differ in
        what is trimmed. With the overall rate nearly all weights of a provider that few answer
        are large, and trimming makes them equal: the adjustment is undone where it is wanted
        most. With the provider's own rate its weights average about 1, and trimming takes
        extremes among its patients. Hence the default. Choose `overall` for sums over all
        providers at once, in which each is to count by its eligible episodes.
    trim : tuple of float
        Quantiles of responders' weights to which the rest are pulled in; (0, 1): none.

    Returns
    -------
    ResponseWeights

    Raises
    ------
    ArrayError

    Notes
    -----
    Stabilised weights: Robins, Hernan and Brumback (2000), Epidemiology 11:550-560; trimming:
    Cole and Hernan (2008), Am J Epidemiol 168:656-664. Trimming trades variance for bias: in the
    worlds of tests/recovery/test_missing.py a bias of 0.62 points among complete cases is 0.21
    after the default trimming (0.30 with the overall rate), and 0.08 without any, at an error of
    1.35 and 1.45 points.

    Examples
    --------
    >>> found = response_weights([1, 1, 0, 1], [0.5, 1.0, 0.5, 1.0], list("aaaa"), trim=(0, 1))
    >>> found.weight.tolist(), float(found.effective[0].round(3))
    ([1.5, 0.75, 0.0, 0.75], 2.667)
    """
    one_of("numerator", numerator, _NUMERATORS)
    groups = group_rows(provider)
    answer = _answers(answered, groups.n_rows)
    chance = above("probability", probability, 0.0, answer.shape)
    if chance.max() > 1:
        raise ArrayError(f"probability: wanted numbers of 1 or less; got {chance.max():g}.")
    raw = _NUMERATORS[numerator](answer, groups)[answer] / chance[answer]
    lower, upper = np.quantile(raw, _trim(trim))
    weight = np.zeros(answer.size)
    weight[answer] = np.clip(raw, lower, upper)
    return ResponseWeights(
        weight=weight,
        lower=float(lower),
        upper=float(upper),
        trimmed=int(((raw < lower) | (raw > upper)).sum()),
        providers=groups.labels,
        eligible=groups.sizes,
        responders=groups.total(answer).astype(np.intp),
        effective=_kish(groups.total(weight), groups.total(weight**2)),
        effective_n=float(weight.sum() ** 2 / (weight @ weight)),
        numerator=numerator,
    )


def _own_rate(answer: Bools, groups: Groups) -> Floats:
    return np.asarray(groups.mean(answer)[groups.codes])


def _overall_rate(answer: Bools, _groups: Groups) -> Floats:
    return np.full(answer.size, answer.mean())


_NUMERATORS: dict[str, Callable[[Bools, Groups], Floats]] = {
    "provider": _own_rate,
    "overall": _overall_rate,
}


def _trim(trim: tuple[float, float]) -> tuple[float, float]:
    low, high = trim
    if not 0 <= low < high <= 1:
        raise ArrayError(
            f"trim: wanted two quantiles within 0 and 1, in order; got {plain(trim)!r}."
        )
    return low, high


def _kish(total: Floats, squares: Floats) -> Floats:
    return np.divide(total**2, squares, out=np.zeros_like(total), where=squares > 0)


# --- balance ---


@dataclass(frozen=True)
class Balance:
    """How far responders are from everybody, covariate by covariate.

    Attributes
    ----------
    everybody, responders, weighted : ndarray of shape (n_covariates,)
        Plain means: of all rows, of those who answered, and of these by their weights.
    sd : ndarray of shape (n_covariates,)
        Standard deviation among everybody; within providers, of those that anybody answered.
    unweighted_difference, weighted_difference : ndarray of shape (n_covariates,)
        Responders less everybody, over `sd`; 0 where that is 0. Within providers it is their mean
        difference, each counting by its eligible episodes, so that it is not that of the means.
    """

    everybody: Floats
    responders: Floats
    weighted: Floats
    sd: Floats
    unweighted_difference: Floats
    weighted_difference: Floats


def balance(X: ArrayLike, weight: ArrayLike, provider: ArrayLike | None = None) -> Balance:
    """Return standardised differences between responders and everybody, before and after weights.

    Parameters
    ----------
    X : array-like of shape (n_episodes, n_covariates)
    weight : array-like of shape (n_episodes,)
        0 for those who did not answer.
    provider : array-like of shape (n_episodes,), optional
        Compare within providers: each counts by its eligible episodes on either side, and those
        that nobody answered are left out. This is the balance that a comparison of providers
        needs, and the only one that weights with numerator `provider` aim at.

    Raises
    ------
    ArrayError

    Notes
    -----
    An absolute difference above 0.1 is often called imbalance (Austin 2009, Stat Med
    28:3083-3107).

    Examples
    --------
    >>> table = balance([[0.0], [0.0], [1.0], [1.0]], [2.0, 0.0, 1.0, 1.0])
    >>> table.unweighted_difference.round(3).tolist(), table.weighted_difference.tolist()
    ([0.333], [0.0])
    """
    w = at_least("weight", weight, 0.0)
    x = covariate_rows(X, w.size)
    if not w.any():
        raise ArrayError("weight: wanted some above 0; got none.")
    groups = group_rows(np.zeros(w.size) if provider is None else provider)
    if groups.n_rows != w.size:
        raise ArrayError(f"provider: wanted one per episode, {w.size:,}; got {groups.n_rows:,}.")
    answered, followed = (w > 0).astype(np.float64), (groups.total(w) > 0)[groups.codes]
    middle, sd = x[followed].mean(axis=0), x[followed].std(axis=0)
    return Balance(
        everybody=x.mean(axis=0),
        responders=np.asarray(answered @ x / answered.sum()),
        weighted=np.asarray(w @ x / w.sum()),
        sd=sd,
        unweighted_difference=_standardised(_mean_within(x, answered, groups) - middle, sd),
        weighted_difference=_standardised(_mean_within(x, w, groups) - middle, sd),
    )


def _mean_within(x: Floats, w: Floats, groups: Groups) -> Floats:
    """Return weighted means, weights scaled to add to the rows of each group that has any."""
    total = groups.total(w)
    scale = np.divide(groups.sizes, total, out=np.zeros_like(total), where=total > 0)
    scaled = w * scale[groups.codes]
    return np.asarray(scaled @ x / scaled.sum())


def _standardised(difference: Floats, sd: Floats) -> Floats:
    return np.divide(difference, sd, out=np.zeros_like(difference), where=sd > 0)


# --- weighted means of providers ---


@dataclass(frozen=True)
class WeightedMeans:
    """Weighted mean of each provider, and its standard errors.

    Attributes
    ----------
    providers : ndarray of shape (n_providers,)
        Labels, sorted.
    n : ndarray of shape (n_providers,)
        Episodes with a weight.
    effective : ndarray of shape (n_providers,)
        (sum w)^2 / sum w^2; 0 without any.
    mean : ndarray of shape (n_providers,)
        sum w r / sum w; NaN where nobody has a weight.
    error : ndarray of shape (n_providers,)
        Sandwich, from the provider's own episodes; NaN with fewer than two.
    pooled_error : ndarray of shape (n_providers,)
        sd sqrt(sum w^2) / sum w, `sd` from all providers; NaN without any episode.
    sd : float
        Root of the squared distances from provider means that squared weights average: that of a
        single episode, as it matters to weighted means.
    centre : float
        Mean of provider means by eligible episodes, providers without responders left out.
    """

    providers: NDArray[Any]
    n: NDArray[np.intp]
    effective: Floats
    mean: Floats
    error: Floats
    pooled_error: Floats
    sd: float
    centre: float


def weighted_means(residual: ArrayLike, weight: ArrayLike, provider: ArrayLike) -> WeightedMeans:
    """Return each provider's weighted mean of observed - expected.

    Parameters
    ----------
    residual : array-like of shape (n_episodes,)
        Any value, NaN too, where the weight is 0.
    weight : array-like of shape (n_episodes,)
        Not negative; 0 for those who did not answer.
    provider : array-like of shape (n_episodes,)
        Labels.

    Returns
    -------
    WeightedMeans

    Raises
    ------
    ArrayError

    Notes
    -----
    With e = r - mean and h = w / sum w, the squared error is sum h^2 e^2 / (1 - h): the sandwich
    (Huber 1967; White 1980, Econometrica 48:817-838) with the correction of MacKinnon and White
    (1985, J Econometrics 29:305-325) known as HC2. Equal weights make it s / sqrt(n), s with
    divisor n - 1. Weights are taken as known; that they were estimated makes means more certain,
    not less, if the response model holds (Lunceford and Davidian 2004, Stat Med 23:2937-2960), so
    that errors err on the safe side. Few episodes make `error` itself uncertain;
    `pooled_error` is the one to hold against limits that use one standard deviation for all, as
    NHS England's do: z = (mean - centre) / pooled_error.

    Examples
    --------
    >>> found = weighted_means([1.0, 3.0, float("nan"), 2.0, 0.0], [1, 1, 0, 3, 1], list("aaabb"))
    >>> found.mean.tolist(), found.effective.round(2).tolist()
    ([2.0, 1.5], [2.0, 1.6])
    >>> found.error.round(3).tolist(), found.pooled_error.round(3).tolist()
    ([1.0, 0.866], [1.0, 1.118])
    """
    groups = group_rows(provider)
    w = at_least("weight", weight, 0.0, (groups.n_rows,))
    if not w.any():
        raise ArrayError("weight: wanted some above 0; got none.")
    r = _where_weighted(residual, w)
    total, squares = groups.total(w), groups.total(w**2)
    mean = _ratio(groups.total(w * r), total)
    meat, expected = _sandwich(w, r, np.nan_to_num(mean), total, groups)
    n = groups.total(w > 0).astype(np.intp)
    sd = _pooled_sd(meat, expected)
    return WeightedMeans(
        providers=groups.labels,
        n=n,
        effective=_kish(total, squares),
        mean=mean,
        error=np.where(n > 1, _ratio(np.sqrt(meat), total), np.nan),
        pooled_error=_ratio(sd * np.sqrt(squares), total),
        sd=sd,
        centre=float(np.average(mean[total > 0], weights=groups.sizes[total > 0])),
    )


def _where_weighted(residual: ArrayLike, w: Floats) -> Floats:
    """Return residuals, 0 where the weight is 0."""
    given = np.asarray(residual)
    if given.shape != w.shape:
        raise ArrayError(f"residual: wanted shape {w.shape}; got {given.shape}.")
    r = np.zeros(w.size)
    r[w > 0] = finite("residual of responders", given[w > 0])
    return r


def _sandwich(
    w: Floats, r: Floats, mean: Floats, total: Floats, groups: Groups
) -> tuple[Floats, Floats]:
    """Return sum w^2 e^2 / (1 - h) of each provider, and its expectation at unit variance.

    The expectation leaves out providers with one episode, whose distance from itself is 0.
    """
    share = w / np.where(total > 0, total, 1.0)[groups.codes]
    alone = share > 1 - SAME
    squared = np.where(alone, 0.0, w**2 / np.where(alone, 1.0, 1 - share))
    meat = groups.total(squared * (r - mean[groups.codes]) ** 2)
    own = groups.total(share**2)[groups.codes]
    # The variance of r - mean is 1 - 2 h + sum h^2.
    return meat, groups.total(squared * (1 - 2 * share + own))


def _pooled_sd(meat: Floats, expected: Floats) -> float:
    if not expected.sum() > 0:
        raise ArrayError(
            "residual: wanted a provider with two or more responders, for an error; got none."
        )
    return float(np.sqrt(meat.sum() / expected.sum()))


def _ratio(part: Floats, whole: Floats) -> Floats:
    return np.divide(part, whole, out=np.full(whole.shape, np.nan), where=whole > 0)
