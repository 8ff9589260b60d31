"""Weights of responders: those worked by hand, trimmed or not."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from riskadj.errors import ArrayError
from riskadj.stats.response import fit_response
from riskadj.stats.response_weights import response_weights
from riskadj.stats.weighted_means import weighted_means


@pytest.fixture(scope="module")
def world():
    """Return answered, covariates, provider and the true log-odds."""
    rng = np.random.default_rng(20250710)
    provider = rng.integers(0, 20, 4_000)
    X = np.column_stack((rng.normal(50, 10, 4_000), rng.random(4_000) < 0.3))
    own = rng.normal(0, 0.7, 20)
    odds = 0.2 + 0.05 * (X[:, 0] - 50) - 0.6 * X[:, 1] + own[provider]
    return rng.random(4_000) < 1 / (1 + np.exp(-odds)), X, provider, odds


def test_weights_are_what_is_worked_by_hand():
    answered = [1, 0, 1, 0, 1, 1, 1, 1]
    probability = [0.5, 0.5, 0.25, 0.25, 0.8, 0.8, 0.8, 0.8]
    own = response_weights(answered, probability, list("aaaabbbb"), trim=(0, 1))
    np.testing.assert_allclose(own.weight, [1, 0, 2, 0, 1.25, 1.25, 1.25, 1.25])
    np.testing.assert_allclose(own.effective, [9 / 5, 4])
    assert own.effective_n == pytest.approx(8.0**2 / (5 + 6.25))
    overall = response_weights(
        answered, probability, list("aaaabbbb"), numerator="overall", trim=(0, 1)
    )
    np.testing.assert_allclose(overall.weight[[0, 2, 4]], [1.5, 3, 0.9375])
    assert (own.eligible.tolist(), own.responders.tolist()) == ([4, 4], [2, 4])


def test_trimmed_weights_are_pulled_in_to_their_quantiles(world):
    answered, X, provider, _ = world
    chance = fit_response(answered, X, provider).probability
    raw = response_weights(answered, chance, provider, trim=(0, 1))
    found = response_weights(answered, chance, provider)
    kept = raw.weight[answered]
    lower, upper = np.quantile(kept, [0.01, 0.99])
    assert (found.lower, found.upper) == (lower, upper)
    np.testing.assert_array_equal(found.weight[answered], np.clip(kept, lower, upper))
    assert found.trimmed == ((kept < lower) | (kept > upper)).sum() > 0
    assert raw.trimmed == 0
    assert found.effective_n > raw.effective_n


@given(seed=st.integers(0, 2**32 - 1))
def test_untrimmed_the_numerator_is_no_matter_to_providers(seed):
    rng = np.random.default_rng(seed)
    provider, residual = rng.integers(0, 5, 80), rng.standard_normal(80)
    answered = rng.random(80) < 0.7
    chance = rng.uniform(0.2, 1.0, 80)
    own, overall = (
        weighted_means(
            residual,
            response_weights(answered, chance, provider, numerator=one, trim=(0, 1)).weight,
            provider,
        )
        for one in ("provider", "overall")
    )
    np.testing.assert_allclose(own.mean, overall.mean, atol=1e-12)
    np.testing.assert_allclose(own.error, overall.error, atol=1e-12)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"probability": [0.0, 0.5, 0.5, 0.5]}, "probability: wanted numbers above 0"),
        ({"probability": [1.5, 0.5, 0.5, 0.5]}, "probability: wanted numbers of 1 or less"),
        ({"trim": (0.9, 0.1)}, "trim: wanted two quantiles"),
        ({"numerator": "own"}, "numerator: wanted one of provider, overall"),
        ({"answered": [0, 0, 0, 0]}, "wanted somebody who did"),
    ],
)
def test_what_no_weights_can_be_made_of_is_refused(wrong, said):
    good = {"answered": [1, 0, 1, 1], "probability": [0.5] * 4, "provider": list("aabb")}
    with pytest.raises(ArrayError, match=said):
        response_weights(**{**good, **wrong})
