"""The store of runs: whether it is there, MLflow kept quiet, and what it refuses in one line."""

import logging
import os
import re
import socket
import sqlite3
import textwrap
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from riskadj.errors import RiskadjError, TrackingError
from riskadj.masking import is_masked, without_password

_SETTINGS = {
    # A server may be away for 14 seconds: tries at once, and after 2, 4 and 8 seconds more.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "4",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_UV_AUTO_DETECT": "false",  # would add the lock file of whatever folder we are in
}
_ONE_TRY = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0", "MLFLOW_HTTP_REQUEST_TIMEOUT": "5"}
_PORTS = {"http": 80, "https": 443, "postgresql": 5432, "mysql": 3306, "mssql": 1433}
_LOST = ("NewConnectionError", "ProtocolError", "Connection aborted")  # as requests tell it
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
    scheme, database = scheme_of(uri), database_of(uri)
    if database is not None and database.exists():
        with closing(sqlite3.connect(database, timeout=_PATIENCE)) as connection:
            connection.execute("BEGIN IMMEDIATE")
    elif scheme in _PORTS:
        host, port = _address_of(uri, scheme)
        if host and not _by_proxy(scheme, host):
            socket.create_connection((host, port), timeout=_PATIENCE).close()


def scheme_of(uri: str) -> str:
    """Return what kind of store a URI names, without its driver."""
    return uri.partition("://")[0].split("+")[0]


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


@contextmanager
def mlflow_at_work() -> Iterator[None]:
    """Import MLflow, and keep it quiet and impatient for as long as it is ours."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    chosen = {name: os.environ.get(name) or value for name, value in _SETTINGS.items()}
    with _environment(chosen):
        import mlflow  # noqa: F401

        with (
            _no_less_than("mlflow", logging.ERROR),
            _no_less_than("mlflow.store.db", logging.CRITICAL),  # what it logs there, it raises
            _no_less_than("alembic", logging.ERROR),
        ):
            yield


@contextmanager
def ended(end: Callable[[str], Any], well: str) -> Iterator[None]:
    """Say how it ended: `well`, or FAILED whatever the reason, interruption among them."""
    try:
        yield
    except BaseException:
        with suppress(Exception), _environment(_ONE_TRY):  # the first fault is the one to hear of
            end("FAILED")
        raise
    end(well)


@contextmanager
def _environment(settings: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            os.environ.update({} if value is None else {name: value})


@contextmanager
def _no_less_than(name: str, level: int) -> Iterator[None]:
    logger = logging.getLogger(name)
    before = logger.level
    logger.setLevel(level)
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
            f"{without_password(uri)}: wanted to log a run; got "
            f"{_away(uri, error) or first_words(error, uri)} {way_out or way_out_of(folder)}"
        ) from None


def _away(uri: str, error: Exception) -> str:
    """Say that a server does not answer, if so; what MLflow says then is long."""
    if scheme_of(uri) not in _PORTS:
        return ""
    try:
        reach(uri)
    except OSError as refused:
        return f"a server that does not answer ({refused.strerror or refused})."
    except ValueError:
        return ""
    lost = any(word in str(error) for word in _LOST)
    return "a server that went away while it was asked." if lost else ""


def first_words(error: Exception, uri: str = "") -> str:
    """Return two sentences of an error at most, on one line and without a password.

    Those of `uri` are masked even where an error says them apart from it.
    """
    text = without_password(" ".join(str(error).split()), uri) or type(error).__name__
    two = " ".join(re.split(r"(?<=\.) (?=[A-Z])", text)[:2])
    return f"{textwrap.shorten(two, 300, placeholder=' ...').rstrip('.')}."
