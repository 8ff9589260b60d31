"""Mapping files: where a collection keeps what the episode table holds, read and checked.

A mapping is a YAML 1.2 file that a study points to with `data.mapping`. It says which fields of a
REDCap export, or which linkIds of FHIR questionnaires, are which canonical columns. It holds no
wording: names and codes only.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from riskadj.episodes.fhir_mapping import (
    FHIR_COLUMNS,
    Concept,
    FhirInstrument,
    FhirMapping,
    FhirProvider,
    FhirQuestion,
    FhirWindow,
    ProcedureGroup,
)
from riskadj.episodes.redcap_mapping import (
    RedcapColumn,
    RedcapInstrument,
    RedcapMapping,
    RedcapRound,
)
from riskadj.errors import (
    ColumnError,
    FileMissingError,
    RiskadjError,
    StudyError,
    did_you_mean,
    raise_all,
)
from riskadj.record import in_our_words
from riskadj.yaml_text import parse_yaml, plain

MAX_MAPPING_BYTES = 1_000_000
"""A mapping is written by hand; what is longer is another file."""

LEFT_OUT = "left_out"
"""The key of `DataFrame.attrs` under which a reader says what it left out: reason to count."""
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
    >>> from riskadj.episodes.mapping import check_mapped_columns
    >>> from riskadj.episodes.redcap_mapping import RedcapMapping
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


def _read_yaml(path: Path) -> dict[str, Any]:
    """Read YAML as built-in types alone; nothing in it can name a class."""
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    text = _read_text(path)
    try:
        content = plain(parse_yaml(text))
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        problem = (error.problem or "cannot be read").splitlines()[0]
        raise StudyError(f"{path}:{line}: wanted YAML 1.2; got a fault: {problem}.") from None
    except (YAMLError, ValueError) as error:
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
    if error["type"] == "too_short":
        return StudyError(f"{where}: wanted one or more; got none.")
    problem = in_our_words(str(error["msg"]))
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
