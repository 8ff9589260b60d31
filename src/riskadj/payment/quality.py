"""What quality does to money: gates, penalties, composite scores, payment per unit of outcome."""

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from operator import add, ge, gt, le, lt
from types import MappingProxyType

import numpy as np
import pandas as pd
from scipy.stats import rankdata

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
    HUNDRED,
    MET,
    NOT_KNOWN,
    ONE,
    ZERO,
    Posting,
    Writer,
)
from riskadj.payment.steps import (
    AnyCriterion,
    Composite,
    ExcessMeasure,
    Gate,
    NotNegativeOutlier,
    OutcomePayment,
    Penalty,
    QualityMeasure,
    RateCriterion,
    TableCriterion,
)

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
    lines.append(writer.factor("Payment adjustment factor", factor))
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


# --- a composite quality score --------------------------------------------------------------------


def score_all(step: Composite, accounts: Sequence[Account]) -> Values:
    """Return each provider's points, 0 to 100, by measure.

    percentile: (rank - 1/2) / providers x 100, ties sharing their mean rank. Without a result:
    what `no_score` says.
    """
    found: dict[str, dict[str, float]] = {one.provider_id: {} for one in accounts}
    for measure in step.measures:
        values = np.array([_quality(measure, one) for one in accounts], dtype=float)
        points = _SCALES[measure.scale.kind](measure, values, _better(measure, accounts))
        points = np.where(np.isnan(points), _FILLS[step.no_score](points), points)
        for account, one in zip(accounts, points, strict=True):
            found[account.provider_id][measure.name] = float(one)
    return found


def _median(points: np.ndarray) -> float:
    known = points[~np.isnan(points)]
    return float(np.median(known)) if known.size else np.nan


_FILLS: Mapping[str, Callable[[np.ndarray], float]] = MappingProxyType(
    {"full_cut": lambda _: 0.0, "median": _median, "none": lambda _: np.nan}
)
"""Points of those without a result."""


def _quality(measure: QualityMeasure, account: Account) -> float:
    """Return the value as it was measured, whichever way is better."""
    if measure.outcome is None:
        return account.given[measure.column or ""]
    mine = account.measures.get(measure.outcome)
    return mine["adjusted"] if mine and mine.known else np.nan


def _better(measure: QualityMeasure, accounts: Sequence[Account]) -> int:
    """Return +1 where more is better, -1 where less is."""
    if measure.outcome is None:
        return 1 if measure.more_is_better else -1
    found = (one.measures[measure.outcome] for one in accounts if measure.outcome in one.measures)
    return next((one.better for one in found), 1)


def _percentile(_: QualityMeasure, values: np.ndarray, better: int) -> np.ndarray:
    known = ~np.isnan(values)
    points = np.full(len(values), np.nan)
    if known.any():
        points[known] = 100 * (rankdata(better * values[known]) - 0.5) / known.sum()
    return points


def _linear(measure: QualityMeasure, values: np.ndarray, better: int) -> np.ndarray:
    """Return points between two ends, which are on the scale of the value itself."""
    zero, full = measure.scale.zero or 0.0, measure.scale.full or 0.0
    if (full - zero) * better < 0:
        more, side = ("more", "above") if better > 0 else ("less", "below")
        raise ValuesError(
            f"composite, {measure.name}: wanted full {side} zero, as {more} is better; got zero "
            f"{zero:g} and full {full:g}. Give both ends as values are measured."
        )
    return np.clip(100 * (values - zero) / (full - zero), 0, 100)


_SCALES: Mapping[str, Callable[[QualityMeasure, np.ndarray, int], np.ndarray]] = MappingProxyType(
    {"percentile": _percentile, "linear": _linear}
)


def adjust_by_composite(
    step: Composite, account: Account, points: Values, writer: Writer
) -> Posting:
    """Return what the composite quality score does to the balance so far.

    A measure without a result counts what `no_score` says. Those left without points are left out,
    and the weights of the others are divided by their sum.
    """
    mine = points[account.provider_id]
    known = [(one, mine[one.name]) for one in step.measures if not np.isnan(mine[one.name])]
    lines = [
        writer.note(_without_result(one.name, mine[one.name], writer))
        for one in step.measures
        if np.isnan(_quality(one, account))
    ]
    if not known or sum(one.weight for one, _ in known) == 0:
        return Posting((*lines, writer.note("No composite score; the balance stays")))
    score = _weighted([(number(one.weight), writer.rate(value)) for one, value in known])
    shown = ", ".join(f"{one.name} {writer.rate(value).text}" for one, value in known)
    lines.append(writer.factor(f"Composite quality score ({shown})", score))
    share = writer.rounded(score) / HUNDRED
    balance = writer.money(abs(account.balance))
    if account.balance >= 0:
        label = "Gain, for quality"
        change = (balance * (number(step.positive) * (ONE - share))).negated()
    else:
        label, change = "Loss, for quality", balance * (number(step.negative) * share)
    return Posting((*lines, writer.payment(label, change)))


def _without_result(name: str, points: float, writer: Writer) -> str:
    if np.isnan(points):
        return f"{name}: no points; the other weights stand for it"
    return f"{name}: no result; counts {writer.rate(points).text} points, by the contract"


def _weighted(parts: Sequence[tuple[Figure, Figure]]) -> Figure:
    total, weights = parts[0][0] * parts[0][1], parts[0][0]
    for weight, value in parts[1:]:
        total, weights = total + weight * value, weights + weight
    return total / weights if len(parts) > 1 else parts[0][1]


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
        writer.factor("Units beyond the corridor, per episode", beyond),
    ]
    due = number(counts[step.paid_for]) * number(step.amount) * writer.rounded(beyond)
    lines.append(writer.payment("Outcome payment", due))
    amount = writer.money(lines[-1].amount)
    if not floor.value <= amount.value <= cap.value:
        bound = cap if amount.value > cap.value else floor
        lines.append(writer.payment("Held to its bound", bound - amount))
    return Posting(tuple(lines))


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
