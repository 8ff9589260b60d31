"""A composite quality score: points of each measure, and what the score does to the balance."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from scipy.stats import rankdata

from riskadj.errors import ValuesError
from riskadj.payment.accounts import Account
from riskadj.payment.formula import Figure, larger, number, smaller
from riskadj.payment.lines import HUNDRED, ONE, ZERO, Line, Posting, Writer
from riskadj.payment.steps import Composite, QualityMeasure, word_of


class Points(NamedTuple):
    """Points of a measure, and what they are worked out from.

    Attributes
    ----------
    points : float
        0 to 100; NaN without.
    value : float
        What points are given for: what was measured; of a percentile its rank. NaN without a
        result.
    among : int
        How many providers have a result.
    measured : float
        The provider's own result; NaN without.
    """

    points: float
    value: float
    among: int
    measured: float


class Ranked(NamedTuple):
    """Everybody's results in a measure of a composite score, the best first.

    Attributes
    ----------
    step : int
        Place of the composite in the contract.
    measure : str
    rows : tuple of (str, float, float)
        Provider, result and points, of those with a result.
    """

    step: int
    measure: str
    rows: tuple[tuple[str, float, float], ...]


Scores = Mapping[str, Mapping[str, Points]]
"""By provider, then by measure."""


def score_all(step: Composite, accounts: Sequence[Account]) -> Scores:
    """Return each provider's points, 0 to 100, by measure.

    percentile: (rank - 1/2) / providers x 100, ties sharing their mean rank. Without a result:
    what `no_score` says.
    """
    found: dict[str, dict[str, Points]] = {one.provider_id: {} for one in accounts}
    for measure in step.measures:
        measured = np.array([_quality(measure, one) for one in accounts], dtype=float)
        scale, among = _SCALES[measure.scale.kind], int((~np.isnan(measured)).sum())
        values = scale.values(measure, measured, _better(measure, accounts))
        figures = [scale.points(measure, one, among) for one in values]
        points = np.array([np.nan if one is None else float(one.value) for one in figures])
        for account, one, value, own in zip(accounts, points, values, measured, strict=True):
            filled = _FILLS[_rule_of(step, measure, account)](points) if np.isnan(one) else one
            found[account.provider_id][measure.name] = Points(
                float(filled), float(value), among, float(own)
            )
    return found


def ranked(place: int, step: Composite, scores: Scores) -> tuple[Ranked, ...]:
    """Return the results behind the points, by measure, those with the most points first."""
    found = []
    for measure in step.measures:
        mine = {name: one[measure.name] for name, one in scores.items()}
        rows = [(name, one.measured, one.points) for name, one in mine.items()
                if not np.isnan(one.measured)]  # fmt: skip
        found.append(Ranked(place, measure.name, tuple(sorted(rows, key=lambda one: -one[2]))))
    return tuple(found)


def _rule_of(step: Composite, measure: QualityMeasure, account: Account) -> str:
    """Return what a measure counts for a provider without a result."""
    cause = account.causes.get(measure.outcome or "", "unanswered")
    return word_of(step.no_score, cause)


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


def _ranks(_: QualityMeasure, values: np.ndarray, better: int) -> np.ndarray:
    known = ~np.isnan(values)
    ranks = np.full(len(values), np.nan)
    ranks[known] = rankdata(better * values[known])
    return ranks


def _of_rank(_: QualityMeasure, rank: float, among: int) -> Figure | None:
    if np.isnan(rank):
        return None
    return HUNDRED * (number(rank) - number(0.5)) / number(among)


def _on_scale(measure: QualityMeasure, values: np.ndarray, better: int) -> np.ndarray:
    """Return values as they are, if the scale pays for what is better."""
    zero, full = _ends(measure)
    if (full - zero) * better < 0:
        more, side = ("more", "above") if better > 0 else ("less", "below")
        raise ValuesError(
            f"composite, {measure.name}: wanted full {side} zero, as {more} is better; got zero "
            f"{zero:g} and full {full:g}. Give both ends as values are measured."
        )
    return values


def _of_value(measure: QualityMeasure, value: float, _: int) -> Figure | None:
    """Return points between two ends, which are on the scale of the value itself."""
    if np.isnan(value):
        return None
    zero, full = (number(one) for one in _ends(measure))
    return smaller(HUNDRED, larger(ZERO, HUNDRED * (number(value) - zero) / (full - zero)))


def _ends(measure: QualityMeasure) -> tuple[float, float]:
    return measure.scale.zero or 0.0, measure.scale.full or 0.0


class _Scale(NamedTuple):
    """How points come about: from what of everybody, by which formula, and how that is said."""

    values: Callable[[QualityMeasure, np.ndarray, int], np.ndarray]
    points: Callable[[QualityMeasure, float, int], Figure | None]
    words: str


_SCALES: Mapping[str, _Scale] = MappingProxyType(
    {
        "percentile": _Scale(
            _ranks, _of_rank, "own result {own}, rank {value} from the worst, of {among} with one"
        ),
        "linear": _Scale(
            _on_scale, _of_value, "own result {value}, where {zero:g} is 0 and {full:g} is 100"
        ),
    }
)


def adjust_by_composite(
    step: Composite, account: Account, scores: Scores, writer: Writer
) -> Posting:
    """Return what the composite quality score does to the balance so far.

    A measure without a result counts what `no_score` says. Those left without points are left out,
    and the weights of the others are divided by their sum.
    """
    mine = scores[account.provider_id]
    lines = [_points_line(one, mine[one.name], writer) for one in step.measures]
    known = [(one, mine[one.name]) for one in step.measures if not np.isnan(mine[one.name].points)]
    if not known or sum(one.weight for one, _ in known) == 0:
        return Posting((*lines, writer.note("No composite score; the balance stays")))
    score = _weighted([(number(one.weight), writer.rate(got.points)) for one, got in known])
    lines.append(writer.factor("Composite quality score: weights x points", score))
    if not account.balance:
        return Posting((*lines, writer.note("No gain and no loss so far for it to change")))
    share = writer.rounded(score) / HUNDRED
    balance = writer.money(abs(account.balance))
    if account.balance >= 0:
        label = "Part of the gain so far taken off, for quality"
        change = (balance * (number(step.positive) * (ONE - share))).negated()
    else:
        label, change = (
            "Part of the loss so far taken off, for quality",
            balance * (number(step.negative) * share),
        )
    return Posting((*lines, writer.payment(label, change)))


def _points_line(measure: QualityMeasure, mine: Points, writer: Writer) -> Line:
    """Return where the points of a measure come from."""
    scale = _SCALES[measure.scale.kind]
    figure = scale.points(measure, mine.value, mine.among)
    if figure is None:
        return writer.note(_without_result(measure.name, mine.points, writer))
    zero, full = _ends(measure)
    told = scale.words.format(
        value=writer.rate(mine.value).text, own=writer.rate(mine.measured).text,
        among=mine.among, zero=zero, full=full,
    )  # fmt: skip
    return writer.factor(f"Points of {measure.name}: {told}", figure)


def _without_result(name: str, points: float, writer: Writer) -> str:
    if np.isnan(points):
        return f"{name}: no points; the other weights stand for it"
    return f"{name}: no result; counts {writer.rate(points).text} points, by the contract"


def _weighted(parts: Sequence[tuple[Figure, Figure]]) -> Figure:
    total, weights = parts[0][0] * parts[0][1], parts[0][0]
    for weight, value in parts[1:]:
        total, weights = total + weight * value, weights + weight
    return total / weights if len(parts) > 1 else parts[0][1]
