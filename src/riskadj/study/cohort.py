"""Who counts in a study, and what is adjusted for."""

from pydantic import Field, model_validator

from riskadj.record import Record


class Exclusion(Record):
    """Episodes to leave out: those whose column is missing, or among values, or beyond a bound."""

    column: str
    reason: str = Field(description="shown in the flow")
    missing: bool = False
    values: tuple[str | float, ...] = ()
    below: float | None = None
    above: float | None = None

    @model_validator(mode="after")
    def _says_something(self) -> "Exclusion":
        if not (self.missing or self.values or self.below is not None or self.above is not None):
            raise ValueError("wanted one of missing, values, below or above; got none of them")
        return self


class FollowUpWindow(Record):
    """How long after the operation the second questionnaire may have been answered."""

    at_least: float = Field(ge=0, description="days")
    at_most: float = Field(gt=0, description="days")

    @model_validator(mode="after")
    def _opens_before_it_closes(self) -> "FollowUpWindow":
        if self.at_least > self.at_most:
            raise ValueError(
                f"wanted at_least up to at_most; got {self.at_least:g} and {self.at_most:g}"
            )
        return self


class CohortRules(Record):
    """Who counts."""

    procedure_group: str = Field(description="HIP_PRIM, HIP_REV, KNEE_PRIM, KNEE_REV, ...")
    follow_up_days: FollowUpWindow | None = Field(
        description="null where the files carry no dates and their publisher applied the window"
    )
    exclude: tuple[Exclusion, ...] = Field(description="[] when nobody is to be left out")


class CaseMixRules(Record):
    """What is adjusted for."""

    columns: tuple[str, ...] = Field(
        min_length=1, description="column names, or patterns such as comorb_*"
    )
    allow_provider_influenced: bool = Field(
        description="true lets in columns whose role is provider_influenced"
    )
    coded_at_discharge: tuple[str, ...] = Field(
        (),
        description="names of columns to let in although they are known only at discharge, such as "
        "drg; what happened in the stay is then adjusted for, and the card says so",
    )
