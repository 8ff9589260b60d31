"""What is said of each provider settled, and of what was settled without being known."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

import pandas as pd

from riskadj.payment.accounts import Account
from riskadj.payment.contract import Contract
from riskadj.payment.lines import NOT_KNOWN

SETTLED, COST_HIDDEN = "settled", "cost at target"
NO_OUTCOME = "settled, outcome hidden"
NOT_SETTLED, NOT_COUNTED = "not settled, results hidden", "not settled, episodes not known"
NO_BASE = "not settled, base payments not known"
NO_TARGET = "settled without a target, cost hidden"
UNSETTLED = (NOT_SETTLED, NOT_COUNTED, NO_BASE)
"""Of whom nothing was worked out."""

_FEW = "hidden, or on too few episodes"
_AT_TARGET = f"cost {_FEW}: it counts as the target"
_OUTCOMES: Mapping[str, str] = MappingProxyType(
    {
        "outcome hidden": f"outcome {_FEW}: each step says what it does without one",
        "outcome not answered": "outcome not shown, and fewer followed up than the contract asks "
        "for, or not known how many: each step says what that comes to",
        "outcome on few episodes": "followed up as the contract asks, but outcome on too few "
        "episodes: each step says what that comes to",
    }
)
"""What is said of an outcome that is not known, and what it means."""
MEANINGS: Mapping[str, str] = MappingProxyType(
    {
        SETTLED: "on its results",
        **{f"{SETTLED}, {one}": meaning for one, meaning in _OUTCOMES.items()},
        COST_HIDDEN: _AT_TARGET,
        **{f"{COST_HIDDEN}, {one}": f"{_AT_TARGET}; {told}" for one, told in _OUTCOMES.items()},
        NO_TARGET: f"cost {_FEW}, and with it the expected one: there is no target, and no step "
        "that is reckoned from one pays or takes anything",
        NOT_SETTLED: f"results {_FEW}; the contract does not settle these (too_few), and 0 is no "
        "verdict",
        NOT_COUNTED: "its number of episodes is hidden or not known, so nothing was worked out: "
        "0 is no verdict, and what it is due has to be agreed otherwise",
        NO_BASE: "the provider table does not say what its penalty is reckoned from, so nothing "
        "was worked out: 0 is no verdict, and its row has to be added",
    }
)
"""What a provider's status means."""
_MOST_NAMED = 10


def status_of(contract: Contract, account: Account, settled: Mapping[str, Account]) -> str:
    """Return the status of a provider, one of `MEANINGS`."""
    if not account.based:
        return NO_BASE
    if account.n is None:
        return NOT_COUNTED
    if account.provider_id not in settled:
        return NOT_SETTLED
    if not account.few:
        return SETTLED
    paid = contract.cost is None or (account.cost is not None and account.cost.known)
    if not paid and contract.target is not None and account.target is None:
        return NO_TARGET
    told = _of_outcomes(contract, account)
    return f"{SETTLED if paid else COST_HIDDEN}{told and f', {told}'}"


def _of_outcomes(contract: Contract, account: Account) -> str:
    """Return what is said of the outcomes that are not known; nothing where all are."""
    measures = {one: account.measures.get(one) for one in contract.outcomes}
    unknown = [name for name, one in measures.items() if one is None or not one.known]
    if not unknown:
        return ""
    if contract.follow_up_asked is None:
        return "outcome hidden"
    unanswered = any(account.causes[one] == "unanswered" for one in unknown)
    return "outcome not answered" if unanswered else "outcome on few episodes"


def told_of(lines: pd.DataFrame, totals: pd.DataFrame) -> tuple[str, ...]:
    """Return what was settled without being known, and how many were."""
    unknown = lines[(lines["kind"] == "test") & lines["value"].str.startswith(NOT_KNOWN)]
    told = [
        f"{rule}, {label}: {value}, {len(rows)} of {len(totals)} providers"
        for (rule, label, value), rows in unknown.groupby(["rule", "label", "value"], sort=False)
    ]
    counts = totals["status"].value_counts()
    told += [
        f"{status}: {counts[status]} of {len(totals)} providers ({meaning})"
        for status, meaning in MEANINGS.items()
        if status != SETTLED and status in counts
    ]
    return tuple(told)


def not_listed(contract: Contract, accounts: Iterable[Account]) -> tuple[str, ...]:
    """Return whom the provider table has no row of."""
    everybody = list(accounts)
    names = [one.provider_id for one in everybody if not one.listed]
    if not names:
        return ()
    return (
        f"no row in the provider table of contract {contract.name}: "
        f"{len(names)} of {len(everybody)} providers ({_listed(names)})",
    )


def stretched(accounts: Iterable[Account]) -> tuple[str, ...]:
    """Return whose mean cost stands for more episodes than it is of."""
    told = [
        f"{one.provider_id}: {one.cost['n']:.0f}, applied to {one.n}"
        for one in accounts
        if one.actual is not None and one.cost is not None and one.cost.known
        and one.n is not None and one.n > one.cost["n"]
    ]  # fmt: skip
    if not told:
        return ()
    return (
        "mean actual cost of those with a cost, applied to all that are settled, of "
        f"{len(told)} providers ({_listed(told)})",
    )


def _listed(names: list[str]) -> str:
    return ", ".join(names[:_MOST_NAMED]) + (", ..." if len(names) > _MOST_NAMED else "")
