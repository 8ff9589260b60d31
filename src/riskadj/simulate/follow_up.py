"""Who answers the second questionnaire, when, and which answers stay blank."""

import numpy as np
import pandas as pd

from riskadj.simulate.latent import Floats
from riskadj.simulate.outcomes import Outcomes
from riskadj.simulate.patients import Patients
from riskadj.simulate.populations import SPINE
from riskadj.simulate.questionnaires import QUESTIONNAIRES, item_names
from riskadj.simulate.scenario import Scenario
from riskadj.simulate.streams import stream

MAY_BE_BLANK = (
    "bmi", "smoker", "asa", "deprivation_decile", "symptom_period", "previous_surgery",
    "disability", "assisted_q1", "living_arrangements", "general_health_q1", "education",
)  # fmt: skip
"""Case mix that forms leave blank; comorbidities cannot be told from not ticked."""

ALWAYS_KNOWN = ("readmitted",)
"""What claims tell about everybody, whether or not they answer."""

FIRST_LEAD_DAYS, LATEST_LEAD_DAYS = 3, 126
"""The first questionnaire is answered this many days to 18 weeks before the operation."""

EARLIEST_ANSWER_DAYS, EARLIEST_SPINE_DAYS, LATEST_ANSWER_DAYS = 183, 345, 540
"""The second one is asked for six months after hips and knees, and a year after the spine."""

ANSWER_SHAPE, ANSWER_SCALE = 2.0, 20.0
"""It comes later by a gamma variable; chosen to be plausible."""


def draw_response(
    scenario: Scenario, patients: Patients, outcomes: Outcomes, silence: Floats
) -> dict[str, Floats]:
    """Return who was sent the second questionnaire and who returned it, as flags.

    Parameters
    ----------
    scenario : Scenario
        Gives the seed and what not answering depends on.
    patients : Patients
        A patient per episode.
    outcomes : Outcomes
        What would be answered.
    silence : ndarray of shape (n_episodes,)
        What the episode's provider adds to the log-odds of not answering.
    """
    asked = scenario.follow_up
    draws = stream(scenario.seed, "follow_up").random((2, len(silence)))
    log_odds = (
        silence
        - asked.by_baseline * patients.health
        - asked.by_age * patients.age
        + asked.by_depression * patients.seen["comorb_depression"]
        - asked.by_outcome * outcomes.health
    )
    share = (asked.missing - asked.unsent) / (1 - asked.unsent)
    silent = draws[1] < _logistic(log_odds + _intercept(log_odds, share))
    sent = draws[0] >= asked.unsent
    return {"q2_sent": sent.astype(float), "q2_returned": (sent & ~silent).astype(float)}


def draw_calendar(scenario: Scenario) -> dict[str, np.ndarray]:
    """Return the period and the dates of every episode, as if everybody answered."""
    rng = stream(scenario.seed, "calendar")
    periods = np.repeat(np.array(scenario.periods, dtype=object), scenario.episodes_per_period)
    starts = np.array([_first_day(one) for one in scenario.periods])
    first = np.repeat(starts, scenario.episodes_per_period)
    count = scenario.episodes
    index = first + rng.integers(0, 365, count).astype("timedelta64[D]")
    lead = rng.integers(FIRST_LEAD_DAYS, LATEST_LEAD_DAYS + 1, count)
    later = np.floor(rng.gamma(ANSWER_SHAPE, ANSWER_SCALE, count))
    is_spine = scenario.procedure_group in SPINE
    usual = EARLIEST_SPINE_DAYS if is_spine else EARLIEST_ANSWER_DAYS
    asked = scenario.programme and scenario.programme.asked_after_days
    earliest = asked or usual
    days = np.minimum(earliest + later, LATEST_ANSWER_DAYS)
    return {
        "period": periods,
        "index_date": index,
        "q1_date": index - lead.astype("timedelta64[D]"),
        "q2_date": index + days.astype("timedelta64[D]"),
        "q2_days": days,
    }


def hide_unreturned(columns: dict[str, np.ndarray], returned: Floats) -> dict[str, np.ndarray]:
    """Return the columns with what only the second questionnaire tells hidden where it is not."""
    return {
        name: values if name in ALWAYS_KNOWN else _blank(values, returned == 0)
        for name, values in columns.items()
    }


def leave_gaps(scenario: Scenario, columns: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the columns with answers left blank by chance, as the scenario asks."""
    rng = stream(scenario.seed, "gaps")
    shares = _gap_shares(scenario)
    # What is asked besides comes last, so that it leaves the other gaps where they are.
    in_turn = sorted((name for name in columns if name in shares), key=_asked_besides)
    blanks = {name: rng.random(len(columns[name])) < shares[name] for name in in_turn}
    return {
        name: _blank(values, blanks[name]) if name in blanks else values
        for name, values in columns.items()
    }


def _asked_besides(name: str) -> int:
    return 2 * ("_jr_" in name) + ("5d5l" in name)


def _gap_shares(scenario: Scenario) -> dict[str, float]:
    gaps = scenario.gaps
    asked = QUESTIONNAIRES[scenario.procedure_group]
    shares = dict.fromkeys(MAY_BE_BLANK, gaps.casemix)
    for one in (asked.before, asked.after):
        for instrument in one.with_items:
            shares |= dict.fromkeys(item_names(one.prefix, instrument), gaps.items)
        pains = [f"{one.prefix}_score_{pain.instrument.measure}" for pain in one.pains]
        shares |= dict.fromkeys(pains, gaps.items)
        shares[f"{one.prefix}_score_eqvas"] = gaps.eqvas
    return shares


def _blank(values: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Return the values with null where asked, of the kind that belongs to them."""
    if np.issubdtype(values.dtype, np.datetime64):
        return np.where(where, np.datetime64("NaT", "D"), values)
    if np.issubdtype(values.dtype, np.floating):
        return np.where(where, np.nan, values)
    return np.asarray(pd.Series(values, dtype="str").mask(where))


def _first_day(period: str) -> np.datetime64:
    """Return the first day of a calendar year (2021) or of a year from April (2021/22)."""
    return np.datetime64(f"{period[:4]}-04-01" if "/" in period else f"{period}-01-01")


def _logistic(log_odds: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-log_odds)))


def _intercept(log_odds: Floats, share: float) -> float:
    """Return what to add to the log-odds so that the mean probability is the share."""
    low, high = -60.0, 60.0
    for _ in range(60):
        middle = (low + high) / 2
        too_many = _logistic(log_odds + middle).mean() > share
        low, high = (low, middle) if too_many else (middle, high)
    return high if share >= 1 else low
