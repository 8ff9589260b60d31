"""Small episodes whose cost is known by component and window, and a study of them."""

from typing import Any

import numpy as np
import pandas as pd
from worlds import episode_frame, study_content

from riskadj.episodes.columns import COST_PARTS
from riskadj.expected.windows import cost_columns
from riskadj.study import Study

COST = {"name": "cost", "kind": "cost", "column": "cost_total_90d", "currency": "SEK",
        "price_year": 2023}  # fmt: skip
WINDOWS = (30, 90)


def content_of(**changes: Any) -> dict[str, Any]:
    """Return the content of a study of cost; changes as in `study_content`, `cost` of the cost."""
    cost = COST | changes.pop("cost", {})
    given = {
        "outcomes": [cost],
        "learners": [{"kind": "gamma"}],
        "casemix__columns": ["age_years", "sex", "comorb_*"],
    }
    return study_content(**given | changes)


def study_of(**changes: Any) -> Study:
    """Return the study itself."""
    return Study.model_validate(content_of(**changes))


def costly(
    n: int = 2400,
    providers: int = 12,
    seed: int = 1,
    effect: float = 0.15,
    windows: tuple[int, ...] = WINDOWS,
) -> pd.DataFrame:
    """Return episodes whose every component is dearer at some providers, and by age."""
    frame = episode_frame(n=n, providers=providers, seed=seed)
    rng = np.random.default_rng([seed, 7])
    places = pd.factorize(frame["provider_id"], sort=True)[0]
    levels = effect * np.linspace(-1.5, 1.5, providers)
    factor = np.exp(levels[places] + 0.01 * (frame["age_years"].to_numpy() - 65))
    any_of = {"readmit": 0.10, "postacute": 0.2, "outpatient": 0.9, "professional": 1.0}
    base = {"readmit": 9000, "postacute": 4000, "outpatient": 300, "professional": 900}
    frame["cost_index"] = (10_000 * factor * rng.gamma(20, 1 / 20, n)).round(2)
    drawn = {one: rng.random(n) for one in COST_PARTS}
    noise = {one: rng.gamma(3, 1 / 3, n) for one in COST_PARTS}
    for days in windows:
        for part in COST_PARTS:
            grown = (days / 90) ** 0.5
            has = drawn[part] < any_of[part] * (grown if part == "readmit" else 1)
            cost = has * base[part] * grown * factor * noise[part]
            frame[f"cost_{part}_{days}d"] = cost.round(2)
        frame[f"cost_total_{days}d"] = frame[cost_columns(days)].sum(axis=1).round(2)
    return frame
