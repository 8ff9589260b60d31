"""Fixed provider effects against dense fits with a dummy per provider, at the edge and beyond it.

The references are slow and plain: ordinary least squares, Newton's method on the full matrix, and
numerical slopes.
"""

import sys
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import optimize
from scipy.special import expit

from riskadj.errors import ArrayError
from riskadj.stats.arrow import Arrow, CollinearError
from riskadj.stats.fits import AllOrNoneWarning, NotConvergedWarning, SeparationWarning
from riskadj.stats.fixed_effects import fit_fixed_effects

CASES = {"plain": (), "weights": ("weights",), "offset": ("offset",)}
CASES["weights and offset"] = ("weights", "offset")
SIZES = (40, 7, 25, 2, 60, 12)
each_case = pytest.mark.parametrize("names", CASES.values(), ids=CASES)
each_family = pytest.mark.parametrize("family", ["gaussian", "binomial"])
plain_or_firth = pytest.mark.parametrize("firth", [False, True])


def make_world(family="gaussian", seed=0, sizes=SIZES, spread=0.5, slopes=(0.5, -0.3)):
    """Return episodes out of order; with `binomial` every provider has events and others."""
    rng = np.random.default_rng(seed)
    code = np.repeat(np.arange(len(sizes)), sizes)
    n = len(code)
    X = rng.normal(size=(n, len(slopes)))
    offset = rng.normal(size=n)
    eta = 0.2 + X @ slopes + spread * rng.normal(size=len(sizes))[code] + 0.3 * offset
    if family == "gaussian":
        y = eta + rng.normal(size=n)
    else:
        y = (rng.random(n) < expit(eta)).astype(float)
        first = np.flatnonzero(np.diff(code, prepend=-1))
        y[first], y[first + 1] = 0.0, 1.0
    order = rng.permutation(n)
    weights = rng.uniform(0.2, 3.0, n)
    rows = {"y": y, "X": X, "code": code, "weights": weights, "offset": offset}
    return SimpleNamespace(**{name: row[order] for name, row in rows.items()})


def fit(world, family="gaussian", names=(), **changes):
    given = {name: getattr(world, name) for name in names}
    made = {"y": world.y, "X": world.X, "provider": world.code, "family": family, **given}
    return fit_fixed_effects(**{**made, **changes})


def set_everywhere(monkeypatch, **constants):
    """Set module constants of the kernels, wherever they are."""
    for name, value in constants.items():
        holders = [one for key, one in sys.modules.items() if key.startswith("riskadj.stats.")]
        found = [one for one in holders if hasattr(one, name)]
        assert found
        for one in found:
            monkeypatch.setattr(one, name, value)


def dummies(world):
    """Return covariates with a column per provider, weights and offset."""
    return np.hstack([world.X, np.eye(world.code.max() + 1)[world.code]])


def given(world, names):
    weights = world.weights if "weights" in names else np.ones(len(world.y))
    return weights, world.offset if "offset" in names else np.zeros(len(world.y))


def least_squares(world, names):
    """Return estimates, standard errors, residual deviation and log-likelihood."""
    Z, (w, o) = dummies(world), given(world, names)
    root = np.sqrt(w)
    estimates = np.linalg.lstsq(Z * root[:, None], (world.y - o) * root)[0]
    squares = float(np.sum(w * (world.y - o - Z @ estimates) ** 2))
    n, p = Z.shape
    variance = squares / (n - p)
    errors = np.sqrt(variance * np.diag(np.linalg.inv(Z.T @ (Z * w[:, None]))))
    each = squares / n / w
    loglik = -0.5 * np.sum(np.log(2 * np.pi * each)) - n / 2
    return estimates, errors, np.sqrt(variance), loglik


def information(Z, w, estimates, o):
    risk = expit(Z @ estimates + o)
    return Z.T @ (Z * (w * risk * (1 - risk))[:, None])


def logistic(world, names, firth):
    """Return where the (modified) score is 0, and what the whole information matrix says there."""
    Z, (w, o) = dummies(world), given(world, names)

    def score(estimates):
        risk = expit(Z @ estimates + o)
        covariance = np.linalg.inv(information(Z, w, estimates, o))
        hat = w * risk * (1 - risk) * np.einsum("ij,jk,ik->i", Z, covariance, Z)
        return Z.T @ (w * (world.y - risk) + firth * hat * (0.5 - risk))

    near = optimize.minimize(
        lambda at: -log_likelihood(world, names, firth, at),
        np.zeros(Z.shape[1]),
        jac=lambda at: -score(at),
        method="BFGS",
    )
    estimates = optimize.root(score, near.x, tol=1e-13).x
    assert np.abs(score(estimates)).max() < 1e-8
    covariance = np.linalg.inv(information(Z, w, estimates, o))
    return estimates, np.sqrt(np.diag(covariance)), covariance


def log_likelihood(world, names, firth, estimates):
    Z, (w, o) = dummies(world), given(world, names)
    eta = Z @ estimates + o
    loglik = float(np.sum(w * (world.y * eta - np.logaddexp(0, eta))))
    return loglik + firth * np.linalg.slogdet(information(Z, w, estimates, o))[1] / 2


def slope(function, at, step=1e-5):
    """Return the numerical slope in each direction."""
    return np.array(
        [(function(at + step * e) - function(at - step * e)) / (2 * step) for e in np.eye(len(at))]
    )


def estimates_of(found):
    return np.concatenate([found.coef, found.effects])


def errors_of(found):
    return np.concatenate([found.coef_se, found.effects_se])


def same_fit(found, other, rtol=1e-7):
    np.testing.assert_allclose(found.coef, other.coef, rtol=rtol, atol=rtol)
    np.testing.assert_allclose(found.coef_se, other.coef_se, rtol=1e-4)
    np.testing.assert_allclose(found.effects, other.effects, rtol=rtol, atol=rtol)
    np.testing.assert_allclose(found.effects_se, other.effects_se, rtol=1e-4)
    assert found.loglik == pytest.approx(other.loglik, rel=1e-9)


# --- least squares with a dummy per provider ---


@each_case
@pytest.mark.parametrize("seed", range(3))
def test_gaussian_is_least_squares_with_a_dummy_per_provider(names, seed):
    world = make_world(seed=seed)
    found = fit(world, names=names)
    estimates, errors, residual_sd, loglik = least_squares(world, names)
    np.testing.assert_allclose(estimates_of(found), estimates, rtol=1e-10, atol=1e-11)
    np.testing.assert_allclose(errors_of(found), errors, rtol=1e-10)
    assert found.residual_sd == pytest.approx(residual_sd, rel=1e-10)
    assert found.loglik == pytest.approx(loglik, rel=1e-10)
    assert found.converged
    assert found.providers.tolist() == list(range(len(SIZES)))
    assert found.n.tolist() == list(SIZES)


def test_the_covariance_of_coefficients_is_that_of_least_squares():
    world = make_world(slopes=(0.5, -0.3, 0.1))
    Z = dummies(world)
    found = fit(world)
    covariance = found.residual_sd**2 * np.linalg.inv(Z.T @ Z)[:3, :3]
    np.testing.assert_allclose(found.coef_covariance, covariance, rtol=1e-9, atol=1e-12)


def test_a_provider_of_one_episode_gets_that_episode():
    world = make_world(sizes=(30, 1, 20, 1))
    found = fit(world)
    estimates, errors, *_ = least_squares(world, ())
    np.testing.assert_allclose(estimates_of(found), estimates, rtol=1e-10)
    np.testing.assert_allclose(errors_of(found), errors, rtol=1e-10)
    alone = world.code == 1
    assert found.effects[1] == pytest.approx(float((world.y - world.X @ found.coef)[alone][0]))


@pytest.mark.parametrize("scale", [1e-6, 1e-3, 1e3, 1e9])
def test_gaussian_answers_scale_with_the_outcome(scale):
    world = make_world()
    found, scaled = fit(world), fit(world, y=world.y * scale)
    for name in ("coef", "coef_se", "effects", "effects_se", "sigma", "residual_sd"):
        np.testing.assert_allclose(getattr(scaled, name), scale * getattr(found, name), rtol=1e-9)
    assert scaled.converged


@pytest.mark.parametrize("slope_of_x", [1e3, 1e6, 1e9])
def test_a_covariate_that_explains_nearly_all_costs_no_digits(slope_of_x):
    world = make_world()
    found, steep = fit(world), fit(world, y=world.y + slope_of_x * world.X[:, 0])
    np.testing.assert_allclose(
        steep.coef - [slope_of_x, 0], found.coef, atol=1e-16 * slope_of_x * 9
    )
    assert steep.residual_sd == pytest.approx(found.residual_sd, rel=1e-6)


def test_an_outcome_without_residual_is_fitted_exactly():
    world = make_world()
    found = fit(world, y=world.X @ [2.0, -1.0] + world.code)
    np.testing.assert_allclose(found.coef, [2.0, -1.0], rtol=1e-12)
    np.testing.assert_allclose(found.effects, range(len(SIZES)), atol=1e-12)
    assert found.residual_sd < 1e-12
    assert found.converged


# --- logistic regression with a dummy per provider ---


@each_case
@plain_or_firth
@pytest.mark.parametrize("seed", range(3))
def test_binomial_is_logistic_regression_with_a_dummy_per_provider(names, firth, seed):
    world = make_world("binomial", seed)
    found = fit(world, "binomial", names, firth=firth)
    estimates, errors, covariance = logistic(world, names, firth)
    np.testing.assert_allclose(estimates_of(found), estimates, rtol=0, atol=5e-7)
    np.testing.assert_allclose(errors_of(found), errors, rtol=1e-4)
    np.testing.assert_allclose(found.coef_covariance, covariance[:2, :2], rtol=2e-3, atol=1e-7)
    loglik = log_likelihood(world, names, firth, estimates)
    assert found.loglik == pytest.approx(loglik, abs=1e-9)
    assert found.converged
    assert found.firth is firth
    assert np.isnan(found.residual_sd)


@each_case
@plain_or_firth
def test_the_likelihood_is_level_at_the_answer(names, firth):
    world = make_world("binomial", seed=5)
    found = fit(world, "binomial", names, firth=firth)
    level = slope(lambda at: log_likelihood(world, names, firth, at), estimates_of(found))
    # In units of what one standard error would change it by.
    assert np.abs(level * errors_of(found)).max() < 1e-6


@pytest.mark.parametrize("share", [0.005, 0.2, 0.8])
def test_rare_and_common_events_are_fitted_alike(share):
    rng = np.random.default_rng(3)
    world = make_world("binomial", sizes=(300, 500, 400))
    y = (rng.random(1200) < share).astype(float)
    y[[np.flatnonzero(world.code == k)[0] for k in range(3)]] = 1.0
    world.y = y
    np.testing.assert_allclose(
        estimates_of(fit(world, "binomial")), logistic(world, (), False)[0], atol=1e-6
    )


def test_twenty_events_in_two_hundred_thousand_episodes_are_enough():
    rng = np.random.default_rng(4)
    provider = rng.integers(0, 4, 200_000)
    X = rng.normal(size=(200_000, 2))
    y = np.zeros(200_000)
    y[rng.choice(200_000, 20, replace=False)] = 1.0
    found = fit_fixed_effects(y, X, provider, "binomial")
    risk = expit(found.effects[provider] + X @ found.coef)
    assert found.converged
    assert found.warnings == ()
    np.testing.assert_allclose(np.bincount(provider, y - risk), 0, atol=1e-6)
    np.testing.assert_allclose(X.T @ (y - risk), 0, atol=1e-5)


def test_firth_fits_twenty_events_in_two_hundred_thousand_episodes():
    rng = np.random.default_rng(0)
    provider = rng.integers(0, 100, 200_000)
    X = rng.normal(size=(200_000, 2))
    y = np.zeros(200_000)
    y[rng.choice(200_000, 20, replace=False)] = 1.0
    assert fit_fixed_effects(y, X, provider, "binomial", firth=True).converged


# --- providers with no or only events ---


def with_extremes(family="binomial"):
    """Provider 1 has no events, 3 and 5 only events."""
    world = make_world(family, seed=7, sizes=(40, 9, 50, 1, 35, 12))
    world.y[world.code == 1] = 0.0
    world.y[np.isin(world.code, [3, 5])] = 1.0
    return world


@each_case
def test_a_provider_without_contrast_has_an_infinite_effect(names):
    with pytest.warns(AllOrNoneWarning, match="1 provider has no events and 2 only events") as w:
        found = fit(with_extremes(), "binomial", names)
    assert found.effects[[1, 3, 5]].tolist() == [-np.inf, np.inf, np.inf]
    assert np.isposinf(found.effects_se[[1, 3, 5]]).all()
    assert np.isfinite(found.effects[[0, 2, 4]]).all()
    assert [type(one) for one in found.warnings] == [AllOrNoneWarning]
    assert found.warnings[0] is w[0].message
    assert w[0].filename == __file__
    assert found.converged


@each_case
def test_the_rest_is_as_if_providers_without_contrast_were_not_there(names):
    world = with_extremes()
    kept = np.isin(world.code, [0, 2, 4])
    fewer = SimpleNamespace(**{name: row[kept] for name, row in vars(world).items()})
    with pytest.warns(AllOrNoneWarning):
        found = fit(world, "binomial", names)
    other = fit(fewer, "binomial", names)
    np.testing.assert_allclose(found.coef, other.coef, atol=1e-9)
    np.testing.assert_allclose(found.coef_se, other.coef_se, rtol=1e-5)
    np.testing.assert_allclose(found.effects[[0, 2, 4]], other.effects, atol=1e-9)
    np.testing.assert_allclose(found.effects_se[[0, 2, 4]], other.effects_se, rtol=1e-5)
    assert found.loglik == pytest.approx(other.loglik, abs=1e-9)
    assert found.sigma == pytest.approx(other.sigma, abs=1e-6)


@pytest.mark.parametrize("without", [[0], [5], [0, 1], [0, 5], [2]])
def test_the_rest_is_the_same_wherever_those_without_contrast_stand(without):
    world = make_world("binomial", seed=9)
    gone = np.isin(world.code, without)
    world.y[gone] = 1.0
    fewer = SimpleNamespace(**{name: row[~gone] for name, row in vars(world).items()})
    with pytest.warns(AllOrNoneWarning):
        found = fit(world, "binomial")
    other = fit(fewer, "binomial")
    np.testing.assert_allclose(found.coef, other.coef, atol=1e-9)
    np.testing.assert_allclose(np.delete(found.effects, without), other.effects, atol=1e-9)
    assert found.loglik == pytest.approx(other.loglik, abs=1e-9)


@pytest.mark.parametrize("slope_of_year", [0.5, -0.5, 1.0])
def test_the_rest_stays_the_same_when_a_covariate_is_far_from_0(slope_of_year):
    rng = np.random.default_rng(8)
    provider = rng.integers(0, 10, 2_000)
    year = 2018.0 + rng.integers(-1, 2, 2_000)
    y = (rng.random(2_000) < expit(slope_of_year * (year - 2018))).astype(float)
    y[provider == 3], y[provider == 5] = 0.0, 1.0
    with pytest.warns(AllOrNoneWarning):
        found = fit_fixed_effects(y, year, provider, "binomial")
    kept = ~np.isin(provider, [3, 5])
    other = fit_fixed_effects(y[kept], year[kept], provider[kept], "binomial")
    assert found.coef[0] == pytest.approx(other.coef[0], abs=1e-6)


@each_case
def test_firth_gives_every_provider_a_finite_effect(names):
    world = with_extremes()
    found = fit(world, "binomial", names, firth=True)
    np.testing.assert_allclose(estimates_of(found), logistic(world, names, True)[0], atol=1e-6)
    np.testing.assert_allclose(errors_of(found), logistic(world, names, True)[1], rtol=1e-4)
    assert found.warnings == ()


def test_firth_of_a_single_episode_is_a_half_more_of_each():
    """Without covariates, the estimate is the logit of (events + 1/2) / (n + 1) (Firth 1993)."""
    world = with_extremes()
    found = fit(world, "binomial", X=np.zeros((len(world.y), 0)), firth=True)
    events, n = np.bincount(world.code, world.y), np.bincount(world.code)
    np.testing.assert_allclose(expit(found.effects), (events + 0.5) / (n + 1), rtol=1e-9)


def test_firth_converges_with_many_providers_of_one_episode():
    world = make_world("binomial", seed=11, sizes=(20,) * 6 + (2,) * 40)
    world.code[world.code > 5] = 6 + np.arange(80)
    assert fit(world, "binomial", firth=True).converged


def test_when_no_provider_has_contrast_the_error_says_what_to_do():
    world = make_world("binomial")
    with pytest.raises(ArrayError, match=r"y: wanted a provider .* differ in outcome.*random"):
        fit(world, "binomial", y=(world.code > 2).astype(float))


# --- coefficients without bound ---


def with_dummy(events, episodes=40, n=2_000, seed=9):
    """Return episodes whose last covariate marks 40 of them, `events` of those with the event."""
    rng = np.random.default_rng(seed)
    world = make_world("binomial", seed, sizes=(n // 40,) * 40)
    marked = rng.choice(n, episodes, replace=False)
    world.X = np.column_stack([world.X[:, 0], np.isin(np.arange(n), marked)])
    world.y[marked] = 0.0
    world.y[marked[:events]] = 1.0
    world.X = pd.DataFrame(world.X, columns=["age", "rare"])
    return world


@pytest.mark.parametrize("events", [0, 40])
def test_a_dummy_of_events_only_is_named_as_separating(events):
    with pytest.warns(SeparationWarning, match="'rare' tells events .* its coefficient has") as w:
        found = fit(with_dummy(events), "binomial")
    assert not found.converged
    assert found.passes < 30
    assert found.warnings == (w[0].message,)
    assert "'age'" not in str(found.warnings[0])


@pytest.mark.parametrize("events", [1, 39])
@plain_or_firth
def test_a_rare_dummy_with_a_single_exception_is_no_separation(events, firth):
    world = with_dummy(events)
    found = fit(world, "binomial", firth=firth)
    world.X = world.X.to_numpy()
    assert found.converged
    assert found.warnings == ()
    np.testing.assert_allclose(found.coef, logistic(world, (), firth)[0][:2], atol=1e-7)


@pytest.mark.parametrize("events", [0, 40])
def test_firth_bounds_a_dummy_of_events_only(events):
    world = with_dummy(events)
    found = fit(world, "binomial", firth=True)
    world.X = world.X.to_numpy()
    assert found.converged
    np.testing.assert_allclose(found.coef, logistic(world, (), True)[0][:2], atol=1e-6)


def test_a_covariate_that_tells_all_events_is_named():
    world = make_world("binomial", sizes=(50,) * 6)
    X = pd.DataFrame(world.X, columns=["score", "age"])
    with pytest.warns(SeparationWarning, match="'score'"):
        found = fit(world, "binomial", X=X, y=(world.X[:, 0] > 0).astype(float))
    assert not found.converged


def test_firth_bounds_a_covariate_that_tells_all_events():
    world = make_world("binomial", sizes=(200,) * 10)
    found = fit(world, "binomial", y=(world.X[:, 0] > 0).astype(float), firth=True)
    assert found.converged


def test_a_covariate_with_a_long_tail_is_no_separation():
    rng = np.random.default_rng(0)
    provider, x = rng.integers(0, 20, 4_000), np.exp(4 * rng.normal(size=4_000))
    y = (rng.random(4_000) < expit(-1 + 0.5 * x)).astype(float)
    assert fit_fixed_effects(y, x, provider, "binomial").converged


def test_firth_fits_a_covariate_with_a_long_tail():
    rng = np.random.default_rng(0)
    provider, x = rng.integers(0, 20, 4_000), np.exp(2 * rng.normal(size=4_000))
    x[0] = 4_000.0
    y = (rng.random(4_000) < expit(-1 + 0.5 * x)).astype(float)
    assert fit_fixed_effects(y, x, provider, "binomial", firth=True).converged


# --- covariates and offsets of any size and place ---


@each_family
def test_covariates_of_wildly_different_scale_are_fitted_alike(family):
    world, scale = make_world(family, slopes=(0.5, -0.3, 0.1)), np.array([1e-8, 1.0, 1e8])
    found, scaled = fit(world, family), fit(world, family, X=world.X * scale)
    np.testing.assert_allclose(scaled.coef * scale, found.coef, rtol=1e-7)
    np.testing.assert_allclose(scaled.coef_se * scale, found.coef_se, rtol=1e-6)
    np.testing.assert_allclose(scaled.effects, found.effects, rtol=1e-6)


@each_family
@pytest.mark.parametrize(("place", "width"), [(2018.0, 1.0), (1.7e9, 1e7), (-1e5, 10.0)])
def test_a_covariate_far_from_0_moves_only_the_effects(family, place, width):
    world = make_world(family)
    found = fit(world, family)
    moved = fit(world, family, X=world.X * [width, 1.0] + [place, 0.0])
    np.testing.assert_allclose(moved.coef * [width, 1.0], found.coef, rtol=1e-6)
    np.testing.assert_allclose(moved.coef_se * [width, 1.0], found.coef_se, rtol=1e-4)
    by = found.coef[0] * place / width
    np.testing.assert_allclose(moved.effects + by, found.effects, atol=1e-9 * abs(by))


@each_family
def test_the_spread_between_providers_does_not_depend_on_where_a_covariate_is_0(family):
    world = make_world(family, sizes=(60,) * 12)
    moved = fit(world, family, X=world.X + [20.0, 0.0])
    assert moved.sigma == pytest.approx(fit(world, family).sigma, rel=0.02)


def test_a_time_stamp_of_one_day_is_no_constant():
    world = make_world()
    found = fit(world, X=world.X * [1e4, 1.0] + [1.7e9, 0.0])
    np.testing.assert_allclose(found.coef * [1e4, 1.0], fit(world).coef, rtol=1e-5)


@plain_or_firth
@pytest.mark.parametrize("place", [-3.0, 2.0])
def test_a_constant_offset_moves_only_the_effects(place, firth):
    world = make_world("binomial")
    found = fit(world, "binomial", firth=firth)
    moved = fit(world, "binomial", firth=firth, offset=np.full(len(world.y), place))
    np.testing.assert_allclose(moved.coef, found.coef, atol=1e-7)
    np.testing.assert_allclose(moved.effects + place, found.effects, atol=1e-7)


@plain_or_firth
@pytest.mark.parametrize("place", [-20.0, 10.0, 100.0])
def test_a_large_constant_offset_moves_only_the_effects(place, firth):
    world = make_world("binomial")
    found = fit(world, "binomial", firth=firth)
    moved = fit(world, "binomial", firth=firth, offset=np.full(len(world.y), place))
    np.testing.assert_allclose(moved.effects + place, found.effects, atol=1e-7)


def test_a_start_without_information_is_not_called_converged():
    world = make_world("binomial")
    none = np.zeros((len(world.y), 0))
    found = fit(world, "binomial", X=none, offset=np.full(len(world.y), 1_000.0))
    risk = expit(found.effects[world.code] + 1_000)
    np.testing.assert_allclose(np.bincount(world.code, world.y - risk), 0, atol=1e-6)


def test_a_huge_offset_of_gaussian_outcomes_costs_no_digits():
    world = make_world()
    far = np.full(len(world.y), 1e8)
    same_fit(fit(world, y=world.y + far, offset=far), fit(world), rtol=1e-6)


# --- shapes and kinds of input ---


@each_family
def test_no_covariates_leave_the_provider_means(family):
    world = make_world(family)
    found = fit(world, family, X=np.zeros((len(world.y), 0)))
    mean = np.bincount(world.code, world.y) / np.bincount(world.code)
    expected = found.effects if family == "gaussian" else expit(found.effects)
    np.testing.assert_allclose(expected, mean, rtol=1e-9)
    assert found.coef.shape == found.coef_se.shape == (0,)
    assert found.coef_covariance.shape == (0, 0)


@each_family
def test_one_provider_is_a_plain_regression(family):
    world = make_world(family)
    world.code[:] = 0
    found = fit(world, family)
    dense = least_squares(world, ()) if family == "gaussian" else logistic(world, (), False)
    np.testing.assert_allclose(estimates_of(found), dense[0], atol=1e-7)
    np.testing.assert_allclose(errors_of(found), dense[1], rtol=1e-4)
    assert np.isnan(found.sigma)


@pytest.mark.parametrize("kind", [bool, int, np.int8, np.float32, object])
def test_events_of_any_kind_of_number_are_taken(kind):
    world = make_world("binomial")
    same_fit(fit(world, "binomial", y=world.y.astype(kind)), fit(world, "binomial"))


@each_family
def test_inputs_are_left_as_they_are(family):
    world = make_world(family, sizes=(20, 30))
    order = np.argsort(world.code, kind="stable")
    rows = {name: np.asfortranarray(row[order]) for name, row in vars(world).items()}
    for row in rows.values():
        row.setflags(write=False)
    same_fit(
        fit(SimpleNamespace(**rows), family, CASES["weights and offset"]),
        fit(world, family, CASES["weights and offset"]),
    )


@each_family
def test_ninety_per_cent_of_episodes_may_be_of_one_provider(family):
    world = make_world(family, sizes=(900, 20, 50, 30))
    found = fit(world, family)
    dense = least_squares(world, ()) if family == "gaussian" else logistic(world, (), False)
    np.testing.assert_allclose(estimates_of(found), dense[0], atol=1e-7)


# --- many episodes: a fit to some of them is the start ---


@pytest.fixture
def starts_warm(monkeypatch):
    set_everywhere(monkeypatch, LARGE=100)


@plain_or_firth
@pytest.mark.parametrize("names", [CASES["plain"], CASES["weights and offset"]])
@pytest.mark.parametrize("sizes", [(30,) * 20, (5,) * 100, (60, 3, 3, 400, 50)])
def test_a_warm_start_leads_to_the_same_answer(monkeypatch, firth, names, sizes):
    world = make_world("binomial", seed=3, sizes=sizes)
    cold = fit(world, "binomial", names, firth=firth)
    set_everywhere(monkeypatch, LARGE=100)
    same_fit(fit(world, "binomial", names, firth=firth), cold, rtol=1e-6)


@pytest.mark.usefixtures("starts_warm")
def test_a_warm_start_that_cannot_be_had_is_done_without():
    world = make_world("binomial", seed=3, sizes=(30,) * 20)
    world.X[world.code < 5, 1] = 0.0
    found = fit(world, "binomial")
    np.testing.assert_allclose(estimates_of(found), logistic(world, (), False)[0], atol=1e-6)


@pytest.mark.usefixtures("starts_warm")
def test_separation_is_seen_from_a_warm_start():
    with pytest.warns(SeparationWarning, match="'rare'"):
        found = fit(with_dummy(40), "binomial")
    assert not found.converged


@pytest.mark.usefixtures("starts_warm")
def test_a_warm_start_from_a_separated_part_leads_to_the_answer():
    world = make_world("binomial", seed=3, sizes=(50,) * 40)
    world.X[:, 1] = np.random.default_rng(1).random(2_000) < 0.05
    world.y[(world.code < 6) & (world.X[:, 1] == 1)] = 1.0
    found = fit(world, "binomial")
    np.testing.assert_allclose(estimates_of(found), logistic(world, (), False)[0], atol=1e-6)


@pytest.mark.usefixtures("starts_warm")
@pytest.mark.parametrize("sizes", [(300,), (300, 30), (10, 300)])
def test_a_warm_start_ends_when_one_provider_has_most_episodes(sizes):
    world = make_world("binomial", sizes=sizes)
    found = fit(world, "binomial")
    np.testing.assert_allclose(estimates_of(found), logistic(world, (), False)[0], atol=1e-6)


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
        ({"weights": 2.0}, r"^weights: wanted shape \(40,\)"),
        ({"offset": np.zeros((40, 1))}, r"^offset: wanted shape \(40,\)"),
        ({"y": np.zeros((40, 1))}, "^y: wanted one outcome per episode"),
        ({"y": []}, "^y: wanted one outcome per episode"),
        ({"y": None}, "^y: wanted finite numbers"),
        ({"X": np.zeros((40, 2, 1))}, "^X: wanted 40 rows"),
    ],
)
def test_arrays_that_do_not_fit_each_other_are_refused_by_name(changes, says):
    refused(says, **changes)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"provider": np.where(LAST == 1, np.nan, 1.0)}, "^provider: wanted a label for every row"),
        ({"weights": ROW - LAST}, "^weights: wanted numbers of 0 or more; got -1"),
        ({"weights": ROW}, "^weights: wanted an episode of weight above 0.* 2 providers without"),
        ({"X": np.array([["1", "x"]] * 40, dtype=object)}, "^X: wanted numbers; got others .*'x'"),
        ({"y": ["x"] * 40}, "^y: wanted numbers; got others .*'x'"),
        ({"y": np.ones(40)}, "^y: wanted outcomes that differ; got 1 for all"),
        ({"family": "poisson"}, "^family: wanted one of gaussian, binomial; got 'poisson'"),
        ({"family": "gamma"}, "^family: wanted one of gaussian, binomial; got 'gamma'"),
        ({"firth": True}, "^firth: wanted family 'binomial'; got 'gaussian'"),
        ({"X": np.random.default_rng(0).normal(size=(40, 38))}, "^provider: wanted more episodes"),
        ({"provider": np.arange(40)}, "^provider: wanted providers with several episodes"),
    ],
)
def test_arrays_without_an_answer_are_refused_by_name(changes, says):
    refused(says, **changes)


@pytest.mark.parametrize(
    ("y", "says"),
    [
        (np.ones(40), "^y: wanted episodes with and without the event; got 1 for all"),
        (ROW, "^y: wanted episodes with and without the event; got 0 for all"),
        (ROW + 2 * LAST, "^y: wanted 0 or 1"),
        (ROW + LAST / 2, "^y: wanted 0 or 1"),
        (ROW - LAST, "^y: wanted 0 or 1"),
    ],
)
@plain_or_firth
def test_outcomes_that_are_no_events_are_refused(y, says, firth):
    refused(says, "binomial", y=y, firth=firth)


def test_a_provider_with_weights_of_0_only_is_refused():
    world = make_world(sizes=(20, 20))
    with pytest.raises(ArrayError, match=r"weights: .* 1 provider without"):
        fit(world, weights=(world.code == 0).astype(float))


COLLINEAR = {
    "a constant": lambda x, code: np.full(len(x), 3.0),
    "zeros": lambda x, code: np.zeros(len(x)),
    "a large constant": lambda x, code: np.full(len(x), 1e9),
    "constant within providers": lambda x, code: np.array([0.3, 1.1, -2.0])[code],
    "a copy": lambda x, code: x[:, 0].copy(),
    "a scaled copy": lambda x, code: -1e6 * x[:, 0],
    "a shifted copy": lambda x, code: x[:, 0] + 100,
    "a sum": lambda x, code: x[:, 0] + x[:, 1],
    "a copy but for the provider": lambda x, code: x[:, 0] + 5 * code,
}


@pytest.mark.parametrize("kind", COLLINEAR)
@pytest.mark.parametrize(
    "asked", [{}, {"family": "binomial"}, {"family": "binomial", "firth": True}]
)
def test_a_covariate_that_cannot_be_told_apart_is_named(kind, asked):
    world = make_world(asked.get("family", "gaussian"), sizes=(40, 30, 50))
    columns = {"age": world.X[:, 0], "sex": world.X[:, 1]}
    X = pd.DataFrame({**columns, "pain": COLLINEAR[kind](world.X, world.code)})
    with pytest.raises(ArrayError, match="X: wanted covariates that vary within providers") as e:
        fit(world, X=X, **asked)
    assert ("'pain'" in str(e.value)) or ("a " in kind and "'age'" in str(e.value))


asked_for = pytest.mark.parametrize(
    "asked",
    [{}, {"family": "binomial"}, {"family": "binomial", "firth": True}],
    ids=["gaussian", "binomial", "firth"],
)


@asked_for
def test_a_hundred_thousand_providers_of_one_episode_are_refused_at_once(asked):
    rng = np.random.default_rng(0)
    y = (rng.random(100_000) < 0.3).astype(float)
    with pytest.raises(ArrayError, match="got 100,000 providers of one episode each"):
        fit_fixed_effects(y, rng.normal(size=(100_000, 2)), np.arange(100_000), **asked)


def of_providers(family="gaussian", seed=5, n=3_000, m=40):
    """Return outcomes, providers, and a number of each provider that outcomes depend on."""
    rng = np.random.default_rng(seed)
    provider, of_provider = rng.integers(0, m, n), rng.normal(size=m)
    y = 1 + 0.5 * of_provider[provider] + rng.normal(size=n)
    if family == "binomial":
        y = (rng.random(n) < expit(y)).astype(float)
    world = {"y": y, "X": rng.normal(size=n), "code": provider, "of_provider": of_provider}
    return SimpleNamespace(**world, weights=rng.uniform(0.1, 5, n), offset=rng.normal(size=n))


@asked_for
@each_case
@pytest.mark.parametrize(("place", "scale"), [(0.0, 1.0), (2018.0, 1.0), (9.9, 1.0), (-1e6, 1e-3)])
@pytest.mark.parametrize("whole", [False, True])
def test_a_lone_covariate_of_the_provider_is_named(asked, names, place, scale, whole):
    world = of_providers(asked.get("family", "gaussian"))
    x = np.round(10 * world.of_provider) if whole else world.of_provider
    world.X = (place + scale * x)[world.code]
    with pytest.raises(ArrayError, match=r"vary within providers.*'column 0', which does not\."):
        fit(world, names=names, **asked)


@asked_for
def test_covariates_of_the_provider_are_named_together_and_alone(asked):
    world = of_providers(asked.get("family", "gaussian"))
    x = np.random.default_rng(0).normal(size=len(world.y))
    level = world.of_provider[world.code]
    X = pd.DataFrame({"age": x, "beds": level, "teaching": level > 0})
    with pytest.raises(ArrayError, match=r"got 'beds', 'teaching', which do not\. Leave them"):
        fit(world, X=X, **asked)


def test_variation_has_to_be_more_than_the_rounding_of_a_long_sum():
    arrow = Arrow(np.ones(2), np.array([[1.0, -1.0]]), np.array([[2 + 1e-9]]))
    arrow.check(rows=100_000)
    with pytest.raises(CollinearError) as e:
        arrow.check(rows=4_000_000)
    assert e.value.columns.tolist() == [0]
    assert e.value.alone


@asked_for
@each_case
@pytest.mark.parametrize("place", [0.0, 9.0, 2018.0])
def test_little_variation_within_providers_is_enough(asked, names, place):
    """A ten-thousandth of the standard deviation is within providers, of the variance 1e-8."""
    world = of_providers(asked.get("family", "gaussian"))
    within = np.random.default_rng(1).normal(size=len(world.y))
    world.X = within
    plain = fit(world, names=names, **asked)
    world.X = place + world.of_provider[world.code] + 1e-4 * within
    found = fit(world, names=names, **asked)
    np.testing.assert_allclose(found.coef, plain.coef * 1e4, rtol=1e-4)
    np.testing.assert_allclose(found.coef_se, plain.coef_se * 1e4, rtol=1e-4)
    assert found.converged


@plain_or_firth
@pytest.mark.parametrize("m", [3, 1_000])
def test_little_variation_is_seen_among_many_episodes(firth, m):
    """More episodes than it is judged by, in few providers or in many."""
    world = of_providers("binomial", n=30_000, m=m)
    if m > 3:
        first = np.flatnonzero(np.diff(np.sort(world.code), prepend=-1))
        order = np.argsort(world.code, kind="stable")
        world.y[order[first]], world.y[order[first + 1]] = 0.0, 1.0
    age, within = np.random.default_rng(1).normal(size=(2, len(world.y)))
    world.X = np.column_stack([age, within])
    plain = fit(world, "binomial", firth=firth)
    world.X[:, 1] = 2018 + world.of_provider[world.code] + 1e-4 * within
    found = fit(world, "binomial", firth=firth)
    np.testing.assert_allclose(found.coef, plain.coef * [1, 1e4], rtol=1e-4)
    np.testing.assert_allclose(found.coef_se, plain.coef_se * [1, 1e4], rtol=1e-4)
    at_mean = found.effects + found.coef[1] * (2018 + world.of_provider)
    np.testing.assert_allclose(at_mean, plain.effects, atol=1e-3)


@plain_or_firth
def test_a_covariate_in_order_within_providers_only_seems_to_hardly_vary(firth):
    world = make_world("binomial", sizes=(400,) * 5)
    order = np.lexsort((world.X[:, 0], world.code))
    rows = SimpleNamespace(**{name: one[order] for name, one in vars(world).items()})
    same_fit(fit(rows, "binomial", firth=firth), fit(world, "binomial", firth=firth))


def test_a_covariate_that_varies_only_where_outcomes_do_not_says_so():
    world = of_providers("binomial")
    world.X = (world.code == 3) * np.random.default_rng(0).normal(size=len(world.y))
    world.y[world.code == 3] = 1.0
    with pytest.raises(ArrayError, match="vary within providers that have both outcomes; got 'c"):
        fit(world, "binomial")


def test_an_exact_fit_has_no_standard_error_as_the_docstring_says():
    world = make_world()
    found = fit(world, y=world.X @ [2.0, -1.0] + world.code)
    assert (errors_of(found) < 1e-12).all()
    assert found.warnings == ()
    assert "explain without any rest" in fit_fixed_effects.__doc__


@each_case
def test_the_warning_names_where_providers_without_contrast_are_found(names):
    with pytest.warns(AllOrNoneWarning, match=r"providers\[numpy\.isinf\(effects\)\]"):
        found = fit(with_extremes(), "binomial", names)
    assert found.providers[np.isinf(found.effects)].tolist() == [1, 3, 5]


def test_what_does_not_settle_says_so(monkeypatch):
    set_everywhere(monkeypatch, MAX_PASSES=2)
    with pytest.warns(NotConvergedWarning, match="not settled after 2 passes"):
        found = fit(make_world("binomial"), "binomial")
    assert not found.converged
    assert [type(one) for one in found.warnings] == [NotConvergedWarning]
