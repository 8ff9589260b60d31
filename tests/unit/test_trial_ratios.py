"""Ratios that a programme publishes, held against the true ones, and the penalty on them."""

from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from riskadj.payment.contract import load_contract
from riskadj.payment.hrrp import MEASURE_COLUMNS, hrrp_payment_factor
from riskadj.payment.tables import Tables
from riskadj.simulate import load_scenario, simulate_world
from riskadj.simulate.programmes import MEDICARE_AGE, TABLE_FILE, programme_tables
from riskadj.trial import Settings, run_trial
from riskadj.trial.truth import with_true_ratios
from riskadj.trial.worlds import replicate, true_ratios

CONFIGS = Path(__file__).parents[2] / "configs"
PLAIN = ("providers.severity_sd=0", "providers.coding_intensity_sd=0", "providers.number=12",
         "providers.volume_spread=0.1")  # fmt: skip
"""Nothing that case mix does not hold."""
LARGE = ("episodes_per_period=20000", *PLAIN)


HRRP = load_contract(CONFIGS / "contracts" / "us_hrrp.yaml")


@cache
def joints(*overrides):
    return simulate_world(
        load_scenario(CONFIGS / "scenarios" / "us_tha.yaml", ("claims.others=0", *overrides))
    )


def test_true_ratios_are_chances_here_over_chances_at_the_average_hospital():
    world = joints(*PLAIN)
    told = true_ratios(world)
    old = (world.episodes["age_years"] >= MEDICARE_AGE).to_numpy()
    truth = world.truth_episodes[old]
    names = ["readmission_at_provider_30d", "readmission_expected_30d"]
    sums = truth.groupby(world.episodes.loc[old, "provider_id"])[names].sum()
    ratio = sums.iloc[:, 0] / sums.iloc[:, 1]
    np.testing.assert_allclose(told["err_hk"] / told["err_hk"].iloc[0], ratio / ratio.iloc[0])
    effects = world.truth.set_index("provider_id")["readmission_effect"].reindex(told.index)
    assert effects.corr(np.log(told["err_hk"])) > 0.99


def test_chances_of_readmission_are_those_that_come_about():
    world = joints(*LARGE)
    chance = world.truth_episodes["readmission_at_provider_30d"]
    error = np.sqrt((chance * (1 - chance)).sum()) / len(chance)
    assert abs(world.episodes["readmitted_30d"].mean() - chance.mean()) < 3 * error


def test_published_ratios_are_off_by_chance_alone_where_case_mix_holds_everything():
    world = joints(*LARGE)
    published = programme_tables(world)[TABLE_FILE].set_index("provider_id")
    true = true_ratios(world)["err_hk"]
    off = np.log(published["err_hk"]) - np.log(true)
    events = published["n_hk"] * world.episodes["readmitted_30d"].mean() * true
    assert 0.3 < (off * np.sqrt(events)).std() < 1.6
    assert off.std() < 0.6 * np.log(true).std()


def test_without_effects_no_hospital_has_an_excess():
    told = true_ratios(joints(*PLAIN, "programme.readmissions.effect_sd=0"))
    np.testing.assert_allclose(told, 1.0, rtol=1e-12)


def test_a_world_without_readmission_figures_has_no_true_ratios():
    small = ("episodes_per_period=200", "providers.number=8", "claims.others=0")
    world = simulate_world(load_scenario(CONFIGS / "scenarios" / "spine_small.yaml", small))
    assert true_ratios(world).empty


def test_right_money_of_a_penalty_is_that_of_the_true_ratios():
    asked = load_scenario(
        CONFIGS / "scenarios" / "us_tha.yaml", ("claims.others=0", "episodes_per_period=3000")
    )
    tried = run_trial([HRRP], asked, Settings(worlds=1))
    world = simulate_world(replicate(asked, 0))
    table = programme_tables(world)[TABLE_FILE].set_index("provider_id")
    table[["err_hk", "median_hk"]] = true_ratios(world)[["err_hk", "median_hk"]]
    paid = tried.found.providers.set_index("provider_id")
    for name, row in table.reindex(paid.index).iterrows():
        told = row[["n_hk", "err_hk", "median_hk", "drg_ratio_hk"]].to_numpy(dtype=float)
        measures = pd.DataFrame([told], columns=list(MEASURE_COLUMNS))
        factor = hrrp_payment_factor(measures, 0.96524016588985)
        by_hand = -100 * row["base_payments"] * (1 - factor)
        assert paid.loc[name, "right_minor"] == pytest.approx(by_hand, abs=1)
    assert (paid["right_minor"] < 0).any()
    unsettled = paid["status"].str.startswith("not settled")
    assert tried.found.table["too_few"].tolist() == [unsettled.sum()]


def test_a_contract_on_a_programmes_ratios_alone_does_not_want_answers():
    assert HRRP.on_table_alone
    assert not load_contract(CONFIGS / "contracts" / "us_team_spine.yaml").on_table_alone


def test_the_truth_takes_the_place_of_estimates_only_where_there_is_one():
    given = pd.DataFrame(
        {"provider_id": ["b", "a", "c"], "err_hk": [1.2, np.nan, 0.9], "n_hk": [50, 0, 30]}
    )
    true = pd.DataFrame({"err_hk": [1.0, 1.1, 1.3]}, index=["a", "b", "z"])
    tables = Tables(pd.DataFrame(), given=given)
    got = with_true_ratios(tables, true).given
    assert got["n_hk"].tolist() == [50, 0, 30]
    assert got["err_hk"].tolist()[0] == 1.1
    assert got["err_hk"].isna().tolist() == [False, True, True]
    assert with_true_ratios(tables, None).given is given
