"""What reads a file: for each reader a good one, the file that is spoilt, and the call."""

import gzip
import io
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from bad_input.changes import resealed, resealed_model
from bad_input.spoil import spoil_bytes, spoil_csv, spoil_json, spoil_parquet
from riskadj.audit.diff import diff_runs
from riskadj.audit.runs import open_run
from riskadj.audit.subject import open_subject
from riskadj.claims.episodes import read_claims
from riskadj.episodes import read_episodes
from riskadj.episodes.fhir_mapping import FhirMapping
from riskadj.episodes.mapping import read_mapping
from riskadj.episodes.participation import read_participation
from riskadj.episodes.pseudonyms import read_key
from riskadj.episodes.redcap_mapping import RedcapMapping
from riskadj.expected import load_model
from riskadj.experiment import load_experiment
from riskadj.experiment.compare import compare_runs
from riskadj.instruments import read_value_sets
from riskadj.journal import read_journal
from riskadj.payment.contract import load_contract
from riskadj.report.card.published import read_card, unwritten_of_card
from riskadj.report.explaining import explain_provider, read_explained
from riskadj.report.page.build import write_page
from riskadj.report.portal.export import _read_organisations
from riskadj.report.settlement import settle_run
from riskadj.simulate import load_scenario
from riskadj.study import load_study

MAPPED = {"mapping": "mapping.yaml", "period_from": "calendar_year"}
Spoil = Callable[[bytes, bytes], bytes]


class Target(NamedTuple):
    """A reader.

    Attributes
    ----------
    good : str
        Which of `good.GOOD` it reads of.
    file : str
        What is spoilt.
    how : str
        Which of `READS` is called.
    spoil : function of the good bytes and of bytes that decide
    sealed : str
        `run` or `model` where digests are written anew, so that they do not stop everything.
    """

    good: str
    file: str
    how: str
    spoil: Spoil
    sealed: str = ""

    def read(self) -> object:
        """Read it, in the folder of the good one."""
        return READS[self.how]()

    def put(self, content: bytes, home: Path) -> None:
        """Write the file, and the digests that fit."""

        def write(_: Path) -> None:
            (home / self.file).write_bytes(content)

        SEALS[self.sealed](write)(home)


SEALS: dict[str, Callable[..., Callable[[Path], object]]] = {
    "": lambda change: change,
    "run": resealed,
    "run-settled": lambda change: resealed(change, "run-settled"),
    "model": resealed_model,
}


def _episodes(name: str, format: str, **more: str) -> Callable[[], object]:
    return lambda: read_episodes([name], format, **more)


def _claims() -> object:
    rules = load_study("study.yaml").data.claims
    assert rules is not None
    return read_claims(["claims.csv"], rules, threads=1, memory_limit="500MB")


def _page(*settlement: Path) -> object:
    return write_page(Path("run"), Path("page.html"), *settlement)


def _diffed() -> object:
    return diff_runs("run", "run", settlements=("run-settled", "run-settled"))


def _compared() -> object:
    return compare_runs(["run", "run"], replicates=2)


def _experiment() -> object:
    return [one.label for one in load_experiment("experiment.yaml").cells()]


READS: dict[str, Callable[[], object]] = {
    "study": lambda: load_study("study.yaml"),
    "setting": lambda: load_study("study.yaml", [Path("setting").read_text(errors="replace")]),
    "scenario": lambda: load_scenario("scenario.yaml"),
    "contract": lambda: load_contract("contract.yaml"),
    "settled": lambda: settle_run(load_contract("contract.yaml"), "run"),
    "experiment": _experiment,
    "redcap_mapping": lambda: read_mapping("mapping.yaml", RedcapMapping),
    "fhir_mapping": lambda: read_mapping("mapping.yaml", FhirMapping),
    "csv": _episodes("episodes.csv", "csv"),
    "zip": _episodes("episodes.zip", "csv"),
    "gz": _episodes("episodes.csv.gz", "csv"),
    "parquet": _episodes("episodes.parquet", "parquet"),
    "nhs": _episodes("records.csv", "nhs_proms"),
    "sparcs": _episodes("discharges.csv", "sparcs"),
    "redcap": _episodes("export.csv", "redcap", **MAPPED),
    "fhir": _episodes("bundle.json", "fhir", **MAPPED),
    "claims": _claims,
    "participation": lambda: read_participation(["participation.csv"]),
    "value_sets": lambda: read_value_sets("sets"),
    "key": lambda: read_key(Path("key")),
    "organisations": lambda: _read_organisations(Path("numbers.csv")),
    "model": lambda: load_model("model"),
    "opened": lambda: open_run("run"),
    "subject": lambda: open_subject("run"),
    "diffed": _diffed,
    "explained": lambda: explain_provider(read_explained("run", episodes=True), "H01"),
    "compared": _compared,
    "page": _page,
    "page_settled": lambda: _page(Path("run-settled")),
    "card": lambda: unwritten_of_card(read_card("run/card.json")),
    "journal": lambda: read_journal(Path("journal.jsonl")),
}
"""What is called in the folder of a good one."""
RUN, SETTLED, MODEL = "run", "run-settled", "model"
TARGETS = {
    "study": Target("csv", "study.yaml", "study", spoil_json),
    "study_claims": Target("claims", "study.yaml", "study", spoil_json),
    "yaml": Target("csv", "study.yaml", "study", spoil_bytes),
    "setting": Target("csv", "setting", "setting", spoil_bytes),
    "scenario": Target("scenario", "scenario.yaml", "scenario", spoil_json),
    "contract": Target("run", "contract.yaml", "contract", spoil_json),
    "settle": Target("run", "contract.yaml", "settled", spoil_json),
    "provider_table": Target("run", "table.csv", "settled", spoil_csv),
    "experiment": Target("experiment", "experiment.yaml", "experiment", spoil_json),
    "redcap_mapping": Target("redcap", "mapping.yaml", "redcap_mapping", spoil_json),
    "fhir_mapping": Target("fhir", "mapping.yaml", "fhir_mapping", spoil_json),
    "csv": Target("csv", "episodes.csv", "csv", spoil_csv),
    "csv_bytes": Target("csv", "episodes.csv", "csv", spoil_bytes),
    "zip": Target("csv", "episodes.zip", "zip", spoil_bytes),
    "gz": Target("csv", "episodes.csv.gz", "gz", spoil_bytes),
    "parquet": Target("parquet", "episodes.parquet", "parquet", spoil_parquet),
    "nhs": Target("nhs", "records.csv", "nhs", spoil_csv),
    "sparcs": Target("sparcs", "discharges.csv", "sparcs", spoil_csv),
    "redcap": Target("redcap", "export.csv", "redcap", spoil_csv),
    "fhir": Target("fhir", "bundle.json", "fhir", spoil_json),
    "fhir_bytes": Target("fhir", "bundle.json", "fhir", spoil_bytes),
    "claims": Target("claims", "claims.csv", "claims", spoil_csv),
    "claims_bytes": Target("claims", "claims.csv", "claims", spoil_bytes),
    "patients": Target("claims", "patients.csv", "claims", spoil_csv),
    "proms": Target("claims", "proms.csv", "claims", spoil_csv),
    "participation": Target("participation", "participation.csv", "participation", spoil_csv),
    "value_sets": Target("value_sets", "sets/TTO.csv", "value_sets", spoil_csv),
    "references": Target("value_sets", "sets/references.csv", "value_sets", spoil_csv),
    "key": Target("pseudonyms", "key", "key", spoil_bytes),
    "organisations": Target("run", "numbers.csv", "organisations", spoil_csv),
    "journal": Target("run", "journal.jsonl", "journal", spoil_bytes),
    "model": Target("model", "model/model.json", "model", spoil_json, MODEL),
    "trees": Target("model", "model/trees_0.txt", "model", spoil_bytes, MODEL),
    "run_mark": Target("run", "run/provenance.json", "opened", spoil_json),
    "run_mark_audited": Target("run", "run/provenance.json", "subject", spoil_json),
    "run_metrics": Target("run", "run/metrics.json", "diffed", spoil_json, RUN),
    "run_study_diffed": Target("run", "run/study.json", "diffed", spoil_json, RUN),
    "run_study": Target("run", "run/study.json", "explained", spoil_json, RUN),
    "run_study_page": Target("run", "run/study.json", "page", spoil_json, RUN),
    "run_providers": Target("run", "run/providers.csv", "explained", spoil_csv, RUN),
    "run_providers_page": Target("run", "run/providers.csv", "page", spoil_csv, RUN),
    "run_providers_settled": Target("run", "run/providers.csv", "settled", spoil_csv, RUN),
    "run_reference": Target("run", "run/reference.csv", "page", spoil_csv, RUN),
    "run_flow": Target("run", "run/flow.csv", "opened", spoil_csv, RUN),
    "run_expectations": Target("run", "run/expectations.parquet", "compared", spoil_parquet, RUN),
    "card": Target("run", "run/card.json", "card", spoil_json, RUN),
    "card_page": Target("run", "run/card.json", "page", spoil_json, RUN),
    "settlement": Target("run", "run-settled/settlement.json", "page_settled", spoil_json, SETTLED),
    "settlement_diffed": Target(
        "run", "run-settled/settlement.json", "diffed", spoil_json, SETTLED
    ),
    "settlement_totals": Target(
        "run", "run-settled/settlement.csv", "page_settled", spoil_csv, SETTLED
    ),
}


def _zipped(content: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr(zipfile.ZipInfo("episodes.csv"), content, zipfile.ZIP_DEFLATED)
    return made.getvalue()


PACKED: dict[str, Callable[[bytes], bytes]] = {
    "zip": _zipped,
    "gz": partial(gzip.compress, mtime=0),
}
"""Targets whose good file is the good table, packed."""
FIRST = {"setting": b"split.test=[2022]"}
"""What is spoilt where no good one holds the file."""


def good_bytes(name: str, home: Path) -> bytes:
    """Return what the good file holds."""
    if name in FIRST:
        return FIRST[name]
    if name in PACKED:
        return PACKED[name]((home / "episodes.csv").read_bytes())
    return (home / TARGETS[name].file).read_bytes()
