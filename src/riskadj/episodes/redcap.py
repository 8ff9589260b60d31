"""REDCap exports of raw values, with or without events, as the canonical episode table.

A record is an episode. A project with events has a row per record and event
(`redcap_event_name`), and a row per instance of what was filled in several times
(`redcap_repeat_instrument`, `redcap_repeat_instance`); the cells of other forms are empty there.
A checkbox field has a column per choice, `name___1`, which holds 1 or 0.
"""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from riskadj.episodes.columns import COLUMNS
from riskadj.episodes.distinct import map_distinct
from riskadj.episodes.files import read_text_table
from riskadj.episodes.mapping import LEFT_OUT
from riskadj.episodes.redcap_mapping import RedcapColumn, RedcapMapping
from riskadj.episodes.shown import NOT_SHOWN, shown_cell
from riskadj.episodes.validation import EXAMPLES, Fault, ValuesFault
from riskadj.errors import ColumnError, FileFormatError, UnknownNameError, did_you_mean

_EVENT = "redcap_event_name"
_FORM = "redcap_repeat_instrument"
_INSTANCE = "redcap_repeat_instance"
_OWN = "redcap_"
"""REDCap fills its own columns in every row, whether a form was filled in or not."""
_CHECKBOX = "___"
_SHOWN = 3
_EACH_EVENT = "each record once per event"
_ONE_VALUE = "one value per record"


class _Unknown(NamedTuple):
    """Cells for which the mapping has no code: our column, its fields, the cells of the first."""

    column: str
    fields: tuple[str, ...]
    cells: pd.Series


def read_redcap(path: Path, mapping: RedcapMapping) -> pd.DataFrame:
    """Read one export of raw values (not labels): CSV, plain, `.gz` or `.zip`.

    Parameters
    ----------
    path : Path
    mapping : RedcapMapping

    Returns
    -------
    DataFrame of shape (n_records, n_columns)
        Canonical column names, in the order in which the records first appear; cells still text,
        with missing as empty text. `attrs["left_out"]` counts, by reason, the records without a
        column that the mapping needs and the repeated forms that it does not choose.

    Raises
    ------
    FileMissingError, FileFormatError
    ColumnError
        When a field of the mapping is not in the file.
    UnknownNameError
        When the file has events that the mapping does not know.
    ValuesFault
        With records given twice, forms filled in several times where the mapping allows one,
        fields that disagree about a record, and codes that the mapping does not know: by the
        names of the fields, one fault for all that take the same codes.
    """
    raw = read_text_table(path).apply(lambda column: column.str.strip())
    _check_kind(raw, mapping, path)
    _check_fields(raw, mapping, path)
    _check_events(raw, mapping, path)
    order = raw[mapping.record].drop_duplicates()
    chosen, faults, unused = _choose_rows(raw, mapping)
    _raise(faults, path)
    finished, unfinished = _only_finished(chosen, mapping)
    table, faults = _gather(finished, mapping, order)
    _raise(faults, path)
    return _with_needed(table, mapping, unused, unfinished)


def _check_kind(raw: pd.DataFrame, mapping: RedcapMapping, path: Path) -> None:
    if mapping.longitudinal and _EVENT not in raw.columns:
        raise ColumnError(
            f"{path}: wanted the column {_EVENT!r}, as the mapping has events; there is none. "
            "Export with events, or leave event out of before and after."
        )
    if not mapping.longitudinal and _EVENT in raw.columns and (raw[_EVENT] != "").any():
        raise FileFormatError(
            f"{path}: wanted a row per record, as the mapping has no events; got a project with "
            "events. Say which with before.event and after.event."
        )


def _check_fields(raw: pd.DataFrame, mapping: RedcapMapping, path: Path) -> None:
    wanted = [mapping.record, *(one for col in mapping.sources.values() for one in col.fields)]
    wanted += [one.field(one.complete) for one in mapping.rounds.values() if one.complete]
    absent = [one for one in dict.fromkeys(wanted) if one not in raw.columns]
    if not absent:
        return
    more = f" ({len(absent) - 1} more are not there.)" if len(absent) > 1 else ""
    raise ColumnError(
        f"{path}: wanted the fields of the mapping; got none called {absent[0]!r}."
        f"{did_you_mean(absent[0], raw.columns)}{more} Correct the mapping, or export raw values "
        "with this field."
    )


def _check_events(raw: pd.DataFrame, mapping: RedcapMapping, path: Path) -> None:
    if not mapping.longitudinal:
        return
    found = raw[_EVENT].value_counts()
    read = _events_read(mapping)
    absent = [one for one in read if one not in found]
    if absent:
        raise UnknownNameError(
            f"{path}: wanted the events of the mapping; got none called {absent[0]!r}."
            f"{did_you_mean(absent[0], found.index)} Correct the mapping, or export this event."
        )
    unknown = sorted(set(found.index) - set(read) - set(mapping.ignore_events))
    if unknown:
        listed = ", ".join(f"{one!r} in {found[one]:,} rows" for one in unknown[:EXAMPLES])
        raise UnknownNameError(
            f"{path}: wanted events that the mapping knows; got {listed}."
            f"{did_you_mean(unknown[0], read)} Read them, or name them in ignore_events."
        )


def _events_read(mapping: RedcapMapping) -> list[str]:
    named = [mapping.before.event, mapping.after.event]
    named += [one.event for one in mapping.columns.values()]
    return list(dict.fromkeys(one for one in named if one))


def _choose_rows(
    raw: pd.DataFrame, mapping: RedcapMapping
) -> tuple[pd.DataFrame, list[Fault], int]:
    """Return the rows to read, what is wrong with them, and how many repeats are not read.

    An instance is chosen whole, so that no answer of one stands beside an answer of another.
    """
    keys = pd.DataFrame(
        {
            "record": raw[mapping.record],
            "event": raw[_EVENT] if mapping.longitudinal else "",
            "form": raw[_FORM] if _FORM in raw.columns else "",
            "instance": raw[_INSTANCE] if _INSTANCE in raw.columns else "",
        },
        index=raw.index,
    )
    read = ~keys["event"].isin(mapping.ignore_events)
    repeated = read & (keys["instance"] != "")
    number = pd.to_numeric(keys["instance"].where(repeated), errors="coerce")
    once = keys[read & ~repeated]
    faults = [
        *_fault(mapping.record, "a value", keys["record"] == "", keys["record"]),
        *_fault(_INSTANCE, "a whole number", repeated & ~(number >= 1), keys["instance"]),
        *_fault(mapping.record, _EACH_EVENT, _spread(once.duplicated(keep=False), raw)),
    ]
    keys, number = keys[repeated & _answered(raw, mapping)], number[repeated]
    keep, repeat_faults = _choose_instances(keys, number.loc[keys.index], mapping)
    chosen = raw.loc[once.index.union(keep)]
    return chosen, faults + repeat_faults, len(keys) - len(keep)


def _choose_instances(
    keys: pd.DataFrame, number: pd.Series, mapping: RedcapMapping
) -> tuple[pd.Index, list[Fault]]:
    form = ["record", "event", "form"]
    if mapping.repeats == "error":
        several = keys.duplicated(form, keep=False)
        rule = "each form once per record and event (see repeats in the mapping)"
        return keys.index, _fault(_INSTANCE, rule, several, keys["instance"])
    rule = "each instance once per record, event and form"
    twice = keys.assign(instance=number).duplicated([*form, "instance"], keep=False)
    ordered = keys.loc[number.sort_values(kind="stable").index]
    kept = ordered.drop_duplicates(form, keep=mapping.repeats)
    return kept.index.sort_values(), _fault(_INSTANCE, rule, twice, keys["instance"])


def _answered(raw: pd.DataFrame, mapping: RedcapMapping) -> pd.Series:
    """Return which rows hold an answer to a field that is read; a box not ticked is none."""
    answered = pd.Series(False, index=raw.index)
    fields = {one for column in mapping.sources.values() for one in column.fields}
    for name in fields - {mapping.record}:
        if not name.startswith(_OWN):
            empty = ("", "0") if _CHECKBOX in name else ("",)
            answered |= ~raw[name].isin(empty)
    return answered


def _only_finished(
    rows: pd.DataFrame, mapping: RedcapMapping
) -> tuple[pd.DataFrame, dict[str, int]]:
    """Blank the answers of forms that were not finished, and count such forms by round."""
    rows, counts = rows.copy(), {}
    for name, one in mapping.rounds.items():
        if one.complete is None:
            continue
        fields = list(mapping.fields_of(name))
        at = rows[_EVENT].eq(one.event) if one.event else pd.Series(True, index=rows.index)
        answered = rows[fields].ne("").any(axis=1)
        unfinished = at & answered & ~rows[one.field(one.complete)].isin(one.finished)
        rows.loc[unfinished, fields] = ""
        if unfinished.any():
            counts[f"forms not finished, {name}"] = int(unfinished.sum())
    return rows, counts


def _gather(
    rows: pd.DataFrame, mapping: RedcapMapping, order: pd.Series
) -> tuple[pd.DataFrame, list[Fault]]:
    """Bring the fields of each record, from whatever row, into one row."""
    records = pd.Index(order)
    gathered: dict[str, object] = {"episode_id": records, "patient_id": records}
    faults: list[Fault] = []
    unknown: dict[tuple[str, bool], list[_Unknown]] = defaultdict(list)
    for name, column in mapping.sources.items():
        if column.value is not None:
            gathered[name] = column.value
            continue
        at = rows[_EVENT] == column.event if column.event else pd.Series(True, index=rows.index)
        part = rows[at]
        values, wrong = _values(part, column, mapping.missing)
        if wrong.any():
            rule = f"one of {', '.join(sorted(column.codes))}"
            cells = part[column.fields[0]][wrong]
            unknown[rule, _is_shown(name)].append(_Unknown(name, column.fields, cells))
        found = pd.DataFrame({"record": part[mapping.record], "value": values})
        found = found[found["value"] != ""].drop_duplicates()
        differ = _spread(found.duplicated("record", keep=False), rows)
        faults += _fault(_named(column.fields, [name]), _ONE_VALUE, differ)
        first = found.drop_duplicates("record").set_index("record")["value"]
        gathered[name] = first.reindex(records, fill_value="").to_numpy()
    faults = [_code_fault(*rule, them) for rule, them in unknown.items()] + faults
    return pd.DataFrame(gathered, index=pd.RangeIndex(len(records))).astype("str"), faults


def _code_fault(rule: str, shown: bool, unknown: list[_Unknown]) -> Fault:
    """Return one fault of all fields that take the same codes."""
    fields = tuple(dict.fromkeys(one for them in unknown for one in them.fields))
    wrong = pd.concat(
        [
            pd.DataFrame({"cell": them.cells.map(shown_cell), "field": them.fields[0]})
            for them in unknown
        ]
    ).sort_index(kind="stable")
    examples = tuple(
        (int(row) + 1, f"{cell} in {field}" if len(fields) > 1 else cell)
        for row, cell, field in wrong.head(EXAMPLES).itertuples()
    )
    hidden = tuple((row, NOT_SHOWN) for row, _ in examples)
    label = _named(fields, [them.column for them in unknown])
    return Fault(label, rule, wrong.index.nunique(), examples if shown else hidden)


def _named(fields: Sequence[str], columns: Sequence[str]) -> str:
    """Return the names that REDCap has for fields, and ours where they are few and differ."""
    more = len(fields) - _SHOWN
    label = ", ".join(fields[:_SHOWN]) + (f" and {more} more fields" if more > 0 else "")
    ours = f" ({', '.join(columns)})" if len(columns) <= _SHOWN else ""
    return label if list(fields) == list(columns) else f"{label}{ours}"


def _values(
    part: pd.DataFrame, column: RedcapColumn, missing: tuple[str, ...]
) -> tuple[pd.Series, pd.Series]:
    """Return the column's values as canonical codes, and which of them no code is known for."""
    absent = {*missing, *column.missing}
    cells = [part[name].mask(part[name].isin(absent), "") for name in column.fields]
    if column.any_of:
        ticked = np.logical_or.reduce([one == "1" for one in cells])
        seen = np.logical_or.reduce([one != "" for one in cells])
        values = pd.Series(np.where(ticked, "1", np.where(seen, "0", "")), index=part.index)
    else:
        values = cells[0]
    if not column.codes:
        return values, pd.Series(False, index=part.index)
    wrong = (values != "") & ~values.isin(column.codes)
    return map_distinct(values, lambda codes: codes.map(column.codes).fillna("")), wrong


def _with_needed(
    table: pd.DataFrame, mapping: RedcapMapping, unused: int, left_out: dict[str, int]
) -> pd.DataFrame:
    if unused:
        left_out[f"repeated forms: not the {mapping.repeats} instance"] = unused
    for name in mapping.needs:
        without = table[name] == ""
        if without.any():
            left_out[f"records: without {name}"] = int(without.sum())
        table = table[~without]
    table = table.reset_index(drop=True)
    table.attrs[LEFT_OUT] = left_out
    return table


def _spread(wrong: pd.Series, raw: pd.DataFrame) -> pd.Series:
    return wrong.reindex(raw.index, fill_value=False)


def _fault(name: str, rule: str, wrong: pd.Series, cells: pd.Series | None = None) -> list[Fault]:
    """Return the fault of some rows, if any; what may name a patient is not shown."""
    rows = wrong.index[wrong.to_numpy()]
    if rows.empty:
        return []
    shown = name == _INSTANCE and cells is not None
    examples = tuple(
        (int(row) + 1, str(cells[row])[:30] if shown and cells is not None else "(not shown)")
        for row in rows[:EXAMPLES]
    )
    return [Fault(name, rule, len(rows), examples)]


def _is_shown(name: str) -> bool:
    """Whether what a column holds cannot name a patient."""
    declared = COLUMNS.get(name)
    return declared is not None and declared.role != "identifier"


def _raise(faults: list[Fault], path: Path) -> None:
    if faults:
        raise ValuesFault(str(path), faults)
