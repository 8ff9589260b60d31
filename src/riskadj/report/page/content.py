"""What a page holds: the packed tables of a run, and what its script has to know to show them."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from riskadj.episodes.columns import COLUMNS
from riskadj.profile.flags import cut_of, flag_labels
from riskadj.report.choices import ESTIMATORS, LIMITS, METHODS
from riskadj.report.disclosure import SUPPRESSED
from riskadj.report.folder import read_json
from riskadj.report.page.settled import settlement_content
from riskadj.report.page.tables import (
    AUDITED,
    FEWER,
    Pool,
    packed,
    packed_parts,
    read_audited,
    read_tables,
)
from riskadj.report.places import Places
from riskadj.report.words import (
    HEADINGS,
    called,
    explained_in,
    feature_label,
    in_order,
    is_cost,
    learner_title,
    named,
    table_decimals,
    unit_phrase,
)
from riskadj.study import Outcome, Study
from riskadj.study.load import build
from riskadj.study.profile import ValueRules
from riskadj.value import CLASSES
from riskadj.value.classes import QUARTERS

PAGE = "page.html"
_LAW = ("centre", "sd", "shift", "factor", "tau", "inner", "outer")
_NAME_CASE_MIX = ("feature", "column", "group")
"""Columns of tables that name those of case mix."""
_AS_GIVEN = 1e-6
"""How near to each other two ways to the same number have to come, as a share of it."""


def page_content(
    folder: Path, provenance: Mapping[str, Any], settlement: Path | None = None
) -> dict[str, Any]:
    """Return the data of a page.

    Parameters
    ----------
    folder : Path
        A run folder, whole or as far as its card.
    provenance : mapping
        What says where the run comes from; `files` has the digests of those that are listed.
    settlement : Path, optional
        A folder that `riskadj settle` wrote of this run.

    Raises
    ------
    FileMissingError, FileFormatError, ValuesError
        When the settlement is none, was changed, or is of another run.
    """
    study = build(Study, read_json(folder / "study.json"), str(folder / "study.json"))
    tables = read_tables(folder)
    digest = provenance["stages"][-1]["digest"]
    files = {name: one for name, one in provenance["files"].items() if name != PAGE}
    decimals = {one.name: table_decimals(one) for one in study.outcomes}
    audited = _read_audited(folder, tables["providers"])
    pool = Pool()
    return {
        "run": _run(study, provenance, digest),
        "outcomes": [_outcome(study, one, tables) for one in study.outcomes],
        "learners": {one.kind: learner_title(one.kind) for one in study.learners},
        "methods": {name: _method(one.title) for name, one in METHODS.items()},
        "kindsOfLimits": {name: one.title for name, one in LIMITS.items()},
        "rules": _rules(study),
        "providers": sorted(tables["providers"]["provider_id"].unique(), key=in_order),
        "features": _feature_labels(study, [*tables.values(), *audited.values()]),
        "estimators": dict(ESTIMATORS),
        "headings": dict(HEADINGS),
        "tables": {name: packed_parts(name, one, decimals, pool) for name, one in tables.items()},
        "value": None if study.value is None else _value(study.value),
        "settlement": None if settlement is None else settlement_content(settlement, digest),
        "audited": _audited(audited, pool),
        "columns": pool.columns,
        "files": [{"file": name, "digest": one} for name, one in sorted(files.items())],
    }


def _run(study: Study, provenance: Mapping[str, Any], digest: str) -> dict[str, Any]:
    return {
        "title": study.title,
        "name": study.name,
        "version": study.version,
        "periods": list(study.split.test),
        "created": provenance["created"],
        "digest": digest,
        "code": provenance["code"]["version"],
    }


def _outcome(study: Study, outcome: Outcome, tables: Mapping[str, pd.DataFrame]) -> dict[str, Any]:
    places = Places(study.profile, outcome.compares.sides)
    learners = [one.kind for one in study.learners_of(outcome)]
    return {
        "name": outcome.name,
        "called": called(outcome, study.outcomes),
        "title": named(outcome),
        "noun": outcome.compares.noun,
        "unit": unit_phrase(outcome),
        "better": outcome.better,
        "decimals": table_decimals(outcome),
        "cost": is_cost(outcome),
        "share": outcome.unit == "share",
        "ofScore": outcome.compares.of_score,
        "explainedIn": explained_in(outcome),
        "sides": list(outcome.compares.sides),
        "places": [one._asdict() for one in places.all],
        "limits": [[name, words, cut_of(level)] for name, level, words in places.limits],
        "learners": learners,
        "laws": {one: _law(study, outcome, one, tables["reference"]) for one in learners},
        "adjusts": {one: _adjusts(outcome, one, tables) for one in learners},
    }


def _law(
    study: Study, outcome: Outcome, learner: str, reference: pd.DataFrame
) -> dict[str, float] | None:
    """Return what limits follow from where they hang on the number of episodes alone."""
    known = _reference(reference, outcome, learner)
    if study.profile.method != "nhs_england" or outcome.compares.family != "gaussian":
        return None
    if any(name not in known or pd.isna(known[name]) for name in _LAW):
        return None
    return {name: float(known[name]) for name in _LAW}


def _adjusts(outcome: Outcome, learner: str, tables: Mapping[str, pd.DataFrame]) -> str:
    """Return how an adjusted result came from what was observed: by a sum, a product, or neither.

    So that an interval around the one can be drawn around the other.
    """
    table = tables["providers"]
    rows = table[(table["outcome"] == outcome.name) & (table["learner"] == learner)]
    rows = rows[rows["adjusted"].notna()]
    gain = float(_reference(tables["reference"], outcome, learner).get("gain", float("nan")))
    near = _AS_GIVEN * rows["adjusted"].abs().clip(lower=_AS_GIVEN)
    if bool(((rows["adjusted"] - rows["difference"] - gain).abs() <= near).all()):
        return "sum"
    return (
        "product" if bool(((rows["ratio"] * gain - rows["adjusted"]).abs() <= near).all()) else ""
    )


def _reference(reference: pd.DataFrame, outcome: Outcome, learner: str) -> dict[str, Any]:
    rows = reference[(reference["outcome"] == outcome.name) & (reference["learner"] == learner)]
    return {} if rows.empty else {str(name): one for name, one in rows.iloc[0].items()}


def _rules(study: Study) -> dict[str, Any]:
    rules = study.profile
    labels = flag_labels(rules.labels, rules.levels)
    return {
        "silent": {
            labels.too_few: f"a comparison takes {rules.minimum_n} episodes",
            labels.none: "it has no episode",
            labels.low_response: "too few of its patients answered",
            labels.no_peers: "nobody alike has enough episodes to compare it with",
        },
        "method": rules.method,
        "limits": rules.limits,
        "minimum_n": rules.minimum_n,
        "suppress_below": rules.suppress_below,
        "suppressed": SUPPRESSED,
    }


def _feature_labels(study: Study, tables: Iterable[pd.DataFrame]) -> dict[str, str]:
    """Return what the case mix that tables name is called."""
    columns = COLUMNS | {one.name: one for one in study.data.columns}
    named_there = dict.fromkeys(
        one
        for table in tables
        for column in _NAME_CASE_MIX
        if column in table
        for one in table[column].dropna().astype(str).unique()
    )
    return {one: feature_label(one, columns) for one in named_there if one}


def _value(rules: ValueRules) -> dict[str, Any]:
    return {
        "outcome": rules.outcome,
        "cost": rules.cost,
        "level": rules.level,
        "classes": [one.name for one in CLASSES],
        "quarters": [one.name for one in QUARTERS],
    }


def _method(title: str) -> str:
    return f"{title} method" if title.endswith("'s") else title


def _read_audited(folder: Path, providers: pd.DataFrame) -> dict[str, pd.DataFrame]:
    hidden = providers.loc[providers["suppression"] == SUPPRESSED, "provider_id"]
    return read_audited(folder, hidden)


def _audited(tables: Mapping[str, pd.DataFrame], pool: Pool) -> list[dict[str, Any]]:
    return [
        {
            "title": AUDITED[file][0],
            "note": AUDITED[file][1],
            "table": pool.keep(packed(table, FEWER)),
        }
        for file, table in tables.items()
    ]
