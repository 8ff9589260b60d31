"""What is said of each provider settled, and of what was settled without being known."""

from collections.abc import Mapping
from types import MappingProxyType

import pandas as pd

from riskadj.payment.accounts import Account
from riskadj.payment.contract import Contract
from riskadj.payment.lines import NOT_KNOWN

SETTLED, AT_TARGET = "settled", "at target"
OUTCOME_HIDDEN, COST_HIDDEN = "settled on cost, outcome hidden", "at target, cost hidden"
NO_OUTCOME = "settled, outcome hidden"
NOT_SETTLED, NOT_COUNTED = "not settled, results hidden", "not settled, episodes not known"
NO_TARGET = "settled without a target, cost hidden"

_FEW = "hidden, or on too few episodes"
MEANINGS: Mapping[str, str] = MappingProxyType(
    {
        SETTLED: "on its results",
        AT_TARGET: f"cost and outcome {_FEW}: the cost counts as the target, and each step says "
        "what it does without an outcome",
        COST_HIDDEN: f"cost {_FEW}: it counts as the target",
        OUTCOME_HIDDEN: f"outcome {_FEW}: each step says what it does without one",
        NO_OUTCOME: f"outcome {_FEW}: each step says what it does without one",
        NO_TARGET: f"cost {_FEW}, and with it the expected one: there is no target, and no step "
        "that is reckoned from one pays or takes anything",
        NOT_SETTLED: f"results {_FEW}; the contract does not settle these (too_few), and 0 is no "
        "verdict",
        NOT_COUNTED: "its number of episodes is hidden or not known, so nothing was worked out: "
        "0 is no verdict, and what it is due has to be agreed otherwise",
    }
)
"""What a provider's status means."""
_MOST_NAMED = 10


def status_of(contract: Contract, account: Account, settled: Mapping[str, Account]) -> str:
    """Return the status of a provider, one of `MEANINGS`."""
    if account.n is None:
        return NOT_COUNTED
    if account.provider_id not in settled:
        return NOT_SETTLED
    if not account.few:
        return SETTLED
    if contract.cost is None:
        return NO_OUTCOME
    if contract.target is not None and account.target is None:
        return NO_TARGET
    if account.cost is not None and account.cost.known:
        return OUTCOME_HIDDEN
    measures = [account.measures.get(one) for one in contract.outcomes]
    shown = all(one is not None and one.known for one in measures)
    return COST_HIDDEN if shown else AT_TARGET


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


def not_listed(contract: Contract, accounts: Mapping[str, Account]) -> tuple[str, ...]:
    """Return whom the provider table has no row of, though they are settled."""
    names = [name for name, one in accounts.items() if not one.listed]
    if not names:
        return ()
    shown = ", ".join(names[:_MOST_NAMED]) + (", ..." if len(names) > _MOST_NAMED else "")
    return (
        f"no row in the provider table of contract {contract.name}: "
        f"{len(names)} of {len(accounts)} providers settled ({shown})",
    )
