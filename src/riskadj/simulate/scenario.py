"""What a simulated world is made from: every setting that its truth depends on, none hidden."""

import re
from collections.abc import Iterable
from importlib.resources import as_file, files
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from riskadj.record import Record
from riskadj.simulate.populations import ProcedureGroup
from riskadj.study.load import build, read_yaml

PERIOD = r"\d{4}(/\d{2})?"
"""A calendar year such as 2021, or a year from April such as 2021/22."""


class Providers(Record):
    """Who treats the patients, how much they differ, and in what."""

    number: int = Field(ge=5, le=999, description="how many providers")
    volume_spread: float = Field(
        ge=0, le=3, description="SD of the logarithm of a provider's volume; 0 = all alike"
    )
    effect_sd: float = Field(
        ge=0,
        le=10,
        description="SD of true effects on the outcome, points of the main score on the latent "
        "scale (Oxford scores 0 to 48, ODI and NDI 0 to 100)",
    )
    cost_effect_sd: float = Field(
        ge=0, le=1, description="SD of true effects on cost, on the log scale; 0.05 is about 5 %"
    )
    severity_sd: float = Field(
        ge=0,
        lt=1,
        description="SD of providers' mean patient frailty, in SD of patients; joints are worse "
        "there too",
    )
    confounding: float = Field(
        ge=-1,
        le=1,
        description="correlation of a provider's severity with its true effect on the outcome; "
        "negative: frailer patients go to worse providers",
    )
    outcome_cost_correlation: float = Field(
        ge=-1,
        le=1,
        description="correlation of true effects on outcome and on cost; positive: providers with "
        "better results are dearer",
    )
    coding_intensity_sd: float = Field(
        ge=0,
        le=1,
        description="SD of how readily providers record comorbidity, in SD of its latent "
        "variable; changes what is on record, never anybody's health or cost",
    )


LogOdds = Annotated[float, Field(ge=-20, le=20)]


class FollowUp(Record):
    """Who does not answer the second questionnaire, and what that depends on.

    Each `by_*` adds to the log-odds of not answering. All but `by_outcome` depend on what is
    known before (missing at random); `by_outcome` depends on what would have been answered.
    """

    missing: float = Field(
        ge=0, le=0.9, description="share of episodes without a second questionnaire"
    )
    unsent: float = Field(
        ge=0, le=0.9, description="share never sent one, by chance; a part of `missing`"
    )
    by_baseline: LogOdds = Field(description="log-odds per SD of worse health before")
    by_age: LogOdds = Field(description="log-odds per SD (9.2 years) of younger age")
    by_depression: LogOdds = Field(description="log-odds for those with depression")
    by_outcome: LogOdds = Field(description="log-odds per SD of worse health after")
    by_provider: LogOdds = Field(ge=0, description="SD of the log-odds between providers")

    @model_validator(mode="after")
    def _unsent_is_a_part(self) -> "FollowUp":
        if self.unsent > self.missing:
            raise ValueError(f"wanted unsent up to missing ({self.missing:g}); got {self.unsent:g}")
        return self


class Gaps(Record):
    """Answers left blank, by chance."""

    casemix: float = Field(
        ge=0, le=0.9, description="share of blanks in every case-mix column that may have them"
    )
    items: float = Field(ge=0, le=0.9, description="share of single Oxford and EQ-5D answers")
    eqvas: float = Field(ge=0, le=0.9, description="share of EQ VAS answers")


class Selection(Record):
    """Providers that choose their patients, from the second period on and more in each.

    What a payment that rewards results may bring about, and what must be found where it does.
    """

    providers: float = Field(ge=0, le=1, description="share of providers that choose")
    by_frailty: float = Field(
        ge=0, le=2, description="SD of patients by which theirs are less frail, per period"
    )
    by_wealth: float = Field(
        ge=0, le=2, description="SD of patients by which theirs are better off, per period"
    )


class Claims(Record):
    """The insurer's view of the world: claim lines from a year before to a year after."""

    currency: str = Field(pattern=r"^[A-Z]{3}$", description="of every amount, as in ISO 4217")
    price_year: int = Field(ge=1990, le=2100, description="whose prices the amounts are in")
    price_level: float = Field(
        gt=0, le=10_000, description="what a dollar of the tables of cost is in this currency"
    )
    transfers: float = Field(
        ge=0, le=0.5, description="share of index stays that end in another hospital"
    )
    second_procedures: float = Field(
        ge=0, le=0.5, description="share with another procedure of the same group within a year"
    )
    deaths: float = Field(ge=0, le=0.5, description="share that die within a year of discharge")
    disenrolled: float = Field(
        ge=0, le=0.5, description="share that leave the insurance within a year of discharge"
    )
    late_enrolled: float = Field(
        ge=0, le=0.5, description="share that joined it less than a year before"
    )
    others: float = Field(
        ge=0, le=10, description="patients without an index event, per episode; noise"
    )


class Registry(Record):
    """What England counts of every provider: operations, and what its joint registry holds.

    Written beside the world as participation.csv and provider_table.csv.
    """

    unasked: float = Field(
        ge=0, le=0.9, description="share of operations without a first questionnaire"
    )
    unregistered: float = Field(
        ge=0, le=0.9, description="share of operations that the joint registry does not hold"
    )
    consent_unknown: float = Field(
        ge=0, le=0.9, description="share of those it holds without a word on consent"
    )
    uncemented_over_70: float = Field(
        ge=0, le=0.9, description="of hips: share neither cemented nor hybrid over 70"
    )
    by_provider: float = Field(
        ge=0, le=3, description="SD of the log-odds of each share between providers"
    )


class Readmissions(Record):
    """What the agency of a readmission program reports of every hospital; takes claims.

    Written beside the world as provider_table.csv.
    """

    effect_sd: float = Field(
        ge=0,
        le=1,
        description="SD of true effects on readmission, on the probit scale; correlated with none",
    )
    share_of_payments: float = Field(
        gt=0, lt=1, description="median share of a hospital's base payments that is for this"
    )


class Programme(Record):
    """What a payment programme asks and counts; its world is written as a folder."""

    joint_items: Literal["HOOS_JR", "KOOS_JR"] | None = Field(
        None, description="asked besides the Oxford score, of which the truth goes on to speak"
    )
    asked_after_days: int | None = Field(
        None,
        ge=30,
        le=500,
        description="days after the operation from which the second questionnaire is asked for; "
        "null: 183 of hips and knees, 345 of the spine",
    )
    registry: Registry | None = None
    readmissions: Readmissions | None = None


_JOINTS = {"HOOS_JR": "HIP_PRIM", "KOOS_JR": "KNEE_PRIM"}


class Scenario(Record):
    """One world: its truth, and what of it can be seen.

    Examples
    --------
    >>> scenario = demo_scenario()
    >>> scenario.procedure_group, scenario.providers.number
    ('HIP_PRIM', 60)
    """

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    seed: int = Field(ge=0, description="same seed and settings, same world")
    procedure_group: ProcedureGroup = Field(
        description="what was done; decides who the patients are and what they are asked: the "
        "Oxford score of the joint, the ODI of the back, or the NDI of the neck"
    )
    periods: tuple[str, ...] = Field(
        min_length=1, description="in order; calendar years (2021) or years from April (2021/22)"
    )
    episodes_per_period: int = Field(ge=1, le=5_000_000, description="episodes")
    drift: float = Field(
        ge=-5,
        le=5,
        description="points of the main score by which outcomes improve from period to period",
    )
    providers: Providers
    follow_up: FollowUp
    gaps: Gaps
    eq5d: tuple[Literal["3L", "5L"], ...] = Field(
        ("3L",),
        description="versions that are asked; a study of answers to 5L has to choose a value set",
    )
    selection: Selection | None = Field(None, description="null: nobody chooses their patients")
    claims: Claims | None = Field(
        None, description="null: no claim lines; cost to day 90 comes with the episodes"
    )
    programme: Programme | None = Field(
        None, description="what a payment programme asks and counts besides; null: nothing"
    )

    @field_validator("periods", mode="before")
    @classmethod
    def _as_text(cls, periods: object) -> object:
        if not isinstance(periods, (list, tuple)):
            return periods
        return [str(one) if isinstance(one, int) else one for one in periods]

    @field_validator("periods")
    @classmethod
    def _are_years(cls, periods: tuple[str, ...]) -> tuple[str, ...]:
        wrong = [one for one in periods if not re.fullmatch(PERIOD, one)]
        if wrong:
            raise ValueError(f"wanted periods such as 2021 or 2021/22; got {', '.join(wrong)}")
        if len(set(periods)) < len(periods):
            raise ValueError(f"wanted each period once; got {', '.join(periods)}")
        return periods

    @model_validator(mode="after")
    def _stays_where_there_are_stays(self) -> "Scenario":
        claims = self.claims
        if self.procedure_group != "LOW_BACK_PAIN" or claims is None:
            return self
        if claims.transfers or claims.second_procedures:
            raise ValueError(
                "wanted claims.transfers and claims.second_procedures of 0 with LOW_BACK_PAIN, "
                f"which has no stay and no procedure; got {claims.transfers:g} and "
                f"{claims.second_procedures:g}"
            )
        return self

    @model_validator(mode="after")
    def _programme_fits(self) -> "Scenario":
        asked, group = self.programme or Programme(), self.procedure_group
        joint = asked.joint_items
        if joint and group != _JOINTS[joint]:
            raise ValueError(f"wanted {_JOINTS[joint]} with {joint}; got {group}")
        if asked.registry and group not in _JOINTS.values():
            raise ValueError(f"wanted a hip or a knee with programme.registry; got {group}")
        if asked.readmissions and self.claims is None:
            raise ValueError("wanted claims with programme.readmissions; got none")
        return self

    @property
    def episodes(self) -> int:
        """How many episodes there are in all periods."""
        return self.episodes_per_period * len(self.periods)


def load_scenario(path: str | Path, overrides: Iterable[str] = ()) -> Scenario:
    """Read a scenario, apply `key=value` overrides, and check all of it.

    Parameters
    ----------
    path : str or Path
        A YAML 1.2 file.
    overrides : iterable of str
        Such as `providers.effect_sd=0`; the value is YAML.

    Raises
    ------
    FileMissingError, StudyError
        One line that names the file, the line and the key.
    """
    return build(Scenario, read_yaml(path), str(path), overrides, whole="scenario")


def demo_scenario() -> Scenario:
    """Return the scenario that comes with the package.

    Examples
    --------
    >>> demo_scenario().periods
    ('2021', '2022', '2023')
    """
    with as_file(files("riskadj.simulate") / "demo.yaml") as path:
        return load_scenario(path)
