"""What is compared: contracts, each paid on the expectations of one learner."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from riskadj.errors import StudyError, UnknownNameError
from riskadj.payment.contract import Contract, outcomes_wanted
from riskadj.payment.steps import Gate, NotNegativeOutlier, OutcomePayment, Penalty, Uplift
from riskadj.payment.terms import HistoricalBaseline, PriceBaseline
from riskadj.study.learners import OF_COSTS

SUPPLIED = "reference"
"""The learner whose expectations somebody else made; nobody made any of a simulated world."""


@dataclass(frozen=True)
class Variant:
    """A contract as it is tried.

    Attributes
    ----------
    contract : Contract
        Its learners are those that are paid on here.
    """

    contract: Contract

    @property
    def name(self) -> str:
        """Of the contract."""
        return self.contract.name

    @property
    def learner(self) -> str:
        """Whose expectations are paid on; where that of the cost is another's, both.

        Where nothing is expected: what is paid on instead.
        """
        names = [self.contract.learner_of(one) for one in outcomes_wanted(self.contract)]
        return " + ".join(dict.fromkeys(names)) or "provider table"

    @property
    def title(self) -> str:
        """Contract and learner, as a figure calls them."""
        return f"{self.name}, {self.learner}"


def variants_of(contracts: Sequence[Contract], learners: Iterable[str] = ()) -> tuple[Variant, ...]:
    """Return every contract with every learner; without learners, with its own.

    A learner of costs alone takes the place of the contract's learner of the cost, any other that
    of both.

    Raises
    ------
    StudyError
        For a learner that has nothing to say in a simulated world or of a contract, and two
        contracts of one name.
    """
    names = [one.name for one in contracts]
    twice = sorted({one for one in names if names.count(one) > 1})
    if twice:
        raise StudyError(f"wanted contracts of different names; got {twice[0]} twice. Rename one.")
    wanted = tuple(dict.fromkeys(learners))
    found = [
        Variant(one) for contract in contracts
        for one in _each(contract, wanted)
    ]  # fmt: skip
    for one in found:
        _check(one.contract)
    return tuple(found)


def kinds_of(variants: Iterable[Variant]) -> dict[str, set[str]]:
    """Return the learners that are needed, by outcome."""
    needed: dict[str, set[str]] = {}
    for one in variants:
        for outcome in outcomes_wanted(one.contract):
            needed.setdefault(outcome, set()).add(one.contract.learner_of(outcome))
    return needed


def analyses_of(variants: Iterable[Variant]) -> tuple[set[str], set[str]]:
    """Return the methods and limits of further analyses that gates ask for."""
    asked = [
        criterion for one in variants for step in one.contract.steps if isinstance(step, Gate)
        for criterion in step.criteria
        if isinstance(criterion, NotNegativeOutlier) and criterion.method
    ]  # fmt: skip
    return {str(one.method) for one in asked}, {str(one.limits) for one in asked}


def ratios_of(contract: Contract) -> dict[str, str]:
    """Return the columns of excess ratios that a contract penalises, by the name of the measure."""
    return {
        measure.name: measure.ratio_column for step in contract.steps if isinstance(step, Penalty)
        for measure in step.measures if measure.ratio_column
    }  # fmt: skip


def in_absolute_money(contract: Contract) -> bool:
    """Whether amounts of the contract itself mean something only in its own currency.

    Examples
    --------
    >>> from riskadj.payment.contract import load_contract
    >>> in_absolute_money(load_contract("configs/contracts/us_team_spine.yaml"))  # doctest: +SKIP
    False
    """
    prices = (PriceBaseline, HistoricalBaseline)
    priced = contract.target is not None and isinstance(contract.target.baseline, prices)
    paid = (OutcomePayment, Uplift, Penalty)
    return priced or any(isinstance(one, paid) for one in contract.steps) or bool(
        contract.budget.pool
    )  # fmt: skip


def _each(contract: Contract, learners: Sequence[str]) -> list[Contract]:
    """Return a contract by each learner; as it is without any, or where it pays on none."""
    if not learners or contract.on_table_alone:
        return [contract]
    return [_with(contract, one) for one in learners]


def _with(contract: Contract, learner: str) -> Contract:
    if learner not in OF_COSTS:
        return contract.model_copy(update={"learner": learner, "cost_learner": None})
    if contract.cost is None:
        raise StudyError(
            f"contract {contract.name}: wanted a learner of what it pays on; got {learner}, which "
            "speaks of costs only, and it has no cost. Name another --learner."
        )
    return contract.model_copy(update={"cost_learner": learner})


def _check(contract: Contract) -> None:
    if SUPPLIED in (contract.learner, contract.cost_learner):
        raise UnknownNameError(
            f"contract {contract.name}: wanted a learner that can be taught in a simulated world; "
            f"got {SUPPLIED!r}, whose expectations come from outside. Say --learner linear."
        )
