"""Standardised results, against sums by hand, published values and identities."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

from riskadj.errors import ArrayError
from riskadj.stats.intervals import ratio_interval
from riskadj.stats.links import LINKS
from riskadj.stats.overlap import case_mix_overlap
from riskadj.stats.standardise import (
    direct_standardisation,
    indirect_standardisation,
    population_mean,
    predicted_over_expected,
    reference_effect,
)

many = settings(max_examples=40, deadline=None, derandomize=True)
SEEDS = st.integers(0, 10_000)
LINK = st.sampled_from(sorted(LINKS))


def world(providers=5, n=120, seed=1):
    """Return linear predictors and providers of episodes in no order, and providers' effects."""
    rng = np.random.default_rng(seed)
    provider = np.concatenate([np.arange(providers), rng.integers(0, providers, n - providers)])
    return rng.normal(0, 1, n), rng.permutation(provider), rng.normal(-1, 0.5, providers)


# --- predicted over expected ---


@pytest.mark.parametrize("link", LINKS)
def test_predicted_and_expected_are_means_over_the_provider_s_own_patients(link):
    base, provider, effect = world()
    result = predicted_over_expected(base, provider, effect, -0.9, link=link)
    mean = LINKS[link].inverse
    for one in range(5):
        own = base[provider == one]
        assert result.n[one] == own.size
        assert result.predicted[one] == pytest.approx(mean(own + effect[one]).mean(), rel=1e-12)
        assert result.expected[one] == pytest.approx(mean(own - 0.9).mean(), rel=1e-12)
    np.testing.assert_allclose(result.ratio, result.predicted / result.expected)
    np.testing.assert_allclose(result.difference, result.predicted - result.expected)
    np.testing.assert_allclose(result.risk_standardised(0.2), 0.2 * result.ratio)


@pytest.mark.parametrize(
    "given_as",
    [
        lambda effect, labels, provider: effect,
        lambda effect, labels, provider: dict(zip(labels, effect, strict=True)),
        lambda effect, labels, provider: pd.Series(effect, index=labels).sample(
            frac=1, random_state=1
        ),
        lambda effect, labels, provider: (
            {"elsewhere": 9.0} | dict(zip(labels, effect, strict=True))
        ),
        lambda effect, labels, provider: effect[np.searchsorted(labels, provider)],
    ],
    ids=["by label order", "dict", "series", "more than needed", "by episode"],
)
def test_effects_may_come_in_any_form(given_as):
    base, code, effect = world()
    labels = np.array(["A", "B", "C", "D", "E"])
    provider = labels[code]
    plain = predicted_over_expected(base, code, effect, effect.mean())
    result = predicted_over_expected(
        base, provider, given_as(effect, labels, provider), effect.mean()
    )
    np.testing.assert_array_equal(result.ratio, plain.ratio)
    peers = predicted_over_expected(base, provider, effect, given_as(effect, labels, provider))
    np.testing.assert_array_equal(peers.ratio, 1.0)


def test_one_effect_for_all_is_one_number():
    base, provider, _ = world()
    result = predicted_over_expected(base, provider, -1.0, -1.0)
    np.testing.assert_array_equal(result.ratio, 1.0)


@many
@given(seed=SEEDS, link=LINK)
def test_weights_are_repeated_episodes(seed, link):
    base, provider, effect = world(seed=seed)
    times = np.random.default_rng(seed).integers(1, 4, base.size)
    weighted = predicted_over_expected(base, provider, effect, -1, link=link, weights=times)
    repeated = predicted_over_expected(
        base.repeat(times), provider.repeat(times), effect, -1, link=link
    )
    np.testing.assert_allclose(weighted.predicted, repeated.predicted, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(weighted.expected, repeated.expected, rtol=1e-9, atol=1e-12)


@many
@given(seed=SEEDS)
def test_under_the_log_link_the_ratio_is_that_of_the_effects_alone(seed):
    base, provider, effect = world(seed=seed)
    result = predicted_over_expected(base, provider, effect, 0.3, link="log")
    np.testing.assert_allclose(result.ratio, np.exp(effect - 0.3), rtol=1e-12)


@many
@given(seed=SEEDS)
def test_under_the_identity_link_the_difference_is_that_of_the_effects_alone(seed):
    base, provider, effect = world(seed=seed)
    result = predicted_over_expected(base, provider, effect, 0.3, link="identity")
    np.testing.assert_allclose(result.difference, effect - 0.3, rtol=1e-9, atol=1e-12)


@many
@given(seed=SEEDS, link=LINK)
def test_names_and_order_of_the_episodes_do_not_matter(seed, link):
    base, provider, effect = world(seed=seed)
    rng = np.random.default_rng(seed)
    rows, new = rng.permutation(base.size), rng.permutation(5)
    result = predicted_over_expected(base, provider, effect, -1, link=link)
    renamed = predicted_over_expected(
        base[rows], new[provider[rows]], effect[np.argsort(new)], -1, link=link
    )
    np.testing.assert_allclose(renamed.predicted[new], result.predicted, rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(renamed.n[new], result.n)


@many
@given(seed=SEEDS, link=LINK)
def test_providers_with_one_effect_may_be_merged(seed, link):
    base, provider, _ = world(seed=seed)
    parts = predicted_over_expected(base, provider, 0.2, 0.0, link=link)
    whole = predicted_over_expected(base, np.zeros(base.size), 0.2, 0.0, link=link)
    merged = (parts.predicted * parts.n).sum() / parts.n.sum()
    assert merged == pytest.approx(whole.predicted[0], rel=1e-9, abs=1e-12)


def test_an_infinite_effect_has_a_mean_where_the_link_has_one():
    base, provider = [0.1, 0.2, 0.3], ["a", "b", "b"]
    result = predicted_over_expected(base, provider, [-np.inf, np.inf], -1.0)
    assert result.predicted.tolist() == [0, 1]
    assert result.ratio[0] == 0
    log = predicted_over_expected(base, provider, [-np.inf, 0.0], -1.0, link="log")
    assert log.predicted[0] == 0


def test_the_ratio_is_withheld_only_where_nothing_is_expected():
    base, provider = [0.1, 0.2, 0.3], ["a", "b", "b"]
    result = predicted_over_expected(base, provider, 0.0, [-np.inf, 0.0], link="log")
    assert np.isnan(result.ratio).tolist() == [True, False]


@pytest.mark.parametrize(
    ("effect", "options", "says"),
    [
        ([1.0, 2.0, 3.0], {}, "provider_effect: wanted one number, 2 .one per provider. or 4"),
        ([[1.0, 2.0]], {}, "provider_effect"),
        ([1.0, np.nan], {}, "provider_effect: wanted finite"),
        ("high", {}, "provider_effect: wanted numbers"),
        ([0.0, 0.0, 0.0, 1.0], {}, "wanted one effect within a provider; got several in 'b'"),
        ({"a": 1.0}, {}, "wanted an effect for each provider; got none for 1, such as 'b'"),
        ({"a": 1.0, "b": np.nan}, {}, "provider_effect"),
        (pd.Series([1.0, 2.0, 3.0], index=["a", "b", "b"]), {}, "provider_effect"),
        (pd.Series([0.0, 0.0, 1.0, 1.0]), {}, "may be a column"),
        (
            [np.inf, 0.0],
            {"link": "log"},
            "provider_effect: wanted effects with a mean under the log link; got inf",
        ),
        (
            [-np.inf, 0.0],
            {"link": "identity"},
            "provider_effect: wanted effects .* identity link; got -inf",
        ),
        ([800.0, 0.0], {"link": "log"}, "linear predictor: wanted values with a mean"),
        (0.0, {"link": "probit"}, "link: wanted one of logit, log, identity; got 'probit'"),
        (0.0, {"weights": [1, 1, 0, 0]}, "weights: wanted some above 0 in each provider.*'b'"),
        (0.0, {"weights": [1, 1, 1, -1]}, "weights"),
        (0.0, {"weights": [1, 1]}, "weights"),
        (np.nan, {}, "provider_effect"),
    ],
)
def test_effects_that_cannot_be_understood_are_refused(effect, options, says):
    with pytest.raises(ArrayError, match=says):
        predicted_over_expected([0.1, 0.2, 0.3, 0.4], list("aabb"), effect, 0.0, **options)


def test_an_order_that_could_be_either_is_refused():
    base, effect = [0.1, 0.2, 0.3], [1.0, 2.0, 3.0]
    assert predicted_over_expected(base, list("abc"), effect, 0.0).n.tolist() == [1, 1, 1]
    with pytest.raises(ArrayError, match="as many providers as episodes"):
        predicted_over_expected(base, list("bca"), effect, 0.0)


def test_a_rate_to_standardise_to_is_a_number():
    result = predicted_over_expected([0.1], ["a"], 0.0, 0.0)
    with pytest.raises(ArrayError, match="overall"):
        result.risk_standardised(np.nan)


# --- indirect standardisation ---


def test_the_indirect_rate_is_that_of_phe_indicator_methods():
    """PHEindicatormethods (UKHSA), test data of the indirectly standardised rate."""
    result = indirect_standardisation([895], [835.883561], ["a"], overall=9349.883092)
    assert result.rate[0] == pytest.approx(10011.137622, rel=1e-9)
    byar = ratio_interval(895, 835.883561, method="byar")
    assert byar.lower * 9349.883092 == pytest.approx(9365.916003, rel=1e-9)
    assert byar.upper * 9349.883092 == pytest.approx(10689.097583, rel=1e-9)


def test_sums_ratios_and_differences_are_those_by_hand():
    result = indirect_standardisation(
        [3, 1, 2, 8], [2.0, 2.0, 1.0, 3.0], ["b", "b", "a", "b"], overall=10.0
    )
    assert result.providers.tolist() == ["a", "b"]
    assert result.n.tolist() == [1, 3]
    assert result.observed.tolist() == [2, 12]
    assert result.expected.tolist() == [1, 7]
    assert result.ratio.tolist() == pytest.approx([2, 12 / 7])
    assert result.difference.tolist() == pytest.approx([1, 5 / 3])
    assert result.rate.tolist() == pytest.approx([20, 120 / 7])
    assert result.mean.tolist() == pytest.approx([11, 10 + 5 / 3])
    assert not result.ratio_withheld.any()


@many
@given(seed=SEEDS)
def test_indirect_weights_are_repeated_episodes(seed):
    expected, provider, _ = world(seed=seed)
    observed = expected + np.random.default_rng(seed).normal(2, 1, expected.size)
    times = np.random.default_rng(seed).integers(1, 4, expected.size)
    weighted = indirect_standardisation(observed, expected + 2, provider, times)
    repeated = indirect_standardisation(
        observed.repeat(times), expected.repeat(times) + 2, provider.repeat(times)
    )
    for name in ("observed", "expected", "difference", "mean"):
        np.testing.assert_allclose(
            getattr(weighted, name), getattr(repeated, name), rtol=1e-9, atol=1e-9
        )


@many
@given(seed=SEEDS, scale=st.floats(0.01, 100))
def test_a_ratio_has_no_unit_and_a_difference_has_that_of_the_outcome(seed, scale):
    base, provider, _ = world(seed=seed)
    expected, observed = np.exp(base), np.exp(np.roll(base, 1))
    one = indirect_standardisation(observed, expected, provider)
    other = indirect_standardisation(scale * observed, scale * expected, provider)
    np.testing.assert_allclose(other.ratio, one.ratio, rtol=1e-9)
    np.testing.assert_allclose(other.difference, scale * one.difference, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(other.mean, scale * one.mean, rtol=1e-9)


@many
@given(seed=SEEDS)
def test_calibrated_expectations_leave_no_mean_difference(seed):
    observed, provider, _ = world(seed=seed)
    expected = np.full(observed.size, observed.mean())
    result = indirect_standardisation(observed, expected, provider)
    assert (result.n * result.difference).sum() == pytest.approx(0, abs=1e-9)
    means = [observed[provider == one].mean() for one in range(5)]
    np.testing.assert_allclose(result.mean, means, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("expected", "withheld"),
    [
        ([0.0, 0.0, 0.4, 0.4], [True, False]),
        ([0.001, 0.0, 0.4, 0.4], [False, False]),
        ([-1.0, -2.0, 4.0, 4.0], [True, False]),
        ([-4.0, -4.0, 1.0, 2.0], [False, True]),
        ([-1.0, 1.1, 4.0, 4.0], [True, False]),
        ([-4.0, -4.0, -1.0, -1.0], [False, False]),
        ([-1.0, 1.0, -1.0, 1.0], [True, True]),
        ([4.0, 4.0, -4.0, -4.0], [True, True]),
        ([4.0, 4.0, -3.9, -3.9], [True, True]),
        ([0.0, 0.0, 0.0, 0.0], [True, True]),
    ],
)
def test_a_ratio_that_would_mislead_is_withheld(expected, withheld):
    result = indirect_standardisation(np.ones(40), expected * 10, list("aabb") * 10)
    assert result.ratio_withheld.tolist() == withheld
    assert np.isnan(result.ratio).tolist() == withheld
    assert np.isnan(result.rate).tolist() == withheld
    assert np.isfinite(result.mean).all()
    assert np.isfinite(result.difference).all()


def test_many_expected_values_of_both_signs_give_a_ratio_once_their_sum_is_clear():
    expected = np.tile([-1.0, 3.0], 50)
    provider = np.repeat(["a", "b"], 50)
    assert not indirect_standardisation(expected, expected, provider).ratio_withheld.any()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (([1, 2], [1.0], ["a", "b"]), "expected"),
        (([1], [1.0, 2.0], ["a", "b"]), "observed"),
        (([1, np.nan], [1.0, 2.0], ["a", "b"]), "observed"),
        (([1, 2], [1.0, 2.0], ["a", "b"], [1, 0]), "weights"),
        (([1, 2], [1.0, 2.0], ["a", "b"], None, np.inf), "overall"),
    ],
)
def test_indirect_standardisation_wants_numbers(arguments, says):
    with pytest.raises(ArrayError, match=says):
        indirect_standardisation(*arguments)


# --- direct standardisation ---


def double_sum(base, effects, weights=None):
    return np.array([np.average(special.expit(base + one), weights=weights) for one in effects])


POPULATIONS = {
    "normal": lambda rng, n: rng.normal(-2, 1.3, n),
    "heavy tails": lambda rng, n: np.clip(rng.standard_t(2, n), -60, 60),
    "skewed": lambda rng, n: rng.gamma(0.5, 4.0, n) - 5,
    "few values": lambda rng, n: rng.choice([-3.0, -2.99, 0.1, 2.5], n),
    "one value": lambda rng, n: np.full(n, 0.7),
    "edges of cells": lambda rng, n: np.floor(rng.normal(0, 1, n) * 64) / 64,
}


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("kind", POPULATIONS)
def test_compressed_means_differ_from_the_full_double_sum_by_rounding(kind, weighted):
    """Below 2.1e-11: the bound of 2e-11 and rounding."""
    rng = np.random.default_rng(3)
    base = POPULATIONS[kind](rng, 20_000)
    weights = rng.exponential(1, base.size) if weighted else None
    effects = np.concatenate([rng.normal(0, 1.5, 60), [-30, 30, 0, -np.inf, np.inf]])
    compressed = population_mean(base, effects, weights=weights)
    np.testing.assert_allclose(compressed, double_sum(base, effects, weights), atol=2.1e-11, rtol=0)


def test_a_small_population_is_summed_row_by_row():
    base, _, effect = world(n=120)
    np.testing.assert_allclose(
        population_mean(base, effect), double_sum(base, effect), rtol=1e-14, atol=0
    )


def test_a_population_of_any_width_is_possible():
    base = np.concatenate([np.zeros(500), [-1e12, 1e12, 1e200]])
    assert population_mean(base, 0.0) == pytest.approx((250 + 2) / 503, rel=1e-12)


@pytest.mark.parametrize("link", LINKS)
def test_each_provider_s_effect_is_applied_to_everybody(link):
    base, provider, effect = world(n=400)
    result = direct_standardisation(base, provider, effect, link=link)
    for one in range(5):
        mean = LINKS[link].inverse(base + effect[one]).mean()
        assert result.mean[one] == pytest.approx(mean, rel=1e-10)
    np.testing.assert_array_equal(result.n, np.bincount(provider))


def test_another_population_with_weights_may_be_the_reference():
    base, provider, effect = world()
    reference, weights = np.array([0.0, 1.0, 4.0]), np.array([2.0, 1.0, 0.0])
    result = direct_standardisation(
        base, provider, effect, link="log", population=reference, weights=weights
    )
    wanted = np.exp(effect) * (2 + np.exp(1.0)) / 3
    np.testing.assert_allclose(result.mean, wanted, rtol=1e-12)


def test_the_mean_under_the_log_link_does_not_overflow_before_it_must():
    assert population_mean([800.0, 800.0], -799.0, link="log") == pytest.approx(np.e)


@many
@given(seed=SEEDS, link=LINK)
def test_equal_effects_give_equal_results_directly_and_the_order_is_that_of_the_effects(seed, link):
    base, provider, effect = world(seed=seed)
    same = direct_standardisation(base, provider, 0.3, link=link).mean
    np.testing.assert_array_equal(same, same[0])
    means = direct_standardisation(base, provider, effect, link=link).mean
    np.testing.assert_array_equal(np.argsort(means), np.argsort(effect))


def test_indirect_ratios_of_providers_that_do_the_same_are_not_comparable():
    """Same effect, other patients: the ratios differ by half, the direct results do not."""
    base = np.concatenate([np.full(500, -3.0), np.full(500, 1.0)])
    provider = np.repeat(["easy", "hard"], 500)
    effect = {"easy": 0.7, "hard": 0.7}
    indirect = predicted_over_expected(base, provider, effect, 0.0)
    direct = direct_standardisation(base, provider, effect)
    assert indirect.ratio[0] / indirect.ratio[1] > 1.5
    assert direct.mean[0] == direct.mean[1]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (([], 0.0), "linear_predictor: wanted one per row"),
        (([[1.0]], 0.0), "linear_predictor: wanted one per row"),
        (([1.0, np.nan], 0.0), "linear_predictor"),
        (([1.0], np.nan), "effect"),
    ],
)
def test_a_population_is_rows_of_numbers(arguments, says):
    with pytest.raises(ArrayError, match=says):
        population_mean(*arguments)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"link": "log", "weights": [0.0, 0.0]}, "weights: wanted some above 0; got none"),
        ({"link": "log", "weights": [1.0, -1.0]}, "weights"),
        ({"link": "identity", "weights": [1.0]}, "weights"),
        ({"link": "cloglog"}, "link"),
    ],
)
def test_a_population_has_weights_and_a_link(options, says):
    with pytest.raises(ArrayError, match=says):
        population_mean([0.0, 1.0], 0.0, **options)


# --- overlap ---


def test_providers_with_the_same_mix_overlap_wholly():
    expected = np.tile(np.arange(100.0), 3)
    result = case_mix_overlap(expected, np.repeat(["a", "b", "c"], 100), central=1.0)
    np.testing.assert_allclose(result.overlap, 1)
    np.testing.assert_allclose(result.covered, 1)
    np.testing.assert_allclose(result.reached, 1)
    np.testing.assert_allclose(result.effective_share, 1)


def test_providers_with_nobody_in_common_share_what_is_their_own():
    expected = np.concatenate([np.arange(100.0), 1000 + np.arange(300.0)])
    result = case_mix_overlap(expected, np.repeat(["few", "many"], [100, 300]), groups=4, central=1)
    np.testing.assert_allclose(result.covered, [0.25, 0.75])
    np.testing.assert_allclose(result.overlap, [0.25, 0.75])
    np.testing.assert_allclose(result.reached, [0.25, 0.75])
    np.testing.assert_allclose(result.effective_share, 1)


def test_the_figures_are_those_by_hand():
    population = np.repeat([1.0, 2.0], [50, 50])
    result = case_mix_overlap(
        np.repeat([1.0, 2.0], [8, 2]), ["a"] * 10, population=population, groups=2, central=1.0
    )
    assert result.overlap[0] == pytest.approx(1 - (0.3 + 0.3) / 2)
    # Weights 0.5 / 0.8 for eight episodes and 0.5 / 0.2 for two.
    weights = np.repeat([0.625, 2.5], [8, 2])
    assert result.effective_share[0] == pytest.approx(weights.sum() ** 2 / (weights**2).sum() / 10)
    outside = case_mix_overlap(np.full(10, 2.0), ["a"] * 10, population=population, groups=2)
    assert outside.covered[0] == pytest.approx(0.5)
    assert outside.reached[0] == pytest.approx(0.5)
    assert outside.effective_share[0] == pytest.approx(1)


def test_the_central_range_leaves_out_the_ends():
    expected = np.arange(1001.0)
    population = np.concatenate([expected, np.full(1001, 5000.0)])
    result = case_mix_overlap(expected, np.zeros(1001), population=population, central=0.9)
    low, high = np.quantile(expected, [0.05, 0.95])
    assert result.covered[0] == pytest.approx(((population >= low) & (population <= high)).mean())


def test_a_provider_that_reaches_nobody_has_no_effective_size():
    result = case_mix_overlap([9.0], ["a"], population=np.arange(8.0), weights=[1.0] * 7 + [0.0])
    assert result.overlap[0] == pytest.approx(0)
    assert result.reached[0] == pytest.approx(0)
    assert np.isnan(result.effective_share[0])


@pytest.mark.parametrize("n", [1, 7, 30, 400])
def test_the_overlap_by_chance_is_that_of_random_samples(n):
    rng = np.random.default_rng(n)
    population = rng.normal(size=5000)
    samples = rng.choice(population, (2000, n))
    result = case_mix_overlap(samples.ravel(), np.repeat(np.arange(2000), n), population=population)
    assert result.overlap.mean() == pytest.approx(result.overlap_by_chance[0], abs=0.006)


@many
@given(seed=SEEDS)
def test_the_overlap_depends_on_the_order_of_risk_only(seed):
    base, provider, _ = world(seed=seed)
    one = case_mix_overlap(base, provider)
    other = case_mix_overlap(np.exp(base) + 3, provider)
    for name in ("overlap", "reached", "effective_share", "overlap_by_chance"):
        np.testing.assert_allclose(getattr(other, name), getattr(one, name), rtol=1e-9)


@many
@given(seed=SEEDS)
def test_weights_of_the_population_are_repeated_rows(seed):
    base, provider, _ = world(seed=seed)
    rng = np.random.default_rng(seed)
    reference, times = rng.normal(0.5, 1, 80), rng.integers(1, 4, 80)
    weighted = case_mix_overlap(base, provider, population=reference, weights=times)
    repeated = case_mix_overlap(base, provider, population=reference.repeat(times))
    for name in ("covered", "overlap", "reached", "effective_share", "overlap_by_chance"):
        np.testing.assert_allclose(getattr(weighted, name), getattr(repeated, name), rtol=1e-9)


@many
@given(seed=SEEDS, groups=st.integers(2, 15))
def test_shares_are_between_0_and_1(seed, groups):
    base, provider, _ = world(seed=seed)
    result = case_mix_overlap(np.round(base, 1), provider, groups=groups)
    for name in ("covered", "overlap", "overlap_by_chance", "reached", "effective_share"):
        values = getattr(result, name)
        assert (values >= 0).all(), name
        assert (values <= 1 + 1e-12).all(), name
    assert (result.overlap <= result.reached + 1e-12).all()


def test_episodes_and_their_weights_may_come_in_any_order():
    base, provider, _ = world()
    rng = np.random.default_rng(2)
    weights, rows = rng.exponential(1, base.size), rng.permutation(base.size)
    one = case_mix_overlap(base, provider, weights=weights)
    other = case_mix_overlap(base[rows], provider[rows], weights=weights[rows])
    np.testing.assert_allclose(other.covered, one.covered, rtol=1e-9)
    np.testing.assert_allclose(other.overlap, one.overlap, rtol=1e-9)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"central": 0.0}, "central"),
        ({"central": 1.1}, "central"),
        ({"groups": 1}, "groups"),
        ({"groups": 2.5}, "groups"),
        ({"population": []}, "population: wanted one per row"),
        ({"population": [1.0, np.nan]}, "population"),
        ({"weights": [1.0]}, "weights"),
    ],
)
def test_an_overlap_wants_groups_and_a_population(options, says):
    with pytest.raises(ArrayError, match=says):
        case_mix_overlap([1.0, 2.0], ["a", "b"], **options)


# --- the reference of effects ---

EFFECTS = [0.0, 1.0, 2.0, 10.0]


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({}, 1.5),
        ({"weights": [1, 1, 1, 97]}, 1.5),
        ({"reference": "mean"}, 3.25),
        ({"reference": "mean", "weights": [1, 1, 1, 97]}, 3.25),
        ({"reference": "volume_weighted", "weights": [2, 1, 1, 0]}, 0.75),
        ({"reference": 0.4}, 0.4),
    ],
)
def test_the_reference_is_one_number_for_all(options, wanted):
    assert reference_effect(EFFECTS, **options) == pytest.approx(wanted)


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({}, [0.0, 2.0, 2.0, 2.0]),
        ({"reference": "mean"}, [0.0, 13 / 3, 13 / 3, 13 / 3]),
        ({"reference": "volume_weighted", "weights": [5, 1, 1, 2]}, [0.0, 5.75, 5.75, 5.75]),
        ({"reference": -1}, [-1, -1, -1, -1]),
    ],
)
def test_peers_are_compared_with_their_own_group(options, wanted):
    result = reference_effect(EFFECTS, peer_group=["y", "x", "x", "x"], **options)
    np.testing.assert_allclose(result, wanted)


def test_an_infinite_effect_counts_in_the_median_and_not_in_a_mean():
    effects = [-np.inf, 0.0, 1.0, 2.0, 5.0]
    assert reference_effect(effects) == 1.0
    assert reference_effect(effects, reference="mean") == 2.0
    assert reference_effect(effects, [9, 1, 1, 1, 5], "volume_weighted") == pytest.approx(28 / 8)


@many
@given(seed=SEEDS, reference=st.sampled_from(["median", "mean", "volume_weighted"]))
def test_a_reference_moves_with_the_effects_and_not_with_their_order(seed, reference):
    rng = np.random.default_rng(seed)
    effects, volume, rows = rng.normal(size=9), rng.integers(1, 50, 9), rng.permutation(9)
    one = reference_effect(effects, volume, reference)
    moved = reference_effect(effects[rows] + 2, volume[rows], reference)
    assert moved == pytest.approx(one + 2)
    assert effects.min() <= one <= effects.max()


@pytest.mark.parametrize(
    ("effects", "options", "says"),
    [
        ([], {}, "effects: wanted one per provider"),
        (1.0, {}, "effects: wanted one per provider"),
        ([1.0, np.nan], {}, "effects"),
        ([-np.inf, -np.inf, 1.0], {}, "wanted a finite reference; got -inf"),
        ([-np.inf, np.inf], {}, "wanted a finite reference; got nan"),
        ([-np.inf, 1.0], {"reference": "mean", "peer_group": ["a", "b"]}, "finite reference"),
        ([1.0, 2.0], {"reference": "average"}, "reference: wanted one of median"),
        ([1.0, 2.0], {"reference": np.nan}, "reference"),
        ([1.0, 2.0], {"reference": "volume_weighted"}, "weights: wanted volumes"),
        ([1.0, 2.0], {"reference": "volume_weighted", "weights": [1]}, "weights"),
        ([1.0, 2.0], {"reference": "volume_weighted", "weights": [0, 0]}, "finite reference"),
        ([1.0, 2.0], {"peer_group": ["a"]}, "peer_group: wanted 2 labels"),
    ],
)
def test_effects_without_a_reference_are_refused(effects, options, says):
    with pytest.raises(ArrayError, match=says):
        reference_effect(effects, **options)
