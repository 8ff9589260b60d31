"""Stacks and parts: weights from episodes held out, parts that add up, and their text."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from riskadj.errors import ArrayError, FileFormatError
from riskadj.expected import (
    CeilingExpectation,
    LightGBMExpectation,
    LinearExpectation,
    NetExpectation,
    PartsExpectation,
    StackedExpectation,
    grouped_folds,
    last_period,
    read_learner,
    score_parts,
    write_learner,
)

TREES = {"trees": 60, "learning_rate": 0.1, "min_episodes_per_leaf": 30, "column_share": 1.0}
LINE, BOOSTED = LinearExpectation(discrete_up_to=2), LightGBMExpectation(**TREES)


def world(n: int = 3_000, bend: float = 1.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3))
    y = 2 * X[:, 0] + bend * np.abs(X[:, 1]) * 3 + rng.normal(size=n)
    X[rng.random((n, 3)) < 0.05] = np.nan
    return X, y


# --- weights ---


def test_a_stack_is_no_worse_than_its_best_learner_on_episodes_nobody_saw() -> None:
    X, y = world()
    Z, later = world(seed=1)
    learners = [LINE, BOOSTED, PartsExpectation(BOOSTED, bands=3)]
    errors = [np.mean((later - one.fit(X, y).predict(Z)) ** 2) for one in learners]
    stacked = StackedExpectation(learners).fit(X, y)
    assert np.mean((later - stacked.predict(Z)) ** 2) < 1.01 * min(errors)
    assert (stacked.weights_ >= 0).all()


@pytest.mark.parametrize(("bend", "better"), [(0.0, 0), (3.0, 1)])
def test_the_learner_that_fits_the_world_weighs_most(bend: float, better: int) -> None:
    X, y = world(bend=bend)
    weights = StackedExpectation([LINE, BOOSTED]).fit(X, y).weights_
    assert weights[better] > 0.7 > weights[1 - better]


def test_weights_come_from_episodes_held_out() -> None:
    """A learner that remembers every episode is perfect in its sample and worthless out of it."""
    X, y = world()
    noise = np.random.default_rng(5).normal(size=len(y))
    memory = LightGBMExpectation(
        trees=60, learning_rate=0.3, leaves=200, min_episodes_per_leaf=1, column_share=1.0, l2=0.0
    )
    stacked = StackedExpectation([LINE, memory]).fit(X, noise)
    assert stacked.weights_[1] < 0.1


def test_providers_are_whole_in_the_folds_that_weigh() -> None:
    """An x that names the provider helps only with providers that have been seen."""
    rng = np.random.default_rng(0)
    provider = np.repeat(np.arange(60), 50)
    x = rng.permutation(60)[provider][:, None].astype(float)
    y = rng.normal(size=60)[provider] + rng.normal(size=3_000)
    names = LightGBMExpectation(**TREES | {"leaves": 60})
    whole = StackedExpectation([LINE, names]).fit(x, y, groups=provider)
    torn = StackedExpectation([LINE, names]).fit(x, y)
    assert torn.weights_[1] > 0.8
    assert whole.weights_[1] < 0.2


def test_given_folds_are_used() -> None:
    X, y = world(600)
    folds = last_period(np.repeat(["2021", "2022"], 300))
    first = StackedExpectation([LINE, BOOSTED]).fit(X, y, folds=folds)
    teach = [one.fit(X[:300], y[:300]).predict(X[300:]) for one in (LINE, BOOSTED)]
    made = np.column_stack(teach) - np.mean(teach, axis=1)
    slopes = np.linalg.lstsq(made, y[300:] - y[300:].mean())[0]
    np.testing.assert_allclose(first.weights_, slopes, atol=1e-8)


def test_a_binomial_stack_is_a_probability() -> None:
    X, y = world()
    event = (y > y.mean()).astype(float)
    learners = [LinearExpectation(family="binomial"), LightGBMExpectation(family="binomial")]
    stacked = StackedExpectation(learners, family="binomial").fit(X, event)
    share = stacked.predict(X)
    assert stacked.weights_.sum() == pytest.approx(1)
    assert ((share > 0) & (share < 1)).all()


@pytest.mark.parametrize("family", ["gaussian", "binomial"])
def test_the_learners_it_comes_with_can_be_fitted(family: str) -> None:
    X, y = world(500)
    y = (y > y.mean()).astype(float) if family == "binomial" else y
    assert np.isfinite(StackedExpectation(family=family).fit(X, y).predict(X)).all()


def test_learners_taught_side_by_side_use_one_thread_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """LightGBM crashes where trainings side by side ask for different numbers of threads."""
    used: list[int] = []
    fit = LightGBMExpectation.fit

    def watched(self: LightGBMExpectation, *given: Any, **named: Any) -> LightGBMExpectation:
        used.append(self.threads)
        return fit(self, *given, **named)

    monkeypatch.setattr(LightGBMExpectation, "fit", watched)
    X, y = world(600)
    trees = LightGBMExpectation(**TREES | {"trees": 5}, threads=2)
    stack = StackedExpectation([LINE, trees, PartsExpectation(trees)]).fit(X, y)
    assert set(used) == {1}
    asked = [one.get_params() for one in stack.learners_ if one is not None]
    assert {one[name] for one in asked for name in one if name.endswith("threads")} <= {2}


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_change_nothing(threads: int) -> None:
    X, y = world(800)
    wanted = StackedExpectation([LINE, BOOSTED]).fit(X, y).predict(X)
    trees = LightGBMExpectation(**TREES, threads=threads)
    np.testing.assert_array_equal(StackedExpectation([LINE, trees]).fit(X, y).predict(X), wanted)


@pytest.mark.parametrize("folds", [1, 4])
def test_more_folds_than_groups_are_refused(folds: int) -> None:
    X, y = world(60)
    with pytest.raises(ArrayError, match="folds: wanted from 2 to 3"):
        StackedExpectation([LINE], folds=folds).fit(X, y, groups=np.arange(60) % 3)


def test_folds_that_ask_about_those_who_taught_are_refused() -> None:
    X, y = world(60)
    seen = ((np.arange(40), np.arange(30, 60)),)
    with pytest.raises(ArrayError, match="rows that taught"):
        StackedExpectation([LINE]).fit(X, y, folds=seen)


def test_grouped_folds_keep_groups_whole_whatever_their_names() -> None:
    groups = np.random.default_rng(0).integers(12, size=200)
    folds = grouped_folds(groups, 3, seed=1)
    names = np.array([f"H{99 - one}" for one in groups])
    for (teach, asked), (_, again) in zip(folds, grouped_folds(names, 3, seed=1), strict=True):
        assert not set(groups[teach]) & set(groups[asked])
        np.testing.assert_array_equal(asked, again)
    assert sorted(np.concatenate([asked for _, asked in folds])) == list(range(200))


# --- parts ---


@given(
    st.lists(st.integers(0, 48), min_size=2, max_size=60).filter(lambda some: len(set(some)) > 1),
    st.integers(1, 12),
)
def test_bands_add_up_to_the_score(scores: list[int], bands: int) -> None:
    parts = score_parts(scores, bands=bands)
    np.testing.assert_allclose(parts.sum(axis=1) + min(scores), scores)


def test_items_with_gaps_are_parts_when_the_score_fills_gaps_with_the_mean() -> None:
    items = np.random.default_rng(0).integers(0, 5, size=(200, 12)).astype(float)
    items[::9, 3] = np.nan
    score = np.nanmean(items, axis=1) * 12
    parts = score_parts(score, items)
    assert parts.shape == (200, 12)
    np.testing.assert_allclose(parts.sum(axis=1), score)


def test_a_value_set_of_levels_is_found_out() -> None:
    levels = np.random.default_rng(0).integers(1, 4, size=(900, 5))
    loss = np.array(
        [[0.0, 0.07, 0.3], [0, 0.1, 0.2], [0, 0.04, 0.09], [0, 0.12, 0.39], [0, 0.07, 0.2]]
    )
    lost = sum(loss[k][levels[:, k] - 1] for k in range(5))
    score = 1 - lost - 0.081 * (levels > 1).any(axis=1) - 0.269 * (levels == 3).any(axis=1)
    parts = score_parts(score, levels)
    assert parts.shape == (900, 12)
    assert set(np.unique(parts)) == {0.0, 1.0}


def test_items_that_do_not_make_up_the_score_are_left_for_bands() -> None:
    rng = np.random.default_rng(0)
    assert score_parts(rng.normal(size=300), rng.normal(size=(300, 4)), bands=5).shape == (300, 5)


def test_of_straight_lines_the_parts_say_what_the_sum_says() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(500, 2))
    items = np.clip(np.round(X @ rng.normal(size=(2, 6)) + 2), 0, 4)
    line = LinearExpectation(2, ridge=0.0)
    parts = PartsExpectation(line).fit(X, items.sum(axis=1), parts=items)
    np.testing.assert_allclose(
        parts.predict(X), line.fit(X, items.sum(axis=1)).predict(X), atol=1e-9
    )


def test_items_of_their_own_causes_are_learned_better_by_parts() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(8_000, 8))
    chance = 1 / (1 + np.exp(-3 * X))
    items = (rng.random((8_000, 8)) < chance).astype(float) * 4
    y, truth = items.sum(axis=1), 4 * chance[4_000:].sum(axis=1)
    few = LightGBMExpectation(trees=40, learning_rate=0.1, column_share=1.0)
    taught = slice(0, 4_000)
    whole = few.fit(X[taught], y[taught]).predict(X[4_000:])
    parts = PartsExpectation(few).fit(X[taught], y[taught], parts=items[taught])
    by_part = parts.predict(X[4_000:])
    assert np.mean((by_part - truth) ** 2) < 0.5 * np.mean((whole - truth) ** 2)


def test_parts_that_do_not_add_up_are_refused() -> None:
    X, y = world(50)
    with pytest.raises(ArrayError, match="weighted sums"):
        PartsExpectation(LINE).fit(X, y, parts=np.arange(50.0)[:, None])


def test_a_stack_hands_parts_and_providers_on() -> None:
    X, y = world(400)
    items = np.column_stack([y / 2, y / 2 + 1, np.zeros(400)])
    within = LinearExpectation(2, slopes="within")
    stacked = StackedExpectation([PartsExpectation(within)])
    stacked.fit(X, y, groups=np.arange(400) % 8, parts=items)
    assert len(stacked.learners_[0].learners_) == 2


# --- networks ---


def test_nets_learn_what_bends() -> None:
    X, y = world()
    Z, later = world(seed=1)
    line, net = LINE.fit(X, y), NetExpectation(nets=3, batch=100, l2=0.3).fit(X, y)
    error = {one: np.mean((later - one.predict(Z)) ** 2) for one in (line, net)}
    assert error[net] < 0.7 * error[line]


def test_nets_of_a_seed_are_the_same_and_more_of_them_are_an_average() -> None:
    X, y = world(300)
    both, again = (NetExpectation(nets=2).fit(X, y).predict(X) for _ in range(2))
    each = [NetExpectation(nets=1, seed=seed).fit(X, y).predict(X) for seed in (0, 1)]
    np.testing.assert_array_equal(both, again)
    np.testing.assert_allclose(both, np.mean(each, axis=0))


def test_nets_of_an_outcome_or_of_case_mix_that_never_varies_say_the_mean() -> None:
    X, y = world(100)
    assert NetExpectation(nets=1).fit(X, np.full(100, 7.0)).predict(X) == pytest.approx(7.0)
    flat = NetExpectation(nets=1).fit(np.zeros((100, 2)), y).predict(np.ones((3, 2)))
    assert np.ptp(flat) == 0
    assert flat[0] == pytest.approx(y.mean(), abs=0.5 * y.std())


# --- text ---

FORMS = {
    "linear": LINE,
    "lightgbm": BOOSTED,
    "net": NetExpectation(nets=2),
    "parts": PartsExpectation(BOOSTED, bands=3),
    "ceiling": CeilingExpectation(LinearExpectation(family="binomial"), LINE),
    "stacked": StackedExpectation([LINE, PartsExpectation(BOOSTED, bands=2)]),
}


@pytest.mark.parametrize("kind", FORMS)
def test_written_as_json_and_read_again_it_says_the_same(kind: str) -> None:
    X, y = world(300)
    learner = FORMS[kind].fit(X, y)
    content = json.loads(json.dumps(write_learner(learner), allow_nan=False))
    assert content["kind"] == kind
    np.testing.assert_array_equal(read_learner(content).predict(X), learner.predict(X))


@pytest.mark.parametrize("content", [{}, {"kind": "forest"}, {"kind": "linear"}, [], None])
def test_other_content_is_refused(content: Any) -> None:
    with pytest.raises(FileFormatError, match="wanted a written learner"):
        read_learner(content)


def test_trees_that_are_none_are_refused() -> None:
    content = write_learner(LightGBMExpectation(trees=2).fit(*world(100)))
    with pytest.raises(FileFormatError, match="wanted a written learner"):
        read_learner(content | {"trees": "no trees"})


@pytest.mark.parametrize("family", ["gaussian", "binomial", "gamma", "tweedie"])
def test_written_trees_say_no_least_or_greatest_value_and_answer_the_same(family: str) -> None:
    X, y = world(400)
    X = np.where(np.random.default_rng(1).random(X.shape) < 0.1, np.nan, X)
    X[7, 0], X[8, 0] = 103.71875, -203.71875
    outcome = (y > np.median(y)).astype(float) if family == "binomial" else y - y.min() + 1.0
    learner = LightGBMExpectation(**TREES, family=family).fit(X, outcome)
    assert "103.7" in learner.booster_.model_to_string()
    content = write_learner(learner)
    assert "103.7" not in json.dumps(content)
    assert "\nfeature_infos=" + " ".join(["none"] * X.shape[1]) + "\n" in content["trees"]
    again = read_learner(content)
    for rows in (X, X * 3, np.full_like(X, np.nan)):
        np.testing.assert_array_equal(again.predict(rows), learner.predict(rows))
        np.testing.assert_array_equal(again.contributions(rows), learner.contributions(rows))
        leaves = [one.booster_.predict(rows, pred_leaf=True) for one in (again, learner)]
        np.testing.assert_array_equal(*leaves)
    assert write_learner(again) == content


def test_a_learner_of_others_is_not_written() -> None:
    with pytest.raises(FileFormatError, match="wanted one of linear"):
        write_learner(object())
