"""The law of cost: what a line costs, how often care is needed, and when.

A line's amount is lognormal about a median, times what the patient's burden and, for all care of
the episode but what has nothing to do with the procedure, its provider's effect add on the log
scale. How often care is needed hangs on the patient alone, but for readmissions where the programme
has providers differ in them. So at the average provider the mean cost of every episode is known.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import ndtr, ndtri

from riskadj.simulate.claim_course import Course, rules_of
from riskadj.simulate.claim_lines import Lines, Whole
from riskadj.simulate.claim_tables import BUNDLES, COSTLY, WINDOWS, Amount, Bundle
from riskadj.simulate.latent import Floats
from riskadj.simulate.patients import Patients
from riskadj.simulate.scenario import Claims, Scenario
from riskadj.simulate.streams import stream

FRAIL_COST, AGED_COST, ASA_COST, BMI_COST = 0.03, 0.02, 0.05, 0.06
"""What an SD of frailty and of age, a grade of ASA, and 5 kg/m2 beyond 32 add to the log of every
amount."""


@dataclass(frozen=True)
class Setup:
    """What every kind of care is drawn from."""

    scenario: Scenario
    rules: Claims
    bundle: Bundle
    patients: Patients
    provider: Whole
    community: Whole
    course: Course
    burden: Floats
    effect: Floats
    readmitting: Floats
    hospitals: int

    @property
    def count(self) -> int:
        """Episodes."""
        return len(self.provider)

    @property
    def length(self) -> Whole:
        """Nights of the index stay."""
        return (self.course.discharged - self.course.admitted).astype(np.int64)


@dataclass(frozen=True)
class Kind:
    """Lines of one kind of care, their mean by episode at the average provider, and when.

    `here` is the mean at the provider that treats, before its effect on amounts; None: the same.
    """

    lines: Lines
    mean: Floats
    timing: tuple[float, ...]
    moved: bool = True
    here: Floats | None = None


def set_up(
    scenario: Scenario, patients: Patients, course: Course, providers: pd.DataFrame, place: Whole
) -> Setup:
    """Return what every kind of care is drawn from, each patient with a practice of its own."""
    rng = stream(scenario.seed, "practices")
    hospitals = scenario.providers.number
    practices = hospitals + rng.integers(0, number_of_practices(hospitals), len(place))
    return Setup(
        scenario=scenario,
        rules=rules_of(scenario),
        bundle=BUNDLES[scenario.procedure_group],
        patients=patients,
        provider=place,
        community=practices,
        course=course,
        burden=_burden(patients),
        effect=providers["cost_effect"].to_numpy()[place],
        readmitting=providers["readmission_effect"].to_numpy()[place],
        hospitals=hospitals,
    )


def number_of_practices(hospitals: int) -> int:
    """Return how many practices there are beside the hospitals."""
    return max(10, hospitals // 2)


def _burden(patients: Patients) -> Floats:
    """Return what the patient adds to the log of every amount."""
    seen = patients.seen
    total = FRAIL_COST * patients.frailty + AGED_COST * patients.age
    total = total + ASA_COST * (seen["asa"] - 2) + BMI_COST * np.maximum(seen["bmi"] - 32, 0) / 5
    for name, weight in COSTLY.items():
        total = total + weight * seen[f"comorb_{name}"]
    return np.asarray(total)


def price_lines(
    setup: Setup, rng: np.random.Generator, amount: Amount, patient: Whole, *, moved: bool = True
) -> Whole:
    """Return amounts of lines in hundredths of the currency."""
    logs = setup.burden[patient] + amount.spread * rng.standard_normal(len(patient))
    if moved:
        logs = logs + setup.effect[patient]
    cents = 100 * setup.rules.price_level * amount.median * np.exp(logs)
    return np.maximum(np.rint(cents), 1).astype(np.int64)


def mean_amount(setup: Setup, amount: Amount) -> Floats:
    """Return the mean amount of a line of each patient at the average provider."""
    centre = setup.rules.price_level * amount.median * np.exp(amount.spread**2 / 2)
    return np.asarray(centre * np.exp(setup.burden))


def draw_days(rng: np.random.Generator, timing: tuple[float, ...], count: int) -> Whole:
    """Return days after discharge."""
    edges = np.array([0, *WINDOWS])
    piece = np.searchsorted(np.cumsum(timing)[:-1], rng.random(count), side="right")
    width = np.diff(edges)[piece]
    return edges[piece] + 1 + np.floor(rng.random(count) * width).astype(np.int64)


def chance_of(
    setup: Setup, share: float, frail: float, aged: float, effect: Floats | float = 0.0
) -> Floats:
    """Return each patient's chance of what a share of patients has at the average provider."""
    latent = frail * setup.patients.frailty + aged * setup.patients.age + effect
    left = np.sqrt(1 - frail**2 - aged**2)
    return np.asarray(ndtr((latent - ndtri(1 - share)) / left))
