"""The results that a study compares, each with all that its kind asks for."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Literal

from pydantic import Field, field_validator, model_validator

from riskadj.errors import StudyError, ValuesError
from riskadj.instruments import Instrument, instrument
from riskadj.instruments.thresholds import KINDS as THRESHOLD_KINDS
from riskadj.instruments.thresholds import Threshold, check_threshold, threshold
from riskadj.record import Record
from riskadj.study.currencies import known_currency
from riskadj.study.kinds import KINDS, Measured, OutcomeKind, measured_as_cost, measured_by


class ReferencePopulation(Record):
    """Figures of a population that the files hold only part of, such as a national publication."""

    gain: float = Field(description="its mean observed gain, the centre of the comparison")
    sd: float = Field(
        gt=0,
        description="the standard deviation of its residuals; of a cost, of residuals relative to "
        "what was expected",
    )


class GivenThreshold(Record):
    """A threshold of the study's own."""

    kind: Literal[
        "change", "percent_change", "final", "failure", "percent_failure", "worsening", "poor_state"
    ] = Field(description="what has to reach the value, or stay below it")
    value: float = Field(description="in the unit of the score, or per cent of the score before")
    source: str = Field(min_length=1, description="who says so; nothing is taken without one")


class Winsorise(Record):
    """Costs above a quantile count as the quantile."""

    upper: float = Field(
        gt=0.5, lt=1, description="the quantile, of the episodes that teach, such as 0.99"
    )
    by: str | None = Field(None, description="a column: its groups have a quantile each")


_OF_SCORES = ("threshold",)
_OF_COSTS = ("column", "currency", "price_year", "winsorise")
_WANTED: Mapping[bool, tuple[tuple[str, ...], tuple[str, ...]]] = MappingProxyType(
    {
        True: (("column", "currency", "price_year"), ("instrument", *_OF_SCORES)),
        False: (("instrument",), _OF_COSTS),
    }
)
"""By whether it is a cost: what an outcome has to say, and what it must not."""


class Outcome(Record):
    """One result to compare."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$", description="its name in every table")
    instrument: str | None = Field(None, description="of every kind but cost")
    kind: Literal["gain", "final_score", "percentage_change", "responder", "cost"] = Field(
        description="gain: improvement in the score, the score after modelled given that before; "
        "final_score: the score after; percentage_change: improvement in per cent of the score "
        "before; responder: the share that reach a threshold; cost: what the episode cost"
    )
    column: str | None = Field(None, description="of a cost: where it is, such as cost_total_90d")
    currency: str | None = Field(None, description="of a cost: its ISO 4217 code")
    price_year: int | None = Field(
        None, ge=1900, le=2200, description="of a cost: the year whose prices they are"
    )
    winsorise: Winsorise | None = Field(
        None, description="of a cost: where it is capped; null: nowhere"
    )
    threshold: str | GivenThreshold | None = Field(
        None, description="of a responder: the id of a registered threshold, or one with its source"
    )
    allow_unverified: bool = Field(
        False, description="true takes a registered threshold whose source could not be checked"
    )
    reference: ReferencePopulation | None = Field(
        None, description="null: the episodes compared are their own reference population"
    )

    @field_validator("instrument")
    @classmethod
    def _exists(cls, name: str | None) -> str | None:
        if name is not None:
            instrument(name)
        return name

    @field_validator("currency")
    @classmethod
    def _is_a_currency(cls, code: str | None) -> str | None:
        return code if code is None else known_currency(code)

    @model_validator(mode="after")
    def _says_what_its_kind_needs(self) -> "Outcome":
        wanted, strange = _WANTED[self.kind == "cost"]
        absent = [one for one in wanted if getattr(self, one) is None]
        if absent:
            said = "it is missing. Add it" if len(absent) == 1 else "each is missing. Add it"
            raise ValueError(f"wanted {', '.join(absent)} with kind {self.kind}; {said}")
        given = [one for one in strange if getattr(self, one) is not None]
        if given:
            raise ValueError(f"wanted no {', '.join(given)} with kind {self.kind}; got one")
        return self

    @model_validator(mode="after")
    def _responds_to_a_threshold(self) -> "Outcome":
        if (self.kind == "responder") != (self.threshold is not None):
            raise ValueError(
                "wanted a threshold with kind responder, and none with another; got "
                f"{'none' if self.threshold is None else 'one'} with {self.kind}"
            )
        if self.threshold is not None:
            _said_as_a_value(lambda: check_threshold(self.rule, self.definition))
        if self.kind == "percentage_change" and self.measured.range[0] != 0:
            low, high = self.measured.range
            raise ValueError(
                f"wanted percentages of scores that begin at 0; got {self.instrument}, "
                f"{low:g} to {high:g}"
            )
        return self

    @property
    def definition(self) -> Instrument:
        """The instrument itself, of any kind but a cost."""
        if self.instrument is None:
            raise ValueError(f"outcome {self.name}: kind {self.kind} has no instrument")
        return instrument(self.instrument)

    @property
    def measured(self) -> Measured:
        """What it is read from, whatever its kind."""
        if self.instrument is None:
            return measured_as_cost(self.column or "", self.currency or "")
        return measured_by(self.definition)

    @property
    def compares(self) -> OutcomeKind:
        """What its kind compares."""
        return KINDS[self.kind]

    @property
    def rule(self) -> Threshold:
        """The threshold of a responder outcome."""
        if self.threshold is None:
            raise ValueError(f"outcome {self.name}: kind {self.kind} has no threshold")
        if isinstance(self.threshold, str):
            return threshold(self.threshold, allow_unverified=self.allow_unverified)
        return _own_threshold(self, self.threshold)

    @property
    def unit(self) -> str:
        """Of what is compared."""
        return self.compares.unit or self.measured.unit

    def can_be(self, mean: float) -> bool:
        """Whether a mean of what is compared can have this value.

        Examples
        --------
        >>> ohs = Outcome(name="ohs", instrument="OHS", kind="gain")
        >>> ohs.can_be(20.0), ohs.can_be(50.0)
        (True, False)
        """
        if self.kind == "responder":
            return 0 < mean < 1
        low, high = self.measured.range
        if self.kind == "cost":
            return low < mean < high
        if self.kind == "final_score":
            return low <= mean <= high
        return self.kind != "gain" or abs(mean) <= high - low

    @property
    def better(self) -> int:
        """+1 where more of what is compared is better, -1 where less is."""
        if self.kind in ("final_score", "cost"):
            return self.measured.direction
        return -1 if self.kind == "responder" and THRESHOLD_KINDS[self.rule.kind].of_harm else 1


def _said_as_a_value(check: Callable[[], None]) -> None:
    """Let what is wrong with a threshold be told with its place in the study."""
    try:
        check()
    except (StudyError, ValuesError) as error:
        raise ValueError(str(error).rstrip(".")) from None


def _own_threshold(outcome: Outcome, given: GivenThreshold) -> Threshold:
    unit = "% of baseline" if given.kind.startswith("percent") else outcome.definition.unit
    return Threshold(
        id=f"threshold of {outcome.name}",
        instrument=outcome.definition.id,
        meaning=THRESHOLD_KINDS[given.kind].title,
        unit=unit,
        anchor="not stated",
        method="not stated",
        follow_up="not stated",
        population="not stated",
        **given.model_dump(),
    )
