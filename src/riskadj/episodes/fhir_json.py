"""Which JSON documents a file holds, one or one on each line, and what an object has in a place."""

import json
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, NoReturn

from riskadj.episodes.files import check_there
from riskadj.episodes.opened import MOST_UNPACKED, opened
from riskadj.errors import FileFormatError

MAX_DOCUMENT_BYTES = 512 * 2**20
"""Of one JSON document: parsed, it takes several times its size in memory."""
MAX_FILE_BYTES = MOST_UNPACKED
"""Of a whole file once unpacked, so that a small archive cannot grow without end."""
_LINES = (".ndjson", ".jsonl")


def documents(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the JSON documents of a file: one, or one on each line."""
    check_there(path)
    packed = path.suffix.lower() == ".gz"
    inner = (path.with_suffix("") if packed else path).suffix.lower()
    try:
        with opened(path, lines=False) as stream:
            if inner in _LINES:
                yield from _lines(stream, path)
            else:
                document = _parse(_read(stream.read, path), path)
                if document.get("resourceType") != "Bundle":
                    raise FileFormatError(
                        f"{path}: wanted a FHIR Bundle; got {brief(document.get('resourceType'))} "
                        "as its resourceType. Resources by line belong in a .ndjson file."
                    )
                yield document
    except (OSError, EOFError, zlib.error) as error:
        raise FileFormatError(
            f"{path}: wanted a file that opens; got one that does not ({error}). "
            "Fetch or make it again."
        ) from None


def _lines(stream: IO[bytes], path: Path) -> Iterator[dict[str, Any]]:
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
        raise ValueError(f"the key {brief(twice)} twice in one object")
    return content


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name}, which is no number of JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=_each_once, parse_constant=_no_constant)


def children_in(parent: dict[str, Any], name: str, path: Path) -> list[dict[str, Any]]:
    """Return the list of objects of a name; empty without one."""
    if name not in parent:
        return []
    value = parent[name]
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        _refuse(name, "a list of objects", value, path)
    return value


def object_in(parent: dict[str, Any], name: str, path: Path) -> dict[str, Any]:
    """Return the object of a name; empty without one."""
    value = parent.get(name, {})
    if not isinstance(value, dict):
        _refuse(name, "an object", value, path)
    return value


def text_in(parent: dict[str, Any], name: str, path: Path) -> str:
    """Return the text of a name; empty without one."""
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


def brief(value: object) -> str:
    """Return text as an error shows it, anything else by its kind."""
    text = repr(value) if isinstance(value, str) else f"a JSON {_json_kind(value)}"
    return text if len(text) <= 60 else f"{text[:57]}..."
