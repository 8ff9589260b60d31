"""Who teaches what is expected, from which periods, and how it is moved and tried out."""

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from riskadj.record import Record

Slopes = Literal["pooled", "within"]
_SLOPES = (
    "within: learned among patients of the same provider, so that quality that goes with case mix "
    "is not adjusted away"
)
_TUNE = "trials of a search for better settings, inside the periods that teach; 0: as given"
_DISCRETE = "columns with at most this many values are discrete factors"
_RIDGE = "penalty that settles collinear columns"


class ReferenceLearner(Record):
    """An expectation that somebody else computed, read from `reference_predicted_<measure>`."""

    kind: Literal["reference"]


class LinearLearner(Record):
    """Least squares with a constant per level of every discrete factor."""

    kind: Literal["linear"]
    discrete_up_to: int = Field(6, ge=2, description=_DISCRETE)
    ridge: float = Field(1.0, ge=0, description=_RIDGE)
    slopes: Slopes = Field("pooled", description=_SLOPES)
    tune: int = Field(0, ge=0, description=_TUNE)


class LightGBMLearner(Record):
    """Gradient-boosted trees (Ke et al. 2017)."""

    kind: Literal["lightgbm"]
    trees: int = Field(600, ge=1)
    leaves: int = Field(8, ge=2)
    learning_rate: float = Field(0.03, gt=0, le=1)
    min_episodes_per_leaf: int = Field(200, ge=1)
    column_share: float = Field(0.3, gt=0, le=1, description="columns tried per tree")
    episode_share: float = Field(0.7, gt=0, le=1, description="episodes drawn per tree")
    l2: float = Field(10.0, ge=0)
    monotone: dict[str, Literal[-1, 1]] = Field(
        {}, description="column: 1 where the expectation may only rise with it, -1 only fall"
    )
    slopes: Slopes = Field("pooled", description=_SLOPES)
    rounds: int = Field(3, ge=1, description="of trees and provider offsets, with slopes within")
    objective: Literal["gamma", "tweedie"] = Field(
        "gamma", description="of costs: whose likelihood trees climb"
    )
    shares: int = Field(
        1,
        ge=1,
        exclude_if=lambda shares: shares == 1,  # so that studies from before it keep their digest
        description="parts of the episodes that trees are grown from at the same time, each by a "
        "worker of `engine`; other numbers grow slightly other trees",
    )
    tune: int = Field(0, ge=0, description=_TUNE)


class GammaLearner(Record):
    """Of costs: a gamma model with a log link, by penalised quasi-likelihood."""

    kind: Literal["gamma"]
    discrete_up_to: int = Field(6, ge=2, description=_DISCRETE)
    ridge: float = Field(1.0, gt=0, description=_RIDGE)
    tune: int = Field(0, ge=0, description=_TUNE)


class TweedieLearner(Record):
    """Of costs, some of which may be 0: a Tweedie model with a log link."""

    kind: Literal["tweedie"]
    power: float = Field(1.5, gt=1, lt=2, description="of the mean, to which variance goes")
    discrete_up_to: int = Field(6, ge=2, description=_DISCRETE)
    ridge: float = Field(1.0, gt=0, description=_RIDGE)
    tune: int = Field(0, ge=0, description=_TUNE)


class TwoPartLearner(Record):
    """Of costs, some of which may be 0: the chance of any, and a gamma model of those."""

    kind: Literal["two_part"]
    discrete_up_to: int = Field(6, ge=2, description=_DISCRETE)
    ridge: float = Field(1.0, gt=0, description=_RIDGE)
    tune: int = Field(0, ge=0, description=_TUNE)


class LogSmearingLearner(Record):
    """Of costs: least squares of their logarithms, brought back by smearing (Duan 1983)."""

    kind: Literal["log_smearing"]
    by_tenth: bool = Field(
        False, description="true: a factor for each tenth of what is expected, not one for all"
    )
    discrete_up_to: int = Field(6, ge=2, description=_DISCRETE)
    ridge: float = Field(1.0, gt=0, description=_RIDGE)
    tune: int = Field(0, ge=0, description=_TUNE)


class CeilingLearner(Record):
    """Two parts: the chance of the best score, and the mean of the others; boosted trees both."""

    kind: Literal["ceiling"]
    trees_at_best: int = Field(400, ge=1)
    trees_below: int = Field(600, ge=1)


class StackedLearner(Record):
    """Learners weighted by what each is worth on episodes that it did not learn from.

    Linear, boosted trees and, of scores, trees and networks by parts of the score; of costs, a
    model in two parts.
    """

    kind: Literal["stacked"]
    folds: int = Field(2, ge=2, description="for the weights, where one period teaches")
    trees_by_parts: int = Field(180, ge=1)
    leaves_by_parts: int = Field(12, ge=2)
    nets: int = Field(10, ge=1, description="networks that are averaged")
    with_reference: bool = Field(
        False, description="true adds the supplied expectation to what it learns from"
    )


Learner = Annotated[
    ReferenceLearner
    | LinearLearner
    | LightGBMLearner
    | CeilingLearner
    | StackedLearner
    | GammaLearner
    | TweedieLearner
    | TwoPartLearner
    | LogSmearingLearner,
    Field(discriminator="kind"),
]
OF_SCORES = frozenset({"reference", "ceiling"})
"""Kinds of learner that speak of scores only."""
OF_COSTS = frozenset({"gamma", "tweedie", "two_part", "log_smearing"})
"""Kinds of learner that speak of costs only."""


class Split(Record):
    """Which periods teach, and which are compared.

    Periods in both are expected out of fold; periods in `test` alone, out of time.
    """

    train: tuple[str, ...] = Field(min_length=1, description="periods that the models learn from")
    test: tuple[str, ...] = Field(min_length=1, description="periods whose providers are compared")
    folds: int = Field(5, ge=2, description="how many folds, where train and test are the same")
    group: Literal["provider", "patient", "episode"] = Field(
        "provider",
        description="what is kept whole in a fold; with episode a model has seen others of the "
        "same provider",
    )
    seed: int = Field(ge=0, description="of folds and trees")

    @field_validator("train", "test", mode="before")
    @classmethod
    def _years_are_text(cls, periods: object) -> object:
        if not isinstance(periods, (list, tuple)):
            return periods
        return [str(one) if isinstance(one, int) else one for one in periods]

    @model_validator(mode="after")
    def _apart_or_equal(self) -> "Split":
        shared = set(self.train) & set(self.test)
        if shared and set(self.train) != set(self.test):
            raise ValueError(
                "wanted train and test periods that are all different (out of time) or all the "
                f"same (out of fold); got {', '.join(sorted(shared))} in both"
            )
        return self

    @property
    def out_of_time(self) -> bool:
        """Whether the periods compared are none of those learned from."""
        return not set(self.train) & set(self.test)


class Recalibration(Record):
    """How expectations are moved to the reference population, the episodes compared."""

    method: Literal["shift", "line", "none"] = Field(
        description="shift: the mean residual becomes 0; line: also the slope becomes 1"
    )


class ValidationRules(Record):
    """Whom learners are taught without, to see how they would do elsewhere."""

    learners: tuple[str, ...] = Field(
        (), description="kinds of the study's learners to teach again for it; []: it is not done"
    )
    by: tuple[Literal["provider", "period"], ...] = Field(
        ("provider", "period"),
        min_length=1,
        description="what is left out: folds of providers, and each period of the split in turn",
    )
    folds: int = Field(5, ge=2, description="of providers")

    @field_validator("learners", "by")
    @classmethod
    def _once(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        twice = sorted({one for one in names if names.count(one) > 1})
        if twice:
            raise ValueError(f"wanted each once; got {', '.join(twice)} twice")
        return names
