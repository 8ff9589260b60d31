"""scikit-learn's own checks of an estimator, all of them, for ours."""

from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.utils.estimator_checks import parametrize_with_checks

from riskadj.casemix import CaseMixEncoder
from riskadj.expected import (
    CeilingExpectation,
    GammaExpectation,
    LightGBMExpectation,
    LinearExpectation,
    LogSmearingExpectation,
    NetExpectation,
    PartsExpectation,
    StackedExpectation,
    TweedieExpectation,
    TwoPartExpectation,
)

TREES = LightGBMExpectation(
    trees=50, learning_rate=0.2, min_episodes_per_leaf=1, column_share=1.0, l2=0.0
)
OURS = [
    CaseMixEncoder(),
    LinearExpectation(),
    TREES,
    NetExpectation(nets=2, hidden=(8,), epochs=60, batch=20, l2=0.0),
]
OF_COSTS = [
    GammaExpectation(),
    TweedieExpectation(),
    TwoPartExpectation(),
    LogSmearingExpectation(),
    LogSmearingExpectation(by_tenth=True),
    LinearExpectation(family="gamma"),
    clone(TREES).set_params(family="gamma"),
    clone(TREES).set_params(family="tweedie"),
]
MADE_OF_OTHERS = [
    CeilingExpectation(clone(TREES).set_params(family="binomial"), TREES),
    PartsExpectation(LinearExpectation()),
    StackedExpectation([LinearExpectation(), TREES]),
    StackedExpectation([LinearExpectation(family="gamma"), GammaExpectation()], family="gamma"),
]


@parametrize_with_checks([*OURS, *OF_COSTS, *MADE_OF_OTHERS])
def test_scikit_learn_accepts(estimator: Any, check: Any) -> None:
    check(estimator)


@pytest.mark.parametrize("estimator", [*OURS, *OF_COSTS], ids=lambda one: type(one).__name__)
def test_a_clone_has_the_settings_and_nothing_learned(estimator: Any) -> None:
    X = np.random.default_rng(0).normal(size=(50, 2))
    fitted = clone(estimator).fit(X, np.exp(X[:, 0]))
    again = clone(fitted)
    assert again.get_params() == fitted.get_params()
    assert not [name for name in vars(again) if name.endswith("_")]


@pytest.mark.parametrize("estimator", [*OURS, *OF_COSTS], ids=lambda one: type(one).__name__)
def test_missing_values_are_allowed_and_said_to_be(estimator: Any) -> None:
    assert estimator.__sklearn_tags__().input_tags.allow_nan
