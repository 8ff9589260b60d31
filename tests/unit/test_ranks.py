"""Ranks with their uncertainty, against exact probabilities and brute force."""

from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from riskadj.errors import ArrayError
from riskadj.stats import ranks
from riskadj.stats.ranks import expected_rank, rank_probabilities

RNG = np.random.default_rng(5)
EFFECT, SD = RNG.normal(size=40), RNG.uniform(0.1, 1.0, 40)
ARRAYS = ("expected", "median", "lower", "upper", "best_group", "worst_group")


@pytest.mark.parametrize(("best", "sign"), [("high", 1), ("low", -1)])
def test_of_two_providers_all_is_one_probability(best, sign):
    got = rank_probabilities([1.0, 0.0], [0.6, 0.8], seed=1, best=best, quantile=2)
    first = norm.cdf(sign * 1.0)
    np.testing.assert_allclose(got.expected, [2 - first, 1 + first])
    np.testing.assert_allclose(got.best_group, [first, 1 - first], atol=0.015)
    np.testing.assert_allclose(got.worst_group, [1 - first, first], atol=0.015)


def test_expected_ranks_of_equals_are_those_of_chance():
    got = rank_probabilities(np.zeros(20), np.ones(20), seed=1)
    np.testing.assert_allclose(got.expected, 10.5)
    np.testing.assert_allclose(got.median, 10.5)
    np.testing.assert_allclose(got.best_group, 0.2)
    np.testing.assert_allclose(got.worst_group, 0.2)
    assert (got.lower == 1).all()
    assert (got.upper == 20).all()


def test_expected_rank_is_the_sum_over_pairs():
    by_pair = [
        1 + sum(norm.sf((EFFECT[i] - EFFECT[j]) / np.hypot(SD[i], SD[j])) for j in range(40)) - 0.5
        for i in range(40)
    ]
    np.testing.assert_allclose(expected_rank(EFFECT, SD), by_pair)


@pytest.mark.parametrize("best", ["high", "low"])
def test_draws_agree_with_the_exact_expected_rank(best):
    """Mean rank from the draws, to within four of its Monte Carlo standard errors."""
    exact = expected_rank(EFFECT, SD, best=best)
    score = -EFFECT if best == "high" else EFFECT
    order = np.lexsort((SD, score))
    draws, total, squares = 4_000, np.zeros(40), np.zeros(40)
    for block in ranks._places(score[order], SD[order], draws, seed=3):
        rank = np.argsort(block, axis=1) + 1.0
        total += rank.sum(axis=0)
        squares += (rank**2).sum(axis=0)
    mean = total / draws
    error = np.sqrt((squares / draws - mean**2) / draws)
    assert (np.abs(mean - exact[order]) < 4 * error + 1e-9).all()
    assert error.max() < 0.2


def test_the_distribution_is_that_of_brute_force():
    got = rank_probabilities(EFFECT, SD, seed=2)
    drawn = np.random.default_rng(9).normal(EFFECT, SD, (20_000, 40))
    rank = (-drawn).argsort(axis=1).argsort(axis=1) + 1
    assert got.group_size == 8
    np.testing.assert_allclose(got.best_group, (rank <= 8).mean(axis=0), atol=0.025)
    np.testing.assert_allclose(got.worst_group, (rank > 32).mean(axis=0), atol=0.025)
    np.testing.assert_allclose(got.median, np.median(rank, axis=0), atol=1)
    np.testing.assert_allclose(got.lower, np.quantile(rank, 0.025, axis=0), atol=1.01)
    np.testing.assert_allclose(got.upper, np.quantile(rank, 0.975, axis=0), atol=1.01)


@pytest.mark.parametrize("level", [0.5, 0.9, 0.95])
def test_an_interval_leaves_out_no_more_than_it_says_at_either_end(level):
    got = rank_probabilities(EFFECT, SD, seed=2, level=level, draws=3_000)
    order = np.lexsort((SD, -EFFECT))
    (places,) = list(ranks._places(-EFFECT[order], SD[order], 3_000, seed=2))
    rank = np.argsort(places, axis=1) + 1
    lower, upper = got.lower[order], got.upper[order]
    tail = (1 - level) / 2
    assert ((rank < lower).mean(axis=0) <= tail + 1e-12).all()
    assert ((rank > upper).mean(axis=0) <= tail + 1e-12).all()
    assert ((rank <= lower).mean(axis=0) > tail - 1e-12).all()
    assert ((rank >= upper).mean(axis=0) > tail - 1e-12).all()
    np.testing.assert_allclose(got.median[order], np.median(rank, axis=0))


def test_probabilities_add_up_to_the_size_of_the_group():
    got = rank_probabilities(EFFECT, SD, seed=4, draws=500, quantile=7)
    assert got.group_size == 6
    assert got.best_group.sum() == pytest.approx(6)
    assert got.worst_group.sum() == pytest.approx(6)


@given(
    st.lists(st.tuples(st.integers(-3, 3), st.sampled_from([0.0, 0.5, 2.0])), min_size=2),
    st.sampled_from(["high", "low"]),
)
def test_expected_ranks_add_up(pairs, best):
    effect, sd = np.array(pairs, dtype=float).T
    got = expected_rank(effect, sd, best=best)
    assert got.sum() == pytest.approx(got.size * (got.size + 1) / 2)
    assert got.min() >= 1 - 1e-9
    assert got.max() <= got.size + 1e-9


@settings(max_examples=30)
@given(order=st.permutations(range(12)))
def test_providers_in_another_order_have_exactly_the_same_answers(order):
    """With ties, equal pairs and zero standard deviations among them."""
    effect = np.array([0.0, 0.0, 0.0, 1.0, 1.0, -2.0, 3.0, 3.0, 0.5, 0.5, 0.5, 1.0])
    sd = np.array([0.0, 0.0, 1.0, 0.0, 2.0, 0.5, 1.0, 1.0, 0.3, 0.3, 0.0, 2.0])
    one = rank_probabilities(effect, sd, seed=8, draws=300)
    other = rank_probabilities(effect[list(order)], sd[list(order)], seed=8, draws=300)
    for field in ARRAYS:
        np.testing.assert_array_equal(getattr(other, field), getattr(one, field)[list(order)])


def test_low_is_best_is_the_mirror_image_of_high_is_best():
    one = rank_probabilities(EFFECT, SD, seed=8, draws=500, best="high")
    other = rank_probabilities(-EFFECT, SD, seed=8, draws=500, best="low")
    for field in ARRAYS:
        np.testing.assert_array_equal(getattr(other, field), getattr(one, field))
    np.testing.assert_allclose(expected_rank(EFFECT, SD, best="low"), 41 - one.expected)


def test_a_move_and_a_unit_change_no_rank():
    one = rank_probabilities(EFFECT, SD, seed=8, draws=500)
    other = rank_probabilities(8 * EFFECT, 8 * SD, seed=8, draws=500)
    for field in ARRAYS:
        np.testing.assert_array_equal(getattr(other, field), getattr(one, field))
    np.testing.assert_allclose(expected_rank(EFFECT + 5, SD), one.expected)


@pytest.mark.parametrize("at_once", [1, 40, 777, 10**6])
def test_the_size_of_a_block_changes_nothing(monkeypatch, at_once):
    one = rank_probabilities(EFFECT, SD, seed=8, draws=200)
    monkeypatch.setattr(ranks, "_VALUES_AT_ONCE", at_once)
    other = rank_probabilities(EFFECT, SD, seed=8, draws=200)
    for field in ARRAYS:
        np.testing.assert_array_equal(getattr(other, field), getattr(one, field))


def test_the_same_seed_is_the_same_answer_and_another_is_not():
    one, same, other = (rank_probabilities(EFFECT, SD, seed=seed, draws=500) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.best_group, same.best_group)
    assert (one.best_group != other.best_group).any()
    np.testing.assert_array_equal(one.expected, other.expected)


def test_what_is_certain_is_ranked_with_certainty():
    got = rank_probabilities([3.0, 1.0, 2.0, 5.0, 4.0], np.zeros(5), seed=1, draws=50)
    for field in ("expected", "median", "lower", "upper"):
        np.testing.assert_array_equal(getattr(got, field), [3, 5, 4, 1, 2])
    assert got.best_group.tolist() == [0, 0, 0, 1, 0]
    assert got.worst_group.tolist() == [0, 1, 0, 0, 0]


def test_those_who_tie_share_their_ranks_evenly():
    got = rank_probabilities([1.0, 1.0, 0.0, 0.0, 0.0], np.zeros(5), seed=1, draws=50)
    np.testing.assert_allclose(got.expected, [1.5, 1.5, 4, 4, 4])
    np.testing.assert_allclose(got.median, [1.5, 1.5, 4, 4, 4])
    np.testing.assert_allclose(got.best_group, [0.5, 0.5, 0, 0, 0])
    np.testing.assert_allclose(got.worst_group, [0, 0, 1 / 3, 1 / 3, 1 / 3])
    assert got.lower.tolist() == [1, 1, 3, 3, 3]
    assert got.upper.tolist() == [2, 2, 5, 5, 5]


@pytest.mark.parametrize(
    ("providers", "quantile", "size"),
    [(10, 5, 2), (7, 5, 1), (8, 5, 2), (3, 5, 1), (4, 10, 1), (9, 2, 5), (40, 4, 10)],
)
def test_a_group_is_the_share_to_the_nearest_provider(providers, quantile, size):
    got = rank_probabilities(
        np.arange(providers), np.ones(providers), seed=1, draws=20, quantile=quantile
    )
    assert got.group_size == size
    assert got.best_group.sum() == pytest.approx(size)


def test_coarser_counting_holds_the_finer_interval(monkeypatch):
    one = rank_probabilities(EFFECT, SD, seed=8, draws=2_000)
    monkeypatch.setattr(ranks, "_MOST_PLACES", 15)
    other = rank_probabilities(EFFECT, SD, seed=8, draws=2_000)
    assert (one.place_width, other.place_width) == (1, 3)
    assert ((one.lower - 2 <= other.lower) & (other.lower <= one.lower)).all()
    assert ((one.upper <= other.upper) & (other.upper <= one.upper + 2)).all()
    assert (np.abs(other.median - one.median) <= 1).all()
    assert other.upper.max() <= 40
    np.testing.assert_array_equal(other.best_group, one.best_group)


def test_the_monte_carlo_error_is_what_is_documented():
    found = [rank_probabilities(EFFECT, SD, seed=seed, draws=400).best_group for seed in range(60)]
    p = np.mean(found, axis=0)
    some = (p > 0.05) & (p < 0.95)
    expected = np.sqrt(p[some] * (1 - p[some]) / 400)
    assert np.std(found, axis=0)[some].mean() == pytest.approx(expected.mean(), rel=0.1)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"effect": [1.0, np.nan]}, "effect"),
        ({"effect": [1.0], "sd": [1.0]}, "two or more providers"),
        ({"effect": []}, "one number per provider"),
        ({"sd": [1.0]}, "sd: wanted shape"),
        ({"sd": [1.0, -1.0]}, "sd: wanted numbers of 0 or more"),
        ({"draws": 0}, "draws"),
        ({"draws": 1.5}, "draws"),
        ({"seed": None}, "seed"),
        ({"seed": -1}, "seed"),
        ({"quantile": 1}, "quantile"),
        ({"best": "hihg"}, "best: wanted one of high, low"),
        ({"level": 1.0}, "level"),
    ],
)
def test_what_cannot_be_ranked_is_refused(change, says):
    with pytest.raises(ArrayError, match=says):
        rank_probabilities(**({"effect": [1.0, 2.0], "sd": [1.0, 1.0], "seed": 1} | change))


def test_the_record_says_what_was_asked_and_cannot_be_changed():
    got = rank_probabilities(EFFECT, SD, seed=1, draws=30, level=0.8)
    assert (got.draws, got.level, got.place_width) == (30, 0.8, 1)
    with pytest.raises(FrozenInstanceError):
        got.draws = 5
