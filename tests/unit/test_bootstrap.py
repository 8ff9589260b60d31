"""The provider bootstrap: seeded, near the full refit, and wide where chance is."""

from functools import partial

import numpy as np
import pytest

from riskadj.errors import ArrayError
from riskadj.stats import (
    bootstrap_predicted_over_expected,
    fit_random_intercept,
    predicted_over_expected,
)

FAMILIES = ("binomial", "gaussian", "gamma")


def world(family, m=25, each=40, sigma=0.4, seed=1):
    rng = np.random.default_rng(seed)
    provider = rng.permutation(np.repeat(np.arange(m), each))
    x = rng.normal(size=(m * each, 2))
    eta = x @ [0.5, -0.3] + rng.normal(0, sigma, m)[provider]
    y = {
        "binomial": lambda: (rng.random(m * each) < 1 / (1 + np.exp(1 - eta))).astype(float),
        "gaussian": lambda: 5 + eta + rng.normal(size=m * each),
        "gamma": lambda: np.exp(eta) * rng.gamma(2, 1 / 2, m * each),
    }[family]()
    return y, x, provider


@pytest.fixture(scope="module")
def worlds():
    return {family: world(family) for family in FAMILIES}


each_family = pytest.mark.parametrize("family", FAMILIES)


@each_family
def test_the_ratio_is_that_of_the_fit_to_all_providers(worlds, family):
    y, x, provider = worlds[family]
    got = bootstrap_predicted_over_expected(y, x, provider, family, replicates=2)
    fit = fit_random_intercept(y, x, provider, family)
    link = {"binomial": "logit", "gaussian": "identity", "gamma": "log"}[family]
    want = predicted_over_expected(
        x @ fit.coef, provider, fit.intercept + fit.effects, fit.intercept, link=link
    )
    np.testing.assert_allclose(got.ratio, want.ratio, rtol=1e-10)
    np.testing.assert_allclose(got.expected, want.expected, rtol=1e-10)


@each_family
def test_a_few_steps_from_the_fit_are_as_good_as_a_full_refit(worlds, family):
    draw = partial(bootstrap_predicted_over_expected, *worlds[family], family, replicates=60)
    near, full = draw(seed=5), draw(seed=5, refit=True)
    np.testing.assert_array_equal(np.isnan(near.ratios), np.isnan(full.ratios))
    np.testing.assert_allclose(near.upper - near.lower, full.upper - full.lower, rtol=0.03)
    assert np.abs(near.sigma - full.sigma).max() < 0.05 * full.sigma.std()


@pytest.mark.parametrize(("family", "unit"), [("binomial", 1.0), ("gaussian", 7.0)])
def test_a_replicate_is_the_fit_to_the_providers_drawn_each_as_another(worlds, family, unit):
    y, x, provider = worlds[family]
    got = bootstrap_predicted_over_expected(
        unit * y, x, provider, family, replicates=3, seed=9, refit=True
    )
    drawn = np.random.default_rng([9, 1]).integers(0, 25, 25)
    rows = [np.flatnonzero(provider == one) for one in drawn]
    copies = np.repeat(np.arange(25), [len(one) for one in rows])
    at = np.concatenate(rows)
    fit = fit_random_intercept(unit * y[at], x[at], copies, family)
    assert got.sigma[1] == pytest.approx(fit.sigma, rel=1e-4)


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(worlds):
    draw = partial(bootstrap_predicted_over_expected, *worlds["binomial"], replicates=20)
    one, again, other = draw(seed=3), draw(seed=3), draw(seed=4)
    assert one.ratios.tobytes() == again.ratios.tobytes()
    assert one.ratios.tobytes() != other.ratios.tobytes()


def test_the_first_replicates_do_not_depend_on_how_many_follow(worlds):
    draw = partial(bootstrap_predicted_over_expected, *worlds["binomial"], seed=3)
    np.testing.assert_array_equal(draw(replicates=10).ratios, draw(replicates=20).ratios[:10])


@each_family
def test_about_63_per_cent_of_replicates_hold_a_provider(worlds, family):
    got = bootstrap_predicted_over_expected(*worlds[family], family, replicates=200)
    assert got.failed == 0
    assert got.drawn.mean() / 200 == pytest.approx(1 - (1 - 1 / 25) ** 25, abs=0.02)
    assert (np.isfinite(got.ratios).sum(axis=0) == got.drawn).all()


def test_percentiles_are_those_of_the_replicates_that_hold_the_provider(worlds):
    got = bootstrap_predicted_over_expected(
        *worlds["gaussian"], "gaussian", replicates=80, level=0.9
    )
    want = np.nanpercentile(got.ratios, [5, 95], axis=0, method="weibull")
    np.testing.assert_allclose([got.lower, got.upper], want, rtol=1e-12)


def test_intervals_are_wider_where_there_are_fewer_episodes():
    y, x, provider = world("gaussian", m=40, each=60)
    kept = (provider < 20) | (np.arange(len(y)) % 10 == 0)
    got = bootstrap_predicted_over_expected(
        y[kept], x[kept], provider[kept], "gaussian", replicates=200
    )
    width = got.upper - got.lower
    assert np.median(width[20:]) > 1.3 * np.median(width[:20])


def test_without_covariates_and_with_an_offset(worlds):
    y, x, provider = worlds["gaussian"]
    nothing, offset = np.empty((len(y), 0)), x @ [0.5, -0.3]
    got = bootstrap_predicted_over_expected(
        y, nothing, provider, "gaussian", replicates=20, offset=offset
    )
    fit = fit_random_intercept(y, nothing, provider, offset=offset)
    means = np.array([offset[provider == one].mean() for one in got.providers])
    np.testing.assert_allclose(got.predicted - got.expected, fit.effects, atol=1e-10)
    np.testing.assert_allclose(got.expected, fit.intercept + means, rtol=1e-10)


def test_weights_of_two_are_rows_twice(worlds):
    y, x, provider = worlds["binomial"]
    heavy = bootstrap_predicted_over_expected(
        y, x, provider, replicates=10, weights=np.full(len(y), 2.0)
    )
    twice = bootstrap_predicted_over_expected(
        np.repeat(y, 2), np.repeat(x, 2, axis=0), np.repeat(provider, 2), replicates=10
    )
    np.testing.assert_allclose(heavy.ratios, twice.ratios, rtol=1e-6)


def test_progress_is_told_after_each(worlds):
    told = []
    bootstrap_predicted_over_expected(
        *worlds["gaussian"], "gaussian", replicates=4, on_replicate=lambda *one: told.append(one)
    )
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_replicates_that_cannot_be_fitted_are_counted_and_left_out():
    """A covariate that two of six providers have is constant in samples without them."""
    y, x, provider = world("gaussian", m=6, each=30)
    x[:, 1] = np.where(provider < 2, x[:, 1], 0.0)
    got = bootstrap_predicted_over_expected(y, x, provider, "gaussian", replicates=200, seed=2)
    assert 0 < got.failed < 60
    assert np.isnan(got.sigma).sum() == got.failed
    assert np.isfinite(got.lower).all()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"replicates": 1}, "at least 2 replicates"),
        ({"level": 1.0}, "level between 0 and 1"),
        ({"family": "poisson"}, "family: wanted one of"),
    ],
)
def test_what_has_no_answer_is_refused(worlds, options, said):
    with pytest.raises(ArrayError, match=said):
        bootstrap_predicted_over_expected(*worlds["gaussian"], **({"family": "gaussian"} | options))


@pytest.mark.slow
def test_widths_at_100_thousand_episodes_are_within_5_per_cent_of_full_refits():
    rng = np.random.default_rng(20)
    size = rng.lognormal(0, 0.8, 500)
    provider = rng.choice(500, 100_000, p=size / size.sum())
    x = rng.normal(size=(100_000, 30))
    eta = x @ rng.normal(0, 0.1, 30) + rng.normal(0, 0.4, 500)[provider]
    y = (rng.random(100_000) < 1 / (1 + np.exp(1 - eta))).astype(float)
    draw = partial(bootstrap_predicted_over_expected, y, x, provider, replicates=120)
    near, full = draw(seed=1), draw(seed=1, refit=True)
    np.testing.assert_allclose(near.upper - near.lower, full.upper - full.lower, rtol=0.05)
    assert near.failed == full.failed == 0
