"""What is measured of a trial: sums over provider-years, and the figures that they give."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
import pandas as pd

from riskadj.payment.contract import Contract
from riskadj.payment.status import SETTLED
from riskadj.stats.arrays import Floats
from riskadj.stats.clusters import Totals

_LEAST_SPREAD = 0.01
"""Of what payments differ by, as a share of what is right, under which nobody is paid by results:
those whose results are hidden or of too few episodes."""
WRONGLY = ("bonus_for_penalty", "penalty_for_bonus", "undue", "unpaid")
"""The ways to be paid wrongly, of which a provider-year has one at most."""


def _per(numerator: Floats, denominator: Floats) -> Floats:
    """Return a ratio, NaN where there is nothing to divide by."""
    nothing = np.full(np.shape(numerator), np.nan)
    ratio: Floats = np.divide(numerator, denominator, out=nothing, where=denominator > 0)
    return ratio


def _follows(of: Totals) -> Floats:
    """Return the share that follows the truth; NaN where next to nothing is paid by results."""
    paid_on = of["spread_paid"] > _LEAST_SPREAD * of["spread_right"]
    return 1 - _per(of["squared_off"], np.where(paid_on, of["spread_paid"], 0.0))


COUNTED: Mapping[str, str] = MappingProxyType(
    dict.fromkeys((*WRONGLY, "wrongly_paid", "wrongly_paid_too_few"), "n")
    | dict.fromkeys(
        ("misjudged", "failed_though_fine", "passed_though_failing", "misjudged_too_few"), "gated"
    )
)
"""Figures that are shares of provider-years: name -> of which."""


def _share_of(name: str, among: str) -> Callable[[Totals], Floats]:
    return lambda of: _per(of[name], of[among])


FIGURES: Mapping[str, Callable[[Totals], Floats]] = MappingProxyType(
    {
        "right": lambda of: of["right"],
        "paid": lambda of: of["paid"],
        "misallocated": lambda of: of["off"] / 2,
        "misallocated_share": lambda of: _per(of["off"], of["right"] + of["paid"]),
        "misallocated_of_right": lambda of: _per(of["off"] / 2, of["right"]),
        "misallocated_per_episode": lambda of: _per(of["off"] / 2, of["volume"]),
        "misallocated_too_few": lambda of: _per(of["off_too_few"], of["off"]),
        "follows_truth": _follows,
        "squared_correlation": lambda of: _per(
            of["cross"] ** 2, of["spread_right"] * of["spread_paid"]
        ),
        **{name: _share_of(name, among) for name, among in COUNTED.items()},
    }
)
"""What is reported, from sums over provider-years. Amounts are in units of the currency, over all
worlds.

right, paid
    Money moved: the sum of amounts without their sign, on the truth and on estimates.
misallocated
    Half the sum of |paid - right|; `misallocated_share` is that of the mean of both sums: from 0,
    where everybody gets what is right, to 1, where nothing that is paid is right.
    `misallocated_of_right` is the share of `right` alone. `misallocated_too_few` is the part of it
    at providers that are not paid on their own results, which are hidden or of too few episodes.
follows_truth
    1 - sum of (paid - right)^2 over that of (paid - mean paid)^2; per episode, weighted by volume,
    means within worlds. Negative where errors are larger than what payments differ by, NaN where
    nobody is paid by results.
wrongly_paid
    Share of provider-years that are paid though it is right that they repay
    (`bonus_for_penalty`), the other way round (`penalty_for_bonus`), something though nothing is
    right (`undue`), or nothing though something is (`unpaid`). All beyond the tolerance, as is the
    difference of paid and right. `wrongly_paid_too_few`: those of them, as a share of all
    provider-years, that are not paid on their own results.
misjudged
    Share of provider-years with a gate that they fail and should pass (`failed_though_fine`), or
    the other way round (`passed_though_failing`). `misjudged_too_few`: those of them that are not
    paid on their own results.
"""


def measure(rows: pd.DataFrame, contract: Contract, tolerance: float) -> pd.DataFrame:
    """Return what is summed, a row per provider-year with episodes; see `FIGURES`.

    Parameters
    ----------
    rows : DataFrame
        The columns of `riskadj.trial.settling.PAID_COLUMNS`, of one variant.
    contract : Contract
    tolerance : float
        Share of a provider's target within which an amount is neither bonus nor penalty.
    """
    rows = rows[rows["volume"] > 0].reset_index(drop=True)
    unit = 10.0**-contract.currency.minor_digits
    right, paid, target = (rows[f"{one}_minor"] * unit for one in ("right", "paid", "target"))
    volume, too_few = rows["volume"].astype(float), (~on_own_results(rows)).astype(float)
    per = pd.DataFrame({"world": rows["world"], "right": right / volume, "paid": paid / volume})
    apart = {name: per[name] - _mean_in_world(per, name, volume) for name in ("right", "paid")}
    ways = _ways_to_be_wrong(right, paid, tolerance * target)
    wrongly = ways.sum(axis=1)
    failed, passed = (rows[one].fillna(0.0) for one in ("failed_though_fine",
                                                        "passed_though_failing"))  # fmt: skip
    misjudged = np.maximum(failed, passed)
    table = pd.DataFrame(
        {
            "world": rows["world"],
            "volume": volume,
            "settled": 1 - too_few,
            "right": right.abs(),
            "paid": paid.abs(),
            "off": (paid - right).abs(),
            "off_too_few": (paid - right).abs() * too_few,
            "squared_off": volume * (per["paid"] - per["right"]) ** 2,
            "spread_right": volume * apart["right"] ** 2,
            "spread_paid": volume * apart["paid"] ** 2,
            "cross": volume * apart["right"] * apart["paid"],
            "wrongly_paid": wrongly,
            "wrongly_paid_too_few": wrongly * too_few,
            "gated": rows["failed_though_fine"].notna().astype(float),
            "failed_though_fine": failed,
            "passed_though_failing": passed,
            "misjudged": misjudged,
            "misjudged_too_few": misjudged * too_few,
        }
    )
    return table.join(ways)


def on_own_results(rows: pd.DataFrame) -> "pd.Series[bool]":
    """Return who is paid on results of its own, neither hidden nor of too few episodes."""
    return rows["status"] == SETTLED


def _ways_to_be_wrong(
    right: "pd.Series[float]", paid: "pd.Series[float]", least: "pd.Series[float]"
) -> pd.DataFrame:
    apart = (paid - right).abs() > least
    due, given = right.abs() > least, paid.abs() > least
    ways = {
        "bonus_for_penalty": (paid > least) & (right < -least),
        "penalty_for_bonus": (paid < -least) & (right > least),
        "undue": apart & given & ~due,
        "unpaid": apart & due & ~given,
    }
    return pd.DataFrame(ways).astype(float)


def _mean_in_world(per: pd.DataFrame, name: str, volume: "pd.Series[float]") -> "pd.Series[float]":
    sums = pd.DataFrame({"all": per[name] * volume, "volume": volume})
    by_world = sums.groupby(per["world"]).transform("sum")
    return by_world["all"] / by_world["volume"]
