"""Two run folders, opened to be held against each other."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from riskadj.errors import FileFormatError
from riskadj.report.disclosure import SUPPRESSED
from riskadj.report.folder import MARK, read_csv, read_json, read_provenance
from riskadj.report.reading import as_a_run_writes_it, check_table

_READ = ("study.json", "metrics.json", "providers.csv", "flow.csv")
KEYS = ["outcome", "learner", "provider_id"]


@dataclass(frozen=True)
class Opened:
    """A run folder whose files are those that its run wrote.

    Attributes
    ----------
    folder : Path
    provenance, study, metrics : dict
    providers : DataFrame of str
        Of `providers.csv`, the providers that are shown.
    flow : DataFrame
        Of `flow.csv`.
    """

    folder: Path
    provenance: dict[str, Any]
    study: dict[str, Any]
    metrics: dict[str, Any]
    providers: pd.DataFrame
    flow: pd.DataFrame

    @property
    def run(self) -> str:
        """The digest of the run."""
        return str(self.provenance["stages"][-1]["digest"])

    @property
    def outcomes(self) -> tuple[str, ...]:
        """The names of the outcomes of its study."""
        return tuple(one["name"] for one in self.study["outcomes"])

    @property
    def suppress_below(self) -> int:
        """The number of episodes from which on figures are shown."""
        return int(self.study["profile"]["suppress_below"])


def open_run(folder: str | Path) -> Opened:
    """Open a run folder.

    Raises
    ------
    FileMissingError, FileFormatError
        When it is none, or what is read of it is not what its run wrote.
    """
    folder = Path(folder)
    with as_a_run_writes_it(folder):
        return _opened(folder)


def _opened(folder: Path) -> Opened:
    provenance = read_provenance(folder, _READ)
    if "stages" not in provenance:
        raise FileFormatError(
            f"{folder}: wanted the folder of a finished run; got that of something else, as "
            f"{MARK} says. Give the folder that riskadj run wrote."
        )
    providers = read_csv(folder / "providers.csv", dtype=str, keep_default_na=False)
    shown = providers[providers["suppression"] != SUPPRESSED]
    opened = Opened(
        folder,
        provenance,
        read_json(folder / "study.json"),
        read_json(folder / "metrics.json"),
        shown.reset_index(drop=True),
        read_csv(folder / "flow.csv", keep_default_na=False),
    )
    check_table(providers, folder / "providers.csv", KEYS)
    _ = opened.run, opened.outcomes, opened.suppress_below  # whatever they rest on is there
    _check_metrics(opened.metrics)
    return opened


def _check_metrics(metrics: dict[str, Any]) -> None:
    """Fail unless figures are by outcome and learner, and the number of episodes is a number."""
    for learners in metrics.values():
        for figures in learners.values():
            float(figures.get("n") or 0)
