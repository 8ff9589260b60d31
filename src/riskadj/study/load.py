"""From YAML 1.2 to records: every fault at once, each with its line and the way out."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from riskadj.errors import FileMissingError, RiskadjError, StudyError, did_you_mean
from riskadj.record import in_our_words
from riskadj.study.study import Study
from riskadj.yaml_text import MOST_BYTES, parse_yaml, plain

AnyRecord = TypeVar("AnyRecord", bound=BaseModel)


class StudyFaults(StudyError):
    """Several faults of one file; `faults` holds a line each.

    The message of a study is the first of them, as `riskadj validate` lists them all. That of
    any other file, which nothing else would list, is all of them.
    """

    def __init__(self, faults: Sequence[RiskadjError], of_study: bool = True) -> None:
        self.faults = tuple(faults)
        self.exit_code = self.faults[0].exit_code
        more = len(self.faults) - 1
        rest = f" ({more} more: riskadj validate lists them all.)" if more else ""
        listed = [f"({number}) {one}" for number, one in enumerate(self.faults, 1)]
        every = f"{len(listed)} faults. {' '.join(listed)}" if more else str(self.faults[0])
        super().__init__(f"{self.faults[0]}{rest}" if of_study else every)


def load_study(path: str | Path, overrides: Iterable[str] = ()) -> Study:
    """Read a study, apply `key=value` overrides, and check all of it.

    Parameters
    ----------
    path : str or Path
        A YAML 1.2 file. Data paths in it are relative to its folder.
    overrides : iterable of str
        Such as `split.test=[2018/19]`; the value is YAML. Data paths in them are relative to
        the current folder.

    Raises
    ------
    FileMissingError, StudyError
        One line for the first fault; `.faults` of a `StudyFaults` has them all.
    """
    path = Path(path)
    content = read_yaml(path)
    anchor_paths(content, path.parent)
    return build(Study, content, str(path), overrides)


def study_schema() -> dict[str, Any]:
    """Return the JSON schema of a study, for editors."""
    schema = Study.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | schema


def read_yaml(path: str | Path) -> dict[str, Any]:
    """Read a YAML 1.2 mapping: `NO` is text, `1e-3` a number, a key given twice a fault."""
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    path = Path(path)
    try:
        text = _text_of(path)
    except FileNotFoundError:
        raise FileMissingError(
            f"{path}: wanted a YAML file; there is none. Check the path."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise StudyError(
            f"{path}: wanted a YAML file in UTF-8; could not read it: {error}."
        ) from None
    try:
        content = parse_yaml(text)
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        problem = (error.problem or "cannot be read").splitlines()[0]
        raise StudyError(f"{path}:{line}: wanted YAML 1.2; got a fault: {problem}.") from None
    except (YAMLError, ValueError) as error:
        problem = str(error).splitlines()[0][:100].rstrip(".")
        raise StudyError(f"{path}: wanted YAML 1.2; got {problem}.") from None
    if not isinstance(content, Mapping):
        raise StudyError(f"{path}: wanted a mapping of keys to values; got {_kind(content)}.")
    return content  # type: ignore[return-value]


def _text_of(path: Path) -> str:
    with path.open("rb") as stream:
        return stream.read(4 * MOST_BYTES + 1).decode("utf-8")


def build(
    model: type[AnyRecord],
    content: Mapping[str, Any],
    source: str,
    overrides: Iterable[str] = (),
    whole: str = "study",
) -> AnyRecord:
    """Check a mapping against a record and return the record.

    `whole` is what a fault calls the mapping that is at fault as a whole.

    Raises
    ------
    StudyError
        Each fault as `source:line: key: what was wanted; what came`, with a did-you-mean.
    """
    built = plain(content)
    origin = _Origin(source, content, tuple(_override(built, text) for text in overrides), whole)
    try:
        return model.model_validate(built)
    except ValidationError as error:
        faults = _without_other_branches(_without_echoes(error.errors()))
        unknown_first = sorted(faults, key=lambda one: one["type"] != "extra_forbidden")
        found = [_fault(one, model, built, origin) for one in unknown_first]
        raise StudyFaults(_of_alternatives(found), of_study=model is Study) from None


@dataclass(frozen=True)
class _Origin:
    """Where a setting came from: a file and its lines, or an override."""

    source: str
    content: Mapping[str, Any]
    overridden: tuple[str, ...]
    whole: str

    def of(self, location: Sequence[Any]) -> str:
        """Return `file:line: key` or `--set key`."""
        key = ".".join(str(one) for one in location)
        if any(f"{key}.".startswith(f"{one}.") for one in self.overridden):
            return f"--set {key}"
        return f"{self.source}{_line(self.content, location)}: {key or self.whole}"


def anchor_paths(content: dict[str, Any], folder: Path) -> None:
    """Make the data paths of a study's content relative to here instead of to its folder."""
    data = content.get("data")
    if not isinstance(data, dict):
        return
    for owner, key in DATA_PATHS:
        place = data.get(owner) if owner else data
        if isinstance(place, dict) and key in place:
            place[key] = _anchored(place[key], folder)


DATA_PATHS = (
    ("", "paths"),
    ("", "participation"),
    ("", "mapping"),
    ("value_sets", "folder"),
    ("claims", "patients"),
    ("claims", "proms"),
    ("pseudonymise", "key_file"),
)
"""Where the data of a study say paths: under which key of theirs, or none, and by which key."""


def _anchored(value: Any, folder: Path) -> Any:
    if isinstance(value, list):
        return [_anchored(one, folder) for one in value]
    return str(folder / value) if isinstance(value, str) else value


def _override(content: dict[str, Any], text: str) -> str:
    """Set one key to a value, and return the key."""
    from ruamel.yaml.error import YAMLError

    key, equals, raw = text.partition("=")
    if not equals or not key.strip():
        raise StudyError(
            f"--set: wanted key=value; got {_short(text)}. Example: split.test=[2018/19]."
        )
    try:
        value = plain(parse_yaml(raw))
    except (YAMLError, ValueError):
        raise StudyError(f"--set {key}: wanted a YAML value; got {_short(raw)}.") from None
    _put(content, key.strip().split("."), value, key.strip())
    return key.strip()


def _put(content: Any, path: Sequence[str], value: Any, whole: str) -> None:
    for step in path[:-1]:
        content = _step_into(content, step, whole)
    last = path[-1]
    if isinstance(content, list):
        content[_index(content, last, whole)] = value
    elif isinstance(content, dict):
        content[last] = value
    else:
        raise StudyError(f"--set {whole}: wanted a key to set; got a value above {last!r}.")


def _step_into(content: Any, step: str, whole: str) -> Any:
    if isinstance(content, list):
        return content[_index(content, step, whole)]
    if not isinstance(content, dict):
        raise StudyError(f"--set {whole}: wanted a key to set; got a value above {step!r}.")
    if content.get(step) is None:
        content[step] = {}
    return content[step]


def _index(content: list[Any], step: str, whole: str) -> int:
    if not (step.isascii() and step.isdecimal()) or int(step) >= len(content):
        raise StudyError(
            f"--set {whole}: wanted a position from 0 to {len(content) - 1}; got {step!r}."
        )
    return int(step)


def _of_alternatives(faults: Sequence[RiskadjError]) -> list[RiskadjError]:
    """Put what several alternatives wanted in one place into one fault."""
    told: dict[str, RiskadjError] = {}
    for one in faults:
        where, wanted, problem = str(one).partition(": wanted ")
        earlier = told.get(where) if wanted and "; got " in problem else None
        if earlier is None or " or " + problem in str(earlier):
            told.setdefault(where if wanted else str(one), one)
            continue
        first, got, rest = str(earlier).partition("; got ")
        told[where] = StudyError(f"{first} or {problem.partition('; got ')[0]}{got}{rest}")
    return list(told.values())


def _without_echoes(errors: Sequence[Any]) -> list[Any]:
    """Drop "too few items" of lists whose items have faults of their own."""
    places = [one["loc"] for one in errors]
    return [
        one
        for one in errors
        if one["type"] != "too_short"
        or not any(place[:-1][: len(one["loc"])] == one["loc"] for place in places)
    ]


def _without_other_branches(errors: Sequence[Any]) -> list[Any]:
    """Drop that a mapping is no number or text where one of its keys is at fault, or missing."""
    entered = {
        one["loc"][:depth]
        for one in errors
        for depth, step in enumerate(one["loc"][:-1])
        if _is_branch(step)
    }
    return [
        one
        for one in errors
        if not (
            isinstance(one["input"], Mapping)
            and one["loc"][:-1] in entered
            and _is_branch(one["loc"][-1])
        )
    ]


def _is_branch(step: Any) -> bool:
    return isinstance(step, str) and _ALTERNATIVE.match(step) is not None


def _fault(
    error: Any, model: type[BaseModel], built: Mapping[str, Any], origin: _Origin
) -> RiskadjError:
    location = _without_tags(error["loc"], built)
    where = origin.of(location)
    cause = error.get("ctx", {}).get("error")
    if isinstance(cause, RiskadjError):
        return type(cause)(f"{where}: {cause}")
    if error["type"] == "extra_forbidden":
        known = _keys_at(model, error["loc"][:-1])
        hint = did_you_mean(str(location[-1]), known) or f" Known here: {', '.join(known)}."
        return StudyError(f"{where}: wanted a known key; got {str(location[-1])!r}.{hint}")
    if error["type"] == "missing":
        return StudyError(f"{where}: wanted a value; the key is missing. Add it.")
    if error["type"] == "too_short":
        return StudyError(f"{where}: wanted one or more; got none.")
    if error["type"].startswith("union_tag"):
        return StudyError(f"{where}: {_tag_problem(error)}")
    problem = in_our_words(str(error["msg"]))
    got = "" if "got" in problem else f"; got {_short(error['input'])}"
    return StudyError(_ended(f"{where}: {problem}{got}"))


def _ended(sentence: str) -> str:
    """Return a sentence with a mark at its end, and only one."""
    return sentence if sentence.endswith((".", "?")) else f"{sentence}."


def _tag_problem(error: Any) -> str:
    wanted = [one.strip(" '") for one in error["ctx"].get("expected_tags", "").split(",")]
    if "tag" not in error["ctx"]:
        return "wanted a `kind`; the key is missing. Add it."
    got = error["ctx"]["tag"]
    return f"wanted a kind among {', '.join(wanted)}; got {got!r}.{did_you_mean(got, wanted)}"


def _without_tags(location: Sequence[Any], content: Any) -> list[Any]:
    """Drop the steps by which pydantic names the member of a union; the file has no such key."""
    steps = []
    for step in location:
        if isinstance(content, Mapping) and content.get("kind") == step and step not in content:
            continue
        if _is_branch(step) and not _holds(content, step):
            continue
        steps.append(step)
        try:
            content = content[step]
        except (KeyError, IndexError, TypeError):
            content = None
    return steps


_ALTERNATIVE = re.compile(r"(literal\[.*\]|float|int|str|bool|[A-Z]\w+)$")
"""How pydantic names the members of a union in a location."""


def _holds(content: Any, key: str) -> bool:
    return isinstance(content, Mapping) and key in content


def _records_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if get_origin(annotation) in (Union, UnionType, Annotated, tuple, list, dict):
        return [one for part in get_args(annotation) for one in _records_in(part)]
    return []


def _keys_at(model: type[BaseModel], location: Sequence[Any]) -> list[str]:
    """Return the keys that a record knows at a location."""
    records = [model]
    for step in location:
        if isinstance(step, str) and any(step in one.model_fields for one in records):
            records = [
                inner
                for one in records
                if step in one.model_fields
                for inner in _records_in(one.model_fields[step].annotation)
            ]
        elif isinstance(step, str):
            records = [one for one in records if _is_alternative(one, step)]
    return sorted({name for one in records for name in one.model_fields})


def _is_alternative(record: type[BaseModel], step: str) -> bool:
    kinds = get_args(record.model_fields["kind"].annotation) if _has_kind(record) else ()
    return record.__name__ == step or step in kinds


def _has_kind(record: type[BaseModel]) -> bool:
    return "kind" in record.model_fields


def _line(content: Any, location: Sequence[Any]) -> str:
    """Return `:line` of a key in the file, or of the closest key above it that is there."""
    line = None
    for step in location:
        marks = getattr(content, "lc", None)
        try:
            position = marks.key(step) if isinstance(content, Mapping) else marks.item(step)  # type: ignore[union-attr]
            content = content[step]
        except (AttributeError, KeyError, IndexError, TypeError):
            break
        line = position[0] + 1
    return f":{line}" if line else ""


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _kind(value: Any) -> str:
    if isinstance(value, list):
        return "a list"
    return "nothing" if value is None else f"a single value, {_short(value)}"
