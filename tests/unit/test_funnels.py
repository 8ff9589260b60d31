"""Funnels: scales against their own definitions, limits against the probabilities they promise."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, chi2, norm, poisson

from riskadj.errors import ArrayError
from riskadj.stats import Z95, limits_of_mean, proportion_interval, z_of_mean
from riskadj.stats.dispersion import adjusted_z, dispersion
from riskadj.stats.funnels import (
    FUNNEL_KINDS,
    expected_at_limits,
    funnel_effect,
    funnel_limits,
    poisson_limits,
    predictive_limits_of_binomial,
    predictive_limits_of_count,
    predictive_limits_of_sum,
)

quick = settings(max_examples=100, deadline=None, derandomize=True)
SEEDS = st.integers(0, 10_000)
LEVELS = st.sampled_from([0.5, 0.8, 0.95, 0.998])
RULES = st.sampled_from(["at_most", "closest"])
LEVEL_95 = 0.95000420970  # of Z95, 1.96


def providers(kind: str, seed: int, n: int = 30) -> dict:
    """Return arguments of `funnel_effect` for providers in and out of control."""
    rng = np.random.default_rng(seed)
    size = rng.integers(5, 400, n).astype(float)
    if kind == "mean":
        mean = rng.normal(20, 8 / np.sqrt(size) + 1)
        return {"numerator": mean, "denominator": size, "target": 20.0, "sd": 8.0}
    if kind.startswith("proportion"):
        events = rng.binomial(size.astype(int), rng.beta(20, 60, n))
        return {"numerator": events, "denominator": size, "target": 0.25}
    count = rng.poisson(size * rng.gamma(30, 1 / 30, n)) + 1
    return {"numerator": count, "denominator": size, "target": 1.0}


def limits_for(kind: str, at: dict, **changes):
    own = {"numerator": at["numerator"]} if kind == "counts" else {}
    return funnel_limits(
        kind, at["denominator"], at["target"], sd=at.get("sd"), **{**own, **changes}
    )


def value_of(kind: str, at: dict):
    if kind == "mean":
        return at["numerator"]
    half = 0.5 if kind == "counts" else 0.0
    return (at["numerator"] + half) / (at["denominator"] + half)


# --- effects ---


def test_a_mean_is_on_its_own_scale():
    got = funnel_effect("mean", [21.8523], [822], target=22.6798, sd=7.67145)
    np.testing.assert_allclose(got.z, z_of_mean([21.8523], [822], 22.6798, 7.67145))
    np.testing.assert_allclose(got.standard_error, 7.67145 / 822**0.5)
    np.testing.assert_allclose(got.effect, -0.8275)


@pytest.mark.parametrize(
    ("kind", "effect", "error"),
    [
        ("ratio_shmi", np.log(30 / 20), 1 / 20**0.5),
        ("ratio_cqc", (30 / 20) ** 0.5 - 1, 1 / (2 * 20**0.5)),
    ],
)
def test_a_ratio_is_on_the_scale_of_its_publisher(kind, effect, error):
    got = funnel_effect(kind, [30], [20])
    np.testing.assert_allclose(got.effect, effect)
    np.testing.assert_allclose(got.standard_error, error)
    assert got.target == 1


def test_a_proportion_is_compared_with_the_pooled_one():
    got = funnel_effect("proportion", [3, 17], [20, 80])
    assert got.target == pytest.approx(0.2)
    wanted = (np.arcsin(np.sqrt([3 / 20, 17 / 80])) - np.arcsin(np.sqrt(0.2))) * 2
    np.testing.assert_allclose(got.z, wanted * np.sqrt([20, 80]))


def test_a_score_uses_the_variance_at_the_target():
    got = funnel_effect("proportion_score", [3], [20], target=0.4)
    np.testing.assert_allclose(got.z, (0.15 - 0.4) / np.sqrt(0.4 * 0.6 / 20))


def test_counts_are_moved_by_a_half():
    got = funnel_effect("counts", [9, 0], [4, 6])
    assert got.target == pytest.approx(0.9)
    np.testing.assert_allclose(got.effect, np.log([9.5 / 4.5, 0.5 / 6.5]) - np.log(0.9))
    wanted = [9 / 9.5**2 + 4 / 4.5**2, 6 / 6.5**2]
    np.testing.assert_allclose(got.standard_error**2, wanted)


@pytest.mark.parametrize(
    ("kind", "numerator", "z"),
    [
        ("ratio_cqc", 0, -2 * 9**0.5),
        ("proportion", 0, -2 * 9**0.5 * np.arcsin(0.5)),
        ("proportion", 9, 2 * 9**0.5 * (np.pi / 2 - np.arcsin(0.5))),
    ],
)
def test_no_events_and_nothing_but_events_have_a_z(kind, numerator, z):
    target = None if kind == "ratio_cqc" else 0.25
    np.testing.assert_allclose(funnel_effect(kind, [numerator], [9], target).z, [z])


@pytest.mark.parametrize("kind", ["ratio_shmi", "ratio_cqc", "proportion", "proportion_score"])
def test_z_is_about_standard_normal_for_providers_in_control(kind):
    rng = np.random.default_rng(1)
    n = rng.integers(300, 900, 4000)
    target = 0.2 if kind.startswith("proportion") else None
    count = rng.poisson(n) if target is None else rng.binomial(n, target)
    z = funnel_effect(kind, count, n, target).z
    assert np.mean(z) == pytest.approx(0, abs=0.06)
    assert np.std(z) == pytest.approx(1, abs=0.04)


# --- interval limits ---


def test_limits_of_a_mean_are_those_of_nhs_england():
    n = np.array([30, 245, 822])
    got = funnel_limits("mean", n, 22.6798, LEVEL_95, sd=7.67145, tau2=0.17)
    wanted = limits_of_mean(n, 22.6798, 7.67145, Z95, tau=0.17**0.5)
    np.testing.assert_allclose(got, wanted, rtol=1e-9)


@pytest.mark.parametrize("kind", FUNNEL_KINDS)
@pytest.mark.parametrize("over", [{}, {"phi": 2.5}, {"tau2": 0.04}])
@pytest.mark.parametrize("level", [0.9, 0.95, 0.998])
def test_outside_the_limits_is_where_z_is_above_the_quantile(kind, over, level):
    outside = 0
    for seed in range(5):
        at = providers(kind, seed, 60)
        made = funnel_effect(kind, **at)
        got = limits_for(kind, at, level=level, **over)
        variance = over.get("phi", 1) * made.standard_error**2 + over.get("tau2", 0)
        beyond = np.abs(made.effect) / np.sqrt(variance) > norm.ppf((1 + level) / 2)
        value = value_of(kind, at)
        np.testing.assert_array_equal(beyond, (value < got.lower) | (value > got.upper))
        outside += beyond.sum()
    assert outside < 300


@pytest.mark.parametrize("kind", FUNNEL_KINDS)
def test_a_flag_by_adjusted_z_is_a_flag_by_limits(kind):
    at = providers(kind, 4, 80)
    made = funnel_effect(kind, **at)
    found = dispersion(made.z, "winsorised", standard_error=made.standard_error)
    assert found.over_dispersed
    got = limits_for(kind, at, level=LEVEL_95, tau2=found.tau2)
    flagged = np.abs(adjusted_z(made.effect, made.standard_error, found)) > Z95
    value = value_of(kind, at)
    np.testing.assert_array_equal(flagged, (value < got.lower) | (value > got.upper))
    got = limits_for(kind, at, level=LEVEL_95, phi=found.phi)
    z = adjusted_z(made.effect, made.standard_error, found, "multiplicative")
    np.testing.assert_array_equal(np.abs(z) > Z95, (value < got.lower) | (value > got.upper))


@pytest.mark.parametrize("kind", FUNNEL_KINDS)
def test_limits_hold_the_target_and_narrow_with_size(kind):
    at = {"numerator": np.arange(1.0, 500), "denominator": np.arange(1.0, 500), "target": 0.8}
    at["target"] = 1.0 if kind.startswith("ratio") else 0.8
    at["sd"] = 3.0 if kind == "mean" else None
    got = limits_for(kind, at)
    assert (got.lower <= at["target"]).all()
    assert (got.upper >= at["target"]).all()
    assert (np.diff(got.lower) >= 0).all()
    assert (np.diff(got.upper) <= 0).all()
    wider = limits_for(kind, at, level=0.998)
    assert (wider.lower <= got.lower).all()
    assert (wider.upper >= got.upper).all()


@pytest.mark.parametrize(
    ("kind", "low", "high"),
    [("ratio_cqc", 0.0, None), ("proportion", 0.0, 1.0), ("proportion_score", 0.0, 1.0)],
)
def test_limits_stay_inside_what_can_happen(kind, low, high):
    target = 0.5 if high else None
    got = funnel_limits(kind, [0.1, 1.0], target, 0.998)
    np.testing.assert_array_equal(got.lower, [low, low])
    if high:
        np.testing.assert_array_equal(got.upper, [high, high])


@quick
@given(st.integers(1, 500), st.floats(0.01, 0.99), LEVELS)
def test_wilsons_interval_touches_the_target_at_the_limits_of_the_score(n, target, level):
    got = funnel_limits("proportion_score", n, target, level)
    for bound, side in ((got.lower, "upper"), (got.upper, "lower")):
        if 0 < bound < 1:
            interval = proportion_interval(bound * n, n, level)
            np.testing.assert_allclose(getattr(interval, side), target, rtol=1e-6)


@quick
@given(st.floats(0.1, 1e4), LEVELS)
def test_poisson_limits_are_the_exact_interval_of_the_expected_count(expected, level):

    got = poisson_limits(expected, level)
    tail = (1 - level) / 2
    np.testing.assert_allclose(got.lower, chi2.ppf(tail, 2 * expected) / 2 / expected)
    np.testing.assert_allclose(got.upper, chi2.isf(tail, 2 * expected + 2) / 2 / expected)


@quick
@given(st.integers(1, 2000), LEVELS)
def test_expected_at_limits_leaves_exactly_the_tail(observed, level):
    got = expected_at_limits(observed, level)
    tail = (1 - level) / 2
    np.testing.assert_allclose(poisson.cdf(observed, got.lower), tail, rtol=1e-9)
    np.testing.assert_allclose(poisson.sf(observed - 1, got.upper), tail, rtol=1e-9)
    assert got.upper < observed < got.lower


def test_no_events_are_never_above_a_limit():
    got = expected_at_limits([0])
    assert got.upper[0] == 0
    np.testing.assert_allclose(np.exp(-got.lower), 0.025)


# --- predictive limits ---


def brute_force(cdf, top, level, rule):
    """Return both limits by looking at every count."""
    tail = (1 - level) / 2
    counts = np.arange(-1, top + 1)
    below, above = cdf(counts - 1), 1 - cdf(counts)
    if rule == "closest":
        # Of two equally close the one with the smaller tail, which is the outer one.
        low = counts[np.flatnonzero(np.abs(below - tail) <= np.abs(below - tail).min() + 1e-15)]
        high = counts[np.flatnonzero(np.abs(above - tail) <= np.abs(above - tail).min() + 1e-15)]
        return below[low + 1], above[high + 1]
    return below[below <= tail + 1e-14].max(), above[above <= tail + 1e-14].max()


@quick
@given(st.floats(0.01, 300), LEVELS, RULES)
def test_tails_of_a_poisson_count_are_as_near_as_a_count_allows(expected, level, rule):
    got = predictive_limits_of_count(expected, level, rule)
    below, above = brute_force(
        lambda k: poisson.cdf(k, expected), int(2 * expected + 60), level, rule
    )
    np.testing.assert_allclose(got.below, below[0] if rule == "closest" else below, atol=1e-12)
    np.testing.assert_allclose(got.above, above[-1] if rule == "closest" else above, atol=1e-12)
    np.testing.assert_allclose(got.below, poisson.cdf(got.lower - 1, expected))
    np.testing.assert_allclose(got.above, poisson.sf(got.upper, expected))
    assert got.lower <= got.upper


@quick
@given(st.integers(1, 300), st.floats(0.0, 1.0), LEVELS, RULES)
def test_tails_of_a_binomial_count_are_as_near_as_a_count_allows(n, target, level, rule):
    got = predictive_limits_of_binomial(n, target, level, rule)
    below, above = brute_force(lambda k: binom.cdf(k, n, target), n, level, rule)
    np.testing.assert_allclose(got.below, below[0] if rule == "closest" else below, atol=1e-12)
    np.testing.assert_allclose(got.above, above[-1] if rule == "closest" else above, atol=1e-12)
    assert 0 <= got.lower <= got.upper <= n


@quick
@given(st.integers(1, 60), st.floats(0.0, 1.0), LEVELS, RULES)
def test_a_sum_of_equal_chances_is_binomial(n, chance, level, rule):
    got = predictive_limits_of_sum(np.full(n, chance), np.zeros(n), level, rule)
    wanted = predictive_limits_of_binomial([n], chance, level, rule)
    np.testing.assert_allclose(got.below, wanted.below, atol=1e-12)
    np.testing.assert_allclose(got.above, wanted.above, atol=1e-12)
    np.testing.assert_array_equal(got.lower, wanted.lower)
    np.testing.assert_array_equal(got.upper, wanted.upper)


def slow_distribution(chances):
    chance_of = np.ones(1)
    for one in chances:
        chance_of = np.convolve(chance_of, [1 - one, one])
    return chance_of


@pytest.mark.parametrize("n", [1, 2, 3, 7, 64, 65, 1000])
@pytest.mark.parametrize("level", [0.95, 0.998])
def test_a_sum_of_unequal_chances_has_the_tails_of_its_own_distribution(n, level):
    chances = np.random.default_rng(n).beta(0.7, 4.0, n)
    got = predictive_limits_of_sum(chances, np.zeros(n), level)
    cdf = np.cumsum(slow_distribution(chances))
    below, above = brute_force(
        lambda k: np.where(k < 0, 0.0, cdf[np.clip(k, 0, n)]), n, level, "at_most"
    )
    np.testing.assert_allclose(got.below[0], below, atol=1e-12)
    np.testing.assert_allclose(got.above[0], above, atol=1e-12)


@quick
@given(SEEDS, LEVELS)
def test_providers_are_judged_alone_and_in_order_of_their_label(seed, level):
    rng = np.random.default_rng(seed)
    provider = rng.choice(["c", "a", "b"], 60)
    chances = rng.uniform(0, 1, 60)
    got = predictive_limits_of_sum(chances, provider, level)
    labels = np.unique(provider)
    for at, label in enumerate(labels):
        own = chances[provider == label]
        alone = predictive_limits_of_sum(own, np.zeros(len(own)), level)
        assert (got.lower[at], got.upper[at]) == (alone.lower[0], alone.upper[0])
    order = rng.permutation(60)
    again = predictive_limits_of_sum(chances[order], provider[order], level)
    np.testing.assert_array_equal(again.lower, got.lower)
    np.testing.assert_array_equal(again.upper, got.upper)


@quick
@given(SEEDS)
def test_unequal_chances_vary_less_than_equal_ones_and_those_less_than_poisson(seed):
    chances = np.random.default_rng(seed).uniform(0, 1, 200)
    of_sum = predictive_limits_of_sum(chances, np.zeros(200))
    equal = predictive_limits_of_binomial([200], chances.mean())
    count = predictive_limits_of_count([chances.sum()])
    assert of_sum.upper - of_sum.lower <= equal.upper - equal.lower + 1
    assert equal.upper - equal.lower <= count.upper - count.lower + 1
    assert of_sum.upper - of_sum.lower < count.upper - count.lower


BINOMIAL = {
    "binomial": lambda n, *rest: predictive_limits_of_binomial([n], 0.5, *rest),
    "sum": lambda n, *rest: predictive_limits_of_sum([0.5] * n, [0] * n, *rest),
}


@pytest.mark.parametrize("count", BINOMIAL)
def test_a_tail_that_is_just_the_nominal_one_is_not_over_it(count):
    got = BINOMIAL[count](2, 0.5, "at_most")
    assert (got.lower[0], got.upper[0]) == (1, 1)
    np.testing.assert_allclose([got.below[0], got.above[0]], 0.25)


@pytest.mark.parametrize("count", BINOMIAL)
def test_of_two_equally_close_counts_the_one_with_the_smaller_tail_is_taken(count):
    got = BINOMIAL[count](1, 0.5, "closest")
    assert (got.lower[0], got.upper[0]) == (0, 1)
    np.testing.assert_allclose([got.below[0], got.above[0]], 0, atol=1e-15)


def test_certain_events_leave_one_count():
    got = predictive_limits_of_sum([1.0, 1.0, 0.0], ["a", "a", "b"])
    np.testing.assert_allclose(got.lower, [2, 0])
    np.testing.assert_allclose(got.upper, [2, 0])
    np.testing.assert_allclose(got.below, [0, 0], atol=1e-15)
    np.testing.assert_allclose(got.above, [0, 0], atol=1e-15)


def test_so_many_are_flagged_as_the_limits_say():
    rng = np.random.default_rng(2)
    expected = rng.uniform(2, 60, 20_000)
    got = predictive_limits_of_count(expected)
    count = rng.poisson(expected)
    assert np.mean(count > got.upper) == pytest.approx(got.above.mean(), abs=0.002)
    assert np.mean(count < got.lower) == pytest.approx(got.below.mean(), abs=0.002)
    assert got.above.max() <= 0.025
    assert got.below.max() <= 0.025


def test_closest_is_nearer_to_the_nominal_share_than_at_most():
    expected = np.linspace(1, 50, 2000)
    at_most = predictive_limits_of_count(expected).above
    closest = predictive_limits_of_count(expected, rule="closest").above
    assert np.abs(closest - 0.025).mean() < np.abs(at_most - 0.025).mean()
    assert (closest >= at_most).all()
    assert closest.max() > 0.025


# --- what is refused ---


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: funnel_effect("smr", [1], [1]), "kind: wanted one of mean, ratio_shmi"),
        (lambda: funnel_effect("ratio_shmi", [0], [1]), "numerator: wanted numbers above 0"),
        (lambda: funnel_effect("ratio_cqc", [-1], [1]), "numerator: wanted numbers of 0 or more"),
        (lambda: funnel_effect("ratio_cqc", [1], [0]), "denominator: wanted numbers above 0"),
        (lambda: funnel_effect("ratio_cqc", [1, 2], [1]), "numerator: wanted shape"),
        (lambda: funnel_effect("ratio_cqc", [np.nan], [1]), "numerator: wanted finite"),
        (lambda: funnel_effect("ratio_cqc", [1], [1], target=0.9), "Multiply the expected"),
        (lambda: funnel_effect("ratio_cqc", [1], [1], sd=2.0), "sd: wanted for a mean"),
        (lambda: funnel_effect("mean", [1], [1], 2.0), "sd: wanted for a mean"),
        (lambda: funnel_effect("mean", [1], [1], 2.0, sd=0.0), "sd: wanted numbers above 0"),
        (lambda: funnel_effect("mean", [1], [1], sd=2.0), "target: wanted a number for mean"),
        (lambda: funnel_effect("mean", [1], [1], np.inf, sd=2.0), "target: wanted finite"),
        (lambda: funnel_effect("proportion", [2], [1]), "no more events than episodes"),
        (lambda: funnel_effect("proportion", [0], [1]), "Give a target"),
        (lambda: funnel_effect("proportion", [1], [1], 1.5), "target: wanted numbers within 0"),
        (lambda: funnel_effect("proportion_score", [1], [2], 1.0), "standard error above 0"),
        (lambda: funnel_effect("counts", [0], [0], 1.0), "standard error above 0"),
        (lambda: funnel_effect("counts", [1], [1], 0.0), "target: wanted numbers above 0"),
        (lambda: funnel_limits("proportion", [1]), "target: wanted a number for proportion"),
        (lambda: funnel_limits("counts", [1], 1.0), "numerator: wanted for counts"),
        (lambda: funnel_limits("ratio_cqc", [1], numerator=[1]), "numerator: wanted for counts"),
        (lambda: funnel_limits("ratio_cqc", [1], level=1.0), "level: wanted a number between"),
        (lambda: funnel_limits("ratio_cqc", [1], phi=0.9), "phi: wanted numbers of 1 or more"),
        (lambda: funnel_limits("ratio_cqc", [1], tau2=-0.1), "tau2: wanted numbers of 0 or more"),
        (lambda: funnel_limits("ratio_cqc", [1], phi=2.0, tau2=0.1), "one model"),
        (lambda: poisson_limits([0.0]), "expected: wanted numbers above 0"),
        (lambda: poisson_limits([1.0], 0.0), "level: wanted"),
        (lambda: expected_at_limits([-1]), "observed: wanted numbers of 0 or more"),
        (lambda: expected_at_limits([1], 2.0), "level: wanted"),
        (lambda: predictive_limits_of_count([0.0]), "expected: wanted numbers above 0"),
        (lambda: predictive_limits_of_count([1.0], 0.4), "level: wanted a number from 0.5"),
        (lambda: predictive_limits_of_count([1.0], rule="exact"), "rule: wanted one of"),
        (lambda: predictive_limits_of_binomial([0], 0.1), "n: wanted numbers of 1 or more"),
        (lambda: predictive_limits_of_binomial([1.5], 0.1), "n: wanted whole numbers"),
        (lambda: predictive_limits_of_binomial([2], -0.1), "target: wanted numbers of 0"),
        (lambda: predictive_limits_of_sum([1.1], ["a"]), "probability: wanted numbers within"),
        (lambda: predictive_limits_of_sum([0.1], ["a", "b"]), "probability: wanted shape"),
        (lambda: predictive_limits_of_sum([], []), "provider: wanted one label per row"),
    ],
)
def test_what_has_no_answer_is_refused_by_name(call, says):
    with pytest.raises(ArrayError, match=says):
        call()
