"""FHIR R4 questionnaire responses, with the operations they surround, as the episode table.

A Procedure with a code of the mapping is an episode. Its patient's QuestionnaireResponses are the
rounds before and after it: by their date `authored`, in the windows that the mapping gives. An
instrument is recognised by the linkIds of its items. Resource and element names are those of HL7
FHIR release 4 (4.0.1): Bundle, Patient, Procedure, Encounter, Organization,
QuestionnaireResponse. Every response and every procedure that is not used is counted by reason.
"""

import gzip
import json
import re
import sys
import zlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import IO, Any, NamedTuple, NoReturn

import pandas as pd

from riskadj.episodes.files import check_there
from riskadj.episodes.mapping import (
    LEFT_OUT,
    ROUND_PREFIXES,
    Answer,
    FhirMapping,
    FhirProvider,
    FhirWindow,
    Form,
    Round,
    canonical_url,
    mapped_columns,
)
from riskadj.errors import (
    FileFormatError,
    RiskadjError,
    UnknownNameError,
    ValuesError,
    did_you_mean,
    raise_all,
)

MAX_DOCUMENT_BYTES = 512 * 2**20
"""Of one JSON document: parsed, it takes several times its size in memory."""
MAX_FILE_BYTES = 8 * 2**30
"""Of a whole file once unpacked, so that a small archive cannot grow without end."""
MAX_ITEM_DEPTH = 64
"""How deep questions may lie within groups and questions; real forms stay below ten."""
SHOWN = 10
"""How many unknown linkIds a message lists."""

_LINES = (".ndjson", ".jsonl")
_USABLE = ("completed", "amended")
_WEIGHTS = tuple(
    f"http://hl7.org/fhir/StructureDefinition/{name}" for name in ("ordinalValue", "itemWeight")
)
"""The number of a coding in R4, and what it was renamed to after."""
_REFUSED_BUNDLES = ("history", "batch-response", "transaction-response")
_DATE = re.compile(r"(\d{4}-\d\d-\d\d)(T\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d))?")
_RELATIVE = re.compile(r"[A-Z][A-Za-z]+/[A-Za-z0-9.-]{1,64}")


class _Ref(NamedTuple):
    """A Reference: to what, of which type, or by which identifiers (system and value)."""

    target: str = ""
    type: str = ""
    identifiers: tuple[tuple[str, str], ...] = ()


class _Given(NamedTuple):
    """One answer: `Integer`, `Coding`, ... of `value[x]`, its value, and what a coding adds."""

    kind: str
    value: Any
    system: str = ""
    weight: float | None = None


@dataclass(frozen=True)
class _Patient:
    born: str
    gender: str
    identifiers: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class _Procedure:
    status: str
    subject: _Ref
    codes: tuple[tuple[str, str], ...]
    performed: str
    actors: tuple[_Ref, ...]
    on_behalf_of: tuple[_Ref, ...]
    encounter: _Ref


@dataclass(frozen=True)
class _Response:
    status: str
    subject: _Ref
    authored: str
    questionnaire: str
    part_of: tuple[_Ref, ...]
    answers: tuple[tuple[str, tuple[_Given, ...]], ...]


@dataclass
class _Store:
    """What a file holds, each resource under its `Type/id` or, without an id, its fullUrl."""

    path: Path
    kept: dict[str, dict[str, Any]] = field(default_factory=lambda: defaultdict(dict))
    names: dict[str, str] = field(default_factory=dict)
    patients_by_identifier: dict[tuple[str, str], str] = field(default_factory=dict)
    again: Counter[str] = field(default_factory=Counter)

    def key(self, reference: _Ref) -> str:
        """Return the key of what is referred to, there or not; empty when nothing is."""
        if not reference.target:
            known = (self.patients_by_identifier.get(one) for one in reference.identifiers)
            return next((one for one in known if one), "")
        target = reference.target.split("/_history/", 1)[0]
        if target in self.names:
            return self.names[target]
        tail = "/".join(target.split("/")[-2:])
        return tail if _RELATIVE.fullmatch(tail) else target


@dataclass(frozen=True)
class _Episode:
    key: str
    patient: str
    provider: str
    group: str
    day: date


@dataclass
class _Candidate:
    """A response that may serve; `used` or `contradicted` once that is known."""

    response: _Response
    day: date
    when: tuple[str, bool]
    answers: Mapping[str, tuple[tuple[_Given, ...], ...]]
    position: int
    used: bool = False
    contradicted: bool = False


def read_fhir(path: Path, mapping: FhirMapping) -> pd.DataFrame:
    """Read one file of FHIR R4 JSON: a Bundle, or NDJSON of resources or Bundles; or its `.gz`.

    Parameters
    ----------
    path : Path
    mapping : FhirMapping

    Returns
    -------
    DataFrame of shape (n_procedures_used, n_columns)
        Canonical column names, one row per operation in the order of the file; cells still text,
        with missing as empty text. `q1_date` and `q2_date` are those of the first instrument of
        the mapping that was answered. `age_years` counts whole years, and is missing where the
        date of birth is not a whole date. `attrs["left_out"]` counts, by reason, the procedures
        and the responses that are not used; with those used they make up all of the file.

    Raises
    ------
    FileMissingError
    FileFormatError
        When it is not JSON, not a whole Bundle, too large or too deep, or has no operation.
    UnknownNameError
        With answered linkIds that the mapping neither reads nor ignores.
    ValuesError
        With answers that are not of the kind the mapping says, or given twice.

    Notes
    -----
    A response that is `partOf` a Procedure belongs to that one. Any other belongs, within each
    procedure group, to the last operation before it and to the next one on or after its day. A
    dateTime is the day on the clock that it was written by.
    """
    store = _read_store(path)
    left_out: Counter[str] = Counter(store.again)
    episodes = _find_episodes(store, mapping, left_out)
    rounds = _match_responses(store, mapping, episodes, left_out)
    table = _table(store, mapping, episodes, rounds)
    table.attrs[LEFT_OUT] = dict(sorted(left_out.items()))
    return table


# The file.


def _read_store(path: Path) -> _Store:
    store = _Store(path)
    for resource, url in _resources(path):
        kind = _text(resource, "resourceType", path)
        if kind == "Bundle":
            raise FileFormatError(f"{path}: wanted resources in a Bundle; got a Bundle within one.")
        if kind in _EXTRACT:
            _keep(store, kind, resource, url)
    named = Counter(pair for one in store.kept["Patient"].values() for pair in one.identifiers)
    store.patients_by_identifier = {
        pair: key
        for key, one in store.kept["Patient"].items()
        for pair in one.identifiers
        if named[pair] == 1  # one that two patients share tells neither
    }
    return store


def _keep(store: _Store, kind: str, resource: dict[str, Any], url: str) -> None:
    identity = _text(resource, "id", store.path)
    kept = store.kept[kind]
    key = f"{kind}/{identity}" if identity else url or f"{kind}/{len(kept)} of the file"
    if kind == "Procedure" and not (identity or url):
        raise FileFormatError(f"{store.path}: wanted an id of each Procedure; got one without.")
    slim = _EXTRACT[kind](resource, store.path)
    if kept.setdefault(key, slim) != slim:
        raise FileFormatError(
            f"{store.path}: wanted each resource once; got two {kind} resources of one id that "
            "differ. Keep the current version of each."
        )
    if kept[key] is not slim and kind in _UNITS:
        store.again[f"{_UNITS[kind]}: the same one again"] += 1
    if url and store.names.setdefault(url, key) != key:
        raise FileFormatError(
            f"{store.path}: wanted each fullUrl of one resource; got one of two {kind} resources."
        )


def _resources(path: Path) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield every resource of a file with its fullUrl."""
    bundles = pages = 0
    for document in _documents(path):
        if _text(document, "resourceType", path) != "Bundle":
            yield document, ""
            continue
        bundles += 1
        pages += any(one.get("relation") == "next" for one in _children(document, "link", path))
        yield from _entries(document, path)
    if bundles and pages == bundles:
        raise FileFormatError(
            f"{path}: wanted a whole Bundle; got a page of a search, whose link `next` leads to "
            "more. Put all pages into one .ndjson file, one on each line."
        )


def _entries(bundle: dict[str, Any], path: Path) -> Iterator[tuple[dict[str, Any], str]]:
    kind = _text(bundle, "type", path)
    if kind in _REFUSED_BUNDLES:
        raise FileFormatError(
            f"{path}: wanted a Bundle of current resources, such as a collection or searchset; "
            f"got one of type {kind!r}."
        )
    for entry in _children(bundle, "entry", path):
        if "resource" in entry:
            yield _object(entry, "resource", path), _text(entry, "fullUrl", path)


def _documents(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the JSON documents of a file: one, or one on each line."""
    check_there(path)
    packed = path.suffix.lower() == ".gz"
    inner = (path.with_suffix("") if packed else path).suffix.lower()
    try:
        with gzip.open(path) if packed else path.open("rb") as stream:
            if inner in _LINES:
                yield from _lines(stream, path)
            else:
                document = _parse(_read(stream.read, path), path)
                if document.get("resourceType") != "Bundle":
                    raise FileFormatError(
                        f"{path}: wanted a FHIR Bundle; got {_short(document.get('resourceType'))} "
                        "as its resourceType. Resources by line belong in a .ndjson file."
                    )
                yield document
    except (OSError, EOFError, zlib.error) as error:
        raise FileFormatError(
            f"{path}: wanted a file that opens; got one that does not ({error}). "
            "Fetch or make it again."
        ) from None


def _lines(stream: IO[bytes] | gzip.GzipFile, path: Path) -> Iterator[dict[str, Any]]:
    total = 0
    while line := _read(stream.readline, path):
        total += len(line)
        if total > MAX_FILE_BYTES:
            raise FileFormatError(
                f"{path}: wanted up to {MAX_FILE_BYTES:,} bytes in a file; got more. Split it by "
                "patient into several."
            )
        if line.strip():
            yield _parse(line, path)


def _read(read: Callable[[int], bytes], path: Path) -> bytes:
    content = read(MAX_DOCUMENT_BYTES + 1)
    if len(content) > MAX_DOCUMENT_BYTES:
        raise FileFormatError(
            f"{path}: wanted up to {MAX_DOCUMENT_BYTES:,} bytes in a JSON document; got more. "
            "Split it by patient, or write it as .ndjson with a resource on each line."
        )
    return content


def _parse(content: bytes, path: Path) -> dict[str, Any]:
    try:
        document = _DECODER.decode(content.decode("utf-8-sig"))
    except RecursionError:
        raise FileFormatError(f"{path}: wanted FHIR R4 JSON; got one nested too deeply.") from None
    except ValueError as error:  # also of bytes that are not UTF-8, and of endless numbers
        problem = "not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)
        raise FileFormatError(
            f"{path}: wanted FHIR R4 JSON; got something else ({problem[:120]})."
        ) from None
    if not isinstance(document, dict):
        raise FileFormatError(f"{path}: wanted a FHIR Bundle; got a JSON {_json_kind(document)}.")
    return document


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) != len(pairs):
        twice = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        raise ValueError(f"the key {_short(twice)} twice in one object")
    return content


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name}, which is no number of JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=_each_once, parse_constant=_no_constant)


# From JSON to what is needed of it.


def _children(parent: dict[str, Any], name: str, path: Path) -> list[dict[str, Any]]:
    if name not in parent:
        return []
    value = parent[name]
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        _refuse(name, "a list of objects", value, path)
    return value


def _object(parent: dict[str, Any], name: str, path: Path) -> dict[str, Any]:
    value = parent.get(name, {})
    if not isinstance(value, dict):
        _refuse(name, "an object", value, path)
    return value


def _text(parent: dict[str, Any], name: str, path: Path) -> str:
    value = parent.get(name, "")
    if not isinstance(value, str):
        _refuse(name, "text", value, path)
    return value


def _refuse(name: str, wanted: str, value: object, path: Path) -> NoReturn:
    raise FileFormatError(
        f"{path}: wanted {wanted} for {name!r} in FHIR R4 JSON; got a JSON {_json_kind(value)}."
    )


def _json_kind(value: object) -> str:
    kinds = {dict: "object", list: "list", str: "string", bool: "boolean", type(None): "null"}
    return kinds.get(type(value), "number")


def _short(value: object) -> str:
    text = repr(value) if isinstance(value, str) else f"a JSON {_json_kind(value)}"
    return text if len(text) <= 60 else f"{text[:57]}..."


def _pairs(parent: dict[str, Any], name: str, key: str, path: Path) -> tuple[tuple[str, str], ...]:
    """Return the system and the value or code of each Identifier or Coding in a list."""
    listed = _children(parent, name, path)
    pairs = ((_text(one, "system", path), _text(one, key, path)) for one in listed)
    return tuple(pair for pair in pairs if pair[1])


def _ref(parent: dict[str, Any], name: str, resource: dict[str, Any], path: Path) -> _Ref:
    """Return a Reference; one to a contained resource becomes one by its identifiers."""
    reference = _object(parent, name, path)
    target = _text(reference, "reference", path)
    kind = _text(reference, "type", path)
    if target.startswith("#"):
        for one in _children(resource, "contained", path):
            if _text(one, "id", path) == target[1:]:
                kind = _text(one, "resourceType", path)
                return _Ref("", kind, _pairs(one, "identifier", "value", path))
        return _Ref("", kind)
    identifier = {"identifier": [reference["identifier"]]} if "identifier" in reference else {}
    return _Ref(target, kind, _pairs(identifier, "identifier", "value", path))


def _patient(resource: dict[str, Any], path: Path) -> _Patient:
    return _Patient(
        _text(resource, "birthDate", path),
        _text(resource, "gender", path),
        _pairs(resource, "identifier", "value", path),
    )


def _organisation(resource: dict[str, Any], path: Path) -> tuple[tuple[str, str], ...]:
    return _pairs(resource, "identifier", "value", path)


def _encounter(resource: dict[str, Any], path: Path) -> _Ref:
    return _ref(resource, "serviceProvider", resource, path)


def _procedure(resource: dict[str, Any], path: Path) -> _Procedure:
    period = _object(resource, "performedPeriod", path)
    performers = _children(resource, "performer", path)
    return _Procedure(
        status=_text(resource, "status", path),
        subject=_ref(resource, "subject", resource, path),
        codes=_pairs(_object(resource, "code", path), "coding", "code", path),
        performed=_text(resource, "performedDateTime", path) or _text(period, "start", path),
        actors=tuple(_ref(one, "actor", resource, path) for one in performers),
        on_behalf_of=tuple(_ref(one, "onBehalfOf", resource, path) for one in performers),
        encounter=_ref(resource, "encounter", resource, path),
    )


def _response(resource: dict[str, Any], path: Path) -> _Response:
    parts = ({"part": one} for one in _children(resource, "partOf", path))
    return _Response(
        status=_text(resource, "status", path),
        subject=_ref(resource, "subject", resource, path),
        authored=_text(resource, "authored", path),
        questionnaire=canonical_url(_text(resource, "questionnaire", path)),
        part_of=tuple(_ref(one, "part", resource, path) for one in parts),
        answers=tuple(_answered(resource, path)),
    )


def _answered(resource: dict[str, Any], path: Path) -> Iterator[tuple[str, tuple[_Given, ...]]]:
    """Yield the linkId and the answers of every answered question, however deep it lies."""
    waiting = [(item, 1) for item in reversed(_children(resource, "item", path))]
    while waiting:
        item, depth = waiting.pop()
        if depth > MAX_ITEM_DEPTH:
            raise FileFormatError(
                f"{path}: wanted questions nested up to {MAX_ITEM_DEPTH} deep; got deeper ones."
            )
        answers = _children(item, "answer", path)
        given = tuple(one for one in (_given(answer, path) for answer in answers) if one)
        if given:
            yield _text(item, "linkId", path), given
        inner = _children(item, "item", path)
        inner = inner + [one for answer in answers for one in _children(answer, "item", path)]
        waiting.extend((one, depth + 1) for one in reversed(inner))


def _given(answer: dict[str, Any], path: Path) -> _Given | None:
    names = [one for one in answer if one.startswith("value")]
    if not names:
        return None
    if len(names) > 1:
        raise FileFormatError(
            f"{path}: wanted one value[x] in an answer; got {len(names)} of them."
        )
    kind, value = names[0].removeprefix("value"), answer[names[0]]
    if kind != "Coding":
        return _Given(kind, None if isinstance(value, (dict, list)) else value)
    coding = _object(answer, "valueCoding", path)
    weights = [
        extension.get("valueDecimal")
        for extension in _children(coding, "extension", path)
        if extension.get("url") in _WEIGHTS
    ]
    weight = weights[0] if len(weights) == 1 and _is_number(weights[0]) else None
    return _Given(kind, _text(coding, "code", path), _text(coding, "system", path), weight)


def _is_number(value: object) -> bool:
    """Whether it is a number that a float holds; JSON has larger ones."""
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return False
    return abs(value) <= sys.float_info.max


_EXTRACT: dict[str, Callable[[dict[str, Any], Path], Any]] = {
    "Patient": _patient,
    "Organization": _organisation,
    "Encounter": _encounter,
    "Procedure": _procedure,
    "QuestionnaireResponse": _response,
}
_UNITS = {"Procedure": "procedures", "QuestionnaireResponse": "responses"}


# Episodes.


def _find_episodes(
    store: _Store, mapping: FhirMapping, left_out: Counter[str]
) -> dict[str, _Episode]:
    """Return the operations by key, without several of a group on one day for a patient."""
    found: list[_Episode] = []
    reasons: Counter[str] = Counter()
    for key, one in store.kept["Procedure"].items():
        episode = _episode(key, one, store, mapping)
        if isinstance(episode, str):
            reasons[f"procedures: {episode}"] += 1
        else:
            found.append(episode)
    per_day = Counter((one.patient, one.group, one.day) for one in found)
    alone = {one.key: one for one in found if per_day[one.patient, one.group, one.day] == 1}
    if len(alone) < len(found):
        reasons["procedures: another of their group on the same day"] = len(found) - len(alone)
    left_out.update(reasons)
    if not alone:
        why = "; ".join(f"{reason}: {count:,}" for reason, count in reasons.most_common(3))
        raise FileFormatError(
            f"{store.path}: wanted a completed Procedure with a code of the mapping; got none "
            f"({why or 'there is no Procedure'}). Check procedures in the mapping."
        )
    return alone


def _episode(key: str, one: _Procedure, store: _Store, mapping: FhirMapping) -> _Episode | str:
    """Return the episode of a procedure, or why it is none."""
    groups = {mapping.groups[code] for code in one.codes if code in mapping.groups}
    if not groups:
        return "no code of the mapping"
    if len(groups) > 1:
        return "codes of several groups"
    if one.status != "completed":
        return "not completed"
    patient, day = store.key(one.subject), _day(one.performed)
    if not patient:
        return "no patient"
    if day is None:
        return "no day of operation"
    provider = _provider(one, store, mapping.provider)
    if len(provider) != 1:
        return "several providers" if provider else "no provider"
    return _Episode(key, patient, provider.pop(), groups.pop(), day)


def _provider(one: _Procedure, store: _Store, rules: FhirProvider) -> set[str]:
    """Return the providers that the first place with an Organization names."""
    encounter = store.kept["Encounter"].get(store.key(one.encounter), _Ref())
    places = {
        "performer": one.actors,
        "on_behalf_of": one.on_behalf_of,
        "service_provider": (encounter,),
    }
    for place in rules.look_in:
        organisations = [ref for ref in places[place] if _is_organisation(ref, store)]
        found = {name for ref in organisations for name in _names(ref, store, rules)}
        if found:
            return found
    return set()


def _is_organisation(ref: _Ref, store: _Store) -> bool:
    key = store.key(ref) if ref.target else ""
    return (
        ref.type == "Organization"
        or key in store.kept["Organization"]
        or key.startswith("Organization/")
    )


def _names(ref: _Ref, store: _Store, rules: FhirProvider) -> set[str]:
    key = store.key(ref) if ref.target else ""
    if rules.identifier_system is None:
        return {key.removeprefix("Organization/")} - {""}
    identifiers = (*ref.identifiers, *store.kept["Organization"].get(key, ()))
    return {value for system, value in identifiers if system == rules.identifier_system}


def _day(written: str) -> date | None:
    """Return the day that a date or dateTime says by its own clock, if it is a whole one."""
    match = _DATE.fullmatch(written)
    try:
        return date.fromisoformat(match[1]) if match else None
    except ValueError:
        return None


# Responses.

_Chosen = dict[tuple[str, Round], dict[str, _Candidate]]
"""By episode and round, the response that each form is read from."""


def _match_responses(
    store: _Store,
    mapping: FhirMapping,
    episodes: dict[str, _Episode],
    left_out: Counter[str],
) -> _Chosen:
    by_patient: dict[str, list[_Episode]] = defaultdict(list)
    for episode in sorted(episodes.values(), key=lambda one: one.day):
        by_patient[episode.patient].append(episode)
    reader = _Recogniser(mapping)
    places: dict[tuple[str, Round], list[_Candidate]] = defaultdict(list)
    candidates: list[_Candidate] = []
    for position, response in enumerate(store.kept["QuestionnaireResponse"].values(), start=1):
        candidate = reader.candidate(response, position)
        if isinstance(candidate, str):
            left_out[f"responses: {candidate}"] += 1
            continue
        theirs = by_patient.get(store.key(response.subject), [])
        serves = _serves(candidate, theirs, store, mapping)
        if isinstance(serves, str):
            left_out[f"responses: {serves}"] += 1
            continue
        candidates.append(candidate)
        for place in serves:
            places[place].append(candidate)
    reader.refuse_unknown(store.path)
    chosen = {place: _choose(listed, place[1], mapping) for place, listed in places.items()}
    for one in candidates:
        if not one.used:
            why = "contradict another of the same time" if one.contradicted else "not chosen"
            left_out[f"responses: {why}"] += 1
    return chosen


class _Recogniser:
    """Finds the forms of the mapping in responses by their linkIds; remembers unknown ones."""

    def __init__(self, mapping: FhirMapping) -> None:
        self._mapping = mapping
        self._ignored = frozenset(map(canonical_url, mapping.ignore_questionnaires))
        self._unread = frozenset(mapping.ignore_link_ids)
        self._forms: dict[str, dict[str, Form]] = {}
        self._unknown: Counter[str] = Counter()

    def candidate(self, response: _Response, position: int) -> _Candidate | str:
        """Return what a response says, or why it cannot serve."""
        if response.status not in _USABLE:
            return "not completed or amended"
        if response.questionnaire in self._ignored:
            return "of questionnaires that the mapping leaves out"
        answers = self._recognise(response)
        day = _day(response.authored)
        if not answers:
            return "no answer that the mapping reads"
        if day is None:
            return "no day of answering"
        when = (response.authored[:19], response.status == "amended")
        return _Candidate(response, day, when, answers, position)

    def refuse_unknown(self, path: Path) -> None:
        """Raise when any response has an answer to a question that the mapping does not know."""
        if not self._unknown:
            return
        listed = [
            f"{_short(name)} in {count:,}" for name, count in self._unknown.most_common(SHOWN)
        ]
        rest = len(self._unknown) - len(listed)
        known = [link_id for form in self._mapping.forms for link_id in form.link_ids]
        first = self._unknown.most_common(1)[0][0]
        raise UnknownNameError(
            f"{path}: wanted answers to linkIds that the mapping knows; got "
            f"{', '.join(listed)}{f' and {rest} more' if rest else ''} responses."
            f"{did_you_mean(first[:80], known)} Read them, or name them in ignore_link_ids or "
            "their questionnaire in ignore_questionnaires."
        )

    def _recognise(self, response: _Response) -> dict[str, tuple[tuple[_Given, ...], ...]]:
        known = self._known(response.questionnaire)
        found: dict[str, list[_Given]] = defaultdict(list)
        for link_id, given in response.answers:
            if link_id in known:
                found[link_id].extend(given)
            elif link_id not in self._unread:
                self._unknown[link_id] += 1
        forms = {form.name: form for link_id, form in known.items() if link_id in found}
        return {
            name: tuple(tuple(found.get(one, ())) for one in form.link_ids)
            for name, form in forms.items()
        }

    def _known(self, questionnaire: str) -> dict[str, Form]:
        if questionnaire not in self._forms:
            self._forms[questionnaire] = {
                link_id: form
                for form in self._mapping.forms
                if not form.questionnaires or questionnaire in form.questionnaires
                for link_id in form.link_ids
            }
        return self._forms[questionnaire]


def _serves(
    one: _Candidate, theirs: list[_Episode], store: _Store, mapping: FhirMapping
) -> list[tuple[str, Round]] | str:
    """Return the episodes and rounds that a response may serve, or why there is none."""
    if not theirs:
        return "no operation of their patient"
    near = _nearest(one, theirs)
    if one.response.part_of:
        keys = {store.key(part) for part in one.response.part_of}
        named = {key for key in keys if _is_procedure(key, store)}
        near = [episode for episode in theirs if episode.key in named] if named else near
        if not near:
            return "part of a procedure that is no episode"
    only = _only_round(one, mapping)
    places: list[tuple[str, Round]] = []
    for episode in near:
        days = (one.day - episode.day).days
        of: Round = "before" if days <= 0 else "after"
        window: FhirWindow = getattr(mapping, of)
        if only in (None, of) and window.at_least <= abs(days) <= window.at_most:
            places.append((episode.key, of))
    return places or _why_outside(one, near, only)


def _nearest(one: _Candidate, theirs: list[_Episode]) -> list[_Episode]:
    """Return, of each group, the last operation before the response and the next one."""
    last = {episode.group: episode for episode in theirs if episode.day < one.day}
    coming = {episode.group: episode for episode in reversed(theirs) if episode.day >= one.day}
    return [*last.values(), *coming.values()]


def _is_procedure(key: str, store: _Store) -> bool:
    return key in store.kept["Procedure"] or key.startswith("Procedure/")


def _only_round(one: _Candidate, mapping: FhirMapping) -> Round | None:
    """Return the one round that a response can be of by what it asks, or None for either."""
    questionnaire = one.response.questionnaire
    rounds = {of for form in mapping.forms if form.name in one.answers for of in form.columns}
    if len(rounds) == 1:
        return rounds.pop()
    for of in ROUND_PREFIXES:
        window: FhirWindow = getattr(mapping, of)
        if questionnaire and questionnaire in map(canonical_url, window.questionnaires):
            return of
    return None


def _why_outside(one: _Candidate, near: list[_Episode], only: Round | None) -> str:
    days = min(((one.day - episode.day).days for episode in near), key=abs)
    if only == "after" and days < 0:
        return "a follow-up dated before the operation"
    if only == "before" and days > 0:
        return "a first questionnaire dated after the operation"
    side = "before" if days < 0 or (days == 0 and only != "after") else "after"
    return f"outside the window {side} the operation"


def _choose(listed: list[_Candidate], of: Round, mapping: FhirMapping) -> dict[str, _Candidate]:
    """Return the response that each form is read from, and mark what became of the others."""
    window: FhirWindow = getattr(mapping, of)
    pick: Callable[..., Any] = min if window.choose == "first" else max
    chosen: dict[str, _Candidate] = {}
    for form in mapping.forms:
        if of not in form.columns:
            continue
        holding = [one for one in listed if form.name in one.answers]
        if not holding:
            continue
        # An amended response replaces the completed one of the same time, whichever is picked.
        time = pick(one.when[0] for one in holding)
        at_once = [one for one in holding if one.when[0] == time]
        amended = [one for one in at_once if one.when[1]] or at_once
        if len({one.answers[form.name] for one in amended}) > 1:
            for one in amended:
                one.contradicted = True
            continue
        chosen[form.name] = amended[0]
        amended[0].used = True
    return chosen


# The table.


def _table(
    store: _Store, mapping: FhirMapping, episodes: dict[str, _Episode], chosen: _Chosen
) -> pd.DataFrame:
    columns: dict[str, list[str]] = {name: [] for name in mapped_columns(mapping)}
    wrong: Counter[tuple[str, str]] = Counter()
    first: dict[tuple[str, str], int] = {}
    for episode in episodes.values():
        row = _own_cells(episode, store)
        for of, q in ROUND_PREFIXES.items():
            used = chosen.get((episode.key, of), {})
            row[f"{q}_date"] = next((one.day.isoformat() for one in used.values()), "")
            for form in mapping.forms:
                if form.name in used:
                    cells, faults = _cells(used[form.name], form, of)
                    row |= cells
                    wrong.update(faults)
                    for fault in faults:
                        first.setdefault(fault, used[form.name].position)
        for name, cells_of in columns.items():
            cells_of.append(row.get(name, ""))
    raise_all(_answer_faults(wrong, first, store.path))
    return pd.DataFrame(columns, dtype="str")


def _own_cells(episode: _Episode, store: _Store) -> dict[str, str]:
    patient = store.kept["Patient"].get(episode.patient, _Patient("", "", ()))
    return {
        "episode_id": episode.key.removeprefix("Procedure/"),
        "patient_id": episode.patient.removeprefix("Patient/"),
        "provider_id": episode.provider,
        "procedure_group": episode.group,
        "index_date": episode.day.isoformat(),
        "age_years": _age(patient.born, episode.day),
        # `other` and `unknown` have no place in the canonical column.
        "sex": patient.gender if patient.gender in ("male", "female") else "",
    }


def _age(born: str, day: date) -> str:
    birthday = _day(born)
    if birthday is None:
        return ""
    return str(day.year - birthday.year - ((day.month, day.day) < (birthday.month, birthday.day)))


def _cells(one: _Candidate, form: Form, of: Round) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """Return the canonical cells of a form, and the linkIds that could not be read with why."""
    cells: dict[str, str] = {}
    faults: list[tuple[str, str]] = []
    parts = (form.columns[of], form.link_ids, form.answers, form.codes, one.answers[form.name])
    for column, link_id, kind, codes, given in zip(*parts, strict=True):
        if not given:
            continue
        value = _VALUES[kind](given[0])
        coded = codes.get(f"{given[0].system}|{value}", codes.get(value or "")) if codes else value
        if len(given) > 1:
            faults.append((link_id, f"one answer; got {len(given)}"))
        elif value is None:
            faults.append((link_id, f"{_WANTED[kind]}; got value{given[0].kind[:20]}"))
        elif coded is None:
            got = "" if kind == "text" else f"; got {_short(value)}"
            faults.append((link_id, f"a code of the mapping{got}"))
        else:
            cells[column] = coded
    return cells, faults


def _number(given: _Given) -> str | None:
    return _written(given.value) if given.kind in ("Integer", "Decimal") else None


def _coding(given: _Given) -> str | None:
    return (given.value or None) if given.kind == "Coding" else None


def _ordinal(given: _Given) -> str | None:
    return _written(given.weight) if given.kind == "Coding" else None


def _plain(given: _Given) -> str | None:
    if given.kind == "Boolean" and isinstance(given.value, bool):
        return str(given.value).lower()
    textual = given.kind in ("String", "Date", "DateTime") and isinstance(given.value, str)
    return given.value if textual else None


def _written(value: object) -> str | None:
    """Return a finite number as a file of text would hold it, all of its digits."""
    if not isinstance(value, (int, float)) or not _is_number(value):
        return None
    return str(int(value)) if float(value).is_integer() else repr(value)


_VALUES: dict[Answer, Callable[[_Given], str | None]] = {
    "number": _number,
    "coding": _coding,
    "ordinal": _ordinal,
    "text": _plain,
}
_WANTED: dict[Answer, str] = {
    "number": "valueInteger or valueDecimal",
    "coding": "valueCoding with a code",
    "ordinal": "valueCoding with an ordinalValue",
    "text": "valueString, valueDate, valueDateTime or valueBoolean",
}


def _answer_faults(
    wrong: Counter[tuple[str, str]], first: Mapping[tuple[str, str], int], path: Path
) -> Iterator[RiskadjError]:
    for (link_id, problem), count in wrong.most_common():
        responses = "response" if count == 1 else "responses"
        yield ValuesError(
            f"{path}: linkId {_short(link_id)}: wanted {problem} in {count:,} {responses}, first "
            f"in response {first[link_id, problem]:,} of the file. Correct the mapping or the data."
        )
