"""A world of claims holds what its scenario says: spreads, correlation, and cost as expected."""

from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest

from riskadj.simulate import Scenario, load_scenario, simulate_world
from riskadj.simulate.claim_tables import PARTS, WINDOWS

SCENARIOS = Path(__file__).resolve().parents[2] / "configs" / "scenarios"
SEEDS = range(6)


def scenario_of(name: str, *overrides: str) -> Scenario:
    return load_scenario(SCENARIOS / f"{name}.yaml", overrides)


class Truth(NamedTuple):
    """What is true of providers and of episodes."""

    truth: pd.DataFrame
    truth_episodes: pd.DataFrame


@cache
def truth_of(name: str, *overrides: str) -> Truth:
    """Return the truth of a world, once for all tests."""
    world = simulate_world(scenario_of(name, *overrides))
    return Truth(world.truth, world.truth_episodes)


def seen_through(world: Truth) -> pd.DataFrame:
    """Return the truth of episodes that were seen for all of a year."""
    truth = world.truth_episodes
    return truth[truth["died_after"].isna() & truth["left_after"].isna()]


def observed_over_expected(world: Truth, days: int) -> pd.DataFrame:
    """Return the log of each provider's observed over expected cost, and its error."""
    truth = seen_through(world)
    over = truth[f"cost_total_{days}d"] / truth[f"cost_expected_{days}d"]
    table = pd.DataFrame(
        {
            "provider_id": truth["provider_id"],
            "observed": truth[f"cost_total_{days}d"],
            "expected": truth[f"cost_expected_{days}d"],
            "square": ((over - 1) * truth[f"cost_expected_{days}d"]) ** 2,
        }
    )
    sums = table.groupby("provider_id").sum()
    return pd.DataFrame(
        {
            "effect": np.log(sums["observed"] / sums["expected"]),
            "error": np.sqrt(sums["square"]) / sums["expected"],
        }
    )


def spread_beyond_chance(found: pd.DataFrame) -> float:
    """Return the SD of effects between providers, by moments."""
    return float(np.sqrt(max(found["effect"].var() - (found["error"] ** 2).mean(), 0)))


def test_the_truth_has_the_spreads_and_the_correlation_of_the_scenario():
    asked = scenario_of("spine_small")
    truth = simulate_world(asked).truth
    found = truth[["effect", "cost_effect", "coding_intensity", "severity"]]
    wanted = asked.providers
    spreads = found.std(ddof=0)
    assert spreads["effect"] == pytest.approx(wanted.effect_sd)
    assert spreads["cost_effect"] == pytest.approx(wanted.cost_effect_sd)
    assert spreads["coding_intensity"] == pytest.approx(wanted.coding_intensity_sd)
    assert spreads["severity"] == pytest.approx(wanted.severity_sd)
    together = found.corr()
    assert together.loc["effect", "cost_effect"] == pytest.approx(wanted.outcome_cost_correlation)
    assert together.loc["effect", "severity"] == pytest.approx(wanted.confounding)
    assert together.loc["coding_intensity", "effect"] == pytest.approx(0, abs=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["spine", "hip_claims", "knee_claims", "low_back"])
@pytest.mark.parametrize("days", WINDOWS)
def test_cost_over_expected_is_one_at_the_provider_that_treated(name, days):
    ratios, errors = [], []
    for seed in SEEDS:
        truth = seen_through(truth_of(name, f"seed={seed}"))
        mean = truth[f"cost_at_provider_{days}d"].mean()
        left = (truth[f"cost_total_{days}d"] - truth[f"cost_at_provider_{days}d"]) / mean
        ratios.append(left.mean())
        errors.append(left.std() / np.sqrt(len(left)))
    error = np.sqrt(np.sum(np.square(errors))) / len(errors)
    assert abs(np.mean(ratios)) < 3.5 * error
    assert error < 0.006


@pytest.mark.slow
def test_cost_over_expected_is_one_in_every_tenth_of_what_is_expected():
    tables = [seen_through(truth_of("spine", f"seed={one}")) for one in SEEDS]
    truth = pd.concat(tables)
    tenth = pd.qcut(truth["cost_at_provider_90d"], 10, labels=False)
    left = truth["cost_total_90d"] / truth["cost_at_provider_90d"] - 1
    found = left.groupby(tenth).agg(["mean", "std", "size"])
    z = found["mean"] / (found["std"] / np.sqrt(found["size"]))
    assert z.abs().max() < 3.5


@pytest.mark.slow
@pytest.mark.parametrize("days", [90, 365])
def test_observed_over_expected_shows_the_effects_on_cost(days):
    spreads, slopes, true_spreads = [], [], []
    for seed in SEEDS:
        world = truth_of("spine", f"seed={seed}")
        found = observed_over_expected(world, days)
        true = world.truth.set_index("provider_id")[f"cost_effect_{days}d"]
        spreads.append(spread_beyond_chance(found))
        true_spreads.append(true.std())
        slopes.append(np.polyfit(true, found["effect"].reindex(true.index), 1)[0])
    assert np.mean(slopes) == pytest.approx(1, abs=0.05)
    assert np.mean(spreads) == pytest.approx(np.mean(true_spreads), rel=0.06)


@pytest.mark.slow
@pytest.mark.parametrize("asked", [-0.8, 0.0, 0.6])
def test_outcome_and_cost_of_providers_go_together_as_asked(asked):
    """Errors of the two are as good as independent, so that only the spreads need correcting."""
    found = []
    for seed in SEEDS:
        world = simulate_world(
            scenario_of("spine", f"seed={seed}", f"providers.outcome_cost_correlation={asked}")
        )
        truth = world.truth_episodes
        residual = truth["expected"] - truth["q2_if_answered"]
        by_provider = residual.groupby(truth["provider_id"])
        outcome = pd.DataFrame({"effect": by_provider.mean(), "error": by_provider.sem()})
        cost = observed_over_expected(world, 90)
        covariance = np.cov(outcome["effect"], cost["effect"].reindex(outcome.index))[0, 1]
        found.append(covariance / spread_beyond_chance(outcome) / spread_beyond_chance(cost))
    assert np.mean(found) == pytest.approx(asked, abs=0.08)


@pytest.mark.slow
def test_parts_of_cost_are_shared_out_as_published():
    """After a fusion 4 to 8 % of a bundle come after discharge (Spine 2014, PubMed 24831503)."""
    scenario = scenario_of("spine", "procedure_group=LUMBAR_FUSION")
    truth = simulate_world(scenario).truth_episodes
    means = truth[[f"cost_{one}_90d" for one in PARTS[1:]]].mean()
    after = means["cost_readmit_90d"] + means["cost_postacute_90d"]
    assert 0.04 < after / truth["cost_total_90d"].mean() < 0.08
    assert truth["cost_index"].mean() / truth["cost_total_90d"].mean() > 0.75


@pytest.mark.slow
def test_coding_moves_what_is_on_record_and_not_the_cost():
    plain, other = (
        simulate_world(scenario_of("spine", f"providers.coding_intensity_sd={one}"))
        for one in (0, 0.6)
    )
    costs = [f"cost_total_{days}d" for days in WINDOWS]
    pd.testing.assert_frame_equal(plain.truth_episodes[costs], other.truth_episodes[costs])
    assert plain.claims is not None
    assert other.claims is not None
    codes = [
        one.claims.lines["diagnosis_codes"].str.count(" ").groupby(one.claims.lines["provider_id"])
        for one in (plain, other)
    ]
    change = (codes[1].mean() - codes[0].mean()).reindex(other.truth["provider_id"])
    intensity = other.truth["coding_intensity"].to_numpy()
    assert np.corrcoef(change, intensity)[0, 1] > 0.8
