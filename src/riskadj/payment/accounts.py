"""What is known of each provider when a contract is settled: from the tables of a run alone."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from riskadj.errors import ColumnError, StudyError, UnknownNameError, ValuesError, did_you_mean
from riskadj.payment.contract import (
    Contract,
    bases_wanted,
    cases_wanted,
    columns_wanted,
    outcomes_wanted,
)
from riskadj.payment.given import given_values
from riskadj.payment.measures import RATES, Measure, followed_up, measures_of, rates_of
from riskadj.payment.steps import Cause
from riskadj.payment.tables import Tables, numbers_of, outcome_of, rows_of
from riskadj.payment.terms import Party

_HIDDEN_BELOW = 6
"""Answers fewer than these are hidden where a study does not say (NHS England, PROMs guide)."""


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
    causes : mapping of str to {"unanswered", "few"}
        By outcome: why its result is not known, if it is not.
    based : bool
        Whether every payment that penalties are reckoned from is known.
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
    causes: Mapping[str, Cause] = field(default_factory=dict)
    based: bool = True
    listed: bool = True
    cost: Measure | None = None
    price: int | None = None
    target: int | None = None
    actual: int | None = None
    balance: int = 0
    passed: Mapping[str, bool] = field(default_factory=dict)

    def settled(self, too_few: str) -> bool:
        """Whether the contract settles this account."""
        known = self.n is not None and self.based
        return known and not (self.few and too_few == "no_settlement")

    @property
    def records(self) -> int:
        """The most episodes with a result in an outcome or the cost, 0 where all are hidden."""
        counts = [one["n"] for one in self.measures.values()]
        return int(max((one for one in counts if not np.isnan(one)), default=0))


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
        For negative or repeated values, shares above 1, and a volume of fewer episodes than there
        are records.
    """
    known = _known_outcomes(contract, tables)
    _check_money(contract, tables.study)
    profile = _profile(contract, known, tables)
    parties = _parties(contract, known, profile)
    measures = {
        outcome: measures_of(rows, outcome, contract, tables) for outcome, rows in known.items()
    }
    rates = rates_of(tables.rates, next(iter(contract.outcomes), None))
    _check_rates(contract, rates)
    given = given_values(contract, tables.given, profile)
    followed = {one: rates_of(tables.rates, one) for one in contract.outcomes}
    accounts = tuple(
        _account(contract, party, measures, rates, given)
        for party in sorted(parties, key=lambda one: one.id)
    )
    _check_volumes(contract, accounts)
    hidden_below = ((tables.study or {}).get("profile") or {}).get("suppress_below", _HIDDEN_BELOW)
    return tuple(
        replace(one, causes={name: _cause(contract, one, followed[name], hidden_below)
                             for name in contract.outcomes})
        for one in accounts
    )  # fmt: skip


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
        found = numbers_of(mine["gain"], "reference")[:1]
    else:
        rows = rows_of(tables.providers, cost, learner)
        n, expected = (numbers_of(rows[one], "providers") for one in ("n", "expected"))
        shown = ~np.isnan(n) & ~np.isnan(expected)
        found = np.array([np.dot(n[shown], expected[shown])]) / max(n[shown].sum(), 1)
    mean = float(found.sum())
    if not mean > 0:
        raise ValuesError(
            f"contract {contract.name}: wanted a mean cost of the reference population above 0, "
            f"for case mix; got {mean:g}. Take case_mix: none, or another run."
        )
    return mean


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
        found[outcome] = rows_of(providers, outcome, learner)
    return found


def _check_money(contract: Contract, study: Mapping[str, Any] | None) -> None:
    """Refuse a study whose costs are not in the contract's money."""
    if study is None or contract.cost is None:
        return
    cost = outcome_of(study, contract.cost)
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
    digits = ((study.get("data") or {}).get("claims") or {}).get("minor_units")
    if digits is not None and int(digits) != contract.currency.minor_digits:
        raise StudyError(
            f"contract {contract.name}: wanted as many currency.minor_digits as the study's claims "
            f"have decimals (data.claims.minor_units, {digits}); got "
            f"{contract.currency.minor_digits}. Bring one to the other."
        )


def _profile(
    contract: Contract, known: Mapping[str, pd.DataFrame], tables: Tables
) -> tuple[str, ...]:
    """Return the providers of the outcomes; where none is paid on, all of the run."""
    if contract.on_table_alone:
        return tuple(dict.fromkeys(tables.providers["provider_id"].astype(str)))
    return tuple(dict.fromkeys(one for rows in known.values() for one in rows.index))


def _parties(
    contract: Contract, known: Mapping[str, pd.DataFrame], profile: Iterable[str]
) -> tuple[Party, ...]:
    if not contract.providers:
        return tuple(Party(id=one) for one in profile)
    named: dict[str, Iterable[str]] = {one: rows.index for one, rows in known.items()}
    for outcome, names in (named or {"the run": tuple(profile)}).items():
        strangers = [one.id for one in contract.providers if one.id not in names]
        if strangers:
            more = f" and {len(strangers) - 1} more" if len(strangers) > 1 else ""
            raise UnknownNameError(
                f"contract {contract.name}: wanted providers that are in the profile of {outcome}; "
                f"got {strangers[0]!r}{more}, which are not."
                f"{did_you_mean(strangers[0], names)} Nothing was settled."
            )
    return contract.providers


def _check_volumes(contract: Contract, accounts: Iterable[Account]) -> None:
    """Refuse a volume that the run contradicts."""
    if contract.count != "volume":
        return
    for one in accounts:
        if one.n is not None and one.n < one.records:
            raise ValuesError(
                f"contract {contract.name}: providers: {one.provider_id}: wanted a volume of "
                f"{one.records} or more, as the run has so many records of it; got {one.n}. "
                "Correct the volume, or settle the periods that it is of."
            )


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
    mine_rates = rates.get(party.id, dict.fromkeys(RATES, np.nan))
    first = mine.get(contract.cost or next(iter(contract.outcomes), ""))
    told = (given or {}).get(party.id, dict.fromkeys(columns_wanted(contract), np.nan))
    few = any(one not in mine or not mine[one].known for one in outcomes_wanted(contract))
    return Account(
        party.id,
        _count(contract, party, first, mine_rates, told),
        mine,
        mine_rates,
        told,
        party,
        few,
        based=not any(np.isnan(told[one]) for one in bases_wanted(contract)),
        listed=given is None or party.id in given,
        cost=mine.get(contract.cost or ""),
    )


def _cause(
    contract: Contract,
    account: Account,
    rates: Mapping[str, Mapping[str, float]],
    hidden_below: int,
) -> Cause:
    """Return why a result is not known, if it is not.

    Where the follow-up is hidden, so few have answered that only a provider of very few patients
    can have followed up as many as the contract asks.
    """
    asked = contract.follow_up_asked
    if asked is None:
        return "unanswered"
    share = followed_up(rates[account.provider_id]) if account.provider_id in rates else np.nan
    if not np.isnan(share):
        return "few" if share >= asked else "unanswered"
    return "few" if (account.n or 0) * asked < hidden_below else "unanswered"


def _count(
    contract: Contract,
    party: Party,
    first: Measure | None,
    rates: Mapping[str, float],
    given: Mapping[str, float],
) -> int | None:
    if contract.count == "volume":
        return party.volume
    if contract.count == "table":
        cases = [given[one] for one in cases_wanted(contract)]
        known = [one for one in cases if not np.isnan(one)]
        return int(sum(known)) if known else None
    none = np.nan
    counted = {
        "records": first["n"] if first else none,
        "episodes": first["episodes"] if first else none,
        "procedures": rates["procedures"],
    }[contract.count]
    return None if np.isnan(counted) else int(counted)
