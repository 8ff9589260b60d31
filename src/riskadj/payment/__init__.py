"""Contracts as data, and what they pay: targets, settlements and statements."""

from riskadj.payment.contract import Contract, contract_schema, load_contract
from riskadj.payment.hrrp import (
    MEASURE_COLUMNS,
    REASONS,
    ExcessRatio,
    excess_readmission_ratio,
    hrrp_payment_factor,
    hrrp_penalties,
)
from riskadj.payment.money import (
    CURRENCIES,
    Currency,
    currency_of,
    format_money,
    from_minor,
    multiplied,
    round_to_sum,
    share_out,
    to_minor,
)
from riskadj.payment.settle import Settlement, settle
from riskadj.payment.statement import statement_text, statements_html
from riskadj.payment.transfers import (
    high_cost_pool,
    payable_score,
    risk_transfers,
    transfers_in_minor,
)

__all__ = [
    "CURRENCIES",
    "Contract",
    "Currency",
    "ExcessRatio",
    "MEASURE_COLUMNS",
    "REASONS",
    "Settlement",
    "contract_schema",
    "currency_of",
    "excess_readmission_ratio",
    "format_money",
    "from_minor",
    "high_cost_pool",
    "hrrp_payment_factor",
    "hrrp_penalties",
    "load_contract",
    "multiplied",
    "payable_score",
    "risk_transfers",
    "round_to_sum",
    "settle",
    "share_out",
    "statement_text",
    "statements_html",
    "to_minor",
    "transfers_in_minor",
]
