"""Slopes within providers on top of an expectation, and what is expected along the curve."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from riskadj.errors import ArrayError
from riskadj.fairness.graded import expected_at
from riskadj.stats import fit_fixed_effects
from riskadj.stats.graded import LOOSE, crossing, shift_to_total, slope_between, slopes_within
from riskadj.stats.links import link_named

FAMILIES = ("gaussian", "binomial", "gamma")
TRUTH = -0.8


def world(family="gaussian", n=20_000, providers=40, seed=0, follows=0.5):
    """Poorer patients go to worse providers, and poverty goes with case mix."""
    rng = np.random.default_rng(seed)
    quality = rng.normal(0, 0.5, providers)
    provider = rng.integers(providers, size=n)
    casemix = rng.normal(size=n)
    poor = follows * casemix - 1.2 * quality[provider] + rng.normal(size=n)
    linear = 0.6 * casemix + TRUTH * poor + quality[provider]
    y = {
        "gaussian": lambda: linear + rng.normal(size=n),
        "binomial": lambda: (rng.random(n) < expit(linear)).astype(float),
        "gamma": lambda: np.exp(linear) * rng.gamma(2, 0.5, n),
    }[family]()
    return {"y": y, "poor": poor, "casemix": casemix, "provider": provider, "quality": quality}


def fitted(one, family, offset=None, **more):
    offset = np.zeros(len(one["y"])) if offset is None else offset
    return slopes_within(
        one["y"], offset, one["poor"], one["provider"], family, one["casemix"], **more
    )


def test_small_providers_are_held_as_a_dense_fit_with_the_penalty_holds_them():
    rng = np.random.default_rng(4)
    provider, X = np.repeat(np.arange(15), 6), rng.normal(size=(90, 2))
    y = (rng.random(90) < expit(X @ [0.7, -0.5])).astype(float)
    X, Z = X - X.mean(axis=0), np.eye(15)[provider]
    rows, penalty = np.hstack([X, Z]), np.diag([0.0, 0.0, *[LOOSE] * 15])
    at = np.zeros(17)
    for _ in range(50):
        p = expit(rows @ at)
        information = (rows * (p * (1 - p))[:, None]).T @ rows + penalty
        at += np.linalg.solve(information, rows.T @ (y - p) - penalty @ at)
    inner = np.linalg.inv(np.linalg.inv(information)[:2, :2])
    away = X - Z @ np.linalg.solve(information[2:, 2:], information[2:, :2])
    scores = Z.T @ (away * (y - p)[:, None])
    spread = np.linalg.inv(inner) @ (scores.T @ scores * 15 / 14) @ np.linalg.inv(inner)
    got = slopes_within(y, np.zeros(90), X, provider, "binomial")
    np.testing.assert_allclose(got.coef, at[:2], rtol=1e-6)
    np.testing.assert_allclose(got.covariance, spread, rtol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_within_providers_the_truth_is_found_and_between_them_it_is_not(family):
    one = world(family)
    got, pooled = fitted(one, family), fitted(one, family, within=False)
    assert abs(got.coef[0] - TRUTH) < 4 * got.standard_error[0]
    assert got.standard_error[0] < 0.05
    assert pooled.coef[0] < TRUTH - 0.1
    between = slope_between(one["y"], np.zeros(len(one["y"])), one["poor"], one["provider"], family)
    assert between.coef[0] + 2 * between.standard_error[0] < TRUTH - 0.2


def test_errors_between_providers_are_those_of_hc3():
    """Against the textbook's matrices, an intercept as a column of its own."""
    rng = np.random.default_rng(3)
    provider = np.repeat(np.arange(12), rng.integers(5, 40, 12))
    factors = rng.normal(size=(provider.size, 2)) + 0.3 * provider[:, None] * [1, -1]
    factors[:, 1] += rng.normal(size=12)[provider]
    y = factors @ [1.0, 2.0] + rng.normal(size=12)[provider]
    got = slope_between(y, np.zeros(y.size), factors, provider)
    n = np.bincount(provider)
    means = np.array([np.bincount(provider, one) / n for one in (y, *factors.T)])
    X = np.column_stack([np.ones(12), *means[1:]]) * np.sqrt(n)[:, None]
    inverse = np.linalg.inv(X.T @ X)
    coef = inverse @ X.T @ (means[0] * np.sqrt(n))
    leverage = np.einsum("ij,jk,ik->i", X, inverse, X)
    off = (means[0] * np.sqrt(n) - X @ coef) / (1 - leverage)
    wanted = np.sqrt(np.diag(inverse @ X.T @ np.diag(off**2) @ X @ inverse))
    np.testing.assert_allclose(got.coef, coef[1:])
    np.testing.assert_allclose(got.standard_error, wanted[1:])


def test_between_two_providers_a_slope_has_no_error_and_two_slopes_are_none():
    y, provider = np.array([1.0, 2.0, 5.0, 4.0]), list("aabb")
    one = slope_between(y, np.zeros(4), [0.0, 1.0, 1.0, 1.0], provider)
    assert np.isfinite(one.coef).all()
    assert np.isnan(one.standard_error).all()
    two = slope_between(y, np.zeros(4), np.array([[0, 1], [1, 1], [1, 0], [1, 3.0]]), provider)
    assert np.isnan(two.coef).all()


@pytest.mark.parametrize("family", ["gaussian", "binomial"])
def test_it_is_the_fixed_effects_fit_where_both_exist(family):
    one = world(family, n=12_000, providers=15)
    rows = np.column_stack([one["poor"], one["casemix"]])
    other = fit_fixed_effects(one["y"], rows, one["provider"], family)
    got = fitted(one, family)
    # Under logit provider effects are held a little: hence not to the last digit.
    exact = family == "gaussian"
    assert got.coef[0] == pytest.approx(other.coef[0], rel=1e-9 if exact else 2e-3)
    assert got.standard_error[0] == pytest.approx(other.coef_se[0], rel=0.5)


def test_errors_are_those_of_the_sandwich_by_provider():
    """Twelve copies of every provider under another name shrink the error by the root of 12."""
    one = world(n=1_000, providers=20)
    many = {name: np.tile(one[name], 12) for name in ("y", "poor", "casemix")}
    many["provider"] = np.concatenate([one["provider"] + 20 * k for k in range(12)])
    few, lots = fitted(one, "gaussian"), fitted(many, "gaussian")
    factor = np.sqrt(12 * (20 / 19) / (240 / 239))
    assert few.standard_error[0] / lots.standard_error[0] == pytest.approx(factor, rel=1e-9)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_offset_of_a_learner_leaves_the_slope_where_it_is(family):
    """Whatever was learned of case mix before, the slope is that of both together."""
    one = world(family)
    got = fitted(one, family, offset=0.35 * one["casemix"])
    assert got.coef[0] == pytest.approx(fitted(one, family).coef[0], rel=1e-5)


def test_the_part_beyond_case_mix_completes_an_expectation_from_case_mix_alone():
    """Together they are what both would be expected to be, within providers."""
    one = world()
    alone = slopes_within(one["y"], np.zeros(len(one["y"])), one["casemix"], one["provider"])
    both = fitted(one, "gaussian", offset=alone.part(one["casemix"]))
    got = alone.part(one["casemix"]) + both.part(one["poor"], one["casemix"])
    rows = np.column_stack([one["poor"], one["casemix"]])
    whole = slopes_within(one["y"], np.zeros(len(one["y"])), rows, one["provider"]).part(rows)
    np.testing.assert_allclose(got, whole, atol=1e-9)
    assert np.abs(both.part(one["poor"]) - both.part(one["poor"], one["casemix"])).max() > 0.5


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.floats(-50, 50), st.floats(0.01, 100))
def test_quality_unit_and_names_of_providers_do_not_matter(seed, quality, unit):
    one = world(n=200, providers=6, seed=seed)
    rng = np.random.default_rng(seed)
    first = fitted(one, "gaussian").coef[0]
    moved = one | {"y": one["y"] + quality * rng.normal(size=6)[one["provider"]]}
    assert fitted(moved, "gaussian").coef[0] == pytest.approx(first, abs=1e-7)
    scaled = one | {"poor": unit * one["poor"] + 3}
    assert fitted(scaled, "gaussian").coef[0] * unit == pytest.approx(first, abs=1e-7)
    named = one | {"provider": np.array(list("fbdace"))[one["provider"]]}
    assert fitted(named, "gaussian").coef[0] == pytest.approx(first, abs=1e-9)


def test_case_mix_that_follows_from_itself_is_no_obstacle():
    one = world(n=2_000)
    twice = one | {"casemix": np.column_stack([one["casemix"], 2 * one["casemix"], one["y"] * 0])}
    got, other = fitted(one, "gaussian"), fitted(twice, "gaussian")
    assert other.coef[0] == pytest.approx(got.coef[0])
    np.testing.assert_allclose(
        other.part(one["poor"], twice["casemix"]), got.part(one["poor"], one["casemix"]), atol=1e-9
    )


def test_providers_with_only_events_and_without_cost_leave_finite_slopes():
    one = world("binomial", n=3_000, providers=30)
    one["y"] = np.where(one["provider"] == 0, 1.0, one["y"])
    assert np.isfinite(fitted(one, "binomial").coef).all()
    dear = world("gamma", n=3_000, providers=30)
    dear["y"] = np.where(dear["provider"] == 0, 0.0, dear["y"])
    assert abs(fitted(dear, "gamma").coef[0] - TRUTH) < 0.15


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"poor": np.repeat([0.0, 1.0], 4)}, "differ between patients of the same provider"),
        ({"poor": np.arange(8.0), "casemix": 2 * np.arange(8.0)}, "follows from others"),
        ({"provider": ["a"] * 8}, "at least 2 clusters"),
        ({"provider": ["a", "b"]}, "wanted 8 labels"),
        ({"y": np.full(8, 2.0), "family": "binomial"}, "wanted 0 and 1"),
        ({"y": np.full(8, -1.0), "family": "gamma"}, "wanted 0 or more"),
        ({"family": "poisson"}, "family: wanted one of gaussian"),
        ({"poor": np.empty((8, 0))}, "factors: wanted one or more"),
    ],
)
def test_what_cannot_be_learned_from_is_refused(changed, words):
    rng = np.random.default_rng(1)
    given = {
        "y": rng.normal(size=8), "poor": rng.normal(size=8), "casemix": rng.normal(size=8),
        "provider": list("aaaabbbb"), "family": "gaussian",
    } | changed  # fmt: skip
    with pytest.raises(ArrayError, match=words):
        fitted(given, given["family"])


def test_other_columns_than_those_learned_from_are_refused():
    got = fitted(world(n=500), "gaussian")
    with pytest.raises(ArrayError, match="factors: wanted 1 columns; got 2"):
        got.part(np.ones((3, 2)))
    with pytest.raises(ArrayError, match="beside: wanted 1 columns; got 2"):
        got.part(np.ones((3, 1)), np.ones((3, 2)))


# --- the curve ---


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(["identity", "logit", "log"]),
    st.floats(0, 1),
    st.integers(0, 1000),
    st.floats(0.1, 6),
)
def test_the_sum_of_expectations_is_kept_whatever_the_share(link, share, seed, size):
    rng = np.random.default_rng(seed)
    expected = link_named(link).mean(rng.normal(size=50))
    got = expected_at(share, expected, size * rng.normal(size=50), link)
    assert got.sum() == pytest.approx(expected.sum(), rel=1e-9, abs=1e-9)


def test_with_a_share_of_none_nothing_changes():
    expected = np.array([0.1, 1.0, 0.0])
    assert expected_at(0, expected, np.array([1.0, -1.0, 3.0]), "logit") is expected


@pytest.mark.parametrize(("total", "link"), [(0.0, "log"), (3.0, "logit"), (0.0, "logit")])
def test_a_total_that_no_shift_gives_is_refused(total, link):
    with pytest.raises(ArrayError, match="total: wanted one above 0"):
        shift_to_total([0.0, 1.0, 2.0], total, link)


def test_a_shift_of_extreme_log_odds_is_found():
    eta = np.array([-700.0, -5.0, 0.0, 3.0, 700.0])
    shift = shift_to_total(eta, 1.5, "logit")
    assert expit(eta + shift).sum() == pytest.approx(1.5, abs=1e-9)


def test_a_line_crosses_where_it_is_0_and_nowhere_else():
    assert crossing(-1.0, 1.0, 0.0, 0.5) == 0.25
    assert crossing(0.0, 1.0, 0.25, 0.5) == 0.25
    for ends in ((1.0, 2.0), (1.0, 1.0)):
        with pytest.raises(ArrayError, match="both sides of 0"):
            crossing(*ends, 0.0, 1.0)
