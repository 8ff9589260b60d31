"""The patients: who they are before the operation, and what of it is written down."""

from dataclasses import dataclass, replace

import numpy as np

from riskadj.episodes.columns import COMORBIDITIES
from riskadj.simulate.latent import Floats, flag, grade, mix
from riskadj.simulate.scenario import Scenario
from riskadj.simulate.streams import stream

AGE_CENTRE, AGE_SPREAD, AGE_RANGE = 69.7, 9.2, (25, 99)
"""Years. Chosen so that the ten-year bands are near those of NHS England's hip file 2018/19."""

BMI_CENTRE, BMI_SPREAD, BMI_RANGE = 28.3, 0.165, (15.0, 60.0)
"""Median in kg/m2, SD of the logarithm, limits. Chosen to be plausible."""

FEMALE = {"HIP_PRIM": 0.611, "KNEE_PRIM": 0.581}

SYMPTOM_PERIOD = {
    "HIP_PRIM": (0.114, 0.704, 0.120, 0.062),
    "KNEE_PRIM": (0.046, 0.520, 0.223, 0.211),
}

# comorbidity: share of hip patients, of knee patients; loadings on frailty, age and distress.
# The shares are those of NHS England's record files, hip 2018/19 and knee 2016/17. The loadings
# are chosen so that those affected differ in their score before by about as much as there.
COMORBIDITY_TABLE: dict[str, tuple[float, float, float, float, float]] = {
    "heart": (0.083, 0.096, 0.25, 0.30, 0.00),
    "high_bp": (0.378, 0.447, 0.20, 0.25, 0.00),
    "stroke": (0.013, 0.016, 0.30, 0.20, 0.00),
    "circulation": (0.046, 0.060, 0.45, 0.10, 0.00),
    "lung": (0.083, 0.094, 0.25, 0.05, 0.05),
    "diabetes": (0.093, 0.130, 0.27, 0.05, 0.00),
    "kidney": (0.021, 0.020, 0.22, 0.25, 0.00),
    "nervous": (0.009, 0.010, 0.28, 0.05, 0.10),
    "liver": (0.006, 0.005, 0.22, -0.05, 0.10),
    "cancer": (0.056, 0.054, 0.05, 0.20, 0.00),
    "depression": (0.085, 0.090, 0.25, -0.15, 0.55),
    "arthritis": (0.732, 0.772, 0.25, 0.05, 0.05),
}

# flag: share; loadings on frailty, age and distress. Shares as above, but for smoking, which is
# chosen to be plausible.
FLAG_TABLE: dict[str, tuple[float, float, float, float]] = {
    "smoker": (0.090, 0.20, -0.25, 0.10),
    "previous_surgery": (0.041, 0.00, 0.00, 0.00),
    "alone": (0.250, 0.00, 0.25, 0.00),
    "care_home": (0.0015, 0.45, 0.35, 0.00),
    "elsewhere": (0.004, 0.10, -0.10, 0.10),
}

# flag: share; loading on health before.
HEALTH_FLAG_TABLE: dict[str, tuple[float, float]] = {
    "disability": (0.520, -0.46),
    "assisted_q1": (0.150, -0.30),
}

ASA = (0.120, 0.680, 0.194, 0.005, 0.001)
GENERAL_HEALTH = (0.060, 0.330, 0.410, 0.160, 0.040)
"""Shares of grades, best first. Chosen to be plausible."""

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
        What is written down, by column; `female` besides, as a flag.
    """

    frailty: Floats
    distress: Floats
    health: Floats
    age: Floats
    seen: dict[str, np.ndarray]


def draw_patients(scenario: Scenario, severity: Floats) -> Patients:
    """Return a patient per episode.

    Parameters
    ----------
    scenario : Scenario
        Gives the seed, the procedure and how much providers differ in severity.
    severity : ndarray of shape (n_episodes,)
        Mean frailty of the patients of the episode's provider, in SD of patients.
    """
    rng = stream(scenario.seed, "patients")
    count = len(severity)
    own, age, distress = rng.standard_normal((3, count))
    female = flag(rng.standard_normal(count), FEMALE[scenario.procedure_group])
    between = scenario.providers.severity_sd
    within = np.sqrt(1 - between**2)
    frailty = severity + within * own
    health = mix(
        rng.standard_normal(count),
        (FRAILTY_LOAD * within, own),
        ((FRAILTY_LOAD + DELAY_LOAD) * between, severity / between if between else severity),
        (DISTRESS_LOAD, distress),
        (FEMALE_LOAD, _standardise(female, FEMALE[scenario.procedure_group])),
    )
    patients = Patients(frailty, distress, health, age, {"female": female})
    seen = {
        **patients.seen,
        **_describe_person(rng, patients),
        **_describe_illness(rng, patients, scenario.procedure_group),
        **_describe_burden(rng, patients, scenario.procedure_group),
    }
    return replace(patients, seen=seen)


def _standardise(flags: Floats, share: float) -> Floats:
    return np.asarray((flags - share) / np.sqrt(share * (1 - share)))


def _describe_person(rng: np.random.Generator, patients: Patients) -> dict[str, np.ndarray]:
    noise = rng.standard_normal((3, len(patients.age)))
    years = np.floor(np.clip(AGE_CENTRE + AGE_SPREAD * patients.age, *AGE_RANGE))
    build = mix(noise[0], (0.20, patients.frailty), (-0.15, patients.age))
    wealth = mix(noise[1], (-0.30, patients.frailty), (-0.10, patients.distress))
    flags = {name: _draw_flag(rng, patients, *row) for name, row in FLAG_TABLE.items()}
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


def _describe_illness(
    rng: np.random.Generator, patients: Patients, procedure_group: str
) -> dict[str, np.ndarray]:
    is_knee = procedure_group == "KNEE_PRIM"
    ticked = {
        f"comorb_{name}": _draw_flag(rng, patients, knee if is_knee else hip, *loads)
        for name in COMORBIDITIES
        for hip, knee, *loads in [COMORBIDITY_TABLE[name]]
    }
    anything = np.any(list(ticked.values()), axis=0).astype(float)
    return {**ticked, "comorb_block_answered": anything}


def _describe_burden(
    rng: np.random.Generator, patients: Patients, procedure_group: str
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
        "asa": grade(illness, ASA),
        "general_health_q1": grade(feeling, GENERAL_HEALTH),
        "symptom_period": grade(noise[2], SYMPTOM_PERIOD[procedure_group]),
    }


def _draw_flag(
    rng: np.random.Generator,
    patients: Patients,
    share: float,
    frailty_load: float,
    age_load: float,
    distress_load: float,
) -> Floats:
    latent = mix(
        rng.standard_normal(len(patients.age)),
        (frailty_load, patients.frailty),
        (age_load, patients.age),
        (distress_load, patients.distress),
    )
    return flag(latent, share)
