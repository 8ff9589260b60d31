"""What sums by provider say of a linear model, against least squares on whole matrices."""

import numpy as np
import pytest

from riskadj.stats.linear_posterior import Posterior, WorkSums

SIZES = (3, 8, 5, 12, 4)
CODES = np.repeat(np.arange(5), SIZES)
_rng = np.random.default_rng(5)
X = np.column_stack([np.ones(CODES.size), _rng.normal(size=(CODES.size, 2)) + CODES[:, None] / 3])
WEIGHT = _rng.uniform(0.5, 2.0, CODES.size)
Y = X @ [1.0, 0.5, -1.0] + _rng.normal(0, 1.5, 5)[CODES] + _rng.normal(size=CODES.size)


def posterior(known_variance=None):
    by = np.eye(5)[CODES]
    weighted = X * WEIGHT[:, None]
    pooled = np.linalg.solve(X.T @ weighted, weighted.T @ Y)
    residual = Y - X @ pooled
    sums = WorkSums(
        weight=by.T @ WEIGHT, score=by.T @ (WEIGHT * residual), cross=weighted.T @ by,
        gram=X.T @ weighted, slope=weighted.T @ residual, squares=float(WEIGHT @ residual**2),
        pooled=pooled, n=Y.size,
    )  # fmt: skip
    return Posterior(sums, known_variance, lambda drawn, *_: drawn)


def by_matrices(ratio):
    """Return estimates, information, squares and what of the likelihood is not of these."""
    V = np.diag(1 / WEIGHT) + ratio**2 * (CODES[:, None] == CODES)
    inverse = np.linalg.inv(V)
    information = X.T @ inverse @ X
    coef = np.linalg.solve(information, X.T @ inverse @ Y)
    squares = (Y - X @ coef) @ inverse @ (Y - X @ coef)
    about = -0.5 * (np.linalg.slogdet(V)[1] + np.linalg.slogdet(information)[1])
    return coef, information, squares, about


@pytest.mark.parametrize("ratio", [0.0, 0.3, 1.0, 4.0])
@pytest.mark.parametrize("known_variance", [None, 1.7])
def test_at_a_ratio_of_spreads_it_is_generalised_least_squares(ratio, known_variance):
    mine = posterior(known_variance)
    found, none = mine.at(ratio), mine.at(0.0)
    coef, information, squares, about = by_matrices(ratio)
    assert mine.sums.pooled + found.coef == pytest.approx(coef)
    assert found.information == pytest.approx(information)
    assert found.squares == pytest.approx(squares)
    _, _, squares_0, about_0 = by_matrices(0.0)
    if known_variance is None:
        degrees = Y.size - 3
        wanted = about - about_0 - 0.5 * degrees * np.log(squares / squares_0)
    else:
        wanted = about - about_0 - 0.5 * (squares - squares_0) / known_variance
    assert found.loglik - none.loglik == pytest.approx(wanted)


def test_the_likely_effects_are_the_best_linear_prediction():
    mine = posterior()
    found = mine.likely()
    ratio = found.sigma / found.residual_sd
    coef, _, squares, _ = by_matrices(ratio)
    assert found.coef == pytest.approx(coef)
    assert found.residual_sd == pytest.approx(np.sqrt(squares / (Y.size - 3)))
    V = np.diag(1 / WEIGHT) + ratio**2 * (CODES[:, None] == CODES)
    by = np.eye(5)[CODES]
    assert found.effects == pytest.approx(ratio**2 * by.T @ np.linalg.solve(V, Y - X @ coef))
    assert not found.beyond.any()


def test_draws_are_about_the_likely_with_the_spread_that_is_known():
    mine = posterior(known_variance=1.0)
    drawn = list(mine.draws(4000, np.random.default_rng(1)))
    coef = np.array([one.coef for one in drawn])
    ratios, below = mine.grid
    middles, shares = (ratios[1:] + ratios[:-1]) / 2, np.diff(below)
    each = [by_matrices(one) for one in middles]
    mean = sum(share * one[0] for share, one in zip(shares, each, strict=True))
    within = sum(share * np.linalg.inv(one[1]) for share, one in zip(shares, each, strict=True))
    spread = sum(
        share * np.outer(one[0] - mean, one[0] - mean)
        for share, one in zip(shares, each, strict=True)
    )
    error = np.sqrt(np.diag(within + spread))
    assert np.abs(coef.mean(axis=0) - mean).max() < 4 * error.max() / np.sqrt(4000)
    assert coef.std(axis=0) == pytest.approx(error, rel=0.05)
    assert {one.residual_sd for one in drawn} == {1.0}
