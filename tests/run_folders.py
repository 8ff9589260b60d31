"""A finished run folder as tests of tracking want it: small, made up, and whole."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from riskadj.casemix import CaseMixEncoder
from riskadj.digest import digest_of_file
from riskadj.episodes.columns import COLUMNS
from riskadj.expected import (
    ExpectationModel,
    LightGBMExpectation,
    LinearExpectation,
    save_model,
)
from riskadj.expected.model import DIGESTS, typical_episode
from riskadj.report.folder import MARK, files_in
from riskadj.report.provenance import sealed as with_seal

NAMES = ("age_years", "sex", "comorb_heart", "living_arrangements", "q1_score_ohs")
MEMBERS = 3
STUDY = {
    "name": "example_hip",
    "version": "2",
    "title": "Primary hip replacement, an example",
    "data": {"format": "csv", "paths": ["/secret/place/episodes.csv"], "columns": []},
    "cohort": {"exclude": [{"column": "sex", "values": ["x", 1.0]}]},
    "learners": [{"kind": "linear", "ridge": 1.0}, {"kind": "lightgbm", "trees": 20}],
    "split": {"train": ["2016/17", "2017/18"], "seed": 7},
    "card": {"intended_use": "long " * 2000},
    "tracking": {"uri": "sqlite:////secret/place/mlflow.db", "experiment": "hips"},
}
METRICS = {
    "ohs": {"linear": {"r2": 0.25, "n": 400, "drift": None}, "lightgbm": {"r2": 0.3, "mae": 6.5}}
}
PROVENANCE = {
    "study": {"name": "example_hip", "version": "2", "digest": "5" * 64},
    "data": [{"name": "episodes.csv", "digest": "d" * 64, "rows": 1234}],
    "code": {"version": "0.1.0", "digest": "c" * 64},
    "environment": {"python": "3.11"},
    "seed": 7,
    "stages": [
        {"stage": "read", "digest": "1" * 64, "seconds": 0.1},
        {"stage": "select", "digest": "2" * 64, "seconds": 0.2},
    ],
    "created": "2026-01-01T00:00:00+00:00",
}
TABLES = (
    "flow", "providers", "reference", "calibration", "subgroups", "shap_features",
    "shap_providers", "analyses", "reliability", "agreement", "rates", "follow_up", "balance",
    "ceiling", "slopes", "differences", "validation", "value", "groups", "drift", "shap_folds",
    "shap_roles", "shap_interactions", "social", "graded", "social_slopes", "fair", "gaming",
)  # fmt: skip


def made_up_casemix(n: int = 400) -> pd.DataFrame:
    rng = np.random.default_rng(20)
    frame = pd.DataFrame(
        {
            "age_years": rng.normal(70, 8, n),
            "sex": rng.choice(["female", "male"], n),
            "comorb_heart": rng.integers(0, 2, n).astype(float),
            "living_arrangements": rng.choice(["alone", "with_family"], n),
            "q1_score_ohs": rng.integers(0, 49, n).astype(float),
        }
    )
    frame.loc[::7, "age_years"] = np.nan
    frame.loc[::5, "living_arrangements"] = None
    return frame


def fitted(learner: str, more: float = 0.0) -> ExpectationModel:
    casemix = made_up_casemix()
    encoder = CaseMixEncoder().fit(casemix)
    X, y = encoder.transform(casemix), casemix["q1_score_ohs"] / 2 + 20 + more
    columns = tuple(COLUMNS[name] for name in NAMES)
    members = tuple(
        LinearExpectation().fit(X, y + k)
        if learner == "linear"
        else LightGBMExpectation(trees=20, min_episodes_per_leaf=20, seed=k).fit(X, y + k)
        for k in range(MEMBERS)
    )
    typical = typical_episode(casemix, columns)
    return ExpectationModel(
        "ohs", learner, columns, encoder, members, typical, intercept=0.5, slope=0.9
    )


def made_up_run(folder: Path, name: str = "example_hip", more: float = 0.0) -> Path:
    """Write a run folder; runs of another name and with `more` have nothing in common."""
    for learner in ("linear", "lightgbm"):
        save_model(fitted(learner, more), folder / "models" / f"ohs-{learner}")
    (folder / "figures").mkdir()
    for path, content in _contents(name, more).items():
        text = content if isinstance(content, str) else json.dumps(content)
        (folder / path).write_text(text)
    return sealed(folder)


def _contents(name: str, more: float) -> dict[str, object]:
    study = STUDY | {"name": name, "title": f"{STUDY['title']}: {name}"}
    provenance = PROVENANCE | {"study": PROVENANCE["study"] | {"name": name}}
    row_level = ("expectations.parquet", "shap.parquet", "figures/episodes.csv", "notes.txt")
    return {
        "study.json": study,
        "metrics.json": _moved(METRICS, more),
        MARK: provenance,
        "card.json": {"name": name},
        "card.md": f"# A card of {name}",
        "card.html": f"<h1>A card of {name}</h1>",
        "page.html": f"<h1>A page of {name}</h1>",
        "figures/funnel.svg": f"<svg><desc>{name}</desc></svg>",
        **{f"{one}.csv": f"a,b\n{name},{more}\n" for one in TABLES},
        **dict.fromkeys(row_level, "a patient's data"),
    }


def _moved(value: Any, more: float) -> Any:
    """Return metrics, every number of them with `more`."""
    if isinstance(value, dict):
        return {key: _moved(one, more) for key, one in value.items()}
    return value if value is None else value + more


def sealed(folder: Path) -> Path:
    """Write down the digests of what is in a run folder and in its models, and seal them."""
    for model in (folder / "models").iterdir():
        digests = {one.name: digest_of_file(one) for one in model.iterdir() if one.name != DIGESTS}
        (model / DIGESTS).write_text(json.dumps(digests))
    files = {name: digest_of_file(path) for name, path in files_in(folder).items() if name != MARK}
    provenance = json.loads((folder / MARK).read_text())
    (folder / MARK).write_text(json.dumps(with_seal(provenance | {"files": files})))
    return folder
