"""SHAP values of trees and parts of lines: oracles, identities, and what is refused."""

from itertools import combinations
from math import factorial
from typing import Any

import lightgbm
import numpy as np
import pytest

from riskadj.errors import ArrayError
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
from riskadj.explain import (
    contributions_of,
    read_forest,
    tree_contributions,
    tree_interactions,
    why_not,
)
from riskadj.explain.additive import Asked
from riskadj.explain.kernel import MOST_IN_TABLE, Tree, plan_tree
from riskadj.explain.tree_shap import trees_of

Array = np.ndarray
MISSING: dict[str, dict[str, Any]] = {
    "goes the default way": {},
    "counts as nothing": {"use_missing": False},
    "goes where 0 goes": {"zero_as_missing": True},
}


def world(n: int = 1500, p: int = 8, seed: int = 0, missing: float = 0.1) -> tuple[Array, Array]:
    """Return columns of all sorts, some of them missing or 0, and what depends on them."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p))
    X[:, ::3] = rng.integers(0, 3, size=X[:, ::3].shape)
    y = X[:, 0] * X[:, 1] + np.abs(X[:, 2]) + X @ rng.normal(size=p) + rng.normal(size=n)
    X[rng.random(X.shape) < missing] = np.nan
    return X, y


def grow(X: Array, y: Array, trees: int = 15, **settings: Any) -> lightgbm.Booster:
    defaults = {"num_leaves": 20, "min_data_in_leaf": 5, "verbose": -1, "num_threads": 1}
    data = lightgbm.Dataset(X, y, params={"verbose": -1, **settings})
    return lightgbm.train({**defaults, **settings}, data, trees)


def told(booster: lightgbm.Booster, X: Array, threads: int = 1) -> tuple[Array, float]:
    forest = read_forest(booster.model_to_string())
    assert forest is not None
    found = tree_contributions(forest, X, threads)
    assert found is not None
    return found.values, found.base


@pytest.mark.parametrize("way", list(MISSING))
def test_trees_are_told_as_lightgbm_tells_them_wherever_missing_values_go(way: str) -> None:
    X, y = world()
    booster = grow(X, y, **MISSING[way])
    asked = np.vstack([X, np.zeros((1, 8)), np.full((1, 8), np.nan), np.full((1, 8), 1e-36)])
    values, base = told(booster, asked)
    want = booster.predict(asked, pred_contrib=True, num_threads=1)
    assert np.abs(values - want[:, :-1]).max() < 1e-12
    assert base == pytest.approx(want[0, -1], abs=1e-12)


def test_trees_without_missing_values_know_where_one_goes_that_comes_later() -> None:
    X, y = world(missing=0.0)
    booster = grow(X, y)
    X[::7, :3] = np.nan
    values, _ = told(booster, X)
    assert np.abs(values - booster.predict(X, pred_contrib=True)[:, :-1]).max() < 1e-12


def test_trees_are_told_as_shap_tells_them() -> None:
    import shap

    X, y = world()
    booster = grow(X, y)
    explainer = shap.TreeExplainer(booster)
    values, base = told(booster, X)
    assert np.abs(values - explainer.shap_values(X)).max() < 1e-4
    assert base == pytest.approx(float(np.ravel(explainer.expected_value)[0]), abs=1e-4)


def test_trees_add_up_to_what_they_expect_in_double_precision() -> None:
    X, y = world()
    booster = grow(X, 1000 * y, trees=60)
    values, base = told(booster, X)
    assert np.abs(values.sum(axis=1) + base - booster.predict(X)).max() < 1e-9


def test_paths_longer_than_a_table_are_worked_out_as_those_looked_up() -> None:
    rng = np.random.default_rng(0)
    X = (rng.random((4000, 18)) < 0.75).astype(float)
    depth = np.argmin(np.column_stack([X, np.zeros(len(X))]), axis=1)  # of the first that is 0
    chain = grow(X, 2.0**depth, trees=4, num_leaves=60, min_data_in_leaf=1)
    widths = plan_tree(first_tree(chain)).width
    assert widths.max() > MOST_IN_TABLE > widths.min()
    values, _ = told(chain, X[:300])
    want = chain.predict(X[:300], pred_contrib=True)[:, :-1]
    assert np.abs(values - want).max() < 1e-12 * np.abs(want).max()


def first_tree(booster: lightgbm.Booster) -> Tree:
    forest = read_forest(booster.model_to_string())
    assert forest is not None
    return next(trees_of(forest))


def test_shapley_s_own_formula_gives_the_same_for_a_small_tree() -> None:
    X, y = world(n=400, p=4)
    booster = grow(X, y, trees=1, num_leaves=8)
    values, base = told(booster, X[:5])
    for row, got in zip(X[:5], values, strict=True):
        assert got == pytest.approx(shapley(booster, row), abs=1e-10)
    assert base == pytest.approx(given(booster, X[0], frozenset()), abs=1e-12)


def given(booster: lightgbm.Booster, row: Array, known: frozenset[int]) -> float:
    """Return what a tree expects when it knows some features, by the shares it learned from."""

    def ask(node: dict[str, Any]) -> float:
        if "leaf_value" in node:
            return float(node["leaf_value"])
        left, right = node["left_child"], node["right_child"]
        if node["split_feature"] in known:
            value = row[node["split_feature"]]
            goes = node["default_left"] if np.isnan(value) else value <= node["threshold"]
            return ask(left if goes else right)
        size = [one.get("internal_count", one.get("leaf_count")) for one in (left, right)]
        return (size[0] * ask(left) + size[1] * ask(right)) / sum(size)

    return ask(booster.dump_model()["tree_info"][0]["tree_structure"])


def shapley(booster: lightgbm.Booster, row: Array) -> list[float]:
    p = len(row)
    parts = []
    for j in range(p):
        others = [k for k in range(p) if k != j]
        part = 0.0
        for size in range(p):
            weight = factorial(size) * factorial(p - size - 1) / factorial(p)
            for some in combinations(others, size):
                known = frozenset(some)
                gain = given(booster, row, known | {j}) - given(booster, row, known)
                part += weight * gain
        parts.append(part)
    return parts


def test_threads_and_company_change_no_byte() -> None:
    X, y = world(n=2500)
    booster = grow(X, y)
    whole, _ = told(booster, X)
    assert told(booster, X, threads=3)[0].tobytes() == whole.tobytes()
    assert (
        told(booster, X[1100:1200])[0].tobytes() == np.ascontiguousarray(whole[1100:1200]).tobytes()
    )


def test_interactions_are_those_of_shap_and_sum_to_the_contributions() -> None:
    import shap

    X, y = world(n=300)
    booster = grow(X, y, trees=8)
    forest = read_forest(booster.model_to_string())
    assert forest is not None
    pairs = tree_interactions(forest, X)
    assert pairs is not None
    want = shap.TreeExplainer(booster).shap_interaction_values(X)
    apart = ~np.eye(8, dtype=bool)
    assert np.abs(pairs - want)[:, apart].max() < 1e-6
    own = np.diagonal(want, axis1=1, axis2=2)
    assert np.abs(pairs.sum(axis=2) + own - told(booster, X)[0]).max() < 1e-6


def test_a_tree_of_one_leaf_is_all_base() -> None:
    X, y = world(n=60)
    booster = grow(X, y, trees=2, min_data_in_leaf=100)
    values, base = told(booster, X)
    assert not values.any()
    assert base == pytest.approx(booster.predict(X)[0])


def test_categories_as_such_are_left_to_lightgbm() -> None:
    X, y = world(missing=0.0)
    data = lightgbm.Dataset(X, y, params={"verbose": -1}, categorical_feature=[0])
    booster = lightgbm.train({"verbose": -1, "num_threads": 1}, data, 5)
    assert read_forest(booster.model_to_string()) is None


def test_a_matrix_of_another_width_is_refused() -> None:
    X, y = world(n=300)
    forest = read_forest(grow(X, y, trees=2).model_to_string())
    assert forest is not None
    with pytest.raises(ArrayError, match=r"wanted shape \(n_episodes, 8\).*got \(300, 7\)"):
        tree_contributions(forest, X[:, :7])


# --- learners -------------------------------------------------------------------------------------

SMALL = {"trees": 12, "leaves": 4, "min_episodes_per_leaf": 20, "column_share": 0.9}


def costs(seed: int = 0) -> tuple[Array, Array]:
    X, y = world(n=600, p=5, seed=seed)
    X[:, 1] = np.where(np.isnan(X[:, 1]), 0, X[:, 1])
    return X, 1000 * np.exp(0.3 * y + np.random.default_rng(seed).normal(size=len(y)))


def scores() -> tuple[Array, Array]:
    return world(n=600, p=5)


def some_free() -> tuple[Array, Array]:
    X, y = costs()
    return X, np.where(np.random.default_rng(1).random(len(y)) < 0.3, 0.0, y)


def chances() -> tuple[Array, Array]:
    X, y = scores()
    return X, (y > 0).astype(float)


LEARNERS = {
    "linear": (LinearExpectation(), scores, "identity"),
    "linear of chances": (LinearExpectation(family="binomial"), chances, "logit"),
    "linear of costs": (LinearExpectation(family="gamma"), costs, "log"),
    "trees": (LightGBMExpectation(**SMALL), scores, "identity"),
    "trees of chances": (LightGBMExpectation(**SMALL, family="binomial"), chances, "logit"),
    "trees of costs": (LightGBMExpectation(**SMALL, family="gamma"), costs, "log"),
    "gamma": (GammaExpectation(), costs, "log"),
    "tweedie": (TweedieExpectation(), some_free, "log"),
    "two parts": (TwoPartExpectation(), some_free, "log"),
    "two parts, all of which cost": (TwoPartExpectation(), costs, "log"),
    "log smearing": (LogSmearingExpectation(), costs, "log"),
    "parts": (PartsExpectation(LightGBMExpectation(**SMALL), bands=3), scores, "identity"),
    "stack": (
        StackedExpectation([LinearExpectation(), LightGBMExpectation(**SMALL)]), scores, "identity"
    ),
}  # fmt: skip
LINKS = {"identity": lambda x: x, "log": np.log, "logit": lambda x: np.log(x / (1 - x))}
EACH = pytest.mark.parametrize("name", list(LEARNERS))


@EACH
def test_parts_of_a_learner_add_up_on_the_scale_of_its_link(name: str) -> None:
    learner, of, link = LEARNERS[name]
    X, y = of()
    fitted = learner.fit(X[:400], y[:400])
    far = np.vstack([X[400:], (3 if link == "logit" else 50) * X[400:420]])
    found = contributions_of(fitted, Asked(far, X[:400]))
    want = LINKS[link](fitted.predict(far))
    assert np.abs(found.base + found.values.sum(axis=1) - want).max() < 1e-9
    assert why_not(fitted) == ""


@EACH
def test_a_column_that_the_learner_does_not_use_adds_nothing(name: str) -> None:
    learner, of, _ = LEARNERS[name]
    X, y = of()
    X = np.column_stack([X, np.full(len(X), 3.0)])
    found = contributions_of(learner.fit(X, y), Asked(X[:50], X))
    assert np.abs(found.values[:, -1]).max() == 0


def test_a_cost_at_the_bottom_of_its_range_is_shared_as_the_way_there() -> None:
    X, y = costs()
    fitted = GammaExpectation().fit(X, y)
    near, far = X[:1].copy(), X[:1].copy()
    far[0, 2] = -1e3 * np.sign(fitted.predict(np.array([[0, 0, 1e3, 0, 0]]))[0] - np.median(y))
    found = [contributions_of(fitted, Asked(one, X)) for one in (near, far)]
    lines = [float(np.log(fitted.predict(one))[0] - found[0].base) for one in (near, far)]
    for one, want in zip(found, lines, strict=True):
        assert one.values.sum() == pytest.approx(want)
    assert np.abs(found[1].values[0]).argmax() == 2


@pytest.mark.parametrize(
    ("learner", "of", "why"),
    [
        (CeilingExpectation(LinearExpectation(family="binomial"), LinearExpectation()), scores,
         "a chance times a mean"),
        (LogSmearingExpectation(by_tenth=True), costs, "a factor for each tenth"),
        (NetExpectation(nets=1, epochs=1), scores, "a network"),
        (StackedExpectation([LinearExpectation(), NetExpectation(nets=1, epochs=1)]), None,
         "of what it weighs, what a network expects"),
        (StackedExpectation([LinearExpectation(family="binomial")] * 2, family="binomial"), chances,
         "chances or costs"),
    ],
)  # fmt: skip
def test_a_learner_that_does_not_add_up_says_why(learner: Any, of: Any, why: str) -> None:
    if of is None:
        learner.learners_ = learner.learners
    else:
        learner.fit(*of())
    assert why in why_not(learner)


def test_a_large_cohort_is_told_as_a_small_one(monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = scores()
    fitted = LightGBMExpectation(**SMALL).fit(X, y)
    by_lightgbm = contributions_of(fitted, Asked(X, X))
    monkeypatch.setattr("riskadj.explain.additive.FEW", 0)
    ours = contributions_of(fitted, Asked(X, X))
    assert np.abs(ours.values - by_lightgbm.values).max() < 1e-12
    assert ours.base == pytest.approx(by_lightgbm.base, abs=1e-12)
