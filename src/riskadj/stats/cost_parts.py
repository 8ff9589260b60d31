"""How providers differ in a total and in what it is made of, beyond what chance would do.

A provider's excess is what it cost over what was expected, as a share of the total expected. The
excess of a total is the sum of those of its parts, so that the variance between providers splits
into what each part carries: its covariance with the total.

What providers differ by is seen with chance in it, and chance is taken off by moments: with any
fixed weights the mean square of the excesses is a known sum of the variance between providers and
that of each excess (DerSimonian and Kacker 2007, Contemp Clin Trials 28:105-114, equation 6; of
several quantities at once: Jackson, White and Thompson 2010, Stat Med 29:1282-1297).
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from riskadj.errors import ArrayError, TooFewProvidersError
from riskadj.stats.arrays import Floats, finite
from riskadj.stats.groups import Groups, group_rows

FIFTH_OF_NORMAL = 1.3998096
"""Mean of the highest fifth of a normal distribution, in standard deviations: its density at the
border of that fifth, over a fifth."""
_FIFTHS = 5
_MOST_STEPS = 500
_SETTLED = 1e-10


@dataclass(frozen=True)
class PartExcess:
    """What providers cost over what was expected.

    Attributes
    ----------
    providers : ndarray of shape (n_providers,)
        Labels, sorted.
    n : ndarray of shape (n_providers,)
        Episodes.
    observed, expected : ndarray of shape (n_providers, n_parts)
        Sums.
    excess : ndarray of shape (n_providers, n_parts)
        Observed less expected of each part, over the total expected.
    error : ndarray of shape (n_providers, n_parts, n_parts)
        Covariance of the excess by chance.
    weight : ndarray of shape (n_providers,)
        By which variances between providers are estimated.
    """

    providers: NDArray[Any]
    n: NDArray[np.intp]
    observed: Floats
    expected: Floats
    excess: Floats
    error: Floats
    weight: Floats

    @property
    def ratio(self) -> Floats:
        """Observed over expected of the total, of shape (n_providers,)."""
        return np.asarray(self.observed.sum(axis=1) / self.expected.sum(axis=1))

    @property
    def total_error(self) -> Floats:
        """Variance of the total's excess by chance, of shape (n_providers,)."""
        return np.asarray(self.error.sum(axis=(1, 2)))

    def on_log_scale(self) -> "PartExcess":
        """Return the logarithm of observed over expected of the total, as if it were one part."""
        ratio = self.ratio[:, None]
        if (ratio <= 0).any():
            raise ArrayError(
                "observed: wanted a sum above 0 for every provider; got 0 for one. Leave it out."
            )
        error = self.total_error[:, None, None] / ratio[:, :, None] ** 2
        return replace(self, excess=np.log(ratio), error=error)


def rake(seed: ArrayLike, rows: ArrayLike, columns: ArrayLike) -> Floats:
    """Return a table like another, with given sums of rows and of columns.

    Rows and columns are scaled in turn (Deming and Stephan 1940, Ann Math Stat 11:427-444).

    Parameters
    ----------
    seed : array-like of shape (n_rows, n_columns)
        Above 0, but in columns whose sum is to be 0.
    rows : array-like of shape (n_rows,)
        Above 0.
    columns : array-like of shape (n_columns,)
        0 or more, with the sum of `rows`.

    Raises
    ------
    ArrayError

    Examples
    --------
    >>> rake([[1.0, 1.0], [1.0, 1.0]], [3.0, 1.0], [2.0, 2.0]).tolist()
    [[1.5, 1.5], [0.5, 0.5]]
    """
    table = finite("seed", seed).copy()
    across = finite("rows", rows, table.shape[:1])
    down = finite("columns", columns, table.shape[1:])
    if not np.isclose(across.sum(), down.sum(), rtol=1e-9) or (down < 0).any():
        raise ArrayError(
            "columns: wanted 0 or more, with the sum of the rows "
            f"({across.sum():g}); got {down.sum():g}."
        )
    table[:, down == 0] = 0.0
    if (across <= 0).any() or (table[:, down > 0] <= 0).any():
        raise ArrayError("rows, seed: wanted values above 0; got 0 or less.")
    for _ in range(_MOST_STEPS):
        table *= np.divide(down, table.sum(axis=0), out=np.zeros_like(down), where=down > 0)
        table *= (across / table.sum(axis=1))[:, None]
        if np.abs(table.sum(axis=0) - down).max() <= _SETTLED * down.sum():
            break
    return table


def part_excess(observed: ArrayLike, expected: ArrayLike, provider: ArrayLike) -> PartExcess:
    r"""Return what each provider cost over what was expected, part by part.

    Parameters
    ----------
    observed, expected : array-like of shape (n_episodes, n_parts)
        0 or more; the expected total of every episode above 0.
    provider : array-like of shape (n_episodes,)

    Raises
    ------
    ArrayError
    TooFewProvidersError
        With fewer than two providers, or as many as episodes.

    Notes
    -----
    With :math:`u = (O - E) / E` of an episode, E its total, a provider's excess is the mean of u
    weighted by E. Its variance is that of its own episodes about it,
    :math:`\sum E^2 (u - \bar u)^2 / (\sum E)^2`, times what makes it unbiased where u has the same
    variance for all episodes of the provider; of a provider with one episode it is that of all
    providers together.

    Examples
    --------
    >>> got = part_excess([[3.0, 1.0], [5.0, 1.0], [2.0, 2.0], [2.0, 2.0]],
    ...                   np.full((4, 2), 2.0), list("aabb"))
    >>> got.excess.tolist(), got.ratio.tolist()
    ([[0.5, -0.25], [0.0, 0.0]], [1.25, 1.0])
    """
    o = finite("observed", observed)
    e = finite("expected", expected, o.shape)
    groups = group_rows(provider)
    _check(o, e, groups)
    total = e.sum(axis=1)
    sums, squares = groups.total(total), groups.total(total**2)
    observed_sums, expected_sums = groups.total(o.T).T, groups.total(e.T).T
    excess = (observed_sums - expected_sums) / sums[:, None]
    away = (o - e) - total[:, None] * excess[groups.codes]
    share = squares / sums**2
    seen, of = _chance(groups, away), squares * (1 + share) - 2 * groups.total(total**3) / sums
    alone = groups.sizes < 2
    pooled = seen.sum(axis=0) / of[~alone].sum()
    own = seen / np.where(alone, 1.0, of)[:, None, None]
    unit = np.where(alone[:, None, None], pooled, own)
    found = PartExcess(
        groups.labels, groups.sizes, observed_sums, expected_sums, excess,
        unit * share[:, None, None], share,
    )  # fmt: skip
    return replace(found, weight=_weights(found, share * pooled.sum()))


def between_parts(parts: PartExcess, draws: NDArray[np.intp] | None = None) -> Floats:
    """Return the covariance between providers of the parts' excess, chance taken off.

    Parameters
    ----------
    parts : PartExcess
    draws : ndarray of int of shape (n_replicates, n_providers), optional
        Positions of providers drawn with replacement, each draw counting as another provider.
        Weights stay those of all providers.

    Returns
    -------
    ndarray of shape (n_parts, n_parts), or (n_replicates, n_parts, n_parts)
        Variances may be below 0 where there is little but chance. All elements together are the
        variance of the total, and the elements of a row the covariance of a part with it.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> provider = np.repeat(np.arange(200), 50)
    >>> effect = 0.1 * rng.standard_normal(200)[provider]
    >>> noise = rng.standard_normal((2, 10_000))
    >>> observed = 100 * np.column_stack([1 + effect + 0.3 * noise[0], 1 + 0.3 * noise[1]])
    >>> found = between_parts(part_excess(observed.clip(0), np.full((10_000, 2), 100.0), provider))
    >>> (found * 4 + 0).round(2).tolist()
    [[0.01, -0.0], [-0.0, 0.0]]
    """
    n = len(parts.n)
    if draws is None:
        return np.asarray(_moments(np.ones((1, n)), parts, 1.0)[0])
    counts = np.zeros((len(draws), n))
    np.add.at(counts, (np.arange(len(draws))[:, None], draws), 1.0)
    # Drawing with replacement makes a sample vary less than its population did, by 1 / n.
    return _moments(counts, parts, n / (n - 1))


def outer_fifths(
    ratio: ArrayLike, observed: ArrayLike, expected: ArrayLike
) -> tuple[Floats, Floats]:
    """Return observed over expected of the fifth of units with the lowest ratio, and the highest.

    Parameters
    ----------
    ratio : array-like of shape (..., n_units)
        By which units are ranked; the leading axes are samples.
    observed, expected : array-like of shape (..., n_units)

    Returns
    -------
    lowest, highest : ndarray of shape (...)
        Summed observed over summed expected, of fifths with as many units each as can be.

    Examples
    --------
    >>> low, high = outer_fifths([3.0, 1.0, 2.0, 4.0, 5.0], [3, 1, 2, 4, 5], np.ones(5))
    >>> float(low), float(high)
    (1.0, 5.0)
    """
    order = np.argsort(np.asarray(ratio, dtype=float), axis=-1, kind="stable")
    o = np.take_along_axis(np.asarray(observed, dtype=float), order, axis=-1)
    e = np.take_along_axis(np.asarray(expected, dtype=float), order, axis=-1)
    fifth = np.arange(order.shape[-1]) * _FIFTHS // order.shape[-1]
    low, high = (
        o[..., fifth == one].sum(axis=-1) / e[..., fifth == one].sum(axis=-1)
        for one in (0, _FIFTHS - 1)
    )
    return np.asarray(low), np.asarray(high)


# --- parts of these -------------------------------------------------------------------------------


def _check(o: Floats, e: Floats, groups: Groups) -> None:
    if (o < 0).any() or (e < 0).any() or (e.sum(axis=1) <= 0).any():
        raise ArrayError(
            "observed, expected: wanted 0 or more, and an expected total above 0 for every "
            "episode; got others."
        )
    if len(groups) < 2 or len(groups) == len(o):
        raise TooFewProvidersError(
            "provider: wanted two or more, with more episodes than providers; got "
            f"{len(groups)} and {len(o):,} episodes."
        )


def _chance(groups: Groups, away: Floats) -> Floats:
    """Return the sums of products of what episodes are away from their provider."""
    n_parts = away.shape[1]
    products = np.empty((len(groups), n_parts, n_parts))
    for row in range(n_parts):
        for column in range(row + 1):
            sums = groups.total(away[:, row] * away[:, column])
            products[:, row, column] = products[:, column, row] = sums
    return products


def _weights(parts: PartExcess, error: Floats) -> Floats:
    """Return weights for the total: by its error first, then by that and the variance between."""
    if not (error > 0).all():
        return np.ones(len(parts.n))
    first = between_parts(replace(parts, weight=1 / error))
    return np.asarray(1 / (error + max(float(first.sum()), 0.0)))


def _moments(counts: Floats, parts: PartExcess, larger: float) -> Floats:
    """Return the covariance between providers of every sample, from counts of each provider."""
    n_parts = parts.excess.shape[1]
    once, twice = counts * parts.weight, counts * parts.weight**2
    whole = once.sum(axis=1)
    mean = once @ parts.excess / whole[:, None]
    products = (parts.excess[:, :, None] * parts.excess[:, None, :]).reshape(-1, n_parts**2)
    among = (once @ products).reshape(-1, n_parts, n_parts)
    among -= whole[:, None, None] * mean[:, :, None] * mean[:, None, :]
    errors = parts.error.reshape(-1, n_parts**2)
    chance = (once @ errors - twice @ errors / whole[:, None]).reshape(among.shape)
    freedom = whole - twice.sum(axis=1) / whole
    return np.asarray((larger * among - chance) / freedom[:, None, None])
