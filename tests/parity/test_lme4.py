"""What lme4 answers on a small world, kept under tests/parity/lme4/; its README says how.

lme4's gamma fit is none of one likelihood: there riskadj is held to the likelihood itself, written
out plainly here, and lme4's figures are shown to follow from the formulas of the README.
"""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import optimize, stats

from riskadj.stats.random_intercept import fit_random_intercept

HERE = Path(__file__).parent / "lme4"
COVARIATES = ["x1", "x2", "x3"]
# Linear standard errors agree to 5e-8. Those of binomial are up to 4.2e-5 lower than lme4's, which
# are exact to 1e-10: riskadj need not look at the curvature again after its last, small step.
SE_TOLERANCE = 1e-4
# riskadj's standard errors are those at a known spread; lme4's default for glmer are not.
SE_GIVEN_SPREAD = {"binomial": "se_without_hessian", "gaussian_ml": "se", "gaussian_reml": "se"}

FITS = {
    "binomial": ("binary", {"family": "binomial"}),
    "gaussian_ml": ("continuous", {"family": "gaussian", "method": "ml"}),
    "gaussian_reml": ("continuous", {"family": "gaussian", "method": "reml"}),
}
each = pytest.mark.parametrize("name", FITS)


@pytest.fixture(scope="module")
def episodes():
    return pd.read_csv(HERE / "episodes.csv")


@pytest.fixture(scope="module")
def answers():
    return json.loads((HERE / "answers.json").read_text())


@pytest.fixture(scope="module")
def fits(episodes):
    return {name: _fit(episodes, *asked) for name, asked in FITS.items()}


@pytest.fixture(scope="module")
def gamma(episodes):
    return _fit(episodes, "cost", {"family": "gamma"})


def test_the_world_has_providers_of_1_to_150_episodes(episodes):
    size = episodes["provider"].value_counts()
    assert (len(episodes), len(size), size.min(), size.max()) == (1_190, 40, 1, 150)


@pytest.mark.parametrize("name", [*FITS, "gamma"])
def test_lme4_had_no_complaint(answers, name):
    assert answers[name]["messages"] == []


@each
def test_providers_are_the_same(fits, answers, name):
    assert fits[name].providers.tolist() == sorted(answers[name]["effects"])


@each
def test_coefficients_are_those_of_lme4(fits, answers, name):
    mine = [fits[name].intercept, *fits[name].coef]
    np.testing.assert_allclose(mine, [*answers[name]["coef"].values()], rtol=0, atol=1e-4)


@each
def test_the_spread_between_providers_is_that_of_lme4(fits, answers, name):
    assert fits[name].sigma == pytest.approx(answers[name]["sd_provider"], rel=0, abs=1e-4)


@pytest.mark.parametrize("name", ["gaussian_ml", "gaussian_reml"])
def test_the_residual_spread_is_that_of_lme4(fits, answers, name):
    assert fits[name].residual_sd == pytest.approx(answers[name]["sigma"], rel=0, abs=1e-4)


@each
def test_effects_are_those_of_lme4(fits, answers, name):
    theirs = [answers[name]["effects"][one] for one in fits[name].providers]
    np.testing.assert_allclose(fits[name].effects, theirs, rtol=0, atol=1e-4)


@each
def test_standard_deviations_of_effects_are_those_of_lme4(fits, answers, name):
    theirs = [answers[name]["effects_sd"][one] for one in fits[name].providers]
    np.testing.assert_allclose(fits[name].effects_se, theirs, rtol=0, atol=1e-4)


@each
def test_log_likelihoods_are_those_of_lme4(fits, answers, name):
    assert fits[name].loglik == pytest.approx(answers[name]["loglik"], rel=0, abs=1e-6)


@each
def test_standard_errors_are_those_of_lme4(fits, answers, name):
    mine = [fits[name].intercept_se, *fits[name].coef_se]
    theirs = [*answers[name][SE_GIVEN_SPREAD[name]].values()]
    np.testing.assert_allclose(mine, theirs, rtol=SE_TOLERANCE)


def test_lme4s_gamma_figures_follow_from_the_formulas_of_the_readme(episodes, answers):
    theirs = answers["gamma"]
    labels, codes = np.unique(episodes["provider"], return_inverse=True)
    size, n = np.bincount(codes), len(codes)
    theta = theirs["theta"]
    u = np.array([theirs["effects"][one] for one in labels]) / theta
    mean = np.exp(_linear_predictor(episodes, [*theirs["coef"].values()]) + theta * u[codes])
    ratio = episodes["cost"].to_numpy() / mean
    np.testing.assert_allclose(u, theta * np.bincount(codes, ratio - 1), atol=1e-5)
    dispersion = 2 * np.mean(ratio - 1 - np.log(ratio))
    log_density = stats.gamma.logpdf(ratio, 1 / dispersion, scale=dispersion) - np.log(mean)
    twice = -2 * log_density.sum() + 2 + u @ u + np.log1p(theta**2 * size).sum()
    assert theirs["loglik"] == pytest.approx(-twice / 2, abs=1e-5)
    assert theirs["sigma"] ** 2 == pytest.approx((np.sum((ratio - 1) ** 2) + u @ u) / n, rel=1e-7)
    assert theirs["sd_provider"] == pytest.approx(theta * theirs["sigma"], rel=1e-12)
    spread = theirs["sd_provider"] / np.sqrt(1 + theta**2 * size)
    np.testing.assert_allclose([theirs["effects_sd"][one] for one in labels], spread)


def test_the_gamma_log_likelihood_is_that_written_out_plainly(gamma, episodes):
    assert gamma.loglik == pytest.approx(_gamma_laplace(episodes, *_answer(gamma)), abs=1e-6)


def test_no_gamma_likelihood_nearby_is_higher(gamma, episodes):
    coef, sigma, shape = _answer(gamma)
    at = np.array([*coef, np.log(sigma), np.log(shape)])

    def value(point):
        return _gamma_laplace(episodes, point[:4], *np.exp(point[4:]))

    slope = optimize.approx_fprime(at, value, 1e-5) + optimize.approx_fprime(at, value, -1e-5)
    # The likelihood bends by 36 or more per unit squared: the answer is within 3e-5.
    assert np.abs(slope / 2).max() < 1e-3


def test_gamma_coefficients_are_within_half_a_standard_error_of_lme4s(gamma, answers):
    theirs = answers["gamma"]
    apart = np.array([gamma.intercept, *gamma.coef]) - [*theirs["coef"].values()]
    assert np.abs(apart / [*theirs["se"].values()]).max() < 0.5


def _answer(fit):
    return [fit.intercept, *fit.coef], fit.sigma, fit.shape


def _linear_predictor(episodes, coef):
    return coef[0] + episodes[COVARIATES].to_numpy() @ coef[1:]


def _gamma_laplace(episodes, coef, sigma, shape):
    """Laplace's approximation for gamma costs with normal log effects, at their modes."""
    _, codes = np.unique(episodes["provider"], return_inverse=True)
    fixed, cost = _linear_predictor(episodes, coef), episodes["cost"].to_numpy()
    effects = np.zeros(codes.max() + 1)
    for _ in range(50):
        ratio = cost * np.exp(-fixed - effects[codes])
        information = shape * np.bincount(codes, ratio) + 1 / sigma**2
        effects += (shape * np.bincount(codes, ratio - 1) - effects / sigma**2) / information
    mean = np.exp(fixed + effects[codes])
    information = shape * np.bincount(codes, cost / mean)
    density = stats.gamma.logpdf(cost, shape, scale=mean / shape).sum()
    penalty = effects @ effects / sigma**2 + np.log1p(sigma**2 * information).sum()
    return density - penalty / 2


def _fit(episodes, outcome, asked):
    return fit_random_intercept(
        episodes[outcome], episodes[COVARIATES], episodes["provider"], **asked
    )
