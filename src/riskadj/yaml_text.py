"""YAML 1.2 as plain content that fits into the memory, whatever the text says of itself."""

import re
from collections.abc import Mapping
from typing import Any

MOST_BYTES = 1_000_000
MOST_PARTS = 20_000
"""Lines and commas of a text; a second of work is some 5,000."""
MOST_VALUES = 100_000
"""Values of the content, each part that is said once and named again counted wherever it stands."""
DEEPEST = 60


def parse_yaml(text: str) -> Any:
    """Return the content of a YAML 1.2 text, its mappings with the numbers of their lines.

    Raises
    ------
    ruamel.yaml.error.YAMLError
        When it is none, as when a key is given twice.
    ValueError
        When it is too long, nested too deeply, or names its own parts so often that it would fill
        the memory; when it names a class; when a number is too long, or a text holds half a sign.

    Examples
    --------
    >>> plain(parse_yaml("a: [NO, 1e-3]"))
    {'a': ['NO', 0.001]}
    >>> parse_yaml("a: !!python/name:os.system x")
    Traceback (most recent call last):
    ValueError: the tag 'tag:yaml.org,2002:python/name:os.system', which names a class
    """
    _check_text(text)
    try:
        content = _loaded(text)
        values, _ = _measured(content, {})
    except RecursionError:
        raise ValueError(f"parts nested more than {DEEPEST} deep") from None
    if values > MOST_VALUES:
        raise ValueError(f"parts that are named again until they are {values:.0g} values")
    return content


def _loaded(text: str) -> Any:
    from ruamel.yaml import YAML

    try:
        return YAML(typ="rt", pure=True).load(text)
    except (TypeError, AttributeError, LookupError, AssertionError, NotImplementedError) as error:
        # The parser has no words of its own for some faults, such as a list for a key.
        raise ValueError(
            f"a key or a value that stands for nothing ({type(error).__name__})"
        ) from None


def plain(value: Any) -> Any:
    """Return YAML content as built-in types, without its line numbers."""
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, list):
        return [plain(one) for one in value]
    for kind in (bool, int, float, str):
        if isinstance(value, kind):
            return kind(value)
    return value


def _check_text(text: str) -> None:
    if len(text) > MOST_BYTES:
        raise ValueError(f"more than {MOST_BYTES // 1_000_000} MB")
    if text.count("\n") + text.count(",") > MOST_PARTS:
        raise ValueError(f"more than {MOST_PARTS:,} lines and commas")
    depth = 0
    for bracket in re.findall(r"[\[\]{}]", text):
        depth = depth + 1 if bracket in "[{" else max(depth - 1, 0)
        if depth > DEEPEST:
            raise ValueError(f"brackets nested more than {DEEPEST} deep")


def _check_signs(value: Any) -> None:
    """Refuse texts with half a sign (a lone surrogate), which no file can hold."""
    texts = [value] if isinstance(value, str) else value if isinstance(value, Mapping) else ()
    try:
        "".join(map(str, texts)).encode()
    except UnicodeEncodeError:
        raise ValueError("half a sign: a surrogate without its other half") from None


def _measured(value: Any, known: dict[int, tuple[int, int] | None]) -> tuple[int, int]:
    """Return how many values a part holds, itself among them, and how deep they are nested."""
    tag = getattr(getattr(value, "tag", None), "value", None)
    if tag is not None:
        raise ValueError(f"the tag {str(tag)[-40:]!r}, which names a class")
    inside = value.values() if isinstance(value, Mapping) else value
    _check_signs(value)
    if not isinstance(value, (Mapping, list)):
        return 1, 0
    if id(value) not in known:
        known[id(value)] = None
        found = [_measured(one, known) for one in inside]
        deepest = 1 + max((depth for _, depth in found), default=0)
        if deepest > DEEPEST:
            raise ValueError(f"parts nested more than {DEEPEST} deep")
        known[id(value)] = 1 + sum(values for values, _ in found), deepest
    measured = known[id(value)]
    if measured is None:
        raise ValueError("a part that holds itself")
    return measured
