"""Worlds of spine patients and of claims: what is like data, what is exact, and their folders."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

import riskadj.simulate.files as world_files
from riskadj.claims import ClaimRules, read_claims
from riskadj.episodes.columns import COLUMNS, COMORBIDITIES
from riskadj.episodes.validation import find_faults
from riskadj.errors import OutputError, StudyError
from riskadj.instruments.thresholds import responds, threshold
from riskadj.simulate import Scenario, World, load_scenario, simulate_world, write_world
from riskadj.simulate.claim_law import draw_days
from riskadj.simulate.claim_lines import join_lines
from riskadj.simulate.claim_tables import BUNDLES, CONDITION_CODES, PARTS, SETTINGS, WINDOWS
from riskadj.simulate.populations import SPINE
from riskadj.study import load_study
from riskadj.study.data import Data
from riskadj.study.load import read_yaml
from riskadj.study.study import Study

SCENARIOS = Path(__file__).resolve().parents[2] / "configs" / "scenarios"
OF_CLAIMS = sorted(path.stem for path in SCENARIOS.glob("*.yaml") if "claims:" in path.read_text())
FILES = {
    "claims.parquet", "patients.parquet", "proms.parquet", "truth.parquet",
    "truth_episodes.parquet", "study.yaml",
}  # fmt: skip


def scenario_of(name: str = "spine_small", *overrides: str) -> Scenario:
    return load_scenario(SCENARIOS / f"{name}.yaml", overrides)


def eventful(name: str = "spine_small", *overrides: str) -> Scenario:
    """Return a small world in which everything happens often."""
    often = [
        f"claims.{one}=0.2"
        for one in ("transfers", "second_procedures", "deaths", "disenrolled", "late_enrolled")
    ]
    return scenario_of(name, "episodes_per_period=400", *often, *overrides)


@pytest.fixture(scope="module")
def world() -> World:
    return simulate_world(scenario_of())


@pytest.fixture(scope="module")
def busy() -> World:
    return simulate_world(eventful())


@pytest.fixture(scope="module")
def folder(busy: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("claims") / "world"
    write_world(busy, out)
    return out


def spine_world(group: str, episodes: int = 8000) -> pd.DataFrame:
    asked = (f"procedure_group={group}", f"episodes_per_period={episodes}", "claims=null")
    return simulate_world(scenario_of("spine_small", *asked, "selection=null")).episodes


def claims_of(world: World) -> pd.DataFrame:
    assert world.claims is not None
    return world.claims.lines


class TestSpinePatients:
    def test_low_back_pain_is_like_dutch_patients_before(self) -> None:
        """Ben et al. 2023: nine items 41.3 (SD 15.4), pain 7.0 (SD 1.9), EQ-5D-3L answers."""
        episodes = spine_world("LOW_BACK_PAIN")
        items = [f"q1_item_odi_{one:02d}" for one in (1, 2, 3, 4, 5, 6, 7, 9, 10)]
        nine = episodes[items].dropna().sum(axis=1) / 45 * 100
        assert nine.mean() == pytest.approx(41.3, abs=1.5)
        assert nine.std() == pytest.approx(15.4, abs=1.0)
        assert episodes["q1_score_nrs_back"].mean() == pytest.approx(7.0, abs=0.2)
        assert episodes["q1_score_nrs_back"].std() == pytest.approx(1.95, abs=0.2)
        shares = episodes["q1_item_eq5d_04"].value_counts(normalize=True)
        assert shares[3] == pytest.approx(0.443, abs=0.04)
        together = episodes[["q1_score_odi", "q1_score_eq5d", "q1_score_nrs_back"]].corr()
        assert together.loc["q1_score_odi", "q1_score_eq5d"] == pytest.approx(-0.63, abs=0.06)
        assert together.loc["q1_score_odi", "q1_score_nrs_back"] == pytest.approx(0.45, abs=0.06)
        assert episodes["age_years"].mean() == pytest.approx(53.9, abs=1.0)
        assert (episodes["sex"] == "female").mean() == pytest.approx(0.608, abs=0.02)

    @pytest.mark.parametrize(
        ("group", "measure", "rule", "least", "most"),
        [
            ("LUMBAR_DISC", "odi", "ODI_DISC_SUCCESS_20", 0.60, 0.70),
            ("LUMBAR_DISC", "odi", "ODI_DISC_FAILURE_13", 0.18, 0.30),
            ("LUMBAR_DISC", "nrs_leg", "NRS_LEG_DISC_SUCCESS_3_5", 0.50, 0.70),
            ("LUMBAR_STENOSIS", "odi", "ODI_STENOSIS_SUCCESS_30PCT", 0.60, 0.72),
            ("CERVICAL_RADICULOPATHY_ANTERIOR", "ndi", "NDI_SUCCESS_35PCT", 0.50, 0.65),
            ("CERVICAL_RADICULOPATHY_ANTERIOR", "nrs_arm", "NRS_ARM_SUCCESS_30PCT", 0.55, 0.75),
        ],
    )
    def test_success_is_as_common_as_registries_tell(
        self, group: str, measure: str, rule: str, least: float, most: float
    ) -> None:
        pairs = spine_world(group, 4000)[[f"q1_score_{measure}", f"q2_score_{measure}"]].dropna()
        reached = responds(threshold(rule), *pairs.to_numpy().T, -1)
        assert least < np.nanmean(reached) < most

    @pytest.mark.parametrize("group", SPINE)
    def test_columns_are_those_that_are_asked(self, group: str) -> None:
        episodes = spine_world(group, 300)
        is_neck = group == "CERVICAL_RADICULOPATHY_ANTERIOR"
        main, places = ("ndi", ("neck", "arm")) if is_neck else ("odi", ("back", "leg"))
        wanted = [f"{q}_score_nrs_{one}" for q in ("q1", "q2") for one in places]
        assert {f"q2_score_{main}", "q2_score_eq5d", "education", *wanted} <= set(episodes)
        strange = {"laterality", "q1_score_ohs", f"q1_score_{'odi' if is_neck else 'ndi'}"}
        assert not strange & set(episodes)
        assert find_faults(episodes, COLUMNS) == []

    def test_better_providers_lower_the_odi_and_raise_the_effect(self) -> None:
        scenario = scenario_of("spine_small", "claims=null", "providers.effect_sd=8")
        world = simulate_world(scenario)
        truth = world.truth.set_index("provider_id")
        after = world.truth_episodes["q2_if_answered"] - world.truth_episodes["expected"]
        residual = after.groupby(world.episodes["provider_id"]).mean()
        assert residual.corr(truth["effect"]) < -0.9
        assert truth["effect"].corr(truth["effect_on_score"]) > 0.98

    def test_expected_is_what_comes_at_the_average_provider(self) -> None:
        overrides = ("claims=null", "providers.effect_sd=0", "episodes_per_period=15000")
        truth = simulate_world(scenario_of("spine_small", *overrides)).truth_episodes
        tenth = pd.qcut(truth["expected"], 10, labels=False)
        difference = (truth["q2_if_answered"] - truth["expected"]).groupby(tenth).mean()
        assert difference.abs().max() < 1.2
        assert abs(difference.mean()) < 0.4

    def test_both_versions_of_eq5d_agree(self) -> None:
        asked = ("claims=null", "eq5d=[3L, 5L]")
        episodes = simulate_world(scenario_of("spine_small", *asked)).episodes
        three, five = episodes["q1_item_eq5d_04"], episodes["q1_item_eq5d5l_04"]
        assert three.corr(five) > 0.25
        assert five.max() == 5
        only = simulate_world(scenario_of("spine_small", "claims=null", "eq5d=[5L]")).episodes
        assert "q1_item_eq5d5l_04" in only
        assert "q1_item_eq5d_04" not in only


class TestCodingAndChoice:
    def test_coding_changes_what_is_on_record_and_nothing_else(self) -> None:
        same = ("claims=null", "gaps.casemix=0", "episodes_per_period=4000")
        plain = simulate_world(scenario_of("spine_small", *same, "providers.coding_intensity_sd=0"))
        other = simulate_world(
            scenario_of("spine_small", *same, "providers.coding_intensity_sd=0.6")
        )
        assert_frame_equal(plain.truth_episodes, other.truth_episodes)
        flags = [f"comorb_{one}" for one in COMORBIDITIES]
        recorded = other.episodes[flags].sum(axis=1)
        assert (plain.episodes[flags].sum(axis=1) == plain.truth_episodes["conditions"]).all()
        added = recorded - other.truth_episodes["conditions"]
        by_provider = added.groupby(other.episodes["provider_id"]).mean()
        intensity = other.truth.set_index("provider_id")["coding_intensity"]
        assert by_provider.corr(intensity, method="spearman") > 0.97

    def test_choosing_providers_drift_and_the_others_do_not(self) -> None:
        scenario = scenario_of(
            "spine_small", "claims=null", "episodes_per_period=15000", "gaps.casemix=0",
            "selection={providers: 0.3, by_frailty: 0.5, by_wealth: 0.8}",
        )  # fmt: skip
        world = simulate_world(scenario)
        chooses = world.truth.set_index("provider_id")["selects"]
        assert chooses.sum() == 9
        drift = (
            world.episodes.assign(chooses=world.episodes["provider_id"].map(chooses))
            .groupby(["chooses", "period"])[["deprivation_decile", "asa", "q1_score_odi"]]
            .mean()
        )
        stay, move = (drift.loc[one].diff().iloc[-1] for one in (0.0, 1.0))
        assert stay.abs().max() < 0.5
        assert move["deprivation_decile"] > 1.5
        assert move["asa"] < -0.05
        assert move["q1_score_odi"] < -1

    def test_nobody_chooses_where_nothing_is_said(self) -> None:
        truth = simulate_world(scenario_of("spine_small", "claims=null", "selection=null")).truth
        assert not truth["selects"].any()


class TestClaims:
    @pytest.mark.parametrize("name", OF_CLAIMS)
    def test_episodes_are_as_declared(self, name: str) -> None:
        world = simulate_world(scenario_of(name, "episodes_per_period=300"))
        assert find_faults(world.episodes, COLUMNS) == []
        assert set(claims_of(world)["setting"]) <= set(SETTINGS)

    @pytest.mark.parametrize("name", ["spine_small", "hip_claims", "low_back"])
    def test_the_reader_of_claims_finds_the_true_costs(self, name: str, tmp_path: Path) -> None:
        rare = ["claims.transfers=0", "claims.second_procedures=0"] if name == "low_back" else []
        write_world(simulate_world(eventful(name, *rare)), tmp_path / "w")
        found, truth = read_folder(tmp_path / "w")
        assert 250 < len(found) < 800
        true = truth.set_index("patient_id").loc[found["patient_id"]].reset_index()
        for one in ("provider_id", "index_date", "discharge_date"):
            assert (found[one] == true[one]).all(), one
        costs = [one for one in truth if one in found and one.startswith(("cost_", "prior_"))]
        assert len(costs) == 2 + 5 * 5
        for one in costs:
            np.testing.assert_allclose(found[one], true[one], rtol=0, atol=0.001, err_msg=one)

    def test_who_leaves_the_episodes_is_known(self, folder: Path) -> None:
        found, truth = read_folder(folder)
        stayed = truth["left_after"].isna() | (truth["died_after"] < truth["left_after"])
        expected = truth.loc[stayed & (truth["joined_late"] == 0), "patient_id"]
        assert set(found["patient_id"]) == set(expected)

    def test_parts_sum_to_totals_and_windows_grow(self, busy: World) -> None:
        truth = busy.truth_episodes
        before = truth["cost_index"]
        for days in WINDOWS:
            parts = [truth[f"cost_{one}_{days}d"] for one in PARTS[1:]]
            total = truth[f"cost_total_{days}d"]
            np.testing.assert_allclose(truth["cost_index"] + sum(parts), total, atol=0.001)
            assert (total >= before - 0.001).all()
            before = total

    def test_lines_sum_to_the_truth_to_the_cent(self, busy: World) -> None:
        lines, truth = claims_of(busy), busy.truth_episodes
        joined = lines.merge(truth[["patient_id", "index_date", "discharge_date"]])
        day = (joined["from_date"] - joined["discharge_date"]).dt.days
        inside = (joined["from_date"] >= joined["index_date"]) & (day <= 365)
        cents = (joined["paid_amount"] * 100).round()[inside]
        by_patient = cents.groupby(joined["patient_id"]).sum().reindex(truth["patient_id"])
        true = (truth["cost_total_365d"] * 100).round().to_numpy()
        np.testing.assert_array_equal(by_patient.to_numpy(), true)

    def test_amounts_are_whole_hundredths_above_zero(self, busy: World) -> None:
        cents = claims_of(busy)["paid_amount"] * 100
        assert (cents >= 1 - 1e-6).all()
        np.testing.assert_allclose(cents, cents.round(), rtol=0, atol=1e-4)

    def test_everything_happens_as_often_as_asked(self) -> None:
        world = simulate_world(eventful("spine_small", "episodes_per_period=4000"))
        lines, truth = claims_of(world), world.truth_episodes
        stays = lines[lines["setting"] == "inpatient"]
        moved = (stays["discharge_status"] == "transfer").sum()
        assert moved / len(truth) == pytest.approx(0.2, abs=0.03)
        assert truth["died_after"].notna().mean() == pytest.approx(0.2, abs=0.02)
        assert truth["left_after"].notna().mean() == pytest.approx(0.2, abs=0.02)
        assert truth["joined_late"].mean() == pytest.approx(0.2, abs=0.02)
        operations = stays[stays["procedure_code"] == BUNDLES["LUMBAR_DISC"].procedure]
        again = operations.groupby("patient_id").size()
        assert (again == 2).mean() == pytest.approx(0.2 * 0.9 * 0.8, abs=0.04)

    def test_the_second_hospital_begins_within_a_day(self, busy: World) -> None:
        stays = claims_of(busy).query("setting == 'inpatient'")
        moved = stays[stays["discharge_status"] == "transfer"].set_index("patient_id")
        later = stays[stays["drg"] == "949"].set_index("patient_id")
        both = moved.merge(later, on="patient_id", suffixes=("", "_later"))
        assert len(both) > 100
        assert set((both["from_date_later"] - both["to_date"]).dt.days) == {0, 1}
        assert (both["provider_id"] != both["provider_id_later"]).all()

    def test_nobody_has_claims_beyond_death_or_enrolment(self, busy: World) -> None:
        assert busy.claims is not None
        joined = claims_of(busy).merge(busy.claims.patients, on="patient_id")
        assert (joined["from_date"] >= joined["enrolled_from"]).all()
        assert (joined["to_date"] <= joined["enrolled_to"]).all()
        dead = joined[joined["death_date"].notna()]
        assert (dead["to_date"] <= dead["death_date"]).all()
        assert (joined["to_date"] >= joined["from_date"]).all()
        assert joined["from_date"].min() >= pd.Timestamp(busy.claims.begins)
        assert joined["to_date"].max() <= pd.Timestamp(busy.claims.ends)

    def test_the_dead_do_not_answer(self, busy: World) -> None:
        dead = busy.episodes["deceased"] == 1
        assert dead.sum() > 50
        assert busy.episodes.loc[dead, ["q2_score_odi", "q2_date"]].isna().all(axis=None)
        assert (busy.episodes.loc[dead, "q2_returned"] == 0).all()
        assert busy.truth["responses"].sum() == busy.episodes["q2_returned"].sum()

    def test_diagnoses_are_of_conditions_on_record(self, world: World) -> None:
        lines = claims_of(world)
        flags = world.episodes.set_index("patient_id")[[f"comorb_{one}" for one in COMORBIDITIES]]
        own = lines[lines["patient_id"].isin(flags.index)]
        known = {code: f"comorb_{name}" for name, code in CONDITION_CODES.items()}
        told = own.assign(code=own["diagnosis_codes"].str.split()).explode("code")
        told = told.assign(flag=told["code"].map(known)).dropna(subset="flag")
        pairs = told[["patient_id", "flag"]].drop_duplicates()
        stacked = flags.stack()
        assert (stacked.loc[list(zip(pairs["patient_id"], pairs["flag"], strict=True))] == 1).all()
        assert 0.9 < len(pairs) / flags.to_numpy().sum() <= 1

    def test_ages_are_the_same_by_the_date_of_birth(self, world: World) -> None:
        assert world.claims is not None
        born = world.claims.patients.set_index("patient_id")["birth_date"]
        when = world.episodes["index_date"]
        birth = world.episodes["patient_id"].map(born)
        before = (when.dt.month * 100 + when.dt.day) < (birth.dt.month * 100 + birth.dt.day)
        years = when.dt.year - birth.dt.year - before.astype(int)
        assert (years == world.episodes["age_years"]).all()

    def test_severe_conditions_on_record_make_the_dearer_group(self, world: World) -> None:
        share = world.episodes.groupby("drg")["comorb_heart"].mean()
        assert share["519"] > 0.1
        assert share["520"] == 0

    def test_care_after_is_less_moved_by_providers_the_longer_it_lasts(self, world: World) -> None:
        spread = [world.truth[f"cost_effect_{days}d"].std() for days in WINDOWS]
        assert spread == sorted(spread, reverse=True)
        assert spread[-1] < 0.95 * world.truth["cost_effect"].std()

    def test_cost_over_the_true_expectation_is_one(self, world: World) -> None:
        truth = world.truth_episodes
        whole = truth[truth["died_after"].isna() & truth["left_after"].isna()]
        for days in WINDOWS:
            ratio = whole[f"cost_total_{days}d"] / whole[f"cost_at_provider_{days}d"].mean()
            error = ratio.std() / np.sqrt(len(ratio))
            assert ratio.mean() == pytest.approx(1, abs=4 * error), days

    def test_claims_leave_the_questionnaires_as_they_are(self) -> None:
        with_claims = simulate_world(scenario_of("spine_small", "claims.deaths=0")).episodes
        without = simulate_world(scenario_of("spine_small", "claims=null")).episodes
        same = [one for one in without if not one.startswith(("cost_", "readmitted"))]
        assert_frame_equal(with_claims[same], without[same])

    @pytest.mark.parametrize(
        ("setting", "may_change"),
        [
            ("claims.others=1.0", ()),
            ("claims.second_procedures=0.2", ("cost_", "readmitted")),
            ("claims.late_enrolled=0.5", ("prior_cost",)),
        ],
    )
    def test_a_setting_changes_only_its_own(
        self, world: World, setting: str, may_change: tuple[str, ...]
    ) -> None:
        other = simulate_world(scenario_of("spine_small", setting)).episodes
        changed = [one for one in other if not other[one].equals(world.episodes[one])]
        assert all(one.startswith(may_change) for one in changed) if may_change else not changed
        assert changed or not may_change

    def test_days_stay_in_their_slice(self) -> None:
        days = draw_days(np.random.default_rng(0), (0.0, 0.0, 1.0, 0.0, 0.0), 1000)
        assert (days.min(), days.max()) == (61, 90)

    def test_lines_come_by_patient_and_date(self, busy: World) -> None:
        lines = claims_of(busy)
        order = lines.sort_values(["patient_id", "from_date"], kind="stable").index
        assert (order == lines.index).all()
        assert lines["claim_id"].is_unique
        with pytest.raises(ValueError, match="need at least one array"):
            join_lines([])

    def test_what_has_no_stay_cannot_be_transferred(self) -> None:
        with pytest.raises(StudyError, match="no stay and no procedure"):
            scenario_of("low_back", "claims.transfers=0.1")


def read_folder(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the episodes that the reader of claims makes, and the truth of all of them."""
    rules = rules_of(folder)
    found = read_claims([folder / "claims.parquet"], rules, threads=1).table
    return found, pd.read_parquet(folder / "truth_episodes.parquet")


def plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): plain(one) for key, one in value.items()}
    return [plain(one) for one in value] if isinstance(value, list) else value


def rules_of(folder: Path) -> ClaimRules:
    content = plain(read_yaml(folder / "study.yaml"))["data"]["claims"]
    for one in ("patients", "proms"):
        content[one] = folder / content[one]
    return ClaimRules.model_validate(content)


class TestFolder:
    def test_the_promised_files_are_there(self, folder: Path) -> None:
        assert {one.name for one in folder.iterdir()} == FILES

    @pytest.mark.parametrize("name", sorted(one for one in FILES if one.endswith(".parquet")))
    def test_what_is_written_is_read_back(self, busy: World, folder: Path, name: str) -> None:
        assert busy.claims is not None
        tables = {
            "claims": busy.claims.lines, "patients": busy.claims.patients, "truth": busy.truth,
            "truth_episodes": busy.truth_episodes,
        }  # fmt: skip
        read = pd.read_parquet(folder / name)
        if name == "proms.parquet":
            assert set(read) < set(busy.episodes)
            assert not any(one.startswith(("cost_", "readmitted", "sex", "age")) for one in read)
        else:
            assert_frame_equal(read, tables[name.removesuffix(".parquet")])

    def test_same_scenario_same_bytes(self, folder: Path, tmp_path: Path) -> None:
        write_world(simulate_world(eventful()), tmp_path)
        for name in FILES:
            assert (tmp_path / name).read_bytes() == (folder / name).read_bytes(), name

    def test_a_file_name_still_writes_episodes(self, busy: World, tmp_path: Path) -> None:
        written = write_world(busy, tmp_path / "w.parquet")
        assert [one.name for one in written] == ["w.parquet", "w.truth.csv"]

    def test_a_world_without_claims_wants_a_file(self, tmp_path: Path) -> None:
        small = scenario_of("spine_small", "claims=null", "episodes_per_period=50")
        with pytest.raises(StudyError, match="wanted a file name"):
            write_world(simulate_world(small), tmp_path / "folder")

    def test_a_failure_leaves_nothing(
        self, busy: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def run_out_of_space(text: str, path: Path) -> None:
            path.write_text(text[:10])
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(world_files, "_write_text", run_out_of_space)
        with pytest.raises(OutputError, match="No space left"):
            write_world(busy, tmp_path / "w")
        assert list((tmp_path / "w").iterdir()) == []

    @pytest.mark.parametrize("name", OF_CLAIMS)
    def test_the_study_is_valid(self, name: str, tmp_path: Path) -> None:
        write_world(simulate_world(scenario_of(name, "episodes_per_period=50")), tmp_path)
        rules = rules_of(tmp_path)
        assert rules.longest == 365
        content = plain(read_yaml(tmp_path / "study.yaml"))
        content["data"] = {"format": "parquet", "paths": ["episodes.parquet"]}
        study = Study.model_validate(content)
        assert [one.kind for one in study.outcomes][-1] == "cost"
        if "claims" in Data.model_fields:
            load_study(tmp_path / "study.yaml")
