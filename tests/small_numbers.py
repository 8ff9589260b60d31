"""A small world that is hard to keep secret: tiny providers, rare levels, few who leave or lack."""

import io
import logging
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
from worlds import episode_frame, make_study

from riskadj import run_study
from riskadj.pipeline import Run
from riskadj.study import Study

COST = {"name": "cost", "kind": "cost", "column": "cost_total_90d", "currency": "SEK",
        "price_year": 2023, "winsorise": {"upper": 0.995}}  # fmt: skip
RESPONDER = {"name": "better", "instrument": "OHS", "kind": "responder",
             "threshold": {"kind": "change", "value": 8, "source": "an example"}}  # fmt: skip
FEW = {"H03": 4, "H05": 9, "H06": 3}
"""Episodes of small providers in each period."""


def hostile_frame(seed: int = 0) -> pd.DataFrame:
    """Return episodes of eight providers, three of them tiny; few are very old, or of group c."""
    rng = np.random.default_rng(seed)
    frame = episode_frame(640, providers=8, seed=seed)
    n = len(frame)
    silent = rng.random(n) < 0.15
    frame = frame.assign(
        cost_total_90d=(9000 * rng.gamma(4, 0.25, n)).round(2),
        ethnicity=rng.choice(["a", "b", "c"], n, p=[0.85, 0.14, 0.01]),
        q2_returned=(~silent).astype(float),
        q2_sent=1.0,
    )
    frame.loc[silent, ["q2_score_ohs", "q2_days"]] = np.nan
    frame.loc[rng.random(n) < 0.004, "q1_score_ohs"] = np.nan
    frame.loc[frame.index[:3], "sex"] = np.nan
    rank = frame.groupby(["provider_id", "period"]).cumcount()
    return frame[rank < frame["provider_id"].map(FEW).fillna(1000)].reset_index(drop=True)


def hostile_study(path: Path, **changes: Any) -> Study:
    """Return a study of them with all on that counts patients; changes as in `make_study`."""
    content = {
        "data": {"format": "csv", "paths": [str(path)]},
        "outcomes": [{"name": "ohs", "instrument": "OHS", "kind": "gain"}, RESPONDER, COST],
        "learners": [{"kind": "linear"}],
        "value": {"outcome": "ohs", "cost": "cost", "replicates": 100},
        "report": {"subgroups": ["sex", "ethnicity"]},
        "follow_up": {"imputations": 2},
        "fairness": {"groups": ["sex", "ethnicity"], "gaming": True,
                     "social": {"columns": ["living_arrangements"]}},
        "cohort": {"procedure_group": "HIP_PRIM", "follow_up_days": None, "exclude": [
            {"column": "age_years", "above": 88, "reason": "very old"}]},
    }  # fmt: skip
    return make_study(**(content | changes))


SECRET = "0f1e2d3c4b5a69788796a5b4c3d2e1f00112233445566778899aabbccddeeff0"


class Hostile(NamedTuple):
    """A run of the hostile world, and everything around it.

    Attributes
    ----------
    run : Run
    home : Path
        Holds the data, the key, the run folder and the store that it was logged to.
    frame : DataFrame
        The episodes, with what identifies them.
    study : Study
    said : str
        Whatever went to the terminal and to logs.
    """

    run: Run
    home: Path
    frame: pd.DataFrame
    study: Study
    said: str


_MADE: list[Hostile] = []


@pytest.fixture(scope="session")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Hostile:
    """Return one run of them, with pseudonyms and logged, for every attack on what it writes."""
    if not _MADE:
        _MADE.append(_run_in(tmp_path_factory.mktemp("hostile")))
    return _MADE[0]


def _run_in(home: Path) -> Hostile:
    frame = hostile_frame()
    frame.to_csv(home / "episodes.csv", index=False)
    (home / "secret.key").write_text(f"{SECRET}\n")
    study = hostile_study(
        home / "episodes.csv",
        data={
            "format": "csv",
            "paths": [str(home / "episodes.csv")],
            "pseudonymise": {"key_file": str(home / "secret.key")},
        },
        tracking={"uri": f"sqlite:///{home / 'store' / 'mlflow.db'}"},
    )
    (home / "store").mkdir()
    said = io.StringIO()
    handler = logging.StreamHandler(said)
    logging.getLogger().addHandler(handler)
    with redirect_stdout(said), redirect_stderr(said):
        run = run_study(study, home / "run")
    logging.getLogger().removeHandler(handler)
    return Hostile(run, home, frame, study, said.getvalue())
