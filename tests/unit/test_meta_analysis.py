"""Figures of clusters put together: random effects by hand, and the next cluster covered."""

import numpy as np
import pytest

from riskadj.stats.meta_analysis import pool_estimates


def test_pooling_on_the_identity_scale_is_random_effects_by_hand():
    """Ten trials of Hartung and Knapp's kind; the data of Viechtbauer's REML example."""
    effect = np.array([-0.581, 0.530, 0.771, 1.031, 0.553, 0.295, 0.078, 0.573, -0.176, -0.232])
    variance = np.array([0.023, 0.052, 0.060, 0.115, 0.095, 0.203, 0.200, 0.211, 0.051, 0.040])
    got = pool_estimates(effect, np.sqrt(variance))
    weight = 1 / (variance + got.tau**2)
    mean = weight @ effect / weight.sum()
    q = weight @ (effect - mean) ** 2 / 9
    error = np.sqrt(max(q, 1) / weight.sum())
    assert got.tau**2 == pytest.approx(0.2232, abs=5e-5)
    assert got.value == pytest.approx(mean)
    assert got.upper == pytest.approx(mean + 2.262157 * error, rel=1e-6)  # t, 9 df
    assert got.prediction_upper == pytest.approx(
        mean + 2.306004 * np.sqrt(got.tau**2 + error**2), rel=1e-6  # t, 8 df
    )  # fmt: skip


@pytest.mark.parametrize(
    ("scale", "there"), [("logit", lambda y: np.log(y / (1 - y))), ("log", np.log)]
)
def test_pooling_on_a_scale_is_pooling_what_was_moved_there(scale, there):
    y, step = np.array([0.6, 0.7, 0.75, 0.8]), 1e-6
    error = np.array([0.02, 0.01, 0.03, 0.02])
    slope = (there(y + step) - there(y - step)) / (2 * step)
    one, two = pool_estimates(y, error, scale), pool_estimates(there(y), error * slope)
    for name in ("value", "lower", "upper", "prediction_lower", "prediction_upper"):
        assert there(getattr(one, name)) == pytest.approx(getattr(two, name), rel=1e-6)


def test_prediction_intervals_cover_the_next_cluster():
    rng, inside, mean_inside = np.random.default_rng(15), 0, 0
    for _ in range(400):
        error = rng.uniform(0.05, 0.2, 20)
        got = pool_estimates(rng.normal(1, 0.2, 20) + rng.normal(0, error), error)
        inside += got.prediction_lower < rng.normal(1, 0.2) < got.prediction_upper
        mean_inside += got.lower < 1 < got.upper
    assert 0.92 < inside / 400 < 0.98
    assert 0.92 < mean_inside / 400 < 0.985


def test_two_clusters_have_a_mean_and_no_prediction():
    got = pool_estimates([1.0, 1.2], [0.1, 0.1])
    assert got.value == pytest.approx(1.1)
    assert np.isnan(got.prediction_lower)
