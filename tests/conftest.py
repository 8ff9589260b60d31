"""Fixtures that several tests share; the episodes and studies themselves are made in `worlds`."""

import os

# Tests share the cores: a thread each, unless one asks for more. Libraries look when imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, settings
from worlds import OUT_OF_FOLD, episode_frame, expectations_of, make_study

from riskadj.expected import Expectations
from riskadj.report import figures
from riskadj.tracking import opening

# How fast examples are drawn depends on who else uses the machine.
settings.register_profile(
    "shared cores", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("shared cores")


@pytest.fixture(scope="session", autouse=True)
def in_less_time(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Path], None]]:
    """Make one SQLite store and copy it where there is to be another; wait for no disk.

    MLflow takes seconds to make one: what does so is yielded, for who tests that. Processes that
    tests start do as they do elsewhere.
    """
    made = tmp_path_factory.mktemp("store") / "mlflow.db"
    make = opening._make

    def copied(database: Path) -> None:
        if not made.exists():
            make(made)
        shutil.copyfile(made, database)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(opening, "_make", copied)
        patched.setattr(os, "fsync", lambda _: None)
        yield make


@pytest.fixture(scope="module")
def undrawn() -> Iterator[None]:
    """Leave figures empty: for modules that run studies and look at none."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(figures, "_draw", lambda *_: '<svg xmlns="http://www.w3.org/2000/svg"/>')
        yield


@pytest.fixture(scope="session")
def frame() -> pd.DataFrame:
    """Return the small world's episodes; never change them in place."""
    return episode_frame()


@pytest.fixture(scope="session")
def expectations(frame: pd.DataFrame) -> Expectations:
    """Return linear and boosted expectations, out of time."""
    return expectations_of(frame)


@pytest.fixture(scope="session")
def folded(frame: pd.DataFrame) -> Expectations:
    """Return linear and boosted expectations, out of fold, with providers whole."""
    return expectations_of(frame, make_study(**OUT_OF_FOLD))
