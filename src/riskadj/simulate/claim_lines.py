"""Claim lines as arrays: drawn by the hundred thousand, and made into a table once."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from riskadj.episodes.columns import COMORBIDITIES
from riskadj.simulate.claim_tables import (
    AFTERCARE_DRG,
    AFTERCARE_REASON,
    BUNDLES,
    CONDITION_CODES,
    PARTS,
    READMISSION_DRGS,
    READMISSION_REASONS,
    RECORDED,
    SETTINGS,
    STATUSES,
    VISIT_CODES,
    VISIT_REASONS,
    WINDOWS,
)
from riskadj.simulate.latent import Floats

Whole = NDArray[np.int64]
Narrow = NDArray[np.signedinteger[Any]]
Days = NDArray[np.datetime64]

DRGS = tuple(
    dict.fromkeys(
        ("", *(one for bundle in BUNDLES.values() for one in bundle.drgs), *READMISSION_DRGS,
         AFTERCARE_DRG)
    )
)  # fmt: skip
PROCEDURES = tuple(
    dict.fromkeys(("", *(bundle.procedure for bundle in BUNDLES.values()), *VISIT_CODES))
)
REASONS = tuple(
    dict.fromkeys(
        (*(bundle.principal for bundle in BUNDLES.values()), *VISIT_REASONS, *READMISSION_REASONS,
         AFTERCARE_REASON)
    )
)  # fmt: skip
"""Codes of lines; a code's number is its place here."""

NO_STAY = STATUSES.index("")
"""The status of lines that are no stay."""

_KINDS = {
    "part": np.int8, "setting": np.int8, "status": np.int8, "drg": np.int16,
    "procedure": np.int16, "reason": np.int16, "days": np.int32, "provider": np.int32,
}  # fmt: skip
"""As narrow as will do: a world may have tens of millions of lines."""

UNCOUNTED = -1
"""The part of lines that belong to no episode."""


def number_of(name: str, among: Sequence[str]) -> int:
    """Return the number of a code.

    Examples
    --------
    >>> number_of("other", STATUSES)
    3
    """
    return among.index(name)


def numbers_of(names: Sequence[str], among: Sequence[str]) -> Whole:
    """Return the numbers of codes.

    Examples
    --------
    >>> numbers_of(["home", "other"], STATUSES)
    array([0, 3])
    """
    return np.array([among.index(one) for one in names])


@dataclass(frozen=True)
class Lines:
    """Claim lines; arrays of shape (n_lines,).

    Attributes
    ----------
    patient : ndarray
        Position of the patient; patients with an episode come first, in the order of episodes.
    part : ndarray
        Number of the part of the episode's cost, or `UNCOUNTED`.
    day : ndarray
        Day on which it begins, counted from discharge.
    date : ndarray of datetime64
        The same in the calendar.
    days : ndarray
        How many days later it ends.
    setting, provider, drg, procedure, reason, status : ndarray
        Numbers.
    recorded : ndarray
        Chance that it carries a condition on record.
    cents : ndarray
        Amount in hundredths of the currency.
    """

    patient: Whole
    part: Narrow
    day: Narrow
    date: Days
    days: Narrow
    setting: Narrow
    provider: Narrow
    drg: Narrow
    procedure: Narrow
    reason: Narrow
    status: Narrow
    recorded: NDArray[np.float32]
    cents: Whole

    def __len__(self) -> int:
        return len(self.patient)

    def where(self, keep: ArrayLike) -> "Lines":
        """Return some of the lines, by a mask or by positions."""
        return Lines(*(getattr(self, one.name)[keep] for one in fields(self)))


def make_lines(
    patient: Whole,
    day: Whole,
    discharged: Days,
    cents: Whole,
    *,
    part: ArrayLike,
    setting: ArrayLike,
    provider: ArrayLike,
    reason: ArrayLike,
    days: ArrayLike = 0,
    drg: ArrayLike = 0,
    procedure: ArrayLike = 0,
    status: ArrayLike = NO_STAY,
    recorded: float = RECORDED["visit"],
) -> Lines:
    """Return lines; what is one number for all of them may be given as one.

    Parameters
    ----------
    discharged : ndarray of shape (n_patients,)
        Date from which `day` counts.
    """
    count = len(patient)
    given = {
        "part": part, "days": days, "setting": setting, "provider": provider, "drg": drg,
        "procedure": procedure, "reason": reason, "status": status,
    }  # fmt: skip
    narrow = {
        name: np.broadcast_to(np.asarray(one, dtype=_KINDS[name]), count)
        for name, one in given.items()
    }
    return Lines(
        patient=patient,
        day=day.astype(np.int32),
        date=discharged[patient] + day.astype("timedelta64[D]"),
        cents=cents,
        recorded=np.full(count, recorded, dtype=np.float32),
        **narrow,
    )


def join_lines(several: Sequence[Lines]) -> Lines:
    """Return all lines, by patient and date."""
    together = Lines(
        *(np.concatenate([getattr(one, field.name) for one in several]) for field in fields(Lines))
    )
    return together.where(np.lexsort((together.part, together.date, together.patient)))


def end_lines(lines: Lines, last: Days) -> Lines:
    """Return the lines that begin by the patient's last day, none of them ending later."""
    kept = lines.where(lines.date <= last[lines.patient])
    left = (last[kept.patient] - kept.date).astype(np.int64)
    return replace(kept, days=np.minimum(kept.days, left))


def sum_by_window(lines: Lines, episodes: int) -> dict[str, Floats]:
    """Return what each episode cost, by part and window, in the currency.

    Returns
    -------
    dict of str to ndarray of shape (n_episodes,)
        `cost_index`; `cost_<part>_<window>d` and `cost_total_<window>d`.
    """
    inside = {days: _sum_parts(lines, lines.day <= days, episodes) for days in WINDOWS}
    totals = {"cost_index": inside[WINDOWS[0]][:, 0] / 100}
    for days, cents in inside.items():
        for number, part in enumerate(PARTS[1:], start=1):
            totals[f"cost_{part}_{days}d"] = cents[:, number] / 100
        totals[f"cost_total_{days}d"] = cents.sum(axis=1) / 100
    return totals


def _sum_parts(lines: Lines, inside: NDArray[np.bool_], episodes: int) -> Floats:
    """Return hundredths of the currency, of shape (n_episodes, n_parts)."""
    counted = inside & (lines.part != UNCOUNTED)
    cell = lines.patient[counted] * len(PARTS) + lines.part[counted]
    # A float holds whole numbers up to 2^53 exactly.
    weights = lines.cents[counted].astype(float)
    cents = np.bincount(cell, weights, minlength=episodes * len(PARTS)).astype(float)
    return cents.reshape(episodes, len(PARTS))


def tabulate_lines(
    lines: Lines,
    patients: Sequence[str],
    providers: Sequence[str],
    on_record: Whole,
    currency: str,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Return the lines as a table of claims, a claim each, in their order.

    Parameters
    ----------
    lines : Lines
    patients, providers : sequence of str
        Names by position.
    on_record : ndarray of shape (n_patients,)
        Conditions that are on record, a bit each in the order of `COMORBIDITIES`.
    currency : str
    rng : Generator
        Of the station that writes diagnoses down.
    """
    names = {
        "patient_id": _take(patients, lines.patient),
        "provider_id": _take(providers, lines.provider),
        "from_date": _as_dates(lines.date),
        "to_date": _as_dates(lines.date + lines.days.astype("timedelta64[D]")),
        "setting": _take(SETTINGS, lines.setting),
        "drg": _take(DRGS, lines.drg),
        "procedure_code": _take(PROCEDURES, lines.procedure),
        "diagnosis_codes": _write_diagnoses(lines, on_record, rng),
        "paid_amount": pd.Series(lines.cents / 100),
        "discharge_status": _take(STATUSES, lines.status),
        "currency": _take((currency,), np.zeros(len(lines), dtype=np.int64)),
    }
    width = len(str(len(lines)))
    numbers = pd.Series(np.arange(1, len(lines) + 1).astype("str"), dtype="str")
    return pd.DataFrame({"claim_id": "C" + numbers.str.zfill(width), **names})


def _take(names: Sequence[str], numbers: Narrow) -> pd.Series:
    """Return names by number; the empty name is null."""
    known = pd.array([one or None for one in names], dtype="str")
    return pd.Series(known.take(numbers))


def _as_dates(dates: Days) -> pd.Series:
    return pd.Series(dates.astype("datetime64[us]"))


def _write_diagnoses(lines: Lines, on_record: Whole, rng: np.random.Generator) -> pd.Series:
    """Return the codes of each line: the reason first, then conditions that it carries."""
    carried = np.zeros(len(lines), dtype=np.int64)
    for bit in range(len(COMORBIDITIES)):
        carried |= (rng.random(len(lines)) < lines.recorded).astype(np.int64) << bit
    bits = len(COMORBIDITIES)
    together = lines.reason.astype(np.int64) << bits | carried & on_record[lines.patient]
    found, position = np.unique(together, return_inverse=True)
    texts = [_spell(int(one) >> bits, int(one) & ((1 << bits) - 1)) for one in found]
    return _take(texts, position)


def _spell(reason: int, carried: int) -> str:
    conditions = [
        CONDITION_CODES[name] for bit, name in enumerate(COMORBIDITIES) if carried >> bit & 1
    ]
    return " ".join((REASONS[reason], *conditions))
