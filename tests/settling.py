"""Small tables of a run, made by hand, and contracts on them, for the tests of settlements."""

import ast
import copy
import operator
import re
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd

from riskadj.payment.contract import Contract

OURS = {"source": "ours", "confirmed": False}
BASE: dict[str, Any] = {
    "name": "small",
    "version": "1",
    "title": "A small contract",
    "about": "For tests.",
    "currency": {"code": "EUR", "minor_digits": 2},
    "price_year": 2023,
    "outcomes": ["odi"],
    "cost": "cost",
    "learner": "linear",
    "count": "records",
    "too_few": "no_settlement",
    "target": {"baseline": {"kind": "expected"} | OURS},
    "steps": [{"kind": "reconcile"} | OURS],
    "budget": {"kind": "open"} | OURS,
}
STUDY = {
    "outcomes": [
        {"name": "odi", "instrument": "ODI", "kind": "gain"},
        {"name": "cost", "kind": "cost", "column": "cost_total_90d", "currency": "EUR",
         "price_year": 2023},
    ]
}  # fmt: skip
NAMES = ("A", "B", "C", "D")


def content(**changes: Any) -> dict[str, Any]:
    """Return the content of a contract with changes; `part__key` reaches into a part of it."""
    made = copy.deepcopy(BASE)
    for name, value in changes.items():
        part, _, key = name.rpartition("__")
        (made[part] if part else made)[key] = value
    return made


def contract(**changes: Any) -> Contract:
    """Return the contract itself."""
    return Contract.model_validate(content(**changes))


def step(kind: str, **rest: Any) -> dict[str, Any]:
    """Return the content of a step."""
    return {"kind": kind} | OURS | rest


def steps(*some: dict[str, Any]) -> list[dict[str, Any]]:
    """Return steps after a reconciliation."""
    return [step("reconcile"), *some]


def rows(
    outcome: str,
    n: Any = (100, 80, 60, 40),
    observed: Any = (20.0, 18.0, 16.0, 21.0),
    expected: Any = (18.0, 18.5, 17.0, 18.0),
    names: Any = NAMES,
    learner: str = "linear",
    better: int = 1,
    **more: Any,
) -> pd.DataFrame:
    """Return rows of `providers.csv`; limits of 1 and 2 about 18 (of a cost: 5 and 10 %)."""
    table = pd.DataFrame({"provider_id": list(names), "n": n, "observed": observed,
                          "expected": expected}).astype({"n": float})  # fmt: skip
    centre, width = (18.0, 1.0) if better > 0 else (20_000.0, 1000.0)
    table["difference"] = table["observed"] - table["expected"]
    table["adjusted"] = centre + table["difference"]
    table["z"] = better * table["difference"] / width * 1.96
    for at, name in ((1, "95"), (1.577, "998")):
        table[f"lower{name}"], table[f"upper{name}"] = centre - at * width, centre + at * width
    table = table.assign(
        outcome=outcome, learner=learner, episodes=table["n"] + 5, reliability=0.8,
        predicted_ratio=table["observed"] / table["expected"].clip(lower=1), suppression="",
    )  # fmt: skip
    return table.assign(**more)


def costs(
    n: Any = (100, 80, 60, 40),
    observed: Any = (19_000.25, 21_500.0, 20_000.0, 18_000.0),
    expected: Any = (20_000.0, 21_000.0, 19_500.0, 20_250.5),
    **more: Any,
) -> pd.DataFrame:
    """Return the rows of the cost outcome."""
    return rows("cost", n, observed, expected, better=-1, **more)


def tables() -> pd.DataFrame:
    """Return the rows of both outcomes."""
    return pd.concat([rows("odi"), costs()], ignore_index=True)


def hidden(table: pd.DataFrame, name: str) -> pd.DataFrame:
    """Return the rows with one provider suppressed, as disclosure control leaves it."""
    table = table.copy()
    figures = list(table.select_dtypes("number"))
    table.loc[table["provider_id"] == name, figures] = np.nan
    return table


def check_refusal(error: Exception) -> None:
    """Hold a refusal to its form: what was wanted, what came, and what to do, in sentences."""
    told = str(error)
    assert re.search(r"\bwanted [^;]+; (got |there is|the run has|the key is missing)", told), told
    assert re.search(r"[^.][.?]$", told), told
    assert not re.search(r"[.?] [^A-Z]", told), told
    assert not re.search(r"\b[A-Z]{4,}\b|\bNone\b|XX", told), told


# --- an evaluator of its own, so that printed formulas are held against the amounts ---------------

_SIGNS = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul,
    ast.Div: operator.truediv, ast.Gt: operator.gt, ast.GtE: operator.ge, ast.Lt: operator.lt,
    ast.LtE: operator.le,
}  # fmt: skip
_CALLS = {"min": min, "max": max, "round": lambda value, digits: round(value, int(digits))}


def evaluate(formula: str) -> Any:
    """Return what a printed formula comes to, in fractions."""
    return _value(ast.parse(formula, mode="eval").body, formula)


def _value(node: Any, text: str) -> Any:
    if isinstance(node, ast.Constant):
        return Fraction(ast.get_source_segment(text, node))
    if isinstance(node, ast.BinOp):
        return _SIGNS[type(node.op)](_value(node.left, text), _value(node.right, text))
    if isinstance(node, ast.Compare):
        return _SIGNS[type(node.ops[0])](_value(node.left, text), _value(node.comparators[0], text))
    if isinstance(node, ast.Call):
        return _CALLS[node.func.id](*(_value(one, text) for one in node.args))
    raise AssertionError(f"{ast.dump(node)} is not what a calculator knows")


def check_by_hand(settlement: Any) -> int:
    """Hold every printed formula against the value beside it; return how many there were."""
    digits = settlement.currency.minor_digits
    checked = 0
    for line in settlement.lines.itertuples():
        if not line.formula:
            assert line.amount_minor == 0
            continue
        found = evaluate(line.formula)
        if line.kind == "test":
            assert line.value == ("met" if found else "not met"), line
        elif line.kind == "factor":
            assert Fraction(line.value.strip("()").replace("0 - ", "-")) == round(
                found, settlement.contract.rounding.digits
            ), line
        else:
            assert Fraction(line.value) == Fraction(round(found * 10**digits), 10**digits), line
        if line.kind == "payment":
            assert Fraction(line.value) * 10**digits == line.amount_minor
        checked += 1
    return checked
