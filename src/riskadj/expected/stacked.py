"""Several learners as one, weighted by what each is worth on episodes it did not learn from."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import nnls
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from riskadj.expected.cost_learners import TwoPartExpectation
from riskadj.expected.folds import Fold, Rows, check_folds, grouped_folds
from riskadj.expected.learners import LightGBMExpectation, LinearExpectation, Regressor
from riskadj.expected.nets import NetExpectation
from riskadj.expected.parts import PartsExpectation

Floats = NDArray[np.float64]


class StackedExpectation(Regressor):
    """A weighted sum of learners (stacked regressions; Breiman 1996, Machine Learning 24:49-64).

    Every learner expects the episodes of folds that it did not learn from; weights, none of them
    negative, are least squares on those. Then every learner learns from all episodes.

    Parameters
    ----------
    learners : sequence of learners, optional
        All of one family. By default linear, boosted trees, with family gaussian also boosted
        trees and networks by parts, and of costs a model in two parts.
    folds : int
        Learners are fitted this many times more; 2 folds cost as much again as the fit itself.
    seed : int
        Of folds that are not given.
    family : {"gaussian", "binomial", "gamma", "tweedie"}
        That of the learners. Of chances and costs weights add up to 1, so that an expectation is
        one, too.

    Attributes
    ----------
    learners_ : list of learners
        None where the weight is 0.
    weights_ : ndarray of shape (n_learners,)
        0 or more.
    intercept_ : float
    n_features_in_ : int

    Examples
    --------
    >>> x = np.tile(np.arange(8.0), 30)[:, None]
    >>> y = 2 * x[:, 0]
    >>> ridges = [LinearExpectation(2, ridge=1.0), LinearExpectation(2, ridge=1e6)]
    >>> stacked = StackedExpectation(ridges).fit(x, y)
    >>> stacked.weights_.round(1), stacked.predict(x[1:4]).round(1)
    (array([1., 0.]), array([2., 4., 6.]))
    """

    def __init__(
        self,
        learners: Sequence[Any] | None = None,
        folds: int = 2,
        seed: int = 0,
        family: str = "gaussian",
    ) -> None:
        self.learners = learners
        self.folds = folds
        self.seed = seed
        self.family = family

    def fit(
        self,
        X: Any,
        y: Any,
        groups: ArrayLike | None = None,
        folds: Sequence[Fold] | None = None,
        parts: ArrayLike | None = None,
    ) -> "StackedExpectation":
        """Learn from a matrix of shape (n_episodes, n_features) and scores (n_episodes,).

        Parameters
        ----------
        X, y : array-like
        groups : array-like of shape (n_episodes,), optional
            Provider of each episode: kept whole in a fold, and handed on to the learners.
        folds : sequence of (rows that teach, rows asked about), optional
            As `last_period` and `grouped_folds` make them, instead of folds of our own.
        parts : array-like of shape (n_episodes, n_parts), optional
            Handed on to learners by parts.

        Raises
        ------
        ArrayError
            When there are fewer groups than folds, or a fold asks about rows that taught it.
        """
        X, y = self._check_both(X, y, at_least=2)
        extra = {"groups": groups, "parts": parts}
        makers = list(self.learners or default_learners(self.family))
        chosen = self._folds(len(y), groups) if folds is None else folds
        check_folds(chosen)
        outside = []
        for teach, asked in chosen:
            taught = _fit_each(makers, X, y, extra, teach)
            outside.append(np.column_stack([one.predict(X[asked]) for one in taught]))
        answered = np.concatenate([y[asked] for _, asked in chosen])
        self.intercept_, self.weights_ = _weights(np.vstack(outside), answered, self.family)
        everybody = np.arange(len(y))
        used = [maker for maker, weight in zip(makers, self.weights_, strict=True) if weight]
        taught_all = iter(_fit_each(used, X, y, extra, everybody))
        self.learners_ = [next(taught_all) if weight else None for weight in self.weights_]
        return self

    def predict(self, X: Any) -> NDArray[np.float64]:
        """Return expected scores, or probabilities, of shape (n_episodes,)."""
        check_is_fitted(self)
        X = self._check(X)
        expected = np.full(len(X), self.intercept_)
        for weight, one in zip(self.weights_, self.learners_, strict=True):
            if one is not None:
                expected += weight * one.predict(X)
        return expected

    def _folds(self, n: int, groups: ArrayLike | None) -> tuple[Fold, ...]:
        return grouped_folds(np.arange(n) if groups is None else groups, self.folds, self.seed)


def default_learners(family: str = "gaussian") -> list[Any]:
    """Return learners that differ enough to be worth a stack."""
    learners = [LinearExpectation(family=family), LightGBMExpectation(family=family)]
    return [*learners, *(made() for made in _MORE.get(family, (TwoPartExpectation,)))]


_MORE: Mapping[str, tuple[type[Any], ...]] = {
    "gaussian": (PartsExpectation, NetExpectation),
    "binomial": (),
}
"""By family; others are of costs."""


def _fit_each(
    makers: Sequence[Any], X: Floats, y: Floats, extra: dict[str, Any], rows: Rows
) -> list[Any]:
    """Return learners fitted to some rows; two at once where any of them may use two threads."""
    workers = min(2, max((threads_of(one) for one in makers), default=1))
    if workers == 1:
        return [_fit(one, X, y, extra, rows) for one in makers]
    # LightGBM has one number of threads for the whole process. Trained side by side, learners that
    # ask for different numbers write beyond each other's buffers.
    alone = [_with_threads(one, 1) for one in makers]
    with ThreadPoolExecutor(workers) as pool:
        taught = list(pool.map(lambda one: _fit(one, X, y, extra, rows), alone))
    return [one.set_params(**_threads(maker)) for one, maker in zip(taught, makers, strict=True)]


def _with_threads(learner: Any, threads: int) -> Any:
    return clone(learner).set_params(**dict.fromkeys(_threads(learner), threads))


def _threads(learner: Any) -> dict[str, int]:
    """Return the settings of a learner, or one inside it, that say how many threads it may use."""
    named = learner.get_params(deep=True)
    return {name: int(v) for name, v in named.items() if name.rpartition("__")[2] == "threads"}


def threads_of(learner: Any) -> int:
    """Return how many threads a learner, or one inside it, may use."""
    return max(_threads(learner).values(), default=1)


def _fit(maker: Any, X: Floats, y: Floats, extra: dict[str, Any], rows: Rows) -> Any:
    """Return a learner fitted to some rows, given what it takes beside them."""
    takes = ("groups", "parts") if maker.takes_parts else ("groups",)
    given = {name: np.asarray(extra[name])[rows] for name in takes if extra[name] is not None}
    return clone(maker).fit(X[rows], y[rows], **given)


def _weights(outside: Floats, y: Floats, family: str) -> tuple[float, Floats]:
    """Return intercept and weights; an equal share each where no learner is worth anything."""
    bounded = family != "gaussian"
    centre = np.zeros(outside.shape[1]) if bounded else outside.mean(axis=0)
    level = 0.0 if bounded else float(y.mean())
    weights, _ = nnls(outside - centre, y - level)
    if bounded:
        total = weights.sum()
        return 0.0, weights / total if total else np.full(len(weights), 1 / len(weights))
    return float(level - centre @ weights), weights
