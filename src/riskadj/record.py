"""What every record that is read from a file has in common."""

from collections.abc import Iterator
from math import inf
from re import sub
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ConfigDict, model_validator

LARGEST = 1e12
"""Of a number that a person writes into a file; a larger one is a slip, and no arithmetic holds."""


class Record(BaseModel):
    """A frozen record that refuses keys it does not know, and numbers that are none.

    A number may be up to `LARGEST` from 0; true and false are no numbers.

    Examples
    --------
    >>> class Window(Record):
    ...     days: int
    >>> Window.model_validate({"days": 90})
    Window(days=90)
    >>> Window.model_validate({"days": 90, "day": 1})  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    pydantic_core._pydantic_core.ValidationError: 1 validation error for Window...
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _has_plain_numbers(cls, content: Any) -> Any:
        for name, field in cls.model_fields.items():
            value = content.get(name) if isinstance(content, dict) else None
            kinds = {*_kinds_in(field.annotation)}
            for one in _flat(value, kinds):
                _check_number(name, one, kinds)
        return content


def _check_number(name: str, value: Any, kinds: set[Any]) -> None:
    """Refuse true and false where a number is wanted, and numbers that are no sensible size."""
    if isinstance(value, bool) and kinds & {int, float} and bool not in kinds:
        raise ValueError(f"{name}: wanted a number; got {str(value).lower()}")
    if isinstance(value, (int, float)) and LARGEST < abs(value) < inf:
        raise ValueError(f"{name}: wanted a number up to {LARGEST:g} from 0; got one beyond it")


def _flat(value: Any, kinds: set[Any]) -> Any:
    """Return the values of a list or a mapping, or the value alone; records look themselves."""
    if isinstance(value, dict):
        return value.values() if dict in kinds else ()
    return value if isinstance(value, (list, tuple)) else (value,)


def _kinds_in(annotation: Any) -> Iterator[Any]:
    """Yield every type that an annotation is made of."""
    yield get_origin(annotation) or annotation
    for part in get_args(annotation):
        yield from _kinds_in(part)


def in_our_words(problem: str) -> str:
    """Return what Pydantic says is wrong as what was wanted.

    Examples
    --------
    >>> in_our_words("Input should be a valid dictionary or instance of Window")
    'wanted a mapping'
    >>> in_our_words("String should match pattern '^[a-z]+$'")
    "wanted text to match pattern '^[a-z]+$'"
    """
    for theirs, ours in _WORDS.items():
        problem = sub(theirs, ours, problem)
    return problem


_WORDS = {
    r"^Value error, ": "",
    r"^Input should be": "wanted",
    r"^String should": "wanted text to",
    r"^Tuple should have at most (\d+) items? after validation, not (\d+)": r"wanted \1; got \2",
    r"^Input is not a valid path.*": "wanted a path",
    r"a valid dictionary( or instance of \w+| or object to extract fields from)?": "a mapping",
    r"a valid tuple": "a list",
}
"""What Pydantic says, as patterns, and what is said instead; in this order."""
