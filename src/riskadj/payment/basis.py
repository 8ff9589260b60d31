"""What a settlement rests on, in words: study, period, outcomes, cost, and who expects them."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from riskadj.payment.contract import Contract
from riskadj.payment.tables import outcome_of

_COUNTED: Mapping[str, str] = MappingProxyType(
    {
        "records": "those with a result in {counted}",
        "episodes": "all eligible",
        "procedures": "procedures of the participation file",
        "volume": "as the contract states",
        "table": "cases of the provider table",
    }
)
NOT_STATED, PERIOD = "not stated", "Period settled"
_FOLLOW_UP = "Follow-up asked"


class Fact(NamedTuple):
    """A fact with what it is called."""

    label: str
    value: str


def basis_of(contract: Contract, study: Mapping[str, Any] | None) -> tuple[Fact, ...]:
    """Return what a settlement rests on, for the head of every statement.

    Parameters
    ----------
    contract : Contract
    study : mapping or None
        What `study.json` holds.
    """
    known = study or {}
    facts = [
        Fact("Programme", f"{contract.title} ({contract.name}, version {contract.version})"),
        Fact("Study", _study(known)),
        Fact(PERIOD, _periods(known)),
        Fact("Episodes settled", _counted(contract)),
        *(Fact("Outcome", _outcome(contract, known, one)) for one in contract.outcomes),
    ]
    if contract.follow_up_asked is not None:
        facts.append(Fact(_FOLLOW_UP, f"of {100 * contract.follow_up_asked:g} % of operations"))
    if contract.cost:
        facts += [
            Fact("Cost", _cost(contract, known)),
            Fact("Cap of costs", cap_of(known, contract.cost) or "none"),
        ]
    return (*facts, Fact("Money", f"{contract.currency.code}, prices of {contract.price_year}"))


def cap_of(study: Mapping[str, Any], cost: str | None) -> str:
    """Return what a study did to the costs of single episodes before they were settled."""
    rule = outcome_of(study, cost).get("winsorise") if cost else None
    if not rule:
        return ""
    group = f" of its {rule['by']}" if rule.get("by") else ""
    return (
        f"an episode's cost above the {rule['upper']:g} quantile{group} counts as that quantile, "
        "as the study says"
    )


def capped(contract: Contract, study: Mapping[str, Any] | None) -> tuple[str, ...]:
    """Return that costs were capped, where they were."""
    cap = cap_of(study or {}, contract.cost)
    return (f"actual costs are capped: {cap}",) if cap else ()


def _study(study: Mapping[str, Any]) -> str:
    if "title" not in study:
        return NOT_STATED
    return f"{study['title']} ({study['name']}, version {study['version']})"


def _periods(study: Mapping[str, Any]) -> str:
    periods = (study.get("split") or {}).get("test") or ()
    return ", ".join(str(one) for one in periods) or NOT_STATED


def _counted(contract: Contract) -> str:
    counted = contract.cost or next(iter(contract.outcomes), "")
    return _COUNTED[contract.count].format(counted=counted)


def _outcome(contract: Contract, study: Mapping[str, Any], name: str) -> str:
    return f"{_measured(study, name)}; expected by {contract.learner_of(name)}"


def _cost(contract: Contract, study: Mapping[str, Any]) -> str:
    name = contract.cost or ""
    rules = (study.get("data") or {}).get("claims") or {}
    since = f", counted from {rules['counted_from']}" if "counted_from" in rules else ""
    return f"{_measured(study, name)}{since}; expected by {contract.learner_of(name)}"


def _measured(study: Mapping[str, Any], name: str) -> str:
    """Return what an outcome measures, and its name in the tables."""
    from riskadj.study import Outcome

    content = outcome_of(study, name)
    if not content.get("instrument") and not content.get("column"):
        return name
    outcome = Outcome.model_validate(content)
    kind = "" if outcome.kind == "cost" else f"; {outcome.kind.replace('_', ' ')}"
    return f"{outcome.measured.title}{kind} ({name})"
