"""What an audit found, step by step, and its answer in one sentence and one exit code."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from riskadj.errors import (
    ChangedDataError,
    ChangedFileError,
    ChangedJournalError,
    IncompleteError,
    NotRederivedError,
    OtherCodeError,
    RiskadjError,
)

Outcome = Literal["holds", "fails", "not done"]
_MOST_NAMED = 3


class Step(NamedTuple):
    """One thing looked at: `files`, of a run `journal`, `study`, `data`, `code`, `figures`."""

    name: str
    outcome: Outcome
    told: str


How = Literal["changed", "missing", "added"]


class Fault(NamedTuple):
    """What does not hold, the name of the file or thing in which it shows, and how it does."""

    name: str
    error: RiskadjError
    how: How = "changed"


class Found(NamedTuple):
    """What one step found; it holds when there is no fault."""

    told: str
    faults: tuple[Fault, ...] = ()


OnStep = Callable[[Step], None]
"""Told of each step when it is done."""

_SENTENCES: Mapping[type[RiskadjError], str] = MappingProxyType(
    {
        ChangedDataError: "Does not hold: {} {} not what the run was made from.",
        OtherCodeError: "Not told: {} {} not what the run was made by.",
        ChangedJournalError: "Does not hold: {} {} not whole, or does not know this run.",
        NotRederivedError: "Does not hold: {} {} not what a fresh run gives.",
        IncompleteError: "Not told: {} {} not at hand.",
    }
)
_HOW: Mapping[How, tuple[str, str]] = MappingProxyType(
    {
        "changed": ("is not what the run wrote", "are not what the run wrote"),
        "missing": ("is missing", "are missing"),
        "added": ("was added", "were added"),
    }
)


@dataclass(frozen=True)
class Audit:
    """What an audit found.

    Attributes
    ----------
    subject : Path
        The run folder, or the card.
    steps : tuple of Step
        In the order in which they were taken.
    faults : tuple of Fault
        Every fault; the first decides the exit code.
    seal, run : str
        The digests by which this run can be known elsewhere. The seal is that of the whole folder,
        and empty for a card.
    """

    subject: Path
    steps: tuple[Step, ...]
    faults: tuple[Fault, ...]
    seal: str
    run: str

    @property
    def exit_code(self) -> int:
        """0 when everything that was looked at holds; else that of the first fault."""
        return self.faults[0].error.exit_code if self.faults else 0

    @property
    def answer(self) -> str:
        """The answer in one sentence."""
        if not self.faults:
            return _holding(self.steps)
        first = type(self.faults[0].error)
        alike = [one for one in self.faults if type(one.error) is first]
        if first is ChangedFileError:
            return f"Does not hold: {'; '.join(_changes(alike))}."
        names = _once(alike)
        return _SENTENCES[first].format(_listed(names), "is" if len(names) == 1 else "are")

    def check(self) -> None:
        """Raise the first fault, if there is one."""
        if self.faults:
            raise self.faults[0].error

    def as_json(self) -> dict[str, Any]:
        """Return it for machines: `answer`, `exit_code`, `steps`, `faults`, `seal`, `run`."""
        return {
            "subject": str(self.subject),
            "answer": self.answer,
            "exit_code": self.exit_code,
            "steps": [one._asdict() for one in self.steps],
            "faults": [
                {
                    "name": one.name,
                    "how": one.how,
                    "exit_code": one.error.exit_code,
                    "told": str(one.error),
                }
                for one in self.faults
            ],
            "seal": self.seal,
            "run": self.run,
        }


def _holding(steps: tuple[Step, ...]) -> str:
    told = {one.name: one for one in steps}
    if told["figures"].outcome == "holds":
        return f"Holds: {told['figures'].told}."
    return "Holds as far as was looked: no figure was derived again."


def _changes(faults: list[Fault]) -> Iterator[str]:
    """Yield what was changed, what is missing and what was added, each with its names."""
    for how, (is_so, are_so) in _HOW.items():
        names = _once(one for one in faults if one.how == how)
        if names:
            yield f"{_listed(names)} {is_so if len(names) == 1 else are_so}"


def _once(faults: Iterable[Fault]) -> list[str]:
    """Return the names of what is at fault, each once."""
    return list(dict.fromkeys(one.name for one in faults))


def _listed(names: list[str]) -> str:
    """Return names in a sentence: a few of them, and how many more there are.

    Examples
    --------
    >>> _listed(["a", "b"]), _listed(["a", "b", "c", "d", "e"])
    ('a and b', 'a, b, c and 2 more')
    """
    shown = names if len(names) <= _MOST_NAMED else names[:_MOST_NAMED]
    last = names[-1] if len(shown) == len(names) else f"{len(names) - len(shown)} more"
    first = shown[:-1] if len(shown) == len(names) else shown
    return f"{', '.join(first)} and {last}" if first else last
