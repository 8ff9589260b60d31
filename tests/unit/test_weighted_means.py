"""Weighted means of providers: their errors are the spread of many samples."""

import numpy as np
import pytest

from riskadj.errors import ArrayError
from riskadj.stats.weighted_means import weighted_means


def test_equal_weights_give_the_mean_and_its_usual_error():
    rng = np.random.default_rng(3)
    residual, provider = rng.standard_normal(60), np.repeat(list("abc"), 20)
    found = weighted_means(residual, np.full(60, 0.3), provider)
    rows = residual.reshape(3, 20)
    np.testing.assert_allclose(found.mean, rows.mean(axis=1))
    np.testing.assert_allclose(found.error, rows.std(axis=1, ddof=1) / np.sqrt(20))
    pooled = np.sqrt(rows.var(axis=1, ddof=1).mean())
    np.testing.assert_allclose(found.pooled_error, pooled / np.sqrt(20))
    np.testing.assert_allclose(found.effective, 20)
    assert found.centre == pytest.approx(residual.mean())


def test_errors_are_the_spread_of_means_in_many_samples():
    """Weights that go with the spread of residuals, where Kish's number alone would mislead."""
    rng = np.random.default_rng(4)
    providers, n = 4_000, 40
    x = rng.random((providers, n)) < 0.5
    weight = np.where(x, 3.0, 1.0)
    residual = rng.standard_normal((providers, n)) * np.where(x, 2.0, 0.5)
    found = weighted_means(residual.ravel(), weight.ravel(), np.repeat(np.arange(providers), n))
    true = float(np.mean(found.mean**2))
    assert np.mean(found.error**2) == pytest.approx(true, rel=0.05)
    assert np.mean(found.pooled_error**2) == pytest.approx(true, rel=0.05)
    unweighted = residual.std() ** 2 / found.effective.mean()
    assert abs(unweighted / true - 1) > 0.2


def test_the_pooled_spread_is_that_of_episodes_even_in_small_providers():
    rng = np.random.default_rng(5)
    residual, provider = rng.normal(0, 7, 12_000), np.repeat(np.arange(4_000), 3)
    weight = rng.uniform(0.5, 3.0, 12_000)
    assert weighted_means(residual, weight, provider).sd == pytest.approx(7, rel=0.03)


def test_a_provider_without_answers_has_no_mean_and_one_answer_no_error_of_its_own():
    nan = float("nan")
    found = weighted_means([1.0, 3.0, 5.0, nan, nan], [1, 1, 1, 0, 0], list("aabbc"))
    np.testing.assert_array_equal(found.mean, [2.0, 5.0, nan])
    np.testing.assert_array_equal(np.isnan(found.error), [False, True, True])
    np.testing.assert_array_equal(np.isnan(found.pooled_error), [False, False, True])
    assert found.n.tolist() == [2, 1, 0]
    assert found.centre == pytest.approx(3.5)


@pytest.mark.parametrize(
    ("residual", "weight", "said"),
    [
        ([1.0, np.nan, 2.0], [1, 1, 1], "residual of responders: wanted finite"),
        ([1.0, 2.0], [1, 1, 1], "residual: wanted shape"),
        ([1.0, 2.0, 3.0], [0, 0, 0], "weight: wanted some above 0"),
        ([1.0, 2.0, 3.0], [1, 0, 1], "two or more responders"),
    ],
)
def test_what_has_no_weighted_mean_is_refused(residual, weight, said):
    with pytest.raises(ArrayError, match=said):
        weighted_means(residual, weight, list("aab"))
