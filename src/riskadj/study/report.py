"""What is told of a study, to whom it is exported, and where it is logged."""

from typing import Literal

from pydantic import Field, model_validator

from riskadj.record import Record

TODO = "TODO: to be written by a person"


class CardText(Record):
    """What only a person can say; what is left out shows as TODO in the card."""

    intended_use: str = TODO
    users: str = TODO
    population: str = TODO
    out_of_scope: str = TODO
    rationale: str = TODO
    casemix_rationale: str = TODO
    payment_use: str = TODO
    perverse_incentives: str = TODO
    appeal_route: str = TODO
    human_oversight: str = TODO
    consent_and_representativeness: str = TODO
    limitations: tuple[str, ...] = ()
    maintenance: str = TODO
    drift_plan: str = TODO
    change_log: tuple[str, ...] = ()
    sign_off: str = TODO
    contact: str = TODO
    licence: str = TODO


class Report(Record):
    """What the card shows beyond the figures that every study has."""

    subgroups: tuple[str, ...] = Field((), description="columns to report performance by")
    round_counts_to: int | None = Field(
        None,
        ge=2,
        le=100,
        description="counts that leave are rounded to multiples of it, such as 5, and other "
        "figures to three digits; null: neither",
    )


class SkdeRules(Record):
    """Which outcomes are which indicators of Norway's national portal for quality registries."""

    indicators: dict[str, str] = Field(
        min_length=1, description="outcome: the portal's name of the indicator"
    )
    context: Literal["caregiver", "resident"] = Field(
        "caregiver", description="what providers are: units that treat, or areas of residence"
    )
    type: Literal["andel", "dg_andel", "dg"] = Field(
        "andel", description="the portal's type of the indicators; those that are shares"
    )
    minimum: int = Field(20, ge=1, description="units with fewer episodes are left out")
    year: int | None = Field(None, description="of all rows; null: that of the period compared")
    years: dict[str, int] = Field({}, description="period: year, where they differ")
    organisations: dict[str, int] = Field({}, description="provider_id: organisation number")


class ExplainRules(Record):
    """What is worked out of the explanation besides each column's contribution."""

    interactions: bool = Field(
        False, description="true: which pairs of columns act together most in boosted trees"
    )


class Export(Record):
    """What `riskadj export` makes of a run; none of it changes a result."""

    skde: SkdeRules | None = None


class Tracking(Record):
    """Where runs are logged."""

    uri: str = Field("sqlite:///mlflow.db", description="any MLflow tracking URI; 'off' for none")
    experiment: str = "riskadj"
    registered_model: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_. -]*$",
        description="a name: each model is registered as <name>-<outcome>-<learner>, with the "
        "alias candidate; null: none is",
    )
    models: bool = Field(
        True,
        description="whether models are logged; they hold how common each level of case mix was, "
        "and the ends of what was learned",
    )

    @model_validator(mode="after")
    def _registers_what_is_logged(self) -> "Tracking":
        if self.registered_model and not self.models:
            raise ValueError(
                "wanted registered_model: null with models: false, as only what is logged can be "
                f"registered; got {self.registered_model!r}. Take one of them out."
            )
        return self
