"""What share of those eligible were asked, found again, asked again, and answered."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from riskadj.errors import ArrayError, ValuesError
from riskadj.stats.arrays import Bools, Floats, at_least


class _Rate(NamedTuple):
    part: str
    whole: str
    may_exceed: bool = False


RATES: dict[str, _Rate] = {
    "participation": _Rate("q1", "procedures", may_exceed=True),
    "linkage": _Rate("linked", "q1"),
    "issue": _Rate("q2_sent", "q1"),
    "response": _Rate("q2_returned", "q2_sent"),
}
"""What is divided by what."""


@dataclass(frozen=True)
class FollowUpRates:
    """How many of those eligible were asked, found again, asked again, and answered.

    Attributes
    ----------
    participation, linkage, issue, response : ndarray of shape (n_providers,)
        Shares, 0 to 1; participation may be above 1. NaN where there was nobody to count, or
        where a count was not given. NHS England prints 0 for nobody of nobody.
    over_participation : ndarray of bool, shape (n_providers,)
        More questionnaires before the operation than procedures, no procedure at all included.
        They are counted where they are handed out, procedures where they are done, so that the
        two need not be the same patients.
    """

    participation: Floats
    linkage: Floats
    issue: Floats
    response: Floats
    over_participation: Bools


def follow_up_rates(
    *,
    procedures: ArrayLike | None = None,
    q1: ArrayLike | None = None,
    linked: ArrayLike | None = None,
    q2_sent: ArrayLike | None = None,
    q2_returned: ArrayLike | None = None,
) -> FollowUpRates:
    """Return participation, linkage, issue and response rates.

    Parameters
    ----------
    procedures : array-like of shape (n_providers,), optional
        Eligible procedures at the operating provider.
    q1 : array-like of shape (n_providers,), optional
        Questionnaires before the operation, at the provider that hands them out.
    linked : array-like of shape (n_providers,), optional
        Of `q1`, those linked to a procedure.
    q2_sent, q2_returned : array-like of shape (n_providers,), optional
        Questionnaires after the operation.

    Returns
    -------
    FollowUpRates

    Raises
    ------
    ArrayError
        When counts are negative, not whole, not finite or of unequal length; or none is given.
    ValuesError
        When a rate other than participation is above 100 %.

    Notes
    -----
    Participation: q1 / procedures; linkage: linked / q1; issue: q2_sent / q1; response:
    q2_returned / q2_sent (NHS England, A Guide to PROMs Methodology, version 12).

    Examples
    --------
    >>> england = follow_up_rates(
    ...     procedures=[175_041], q1=[150_340], linked=[117_142], q2_sent=[139_953],
    ...     q2_returned=[97_545],
    ... )
    >>> float(england.participation[0].round(7)), float(england.response[0].round(6))
    (0.8588845, 0.696984)
    """
    given = {
        "procedures": procedures,
        "q1": q1,
        "linked": linked,
        "q2_sent": q2_sent,
        "q2_returned": q2_returned,
    }
    counts = _counted({name: one for name, one in given.items() if one is not None})
    shape = next(iter(counts.values())).shape
    rates = {name: _rate(name, counts, shape) for name in RATES}
    return FollowUpRates(**rates, over_participation=_over(counts, shape))


def _counted(given: dict[str, ArrayLike]) -> dict[str, Floats]:
    """Return counts, all of one shape."""
    if not given:
        raise ArrayError("counts: wanted those of follow-up; got none. Give at least two of them.")
    shape = np.shape(next(iter(given.values())))
    counts = {name: at_least(name, one, 0.0, shape) for name, one in given.items()}
    for name, one in counts.items():
        if (one != np.rint(one)).any():
            raise ArrayError(f"{name}: wanted whole numbers; got others.")
    return counts


def _rate(name: str, counts: dict[str, Floats], shape: tuple[int, ...]) -> Floats:
    rate = RATES[name]
    if rate.part not in counts or rate.whole not in counts:
        return np.full(shape, np.nan)
    part, whole = counts[rate.part], counts[rate.whole]
    wrong = np.flatnonzero(part > whole)
    if wrong.size and not rate.may_exceed:
        first = np.unravel_index(wrong[0], shape)
        raise ValuesError(
            f"{rate.part}: wanted no more than {rate.whole}, or the {name} rate is above 100 %; "
            f"got {part[first]:,.0f} of {whole[first]:,.0f}, and {wrong.size:,} such in all. "
            "Count the same patients in both."
        )
    found: Floats = np.divide(part, whole, out=np.full(shape, np.nan), where=whole > 0)
    return found


def _over(counts: dict[str, Floats], shape: tuple[int, ...]) -> Bools:
    if "q1" not in counts or "procedures" not in counts:
        return np.zeros(shape, dtype=bool)
    return np.asarray(counts["q1"] > counts["procedures"])
