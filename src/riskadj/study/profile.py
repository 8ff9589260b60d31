"""How providers are compared, who did not answer, and what is looked at together."""

from typing import Literal

from pydantic import Field, field_validator, model_validator

from riskadj.record import Record

Method = Literal[
    "nhs_england",
    "fixed_effects",
    "random_intercept",
    "correlated_random_effects",
    "empirical_bayes",
]
Limits = Literal[
    "nominal",
    "multiplicative",
    "additive",
    "winsorised",
    "trimmed",
    "empirical_null",
    "benjamini_hochberg",
]
SHRUNKEN_METHODS = frozenset({"random_intercept", "correlated_random_effects", "empirical_bayes"})
"""Methods whose effects already allow for differences between providers: a posterior."""
Between = Literal["dersimonian_laird", "paule_mandel", "reml", "winsorised", "trimmed"]
FEWEST_REPLICATES = 100
"""Of a bootstrap whose 95 % interval is to be more than its two or three outermost draws."""


class Sensitivity(Record):
    """The other analyses that every flag is held against, beside all learners."""

    methods: tuple[Method, ...] = Field((), description="with each of `limits`")
    limits: tuple[Limits, ...] = Field((), description="shrunken methods take nominal ones only")

    @model_validator(mode="after")
    def _each_runs(self) -> "Sensitivity":
        if bool(self.methods) != bool(self.limits):
            raise ValueError("wanted methods and limits, or neither; got one of them")
        for what, names in (("methods", self.methods), ("limits", self.limits)):
            twice = sorted({str(one) for one in names if names.count(one) > 1})
            if twice:
                raise ValueError(f"wanted each of {what} once; got {', '.join(twice)} twice")
        idle = [one for one in self.limits if one != "nominal"]
        if idle and SHRUNKEN_METHODS.issuperset(self.methods):
            raise ValueError(
                "wanted a method that goes with other than nominal limits (nhs_england, "
                f"fixed_effects); got {', '.join(self.methods)} alone with {', '.join(idle)}, "
                "which would run nowhere"
            )
        return self


class ProfileRules(Record):
    """How providers are compared."""

    method: Method = Field(
        description="how effects are estimated; nhs_england: mean of observed - expected"
    )
    limits: Limits = Field(
        "nominal", description="what they are held against; nominal allows for chance alone"
    )
    levels: tuple[float, float] = Field(
        (0.95, 0.998), description="of the inner and the outer limits"
    )
    reference: Literal["volume_weighted", "median"] | float = Field(
        "volume_weighted",
        description="what providers are compared with: their mean or median effect, or a given "
        "adjusted gain, in the unit of the only outcome",
    )
    peer_group: str | None = Field(
        None,
        description="a column known at baseline: providers are compared with those alike in its "
        "commonest value",
    )
    labels: Literal["nhs_england", "cms"] = Field("nhs_england", description="the words of flags")
    minimum_n: int = Field(ge=2, description="fewer episodes: reported, not adjusted, not flagged")
    minimum_response: float | None = Field(
        None,
        gt=0,
        le=1,
        description="a lower response rate, from 0 to 1: adjusted, but not flagged and not ranked",
    )
    suppress_below: int = Field(ge=1, description="fewer than this: nothing is shown")
    suppress_by: Literal["records", "episodes"] = Field(
        "records",
        description="what is counted: records with both scores, or eligible episodes, as NHS "
        "England does",
    )
    between: Between = Field(
        "dersimonian_laird",
        description="estimator of the variance between providers, for shrinkage and reliability",
    )
    replicates: int = Field(
        0,
        ge=0,
        description="of the provider bootstrap of predicted over expected, 100 or more; 0: none",
    )
    sensitivity: Sensitivity = Sensitivity()

    @field_validator("levels")
    @classmethod
    def _inner_first(cls, levels: tuple[float, float]) -> tuple[float, float]:
        if not 0 < levels[0] < levels[1] < 1:
            raise ValueError(f"wanted two levels between 0 and 1, the inner first; got {levels}")
        return levels

    @field_validator("replicates")
    @classmethod
    def _enough_or_none(cls, replicates: int) -> int:
        if 0 < replicates < FEWEST_REPLICATES:
            raise ValueError(
                f"wanted 0 or at least {FEWEST_REPLICATES}, as an interval is made of the "
                f"outermost fortieths; got {replicates}"
            )
        return replicates

    @model_validator(mode="after")
    def _one_reference(self) -> "ProfileRules":
        if self.peer_group is not None and not isinstance(self.reference, str):
            raise ValueError(
                "wanted a peer_group or a number as reference, not both: everybody is compared "
                f"with the number; got {self.peer_group!r} and {self.reference:g}"
            )
        return self

    @model_validator(mode="after")
    def _shrunken_is_nominal(self) -> "ProfileRules":
        if self.method in SHRUNKEN_METHODS and self.limits != "nominal":
            raise ValueError(
                f"wanted nominal limits with {self.method}, whose effects already allow for "
                f"differences between providers; got {self.limits}"
            )
        return self


class ValueRules(Record):
    """Which outcome and which cost are looked at together."""

    outcome: str = Field(description="the name of an outcome that is no cost")
    cost: str = Field(description="the name of an outcome that is one")
    level: float = Field(
        0.95,
        gt=0.5,
        lt=1,
        description="the probability from which a provider is called better, cheaper or both",
    )
    replicates: int = Field(
        1000, ge=FEWEST_REPLICATES, description="of the provider bootstrap behind probabilities"
    )


class FollowUpRules(Record):
    """What is made of those who were asked and did not answer."""

    imputations: int = Field(20, ge=0, description="of their results; 0: none")
    draw: Literal["model", "donors"] = Field(
        "model", description="model: from what it says; donors: a responder who is expected alike"
    )
    effects: Literal["own", "random"] = Field(
        "own",
        description="by which those who did not answer are imputed. own: their provider's, as its "
        "answers have it; random: drawn towards that of the others",
    )
    numerator: Literal["provider", "overall"] = Field(
        "provider", description="of weights: whose response rate"
    )
    trim: tuple[float, float] = Field(
        (0.01, 0.99), description="quantiles to which weights are pulled in; [0, 1]: none"
    )

    @field_validator("imputations")
    @classmethod
    def _several_or_none(cls, imputations: int) -> int:
        if imputations == 1:
            raise ValueError("wanted 0 or at least 2, to tell how far they differ; got 1")
        return imputations

    @field_validator("trim")
    @classmethod
    def _in_order(cls, trim: tuple[float, float]) -> tuple[float, float]:
        if not 0 <= trim[0] < trim[1] <= 1:
            raise ValueError(f"wanted two quantiles from 0 to 1, in order; got {trim}")
        return trim
