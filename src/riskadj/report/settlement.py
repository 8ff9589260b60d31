"""From a finished run folder to a settlement, and from a settlement to its folder."""

import json
from pathlib import Path
from typing import Any

import pandas as pd

from riskadj.digest import digest_of_file
from riskadj.errors import FileFormatError, FileMissingError, OutputError
from riskadj.payment.accounts import Tables
from riskadj.payment.contract import Contract
from riskadj.payment.settle import Settlement, settle_tables
from riskadj.payment.statement import file_names, statement_texts, statements_html
from riskadj.report.folder import MARK, files_in, run_folder, write_csv, write_json, write_text

_TABLES = ("providers", "rates", "reference", "analyses")
_READ = (*(f"{one}.csv" for one in _TABLES), "study.json")


def settle_run(contract: Contract, folder: str | Path) -> Settlement:
    """Settle a contract on a finished run, from its folder alone.

    Raises
    ------
    FileMissingError, FileFormatError
        When the folder holds no finished run, or one that was changed; also when the contract's
        provider table cannot be read.
    RiskadjError
        As `riskadj.payment.settle.settle`.
    """
    return settle_tables(contract, read_run(folder, contract.provider_table))


def read_run(folder: str | Path, provider_table: Path | None = None) -> Tables:
    """Return the tables of a finished run that a settlement rests on.

    Raises
    ------
    FileMissingError, FileFormatError
    """
    folder = Path(folder)
    provenance = _provenance_of(folder)
    tables = {name: _text_table(folder / f"{name}.csv") for name in _TABLES}
    return Tables(
        **tables,
        given=None if provider_table is None else _provider_table(provider_table),
        study=_json_of(folder / "study.json"),
        digest=provenance["stages"][-1]["digest"],
    )


def write_settlement(settlement: Settlement, out: str | Path) -> dict[str, str]:
    """Write a settlement's folder: all of it or nothing.

    `settlement.csv` (a row per provider), `lines.csv`, `statements/<provider>.txt`,
    `statements.html`, `settlement.json`, and `provenance.json`, which names every file with its
    digest. An earlier settlement there is replaced; anything else is refused.

    Returns
    -------
    dict of str to str
        The statement file of each provider.

    Raises
    ------
    OutputError
    """
    out = Path(out)
    _check_no_run(out)
    names = file_names(settlement.totals["provider_id"])
    with run_folder(out) as staging:
        (staging / "statements").mkdir()
        write_csv(settlement.totals, staging / "settlement.csv")
        write_csv(settlement.lines, staging / "lines.csv")
        write_text(statements_html(settlement), staging / "statements.html")
        for provider_id, text in statement_texts(settlement):
            write_text(text, staging / "statements" / f"{names[provider_id]}.txt")
        write_json(_summary(settlement), staging / "settlement.json")
        digests = {name: digest_of_file(path) for name, path in files_in(staging).items()}
        write_json({"settlement": settlement.digest, "files": digests}, staging / MARK)
    return {one: f"statements/{name}.txt" for one, name in names.items()}


def _summary(settlement: Settlement) -> dict[str, Any]:
    contract = settlement.contract
    return {
        "contract": {
            "name": contract.name,
            "version": contract.version,
            "digest": contract.digest,
            "content": contract.model_dump(mode="json") | {
                "provider_table": contract.provider_table and contract.provider_table.name
            },
        },
        "run": settlement.run_digest,
        "digest": settlement.digest,
        "currency": contract.currency.code,
        "minor_digits": contract.currency.minor_digits,
        "pool_minor": settlement.pool,
        "providers": settlement.totals["status"].value_counts().to_dict(),
        "checks": [one._asdict() for one in settlement.checks],
        "told": list(settlement.told),
        "unconfirmed": [
            {"rule": rule, "source": source} for rule, source in settlement.unconfirmed
        ],
    }  # fmt: skip


def _check_no_run(out: Path) -> None:
    """Refuse to put a settlement in the place of a run, or inside one."""
    for place in (out.resolve(), *out.resolve().parents):
        if (place / MARK).is_file() and "settlement" not in _json_of(place / MARK):
            raise OutputError(
                f"{out}: wanted a folder of its own for the settlement; got a run folder, or one "
                "inside it. Choose another --out."
            )


def _provenance_of(folder: Path) -> dict[str, Any]:
    """Return what says where a run comes from, if its files are as the run wrote them."""
    absent = [one for one in (MARK, *_READ) if not (folder / one).is_file()]
    if absent:
        raise FileMissingError(
            f"{folder}: wanted the folder of a finished run; got none with {', '.join(absent)}. "
            "Give the folder that riskadj run wrote."
        )
    provenance = _json_of(folder / MARK)
    for name in _READ:
        if provenance.get("files", {}).get(name) != digest_of_file(folder / name):
            raise FileFormatError(
                f"{folder / name}: wanted the file as its run wrote it ({MARK} has its digest); "
                "got another. Run the study again."
            )
    return provenance


def _json_of(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except ValueError as error:
        raise FileFormatError(f"{path}: wanted JSON; got {error}. Run the study again.") from None
    return content if isinstance(content, dict) else {}


def _text_table(path: Path) -> pd.DataFrame:
    """Return a table of a run; cells stay text, and it may have no rows."""
    return pd.read_csv(path, dtype=str, keep_default_na=False)


def _provider_table(path: Path) -> pd.DataFrame:
    from riskadj.episodes.files import read_text_table

    return read_text_table(path)
