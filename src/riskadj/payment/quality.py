"""What quality does to money: gates, penalties, payment per unit of outcome."""

from collections.abc import Mapping, Sequence
from functools import reduce
from operator import add, ge, gt, le, lt
from types import MappingProxyType

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
from riskadj.payment.steps import (
    AnyCriterion,
    ExcessMeasure,
    Gate,
    NotNegativeOutlier,
    OutcomePayment,
    Penalty,
    RateCriterion,
    TableCriterion,
)
from riskadj.payment.words import for_people

Values = Mapping[str, Mapping[str, float]]
"""By provider, then by measure; NaN where not known."""
_DIGITS = 14
"""Of ratios in a penalty, as programmes publish them."""


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
        passes = result == MET or (result == NOT_KNOWN and one.not_known == "passes")
        by_rule = f" ({one.not_known} by the contract)" if result == NOT_KNOWN else ""
        lines.append(mine.test(_labelled(one), formula, f"{result}{by_rule}"))
        met = met and passes
    verdict = writer.note(f"Gate {gate.name}: {'passed' if met else 'not passed'}")
    return Posting((*lines, verdict), {"passed": {**account.passed, gate.name: met}})


def _labelled(one: AnyCriterion) -> str:
    """Return what a criterion is called; a place needs a key."""
    if isinstance(one, NotNegativeOutlier):
        return f"{one.label} (place: 0 within limits, -1 beyond the inner, -2 beyond the outer)"
    return one.label


def _judged(one: AnyCriterion, account: Account, writer: Writer) -> tuple[str, str]:
    """Return the test with its numbers filled in, and how it comes out."""
    if isinstance(one, NotNegativeOutlier):
        sign, bound = ">", number(-2 if one.beyond == "outer" else -1)
        value = _place_of(one, account)
    else:
        sign, bound = one.bound[0], number(one.bound[1])
        value = _value_of(one, account)
    if np.isnan(value):
        return "", NOT_KNOWN
    exact, shown = number(value), writer.rate(value)
    met = _SIGNS[sign](exact.value, bound.value)
    if _SIGNS[sign](shown.value, bound.value) != met:
        shown = exact  # printed in full, where rounding would tell another story
    return f"{shown.text} {sign} {bound.text}", MET if met else FAILED


_SIGNS = MappingProxyType({">": gt, ">=": ge, "<": lt, "<=": le})


def _place_of(one: NotNegativeOutlier, account: Account) -> float:
    measure = account.measures.get(one.outcome)
    analysis = (one.method, one.limits) if one.method and one.limits else None
    return measure.places.get(analysis, np.nan) if measure else np.nan


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
    table = pd.DataFrame(
        {one.name: _excess(one, account, medians[account.provider_id]) for one in step.measures},
        index=MEASURE_COLUMNS,
    ).T
    judged = hrrp_penalties(table, step.neutrality_modifier, step.minimum)
    lines = [
        writer.note(f"{name}: {REASONS[why]}") for name, why in judged["reason"].items() if why
    ]
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
    if measure is None or not measure.known:
        return _without_outcome(step, floor, writer)
    gain = writer.rate(measure.better * measure["difference"])
    if step.reliability:
        if np.isnan(measure["reliability"]):
            return Posting((writer.note("No payment: reliability not known"),))
        gain = writer.rate(measure["reliability"]) * gain
    beyond = _beyond(gain, number(step.corridor))
    counts = {"answered": int(measure["n"]), "settled": account.n or 0}
    told = ", ".join(f"{one} {n}" for one, n in counts.items())
    lines = [
        writer.note(f"Episodes: {told}; paid for those {step.paid_for}"),
        writer.sum(_bound_label("least", step.within.floor), floor),
        writer.sum(_bound_label("most", step.within.cap), cap),
        writer.factor(_gain_label(step), beyond),
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


def _gain_label(step: OutcomePayment) -> str:
    """Return what is paid per unit of."""
    weight = "reliability x " if step.reliability else ""
    beyond = f", beyond a corridor of {number(step.corridor).text}" if step.corridor else ""
    return f"{weight}{step.outcome} above expectation{beyond}, per episode".capitalize()


def _without_outcome(step: OutcomePayment, floor: Figure, writer: Writer) -> Posting:
    """Return what is paid where the outcome is not known."""
    why = "result hidden, or on too few episodes"
    if step.no_result == "nothing":
        return Posting((writer.note(f"No payment: {why}"),))
    note = writer.note(f"Held at the floor, by the contract: {why}")
    return Posting((note, writer.payment("Outcome payment without a result", floor)))


def _beyond(gain: Figure, corridor: Figure) -> Figure:
    if gain.value >= 0:
        return larger(ZERO, gain - corridor) if corridor.value else gain
    return smaller(ZERO, gain + corridor) if corridor.value else gain
