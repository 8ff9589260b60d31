"""What can go wrong, as one tree; each class carries the exit code of the command line.

::

    RiskadjError                 1   anything below
    |-- StudyError              10   a study, scenario or setting that cannot be read as one
    |-- CaseMixError            11   case mix that would make a comparison wrong
    |-- UnknownNameError        12   an instrument, learner or column that does not exist
    |-- FileMissingError        20   an input file that is not there
    |-- FileFormatError         21   an input file that is not what it claims to be
    |-- ColumnError             22   a table without a column that is needed
    |-- ValuesError             23   values outside their declared range or codes
    |-- EmptyCohortError        30   nobody left to compare
    |-- TooFewProvidersError    31   nobody to compare with
    |-- NoVariationError        32   an outcome in which nothing differs
    |-- InSampleError           33   an expectation for an episode that its model was fitted on
    |-- ArrayError              34   arrays that a statistic cannot be computed from
    |-- OutputError             40   results that could not be written
    |-- TrackingError           41   results that could not be logged; they stay on disk
    |-- EngineError             42   a cluster that is not there, or does not stay
    |-- ChangedFileError        50   a run's file that is not what the run wrote
    |-- ChangedDataError        51   data or a study other than those that a run was made from
    |-- OtherCodeError          52   code other than that which a run was made by
    |-- NotRederivedError       53   figures that a fresh run does not give again
    |-- IncompleteError         54   an audit that could not look at everything
    |-- ChangedJournalError     55   an audit log that was changed, or does not know a run
    `-- UnwrittenError          60   a card with texts that a person has still to write

A message is one line: what was wanted, what came, where, and the way out.
Exit code 2 is a command line that could not be understood.
"""

from collections.abc import Iterable
from difflib import SequenceMatcher, get_close_matches
from typing import Any

from riskadj.masking import fit_to_show


class RiskadjError(Exception):
    """Anything that riskadj refuses, in one line that names the way out; passwords are masked.

    `faults` holds each of several faults that were found together.
    """

    exit_code = 1
    faults: tuple[Any, ...] = ()

    def __init__(self, *told: object) -> None:
        super().__init__(*(fit_to_show(str(one)) for one in told))


class StudyError(RiskadjError):
    """A study, scenario or setting that cannot be read as one."""

    exit_code = 10


class CaseMixError(RiskadjError):
    """Case mix that would make a comparison wrong: known too late, or not the patient's."""

    exit_code = 11


class UnknownNameError(RiskadjError, ValueError):
    """An instrument, learner or column that does not exist."""

    exit_code = 12


class FileMissingError(RiskadjError):
    """An input file that is not there."""

    exit_code = 20


class FileFormatError(RiskadjError):
    """An input file that is not what it claims to be."""

    exit_code = 21


class ColumnError(RiskadjError):
    """A table without a column that is needed."""

    exit_code = 22


class ValuesError(RiskadjError):
    """Values outside their declared range or codes."""

    exit_code = 23


class EmptyCohortError(RiskadjError):
    """Nobody left to compare."""

    exit_code = 30


class TooFewProvidersError(RiskadjError):
    """Nobody to compare with."""

    exit_code = 31


class NoVariationError(RiskadjError):
    """An outcome in which nothing differs."""

    exit_code = 32


class InSampleError(RiskadjError):
    """An expectation for an episode that its model was fitted on."""

    exit_code = 33


class ArrayError(RiskadjError, ValueError):
    """Arrays that a statistic cannot be computed from: not finite, collinear, of unequal length."""

    exit_code = 34


class OutputError(RiskadjError):
    """Results that could not be written."""

    exit_code = 40


class TrackingError(RiskadjError):
    """Results that could not be logged; they stay on disk."""

    exit_code = 41


class EngineError(RiskadjError):
    """A cluster that is not there, or does not stay."""

    exit_code = 42


class ChangedFileError(RiskadjError):
    """A run's file that is not what the run wrote: changed, missing or added."""

    exit_code = 50


class ChangedDataError(RiskadjError):
    """Data or a study other than those that a run was made from."""

    exit_code = 51


class OtherCodeError(RiskadjError):
    """Code other than that which a run was made by."""

    exit_code = 52


class NotRederivedError(RiskadjError):
    """Figures that a fresh run does not give again."""

    exit_code = 53


class IncompleteError(RiskadjError):
    """An audit that could not look at everything."""

    exit_code = 54


class ChangedJournalError(RiskadjError):
    """An audit log that was changed, or does not know a run beside it."""

    exit_code = 55


class UnwrittenError(RiskadjError):
    """A card with texts that a person has still to write."""

    exit_code = 60


def raise_all(faults: Iterable[RiskadjError]) -> None:
    """Raise nothing, the one fault, or the first of several with all of them in `faults`."""
    found = tuple(faults)
    if not found:
        return
    if len(found) == 1:
        raise found[0]
    error = type(found[0])(f"{found[0]} ({len(found) - 1} more: riskadj validate lists them all.)")
    error.faults = found
    raise error


def did_you_mean(name: str, known: Iterable[str], at_least: float = 0.6) -> str:
    """Return " Did you mean 'x'?" for the closest known name, or nothing when none is close.

    Of names that are close, letters in another order count for less than other letters.

    Parameters
    ----------
    name : str
    known : iterable of str
    at_least : float
        How alike they must be, from 0 to 1.

    Examples
    --------
    >>> did_you_mean("lightgmb", ["linear", "lightgbm"])
    " Did you mean 'lightgbm'?"
    >>> did_you_mean("zzz", ["linear", "lightgbm"])
    ''
    >>> did_you_mean("GPB", ["PAB", "GBP"])
    " Did you mean 'GBP'?"
    """
    names = list(dict.fromkeys(known))
    close = get_close_matches(name, names, n=max(len(names), 1), cutoff=at_least)
    if not close:
        return ""
    return f" Did you mean {max(close, key=lambda one: _alike(name, one))!r}?"


def _alike(name: str, other: str) -> float:
    """Return how alike two names are, in order and as mere letters."""
    letters = SequenceMatcher(None, sorted(name), sorted(other)).ratio()
    return SequenceMatcher(None, name, other).ratio() + letters
