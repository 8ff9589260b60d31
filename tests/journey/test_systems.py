"""Four systems, each as its programme measures and pays: world, study, contract, statements.

The folders are laid out as in the project, small worlds in the place of the shipped ones, so that a
contract finds its provider table and a study its world without a setting. Figures are not drawn
here, which have tests of their own; one study goes the whole way by the command line.
"""

import json
import shutil
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from settling import check_by_hand

from riskadj import load_study, read_study, select_cohort
from riskadj.episodes.participation import read_participation
from riskadj.payment.contract import load_contract
from riskadj.payment.hrrp import hrrp_payment_factor
from riskadj.payment.steps import Gate
from riskadj.pipeline import run_study
from riskadj.report.settlement import read_run, settle_run, write_settlement
from riskadj.simulate import load_scenario, simulate_world, write_world
from riskadj.simulate.claim_course import covered

pytestmark = pytest.mark.usefixtures("undrawn")

CONFIGS = Path(__file__).parents[2] / "configs"
VALUE_SETS = CONFIGS.parents[1] / "shared" / "data" / "eq5d_value_sets"
SYSTEMS = {  # study: scenario and world, contract
    "england_hip": ("england_hip", "england_hip"),
    "england_knee": ("england_knee", "england_knee"),
    "norway_neck": ("norway_neck", "norway_neck"),
    "norway_lumbar": ("norway_lumbar", "norway_spine"),
    "netherlands_lbp": ("low_back", "netherlands_lbp"),
    "stockholm_spine": ("spine", "stockholm_spine"),
    "us_spine": ("us_spine", "us_team_spine"),
    "us_tha": ("us_tha", "us_team_lejr"),
    "us_tka": ("us_tka", "us_team_lejr_knee"),
    "us_hrrp": ("us_tha", "us_hrrp"),
}
GATED = ("england_hip", "england_knee", "norway_neck", "norway_lumbar", "netherlands_lbp")
SMALL = [
    "episodes_per_period=700", "providers.number=7", "providers.volume_spread=0.3",
    "providers.effect_sd=6",
]  # fmt: skip
"""Hospitals of about 100 patients a year that differ by much."""
LIGHT = [
    "follow_up.imputations=0", "profile.sensitivity={}", "fairness.groups=[]",
    "fairness.drift=false",
]  # fmt: skip
"""Nothing is paid on these."""


def study_of(name, root=CONFIGS.parent, *more):
    return load_study(root / "configs" / "studies" / f"{name}.yaml", more)


def contract_of(name, root=CONFIGS.parent):
    return load_contract(root / "configs" / "contracts" / f"{SYSTEMS[name][1]}.yaml")


def scenario_of(name):
    return load_scenario(CONFIGS / "scenarios" / f"{SYSTEMS[name][0]}.yaml")


def make_world(name, folder, *more):
    """Write a small world of a scenario."""
    scenario = load_scenario(CONFIGS / "scenarios" / f"{name}.yaml", [*SMALL, *more])
    write_world(simulate_world(scenario), folder / "worlds" / name)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Return a folder laid out as the project is; worlds are made as they are wanted."""
    folder = tmp_path_factory.mktemp("project")
    for part in ("studies", "contracts"):
        shutil.copytree(CONFIGS / part, folder / "configs" / part)
    return folder


@pytest.fixture(scope="module")
def system_of(project):
    """Return what runs a study of the project and settles its contract, nothing set by hand."""

    @cache
    def settled_system(name):
        world = project / "worlds" / SYSTEMS[name][0]
        if not world.exists():
            make_world(SYSTEMS[name][0], project)
        run = run_study(study_of(name, project, *LIGHT), project / "runs" / name)
        settled = settle_run(contract_of(name, project), run.folder)
        write_settlement(settled, project / "settled" / name)
        return SimpleNamespace(
            name=name, run=run, settled=settled, contract=settled.contract, world=world,
            out=project / "settled" / name, lines=settled.lines,
            totals=settled.totals.set_index("provider_id"),
        )  # fmt: skip

    return settled_system


@pytest.fixture(scope="module")
def system(request, system_of):
    return system_of(request.param)


def of(*names):
    """Take a test over some of the systems."""
    return pytest.mark.parametrize("system", names, indirect=True)


# --- what is shipped fits together ----------------------------------------------------------------


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_study_a_scenario_and_a_contract_of_a_system_speak_of_the_same(name):
    study, contract, scenario = study_of(name), contract_of(name), scenario_of(name)
    assert (study.name, contract.name) == (name, SYSTEMS[name][1])
    assert study.cohort.procedure_group == scenario.procedure_group
    assert {*study.split.train, *study.split.test} == {*scenario.periods}
    outcomes = {one.name: one for one in study.outcomes}
    wanted = {*contract.outcomes, *([contract.cost] if contract.cost else [])}
    assert wanted <= set(outcomes)
    assert all(study.has_learner(contract.learner_of(one)) for one in wanted)
    if contract.cost:
        cost = outcomes[contract.cost]
        assert (cost.currency, cost.price_year) == (contract.currency.code, contract.price_year)


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_study_and_a_contract_read_the_world_beside_configs(name):
    study, contract, world = study_of(name), contract_of(name), SYSTEMS[name][0]
    wanted = (CONFIGS.parent / "worlds" / world).resolve()
    files = [*study.data.paths, *study.data.participation]
    files += [study.data.claims.patients, study.data.claims.proms] if study.data.claims else []
    files += [contract.provider_table] if contract.provider_table else []
    assert {one.resolve().parent for one in files} == {wanted}


@pytest.mark.parametrize("name", [one for one in SYSTEMS if study_of(one).data.claims])
def test_the_claims_of_a_study_are_those_of_its_scenario(name):
    rules, scenario = study_of(name).data.claims, scenario_of(name)
    assert (str(rules.period.begins), str(rules.period.ends)) == tuple(map(str, covered(scenario)))
    assert rules.currency == scenario.claims.currency
    assert rules.price_year == scenario.claims.price_year
    windows = {f"cost_total_{days}d" for days in rules.windows}
    assert {one.column for one in study_of(name).outcomes if one.kind == "cost"} <= windows


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_study_tells_what_its_programme_does_what_is_ours_and_the_commands(name):
    text = (CONFIGS / "studies" / f"{name}.yaml").read_text(encoding="utf-8")
    head = " ".join(text[: text.index("name:")].replace("#", " ").split())
    world, contract = SYSTEMS[name]
    for told in ("The programme", "Ours:", f"configs/scenarios/{world}.yaml --out worlds/{world}",
                 f"configs/contracts/{contract}.yaml configs/studies/{name}.yaml"):  # fmt: skip
        assert told in head


# --- every system is settled ----------------------------------------------------------------------


@of(*SYSTEMS)
def test_a_system_is_settled_to_the_cent_and_can_be_checked_by_hand(system):
    settled = system.settled
    assert check_by_hand(settled) >= 10
    assert all(one.holds for one in settled.checks)
    paid = system.lines.query("kind == 'payment'").groupby("provider_id")["amount_minor"].sum()
    found = paid.reindex(system.totals.index, fill_value=0)
    assert found.tolist() == system.totals["total_minor"].tolist()
    assert settled.pool == system.totals["total_minor"].sum()
    summary = json.loads((system.out / "settlement.json").read_text(encoding="utf-8"))
    assert summary["pool_minor"] == settled.pool


@of(*SYSTEMS)
def test_most_providers_are_settled_on_results_and_money_moves(system):
    assert (system.totals["status"] == "settled").sum() >= 4
    assert (system.totals["total_minor"] != 0).sum() >= 2


@of(*SYSTEMS)
def test_every_unconfirmed_rule_is_told_on_the_statements(system):
    told = json.loads((system.out / "settlement.json").read_text(encoding="utf-8"))["unconfirmed"]
    wanted = [name for name, one in system.contract.rules() if not one.confirmed]
    assert [one["rule"] for one in told] == wanted
    page = (system.out / "statements.html").read_text(encoding="utf-8")
    text = next((system.out / "statements").iterdir()).read_text(encoding="utf-8")
    if wanted:
        assert "not confirmed" in page
        assert "not confirmed" in text


@of(*SYSTEMS)
def test_the_results_of_a_system_come_near_the_truth_of_its_world(system):
    """Better providers come out better: by the truth, which no study reads."""
    truth = pd.read_parquet(system.world / "truth.parquet").set_index("provider_id")
    rows = system.run.findings.providers
    outcome = next(iter(system.contract.outcomes), rows["outcome"].iloc[0])
    main = rows[(rows["outcome"] == outcome) & (rows["learner"] == "linear")]
    found = main.set_index("provider_id")["difference"].dropna()
    assert np.corrcoef(found, truth["effect"].reindex(found.index))[0, 1] > 0.5


# --- each as its programme measures and pays ------------------------------------------------------


@of("england_hip", "england_knee")
def test_england_pays_per_procedure_where_all_criteria_are_met(system):
    group = "HIP_PRIM" if system.name == "england_hip" else "KNEE_PRIM"
    counts = read_participation([system.world / "participation.csv"]).of(group)
    tests = system.lines.query("kind == 'test'")
    met = tests["value"].str.startswith("met").groupby(tests["provider_id"]).all()
    uplift = (55_000 * counts["procedures"].reindex(met.index)).where(met, 0)
    assert uplift.tolist() == system.totals["total_minor"].reindex(met.index).tolist()
    assert met.any()
    assert not met.all()
    took_part = tests[tests["label"].str.contains("participation")].set_index("provider_id")
    share = (counts["q1"] / counts["procedures"]).reindex(took_part.index)
    assert ((share >= 0.5) == (took_part["value"] == "met")).all()
    assert tests.groupby("provider_id").size().eq(6 if "hip" in system.name else 5).all()


@of("norway_neck", "norway_lumbar")
def test_norway_is_an_illustration_whose_pool_is_nothing(system):
    assert "illustration of ours" in " ".join(system.contract.about.split())
    assert system.settled.pool == 0
    assert not any(one.confirmed for _, one in system.contract.rules())


@of("norway_neck", "norway_lumbar")
def test_the_shares_of_the_registry_are_those_of_its_thresholds(system):
    seen = pd.read_parquet(system.world / "episodes.parquet").query("period == '2023'")
    measure, share = {"norway_neck": ("ndi", 0.35), "norway_lumbar": ("odi", None)}[system.name]
    before, after = seen[f"q1_score_{measure}"], seen[f"q2_score_{measure}"]
    gained = (before - after) / before >= share if share else before - after >= 20
    first = seen["previous_surgery"].eq(0) if system.name == "norway_lumbar" else before > 0
    known = before.notna() & after.notna() & first
    rows = read_run(system.run.folder).providers.query("outcome == @system.contract.outcomes[0]")
    shown = rows.set_index("provider_id")["observed"].replace("", None).dropna().astype(float)
    wanted = gained[known].groupby(seen["provider_id"]).mean()
    np.testing.assert_allclose(shown, wanted.reindex(shown.index), atol=1e-9)


@of("netherlands_lbp", "stockholm_spine", "us_spine", "us_tha", "us_tka")
def test_bundles_reconcile_actual_cost_with_the_target(system):
    known = system.totals.query("status == 'settled'")
    target, actual = (known[one].astype(float) for one in ("target", "actual"))
    assert ((actual / target).between(0.5, 2.0)).all()
    assert any("capped" in one for one in system.settled.told)


@of("us_tha", "us_tka")
def test_the_pro_measure_scales_a_composite_score_of_the_bundle(system):
    factors = system.lines.query("kind == 'factor'")
    assert factors["label"].str.startswith("Points of THA/TKA PRO-PM").any()
    assert factors["label"].str.startswith("Composite quality score").any()
    rows = system.run.findings.providers.query("outcome == @system.contract.outcomes[0]")
    assert rows["observed"].dropna().between(0.4, 1.0).all()
    assert system.run.findings.study.cohort.follow_up_days.model_dump() == {
        "at_least": 300, "at_most": 425,
    }  # fmt: skip


@of("us_hrrp")
def test_readmissions_reduce_payments_as_the_program_computes(system):
    table = pd.read_csv(system.world / "provider_table.csv").set_index("provider_id")
    modifier = system.contract.steps[0].neutrality_modifier
    for name, one in table.iterrows():
        measures = pd.DataFrame(
            [{"n": one["n_hk"], "err": one["err_hk"], "peer_median": one["median_hk"],
              "drg_ratio": one["drg_ratio_hk"]}]
        )  # fmt: skip
        factor = hrrp_payment_factor(measures, modifier)
        assert 0.97 <= factor <= 1
        paid = round((factor - 1) * one["base_payments"] * 100)
        assert abs(system.totals.loc[name, "total_minor"] - paid) <= 1


@of(*GATED)
def test_every_gate_of_a_contract_is_shown_with_all_its_criteria(system):
    for step in system.contract.steps:
        if not isinstance(step, Gate):
            continue
        labels = tuple(set(system.lines.query("kind == 'test'")["label"]))
        for one in step.criteria:
            assert any(label.startswith(one.label) for label in labels), one.label


@pytest.mark.data
@pytest.mark.skipif(not VALUE_SETS.is_dir(), reason="the folder of value sets is not here")
def test_the_dutch_tariff_takes_a_folder_of_value_sets_as_the_study_says(tmp_path):
    shutil.copytree(CONFIGS / "studies", tmp_path / "configs" / "studies")
    make_world("low_back", tmp_path, "eq5d=[3L, 5L]")
    tariff = "EQ5D5L: EQ-5D-5L/VT/Netherlands"
    text = (CONFIGS / "studies" / "netherlands_lbp.yaml").read_text(encoding="utf-8")
    assert tariff in text
    changes = ["outcomes.1.instrument=EQ5D5L",
               f"data.value_sets={{folder: {VALUE_SETS}, {tariff}}}"]  # fmt: skip
    study = study_of("netherlands_lbp", tmp_path, *changes)
    read = read_study(study)
    scores = read.table["q1_score_eq5d5l"].dropna()
    assert len(scores) > 500
    assert scores.between(-0.446, 1).all()
    cohort = select_cohort(read, study, study.outcomes[1])
    assert len(cohort.test) > 200


# --- by the command line --------------------------------------------------------------------------


def test_from_scenario_to_statements_by_two_commands(riskadj, tmp_path, monkeypatch):
    for part in ("studies", "contracts"):
        shutil.copytree(CONFIGS / part, tmp_path / "configs" / part)
    monkeypatch.chdir(tmp_path)

    smaller = [one for change in SMALL for one in ("--set", change)]
    scenario = CONFIGS / "scenarios" / "spine.yaml"
    assert riskadj("simulate", scenario, "--out", "worlds/spine", *smaller)[0] == 0
    code, told, _ = riskadj("settle", "configs/contracts/stockholm_spine.yaml",
                            "configs/studies/stockholm_spine.yaml", "--out", "settled")  # fmt: skip
    assert code == 0
    assert "not confirmed in its source: target.baseline" in told
    assert len(list((tmp_path / "settled" / "statements").iterdir())) == 7
