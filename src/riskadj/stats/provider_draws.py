"""What is kept of every imputation, and what that says of each provider.

Of an imputation no more than sums by provider are kept: enough for means of observed - expected
and for ratios, pooled by Rubin's rules.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from riskadj.errors import ArrayError
from riskadj.stats.arrays import Floats, one_of
from riskadj.stats.fits import FitWarning
from riskadj.stats.incomplete import Incomplete, by_provider
from riskadj.stats.linear_posterior import Parameters
from riskadj.stats.pooling import Pooled, pool


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
    >>> from riskadj.stats import impute, pool_differences
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
    >>> from riskadj.stats import impute, pool_ratios
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


class Kept:
    """Sums of completed outcomes, gathered imputation by imputation."""

    def __init__(self, episodes: Incomplete, imputations: int) -> None:
        m, here, codes = len(episodes.groups), episodes.answered, episodes.groups.codes
        self.episodes = episodes
        self.of_responders = by_provider(codes, episodes.y, m)
        self.of_imputed, self.beyond = np.zeros((2, imputations, m))
        residual = (episodes.y - episodes.expected)[here]
        self.total, self.squares = float(residual.sum()), float(residual @ residual)
        self.expected_gone = episodes.expected[~here]
        self.sd, self.residual_sd, self.sigma = (np.zeros(imputations) for _ in range(3))
        self.done = 0

    def add(self, one: Parameters, outcome: Floats, beyond: Floats) -> None:
        """Take in one imputation."""
        at, n = self.done, self.episodes.y.size
        self.of_imputed[at] = by_provider(self.episodes.gone, outcome, len(self.episodes.groups))
        self.beyond[at] = by_provider(self.episodes.gone, beyond, len(self.episodes.groups))
        residual = outcome - beyond - self.expected_gone
        total = self.total + float(residual.sum())
        squares = self.squares + float(residual @ residual)
        self.sd[at] = np.sqrt(max(squares - total**2 / n, 0.0) / (n - 1))
        self.residual_sd[at], self.sigma[at] = one.residual_sd, one.sigma
        self.done += 1


def as_draws(
    episodes: Incomplete,
    kept: Kept,
    warnings: tuple[FitWarning, ...],
    said: dict[str, Any],
) -> ProviderDraws:
    """Return all imputations, with what was said of how they were made."""
    groups, expected = episodes.groups, episodes.groups.total(episodes.expected)
    responders = groups.total(episodes.answered)
    gone = groups.sizes - responders
    expected_gone = by_provider(episodes.gone, kept.expected_gone, len(groups))
    imputed = kept.of_imputed.mean(axis=0)
    return ProviderDraws(
        providers=groups.labels,
        eligible=groups.sizes,
        responders=responders.astype(np.intp),
        expected=expected,
        observed=kept.of_responders + kept.of_imputed,
        beyond=kept.beyond,
        variance=_VARIANCES[said["family"]](episodes, kept),
        complete_df=_COMPLETE_DF[said["family"]](episodes),
        responders_effect=_per(kept.of_responders - (expected - expected_gone), responders),
        imputed_effect=_per(imputed - expected_gone, gone),
        imputed_mean=_per(imputed, gone),
        sd=kept.sd,
        residual_sd=kept.residual_sd,
        sigma=kept.sigma,
        warnings=warnings,
        **said,
    )


def _common_variance(episodes: Incomplete, kept: Kept) -> Floats:
    return np.asarray(np.outer(kept.sd**2, episodes.groups.sizes))


def _of_coins(episodes: Incomplete, kept: Kept) -> Floats:
    own = episodes.groups.total(episodes.expected * (1 - episodes.expected))
    return np.tile(own, (len(kept.sd), 1))


_COMPLETE_DF: dict[str, Callable[[Incomplete], float]] = {
    "gaussian": lambda episodes: episodes.y.size - 1.0,
    "binomial": lambda _: float("inf"),
}
_VARIANCES: dict[str, Callable[[Incomplete, Kept], Floats]] = {
    "gaussian": _common_variance,
    "binomial": _of_coins,
}


def _per(total: Floats, number: Floats) -> Floats:
    ratio: Floats = np.divide(total, number, out=np.full(total.shape, np.nan), where=number > 0)
    return ratio
