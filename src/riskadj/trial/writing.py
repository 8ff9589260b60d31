"""A trial as a folder of files: all of it or nothing, and the same bytes for the same inputs."""

from pathlib import Path
from typing import Any

import pandas as pd

import riskadj
from riskadj.digest import digest_of_file
from riskadj.payment.money import from_minor
from riskadj.report.folder import (
    MARK,
    check_own_place,
    files_in,
    run_folder,
    write_csv,
    write_json,
    write_text,
)
from riskadj.report.provenance import FORMAT
from riskadj.trial.drift import found_in
from riskadj.trial.figures import draw_trial
from riskadj.trial.run import Trial

NO_CLAIM = (
    "Nothing here says that payment improves outcomes. Watch who is treated instead: case mix and "
    "access, provider by provider (drift.csv)."
)
"""What stands under every trial."""
_MARK = "trial"


def write_trial(trial: Trial, out: str | Path) -> None:
    """Write a trial's folder: all of it or nothing.

    `operating.csv` (a row per contract and learner), `by_volume.csv`, `differences.csv` (from the
    best, in the same worlds), `providers.csv` (right and paid money by world and provider),
    `drift.csv`, `operating.json`, two figures, and `provenance.json`, which names every file with
    its digest. An earlier trial there is replaced; anything else is refused.

    Raises
    ------
    OutputError
    """
    out = Path(out)
    check_own_place(out, _MARK, "the trial", "a run or a settlement, or a folder inside one")
    with run_folder(out) as staging:
        tables = {
            "operating": trial.found.table,
            "by_volume": trial.found.by_volume,
            "differences": trial.found.differences,
            "providers": _in_words(trial),
            "drift": trial.drift,
        }
        for name, table in tables.items():
            write_csv(table, staging / f"{name}.csv")
        (staging / "figures").mkdir()
        for name, svg in draw_trial(trial).items():
            write_text(svg, staging / "figures" / name)
        write_json(_summary(trial), staging / "operating.json")
        digests = {name: digest_of_file(path) for name, path in files_in(staging).items()}
        write_json({"format": FORMAT, _MARK: trial.digest, "files": digests}, staging / MARK)


def _summary(trial: Trial) -> dict[str, Any]:
    table = trial.found.table.to_dict("records")
    return {
        **trial.inputs(),
        "digest": trial.digest,
        "riskadj": riskadj.__version__,
        "told": list(trial.told),
        "operating": [{str(key): value for key, value in one.items()} for one in table],
        "drift": found_in(trial.drift).to_dict("records"),
        "unconfirmed": {
            one.name: [{"rule": rule, "source": source} for rule, source in
                       one.contract.unconfirmed()]
            for one in trial.variants
        },
        "note": NO_CLAIM,
    }  # fmt: skip


def _in_words(trial: Trial) -> pd.DataFrame:
    """Return the table of providers with amounts as decimal text beside the minor units."""
    currencies = {one.name: one.contract.currency.money for one in trial.variants}
    table = trial.found.providers.copy()
    for name in ("right", "paid"):
        told = [
            from_minor(int(minor), currencies[contract])
            for minor, contract in zip(table[f"{name}_minor"], table["contract"], strict=True)
        ]
        table.insert(table.columns.get_loc(f"{name}_minor"), name, told)
    return table
