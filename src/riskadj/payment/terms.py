"""What a contract says before its steps: sources, bands, money, parties and the target price."""

from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from riskadj.errors import did_you_mean
from riskadj.payment.money import CURRENCIES, Currency
from riskadj.record import Record

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


class ContractCurrency(Record):
    """The unit of account."""

    code: str = Field(description="ISO 4217, of one in circulation")
    minor_digits: int = Field(
        2, ge=0, description="digits after the point, at most and without a word those of ISO 4217"
    )

    @model_validator(mode="before")
    @classmethod
    def _own_digits(cls, content: object) -> object:
        if not isinstance(content, dict):
            return content
        code = content.get("code")
        if not isinstance(code, str) or code not in CURRENCIES:
            return content
        return {"minor_digits": CURRENCIES[code].minor_digits} | content

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


def check_whole(what: str, parts: Iterable[float]) -> None:
    """Refuse parts that do not sum to 1."""
    listed = list(parts)
    if abs(sum(listed) - 1) > WHOLE:
        told = " + ".join(f"{one:g}" for one in listed)
        raise ValueError(f"wanted {what} that sum to 1; got {told} = {sum(listed):g}")
