"""A good one of everything that riskadj reads: what is spoiled by a case, or by a fuzzer.

Each function fills a folder; everything in it is named alike in all of them (`study.yaml`,
`episodes.csv`, ...), and all paths are relative to it.
"""

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
from claims_worlds import RULES, line, patient
from settling import content as contract_content
from worlds import LINEAR, OUT_OF_FOLD, episode_frame, study_content, write_study

from riskadj.episodes.nhs import _joint_columns, _shared_columns
from riskadj.episodes.participation import COUNTS
from riskadj.episodes.sparcs import HEADERS
from riskadj.expected import cross_fit, save_model
from riskadj.pipeline import run_study
from riskadj.report.settlement import settle_run, write_settlement
from riskadj.study import load_study, read_yaml
from riskadj.yaml_text import plain

MARKER = "ZZPATIENT7"
"""The patient of the first row of every good file; no message may say it."""
ROOT = Path(__file__).parents[2]
CONFIGS = ROOT / "configs"
EXAMPLES = ROOT / "tests" / "examples"
COST = {"name": "cost", "kind": "cost", "column": "cost_total_90d", "currency": "EUR",
        "price_year": 2023}  # fmt: skip
KEY = "key-of-the-pseudonyms-in-a-test-0123456789"
_JOINT = "Hip Replacement"


def marked(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table whose first patient has the marker for a name."""
    names = frame["patient_id"].tolist()
    return frame.assign(patient_id=[MARKER, *names[1:]])


def csv(folder: Path) -> None:
    """Write a study of the canonical table as CSV."""
    marked(episode_frame(200)).to_csv(folder / "episodes.csv", index=False)
    write_study(folder, study_content(learners=LINEAR))


def parquet(folder: Path) -> None:
    """Write the same as Parquet."""
    marked(episode_frame(200)).to_parquet(folder / "episodes.parquet", index=False)
    data = {"format": "parquet", "paths": ["episodes.parquet"]}
    write_study(folder, study_content(learners=LINEAR, data=data))


def nhs(folder: Path) -> None:
    """Write a record file as NHS England publishes them."""
    row = {one.header: "9" for one in _shared_columns()}
    row |= {one.header: "2" for one in _joint_columns(_JOINT, "ohs")}
    row |= {"Provider Code": "RAA01", "Year": "2021", "Age Band": "60 to 69", "Gender": "2"}
    row |= {f"{when} {name}": "1" for when in ("Pre-Op Q", "Post-Op Q")
            for name in ("Mobility", "Self-Care", "Activity", "Discomfort", "Anxiety")}  # fmt: skip
    row |= {"Pre-Op Q EQ5D Index": "1", "Post-Op Q EQ5D Index": "1"}
    row |= {f"{_JOINT} EQ5D Index Post-Op Q Predicted": "0.75"}
    row |= {"Pre-Op Q EQ VAS": "50", "Post-Op Q EQ VAS": "80"}
    row |= {f"{_JOINT} {when} Score": "24" for when in ("Pre-Op Q", "Post-Op Q")}
    row |= {"Procedure": _JOINT, "Revision Flag": "0"}
    rows = [row | {"Year": f"{2021 + one % 2}", "Provider Code": f"RAA0{one // 2 % 2}",
                   "Pre-Op Q Assisted": "129"[one % 3]} for one in range(40)]  # fmt: skip
    pd.DataFrame(rows).to_csv(folder / "records.csv", index=False)
    _study_of(folder, {"format": "nhs_proms", "paths": ["records.csv"]}, casemix="sex")


def sparcs(folder: Path) -> None:
    """Write discharges as New York publishes them, and a study of their cost."""
    row = dict.fromkeys(HEADERS, "") | {
        "Permanent Facility Id": "1454", "Discharge Year": "2021", "Age Group": "18 to 29",
        "Zip Code - 3 digits": "100", "Gender": "M", "Race": "White", "Ethnicity": "Unknown",
        "Type of Admission": "Emergency", "Emergency Department Indicator": "Y",
        "Payment Typology 1": "Medicaid", "CCSR Diagnosis Code": "MBD003", "APR DRG Code": "753",
        "APR Severity of Illness Code": "2", "APR Risk of Mortality": "Major",
        "APR Medical Surgical Description": "Medical", "Length of Stay": "3",
        "Patient Disposition": "Home or Self Care", "Total Charges": "21,943.33",
    }  # fmt: skip
    rows = [row | {"Total Costs": f"{1000 + one}", "Gender": "MF"[one % 2],
                   "Discharge Year": f"{2021 + one % 2}",
                   "Permanent Facility Id": f"145{one // 2 % 2}"} for one in range(40)]  # fmt: skip
    pd.DataFrame(rows).to_csv(folder / "discharges.csv", index=False)
    content = study_content(
        learners=LINEAR, data={"format": "sparcs", "paths": ["discharges.csv"]},
        outcomes=[COST | {"column": "cost_index", "currency": "USD"}],
        casemix__columns=["sex"], cohort__procedure_group="INPATIENT",
    )  # fmt: skip
    write_study(folder, content)


def redcap(folder: Path) -> None:
    """Write an export of a REDCap project with events, and its mapping."""
    text = (EXAMPLES / "redcap_hip.csv").read_text(encoding="utf-8")
    header, *rows = text.splitlines()
    named = [MARKER + row[1:] if row.startswith("1,") else row for row in rows]
    _write(folder / "export.csv", "\n".join([header, *named]) + "\n")
    _mapping(folder, "redcap_hip")
    data = {"format": "redcap", "paths": ["export.csv"], "mapping": "mapping.yaml"}
    _study_of(folder, data | {"period_from": "calendar_year"})


def fhir(folder: Path) -> None:
    """Write a FHIR bundle, and its mapping."""
    text = (EXAMPLES / "fhir_hip.json").read_text(encoding="utf-8")
    text = text.replace("Patient/p1", f"Patient/{MARKER}").replace('"p1"', f'"{MARKER}"')
    _write(folder / "bundle.json", text)
    _mapping(folder, "fhir_hip")
    data = {"format": "fhir", "paths": ["bundle.json"], "mapping": "mapping.yaml"}
    _study_of(folder, data | {"period_from": "calendar_year"})


def claims(folder: Path) -> None:
    """Write claim lines, patients and questionnaires."""
    names = [MARKER, *(f"p{one}" for one in range(19))]
    days = [f"{2020 + one % 2}-03-{one + 1:02}" for one in range(20)]
    pd.DataFrame([patient(one) for one in names]).to_csv(folder / "patients.csv", index=False)
    lines = [line(one, day, drg="470", provider_id="AB"[at // 2 % 2])
             for at, (one, day) in enumerate(zip(names, days, strict=True))]  # fmt: skip
    pd.DataFrame(lines).to_csv(folder / "claims.csv", index=False)
    answers = {"patient_id": names, "index_date": days, "q1_score_ohs": 20, "q2_score_ohs": 40}
    pd.DataFrame(answers).to_csv(folder / "proms.csv", index=False)
    rules = json.loads(json.dumps(RULES, default=str)) | {"proms": "proms.csv", "index": {
        "HIP_PRIM": {"drgs": ["470"]}}}  # fmt: skip
    data = {"format": "claims", "paths": ["claims.csv"], "period_from": "calendar_year",
            "claims": rules}  # fmt: skip
    _study_of(folder, data, train=["2020"], test=["2021"])


def participation(folder: Path) -> None:
    """Write a study beside whose episodes there are counts of follow-up."""
    csv(folder)
    codes = [f"H{one:02}" for one in range(6)] + ["England"]
    counts = dict.fromkeys(COUNTS.values(), [30] * 6 + [180])
    table = {f"Primary Hip Replacement - {name}": some for name, some in counts.items()}
    pd.DataFrame({"Organisation Code": codes, **table}).to_csv(
        folder / "participation.csv", index=False
    )
    _change(folder / "study.yaml", lambda content: content["data"].update(
        participation=["participation.csv"]))  # fmt: skip


def value_sets(folder: Path) -> None:
    """Write a study that values EQ-5D by a folder of value sets."""
    csv(folder)
    (folder / "sets").mkdir()
    terms = [f"{one}{level}" for one, level in itertools.product(("MO", "SC", "UA", "PD", "AD"),
                                                                 (2, 3))]  # fmt: skip
    rows = "".join(f"{one},{-0.1 * (int(one[-1]) - 1)}\n" for one in terms)
    _write(folder / "sets" / "TTO.csv", f",Germany\nFullHealth,1\n{rows}")
    header = "Version,Type,Country,PubMed,DOI,ISBN,ExternalURL"
    _write(folder / "sets" / "references.csv", f"{header}\nEQ-5D-3L,TTO,Germany,,1/a,,\n")
    sets = {"folder": "sets", "EQ5D3L": "EQ-5D-3L/TTO/Germany"}
    _change(folder / "study.yaml", lambda content: content["data"].update(value_sets=sets))


def pseudonyms(folder: Path) -> None:
    """Write a study whose identifiers become keyed hashes."""
    csv(folder)
    _write(folder / "key", f"{KEY}\n")
    rules = {"key_file": "key"}
    _change(folder / "study.yaml", lambda content: content["data"].update(pseudonymise=rules))


def scenario(folder: Path) -> None:
    """Write a scenario that is a world in a moment."""
    _as_json(CONFIGS / "scenarios" / "demo.yaml", folder / "scenario.yaml", episodes_per_period=60)


def experiment(folder: Path) -> None:
    """Write an experiment on a small study."""
    csv(folder)
    grid = [
        {"plain": ["learners=[{kind: linear}]"], "harder": ["learners=[{kind: linear, ridge: 9}]"]}
    ]
    content = {"question": "Does it matter?", "expectation": "It does not.", "study": "study.yaml",
               "grid": grid, "figures": ["r2", "spearman"], "chart": "r2", "seed": 4}  # fmt: skip
    _write(folder / "experiment.yaml", json.dumps(content, indent=1))


def run(folder: Path) -> None:
    """Write a finished run, its settlement, a contract, a provider table and a saved model."""
    frame = marked(episode_frame(900, providers=6)).assign(cost_total_90d=lambda table:
            9000 + 40 * table["age_years"] + table.index % 97)  # fmt: skip
    frame.to_csv(folder / "episodes.csv", index=False)
    content = study_content(learners=LINEAR, **OUT_OF_FOLD)
    content["outcomes"].append(COST)
    study = load_study(write_study(folder, content))
    run_study(study, folder / "run")
    names = sorted(frame["provider_id"].unique())
    _write(
        folder / "table.csv", "provider_id,registry\n" + "".join(f"{one},0.9\n" for one in names)
    )
    numbers = "".join(f"{one},97400000{at}\n" for at, one in enumerate(names))
    _write(folder / "numbers.csv", f"provider_id,orgnr\n{numbers}")
    gate = {"kind": "gate", "name": "registry", "source": "ours", "confirmed": False, "criteria": [
        {"kind": "table", "label": "registry", "column": "registry", "at_least": 0.85,
         "not_known": "fails", "source": "ours", "confirmed": False}]}  # fmt: skip
    uplift = {"kind": "uplift", "needs": "registry", "amount": 550, "source": "ours",
              "confirmed": False}  # fmt: skip
    terms = contract_content(outcomes=["ohs"], provider_table="table.csv")
    terms["steps"] += [gate, uplift]
    _write(folder / "contract.yaml", json.dumps(terms, indent=1))
    from riskadj.payment.contract import load_contract

    write_settlement(settle_run(load_contract(folder / "contract.yaml"), folder / "run"),
                     folder / "run-settled")  # fmt: skip


def model(folder: Path) -> None:
    """Write a saved model of boosted trees."""
    from worlds import casemix_of, make_study

    study = make_study(learners=[{"kind": "lightgbm", "trees": 5, "min_episodes_per_leaf": 10}])
    made = cross_fit(casemix_of(episode_frame(300), study), study)
    save_model(made.models["lightgbm"], folder / "model")


_ALL = (csv, parquet, nhs, sparcs, redcap, fhir, claims, participation, value_sets, pseudonyms,
        scenario, experiment, run, model)  # fmt: skip
GOOD: dict[str, Callable[[Path], None]] = {one.__name__: one for one in _ALL}


def _study_of(
    folder: Path, data: dict[str, Any], casemix: str = "q1_score_ohs", **split: Any
) -> None:
    content = study_content(learners=LINEAR, data=data, casemix__columns=[casemix])
    content["split"] |= split
    write_study(folder, content)


def _mapping(folder: Path, name: str) -> None:
    _as_json(CONFIGS / "mappings" / f"{name}.yaml", folder / "mapping.yaml")


def _as_json(path: Path, to: Path, **changes: Any) -> None:
    _write(to, json.dumps(plain(read_yaml(path)) | changes, indent=1))


def _change(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content)
    _write(path, json.dumps(content, indent=1))


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
