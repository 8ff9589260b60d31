"""A world's settlements beside each other: on what was estimated, and on what is true."""

from decimal import Decimal

import numpy as np
import pandas as pd

from riskadj.payment.contract import Contract
from riskadj.payment.settle import Settlement, settle_tables
from riskadj.payment.tables import Tables
from riskadj.trial.variants import Variant

PAID_COLUMNS = [
    "world", "contract", "learner", "provider_id", "volume", "status", "right_minor", "paid_minor",
    "target_minor", "gates_right", "gates_paid", "failed_though_fine", "passed_though_failing",
]  # fmt: skip
_PASSED, _NOT = " passed", " not passed"


def settle_both(variant: Variant, estimated: Tables, true: Tables, world: int) -> pd.DataFrame:
    """Return right and paid money of every provider of a world.

    Parameters
    ----------
    variant : Variant
    estimated : Tables
        After disclosure control.
    true : Tables
        As from `true_tables`.
    world : int
        Its number.

    Returns
    -------
    DataFrame
        The columns of `PAID_COLUMNS`. `volume`: episodes that are settled; `right_minor`: on the
        truth; `paid_minor`: on estimates; `target_minor`: what the episodes should truly cost;
        in minor units. `failed_though_fine`, `passed_though_failing`: of gates, 1 or 0; NaN
        without a gate.
    """
    contract = variant.contract
    paid = settle_tables(contract, _in_money_of(contract, estimated))
    right = settle_tables(contract, _in_money_of(contract, true))
    both = _totals(right).join(_totals(paid).add_suffix("_paid"), how="outer")
    gates = [_compare(*one) for one in zip(both["gates"], both["gates_paid"], strict=True)]
    wrong = pd.DataFrame(
        gates,
        columns=["failed_though_fine", "passed_though_failing"],
        index=both.index,
        dtype=float,
    )
    table = pd.DataFrame(
        {
            "world": world,
            "contract": variant.name,
            "learner": variant.learner,
            "volume": both["episodes"].fillna(both["episodes_paid"]).fillna(0).astype(int),
            "status": both["status_paid"],
            "right_minor": both["total_minor"].fillna(0).astype(int),
            "paid_minor": both["total_minor_paid"].fillna(0).astype(int),
            "target_minor": _minor(both["target"], contract),
            "gates_right": both["gates"],
            "gates_paid": both["gates_paid"],
        }
    )
    return table.join(wrong).reset_index()[PAID_COLUMNS]


def _in_money_of(contract: Contract, tables: Tables) -> Tables:
    """Return the tables with costs said to be in the contract's money; see `study_of`."""
    outcomes = [
        one | {"currency": contract.currency.code, "price_year": contract.price_year}
        if one["name"] == contract.cost else one
        for one in (tables.study or {}).get("outcomes", ())
    ]  # fmt: skip
    return Tables(
        tables.providers, tables.rates, tables.reference, tables.analyses, tables.given,
        {"outcomes": outcomes}, tables.digest,
    )  # fmt: skip


def _totals(settlement: Settlement) -> pd.DataFrame:
    return settlement.totals.set_index("provider_id")


def _minor(amounts: "pd.Series[str]", contract: Contract) -> "pd.Series[int]":
    """Return decimal text as minor units, 0 where there is none."""
    digits = contract.currency.minor_digits
    whole = [int(Decimal(one).scaleb(digits)) if one else 0 for one in amounts.fillna("")]
    return pd.Series(whole, index=amounts.index, dtype="int64")


def _compare(right: object, paid: object) -> tuple[float, float]:
    """Return whether a gate was failed that should have been passed, and the other way round."""
    should, did = _gates(right), _gates(paid)
    common = [one for one in should if one in did]
    if not common:
        return np.nan, np.nan
    failed = any(should[one] and not did[one] for one in common)
    passed = any(did[one] and not should[one] for one in common)
    return float(failed), float(passed)


def _gates(told: object) -> dict[str, bool]:
    """Return what a settlement says of gates, by name."""
    if not isinstance(told, str) or not told:
        return {}
    return {
        one.removesuffix(_NOT).removesuffix(_PASSED): not one.endswith(_NOT)
        for one in told.split(", ")
    }
