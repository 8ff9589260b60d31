"""Whom expectations are held to be fair to, and what that is asked of."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field, field_validator, model_validator

from riskadj.record import Record
from riskadj.study.currencies import known_currency
from riskadj.study.profile import FEWEST_REPLICATES


class GroupRule(Record):
    """Patients of one kind, or of several: by a column of the episodes.

    A column alone stands for its levels or, where numbers are many, its fifths. In a study a name
    alone will do.
    """

    column: str = Field(
        description="of the episodes, or a pattern such as comorb_*; baseline_score: the score "
        "before, of each outcome"
    )
    name: str = Field("", description="what the group is called; by default its column")
    below: float | None = Field(None, description="those below, and those who are not")
    above: float | None = Field(None, description="those above, and those who are not")
    bands: tuple[float, ...] = Field((), description="where each band but the first begins")
    values: tuple[str | float, ...] = Field((), description="those with one of them, and others")

    @model_validator(mode="before")
    @classmethod
    def _name_alone(cls, given: object) -> object:
        return {"column": given} if isinstance(given, str) else given

    @model_validator(mode="after")
    def _one_way(self) -> "GroupRule":
        ways = [one for one in ("below", "above") if getattr(self, one) is not None]
        ways += [one for one in ("bands", "values") if getattr(self, one)]
        if len(ways) > 1:
            raise ValueError(f"wanted one of below, above, bands, values; got {', '.join(ways)}")
        if list(self.bands) != sorted(set(self.bands)):
            raise ValueError(f"wanted bands in order, each once; got {self.bands}")
        if self.name and any(one in self.column for one in "*?["):
            raise ValueError(f"wanted no name with the pattern {self.column!r}; got {self.name!r}")
        return self

    @property
    def called(self) -> str:
        """What the group is called in tables."""
        return self.name or self.column


class SocialRules(Record):
    """Which social factors an outcome may hang on, and how far they are adjusted for."""

    columns: tuple[str, ...] = Field(min_length=1, description="such as deprivation_decile")
    lambdas: tuple[float, ...] = Field(
        (0.0, 0.25, 0.5, 0.75, 1.0),
        min_length=2,
        description="how far: 0, not at all; 1, as much as they matter within providers",
    )

    @model_validator(mode="before")
    @classmethod
    def _has_no_mode(cls, given: object) -> object:
        if isinstance(given, Mapping) and "mode" in given:
            raise ValueError(
                "wanted no mode, as the study's own way follows from its case mix and its "
                f"profile.peer_group; got mode: {given['mode']}. Remove it"
            )
        return given

    @field_validator("columns")
    @classmethod
    def _each_once(cls, columns: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(columns)) < len(columns):
            raise ValueError(f"wanted each column once; got {', '.join(columns)}")
        return columns

    @field_validator("lambdas")
    @classmethod
    def _from_none_to_all(cls, lambdas: tuple[float, ...]) -> tuple[float, ...]:
        if list(lambdas) != sorted(set(lambdas)) or lambdas[0] < 0 or lambdas[-1] > 1:
            raise ValueError(f"wanted numbers from 0 to 1 in order, each once; got {lambdas}")
        return lambdas


class FairRules(Record):
    """Groups whose mean residual a regression is held to have at 0."""

    groups: tuple[GroupRule, ...] = Field(min_length=1, description="as in fairness.groups")
    learner: str = Field(description="the kind of the study's learner whose expectation it takes")


class PriceRules(Record):
    """What a payer pays for results, so that what records are worth can be said in money."""

    currency: str = Field(description="its ISO 4217 code")
    per_unit: dict[str, Annotated[float, Field(gt=0)]] = Field(
        min_length=1,
        description="outcome: money per episode for one unit of adjusted result in the better "
        "direction (a point; a share of 1; of a cost, one unit of its currency); an outcome that "
        "is not named has no price",
    )

    @field_validator("currency")
    @classmethod
    def _is_a_currency(cls, code: str) -> str:
        return known_currency(code)


class FairnessRules(Record):
    """Whom expectations are held to be fair to, and what is followed from period to period."""

    groups: tuple[GroupRule, ...] = Field(
        (),
        description="whom to audit; []: report.subgroups, and age, sex, deprivation, ethnicity, "
        "payer, score before and rare comorbidities where the episodes hold them, and thirds of "
        "providers by volume",
    )
    in_sample: bool = Field(
        True,
        description="true: besides, on the episodes that models learned from, as a diagnostic",
    )
    replicates: int = Field(
        0,
        ge=0,
        description="of the provider bootstrap of intervals, 100 or more; 0: each provider is "
        "left out in turn",
    )
    drift: bool = Field(True, description="true: what changes between the periods of the split")
    social: SocialRules | None = None
    fair: FairRules | None = None
    gaming: bool = Field(
        False, description="true: what one more coded comorbidity or a lower score before is worth"
    )
    price: PriceRules | None = Field(
        None, description="what results are paid; null: gaming is told in results alone"
    )

    @field_validator("replicates")
    @classmethod
    def _enough_or_none(cls, replicates: int) -> int:
        if 0 < replicates < FEWEST_REPLICATES:
            raise ValueError(f"wanted 0 or at least {FEWEST_REPLICATES}; got {replicates}")
        return replicates

    @field_validator("groups")
    @classmethod
    def _once(cls, groups: tuple[GroupRule, ...]) -> tuple[GroupRule, ...]:
        names = [one.called for one in groups]
        twice = sorted({one for one in names if names.count(one) > 1})
        if twice:
            raise ValueError(
                f"wanted a name each; got {', '.join(twice)} twice. Give groups by one column names"
            )
        return groups
