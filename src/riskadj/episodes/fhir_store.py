"""Which resources a file of FHIR holds, each once, and which of them a reference means."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from riskadj.episodes.fhir_json import children_in, documents, object_in, text_in
from riskadj.episodes.fhir_resources import EXTRACT, Ref
from riskadj.errors import FileFormatError

_REFUSED_BUNDLES = ("history", "batch-response", "transaction-response")
_RELATIVE = re.compile(r"[A-Z][A-Za-z]+/[A-Za-z0-9.-]{1,64}")


@dataclass
class Store:
    """What a file holds, each resource under its `Type/id` or, without an id, its fullUrl."""

    path: Path
    kept: dict[str, dict[str, Any]] = field(default_factory=lambda: defaultdict(dict))
    names: dict[str, str] = field(default_factory=dict)
    patients_by_identifier: dict[tuple[str, str], str] = field(default_factory=dict)
    again: Counter[str] = field(default_factory=Counter)

    def key(self, reference: Ref) -> str:
        """Return the key of what is referred to, there or not; empty when nothing is."""
        if not reference.target:
            known = (self.patients_by_identifier.get(one) for one in reference.identifiers)
            return next((one for one in known if one), "")
        target = reference.target.split("/_history/", 1)[0]
        if target in self.names:
            return self.names[target]
        tail = "/".join(target.split("/")[-2:])
        return tail if _RELATIVE.fullmatch(tail) else target


def read_store(path: Path) -> Store:
    """Return what a file holds.

    Raises
    ------
    FileMissingError, FileFormatError
    """
    store = Store(path)
    for resource, url in _resources(path):
        kind = text_in(resource, "resourceType", path)
        if kind == "Bundle":
            raise FileFormatError(f"{path}: wanted resources in a Bundle; got a Bundle within one.")
        if kind in EXTRACT:
            _keep(store, kind, resource, url)
    named = Counter(pair for one in store.kept["Patient"].values() for pair in one.identifiers)
    store.patients_by_identifier = {
        pair: key
        for key, one in store.kept["Patient"].items()
        for pair in one.identifiers
        if named[pair] == 1  # one that two patients share tells neither
    }
    return store


def _keep(store: Store, kind: str, resource: dict[str, Any], url: str) -> None:
    identity = text_in(resource, "id", store.path)
    kept = store.kept[kind]
    key = f"{kind}/{identity}" if identity else url or f"{kind}/{len(kept)} of the file"
    if kind == "Procedure" and not (identity or url):
        raise FileFormatError(f"{store.path}: wanted an id of each Procedure; got one without.")
    slim = EXTRACT[kind](resource, store.path)
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
    for document in documents(path):
        if text_in(document, "resourceType", path) != "Bundle":
            yield document, ""
            continue
        bundles += 1
        pages += any(one.get("relation") == "next" for one in children_in(document, "link", path))
        yield from _entries(document, path)
    if bundles and pages == bundles:
        raise FileFormatError(
            f"{path}: wanted a whole Bundle; got a page of a search, whose link `next` leads to "
            "more. Put all pages into one .ndjson file, one on each line."
        )


def _entries(bundle: dict[str, Any], path: Path) -> Iterator[tuple[dict[str, Any], str]]:
    kind = text_in(bundle, "type", path)
    if kind in _REFUSED_BUNDLES:
        raise FileFormatError(
            f"{path}: wanted a Bundle of current resources, such as a collection or searchset; "
            f"got one of type {kind!r}."
        )
    for entry in children_in(bundle, "entry", path):
        if "resource" in entry:
            yield object_in(entry, "resource", path), text_in(entry, "fullUrl", path)


_UNITS = {"Procedure": "procedures", "QuestionnaireResponse": "responses"}
