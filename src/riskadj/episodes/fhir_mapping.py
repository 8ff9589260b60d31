"""Which linkIds, codes and references of FHIR resources are which canonical columns, as records."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from pydantic import Field, model_validator

from riskadj.episodes.mapping_terms import (
    ROUND_PREFIXES,
    Answer,
    Code,
    Name,
    OfInstrument,
    Round,
    refuse_twice,
)
from riskadj.record import Record


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


class FhirInstrument(OfInstrument, _Answered):
    """One instrument, recognised by the linkIds of its items."""

    round: Round | None = Field(None, description="null: these linkIds serve both rounds")


class FhirQuestion(_Answered):
    """One further question, and the canonical column that it fills."""

    column: Name
    link_id: Name
    round: Round
    codes: dict[Code, Code] = Field({})


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
        refuse_twice("procedures", codes)
        return self

    @model_validator(mode="after")
    def _columns_are_said_once(self) -> "FhirMapping":
        names = [name for form in self.forms for row in form.columns.values() for name in row]
        refuse_twice("questions", names)
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
            refuse_twice(f"items of {form.name}", form.link_ids)
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


def _refuse_overlap(link_id: str, one: Form, other: Form) -> None:
    apart = one.questionnaires and other.questionnaires
    if not apart or one.questionnaires & other.questionnaires:
        raise ValueError(
            f"wanted each linkId of a questionnaire once; got {link_id!r} in {other.name} and "
            f"{one.name}. Say with `questionnaires` which responses each is read from"
        )
