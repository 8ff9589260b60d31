"""The instruments: what is asked, how it is scored, in which direction, and who says so.

Only the arithmetic of scoring is here; the wording of the questionnaires belongs to its owners
(Oxford scores: Oxford University Innovation; EQ-5D: EuroQol; ODI: Mapi Research Trust; HOOS, JR and
KOOS, JR: Hospital for Special Surgery).
"""

from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal

from riskadj.errors import UnknownNameError, ValuesError, did_you_mean
from riskadj.instruments.conversions import HOOS_JR, HOOS_PS, KOOS_JR, KOOS_PS
from riskadj.instruments.value_sets import UK_TTO_1997, ValueSet

MISSING_ITEM_MEAN = "mean of the answered items"
MISSING_ITEM_NULL = "no score"

Rule = Literal["sum", "percentage", "health_percentage", "conversion", "value_set", "as_answered"]
"""How answers become a score.

sum: of the items. percentage: of the highest sum that the answered items can reach.
health_percentage: 100 less that. conversion: a table from the sum. value_set: a value per profile.
as_answered: the score is asked for directly.
"""


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
        Lowest and highest score; of an EQ-5D version without a value set of its own, bounds that
        hold every value set known.
    direction : int
        +1 when a higher score is better, -1 when a lower one is.
    max_missing : int
        With more items missing than this there is no score.
    missing_rule : str
        What stands in for the missing items below that number.
    rule : str
        How answers become a score; see `Rule`.
    version : str
        Which edition of the instrument or of its scoring.
    source : str
        Where the scoring rule is stated.
    conversion : tuple of float
        Score by sum of the items, for the rule `conversion`.
    value_set : ValueSet or None
        For the rule `value_set`; None where the study chooses it.
    unverified : str
        Why the scoring is not verified; empty where it is.
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
    rule: Rule
    version: str
    source: str
    conversion: tuple[float, ...] = ()
    value_set: ValueSet | None = None
    unverified: str = ""

    @property
    def best(self) -> float:
        """The best score that can be had: the ceiling, or the floor where lower is better."""
        low, high = self.score_range
        return high if self.direction > 0 else low

    @property
    def verified(self) -> bool:
        """Whether the scoring was compared with its publisher's or with published scores."""
        return not self.unverified


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
        rule="sum",
        version="0-48 (2007)",
        source="Murray et al. 2007, J Bone Joint Surg Br 89:1010-1014 (0-48 scoring); "
        "missing items: NHS England, A Guide to PROMs Methodology, version 12",
    )


def _eq5d(version: str, levels: int, lowest: float) -> Instrument:
    measure = version.replace("-", "").lower()
    return Instrument(
        id=measure.upper(),
        measure=measure,
        title=f"{version} index, by the value set that the study chooses",
        unit="index",
        items=5,
        item_range=(1, levels),
        score_range=(lowest, 1.0),
        direction=1,
        max_missing=0,
        missing_rule=MISSING_ITEM_NULL,
        rule="value_set",
        version=version,
        source="the value set's",
    )


def _converted(
    id: str,
    title: str,
    table: tuple[float, ...],
    version: str,
    source: str,
    unverified: str = "",
) -> Instrument:
    return Instrument(
        id=id,
        measure=id.lower(),
        title=f"{title}, 0 to 100",
        unit="points",
        items=(len(table) - 1) // 4,
        item_range=(0, 4),
        score_range=(0.0, 100.0),
        direction=1,
        max_missing=0,
        missing_rule=MISSING_ITEM_NULL,
        rule="conversion",
        version=version,
        source=source,
        conversion=table,
        unverified=unverified,
    )


_AWELL = "table and missing items: awell-score (github.com/awell-health/awell-score), checked there"

_ONE_LINEAGE = (
    "The conversion table comes from a single lineage and was not compared with its publisher's. "
    "That no item may be missing is the cautious choice: no published rule was found."
)


def _disability(
    id: str, title: str, items: int, max_missing: int, version: str, source: str
) -> Instrument:
    return Instrument(
        id=id,
        measure=id.lower(),
        title=f"{title}, 0 to 100, lower is better",
        unit="points",
        items=items,
        item_range=(0, 5),
        score_range=(0.0, 100.0),
        direction=-1,
        max_missing=max_missing,
        missing_rule=MISSING_ITEM_MEAN if max_missing else MISSING_ITEM_NULL,
        rule="percentage",
        version=version,
        source=source,
    )


_AT_LEAST_NINE = (
    "missing items: awell-score (github.com/awell-health/awell-score), at least 9 of 10"
)


def _pain(place: str) -> Instrument:
    return Instrument(
        id=f"NRS_{place.upper()}",
        measure=f"nrs_{place}",
        title=f"{place.capitalize()} pain, numeric rating scale 0 to 10, lower is better",
        unit="points",
        items=0,
        item_range=(0, 0),
        score_range=(0.0, 10.0),
        direction=-1,
        max_missing=0,
        missing_rule=MISSING_ITEM_NULL,
        rule="as_answered",
        version="0-10",
        source="Clement et al. 2015 (ICHOM low back pain set) for back and leg"
        if place in ("back", "leg")
        else "the Norwegian spine registry's indicators (R package Rapporteket/nakke)",
    )


_SUBSCALES = {
    "SYMPTOMS": ("Symptoms", {"KOOS": 7, "HOOS": 5}),
    "PAIN": ("Pain", {"KOOS": 9, "HOOS": 10}),
    "ADL": ("Daily Living", {"KOOS": 17, "HOOS": 17}),
    "SPORT": ("Sport and Recreation", {"KOOS": 5, "HOOS": 4}),
    "QOL": ("Quality of Life", {"KOOS": 4, "HOOS": 4}),
}
_SUBSCALE_SOURCES = {
    "KOOS": ("missing items as of 2012", "KOOS scoring instructions, August 2012 (koos.nu)"),
    "HOOS": ("missing items as of 2013", "HOOS scoring instructions, June 2013 (koos.nu)"),
}  # fmt: skip


def _subscale(family: str, part: str) -> Instrument:
    title, items = _SUBSCALES[part]
    version, source = _SUBSCALE_SOURCES[family]
    return Instrument(
        id=f"{family}_{part}",
        measure=f"{family}_{part}".lower(),
        title=f"{family} {title}, 0 to 100",
        unit="points",
        items=items[family],
        item_range=(0, 4),
        score_range=(0.0, 100.0),
        direction=1,
        max_missing=items[family] // 2,
        missing_rule=MISSING_ITEM_MEAN,
        rule="health_percentage",
        version=version,
        source=source,
    )


INSTRUMENTS: MappingProxyType[str, Instrument] = MappingProxyType(
    {
        one.id: one
        for one in (
            _oxford("ohs", "Hip"),
            _oxford("oks", "Knee"),
            replace(
                _eq5d("EQ-5D-3L", 3, -1.0),
                id="EQ5D3L_UK_TTO",
                measure="eq5d",
                title="EQ-5D-3L index, United Kingdom time trade-off value set (1997)",
                score_range=UK_TTO_1997.range,
                source=UK_TTO_1997.source,
                value_set=UK_TTO_1997,
            ),
            _eq5d("EQ-5D-3L", 3, -1.0),
            _eq5d("EQ-5D-5L", 5, -1.5),
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
                rule="as_answered",
                version="0-100",
                source="EuroQol Group, EQ-5D-3L user guide",
            ),
            _converted("HOOS_PS", "HOOS-PS", HOOS_PS, "2008, 100 = no difficulty",
                       f"Davis et al. 2008, Osteoarthritis Cartilage; {_AWELL}"),
            _converted("KOOS_PS", "KOOS-PS", KOOS_PS, "2008, 100 = no difficulty",
                       f"Perruccio et al. 2008, Osteoarthritis Cartilage; {_AWELL}"),
            _converted("HOOS_JR", "HOOS JR", HOOS_JR, "2016",
                       "Lyman et al. 2016, Clin Orthop Relat Res 474:1472-1482", _ONE_LINEAGE),
            _converted("KOOS_JR", "KOOS JR", KOOS_JR, "2016",
                       "Lyman et al. 2016, Clin Orthop Relat Res 474:1461-1471", _ONE_LINEAGE),
            _disability("ODI", "Oswestry Disability Index", 10, 1, "10 items",
                        f"Fairbank and Pynsent 2000, Spine 25:2940-2952; {_AT_LEAST_NINE}"),
            _disability("ODI9", "Oswestry Disability Index without item 8", 9, 0,
                        "9 items, item 8 not asked",
                        "Ben et al. 2023, Value in Health, doi:10.1016/j.jval.2023.01.020 (items "
                        "asked); percentage of the 9 items asked, which leaves none to miss"),
            _disability("NDI", "Neck Disability Index", 10, 1, "10 items",
                        f"Vernon and Mior 1991, J Manipulative Physiol Ther 14:409-415; "
                        f"{_AT_LEAST_NINE}"),
            *(_pain(place) for place in ("back", "leg", "arm", "neck")),
            *(_subscale(family, part) for family in ("KOOS", "HOOS") for part in _SUBSCALES),
        )
    }
)  # fmt: skip
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


def with_value_set(instrument: Instrument, value_set: ValueSet) -> Instrument:
    """Return an EQ-5D instrument that carries the value set chosen for it.

    Parameters
    ----------
    instrument : Instrument
        One whose rule is `value_set`.
    value_set : ValueSet
        Of the version that was answered.

    Returns
    -------
    Instrument
        With the title, range and source of that value set; id and columns stay.

    Raises
    ------
    ValuesError
        When the instrument takes no value set, has another of its own, or asks another version.

    Examples
    --------
    >>> chosen = with_value_set(instrument("EQ5D3L"), UK_TTO_1997)
    >>> chosen.title, chosen.score_range
    ('EQ-5D-3L index, UK TTO value set', (-0.594, 1.0))
    """
    if instrument.rule != "value_set":
        raise ValuesError(
            f"{instrument.id}: wanted no value set, as its score is no EQ-5D index; got "
            f"{value_set.id}. Leave it out."
        )
    if instrument.value_set is not None and instrument.value_set != value_set:
        raise ValuesError(
            f"{instrument.id}: wanted its own value set, {instrument.value_set.id}; got "
            f"{value_set.id}. Use EQ5D3L or EQ5D5L with it."
        )
    if instrument.version != value_set.version:
        raise ValuesError(
            f"{instrument.id}: wanted a value set for answers to {instrument.version}; got "
            f"{value_set.id}. A crosswalk has the version that was answered in front of its id."
        )
    if instrument.value_set is not None:
        return instrument
    return replace(
        instrument,
        title=f"{value_set.version} index, {value_set.country} {value_set.type} value set",
        score_range=value_set.range,
        source=value_set.source,
        value_set=value_set,
    )
