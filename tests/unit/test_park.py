"""The power of the mean that variance goes with: found, and covered as often as said."""

import numpy as np
import pytest
from cost_arrays import cost_world
from sklearn.linear_model import GammaRegressor

from riskadj.errors import ArrayError, NoVariationError
from riskadj.stats.park import PARK_FAMILIES, park_test


@pytest.fixture(scope="module")
def world():
    return cost_world()


@pytest.mark.parametrize(("family", "power"), PARK_FAMILIES.items())
def test_the_power_of_the_mean_is_found(family, power):
    rng = np.random.default_rng(20 + power)
    mean = np.exp(rng.normal(8, 0.6, 20_000))
    shape = mean ** (2 - power) / (0.3 * 3000.0 ** (2 - power))
    got = park_test(rng.gamma(shape, mean / shape), mean)
    assert got.family == family
    assert got.slope == pytest.approx(power, abs=0.2)
    assert got.lower < got.slope < got.upper


def test_poisson_counts_have_the_power_1_and_normal_errors_0():
    rng = np.random.default_rng(3)
    mean = rng.uniform(1, 50, 20_000)
    assert park_test(rng.poisson(mean), mean).slope == pytest.approx(1, abs=0.05)
    assert park_test(rng.normal(mean, 3), mean).slope == pytest.approx(0, abs=0.05)


def test_the_slope_is_that_of_a_gamma_model_of_squared_residuals(world):
    """scikit-learn's, fitted by Newton's method to the same likelihood."""
    y, e = world["y"], world["expected"]
    x = np.log(e) - np.log(e).mean()
    square = (y - e) ** 2
    # Its gradient is met to 1e-4 as the default; squares are brought near 1 for its sake.
    model = GammaRegressor(alpha=0, solver="newton-cholesky", tol=1e-12, max_iter=500)
    model.fit(x[:, None], square / square.mean())
    assert park_test(y, e).slope == pytest.approx(model.coef_[0], abs=1e-7)


def test_a_perfect_expectation_among_others_does_no_harm(world):
    y = world["y"].copy()
    y[:100] = world["expected"][:100]
    assert np.isfinite(park_test(y, world["expected"]).slope)


def test_the_slope_does_not_depend_on_the_currency(world):
    one = park_test(world["y"], world["expected"], world["cluster"])
    other = park_test(11.3 * world["y"], 11.3 * world["expected"], world["cluster"])
    assert other.slope == pytest.approx(one.slope, rel=1e-9)
    assert other.standard_error == pytest.approx(one.standard_error, rel=1e-9)
    assert (one.n, one.n_clusters) == (1000, 40)


def test_intervals_of_the_power_cover_it_as_often_as_they_say():
    rng, inside = np.random.default_rng(9), 0
    for _ in range(200):
        mean = np.exp(rng.normal(8, 0.5, 2_000))
        got = park_test(rng.gamma(2.0, mean / 2), mean)
        inside += got.lower < 2 < got.upper
    assert 0.88 <= inside / 200 <= 0.99


@pytest.mark.parametrize(
    ("y", "expected", "error", "words"),
    [
        ([1, 2, 3], [1, 0, 3], ArrayError, "expected: wanted numbers above 0"),
        ([1, 2, 3], [2, 2, 2], NoVariationError, "wanted expectations that differ"),
        ([1, 2, 3], [1, 2, 3], NoVariationError, "residuals that are not 0"),
        ([1, 2, 4], [1, 2, 3], ArrayError, "no slope is finite"),
    ],
)
def test_a_power_that_cannot_be_told_is_refused(y, expected, error, words):
    with pytest.raises(error, match=words):
        park_test(y, expected)
