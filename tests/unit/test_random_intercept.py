"""Random provider intercepts against dense likelihoods, at the edge and beyond it.

The references are slow and plain: the likelihood of the whole covariance matrix, and Laplace's
approximation with the mode of every provider found anew.
"""

import sys
import warnings
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import optimize
from scipy.special import expit, gammaln, ndtri
from threadpoolctl import threadpool_limits

from riskadj.errors import ArrayError
from riskadj.stats.between import between_covariates
from riskadj.stats.design import build_design
from riskadj.stats.families import FAMILIES
from riskadj.stats.fits import NotConvergedWarning, SeparationWarning
from riskadj.stats.laplace import fit_laplace
from riskadj.stats.random_intercept import fit_random_intercept
from riskadj.stats.reml import fit_linear

CASES = {"plain": (), "weights": ("weights",), "offset": ("offset",)}
CASES["weights and offset"] = ("weights", "offset")
SIZES = (25, 7, 12, 1, 30, 9, 14, 3)
BALANCED = (30,) * 20
LAPLACE = ("binomial", "gamma")
ALL = ("gaussian", *LAPLACE)
each_case = pytest.mark.parametrize("names", CASES.values(), ids=CASES)
each_method = pytest.mark.parametrize("method", ["reml", "ml"])
each_family = pytest.mark.parametrize("family", ALL)
by_laplace = pytest.mark.parametrize("family", LAPLACE)


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    """Threads only get in each other's way where the references invert one small matrix."""
    with threadpool_limits(1):
        yield


def draw(family, rng, eta):
    if family == "gaussian":
        return eta + rng.normal(size=len(eta))
    if family == "binomial":
        return (rng.random(len(eta)) < expit(eta)).astype(float)
    return rng.gamma(2.0, np.exp(eta) / 2)


def make_world(family="gaussian", seed=0, sizes=SIZES, spread=0.7, slopes=(0.5, -0.3)):
    """Return episodes out of order."""
    rng = np.random.default_rng(seed)
    code = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    X, offset = rng.normal(size=(len(code), len(slopes))), rng.normal(size=len(code))
    effects = spread * rng.normal(size=len(sizes))
    y = draw(family, rng, 0.2 + X @ slopes + effects[code] + 0.3 * offset)
    weights = rng.uniform(0.2, 3.0, len(code))
    return SimpleNamespace(y=y, X=X, code=code, weights=weights, offset=offset)


def fit(world, family="gaussian", names=(), **changes):
    given = {name: getattr(world, name) for name in names}
    made = {"y": world.y, "X": world.X, "provider": world.code, "family": family, **given}
    return fit_random_intercept(**{**made, **changes})


def set_everywhere(monkeypatch, **constants):
    """Set module constants of the kernels, wherever they are."""
    for name, value in constants.items():
        holders = [one for key, one in sys.modules.items() if key.startswith("riskadj.stats.")]
        found = [one for one in holders if hasattr(one, name)]
        assert found
        for one in found:
            monkeypatch.setattr(one, name, value)


def given(world, names):
    weights = world.weights if "weights" in names else np.ones(len(world.y))
    return weights, world.offset if "offset" in names else np.zeros(len(world.y))


def with_constant(X):
    return np.column_stack([np.ones(len(X)), X])


def slope(function, at, step=1e-4):
    """Return the numerical slope in each direction, to the fourth order."""

    def along(e):
        near, far = (function(at + k * e) - function(at - k * e) for k in (1, 2))
        return (8 * near - far) / (12 * step)

    return np.array([along(e) for e in step * np.eye(len(at))])


def maximise(function, start):
    """Climb with numerical slopes."""
    found = optimize.minimize(
        lambda at: -function(at),
        start,
        jac=lambda at: -slope(function, at),
        method="BFGS",
        options={"gtol": 1e-6},
    )
    assert np.abs(found.jac).max() < 1e-4
    return found.x, -found.fun


def same_fit(found, other, rtol=1e-6):
    """Compare what two fits found: estimates to `rtol` of about their standard error."""
    errors = [other.intercept_se, *other.between_se, *other.coef_se]
    ours, theirs = ([one.intercept, *one.between_coef, *one.coef] for one in (found, other))
    np.testing.assert_array_less(np.abs(np.subtract(ours, theirs)) / errors, 20 * rtol)
    np.testing.assert_allclose(found.coef_se, other.coef_se, rtol=1e-3)
    np.testing.assert_allclose(found.effects, other.effects, atol=20 * rtol * (other.sigma + 0.1))
    np.testing.assert_allclose(found.effects_se, other.effects_se, rtol=1e-4)
    for name in ("sigma", "residual_sd", "shape"):
        np.testing.assert_allclose(getattr(found, name), getattr(other, name), rtol=20 * rtol)
    assert found.loglik == pytest.approx(other.loglik, rel=1e-8)


# --- linear: the likelihood of the whole covariance matrix ---


def linear(world, names, method, X=None):
    """Return the (restricted) log-likelihood of log deviations, and the estimates at them."""
    Z, (w, o) = with_constant(world.X if X is None else X), given(world, names)
    same = (world.code[:, None] == world.code).astype(float)

    def at(logs):
        sigma2, residual2 = np.exp(2 * np.asarray(logs))
        inverse = np.linalg.inv(sigma2 * same + np.diag(residual2 / w))
        information = Z.T @ inverse @ Z
        covariance = np.linalg.inv(information)
        coef = covariance @ Z.T @ inverse @ (world.y - o)
        left = world.y - o - Z @ coef
        degrees = len(Z) - (Z.shape[1] if method == "reml" else 0)
        twice = -np.linalg.slogdet(inverse)[1] + left @ inverse @ left
        twice += degrees * np.log(2 * np.pi)
        twice += np.linalg.slogdet(information)[1] if method == "reml" else 0.0
        chosen = np.eye(world.code.max() + 1)[world.code]
        effects = sigma2 * chosen.T @ inverse @ left
        spread = sigma2 - sigma2**2 * np.diag(chosen.T @ inverse @ chosen)
        return -twice / 2, coef, covariance, effects, np.sqrt(spread)

    return at


@each_case
@each_method
@pytest.mark.parametrize("seed", [0, 1])
def test_gaussian_is_the_maximum_of_the_dense_likelihood(names, method, seed):
    world = make_world(seed=seed)
    found = fit(world, names=names, method=method)
    at = linear(world, names, method)
    logs, loglik = maximise(lambda logs: at(logs)[0], np.zeros(2))
    _, coef, covariance, effects, spread = at(logs)
    np.testing.assert_allclose([found.sigma, found.residual_sd], np.exp(logs), rtol=1e-5)
    np.testing.assert_allclose([found.intercept, *found.coef], coef, rtol=0, atol=1e-6)
    np.testing.assert_allclose(found.coef_covariance, covariance, rtol=1e-4, atol=1e-8)
    errors = np.sqrt(np.diag(covariance))
    np.testing.assert_allclose([found.intercept_se, *found.coef_se], errors, rtol=1e-5)
    np.testing.assert_allclose(found.effects, effects, rtol=0, atol=1e-6)
    np.testing.assert_allclose(found.effects_se, spread, rtol=1e-5)
    assert found.loglik == pytest.approx(loglik, abs=1e-8)
    assert found.method == method
    assert found.converged


@each_case
@each_method
def test_the_dense_likelihood_is_level_at_the_gaussian_answer(names, method):
    world = make_world(seed=3)
    found = fit(world, names=names, method=method)
    at = linear(world, names, method)
    level = slope(lambda logs: at(logs)[0], np.log([found.sigma, found.residual_sd]))
    np.testing.assert_allclose(level, 0, atol=1e-7)


def test_effects_of_equal_providers_shrink_by_their_reliability():
    """Each is n v / (n v + s) of the distance of its mean (Laird and Ware 1982)."""
    world = make_world(sizes=BALANCED)
    found = fit(world, X=np.zeros((600, 0)))
    raw = np.bincount(world.code, world.y) / 30 - found.intercept
    shrunk = 30 * found.sigma**2 / (30 * found.sigma**2 + found.residual_sd**2)
    np.testing.assert_allclose(found.effects, shrunk * raw, rtol=1e-10)


def test_a_balanced_reml_is_the_analysis_of_variance():
    """sigma^2 is (between - within mean square) / n (Searle, Casella and McCulloch 1992)."""
    world = make_world(sizes=BALANCED)
    found = fit(world, X=np.zeros((600, 0)))
    mean = np.bincount(world.code, world.y) / 30
    within = np.sum((world.y - mean[world.code]) ** 2) / (600 - 20)
    assert found.residual_sd**2 == pytest.approx(within, rel=1e-9)
    assert found.sigma**2 == pytest.approx(mean.var(ddof=1) - within / 30, rel=1e-9)


@pytest.mark.parametrize("scale", [1e-6, 1e-3, 1e3, 1e9])
@each_method
def test_gaussian_answers_scale_with_the_outcome(scale, method):
    world = make_world()
    found, scaled = fit(world, method=method), fit(world, y=world.y * scale, method=method)
    for name in ("intercept", "coef", "coef_se", "effects", "effects_se", "sigma", "residual_sd"):
        np.testing.assert_allclose(getattr(scaled, name), scale * getattr(found, name), rtol=1e-8)


@pytest.mark.parametrize("place", [1e3, 1e6, 1e9])
@pytest.mark.parametrize("moved_by", ["the intercept", "an offset"])
def test_outcomes_far_from_0_cost_no_digits(place, moved_by):
    world = make_world()
    offset = {"offset": np.full(len(world.y), place)} if moved_by == "an offset" else {}
    found, moved = fit(world), fit(world, y=world.y + place, **offset)
    assert moved.sigma == pytest.approx(found.sigma, rel=1e-5)
    assert moved.residual_sd == pytest.approx(found.residual_sd, rel=1e-5)
    np.testing.assert_allclose(moved.effects, found.effects, atol=1e-5)


@pytest.mark.parametrize("steepness", [1e3, 1e5, 1e7])
def test_a_covariate_that_explains_nearly_all_costs_no_digits(steepness):
    world = make_world()
    found, steep = fit(world), fit(world, y=world.y + steepness * world.X[:, 0])
    assert steep.residual_sd == pytest.approx(found.residual_sd, rel=1e-5)
    assert steep.sigma == pytest.approx(found.sigma, rel=1e-4)


def unlike(sizes, places, spread):
    """Return three providers, the first large, around places of their own."""
    code = np.repeat(np.arange(3), sizes)
    within = np.concatenate([ndtri((np.arange(n) + 0.5) / n) for n in sizes])
    y = np.asarray(places)[code] + spread * within
    return SimpleNamespace(code=code, X=np.zeros((len(code), 0)), y=y)


@pytest.mark.parametrize(("sizes", "place"), [((50, 1, 1), 5.0), ((150, 2, 2), 6.0)])
def test_the_higher_of_two_maxima_is_found(sizes, place):
    world = unlike(sizes, [0.0, place, -place], 1.0)
    found, at = fit(world, method="ml"), linear(world, (), "ml")
    assert found.loglik > max(at([log, 0.0])[0] for log in np.linspace(-3, 4, 50))


def test_providers_far_apart_leave_the_coefficients_of_fixed_effects():
    world = make_world(sizes=BALANCED)
    found = fit(world, y=world.y + 1e5 * world.code)
    mean = [np.bincount(world.code, row)[world.code] / 30 for row in (*world.X.T, world.y)]
    within = np.column_stack([*world.X.T, world.y]) - np.transpose(mean)
    np.testing.assert_allclose(
        found.coef, np.linalg.lstsq(within[:, :2], within[:, 2])[0], atol=1e-4
    )


def test_providers_too_far_apart_to_see_a_residual_are_refused():
    world = make_world(sizes=BALANCED)
    with pytest.raises(ArrayError, match="differ within providers beyond their covariates"):
        fit(world, y=world.y + 1e7 * world.code)


@pytest.mark.parametrize("effect", [0.0, 1.0])
def test_an_outcome_without_residual_is_refused_as_such(effect):
    world = make_world()
    with pytest.raises(ArrayError, match="y: wanted outcomes that differ within providers"):
        fit(world, y=world.X @ [2.0, -1.0] + effect * world.code)


# --- binomial and gamma: Laplace's approximation ---


def slopes_of(family, y, eta, shape):
    """Return log-likelihood, slope and information of each episode."""
    if family == "binomial":
        risk = expit(eta)
        return y * eta - np.logaddexp(0, eta), y - risk, risk * (1 - risk)
    ratio = y * np.exp(-eta)
    constant = shape * np.log(shape) - gammaln(shape) - np.log(y)
    return constant + shape * (np.log(ratio) - ratio), shape * (ratio - 1), shape * ratio


def modes(family, y, fixed, code, w, variance, shape):
    """Find each provider's mode by Newton's steps, halved until they climb."""
    total, m = partial(np.bincount, code), code.max() + 1

    def height(u):
        return total(w * slopes_of(family, y, fixed + u[code], shape)[0]) - u**2 / (2 * variance)

    u = np.zeros(m)
    for _ in range(100):
        _, score, weight = slopes_of(family, y, fixed + u[code], shape)
        step = (total(w * score) - u / variance) / (total(w * weight) + 1 / variance)
        while (falls := height(u + step) < height(u) - 1e-9).any():
            step = np.where(falls, step / 2, step)
        u = u + step
        if np.abs(step).max() < 1e-12:
            break
    return u


def laplace(world, family, names, X=None):
    """Return the approximation as a function of coefficients, log sigma and log shape."""
    Z, (w, o), code = with_constant(world.X if X is None else X), given(world, names), world.code
    p = Z.shape[1]

    def at(point):
        variance = np.exp(2 * point[p])
        shape = np.exp(point[p + 1]) if family == "gamma" else 1.0
        fixed = Z @ point[:p] + o
        u = modes(family, world.y, fixed, code, w, variance, shape)
        loglik, _, weight = slopes_of(family, world.y, fixed + u[code], shape)
        information = np.bincount(code, w * weight)
        value = w @ loglik - u @ u / (2 * variance) - np.log1p(variance * information).sum() / 2
        return value, u, np.sqrt(variance / (1 + variance * information)), w * weight

    return at


def point_of(found):
    point = [found.intercept, *found.between_coef, *found.coef, np.log(found.sigma)]
    return np.array([*point, np.log(found.shape)] if found.family == "gamma" else point)


def errors_given_spread(world, X, weight, sigma):
    """Return the coefficients' errors from the whole information matrix, sigma known."""
    chosen = np.eye(world.code.max() + 1)[world.code]
    Z = np.column_stack([with_constant(X), chosen])
    p = Z.shape[1] - chosen.shape[1]
    prior = np.diag(np.r_[np.zeros(p), np.full(chosen.shape[1], sigma**-2)])
    return np.sqrt(np.diag(np.linalg.inv(Z.T @ (Z * weight[:, None]) + prior)))[:p]


@each_case
@by_laplace
def test_the_answer_is_the_maximum_of_the_dense_approximation(family, names):
    world = make_world(family, seed=3)
    found, at = fit(world, family, names), laplace(world, family, names)
    start = np.array([0.0, 0.0, 0.0, -0.5, 0.0][: 4 + (family == "gamma")])
    point, value = maximise(lambda one: at(one)[0], start)
    _, effects, spread, weight = at(point)
    np.testing.assert_allclose(point_of(found), point, rtol=0, atol=1e-5)
    np.testing.assert_allclose(found.effects, effects, rtol=0, atol=1e-5)
    np.testing.assert_allclose(found.effects_se, spread, rtol=1e-5)
    assert found.loglik == pytest.approx(value, abs=1e-7)
    errors = errors_given_spread(world, world.X, weight, found.sigma)
    np.testing.assert_allclose([found.intercept_se, *found.coef_se], errors, rtol=1e-3)
    assert found.converged
    assert found.method == "laplace"


@each_case
@by_laplace
@pytest.mark.parametrize(
    ("seed", "sizes", "spread"), [(3, SIZES, 0.7), (4, (5,) * 60, 0.5), (5, BALANCED, 0.15)]
)
def test_the_approximation_is_level_at_the_answer(family, names, seed, sizes, spread):
    world = make_world(family, seed=seed, sizes=sizes, spread=spread)
    found, at = fit(world, family, names), laplace(world, family, names)
    assert found.converged
    assert found.sigma > 0
    point = point_of(found)
    level = slope(lambda one: at(one)[0], point)
    errors = np.r_[found.intercept_se, found.coef_se, np.full(len(point) - 3, 0.05)]
    # What a standard error's move would change the log-likelihood by.
    assert np.abs(level * errors).max() < 5e-4
    assert found.loglik == pytest.approx(at(point)[0], abs=1e-7)
    np.testing.assert_allclose(found.effects, at(point)[1], atol=1e-8)


def test_what_is_left_is_as_little_as_is_said():
    world = make_world("gamma", 6, (2,) * 150, spread=1.0)
    found = fit(world, "gamma")
    level = slope(lambda one: laplace(world, "gamma", ())(one)[0], point_of(found))
    assert abs(level[0] * found.intercept_se) < 1e-5


def test_amounts_of_providers_that_differ_e_fold_are_fitted():
    world = make_world("gamma", 4, (5,) * 60, spread=1.0)
    assert fit(world, "gamma").converged


@pytest.mark.parametrize("seed", range(3))
def test_a_large_spread_on_the_logit_scale_is_found(seed):
    world = make_world("binomial", seed=seed, sizes=(30,) * 60, spread=5.0)
    found, at = fit(world, "binomial"), laplace(world, "binomial", ())
    level = slope(lambda one: at(one)[0], point_of(found))
    assert found.converged
    assert 3 < found.sigma < 8
    assert np.abs(level).max() < 0.01


@pytest.mark.parametrize("seed", range(3))
def test_a_large_spread_between_small_providers_converges_or_says_so(seed):
    world = make_world("binomial", seed=seed, sizes=(4,) * 100, spread=5.0)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        found = fit(world, "binomial")
    assert [one.category for one in told] == ([] if found.converged else [NotConvergedWarning])


@pytest.mark.parametrize("seed", range(3))
def test_a_large_spread_between_small_providers_converges(seed):
    world = make_world("binomial", seed=seed, sizes=(4,) * 100, spread=5.0)
    assert fit(world, "binomial").converged


@by_laplace
def test_the_higher_of_two_maxima_of_the_approximation_is_found(family):
    """One provider of 300; one of 8 with events only or tiny amounts; for events, one without."""
    world = unlike((300, 8, 8), [0.0, -3.0, 0.0], 0.7)
    half = np.r_[np.arange(300) % 2, np.ones(8), np.zeros(8)]
    world.y = half if family == "binomial" else np.exp(world.y)
    found, at = fit(world, family), laplace(world, family, ())
    last = [np.log(found.shape)] if family == "gamma" else []
    higher = max(at(np.r_[found.intercept, log, last])[0] for log in np.linspace(-2, 2, 30))
    assert found.loglik > higher


@pytest.mark.parametrize("ratio", [1e-3, 0.03, 0.1, 10.0, 300.0, 1e4])
def test_amounts_of_very_different_groups_are_fitted(ratio):
    """A cost 300 times as high in one group moves the coefficient of its dummy by log(300)."""
    world = make_world("gamma", seed=5, sizes=(50,) * 20, spread=0.3)
    world.X[:, 1] = np.random.default_rng(0).random(1_000) < 0.1
    found = fit(world, "gamma")
    apart = fit(world, "gamma", y=world.y * np.where(world.X[:, 1] == 1, ratio, 1.0))
    np.testing.assert_allclose(apart.coef, found.coef + [0, np.log(ratio)], atol=1e-5)
    assert apart.shape == pytest.approx(found.shape, rel=1e-5)


@pytest.mark.parametrize(("spread", "steepness"), [(2.0, 0.5), (3.0, 0.5), (0.3, 3.0), (0.3, 5.0)])
def test_amounts_of_several_orders_of_magnitude_are_fitted(spread, steepness):
    world = make_world("gamma", 5, (50,) * 20, spread=spread, slopes=(steepness,))
    found, at = fit(world, "gamma"), laplace(world, "gamma", ())
    assert np.abs(slope(lambda one: at(one)[0], point_of(found))).max() < 0.1


@pytest.mark.parametrize("scale", [1e-100, 1e-6, 1e3, 1e9, 1e100])
def test_amounts_in_another_currency_move_only_the_intercept(scale):
    world = make_world("gamma")
    found, scaled = fit(world, "gamma"), fit(world, "gamma", y=world.y * scale)
    assert scaled.intercept - np.log(scale) == pytest.approx(found.intercept, abs=1e-8)
    np.testing.assert_allclose(scaled.coef, found.coef, atol=1e-9)
    np.testing.assert_allclose(scaled.effects, found.effects, atol=1e-9)
    assert scaled.loglik + len(world.y) * np.log(scale) == pytest.approx(found.loglik, abs=1e-5)


@pytest.mark.parametrize("outcome", ["the same for all", "explained without residual"])
def test_amounts_without_variation_are_refused_as_such(outcome):
    world = make_world("gamma")
    y = np.full(len(world.y), 5.0) if outcome == "the same for all" else np.exp(world.X[:, 0])
    with pytest.raises(ArrayError, match=r"^y:"):
        fit(world, "gamma", y=y)


# --- provider means beside the covariates ---


@each_family
@each_case
def test_correlated_is_a_fit_with_the_provider_means_appended(family, names):
    world = make_world(family, seed=2, sizes=(12,) * 15)
    w, _ = given(world, names)
    total = partial(np.bincount, world.code)
    means = np.column_stack([total(w * x) / total(w) for x in world.X.T])[world.code]
    found = fit(world, family, names, correlated=True)
    other = fit(world, family, names, X=np.hstack([means, world.X]))
    errors = np.r_[other.intercept_se, other.coef_se]
    ours = np.r_[found.intercept, found.between_coef, found.coef]
    np.testing.assert_array_less(np.abs(ours - np.r_[other.intercept, other.coef]) / errors, 1e-4)
    ours = np.r_[found.intercept_se, found.between_se, found.coef_se]
    np.testing.assert_allclose(ours, errors, rtol=1e-3)
    np.testing.assert_allclose(found.coef_covariance, other.coef_covariance, rtol=5e-3, atol=1e-5)
    np.testing.assert_allclose(found.effects, other.effects, atol=1e-5)
    assert found.sigma == pytest.approx(other.sigma, rel=1e-5, abs=1e-9)
    assert found.loglik == pytest.approx(other.loglik, abs=1e-7)


def test_correlated_coefficients_are_those_of_fixed_effects():
    """Mundlak 1978, Econometrica 46:69-85: the within estimator, balanced or not."""
    world = make_world(sizes=SIZES)
    total = partial(np.bincount, world.code)
    rows = np.column_stack([world.X, world.y])
    within = rows - np.column_stack([total(one) / total() for one in rows.T])[world.code]
    estimate = np.linalg.lstsq(within[:, :2], within[:, 2])[0]
    np.testing.assert_allclose(fit(world, correlated=True).coef, estimate, rtol=1e-9)


def test_without_provider_means_there_is_no_coefficient_of_them():
    found = fit(make_world())
    assert found.between_coef.shape == found.between_se.shape == (0,)
    assert found.coef_covariance.shape == (3, 3)


# --- at the boundary: chance explains all differences ---


def alike(family):
    """Return providers of the very same outcomes and covariates."""
    rng = np.random.default_rng(0)
    x, code = np.tile(rng.normal(size=40), 6), np.repeat(np.arange(6), 40)
    eta = 0.3 * x[:40]
    return SimpleNamespace(X=x[:, None], code=code, y=np.tile(draw(family, rng, eta), 6))


@each_family
@each_method
def test_providers_that_do_not_differ_have_no_spread_and_no_effects(family, method):
    found = fit(alike(family), family, method=method)
    assert found.sigma == 0.0
    assert found.effects.tolist() == [0.0] * 6
    assert found.effects_se.tolist() == [0.0] * 6
    assert found.converged
    numbers = [found.intercept, found.intercept_se, found.loglik, *found.coef, *found.coef_se]
    assert np.isfinite(numbers).all()
    assert np.isfinite(found.coef_covariance).all()


def test_without_spread_a_gaussian_fit_is_least_squares():
    world = alike("gaussian")
    found, Z = fit(world), with_constant(world.X)
    coef, squares, *_ = np.linalg.lstsq(Z, world.y)
    np.testing.assert_allclose([found.intercept, *found.coef], coef, rtol=1e-10)
    assert found.residual_sd**2 == pytest.approx(squares[0] / (240 - 2), rel=1e-10)


@by_laplace
def test_without_spread_the_likelihood_is_level_in_the_coefficients(family):
    world = alike(family)
    found, Z = fit(world, family), with_constant(world.X)
    shape = found.shape if family == "gamma" else 1.0
    score = slopes_of(family, world.y, Z @ [found.intercept, *found.coef], shape)[1]
    np.testing.assert_allclose(Z.T @ score, 0, atol=1e-4)


@pytest.mark.parametrize("family", ALL)
@pytest.mark.parametrize("seed", range(4))
def test_a_spread_of_next_to_nothing_is_where_the_likelihood_is_highest(family, seed):
    world = make_world(family, seed, BALANCED, spread=0.05, slopes=(0.5,))
    found = fit(world, family, method="ml")
    assert found.converged
    if family == "gaussian":
        at = linear(world, (), "ml")
        heights = [
            at([log, np.log(found.residual_sd)])[0] for log in (-9.0, -4.0, -3.0, -2.5, -2.0)
        ]
    else:
        at, last = laplace(world, family, ()), point_of(replace(found, sigma=1.0))
        logs = (-9.0, -4.0, -3.0, -2.5, -2.0)
        heights = [at(np.r_[last[:2], log, last[3:]])[0] for log in logs]
    assert found.loglik > max(heights) - 1e-6


# --- coefficients without bound ---


def with_dummy(events, seed=9, sizes=(200,) * 10):
    """Return episodes whose last covariate marks 40 of them, `events` of those with the event."""
    world = make_world("binomial", seed, sizes)
    marked = np.random.default_rng(seed).choice(2_000, 40, replace=False)
    X = np.column_stack([world.X[:, 0], np.isin(np.arange(2_000), marked)])
    world.X = pd.DataFrame(X, columns=["age", "rare"])
    world.y[marked] = 0.0
    world.y[marked[:events]] = 1.0
    return world


@pytest.mark.parametrize("events", [0, 40])
@pytest.mark.parametrize("correlated", [False, True])
def test_a_dummy_of_events_only_is_named_as_separating(events, correlated):
    with pytest.warns(SeparationWarning, match="'rare' tells events .* its coefficient has") as w:
        found = fit(with_dummy(events), "binomial", correlated=correlated)
    assert not found.converged
    assert found.passes < 40
    assert found.warnings == (w[0].message,)
    assert w[0].filename == __file__


@pytest.mark.parametrize("events", [1, 39])
def test_a_rare_dummy_with_a_single_exception_is_no_separation(events):
    found = fit(with_dummy(events), "binomial")
    assert found.converged
    assert found.warnings == ()
    assert 2 < abs(found.coef[1]) < 6


def test_a_covariate_that_tells_all_events_is_named():
    world = make_world("binomial", sizes=BALANCED)
    X = pd.DataFrame(world.X, columns=["score", "age"])
    with pytest.warns(SeparationWarning, match="'score'"):
        found = fit(world, "binomial", X=X, y=(world.X[:, 0] > 0).astype(float))
    assert not found.converged


def test_providers_of_events_only_need_no_warning():
    world = make_world("binomial", sizes=BALANCED)
    world.y[world.code == 3], world.y[world.code == 5] = 0.0, 1.0
    found = fit(world, "binomial")
    assert found.converged
    assert np.isfinite(found.effects).all()
    assert found.effects.argmin() == 3
    assert found.effects.argmax() == 5


def test_a_spread_without_bound_is_not_called_converged():
    world = make_world("binomial", sizes=BALANCED)
    with pytest.warns(NotConvergedWarning):
        found = fit(world, "binomial", y=(world.code < 10).astype(float))
    assert not found.converged


def test_a_covariate_with_a_long_tail_is_no_separation():
    rng = np.random.default_rng(0)
    provider, x = rng.integers(0, 20, 4_000), np.exp(4 * rng.normal(size=4_000))
    y = (rng.random(4_000) < expit(-1 + 0.5 * x)).astype(float)
    assert fit_random_intercept(y, x, provider, "binomial").converged


# --- covariates and offsets of any size and place ---


@each_family
def test_covariates_of_wildly_different_scale_are_fitted_alike(family):
    world = make_world(family, spread=0.4, slopes=(0.5, -0.3, 0.1))
    scale = np.array([1e-8, 1.0, 1e8])
    found, scaled = fit(world, family), fit(world, family, X=world.X * scale)
    np.testing.assert_allclose(scaled.coef * scale, found.coef, rtol=1e-7)
    np.testing.assert_allclose(scaled.coef_se * scale, found.coef_se, rtol=1e-6)
    np.testing.assert_allclose(scaled.effects, found.effects, atol=1e-7)


@pytest.mark.parametrize(
    ("family", "correlated", "place", "width"),
    [
        ("gaussian", False, 2018.0, 1.0),
        ("gaussian", False, 1.7e9, 1e7),
        ("gaussian", True, 1.7e9, 1e7),
        ("binomial", False, 70.0, 10.0),
        ("gamma", False, 70.0, 10.0),
        ("binomial", True, 70.0, 10.0),
        ("gamma", True, 70.0, 10.0),
        ("gaussian", True, 2018.0, 0.3),
        ("binomial", False, 2018.0, 1.0),
        ("binomial", True, 2018.0, 1.0),
        ("gamma", False, 2018.0, 1.0),
        ("gamma", True, 2018.0, 1.0),
    ],
)
def test_a_covariate_far_from_0_moves_only_the_intercept(family, correlated, place, width):
    world = make_world(family, sizes=BALANCED)
    found = fit(world, family, correlated=correlated)
    X = world.X * [width, 1.0] + [place, 0.0]
    moved = fit(world, family, X=X, correlated=correlated)
    np.testing.assert_allclose(moved.coef * [width, 1.0], found.coef, rtol=1e-4)
    np.testing.assert_allclose(moved.coef_se * [width, 1.0], found.coef_se, rtol=1e-3)
    np.testing.assert_allclose(moved.effects, found.effects, atol=1e-4)
    assert moved.sigma == pytest.approx(found.sigma, rel=1e-4)


@pytest.mark.parametrize(
    ("family", "place"),
    [
        *(("binomial", place) for place in (-100.0, -3.0, 1.0, 10.0)),
        *(("gamma", place) for place in (-10.0, -1.0, 0.5, 3.0)),
    ],
)
def test_a_constant_offset_moves_only_the_intercept(family, place):
    world = make_world(family, sizes=BALANCED)
    found = fit(world, family)
    moved = fit(world, family, offset=np.full(600, place))
    assert moved.intercept + place == pytest.approx(found.intercept, abs=1e-5)
    np.testing.assert_allclose(moved.coef, found.coef, atol=1e-6)
    assert moved.sigma == pytest.approx(found.sigma, rel=1e-5)


def test_the_length_of_stay_may_be_an_offset_of_amounts():
    world = make_world("gamma", seed=1, sizes=BALANCED)
    days = np.random.default_rng(0).integers(1, 30, 600).astype(float)
    per_day = fit(world, "gamma")
    found = fit(world, "gamma", y=world.y * days, offset=np.log(days))
    np.testing.assert_allclose(found.coef, per_day.coef, atol=1e-6)


# --- shapes and kinds of input ---


@each_family
def test_no_covariates_are_needed(family):
    world = make_world(family)
    none = pd.DataFrame(index=range(len(world.y)))
    found = fit(world, family, X=none, correlated=True)
    assert found.coef.shape == found.between_coef.shape == (0,)
    assert found.coef_covariance.shape == (1, 1)
    if family == "gaussian":
        level = slope(
            lambda logs: linear(world, (), "reml", none)(logs)[0],
            np.log([found.sigma, found.residual_sd]),
        )
    else:
        at = laplace(world, family, (), none)
        level = slope(lambda one: at(one)[0], point_of(found))
    np.testing.assert_allclose(level, 0, atol=1e-3)


@each_family
def test_two_providers_are_enough(family):
    world = make_world(family, seed=3, sizes=(60, 50), spread=1.5)
    found = fit(world, family)
    assert found.converged
    assert found.effects.shape == (2,)
    assert np.isfinite(found.effects).all()


@each_family
def test_ninety_per_cent_of_episodes_may_be_of_one_provider(family):
    world = make_world(family, seed=2, sizes=(900, 20, 50, 30))
    found = fit(world, family)
    assert found.converged
    assert found.sigma > 0


@pytest.mark.parametrize("kind", [bool, int, np.int8, np.float32, object])
def test_events_of_any_kind_of_number_are_taken(kind):
    world = make_world("binomial")
    same_fit(fit(world, "binomial", y=world.y.astype(kind)), fit(world, "binomial"))


@each_family
def test_inputs_are_left_as_they_are(family):
    world = make_world(family)
    order = np.argsort(world.code, kind="stable")
    rows = {name: np.asfortranarray(row[order]) for name, row in vars(world).items()}
    for row in rows.values():
        row.setflags(write=False)
    names = CASES["weights and offset"]
    same_fit(fit(SimpleNamespace(**rows), family, names), fit(world, family, names))


def test_ninety_nine_thousand_single_episodes_beside_a_pair_are_fitted():
    rng = np.random.default_rng(0)
    provider = np.maximum(np.arange(100_000) - 1, 0)
    y = rng.normal(size=100_000)
    found = fit_random_intercept(y, rng.normal(size=(100_000, 2)), provider)
    assert np.isfinite([found.sigma, found.residual_sd, *found.coef]).all()
    assert np.hypot(found.sigma, found.residual_sd) == pytest.approx(1, abs=0.02)


def test_twenty_events_in_two_hundred_thousand_episodes_are_enough():
    rng = np.random.default_rng(4)
    provider = rng.integers(0, 50, 200_000)
    y = np.zeros(200_000)
    y[rng.choice(200_000, 20, replace=False)] = 1.0
    found = fit_random_intercept(y, rng.normal(size=(200_000, 2)), provider, "binomial")
    assert found.converged
    assert found.warnings == ()
    assert found.intercept == pytest.approx(np.log(1e-4), abs=0.5)


# --- providers drawn more than once ---


@each_method
def test_a_provider_drawn_twice_is_two_providers_in_a_linear_fit(method):
    world, twice = doubled("gaussian")
    fits = [
        fit_linear(design, between_covariates(design, True), method == "reml")
        for design in (world, twice)
    ]
    assert fits[0].ratio == pytest.approx(fits[1].ratio, rel=1e-8)
    assert fits[0].loglik == pytest.approx(fits[1].loglik, rel=1e-10)
    np.testing.assert_allclose(fits[0].coef, fits[1].coef, atol=1e-9)
    np.testing.assert_allclose(fits[0].effects, fits[1].effects[:8], atol=1e-9)


@by_laplace
def test_a_provider_drawn_twice_is_two_providers_in_a_fit_by_laplace(family):
    fits = [
        fit_laplace(design, FAMILIES[family], between_covariates(design, True))
        for design in doubled(family)
    ]
    np.testing.assert_allclose(fits[0].point.coef, fits[1].point.coef, atol=1e-5)
    np.testing.assert_allclose(fits[0].point.effects, fits[1].point.effects[:8], atol=1e-5)
    assert fits[0].point.variance == pytest.approx(fits[1].point.variance, rel=1e-5)
    assert fits[0].summit.view.objective == pytest.approx(fits[1].summit.view.objective, rel=1e-9)


def doubled(family):
    """Return a design whose providers 1 and 4 count twice, and one that holds them twice."""
    world = make_world(family, seed=2, sizes=(20,) * 8)
    copies = np.where(np.isin(np.arange(8), [1, 4]), 2.0, 1.0)
    again = np.flatnonzero(copies[world.code] == 2)
    rows = np.r_[np.arange(160), again]
    code = np.r_[world.code, world.code[again] + 10]
    once = build_design(world.y, world.X, world.code).in_order()
    twice = build_design(world.y[rows], world.X[rows], code).in_order()
    return replace(once, copies=copies), twice


# --- many episodes: a fit to some of them is the start ---


@by_laplace
@pytest.mark.parametrize("names", [CASES["plain"], CASES["weights and offset"]])
@pytest.mark.parametrize("correlated", [False, True])
@pytest.mark.parametrize("sizes", [(30,) * 60, (5,) * 120, (300, 3, 30, 400, 50, 9, 8, 7)])
def test_a_warm_start_leads_to_the_same_answer(monkeypatch, family, names, correlated, sizes):
    world = make_world(family, 3, sizes, spread=0.5)
    cold = fit(world, family, names, correlated=correlated)
    set_everywhere(monkeypatch, LARGE=100)
    same_fit(fit(world, family, names, correlated=correlated), cold, rtol=3e-5)


@by_laplace
def test_a_warm_start_that_cannot_be_had_is_done_without(monkeypatch, family):
    set_everywhere(monkeypatch, LARGE=100)
    world = make_world(family, 3, (30,) * 40, spread=0.5)
    world.X[world.code < 10, 1] = 0.0
    assert fit(world, family).converged


def test_separation_is_seen_from_a_warm_start(monkeypatch):
    set_everywhere(monkeypatch, LARGE=100)
    with pytest.warns(SeparationWarning, match="'rare'"):
        found = fit(with_dummy(40, sizes=(50,) * 40), "binomial")
    assert not found.converged


def test_a_warm_start_from_a_separated_part_leads_to_the_answer(monkeypatch):
    world = make_world("binomial", 3, (100,) * 20)
    world.X[:, 1] = np.random.default_rng(1).random(2_000) < 0.05
    world.y[(world.code < 6) & (world.X[:, 1] == 1)] = 1.0
    cold = fit(world, "binomial")
    set_everywhere(monkeypatch, LARGE=100)
    same_fit(fit(world, "binomial"), cold, rtol=1e-5)


# --- what is refused ---


def refused(says, family="gaussian", **changes):
    with pytest.raises(ArrayError, match=says):
        fit(make_world(family, sizes=(20, 20)), family, **changes)


ROW = np.zeros(40)
LAST = np.eye(40)[-1]


@each_family
@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["y", "X", "weights", "offset"])
def test_a_number_that_is_not_finite_is_refused_by_name(name, wrong, family):
    value = np.where(LAST == 1, wrong, 1.0)
    refused(rf"^{name}: wanted finite numbers; got 1 .*row 39", family, **{name: value})


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"y": ROW[:-1]}, "^X: wanted 39 rows"),
        ({"X": np.ones((39, 2))}, "^X: wanted 40 rows"),
        ({"provider": np.arange(39)}, "^provider: wanted one per episode, 40; got 39"),
        ({"weights": np.ones(39)}, r"^weights: wanted shape \(40,\)"),
        ({"offset": np.zeros((40, 1))}, r"^offset: wanted shape \(40,\)"),
        ({"y": []}, "^y: wanted one outcome per episode"),
        ({"provider": np.where(LAST == 1, np.nan, 1.0)}, "^provider: wanted a label for every row"),
        ({"weights": ROW - LAST}, "^weights: wanted numbers of 0 or more; got -1"),
        ({"weights": ROW}, "^weights: wanted an episode of weight above 0.* 2 providers without"),
        ({"X": np.array([["1", "x"]] * 40, dtype=object)}, "^X: wanted numbers; got others .*'x'"),
        ({"y": np.ones(40)}, "^y: wanted outcomes that differ; got 1 for all"),
        ({"family": "poisson"}, "^family: wanted one of gaussian, binomial, gamma; got 'poisson'"),
        ({"method": "laplace"}, "^method: wanted one of reml, ml; got 'laplace'"),
        ({"provider": ROW}, "^provider: wanted at least two providers; got one"),
        ({"provider": np.arange(40)}, "^provider: wanted providers with several episodes"),
        ({"X": np.random.default_rng(0).normal(size=(40, 39))}, "^provider|^X"),
    ],
)
def test_arrays_without_an_answer_are_refused_by_name(changes, says):
    refused(says, **changes)


@pytest.mark.parametrize(
    ("family", "y", "says"),
    [
        ("binomial", np.ones(40), "^y: wanted episodes with and without the event; got 1 for all"),
        ("binomial", ROW, "^y: wanted episodes with and without the event; got 0 for all"),
        ("binomial", ROW + 2 * LAST, "^y: wanted 0 or 1"),
        ("gamma", 1 - LAST, "^y: wanted amounts above 0; got 0. Model zeros apart"),
        ("gamma", 1 - 2 * LAST, "^y: wanted amounts above 0; got -1"),
    ],
)
def test_outcomes_of_another_family_are_refused(family, y, says):
    refused(says, family, y=y)


def test_a_provider_with_weights_of_0_only_is_refused():
    world = make_world(sizes=(20, 20))
    with pytest.raises(ArrayError, match=r"weights: .* 1 provider without"):
        fit(world, weights=(world.code == 0).astype(float))


@each_family
@pytest.mark.parametrize("correlated", [False, True])
def test_a_hundred_thousand_providers_of_one_episode_are_refused_at_once(family, correlated):
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 100_000) + (1.0 if family == "gamma" else 0.0)
    X = rng.normal(size=(100_000, 2))
    with pytest.raises(ArrayError, match="100,000 providers of one episode each"):
        fit_random_intercept(y, X, np.arange(100_000), family, correlated=correlated)


COLLINEAR = {
    "zeros": lambda x, code: np.zeros(len(x)),
    "a copy": lambda x, code: x[:, 0].copy(),
    "a scaled copy": lambda x, code: -1e6 * x[:, 0],
    "a sum": lambda x, code: x[:, 0] + x[:, 1],
}


@pytest.mark.parametrize("kind", COLLINEAR)
@each_family
def test_a_covariate_that_cannot_be_told_apart_is_named(kind, family):
    world = make_world(family, sizes=(40, 30, 50))
    columns = {"age": world.X[:, 0], "sex": world.X[:, 1]}
    X = pd.DataFrame({**columns, "pain": COLLINEAR[kind](world.X, world.code)})
    with pytest.raises(ArrayError, match="X: wanted covariates that vary, none a comb") as e:
        fit(world, family, X=X)
    named = {"zeros": ["'pain'"], "a sum": ["'pain'", "'age'", "'sex'"]}
    assert any(name in str(e.value) for name in named.get(kind, ["'pain'", "'age'"]))


@each_family
@pytest.mark.parametrize("constant", [1.0, -1.0])
def test_a_constant_is_named(constant, family):
    world = make_world(family, sizes=(40, 30, 50))
    with pytest.raises(ArrayError, match="got 'column 2'"):
        fit(world, family, X=np.column_stack([world.X, np.full(120, constant)]))


@by_laplace
@pytest.mark.parametrize("kind", ["a large constant", "a dummy for everybody"])
def test_what_is_collinear_with_the_intercept_is_named_instead_of_it(kind, family):
    world = make_world(family, sizes=(40, 30, 50))
    chosen = np.eye(3)[np.random.default_rng(0).integers(0, 3, 120)]
    large = np.column_stack([world.X, np.full(120, 1e9)])
    with pytest.raises(ArrayError, match="got 'column"):
        fit(world, family, X=large if kind == "a large constant" else chosen)


@each_family
def test_a_covariate_of_the_provider_is_fitted_unless_its_mean_is_too(family):
    world = make_world(family, sizes=BALANCED)
    X = np.column_stack([world.X, np.linspace(-1, 1, 20)[world.code]])
    assert fit(world, family, X=X).converged
    with pytest.raises(ArrayError, match=r"correlated=True, .* within providers; got 'column 2'"):
        fit(world, family, X=X, correlated=True)
    with pytest.raises(ArrayError, match=r"got 'column 0', which does not\. Leave it out, or"):
        fit(world, family, X=X[:, 2], correlated=True)


@each_family
def test_covariates_of_the_provider_are_named_together_when_correlated(family):
    world = make_world(family, sizes=BALANCED)
    level = np.linspace(-1, 1, 20)[world.code]
    X = pd.DataFrame({"beds": level, "age": world.X[:, 0], "teaching": level > 0})
    with pytest.raises(ArrayError, match=r"got 'beds', 'teaching', which do not\. Leave them"):
        fit(world, family, X=X, correlated=True)


@each_family
def test_correlated_wants_more_providers_than_covariates(family):
    world = make_world(family, sizes=(60, 60))
    with pytest.raises(ArrayError, match=r"^provider: .*; got 2 providers and 2 covariates\."):
        fit(world, family, correlated=True)


@each_family
@pytest.mark.parametrize("kind", COLLINEAR)
def test_what_is_a_combination_is_named_by_itself_when_correlated(kind, family):
    world = make_world(family, sizes=BALANCED)
    X = np.column_stack([world.X, COLLINEAR[kind](world.X, world.code)])
    with pytest.raises(ArrayError, match=r"^X: .* vary within providers.*; got 'col") as e:
        fit(world, family, X=X, correlated=True)
    assert "mean" not in str(e.value)


def test_a_covariate_balanced_over_providers_has_no_mean_to_add():
    code, x = np.tile(np.arange(10), 20), np.repeat(np.arange(20.0), 10)
    y = np.random.default_rng(0).normal(size=200)
    with pytest.raises(ArrayError, match=r"provider means vary.*got that of 'column 0'\."):
        fit_random_intercept(y, x, code, correlated=True)


def test_what_does_not_settle_says_so(monkeypatch):
    set_everywhere(monkeypatch, MAX_PASSES=2)
    with pytest.warns(NotConvergedWarning, match="not settled after 2 passes"):
        found = fit(make_world("binomial"), "binomial")
    assert not found.converged
    assert [type(one) for one in found.warnings] == [NotConvergedWarning]
