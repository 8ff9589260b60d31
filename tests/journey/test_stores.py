"""Runs go into a store whole or as failed ones, whoever else writes, is killed or goes away."""

import json
import logging
import math
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest
import requests
from run_folders import made_up_run
from worlds import LINEAR, episode_frame, study_content, write_study

from riskadj.errors import TrackingError
from riskadj.report.folder import MARK, files_in
from riskadj.tracking import log, log_run, opening, store
from riskadj.tracking.log import MAY_LEAVE, flatten
from riskadj.tracking.nested import nested_runs
from riskadj.tracking.registry import SEAL

SOURCE = Path(log.__file__).parents[2]
AT_ONCE = 8
ENVIRONMENT = os.environ | {"PYTHONPATH": str(SOURCE), "MLFLOW_DISABLE_TELEMETRY": "true"}


def loggers(verb: str, uri: str, *arguments: object, place: Path):
    """Return what the processes of `loggers.py` say."""
    script = Path(__file__).parents[1] / "loggers.py"
    command = [sys.executable, str(script), verb, uri, *map(str, arguments)]
    done = subprocess.run(
        command, cwd=place, env=ENVIRONMENT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


@dataclass(frozen=True)
class Held:
    """What a store holds, looked at straight, whatever its runs were logged through."""

    uri: str
    served: Path | None = None  # where a tracking server keeps artifacts
    experiment: str = "hips"

    @cached_property
    def client(self):
        from mlflow import MlflowClient

        return MlflowClient(tracking_uri=self.uri)

    @property
    def number(self) -> str:
        every = self.client.search_experiments()
        (number,) = [one.experiment_id for one in every if one.name == self.experiment]
        return number

    @property
    def runs(self):
        return self.client.search_runs([self.number])

    @property
    def statuses(self) -> dict[str, int]:
        return dict(Counter(one.info.status for one in self.runs))

    @property
    def models(self):
        return self.client.search_logged_models([self.number])

    def files(self, location: str) -> dict[str, bytes]:
        if self.served is None:
            place = Path(location.removeprefix("file://"))
        else:
            place = self.served / location.removeprefix("mlflow-artifacts:/").lstrip("/")
        return {name: path.read_bytes() for name, path in files_in(place).items()}

    def assert_whole(self, run_id: str, folder: Path) -> None:
        """All of a run is there, and all that is there is of this run."""
        study, metrics, provenance = (
            json.loads((folder / one).read_text()) for one in ("study.json", "metrics.json", MARK)
        )
        run = self.client.get_run(run_id)
        assert run.info.status == "FINISHED"
        assert run.info.run_name == f"{study['name']} {study['version']}"
        assert run.data.tags[SEAL] == provenance["seal"]
        assert run.data.params == params_of(study)
        assert run.data.metrics == pytest.approx(figures_of(metrics), rel=1e-12)
        held = self.files(run.info.artifact_uri)
        leaving = {
            path.relative_to(folder).as_posix() for one in MAY_LEAVE for path in folder.glob(one)
        }
        assert set(held) == leaving | {"study.json"}
        assert [one for one in leaving if held[one] != (folder / one).read_bytes()] == []
        self._assert_models(run, folder)

    def _assert_models(self, run, folder: Path) -> None:
        models = {one.name: one for one in self.models if one.source_run_id == run.info.run_id}
        assert set(models) == {one.name for one in folder.glob("models/*")}
        assert {one.model_id for one in models.values()} == {
            one.model_id for one in run.outputs.model_outputs
        }
        for name, model in models.items():
            assert model.status == "READY"
            held = self.files(model.artifact_location)
            written = files_in(folder / "models" / name)
            assert {one for one in held if one.startswith("artifacts/")} == {
                f"artifacts/{name}/{one}" for one in written
            }
            for one, path in written.items():
                assert held[f"artifacts/{name}/{one}"] == path.read_bytes()


def params_of(study: dict) -> dict[str, str]:
    """Return the parameters of a study: all of it but places."""
    content = {key: value for key, value in study.items() if key not in ("tracking", "export")}
    paths = [Path(one).name for one in study["data"]["paths"]]
    flat = flatten(content | {"data": study["data"] | {"paths": paths}})
    return {key: value[:6000] for key, value in flat.items()}


def figures_of(metrics: dict) -> dict[str, float]:
    return {
        f"{outcome}.{learner}.{name}": value
        for outcome, learners in metrics.items()
        for learner, figures in learners.items()
        for name, value in figures.items()
        if isinstance(value, (int, float)) and math.isfinite(value)
    }


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> list[Path]:
    """Return as many run folders as are logged at once, with nothing in common."""
    place = tmp_path_factory.mktemp("runs")
    return [made_up_run(place / f"run{k}", f"study_{k}", k / AT_ONCE) for k in range(AT_ONCE)]


@pytest.fixture(scope="module")
def empty(folders, tmp_path_factory) -> Path:
    """Return a store without any run of ours, to be copied: one is not made in no time."""
    place = tmp_path_factory.mktemp("empty") / "mlflow.db"
    with store.mlflow_at_work():
        opening.open_store(f"sqlite:///{place}", "hips")
    return place


@pytest.fixture
def there(empty, tmp_path) -> str:
    """Return the URI of a store that is there."""
    shutil.copyfile(empty, tmp_path / "mlflow.db")
    return f"sqlite:///{tmp_path}/mlflow.db"


def refused(folder: Path, uri: str, experiment: str | None = None) -> str:
    """Return the one line that says why a run was not logged, and where it is."""
    with pytest.raises(TrackingError) as refusal:
        log_run(folder, uri, experiment)
    message = str(refusal.value)
    assert "\n" not in message
    assert message.endswith(
        f"The results are in {folder}; log them later with: riskadj log {folder} --tracking-uri URI"
    )
    return message


# Eight at once -----------------------------------------------------------------------------------


def assert_none_lost_none_mixed(held: Held, answers: list, times: int, folders: list[Path]) -> None:
    assert [refusal for *_, refusal in answers if refusal] == []
    assert Counter(folder for folder, *_ in answers) == {str(one): times for one in folders}
    assert len({run_id for _, run_id, *_ in answers}) == times * AT_ONCE
    assert held.statuses == {"FINISHED": times * AT_ONCE}
    assert len(held.models) == 2 * times * AT_ONCE
    for folder, run_id, *_ in answers:
        held.assert_whole(run_id, Path(folder))


@pytest.mark.parametrize("times", [1, pytest.param(4, marks=pytest.mark.slow)])
def test_eight_runs_at_once_are_logged_whole_into_one_sqlite_store(times, folders, tmp_path):
    uri = f"sqlite:///{tmp_path}/not/there/mlflow.db"
    answers = loggers("together", uri, times, *folders, place=tmp_path)
    assert_none_lost_none_mixed(Held(uri), answers, times, folders)
    assert sum(new for _, _, new, *_ in answers) == 1
    assert {one.name for one in (tmp_path / "not/there").iterdir()} == {
        "mlflow.db", ".mlflow.db.lock", "mlartifacts"
    }  # fmt: skip


@pytest.fixture(scope="module")
def postgres():
    """Yield how to make a database in a PostgreSQL of our own, which listens to a socket only."""
    pytest.importorskip("psycopg2", reason="psycopg2 is not installed")
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"))
    if not found:
        pytest.skip("PostgreSQL is not installed (apt install postgresql)")
    as_nobody = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
    place = Path(tempfile.mkdtemp(prefix="riskadj-pg-"))
    if as_nobody:
        shutil.chown(place, "postgres")

    def call(program: str, *arguments: str) -> None:
        command = [*as_nobody, str(found[-1].with_name(program)), *arguments]
        subprocess.run(command, check=True, cwd=place, stdout=subprocess.DEVNULL)

    data, options = str(place / "data"), f"-c listen_addresses= -c fsync=off -k {place}"
    try:
        call("initdb", "-D", data, "-A", "trust", "-U", "riskadj", "--no-sync")
        call("pg_ctl", "start", "-w", "-D", data, "-l", str(place / "log"), "-o", options)
        try:
            yield lambda name: _database(call, place, name)
        finally:
            call("pg_ctl", "stop", "-w", "-m", "immediate", "-D", data)
    finally:
        shutil.rmtree(place)


def _database(call, place: Path, name: str) -> str:
    call("createdb", "-h", str(place), "-U", "riskadj", name)
    return f"postgresql+psycopg2://riskadj@/{name}?host={place}"


@pytest.mark.slow
def test_eight_runs_at_once_are_logged_whole_into_one_postgresql(folders, postgres, tmp_path):
    uri = postgres("logged")
    answers = loggers("together", uri, 2, *folders, place=tmp_path)
    assert_none_lost_none_mixed(Held(uri), answers, 2, folders)


@pytest.mark.slow
def test_a_database_that_is_not_there_is_refused_at_once(folders, postgres):
    uri = postgres("made").replace("/made?", "/nowhere?")
    start = time.monotonic()
    assert 'database "nowhere" does not exist' in refused(folders[0], uri)
    assert time.monotonic() - start < 10


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_eight_whole_runs_at_once_are_logged_whole(kind, request, tmp_path):
    if kind == "sqlite":
        uri = f"sqlite:///{tmp_path}/mlflow.db"
    else:
        uri = request.getfixturevalue("postgres")("whole")
    tracking = {"uri": uri, "experiment": "hips", "registered_model": "hip"}
    for k in range(AT_ONCE):
        (tmp_path / f"study{k}").mkdir()
        episode_frame(seed=k).to_csv(tmp_path / f"study{k}" / "episodes.csv", index=False)
        content = study_content(name=f"study_{k}", learners=LINEAR, tracking=tracking)
        write_study(tmp_path / f"study{k}", content)
    command = [sys.executable, "-c", "from riskadj.cli import main; main()", "run"]
    processes = [
        subprocess.Popen(
            [*command, f"study{k}/study.yaml", "--out", f"runs/{k}"],
            cwd=tmp_path, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )
        for k in range(AT_ONCE)
    ]  # fmt: skip
    ended = [(one.communicate()[1], one.returncode) for one in processes]
    assert [said for said, code in ended if code] == []
    held = Held(uri)
    assert held.statuses == {"FINISHED": AT_ONCE}
    for run in held.runs:
        folder = tmp_path / "runs" / run.info.run_name.split("_")[1].split()[0]
        held.assert_whole(run.info.run_id, folder)
    (registered,) = held.client.search_registered_models()
    versions = held.client.search_model_versions(f"name = '{registered.name}'")
    assert {one.run_id for one in versions} == {one.info.run_id for one in held.runs}
    assert {str(one.version) for one in versions} == {str(k + 1) for k in range(AT_ONCE)}


# Killed ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("seed", "kills"), [(1, 2), pytest.param(2, 60, marks=pytest.mark.slow)])
def test_a_killed_process_leaves_no_lock_and_nothing_that_looks_finished(
    seed, kills, folders, empty, tmp_path
):
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    said = loggers("killed", uri, folders[0], empty, seed, kills, place=tmp_path)
    assert not said["made"]
    assert all(one["died"] for one in said["left"])
    assert {status for one in said["left"] for status in one["runs"]} <= {"RUNNING", "FAILED"}
    begun = len(said["left"][-1]["runs"])
    assert begun >= kills // 2
    run_id, new, _, refusal = said["at_last"]
    assert (new, refusal) == (False, "")
    held = Held(uri)
    assert held.statuses == {"FINISHED": 1, "FAILED": begun}
    assert {one.status for one in held.models} <= {"READY", "FAILED"}
    held.assert_whole(run_id, folders[0])


def test_a_run_that_is_begun_twice_by_one_call_is_failed_once(folders, there, monkeypatch):
    """As when a server makes a run, is gone before it says so, and is asked again."""
    from mlflow import MlflowClient

    made = MlflowClient.create_run

    def twice(*arguments, **named):
        made(*arguments, **named)
        return made(*arguments, **named)

    monkeypatch.setattr(MlflowClient, "create_run", twice)
    logged = log_run(folders[0], there)
    assert Held(there).statuses == {"FINISHED": 1, "FAILED": 1}
    assert len(logged.failed) == 1
    monkeypatch.undo()
    assert log_run(folders[0], there).failed == ()


def test_runs_of_other_folders_are_left_running(folders, there):
    held = Held(there)
    other = held.client.create_run(held.number, tags={SEAL: "of another"}).info.run_id
    assert log_run(folders[0], there).failed == ()
    assert held.client.get_run(other).info.status == "RUNNING"


def test_what_a_killed_run_left_is_told_on_the_command_line(folders, there, riskadj):
    held = Held(there)
    seal = json.loads((folders[0] / MARK).read_text())["seal"]
    left = held.client.create_run(held.number, tags={SEAL: seal}).info.run_id
    code, _, err = riskadj("log", folders[0], "--tracking-uri", there)
    assert (code, err) == (0, f"marked as failed, for it was never ended: run {left}\n")


def test_cells_of_a_killed_experiment_are_failed_by_the_next_call(there):
    content = {"question": "?", "expectation": "none", "grid": [], "seed": 1}
    with nested_runs(there, "cells", "of", content) as runs:
        parent = runs.run_id
        tags = {"mlflow.parentRunId": parent, "riskadj.cell.digest": "d"}
        killed = runs.client.create_run(runs.experiment_id, tags=tags).info.run_id
    with nested_runs(there, "cells", "of", content) as runs:
        assert runs.run_id == parent
        runs.add("a cell", "d", "s", ["a=1"], {"x": {"r2": 0.5}})
    held = Held(there, experiment="cells")
    assert held.client.get_run(killed).info.status == "FAILED"
    assert held.statuses == {"FINISHED": 2, "FAILED": 1}


# Locked ------------------------------------------------------------------------------------------


class Locked:
    """A store, or the turn at it, that somebody else has for a while."""

    def __init__(self, database: Path, seconds: float) -> None:
        self._connection = sqlite3.connect(database, check_same_thread=False)
        self._connection.execute("BEGIN EXCLUSIVE")
        self._timer = threading.Timer(seconds, self._connection.close)

    def __enter__(self) -> None:
        self._timer.start()

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        self._timer.join()
        self._connection.close()


@pytest.mark.parametrize("name", ["mlflow.db", ".mlflow.db.lock"])
def test_a_store_that_is_locked_for_a_moment_is_waited_for(name, folders, there, tmp_path, capfd):
    with Locked(tmp_path / name, 0.7):
        logged = log_run(folders[0], there)
    Held(there).assert_whole(logged.run_id, folders[0])
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("name", "why"),
    [("mlflow.db", "got database is locked."), (".mlflow.db.lock", "got no turn in 0.2 s")],
)
def test_a_store_that_stays_locked_is_refused(name, why, folders, there, tmp_path, monkeypatch):
    monkeypatch.setattr(store, "_PATIENCE", 0.2)
    monkeypatch.setattr(opening, "PATIENCE", 0.2)
    with Locked(tmp_path / name, 60):
        assert why in refused(folders[0], there)
    assert Held(there).runs == []


@pytest.mark.slow
def test_a_store_that_is_locked_in_the_middle_is_refused_in_one_line(
    folders, there, tmp_path, monkeypatch, capfd
):
    """MLflow itself waits for 20 seconds; then the run can not even be marked as failed."""
    step = log._log_files
    locks = []

    def locked(*arguments):
        step(*arguments)
        locks.append(Locked(tmp_path / "mlflow.db", 600))

    monkeypatch.setattr(log, "_log_files", locked)
    assert "database is locked" in refused(folders[0], there)
    assert capfd.readouterr() == ("", "")
    monkeypatch.undo()
    with locks[0]:
        pass
    assert Held(there).statuses == {"RUNNING": 1}
    logged = log_run(folders[0], there)
    assert Held(there).statuses == {"FINISHED": 1, "FAILED": 1}
    Held(there).assert_whole(logged.run_id, folders[0])


def test_a_store_that_others_made_meanwhile_is_not_made_again(folders, tmp_path, empty):
    """Whoever waited for the turn looks again."""
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    with Locked(tmp_path / ".mlflow.db.lock", 0.5):
        shutil.copyfile(empty, tmp_path / "mlflow.db")
        logged = log_run(folders[0], uri)
    assert logged.new_store is None
    assert Held(uri).statuses == {"FINISHED": 1}


def test_a_file_without_content_becomes_a_store(folders, in_less_time, monkeypatch, tmp_path):
    monkeypatch.setattr(opening, "_make", in_less_time)
    (tmp_path / "mlflow.db").touch()
    (tmp_path / ".mlflow.db.partial-new").write_text("what a killed process left")
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    assert log_run(folders[0], uri).new_store == tmp_path / "mlflow.db"
    assert not (tmp_path / ".mlflow.db.partial-new").exists()


# Away --------------------------------------------------------------------------------------------


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class InThread:
    """MLflow's tracking server in a thread of ours, which comes and goes in no time."""

    def __init__(self, place: Path, port: int, environment: pytest.MonkeyPatch) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what the server stands on
            import mlflow.server.fastapi_app  # noqa: F401
            from mlflow import server

        self.port = port
        environment.setenv(server.BACKEND_STORE_URI_ENV_VAR, f"sqlite:///{place}/mlflow.db")
        environment.setenv(server.ARTIFACT_ROOT_ENV_VAR, "mlflow-artifacts:/")
        environment.setenv(server.ARTIFACTS_DESTINATION_ENV_VAR, str(place / "served"))
        environment.setenv(server.SERVE_ARTIFACTS_ENV_VAR, "true")
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self.start()

    def start(self) -> None:
        from mlflow.server import app
        from werkzeug.serving import make_server

        self._server = make_server("127.0.0.1", self.port, app, threaded=True)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def kill(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class InProcess:
    """`mlflow server` as people start it, ended by SIGKILL."""

    def __init__(self, place: Path, port: int, environment: pytest.MonkeyPatch) -> None:
        self.port, self._place = port, place
        self.start()

    def start(self) -> None:
        settings = {
            "MLFLOW_BACKEND_STORE_URI": f"sqlite:///{self._place}/mlflow.db",
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        }
        command = [
            sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1",
            "--port", str(self.port), "--workers", "1",
            "--artifacts-destination", str(self._place / "served"),
        ]  # fmt: skip
        with (self._place / "server.log").open("ab") as said:
            self._process = subprocess.Popen(
                command, env=ENVIRONMENT | settings, stdout=said, stderr=said,
                start_new_session=True,
            )  # fmt: skip
        until = time.monotonic() + 120
        while not self._answers():
            assert self._process.poll() is None
            assert time.monotonic() < until
            time.sleep(0.2)

    def _answers(self) -> bool:
        try:
            with urlopen(f"http://127.0.0.1:{self.port}/health", timeout=2) as answer:
                return answer.status == 200
        except (URLError, OSError):
            return False

    def kill(self) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        while self._answers():  # its own children take a moment
            time.sleep(0.05)


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(InThread, id="in a thread"),
        pytest.param(InProcess, id="mlflow server", marks=pytest.mark.slow),
    ],
)
def server(request, empty, tmp_path_factory):
    """Yield a tracking server that runs; whoever ends it starts it again."""
    place = tmp_path_factory.mktemp("server")
    shutil.copyfile(empty, place / "mlflow.db")
    with pytest.MonkeyPatch.context() as environment:
        server = request.param(place, free_port(), environment)
        server.uri = f"http://127.0.0.1:{server.port}"
        server.store = f"sqlite:///{place}/mlflow.db", place / "served"
        yield server
        server.kill()


@pytest.fixture
def held(server, request) -> Held:
    """Return what the server's store holds of an experiment of the test's own."""
    return Held(*server.store, experiment=request.node.name)


def before_request(monkeypatch, words: str, call) -> None:
    """Call something once, just before a request is sent whose address has these words in it."""
    send, left = requests.Session.request, [call]

    def watched(self, method, url, **named):
        if words in url and left:
            left.pop()()
        return send(self, method, url, **named)

    monkeypatch.setattr(requests.Session, "request", watched)


MOMENTS = ("runs/log-inputs", "shap_features.csv", "logged-models", "trees_0.txt", "runs/update")


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_server_that_goes_away_in_the_middle_leaves_nothing_that_looks_finished(
    moment, server, held, folders, monkeypatch, capfd
):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    before_request(monkeypatch, moment, server.kill)
    before = {name: path.read_bytes() for name, path in files_in(folders[1]).items()}
    try:
        message = refused(folders[1], server.uri, held.experiment)
    finally:
        server.start()
    monkeypatch.undo()
    assert "wanted to log a run; got a server that does not answer (Connection refused)." in message
    assert capfd.readouterr() == ("", "")
    assert {name: path.read_bytes() for name, path in files_in(folders[1]).items()} == before
    assert held.statuses == {"RUNNING": 1}
    (left,) = held.runs
    logged = log_run(folders[1], server.uri, held.experiment)
    assert logged.failed == (left.info.run_id,)
    assert held.statuses == {"FINISHED": 1, "FAILED": 1}
    assert {one.status for one in held.models} <= {"READY", "FAILED"}
    held.assert_whole(logged.run_id, folders[1])


@pytest.mark.parametrize("moment", ["shap_features.csv", "runs/update"])
def test_a_server_that_is_away_for_some_seconds_is_waited_for(
    moment, server, held, folders, monkeypatch
):
    if isinstance(server, InProcess):
        pytest.skip("mlflow server takes longer to start than a run waits")

    def away() -> None:
        server.kill()
        threading.Timer(1.5, server.start).start()

    before_request(monkeypatch, moment, away)
    logged = log_run(folders[2], server.uri, held.experiment)
    assert logged.failed == ()
    assert held.statuses == {"FINISHED": 1}
    held.assert_whole(logged.run_id, folders[2])


def test_an_experiment_that_somebody_else_makes_meanwhile_is_used(
    server, held, folders, monkeypatch
):
    def meanwhile() -> None:
        from mlflow import MlflowClient

        MlflowClient(tracking_uri=server.uri).create_experiment(held.experiment)

    before_request(monkeypatch, "experiments/create", meanwhile)
    held.assert_whole(log_run(folders[3], server.uri, held.experiment).run_id, folders[3])
