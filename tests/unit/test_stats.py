"""Arithmetic on arrays, against numbers worked by hand and against numpy."""

import numpy as np
import pytest

from riskadj.errors import ArrayError
from riskadj.stats import (
    Z95,
    Z998,
    accuracy,
    calibration_line,
    groups_by_rank,
    limits_of_mean,
    z_of_mean,
)


def test_accuracy_is_what_is_worked_by_hand() -> None:
    got = accuracy([10.0, 20.0, 30.0], [12.0, 20.0, 25.0])
    assert (got.n, got.mae, got.bias) == (3, pytest.approx(7 / 3), pytest.approx(1.0))
    assert got.r2 == pytest.approx(1 - 29 / 200)
    assert got.rmse == pytest.approx(np.sqrt(29 / 3))
    assert got.total_ratio == pytest.approx(60 / 57)


def test_expecting_the_mean_of_everybody_has_an_r2_of_0() -> None:
    assert accuracy([1.0, 2.0, 6.0], [3.0, 3.0, 3.0]).r2 == pytest.approx(0.0)


def test_r2_is_negative_when_worse_than_the_mean() -> None:
    assert accuracy([1.0, 2.0, 3.0], [3.0, 2.0, 1.0]).r2 == pytest.approx(-3.0)


def test_r2_of_an_outcome_without_variation_is_nan() -> None:
    assert np.isnan(accuracy([4.0, 4.0], [4.0, 5.0]).r2)


def test_total_ratio_to_a_total_of_0_is_nan() -> None:
    assert np.isnan(accuracy([1.0, 2.0], [1.0, -1.0]).total_ratio)


@pytest.mark.parametrize(
    ("observed", "expected", "says"),
    [
        ([], [], "observed: wanted one number per episode"),
        ([1.0, 2.0], [1.0], r"expected: wanted shape \(2,\)"),
        ([1.0, np.nan], [1.0, 1.0], "observed: wanted finite numbers"),
    ],
)
def test_accuracy_refuses_what_cannot_be_paired(
    observed: list[float], expected: list[float], says: str
) -> None:
    with pytest.raises(ArrayError, match=f"^{says}"):
        accuracy(observed, expected)


def test_calibration_line_agrees_with_numpy() -> None:
    rng = np.random.default_rng(1)
    expected = rng.normal(30, 5, 200)
    observed = 4 + 0.8 * expected + rng.normal(0, 1, 200)
    slope, intercept = np.polyfit(expected, observed, 1)
    assert calibration_line(observed, expected) == pytest.approx((intercept, slope))


def test_calibration_slope_of_one_expectation_for_all_is_nan() -> None:
    intercept, slope = calibration_line([1.0, 3.0], [5.0, 5.0])
    assert intercept == 2.0
    assert np.isnan(slope)


@pytest.mark.parametrize("n", [1, 7, 10, 99, 100, 101])
def test_ranked_groups_differ_in_size_by_one_at_most(n: int) -> None:
    sizes = np.bincount(groups_by_rank(np.arange(n)[::-1]), minlength=11)[1:]
    assert sizes.sum() == n
    assert sizes.max() - sizes.min() <= 1


def test_ties_are_shared_out_in_their_order() -> None:
    values = np.tile([2.0, 1.0], 500)
    assert groups_by_rank(values, groups=4)[1::2].tolist() == [1] * 250 + [2] * 250


def test_no_values_have_no_groups() -> None:
    assert groups_by_rank([]).size == 0


def test_limits_are_those_published_for_a_provider() -> None:
    lower, upper = limits_of_mean([822], 22.6798, 7.67145, 3.09)
    assert (lower[0], upper[0]) == pytest.approx((21.8530, 23.5066), abs=1e-4)


@pytest.mark.parametrize("cut", [Z95, Z998])
@pytest.mark.parametrize("tau", [0.0, 0.4])
def test_a_mean_on_its_limit_has_the_z_of_the_limit(cut: float, tau: float) -> None:
    n = np.array([1, 30, 5000])
    lower, upper = limits_of_mean(n, 20.0, 8.0, cut, tau)
    assert z_of_mean(lower, n, 20.0, 8.0, tau) == pytest.approx([-cut] * 3)
    assert z_of_mean(upper, n, 20.0, 8.0, tau) == pytest.approx([cut] * 3)


def test_variation_between_providers_keeps_limits_apart_however_many_episodes() -> None:
    lower, upper = limits_of_mean(10**12, 20.0, 8.0, 2.0, tau=0.5)
    assert upper - lower == pytest.approx(2.0)
