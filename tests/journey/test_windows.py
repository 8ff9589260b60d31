"""riskadj windows, from a study to its folder; and its figures against a world's truth."""

import json
from pathlib import Path

import pandas as pd
import pytest
from window_worlds import WINDOWS, content_of, costly
from worlds import write_study

from riskadj.expected.windows import COMPONENTS
from riskadj.pipeline import windows_of_study
from riskadj.profile.windows import TOTAL
from riskadj.simulate.claim_tables import WINDOWS as ALL_WINDOWS
from riskadj.study import load_study

SPINE = Path(__file__).parents[2] / "configs" / "scenarios" / "spine.yaml"
FILES = ["provenance.json", "windows.csv", "windows.html", "windows.json", "windows.md",
         "windows.svg"]  # fmt: skip


@pytest.fixture
def study(tmp_path):
    """Return the path of a study of 800 episodes at 12 providers."""
    costly(n=800).to_csv(tmp_path / "episodes.csv", index=False)
    return write_study(tmp_path, content_of())


def test_the_command_answers_in_a_sentence_and_writes_its_folder(riskadj, study, tmp_path):
    out = tmp_path / "windows"
    code, told, _ = riskadj("windows", study, "--out", out, "--replicates", "100")
    assert code == 0
    assert "Adjusted cost differs between providers by" in told
    assert "the index stay carries" in " ".join(told.split())
    assert all(len(one) <= 80 for one in told.splitlines() if not one.startswith("figure"))
    assert sorted(one.name for one in out.iterdir()) == FILES
    said = json.loads((out / "windows.json").read_bytes())
    assert (said["providers"], said["learner"], said["replicates"]) == (12, "gamma", 100)
    assert " ".join(told.split()).count(said["answer"]) == 1
    table = pd.read_csv(out / "windows.csv")
    assert table["component"].tolist() == [*COMPONENTS, TOTAL] * len(WINDOWS)


def test_the_same_study_gives_the_same_bytes(riskadj, study, tmp_path):
    for name in ("one", "two"):
        riskadj("windows", study, "--out", tmp_path / name, "--replicates", "100")
    for name in FILES[1:]:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


@pytest.mark.parametrize(
    ("more", "code", "told"),
    [
        (["--outcome", "costs"], 12, "Did you mean 'cost'?"),
        (["--set", "data.columns=[{}]"], 10, "data.columns"),
        (["--set", "profile.suppress_below=500", "--set", "profile.minimum_n=500"], 31,
         "wanted 5 providers"),
        (["--replicates", "10"], 2, "replicates"),
    ],
)  # fmt: skip
def test_what_is_refused_leaves_nothing(riskadj, study, tmp_path, more, code, told):
    out = tmp_path / "windows"
    left, _, error = riskadj("windows", study, "--out", out, *more)
    assert (left, out.exists()) == (code, False)
    assert told in error


def test_a_study_without_a_cost_is_refused(riskadj, tmp_path):
    costly(n=600).to_csv(tmp_path / "episodes.csv", index=False)
    ohs = {"name": "ohs", "instrument": "OHS", "kind": "gain"}
    content = content_of(outcomes=[ohs], learners=[{"kind": "linear"}])
    path = write_study(tmp_path, content)
    code, _, error = riskadj("windows", path, "--out", tmp_path / "windows")
    assert code == 12
    assert "wanted a cost of the study (it has none)" in error


@pytest.mark.slow
@pytest.mark.parametrize("seed", [20240401, 1, 2])
def test_the_spread_between_providers_is_that_of_the_simulated_truth(riskadj, tmp_path, seed):
    """Fusions of the lumbar spine, of which the world knows every provider's effect by window."""
    folder = tmp_path / "world"
    asked = ["--set", "procedure_group=LUMBAR_FUSION", "--set", f"seed={seed}"]
    assert riskadj("simulate", SPINE, *asked, "--out", folder)[0] == 0
    found = windows_of_study(load_study(folder / "study.yaml"), tmp_path / "out")
    truth = pd.read_parquet(folder / "truth.parquet")
    for days in ALL_WINDOWS:
        row, true = found.row(days), truth[f"cost_effect_{days}d"].std()
        assert row["log_sd_lower95"] < true < row["log_sd_upper95"]
        assert row["log_sd"] == pytest.approx(true, rel=0.12)
