"""Shrunken effects, against their own definition, integration, and a world with known truth."""

from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import norm

from riskadj.errors import ArrayError
from riskadj.stats.shrinkage import shrink

EFFECT = np.array([2.0, -1.0, 0.4, -3.1, 0.0, 1.2])
ERROR = np.array([1.0, 2.0, 0.5, 1.3, 0.8, 3.0])
FIELDS = ("effect", "sd", "lower", "upper", "weight", "above_centre")
CHOICES = pytest.mark.parametrize(
    ("centre", "allow"), [(0.0, False), (1.5, False), (None, False), (0.0, True), (None, True)]
)


def test_estimates_are_what_is_worked_by_hand():
    got = shrink([3.0], [2.0], tau2=12.0, centre=1.0, level=0.9)
    assert (got.weight[0], got.effect[0]) == (pytest.approx(0.75), pytest.approx(2.5))
    assert got.sd[0] == pytest.approx(np.sqrt(3.0))
    assert got.lower[0] == pytest.approx(2.5 - 1.644853627 * np.sqrt(3.0))
    assert got.upper[0] == pytest.approx(2.5 + 1.644853627 * np.sqrt(3.0))
    assert got.above_centre[0] == pytest.approx(norm.cdf(1.5 / np.sqrt(3.0)))


@pytest.mark.parametrize(("effect", "error", "tau2"), [(2.0, 1.0, 0.5), (-1.0, 0.3, 2.0)])
def test_the_posterior_is_that_of_bayes_theorem_by_integration(effect, error, tau2):
    got = shrink([effect], [error], tau2, centre=0.2)

    def density(true, power):
        return true**power * norm.pdf(effect, true, error) * norm.pdf(true, 0.2, np.sqrt(tau2))

    total, first, second = (quad(density, -15, 15, args=(power,))[0] for power in range(3))
    above = quad(density, 0.2, 15, args=(0,))[0]
    assert got.effect[0] == pytest.approx(first / total)
    assert got.sd[0] == pytest.approx(np.sqrt(second / total - (first / total) ** 2))
    assert got.above_centre[0] == pytest.approx(above / total)


def test_the_interval_is_that_of_the_reliability():
    """The same variance in its other form, tau^2 (1 - reliability)."""
    got = shrink(EFFECT, ERROR, 0.6)
    reliability = 0.6 / (0.6 + ERROR**2)
    np.testing.assert_allclose(got.effect, EFFECT * reliability)
    half = 1.959963985 * np.sqrt(0.6 * (1 - reliability))
    np.testing.assert_allclose(got.upper, EFFECT * reliability + half)
    np.testing.assert_allclose(got.lower, EFFECT * reliability - half)


def test_without_variance_between_providers_all_are_the_centre():
    got = shrink(EFFECT, ERROR, 0.0, centre=0.3)
    for bound in (got.effect, got.lower, got.upper):
        assert (bound == 0.3).all()
    assert (got.sd == 0).all()
    assert (got.weight == 0).all()
    assert (got.above_centre == 0.5).all()


def test_a_half_is_the_limit_of_the_probability_of_being_above():
    got = shrink(EFFECT, ERROR, 1e-14)
    np.testing.assert_allclose(got.above_centre, 0.5, atol=1e-5)


@CHOICES
def test_a_large_variance_between_providers_leaves_effects_and_errors(centre, allow):
    got = shrink(EFFECT, ERROR, 1e9, centre=centre, allow_for_estimation=allow)
    np.testing.assert_allclose(got.effect, EFFECT, atol=1e-6)
    np.testing.assert_allclose(got.sd, ERROR, rtol=1e-6)


@CHOICES
@pytest.mark.parametrize("tau2", [0.0, 0.3, 5.0])
def test_providers_in_another_order_have_the_same_answers(centre, allow, tau2):
    order = np.array([3, 0, 5, 1, 4, 2])
    one = shrink(EFFECT, ERROR, tau2, centre, allow_for_estimation=allow)
    other = shrink(EFFECT[order], ERROR[order], tau2, centre, allow_for_estimation=allow)
    for field in FIELDS:
        np.testing.assert_allclose(getattr(other, field), getattr(one, field)[order], rtol=1e-12)


@CHOICES
@given(unit=st.floats(1e-3, 1e3), tau2=st.floats(0.01, 50.0))
def test_the_answer_scales_with_the_unit(unit, tau2, centre, allow):
    one = shrink(EFFECT, ERROR, tau2, centre, allow_for_estimation=allow)
    middle = None if centre is None else unit * centre
    other = shrink(unit * EFFECT, unit * ERROR, unit**2 * tau2, middle, allow_for_estimation=allow)
    for field in ("effect", "sd", "lower", "upper"):
        np.testing.assert_allclose(
            getattr(other, field), unit * getattr(one, field), rtol=1e-9, atol=1e-9 * unit
        )
    for field in ("weight", "above_centre"):
        np.testing.assert_allclose(getattr(other, field), getattr(one, field), rtol=1e-9)


@CHOICES
@given(shift=st.floats(-100, 100))
def test_the_answer_moves_with_the_scale(shift, centre, allow):
    one = shrink(EFFECT, ERROR, 0.7, centre, allow_for_estimation=allow)
    middle = None if centre is None else centre + shift
    other = shrink(EFFECT + shift, ERROR, 0.7, middle, allow_for_estimation=allow)
    np.testing.assert_allclose(other.effect, one.effect + shift, atol=1e-9)
    np.testing.assert_allclose(other.above_centre, one.above_centre, atol=1e-9)


@CHOICES
def test_the_mirror_image_swaps_above_and_below(centre, allow):
    one = shrink(EFFECT, ERROR, 0.7, centre, allow_for_estimation=allow)
    middle = None if centre is None else -centre
    other = shrink(-EFFECT, ERROR, 0.7, middle, allow_for_estimation=allow)
    np.testing.assert_allclose(other.above_centre, 1 - one.above_centre)
    np.testing.assert_allclose(other.lower, -one.upper)


def test_an_estimated_centre_is_the_precision_weighted_mean():
    got = shrink([1.0, 4.0], [1.0, np.sqrt(3.0)], tau2=1.0, centre=None)
    assert got.centre == pytest.approx((1.0 / 2 + 4.0 / 4) / (1 / 2 + 1 / 4))


def test_allowing_for_estimation_is_what_is_worked_by_hand():
    """Equal errors of 1, tau2 1, four providers, known centre: B is (2 / 4) (1 / 2)."""
    got = shrink([2.0, -2.0, 0.0, 0.0], np.ones(4), tau2=1.0, allow_for_estimation=True)
    np.testing.assert_allclose(got.weight, 0.75)
    np.testing.assert_allclose(got.effect, [1.5, -1.5, 0.0, 0.0])
    np.testing.assert_allclose(got.sd**2, 0.75 + np.array([4, 4, 0, 0]) * 2 * 0.0625 / 2)


def test_allowing_for_an_estimated_centre_is_what_is_worked_by_hand():
    """Five providers: B is (2 / 4) (1 / 2); a fifth of it is the error of the centre."""
    effect = np.array([2.0, -2.0, 0.0, 1.0, -1.0])
    got = shrink(effect, np.ones(5), tau2=1.0, centre=None, allow_for_estimation=True)
    np.testing.assert_allclose(got.sd**2, 1 - 0.8 * 0.25 + 0.0625 * effect**2)


def test_allowing_for_estimation_with_unequal_errors_is_what_is_worked_by_hand():
    """Errors of variance 1 and 3, tau2 1: W is 1/2 and 1/4, their mean 3/8."""
    effect, variance = np.array([2.0, -2.0, 1.0, 4.0]), np.array([1.0, 1.0, 3.0, 3.0])
    got = shrink(effect, np.sqrt(variance), tau2=1.0, allow_for_estimation=True)
    np.testing.assert_allclose(got.weight, [0.75, 0.75, 0.625, 0.625])
    of_shrinkage = np.array([0.0625, 0.0625, 0.140625, 0.140625]) * np.array([4, 4, 2, 2]) / 3
    np.testing.assert_allclose(got.sd**2, variance * got.weight + of_shrinkage * effect**2)


def test_with_equal_errors_it_is_the_posterior_under_flat_priors():
    """By integration over tau2; the centre is integrated out in closed form."""
    effect = np.random.default_rng(4).normal(3.0, 3.0, 12)
    k, squares = effect.size, float(((effect - effect.mean()) ** 2).sum())
    tau2 = squares / (k - 1) - 1.0

    def posterior(between, moment):
        total = 1 + between
        likelihood = total ** (-(k - 1) / 2) * np.exp(-squares / 2 / total + squares / 20)
        return likelihood * moment(1 / total)

    def mean_of(moment):
        both = (
            quad(posterior, 0, np.inf, args=(one,), limit=200)[0] for one in (moment, lambda _: 1.0)
        )
        return next(both) / next(both)

    shrinkage = mean_of(lambda b: b)
    variance = mean_of(lambda b: b**2) - shrinkage**2
    distance = effect - effect.mean()
    got = shrink(effect, np.ones(k), tau2, centre=None, allow_for_estimation=True)
    np.testing.assert_allclose(got.effect, effect - shrinkage * distance, rtol=1e-4)
    expected = 1 - shrinkage * (1 - 1 / k) + variance * distance**2
    np.testing.assert_allclose(got.sd**2, expected, rtol=1e-3)


def test_with_many_providers_allowing_for_estimation_changes_little():
    rng = np.random.default_rng(1)
    effect, error = rng.normal(size=5_000), rng.uniform(0.5, 2, 5_000)
    plain = shrink(effect, error, 0.8)
    allowing = shrink(effect, error, 0.8, centre=None, allow_for_estimation=True)
    np.testing.assert_allclose(allowing.sd, plain.sd, rtol=0.01)
    np.testing.assert_allclose(allowing.weight, plain.weight, rtol=0.01)


def test_without_variance_found_allowing_for_estimation_still_leaves_doubt():
    got = shrink(EFFECT, ERROR, 0.0, centre=None, allow_for_estimation=True)
    assert (got.sd > 0).all()
    np.testing.assert_allclose(got.weight, 2 / 5)


@pytest.mark.parametrize("level", [0.5, 0.95])
def test_intervals_hold_the_truth_as_often_as_they_say_when_the_variance_is_known(level):
    rng = np.random.default_rng(11)
    error = rng.uniform(0.3, 3.0, 40_000)
    true = rng.normal(0.5, 1.2, error.size)
    got = shrink(rng.normal(true, error), error, 1.44, centre=0.5, level=level)
    inside = (got.lower <= true) & (true <= got.upper)
    for some in (error < 0.8, error > 2.0, error > 0):
        assert inside[some].mean() == pytest.approx(level, abs=0.015)


def test_the_probability_of_being_above_is_kept():
    rng = np.random.default_rng(12)
    error = rng.uniform(0.3, 3.0, 40_000)
    true = rng.normal(0.0, 1.0, error.size)
    got = shrink(rng.normal(true, error), error, 1.0)
    for low in (0.1, 0.3, 0.5, 0.7, 0.85):
        some = (got.above_centre >= low) & (got.above_centre < low + 0.1)
        assert (true[some] > 0).mean() == pytest.approx(got.above_centre[some].mean(), abs=0.03)


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("tau2", [1.0, 3.0])
def test_allowing_for_estimation_restores_the_coverage_that_few_providers_cost(known, tau2):
    """Fifteen providers, 600 worlds; the variance is estimated by moments in each."""
    plain, allowing = _coverage(15, tau2, known, worlds=600)
    assert plain < 0.93
    assert 0.935 <= allowing <= 0.97
    assert allowing > plain + 0.02


def _coverage(k, tau2, known, worlds):
    rng = np.random.default_rng(21)
    error = np.sqrt(np.linspace(0.3, 3.0, k))
    centre = 0.0 if known else None
    held = {False: 0, True: 0}
    for _ in range(worlds):
        true = rng.normal(0.0, np.sqrt(tau2), k)
        effect = rng.normal(true, error)
        estimate = _moments(effect, error, known)
        for allow in held:
            got = shrink(effect, error, estimate, centre, allow_for_estimation=allow)
            held[allow] += ((got.lower <= true) & (true <= got.upper)).sum()
    return held[False] / worlds / k, held[True] / worlds / k


def _moments(effect, error, known):
    """Return the between-provider variance of DerSimonian and Laird."""
    w = error**-2.0
    if known:
        return max(0.0, ((w * effect**2).sum() - w.size) / w.sum())
    q = (w * (effect - (w @ effect) / w.sum()) ** 2).sum()
    return max(0.0, (q - (w.size - 1)) / (w.sum() - (w**2).sum() / w.sum()))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"effect": [1.0, np.nan]}, "effect: wanted finite"),
        ({"effect": []}, "one number per provider"),
        ({"effect": 1.0}, "one number per provider"),
        ({"effect": ["a", "b"]}, "effect: wanted numbers"),
        ({"standard_error": [1.0]}, "standard_error: wanted shape"),
        ({"standard_error": [1.0, 0.0]}, "standard_error: wanted numbers above 0"),
        ({"tau2": -0.1}, "tau2"),
        ({"tau2": np.inf}, "tau2"),
        ({"tau2": [1.0, 2.0]}, "tau2"),
        ({"centre": np.nan}, "centre"),
        ({"level": 1.0}, "level"),
        ({"level": 0.0}, "level"),
        ({"allow_for_estimation": True}, "wanted 3 or more providers"),
        ({"allow_for_estimation": True, "centre": None}, "wanted 4 or more providers"),
    ],
)
def test_what_cannot_be_shrunk_is_refused(change, says):
    with pytest.raises(ArrayError, match=says):
        shrink(**({"effect": [1.0, 2.0], "standard_error": [1.0, 1.0], "tau2": 1.0} | change))


def test_the_record_says_what_was_asked_and_cannot_be_changed():
    got = shrink(EFFECT, ERROR, 0.7, level=0.8, allow_for_estimation=True)
    assert (got.centre, got.tau2, got.level, got.allows_for_estimation) == (0.0, 0.7, 0.8, True)
    with pytest.raises(FrozenInstanceError):
        got.tau2 = 1.0
