"""A settlement on the page: who is paid what, and the lines that it follows from."""

from pathlib import Path
from typing import Any

import pandas as pd

from riskadj.errors import ValuesError
from riskadj.report.folder import read_csv, read_json, read_provenance
from riskadj.report.page.tables import EXACT, packed
from riskadj.report.reading import as_a_run_writes_it

FILES = ("settlement.csv", "lines.csv", "settlement.json")
_TEXTS = ("provider_id", "status", "rule", "label", "kind", "formula", "value", "source", "gates")
_TOTALS = ("provider_id", "status", "episodes", "target", "actual", "gates", "total_minor")
_LINES = (
    "provider_id", "place", "rule", "label", "kind", "formula", "value", "amount_minor",
    "confirmed", "source",
)  # fmt: skip


def settlement_content(folder: Path, run_digest: str) -> dict[str, Any]:
    """Return what a page shows of a settlement.

    Parameters
    ----------
    folder : Path
        As `write_settlement` left it.
    run_digest : str
        Of the run on the page, which must be the one that was settled.

    Raises
    ------
    FileMissingError, FileFormatError
        When the folder holds no settlement, or one that was changed.
    ValuesError
        When it settles another run.
    """
    read_provenance(folder, FILES)
    with as_a_run_writes_it(folder):
        return _content(folder, run_digest)


def _content(folder: Path, run_digest: str) -> dict[str, Any]:
    summary = read_json(folder / "settlement.json")
    if summary["run"] != run_digest:
        raise ValuesError(
            f"{folder}: wanted a settlement of this run, {run_digest[:12]}; got one of "
            f"{str(summary['run'])[:12]}. Settle this run, or report the other."
        )
    content = summary["contract"]["content"]
    return {
        "title": content["title"],
        "about": content.get("about") or "",
        "contract": f"{summary['contract']['name']}, version {summary['contract']['version']}",
        "currency": summary["currency"],
        "minor_digits": summary["minor_digits"],
        "pool_minor": summary["pool_minor"],
        "told": summary["told"],
        "unconfirmed": [one["rule"] for one in summary["unconfirmed"]],
        "checks": summary["checks"],
        "totals": packed(_read(folder / "settlement.csv", _TOTALS), EXACT),
        "lines": packed(_read(folder / "lines.csv", _LINES), EXACT),
    }


def _read(path: Path, columns: tuple[str, ...]) -> pd.DataFrame:
    """Return columns of a settlement's table; what is no text is a number."""
    table = read_csv(path, dtype=str, keep_default_na=False)
    kept = table[[one for one in columns if one in table]]
    numbers = [one for one in kept if one not in (*_TEXTS, "confirmed")]
    return kept.assign(**{one: pd.to_numeric(kept[one]) for one in numbers})
