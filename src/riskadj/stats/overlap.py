"""How far each provider's patients stand for the reference population."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from riskadj.errors import ArrayError
from riskadj.stats.arrays import Floats, finite, plain, weights_or_ones
from riskadj.stats.groups import Groups, group_rows


@dataclass(frozen=True)
class CaseMixOverlap:
    """How much of the reference population each provider's own patients stand for.

    Low figures mean that the directly standardised result extrapolates: it says what the provider
    would do with patients of a kind that it has hardly treated. Then pay by the indirect
    comparison, or by none.

    Attributes
    ----------
    providers : ndarray of shape (n_providers,)
        Sorted labels.
    n : ndarray of shape (n_providers,)
        Episodes.
    covered : ndarray of shape (n_providers,)
        0 to 1. Share of the reference population with an expected value inside the provider's
        central range. 0.6: four patients in ten are easier or harder than nearly all of its own.
    overlap : ndarray of shape (n_providers,)
        0 to 1. 1 - sum |p_k - q_k| / 2 over groups of expected values, p_k and q_k the shares of
        the provider and of the reference population. 1: the same mix; 0: nobody in common.
    overlap_by_chance : ndarray of shape (n_providers,)
        The mean overlap of random samples of n from the reference population. Small providers
        overlap less by chance alone; compare `overlap` with this, not with 1.
    reached : ndarray of shape (n_providers,)
        0 to 1. Share of the reference population in groups in which the provider has anybody.
    effective_share : ndarray of shape (n_providers,)
        0 to 1. Effective sample size over n, once the provider's episodes are weighted to the
        mix of the groups it reaches: (sum w)^2 / sum w^2 / n. 0.3 of 100: its figure is as
        uncertain as one on 30 patients of the reference mix. NaN where it reaches nobody.
    """

    providers: NDArray[Any]
    n: NDArray[np.intp]
    covered: Floats
    overlap: Floats
    overlap_by_chance: Floats
    reached: Floats
    effective_share: Floats


def case_mix_overlap(
    expected: ArrayLike,
    provider: ArrayLike,
    *,
    population: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    central: float = 0.95,
    groups: int = 10,
) -> CaseMixOverlap:
    """Return how far each provider's patients cover the reference population.

    Parameters
    ----------
    expected : array-like of shape (n_episodes,)
        Expected values at the average provider, or linear predictors: either order of risk.
    provider : array-like of shape (n_episodes,)
        Labels.
    population : array-like of shape (n_reference,), optional
        The same of the reference population; by default that of all episodes.
    weights : array-like of shape (n_reference,), optional
        Of the reference population; not negative, with a sum above 0.
    central : float
        Share of a provider's episodes in its central range, above 0 and at most 1.
    groups : int
        Groups of expected values with equal shares of the reference population, 2 or more.
        Equal values stay in one group, so that there may be fewer.

    Returns
    -------
    CaseMixOverlap

    Raises
    ------
    ArrayError
        When an array has another shape or holds what is not a finite number; `central` or
        `groups` are out of their range.

    Notes
    -----
    Ranges are quantiles with linear interpolation. The mean overlap by chance sums the mean
    deviations of binomial counts, E|X - nq| = 2 v (1 - q) P(X = v), v = floor(nq) + 1 (de Moivre;
    Diaconis and Zabell 1991, Stat Sci 6:284-302).

    Examples
    --------
    >>> risk = [1.0, 2.0, 3.0, 4.0, 1.0, 2.0, 3.0, 4.0, 1.0, 1.0]
    >>> result = case_mix_overlap(risk, list("aaaabbbbcc"), groups=4)
    >>> result.overlap.round(2).tolist(), result.reached.round(2).tolist()
    ([0.85, 0.85, 0.4], [1.0, 1.0, 0.4])
    """
    rows = group_rows(provider)
    own = rows.sort(finite("expected", expected, (rows.n_rows,)))
    reference = own if population is None else finite("population", population)
    if reference.ndim != 1 or not reference.size:
        raise ArrayError(f"population: wanted one per row; got shape {reference.shape}.")
    weight = weights_or_ones(weights, reference.size)
    if population is None:
        weight = rows.sort(weight)
    place = np.argsort(reference, kind="stable")
    ranked, mass = reference[place], weight[place] / weight.sum()
    cuts = _cuts(ranked, mass, groups)
    place_of = np.searchsorted(cuts, ranked)
    q = np.asarray(np.bincount(place_of, mass, minlength=cuts.size + 1), dtype=np.float64)
    p = _shares(np.searchsorted(cuts, own), rows, cuts.size + 1)
    low, high = _central_range(own, rows, central)
    return CaseMixOverlap(
        providers=rows.labels,
        n=rows.sizes,
        covered=_mass_between(ranked, mass, low, high),
        overlap=1 - np.abs(p - q).sum(axis=1) / 2,
        overlap_by_chance=_overlap_by_chance(rows.sizes, q),
        reached=np.where(p > 0, q, 0.0).sum(axis=1),
        effective_share=_effective_share(p, q),
    )


def _cuts(ranked: Floats, mass: Floats, groups: int) -> Floats:
    """Return the values at which groups of equal shares end; equal values are not parted."""
    if groups != int(groups) or groups < 2:
        raise ArrayError(f"groups: wanted a whole number of 2 or more; got {plain(groups)!r}.")
    goal = np.arange(1, groups) / groups
    # Rounding of the sum must not push an end by one row.
    ends = np.searchsorted(np.cumsum(mass), goal - 1e-12)
    return np.unique(ranked[np.minimum(ends, ranked.size - 1)])


def _shares(group: NDArray[np.intp], rows: Groups, n_groups: int) -> Floats:
    """Return the share of each provider's ordered episodes in each group."""
    code = rows.spread(np.arange(len(rows))) * n_groups + group
    counts = np.bincount(code, minlength=len(rows) * n_groups)
    return counts.reshape(len(rows), n_groups) / rows.sizes[:, None]


def _central_range(ordered: Floats, rows: Groups, central: float) -> tuple[Floats, Floats]:
    if not 0 < central <= 1:
        raise ArrayError(f"central: wanted a number above 0 and at most 1; got {plain(central)!r}.")
    ranked = ordered[np.lexsort((ordered, rows.spread(np.arange(len(rows)))))]
    return (
        _quantile(ranked, rows, (1 - central) / 2),
        _quantile(ranked, rows, (1 + central) / 2),
    )


def _quantile(ranked: Floats, rows: Groups, share: float) -> Floats:
    """Return a quantile of each provider's ranked values, with linear interpolation."""
    position = (rows.sizes - 1) * share
    below = np.floor(position).astype(np.intp)
    above = np.minimum(below + 1, rows.sizes - 1)
    low, high = ranked[rows.starts + below], ranked[rows.starts + above]
    return np.asarray(low + (position - below) * (high - low))


def _mass_between(ranked: Floats, mass: Floats, low: Floats, high: Floats) -> Floats:
    """Return the share of the population from `low` to `high`, both included."""
    below = np.concatenate(([0.0], np.cumsum(mass)))
    inside = below[np.searchsorted(ranked, high, "right")] - below[np.searchsorted(ranked, low)]
    return np.asarray(np.clip(inside, 0.0, 1.0))


def _overlap_by_chance(n: NDArray[np.intp], q: Floats) -> Floats:
    count, share = n[:, None].astype(np.float64), np.minimum(q, 1.0)
    v = np.floor(count * share) + 1
    deviation = 2 * v * (1 - share) * stats.binom.pmf(v, count, share)
    return np.asarray(1 - (deviation / count).sum(axis=1) / 2)


def _effective_share(p: Floats, q: Floats) -> Floats:
    """Return (sum w)^2 / sum w^2 / n for weights q / p: n p episodes have each of them."""
    reached = np.where(p > 0, q, 0.0)
    square = np.divide(reached**2, p, out=np.zeros_like(p), where=p > 0)
    total, squares = reached.sum(axis=1), square.sum(axis=1)
    share: Floats = np.divide(total**2, squares, out=np.full_like(total, np.nan), where=squares > 0)
    return share


# --- the reference point of effects ---
