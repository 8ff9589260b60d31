"""The instruments: what is asked, how it is scored, in which direction, and who says so.

Only the arithmetic of scoring is here; the wording of the questionnaires belongs to its owners
(Oxford scores: Oxford University Innovation; EQ-5D: EuroQol Group).
"""

from dataclasses import dataclass
from types import MappingProxyType

from riskadj.errors import UnknownNameError, did_you_mean

MISSING_ITEM_MEAN = "mean of the answered items"
MISSING_ITEM_NULL = "no score"


@dataclass(frozen=True)
class LevelWeights:
    """A value set that adds a weight per item and level to a starting value.

    Attributes
    ----------
    full_health : float
        The value of the profile with every item at its best level.
    any_problem : float
        Added once when any item is above its best level.
    any_worst : float
        Added once when any item is at its worst level.
    items : tuple of tuple of float
        One row per item; one weight per level, from best to worst.
    """

    full_health: float
    any_problem: float
    any_worst: float
    items: tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Instrument:
    """One way of turning answers into a score.

    Attributes
    ----------
    id : str
        The name that a study uses.
    measure : str
        The suffix of its columns in the episode table: `q1_score_<measure>`.
    title : str
        The instrument, the version and the value set, for people.
    unit : str
        Unit of the score.
    items : int
        How many items are asked; 0 when the score is asked for directly.
    item_range : tuple of int
        Lowest and highest code of an item.
    score_range : tuple of float
        Lowest and highest score.
    direction : int
        +1 when a higher score is better, -1 when a lower one is.
    max_missing : int
        With more items missing than this there is no score.
    missing_rule : str
        What stands in for the missing items below that number.
    value_set : LevelWeights or None
        None where the score is the plain sum of the items.
    source : str
        Where the scoring rule is stated.
    """

    id: str
    measure: str
    title: str
    unit: str
    items: int
    item_range: tuple[int, int]
    score_range: tuple[float, float]
    direction: int
    max_missing: int
    missing_rule: str
    value_set: LevelWeights | None
    source: str


UK_TTO_1997 = LevelWeights(
    full_health=1.0,
    any_problem=-0.081,
    any_worst=-0.269,
    items=(
        (0.0, -0.069, -0.314),  # mobility
        (0.0, -0.104, -0.214),  # self-care
        (0.0, -0.036, -0.094),  # usual activities
        (0.0, -0.123, -0.386),  # pain and discomfort
        (0.0, -0.071, -0.236),  # anxiety and depression
    ),
)
"""EQ-5D-3L, United Kingdom, time trade-off (Dolan 1997, Medical Care 35:1095-1108)."""


def _oxford(measure: str, joint: str) -> Instrument:
    return Instrument(
        id=measure.upper(),
        measure=measure,
        title=f"Oxford {joint} Score, 0 to 48",
        unit="points",
        items=12,
        item_range=(0, 4),
        score_range=(0.0, 48.0),
        direction=1,
        max_missing=2,
        missing_rule=MISSING_ITEM_MEAN,
        value_set=None,
        source="Murray et al. 2007, J Bone Joint Surg Br 89:1010-1014 (0-48 scoring); "
        "missing items: NHS England, A Guide to PROMs Methodology, version 12",
    )


INSTRUMENTS: MappingProxyType[str, Instrument] = MappingProxyType(
    {
        one.id: one
        for one in (
            _oxford("ohs", "Hip"),
            _oxford("oks", "Knee"),
            Instrument(
                id="EQ5D3L_UK_TTO",
                measure="eq5d",
                title="EQ-5D-3L index, United Kingdom time trade-off value set (1997)",
                unit="index",
                items=5,
                item_range=(1, 3),
                score_range=(-0.594, 1.0),
                direction=1,
                max_missing=0,
                missing_rule=MISSING_ITEM_NULL,
                value_set=UK_TTO_1997,
                source="Dolan 1997, Medical Care 35:1095-1108",
            ),
            Instrument(
                id="EQ_VAS",
                measure="eqvas",
                title="EQ visual analogue scale, 0 to 100",
                unit="points",
                items=0,
                item_range=(0, 0),
                score_range=(0.0, 100.0),
                direction=1,
                max_missing=0,
                missing_rule=MISSING_ITEM_NULL,
                value_set=None,
                source="EuroQol Group, EQ-5D-3L user guide",
            ),
        )
    }
)
"""Every instrument by its id."""


def instrument(name: str) -> Instrument:
    """Return the instrument with this id.

    Raises
    ------
    UnknownNameError
        When no instrument has it; the message lists those that exist.

    Examples
    --------
    >>> instrument("OHS").score_range
    (0.0, 48.0)
    """
    if name not in INSTRUMENTS:
        raise UnknownNameError(
            f"wanted an instrument among {', '.join(INSTRUMENTS)}; got {name!r}."
            f"{did_you_mean(name, INSTRUMENTS)}"
        )
    return INSTRUMENTS[name]
