"""A world in which the worse off answer less, from its files to the card, and what all would say.

The same world without missing answers is made of the same patients: what they would have said is
known here.
"""

import fnmatch
import json

import numpy as np
import pandas as pd
import pytest

from riskadj import load_study, run_study
from riskadj.demo import STUDY
from riskadj.followup import ANALYSES
from riskadj.simulate import demo_scenario, simulate_world, write_world
from riskadj.tracking.log import MAY_LEAVE

pytestmark = pytest.mark.usefixtures("undrawn")

MISSING = {"missing": 0.4, "unsent": 0.0, "by_provider": 0.6, "by_baseline": 0.6}
SCENARIOS = {"at random": MISSING, "not at random": MISSING | {"by_outcome": 1.5}}
CHANGES = (
    "learners=[{kind: linear}]",
    "outcomes=[{name: ohs, instrument: OHS, kind: gain}]",
    "cohort.follow_up_days=null",
    "profile.replicates=0",
    "profile.sensitivity={}",
    "report.subgroups=[]",
    "tracking.uri=off",
)
FILES = ("rates.csv", "follow_up.csv", "balance.csv", "figures/follow_up_ohs_linear.svg")


def make_home(folder, **follow_up):
    """Write a world and its study, and return the study's path."""
    scenario = demo_scenario()
    changed = scenario.follow_up.model_copy(update=follow_up)
    world = simulate_world(scenario.model_copy(update={"follow_up": changed}))
    write_world(world, folder / "episodes.parquet")
    (folder / "study.yaml").write_text(STUDY.read_text(encoding="utf-8"), encoding="utf-8")
    return folder / "study.yaml"


def run_in(folder, *more, **follow_up):
    return run_study(load_study(make_home(folder, **follow_up), [*CHANGES, *more]), folder / "run")


@pytest.fixture(scope="module", params=SCENARIOS)
def ran(request, tmp_path_factory):
    return request.param, run_in(tmp_path_factory.mktemp("asked"), **SCENARIOS[request.param])


@pytest.fixture(scope="module")
def spoken(tmp_path_factory):
    """Return what everybody would have answered, as a run."""
    return run_in(tmp_path_factory.mktemp("all"), missing=0.0, unsent=0.0)


def residual_of_all(run, spoken):
    """Return observed - expected of everybody asked, those who did not answer too."""
    (asked,), (all_there,) = run.results, spoken.results
    silent = asked.casemix.cohort.unanswered["episode_id"]
    answered = asked.casemix.cohort.test["episode_id"]
    rows = all_there.casemix.cohort.test.set_index("episode_id").loc[[*answered, *silent]]
    expected = asked.expectations.models["linear"].expect(rows)
    return rows["provider_id"], rows["observed_score"] - expected, len(answered)


def shown(run):
    """Return the providers that have a flag."""
    table = pd.read_csv(run.folder / "follow_up.csv").set_index("provider_id")
    return table[table["z_complete"].notna()]


def errors_of(estimate, provider, residual, table):
    """Return how far each provider is from where everybody's answers put it."""
    off = estimate - residual.groupby(provider).mean().reindex(table.index)
    return off - off.mean()


def root_mean_square(errors):
    return float(np.sqrt((errors**2).mean()))


def slope_by_response(errors, table):
    """Return by how many points errors rise from nobody answering to everybody."""
    return float(np.polyfit(table["response"], errors, 1)[0])


def test_three_analyses_are_right_together_or_wrong_together(ran, spoken):
    name, run = ran
    provider, residual, n = residual_of_all(run, spoken)
    table = shown(run)
    apart = residual.iloc[n:].mean() - residual.iloc[:n].mean()
    for one in ANALYSES:
        errors = errors_of(table[f"adjusted_{one}"], provider, residual, table)
        slope = slope_by_response(errors, table)
        if name == "at random":
            assert abs(apart) < 1.0
            assert root_mean_square(errors) < 0.9
            assert abs(slope) < 3.0
        else:
            assert apart < -6.0
            assert root_mean_square(errors) > 1.0
            assert slope < -4.0


def test_the_planted_difference_put_back_gives_the_comparison_of_everybody(ran, spoken):
    name, run = ran
    provider, residual, n = residual_of_all(run, spoken)
    table = shown(run)
    planted = residual.iloc[n:].mean() - residual.iloc[:n].mean()
    shifted = table["adjusted_imputed"] + (1 - table["response"]) * planted
    before = errors_of(table["adjusted_imputed"], provider, residual, table)
    after = errors_of(shifted, provider, residual, table)
    assert abs(slope_by_response(after, table)) < 3.0
    if name == "not at random":
        assert root_mean_square(after) < 0.95 * root_mean_square(before)


def test_every_file_is_there_and_may_leave(ran):
    _, run = ran
    for name in FILES:
        assert (run.folder / name).is_file()
        assert any(fnmatch.fnmatch(name, one) for one in MAY_LEAVE)
    origin = json.loads((run.folder / "provenance.json").read_text(encoding="utf-8"))
    assert set(FILES) <= set(origin["files"])
    assert "ohs: follow_up" in [one["stage"] for one in origin["stages"]]


def test_the_card_tells_of_those_who_did_not_answer(ran):
    _, run = ran
    card = (run.folder / "card.md").read_text(encoding="utf-8")
    section = card.split("## Who answered")[1].split("\n## ")[0]
    (summary,) = run.results[0].follow_up.summary.itertuples()
    row = next(line for line in section.splitlines() if line.startswith("| ohs | `linear`"))
    assert f"| {summary.eligible:,} | {summary.answered:,} | {100 * summary.response:.1f} %" in row
    assert "would be outside the 95 % limits if those who did not answer were" in section
    assert "figures/follow_up_ohs_linear.svg" in section


def test_rates_of_all_are_those_of_the_world(ran):
    _, run = ran
    rates = pd.read_csv(run.folder / "rates.csv").set_index("provider_id").loc["(all)"]
    assert rates["q1"] == 4000
    assert rates["issue"] == 1.0
    assert rates["response"] == pytest.approx(0.6, abs=0.02)


def test_a_hidden_provider_is_in_no_new_file(ran):
    _, run = ran
    providers = pd.read_csv(run.folder / "providers.csv")
    hidden = set(providers.loc[providers["suppression"] == "all", "provider_id"])
    table = pd.read_csv(run.folder / "follow_up.csv")
    rates = pd.read_csv(run.folder / "rates.csv").set_index("provider_id")
    assert hidden.isdisjoint(table["provider_id"])
    assert rates.loc[sorted(hidden), ["q1", "answered", "response"]].isna().all(axis=None)


def test_where_everybody_answered_nothing_but_rates_is_said(spoken):
    assert pd.read_csv(spoken.folder / "follow_up.csv").empty
    assert not (spoken.folder / "figures/follow_up_ohs_linear.svg").exists()
    rates = pd.read_csv(spoken.folder / "rates.csv").set_index("provider_id").loc["(all)"]
    assert rates["response"] == 1.0


def test_a_minimum_response_holds_flags_back(tmp_path):
    run = run_in(tmp_path, "profile.minimum_response=0.55", **MISSING)
    providers = pd.read_csv(run.folder / "providers.csv")
    low = providers[providers["flag"] == "Response too low"]
    rates = pd.read_csv(run.folder / "rates.csv").set_index("provider_id")["response"]
    assert len(low) > 3
    assert (rates.reindex(low["provider_id"]) < 0.55).all()
    assert low["adjusted"].notna().all()
    assert low[["z", "rank"]].isna().all(axis=None)
    card = json.loads((run.folder / "card.json").read_text(encoding="utf-8"))
    (section,) = [one for one in card["sections"] if one["anchor"] == "followup"]
    told = {one["label"]: one["value"] for block in section["blocks"]
            for one in block.get("items", ())}  # fmt: skip
    assert told["ohs, not flagged for it"] == len(low)
