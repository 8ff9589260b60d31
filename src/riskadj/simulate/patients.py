"""The patients: who they are before the operation, and what of it is written down."""

from dataclasses import dataclass, replace

import numpy as np
from scipy.special import ndtri

from riskadj.episodes.columns import COMORBIDITIES
from riskadj.simulate.latent import Floats, flag, grade, mix
from riskadj.simulate.populations import POPULATIONS, Population
from riskadj.simulate.scenario import Scenario
from riskadj.simulate.streams import stream

AGE_RANGE = (25, 99)
"""Years."""

BMI_CENTRE, BMI_SPREAD, BMI_RANGE = 28.3, 0.165, (15.0, 60.0)
"""Median in kg/m2, SD of the logarithm, limits. Chosen to be plausible."""

# comorbidity: loadings on frailty, age and distress. Chosen so that those affected differ in their
# score before by about as much as in NHS England's record files, hip 2018/19 and knee 2016/17.
COMORBIDITY_LOADS: dict[str, tuple[float, float, float]] = {
    "heart": (0.25, 0.30, 0.00),
    "high_bp": (0.20, 0.25, 0.00),
    "stroke": (0.30, 0.20, 0.00),
    "circulation": (0.45, 0.10, 0.00),
    "lung": (0.25, 0.05, 0.05),
    "diabetes": (0.27, 0.05, 0.00),
    "kidney": (0.22, 0.25, 0.00),
    "nervous": (0.28, 0.05, 0.10),
    "liver": (0.22, -0.05, 0.10),
    "cancer": (0.05, 0.20, 0.00),
    "depression": (0.25, -0.15, 0.55),
    "arthritis": (0.25, 0.05, 0.05),
}

# flag: loadings on frailty, age and distress.
FLAG_LOADS: dict[str, tuple[float, float, float]] = {
    "smoker": (0.20, -0.25, 0.10),
    "previous_surgery": (0.00, 0.00, 0.00),
    "alone": (0.00, 0.25, 0.00),
    "care_home": (0.45, 0.35, 0.00),
    "elsewhere": (0.10, -0.10, 0.10),
}

LIVING_SHARES = {"alone": 0.250, "care_home": 0.0015, "elsewhere": 0.004}
"""In NHS England's record files, hip 2018/19."""

EDUCATION = ("primary", "secondary", "university")
EDUCATION_SHARES = (0.25, 0.42, 0.33)
"""Asked of spine patients, as their registries do. Chosen to be plausible."""

# flag: share; loading on health before.
HEALTH_FLAG_TABLE: dict[str, tuple[float, float]] = {
    "disability": (0.520, -0.46),
    "assisted_q1": (0.150, -0.30),
}

FRAILTY_LOAD, DISTRESS_LOAD, FEMALE_LOAD = -0.42, -0.20, -0.13
"""Loadings of health before. Chosen so that depression, circulation and sex differ in the Oxford
score before by about as much as in NHS England's hip file 2018/19."""

DELAY_LOAD = -0.50
"""Loading of health before on the provider's severity, beyond frailty: who treats frailer patients
operates on worse joints too. Chosen so that at a `severity_sd` of 0.25 mean Oxford scores before
differ between providers by about as much (SD 1.9) as in NHS England's hip file 2018/19."""


@dataclass(frozen=True)
class Patients:
    """Everything that patients bring, seen or not; arrays of shape (n_episodes,).

    Attributes
    ----------
    frailty, distress, health : ndarray
        Not seen; about standard normal. More frailty and distress are worse, more health in the
        joint is better.
    age : ndarray
        Years, as a standard normal variable.
    seen : dict of str to ndarray
        What is true of them and can be written down, by column; `female` besides, as a flag.
    margins : dict of str to ndarray
        By comorbidity, how far its latent variable is past the point from which the patient has
        it, in SD; what is recorded at providers that code otherwise hangs on it.
    """

    frailty: Floats
    distress: Floats
    health: Floats
    age: Floats
    seen: dict[str, np.ndarray]
    margins: dict[str, Floats]


def draw_patients(scenario: Scenario, severity: Floats, chosen: Floats) -> Patients:
    """Return a patient per episode.

    Parameters
    ----------
    scenario : Scenario
        Gives the seed, the procedure and how much providers differ in severity.
    severity : ndarray of shape (n_episodes,)
        Mean frailty of the patients of the episode's provider, in SD of patients.
    chosen : ndarray of shape (n_episodes,)
        For how many periods the episode's provider has been choosing its patients.
    """
    rng = stream(scenario.seed, "patients")
    count = len(severity)
    own, age, distress = rng.standard_normal((3, count))
    population = POPULATIONS[scenario.procedure_group]
    female = flag(rng.standard_normal(count), population.female)
    between = scenario.providers.severity_sd
    within = np.sqrt(1 - between**2)
    choice = scenario.selection
    avoided = choice.by_frailty * chosen if choice else np.zeros(count)
    frailty = severity + within * own - avoided
    health = -FRAILTY_LOAD * avoided + mix(
        rng.standard_normal(count),
        (FRAILTY_LOAD * within, own),
        ((FRAILTY_LOAD + DELAY_LOAD) * between, severity / between if between else severity),
        (DISTRESS_LOAD, distress),
        (FEMALE_LOAD, _standardise(female, population.female)),
    )
    patients = Patients(frailty, distress, health, age, {"female": female}, {})
    wealthier = choice.by_wealth * chosen if choice else np.zeros(count)
    person = _describe_person(rng, patients, population, wealthier)
    margins = _draw_conditions(rng, patients, population)
    seen = {
        **patients.seen,
        **person,
        **_name_conditions(margins),
        **_describe_burden(rng, patients, population),
    }
    if not population.sided:
        seen |= {"education": _draw_education(scenario, seen)}
        del seen["laterality"]
    return replace(patients, seen=seen, margins=margins)


def record_conditions(patients: Patients, coding: Floats) -> dict[str, Floats]:
    """Return the comorbidities that are on record, by column.

    Parameters
    ----------
    patients : Patients
        A patient per episode.
    coding : ndarray of shape (n_episodes,)
        Coding intensity of the episode's provider, in SD of the latent variables: 0 records those
        that there are, more records milder ones too, less only the more severe ones.
    """
    return _name_conditions({name: one + coding for name, one in patients.margins.items()})


def _name_conditions(margins: dict[str, Floats]) -> dict[str, Floats]:
    ticked = {f"comorb_{name}": (one > 0).astype(float) for name, one in margins.items()}
    anything = np.any(list(ticked.values()), axis=0).astype(float)
    return {**ticked, "comorb_block_answered": anything}


def _standardise(flags: Floats, share: float) -> Floats:
    return np.asarray((flags - share) / np.sqrt(share * (1 - share)))


def _draw_education(scenario: Scenario, seen: dict[str, np.ndarray]) -> np.ndarray:
    noise = stream(scenario.seed, "education").standard_normal(len(seen["female"]))
    wealth = (seen["deprivation_decile"] - 5.5) / np.sqrt(8.25)
    grades = grade(mix(noise, (0.35, wealth)), EDUCATION_SHARES, lowest=0)
    return np.take(np.array(EDUCATION, dtype=object), grades.astype(int))


def _describe_person(
    rng: np.random.Generator, patients: Patients, population: Population, wealthier: Floats
) -> dict[str, np.ndarray]:
    noise = rng.standard_normal((3, len(patients.age)))
    centre, spread = population.age
    years = np.floor(np.clip(centre + spread * patients.age, *AGE_RANGE))
    build = mix(noise[0], (0.20, patients.frailty), (-0.15, patients.age))
    wealth = wealthier + mix(noise[1], (-0.30, patients.frailty), (-0.10, patients.distress))
    shares = {
        "smoker": population.smoker,
        "previous_surgery": population.previous_surgery,
        **LIVING_SHARES,
    }
    flags = {
        name: flag(_load(rng, patients, *loads), shares[name]) for name, loads in FLAG_LOADS.items()
    }
    return {
        "age_years": years,
        "age_band_10y": np.floor(years / 10) * 10,
        "sex": np.where(patients.seen["female"] == 1, "female", "male"),
        "laterality": np.where(noise[2] > 0.08, "L", np.where(noise[2] < -2.4, "B", "R")),
        "bmi": np.round(np.clip(BMI_CENTRE * np.exp(BMI_SPREAD * build), *BMI_RANGE), 1),
        "deprivation_decile": grade(wealth, [0.1] * 10),
        "smoker": flags["smoker"],
        "previous_surgery": flags["previous_surgery"],
        "living_arrangements": np.select(
            [flags["care_home"] == 1, flags["elsewhere"] == 1, flags["alone"] == 1],
            ["care_home", "other", "alone"],
            default="with_family",
        ),
    }


def _draw_conditions(
    rng: np.random.Generator, patients: Patients, population: Population
) -> dict[str, Floats]:
    return {
        name: _load(rng, patients, *COMORBIDITY_LOADS[name])
        - ndtri(1 - population.conditions[name])
        for name in COMORBIDITIES
    }


def _describe_burden(
    rng: np.random.Generator, patients: Patients, population: Population
) -> dict[str, np.ndarray]:
    noise = rng.standard_normal((3, len(patients.age)))
    flags = {
        name: flag(mix(rng.standard_normal(len(patients.age)), (load, patients.health)), share)
        for name, (share, load) in HEALTH_FLAG_TABLE.items()
    }
    illness = mix(noise[0], (0.55, patients.frailty), (0.35, patients.age))
    feeling = mix(noise[1], (0.60, patients.frailty), (0.35, patients.distress))
    return {
        **flags,
        "asa": grade(illness, population.asa),
        "general_health_q1": grade(feeling, population.general_health),
        "symptom_period": grade(noise[2], population.symptom_period),
    }


def _load(
    rng: np.random.Generator,
    patients: Patients,
    frailty_load: float,
    age_load: float,
    distress_load: float,
) -> Floats:
    return mix(
        rng.standard_normal(len(patients.age)),
        (frailty_load, patients.frailty),
        (age_load, patients.age),
        (distress_load, patients.distress),
    )
