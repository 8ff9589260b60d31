"""Gain and cost of the simulated hip world in one study, from episodes to the card."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from cost_worlds import COST, GAIN
from worlds import study_content

import riskadj
from riskadj.expected import load_model
from riskadj.simulate import demo_scenario, simulate_world, write_world

EPISODES = {"episodes_per_period": 900, "periods": ("2021", "2022")}
WIDE = {"number": 12, "cost_effect_sd": 0.25}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any, Path]:
    """Return a world, the run of a study in it, and the run's folder."""
    home = tmp_path_factory.mktemp("hips")
    scenario = demo_scenario()
    providers = scenario.providers.model_copy(update=WIDE)
    world = simulate_world(scenario.model_copy(update={**EPISODES, "providers": providers}))
    write_world(world, home / "episodes.parquet")
    trees = {"kind": "lightgbm", "trees": 40, "min_episodes_per_leaf": 20}
    content = study_content(
        data={"format": "parquet", "paths": ["episodes.parquet"]},
        outcomes=[GAIN, COST | {"winsorise": {"upper": 0.99}}],
        learners=[{"kind": "linear"}, trees, {"kind": "gamma"}],
        casemix__columns=["age_*", "sex", "asa", "bmi", "living_arrangements", "comorb_*"],
        profile__sensitivity={"methods": ["fixed_effects"], "limits": ["nominal", "additive"]},
        report={"subgroups": ["sex"]},
    )
    path = home / "study.yaml"
    path.write_text(json.dumps(content), encoding="utf-8")
    run = riskadj.run_study(riskadj.load_study(path), home / "run")
    return world, run, home / "run"


def rows_of(finished: Any, file: str, **wanted: str) -> pd.DataFrame:
    table = pd.read_csv(finished[2] / file)
    for name, value in wanted.items():
        table = table[table[name] == value]
    return table


def test_both_outcomes_go_all_the_way_each_with_its_learners(finished: Any) -> None:
    table = rows_of(finished, "providers.csv")
    learners = table.groupby("outcome")["learner"].unique()
    assert set(learners["ohs"]) == {"linear", "lightgbm"}
    assert set(learners["cost"]) == {"linear", "lightgbm", "gamma"}
    followed = rows_of(finished, "follow_up.csv")
    assert set(followed["outcome"]) == {"ohs"}
    assert set(rows_of(finished, "shap_providers.csv")["outcome"]) == {"ohs", "cost"}


def test_the_ratio_is_near_what_was_planted_and_the_dear_are_worse(finished: Any) -> None:
    table = rows_of(finished, "providers.csv", outcome="cost", learner="gamma")
    table = table.set_index("provider_id").dropna(subset=["z"])
    truth = finished[0].truth.set_index("provider_id")["cost_effect"].reindex(table.index)
    assert np.corrcoef(np.log(table["ratio"]), truth)[0, 1] > 0.85
    dear = table[table["flag"].str.startswith("Negative")]
    cheap = table[table["flag"].str.startswith("Positive")]
    assert len(dear)
    assert len(cheap)
    assert dear["ratio"].min() > 1 > cheap["ratio"].max()


def test_what_is_expected_sums_to_what_was_observed(finished: Any) -> None:
    table = pd.read_parquet(finished[2] / "expectations.parquet")
    for _, rows in table[table["outcome"] == "cost"].groupby("learner"):
        assert rows["expected"].sum() == pytest.approx(rows["observed"].sum(), rel=1e-10)
        assert (rows["expected"] > 0).all()


def test_the_model_that_is_kept_expects_what_was_told(finished: Any) -> None:
    model = load_model(finished[2] / "models" / "cost-gamma")
    (cost,) = (one for one in finished[1].results if one.casemix.cohort.outcome.name == "cost")
    told = cost.expectations.table.query("learner == 'gamma'")["expected"].to_numpy()
    assert model.expect(cost.casemix.test) == pytest.approx(told, rel=1e-12)


def test_the_model_is_asked_through_mlflow_too(finished: Any) -> None:
    from riskadj.tracking.expectation_pyfunc import ExpectationPyfunc

    asked = ExpectationPyfunc()
    asked.model = load_model(finished[2] / "models" / "cost-gamma")
    (cost,) = (one for one in finished[1].results if one.casemix.cohort.outcome.name == "cost")
    answer = asked.predict(None, cost.casemix.test)["expected_score"]
    assert answer.to_numpy() == pytest.approx(asked.model.expect(cost.casemix.test))
    assert (answer > 0).all()


def test_the_card_speaks_of_cost(finished: Any) -> None:
    card = (finished[2] / "card.md").read_text(encoding="utf-8")
    for words in (
        "cheaper and",
        "dearer than the 99.8 % limits allow for chance",
        "SEK, in prices of 2023; less is better",
        "costs above the 0.99 quantile count as it",
        "Nobody is asked for it",
        "Contributions to a cost are to its logarithm",
        "Expected over observed",
        "Nearest family for cost",
        "Method, of costs",
    ):
        assert words in card, words
    assert not re.search(r"\bnan\b", card)
    funnel = (finished[2] / "figures" / "funnel_cost_gamma.svg").read_text(encoding="utf-8")
    assert "cost over expected" in funnel


def test_predictive_ratios_by_subgroup_stand_on_the_card_as_in_the_table(finished: Any) -> None:
    card = json.loads((finished[2] / "card.json").read_text(encoding="utf-8"))
    blocks = [one for section in card["sections"] for one in section["blocks"]]
    (table,) = (
        one for one in blocks if "expected over observed, by subgroup" in one.get("caption", "")
    )
    learners = [one["label"] for one in table["columns"]][3:]
    assert learners == ["linear", "lightgbm", "gamma"]
    groups = rows_of(finished, "groups.csv", outcome="cost", fold="held out", column="sex")
    figures = groups.set_index(["level", "learner"])
    shown = {row[1]: row for row in table["rows"] if row[0] == "sex"}
    assert set(shown) == {"female", "male"}
    for level, row in shown.items():
        for learner, (ratio, low, high) in zip(learners, row[3:], strict=True):
            one = figures.loc[(level, learner)]
            assert ratio == pytest.approx(one["predictive_ratio"])
            assert ratio == pytest.approx(one["expected"] / one["observed"])
            assert low < ratio < high
    assert {row[0] for row in table["rows"]} == {"sex", "(provider volume)"}


def test_figures_of_cost_are_in_the_metrics(finished: Any) -> None:
    metrics = json.loads((finished[2] / "metrics.json").read_text(encoding="utf-8"))
    assert {"cpm", "park_slope", "top_coded_share"} <= set(metrics["cost"]["gamma"])
    assert "cpm" not in metrics["ohs"]["linear"]
    assert metrics["cost"]["gamma"]["total_ratio"] == pytest.approx(1)
