"""Random numbers, one stream per station, so that changing one setting reshuffles nothing else."""

import numpy as np

STATIONS = (
    "providers",
    "volumes",
    "assignment",
    "patients",
    "before",
    "after",
    "follow_up",
    "gaps",
    "calendar",
    "cost",
    "education",
    "professional",
    "coding",
    "selection",
    "events_of_life",
    "index_stay",
    "readmissions",
    "post_acute",
    "visits",
    "background",
    "earlier",
    "second_procedures",
    "diagnoses",
    "others",
    "fees",
    "practices",
    "births",
    "five_levels_before",
    "five_levels_after",
    "joint_items_before",
    "joint_items_after",
    "programme",
    "readmission_effects",
)
"""Append only: a station's place in this list is part of its seed."""


def stream(seed: int, station: str) -> np.random.Generator:
    """Return the random numbers of one station.

    Examples
    --------
    >>> stream(1, "cost").random() == stream(1, "cost").random()
    True
    >>> stream(1, "cost").random() == stream(1, "gaps").random()
    False
    """
    key = STATIONS.index(station)
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(key,)))
