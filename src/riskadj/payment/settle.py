"""Settlement: a contract's steps taken one by one over every provider's account.

Each step is a small pure function from an account to lines; a payment line adds to the balance, and
the total is the sum of the payment lines. What a budget moves comes last.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from riskadj.digest import digest_of_frame
from riskadj.errors import ValuesError
from riskadj.payment.accounts import Account, open_accounts, reference_mean
from riskadj.payment.basis import Fact, basis_of, capped
from riskadj.payment.composite import Ranked
from riskadj.payment.contract import Contract, outcomes_wanted
from riskadj.payment.formula import number
from riskadj.payment.ledger import Ledger
from riskadj.payment.lines import Line, Writer
from riskadj.payment.money import Currency, from_minor
from riskadj.payment.status import (
    MEANINGS,
    UNSETTLED,
    not_listed,
    status_of,
    stretched,
    told_of,
)
from riskadj.payment.tables import Source, Tables

LINE_COLUMNS = [
    "provider_id", "place", "rule", "label", "kind", "formula", "value", "amount_minor",
    "confirmed", "source",
]  # fmt: skip
TOTAL_COLUMNS = [
    "provider_id", "status", "episodes", "target_price", "target", "actual", "gates", "total",
    "total_minor",
]  # fmt: skip
WITH = "with_"
"""Before the name of an outcome or cost: how many episodes have a result in it."""


class Check(NamedTuple):
    """Something that has to hold of a settlement.

    Attributes
    ----------
    name : str
    wanted, got : str
    holds : bool
    """

    name: str
    wanted: str
    got: str
    holds: bool


@dataclass(frozen=True)
class Settlement:
    """Who is paid what, and how it came about.

    Attributes
    ----------
    contract : Contract
    lines : DataFrame
        The columns of `LINE_COLUMNS`, a row per line of a statement; by provider, in order.
        `amount_minor` of lines that are no payment is 0.
    totals : DataFrame
        The columns of `TOTAL_COLUMNS`, and `with_` and the name of each outcome and the cost: how
        many episodes have a result in it. A row per provider. Amounts as decimal text, empty where
        there is none; `total_minor` in minor units.
    pool : int
        The sum of all totals, in minor units.
    checks : tuple of Check
    unconfirmed : tuple of (str, str)
        Rule and source, where constants were not confirmed.
    told : tuple of str
        What was settled without being known: criteria by the contract's rule, and who was left out.
    run_digest : str
        Of the run that was settled.
    basis : tuple of Fact
        What it rests on: programme, study, period, learners, costs.
    ranked : tuple of Ranked
        The results behind the points of composite scores.
    source : Source or None
        The run folder that was settled; None where there is none.
    """

    contract: Contract
    lines: pd.DataFrame
    totals: pd.DataFrame
    pool: int
    checks: tuple[Check, ...]
    unconfirmed: tuple[tuple[str, str], ...]
    told: tuple[str, ...]
    run_digest: str
    basis: tuple[Fact, ...]
    ranked: tuple[Ranked, ...] = ()
    source: Source | None = None

    @property
    def currency(self) -> Currency:
        """The unit of account."""
        return self.contract.currency.money

    @cached_property
    def digest(self) -> str:
        """Of the lines, the contract and the run."""
        return digest_of_frame(self.lines, self.contract.digest, self.run_digest)


def settle(
    contract: Contract,
    providers: pd.DataFrame,
    rates: pd.DataFrame | None = None,
    provider_table: pd.DataFrame | None = None,
    *,
    reference: pd.DataFrame | None = None,
    analyses: pd.DataFrame | None = None,
    study: Mapping[str, Any] | None = None,
    run_digest: str = "",
) -> Settlement:
    """Settle a contract on the results of a run.

    Parameters
    ----------
    contract : Contract
    providers : DataFrame
        The rows of `providers.csv`, after disclosure control: nothing hidden is paid on.
    rates, reference, analyses : DataFrame, optional
        The rows of the files of these names.
    provider_table : DataFrame, optional
        `provider_id` and the further columns that the contract names.
    study : mapping, optional
        What `study.json` holds; says currency and price year, and of which outcomes less is better.
    run_digest : str

    Returns
    -------
    Settlement

    Raises
    ------
    UnknownNameError
        For an outcome, learner, analysis or provider that the run does not have, and a provider of
        the provider table that is not in the profile.
    StudyError
        When contract and study differ in currency or price year.
    ColumnError
        When a table lacks what a rule wants.
    ValuesError
        For negative or repeated values, a neutral budget that cannot be met, and a settlement whose
        checks do not hold.

    Examples
    --------
    >>> settle(contract, run.findings.providers, run.findings.rates)  # doctest: +SKIP
    """
    tables = Tables(providers, rates, reference, analyses, provider_table, study, run_digest)
    return settle_tables(contract, tables)


def settle_tables(contract: Contract, tables: Tables) -> Settlement:
    """Settle a contract on the tables of a run; see `settle`."""
    everybody = open_accounts(contract, tables)
    accounts = {one.provider_id: one for one in everybody if one.settled(contract.too_few)}
    ledger = Ledger(contract, accounts)
    ledger.price(reference_mean(contract, tables) if contract.adjusts_case_mix else np.nan)
    for place, step in enumerate(contract.steps, start=1):
        ledger.take(place, step)
    ledger.balance_budget()
    lines = _line_table(contract, ledger, everybody)
    totals = _total_table(contract, ledger.accounts, everybody)
    pool = int(totals["total_minor"].sum())
    checks = _checks(contract, lines, totals, pool)
    _hold(contract, checks)
    return Settlement(
        contract,
        lines,
        totals,
        pool,
        checks,
        contract.unconfirmed(),
        (
            *capped(contract, tables.study),
            *stretched(ledger.accounts.values()),
            *not_listed(contract, everybody),
            *told_of(lines, totals),
        ),
        tables.digest,
        basis_of(contract, tables.study),
        ledger.ranked,
        tables.source,
    )


def _line_table(contract: Contract, ledger: Ledger, everybody: Sequence[Account]) -> pd.DataFrame:
    rows = [
        (name, one.place, one.rule, one.label, one.kind, one.formula, one.value, one.amount,
         one.confirmed, one.source)
        for account in everybody
        for name in [account.provider_id]
        for one in ledger.lines.get(name) or [_not_settled(contract, account, ledger)]
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=LINE_COLUMNS)


def _not_settled(contract: Contract, account: Account, ledger: Ledger) -> Line:
    status = status_of(contract, account, ledger.accounts)
    mine = ledger.writer.at(0, "too_few", f"contract {contract.name}, count and too_few", True)
    return mine.note(f"Not settled: {MEANINGS[status]}")


def _total_table(
    contract: Contract, accounts: Mapping[str, Account], everybody: Sequence[Account]
) -> pd.DataFrame:
    currency = contract.currency.money
    outcomes = outcomes_wanted(contract)
    rows = []
    for opened in everybody:
        one = accounts.get(opened.provider_id, opened)
        money = [_shown(amount, currency) for amount in (one.price, one.target, one.actual)]
        rows.append(
            (
                one.provider_id, status_of(contract, one, accounts), one.n, *money, _gates(one),
                from_minor(one.balance, currency), one.balance,
                *(_answers(one, outcome) for outcome in outcomes),
            )
        )  # fmt: skip
    counts = [f"{WITH}{one}" for one in outcomes]
    table = pd.DataFrame(rows, columns=[*TOTAL_COLUMNS, *counts])
    return table.astype(dict.fromkeys(["episodes", *counts], "Int64"))


def _answers(account: Account, outcome: str) -> int | None:
    """Return how many episodes have a result; None where that is hidden."""
    measure = account.measures.get(outcome)
    return None if measure is None or np.isnan(measure["n"]) else int(measure["n"])


def _shown(minor: int | None, currency: Currency) -> str:
    return "" if minor is None else from_minor(minor, currency)


def _gates(account: Account) -> str:
    return ", ".join(
        f"{name} {'passed' if met else 'not passed'}" for name, met in account.passed.items()
    )


def recheck(settlement: Settlement) -> None:
    """Hold a settlement against what has to be true of it, before anybody is paid by it.

    Raises
    ------
    ValuesError
        When totals are not the sums of their lines, an amount in words is not that in minor units,
        or totals do not sum to the pool, or this not to what a neutral budget promised.
    """
    found = _checks(settlement.contract, settlement.lines, settlement.totals, settlement.pool)
    _hold(settlement.contract, found)


def _checks(
    contract: Contract, lines: pd.DataFrame, totals: pd.DataFrame, pool: int
) -> tuple[Check, ...]:
    currency = contract.currency.money
    of_lines = lines.groupby("provider_id")["amount_minor"].sum().reindex(totals["provider_id"])
    same = int((of_lines.to_numpy() == totals["total_minor"].to_numpy()).sum())
    paid, promised = int(lines["amount_minor"].sum()), int(totals["total_minor"].sum())
    written, right = _as_written(lines, totals, currency)
    checks = [
        _counted("every total is the sum of its lines", len(totals), same),
        _counted("every amount is written as it is paid", written, right),
        _summed("the lines of all sum to the pool", pool, paid, currency),
        _summed("the totals of all sum to the pool", pool, promised, currency),
    ]
    if contract.budget.kind == "neutral" and not _nobody(totals):
        wanted = Writer(currency, contract.rounding.method, 6).minor(number(contract.budget.pool))
        checks.append(_summed("the budget's pool", wanted, pool, currency))
    return tuple(checks)


def _counted(name: str, wanted: int, got: int) -> Check:
    return Check(name, f"{wanted}", f"{got}", wanted == got)


def _summed(name: str, wanted: int, got: int, currency: Currency) -> Check:
    return Check(name, from_minor(wanted, currency), from_minor(got, currency), wanted == got)


def _nobody(totals: pd.DataFrame) -> bool:
    return bool(totals["status"].isin(UNSETTLED).all())


def _as_written(lines: pd.DataFrame, totals: pd.DataFrame, currency: Currency) -> tuple[int, int]:
    """Return how many amounts are written in words, and how many of them rightly."""
    payments = lines[lines["kind"] == "payment"]
    texts = [*payments["value"], *totals["total"]]
    paid = [*payments["amount_minor"], *totals["total_minor"]]
    wanted = [from_minor(int(one), currency) for one in paid]
    return len(texts), sum(one == other for one, other in zip(texts, wanted, strict=True))


def _hold(contract: Contract, checks: Iterable[Check]) -> None:
    """Refuse a settlement that does not add up: nobody is to be paid by it."""
    for one in checks:
        if not one.holds:
            raise ValuesError(
                f"contract {contract.name}: wanted {one.name}: {one.wanted}; got {one.got}. "
                "Nothing was settled. Settle the contract anew; should it come again, it is a "
                "fault of riskadj."
            )
