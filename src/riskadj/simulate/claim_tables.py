"""What a year of care is made of, by procedure group: codes, prices and timing, as data tables.

Prices are in about US dollars of 2020. From publications: that the index stay of a spinal fusion is
nearly all of a 90-day bundle (4 to 8 % come after discharge; Spine 2014, PubMed 24831503), and that
stays differ most between areas, readmissions next and post-acute care least (Dalton, Mjåset et al.
2021: adjusted index stays of 11,033 to 19,960 dollars for the neck and 18,565 to 36,844 for the
back). Everything else is chosen to be plausible.

Diagnoses are ICD-10-CM without dots, groups MS-DRG, procedures CPT.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from riskadj.simulate.populations import ProcedureGroup

WINDOWS = (30, 60, 90, 180, 365)
"""Days after discharge."""

PARTS = ("index", "readmit", "postacute", "outpatient", "professional")
"""What the cost of an episode is made of; the number of a part is its place here."""

SETTINGS = (
    "inpatient", "outpatient", "professional", "snf", "rehab", "home_health", "drug", "equipment",
)  # fmt: skip
STATUSES = ("home", "transfer", "died", "other", "")
"""How an inpatient stay ends; the last is of lines that are no stay."""

# condition: the code that says so. Those of Charlson's or Elixhauser's tables are among them.
CONDITION_CODES: MappingProxyType[str, str] = MappingProxyType(
    {
        "heart": "I509", "high_bp": "I10", "stroke": "I639", "circulation": "I739",
        "lung": "J449", "diabetes": "E119", "kidney": "N1830", "nervous": "G35",
        "liver": "K7460", "cancer": "C189", "depression": "F331", "arthritis": "M1990",
    }
)  # fmt: skip

COSTLY: MappingProxyType[str, float] = MappingProxyType(
    {"heart": 0.10, "lung": 0.06, "kidney": 0.12, "diabetes": 0.05, "depression": 0.04}
)
"""What a condition adds to the log of every amount, on record or not."""

COMPLICATING = ("heart", "stroke", "lung", "kidney", "liver", "cancer")
"""A stay with one of these on record is in the dearer of its two groups."""


@dataclass(frozen=True)
class Amount:
    """A lognormal price.

    Attributes
    ----------
    median : float
        In dollars.
    spread : float
        SD of the logarithm.
    """

    median: float
    spread: float


@dataclass(frozen=True)
class Care:
    """Care of one kind after discharge.

    Attributes
    ----------
    share : float
        Share of patients that have any; 1 where only `lines` count.
    lines : float
        Mean number of lines in a year of those that have any.
    amount : Amount
        Of a line.
    timing : tuple of float
        Share of lines in days 1 to 30, 31 to 60, 61 to 90, 91 to 180 and 181 to 365.
    """

    share: float
    lines: float
    amount: Amount
    timing: tuple[float, ...]


@dataclass(frozen=True)
class Bundle:
    """What starts an episode of a procedure group, and what follows.

    Attributes
    ----------
    setting : str
        Of the index claim.
    drgs : tuple of str
        Of the stay with and without complicating conditions on record; none without a stay.
    procedure, principal : str
        Codes of the index claim.
    stay, surgeon : Amount
        Of the index claim, and of the professional lines during it.
    nights : float
        Mean length of stay.
    readmissions, post_acute, outpatient, professional : Care
    """

    setting: str
    drgs: tuple[str, ...]
    procedure: str
    principal: str
    stay: Amount
    surgeon: Amount
    nights: float
    readmissions: Care
    post_acute: Care
    outpatient: Care
    professional: Care


_STAYS = (0.32, 0.13, 0.10, 0.21, 0.24)
_AFTER_CARE = (0.78, 0.12, 0.04, 0.04, 0.02)
_CHECKS = (0.34, 0.19, 0.13, 0.19, 0.15)
EVENLY = (30 / 365, 30 / 365, 30 / 365, 90 / 365, 185 / 365)

_VISITS = Care(1.0, 4.0, Amount(140.0, 0.9), _CHECKS)
_CONSULTATIONS = Care(1.0, 3.0, Amount(95.0, 0.6), _CHECKS)
_THERAPY = Care(1.0, 9.0, Amount(75.0, 0.5), (0.40, 0.25, 0.13, 0.14, 0.08))

BUNDLES: MappingProxyType[ProcedureGroup, Bundle] = MappingProxyType(
    {
        "HIP_PRIM": Bundle(
            "inpatient", ("469", "470"), "27130", "M1611", Amount(11_500.0, 0.20),
            Amount(1_150.0, 0.20), 2.2, Care(0.095, 1.0, Amount(8_500.0, 0.80), _STAYS),
            Care(0.42, 4.0, Amount(950.0, 0.80), _AFTER_CARE), _THERAPY, _CONSULTATIONS,
        ),
        "KNEE_PRIM": Bundle(
            "inpatient", ("469", "470"), "27447", "M1711", Amount(11_200.0, 0.20),
            Amount(1_150.0, 0.20), 2.3, Care(0.095, 1.0, Amount(8_000.0, 0.80), _STAYS),
            Care(0.48, 4.5, Amount(900.0, 0.80), _AFTER_CARE), _THERAPY, _CONSULTATIONS,
        ),
        "LUMBAR_DISC": Bundle(
            "inpatient", ("519", "520"), "63030", "M5126", Amount(7_200.0, 0.22),
            Amount(950.0, 0.22), 0.9, Care(0.085, 1.0, Amount(8_200.0, 0.75), _STAYS),
            Care(0.07, 3.0, Amount(750.0, 0.80), _AFTER_CARE), _VISITS, _CONSULTATIONS,
        ),
        "LUMBAR_STENOSIS": Bundle(
            "inpatient", ("519", "520"), "63047", "M48062", Amount(9_400.0, 0.25),
            Amount(1_200.0, 0.22), 2.1, Care(0.110, 1.0, Amount(9_500.0, 0.80), _STAYS),
            Care(0.19, 3.5, Amount(900.0, 0.80), _AFTER_CARE), _VISITS, _CONSULTATIONS,
        ),
        "LUMBAR_FUSION": Bundle(
            "inpatient", ("459", "460"), "22612", "M4316", Amount(25_500.0, 0.28),
            Amount(2_400.0, 0.25), 3.4, Care(0.105, 1.0, Amount(10_500.0, 0.85), _STAYS),
            Care(0.15, 3.5, Amount(950.0, 0.80), _AFTER_CARE), _VISITS, _CONSULTATIONS,
        ),
        "CERVICAL_RADICULOPATHY_ANTERIOR": Bundle(
            "inpatient", ("472", "473"), "22551", "M5412", Amount(14_800.0, 0.26),
            Amount(1_700.0, 0.22), 1.3, Care(0.070, 1.0, Amount(10_500.0, 0.80), _STAYS),
            Care(0.06, 3.0, Amount(800.0, 0.80), _AFTER_CARE), _VISITS, _CONSULTATIONS,
        ),
        "LOW_BACK_PAIN": Bundle(
            "outpatient", (), "99204", "M5450", Amount(190.0, 0.30),
            Amount(85.0, 0.30), 0.0, Care(0.020, 1.0, Amount(5_200.0, 0.80), _STAYS),
            Care(0.01, 2.0, Amount(700.0, 0.80), _AFTER_CARE), _THERAPY, _CONSULTATIONS,
        ),
    }
)  # fmt: skip
"""By procedure group."""

# setting: share, days that a claim spans. Of post-acute care.
POST_ACUTE_SETTINGS: Mapping[str, tuple[float, int]] = MappingProxyType(
    {"snf": (0.20, 6), "rehab": (0.12, 5), "home_health": (0.68, 6)}
)

BACKGROUND = Care(1.0, 9.0, Amount(85.0, 0.9), EVENLY)
"""A year of care that has nothing to do with the procedure; no provider moves it."""

# setting: share, part. Of care that has nothing to do with the procedure.
BACKGROUND_SETTINGS: Mapping[str, tuple[float, str]] = MappingProxyType(
    {
        "professional": (0.52, "professional"),
        "outpatient": (0.20, "outpatient"),
        "drug": (0.24, "outpatient"),
        "equipment": (0.04, "outpatient"),
    }
)

EARLIER_STAYS = Care(0.06, 1.0, Amount(6_000.0, 0.8), EVENLY)
"""Hospital stays in the year before."""

VISIT_CODES = ("99213", "99214", "97110", "72100", "")
"""Procedures of visits: consultations, exercise, imaging, or none on record."""

VISIT_REASONS = ("Z09", "Z0000", "R509", "J069", "M545")
"""Principal diagnoses of visits: check-up, examination, fever, a cold, back pain."""

READMISSION_DRGS = ("862", "863", "175", "689", "391", "948")
READMISSION_REASONS = ("T8141XA", "T8189XA", "I2699", "N390", "K529", "R5383")
"""Groups and principal diagnoses of readmissions, together: wound infection and other trouble of
surgery, embolism, urinary infection, gastroenteritis, fatigue."""

AFTERCARE_DRG, AFTERCARE_REASON = "949", "Z4789"
"""Of the second hospital of a stay with a transfer."""

RECORDED = {"index": 0.92, "stay": 0.75, "visit": 0.30}
"""Chance that a line carries a condition that its provider has on record."""

KNOWN_DRGS = tuple(
    sorted(
        {one for bundle in BUNDLES.values() for one in bundle.drgs}
        | {*READMISSION_DRGS, AFTERCARE_DRG}
    )
)
"""Every group that a stay can be in."""
