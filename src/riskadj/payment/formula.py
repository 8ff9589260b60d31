"""Arithmetic that can be read: a number that knows how it came about.

A statement prints a formula beside each amount. Text and value are made by the same operation,
so that what is printed cannot differ from what is paid. Values are fractions: nothing is rounded
until a line says so. The text is that of a spreadsheet: with `=` before it, a spreadsheet gives
the value.
"""

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction

_SUM, _PRODUCT, _ATOM = 1, 2, 3


@dataclass(frozen=True, slots=True)
class Figure:
    """A number and how it came about.

    Attributes
    ----------
    text : str
        As a spreadsheet takes it.
    value : Fraction
        What it amounts to, exactly.
    rank : int
        How tightly the text holds together: 1 a sum, 2 a product, 3 one number or call.

    Examples
    --------
    >>> saved = number(12) * (number(25000) - number(24100.5))
    >>> saved.text, float(saved.value)
    ('12 * (25000 - 24100.5)', 10794.0)
    """

    text: str
    value: Fraction
    rank: int = _ATOM

    def __add__(self, other: "Figure") -> "Figure":
        return _joined(self, "+", other, self.value + other.value, _SUM)

    def __sub__(self, other: "Figure") -> "Figure":
        return _joined(self, "-", other, self.value - other.value, _SUM)

    def __mul__(self, other: "Figure") -> "Figure":
        return _joined(self, "*", other, self.value * other.value, _PRODUCT)

    def __truediv__(self, other: "Figure") -> "Figure":
        return _joined(self, "/", other, self.value / other.value, _PRODUCT)

    def negated(self) -> "Figure":
        """Return the number with the other sign; no text begins with a sign of its own."""
        return number(0) - self


def number(value: float | int | Decimal, digits: int | None = None) -> Figure:
    """Return a number as it is written, or rounded half to even to a number of digits first.

    Examples
    --------
    >>> number(0.1).value, number(2 / 3, 4).text, number(-1.50, 2).text
    (Fraction(1, 10), '0.6667', '(0 - 1.5)')
    """
    exact = value if isinstance(value, Decimal) else Decimal(str(value))
    if digits is not None:
        exact = exact.quantize(Decimal(1).scaleb(-digits), ROUND_HALF_EVEN)
    return _written(exact)


def smaller(one: Figure, other: Figure) -> Figure:
    """Return the smaller of two numbers."""
    return Figure(f"min({one.text}, {other.text})", min(one.value, other.value))


def larger(one: Figure, other: Figure) -> Figure:
    """Return the larger of two numbers."""
    return Figure(f"max({one.text}, {other.text})", max(one.value, other.value))


def rounded_to(one: Figure, digits: int) -> Figure:
    """Return a number rounded to a number of digits."""
    return Figure(f"round({one.text}, {digits})", rounded_number(one.value, digits).value)


def rounded_number(value: Fraction, digits: int) -> Figure:
    """Return a fraction as one number, rounded half to even.

    Examples
    --------
    >>> rounded_number(Fraction(1, 3), 4).text
    '0.3333'
    """
    return _written(Decimal(round(value * 10**digits)).scaleb(-digits))


def decimal_text(one: Figure, digits: int) -> str:
    """Return a number as decimal text, rounded half to even, without needless zeros.

    Examples
    --------
    >>> decimal_text(number(-0.5), 6), decimal_text(number(2) / number(3), 4)
    ('-0.5', '0.6667')
    """
    exact = Decimal(round(one.value * 10**digits)).scaleb(-digits).normalize()
    return f"{exact + 0:f}"


def _written(exact: Decimal) -> Figure:
    plain = exact.normalize()
    text = f"{abs(plain):f}"
    return Figure(f"(0 - {text})" if plain < 0 else text, Fraction(exact))


def _joined(one: Figure, sign: str, other: Figure, value: Fraction, rank: int) -> Figure:
    left = _inside(one, one.rank < rank)
    right = _inside(other, other.rank < rank or (sign in "-/" and other.rank == rank))
    return Figure(f"{left} {sign} {right}", value, rank)


def _inside(one: Figure, needs_brackets: bool) -> str:
    return f"({one.text})" if needs_brackets else one.text
