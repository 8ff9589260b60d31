"""Transfers between plans: they sum to nothing, follow need, and refuse what cannot be."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from riskadj.errors import ArrayError, ValuesError
from riskadj.payment.money import currency_of
from riskadj.payment.transfers import (
    high_cost_pool,
    payable_score,
    risk_transfers,
    transfers_in_minor,
)

FACTORS = ("actuarial_value", "rating", "induced_demand", "geographic_cost")
USD = currency_of("USD")
near_one = st.floats(0.2, 5)
plan = st.tuples(st.floats(1, 1e6), near_one, near_one, near_one, near_one, near_one)
plans = st.lists(plan, min_size=1, max_size=12).map(lambda rows: np.array(rows).T)


def transfers(columns, premium=400.0):
    members, score, *factors = columns
    return risk_transfers(members, score, premium, **dict(zip(FACTORS, factors, strict=True)))


@given(plans)
def test_transfers_sum_to_nothing(columns):
    got = transfers(columns)
    assert abs(columns[0] @ got) <= 1e-9 * columns[0].sum() * 400 * 25


@given(plans)
def test_plans_that_are_alike_pay_nothing(columns):
    same = np.repeat(columns[1:, :1], columns.shape[1], axis=1)
    assert transfers(np.vstack([columns[:1], same])) == pytest.approx(0, abs=1e-9)


@given(plans, st.floats(1.01, 3))
def test_a_plan_whose_members_get_sicker_receives_more(columns, by):
    assume(columns.shape[1] > 1 and columns[0, 0] / columns[0].sum() < 0.99)
    sicker = columns.copy()
    sicker[1, 0] *= by
    before, after = transfers(columns), transfers(sicker)
    assert after[0] > before[0]
    assert (after[1:] <= before[1:]).all()


@given(plans, st.floats(0.1, 10), st.floats(0.1, 10))
def test_the_units_of_scores_and_members_do_not_matter(columns, scores, members):
    scaled = columns * np.array([members, scores, 1, 1, 1, 1])[:, None]
    np.testing.assert_allclose(transfers(scaled), transfers(columns), rtol=1e-9, atol=1e-9)


def test_the_formula_is_need_over_mean_need_less_what_may_be_charged_over_its_mean():
    members, score = np.array([300.0, 100.0]), np.array([1.5, 1.0])
    av, arf, idf, gcf = ([0.7, 0.8], [1.6, 1.7], [1.0, 1.08], [0.9, 1.2])
    need = score * idf * gcf
    charge = np.multiply(av, arf) * idf * np.array(gcf)
    wanted = 500 * (
        need / (0.75 * need[0] + 0.25 * need[1]) - charge / (0.75 * charge[0] + 0.25 * charge[1])
    )
    got = transfers(np.array([members, score, av, arf, idf, gcf]), premium=500.0)
    np.testing.assert_allclose(got, wanted, rtol=1e-13)


def test_a_factor_may_be_one_number_for_all():
    one = risk_transfers([1, 1], [1.2, 0.9], 400.0, rating=1.7)
    np.testing.assert_allclose(one, risk_transfers([1, 1], [1.2, 0.9], 400.0), rtol=1e-13)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"members": [1, 0]}, "members: wanted numbers above 0"),
        ({"members": []}, "members"),
        ({"risk_score": [1.2]}, r"risk_score: wanted shape \(2,\)"),
        ({"risk_score": [1.2, -1]}, "risk_score: wanted numbers above 0"),
        ({"risk_score": [1.2, np.nan]}, "risk_score: wanted finite numbers"),
        ({"premium": 0}, "premium: wanted numbers above 0"),
        ({"premium": [400.0, 400.0]}, "premium: wanted one number; got shape"),
        ({"members": [[1, 1]]}, "members: wanted"),
        ({"rating": [1, 1, 1]}, "rating: wanted shape"),
        ({"actuarial_value": 0}, "actuarial_value: wanted numbers above 0"),
    ],
)
def test_what_cannot_be_is_refused_by_name(changed, words):
    plain = {"members": [1, 1], "risk_score": [1.2, 0.9], "premium": 400.0}
    with pytest.raises(ArrayError, match=f"^{words}"):
        risk_transfers(**(plain | changed))


# --- to the cent ---


@given(plans)
def test_transfers_in_minor_units_sum_to_0_to_the_cent(columns):
    per_member = dict(enumerate(transfers(columns).tolist()))
    members = dict(enumerate(columns[0].tolist()))
    got = transfers_in_minor(members, per_member, USD)
    assert sum(got.values()) == 0
    for one, amount in got.items():
        assert abs(amount - 100 * members[one] * per_member[one]) <= 1.001


def test_transfers_that_do_not_balance_are_refused():
    with pytest.raises(ValuesError, match="wanted them to sum to 0"):
        transfers_in_minor({"a": 1, "b": 1}, {"a": 1.0, "b": -2.0}, USD)


def test_plans_that_differ_are_refused():
    with pytest.raises(ValuesError, match="wanted the same plans as members; got 'c'"):
        transfers_in_minor({"a": 1, "b": 1}, {"a": 1.0, "b": -1.0, "c": 0.0}, USD)


# --- the pool ---


@given(
    st.lists(st.tuples(st.floats(0, 5e6), st.sampled_from("abc")), min_size=1, max_size=40),
    st.floats(0, 2e6),
    st.floats(0, 1),
)
def test_the_pool_pays_out_what_it_takes_in(members, threshold, share):
    cost, plan = zip(*members, strict=True)
    premium = {"a": 1e6, "b": 2e6, "c": 0.0, "d": 5e5}
    got = high_cost_pool(cost, plan, premium, threshold=threshold, share=share)
    assert list(got.index) == list(premium)
    assert got["net"].sum() == pytest.approx(0, abs=1e-6)
    assert got.loc["d", "reimbursed"] == 0
    assert got.loc["c", "charge"] == 0
    for one in "abc":
        beyond = sum(max(0.0, c - threshold) for c, p in members if p == one)
        assert got.loc[one, "reimbursed"] == pytest.approx(share * beyond, rel=1e-12, abs=1e-9)


@pytest.mark.parametrize(
    ("changed", "error", "words"),
    [
        ({"share": 60}, ValuesError, "share: wanted a number from 0 to 1; got 60"),
        ({"share": 1.01}, ValuesError, "share: wanted a number from 0 to 1; got 1.01"),
        ({"premium": {"a": 1.0}}, ValuesError, "got none for 'b'"),
        ({"premium": {"a": 0.0, "b": 0.0}}, ValuesError, "got none above 0"),
        ({"cost": [1.0, -1.0]}, ArrayError, "cost: wanted numbers of 0 or more"),
        ({"threshold": -1.0}, ArrayError, "threshold: wanted numbers of 0 or more; got -1"),
        ({"threshold": [1.0]}, ArrayError, "threshold: wanted one number; got shape"),
        ({"cost": [1.0]}, ArrayError, r"cost: wanted shape \(2,\); got \(1,\)"),
        ({"share": -0.1}, ValuesError, "share: wanted a number from 0 to 1; got -0.1"),
        ({"premium": {"a": 1.0, "b": -1.0}}, ArrayError, "premium: wanted numbers of 0 or more"),
    ],
)
def test_a_pool_that_cannot_be_is_refused(changed, error, words):
    plain = {"cost": [1.0, 2.0], "plan": ["a", "b"], "premium": {"a": 1.0, "b": 1.0}}
    with pytest.raises(error, match=words):
        high_cost_pool(**(plain | {"threshold": 1.0, "share": 0.5} | changed))


def test_a_pool_by_hand():
    """Half of what is above 100: of a 100 + 0, of b 25; paid for 1 to 4 by what they take in."""
    got = high_cost_pool([300.0, 100.0, 150.0], ["a", "a", "b"], {"b": 80.0, "a": 20.0},
                         threshold=100.0, share=0.5)  # fmt: skip
    assert got.index.name == "plan"
    assert got.to_dict("index") == {
        "b": {"reimbursed": 25.0, "charge": 100.0, "net": -75.0},
        "a": {"reimbursed": 100.0, "charge": 25.0, "net": 75.0},
    }


@pytest.mark.parametrize(("share", "back"), [(0, 0.0), (1, 7.0)])
def test_a_pool_may_pay_nothing_or_all_above_the_threshold(share, back):
    got = high_cost_pool([7.0], ["a"], {"a": 1.0}, threshold=0.0, share=share)
    assert got.loc["a"].tolist() == [back, back, 0.0]


# --- scores as they are paid ---


def test_a_payable_score_by_hand():
    assert payable_score(1.2, 0.8, 0.25) == pytest.approx(1.125)
    assert payable_score(1.2, 0.8, 0) == pytest.approx(1.5)
    assert payable_score(1.2, 0.8, 1) == payable_score(0, 0.8, 0.25) == 0


@given(st.floats(0, 10), st.floats(0.5, 2), st.floats(0, 1))
def test_a_payable_score_undoes_to_the_raw_one(raw, mean, coding):
    got = payable_score(raw, mean, coding)
    assert got * mean == pytest.approx(raw * (1 - coding))
    assert got <= raw / mean


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((-1, 1, 0), "score: wanted numbers of 0 or more; got -1"),
        ((1, 0, 0), "normalisation: wanted numbers above 0; got 0"),
        ((1, [1], 0), "normalisation: wanted one number; got shape"),
        ((1, 1, 5.9), "coding_adjustment: wanted a share from 0 to 1; got 5.9"),
        ((1, 1, 1.01), "coding_adjustment: wanted a share from 0 to 1; got 1.01"),
        ((1, 1, -0.1), "coding_adjustment: wanted a share from 0 to 1; got -0.1"),
        ((np.nan, 1, 0), "score: wanted finite numbers"),
    ],
)
def test_a_score_that_cannot_be_is_refused(arguments, words):
    with pytest.raises((ArrayError, ValuesError), match=f"^{words}"):
        payable_score(*arguments)
