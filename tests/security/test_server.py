"""The pages of a store are served to this computer alone."""

import io
import socket

import pytest

from riskadj.tracking import serve


@pytest.fixture
def started(monkeypatch):
    """Return what the server is started with."""
    seen = {}

    class Process:
        pid = 2**22 + 1  # none

        def __init__(self, command, env, **rest):
            seen.update(command=command, env=env, **rest)

        def wait(self, timeout):
            return 0

    monkeypatch.setattr(serve.subprocess, "Popen", Process)
    monkeypatch.setattr(serve.os, "killpg", lambda *args: None)
    return seen


HOSTILE = {
    "MLFLOW_HOST": "0.0.0.0",
    "MLFLOW_SERVER_DISABLE_SECURITY_MIDDLEWARE": "true",
    "MLFLOW_SERVER_ALLOWED_HOSTS": "*",
    "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS": "*",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "true",
}


def test_it_listens_on_loopback_and_no_setting_opens_it(started, monkeypatch):
    for name, value in HOSTILE.items():
        monkeypatch.setenv(name, value)
    with serve._server("sqlite:///a.db", 5000, io.BytesIO()):
        pass
    command = started["command"]
    assert command[command.index("--host") + 1] == "127.0.0.1"
    assert started["env"]["MLFLOW_SERVER_DISABLE_SECURITY_MIDDLEWARE"] == "false"
    assert started["env"]["MLFLOW_SERVER_CORS_ALLOWED_ORIGINS"] == ""
    allowed = started["env"]["MLFLOW_SERVER_ALLOWED_HOSTS"].split(",")
    assert {one.partition(":")[0] for one in allowed} == {"localhost", "127.0.0.1"}
    assert "shell" not in started


def test_no_password_is_in_the_list_of_processes(started):
    with serve._server("postgresql://me:p-word@host/db?password=q-word", 5000, io.BytesIO()):
        pass
    assert not any("-word" in one for one in started["command"])


def test_a_port_is_looked_for_on_loopback_alone():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(serve.TrackingError, match="wanted a port that is free"):
            serve._free_port(port)
    assert serve.HOST == "127.0.0.1"
