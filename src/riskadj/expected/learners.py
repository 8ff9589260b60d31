"""Learners of expectations, as scikit-learn regressors that take missing values as they come."""

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.linear_model import Ridge
from sklearn.utils.validation import check_is_fitted, validate_data

if TYPE_CHECKING:
    from lightgbm import Booster

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # threads that spin starve shared cores


@dataclass(frozen=True)
class Factor:
    """How a feature enters the linear predictor.

    Attributes
    ----------
    feature : int
        Its position in the matrix.
    levels : tuple of float
        Values of a discrete feature, in order; empty for a continuous one.
    shares : tuple of float
        Share of each level among the episodes learned from.
    mean : float
        Of the values learned from; stands in for a missing continuous one.
    missing : bool
        Whether missing values were seen, and so have a constant of their own.
    """

    feature: int
    levels: tuple[float, ...]
    shares: tuple[float, ...]
    mean: float
    missing: bool


class _Expectation(RegressorMixin, BaseEstimator):
    """What the learners share: how a matrix is checked, and that NaN is allowed in it."""

    _SETTINGS: ClassVar[dict[str, Any]] = {"dtype": np.float64, "ensure_all_finite": "allow-nan"}

    def _check_both(self, X: Any, y: Any, *, at_least: int = 1) -> Any:
        settings = self._SETTINGS | {"y_numeric": True, "ensure_min_samples": at_least}
        return validate_data(self, X, y, reset=True, **settings)

    def _check(self, X: Any) -> Any:
        return validate_data(self, X, reset=False, **self._SETTINGS)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags


class LinearExpectation(_Expectation):
    """Least squares: multipliers for continuous features, a constant per level of discrete ones.

    The form of NHS England's own models: a constant, plus multiplier times value for continuous
    factors, plus a constant for each discrete factor present (A Guide to PROMs Methodology,
    version 12). A missing value has a constant of its own; where none was seen when learning, it
    counts as the average. A value between or beyond the levels seen counts as the nearest of them.

    Parameters
    ----------
    discrete_up_to : int
        Features with at most this many distinct values are discrete.
    ridge : float
        Penalty that settles collinear columns; small beside the number of episodes.

    Attributes
    ----------
    factors_ : list of Factor
    coef_ : ndarray
        In the unit of the score; for each factor the constant of a missing value (if any was
        seen), then the constants of its levels but the first, or its multiplier.
    intercept_ : float
    n_features_in_ : int
    """

    def __init__(self, discrete_up_to: int = 6, ridge: float = 1.0) -> None:
        self.discrete_up_to = discrete_up_to
        self.ridge = ridge

    def fit(self, X: Any, y: Any) -> "LinearExpectation":
        """Learn from a matrix of shape (n_episodes, n_features) and scores (n_episodes,)."""
        X, y = self._check_both(X, y)
        factors = (_factor(one, X[:, one], self.discrete_up_to) for one in range(X.shape[1]))
        self.factors_ = [one for one in factors if one is not None]
        design = _design(X, self.factors_)
        if not self.factors_:
            self.coef_, self.intercept_ = np.zeros(0), float(np.mean(y))
            return self
        if self.ridge == 0:  # the shortest of many solutions, as levels of a text are collinear
            centre = design.mean(axis=0)
            self.coef_ = np.linalg.lstsq(design - centre, y - y.mean())[0]
            self.intercept_ = float(y.mean() - centre @ self.coef_)
            return self
        fitted = Ridge(alpha=self.ridge, solver="cholesky").fit(design, y)
        self.coef_, self.intercept_ = fitted.coef_, float(fitted.intercept_)
        return self

    def predict(self, X: Any) -> NDArray[np.float64]:
        """Return expected scores of shape (n_episodes,)."""
        check_is_fitted(self)
        X = self._check(X)
        return _design(X, self.factors_) @ self.coef_ + self.intercept_


def _factor(feature: int, values: NDArray[np.float64], discrete_up_to: int) -> Factor | None:
    """Return how a feature enters, or None where it is the same for everybody."""
    missing = np.isnan(values)
    known = values[~missing]
    levels, counts = np.unique(known, return_counts=True)
    if levels.size == 0 or (levels.size == 1 and not missing.any()):
        return None
    discrete = levels.size <= discrete_up_to
    return Factor(
        feature,
        tuple(levels.tolist()) if discrete else (),
        tuple((counts / known.size).tolist()) if discrete else (),
        float(known.mean()),
        bool(missing.any()),
    )


def _design(X: NDArray[np.float64], factors: list[Factor]) -> NDArray[np.float64]:
    blocks = [_columns(X[:, one.feature], one) for one in factors]
    return np.hstack(blocks) if blocks else np.empty((X.shape[0], 0))


def _columns(values: NDArray[np.float64], factor: Factor) -> NDArray[np.float64]:
    missing = np.isnan(values)
    filled = np.where(missing, factor.mean, values)
    if factor.levels:
        columns = _nearest_level(filled, factor)
        columns[missing] = 0.0 if factor.missing else factor.shares[1:]
    else:
        columns = filled[:, None]
    return np.column_stack([missing, columns]) if factor.missing else columns


def _nearest_level(values: NDArray[np.float64], factor: Factor) -> NDArray[np.float64]:
    """Return an indicator of each level but the first, which is where the constant is."""
    levels = np.asarray(factor.levels)
    borders = (levels[1:] + levels[:-1]) / 2
    nearest = np.searchsorted(borders, values)
    return (nearest[:, None] == np.arange(1, levels.size)).astype(np.float64)


class LightGBMExpectation(_Expectation):
    """Gradient-boosted trees (Ke et al. 2017, NeurIPS 30), the same whatever the threads.

    Parameters
    ----------
    trees, leaves : int
    learning_rate : float
    min_episodes_per_leaf : int
    column_share, episode_share : float
        Drawn anew for every tree.
    l2 : float
        Penalty on the leaves.
    seed : int
    threads : int
        Changes the time it takes and nothing else.

    Attributes
    ----------
    booster_ : lightgbm.Booster
    n_features_in_ : int
    """

    def __init__(
        self,
        trees: int = 600,
        leaves: int = 8,
        learning_rate: float = 0.03,
        min_episodes_per_leaf: int = 200,
        column_share: float = 0.3,
        episode_share: float = 0.7,
        l2: float = 10.0,
        seed: int = 0,
        threads: int = 1,
    ) -> None:
        self.trees = trees
        self.leaves = leaves
        self.learning_rate = learning_rate
        self.min_episodes_per_leaf = min_episodes_per_leaf
        self.column_share = column_share
        self.episode_share = episode_share
        self.l2 = l2
        self.seed = seed
        self.threads = threads

    def fit(self, X: Any, y: Any) -> "LightGBMExpectation":
        """Learn from a matrix of shape (n_episodes, n_features) and scores (n_episodes,)."""
        import lightgbm

        X, y = self._check_both(X, y, at_least=2)
        self.booster_: Booster = lightgbm.train(
            self._settings(), lightgbm.Dataset(X, y, params={"verbose": -1}), self.trees
        )
        return self

    def predict(self, X: Any) -> NDArray[np.float64]:
        """Return expected scores of shape (n_episodes,)."""
        check_is_fitted(self)
        X = self._check(X)
        return np.asarray(self.booster_.predict(X, num_threads=self.threads))

    def contributions(self, X: Any) -> NDArray[np.float64]:
        """Return exact SHAP values (path-dependent TreeSHAP; Lundberg et al. 2020).

        Returns
        -------
        ndarray of shape (n_episodes, n_features + 1)
            The last column is the base: the mean expectation of the episodes learned from.
        """
        check_is_fitted(self)
        X = self._check(X)
        return np.asarray(self.booster_.predict(X, pred_contrib=True, num_threads=self.threads))

    def _settings(self) -> dict[str, Any]:
        return {
            "objective": "regression",
            "num_leaves": self.leaves,
            "learning_rate": self.learning_rate,
            "min_data_in_leaf": self.min_episodes_per_leaf,
            "feature_fraction": self.column_share,
            "bagging_fraction": self.episode_share,
            "bagging_freq": 1 if self.episode_share < 1 else 0,
            "lambda_l2": self.l2,
            "seed": self.seed,
            "num_threads": self.threads,
            "deterministic": True,
            "force_row_wise": True,
            "verbose": -1,
        }
