"""A contract as frozen records: every rule that money depends on, with where it comes from.

A rule has a source, and says whether it was confirmed there. A constant that was not is a
parameter: it settles, and every statement names it.
"""

from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from riskadj.digest import digest_of_json
from riskadj.errors import did_you_mean
from riskadj.payment.money import CURRENCIES, Currency
from riskadj.study.load import build, read_yaml
from riskadj.study.records import Record

WHOLE = 1e-9
"""How far parts may be from 1 for being written in binary."""


class Sourced(Record):
    """A rule with where it comes from."""

    source: str = Field(min_length=1, description="who says so; nothing is paid without one")
    confirmed: bool = Field(description="whether the constants were read in the source itself")


class Band(Record):
    """From where to where something may go."""

    floor: float
    cap: float

    @model_validator(mode="after")
    def _in_order(self) -> "Band":
        if self.cap < self.floor:
            raise ValueError(
                f"wanted a cap at or above the floor; got cap {self.cap:g} below floor "
                f"{self.floor:g}"
            )
        return self


class AroundOne(Band):
    """From where to where a factor may go, as multiples of the promised one."""

    @model_validator(mode="after")
    def _holds_one(self) -> "AroundOne":
        if not 0 < self.floor <= 1 <= self.cap:
            raise ValueError(
                "wanted a band that holds 1, with a floor above 0; got floor "
                f"{self.floor:g} and cap {self.cap:g}"
            )
        return self


class Reduction(Band):
    """The least and the most that those above their peers lose; others lose nothing."""

    floor: float = Field(ge=0, le=1)
    cap: float = Field(ge=0, le=1)


class ContractCurrency(Record):
    """The unit of account."""

    code: str = Field(description="ISO 4217, of one in circulation")
    minor_digits: int = Field(
        2, ge=0, description="digits after the point, at most and without a word those of ISO 4217"
    )

    @model_validator(mode="before")
    @classmethod
    def _own_digits(cls, content: object) -> object:
        if not isinstance(content, dict) or content.get("code") not in CURRENCIES:
            return content
        return {"minor_digits": CURRENCIES[content["code"]].minor_digits} | content

    @field_validator("code")
    @classmethod
    def _in_circulation(cls, code: str) -> str:
        if code not in CURRENCIES:
            raise ValueError(
                f"wanted the ISO 4217 code of a currency in circulation; got {code!r}."
                f"{did_you_mean(code.upper(), CURRENCIES)}"
            )
        return code

    @model_validator(mode="after")
    def _digits_are_there(self) -> "ContractCurrency":
        most = CURRENCIES[self.code].minor_digits
        if self.minor_digits > most:
            raise ValueError(
                f"wanted minor_digits of {most} or fewer for {self.code}; got {self.minor_digits}"
            )
        return self

    @property
    def money(self) -> Currency:
        """The currency that amounts are kept in."""
        return Currency(self.code, self.minor_digits)


class LineRounding(Record):
    """How lines are rounded: each one, to minor units."""

    method: Literal["half_even", "half_up"] = "half_even"
    digits: int = Field(6, ge=2, le=9, description="of measured ratios and rates, as printed")


class Party(Record):
    """A provider that signed."""

    id: str
    volume: int | None = Field(None, ge=0, description="episodes, with count: volume")
    baseline_price: float | None = Field(None, ge=0, description="its own historical mean")
    safety_net: bool = False
    peer_group: str | None = None


# --- the target -----------------------------------------------------------------------------------


class ExpectedBaseline(Sourced):
    """The provider's own mean expected cost; case mix is inside."""

    kind: Literal["expected"]


class PriceBaseline(Sourced):
    """One price for everybody."""

    kind: Literal["price"]
    amount: float = Field(ge=0, description="per episode")


class HistoricalBaseline(Sourced):
    """The provider's own mean of earlier years."""

    kind: Literal["historical"]
    column: str | None = Field(
        None, description="of the provider table; null: baseline_price of `providers`"
    )


Baseline = Annotated[
    ExpectedBaseline | PriceBaseline | HistoricalBaseline, Field(discriminator="kind")
]


class Trend(Sourced):
    """From the baseline's years to the year settled."""

    prospective: float = Field(gt=0, description="as promised before the year")
    realised: float | None = Field(None, gt=0, description="as it turned out; null: as promised")
    within: AroundOne | None = Field(None, description="of realised, as multiples of prospective")


class Normalisation(Sourced):
    """Takes out of case mix what it adds for everybody together."""

    prospective: float = Field(1.0, gt=0)
    within: AroundOne | None = Field(
        None, description="of the final one, as multiples of prospective"
    )


class Discount(Sourced):
    """What the payer keeps."""

    share: float = Field(ge=0, lt=1)


class Target(Record):
    """The price of an episode: baseline x trend x case mix x normalisation x (1 - discount)."""

    baseline: Baseline
    trend: Trend | None = None
    case_mix: Literal["none", "ratio"] = Field(
        "none", description="ratio: the provider's expected cost / the reference population's mean"
    )
    normalisation: Normalisation | None = None
    discount: Discount | None = None

    @model_validator(mode="after")
    def _case_mix_once(self) -> "Target":
        if self.baseline.kind == "expected" and self.case_mix == "ratio":
            raise ValueError(
                "wanted case_mix: none with baseline expected, which holds it already; got ratio"
            )
        if self.normalisation and self.case_mix == "none":
            raise ValueError("wanted normalisation with case_mix: ratio only; got none")
        return self

    def parts(self) -> list[tuple[str, Sourced]]:
        """Return every part that has a source, by its name."""
        named = {name: getattr(self, name) for name in ("baseline", "trend", "normalisation",
                                                        "discount")}  # fmt: skip
        return [(f"target.{name}", one) for name, one in named.items() if one is not None]


# --- the steps ------------------------------------------------------------------------------------


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
        _check_whole("shares of provider and payer", (self.provider, self.payer))
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
    share: float = Field(ge=0)
    safety_net: float | None = Field(None, ge=0, description="the share of safety-net providers")


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
        _check_whole("returned shares of what is withheld", [one.share for one in self.returned])
        return self


class Criterion(Sourced):
    """What a gate asks for."""

    label: str
    not_known: Literal["passes", "fails"] = Field(description="without a value")


class NotNegativeOutlier(Criterion):
    """No flag on the bad side."""

    kind: Literal["not_negative_outlier"]
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


class TableCriterion(_Measured):
    """A value from the provider table."""

    kind: Literal["table"]
    column: str


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
    no_score: Literal["full_cut", "median", "none"] = Field(
        description="what a measure counts without a result; full_cut: 0 points, so that hiding a "
        "result never pays; median: the median of those with points; none: it is left out, and "
        "without any the balance stays"
    )
    positive: float = Field(ge=0, le=1, description="the most that a gain is reduced by")
    negative: float = Field(ge=0, le=1, description="the most that a loss is reduced by")

    @field_validator("measures")
    @classmethod
    def _whole(cls, measures: tuple[QualityMeasure, ...]) -> tuple[QualityMeasure, ...]:
        _check_whole("weights of the composite score", [one.weight for one in measures])
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
    no_result: Literal["nothing", "floor"] = Field(
        description="what is paid without a result; floor: the least of `within`, so that hiding "
        "a result never pays"
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


class Budget(Sourced):
    """Whether settlements are moved so that they sum to a pool.

    scale: gains or losses are cut in proportion. shift: everybody pays the same per episode.
    """

    kind: Literal["open", "neutral"]
    how: Literal["scale", "shift"] = "shift"
    pool: float = Field(0.0, description="what a neutral budget sums to")


class Contract(Record):
    """One contract: who is paid what for which outcomes, by which rules."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    version: str
    title: str
    about: str = Field(min_length=1, description="what it is, and what it is not; on statements")
    currency: ContractCurrency
    price_year: int
    outcomes: tuple[str, ...] = Field(min_length=1, description="names in the study")
    cost: str | None = Field(None, description="the study's outcome of kind cost")
    learner: str = Field(description="whose expectation is paid on")
    cost_learner: str | None = Field(None, description="whose of the cost; null: the same")
    providers: tuple[Party, ...] = Field((), description="[]: every provider of the run")
    provider_table: Path | None = Field(
        None, description="CSV of provider_id and further values; relative to the contract"
    )
    count: Literal["records", "episodes", "procedures", "volume"] = Field(
        description="which episodes are settled: those with a result in the cost outcome (without "
        "one: in the first outcome), those eligible, the procedures of the participation file, or "
        "the volume that the contract states"
    )
    too_few: Literal["no_settlement", "at_target"] = Field(
        description="of providers with results suppressed or under the study's minimum; "
        "at_target: a hidden cost counts as the target, and what a hidden outcome does each step "
        "says (not_known, no_score, no_result)"
    )
    rounding: LineRounding = LineRounding()
    target: Target | None = None
    steps: tuple[AnyStep, ...] = Field(min_length=1)
    budget: Budget

    @field_validator("version", mode="before")
    @classmethod
    def _as_text(cls, version: object) -> object:
        return str(version) if isinstance(version, (int, float)) else version

    @model_validator(mode="after")
    def _names_are_unique(self) -> "Contract":
        names = {
            "outcomes": list(self.outcomes),
            "providers": [one.id for one in self.providers],
            "gates": [one.name for one in self.steps if isinstance(one, Gate)],
        }
        for what, listed in names.items():
            twice = sorted({one for one in listed if listed.count(one) > 1})
            if twice:
                raise ValueError(f"wanted each of {what} once; got {', '.join(twice)} twice")
        return self

    @model_validator(mode="after")
    def _gates_come_first(self) -> "Contract":
        passed: set[str] = set()
        for step in self.steps:
            wanted = {step.needs} if step.needs else set()
            if isinstance(step, Withhold):
                wanted |= {one.when for one in step.returned if one.when}
            if missing := sorted(wanted - passed):
                raise ValueError(
                    f"step {step.kind}: wanted a gate among those before it "
                    f"({', '.join(sorted(passed)) or 'none'}); got {missing[0]!r}"
                )
            if isinstance(step, Gate):
                passed.add(step.name)
        return self

    @model_validator(mode="after")
    def _has_what_steps_use(self) -> "Contract":
        if self.cost is None and (why := _uses_cost(self)):
            raise ValueError(f"wanted a cost outcome, which {why} uses; got none")
        if self.target is None and (used := [one.kind for one in self.steps if _uses_target(one)]):
            raise ValueError(f"wanted a target, which {used[0]} uses; got none")
        reconciled = sum(isinstance(one, Reconcile) for one in self.steps)
        if reconciled > 1:
            raise ValueError(
                f"wanted one reconcile, as each pays target - actual; got {reconciled}"
            )
        withheld = [one.share for one in self.steps if isinstance(one, Withhold)]
        if sum(withheld) > 1 + WHOLE:
            raise ValueError(f"wanted withheld shares of 1 or less; got {sum(withheld):g} in all")
        strange = [one for one in _outcomes_of(self.steps) if one not in self.outcomes]
        if strange:
            raise ValueError(
                f"wanted steps on the contract's outcomes ({', '.join(self.outcomes)}); got "
                f"{strange[0]!r}"
            )
        return self

    @model_validator(mode="after")
    def _volumes_are_there(self) -> "Contract":
        without = [one.id for one in self.providers if one.volume is None]
        if self.count == "volume" and (without or not self.providers):
            raise ValueError(
                "wanted a volume for every provider with count: volume; got none for "
                f"{without[0] if without else 'anybody'}"
            )
        return self

    @model_validator(mode="after")
    def _pool_is_whole(self) -> "Contract":
        digits = self.currency.minor_digits
        minor = Decimal(str(self.budget.pool)).scaleb(digits)
        if self.budget.kind == "neutral" and minor % 1:
            raise ValueError(
                f"wanted a budget.pool with {digits} decimals or fewer, as amounts in "
                f"{self.currency.code} have here; got {self.budget.pool:g}"
            )
        return self

    @property
    def adjusts_case_mix(self) -> bool:
        """Whether the price depends on the mean cost of the reference population."""
        return self.target is not None and self.target.case_mix == "ratio"

    @property
    def digest(self) -> str:
        """Of everything that a settlement can depend on."""
        content = self.model_dump(mode="json")
        content["provider_table"] = self.provider_table.name if self.provider_table else None
        return digest_of_json(content)

    def learner_of(self, outcome: str) -> str:
        """Return whose expectation of an outcome is paid on."""
        own = self.cost_learner if outcome == self.cost else None
        return own or self.learner

    def unconfirmed(self) -> tuple[tuple[str, str], ...]:
        """Return name and source of each rule whose constants were not confirmed."""
        return tuple((name, one.source) for name, one in self.rules() if not one.confirmed)

    def rules(self) -> list[tuple[str, Sourced]]:
        """Return every rule that has a source, by its name."""
        listed = list(self.target.parts()) if self.target else []
        for place, step in enumerate(self.steps, start=1):
            listed.append((f"step {place}, {step.kind}", step))
            if isinstance(step, Gate):
                listed += [(f"step {place}, {step.kind}: {c.label}", c) for c in step.criteria]
        return [*listed, (f"budget {self.budget.kind}", self.budget)]


def load_contract(path: str | Path, overrides: Iterable[str] = ()) -> Contract:
    """Read a contract and check all of it.

    Parameters
    ----------
    path : str or Path
        A YAML 1.2 file. Its provider table is relative to its folder.
    overrides : iterable of str
        Such as `target.discount.share=0.03`; the value is YAML.

    Raises
    ------
    FileMissingError, StudyError
        Each fault with its line and key; `.faults` has them all.

    Examples
    --------
    >>> load_contract("configs/contracts/us_team_spine.yaml").currency.code  # doctest: +SKIP
    'USD'
    """
    path = Path(path)
    content = read_yaml(path)
    if isinstance(content.get("provider_table"), str):
        content["provider_table"] = str(path.parent / content["provider_table"])
    return build(Contract, content, str(path), overrides)


def contract_schema() -> dict[str, Any]:
    """Return the JSON schema of a contract, for editors."""
    schema = Contract.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | schema


def _check_whole(what: str, parts: Iterable[float]) -> None:
    listed = list(parts)
    if abs(sum(listed) - 1) > WHOLE:
        told = " + ".join(f"{one:g}" for one in listed)
        raise ValueError(f"wanted {what} that sum to 1; got {told} = {sum(listed):g}")


def _uses_cost(contract: Contract) -> str:
    if any(isinstance(one, Reconcile) for one in contract.steps):
        return "reconcile"
    if contract.target and contract.target.baseline.kind == "expected":
        return "target.baseline expected"
    return "target.case_mix ratio" if contract.target and contract.target.case_mix != "none" else ""


def _uses_target(step: AnyStep) -> bool:
    of_target = (Reconcile, StopGain, StopLoss, Withhold, OutcomePayment)
    return isinstance(step, of_target) or (isinstance(step, Penalty) and step.base_column is None)


def _outcomes_of(steps: Iterable[AnyStep]) -> list[str]:
    found: list[str | None] = []
    for step in steps:
        if isinstance(step, Gate):
            found += [c.outcome for c in step.criteria if isinstance(c, NotNegativeOutlier)]
        elif isinstance(step, (Penalty, Composite)):
            found += [one.outcome for one in step.measures]
        elif isinstance(step, OutcomePayment):
            found.append(step.outcome)
    return [one for one in found if one is not None]
