"""A world with known truth: providers, patients, answers, follow-up and cost, from one scenario."""

from riskadj.simulate.files import write_world
from riskadj.simulate.scenario import (
    FollowUp,
    Gaps,
    Providers,
    Scenario,
    demo_scenario,
    load_scenario,
)
from riskadj.simulate.world import World, simulate_world

__all__ = [
    "FollowUp",
    "Gaps",
    "Providers",
    "Scenario",
    "World",
    "demo_scenario",
    "load_scenario",
    "simulate_world",
    "write_world",
]
