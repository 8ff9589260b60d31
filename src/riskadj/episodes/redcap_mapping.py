"""Which fields of a REDCap export are which canonical columns, as frozen records."""

from functools import cached_property
from typing import Literal

from pydantic import Field, model_validator

from riskadj.episodes.mapping_terms import (
    ROUND_PREFIXES,
    Code,
    Name,
    OfInstrument,
    Round,
    refuse_twice,
)
from riskadj.errors import did_you_mean
from riskadj.record import Record


class RedcapRound(Record):
    """Where one round of questions is: an event, or fields with a prefix or suffix."""

    event: Name | None = Field(None, description="as in redcap_event_name")
    prefix: str = ""
    suffix: str = ""
    date: Name | None = Field(None, description="the field of its date; takes prefix and suffix")
    complete: Name | None = Field(
        None,
        description="the field of the form's status, such as ohs_complete; where it is not "
        "among `finished`, the round is unanswered, and counted. Takes prefix and suffix",
    )
    finished: tuple[Code, ...] = Field(
        ("2",), description="of REDCap's 0 incomplete, 1 unverified, 2 complete"
    )

    def field(self, name: str) -> str:
        """Return the name of a field in this round."""
        return f"{self.prefix}{name}{self.suffix}"


class RedcapInstrument(OfInstrument):
    """One instrument; its fields take the prefix and suffix of each round."""

    missing: tuple[Code, ...] = Field((), description="codes of its items that mean missing")


class RedcapColumn(Record):
    """Where one canonical column comes from: a field, several checkboxes, or a fixed value."""

    field: Name | None = None
    any_of: tuple[Name, ...] = Field((), description="checkboxes: 1 when any is ticked")
    value: Code | None = Field(None, description="the same for every record")
    event: Name | None = Field(None, description="null: any event, where all must agree")
    codes: dict[Code, Code] = Field({})
    missing: tuple[Code, ...] = ()

    @model_validator(mode="after")
    def _comes_from_one_place(self) -> "RedcapColumn":
        given = [self.field is not None, bool(self.any_of), self.value is not None]
        if sum(given) != 1:
            raise ValueError(f"wanted one of field, any_of and value; got {sum(given)} of them")
        return self

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields that are read."""
        return self.any_of or ((self.field,) if self.field else ())


class RedcapMapping(Record):
    """Which fields of a REDCap export are which canonical columns."""

    format: Literal["redcap"]
    record: Name = Field("record_id", description="the field that numbers the records")
    before: RedcapRound
    after: RedcapRound
    instruments: tuple[RedcapInstrument, ...] = Field(min_length=1)
    columns: dict[str, RedcapColumn] = Field({})
    missing: tuple[Code, ...] = Field((), description="missing data codes of the whole project")
    ignore_events: tuple[Name, ...] = Field((), description="events that are not read")
    repeats: Literal["error", "first", "last"] = Field(
        "error", description="which instance is read where a form was filled in several times"
    )
    needs: tuple[str, ...] = Field(
        (), description="columns without which a record is no episode; counted as left out"
    )

    @property
    def longitudinal(self) -> bool:
        """Whether the rounds are events."""
        return self.before.event is not None

    @property
    def rounds(self) -> dict[str, RedcapRound]:
        """The rounds by name."""
        return {"before": self.before, "after": self.after}

    def fields_of(self, name: str) -> tuple[str, ...]:
        """Return the fields of a round's answers, its date among them."""
        part = self.rounds[name]
        named = [part.date] if part.date else []
        named += [source for one in self.instruments for source in one.sources()]
        return tuple(part.field(one) for one in named)

    @cached_property
    def sources(self) -> dict[str, RedcapColumn]:
        """Where every canonical column comes from."""
        return dict(self._pairs())

    def _pairs(self) -> list[tuple[str, RedcapColumn]]:
        pairs = list(self.columns.items())
        for name, part in self.rounds.items():
            q = ROUND_PREFIXES[name]  # type: ignore[index]
            if part.date:
                column = RedcapColumn(field=part.field(part.date), event=part.event)
                pairs.append((f"{q}_date", column))
            for one in self.instruments:
                pairs += self._instrument_pairs(one, name, part)  # type: ignore[arg-type]
        return pairs

    def _instrument_pairs(
        self, one: RedcapInstrument, of: Round, part: RedcapRound
    ) -> list[tuple[str, RedcapColumn]]:
        pairs = []
        for column, source in zip(one.columns(of), one.sources(), strict=True):
            # What means missing in an item, such as 9, is a total like any other.
            total = source == one.score and one.items
            made = RedcapColumn(
                field=part.field(source),
                event=part.event,
                codes={} if total else one.codes,
                missing=() if total else one.missing,
            )
            pairs.append((column, made))
        return pairs

    @model_validator(mode="after")
    def _rounds_differ(self) -> "RedcapMapping":
        before, after = self.before, self.after
        if (before.event is None) != (after.event is None):
            raise ValueError("wanted an event for before and for after, or for neither; got one")
        if (before.event, before.field("*")) == (after.event, after.field("*")):
            raise ValueError(
                "wanted before and after to differ in event, prefix or suffix; got the same"
            )
        return self

    @model_validator(mode="after")
    def _events_are_said_once(self) -> "RedcapMapping":
        named = [one.event for one in self.columns.values() if one.event]
        if not self.longitudinal and (named or self.ignore_events):
            raise ValueError(
                "wanted no events, as before and after have none; got some in columns or "
                "ignore_events"
            )
        both = set(self.ignore_events) & {self.before.event, self.after.event, *named}
        if both:
            first = sorted(map(str, both))[0]
            raise ValueError(f"wanted events read or ignored; got {first!r} as both")
        return self

    @model_validator(mode="after")
    def _columns_are_said_once(self) -> "RedcapMapping":
        names = [name for name, _ in self._pairs()]
        refuse_twice("columns", names)
        if "episode_id" in names:
            raise ValueError("wanted no column 'episode_id', which is the record; got one")
        for one in self.needs:
            if one not in names:
                raise ValueError(
                    f"needs: wanted columns of this mapping; got {one!r}.{did_you_mean(one, names)}"
                )
        return self
