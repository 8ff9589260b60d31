"""Exact tests and intervals of event counts, against exact arithmetic and their definitions."""

import time
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats

from riskadj.errors import ArrayError
from riskadj.stats.event_counts import (
    exact_ratio_interval,
    exact_test,
    poisson_binomial_tails,
    score_test,
    wald_test,
)
from riskadj.stats.intervals import ratio_interval

many = settings(max_examples=40, deadline=None, derandomize=True)
SEEDS = st.integers(0, 10_000)


def world(providers=6, n=40, seed=1):
    """Return probabilities, providers and outcomes of episodes in no order."""
    rng = np.random.default_rng(seed)
    provider = rng.permutation(np.repeat(np.arange(providers), n))
    log_odds = rng.normal(-1.5, 1.2, provider.size)
    own = rng.normal(0, 0.8, providers)
    event = rng.random(provider.size) < special.expit(log_odds + own[provider])
    return special.expit(log_odds), provider, event.astype(float)


def single(probability, events):
    """Return one provider's episodes, so many of them with the event."""
    n = len(probability)
    return probability, ["a"] * n, (np.arange(n) < events).astype(float)


def exactly(probability):
    """Return P(X = 0), P(X = 1), ... as fractions."""
    masses = [Fraction(1)]
    for p in map(Fraction, probability):
        masses = [
            (1 - p) * a + p * b
            for a, b in zip([*masses, Fraction(0)], [Fraction(0), *masses], strict=True)
        ]
    return masses


def relative_error(got, wanted):
    return abs(float(Fraction(float(got)) / wanted) - 1)


# --- tails ---

RISKS = {
    "moderate": lambda u: u,
    "low": lambda u: u**3,
    "very low": lambda u: u**12,
    "very high": lambda u: 1 - u**8,
    "low or high": lambda u: np.where(u < 0.5, u**20, 1 - u**40),
}


@pytest.mark.parametrize("n", [1, 2, 3, 7, 20, 64])
@pytest.mark.parametrize("risk", RISKS)
def test_tails_are_those_of_exact_arithmetic_however_small(n, risk):
    probability = RISKS[risk](np.random.default_rng(n).uniform(0.05, 0.95, n))
    masses = exactly(probability)
    for events in {0, 1, n // 3, n // 2, n - 1, n}:
        tails = poisson_binomial_tails(*single(probability, events))
        assert relative_error(tails.lower[0], sum(masses[: events + 1])) < 5e-13
        wanted = sum(masses[events:])
        if wanted > 1e-300:
            assert relative_error(tails.upper[0], wanted) < 5e-13
            assert relative_error(tails.point[0], masses[events]) < 5e-13


@pytest.mark.parametrize("n", [10, 255, 256, 257, 600, 5000, 20_000])
@pytest.mark.parametrize("p", [0.002, 0.3, 0.9])
def test_equal_risks_give_the_binomial(n, p):
    away = np.round(n * p + np.array([-6, -3, -1, 0, 1, 3, 6]) * np.sqrt(n * p * (1 - p)))
    for events in np.unique(np.clip(away, 0, n)).astype(int):
        tails = poisson_binomial_tails(*single(np.full(n, p), events))
        lower, upper = stats.binom.cdf(events, n, p), stats.binom.sf(events - 1, n, p)
        if lower > 1e-10:
            assert tails.lower[0] == pytest.approx(lower, rel=1e-12)
        if upper > 1e-10:
            assert tails.upper[0] == pytest.approx(upper, rel=1e-12)
        assert tails.point[0] == pytest.approx(stats.binom.pmf(events, n, p), rel=1e-10)


@pytest.mark.parametrize("n", [300, 1000, 3001])
@pytest.mark.parametrize("away", [-7, -2, 0, 2, 7])
def test_unequal_risks_of_many_episodes_are_those_of_the_plain_recursion(n, away):
    probability = special.expit(np.random.default_rng(n).normal(-1, 1.5, n))
    masses = np.zeros(n + 1)
    masses[0] = 1.0
    for p in probability:
        masses[1:] = masses[1:] * (1 - p) + masses[:-1] * p
        masses[0] *= 1 - p
    spread = np.sqrt((probability * (1 - probability)).sum())
    events = round(probability.sum() + away * spread)
    tails = poisson_binomial_tails(*single(probability, events))
    assert tails.lower[0] == pytest.approx(masses[: events + 1].sum(), rel=1e-11)
    assert tails.upper[0] == pytest.approx(masses[events:].sum(), rel=1e-11)
    assert tails.point[0] == pytest.approx(masses[events], rel=1e-11)


@many
@given(seed=SEEDS, n=st.integers(1, 60))
def test_tails_sum_to_one_and_the_observed_count(seed, n):
    tails = poisson_binomial_tails(*world(n=n, seed=seed))
    np.testing.assert_allclose(tails.lower + tails.upper, 1 + tails.point, rtol=1e-14)
    assert (tails.point > 0).all()
    assert (tails.lower <= 1).all()
    assert (tails.upper <= 1).all()


@many
@given(seed=SEEDS, n=st.integers(1, 60))
def test_events_and_their_absence_are_mirror_images(seed, n):
    probability, provider, observed = world(n=n, seed=seed)
    tails = poisson_binomial_tails(probability, provider, observed)
    mirror = poisson_binomial_tails(1 - probability, provider, 1 - observed)
    np.testing.assert_allclose(tails.lower, mirror.upper, rtol=1e-11)
    np.testing.assert_allclose(tails.point, mirror.point, rtol=1e-11)


@many
@given(seed=SEEDS)
def test_the_distribution_of_two_providers_together_is_the_convolution(seed):
    probability, provider, _ = world(providers=2, n=4, seed=seed)
    mass = [
        np.array(
            [
                poisson_binomial_tails(*single(probability[provider == one], k)).point[0]
                for k in range(5)
            ]
        )
        for one in (0, 1)
    ]
    merged = [poisson_binomial_tails(*single(probability, k)).point[0] for k in range(9)]
    np.testing.assert_allclose(merged, np.convolve(*mass), rtol=1e-12)


def test_a_simulation_agrees():
    probability, provider, observed = world(providers=4, n=25)
    tails = poisson_binomial_tails(probability, provider, observed)
    draws = np.random.default_rng(7).random((20_000, provider.size)) < probability
    for place, one in enumerate(tails.providers):
        counts = draws[:, provider == one].sum(axis=1)
        o = tails.observed[place]
        assert (counts <= o).mean() == pytest.approx(tails.lower[place], abs=0.015)
        assert (counts >= o).mean() == pytest.approx(tails.upper[place], abs=0.015)
        assert (counts == o).mean() == pytest.approx(tails.point[place], abs=0.015)


@pytest.mark.parametrize("function", [poisson_binomial_tails, exact_test, exact_ratio_interval])
def test_names_and_order_of_the_episodes_do_not_matter(function):
    probability, provider, observed = world(n=300, seed=3)
    names = np.array(["f", "b", "e", "a", "d", "c"])
    rows = np.random.default_rng(5).permutation(provider.size)
    result = function(probability, provider, observed)
    renamed = function(probability[rows], names[provider][rows], observed[rows])
    assert renamed.providers.tolist() == sorted(names)
    for name, values in vars(result).items():
        if name != "providers":
            np.testing.assert_allclose(
                getattr(renamed, name), values[np.argsort(names)], rtol=1e-9, err_msg=name
            )


@pytest.mark.parametrize("function", [poisson_binomial_tails, exact_ratio_interval])
def test_a_provider_s_result_does_not_depend_on_the_others(function):
    sizes = [1, 3, 17, 200, 256, 257, 700]
    provider = np.repeat(np.arange(len(sizes)), sizes)
    rng = np.random.default_rng(2)
    probability = rng.uniform(0.05, 0.5, provider.size)
    observed = (rng.random(provider.size) < 0.3).astype(float)
    together = function(probability, provider, observed)
    for one in range(len(sizes)):
        own = provider == one
        alone = function(probability[own], provider[own], observed[own])
        for name, values in vars(alone).items():
            np.testing.assert_array_equal(getattr(together, name)[one], values[0], name)


# --- tests ---


def test_the_exact_p_is_twice_the_smaller_tail():
    rows = world(providers=20)
    tails, result = poisson_binomial_tails(*rows), exact_test(*rows)
    smaller = np.minimum(tails.lower, tails.upper)
    np.testing.assert_allclose(result.p, np.minimum(2 * smaller, 1), rtol=1e-12)
    assert (
        np.sign(result.z)[result.p < 1] == np.sign(tails.lower - tails.upper)[result.p < 1]
    ).all()
    np.testing.assert_allclose(2 * stats.norm.sf(np.abs(result.z)), result.p, rtol=1e-9)


def test_midp_takes_half_of_the_observed_count_from_each_tail():
    rows = world(providers=20)
    tails, result = poisson_binomial_tails(*rows), exact_test(*rows, method="midp")
    smaller = np.minimum(tails.lower, tails.upper) - tails.point / 2
    np.testing.assert_allclose(result.p, 2 * smaller, rtol=1e-12)
    assert (result.p < exact_test(*rows).p).all()


def test_midp_follows_the_smaller_tail_where_the_other_side_is_that_of_the_observed_count():
    """One event of 1.001 expected is fewer; yet so many or more are the rarer half."""
    n, p = 1000, 1.001e-3
    result = exact_test(*single(np.full(n, p), 1), method="midp")
    upper = stats.binom.sf(0, n, p) - stats.binom.pmf(1, n, p) / 2
    assert upper < 0.5
    assert result.p[0] == pytest.approx(2 * upper, rel=1e-12)
    assert result.z[0] == pytest.approx(stats.norm.isf(upper), rel=1e-9)


def test_the_exact_p_of_equal_risks_is_that_of_the_binomial():
    result = exact_test(*single(np.full(30, 0.1), 8))
    assert result.p[0] == pytest.approx(2 * stats.binom.sf(7, 30, 0.1), rel=1e-12)
    assert result.z[0] > 0


@pytest.mark.parametrize(("p", "events", "sign"), [(0.001, 400, 1), (0.999, 0, -1)])
def test_z_survives_where_p_is_too_small_for_a_number(p, events, sign):
    result = exact_test(*single(np.full(400, p), events))
    assert result.p[0] == 0
    log_tail = 400 * np.log(0.001)
    assert sign * result.z[0] == pytest.approx(-special.ndtri_exp(log_tail), rel=1e-9)


def test_the_exact_test_keeps_its_promise_and_midp_comes_closer():
    rng = np.random.default_rng(11)
    provider = np.repeat(np.arange(3000), 30)
    probability = special.expit(rng.normal(-2, 1, provider.size))
    observed = (rng.random(provider.size) < probability).astype(float)
    refused = {
        method: (exact_test(probability, provider, observed, method).p < 0.05).mean()
        for method in ("exact", "midp")
    }
    assert 0.01 < refused["exact"] < 0.04
    assert refused["exact"] < refused["midp"] < 0.06


def test_the_score_test_is_the_difference_over_its_standard_deviation():
    probability, provider, observed = world()
    result = score_test(probability, provider, observed)
    for place, one in enumerate(result.providers):
        p, y = probability[provider == one], observed[provider == one]
        z = (y.sum() - p.sum()) / np.sqrt((p * (1 - p)).sum())
        assert result.z[place] == pytest.approx(z, rel=1e-12)
        assert result.p[place] == pytest.approx(2 * stats.norm.sf(abs(z)), rel=1e-9)
        assert (result.n[place], result.observed[place]) == (len(y), y.sum())
        assert result.expected[place] == pytest.approx(p.sum())


def test_score_and_exact_tests_agree_for_many_episodes():
    rows = world(providers=20, n=4000)
    exact, score = exact_test(*rows, method="midp"), score_test(*rows)
    near = np.abs(score.z) < 5
    assert near.sum() >= 3
    np.testing.assert_allclose(exact.z[near], score.z[near], atol=0.05)


@pytest.mark.parametrize("df", [None, 0.5, 1, 5, 200.0])
def test_wald_s_test_is_normal_or_student_s(df):
    effect, error, reference = np.array([0.1, -0.7, 2.0]), np.array([0.2, 0.3, 0.5]), 0.05
    result = wald_test(effect, error, reference, df)
    z = (effect - reference) / error
    p = 2 * (stats.norm.sf(np.abs(z)) if df is None else stats.t.sf(np.abs(z), df))
    np.testing.assert_allclose(result.z, z)
    np.testing.assert_allclose(result.p, p, rtol=1e-9)


def test_wald_s_test_has_no_answer_for_an_infinite_effect():
    result = wald_test([-np.inf, 0.5], [np.inf, 0.25], reference=[0.0, 0.1])
    assert np.isnan(result.z).tolist() == [True, False]
    assert np.isnan(result.p).tolist() == [True, False]
    assert result.z[1] == pytest.approx(1.6)


# --- intervals ---


@pytest.mark.parametrize("level", [0.5, 0.95, 0.998, 1 - 1e-9])
@pytest.mark.parametrize("n", [1, 12, 200, 400])
def test_exact_bounds_leave_half_of_the_rest_in_each_tail(level, n):
    probability, provider, observed = world(n=n, seed=n)
    interval = exact_ratio_interval(probability, provider, observed, level)
    goal = (1 - level) / 2
    for shift, tail, bound in (
        (interval.shift_lower, "upper", interval.lower),
        (interval.shift_upper, "lower", interval.upper),
    ):
        solved = np.isfinite(shift)
        kept = solved[provider]
        shifted = special.expit(special.logit(probability) + np.where(solved, shift, 0)[provider])
        tails = poisson_binomial_tails(shifted[kept], provider[kept], observed[kept])
        np.testing.assert_allclose(getattr(tails, tail), goal, rtol=1e-6 if level > 0.999 else 1e-9)
        np.testing.assert_allclose(
            bound[solved], tails.expected / interval.expected[solved], rtol=1e-12
        )


def test_midp_bounds_split_the_observed_count():
    probability, provider, observed = world(n=60)
    interval = exact_ratio_interval(probability, provider, observed, method="midp")
    for shift, tail in ((interval.shift_lower, "upper"), (interval.shift_upper, "lower")):
        shifted = special.expit(special.logit(probability) + shift[provider])
        tails = poisson_binomial_tails(shifted, provider, observed)
        np.testing.assert_allclose(getattr(tails, tail) - tails.point / 2, 0.025, rtol=1e-9)


@pytest.mark.parametrize("events", [0, 1, 7, 29, 30])
@pytest.mark.parametrize("p", [0.03, 0.2, 0.8])
def test_equal_risks_give_the_interval_of_clopper_and_pearson(events, p):
    interval = exact_ratio_interval(*single(np.full(30, p), events), level=0.9)
    lower = stats.beta.ppf(0.05, events, 31 - events) if events else 0.0
    upper = stats.beta.isf(0.05, events + 1, 30 - events) if events < 30 else 1.0
    assert interval.lower[0] == pytest.approx(lower / p, rel=1e-10)
    assert interval.upper[0] == pytest.approx(upper / p, rel=1e-10)


def test_rare_events_give_nearly_the_interval_of_a_poisson_count():
    rows = single(np.full(20_000, 0.0004), 10)
    interval, poisson = exact_ratio_interval(*rows), ratio_interval(10, 8.0)
    assert interval.lower[0] == pytest.approx(poisson.lower, rel=1e-3)
    assert interval.upper[0] == pytest.approx(poisson.upper, rel=1e-3)


def test_no_events_and_only_events_have_one_bound_each():
    probability = np.array([0.1, 0.2, 0.4] * 2)
    interval = exact_ratio_interval(probability, list("aaabbb"), [0, 0, 0, 1, 1, 1])
    assert interval.ratio.tolist() == pytest.approx([0, 3 / 0.7])
    assert interval.lower[0] == 0
    assert interval.shift_lower[0] == -np.inf
    assert 1 < interval.upper[0] < 3 / 0.7
    assert interval.upper[1] == pytest.approx(3 / 0.7)
    assert interval.shift_upper[1] == np.inf
    assert 1 < interval.lower[1] < 3 / 0.7
    none = special.expit(special.logit(probability[:3]) + interval.shift_upper[0])
    assert np.prod(1 - none) == pytest.approx(0.025, rel=1e-9)
    every = special.expit(special.logit(probability[3:]) + interval.shift_lower[1])
    assert np.prod(every) == pytest.approx(0.025, rel=1e-9)


@many
@given(seed=SEEDS, n=st.integers(1, 80), method=st.sampled_from(["exact", "midp"]))
def test_the_interval_holds_1_unless_the_test_refuses_it(seed, n, method):
    rows = world(n=n, seed=seed)
    interval = exact_ratio_interval(*rows, level=0.9, method=method)
    outside = (interval.lower > 1) | (interval.upper < 1)
    assert (outside == (exact_test(*rows, method=method).p < 0.1)).all()


@many
@given(seed=SEEDS, n=st.integers(1, 80))
def test_the_interval_holds_the_ratio_and_grows_with_the_level(seed, n):
    rows = world(n=n, seed=seed)
    narrow, wide = exact_ratio_interval(*rows, level=0.8), exact_ratio_interval(*rows, level=0.99)
    midp = exact_ratio_interval(*rows, level=0.8, method="midp")
    for inner, outer in ((midp, narrow), (narrow, wide)):
        assert (outer.lower <= inner.lower).all()
        assert (outer.upper >= inner.upper).all()
    assert (narrow.lower <= narrow.ratio).all()
    assert (narrow.upper >= narrow.ratio).all()
    largest = narrow.n / narrow.expected
    assert (wide.upper <= largest * (1 + 1e-12)).all()


def test_the_interval_covers_as_often_as_it_says():
    rng = np.random.default_rng(4)
    provider = np.repeat(np.arange(2000), 40)
    log_odds, shift = rng.normal(-2, 1, provider.size), 0.5
    truth = special.expit(log_odds + shift)
    observed = (rng.random(provider.size) < truth).astype(float)
    rows = (special.expit(log_odds), provider, observed)
    covered = {}
    for method in ("exact", "midp"):
        interval = exact_ratio_interval(*rows, level=0.9, method=method)
        covered[method] = ((interval.shift_lower <= shift) & (interval.shift_upper >= shift)).mean()
    assert covered["exact"] >= 0.9
    assert 0.88 < covered["midp"] < covered["exact"] < 0.97


def test_five_hundred_providers_take_no_time():
    rows = world(providers=500, n=200)
    start = time.perf_counter()
    exact_test(*rows)
    exact_ratio_interval(*rows)
    assert time.perf_counter() - start < 2


# --- what is refused ---


@pytest.mark.parametrize(
    ("probability", "provider", "observed", "says"),
    [
        ([0.0, 0.5], "ab", [0, 1], "probability: wanted numbers above 0 and below 1"),
        ([0.5, 1.0], "ab", [0, 1], "probability"),
        ([0.5, np.nan], "ab", [0, 1], "probability: wanted finite"),
        ([0.5], "ab", [0, 1], "probability: wanted shape"),
        ([0.5, 0.5], "ab", [0, 2], "observed: wanted 1 with the event"),
        ([0.5, 0.5], "ab", [0, 0.5], "observed"),
        ([0.5, 0.5], "ab", [0], "observed: wanted shape"),
        ([], "", [], "provider"),
    ],
)
@pytest.mark.parametrize("function", [exact_test, score_test, exact_ratio_interval])
def test_what_has_no_test_is_refused(function, probability, provider, observed, says):
    with pytest.raises(ArrayError, match=says):
        function(probability, list(provider), observed)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (([0.5], [0.0]), "standard_error"),
        (([0.5], [np.nan]), "standard_error"),
        (([np.nan], [0.1]), "effect"),
        ((["x"], [0.1]), "effect: wanted numbers"),
        (([0.5], [0.1], np.inf), "reference"),
        (([0.5, 0.1], [0.1, 0.1], [0.0, 0.1, 0.2]), "reference: wanted one, or 2"),
        (([0.5], [0.1, 0.2]), "standard_error"),
        (([0.5], [0.1], 0.0, 0), "df"),
    ],
)
def test_wald_s_test_wants_numbers(arguments, says):
    with pytest.raises(ArrayError, match=says):
        wald_test(*arguments)


@pytest.mark.parametrize(
    ("options", "says"),
    [({"level": 1.0}, "level"), ({"level": 0.0}, "level"), ({"method": "byar"}, "method")],
)
def test_an_interval_has_a_level_and_a_method(options, says):
    with pytest.raises(ArrayError, match=says):
        exact_ratio_interval([0.5], ["a"], [1], **options)
