"""PROM collections as they arrive, through a study: REDCap exports, FHIR bundles, value sets."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from worlds import study_content

import riskadj
from riskadj.errors import RiskadjError, StudyError
from riskadj.report.provenance import portable_study

HERE = Path(__file__).parents[1]
VALUE_SETS = HERE.parents[1] / "shared" / "data" / "eq5d_value_sets"
EXAMPLES = HERE / "examples"
MAPPINGS = HERE.parent / "configs" / "mappings"
COLLECTIONS = {
    "redcap": ("redcap_hip.csv", "redcap_hip.yaml"),
    "fhir": ("fhir_hip.json", "fhir_hip.yaml"),
}


def study_at(folder: Path, **data: Any) -> Path:
    path = folder / "study.yaml"
    path.write_text(json.dumps(study_content(data=data)), encoding="utf-8")
    return path


def collected(kind: str, folder: Path) -> Any:
    file, mapping = COLLECTIONS[kind]
    path = study_at(
        folder, format=kind, paths=[str(EXAMPLES / file)], mapping=str(MAPPINGS / mapping),
        period_from="calendar_year",
    )  # fmt: skip
    return riskadj.load_study(path)


@pytest.mark.parametrize("kind", COLLECTIONS)
def test_a_collection_becomes_scored_episodes(kind: str, tmp_path: Path) -> None:
    study = collected(kind, tmp_path)
    episodes = riskadj.read_study(study)
    assert episodes.table["q1_score_ohs"].notna().any()
    assert episodes.table["q2_score_ohs"].between(0, 48).any()
    assert episodes.table["provider_id"].notna().all()
    assert [one.name for one in episodes.sources] == list(COLLECTIONS[kind])


@pytest.mark.parametrize("kind", COLLECTIONS)
def test_the_digest_depends_on_the_mapping_and_no_folder_is_told(kind: str, tmp_path: Path) -> None:
    study = collected(kind, tmp_path)
    told = portable_study(study)
    assert told["data"]["mapping"] == COLLECTIONS[kind][1]
    mapping = tmp_path / COLLECTIONS[kind][1]
    mapping.write_text((MAPPINGS / mapping.name).read_text() + "\n# changed\n", encoding="utf-8")
    changed = study.model_copy(update={"data": study.data.model_copy(update={"mapping": mapping})})
    assert riskadj.read_study(changed).digest != riskadj.read_study(study).digest


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"format": "redcap"}, "wanted a mapping with formats redcap and fhir"),
        ({"format": "csv", "mapping": "m.yaml"}, "none with others; got one with csv"),
    ],
)
def test_a_mapping_goes_with_what_needs_one(
    data: dict[str, Any], words: str, tmp_path: Path
) -> None:
    path = study_at(tmp_path, paths=["a.csv"], **data)
    with pytest.raises(StudyError, match=words):
        riskadj.load_study(path)


def test_what_a_collection_leaves_out_is_counted(tmp_path: Path) -> None:
    bundle = json.loads((EXAMPLES / "fhir_hip.json").read_text(encoding="utf-8"))
    before = riskadj.read_study(collected("fhir", tmp_path)).left_out
    answers = [
        one["resource"]
        for one in bundle["entry"]
        if one["resource"]["resourceType"] == "QuestionnaireResponse"
        and one["resource"]["status"] == "completed"
    ]
    answers[0]["status"] = "in-progress"
    (tmp_path / "bundle.json").write_text(json.dumps(bundle), encoding="utf-8")
    path = study_at(
        tmp_path,
        format="fhir",
        paths=["bundle.json"],
        mapping=str(MAPPINGS / "fhir_hip.yaml"),
        period_from="calendar_year",
    )
    after = riskadj.read_study(riskadj.load_study(path)).left_out
    assert sum(after.values()) == sum(before.values()) + 1


# --- made up --------------------------------------------------------------------------------------

DEMO = HERE.parent / "configs" / "scenarios" / "demo.yaml"
FILES = {"redcap": "hips.csv", "fhir": "hips.json.gz"}


@pytest.mark.parametrize("kind", FILES)
def test_a_simulated_collection_is_one_that_the_shipped_study_takes(
    kind: str, riskadj: Any, tmp_path: Path
) -> None:
    out = tmp_path / FILES[kind]
    small = ("--set", "episodes_per_period=300", "--set", "providers.number=6")
    code, printed, err = riskadj("simulate", DEMO, "--as", kind, "--out", out, *small)
    assert (code, err) == (0, "")
    assert printed.split() == [str(out), str(tmp_path / "hips.truth.csv")]
    study = HERE.parent / "configs" / "studies" / f"{kind}_hip.yaml"
    code, printed, err = riskadj("validate", study, "--set", f"data.paths=[{out}]")
    assert code == 0, err
    assert "No faults" in printed


def test_a_collection_is_one_of_those_that_there_are(riskadj: Any, tmp_path: Path) -> None:
    code, _, err = riskadj("simulate", DEMO, "--as", "hl7", "--out", tmp_path / "a.csv")
    assert code == 2
    assert "'redcap', 'fhir'" in err


def test_every_fault_of_a_scenario_is_told(riskadj: Any, tmp_path: Path) -> None:
    bad = ("--set", "seed=-1", "--set", "drift=9", "--set", "gaps.itemz=0")
    code, printed, err = riskadj("simulate", DEMO, "--out", tmp_path / "a.csv", *bad)
    assert (code, printed) == (10, "")
    assert "3 faults. (1) --set gaps.itemz" in err
    assert "--set seed" in err
    assert "--set drift" in err
    assert "riskadj validate" not in err


# --- value sets -----------------------------------------------------------------------------------


def five_levels(folder: Path) -> Path:
    table = pd.DataFrame(
        {
            "provider_id": ["A", "B"],
            "period": ["2021", "2022"],
            "procedure_group": "HIP_PRIM",
            **{f"q1_item_eq5d5l_{item:02d}": ["1", "2"] for item in range(1, 6)},
            **{f"q2_item_eq5d5l_{item:02d}": ["1", "1"] for item in range(1, 6)},
        }
    )
    path = folder / "episodes.csv"
    table.to_csv(path, index=False)
    return path


def test_answers_without_a_value_set_are_refused_with_the_way_out(tmp_path: Path) -> None:
    five_levels(tmp_path)
    study = riskadj.load_study(study_at(tmp_path, format="csv", paths=["episodes.csv"]))
    with pytest.raises(StudyError, match=r"data\.value_sets: wanted a value set for EQ5D5L"):
        riskadj.read_study(study)


needs_value_sets = pytest.mark.skipif(not VALUE_SETS.exists(), reason=f"no {VALUE_SETS}")


@pytest.mark.data
@needs_value_sets
def test_the_value_set_is_the_studys_choice(tmp_path: Path) -> None:
    five_levels(tmp_path)
    values = {}
    for country in ("England", "Canada"):
        name = f"EQ-5D-5L/VT/{country}"
        study = riskadj.load_study(
            study_at(
                tmp_path,
                format="csv",
                paths=["episodes.csv"],
                value_sets={"folder": str(VALUE_SETS), "EQ5D5L": name},
            )
        )
        episodes = riskadj.read_study(study)
        values[country] = episodes.table["q1_score_eq5d5l"].tolist()
        assert name in [one.name for one in episodes.sources]
        assert portable_study(study)["data"]["value_sets"]["folder"] == "eq5d_value_sets"
    assert values["England"][0] == 1.0
    assert values["Canada"][0] == pytest.approx(0.949)
    assert values["England"][1] != values["Canada"][1]


@pytest.mark.data
@needs_value_sets
def test_an_unknown_value_set_is_named(tmp_path: Path) -> None:
    five_levels(tmp_path)
    sets = {"folder": str(VALUE_SETS), "EQ5D5L": "EQ-5D-5L/VT/Englnd"}
    study = riskadj.load_study(
        study_at(tmp_path, format="csv", paths=["episodes.csv"], value_sets=sets)
    )
    with pytest.raises(RiskadjError, match="Did you mean 'EQ-5D-5L/VT/England'"):
        riskadj.read_study(study)
