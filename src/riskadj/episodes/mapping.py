"""Mapping files: where a collection keeps what the episode table holds, as frozen records.

A mapping is a YAML 1.2 file that a study points to with `data.mapping`. It says which fields of a
REDCap export, or which linkIds of FHIR questionnaires, are which canonical columns. It holds no
wording: names and codes only.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from riskadj.episodes.scores import ROUNDS, item_columns
from riskadj.errors import (
    ColumnError,
    FileMissingError,
    RiskadjError,
    StudyError,
    did_you_mean,
    raise_all,
)
from riskadj.instruments import Instrument, instrument

MAX_MAPPING_BYTES = 1_000_000
"""A mapping is written by hand; what is longer is another file."""

LEFT_OUT = "left_out"
"""The key of `DataFrame.attrs` under which a reader says what it left out: reason to count."""

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


class Record(BaseModel):
    """A frozen record that refuses keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class _OfInstrument(Record):
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
    def _has_all_items(self) -> "_OfInstrument":
        wanted = self.known.items
        if self.items and len(self.items) != wanted:
            raise ValueError(
                f"wanted {wanted} items of {self.instrument}, in order; got {len(self.items)}"
            )
        if not self.items and self.score is None:
            raise ValueError(f"wanted items or score of {self.instrument}; got neither")
        return self

    @model_validator(mode="after")
    def _codes_are_codes(self) -> "_OfInstrument":
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


class RedcapInstrument(_OfInstrument):
    """One instrument; its fields take the prefix and suffix of each round."""

    missing: tuple[Code, ...] = Field((), description="codes of its items that mean missing")


class RedcapColumn(Record):
    """Where one canonical column comes from: a field, several checkboxes, or a fixed value."""

    field: Name | None = None
    any_of: tuple[Name, ...] = Field((), description="checkboxes: 1 when any is ticked")
    value: Code | None = Field(None, description="the same for every record")
    event: Name | None = Field(None, description="null: any event, where all must agree")
    codes: dict[Code, Code] = {}
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
    columns: dict[str, RedcapColumn] = {}
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
        _refuse_twice("columns", names)
        if "episode_id" in names:
            raise ValueError("wanted no column 'episode_id', which is the record; got one")
        for one in self.needs:
            if one not in names:
                raise ValueError(
                    f"needs: wanted columns of this mapping; got {one!r}.{did_you_mean(one, names)}"
                )
        return self


class Concept(Record):
    """A code in a coding system."""

    system: Name
    code: Code


class ProcedureGroup(Record):
    """Codes that mean one procedure group."""

    group: Name
    codes: tuple[Concept, ...] = Field(min_length=1)


class FhirProvider(Record):
    """Who is compared: the first place of `look_in` that names an Organization."""

    look_in: tuple[Literal["performer", "on_behalf_of", "service_provider"], ...] = Field(
        min_length=1,
        description="performer: Procedure.performer.actor; on_behalf_of: "
        "Procedure.performer.onBehalfOf; service_provider: Encounter.serviceProvider",
    )
    identifier_system: Name | None = Field(
        None, description="take its identifier of this system; null: its id in the file"
    )


class FhirWindow(Record):
    """Which responses belong to a round: days between `authored` and the operation."""

    at_least: int = Field(ge=0, description="days")
    at_most: int = Field(ge=0, description="days")
    choose: Literal["first", "last"] = Field(description="of several responses in the window")
    questionnaires: tuple[Name, ...] = Field(
        (), description="canonical URLs that are of this round only"
    )

    @model_validator(mode="after")
    def _opens_before_it_closes(self) -> "FhirWindow":
        if self.at_least > self.at_most:
            raise ValueError(
                f"wanted at_least up to at_most; got {self.at_least} and {self.at_most}"
            )
        return self


class _Answered(Record):
    answer: Answer = Field(
        description="number: valueInteger or valueDecimal; coding: the code of valueCoding; "
        "ordinal: the ordinalValue of valueCoding; text: a string, date or boolean"
    )
    questionnaires: tuple[Name, ...] = Field(
        (), description="canonical URLs to read it from; none: any response with its linkIds"
    )


class FhirInstrument(_OfInstrument, _Answered):
    """One instrument, recognised by the linkIds of its items."""

    round: Round | None = Field(None, description="null: these linkIds serve both rounds")


class FhirQuestion(_Answered):
    """One further question, and the canonical column that it fills."""

    column: Name
    link_id: Name
    round: Round
    codes: dict[Code, Code] = {}


@dataclass(frozen=True)
class Form:
    """What is read together from one response: an instrument, or a further question.

    Attributes
    ----------
    name : str
    link_ids : tuple of str
    columns : dict of str to tuple of str
        By round, the canonical columns in the order of `link_ids`.
    answers : tuple of str
        How each becomes a value.
    codes : tuple of dict
        From their codes to ours; an empty one keeps the code.
    questionnaires : frozenset of str
        Canonical URLs without a version; empty: any.
    """

    name: str
    link_ids: tuple[str, ...]
    columns: Mapping[Round, tuple[str, ...]]
    answers: tuple[Answer, ...]
    codes: tuple[Mapping[str, str], ...]
    questionnaires: frozenset[str]


class FhirMapping(Record):
    """Which linkIds, codes and references of FHIR R4 resources are which canonical columns."""

    format: Literal["fhir"]
    procedures: tuple[ProcedureGroup, ...] = Field(min_length=1)
    provider: FhirProvider
    before: FhirWindow
    after: FhirWindow
    instruments: tuple[FhirInstrument, ...] = Field(min_length=1)
    questions: tuple[FhirQuestion, ...] = ()
    ignore_link_ids: tuple[Name, ...] = Field((), description="questions that are not read")
    ignore_questionnaires: tuple[Name, ...] = Field(
        (), description="canonical URLs whose responses are left out and counted"
    )

    @cached_property
    def forms(self) -> tuple[Form, ...]:
        """Everything that is read from responses: instruments, then questions."""
        return (
            *map(_form_of_instrument, self.instruments),
            *map(_form_of_question, self.questions),
        )

    @cached_property
    def groups(self) -> dict[tuple[str, str], str]:
        """The procedure group of each coding system and code."""
        return {(c.system, c.code): one.group for one in self.procedures for c in one.codes}

    @model_validator(mode="after")
    def _after_is_after(self) -> "FhirMapping":
        if self.after.at_least < 1:
            raise ValueError(
                "after.at_least: wanted 1 day or more, as the day itself is before; got 0"
            )
        both = set(self.before.questionnaires) & set(self.after.questionnaires)
        if both:
            raise ValueError(
                f"wanted a questionnaire of one round only; got {sorted(both)[0]!r} in both"
            )
        return self

    @model_validator(mode="after")
    def _codes_mean_one_group(self) -> "FhirMapping":
        codes = [f"{c.system}|{c.code}" for one in self.procedures for c in one.codes]
        _refuse_twice("procedures", codes)
        return self

    @model_validator(mode="after")
    def _columns_are_said_once(self) -> "FhirMapping":
        names = [name for form in self.forms for row in form.columns.values() for name in row]
        _refuse_twice("questions", names)
        for one in FHIR_COLUMNS:
            if one in names:
                raise ValueError(
                    f"wanted no question for {one!r}, which is read elsewhere; got one"
                )
        return self

    @model_validator(mode="after")
    def _link_ids_mean_one_thing(self) -> "FhirMapping":
        known: dict[str, list[Form]] = {}
        for form in self.forms:
            _refuse_twice(f"items of {form.name}", form.link_ids)
            for link_id in form.link_ids:
                for other in known.setdefault(link_id, []):
                    _refuse_overlap(link_id, form, other)
                known[link_id].append(form)
        for link_id in self.ignore_link_ids:
            if link_id in known:
                raise ValueError(f"wanted linkIds read or ignored; got {link_id!r} as both")
        return self


FHIR_COLUMNS = (
    "episode_id", "patient_id", "provider_id", "procedure_group", "index_date", "age_years", "sex",
    "q1_date", "q2_date",
)  # fmt: skip
"""The columns that come from other places than answers."""

AnyMapping = TypeVar("AnyMapping", RedcapMapping, FhirMapping)


def read_mapping(path: str | Path, kind: type[AnyMapping]) -> AnyMapping:
    """Read a mapping file and check all of it.

    Parameters
    ----------
    path : str or Path
        A YAML 1.2 file.
    kind : {RedcapMapping, FhirMapping}

    Raises
    ------
    FileMissingError, StudyError
        One line for the first fault; `.faults` has them all when there are several.
    """
    path = Path(path)
    content = _read_yaml(path)
    _check_format(content, kind, path)
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        found = _without_echoes(error.errors())
        unknown_first = sorted(found, key=lambda one: one["type"] != "extra_forbidden")
        raise_all(_fault(one, kind, path) for one in unknown_first)
        raise


def mapped_columns(mapping: RedcapMapping | FhirMapping) -> list[str]:
    """Return the canonical columns that a mapping fills, each once."""
    if isinstance(mapping, RedcapMapping):
        return list(dict.fromkeys(("episode_id", "patient_id", *mapping.sources)))
    answers = [name for form in mapping.forms for row in form.columns.values() for name in row]
    return [*FHIR_COLUMNS, *answers]


def check_mapped_columns(
    mapping: RedcapMapping | FhirMapping, declared: Iterable[str], source: str
) -> None:
    """Raise unless every column of a mapping is declared; what is not would never be read.

    Raises
    ------
    ColumnError

    Examples
    --------
    >>> from riskadj.episodes.mapping import RedcapMapping, check_mapped_columns
    >>> mapping = RedcapMapping.model_validate({
    ...     "format": "redcap",
    ...     "before": {"suffix": "_pre"},
    ...     "after": {"suffix": "_post"},
    ...     "instruments": [{"instrument": "EQ_VAS", "score": "vas"}],
    ...     "columns": {"provider": {"value": "H01"}},
    ... })
    >>> known = ["episode_id", "patient_id", "provider_id", "q1_score_eqvas", "q2_score_eqvas"]
    >>> check_mapped_columns(mapping, known, "map.yaml")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    riskadj.errors.ColumnError: map.yaml: wanted declared columns; got 'provider'. Did you mean ...
    """
    declared = list(declared)
    for name in mapped_columns(mapping):
        if name not in declared:
            raise ColumnError(
                f"{source}: wanted declared columns; got {name!r}.{did_you_mean(name, declared)} "
                "Correct the mapping, or declare it in data.columns."
            )


def canonical_url(reference: str) -> str:
    """Return a canonical reference without its version.

    Examples
    --------
    >>> canonical_url("http://example.org/Questionnaire/hip|2.1")
    'http://example.org/Questionnaire/hip'
    """
    return reference.split("|", 1)[0]


def _form_of_instrument(one: FhirInstrument) -> Form:
    n_items = len(one.items)
    n_scores = 1 if one.score else 0
    # A total is a number however the items are answered, except where it is all there is.
    kind: Answer = "number" if one.items else one.answer
    return Form(
        name=f"{one.instrument} {one.round or 'before and after'}",
        link_ids=tuple(one.sources()),
        columns={of: tuple(one.columns(of)) for of in ROUND_PREFIXES if one.round in (None, of)},
        answers=(one.answer,) * n_items + (kind,) * n_scores,
        codes=(one.codes,) * n_items + ({},) * n_scores,
        questionnaires=frozenset(map(canonical_url, one.questionnaires)),
    )


def _form_of_question(one: FhirQuestion) -> Form:
    return Form(
        name=one.column,
        link_ids=(one.link_id,),
        columns={one.round: (one.column,)},
        answers=(one.answer,),
        codes=(one.codes,),
        questionnaires=frozenset(map(canonical_url, one.questionnaires)),
    )


def _refuse_twice(where: str, names: Sequence[str]) -> None:
    twice = sorted(name for name, count in Counter(names).items() if count > 1)
    if twice:
        raise ValueError(f"{where}: wanted each once; got {twice[0]!r} twice")


def _refuse_overlap(link_id: str, one: Form, other: Form) -> None:
    apart = one.questionnaires and other.questionnaires
    if not apart or one.questionnaires & other.questionnaires:
        raise ValueError(
            f"wanted each linkId of a questionnaire once; got {link_id!r} in {other.name} and "
            f"{one.name}. Say with `questionnaires` which responses each is read from"
        )


def _read_yaml(path: Path) -> dict[str, Any]:
    """Read YAML as built-in types alone; nothing in it can name a class."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    text = _read_text(path)
    try:
        content = YAML(typ="safe", pure=True).load(text)
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        problem = (error.problem or "cannot be read").splitlines()[0]
        raise StudyError(f"{path}:{line}: wanted YAML 1.2; got a fault: {problem}.") from None
    except (YAMLError, ValueError, RecursionError) as error:
        problem = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise StudyError(f"{path}: wanted YAML 1.2; got a fault: {problem[:100]}.") from None
    if not isinstance(content, dict):
        raise StudyError(
            f"{path}: wanted a mapping of keys to values; got "
            f"{'nothing' if content is None else type(content).__name__}. See configs/mappings."
        )
    return {str(key): value for key, value in content.items()}


def _read_text(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            content = stream.read(MAX_MAPPING_BYTES + 1)
        text = content.decode("utf-8-sig")
    except FileNotFoundError:
        raise FileMissingError(
            f"{path}: wanted a mapping file; there is none. Check data.mapping."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise StudyError(
            f"{path}: wanted a YAML file in UTF-8; could not read it: {error}."
        ) from None
    if len(content) > MAX_MAPPING_BYTES:
        raise StudyError(
            f"{path}: wanted a mapping of up to {MAX_MAPPING_BYTES // 1_000_000} MB; got more. "
            "Check data.mapping: it may name the data."
        )
    return text


def _check_format(content: Mapping[str, Any], kind: type[BaseModel], path: Path) -> None:
    wanted = get_args(kind.model_fields["format"].annotation)[0]
    if content.get("format") != wanted:
        raise StudyError(
            f"{path}: wanted a mapping with format: {wanted}, as data.format says; got "
            f"{_short(content.get('format'))}. Check data.format and data.mapping."
        )


def _without_echoes(errors: Sequence[Any]) -> list[Any]:
    """Drop "too few" of lists that are only short of entries with faults of their own."""
    places = [one["loc"] for one in errors]
    return [
        one
        for one in errors
        if one["type"] != "too_short"
        or not any(
            len(place) > len(one["loc"]) and place[: len(one["loc"])] == one["loc"]
            for place in places
        )
    ]


def _fault(error: Any, kind: type[BaseModel], path: Path) -> RiskadjError:
    location = ".".join(str(one) for one in error["loc"])
    where = f"{path}: {location or 'mapping'}"
    cause = error.get("ctx", {}).get("error")
    if isinstance(cause, RiskadjError):
        return type(cause)(f"{where}: {cause}")
    if error["type"] == "extra_forbidden":
        got = str(error["loc"][-1])
        known = [one for one in _known_keys(kind) if one != got]  # it may be known elsewhere
        return StudyError(f"{where}: wanted a known key; got {got!r}.{did_you_mean(got, known)}")
    if error["type"] == "missing":
        return StudyError(f"{where}: wanted a value; the key is missing. Add it.")
    problem = str(error["msg"]).removeprefix("Value error, ").replace("Input should be", "wanted")
    got = "" if "got" in problem else f"; got {_short(error['input'])}"
    return StudyError(f"{where}: {problem}{got}.")


def _short(value: object) -> str:
    """Name a value; lists and mappings by their kind, as a few aliases can make them endless."""
    if isinstance(value, (dict, list, tuple)):
        return f"a {type(value).__name__}"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


_RECORDS: dict[type[BaseModel], tuple[type[BaseModel], ...]] = {
    RedcapMapping: (RedcapMapping, RedcapRound, RedcapInstrument, RedcapColumn),
    FhirMapping: (
        FhirMapping, FhirWindow, FhirProvider, FhirInstrument, FhirQuestion, ProcedureGroup,
        Concept,
    ),
}  # fmt: skip


def _known_keys(kind: type[BaseModel]) -> list[str]:
    return sorted({name for record in _RECORDS[kind] for name in record.model_fields})
