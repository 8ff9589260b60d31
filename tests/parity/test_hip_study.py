"""The hip study on NHS England's record files, end to end: its figures, its sums and its memory.

Two whole runs, one of them through the command line; on two cores each takes a minute or two.
Nothing here asserts a time: it depends on the machine. Skipped where ../shared/data/nhs_proms is
absent.
"""

import json
import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from riskadj import load_study, run_study
from riskadj.cli.progress import STAGES
from riskadj.explain.shap_values import feature_columns

ROOT = Path(__file__).parents[2]
DATA = ROOT.parent / "shared" / "data" / "nhs_proms"
STUDY = ROOT / "configs" / "studies" / "nhs_hip.yaml"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.data,
    pytest.mark.skipif(not DATA.is_dir(), reason="the public NHS files are not here"),
]

LEAST_R2 = {
    "lightgbm": {"ohs": 0.185, "eq5d": 0.210, "eqvas": 0.211},
    "linear": {"ohs": 0.169, "eq5d": 0.190, "eqvas": 0.191},
}
REFERENCE_R2 = {"ohs": 0.1605, "eq5d": 0.1740, "eqvas": 0.1862}
MEASURES = tuple(REFERENCE_R2)
MOST_MEMORY = 4 * 2**30
NOT_OF_THIS_STUDY = {"simulate", "anchor", "value"}
RSS_UNIT = 1 if sys.platform == "darwin" else 1024


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hip")
    study = load_study(STUDY, [f"tracking.uri=sqlite:///{folder / 'mlflow.db'}"])
    return run_study(study, folder / "run")


@pytest.fixture(scope="module")
def metrics(run):
    return json.loads((run.folder / "metrics.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("learner", LEAST_R2)
def test_what_is_learned_explains_at_least_as_much_as_it_did(metrics, learner, measure):
    assert metrics[measure][learner]["r2"] >= LEAST_R2[learner][measure]


@pytest.mark.parametrize("measure", MEASURES)
def test_the_publishers_expectation_explains_what_it_explains(metrics, measure):
    assert round(metrics[measure]["reference"]["r2"], 4) == REFERENCE_R2[measure]


def test_boosted_trees_are_calibrated_in_every_decile(metrics):
    assert metrics["ohs"]["lightgbm"]["largest_decile_error"] <= 0.5


def test_the_drift_of_the_publishers_expectation_is_reported(run, metrics):
    assert round(metrics["ohs"]["reference"]["drift"], 3) == 1.448
    reported = pd.read_csv(run.folder / "reference.csv").set_index(["outcome", "learner"])["drift"]
    for measure in MEASURES:
        drift = metrics[measure]["reference"]["drift"]
        assert reported[measure, "reference"] == pytest.approx(drift, rel=1e-9)


def test_base_plus_contributions_is_every_expected_score(run):
    episodes = pd.read_parquet(run.folder / "shap.parquet")
    total = episodes["base"] + episodes[feature_columns(episodes)].sum(axis=1)
    assert set(episodes["outcome"]) == set(MEASURES)
    assert (total - episodes["expected_score"]).abs().max() < 1e-6


def test_contributions_add_up_to_each_providers_difference_in_expected_gain(run):
    for one in run.results:
        boosted = dict(one.expectations.by_learner())["lightgbm"]
        want = boosted.groupby("provider_id")["expected"].mean() - boosted["expected"].mean()
        providers = one.explanation.providers
        rows = providers[providers["learner"] == "lightgbm"].groupby("provider_id")
        np.testing.assert_allclose(rows["contribution"].sum(), want, atol=1e-6)
        np.testing.assert_allclose(rows["difference"].first(), want, atol=1e-6)


def test_the_run_is_logged_and_timed(run):
    assert run.logged
    assert set(run.seconds) == set(STAGES) - NOT_OF_THIS_STUDY


def test_the_command_line_stays_within_memory_and_prints_its_seconds(tmp_path):
    command = [sys.executable, "-m", "riskadj", "run", str(STUDY), "--out", str(tmp_path / "run")]
    command += ["--set", f"tracking.uri=sqlite:///{tmp_path / 'mlflow.db'}"]
    env = os.environ | {"OMP_WAIT_POLICY": "passive"}
    done = subprocess.run(
        command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * RSS_UNIT
    assert peak < MOST_MEMORY
    of_the_study = [label for name, label in STAGES.items() if name not in NOT_OF_THIS_STUDY]
    for stage in [*of_the_study, "all"]:
        assert re.search(rf"{stage}\W+\d+\.\d\b", done.stdout), stage
