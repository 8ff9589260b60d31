"""When fixed, random and correlated effects each win, and that their intervals cover."""

from itertools import product

import numpy as np
import pytest

from recovery.comparisons import (
    BESIDE,
    CONFOUNDING,
    CORRELATED,
    FAMILIES,
    FIRTH,
    FIXED,
    METHODS,
    RANDOM,
    compare,
    recipe_of,
)

LOWEST, HIGHEST = 0.935, 0.965
OF_FIXED = [("gaussian", FIXED), ("binomial", FIXED), ("binomial", FIRTH)]
OF_RANDOM = [(family, RANDOM) for family in FAMILIES]
OF_CORRELATED = [(family, CORRELATED) for family in FAMILIES]
WITHIN_PROVIDERS = [*OF_FIXED, *OF_CORRELATED]
each_family = pytest.mark.parametrize("family", FAMILIES)


def size_of_coef(family):
    return np.mean(recipe_of(family, 0.0).coef)


def test_a_few_worlds_already_tell_random_from_fixed_effects():
    free, confounded = compare("gaussian", 0.0, 20), compare("gaussian", CONFOUNDING, 20)
    assert free[RANDOM].effect_rmse < free[FIXED].effect_rmse
    assert confounded[RANDOM].bias > 5 * abs(confounded[CORRELATED].bias)
    assert confounded[FIXED].bias == pytest.approx(confounded[CORRELATED].bias)


@pytest.mark.slow
@pytest.mark.parametrize(("family", "method"), [*WITHIN_PROVIDERS, *OF_RANDOM])
def test_intervals_of_coefficients_cover(family, method):
    assert LOWEST <= compare(family)[method].coverage <= HIGHEST


@pytest.mark.slow
@pytest.mark.parametrize(("family", "method"), WITHIN_PROVIDERS)
def test_intervals_of_coefficients_cover_under_confounding(family, method):
    assert LOWEST <= compare(family, CONFOUNDING)[method].coverage <= HIGHEST


@pytest.mark.slow
@each_family
def test_under_confounding_random_intercepts_cover_too_seldom(family):
    assert compare(family, CONFOUNDING)[RANDOM].coverage < LOWEST


@pytest.mark.slow
@pytest.mark.parametrize("confounding", [0.0, CONFOUNDING])
@pytest.mark.parametrize(("family", "method"), [OF_FIXED[0], OF_FIXED[2], *OF_CORRELATED])
def test_coefficients_within_providers_are_unbiased(family, method, confounding):
    line = compare(family, confounding)[method]
    assert abs(line.bias) < 4 * line.bias_error


@pytest.mark.slow
@pytest.mark.parametrize("confounding", [0.0, CONFOUNDING])
def test_logistic_fixed_effects_exaggerate_by_little_and_firth_by_nothing(confounding):
    lines = compare("binomial", confounding)
    assert 0 < lines[FIXED].bias < 0.05 * size_of_coef("binomial")
    assert abs(lines[FIRTH].bias) < lines[FIXED].bias / 2


@pytest.mark.slow
@each_family
def test_without_confounding_random_intercepts_are_unbiased(family):
    line = compare(family)[RANDOM]
    assert abs(line.bias) < 4 * line.bias_error


@pytest.mark.slow
@each_family
def test_under_confounding_random_intercepts_are_biased(family):
    line = compare(family, CONFOUNDING)[RANDOM]
    assert line.bias > 6 * line.bias_error


@pytest.mark.slow
@pytest.mark.parametrize("confounding", [0.0, CONFOUNDING])
@pytest.mark.parametrize(("family", "method"), OF_FIXED)
def test_intervals_of_fixed_effects_cover(family, method, confounding):
    assert LOWEST <= compare(family, confounding)[method].effect_coverage <= HIGHEST


@pytest.mark.slow
@pytest.mark.parametrize(("family", "method"), OF_FIXED)
def test_without_confounding_random_beats_fixed_for_small_providers(family, method):
    lines = compare(family)
    assert lines[RANDOM].effect_rmse < 0.9 * lines[method].effect_rmse
    assert lines[RANDOM].rank_correlation >= lines[method].rank_correlation - 0.005


@pytest.mark.slow
@pytest.mark.parametrize(("family", "method"), OF_FIXED)
def test_the_price_is_a_small_provider_closer_to_the_average_than_it_is(family, method):
    lines = compare(family)
    assert lines[RANDOM].effect_bias < -0.05
    assert abs(lines[method].effect_bias) < 0.03


@pytest.mark.slow
@each_family
def test_under_confounding_correlated_effects_know_providers_best(family):
    lines = compare(family, CONFOUNDING)
    others = [one for name, one in lines.items() if name not in (CORRELATED, BESIDE)]
    assert all(lines[CORRELATED].effect_rmse < one.effect_rmse for one in others)
    assert all(lines[CORRELATED].rank_correlation > one.rank_correlation for one in others)


@pytest.mark.slow
@each_family
def test_effects_beside_case_mix_lose_the_quality_that_goes_with_it(family):
    lines = compare(family, CONFOUNDING)
    assert lines[BESIDE].rank_correlation < lines[CORRELATED].rank_correlation - 0.1
    assert lines[BESIDE].effect_rmse > 1.1 * lines[CORRELATED].effect_rmse


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "confounding"),
    list(product(FAMILIES, [0.0, CONFOUNDING])),
)
def test_every_world_has_a_fit(family, confounding):
    lines = compare(family, confounding)
    assert set(lines) == {name for _, names in METHODS[family] for name in names}
    assert sum(line.failed for line in lines.values()) == 0
