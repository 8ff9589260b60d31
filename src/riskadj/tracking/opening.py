"""A store opened: made where there is none, whole or not at all, and by one process at a time.

Where several processes make the same store at once, MLflow 3.17 lets all but one fail; a process
that is killed meanwhile leaves tables that no later one can complete. Those that write to the same
SQLite file wait for each other for 20 seconds, and then fail in the middle of a run.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from riskadj.tracking.store import database_of, reach, scheme_of

if TYPE_CHECKING:
    from mlflow import MlflowClient

PATIENCE = 300.0
"""Seconds to wait for a turn. One who logs a run has it for a second or a few."""

_KEY = 0x7269736B61646A  # "riskadj"
_POSTGRES = (
    f"SET LOCAL lock_timeout = {PATIENCE * 1000:.0f}",
    f"SELECT pg_advisory_xact_lock({_KEY})",
)


@contextmanager
def turn_at(uri: str) -> Iterator[None]:
    """Wait until nobody else of us writes to an SQLite store, and keep others waiting meanwhile.

    The lock is SQLite's own, on an empty database beside the store (`.mlflow.db.lock`): it works
    wherever the store does, and ends with the process that has it, however that ends. A store
    behind a server needs none.

    Parameters
    ----------
    uri : str

    Raises
    ------
    TimeoutError
        When no turn came in `PATIENCE` seconds.
    """
    database = database_of(uri)
    if database is None:
        yield
        return
    database.parent.mkdir(parents=True, exist_ok=True)
    lock = database.with_name(f".{database.name}.lock")
    with closing(sqlite3.connect(lock, timeout=PATIENCE)) as turn:
        _take(turn, lock)
        yield


def _take(turn: sqlite3.Connection, lock: Path) -> None:
    try:
        turn.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
            raise
        raise TimeoutError(
            f"no turn in {PATIENCE:g} s, for others were logging there all the time ({lock})."
        ) from None


def open_store(uri: str, experiment: str) -> tuple["MlflowClient", str]:
    """Return a client of a store that is there, and the id of an experiment of it.

    Call it in one's turn. Both are made where there is none.

    Parameters
    ----------
    uri, experiment : str

    Raises
    ------
    OSError, sqlite3.Error, SQLAlchemyError, MlflowException
        When the store cannot be reached or used.
    """
    reach(uri)
    from mlflow import MlflowClient

    database = database_of(uri)
    if database is not None and is_new(database):
        _make(database)
    with alone_at(uri):
        client = MlflowClient(tracking_uri=uri)
        return client, _find_or_create(client, experiment, database)


def is_new(database: Path) -> bool:
    """Whether there is no store in a file yet."""
    return not database.exists() or database.stat().st_size == 0


def _make(database: Path) -> None:
    """Make a store elsewhere, and move it into its place once it is whole."""
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    partial = database.with_name(f".{database.name}.partial-new")
    for left in (partial, partial.with_name(f"{partial.name}-journal")):
        left.unlink(missing_ok=True)
    store = SqlAlchemyStore(f"sqlite:///{partial}", _artifacts_beside(database))
    store.engine.dispose()
    partial.replace(database)


def _artifacts_beside(database: Path) -> str:
    return (database.parent / "mlartifacts").as_uri()


@contextmanager
def alone_at(uri: str) -> Iterator[None]:
    """Let nobody else of us make tables or names in a PostgreSQL store meanwhile.

    The lock is an advisory one of the server's, which ends with the connection. In other stores
    there is none: SQLite has turns, a tracking server makes its own tables.
    """
    if scheme_of(uri) != "postgresql":
        yield
        return
    from sqlalchemy import NullPool, create_engine, text

    with create_engine(uri, poolclass=NullPool).begin() as connection:
        for statement in _POSTGRES:
            connection.execute(text(statement))
        yield


def _find_or_create(client: "MlflowClient", experiment: str, database: Path | None) -> str:
    """Return the id of an experiment, made where there is none, by whomever."""
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(experiment)
    if found:
        return str(found.experiment_id)
    artifacts = _artifacts_beside(database) if database else None
    try:
        return str(client.create_experiment(experiment, artifact_location=artifacts))
    except MlflowException:
        found = client.get_experiment_by_name(experiment)
        if not found:
            raise
        return str(found.experiment_id)
