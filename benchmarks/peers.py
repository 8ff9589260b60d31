"""Who can take part here: the peers' own environment, R with lme4, and what keeps one out."""

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

from report import commit

HERE = Path(__file__).parent
ENVIRONMENT = HERE.parent / ".bench"
# One thread each, whoever multiplies the matrices.
ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "VECLIB_MAXIMUM_THREADS": "1",
    "NUMEXPR_NUM_THREADS": "1",
}


def commands():
    """Return, by place, the command that runs a fit there, or a sentence why none does."""
    return {
        "project": [sys.executable, HERE / "worker.py"],
        "peers": _peers(),
        "R": _lme4(),
        "nowhere": "in no package index that is used here",
    }


def start(command, entrant, *arguments, seconds):
    """Run one fit; return the last line it printed. Raises subprocess's own errors."""
    script = [HERE / "entrants" / entrant] if entrant.endswith(".R") else [entrant]
    done = subprocess.run(
        [*command, *script, *arguments],
        capture_output=True,
        text=True,
        check=True,
        timeout=seconds,
        env=os.environ | ONE_THREAD,
    )
    return done.stdout.splitlines()[-1]


def versions(places):
    """Return the version of everything that takes part, by name."""
    found = {"python": sys.version.split()[0], "commit": commit()}
    for place, code in _ASKED.items():
        if not isinstance(places[place], str):
            found |= _asked(places[place][0], code)
    return found


_FROM_PYTHON = (
    "from importlib.metadata import version as v\nfor one in '{}'.split(): print(one, v(one))"
)
_FROM_R = (
    "cat('R', paste(R.version$major, R.version$minor, sep = '.'), '\\n');"
    "cat('lme4', as.character(packageVersion('lme4')), '\\n')"
)
_ASKED = {
    "project": ["-c", _FROM_PYTHON.format("riskadj numpy scipy pandas")],
    "peers": ["-c", _FROM_PYTHON.format("gpboost glum")],
    "R": ["-e", _FROM_R],
}


def _asked(program, code):
    lines = subprocess.run([program, *code], capture_output=True, text=True, check=True).stdout
    return dict(line.split() for line in lines.splitlines() if line.strip())


def _peers():
    wanted = (HERE / "requirements.txt").read_text()
    stamp = ENVIRONMENT / "requirements.installed"
    python = ENVIRONMENT / "bin" / "python"
    if not (stamp.exists() and stamp.read_text() == wanted):
        try:
            venv.create(ENVIRONMENT, with_pip=True, clear=True)
            install = [python, "-m", "pip", "install", "-qq", "-r", HERE / "requirements.txt"]
            subprocess.run(install, check=True)
        except (OSError, subprocess.CalledProcessError):
            return "its environment could not be installed"
        stamp.write_text(wanted)
    return [python, HERE / "worker.py"]


def _lme4():
    rscript = shutil.which("Rscript")
    if rscript is None:
        return "R is not here (Debian: r-cran-lme4, r-cran-jsonlite)"
    asked = [rscript, "-e", "library(lme4); library(jsonlite)"]
    if subprocess.run(asked, capture_output=True, check=False).returncode:
        return "R has no lme4 or jsonlite here (Debian: r-cran-lme4, r-cran-jsonlite)"
    return [rscript]
