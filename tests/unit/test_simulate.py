"""Simulated worlds: their marginals, their truth, what can be seen of it, and their files."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal, assert_series_equal

import riskadj.simulate.files as world_files
from riskadj.episodes.columns import COLUMNS, COMORBIDITIES
from riskadj.episodes.validation import find_faults, to_declared
from riskadj.errors import FileMissingError, OutputError, StudyError
from riskadj.instruments import INSTRUMENTS, score
from riskadj.simulate import (
    Scenario,
    World,
    demo_scenario,
    load_scenario,
    simulate_world,
    write_world,
)
from riskadj.simulate.follow_up import MAY_BE_BLANK
from riskadj.simulate.latent import cut_points, flag, grade, mix
from riskadj.simulate.questionnaires import QUESTIONNAIRES, expected_score, points_per_unit

ROOT = Path(__file__).resolve().parents[2]
SCENARIOS = ROOT / "configs" / "scenarios"

# Means, SDs and shares of primary replacements: NHS England's record files, hip 2018/19 and knee
# 2016/17, records with both Oxford scores.
ANCHORS = {
    "HIP_PRIM": ("ohs", 17.4, 40.1, 9.86, (0.10, 0.22), (-0.70, -0.45)),
    "KNEE_PRIM": ("oks", 19.2, 35.8, 9.8, (0.02, 0.06), (-0.60, -0.38)),
}


MAY_BE_LEFT_OUT = {"eq5d", "selection", "claims", "programme"}
"""Of a scenario: what is not there then is not in the world."""


def varied(scenario: Scenario, **changes: object) -> Scenario:
    """Return the scenario with changes; `part__key` reaches into a part of it."""
    content = scenario.model_dump()
    for name, value in changes.items():
        part, _, key = name.rpartition("__")
        (content[part] if part else content)[key] = value
    return Scenario.model_validate(content)


def complete(scenario: Scenario) -> Scenario:
    """Return the scenario with nothing missing."""
    return varied(
        scenario, follow_up__missing=0.0, follow_up__unsent=0.0,
        gaps__casemix=0.0, gaps__items=0.0, gaps__eqvas=0.0,
    )  # fmt: skip


@pytest.fixture(scope="module")
def demo() -> World:
    return simulate_world(demo_scenario())


@pytest.fixture(scope="module")
def small() -> Scenario:
    return varied(demo_scenario(), episodes_per_period=500)


@pytest.fixture(scope="module")
def confounded() -> Scenario:
    return load_scenario(SCENARIOS / "confounded.yaml")


@pytest.fixture(scope="module")
def world() -> World:
    return simulate_world(varied(demo_scenario(), episodes_per_period=40))


def item_columns(prefix: str, measure: str) -> list[str]:
    return [name for name in COLUMNS if name.startswith(f"{prefix}_item_{measure}_")]


class TestScenario:
    def test_the_packaged_demo_is_the_one_in_configs(self) -> None:
        assert load_scenario(SCENARIOS / "demo.yaml") == demo_scenario()
        packaged = ROOT / "src" / "riskadj" / "simulate" / "demo.yaml"
        assert packaged.read_text() == (SCENARIOS / "demo.yaml").read_text()

    @pytest.mark.parametrize("path", sorted(SCENARIOS.glob("*.yaml")), ids=lambda one: one.stem)
    def test_every_scenario_in_configs_makes_a_world(self, path: Path) -> None:
        scenario = load_scenario(path, ["episodes_per_period=50"])
        assert scenario.name == path.stem
        assert len(simulate_world(scenario).episodes) == scenario.episodes

    def test_overrides_reach_into_parts(self) -> None:
        scenario = load_scenario(SCENARIOS / "demo.yaml", ["providers.effect_sd=0", "seed=7"])
        assert (scenario.providers.effect_sd, scenario.seed) == (0, 7)

    def test_an_unknown_key_names_the_close_one(self, tmp_path: Path) -> None:
        path = tmp_path / "typo.yaml"
        text = (SCENARIOS / "demo.yaml").read_text().replace("confounding:", "confunding:")
        path.write_text(text)
        with pytest.raises(StudyError, match="Did you mean 'confounding'"):
            load_scenario(path)

    def test_nothing_has_a_hidden_default(self) -> None:
        content = load_scenario(SCENARIOS / "spine.yaml").model_dump()
        parts = ("providers", "follow_up", "gaps", "selection", "claims")
        for part in (content, *(content[one] for one in parts)):
            for key in set(part) - MAY_BE_LEFT_OUT:
                value = part.pop(key)
                with pytest.raises(ValueError, match="Field required"):
                    Scenario.model_validate(content)
                part[key] = value

    @pytest.mark.parametrize(
        "override",
        [
            "procedure_group=HIP_REV",
            "periods=[]",
            "periods=[spring]",
            "periods=[2021, 2021]",
            "providers.confounding=1.5",
            "providers.severity_sd=1",
            "providers.number=2",
            "follow_up.unsent=0.5",
            "follow_up.missing=1",
            "gaps.items=-0.1",
            "procedure_group=CERVICAL",
            "providers.outcome_cost_correlation=1.1",
            "providers.coding_intensity_sd=-0.1",
            "eq5d=[4L]",
        ],
    )
    def test_impossible_settings_are_refused(self, override: str) -> None:
        with pytest.raises(StudyError):
            load_scenario(SCENARIOS / "demo.yaml", [override])

    def test_a_missing_file_says_so(self, tmp_path: Path) -> None:
        with pytest.raises(FileMissingError, match="none"):
            load_scenario(tmp_path / "none.yaml")

    def test_every_field_is_described(self) -> None:
        def undescribed(record: type) -> list[str]:
            fields = record.model_fields.items()  # type: ignore[attr-defined]
            parts = {"providers", "follow_up", "gaps", "name"}
            return [name for name, one in fields if not one.description and name not in parts]

        parts = [
            Scenario.model_fields[one].annotation for one in ("providers", "follow_up", "gaps")
        ]
        assert [undescribed(one) for one in (Scenario, *parts)] == [[], [], [], []]  # type: ignore[arg-type]


class TestEpisodes:
    def test_columns_are_canonical_in_name_and_order(self, demo: World) -> None:
        names = list(demo.episodes.columns)
        assert names == [name for name in COLUMNS if name in set(names)]

    def test_the_promised_columns_are_there(self, demo: World) -> None:
        promised = {
            "episode_id", "patient_id", "provider_id", "period", "procedure_group", "index_date",
            "laterality", "age_years", "age_band_10y", "sex", "deprivation_decile", "bmi", "smoker",
            "asa", "comorb_block_answered", "symptom_period", "previous_surgery", "disability",
            "assisted_q1", "living_arrangements", "general_health_q1", "q1_date", "q2_date",
            "q2_days", "anchor_change", "satisfaction", "q2_sent", "q2_returned", "readmitted",
            "complication_wound", "cost_total_90d", "q1_score_ohs", "q2_score_eq5d",
            "q2_score_eqvas", *(f"comorb_{one}" for one in COMORBIDITIES),
            *item_columns("q1", "ohs"), *item_columns("q2", "eq5d"),
        }  # fmt: skip
        assert promised <= set(demo.episodes.columns)
        assert "q1_score_oks" not in demo.episodes

    def test_values_are_as_declared(self, demo: World, confounded: Scenario) -> None:
        assert find_faults(demo.episodes, COLUMNS) == []
        assert find_faults(simulate_world(confounded).episodes, COLUMNS) == []

    def test_every_number_is_within_its_range(self, demo: World) -> None:
        for name in demo.episodes.columns:
            column, values = COLUMNS[name], demo.episodes[name].dropna()
            assert len(values) > 0, name
            if column.low is not None and column.high is not None:
                assert values.between(column.low, column.high).all(), name
            if column.kind in ("whole", "flag"):
                assert (values == np.floor(values)).all(), name
            if column.kind == "text" and column.codes:
                assert set(values) <= set(column.codes.values()), name

    def test_kinds_are_those_of_a_table_that_was_read(self, demo: World) -> None:
        read, faults = to_declared(demo.episodes, COLUMNS)
        assert faults == []
        assert_frame_equal(read, demo.episodes)

    def test_required_and_unique(self, demo: World) -> None:
        assert demo.episodes["episode_id"].is_unique
        assert demo.episodes[["episode_id", "provider_id", "patient_id"]].notna().all(axis=None)

    def test_dates_are_in_order_and_in_their_period(self, confounded: Scenario) -> None:
        episodes = simulate_world(confounded).episodes
        lead = (episodes["index_date"] - episodes["q1_date"]).dt.days
        days = (episodes["q2_date"] - episodes["index_date"]).dt.days
        april_year = (episodes["index_date"] - pd.DateOffset(months=3)).dt.year
        assert lead.between(3, 126).all()
        assert days.min() >= 180
        assert_series_equal(days.astype(float), episodes["q2_days"], check_names=False)
        assert (april_year.astype(str) == episodes["period"].str[:4]).all()

    def test_periods_have_their_number_of_episodes(self, demo: World) -> None:
        counts = demo.episodes["period"].value_counts().to_dict()
        assert counts == {"2021": 4000, "2022": 4000, "2023": 4000}

    @pytest.mark.parametrize("group", list(QUESTIONNAIRES))
    def test_scores_are_those_of_the_items(self, small: Scenario, group: str) -> None:
        scenario = varied(small, procedure_group=group, gaps__items=0.1)
        episodes = simulate_world(scenario).episodes
        oxford = QUESTIONNAIRES[group].instrument
        for prefix in ("q1", "q2"):
            for one in (oxford, INSTRUMENTS["EQ5D3L_UK_TTO"]):
                again = score(one, episodes[item_columns(prefix, one.measure)])
                name = f"{prefix}_score_{one.measure}"
                assert 0.02 < np.isnan(again).mean() < 0.8
                np.testing.assert_array_equal(again, episodes[name])

    def test_totals_of_cost_add_up_and_are_skewed(self, demo: World) -> None:
        episodes = demo.episodes
        parts = episodes[[one for one in episodes if one.startswith("cost_")]].sum(axis=1)
        parts -= episodes["cost_total_90d"]
        np.testing.assert_allclose(parts, episodes["cost_total_90d"], atol=0.005)
        assert episodes["cost_total_90d"].skew() > 1.5
        assert (episodes["cost_readmit_90d"] > 0).equals(episodes["readmitted"] == 1)

    def test_frailer_patients_cost_more(self, demo: World) -> None:
        by_grade = demo.episodes.groupby("asa")["cost_index"].mean()
        assert by_grade[1] < by_grade[2] < by_grade[3]


class TestMarginals:
    @pytest.mark.parametrize("group", list(ANCHORS))
    def test_oxford_scores_are_like_real_ones(self, group: str) -> None:
        measure, before, after, spread, ceiling, correlation = ANCHORS[group]
        episodes = simulate_world(varied(demo_scenario(), procedure_group=group)).episodes
        pairs = episodes[[f"q1_score_{measure}", f"q2_score_{measure}"]].dropna()
        q1, q2 = pairs.to_numpy().T
        assert q1.mean() == pytest.approx(before, abs=1.5)
        assert q2.mean() == pytest.approx(after, abs=1.5)
        assert (q2 - q1).std() == pytest.approx(spread, abs=1.5)
        assert ceiling[0] < (q2 == 48).mean() < ceiling[1]
        assert correlation[0] < np.corrcoef(q1, q2 - q1)[0, 1] < correlation[1]

    def test_other_scores_are_like_real_ones(self, demo: World) -> None:
        means = demo.episodes.mean(numeric_only=True)
        assert means["q1_score_eq5d"] == pytest.approx(0.339, abs=0.04)
        assert means["q2_score_eq5d"] == pytest.approx(0.805, abs=0.04)
        assert means["q1_score_eqvas"] == pytest.approx(63.4, abs=3)
        assert means["q2_score_eqvas"] == pytest.approx(77.8, abs=3)
        at_ceiling = (demo.episodes["q2_score_eq5d"].dropna() == 1).mean()
        assert 0.3 < at_ceiling < 0.5

    def test_instruments_agree(self, demo: World) -> None:
        together = demo.episodes[["q2_score_ohs", "q2_score_eq5d", "q2_score_eqvas"]].corr()
        assert together.loc["q2_score_ohs", "q2_score_eq5d"] == pytest.approx(0.74, abs=0.1)
        assert together.loc["q2_score_ohs", "q2_score_eqvas"] == pytest.approx(0.56, abs=0.1)

    @pytest.mark.parametrize("group", list(QUESTIONNAIRES))
    def test_health_is_standard_normal_where_nobody_differs(self, group: str) -> None:
        scenario = varied(
            demo_scenario(), procedure_group=group, episodes_per_period=20_000, drift=0.0,
            providers__effect_sd=0.0,
        )  # fmt: skip
        truth = simulate_world(scenario).truth_episodes
        for name in ("health_before", "health_after"):
            assert truth[name].mean() == pytest.approx(0, abs=0.02)
            assert truth[name].std() == pytest.approx(1, abs=0.02)

    def test_those_who_call_it_worse_gained_less(self, demo: World) -> None:
        gain = demo.episodes["q2_score_ohs"] - demo.episodes["q1_score_ohs"]
        by_change = gain.groupby(demo.episodes["anchor_change"]).mean()
        by_satisfaction = gain.groupby(demo.episodes["satisfaction"]).mean()
        assert by_change[1] > by_change[2] > by_change[3]
        assert by_satisfaction.is_monotonic_decreasing

    @pytest.mark.parametrize(
        ("name", "share"),
        [("comorb_high_bp", 0.378), ("comorb_depression", 0.085), ("disability", 0.52)],
    )
    def test_flags_have_their_share(self, demo: World, name: str, share: float) -> None:
        assert demo.episodes[name].mean() == pytest.approx(share, abs=0.02)


class TestSeed:
    def test_same_scenario_same_world(self, small: Scenario) -> None:
        one, other = simulate_world(small), simulate_world(small)
        for name in ("episodes", "truth", "truth_episodes"):
            assert_frame_equal(getattr(one, name), getattr(other, name))
        assert one.digest == other.digest

    def test_another_seed_is_another_world(self, small: Scenario) -> None:
        one, other = simulate_world(small), simulate_world(varied(small, seed=small.seed + 1))
        assert one.digest != other.digest
        shared = one.episodes["q1_score_ohs"] == other.episodes["q1_score_ohs"]
        assert shared.mean() < 0.15

    @pytest.mark.parametrize(
        ("setting", "value", "may_change"),
        [
            ("follow_up__missing", 0.5, r"q2_|anchor|satisfaction|complication"),
            ("follow_up__by_outcome", 1.0, r"q2_|anchor|satisfaction|complication"),
            ("gaps__casemix", 0.3, "|".join(MAY_BE_BLANK)),
            ("gaps__items", 0.1, r"q[12]_(item|score)"),
            ("providers__cost_effect_sd", 0.5, r"cost_"),
            ("providers__outcome_cost_correlation", 0.9, r"cost_"),
            ("providers__coding_intensity_sd", 0.5, r"comorb_"),
            ("eq5d", ("3L", "5L"), r"q[12]_item_eq5d5l"),
            ("providers__effect_sd", 3.0, r"q2_|anchor|satisfaction|complication|readmit|cost_"),
            ("drift", 2.0, r"q2_|anchor|satisfaction|complication|readmit|cost_"),
        ],
    )
    def test_a_setting_changes_only_its_own(
        self, small: Scenario, setting: str, value: float, may_change: str
    ) -> None:
        before = simulate_world(small).episodes
        after = simulate_world(varied(small, **{setting: value})).episodes
        changed = [name for name in after if not after[name].equals(before.get(name))]
        kept = before.columns[~before.columns.str.match(may_change)]
        assert changed
        assert not set(changed) & set(kept)

    def test_gaps_only_blank(self, small: Scenario) -> None:
        without = simulate_world(varied(small, gaps__casemix=0.0)).episodes["bmi"]
        with_gaps = simulate_world(varied(small, gaps__casemix=0.4)).episodes["bmi"]
        answered = with_gaps.notna()
        assert_series_equal(with_gaps[answered], without[answered])


class TestTruth:
    def test_effects_are_as_asked(self, demo: World) -> None:
        truth, asked = demo.truth, demo.scenario.providers
        assert truth["effect"].std(ddof=0) == pytest.approx(asked.effect_sd)
        assert truth["severity"].std(ddof=0) == pytest.approx(asked.severity_sd)
        assert truth["cost_effect"].std(ddof=0) == pytest.approx(asked.cost_effect_sd)
        assert np.corrcoef(truth["severity"], truth["effect"])[0, 1] == pytest.approx(0, abs=1e-9)
        assert truth["provider_id"].is_monotonic_increasing

    def test_volumes_and_responses_are_those_of_the_episodes(self, demo: World) -> None:
        truth = demo.truth.set_index("provider_id")
        grouped = demo.episodes.groupby("provider_id")["q2_returned"]
        assert truth["volume"].to_dict() == grouped.size().to_dict()
        assert truth["responses"].to_dict() == grouped.sum().astype(int).to_dict()

    def test_volumes_spread_as_asked(self) -> None:
        alike = simulate_world(varied(demo_scenario(), providers__volume_spread=0.0)).truth[
            "volume"
        ]
        unlike = simulate_world(varied(demo_scenario(), providers__volume_spread=1.5)).truth[
            "volume"
        ]
        assert alike.std() / alike.mean() < 0.12
        assert unlike.std() / unlike.mean() > 1

    def test_residuals_show_the_effects(self) -> None:
        world = simulate_world(complete(varied(demo_scenario(), episodes_per_period=10_000)))
        residual = world.episodes["q2_score_ohs"] - world.truth_episodes["expected"]
        by_provider = residual.groupby(world.episodes["provider_id"]).mean()
        effect = world.truth.set_index("provider_id")["effect"]
        slope = np.polyfit(effect, by_provider, 1)[0]
        assert by_provider.corr(effect) > 0.9
        assert 0.8 < slope < 1.1

    def test_expected_is_what_comes_at_the_average_provider(self) -> None:
        scenario = complete(
            varied(demo_scenario(), episodes_per_period=20_000, providers__effect_sd=0.0)
        )
        world = simulate_world(scenario)
        after, expected = world.episodes["q2_score_ohs"], world.truth_episodes["expected"]
        tenth = pd.qcut(expected, 10, labels=False)
        difference = (after - expected).groupby(tenth).mean()
        assert difference.abs().max() < 0.4
        assert_series_equal(expected, world.truth_episodes["at_provider"], check_names=False)

    def test_at_provider_explains_better_than_expected(self) -> None:
        scenario = complete(varied(demo_scenario(), providers__effect_sd=3.0))
        world = simulate_world(scenario)
        after, truth = world.episodes["q2_score_ohs"], world.truth_episodes
        assert after.corr(truth["at_provider"]) > after.corr(truth["expected"]) + 0.02

    def test_effect_on_score_is_near_the_effect(self, demo: World) -> None:
        truth = demo.truth
        assert truth["effect"].corr(truth["effect_on_score"]) > 0.98
        assert (truth["effect_on_score"] / truth["effect"]).median() == pytest.approx(1, abs=0.15)

    def test_drift_moves_every_period(self) -> None:
        scenario = complete(varied(demo_scenario(), episodes_per_period=20_000, drift=1.0))
        episodes = simulate_world(scenario).episodes
        steps = episodes.groupby("period")["q2_score_ohs"].mean().diff().dropna()
        assert steps.between(0.7, 1.2).all()

    @pytest.mark.parametrize("asked", [-1.0, -0.4, 0.0, 0.7])
    def test_better_providers_are_as_dear_as_asked(self, small: Scenario, asked: float) -> None:
        scenario = varied(small, providers__outcome_cost_correlation=asked)
        truth = simulate_world(scenario).truth
        found = np.corrcoef(truth["effect"], truth["cost_effect"])[0, 1]
        assert found == pytest.approx(asked, abs=1e-9)
        assert truth["cost_effect"].std(ddof=0) == pytest.approx(0.06)

    @pytest.mark.parametrize("confounding", [-0.8, 0.0, 0.8])
    def test_confounding_is_as_asked(self, small: Scenario, confounding: float) -> None:
        truth = simulate_world(varied(small, providers__confounding=confounding)).truth
        found = np.corrcoef(truth["severity"], truth["effect"])[0, 1]
        assert found == pytest.approx(confounding, abs=1e-9)

    def test_severe_providers_have_worse_baselines(self) -> None:
        world = simulate_world(
            varied(demo_scenario(), episodes_per_period=10_000, providers__severity_sd=0.5)
        )
        before = world.episodes.groupby("provider_id")["q1_score_ohs"].mean()
        assert before.corr(world.truth.set_index("provider_id")["severity"]) < -0.8

    def test_baselines_differ_between_providers_as_they_do(self) -> None:
        """NHS England's hip file 2018/19: SD 1.9 between providers, beyond chance."""
        world = simulate_world(varied(demo_scenario(), episodes_per_period=20_000))
        by_provider = world.episodes.groupby("provider_id")["q1_score_ohs"]
        chance = (by_provider.var() / by_provider.size()).mean()
        assert np.sqrt(by_provider.mean().var() - chance) == pytest.approx(1.9, abs=0.3)

    def test_raw_gains_follow_severity_and_adjusted_ones_do_not(self) -> None:
        scenario = varied(demo_scenario(), episodes_per_period=20_000, providers__effect_sd=0.0)
        world = simulate_world(complete(scenario))
        after, provider = world.episodes["q2_score_ohs"], world.episodes["provider_id"]
        raw = (after - world.episodes["q1_score_ohs"]).groupby(provider).mean()
        adjusted = (after - world.truth_episodes["expected"]).groupby(provider).mean()
        severity = world.truth.set_index("provider_id")["severity"]
        assert raw.corr(severity) > 0.8
        assert abs(adjusted.corr(severity)) < 0.35

    def test_confounding_misleads_raw_comparisons(self) -> None:
        def raw_slope(confounding: float) -> float:
            scenario = varied(
                demo_scenario(), episodes_per_period=10_000, providers__severity_sd=0.5,
                providers__confounding=confounding,
            )  # fmt: skip
            world = simulate_world(complete(scenario))
            raw = world.episodes.groupby("provider_id")["q2_score_ohs"].mean()
            return float(np.polyfit(world.truth["effect"], raw, 1)[0])

        assert raw_slope(-0.9) > raw_slope(0.0) + 0.3
        assert raw_slope(0.9) < raw_slope(0.0) - 0.3

    def test_cost_effects_show(self) -> None:
        world = simulate_world(varied(demo_scenario(), providers__cost_effect_sd=0.1))
        logs = np.log(world.episodes["cost_index"]).groupby(world.episodes["provider_id"]).mean()
        assert logs.corr(world.truth.set_index("provider_id")["cost_effect"]) > 0.9

    def test_bending_and_combining_pays(self) -> None:
        """Residuals of a straight model still tell the old and lonely from the others."""
        world = simulate_world(complete(varied(demo_scenario(), episodes_per_period=20_000)))
        seen = world.episodes
        old, alone = seen["age_years"] > 75, seen["living_arrangements"] == "alone"
        straight = np.column_stack(
            [np.ones(len(seen)), seen[["q1_score_ohs", "age_years"]], old, alone]
        ).astype(float)
        weights, *_ = np.linalg.lstsq(straight, seen["q2_score_ohs"].to_numpy(), rcond=None)
        residual = seen["q2_score_ohs"] - straight @ weights
        assert residual[old & alone].mean() < -0.5
        assert residual[old & ~alone].mean() > 0.2


class TestFollowUp:
    @pytest.mark.parametrize("missing", [0.0, 0.2, 0.6])
    def test_share_is_as_asked(self, missing: float) -> None:
        scenario = varied(
            demo_scenario(), follow_up__missing=missing, follow_up__unsent=missing / 4,
            follow_up__by_outcome=0.5,
        )  # fmt: skip
        episodes = simulate_world(scenario).episodes
        assert 1 - episodes["q2_returned"].mean() == pytest.approx(missing, abs=0.015)
        assert 1 - episodes["q2_sent"].mean() == pytest.approx(missing / 4, abs=0.01)

    def test_nobody_returns_what_was_not_sent(self, demo: World) -> None:
        assert (demo.episodes["q2_returned"] <= demo.episodes["q2_sent"]).all()

    def test_what_was_not_returned_is_null(self, demo: World) -> None:
        silent = demo.episodes[demo.episodes["q2_returned"] == 0]
        told = [
            name for name in demo.episodes
            if name.startswith(("q2_item", "q2_score", "complication"))
        ]  # fmt: skip
        told += ["q2_date", "q2_days", "anchor_change", "satisfaction"]
        assert silent[told].isna().all(axis=None)
        known = ["readmitted", "cost_total_90d", "q1_date", "index_date", "period"]
        assert silent[known].notna().all(axis=None)

    def test_by_chance_alone_nobody_is_favoured(self) -> None:
        scenario = varied(
            demo_scenario(), episodes_per_period=20_000, follow_up__by_baseline=0.0,
            follow_up__by_age=0.0, follow_up__by_depression=0.0, follow_up__by_provider=0.0,
        )  # fmt: skip
        assert answering_gap(simulate_world(scenario), "health_after") == pytest.approx(0, abs=0.03)

    @pytest.mark.parametrize(
        ("setting", "column"),
        [("by_baseline", "health_before"), ("by_outcome", "health_after")],
    )
    @pytest.mark.parametrize("sign", [-1, 1])
    def test_direction_of_what_it_depends_on(self, setting: str, column: str, sign: int) -> None:
        nothing = dict.fromkeys(("by_baseline", "by_age", "by_depression", "by_outcome"), 0.0)
        settings = nothing | {setting: 0.8 * sign}
        scenario = varied(
            demo_scenario(), **{f"follow_up__{name}": value for name, value in settings.items()}
        )
        assert sign * answering_gap(simulate_world(scenario), column) > 0.4

    def test_younger_and_depressed_answer_less(self) -> None:
        scenario = varied(demo_scenario(), follow_up__by_age=0.8, follow_up__by_depression=1.0)
        episodes = simulate_world(scenario).episodes
        returned = episodes["q2_returned"] == 1
        assert episodes["age_years"][returned].mean() > episodes["age_years"][~returned].mean() + 3
        rates = episodes.groupby("comorb_depression")["q2_returned"].mean()
        assert rates[0.0] > rates[1.0] + 0.1

    def test_not_at_random_flatters(self, confounded: Scenario) -> None:
        world = simulate_world(confounded)
        answered = world.episodes["q2_score_oks"].mean()
        assert answered > world.truth_episodes["q2_if_answered"].mean() + 1

    def test_answers_of_those_who_answer_are_the_same(self, demo: World) -> None:
        whole = demo.episodes["q2_score_ohs"].notna() & (
            demo.episodes[item_columns("q2", "ohs")].notna().all(axis=1)
        )
        assert_series_equal(
            demo.episodes["q2_score_ohs"][whole],
            demo.truth_episodes["q2_if_answered"][whole],
            check_names=False,
        )
        assert demo.truth_episodes["q2_if_answered"].notna().all()

    def test_gaps_have_their_share(self, demo: World) -> None:
        scenario = varied(demo_scenario(), gaps__casemix=0.2)
        blank = simulate_world(scenario).episodes.isna().mean()
        asked = set(MAY_BE_BLANK) - {"education"}
        assert all(blank[name] == pytest.approx(0.2, abs=0.02) for name in asked)
        assert demo.episodes["q1_score_eqvas"].isna().mean() == pytest.approx(0.09, abs=0.01)

    def test_nothing_is_missing_when_nothing_may_be(self, small: Scenario) -> None:
        assert simulate_world(complete(small)).episodes.notna().all(axis=None)


def answering_gap(world: World, column: str) -> float:
    """Return by how much those who answered are healthier than those who did not."""
    returned = world.episodes["q2_returned"] == 1
    values = world.truth_episodes[column]
    return float(values[returned].mean() - values[~returned].mean())


class TestLatent:
    def test_mix_stays_standard_normal(self) -> None:
        noise, driver = np.random.default_rng(0).standard_normal((2, 200_000))
        mixed = mix(noise, (0.6, driver))
        assert mixed.std() == pytest.approx(1, abs=0.01)
        assert np.corrcoef(mixed, driver)[0, 1] == pytest.approx(0.6, abs=0.01)

    def test_grades_and_flags_have_their_shares(self) -> None:
        latent = np.random.default_rng(0).standard_normal(200_000)
        shares = np.bincount(grade(latent, [0.1, 0.6, 0.3]).astype(int))[1:] / len(latent)
        np.testing.assert_allclose(shares, [0.1, 0.6, 0.3], atol=0.005)
        assert flag(latent, 0.05).mean() == pytest.approx(0.05, abs=0.003)

    def test_shares_are_scaled(self) -> None:
        np.testing.assert_allclose(cut_points([[2, 2], [1, 3]]), [[0], [-0.67448975]])

    @pytest.mark.parametrize("group", list(QUESTIONNAIRES))
    def test_points_per_unit_is_the_slope_of_the_mean_score(self, group: str) -> None:
        after = QUESTIONNAIRES[group].after
        low, high = expected_score(after, np.array([-0.01, 0.01]), spread=1.0)
        better = after.main.instrument.direction * (high - low)
        assert points_per_unit(after) == pytest.approx(better / 0.02, rel=1e-3)


class TestFiles:
    @pytest.mark.parametrize("suffix", [".parquet", ".csv", ".csv.gz"])
    def test_what_is_written_is_read_back(self, world: World, tmp_path: Path, suffix: str) -> None:
        episodes, truth = write_world(world, tmp_path / "new" / f"a.world{suffix}")
        read = pd.read_parquet if suffix == ".parquet" else pd.read_csv
        raw = read(episodes) if suffix == ".parquet" else read(episodes, dtype=str)
        table, faults = to_declared(raw, COLUMNS)
        assert faults == []
        assert_frame_equal(table, world.episodes)
        assert truth == tmp_path / "new" / "a.world.truth.csv"
        assert_frame_equal(pd.read_csv(truth).astype({"provider_id": "str"}), world.truth)

    @pytest.mark.parametrize("suffix", [".parquet", ".csv", ".csv.gz"])
    def test_same_world_same_bytes(self, world: World, tmp_path: Path, suffix: str) -> None:
        one, _ = write_world(world, tmp_path / f"one{suffix}")
        other, _ = write_world(world, tmp_path / f"other{suffix}")
        assert one.read_bytes() == other.read_bytes()

    def test_only_the_two_files_are_left_and_replaced(self, world: World, tmp_path: Path) -> None:
        (tmp_path / "w.csv").write_text("old")
        write_world(world, tmp_path / "w.csv")
        assert sorted(one.name for one in tmp_path.iterdir()) == ["w.csv", "w.truth.csv"]
        assert (tmp_path / "w.csv").read_text().startswith("episode_id,")

    @pytest.mark.parametrize("name", ["w.xlsx", "w", ".csv", "w.gz"])
    def test_other_kinds_are_refused(self, world: World, tmp_path: Path, name: str) -> None:
        with pytest.raises(StudyError, match=r"\.parquet, \.csv\.gz, \.csv"):
            write_world(world, tmp_path / name)
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("suffix", [".parquet", ".csv", ".csv.gz"])
    def test_a_failure_leaves_nothing(
        self, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
    ) -> None:
        def run_out_of_space(table: pd.DataFrame, path: Path) -> None:
            path.write_text("half of it")
            raise OSError(28, "No space left on device")

        monkeypatch.setitem(world_files._WRITERS, suffix, run_out_of_space)
        with pytest.raises(OutputError, match="No space left on device"):
            write_world(world, tmp_path / f"w{suffix}")
        assert list(tmp_path.iterdir()) == []

    def test_a_failure_keeps_what_was_there(
        self, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path, truth = write_world(world, tmp_path / "w.csv")
        before = path.read_bytes(), truth.read_bytes()

        def refuse(*_: object) -> None:
            raise OSError(13, "denied")

        monkeypatch.setattr(Path, "replace", refuse)
        with pytest.raises(OutputError, match="denied"):
            write_world(world, path)
        assert (path.read_bytes(), truth.read_bytes()) == before
        assert len(list(tmp_path.iterdir())) == 2

    def test_a_folder_in_the_way_is_named(self, world: World, tmp_path: Path) -> None:
        (tmp_path / "w.csv").mkdir()
        with pytest.raises(OutputError, match="is a folder"):
            write_world(world, tmp_path / "w.csv")
        assert [one.name for one in tmp_path.iterdir()] == ["w.csv"]

    def test_a_file_in_place_of_the_folder_is_refused(self, world: World, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(OutputError, match="wanted to write a world"):
            write_world(world, tmp_path / "file" / "w.csv")
