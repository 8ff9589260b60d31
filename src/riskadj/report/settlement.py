"""From a finished run folder to a settlement, and from a settlement to its folder."""

from pathlib import Path
from typing import Any

import pandas as pd

from riskadj.digest import digest_of_file
from riskadj.journal import write_entry
from riskadj.payment.contract import Contract
from riskadj.payment.settle import Settlement, recheck, settle_tables
from riskadj.payment.statement import file_names, statement_texts, statements_html
from riskadj.payment.tables import Source, Tables
from riskadj.report.folder import (
    MARK,
    check_own_place,
    files_in,
    read_csv,
    read_json,
    read_provenance,
    run_folder,
    write_csv,
    write_json,
    write_text,
)
from riskadj.report.provenance import FORMAT
from riskadj.report.reading import as_a_run_writes_it, check_table

_NEEDED = ("outcome", "learner", "provider_id", "n", "episodes", "observed", "expected")
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
    provenance = read_provenance(folder, _READ)
    given = None if provider_table is None else _provider_table(provider_table)
    with as_a_run_writes_it(folder):
        tables = {name: _text_table(folder / f"{name}.csv") for name in _TABLES}
        check_table(tables["providers"], folder / "providers.csv", _NEEDED)
        return Tables(
            **tables,
            given=given,
            study=read_json(folder / "study.json"),
            digest=provenance["stages"][-1]["digest"],
            source=Source(folder.resolve(), str(provenance.get("seal", ""))),
        )


def write_settlement(settlement: Settlement, out: str | Path) -> dict[str, str]:
    """Write a settlement's folder: all of it or nothing, and only one that adds up.

    `settlement.csv` (a row per provider), `lines.csv`, `statements/<provider>.txt`,
    `statements.html`, `settlement.json`, and `provenance.json`, which names every file with its
    digest. An earlier settlement there is replaced; anything else is refused. It is written down in
    the log of the run that was settled; of tables that are of no run folder, in the one beside it.

    Returns
    -------
    dict of str to str
        The statement file of each provider.

    Raises
    ------
    OutputError
    ValuesError
        When totals, lines and pool do not agree; see `riskadj.payment.settle.recheck`.
    """
    recheck(settlement)
    out = Path(out)
    check_own_place(out, "settlement", "the settlement", "a run folder, or one inside it")
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
        told = {"format": FORMAT, "settlement": settlement.digest, "files": digests}
        write_json(told, staging / MARK)
        _note(settlement, out)
    return {one: f"statements/{name}.txt" for one, name in names.items()}


def _note(settlement: Settlement, out: Path) -> None:
    made, source = _made_from(settlement), settlement.source
    if source is None:
        write_entry("settle", out, made)
    else:
        write_entry("settle", source.folder, {"seal": source.seal, **made}, out.name)


def _made_from(settlement: Settlement) -> dict[str, str]:
    return {
        "run": settlement.run_digest,
        "contract": settlement.contract.digest,
        "settlement": settlement.digest,
    }


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
        "basis": [one._asdict() for one in settlement.basis],
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


def _text_table(path: Path) -> pd.DataFrame:
    """Return a table of a run; cells stay text, and it may have no rows."""
    return read_csv(path, dtype=str, keep_default_na=False)


def _provider_table(path: Path) -> pd.DataFrame:
    from riskadj.episodes.files import read_text_table

    return read_text_table(path)
