"""A finished run is logged whole, again when asked, and without a row of any patient's data."""

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from run_folders import MEMBERS, NAMES, made_up_casemix, made_up_run, sealed

import riskadj
from riskadj.errors import (
    ColumnError,
    FileFormatError,
    FileMissingError,
    TrackingError,
    ValuesError,
)
from riskadj.expected import load_model
from riskadj.tracking import LoggedRun, log_run
from riskadj.tracking.log import MAY_LEAVE

FRESH = """
import sys, mlflow, pandas as pd
uri, asked, answers = sys.argv[1:4]
mlflow.set_tracking_uri(uri)
for position, model_uri in enumerate(sys.argv[4:]):
    model = mlflow.pyfunc.load_model(model_uri)
    for name in ("plain", "folded"):
        frame = pd.read_parquet(f"{asked}/{name}.parquet")
        model.predict(frame).to_parquet(f"{answers}/{position}-{name}.parquet")
"""


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_up_run(tmp_path_factory.mktemp("runs") / "example")


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"sqlite:///{tmp_path_factory.mktemp('tracking')}/not/there/yet/mlflow.db"


@pytest.fixture(scope="session")
def logged(finished: Path, store: str) -> LoggedRun:
    return log_run(finished, store)


@pytest.fixture(scope="session")
def client(store, logged):
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=store)


@pytest.fixture(scope="session")
def run(client, logged):
    return client.get_run(logged.run_id)


@pytest.fixture
def at_store(store):
    """Make the store the one that MLflow's own functions use."""
    import mlflow

    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(store)
    yield
    mlflow.set_tracking_uri(before)


def artifact_root(run) -> Path:
    return Path(run.info.artifact_uri.removeprefix("file://"))


def test_the_run_is_finished_under_the_study_s_names(run, logged, client):
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "example_hip 2"
    assert logged.experiment == "hips"
    assert client.get_experiment(run.info.experiment_id).name == "hips"


def test_every_choice_of_the_study_is_a_parameter(run):
    params = run.data.params
    assert params["split.seed"] == "7"
    assert params["split.train"] == "2016/17, 2017/18"
    assert params["learners.lightgbm.trees"] == "20"
    assert params["cohort.exclude.sex.values"] == "x, 1.0"
    assert params["data.columns"] == "[]"
    assert len(params["card.intended_use"]) == 6000


def test_no_place_of_this_computer_is_logged(run):
    assert run.data.params["data.paths"] == "episodes.csv"
    texts = [path.read_text() for path in artifact_root(run).parent.parent.rglob("*.json")]
    assert len(texts) > 4
    assert not any("/secret/place" in one for one in [*texts, *run.data.params.values()])


def test_finite_numbers_are_metrics(run):
    assert run.data.metrics == {
        "ohs.linear.r2": 0.25,
        "ohs.linear.n": 400,
        "ohs.lightgbm.r2": 0.3,
        "ohs.lightgbm.mae": 6.5,
    }


def test_tags_hold_the_chain_of_digests(run):
    tags = run.data.tags
    assert tags["riskadj.version"] == "0.1.0"
    assert tags["riskadj.study.digest"] == "5" * 64
    assert tags["riskadj.code.digest"] == "c" * 64
    assert tags["riskadj.stage.00.read"] == "1" * 64
    assert tags["riskadj.stage.01.select"] == "2" * 64


def test_data_are_named_and_not_held(run):
    (entry,) = run.inputs.dataset_inputs
    assert entry.dataset.name == "episodes.csv"
    assert entry.dataset.digest == "d" * 36
    assert json.loads(entry.dataset.profile) == {"num_rows": 1234, "sha256": "d" * 64}


def test_only_what_may_leave_is_an_artifact(run):
    root = artifact_root(run)
    held = {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}
    assert held == {*MAY_LEAVE, "study.json", "figures/funnel.svg"} - {"figures/*.svg"}


def test_nothing_of_a_patient_is_in_the_store(run, store):
    root = Path(store.removeprefix("sqlite:///")).parent
    assert artifact_root(run).is_relative_to(root / "mlartifacts")
    names = [path.name for path in root.rglob("*")]
    assert not [one for one in names if one.endswith((".parquet", ".pkl")) or one == "notes.txt"]
    assert not any(b"a patient's data" in p.read_bytes() for p in root.rglob("*") if p.is_file())


def test_logging_again_adds_a_run(finished, store, logged, client, run):
    before = {one.info.run_id for one in client.search_runs([run.info.experiment_id])}
    again = log_run(finished, store)
    after = {one.info.run_id for one in client.search_runs([run.info.experiment_id])}
    assert again.run_id != logged.run_id
    assert after == before | {again.run_id}
    assert not set(again.models) & set(logged.models)


def test_another_experiment_can_be_named(finished, store, client):
    other = log_run(finished, store, experiment="elsewhere")
    run = client.get_run(other.run_id)
    assert client.get_experiment(run.info.experiment_id).name == other.experiment == "elsewhere"


def test_models_belong_to_the_run_and_carry_its_metrics(client, logged, run):
    models = [client.get_logged_model(one.removeprefix("models:/")) for one in logged.models]
    assert [one.name for one in models] == ["ohs-lightgbm", "ohs-linear"]
    assert {one.status for one in models} == {"READY"}
    assert {one.source_run_id for one in models} == {logged.run_id}
    outputs = {one.model_id for one in run.outputs.model_outputs}
    assert outputs == {one.model_id for one in models}
    assert {one.key: one.value for one in models[0].metrics} == {
        "ohs.lightgbm.r2": 0.3,
        "ohs.lightgbm.mae": 6.5,
    }


def test_models_say_what_they_take_and_need(logged, at_store):
    from mlflow import artifacts
    from mlflow.models import Model

    folder = artifacts.download_artifacts(logged.models[0])
    model = Model.load(folder)
    inputs = {one["name"]: one for one in model.signature.inputs.to_dict()}
    assert list(inputs) == [*NAMES, "fold"]
    assert not any(one["required"] for one in inputs.values())
    assert inputs["sex"]["type"] == "string"
    assert inputs["comorb_heart"]["type"] == inputs["fold"]["type"] == "double"
    (output,) = model.signature.outputs.to_dict()
    assert (output["name"], output["type"]) == ("expected_score", "double")
    example = json.loads(Path(folder, "input_example.json").read_text())
    assert example["columns"] == list(NAMES)
    assert len(example["data"]) == 1
    requirements = Path(folder, "requirements.txt").read_text()
    assert f"riskadj=={riskadj.__version__}" in requirements


@pytest.fixture(scope="session")
def answers(logged, store, tmp_path_factory) -> Path:
    """Ask the logged models in an interpreter that has never seen them."""
    folder = tmp_path_factory.mktemp("fresh")
    casemix = made_up_casemix(30)
    casemix.loc[:9, "sex"] = None
    casemix.loc[5:15, "q1_score_ohs"] = np.nan
    casemix.to_parquet(folder / "plain.parquet")
    casemix.assign(fold=np.arange(30.0) % MEMBERS).to_parquet(folder / "folded.parquet")
    source = str(Path(riskadj.__file__).parents[1])
    environment = os.environ | {"PYTHONPATH": source, "MLFLOW_DISABLE_TELEMETRY": "true"}
    command = [sys.executable, "-c", FRESH, store, str(folder), str(folder), *logged.models]
    subprocess.run(command, check=True, env=environment, cwd=folder, capture_output=True)
    return folder


@pytest.mark.parametrize("name", ["plain", "folded"])
@pytest.mark.parametrize(("position", "learner"), [(0, "lightgbm"), (1, "linear")])
def test_a_fresh_interpreter_gives_the_same_expectations(
    answers, finished, name, position, learner
):
    casemix = pd.read_parquet(answers / f"{name}.parquet")
    fold = casemix["fold"].astype(int) if name == "folded" else None
    expected = load_model(finished / "models" / f"ohs-{learner}").expect(casemix, fold)
    answered = pd.read_parquet(answers / f"{position}-{name}.parquet")
    assert list(answered.columns) == ["expected_score"]
    np.testing.assert_allclose(answered["expected_score"], expected, rtol=0, atol=1e-9)


@pytest.fixture
def pyfunc(logged, at_store):
    import mlflow

    return mlflow.pyfunc.load_model(logged.models[1])


def test_a_fold_that_the_model_has_not_is_refused(pyfunc):
    casemix = made_up_casemix(4)
    with pytest.raises(ValuesError, match=r"wanted `fold` from 0 to 2 for every .*; got -1 in 2"):
        pyfunc.predict(casemix.assign(fold=[-1.0, 0.0, 1.0, np.nan]))


def test_a_fold_that_is_missing_throughout_is_none(pyfunc):
    casemix = made_up_casemix(4)
    with_fold = pyfunc.predict(casemix.assign(fold=np.nan))
    pd.testing.assert_frame_equal(with_fold, pyfunc.predict(casemix))


def test_an_absent_column_is_refused_though_missing_values_are_not(pyfunc):
    with pytest.raises(ColumnError, match="got none called sex"):
        pyfunc.predict(made_up_casemix(4).drop(columns="sex"))


class NoMLflow(BaseHTTPRequestHandler):
    """A server of something else."""

    def do_GET(self) -> None:
        self.send_error(404)

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="session")
def other_server():
    server = HTTPServer(("127.0.0.1", 0), NoMLflow)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def mute_server():
    """Listen, and hang up on whoever calls."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def hang_up() -> None:
            with suppress(OSError):
                while True:
                    listener.accept()[0].close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def refused(folder: Path, uri: str) -> str:
    start = time.monotonic()
    with pytest.raises(TrackingError) as refusal:
        log_run(folder, uri)
    assert time.monotonic() - start < 10
    message = str(refusal.value)
    assert refusal.value.exit_code == 41
    assert "\n" not in message
    assert message.endswith(
        f"The results are in {folder}; log them later with: riskadj log {folder} --tracking-uri URI"
    )
    return message


@pytest.mark.parametrize(
    ("uri", "why"),
    [
        ("nonsense://somewhere", "unsupported URI"),
        ("file:///tmp/mlruns", "filesystem tracking backend"),
        ("off", "no place to log to"),
        ("postgresql://somebody:se/secret@127.0.0.1:1/runs", "refused"),
        ("postgresql://somebody:at@secret@127.0.0.1:1/runs", "refused"),
        ("postgresql://***@127.0.0.1:1/runs", "without its password"),
        ("http://127.0.0.1:1", "refused"),
        ("http://somebody:secret@127.0.0.1:1", "refused"),
        ("postgresql://somebody:secret@127.0.0.1:1/runs", "refused"),
        ("http://127.0.0.1:abc", "abc"),
        ("sqlite://", "a database without a file"),
        ("sqlite:////proc/nowhere/mlflow.db", "/proc/nowhere"),
    ],
)
def test_a_store_that_cannot_be_used_is_refused_at_once(finished, uri, why):
    message = refused(finished, uri)
    assert why in message
    assert "secret" not in message


def test_a_file_that_is_no_database_is_refused(finished, tmp_path):
    (tmp_path / "mlflow.db").write_text("not a database, but long enough to be looked at")
    assert "not a database" in refused(finished, f"sqlite:///{tmp_path}/mlflow.db")


def test_a_folder_below_a_file_is_refused(finished, tmp_path):
    (tmp_path / "file").write_text("")
    assert "mlflow.db: wanted to log a run" in refused(
        finished, f"sqlite:///{tmp_path}/file/mlflow.db"
    )


def test_a_server_of_something_else_is_refused(finished, other_server):
    assert "404" in refused(finished, other_server)


def test_a_server_that_hangs_up_is_refused(finished, mute_server, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    assert "got a server that went away while it was asked." in refused(finished, mute_server)


def test_a_run_that_failed_half_way_says_so(finished, store, client, tmp_path):
    broken = shutil.copytree(finished, tmp_path / "broken")
    (broken / "models" / "ohs-linear" / "model.json").write_text("{")
    sealed(broken)
    with pytest.raises(FileFormatError, match="wanted a saved model"):
        log_run(broken, store, experiment="broken")
    experiment = client.get_experiment_by_name("broken").experiment_id
    assert [one.info.status for one in client.search_runs([experiment])] == ["FAILED"]


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(FileMissingError, match="finished run; got a folder without"):
        log_run(tmp_path, "sqlite://")
    with pytest.raises(FileMissingError, match="finished run; got nothing there"):
        log_run(tmp_path / "gone", "sqlite://")


def test_a_store_that_was_not_there_is_named_once(finished, riskadj, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    asked = ("log", finished, "--tracking-uri", "sqlite:///gone/mlflow.db")
    code, out, err = riskadj(*asked)
    assert (code, err) == (0, f"a new store was made: {tmp_path / 'gone' / 'mlflow.db'}\n")
    assert out.startswith("logged as run")
    assert riskadj(*asked)[2] == ""


@pytest.mark.parametrize(
    "name", ["metrics.json", "providers.csv", "card.json", "models/ohs-lightgbm/trees_0.txt"]
)
def test_a_file_that_was_changed_is_refused_before_anything_is_logged(name, finished, tmp_path):
    broken = shutil.copytree(finished, tmp_path / "broken")
    (broken / name).write_text("{")
    with pytest.raises(FileFormatError, match=f"{name}: wanted the file as its run wrote it"):
        log_run(broken, f"sqlite:///{tmp_path}/none.db")
    assert not (tmp_path / "none.db").exists()


def test_nothing_is_printed_and_no_setting_is_left_behind(finished, store, capfd):
    before = dict(os.environ)
    log_run(finished, store)
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "")
    assert dict(os.environ) == before | {"MLFLOW_DISABLE_TELEMETRY": "true"}


def test_models_stay_where_a_study_says_so(tmp_path):
    folder = made_up_run(tmp_path / "kept")
    study = json.loads((folder / "study.json").read_text())
    study["tracking"]["models"] = False
    (folder / "study.json").write_text(json.dumps(study))
    sealed(folder)
    logged = log_run(folder, f"sqlite:///{tmp_path}/mlflow.db")
    assert logged.models == ()
    assert not list(tmp_path.glob("mlartifacts/**/MLmodel"))
    assert list(tmp_path.glob("mlartifacts/**/providers.csv"))
