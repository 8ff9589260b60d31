"""Claim lines and patients, read and checked: every fault is counted, none is repaired.

Three tables come of it. `patients` numbers patients in order of their ids, so that no result
depends on the order of the files. `patient_more` has what else is known of them. `lines` has a
row per claim line, amounts as whole minor units. Messages show counts, and values of codes; never
a patient, a claim or a provider.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from riskadj.claims.database import (
    Database,
    FileColumns,
    fill_table,
    frame_of,
    quoted,
    reading,
    view_file,
)
from riskadj.claims.rules import (
    CLAIM_COLUMNS,
    PATIENT_COLUMNS,
    SETTINGS,
    STATUSES,
    ClaimRules,
)
from riskadj.digest import digest_of_file
from riskadj.episodes import Fault, Source, ValuesFault
from riskadj.errors import ColumnError, FileFormatError, did_you_mean

MOST = 1e12
"""An amount beyond this is a mistake, and would not add up exactly."""

_SHOWN = 3


@dataclass(frozen=True)
class CountedFault(Fault):
    """A rule that some rows break; `examples` are how often which value did."""

    noun: str = "line"

    def __str__(self) -> str:
        shown = ", ".join(f"{value!r} in {count:,}" for count, value in self.examples)
        differ = f"{self.noun} differs" if self.count == 1 else f"{self.noun}s differ"
        values = f" ({shown})" if shown else ""
        return f"{self.column}: wanted {self.rule}; {self.count:,} {differ}{values}"


class _Check(NamedTuple):
    """What is wrong with a row: its column, what was wanted, when it is so, and what to show."""

    column: str
    rule: str
    wrong: str
    shown: str | None = None


def read_patients(database: Database, rules: ClaimRules) -> tuple[Source, list[str]]:
    """Read the patients into `patients` and `patient_more`.

    Returns
    -------
    source : Source
    columns : list of str
        Our names of the columns of `patient_more`, the sex among them.

    Raises
    ------
    FileMissingError, FileFormatError, ColumnError
    ValuesFault
    """
    path = rules.patients
    file = view_file(database, path, "raw_patients", rules.rename)
    file.need(PATIENT_COLUMNS)
    more = [one for one in file.theirs if one not in PATIENT_COLUMNS or one == "sex"]
    with reading(path):
        database.execute(_patients_statement(file, more))
    _raise_faults(database, "raw_people", _patient_checks(), {}, str(path), noun="patient")
    database.execute(
        "CREATE TABLE patients AS SELECT CAST(row_number() OVER (ORDER BY patient_id) AS INTEGER) "
        "AS pk, patient_id, birth_date, enrolled_from, enrolled_to, death_date FROM raw_people"
    )
    database.execute(
        "CREATE TABLE patient_more AS SELECT p.pk, "
        + ", ".join(f"r.{quoted(one)}" for one in more)
        + " FROM patients p JOIN raw_people r USING (patient_id)"
    )
    database.execute("DROP TABLE raw_people")
    (rows,) = database.execute("SELECT count(*) FROM patients").fetchone() or (0,)
    return Source(path.name, digest_of_file(path), int(rows)), more


def read_lines(
    database: Database, paths: Iterable[str | Path], rules: ClaimRules
) -> tuple[Source, ...]:
    """Read claim lines into `lines`; `patients` has been read.

    Raises
    ------
    FileMissingError, FileFormatError, ColumnError
        When a file is given twice, too.
    ValuesFault
        With every rule that some lines break, of all the files; then with lines that are there
        twice, unless the rules keep them.
    """
    files = [Path(path) for path in paths]
    _make_types(database)
    fill_table(database, "known_drgs", "code VARCHAR", [(one,) for one in rules.known_drgs or ()])
    database.execute(_LINES_TABLE)
    checks = _line_checks(rules)
    renames: set[str] = set()
    for number, path in enumerate(files):
        file = view_file(database, path, "raw_claims", rules.rename)
        file.need(_needed(rules))
        renames |= set(rules.rename) & set(file.types)
        _insert_lines(database, file, number, checks, rules)
    _check_renames(database, rules, renames)
    _raise_line_faults(database, files, checks, rules)
    counts = dict(
        database.execute("SELECT file, count(*) FROM lines GROUP BY file ORDER BY file").fetchall()
    )
    sources = tuple(
        Source(path.name, digest_of_file(path), int(counts.get(number, 0)))
        for number, path in enumerate(files)
    )
    _check_once(sources)
    _check_duplicates(database, rules)
    return sources


def _check_duplicates(database: Database, rules: ClaimRules) -> None:
    """Refuse lines that are there twice: each would count."""
    if rules.duplicates == "keep":
        return
    found = frame_of(
        database,
        "SELECT coalesce(sum(n - 1), 0) AS more FROM ("
        "SELECT count(*) AS n FROM lines GROUP BY pk, from_date, content HAVING count(*) > 1)",
    )
    count = int(found["more"].iloc[0])
    if count:
        rule = "each line once, or claims.duplicates: keep"
        raise ValuesFault("claims", [CountedFault("claim_id", rule, count, ())])


def _check_once(sources: tuple[Source, ...]) -> None:
    """Refuse a file that is given twice, under whatever name: its costs would count twice."""
    names: dict[str, str] = {}
    for one in sources:
        if one.digest in names:
            raise FileFormatError(
                f"claims: wanted each file once; got the same content in {names[one.digest]} and "
                f"{one.name}. Leave one out."
            )
        names[one.digest] = one.name


def _check_renames(database: Database, rules: ClaimRules, used: set[str]) -> None:
    patients = {row[0] for row in database.execute("DESCRIBE raw_patients").fetchall()}
    for name in rules.rename:
        if name not in used | patients:
            raise ColumnError(
                f"claims.rename: wanted columns of the claims or patients; got {name!r}, which "
                f"none has.{did_you_mean(name, used | patients)}"
            )


def _make_types(database: Database) -> None:
    for name, values in (("setting_type", SETTINGS), ("status_type", STATUSES)):
        listed = ", ".join(f"'{one}'" for one in values)
        database.execute(f"CREATE TYPE {name} AS ENUM ({listed})")


def _patients_statement(file: FileColumns, more: list[str]) -> str:
    dates = ["birth_date", "enrolled_from", "enrolled_to", "death_date"]
    parts = [f"{file.text('patient_id')} AS patient_id"]
    parts += [f"{file.date(one)} AS {one}" for one in dates]
    parts += [f"({file.text(one)}) IS NOT NULL AS {one}_there" for one in dates]
    parts += [f"{quoted(file.theirs[one])} AS {quoted(one)}" for one in more]
    return f"CREATE TABLE raw_people AS SELECT {', '.join(parts)} FROM raw_patients"


def _patient_checks() -> list[_Check]:
    dates = ["birth_date", "enrolled_from", "enrolled_to", "death_date"]
    return [
        _Check("patient_id", "a value", "patient_id IS NULL"),
        _Check(
            "patient_id",
            "each patient once",
            "patient_id IN (SELECT patient_id FROM raw_people GROUP BY 1 HAVING count(*) > 1)",
        ),
        *(
            _Check(one, "a date such as 2019-03-31", f"{one}_there AND {one} IS NULL")
            for one in dates
        ),
        _Check("enrolled_from", "a date", "NOT enrolled_from_there"),
        _Check("enrolled_to", "a date on or after enrolled_from", "enrolled_to < enrolled_from"),
        _Check("death_date", "a date on or after birth_date", "death_date < birth_date"),
    ]


def _raise_faults(
    database: Database,
    table: str,
    checks: list[_Check],
    values: dict[str, Any],
    source: str,
    noun: str,
) -> None:
    counts = ", ".join(
        f"count(*) FILTER (WHERE {one.wrong}) AS c{number}" for number, one in enumerate(checks)
    )
    found = database.execute(f"SELECT {counts} FROM {table}", values or None).fetchone() or ()
    faults = [
        CountedFault(one.column, one.rule, int(count), (), noun)
        for one, count in zip(checks, found, strict=True)
        if count
    ]
    if faults:
        raise ValuesFault(source, faults)


_LINES_TABLE = """
CREATE TABLE lines (
    file USMALLINT, pk INTEGER, claim_id VARCHAR, provider_id VARCHAR, from_date DATE,
    to_date DATE, setting setting_type, drg VARCHAR, procedure_code VARCHAR, diagnoses VARCHAR,
    cents BIGINT, status status_type, faults INTEGER, content UBIGINT
)
"""


def _line_checks(rules: ClaimRules) -> list[_Check]:
    settings = ", ".join(f"'{one}'" for one in rules.index_settings)
    checks = [
        _Check("claim_id", "a value", "claim_id IS NULL"),
        _Check("patient_id", "a patient of the patients' file", "pk IS NULL"),
        _Check("from_date", "a date such as 2019-03-31", "from_date IS NULL"),
        _Check("to_date", "a date such as 2019-03-31", "to_date IS NULL"),
        _Check("to_date", "a date on or after from_date", "to_date < from_date"),
        _Check(
            "from_date",
            f"a date in the data's period, {rules.period.begins} to {rules.period.ends}",
            "from_date < $begins OR from_date > $ends",
        ),
        _Check("setting", f"one of {', '.join(SETTINGS)}", "setting IS NULL", "raw_setting"),
        _Check("paid_amount", "an amount", "amount IS NULL OR isnan(amount)"),
        _Check("paid_amount", "0 or more", "amount < 0"),
        _Check(
            "paid_amount",
            f"at most {rules.minor_units} decimals (minor_units)",
            # What a sum of binary fractions is off by is no further decimal.
            f"abs(amount) <= {MOST:g} AND abs(amount * $minor - round(amount * $minor)) > "
            "1e-6 + 1e-15 * abs(amount) * $minor",
        ),
        _Check("paid_amount", f"at most {MOST:g}", f"amount > {MOST:g} AND NOT isnan(amount)"),
        _Check(
            "currency", f"{rules.currency} alone", "currency IS DISTINCT FROM $currency", "currency"
        ),
        _Check(
            "discharge_status",
            f"one of {', '.join(STATUSES)} for inpatient lines",
            "(setting = 'inpatient' AND status IS NULL)",
            "raw_status",
        ),
        _Check("provider_id", "a value", f"(setting IN ({settings}) AND provider_id IS NULL)"),
    ]
    if rules.known_drgs is not None:
        checks.append(
            _Check(
                "drg",
                "a DRG of known_drgs for inpatient lines",
                "(setting = 'inpatient' AND "
                "(drg IS NULL OR drg NOT IN (SELECT code FROM known_drgs)))",
                "drg",
            )
        )
    return checks


def _needed(rules: ClaimRules) -> list[str]:
    """Return the columns without which these rules cannot be followed."""
    events = rules.index.values()
    optional = {
        "drg": rules.known_drgs is not None or any(one.drgs for one in events),
        "procedure_code": any(one.procedures for one in events),
        "diagnosis_codes": rules.comorbidity.wanted,
    }
    return [one for one in CLAIM_COLUMNS if optional.get(one, True)]


def _parsed(file: FileColumns, rules: ClaimRules) -> str:
    """Return the statement of a file's lines, typed, as they are before they are checked."""
    text = file.text
    currency = text("currency") if "currency" in file.theirs else "$currency"
    diagnoses = "NULL"
    if rules.comorbidity.wanted:
        diagnoses = f"upper(replace({text('diagnosis_codes')}, '.', ''))"
    return f"""
        SELECT p.pk, l.* FROM (
            SELECT {text("claim_id")} AS claim_id, {text("patient_id")} AS patient_id,
                {text("provider_id")} AS provider_id,
                {file.date("from_date")} AS from_date, {file.date("to_date")} AS to_date,
                {text("setting")} AS raw_setting,
                TRY_CAST(lower({text("setting")}) AS setting_type) AS setting,
                {text("drg")} AS drg, {text("procedure_code")} AS procedure_code,
                CAST({diagnoses} AS VARCHAR) AS diagnoses,
                {file.number("paid_amount")} AS amount,
                {text("discharge_status")} AS raw_status,
                TRY_CAST(lower({text("discharge_status")}) AS status_type) AS status,
                {currency} AS currency
            FROM raw_claims
        ) l LEFT JOIN patients p USING (patient_id)
    """


_CONTENT = (
    "claim_id, provider_id, to_date, raw_setting, drg, procedure_code, diagnoses, amount, "
    "raw_status"
)
"""What two lines of a patient and a day are compared by, as one number."""


def _insert_lines(
    database: Database, file: FileColumns, number: int, checks: list[_Check], rules: ClaimRules
) -> None:
    bits = " | ".join(
        f"CASE WHEN {one.wrong} THEN {1 << bit} ELSE 0 END" for bit, one in enumerate(checks)
    )
    kept = ", ".join(f"'{one}'" for one in rules.index_settings)
    # What only an index event is recognised by is kept of lines that can be one.
    of_index = partial("CASE WHEN setting IN ({kept}) THEN {name} END".format, kept=kept)
    content = f"hash({_CONTENT})" if rules.duplicates == "refuse" else "NULL"
    statement = f"""
        INSERT INTO lines
        SELECT $file, pk, {of_index(name="claim_id")}, {of_index(name="provider_id")}, from_date,
            to_date, setting, {of_index(name="drg")}, {of_index(name="procedure_code")}, diagnoses,
            CASE WHEN abs(amount) <= {MOST:g} THEN CAST(round(amount * $minor) AS BIGINT) END,
            {of_index(name="status")}, {bits}, {content}
        FROM ({_parsed(file, rules)})
    """
    values = _values(rules) | {"file": number, "minor": 10.0**rules.minor_units}
    with reading(file.path):
        database.execute(statement, values)


def _values(rules: ClaimRules) -> dict[str, Any]:
    return {
        "begins": rules.period.begins,
        "ends": rules.period.ends,
        "currency": rules.currency,
    }


def _raise_line_faults(
    database: Database, files: list[Path], checks: list[_Check], rules: ClaimRules
) -> None:
    found = frame_of(
        database,
        "SELECT file, faults, count(*) AS n FROM lines WHERE faults <> 0 GROUP BY ALL ORDER BY ALL",
    )
    if found.empty:
        return
    wrong = [files[number] for number in sorted(found["file"].unique())]
    faults = [
        CountedFault(
            one.column,
            one.rule,
            count,
            _shown(database, wrong, one, rules) if one.shown else (),
        )
        for bit, one in enumerate(checks)
        if (count := int(found.loc[found["faults"] & 1 << bit != 0, "n"].sum()))
    ]
    raise ValuesFault(" and ".join(str(one) for one in wrong), faults)


def _shown(
    database: Database, files: list[Path], check: _Check, rules: ClaimRules
) -> tuple[tuple[int, str], ...]:
    """Return the commonest values that break a rule, read again: such files are seldom."""
    counts: dict[str, int] = {}
    for path in files:
        file = view_file(database, path, "raw_claims", rules.rename)
        rows = database.execute(
            f"SELECT coalesce({check.shown}, ''), count(*) FROM ({_parsed(file, rules)}) "
            f"WHERE {check.wrong} GROUP BY 1",
            {one: value for one, value in _values(rules).items() if _uses(check, one, file)},
        ).fetchall()
        for value, count in rows:
            counts[value[:30]] = counts.get(value[:30], 0) + count
    ordered = sorted(counts.items(), key=lambda one: (-one[1], one[0]))
    return tuple((count, value) for value, count in ordered[:_SHOWN])


def _uses(check: _Check, name: str, file: FileColumns) -> bool:
    return f"${name}" in check.wrong or (name == "currency" and "currency" not in file.theirs)


def patients_more(database: Database, columns: list[str]) -> pd.DataFrame:
    """Return what else is known of the patients of the episodes, in their order."""
    listed = ", ".join(f"m.{quoted(one)}" for one in columns)
    return frame_of(
        database,
        f"SELECT {listed} FROM chosen c JOIN patient_more m USING (pk) ORDER BY c.event",
    )
