"""How a statement calls the parts of a contract and writes amounts."""

from collections.abc import Mapping
from types import MappingProxyType

RULES: Mapping[str, str] = MappingProxyType(
    {
        "target": "Target price",
        "target.baseline": "Target price: baseline",
        "target.trend": "Target price: trend",
        "target.case_mix": "Target price: case mix",
        "target.normalisation": "Target price: normalisation",
        "target.discount": "Target price: discount",
        "reconcile": "Target against actual cost",
        "risk_share": "Gains and losses shared",
        "stop_gain": "Limit to gains",
        "stop_loss": "Limit to losses",
        "withhold": "Withheld and returned",
        "gate": "Gate of quality",
        "uplift": "Amount per episode",
        "penalty": "Penalty on excess ratios",
        "composite": "Quality score",
        "outcome_payment": "Payment on outcome",
        "budget": "Budget",
        "too_few": "Not settled",
    }
)
"""What a rule is called, by its name in a contract; of a gate and a budget by the first word."""
MINUS, BREAKLESS = "\N{MINUS SIGN}", "\N{NO-BREAK SPACE}"


def rule_title(place: int, rule: str) -> str:
    """Return what a part of a contract is called in a statement.

    Examples
    --------
    >>> rule_title(2, "outcome_payment"), rule_title(3, "gate best_practice")
    ('Step 2: Payment on outcome (outcome_payment)', 'Step 3: Gate of quality (best_practice)')
    """
    kind, _, name = rule.partition(" ")
    title = f"{RULES.get(kind, kind)} ({name or kind})"
    return f"Step {place}: {title}" if place else title


def for_people(text: str) -> str:
    """Return decimal text for people: thousands set off, a true minus; other text as it is.

    Examples
    --------
    >>> for_people("1234567.50"), for_people("0.752859"), for_people("met")
    ('1,234,567.50', '0.752859', 'met')
    >>> for_people("-7.00") == f"{MINUS}7.00"
    True
    """
    sign, size = (MINUS, text[1:]) if text.startswith("-") else ("", text)
    whole, point, part = size.partition(".")
    if not whole.isdecimal():
        return text
    return f"{sign}{int(whole):,}{point}{part}"
