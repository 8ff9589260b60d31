"""How well paid money follows the truth: over worlds, by volume, and which volume is fair."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType

import numpy as np
import pandas as pd

from riskadj.errors import ArrayError
from riskadj.payment.contract import Contract
from riskadj.payment.status import SETTLED
from riskadj.stats.arrays import Floats
from riskadj.stats.clusters import ClusterSums, Totals, interval_by_cluster, sums_by_cluster
from riskadj.trial.variants import Variant

EDGES = (0, 30, 60, 120, 240, 480, 960, 1920)
"""Where bands of volume begin; the last is open."""
KEYS = ["contract", "learner"]
_POWER = 1.5
"""Of the variance of a squared error over its mean, between Poisson's and gamma's: an error of 0,
which a gate gives, is none of a gamma variable."""
_LEAST_SPREAD = 0.01
"""Of what payments differ by, as a share of what is right, under which nobody is paid by results:
those whose results are hidden or of too few episodes."""
_FEWEST, _ENOUGH = 10, 100
"""Provider-years for a line over volume, and for one that may bend."""
_SELDOM = 0.05
"""Of provider-years, the largest, on which no fair volume rests: a few of them bend the line."""
_TRIED = 2001
"""Volumes at which the line is held against what is wanted."""
_APART = 0.05
"""Spread of log volume under which nothing can be learned of volume."""


Line = tuple[float, float, float]
"""Constant, slope and curvature over the log of volume."""


@dataclass(frozen=True)
class Operating:
    """What a trial found.

    Attributes
    ----------
    table : DataFrame
        A row per contract and learner, that with the least misallocated first: `contract, learner,
        currency, worlds, provider_years, settled` (on their results), `episodes`; each of `FIGURES`
        with `_lower95` and `_upper95`, empty with one world; `fair_volume`, the volume from which
        on the wanted share of the money follows the truth, empty where there is none among these
        volumes, `fair_from` the same in words; `fair_constant`, `fair_slope` and `fair_curve`:
        log of the share that does not follow = constant + slope x log volume + curve x its square.
    by_volume : DataFrame
        The same by band of volume, `from` and `to` in episodes, without intervals.
    providers : DataFrame
        The columns of `riskadj.trial.settling.PAID_COLUMNS`: a row per world and provider.
    """

    table: pd.DataFrame
    by_volume: pd.DataFrame
    providers: pd.DataFrame


def _per(numerator: Floats, denominator: Floats) -> Floats:
    """Return a ratio, NaN where there is nothing to divide by."""
    nothing = np.full(np.shape(numerator), np.nan)
    return np.divide(numerator, denominator, out=nothing, where=denominator > 0)


def _follows(of: Totals) -> Floats:
    """Return the share that follows the truth; NaN where next to nothing is paid by results."""
    paid_on = of["spread_paid"] > _LEAST_SPREAD * of["spread_right"]
    return 1 - _per(of["squared_off"], np.where(paid_on, of["spread_paid"], 0.0))


def _correlation(of: Totals) -> Floats:
    return _per(of["cross"] ** 2, of["spread_right"] * of["spread_paid"])


FIGURES: Mapping[str, Callable[[Totals], Floats]] = MappingProxyType(
    {
        "right": lambda of: of["right"],
        "paid": lambda of: of["paid"],
        "misallocated": lambda of: of["off"] / 2,
        "misallocated_share": lambda of: _per(of["off"], of["right"] + of["paid"]),
        "misallocated_of_right": lambda of: _per(of["off"] / 2, of["right"]),
        "misallocated_per_episode": lambda of: _per(of["off"] / 2, of["volume"]),
        "follows_truth": _follows,
        "squared_correlation": _correlation,
        "bonus_for_penalty": lambda of: _per(of["bonus_for_penalty"], of["n"]),
        "penalty_for_bonus": lambda of: _per(of["penalty_for_bonus"], of["n"]),
        "failed_though_fine": lambda of: _per(of["failed_though_fine"], of["gated"]),
        "passed_though_failing": lambda of: _per(of["passed_though_failing"], of["gated"]),
    }
)
"""What is reported, from sums over provider-years. Amounts are in units of the currency, over all
worlds.

right, paid
    Money moved: the sum of amounts without their sign, on the truth and on estimates.
misallocated
    Half the sum of |paid - right|; `misallocated_share` is that of the mean of both sums: from 0,
    where everybody gets what is right, to 1, where nothing that is paid is right.
    `misallocated_of_right` is the share of `right` alone.
follows_truth
    1 - sum of (paid - right)^2 over that of (paid - mean paid)^2; per episode, weighted by volume,
    means within worlds. Negative where errors are larger than what payments differ by, NaN where
    nobody is paid by results.
bonus_for_penalty, penalty_for_bonus
    Share of provider-years that are paid though it is right that they repay, both beyond the
    tolerance; and the other way round.
failed_though_fine, passed_though_failing
    Share of provider-years with a gate that they fail and should pass; and the other way round.
"""

BOUNDED = ("misallocated_share", "squared_correlation", "bonus_for_penalty", "penalty_for_bonus",
           "failed_though_fine", "passed_though_failing")  # fmt: skip
"""Figures from 0 to 1, whose intervals end there."""


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
    rows, bands = [], []
    for one in variants:
        mine = providers[
            (providers["contract"] == one.name) & (providers["learner"] == one.learner)
        ]
        measured = measure(mine, one.contract, tolerance)
        rows.append(_row(one, measured, target_share))
        bands.append(_bands(one, measured))
    table = pd.DataFrame(rows).sort_values("misallocated_share", kind="stable", ignore_index=True)
    return Operating(table, pd.concat(bands, ignore_index=True), providers)


def rows_of(table: pd.DataFrame, one: Variant) -> pd.DataFrame:
    """Return the rows of a variant in a table by contract and learner."""
    return table[(table["contract"] == one.name) & (table["learner"] == one.learner)]


def measure(rows: pd.DataFrame, contract: Contract, tolerance: float) -> pd.DataFrame:
    """Return what is summed, a row per provider-year with episodes; see `FIGURES`.

    Parameters
    ----------
    rows : DataFrame
        The columns of `riskadj.trial.settling.PAID_COLUMNS`, of one variant.
    contract : Contract
    tolerance : float
    """
    rows = rows[rows["volume"] > 0].reset_index(drop=True)
    unit = 10.0**-contract.currency.minor_digits
    right, paid, target = (rows[f"{one}_minor"] * unit for one in ("right", "paid", "target"))
    volume = rows["volume"].astype(float)
    per = pd.DataFrame({"world": rows["world"], "right": right / volume, "paid": paid / volume})
    apart = {name: per[name] - _mean_in_world(per, name, volume) for name in ("right", "paid")}
    least = tolerance * target
    gated = rows["failed_though_fine"].notna()
    return pd.DataFrame(
        {
            "world": rows["world"],
            "volume": volume,
            "settled": (rows["status"] == SETTLED).astype(float),
            "right": right.abs(),
            "paid": paid.abs(),
            "off": (paid - right).abs(),
            "squared_off": volume * (per["paid"] - per["right"]) ** 2,
            "spread_right": volume * apart["right"] ** 2,
            "spread_paid": volume * apart["paid"] ** 2,
            "cross": volume * apart["right"] * apart["paid"],
            "bonus_for_penalty": ((paid > least) & (right < -least)).astype(float),
            "penalty_for_bonus": ((paid < -least) & (right > least)).astype(float),
            "gated": gated.astype(float),
            "failed_though_fine": rows["failed_though_fine"].fillna(0.0),
            "passed_though_failing": rows["passed_though_failing"].fillna(0.0),
        }
    )


def from_first_settled(measured: pd.DataFrame) -> pd.DataFrame:
    """Return providers with at least the volume of the smallest that is paid on its own results.

    Among them are those of that volume whose results are hidden or of too few answers all the same.
    """
    settled = measured.loc[measured["settled"] == 1, "volume"]
    return measured[measured["volume"] >= settled.min()] if len(settled) else measured.iloc[:0]


def fair_line(measured: pd.DataFrame) -> Line:
    """Return how the share that does not follow the truth depends on volume.

    Two regressions with a log link, weighted by volume, on the log of volume and, with enough
    provider-years, its square: of the squared error of payments per episode, and of their squared
    distance from the mean. The log of the ratio of the two is a polynomial of the log of volume.

    Parameters
    ----------
    measured : DataFrame
        As from `measure`.

    Returns
    -------
    tuple of float
        Constant, slope and curvature; NaN where volumes are alike or payments do not differ, and
        a constant of -inf where there is no error at all.
    """
    volume = measured["volume"].to_numpy(dtype=float)
    logs = np.log(volume)
    errors = measured["squared_off"].to_numpy(dtype=float) / volume
    spread = measured["spread_paid"].to_numpy(dtype=float) / volume
    if len(logs) < _FEWEST or logs.std() < _APART or not spread.sum() > 0:
        return (np.nan, np.nan, np.nan)
    if not errors.sum() > 0:
        return (-np.inf, 0.0, 0.0)
    error, apart = (_log_line(logs, one, volume) for one in (errors, spread))
    constant, slope, curve = (float(one) for one in np.subtract(error, apart))
    return constant, slope, curve


def fair_volume(line: Line, volumes: Floats, target_share: float) -> float:
    """Return the least volume from which on the share follows; NaN where there is none.

    Never less than the least of `volumes`, and none where the largest twentieth begins: nothing is
    said of volumes that nobody or next to nobody has.

    Examples
    --------
    >>> int(fair_volume((3.0, -1.0, 0.0), np.array([20.0, 400.0]), 0.8))
    100
    >>> fair_volume((3.0, -1.0, 0.0), np.array([20.0, 60.0]), 0.8)
    nan
    """
    if np.isnan(line[0]):
        return float("nan")
    tried = np.geomspace(volumes.min(), most_volume(volumes), _TRIED)
    short = follows_at(line, tried) < target_share
    if short[-1]:
        return float("nan")
    return float(tried[np.flatnonzero(short)[-1] + 1]) if short.any() else float(volumes.min())


def most_volume(volumes: Floats) -> float:
    """Return the volume at which the largest twentieth begins."""
    return float(np.quantile(volumes, 1 - _SELDOM))


def follows_at(line: Line, volume: Floats) -> Floats:
    """Return the share of the money that follows the truth at volumes, by the fitted line."""
    logs = np.log(volume)
    return np.asarray(1 - np.exp(line[0] + line[1] * logs + line[2] * logs**2))


# --- rows -----------------------------------------------------------------------------------------


def _row(one: Variant, measured: pd.DataFrame, target_share: float) -> dict[str, object]:
    sums = _sums(measured)
    among = from_first_settled(measured)
    line, volumes = fair_line(among), among["volume"].to_numpy(dtype=float)
    fair = fair_volume(line, volumes, target_share)
    return {
        "contract": one.name,
        "learner": one.learner,
        "currency": one.contract.currency.code,
        "worlds": sums.values.shape[1],
        "provider_years": len(measured),
        "settled": int(measured["settled"].sum()),
        "episodes": int(measured["volume"].sum()),
        **{key: value for name in FIGURES for key, value in _estimated(name, sums).items()},
        "fair_volume": fair,
        "fair_from": _in_words(fair, line, volumes),
        "fair_constant": line[0],
        "fair_slope": line[1],
        "fair_curve": line[2],
    }


def _in_words(fair: float, line: Line, volumes: Floats) -> str:
    if np.isnan(line[0]):
        return "not known: volumes or payments are alike"
    if np.isnan(fair):
        return f"none within these volumes (up to {most_volume(volumes):.0f})"
    if fair <= volumes.min():
        return f"every volume here (from {volumes.min():.0f})"
    return f"{np.ceil(fair):.0f}"


def _bands(one: Variant, measured: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for first, after in pairwise((*EDGES, np.inf)):
        inside = measured[measured["volume"].between(first, after, inclusive="left")]
        if inside.empty:
            continue
        of = _totals(_sums(inside))
        figures = {name: float(figure(of)[0]) for name, figure in FIGURES.items()}
        if not inside["settled"].any():
            figures["follows_truth"] = np.nan
        keys = {"contract": one.name, "learner": one.learner, "from": first, "to": after}
        counts = {
            "provider_years": len(inside),
            "settled": int(inside["settled"].sum()),
            "episodes": int(inside["volume"].sum()),
        }
        rows.append(keys | counts | {"mean_volume": inside["volume"].mean()} | figures)
    return pd.DataFrame(rows)


def _estimated(name: str, sums: ClusterSums) -> dict[str, float]:
    """Return a figure and its interval, by leaving out a world at a time."""
    figure = FIGURES[name]
    value = float(figure(_totals(sums))[0])
    lower, upper = np.nan, np.nan
    if np.isfinite(value) and sums.values.shape[1] > 1:
        try:
            found = interval_by_cluster(sums, figure, "jackknife")
        except ArrayError:  # a figure that is not defined without one of the worlds
            pass
        else:
            lower, upper = found.lower, found.upper
    if name in BOUNDED:
        lower, upper = (float(np.clip(one, 0.0, 1.0)) for one in (lower, upper))
    return {name: value, f"{name}_lower95": lower, f"{name}_upper95": upper}


def _sums(measured: pd.DataFrame) -> ClusterSums:
    columns = measured.drop(columns="world")
    return sums_by_cluster(dict(columns.items()), measured["world"])


def _totals(sums: ClusterSums) -> Totals:
    return sums.named(sums.values.sum(axis=1, keepdims=True))


def _mean_in_world(per: pd.DataFrame, name: str, volume: "pd.Series[float]") -> "pd.Series[float]":
    sums = pd.DataFrame({"all": per[name] * volume, "volume": volume})
    by_world = sums.groupby(per["world"]).transform("sum")
    return by_world["all"] / by_world["volume"]


def _log_line(x: Floats, y: Floats, weight: Floats) -> Floats:
    """Return constant, slope and curvature of the log of the mean of y, 0 or more, not all 0."""
    from sklearn.linear_model import TweedieRegressor

    centre, apart, unit = x.mean(), x.std(), np.average(y, weights=weight)
    degree = 2 if len(x) >= _ENOUGH else 1
    standard = (x - centre) / apart
    terms = np.column_stack([standard**power for power in range(1, degree + 1)])
    fit = TweedieRegressor(
        power=_POWER, alpha=0.0, link="log", max_iter=1000, tol=1e-8, solver="newton-cholesky"
    ).fit(terms, y / unit, sample_weight=weight / weight.mean())
    slope, curve = (*fit.coef_, 0.0)[:2]
    curve = curve / apart**2
    slope = slope / apart - 2 * curve * centre
    constant = fit.intercept_ + np.log(unit) - slope * centre - curve * centre**2
    return np.array([constant, slope, curve])
