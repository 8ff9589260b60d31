"""Settlement: a contract's steps taken one by one over every provider's account.

Each step is a small pure function from an account to lines; a payment line adds to the balance, and
the total is the sum of the payment lines. What a budget moves comes last.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from riskadj.digest import digest_of_frame
from riskadj.errors import ValuesError
from riskadj.payment.accounts import Account, Tables, open_accounts, reference_mean
from riskadj.payment.budget import BALANCERS
from riskadj.payment.contract import (
    AnyStep,
    Budget,
    Contract,
    Gate,
    Reconcile,
    RiskShare,
    StopGain,
    StopLoss,
    Uplift,
    Withhold,
)
from riskadj.payment.formula import number
from riskadj.payment.lines import NOT_KNOWN, Line, Posting, Writer
from riskadj.payment.money import Currency, from_minor
from riskadj.payment.quality import (
    adjust_by_composite,
    medians_of_peers,
    pass_gate,
    pay_outcome,
    penalise,
    score_all,
)
from riskadj.payment.targets import population_of, price_episode

LINE_COLUMNS = [
    "provider_id", "place", "rule", "label", "kind", "formula", "value", "amount_minor",
    "confirmed", "source",
]  # fmt: skip
TOTAL_COLUMNS = [
    "provider_id", "status", "episodes", "target_price", "target", "actual", "gates", "total",
    "total_minor",
]  # fmt: skip
_MOST_NAMED = 10
SETTLED, AT_TARGET, NOT_SETTLED = "settled", "at target", "not settled"
OUTCOME_HIDDEN, COST_HIDDEN = "settled on cost, outcome hidden", "at target, cost hidden"
NO_OUTCOME = "settled, outcome hidden"
"""What was hidden of a provider that was settled: outcomes beside a cost, cost alone, outcomes."""


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
        The columns of `TOTAL_COLUMNS`, a row per provider. Amounts as decimal text, empty where
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
    """

    contract: Contract
    lines: pd.DataFrame
    totals: pd.DataFrame
    pool: int
    checks: tuple[Check, ...]
    unconfirmed: tuple[tuple[str, str], ...]
    told: tuple[str, ...]
    run_digest: str

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
    ledger = _Ledger(contract, accounts)
    ledger.price(reference_mean(contract, tables) if contract.adjusts_case_mix else np.nan)
    for place, step in enumerate(contract.steps, start=1):
        ledger.take(place, step)
    ledger.balance_budget()
    left_out = [one for one in everybody if one.provider_id not in accounts]
    lines = _line_table(contract, ledger, everybody)
    totals = _total_table(contract, ledger.accounts, everybody)
    pool = int(totals["total_minor"].sum())
    checks = _checks(contract, lines, totals, len(left_out))
    _hold(contract, checks)
    return Settlement(
        contract,
        lines,
        totals,
        pool,
        checks,
        contract.unconfirmed(),
        (
            *_capped(contract, tables.study),
            *_not_listed(contract, ledger.accounts),
            *_told(lines, totals),
        ),
        tables.digest,
    )


# --- steps that move money ------------------------------------------------------------------------

_Prepared = Mapping[str, Mapping[str, float]]
_NOTHING: _Prepared = MappingProxyType({})


def reconcile(_: Reconcile, account: Account, __: _Prepared, writer: Writer) -> Posting:
    """Return target - actual of all episodes; 0 where the actual cost is hidden."""
    if account.target is None or account.price is None or account.n is None:
        return Posting((writer.note("Not reconciled: no target"),))
    cost = account.cost
    if cost is None or not cost.known:
        note = writer.note("Actual cost hidden, or of too few episodes: taken to be the target")
        return Posting((note,), {"actual": account.target})
    n, paid = number(account.n), writer.price(cost["observed"])
    actual = writer.sum("Actual cost of all episodes", n * paid)
    spent = writer.minor(n * paid)
    due = writer.money(account.target) - writer.money(spent)
    return Posting((actual, writer.payment("Target - actual", due)), {"actual": spent})


def share_risk(step: RiskShare, account: Account, _: _Prepared, writer: Writer) -> Posting:
    """Return the payer's share of the balance so far, taken from it."""
    if account.balance >= 0:
        kept = number(step.gain.payer) * writer.money(account.balance)
        return Posting((writer.payment("Payer's share of the gain", kept.negated()),))
    borne = number(step.loss.payer) * writer.money(-account.balance)
    return Posting((writer.payment("Payer's share of the loss", borne),))


def stop_gain(step: StopGain, account: Account, _: _Prepared, writer: Writer) -> Posting:
    """Return what the balance exceeds the most that is paid by, taken from it."""
    return _stopped(step.share, account, writer, "Stop-gain", gain=True)


def stop_loss(step: StopLoss, account: Account, _: _Prepared, writer: Writer) -> Posting:
    """Return what the balance exceeds the most that is repaid by, given back."""
    own = step.safety_net is not None and account.party.safety_net
    share = step.safety_net if own and step.safety_net is not None else step.share
    return _stopped(share, account, writer, "Stop-loss", gain=False)


def withhold(step: Withhold, account: Account, _: _Prepared, writer: Writer) -> Posting:
    """Return what is held back of the target, and what comes back of it."""
    if account.target is None:
        return Posting((writer.note("Nothing withheld: no target"),))
    held = writer.payment(
        f"Withheld: {number(step.share).text} of the target",
        (number(step.share) * writer.money(account.target)).negated(),
    )
    lines = [held]
    for one in step.returned:
        if one.when is not None and not account.passed.get(one.when, False):
            lines.append(writer.note(f"Not returned: {number(one.share).text}, gate {one.when}"))
            continue
        back = number(one.share) * writer.money(-held.amount)
        lines.append(writer.payment(f"Returned: {one.when or 'without condition'}", back))
    return Posting(tuple(lines))


def uplift(step: Uplift, account: Account, _: _Prepared, writer: Writer) -> Posting:
    """Return an amount per episode."""
    due = number(account.n or 0) * number(step.amount)
    return Posting((writer.payment("Uplift", due),))


def _stopped(share: float, account: Account, writer: Writer, label: str, gain: bool) -> Posting:
    if account.target is None:
        return Posting((writer.note(f"{label}: no target"),))
    so_far = writer.money(abs(account.balance))
    most = number(share) * writer.money(account.target)
    if (account.balance > 0) != gain or so_far.value <= most.value:
        return Posting((writer.note(f"{label} of {number(share).text} of the target not reached"),))
    over = so_far - most
    return Posting((writer.payment(label, over.negated() if gain else over),))


class _Rule(NamedTuple):
    """How a step is taken: what it needs of all accounts together, and what it does to one."""

    post: Callable[[Any, Account, _Prepared, Writer], Posting]
    prepare: Callable[[Any, Sequence[Account]], _Prepared] = lambda *_: _NOTHING


STEPS: Mapping[str, _Rule] = MappingProxyType(
    {
        "reconcile": _Rule(reconcile),
        "risk_share": _Rule(share_risk),
        "stop_gain": _Rule(stop_gain),
        "stop_loss": _Rule(stop_loss),
        "withhold": _Rule(withhold),
        "gate": _Rule(pass_gate),
        "uplift": _Rule(uplift),
        "penalty": _Rule(penalise, medians_of_peers),
        "composite": _Rule(adjust_by_composite, score_all),
        "outcome_payment": _Rule(pay_outcome),
    }
)
"""By the kind that a contract calls them."""


# --- the ledger -----------------------------------------------------------------------------------


class _Ledger:
    """The accounts while steps are taken, and the lines so far."""

    def __init__(self, contract: Contract, accounts: Mapping[str, Account]) -> None:
        self.contract = contract
        self.accounts = dict(accounts)
        self.lines: dict[str, list[Line]] = {one: [] for one in accounts}
        rounding = contract.rounding
        self.writer = Writer(contract.currency.money, rounding.method, rounding.digits)

    def price(self, mean_cost: float) -> None:
        """Give every account its target."""
        target = self.contract.target
        if target is None:
            return
        everybody = tuple(self.accounts.values())
        population = population_of(target, everybody, mean_cost, self.writer)
        for one in everybody:
            self._post(one, price_episode(target, one, population, self.writer))

    def take(self, place: int, step: AnyStep) -> None:
        """Take one step over all accounts."""
        rule, writer = STEPS[step.kind], self._writer(place, step)
        everybody = tuple(self.accounts.values())
        prepared = rule.prepare(step, everybody)
        for one in everybody:
            stopped = step.needs is not None and not one.passed.get(step.needs, False)
            if stopped and step.not_passed == "nothing":
                posting = Posting((writer.note(f"Nothing: gate {step.needs} not passed"),))
            else:
                posting = rule.post(step, one, prepared, writer)
            if stopped and sum(line.amount for line in posting.lines) > 0:
                posting = Posting((writer.note(f"No gain: gate {step.needs} not passed"),))
            self._post(one, posting)

    def balance_budget(self) -> None:
        """Move a neutral budget's balances so that they sum to its pool, to the minor unit."""
        budget = self.contract.budget
        if budget.kind == "open" or not self.accounts:
            return
        writer = self._writer(len(self.contract.steps) + 1, budget)
        pool = writer.minor(number(budget.pool))
        for name, lines in BALANCERS[budget.how](self.accounts, pool, writer).items():
            self._post(self.accounts[name], Posting(lines))

    def _writer(self, place: int, rule: Any) -> Writer:
        return self.writer.at(place, _name_of(rule), rule.source, rule.confirmed)

    def _post(self, account: Account, posting: Posting) -> None:
        name = account.provider_id
        self.lines[name] += posting.lines
        paid = sum(one.amount for one in posting.lines)
        if not paid and not posting.changes:
            return
        self.accounts[name] = replace(account, balance=account.balance + paid, **posting.changes)


def _name_of(rule: Any) -> str:
    """Return what a rule is called in a statement."""
    if isinstance(rule, Budget):
        return f"budget {rule.kind}"
    return f"gate {rule.name}" if isinstance(rule, Gate) else str(rule.kind)


# --- tables ---------------------------------------------------------------------------------------


def _line_table(contract: Contract, ledger: _Ledger, everybody: Sequence[Account]) -> pd.DataFrame:
    rows = [
        (name, one.place, one.rule, one.label, one.kind, one.formula, one.value, one.amount,
         one.confirmed, one.source)
        for account in everybody
        for name in [account.provider_id]
        for one in ledger.lines.get(name) or [_not_settled(contract, account, ledger.writer)]
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=LINE_COLUMNS)


def _not_settled(contract: Contract, account: Account, writer: Writer) -> Line:
    why = (
        "its number of episodes is hidden or not known"
        if account.n is None
        else "its results are hidden or of too few episodes"
    )
    mine = writer.at(0, "too_few", f"contract {contract.name}, too_few", True)
    return mine.note(f"Not settled: {why}")


def _total_table(
    contract: Contract, accounts: Mapping[str, Account], everybody: Sequence[Account]
) -> pd.DataFrame:
    currency = contract.currency.money
    rows = []
    for opened in everybody:
        one = accounts.get(opened.provider_id, opened)
        money = [_shown(amount, currency) for amount in (one.price, one.target, one.actual)]
        rows.append(
            (
                one.provider_id, _status(contract, one, accounts), one.n, *money, _gates(one),
                from_minor(one.balance, currency), one.balance,
            )
        )  # fmt: skip
    return pd.DataFrame(rows, columns=TOTAL_COLUMNS).astype({"episodes": "Int64"})


def _shown(minor: int | None, currency: Currency) -> str:
    return "" if minor is None else from_minor(minor, currency)


def _status(contract: Contract, account: Account, settled: Mapping[str, Account]) -> str:
    if account.provider_id not in settled:
        return NOT_SETTLED
    if not account.few:
        return SETTLED
    if contract.cost is None:
        return NO_OUTCOME
    if account.cost is not None and account.cost.known:
        return OUTCOME_HIDDEN
    measures = [account.measures.get(one) for one in contract.outcomes]
    shown = all(one is not None and one.known for one in measures)
    return COST_HIDDEN if shown else AT_TARGET


def _gates(account: Account) -> str:
    return ", ".join(
        f"{name} {'passed' if met else 'not passed'}" for name, met in account.passed.items()
    )


def _checks(
    contract: Contract, lines: pd.DataFrame, totals: pd.DataFrame, left_out: int
) -> tuple[Check, ...]:
    currency = contract.currency.money
    of_lines = lines.groupby("provider_id")["amount_minor"].sum().reindex(totals["provider_id"])
    same = int((of_lines.to_numpy() == totals["total_minor"]).sum())
    pool, paid = int(totals["total_minor"].sum()), int(lines["amount_minor"].sum())
    told = from_minor(pool, currency)
    counted = (f"{len(totals)}", f"{same}", same == len(totals))
    checks = [
        Check("every total is the sum of its lines", *counted),
        Check("the lines of all sum to the pool", told, from_minor(paid, currency), paid == pool),
    ]
    if contract.budget.kind == "neutral" and left_out < len(totals):
        wanted = Writer(currency, contract.rounding.method, 6).minor(number(contract.budget.pool))
        checks.append(
            Check("the budget's pool", from_minor(wanted, currency), told, wanted == pool)
        )
    return tuple(checks)


def _hold(contract: Contract, checks: Iterable[Check]) -> None:
    """Refuse a settlement that does not add up: nobody is to be paid by it."""
    for one in checks:
        if not one.holds:
            raise ValuesError(
                f"contract {contract.name}: wanted {one.name}: {one.wanted}; got {one.got}. "
                "Nothing was settled. This is a fault of riskadj: report it with the contract."
            )


def _told(lines: pd.DataFrame, totals: pd.DataFrame) -> tuple[str, ...]:
    unknown = lines[(lines["kind"] == "test") & lines["value"].str.startswith(NOT_KNOWN)]
    told = [
        f"{rule}, {label}: {value}, {len(rows)} of {len(totals)} providers"
        for (rule, label, value), rows in unknown.groupby(["rule", "label", "value"], sort=False)
    ]
    for status in (AT_TARGET, COST_HIDDEN, OUTCOME_HIDDEN, NO_OUTCOME, NOT_SETTLED):
        count = int((totals["status"] == status).sum())
        if count:
            told.append(f"{status}, as results are hidden or of too few episodes: {count}")
    return tuple(told)


def _not_listed(contract: Contract, accounts: Mapping[str, Account]) -> tuple[str, ...]:
    """Return whom the provider table has no row of, though they are settled."""
    names = [name for name, one in accounts.items() if not one.listed]
    if not names:
        return ()
    shown = ", ".join(names[:_MOST_NAMED]) + (", ..." if len(names) > _MOST_NAMED else "")
    return (
        f"no row in the provider table of contract {contract.name}: "
        f"{len(names)} of {len(accounts)} providers settled ({shown})",
    )


def _capped(contract: Contract, study: Mapping[str, Any] | None) -> tuple[str, ...]:
    """Return what a study did to the costs of single episodes before they were settled."""
    found = (one for one in (study or {}).get("outcomes", ()) if one["name"] == contract.cost)
    rule = next((one.get("winsorise") for one in found), None)
    if not rule:
        return ()
    group = f" by {rule['by']}" if rule.get("by") else ""
    return (f"actual costs are capped at their {rule['upper']:g} quantile{group}, by the study",)
