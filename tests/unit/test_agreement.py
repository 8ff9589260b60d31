"""Agreement between halves, years and flaggings, against definitions and known truth."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr

from riskadj.errors import ArrayError
from riskadj.stats.agreement import (
    correlate_effects,
    flag_agreement,
    split_half,
    year_on_year,
)
from riskadj.stats.reliability import inter_unit_reliability


def _episodes(providers=60, low=5, high=40, tau=0.5, seed=1):
    rng = np.random.default_rng(seed)
    provider = np.repeat(np.arange(providers), rng.integers(low, high, providers))
    return rng.normal(0, tau, providers)[provider] + rng.normal(size=provider.size), provider


def test_halves_of_constant_providers_agree_fully():
    got = split_half([1.0, 1, 4, 4, 9, 9, 9], list("aabbccc"), seed=1, splits=3)
    assert got.correlation == pytest.approx(1)
    assert got.reliability == pytest.approx(1)
    assert got.weighted_correlation == pytest.approx(1)
    assert got.correlation_sd == pytest.approx(0, abs=1e-12)


def test_a_split_is_one_of_those_that_are_possible():
    """Two episodes by provider: every split is a choice of who comes first, by provider."""
    pairs = np.array([[0.0, 1.0], [5.0, 2.0], [7.0, 9.0]])
    flips = np.array(np.meshgrid([0, 1], [0, 1], [0, 1])).reshape(3, -1).T
    rows = np.arange(3)
    possible = [np.corrcoef(pairs[rows, one], pairs[rows, 1 - one])[0, 1] for one in flips]
    found = {
        round(split_half(pairs.ravel(), [1, 1, 2, 2, 3, 3], seed=seed, splits=1).correlation, 9)
        for seed in range(60)
    }
    assert found == {round(one, 9) for one in possible}


def test_splits_are_even_over_all_that_are_possible():
    values, provider = [0.0, 1.0, 5.0, 2.0, 7.0, 9.0], [1, 1, 2, 2, 3, 3]
    found = [
        round(split_half(values, provider, seed=seed, splits=1).correlation, 9)
        for seed in range(400)
    ]
    # Eight choices of who comes first; swapping all three is the same correlation.
    _, counts = np.unique(found, return_counts=True)
    assert len(counts) == 4
    assert (np.abs(counts - 100) < 4 * np.sqrt(400 * 0.25 * 0.75)).all()


def test_split_half_reliability_is_that_of_the_world():
    rng = np.random.default_rng(2)
    provider = np.repeat(np.arange(1_500), 40)
    values = rng.normal(0, 0.3, 1_500)[provider] + rng.normal(0, 1.5, provider.size)
    got = split_half(values, provider, seed=1, splits=20)
    assert got.correlation == pytest.approx(0.09 / (0.09 + 2.25 / 20), abs=0.03)
    assert got.reliability == pytest.approx(0.09 / (0.09 + 2.25 / 40), abs=0.03)
    assert got.reliability == pytest.approx(
        inter_unit_reliability(values, provider).value, abs=0.02
    )


def test_reliability_is_spearman_browns_of_the_correlation():
    got = split_half(*_episodes(), seed=3, splits=10)
    assert got.reliability == pytest.approx(2 * got.correlation / (1 + got.correlation))
    weighted = got.weighted_correlation
    assert got.weighted_reliability == pytest.approx(2 * weighted / (1 + weighted))


def test_the_standard_deviation_over_splits_is_that_of_single_splits():
    values, provider = _episodes()
    got = split_half(values, provider, seed=3, splits=200)
    single = [split_half(values, provider, seed=s, splits=1).correlation for s in range(200)]
    assert got.correlation_sd == pytest.approx(np.std(single), rel=0.25)
    assert got.correlation == pytest.approx(np.mean(single), abs=4 * np.std(single) / 10)


def test_with_equal_volumes_weighting_by_volume_changes_nothing():
    values, _ = _episodes(providers=20, low=10, high=11)
    got = split_half(values, np.repeat(np.arange(20), 10), seed=1, splits=5)
    assert got.weighted_correlation == pytest.approx(got.correlation)
    assert got.weighted_correlation_sd == pytest.approx(got.correlation_sd)


def test_large_providers_count_for_more_when_weighted_by_volume():
    """Ten large providers that agree among two hundred small ones that do not."""
    rng = np.random.default_rng(3)
    sizes = np.r_[np.full(10, 2_000), np.full(200, 4)]
    provider = np.repeat(np.arange(210), sizes)
    values = np.r_[np.linspace(-1, 1, 10), np.zeros(200)][provider] + rng.normal(size=sizes.sum())
    got = split_half(values, provider, seed=1, splits=10)
    assert got.weighted_correlation > 0.8
    assert got.correlation < 0.4


def test_small_providers_are_left_out_and_counted():
    values = [1.0, 2.0, 4.0, 5.0, 9.0, 8.0, 3.0, 7.0, 7.0, 7.0]
    provider = list("aabbccdeee")
    got = split_half(values, provider, seed=1)
    assert (got.n_providers, got.n_episodes) == (4, 9)
    assert (got.n_providers_left_out, got.n_episodes_left_out) == (1, 1)
    with_three = split_half(values[:-4] * 3, provider[:-4] * 3, seed=1, minimum_n=6)
    assert (with_three.n_providers, with_three.minimum_n) == (3, 6)


def test_leaving_out_is_the_same_as_never_having_had():
    values, provider = _episodes(low=1)
    size = np.bincount(provider)[provider]
    one = split_half(values, provider, seed=1, splits=5, minimum_n=8)
    other = split_half(values[size >= 8], provider[size >= 8], seed=1, splits=5, minimum_n=8)
    assert one.correlation == other.correlation
    assert one.n_providers_left_out > 0
    assert other.n_providers_left_out == 0


@settings(max_examples=25)
@given(st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter_to_split_halves(random):
    values, provider = _episodes(providers=8, high=12)
    values = values.round()
    weights = 1.0 + np.arange(values.size) % 3
    order = list(range(values.size))
    random.shuffle(order)
    for w, shuffled in ((None, None), (weights, weights[order])):
        one = split_half(values, provider, seed=1, splits=3, weights=w)
        other = split_half(values[order], provider[order], seed=1, splits=3, weights=shuffled)
        assert one == other


def test_labels_that_sort_alike_are_the_same_split():
    values, provider = _episodes()
    one = split_half(values, provider, seed=1, splits=5)
    assert one == split_half(values, 10.0 + provider, seed=1, splits=5)
    assert one == split_half(values, [f"{name:03}" for name in provider], seed=1, splits=5)


def test_other_labels_are_another_draw_of_the_same():
    values, provider = _episodes(providers=300)
    one = split_half(values, provider, seed=1, splits=50)
    other = split_half(values, -provider, seed=1, splits=50)
    assert one.correlation != other.correlation
    error = one.correlation_sd / np.sqrt(25)
    assert one.correlation == pytest.approx(other.correlation, abs=4 * error)


def test_unit_and_origin_do_not_matter_to_split_halves():
    values, provider = _episodes()
    one = split_half(values, provider, seed=1, splits=5)
    other = split_half(8 * values + 3, provider, seed=1, splits=5)
    assert other.correlation == pytest.approx(one.correlation)


def test_equal_weights_change_nothing():
    values, provider = _episodes()
    one = split_half(values, provider, seed=1, splits=5)
    other = split_half(values, provider, seed=1, splits=5, weights=np.full(values.size, 4.0))
    assert other.correlation == pytest.approx(one.correlation)


def test_an_episode_without_weight_to_speak_of_does_not_count():
    """Wild values with next to no weight leave the agreement of the others."""
    values = np.array([1.0, 1, 1, 1, 4, 4, 4, 4, 9, 9, 9, 9, 1e3, -1e3, 1e3])
    provider = list("aaaabbbbccccabc")
    weights = np.r_[np.ones(12), np.full(3, 1e-9)]
    plain = split_half(values, provider, seed=1, splits=10)
    weighted = split_half(values, provider, seed=1, splits=10, weights=weights)
    assert plain.correlation < 0.9
    assert weighted.correlation == pytest.approx(1)


def test_the_same_seed_is_the_same_split_and_another_is_not():
    one, same, other = (split_half(*_episodes(), seed=seed, splits=5) for seed in (1, 1, 2))
    assert one == same
    assert one.correlation != other.correlation


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"values": [1.0, 2, 3, 4, 5, np.nan]}, "values"),
        ({"values": [1.0, 2]}, "values: wanted shape"),
        ({"provider": list("aabbbb")}, "provider: wanted 3 or more with 2 or more"),
        ({"provider": [1, 1, 2, 2, 3, None]}, "provider: wanted a label"),
        ({"minimum_n": 3}, "with 3 or more episodes; got 0"),
        ({"minimum_n": 1}, "minimum_n"),
        ({"splits": 0}, "splits"),
        ({"seed": None}, "seed"),
        ({"weights": [1.0, 1, 1, 1, 1, 0]}, "weights: wanted numbers above 0"),
        ({"weights": [1.0]}, "weights: wanted shape"),
        ({"values": [0.1] * 6}, "provider means differ"),
        ({"values": [1.0, 3, 1, 3, 3, 1], "splits": 50}, "provider means differ"),
    ],
)
def test_what_cannot_be_split_is_refused(change, says):
    fine = {"values": [1.0, 2, 3, 5, 5, 9], "provider": list("aabbcc"), "seed": 1}
    with pytest.raises(ArrayError, match=says):
        split_half(**(fine | change))


def test_correlations_are_those_of_numpy_and_scipy():
    rng = np.random.default_rng(1)
    a = rng.integers(0, 9, 30).astype(float)
    b = a + rng.integers(0, 9, 30)
    got = correlate_effects(a, b)
    assert got.pearson == pytest.approx(np.corrcoef(a, b)[0, 1])
    assert got.spearman == pytest.approx(spearmanr(a, b).statistic)
    assert np.isnan([got.corrected, got.first_reliability, got.second_reliability]).all()


def test_the_correction_finds_the_correlation_of_the_truth():
    rng = np.random.default_rng(4)
    n = 200_000
    true = rng.multivariate_normal([0, 0], [[1, 0.6], [0.6, 1]], n).T
    error = np.array([rng.uniform(0.5, 1.5, n), rng.uniform(1.0, 2.0, n)])
    got = correlate_effects(*rng.normal(true, error), *error)
    assert got.pearson < 0.4
    assert got.corrected == pytest.approx(0.6, abs=0.02)
    assert got.first_reliability == pytest.approx(1 / (1 + (error[0] ** 2).mean()), abs=0.02)


def test_the_correction_is_what_is_worked_by_hand():
    """Variances of 1 and 4, squared errors of 0.25 and 1 on average."""
    got = correlate_effects([1.0, 2, 3], [2.0, 6, 4], [0.5] * 3, [0.5, 1.0, np.sqrt(1.75)])
    assert (got.first_reliability, got.second_reliability) == pytest.approx((0.75, 0.75))
    assert (got.pearson, got.corrected) == pytest.approx((0.5, 0.5 / 0.75))


def test_effects_without_error_need_no_correction():
    got = correlate_effects([1.0, 2, 4], [1.0, 3, 2], np.zeros(3), np.zeros(3))
    assert got.corrected == got.pearson
    assert got.first_reliability == 1


@pytest.mark.parametrize(
    ("a", "b"), [([1.0, 2.0], [1.0, 2.0]), ([0.1] * 5, [1.0, 2, 3, 4, 5]), ([3.0], [2.0])]
)
def test_what_has_no_correlation_is_nan(a, b):
    got = correlate_effects(a, b, np.ones(len(a)), np.ones(len(a)))
    assert np.isnan([got.pearson, got.spearman, got.corrected, got.first_reliability]).all()


def test_the_correction_is_nan_where_effects_differ_less_than_their_errors():
    got = correlate_effects([1.0, 2, 3], [1.0, 2, 3], [5.0] * 3, [0.1] * 3)
    assert got.pearson == pytest.approx(1)
    assert got.first_reliability < 0
    assert np.isnan(got.corrected)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (([], []), "first"),
        (([1.0, 2], [1.0]), "second: wanted shape"),
        (([1.0, 2, 3], [1.0, 2, np.inf]), "second"),
        (([1.0, 2, 3], [1.0, 2, 4], [1.0] * 3), "both or neither"),
        (([1.0, 2, 3], [1.0, 2, 4], [-1.0] * 3, [1.0] * 3), "first_error"),
        (([1.0, 2, 3], [1.0, 2, 4], [1.0] * 3, [1.0]), "second_error: wanted shape"),
    ],
)
def test_what_cannot_be_correlated_is_refused(arguments, says):
    with pytest.raises(ArrayError, match=says):
        correlate_effects(*arguments)


def _years(seed=6, providers=40, years=3):
    rng = np.random.default_rng(seed)
    provider = rng.integers(0, providers, providers * years * 30)
    period = rng.integers(2016, 2016 + years, provider.size)
    drift = rng.normal(0, 0.3, (providers, years)) + rng.normal(0, 0.5, providers)[:, None]
    values = drift[provider, period - 2016] + rng.normal(size=provider.size)
    return values, provider, period


def test_years_are_correlated_by_the_means_of_providers_with_enough_in_both():
    values, provider, period = _years()
    got = year_on_year(values, provider, period, minimum_n=28)
    assert got.first.tolist() == [2016, 2017]
    assert got.second.tolist() == [2017, 2018]
    for at in range(2):
        means, errors = [], []
        sizes = [
            np.bincount(provider[period == year], minlength=40) for year in (2016 + at, 2017 + at)
        ]
        kept = np.flatnonzero((sizes[0] >= 28) & (sizes[1] >= 28))
        for year in (2016 + at, 2017 + at):
            cells = [values[(period == year) & (provider == one)] for one in kept]
            pooled = sum(cell.var() * cell.size for cell in cells) / sum(
                cell.size - 1 for cell in cells
            )
            means.append([cell.mean() for cell in cells])
            errors.append([np.sqrt(pooled / cell.size) for cell in cells])
        expected = correlate_effects(*means, *errors)
        assert 5 < kept.size < 40
        assert got.n_providers[at] == kept.size
        assert got.pearson[at] == pytest.approx(expected.pearson)
        assert got.spearman[at] == pytest.approx(expected.spearman)
        assert got.corrected[at] == pytest.approx(expected.corrected)


def test_the_corrected_correlation_of_years_is_that_of_the_world():
    """True effects of variance 0.25 that last and 0.09 that do not."""
    got = year_on_year(*_years(providers=3_000, years=2))
    assert got.corrected[0] == pytest.approx(0.25 / 0.34, abs=0.04)
    assert got.pearson[0] < got.corrected[0] - 0.03


@settings(max_examples=20)
@given(st.randoms(use_true_random=False))
def test_neither_labels_nor_order_of_rows_matter_to_years(random):
    values, provider, period = _years(providers=10)
    names = np.array([f"p{one}" for one in range(10)])
    random.shuffle(names)
    order = list(range(values.size))
    random.shuffle(order)
    one = year_on_year(values, provider, period)
    other = year_on_year(values[order], names[provider][order], period[order])
    np.testing.assert_array_equal(one.n_providers, other.n_providers)
    for field in ("pearson", "spearman", "corrected"):
        np.testing.assert_allclose(getattr(one, field), getattr(other, field), rtol=1e-9)


def test_a_pair_of_years_with_too_few_in_both_is_nan():
    values, provider, period = _years(providers=10)
    gone = (period == 2018) & (provider > 1)
    got = year_on_year(values[~gone], provider[~gone], period[~gone], minimum_n=5)
    assert got.n_providers.tolist() == [10, 2]
    assert np.isfinite(got.pearson[0])
    assert np.isnan([got.pearson[1], got.spearman[1], got.corrected[1]]).all()


def test_a_pair_of_years_with_nobody_in_both_is_nan():
    got = year_on_year(np.arange(8.0), list("aabbccdd"), [1, 1, 1, 1, 2, 2, 2, 2], minimum_n=2)
    assert got.n_providers.tolist() == [0]
    assert np.isnan(got.pearson).all()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"period": [1, 1, 1, 1]}, "period: wanted two or more"),
        ({"period": [1, 1, 2]}, "period: wanted 4 labels; got 3"),
        ({"period": [1, 1, 2, None]}, "period: wanted a label"),
        ({"provider": [1, 1, None, 2]}, "provider: wanted a label"),
        ({"values": [1.0, 2.0, 3.0, np.nan]}, "values"),
        ({"minimum_n": 1}, "minimum_n"),
    ],
)
def test_what_cannot_be_compared_by_year_is_refused(change, says):
    fine = {"values": [1.0, 2, 3, 4], "provider": [1, 2, 1, 2], "period": [1, 1, 2, 2]}
    with pytest.raises(ArrayError, match=says):
        year_on_year(**(fine | change))


def test_kappa_is_what_is_worked_by_hand():
    """Fifty providers: 20 and 15 equal, 5 and 10 not; 0.70 equal, 0.50 by chance."""
    first = ["yes"] * 25 + ["no"] * 25
    second = ["yes"] * 20 + ["no"] * 5 + ["yes"] * 10 + ["no"] * 15
    got = flag_agreement(first, second)
    assert got.flags.tolist() == ["no", "yes"]
    assert got.table.tolist() == [[15, 10], [5, 20]]
    assert (got.share_equal, got.n_providers) == (0.7, 50)
    assert got.kappa == pytest.approx(0.4)


def test_kappa_of_chance_is_0_and_of_full_agreement_1():
    one, other = np.repeat([0, 1], 4), np.tile([0, 1], 4)
    assert flag_agreement(one, other).kappa == 0
    assert flag_agreement(one, one).kappa == 1
    assert flag_agreement(one, 1 - one).kappa == -1


def test_kappa_is_nan_when_everybody_has_one_flag():
    got = flag_agreement(["in"] * 4, ["in"] * 4)
    assert got.share_equal == 1
    assert np.isnan(got.kappa)


def test_a_flag_that_only_one_gave_has_its_row_and_column():
    got = flag_agreement(["a", "a", "c"], ["a", "b", "b"])
    assert got.flags.tolist() == ["a", "b", "c"]
    assert got.table.tolist() == [[1, 1, 0], [0, 0, 0], [0, 1, 0]]


FLAGS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=40)


@given(FLAGS, st.randoms(use_true_random=False))
def test_agreement_is_the_same_either_way_in_any_order_under_any_names(pairs, random):
    one = flag_agreement(*np.array(pairs).T)
    random.shuffle(pairs)
    named = [["dbca"[flag] for flag in flags] for flags in np.array(pairs).T]
    other = flag_agreement(named[1], named[0])
    assert other.share_equal == one.share_equal
    np.testing.assert_allclose(other.kappa, one.kappa)
    assert other.table.sum() == one.table.sum() == len(pairs)
    assert one.kappa <= 1 or np.isnan(one.kappa)


@pytest.mark.parametrize(
    ("first", "second", "says"),
    [
        ([], [], "flag"),
        (["a"], ["a", "b"], "one flag per flag"),
        ("a", "a", "one flag per flag"),
        (["a", None], ["a", "b"], "flag: wanted a label"),
        ([1.0, np.nan], [1.0, 2.0], "flag: wanted a label"),
    ],
)
def test_what_are_no_flags_is_refused(first, second, says):
    with pytest.raises(ArrayError, match=says):
        flag_agreement(first, second)
