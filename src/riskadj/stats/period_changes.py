"""How a mean changes from one period to a later one: of everybody, and of every provider."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from riskadj.errors import ArrayError
from riskadj.stats.arrays import Bools, Floats, a_mask, a_row, at_least, whole
from riskadj.stats.clusters import Estimate, Totals, interval_by_cluster, sums_by_cluster
from riskadj.stats.dispersion import between_variance
from riskadj.stats.groups import group_rows

FEWEST = 10
"""Episodes of a provider in either period without which its change is not told."""
HALF = 0.5
"""Added to every count, so that a level that nobody has in one period is no infinity."""


@dataclass(frozen=True)
class PeriodChange:
    """A mean in two periods.

    Attributes
    ----------
    n_before, n_after : int
        Episodes.
    before, after : float
        Means.
    change : Estimate
        after - before, with an interval that draws providers.
    standardised : float
        The change over the root of the mean of both variances; 0 where nothing varies.
    """

    n_before: int
    n_after: int
    before: float
    after: float
    change: Estimate
    standardised: float


@dataclass(frozen=True)
class ProviderChanges:
    """The change of every provider with episodes enough in both periods.

    Attributes
    ----------
    providers : ndarray of shape (n_providers,)
        Labels, sorted.
    n_before, n_after : ndarray of shape (n_providers,)
    before, after, change : ndarray of shape (n_providers,)
    error : ndarray of shape (n_providers,)
        Standard error of the change, by chance alone; NaN where nothing varies.
    z : ndarray of shape (n_providers,)
        How far the change is from that of all these providers together, in standard errors.
    everybody : float
        The change of all these providers, each counting by what is known of it.
    between : float
        Standard deviation of changes between providers beyond chance; NaN with fewer than 2.
    """

    providers: NDArray[Any]
    n_before: NDArray[np.intp]
    n_after: NDArray[np.intp]
    before: Floats
    after: Floats
    change: Floats
    error: Floats
    z: Floats
    everybody: float
    between: float


def period_change(
    values: ArrayLike,
    later: ArrayLike,
    cluster: ArrayLike,
    method: str = "jackknife",
    *,
    replicates: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> PeriodChange:
    """Return how a mean changes from one period to a later one.

    A provider's episodes of both periods are drawn together, so that what it keeps cancels.

    Parameters
    ----------
    values : array-like of shape (n_episodes,)
    later : array-like of bool, shape (n_episodes,)
        Whether an episode is of the later period.
    cluster : array-like of shape (n_episodes,)
        Providers.
    method, replicates, seed, level
        As in `interval_by_cluster`.

    Raises
    ------
    ArrayError
        When a period has no episode, or hangs on one provider.

    Notes
    -----
    Standardised difference: (mean - mean) / sqrt((s^2 + s^2) / 2) (Austin 2009, Stat Med
    28:3083-3107).

    Examples
    --------
    >>> found = period_change([1, 3, 2, 6], [0, 0, 1, 1], list("abab"))
    >>> found.before, found.after, found.change.value, round(found.standardised, 3)
    (2.0, 4.0, 2.0, 1.265)
    """
    v, after = _periods(values, later)
    columns = {
        "later": after.astype(np.float64),
        "value": v * ~after,
        "later value": v * after,
    }
    estimate = interval_by_cluster(
        sums_by_cluster(columns, cluster), _change, method,
        replicates=replicates, seed=seed, level=level,
    )  # fmt: skip
    parts = v[~after], v[after]
    before, now = (float(one.mean()) for one in parts)
    spread = float(np.sqrt(sum(one.var() for one in parts) / 2))
    return PeriodChange(
        parts[0].size, parts[1].size, before, now, estimate,
        (now - before) / spread if spread > 0 else 0.0,
    )  # fmt: skip


def provider_changes(
    values: ArrayLike, later: ArrayLike, provider: ArrayLike, fewest: int = FEWEST
) -> ProviderChanges:
    """Return the change of each provider, and how far providers change differently.

    Parameters
    ----------
    values : array-like of shape (n_episodes,)
    later : array-like of bool, shape (n_episodes,)
    provider : array-like of shape (n_episodes,)
    fewest : int
        Episodes in either period without which a provider is left out; 2 or more.

    Raises
    ------
    ArrayError

    Notes
    -----
    Chance: the variance of values about their mean in each provider and period, pooled over all
    providers, times 1 / n + 1 / n. Between: DerSimonian and Laird (1986, Control Clin Trials
    7:177-188).

    Examples
    --------
    >>> values = [0, 2, 0, 2, 0, 2, 4, 6]
    >>> found = provider_changes(values, [0, 0, 1, 1] * 2, [1] * 4 + [2] * 4, fewest=2)
    >>> found.change.tolist(), found.everybody, found.z.round(2).tolist()
    ([0.0, 4.0], 2.0, [-1.41, 1.41])
    """
    whole("fewest", fewest, 2)
    v, after = _periods(values, later)
    groups = group_rows(provider)
    if groups.n_rows != v.size:
        raise ArrayError(f"provider: wanted one for each of {v.size} episodes; got others.")
    counts = np.array([groups.total(~after), groups.total(after)])
    with np.errstate(divide="ignore", invalid="ignore"):
        means = np.array([groups.total(v * ~after), groups.total(v * after)]) / counts
    kept: Bools = np.all(counts >= fewest, axis=0)
    rest = v - np.where(after, means[1, groups.codes], means[0, groups.codes])
    used = np.take(kept, groups.codes)
    free = int(used.sum()) - 2 * int(kept.sum())
    sd = float(np.sqrt((rest[used] ** 2).sum() / free)) if free > 0 else np.nan
    error = sd * np.sqrt((1 / counts[:, kept]).sum(axis=0))
    return _compared(groups.labels[kept], counts[:, kept], means[:, kept], error)


def stability_index(before: ArrayLike, after: ArrayLike) -> tuple[float, float]:
    """Return the population stability index of two sets of counts, and its mean by chance.

    Parameters
    ----------
    before, after : array-like of shape (n_levels,)
        How many have each level.

    Returns
    -------
    index, by_chance : float
        0 or more. `by_chance`: what independent episodes would give on average if nothing had
        changed, (k - 1) (1 / n + 1 / n) for the k levels that anybody has; where episodes of a
        provider resemble each other it is more.

    Raises
    ------
    ArrayError

    Notes
    -----
    Sum of (q - p) ln(q / p), the symmetric divergence of Jeffreys (1946, Proc R Soc A
    186:453-461), with half an episode added to every level that anybody has.

    Examples
    --------
    >>> [round(one, 4) for one in stability_index([500, 500], [600, 400])]
    [0.0405, 0.002]
    """
    first = at_least("before", before, 0.0)
    second = at_least("after", after, 0.0, first.shape)
    if not (first.sum() > 0 and second.sum() > 0):
        raise ArrayError("before, after: wanted somebody in each period; got nobody.")
    there = (first + second) > 0
    p, q = ((one[there] + HALF) / (one[there] + HALF).sum() for one in (first, second))
    by_chance = (int(there.sum()) - 1) * (1 / first.sum() + 1 / second.sum())
    return float(((q - p) * np.log(q / p)).sum()), float(by_chance)


def _periods(values: ArrayLike, later: ArrayLike) -> tuple[Floats, Bools]:
    v = a_row("values", values, "episode")
    after = a_mask("later", later, v.shape)
    if after.all() or not after.any():
        raise ArrayError("later: wanted episodes of both periods; got one period.")
    return v, after


def _change(of: Totals) -> Floats:
    return of["later value"] / of["later"] - of["value"] / (of["n"] - of["later"])


def _compared(
    providers: NDArray[Any], counts: Floats, means: Floats, error: Floats
) -> ProviderChanges:
    """Return changes against that of all; without a spread nothing is known of chance."""
    change = means[1] - means[0]
    known = bool(len(change) >= 2 and (error > 0).all())
    weight = 1 / error**2 if known else counts.sum(axis=0)
    everybody = float(np.average(change, weights=weight)) if len(change) else np.nan
    unknown = np.full(len(change), np.nan)
    return ProviderChanges(
        providers=providers,
        n_before=counts[0].astype(np.intp),
        n_after=counts[1].astype(np.intp),
        before=means[0],
        after=means[1],
        change=change,
        error=error if known else unknown,
        z=(change - everybody) / error if known else unknown,
        everybody=everybody,
        between=float(np.sqrt(between_variance(change, error).tau2)) if known else np.nan,
    )
