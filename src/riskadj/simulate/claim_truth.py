"""What is true of every episode, and what its claims say of it."""

import numpy as np

from riskadj.simulate.claim_course import YEAR, Course
from riskadj.simulate.claim_law import Kind, Setup
from riskadj.simulate.claim_lines import DRGS, UNCOUNTED, Lines, sum_by_window
from riskadj.simulate.claim_tables import PARTS, WINDOWS, Care
from riskadj.simulate.latent import Floats


def describe_episodes(setup: Setup, lines: Lines, stays: Lines) -> dict[str, np.ndarray]:
    """Return what the lines say of the episodes; `stays` are the index claims, the first first."""
    count = setup.count
    first = stays.where(np.unique(stays.patient, return_index=True)[1])
    length = setup.length.astype(float)
    in_look_back = lines.where(
        (lines.part == UNCOUNTED)
        & (lines.day < -length[lines.patient] - lines.days)
        & (lines.day >= -length[lines.patient] - YEAR)
    )
    readmissions = lines.where(lines.part == PARTS.index("readmit"))
    again = {
        f"readmitted_{days}d": (
            np.bincount(readmissions.patient, readmissions.day <= days, minlength=count) > 0
        ).astype(float)
        for days in WINDOWS
    }
    return {
        "discharge_date": setup.course.discharged,
        "drg": np.array(DRGS, dtype=object)[first.drg],
        "length_of_stay": length,
        "prior_cost": np.bincount(
            in_look_back.patient, in_look_back.cents.astype(float), minlength=count
        )
        / 100,
        **sum_by_window(lines, count),
        **again,
    }


def expect(kinds: tuple[Kind, ...], effect: Floats) -> dict[str, np.ndarray]:
    """Return mean cost by window at the average provider, and at the one that treated."""
    truth: dict[str, np.ndarray] = {}
    for place, days in enumerate(WINDOWS):
        average, here = np.zeros(len(effect)), np.zeros(len(effect))
        for one in kinds:
            share = sum(one.timing[: place + 1]) if one.timing else 1.0
            average += share * one.mean
            own = one.mean if one.here is None else one.here
            here += share * own * (np.exp(effect) if one.moved else 1.0)
        truth[f"cost_expected_{days}d"] = average
        truth[f"cost_at_provider_{days}d"] = here
    return truth


def tell_readmission(chances: tuple[Floats, Floats], care: Care) -> dict[str, np.ndarray]:
    """Return chances of a readmission within the first window, from those within a year."""
    names = ("readmission_expected", "readmission_at_provider")
    soon = care.timing[0]
    return {f"{name}_{WINDOWS[0]}d": soon * one for name, one in zip(names, chances, strict=True)}


def tell_ends(course: Course) -> dict[str, np.ndarray]:
    """Return when patients die or leave, and who joined late."""
    begins_late = (course.admitted - course.enrolled_from).astype(np.int64) < YEAR
    left = (course.enrolled_to - course.discharged).astype(float)
    died = (course.died - course.discharged).astype("timedelta64[D]")
    return {
        "died_after": np.where(np.isnat(course.died), np.nan, died.astype(float)),
        "left_after": np.where(left <= YEAR, left, np.nan),
        "joined_late": begins_late.astype(float),
    }
