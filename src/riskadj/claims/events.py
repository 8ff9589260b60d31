"""Index events: what starts an episode, whose it is, and who is left out and why.

A stay is what one inpatient claim says, or several of one provider that overlap in time, such as
interim bills; a spell is a chain of stays from transfer to transfer. An episode begins with a
spell of which some stay is an index event. In other settings an event is one claim.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from riskadj.claims.database import Database, fill_table, frame_of
from riskadj.claims.lines import CountedFault
from riskadj.claims.rules import ClaimRules
from riskadj.episodes import ValuesFault

Days = NDArray[np.int64]
Mask = NDArray[np.bool_]

FAR = np.int64(1_000_000)
"""A day after all others, counted from 1970: for enrolment that has no end, and for no death."""


@dataclass(frozen=True)
class Events:
    """Index events that become episodes, in order of patient and day.

    Attributes
    ----------
    table : DataFrame of shape (n_episodes, n_columns)
        A row per episode; days are counted from 1 January 1970. `scaled_days` is how many days
        after day 0 were seen where the rest is to be annualised, else the longest window.
    left_out : dict of str to int
        Index events that become none, by the first reason that holds.
    """

    table: pd.DataFrame
    left_out: dict[str, int]


def find_events(database: Database, rules: ClaimRules) -> Events:
    """Find index events and decide which become episodes; make the table `chosen` of these.

    Raises
    ------
    ValuesFault
        With index claims whose lines contradict each other, patients who died before they were
        admitted, and care that begins after a death.
    """
    _make_stays(database, rules)
    _check_stays(database)
    _merge_stays(database)
    _make_spells(database, rules)
    _make_deaths(database)
    events = _read_events(database)
    _check_deaths(events)
    _check_care(database)
    anchor = events["discharge" if rules.counted_from == "discharge" else "admission"]
    events = events.assign(anchor=anchor, last=anchor + rules.longest)
    reasons = reasons_to_leave(events, rules)
    events["scaled_days"] = _scaled_days(events, rules)
    left = np.any(list(reasons.values()), axis=0)
    chosen = events[~left].reset_index(drop=True)
    _make_chosen(database, chosen)
    return Events(chosen, _counts(reasons))


def _make_stays(database: Database, rules: ClaimRules) -> None:
    """Make `claimed`: a row per inpatient claim, and per claim of another setting that is an event.

    `matched` has a bit for each group that the claim is an index event of.
    """
    groups = list(enumerate(rules.index.values()))
    codes: dict[str, dict[tuple[str, str], int]] = {"drgs": {}, "procedures": {}}
    for bit, event in groups:
        for kind, found in codes.items():
            for code in getattr(event, kind):
                key = (event.setting, code)
                found[key] = found.get(key, 0) | 1 << bit
    for kind, found in codes.items():
        rows = [(setting, code, mask) for (setting, code), mask in found.items()]
        fill_table(
            database, f"index_{kind}", "setting setting_type, code VARCHAR, mask BIGINT", rows
        )
    fill_table(
        database,
        "index_settings",
        "setting setting_type, mask BIGINT, any_drg BIGINT, any_procedure BIGINT",
        [
            (
                setting,
                sum(1 << bit for bit, one in groups if one.setting == setting),
                sum(1 << bit for bit, one in groups if one.setting == setting and not one.drgs),
                sum(
                    1 << bit for bit, one in groups if one.setting == setting and not one.procedures
                ),
            )
            for setting in rules.index_settings
        ],
    )
    database.execute(_STAYS)


_STAYS = """
CREATE TABLE claimed AS
WITH index_claims AS (
    SELECT pk, l.setting, claim_id, bit_or(i.mask) AS mask
    FROM lines l JOIN index_procedures i ON l.setting = i.setting AND l.procedure_code = i.code
    GROUP BY ALL
), claims AS (
    SELECT l.pk, l.setting, l.claim_id, min(from_date) AS from_date, max(to_date) AS to_date,
        CAST(sum(cents) AS BIGINT) AS cents, min(provider_id) AS provider_id, min(drg) AS drg,
        min(status) AS status, bool_or(i.mask IS NOT NULL) AS has_procedure,
        coalesce(bit_or(i.mask), 0) AS procedure_mask,
        min(provider_id) IS DISTINCT FROM max(provider_id) AS providers_differ,
        min(drg) IS DISTINCT FROM max(drg) AS drgs_differ,
        min(status) IS DISTINCT FROM max(status) AS statuses_differ
    FROM lines l LEFT JOIN index_claims i
        ON l.pk = i.pk AND l.setting = i.setting AND l.claim_id = i.claim_id
    WHERE l.setting IN (SELECT setting FROM index_settings)
    GROUP BY l.pk, l.setting, l.claim_id
    HAVING l.setting = 'inpatient' OR has_procedure
)
SELECT c.*, g.mask & (coalesce(d.mask, 0) | g.any_drg) & (c.procedure_mask | g.any_procedure)
    AS matched
FROM claims c JOIN index_settings g ON c.setting = g.setting
LEFT JOIN index_drgs d ON c.setting = d.setting AND c.drg = d.code
"""


def _check_stays(database: Database) -> None:
    kinds = {
        "provider_id": "providers_differ",
        "drg": "drgs_differ",
        "discharge_status": "statuses_differ",
    }
    counts = ", ".join(f"count(*) FILTER (WHERE {one})" for one in kinds.values())
    found = database.execute(f"SELECT {counts} FROM claimed").fetchone() or ()
    faults = [
        CountedFault(name, "the same on all lines of an index claim", int(count), (), "claim")
        for name, count in zip(kinds, found, strict=True)
        if count
    ]
    if faults:
        raise ValuesFault("claims", faults)


def _merge_stays(database: Database) -> None:
    """Make `stays`: claims of one provider that overlap in time are one inpatient stay.

    It ended as the claim that ends last says, and in death when any claim says so.
    """
    database.execute("""
        CREATE TABLE stays AS
        WITH compared AS (
            SELECT *, setting = 'inpatient' AND coalesce(
                from_date < max(to_date) OVER before OR from_date = max(from_date) OVER before,
                false) AS same_stay
            FROM claimed WHERE pk IN (SELECT pk FROM claimed WHERE matched <> 0 OR status = 'died')
            WINDOW before AS (
                PARTITION BY pk, setting, provider_id ORDER BY from_date, to_date, claim_id
                ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
        ), numbered AS (
            SELECT *, sum(CASE WHEN same_stay THEN 0 ELSE 1 END) OVER w AS stay,
                row_number() OVER w AS place
            FROM compared WINDOW w AS (
                PARTITION BY pk, setting, provider_id ORDER BY from_date, to_date, claim_id
                ROWS UNBOUNDED PRECEDING)
        ), ranked AS (
            SELECT *, row_number() OVER (PARTITION BY pk, setting, provider_id, stay ORDER BY
                status = 'died', to_date, status = 'transfer', place) AS says
            FROM numbered
        )
        SELECT pk, setting, provider_id, min(from_date) AS from_date, max(to_date) AS to_date,
            CAST(sum(cents) AS BIGINT) AS cents, arg_min(claim_id, place) AS claim_id,
            arg_max(status, says) AS status,
            coalesce(arg_min(matched, place) FILTER (WHERE matched <> 0), 0) AS matched,
            CASE WHEN bit_or(matched) <> 0 THEN arg_min(drg, place) FILTER (WHERE matched <> 0)
                ELSE arg_min(drg, place) END AS drg
        FROM ranked GROUP BY pk, setting, provider_id, stay
    """)


def _make_spells(database: Database, rules: ClaimRules) -> None:
    """Make `spelled`, the stays of patients with an index event, each with the spell it is of.

    A stay that ends before an earlier one does lies within it, as when a patient is elsewhere for
    a day: it is set aside, so that it does not stand between a transfer and where it went.
    """
    goes_on = "false"
    if rules.transfers != "separate":
        goes_on = (
            "setting = 'inpatient' AND lag(status) OVER w = 'transfer' "
            "AND from_date <= lag(to_date) OVER w + 1"
        )
    owner = "first" if rules.transfers == "to_first" else "last"
    database.execute(f"""
        CREATE TABLE spelled AS
        WITH layered AS (
            SELECT *, coalesce(setting = 'inpatient' AND to_date < max(to_date) OVER (
                PARTITION BY pk, setting ORDER BY from_date, to_date, claim_id
                ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), false) AS lies_within
            FROM stays WHERE pk IN (SELECT pk FROM stays WHERE matched <> 0)
        ), ordered AS (
            SELECT *, coalesce({goes_on}, false) AS goes_on, row_number() OVER w AS place
            FROM layered
            WINDOW w AS (
                PARTITION BY pk, setting, lies_within ORDER BY from_date, to_date, claim_id)
        )
        SELECT *, CAST(2 * sum(CASE WHEN goes_on THEN 0 ELSE 1 END) OVER (
            PARTITION BY pk, setting, lies_within ORDER BY place ROWS UNBOUNDED PRECEDING)
            + lies_within::INTEGER AS INTEGER) AS spell
        FROM ordered
    """)
    which = "arg_min" if owner == "first" else "arg_max"
    database.execute(f"""
        CREATE TABLE events AS
        SELECT pk, setting, spell, min(from_date) AS admission, max(to_date) AS discharge,
            CAST(sum(cents) AS BIGINT) AS cents, {which}(provider_id, place) AS provider_id,
            arg_min(claim_id, place) AS claim_id,
            arg_min(matched, place) FILTER (WHERE matched <> 0) AS matched,
            arg_min(drg, place) FILTER (WHERE matched <> 0) AS drg
        FROM spelled GROUP BY pk, setting, spell HAVING bit_or(matched) <> 0
    """)


def _make_deaths(database: Database) -> None:
    """Make `deaths`: the patients' own date, or the end of the first stay that says so."""
    database.execute("""
        CREATE TABLE deaths AS
        SELECT pk, coalesce(p.death_date, s.death) AS death
        FROM patients p FULL JOIN (
            SELECT pk, min(to_date) AS death FROM stays
            WHERE setting = 'inpatient' AND status = 'died' GROUP BY pk
        ) s USING (pk) WHERE coalesce(p.death_date, s.death) IS NOT NULL
    """)


def _read_events(database: Database) -> pd.DataFrame:
    return frame_of(
        database,
        f"""
        WITH days AS (
            SELECT e.*, p.enrolled_from, p.enrolled_to, d.death
            FROM events e JOIN patients p USING (pk) LEFT JOIN deaths d USING (pk)
        )
        SELECT pk, CAST(setting AS VARCHAR) AS setting, spell, cents,
            CAST(bit_count((matched & -matched) - 1) AS INTEGER) AS group_number,
            {", ".join(f"{_day(one)} AS {one}" for one in _DATES)},
            coalesce({_day("enrolled_to")}, {FAR}) AS enrolled_to,
            coalesce({_day("death")}, {FAR}) AS death
        FROM days ORDER BY pk, admission, discharge, setting, spell
        """,
    )


_DATES = ("admission", "discharge", "enrolled_from")


def _day(name: str) -> str:
    return f"CAST(days.{name} - DATE '1970-01-01' AS BIGINT)"


def _check_deaths(events: pd.DataFrame) -> None:
    count = int((events["death"] < events["admission"]).sum())
    if count:
        rule = "a date on or after the index event"
        raise ValuesFault("claims", [CountedFault("death_date", rule, count, (), "event")])


def _check_care(database: Database) -> None:
    """Refuse lines that begin after a death: either the date is wrong or the line is."""
    statement = "SELECT count(*) AS n FROM lines JOIN deaths USING (pk) WHERE from_date > death"
    count = int(frame_of(database, statement)["n"].iloc[0])
    if count:
        rule = "a date up to the death of the patient (death_date, or a stay with status died)"
        raise ValuesFault("claims", [CountedFault("from_date", rule, count, ())])


def reasons_to_leave(events: pd.DataFrame, rules: ClaimRules) -> dict[str, Mask]:
    """Return who leaves, by reason; an event may be among several.

    Parameters
    ----------
    events : DataFrame of shape (n_events, n_columns)
        In order of patient (`pk`) and admission; days of `admission`, `anchor` (day 0), `last`
        (end of the longest window), `enrolled_from`, `enrolled_to` and `death`.
    rules : ClaimRules

    Returns
    -------
    dict of str to ndarray of shape (n_events,)
    """
    start, last = events["admission"].to_numpy(), events["last"].to_numpy()
    died, moved = _died(events), _disenrolled(events)
    overlapping = _overlapping(events["pk"].to_numpy(), start, last, rules.overlap)
    seen = _seen_days(events)
    few = seen < (rules.annualise_from_days or 0)
    before = events["enrolled_from"].to_numpy() > start - rules.lookback_days
    nobody = np.zeros(len(events), dtype=bool)
    return {
        _OVERLAP[rules.overlap]: overlapping,
        "index events: look-back begins before the data": (
            start - rules.lookback_days < _day_of(rules.period.begins)
        ),
        "index events: window ends after the data": last > _day_of(rules.period.ends),
        "index events: not enrolled through the look-back": before,
        "index events: not enrolled at admission": events["enrolled_to"].to_numpy() < start,
        "index events: died in the window": died if rules.death == "exclude" else nobody,
        "index events: disenrolled in the window": (
            moved if rules.disenrolment == "exclude" else nobody
        ),
        "index events: died too early to annualise": (
            died & few if rules.death == "annualise" else nobody
        ),
        "index events: disenrolled too early to annualise": (
            moved & few if rules.disenrolment == "annualise" else nobody
        ),
    }


_OVERLAP = {
    "first": "index events: part of an earlier episode",
    "drop_both": "index events: in the window of another, or with another in theirs",
}


def _day_of(date: object) -> int:
    return int(np.datetime64(str(date), "D").astype(np.int64))


def _died(events: pd.DataFrame) -> Mask:
    """Whether death, and not the end of enrolment, is what ends the time in the window."""
    death = events["death"].to_numpy()
    return np.asarray((death <= events["last"]) & (death <= events["enrolled_to"]))


def _disenrolled(events: pd.DataFrame) -> Mask:
    ends = events["enrolled_to"].to_numpy()
    return np.asarray((ends < events["last"]) & (ends < events["death"]))


def _seen_days(events: pd.DataFrame) -> Days:
    ends = events[["death", "enrolled_to", "last"]].min(axis=1)
    return np.asarray(ends - events["anchor"], dtype=np.int64)


def _scaled_days(events: pd.DataFrame, rules: ClaimRules) -> Days:
    scaled = np.zeros(len(events), dtype=bool)
    if rules.death == "annualise":
        scaled |= _died(events)
    if rules.disenrolment == "annualise":
        scaled |= _disenrolled(events)
    return np.where(scaled, _seen_days(events), rules.longest)


def _overlapping(patient: Days, start: Days, last: Days, rule: str) -> Mask:
    if rule == "first":
        return ~first_of_overlapping(patient, start, last)
    return overlapping_any(patient, start, last)


def first_of_overlapping(patient: Days, start: Days, last: Days) -> Mask:
    """Return which windows stand when the earlier takes in whatever begins within it.

    Parameters
    ----------
    patient, start, last : ndarray of shape (n,)
        In order of patient and start. A window goes from `start` to `last`, both included.

    Returns
    -------
    ndarray of shape (n,), bool

    Examples
    --------
    >>> day = np.array([0, 50, 100, 160])
    >>> first_of_overlapping(np.ones(4), day, day + 90)
    array([ True, False,  True, False])
    """
    stands = np.zeros(len(start), dtype=bool)
    left = np.arange(len(start))
    # Each round settles one window of every patient, so that few rounds do for many patients.
    while left.size:
        begins = np.r_[True, patient[left][1:] != patient[left][:-1]]
        stands[left[begins]] = True
        until = last[left[begins]][np.cumsum(begins) - 1]
        left = left[start[left] > until]
    return stands


def overlapping_any(patient: Days, start: Days, last: Days) -> Mask:
    """Return which windows begin within another of the same patient, or have one begin in theirs.

    Parameters
    ----------
    patient, start, last : ndarray of shape (n,)
        In order of patient and start.

    Returns
    -------
    ndarray of shape (n,), bool

    Examples
    --------
    >>> day = np.array([0, 50, 200])
    >>> overlapping_any(np.ones(3), day, day + 90)
    array([ True,  True, False])
    """
    rows = pd.DataFrame({"patient": patient, "start": start, "last": last}).groupby("patient")
    latest = rows["last"].cummax().groupby(patient).shift(1)
    following = rows["start"].shift(-1)
    return np.asarray((start <= latest) | (following <= last))


def _counts(reasons: dict[str, Mask]) -> dict[str, int]:
    """Return how many left by the first reason that held for them."""
    counts: dict[str, int] = {}
    gone: Mask | None = None
    for reason, leaves in reasons.items():
        new = leaves if gone is None else leaves & ~gone
        gone = leaves if gone is None else gone | leaves
        if new.any():
            counts[reason] = int(new.sum())
    return counts


def _make_chosen(database: Database, events: pd.DataFrame) -> None:
    """Make `chosen`: the episodes by number, with their days as dates."""
    numbered = events[["pk", "setting", "spell", "admission", "anchor", "last"]].assign(
        event=np.arange(len(events), dtype=np.int64)
    )
    database.register("numbered", numbered)
    database.execute("""
        CREATE TABLE chosen AS
        SELECT CAST(n.event AS INTEGER) AS event, n.pk, CAST(n.setting AS setting_type) AS setting,
            n.spell, e.claim_id, e.provider_id, e.drg, e.admission, e.discharge,
            DATE '1970-01-01' + CAST(n.anchor AS INTEGER) AS anchor,
            DATE '1970-01-01' + CAST(n.last AS INTEGER) AS last
        FROM numbered n JOIN events e
            ON n.pk = e.pk AND e.setting = CAST(n.setting AS setting_type) AND n.spell = e.spell
    """)
    database.unregister("numbered")
