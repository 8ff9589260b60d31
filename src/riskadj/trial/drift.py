"""Who is treated, from period to period: what to watch where results are paid for.

A payment that rewards results may change whom providers take, before it changes what they do. So
the case mix of every provider is followed: the outcome that its patients let expect, their age,
illness and means, and how much comorbidity is written down. A change that all share may be that of
the times; where providers change more differently than chance would make them, somebody chooses.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd
from scipy import stats

from riskadj.cohort.rates import ALL
from riskadj.study.kinds import shown
from riskadj.trial.worlds import Journey

DRIFT_COLUMNS = [
    "world", "group", "measure", "from_period", "to_period", "n_from", "n_to", "before", "after",
    "change", "standard_error", "change_in_sd", "z", "spread_f", "p_value",
]  # fmt: skip
FEWEST = 10
"""Episodes of a provider in each of two periods without which no change is told."""
DEPRIVED, FRAIL = 2, 3
"""The most deprived fifth, and severe systemic disease, by deprivation decile and ASA grade."""


@dataclass(frozen=True)
class _Change:
    """One measure over two periods, by provider and for all."""

    measure: str
    values: "pd.Series[float]"


def drift_of(
    episodes: pd.DataFrame, journeys: Mapping[str, Journey], world: int = 0
) -> pd.DataFrame:
    """Return how the case mix of providers changes from each period to the next.

    Parameters
    ----------
    episodes : DataFrame
        Of a world, those who did not answer too.
    journeys : mapping of str to Journey
        Whose first learner says what case mix lets expect.
    world : int
        Its number.

    Returns
    -------
    DataFrame
        The columns of `DRIFT_COLUMNS`. A row per measure and provider with `FEWEST` episodes or
        more in both periods: means, their change, its standard error with the spread of all, the
        change in standard deviations of patients, and `z`, how far the change is from that of all
        in standard errors. With group `(all)`: everybody together, `z` from no change;
        `spread_f`, mean square of the providers' changes about that of all over the square of
        their errors, and `p_value` of F, that chance alone would make providers change so
        differently.
    """
    periods = sorted(episodes["period"].unique())
    parts: list[pd.DataFrame] = []
    for first, second in pairwise(periods):
        pair = episodes[episodes["period"].isin((first, second))]
        parts += [_followed(pair, one, first, second) for one in _measures(pair, journeys)]
    if not parts:
        return pd.DataFrame(columns=DRIFT_COLUMNS)
    return pd.concat(parts, ignore_index=True).assign(world=world)[DRIFT_COLUMNS]


def found_in(drift: pd.DataFrame, level: float = 0.05) -> pd.DataFrame:
    """Return in how many worlds providers are found to change more differently than by chance.

    Parameters
    ----------
    drift : DataFrame
        As from `drift_of`, of one world or more.
    level : float
        Chance of a finding in a world without any such change, by all measures together
        (Bonferroni).

    Returns
    -------
    DataFrame
        `measure, worlds, found, spread_f, change_in_sd`: in how many of the worlds it is found by
        this measure, and means over worlds of both; the first row, `any`, by any of them.
    """
    together = drift[drift["group"] == ALL]
    tests = max(together.groupby("world").size().max(), 1) if len(together) else 1
    least = together["p_value"] < level / tests
    worlds = together["world"].nunique()
    rows: list[tuple[str, int, int, float, float]] = [
        ("any", worlds, together.loc[least, "world"].nunique(), np.nan, np.nan)
    ]
    for measure, some in together.groupby("measure", sort=False):
        found = some.loc[least[some.index], "world"].nunique()
        means = some[["spread_f", "change_in_sd"]].mean()
        rows.append((str(measure), worlds, found, float(means.iloc[0]), float(means.iloc[1])))
    return pd.DataFrame(rows, columns=["measure", "worlds", "found", "spread_f", "change_in_sd"])


def _measures(episodes: pd.DataFrame, journeys: Mapping[str, Journey]) -> list[_Change]:
    found = []
    for name, one in journeys.items():
        model = next(iter(one.expectations.models.values()), None)
        if model is not None:
            before = one.outcome.measured.before
            nothing = np.full(len(episodes), np.nan)
            score = nothing if before is None else episodes[before].to_numpy(dtype=float)
            expected = shown(one.outcome, model.expect(episodes), score)
            found.append(_Change(f"expected {name}", pd.Series(expected, episodes.index)))
    conditions = [one for one in episodes if one.startswith("comorb_") and one != _BLOCK]
    named: dict[str, tuple[str, Callable[[pd.Series], pd.Series]]] = {
        "age, years": ("age_years", lambda one: one),
        "deprivation decile": ("deprivation_decile", lambda one: one),
        "deprived, share": ("deprivation_decile", lambda one: _share(one, one <= DEPRIVED)),
        "frail (ASA 3 or more), share": ("asa", lambda one: _share(one, one >= FRAIL)),
        "Charlson index": ("charlson_index", lambda one: one),
    }
    for measure, (column, of) in named.items():
        if column in episodes:
            found.append(_Change(measure, of(episodes[column])))
    if conditions:
        found.append(_Change("conditions recorded", episodes[conditions].sum(axis=1)))
    return found


_BLOCK = "comorb_block_answered"


def _share(values: "pd.Series[float]", where: "pd.Series[bool]") -> "pd.Series[float]":
    return where.astype(float).where(values.notna())


def _followed(episodes: pd.DataFrame, one: _Change, first: str, second: str) -> pd.DataFrame:
    """Return the rows of one measure."""
    table = pd.DataFrame(
        {"group": episodes["provider_id"], "later": episodes["period"] == second, "y": one.values}
    ).dropna()
    cells = table.groupby(["group", "later"])["y"].agg(["size", "mean", "var"]).unstack()
    wide = cells.dropna(subset=[("size", False), ("size", True)])
    wide = wide[(wide["size"] >= FEWEST).all(axis=1)]
    freedom = float((wide["size"].to_numpy() - 1).sum())
    spread = _pooled(wide, freedom)
    rows = _rows(wide, spread)
    whole = _rows(_everybody(table), spread)
    whole["z"] = whole["change"] / whole["standard_error"]
    rows["z"] = (rows["change"] - whole["change"].iloc[0]) / rows["standard_error"]
    squares, own = float((rows["z"] ** 2).sum()), len(rows) - 1
    whole["spread_f"] = squares / own if own > 0 else np.nan
    whole["p_value"] = stats.f.sf(whole["spread_f"], own, freedom) if own > 0 else np.nan
    told = pd.concat([whole, rows], ignore_index=True)
    return told.assign(measure=one.measure, from_period=first, to_period=second)


def _everybody(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(group=ALL).groupby(["group", "later"])["y"].agg(
        ["size", "mean", "var"]
    ).unstack()  # fmt: skip


def _pooled(wide: pd.DataFrame, freedom: float) -> float:
    """Return the standard deviation of patients within provider and period."""
    if freedom <= 0:
        return float("nan")
    squares = ((wide["size"] - 1) * wide["var"]).to_numpy().sum()
    return float(np.sqrt(squares / freedom))


def _rows(wide: pd.DataFrame, spread: float) -> pd.DataFrame:
    size, mean = wide["size"], wide["mean"]
    error = spread * np.sqrt(1 / size[False] + 1 / size[True])
    change = mean[True] - mean[False]
    return pd.DataFrame(
        {
            "group": wide.index.astype(str),
            "n_from": size[False].astype(int).to_numpy(),
            "n_to": size[True].astype(int).to_numpy(),
            "before": mean[False].to_numpy(),
            "after": mean[True].to_numpy(),
            "change": change.to_numpy(),
            "standard_error": error.to_numpy(),
            "change_in_sd": (change / spread).to_numpy() if spread > 0 else np.nan,
        }
    )
