"""Tuning: the same search for a seed, never worse than its start, on training episodes alone."""

from typing import Any

import numpy as np
import pytest

from riskadj.errors import ArrayError
from riskadj.expected import (
    LIGHTGBM_SPACE,
    LINEAR_SPACE,
    LightGBMExpectation,
    LinearExpectation,
    Span,
    grouped_folds,
    last_period,
    tune,
)
from riskadj.expected.tuning import held_out_loss

GROUPS = np.arange(600) % 12
FOLDS = grouped_folds(GROUPS, 2, seed=0)
SMALL = {"ridge": Span(0.1, 1e5, log=True), "discrete_up_to": Span(2, 5, whole=True)}


def world(family: str = "gaussian") -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(600, 4))
    y = X[:, 0] + rng.normal(size=600)
    return X, (y > 0).astype(float) if family == "binomial" else y


def test_a_seed_decides_the_search() -> None:
    X, y = world()
    first, again, other = (
        tune(LinearExpectation(), SMALL, X, y, FOLDS, trials=6, seed=seed) for seed in (1, 1, 2)
    )
    assert first == again
    assert first.table[1:] != other.table[1:]


@pytest.mark.parametrize("family", ["gaussian", "binomial"])
def test_it_ends_no_worse_than_it_began_and_leaves_the_learner_as_it_was(family: str) -> None:
    X, y = world(family)
    learner = LinearExpectation(ridge=1e4, family=family)
    found = tune(learner, SMALL, X, y, FOLDS, trials=12, seed=0)
    assert found.value < found.start
    assert found.value == min(one["loss"] for one in found.table)
    assert found.settings["ridge"] < 1e3
    assert learner.ridge == 1e4
    assert not hasattr(learner, "coef_")


def test_the_value_is_that_of_the_best_settings_on_the_episodes_asked_about() -> None:
    X, y = world()
    found = tune(LinearExpectation(), SMALL, X, y, FOLDS, trials=5, seed=0)
    best = LinearExpectation(**found.settings)
    total = 0.0
    for teach, asked in FOLDS:
        left = y[asked] - best.fit(X[teach], y[teach]).predict(X[asked])
        total += len(asked) * left.var()
    assert found.value == pytest.approx(total / 600)
    assert (found.trials, found.folds) == (5, ((300, 300), (300, 300)))


def test_episodes_in_no_fold_play_no_part() -> None:
    X, y = world()
    folds = last_period(np.repeat(["2021", "2022"], 200))
    changed = y.copy()
    changed[400:] = 1e9
    first, second = (
        tune(LinearExpectation(), SMALL, X, one, folds, trials=4) for one in (y, changed)
    )
    assert first == second


def test_values_to_choose_from_are_tried() -> None:
    X, y = world()
    found = tune(LinearExpectation(), {"ridge": (1.0, 1e6)}, X, y, FOLDS, trials=6)
    assert {one["ridge"] for one in found.table} == {1.0, 1e6}
    assert found.settings == {"ridge": 1.0}


def test_a_start_outside_the_space_is_tried_all_the_same() -> None:
    X, y = world()
    found = tune(LinearExpectation(ridge=0.0), SMALL, X, y, FOLDS, trials=3)
    assert found.table[0]["ridge"] == 0.0


def test_slopes_within_providers_are_given_the_providers() -> None:
    X, y = world()
    learner = LinearExpectation(slopes="within")
    found = tune(learner, SMALL, X, y, FOLDS, trials=2, groups=GROUPS)
    assert np.isfinite(found.value)


@pytest.mark.parametrize(
    ("learner", "space"),
    [(LinearExpectation(), LINEAR_SPACE), (LightGBMExpectation(), LIGHTGBM_SPACE)],
)
def test_spaces_are_of_settings_that_learners_have(learner: Any, space: Any) -> None:
    params = learner.get_params()
    assert set(space) <= set(params)
    for name, span in space.items():
        assert span.low <= params[name] <= span.high


def test_a_certain_error_costs_much_but_not_everything() -> None:
    X = np.repeat([[0.0], [1.0]], 20, axis=0)
    y = X[:, 0]
    sure = LinearExpectation(ridge=1e-9, family="binomial")
    folds = ((np.arange(40), np.arange(40)),)
    assert 0 <= held_out_loss(sure, X, y, folds) < 1e-3
    assert (
        10
        < held_out_loss(
            sure, np.vstack([X, 1 - X]), np.r_[y, y], ((np.arange(40), np.arange(40, 80)),)
        )
        < 30
    )


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"trials": 0}, "0 trials"),
        ({"space": {}}, "0 settings"),
        ({"space": {"leaves": Span(2, 3)}}, "wanted settings of LinearExpectation; got leaves"),
        ({"folds": ()}, "folds: wanted one or more"),
        ({"folds": ((np.arange(9), np.arange(8, 20)),)}, "rows that taught"),
    ],
)
def test_what_cannot_be_tuned_is_refused(changes: dict[str, Any], match: str) -> None:
    X, y = world()
    given = {"space": SMALL, "folds": FOLDS, "trials": 3} | changes
    space, folds, trials = given["space"], given["folds"], given["trials"]
    with pytest.raises(ArrayError, match=match):
        tune(LinearExpectation(), space, X, y, folds, trials=trials)


def test_one_period_is_not_enough_to_tune_over_time() -> None:
    with pytest.raises(ArrayError, match="2 or more to tune over time; got 1"):
        last_period(["2021", "2021"])
