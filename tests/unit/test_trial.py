"""Contracts tried out: what is true, what is right, and what the figures say of both."""

from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from settling import contract, step

from riskadj.cohort.rates import ALL
from riskadj.errors import StudyError, UnknownNameError
from riskadj.payment.contract import load_contract
from riskadj.simulate import load_scenario, simulate_world
from riskadj.study import Outcome
from riskadj.trial import Settings, run_trial
from riskadj.trial.drift import DRIFT_COLUMNS, drift_of, found_in
from riskadj.trial.settling import settle_both
from riskadj.trial.truth import is_exact, true_effects, true_tables, truth_of
from riskadj.trial.variants import Variant, in_absolute_money, kinds_of, variants_of
from riskadj.trial.worlds import (
    episodes_of,
    replicate,
    study_of,
    tables_of,
    travel,
)

CONFIGS = Path(__file__).parents[2] / "configs"
SMALL = ("episodes_per_period=900", "providers.number=14", "claims.others=0")
ODI = {"name": "odi", "instrument": "ODI", "kind": "gain"}
PLAIN = contract(currency={"code": "SEK"}, price_year=2023)
LIMITS = {"outcome": "odi", "beyond": "inner", "not_known": "passes", "label": "ODI"}
GATED = contract(
    name="gated",
    currency={"code": "SEK"},
    steps=[
        step("gate", name="odi", criteria=[
            {"kind": "not_negative_outlier", "source": "ours", "confirmed": False} | LIMITS]),
        step("withhold", share=0.02, returned=[{"share": 1.0, "when": "odi"}]),
    ],
)  # fmt: skip
NEUTRAL = contract(
    name="neutral",
    currency={"code": "SEK"},
    budget={"kind": "neutral", "how": "shift", "pool": 0, "source": "ours", "confirmed": False},
)


@cache
def scenario(*more, name="spine_small"):
    return load_scenario(CONFIGS / "scenarios" / f"{name}.yaml", (*SMALL, *more))


def ready(name, *overrides):
    return load_contract(CONFIGS / "contracts" / f"{name}.yaml", overrides)


class Once:
    """One world on its way, as a trial takes it."""

    def __init__(self, *contracts):
        self.variants = variants_of(contracts)
        self.world = simulate_world(scenario())
        self.study, self.told = study_of(self.world, self.variants)
        self.journeys = travel(episodes_of(self.world), self.study, kinds_of(self.variants))
        self.tables = tables_of(self.journeys, self.study)
        self.truth = truth_of(self.world, self.study.outcomes, self.study.split.test)

    def true(self, margin=1.0):
        return true_tables(self.tables, self.journeys, self.truth, self.study, margin)

    def paid(self, one, margin=1.0):
        return settle_both(one, self.tables, self.true(margin), 0)


@pytest.fixture(scope="module")
def once():
    return Once(PLAIN, GATED, NEUTRAL)


@pytest.fixture(scope="module")
def trial():
    contracts = [ready("stockholm_spine"), ready("us_team_spine")]
    return run_trial(contracts, scenario(), Settings(worlds=2))


def row_of(providers, outcome):
    return providers[providers["outcome"] == outcome].set_index("provider_id")


# --- worlds ---------------------------------------------------------------------------------------


def test_a_world_is_the_same_however_many_there_are():
    seeds = [replicate(scenario(), number).seed for number in range(50)]
    assert len(set(seeds)) == 50
    assert seeds[7] == replicate(scenario("providers.effect_sd=0"), 7).seed
    assert seeds[7] != replicate(scenario("seed=1"), 7).seed


def test_who_was_not_insured_throughout_is_left_out_as_claims_are_read(once):
    truth = once.world.truth_episodes
    seen = truth[truth["left_after"].isna() & (truth["joined_late"] == 0)]
    assert 0 < len(seen) < len(truth)
    assert episodes_of(once.world).table["episode_id"].tolist() == seen["episode_id"].tolist()


def test_what_a_world_cannot_tell_without_its_claim_lines_is_said(once):
    assert any("charlson_index" in one for one in once.told)


def test_nobody_writes_claim_lines_that_a_trial_does_not_need(monkeypatch):
    def refuse(*_):
        raise AssertionError("claim lines were written")

    monkeypatch.setattr("riskadj.simulate.claims.tabulate_lines", refuse)
    found = run_trial([PLAIN], scenario(), Settings(worlds=1)).found
    assert len(found.providers) == 14


# --- truth ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("outcome", ["odi", "cost"])
def test_true_expectations_sum_to_what_comes_about(once, outcome):
    definition = once.journeys[outcome].outcome
    table, mean = true_effects(definition, once.truth)
    sizes = once.truth.dropna().groupby("provider_id").size()
    expected, here = (
        once.truth.dropna(subset=[f"{outcome}_expected"]).groupby("provider_id").size()
        * table[one] for one in ("expected", "observed")
    )  # fmt: skip
    assert len(sizes) == len(table)
    assert expected.sum() == pytest.approx(here.sum(), rel=1e-12)
    assert mean == pytest.approx(here.sum() / once.truth[f"{outcome}_here"].notna().sum())


def test_the_truth_of_the_main_score_is_that_of_the_world(once):
    whole = truth_of(once.world, [Outcome(**ODI)], once.world.scenario.periods)
    table, _ = true_effects(Outcome(**ODI), whole.fillna(0))
    told = once.world.truth.set_index("provider_id")["effect_on_score"]
    assert (table["difference"] - told).std() < 1e-9


def test_the_truth_of_cost_is_that_of_the_world(once):
    cost = once.journeys["cost"].outcome
    whole = truth_of(once.world, [cost], once.world.scenario.periods)
    table, _ = true_effects(cost, whole)
    told = np.exp(once.world.truth.set_index("provider_id")["cost_effect_90d"])
    assert (table["predicted_ratio"] / told).std() < 1e-9


def test_drawn_truth_comes_near_to_what_is_known_exactly(once, monkeypatch):
    odi, periods = Outcome(**ODI), once.world.scenario.periods
    exact, _ = true_effects(odi, truth_of(once.world, [odi], periods))
    monkeypatch.setattr("riskadj.trial.truth.is_exact", lambda *_: False)
    drawn, _ = true_effects(odi, truth_of(once.world, [odi], periods, draws=10))
    off = (drawn["difference"] - exact["difference"]).std()
    assert off < 0.04 * exact["difference"].std()


def test_drawn_truth_knows_of_drift_from_period_to_period():
    leg = Outcome(name="nrs_leg", instrument="NRS_LEG", kind="gain")
    means = []
    for drift in (0, 4):
        world = simulate_world(scenario(f"drift={drift}", "claims=null"))
        told = (truth_of(world, [leg], [one], draws=4) for one in ("2021", "2022"))
        means.append([one["nrs_leg_expected"].mean() for one in told])
    added = np.subtract(means[1], means[0])
    assert added[0] == pytest.approx(0, abs=1e-12)
    assert added[1] > 0.2


@pytest.mark.parametrize(
    ("definition", "exact"),
    [
        (ODI, True),
        (ODI | {"kind": "final_score"}, True),
        (ODI | {"kind": "responder", "threshold": "ODI_DISC_SUCCESS_20"}, False),
        ({"name": "nrs_back", "instrument": "NRS_BACK", "kind": "gain"}, False),
    ],
)
def test_a_world_knows_only_its_main_score_and_cost_exactly(once, definition, exact):
    assert is_exact(Outcome(**definition), once.world) is exact


def test_without_differences_nobody_differs_in_truth():
    world = simulate_world(scenario("providers.effect_sd=0", "providers.cost_effect_sd=0"))
    nrs = Outcome(name="nrs_back", instrument="NRS_BACK", kind="gain")
    for one in (Outcome(**ODI), nrs):
        told = truth_of(world, [one], ["2022"], draws=2)
        assert true_effects(one, told)[0]["difference"].abs().max() < 1e-9


# --- right and paid -------------------------------------------------------------------------------


def test_right_money_of_a_reconciliation_is_what_true_costs_save(once):
    paid = once.paid(Variant(PLAIN)).set_index("provider_id")
    true = row_of(once.true().providers, "cost")
    by_hand = 100 * true["n"] * (true["expected"] - true["observed"])
    np.testing.assert_allclose(paid["right_minor"], by_hand, atol=true["n"].max())


def test_paid_money_is_that_of_a_run_after_disclosure_control(once):
    paid = once.paid(Variant(PLAIN)).set_index("provider_id")
    shown = row_of(once.tables.providers, "cost")
    settled = paid["status"] == "settled"
    by_hand = 100 * shown["n"] * (shown["expected"] - shown["observed"])
    assert settled.any()
    assert not settled.all()
    np.testing.assert_allclose(paid.loc[settled, "paid_minor"], by_hand[settled], atol=200)
    few = row_of(once.tables.providers, "odi")["adjusted"].isna()
    assert (paid.loc[few, "status"] != "settled").all()


def test_a_neutral_budget_is_neutral_on_both_sides(once):
    paid = once.paid(Variant(NEUTRAL))
    assert paid["right_minor"].sum() == 0
    assert paid.loc[paid["status"] == "settled", "paid_minor"].sum() == 0
    assert paid["right_minor"].abs().sum() > 0


@pytest.mark.parametrize("margin", [0.0, 0.5, 1.0, 9.0])
def test_who_is_truly_worse_by_the_margin_fails_the_gate_on_the_truth(once, margin):
    paid = once.paid(Variant(GATED), margin).set_index("provider_id")
    true = row_of(once.true(margin).providers, "odi")
    fails = true["difference"] < -margin * true["difference"].std(ddof=0) - 1e-6
    assert (paid["gates_right"].str.endswith("not passed") == fails).all()
    assert fails.any() == (margin < 5)


# --- over worlds ----------------------------------------------------------------------------------


def test_contracts_are_compared_the_least_misallocated_first(trial):
    shares = trial.found.table["misallocated_share"]
    assert shares.is_monotonic_increasing
    assert sorted(trial.found.table["contract"]) == ["stockholm_spine", "us_team_spine"]
    assert (trial.found.table["worlds"] == 2).all()
    assert len(trial.found.providers) == 2 * 2 * 14


def test_bands_of_volume_add_up_to_everybody(trial):
    for one, bands in trial.found.by_volume.groupby("contract"):
        row = trial.found.table.set_index("contract").loc[one]
        for name in ("provider_years", "settled", "too_few", "episodes"):
            assert bands[name].sum() == row[name]


def test_a_trial_of_fewer_worlds_is_the_beginning_of_one_of_more(trial):
    less = run_trial([ready("us_team_spine")], scenario(), Settings(worlds=1))
    more = trial.found.providers
    mine = more[(more["world"] == 0) & (more["contract"] == "us_team_spine")]
    assert less.found.providers["right_minor"].tolist() == mine["right_minor"].tolist()
    assert less.found.providers["paid_minor"].tolist() == mine["paid_minor"].tolist()


# --- drift ----------------------------------------------------------------------------------------

PERIODS = ("periods=[2021, 2022]", "claims=null", "episodes_per_period=6000", "providers.number=40")


def drift_with(*overrides):
    world = simulate_world(scenario(*PERIODS, *overrides))
    return drift_of(world.episodes, {}), world.truth


def test_drift_finds_providers_that_choose_their_patients():
    drift, truth = drift_with()
    found = found_in(drift).set_index("measure")["found"]
    assert found["any"] == found["deprivation decile"] == 1
    mine = drift[drift["measure"] == "deprivation decile"].set_index("group")
    selects = truth.set_index("provider_id")["selects"].reindex(mine.index).fillna(0) == 1
    others = ~selects & (mine.index != ALL)
    assert mine.loc[selects, "change_in_sd"].mean() > mine.loc[others, "change_in_sd"].mean() + 0.15


def test_drift_finds_nothing_where_nobody_chooses():
    drift, _ = drift_with("selection=null")
    assert found_in(drift)["found"].sum() == 0
    assert list(drift) == DRIFT_COLUMNS


def test_chance_alone_seldom_looks_like_drift():
    rng = np.random.default_rng(5)
    chances = []
    for world in range(30):
        episodes = pd.DataFrame(
            {
                "provider_id": rng.choice([f"P{one}" for one in range(20)], 1500),
                "period": rng.choice(["2021", "2022"], 1500),
                "age_years": rng.normal(60, 10, 1500),
            }
        )
        drift = drift_of(episodes, {}, world)
        chances.append(drift.loc[drift["group"] == ALL, "p_value"].iloc[0])
    assert 0 < np.mean(np.array(chances) < 0.2) < 0.4
    assert 0.35 < np.mean(chances) < 0.65


def test_case_mix_by_expectation_is_followed_by_outcome(trial):
    measures = set(trial.drift["measure"])
    assert {"expected odi", "expected nrs_back", "expected cost"} <= measures
    assert set(trial.drift["world"]) == {0, 1}


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "overrides", "learners", "error", "told"),
    [
        ("us_hrrp", (), (), StudyError, r"truth of \(none\); got err_hk, of THA"),
        ("england_bpt_hip", (), (), UnknownNameError, "got 'reference'"),
        ("norway_spine", (), ("gamma",), StudyError, "it has no cost"),
        ("us_team_spine", ("outcomes=[ohs]", "steps.1.measures.0.outcome=ohs"), (),
         UnknownNameError, r"can tell the truth of \(odi, "),
        ("stockholm_spine", ("currency.code=USD",), (), StudyError, "as it names amounts"),
        ("us_team_lejr", (), (), UnknownNameError, "hoos_jr_scb"),
        ("us_team_spine", (), ("liner",), StudyError, "liner"),
    ],
)  # fmt: skip
def test_a_contract_that_cannot_be_tried_is_refused_by_name(name, overrides, learners, error, told):
    with pytest.raises(error, match=told):
        run_trial([ready(name, *overrides)], scenario(), Settings(worlds=1), learners=learners)


def test_two_contracts_of_one_name_are_refused():
    with pytest.raises(StudyError, match="us_team_spine twice"):
        variants_of([ready("us_team_spine"), ready("us_team_spine")])


def test_a_scenario_without_claims_asks_for_a_study():
    with pytest.raises(StudyError, match="or say --study"):
        run_trial([PLAIN], scenario("claims=null"), Settings(worlds=1))


def test_a_cost_without_a_known_truth_is_refused(once):
    part = once.journeys["cost"].outcome.model_copy(update={"column": "cost_readmit_90d"})
    with pytest.raises(UnknownNameError, match=r"cost_total_30d.*got 'cost_readmit_90d'"):
        truth_of(once.world, [part], ["2022"])


def test_a_learner_of_costs_leaves_the_outcome_to_the_contracts_own():
    named = variants_of([ready("stockholm_spine")], ["gamma", "lightgbm"])
    assert [one.learner for one in named] == ["linear + gamma", "lightgbm"]
    assert kinds_of(named) == {"nrs_back": {"linear", "lightgbm"}, "cost": {"gamma", "lightgbm"}}


@pytest.mark.parametrize(
    ("name", "absolute"),
    [("us_team_spine", False), ("netherlands_lbp", False), ("stockholm_spine", True),
     ("norway_spine", True), ("us_team_lejr", True)],
)  # fmt: skip
def test_contracts_in_shares_alone_can_be_tried_in_any_currency(name, absolute):
    assert in_absolute_money(ready(name)) is absolute
