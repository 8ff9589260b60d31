"""Rates of follow-up: those worked by hand, and what is no rate."""

import numpy as np
import pytest

from riskadj.errors import ArrayError, ValuesError
from riskadj.stats.follow_up import follow_up_rates

COUNTS = {
    "procedures": [100, 50],
    "q1": [80, 60],
    "linked": [60, 45],
    "q2_sent": [72, 60],
    "q2_returned": [54, 30],
}


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
