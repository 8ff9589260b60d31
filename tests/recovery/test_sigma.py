"""The standard deviation between providers comes back, or by how much it does not."""

import pytest

from recovery.spreading import recover_sigma

SIZES = [5, 10, 20, 50]


def test_a_few_worlds_already_tell_reml_from_ml():
    reml = recover_sigma("gaussian", 10, "reml", 12, 20)
    assert recover_sigma("gaussian", 10, "ml", 12, 20).variance < reml.variance


@pytest.mark.slow
@pytest.mark.parametrize("providers", [12, 40])
def test_reml_recovers_the_variance(providers):
    found = recover_sigma("gaussian", 10, "reml", providers, 1_000)
    assert abs(found.variance - 1) < 3 * found.error


@pytest.mark.slow
@pytest.mark.parametrize("providers", [12, 40])
def test_ml_stays_below_by_about_one_in_the_number_of_providers(providers):
    found = recover_sigma("gaussian", 10, "ml", providers, 1_000)
    reml = recover_sigma("gaussian", 10, "reml", providers, 1_000)
    assert 0.5 / providers < reml.variance - found.variance < 2 / providers


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
def test_laplace_stays_below_with_logistic_outcomes(size):
    assert 0.7 < recover_sigma("binomial", size).sigma < 1


@pytest.mark.slow
def test_laplace_comes_closer_as_providers_grow():
    found = [recover_sigma("binomial", size).sigma for size in SIZES]
    assert found == sorted(found)
    assert found[-1] > 0.95


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
def test_laplace_all_but_recovers_sigma_of_gamma_outcomes(size):
    assert 0.93 < recover_sigma("gamma", size, replicates=200).sigma < 1.01
