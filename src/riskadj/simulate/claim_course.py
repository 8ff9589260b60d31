"""What befalls patients, and when: stay, transfer, death, and how long they are insured."""

from dataclasses import dataclass

import numpy as np

from riskadj.errors import StudyError
from riskadj.simulate.claim_lines import Days
from riskadj.simulate.claim_tables import BUNDLES
from riskadj.simulate.latent import flag, mix
from riskadj.simulate.patients import Patients
from riskadj.simulate.scenario import Claims, Scenario
from riskadj.simulate.streams import stream

YEAR = 365
"""Days for which claims are followed, before and after."""

TAIL = 60
"""Days after that in which there are claims too, as there are in any extract."""

FRAIL_DYING, AGED_DYING = 0.35, 0.45
"""Loadings of dying."""

FRAIL_NIGHTS = 0.18
"""What an SD of frailty adds to the log of nights."""

NIGHTS_AFTER_TRANSFER = 3
"""By which a stay with a transfer is longer."""

DIED_IN_HOSPITAL = 0.05
"""Share of deaths within a year that are in the index stay."""


@dataclass(frozen=True)
class Course:
    """What befalls every patient, before any claim; arrays of shape (n_episodes,).

    Attributes
    ----------
    admitted, discharged : ndarray of datetime64
        Discharge is from the last hospital of the index stay.
    transferred : ndarray of bool
    died : ndarray of datetime64
        NaT for those who live.
    enrolled_from, enrolled_to : ndarray of datetime64
    """

    admitted: Days
    discharged: Days
    transferred: np.ndarray
    died: Days
    enrolled_from: Days
    enrolled_to: Days


def draw_course(scenario: Scenario, patients: Patients, admitted: Days) -> Course:
    """Return what befalls every patient.

    Parameters
    ----------
    scenario : Scenario
        Gives the seed, the procedure and how often what happens; it has claims.
    patients : Patients
    admitted : ndarray of datetime64 of shape (n_episodes,)
        Date of the operation, on which the stay begins.
    """
    rules, bundle = rules_of(scenario), BUNDLES[scenario.procedure_group]
    rng = stream(scenario.seed, "events_of_life")
    chance = rng.random((5, len(admitted)))
    nights = rng.poisson(bundle.nights * np.exp(FRAIL_NIGHTS * patients.frailty))
    transferred = chance[0] < rules.transfers
    days = np.where(transferred, nights + NIGHTS_AFTER_TRANSFER, nights)
    discharged = admitted + days.astype("timedelta64[D]")
    in_hospital = (chance[1] < DIED_IN_HOSPITAL) & ~transferred & (nights > 0)
    died = _draw_deaths(rng, rules, patients, discharged, in_hospital)
    begins, ends = covered(scenario)
    stayed = rng.integers(1, YEAR + 1, len(admitted)).astype("timedelta64[D]")
    before = rng.integers(1, YEAR, len(admitted)).astype("timedelta64[D]")
    return Course(
        admitted=admitted,
        discharged=discharged,
        transferred=transferred,
        died=died,
        enrolled_from=np.where(chance[3] < rules.late_enrolled, admitted - before, begins),
        enrolled_to=np.where(chance[2] < rules.disenrolled, discharged + stayed, ends),
    )


def _draw_deaths(
    rng: np.random.Generator,
    rules: Claims,
    patients: Patients,
    discharged: Days,
    in_hospital: np.ndarray,
) -> Days:
    """Return when those die who die within a year; NaT of the others."""
    count = len(discharged)
    dying = mix(
        rng.standard_normal(count), (FRAIL_DYING, patients.frailty), (AGED_DYING, patients.age)
    )
    after = np.where(in_hospital, 0, rng.integers(1, YEAR + 1, count)).astype("timedelta64[D]")
    dies = flag(dying, rules.deaths) == 1
    return np.where(dies, discharged + after, np.datetime64("NaT", "D"))


def covered(scenario: Scenario) -> tuple[np.datetime64, np.datetime64]:
    """Return the first and last day that the claims of a scenario cover.

    Examples
    --------
    >>> from riskadj.simulate import demo_scenario
    >>> [str(one) for one in covered(demo_scenario())]
    ['2020-01-01', '2025-05-09']
    """
    first = min(np.datetime64(f"{one[:4]}-01-01") for one in scenario.periods)
    last = max(np.datetime64(f"{one[:4]}-12-31") for one in scenario.periods)
    in_april = 91 if "/" in scenario.periods[0] else 0
    longest = 60 + YEAR + TAIL + 10
    return first - np.timedelta64(YEAR + 1, "D"), last + np.timedelta64(in_april + longest, "D")


def rules_of(scenario: Scenario) -> Claims:
    """Return how often what happens, in a scenario that has claims.

    Raises
    ------
    StudyError
    """
    if scenario.claims is None:
        raise StudyError(
            f"{scenario.name}: wanted a scenario with claims; got one without. Add claims to it."
        )
    return scenario.claims
