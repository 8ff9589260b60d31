"""How good an expectation of cost is, and what a cap takes away.

Figures that risk adjustment is judged by: R2 and Cumming's prediction measure (how much of the
variation is expected), the share of expectations that no payer could pay, and the share of cost
above a cap.

Amounts are in the unit of cost throughout. Expectations should come from a model that did not see
the episodes: every figure flatters one that did.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from riskadj.errors import ArrayError, NoVariationError
from riskadj.stats.arrays import Floats, a_row, at_least, finite, weights_or_ones


@dataclass(frozen=True)
class CostFit:
    """How close expected costs are to observed ones.

    Attributes
    ----------
    n : int
    r2 : float
        1 - sum w (O - E)^2 / sum w (O - mean O)^2; at most 1, negative when worse than the mean.
    cpm : float
        Cumming's prediction measure, the same with absolute values: a dear few count for less.
    mae : float
        Mean of |O - E|.
    total_ratio : float
        Sum of O over sum of E; NaN when the latter is not above 0.
    negative_share : float
        Share of episodes, by weight, that are expected to cost less than nothing.
    """

    n: int
    r2: float
    cpm: float
    mae: float
    total_ratio: float
    negative_share: float


@dataclass(frozen=True)
class TopCoded:
    """What a cap takes away.

    Attributes
    ----------
    n, n_capped : int
        Episodes, and those that cost more than their cap.
    share_of_episodes, share_of_cost : float
        Both of 1: n_capped / n, and what is above the cap over all cost.
    """

    n: int
    n_capped: int
    share_of_episodes: float
    share_of_cost: float


def cost_fit(y: ArrayLike, expected: ArrayLike, weights: ArrayLike | None = None) -> CostFit:
    """Return how close expected costs are to observed ones.

    Parameters
    ----------
    y, expected : array-like of shape (n_episodes,)
        Observed and expected cost.
    weights : array-like of shape (n_episodes,), optional
        Not negative.

    Raises
    ------
    ArrayError
        When arrays differ in length or are not finite.
    NoVariationError
        When all observed costs are the same, so that there is nothing to explain.

    Notes
    -----
    CPM: Cumming, Knutson, Cameron and Derrick 2002, A comparative analysis of claims-based methods
    of health risk assessment for commercial populations, Society of Actuaries.

    Examples
    --------
    >>> got = cost_fit([100.0, 100.0, 300.0, 300.0], [150.0, 150.0, 200.0, 200.0])
    >>> got.r2, got.cpm, got.mae, round(got.total_ratio, 4), got.negative_share
    (0.375, 0.25, 75.0, 1.1429, 0.0)
    """
    o, e, w = checked_costs(y, expected, weights)
    away = o - w @ o / w.sum()
    if not (np.abs(away) @ w > 0 and o.min() < o.max()):
        raise NoVariationError(
            f"y: wanted costs that differ; got {o[0]:g} throughout. Choose another outcome."
        )
    total = float(w @ e)
    return CostFit(
        n=o.size,
        r2=1 - float(w @ (o - e) ** 2 / (w @ away**2)),
        cpm=1 - float(w @ np.abs(o - e) / (w @ np.abs(away))),
        mae=float(w @ np.abs(o - e) / w.sum()),
        total_ratio=float(w @ o) / total if total > 0 else float("nan"),
        negative_share=float(w @ (e < 0) / w.sum()),
    )


def top_coded_share(y: ArrayLike, cap: ArrayLike) -> TopCoded:
    """Return how many episodes cost more than a cap, and what share of all cost is above it.

    Parameters
    ----------
    y : array-like of shape (n_episodes,)
        Observed cost before capping, 0 or more, some of it above 0.
    cap : float or array-like of shape (n_episodes,)
        One for all, or each episode's own (that of its group); 0 or more.

    Raises
    ------
    ArrayError

    Examples
    --------
    >>> got = top_coded_share([100.0, 200.0, 300.0, 1400.0], 400.0)
    >>> got.n_capped, got.share_of_episodes, got.share_of_cost
    (1, 0.25, 0.5)
    """
    cost = at_least("y", a_row("y", y, "episode"), 0.0)
    ceiling = at_least("cap", cap, 0.0)
    if ceiling.shape not in {(), cost.shape}:
        raise ArrayError(f"cap: wanted one number or {cost.size}; got shape {ceiling.shape}.")
    if not cost.sum() > 0:
        raise ArrayError("y: wanted some cost above 0; got none.")
    beyond = np.maximum(cost - ceiling, 0.0)
    n_capped = int((beyond > 0).sum())
    return TopCoded(cost.size, n_capped, n_capped / cost.size, float(beyond.sum() / cost.sum()))


def checked_costs(
    y: ArrayLike, expected: ArrayLike, weights: ArrayLike | None
) -> tuple[Floats, Floats, Floats]:
    """Return observed and expected cost and weights, one of each per episode.

    Raises
    ------
    ArrayError
    """
    o = a_row("y", y, "episode")
    return o, finite("expected", expected, o.shape), weights_or_ones(weights, o.size)
