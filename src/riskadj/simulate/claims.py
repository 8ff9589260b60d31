"""The insurer's view of a world: a claim for everything that was paid, and what is true of it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
import pandas as pd

from riskadj.episodes.columns import COMORBIDITIES
from riskadj.simulate.claim_care import (
    draw_background,
    draw_earlier,
    draw_fees,
    draw_index,
    draw_others,
    draw_post_acute,
    draw_readmissions,
    draw_second,
    draw_visits,
)
from riskadj.simulate.claim_course import Course, covered
from riskadj.simulate.claim_law import Setup, number_of_practices, set_up
from riskadj.simulate.claim_lines import Days, Lines, Whole, end_lines, join_lines, tabulate_lines
from riskadj.simulate.claim_truth import describe_episodes, expect, tell_ends, tell_readmission
from riskadj.simulate.latent import Floats
from riskadj.simulate.patients import Patients
from riskadj.simulate.scenario import Scenario
from riskadj.simulate.streams import stream


@dataclass(frozen=True)
class ClaimsWorld:
    """A world as its claims show it.

    Attributes
    ----------
    write_lines : callable
        Makes the table of claim lines, the same each time. It takes as long as all the rest, and
        who is content with the episodes does without: see `lines`.
    patients : DataFrame
        A row per patient, those without an episode too.
    episodes : dict of str to ndarray
        What claims say of the episodes, by canonical column.
    truth : dict of str to ndarray
        What they do not: `cost_expected_<window>d`, the mean at the average provider given
        everything that the patient brings, if the patient lives and stays insured;
        `cost_at_provider_<window>d`, the same at the provider that treated them;
        `readmission_expected_30d` and `readmission_at_provider_30d`, chances in the same sense, of
        other readmissions than for a second procedure, of which there are none so soon;
        `died_after` and `left_after`, days from discharge, NaN where neither.
    begins, ends : datetime64
        The first and last day that the claims cover.
    """

    write_lines: Callable[[], pd.DataFrame]
    patients: pd.DataFrame
    episodes: dict[str, np.ndarray]
    truth: dict[str, np.ndarray]
    begins: np.datetime64
    ends: np.datetime64

    @cached_property
    def lines(self) -> pd.DataFrame:
        """A row per claim line, written when first asked for.

        Amounts are hundredths of the currency, exactly.
        """
        return self.write_lines()


def draw_claims(
    scenario: Scenario,
    patients: Patients,
    course: Course,
    on_record: dict[str, Floats],
    providers: pd.DataFrame,
    place: Whole,
) -> ClaimsWorld:
    """Return the claims of a world, and what is true of them.

    Parameters
    ----------
    scenario : Scenario
        It has claims.
    patients : Patients
        A patient per episode.
    course : Course
        What befalls them.
    on_record : dict of str to ndarray
        Their comorbidities as their provider records them, by column.
    providers : DataFrame
        As `draw_providers` returns them.
    place : ndarray of shape (n_episodes,)
        Position of the provider of every episode.
    """
    setup = set_up(scenario, patients, course, providers, place)
    record = _as_bits(on_record)
    stay, fees = draw_index(setup, record), draw_fees(setup)
    readmissions, chances = draw_readmissions(setup)
    kinds = (
        stay, fees, readmissions, draw_second(setup, readmissions, chances),
        draw_post_acute(setup), *draw_visits(setup), draw_background(setup),
    )  # fmt: skip
    own = join_lines([*(one.lines for one in kinds), *draw_earlier(setup)])
    own = end_lines(own, _last_days(course))
    own = own.where(own.date >= course.enrolled_from[own.patient])
    names = _name_patients(setup)
    begins, ends = covered(scenario)
    return ClaimsWorld(
        write_lines=partial(
            _write_lines, setup, own, record, names, _name_providers(setup, providers)
        ),
        patients=_tell_patients(setup, names),
        episodes=describe_episodes(setup, own, stay.lines),
        truth={
            **expect(kinds, setup.effect),
            **tell_readmission(chances, setup.bundle.readmissions),
            **tell_ends(course),
        },
        begins=begins,
        ends=ends,
    )


def _write_lines(
    setup: Setup, own: Lines, record: Whole, names: list[str], providers: list[str]
) -> pd.DataFrame:
    """Return the lines of everybody, those without an episode too, as a table."""
    nothing = np.zeros(len(names) - setup.count, dtype=np.int64)
    return tabulate_lines(
        join_lines([own, draw_others(setup)]),
        names,
        providers,
        np.concatenate([record, nothing]),
        setup.rules.currency,
        stream(setup.scenario.seed, "diagnoses"),
    )


def _as_bits(on_record: dict[str, Floats]) -> Whole:
    bits = np.zeros(len(on_record["comorb_heart"]), dtype=np.int64)
    for place, name in enumerate(COMORBIDITIES):
        bits |= on_record[f"comorb_{name}"].astype(np.int64) << place
    return bits


def _last_days(course: Course) -> Days:
    """Return the day after which a patient has no claims."""
    return np.fmin(course.died, course.enrolled_to)


def _name_patients(setup: Setup) -> list[str]:
    others = round(setup.rules.others * setup.count)
    return [f"N{one:07d}" for one in range(1, setup.count + 1)] + [
        f"X{one:07d}" for one in range(1, others + 1)
    ]


def _name_providers(setup: Setup, providers: pd.DataFrame) -> list[str]:
    practices = range(1, number_of_practices(setup.hospitals) + 1)
    return [*providers["provider_id"], *(f"G{one:03d}" for one in practices)]


def _tell_patients(setup: Setup, names: list[str]) -> pd.DataFrame:
    rng = stream(setup.scenario.seed, "births")
    course, seen = setup.course, setup.patients.seen
    others = len(names) - setup.count
    begins, ends = covered(setup.scenario)
    years = np.concatenate([seen["age_years"], rng.integers(25, 90, others).astype(float)])
    when = np.concatenate([course.admitted, np.full(others, begins)])
    # Neither on a birthday nor close to one, so that every way of counting years agrees.
    age = np.floor(years * 365.2425).astype(np.int64) + rng.integers(5, 360, len(years))
    other_sex = np.where(rng.random(others) < 0.5, "female", "male")
    return pd.DataFrame(
        {
            "patient_id": pd.Series(names, dtype="str"),
            "birth_date": _dates(when - age.astype("timedelta64[D]")),
            "sex": pd.Series(np.concatenate([seen["sex"], other_sex]), dtype="str"),
            "enrolled_from": _dates(
                np.concatenate([course.enrolled_from, np.full(others, begins)])
            ),
            "enrolled_to": _dates(np.concatenate([course.enrolled_to, np.full(others, ends)])),
            "death_date": _dates(
                np.concatenate([course.died, np.full(others, np.datetime64("NaT", "D"))])
            ),
        }
    )


def _dates(days: Days) -> pd.Series:
    return pd.Series(days.astype("datetime64[us]"))
