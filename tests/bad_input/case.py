"""A case of the corpus."""

from typing import NamedTuple

from bad_input.changes import Change
from riskadj.errors import RiskadjError


class Case(NamedTuple):
    """What is done to a good one, and how it is refused.

    Attributes
    ----------
    good : str
        Which of `good.GOOD` is spoilt.
    name : str
    change : function of a folder
    error : type
        Whose exit code the command line has to leave with.
    words : str
        What the message has to say, letter by letter.
    verb : tuple of str
        What is called.
    """

    good: str
    name: str
    change: Change
    error: type[RiskadjError]
    words: str
    verb: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.good}: {self.name} ({self.verb[0]})"
