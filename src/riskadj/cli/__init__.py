"""The command line: one thin file per verb, and one place that turns errors into exit codes."""

import os
import sys

from riskadj.stopping import listening

DEBUG = "RISKADJ_DEBUG"
UNEXPECTED = 70
INTERRUPTED = 130


def main() -> None:
    """Run the command line; every refusal is one line on stderr and an exit code of its own."""
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    with listening():
        _run()


def _run() -> None:
    from riskadj.cli.app import Interrupted, app
    from riskadj.errors import RiskadjError

    try:
        app()
    except RiskadjError as error:
        _leave(str(error), error.exit_code)
    except Interrupted as left:
        _leave(f"interrupted. {left}", INTERRUPTED)
    except Exception as error:
        if os.environ.get(DEBUG):
            _leave_traceback()
        line = " ".join(str(error).split())[:300]
        _leave(
            f"unexpected {type(error).__name__}: {line} (set {DEBUG}=1 for where it happened)",
            UNEXPECTED,
        )


def _leave_traceback() -> None:
    from traceback import format_exc

    from riskadj.masking import fit_to_show

    print(fit_to_show(format_exc()), end="", file=sys.stderr)
    sys.exit(UNEXPECTED)


def _leave(message: str, code: int) -> None:
    from riskadj.masking import fit_to_show

    one_line = fit_to_show(" ".join(message.split()))
    print(f"riskadj: error: {one_line}", file=sys.stderr)
    sys.exit(code)
