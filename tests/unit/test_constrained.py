"""Least squares that pays groups what they cost: the closest there is, and what it gives up."""

import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn.linear_model import LinearRegression

from riskadj.errors import ArrayError
from riskadj.stats.constrained import constrained_least_squares


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
