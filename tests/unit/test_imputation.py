"""Multiple imputation: draws against the model they are drawn from."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, special

from riskadj.errors import ArrayError
from riskadj.stats import fit_random_intercept
from riskadj.stats.imputation import closest_donors, impute
from riskadj.stats.pooling import pool
from riskadj.stats.provider_draws import pool_differences, pool_ratios

NAN = float("nan")


@pytest.fixture(scope="module")
def world():
    """Return observed (NaN where missing), expected, provider and a covariate.

    The last provider has no outcome, the first is complete.
    """
    rng = np.random.default_rng(20250711)
    provider = np.repeat(np.arange(40), rng.integers(20, 120, 40))
    n = provider.size
    expected, covariate = rng.normal(30, 5, n), rng.normal(0, 1, n)
    y = 3 + 0.9 * expected + 2 * covariate + rng.normal(0, 2, 40)[provider] + rng.normal(0, 6, n)
    gone = (rng.random(n) < 0.4) & (provider > 0) | (provider == 39)
    return np.where(gone, NAN, y), expected, provider, covariate


# --- draws ---


def test_draws_are_about_the_estimates_of_the_random_intercept(world):
    observed, expected, provider, covariate = world
    here = ~np.isnan(observed)
    x = np.column_stack((expected, covariate))
    fit = fit_random_intercept(observed[here], x[here], provider[here])
    draws = impute(
        observed,
        expected,
        provider,
        seed=1,
        covariates=covariate,
        imputations=400,
        effects="random",
    )
    assert np.median(draws.sigma) == pytest.approx(fit.sigma, rel=0.1)
    assert np.mean(draws.residual_sd) == pytest.approx(fit.residual_sd, rel=0.01)
    effects = np.zeros(40)
    effects[fit.providers] = fit.effects
    predicted = fit.intercept + x @ fit.coef + effects[provider]
    gone = np.bincount(provider, ~here)
    with np.errstate(invalid="ignore"):
        wanted = np.bincount(provider, (predicted - expected) * ~here) / gone
    # Means of so many draws are off by a twentieth of their spread.
    error = pool_differences(draws).between ** 0.5 / draws.missing.clip(0.1) / 20
    assert (np.abs(draws.imputed_effect - wanted)[1:] < 4 * error[1:] + 0.05).all()


def test_spread_between_imputations_is_that_of_the_model(world):
    """Of provider k: (1 - n/N)^2 var(u | data) and noise of the mean; coefficients add little."""
    observed, expected, provider, covariate = world
    here = ~np.isnan(observed)
    x = np.column_stack((expected, covariate))
    fit = fit_random_intercept(observed[here], x[here], provider[here])
    draws = impute(
        observed,
        expected,
        provider,
        seed=1,
        covariates=covariate,
        imputations=400,
        effects="random",
    )
    sizes, gone = np.bincount(provider), np.bincount(provider, ~here)
    weight = (sizes - gone) / fit.residual_sd**2
    posterior = fit.sigma**2 / (1 + fit.sigma**2 * weight)
    wanted = (gone / sizes) ** 2 * posterior + gone * (fit.residual_sd / sizes) ** 2
    got = (draws.observed / draws.eligible).var(axis=0, ddof=1)
    ratio = (got / np.where(wanted > 0, wanted, 1))[1:]
    assert np.mean(ratio[:-1]) == pytest.approx(1.05, abs=0.07)
    # Without responders there is no more than the distribution between providers.
    assert ratio[-1] == pytest.approx(1.05, abs=0.25)


def test_own_effects_are_about_the_mean_residual_of_the_provider(world):
    observed, expected, provider, covariate = world
    here, x = ~np.isnan(observed), np.column_stack((expected, covariate))
    fit = fit_random_intercept(observed[here], x[here], provider[here])
    draws = impute(observed, expected, provider, seed=1, covariates=covariate, imputations=400)
    n, gone = np.bincount(provider, here), np.bincount(provider, ~here)
    own = np.bincount(provider, np.where(here, observed - x @ fit.coef, 0))[:-1] / n[:-1]
    shift = np.bincount(provider, (x @ fit.coef - expected) * ~here)[1:-1] / gone[1:-1]
    error = pool_differences(draws).between ** 0.5 / draws.missing.clip(0.1) / 20
    away = np.abs(draws.imputed_effect[1:-1] - own[1:] - shift)
    assert (away < 4 * error[1:-1] + 0.05).all()
    # The one nobody answered of is imputed as the others are.
    assert abs(draws.imputed_effect[-1] - np.mean(draws.imputed_effect[1:-1])) < 1.5


@pytest.mark.parametrize("rate", [0.3, 0.6])
def test_own_effects_leave_the_error_that_complete_cases_have(rate):
    """sd^2 [1/n + n_m^2 / (n^2 n_r) + n_m / n^2] is sd^2 / n_r."""
    rng = np.random.default_rng(4)
    provider, expected = np.repeat(np.arange(50), 100), rng.normal(20, 4, 5_000)
    y = expected + rng.normal(0, 7.5, 5_000)
    here = rng.random(5_000) < rate
    found = pool_differences(
        impute(np.where(here, y, NAN), expected, provider, seed=1, imputations=300)
    )
    n = np.bincount(provider, here)
    complete = (y - expected)[here].std(ddof=1) / np.sqrt(n)
    assert np.mean(found.error / complete) == pytest.approx(1.0, abs=0.01)
    residual = np.bincount(provider, np.where(here, y - expected, 0)) / n
    away = (found.estimate + 0.0 - residual) / complete
    assert np.std(away) < 0.15
    assert np.mean(found.df) > 300


def test_a_provider_that_few_answered_of_makes_the_others_no_less_sure(world):
    observed, expected, provider, _ = world
    lone = np.r_[observed[provider < 39], 60.0, np.full(500, NAN)]
    many, places = np.r_[expected[provider < 39], np.full(501, 30.0)], provider[provider < 39]
    draws = impute(lone, many, np.r_[places, np.full(501, 39)], seed=1)
    with_it = pool_differences(draws)
    without = pool_differences(impute(lone[:-501], many[:-501], places, seed=1))
    assert with_it.error[-1] > 3 * without.error.mean()
    assert np.mean(with_it.error[:-1] / without.error) == pytest.approx(1.0, abs=0.1)
    # With its own effect among what all are compared with they would be.
    mean = draws.observed.sum(axis=1, keepdims=True) / draws.eligible.sum()
    shaken = pool(draws.observed / draws.eligible - mean, draws.variance / draws.eligible**2)
    assert np.mean(shaken.error[:-1] / without.error) > 1.2


@pytest.mark.parametrize("effects", ["own", "random"])
def test_drawn_towards_the_others_or_not(world, effects):
    observed, expected, provider, _ = world
    draws = impute(observed, expected, provider, seed=1, imputations=50, effects=effects)
    assert draws.effects == effects
    slope = np.polyfit(draws.responders_effect[1:-1], draws.imputed_effect[1:-1], 1)[0]
    assert (slope > 0.95) == (effects == "own")


@pytest.mark.parametrize("draw", ["model", "donors"])
def test_a_provider_without_responders_is_unsure_and_near_the_others(world, draw):
    observed, expected, provider, covariate = world
    draws = impute(
        observed, expected, provider, seed=1, covariates=covariate, imputations=50, draw=draw
    )
    pooled = pool_differences(draws)
    assert (draws.responders[-1], draws.missing[-1]) == (0, 1.0)
    assert np.isnan(draws.responders_effect[-1])
    assert pooled.error[-1] > 1.5 * pooled.error[1:-1].mean()
    assert pooled.missing_information[-1] > 0.6
    assert abs(pooled.estimate[-1]) < 2
    assert abs(pooled.z()[-1]) < 1.96


@pytest.mark.parametrize("draw", ["model", "donors"])
def test_a_complete_provider_is_as_observed(world, draw):
    observed, expected, provider, _ = world
    draws = impute(observed, expected, provider, seed=1, imputations=5, draw=draw)
    np.testing.assert_allclose(draws.observed[:, 0], observed[provider == 0].sum())
    assert np.isnan(draws.imputed_effect[0])
    assert np.isnan(draws.imputed_mean[0])
    wanted = (observed - expected)[provider == 0].mean()
    assert draws.responders_effect[0] == pytest.approx(wanted)


@pytest.mark.parametrize("draw", ["model", "donors"])
def test_where_nobody_is_missing_imputations_agree(draw):
    rng = np.random.default_rng(1)
    expected, provider = rng.normal(20, 4, 200), np.repeat(np.arange(5), 40)
    observed = expected + rng.normal(0, 8, 200)
    draws = impute(observed, expected, provider, seed=1, imputations=4, draw=draw)
    pooled = pool_differences(draws)
    residual = observed - expected
    means = residual.reshape(5, 40).mean(axis=1)
    np.testing.assert_allclose(pooled.estimate, means - residual.mean(), atol=1e-9)
    np.testing.assert_allclose(pooled.error, residual.std(ddof=1) / np.sqrt(40), rtol=1e-9)
    assert (pooled.missing_information < 1e-12).all()
    np.testing.assert_allclose(pooled.df, 200 / 202 * 199)


def test_the_parts_make_up_the_whole(world):
    observed, expected, provider, covariate = world
    draws = impute(observed, expected, provider, seed=3, covariates=covariate, imputations=7)
    m = draws.missing
    whole = (1 - m) * np.nan_to_num(draws.responders_effect)
    whole += m * np.nan_to_num(draws.imputed_effect)
    wanted = ((draws.observed - draws.expected) / draws.eligible).mean(axis=0)
    np.testing.assert_allclose(whole, wanted, atol=1e-9)
    np.testing.assert_allclose(pool_differences(draws).estimate, wanted - draws.centre, atol=1e-9)
    gone = np.isnan(observed)
    share = np.bincount(provider, expected * gone)[1:] / gone.sum()
    shift = np.average(
        draws.imputed_mean[1:] - draws.imputed_effect[1:], weights=m[1:] * draws.eligible[1:]
    )
    assert shift == pytest.approx(share.sum())


@pytest.mark.parametrize("draw", ["model", "donors"])
def test_the_seed_decides(world, draw):
    observed, expected, provider, _ = world
    one, same, other = (
        impute(observed, expected, provider, seed=seed, imputations=3, draw=draw).observed
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, same)
    assert (one != other)[:, 1:].all()


def test_the_order_of_rows_and_the_names_of_providers_change_no_more_than_chance(world):
    observed, expected, provider, covariate = world
    mixed = np.random.default_rng(1).permutation(provider.size)
    names = np.array([f"p{one:02d}" for one in range(40)])[provider]
    one = impute(observed, expected, provider, seed=1, covariates=covariate, imputations=200)
    other = impute(
        observed[mixed],
        expected[mixed],
        names[mixed],
        seed=2,
        covariates=covariate[mixed],
        imputations=200,
    )
    first, second = pool_differences(one), pool_differences(other)
    assert (
        np.abs(first.estimate - second.estimate) < 5 * np.sqrt(first.between / 100) + 1e-9
    ).all()


def test_covariates_that_say_nothing_new_change_no_more_than_chance(world):
    observed, expected, provider, covariate = world
    padded = np.column_stack((covariate, covariate * 2 + 1, np.ones(provider.size), expected))
    one, other = (
        pool_differences(
            impute(observed, expected, provider, seed=1, covariates=x, imputations=200)
        )
        for x in (covariate, padded)
    )
    assert (np.abs(one.estimate - other.estimate) < 5 * np.sqrt(one.between / 100) + 1e-9).all()


def test_a_large_mean_costs_no_digits(world):
    observed, expected, provider, _ = world
    plain, far = (
        pool_differences(impute(observed + far, expected + far, provider, seed=1, imputations=4))
        for far in (0.0, 1e6)
    )
    np.testing.assert_allclose(far.estimate, plain.estimate, atol=1e-4)


# --- donors ---


@settings(max_examples=200)
@given(
    ranked=st.lists(st.integers(-20, 20), min_size=1, max_size=30),
    wanted=st.floats(-30, 30),
    k=st.integers(1, 6),
)
def test_donors_are_the_closest_there_are(ranked, wanted, k):
    values = np.sort(np.array(ranked, dtype=float))
    k = min(k, values.size)
    (begin,), (end,) = closest_donors(values, np.array([wanted]), k)
    taken, left = values[begin:end], np.concatenate((values[:begin], values[end:]))
    got, all_of_them = np.sort(np.abs(taken - wanted)), np.sort(np.abs(values - wanted))
    np.testing.assert_allclose(got[:k], all_of_them[:k])
    # Beyond the k there are ties only, and all of them.
    assert got[-1] == all_of_them[k - 1]
    assert not set(taken) & set(left)


def test_donors_give_scores_that_the_instrument_has():
    rng = np.random.default_rng(6)
    provider = np.repeat(np.arange(10), 50)
    expected = rng.normal(40, 4, 500)
    y = np.minimum(np.rint(expected + rng.normal(0, 8, 500)), 48)
    observed = np.where(rng.random(500) < 0.5, NAN, y)
    by_donor, by_model = (
        impute(observed, expected, provider, seed=1, draw=draw) for draw in ("donors", "model")
    )
    np.testing.assert_allclose(by_donor.observed, np.rint(by_donor.observed), atol=1e-6)
    assert (by_donor.imputed_mean < 48).all()
    difference = by_donor.imputed_effect - by_model.imputed_effect
    assert np.abs(difference).max() < 3
    assert abs(difference.mean()) < 0.7


def test_donors_with_the_same_prediction_all_give():
    """Were it one in every imputation, its outcome would be off by 5, not by 5 / sqrt(2,000)."""
    provider = np.tile(np.arange(3), 200)
    y = 40 * provider + np.random.default_rng(7).normal(20, 5, 600)
    observed = np.where(np.arange(600) < 300, y, NAN)
    draws = impute(observed, np.full(600, 20.0), provider, seed=1, draw="donors", donors=1)
    wanted = observed[:300].reshape(100, 3).mean(axis=0)
    np.testing.assert_allclose(draws.imputed_mean, wanted, atol=0.45)
    spread = draws.observed.std(axis=0, ddof=1) / 100
    np.testing.assert_allclose(spread, 0.5, rtol=0.5)


# --- events ---


@pytest.fixture(scope="module")
def events():
    """Return observed events, expected probabilities and provider."""
    rng = np.random.default_rng(8)
    provider = np.repeat(np.arange(30), 100)
    odds = rng.normal(-0.5, 0.8, 3_000)
    chance = 1 / (1 + np.exp(-odds))
    truly = 1 / (1 + np.exp(-odds - rng.normal(0, 0.4, 30)[provider]))
    y = (rng.random(3_000) < truly).astype(float)
    return np.where(rng.random(3_000) < 0.4, NAN, y), chance, provider


def test_imputed_events_are_events(events):
    draws = impute(*events, seed=1, family="binomial")
    np.testing.assert_array_equal(draws.observed, np.rint(draws.observed))
    observed, chance, provider = events
    seen = np.bincount(provider, np.nan_to_num(observed))
    gone = np.bincount(provider, np.isnan(observed))
    assert ((draws.observed >= seen) & (draws.observed <= seen + gone)).all()
    np.testing.assert_allclose(
        draws.variance, np.tile(np.bincount(provider, chance * (1 - chance)), (20, 1))
    )


def test_events_are_imputed_as_often_as_the_logistic_model_says(events):
    observed, chance, provider = events
    draws = impute(*events, seed=1, family="binomial", imputations=200, effects="random")
    here = ~np.isnan(observed)
    odds = np.log(chance / (1 - chance))
    fit = fit_random_intercept(observed[here], odds[here], provider[here], "binomial")
    predicted = 1 / (1 + np.exp(-fit.intercept - odds * fit.coef[0] - fit.effects[provider]))
    wanted = np.bincount(provider, predicted * ~here) / np.bincount(provider, ~here)
    np.testing.assert_allclose(draws.imputed_mean, wanted, atol=0.03)
    assert np.median(draws.sigma) == pytest.approx(fit.sigma, rel=0.25)


def test_own_events_are_imputed_as_often_as_the_provider_has_them(events):
    """Log-odds of its own, by maximum likelihood about the same coefficients."""
    observed, chance, provider = events
    draws = impute(*events, seed=1, family="binomial", imputations=200)
    here, odds = ~np.isnan(observed), np.log(chance / (1 - chance))
    fit = fit_random_intercept(observed[here], odds[here], provider[here], "binomial")
    for one in range(30):
        its, gone = (provider == one) & here, (provider == one) & ~here
        line = fit.intercept + odds * fit.coef[0]
        own = optimize.brentq(
            lambda u, its=its, line=line: (special.expit(line[its] + u) - observed[its]).sum(),
            -9,
            9,
        )
        wanted = special.expit(line[gone] + own).mean()
        assert draws.imputed_mean[one] == pytest.approx(wanted, abs=0.035)
    assert draws.complete_df == np.inf


def test_a_provider_with_no_events_or_only_events_is_imputed_with_doubt(events):
    observed, chance, provider = events
    seen = ~np.isnan(observed)
    y = np.where(seen & (provider == 0), 0.0, np.where(seen & (provider == 1), 1.0, observed))
    draws = impute(y, chance, provider, seed=1, family="binomial", imputations=400)
    for one, answered in ((0, 0.0), (1, 1.0)):
        assert draws.responders[one] > 30
        assert 0.0005 < abs(draws.imputed_mean[one] - answered) < 0.05
        assert draws.observed[:, one].std() > 0
    pooled = pool_differences(draws)
    assert np.isfinite(pooled.z()).all()
    assert pooled.z()[0] < -3
    assert pooled.z()[1] > 3


def test_ratios_are_observed_over_expected(events):
    draws = impute(*events, seed=1, family="binomial")
    plain, log = pool_ratios(draws), pool_ratios(draws, "log")
    np.testing.assert_allclose(plain.estimate, (draws.observed / draws.expected).mean(axis=0))
    np.testing.assert_allclose(np.exp(log.estimate), plain.estimate, rtol=0.03)
    within = draws.variance[0] / draws.expected**2
    np.testing.assert_allclose(plain.within, within)
    assert (plain.error > np.sqrt(within)).all()


def test_a_ratio_without_events_has_no_logarithm(events):
    observed, chance, provider = events
    none = np.where(provider == 0, 0.0, observed)
    draws = impute(none, chance, provider, seed=1, family="binomial")
    assert pool_ratios(draws).estimate[0] == 0
    with pytest.raises(ArrayError, match="Use scale 'ratio'"):
        pool_ratios(draws, "log")


# --- refusals ---


GOOD = {
    "observed": [1.0, 2.0, NAN, 3.0, 5.0, 4.0, NAN, 2.5],
    "expected": [1.0, 2.0, 3.0, 1.0, 2.0, 3.0, 1.0, 2.0],
    "provider": list("aabbcccc"),
    "seed": 1,
}


EVENTS = {"observed": [0, 1, NAN, 1, 0, 1, NAN, 0], "family": "binomial"}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"observed": [1.0, 2.0]}, "observed: wanted shape"),
        ({"observed": [np.inf, *GOOD["observed"][1:]]}, "observed: wanted finite numbers"),
        ({"observed": ["x"] * 8}, "observed: wanted numbers"),
        ({"observed": np.ma.masked_equal([1.0] * 7 + [2.0], 2.0)}, "got a mask"),
        ({"observed": [NAN] * 4 + [1.0, 2.0, 3.0, 4.0]}, "at least 3 providers with outcomes"),
        ({"observed": [1.0, NAN, 2.0, NAN, 3.0, NAN, NAN, NAN]}, "got one each"),
        ({"observed": [NAN] * 8}, "at least 3 providers with outcomes"),
        ({"observed": [2.0] * 8}, "wanted outcomes that differ"),
        ({"expected": [NAN] * 8}, "expected: wanted finite"),
        ({"covariates": [[1.0]]}, "X: wanted 8 rows"),
        ({"imputations": 1}, "imputations: wanted a whole number of 2"),
        ({"donors": 0}, "donors: wanted a whole number of 1"),
        ({"seed": -1}, "seed: wanted a whole number of 0"),
        ({"family": "gamma"}, "family: wanted one of gaussian, binomial"),
        ({"effects": "fixed"}, "effects: wanted one of own, random"),
        ({"draw": "clipped"}, "draw: wanted one of model, donors"),
        ({**EVENTS, "draw": "donors", "expected": [0.5] * 8}, "draw: wanted one of model"),
        ({**EVENTS, "expected": [0.0] + [0.5] * 7}, "expected: wanted probabilities"),
        ({"family": "binomial"}, "observed: wanted 0 or 1"),
    ],
)
def test_what_cannot_be_imputed_is_refused(wrong, said):
    with pytest.raises(ArrayError, match=said):
        impute(**{**GOOD, **wrong})


def test_a_ratio_to_nothing_expected_is_refused():
    draws = impute(**{**GOOD, "expected": [-1.0, -2.0, 3.0, 1.0, 2.0, 3.0, 1.0, 2.0]})
    with pytest.raises(ArrayError, match="expected: wanted sums above 0"):
        pool_ratios(draws)
