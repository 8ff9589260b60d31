"""Learners of costs: above 0, skewed, and with a variance that grows with the mean.

Covariates act by factors, so that no expectation is negative. They enter as in `LinearExpectation`:
a multiplier for what is continuous, a constant for each level of what is discrete, a constant for
what is missing. Continuous columns are standardised and the unit of cost is taken out before
anything is penalised, so that neither changes an expectation; constants are penalised as they are,
so that one learned from few episodes is drawn to none. What is expected of an episode is never
below or above what was expected of any learned from: a factor for each of many rare conditions
would otherwise multiply to a cost that nobody ever had.
"""

from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.linear_model import GammaRegressor, Ridge, TweedieRegressor
from sklearn.utils.validation import check_is_fitted

from riskadj.errors import ArrayError
from riskadj.expected.learners import (
    LinearExpectation,
    Regressor,
    check_costs,
    design_matrix,
    factors_of,
)

Floats = NDArray[np.float64]
_STEPS = 300
_TOLERANCE = 1e-6
TENTHS = 10


class CostRegressor(Regressor):
    """What learners of costs share: a line on the log scale, and how it is asked.

    Attributes
    ----------
    factors_ : list of Factor
    centre_, spread_ : ndarray of shape (n_columns,)
        With which columns of the design are centred and scaled; constants are not scaled.
    coef_ : ndarray of shape (n_columns,)
        On the log scale, of these columns.
    intercept_ : float
    range_ : tuple of float
        Lowest and highest line of the episodes learned from.
    n_features_in_ : int
    """

    family: ClassVar[str] = "gamma"
    _above_zero: ClassVar[str] = ""

    discrete_up_to: int
    ridge: float

    def fit(self, X: Any, y: Any, groups: ArrayLike | None = None) -> Any:  # noqa: ARG002
        """Learn from a matrix of shape (n_episodes, n_features) and costs (n_episodes,).

        Parameters
        ----------
        X, y : array-like
        groups : array-like of shape (n_episodes,), optional
            Not used: slopes are pooled.

        Raises
        ------
        ArrayError
            When a cost is negative, or 0 where the learner expects none, or all are 0.
        """
        X, y = self._check_both(X, y)
        check_costs(y, self._above_zero)
        self.factors_ = factors_of(X, self.discrete_up_to)
        design = design_matrix(X, self.factors_)
        self.centre_ = design.mean(axis=0)
        spread = design.std(axis=0)
        constants = np.isin(design, (0, 1)).all(axis=0)
        self.spread_ = np.where(constants | (spread == 0), 1.0, spread)
        self._learn((design - self.centre_) / self.spread_, y)
        return self

    def predict(self, X: Any) -> Floats:
        """Return expected costs of shape (n_episodes,), all above 0."""
        check_is_fitted(self)
        return self._cost(self._line(self._check(X)))

    def cost_at(self, line: Floats) -> Floats:
        """Return the cost expected where the line is, pulled into the range learned from."""
        return self._cost(np.clip(line, *self.range_))

    def _line(self, X: Floats) -> Floats:
        standard = (design_matrix(X, self.factors_) - self.centre_) / self.spread_
        return np.asarray(np.clip(standard @ self.coef_ + self.intercept_, *self.range_))

    def _keep(self, design: Floats, coef: Floats, intercept: float) -> Floats:
        """Keep a line, and return it at the episodes learned from."""
        self.coef_, self.intercept_ = np.asarray(coef, dtype=float), float(intercept)
        line = np.asarray(design @ self.coef_ + self.intercept_)
        self.range_ = (float(line.min()), float(line.max()))
        return line

    def _learn(self, design: Floats, y: Floats) -> None:
        raise NotImplementedError

    def _cost(self, line: Floats) -> Floats:
        return np.exp(line)


class GammaExpectation(CostRegressor):
    """A gamma model with a log link: variance in proportion to the mean squared.

    Parameters
    ----------
    discrete_up_to : int
        Features with at most this many distinct values are discrete.
    ridge : float
        Penalty on the squared slopes, beside a sum over episodes: a constant that is learned from
        so many episodes is drawn half way to none.

    References
    ----------
    Manning and Mullahy 2001, J Health Econ 20:461-494, on choosing it.

    Examples
    --------
    >>> x = np.tile(np.arange(4.0), 50)[:, None]
    >>> learner = GammaExpectation(discrete_up_to=2, ridge=1e-3).fit(x, 100 * 2 ** x[:, 0])
    >>> learner.predict(np.array([[1.0], [3.0], [9.0]])).round()
    array([200., 800., 800.])
    """

    _above_zero: ClassVar[str] = "gamma"

    def __init__(self, discrete_up_to: int = 6, ridge: float = 1.0) -> None:
        self.discrete_up_to = discrete_up_to
        self.ridge = ridge

    def _learn(self, design: Floats, y: Floats) -> None:
        level = y.mean()
        model = GammaRegressor(
            alpha=self.ridge / len(y), solver="newton-cholesky", tol=_TOLERANCE, max_iter=_STEPS
        )
        _on_log_scale(self, model, design, y / level, np.log(level))


class TweedieExpectation(CostRegressor):
    """A Tweedie model with a log link: costs that may be 0, variance as a power of the mean.

    Parameters
    ----------
    power : float
        Above 1 and below 2, between Poisson's and gamma's.
    discrete_up_to, ridge
        As in `GammaExpectation`.

    References
    ----------
    Jorgensen 1987, J R Stat Soc B 49:127-162.
    """

    family: ClassVar[str] = "tweedie"

    def __init__(self, power: float = 1.5, discrete_up_to: int = 6, ridge: float = 1.0) -> None:
        self.power = power
        self.discrete_up_to = discrete_up_to
        self.ridge = ridge

    def _learn(self, design: Floats, y: Floats) -> None:
        if not 1 < self.power < 2:
            raise ArrayError(f"power: wanted above 1 and below 2; got {self.power:g}.")
        level = y.mean()
        model = TweedieRegressor(
            power=self.power, link="log", alpha=self.ridge / len(y), solver="newton-cholesky",
            tol=_TOLERANCE, max_iter=_STEPS,
        )  # fmt: skip
        _on_log_scale(self, model, design, y / level, np.log(level))


def _on_log_scale(
    learner: CostRegressor, model: Any, design: Floats, y: Floats, level: float
) -> None:
    """Keep the line of a model fitted to costs in units of their mean."""
    if not design.shape[1]:
        learner._keep(design, np.zeros(0), float(np.log(y.mean())) + level)
        return
    model.fit(design, y)
    learner._keep(design, model.coef_, float(model.intercept_) + level)


class LogSmearingExpectation(CostRegressor):
    """Least squares of the logarithm of cost, brought back to cost by smearing.

    The mean of a cost is not exp of the mean of its logarithm, but that times the mean of exp of
    the residuals (Duan 1983, JASA 78:605-610). Where residuals spread more at one end than at the
    other one factor for all is wrong; a factor by tenth of the line allows for it.

    Parameters
    ----------
    by_tenth : bool
        Whether each tenth of the episodes, by their line, has a factor of its own.
    discrete_up_to, ridge
        As in `GammaExpectation`.

    Attributes
    ----------
    borders_ : ndarray of shape (n_factors - 1,)
        Between the lines of one factor and the next.
    smearing_ : ndarray of shape (n_factors,)

    Examples
    --------
    >>> x, y = np.zeros((4, 1)), np.array([1.0, 1.0, 4.0, 4.0])
    >>> learner = LogSmearingExpectation().fit(x, y)
    >>> learner.smearing_, learner.predict(x[:1])
    (array([1.25]), array([2.5]))
    """

    _above_zero: ClassVar[str] = "log_smearing"

    def __init__(self, by_tenth: bool = False, discrete_up_to: int = 6, ridge: float = 1.0) -> None:
        self.by_tenth = by_tenth
        self.discrete_up_to = discrete_up_to
        self.ridge = ridge

    def _learn(self, design: Floats, y: Floats) -> None:
        logs = np.log(y)
        coef, intercept = np.zeros(design.shape[1]), float(logs.mean())
        if design.shape[1]:
            model = Ridge(alpha=self.ridge, solver="cholesky").fit(design, logs)
            coef, intercept = model.coef_, float(model.intercept_)
        line = self._keep(design, coef, intercept)
        inner = np.linspace(0, 1, TENTHS + 1)[1:-1] if self.by_tenth else np.zeros(0)
        self.borders_ = np.unique(np.quantile(line, inner))
        place = np.searchsorted(self.borders_, line)
        count = np.bincount(place, minlength=len(self.borders_) + 1)
        sums = np.bincount(place, np.exp(logs - line), minlength=len(count))
        whole = float(np.exp(logs - line).mean())
        self.smearing_ = np.where(count > 0, sums / np.maximum(count, 1), whole)

    def _cost(self, line: Floats) -> Floats:
        return np.exp(line) * self.smearing_[np.searchsorted(self.borders_, line)]


class TwoPartExpectation(Regressor):
    """The chance of any cost, times a gamma model of the cost of those who have some.

    Where everybody has some it is the gamma model.

    Parameters
    ----------
    discrete_up_to, ridge
        As in `GammaExpectation`, for both parts.

    Attributes
    ----------
    any_ : LinearExpectation or None
        The chance; None where everybody has some cost.
    some_ : GammaExpectation
    n_features_in_ : int

    References
    ----------
    Duan, Manning, Morris and Newhouse 1983, J Bus Econ Stat 1:115-126.

    Examples
    --------
    >>> x, y = np.tile([0.0, 1.0], 50)[:, None], np.tile([0.0, 10.0, 20.0, 10.0], 25)
    >>> TwoPartExpectation(ridge=1e-3).fit(x, y).predict(np.array([[0.0], [1.0]])).round(1)
    array([10., 10.])
    """

    family: ClassVar[str] = "tweedie"

    def __init__(self, discrete_up_to: int = 6, ridge: float = 1.0) -> None:
        self.discrete_up_to = discrete_up_to
        self.ridge = ridge

    def fit(self, X: Any, y: Any, groups: ArrayLike | None = None) -> "TwoPartExpectation":  # noqa: ARG002
        """Learn from a matrix of shape (n_episodes, n_features) and costs (n_episodes,).

        Parameters
        ----------
        X, y : array-like
        groups : array-like of shape (n_episodes,), optional
            Not used: slopes are pooled.

        Raises
        ------
        ArrayError
            When a cost is negative, or all are 0.
        """
        X, y = self._check_both(X, y)
        check_costs(y)
        some = y > 0
        chance = LinearExpectation(self.discrete_up_to, self.ridge, "binomial")
        self.any_ = None if some.all() else chance.fit(X, some.astype(float))
        self.some_ = GammaExpectation(self.discrete_up_to, self.ridge).fit(X[some], y[some])
        return self

    def predict(self, X: Any) -> Floats:
        """Return expected costs of shape (n_episodes,), all above 0."""
        check_is_fitted(self)
        X = self._check(X)
        cost = self.some_.predict(X)
        return cost if self.any_ is None else np.asarray(cost * self.any_.predict(X))
