"""Episodes of the small world with a cost each, and studies of that cost."""

from typing import Any

import numpy as np
import pandas as pd
from worlds import STUDY, episode_frame, make_study

COST: dict[str, Any] = {
    "name": "cost",
    "kind": "cost",
    "column": "cost_total_90d",
    "currency": "SEK",
    "price_year": 2023,
}
GAIN: dict[str, Any] = STUDY["outcomes"][0]
SPREAD = 0.25
"""Variance of a cost over the square of its mean."""


def cost_frame(
    n: int = 1200, providers: int = 10, seed: int = 0, zero: float = 0.0, apart: float = 0.05
) -> pd.DataFrame:
    """Return episodes whose cost hangs on age, heart disease and provider; a share may cost 0."""
    frame = episode_frame(n, providers, seed)
    rng = np.random.default_rng(seed + 1)
    number = frame["provider_id"].str[1:].astype(float)
    logs = 9 + 0.015 * (frame["age_years"] - 65) + 0.3 * frame["comorb_heart"]
    mean = np.exp(logs + apart * (number - number.mean()))
    cost = mean * rng.gamma(1 / SPREAD, SPREAD, n)
    return frame.assign(cost_total_90d=cost.where(rng.random(n) >= zero, 0.0).round(2))


def cost_study(outcome: dict[str, Any] | None = None, **changes: Any) -> Any:
    """Return a study of the cost alone; `outcome` changes how it is defined."""
    settings = {"learners": [{"kind": "gamma"}]} | changes
    return make_study(outcomes=[COST | (outcome or {})], **settings)
