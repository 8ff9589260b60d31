"""Small canonical episodes and studies, made in a moment from a seed, for any test to bend."""

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from riskadj.casemix import CaseMix, choose_casemix
from riskadj.cohort import Cohort, select_cohort
from riskadj.digest import digest_of_frame
from riskadj.episodes import COLUMNS, Column, Episodes
from riskadj.expected import Expectations, cross_fit
from riskadj.study import Study

STUDY: dict[str, Any] = {
    "name": "small",
    "version": "1",
    "title": "A small world",
    "data": {"format": "csv", "paths": ["episodes.csv"]},
    "cohort": {"procedure_group": "HIP_PRIM", "follow_up_days": None, "exclude": []},
    "outcomes": [{"name": "ohs", "instrument": "OHS", "kind": "gain"}],
    "casemix": {
        "columns": ["age_years", "sex", "living_arrangements", "comorb_*", "q1_score_ohs"],
        "allow_provider_influenced": False,
    },
    "learners": [
        {"kind": "linear"},
        {"kind": "lightgbm", "trees": 20, "min_episodes_per_leaf": 10, "column_share": 0.7},
    ],
    "split": {"train": ["2021"], "test": ["2022"], "folds": 3, "seed": 1},
    "recalibration": {"method": "shift"},
    "profile": {"method": "nhs_england", "minimum_n": 30, "suppress_below": 6},
    "tracking": {"uri": "off"},
}
LINEAR = [{"kind": "linear"}]
OUT_OF_FOLD = {"split__train": ["2021", "2022"], "split__test": ["2021", "2022"]}


def study_content(**changes: Any) -> dict[str, Any]:
    """Return the content of a study with changes; `part__key` reaches into a part of it."""
    content = copy.deepcopy(STUDY)
    for name, value in changes.items():
        part, _, key = name.rpartition("__")
        (content[part] if part else content)[key] = value
    return content


def make_study(**changes: Any) -> Study:
    """Return the study itself; changes as in `study_content`."""
    return Study.model_validate(study_content(**changes))


def write_study(folder: Path, content: dict[str, Any] | None = None) -> Path:
    """Write a study (as JSON, which is YAML) and return its path."""
    path = folder / "study.yaml"
    path.write_text(json.dumps(content or study_content(), indent=1), encoding="utf-8")
    return path


def episode_frame(n: int = 600, providers: int = 6, seed: int = 0) -> pd.DataFrame:
    """Return hip replacements of 2021 and 2022 whose gain depends on case mix and provider."""
    rng = np.random.default_rng(seed)
    provider = rng.integers(providers, size=n)
    before = rng.integers(5, 40, n)
    heart = rng.integers(0, 2, n)
    sex = rng.choice(["female", "male"], n)
    after = 30 + 0.4 * before - 3 * heart + 2 * (sex == "male") + 0.5 * provider
    frame = pd.DataFrame(
        {
            "episode_id": [f"E{one:05d}" for one in range(n)],
            "patient_id": [f"P{one // 2:05d}" for one in range(n)],
            "provider_id": [f"H{one:02d}" for one in provider],
            "period": rng.choice(["2021", "2022"], n),
            "procedure_group": "HIP_PRIM",
            "age_years": rng.integers(40, 90, n),
            "sex": sex,
            "comorb_heart": heart,
            "comorb_depression": rng.integers(0, 2, n),
            "living_arrangements": rng.choice(["alone", "care_home", "with_family"], n),
            "q2_days": rng.integers(150, 360, n),
            "q1_score_ohs": before,
            "q2_score_ohs": np.clip((after + rng.normal(0, 6, n)).round(), 0, 48),
            "reference_predicted_ohs": after + 1.0,
        }
    )
    return typed(frame)


def typed(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a frame typed as the reader leaves it: text and float64."""
    kinds = {name: COLUMNS[name].kind if name in COLUMNS else "number" for name in frame.columns}
    return frame.astype({name: "str" if kinds[name] == "text" else "float64" for name in frame})


def as_episodes(frame: pd.DataFrame, *extra: Column) -> Episodes:
    """Return a frame as `read_episodes` would."""
    known = COLUMNS | {one.name: one for one in extra}
    columns = {name: known[name] for name in frame.columns}
    return Episodes(frame, columns, (), digest_of_frame(frame))


def cohort_of(frame: pd.DataFrame, study: Study | None = None, *extra: Column) -> Cohort:
    """Return the cohort of a study's first outcome."""
    study = study or make_study()
    return select_cohort(as_episodes(frame, *extra), study, study.outcomes[0])


def casemix_of(frame: pd.DataFrame, study: Study | None = None, *extra: Column) -> CaseMix:
    """Return the case mix of a study's first outcome."""
    study = study or make_study()
    return choose_casemix(cohort_of(frame, study, *extra), study)


def expectations_of(frame: pd.DataFrame, study: Study | None = None) -> Expectations:
    """Return the expectations of a study's first outcome."""
    study = study or make_study()
    return cross_fit(casemix_of(frame, study), study)


def text_table(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a frame as a CSV reader would: every cell text, missing empty."""
    return frame.map(lambda value: "" if pd.isna(value) else f"{value}").astype("str")
