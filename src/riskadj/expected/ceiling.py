"""Expectations that know of the ceiling: the chance of the best score, and the mean below it."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from riskadj.expected.learners import LightGBMExpectation, Regressor

_SAME = 1e-9


class CeilingExpectation(Regressor):
    """Two parts: P(best score), and the mean of the other scores (Huang et al. 2008, cited below).

    The expectation is P best + (1 - P) mean. The form with two parts was chosen on hip replacements
    of 2016/17, asked about 2017/18, before Tobit and ordinal models: see `experiments/02_stacked`.
    Tobit takes the ceiling for the end of a scale that goes on, with normal errors, and expected
    far too many there.

    Parameters
    ----------
    at_best : learner, optional
        Of family binomial; boosted trees by default.
    below : learner, optional
        Of family gaussian; boosted trees by default.
    best : float, optional
        The best score that can be had, highest or lowest. Without it, the highest seen.

    Attributes
    ----------
    best_ : float
    range_ : tuple of float
        Lowest and highest score that the mean below may take.
    at_best_, below_ : learner or float
        Fitted; a number where all episodes, or none, are at the best score.
    n_features_in_ : int

    References
    ----------
    Two-part models of health scores, beside others: Huang, Frangakis, Atkinson and others 2008,
    Health Serv Res, doi 10.1111/j.1475-6773.2007.00745.x.

    Examples
    --------
    >>> from riskadj.expected import LinearExpectation
    >>> x = np.arange(8.0)[:, None]
    >>> y = np.minimum(40 + 2 * x[:, 0], 48)
    >>> parts = {"at_best": LinearExpectation(2, family="binomial"), "below": LinearExpectation(2)}
    >>> learner = CeilingExpectation(**parts, best=48.0).fit(x, y)
    >>> float(learner.expected_share_at_ceiling(x).sum().round(2))
    4.0
    """

    def __init__(self, at_best: Any = None, below: Any = None, best: float | None = None) -> None:
        self.at_best = at_best
        self.below = below
        self.best = best

    def fit(self, X: Any, y: Any, groups: ArrayLike | None = None) -> "CeilingExpectation":
        """Learn from a matrix of shape (n_episodes, n_features) and scores (n_episodes,).

        Parameters
        ----------
        X, y : array-like
        groups : array-like of shape (n_episodes,), optional
            Provider of each episode, for parts with slopes within providers.
        """
        X, y = self._check_both(X, y, at_least=2)
        self.best_ = float(y.max() if self.best is None else self.best)
        self.range_ = (float(y.min()), float(y.max()))
        there = np.abs(y - self.best_) < _SAME
        everybody = np.ones(len(y), dtype=bool)
        at_best = self.at_best or LightGBMExpectation(family="binomial")
        self.at_best_ = _fit(at_best, X, there.astype(float), groups, everybody)
        self.below_ = _fit(self.below or LightGBMExpectation(), X, y, groups, ~there)
        return self

    def expected_share_at_ceiling(self, X: Any) -> NDArray[np.float64]:
        """Return each episode's chance of the best score, of shape (n_episodes,)."""
        check_is_fitted(self)
        return _ask(self.at_best_, self._check(X))

    def predict(self, X: Any) -> NDArray[np.float64]:
        """Return expected scores of shape (n_episodes,)."""
        share = self.expected_share_at_ceiling(X)
        below = np.clip(_ask(self.below_, self._check(X)), *self.range_)
        return share * self.best_ + (1 - share) * below


def _fit(
    learner: Any,
    X: NDArray[np.float64],
    y: NDArray[np.float64],
    groups: ArrayLike | None,
    rows: NDArray[np.bool_],
) -> Any:
    """Return the fitted part, or its one value where there is nothing to learn."""
    known = y[rows]
    if known.size < 2 or np.ptp(known) == 0:
        return float(known[0]) if known.size else 0.0
    return clone(learner).fit(X[rows], known, None if groups is None else np.asarray(groups)[rows])


def _ask(part: Any, X: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.full(len(X), part) if isinstance(part, float) else part.predict(X)
