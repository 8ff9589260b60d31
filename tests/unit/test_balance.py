"""Balance of responders and everybody: exact where the true rates are known."""

import numpy as np
import pytest

from riskadj.errors import ArrayError
from riskadj.stats.balance import balance
from riskadj.stats.response_weights import response_weights


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
