"""How close expectations are, and how much closer those of another learner, by cluster."""

import numpy as np
from numpy.typing import ArrayLike

from riskadj.stats.arrays import Floats, a_row, finite, one_of
from riskadj.stats.clusters import Estimate, Figure, Totals, interval_by_cluster, sums_by_cluster


def accuracy_by_cluster(
    observed: ArrayLike,
    expected: ArrayLike,
    cluster: ArrayLike,
    figure: str = "r2",
    method: str = "bca",
    *,
    replicates: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> Estimate:
    """Return a figure of closeness with an interval that allows for clusters.

    Parameters
    ----------
    observed, expected, cluster : array-like of shape (n_episodes,)
    figure : {"r2", "mae", "rmse", "mse", "bias", "slope"}
        As in `accuracy` and `calibration_line`; `mse` is the mean of (O - E)^2. Of events (0 and
        1) and risks `mse` is the Brier score, and `r2` the scaled one.
    method, replicates, seed, level
        As in `interval_by_cluster`.

    Raises
    ------
    ArrayError

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> cluster, expected = np.repeat(np.arange(50), 20), rng.normal(size=1000)
    >>> got = accuracy_by_cluster(expected + rng.normal(size=1000), expected, cluster)
    >>> bool(0.4 < got.lower < got.value < got.upper < 0.6)
    True
    """
    found = FIGURES[one_of("figure", figure, FIGURES)]
    o, e = _pair(observed, expected)
    sums = sums_by_cluster(_of_pair(o, e), cluster)
    return interval_by_cluster(sums, found, method, replicates=replicates, seed=seed, level=level)


def accuracy_difference(
    observed: ArrayLike,
    expected: ArrayLike,
    other: ArrayLike,
    cluster: ArrayLike,
    figure: str = "r2",
    method: str = "bca",
    *,
    replicates: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> Estimate:
    """Return how much a figure of one learner is above that of another on the same episodes.

    Both learners see the same samples of clusters, so that what they share cancels.

    Parameters
    ----------
    observed, expected, other, cluster : array-like of shape (n_episodes,)
        `other`: what the learner to compare with expects.
    figure, method, replicates, seed, level
        As in `accuracy_by_cluster`.

    Raises
    ------
    ArrayError

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> cluster, truth = np.repeat(np.arange(50), 20), rng.normal(size=1000)
    >>> observed, worse = truth + rng.normal(size=1000), truth + 0.5 * rng.normal(size=1000)
    >>> accuracy_difference(observed, truth, worse, cluster).lower > 0
    True
    """
    found = FIGURES[one_of("figure", figure, FIGURES)]
    o, first = _pair(observed, expected)
    second = finite("other", other, o.shape)
    columns = _of_pair(o, first) | {f"other {k}": v for k, v in _of_pair(o, second).items()}

    def difference(of: Totals) -> Floats:
        theirs = {name: of[f"other {name}"] for name in _PAIR} | {"n": of["n"]}
        return found(of) - found(theirs)

    sums = sums_by_cluster(columns, cluster)
    return interval_by_cluster(
        sums, difference, method, replicates=replicates, seed=seed, level=level
    )


def _pair(observed: ArrayLike, expected: ArrayLike) -> tuple[Floats, Floats]:
    o = a_row("observed", observed, "episode")
    return o, finite("expected", expected, o.shape)


_PAIR = ("o", "e", "oo", "ee", "oe", "rest", "square", "absolute")


def _of_pair(observed: Floats, expected: Floats) -> dict[str, ArrayLike]:
    """Return the columns whose sums say how close expectations are, about the observed mean."""
    centre = observed.mean()
    o, e, rest = observed - centre, expected - centre, observed - expected
    columns = (o, e, o * o, e * e, o * e, rest, rest * rest, np.abs(rest))
    return dict(zip(_PAIR, columns, strict=True))


def _r2(of: Totals) -> Floats:
    return 1 - of["square"] / (of["oo"] - of["o"] ** 2 / of["n"])


def _slope(of: Totals) -> Floats:
    return (of["oe"] - of["o"] * of["e"] / of["n"]) / (of["ee"] - of["e"] ** 2 / of["n"])


FIGURES: dict[str, Figure] = {
    "r2": _r2,
    "mae": lambda of: of["absolute"] / of["n"],
    "rmse": lambda of: np.sqrt(of["square"] / of["n"]),
    "mse": lambda of: of["square"] / of["n"],
    "bias": lambda of: of["rest"] / of["n"],
    "slope": _slope,
}
"""The figures of `accuracy_by_cluster`."""
