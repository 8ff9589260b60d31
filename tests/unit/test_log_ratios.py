"""Providers by the log of observed over expected: effects, errors, fixed and random."""

import numpy as np
import pytest
from sklearn.linear_model import GammaRegressor

from riskadj.errors import ArrayError, NoVariationError
from riskadj.stats.log_ratios import (
    drawn_ratios,
    log_levels,
    log_ratios,
    relative_residuals,
    shrunken_ratios,
)


def costs(
    n: int = 4000, providers: int = 40, seed: int = 0, spread: float = 0.5, sd: float = 0.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return observed, expected and provider of episodes, and true effects of providers."""
    rng = np.random.default_rng(seed)
    provider = rng.integers(providers, size=n)
    effect = sd * rng.normal(size=providers)
    expected = np.exp(rng.normal(9, 0.4, n))
    observed = expected * np.exp(effect[provider]) * rng.gamma(1 / spread, spread, n)
    return observed, expected, provider, effect


def test_effects_are_logs_of_sums_and_errors_are_quasi_likelihood() -> None:
    observed, expected, provider, _ = costs(300, 3)
    found = log_ratios(observed, expected, provider)
    factor = observed.sum() / expected.sum()
    relative = observed / (expected * factor) - 1
    for place in range(3):
        mine = provider == place
        ratio = observed[mine].sum() / (expected[mine].sum() * factor)
        assert found.effect[place] == pytest.approx(np.log(ratio))
        error = np.sqrt(np.mean(relative**2) * np.sum(expected[mine] ** 2)) / expected[mine].sum()
        assert found.error[place] == pytest.approx(error)
    assert relative_residuals(observed, expected) == pytest.approx(relative)


def test_errors_are_as_large_as_effects_vary_by_chance() -> None:
    z = []
    for seed in range(40):
        observed, expected, provider, _ = costs(seed=seed)
        found = log_ratios(observed, expected, provider)
        z.append(found.effect / found.error)
    assert np.std(z) == pytest.approx(1, abs=0.05)
    assert np.mean(np.abs(z) > 1.96) == pytest.approx(0.05, abs=0.015)


def test_a_known_spread_takes_the_place_of_the_estimate() -> None:
    observed, expected, provider, _ = costs(300, 3)
    own = log_ratios(observed, expected, provider)
    known = log_ratios(observed, expected, provider, phi=4 * own.phi)
    assert known.error == pytest.approx(2 * own.error)


def test_a_provider_that_cost_nothing_is_cheap_and_finite() -> None:
    observed, expected = np.array([0.0, 0.0, 4.0, 5.0]), np.array([2.0, 2.0, 2.0, 3.0])
    found = log_ratios(observed, expected, ["a", "a", "b", "b"])
    mean = observed.sum() / 4
    assert found.effect[0] == pytest.approx(np.log(mean / 2 / (4.0 + mean / 2)))
    assert np.isfinite(log_levels(observed, expected, ["a", "a", "b", "b"]).effect).all()


def test_fixed_effects_are_those_of_a_gamma_model_with_a_constant_per_provider() -> None:
    observed, expected, provider, _ = costs(2000, 5, sd=0.2)
    logs = np.log(expected)
    design = np.column_stack([*(provider == one for one in range(1, 5)), logs])
    model = GammaRegressor(alpha=0, tol=1e-10, max_iter=10_000, solver="newton-cholesky")
    model.fit(design, observed / observed.mean())
    found = log_levels(observed, expected, provider)
    apart = found.effect - found.effect[0]
    assert apart[1:] == pytest.approx(model.coef_[:4], abs=1e-6)
    assert found.n @ found.effect == pytest.approx(0, abs=1e-8)


def test_fixed_effects_leave_out_what_expectations_get_wrong_across_providers() -> None:
    observed, expected, provider, effect = costs(20_000, 10, spread=0.1, sd=0.2)
    found = log_levels(observed, np.exp(0.5 * np.log(expected)), provider)
    assert np.corrcoef(found.effect, effect)[0, 1] > 0.99


def test_random_effects_are_drawn_to_the_middle_and_cover_the_truth() -> None:
    inside = []
    for seed in range(20):
        observed, expected, provider, effect = costs(seed=seed, sd=0.15)
        raw = log_ratios(observed, expected, provider)
        drawn, sd = shrunken_ratios(raw.effect, raw.error)
        assert np.var(drawn) < np.var(raw.effect)
        centred = effect - np.log(observed.sum() / expected.sum())
        inside.append(np.abs(drawn - centred) < 1.96 * sd)
    assert np.mean(inside) == pytest.approx(0.95, abs=0.03)


def test_with_a_covariate_effects_are_drawn_to_its_line() -> None:
    x = np.linspace(-1, 1, 50)
    rng = np.random.default_rng(0)
    effect = 0.5 * x + rng.normal(0, 0.02, 50)
    plain, _ = shrunken_ratios(effect, np.full(50, 0.3))
    about_line, _ = shrunken_ratios(effect, np.full(50, 0.3), x)
    assert np.abs(about_line - 0.5 * x).max() < np.abs(plain - 0.5 * x).max() / 3


def test_what_is_measured_without_error_is_not_drawn_anywhere() -> None:
    rng = np.random.default_rng(1)
    x = np.linspace(-1, 1, 60)
    effect = 1.0 + 0.5 * x + rng.normal(0, 0.3, 60)
    for covariate in (None, x):
        drawn, sd = shrunken_ratios(effect, np.full(60, 1e-3), covariate)
        np.testing.assert_allclose(drawn, effect, atol=1e-4)
        np.testing.assert_allclose(sd, 1e-3, rtol=1e-2)


def test_drawing_providers_is_repeatable_and_as_wide_as_the_posterior() -> None:
    observed, expected, provider, _ = costs(sd=0.15)
    raw = log_ratios(observed, expected, provider)
    found = drawn_ratios(raw.effect, raw.error, replicates=600, seed=3)
    again = drawn_ratios(raw.effect, raw.error, replicates=600, seed=3)
    assert (found.ratios == again.ratios)[~np.isnan(found.ratios)].all()
    _, sd = shrunken_ratios(raw.effect, raw.error)
    width = np.log(found.upper / found.lower) / (2 * 1.96)
    assert np.median(width / sd) == pytest.approx(1, abs=0.2)


@pytest.mark.parametrize(
    ("observed", "expected", "error"),
    [
        ([-1.0, 2.0], [1.0, 1.0], ArrayError),
        ([1.0, 2.0], [0.0, 1.0], ArrayError),
        ([0.0, 0.0], [1.0, 1.0], NoVariationError),
        ([1.0, 1.0], [1.0, 1.0], NoVariationError),
        ([1.0, 2.0], [1.0], ArrayError),
    ],
)
def test_what_is_no_cost_is_refused(observed: list, expected: list, error: type) -> None:
    with pytest.raises(error, match=r"^(observed|expected): wanted .*; got"):
        log_ratios(observed, expected, ["a", "b"])
