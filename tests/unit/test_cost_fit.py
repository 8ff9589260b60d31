"""Figures of expected cost: against formulas, brute force, other libraries and known truth."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from sklearn.linear_model import GammaRegressor, LinearRegression
from sklearn.metrics import mean_absolute_error, r2_score

from riskadj.errors import ArrayError, NoVariationError
from riskadj.stats.accuracy import accuracy
from riskadj.stats.calibration import calibration_bins
from riskadj.stats.clusters import interval_by_cluster, sums_by_cluster
from riskadj.stats.constrained import constrained_least_squares
from riskadj.stats.cost_fit import cost_fit, top_coded_share
from riskadj.stats.park import PARK_FAMILIES, park_test
from riskadj.stats.predictive_ratios import (
    net_compensation,
    predictive_ratio,
    predictive_ratios_by_tenth,
)
from riskadj.stats.rescaling import rescaling_weights

METHODS = ("bca", "percentile", "jackknife")
GROUP = {"predictive_ratio": predictive_ratio, "net_compensation": net_compensation}


def costs(rng, clusters=40, size=25, power=2.0):
    """Return observed and expected cost, and the provider of each episode."""
    cluster = np.repeat(np.arange(clusters), size)
    expected = np.exp(rng.normal(8, 0.6, clusters * size))
    true = expected * np.exp(rng.normal(0, 0.1, clusters))[cluster]
    # Gamma with the variance 0.3 x 3000^(2 - power) x mean^power.
    shape = true ** (2 - power) / (0.3 * 3000 ** (2 - power))
    return rng.gamma(shape, true / shape), expected, cluster


@pytest.fixture(scope="module")
def world():
    rng = np.random.default_rng(11)
    y, expected, cluster = costs(rng)
    return {
        "y": y, "expected": expected, "cluster": cluster,
        "member": rng.random(y.size) < 0.3, "weights": rng.uniform(0, 3, y.size),
    }  # fmt: skip


# --- fit ---


def test_figures_are_those_of_other_libraries(world):
    y, e, w = world["y"], world["expected"], world["weights"]
    got, plain = cost_fit(y, e, w), cost_fit(y, e)
    assert got.r2 == pytest.approx(r2_score(y, e, sample_weight=w), rel=1e-12)
    assert got.mae == pytest.approx(mean_absolute_error(y, e, sample_weight=w), rel=1e-12)
    mean = np.full_like(y, np.average(y, weights=w))
    worst = mean_absolute_error(y, mean, sample_weight=w)
    assert got.cpm == pytest.approx(1 - got.mae / worst, rel=1e-12)
    assert got.total_ratio == pytest.approx((w * y).sum() / (w * e).sum(), rel=1e-12)
    other = accuracy(y, e)
    assert (plain.n, plain.r2) == (other.n, pytest.approx(other.r2, rel=1e-12))
    assert plain.total_ratio == pytest.approx(other.total_ratio, rel=1e-12)


@given(
    st.lists(st.tuples(st.integers(0, 999), st.integers(-99, 999), st.integers(1, 4)), min_size=2)
    .filter(lambda rows: len({one for one, _, _ in rows}) > 1)
)  # fmt: skip
def test_weights_count_like_copies_of_an_episode(rows):
    y, e, w = np.array(rows, dtype=float).T
    times = w.astype(int)
    got, want = cost_fit(y, e, w), cost_fit(np.repeat(y, times), np.repeat(e, times))
    for name in ("r2", "cpm", "mae", "negative_share"):
        assert getattr(got, name) == pytest.approx(getattr(want, name), rel=1e-9, abs=1e-9)


def test_negative_expectations_are_counted_and_a_total_below_0_has_no_ratio():
    assert cost_fit([1, 2, 3, 4], [-1, 2, 0, 4]).negative_share == 0.25
    assert cost_fit([1, 2], [-1, -2], [3, 1]).negative_share == 1
    assert np.isnan(cost_fit([1, 2], [-1, -2]).total_ratio)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        (([1, 1], [1, 2]), NoVariationError, "wanted costs that differ; got 1 throughout"),
        (([1, 2, 3], [1, 2, 3], [0, 1, 0]), NoVariationError, "wanted costs that differ"),
        (([0.1] * 3, [1, 2, 3]), NoVariationError, "wanted costs that differ"),
        (([1, 2], [1]), ArrayError, "expected: wanted shape"),
        (([1, np.nan], [1, 2]), ArrayError, "y: wanted finite"),
        (([], []), ArrayError, "y: wanted one number per episode"),
        (([1, 2], [1, 2], [-1, 2]), ArrayError, "weights: wanted numbers of 0 or more"),
    ],
)
def test_costs_that_say_nothing_are_refused(arguments, error, words):
    with pytest.raises(error, match=words):
        cost_fit(*arguments)


# --- groups ---


@pytest.mark.parametrize("method", METHODS)
def test_a_groups_figures_are_those_of_its_members(world, method):
    y, e, w, inside = (world[one] for one in ("y", "expected", "weights", "member"))
    rest = {"method": method, "replicates": 200, "weights": w}
    ratio = predictive_ratio(y, e, inside, world["cluster"], **rest)
    net = net_compensation(y, e, inside, world["cluster"], **rest)
    assert ratio.value == pytest.approx((w * e)[inside].sum() / (w * y)[inside].sum(), rel=1e-12)
    assert net.value == pytest.approx(np.average((e - y)[inside], weights=w[inside]), rel=1e-12)
    for one in (ratio, net):
        assert one.lower < one.value < one.upper
        assert (one.n, one.n_clusters) == (inside.sum(), 40)


@pytest.mark.parametrize("name", GROUP)
def test_providers_are_drawn_whole(world, name):
    """Leave out one provider's members at a time."""
    y, e, inside, cluster = (world[one] for one in ("y", "expected", "member", "cluster"))

    def without(one):
        kept = inside & (cluster != one)
        return GROUP[name](y, e, kept, cluster, method="jackknife").value

    left_out = np.array([without(one) for one in range(40)])
    wanted = np.sqrt(39 / 40 * np.sum((left_out - left_out.mean()) ** 2))
    got = GROUP[name](y, e, inside, cluster, method="jackknife")
    assert got.standard_error == pytest.approx(wanted, rel=1e-9)


@pytest.mark.parametrize("name", GROUP)
def test_a_group_that_few_providers_see_has_an_interval_still(world, name):
    """Samples of all 40 providers would often hold nobody of the group."""
    inside = world["member"] & (world["cluster"] < 3)
    got = GROUP[name](world["y"], world["expected"], inside, world["cluster"], replicates=100)
    assert got.n_clusters == 3
    assert np.isfinite([got.lower, got.upper]).all()


@pytest.mark.parametrize("name", GROUP)
def test_the_seed_alone_decides_the_draws(world, name):
    row = [world[one] for one in ("y", "expected", "member", "cluster")]
    one, two, other = (GROUP[name](*row, replicates=60, seed=seed) for seed in (1, 1, 2))
    assert one == two
    assert one.lower != other.lower


def test_intervals_by_provider_cover_the_truth_as_often_as_they_say():
    """A group costs 10 % more than is expected; providers differ by 10 %."""
    rng, inside = np.random.default_rng(5), 0
    for _ in range(150):
        y, expected, cluster = costs(rng)
        member = rng.random(y.size) < 0.5
        y = np.where(member, 1.1 * y, y)
        got = predictive_ratio(y, expected, member, cluster, method="jackknife")
        inside += got.lower < 1 / (1.1 * np.exp(0.1**2 / 2)) < got.upper
    assert 0.90 <= inside / 150 <= 0.99


@pytest.mark.parametrize(
    ("member", "words"),
    [
        ([0, 0, 0, 0], "wanted somebody"),
        ([1, 1, 0, 2], "wanted True or False"),
        ([1, 1], r"member: wanted shape \(4,\)"),
        ([1, 1, 0, 0], "wanted at least 2 clusters; got 1"),
        ([1, 0, 0, np.nan], "member: wanted finite"),
    ],
)
@pytest.mark.parametrize("name", GROUP)
def test_a_group_that_cannot_be_judged_is_refused(name, member, words):
    with pytest.raises(ArrayError, match=words):
        GROUP[name]([1, 2, 3, 4], [1, 2, 3, 4], member, list("aabc"))


def test_a_group_that_cost_nothing_has_no_ratio_but_a_net_compensation():
    row = [0, 0, 3], [5, 7, 3], [True, True, False], list("abc")
    with pytest.raises(ArrayError, match="Ask for its net compensation"):
        predictive_ratio(*row)
    assert net_compensation(*row, method="jackknife").value == 6


# --- tenths ---


@pytest.mark.parametrize("weighted", [False, True])
def test_tenths_are_those_of_the_calibration_table(world, weighted):
    y, e, cluster = world["y"], world["expected"], world["cluster"]
    w = world["weights"] if weighted else np.ones_like(y)
    got = predictive_ratios_by_tenth(y, e, cluster, w)
    rank = np.argsort(np.argsort(e)) * 10 // e.size
    for tenth in range(10):
        rows = rank == tenth
        assert got.n[tenth] == rows.sum()
        assert got.observed[tenth] == pytest.approx(np.average(y[rows], weights=w[rows]))
        wanted = predictive_ratio(y, e, rows, cluster, w, method="jackknife")
        assert got.ratio[tenth] == pytest.approx(wanted.value, rel=1e-12)
        error = (got.upper[tenth] - got.ratio[tenth]) / (wanted.upper - wanted.value)
        assert error == pytest.approx(1, abs=0.15)
    if not weighted:
        bins = calibration_bins(y, e)
        np.testing.assert_allclose(got.expected, bins.expected, rtol=1e-12)
        np.testing.assert_allclose(got.observed, bins.observed, rtol=1e-12)


def test_three_times_the_expectation_is_three_times_the_ratio_with_its_interval(world):
    y, e, cluster = world["y"], world["expected"], world["cluster"]
    one, three = (predictive_ratios_by_tenth(y, by * e, cluster) for by in (1, 3))
    for name in ("ratio", "lower", "upper"):
        np.testing.assert_allclose(getattr(three, name), 3 * getattr(one, name), rtol=1e-12)


def test_a_tenth_that_cost_nothing_has_no_ratio():
    got = predictive_ratios_by_tenth([0, 0, 3, 5], [1, 1, 4, 4], groups=2)
    assert np.isnan([got.ratio[0], got.lower[0], got.upper[0]]).all()
    assert got.ratio[1] == 1.0
    assert got.observed.tolist() == [0, 4]


def test_a_tenth_without_weight_is_refused():
    with pytest.raises(ArrayError, match="wanted some above 0 in each share"):
        predictive_ratios_by_tenth([1, 2, 3, 4], [1, 2, 3, 4], None, [0, 0, 1, 1], groups=2)


# --- top-coding ---


@given(st.lists(st.integers(0, 10**6), min_size=1).filter(any), st.integers(0, 10**6))
def test_what_is_capped_and_what_is_left_make_all_cost(cost, cap):
    got = top_coded_share(cost, cap)
    left = np.minimum(cost, cap).sum()
    assert got.share_of_cost * np.sum(cost) + left == pytest.approx(np.sum(cost))
    assert got.n_capped == sum(one > cap for one in cost)
    assert top_coded_share(cost, [cap] * len(cost)) == got


@pytest.mark.parametrize(
    ("cost", "cap", "words"),
    [
        ([-1, 2], 1, "y: wanted numbers of 0 or more"),
        ([0, 0], 1, "wanted some cost above 0"),
        ([1, 2], [1, 2, 3], "cap: wanted one number or 2"),
        ([1, 2], -1, "cap: wanted numbers of 0 or more"),
    ],
)
def test_a_cap_that_cannot_be_is_refused(cost, cap, words):
    with pytest.raises(ArrayError, match=words):
        top_coded_share(cost, cap)


# --- the Park test ---


@pytest.mark.parametrize(("family", "power"), PARK_FAMILIES.items())
def test_the_power_of_the_mean_is_found(family, power):
    rng = np.random.default_rng(20 + power)
    mean = np.exp(rng.normal(8, 0.6, 20_000))
    shape = mean ** (2 - power) / (0.3 * 3000.0 ** (2 - power))
    got = park_test(rng.gamma(shape, mean / shape), mean)
    assert got.family == family
    assert got.slope == pytest.approx(power, abs=0.2)
    assert got.lower < got.slope < got.upper


def test_poisson_counts_have_the_power_1_and_normal_errors_0():
    rng = np.random.default_rng(3)
    mean = rng.uniform(1, 50, 20_000)
    assert park_test(rng.poisson(mean), mean).slope == pytest.approx(1, abs=0.05)
    assert park_test(rng.normal(mean, 3), mean).slope == pytest.approx(0, abs=0.05)


def test_the_slope_is_that_of_a_gamma_model_of_squared_residuals(world):
    """scikit-learn's, fitted by Newton's method to the same likelihood."""
    y, e = world["y"], world["expected"]
    x = np.log(e) - np.log(e).mean()
    square = (y - e) ** 2
    # Its gradient is met to 1e-4 as the default; squares are brought near 1 for its sake.
    model = GammaRegressor(alpha=0, solver="newton-cholesky", tol=1e-12, max_iter=500)
    model.fit(x[:, None], square / square.mean())
    assert park_test(y, e).slope == pytest.approx(model.coef_[0], abs=1e-7)


def test_a_perfect_expectation_among_others_does_no_harm(world):
    y = world["y"].copy()
    y[:100] = world["expected"][:100]
    assert np.isfinite(park_test(y, world["expected"]).slope)


def test_the_slope_does_not_depend_on_the_currency(world):
    one = park_test(world["y"], world["expected"], world["cluster"])
    other = park_test(11.3 * world["y"], 11.3 * world["expected"], world["cluster"])
    assert other.slope == pytest.approx(one.slope, rel=1e-9)
    assert other.standard_error == pytest.approx(one.standard_error, rel=1e-9)
    assert (one.n, one.n_clusters) == (1000, 40)


def test_intervals_of_the_power_cover_it_as_often_as_they_say():
    rng, inside = np.random.default_rng(9), 0
    for _ in range(200):
        mean = np.exp(rng.normal(8, 0.5, 2_000))
        got = park_test(rng.gamma(2.0, mean / 2), mean)
        inside += got.lower < 2 < got.upper
    assert 0.88 <= inside / 200 <= 0.99


@pytest.mark.parametrize(
    ("y", "expected", "error", "words"),
    [
        ([1, 2, 3], [1, 0, 3], ArrayError, "expected: wanted numbers above 0"),
        ([1, 2, 3], [2, 2, 2], NoVariationError, "wanted expectations that differ"),
        ([1, 2, 3], [1, 2, 3], NoVariationError, "residuals that are not 0"),
        ([1, 2, 4], [1, 2, 3], ArrayError, "no slope is finite"),
    ],
)
def test_a_power_that_cannot_be_told_is_refused(y, expected, error, words):
    with pytest.raises(error, match=words):
        park_test(y, expected)


# --- constrained least squares ---


@pytest.fixture(scope="module")
def payment():
    """A group that costs more than its age and sex say."""
    rng = np.random.default_rng(21)
    n = 800
    X = np.column_stack([rng.normal(60, 10, n), rng.random(n) < 0.5, rng.gamma(1, 2, n)])
    ill, poor = rng.random(n) < 0.2, rng.random(n) < 0.3
    mean = 2000 + 50 * (X[:, 0] - 60) + 300 * X[:, 2] + 1500 * ill + 400 * poor
    return {
        "y": mean + rng.gamma(1, 1000, n), "X": X,
        "groups": np.vstack([ill, poor]), "weights": rng.uniform(0.5, 2, n),
    }  # fmt: skip


def loss(coef, payment, penalty):
    y, w = payment["y"], payment["weights"]
    away = coef[0] + payment["X"] @ coef[1:] - y
    net = [np.average(away[one], weights=w[one]) for one in payment["groups"]]
    return w @ away**2 + penalty * np.sum(np.square(net))


def test_without_a_penalty_it_is_weighted_least_squares(payment):
    got = constrained_least_squares(**payment, penalty=0)
    model = LinearRegression().fit(payment["X"], payment["y"], payment["weights"])
    np.testing.assert_allclose(got.coef, [model.intercept_, *model.coef_], rtol=1e-9)
    np.testing.assert_allclose(got.expected, model.predict(payment["X"]), rtol=1e-9)
    assert got.r2 == got.r2_unconstrained
    assert got.net_compensation[0] < -1000


@pytest.mark.parametrize("balanced", [True, False])
def test_with_the_constraint_groups_are_paid_what_they_cost(payment, balanced):
    got = constrained_least_squares(**payment, balanced=balanced)
    w, off = payment["weights"], got.expected - payment["y"]
    for one, net in zip(payment["groups"], got.net_compensation, strict=True):
        assert abs(net) < 1e-6
        assert np.average(off[one], weights=w[one]) == pytest.approx(net, abs=1e-9)
    assert got.r2 < got.r2_unconstrained


@pytest.mark.parametrize("penalty", [0, 10.0, 1e3, np.inf])
def test_all_expected_cost_is_all_observed_cost_unless_that_is_given_up(payment, penalty):
    w, y = payment["weights"], payment["y"]
    got = constrained_least_squares(**payment, penalty=penalty)
    assert got.expected @ w == pytest.approx(y @ w, rel=1e-12)
    other = constrained_least_squares(**payment, penalty=penalty, balanced=False)
    assert other.r2 >= got.r2 or np.isfinite(penalty)
    assert (other.expected @ w > 1.001 * (y @ w)) == (penalty > 0)


def steps(payment, balanced, constrained):
    """Return the directions in which coefficients may go."""
    design = np.column_stack([np.ones(800), payment["X"]])
    groups = payment["groups"] if constrained else payment["groups"][:0]
    held = np.vstack([groups, np.ones(800)]) if balanced else groups
    rows = (payment["weights"] * held) @ design
    return np.linalg.svd(rows)[2][len(rows) :] if len(rows) else np.eye(4)


@pytest.mark.parametrize("balanced", [True, False])
def test_no_other_fit_that_pays_groups_what_they_cost_is_closer(payment, balanced):
    got = constrained_least_squares(**payment, balanced=balanced)
    best, rng = loss(got.coef, payment, 0), np.random.default_rng(1)
    free = steps(payment, balanced, constrained=True)
    assert len(free) == (1 if balanced else 2)
    for _ in range(50):
        assert loss(got.coef + rng.normal(size=len(free)) @ free, payment, 0) > best
    found = minimize(lambda by: loss(got.coef + by @ free, payment, 0) / best, np.zeros(len(free)))
    assert found.fun == pytest.approx(1, abs=1e-10)


@pytest.mark.parametrize("balanced", [True, False])
@pytest.mark.parametrize("penalty", [1.0, 100.0, 5_000.0])
def test_the_penalised_fit_is_the_minimum_of_what_it_minimises(payment, penalty, balanced):
    got = constrained_least_squares(**payment, penalty=penalty, balanced=balanced)
    free, rng = steps(payment, balanced, constrained=False), np.random.default_rng(2)
    low = loss(got.coef, payment, penalty)
    for _ in range(50):
        by = (rng.normal(size=len(free)) * 0.1) @ free
        # About a minimum a step and its reverse cost the same, and something.
        one, other = (loss(got.coef + way * by, payment, penalty) - low for way in (1, -1))
        assert one > 0
        assert other == pytest.approx(one, rel=1e-3)


@pytest.mark.parametrize("balanced", [True, False])
def test_a_larger_penalty_never_makes_groups_worse_off_nor_the_fit_better(payment, balanced):
    fits = [
        constrained_least_squares(**payment, penalty=10.0**k, balanced=balanced)
        for k in range(-2, 8)
    ]
    net = [np.sum(one.net_compensation**2) for one in fits]
    assert (np.diff(net) < 0).all()
    assert (np.diff([one.r2 for one in fits]) < 0).all()
    nearly = constrained_least_squares(**payment, penalty=1e13, balanced=balanced)
    exact = constrained_least_squares(**payment, balanced=balanced)
    np.testing.assert_allclose(nearly.coef, exact.coef, rtol=1e-5)


def test_units_of_covariates_do_not_matter(payment):
    moved = payment | {"X": payment["X"] * [1e6, 1e-6, 1] + [1e4, 0, 5]}
    one, other = (constrained_least_squares(**two) for two in (payment, moved))
    np.testing.assert_allclose(other.expected, one.expected, rtol=1e-7)


def test_groups_that_follow_from_each_other_are_no_obstacle(payment):
    """When all is paid that was spent, a group and the rest are paid right together."""
    ill, all_of_them = payment["groups"][0], np.ones(800)
    one = constrained_least_squares(**(payment | {"groups": ill}))
    for groups in ([ill, ~ill, ill], [ill, all_of_them]):
        for balanced in (True, False):
            other = constrained_least_squares(**(payment | {"groups": groups}), balanced=balanced)
            np.testing.assert_allclose(other.coef, one.coef, rtol=1e-7)


def test_one_covariate_may_come_as_a_row(payment):
    one = constrained_least_squares(payment["y"], payment["X"][:, 0], payment["groups"][0])
    other = constrained_least_squares(payment["y"], payment["X"][:, :1], payment["groups"][:1])
    np.testing.assert_array_equal(one.coef, other.coef)


def halves(n):
    return np.arange(n) < n // 2


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"groups": np.zeros(8)}, "got an empty group"),
        ({"groups": np.ones(7)}, "groups: wanted shape"),
        ({"groups": np.eye(8)}, "groups that can all be paid what they cost; got some that"),
        ({"X": np.column_stack([np.arange(8.0), 2 * np.arange(8.0)])}, "got collinear"),
        ({"X": np.ones(8)}, "got collinear"),
        ({"X": np.arange(5.0)}, "X: wanted 8 rows"),
        ({"X": np.random.default_rng(1).normal(size=(8, 9))}, "wanted more episodes"),
        ({"penalty": -1.0}, "penalty: wanted a number of 0 or more"),
        ({"penalty": np.nan}, "penalty"),
        ({"weights": np.r_[np.zeros(4), np.ones(4)], "groups": halves(8)}, "empty group"),
    ],
)
def test_fits_that_cannot_be_are_refused(changed, words):
    plain = {"y": np.arange(8.0) ** 2, "X": np.arange(8.0), "groups": ~halves(8)}
    with pytest.raises(ArrayError, match=words):
        constrained_least_squares(**(plain | changed))


# --- rescaled weights ---


@given(st.lists(st.integers(2, 6), min_size=1, max_size=5), st.integers(0, 2**32 - 1))
@settings(max_examples=50)
def test_every_stratum_keeps_its_size_in_steps_of_n_over_n_less_1(sizes, seed):
    stratum = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))
    got = rescaling_weights(stratum, replicates=20, seed=seed)
    assert got.shape == (20, len(stratum))
    for label, n in enumerate(sizes):
        drawn = got[:, stratum == label]
        np.testing.assert_allclose(drawn.sum(axis=1), n, rtol=1e-12)
        steps = drawn * (n - 1) / n
        np.testing.assert_allclose(steps, steps.round(), atol=1e-12)


def test_the_variance_of_a_sum_is_that_of_the_design():
    """sum over strata of n / (n - 1) sum (y - mean)^2; the plain bootstrap has half of it with
    two clusters to a stratum."""
    rng = np.random.default_rng(4)
    stratum, y = np.repeat([0, 1, 2], [2, 2, 5]), rng.normal(10, 3, 9)
    wanted = sum(
        one.size / (one.size - 1) * ((one - one.mean()) ** 2).sum()
        for one in (y[stratum == label] for label in range(3))
    )
    totals = rescaling_weights(stratum, replicates=40_000, seed=1) @ y
    assert totals.var() == pytest.approx(wanted, rel=0.03)
    assert totals.mean() == pytest.approx(y.sum(), rel=0.005)


def test_in_one_stratum_its_errors_are_those_of_the_jackknife():
    rng = np.random.default_rng(6)
    y, cluster = rng.gamma(2, 500, 600), np.arange(600) // 20
    totals = sums_by_cluster({"y": y}, cluster)
    weights = rescaling_weights(np.zeros(30), replicates=20_000, seed=2)
    n, sums = weights @ totals.values[0], weights @ totals.values[1]
    wanted = interval_by_cluster(totals, lambda of: of["y"] / of["n"], "jackknife")
    assert (sums / n).std() == pytest.approx(wanted.standard_error, rel=0.03)


def test_a_stratum_of_one_cluster_is_refused():
    with pytest.raises(ArrayError, match="wanted at least 2 clusters in each; got 1 in 'b'"):
        rescaling_weights(["a", "a", "b"])


def test_the_same_seed_gives_the_same_weights():
    one, two, other = (rescaling_weights([1] * 9, 5, seed) for seed in (1, 1, 2))
    assert (one == two).all()
    assert (one != other).any()
