"""FHIR R4 questionnaire responses, with the operations they surround, as the episode table.

A Procedure with a code of the mapping is an episode. Its patient's QuestionnaireResponses are the
rounds before and after it: by their date `authored`, in the windows that the mapping gives. An
instrument is recognised by the linkIds of its items. Resource and element names are those of HL7
FHIR release 4 (4.0.1): Bundle, Patient, Procedure, Encounter, Organization,
QuestionnaireResponse. Every response and every procedure that is not used is counted by reason.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from pathlib import Path

import pandas as pd

from riskadj.episodes.fhir_episodes import Episode, day_of, find_episodes
from riskadj.episodes.fhir_json import brief
from riskadj.episodes.fhir_mapping import FhirMapping, Form
from riskadj.episodes.fhir_resources import Given, Patient, is_number
from riskadj.episodes.fhir_rounds import Candidate, Chosen, match_responses
from riskadj.episodes.fhir_store import Store, read_store
from riskadj.episodes.mapping import LEFT_OUT, mapped_columns
from riskadj.episodes.mapping_terms import ROUND_PREFIXES, Answer, Round
from riskadj.errors import RiskadjError, ValuesError, raise_all


def read_fhir(path: Path, mapping: FhirMapping) -> pd.DataFrame:
    """Read one file of FHIR R4 JSON: a Bundle, or NDJSON of resources or Bundles; or its `.gz`.

    Parameters
    ----------
    path : Path
    mapping : FhirMapping

    Returns
    -------
    DataFrame of shape (n_procedures_used, n_columns)
        Canonical column names, one row per operation in the order of the file; cells still text,
        with missing as empty text. `q1_date` and `q2_date` are those of the first instrument of
        the mapping that was answered. `age_years` counts whole years, and is missing where the
        date of birth is not a whole date. `attrs["left_out"]` counts, by reason, the procedures
        and the responses that are not used; with those used they make up all of the file.

    Raises
    ------
    FileMissingError
    FileFormatError
        When it is not JSON, not a whole Bundle, too large or too deep, or has no operation.
    UnknownNameError
        With answered linkIds that the mapping neither reads nor ignores.
    ValuesError
        With answers that are not of the kind the mapping says, or given twice.

    Notes
    -----
    A response that is `partOf` a Procedure belongs to that one. Any other belongs, within each
    procedure group, to the last operation before it and to the next one on or after its day. A
    dateTime is the day on the clock that it was written by.
    """
    store = read_store(path)
    left_out: Counter[str] = Counter(store.again)
    episodes = find_episodes(store, mapping, left_out)
    rounds = match_responses(store, mapping, episodes, left_out)
    table = _table(store, mapping, episodes, rounds)
    table.attrs[LEFT_OUT] = dict(sorted(left_out.items()))
    return table


def _table(
    store: Store, mapping: FhirMapping, episodes: dict[str, Episode], chosen: Chosen
) -> pd.DataFrame:
    columns: dict[str, list[str]] = {name: [] for name in mapped_columns(mapping)}
    wrong: Counter[tuple[str, str]] = Counter()
    first: dict[tuple[str, str], int] = {}
    for episode in episodes.values():
        row = _own_cells(episode, store)
        for of, q in ROUND_PREFIXES.items():
            used = chosen.get((episode.key, of), {})
            row[f"{q}_date"] = next((one.day.isoformat() for one in used.values()), "")
            for form in mapping.forms:
                if form.name in used:
                    cells, faults = _cells(used[form.name], form, of)
                    row |= cells
                    wrong.update(faults)
                    for fault in faults:
                        first.setdefault(fault, used[form.name].position)
        for name, cells_of in columns.items():
            cells_of.append(row.get(name, ""))
    raise_all(_answer_faults(wrong, first, store.path))
    return pd.DataFrame(columns, dtype="str")


def _own_cells(episode: Episode, store: Store) -> dict[str, str]:
    patient = store.kept["Patient"].get(episode.patient, Patient("", "", ()))
    return {
        "episode_id": episode.key.removeprefix("Procedure/"),
        "patient_id": episode.patient.removeprefix("Patient/"),
        "provider_id": episode.provider,
        "procedure_group": episode.group,
        "index_date": episode.day.isoformat(),
        "age_years": _age(patient.born, episode.day),
        # `other` and `unknown` have no place in the canonical column.
        "sex": patient.gender if patient.gender in ("male", "female") else "",
    }


def _age(born: str, day: date) -> str:
    birthday = day_of(born)
    if birthday is None:
        return ""
    return str(day.year - birthday.year - ((day.month, day.day) < (birthday.month, birthday.day)))


def _cells(one: Candidate, form: Form, of: Round) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """Return the canonical cells of a form, and the linkIds that could not be read with why."""
    cells: dict[str, str] = {}
    faults: list[tuple[str, str]] = []
    parts = (form.columns[of], form.link_ids, form.answers, form.codes, one.answers[form.name])
    for column, link_id, kind, codes, given in zip(*parts, strict=True):
        if not given:
            continue
        value = _VALUES[kind](given[0])
        coded = codes.get(f"{given[0].system}|{value}", codes.get(value or "")) if codes else value
        if len(given) > 1:
            faults.append((link_id, f"one answer; got {len(given)}"))
        elif value is None:
            faults.append((link_id, f"{_WANTED[kind]}; got value{given[0].kind[:20]}"))
        elif coded is None:
            got = "" if kind == "text" else f"; got {brief(value)}"
            faults.append((link_id, f"a code of the mapping{got}"))
        else:
            cells[column] = coded
    return cells, faults


def _number(given: Given) -> str | None:
    return _written(given.value) if given.kind in ("Integer", "Decimal") else None


def _coding(given: Given) -> str | None:
    return (given.value or None) if given.kind == "Coding" else None


def _ordinal(given: Given) -> str | None:
    return _written(given.weight) if given.kind == "Coding" else None


def _plain(given: Given) -> str | None:
    if given.kind == "Boolean" and isinstance(given.value, bool):
        return str(given.value).lower()
    textual = given.kind in ("String", "Date", "DateTime") and isinstance(given.value, str)
    return given.value if textual else None


def _written(value: object) -> str | None:
    """Return a finite number as a file of text would hold it, all of its digits."""
    if not isinstance(value, (int, float)) or not is_number(value):
        return None
    return str(int(value)) if float(value).is_integer() else repr(value)


_VALUES: dict[Answer, Callable[[Given], str | None]] = {
    "number": _number,
    "coding": _coding,
    "ordinal": _ordinal,
    "text": _plain,
}
_WANTED: dict[Answer, str] = {
    "number": "valueInteger or valueDecimal",
    "coding": "valueCoding with a code",
    "ordinal": "valueCoding with an ordinalValue",
    "text": "valueString, valueDate, valueDateTime or valueBoolean",
}


def _answer_faults(
    wrong: Counter[tuple[str, str]], first: Mapping[tuple[str, str], int], path: Path
) -> Iterator[RiskadjError]:
    for (link_id, problem), count in wrong.most_common():
        responses = "response" if count == 1 else "responses"
        yield ValuesError(
            f"{path}: linkId {brief(link_id)}: wanted {problem} in {count:,} {responses}, first "
            f"in response {first[link_id, problem]:,} of the file. Correct the mapping or the data."
        )
