"""The law of the world: how health after the operation comes from the patient and the provider."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from riskadj.simulate.latent import Floats, flag, grade, mix
from riskadj.simulate.patients import Patients
from riskadj.simulate.populations import ProcedureGroup
from riskadj.simulate.questionnaires import (
    QUESTIONNAIRES,
    Questionnaires,
    answer_round,
    answer_versions,
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

LAW: dict[ProcedureGroup, tuple[float, float]] = {
    "HIP_PRIM": (-0.575, 0.518),
    "KNEE_PRIM": (-0.632, 0.534),
    "LUMBAR_DISC": (-0.476, 0.509),
    "LUMBAR_STENOSIS": (-0.603, 0.540),
    "LUMBAR_FUSION": (-0.617, 0.528),
    "CERVICAL_RADICULOPATHY_ANTERIOR": (-0.493, 0.509),
    "LOW_BACK_PAIN": (-0.579, 0.529),
}
"""Mean and SD of the terms above over their population, counted in a large world: health after
is centred with the one, and what chance adds fills the other up to a variance of 1."""


@dataclass(frozen=True)
class Judgement:
    """How patients see the result, and what goes wrong.

    Attributes
    ----------
    anchor, satisfaction : tuple of float
        Shares of grades, best first.
    events : mapping of str to float
        Share with each event; one that is not there is not asked about.
    """

    anchor: tuple[float, ...]
    satisfaction: tuple[float, ...]
    events: Mapping[str, float]


_SPINE_EVENTS = {
    "complication_bleeding": 0.015, "complication_wound": 0.045, "complication_urine": 0.045,
}  # fmt: skip
_SPINE_SATISFACTION = (0.420, 0.270, 0.150, 0.100, 0.060)

# Hip and knee: NHS England's record files, hip 2018/19 and knee 2016/17. Spine: chosen to be
# plausible.
JUDGEMENTS: dict[ProcedureGroup, Judgement] = {
    "HIP_PRIM": Judgement(
        (0.876, 0.080, 0.023, 0.012, 0.009),
        (0.454, 0.338, 0.145, 0.049, 0.014),
        {
            "complication_allergy": 0.102, "complication_bleeding": 0.036,
            "complication_wound": 0.078, "complication_urine": 0.125, "readmitted": 0.059,
        },
    ),
    "KNEE_PRIM": Judgement(
        (0.744, 0.157, 0.043, 0.034, 0.022),
        (0.266, 0.364, 0.236, 0.105, 0.030),
        {
            "complication_allergy": 0.123, "complication_bleeding": 0.069,
            "complication_wound": 0.116, "complication_urine": 0.119, "readmitted": 0.080,
        },
    ),
    "LUMBAR_DISC": Judgement(
        (0.570, 0.230, 0.100, 0.060, 0.040), _SPINE_SATISFACTION,
        {**_SPINE_EVENTS, "readmitted": 0.055},
    ),
    "LUMBAR_STENOSIS": Judgement(
        (0.430, 0.270, 0.140, 0.100, 0.060), _SPINE_SATISFACTION,
        {**_SPINE_EVENTS, "readmitted": 0.065},
    ),
    "LUMBAR_FUSION": Judgement(
        (0.460, 0.260, 0.130, 0.090, 0.060), _SPINE_SATISFACTION,
        {**_SPINE_EVENTS, "readmitted": 0.075},
    ),
    "CERVICAL_RADICULOPATHY_ANTERIOR": Judgement(
        (0.540, 0.240, 0.110, 0.070, 0.040), _SPINE_SATISFACTION,
        {**_SPINE_EVENTS, "readmitted": 0.040},
    ),
    "LOW_BACK_PAIN": Judgement(
        (0.240, 0.300, 0.280, 0.120, 0.060), (0.220, 0.330, 0.260, 0.130, 0.060),
        {"readmitted": 0.010},
    ),
}  # fmt: skip
"""By procedure group."""


@dataclass(frozen=True)
class Outcomes:
    """What comes of the operation, seen or not; arrays of shape (n_episodes,).

    Attributes
    ----------
    health : ndarray
        After; not seen; about standard normal, more is better.
    expected : ndarray
        Mean of the main score after, given everything that the patient brings, at the average
        provider.
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
        True effect of the episode's provider, points of the main score on the latent scale.
    """
    asked = QUESTIONNAIRES[scenario.procedure_group]
    unit = points_per_unit(asked.after)
    mean, explained = LAW[scenario.procedure_group]
    centre = _sum_terms(patients) - mean + _drift(scenario) / unit
    at_provider = centre + effect / unit
    spread = float(np.sqrt(1 - explained**2))
    rng = stream(scenario.seed, "after")
    health = at_provider + spread * rng.standard_normal(len(centre))
    answers = _draw_answers(rng, scenario.procedure_group, asked, patients, health)
    return Outcomes(
        health=health,
        expected=expected_score(asked.after, centre, spread),
        at_provider=expected_score(asked.after, at_provider, spread),
        answers=answer_versions(scenario, asked.after, health, patients.distress, answers),
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
    procedure_group: ProcedureGroup,
    asked: Questionnaires,
    patients: Patients,
    health: Floats,
) -> dict[str, Floats]:
    answers = answer_round(rng, asked.after, health, patients.frailty, patients.distress)
    judged = JUDGEMENTS[procedure_group]
    answers |= _judge_result(rng, judged, patients, health)
    return answers | {
        name: flag(mix(rng.standard_normal(len(health)), (-0.25, health)), share)
        for name, share in judged.events.items()
    }


def _judge_result(
    rng: np.random.Generator, judged: Judgement, patients: Patients, health: Floats
) -> dict[str, Floats]:
    """Return change and satisfaction as patients see them: more by the end than by the way."""
    noise = rng.standard_normal((2, len(health)))
    change = 0.85 * health - 0.25 * patients.health + 0.55 * noise[0]
    content = 0.85 * health - 0.10 * patients.health + 0.55 * noise[1]
    return {
        "anchor_change": grade(-change, judged.anchor),
        "satisfaction": grade(-content, judged.satisfaction),
    }
