"""Runs that are ended and taken up: studies with all on, and what is left of their runs."""

import json
from pathlib import Path
from typing import Any

from cost_worlds import COST, GAIN
from small_numbers import RESPONDER, hostile_frame
from worlds import OUT_OF_FOLD, study_content

from riskadj.digest import digest_of_file
from riskadj.pipeline import TakenUp
from riskadj.report.folder import files_in

TREES = {"kind": "lightgbm", "trees": 5, "min_episodes_per_leaf": 20}
ALL_ON: dict[str, Any] = {
    "outcomes": [GAIN, COST | {"winsorise": {"upper": 0.99}}],
    "learners": [{"kind": "linear"}, TREES],
    "value": {"outcome": "ohs", "cost": "cost", "replicates": 100},
    "report": {"subgroups": ["sex"]},
    "follow_up": {"imputations": 2},
    "fairness": {"groups": ["sex", "ethnicity"], "gaming": True, "replicates": 100,
                 "social": {"columns": ["living_arrangements"]},
                 "fair": {"groups": ["living_arrangements"], "learner": "linear"}},
    "explain": {"interactions": True},
    "profile": {"method": "nhs_england", "minimum_n": 30, "suppress_below": 6, "replicates": 100},
}  # fmt: skip
KINDS: dict[str, dict[str, Any]] = {
    "all on": ALL_ON,
    "folds with slopes within providers": {
        **OUT_OF_FOLD,
        "outcomes": [GAIN | {"kind": "final_score"}, RESPONDER],
        "learners": [{"kind": "linear", "slopes": "within"}, TREES],
        "split__group": "patient",
        "recalibration": {"method": "line"},
        "validation": {"learners": ["linear"], "folds": 2},
    },
    "costs": {
        "outcomes": [COST],
        "learners": [{"kind": "gamma"}, {"kind": "tweedie"}, {"kind": "two_part"},
                     {"kind": "log_smearing", "by_tenth": True}],
        "casemix__columns": ["age_years", "sex", "living_arrangements", "comorb_*"],
    },
    "stacked, ceiling and supplied": {
        "outcomes": [GAIN],
        "learners": [
            {"kind": "stacked", "trees_by_parts": 3, "leaves_by_parts": 3, "nets": 1},
            {"kind": "ceiling", "trees_at_best": 5, "trees_below": 5},
            {"kind": "linear", "tune": 2},
            {"kind": "reference"},
        ],
        **OUT_OF_FOLD,
    },
}  # fmt: skip


def home_with(kind: str, folder: Path, **changes: Any) -> Path:
    """Write episodes and a study of them, and return the study's path."""
    hostile_frame().to_parquet(folder / "episodes.parquet")
    data = {"format": "parquet", "paths": [str(folder / "episodes.parquet")]}
    content = study_content(**({"data": data} | KINDS[kind] | changes))
    (folder / "study.yaml").write_text(json.dumps(content, indent=1), encoding="utf-8")
    return folder / "study.yaml"


def bytes_of(folder: Path) -> dict[str, str]:
    """Return the digest of every file of a run."""
    return {name: digest_of_file(path) for name, path in files_in(folder).items()}


class Told:
    """Which stages were told of, and how they came to be."""

    def __init__(self) -> None:
        self.worked_out: list[str] = []
        self.taken_up: list[str] = []

    def __call__(self, name: str, outcome: str, seconds: float | None) -> None:
        if seconds is not None:
            kind = self.taken_up if isinstance(seconds, TakenUp) else self.worked_out
            kind.append(f"{outcome}: {name}" if outcome else name)
