"""What every journey starts with: the command line."""

import sys

import pytest

from riskadj.cli import main


@pytest.fixture
def riskadj(capsys, monkeypatch):
    """Return a function that runs the command line and gives exit code, stdout and stderr."""

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["riskadj", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            main()
        printed = capsys.readouterr()
        return left.value.code or 0, printed.out, printed.err

    return call
