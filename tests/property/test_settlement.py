"""Identities of a settlement, whatever the results are."""

import copy
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from settling import OURS, STUDY, check_by_hand, content, costs, evaluate, rows, step, steps

from riskadj.payment.contract import Contract, columns_wanted, load_contract
from riskadj.payment.formula import larger, number, rounded_to, smaller
from riskadj.payment.settle import settle

HALF = {"provider": 0.5, "payer": 0.5}
FULL = steps(
    step("risk_share", gain=HALF, loss={"provider": 0.3, "payer": 0.7}),
    step("gate", name="g", criteria=[OURS | {
        "kind": "not_negative_outlier", "label": "ODI", "outcome": "odi", "beyond": "inner",
        "not_known": "fails"}]),
    step("withhold", share=0.02, returned=[{"share": 0.3}, {"share": 0.7, "when": "g"}]),
    step("composite", no_score="none", positive=0.1, negative=0.15, measures=[
        {"name": "odi", "weight": 1, "outcome": "odi", "scale": {"kind": "percentile"}}]),
    step("outcome_payment", outcome="odi", paid_for="settled", no_result="nothing",
         amount=333.33, reliability=True, corridor=0.2,
         within={"floor": -0.02, "cap": 0.03}),
    step("uplift", amount=550.55, needs="g"),
)  # fmt: skip
STOPPED = [*FULL, step("stop_gain", share=0.04), step("stop_loss", share=0.05)]
cents = st.integers(0, 9_000_000)


_TWO = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b if b.value else a,
    "min": smaller,
    "max": larger,
}
numbers = st.decimals(-1000, 1000, places=3).map(number)
figures = st.recursive(
    numbers,
    lambda inner: st.one_of(
        st.builds(lambda sign, a, b: _TWO[sign](a, b), st.sampled_from([*_TWO]), inner, inner),
        st.builds(lambda a: a.negated(), inner),
        st.builds(rounded_to, inner, st.integers(0, 4)),
    ),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(figures)
def test_the_text_of_a_figure_is_its_value(figure):
    assert evaluate(figure.text) == figure.value
    assert not figure.text.startswith(("-", "+", "=", "@"))


@st.composite
def runs(draw):
    """Return the tables of a run: whole cents, some providers hidden."""
    k = draw(st.integers(1, 7))
    n = draw(st.lists(st.integers(1, 400), min_size=k, max_size=k))
    observed, expected = (
        [one / 100 for one in draw(st.lists(cents, min_size=k, max_size=k))] for _ in range(2)
    )
    gains = draw(st.lists(st.integers(-40, 40), min_size=k, max_size=k))
    names = [f"H{one}" for one in range(k)]
    odi = rows("odi", n, [18 + one / 8 for one in gains], (18.0,) * k, names)
    table = pd.concat([odi, costs(n, observed, expected, names=names)], ignore_index=True)
    lost = draw(st.sets(st.sampled_from(names), max_size=k - 1))
    table.loc[table["provider_id"].isin(lost), ["adjusted", "z"]] = np.nan
    return table


def of(some, **changes):
    return Contract.model_validate(content(steps=some, **changes))


@settings(max_examples=15, deadline=None)
@given(runs(), st.sampled_from(["no_settlement", "at_target"]), st.integers(-(10**7), 10**7))
def test_a_neutral_settlement_sums_to_its_pool_to_the_cent(table, too_few, pool):
    budget = {"kind": "neutral", "how": "shift", "pool": pool / 100} | OURS
    found = settle(of(FULL, budget=budget, too_few=too_few), table, study=STUDY)
    assert found.pool == found.totals["total_minor"].sum() == pool
    assert found.lines["amount_minor"].sum() == pool
    assert all(one.holds for one in found.checks)
    check_by_hand(found)


@settings(max_examples=15, deadline=None)
@given(runs())
def test_scaling_to_nought_sums_to_nought_and_turns_no_gain_into_a_loss(table):
    before = settle(of(FULL), table, study=STUDY).totals["total_minor"]
    budget = {"kind": "neutral", "how": "scale"} | OURS
    after = settle(of(FULL, budget=budget), table, study=STUDY).totals["total_minor"]
    assert after.sum() == 0
    assert (np.sign(after) * np.sign(before) >= 0).all()
    assert (after.abs() <= before.abs()).all()


@settings(max_examples=15, deadline=None)
@given(runs())
def test_caps_hold(table):
    found = settle(of(STOPPED, too_few="at_target"), table, study=STUDY)
    target = found.totals["target"].astype(float) * 100
    assert (found.totals["total_minor"] <= 0.04 * target + 0.5).all()
    assert (found.totals["total_minor"] >= -0.05 * target - 0.5).all()


@settings(max_examples=10, deadline=None)
@given(runs(), st.randoms(use_true_random=False), st.sampled_from(["open", "neutral"]))
def test_permuting_providers_permutes_nothing_but_the_rows_that_come_in(table, random, kind):
    order = list(table.index)
    random.shuffle(order)
    made = of(STOPPED, budget={"kind": kind} | OURS)
    one, other = (settle(made, some, study=STUDY) for some in (table, table.loc[order]))
    pd.testing.assert_frame_equal(one.lines, other.lines)
    pd.testing.assert_frame_equal(one.totals, other.totals)
    assert one.digest == other.digest


@settings(max_examples=10, deadline=None)
@given(runs())
def test_renaming_providers_renames_rows_only(table):
    made = of(STOPPED)
    renamed = table.assign(provider_id="x" + table["provider_id"])
    one, other = (settle(made, some, study=STUDY).totals for some in (table, renamed))
    pd.testing.assert_frame_equal(one.assign(provider_id="x" + one["provider_id"]), other)


def in_cents(value):
    """Return a contract's content with its amounts in cents, the unit of account."""
    made = copy.deepcopy(value)
    made["currency"] = {"code": "EUR", "minor_digits": 0}
    for one in made["steps"]:
        if "amount" in one:
            one["amount"] = round(one["amount"] * 100, 6)
    return made


@settings(max_examples=10, deadline=None)
@given(runs(), st.sampled_from(["open", "neutral"]))
def test_another_unit_of_account_changes_no_amount(table, kind):
    value = content(steps=STOPPED, budget={"kind": kind} | OURS)
    smaller = table.copy()
    of_cost = smaller["outcome"] == "cost"
    money = [one for one in smaller if one in ("observed", "expected", "difference", "adjusted")
             or one.startswith(("lower", "upper"))]  # fmt: skip
    smaller.loc[of_cost, money] = (smaller.loc[of_cost, money] * 100).round()
    euros = settle(Contract.model_validate(value), table, study=STUDY)
    cents_ = settle(Contract.model_validate(in_cents(value)), smaller, study=STUDY)
    assert euros.totals["total_minor"].tolist() == cents_.totals["total_minor"].tolist()


CONTRACTS = Path(__file__).parents[2] / "configs" / "contracts"
READY = {one.stem: load_contract(one) for one in sorted(CONTRACTS.glob("*.yaml"))}
BAD = {"observed": 0.0, "difference": -40.0, "adjusted": -22.0, "z": -60.0}
OF_HARM = ("odi_failure",)
GUARDED = ("england_bpt_hip", "england_bpt_knee", "england_hip", "england_knee")
"""Whose gate asks for participation instead: who hides by not asking patients fails on that."""
PAID_ON_ANSWERS = [name for name, one in READY.items() if one.outcomes]


def same_for_all(name):
    """Return the provider table of a contract that wants one; of the same for everybody."""
    columns = columns_wanted(READY[name])
    return pd.DataFrame({"provider_id": list("ABCD")} | dict.fromkeys(columns, 1.0))


@settings(max_examples=8, deadline=None)
@pytest.mark.parametrize("name", PAID_ON_ANSWERS)
@pytest.mark.parametrize("how", ["under the minimum", "suppressed"])
@given(st.lists(st.integers(-8, 8), min_size=3, max_size=3), st.integers(17_000, 23_000))
def test_hiding_a_result_never_pays_more_than_showing_the_worst(name, how, gains, cost):
    """With the count known: where it is suppressed too, nothing can be settled.

    Who hides by not asking is under the follow-up that the contract asks for; who is small and
    asked everybody hides nothing.
    """
    made = READY[name]
    if how == "suppressed" and made.cost is None and made.count != "procedures":
        return
    better = {one: -1 if one in OF_HARM else 1 for one in made.outcomes}
    parts = [
        rows(one, observed=[18.0 + g for g in (*gains, 0)], expected=(18.0,) * 4, better=sign,
             learner=made.learner)
        for one, sign in better.items()
    ]  # fmt: skip
    if made.cost:
        spent = (20_000.0, 20_500.0, 19_500.0, float(cost))
        parts.append(costs(observed=spent, expected=(20_000.0,) * 4, learner=made.learner))
    table = pd.concat(parts, ignore_index=True)
    mine = (table["provider_id"] == "D") & table["outcome"].isin(made.outcomes)
    worst, hidden = table.copy(), table.copy()
    for one, sign in better.items():
        here = mine & (table["outcome"] == one)
        for column, value in BAD.items():
            worst.loc[here, column] = value if sign > 0 or column == "z" else -value
    figures = list(table.select_dtypes("number")) if how == "suppressed" else ["adjusted", "z"]
    hidden.loc[mine, figures] = np.nan
    rates = pd.concat(
        pd.DataFrame(
            {
                "outcome": one,
                "source": "episodes",
                "response": 0.8,
                "provider_id": list("ABCD"),
                "participation": 0.9,
                "procedures": 100,
            }
        )
        for one in made.outcomes
    )
    asks = name in GUARDED or made.follow_up_asked is not None
    fewer = rates.assign(participation=0.4) if asks else rates
    shown, kept = (
        settle(made, some, asked, same_for_all(name)).totals.set_index("provider_id")
        for some, asked in ((worst, rates), (hidden, fewer))
    )
    assert not kept.loc["D", "status"].startswith("not settled")
    assert kept.loc["D", "total_minor"] <= shown.loc["D", "total_minor"]


@pytest.mark.parametrize("gap", [1, 2, 3])
def test_a_provider_that_costs_less_is_never_paid_less(gap):
    table = pd.concat([rows("odi"), costs()], ignore_index=True)
    cheaper = table.copy()
    mine = (cheaper["outcome"] == "cost") & (cheaper["provider_id"] == "B")
    cheaper.loc[mine, "observed"] -= 10.0**gap
    one, other = (
        settle(of(STOPPED), some, study=STUDY).totals.set_index("provider_id")["total_minor"]
        for some in (table, cheaper)
    )
    assert other["B"] >= one["B"]
