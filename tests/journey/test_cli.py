"""The command line as people use it, in a folder of their own, with a real SQLite store."""

import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import redirect_stdout
from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd
import psutil
import pytest
from ruamel.yaml import YAML

import riskadj as package
from riskadj import pipeline, tracking
from riskadj.digest import digest_of_json
from riskadj.episodes import read_episodes
from riskadj.study.profile import Limits, Method, ProfileRules

pytestmark = pytest.mark.usefixtures("undrawn")

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
TABLES = (
    "flow.csv", "providers.csv", "analyses.csv", "reliability.csv", "agreement.csv",
    "reference.csv", "calibration.csv", "subgroups.csv", "shap_features.csv",
    "shap_providers.csv", "rates.csv", "follow_up.csv", "balance.csv", "metrics.json",
    "study.json", "expectations.parquet", "shap.parquet",
)  # fmt: skip
QUICK = [
    "learners=[{kind: linear}]", "outcomes=[{name: ohs, instrument: OHS, kind: gain}]",
    "profile.replicates=0", "profile.sensitivity={}", "report.subgroups=[]",
]  # fmt: skip
ONLY_WHEN_ASKED_FOR = {
    "value.csv", "shap_interactions.csv", "social.csv", "graded.csv", "social_slopes.csv",
    "fair.csv", "gaming.csv",
}  # fmt: skip
VERBS = (
    "run", "demo", "validate", "simulate", "columns", "thresholds", "anchor", "windows", "settle",
    "contract", "schema", "log", "export", "report", "ui", "explain", "audit", "diff", "compare",
    "experiment", "approve", "card",
)  # fmt: skip
FIRST_COLUMNS = (
    "outcome,learner,provider_id,n,observed,expected,ratio,difference,adjusted,z,"
    "lower95,upper95,flag"
)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Return a folder in which `riskadj demo` has run."""
    folder = tmp_path_factory.mktemp("home")
    command = [sys.executable, "-c", "from riskadj.cli import main; main()", "demo"]
    limits = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")  # of the tests; people have none
    env = {name: value for name, value in os.environ.items() if name not in limits}
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Seconds per stage" in done.stdout
    assert "runs/demo/card.html" in done.stdout
    return folder


@pytest.fixture
def study(home, monkeypatch):
    monkeypatch.chdir(home)
    return "runs/demo-world/study.yaml"


@pytest.fixture(scope="module")
def episodes(home):
    return pd.read_parquet(home / "runs/demo-world/episodes.parquet")


# What a run writes -------------------------------------------------------------------------------


def test_the_demo_writes_every_file_that_the_readme_names(home):
    section = README.split("## What a run writes")[1].split("Columns of `providers.csv`")[0]
    first_cells = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    named = {name for cell in first_cells for name in re.findall(r"`([^`]+)`", cell)}
    written = {
        f"{one.name}/" if one.is_dir() else one.name for one in (home / "runs/demo").iterdir()
    }
    assert named - ONLY_WHEN_ASKED_FOR == written


def test_provider_rows_have_the_columns_that_others_build_on(home):
    text = (home / "runs/demo/providers.csv").read_text(encoding="utf-8")
    header = text.splitlines()[0]
    assert header.startswith(FIRST_COLUMNS)
    section = README.split("Columns of `providers.csv`")[1].split("## In Python")[0]
    cells = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    assert {one for cell in cells for one in re.findall(r"`([^`]+)`", cell)} == set(
        header.split(",")
    )


def test_the_parts_of_a_run_agree_with_each_other(home):
    folder = home / "runs/demo"
    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    expectations = pd.read_parquet(folder / "expectations.parquet")
    for (outcome, learner), rows in expectations.groupby(["outcome", "learner"]):
        residual = rows["observed_score"] - rows["expected_score"]
        spread = rows["observed_score"] - rows["observed_score"].mean()
        figures = metrics[outcome][learner]
        assert figures["n"] == len(rows)
        assert figures["r2"] == pytest.approx(1 - (residual**2).sum() / (spread**2).sum())
        assert figures["mae"] == pytest.approx(residual.abs().mean())
    providers = pd.read_csv(folder / "providers.csv").query("suppression != 'all'")
    means = expectations.groupby(["outcome", "learner", "provider_id"])[["observed", "expected"]]
    both = providers.merge(means.mean().reset_index(), on=["outcome", "learner", "provider_id"])
    np.testing.assert_allclose(both["observed_x"], both["observed_y"], rtol=1e-9)
    np.testing.assert_allclose(both["expected_x"], both["expected_y"], rtol=1e-9)


def test_shap_values_add_up_to_the_expectation_and_to_the_provider_difference(home):
    folder = home / "runs/demo"
    shap = pd.read_parquet(folder / "shap.parquet")
    total = shap.drop(columns=["expected_score"]).sum(axis=1, numeric_only=True)
    assert (total - shap["expected_score"]).abs().max() < 1e-6
    providers = pd.read_csv(folder / "shap_providers.csv")
    whole = ["outcome", "learner"]
    keys = [*whole, "provider_id"]
    gains = pd.read_parquet(folder / "expectations.parquet")
    to_score = providers[providers["feature"] != "(score before)"]
    for explained, table, figure in (
        (to_score, shap, "expected_score"),
        (providers, gains, "expected"),
    ):
        parts = explained.groupby(keys)["contribution"].sum()
        away = table[figure] - table.groupby(whole)[figure].transform("mean")
        means = away.groupby([table[one] for one in keys]).mean()
        np.testing.assert_allclose(parts, means.reindex(parts.index), atol=1e-8)


def test_a_second_run_with_other_threads_gives_the_same_bytes(study, python_of_the_readme):
    assert "read: runs/payer/card.html" in python_of_the_readme
    for name in TABLES:
        first = (Path("runs/demo") / name).read_bytes()
        again = (Path("runs/payer") / name).read_bytes()
        if name == "study.json":
            first, again = (json.loads(one) for one in (first, again))
            assert (first["compute"], again["compute"]) == ({"threads": 2}, {"threads": 1})
            for one in (first, again):
                del one["tracking"], one["compute"]
        assert first == again, name


def test_provenance_has_the_seconds_of_each_outcome_and_a_digest_of_all(home):
    origin = json.loads((home / "runs/demo/provenance.json").read_text(encoding="utf-8"))
    stages = {one["stage"]: one for one in origin["stages"]}
    assert stages["ohs: expect"]["seconds"] != stages["eq5d: expect"]["seconds"]
    assert list(stages)[-1] == "run"
    above = [origin["study"], origin["code"], *origin["data"], *origin["stages"][:-1]]
    assert stages["run"]["digest"] == digest_of_json([one["digest"] for one in above])


def test_logging_again_adds_a_run_and_overwrites_none(study, riskadj):
    import mlflow

    client = mlflow.MlflowClient("sqlite:///mlflow.db")
    experiment = client.get_experiment_by_name("demo").experiment_id
    before = {one.info.run_id for one in client.search_runs([experiment])}
    code, out, _ = riskadj("log", "runs/demo")
    after = {one.info.run_id for one in client.search_runs([experiment])}
    assert code == 0
    assert before < after
    assert len(after) == len(before) + 1
    assert (after - before).pop() in out


@pytest.fixture(scope="module")
def python_of_the_readme(home):
    """Return what it prints in the folder of the demonstration, of one thread."""
    blocks = re.findall(r"```python\n(.*?)```", README, flags=re.S)
    assert len(blocks) == 4
    load, printed = package.load_study, io.StringIO()
    with pytest.MonkeyPatch.context() as patched, redirect_stdout(printed):
        patched.chdir(home)
        patched.setattr(package, "load_study", lambda path, settings=(): load(
            path, [*settings, "compute.threads=1"]
        ))  # fmt: skip
        for block in blocks:
            exec(compile(block, "README.md", "exec"), {})
    return printed.getvalue()


def test_the_python_of_the_readme_runs_as_written(python_of_the_readme):
    printed = python_of_the_readme
    assert "below the limits whatever the learner" in printed
    largest = float(re.search(r"largest difference from the table: (\S+)", printed)[1])
    assert largest < 1e-9
    assert printed.count("converged True") == 3


def test_the_profile_of_the_readme_is_one_and_names_every_method_and_limit():
    block = YAML(typ="safe").load(re.findall(r"```yaml\n(profile:.*?)```", README, flags=re.S)[0])
    assert ProfileRules.model_validate(block["profile"]).replicates == 1000
    section = README.split("## How providers are compared")[1].split("## Your own data")[0]
    told = {one for cell in re.findall(r"^\| (`.*?) \|", section, flags=re.M)
            for one in re.findall(r"`(\w+)`", cell)}  # fmt: skip
    assert told >= {*get_args(Method), *get_args(Limits)}


def test_the_study_of_the_readme_for_a_file_of_ones_own_runs(riskadj, episodes, tmp_path):
    names = {
        "provider_id": "Hospital", "procedure_group": "Group", "age_years": "Age",
        "index_date": "Operated", "q1_score_ohs": "OHS_before", "q2_score_ohs": "OHS_after",
    }  # fmt: skip
    mine = episodes[list(names)].rename(columns=names)
    mine = mine.assign(frailty=np.arange(len(mine)) % 9 + 1, handedness="R", Ignored=1)
    mine.to_csv(tmp_path / "episodes.csv", index=False)
    (tmp_path / "mine.yaml").write_text(
        re.findall(r"```yaml\n(name: .*?)```", README, flags=re.S)[0]
    )
    out = tmp_path / "out"
    code, _, err = riskadj("run", tmp_path / "mine.yaml", "--out", out, "--set", "tracking.uri=off")
    assert code == 0, err
    assert (pd.read_csv(out / "providers.csv")["learner"].value_counts() > 20).all()


# Other verbs -------------------------------------------------------------------------------------


def test_validate_accepts_a_good_study_and_writes_nothing(study, riskadj):
    before = sorted(Path().rglob("*"))
    code, out, _ = riskadj("validate", study)
    assert code == 0
    assert "No faults" in out
    assert sorted(Path().rglob("*")) == before


def test_validate_lists_every_fault_of_the_study_at_once(study, riskadj):
    code, _, err = riskadj(
        "validate", study, "--set", "splitt=1", "--set", "profile.minimum_n=x",
        "--set", "outcomes.0.instrument=OHZ",
    )  # fmt: skip
    assert code == 10
    for fault in ("splitt", "minimum_n", "OHZ", "3 faults"):
        assert fault in err


def test_validate_lists_every_fault_of_the_data_at_once(study, riskadj, episodes, tmp_path):
    bad = episodes.copy()
    bad.loc[:7, "age_years"] = 400
    bad.loc[3, "q1_item_ohs_01"] = 9
    bad.to_parquet(tmp_path / "bad.parquet")
    code, _, err = riskadj("validate", study, "--set", f"data.paths=[{tmp_path / 'bad.parquet'}]")
    assert code == 23
    assert "age_years: wanted 0 to 120 years; 8 rows differ" in err
    assert err.count("row ") >= 6
    assert "q1_item_ohs_01" in err


def test_validate_hides_no_fault_behind_another(study, riskadj, episodes, tmp_path, monkeypatch):
    read = []
    monkeypatch.setattr(
        pipeline, "read_episodes", lambda *a, **k: read.append(a) or read_episodes(*a, **k)
    )
    episodes.assign(age_years=400.0).to_parquet(tmp_path / "bad.parquet")
    paths = [tmp_path / "bad.parquet", tmp_path / "absent.parquet"]
    code, _, err = riskadj(
        "validate", study, "--set", "splitt=1", "--set", f"data.paths=[{paths[0]}, {paths[1]}]"
    )
    assert code == 10
    for fault in ("splitt", "age_years: wanted 0 to 120", "absent.parquet", "3 faults"):
        assert fault in err
    assert len(read) == 2


def test_validate_checks_case_mix_when_there_is_no_cohort(study, riskadj):
    code, _, err = riskadj(
        "validate", study, "--set", 'split.test=["1999"]',
        "--set", "casemix.columns=[age_yeras, q2_score_ohs]",
    )  # fmt: skip
    assert code in (11, 12, 30)
    for fault in ("'1999'", "'age_yeras'", "'q2_score_ohs'", "3 faults"):
        assert fault in err


def test_validate_finds_an_episode_that_is_in_two_files(study, riskadj, episodes, tmp_path):
    for name in ("one", "two"):
        episodes.to_parquet(tmp_path / f"{name}.parquet")
    files = f"{tmp_path / 'one.parquet'}, {tmp_path / 'two.parquet'}"
    code, _, err = riskadj("validate", study, "--set", f"data.paths=[{files}]")
    assert code == 23
    assert "episode_id: wanted each value once" in err
    assert "1 fault;" in err


def test_schema_is_json_and_knows_the_keys(riskadj):
    code, out, _ = riskadj("schema")
    assert code == 0
    assert {"cohort", "casemix", "split"} <= set(json.loads(out)["properties"])


def test_simulate_writes_episodes_that_a_study_can_use(riskadj, tmp_path):
    out = tmp_path / "world.csv.gz"
    code, printed, err = riskadj("simulate", ROOT / "configs/scenarios/demo.yaml", "--out", out)
    assert code == 0, err
    assert out.exists()
    assert "truth" in printed


def test_columns_lists_what_the_table_may_hold(riskadj):
    code, out, _ = riskadj("columns", "q1_score_*")
    assert code == 0
    assert "q1_score_ohs" in out
    assert "q2_score_ohs" not in out


def test_columns_that_match_nothing_are_refused(riskadj):
    code, _, err = riskadj("columns", "age_yeras")
    assert code == 12
    assert "Did you mean 'age_years'?" in _last_line(err)
    code, _, err = riskadj("columns", "zzz")
    assert code == 12
    assert "riskadj columns lists them all" in _last_line(err)


@pytest.mark.parametrize("arguments", [("rnu",), ("run",), ("run", "x.yaml", "--outt", "y")])
def test_a_command_line_that_cannot_be_understood_leaves_with_2(riskadj, arguments):
    code, _, err = riskadj(*arguments)
    assert code == 2
    assert "Usage" in err


def test_every_verb_of_the_readme_has_help(riskadj):
    verbs = set(re.findall(r"^    riskadj (\w+)", README, flags=re.M))
    assert set(VERBS) == verbs
    for verb in verbs:
        code, out, _ = riskadj(verb, "--help")
        assert code == 0
        assert "Usage" in out


def test_the_help_names_every_exit_code_of_the_readme(riskadj):
    table = README.split("## Errors")[1].split("## Limits")[0]
    codes = {int(one) for one in re.findall(r"\| (\d+) \|", table)}
    told = re.split(r"Exit\s+codes:", riskadj("--help")[1])[1]
    spans = [(int(a), int(b or a)) for a, b in re.findall(r"(\d+)(?:-(\d+))?", told)]
    named = {one for low, high in spans for one in range(low, high + 1)}
    assert codes
    assert codes <= named


# Bad input ---------------------------------------------------------------------------------------


def _damage(episodes, how):
    """Return episodes with one thing wrong."""
    bad = episodes.copy()
    if how == "one provider":
        bad["provider_id"] = "A"
    elif how == "no provider column":
        bad = bad.drop(columns="provider_id")
    elif how == "no outcome column":
        bad = bad.drop(columns=[one for one in bad if one.startswith("q2_") and "eq5d" in one])
    elif how == "no variation":
        bad[[one for one in bad if one.startswith("q2_item_ohs")]] = 4.0
        bad["q2_score_ohs"] = 48.0
        bad[["q2_sent", "q2_returned"]] = 1.0
    elif how == "out of range":
        bad.loc[4, "q1_score_eqvas"] = 101.0
    elif how == "score that is not its items'":
        bad.loc[bad["q1_score_ohs"].first_valid_index(), "q1_score_ohs"] += 1.0
    return bad


@pytest.mark.parametrize(
    ("how", "code", "says"),
    [
        ("one provider", 31, "wanted two providers"),
        ("no provider column", 22, "'provider_id'"),
        ("no outcome column", 22, "'q2_score_eq5d'"),
        ("no variation", 32, "48 for all"),
        ("out of range", 23, "q1_score_eqvas: wanted 0 to 100"),
        ("score that is not its items'", 23, "its items give"),
    ],
)
def test_bad_episodes_are_refused(study, riskadj, episodes, tmp_path, how, code, says):
    path = tmp_path / "bad.parquet"
    _damage(episodes, how).to_parquet(path)
    light = ["learners=[{kind: linear}]", "profile.replicates=0", "profile.sensitivity={}"]
    _refused(riskadj, tmp_path, study, [f"data.paths=[{path}]", *light], code, says)


@pytest.mark.parametrize(
    ("settings", "code", "says"),
    [
        (["data.paths=[nowhere.parquet]"], 20, "nowhere.parquet"),
        (["split.tset=[1]"], 10, "Did you mean 'test'?"),
        (["outcomes.0.instrument=OHSS"], 12, "Did you mean 'OHS'?"),
        (["casemix.columns=[age_years, q2_score_ohs]"], 11, "only after the episode"),
        (["casemix.columns=[age_years, readmitted]"], 11, "'readmitted'"),
        (["casemix.columns=[age_years, provider_id]"], 11, "'provider_id'"),
        (["casemix.columns=[age_yeras]"], 12, "Did you mean 'age_years'?"),
        (["cohort.exclude=[{column: age_years, above: 0, reason: all}]"], 30, "all (12,000)"),
        (['split.test=["1999"]'], 30, "1999"),
        (["learners=[{kind: reference}]"], 22, "reference_predicted_ohs"),
        (["split.folds"], 10, "wanted key=value"),
    ],
)
def test_bad_settings_are_refused(study, riskadj, tmp_path, settings, code, says):
    _refused(riskadj, tmp_path, study, settings, code, says)


@pytest.mark.parametrize("name", ["cut.parquet", "cut.zip", "cut.csv.gz"])
def test_cut_off_files_are_refused(study, riskadj, home, tmp_path, name):
    whole = (home / "runs/demo-world/episodes.parquet").read_bytes()
    (tmp_path / name).write_bytes(whole[:1000])
    form = "parquet" if name.endswith("parquet") else "csv"
    settings = [f"data.paths=[{tmp_path / name}]", f"data.format={form}"]
    _refused(riskadj, tmp_path, study, settings, 21, name)


def test_a_zip_of_something_else_is_refused(study, riskadj, episodes, tmp_path):
    wrong = tmp_path / "wrong.zip"
    episodes.head(50).to_csv(
        wrong, index=False, compression={"method": "zip", "archive_name": "wrong.csv"}
    )
    settings = [f"data.paths=[{wrong}]", "data.format=nhs_proms"]
    _refused(riskadj, tmp_path, study, settings, 21, "wanted an NHS England PROMs record file")


def test_a_folder_that_cannot_be_written_is_refused_before_the_work(study, riskadj):
    code, _, err = riskadj("run", study, "--out", "/proc/nowhere/out")
    assert code == 40
    assert "reading episodes" not in err
    assert _last_line(err).startswith("riskadj: error: /proc/nowhere/out: wanted to write")


def test_a_folder_with_other_things_in_it_is_refused(study, riskadj, tmp_path):
    (tmp_path / "mine.txt").write_text("keep me")
    code, _, err = riskadj("run", study, "--out", tmp_path)
    assert code == 40
    assert "other things" in err
    assert (tmp_path / "mine.txt").read_text() == "keep me"


def test_a_full_disk_leaves_nothing(study, riskadj, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pd.DataFrame, "to_parquet", full)
    _refused(riskadj, tmp_path, study, QUICK, 40, "No space left")


def test_an_unreachable_server_leaves_the_results_and_says_how_to_log_them(
    study, riskadj, tmp_path
):
    out = tmp_path / "out"
    code, _, err = riskadj(
        "run", study, "--out", out, "--set", "tracking.uri=http://127.0.0.1:9", *quickly(),
    )  # fmt: skip
    assert code == 41
    assert f"riskadj log {out}" in _last_line(err)
    assert (out / "provenance.json").exists()
    store = f"sqlite:///{tmp_path / 'later.db'}"
    code, printed, _ = riskadj("log", out, "--tracking-uri", store)
    assert code == 0
    assert store in printed


def test_a_password_stays_out_of_the_run_folder(study, riskadj, tmp_path):
    out = tmp_path / "out"
    code, _, err = riskadj(
        "run", study, "--out", out, "--set", "tracking.uri=http://me:hid/den7@127.0.0.1:9",
        *quickly(),
    )  # fmt: skip
    assert code == 41
    assert "den7" not in err
    assert not any(b"den7" in one.read_bytes() for one in out.rglob("*") if one.is_file())
    code, _, err = riskadj("log", out)
    assert code == 41
    assert "without its password" in _last_line(err)
    assert "--tracking-uri URI" in _last_line(err)


# Interruption ------------------------------------------------------------------------------------


def _interrupt(*_, **__):
    raise KeyboardInterrupt


def test_an_interrupted_run_says_that_nothing_was_kept(study, riskadj, tmp_path, monkeypatch):
    monkeypatch.setattr(pipeline, "cross_fit", _interrupt)
    code, _, err = riskadj("run", study, "--out", tmp_path / "out")
    assert code == 130
    assert _last_line(err) == "riskadj: error: interrupted. No results were kept."
    assert not list(tmp_path.iterdir())


def test_an_interrupted_log_says_where_the_results_are(study, riskadj, tmp_path, monkeypatch):
    monkeypatch.setattr(tracking, "log_run", _interrupt)
    out = tmp_path / "out"
    code, _, err = riskadj("run", study, "--out", out, *quickly())
    assert code == 130
    assert f"The results are in {out}; log them with: riskadj log {out}" in _last_line(err)
    assert (out / "provenance.json").exists()


def test_a_run_that_is_told_to_end_cleans_up(study, tmp_path):
    command = [sys.executable, "-c", "from riskadj.cli import main; main()", "run", study]
    with subprocess.Popen(
        [*command, "--out", tmp_path / "out"], stderr=subprocess.PIPE, text=True
    ) as running:
        while "reading episodes" not in running.stderr.readline():
            assert running.poll() is None
        running.send_signal(signal.SIGTERM)
        err = running.stderr.read()
    assert running.returncode == 130
    assert _last_line(err) == "riskadj: error: interrupted. No results were kept."
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("heard", ["reading episodes", "fitting and testing"])
def test_ctrl_c_reaches_a_cluster_and_leaves_one_line(heard, study, tmp_path):
    command = [sys.executable, "-c", "from riskadj.cli import main; main()", "run", study]
    with subprocess.Popen(
        [*command, "--out", tmp_path / "out", "--set", "engine=dask"],
        stderr=subprocess.PIPE, text=True, start_new_session=True,
    ) as running:  # fmt: skip
        while heard not in running.stderr.readline():
            assert running.poll() is None
        os.killpg(running.pid, signal.SIGINT)  # as a terminal does, to the workers, too
        err = running.stderr.read()
    assert running.returncode == 130
    assert "Traceback" not in err
    assert len([one for one in err.splitlines() if "interrupted" in one]) == 1
    assert _last_line(err).startswith("riskadj: error: interrupted.")
    assert not (tmp_path / "out").exists()
    until = time.monotonic() + 30
    while left := alive_in_group(running.pid):
        assert time.monotonic() < until, left
        time.sleep(0.1)


@pytest.mark.slow
@pytest.mark.parametrize("heard", ["reading", "expect", "explain"])
def test_a_killed_run_leaves_no_worker_and_the_next_one_the_same_bytes(heard, study, tmp_path):
    pytest.importorskip("distributed")
    command = [sys.executable, "-c", "from riskadj.cli import main; main()", "run", study,
               "--set", "engine=dask", "--set", "tracking.uri=off", *quickly()]  # fmt: skip
    subprocess.run([*command, "--out", tmp_path / "whole"], check=True, capture_output=True)
    with subprocess.Popen(
        [*command, "--out", tmp_path / "out"],
        stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, start_new_session=True,
    ) as running:  # fmt: skip
        while heard not in running.stderr.readline():
            assert running.poll() is None
        running.kill()
        running.communicate()
    assert running.returncode == -signal.SIGKILL
    assert not (tmp_path / "out").exists()
    until = time.monotonic() + 30
    while left := alive_in_group(running.pid):
        assert time.monotonic() < until, left
        time.sleep(0.1)
    subprocess.run([*command, "--out", tmp_path / "out"], check=True, capture_output=True)
    kept = [one for one in (tmp_path / "whole").rglob("*") if one.suffix in (".csv", ".parquet")]
    assert len(kept) > 20
    for path in kept:
        again = tmp_path / "out" / path.relative_to(tmp_path / "whole")
        assert path.read_bytes() == again.read_bytes(), path.name


def alive_in_group(group):
    """Return the processes of a group that are no mere entry in the machine's table."""
    found = psutil.process_iter(["status"])
    alive = [one for one in found if one.info["status"] != psutil.STATUS_ZOMBIE]
    return [one for one in alive if one.is_running() and os.getpgid(one.pid) == group]


def quickly():
    """Return the options of a run whose figures do not matter."""
    return [one for setting in QUICK for one in ("--set", setting)]


def _refused(riskadj, tmp_path, study, settings, code, says):
    out = tmp_path / "out"
    options = [one for setting in settings for one in ("--set", setting)]
    got, _, err = riskadj("run", study, "--out", out, "--set", "tracking.uri=off", *options)
    line = _last_line(err)
    assert got == code, err
    assert line.startswith("riskadj: error: ")
    assert says in line
    assert "Traceback" not in err
    assert not out.exists()
    assert not list(tmp_path.glob(".*.partial-*"))
    shutil.rmtree(out, ignore_errors=True)


def _last_line(err):
    return err.strip().splitlines()[-1]
