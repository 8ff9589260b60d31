"""MLflow's own pages on a store, on this computer alone, for as long as they are looked at."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import ProxyHandler, build_opener, url2pathname

from riskadj.errors import RiskadjError, TrackingError, did_you_mean
from riskadj.masking import is_masked, without_password
from riskadj.tracking.store import database_of, first_words, mlflow_at_work, reach

if TYPE_CHECKING:
    from mlflow import MlflowClient

HOST = "127.0.0.1"
_PATIENCE, _GRACE, _STEP = 90.0, 5.0, 0.2  # seconds: to answer, to leave, between looks
_HOSTS = ("localhost", HOST)
_SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    # Whatever the environment says: no other page in the same browser may ask this server.
    "MLFLOW_SERVER_DISABLE_SECURITY_MIDDLEWARE": "false",
    "MLFLOW_SERVER_ALLOWED_HOSTS": ",".join([*_HOSTS, *(f"{one}:*" for one in _HOSTS)]),
    "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS": "",
}
_SHOWN = 5


@contextmanager
def mlflow_pages(uri: str, experiment: str, port: int = 0) -> Iterator[str]:
    """Yield the address of an experiment's page; what was started for it ends with the block.

    Parameters
    ----------
    uri : str
        A tracking URI. A server that it names is used as it is; for a database one is started,
        which listens to this computer alone.
    experiment : str
        Its name.
    port : int
        To listen at; 0: any that is free.

    Raises
    ------
    TrackingError
        When there is no such store or experiment, when the store's artifacts have moved, or when
        the server does not start.

    Examples
    --------
    >>> with mlflow_pages("sqlite:///mlflow.db", "riskadj") as address:  # doctest: +SKIP
    ...     print(address)
    """
    number = find_experiment(uri, experiment)
    if urlsplit(uri).scheme in ("http", "https"):
        yield f"{without_password(uri).rstrip('/')}/#/experiments/{number}"
        return
    port = _free_port(port)
    with TemporaryFile() as said, _server(uri, port, said) as process:
        _wait_until_it_answers(process, uri, port, said)
        yield f"http://{HOST}:{port}/#/experiments/{number}"


def find_experiment(uri: str, experiment: str) -> str:
    """Return the number of an experiment of a store that is there, with its artifacts.

    Raises
    ------
    TrackingError
    """
    if uri == "off" or is_masked(uri):
        raise _refused(uri, "no place that runs were logged to", "Give --tracking-uri URI.")
    try:
        _check_there(uri)
        with mlflow_at_work():
            reach(uri)
            from mlflow import MlflowClient

            return _number_of(MlflowClient(tracking_uri=uri), uri, experiment)
    except RiskadjError:
        raise
    except Exception as error:
        raise _refused(uri, first_words(error, uri), "Check --tracking-uri.") from None


def _check_there(uri: str) -> None:
    """Refuse a database that is not there, which MLflow would make anew, and empty."""
    database = database_of(uri)
    if database is not None and not database.is_file():
        raise _refused(
            uri, f"no database at {database}",
            "Log a run first (riskadj log RUN_DIR), or say where it is now with --tracking-uri.",
        )  # fmt: skip
    if database is not None and not _is_sqlite(database):
        raise _refused(uri, f"a file that is none at {database}", "Check --tracking-uri.")


def _is_sqlite(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(15) == b"SQLite format 3"


def _number_of(client: "MlflowClient", uri: str, experiment: str) -> str:
    found = client.get_experiment_by_name(experiment)
    if found is None:
        names = sorted(one.name for one in client.search_experiments(max_results=100))
        raise _refused(
            uri, f"no experiment {experiment!r} (it has {', '.join(names[:_SHOWN]) or 'none'})",
            f"Name one with --experiment.{did_you_mean(experiment, names)}",
        )  # fmt: skip
    place = _folder_of(found.artifact_location)
    logged = client.search_runs([found.experiment_id], max_results=1)
    if logged and place is not None and not place.is_dir():
        raise _refused(
            uri, f"a store that has moved: nothing is at {place}, where its artifacts were",
            "Put the folder back there, or log the runs again (riskadj log RUN_DIR).",
        )  # fmt: skip
    return str(found.experiment_id)


def _folder_of(location: str) -> Path | None:
    """Return the folder on this computer that artifacts go to, if they do."""
    place = urlsplit(location)
    if place.scheme == "file":
        return Path(url2pathname(place.path))
    return None if place.scheme else Path(location)


def _free_port(port: int) -> int:
    try:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((HOST, port))
            return int(probe.getsockname()[1])
    except OSError as error:
        raise TrackingError(
            f"--port: wanted a port that is free; got {port}, {error.strerror}. Choose another, "
            "or none."
        ) from None


@contextmanager
def _server(uri: str, port: int, said: IO[bytes]) -> Iterator["subprocess.Popen[bytes]"]:
    """Start MLflow's server; at the end stop it and every process that it started."""
    settings = {**os.environ, **_SETTINGS, "MLFLOW_BACKEND_STORE_URI": uri}  # no password in ps
    command = [
        sys.executable, "-m", "mlflow", "server", "--host", HOST, "--port", str(port),
        "--workers", "1",
    ]  # fmt: skip
    process = subprocess.Popen(
        command, env=settings, stdin=subprocess.DEVNULL, stdout=said, stderr=said,
        start_new_session=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        _stop(process)


def _stop(process: "subprocess.Popen[bytes]") -> None:
    """End the group of a process that leads one: asked first, then made to."""
    for sign, patience in ((signal.SIGTERM, _GRACE), (signal.SIGKILL, _GRACE)):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, sign)
        with suppress(subprocess.TimeoutExpired):
            process.wait(patience)


def _wait_until_it_answers(
    process: "subprocess.Popen[bytes]", uri: str, port: int, said: IO[bytes]
) -> None:  # fmt: skip
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until and process.poll() is None:
        if _answers(port):
            return
        time.sleep(_STEP)
    said.seek(0)
    last = said.read().decode(errors="replace").strip().splitlines()[-1:] or ["nothing"]
    got = without_password(last[0], uri)[:200]
    raise TrackingError(
        f"mlflow server: wanted an answer at port {port}; got {got!r}. Try another --port."
    )


def _answers(port: int) -> bool:
    directly = build_opener(ProxyHandler({}))
    try:
        with directly.open(f"http://{HOST}:{port}/health", timeout=2) as answer:
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False


def _refused(uri: str, got: str, way_out: str) -> TrackingError:
    return TrackingError(
        f"{without_password(uri)}: wanted a store of logged runs; got {got.rstrip('.')}. {way_out}"
    )
