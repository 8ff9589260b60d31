"""The law of the world: how health after the operation comes from the patient and the provider."""

from dataclasses import dataclass

import numpy as np

from riskadj.simulate.latent import Floats, flag, grade, mix
from riskadj.simulate.patients import Patients
from riskadj.simulate.questionnaires import (
    QUESTIONNAIRES,
    Questionnaires,
    answer_round,
    expected_score,
    points_per_unit,
)
from riskadj.simulate.scenario import Scenario
from riskadj.simulate.streams import stream

# Effects on health after, in SD of patients: what a linear model can learn. Chosen so that
# baseline and comorbidities explain about as much of the score after as in NHS England's files.
STRAIGHT: dict[str, float] = {
    "health": 0.30,
    "frailty": -0.14,
    "distress": -0.12,
    "female": -0.08,
    "comorb_depression": -0.10,
    "comorb_circulation": -0.40,
    "comorb_stroke": -0.20,
    "comorb_diabetes": -0.10,
    "comorb_lung": -0.10,
    "previous_surgery": -0.15,
    "symptom_period": -0.09,
    "smoker": -0.10,
}

# Effects of conditions that hold together, and of going beyond a bound: what a linear model
# misses. Chosen so that a model that can bend and combine explains modestly more.
BENT: dict[str, float] = {
    "decades_over_75": -0.35,
    "bmi_tens_over_32": -0.50,
    "health_over_average": -0.20,
    "depressed_and_worse_than_average": -0.40,
    "alone_and_over_75": -0.40,
    "diabetic_and_bmi_over_32": -0.45,
    "deprived_and_under_65": -0.35,
}

LAW: dict[str, tuple[float, float]] = {
    "HIP_PRIM": (-0.575, 0.518),
    "KNEE_PRIM": (-0.632, 0.534),
}
"""Mean and SD of the terms above over their population, counted in a large world: health after
is centred with the one, and what chance adds fills the other up to a variance of 1."""

ANCHOR = {
    "HIP_PRIM": (0.876, 0.080, 0.023, 0.012, 0.009),
    "KNEE_PRIM": (0.744, 0.157, 0.043, 0.034, 0.022),
}
SATISFACTION = {
    "HIP_PRIM": (0.454, 0.338, 0.145, 0.049, 0.014),
    "KNEE_PRIM": (0.266, 0.364, 0.236, 0.105, 0.030),
}
"""Shares of grades, best first, in NHS England's record files, hip 2018/19 and knee 2016/17."""

# event: share of hip patients, of knee patients. Shares as above.
EVENT_TABLE: dict[str, tuple[float, float]] = {
    "complication_allergy": (0.102, 0.123),
    "complication_bleeding": (0.036, 0.069),
    "complication_wound": (0.078, 0.116),
    "complication_urine": (0.125, 0.119),
    "readmitted": (0.059, 0.080),
}


@dataclass(frozen=True)
class Outcomes:
    """What comes of the operation, seen or not; arrays of shape (n_episodes,).

    Attributes
    ----------
    health : ndarray
        After; not seen; about standard normal, more is better.
    expected : ndarray
        Mean Oxford score after, given everything that the patient brings, at the average provider.
    at_provider : ndarray
        The same at the provider that treated them.
    answers : dict of str to ndarray
        What everybody would answer to the second questionnaire, and readmission, by column.
    """

    health: Floats
    expected: Floats
    at_provider: Floats
    answers: dict[str, Floats]


def draw_outcomes(scenario: Scenario, patients: Patients, effect: Floats) -> Outcomes:
    """Return what comes of every episode.

    Parameters
    ----------
    scenario : Scenario
        Gives the seed, the procedure and the drift.
    patients : Patients
        A patient per episode.
    effect : ndarray of shape (n_episodes,)
        True effect of the episode's provider, Oxford points on the latent scale.
    """
    asked = QUESTIONNAIRES[scenario.procedure_group]
    unit = points_per_unit(asked.after)
    mean, explained = LAW[scenario.procedure_group]
    centre = _sum_terms(patients) - mean + _drift(scenario) / unit
    at_provider = centre + effect / unit
    spread = float(np.sqrt(1 - explained**2))
    rng = stream(scenario.seed, "after")
    health = at_provider + spread * rng.standard_normal(len(centre))
    return Outcomes(
        health=health,
        expected=expected_score(asked.after, centre, spread),
        at_provider=expected_score(asked.after, at_provider, spread),
        answers=_draw_answers(rng, scenario.procedure_group, asked, patients, health),
    )


def _sum_terms(patients: Patients) -> Floats:
    """Return what patients bring to their health after, not centred."""
    straight = _straight_terms(patients)
    bent = _bent_terms(patients)
    total = np.zeros(len(patients.health))
    for table, terms in ((STRAIGHT, straight), (BENT, bent)):
        for name, weight in table.items():
            total += weight * terms[name]
    return total


def _straight_terms(patients: Patients) -> dict[str, Floats]:
    hidden = {
        "health": patients.health,
        "frailty": patients.frailty,
        "distress": patients.distress,
    }
    return patients.seen | hidden


def _bent_terms(patients: Patients) -> dict[str, Floats]:
    seen = patients.seen
    age, bmi = seen["age_years"], seen["bmi"]
    return {
        "decades_over_75": np.maximum(age - 75, 0) / 10,
        "bmi_tens_over_32": np.maximum(bmi - 32, 0) / 10,
        "health_over_average": np.maximum(patients.health, 0),
        "depressed_and_worse_than_average": seen["comorb_depression"] * (patients.health < 0),
        "alone_and_over_75": (seen["living_arrangements"] == "alone") * (age > 75.0),
        "diabetic_and_bmi_over_32": seen["comorb_diabetes"] * (bmi > 32),
        "deprived_and_under_65": (seen["deprivation_decile"] <= 3) * (age < 65.0),
    }


def _drift(scenario: Scenario) -> Floats:
    """Return by how many points each episode is past the first period."""
    number = np.repeat(np.arange(len(scenario.periods)), scenario.episodes_per_period)
    return np.asarray(scenario.drift * number, dtype=float)


def _draw_answers(
    rng: np.random.Generator,
    procedure_group: str,
    asked: Questionnaires,
    patients: Patients,
    health: Floats,
) -> dict[str, Floats]:
    answers = answer_round(
        rng, asked.after, asked.instrument, health, patients.frailty, patients.distress
    )
    answers |= _judge_result(rng, procedure_group, patients, health)
    return answers | _draw_events(rng, procedure_group, health)


def _judge_result(
    rng: np.random.Generator, procedure_group: str, patients: Patients, health: Floats
) -> dict[str, Floats]:
    """Return change and satisfaction as patients see them: more by the end than by the way."""
    noise = rng.standard_normal((2, len(health)))
    change = 0.85 * health - 0.25 * patients.health + 0.55 * noise[0]
    content = 0.85 * health - 0.10 * patients.health + 0.55 * noise[1]
    return {
        "anchor_change": grade(-change, ANCHOR[procedure_group]),
        "satisfaction": grade(-content, SATISFACTION[procedure_group]),
    }


def _draw_events(
    rng: np.random.Generator, procedure_group: str, health: Floats
) -> dict[str, Floats]:
    is_knee = procedure_group == "KNEE_PRIM"
    return {
        name: flag(mix(rng.standard_normal(len(health)), (-0.25, health)), knee if is_knee else hip)
        for name, (hip, knee) in EVENT_TABLE.items()
    }
