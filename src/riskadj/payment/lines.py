"""Lines of a statement: a label, a formula with its numbers filled in, and what it amounts to."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Any, Literal

from riskadj.payment.formula import Figure, decimal_text, number, rounded_number
from riskadj.payment.money import Currency, from_minor, to_minor

LineKind = Literal["payment", "sum", "factor", "test", "note"]
"""payment: adds to the total; sum: money for information; test: met or not."""
MET, FAILED, NOT_KNOWN = "met", "not met", "not known"


@dataclass(frozen=True)
class Line:
    """One line of one provider's statement.

    Attributes
    ----------
    place : int
        Of its step in the contract; 0 for the target.
    rule, label : str
    kind : str
    formula : str
        As a spreadsheet takes it; empty for a note.
    value : str
        What the formula gives, rounded as the contract says.
    amount : int
        Of a payment: minor units. Of anything else 0.
    source : str
    confirmed : bool
    """

    place: int
    rule: str
    label: str
    kind: LineKind
    formula: str
    value: str
    amount: int
    source: str
    confirmed: bool


@dataclass(frozen=True)
class Posting:
    """What a step does to one provider's account: lines, and changes of what is known."""

    lines: tuple[Line, ...] = ()
    changes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Writer:
    """Writes the lines of one rule.

    Attributes
    ----------
    currency : Currency
    method : {"half_even", "half_up"}
    digits : int
        Of measured ratios and rates.
    place, rule, source, confirmed
        Of the rule.
    """

    currency: Currency
    method: str
    digits: int
    place: int = 0
    rule: str = ""
    source: str = ""
    confirmed: bool = True

    def at(self, place: int, rule: str, source: str, confirmed: bool) -> "Writer":
        """Return a writer of another rule's lines."""
        return _writer_at(self, place, rule, source, confirmed)

    def minor(self, one: Figure) -> int:
        """Return an amount in minor units."""
        return to_minor(one.value, self.currency, self.method)

    def money(self, minor: int) -> Figure:
        """Return minor units as a number in a formula."""
        return number(Decimal(minor).scaleb(-self.currency.minor_digits))

    def rate(self, value: float) -> Figure:
        """Return a measured ratio or rate, rounded as it is printed."""
        return number(value, self.digits)

    def price(self, value: float) -> Figure:
        """Return a measured amount per episode: four digits below the minor unit."""
        return number(value, self.currency.minor_digits + 4)

    def payment(self, label: str, one: Figure) -> Line:
        """Return a line that adds to the total."""
        amount = self.minor(one)
        return self._line(label, "payment", one.text, from_minor(amount, self.currency), amount)

    def sum(self, label: str, one: Figure) -> Line:
        """Return a line that shows an amount of money."""
        return self._line(label, "sum", one.text, from_minor(self.minor(one), self.currency))

    def factor(self, label: str, one: Figure) -> Line:
        """Return a line that shows a ratio, rounded as the contract says."""
        return self._line(label, "factor", one.text, decimal_text(one, self.digits))

    def rounded(self, one: Figure) -> Figure:
        """Return what a line of a ratio shows, to go on with."""
        return rounded_number(one.value, self.digits)

    def test(self, label: str, formula: str, result: str) -> Line:
        """Return a line that says whether something is met."""
        return self._line(label, "test", formula, result)

    def note(self, label: str) -> Line:
        """Return a line of words."""
        return self._line(label, "note", "", "")

    def _line(self, label: str, kind: LineKind, formula: str, value: str, amount: int = 0) -> Line:
        return Line(
            self.place, self.rule, label, kind, formula, value, amount, self.source, self.confirmed
        )


@lru_cache(maxsize=1024)
def _writer_at(writer: Writer, place: int, rule: str, source: str, confirmed: bool) -> Writer:
    return replace(writer, place=place, rule=rule, source=source, confirmed=confirmed)


ZERO = Figure("0", Fraction(0))
ONE = Figure("1", Fraction(1))
HUNDRED = Figure("100", Fraction(100))
