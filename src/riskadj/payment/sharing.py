"""Steps that move money against a target: what is saved, shared, stopped, withheld and added."""

from collections.abc import Mapping
from typing import Any

from riskadj.payment.accounts import Account
from riskadj.payment.formula import number
from riskadj.payment.lines import Posting, Writer
from riskadj.payment.steps import Reconcile, RiskShare, StopGain, StopLoss, Uplift, Withhold

Prepared = Mapping[str, Mapping[str, Any]]
"""What a step needs of all accounts together, by provider."""


def reconcile(_: Reconcile, account: Account, __: Prepared, writer: Writer) -> Posting:
    """Return target - actual of all episodes; 0 where the actual cost is hidden."""
    if account.target is None or account.price is None or account.n is None:
        return Posting((writer.note("Not reconciled: no target"),))
    cost = account.cost
    if cost is None or not cost.known:
        note = writer.note("Actual cost hidden, or of too few episodes: taken to be the target")
        return Posting((note,), {"actual": account.target})
    n, paid = number(account.n), writer.price(cost["observed"])
    told = "Actual cost of all episodes"
    if account.n != int(cost["n"]):
        told = f"Actual cost: the mean of {cost['n']:.0f} episodes, applied to {account.n}"
    actual = writer.sum(told, n * paid)
    spent = writer.minor(n * paid)
    due = writer.money(account.target) - writer.money(spent)
    return Posting((actual, writer.payment("Target less actual cost", due)), {"actual": spent})


def share_risk(step: RiskShare, account: Account, _: Prepared, writer: Writer) -> Posting:
    """Return the payer's share of the balance so far, taken from it."""
    if not account.balance:
        return Posting((writer.note("No gain and no loss so far to share"),))
    if account.balance >= 0:
        kept = number(step.gain.payer) * writer.money(account.balance)
        label = f"Payer's share of the gain so far: {number(step.gain.payer).text}"
        return Posting((writer.payment(label, kept.negated()),))
    borne = number(step.loss.payer) * writer.money(-account.balance)
    label = f"Payer's share of the loss so far: {number(step.loss.payer).text}"
    return Posting((writer.payment(label, borne),))


def stop_gain(step: StopGain, account: Account, _: Prepared, writer: Writer) -> Posting:
    """Return what the balance exceeds the most that is paid by, taken from it."""
    return _stopped(step.share, account, writer, "Stop-gain", gain=True)


def stop_loss(step: StopLoss, account: Account, _: Prepared, writer: Writer) -> Posting:
    """Return what the balance exceeds the most that is repaid by, given back."""
    own = step.safety_net is not None and account.party.safety_net
    share = step.safety_net if own and step.safety_net is not None else step.share
    return _stopped(share, account, writer, "Stop-loss", gain=False)


def withhold(step: Withhold, account: Account, _: Prepared, writer: Writer) -> Posting:
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


def uplift(step: Uplift, account: Account, _: Prepared, writer: Writer) -> Posting:
    """Return an amount per episode."""
    due = number(account.n or 0) * number(step.amount)
    return Posting((writer.payment("Uplift: episodes x amount", due),))


def _stopped(share: float, account: Account, writer: Writer, label: str, gain: bool) -> Posting:
    if account.target is None:
        return Posting((writer.note(f"{label}: no target"),))
    so_far = writer.money(abs(account.balance))
    most = number(share) * writer.money(account.target)
    what = "paid" if gain else "repaid"
    told = f"{label}: the most that is {what}, {number(share).text} of the target"
    limit = writer.sum(told, most)
    if (account.balance > 0) != gain or so_far.value <= most.value:
        return Posting((limit, writer.note(f"{label} not reached")))
    over = so_far - most
    cut = writer.payment(f"{label}: balance so far beyond it", over.negated() if gain else over)
    return Posting((limit, cut))
