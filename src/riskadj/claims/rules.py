"""How claim lines become episodes, as frozen records: every choice that a cost depends on.

What has no default must be said. The price of a patient who dies, moves away or is moved to
another hospital differs several times over with the answer, so that no answer is assumed.
"""

from datetime import date
from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import BeforeValidator, Field, model_validator

from riskadj.errors import did_you_mean
from riskadj.record import Record

Setting = Literal[
    "inpatient", "outpatient", "professional", "snf", "rehab", "home_health", "hospice", "drug",
    "equipment",
]  # fmt: skip
Window = Literal[30, 60, 90, 180, 365]
Segment = Literal["CFA", "CFD", "CNA", "CND", "CPA", "CPD", "INS"]

SETTINGS: tuple[str, ...] = get_args(Setting)
"""Where care is given; the number of a setting in the tables of lines is its place here."""

STATUSES = ("home", "transfer", "died", "other")
"""How an inpatient stay ends; numbered likewise."""

PART_OF_SETTING: dict[str, str] = {
    "inpatient": "readmit",
    "outpatient": "outpatient",
    "drug": "outpatient",
    "equipment": "outpatient",
    "professional": "professional",
    "snf": "postacute",
    "rehab": "postacute",
    "home_health": "postacute",
    "hospice": "postacute",
}
"""Which part of an episode's cost a line is, when it is no line of the index stay."""

CLAIM_COLUMNS = (
    "claim_id", "patient_id", "provider_id", "from_date", "to_date", "setting", "drg",
    "procedure_code", "diagnosis_codes", "paid_amount", "discharge_status",
)  # fmt: skip
"""The columns of a file of claim lines; `currency` may be there too."""

PATIENT_COLUMNS = (
    "patient_id", "birth_date", "sex", "enrolled_from", "enrolled_to", "death_date",
)  # fmt: skip
"""The columns of the file of patients; canonical columns of the episode table may be there too."""

MAX_GROUPS = 60
"""Groups are bits of one whole number."""


def _as_written(value: object) -> str:
    """Return a code as a file holds it; YAML reads 470 as a number."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise ValueError("wanted a code: text, best in quotes, or a whole number")


Code = Annotated[str, BeforeValidator(_as_written), Field(min_length=1)]


class IndexEvent(Record):
    """What starts an episode of one procedure group."""

    setting: Setting = "inpatient"
    drgs: tuple[Code, ...] = Field((), description="one of these; none: any")
    procedures: tuple[Code, ...] = Field(
        (), description="one of these on a line of the claim; none: any. With drgs, both must hold"
    )

    @model_validator(mode="after")
    def _says_which(self) -> "IndexEvent":
        if not self.drgs and not self.procedures:
            raise ValueError("wanted drgs, procedures or both; got neither")
        if self.drgs and self.setting != "inpatient":
            raise ValueError(f"wanted drgs of inpatient claims only; got some of {self.setting}")
        return self


class DataPeriod(Record):
    """The first and the last day that the claims cover in full."""

    begins: date
    ends: date

    @model_validator(mode="after")
    def _begins_before_it_ends(self) -> "DataPeriod":
        if self.begins > self.ends:
            raise ValueError(f"wanted begins up to ends; got {self.begins} and {self.ends}")
        return self


class ComorbidityRules(Record):
    """What is made of the diagnoses in the look-back."""

    charlson: bool = False
    elixhauser: bool = False
    cms_hcc: Literal["V24", "V28"] | None = None
    cms_hcc_segment: Segment = Field(
        "CNA", description="whose coefficients: CNA is community, not dual, aged"
    )

    @property
    def wanted(self) -> bool:
        """Whether diagnoses are read at all."""
        return self.charlson or self.elixhauser or self.cms_hcc is not None


class ClaimRules(Record):
    """How claim lines become episodes.

    Examples
    --------
    >>> rules = ClaimRules.model_validate({
    ...     "patients": "patients.parquet",
    ...     "index": {"HIP_PRIM": {"setting": "inpatient", "drgs": [469, 470]}},
    ...     "windows": [30, 90], "counted_from": "discharge", "overlap": "first",
    ...     "transfers": "to_first", "death": "exclude", "disenrolment": "exclude",
    ...     "lookback_days": 180, "currency": "USD", "minor_units": 2, "price_year": 2023,
    ...     "period": {"begins": "2021-01-01", "ends": "2023-12-31"},
    ...     "known_drgs": None,
    ... })
    >>> rules.longest, rules.index["HIP_PRIM"].drgs
    (90, ('469', '470'))
    """

    patients: Path
    proms: Path | None = Field(None, description="questionnaires, by patient_id and index_date")
    proms_within_days: int = Field(
        14, ge=0, description="how far the index_date of a questionnaire may be from the episode's"
    )
    rename: dict[str, str] = Field({}, description="their column name in claims or patients: ours")
    index: dict[str, IndexEvent] = Field(
        min_length=1,
        max_length=MAX_GROUPS,
        description="procedure group: what starts an episode of it; the first that fits is taken",
    )
    windows: tuple[Window, ...] = Field(min_length=1, description="days")
    counted_from: Literal["discharge", "admission"] = Field(
        description="the day that is day 0; care between admission and discharge counts either way"
    )
    overlap: Literal["first", "drop_both"] = Field(
        description="an index event in the longest window of another. first: it belongs to the "
        "earlier episode, as a readmission; drop_both: neither counts. An event that is left out "
        "for another reason takes part too"
    )
    transfers: Literal["to_first", "to_last", "separate"] = Field(
        description="a stay that begins within a day of a discharge with status transfer. "
        "to_first, to_last: part of that stay, and the first or the last provider's; separate: a "
        "stay of its own"
    )
    death: Literal["keep", "exclude", "annualise"] = Field(
        description="in the longest window, by death_date, or else the end of a stay with status "
        "died. keep: what was paid; annualise: what came after day 0 times days of the window over "
        "days lived"
    )
    disenrolment: Literal["exclude", "annualise"] = Field(description="in the longest window")
    annualise_from_days: int | None = Field(
        None, ge=1, description="who was seen for fewer days after day 0 is left out"
    )
    lookback_days: int = Field(
        ge=0,
        le=36_525,
        description="before admission; for comorbidity and prior_cost; enrolled throughout",
    )
    comorbidity: ComorbidityRules = ComorbidityRules()
    currency: str = Field(pattern=r"^[A-Z]{3}$")
    minor_units: int = Field(
        2, ge=0, le=4, description="decimals of an amount; sums are whole numbers of these"
    )
    price_year: int = Field(ge=1990, le=2100, description="of the standardised prices")
    period: DataPeriod
    known_drgs: tuple[Code, ...] | None = Field(
        description="refuse inpatient lines with another DRG, or none; null: any is taken"
    )
    duplicates: Literal["refuse", "keep"] = Field(
        "refuse",
        description="lines that are the same in every column that is read. keep: each counts",
    )

    @model_validator(mode="after")
    def _windows_differ_and_grow(self) -> "ClaimRules":
        if list(self.windows) != sorted(set(self.windows)):
            raise ValueError(f"windows: wanted each once, shortest first; got {self.windows}")
        return self

    @model_validator(mode="after")
    def _annualises_from_some_day(self) -> "ClaimRules":
        annualises = "annualise" in (self.death, self.disenrolment)
        if annualises != (self.annualise_from_days is not None):
            raise ValueError(
                "wanted annualise_from_days with death or disenrolment: annualise, and not "
                f"otherwise; got {self.annualise_from_days}"
            )
        return self

    @model_validator(mode="after")
    def _index_codes_mean_one_group(self) -> "ClaimRules":
        seen: dict[tuple[str, tuple[str, ...], tuple[str, ...]], str] = {}
        for group, event in self.index.items():
            key = (event.setting, tuple(sorted(event.drgs)), tuple(sorted(event.procedures)))
            if key in seen:
                raise ValueError(
                    f"index: wanted groups that differ; got the same in {seen[key]!r} and {group!r}"
                )
            seen[key] = group
        return self

    @model_validator(mode="after")
    def _index_drgs_are_known(self) -> "ClaimRules":
        if self.known_drgs is None:
            return self
        for one in sorted({drg for event in self.index.values() for drg in event.drgs}):
            if one not in self.known_drgs:
                raise ValueError(
                    f"index: wanted DRGs of known_drgs; got {one!r}."
                    f"{did_you_mean(one, self.known_drgs)}"
                )
        return self

    @model_validator(mode="after")
    def _diagnoses_have_a_lookback(self) -> "ClaimRules":
        if self.comorbidity.wanted and not self.lookback_days:
            raise ValueError("wanted lookback_days above 0 with comorbidity; got 0")
        return self

    @property
    def longest(self) -> int:
        """The longest window, in days; overlaps and enrolment go by it."""
        return self.windows[-1]

    @property
    def index_settings(self) -> tuple[str, ...]:
        """The settings whose lines are put together by claim, inpatient among them."""
        return tuple(dict.fromkeys(("inpatient", *(one.setting for one in self.index.values()))))
