"""What mappings say alike, whatever the collection: codes, rounds, and items of an instrument."""

from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from riskadj.episodes.scores import ROUNDS, item_columns
from riskadj.instruments import Instrument, instrument
from riskadj.record import Record

Round = Literal["before", "after"]
Answer = Literal["number", "coding", "ordinal", "text"]
ROUND_PREFIXES: dict[Round, str] = dict(zip(("before", "after"), ROUNDS, strict=True))


def _as_written(value: object) -> str:
    """Return a code as a file of text holds it; YAML may have read digits as a number."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise ValueError("wanted a code: text, best in quotes, or a whole number")


Code = Annotated[str, BeforeValidator(_as_written)]
Name = Annotated[str, Field(min_length=1)]


class OfInstrument(Record):
    """What mappings of either kind say of an instrument."""

    instrument: Name = Field(description="its id, such as OHS")
    items: tuple[Name, ...] = Field((), description="in the order in which they are scored")
    score: Name | None = Field(None, description="a total as supplied, held against the items")
    codes: dict[Code, Code] = Field({}, description="their code of an item: ours")

    @field_validator("instrument")
    @classmethod
    def _exists(cls, name: str) -> str:
        return instrument(name).id

    @model_validator(mode="after")
    def _has_all_items(self) -> "OfInstrument":
        wanted = self.known.items
        if self.items and len(self.items) != wanted:
            raise ValueError(
                f"wanted {wanted} items of {self.instrument}, in order; got {len(self.items)}"
            )
        refuse_twice("items", self.items)
        if not self.items and self.score is None:
            raise ValueError(f"wanted items or score of {self.instrument}; got neither")
        return self

    @model_validator(mode="after")
    def _codes_are_codes(self) -> "OfInstrument":
        low, high = self.known.item_range
        allowed = {str(one) for one in range(low, high + 1)}
        strange = sorted(set(self.codes.values()) - allowed)
        if self.items and strange:
            raise ValueError(
                f"wanted codes that become {low} to {high}, those of {self.instrument}; "
                f"got {strange[0]!r}"
            )
        return self

    @property
    def known(self) -> Instrument:
        """The instrument itself."""
        return instrument(self.instrument)

    def columns(self, of: Round) -> list[str]:
        """Return the canonical columns of the items, then of the score, in one round."""
        q = ROUND_PREFIXES[of]
        items = item_columns(self.known, q) if self.items else []
        return items + ([f"{q}_score_{self.known.measure}"] if self.score else [])

    def sources(self) -> list[str]:
        """Return what the columns come from, in the same order."""
        return [*self.items, *([self.score] if self.score else [])]


def refuse_twice(where: str, names: Sequence[str]) -> None:
    """Raise when a name is there twice; pydantic makes a fault of its place of a ValueError."""
    twice = sorted(name for name, count in Counter(names).items() if count > 1)
    if twice:
        raise ValueError(f"{where}: wanted each once; got {twice[0]!r} twice")
