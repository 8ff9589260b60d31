"""A world with known truth: providers, patients, answers, follow-up and cost, from one scenario."""

from riskadj.simulate.claims import ClaimsWorld
from riskadj.simulate.files import write_world
from riskadj.simulate.scenario import (
    Claims,
    FollowUp,
    Gaps,
    Programme,
    Providers,
    Scenario,
    Selection,
    demo_scenario,
    load_scenario,
)
from riskadj.simulate.world import World, simulate_world

__all__ = [
    "Claims",
    "ClaimsWorld",
    "FollowUp",
    "Gaps",
    "Programme",
    "Providers",
    "Scenario",
    "Selection",
    "World",
    "demo_scenario",
    "load_scenario",
    "simulate_world",
    "write_world",
]
