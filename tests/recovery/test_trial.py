"""A trial of contracts finds what has to be so: with all knowledge, with none, and in between."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from settling import contract

from riskadj.payment.contract import load_contract
from riskadj.simulate import load_scenario, simulate_world
from riskadj.trial import Settings, run_trial
from riskadj.trial.drift import drift_of, found_in
from riskadj.trial.worlds import replicate

pytestmark = pytest.mark.slow
CONFIGS = Path(__file__).parents[2] / "configs"
SAVED = contract(name="saved", currency={"code": "SEK"}, price_year=2023)


def ready(name):
    return load_contract(CONFIGS / "contracts" / f"{name}.yaml")


@cache
def found(*overrides, worlds=2):
    """Return the comparison of three forms of contract in a world, by contract."""
    scenario = load_scenario(
        CONFIGS / "scenarios" / "spine_small.yaml", ("claims.others=0", *overrides)
    )
    contracts = [ready("stockholm_spine"), ready("us_team_spine"), SAVED]
    return run_trial(contracts, scenario, Settings(worlds=worlds)).found


def table(*overrides, worlds=2):
    return found(*overrides, worlds=worlds).table.set_index("contract")


ENDLESS = ("providers.number=6", "episodes_per_period=30000", "providers.volume_spread=0.1")
UNBIASED = ("providers.severity_sd=0", "providers.coding_intensity_sd=0", "selection=null")


def test_with_endless_volume_next_to_nothing_is_misallocated():
    got = table(*ENDLESS, *UNBIASED, worlds=1)
    assert (got["misallocated_share"] < 0.035).all()
    assert (got["follows_truth"] > 0.995).all()
    assert (got["bonus_for_penalty"] + got["penalty_for_bonus"] == 0).all()


def test_what_case_mix_does_not_hold_stays_whatever_the_volume():
    """Severity that nobody wrote down is paid for as if it were the provider's doing."""
    biased = ("providers.severity_sd=0.6", "providers.confounding=-0.5")
    got, plain = (
        table(*ENDLESS, *UNBIASED, *some, worlds=1)["misallocated_share"].sort_index()
        for some in (biased, ())
    )
    assert (got > 1.8 * plain).all()


EQUAL = ("providers.effect_sd=0", "providers.cost_effect_sd=0")


def test_where_providers_are_alike_all_money_is_misallocated():
    got = table(*EQUAL)
    for one in ("stockholm_spine", "saved"):
        assert got.loc[one, "right"] == pytest.approx(0, abs=1e-5 * got.loc[one, "paid"])
        assert got.loc[one, "misallocated_share"] == pytest.approx(1, abs=1e-5)
        assert got.loc[one, "follows_truth"] < 0.05  # below 0 where all repay, as with a withhold
        assert got.loc[one, "fair_from"].startswith("none")


VOLUMES = (1000, 2000, 4000, 8000)


@pytest.mark.parametrize("one", ["stockholm_spine", "us_team_spine", "saved"])
def test_more_volume_never_makes_it_worse(one):
    rows = [
        table(f"episodes_per_period={volume}", "providers.number=40", worlds=3).loc[one]
        for volume in VOLUMES
    ]
    off = [row["misallocated_share"] for row in rows]
    assert (np.diff(off) < 0.01).all()
    assert off[-1] < 0.7 * off[0]
    follows = [row["follows_truth"] for row in rows]
    assert (np.diff(follows) > -0.03).all()


def test_within_worlds_larger_providers_are_paid_more_rightly():
    got = found("episodes_per_period=4000", "providers.number=40", worlds=3)
    for _, bands in got.by_volume.groupby("contract"):
        judged = bands[bands["settled"] > 15]
        assert len(judged) >= 3
        shares = judged["misallocated_share"].to_numpy()
        assert (np.diff(shares) < 0.02).all()
        assert shares[-1] < 0.8 * shares[0]


WORLDS = 12


@pytest.mark.parametrize(("selection", "least", "most"), [(True, 10, 12), (False, 0, 2)])
def test_drift_is_found_where_providers_choose_and_not_where_they_do_not(selection, least, most):
    overrides = ("claims=null",) if selection else ("claims=null", "selection=null")
    scenario = load_scenario(CONFIGS / "scenarios" / "spine.yaml", overrides)
    total = 0
    for number in range(WORLDS):
        world = simulate_world(replicate(scenario, number))
        total += int(found_in(drift_of(world.episodes, {}, number)).loc[0, "found"])
    assert least <= total <= most
