"""Whom `riskadj ui` serves: stores that are there, whole, with the experiment; and how it ends."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import ProxyHandler, build_opener

import pytest

from riskadj.cli.ui import _tracking
from riskadj.errors import TrackingError
from riskadj.tracking.serve import _stop, find_experiment, mlflow_pages


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Return the URI of a store with one run in the experiment `hips`."""
    from mlflow import MlflowClient

    home = tmp_path_factory.mktemp("store")
    uri = f"sqlite:///{home}/mlflow.db"
    client = MlflowClient(tracking_uri=uri)
    number = client.create_experiment("hips", artifact_location=(home / "artifacts").as_uri())
    client.create_run(number)
    (home / "artifacts").mkdir()
    return uri, home


def test_an_experiment_is_found_by_its_name(store):
    assert find_experiment(store[0], "hips") == "1"


def test_an_absent_store_is_refused_and_not_made(tmp_path):
    with pytest.raises(TrackingError, match=r"got no database at .*riskadj log RUN_DIR"):
        find_experiment(f"sqlite:///{tmp_path}/none.db", "hips")
    assert not (tmp_path / "none.db").exists()


def test_a_file_that_is_no_database_is_refused(tmp_path):
    (tmp_path / "a.db").write_text("a letter", encoding="utf-8")
    with pytest.raises(TrackingError, match="Check --tracking-uri"):
        find_experiment(f"sqlite:///{tmp_path}/a.db", "hips")


def test_another_experiment_is_named(store):
    with pytest.raises(TrackingError, match=r"no experiment 'hipps'.*Did you mean 'hips'"):
        find_experiment(store[0], "hipps")


def test_a_store_whose_artifacts_have_moved_is_refused(store):
    uri, home = store
    (home / "artifacts").rename(home / "elsewhere")
    try:
        with pytest.raises(TrackingError, match=r"has moved: nothing is at .*artifacts"):
            find_experiment(uri, "hips")
    finally:
        (home / "elsewhere").rename(home / "artifacts")


@pytest.mark.parametrize("uri", ["off", "postgresql://***@host/runs"])
def test_no_place_is_refused(uri):
    with pytest.raises(TrackingError, match="no place that runs were logged to"):
        find_experiment(uri, "hips")


def test_a_server_that_does_not_answer_is_refused():
    with (
        pytest.raises(TrackingError, match="wanted a store"),
        mlflow_pages("http://127.0.0.1:1", "hips"),
    ):
        pass


def test_without_a_study_the_store_is_the_default():
    assert _tracking(None) == ("sqlite:///mlflow.db", "riskadj")


def test_a_group_of_processes_ends_together():
    child = "import subprocess, sys; print(subprocess.Popen(['sleep', '60']).pid, flush=True)"
    leader = subprocess.Popen(
        [sys.executable, "-c", f"{child}; import time; time.sleep(60)"],
        stdout=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    grandchild = int(leader.stdout.readline())
    _stop(leader)
    leader.stdout.close()
    assert leader.returncode == -signal.SIGTERM
    assert not _lives(grandchild)


def _lives(pid):
    for _ in range(50):
        try:
            if Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").split()[2] == "Z":
                return False
        except FileNotFoundError:
            return False
        time.sleep(0.1)
    return True


@pytest.mark.slow
def test_the_pages_are_served_to_this_computer_and_end_with_the_block(store):
    before = os.getpgrp()
    with mlflow_pages(store[0], "hips") as address:
        assert address.startswith("http://127.0.0.1:")
        assert address.endswith("/#/experiments/1")
        with build_opener(ProxyHandler({})).open(address.split("#")[0], timeout=10) as answer:
            assert answer.status == 200
    with pytest.raises(OSError, match="refused"):
        build_opener(ProxyHandler({})).open(address.split("#")[0], timeout=5)
    assert os.getpgrp() == before
