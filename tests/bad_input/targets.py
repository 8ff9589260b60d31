"""What reads a file: for each reader a good one, the file that is spoilt, and the call."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from bad_input.changes import resealed, resealed_model
from bad_input.spoil import spoil_bytes, spoil_csv, spoil_json, spoil_parquet
from riskadj.audit.runs import open_run
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
from riskadj.payment.contract import load_contract
from riskadj.report.card.published import read_card, unwritten_of_card
from riskadj.report.explaining import explain_provider, read_explained
from riskadj.report.page.build import write_page
from riskadj.report.portal.export import _read_organisations
from riskadj.report.settlement import settle_run
from riskadj.simulate import load_scenario
from riskadj.study import load_study

Spoil = Callable[[bytes, bytes], bytes]


class Target(NamedTuple):
    """A reader.

    Attributes
    ----------
    good : str
        Which of `good.GOOD` it reads of.
    file : str
        What is spoilt.
    read : function of no argument
        In the folder of the good one.
    spoil : function of the good bytes and of bytes that decide
    sealed : str
        `run` or `model` where digests are written anew, so that they do not stop everything.
    """

    good: str
    file: str
    read: Callable[[], object]
    spoil: Spoil
    sealed: str = ""

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
    study = load_study("study.yaml")
    rules = study.data.claims
    assert rules is not None
    return read_claims(["claims.csv"], rules, threads=1, memory_limit="500MB")


def _settled() -> object:
    return settle_run(load_contract("contract.yaml"), "run")


def _page() -> object:
    return write_page(Path("run"), Path("page.html"))


def _page_settled() -> object:
    return write_page(Path("run"), Path("page.html"), Path("run-settled"))


def _explained() -> object:
    return explain_provider(read_explained("run", episodes=True), "H01")


def _card() -> object:
    return unwritten_of_card(read_card("run/card.json"))


def _experiment() -> object:
    found = load_experiment("experiment.yaml")
    return [one.label for one in found.cells()]


def _setting() -> object:
    text = Path("setting").read_bytes().decode("utf-8", "replace")
    return load_study("study.yaml", [text])


TARGETS: dict[str, Target] = {
    "study": Target("csv", "study.yaml", lambda: load_study("study.yaml"), spoil_json),
    "study_claims": Target("claims", "study.yaml", lambda: load_study("study.yaml"), spoil_json),
    "yaml": Target("csv", "study.yaml", lambda: load_study("study.yaml"), spoil_bytes),
    "setting": Target("csv", "setting", _setting, spoil_bytes),
    "scenario": Target("scenario", "scenario.yaml", lambda: load_scenario("scenario.yaml"), spoil_json),
    "contract": Target("run", "contract.yaml", lambda: load_contract("contract.yaml"), spoil_json),
    "settle": Target("run", "contract.yaml", _settled, spoil_json),
    "provider_table": Target("run", "table.csv", _settled, spoil_csv),
    "experiment": Target("experiment", "experiment.yaml", _experiment, spoil_json),
    "redcap_mapping": Target(
        "redcap", "mapping.yaml", lambda: read_mapping("mapping.yaml", RedcapMapping), spoil_json
    ),
    "fhir_mapping": Target(
        "fhir", "mapping.yaml", lambda: read_mapping("mapping.yaml", FhirMapping), spoil_json
    ),
    "csv": Target("csv", "episodes.csv", _episodes("episodes.csv", "csv"), spoil_csv),
    "csv_bytes": Target("csv", "episodes.csv", _episodes("episodes.csv", "csv"), spoil_bytes),
    "parquet": Target("parquet", "episodes.parquet", _episodes("episodes.parquet", "parquet"), spoil_parquet),
    "nhs": Target("nhs", "records.csv", _episodes("records.csv", "nhs_proms"), spoil_csv),
    "sparcs": Target("sparcs", "discharges.csv", _episodes("discharges.csv", "sparcs"), spoil_csv),
    "redcap": Target(
        "redcap", "export.csv", _episodes("export.csv", "redcap", mapping="mapping.yaml"), spoil_csv
    ),
    "fhir": Target(
        "fhir", "bundle.json", _episodes("bundle.json", "fhir", mapping="mapping.yaml"), spoil_json
    ),
    "fhir_bytes": Target(
        "fhir", "bundle.json", _episodes("bundle.json", "fhir", mapping="mapping.yaml"), spoil_bytes
    ),
    "claims": Target("claims", "claims.csv", _claims, spoil_csv),
    "claims_bytes": Target("claims", "claims.csv", _claims, spoil_bytes),
    "patients": Target("claims", "patients.csv", _claims, spoil_csv),
    "proms": Target("claims", "proms.csv", _claims, spoil_csv),
    "participation": Target(
        "participation", "participation.csv", lambda: read_participation(["participation.csv"]), spoil_csv
    ),
    "value_sets": Target("value_sets", "sets/TTO.csv", lambda: read_value_sets("sets"), spoil_csv),
    "references": Target(
        "value_sets", "sets/references.csv", lambda: read_value_sets("sets"), spoil_csv
    ),
    "key": Target("pseudonyms", "key", lambda: read_key(Path("key")), spoil_bytes),
    "organisations": Target(
        "run", "table.csv", lambda: _read_organisations(Path("table.csv")), spoil_csv
    ),
    "model": Target("model", "model/model.json", lambda: load_model("model"), spoil_json, "model"),
    "trees": Target("model", "model/trees_0.txt", lambda: load_model("model"), spoil_bytes, "model"),
    "run_mark": Target("run", "run/provenance.json", lambda: open_run("run"), spoil_json),
    "run_study": Target("run", "run/study.json", _explained, spoil_json, "run"),
    "run_page": Target("run", "run/study.json", _page, spoil_json, "run"),
    "run_providers": Target("run", "run/providers.csv", _explained, spoil_csv, "run"),
    "run_providers_page": Target("run", "run/providers.csv", _page, spoil_csv, "run"),
    "run_providers_settled": Target("run", "run/providers.csv", _settled, spoil_csv, "run"),
    "run_reference": Target("run", "run/reference.csv", _page, spoil_csv, "run"),
    "run_flow": Target("run", "run/flow.csv", lambda: open_run("run"), spoil_csv, "run"),
    "run_expectations": Target(
        "run", "run/expectations.parquet", lambda: compare_runs(["run", "run"], replicates=2), spoil_parquet, "run"
    ),
    "card": Target("run", "run/card.json", _card, spoil_json, "run"),
    "card_page": Target("run", "run/card.json", _page, spoil_json, "run"),
    "settlement": Target("run", "run-settled/settlement.json", _page_settled, spoil_json, "run-settled"),
    "settlement_totals": Target("run", "run-settled/settlement.csv", _page_settled, spoil_csv, "run-settled"),
}  # fmt: skip


FIRST = {"setting": b"split.test=[2022]"}
"""What is spoilt where no good one holds the file."""


def good_bytes(name: str, home: Path) -> bytes:
    """Return what the good file holds."""
    if name in FIRST:
        return FIRST[name]
    return (home / TARGETS[name].file).read_bytes()
