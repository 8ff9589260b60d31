"""The questionnaires as a graded response model: answers that come from health and chance.

Each answer is a normal variable that loads on the patient's health and is cut into codes. The
cuts are such that, at standard normal health, the codes have the shares below. The shares are
those among primary replacements with both Oxford scores in NHS England's record files, hip 2018/19
and knee 2016/17, counted for this purpose. The loadings are chosen so that the spread of the
scores, the ceiling and the correlations between instruments come close to the same files.
"""

from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from scipy.special import ndtr

from riskadj.instruments import INSTRUMENTS, Instrument, score
from riskadj.simulate.latent import Floats, cut_points, density, expected_sum

Shares = tuple[tuple[float, ...], ...]

_OHS_BEFORE: Shares = (
    (0.547, 0.400, 0.042, 0.009, 0.002),  # pain
    (0.290, 0.277, 0.284, 0.064, 0.086),  # sudden pain
    (0.455, 0.287, 0.186, 0.039, 0.033),  # night pain
    (0.022, 0.204, 0.435, 0.214, 0.126),  # washing
    (0.008, 0.337, 0.511, 0.117, 0.028),  # transport
    (0.166, 0.378, 0.301, 0.125, 0.029),  # dressing
    (0.208, 0.181, 0.313, 0.190, 0.108),  # shopping
    (0.167, 0.159, 0.363, 0.235, 0.076),  # walking
    (0.569, 0.286, 0.081, 0.058, 0.007),  # limping
    (0.066, 0.302, 0.415, 0.173, 0.044),  # stairs
    (0.048, 0.436, 0.346, 0.153, 0.018),  # standing
    (0.195, 0.445, 0.273, 0.078, 0.010),  # work
)
_OHS_AFTER: Shares = (
    (0.066, 0.095, 0.109, 0.252, 0.478),
    (0.013, 0.022, 0.107, 0.113, 0.745),
    (0.024, 0.042, 0.149, 0.150, 0.635),
    (0.003, 0.013, 0.081, 0.208, 0.695),
    (0.002, 0.019, 0.131, 0.291, 0.557),
    (0.046, 0.052, 0.159, 0.338, 0.405),
    (0.056, 0.031, 0.093, 0.177, 0.644),
    (0.021, 0.033, 0.070, 0.163, 0.713),
    (0.043, 0.058, 0.055, 0.319, 0.525),
    (0.017, 0.032, 0.126, 0.249, 0.575),
    (0.001, 0.023, 0.081, 0.282, 0.612),
    (0.011, 0.033, 0.096, 0.260, 0.600),
)
_OKS_BEFORE: Shares = (
    (0.499, 0.442, 0.047, 0.010, 0.002),  # pain
    (0.311, 0.295, 0.268, 0.057, 0.068),  # night pain
    (0.006, 0.081, 0.306, 0.274, 0.333),  # washing
    (0.004, 0.223, 0.528, 0.176, 0.068),  # transport
    (0.121, 0.125, 0.409, 0.264, 0.080),  # walking
    (0.032, 0.433, 0.371, 0.146, 0.018),  # standing
    (0.428, 0.353, 0.115, 0.091, 0.013),  # limping
    (0.436, 0.352, 0.177, 0.029, 0.006),  # kneeling
    (0.124, 0.426, 0.351, 0.084, 0.014),  # work
    (0.130, 0.294, 0.236, 0.261, 0.079),  # confidence
    (0.173, 0.196, 0.333, 0.199, 0.099),  # shopping
    (0.053, 0.330, 0.423, 0.159, 0.035),  # stairs
)
_OKS_AFTER: Shares = (
    (0.033, 0.168, 0.211, 0.330, 0.257),
    (0.065, 0.088, 0.248, 0.179, 0.420),
    (0.003, 0.017, 0.093, 0.183, 0.704),
    (0.002, 0.044, 0.239, 0.346, 0.369),
    (0.029, 0.036, 0.107, 0.228, 0.599),
    (0.004, 0.057, 0.171, 0.398, 0.369),
    (0.043, 0.075, 0.078, 0.375, 0.429),
    (0.317, 0.171, 0.217, 0.217, 0.078),
    (0.017, 0.061, 0.185, 0.335, 0.402),
    (0.012, 0.033, 0.055, 0.252, 0.648),
    (0.067, 0.045, 0.121, 0.209, 0.559),
    (0.024, 0.063, 0.195, 0.321, 0.397),
)

# EQ-5D: mobility, self-care, usual activities, pain, anxiety; best level first.
_EQ5D_HIP_BEFORE: Shares = (
    (0.072, 0.924, 0.004), (0.441, 0.548, 0.011), (0.057, 0.749, 0.194),
    (0.007, 0.545, 0.448), (0.584, 0.366, 0.050),
)  # fmt: skip
_EQ5D_HIP_AFTER: Shares = (
    (0.632, 0.367, 0.001), (0.834, 0.162, 0.004), (0.601, 0.373, 0.026),
    (0.585, 0.384, 0.031), (0.821, 0.162, 0.017),
)  # fmt: skip
_EQ5D_KNEE_BEFORE: Shares = (
    (0.078, 0.919, 0.003), (0.704, 0.289, 0.007), (0.093, 0.788, 0.119),
    (0.011, 0.610, 0.379), (0.645, 0.317, 0.038),
)  # fmt: skip
_EQ5D_KNEE_AFTER: Shares = (
    (0.551, 0.448, 0.001), (0.835, 0.160, 0.005), (0.495, 0.470, 0.036),
    (0.382, 0.570, 0.048), (0.791, 0.186, 0.023),
)  # fmt: skip

_EQ5D_LOADS_BEFORE = (0.65, 0.70, 0.65, 0.80, 0.35)
_EQ5D_LOADS_AFTER = (0.80, 0.75, 0.80, 0.75, 0.45)
_EQ5D_DISTRESS = (0.0, 0.0, 0.0, 0.0, 0.65)
"""How much an answer depends on distress besides health in the joint: anxiety only."""


@dataclass(frozen=True)
class Round:
    """One round of questionnaires: before (q1) or after (q2).

    Attributes
    ----------
    prefix : str
        Of its columns.
    oxford : tuple of tuple of float
        A row per item, the share of each code.
    oxford_load : float
        Loading of every Oxford item on health, 0 to 1.
    eq5d : tuple of tuple of float
        A row per item, the share of each level, best first.
    eq5d_loads : tuple of float
        Loading of each EQ-5D item on health, 0 to 1.
    vas : tuple of float
        Centre and spread of the EQ VAS on the probit scale.
    vas_loads : tuple of float
        Loadings of the EQ VAS on health, frailty and distress.
    """

    prefix: str
    oxford: Shares
    oxford_load: float
    eq5d: Shares
    eq5d_loads: tuple[float, ...]
    vas: tuple[float, float]
    vas_loads: tuple[float, float, float]


@dataclass(frozen=True)
class Questionnaires:
    """What patients of one procedure are asked.

    Attributes
    ----------
    instrument : Instrument
        The Oxford score.
    before, after : Round
    """

    instrument: Instrument
    before: Round
    after: Round


_VAS_LOADS_BEFORE = (0.20, -0.40, -0.20)
_VAS_LOADS_AFTER = (0.50, -0.30, -0.15)

QUESTIONNAIRES: MappingProxyType[str, Questionnaires] = MappingProxyType(
    {
        "HIP_PRIM": Questionnaires(
            INSTRUMENTS["OHS"],
            Round("q1", _OHS_BEFORE, 0.71, _EQ5D_HIP_BEFORE, _EQ5D_LOADS_BEFORE,
                  (0.41, 0.70), _VAS_LOADS_BEFORE),
            Round("q2", _OHS_AFTER, 0.78, _EQ5D_HIP_AFTER, _EQ5D_LOADS_AFTER,
                  (0.92, 0.68), _VAS_LOADS_AFTER),
        ),
        "KNEE_PRIM": Questionnaires(
            INSTRUMENTS["OKS"],
            Round("q1", _OKS_BEFORE, 0.67, _EQ5D_KNEE_BEFORE, _EQ5D_LOADS_BEFORE,
                  (0.55, 0.65), _VAS_LOADS_BEFORE),
            Round("q2", _OKS_AFTER, 0.80, _EQ5D_KNEE_AFTER, _EQ5D_LOADS_AFTER,
                  (0.80, 0.69), _VAS_LOADS_AFTER),
        ),
    }
)  # fmt: skip
"""By procedure group."""

VAS_STEP = 5
"""People mark round numbers; the EQ VAS is rounded to this many points."""


def answer_round(
    rng: np.random.Generator,
    asked: Round,
    instrument: Instrument,
    health: Floats,
    frailty: Floats,
    distress: Floats,
) -> dict[str, Floats]:
    """Return the answers of one round, by column.

    Parameters
    ----------
    rng : Generator
        Of the station that asks.
    asked : Round
        Which questions, and how they hang on health.
    instrument : Instrument
        The Oxford score.
    health, frailty, distress : ndarray of shape (n_episodes,)
        Latent, about standard normal; higher health is better.

    Returns
    -------
    dict of str to ndarray
        Items and the EQ VAS; no answer is missing yet.
    """
    none = np.zeros(instrument.items)
    loads = np.full(instrument.items, asked.oxford_load)
    oxford = _answer_items(rng, health, distress, loads, none, asked.oxford)
    best_last = tuple(row[::-1] for row in asked.eq5d)
    eq5d = _answer_items(
        rng, health, distress, np.array(asked.eq5d_loads), np.array(_EQ5D_DISTRESS), best_last
    )
    answers = _name_items(asked.prefix, instrument.measure, oxford)
    answers |= _name_items(asked.prefix, "eq5d", len(asked.eq5d[0]) - eq5d)
    answers[f"{asked.prefix}_score_eqvas"] = _answer_vas(rng, asked, health, frailty, distress)
    return answers


def score_answers(
    prefix: str, instrument: Instrument, answers: dict[str, Floats]
) -> dict[str, Floats]:
    """Return the scores of one round, by column, from its items."""
    return {
        f"{prefix}_score_{one.measure}": score(
            one, np.column_stack([answers[name] for name in item_names(prefix, one)])
        )
        for one in (instrument, INSTRUMENTS["EQ5D3L_UK_TTO"])
    }


def item_names(prefix: str, instrument: Instrument) -> list[str]:
    """Return the columns of an instrument's items.

    Examples
    --------
    >>> item_names("q1", INSTRUMENTS["EQ5D3L_UK_TTO"])[0]
    'q1_item_eq5d_01'
    """
    return [
        f"{prefix}_item_{instrument.measure}_{one:02d}" for one in range(1, instrument.items + 1)
    ]


def points_per_unit(asked: Round) -> float:
    """Return how many Oxford points the mean score moves per unit of health, at its centre.

    The share of answers above a cut t changes by load x density(t) per unit, so the mean of the
    sum changes by the sum of that over items and cuts.

    Examples
    --------
    >>> round(points_per_unit(QUESTIONNAIRES["HIP_PRIM"].after), 1)
    7.4
    """
    return float(asked.oxford_load * density(cut_points(asked.oxford)).sum())


def expected_score(asked: Round, centre: Floats, spread: float) -> Floats:
    """Return the mean Oxford score of patients whose health has this centre and spread.

    Parameters
    ----------
    asked : Round
        Before or after.
    centre : ndarray of shape (n_episodes,)
        What is known of each patient's health.
    spread : float
        SD of what is not known.
    """
    load = asked.oxford_load
    item_spread = float(np.sqrt(1 - load**2 + (load * spread) ** 2))
    return expected_sum(load * centre, item_spread, cut_points(asked.oxford))


def _answer_items(
    rng: np.random.Generator,
    health: Floats,
    distress: Floats,
    loads: Floats,
    distress_loads: Floats,
    shares: Shares,
) -> Floats:
    """Return the codes from 0 up, of shape (n_episodes, n_items)."""
    spread = np.sqrt(1 - loads**2 - distress_loads**2)
    latent = rng.standard_normal((len(health), len(loads))) * spread
    latent += health[:, None] * loads - distress[:, None] * distress_loads
    codes = np.zeros_like(latent)
    for cuts in cut_points(shares).T:
        codes += latent > cuts
    return codes


def _answer_vas(
    rng: np.random.Generator, asked: Round, health: Floats, frailty: Floats, distress: Floats
) -> Floats:
    noise = rng.standard_normal(len(health))
    drivers = zip(asked.vas_loads, (health, frailty, distress), strict=True)
    latent = sum((load * driver for load, driver in drivers), 0.8 * noise)
    centre, spread = asked.vas
    marked = 100 * ndtr(centre + spread * latent)
    return np.asarray(np.round(marked / VAS_STEP) * VAS_STEP)


def _name_items(prefix: str, measure: str, codes: Floats) -> dict[str, Floats]:
    return {
        f"{prefix}_item_{measure}_{item:02d}": column
        for item, column in enumerate(codes.T, start=1)
    }
