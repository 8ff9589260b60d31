"""Follow-up: rates, the response model, weights, balance and weighted means."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from riskadj.errors import ArrayError, ValuesError
from riskadj.stats import fit_random_intercept
from riskadj.stats.response import (
    balance,
    fit_response,
    follow_up_rates,
    response_weights,
    weighted_means,
)

KINDS = ("random", "fixed", "none")
each_kind = pytest.mark.parametrize("kind", KINDS)
COUNTS = {
    "procedures": [100, 50],
    "q1": [80, 60],
    "linked": [60, 45],
    "q2_sent": [72, 60],
    "q2_returned": [54, 30],
}


@pytest.fixture(scope="module")
def world():
    """Return answered, covariates, provider and the true log-odds."""
    rng = np.random.default_rng(20250710)
    provider = rng.integers(0, 20, 4_000)
    X = np.column_stack((rng.normal(50, 10, 4_000), rng.random(4_000) < 0.3))
    own = rng.normal(0, 0.7, 20)
    odds = 0.2 + 0.05 * (X[:, 0] - 50) - 0.6 * X[:, 1] + own[provider]
    return rng.random(4_000) < 1 / (1 + np.exp(-odds)), X, provider, odds


# --- rates ---


def test_rates_are_what_is_worked_by_hand():
    found = follow_up_rates(**COUNTS)
    assert found.participation.tolist() == [0.8, 1.2]
    assert found.linkage.tolist() == [0.75, 0.75]
    assert found.issue.tolist() == [0.9, 1.0]
    assert found.response.tolist() == [0.75, 0.5]


def test_participation_above_100_per_cent_is_allowed_and_noted():
    assert follow_up_rates(**COUNTS).over_participation.tolist() == [False, True]


def test_questionnaires_of_a_provider_without_procedures_are_noted_too():
    found = follow_up_rates(procedures=[0, 0], q1=[7, 0])
    assert found.over_participation.tolist() == [True, False]
    assert np.isnan(found.participation).all()


@pytest.mark.parametrize(
    ("count", "rate"), [("q2_returned", "response"), ("linked", "linkage"), ("q2_sent", "issue")]
)
def test_any_other_rate_above_100_per_cent_is_refused(count, rate):
    with pytest.raises(ValuesError, match=f"{rate} rate is above 100 %; got 81 of") as raised:
        follow_up_rates(**{**COUNTS, count: [40, 81]})
    assert raised.value.exit_code == 23


def test_of_nobody_there_is_no_rate():
    found = follow_up_rates(**{name: [0, 1] for name in COUNTS})
    for rate in (found.participation, found.linkage, found.issue, found.response):
        assert np.isnan(rate[0])
        assert rate[1] == 1


def test_counts_that_are_not_given_leave_their_rates_open():
    found = follow_up_rates(q2_sent=[10], q2_returned=[4])
    assert found.response[0] == 0.4
    assert np.isnan([found.participation, found.linkage, found.issue]).all()
    assert not found.over_participation.any()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"q1": [-1, 3]}, "q1: wanted numbers of 0 or more"),
        ({"q1": [1.5, 3]}, "q1: wanted whole numbers"),
        ({"q1": [1]}, "q1: wanted shape"),
        ({"linked": [np.nan, 1]}, "linked: wanted finite numbers"),
    ],
)
def test_counts_that_are_none_are_refused(wrong, said):
    with pytest.raises(ArrayError, match=said):
        follow_up_rates(**{**COUNTS, **wrong})


def test_no_counts_are_refused():
    with pytest.raises(ArrayError, match="wanted those of follow-up; got none"):
        follow_up_rates()


# --- the response model ---


@each_kind
def test_the_model_finds_the_coefficients_it_was_drawn_from(world, kind):
    answered, X, provider, _ = world
    model = fit_response(answered, X, provider, kind)
    # Without provider effects log-odds are those of the average patient, nearer to 0.
    shrunk = 0.9 if kind == "none" else 1.0
    np.testing.assert_allclose(model.coef / shrunk, [0.05, -0.6], rtol=0.25)
    assert model.converged


@each_kind
def test_fitted_probabilities_are_those_of_the_coefficients(world, kind):
    answered, X, provider, _ = world
    model = fit_response(answered, X, provider, kind)
    odds = model.intercept + model.effects[provider] + X @ model.coef
    np.testing.assert_allclose(model.probability, 1 / (1 + np.exp(-odds)), rtol=1e-9)


def test_with_random_effects_it_is_the_logistic_model_of_the_package(world):
    answered, X, provider, _ = world
    model = fit_response(answered, X, provider)
    fit = fit_random_intercept(answered.astype(float), X, provider, "binomial")
    np.testing.assert_allclose(model.coef, fit.coef, rtol=1e-5)
    np.testing.assert_allclose(model.effects, fit.effects, atol=1e-5)
    assert model.intercept == pytest.approx(fit.intercept, abs=1e-5)
    assert model.sigma == pytest.approx(fit.sigma, rel=1e-5)


@each_kind
def test_covariates_that_say_nothing_new_change_nothing(world, kind):
    answered, X, provider, _ = world
    ticked = X[:, 1]
    more = np.column_stack((X, 1 - ticked, np.full(len(X), 7.3), 3 * X[:, 0] - ticked + 1e4))
    plain, padded = (fit_response(answered, one, provider, kind) for one in (X, more))
    np.testing.assert_allclose(padded.probability, plain.probability, atol=1e-7)


def test_fixed_effects_ignore_what_is_the_same_within_providers(world):
    answered, X, provider, _ = world
    with_level = np.column_stack((X, provider % 3))
    plain, padded = (fit_response(answered, one, provider, "fixed") for one in (X, with_level))
    np.testing.assert_allclose(padded.probability, plain.probability, atol=1e-7)
    assert padded.coef[2] == 0


@each_kind
def test_providers_can_be_called_anything(world, kind):
    answered, X, provider, _ = world
    names = np.array([f"p{19 - one:02d}" for one in range(20)])[provider]
    plain, named = (fit_response(answered, X, one, kind) for one in (provider, names))
    np.testing.assert_allclose(named.probability, plain.probability, atol=1e-7)


@pytest.mark.parametrize("kind", ["fixed", "none"])
def test_a_covariate_that_tells_answers_from_silence_has_a_finite_coefficient(kind):
    rng = np.random.default_rng(1)
    provider = np.tile(np.arange(4), 25)
    x = rng.standard_normal(100)
    model = fit_response(x > 0, x, provider, kind)
    assert model.converged
    assert 1 < model.coef[0] < 1_000
    assert np.mean((model.probability > 0.5) == (x > 0)) > 0.95


@pytest.mark.parametrize("kind", ["random", "fixed"])
def test_providers_that_all_or_nobody_answered_have_finite_effects(kind):
    rng = np.random.default_rng(2)
    provider = np.repeat(np.arange(5), 40)
    answered = rng.random(200) < 0.5
    answered[provider == 0], answered[provider == 4] = True, False
    model = fit_response(answered, rng.standard_normal(200), provider, kind)
    assert np.isfinite(model.effects).all()
    assert model.effects[0] > model.effects[1:4].max()
    assert model.effects[4] < model.effects[1:4].min()


@each_kind
def test_when_everybody_answered_there_is_nothing_to_model(kind):
    model = fit_response(np.ones(6), np.arange(6.0), list("aabbcc"), kind)
    assert (model.probability == 1).all()
    found = response_weights(np.ones(6), model.probability, list("aabbcc"))
    assert (found.weight == 1).all()
    assert found.effective.tolist() == [2, 2, 2]


@pytest.mark.parametrize(
    ("answered", "X", "kind", "said"),
    [
        ([0, 0, 0, 0], np.zeros((4, 1)), "none", "wanted somebody who did"),
        ([0, 1, 2, 0], np.zeros((4, 1)), "none", "answered: wanted 0 or 1"),
        ([0, 1, 0], np.zeros((4, 1)), "none", "answered: wanted shape"),
        ([0, 1, 0, 1], np.zeros((3, 1)), "none", "X: wanted 4 rows"),
        ([0, 1, 0, 1], np.full((4, 1), np.nan), "none", "X: wanted finite numbers"),
        ([0, 1, 0, 1], np.zeros((4, 1)), "ridge", "provider_effect: wanted one of"),
    ],
)
def test_what_no_model_can_be_fitted_to_is_refused(answered, X, kind, said):
    with pytest.raises(ArrayError, match=said):
        fit_response(answered, X, list("aabb"), kind)


# --- weights ---


def test_weights_are_what_is_worked_by_hand():
    answered = [1, 0, 1, 0, 1, 1, 1, 1]
    probability = [0.5, 0.5, 0.25, 0.25, 0.8, 0.8, 0.8, 0.8]
    own = response_weights(answered, probability, list("aaaabbbb"), trim=(0, 1))
    np.testing.assert_allclose(own.weight, [1, 0, 2, 0, 1.25, 1.25, 1.25, 1.25])
    np.testing.assert_allclose(own.effective, [9 / 5, 4])
    assert own.effective_n == pytest.approx(8.0**2 / (5 + 6.25))
    overall = response_weights(
        answered, probability, list("aaaabbbb"), numerator="overall", trim=(0, 1)
    )
    np.testing.assert_allclose(overall.weight[[0, 2, 4]], [1.5, 3, 0.9375])
    assert (own.eligible.tolist(), own.responders.tolist()) == ([4, 4], [2, 4])


def test_trimmed_weights_are_pulled_in_to_their_quantiles(world):
    answered, X, provider, _ = world
    chance = fit_response(answered, X, provider).probability
    raw = response_weights(answered, chance, provider, trim=(0, 1))
    found = response_weights(answered, chance, provider)
    kept = raw.weight[answered]
    lower, upper = np.quantile(kept, [0.01, 0.99])
    assert (found.lower, found.upper) == (lower, upper)
    np.testing.assert_array_equal(found.weight[answered], np.clip(kept, lower, upper))
    assert found.trimmed == ((kept < lower) | (kept > upper)).sum() > 0
    assert raw.trimmed == 0
    assert found.effective_n > raw.effective_n


@given(seed=st.integers(0, 2**32 - 1))
def test_untrimmed_the_numerator_is_no_matter_to_providers(seed):
    rng = np.random.default_rng(seed)
    provider, residual = rng.integers(0, 5, 80), rng.standard_normal(80)
    answered = rng.random(80) < 0.7
    chance = rng.uniform(0.2, 1.0, 80)
    own, overall = (
        weighted_means(
            residual,
            response_weights(answered, chance, provider, numerator=one, trim=(0, 1)).weight,
            provider,
        )
        for one in ("provider", "overall")
    )
    np.testing.assert_allclose(own.mean, overall.mean, atol=1e-12)
    np.testing.assert_allclose(own.error, overall.error, atol=1e-12)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"probability": [0.0, 0.5, 0.5, 0.5]}, "probability: wanted numbers above 0"),
        ({"probability": [1.5, 0.5, 0.5, 0.5]}, "probability: wanted numbers of 1 or less"),
        ({"trim": (0.9, 0.1)}, "trim: wanted two quantiles"),
        ({"numerator": "own"}, "numerator: wanted one of provider, overall"),
        ({"answered": [0, 0, 0, 0]}, "wanted somebody who did"),
    ],
)
def test_what_no_weights_can_be_made_of_is_refused(wrong, said):
    good = {"answered": [1, 0, 1, 1], "probability": [0.5] * 4, "provider": list("aabb")}
    with pytest.raises(ArrayError, match=said):
        response_weights(**{**good, **wrong})


# --- balance ---


def cells():
    """Return a covariate, provider and answers whose rates by cell are known exactly."""
    x = np.tile(np.repeat([0.0, 1.0], 20), 3)
    provider = np.repeat(np.arange(3), 40)
    answered = np.zeros(120, dtype=bool)
    for cell, number in enumerate([10, 4, 20, 5, 8, 16]):
        answered[cell * 20 : cell * 20 + number] = True
    rate = np.repeat(np.array([10, 4, 20, 5, 8, 16]) / 20, 20)
    return x, provider, answered, rate


@pytest.mark.parametrize("numerator", ["provider", "overall"])
def test_weights_of_the_true_rates_balance_exactly(numerator):
    x, provider, answered, rate = cells()
    weight = response_weights(answered, rate, provider, numerator=numerator, trim=(0, 1)).weight
    table = balance(x, weight, provider)
    assert abs(table.unweighted_difference[0]) > 0.05
    np.testing.assert_allclose(table.weighted_difference, 0, atol=1e-12)
    assert table.everybody[0] == 0.5


def test_differences_are_what_is_worked_by_hand():
    x, _, answered, _ = cells()
    table = balance(np.column_stack((x, np.ones(120))), answered.astype(float))
    assert table.responders[0] == pytest.approx(25 / 63)
    assert table.unweighted_difference[0] == pytest.approx((25 / 63 - 0.5) / 0.5)
    assert table.weighted_difference[0] == table.unweighted_difference[0]
    assert (table.sd[1], table.unweighted_difference[1]) == (0, 0)


def test_providers_that_nobody_answered_are_left_out_of_balance():
    x, provider, answered, rate = cells()
    more = np.concatenate((x, np.full(10, 99.0)))
    weight = np.concatenate((answered / rate, np.zeros(10)))
    table = balance(more, weight, np.concatenate((provider, np.full(10, 3))))
    assert table.weighted_difference == pytest.approx([0], abs=1e-12)
    assert table.sd[0] == 0.5
    assert table.everybody[0] == pytest.approx((60 + 990) / 130)


def test_means_are_plain_whatever_differences_are_within():
    x, provider, answered, rate = cells()
    weight = response_weights(answered, rate, provider, trim=(0, 1)).weight
    table = balance(x, weight, provider)
    wanted = x.mean(), x[answered].mean(), np.average(x, weights=weight)
    assert (table.everybody[0], table.responders[0], table.weighted[0]) == pytest.approx(wanted)
    own = [x[answered & (provider == one)].mean() for one in range(3)]
    assert table.unweighted_difference[0] == pytest.approx((np.mean(own) - 0.5) / 0.5)
    assert abs(np.mean(own) - table.responders[0]) > 0.01


@pytest.mark.parametrize(
    ("weight", "provider", "said"),
    [
        ([0.0, 0.0], None, "weight: wanted some above 0"),
        ([-1.0, 1.0], None, "weight: wanted numbers of 0 or more"),
        ([1.0, 1.0], ["a"], "provider: wanted one per episode"),
        ([1.0, 1.0, 1.0], None, "X: wanted 3 rows"),
    ],
)
def test_what_has_no_balance_is_refused(weight, provider, said):
    with pytest.raises(ArrayError, match=said):
        balance([[1.0], [2.0]], weight, provider)


# --- weighted means ---


def test_equal_weights_give_the_mean_and_its_usual_error():
    rng = np.random.default_rng(3)
    residual, provider = rng.standard_normal(60), np.repeat(list("abc"), 20)
    found = weighted_means(residual, np.full(60, 0.3), provider)
    rows = residual.reshape(3, 20)
    np.testing.assert_allclose(found.mean, rows.mean(axis=1))
    np.testing.assert_allclose(found.error, rows.std(axis=1, ddof=1) / np.sqrt(20))
    pooled = np.sqrt(rows.var(axis=1, ddof=1).mean())
    np.testing.assert_allclose(found.pooled_error, pooled / np.sqrt(20))
    np.testing.assert_allclose(found.effective, 20)
    assert found.centre == pytest.approx(residual.mean())


def test_errors_are_the_spread_of_means_in_many_samples():
    """Weights that go with the spread of residuals, where Kish's number alone would mislead."""
    rng = np.random.default_rng(4)
    providers, n = 4_000, 40
    x = rng.random((providers, n)) < 0.5
    weight = np.where(x, 3.0, 1.0)
    residual = rng.standard_normal((providers, n)) * np.where(x, 2.0, 0.5)
    found = weighted_means(residual.ravel(), weight.ravel(), np.repeat(np.arange(providers), n))
    true = float(np.mean(found.mean**2))
    assert np.mean(found.error**2) == pytest.approx(true, rel=0.05)
    assert np.mean(found.pooled_error**2) == pytest.approx(true, rel=0.05)
    unweighted = residual.std() ** 2 / found.effective.mean()
    assert abs(unweighted / true - 1) > 0.2


def test_the_pooled_spread_is_that_of_episodes_even_in_small_providers():
    rng = np.random.default_rng(5)
    residual, provider = rng.normal(0, 7, 12_000), np.repeat(np.arange(4_000), 3)
    weight = rng.uniform(0.5, 3.0, 12_000)
    assert weighted_means(residual, weight, provider).sd == pytest.approx(7, rel=0.03)


def test_a_provider_without_answers_has_no_mean_and_one_answer_no_error_of_its_own():
    nan = float("nan")
    found = weighted_means([1.0, 3.0, 5.0, nan, nan], [1, 1, 1, 0, 0], list("aabbc"))
    np.testing.assert_array_equal(found.mean, [2.0, 5.0, nan])
    np.testing.assert_array_equal(np.isnan(found.error), [False, True, True])
    np.testing.assert_array_equal(np.isnan(found.pooled_error), [False, False, True])
    assert found.n.tolist() == [2, 1, 0]
    assert found.centre == pytest.approx(3.5)


@pytest.mark.parametrize(
    ("residual", "weight", "said"),
    [
        ([1.0, np.nan, 2.0], [1, 1, 1], "residual of responders: wanted finite"),
        ([1.0, 2.0], [1, 1, 1], "residual: wanted shape"),
        ([1.0, 2.0, 3.0], [0, 0, 0], "weight: wanted some above 0"),
        ([1.0, 2.0, 3.0], [1, 0, 1], "two or more responders"),
    ],
)
def test_what_has_no_weighted_mean_is_refused(residual, weight, said):
    with pytest.raises(ArrayError, match=said):
        weighted_means(residual, weight, list("aab"))


def test_where_covariates_tell_who_answered_the_model_is_one_of_fixed_effects() -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(300, 12))
    silent = np.argsort(x[:, 0])[:6]
    answered = np.ones(300)
    answered[silent] = 0.0
    model = fit_response(answered, x, np.arange(300) % 6)
    assert model.provider_effect == "fixed"
    assert np.isfinite(model.coef).all()
    assert model.probability[silent].max() < np.median(model.probability)
