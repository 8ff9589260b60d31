"""Claim lines in, episodes out: the canonical table, made by declared rules."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from riskadj.claims.costs import (
    comorbidity_columns,
    index_costs,
    prior_costs,
    window_costs,
)
from riskadj.claims.database import Database, frame_of, open_database
from riskadj.claims.events import Events, find_events
from riskadj.claims.lines import ROW, patients_more, read_lines, read_patients
from riskadj.claims.proms import join_proms, read_proms
from riskadj.claims.rules import ClaimRules
from riskadj.digest import digest_of_json
from riskadj.episodes import Column, Episodes, Source, declared_columns, find_faults, to_declared
from riskadj.episodes.columns import COLUMNS, COST_PARTS
from riskadj.episodes.scores import add_scores
from riskadj.episodes.validation import Fault, ValuesFault
from riskadj.errors import EmptyCohortError, FileFormatError, StudyError
from riskadj.instruments import ValueSet

PeriodFrom = Literal["calendar_year", "financial_year_april"]


def read_claims(
    paths: Iterable[str | Path],
    rules: ClaimRules,
    columns: Iterable[Column] = (),
    *,
    period_from: PeriodFrom = "calendar_year",
    value_sets: Mapping[str, ValueSet] | None = None,
    memory_limit: str = "4GB",
    threads: int | None = None,
    folder: str | Path | None = None,
) -> Episodes:
    """Make episodes of claim lines.

    Care counts by the day on which it begins, from admission to the end of a window, both
    included: day 0 is that of discharge (or of admission, as the rules say), and a window of 90
    days ends on day 90. A stay counts as a whole. Claims of one provider that overlap in time
    are one stay. An inpatient stay that begins before the discharge of an inpatient index stay is
    part of the index cost, and no readmission. An index event that is left out for another reason
    still takes in those within its window, which are then left out too. The table is in
    order of patient and admission, and the same whatever the order of the lines, their division
    into files, and the threads.

    Parameters
    ----------
    paths : iterable of str or Path
        Files of claim lines: .parquet, .csv or .csv.gz.
    rules : ClaimRules
    columns : iterable of Column
        Declarations of further columns, which the patients' file or the questionnaires may hold.
    period_from : {"calendar_year", "financial_year_april"}
        Which year of the admission is the reporting period.
    value_sets : mapping of str to ValueSet, optional
        By the id of an instrument without one of its own.
    memory_limit : str
        Of the database; it works on disk beyond it. What Python holds of the episodes comes on
        top: about 1 GB for a million episodes.
    threads : int, optional
        All that there are.
    folder : str or Path, optional
        Where the database keeps its files meanwhile: about 35 bytes for a claim line of Parquet,
        with diagnoses or without (`benchmarks/claims.py`).

    Returns
    -------
    Episodes
        What claims make is not read from the patients' file or the questionnaires, should they
        hold a column of that name. `left_out` counts index events that become no episode, by the
        first reason, and questionnaires without an episode. Amounts are in units of the currency.

    Raises
    ------
    FileMissingError, FileFormatError, ColumnError
    StudyError
        When a declaration clashes with another, or the work does not fit into the memory.
    ValuesFault
        With every rule that some lines or patients break, how many do, and the numbers of up to
        five rows. Care that begins after a death breaks one.
    EmptyCohortError
        When no line is an index event, or every index event is left out.
    """
    declared = declared_columns(columns)
    files = [Path(path) for path in paths]
    _check_asked(files, period_from)
    with open_database(memory_limit, threads, folder) as database:
        patients, more = read_patients(database, rules)
        sources = [*read_lines(database, files, rules), patients]
        events = find_events(database, rules)
        _check_some(events)
        parts = _identity(database, rules, events, period_from)
        known = _known(database, rules, {one: declared[one] for one in more if one in declared})
        parts |= known.columns
        parts |= _costs(database, rules, events)
        parts |= comorbidity_columns(database, rules, parts["age_years"], parts["sex"])
    table, left_out = pd.DataFrame(parts), dict(events.left_out)
    origins = [_Origin(rules.patients.name, frozenset(known.columns), known.rows)]
    if rules.proms is not None:
        proms, source = read_proms(rules.proms, declared, made=MADE | {"sex"})
        answered = frozenset(proms.columns) - MADE
        proms = proms.assign(**{ROW: range(1, len(proms) + 1)})
        table, unmatched = join_proms(table, proms, rules.proms_within_days, rules.proms)
        origins.append(_Origin(rules.proms.name, answered, table.pop(ROW).to_numpy()))
        sources.append(source)
        left_out |= unmatched
    table = _checked(table, declared, origins, value_sets)
    sources.append(Source("claims rules", _digest_of(rules), 0))
    digest = digest_of_json([one.digest for one in sources])
    kept = {one: declared[one] for one in table}
    return Episodes(table, kept, tuple(sources), digest, left_out)


_OF_CLAIMS = (
    "episode_id", "patient_id", "provider_id", "period", "procedure_group", "index_date",
    "discharge_date", "age_years", "drg", "length_of_stay", "prior_cost", "readmitted",
)  # fmt: skip
_OF_CLAIMS_PATTERNS = ("cost_*", "readmitted_*", "charlson_*", "elixhauser_*", "cms_hcc_*")

MADE = frozenset(
    name
    for name in COLUMNS
    if name in _OF_CLAIMS or any(fnmatchcase(name, one) for one in _OF_CLAIMS_PATTERNS)
)
"""The columns that claims make; nobody else's are read."""


def _check_asked(files: list[Path], period_from: str) -> None:
    if not files:
        raise FileFormatError("claims: wanted a file of claim lines or more; got none.")
    if period_from not in get_args(PeriodFrom):
        raise StudyError(
            f"data.period_from: wanted {' or '.join(get_args(PeriodFrom))} with claims, which have "
            f"no column for it; got {period_from!r}. Say which."
        )


def _check_some(events: Events) -> None:
    if not events.table.empty:
        return
    reasons = "; ".join(f"{reason}: {count:,}" for reason, count in events.left_out.items())
    raise EmptyCohortError(
        "claims: wanted index events that become episodes; got none "
        f"({reasons or 'no line is an index event'}). Check index, windows and period in the rules."
    )


def _identity(
    database: Database, rules: ClaimRules, events: Events, period_from: PeriodFrom
) -> dict[str, Any]:
    """Return whose the episodes are, and when."""
    found = frame_of(database, _IDENTITY)
    groups = np.array(list(rules.index), dtype=object)[events.table["group_number"]]
    begins = found["index_date"]
    years = begins.dt.year
    if period_from == "financial_year_april":
        years = years - (begins.dt.month < 4)
        names = years.map(lambda year: f"{year}/{(year + 1) % 100:02}")
    else:
        names = years.astype("str")
    text = {one: found[one].astype("str") for one in ("episode_id", "patient_id", "provider_id")}
    return {
        **text,
        "period": names.astype("str"),
        "procedure_group": pd.Series(groups).astype("str"),
        "index_date": begins,
        "discharge_date": found["discharge_date"],
        "age_years": found["age_years"].astype("float64").to_numpy(),
        "drg": found["drg"].astype("str"),
        "length_of_stay": (found["discharge_date"] - begins).dt.days.astype("float64"),
    }


# The id is the same whatever files the episode is read from.
_IDENTITY = """
    SELECT 'E' || left(sha256(p.patient_id || '|' || CAST(c.admission AS VARCHAR)), 16)
            AS episode_id,
        p.patient_id, c.provider_id, c.drg, c.admission AS index_date,
        c.discharge AS discharge_date,
        CAST(date_sub('year', p.birth_date, c.admission) AS DOUBLE) AS age_years
    FROM chosen c JOIN patients p USING (pk) ORDER BY c.event
"""


class _Origin(NamedTuple):
    """Which columns of the episodes a file holds, and the number of its row of each episode."""

    file: str
    columns: Collection[str]
    rows: NDArray[np.float64]


class _Known(NamedTuple):
    """What the patients' file says of each episode's patient, and in which of its rows."""

    columns: dict[str, pd.Series]
    rows: NDArray[np.float64]


def _known(database: Database, rules: ClaimRules, more: Mapping[str, Column]) -> _Known:
    """Return what the patients' file says of them; a patient of several episodes is read once."""
    wanted = {name: column for name, column in more.items() if name not in MADE}
    frame = patients_more(database, list(wanted))
    once = frame.drop_duplicates(ROW).set_index(ROW)
    found, faults = to_declared(once, wanted)
    if faults:
        rows = once.index.to_numpy(dtype=np.float64)
        raise ValuesFault(str(rules.patients), [_numbered(one, rows) for one in faults])
    beside = found.loc[frame[ROW]].reset_index(drop=True)
    return _Known(
        {name: beside[name] for name in beside}, frame[ROW].to_numpy(dtype=np.float64)
    )  # fmt: skip


def _numbered(fault: Fault, rows: NDArray[np.float64]) -> Fault:
    """Return a fault with the numbers of a file's rows in the place of those of a table."""
    shown = tuple(
        (int(rows[row - 1]), value) for row, value in fault.examples if np.isfinite(rows[row - 1])
    )
    return replace(fault, examples=shown)


def _costs(database: Database, rules: ClaimRules, events: Events) -> dict[str, Any]:
    """Return what the episodes cost, in units of the currency, and who was admitted again."""
    unit = 10.0**rules.minor_units
    index = index_costs(database, events.table["cents"].to_numpy())
    found = window_costs(database, rules, events.table["scaled_days"].to_numpy())
    costs = {"cost_index": index / unit}
    for at, days in enumerate(rules.windows):
        for number, part in enumerate(COST_PARTS):
            costs[f"cost_{part}_{days}d"] = found.parts[:, number, at] / unit
        costs[f"cost_total_{days}d"] = (index + found.parts[:, :, at].sum(axis=1)) / unit
        costs[f"readmitted_{days}d"] = found.readmitted[:, at].astype(float)
    costs["readmitted"] = found.readmitted[:, -1].astype(float)
    if rules.lookback_days:
        costs["prior_cost"] = prior_costs(database, rules, len(index)) / unit
    return costs


def _checked(
    table: pd.DataFrame,
    declared: Mapping[str, Column],
    origins: Sequence[_Origin],
    value_sets: Mapping[str, ValueSet] | None,
) -> pd.DataFrame:
    table, score_faults = add_scores(table, value_sets)
    faults: list[Fault] = find_faults(table, declared) + score_faults
    if faults:
        files = " and ".join(one.file for one in origins)
        told = [_of_episodes(one, origins) for one in faults]
        raise ValuesFault(f"episodes out of the claims, {files}", told)
    return table[[name for name in declared if name in table.columns]]


@dataclass(frozen=True)
class EpisodesFault(Fault):
    """A rule that some episodes break; `examples` are rows of `file`, or of none if claims made it.

    Attributes
    ----------
    file : str
        The name of the file that holds the column; empty where claims made it.
    """

    file: str = ""

    def __str__(self) -> str:
        shown = "; ".join(
            f"row {row} of {self.file}: {value}" if self.file else value
            for row, value in self.examples
        )
        differ = "episode differs" if self.count == 1 else "episodes differ"
        return f"{self.column}: wanted {self.rule}; {self.count:,} {differ} ({shown})"


def _of_episodes(fault: Fault, origins: Sequence[_Origin]) -> EpisodesFault:
    """Return a fault of the table of episodes with rows of the file that its column is from."""
    for one in origins:
        if fault.column in one.columns:
            fault = _numbered(fault, one.rows)
            return EpisodesFault(fault.column, fault.rule, fault.count, fault.examples, one.file)
    return EpisodesFault(fault.column, fault.rule, fault.count, fault.examples)


def _digest_of(rules: ClaimRules) -> str:
    """Return the digest of what the rules say, wherever the files are."""
    return digest_of_json(rules.model_dump(mode="json", exclude={"patients", "proms"}))
