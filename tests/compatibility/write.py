"""Write what this version writes, for later ones to read: tests/compatibility/VERSION/.

    PYTHONPATH=tests .venv/bin/python -m compatibility.write [--again]

Once a version is released its folder is never written again. Until then --again replaces it,
whenever a format has changed on purpose and CHANGELOG.md says so.
"""

import json
import shutil
import sys
from collections.abc import Callable, Mapping
from contextlib import chdir
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pandas as pd
from compatibility.read import golden_of
from settling import OURS, step
from window_worlds import COST, costly
from worlds import OUT_OF_FOLD, expectations_of, make_study, study_content, typed

import riskadj
from riskadj.expected import save_model
from riskadj.experiment import run_experiment
from riskadj.payment.contract import load_contract
from riskadj.pipeline import run_study, windows_of_study
from riskadj.report.explained import write_explanation
from riskadj.report.explaining import explain_provider, read_explained
from riskadj.report.folder import write_csv, write_json
from riskadj.report.settlement import settle_run, write_settlement
from riskadj.simulate import load_scenario, simulate_world, write_world
from riskadj.simulate.collections import write_collection
from riskadj.study import load_study

HERE = Path(__file__).parent
CONFIGS = HERE.parents[1] / "configs"
GAIN = {"name": "ohs", "instrument": "OHS", "kind": "gain"}
RESPONDER = {"name": "better", "instrument": "OHS", "kind": "responder", "threshold": "OHS_MIC_8"}
BOOSTED = {"kind": "lightgbm", "trees": 4, "leaves": 4, "min_episodes_per_leaf": 10}
LEARNERS: Mapping[str, tuple[dict[str, Any], ...]] = MappingProxyType({
    "ohs": (
        {"kind": "linear"},
        BOOSTED,
        {"kind": "ceiling", "trees_at_best": 3, "trees_below": 3},
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
CONTRACT = {
    "name": "old", "version": "1", "title": "A small contract that was kept", "about": "Kept.",
    "currency": {"code": "SEK", "minor_digits": 2}, "price_year": 2023, "outcomes": ["better"],
    "cost": "cost", "learner": "linear", "count": "records", "too_few": "no_settlement",
    "target": {"baseline": {"kind": "expected"} | OURS},
    "steps": [step("reconcile")], "budget": {"kind": "open"} | OURS,
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


def write_all(home: Path) -> None:
    """Write one of everything, each part from the parts before it."""
    home.mkdir(parents=True, exist_ok=True)
    for part in PARTS:
        part(home)
    write_json(golden_of(home), home / "golden.json")


def _data(home: Path) -> None:
    write_csv(frame(), home / "episodes.csv")
    for name, content in (("study", STUDY), ("contract", CONTRACT)):
        (home / f"{name}.yaml").write_text(json.dumps(content, indent=1), encoding="utf-8")


@cache
def frame() -> pd.DataFrame:
    return costly(n=320, providers=5, seed=5, windows=(30, 90))


def _run(home: Path) -> None:
    with chdir(home):
        run_study(load_study("study.yaml"), "run")


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
        write_explanation(explain_provider(read_explained("run"), "H01"), "explained")


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
        for name in ("england_hip", "hip_claims"):
            scenario = load_scenario(CONFIGS / "scenarios" / f"{name}.yaml", small)
            world = simulate_world(scenario)
            write_world(world, name if name == "hip_claims" else f"{name}.csv")
            if name == "england_hip":
                write_collection(world, "redcap.csv", "redcap")
                write_collection(world, "fhir.json.gz", "fhir")


def _configs(home: Path) -> None:
    """Keep every study, contract, mapping and scenario that ships with this version."""
    shutil.copytree(CONFIGS, home / "configs")


PARTS: tuple[Callable[[Path], None], ...] = (
    _data, _run, _models, _settlement, _windows, _explanation, _experiment, _worlds, _configs,
)  # fmt: skip


def main() -> None:
    """Write the folder of the present version."""
    home = HERE / riskadj.__version__
    if home.exists():
        if "--again" not in sys.argv:
            sys.exit(f"{home} is there. Once released, it stays; before, give --again.")
        shutil.rmtree(home)
    write_all(home)
    print(home)


if __name__ == "__main__":
    main()
