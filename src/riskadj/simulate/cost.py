"""What an episode costs to day 90: skewed, as costs are, and in no particular currency."""

import numpy as np

from riskadj.simulate.latent import Floats, flag, mix
from riskadj.simulate.patients import Patients
from riskadj.simulate.scenario import Scenario
from riskadj.simulate.streams import stream

# part: median, SD of the logarithm. Chosen to be plausible: an index stay that varies little,
# and rare or long-tailed further costs.
PART_TABLE: dict[str, tuple[float, float]] = {
    "index": (6500.0, 0.20),
    "readmit": (2600.0, 1.00),
    "postacute": (900.0, 0.90),
    "outpatient_and_professional": (350.0, 0.80),
}

PROFESSIONAL_SPREAD = 0.8
"""SD of the log-odds of an episode's share of the last part that is professional; its median is a
half."""

POSTACUTE_SHARE = 0.35
"""Share of episodes with post-acute care."""


def draw_costs(
    scenario: Scenario, patients: Patients, readmitted: Floats, cost_effect: Floats
) -> dict[str, Floats]:
    """Return the cost of every episode by part, and the total.

    Parameters
    ----------
    scenario : Scenario
        Gives the seed.
    patients : Patients
        A patient per episode.
    readmitted : ndarray of shape (n_episodes,)
        Flags; others have no cost of readmission.
    cost_effect : ndarray of shape (n_episodes,)
        True effect of the episode's provider on the log of every part.
    """
    rng = stream(scenario.seed, "cost")
    alone = np.where(patients.seen["living_arrangements"] == "with_family", 0.0, 0.35)
    after_care = mix(
        rng.standard_normal(len(alone)), (0.35, patients.age), (0.25, patients.frailty)
    )
    everybody = np.ones(len(alone))
    happens: dict[str, Floats] = {
        "index": everybody,
        "readmit": readmitted,
        "postacute": flag(after_care + alone, POSTACUTE_SHARE),
        "outpatient_and_professional": everybody,
    }
    shift = _burden(patients) + cost_effect
    parts = {}
    for name, (median, spread) in PART_TABLE.items():
        logs = shift + spread * rng.standard_normal(len(alone))
        parts[name] = np.round(happens[name] * median * np.exp(logs), 2)
    total = np.round(np.sum(list(parts.values()), axis=0), 2)
    return {**_name_parts(scenario, parts), "cost_total_90d": total}


def _name_parts(scenario: Scenario, parts: dict[str, Floats]) -> dict[str, Floats]:
    """Return the canonical columns, the last part shared out from a stream of its own."""
    both = parts["outpatient_and_professional"]
    odds = PROFESSIONAL_SPREAD * stream(scenario.seed, "professional").standard_normal(len(both))
    professional = np.round(both / (1 + np.exp(-odds)), 2)
    return {
        "cost_index": parts["index"],
        "cost_readmit_90d": parts["readmit"],
        "cost_postacute_90d": parts["postacute"],
        "cost_outpatient_90d": np.round(both - professional, 2),
        "cost_professional_90d": professional,
    }


def _burden(patients: Patients) -> Floats:
    """Return what the patient adds to the log of cost."""
    seen = patients.seen
    return np.asarray(
        0.06 * (seen["asa"] - 2) + 0.04 * patients.age + 0.06 * np.maximum(seen["bmi"] - 32, 0) / 5
    )
