"""The target price of an episode, line by line.

Price = baseline x trend x case mix x normalisation x (1 - discount), the form of episode-payment
programmes (42 CFR 512.540 and 512.545, TEAM; BPCI Advanced writes it as baseline spending x patient
case mix x peer-adjusted trend). Realised trend and final normalisation may be held within a band
around what was promised.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from riskadj.errors import ValuesError
from riskadj.payment.accounts import Account
from riskadj.payment.formula import Figure, larger, number, smaller
from riskadj.payment.lines import ONE, Line, Posting, Writer
from riskadj.payment.terms import Band, HistoricalBaseline, PriceBaseline, Sourced, Target


@dataclass(frozen=True)
class Population:
    """What a target takes from all providers together.

    Attributes
    ----------
    mean_cost : float
        Of the reference population, per episode; NaN without a cost outcome.
    normalising : Figure or None
        Mean benchmark over mean case-mix-adjusted benchmark.
    """

    mean_cost: float
    normalising: Figure | None = None


def price_episode(
    target: Target, account: Account, population: Population, writer: Writer
) -> Posting:
    """Return the lines of one provider's target price, and the target of its episodes.

    Parameters
    ----------
    target : Target
    account : Account
        Settled: its number of episodes is known.
    population : Population
    writer : Writer

    Raises
    ------
    ValuesError
        When the provider has no baseline price of its own and the contract wants one.
    """
    n = account.n
    if n is None:
        return Posting()
    lines: list[Line] = []
    price, of_baseline = _benchmark(target, account, writer), _at(writer, target, "baseline")
    if price is None:
        return Posting((of_baseline.note("No target: expected cost hidden"),))
    lines.append(of_baseline.sum(BASELINES[target.baseline.kind], price))
    for name, factor in _FACTORS.items():
        figure = factor(target, account, population, _at(writer, target, name), lines)
        price = price * figure if figure is not None else price
    source = target.baseline
    of_price = writer.at(0, "target", source.source, source.confirmed)
    minor = of_price.minor(price)
    total = number(n) * of_price.money(minor)
    lines += [
        of_price.sum("Target price per episode", price),
        of_price.sum("Target of all episodes", total),
    ]
    return Posting(tuple(lines), {"price": minor, "target": of_price.minor(total)})


def population_of(
    target: Target, accounts: Sequence[Account], mean_cost: float, writer: Writer
) -> Population:
    """Return what the target takes from all settled accounts.

    Normalisation: sum(n x benchmark) / sum(n x benchmark x case mix).
    """
    alone = Population(mean_cost)
    if target.normalisation is None:
        return alone
    plain, adjusted = number(0).value, number(0).value
    for one in accounts:
        benchmark, ratio = _benchmark(target, one, writer), _ratio(one, alone, writer)
        if benchmark is not None and ratio is not None and one.n is not None:
            plain += one.n * benchmark.value
            adjusted += one.n * benchmark.value * writer.rounded(ratio).value
    if adjusted == 0:
        return alone
    shown = [writer.money(writer.minor(Figure("", one))) for one in (plain, adjusted)]
    return Population(mean_cost, shown[0] / shown[1])


def _benchmark(target: Target, account: Account, writer: Writer) -> Figure | None:
    return _BASELINES[target.baseline.kind](target.baseline, account, writer)


def _expected(_: Any, account: Account, writer: Writer) -> Figure | None:
    if account.cost is None or np.isnan(account.cost["expected"]):
        return None
    return writer.price(account.cost["expected"])


def _given_price(rule: PriceBaseline, _account: Account, _writer: Writer) -> Figure:
    return number(rule.amount)


def _historical(rule: HistoricalBaseline, account: Account, writer: Writer) -> Figure:
    value = account.given[rule.column] if rule.column else account.party.baseline_price
    if value is None or np.isnan(value):
        raise ValuesError(
            "target.baseline: wanted a historical price for every provider; got none for "
            f"{account.provider_id}. Add {rule.column or 'its baseline_price'}."
        )
    return writer.price(value)


BASELINES: Mapping[str, str] = MappingProxyType(
    {
        "expected": "Own patients' mean expected cost, per episode",
        "price": "Price per episode, the same for all providers",
        "historical": "Own mean cost of earlier years, per episode",
    }
)
"""What a baseline is called, by its kind."""
_BASELINES: Mapping[str, Callable[[Any, Account, Writer], Figure | None]] = MappingProxyType(
    {"expected": _expected, "price": _given_price, "historical": _historical}
)


def _trend(
    target: Target, _a: Account, _p: Population, writer: Writer, lines: list[Line]
) -> Figure | None:
    trend = target.trend
    if trend is None:
        return None
    held, told = number(trend.prospective), "as promised"
    if trend.realised is not None:
        held = _held(number(trend.realised), held, trend.within)
        told = f"as realised{_bounded(trend.within)}"
    lines.append(writer.factor(f"Trend, {told}", held))
    return writer.rounded(held)


def _case_mix(
    target: Target, account: Account, population: Population, writer: Writer, lines: list[Line]
) -> Figure | None:
    if target.case_mix == "none":
        return None
    ratio = _ratio(account, population, writer)
    if ratio is None:
        lines.append(writer.note("Case mix hidden: taken as that of the reference population"))
        return ONE
    label = "Case mix: own mean expected cost / that of the reference population"
    lines.append(writer.factor(label, ratio))
    return writer.rounded(ratio)


def _ratio(account: Account, population: Population, writer: Writer) -> Figure | None:
    expected = _expected(None, account, writer)
    return None if expected is None else expected / writer.price(population.mean_cost)


def _normalisation(
    target: Target, _a: Account, population: Population, writer: Writer, lines: list[Line]
) -> Figure | None:
    rule = target.normalisation
    if rule is None:
        return None
    if population.normalising is None:
        return number(rule.prospective)
    held = _held(population.normalising, number(rule.prospective), rule.within)
    label = "Normalisation: all benchmarks / the same with case mix"
    lines.append(writer.factor(f"{label}{_bounded(rule.within)}", held))
    return writer.rounded(held)


def _discount(
    target: Target, _a: Account, _p: Population, writer: Writer, lines: list[Line]
) -> Figure | None:
    if target.discount is None:
        return None
    left = ONE - number(target.discount.share)
    lines.append(writer.factor("What the payer's discount leaves", left))
    return left


_Factor = Callable[[Target, Account, Population, Writer, list[Line]], Figure | None]
_FACTORS: Mapping[str, _Factor] = MappingProxyType(
    {
        "trend": _trend,
        "case_mix": _case_mix,
        "normalisation": _normalisation,
        "discount": _discount,
    }
)
"""What the baseline is multiplied by, in order."""


def _held(one: Figure, around: Figure, within: Band | None) -> Figure:
    if within is None:
        return one
    floor, cap = around * number(within.floor), around * number(within.cap)
    return smaller(larger(one, floor), cap)


def _bounded(within: Band | None) -> str:
    """Return between which multiples of the promised factor another is held."""
    if within is None:
        return ""
    return f", held between {within.floor:g} and {within.cap:g} times the promised one"


def _at(writer: Writer, target: Target, name: str) -> Writer:
    """Return the writer of a part's lines, with the part's own source, or that of the baseline."""
    own = getattr(target, name)
    rule = own if isinstance(own, Sourced) else target.baseline
    return writer.at(0, f"target.{name}", rule.source, rule.confirmed)
