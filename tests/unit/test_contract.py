"""Contracts: what they hold, and what is refused by name."""

from pathlib import Path

import pytest
from settling import OURS, check_refusal, content, contract, step, steps

from riskadj.errors import FileMissingError, StudyError
from riskadj.payment.contract import (
    Contract,
    bases_wanted,
    cases_wanted,
    columns_of_money,
    columns_wanted,
    contract_schema,
    load_contract,
    outcomes_wanted,
    shares_wanted,
)
from riskadj.study.load import build

READY = sorted((Path(__file__).parents[2] / "configs" / "contracts").glob("*.yaml"))
COMPOSITE = {"name": "odi", "weight": 1, "outcome": "odi", "scale": {"kind": "percentile"}}
CRITERION = OURS | {
    "kind": "not_negative_outlier",
    "label": "ODI",
    "outcome": "odi",
    "beyond": "outer",
    "not_known": "fails",
}
RATE = OURS | {"kind": "rate", "label": "part", "rate": "participation", "not_known": "fails"}
PENALTY = {"name": "x", "ratio_column": "err", "n_column": "n", "weight": 0.1}
HALF = {"provider": 0.5, "payer": 0.5}
SCORED = step("composite", no_score="none", positive=0.1, negative=0.1, measures=[COMPOSITE])
PAID = step("outcome_payment", outcome="odi", amount=1, reliability=True, paid_for="answered",
            no_result="nothing", within={"floor": -0.1, "cap": 0.1})  # fmt: skip
ON_TABLE = {"outcomes": [], "cost": None, "target": None, "learner": "", "count": "table",
            "steps": [step("penalty", measures=[PENALTY], reduction={"floor": 0, "cap": 0.03},
                           base_column="base")]}  # fmt: skip

REFUSED = {
    "a cap below the floor": (
        {"steps": [step("outcome_payment", outcome="odi", paid_for="settled", no_result="nothing",
                        amount=1, reliability=True,
                        within={"floor": 0.1, "cap": -0.1})]},
        "cap -0.1 below floor 0.1",
    ),
    "a trend whose cap is below its floor": (
        {"target__trend": {"prospective": 1.2, "within": {"floor": 1.1, "cap": 0.9}} | OURS},
        "target.trend.within: wanted a cap at or above the floor",
    ),
    "shares of a gain that do not sum": (
        {"steps": steps(step("risk_share", gain={"provider": 0.5, "payer": 0.4}, loss=HALF))},
        "shares of provider and payer that sum to 1; got 0.5 + 0.4 = 0.9",
    ),
    "weights of a composite score that do not sum": (
        {"steps": steps(step("composite", no_score="none", positive=0.1, negative=0.1,
                             measures=[COMPOSITE, COMPOSITE | {"name": "again"}]))},
        "weights of the composite score that sum to 1; got 1 + 1 = 2",
    ),
    "returned shares that do not sum": (
        {"steps": steps(step("withhold", share=0.1, returned=[{"share": 0.5}]))},
        "returned shares of what is withheld that sum to 1; got 0.5 = 0.5",
    ),
    "more withheld than there is": (
        {"steps": steps(*[step("withhold", share=0.6, returned=[{"share": 1}])] * 2)},
        "withheld shares of 1 or less; got 1.2",
    ),
    "a gate without a measure": (
        {"steps": steps(step("gate", name="g", criteria=[]))}, "a gate with a measure",
    ),
    "a criterion without a bound": (
        {"steps": steps(step("gate", name="g", criteria=[RATE]))}, "one of at_least, at_most",
    ),
    "a criterion with two bounds": (
        {"steps": steps(step("gate", name="g", criteria=[RATE | {"at_least": 0, "below": 1}]))},
        "got 2 of them",
    ),
    "an unknown step": ({"steps": [step("reconsile")]}, "Did you mean 'reconcile'?"),
    "an unknown key": ({"target__discoutn": 0.1}, "Did you mean 'discount'?"),
    "a negative price": (
        {"target__baseline": {"kind": "price", "amount": -5} | OURS},
        "target.baseline.amount: wanted greater than or equal to 0; got -5",
    ),
    "a step without a source": ({"steps": [{"kind": "reconcile", "confirmed": True}]},
                                "steps.0.source: wanted a value"),
    "a gate that comes later": (
        {"steps": steps(step("uplift", amount=1, needs="g"))}, "a gate among those before it",
    ),
    "a return on a gate that is not there": (
        {"steps": steps(step("withhold", share=0.1, returned=[{"share": 1, "when": "g"}]))},
        "got 'g'",
    ),
    "a reconciliation without a cost": ({"cost": None}, "a cost outcome, which reconcile uses"),
    "a stop-loss without a target": (
        {"target": None, "cost": None, "steps": [step("stop_loss", share=0.1)]},
        "a target, which stop_loss uses",
    ),
    "case mix twice": ({"target__case_mix": "ratio"}, "which holds it already"),
    "an outcome that the contract does not name": (
        {"steps": steps(step("gate", name="g", criteria=[CRITERION | {"outcome": "eq5d"}]))},
        "got 'eq5d'",
    ),
    "an outcome that only the first of many steps names": (
        {"steps": steps(step("gate", name="g", criteria=[CRITERION | {"outcome": "eq5d"}]),
                        step("gate", name="h", criteria=[CRITERION]), PAID, SCORED)},
        "wanted steps on the contract's outcomes (odi); got 'eq5d'",
    ),
    "a volume that is not there": (
        {"count": "volume", "providers": [{"id": "A"}]}, "got none for A",
    ),
    "a provider twice": ({"providers": [{"id": "A"}, {"id": "A"}]}, "got A twice"),
    "a negative volume": ({"providers": [{"id": "A", "volume": -1}]}, "greater than or equal to 0"),
    "half an analysis": (
        {"steps": steps(step("gate", name="g", criteria=[CRITERION | {"limits": "additive"}]))},
        "method and limits of an analysis",
    ),
    "a ratio from two places": (
        {"steps": steps(step("penalty", reduction={"floor": 0, "cap": 0.03},
                             measures=[PENALTY | {"outcome": "odi"}]))},
        "an outcome or a ratio_column",
    ),
    "a scale without ends": (
        {"steps": steps(step("composite", no_score="none", positive=0.1, negative=0.1,
                             measures=[COMPOSITE | {"scale": {"kind": "linear"}}]))},
        "zero and full with kind linear",
    ),
    "two reconciliations": ({"steps": steps(step("reconcile"))}, "wanted one reconcile, as each"),
    "a trend held to nothing": (
        {"target__trend": {"prospective": 1.05, "within": {"floor": -1, "cap": 0}} | OURS},
        "target.trend.within: wanted a band that holds 1",
    ),
    "a trend that may not be as promised": (
        {"target__trend": {"prospective": 1.05, "within": {"floor": 1.01, "cap": 1.1}} | OURS},
        "wanted a band that holds 1, with a floor above 0; got floor 1.01",
    ),
    "a normalisation held below nothing": (
        {"target": {"baseline": {"kind": "price", "amount": 1} | OURS, "case_mix": "ratio",
                    "normalisation": {"within": {"floor": 0, "cap": 2}} | OURS}},
        "target.normalisation.within: wanted a band that holds 1",
    ),
    "a reduction of more than there is": (
        {"steps": steps(step("penalty", reduction={"floor": 0, "cap": 1.5}, measures=[PENALTY]))},
        "reduction.cap: wanted less than or equal to 1; got 1.5",
    ),
    "a reduction that pays": (
        {"steps": steps(step("penalty", reduction={"floor": -0.5, "cap": 0}, measures=[PENALTY]))},
        "reduction.floor: wanted greater than or equal to 0; got -0.5",
    ),
    "a currency that there is none of": (
        {"currency": {"code": "EUT"}}, "in circulation; got 'EUT'. Did you mean 'EUR'?",
    ),
    "hundredths of a yen": (
        {"currency": {"code": "JPY", "minor_digits": 2}},
        "wanted minor_digits of 0 or fewer for JPY; got 2",
    ),
    "half a cent to share": (
        {"budget": {"kind": "neutral", "pool": 0.005} | OURS},
        "wanted a budget.pool with 2 decimals or fewer, as amounts in EUR have here; got 0.005",
    ),
    "a composite score without a word on who has none": (
        {"steps": steps({one: value for one, value in SCORED.items() if one != "no_score"})},
        "no_score: wanted a value",
    ),
    "a payment without a word on whom it is for": (
        {"steps": steps({one: value for one, value in PAID.items() if one != "paid_for"})},
        "paid_for: wanted a value",
    ),
    "a payment without a word on who has no result": (
        {"steps": steps({one: value for one, value in PAID.items() if one != "no_result"})},
        "no_result: wanted a value",
    ),
    "a provider table that nothing uses": (
        {"provider_table": "tables/table.csv"}, "got table.csv, which nothing uses",
    ),
    "no learner of what is paid on": ({"learner": ""}, "wanted a learner, whose expectation"),
    "nothing to count": (
        {"outcomes": [], "cost": None, "target": None, "steps": [step("uplift", amount=1)]},
        "wanted an outcome or a cost, as steps need episodes; got neither",
    ),
    "cases of a table where steps need episodes": (
        {"count": "table"}, "wanted count: table only where penalties on the provider table",
    ),
    "an outcome of a contract on a table": (
        ON_TABLE | {"outcomes": ["odi"]}, "got odi, by which providers would be left out",
    ),
    "records of a contract on a table": (
        ON_TABLE | {"count": "records"}, "wanted count: table, as steps pay on the provider table",
    ),
    "a pool of an open budget": (
        {"budget": {"kind": "open", "pool": 1000} | OURS}, "with kind: neutral only; got 1000",
    ),
    "a stop-loss before anything that it could limit": (
        {"steps": [step("stop_loss", share=0.1), step("reconcile")]},
        "step stop_loss: wanted a step before it that it can change (reconcile, outcome_payment",
    ),
    "a stop-gain where there are only losses": (
        {"steps": [step("withhold", share=0.1, returned=[{"share": 1}]),
                   step("stop_gain", share=0.1)]},
        "step stop_gain: wanted a step before it",
    ),
    "sharing before there is anything to share": (
        {"steps": [step("risk_share", gain=HALF, loss=HALF), step("reconcile")]},
        "step risk_share: wanted a step before it",
    ),
    "a composite score of nothing": (
        {"steps": [SCORED, step("reconcile")]}, "step composite: wanted a step before it",
    ),
    "a stop-loss beyond the target": (
        {"steps": steps(step("stop_loss", share=2))}, "less than or equal to 1; got 2",
    ),
    "a safety net beyond the target": (
        {"steps": steps(step("stop_loss", share=1, safety_net=1.5))},
        "less than or equal to 1; got 1.5",
    ),
    "a split without a word on how many have to be followed up": (
        {"steps": steps(PAID | {"no_result": {"unanswered": "floor", "few": "nothing"}})},
        "wanted follow_up_asked, by which outcome_payment tells unanswered from few",
    ),
    "a follow-up that decides nothing": (
        {"follow_up_asked": 0.5}, "so that it does nothing",
    ),
    "half a split": (
        {"follow_up_asked": 0.5, "steps": steps(PAID | {"no_result": {"few": "floor"}})},
        "unanswered: wanted a value",
    ),
    "a rate in per cent": (
        {"steps": steps(step("gate", name="g", criteria=[RATE | {"at_least": 50}]))},
        "wanted a bound from 0 to 1 on the share participation; got 50. Divide per cent by 100",
    ),
    "a share of a table in per cent": (
        {"steps": steps(step("gate", name="g", criteria=[OURS | {
            "kind": "table", "label": "x", "column": "x", "at_least": 85, "not_known": "fails"}]))},
        "wanted a bound from 0 to 1 on the share x; got 85",
    ),
    "no step at all": ({"steps": []}, "wanted one or more; got none"),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_a_contract_is_refused_by_name_for(what):
    changes, told = REFUSED[what]
    with pytest.raises(StudyError) as refused:
        build(Contract, content(**changes), "contract.yaml")
    mine = [one for one in refused.value.faults if told in str(one)]
    assert mine, refused.value.faults
    check_refusal(mine[0])


HOLDS = {
    "all of the target withheld": {"steps": steps(
        *[step("withhold", share=0.5, returned=[{"share": 0.25}, {"share": 0.75}])] * 2)},
    "a band of a point": {"target__trend": {"prospective": 1.2,
                                            "within": {"floor": 1, "cap": 1}} | OURS},
    "a floor that is the cap": {"steps": steps(
        PAID | {"within": {"floor": 0, "cap": 0}})},
    "a bound of 0": {"steps": steps(step("gate", name="g", criteria=[RATE | {"at_least": 0}]))},
    "a bound of 1": {"steps": steps(step("gate", name="g", criteria=[RATE | {"at_most": 1}]))},
    "a pool of whole cents": {"budget": {"kind": "neutral", "pool": 0.01} | OURS},
    "thirds that sum but for binary": {"steps": steps(step("risk_share", loss=HALF, gain={
        "provider": 0.1 + 0.2, "payer": 0.7}))},
    "a safety net of nothing": {"steps": steps(step("stop_loss", share=1, safety_net=0))},
}  # fmt: skip


@pytest.mark.parametrize("what", HOLDS)
def test_what_is_on_the_border_holds(what):
    assert contract(**HOLDS[what])


ALL_COLUMNS = {
    "target__baseline": {"kind": "historical", "column": "price"} | OURS,
    "steps": [
        step("penalty", base_column="base", reduction={"floor": 0, "cap": 1}, measures=[
            {"name": "a", "ratio_column": "r", "n_column": "n", "median_column": "m",
             "weight_column": "w"},
            {"name": "b", "ratio_column": "r", "n_column": "n2", "weight": 0.1}]),
        step("composite", no_score="none", positive=0.1, negative=0.1, measures=[
            COMPOSITE | {"outcome": None, "column": "safety"}]),
        step("gate", name="g", criteria=[
            OURS | {"kind": "table", "label": "x", "column": "checked", "at_least": 1,
                    "not_known": "fails"},
            OURS | {"kind": "table", "label": "y", "column": "visits", "at_least": 85,
                    "share": False, "not_known": "fails"}]),
    ],
}  # fmt: skip


def test_the_columns_that_a_contract_wants_of_its_table_are_all_that_it_names():
    made = contract(**ALL_COLUMNS)
    of_money = ["price", "base", "r", "n", "m", "w", "n2", "safety"]
    assert columns_of_money(made) == of_money
    assert columns_wanted(made) == [*of_money, "checked", "visits"]
    assert shares_wanted(made) == ["checked"]
    assert bases_wanted(made) == ["base"]
    assert cases_wanted(made) == ["n", "n2"]
    assert outcomes_wanted(made) == ["odi", "cost"]
    assert columns_wanted(contract()) == bases_wanted(contract()) == []


def test_every_rule_has_its_name_and_place():
    gate = step("gate", name="g", criteria=[CRITERION | {"confirmed": True}, RATE | {"below": 1}])
    sure = {"source": "a law", "confirmed": True}
    made = contract(
        target={"baseline": {"kind": "expected"} | sure, "discount": {"share": 0.1} | OURS},
        steps=[{"kind": "reconcile"} | sure, gate],
    )
    names = ["target.baseline", "target.discount", "step 1, reconcile", "step 2, gate",
             "step 2, gate: ODI", "step 2, gate: part", "budget open"]  # fmt: skip
    assert [name for name, _ in made.rules()] == names
    assert [name for name, _ in made.unconfirmed()] == [
        names[at] for at in (1, 3, 5, 6)
    ]  # fmt: skip
    assert {source for _, source in made.unconfirmed()} == {"ours"}


@pytest.mark.parametrize(
    ("changes", "alone"),
    [
        ({}, True),
        ({"budget": {"kind": "neutral", "how": "scale"} | OURS}, True),
        ({"budget": {"kind": "open", "how": "shift"} | OURS}, True),
        ({"steps": [*ON_TABLE["steps"], step("gate", name="g", criteria=[OURS | {
            "kind": "table", "label": "x", "column": "x", "at_least": 1, "not_known": "fails"}])]},
         True),
        ({"budget": {"kind": "neutral", "how": "shift"} | OURS}, False),
        ({"steps": [*ON_TABLE["steps"], step("gate", name="g", criteria=[RATE | {"below": 1}])]},
         False),
        ({"steps": [*ON_TABLE["steps"], step("uplift", amount=1)]}, False),
        ({"steps": [step("penalty", base_column="base", reduction={"floor": 0, "cap": 1}, measures=[
            {"name": "odi", "outcome": "odi", "weight": 1}])]}, False),
    ],
)  # fmt: skip
def test_a_contract_is_on_a_table_alone_where_nothing_of_the_run_is_paid_on(changes, alone):
    others = {} if alone else {"outcomes": ["odi"], "learner": "linear", "count": "records"}
    made = contract(**ON_TABLE | others | changes)
    assert made.on_table_alone is alone


def test_the_cost_has_a_learner_of_its_own_where_one_is_named():
    made = contract(cost_learner="gamma")
    assert (made.learner_of("odi"), made.learner_of("cost")) == ("linear", "gamma")
    assert contract().learner_of("cost") == "linear"


def test_a_contract_on_a_table_alone_wants_no_outcome_and_no_learner():
    assert contract(**ON_TABLE).on_table_alone
    assert not contract().on_table_alone


@pytest.mark.parametrize(("code", "digits"), [("JPY", 0), ("EUR", 2), ("KWD", 3)])
def test_a_currency_has_its_own_digits_unless_fewer_are_asked_for(code, digits):
    assert contract(currency={"code": code}).currency.money.minor_digits == digits
    whole = contract(currency={"code": code, "minor_digits": 0})
    assert whole.currency.money.minor_digits == 0


def test_every_fault_has_its_line_and_key(tmp_path):
    path = tmp_path / "contract.yaml"
    text = (READY[0].read_text(encoding="utf-8")).replace("amount: 550", "amuont: 550")
    path.write_text(text, encoding="utf-8")
    line = 1 + next(at for at, one in enumerate(text.splitlines()) if "amuont" in one)
    with pytest.raises(StudyError) as refused:
        load_contract(path)
    first = str(refused.value.faults[0])
    assert first.startswith(f"{path}:{line}: steps.1.amuont")
    assert "Did you mean 'amount'?" in first


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("currency.code=SLE1", "--set currency.code: wanted the ISO 4217 code"),
        ("outcomes=[ohs, ohs]", "contract: wanted each of outcomes once; got ohs twice."),
        ("cost=null", "contract.yaml: contract: wanted a cost outcome"),
    ],
)
def test_a_fault_of_the_whole_is_the_contracts_and_ends_in_one_mark(tmp_path, change, told):
    path = tmp_path / "contract.yaml"
    spine = next(one for one in READY if one.stem == "us_team_spine")
    path.write_text(spine.read_text(encoding="utf-8"), encoding="utf-8")
    with pytest.raises(StudyError) as refused:
        load_contract(path, [change])
    faults = [str(one) for one in refused.value.faults]
    assert any(told in one for one in faults), faults
    for one in faults:
        assert "study:" not in one
        assert one.endswith((".", "?"))
        assert not one.endswith(("?.", ".."))


def test_a_contract_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(FileMissingError):
        load_contract(tmp_path / "none.yaml")


@pytest.mark.parametrize("path", READY, ids=lambda one: one.stem)
def test_a_ready_contract_loads_and_names_itself_after_its_file(path):
    loaded = load_contract(path)
    assert loaded.name == path.stem
    assert all(one.source for _, one in loaded.rules())


CITED = {"england_bpt_hip": 550.0, "england_bpt_knee": 550.0}
OPEN_QUESTIONS = {
    "england_bpt_hip": 3, "england_bpt_knee": 3, "england_hip": 4, "england_knee": 4,
    "netherlands_lbp": 11, "norway_neck": 6, "norway_spine": 6, "stockholm_spine": 3, "us_hrrp": 0,
    "us_team_lejr": 8, "us_team_lejr_knee": 8, "us_team_spine": 6,
}  # fmt: skip


def test_all_systems_have_a_ready_contract_whose_open_questions_are_counted():
    assert {one.stem: len(load_contract(one).unconfirmed()) for one in READY} == OPEN_QUESTIONS


@pytest.mark.parametrize("name", CITED)
def test_englands_uplift_is_the_cited_one(name):
    (path,) = (one for one in READY if one.stem == name)
    assert load_contract(path).steps[-1].amount == CITED[name]


def test_norways_contract_says_that_norway_has_none():
    (path,) = (one for one in READY if one.stem == "norway_spine")
    assert "illustration of ours" in load_contract(path).about


def test_the_provider_table_is_found_beside_the_contract_and_by_its_name_in_the_digest(tmp_path):
    text = READY[0].read_text(encoding="utf-8").replace("provider_table: null", "provider_table: x")
    digests = set()
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        path = tmp_path / folder / "contract.yaml"
        path.write_text(text, encoding="utf-8")
        loaded = load_contract(path)
        assert loaded.provider_table == tmp_path / folder / "x"
        digests.add(loaded.digest)
    assert len(digests) == 1


def test_an_override_changes_the_digest():
    before = contract()
    assert before.digest == contract().digest
    after = build(Contract, content(), "here", ["price_year=2024"])
    assert after.digest != before.digest


def test_a_number_as_version_is_taken_as_text():
    assert contract(version=2).version == "2"


def test_the_schema_names_every_kind_of_step():
    told = str(contract_schema())
    for kind in ("reconcile", "risk_share", "withhold", "gate", "penalty", "outcome_payment"):
        assert f"'{kind}'" in told
