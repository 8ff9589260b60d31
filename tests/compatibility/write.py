"""Write what this version writes, for later ones to read: tests/compatibility/VERSION/.

    PYTHONPATH=tests .venv/bin/python -m compatibility.write [--again]

Once a version is released its folder is never written again. Until then --again replaces it,
whenever a format has changed on purpose and CHANGELOG.md says so.
"""

import json
import re
import shutil
import sys
from collections.abc import Callable, Mapping
from contextlib import chdir
from functools import cache
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
from compatibility.read import golden_of
from settling import OURS, step
from window_worlds import COST, costly
from worlds import (
    OUT_OF_FOLD,
    episode_frame,
    expectations_of,
    make_study,
    study_content,
    typed,
)

import riskadj
from riskadj.audit import audit_run, diff_runs
from riskadj.audit.told import write_diff
from riskadj.expected import load_model, save_model
from riskadj.experiment import run_experiment
from riskadj.experiment.compare import compare_runs, write_comparison
from riskadj.payment.contract import Contract, load_contract
from riskadj.pipeline import run_study, windows_of_study
from riskadj.report.card.published import publish_card
from riskadj.report.explained import write_explanation
from riskadj.report.explaining import explain_episode, explain_provider, read_explained
from riskadj.report.folder import write_csv, write_json, write_parquet, write_text
from riskadj.report.portal.export import export_skde
from riskadj.report.settlement import settle_run, write_settlement
from riskadj.simulate import load_scenario, simulate_world, write_world
from riskadj.simulate.collections import write_collection
from riskadj.study import load_study
from riskadj.tracking.log import _save_pyfunc
from riskadj.tracking.store import mlflow_at_work
from riskadj.trial import Settings, run_trial, write_trial

HERE = Path(__file__).parent
CONFIGS = HERE.parents[1] / "configs"
GAIN = {"name": "ohs", "instrument": "OHS", "kind": "gain"}
RESPONDER = {"name": "better", "instrument": "OHS", "kind": "responder", "threshold": "OHS_MIC_8"}
BOOSTED = {"kind": "lightgbm", "trees": 4, "leaves": 4, "min_episodes_per_leaf": 10}
CEILING = {"kind": "ceiling", "trees_at_best": 3, "trees_below": 3}
LEARNERS: Mapping[str, tuple[dict[str, Any], ...]] = MappingProxyType({
    "ohs": (
        {"kind": "linear"},
        BOOSTED,
        CEILING,
        {"kind": "stacked", "trees_by_parts": 3, "leaves_by_parts": 3, "nets": 1},
    ),
    "better": ({"kind": "linear"}, BOOSTED),
    "cost": (
        {"kind": "linear"}, BOOSTED, {"kind": "gamma"}, {"kind": "tweedie"},
        {"kind": "two_part"}, {"kind": "log_smearing"},
    ),
})  # fmt: skip
STUDY = study_content(
    name="old",
    title="A small world that was kept",
    outcomes=[RESPONDER, COST],
    learners=[{"kind": "linear"}],
    value={"outcome": "better", "cost": "cost", "replicates": 100},
    fairness={"gaming": True},
    explain={"interactions": True},
    profile__sensitivity={"methods": ["nhs_england"], "limits": ["additive"]},
    profile__minimum_n=20,
    export={
        "skde": {
            "indicators": {"better": "old_ind"},
            "minimum": 10,
            "year": 2022,
            "organisations": {f"H{one:02d}": 974_000_001 + one for one in range(5)},
        }
    },
)
FILLED = study_content(
    name="filled",
    title="A small world that fills the tables which the other leaves empty",
    data={"format": "parquet", "paths": ["filled.parquet"],
          "pseudonymise": {"key_file": "filled.key"}},
    outcomes=[GAIN],
    learners=[CEILING],
    fairness={
        "groups": ["sex", "deprivation_decile"],
        "social": {"columns": ["deprivation_decile"], "lambdas": [0, 1]},
        "fair": {"groups": ["deprivation_decile"], "learner": "ceiling"},
    },
    validation={"learners": ["ceiling"], "folds": 2},
    follow_up={"imputations": 2},
    report={"subgroups": ["sex"]},
    **OUT_OF_FOLD,
)  # fmt: skip
CONTRACT = {
    "name": "old", "version": "1", "title": "A small contract that was kept", "about": "Kept.",
    "currency": {"code": "SEK", "minor_digits": 2}, "price_year": 2023, "outcomes": ["better"],
    "cost": "cost", "learner": "linear", "count": "records", "too_few": "no_settlement",
    "target": {"baseline": {"kind": "expected"} | OURS},
    "steps": [step("reconcile")], "budget": {"kind": "open"} | OURS,
}  # fmt: skip
PLAIN = CONTRACT | {"name": "plain", "outcomes": ["odi"]}
GATED = PLAIN | {
    "name": "gated",
    "steps": [
        step("gate", name="odi", criteria=[
            {"kind": "not_negative_outlier", "outcome": "odi", "beyond": "inner",
             "not_known": "passes", "label": "ODI"} | OURS]),
        step("withhold", share=0.02, returned=[{"share": 1.0, "when": "odi"}]),
    ],
}  # fmt: skip
EXPERIMENT = {
    "question": "Do later versions read this?",
    "expectation": "They do.",
    "study": "../study.yaml",
    "settings": ["profile.sensitivity={methods: [], limits: []}", "value=null",
                 "fairness={gaming: false}", "explain={interactions: false}"],
    "grid": [{"linear": ["learners=[{kind: linear}]"], "stiff": [
        "learners=[{kind: linear, ridge: 50}]"]}],
    "figures": ["r2", "r2_difference", "spearman", "flags_changed"],
    "seed": 1,
}  # fmt: skip
NO_ID = "0" * 32
MOMENT = re.compile(r"(?<=utc_time_created: ).*")


def write_all(home: Path) -> None:
    """Write one of everything, each part from the parts before it."""
    home.mkdir(parents=True, exist_ok=True)
    for part in PARTS:
        part(home)


def _data(home: Path) -> None:
    write_csv(frame(), home / "episodes.csv")
    write_parquet(unanswered(), home / "filled.parquet")
    write_text("a key that is known to all, so none", home / "filled.key")
    for name, content in (("study", STUDY), ("filled", FILLED), ("contract", CONTRACT)):
        write_text(json.dumps(content, indent=1), home / f"{name}.yaml")


@cache
def frame() -> pd.DataFrame:
    return costly(n=320, providers=5, seed=5, windows=(30, 90))


def unanswered() -> pd.DataFrame:
    """Return episodes with social circumstances, of which some end at the best score or nowhere."""
    frame, rng = episode_frame(n=300, providers=5, seed=6), np.random.default_rng(6)
    best, missing = rng.random((2, len(frame))) < [[0.1], [0.2]]
    return frame.assign(
        deprivation_decile=rng.integers(1, 11, len(frame)).astype(float),
        q2_score_ohs=frame["q2_score_ohs"].mask(best, 48).mask(missing),
    )


def _runs(home: Path) -> None:
    with chdir(home):
        run_study(load_study("study.yaml"), "run")
        run_study(load_study("filled.yaml"), "filled")


def _told_of_runs(home: Path) -> None:
    """Keep what is told of runs: a published card, an export, an audit, and what is different."""
    with chdir(home):
        publish_card(Path("filled"), Path("cards"))
        export_skde(Path("run"), Path("skde.csv"))
        write_json(audit_run("run", any_code=True, rerun=False).as_json(), Path("audit.json"))
        compared, changed = compare_runs(["run", "run"]), diff_runs("run", "filled")
        for suffix in ("md", "json"):
            write_comparison(compared, f"compared.{suffix}")
            write_diff(changed, f"changes.{suffix}")


def _logged(home: Path) -> None:
    """Keep a model as MLflow does: no store gives it a name, and no clock a moment."""
    source, target = home / "run" / "models" / "better-linear", home / "logged"
    nameless = SimpleNamespace(artifact_location=target.name, model_id=NO_ID)
    with mlflow_at_work():
        _save_pyfunc(load_model(source), source, target, NO_ID, nameless)
    text = (target / "MLmodel").read_text(encoding="utf-8")
    write_text(MOMENT.sub("'2000-01-01 00:00:00.000000'", text), target / "MLmodel")


def _models(home: Path) -> None:
    asked = {}
    for outcome, learners in LEARNERS.items():
        one = next(one for one in (GAIN, RESPONDER, COST) if one["name"] == outcome)
        split = OUT_OF_FOLD if outcome == "better" else {}
        study = make_study(outcomes=[one], learners=list(learners), **split)
        expectations = expectations_of(typed(frame()), study)
        for learner, model in expectations.models.items():
            save_model(model, home / "models" / f"{outcome}-{learner}")
        asked[outcome] = expectations.casemix.test.head(5)
    rows = asked["ohs"].reset_index(drop=True)
    write_csv(rows, home / "models" / "asked.csv")


def _settlement(home: Path) -> None:
    with chdir(home):
        write_settlement(settle_run(load_contract("contract.yaml"), "run"), "settled")


def _windows(home: Path) -> None:
    with chdir(home):
        windows_of_study(load_study("study.yaml"), "windows", replicates=100)


def _explanation(home: Path) -> None:
    with chdir(home):
        ran = read_explained("run", episodes=True)
        episode = ran.tables["shap"]["episode_id"].iloc[0]
        write_explanation(explain_provider(ran, "H01"), "explained")
        write_explanation(explain_episode(ran, episode), "explained_episode")


def _trial(home: Path) -> None:
    small = ["episodes_per_period=200", "providers.number=5", "claims.others=0"]
    scenario = load_scenario(CONFIGS / "scenarios" / "spine_small.yaml", small)
    tried = [Contract.model_validate(one) for one in (PLAIN, GATED)]
    write_trial(run_trial(tried, scenario, Settings(worlds=2)), home / "trial")


def _experiment(home: Path) -> None:
    (home / "experiment").mkdir()
    text = json.dumps(EXPERIMENT, indent=1)
    (home / "experiment" / "experiment.yaml").write_text(text, encoding="utf-8")
    with chdir(home):
        run_experiment("experiment", work="work", uri="off")


def _worlds(home: Path) -> None:
    (home / "worlds").mkdir()
    with chdir(home / "worlds"):
        small = ["episodes_per_period=20", "providers.number=5"]
        england, states = (
            simulate_world(load_scenario(CONFIGS / "scenarios" / f"{name}.yaml", small))
            for name in ("england_hip", "us_tha")
        )
        for name in ("england_hip", "england_hip.csv", "england_hip.csv.gz"):
            write_world(england, name)
        write_world(states, "us_tha")
        write_collection(england, "redcap.csv", "redcap")
        write_collection(england, "fhir.json.gz", "fhir")


def _configs(home: Path) -> None:
    """Keep every study, contract, mapping and scenario that ships with this version."""
    shutil.copytree(CONFIGS, home / "configs")


PARTS: tuple[Callable[[Path], None], ...] = (
    _data, _runs, _models, _settlement, _windows, _explanation, _told_of_runs, _logged, _trial,
    _experiment, _worlds, _configs,
)  # fmt: skip


def main() -> None:
    """Write the folder of the present version."""
    home = HERE / riskadj.__version__
    if home.exists():
        if "--again" not in sys.argv:
            sys.exit(f"{home} is there. Once released, it stays; before, give --again.")
        shutil.rmtree(home)
    write_all(home)
    write_json(golden_of(home), home / "golden.json")
    print(home)


if __name__ == "__main__":
    main()
