"""Multiple imputation of outcomes that nobody reported, with provider effects.

What is missing is drawn several times from what the model says of it, the model's own parameters
drawn anew each time; the spread of the answers is the price of not knowing (Rubin 1987, Multiple
Imputation for Nonresponse in Surveys). In the model provider effects are draws from one
distribution, which tells spreads and coefficients, and all there is to know of a provider without
answers. Where a provider has answers, what is imputed takes the effect that these have, doubt and
all: drawn towards the others, imputed answers would be at odds with a mean of the provider alone.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from riskadj.errors import ArrayError
from riskadj.stats.arrays import (
    Floats,
    above,
    at_least,
    finite,
    is_masked,
    one_of,
    tail_of,
    whole,
)
from riskadj.stats.fits import FitWarning
from riskadj.stats.groups import Groups, group_rows
from riskadj.stats.intervals import Interval
from riskadj.stats.random_intercept import fit_random_intercept
from riskadj.stats.response import Directions, covariate_rows, directions
from riskadj.stats.threads import one_thread

Bools = NDArray[np.bool_]
_Rng = np.random.Generator

FEWEST = 3
"""Providers with responders without which a flat prior of the spread between them is improper."""
COARSE = np.concatenate(([0.0], np.geomspace(1e-4, 1e3, 80)))
"""Ratios of standard deviations, between over within, at which the likely ones are looked for."""
FINE = 257
"""Points of the grid between the likely ones."""
EFFECTS = ("own", "random")
"""By what a provider that has outcomes is imputed."""
MOST_STEPS, SETTLED, LONGEST = 50, 1e-9, 2.0
"""Of the climb to each provider's own log-odds: steps, and the shortest and longest of them."""
LITTLE, SHAPES = 1e-12, (0.1, 1e12)
"""Information that is as good as none; least and greatest shapes of gammas."""
UNLIKELY = 15.0
"""Log-likelihood below the highest at which a ratio is left out."""


# --- Rubin's rules ---


@dataclass(frozen=True)
class Pooled:
    """What several imputations say together.

    Attributes
    ----------
    estimate : ndarray of shape (...)
    within, between : ndarray of shape (...)
        Mean of the variances, and variance of the estimates.
    variance, error : ndarray of shape (...)
        Total variance, and its root.
    df : ndarray of shape (...)
        Degrees of freedom; infinite where imputations agree.
    missing_information : ndarray of shape (...)
        Fraction of information that is missing, 0 to 1.
    imputations : int
    """

    estimate: Floats
    within: Floats
    between: Floats
    variance: Floats
    error: Floats
    df: Floats
    missing_information: Floats
    imputations: int

    def interval(self, level: float = 0.95) -> Interval:
        """Return the interval of Student's distribution that holds the truth with `level`."""
        half = special.stdtrit(self.df, 1 - tail_of(level)) * self.error
        return Interval(self.estimate - half, self.estimate + half)

    def z(self, target: ArrayLike = 0.0) -> Floats:
        """Return the normal score that is as far out as (estimate - target) / error.

        With few degrees of freedom the same distance is less remarkable; limits at 1.96 or 3.0902
        can be used with this.
        """
        return normal_score((self.estimate - finite("target", target)) / self.error, self.df)


def normal_score(t: ArrayLike, df: ArrayLike) -> Floats:
    """Return the normal score that is as far out as t of Student's distribution.

    Parameters
    ----------
    t : array-like of shape (...)
    df : array-like that goes with that shape
        Above 0; infinite: t is one already.

    Raises
    ------
    ArrayError

    Notes
    -----
    Where the tail is too small for a number, z^2 = df log(1 + t^2 / df), corrected as by Wallace
    (1959, Ann Math Stat 30:1121-1130).

    Examples
    --------
    >>> normal_score([2.0, 2.0, -100.0], [10.0, float("inf"), 2000.0]).round(3).tolist()
    [1.79, 2.0, -59.855]
    """
    scores, known = finite("t", t), _complete("df", df)
    away, few = np.abs(scores), np.where(np.isinf(known), 1.0, known)
    tail = special.stdtr(few, -away)
    wallace = np.sqrt(few * np.log1p(away**2 / few)) * (8 * few + 1) / (8 * few + 3)
    tiny = tail < np.finfo(float).tiny
    score = np.where(tiny, wallace, -special.ndtri(np.where(tiny, 0.5, tail)))
    return np.asarray(np.sign(scores) * np.where(np.isinf(known), away, score))


def student_cut(cut: float, df: ArrayLike) -> Floats:
    """Return the t that is as far out as a normal score: limits for estimate / error.

    Parameters
    ----------
    cut : float
        Above 0.
    df : array-like of shape (...)
        Above 0.

    Raises
    ------
    ArrayError

    Examples
    --------
    >>> student_cut(1.959964, [10.0, 38.0, float("inf")]).round(3).tolist()
    [2.228, 2.024, 1.96]
    """
    normal, known = above("cut", [cut], 0.0)[0], _complete("df", df)
    few = np.where(np.isinf(known), 1.0, known)
    student = -special.stdtrit(few, special.ndtr(-normal))
    return np.asarray(np.where(np.isinf(known), normal, student))


def pool(estimates: ArrayLike, variances: ArrayLike, complete_df: ArrayLike = np.inf) -> Pooled:
    """Return estimate, total variance and degrees of freedom by Rubin's rules.

    Parameters
    ----------
    estimates, variances : array-like of shape (n_imputations, ...)
        Of each completed data set; variances above 0, two imputations or more.
    complete_df : float or array-like of shape (...)
        Degrees of freedom there would be with nothing missing, above 0.

    Returns
    -------
    Pooled

    Raises
    ------
    ArrayError

    Notes
    -----
    With W the mean variance, B the variance of the m estimates and r = (1 + 1/m) B / W:
    T = W + (1 + 1/m) B, df = (m - 1) (1 + 1/r)^2, and the fraction of missing information
    (r + 2 / (df + 3)) / (r + 1) (Rubin 1987, section 3.1). With finite `complete_df`
    the degrees of freedom that are returned are those of Barnard and Rubin (1999, Biometrika
    86:948-955); the fraction stays that of Rubin, which is 0 where imputations agree.

    Examples
    --------
    >>> one = pool([1.0, 2.0, 3.0], [4.0, 4.0, 4.0])
    >>> float(one.estimate), float(one.variance.round(4)), float(one.df), float(one.error.round(3))
    (2.0, 5.3333, 32.0, 2.309)
    """
    q = finite("estimates", estimates)
    if q.ndim < 1 or len(q) < 2:
        raise ArrayError(f"estimates: wanted two imputations or more; got shape {q.shape}.")
    u = at_least("variances", variances, 0.0, q.shape)
    if not (u > 0).all():
        raise ArrayError("variances: wanted numbers above 0; got 0.")
    m = len(q)
    within, between = u.mean(axis=0), q.var(axis=0, ddof=1)
    increase = (1 + 1 / m) * between / within
    total = within * (1 + increase)
    rubin, df = _degrees(increase, m, _complete("complete_df", complete_df))
    return Pooled(
        estimate=q.mean(axis=0),
        within=within,
        between=between,
        variance=total,
        error=np.sqrt(total),
        df=df,
        missing_information=(increase + 2 / (rubin + 3)) / (increase + 1),
        imputations=m,
    )


def _complete(name: str, degrees: ArrayLike) -> Floats:
    """Return degrees of freedom as floats, above 0, which may be infinite."""
    df = np.asarray(degrees, dtype=np.float64)
    if not (df > 0).all():
        raise ArrayError(f"{name}: wanted numbers above 0; got others.")
    return df


def _degrees(increase: Floats, m: int, complete: Floats) -> tuple[Floats, Floats]:
    """Return Rubin's degrees of freedom, and those of Barnard and Rubin."""
    with np.errstate(divide="ignore", over="ignore"):
        rubin = (m - 1) * (1 + 1 / increase) ** 2
    # Finite stand-ins where a limit is taken: 1 / (1 / inf + 1 / x) is x.
    known = np.where(np.isinf(complete), 1.0, complete)
    observed = (known + 1) / (known + 3) * known / (1 + increase)
    both = 1 / (1 / rubin + 1 / observed)
    return rubin, np.where(np.isinf(complete), rubin, both)


# --- what is kept of every imputation ---


@dataclass(frozen=True)
class ProviderDraws:
    """Provider sums of completed outcomes, one row per imputation.

    Attributes
    ----------
    providers : ndarray of shape (n_providers,)
        Labels, sorted.
    eligible, responders : ndarray of shape (n_providers,)
        Episodes, and those with an outcome.
    expected : ndarray of shape (n_providers,)
        Sum of expected values.
    observed : ndarray of shape (n_imputations, n_providers)
        Sum of outcomes, observed and imputed.
    beyond : ndarray of shape (n_imputations, n_providers)
        What of that sum is there for effects being the provider's own rather than draws from
        the distribution between providers; 0 with `random` effects.
    variance : ndarray of shape (n_imputations, n_providers)
        Of the sum of outcomes, given the expected values. `gaussian`: n sd^2; `binomial`:
        sum e (1 - e).
    complete_df : float
        Degrees of freedom of that variance: episodes - 1 for `gaussian`, infinite where it is
        known.
    responders_effect : ndarray of shape (n_providers,)
        Mean of observed - expected among responders; NaN without any.
    imputed_effect : ndarray of shape (n_providers,)
        Mean of imputed - expected over all imputations; NaN where nobody is missing.
    imputed_mean : ndarray of shape (n_providers,)
        Mean imputed outcome; NaN where nobody is missing.
    sd : ndarray of shape (n_imputations,)
        Standard deviation of all completed residuals, less what is `beyond`: that is doubt about
        one provider, no difference between providers.
    residual_sd, sigma : ndarray of shape (n_imputations,)
        Drawn parameters: within providers (1 for `binomial`), and between them; for `binomial`
        in log-odds.
    family, draw, effects : str
    seed : int
    warnings : tuple of FitWarning
    """

    providers: NDArray[Any]
    eligible: NDArray[np.intp]
    responders: NDArray[np.intp]
    expected: Floats
    observed: Floats
    beyond: Floats
    variance: Floats
    complete_df: float
    responders_effect: Floats
    imputed_effect: Floats
    imputed_mean: Floats
    sd: Floats
    residual_sd: Floats
    sigma: Floats
    family: str
    draw: str
    effects: str
    seed: int
    warnings: tuple[FitWarning, ...] = ()

    @property
    def missing(self) -> Floats:
        """Share of each provider's episodes that have no outcome."""
        return np.asarray(1 - self.responders / self.eligible)

    @property
    def differences(self) -> Floats:
        """Sums of completed outcome - expected, less what is `beyond`.

        What providers are compared with is of many providers, of which the model with effects
        from one distribution says most; own effects of those with few answers would only add
        noise, and to all comparisons alike.
        """
        return np.asarray(self.observed - self.beyond - self.expected)

    @property
    def centre(self) -> float:
        """Mean of completed outcome - expected, less `beyond`, over episodes and imputations."""
        return float(self.differences.sum(axis=1).mean() / self.eligible.sum())


def pool_differences(draws: ProviderDraws) -> Pooled:
    """Return each provider's mean of observed - expected beside that of all episodes, pooled.

    Parameters
    ----------
    draws : ProviderDraws

    Returns
    -------
    Pooled
        Of shape (n_providers,), in units of the outcome.

    Raises
    ------
    ArrayError

    Notes
    -----
    The mean of all episodes is that of the same imputation, less what is `beyond`. The variance
    within an imputation is that of the provider's own mean, sd^2 / n, as in NHS England's limits;
    what imputation does not know comes on top. With own effects and outcomes missing completely
    at random, n_r of n there, the two come to

        sd^2 [1 / n + n_m^2 / (n^2 n_r) + n_m / n^2] = sd^2 / n_r,    n_m = n - n_r,

    the error of complete cases: but for the number of imputations nothing is gained on them and
    nothing lost. Degrees of freedom are those of Barnard and Rubin.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> provider, expected = np.repeat(list("abcd"), 50), rng.normal(20, 4, 200)
    >>> observed = expected + rng.normal(0, 8, 200)
    >>> observed[::3] = np.nan
    >>> found = pool_differences(impute(observed, expected, provider, seed=1))
    >>> found.estimate.shape, bool((found.between > 0).all())
    ((4,), True)
    """
    difference = draws.observed - draws.expected
    centre = draws.differences.sum(axis=1, keepdims=True) / draws.eligible.sum()
    variance = draws.variance / draws.eligible**2
    return pool(difference / draws.eligible - centre, variance, draws.complete_df)


def pool_ratios(draws: ProviderDraws, scale: str = "ratio") -> Pooled:
    """Return each provider's observed / expected, pooled.

    Parameters
    ----------
    draws : ProviderDraws
    scale : {"ratio", "log"}
        `ratio`: the ratio, with the variance that a provider as expected would have; hold it
        against 1. `log`: its logarithm, with the variance of the completed sum; hold it
        against 0, and take exponentials of the interval.

    Raises
    ------
    ArrayError
        When a sum of expected values is not above 0; or of completed outcomes, with `log`.

    Examples
    --------
    >>> observed = [1, 0, float("nan"), 1, 0, 1, float("nan"), 1, 0, 1, 0, float("nan")]
    >>> draws = impute(observed, [0.5] * 12, list("aaaabbbbcccc"), seed=1, family="binomial")
    >>> pooled = pool_ratios(draws)
    >>> pooled.estimate.shape, bool((pooled.z(1.0) < 1.96).all())
    ((3,), True)
    """
    one_of("scale", scale, ("ratio", "log"))
    if not (draws.expected > 0).all():
        raise ArrayError("expected: wanted sums above 0, for a ratio; got others.")
    if scale == "ratio":
        variance = draws.variance / draws.expected**2
        return pool(draws.observed / draws.expected, variance, draws.complete_df)
    if not (draws.observed > 0).all():
        raise ArrayError(
            "observed: wanted sums above 0, for a logarithm; got others. Use scale 'ratio'."
        )
    ratio = np.log(draws.observed / draws.expected)
    return pool(ratio, draws.variance / draws.observed**2, draws.complete_df)


# --- imputation ---


def impute(
    observed: ArrayLike,
    expected: ArrayLike,
    provider: ArrayLike,
    *,
    seed: int,
    covariates: ArrayLike | None = None,
    imputations: int = 20,
    family: str = "gaussian",
    draw: str = "model",
    donors: int = 5,
    effects: str = "own",
) -> ProviderDraws:
    """Impute missing outcomes several times, and keep the sums of every provider.

    Parameters
    ----------
    observed : array-like of shape (n_episodes,)
        Outcomes, NaN where missing; 0 or 1 for `binomial`. At least 3 providers with some.
    expected : array-like of shape (n_episodes,)
        Expected values, known for everybody; above 0 and below 1 for `binomial`.
    provider : array-like of shape (n_episodes,)
        Labels.
    seed : int
        Of the draws; the same seed gives the same answer.
    covariates : array-like of shape (n_episodes, n_covariates), optional
        Beside the expected value: whatever goes with answering and with the outcome, whether or
        not it may be adjusted for. Known for everybody, missing values encoded; may be collinear.
    imputations : int
        2 or more.
    family : {"gaussian", "binomial"}
    draw : {"model", "donors"}
        `model`: from the normal distribution, or the coin, that the model has for the episode.
        `donors`: the outcome of a responder, one at random of the `donors` whose predictions are
        closest (predictive mean matching; Little 1988, J Bus Econ Stat 6:287-296), so that
        imputed scores are scores that the instrument has. `gaussian` only.
    donors : int
        1 or more.
    effects : {"own", "random"}
        By which a provider that has responders is imputed: its own, as its responders have it, or
        a draw from the distribution between providers given these. See Notes.

    Returns
    -------
    ProviderDraws

    Raises
    ------
    ArrayError
        When arrays do not fit each other, hold what they should not, or too few providers have
        responders.

    Warns
    -----
    FitWarning
        From the logistic fit; also in `warnings` of the result.

    Notes
    -----
    `gaussian`: y = a + x'b + u + e, with u and e normal. Independent draws from the posterior,
    with flat priors of a, b, log sd(e), and sd(u) given sd(e) (Gelman 2006, Bayesian Anal
    1:515-534): first the ratio of the standard deviations, from its restricted likelihood on a
    grid, then sd(e), coefficients and provider effects, each given those before; no chain that
    would have to settle. `binomial`: the same for the working response of the logistic fit at its
    maximum (Breslow and Clayton 1993, JASA 88:9-25), whose residual variance is 1. That
    understates the spread between providers where they have few responders each.

    Effects. The model with effects from one distribution is that of spreads and coefficients. A
    provider without responders gets its effect from there: its estimate is close to what is
    expected, and its error says that nothing else is known. One with responders is imputed by its
    `own` effect: normal about its mean residual given the coefficients, with the variance
    sd(e)^2 / n_r of that mean (a flat prior); for `binomial` with Jeffreys' (`own_log_odds`).

    Why not by the effect as the model has it (`random`)? It draws a provider towards the others by
    as much as its own answers say little, and so the completed mean; the error within an
    imputation is that of a mean that is not drawn. Estimate and error are then of two kinds
    (uncongenial; Meng 1994, Stat Sci 9:538-558), and flags too few. With 7.5 points within
    providers and 0.75 between (an intraclass correlation of 0.01), three tenths answering
    completely at random, of providers farther than 0.75 from the mean complete cases put 16 % on
    the right side of 95 % limits, `own` effects 15 % and `random` ones 5 %; intervals cover 95, 96
    and 99 %. Where providers do not differ at all 5, 4 and 0.2 % are flagged
    (tests/recovery/test_missing.py). `random` is for estimates that are near the truth over all
    providers (an error of 1.05 points, not 1.16, where answers go with a covariate), not for
    holding one against limits.

    Which draw: for means of providers the two are as good as each other, even where a fifth of
    scores is at the ceiling (tests/recovery/test_missing.py: errors of 0.95 and 0.99 points, both
    cover). `model` is the default, being the faster; it puts imputed scores beyond the end of the
    scale. Where scores have to exist, choose `donors`; for a share above a threshold, `binomial`.

    How many: with three tenths answering, z of a provider moves from seed to seed by 0.20 with 20
    imputations, 0.14 with 50 and 0.09 with 100 (standard deviations).

    Memory: one column of outcomes, whatever the number of imputations. Time: linear in episodes
    times imputations; 100,000 times 20 take about a second.

    Examples
    --------
    >>> nan = float("nan")
    >>> observed = [1.0, 2.0, nan, 4.0, 6.0, nan, 3.0, 2.0, nan]
    >>> found = impute(observed, [2.0] * 9, list("aaabbbccc"), seed=1, imputations=5)
    >>> found.observed.shape, found.responders.tolist(), found.missing.round(2).tolist()
    ((5, 3), [2, 2, 2], [0.33, 0.33, 0.33])
    """
    one_of("family", family, _FAMILIES)
    one_of("draw", draw, _FAMILIES[family].draws)
    one_of("effects", effects, EFFECTS)
    for name, value, least in (("imputations", imputations, 2), ("donors", donors, 1)):
        whole(name, value, least)
    whole("seed", seed, 0)
    episodes = _episodes(observed, expected, provider, covariates, family)
    with one_thread():
        work, warnings = _FAMILIES[family].work(episodes)
        own = _FAMILIES[family].own if effects == "own" else _as_the_others
        sums = _sums(work, episodes)
        posterior = _Posterior(sums, work.known_variance, own(episodes, work, sums))
        kept = _Kept(episodes, imputations)
        rng = np.random.default_rng(seed)
        outcomes = _FAMILIES[family].draws[draw](episodes, posterior.likely(), donors)
        for one in posterior.draws(imputations, rng):
            kept.add(one, *outcomes(one, rng))
    said = {"family": family, "draw": draw, "effects": effects, "seed": seed}
    return _as_draws(episodes, kept, _COMPLETE_DF[family](episodes), warnings, said)


@dataclass(frozen=True)
class _Episodes:
    """All episodes as they came, and the directions in which responders' covariates vary."""

    y: Floats
    expected: Floats
    answered: Bools
    groups: Groups
    x: Floats
    span: Directions

    @property
    def here(self) -> NDArray[np.intp]:
        """Providers of responders."""
        return self.groups.codes[self.answered]

    @property
    def gone(self) -> NDArray[np.intp]:
        """Providers of everybody else."""
        return self.groups.codes[~self.answered]

    def design(self, rows: Bools) -> Floats:
        """Return a constant and the directions of some rows."""
        return np.column_stack((np.ones(int(rows.sum())), self.span.of(self.x[rows])))


def _episodes(
    observed: ArrayLike,
    expected: ArrayLike,
    provider: ArrayLike,
    covariates: ArrayLike | None,
    family: str,
) -> _Episodes:
    groups = group_rows(provider)
    n = groups.n_rows
    y, answered = _outcomes(observed, n)
    e = finite("expected", expected, (n,))
    first = _FAMILIES[family].predictor(e, y[answered])[:, None]
    x = first if covariates is None else np.column_stack((first, covariate_rows(covariates, n)))
    _enough(groups, answered)
    return _Episodes(y, e, answered, groups, x, directions(x[answered]))


def _outcomes(observed: ArrayLike, n: int) -> tuple[Floats, Bools]:
    """Return outcomes, 0 where missing, and who has one."""
    if is_masked(observed):
        raise ArrayError("observed: wanted NaN where missing; got a mask.")
    try:
        y = np.array(observed, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ArrayError(f"observed: wanted numbers; got others ({error}).") from None
    if y.shape != (n,):
        raise ArrayError(f"observed: wanted shape {(n,)}; got {y.shape}.")
    answered = ~np.isnan(y)
    y[~answered] = 0.0
    return finite("observed", y), answered


def _enough(groups: Groups, answered: Bools) -> None:
    responders = groups.total(answered)
    some = int((responders > 0).sum())
    if some < FEWEST:
        raise ArrayError(
            f"observed: wanted at least {FEWEST} providers with outcomes, to tell how they "
            f"differ; got {some}."
        )
    if responders.max() < 2:
        raise ArrayError(
            "observed: wanted providers with several outcomes, to tell differences between them "
            "from those within; got one each."
        )


def _any(expected: Floats, _y: Floats) -> Floats:
    return expected


def _log_odds(expected: Floats, y: Floats) -> Floats:
    if not ((y == 0) | (y == 1)).all():
        raise ArrayError("observed: wanted 0 or 1, NaN where missing; got other values.")
    if not (expected.min() > 0 and expected.max() < 1):
        raise ArrayError("expected: wanted probabilities above 0 and below 1; got others.")
    return np.asarray(special.logit(expected))


# --- a linear model of responders, whatever the family ---


class _Work(NamedTuple):
    """Responders as a linear model sees them.

    `known_variance`: of e, None to estimate it; `coef`: about which it is linear, none where it
    is everywhere.
    """

    y: Floats
    weight: Floats
    known_variance: float | None
    coef: Floats


def _as_it_is(episodes: _Episodes) -> tuple[_Work, tuple[FitWarning, ...]]:
    y = episodes.y[episodes.answered]
    return _Work(y, np.ones(y.size), None, np.empty(0)), ()


def _working_response(episodes: _Episodes) -> tuple[_Work, tuple[FitWarning, ...]]:
    """Return what makes least squares of the logistic likelihood near its maximum."""
    x, y = episodes.span.of(episodes.x[episodes.answered]), episodes.y[episodes.answered]
    fit = fit_random_intercept(y, x, episodes.here, "binomial")
    _, place = np.unique(episodes.here, return_inverse=True)
    eta = fit.intercept + x @ fit.coef + fit.effects[place]
    p = special.expit(eta)
    weight = np.maximum(p * special.expit(-eta), 1e-12)
    coef = np.concatenate(([fit.intercept], fit.coef))
    return _Work(eta + (y - p) / weight, weight, 1.0, coef), fit.warnings


@dataclass(frozen=True)
class _Sums:
    """All that the posterior needs: sums by provider of responders, about a pooled fit.

    Attributes
    ----------
    weight, score : ndarray of shape (n_providers,)
        Sums of weights, and of weighted residuals.
    cross : ndarray of shape (n_coef, n_providers)
    gram : ndarray of shape (n_coef, n_coef)
    slope : ndarray of shape (n_coef,)
    squares : float
    pooled : ndarray of shape (n_coef,)
        What was taken off coefficients.
    n : int
    """

    weight: Floats
    score: Floats
    cross: Floats
    gram: Floats
    slope: Floats
    squares: float
    pooled: Floats
    n: int


def _sums(work: _Work, episodes: _Episodes) -> _Sums:
    x, codes, m = episodes.design(episodes.answered), episodes.here, len(episodes.groups)
    weighted = x * work.weight[:, None]
    gram = x.T @ weighted
    pooled = np.asarray(np.linalg.solve(gram, weighted.T @ work.y), dtype=np.float64)
    residual = work.y - x @ pooled
    squares = float(work.weight @ residual**2)
    if work.known_variance is None and not squares > 1e-20 * max(float(work.y @ work.y), 1e-300):
        raise ArrayError("observed: wanted outcomes that differ beyond their covariates; got none.")
    return _Sums(
        weight=_by(codes, work.weight, m),
        score=_by(codes, work.weight * residual, m),
        cross=np.stack([_by(codes, one, m) for one in weighted.T]),
        gram=gram,
        slope=weighted.T @ residual,
        squares=squares,
        pooled=pooled,
        n=work.y.size,
    )


# --- draws of the parameters ---


class _Parameters(NamedTuple):
    """One set of parameters: coefficients (the constant first), provider effects, spreads.

    `beyond`: what effects have beyond draws from the distribution between providers.
    """

    coef: Floats
    effects: Floats
    beyond: Floats
    residual_sd: float
    sigma: float


class _Solved(NamedTuple):
    """The model at one ratio of spreads, residual variance apart."""

    kept: Floats
    coef: Floats
    information: Floats
    squares: float
    loglik: float


@dataclass(frozen=True)
class _Posterior:
    """Draws from the posterior of a linear model with normal provider effects."""

    sums: _Sums
    known_variance: float | None
    own: "_Own"

    @property
    def degrees(self) -> int:
        """Responders less coefficients."""
        return self.sums.n - len(self.sums.gram)

    def at(self, ratio: float) -> _Solved:
        """Return estimates and restricted log-likelihood at sd(u) / sd(e) = `ratio`."""
        sums = self.sums
        kept = ratio**2 / (1 + ratio**2 * sums.weight)
        information = sums.gram - (sums.cross * kept) @ sums.cross.T
        right = sums.slope - sums.cross @ (kept * sums.score)
        coef = np.asarray(np.linalg.solve(information, right), dtype=np.float64)
        squares = sums.squares - float(kept @ sums.score**2) - float(coef @ right)
        loglik = -0.5 * float(np.log1p(ratio**2 * sums.weight).sum())
        loglik -= 0.5 * float(np.linalg.slogdet(information)[1])
        loglik -= 0.5 * self._distance(squares)
        return _Solved(kept, coef, information, squares, loglik)

    def _distance(self, squares: float) -> float:
        if self.known_variance is not None:
            return squares / self.known_variance
        return self.degrees * float(np.log(max(squares, np.finfo(float).tiny)))

    @cached_property
    def grid(self) -> tuple[Floats, Floats]:
        """Return ratios, and the probability of being below each."""
        rough = np.array([self.at(one).loglik for one in COARSE])
        likely = np.flatnonzero(rough > rough.max() - UNLIKELY)
        low = COARSE[max(likely[0] - 1, 0)]
        high = COARSE[min(likely[-1] + 1, len(COARSE) - 1)]
        ratio = np.linspace(low, high, FINE)
        loglik = np.array([self.at(one).loglik for one in ratio])
        density = np.exp(loglik - loglik.max())
        below = np.concatenate(([0.0], np.cumsum((density[1:] + density[:-1]) / 2)))
        return ratio, below / below[-1]

    def likely(self) -> _Parameters:
        """Return the estimates at the median ratio."""
        ratio, below = self.grid
        middle = float(np.interp(0.5, below, ratio))
        solved = self.at(middle)
        sd = float(np.sqrt(self.known_variance or solved.squares / self.degrees))
        return self._given(solved, solved.coef, sd, middle, None)

    def draws(self, number: int, rng: np.random.Generator) -> Iterator[_Parameters]:
        """Yield independent draws of all parameters."""
        ratio, below = self.grid
        for one in np.interp(rng.random(number), below, ratio):
            solved = self.at(float(one))
            sd = self._residual_sd(solved, rng)
            lower = np.linalg.cholesky(solved.information)
            noise = np.linalg.solve(lower.T, rng.standard_normal(len(lower)))
            yield self._given(solved, solved.coef + sd * noise, sd, float(one), rng)

    def _residual_sd(self, solved: _Solved, rng: np.random.Generator) -> float:
        if self.known_variance is not None:
            return float(np.sqrt(self.known_variance))
        return float(np.sqrt(solved.squares / rng.chisquare(self.degrees)))

    def _given(
        self, solved: _Solved, coef: Floats, sd: float, ratio: float, rng: _Rng | None
    ) -> _Parameters:
        """Return the parameters with effects given the coefficients, the likeliest or drawn."""
        size = solved.kept.size
        noise = np.zeros(size) if rng is None else rng.standard_normal(size)
        drawn = solved.kept * (self.sums.score - coef @ self.sums.cross)
        drawn += sd * np.sqrt(solved.kept) * noise
        total = self.sums.pooled + coef
        effects = self.own(drawn, total, sd, noise, rng)
        return _Parameters(total, effects, effects - drawn, sd, ratio * sd)


# --- each provider by its own answers ---

_Own = Callable[[Floats, Floats, float, Floats, _Rng | None], Floats]
"""Effects from draws between providers, coefficients, sd(e), their noise, and more of it."""


def _as_the_others(_episodes: _Episodes, _work: _Work, _sums: _Sums) -> _Own:
    def draw(drawn: Floats, _c: Floats, _sd: float, _n: Floats, _rng: _Rng | None) -> Floats:
        return drawn

    return draw


def _own_mean(_episodes: _Episodes, _work: _Work, sums: _Sums) -> _Own:
    """Draw effects about the provider's mean residual: normal, with a flat prior."""
    some = sums.weight > 0
    share = np.divide(1.0, sums.weight, out=np.zeros(sums.weight.size), where=some)

    def draw(drawn: Floats, coef: Floats, sd: float, noise: Floats, _rng: _Rng | None) -> Floats:
        mean = share * (sums.score - (coef - sums.pooled) @ sums.cross)
        return np.where(some, mean + sd * np.sqrt(share) * noise, drawn)

    return draw


def _own_odds(episodes: _Episodes, work: _Work, sums: _Sums) -> _Own:
    """Draw effects in log-odds about the provider's own, with Jeffreys' prior."""
    some = sums.weight > 0
    x = episodes.design(episodes.answered)
    _, codes = np.unique(episodes.here, return_inverse=True)
    found = own_log_odds(episodes.y[episodes.answered], x @ work.coef, codes)
    weight = np.maximum(found.chance * (1 - found.chance), LITTLE)
    cross = np.stack([np.bincount(codes, weight * one) for one in x.T]) / np.bincount(codes, weight)

    def draw(drawn: Floats, coef: Floats, _sd: float, _n: Floats, rng: _Rng | None) -> Floats:
        effects = drawn.copy()
        effects[some] = found.mode - (coef - work.coef) @ cross
        if rng is not None:
            effects[some] += found.draw(rng)
        return effects

    return draw


@dataclass(frozen=True)
class OwnLogOdds:
    """What a provider's own events say of its effect, as a logistic function of two gammas.

    Attributes
    ----------
    mode : ndarray of shape (n_providers,)
        The likeliest effect, in log-odds.
    events, others : ndarray of shape (n_providers,)
        Shapes of the two: where episodes are alike, their numbers and a half each.
    chance : ndarray of shape (n_episodes,)
        At the mode.
    """

    mode: Floats
    events: Floats
    others: Floats
    chance: Floats

    def draw(self, rng: np.random.Generator) -> Floats:
        """Return distances from the mode."""
        odds = rng.standard_gamma(self.events) / rng.standard_gamma(self.others)
        return np.asarray(np.log(odds * self.others / self.events))


def own_log_odds(y: Floats, offset: Floats, codes: NDArray[np.intp]) -> OwnLogOdds:
    """Return the posterior of each provider's effect in log-odds, with Jeffreys' prior.

    Parameters
    ----------
    y : ndarray of shape (n_episodes,)
        0 or 1.
    offset : ndarray of shape (n_episodes,)
        Log-odds that are known.
    codes : ndarray of int, shape (n_episodes,)
        Providers, 0, 1, ..., each with an episode.

    Notes
    -----
    The prior is the root of the information, with which the mode is that of Firth (1993,
    Biometrika 80:27-38), finite with no or only events. Episodes that are alike make the chance a
    beta distribution of shapes events + 1/2 and others + 1/2, and its log-odds those of two gammas,
    which is what is drawn here; of others, mode, curvature and skewness are near those of the
    posterior, so that mean and standard deviation of the chance are too (tests/unit).

    Examples
    --------
    >>> found = own_log_odds(np.array([0.0, 0, 0, 1]), np.zeros(4), np.array([0, 0, 1, 1]))
    >>> found.events.round(6).tolist(), found.others.round(6).tolist()
    ([0.5, 1.5], [2.5, 1.5])
    >>> special.expit(found.mode).round(3).tolist()
    [0.167, 0.5]
    """
    size, events = np.bincount(codes).astype(float), np.bincount(codes, y)
    mode = np.log((events + 0.5) / (size - events + 0.5)) - np.bincount(codes, offset) / size
    for _ in range(MOST_STEPS):
        at = _odds_at(mode, offset, codes)
        score = events - np.bincount(codes, at.chance) + at.slope / 2
        step = np.clip(score / (at.information * (1 + 1 / size)), -LONGEST, LONGEST)
        mode = mode + step
        if np.abs(step).max() < SETTLED:
            break
    at = _odds_at(mode, offset, codes)
    curvature = np.maximum(at.information - at.bend / 2, at.information / 2)
    # Two gammas of shapes a, b: curvature a b / (a + b), and its log has a slope (b - a) / (a + b).
    shapes = 2 * curvature / np.stack([1 + at.slope, 1 - at.slope])
    events, others = np.clip(shapes, *SHAPES)
    return OwnLogOdds(mode, events, others, at.chance)


class _Odds(NamedTuple):
    """Chances, their information on effects, and the first two slopes of its logarithm."""

    chance: Floats
    information: Floats
    slope: Floats
    bend: Floats


def _odds_at(mode: Floats, offset: Floats, codes: NDArray[np.intp]) -> _Odds:
    p = special.expit(offset + mode[codes])
    weight = p * (1 - p)
    information = np.maximum(np.bincount(codes, weight), LITTLE)
    slope = np.bincount(codes, weight * (1 - 2 * p)) / information
    second = np.bincount(codes, weight * (1 - 6 * weight)) / information
    return _Odds(p, information, slope, second - slope**2)


# --- draws of the outcomes ---

_Draw = Callable[[_Parameters, np.random.Generator], tuple[Floats, Floats]]
"""Outcomes, and what of them is there for own effects being other than those of the model."""


def _normal(episodes: _Episodes, _likely: _Parameters, _donors: int) -> _Draw:
    x, codes = episodes.design(~episodes.answered), episodes.gone

    def draw(one: _Parameters, rng: np.random.Generator) -> tuple[Floats, Floats]:
        noise = one.residual_sd * rng.standard_normal(codes.size)
        return x @ one.coef + one.effects[codes] + noise, one.beyond[codes]

    return draw


def _coin(episodes: _Episodes, _likely: _Parameters, _donors: int) -> _Draw:
    x, codes = episodes.design(~episodes.answered), episodes.gone

    def draw(one: _Parameters, rng: np.random.Generator) -> tuple[Floats, Floats]:
        odds = x @ one.coef + one.effects[codes]
        chance = special.expit(odds)
        event = (rng.random(codes.size) < chance).astype(np.float64)
        return event, chance - special.expit(odds - one.beyond[codes])

    return draw


def _matching(episodes: _Episodes, likely: _Parameters, donors: int) -> _Draw:
    """Match draws of the prediction to estimates of it, so that parameters' doubt is passed on."""
    here, gone = episodes.design(episodes.answered), episodes.design(~episodes.answered)
    known = here @ likely.coef + likely.effects[episodes.here]
    # What is alike but for rounding is alike.
    known = np.round(known / likely.residual_sd, 9) * likely.residual_sd
    order = np.argsort(known, kind="stable")
    ranked, y = known[order], episodes.y[episodes.answered][order]
    k = min(donors, y.size)

    def draw(one: _Parameters, rng: np.random.Generator) -> tuple[Floats, Floats]:
        begin, end = closest_donors(ranked, gone @ one.coef + one.effects[episodes.gone], k)
        return y[rng.integers(begin, end)], one.beyond[episodes.gone]

    return draw


def closest_donors(
    ranked: Floats, wanted: Floats, k: int
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return where the k donors closest to each wanted prediction begin and end.

    Donors that are predicted the same as the farthest of them are among them: which of them would
    be left out is no more than the order of rows.

    Parameters
    ----------
    ranked : ndarray of shape (n_donors,)
        Predictions, in order.
    wanted : ndarray of shape (n_missing,)
    k : int
        At most n_donors.

    Examples
    --------
    >>> begin, end = closest_donors(np.array([1.0, 2.0, 2.0, 5.0]), np.array([0.0, 4.0]), 2)
    >>> begin.tolist(), end.tolist()
    ([0, 1], [3, 4])
    """
    low = np.zeros(wanted.size, dtype=np.intp)
    high = np.full(wanted.size, ranked.size - k, dtype=np.intp)
    # The window moves up while the value it would take in is closer than the one it gives up.
    while (low < high).any():
        middle = (low + high) // 2
        taken = ranked[np.minimum(middle + k, ranked.size - 1)]
        up = (low < high) & (wanted - ranked[middle] > taken - wanted)
        low, high = np.where(up, middle + 1, low), np.where(up, high, middle)
    first = np.searchsorted(ranked, ranked, "left")
    last = np.searchsorted(ranked, ranked, "right")
    return first[low], last[low + k - 1]


class _Family(NamedTuple):
    predictor: Callable[[Floats, Floats], Floats]
    work: Callable[[_Episodes], tuple[_Work, tuple[FitWarning, ...]]]
    own: Callable[[_Episodes, _Work, _Sums], _Own]
    draws: dict[str, Callable[[_Episodes, _Parameters, int], _Draw]]


_FAMILIES: dict[str, _Family] = {
    "gaussian": _Family(_any, _as_it_is, _own_mean, {"model": _normal, "donors": _matching}),
    "binomial": _Family(_log_odds, _working_response, _own_odds, {"model": _coin}),
}


# --- sums ---


class _Kept:
    """Sums of completed outcomes, gathered imputation by imputation."""

    def __init__(self, episodes: _Episodes, imputations: int) -> None:
        m, here, codes = len(episodes.groups), episodes.answered, episodes.groups.codes
        self.episodes = episodes
        self.of_responders = _by(codes, episodes.y, m)
        self.of_imputed, self.beyond = np.zeros((2, imputations, m))
        residual = (episodes.y - episodes.expected)[here]
        self.total, self.squares = float(residual.sum()), float(residual @ residual)
        self.expected_gone = episodes.expected[~here]
        self.sd, self.residual_sd, self.sigma = (np.zeros(imputations) for _ in range(3))
        self.done = 0

    def add(self, one: _Parameters, outcome: Floats, beyond: Floats) -> None:
        """Take in one imputation."""
        at, n = self.done, self.episodes.y.size
        self.of_imputed[at] = _by(self.episodes.gone, outcome, len(self.episodes.groups))
        self.beyond[at] = _by(self.episodes.gone, beyond, len(self.episodes.groups))
        residual = outcome - beyond - self.expected_gone
        total = self.total + float(residual.sum())
        squares = self.squares + float(residual @ residual)
        self.sd[at] = np.sqrt(max(squares - total**2 / n, 0.0) / (n - 1))
        self.residual_sd[at], self.sigma[at] = one.residual_sd, one.sigma
        self.done += 1


def _as_draws(
    episodes: _Episodes,
    kept: _Kept,
    complete_df: float,
    warnings: tuple[FitWarning, ...],
    said: dict[str, Any],
) -> ProviderDraws:
    groups, expected = episodes.groups, episodes.groups.total(episodes.expected)
    responders = groups.total(episodes.answered)
    gone = groups.sizes - responders
    expected_gone = _by(episodes.gone, kept.expected_gone, len(groups))
    imputed = kept.of_imputed.mean(axis=0)
    return ProviderDraws(
        providers=groups.labels,
        eligible=groups.sizes,
        responders=responders.astype(np.intp),
        expected=expected,
        observed=kept.of_responders + kept.of_imputed,
        beyond=kept.beyond,
        variance=_VARIANCES[said["family"]](episodes, kept),
        complete_df=complete_df,
        responders_effect=_per(kept.of_responders - (expected - expected_gone), responders),
        imputed_effect=_per(imputed - expected_gone, gone),
        imputed_mean=_per(imputed, gone),
        sd=kept.sd,
        residual_sd=kept.residual_sd,
        sigma=kept.sigma,
        warnings=warnings,
        **said,
    )


def _common_variance(episodes: _Episodes, kept: _Kept) -> Floats:
    return np.asarray(np.outer(kept.sd**2, episodes.groups.sizes))


def _of_coins(episodes: _Episodes, kept: _Kept) -> Floats:
    own = episodes.groups.total(episodes.expected * (1 - episodes.expected))
    return np.tile(own, (len(kept.sd), 1))


_COMPLETE_DF: dict[str, Callable[[_Episodes], float]] = {
    "gaussian": lambda episodes: episodes.y.size - 1.0,
    "binomial": lambda _: float("inf"),
}
_VARIANCES: dict[str, Callable[[_Episodes, _Kept], Floats]] = {
    "gaussian": _common_variance,
    "binomial": _of_coins,
}


def _by(codes: NDArray[np.intp], rows: Floats, m: int) -> Floats:
    """Return the sum of rows of each of m providers, some of which may have none."""
    return np.bincount(codes, rows, m).astype(np.float64, copy=False)


def _per(total: Floats, number: Floats) -> Floats:
    return np.divide(total, number, out=np.full(total.shape, np.nan), where=number > 0)
