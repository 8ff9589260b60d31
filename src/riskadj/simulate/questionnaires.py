"""The questionnaires as a graded response model: answers that come from health and chance.

Each answer is a normal variable that loads on the patient's health and is cut into codes. The
cuts are such that, at standard normal health, the codes have the shares below. The shares are
those among primary replacements with both Oxford scores in NHS England's record files, hip 2018/19
and knee 2016/17, counted for this purpose. The loadings are chosen so that the spread of the
scores, the ceiling and the correlations between instruments come close to the same files. What
the back and the neck are asked is in `spine_answers`.
"""

from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from scipy.special import ndtr

from riskadj.instruments import INSTRUMENTS, Instrument, score
from riskadj.simulate.latent import Floats, cut_points, density, expected_sum
from riskadj.simulate.populations import ProcedureGroup
from riskadj.simulate.scenario import Scenario
from riskadj.simulate.spine_answers import SPINE_ANSWERS, Answers, Shares
from riskadj.simulate.streams import stream

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

# HOOS JR and KOOS JR, the best code first. Chosen to be plausible, and such that about four in five
# hips gain the 22 points that count as a substantial benefit (80 % among Medicare's inpatients:
# J Arthroplasty 2025, doi 10.1016/j.arth.2025.09.027), and somewhat fewer knees their 20.
_HOOS_JR_BEFORE: Shares = (
    (0.02, 0.10, 0.33, 0.39, 0.16), (0.04, 0.15, 0.36, 0.33, 0.12), (0.03, 0.16, 0.41, 0.31, 0.09),
    (0.04, 0.13, 0.30, 0.35, 0.18), (0.07, 0.21, 0.38, 0.27, 0.07), (0.10, 0.29, 0.40, 0.18, 0.03),
)  # fmt: skip
_HOOS_JR_AFTER: Shares = (
    (0.62, 0.24, 0.10, 0.03, 0.01), (0.60, 0.25, 0.11, 0.03, 0.01),
    (0.62, 0.26, 0.09, 0.025, 0.005), (0.46, 0.32, 0.16, 0.05, 0.01),
    (0.68, 0.21, 0.08, 0.025, 0.005), (0.76, 0.17, 0.055, 0.012, 0.003),
)  # fmt: skip
_KOOS_JR_BEFORE: Shares = (
    (0.05, 0.16, 0.38, 0.31, 0.10), (0.04, 0.13, 0.33, 0.36, 0.14), (0.07, 0.20, 0.38, 0.27, 0.08),
    (0.02, 0.09, 0.33, 0.40, 0.16), (0.05, 0.18, 0.38, 0.30, 0.09), (0.03, 0.15, 0.40, 0.33, 0.09),
    (0.05, 0.16, 0.33, 0.33, 0.13),
)  # fmt: skip
_KOOS_JR_AFTER: Shares = (
    (0.46, 0.34, 0.15, 0.04, 0.01), (0.55, 0.28, 0.12, 0.04, 0.01), (0.58, 0.28, 0.10, 0.03, 0.01),
    (0.42, 0.34, 0.17, 0.06, 0.01), (0.58, 0.26, 0.12, 0.03, 0.01), (0.48, 0.34, 0.14, 0.03, 0.01),
    (0.45, 0.32, 0.16, 0.05, 0.02),
)  # fmt: skip

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

_FROM_THREE_TO_FIVE = np.array(
    [
        [0.88, 0.12, 0.00, 0.00, 0.00],
        [0.00, 0.38, 0.45, 0.17, 0.00],
        [0.00, 0.00, 0.00, 0.55, 0.45],
    ]
)
"""How the levels of EQ-5D-3L fall apart into those of EQ-5D-5L; chosen to be plausible."""


@dataclass(frozen=True)
class Asked:
    """Items of one instrument and how they hang on health.

    Attributes
    ----------
    instrument : Instrument
        With items, or without where the score is asked for directly.
    shares : tuple of tuple of float
        A row per item (one where the score is asked for directly), the share of each code, the
        lowest code first.
    loads : tuple of float
        Loading of each item on health, 0 to 1.
    distress_loads : tuple of float
        Loading of each item on distress, 0 to 1.
    best_is_low : bool
        Whether the lowest code is the best.
    """

    instrument: Instrument
    shares: Shares
    loads: tuple[float, ...]
    distress_loads: tuple[float, ...]
    best_is_low: bool

    @property
    def best_last(self) -> Shares:
        """The shares, those of the best code last."""
        return tuple(row[::-1] for row in self.shares) if self.best_is_low else self.shares


@dataclass(frozen=True)
class Round:
    """One round of questionnaires: before (q1) or after (q2).

    Attributes
    ----------
    prefix : str
        Of its columns.
    main : Asked
        The score that the truth speaks of; all its items load alike on health.
    eq5d, eq5d5l : Asked
        EQ-5D-3L, and EQ-5D-5L for where the scenario wants it.
    vas : tuple of float
        Centre and spread of the EQ VAS on the probit scale.
    vas_loads : tuple of float
        Loadings of the EQ VAS on health, frailty and distress.
    pains : tuple of Asked
        Numeric rating scales of pain.
    joint : Asked, optional
        HOOS JR or KOOS JR, for where the scenario wants it.
    """

    prefix: str
    main: Asked
    eq5d: Asked
    eq5d5l: Asked
    vas: tuple[float, float]
    vas_loads: tuple[float, float, float]
    pains: tuple[Asked, ...] = ()
    joint: Asked | None = None

    @property
    def with_items(self) -> tuple[Instrument, ...]:
        """The instruments that are asked item by item."""
        asked = (self.main, self.eq5d, self.eq5d5l, self.joint)
        return tuple(one.instrument for one in asked if one)

    @property
    def points_per_step(self) -> float:
        """By how many points of the main score one step of one item moves it."""
        one = self.main.instrument
        low, high = one.score_range
        return (high - low) / (one.items * (one.item_range[1] - one.item_range[0]))


@dataclass(frozen=True)
class Questionnaires:
    """What patients of one procedure are asked.

    Attributes
    ----------
    before, after : Round
    """

    before: Round
    after: Round

    @property
    def instrument(self) -> Instrument:
        """The main one: an Oxford score, the ODI or the NDI."""
        return self.after.main.instrument


_VAS_LOADS_BEFORE = (0.20, -0.40, -0.20)
_VAS_LOADS_AFTER = (0.50, -0.30, -0.15)


def _main(instrument: str, shares: Shares, load: float) -> Asked:
    one = INSTRUMENTS[instrument]
    return _alike(instrument, shares, load, best_is_low=one.direction < 0)


def _alike(instrument: str, shares: Shares, load: float, *, best_is_low: bool) -> Asked:
    """Return items that all load alike on health."""
    one = INSTRUMENTS[instrument]
    return Asked(one, shares, (load,) * one.items, (0.0,) * one.items, best_is_low)


def _eq5d(shares: Shares, loads: tuple[float, ...]) -> tuple[Asked, Asked]:
    """Return EQ-5D in its two versions."""
    five = np.array(shares) @ _FROM_THREE_TO_FIVE
    tables = (shares, tuple(tuple(float(one) for one in row) for row in five))
    three_levels, five_levels = (
        Asked(INSTRUMENTS[name], table, loads, _EQ5D_DISTRESS, best_is_low=True)
        for name, table in zip(("EQ5D3L_UK_TTO", "EQ5D5L"), tables, strict=True)
    )
    return three_levels, five_levels


def _oxford(
    prefix: str, instrument: str, shares: Shares, load: float, eq5d: Shares,
    vas: tuple[float, float], joint: tuple[str, Shares],
) -> Round:  # fmt: skip
    is_before = prefix == "q1"
    return Round(
        prefix,
        _main(instrument, shares, load),
        *_eq5d(eq5d, _EQ5D_LOADS_BEFORE if is_before else _EQ5D_LOADS_AFTER),
        vas,
        _VAS_LOADS_BEFORE if is_before else _VAS_LOADS_AFTER,
        joint=_alike(*joint, load, best_is_low=True),
    )


def _spine(prefix: str, asked: Answers) -> Round:
    return Round(
        prefix,
        _main(asked.instrument, asked.shares, asked.load),
        *_eq5d(asked.eq5d, asked.eq5d_loads),
        asked.vas,
        _VAS_LOADS_BEFORE if prefix == "q1" else _VAS_LOADS_AFTER,
        tuple(
            Asked(INSTRUMENTS[name], (shares,), (asked.pain_load,), (0.0,), best_is_low=True)
            for name, shares in asked.pains.items()
        ),
    )


QUESTIONNAIRES: MappingProxyType[ProcedureGroup, Questionnaires] = MappingProxyType(
    {
        "HIP_PRIM": Questionnaires(
            _oxford(
                "q1",
                "OHS",
                _OHS_BEFORE,
                0.71,
                _EQ5D_HIP_BEFORE,
                (0.41, 0.70),
                ("HOOS_JR", _HOOS_JR_BEFORE),
            ),
            _oxford(
                "q2",
                "OHS",
                _OHS_AFTER,
                0.78,
                _EQ5D_HIP_AFTER,
                (0.92, 0.68),
                ("HOOS_JR", _HOOS_JR_AFTER),
            ),
        ),
        "KNEE_PRIM": Questionnaires(
            _oxford(
                "q1",
                "OKS",
                _OKS_BEFORE,
                0.67,
                _EQ5D_KNEE_BEFORE,
                (0.55, 0.65),
                ("KOOS_JR", _KOOS_JR_BEFORE),
            ),
            _oxford(
                "q2",
                "OKS",
                _OKS_AFTER,
                0.80,
                _EQ5D_KNEE_AFTER,
                (0.80, 0.69),
                ("KOOS_JR", _KOOS_JR_AFTER),
            ),
        ),
        **{
            group: Questionnaires(_spine("q1", before), _spine("q2", after))
            for group, (before, after) in SPINE_ANSWERS.items()
        },
    }
)
"""By procedure group."""

VAS_STEP = 5
"""People mark round numbers; the EQ VAS is rounded to this many points."""


def answer_round(
    rng: np.random.Generator, asked: Round, health: Floats, frailty: Floats, distress: Floats
) -> dict[str, Floats]:
    """Return the answers of one round, by column.

    Parameters
    ----------
    rng : Generator
        Of the station that asks.
    asked : Round
        Which questions, and how they hang on health.
    health, frailty, distress : ndarray of shape (n_episodes,)
        Latent, about standard normal; higher health is better.

    Returns
    -------
    dict of str to ndarray
        Items of the main score and of EQ-5D-3L, the EQ VAS and pain; no answer is missing yet.
    """
    answers: dict[str, Floats] = {}
    for one in (asked.main, asked.eq5d):
        codes = _answer_items(rng, health, distress, one)
        answers |= dict(zip(item_names(asked.prefix, one.instrument), codes.T, strict=True))
    answers[f"{asked.prefix}_score_eqvas"] = _answer_vas(rng, asked, health, frailty, distress)
    for one in asked.pains:
        name = f"{asked.prefix}_score_{one.instrument.measure}"
        answers[name] = _answer_items(rng, health, distress, one)[:, 0]
    return answers


def answer_versions(
    scenario: Scenario,
    asked: Round,
    health: Floats,
    distress: Floats,
    answers: dict[str, Floats],
) -> dict[str, Floats]:
    """Return the answers with EQ-5D in the versions that the scenario wants, and in no other.

    EQ-5D-5L, and HOOS JR or KOOS JR where it is wanted, have random numbers of their own, so that
    they can be asked besides without another answer changing.
    """
    wanted = dict(answers)
    if "3L" not in scenario.eq5d:
        for name in item_names(asked.prefix, asked.eq5d.instrument):
            del wanted[name]
    if "5L" in scenario.eq5d:
        station = "five_levels_before" if asked.prefix == "q1" else "five_levels_after"
        codes = _answer_items(stream(scenario.seed, station), health, distress, asked.eq5d5l)
        names = item_names(asked.prefix, asked.eq5d5l.instrument)
        wanted |= dict(zip(names, codes.T, strict=True))
    wants_joint = scenario.programme and scenario.programme.joint_items
    if asked.joint and wants_joint:
        station = "joint_items_before" if asked.prefix == "q1" else "joint_items_after"
        codes = _answer_items(stream(scenario.seed, station), health, distress, asked.joint)
        names = item_names(asked.prefix, asked.joint.instrument)
        wanted |= dict(zip(names, codes.T, strict=True))
    return wanted


def score_answers(asked: Round, answers: dict[str, Floats]) -> dict[str, Floats]:
    """Return the scores of one round, by column, of what was asked item by item.

    A version of EQ-5D whose value set the study chooses has none yet.
    """
    return {
        f"{asked.prefix}_score_{one.measure}": score(
            one, np.column_stack([answers[name] for name in item_names(asked.prefix, one)])
        )
        for one in asked.with_items
        if one.id != "EQ5D5L" and item_names(asked.prefix, one)[0] in answers
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
    """Return how many points better the mean score is per unit of health, at its centre.

    The share of answers above a cut t changes by load x density(t) per unit, so the mean of the
    sum changes by the sum of that over items and cuts.

    Examples
    --------
    >>> round(points_per_unit(QUESTIONNAIRES["HIP_PRIM"].after), 1)
    7.4
    """
    slope = asked.main.loads[0] * density(cut_points(asked.main.best_last)).sum()
    return float(asked.points_per_step * slope)


def expected_score(asked: Round, centre: Floats, spread: float) -> Floats:
    """Return the mean of the main score of patients whose health has this centre and spread.

    Parameters
    ----------
    asked : Round
        Before or after.
    centre : ndarray of shape (n_episodes,)
        What is known of each patient's health.
    spread : float
        SD of what is not known.
    """
    load = asked.main.loads[0]
    item_spread = float(np.sqrt(1 - load**2 + (load * spread) ** 2))
    passed = expected_sum(load * centre, item_spread, cut_points(asked.main.best_last))
    low, high = asked.main.instrument.score_range
    steps = asked.points_per_step * passed
    return high - steps if asked.main.best_is_low else low + steps


def _answer_items(
    rng: np.random.Generator, health: Floats, distress: Floats, asked: Asked
) -> Floats:
    """Return the codes, of shape (n_episodes, n_items)."""
    loads, distress_loads = np.array(asked.loads), np.array(asked.distress_loads)
    spread = np.sqrt(1 - loads**2 - distress_loads**2)
    latent = rng.standard_normal((len(health), len(loads))) * spread
    latent += health[:, None] * loads - distress[:, None] * distress_loads
    cuts = cut_points(asked.best_last)
    passed = np.zeros_like(latent)
    for one in cuts.T:
        passed += latent > one
    lowest = asked.instrument.item_range[0]
    return np.asarray(lowest + (cuts.shape[1] - passed if asked.best_is_low else passed))


def _answer_vas(
    rng: np.random.Generator, asked: Round, health: Floats, frailty: Floats, distress: Floats
) -> Floats:
    noise = rng.standard_normal(len(health))
    drivers = zip(asked.vas_loads, (health, frailty, distress), strict=True)
    latent = sum((load * driver for load, driver in drivers), 0.8 * noise)
    centre, spread = asked.vas
    marked = 100 * ndtr(centre + spread * latent)
    return np.asarray(np.round(marked / VAS_STEP) * VAS_STEP)
