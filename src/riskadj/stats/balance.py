"""How far responders are from everybody, before and after weights."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from riskadj.errors import ArrayError
from riskadj.stats.arrays import Floats, a_row, at_least, covariate_rows
from riskadj.stats.groups import Groups, group_rows


@dataclass(frozen=True)
class Balance:
    """How far responders are from everybody, covariate by covariate.

    Attributes
    ----------
    everybody, responders, weighted : ndarray of shape (n_covariates,)
        Plain means: of all rows, of those who answered, and of these by their weights.
    sd : ndarray of shape (n_covariates,)
        Standard deviation among everybody; within providers, of those that anybody answered.
    unweighted_difference, weighted_difference : ndarray of shape (n_covariates,)
        Responders less everybody, over `sd`; 0 where that is 0. Within providers it is their mean
        difference, each counting by its eligible episodes, so that it is not that of the means.
    """

    everybody: Floats
    responders: Floats
    weighted: Floats
    sd: Floats
    unweighted_difference: Floats
    weighted_difference: Floats


def balance(X: ArrayLike, weight: ArrayLike, provider: ArrayLike | None = None) -> Balance:
    """Return standardised differences between responders and everybody, before and after weights.

    Parameters
    ----------
    X : array-like of shape (n_episodes, n_covariates)
    weight : array-like of shape (n_episodes,)
        0 for those who did not answer.
    provider : array-like of shape (n_episodes,), optional
        Compare within providers: each counts by its eligible episodes on either side, and those
        that nobody answered are left out. This is the balance that a comparison of providers
        needs, and the only one that weights with numerator `provider` aim at.

    Raises
    ------
    ArrayError

    Notes
    -----
    An absolute difference above 0.1 is often called imbalance (Austin 2009, Stat Med
    28:3083-3107).

    Examples
    --------
    >>> table = balance([[0.0], [0.0], [1.0], [1.0]], [2.0, 0.0, 1.0, 1.0])
    >>> table.unweighted_difference.round(3).tolist(), table.weighted_difference.tolist()
    ([0.333], [0.0])
    """
    w = at_least("weight", a_row("weight", weight, "episode"), 0.0)
    x = covariate_rows(X, w.size)
    if not w.any():
        raise ArrayError("weight: wanted some above 0; got none.")
    groups = group_rows(np.zeros(w.size) if provider is None else provider)
    if groups.n_rows != w.size:
        raise ArrayError(f"provider: wanted one per episode, {w.size:,}; got {groups.n_rows:,}.")
    answered, followed = (w > 0).astype(np.float64), (groups.total(w) > 0)[groups.codes]
    middle, sd = x[followed].mean(axis=0), x[followed].std(axis=0)
    return Balance(
        everybody=x.mean(axis=0),
        responders=np.asarray(answered @ x / answered.sum()),
        weighted=np.asarray(w @ x / w.sum()),
        sd=sd,
        unweighted_difference=_standardised(_mean_within(x, answered, groups) - middle, sd),
        weighted_difference=_standardised(_mean_within(x, w, groups) - middle, sd),
    )


def _mean_within(x: Floats, w: Floats, groups: Groups) -> Floats:
    """Return weighted means, weights scaled to add to the rows of each group that has any."""
    total = groups.total(w)
    scale = np.divide(groups.sizes, total, out=np.zeros_like(total), where=total > 0)
    scaled = w * scale[groups.codes]
    return np.asarray(scaled @ x / scaled.sum())


def _standardised(difference: Floats, sd: Floats) -> Floats:
    return np.divide(difference, sd, out=np.zeros_like(difference), where=sd > 0)
