"""Learners of expectations, as scikit-learn regressors that take missing values as they come.

With family `gaussian` a score is expected, with `binomial` a probability, with `gamma` or `tweedie`
a cost, which is above 0. With slopes `within`, `fit` takes the provider of each episode as
`groups`, slopes compare patients of the same provider, and the expectation is that at the average
provider.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import linalg
from scipy.special import expit
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from riskadj.engine import in_use
from riskadj.errors import ArrayError
from riskadj.expected.shared_trees import grow_together
from riskadj.expected.within import (
    FAMILIES,
    SLOPES,
    Line,
    codes_of,
    line_within_blocks,
    logistic_line,
    offsets_of,
)
from riskadj.stats.arrays import one_of

if TYPE_CHECKING:
    from lightgbm import Booster

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # threads that spin starve shared cores


COSTS = frozenset({"gamma", "tweedie"})
"""Families of what is 0 or more and expected above 0."""
LEAST_SHARE = 0.01
"""Of the mean cost: no line expects less."""


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


class Regressor(RegressorMixin, BaseEstimator):
    """What the learners share: how a matrix is checked, and that NaN is allowed in it.

    `takes_parts` says whether `fit` takes the parts of the score beside the score.
    """

    takes_parts: ClassVar[bool] = False
    _SETTINGS: ClassVar[dict[str, Any]] = {"dtype": np.float64, "ensure_all_finite": "allow-nan"}

    def _check_both(self, X: Any, y: Any, *, at_least: int = 1) -> Any:
        settings = self._SETTINGS | {"y_numeric": True, "ensure_min_samples": at_least}
        return validate_data(self, X, y, reset=True, **settings)

    def _check(self, X: Any) -> Any:
        return validate_data(self, X, reset=False, **self._SETTINGS)

    def _codes(self, slopes: str, groups: ArrayLike | None, n: int) -> NDArray[np.intp] | None:
        """Return provider numbers when slopes are within providers, and nothing otherwise."""
        within = one_of("slopes", slopes, SLOPES) == "within"
        return codes_of(groups, n) if within else None

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.target_tags.positive_only = getattr(self, "family", "gaussian") in COSTS
        return tags


class LinearExpectation(Regressor):
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
    family : {"gaussian", "binomial", "gamma", "tweedie"}
        `binomial`: a logistic model of an outcome that is 0 or 1. `gamma` or `tweedie`: of a cost;
        least squares as with `gaussian`, and where the line is below a hundredth of the mean cost,
        that is expected, as a line knows of no 0.
    slopes : {"pooled", "within"}
        `within`: every provider has an intercept of its own while slopes are learned.

    Attributes
    ----------
    factors_ : list of Factor
    coef_ : ndarray
        In the unit of the score, or log odds; for each factor the constant of a missing value (if
        any was seen), then the constants of its levels but the first, or its multiplier.
    intercept_ : float
    least_ : float
        What is expected at least, of costs.
    n_features_in_ : int
    """

    def __init__(
        self,
        discrete_up_to: int = 6,
        ridge: float = 1.0,
        family: str = "gaussian",
        slopes: str = "pooled",
    ) -> None:
        self.discrete_up_to = discrete_up_to
        self.ridge = ridge
        self.family = family
        self.slopes = slopes

    def fit(self, X: Any, y: Any, groups: ArrayLike | None = None) -> "LinearExpectation":
        """Learn from a matrix of shape (n_episodes, n_features) and scores (n_episodes,).

        Parameters
        ----------
        X, y : array-like
        groups : array-like of shape (n_episodes,), optional
            Provider of each episode; only used, and then needed, with slopes `within`.

        Raises
        ------
        ArrayError
            When groups are needed and missing, a binomial outcome is not 0 or 1, or a cost
            negative.
        """
        X, y = self._check_both(X, y)
        _check_family(self.family, y)
        codes = self._codes(self.slopes, groups, len(y))
        if self.family in COSTS:
            self.least_ = LEAST_SHARE * float(y.mean())
        self.factors_ = factors_of(X, self.discrete_up_to)
        self.intercept_, self.coef_ = self._line(X, y, codes)
        return self

    def _line(
        self, X: NDArray[np.float64], y: NDArray[np.float64], codes: NDArray[np.intp] | None
    ) -> Line:
        if self.family != "binomial" and not self.factors_:
            return Line(float(np.mean(y)), np.zeros(0))
        if self.family != "binomial" and codes is None and self.ridge > 0:
            return line_by_blocks(X, self.factors_, y, self.ridge)
        if self.family != "binomial" and codes is not None:
            return line_within_blocks(
                lambda rows: design_matrix(X[rows], self.factors_), y, codes, self.ridge
            )
        design = design_matrix(X, self.factors_)
        if self.family == "binomial":
            return logistic_line(design, y, self.ridge, codes)
        # The shortest of many solutions, as levels of a text are collinear.
        centre = design.mean(axis=0)
        coef = np.linalg.lstsq(design - centre, y - y.mean())[0]
        return Line(float(y.mean() - centre @ coef), coef)

    def predict(self, X: Any) -> NDArray[np.float64]:
        """Return expected scores, or probabilities, of shape (n_episodes,)."""
        check_is_fitted(self)
        X = self._check(X)
        linear = design_matrix(X, self.factors_) @ self.coef_ + self.intercept_
        if self.family in COSTS:
            return np.maximum(linear, self.least_)
        return _INVERSE_LINK[self.family](linear)


def line_by_blocks(
    X: NDArray[np.float64], factors: list[Factor], y: NDArray[np.float64], ridge: float
) -> Line:
    """Return penalised least squares by its normal equations, added up a block at a time.

    Parameters
    ----------
    X : ndarray of shape (n_episodes, n_features)
    factors : list of Factor
        At least one.
    y : ndarray of shape (n_episodes,)
    ridge : float
        Above 0.

    Notes
    -----
    Columns are taken about their means in the first block, lest large means cost digits; what
    these are off by is put right at the end.

    Examples
    --------
    >>> x = np.arange(10.0)[:, None]
    >>> line = line_by_blocks(x, factors_of(x, 2), 2 * x[:, 0] + 1, ridge=1e-9)
    >>> round(line.intercept, 6), line.coef.round(6)
    (1.0, array([2.]))
    """
    level, cuts = float(y.mean()), list(in_use().cuts(len(y)))
    near = design_matrix(X[cuts[0]], factors).mean(axis=0)
    gram, slope, off = np.zeros((near.size, near.size)), np.zeros(near.size), np.zeros(near.size)
    for rows in cuts:
        design = design_matrix(X[rows], factors) - near
        gram += design.T @ design
        slope += design.T @ (y[rows] - level)
        off += design.sum(axis=0)
    if len(cuts) > 1:  # of one block they are the means, and what is left is rounding
        gram -= np.outer(off, off) / len(y)
        near = near + off / len(y)
    gram.flat[:: near.size + 1] += ridge
    try:
        coef = linalg.solve(gram, slope, assume_a="pos")
    except linalg.LinAlgError:  # a penalty that rounding swallows: the shortest of many solutions
        coef = np.linalg.lstsq(gram, slope)[0]
    return Line(float(level - near @ coef), coef)


def _check_family(family: str, y: NDArray[np.float64]) -> None:
    one_of("family", family, FAMILIES)
    if family == "binomial" and not np.isin(y, (0, 1)).all():
        raise ArrayError("y: wanted 0 or 1 with family binomial; got other values.")
    if family in COSTS:
        check_costs(y)


def check_costs(y: NDArray[np.float64], above_zero: str = "") -> None:
    """Refuse what is no cost.

    Parameters
    ----------
    y : ndarray of shape (n_episodes,)
    above_zero : str
        The learner that expects no cost of 0; empty where one may be 0.

    Raises
    ------
    ArrayError
    """
    if y.min() < 0 or not y.max() > 0:
        raise ArrayError(
            f"y: wanted costs of 0 or more, some above 0; got {y.min():g} to {y.max():g}."
        )
    if above_zero and y.min() == 0:
        raise ArrayError(
            f"y: wanted costs above 0 for the learner {above_zero}; got {int((y == 0).sum()):,} of "
            "0. Choose two_part or tweedie."
        )


_INVERSE_LINK: dict[str, Callable[[NDArray[np.float64]], NDArray[np.float64]]] = {
    "gaussian": lambda linear: linear,
    "binomial": expit,
    "gamma": np.exp,
    "tweedie": np.exp,
}


def factors_of(X: NDArray[np.float64], discrete_up_to: int) -> list[Factor]:
    """Return how each feature of a matrix enters; those that never vary do not."""
    factors = (_factor(one, X[:, one], discrete_up_to) for one in range(X.shape[1]))
    return [one for one in factors if one is not None]


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


def design_matrix(X: NDArray[np.float64], factors: list[Factor]) -> NDArray[np.float64]:
    """Return a matrix in which a discrete feature has a column per level but the first."""
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
    return np.asarray(nearest[:, None] == np.arange(1, levels.size), dtype=np.float64)


class LightGBMExpectation(Regressor):
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
    family : {"gaussian", "binomial", "gamma", "tweedie"}
        `binomial`: log loss, for an outcome that is 0 or 1. `gamma`, `tweedie` (of power 1.5): of a
        cost, on the log scale; learned in units of the mean cost, which then changes nothing.
    slopes : {"pooled", "within"}
        `within`: trees and shrunken provider offsets are learned in turn, each given the other.
    rounds : int
        Of trees and offsets, with slopes `within`; each costs as much as one pooled fit.
    monotone : mapping of int to {-1, 1}, optional
        Feature -> 1 where the expectation may only rise with it, -1 where it may only fall.
    shares : int
        Parts of the episodes, each with a worker of the engine in use, that grow the trees
        together. Other numbers grow slightly other trees; see `shared_trees`.

    Attributes
    ----------
    booster_ : lightgbm.Booster
    base_ : float
        What is added to the trees: the overall log odds with `binomial`, the log of the mean of
        costs, otherwise 0.
    n_features_in_ : int
    """

    base_: float = 0.0

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
        family: str = "gaussian",
        slopes: str = "pooled",
        rounds: int = 3,
        monotone: Mapping[int, int] | None = None,
        shares: int = 1,
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
        self.family = family
        self.slopes = slopes
        self.rounds = rounds
        self.monotone = monotone
        self.shares = shares

    def fit(self, X: Any, y: Any, groups: ArrayLike | None = None) -> "LightGBMExpectation":
        """Learn from a matrix of shape (n_episodes, n_features) and scores (n_episodes,).

        Parameters
        ----------
        X, y : array-like
        groups : array-like of shape (n_episodes,), optional
            Provider of each episode; only used, and then needed, with slopes `within`.

        Raises
        ------
        ArrayError
            When groups are needed and missing, a binomial outcome is not 0 or 1, a cost is
            negative, or `monotone` names a feature that is not there.
        """
        X, y = self._check_both(X, y, at_least=2)
        _check_family(self.family, y)
        codes = self._codes(self.slopes, groups, len(y))
        self.base_ = _BASES[self.family](y)
        self.booster_: Booster = self._grow(X, y, np.zeros(len(y)))
        if codes is None:
            return self
        for _ in range(self.rounds - 1):
            linear = self.booster_.predict(
                X, raw_score=True, num_threads=in_use().threads_of(self.threads)
            )
            offsets = offsets_of(linear + self.base_, y, codes, self.family)
            self.booster_ = self._grow(X, y, offsets[codes])
        return self

    def _grow(
        self, X: NDArray[np.float64], y: NDArray[np.float64], offset: NDArray[np.float64]
    ) -> "Booster":
        """Return trees for what the offset leaves."""
        import lightgbm

        if self.family == "binomial":
            start = {"label": y, "init_score": self.base_ + offset}
        elif self.family in COSTS:
            start = {"label": y / np.exp(self.base_), "init_score": offset}
        else:
            start = {"label": y - offset}
        if self.shares > 1:
            return grow_together(self._settings(), X, start, self.trees, self.shares)
        data = lightgbm.Dataset(X, params={"verbose": -1}, **start)
        return lightgbm.train(self._settings(), data, self.trees)

    def predict(self, X: Any) -> NDArray[np.float64]:
        """Return expected scores, or probabilities, of shape (n_episodes,)."""
        check_is_fitted(self)
        X = self._check(X)
        trees = self.booster_.predict(
            X, raw_score=True, num_threads=in_use().threads_of(self.threads)
        )
        return _INVERSE_LINK[self.family](np.asarray(trees) + self.base_)

    def contributions(self, X: Any) -> NDArray[np.float64]:
        """Return exact SHAP values (path-dependent TreeSHAP; Lundberg et al. 2020).

        Returns
        -------
        ndarray of shape (n_episodes, n_features + 1)
            In the unit of the score, log odds with `binomial`, of a cost its logarithm. The last
            column is the base: the mean expectation of the episodes learned from.
        """
        check_is_fitted(self)
        X = self._check(X)
        values = self.booster_.predict(
            X, pred_contrib=True, num_threads=in_use().threads_of(self.threads)
        )
        values = np.array(values)
        values[:, -1] += self.base_
        return values

    def _settings(self) -> dict[str, Any]:
        return {
            "objective": _OBJECTIVES[self.family],
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
            **self._constraints(),
            # Its metric, which nobody looks at, refuses costs of 0, which its objective takes.
            **({"metric": "None"} if self.family in COSTS else {}),
        }

    def _constraints(self) -> dict[str, Any]:
        if not self.monotone:
            return {}
        signs = [0] * self.n_features_in_
        for feature, sign in self.monotone.items():
            if feature not in range(self.n_features_in_) or sign not in (-1, 1):
                raise ArrayError(
                    f"monotone: wanted features from 0 to {self.n_features_in_ - 1}, each with -1 "
                    f"or 1; got {feature!r} with {sign!r}."
                )
            signs[feature] = sign
        return {"monotone_constraints": signs}


_OBJECTIVES = {
    "gaussian": "regression",
    "binomial": "binary",
    "gamma": "gamma",
    "tweedie": "tweedie",
}


def _log_odds(y: NDArray[np.float64]) -> float:
    """Return the log odds of an outcome, finite even when all episodes have the same."""
    share = (y.sum() + 0.5) / (len(y) + 1)
    return float(np.log(share / (1 - share)))


def _log_mean(y: NDArray[np.float64]) -> float:
    return float(np.log(y.mean()))


_BASES: dict[str, Callable[[NDArray[np.float64]], float]] = {
    "gaussian": lambda _: 0.0,
    "binomial": _log_odds,
    "gamma": _log_mean,
    "tweedie": _log_mean,
}
"""What trees start from, by family."""
