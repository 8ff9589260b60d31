"""How sure a threshold is: bootstrap intervals of every method."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from riskadj.stats.anchor_tables import (
    by_answer,
    count_patients,
    percentiles,
    refuse_failed,
    replicate,
)
from riskadj.stats.anchors import METHODS, checked_reliability, estimate_threshold, every_estimate
from riskadj.stats.arrays import Floats, tail_of


@dataclass(frozen=True)
class ThresholdIntervals:
    """Thresholds with bootstrap percentile intervals, an entry per method of `METHODS`.

    Attributes
    ----------
    methods : tuple of str
    estimate : ndarray of shape (n_methods,)
        As `estimate_threshold` gives them.
    lower, upper : ndarray of shape (n_methods,)
        NaN where the estimate is.
    level : float
    draws : ndarray of shape (n_replicates, n_methods)
        NaN where a replicate has no estimate.
    failed : int
        Replicates without one: nobody or everybody improved, or no relation with the change.
    resampled : str
        "episodes" or "providers".
    seed : int
    """

    methods: tuple[str, ...]
    estimate: Floats
    lower: Floats
    upper: Floats
    level: float
    draws: Floats
    failed: int
    resampled: str
    seed: int


def bootstrap_threshold(
    change: ArrayLike,
    improved: ArrayLike,
    *,
    seed: int,
    replicates: int = 500,
    level: float = 0.95,
    provider: ArrayLike | None = None,
    anchor_reliability: float | None = None,
) -> ThresholdIntervals:
    """Estimate thresholds with bootstrap percentile intervals.

    Parameters
    ----------
    change, improved, anchor_reliability
        As in `estimate_threshold`.
    seed : int
        Same seed, same answer, whatever the order of rows.
    replicates : int
        At least 2; intervals want hundreds.
    level : float
        Of the intervals; between 0 and 1.
    provider : array-like of shape (n_patients,), optional
        Labels. With them providers are drawn with all their patients, as patients of one provider
        are alike; without, patients are drawn.

    Raises
    ------
    ArrayError
        As `estimate_threshold`; also with fewer than two providers, or when more than a twentieth
        of the replicates have no estimate.
    NoVariationError
        As `estimate_threshold`.

    Notes
    -----
    Efron 1979, Ann Stat 7:1-26. The cut of the receiver operating characteristic jumps between
    changes that occur, so that its interval does too. The reliability is taken as known.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> change = rng.integers(-10, 30, 2000)
    >>> improved = rng.random(2000) < 1 / (1 + np.exp(-(change - 8) / 4))
    >>> got = bootstrap_threshold(change, improved, seed=1, replicates=200)
    >>> bool(got.lower[0] < got.estimate[0] < got.upper[0])
    True
    """
    point = estimate_threshold(change, improved, anchor_reliability=anchor_reliability)
    reliability, tail = checked_reliability(anchor_reliability), tail_of(level)
    table = count_patients(change, improved, provider=provider)
    values = table.values[:, 0]

    def estimates(counts: Floats) -> Floats:
        found = every_estimate(values, *by_answer(counts), reliability)
        return np.stack([found[one] for one in METHODS], axis=1)

    draws = replicate(table, estimates, replicates, seed)
    lower, upper = percentiles(draws, tail)
    failed = int(np.isnan(draws[:, 0]).sum())
    refuse_failed(failed, replicates)
    return ThresholdIntervals(
        methods=METHODS,
        estimate=np.array([getattr(point, one) for one in METHODS]),
        lower=lower,
        upper=upper,
        level=float(level),
        draws=draws,
        failed=failed,
        resampled="episodes" if provider is None else "providers",
        seed=int(seed),
    )
