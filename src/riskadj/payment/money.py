"""Amounts of money as whole numbers of the smallest unit: sums to the cent, printed as they are.

An amount is an `int` of minor units (cents, öre) beside a `Currency`. Nothing here is a binary
float on its way in or out: 0.1 + 0.2 is not 0.3, and a statement that is off by a cent is wrong.
What a model computes enters through `to_minor` with a rounding rule, once; what is shared out or
rounded together sums to its total exactly.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from math import floor, isfinite, lcm
from numbers import Integral, Rational, Real
from types import MappingProxyType
from typing import Any, TypeVar, overload

from numpy.typing import NDArray

from riskadj.errors import UnknownNameError, ValuesError, did_you_mean
from riskadj.study.currencies import CURRENCIES as DIGITS

Amount = int | float | str | Decimal | Fraction
"""What stands for an amount or a factor; text as `-1234.50`, with a point and no grouping."""
K = TypeVar("K")

_TEXT = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")
_CODE = re.compile(r"[A-Z]{3}")
_MOST_DIGITS = 4
_APART = Fraction(1, 2)
"""By how much of a minor unit amounts may miss their sum, for floats do."""


@dataclass(frozen=True)
class Currency:
    """A currency.

    Attributes
    ----------
    code : str
        Of ISO 4217, three capital letters.
    minor_digits : int
        Decimals that amounts are kept to, from 0 to 4.

    Examples
    --------
    >>> Currency("SEK", 2).minor_units
    100
    """

    code: str
    minor_digits: int

    def __post_init__(self) -> None:
        if not (isinstance(self.code, str) and _CODE.fullmatch(self.code)):
            raise ValuesError(
                f"currency: wanted a code of three capital letters; got {self.code!r}. "
                "Take it from ISO 4217."
            )
        digits = self.minor_digits
        if type(digits) is not int or not 0 <= digits <= _MOST_DIGITS:
            raise ValuesError(
                f"currency {self.code}: wanted 0 to {_MOST_DIGITS} decimals; got {digits!r}. "
                "Take them from ISO 4217."
            )

    @property
    def minor_units(self) -> int:
        """How many minor units make one of the currency."""
        return int(10**self.minor_digits)


CURRENCIES: Mapping[str, Currency] = MappingProxyType(
    {code: Currency(code, digits) for code, digits in DIGITS.items()}
)
"""Those of ISO 4217's list one that are in circulation; others are made with `Currency`."""


def currency_of(code: str) -> Currency:
    """Return a currency by its code.

    Raises
    ------
    UnknownNameError

    Examples
    --------
    >>> currency_of("JPY")
    Currency(code='JPY', minor_digits=0)
    """
    if code in CURRENCIES:
        return CURRENCIES[code]
    raise UnknownNameError(
        f"currency: wanted the ISO 4217 code of one in circulation; got {code!r}."
        f"{did_you_mean(str(code).upper(), CURRENCIES)} Make others with Currency(code, decimals)."
    )


def to_minor(amount: Amount, currency: Currency, rounding: str | None = None) -> int:
    """Return an amount in minor units.

    Parameters
    ----------
    amount : int, str, Decimal, Fraction or float
        In units of the currency. A float is taken as the shortest decimal that reads back as it.
    currency : Currency
    rounding : {"half_even", "half_up"}, optional
        What to do with a fraction of a minor unit. Without a rule it is refused. `half_up` rounds
        halves away from 0.

    Raises
    ------
    ValuesError
        When the amount is no finite number, or has more decimals than the currency and no rule.

    Examples
    --------
    >>> sek = Currency("SEK", 2)
    >>> to_minor("1234.5", sek), to_minor(0.1, sek), to_minor("-0.005", sek, "half_up")
    (123450, 10, -1)
    >>> to_minor(0.1 + 0.2, sek)
    Traceback (most recent call last):
    riskadj.errors.ValuesError: amount: wanted at most 2 decimals for SEK; got \
0.30000000000000004. Name a rounding rule.
    """
    exact = _exact("amount", amount) * currency.minor_units
    if rounding is not None:
        return _rounded(exact, rounding)
    if exact.denominator == 1:
        return exact.numerator
    raise ValuesError(
        f"amount: wanted at most {currency.minor_digits} decimals for {currency.code}; got "
        f"{amount}. Name a rounding rule."
    )


def from_minor(minor: int, currency: Currency) -> str:
    """Return an amount as decimal text, which `to_minor` reads back.

    Raises
    ------
    ValuesError
        When the amount is not whole.

    Examples
    --------
    >>> from_minor(-123450, Currency("SEK", 2)), from_minor(7, Currency("JPY", 0))
    ('-1234.50', '7')
    """
    return _text(minor, currency, "")


def format_money(minor: int, currency: Currency, grouping: str = " ") -> str:
    """Return an amount as a statement shows it, the same in every locale.

    Parameters
    ----------
    minor : int
    currency : Currency
    grouping : str
        Between thousands; a no-break space where lines may break.

    Raises
    ------
    ValuesError

    Examples
    --------
    >>> format_money(123450, Currency("SEK", 2))
    'SEK 1 234.50'
    """
    return f"{currency.code} {_text(minor, currency, grouping)}"


def multiplied(minor: int, *factors: Amount, rounding: str = "half_even") -> int:
    """Return an amount times factors: computed exactly, rounded once at the end.

    Parameters
    ----------
    minor : int
    *factors : int, str, Decimal, Fraction or float
        Give a contract's factors as text, so that 0.97 is 0.97.
    rounding : {"half_even", "half_up"}
        `half_up` rounds halves away from 0.

    Raises
    ------
    ValuesError

    Examples
    --------
    >>> multiplied(2_000_000, "1.25", "0.97")
    2425000
    """
    exact = Fraction(_whole(minor))
    for one in factors:
        exact *= _exact("factor", one)
    return _rounded(exact, rounding)


@overload
def share_out(total: int, weights: Mapping[K, Amount]) -> dict[K, int]: ...
@overload
def share_out(total: int, weights: Sequence[Amount] | NDArray[Any]) -> list[int]: ...
def share_out(total: int, weights: Any) -> Any:
    """Return whole shares of a total in proportion to weights, which sum to it exactly.

    Largest remainder: each gets the whole part of its exact share, and what is left goes one by
    one to those with the largest fractions. So no share is a whole unit from the exact one, and a
    larger weight never gets less.

    Parameters
    ----------
    total : int
        In minor units; a loss (below 0) is shared as a gain of its size would be.
    weights : mapping of label to weight, or sequence of weights
        Not negative, not all 0 unless the total is. Of equal fractions the first label in the
        alphabet comes first, so that the order of a mapping does not matter; without labels, the
        first place.

    Returns
    -------
    dict of label to int, or list of int
        As the weights came.

    Raises
    ------
    ValuesError

    Notes
    -----
    Hamilton's method of apportionment; Balinski and Young 1982, Fair Representation, Yale
    University Press.

    Examples
    --------
    >>> share_out(100, [1, 1, 1])
    [34, 33, 33]
    >>> share_out(-5, {"b": 1, "a": 1})
    {'b': -2, 'a': -3}
    """
    if isinstance(weights, Mapping):
        return _by_label(weights, lambda row: share_out(total, row))
    exact = [_exact("weight", one) for one in weights]
    if min(exact, default=Fraction(0)) < 0:
        raise ValuesError(f"weights: wanted numbers of 0 or more; got {float(min(exact)):g}.")
    size = abs(_whole(total))
    scale = lcm(*(one.denominator for one in exact))
    parts = [one.numerator * (scale // one.denominator) for one in exact]
    everything = sum(parts)
    if not everything and size:
        raise ValuesError("weights: wanted some above 0 to share by; got none.")
    quotas = [Fraction(size * one, everything or 1) for one in parts]
    shares = _largest_remainder(quotas, size)
    return shares if total >= 0 else [-one for one in shares]


@overload
def round_to_sum(amounts: Mapping[K, Amount], total: int) -> dict[K, int]: ...
@overload
def round_to_sum(amounts: Sequence[Amount] | NDArray[Any], total: int) -> list[int]: ...
def round_to_sum(amounts: Any, total: int) -> Any:
    """Return amounts rounded to whole minor units so that they sum to a total exactly.

    For payments of both signs that must balance, such as transfers that sum to 0. Each is rounded
    down or up; those with the largest fractions go up.

    Parameters
    ----------
    amounts : mapping of label to amount, or sequence of amounts
        In minor units, with fractions. They sum to the total within half a minor unit.
    total : int
        In minor units.

    Returns
    -------
    dict of label to int, or list of int
        As the amounts came; ties as in `share_out`.

    Raises
    ------
    ValuesError

    Examples
    --------
    >>> round_to_sum([33.3, 33.3, -66.6], 0)
    [33, 33, -66]
    """
    if isinstance(amounts, Mapping):
        return _by_label(amounts, lambda row: round_to_sum(row, total))
    exact = [_exact("amount", one) for one in amounts]
    off = sum(exact, Fraction(0)) - _whole(total)
    if abs(off) > _APART:
        raise ValuesError(
            f"amounts: wanted them to sum to {total} minor units; got {float(off):+g} on top. "
            "Rounding does not balance a pool; scale the amounts first."
        )
    return _largest_remainder(exact, total)


def _by_label(row: Mapping[K, Amount], shared: Any) -> dict[K, int]:
    """Return shares by label, in the order they came, whichever that is."""
    ordered = sorted(row, key=str)
    shares = dict(zip(ordered, shared([row[one] for one in ordered]), strict=True))
    return {label: shares[label] for label in row}


def _largest_remainder(exact: list[Fraction], total: int) -> list[int]:
    shares = [floor(one) for one in exact]
    left = total - sum(shares)
    by_fraction = sorted(range(len(exact)), key=lambda at: shares[at] - exact[at])
    for at in by_fraction[:left]:
        shares[at] += 1
    if sum(shares) == total:
        return shares
    raise ValuesError(f"amounts: wanted somebody to share {total} minor units; got nobody.")


def _half_up(exact: Fraction) -> int:
    size = floor(abs(exact) + Fraction(1, 2))
    return size if exact >= 0 else -size


_ROUNDINGS: Mapping[str, Callable[[Fraction], int]] = MappingProxyType(
    {"half_even": round, "half_up": _half_up}
)


def _rounded(exact: Fraction, rounding: str) -> int:
    if rounding not in _ROUNDINGS:
        known = ", ".join(_ROUNDINGS)
        raise ValuesError(f"rounding: wanted one of {known}; got {rounding!r}. Choose one.")
    return _ROUNDINGS[rounding](exact)


def _exact(name: str, amount: Any) -> Fraction:
    """Return a number as a fraction, floats as the decimal that they show."""
    if isinstance(amount, str) and _TEXT.fullmatch(amount.strip()):
        return Fraction(amount.strip())
    if isinstance(amount, Decimal) and amount.is_finite():
        return Fraction(amount)
    if isinstance(amount, Rational) and not isinstance(amount, bool):
        return Fraction(int(amount.numerator), int(amount.denominator))
    if isinstance(amount, Real) and not isinstance(amount, bool) and isfinite(amount):
        return Fraction(repr(float(amount)))
    raise ValuesError(
        f"{name}: wanted a finite number, or text such as -1234.50; got {amount!r}. "
        "Leave missing amounts out."
    )


def _whole(minor: Any) -> int:
    if isinstance(minor, Integral) and not isinstance(minor, bool):
        return int(minor)
    raise ValuesError(f"amount: wanted a whole number of minor units; got {minor!r}. Use to_minor.")


def _text(minor: int, currency: Currency, grouping: str) -> str:
    size = _whole(minor)
    whole, part = divmod(abs(size), currency.minor_units)
    decimals = f".{part:0{currency.minor_digits}d}" if currency.minor_digits else ""
    return f"{'-' if size < 0 else ''}{whole:,}".replace(",", grouping) + decimals
