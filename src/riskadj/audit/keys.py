"""Studies key by key: which say something else."""

import json
from collections.abc import Container, Iterable, Mapping
from typing import Any, NamedTuple

IN_STUDY = "in the study"
"""For a record that only one study has."""
_NAMES = ("name", "kind", "column", "reason")
_EMPTY = ("", "null", "[]", "{}")


class Change(NamedTuple):
    """A key whose value is another; None where a study does not have the key."""

    key: str
    old: str | None
    new: str | None

    @property
    def is_new(self) -> bool:
        """Whether only one of the two has it, as keys do that came with a later version."""
        return self.old is None or self.new is None


def changed_keys(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Change]:
    """Return the keys in which two studies differ, in the order of the first.

    Lists of records are told apart by what names each, so that one more learner is one more key,
    and not a change of all behind it.

    Examples
    --------
    >>> changed_keys({"split": {"seed": 1}}, {"split": {"seed": 2}})
    [Change(key='split.seed', old='1', new='2')]
    >>> [one.key for one in changed_keys({"learners": [{"kind": "linear", "ridge": 1}]},
    ...                                  {"learners": [{"kind": "linear", "ridge": 2}]})]
    ['learners.linear.ridge']
    """
    before, after = flat(old), flat(new)
    return [
        Change(key, before.get(key), after.get(key))
        for key in before | after
        if before.get(key) != after.get(key)
    ]


def gathered(
    changes: Iterable[Change], old: Mapping[str, Any], new: Mapping[str, Any]
) -> list[Change]:
    """Return changes, where a record that only one study has is one change, not one for each key.

    So it is where the other study has the key, without anything in it.

    Examples
    --------
    >>> a = {"learners": [{"kind": "linear", "ridge": 1}, {"kind": "lightgbm", "trees": 9}]}
    >>> b = {"learners": a["learners"][:1]}
    >>> gathered(changed_keys(a, b), a, b)
    [Change(key='learners.lightgbm', old='in the study', new=None)]
    >>> a, b = {"fair": None}, {"fair": {"groups": ["sex"], "weight": 1}}
    >>> gathered(changed_keys(a, b), a, b)
    [Change(key='fair', old=None, new='in the study')]
    """
    sides = [flat(one) for one in (old, new)]
    records = [{place for key in one for place in _above(key)[:-1]} for one in sides]
    one_sided = records[0] ^ records[1]
    found: dict[str, Change] = {}
    for one in changes:
        whole = next((place for place in _above(one.key) if place in one_sided), None)
        if whole is None:
            found.setdefault(one.key, one)
        else:
            held = (_held(whole, *one) for one in zip(sides, records, strict=True))
            found.setdefault(whole, Change(whole, *held))
    return [*found.values()]


def _held(place: str, values: Mapping[str, str], records: Container[str]) -> str | None:
    """Return what a study has where another has a record; None where nothing is in it."""
    value = values.get(place)
    return IN_STUDY if place in records else None if value in _EMPTY else value


def _above(key: str) -> list[str]:
    """Return where a key stands, from the outermost record to itself."""
    parts = key.split(".")
    return [".".join(parts[: number + 1]) for number in range(len(parts))]


def flat(value: Any, key: str = "") -> dict[str, str]:
    """Return dotted keys and their values as text."""
    if isinstance(value, list) and value and all(isinstance(one, dict) for one in value):
        value = _named(value)
    if isinstance(value, dict) and value:
        parts = [flat(one, f"{key}.{name}" if key else str(name)) for name, one in value.items()]
        return {name: text for part in parts for name, text in part.items()}
    if isinstance(value, str):
        return {key: value}
    return {key: json.dumps(value, ensure_ascii=False, sort_keys=True)}


def _named(records: list[dict[str, Any]]) -> dict[str, Any]:
    for name in _NAMES:
        names = [str(one.get(name, "")) for one in records]
        if all(names) and len(set(names)) == len(names):
            return dict(zip(names, records, strict=True))
    return {str(place): one for place, one in enumerate(records)}
