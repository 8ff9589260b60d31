"""The ledger: a contract's steps taken one by one over every account, and the lines so far."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any, NamedTuple

from riskadj.payment.accounts import Account
from riskadj.payment.budget import BALANCERS
from riskadj.payment.composite import Ranked, adjust_by_composite, ranked, score_all
from riskadj.payment.contract import Budget, Contract
from riskadj.payment.formula import number
from riskadj.payment.lines import Line, Posting, Writer
from riskadj.payment.quality import medians_of_peers, pass_gate, pay_outcome, penalise
from riskadj.payment.sharing import (
    Prepared,
    reconcile,
    share_risk,
    stop_gain,
    stop_loss,
    uplift,
    withhold,
)
from riskadj.payment.steps import AnyStep, Composite, Gate
from riskadj.payment.targets import population_of, price_episode

_NOTHING: Prepared = MappingProxyType({})


class _Rule(NamedTuple):
    """How a step is taken: what it needs of all accounts together, and what it does to one."""

    post: Callable[[Any, Account, Prepared, Writer], Posting]
    prepare: Callable[[Any, Sequence[Account]], Prepared] = lambda *_: _NOTHING


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


class Ledger:
    """The accounts while steps are taken, and the lines so far."""

    def __init__(self, contract: Contract, accounts: Mapping[str, Account]) -> None:
        self.contract = contract
        self.accounts = dict(accounts)
        self.lines: dict[str, list[Line]] = {one: [] for one in accounts}
        self.ranked: tuple[Ranked, ...] = ()
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
        if isinstance(step, Composite):
            self.ranked += ranked(place, step, prepared)
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
