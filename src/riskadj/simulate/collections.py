"""Worlds as they would be collected: a REDCap export, or a FHIR R4 bundle, of hip replacements.

Names of fields, events and linkIds, and all codes, are those that the example mappings read:
`configs/mappings/redcap_hip.yaml` and `fhir_hip.yaml`. So a study of a collection can be tried,
from its mapping to its card, before there is one.
"""

import gzip
import json
from collections.abc import Callable, Mapping
from functools import partial
from itertools import chain
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pandas as pd

from riskadj.errors import OutputError, StudyError, did_you_mean
from riskadj.simulate.files import _check_targets, _replace_all
from riskadj.simulate.world import World

Cells = Mapping[str, pd.Series]
Answer = Callable[[int], dict[str, Any]]

_OPERATION = "HIP_PRIM"
_ROUNDS = ("q1", "q2")
_EQ5D = ("mobility", "self-care", "activity", "pain", "anxiety")


# REDCap ------------------------------------------------------------------------------------------

_EVENTS = ("registration_arm_1", "before_arm_1", "surgery_arm_1", "month_6_arm_1")
_ITEMS = tuple(f"ohs_{one}" for one in range(1, 13))
_LEVELS = tuple(f"eq5d_{one.replace('-', '')}" for one in _EQ5D)
_BOXES = tuple(f"comorbidity___{one}" for one in range(1, 4))
_FIELDS = (
    "record_id", "redcap_event_name", "redcap_repeat_instrument", "redcap_repeat_instance",
    "redcap_data_access_group", "sex", "operation_date", "operation_type", "age", "prom_date",
    *_ITEMS, *_LEVELS, "eq_vas", *_BOXES, "satisfaction", "prom_complete",
)  # fmt: skip


def redcap_export(world: World) -> pd.DataFrame:
    """Return a world as REDCap exports a project with events: raw values, all of them text.

    Parameters
    ----------
    world : World
        Of primary hip replacements.

    Returns
    -------
    DataFrame of shape (n_rows, 33)
        For each episode, in their order, a row for registration, the questionnaire before, the
        operation and, where it was returned, the questionnaire six months after. What was not
        answered is empty. Answers of the Oxford Hip Score are 1 (best) to 5.

    Raises
    ------
    StudyError
        When the world is of another operation.

    Examples
    --------
    >>> from riskadj.simulate import demo_scenario, simulate_world
    >>> few = demo_scenario().model_copy(update={"episodes_per_period": 50})
    >>> rows = redcap_export(simulate_world(few))
    >>> rows.loc[0, ["record_id", "redcap_event_name"]].tolist()
    ['1', 'registration_arm_1']
    """
    episodes = _hips_of(world)
    others = episodes.filter(regex="^comorb_(?!heart$|diabetes$|block_answered$)")
    ticked = (episodes["comorb_heart"], episodes["comorb_diabetes"], others.max(axis=1))
    registered = {"sex": episodes["sex"].map({"male": "0", "female": "1"})}
    before = _redcap_form(episodes, "q1") | dict(zip(_BOXES, map(_whole, ticked), strict=True))
    operated = {
        "operation_date": _day(episodes["index_date"]),
        "operation_type": pd.Series("1", index=episodes.index),
        "age": _whole(episodes["age_years"]),
    }
    after = _redcap_form(episodes, "q2") | {"satisfaction": _whole(episodes["satisfaction"])}
    events = dict(zip(_EVENTS, (registered, before, operated, after), strict=True))
    rows = pd.concat([_redcap_rows(episodes, event, cells) for event, cells in events.items()])
    returned = (rows["redcap_event_name"] != _EVENTS[-1]) | episodes["q2_date"].notna()[rows.index]
    return rows[returned.to_numpy()].sort_index(kind="stable").fillna("").reset_index(drop=True)


def _redcap_rows(episodes: pd.DataFrame, event: str, cells: Cells) -> pd.DataFrame:
    named = {
        "record_id": (episodes.index.to_series() + 1).astype("str"),
        "redcap_event_name": pd.Series(event, index=episodes.index),
        "redcap_data_access_group": episodes["provider_id"],
    }
    return pd.DataFrame({**named, **cells}).reindex(columns=list(_FIELDS)).astype("str")


def _redcap_form(episodes: pd.DataFrame, of: str) -> dict[str, pd.Series]:
    items = zip(_ITEMS, _item_columns(of, "ohs", len(_ITEMS)), strict=True)
    levels = zip(_LEVELS, _item_columns(of, "eq5d", len(_LEVELS)), strict=True)
    return {
        "prom_date": _day(episodes[f"{of}_date"]),
        **{field: _whole(5 - episodes[name]) for field, name in items},
        **{field: _whole(episodes[name]) for field, name in levels},
        "eq_vas": _whole(episodes[f"{of}_score_eqvas"]),
        "prom_complete": pd.Series("2", index=episodes.index),
    }


# FHIR --------------------------------------------------------------------------------------------

_BASE = "http://example.org"
_ORDINAL = "http://hl7.org/fhir/StructureDefinition/ordinalValue"
_SATISFACTION = ("excellent", "very-good", "good", "fair", "poor")
_HOLE = '"%s[]"'


def fhir_bundle(world: World) -> str:
    """Return a world as a FHIR R4 Bundle, of the type collection.

    Parameters
    ----------
    world : World
        Of primary hip replacements.

    Returns
    -------
    str
        JSON: an Organization for each provider, and for each episode a Patient, a Procedure and
        a QuestionnaireResponse for each questionnaire returned. A date of birth is the first of
        January of a year that gives the age; without an age there is none.

    Raises
    ------
    StudyError
        When the world is of another operation.

    Examples
    --------
    >>> from riskadj.simulate import demo_scenario, simulate_world
    >>> few = demo_scenario().model_copy(update={"episodes_per_period": 50})
    >>> made = json.loads(fhir_bundle(simulate_world(few)))
    >>> made["entry"][0]["resource"]["resourceType"], len(made["entry"]) > 450
    ('Organization', True)
    """
    episodes = _hips_of(world)
    entries = chain(
        _organisations(episodes),
        _patients(episodes),
        _procedures(episodes),
        *(_responses(episodes, of) for of in _ROUNDS),
    )
    return (
        '{"resourceType":"Bundle","type":"collection","entry":[\n' + ",\n".join(entries) + "\n]}\n"
    )


def _organisations(episodes: pd.DataFrame) -> list[str]:
    names = pd.Series(sorted(episodes["provider_id"].unique()))
    system = f"{_BASE}/organisation-code"
    return _entries(
        "Organization", {"identifier": [{"system": system, "value": "%s"}]}, names, names
    )


def _patients(episodes: pd.DataFrame) -> list[str]:
    gender = episodes["sex"].fillna("unknown")
    year = _whole(episodes["index_date"].dt.year - episodes["age_years"])
    born = year.ne("")
    said = {"gender": "%s", "birthDate": "%s-01-01"}
    return [
        *_entries("Patient", said, *(one[born] for one in (episodes["patient_id"], gender, year))),
        *_entries("Patient", {"gender": "%s"}, episodes["patient_id"][~born], gender[~born]),
    ]


def _procedures(episodes: pd.DataFrame) -> list[str]:
    said = {
        "status": "completed",
        "code": {"coding": [{"system": f"{_BASE}/opcs-4", "code": "W37.1"}]},
        "subject": {"reference": "Patient/%s"},
        "performedDateTime": "%s",
        "performer": [{"actor": {"reference": "Organization/%s"}}],
    }
    names = (episodes[name] for name in ("episode_id", "patient_id"))
    return _entries(
        "Procedure", said, *names, _day(episodes["index_date"]), episodes["provider_id"]
    )


def _responses(episodes: pd.DataFrame, of: str) -> list[str]:
    """Return the questionnaires of one round that were returned."""
    returned = episodes[episodes[f"{of}_date"].notna()]
    said = {
        "status": "completed",
        "subject": {"reference": "Patient/%s"},
        "authored": "%s",
        "item": "%s[]",
    }
    return _entries(
        "QuestionnaireResponse",
        said,
        f"{of}-" + returned["episode_id"],
        returned["patient_id"],
        _day(returned[f"{of}_date"]),
        _answered(returned, _questions(of)),
    )


def _questions(of: str) -> dict[str, tuple[str, Answer]]:
    """Return the questions of one round: by linkId the column, and how its values are answers."""
    items = enumerate(_item_columns(of, "ohs", len(_ITEMS)), 1)
    levels = zip(_EQ5D, _item_columns(of, "eq5d", len(_EQ5D)), strict=True)
    own: dict[str, tuple[str, tuple[str, Answer]]] = {
        "q1": ("history/duration", ("symptom_period", _number)),
        "q2": ("outcome/satisfaction", ("satisfaction", _satisfied)),
    }
    return {
        **{f"ohs/{number}": (name, _ordinal) for number, name in items},
        **{f"eq5d/{one}": (name, _level) for one, name in levels},
        "eq5d/vas": (f"{of}_score_eqvas", _number),
        **dict([own[of]]),
    }


def _number(value: int) -> dict[str, Any]:
    return {"valueInteger": value}


def _ordinal(value: int) -> dict[str, Any]:
    weight = {"url": _ORDINAL, "valueDecimal": value}
    return {"valueCoding": {"extension": [weight], "code": f"a{value}"}}


def _level(value: int) -> dict[str, Any]:
    return {"valueCoding": {"system": f"{_BASE}/eq5d-level", "code": f"L{value}"}}


def _satisfied(value: int) -> dict[str, Any]:
    return {"valueCoding": {"code": _SATISFACTION[value - 1]}}


def _answered(rows: pd.DataFrame, questions: Mapping[str, tuple[str, Answer]]) -> pd.Series:
    """Return the items of each response, commas between; each different answer is made once."""
    together = pd.Series("", index=rows.index)
    for link_id, (name, answer) in questions.items():
        texts = {
            value: _json({"linkId": link_id, "answer": [answer(int(value))]}) + ","
            for value in rows[name].dropna().unique()
        }
        together += rows[name].map(texts).fillna("")
    return together.str.removesuffix(",")


def _entries(kind: str, said: Mapping[str, Any], ids: pd.Series, *cells: pd.Series) -> list[str]:
    """Return an entry per row: `%s` is filled with its id, then with its cells in their order."""
    resource = {"resourceType": kind, "id": "%s", **said}
    form = _json({"fullUrl": f"{_BASE}/fhir/{kind}/%s", "resource": resource})
    form = form.replace(_HOLE, "[%s]")
    return [form % row for row in zip(ids, ids, *cells, strict=True)]


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


# Files -------------------------------------------------------------------------------------------


def _csv(world: World) -> str:
    return str(redcap_export(world).to_csv(index=False, lineterminator="\n"))


_MADE: Mapping[str, tuple[str, Callable[[World], str]]] = MappingProxyType(
    {"redcap": (".csv", _csv), "fhir": (".json", fhir_bundle)}
)
"""What a world can be collected as: how the file is called, and what is in it."""

COLLECTIONS = tuple(_MADE)
"""What a world can be collected as."""


def write_collection(world: World, out: str | Path, collected_as: str) -> tuple[Path, Path]:
    """Write a world as a collection, and the truth of the providers beside it.

    Parameters
    ----------
    world : World
        Of primary hip replacements.
    out : str or Path
        Ends in .csv or .csv.gz (redcap), .json or .json.gz (fhir). The truth is
        `<stem>.truth.csv`. Its folder is made when there is none; files of these names are
        replaced.
    collected_as : {"redcap", "fhir"}

    Returns
    -------
    tuple of Path
        The collection and the truth.

    Raises
    ------
    StudyError
        When the name ends otherwise, there is no such collection, or the world is of another
        operation.
    OutputError
        When it cannot be written; then no file is left half done.

    Examples
    --------
    >>> write_collection(world, "runs/redcap_hip.csv", "redcap")  # doctest: +SKIP
    """
    if collected_as not in COLLECTIONS:
        raise StudyError(
            f"--as: wanted one of {', '.join(COLLECTIONS)}; got {collected_as!r}."
            f"{did_you_mean(collected_as, COLLECTIONS)}"
        )
    suffix, text_of = _MADE[collected_as]
    out = Path(out)
    truth = out.with_name(f"{_stem_of(out, suffix)}.truth.csv")
    jobs = {
        out: partial(_write, text_of(world), out.suffix == ".gz"),
        truth: partial(_write, world.truth.to_csv(index=False, lineterminator="\n"), False),
    }
    try:
        _check_targets(jobs)
        _replace_all(jobs)
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(f"{out}: wanted to write a collection; could not: {reason}.") from None
    return out, truth


def _stem_of(out: Path, suffix: str) -> str:
    for ending in (suffix, f"{suffix}.gz"):
        if out.name.endswith(ending) and out.name != ending:
            return out.name.removesuffix(ending)
    raise StudyError(
        f"{out}: wanted a file name that ends in {suffix} or {suffix}.gz; got {out.name!r}. "
        "Name it so."
    )


def _write(text: str, packed: bool, path: Path) -> None:
    content = text.encode()
    path.write_bytes(gzip.compress(content, 6, mtime=0) if packed else content)


# Cells -------------------------------------------------------------------------------------------


def _hips_of(world: World) -> pd.DataFrame:
    """Return the episodes, if they are what the mappings are of."""
    group = world.scenario.procedure_group
    if group != _OPERATION:
        raise StudyError(
            f"procedure_group: wanted {_OPERATION}, which the example mappings are of; got "
            f"{group}. Write such a world as episodes, without --as."
        )
    return world.episodes


def _item_columns(of: str, measure: str, items: int) -> list[str]:
    return [f"{of}_item_{measure}_{one:02d}" for one in range(1, items + 1)]


def _whole(values: pd.Series) -> pd.Series:
    """Return whole numbers as text; empty where missing."""
    return values.astype("Int64").astype("string").fillna("").astype("str")


def _day(values: pd.Series) -> pd.Series:
    return values.dt.strftime("%Y-%m-%d").fillna("")
