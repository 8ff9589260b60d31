"""Standard errors by cluster without draws: textbook ones, and slopes that cover."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LinearRegression

from riskadj.stats.sandwich import mean_by_cluster, regress_by_cluster


@given(st.integers(2, 40), st.integers(0, 10_000))
def test_without_clusters_the_error_of_a_mean_is_the_textbook_one(n, seed):
    y = np.random.default_rng(seed).normal(size=n)
    got = mean_by_cluster(y)
    assert got.standard_error == pytest.approx(y.std(ddof=1) / np.sqrt(n))


def test_with_equal_clusters_the_error_of_a_mean_is_that_of_their_means():
    rng = np.random.default_rng(11)
    y, cluster = rng.normal(size=60), np.repeat(np.arange(12), 5)
    means = y.reshape(12, 5).mean(axis=1)
    wanted = means.std(ddof=1) / np.sqrt(12)
    assert mean_by_cluster(y, cluster).standard_error == pytest.approx(wanted)


def test_a_fit_is_least_squares_and_its_errors_the_sandwich():
    rng = np.random.default_rng(12)
    cluster = rng.integers(0, 15, 300)
    X = 1e4 + rng.normal(size=(300, 3)) @ rng.normal(size=(3, 3))
    y = X @ [1.0, -2.0, 0.5] + rng.normal(0, 1, 15)[cluster] + rng.normal(size=300)
    got = regress_by_cluster(y, X, cluster)
    fit = LinearRegression().fit(X, y)
    np.testing.assert_allclose(got.coef, [fit.intercept_, *fit.coef_], rtol=1e-6)
    design = np.column_stack([np.ones(300), X - X.mean(axis=0)])
    rest = y - fit.predict(X)
    scores = np.array([design[cluster == one].T @ rest[cluster == one] for one in range(15)])
    bread = np.linalg.inv(design.T @ design)
    wanted = bread @ scores.T @ scores @ bread * 15 / 14 * 299 / 296
    np.testing.assert_allclose(got.covariance[1:, 1:], wanted[1:, 1:], rtol=1e-6)
    assert got.standard_error[0] == pytest.approx(np.sqrt(got.covariance[0, 0]))


def test_the_error_of_the_intercept_is_that_at_zero():
    rng = np.random.default_rng(13)
    x, cluster = rng.normal(3, 1, 200), rng.integers(0, 10, 200)
    y = x + rng.normal(size=200)
    design = np.column_stack([np.ones(200), x])
    rest = y - design @ np.linalg.lstsq(design, y)[0]
    scores = np.array([design[cluster == one].T @ rest[cluster == one] for one in range(10)])
    bread = np.linalg.inv(design.T @ design)
    wanted = bread @ scores.T @ scores @ bread * 10 / 9 * 199 / 198
    np.testing.assert_allclose(regress_by_cluster(y, x, cluster).covariance, wanted, rtol=1e-9)


def test_slopes_cover_where_clusters_share_an_error():
    rng, inside, naive = np.random.default_rng(14), 0, 0
    cluster = np.repeat(np.arange(80), 10)
    for _ in range(300):
        x = rng.normal(size=80)[cluster] + 0.3 * rng.normal(size=800)
        y = 2 * x + rng.normal(size=80)[cluster] + rng.normal(size=800)
        got, alone = regress_by_cluster(y, x, cluster), regress_by_cluster(y, x)
        inside += got.lower[1] < 2 < got.upper[1]
        naive += alone.lower[1] < 2 < alone.upper[1]
    assert inside >= 274  # 0.95 less 3 standard errors
    assert naive < 210
