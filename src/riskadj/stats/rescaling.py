"""What bootstrap samples clusters count for where they were sampled by stratum."""

import numpy as np
from numpy.typing import ArrayLike

from riskadj.errors import ArrayError
from riskadj.stats.arrays import Floats, whole
from riskadj.stats.groups import group_rows


def rescaling_weights(stratum: ArrayLike, replicates: int = 1000, seed: int = 0) -> Floats:
    """Return bootstrap weights of clusters that were sampled by stratum.

    Of each stratum's n clusters n - 1 are drawn with replacement, and each drawing counts
    n / (n - 1): then variances of sums are those of the design, where the plain bootstrap is too
    small by (n - 1) / n, which is a half when a stratum has two clusters. Multiply the weight of
    each episode by that of its cluster.

    Parameters
    ----------
    stratum : array-like of shape (n_clusters,)
        Labels, one per cluster; at least 2 clusters in each.
    replicates : int
    seed : int
        Same seed, same weights.

    Returns
    -------
    ndarray of shape (replicates, n_clusters)
        In order of the clusters as they came; each stratum's sum to its number of clusters.

    Raises
    ------
    ArrayError
        When a stratum has one cluster.

    Notes
    -----
    Rao and Wu 1988, J Am Stat Assoc 83:231-241, with n - 1 drawings; as weights: Rao, Wu and Yue
    1992, Surv Methodol 18:209-217. Memory: 8 bytes x replicates x clusters.

    Examples
    --------
    >>> rescaling_weights(["a", "a"], replicates=3, seed=1).tolist()
    [[2.0, 0.0], [2.0, 0.0], [0.0, 2.0]]
    """
    strata = group_rows(stratum, "stratum")
    whole("replicates", replicates, 1)
    if strata.sizes.min() < 2:
        alone = strata.labels[strata.sizes.argmin()]
        raise ArrayError(
            f"stratum: wanted at least 2 clusters in each; got 1 in {str(alone)!r}. "
            "Put strata together."
        )
    rng = np.random.default_rng(seed)
    drawn = [
        rng.multinomial(n - 1, np.full(n, 1 / n), size=replicates) * (n / (n - 1))
        for n in strata.sizes.tolist()
    ]
    return strata.unsort(np.hstack(drawn))
