"""The response model: coefficients found again, and finite where answers are told without error."""

import numpy as np
import pytest

from riskadj.errors import ArrayError
from riskadj.stats import fit_random_intercept
from riskadj.stats.response import fit_response
from riskadj.stats.response_weights import response_weights

KINDS = ("random", "fixed", "none")


each_kind = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture(scope="module")
def world():
    """Return answered, covariates, provider and the true log-odds."""
    rng = np.random.default_rng(20250710)
    provider = rng.integers(0, 20, 4_000)
    X = np.column_stack((rng.normal(50, 10, 4_000), rng.random(4_000) < 0.3))
    own = rng.normal(0, 0.7, 20)
    odds = 0.2 + 0.05 * (X[:, 0] - 50) - 0.6 * X[:, 1] + own[provider]
    return rng.random(4_000) < 1 / (1 + np.exp(-odds)), X, provider, odds


@each_kind
def test_the_model_finds_the_coefficients_it_was_drawn_from(world, kind):
    answered, X, provider, _ = world
    model = fit_response(answered, X, provider, kind)
    # Without provider effects log-odds are those of the average patient, nearer to 0.
    shrunk = 0.9 if kind == "none" else 1.0
    np.testing.assert_allclose(model.coef / shrunk, [0.05, -0.6], rtol=0.25)
    assert model.converged


@each_kind
def test_fitted_probabilities_are_those_of_the_coefficients(world, kind):
    answered, X, provider, _ = world
    model = fit_response(answered, X, provider, kind)
    odds = model.intercept + model.effects[provider] + X @ model.coef
    np.testing.assert_allclose(model.probability, 1 / (1 + np.exp(-odds)), rtol=1e-9)


def test_with_random_effects_it_is_the_logistic_model_of_the_package(world):
    answered, X, provider, _ = world
    model = fit_response(answered, X, provider)
    fit = fit_random_intercept(answered.astype(float), X, provider, "binomial")
    np.testing.assert_allclose(model.coef, fit.coef, rtol=1e-5)
    np.testing.assert_allclose(model.effects, fit.effects, atol=1e-5)
    assert model.intercept == pytest.approx(fit.intercept, abs=1e-5)
    assert model.sigma == pytest.approx(fit.sigma, rel=1e-5)


@each_kind
def test_covariates_that_say_nothing_new_change_nothing(world, kind):
    answered, X, provider, _ = world
    ticked = X[:, 1]
    more = np.column_stack((X, 1 - ticked, np.full(len(X), 7.3), 3 * X[:, 0] - ticked + 1e4))
    plain, padded = (fit_response(answered, one, provider, kind) for one in (X, more))
    np.testing.assert_allclose(padded.probability, plain.probability, atol=1e-7)


def test_fixed_effects_ignore_what_is_the_same_within_providers(world):
    answered, X, provider, _ = world
    with_level = np.column_stack((X, provider % 3))
    plain, padded = (fit_response(answered, one, provider, "fixed") for one in (X, with_level))
    np.testing.assert_allclose(padded.probability, plain.probability, atol=1e-7)
    assert padded.coef[2] == 0


@each_kind
def test_providers_can_be_called_anything(world, kind):
    answered, X, provider, _ = world
    names = np.array([f"p{19 - one:02d}" for one in range(20)])[provider]
    plain, named = (fit_response(answered, X, one, kind) for one in (provider, names))
    np.testing.assert_allclose(named.probability, plain.probability, atol=1e-7)


@pytest.mark.parametrize("kind", ["fixed", "none"])
def test_a_covariate_that_tells_answers_from_silence_has_a_finite_coefficient(kind):
    rng = np.random.default_rng(1)
    provider = np.tile(np.arange(4), 25)
    x = rng.standard_normal(100)
    model = fit_response(x > 0, x, provider, kind)
    assert model.converged
    assert 1 < model.coef[0] < 1_000
    assert np.mean((model.probability > 0.5) == (x > 0)) > 0.95


@pytest.mark.parametrize("kind", ["random", "fixed"])
def test_providers_that_all_or_nobody_answered_have_finite_effects(kind):
    rng = np.random.default_rng(2)
    provider = np.repeat(np.arange(5), 40)
    answered = rng.random(200) < 0.5
    answered[provider == 0], answered[provider == 4] = True, False
    model = fit_response(answered, rng.standard_normal(200), provider, kind)
    assert np.isfinite(model.effects).all()
    assert model.effects[0] > model.effects[1:4].max()
    assert model.effects[4] < model.effects[1:4].min()


@each_kind
def test_when_everybody_answered_there_is_nothing_to_model(kind):
    model = fit_response(np.ones(6), np.arange(6.0), list("aabbcc"), kind)
    assert (model.probability == 1).all()
    assert model.providers.tolist() == ["a", "b", "c"]
    assert model.effects.tolist() == [0, 0, 0]
    assert (model.coef.tolist(), model.sigma, model.provider_effect) == ([0], 0, kind)
    assert (model.intercept, model.converged) == (np.inf, True)
    found = response_weights(np.ones(6), model.probability, list("aabbcc"))
    assert (found.weight == 1).all()
    assert found.effective.tolist() == [2, 2, 2]


@pytest.mark.parametrize(
    ("answered", "X", "kind", "said"),
    [
        ([0, 0, 0, 0], np.zeros((4, 1)), "none", "wanted somebody who did"),
        ([0, 1, 2, 0], np.zeros((4, 1)), "none", "answered: wanted 0 or 1"),
        ([0, 1, 0], np.zeros((4, 1)), "none", "answered: wanted shape"),
        ([0, 1, 0, 1], np.zeros((3, 1)), "none", "X: wanted 4 rows"),
        ([0, 1, 0, 1], np.full((4, 1), np.nan), "none", "X: wanted finite numbers"),
        ([0, 1, 0, 1], np.zeros((4, 1)), "ridge", "provider_effect: wanted one of"),
    ],
)
def test_what_no_model_can_be_fitted_to_is_refused(answered, X, kind, said):
    with pytest.raises(ArrayError, match=said):
        fit_response(answered, X, list("aabb"), kind)


def test_where_covariates_tell_who_answered_the_model_is_one_of_fixed_effects() -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(300, 12))
    silent = np.argsort(x[:, 0])[:6]
    answered = np.ones(300)
    answered[silent] = 0.0
    model = fit_response(answered, x, np.arange(300) % 6)
    assert model.provider_effect == "fixed"
    assert np.isfinite(model.coef).all()
    assert model.probability[silent].max() < np.median(model.probability)
