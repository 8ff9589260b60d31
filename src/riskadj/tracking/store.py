"""The store of runs: whether it is there, MLflow kept quiet, and what it refuses in one line."""

import logging
import os
import re
import socket
import sqlite3
import textwrap
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from riskadj.errors import RiskadjError, TrackingError
from riskadj.masking import is_masked, without_password

if TYPE_CHECKING:
    from mlflow import MlflowClient

_SETTINGS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_UV_AUTO_DETECT": "false",  # would add the lock file of whatever folder we are in
}
_PORTS = {"http": 80, "https": 443, "postgresql": 5432, "mysql": 3306, "mssql": 1433}
_PATIENCE = 5.0  # seconds, for a server or a locked database to answer at all


def check_somewhere(uri: str, folder: Path) -> None:
    """Refuse a place that is none."""
    if uri == "off" or is_masked(uri):
        why = "no place to log to" if uri == "off" else "a place without its password"
        raise TrackingError(
            f"tracking.uri: wanted where to log a run; got {uri}, {why}. {way_out_of(folder)}"
        )


def way_out_of(folder: Path) -> str:
    """Say where results are that could not be logged."""
    return (
        f"The results are in {folder}; log them later with: riskadj log {folder} --tracking-uri URI"
    )


def reach(uri: str) -> None:
    """Knock first: MLflow itself would try for minutes."""
    scheme = uri.partition("://")[0].split("+")[0]
    database = database_of(uri)
    if database:
        database.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(database, timeout=_PATIENCE)) as connection:
            connection.execute("BEGIN IMMEDIATE")
    elif scheme in _PORTS:
        host, port = _address_of(uri, scheme)
        if host and not _by_proxy(scheme, host):
            socket.create_connection((host, port), timeout=_PATIENCE).close()


def _address_of(uri: str, scheme: str) -> tuple[str | None, int]:
    """Return the host and port of a URI as those take it who connect to it."""
    from sqlalchemy.engine import make_url

    if scheme in ("http", "https"):
        place = urlsplit(uri)
        return place.hostname, place.port or _PORTS[scheme]
    url = make_url(uri)
    return (url.host or "").rpartition("@")[2], url.port or _PORTS[scheme]


def database_of(uri: str) -> Path | None:
    """Return the file of an SQLite URI, or nothing for another URI."""
    from sqlalchemy.engine import make_url

    if not uri.startswith("sqlite"):
        return None
    database = make_url(uri).database
    if not database or database.startswith((":memory:", "file:")):
        raise ValueError("a database without a file. Say where, as in sqlite:///mlflow.db")
    return Path(database).resolve()


def _by_proxy(scheme: str, host: str) -> bool:
    return scheme in getproxies() and not proxy_bypass(host)


def find_or_create(client: "MlflowClient", experiment: str, uri: str) -> str:
    """Return the id of an experiment, made where there is none."""
    found = client.get_experiment_by_name(experiment)
    if found:
        return str(found.experiment_id)
    database = database_of(uri)
    artifacts = (database.parent / "mlartifacts").as_uri() if database else None
    return str(client.create_experiment(experiment, artifact_location=artifacts))


@contextmanager
def mlflow_at_work() -> Iterator[None]:
    """Import MLflow, and keep it quiet and impatient for as long as it is ours."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    before = {name: os.environ.get(name) for name in _SETTINGS}
    os.environ.update({name: before[name] or value for name, value in _SETTINGS.items()})
    try:
        import mlflow  # noqa: F401

        with _only_errors("mlflow"), _only_errors("alembic"):
            yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            os.environ.update({} if value is None else {name: value})


@contextmanager
def _only_errors(name: str) -> Iterator[None]:
    logger = logging.getLogger(name)
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


@contextmanager
def one_line_refusals(folder: Path, uri: str, way_out: str = "") -> Iterator[None]:
    """Turn whatever stops MLflow into one line that says where the results are."""
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    refusals = (MlflowException, SQLAlchemyError, sqlite3.Error, OSError, ImportError, ValueError)
    try:
        yield
    except RiskadjError:
        raise
    except refusals as error:
        raise TrackingError(
            f"{without_password(uri)}: wanted to log a run; got {first_words(error, uri)} "
            f"{way_out or way_out_of(folder)}"
        ) from None


def first_words(error: Exception, uri: str = "") -> str:
    """Return two sentences of an error at most, on one line and without a password.

    Those of `uri` are masked even where an error says them apart from it.
    """
    text = without_password(" ".join(str(error).split()), uri) or type(error).__name__
    two = " ".join(re.split(r"(?<=\.) (?=[A-Z])", text)[:2])
    return f"{textwrap.shorten(two, 300, placeholder=' ...').rstrip('.')}."
