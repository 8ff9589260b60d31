"""The columns of the episode table, as data: what each holds, when it is known, whose it is.

One row of the table is one eligible episode; a missing value is null. `known_at` and `role` are
what keeps a comparison honest: case mix may only hold what is known at `baseline` and belongs to
the patient (see `riskadj.casemix.roles`).
"""

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Literal

from pydantic import BaseModel, ConfigDict, model_validator

from riskadj.errors import StudyError
from riskadj.instruments import INSTRUMENTS, Instrument

Kind = Literal["text", "number", "whole", "flag", "date"]
KnownAt = Literal["baseline", "during", "after"]
Role = Literal["clinical", "social", "provider_influenced", "identifier", "reference"]


class Column(BaseModel):
    """What a column of the episode table holds.

    `codes` maps what files hold to what the table holds; `missing_codes` are read as null.
    A `flag` is 1 for yes and 0 for no. `group` names what the column is about, for summaries.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: str
    kind: Kind
    known_at: KnownAt
    role: Role
    meaning: str
    unit: str = ""
    low: float | None = None
    high: float | None = None
    codes: dict[str, str | float] = {}
    missing_codes: tuple[str, ...] = ()
    required: bool = False
    unique: bool = False
    group: str = ""

    @model_validator(mode="after")
    def _holds_something(self) -> "Column":
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError(f"wanted low up to high; got {self.low:g} and {self.high:g}")
        if self.kind != "text" and any(isinstance(one, str) for one in self.codes.values()):
            raise ValueError(f"wanted codes that become numbers with kind {self.kind}; got a text")
        return self

    @property
    def theme(self) -> str:
        """What it is about, for people who read about many columns at once."""
        matches = (theme for pattern, theme in _THEMES if fnmatchcase(self.name, pattern))
        return self.group or next(matches)


_THEMES = (
    ("q1_*", "scores before"),
    ("comorb_*", "comorbidity"),
    ("charlson_*", "comorbidity"),
    ("elixhauser_*", "comorbidity"),
    ("cms_hcc_*", "comorbidity"),
    ("age_*", "age and sex"),
    ("sex", "age and sex"),
    ("living_arrangements", "social circumstances"),
    ("deprivation_decile", "social circumstances"),
    ("ethnicity", "social circumstances"),
    ("education", "social circumstances"),
    ("insurance", "social circumstances"),
    ("*", "health and history"),
)


_EMPTY = ("", "*", "-")
_FLAG_CODES: dict[str, str | float] = {
    "1": 1.0, "1.0": 1.0, "true": 1.0, "True": 1.0, "yes": 1.0,
    "0": 0.0, "0.0": 0.0, "false": 0.0, "False": 0.0, "no": 0.0,
}  # fmt: skip


def _text(name: str, role: Role, meaning: str, **more: object) -> Column:
    settings = {"known_at": "baseline", "missing_codes": _EMPTY} | more
    return Column(name=name, kind="text", role=role, meaning=meaning, **settings)


def _number(name: str, meaning: str, unit: str, low: float, high: float, **more: object) -> Column:
    settings = {"kind": "number", "known_at": "baseline", "role": "clinical"} | more
    return Column(
        name=name,
        meaning=meaning,
        unit=unit,
        low=low,
        high=high,
        missing_codes=_EMPTY,
        **settings,
    )


def _grade(name: str, meaning: str, high: int, **more: object) -> Column:
    return _number(name, meaning, "grade", 1, high, kind="whole", **more)


def _flag(name: str, meaning: str, **more: object) -> Column:
    settings = {"known_at": "baseline", "role": "clinical"} | more
    return Column(
        name=name,
        kind="flag",
        meaning=meaning,
        low=0,
        high=1,
        codes=_FLAG_CODES,
        missing_codes=(*_EMPTY, "9"),
        **settings,
    )


def _date(name: str, meaning: str, known_at: KnownAt) -> Column:
    return Column(
        name=name,
        kind="date",
        known_at=known_at,
        role="clinical",
        meaning=meaning,
        missing_codes=_EMPTY,
    )


COMORBIDITIES = (
    "heart", "high_bp", "stroke", "circulation", "lung", "diabetes",
    "kidney", "nervous", "liver", "cancer", "depression", "arthritis",
)  # fmt: skip

CHARLSON = (
    "myocardial_infarction", "heart_failure", "peripheral_vascular", "cerebrovascular", "dementia",
    "lung", "rheumatic", "peptic_ulcer", "liver_mild", "diabetes", "diabetes_complicated",
    "paralysis", "kidney", "cancer", "liver_severe", "metastatic_cancer", "aids",
)  # fmt: skip
"""The conditions of Charlson's index, in the order of Quan et al. 2005."""

ELIXHAUSER = (
    "heart_failure", "arrhythmia", "valvular", "pulmonary_circulation", "peripheral_vascular",
    "hypertension", "hypertension_complicated", "paralysis", "neurological", "lung", "diabetes",
    "diabetes_complicated", "hypothyroidism", "kidney", "liver", "peptic_ulcer", "aids",
    "lymphoma", "metastatic_cancer", "solid_tumour", "rheumatic", "coagulopathy", "obesity",
    "weight_loss", "fluids", "anaemia_blood_loss", "anaemia_deficiency", "alcohol", "drugs",
    "psychoses", "depression",
)  # fmt: skip
"""The conditions of Elixhauser's measures, in the order of Quan et al. 2005."""

COST_WINDOWS = (30, 60, 90, 180, 365)
"""Days after discharge, or after admission, to which the cost of an episode may be counted."""

COST_PARTS = ("readmit", "postacute", "outpatient", "professional")
"""What the cost of an episode is made of, beside the index stay."""


def _cost(name: str, meaning: str, known_at: KnownAt) -> Column:
    return _number(
        f"cost_{name}", f"cost: {meaning}", "currency", 0, 1e8, known_at=known_at,
        role="provider_influenced",
    )  # fmt: skip


_PART_MEANINGS = {
    "readmit": "readmissions",
    "postacute": "nursing, rehabilitation, home health and hospice care",
    "outpatient": "outpatient care, drugs and equipment",
    "professional": "professional services, those during the index stay too",
    "total": "everything",
}

_COST: tuple[Column, ...] = (
    _text("drg", "clinical", "diagnosis-related group, coded at discharge", known_at="during"),
    _number("length_of_stay", "from admission to discharge", "days", 0, 3650, known_at="during",
            role="provider_influenced"),
    _number("prior_cost", "cost: care that ended before the episode, in the look-back", "currency",
            0, 1e8, role="provider_influenced"),
    _cost("index", "index stay", "during"),
    *(
        _cost(f"{part}_{days}d", f"{meaning}, to day {days}", "after")
        for part, meaning in _PART_MEANINGS.items()
        for days in COST_WINDOWS
    ),
    *(
        _flag(f"readmitted_{days}d", f"admitted again by day {days}", known_at="after")
        for days in COST_WINDOWS
    ),
)  # fmt: skip

_FROM_DIAGNOSES: tuple[Column, ...] = (
    *(_flag(f"charlson_{one}", f"Charlson: {one.replace('_', ' ')}") for one in CHARLSON),
    _number("charlson_index", "Charlson index, weights of 1987", "points", 0, 40, kind="whole"),
    _number("charlson_index_2011", "Charlson index, weights of Quan et al. 2011", "points", 0, 24,
            kind="whole"),
    *(_flag(f"elixhauser_{one}", f"Elixhauser: {one.replace('_', ' ')}") for one in ELIXHAUSER),
    _number("elixhauser_count", "Elixhauser conditions", "conditions", 0, 31, kind="whole"),
    _number("elixhauser_van_walraven", "Elixhauser conditions weighed by van Walraven et al. 2009",
            "points", -30, 120, kind="whole"),
    _number("cms_hcc_score", "CMS-HCC risk score, as given by its model: not normalised", "score",
            0, 50),
    _number("cms_hcc_count", "CMS-HCC payment conditions", "conditions", 0, 120, kind="whole"),
)  # fmt: skip

_OF_DISCHARGES: tuple[Column, ...] = (
    _text("age_group", "clinical", "age at admission, in groups"),
    _text("area", "social", "first digits of the postal code"),
    _text("race", "social", "race as recorded"),
    _text("admission_type", "clinical", "emergency, urgent, elective, newborn, trauma"),
    _flag("emergency", "came through the emergency department"),
    _number("birth_weight", "weight at birth, of newborns", "g", 100, 9999),
    _text("diagnosis_group", "clinical", "group of the main diagnosis", known_at="during"),
    _text("procedure_code_group", "clinical", "group of the main procedure", known_at="during"),
    _number("drg_severity", "severity within the diagnosis-related group, 4 = extreme", "grade", 1,
            4, kind="whole", known_at="during"),
    _number("drg_mortality_risk", "risk of dying within the group, 4 = extreme", "grade", 1, 4,
            kind="whole", known_at="during"),
    _text("drg_kind", "clinical", "whether the group is medical or surgical", known_at="during"),
    _text("disposition", "provider_influenced", "where to after discharge", known_at="during"),
    _number("charges", "what was charged; not what it cost", "currency", 0, 1e9,
            known_at="during", role="provider_influenced"),
)  # fmt: skip

_FIXED: tuple[Column, ...] = (
    _text("episode_id", "identifier", "the episode; a pseudonym", required=True, unique=True),
    _text("patient_id", "identifier", "the patient; a pseudonym"),
    _text("provider_id", "identifier", "who is compared: the operating provider", required=True),
    _text("administering_provider_id", "identifier", "who gave out the first questionnaire"),
    _text("surgeon_id", "identifier", "the surgeon; a pseudonym"),
    _text("commissioner_id", "identifier", "who paid"),
    _text("period", "identifier", "reporting period, such as 2016/17"),
    _text("procedure_group", "clinical", "what was done: HIP_PRIM, HIP_REV, KNEE_PRIM, ..."),
    _text("condition", "clinical", "why it was done"),
    _date("index_date", "date of the operation", "baseline"),
    _date("discharge_date", "date of discharge", "during"),
    _text("laterality", "clinical", "side: L, R or B", codes={"L": "L", "R": "R", "B": "B"}),
    _number("age_years", "age at the operation", "years", 0, 120),
    _number("age_band_10y", "lower end of the ten-year age band", "years", 0, 120, kind="whole"),
    _text(
        "sex",
        "clinical",
        "sex",
        codes={"1": "male", "2": "female", "male": "male", "female": "female"},
        missing_codes=(*_EMPTY, "9", "0"),
    ),
    _text("ethnicity", "social", "ethnic group"),
    _number(
        "deprivation_decile", "area deprivation, 1 = most deprived", "decile", 1, 10,
        kind="whole", role="social",
    ),
    _text("education", "social", "highest education"),
    _text("insurance", "social", "insurance"),
    _number("bmi", "body mass index", "kg/m2", 10, 80),
    _flag("smoker", "smokes"),
    _grade("asa", "ASA physical status, 1 = healthy", 5),
    _text("diagnosis_code", "clinical", "main diagnosis"),
    _text("diagnosis_system", "clinical", "coding system of the diagnosis"),
    *(_flag(f"comorb_{one}", f"comorbidity: {one.replace('_', ' ')}") for one in COMORBIDITIES),
    _flag("comorb_block_answered", "at least one comorbidity was ticked"),
    _grade("symptom_period", "1 = under a year, 2 = 1-5, 3 = 6-10, 4 = over 10 years", 4),
    _flag("previous_surgery", "earlier surgery on the same joint or level"),
    _flag("disability", "considers themself disabled"),
    _flag("assisted_q1", "had help with the first questionnaire"),
    _text(
        "living_arrangements",
        "social",
        "lives with family, alone, in a care home, or otherwise",
        codes={
            "1": "with_family", "2": "alone", "3": "care_home", "4": "other",
            "with_family": "with_family", "alone": "alone", "care_home": "care_home",
            "other": "other",
        },
        missing_codes=(*_EMPTY, "9"),
    ),
    _grade("general_health_q1", "general health before, 1 = excellent", 5),
    _date("q1_date", "date of the questionnaire before", "baseline"),
    _date("q2_date", "date of the questionnaire after", "after"),
    _number("q2_days", "days from operation to the questionnaire after", "days", 0, 3650,
            known_at="after"),
    _grade("anchor_change", "compared with before, 1 = much better, 5 = much worse", 5,
           known_at="after"),
    _grade("satisfaction", "result of the operation, 1 = excellent", 5, known_at="after"),
    _flag("q2_sent", "second questionnaire sent", known_at="after"),
    _flag("q2_returned", "second questionnaire returned", known_at="after"),
    _flag("deceased", "died before the second questionnaire", known_at="after"),
    _flag("revised_before_q2", "operated on again before it", known_at="after"),
    _flag("complication_allergy", "allergic reaction", known_at="after"),
    _flag("complication_bleeding", "bleeding", known_at="after"),
    _flag("complication_wound", "wound problem", known_at="after"),
    _flag("complication_urine", "urinary problem", known_at="after"),
    _flag("readmitted", "admitted again", known_at="after"),
    _flag("further_surgery", "further surgery on the joint or level", known_at="after"),
    *_COST,
    *_FROM_DIAGNOSES,
    *_OF_DISCHARGES,
)  # fmt: skip


def _measure_columns(one: Instrument) -> list[Column]:
    low, high = one.score_range
    name = one.title.split(",", maxsplit=1)[0].removesuffix(" index")
    rounds: tuple[tuple[str, KnownAt, str], ...] = (
        ("q1", "baseline", "before"),
        ("q2", "after", "after"),
    )
    columns = [
        _number(f"{q}_score_{one.measure}", f"{one.title}, {when}", one.unit, low, high,
                known_at=known_at)
        for q, known_at, when in rounds
    ]  # fmt: skip
    columns += [
        _number(f"{q}_item_{one.measure}_{item:02d}", f"{name} item {item}, {when}", "code",
                *one.item_range, kind="whole", known_at=known_at)
        for q, known_at, when in rounds
        for item in range(1, one.items + 1)
    ]  # fmt: skip
    reference = _number(
        f"reference_predicted_{one.measure}",
        f"{name} after, as another model expects it",
        one.unit,
        low - (high - low),
        high + (high - low),
        role="reference",
    )
    return [*columns, reference]


COLUMNS: dict[str, Column] = {
    one.name: one
    for one in (
        *_FIXED,
        *(column for entry in INSTRUMENTS.values() for column in _measure_columns(entry)),
    )
}
"""The canonical columns by name."""

RESERVED = frozenset(
    {
        "outcome", "learner", "fold", "(fold)", "base", "baseline_score", "observed", "expected",
        "answered", "score_after", "observed_score", "expected_score", "expected_score_raw",
        "(score before)",
    }
)  # fmt: skip
"""What the tables of a run call columns of their own."""


def declared_columns(extra: Iterable[Column] = ()) -> dict[str, Column]:
    """Return the canonical columns and those that a study declares, by name.

    Raises
    ------
    StudyError
        When a study declares a name again, its own or a canonical one, or a reserved name.

    Examples
    --------
    >>> declared_columns()["q2_score_ohs"].known_at
    'after'
    """
    declared = dict(COLUMNS)
    for one in extra:
        if one.name in RESERVED:
            raise StudyError(
                f"data.columns: wanted a name that is free; got {one.name!r}, which the tables of "
                "a run use for something else. Give it another name."
            )
        if one.name in COLUMNS:
            raise StudyError(
                f"data.columns: wanted columns beyond the canonical ones; got {one.name!r}, which "
                "is one and keeps its declaration. Remove it, or give it another name."
            )
        if one.name in declared:
            raise StudyError(
                f"data.columns: wanted each name once; got {one.name!r} twice. Remove one of them."
            )
        declared[one.name] = one
    return declared
