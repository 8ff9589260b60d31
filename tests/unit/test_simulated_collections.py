"""Worlds as collections: what the example mappings read of them is the world itself."""

import dataclasses
import gzip
import json
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

import riskadj
from riskadj.episodes import COLUMNS, find_faults, to_declared
from riskadj.episodes.fhir import read_fhir
from riskadj.episodes.fhir_mapping import FhirMapping
from riskadj.episodes.mapping import mapped_columns, read_mapping
from riskadj.episodes.redcap import read_redcap
from riskadj.episodes.redcap_mapping import RedcapMapping
from riskadj.episodes.scores import add_scores
from riskadj.errors import OutputError, StudyError
from riskadj.simulate import World, load_scenario, simulate_world
from riskadj.simulate.collections import COLLECTIONS, redcap_export, write_collection

ROOT = Path(__file__).parents[2]
MAPPINGS = ROOT / "configs" / "mappings"
SMALL = ("episodes_per_period=150", "providers.number=8", "gaps.items=0.05", "gaps.casemix=0.05")
FILES = {"redcap": "hips.csv", "fhir": "hips.json"}


def world_of(*overrides: str) -> World:
    scenario = ROOT / "configs" / "scenarios" / "demo.yaml"
    return simulate_world(load_scenario(scenario, [*SMALL, *overrides]))


@pytest.fixture(scope="module")
def world() -> World:
    return world_of()


def with_episodes(world: World, episodes: pd.DataFrame) -> World:
    return dataclasses.replace(world, episodes=episodes)


def typed(raw: pd.DataFrame) -> pd.DataFrame:
    """Return a table as a study sees it, without a fault."""
    declared, faults = to_declared(raw, COLUMNS)
    scored, score_faults = add_scores(declared)
    assert faults + score_faults + find_faults(scored, COLUMNS) == []
    return scored


def same(got: pd.DataFrame, want: pd.DataFrame, columns: list[str]) -> None:
    pd.testing.assert_frame_equal(
        got[columns].reset_index(drop=True), want[columns].reset_index(drop=True),
        check_dtype=False,
    )  # fmt: skip


def test_the_redcap_export_reads_back_as_the_world(world: World, tmp_path: Path) -> None:
    path, _ = write_collection(world, tmp_path / "hips.csv", "redcap")
    mapping = read_mapping(MAPPINGS / "redcap_hip.yaml", RedcapMapping)
    raw = read_redcap(path, mapping)
    assert raw.attrs["left_out"] == {}
    scores = [f"{of}_score_{one}" for of in ("q1", "q2") for one in ("ohs", "eq5d", "eqvas")]
    columns = [*mapping.sources, *scores]
    assert {"comorb_block_answered", "satisfaction", "q2_item_ohs_12", "q2_date"} < set(columns)
    same(typed(raw), world.episodes, list(dict.fromkeys(columns)))


def test_the_fhir_bundle_reads_back_as_the_world(world: World, tmp_path: Path) -> None:
    mapping = read_mapping(MAPPINGS / "fhir_hip.yaml", FhirMapping)
    episodes = world.episodes.copy()
    answered = episodes.index[episodes["q2_date"].notna()][:3]
    episodes.loc[answered, "q2_date"] += pd.Timedelta(days=400)  # out of the mapping's window
    path, _ = write_collection(with_episodes(world, episodes), tmp_path / "hips.json", "fhir")
    raw = read_fhir(path, mapping)
    late = (episodes["q2_date"] - episodes["index_date"]).dt.days > mapping.after.at_most
    assert late[answered].all()
    assert sum(raw.attrs["left_out"].values()) == late.sum()
    columns = list(mapped_columns(mapping))
    assert {"symptom_period", "satisfaction", "q2_item_ohs_12", "age_years", "sex"} < set(columns)
    read = typed(raw).reset_index(drop=True)
    early = [name for name in columns if not name.startswith("q2_") and name != "satisfaction"]
    same(read, episodes, early)
    same(read[~late], episodes[~late], columns)
    assert read.loc[late, "q2_date"].isna().all()


def test_every_episode_has_its_resources(world: World, tmp_path: Path) -> None:
    path, _ = write_collection(world, tmp_path / "hips.json", "fhir")
    entries = json.loads(path.read_text(encoding="utf-8"))["entry"]
    episodes = world.episodes
    assert Counter(one["resource"]["resourceType"] for one in entries) == {
        "Organization": episodes["provider_id"].nunique(),
        "Patient": len(episodes),
        "Procedure": len(episodes),
        "QuestionnaireResponse": len(episodes) + int(episodes["q2_date"].notna().sum()),
    }
    assert len({one["fullUrl"] for one in entries}) == len(entries)
    for one in entries:
        resource = one["resource"]
        assert one["fullUrl"].endswith(f"/{resource['resourceType']}/{resource['id']}")


def test_an_unreturned_questionnaire_has_no_row(world: World) -> None:
    rows = redcap_export(world)
    events = rows["redcap_event_name"].value_counts()
    assert events["month_6_arm_1"] == world.episodes["q2_date"].notna().sum()
    assert {events["before_arm_1"], events["surgery_arm_1"]} == {len(world.episodes)}
    assert rows["record_id"].drop_duplicates().astype(int).tolist() == [
        *range(1, len(world.episodes) + 1)
    ]
    assert (rows.dtypes == "str").all()


def test_no_age_is_no_date_of_birth(world: World, tmp_path: Path) -> None:
    episodes = world.episodes.copy()
    episodes.loc[3, ["age_years", "sex"]] = None
    path, _ = write_collection(with_episodes(world, episodes), tmp_path / "hips.json", "fhir")
    mapping = read_mapping(MAPPINGS / "fhir_hip.yaml", FhirMapping)
    read = typed(read_fhir(path, mapping))
    same(read, episodes, ["age_years", "sex"])


@pytest.mark.parametrize("kind", COLLECTIONS)
def test_packed_and_plain_are_the_same_and_the_truth_is_beside_them(
    kind: str, world: World, tmp_path: Path
) -> None:
    plain, truth = write_collection(world, tmp_path / "deep" / FILES[kind], kind)
    packed, again = write_collection(world, tmp_path / f"{FILES[kind]}.gz", kind)
    assert gzip.decompress(packed.read_bytes()) == plain.read_bytes()
    assert truth.name == again.name == "hips.truth.csv"
    assert truth.read_bytes() == again.read_bytes()
    assert len(pd.read_csv(truth)) == len(world.truth)
    assert sorted(one.name for one in tmp_path.iterdir() if one.is_file()) == sorted(
        [packed.name, again.name]
    )


@pytest.mark.parametrize("kind", COLLECTIONS)
def test_the_same_world_is_the_same_bytes(kind: str, world: World, tmp_path: Path) -> None:
    first, _ = write_collection(world, tmp_path / f"a{FILES[kind]}.gz".replace("hips", ""), kind)
    second, _ = write_collection(world_of(), tmp_path / f"b{first.name}", kind)
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize(
    ("name", "kind", "says"),
    [
        ("hips.json", "redcap", r"ends in \.csv or \.csv\.gz; got 'hips\.json'"),
        ("hips.csv", "fhir", r"ends in \.json or \.json\.gz"),
        (".csv", "redcap", r"ends in \.csv"),
        ("hips.csv", "redcapp", r"--as: wanted one of redcap, fhir; .* Did you mean 'redcap'\?"),
    ],
)
def test_what_cannot_be_written_so_is_refused(
    name: str, kind: str, says: str, world: World, tmp_path: Path
) -> None:
    with pytest.raises(StudyError, match=says):
        write_collection(world, tmp_path / name, kind)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", COLLECTIONS)
def test_a_world_of_another_operation_is_refused(kind: str, tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"wanted HIP_PRIM, .*got KNEE_PRIM"):
        write_collection(world_of("procedure_group=KNEE_PRIM"), tmp_path / FILES[kind], kind)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_the_way_leaves_nothing_half_done(world: World, tmp_path: Path) -> None:
    (tmp_path / "hips.truth.csv").mkdir()
    with pytest.raises(OutputError, match="could not"):
        write_collection(world, tmp_path / "hips.csv", "redcap")
    assert [one.name for one in tmp_path.iterdir()] == ["hips.truth.csv"]


@pytest.mark.parametrize("kind", COLLECTIONS)
def test_the_shipped_study_reads_what_is_written(kind: str, world: World, tmp_path: Path) -> None:
    path, _ = write_collection(world, tmp_path / FILES[kind], kind)
    shipped = ROOT / "configs" / "studies" / f"{kind}_hip.yaml"
    study = riskadj.load_study(shipped, [f"data.paths=[{path}]"])
    cohort = riskadj.select_cohort(riskadj.read_study(study), study, study.outcomes[0])
    assert min(len(cohort.train), len(cohort.test)) > 0
    assert len(cohort.train) + len(cohort.test) > 0.6 * len(world.episodes)
    assert riskadj.choose_casemix(cohort, study)
