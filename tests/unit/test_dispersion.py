"""Over-dispersion and the variance between providers, against their own definitions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtri

from riskadj.errors import ArrayError
from riskadj.stats.dispersion import (
    METHODS,
    MODELS,
    TRIMS,
    Dispersion,
    adjusted_z,
    between_variance,
    dispersion,
)

quick = settings(max_examples=60, deadline=None, derandomize=True)
SEEDS = st.integers(0, 10_000)
ESTIMATED_CENTRE = ("dersimonian_laird", "paule_mandel", "reml")
NORMAL = ndtri((np.arange(2000) + 0.5) / 2000)


def providers(seed: int, n: int = 40, tau: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    error = rng.uniform(0.1, 1.0, n)
    return rng.normal(0.0, np.sqrt(tau**2 + error**2)), error


def found(**changes) -> Dispersion:
    made = {
        "phi": 2.0,
        "tau2": 0.5,
        "n": 10,
        "n_providers": 10,
        "over_dispersed": True,
        "trim": "none",
        "share": 0.0,
    }
    return Dispersion(**{**made, **changes})


# --- dispersion ---


def test_phi_is_the_mean_square():
    got = dispersion([1.0, -2.0, 3.0, 0.0])
    assert got.phi == pytest.approx(14 / 4)
    assert (got.n, got.n_providers, got.trim, got.share) == (4, 4, "none", 0.0)
    assert got.tau2 is None


def test_winsorising_clips_at_linearly_interpolated_quantiles():
    z = np.arange(11.0)
    got = dispersion(z, "winsorised", 0.1)
    assert got.phi == pytest.approx(np.mean(np.clip(z, 1.0, 9.0) ** 2))
    between_two = dispersion([0.0, 1.0, 2.0, 3.0], "winsorised", 0.1)
    assert between_two.phi == pytest.approx((0.3**2 + 1 + 4 + 2.7**2) / 4)
    assert between_two.n == 4


def test_trimming_leaves_out_the_first_and_last_rank_groups():
    z = np.arange(29.0)
    got = dispersion(z, "trimmed", 0.1)
    assert (got.n, got.n_providers) == (24, 29)
    # Ranks 3 to 26 of 29 are in groups 1 to 8 of 0 to 9; rank 27 is just in group 9.
    assert got.phi == pytest.approx(np.mean(z[2:26] ** 2))


def test_trimming_gives_ties_their_mean_rank():
    z = np.array([-9.0] * 4 + list(range(1, 16)))
    got = dispersion(z, "trimmed", 0.1)
    # The tied four share rank 2.5: group 1, kept; rank 1 alone would have been left out.
    assert got.n == 17
    assert got.phi == pytest.approx((4 * 81 + np.sum(np.arange(1.0, 14.0) ** 2)) / 17)


@pytest.mark.parametrize("n", [2, 5, 6, 8])
def test_trimming_leaves_nobody_out_of_few(n):
    assert dispersion(np.arange(float(n)), "trimmed", 0.1).n == n


@pytest.mark.parametrize(
    ("trim", "phi"), [("none", 1.0), ("winsorised", 0.6787), ("trimmed", 0.4377)]
)
def test_trimming_lowers_the_phi_of_chance_alone(trim, phi):
    got = dispersion(NORMAL, trim, 0.1)
    assert got.phi == pytest.approx(phi, abs=2e-3)
    assert got.over_dispersed == (got.n * got.phi > got.n - 1)


def test_tau2_is_the_moment_estimate_with_a_known_centre():
    effect, error = providers(1)
    z, w = effect / error, error**-2
    got = dispersion(z, standard_error=error)
    wanted = (np.sum(z**2) - 39) / (w.sum() - np.sum(w**2) / w.sum())
    assert got.tau2 == pytest.approx(wanted)


def test_tau2_of_trimming_uses_the_weights_of_the_kept():
    effect, error = providers(2)
    z = effect / error
    kept = np.argsort(np.argsort(z)) + 1
    kept = (kept >= 5) & (kept <= 36)
    got = dispersion(z, "trimmed", 0.1, error)
    again = dispersion(z[kept], standard_error=error[kept])
    assert got.n == kept.sum() == 32
    assert got.tau2 == pytest.approx(again.tau2)


def test_equal_errors_make_tau2_the_excess_variance():
    z = np.array([3.0, -3.0, 1.0, -1.0, 2.0])
    got = dispersion(z, standard_error=np.full(5, 0.5))
    assert got.tau2 == pytest.approx((24 / 4 - 1) * 0.25)


@pytest.mark.parametrize("trim", TRIMS)
def test_less_variation_than_chance_leaves_no_tau2(trim):
    z = np.linspace(-0.9, 0.9, 30)
    got = dispersion(z, trim, standard_error=np.linspace(0.1, 1.0, 30))
    assert not got.over_dispersed
    assert got.tau2 == 0


def test_just_n_minus_1_is_not_over_dispersed():
    assert not dispersion([1.0, 1.0, 1.0, 0.0]).over_dispersed
    assert dispersion([1.0, 1.0, 1.0, 0.1]).over_dispersed


def test_a_large_weight_costs_no_digits():
    got = dispersion([3.0, 3.0, 3.0], standard_error=[1e-9, 1.0, 1.0])
    assert got.tau2 == pytest.approx((27 - 2) / 4, rel=1e-6)


def test_a_continuous_mean_goes_the_same_way_as_a_ratio():
    mean, n, centre, sd = np.array([22.0, 23.5, 20.1]), np.array([40, 90, 300]), 22.68, 7.67
    error = sd / np.sqrt(n)
    got = dispersion((mean - centre) / error, standard_error=error)
    z, w = (mean - centre) / error, error**-2
    assert got.phi == pytest.approx(np.mean(z**2))
    wanted = (np.sum(z**2) - 2) / (w.sum() - np.sum(w**2) / w.sum())
    assert got.tau2 == pytest.approx(wanted)


@quick
@given(SEEDS, st.sampled_from(TRIMS), st.sampled_from([0.05, 0.1, 0.15, 0.25]))
def test_the_order_of_providers_does_not_matter(seed, trim, share):
    effect, error = providers(seed)
    order = np.random.default_rng(seed).permutation(40)
    z = effect / error
    one = dispersion(z, trim, share, error)
    other = dispersion(z[order], trim, share, error[order])
    assert other.phi == pytest.approx(one.phi)
    assert other.tau2 == pytest.approx(one.tau2, abs=1e-12)
    assert other.n == one.n


@quick
@given(SEEDS, st.sampled_from(TRIMS), st.floats(1e-3, 1e3))
def test_tau2_scales_with_the_square_of_the_unit(seed, trim, unit):
    effect, error = providers(seed)
    one = dispersion(effect / error, trim, standard_error=error)
    other = dispersion(effect / error, trim, standard_error=unit * error)
    assert other.tau2 == pytest.approx(unit**2 * one.tau2)


@quick
@given(SEEDS, st.sampled_from(TRIMS))
def test_trimming_never_raises_phi_above_that_of_all(seed, trim):
    effect, error = providers(seed)
    z = effect / error
    z = z - np.median(z)
    assert dispersion(z, trim).phi <= dispersion(z).phi + 1e-12


# --- variance between providers ---


@pytest.mark.parametrize("method", ESTIMATED_CENTRE)
def test_equal_errors_make_all_three_the_variance_less_that_of_chance(method):
    y = np.array([1.0, 4.0, -2.0, 0.5, 3.0])
    got = between_variance(y, np.full(5, 0.7), method)
    assert got.tau2 == pytest.approx(np.var(y, ddof=1) - 0.49, rel=1e-6)
    assert got.mean == pytest.approx(y.mean())
    assert (got.method, got.n_providers) == (method, 5)


@quick
@given(SEEDS)
def test_paule_mandel_leaves_a_sum_of_squares_of_n_minus_1(seed):
    y, error = providers(seed)
    got = between_variance(y, error, "paule_mandel")
    w = 1 / (error**2 + got.tau2)
    q = np.sum(w * (y - np.sum(w * y) / w.sum()) ** 2)
    assert got.tau2 > 0
    assert q == pytest.approx(39, rel=1e-9)
    assert got.mean == pytest.approx(np.sum(w * y) / w.sum())


def restricted_log_likelihood(tau2, y, error):
    v = error**2 + tau2
    mean = np.sum(y / v) / np.sum(1 / v)
    return -0.5 * (np.log(v).sum() + np.log(np.sum(1 / v)) + np.sum((y - mean) ** 2 / v))


@quick
@given(SEEDS, st.sampled_from([0.0, 0.1, 0.5, 3.0]), st.integers(2, 40))
def test_no_other_tau2_has_a_higher_restricted_likelihood(seed, tau, n):
    y, error = providers(seed, n, tau)
    got = between_variance(y, error, "reml").tau2
    best = restricted_log_likelihood(got, y, error)
    others = np.ptp(y) ** 2 * np.concatenate(([0.0], np.geomspace(1e-9, 100, 500)))
    assert max(restricted_log_likelihood(one, y, error) for one in others) <= best + 1e-9


@pytest.mark.parametrize("method", METHODS)
def test_less_variation_than_chance_is_no_variation_between(method):
    y = np.linspace(-0.1, 0.1, 20)
    got = between_variance(y, np.full(20, 1.0), method)
    assert got.tau2 == 0


@pytest.mark.parametrize("method", ESTIMATED_CENTRE)
def test_equal_effects_have_no_variance(method):
    got = between_variance(np.full(5, 2.0), np.full(5, 0.1), method)
    assert got.tau2 == 0
    assert got.mean == pytest.approx(2.0)


@quick
@given(SEEDS, st.sampled_from(ESTIMATED_CENTRE), st.floats(-100, 100), st.floats(0.01, 100))
def test_shifting_moves_the_mean_and_scaling_the_variance(seed, method, shift, unit):
    y, error = providers(seed)
    one = between_variance(y, error, method)
    other = between_variance(unit * (y + shift), unit * error, method)
    assert other.tau2 == pytest.approx(unit**2 * one.tau2, rel=1e-5, abs=1e-7 * unit**2)
    assert other.mean == pytest.approx(unit * (one.mean + shift), rel=1e-5, abs=1e-5 * unit)


@quick
@given(SEEDS, st.sampled_from(METHODS))
def test_the_order_of_providers_does_not_matter_to_the_variance(seed, method):
    y, error = providers(seed)
    order = np.random.default_rng(seed).permutation(40)
    one = between_variance(y, error, method)
    other = between_variance(y[order], error[order], method)
    assert other.tau2 == pytest.approx(one.tau2, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("method", TRIMS[1:])
def test_the_trimmed_methods_are_those_of_dispersion_about_a_known_centre(method):
    y, error = providers(7, tau=2.0)
    got = between_variance(y, error, method, share=0.2)
    assert got.tau2 == dispersion(y / error, method, 0.2, error).tau2
    assert got.tau2 > 0
    assert got.mean == 0


@pytest.mark.parametrize("method", ESTIMATED_CENTRE)
def test_the_variance_that_made_the_data_is_found(method):
    rng = np.random.default_rng(11)
    error = rng.uniform(0.2, 1.0, (40, 200))
    y = rng.normal(3.0, np.sqrt(0.6 + error**2))
    got = [between_variance(one, s, method) for one, s in zip(y, error, strict=True)]
    assert np.mean([one.tau2 for one in got]) == pytest.approx(0.6, abs=0.04)
    assert np.mean([one.mean for one in got]) == pytest.approx(3.0, abs=0.05)


def test_winsorising_shrugs_off_an_outlier():
    rng = np.random.default_rng(3)
    error = np.full(50, 0.1)
    y = rng.normal(0, np.sqrt(0.04 + 0.01), 50)
    with_outlier = np.append(y, 20.0)
    plain, robust = (
        between_variance(with_outlier, np.append(error, 0.1), method).tau2
        for method in ("dersimonian_laird", "winsorised")
    )
    assert plain > 5
    assert robust < 0.06


# --- adjusted z ---


@pytest.mark.parametrize(
    ("model", "wanted"), [("none", 3.0), ("multiplicative", 3 / 2**0.5), ("additive", 3 / 3**0.5)]
)
def test_each_model_has_its_own_denominator(model, wanted):
    got = adjusted_z([1.5, -1.5], [0.5, 0.5], found(), model)
    np.testing.assert_allclose(got, [wanted, -wanted])


@pytest.mark.parametrize("model", MODELS)
def test_nothing_is_allowed_for_without_over_dispersion(model):
    calm = found(over_dispersed=False)
    np.testing.assert_allclose(adjusted_z([1.5], [0.5], calm, model), [3.0])


def test_a_phi_under_1_never_narrows():
    got = adjusted_z([1.5], [0.5], found(phi=0.95), "multiplicative")
    np.testing.assert_allclose(got, [3.0])


@quick
@given(SEEDS, st.sampled_from(MODELS), st.sampled_from(TRIMS))
def test_no_model_takes_a_z_further_from_0(seed, model, trim):
    effect, error = providers(seed)
    made = dispersion(effect / error, trim, standard_error=error)
    got = adjusted_z(effect, error, made, model)
    assert (np.abs(got) <= np.abs(effect / error) + 1e-12).all()
    assert (np.sign(got) == np.sign(effect)).all()


def test_a_multiplicative_allowance_without_trimming_leaves_a_mean_square_of_1():
    effect, error = providers(5)
    got = adjusted_z(effect, error, dispersion(effect / error), "multiplicative")
    assert np.mean(got**2) == pytest.approx(1.0)


# --- what is refused ---


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: dispersion([1.0]), "z: wanted one number for each of at least 2"),
        (lambda: dispersion([[1.0, 2.0]]), "z: wanted one number for each"),
        (lambda: dispersion([1.0, np.nan]), "z: wanted finite"),
        (
            lambda: dispersion([1.0, 2.0], "winsorise"),
            "trim: wanted one of none, winsorised, trimmed",
        ),
        (lambda: dispersion([1.0, 2.0], "trimmed", 0.0), "share: wanted"),
        (lambda: dispersion([1.0, 2.0], "winsorised", 0.5), "share: wanted"),
        (lambda: dispersion([1.0, 2.0], "trimmed", 0.45), "z after trimming: wanted"),
        (lambda: dispersion([1.0, 2.0], standard_error=[1.0]), "standard_error: wanted shape"),
        (lambda: dispersion([1.0, 2.0], standard_error=[1.0, 0.0]), "standard_error: .* above 0"),
        (lambda: between_variance([1.0], [1.0]), "effect: wanted one number for each"),
        (lambda: between_variance([1.0, 2.0], [1.0, -1.0]), "standard_error: .* above 0"),
        (lambda: between_variance([1.0, 2.0], [1.0, 1.0], "dl"), "method: wanted one of"),
        (lambda: adjusted_z([1.0], [1.0], found(), "plus"), "model: wanted one of"),
        (lambda: adjusted_z([1.0], [1.0], found(tau2=None)), "wanted one with tau2"),
        (lambda: adjusted_z([1.0], [1.0], 3.0), r"dispersion: wanted what .* got float\."),
        (lambda: adjusted_z([1.0], [1.0], None), r"dispersion: wanted what .* got NoneType\."),
        (lambda: dispersion([1.0, 2.0], "trimmed", np.float64(0.7)), r"share: .* got 0\.7\."),
        (lambda: adjusted_z([1.0], [0.0], found()), "standard_error: .* above 0"),
    ],
)
def test_what_has_no_answer_is_refused_by_name(call, says):
    with pytest.raises(ArrayError, match=says):
        call()


def test_the_other_models_need_no_tau2():
    got = adjusted_z([2.0], [1.0], found(tau2=None), "multiplicative")
    np.testing.assert_allclose(got, [2**0.5])
