"""Runs that attacks are tried on: of names that would be code, and of small numbers."""

from pathlib import Path

import pytest
from security.hostile import hostile_run, hostile_settlement
from small_numbers import hostile

__all__ = ["home", "hostile"]


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("names")
    hostile_settlement(hostile_run(folder), folder / "settled")
    return folder
