"""Scores learned by their parts: items, levels or bands, each of which has a ceiling of its own.

A questionnaire's score adds up answers, and each answer has its own causes and its own best level.
Learning each and adding them up expects better than learning the sum, as long as the learner is
not linear (of linear ones the sum is the same).
"""

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from riskadj.errors import ArrayError
from riskadj.expected.learners import LightGBMExpectation, Regressor
from riskadj.stats.arrays import finite

Floats = NDArray[np.float64]

_EXACT = 1e-6
_MOST_LEVELS = 5


def score_parts(y: ArrayLike, items: ArrayLike | None = None, bands: int = 8) -> Floats:
    """Return numbers of which the scores are weighted sums.

    Parameters
    ----------
    y : array-like of shape (n_episodes,)
        Scores.
    items : array-like of shape (n_episodes, n_items), optional
        The answers behind them; a missing one counts as the mean of the others.
    bands : int
        How many, where items are not given or scores are no sum of them.

    Returns
    -------
    ndarray of shape (n_episodes, n_parts)
        The first of these that add up: the items; an indicator per level of each item, of any
        problem and of any worst level (as in value sets of EQ-5D-3L; Dolan 1997, Med Care
        35:1095-1108); bands of the score.

    Raises
    ------
    ArrayError
        When y is not finite.

    Examples
    --------
    >>> score_parts([3.0, 5.0, 4.0], [[1, 2], [2, 3], [3, 1]])
    array([[1., 2.],
           [2., 3.],
           [3., 1.]])
    >>> score_parts([0.0, 10.0, 30.0], bands=2)
    array([[ 0.,  0.],
           [10.,  0.],
           [10., 20.]])
    """
    scores = finite("y", y)
    if items is not None:
        answers = np.asarray(items, dtype=float)
        answers = answers[:, ~np.isnan(answers).all(axis=0)]
        for made in (_filled(answers), _indicators(answers)):
            if made.size and _weigh(made, scores) is not None:
                return made
    return _bands(scores, bands)


def _filled(items: Floats) -> Floats:
    known = ~np.isnan(items)
    counts = np.maximum(known.sum(axis=1), 1)
    mean = np.where(known, items, 0.0).sum(axis=1) / counts
    return np.where(known, items, mean[:, None])


def _indicators(items: Floats) -> Floats:
    levels = [np.unique(column[~np.isnan(column)]) for column in items.T]
    if not levels or max(map(len, levels)) > _MOST_LEVELS:
        return np.empty((len(items), 0))
    first, last = min(one[0] for one in levels), max(one[-1] for one in levels)
    each = [items[:, k] == level for k, some in enumerate(levels) for level in some[1:]]
    any_problem, any_worst = (items > first).any(axis=1), (items == last).any(axis=1)
    return np.column_stack([*each, any_problem, any_worst]).astype(np.float64)


def _bands(y: Floats, bands: int) -> Floats:
    """Return how much of each band of the score is filled; bands hold equally many episodes."""
    cuts = np.unique(np.quantile(y, np.linspace(0, 1, bands + 1), method="nearest"))
    if len(cuts) < 2:
        return np.zeros((len(y), 1))
    return np.column_stack([np.clip(y - low, 0, high - low) for low, high in pairwise(cuts)])


def _weigh(parts: Floats, y: Floats) -> tuple[float, Floats] | None:
    """Return constant and weights with which parts add up to scores, or None where none do."""
    mean = parts.mean(axis=0)
    weights = np.linalg.lstsq(parts - mean, y - y.mean())[0]
    constant = float(y.mean() - mean @ weights)
    gap = np.abs(constant + parts @ weights - y).max()
    return (constant, weights) if gap <= _EXACT * max(1.0, np.abs(y).max()) else None


class Weighed(NamedTuple):
    """Parts of mean 0 and standard deviation 1, and what makes scores of them."""

    constant: float
    weights: Floats
    scaled: Floats


def weigh_parts(y: Floats, parts: ArrayLike | None, bands: int) -> Weighed:
    """Return parts that vary, ready to be learned.

    Raises
    ------
    ArrayError
        When scores are no weighted sum of the parts.
    """
    given = score_parts(y, bands=bands) if parts is None else finite("parts", parts)
    weighed = _weigh(given, y)
    if weighed is None:
        raise ArrayError(
            "parts: wanted parts of which the scores are weighted sums; got others. Make them "
            "with score_parts."
        )
    constant, weights = weighed
    mean, spread = given.mean(axis=0), given.std(axis=0)
    used = np.flatnonzero((spread > 0) & (np.ptp(given, axis=0) > 0))
    scaled = (given - mean)[:, used] / spread[used]
    return Weighed(constant + float(mean @ weights), (weights * spread)[used], scaled)


def _each(make: Any, X: Floats, targets: Floats, groups: ArrayLike | None) -> list[Any]:
    """Return a learner of each target; several at once, rather than several threads for each."""
    workers = getattr(make, "threads", 1)

    def teach(target: Floats) -> Any:
        learner = clone(make)
        return (learner.set_params(threads=1) if workers > 1 else learner).fit(X, target, groups)

    if workers == 1:
        return [teach(one) for one in targets]
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(teach, targets))


class PartsExpectation(Regressor):
    """A learner for each part of the score; the expectation adds them up.

    Parameters
    ----------
    learner : learner, optional
        Of family gaussian; boosted trees by default. Parts have standard deviation 1 for it.
    bands : int
        How many parts, where `fit` is not given any.

    Attributes
    ----------
    learners_ : list of learners
        One per part.
    constant_ : float
    weights_ : ndarray of shape (n_parts,)
        Times what each learner says.
    n_features_in_ : int

    Examples
    --------
    >>> from riskadj.expected import LinearExpectation
    >>> x, items = np.arange(4.0)[:, None], np.array([[0, 1], [1, 1], [2, 3], [3, 3]])
    >>> learner = PartsExpectation(LinearExpectation(2, ridge=0.0))
    >>> learner.fit(x, items.sum(axis=1), parts=items).predict(x).round(1)
    array([0.8, 2.6, 4.4, 6.2])
    """

    takes_parts: ClassVar[bool] = True

    def __init__(self, learner: Any = None, bands: int = 8) -> None:
        self.learner = learner
        self.bands = bands

    def fit(
        self, X: Any, y: Any, groups: ArrayLike | None = None, parts: ArrayLike | None = None
    ) -> "PartsExpectation":
        """Learn from a matrix of shape (n_episodes, n_features) and scores (n_episodes,).

        Parameters
        ----------
        X, y : array-like
        groups : array-like of shape (n_episodes,), optional
            Provider of each episode, for a learner with slopes within providers.
        parts : array-like of shape (n_episodes, n_parts), optional
            Of which the scores are weighted sums; as `score_parts` makes them.

        Raises
        ------
        ArrayError
            When scores are no weighted sum of the parts.
        """
        X, y = self._check_both(X, y, at_least=2)
        weighed = weigh_parts(y, parts, self.bands)
        self.constant_, self.weights_ = weighed.constant, weighed.weights
        make = self.learner or LightGBMExpectation(trees=180, leaves=12, learning_rate=0.05)
        self.learners_ = _each(make, X, weighed.scaled.T, groups)
        return self

    def predict(self, X: Any) -> NDArray[np.float64]:
        """Return expected scores of shape (n_episodes,)."""
        check_is_fitted(self)
        X = self._check(X)
        expected = np.full(len(X), self.constant_)
        for weight, learner in zip(self.weights_, self.learners_, strict=True):
            expected += weight * learner.predict(X)
        return expected
