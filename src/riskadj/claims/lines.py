"""Claim lines and patients, read and checked: every fault is counted, none is repaired.

Three tables come of it. `patients` numbers patients in order of their ids, so that no result
depends on the order of the files. `patient_more` has what else is known of them. `lines` has a
row per claim line, amounts as whole minor units. Messages show counts, numbers of rows, and values
of codes; never a patient, a claim or a provider.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
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
from riskadj.episodes.shown import shown_cell
from riskadj.episodes.validation import EXAMPLES
from riskadj.errors import ColumnError, FileFormatError, did_you_mean

MOST = 1e12
"""An amount beyond this is a mistake, and would not add up exactly."""

_SHOWN = 3
ROW = "row_of_file_"
"""What the number of a row is called; no column of ours is."""


@dataclass(frozen=True)
class CountedFault(Fault):
    """A rule that some rows break; `examples` are how often which value did.

    Attributes
    ----------
    noun : str
        What a row is.
    rows : tuple of (str, tuple of int)
        By file, the numbers of up to five of its rows (1 = first row under the header); an empty
        name where there is one file, which the message names anyhow.
    hint : str
        What to do.
    """

    noun: str = "line"
    rows: tuple[tuple[str, tuple[int, ...]], ...] = ()
    hint: str = ""

    def __str__(self) -> str:
        shown = ", ".join(f"{value!r} in {count:,}" for count, value in self.examples)
        differ = f"{self.noun} differs" if self.count == 1 else f"{self.noun}s differ"
        told = "; ".join(one for one in (shown, *map(_rows_in_words, self.rows)) if one)
        values = f" ({told})" if told else ""
        hint = f". {self.hint}" if self.hint else ""
        return f"{self.column}: wanted {self.rule}; {self.count:,} {differ}{values}{hint}"


def _rows_in_words(of_file: tuple[str, tuple[int, ...]]) -> str:
    name, rows = of_file
    listed = ", ".join(map(str, rows))
    return f"{name} row{'' if len(rows) == 1 else 's'} {listed}".lstrip()


class _Check(NamedTuple):
    """What is wrong with a row: its column, what was wanted, when it is so, and what to show."""

    column: str
    rule: str
    wrong: str
    shown: str | None = None
    hint: str = ""


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
    with reading(path), _in_order(database):
        database.execute(_patients_statement(file, more))
    _raise_patient_faults(database, str(path))
    database.execute(
        "CREATE TABLE patients AS SELECT CAST(row_number() OVER (ORDER BY patient_id) AS INTEGER) "
        "AS pk, patient_id, birth_date, enrolled_from, enrolled_to, death_date FROM raw_people"
    )
    database.execute(
        f"CREATE TABLE patient_more AS SELECT p.pk, r.{ROW}, "
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
    _check_duplicates(database, files, rules)
    return sources


def _check_duplicates(database: Database, files: list[Path], rules: ClaimRules) -> None:
    """Refuse lines that are there twice: each would count."""
    if rules.duplicates == "keep":
        return
    database.execute(
        "CREATE TABLE twice AS SELECT pk, from_date, content, count(*) - 1 AS more FROM lines "
        "GROUP BY pk, from_date, content HAVING count(*) > 1"
    )
    count = int(frame_of(database, "SELECT sum(more) AS n FROM twice").fillna(0)["n"].iloc[0])
    if count:
        rule = "each line once, or claims.duplicates: keep"
        among = f"(pk, from_date, hash({_CONTENT})) IN (SELECT pk, from_date, content FROM twice)"
        check = _Check("claim_id", rule, among)
        (rows,) = _rows_of(database, files, [check], rules)
        raise ValuesFault("claims", [CountedFault("claim_id", rule, count, (), rows=rows)])
    database.execute("DROP TABLE twice")


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


@contextmanager
def _in_order(database: Database) -> Iterator[None]:
    """Let the database keep the order of a file's rows while it reads, so that they count up."""
    database.execute("SET preserve_insertion_order = true")
    try:
        yield
    finally:
        database.execute("SET preserve_insertion_order = false")


def _patients_statement(file: FileColumns, more: list[str]) -> str:
    dates = ["birth_date", "enrolled_from", "enrolled_to", "death_date"]
    parts = [f"row_number() OVER () AS {ROW}", f"{file.text('patient_id')} AS patient_id"]
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


def _raise_patient_faults(database: Database, source: str) -> None:
    checks = _patient_checks()
    parts = ", ".join(f"count(*) FILTER (WHERE {one.wrong}), {_first_rows(one)}" for one in checks)
    found = database.execute(f"SELECT {parts} FROM raw_people").fetchone() or ()
    faults = [
        CountedFault(one.column, one.rule, int(count), (), "patient", (("", tuple(rows)),))
        for one, count, rows in zip(checks, found[::2], found[1::2], strict=True)
        if count
    ]
    if faults:
        raise ValuesFault(source, faults)


def _first_rows(check: _Check) -> str:
    """Return the expression of the numbers of the first rows that break a rule."""
    return f"min({ROW}, {EXAMPLES}) FILTER (WHERE {check.wrong})"


_LINES_TABLE = """
CREATE TABLE lines (
    file USMALLINT, pk INTEGER, claim_id VARCHAR, provider_id VARCHAR, from_date DATE,
    to_date DATE, setting setting_type, drg VARCHAR, procedure_code VARCHAR, diagnoses VARCHAR,
    cents BIGINT, status status_type, faults INTEGER, content UBIGINT
)
"""


_REVERSALS = (
    "Where a negative amount takes back another line, net the two by claim before, or drop both"
)


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
        _Check("paid_amount", "0 or more", "amount < 0", hint=_REVERSALS),
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


def _parsed(file: FileColumns, rules: ClaimRules, *, numbered: bool = False) -> str:
    """Return the statement of a file's lines, typed, as they are before they are checked."""
    row = f"row_number() OVER () AS {ROW}," if numbered else ""
    text = file.text
    currency = text("currency") if "currency" in file.theirs else "$currency"
    diagnoses = "NULL"
    if rules.comorbidity.wanted:
        diagnoses = f"upper(replace({text('diagnosis_codes')}, '.', ''))"
    return f"""
        SELECT p.pk, l.* FROM (
            SELECT {row} {text("claim_id")} AS claim_id, {text("patient_id")} AS patient_id,
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
    values = _values(rules) | {"file": number}
    with reading(file.path):
        database.execute(statement, values)


def _values(rules: ClaimRules) -> dict[str, Any]:
    return {
        "begins": rules.period.begins,
        "ends": rules.period.ends,
        "currency": rules.currency,
        "minor": 10.0**rules.minor_units,
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
    counts = [int(found.loc[found["faults"] & 1 << bit != 0, "n"].sum())
              for bit in range(len(checks))]  # fmt: skip
    broken = [(one, count) for one, count in zip(checks, counts, strict=True) if count]
    rows = _rows_of(database, wrong, [one for one, _ in broken], rules)
    faults = [
        CountedFault(
            one.column, one.rule, count, _shown(database, wrong, one, rules) if one.shown else (),
            rows=some, hint=one.hint,
        )
        for (one, count), some in zip(broken, rows, strict=True)
    ]  # fmt: skip
    raise ValuesFault(" and ".join(str(one) for one in wrong), faults)


def _rows_of(
    database: Database, files: list[Path], checks: list[_Check], rules: ClaimRules
) -> list[tuple[tuple[str, tuple[int, ...]], ...]]:
    """Return where each rule is broken first, by file; the files are read again for it."""
    found: list[list[tuple[str, tuple[int, ...]]]] = [[] for _ in checks]
    asked = ", ".join(_first_rows(one) for one in checks)
    for path in files:
        file = view_file(database, path, "raw_claims", rules.rename)
        statement = f"SELECT {asked} FROM ({_parsed(file, rules, numbered=True)})"
        with reading(path), _in_order(database):
            rows = database.execute(statement, _used(statement, rules)).fetchone() or ()
        name = path.name if len(files) > 1 else ""
        for told, some in zip(found, rows, strict=True):
            left = EXAMPLES - sum(len(each) for _, each in told)
            if some and left > 0:
                told.append((name, tuple(some[:left])))
    return [tuple(one) for one in found]


def _shown(
    database: Database, files: list[Path], check: _Check, rules: ClaimRules
) -> tuple[tuple[int, str], ...]:
    """Return the commonest values that break a rule, read again: such files are seldom."""
    counts: dict[str, int] = {}
    for path in files:
        file = view_file(database, path, "raw_claims", rules.rename)
        statement = (
            f"SELECT coalesce({check.shown}, ''), count(*) FROM ({_parsed(file, rules)}) "
            f"WHERE {check.wrong} GROUP BY 1"
        )
        rows = database.execute(statement, _used(statement, rules)).fetchall()
        for value, count in rows:
            shown = shown_cell(value)
            counts[shown] = counts.get(shown, 0) + count
    ordered = sorted(counts.items(), key=lambda one: (-one[1], one[0]))
    return tuple((count, value) for value, count in ordered[:_SHOWN])


def _used(statement: str, rules: ClaimRules) -> dict[str, Any]:
    """Return the values that a statement names."""
    return {name: value for name, value in _values(rules).items() if f"${name}" in statement}


def patients_more(database: Database, columns: list[str]) -> pd.DataFrame:
    """Return what else is known of the patients of the episodes, in their order.

    Beside it, as `ROW`, stands the number of the row in the patients' file.
    """
    listed = ", ".join([f"m.{ROW}", *(f"m.{quoted(one)}" for one in columns)])
    return frame_of(
        database,
        f"SELECT {listed} FROM chosen c JOIN patient_more m USING (pk) ORDER BY c.event",
    )
