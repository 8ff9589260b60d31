"""What a payment programme asks and counts beyond the rest of a simulated world."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from riskadj.episodes.participation import read_participation
from riskadj.errors import StudyError
from riskadj.instruments.thresholds import THRESHOLDS, responds
from riskadj.simulate import Scenario, World, load_scenario, simulate_world, write_world
from riskadj.simulate.programmes import programme_tables

SCENARIOS = Path(__file__).resolve().parents[2] / "configs" / "scenarios"
NOBODY = ["programme.registry.by_provider=0", "follow_up.by_provider=0"]


def scenario_of(name: str, *overrides: str) -> Scenario:
    return load_scenario(SCENARIOS / f"{name}.yaml", overrides)


@pytest.fixture(scope="module")
def england() -> World:
    return simulate_world(scenario_of("england_hip"))


@pytest.fixture(scope="module")
def medicare() -> World:
    return simulate_world(scenario_of("us_tha", "claims.others=0"))


class TestJointItems:
    @pytest.mark.parametrize(
        ("name", "instrument", "threshold", "low", "high"),
        [
            ("us_tha", "hoos_jr", "HOOS_JR_SCB_22", 0.75, 0.85),
            ("us_tka", "koos_jr", "KOOS_JR_SCB_20", 0.68, 0.80),
        ],
    )
    def test_about_as_many_gain_as_among_medicares_inpatients(
        self, name: str, instrument: str, threshold: str, low: float, high: float
    ) -> None:
        """80 % of hips (J Arthroplasty 2025, doi 10.1016/j.arth.2025.09.027); knees fewer."""
        seen = simulate_world(scenario_of(name, "claims=null", "programme.readmissions=null"))
        before, after = (seen.episodes[f"{one}_score_{instrument}"] for one in ("q1", "q2"))
        known = before.notna() & after.notna()
        gained = responds(THRESHOLDS[threshold], before[known], after[known], 1)
        assert low < gained.mean() < high
        assert 40 < before.mean() < 55
        assert -0.75 < np.corrcoef(before[known], (after - before)[known])[0, 1] < -0.3

    def test_asking_them_besides_changes_no_other_answer(self) -> None:
        small = ("claims=null", "programme.readmissions=null", "episodes_per_period=300")
        asked = simulate_world(scenario_of("us_tha", *small)).episodes
        plain = simulate_world(scenario_of("us_tha", *small, "programme.joint_items=null")).episodes
        assert set(asked) - set(plain) == {one for one in asked if "hoos_jr" in one}
        assert_frame_equal(asked[list(plain)], plain)

    def test_answers_are_asked_for_when_the_programme_asks(self) -> None:
        small = ("claims=null", "programme.readmissions=null", "episodes_per_period=2000")
        days = simulate_world(scenario_of("us_tha", *small)).episodes["q2_days"].dropna()
        assert days.min() >= 320
        assert days.between(300, 425).mean() > 0.95


class TestEngland:
    def test_the_counts_are_those_of_the_last_period_in_englands_form(
        self, england: World, tmp_path: Path
    ) -> None:
        write_world(england, tmp_path)
        counts = read_participation([tmp_path / "participation.csv"]).of("HIP_PRIM")
        seen = england.episodes[england.episodes["period"] == "2022/23"]
        known = counts.drop("England").dropna()
        for name, wanted in (
            ("q1", seen.groupby("provider_id").size()),
            ("q2_returned", seen.groupby("provider_id")["q2_returned"].sum()),
        ):
            assert (known[name] == wanted.reindex(known.index)).all()
        assert counts.loc["England", "q1"] == len(seen)
        assert (known["procedures"] >= known["q1"]).all()

    def test_as_many_are_left_out_as_the_scenario_says(self) -> None:
        world = simulate_world(scenario_of("england_hip", *NOBODY))
        table = programme_tables(world)["participation.csv"].iloc[0]
        asked, done = (int(table.filter(like=one).iloc[0]) for one in ("Pre-Op", "Procedures"))
        assert asked / done == pytest.approx(1 - 0.31, abs=0.02)

    def test_counts_of_one_to_five_are_suppressed(self) -> None:
        few = ("episodes_per_period=60", "providers.number=30")
        table = programme_tables(simulate_world(scenario_of("england_hip", *few)))
        counts = table["participation.csv"].set_index("Organisation Code").iloc[1:, 1:]
        hidden = counts.eq("*")
        assert hidden.any(axis=1).sum() >= 5
        assert (hidden.any(axis=1) == hidden.all(axis=1)).all()
        assert (counts[~hidden.any(axis=1)].iloc[:, 0].astype(int).isin(range(1, 6)).sum()) == 0

    def test_the_joint_registry_knows_about_as_much_as_the_scenario_says(
        self, england: World
    ) -> None:
        table = programme_tables(england)["provider_table.csv"]
        assert table["provider_id"].tolist() == england.truth["provider_id"].tolist()
        assert table["njr_compliance"].mean() == pytest.approx(0.95, abs=0.02)
        assert table["njr_unknown_consent"].mean() == pytest.approx(0.06, abs=0.02)
        assert table["cemented_over_70"].mean() == pytest.approx(0.88, abs=0.03)
        assert table["njr_compliance"].std() > 0.01

    def test_knees_have_no_cement(self) -> None:
        world = simulate_world(scenario_of("england_knee", "episodes_per_period=300"))
        assert "cemented_over_70" not in programme_tables(world)["provider_table.csv"]


class TestReadmissions:
    def test_ratios_follow_the_truth_and_the_medians_are_those_of_fifths(
        self, medicare: World
    ) -> None:
        table = programme_tables(medicare)["provider_table.csv"].set_index("provider_id")
        truth = medicare.truth.set_index("provider_id")["readmission_effect"]
        assert np.corrcoef(table["err_hk"], truth.reindex(table.index))[0, 1] > 0.5
        assert truth.std() == pytest.approx(0.15, rel=0.1)
        assert table["median_hk"].nunique() == 5
        halves = table.groupby("median_hk").apply(lambda one: (one["err_hk"] > one.name).mean())
        assert halves.between(0.4, 0.5).all()
        old = medicare.episodes["age_years"] >= 65
        assert table["n_hk"].sum() == old.sum()

    def test_shrunken_ratios_differ_less_than_observed_ones(self, medicare: World) -> None:
        table = programme_tables(medicare)["provider_table.csv"].set_index("provider_id")
        old = medicare.episodes[medicare.episodes["age_years"] >= 65]
        raw = old.groupby("provider_id")["readmitted_30d"].mean() / old["readmitted_30d"].mean()
        assert table["err_hk"].std() < 0.8 * raw.std()

    def test_without_an_effect_nobody_differs_in_truth(self) -> None:
        world = simulate_world(
            scenario_of("us_tha", "programme.readmissions.effect_sd=0", "episodes_per_period=300")
        )
        assert "readmission_effect" not in world.truth

    def test_an_effect_moves_cost_in_truth_as_in_the_claims(self) -> None:
        strong = scenario_of(
            "us_tha", "programme.readmissions.effect_sd=0.8", "providers.cost_effect_sd=0",
            "providers.number=10", "providers.volume_spread=0", "claims.others=0",
            "claims.deaths=0", "claims.disenrolled=0", "episodes_per_period=8000",
        )  # fmt: skip
        world = simulate_world(strong)
        paid, mean = (world.truth_episodes[f"cost_{one}_365d"] for one in ("total", "at_provider"))
        here = world.episodes["provider_id"].to_numpy()
        ratio = paid.groupby(here).mean() / mean.groupby(here).mean()
        np.testing.assert_allclose(ratio, 1, atol=0.04)  # three standard errors
        truth = world.truth.set_index("provider_id")
        assert np.corrcoef(truth["readmission_effect"], truth["cost_effect_365d"])[0, 1] > 0.9


@pytest.mark.parametrize("name", ["england_hip", "norway_neck", "us_tha"])
def test_a_programmes_world_is_a_folder_of_the_same_bytes_each_time(
    name: str, tmp_path: Path
) -> None:
    scenario = scenario_of(name, "episodes_per_period=200")
    written = [write_world(simulate_world(scenario), tmp_path / one) for one in ("one", "two")]
    assert [one.name for one in written[0]] == [one.name for one in written[1]]
    for one, other in zip(*written, strict=True):
        assert one.read_bytes() == other.read_bytes()
    told = {"england_hip": {"participation.csv", "provider_table.csv"}, "norway_neck": set(),
            "us_tha": {"provider_table.csv"}}  # fmt: skip
    assert {one.name for one in written[0] if one.suffix == ".csv"} == told[name]
    seen = "claims.parquet" if name == "us_tha" else "episodes.parquet"
    assert len(pd.read_parquet(tmp_path / "one" / seen))


@pytest.mark.parametrize(
    ("name", "override", "told"),
    [
        ("us_tha", "programme.joint_items=KOOS_JR", "wanted KNEE_PRIM with KOOS_JR; got HIP_PRIM"),
        ("us_tha", "claims=null", "wanted claims with programme.readmissions"),
        ("norway_neck", "programme.registry={unasked: 0, unregistered: 0, consent_unknown: 0, "
         "uncemented_over_70: 0, by_provider: 0}", "wanted a hip or a knee"),
        ("us_tha", "programme.asked_after_days=10", "greater than or equal to 30"),
        ("us_tha", "programme.readmissions.share_of_payments=0", "greater than 0"),
        ("england_hip", "programme.registry.unasked=0.95", "less than or equal to 0.9"),
        ("england_hip", "programme.registri={}", "Did you mean 'registry'"),
    ],
)  # fmt: skip
def test_a_programme_that_does_not_fit_is_refused(name: str, override: str, told: str) -> None:
    with pytest.raises(StudyError, match=told):
        scenario_of(name, override)
