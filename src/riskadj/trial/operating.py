"""How well paid money follows the truth: over worlds, by volume, and against each other."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd

from riskadj.stats.clusters import ClusterSums
from riskadj.trial.differences import Measured, differences_from_best, sums_of
from riskadj.trial.fair import Fair, fair_in_words, find_fair
from riskadj.trial.intervals import SCALES, Bounds, of_count, on_scale
from riskadj.trial.measures import COUNTED, FIGURES, measure
from riskadj.trial.variants import Variant

EDGES = (0, 30, 60, 120, 240, 480, 960, 1920)
"""Where bands of volume begin; the last is open."""
FEWEST = 10
"""Provider-years without which a band of volume has no figures, and those paid on their own results
without which nothing is said of what follows the truth in it."""
TOO_FEW = f"fewer than {FEWEST} provider-years"


@dataclass(frozen=True)
class Operating:
    """What a trial found.

    Attributes
    ----------
    table : DataFrame
        A row per contract and learner, that with the least misallocated first: `contract, learner,
        currency, worlds, provider_years, settled` (on their results), `too_few` (the others),
        `episodes`; each of `FIGURES` with `_lower95` and `_upper95`, empty with one world;
        `fair_volume`, the volume from which on the wanted share of the money follows the truth,
        empty where there is none among these volumes, with `_lower95` and `_upper95`, the latter
        empty where no volume here is surely enough; `fair_from` the same in words;
        `fair_constant`, `fair_slope` and `fair_curve`: log of the share that does not follow =
        constant + slope x log volume + curve x its square.
    by_volume : DataFrame
        The same by band of volume, `from` and `to` in episodes, without intervals. Bands of fewer
        than `FEWEST` provider-years have counts only; `told` says so.
    differences : DataFrame
        As from `differences_from_best`.
    providers : DataFrame
        The columns of `riskadj.trial.settling.PAID_COLUMNS`: a row per world and provider.

    Notes
    -----
    Intervals are over worlds, at 95 %, by Student's t with a degree of freedom less than worlds, on
    a scale that keeps them where figures can be: the logit for shares of money, the log for
    amounts, the log of 1 less the figure for what follows the truth (at most 1, and below 0 where
    errors are larger than what payments differ by), and Korn and Graubard's for shares of
    provider-years.
    """

    table: pd.DataFrame
    by_volume: pd.DataFrame
    differences: pd.DataFrame
    providers: pd.DataFrame


def operating(
    providers: pd.DataFrame, variants: tuple[Variant, ...], tolerance: float, target_share: float
) -> Operating:
    """Return the operating characteristics of contracts.

    Parameters
    ----------
    providers : DataFrame
        The columns of `riskadj.trial.settling.PAID_COLUMNS`, of all worlds and variants.
    variants : tuple of Variant
    tolerance : float
        Share of a provider's target within which an amount is neither bonus nor penalty.
    target_share : float
        Of the money, that is to follow the truth at a fair volume; between 0 and 1.
    """
    found = [
        Measured(one, measure(rows_of(providers, one), one.contract, tolerance))
        for one in variants
    ]  # fmt: skip
    table = pd.DataFrame([_row(one, target_share) for one in found])
    table = table.sort_values("misallocated_share", kind="stable")
    ordered = [found[place] for place in table.index]
    worlds = sorted(providers["world"].unique())
    return Operating(
        table.reset_index(drop=True),
        pd.concat([_bands(one) for one in found], ignore_index=True),
        differences_from_best(ordered, worlds),
        providers,
    )


def rows_of(table: pd.DataFrame, one: Variant) -> pd.DataFrame:
    """Return the rows of a variant in a table by contract and learner."""
    return table[(table["contract"] == one.name) & (table["learner"] == one.learner)]


# --- rows -----------------------------------------------------------------------------------------


def _row(one: Measured, target_share: float) -> dict[str, object]:
    sums = sums_of(one.rows)
    return {
        "contract": one.variant.name,
        "learner": one.variant.learner,
        "currency": one.variant.contract.currency.code,
        "worlds": sums.values.shape[1],
        **_counts(one.rows),
        **{key: value for name in FIGURES for key, value in _estimated(name, sums).items()},
        **_fair(find_fair(one.rows, target_share)),
    }


def _counts(rows: pd.DataFrame) -> dict[str, int]:
    settled = int(rows["settled"].sum())
    return {
        "provider_years": len(rows),
        "settled": settled,
        "too_few": len(rows) - settled,
        "episodes": int(rows["volume"].sum()),
    }


def _fair(fair: Fair) -> dict[str, object]:
    return {
        "fair_volume": fair.volume,
        "fair_volume_lower95": fair.lower,
        "fair_volume_upper95": fair.upper,
        "fair_from": fair_in_words(fair),
        "fair_constant": fair.line[0],
        "fair_slope": fair.line[1],
        "fair_curve": fair.line[2],
    }


def _estimated(name: str, sums: ClusterSums) -> dict[str, float]:
    """Return a figure and its interval."""
    bounds = _bounds(name, sums)
    return {
        name: _figures(sums)[name],
        f"{name}_lower95": bounds.lower,
        f"{name}_upper95": bounds.upper,
    }


def _bounds(name: str, sums: ClusterSums) -> Bounds:
    if name in COUNTED:
        return of_count(sums, name, COUNTED[name])
    return on_scale(sums, FIGURES[name], SCALES[name])


def _figures(sums: ClusterSums) -> dict[str, float]:
    of = sums.named(sums.values.sum(axis=1, keepdims=True))
    return {name: float(figure(of)[0]) for name, figure in FIGURES.items()}


def _bands(one: Measured) -> pd.DataFrame:
    rows = []
    for first, after in pairwise((*EDGES, np.inf)):
        inside = one.rows[one.rows["volume"].between(first, after, inclusive="left")]
        if not inside.empty:
            rows.append({"from": first, "to": after} | _band(inside))
    keys = {"contract": one.variant.name, "learner": one.variant.learner}
    return pd.DataFrame([keys | row for row in rows])


def _band(inside: pd.DataFrame) -> dict[str, object]:
    """Return what is told of a band: counts, and figures where there are providers enough."""
    counts = _counts(inside) | {"mean_volume": inside["volume"].mean()}
    if len(inside) < FEWEST:
        return {**counts, **dict.fromkeys(FIGURES, np.nan), "told": TOO_FEW}
    figures = _figures(sums_of(inside))
    if counts["settled"] < FEWEST:
        figures["follows_truth"] = np.nan
    return {**counts, **figures, "told": ""}
