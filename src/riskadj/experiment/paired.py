"""Two analyses of the same episodes and providers, held against each other."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from riskadj.errors import ArrayError
from riskadj.experiment.drawn import drawn_sums
from riskadj.profile import flag_labels
from riskadj.stats.cluster_accuracy import accuracy_difference
from riskadj.stats.rank_agreement import rank_agreement

OTHER_TARGET = "what is modelled is not the same, so that its fit cannot be compared"
_FIT = {"r2_difference": "r2", "mae_difference": "mae", "slope_difference": "slope"}
_SHARE = 1e-9


@dataclass(frozen=True)
class Side:
    """One of two analyses.

    Attributes
    ----------
    episodes : DataFrame
        `episode_id, provider_id, observed_score, expected_score`, on the scale that is modelled.
    providers : DataFrame
        `provider_id, adjusted, flag` of those that are shown and compared.
    better : int
        +1 where more is better, -1 where less is.
    places : mapping of str to int
        How far out a flag is: 2 to -2.
    """

    episodes: pd.DataFrame
    providers: pd.DataFrame
    better: int
    places: Mapping[str, int]


def side_of(
    episodes: pd.DataFrame, providers: pd.DataFrame, better: int, labels: str, levels: Any
) -> Side:
    """Return a side from the rows of one outcome and learner.

    Parameters
    ----------
    episodes : DataFrame
        As in `expectations.parquet`.
    providers : DataFrame
        As in `providers.csv`, after disclosure control.
    better : int
        +1 or -1.
    labels : str
        Whose words flags are in.
    levels : tuple of two float
        Of the limits.
    """
    words = flag_labels(labels, tuple(levels))
    places = {words.of[place]: place for place in (2, -2, 1, -1, 0)}
    shown = providers[providers["adjusted"].notna() & providers["flag"].isin(places)]
    return Side(
        episodes[["episode_id", "provider_id", "observed_score", "expected_score"]],
        shown[["provider_id", "adjusted", "flag"]].reset_index(drop=True),
        better,
        places,
    )


def pair(baseline: Side, other: Side, seed: int, replicates: int = 1000) -> dict[str, Any]:
    """Return how the other side differs from the baseline, with 95 % intervals.

    Providers are drawn with replacement, the same in both: for fit, with all of their episodes;
    for ranks, with their adjusted figures as they are; for flags, with their flags as they are,
    so that models and limits are not learned anew.

    Parameters
    ----------
    baseline, other : Side
    seed : int
    replicates : int
        Of the bootstrap.

    Returns
    -------
    dict
        `episodes`; `r2_difference`, `mae_difference`, `slope_difference` (other - baseline) with
        `_lower95` and `_upper95`; `spearman`, `kendall` of what is adjusted, better first, with
        the same; `flags_compared`, and of these `flags_changed` and `sides_changed`, with the same
        (null where none or all changed, or under 3 providers); `largest_move`, of a provider's
        adjusted figure about the mean of all; `moves`, providers by flag before and after;
        `changed`, which; `notes`, why a figure is missing (null then).
    """
    notes: list[str] = []
    found = _fit(baseline, other, seed, replicates, notes)
    return {**found, **_order(baseline, other, seed, replicates, notes), "notes": notes}


def _fit(
    baseline: Side, other: Side, seed: int, replicates: int, notes: list[str]
) -> dict[str, Any]:
    both = baseline.episodes.merge(
        other.episodes, on=["episode_id", "provider_id"], suffixes=("", "_other"),
        validate="one_to_one",
    )  # fmt: skip
    found: dict[str, Any] = {"episodes": len(both)}
    apart = (both["observed_score"] - both["observed_score_other"]).abs()
    if both.empty or apart.max() > _SHARE * both["observed_score"].abs().max():
        notes.append(OTHER_TARGET if len(both) else "no episode is in both")
        return found | _nothing(_FIT)
    observed, mine, theirs = (
        both[one].to_numpy(dtype=float)
        for one in ("observed_score", "expected_score_other", "expected_score")
    )
    provider = both["provider_id"].to_numpy()
    for name, figure in _FIT.items():
        try:
            one = accuracy_difference(
                observed, mine, theirs, provider, figure, "percentile", seed=seed,
                replicates=replicates,
            )  # fmt: skip
        except ArrayError as error:
            notes.append(f"{name}: {error}")
            found |= _nothing([name])
            continue
        found |= {name: one.value, f"{name}_lower95": one.lower, f"{name}_upper95": one.upper}
    return found


def _nothing(names: Any) -> dict[str, None]:
    return {f"{one}{end}": None for one in names for end in ("", "_lower95", "_upper95")}


def _order(
    baseline: Side, other: Side, seed: int, replicates: int, notes: list[str]
) -> dict[str, Any]:
    both = baseline.providers.merge(
        other.providers, on="provider_id", suffixes=("", "_other"), validate="one_to_one"
    ).sort_values("provider_id", ignore_index=True)
    found = _ranks(both, baseline.better, other.better, seed, replicates, notes)
    flags = _flags(both, baseline, other, seed, replicates)
    return {**found, **flags, **_largest(both, baseline, other)}


def _ranks(
    both: pd.DataFrame, better: int, other_better: int, seed: int, replicates: int,
    notes: list[str],
) -> dict[str, Any]:  # fmt: skip
    figures = [better * both["adjusted"], other_better * both["adjusted_other"]]
    try:
        one = rank_agreement(*(x.to_numpy(float) for x in figures), seed=seed,
                             replicates=replicates)  # fmt: skip
    except ArrayError as error:
        notes.append(f"ranks: {error}")
        return _nothing(["spearman", "kendall"])
    return {
        "spearman": one.spearman,
        "spearman_lower95": one.spearman_lower,
        "spearman_upper95": one.spearman_upper,
        "kendall": one.kendall,
        "kendall_lower95": one.kendall_lower,
        "kendall_upper95": one.kendall_upper,
    }


def _flags(
    both: pd.DataFrame, baseline: Side, other: Side, seed: int, replicates: int
) -> dict[str, Any]:
    """Return which flags are others, by how far out they are; words may differ."""
    a = both["flag"].map(baseline.places)
    b = both["flag_other"].map(other.places)
    turned = np.sign(a) != np.sign(b)
    changed = both[a != b]
    moves = changed.groupby(["flag", "flag_other"], sort=True).size()
    return {
        "flags_compared": len(both),
        "flags_changed": len(changed),
        "sides_changed": int(turned.sum()),
        **ends_of_changes(np.column_stack([a != b, turned]), seed, replicates),
        "moves": [
            {"from": first, "to": second, "providers": int(count)}
            for (first, second), count in moves.items()
        ],
        "changed": [
            {"provider_id": row.provider_id, "from": row.flag, "to": row.flag_other}
            for row in changed.itertuples()
        ],
    }


def ends_of_changes(changes: ArrayLike, seed: int, replicates: int) -> dict[str, int | None]:
    """Return intervals of how many flags and sides change, from whose do."""
    names = ("flags_changed", "sides_changed")
    found = drawn_sums(changes, seed, replicates)
    return {
        f"{name}_{end}95": value
        for name, ends in zip(names, found, strict=True)
        for end, value in zip(("lower", "upper"), ends or (None, None), strict=True)
    }


def _largest(both: pd.DataFrame, baseline: Side, other: Side) -> dict[str, Any]:
    """Return the largest move of a provider about the mean of all; of one target only."""
    if both.empty or baseline.better != other.better:
        return {"largest_move": None}
    moved = both["adjusted_other"] - both["adjusted"]
    return {"largest_move": float((moved - moved.mean()).abs().max())}
