"""What the mean of every provider is where episodes count differently, and how sure it is."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from riskadj.errors import ArrayError
from riskadj.stats.arrays import Floats, at_least, finite
from riskadj.stats.directions import SAME
from riskadj.stats.groups import Groups, group_rows
from riskadj.stats.response_weights import effective_number


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
        effective=effective_number(total, squares),
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
    ratio: Floats = np.divide(part, whole, out=np.full(whole.shape, np.nan), where=whole > 0)
    return ratio
