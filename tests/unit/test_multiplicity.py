"""False discoveries and the empirical null, by definition and by simulation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import ndtri
from scipy.stats import norm, truncnorm

from riskadj.errors import ArrayError
from riskadj.stats.multiplicity import (
    EmpiricalNull,
    benjamini_hochberg,
    empirical_null,
    empirical_null_z,
    two_sided_p,
)

quick = settings(max_examples=100, deadline=None, derandomize=True)
PS = arrays(float, st.integers(1, 30), elements=st.floats(0, 1))


# --- p-values ---


@pytest.mark.parametrize(("z", "p"), [(0.0, 1.0), (1.959964, 0.05), (3.090232, 0.002)])
def test_p_is_two_sided(z, p):
    np.testing.assert_allclose(two_sided_p([z, -z]), [p, p], rtol=1e-5)


def test_tiny_p_keeps_its_digits():
    np.testing.assert_allclose(two_sided_p(30.0), 2 * norm.sf(30.0), rtol=1e-12)
    assert two_sided_p(30.0) > 0


# --- Benjamini-Hochberg ---


def test_the_example_of_benjamini_and_hochberg_rejects_four_of_fifteen():
    """Benjamini and Hochberg (1995), section 4.1: thrombolysis trial, 15 p-values."""
    p = [
        *(0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344),
        *(0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0000),
    ]
    adjusted = benjamini_hochberg(p)
    assert (adjusted <= 0.05).sum() == 4
    assert adjusted[3] == pytest.approx(0.0095 * 15 / 4)
    assert adjusted[-1] == 1


@quick
@given(PS)
def test_adjusted_p_is_the_smallest_step_from_its_rank_up(p):
    adjusted = benjamini_hochberg(p)
    order = np.argsort(p, kind="stable")
    n = len(p)
    steps = p[order] * (n / np.arange(1, n + 1))
    wanted = [min(1.0, steps[place:].min()) for place in range(n)]
    np.testing.assert_allclose(adjusted[order], wanted, rtol=1e-14)


@quick
@given(PS, st.floats(0.001, 0.999))
def test_adjusted_p_under_q_is_what_the_step_up_procedure_rejects(p, q):
    n = len(p)
    ordered = np.sort(p)
    passing = np.flatnonzero(ordered * (n / np.arange(1, n + 1)) <= q)
    cut = ordered[passing[-1]] if len(passing) else -1.0
    np.testing.assert_array_equal(benjamini_hochberg(p) <= q, p <= cut)


@quick
@given(PS, st.integers(0, 1000))
def test_the_order_of_tests_does_not_matter_and_ties_stay_tied(p, seed):
    order = np.random.default_rng(seed).permutation(len(p))
    np.testing.assert_array_equal(benjamini_hochberg(p[order]), benjamini_hochberg(p)[order])
    assert (benjamini_hochberg(p) >= p).all()
    assert len(np.unique(benjamini_hochberg(p))) <= len(np.unique(p))


def test_one_test_is_left_alone_and_none_stays_none():
    np.testing.assert_array_equal(benjamini_hochberg([0.03]), [0.03])
    assert benjamini_hochberg([]).shape == (0,)


def test_false_discoveries_are_held_to_the_level():
    rng = np.random.default_rng(5)
    shares = []
    for _ in range(300):
        z = rng.normal(size=200)
        z[:40] += 4
        out = benjamini_hochberg(two_sided_p(z)) <= 0.1
        shares.append(out[40:].sum() / max(out.sum(), 1))
    # The rate is at most level x share of true nulls: 0.08.
    assert np.mean(shares) == pytest.approx(0.08, abs=0.01)


# --- empirical null ---


def test_the_fit_is_the_maximum_of_the_truncated_likelihood():
    z = np.random.default_rng(1).normal(0.4, 1.6, 400)
    null = empirical_null(z)
    middle = np.median(z)
    unit = np.median(np.abs(z - middle)) / ndtri(0.75)
    low, high = middle - 2 * unit, middle + 2 * unit
    inside = z[(z >= low) & (z <= high)]

    def likelihood(mean, sd):
        ends = (low - mean) / sd, (high - mean) / sd
        return truncnorm.logpdf(inside, *ends, loc=mean, scale=sd).sum()

    best = likelihood(null.mean[0], null.sd[0])
    assert null.inside.tolist() == [len(inside)]
    for mean, sd in [(1e-3, 0), (-1e-3, 0), (0, 1e-3), (0, -1e-3)]:
        assert likelihood(null.mean[0] + mean, null.sd[0] + sd) < best


@pytest.mark.parametrize("outliers", [0, 1, -1, 2])
def test_a_tenth_of_outliers_hardly_moves_the_null(outliers):
    """250 providers, null N(0.3, 1.5^2); outliers 5 deviations above, below or on both sides."""
    rng = np.random.default_rng(8)
    estimates = []
    for _ in range(200):
        z = rng.normal(0.3, 1.5, 250)
        side = rng.choice([-1, 1], 25) if outliers == 2 else outliers
        z[:25] += 7.5 * side
        null = empirical_null(z)
        estimates.append((null.mean[0], null.sd[0]))
    mean, sd = np.mean(estimates, axis=0)
    assert mean == pytest.approx(0.3, abs=0.02)
    assert sd == pytest.approx(1.5, abs=0.03)
    # A plain standard deviation would be about 2.7 with outliers, the robust one 1.7.
    assert np.std(estimates, axis=0).max() < 0.15


@pytest.mark.parametrize(("n", "spread"), [(30, 0.21), (250, 0.075)])
def test_the_docstring_says_how_well_the_sd_is_known(n, spread):
    rng = np.random.default_rng(9)
    sds = [empirical_null(rng.normal(size=n)).sd[0] for _ in range(300)]
    assert np.std(sds) == pytest.approx(spread, rel=0.15)
    assert np.mean(sds) == pytest.approx(1.0, abs=0.05)


def test_in_control_providers_get_standard_normal_scores():
    rng = np.random.default_rng(4)
    z = rng.normal(-0.5, 1.8, 2000)
    z[:100] += 9
    got = empirical_null_z(z, empirical_null(z))
    assert np.mean(got[100:]) == pytest.approx(0, abs=0.08)
    assert np.std(got[100:]) == pytest.approx(1, abs=0.05)
    assert (got[:100] > 1.96).mean() > 0.99
    assert (np.abs(got[100:]) > 1.96).mean() == pytest.approx(0.05, abs=0.015)


def test_strata_by_size_have_nulls_of_their_own():
    rng = np.random.default_rng(6)
    size = np.repeat([50, 200, 800], 300)
    sd = np.sqrt(1 + size * 0.005)
    z = rng.normal(0.2, sd)
    null = empirical_null(z, size, n_strata=3)
    assert null.stratum.tolist() == [0] * 300 + [1] * 300 + [2] * 300
    for one in range(3):
        own = empirical_null(z[null.stratum == one])
        assert null.mean[300 * one] == own.mean[0]
        assert null.sd[300 * one] == own.sd[0]
        assert null.sd[300 * one] == pytest.approx(sd[300 * one], rel=0.15)
    assert null.inside.shape == (3,)


def test_providers_of_one_size_are_in_one_stratum_whatever_their_order():
    rng = np.random.default_rng(2)
    size = np.concatenate((np.full(45, 10.0), np.arange(11.0, 66.0)))
    z = rng.normal(size=100)
    order = rng.permutation(100)
    one, other = empirical_null(z, size, 2), empirical_null(z[order], size[order], 2)
    assert len(set(one.stratum[:45])) == 1
    np.testing.assert_array_equal(other.stratum, one.stratum[order])
    np.testing.assert_allclose(other.sd, one.sd[order], rtol=1e-9)


@quick
@given(st.integers(0, 1000), st.floats(-50, 50), st.floats(0.01, 100))
def test_shifting_and_scaling_scores_moves_the_null_alike(seed, shift, unit):
    z = np.random.default_rng(seed).normal(size=60)
    one, other = empirical_null(z), empirical_null(unit * z + shift)
    np.testing.assert_allclose(other.mean, unit * one.mean + shift, atol=1e-4 * unit)
    np.testing.assert_allclose(other.sd, unit * one.sd, rtol=1e-4)


def test_one_stratum_needs_no_size():
    z = np.random.default_rng(0).normal(size=50)
    np.testing.assert_array_equal(empirical_null(z).sd, empirical_null(z, np.arange(50.0)).sd)


BELL = ndtri((np.arange(60) + 0.5) / 60)
SHOULDERS = np.r_[
    np.linspace(-0.67, 0.67, 61), np.linspace(1.7, 1.9, 30), -np.linspace(1.7, 1.9, 30)
]
FAR = np.linspace(9, 10, 30)
LOPSIDED = np.r_[np.linspace(-0.6745, 0.6745, 59), np.full(32, 1.949), np.full(26, -1.496)]
NEEDLE = np.r_[np.zeros(40_000), [-0.6745] * 2, [0.6745] * 2, np.repeat([9.0, -9.0], 20_000)]
SPIKE = np.r_[np.linspace(-0.01, 0.01, 60), [-0.6745] * 2, [0.6745] * 2, FAR, -FAR]


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: empirical_null(BELL[:29]), "at least 30 providers in every stratum; got 29"),
        (lambda: empirical_null([]), "at least 30 providers in every stratum; got 0"),
        (lambda: empirical_null(BELL, np.arange(60), 3), "got 20 in stratum 1 of 3. Use fewer"),
        (lambda: empirical_null(BELL, np.ones(60), 2), "got 0 in stratum 2 of 2"),
        (lambda: empirical_null(BELL, n_strata=2), "size: wanted sizes"),
        (lambda: empirical_null(BELL, np.ones(59)), "size: wanted shape"),
        (lambda: empirical_null(BELL, n_strata=0), "n_strata: wanted 1 or more"),
        (lambda: empirical_null(BELL, width=0.9), "width: wanted a number from 1"),
        (lambda: empirical_null(BELL, width=5.1), "width: wanted a number from 1 to 5"),
        (lambda: empirical_null(np.r_[BELL, np.nan]), "z: wanted finite"),
        (lambda: empirical_null(BELL.reshape(6, 10)), "z: wanted one number per provider"),
        (lambda: empirical_null(np.r_[np.zeros(40), BELL[:20]]), "half of them or more equal"),
        (lambda: empirical_null(SHOULDERS), "a spike, or shoulders"),
        (lambda: empirical_null(LOPSIDED), "a spike, or shoulders"),
        (lambda: empirical_null(SPIKE), "a spike, or shoulders"),
        (lambda: empirical_null(NEEDLE, width=1.0), "a spike, or shoulders"),
        (lambda: two_sided_p([np.inf]), "z: wanted finite"),
        (lambda: benjamini_hochberg([0.5, 1.5]), "p: wanted one number within 0 and 1"),
        (lambda: benjamini_hochberg([-0.5]), "p: wanted numbers of 0 or more"),
        (lambda: benjamini_hochberg([[0.5]]), "p: wanted one number within 0 and 1"),
        (lambda: empirical_null_z([1.0], empirical_null(BELL)), "z: wanted shape"),
    ],
)
def test_what_has_no_answer_is_refused_by_name(call, says):
    with pytest.raises(ArrayError, match=says):
        call()


def test_how_few_is_too_few_is_the_callers_choice():
    assert empirical_null(BELL[::3], fewest=20).sd.shape == (20,)


def test_a_null_is_taken_off_and_divided_by():
    null = EmpiricalNull(
        np.array([0.5, -1.0]), np.array([2.0, 0.5]), np.array([0, 1]), np.array([30, 30])
    )
    np.testing.assert_allclose(empirical_null_z([2.5, 0.0], null), [1.0, 2.0])
