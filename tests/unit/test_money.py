"""Money: there and back to the cent, shares that sum, and what is no amount."""

from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from riskadj.errors import UnknownNameError, ValuesError
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

SEK, JPY, KWD = (currency_of(one) for one in ("SEK", "JPY", "KWD"))
WEIGHTS = st.lists(st.floats(0, 1e6) | st.integers(0, 10**9), min_size=1, max_size=30).filter(any)
TOTALS = st.integers(-(10**15), 10**15)


# --- there and back ---


@pytest.mark.parametrize(
    ("amount", "currency", "minor"),
    [
        ("1234.50", SEK, 123450),
        ("-0.01", SEK, -1),
        ("+7", SEK, 700),
        (" 7 ", SEK, 700),
        (7, SEK, 700),
        (np.int64(7), SEK, 700),
        (0.1, SEK, 10),
        (np.float64(1.1), SEK, 110),
        (1234.56, SEK, 123456),
        (Decimal("0.10"), SEK, 10),
        (Fraction(1, 4), SEK, 25),
        ("1.000", SEK, 100),
        ("7", JPY, 7),
        ("7.001", KWD, 7001),
        ("90071992547409.93", SEK, 9007199254740993),
    ],
)
def test_an_amount_is_its_minor_units(amount, currency, minor):
    assert to_minor(amount, currency) == minor
    assert type(to_minor(amount, currency)) is int


@pytest.mark.parametrize(
    ("amount", "rule", "minor"),
    [
        ("0.005", "half_even", 0),
        ("0.015", "half_even", 2),
        ("-0.005", "half_even", 0),
        ("0.005", "half_up", 1),
        ("-0.005", "half_up", -1),
        ("-0.0049", "half_up", 0),
        (0.1 + 0.2, "half_even", 30),
        (2.675, "half_up", 268),
        (1.005, "half_up", 101),
    ],
)
def test_a_fraction_of_a_minor_unit_is_rounded_by_the_rule_as_decimals_are(amount, rule, minor):
    """1.005 is less than that in binary; what is written is what counts."""
    assert to_minor(amount, SEK, rule) == minor


@given(st.integers(-(10**20), 10**20), st.sampled_from(sorted(CURRENCIES)))
def test_text_reads_back_as_the_same_amount(minor, code):
    currency = currency_of(code)
    text = from_minor(minor, currency)
    assert to_minor(text, currency) == minor
    assert len(text.partition(".")[2]) == currency.minor_digits


@given(st.integers(-(10**13), 10**13))
def test_an_amount_that_went_through_a_float_comes_back(minor):
    assert to_minor(minor / 100, SEK) == minor


@pytest.mark.parametrize(
    "amount",
    ["", "1,234.50", "1 234", "1e3", "1/3", ".5", "5.", "NaN", "inf", "SEK 5", "1_000", "\u0661",
     None, True, float("nan"), float("inf"), Decimal("NaN"), Decimal("Infinity"), pd.NA, 1j, [1]],
)  # fmt: skip
def test_what_is_no_amount_is_refused(amount):
    with pytest.raises(ValuesError, match="amount: wanted a finite number"):
        to_minor(amount, SEK)


@pytest.mark.parametrize(("amount", "currency"), [("1.005", SEK), (0.1 + 0.2, SEK), ("0.5", JPY)])
def test_more_decimals_than_the_currency_has_need_a_rule(amount, currency):
    with pytest.raises(ValuesError, match="Name a rounding rule"):
        to_minor(amount, currency)


def test_an_unknown_rule_is_refused():
    with pytest.raises(ValuesError, match="rounding: wanted one of half_even, half_up; got 'down'"):
        to_minor("1.005", SEK, "down")


@pytest.mark.parametrize("minor", [1.0, "1", True, None, Decimal(1)])
def test_minor_units_are_whole_numbers(minor):
    for function in (from_minor, format_money):
        with pytest.raises(ValuesError, match="wanted a whole number of minor units"):
            function(minor, SEK)
    with pytest.raises(ValuesError, match="wanted a whole number of minor units"):
        share_out(minor, [1])


# --- as it is shown ---


@pytest.mark.parametrize(
    ("minor", "currency", "text"),
    [
        (123450, SEK, "SEK 1 234.50"),
        (-123450, SEK, "SEK -1 234.50"),
        (5, SEK, "SEK 0.05"),
        (-5, SEK, "SEK -0.05"),
        (0, SEK, "SEK 0.00"),
        (123456789012, SEK, "SEK 1 234 567 890.12"),
        (1234567, JPY, "JPY 1 234 567"),
        (1234567, KWD, "KWD 1 234.567"),
    ],
)
def test_a_statement_shows_code_groups_and_every_decimal(minor, currency, text):
    assert format_money(minor, currency) == text


def test_groups_can_be_kept_on_a_line():
    assert format_money(123450, SEK, "\u00a0") == "SEK 1\u00a0234.50"


# --- currencies ---


@pytest.mark.parametrize(("code", "units"), [("SEK", 100), ("ISK", 1), ("JPY", 1), ("BHD", 1000)])
def test_minor_units_are_those_of_the_standard(code, units):
    assert currency_of(code).minor_units == units


def test_an_unknown_currency_is_refused_with_the_nearest():
    with pytest.raises(UnknownNameError, match="Did you mean 'EUR'"):
        currency_of("EURO")
    assert Currency("XTS", 4).minor_units == 10_000


@pytest.mark.parametrize("code", ["sek", "SEKK", "S1K", "", None])
def test_a_code_has_three_capital_letters(code):
    with pytest.raises(ValuesError, match="three capital letters"):
        Currency(code, 2)


@pytest.mark.parametrize("digits", [-1, 5, 2.0, True, None])
def test_decimals_are_from_0_to_4(digits):
    with pytest.raises(ValuesError, match="wanted 0 to 4 decimals"):
        Currency("SEK", digits)


# --- factors ---


def test_factors_are_multiplied_exactly_and_rounded_once():
    assert multiplied(10, "0.25", "0.5", "4", "2") == 10
    assert multiplied(10, "0.25") == 2
    assert multiplied(10, "0.25", rounding="half_up") == 3
    assert multiplied(7) == 7
    assert multiplied(10**18 + 1, Fraction(1, 3), 3) == 10**18 + 1


@pytest.mark.parametrize("factor", [float("nan"), "x", None])
def test_a_factor_is_a_number(factor):
    with pytest.raises(ValuesError, match="factor: wanted a finite number"):
        multiplied(10, factor)


# --- shares ---


@given(TOTALS, WEIGHTS)
@settings(max_examples=200)
def test_shares_sum_to_the_total_and_none_is_a_unit_off(total, weights):
    shares = share_out(total, weights)
    assert sum(shares) == total
    exact = [Fraction(repr(one)) if isinstance(one, float) else Fraction(one) for one in weights]
    for got, one in zip(shares, exact, strict=True):
        assert abs(got - total * one / sum(exact)) < 1
        assert one > 0 or got == 0


@given(st.integers(0, 10**12), WEIGHTS)
def test_a_larger_weight_never_gets_less(total, weights):
    pairs = sorted(zip(weights, share_out(total, weights), strict=True))
    shares = [got for _, got in pairs]
    by_weight = [[got for one, got in pairs if one == weight] for weight, _ in pairs]
    assert all(max(got) - min(got) <= 1 for got in by_weight)
    for (low, less), (high, more) in pairwise(pairs):
        assert low == high or less <= more
    assert sum(shares) == total


@given(TOTALS, WEIGHTS)
def test_a_loss_is_shared_as_a_gain_is(total, weights):
    assert share_out(-total, weights) == [-one for one in share_out(total, weights)]


@given(st.integers(0, 10**9), st.lists(st.integers(0, 1000), min_size=1).filter(any))
def test_the_unit_of_the_weights_does_not_matter(total, weights):
    assert share_out(total, weights) == share_out(total, [Fraction(one, 7) for one in weights])


@given(
    TOTALS,
    st.lists(st.integers(0, 50), min_size=7, max_size=7).filter(any),
    st.permutations("abcdefg"),
)
def test_the_order_of_labels_does_not_matter(total, row, labels):
    weights = dict(zip("abcdefg", row, strict=True))
    other = share_out(total, {one: weights[one] for one in labels})
    got = share_out(total, weights)
    assert got == other
    assert list(got) == list(weights)
    assert list(other) == labels


def test_ties_go_to_the_first_place_or_the_first_label():
    assert share_out(2, [1, 1, 1]) == [1, 1, 0]
    assert share_out(2, {"c": 1, "b": 1, "a": 1}) == {"c": 0, "b": 1, "a": 1}


def test_labels_of_any_kind_tie_in_the_order_of_their_text():
    assert share_out(1, {9: 1, 10: 1, "a": 1}) == {9: 0, 10: 1, "a": 0}
    assert round_to_sum({"b": 0.5, 2: 0.5, 10: 1}, 2) == {"b": 0, 2: 1, 10: 1}


def test_decimal_weights_tie_as_decimals():
    """Of 0.1 + 0.2 and 0.3 the floats differ; of text they do not."""
    assert share_out(1, ["0.3", "0.3"]) == [1, 0]
    assert share_out(1, [0.3, 0.1 + 0.2]) == [0, 1]


def test_arrays_are_shared_by_too():
    got = share_out(10, np.array([1.0, 2.0, 2.0]))
    assert got == [2, 4, 4]
    assert all(type(one) is int for one in got)


def test_nothing_is_shared_by_nothing():
    assert share_out(0, [0, 0]) == [0, 0]
    assert share_out(0, []) == []


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        ([0, 0], "wanted some above 0"),
        ([], "wanted some above 0"),
        ([1, -1], "wanted numbers of 0 or more; got -1"),
        ([1, float("nan")], "weight: wanted a finite number"),
        ([1, None], "weight: wanted a finite number"),
    ],
)
def test_weights_that_say_nothing_are_refused(weights, words):
    with pytest.raises(ValuesError, match=words):
        share_out(100, weights)


# --- rounded together ---


@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=30))
def test_amounts_rounded_together_sum_to_their_total(amounts):
    total = round(sum((Fraction(repr(one)) for one in amounts), Fraction(0)))
    got = round_to_sum(amounts, total)
    assert sum(got) == total
    assert all(abs(one - amount) <= 1 for one, amount in zip(got, amounts, strict=True))


@given(st.lists(st.integers(-(10**9), 10**9), min_size=1))
def test_whole_amounts_stay_as_they_are(amounts):
    assert round_to_sum(amounts, sum(amounts)) == amounts


def test_a_pool_that_does_not_balance_is_refused():
    with pytest.raises(ValuesError, match=r"wanted them to sum to 0 minor units; got \+0\.9 on"):
        round_to_sum([0.5, 0.4], 0)
    with pytest.raises(ValuesError) as refused:
        round_to_sum([], 3)
    assert str(refused.value) == (
        "amounts: wanted them to sum to 3 minor units; got -3 on top. "
        "Rounding does not balance a pool; scale the amounts first."
    )


def test_labels_are_rounded_together_too():
    assert round_to_sum({"b": 0.5, "a": 0.5}, 1) == {"b": 0, "a": 1}
