"""The steps of a contract as records: what each may say, and what it needs."""

from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from riskadj.payment.terms import Band, Sourced, check_whole
from riskadj.record import Record

Cause = Literal["unanswered", "few"]
"""Why a result is not known: patients were not followed up as the contract asks, or were few."""


class SplitVerdict(Record):
    """What a criterion comes to without a result, by why there is none."""

    unanswered: Literal["passes", "fails"]
    few: Literal["passes", "fails"]


class SplitScore(Record):
    """What a measure counts without a result, by why there is none."""

    unanswered: Literal["full_cut", "median", "none"]
    few: Literal["full_cut", "median", "none"]


class SplitPayment(Record):
    """What is paid without a result, by why there is none."""

    unanswered: Literal["nothing", "floor"]
    few: Literal["nothing", "floor"]


Split = SplitVerdict | SplitScore | SplitPayment


def word_of(rule: "str | Split", cause: Cause) -> str:
    """Return what a contract says of a result that is not known.

    Examples
    --------
    >>> word_of("floor", "few"), word_of(SplitPayment(unanswered="floor", few="nothing"), "few")
    ('floor', 'nothing')
    """
    return rule if isinstance(rule, str) else str(getattr(rule, cause))


class StepRule(Sourced):
    """A step, which may need a gate."""

    needs: str | None = Field(None, description="the name of an earlier gate")
    not_passed: Literal["nothing", "losses"] = Field(
        "nothing",
        description="what of the step holds without the gate; losses: what it takes, not what it "
        "gives, so that nobody is better off for not passing",
    )


class Reconcile(StepRule):
    """Sum of target - actual."""

    kind: Literal["reconcile"]


class Shares(Record):
    """Who bears which share."""

    provider: float = Field(ge=0, le=1)
    payer: float = Field(ge=0, le=1)

    @model_validator(mode="after")
    def _whole(self) -> "Shares":
        check_whole("shares of provider and payer", (self.provider, self.payer))
        return self


class RiskShare(StepRule):
    """How gains and losses so far are shared."""

    kind: Literal["risk_share"]
    gain: Shares
    loss: Shares


class StopGain(StepRule):
    """The most that is paid, as a share of the target."""

    kind: Literal["stop_gain"]
    share: float = Field(ge=0)


class StopLoss(StepRule):
    """The most that is repaid, as a share of the target."""

    kind: Literal["stop_loss"]
    share: float = Field(ge=0, le=1)
    safety_net: float | None = Field(
        None, ge=0, le=1, description="the share of safety-net providers"
    )


class Return(Record):
    """A part of what was withheld, and when it comes back."""

    share: float = Field(ge=0, le=1, description="of what was withheld")
    when: str | None = Field(None, description="a gate that has to be passed; null: always")


class Withhold(StepRule):
    """A share of the target held back, and given back as conditions are met."""

    kind: Literal["withhold"]
    share: float = Field(ge=0, le=1)
    returned: tuple[Return, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _whole(self) -> "Withhold":
        check_whole("returned shares of what is withheld", [one.share for one in self.returned])
        return self


class Criterion(Sourced):
    """What a gate asks for."""

    label: str


class NotNegativeOutlier(Criterion):
    """No flag on the bad side."""

    kind: Literal["not_negative_outlier"]
    not_known: Literal["passes", "fails"] | SplitVerdict = Field(
        description="without a result; a word, or one each for unanswered and few"
    )
    outcome: str
    beyond: Literal["inner", "outer"] = Field(description="which limits count")
    method: str | None = Field(None, description="another analysis of the run: its method")
    limits: str | None = Field(None, description="another analysis of the run: its limits")

    @model_validator(mode="after")
    def _both_or_neither(self) -> "NotNegativeOutlier":
        if (self.method is None) != (self.limits is None):
            raise ValueError("wanted method and limits of an analysis, or neither; got one of them")
        return self


class _Measured(Criterion):
    not_known: Literal["passes", "fails"] = Field(description="without a value")
    at_least: float | None = None
    at_most: float | None = None
    below: float | None = None

    @model_validator(mode="after")
    def _one_bound(self) -> "_Measured":
        given = [one for one in (self.at_least, self.at_most, self.below) if one is not None]
        if len(given) != 1:
            raise ValueError(f"wanted one of at_least, at_most, below; got {len(given)} of them")
        return self

    @property
    def bound(self) -> tuple[str, float]:
        """The sign of the comparison, and what is compared with."""
        signs = {">=": self.at_least, "<=": self.at_most, "<": self.below}
        return next((sign, one) for sign, one in signs.items() if one is not None)


class RateCriterion(_Measured):
    """A rate of follow-up, from the run."""

    kind: Literal["rate"]
    rate: Literal["participation", "linkage", "issue", "response"]

    @model_validator(mode="after")
    def _of_a_share(self) -> "RateCriterion":
        _check_share(self.rate, self.bound[1])
        return self


class TableCriterion(_Measured):
    """A value from the provider table."""

    kind: Literal["table"]
    column: str
    share: bool = Field(
        True, description="whether values are shares, from 0 to 1; others are refused then"
    )

    @model_validator(mode="after")
    def _of_a_share(self) -> "TableCriterion":
        if self.share:
            _check_share(self.column, self.bound[1])
        return self


def _check_share(name: str, bound: float) -> None:
    if not 0 <= bound <= 1:
        raise ValueError(
            f"wanted a bound from 0 to 1 on the share {name}; got {bound:g}. Divide per cent by "
            "100; of a column of other values say share: false"
        )


AnyCriterion = Annotated[
    NotNegativeOutlier | RateCriterion | TableCriterion, Field(discriminator="kind")
]


class Gate(StepRule):
    """Criteria, all of which have to be met."""

    kind: Literal["gate"]
    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    criteria: tuple[AnyCriterion, ...]

    @field_validator("criteria")
    @classmethod
    def _has_a_measure(cls, criteria: tuple[AnyCriterion, ...]) -> tuple[AnyCriterion, ...]:
        if not criteria:
            raise ValueError("wanted a gate with a measure; got one without any criterion")
        return criteria


class Uplift(StepRule):
    """An amount per episode."""

    kind: Literal["uplift"]
    amount: float = Field(ge=0)


class ExcessMeasure(Record):
    """A ratio of predicted to expected (of a harm), and its weight in payments.

    From an outcome of the run, or from columns of the provider table.
    """

    name: str
    outcome: str | None = None
    ratio_column: str | None = None
    n_column: str | None = None
    median: float | None = Field(None, gt=0, description="given; else the median of peers")
    median_column: str | None = None
    weight: float | None = Field(None, ge=0, description="its share of base payments")
    weight_column: str | None = None

    @model_validator(mode="after")
    def _one_origin(self) -> "ExcessMeasure":
        if (self.outcome is None) == (self.ratio_column is None):
            raise ValueError("wanted an outcome or a ratio_column; got both or neither")
        if self.ratio_column is not None and self.n_column is None:
            raise ValueError("wanted n_column with ratio_column; got none")
        if (self.weight is None) == (self.weight_column is None):
            raise ValueError("wanted a weight or a weight_column; got both or neither")
        if self.median is not None and self.median_column is not None:
            raise ValueError("wanted a median or a median_column; got both")
        return self


class Reduction(Band):
    """The least and the most that those above their peers lose; others lose nothing."""

    floor: float = Field(ge=0, le=1)
    cap: float = Field(ge=0, le=1)


class Penalty(StepRule):
    """A reduction for ratios above those of peers (the form of CMS's HRRP)."""

    kind: Literal["penalty"]
    measures: tuple[ExcessMeasure, ...] = Field(min_length=1)
    neutrality_modifier: float = Field(1.0, gt=0)
    minimum: int = Field(25, ge=1, description="fewer cases: no penalty")
    reduction: Reduction = Field(description="of the payment factor")
    factor_digits: int = Field(4, ge=1, le=9)
    base_column: str | None = Field(
        None, description="base payments in the provider table; null: the target"
    )


class Scale(Record):
    """From a value to 0 ... 100 points: percentile among providers, or linear between two ends."""

    kind: Literal["percentile", "linear"]
    zero: float | None = Field(None, description="linear: the value that earns 0 points")
    full: float | None = Field(None, description="linear: the value that earns 100 points")

    @model_validator(mode="after")
    def _has_ends(self) -> "Scale":
        if (self.kind == "linear") != (self.zero is not None and self.full is not None):
            raise ValueError("wanted zero and full with kind linear, and neither with percentile")
        if self.kind == "linear" and self.zero == self.full:
            raise ValueError("wanted two ends that differ; got the same")
        return self


class QualityMeasure(Record):
    """A part of a composite score."""

    name: str
    weight: float = Field(ge=0, le=1)
    outcome: str | None = None
    column: str | None = None
    more_is_better: bool = Field(True, description="of a column of the provider table")
    scale: Scale

    @model_validator(mode="after")
    def _one_origin(self) -> "QualityMeasure":
        if (self.outcome is None) == (self.column is None):
            raise ValueError("wanted an outcome or a column; got both or neither")
        return self


class Composite(StepRule):
    """A composite quality score moves the balance so far (the form of CJR and TEAM).

    Positive balance x (1 - positive x (1 - score / 100)); negative x (1 - negative x score / 100).
    """

    kind: Literal["composite"]
    measures: tuple[QualityMeasure, ...] = Field(min_length=1)
    no_score: Literal["full_cut", "median", "none"] | SplitScore = Field(
        description="what a measure counts without a result: a word, or one each for unanswered "
        "and few; full_cut: 0 points, so that hiding a result never pays; median: the median of "
        "those with points; none: it is left out, and without any the balance stays. A column of "
        "the provider table goes by unanswered"
    )
    positive: float = Field(ge=0, le=1, description="the most that a gain is reduced by")
    negative: float = Field(ge=0, le=1, description="the most that a loss is reduced by")

    @field_validator("measures")
    @classmethod
    def _whole(cls, measures: tuple[QualityMeasure, ...]) -> tuple[QualityMeasure, ...]:
        check_whole("weights of the composite score", [one.weight for one in measures])
        return measures


class OutcomePayment(StepRule):
    """An amount per unit of outcome above expectation, per episode."""

    kind: Literal["outcome_payment"]
    outcome: str
    amount: float = Field(ge=0, description="per unit and episode")
    corridor: float = Field(0.0, ge=0, description="units on either side that pay nothing")
    reliability: bool = Field(description="whether the difference is weighted by its reliability")
    paid_for: Literal["answered", "settled"] = Field(
        description="which episodes are paid for: those with a result in the outcome, or all that "
        "the contract settles, as if those without a result were like the others"
    )
    no_result: Literal["nothing", "floor"] | SplitPayment = Field(
        description="what is paid without a result: a word, or one each for unanswered and few; "
        "floor: the least of `within`, so that hiding a result never pays. With reliability, few "
        "results that are shown are paid on what the run's shrinkage leaves of them"
    )
    within: Band = Field(description="of the payment, as shares of the target")


AnyStep = Annotated[
    Reconcile
    | RiskShare
    | StopGain
    | StopLoss
    | Withhold
    | Gate
    | Uplift
    | Penalty
    | Composite
    | OutcomePayment,
    Field(discriminator="kind"),
]


def uses_target(step: AnyStep) -> bool:
    """Whether a step is reckoned from the target."""
    of_target = (Reconcile, StopGain, StopLoss, Withhold, OutcomePayment)
    return isinstance(step, of_target) or (isinstance(step, Penalty) and step.base_column is None)


def splits_of(steps: Iterable[AnyStep]) -> list[str]:
    """Return the kinds of the steps that ask why a result is not known."""
    found: list[str] = []
    for step in steps:
        rules: list[str | Split] = []
        if isinstance(step, Gate):
            rules = [one.not_known for one in step.criteria]
        elif isinstance(step, Composite):
            rules = [step.no_score]
        elif isinstance(step, OutcomePayment):
            rules = [step.no_result]
        found += [step.kind for one in rules if not isinstance(one, str)]
    return found


def outcomes_of(steps: Iterable[AnyStep]) -> list[str]:
    """Return every outcome that steps pay or judge on."""
    found: list[str | None] = []
    for step in steps:
        if isinstance(step, Gate):
            found += [c.outcome for c in step.criteria if isinstance(c, NotNegativeOutlier)]
        elif isinstance(step, (Penalty, Composite)):
            found += [one.outcome for one in step.measures]
        elif isinstance(step, OutcomePayment):
            found.append(step.outcome)
    return [one for one in found if one is not None]
