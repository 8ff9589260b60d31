"""What is known of each provider when a contract is settled: from the tables of a run alone."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from riskadj.errors import ColumnError, StudyError, UnknownNameError, ValuesError, did_you_mean
from riskadj.payment.contract import (
    Composite,
    Contract,
    Gate,
    NotNegativeOutlier,
    Party,
    Penalty,
    TableCriterion,
)

Floats = NDArray[np.float64]
_FIGURES = (
    "n", "episodes", "observed", "expected", "difference", "adjusted", "z", "reliability",
    "predicted_ratio",
)  # fmt: skip
_RATES = ("procedures", "participation", "linkage", "issue", "response")
_FROM_FILE = "participation file"


@dataclass(frozen=True)
class Tables:
    """The tables of a run that a settlement rests on, as its folder holds them.

    Attributes
    ----------
    providers : DataFrame
        The rows of `providers.csv`, after disclosure control.
    rates, reference, analyses : DataFrame or None
        The rows of the files of these names.
    given : DataFrame or None
        The provider table that the contract names: `provider_id` and further values.
    study : mapping or None
        What `study.json` holds.
    digest : str
        Of the run.
    """

    providers: pd.DataFrame
    rates: pd.DataFrame | None = None
    reference: pd.DataFrame | None = None
    analyses: pd.DataFrame | None = None
    given: pd.DataFrame | None = None
    study: Mapping[str, Any] | None = None
    digest: str = ""


@dataclass(frozen=True)
class Measure:
    """One provider's result in one outcome; NaN where it is hidden or there is none.

    Attributes
    ----------
    figures : mapping of str to float
        By column of `providers.csv`.
    places : mapping
        (method, limits) -> -2 ... 2, as flags are; None for the study's own analysis.
    better : int
        +1 where more is better, -1 where less is.
    """

    figures: Mapping[str, float]
    places: Mapping[tuple[str, str] | None, float]
    better: int

    def __getitem__(self, name: str) -> float:
        return self.figures[name]

    @property
    def known(self) -> bool:
        """Whether the result is shown and rests on episodes enough."""
        return not (np.isnan(self["n"]) or np.isnan(self["adjusted"]))


@dataclass(frozen=True)
class Account:
    """One provider while the contract's steps are taken.

    Attributes
    ----------
    provider_id : str
    n : int or None
        Episodes settled.
    measures : mapping of str to Measure
        By outcome.
    rates, given : mapping of str to float
        Rates of follow-up; values of the provider table. NaN where not known.
    party : Party
    few : bool
        Whether results are hidden or rest on too few episodes.
    listed : bool
        Whether the provider table has a row of it, or there is none to have it.
    cost : Measure or None
        The result in the cost outcome.
    price, target, actual : int or None
        In minor units.
    balance : int
        The sum of payments so far, in minor units.
    passed : mapping of str to bool
        By gate.
    """

    provider_id: str
    n: int | None
    measures: Mapping[str, Measure]
    rates: Mapping[str, float]
    given: Mapping[str, float]
    party: Party
    few: bool
    listed: bool = True
    cost: Measure | None = None
    price: int | None = None
    target: int | None = None
    actual: int | None = None
    balance: int = 0
    passed: Mapping[str, bool] = field(default_factory=dict)

    def settled(self, too_few: str) -> bool:
        """Whether the contract settles this account."""
        return self.n is not None and not (self.few and too_few == "no_settlement")


def open_accounts(contract: Contract, tables: Tables) -> tuple[Account, ...]:
    """Return an account for each provider of the contract, in the order of their names.

    Raises
    ------
    UnknownNameError
        For an outcome, learner or provider that the run does not have.
    ColumnError
        For a column that a rule wants and a table lacks.
    StudyError
        When currency or price year of contract and study differ.
    ValuesError
        For negative or repeated values.
    """
    known = _known_outcomes(contract, tables)
    _check_money(contract, tables.study)
    parties = _parties(contract, known)
    measures = {
        outcome: _measures(rows, outcome, contract, tables) for outcome, rows in known.items()
    }
    rates = _rates(tables.rates, contract.outcomes[0])
    _check_rates(contract, rates)
    given = _given(contract, tables.given, [one for rows in known.values() for one in rows.index])
    return tuple(
        _account(contract, party, measures, rates, given)
        for party in sorted(parties, key=lambda one: one.id)
    )


def reference_mean(contract: Contract, tables: Tables) -> float:
    """Return the reference population's mean cost, by the learner of the cost.

    Without the table of the reference population: the mean of the providers shown.

    Raises
    ------
    ValuesError
        When there is none, or it is not above 0.
    """
    cost = contract.cost or ""
    learner = contract.learner_of(cost)
    if tables.reference is not None:
        table = tables.reference
        mine = table[(table["outcome"] == cost) & (table["learner"] == learner)]
        found = _numbers(mine["gain"], "reference")[:1]
    else:
        rows = _rows(tables.providers, cost, learner)
        n, expected = (_numbers(rows[one], "providers") for one in ("n", "expected"))
        shown = ~np.isnan(n) & ~np.isnan(expected)
        found = np.array([np.dot(n[shown], expected[shown])]) / max(n[shown].sum(), 1)
    mean = float(found.sum())
    if not mean > 0:
        raise ValuesError(
            f"contract {contract.name}: wanted a mean cost of the reference population above 0, "
            f"for case mix; got {mean:g}. Take case_mix: none, or another run."
        )
    return mean


def outcomes_wanted(contract: Contract) -> list[str]:
    """Return the names of all outcomes that a contract settles on."""
    return [*contract.outcomes, *([contract.cost] if contract.cost else [])]


def columns_wanted(contract: Contract) -> list[str]:
    """Return the columns that a contract wants of its provider table."""
    gates = [one for step in contract.steps if isinstance(step, Gate) for one in step.criteria]
    of_gates = [one.column for one in gates if isinstance(one, TableCriterion)]
    return list(dict.fromkeys([*_columns_of_money(contract), *of_gates]))


def _columns_of_money(contract: Contract) -> list[str]:
    """Return the columns without which nothing can be paid; a gate has a rule for what it lacks."""
    found: list[str | None] = []
    if contract.target and contract.target.baseline.kind == "historical":
        found.append(contract.target.baseline.column)
    for step in contract.steps:
        if isinstance(step, Penalty):
            names = ("ratio_column", "n_column", "median_column", "weight_column")
            found += [step.base_column, *(getattr(m, one) for m in step.measures for one in names)]
        elif isinstance(step, Composite):
            found += [one.column for one in step.measures]
    return list(dict.fromkeys(one for one in found if one is not None))


# --- checks ---------------------------------------------------------------------------------------


def _known_outcomes(contract: Contract, tables: Tables) -> dict[str, pd.DataFrame]:
    providers = tables.providers
    found = {}
    for outcome in outcomes_wanted(contract):
        there = list(dict.fromkeys(providers["outcome"]))
        if outcome not in there:
            raise UnknownNameError(
                f"contract {contract.name}: wanted an outcome of the run ({', '.join(there)}); "
                f"got {outcome!r}.{did_you_mean(outcome, there)} Run a study that has it."
            )
        learners = list(dict.fromkeys(providers.loc[providers["outcome"] == outcome, "learner"]))
        learner = contract.learner_of(outcome)
        if learner not in learners:
            raise UnknownNameError(
                f"contract {contract.name}: wanted a learner that the run has for {outcome} "
                f"({', '.join(learners)}); got {learner!r}."
                f"{did_you_mean(learner, learners)} Name one of them."
            )
        found[outcome] = _rows(providers, outcome, learner)
    return found


def _rows(providers: pd.DataFrame, outcome: str, learner: str) -> pd.DataFrame:
    rows = providers[(providers["outcome"] == outcome) & (providers["learner"] == learner)]
    names = rows["provider_id"].astype(str)
    if names.duplicated().any():
        twice = names[names.duplicated()].iloc[0]
        raise ValuesError(
            f"providers: wanted each provider once for {outcome} by {learner}; got {twice!r} "
            "twice. Give the table of one run."
        )
    return rows.set_index(names)


def _check_money(contract: Contract, study: Mapping[str, Any] | None) -> None:
    """Refuse a study whose costs are not in the contract's money."""
    if study is None or contract.cost is None:
        return
    cost = _outcome_of(study, contract.cost)
    if cost.get("kind") != "cost":
        raise StudyError(
            f"contract {contract.name}: wanted a cost outcome of kind cost; got {contract.cost!r} "
            f"of kind {cost.get('kind')}. Name the study's cost outcome."
        )
    pairs = {
        "currency": (contract.currency.code, cost.get("currency")),
        "price_year": (contract.price_year, cost.get("price_year")),
    }
    for name, (ours, theirs) in pairs.items():
        if theirs is not None and str(theirs) != str(ours):
            raise StudyError(
                f"contract {contract.name}: wanted one {name} in contract and study; got {ours} "
                f"in the contract and {theirs} for {contract.cost} in the study. Bring one to the "
                "other."
            )


def _parties(contract: Contract, known: Mapping[str, pd.DataFrame]) -> tuple[Party, ...]:
    everybody: Iterable[str] = dict.fromkeys(one for rows in known.values() for one in rows.index)
    if not contract.providers:
        return tuple(Party(id=one) for one in everybody)
    for outcome, rows in known.items():
        strangers = [one.id for one in contract.providers if one.id not in rows.index]
        if strangers:
            more = f" and {len(strangers) - 1} more" if len(strangers) > 1 else ""
            raise UnknownNameError(
                f"contract {contract.name}: wanted providers that are in the profile of {outcome}; "
                f"got {strangers[0]!r}{more}, which are not."
                f"{did_you_mean(strangers[0], rows.index)} Nothing was settled."
            )
    return contract.providers


def _check_rates(contract: Contract, rates: Mapping[str, Mapping[str, float]]) -> None:
    known = any(not np.isnan(one["procedures"]) for one in rates.values())
    if contract.count == "procedures" and not known:
        raise ColumnError(
            f"contract {contract.name}: wanted procedures by provider in rates.csv, which it "
            "counts; the run has none. Name participation files in the study, or count records or "
            "episodes."
        )


# --- what is known --------------------------------------------------------------------------------


def _account(
    contract: Contract,
    party: Party,
    measures: Mapping[str, Mapping[str, Measure]],
    rates: Mapping[str, Mapping[str, float]],
    given: Mapping[str, Mapping[str, float]] | None,
) -> Account:
    mine = {outcome: one[party.id] for outcome, one in measures.items() if party.id in one}
    mine_rates = rates.get(party.id, dict.fromkeys(_RATES, np.nan))
    first = mine.get(contract.cost or contract.outcomes[0])
    few = any(one not in mine or not mine[one].known for one in outcomes_wanted(contract))
    return Account(
        party.id,
        _count(contract, party, first, mine_rates),
        mine,
        mine_rates,
        (given or {}).get(party.id, dict.fromkeys(columns_wanted(contract), np.nan)),
        party,
        few,
        given is None or party.id in given,
        mine.get(contract.cost or ""),
    )


def _count(
    contract: Contract, party: Party, first: Measure | None, rates: Mapping[str, float]
) -> int | None:
    if contract.count == "volume":
        return party.volume
    none = np.nan
    counted = {
        "records": first["n"] if first else none,
        "episodes": first["episodes"] if first else none,
        "procedures": rates["procedures"],
    }[contract.count]
    return None if np.isnan(counted) else int(counted)


def _measures(
    rows: pd.DataFrame, outcome: str, contract: Contract, tables: Tables
) -> dict[str, Measure]:
    figures = _figures(rows, _FIGURES, f"providers, {outcome}")
    if outcome == contract.cost:
        _check_not_negative({one: figures[one] for one in ("observed", "expected")}, rows, outcome)
    places = _all_places(rows, contract, outcome, tables)
    better = _better(tables.study, outcome, contract.cost)
    return {
        str(name): Measure(
            {one: float(values[at]) for one, values in figures.items()},
            {key: float(some.get(name, np.nan)) for key, some in places.items()},
            better,
        )
        for at, name in enumerate(rows.index)
    }


def _figures(rows: pd.DataFrame, columns: Iterable[str], where: str) -> dict[str, Floats]:
    """Return columns as numbers, NaN where a cell is empty; a column that is not there is NaN."""
    none = np.full(len(rows), np.nan)
    return {one: _numbers(rows[one], where) if one in rows else none for one in columns}


def _numbers(column: pd.Series, where: str) -> Floats:
    if column.dtype.kind in "fi" and not pd.api.types.is_extension_array_dtype(column.dtype):
        return _finite(column, column.to_numpy(np.float64), ~column.isna(), where)
    told = column.where(column.notna() & (column.astype(str) != ""))
    numbers = pd.to_numeric(told, errors="coerce").to_numpy(np.float64, na_value=np.nan)
    return _finite(told, numbers, told.notna(), where)


def _finite(column: pd.Series, numbers: Floats, told: pd.Series, where: str) -> Floats:
    """Return numbers, if every cell that says something says one."""
    wrong = told.to_numpy() & ~np.isfinite(numbers)
    if wrong.any():
        at = int(wrong.argmax())
        raise ValuesError(
            f"{where}: {column.name}: wanted numbers, empty where not known; got "
            f"{column.iloc[at]} for {column.index[at]}. Correct it."
        )
    return numbers


def _places(rows: pd.DataFrame) -> Floats:
    """Return how far outside its limits each provider is, negative when worse."""
    limits = [one.removeprefix("lower") for one in rows if re.fullmatch(r"lower\d+", one)]
    sides = [f"{side}{one}" for one in limits for side in ("lower", "upper")]
    known = _figures(rows, ["z", "adjusted", *sides], "providers")
    adjusted = known["adjusted"]
    outside = np.zeros(len(rows))
    for one in limits:
        outside += (adjusted < known[f"lower{one}"]) | (adjusted > known[f"upper{one}"])
    return np.where(np.isnan(known["z"]), np.nan, np.sign(known["z"]) * outside)


def _all_places(
    rows: pd.DataFrame, contract: Contract, outcome: str, tables: Tables
) -> dict[tuple[str, str] | None, dict[str, float]]:
    """Return places under the study's own analysis, and every other that a gate asks for."""
    gates = [one for step in contract.steps if isinstance(step, Gate) for one in step.criteria]
    wanted = {
        (one.method, one.limits)
        for one in gates
        if isinstance(one, NotNegativeOutlier) and one.outcome == outcome and one.method
    }
    found: dict[tuple[str, str] | None, dict[str, float]] = {
        None: dict(zip(rows.index, _places(rows), strict=True))
    }
    learner = contract.learner_of(outcome)
    for method, limits in sorted(wanted, key=str):
        rows = _analysis(tables.analyses, outcome, learner, str(method), str(limits))
        if rows.empty:
            raise UnknownNameError(
                f"contract {contract.name}: wanted the analysis {method} with {limits} limits of "
                f"{outcome} by {learner}; the run has none. Declare it under "
                "profile.sensitivity of the study."
            )
        places = _places(rows)
        found[str(method), str(limits)] = dict(zip(rows.index, places, strict=True))
    return found


def _analysis(
    analyses: pd.DataFrame | None, outcome: str, learner: str, method: str, limits: str
) -> pd.DataFrame:
    if analyses is None:
        return pd.DataFrame()
    mine = analyses[(analyses["method"] == method) & (analyses["limits"] == limits)]
    return _rows(mine, outcome, learner)


def _better(study: Mapping[str, Any] | None, outcome: str, cost: str | None) -> int:
    """Return +1 where more of an outcome is better, -1 where less is."""
    from riskadj.study import Outcome

    content = _outcome_of(study or {}, outcome)
    if outcome == cost or content.get("kind") == "cost":
        return -1
    return Outcome.model_validate(content).better if content else 1


def _outcome_of(study: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return what a study says of an outcome; nothing where it does not have it."""
    found: dict[str, Any] = {}
    return next((one for one in study.get("outcomes", ()) if one["name"] == name), found)


def _rates(rates: pd.DataFrame | None, outcome: str) -> dict[str, dict[str, float]]:
    """Return rates by provider: those of a participation file where there is one."""
    if rates is None or rates.empty:
        return {}
    mine = rates[rates["outcome"] == outcome]
    mine = mine.sort_values("source", key=lambda one: one != _FROM_FILE, kind="stable")
    figures = pd.DataFrame(_figures(mine, _RATES, "rates"), mine["provider_id"].astype(str))
    first = figures.groupby(level=0).first()  # skips what is missing
    return {str(name): one for name, one in first.to_dict("index").items()}


def _given(
    contract: Contract, table: pd.DataFrame | None, profile: Iterable[str]
) -> dict[str, dict[str, float]] | None:
    """Return the wanted values of the provider table, by the names of the profile.

    None where there is no table, or nothing is wanted of it.
    """
    wanted = columns_wanted(contract)
    where = f"provider table of contract {contract.name}"
    if table is None and (needed := _columns_of_money(contract)):
        raise ColumnError(f"{where}: wanted {', '.join(needed)}; there is no table. Name one.")
    if table is None or not wanted:
        return None
    lacking = [one for one in ["provider_id", *wanted] if one not in table]
    if lacking:
        raise ColumnError(
            f"{where}: wanted the column {lacking[0]!r}; there is none."
            f"{did_you_mean(lacking[0], table.columns)} Add it, empty where not known."
        )
    named = table.set_index(_known_names(table["provider_id"], profile, where))
    figures = _figures(named, wanted, where)
    _check_not_negative(figures, named, where)
    return {
        str(name): {one: float(values[at]) for one, values in figures.items()}
        for at, name in enumerate(named.index)
    }


def _known_names(column: pd.Series, profile: Iterable[str], where: str) -> pd.Series:
    """Return the names of a table as the profile has them; spaces around a name do not count."""
    ours: dict[str, str] = {}
    for one in profile:
        if ours.setdefault(one.strip(), one) != one:
            raise ValuesError(
                f"{where}: wanted names of the profile that differ by more than spaces; got "
                f"{ours[one.strip()]!r} and {one!r}. Give one provider one name."
            )
    names = column.astype(str).str.strip()
    if names.duplicated().any():
        raise ValuesError(
            f"{where}: wanted each provider once; got {names[names.duplicated()].iloc[0]!r} "
            "twice, spaces aside. Keep one row of each."
        )
    if strangers := [one for one in names if one not in ours]:
        more = f" and {len(strangers) - 1} more" if len(strangers) > 1 else ""
        raise UnknownNameError(
            f"{where}: wanted providers that are in the profile; got {strangers[0]!r}{more}, which "
            f"are not.{did_you_mean(strangers[0], ours)} Correct or leave out their rows."
        )
    return names.map(ours)


def _check_not_negative(figures: Mapping[str, Floats], rows: pd.DataFrame, where: str) -> None:
    for name, values in figures.items():
        wrong = values < 0
        if wrong.any():
            at = int(wrong.argmax())
            raise ValuesError(
                f"{where}: {name}: wanted 0 or more; got {values[at]:g} for {rows.index[at]}. "
                "Correct it."
            )
