"""What is needed of each FHIR resource, and no more."""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from riskadj.episodes.fhir_json import children_in, object_in, text_in
from riskadj.episodes.fhir_mapping import canonical_url
from riskadj.errors import FileFormatError

MAX_ITEM_DEPTH = 64
"""How deep questions may lie within groups and questions; real forms stay below ten."""
_WEIGHTS = tuple(
    f"http://hl7.org/fhir/StructureDefinition/{name}" for name in ("ordinalValue", "itemWeight")
)
"""The number of a coding in R4, and what it was renamed to after."""


class Ref(NamedTuple):
    """A Reference: to what, of which type, or by which identifiers (system and value)."""

    target: str = ""
    type: str = ""
    identifiers: tuple[tuple[str, str], ...] = ()


class Given(NamedTuple):
    """One answer: `Integer`, `Coding`, ... of `value[x]`, its value, and what a coding adds."""

    kind: str
    value: Any
    system: str = ""
    weight: float | None = None


@dataclass(frozen=True)
class Patient:
    """A Patient: date of birth and gender as written, and identifiers (system and value)."""

    born: str
    gender: str
    identifiers: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Procedure:
    """A Procedure: of whom, which codes (system and code), when, and where providers are named."""

    status: str
    subject: Ref
    codes: tuple[tuple[str, str], ...]
    performed: str
    actors: tuple[Ref, ...]
    on_behalf_of: tuple[Ref, ...]
    encounter: Ref


@dataclass(frozen=True)
class Response:
    """A QuestionnaireResponse: of whom, when, to what, and the answers of each linkId."""

    status: str
    subject: Ref
    authored: str
    questionnaire: str
    part_of: tuple[Ref, ...]
    answers: tuple[tuple[str, tuple[Given, ...]], ...]


def _pairs(parent: dict[str, Any], name: str, key: str, path: Path) -> tuple[tuple[str, str], ...]:
    """Return the system and the value or code of each Identifier or Coding in a list."""
    listed = children_in(parent, name, path)
    pairs = ((text_in(one, "system", path), text_in(one, key, path)) for one in listed)
    return tuple(pair for pair in pairs if pair[1])


def _ref(parent: dict[str, Any], name: str, resource: dict[str, Any], path: Path) -> Ref:
    """Return a Reference; one to a contained resource becomes one by its identifiers."""
    reference = object_in(parent, name, path)
    target = text_in(reference, "reference", path)
    kind = text_in(reference, "type", path)
    if target.startswith("#"):
        for one in children_in(resource, "contained", path):
            if text_in(one, "id", path) == target[1:]:
                kind = text_in(one, "resourceType", path)
                return Ref("", kind, _pairs(one, "identifier", "value", path))
        return Ref("", kind)
    identifier = {"identifier": [reference["identifier"]]} if "identifier" in reference else {}
    return Ref(target, kind, _pairs(identifier, "identifier", "value", path))


def _patient(resource: dict[str, Any], path: Path) -> Patient:
    return Patient(
        text_in(resource, "birthDate", path),
        text_in(resource, "gender", path),
        _pairs(resource, "identifier", "value", path),
    )


def _organisation(resource: dict[str, Any], path: Path) -> tuple[tuple[str, str], ...]:
    return _pairs(resource, "identifier", "value", path)


def _encounter(resource: dict[str, Any], path: Path) -> Ref:
    return _ref(resource, "serviceProvider", resource, path)


def _procedure(resource: dict[str, Any], path: Path) -> Procedure:
    period = object_in(resource, "performedPeriod", path)
    performers = children_in(resource, "performer", path)
    return Procedure(
        status=text_in(resource, "status", path),
        subject=_ref(resource, "subject", resource, path),
        codes=_pairs(object_in(resource, "code", path), "coding", "code", path),
        performed=text_in(resource, "performedDateTime", path) or text_in(period, "start", path),
        actors=tuple(_ref(one, "actor", resource, path) for one in performers),
        on_behalf_of=tuple(_ref(one, "onBehalfOf", resource, path) for one in performers),
        encounter=_ref(resource, "encounter", resource, path),
    )


def _response(resource: dict[str, Any], path: Path) -> Response:
    parts = ({"part": one} for one in children_in(resource, "partOf", path))
    return Response(
        status=text_in(resource, "status", path),
        subject=_ref(resource, "subject", resource, path),
        authored=text_in(resource, "authored", path),
        questionnaire=canonical_url(text_in(resource, "questionnaire", path)),
        part_of=tuple(_ref(one, "part", resource, path) for one in parts),
        answers=tuple(_answered(resource, path)),
    )


def _answered(resource: dict[str, Any], path: Path) -> Iterator[tuple[str, tuple[Given, ...]]]:
    """Yield the linkId and the answers of every answered question, however deep it lies."""
    waiting = [(item, 1) for item in reversed(children_in(resource, "item", path))]
    while waiting:
        item, depth = waiting.pop()
        if depth > MAX_ITEM_DEPTH:
            raise FileFormatError(
                f"{path}: wanted questions nested up to {MAX_ITEM_DEPTH} deep; got deeper ones."
            )
        answers = children_in(item, "answer", path)
        given = tuple(one for one in (_given(answer, path) for answer in answers) if one)
        if given:
            yield text_in(item, "linkId", path), given
        inner = children_in(item, "item", path)
        inner = inner + [one for answer in answers for one in children_in(answer, "item", path)]
        waiting.extend((one, depth + 1) for one in reversed(inner))


def _given(answer: dict[str, Any], path: Path) -> Given | None:
    names = [one for one in answer if one.startswith("value")]
    if not names:
        return None
    if len(names) > 1:
        raise FileFormatError(
            f"{path}: wanted one value[x] in an answer; got {len(names)} of them."
        )
    kind, value = names[0].removeprefix("value"), answer[names[0]]
    if kind != "Coding":
        return Given(kind, None if isinstance(value, (dict, list)) else value)
    coding = object_in(answer, "valueCoding", path)
    weights = [
        extension.get("valueDecimal")
        for extension in children_in(coding, "extension", path)
        if extension.get("url") in _WEIGHTS
    ]
    weight = weights[0] if len(weights) == 1 and is_number(weights[0]) else None
    return Given(kind, text_in(coding, "code", path), text_in(coding, "system", path), weight)


def is_number(value: object) -> bool:
    """Whether it is a number that a float holds; JSON has larger ones."""
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return False
    return abs(value) <= sys.float_info.max


EXTRACT: dict[str, Callable[[dict[str, Any], Path], Any]] = {
    "Patient": _patient,
    "Organization": _organisation,
    "Encounter": _encounter,
    "Procedure": _procedure,
    "QuestionnaireResponse": _response,
}
