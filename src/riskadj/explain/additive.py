"""What each feature adds to an expectation, by learner, on the scale of its link.

Boosted trees have SHAP values. A line has its terms, less their mean among the episodes learned
from. Where what is expected is a function g of a line - a cost that is pulled into a range, the
logarithm of a cost that a line expects - the terms are scaled so that they sum to the change in g:
term * (g(line) - g(mean)) / (line - mean). That is the value of Aumann and Shapley (1974, Values of
Non-Atomic Games, Princeton) on the straight way from the mean to the episode; applied to models, it
is called integrated gradients (Sundararajan, Taly and Yan 2017, ICML, PMLR 70:3319-3328).
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit, log_expit

from riskadj.engine import in_use
from riskadj.expected import (
    GammaExpectation,
    LightGBMExpectation,
    LinearExpectation,
    LogSmearingExpectation,
    PartsExpectation,
    StackedExpectation,
    TweedieExpectation,
    TwoPartExpectation,
)
from riskadj.expected.cost_learners import CostRegressor
from riskadj.expected.learners import COSTS, Factor, design_matrix
from riskadj.explain.forest import read_forest
from riskadj.explain.tree_shap import tree_contributions

Floats = NDArray[np.float64]

FEW = 3_000_000
"""Episodes times leaves up to which LightGBM itself is asked: compiling would take longer."""
_NEXT_TO_NONE = 1e-8


class Contributions(NamedTuple):
    """What sums to an expectation on the scale of its link.

    Attributes
    ----------
    values : ndarray of shape (n_episodes, n_features)
    base : float
        Of an episode like the mean of those learned from (of trees: their mean expectation).
    """

    values: Floats
    base: float


class Taught:
    """Whom a member learned from, and the means over them, each of which is worked out once.

    Parameters
    ----------
    casemix : DataFrame
        Of those episodes; looked at a block at a time.
    encode : callable
        From case mix to a matrix.
    """

    def __init__(
        self, casemix: pd.DataFrame | None, encode: Callable[[pd.DataFrame], Floats]
    ) -> None:
        self._casemix, self._encode = casemix, encode
        self._known: dict[tuple[Any, ...], Floats] = {}

    def mean_terms(self, factors: list[Factor], coef: Floats) -> Floats:
        """Return the mean of what each feature adds to a line."""
        line = (*(one.feature for one in factors), coef.tobytes())
        if line not in self._known and self._casemix is not None:
            blocks = in_use().over_rows(_sum_terms, (self._casemix,), self._encode, factors, coef)
            sums = np.sum([one for _, one in blocks], axis=0)
            self._known[line] = sums / len(self._casemix)
        return self._known[line]

    def told(self) -> "Taught":
        """Return the means that are known, without the episodes."""
        without = Taught(None, self._encode)
        without._known |= self._known
        return without


class Asked(NamedTuple):
    """Who is explained, as a matrix; whom their member learned from; NaN is missing."""

    X: Floats
    taught: "Floats | Taught"
    threads: int = 1


def contributions_of(member: Any, asked: Asked) -> Contributions:
    """Return what each feature adds to the expectation of each episode.

    Parameters
    ----------
    member : fitted learner
        One of which `why_not` says nothing.
    asked : Asked

    Examples
    --------
    >>> x = np.arange(10.0)[:, None]
    >>> line = LinearExpectation(discrete_up_to=2, ridge=0.0).fit(x, 2 * x[:, 0])
    >>> contributions_of(line, Asked(x[:2], x))
    Contributions(values=array([[-9.],
           [-7.]]), base=9.0)
    """
    return next(do for kind, do in _BY_KIND.items() if isinstance(member, kind))(member, asked)


def why_not(member: Any) -> str:
    """Return why a learner's expectation has no exact parts by column, or nothing where it has.

    Examples
    --------
    >>> from riskadj.expected import CeilingExpectation
    >>> why_not(LinearExpectation())
    ''
    >>> why_not(CeilingExpectation())
    'a chance times a mean is no sum over columns'
    """
    if isinstance(member, StackedExpectation):
        return _why_not_stacked(member)
    if isinstance(member, LogSmearingExpectation) and member.borders_.size:
        return "a factor for each tenth of the line jumps, and a jump is nobody's column"
    if isinstance(member, tuple(_BY_KIND)):
        return ""
    return _REASONS.get(type(member).__name__, "its expectation is no sum over columns")


_REASONS: Mapping[str, str] = MappingProxyType(
    {
        "CeilingExpectation": "a chance times a mean is no sum over columns",
        "NetExpectation": "what a network expects is no sum over columns",
    }
)


def _why_not_stacked(stack: StackedExpectation) -> str:
    if stack.family != "gaussian":
        return "it weighs chances or costs, and their parts add up on another scale"
    inside = {why_not(one) for one in stack.learners_ if one is not None} - {""}
    return f"of what it weighs, {sorted(inside)[0]}" if inside else ""


# --- trees ----------------------------------------------------------------------------------------


def _of_trees(member: LightGBMExpectation, asked: Asked) -> Contributions:
    forest = read_forest(member.booster_.model_to_string())
    if forest is not None and len(asked.X) * forest.value.size > FEW:
        found = tree_contributions(forest, asked.X, in_use().threads_of(asked.threads))
        if found is not None:
            return Contributions(found.values, found.base + member.base_)
    values = member.contributions(asked.X)
    base = float(values[0, -1]) if len(values) else float(member.base_)
    return Contributions(values[:, :-1], base)


# --- lines ----------------------------------------------------------------------------------------


class _Line(NamedTuple):
    """Terms of a line less their mean, and the mean of the line."""

    terms: Floats
    mean: float

    def through(self, at: Floats, at_mean: float, slope: float) -> Contributions:
        """Return the parts of a function of the line: what it is here, at the mean, its slope."""
        away = self.terms.sum(axis=1)
        small = np.abs(away) <= _NEXT_TO_NONE
        ratio = np.where(small, slope, (at - at_mean) / np.where(small, 1.0, away))
        return Contributions(self.terms * ratio[:, None], at_mean)


def _line(factors: list[Factor], coef: Floats, constant: float, asked: Asked) -> _Line:
    if isinstance(asked.taught, Taught):
        mean = asked.taught.mean_terms(factors, coef)
    else:
        mean = _terms(factors, coef, asked.taught).mean(axis=0)
    return _Line(_terms(factors, coef, asked.X) - mean, float(constant + mean.sum()))


def _sum_terms(
    casemix: pd.DataFrame,
    encode: Callable[[pd.DataFrame], Floats],
    factors: list[Factor],
    coef: Floats,
) -> Floats:
    return np.asarray(_terms(factors, coef, encode(casemix)).sum(axis=0))


def _terms(factors: list[Factor], coef: Floats, X: Floats) -> Floats:
    """Return what each feature adds to the line, of shape (n_episodes, n_features)."""
    terms, at = np.zeros_like(X), 0
    for one in factors:
        columns = design_matrix(X, [one])
        terms[:, one.feature] = columns @ coef[at : at + columns.shape[1]]
        at += columns.shape[1]
    return terms


def _of_line(member: LinearExpectation, asked: Asked) -> Contributions:
    line = _line(member.factors_, member.coef_, member.intercept_, asked)
    if member.family not in COSTS:
        return Contributions(line.terms, line.mean)
    mean = max(line.mean, member.least_)
    return line.through(np.log(member.predict(asked.X)), float(np.log(mean)), 1 / mean)


def _of_costs(member: CostRegressor, asked: Asked) -> Contributions:
    constant = member.intercept_ - float(member.centre_ / member.spread_ @ member.coef_)
    line = _line(member.factors_, member.coef_ / member.spread_, constant, asked)
    at_mean = float(np.log(member.cost_at(np.array([line.mean])))[0])
    return line.through(np.log(member.predict(asked.X)), at_mean, 1.0)


def _of_two_parts(member: TwoPartExpectation, asked: Asked) -> Contributions:
    cost = _of_costs(member.some_, asked)
    if member.any_ is None:
        return cost
    line = _line(member.any_.factors_, member.any_.coef_, member.any_.intercept_, asked)
    at, slope = log_expit(line.mean + line.terms.sum(axis=1)), 1 - float(expit(line.mean))
    chance = line.through(at, float(log_expit(line.mean)), slope)
    return Contributions(cost.values + chance.values, cost.base + chance.base)


# --- sums of learners -----------------------------------------------------------------------------


def _of_parts(member: PartsExpectation, asked: Asked) -> Contributions:
    return _weighed(member.constant_, member.weights_, member.learners_, asked)


def _of_stack(member: StackedExpectation, asked: Asked) -> Contributions:
    return _weighed(member.intercept_, member.weights_, member.learners_, asked)


def _weighed(constant: float, weights: Floats, learners: list[Any], asked: Asked) -> Contributions:
    values, base = np.zeros_like(asked.X), float(constant)
    for weight, one in zip(weights, learners, strict=True):
        if one is not None:
            part = contributions_of(one, asked)
            values += weight * part.values
            base += float(weight) * part.base
    return Contributions(values, base)


_BY_KIND: Mapping[type, Callable[[Any, Asked], Contributions]] = MappingProxyType(
    {
        LightGBMExpectation: _of_trees,
        LinearExpectation: _of_line,
        GammaExpectation: _of_costs,
        TweedieExpectation: _of_costs,
        LogSmearingExpectation: _of_costs,
        TwoPartExpectation: _of_two_parts,
        PartsExpectation: _of_parts,
        StackedExpectation: _of_stack,
    }
)
