"""Quarters and regions of a normal pair: those of the bivariate normal."""

import numpy as np
import pytest
from scipy import stats

from riskadj.stats.normal_pairs import ellipse, quarter_chance, region_radius


@pytest.mark.parametrize("correlation", [-1.0, -0.7, 0.0, 0.3, 0.99])
def test_quarters_are_those_of_the_bivariate_normal(correlation):
    h, k = np.random.default_rng(1).normal(size=(2, 30)) * 2
    normal = stats.multivariate_normal(
        [0, 0], [[1, correlation], [correlation, 1]], allow_singular=True
    )
    wanted = [normal.cdf([a, b]) for a, b in zip(h, k, strict=True)]
    assert quarter_chance(h, k, np.full(30, correlation)) == pytest.approx(wanted, abs=1e-5)


def test_a_region_holds_the_share_it_says():
    covariance = np.array([[4.0, -0.15], [-0.15, 0.01]])
    edge = ellipse([1.0, 0.2], covariance, 0.9)
    away = edge - [1.0, 0.2]
    distance = np.einsum("ki,ij,kj->k", away, np.linalg.inv(covariance), away)
    assert distance == pytest.approx(region_radius(0.9) ** 2)
    assert stats.chi2(2).cdf(region_radius(0.9) ** 2) == pytest.approx(0.9)
