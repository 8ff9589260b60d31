"""What cases of bad input share: good ones, made once, the command line, and a clock."""

import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from pathlib import Path
from time import process_time

import pytest

from bad_input.good import GOOD
from riskadj.cli import main

SOON, STUCK = 10.0, 120.0
"""Seconds of work within which a file is refused; seconds after which nothing more is awaited."""


@pytest.fixture(scope="session")
def good(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return where a good one of each is; each is made once."""

    @cache
    def made(name: str) -> Path:
        folder = tmp_path_factory.mktemp(name)
        GOOD[name](folder)
        return folder

    return made


@pytest.fixture
def home(good, tmp_path, monkeypatch) -> Callable[[str], Path]:
    """Return a function that copies a good one and goes there."""

    def copied(name: str) -> Path:
        folder = shutil.copytree(good(name), tmp_path / name, dirs_exist_ok=True)
        monkeypatch.chdir(folder)
        return folder

    return copied


@contextmanager
def _within(seconds: float) -> Iterator[None]:
    """Stop what stands still, and refuse what works for too long; others use the machine, too."""

    def stop(*_: object) -> None:
        raise AssertionError(f"not refused within {STUCK:g} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, STUCK)
    began = process_time()
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert process_time() - began < seconds


@pytest.fixture
def soon() -> AbstractContextManager[None]:
    """Return what stops a test that takes too long."""
    return _within(SOON)


@pytest.fixture
def call(monkeypatch, capfd) -> Callable[..., tuple[int, str, str]]:
    """Return a function that runs the command line and gives exit code, stdout and stderr."""

    def called(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["riskadj", *arguments])
        with _within(SOON), pytest.raises(SystemExit) as left:
            main()
        printed = capfd.readouterr()
        return left.value.code or 0, printed.out, printed.err

    return called
