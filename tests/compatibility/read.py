"""What the readers of this version make of a folder that `write.py` of some version wrote."""

import inspect
import shutil
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Any

import pandas as pd
from typer.main import get_command
from worlds import typed

import riskadj
from riskadj import errors
from riskadj.audit import audit_run, diff_runs
from riskadj.cli.app import app
from riskadj.episodes import read_episodes
from riskadj.episodes.fhir_mapping import FhirMapping
from riskadj.episodes.mapping import read_mapping
from riskadj.episodes.participation import read_participation
from riskadj.episodes.redcap_mapping import RedcapMapping
from riskadj.errors import RiskadjError
from riskadj.expected import load_model
from riskadj.experiment import load_experiment
from riskadj.experiment.keep import Store
from riskadj.experiment.records import Experiment
from riskadj.experiment.results import table_of
from riskadj.instruments.thresholds import THRESHOLDS
from riskadj.journal import read_journal
from riskadj.payment.contract import contract_schema, load_contract
from riskadj.pipeline import read_study
from riskadj.report.card.published import publish_card, read_card, unwritten_of_card
from riskadj.report.explaining import explain_provider, read_explained
from riskadj.report.folder import check_own_place, read_csv, read_json, read_provenance
from riskadj.report.page.build import write_page
from riskadj.report.page.settled import settlement_content
from riskadj.report.portal.export import export_skde
from riskadj.report.settlement import settle_run
from riskadj.simulate import Scenario, load_scenario
from riskadj.study import load_study, study_schema
from riskadj.tracking.store import mlflow_at_work

MAPPINGS = {"redcap": RedcapMapping, "fhir": FhirMapping}
RECORDS = MAPPINGS | {"scenario": Scenario, "experiment": Experiment}
"""What else is written by hand, whose keys are kept."""


def golden_of(home: Path) -> dict[str, Any]:
    """Return what is read of a folder, by what is read."""
    return {name: read(home) for name, read in READERS.items()} | {"public": public()}


def _models(home: Path) -> dict[str, list[float]]:
    rows = typed(pd.read_csv(home / "models" / "asked.csv"))
    folders = sorted(one for one in (home / "models").iterdir() if one.is_dir())
    return {one.name: load_model(one).expect(rows).tolist() for one in folders}


def _logged(home: Path) -> dict[str, Any]:
    """Ask a model that MLflow kept, through MLflow and as our own."""
    rows = typed(pd.read_csv(home / "models" / "asked.csv"))
    with TemporaryDirectory() as place, mlflow_at_work():  # loading leaves bytecode beside it
        from mlflow import pyfunc

        kept = shutil.copytree(home / "logged", Path(place) / "logged")
        model = pyfunc.load_model(str(kept))
        return {
            "columns": model.metadata.signature.inputs.input_names(),
            "asked": model.predict(rows)["expected_score"].tolist(),
            "itself": load_model(kept / "artifacts" / "better-linear").expect(rows).tolist(),
        }


def _audit(home: Path) -> dict[str, Any]:
    found = audit_run(home / "run", data=[home], any_code=True, rerun=False)
    return {"exit_code": found.exit_code, "steps": {one.name: one.outcome for one in found.steps}}


def _journal(home: Path) -> dict[str, Any]:
    found = read_journal(home)
    return {"acts": [one.act for one in found.entries], "faults": found.faults, "head": found.head}


def _settle(home: Path) -> dict[str, Any]:
    settled = settle_run(load_contract(home / "contract.yaml"), home / "run")
    totals = settled.totals.set_index("provider_id")["total_minor"]
    return {"pool": settled.pool, "totals": {str(one): int(to) for one, to in totals.items()}}


def _settled(home: Path) -> dict[str, Any]:
    run = read_json(home / "run" / "provenance.json")["stages"][-1]["digest"]
    content = settlement_content(home / "settled", run)
    return {one: content[one] for one in ("pool_minor", "currency", "contract")}


def _report(home: Path) -> dict[str, Any]:
    with TemporaryDirectory() as place:
        run = shutil.copytree(home / "run", Path(place) / "run")
        made = write_page(run, Path(place) / "page.html", home / "settled")
    return {"providers": made.providers, "outcomes": made.outcomes, "settled": made.settled}


def _filled(home: Path) -> dict[str, Any]:
    read = read_study(load_study(home / "filled.yaml"))
    found = audit_run(home / "filled", data=[home], any_code=True, rerun=False)
    with TemporaryDirectory() as place:
        run = shutil.copytree(home / "filled", Path(place) / "filled")
        made = write_page(run, Path(place) / "page.html")
    return {
        "pseudonyms": read.table["patient_id"].head(3).tolist(),
        "steps": {one.name: one.outcome for one in found.steps},
        "providers": made.providers,
    }


def _explain(home: Path) -> dict[str, float]:
    parts = explain_provider(read_explained(home / "run"), "H01").parts
    return dict(zip(parts["feature"], parts["contribution"], strict=True))


def _export(home: Path) -> dict[str, Any]:
    with TemporaryDirectory() as place:  # with the run, as the log beside it is written to
        run = shutil.copytree(home / "run", Path(place) / "run")
        made = export_skde(run, Path(place) / "skde.csv")
        text = (Path(place) / "skde.csv").read_text(encoding="utf-8")
    return {"rows": made.rows, "text": text}


def _diff(home: Path) -> dict[str, Any]:
    same, other = (diff_runs(home / "run", home / one) for one in ("run", "filled"))
    return {
        "same_run": [same.same_run, other.same_run],
        "rows": {name: len(other.tables[name]) for name in ("data", "study", "models", "flags")},
    }


def _card(home: Path) -> dict[str, Any]:
    card = read_card(home / "run")
    return {"title": card["title"], "todo": unwritten_of_card(card).fields}


def _published(home: Path) -> dict[str, Any]:
    """Read a card on a shelf, and put that of its run in its place."""
    card = read_card(home / "cards" / "filled" / "1")
    with TemporaryDirectory() as place:
        for name in ("filled", "cards"):
            shutil.copytree(home / name, Path(place) / name)
        again = publish_card(Path(place) / "filled", Path(place) / "cards")
        replaced = again.relative_to(place).as_posix()
    return {"title": card["title"], "todo": unwritten_of_card(card).fields, "replaced": replaced}


def _trial(home: Path) -> dict[str, Any]:
    folder = home / "trial"
    check_own_place(folder, "trial", "the trial", "something else")
    mark = read_provenance(folder, read_json(folder / "provenance.json")["files"])
    table = read_csv(folder / "operating.csv").set_index("contract")
    return {"digest": mark["trial"], "misallocated": table["misallocated_share"].to_dict()}


def _experiment(home: Path) -> dict[str, Any]:
    results = read_json(home / "experiment" / "results.json")
    digests = [part["digest"] for cell in results["cells"] for part in cell["parts"]]
    kept = [Store(home / "work").find(one) for one in digests]
    return {
        "question": load_experiment(home / "experiment").question,
        "table": table_of(results).to_dict("list"),
        "kept": [None if one is None else [len(one.episodes), len(one.providers)] for one in kept],
    }


def _worlds(home: Path) -> dict[str, int]:
    worlds = home / "worlds"
    asked = {"redcap.csv": "redcap_hip", "fhir.json.gz": "fhir_hip"}
    studies = {
        name: load_study(
            home / "configs" / "studies" / f"{study}.yaml", [f"data.paths=[{worlds / name}]"]
        )
        for name, study in asked.items()
    } | {"us_tha": load_study(worlds / "us_tha" / "study.yaml")}
    read = {name: read_study(study) for name, study in studies.items()} | {
        name: read_episodes([worlds / name], kind)
        for name, kind in (
            ("england_hip.csv", "csv"),
            ("england_hip.csv.gz", "csv"),
            ("england_hip/episodes.parquet", "parquet"),
        )
    }
    asked = read_participation([worlds / "england_hip" / "participation.csv"])
    return {name: len(episodes.table) for name, episodes in read.items()} | {
        "participation": int(asked.table["q1"].sum())
    }


def _configs(home: Path) -> dict[str, Any]:
    configs = home / "configs"
    studies = {one.stem: load_study(one) for one in sorted(configs.glob("studies/*.yaml"))}
    contracts = {one.stem: load_contract(one) for one in sorted(configs.glob("contracts/*.yaml"))}
    scenarios = {one.stem: load_scenario(one) for one in sorted(configs.glob("scenarios/*.yaml"))}
    mappings = {
        one.stem: read_mapping(one, MAPPINGS[one.stem.partition("_")[0]]).format
        for one in sorted(configs.glob("mappings/*.yaml"))
    }
    return {
        "studies": {
            name: [one.name, one.version, [outcome.name for outcome in one.outcomes]]
            for name, one in studies.items()
        },
        "contracts": {
            name: [one.name, one.version, [step.kind for step in one.steps]]
            for name, one in contracts.items()
        },
        "scenarios": {name: [one.name, one.seed] for name, one in scenarios.items()},
        "mappings": mappings,
    }


READERS: Mapping[str, Callable[[Path], Any]] = MappingProxyType({
    "models": _models, "logged": _logged, "audit": _audit, "journal": _journal,
    "settle": _settle, "settled": _settled, "report": _report, "filled": _filled,
    "explain": _explain, "export": _export, "diff": _diff, "card": _card,
    "published": _published, "trial": _trial, "experiment": _experiment, "worlds": _worlds,
    "configs": _configs,
})  # fmt: skip
"""Each takes the folder, and returns what it read as JSON would hold it."""


# What others build on -----------------------------------------------------------------------------


def public() -> dict[str, Any]:
    """Return names, verbs, exit codes, keys and thresholds that others build on."""
    return {
        "names": {one: _signatures(one) for one in ("riskadj", "riskadj.stats")},
        "verbs": {" ".join(path): options for path, options in _verbs(get_command(app), ())},
        "exit_codes": {
            name: one.exit_code
            for name, one in vars(errors).items()
            if isinstance(one, type) and issubclass(one, RiskadjError)
        },
        "study": _keys(study_schema()),
        "contract": _keys(contract_schema()),
        **{name: _keys(one.model_json_schema()) for name, one in RECORDS.items()},
        "thresholds": {name: one.value for name, one in THRESHOLDS.items()},
        "version": riskadj.__version__,
    }


def _signatures(name: str) -> dict[str, list[str]]:
    module = import_module(name)
    made = {one: getattr(module, one) for one in module.__all__}
    return {name: _parameters(one) for name, one in made.items()}


def _parameters(one: Any) -> list[str]:
    try:
        return list(inspect.signature(one).parameters)
    except (TypeError, ValueError):  # data; and classes that say nothing of how they are made
        return []


def _verbs(command: Any, path: tuple[str, ...]) -> Any:
    for name, one in getattr(command, "commands", {}).items():
        yield (*path, name), [option for given in one.params for option in given.opts]
        yield from _verbs(one, (*path, name))


def _keys(schema: Mapping[str, Any]) -> dict[str, list[str]]:
    parts = {"": schema} | schema.get("$defs", {})
    return {name: list(one.get("properties", {})) for name, one in parts.items()}
