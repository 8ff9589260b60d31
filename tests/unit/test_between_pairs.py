"""The covariance of true pairs: the maximum, and the correlation found again."""

import numpy as np
import pytest
from scipy import optimize

from riskadj.errors import ArrayError, TooFewProvidersError
from riskadj.stats.between_pairs import FEWEST, between_pairs


def penalised(entries, effect, covariance):
    """Return minus the logarithm of what is maximised; by matrices, one provider at a time."""
    root = np.array([[np.exp(entries[0]), 0.0], [entries[1], np.exp(entries[2])]])
    between = root @ root.T
    weight = np.linalg.inv(between + covariance)
    whole = weight.sum(axis=0)
    rest = effect - np.linalg.solve(whole, np.einsum("kij,kj->i", weight, effect))
    return (
        -np.linalg.slogdet(weight)[1].sum() + np.linalg.slogdet(whole)[1]
        + np.einsum("ki,kij,kj", rest, weight, rest) - np.linalg.slogdet(between)[1]
    ) / 2  # fmt: skip


@pytest.mark.parametrize(
    ("providers", "spread"), [(5, 1.0), (20, 0.01), (20, 0.5), (60, 1.0), (200, 0.2)]
)
def test_the_covariance_between_providers_is_the_maximum(providers, spread):
    rng = np.random.default_rng(providers)
    roots = rng.normal(size=(providers, 2, 2))
    covariance = roots @ roots.transpose(0, 2, 1) + 0.05 * np.eye(2)
    noise = np.array([rng.multivariate_normal([0, 0], one) for one in covariance])
    effect = spread * rng.normal(size=(providers, 2)) + noise
    found = between_pairs(effect, covariance).covariance
    best = optimize.minimize(
        penalised, np.zeros(3), args=(effect, covariance), method="Nelder-Mead",
        options={"xatol": 1e-8, "fatol": 1e-12, "maxiter": 5000},
    )  # fmt: skip
    root = np.array([[np.exp(best.x[0]), 0.0], [best.x[1], np.exp(best.x[2])]])
    assert found == pytest.approx(root @ root.T, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("correlation", [-0.5, 0.0, 0.5])
def test_the_correlation_between_providers_is_recovered(correlation):
    rng = np.random.default_rng(1)
    true = rng.multivariate_normal([0, 0], [[1, correlation], [correlation, 1]], 3000)
    noise = rng.multivariate_normal([0, 0], [[1, -0.4], [-0.4, 1]], 3000)
    covariance = np.tile([[1, -0.4], [-0.4, 1]], (3000, 1, 1))
    (first, cross), (_, last) = between_pairs(true + noise, covariance).covariance
    assert cross / np.sqrt(first * last) == pytest.approx(correlation, abs=0.05)


@pytest.mark.parametrize(
    ("effect", "covariance", "error", "words"),
    [
        (np.zeros((9, 3)), np.eye(2), ArrayError, r"effect: wanted pairs, .* got \(9, 3\)"),
        (np.zeros(9), np.eye(2), ArrayError, r"effect: wanted pairs, .* got \(9,\)"),
        (np.zeros((9, 2)), np.ones((2, 2)), ArrayError, "covariance: wanted positive definite"),
        (np.zeros((9, 2)), -np.eye(2), ArrayError, "covariance: wanted positive definite"),
        (np.zeros((FEWEST - 1, 2)), np.eye(2), TooFewProvidersError,
         f"between_pairs: wanted {FEWEST} providers or more; got {FEWEST - 1}"),
    ],
)  # fmt: skip
def test_what_has_no_covariance_between_providers_is_refused(effect, covariance, error, words):
    with pytest.raises(error, match=f"^{words}"):
        between_pairs(effect, np.tile(covariance, (len(effect), 1, 1)))
