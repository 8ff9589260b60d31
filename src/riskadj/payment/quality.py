"""What quality does to money: gates, penalties, payment per unit of outcome."""

from collections.abc import Mapping, Sequence
from functools import reduce
from operator import add, ge, le, lt
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from riskadj.errors import ValuesError
from riskadj.payment.accounts import Account
from riskadj.payment.formula import (
    Figure,
    larger,
    number,
    rounded_number,
    rounded_to,
    smaller,
)
from riskadj.payment.hrrp import MEASURE_COLUMNS, REASONS, hrrp_penalties
from riskadj.payment.lines import (
    FAILED,
    MET,
    NOT_KNOWN,
    ONE,
    ZERO,
    Posting,
    Writer,
)
from riskadj.payment.measures import UNBOUNDED, Measure
from riskadj.payment.steps import (
    AnyCriterion,
    Cause,
    ExcessMeasure,
    Gate,
    NotNegativeOutlier,
    OutcomePayment,
    Penalty,
    RateCriterion,
    TableCriterion,
    word_of,
)
from riskadj.payment.words import for_people

Values = Mapping[str, Mapping[str, float]]
"""By provider, then by measure; NaN where not known."""
_DIGITS = 14
"""Of ratios in a penalty, as programmes publish them."""
CAUSES: Mapping[Cause, str] = MappingProxyType(
    {
        "unanswered": "fewer followed up than the contract asks for",
        "few": "on too few episodes, followed up as the contract asks",
    }
)
"""Why a result is not known, in words."""


# --- a gate ---------------------------------------------------------------------------------------


def pass_gate(gate: Gate, account: Account, _: Values, writer: Writer) -> Posting:
    """Return a line per criterion, and whether all are met.

    The form of England's best-practice tariff for hip and knee replacement (Vanhegan, Sankey,
    Radford, Gibbons 2018, Orthop Proc 100-B SUPP_9:14). A criterion without a value passes or
    fails, as the contract says.
    """
    lines, met = [], True
    for one in gate.criteria:
        mine = writer.at(writer.place, writer.rule, one.source, one.confirmed)
        formula, result = _judged(one, account, mine)
        if result == NOT_KNOWN:
            rule, why = _without_value(one, account)
            lines.append(mine.test(f"{one.label}{why}", "", f"{result} ({rule} by the contract)"))
            met = met and rule == "passes"
            continue
        lines.append(mine.test(_labelled(one, account), formula, result))
        met = met and result == MET
    verdict = writer.note(f"Gate {gate.name}: {'passed' if met else 'not passed'}")
    return Posting((*lines, verdict), {"passed": {**account.passed, gate.name: met}})


def _labelled(one: AnyCriterion, account: Account) -> str:
    """Return what a criterion is called; of an outcome, what is held against what."""
    if not isinstance(one, NotNegativeOutlier):
        return one.label
    measure = account.measures[one.outcome]
    side = "lower" if measure.better > 0 else "upper"
    n = f"; n {measure['n']:.0f}" if not np.isnan(measure["n"]) else ""
    return f"{one.label} (adjusted result against its {one.beyond} {side} limit{n})"


def _without_value(one: AnyCriterion, account: Account) -> tuple[str, str]:
    """Return what a criterion without a value comes to, and why, where that decides."""
    if isinstance(one.not_known, str):
        return one.not_known, ""
    cause = _cause_of(one.outcome, account) if isinstance(one, NotNegativeOutlier) else "unanswered"
    return word_of(one.not_known, cause), f" ({CAUSES[cause]})"


def _judged(one: AnyCriterion, account: Account, writer: Writer) -> tuple[str, str]:
    """Return the test with its numbers filled in, and how it comes out."""
    sign, value, bound = _compared(one, account)
    if np.isnan(value) or np.isnan(bound):
        return "", NOT_KNOWN
    compare = _SIGNS[sign]
    met = compare(number(value).value, number(bound).value)
    told = [writer.rate(value), writer.rate(bound) if _is_measured(one) else number(bound)]
    if compare(told[0].value, told[1].value) != met:
        told = [number(value), number(bound)]  # in full, where rounding would tell otherwise
    return f"{told[0].text} {sign} {told[1].text}", MET if met else FAILED


_SIGNS = MappingProxyType({">=": ge, "<": lt, "<=": le})


def _is_measured(one: AnyCriterion) -> bool:
    """Return whether the bound is worked out, and not of the contract."""
    return isinstance(one, NotNegativeOutlier)


def _compared(one: AnyCriterion, account: Account) -> tuple[str, float, float]:
    """Return how what is compared with what."""
    if not isinstance(one, NotNegativeOutlier):
        return one.bound[0], _value_of(one, account), one.bound[1]
    measure = account.measures.get(one.outcome)
    if measure is None:
        return ">=", np.nan, np.nan
    analysis = (one.method, one.limits) if one.method and one.limits else None
    bounds = measure.bounds.get(analysis, UNBOUNDED)
    limit = bounds.outer if one.beyond == "outer" else bounds.inner
    return ">=" if measure.better > 0 else "<=", bounds.adjusted, limit


def _cause_of(outcome: str, account: Account) -> Cause:
    return account.causes.get(outcome, "unanswered")


def _value_of(one: RateCriterion | TableCriterion, account: Account) -> float:
    if isinstance(one, RateCriterion):
        return account.rates[one.rate]
    return account.given[one.column]


# --- a penalty on excess ratios -------------------------------------------------------------------


def medians_of_peers(step: Penalty, accounts: Sequence[Account]) -> Values:
    """Return the median ratio of each provider's peer group, by measure.

    Of providers with the minimum of cases or more; those without a peer group are a group.
    """
    found: dict[str, dict[str, float]] = {one.provider_id: {} for one in accounts}
    for measure in step.measures:
        ratios: dict[str | None, list[float]] = {}
        for one in accounts:
            n, ratio = _ratio_of(measure, one)
            if n >= step.minimum and not np.isnan(ratio):
                ratios.setdefault(one.party.peer_group, []).append(ratio)
        medians = {group: float(np.median(some)) for group, some in ratios.items()}
        for one in accounts:
            found[one.provider_id][measure.name] = medians.get(one.party.peer_group, np.nan)
    return found


def penalise(step: Penalty, account: Account, medians: Values, writer: Writer) -> Posting:
    """Return the reduction for ratios of predicted to expected above the median of peers.

    Factor = round(1 - min(cap, modifier x sum(weight x (ratio - median))), digits), over the
    measures that `hrrp_penalties` counts; the payment is (factor - 1) x base payments.
    """
    judged = _judged_ratios(step, account, medians[account.provider_id])
    lines = [
        writer.note(f"{row.Index}: {REASONS[row.reason]}{_shown_ratio(row, writer)}")
        for row in judged.itertuples() if row.reason
    ]  # fmt: skip
    base = _base(step, account, writer)
    if base is None:
        return Posting((*lines, writer.note("No penalty: base payments not known")))
    parts = [
        number(row.drg_ratio, _DIGITS)
        * (number(row.err, _DIGITS) - number(row.peer_median, _DIGITS))
        for row in judged[judged["reason"] == ""].itertuples()
    ]
    total = number(step.neutrality_modifier) * reduce(add, parts) if parts else ZERO
    held = smaller(larger(total, number(step.reduction.floor)), number(step.reduction.cap))
    held = held if parts else ZERO  # the least reduction is of those above their peers
    factor = rounded_to(ONE - held, step.factor_digits)
    whole = rounded_number(factor.value, step.factor_digits)
    between = f"{number(step.reduction.floor).text} and {number(step.reduction.cap).text}"
    label = f"Payment adjustment factor, the reduction held between {between}"
    lines.append(writer.factor(label, factor))
    return Posting((*lines, writer.payment("Penalty", ((ONE - whole) * base).negated())))


def _judged_ratios(step: Penalty, account: Account, of_peers: Mapping[str, float]) -> pd.DataFrame:
    """Return what `hrrp_penalties` says of a provider's measures; what it refuses, by its name."""
    table = pd.DataFrame(
        {one.name: _excess(one, account, of_peers) for one in step.measures},
        index=MEASURE_COLUMNS,
    ).T
    try:
        return hrrp_penalties(table, step.neutrality_modifier, step.minimum)
    except ValuesError as refused:
        raise ValuesError(f"penalty of {account.provider_id}: {refused}") from refused


def _shown_ratio(row: Any, writer: Writer) -> str:
    """Return the numbers behind a measure that costs nothing, as far as they are known.

    Rounded as printed, unless two that differ would look the same.
    """
    told = []
    if not np.isnan(row.err) and not np.isnan(row.peer_median):
        pair = [writer.rate(one) for one in (row.err, row.peer_median)]
        if pair[0].value == pair[1].value:
            pair = [number(one, _DIGITS) for one in (row.err, row.peer_median)]
        sign = "<=" if row.err <= row.peer_median else ">"
        told.append(f"{pair[0].text} {sign} {pair[1].text}")
    if not np.isnan(row.n):
        told.append(f"n {row.n:.0f}")
    return f" {'; '.join(told)}" if told else ""


def _base(step: Penalty, account: Account, writer: Writer) -> Figure | None:
    if step.base_column is None:
        return None if account.target is None else writer.money(account.target)
    value = account.given[step.base_column]
    return None if np.isnan(value) else number(value)


def _excess(one: ExcessMeasure, account: Account, of_peers: Mapping[str, float]) -> list[float]:
    """Return what is known of a measure, in the order of `MEASURE_COLUMNS`."""
    n, ratio = _ratio_of(one, account)
    median = account.given[one.median_column] if one.median_column else one.median
    weight = account.given[one.weight_column] if one.weight_column else one.weight
    return [
        n,
        ratio,
        of_peers[one.name] if median is None else median,
        np.nan if weight is None else weight,
    ]


def _ratio_of(one: ExcessMeasure, account: Account) -> tuple[float, float]:
    if one.outcome is None:
        return account.given[one.n_column or ""], account.given[one.ratio_column or ""]
    measure = account.measures.get(one.outcome)
    if measure is None or not measure.known:
        return np.nan, np.nan
    if measure.better > 0:
        raise ValuesError(
            f"penalty on {one.name}: wanted an outcome of which less is better, as its excess is "
            f"penalised; got {one.outcome}, of which more is. Name one of harm."
        )
    return measure["n"], measure["predicted_ratio"]


# --- payment per unit of outcome ------------------------------------------------------------------


def pay_outcome(step: OutcomePayment, account: Account, _: Values, writer: Writer) -> Posting:
    """Return a payment per unit above expectation, beyond a corridor, within a band.

    Amount = n x price of a unit x d, where n is of episodes answered or settled, as `paid_for`
    says, and d is how far the provider's difference from expectation
    (positive when better; times its reliability where the contract says so) lies beyond the
    corridor. Held between floor and cap, as shares of the target.
    """
    measure = account.measures.get(step.outcome)
    if account.target is None:
        return Posting((writer.note("No payment: no target"),))
    target = writer.money(account.target)
    floor, cap = number(step.within.floor) * target, number(step.within.cap) * target
    cause = _cause_of(step.outcome, account)
    if measure is None or not (measure.known or _shrunken(step, measure, cause)):
        return _without_outcome(step, floor, cause, writer)
    if measure.known and step.reliability and np.isnan(measure["reliability"]):
        return Posting((writer.note("No payment: reliability not known"),))
    gain = _gain_of(step, measure, writer)
    beyond = _beyond(gain, number(step.corridor))
    counts = {"answered": int(measure["n"]), "settled": account.n or 0}
    told = ", ".join(f"{one} {n}" for one, n in counts.items())
    lines = [
        writer.note(f"Episodes: {told}; paid for those {step.paid_for}"),
        writer.sum(_bound_label("least", step.within.floor), floor),
        writer.sum(_bound_label("most", step.within.cap), cap),
        writer.factor(_gain_label(step, measure.known), beyond),
    ]
    due = number(counts[step.paid_for]) * number(step.amount) * writer.rounded(beyond)
    lines.append(writer.payment("Outcome payment", due))
    amount = writer.money(lines[-1].amount)
    if not floor.value <= amount.value <= cap.value:
        bound = cap if amount.value > cap.value else floor
        lines.append(writer.payment("Held to what is the least or the most", bound - amount))
    return Posting(tuple(lines))


def _bound_label(which: str, share: float) -> str:
    return f"The {which} that is paid: {for_people(f'{share:g}')} of the target"


def _shrunken(step: OutcomePayment, measure: Measure, cause: Cause) -> bool:
    """Return whether few results are shown, and the run says what its shrinkage leaves of them."""
    if not step.reliability or cause != "few" or isinstance(step.no_result, str):
        return False
    return not any(np.isnan(measure[one]) for one in ("n", "predicted", "expected"))


def _gain_of(step: OutcomePayment, measure: Measure, writer: Writer) -> Figure:
    """Return how much better than expected a provider is; of few episodes as the run shrinks it."""
    if not measure.known:
        ends = [writer.rate(measure[one]) for one in ("predicted", "expected")]
        return ends[0] - ends[1] if measure.better > 0 else ends[1] - ends[0]
    gain = writer.rate(measure.better * measure["difference"])
    return writer.rate(measure["reliability"]) * gain if step.reliability else gain


def _gain_label(step: OutcomePayment, known: bool) -> str:
    """Return what is paid per unit of."""
    weight = "reliability x " if step.reliability else ""
    if not known:
        weight = "on few episodes, so what the run's shrinkage leaves of "
    beyond = f", beyond a corridor of {number(step.corridor).text}" if step.corridor else ""
    return f"{weight}{step.outcome} above expectation{beyond}, per episode".capitalize()


def _without_outcome(step: OutcomePayment, floor: Figure, cause: Cause, writer: Writer) -> Posting:
    """Return what is paid where the outcome is not known."""
    split = not isinstance(step.no_result, str)
    why = f"no result, {CAUSES[cause]}" if split else "result hidden, or on too few episodes"
    if word_of(step.no_result, cause) == "nothing":
        return Posting((writer.note(f"No payment: {why}"),))
    note = writer.note(f"Held at the floor, by the contract: {why}")
    return Posting((note, writer.payment("Outcome payment without a result", floor)))


def _beyond(gain: Figure, corridor: Figure) -> Figure:
    if gain.value >= 0:
        return larger(ZERO, gain - corridor) if corridor.value else gain
    return smaller(ZERO, gain + corridor) if corridor.value else gain
