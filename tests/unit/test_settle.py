"""Settlements: every step by hand, every rule for what is not known, every refusal by name."""

import re
from importlib import import_module
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from settling import (
    OURS,
    STUDY,
    check_by_hand,
    check_refusal,
    content,
    contract,
    costs,
    hidden,
    rows,
    step,
    steps,
    tables,
)

from riskadj.errors import ColumnError, RiskadjError, StudyError, UnknownNameError, ValuesError
from riskadj.payment import hrrp_payment_factor
from riskadj.payment.contract import Contract, load_contract
from riskadj.payment.settle import recheck, settle
from riskadj.payment.statement import statement_text
from riskadj.payment.status import MEANINGS, NO_BASE, NOT_COUNTED, NOT_SETTLED

CONTRACTS = Path(__file__).parents[2] / "configs" / "contracts"
ONE = {"names": ("A",), "n": (100,), "observed": (19_000,), "expected": (20_000,)}
CHEAP = costs(**ONE)
DEAR = costs(**ONE | {"observed": (21_000,)})
BETTER = rows("odi", names=("A",), n=(100,), observed=(20.0,), expected=(18.0,))
PLUS, MINUS = 10_000_000, -10_000_000
"""Gain and loss of 100 episodes that cost 1,000 less or more than 20,000, in cents."""
TARGET = 200_000_000


def total(cost=CHEAP, odi=BETTER, rates=None, given=None, **changes):
    """Return the total of the only provider, in cents, after checking every formula."""
    found = settle(contract(**changes), pd.concat([odi, cost]), rates, given, study=STUDY)
    assert check_by_hand(found)
    return int(found.totals["total_minor"].iloc[0])


def composite(**changes):
    measure = {"name": "odi", "weight": 1, "outcome": "odi",
               "scale": {"kind": "linear", "zero": 15, "full": 25}} | changes  # fmt: skip
    return step("composite", no_score="none", positive=0.1, negative=0.15, measures=[measure])


def paid_for_outcome(**changes):
    wide = {"floor": -1, "cap": 1}
    made = {
        "outcome": "odi",
        "amount": 100,
        "reliability": False,
        "within": wide,
        "paid_for": "settled",
        "no_result": "nothing",
    } | changes
    return [step("outcome_payment", **made)]


SHARED = step("risk_share", gain={"provider": 0.6, "payer": 0.4}, loss={"provider": 0.3,
                                                                        "payer": 0.7})  # fmt: skip
BY_HAND = {
    "a gain": (CHEAP, {}, PLUS),
    "a loss": (DEAR, {}, MINUS),
    "a shared gain": (CHEAP, {"steps": steps(SHARED)}, PLUS * 6 // 10),
    "a shared loss": (DEAR, {"steps": steps(SHARED)}, MINUS * 3 // 10),
    "a stopped gain": (CHEAP, {"steps": steps(step("stop_gain", share=0.02))}, TARGET // 50),
    "a stopped loss": (DEAR, {"steps": steps(step("stop_loss", share=0.02))}, -TARGET // 50),
    "a gain that is not stopped": (CHEAP, {"steps": steps(step("stop_gain", share=0.2))}, PLUS),
    "a loss that stop-gain leaves alone": (
        DEAR, {"steps": steps(step("stop_gain", share=0.0))}, MINUS,
    ),
    "a stop-loss of none": (DEAR, {"steps": steps(step("stop_loss", share=0.0))}, 0),
    "a safety net": (
        DEAR,
        {"steps": steps(step("stop_loss", share=0.2, safety_net=0.0)),
         "providers": [{"id": "A", "safety_net": True}]},
        0,
    ),
    "a discount": (CHEAP, {"target__discount": {"share": 0.02} | OURS}, PLUS - TARGET // 50),
    "a price for everybody": (
        CHEAP, {"target__baseline": {"kind": "price", "amount": 19_500} | OURS}, PLUS // 2,
    ),
    "a price of its own": (
        CHEAP,
        {"target__baseline": {"kind": "historical"} | OURS,
         "providers": [{"id": "A", "baseline_price": 19_100}]},
        1_000_000,
    ),
    "all of what was withheld": (
        CHEAP, {"steps": steps(step("withhold", share=0.1, returned=[{"share": 1}]))}, PLUS,
    ),
    "a gain after quality": (CHEAP, {"steps": steps(composite())}, PLUS - PLUS * 5 // 100),
    "a loss after quality": (DEAR, {"steps": steps(composite())}, MINUS * 925 // 1000),
    "a payment on outcome": (CHEAP, {"steps": paid_for_outcome()}, 100 * 100 * 2 * 100),
    "one weighted by reliability": (
        CHEAP, {"steps": paid_for_outcome(reliability=True)}, 100 * 100 * 160,
    ),
    "one beyond a corridor": (CHEAP, {"steps": paid_for_outcome(corridor=0.5)}, 100 * 100 * 150),
    "one within a corridor": (CHEAP, {"steps": paid_for_outcome(corridor=3)}, 0),
    "one held to its cap": (
        CHEAP, {"steps": paid_for_outcome(within={"floor": 0, "cap": 0.005})}, TARGET // 200,
    ),
    "an uplift by volume": (
        CHEAP,
        {"steps": [step("uplift", amount=550)], "count": "volume",
         "providers": [{"id": "A", "volume": 107}]},
        107 * 55_000,
    ),
    "an uplift on eligible episodes": (
        CHEAP, {"steps": [step("uplift", amount=550)], "count": "episodes"}, 105 * 55_000,
    ),
    "half a cent to the even one": (
        CHEAP, {"steps": [step("uplift", amount=0.00005)]}, 0,
    ),
    "half a cent up": (
        CHEAP,
        {"steps": [step("uplift", amount=0.00005)], "rounding": {"method": "half_up"}},
        1,
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", BY_HAND)
def test_the_total_by_hand_of(what):
    cost, changes, wanted = BY_HAND[what]
    if what == "half a cent up":  # the evaluator by hand rounds to even
        found = settle(contract(**changes), pd.concat([BETTER, cost]), study=STUDY)
        assert found.pool == wanted
    else:
        assert total(cost, **changes) == wanted


def test_a_loss_on_outcome_is_the_mirror_of_a_gain():
    worse = rows("odi", names=("A",), n=(100,), observed=(16.0,), expected=(18.0,))
    changes = {"steps": paid_for_outcome(corridor=0.5, within={"floor": -0.005, "cap": 0.005})}
    assert total(odi=worse, **changes) == -total(**changes)


def test_of_an_outcome_of_which_less_is_better_less_is_paid():
    study = {"outcomes": [{"name": "odi", "instrument": "ODI", "kind": "final_score"},
                          STUDY["outcomes"][1]]}  # fmt: skip
    made = contract(steps=paid_for_outcome())
    found = settle(made, pd.concat([BETTER, CHEAP]), study=study)
    assert found.pool == -100 * 100 * 200


@pytest.mark.parametrize(
    ("realised", "price"),
    [(None, 25_000), (1.25, 25_000), (1.5, 25_750), (1.0, 24_250), (1.26, 25_200)],
)
def test_a_trend_is_held_within_its_band(realised, price):
    """20,000 trended to 25,000 is a factor of 1.25, realised trends within 3 %."""
    trend = {"prospective": 1.25, "realised": realised, "within": {"floor": 0.97, "cap": 1.03}}
    made = contract(
        target={"baseline": {"kind": "price", "amount": 20_000} | OURS, "trend": trend | OURS}
    )
    found = settle(made, pd.concat([BETTER, CHEAP]), study=STUDY)
    assert check_by_hand(found)
    assert found.totals["target_price"].iloc[0] == f"{price}.00"


CASE_MIX = {"baseline": {"kind": "price", "amount": 10_000} | OURS, "case_mix": "ratio"}
TWO = costs(names=("A", "B"), n=(10, 30), observed=(1.0, 1.0), expected=(30_000.0, 10_000.0))
REFERENCE = pd.DataFrame(
    {"outcome": ["odi", "cost", "cost"], "learner": ["linear", "mean", "linear"],
     "gain": [7.0, 9_000.0, 12_500.0]}
)  # fmt: skip


def case_mixed(**normalisation):
    target = dict(CASE_MIX)
    if normalisation:
        target["normalisation"] = OURS | normalisation
    odi = rows("odi", names=("A", "B"), n=(10, 30), observed=1.0, expected=1.0)
    found = settle(contract(target=target), pd.concat([odi, TWO]), reference=REFERENCE, study=STUDY)
    assert check_by_hand(found)
    return found.totals["target_price"].tolist()


def test_case_mix_is_the_providers_expectation_over_the_reference_populations_mean():
    assert case_mixed() == ["24000.00", "8000.00"]


def test_normalisation_takes_out_what_case_mix_adds_for_everybody():
    """40 x 10,000 over 10 x 24,000 + 30 x 8,000 is 400,000 / 480,000, printed as 0.833333."""
    assert case_mixed(prospective=1.0) == ["19999.99", "6666.66"]


def test_normalisation_is_of_each_providers_own_price_where_it_has_one():
    """10 x 8,000 + 30 x 12,000 is 440,000; with case mix 10 x 19,200 + 30 x 9,600 is 480,000."""
    target = {"baseline": {"kind": "historical"} | OURS, "case_mix": "ratio",
              "normalisation": OURS | {"prospective": 1.0}}  # fmt: skip
    named = [{"id": "A", "baseline_price": 8_000}, {"id": "B", "baseline_price": 12_000}]
    odi = rows("odi", names=("A", "B"), n=(10, 30), observed=1.0, expected=1.0)
    found = settle(contract(target=target, providers=named), pd.concat([odi, TWO]),
                   reference=REFERENCE, study=STUDY)  # fmt: skip
    assert check_by_hand(found)
    shown = found.lines[found.lines["label"].str.startswith("Normalisation")]
    assert set(shown["formula"]) == {"440000 / 480000"}
    assert found.totals["target_price"].tolist() == ["17600.01", "8800.00"]  # by 0.916667


def test_normalisation_is_held_within_its_band():
    assert case_mixed(within={"floor": 0.95, "cap": 1.05}) == ["22800.00", "7600.00"]


def test_without_a_reference_table_the_mean_is_that_of_the_providers_shown():
    target = {"baseline": {"kind": "price", "amount": 10_000} | OURS, "case_mix": "ratio"}
    found = settle(contract(target=target), pd.concat([BETTER, CHEAP]), study=STUDY)
    assert found.totals["target_price"].tolist() == ["10000.00"]


def test_the_mean_of_the_providers_shown_is_that_of_their_episodes():
    """(10 x 30,000 + 30 x 10,000) / 40 is 15,000; the mean of the two, or the sum, is another."""
    odi = rows("odi", names=("A", "B", "C"), n=(10, 30, 9), observed=1.0, expected=1.0)
    three = costs(names=("A", "B", "C"), n=(10, 30, 9), observed=(1.0,) * 3,
                  expected=(30_000.0, 10_000.0, None))  # fmt: skip
    named = [{"id": "A"}, {"id": "B"}]
    found = settle(contract(target=CASE_MIX, providers=named), pd.concat([odi, three]), study=STUDY)
    assert check_by_hand(found)
    assert found.totals["target_price"].tolist() == ["20000.00", "6666.67"]


def test_a_hidden_case_mix_is_that_of_the_reference_population_and_normalises_nothing():
    target = CASE_MIX | {"normalisation": OURS | {"prospective": 1.0}}
    table = pd.concat([rows("odi", names=("A", "B"), n=(10, 30), observed=1.0, expected=1.0),
                       TWO], ignore_index=True)  # fmt: skip
    table.loc[(table["provider_id"] == "B") & (table["outcome"] == "cost"),
              ["expected", "adjusted"]] = None  # fmt: skip
    found = settle(contract(target=target, too_few="at_target"), table, reference=REFERENCE,
                   study=STUDY)  # fmt: skip
    assert check_by_hand(found)
    # A alone: 10 x 10,000 / (10 x 24,000) takes all of its case mix out, printed to six digits
    assert found.totals["target_price"].tolist() == ["10000.01", "4166.67"]


# --- gates ----------------------------------------------------------------------------------------

CRITERION = OURS | {"kind": "not_negative_outlier", "label": "ODI", "outcome": "odi",
                    "beyond": "outer", "not_known": "fails"}  # fmt: skip
PART = OURS | {"kind": "rate", "label": "participation", "rate": "participation", "at_least": 0.5,
               "not_known": "fails"}  # fmt: skip
NJR = OURS | {"kind": "table", "label": "consent", "column": "consent", "below": 0.15,
              "not_known": "passes"}  # fmt: skip
RATES = pd.DataFrame(
    {
        "outcome": "odi", "source": ["episodes"] * 4 + ["participation file"] * 4,
        "provider_id": ["A", "B", "C", "D"] * 2,
        "participation": [None] * 4 + [0.5, 0.499, None, 0.9],
        "procedures": [None] * 4 + [120, 90, None, 50],
    }
)  # fmt: skip


def gated(*criteria, odi=None, **rest):
    made = contract(
        steps=[step("gate", name="g", criteria=list(criteria)),
               step("uplift", amount=550, needs="g")],
        target=None, cost=None, too_few="at_target", **rest,
    )  # fmt: skip
    return made, rows("odi") if odi is None else odi


def passes(made, odi, *tables_, **named):
    found = settle(made, odi, *tables_, study=STUDY, **named)
    assert check_by_hand(found)
    return (found.totals["total_minor"] > 0).tolist()


@pytest.mark.parametrize(
    ("beyond", "adjusted", "passed"),
    [
        ("outer", (18.0, 17.0, 16.5, 16.4), [True, True, True, False]),
        ("inner", (18.0, 17.0, 16.9, 19.6), [True, True, False, True]),
    ],
)
def test_a_gate_is_closed_to_negative_outliers_beyond_its_limits(beyond, adjusted, passed):
    odi = rows("odi", observed=adjusted, expected=(18.0,) * 4)
    assert passes(*gated(CRITERION | {"beyond": beyond}, odi=odi)) == passed


@pytest.mark.parametrize("study", [STUDY, None])
def test_a_gate_may_ask_of_the_cost_of_which_less_is_better(study):
    """C costs 2,000 above the 20,000 that limits of 5 and 7.9 % are about; D as much below."""
    gate = step("gate", name="g", criteria=[CRITERION | {"outcome": "cost", "label": "cost"}])
    made = contract(outcomes=["odi", "cost"], steps=[step("reconcile"), gate])
    dear = costs(observed=(20_000.0, 21_500.0, 21_500.0, 18_000.0), expected=(20_000.0,) * 4)
    dear["adjusted"] = [20_000.0, 21_576.0, 22_000.0, 18_000.0]
    found = settle(made, pd.concat([rows("odi"), dear]), study=study)
    assert check_by_hand(found)
    assert found.totals["gates"].tolist() == ["g passed", "g passed", "g not passed", "g passed"]
    assert list(found.totals)[-2:] == ["with_odi", "with_cost"], "each once"
    assert "with cost" in statement_text(found, "A")


@pytest.mark.parametrize(
    ("levels", "beyond", "passed"),
    [
        ((17.0,), "inner", [True, True, False, False]),
        ((17.0,), "outer", [True, True, False, False]),
        ((17.0, 16.5), "outer", [True, True, True, False]),
        ((16.0, 17.0, 16.5), "inner", [True, True, False, False]),
        ((16.0, 17.0, 16.5), "outer", [True, True, True, False]),
    ],
)
def test_of_one_pair_of_limits_both_are_its_own_and_of_more_the_second_is_the_outer(
    levels, beyond, passed
):
    """Whichever order they come in: the innermost is nearest to what is better."""
    odi = rows("odi", observed=(18.0, 17.0, 16.6, 16.4), expected=(18.0,) * 4)
    odi = odi.drop(columns=[one for one in odi if one.startswith(("lower", "upper"))])
    odi = odi.assign(**{f"lower{at + 90}": one for at, one in enumerate(levels)})
    assert passes(*gated(CRITERION | {"beyond": beyond}, odi=odi)) == passed


def test_a_gate_can_ask_another_analysis_of_the_run():
    made, odi = gated(CRITERION | {"method": "nhs_england", "limits": "additive"})
    odi = odi.assign(adjusted=[16.0, 18.0, 18.0, 18.0], z=[-4.0, 0, 0, 0])
    wide = odi.assign(method="nhs_england", limits="additive", lower95=14.0, lower998=12.0)
    assert passes(made, odi, analyses=wide) == [True] * 4
    narrow, _ = gated(CRITERION)
    assert passes(narrow, odi) == [False, True, True, True]


@pytest.mark.parametrize(("rule", "passed"), [("fails", False), ("passes", True)])
def test_a_rate_that_is_not_known_goes_by_the_contracts_rule_and_is_shown(rule, passed):
    made, odi = gated(PART | {"not_known": rule})
    assert passes(made, odi, RATES) == [True, False, passed, True]
    told = settle(made, odi, RATES, study=STUDY)
    assert f"not known ({rule} by the contract), 1 of 4 providers" in told.told[0]


def test_a_column_of_the_provider_table_is_a_criterion():
    given = pd.DataFrame({"provider_id": ["A", "B", "C"], "consent": ["0.15", "0.1", ""]})
    assert passes(*gated(NJR), None, given) == [False, True, True, True]


@pytest.mark.parametrize(
    ("bound", "value", "met"),
    [("at_least", 0.49999996, False), ("at_least", 0.5, True), ("below", 0.49999996, True),
     ("below", 0.5, False), ("at_most", 0.50000004, False)],
)  # fmt: skip
def test_a_gate_compares_what_was_measured_and_not_what_is_printed(bound, value, met):
    other = {one: key for one, key in NJR.items() if one != "below"}
    made, odi = gated(other | {bound: 0.5})
    given = pd.DataFrame({"provider_id": list("ABCD"), "consent": value})
    assert passes(made, odi, None, given) == [met] * 4
    found = settle(made, odi, None, given, study=STUDY)
    assert check_by_hand(found)


def test_who_has_no_row_in_the_provider_table_is_told_by_name():
    made, odi = gated(NJR)
    given = pd.DataFrame({"provider_id": ["A", " C "], "consent": [0.1, 0.5]})
    found = settle(made, odi, None, given, study=STUDY)
    assert found.totals["total_minor"].tolist()[2] == 0, "spaces around a name do not hide it"
    assert "no row in the provider table of contract small: 2 of 4 providers (B, D)" in found.told


def test_who_has_no_row_is_told_where_there_is_no_gate_too():
    measure = {"name": "hips", "ratio_column": "err", "n_column": "n", "median": 1, "weight": 0.1}
    made = contract(steps=[step("penalty", measures=[measure], base_column="base",
                                reduction={"floor": 0, "cap": 0.03})])  # fmt: skip
    given = pd.DataFrame({"provider_id": list("ABC"), "err": 1.1, "n": 50, "base": 1000})
    assert "1 of 4 providers (D)" in settle(made, tables(), None, given, study=STUDY).told[0]


@pytest.mark.parametrize(("lacking", "shown"), [(10, 10), (12, 10)])
def test_of_many_without_a_row_the_first_ten_are_named(lacking, shown):
    names = [f"H{at:02d}" for at in range(13)]
    odi = rows("odi", names=names, n=50, observed=18.0, expected=18.0)
    made, _ = gated(NJR)
    given = pd.DataFrame({"provider_id": names[lacking:], "consent": 0.1})
    told = settle(made, odi, None, given, study=STUDY).told[0]
    assert f"{lacking} of 13 providers ({', '.join(names[:shown])}" in told
    assert told.endswith(", ...)" if lacking > shown else f"{names[shown - 1]})")


def test_without_a_provider_table_a_gate_goes_by_its_rule():
    assert passes(*gated(NJR)) == [True] * 4


@pytest.mark.parametrize(
    ("rule", "cost", "want"),
    [("nothing", CHEAP, 0), ("nothing", DEAR, 0), ("losses", CHEAP, 0), ("losses", DEAR, MINUS)],
)
def test_without_the_gate_a_step_gives_nothing_but_may_still_take(rule, cost, want):
    """Nobody is to be better off for failing a gate, where the contract says so."""
    closed = step("gate", name="g", criteria=[PART | {"not_known": "fails"}])
    made = [closed, step("reconcile", needs="g", not_passed=rule)]
    assert total(cost, steps=made) == want


def test_what_was_withheld_comes_back_as_gates_are_passed():
    gate = step("gate", name="g", criteria=[CRITERION])
    held = step("withhold", share=0.1, returned=[{"share": 0.25}, {"share": 0.75, "when": "g"}])
    bad = BETTER.assign(adjusted=10.0, z=-5.0)
    assert total(steps=[step("reconcile"), gate, held]) == PLUS
    assert total(odi=bad, steps=[step("reconcile"), gate, held]) == PLUS - TARGET * 75 // 1000


def test_what_waits_for_a_gate_that_was_not_reached_stays_withheld():
    shut = step("gate", name="g", criteria=[PART | {"not_known": "fails"}])
    behind = step("gate", name="h", needs="g", criteria=[CRITERION])
    held = step("withhold", share=0.1, returned=[{"share": 1.0, "when": "h"}])
    assert total(steps=[step("reconcile"), shut, behind, held]) == PLUS - TARGET // 10


def test_procedures_are_counted_where_the_contract_says_so():
    made, odi = gated(PART, count="procedures")
    found = settle(made, odi, RATES, study=STUDY)
    assert found.totals["total_minor"].tolist() == [120 * 55_000, 0, 0, 50 * 55_000]
    assert found.totals["status"].tolist()[2] == "not settled, episodes not known"


# --- too few --------------------------------------------------------------------------------------


def hidden_tables():
    return hidden(tables(), "B")


def test_a_hidden_provider_is_not_settled_and_nothing_of_it_is_shown():
    found = settle(contract(), hidden_tables(), study=STUDY)
    mine = found.lines[found.lines["provider_id"] == "B"]
    assert mine["kind"].tolist() == ["note"]
    assert mine["formula"].tolist() == [""]
    assert found.totals.set_index("provider_id").loc["B", "status"] == NOT_COUNTED
    assert found.told[0].startswith("not settled, episodes not known: 1 of 4 providers")


def test_a_provider_under_the_minimum_is_settled_at_target_where_the_contract_says_so():
    table = tables()
    few = table["provider_id"] == "B"
    table.loc[few, ["adjusted", "z"]] = None
    found = settle(contract(too_few="at_target"), table, study=STUDY)
    row = found.totals.set_index("provider_id").loc["B"]
    assert (row["status"], row["total_minor"], row["actual"]) == (
        "cost at target, outcome hidden", 0, row["target"],
    )  # fmt: skip
    assert settle(contract(), table, study=STUDY).totals["status"].tolist()[1] == NOT_SETTLED


def test_at_target_nothing_is_paid_on_an_outcome_that_is_hidden():
    table = tables()
    table.loc[(table["provider_id"] == "B") & (table["outcome"] == "odi"), "adjusted"] = None
    found = settle(contract(too_few="at_target", steps=paid_for_outcome()), table, study=STUDY)
    assert found.totals.set_index("provider_id").loc["B", "total_minor"] == 0


def of_b(table, **changes):
    found = settle(contract(too_few="at_target", **changes), table, study=STUDY)
    assert check_by_hand(found)
    return found.totals.set_index("provider_id").loc["B"]


PART_HIDDEN = {
    "outcome": (("odi",), "settled, outcome hidden"),
    "cost": (("cost",), "cost at target"),
    "both": (("odi", "cost"), "cost at target, outcome hidden"),
    "neither": ((), "settled"),
}


@pytest.mark.parametrize("what", PART_HIDDEN)
def test_a_status_says_what_is_hidden(what):
    outcomes, status = PART_HIDDEN[what]
    table = tables()
    lost = (table["provider_id"] == "B") & table["outcome"].isin(outcomes)
    table.loc[lost, ["adjusted", "z"]] = None
    assert of_b(table)["status"] == status
    told = settle(contract(too_few="at_target"), table, study=STUDY).told
    assert len(told) == lost.any()
    assert all(one.startswith(f"{status}: 1 of 4 providers") for one in told)


def test_every_status_has_a_meaning_of_its_own_name():
    assert len(MEANINGS) == 12
    assert all(one.startswith(("settled", "cost at target", "not settled")) for one in MEANINGS)


def test_without_a_cost_a_status_says_that_the_outcome_is_hidden():
    made, odi = gated(PART, count="procedures")
    found = settle(made, hidden(odi, "B"), RATES, study=STUDY)
    assert found.totals["status"].tolist()[1] == "settled, outcome hidden"


@pytest.mark.parametrize(
    ("rule", "points"), [("full_cut", "0"), ("median", "50"), ("none", None)]
)  # fmt: skip
def test_who_has_no_score_counts_what_the_contract_says(rule, points):
    measures = composite(scale={"kind": "percentile"})["measures"]
    some = step("composite", no_score=rule, positive=0.5, negative=0.5, measures=measures)
    cheap = costs(observed=(19_000.0,) * 4, expected=(20_000.0,) * 4)
    table = pd.concat([hidden(rows("odi"), "B"), cheap], ignore_index=True)
    share = 0 if points is None else 0.5 * (1 - int(points) / 100)
    assert of_b(table, steps=steps(some))["total_minor"] == 80 * 100_000 * (1 - share)


@pytest.mark.parametrize(("rule", "share"), [("nothing", 0), ("floor", -0.03)])
def test_who_has_no_result_is_paid_what_the_contract_says(rule, share):
    some = paid_for_outcome(no_result=rule, within={"floor": -0.03, "cap": 0.05})
    table = pd.concat([hidden(rows("odi"), "B"), costs()], ignore_index=True)
    target = 80 * 21_000 * 100
    assert of_b(table, steps=some)["total_minor"] == round(share * target)


@pytest.mark.parametrize(("rule", "n"), [("answered", 20), ("settled", 100)])
def test_it_is_said_and_shown_which_episodes_an_outcome_is_paid_for(rule, n):
    some = paid_for_outcome(paid_for=rule)
    few = BETTER.assign(n=20.0)
    assert total(odi=few, steps=some) == n * 100 * 2 * 100
    found = settle(contract(steps=some), pd.concat([few, CHEAP]), study=STUDY)
    assert f"Episodes: answered 20, settled 100; paid for those {rule}" in set(found.lines["label"])


SPLIT = {"unanswered": "floor", "few": "nothing"}


def followed(share, name="B"):
    """Return rates of follow-up of one provider, the others answering all."""
    return pd.DataFrame(
        {"outcome": "odi", "source": "episodes", "provider_id": list("ABCD"),
         "response": [share if one == name else 1.0 for one in "ABCD"]}
    )  # fmt: skip


def under_minimum(**shown):
    """Return outcome and cost of B on few answers: shown, but not adjusted."""
    odi = rows("odi").assign(predicted=lambda one: one["expected"])
    few = odi["provider_id"] == "B"
    odi.loc[few, ["adjusted", "z", "reliability"]] = None
    odi.loc[few, list(shown)] = list(shown.values())
    return pd.concat([odi, costs()], ignore_index=True)


def split_settled(table, rates, reliability=True, **changes):
    some = paid_for_outcome(
        no_result=SPLIT, reliability=reliability, paid_for="answered",
        within={"floor": -0.03, "cap": 0.05},
    )  # fmt: skip
    made = contract(too_few="at_target", steps=some, follow_up_asked=0.5, **changes)
    found = settle(made, table, rates, study=STUDY)
    assert check_by_hand(found)
    return found.totals.set_index("provider_id").loc["B"]


FLOOR = round(-0.03 * 80 * 21_000 * 100)
SMALL, UNANSWERED = "settled, outcome on few episodes", "settled, outcome not answered"


@pytest.mark.parametrize(
    ("share", "due", "status"), [(0.49, FLOOR, UNANSWERED), (0.5, 0, SMALL), (1.0, 0, SMALL)]
)
def test_who_answered_and_is_small_pays_no_floor_and_who_did_not_does(share, due, status):
    row = split_settled(under_minimum(n=20.0, predicted=None), followed(share))
    assert (row["total_minor"], row["status"]) == (due, status)


@pytest.mark.parametrize("reliability", [True, False])
@pytest.mark.parametrize("predicted", [17.5, 19.0])
def test_few_results_that_are_shown_are_paid_on_what_shrinkage_leaves_of_them(
    predicted, reliability
):
    """20 answers x 100 per point x (predicted - expected of 18.5)."""
    row = split_settled(under_minimum(n=20.0, predicted=predicted), followed(0.6), reliability)
    assert row["total_minor"] == (20 * 100 * (predicted - 18.5) * 100 if reliability else 0)
    unanswered = split_settled(under_minimum(n=20.0, predicted=predicted), followed(0.4))
    assert unanswered["total_minor"] == FLOOR


@pytest.mark.parametrize(("n", "due"), [(11, 0), (12, FLOOR * 12 // 80), (80, FLOOR)])
def test_of_those_whose_follow_up_is_hidden_only_the_smallest_can_have_followed_up(n, due):
    """Fewer than 6 answers are hidden: half of 11 operations can be so few, half of 12 cannot."""
    cost = costs(n=(100, n, 60, 40))
    row = split_settled(pd.concat([hidden(rows("odi"), "B"), cost]), None)
    assert row["total_minor"] == due


@pytest.mark.parametrize(("n", "due"), [(21, 0), (22, FLOOR * 22 // 80)])
def test_how_few_answers_are_hidden_is_what_the_study_says(n, due):
    """Half of 21 operations can be fewer than 11 answers, half of 22 cannot."""
    some = paid_for_outcome(no_result=SPLIT, paid_for="answered",
                            within={"floor": -0.03, "cap": 0.05})  # fmt: skip
    made = contract(too_few="at_target", steps=some, follow_up_asked=0.5)
    table = pd.concat([hidden(rows("odi"), "B"), costs(n=(100, n, 60, 40))])
    found = settle(made, table, study=STUDY | {"profile": {"suppress_below": 11}})
    assert found.totals.set_index("provider_id").loc["B", "total_minor"] == due


@pytest.mark.parametrize("stage", ["participation", "linkage", "issue"])
def test_follow_up_is_not_met_by_asking_fewer(stage):
    rates = followed(1.0).assign(**{stage: [1.0, 0.4, 1.0, 1.0]})
    assert split_settled(under_minimum(n=20.0), rates)["total_minor"] == FLOOR


@settings(max_examples=25, deadline=None)
@given(st.floats(0, 50), st.integers(1, 100))
def test_not_answering_never_pays_more_than_any_result(observed, answers):
    shown = rows("odi", observed=(20.0, observed, 16.0, 21.0), n=(100, answers, 60, 40))
    least = split_settled(hidden_and_costs(), None)["total_minor"]
    assert least <= split_settled(pd.concat([shown, costs()]), followed(0.9))["total_minor"]
    few = under_minimum(n=float(answers), predicted=observed)
    assert least <= split_settled(few, followed(0.9))["total_minor"]


@pytest.mark.parametrize(
    "path", [one for one in sorted(CONTRACTS.glob("*.yaml"))
             if load_contract(one).follow_up_asked], ids=lambda one: one.stem
)  # fmt: skip
def test_in_a_ready_contract_not_answering_pays_no_more_than_the_worst_result(path):
    made = load_contract(path)
    names = made.outcomes

    def paid(response, **changes):
        parts = [rows(one, learner=made.learner, better=-1 if one in OF_HARM else 1)
                 for one in names]  # fmt: skip
        told = pd.concat(parts, ignore_index=True).assign(predicted=lambda one: one["expected"])
        told.loc[told["provider_id"] == "B", list(changes)] = list(changes.values())
        rates = pd.concat([followed(response).assign(outcome=one) for one in names])
        cost = [costs(learner=made.learner)] if made.cost else []
        found = settle(made, pd.concat([told, *cost]), rates)
        return found.totals.set_index("provider_id").loc["B", "total_minor"]

    worst = {"difference": -1e3, "adjusted": -1e3, "z": -50.0}
    assert paid(0.1, n=20.0, adjusted=None, z=None) <= paid(0.9, **worst)
    assert paid(0.1, n=20.0, adjusted=None, z=None) < paid(0.9, n=20.0, adjusted=None, z=None)


def hidden_and_costs():
    return pd.concat([hidden(rows("odi"), "B"), costs()], ignore_index=True)


@pytest.mark.parametrize(("share", "points"), [(0.4, 0), (0.6, 50)])
def test_a_composite_tells_who_did_not_answer_from_who_is_small(share, points):
    measures = composite(scale={"kind": "percentile"})["measures"]
    some = step("composite", no_score={"unanswered": "full_cut", "few": "median"}, positive=0.5,
                negative=0.5, measures=measures)  # fmt: skip
    cheap = costs(observed=(19_000.0,) * 4, expected=(20_000.0,) * 4)
    table = pd.concat([hidden(rows("odi"), "B"), cheap], ignore_index=True)
    made = contract(too_few="at_target", steps=steps(some), follow_up_asked=0.5)
    found = settle(made, table, followed(share), study=STUDY)
    row = found.totals.set_index("provider_id").loc["B"]
    assert row["total_minor"] == 80 * 100_000 * (1 - 0.5 * (1 - points / 100))


@pytest.mark.parametrize(("unanswered", "score"), [("full_cut", "0"), ("median", "20")])
def test_a_column_without_a_value_counts_as_unanswered_however_many_answered(unanswered, score):
    ends = {"kind": "linear", "zero": 0, "full": 100}
    some = step("composite", no_score={"unanswered": unanswered, "few": "none"}, positive=1,
                negative=1, measures=[{"name": "x", "weight": 1, "column": "x", "scale": ends}],
                )  # fmt: skip
    given = pd.DataFrame({"provider_id": list("ABCD"), "x": [10, None, 60, 20]})
    made = contract(steps=steps(some), follow_up_asked=0.5)
    found = settle(made, tables(), followed(1.0), given, study=STUDY)
    assert check_by_hand(found)
    assert scores_of(found) == ["10", score, "60", "20"]


@pytest.mark.parametrize(("share", "passed"), [(0.4, False), (0.6, True)])
def test_a_gate_tells_who_did_not_answer_from_who_is_small(share, passed):
    split = {"unanswered": "fails", "few": "passes"}
    made, odi = gated(CRITERION | {"not_known": split}, follow_up_asked=0.5)
    small = odi.assign(adjusted=odi["adjusted"].where(odi["provider_id"] != "B"))
    assert passes(made, small, followed(share)) == [True, passed, True, True]
    told = settle(made, small, followed(share), study=STUDY).told[0]
    assert ("fewer followed up" in told) != passed


@pytest.mark.parametrize("known", [True, False])
def test_without_a_study_more_of_an_outcome_is_better_and_counts_once(known):
    """100 episodes x 100 x 2 points above expectation."""
    study = STUDY if known else None
    found = settle(contract(steps=paid_for_outcome()), pd.concat([BETTER, CHEAP]), study=study)
    assert found.pool == 100 * 100 * 2 * 100


def test_without_a_cost_the_episodes_are_those_of_the_first_outcome():
    first, second = rows("hip"), rows("knee", n=(10, 20, 30, 41))
    uplifts = [step("uplift", amount=1)]
    for names, counted in ((["hip", "knee"], [100, 80, 60, 40]), (["knee", "hip"],
                                                                  [10, 20, 30, 41])):  # fmt: skip
        some = contract(outcomes=names, cost=None, target=None, steps=uplifts)
        found = settle(some, pd.concat([first, second]))
        assert found.totals["episodes"].tolist() == counted
        assert found.totals["total_minor"].tolist() == [100 * one for one in counted]


def test_rates_of_a_participation_file_come_before_those_of_the_episodes():
    """Whichever stands first; where the file has none, the episodes' own stand."""
    own = pd.DataFrame({"outcome": "odi", "source": "episodes", "provider_id": list("ABCD"),
                        "participation": [0.9, 0.1, 0.9, 0.1]})  # fmt: skip
    file = own.assign(source="participation file", participation=[0.1, 0.9, None, None])
    other = file.assign(outcome="another", participation=[0.9, 0.1, 0.1, 0.9])
    made, odi = gated(PART)
    for order in ([own, file, other], [other, file, own]):
        assert passes(made, odi, pd.concat(order)) == [False, True, True, False]


# --- volumes that a contract states ---------------------------------------------------------------


def by_volume(n):
    named = [{"id": "A", "volume": n}]
    return contract(count="volume", providers=named)


@pytest.mark.parametrize("n", [0, 4, 99])
def test_a_volume_below_the_records_of_the_run_is_refused_by_name(n):
    with pytest.raises(ValuesError, match=rf"providers: A: wanted a volume of 100 .* got {n}\."):
        settle(by_volume(n), tables(), study=STUDY)


@pytest.mark.parametrize(("n", "label"), [(100, "of all episodes"), (
    400, ": the mean of 100 episodes, applied to 400")])  # fmt: skip
def test_a_mean_cost_that_stands_for_more_episodes_is_told(n, label):
    found = settle(by_volume(n), tables(), study=STUDY)
    assert check_by_hand(found)
    sums = found.lines.query("kind == 'sum'")["label"].tolist()
    assert sum(one.startswith("Actual cost") and one.endswith(label) for one in sums) == 1
    named = [one for one in found.told if "A: 100, applied to 400" in one]
    assert len(named) == (n > 100)


# --- penalties and composites ---------------------------------------------------------------------

MOCK = {
    "provider_id": ["A", "B"],
    "err_hk": [0.88194557229393, 1.2], "n_hk": [45, 24], "median_hk": [0.99629211465373] * 2,
    "drg_ratio_hk": [0.10399770649871] * 2,
    "err_pn": [1.00678435268232, 2.5], "n_pn": [32, 400], "median_pn": [0.99115160184587] * 2,
    "drg_ratio_pn": [0.04944402732139] * 2,
    "base_payments": [1_000_000, 1_000_000],
}  # fmt: skip


def test_the_ready_contract_gives_cms_published_factor_of_its_mock_report_of_2025():
    """Factor 0.9993; B is capped at 3 %, its 24 hips and knees are below the minimum."""
    made = load_contract(CONTRACTS / "us_hrrp.yaml")
    given = pd.DataFrame(MOCK)
    odi = rows("hoos_jr_scb", names=("A", "B"), n=(45, 40), observed=(0.6, 0.6),
               expected=(0.6, 0.6))  # fmt: skip
    found = settle(made, odi, None, given)
    assert check_by_hand(found)
    assert found.lines.query("kind == 'factor'")["value"].tolist() == ["0.9993", "0.97"]
    assert found.totals["total"].tolist() == ["-700.00", "-30000.00"]


def hrrp(given, odi=None, **changes):
    table = rows("hoos_jr_scb", names=("A", "B"), n=(45, 40), observed=(0.6, 0.6),
                 expected=(0.6, 0.6)) if odi is None else odi  # fmt: skip
    return settle(load_contract(CONTRACTS / "us_hrrp.yaml"), table, None, given)


def test_who_answered_a_questionnaire_has_no_part_in_a_readmission_penalty():
    given = pd.DataFrame(MOCK)
    odi = rows("hoos_jr_scb", names=("A", "B"), n=(45, 40), observed=(0.6, 0.6),
               expected=(0.6, 0.6))  # fmt: skip
    everybody, some, none = (
        hrrp(given, one) for one in (odi, hidden(odi, "B"), hidden(hidden(odi, "A"), "B"))
    )
    for other in (some, none):
        pd.testing.assert_frame_equal(everybody.totals, other.totals)
        pd.testing.assert_frame_equal(everybody.lines, other.lines)
    assert everybody.totals["status"].tolist() == ["settled", "settled"]
    assert everybody.totals["episodes"].tolist() == [45 + 32, 24 + 400]


@pytest.mark.parametrize(
    ("given", "status"),
    [
        (pd.DataFrame(MOCK).iloc[:1], NO_BASE),
        (pd.DataFrame(MOCK).assign(base_payments=[1_000_000, None]), NO_BASE),
        (pd.DataFrame(MOCK).assign(n_hk=[45, None], n_pn=[32, None]), NOT_COUNTED),
    ],
)
def test_absence_from_the_provider_table_is_no_settlement(given, status):
    found = hrrp(given)
    assert found.totals["status"].tolist() == ["settled", status]
    assert found.totals["total"].tolist() == ["-700.00", "0.00"]
    assert any(one.startswith(f"{status}: 1 of 2 providers") for one in found.told)
    lines = found.lines[found.lines["provider_id"] == "B"]
    assert lines["kind"].tolist() == ["note"]
    assert lines["label"].str.startswith("Not settled").all()


def test_a_penalty_of_nothing_shows_the_numbers_it_rests_on():
    labels = hrrp(pd.DataFrame(MOCK)).lines["label"].tolist()
    assert (
        "THA/TKA: No penalty: not above the median of its peers. 0.881946 <= 0.996292; n 45"
        in labels
    )
    assert "THA/TKA: Left out: too few discharges. 1.2 > 0.996292; n 24" in labels


@pytest.mark.parametrize("ratio", [0.9, 1.0, 1.003, 1.2, 3.0])
def test_a_penalty_is_the_factor_that_the_program_computes(ratio):
    made = load_contract(CONTRACTS / "us_hrrp.yaml")
    given = pd.DataFrame(MOCK).iloc[:1].assign(err_hk=ratio, median_pn=None)
    odi = rows("hoos_jr_scb", names=("A",), n=(45,), observed=(0.6,), expected=(0.6,))
    wanted = hrrp_payment_factor(
        pd.DataFrame({"n": [45], "err": [ratio], "peer_median": MOCK["median_hk"][:1],
                      "drg_ratio": MOCK["drg_ratio_hk"][:1]}),
        0.96524016588985,
    )  # fmt: skip
    found = settle(made, odi, None, given)
    factor = found.lines.query("kind == 'factor'")["value"].iloc[0]
    assert float(factor) == pytest.approx(wanted, abs=1e-12)


def test_without_a_given_median_ratios_are_held_against_peers():
    measure = {"name": "cost", "outcome": "cost", "weight": 0.5}
    made = contract(
        outcomes=["odi", "cost"], cost=None, target=None,
        steps=[step("penalty", measures=[measure], reduction={"floor": 0, "cap": 0.5},
                    minimum=40, base_column="base")],
        providers=[{"id": one, "peer_group": group}
                   for one, group in zip("ABCD", ("x", "x", "y", "y"), strict=True)],
    )  # fmt: skip
    cost = costs(predicted_ratio=[1.0, 1.2, 1.1, 1.1])
    given = pd.DataFrame({"provider_id": list("ABCD"), "base": 1000})
    found = settle(made, pd.concat([rows("odi"), cost]), None, given, study=STUDY)
    assert check_by_hand(found)
    assert found.totals["total_minor"].tolist() == [0, -5000, 0, 0]


def penalised(given, **changes):
    measure = {"name": "hips", "ratio_column": "err", "n_column": "n", "median": 1, "weight": 0.1}
    made = contract(steps=[step("penalty", measures=[measure],
                                reduction={"floor": 0, "cap": 0.03})], **changes)  # fmt: skip
    table = pd.DataFrame({"provider_id": list("ABCD"), "n": 50} | given)
    return made, table


def test_without_base_payments_a_penalty_is_on_the_target():
    """0.1 x (1.1 - 1) of 100 x 20,000, and of the others nothing, half as much, and the most."""
    made, given = penalised({"err": [1.1, 1.0, 1.05, 1.9]})
    found = settle(made, tables(), None, given, study=STUDY)
    assert check_by_hand(found)
    assert found.totals["total"].tolist() == ["-20000.00", "0.00", "-5850.00", "-24300.60"]


def test_without_a_target_there_is_no_penalty_on_it():
    named = [{"id": one, "volume": 110} for one in "ABCD"]
    made, given = penalised({"err": 1.1}, count="volume", providers=named, too_few="at_target")
    found = settle(made, hidden(tables(), "B"), None, given, study=STUDY)
    mine = found.lines[found.lines["provider_id"] == "B"]["label"].tolist()
    assert mine[0] == "No target: expected cost hidden"
    assert mine[-1] == "No penalty: base payments not known"
    assert found.totals["total_minor"].tolist()[1] == 0


def test_ratios_that_print_alike_are_shown_in_full():
    made, given = penalised({"err": [0.99999991, 1.0, 0.9999994, 1.0000001]})
    labels = settle(made, tables(), None, given, study=STUDY).lines["label"]
    shown = labels[labels.str.startswith("hips: No penalty")].str.split(". ", regex=False).str[1]
    assert shown.tolist() == ["0.99999991 <= 1; n 50", "1 <= 1; n 50", "0.999999 <= 1; n 50"]


def test_a_median_is_of_peers_with_the_minimum_of_cases_or_more():
    """Of 1.2, 1.4 and 1.0 (25 cases) and not of 9 (24 cases) the median is 1.2."""
    measure = {"name": "x", "ratio_column": "err", "n_column": "n", "weight": 0.1}
    made = contract(steps=[step("penalty", measures=[measure], base_column="base",
                                reduction={"floor": 0, "cap": 1})])  # fmt: skip
    given = pd.DataFrame({"provider_id": list("ABCD"), "err": [1.2, 1.4, 1.0, 9.0],
                          "n": [25, 26, 25, 24], "base": 1000})  # fmt: skip
    found = settle(made, tables(), None, given, study=STUDY)
    assert check_by_hand(found)
    assert found.totals["total"].tolist() == ["0.00", "-20.00", "0.00", "0.00"]


def scores_of(found):
    """Return the composite score of each provider."""
    rows_ = found.lines[found.lines["label"].str.startswith("Composite quality score")]
    return rows_["value"].tolist()


@pytest.mark.parametrize(
    ("scale", "label", "formula"),
    [
        ({"kind": "percentile"}, "own result 20, rank 3 from the worst, of 4 with one",
         "100 * (3 - 0.5) / 4"),
        ({"kind": "linear", "zero": 15, "full": 25}, "own result 20, where 15 is 0 and 25 is 100",
         "min(100, max(0, 100 * (20 - 15) / (25 - 15)))"),
    ],
)  # fmt: skip
def test_a_statement_shows_where_points_come_from(scale, label, formula):
    made = contract(steps=steps(composite(scale=scale)))
    found = settle(made, pd.concat([rows("odi", adjusted=[20.0, 18, 16, 21]), costs()]),
                   study=STUDY)  # fmt: skip
    assert check_by_hand(found)
    line = found.lines[found.lines["label"].str.startswith("Points of odi")].iloc[0]
    assert (line["label"], line["formula"]) == (f"Points of odi: {label}", formula)


@pytest.mark.parametrize(
    ("better", "beyond", "formula", "label"),
    [
        (1, "outer", "20 >= 16.423", "ODI (adjusted result against its outer lower limit; n 100)"),
        (1, "inner", "20 >= 17", "ODI (adjusted result against its inner lower limit; n 100)"),
        (-1, "outer", "20 <= 19.577", "ODI (adjusted result against its outer upper limit; n 100)"),
    ],
)  # fmt: skip
def test_a_gate_shows_what_was_measured_its_limit_and_how_many(better, beyond, formula, label):
    made, odi = gated(CRITERION | {"beyond": beyond}, odi=rows("odi"))
    found = settle(made, odi, study=LESS if better < 0 else STUDY)
    line = found.lines.query("kind == 'test'").iloc[0]
    assert (line["formula"], line["label"]) == (formula, label)
    assert line["value"] == ("met" if better > 0 else "not met")


def test_a_share_is_refused_from_just_above_1_on():
    made, odi = gated(NJR | {"below": 1})
    given = pd.DataFrame({"provider_id": list("ABCD"), "consent": [0.0, 1.0, 0.99, 0.5]})
    assert passes(made, odi, None, given) == [True, False, True, True]
    with pytest.raises(ValuesError, match=r"a share from 0 to 1; got 1\.01 for D") as refused:
        settle(made, odi, None, given.assign(consent=[0.0, 1.0, 0.99, 1.01]), study=STUDY)
    check_refusal(refused.value)


def test_a_share_in_per_cent_is_refused_by_name():
    made, odi = gated(NJR | {"label": "compliance"})
    given = pd.DataFrame({"provider_id": list("ABCD"), "consent": [0.1, 84.0, 0.1, 0.1]})
    with pytest.raises(ValuesError, match="consent: wanted a share from 0 to 1; got 84 for B"):
        settle(made, odi, None, given, study=STUDY)
    other, _ = gated(NJR | {"share": False, "below": 85})
    assert passes(other, odi, None, given) == [True] * 4


def test_a_gain_of_nothing_is_not_worked_out():
    even = costs(**ONE | {"observed": (20_000,)})
    found = settle(contract(steps=steps(composite(), SHARED)), pd.concat([BETTER, even]),
                   study=STUDY)  # fmt: skip
    assert (found.lines["kind"] == "payment").sum() == 1
    notes = found.lines.query("kind == 'note'")["label"].tolist()
    assert notes == ["No gain and no loss so far for it to change",
                     "No gain and no loss so far to share"]  # fmt: skip


@pytest.mark.parametrize(
    ("pool", "told"),
    [(0, "119,995.00 too much paid to all providers, over 280 episodes"),
     (200_000, "80,005.00 left over from all providers, over 280 episodes")],
)  # fmt: skip
def test_a_neutral_budget_says_what_it_moves_and_over_how_many(pool, told):
    budget = {"kind": "neutral", "how": "shift", "pool": pool} | OURS
    labels = settle(contract(budget=budget), tables(), study=STUDY).lines["label"]
    assert labels.str.contains(told, regex=False).sum() == 4


@pytest.mark.parametrize("within", [{"floor": -0.5, "cap": 0.5}, {"floor": 0, "cap": 0.001}])
def test_the_least_and_the_most_of_a_payment_are_shown_whether_they_bind_or_not(within):
    made = contract(steps=paid_for_outcome(within=within))
    found = settle(made, pd.concat([BETTER, CHEAP]), study=STUDY)
    shown = found.lines[found.lines["label"].str.contains("that is paid")]["value"].tolist()
    assert shown == [f"{within[one] * TARGET / 100:.2f}" for one in ("floor", "cap")]


@pytest.mark.parametrize(("kind", "what"), [("stop_gain", "paid"), ("stop_loss", "repaid")])
def test_a_limit_is_shown_where_it_is_not_reached(kind, what):
    found = settle(contract(steps=steps(step(kind, share=0.5))), pd.concat([BETTER, CHEAP]),
                   study=STUDY)  # fmt: skip
    (line,) = found.lines[found.lines["label"].str.contains(f"the most that is {what},")]["value"]
    assert line == f"{TARGET // 200}.00"


def test_percentiles_share_their_rank_and_weights_of_what_is_not_known_go_to_the_rest():
    column = {"name": "safety", "weight": 0.75, "column": "safety", "scale": {"kind": "percentile"}}
    made = contract(
        steps=steps(step("composite", no_score="none", positive=1, negative=1, measures=[
            {"name": "odi", "weight": 0.25, "outcome": "odi", "scale": {"kind": "percentile"}},
            column])),
    )  # fmt: skip
    given = pd.DataFrame({"provider_id": list("ABCD"), "safety": [1, 1, 5, None]})
    found = settle(made, tables(), None, given, study=STUDY)
    assert check_by_hand(found)
    scores = dict(zip("ABCD", scores_of(found), strict=True))
    third = 100 * 1 / 3
    assert scores["A"] == f"{0.25 * 62.5 + 0.75 * round(third, 6):.6f}".rstrip("0")
    assert scores["D"] == "87.5"


def test_a_score_is_of_what_is_known_and_without_a_weight_there_is_none():
    """Of 0.5 and 0.25 the others weigh 2/3 and 1/3; what weighs nothing moves nothing."""
    ends = {"kind": "linear", "zero": 0, "full": 100}
    parts = [{"name": name, "weight": weight, "column": name, "scale": ends}
             for name, weight in (("x", 0.5), ("y", 0.25), ("z", 0.25), ("w", 0))]  # fmt: skip
    some = step("composite", no_score="none", positive=0.5, negative=0.5, measures=parts)
    given = pd.DataFrame({"provider_id": list("ABCD"), "x": [90, 90, None, None],
                          "y": [30, None, 30, None], "z": [None, None, 60, None],
                          "w": [7, 7, 7, 7]})  # fmt: skip
    cheap = costs(observed=(19_000.0,) * 4, expected=(20_000.0,) * 4)
    found = settle(contract(steps=steps(some)), pd.concat([rows("odi"), cheap]), None, given,
                   study=STUDY)  # fmt: skip
    assert check_by_hand(found)
    assert scores_of(found) == ["70", "90", "45"]
    shares = [1 - 0.5 * 0.3, 1 - 0.5 * 0.1, 1 - 0.5 * 0.55, 1]
    before = [100_000, 80_000, 60_000, 40_000]
    assert found.totals["total"].tolist() == [
        f"{one * share:.2f}" for one, share in zip(before, shares, strict=True)
    ]
    notes = found.lines.query("provider_id == 'D' and kind == 'note'")["label"].tolist()
    assert notes[-1] == "No composite score; the balance stays"
    assert notes[0] == "x: no points; the other weights stand for it"


def test_the_median_of_points_is_that_of_those_who_have_some_and_of_nobody_is_none():
    ends = {"kind": "linear", "zero": 0, "full": 100}
    some = step("composite", no_score="median", positive=1, negative=1, measures=[
        {"name": "x", "weight": 1, "column": "x", "scale": ends}])  # fmt: skip
    cheap = costs(observed=(19_000.0,) * 4, expected=(20_000.0,) * 4)
    for values, scores in (([10, 20, 60, None], ["10", "20", "60", "20"]), ([None] * 4, [])):
        given = pd.DataFrame({"provider_id": list("ABCD"), "x": values})
        found = settle(contract(steps=steps(some)), pd.concat([rows("odi"), cheap]), None, given,
                       study=STUDY)  # fmt: skip
        assert check_by_hand(found)
        assert scores_of(found) == scores


def test_more_is_worse_where_the_contract_says_so():
    measure = {"name": "x", "weight": 1, "column": "x", "more_is_better": False,
               "scale": {"kind": "percentile"}}  # fmt: skip
    made = contract(
        steps=steps(step("composite", no_score="none", positive=1, negative=1, measures=[measure]))
    )
    given = pd.DataFrame({"provider_id": list("ABCD"), "x": [1, 2, 3, 4]})
    found = settle(made, tables(), None, given, study=STUDY)
    assert scores_of(found) == ["87.5", "62.5", "37.5", "12.5"]


LESS = {"outcomes": [{"name": "odi", "instrument": "ODI", "kind": "final_score"},
                     STUDY["outcomes"][1]]}  # fmt: skip


@pytest.mark.parametrize(
    ("measure", "study", "values"),
    [
        ({"zero": 40, "full": 10}, LESS, ["100", "66.666667", "33.333333", "0"]),
        ({"zero": 10, "full": 40}, STUDY, ["0", "33.333333", "66.666667", "100"]),
        ({"zero": 30, "full": 10}, LESS, ["100", "50", "0", "0"]),
        ({"zero": 0, "full": 40}, STUDY, ["25", "50", "75", "100"]),
        ({"zero": 40, "full": 0}, LESS, ["75", "50", "25", "0"]),
    ],
)
def test_a_linear_scale_runs_from_one_end_to_the_other_as_values_are_measured(
    measure, study, values
):
    made = contract(steps=steps(composite(scale={"kind": "linear"} | measure)))
    odi = rows("odi", adjusted=[10.0, 20.0, 30.0, 40.0])
    found = settle(made, pd.concat([odi, costs()]), study=study)
    assert check_by_hand(found)
    assert scores_of(found) == values


def test_a_linear_scale_of_a_column_keeps_its_sign():
    measure = {"name": "x", "weight": 1, "column": "x", "more_is_better": False,
               "scale": {"kind": "linear", "zero": 4, "full": 0}}  # fmt: skip
    made = contract(
        steps=steps(step("composite", no_score="none", positive=1, negative=1, measures=[measure]))
    )
    given = pd.DataFrame({"provider_id": list("ABCD"), "x": [0, 1, 2, 5]})
    found = settle(made, tables(), None, given, study=STUDY)
    assert scores_of(found) == ["100", "75", "50", "0"]


def test_percentiles_of_an_outcome_of_which_less_is_better_are_highest_for_the_least():
    made = contract(steps=steps(composite(scale={"kind": "percentile"})))
    odi = rows("odi", adjusted=[10.0, 20.0, 30.0, 40.0])
    found = settle(made, pd.concat([odi, costs()]), study=LESS)
    assert scores_of(found) == ["87.5", "62.5", "37.5", "12.5"]


def test_the_least_reduction_is_taken_of_those_above_their_peers_alone():
    measure = {"name": "hips", "ratio_column": "err", "n_column": "n", "median": 1, "weight": 0.1}
    made = contract(steps=[step("penalty", measures=[measure], base_column="base",
                                reduction={"floor": 0.02, "cap": 0.03})])  # fmt: skip
    given = pd.DataFrame({"provider_id": list("ABCD"), "err": [1.05, 1.0, 0.9, 2.0], "n": 50,
                          "base": 1000})  # fmt: skip
    found = settle(made, tables(), None, given, study=STUDY)
    assert check_by_hand(found)
    assert found.totals["total_minor"].tolist() == [-2000, 0, 0, -3000]


# --- budgets --------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["scale", "shift"])
@pytest.mark.parametrize("pool", [0.0, 1234.57, -99.99])
def test_a_neutral_budget_sums_to_its_pool_to_the_cent(how, pool):
    budget = {"kind": "neutral", "how": how, "pool": pool} | OURS
    found = settle(contract(budget=budget), tables(), study=STUDY)
    assert check_by_hand(found)
    assert found.pool == round(pool * 100)
    assert all(one.holds for one in found.checks)


def test_scaling_leaves_losses_alone_where_gains_are_too_many():
    budget = {"kind": "neutral", "how": "scale"} | OURS
    before = settle(contract(), tables(), study=STUDY).totals["total_minor"]
    after = settle(contract(budget=budget), tables(), study=STUDY).totals["total_minor"]
    assert before.sum() > 0
    assert (after[before < 0] == before[before < 0]).all()
    assert (after[before > 0] < before[before > 0]).all()


@pytest.mark.parametrize("how", ["scale", "shift"])
def test_a_budget_that_is_met_moves_nothing(how):
    met = costs(observed=(19_000.0, 21_000.0, 19_500.0, 22_750.5))
    budget = {"kind": "neutral", "how": how} | OURS
    found = settle(contract(budget=budget), pd.concat([rows("odi"), met]), study=STUDY)
    assert found.totals["total"].tolist() == ["100000.00", "0.00", "0.00", "-100000.00"]
    assert not found.lines["rule"].str.startswith("budget").any()


def test_losses_are_cut_where_they_are_too_many():
    dear = costs(observed=(19_000.0, 22_000.0, 20_500.0, 20_250.5))
    budget = {"kind": "neutral", "how": "scale"} | OURS
    found = settle(contract(budget=budget), pd.concat([rows("odi"), dear]), study=STUDY)
    assert found.totals["total_minor"].tolist() == [10_000_000, -5_714_286, -4_285_714, 0]
    cut = found.lines[found.lines["rule"] == "budget neutral"]
    assert cut["provider_id"].tolist() == ["B", "C"]
    assert set(cut["label"]) == {"Neutral budget: losses cut in proportion"}


def test_a_settlement_that_does_not_add_up_is_refused(monkeypatch):
    module = import_module("riskadj.payment.ledger")
    monkeypatch.setattr(module, "BALANCERS", {"shift": lambda *_: {}})
    made = contract(budget={"kind": "neutral", "pool": 1} | OURS)
    with pytest.raises(RiskadjError, match=r"wanted the budget's pool: 1\.00; got .* Nothing was"):
        settle(made, tables(), study=STUDY)


@pytest.mark.parametrize(
    ("pool", "told"),
    [
        (1e9, "scale losses so that settlements sum to 1000000000.00; got only 70000.00 of them, "
         "and 999880005.00 to cut"),
        (-70000.01, "scale gains so that settlements sum to -70000.01; got only 189995.00 of them, "
         "and 189995.01 to cut"),
    ],
)  # fmt: skip
def test_what_cannot_be_scaled_to_a_pool_is_refused(pool, told):
    """Gains of 99,975 and 90,020, losses of 40,000 and 30,000."""
    budget = {"kind": "neutral", "how": "scale", "pool": pool} | OURS
    with pytest.raises(ValuesError, match=re.escape(told)) as refused:
        settle(contract(budget=budget), tables(), study=STUDY)
    check_refusal(refused.value)


def test_a_settlement_says_what_was_held_against_what():
    """Four totals; four payments, one line of the budget each, and the totals again."""
    budget = {"kind": "neutral", "how": "shift", "pool": 280} | OURS
    found = settle(contract(budget=budget), tables(), study=STUDY)
    lines = len(found.lines.query("kind == 'payment'"))
    assert [tuple(one) for one in found.checks] == [
        ("every total is the sum of its lines", "4", "4", True),
        ("every amount is written as it is paid", f"{lines + 4}", f"{lines + 4}", True),
        ("the lines of all sum to the pool", "280.00", "280.00", True),
        ("the totals of all sum to the pool", "280.00", "280.00", True),
        ("the budget's pool", "280.00", "280.00", True),
    ]
    assert len(settle(contract(), tables(), study=STUDY).checks) == 4


def test_totals_name_the_gates_that_were_passed():
    shut = step("gate", name="shut", criteria=[PART | {"not_known": "fails"}])
    open_ = step("gate", name="open", criteria=[PART | {"not_known": "passes"}])
    some = [step("reconcile"), shut, open_, step("gate", name="behind", needs="shut",
                                                 criteria=[CRITERION])]  # fmt: skip
    found = settle(contract(steps=some), tables(), study=STUDY)
    assert set(found.totals["gates"]) == {"shut not passed, open passed"}


@pytest.mark.parametrize("kind", ["text", "nullable", "whole"])
def test_a_table_of_other_types_settles_the_same(kind):
    """Numbers as text, as nullable numbers, and names of providers that are numbers."""
    table = tables().assign(provider_id=lambda one: one["provider_id"].map(NUMBERED))
    other = {
        "text": lambda: table.map(lambda one: "" if pd.isna(one) else f"{one}"),
        "nullable": table.convert_dtypes,
        "whole": lambda: table.astype({"provider_id": int, "n": int}),
    }[kind]()
    named = [{"id": one} for one in NUMBERED.values()]
    made = contract(steps=steps(composite(), *paid_for_outcome()), providers=named)
    ours, theirs = (settle(made, one, study=STUDY) for one in (table, other))
    pd.testing.assert_frame_equal(ours.lines, theirs.lines)
    pd.testing.assert_frame_equal(ours.totals, theirs.totals)


NUMBERED = {"A": "11", "B": "2", "C": "30", "D": "4"}


def test_all_that_there_is_can_be_cut():
    budget = {"kind": "neutral", "how": "scale", "pool": -70_000} | OURS
    found = settle(contract(budget=budget), tables(), study=STUDY)
    assert found.totals["total"].tolist() == ["0.00", "-40000.00", "-30000.00", "0.00"]


def test_a_neutral_budget_without_episodes_is_refused():
    nobody = contract(count="volume", providers=[{"id": "Z", "volume": 0}], too_few="at_target",
                      steps=paid_for_outcome(), target__baseline={"kind": "price",
                                                                  "amount": 9} | OURS,
                      budget={"kind": "neutral", "pool": 5} | OURS)  # fmt: skip
    table = hidden(pd.concat([rows("odi", names=("Z",), n=(1,), observed=(1,), expected=(1,)),
                              costs(names=("Z",), n=(1,), observed=(1,), expected=(1,))]),
                   "Z")  # fmt: skip
    with pytest.raises(ValuesError, match="wanted episodes to share what") as refused:
        settle(nobody, table, study=STUDY)
    check_refusal(refused.value)


def add_a_line(found):
    found.lines.loc[len(found.lines)] = found.lines.iloc[-1].to_dict() | {"amount_minor": 1}


def raise_a_total(found):
    found.totals.loc[0, "total_minor"] += 1


def rewrite_an_amount(found):
    found.totals.loc[0, "total"] = "1.00"


def rename_a_provider(found):
    found.totals.loc[0, "provider_id"] = "Z"


def move_between_providers(found):
    at = found.lines.index[found.lines["kind"] == "payment"][:2]
    found.lines.loc[at[0], "amount_minor"] += 5
    found.lines.loc[at[1], "amount_minor"] -= 5


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (add_a_line, "every total is the sum of its lines"),
        (raise_a_total, "every total is the sum of its lines"),
        (rewrite_an_amount, "every amount is written as it is paid: 8; got 7"),
        (rename_a_provider, "every total is the sum of its lines: 4; got 3"),
        (move_between_providers, "every total is the sum of its lines: 4; got 2"),
    ],
)
def test_a_settlement_that_was_changed_no_longer_holds(spoil, told):
    found = settle(contract(), tables(), study=STUDY)
    recheck(found)
    spoil(found)
    with pytest.raises(ValuesError, match=told):
        recheck(found)


@pytest.mark.parametrize(
    ("baseline", "status", "due"),
    [
        ({"kind": "price", "amount": 20_000}, "cost at target, outcome hidden", 110 * 55_000),
        ({"kind": "expected"}, "settled without a target, cost hidden", 110 * 55_000),
    ],
)
def test_a_volume_of_the_contract_settles_who_is_hidden(baseline, status, due):
    """What a payer does about a hidden number of episodes: it states its own."""
    named = [{"id": one, "volume": 110} for one in "ABCD"]
    row = of_b(
        hidden(tables(), "B"), count="volume", providers=named,
        target={"baseline": baseline | OURS}, steps=steps(step("uplift", amount=550)),
    )  # fmt: skip
    assert (row["status"], row["total_minor"], row["episodes"]) == (status, due, 110)


COUNTS = {"odi": [100, 80, None, 40], "cost": [100, 80, 60, 40]}


@pytest.mark.parametrize("outcome", COUNTS)
def test_episodes_with_a_result_are_counted_and_hidden_where_results_are(outcome):
    both = pd.concat([hidden(rows("odi"), "C"), costs()], ignore_index=True)
    totals = settle(contract(too_few="at_target"), both, study=STUDY).totals
    assert [None if pd.isna(one) else one for one in totals[f"with_{outcome}"]] == COUNTS[outcome]


# --- refusals -------------------------------------------------------------------------------------


def made(**changes):
    return contract(**changes)


def other_money(name, value):
    return {"outcomes": [STUDY["outcomes"][0], STUDY["outcomes"][1] | {name: value}]}


REFUSED = {
    "a linear scale that pays for harm": (
        made(steps=steps(composite(scale={"kind": "linear", "zero": 10, "full": 40}))),
        {"study": LESS}, ValuesError, "wanted full below zero, as less is better; got zero 10",
    ),
    "a provider that is not in the profile": (
        made(providers=[{"id": "A"}, {"id": "Z9"}]), {}, UnknownNameError, "got 'Z9'",
    ),
    "a provider that one of the outcomes lacks": (
        made(providers=[{"id": "A"}, {"id": "D"}, {"id": "C"}]),
        {"providers": pd.concat([rows("odi"), costs().iloc[:2]])},
        UnknownNameError, "in the profile of cost; got 'D' and 1 more, which are not",
    ),
    "an outcome that the run does not have": (
        made(outcomes=["odl"]), {}, UnknownNameError, "Did you mean 'odi'",
    ),
    "a learner that the run does not have": (
        made(learner="linaer"), {}, UnknownNameError, "Did you mean 'linear'",
    ),
    "a learner of the cost that the run does not have": (
        made(cost_learner="gamma"), {}, UnknownNameError, "has for cost",
    ),
    "another currency": (
        made(), {"study": other_money("currency", "USD")}, StudyError,
        "EUR in the contract and USD for cost",
    ),
    "other prices": (
        made(), {"study": other_money("price_year", 2020)}, StudyError, "one price_year",
    ),
    "other decimals than the study's claims have": (
        made(), {"study": STUDY | {"data": {"claims": {"minor_units": 0}}}}, StudyError,
        "(data.claims.minor_units, 0); got 2. Bring one to the other.",
    ),
    "a cost that is none": (
        made(cost="odi"), {}, StudyError, "wanted a cost outcome of kind cost; got 'odi'",
    ),
    "a negative cost": (
        made(), {"providers": pd.concat([rows("odi"), costs(observed=(-1.0, 1, 1, 1))])},
        ValuesError, "cost: observed: wanted 0 or more; got -1 for A",
    ),
    "text for a number": (
        made(), {"providers": tables().astype({"observed": object}).assign(observed="many")},
        ValuesError, "wanted numbers, empty where not known; got many",
    ),
    "a provider twice": (
        made(), {"providers": pd.concat([tables(), rows("odi")])}, ValuesError, "got 'A' twice",
    ),
    "an analysis that the run does not have": (
        gated(CRITERION | {"method": "nhs_england", "limits": "trimmed"})[0], {},
        UnknownNameError, "Declare it under profile.sensitivity",
    ),
    "procedures that nobody counted": (
        gated(PART, count="procedures")[0], {}, ColumnError, "wanted procedures by provider",
    ),
    "a provider table that is not there": (
        load_contract(CONTRACTS / "us_hrrp.yaml"), {}, ColumnError,
        "there is no table. Name one",
    ),
    "a column that the provider table lacks": (
        gated(NJR)[0],
        {"provider_table": pd.DataFrame({"provider_id": ["A"], "consnet": [1]})},
        ColumnError, "wanted the column 'consent'",
    ),
    "a stranger in the provider table": (
        gated(NJR)[0],
        {"provider_table": pd.DataFrame({"provider_id": ["A", "ZZZ", "Y"], "consent": 0.1})},
        UnknownNameError, "in the profile; got 'ZZZ' and 1 more, which are not",
    ),
    "a provider twice in the provider table, but for a space": (
        gated(NJR)[0],
        {"provider_table": pd.DataFrame({"provider_id": ["A", "A "], "consent": 0.1})},
        ValuesError, "wanted each provider once; got 'A' twice, spaces aside",
    ),
    "two providers of the profile that differ by a space": (
        gated(NJR)[0],
        {"providers": tables().replace({"provider_id": {"B": "A "}}),
         "provider_table": pd.DataFrame({"provider_id": ["A"], "consent": 0.1})},
        ValuesError, "got 'A' and 'A '. Give one provider one name",
    ),
    "a negative price in the provider table": (
        made(target__baseline={"kind": "historical", "column": "price"} | OURS),
        {"provider_table": pd.DataFrame({"provider_id": list("ABCD"), "price": [1, 1, -1, 1]})},
        ValuesError, "price: wanted 0 or more; got -1 for C",
    ),
    "an endless cost": (
        made(), {"providers": pd.concat([rows("odi"), costs(observed=(float("inf"), 1, 1, 1))])},
        ValuesError, "cost: observed: wanted numbers, empty where not known; got inf",
    ),
    "a reference population that costs nothing": (
        made(target={"baseline": {"kind": "price", "amount": 1} | OURS, "case_mix": "ratio"}),
        {"reference": pd.DataFrame({"outcome": ["cost"], "learner": ["linear"], "gain": [0.0]})},
        ValuesError, "a mean cost of the reference population above 0",
    ),
    "a reference population without the cost": (
        made(target={"baseline": {"kind": "price", "amount": 1} | OURS, "case_mix": "ratio"}),
        {"reference": pd.DataFrame({"outcome": ["odi"], "learner": ["linear"], "gain": [1.0]})},
        ValuesError, "a mean cost of the reference population above 0",
    ),
    "no historical price": (
        made(target__baseline={"kind": "historical"} | OURS), {}, ValuesError, "got none for A",
    ),
    "a ratio that is not there where there are cases": (
        made(steps=[step("penalty", base_column="n", reduction={"floor": 0, "cap": 1}, measures=[
            {"name": "hips", "ratio_column": "err", "n_column": "n", "median": 1,
             "weight": 0.1}])]),
        {"provider_table": pd.DataFrame({"provider_id": list("ABCD"), "n": 50,
                                         "err": [1, 1, None, 1]})},
        ValuesError, "penalty of C: measures: wanted all of n, err, peer_median, drg_ratio for a "
        "measure that counts; got no err for 'hips'. Complete it",
    ),
    "a penalty on what is good": (
        made(steps=[step("penalty", measures=[{"name": "odi", "outcome": "odi", "weight": 1}],
                         reduction={"floor": 0, "cap": 1})]),
        {}, ValuesError, "wanted an outcome of which less is better",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_settling_is_refused_by_name_for(what):
    refused, changes, error, told = REFUSED[what]
    inputs = {"providers": tables(), "study": STUDY} | changes
    with pytest.raises(error) as left:
        settle(refused, **inputs)
    assert told in str(left.value)
    assert isinstance(left.value, RiskadjError)
    check_refusal(left.value)


# --- the ready contracts --------------------------------------------------------------------------

READY = sorted(CONTRACTS.glob("*.yaml"))
OF_HARM = ("odi_failure",)


def tables_for(made):
    """Return tables with every outcome that a contract names, one provider hidden in each."""
    parts = [rows(one, learner=made.learner, better=-1 if one in OF_HARM else 1)
             for one in made.outcomes]  # fmt: skip
    parts += [costs(learner=made.learner)] if made.cost else []
    parts = parts or [rows("whatever")]  # says who there is
    return hidden(pd.concat(parts, ignore_index=True), "D")


@pytest.mark.parametrize("path", READY, ids=lambda one: one.stem)
def test_a_ready_contract_settles_and_every_formula_gives_its_amount(path):
    made = load_contract(path)
    counted = RATES.assign(outcome=next(iter(made.outcomes), "whatever"), response=0.7)
    given = pd.DataFrame(MOCK) if path.stem == "us_hrrp" else None
    found = settle(made, tables_for(made), counted, given)
    assert check_by_hand(found) >= 4
    assert all(one.holds for one in found.checks)
    assert found.totals.set_index("provider_id").loc["D", "total_minor"] >= 0
    assert len(found.unconfirmed) == len(made.unconfirmed())


def test_what_the_study_capped_is_told():
    odi, cost = STUDY["outcomes"]
    study = {"outcomes": [odi, cost | {"winsorise": {"upper": 0.99, "by": "drg"}}]}
    told = settle(contract(), tables(), study=study).told
    (only,) = told
    assert only == (
        "actual costs are capped: an episode's cost above the 0.99 quantile of its drg counts as "
        "that quantile, as the study says"
    )


# --- the record -----------------------------------------------------------------------------------


def test_the_digest_follows_contract_run_and_results():
    digests = {
        settle(contract(), tables(), study=STUDY).digest,
        settle(contract(), tables(), study=STUDY, run_digest="r").digest,
        settle(contract(title="Another"), tables(), study=STUDY).digest,
        settle(contract(), tables().assign(observed=1.0), study=STUDY).digest,
    }
    assert len(digests) == 4
    assert settle(contract(), tables(), study=STUDY).digest in digests


def test_text_tables_as_a_run_folder_holds_them_settle_the_same():
    text = tables().map(lambda one: "" if pd.isna(one) else f"{one}")
    ours, theirs = (settle(contract(), one, study=STUDY) for one in (tables(), text))
    pd.testing.assert_frame_equal(ours.lines, theirs.lines)


def test_content_is_what_the_contract_was_made_of():
    assert Contract.model_validate(content()) == contract()
