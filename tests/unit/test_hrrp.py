"""Readmission penalties: what counts, what is refused, and identities of the factor."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit
from settling import check_refusal

import riskadj.payment
from riskadj.errors import ArrayError, ColumnError, ValuesError
from riskadj.payment.hrrp import (
    REASONS,
    excess_readmission_ratio,
    hrrp_payment_factor,
    hrrp_penalties,
)


def table(**columns):
    rows = {"n": [100.0], "err": [1.1], "peer_median": [1.0], "drg_ratio": [0.1]}
    return pd.DataFrame(rows | columns, index=["HF"])


def test_the_stable_name_is_where_users_look_for_it():
    assert riskadj.payment.hrrp_payment_factor is hrrp_payment_factor


def test_a_penalty_is_modifier_times_share_times_excess():
    found = hrrp_penalties(table(), 0.9)
    assert found.loc["HF", "penalty"] == pytest.approx(0.9 * 0.1 * 0.1)
    assert found.loc["HF", "excess"] == pytest.approx(0.1)
    assert hrrp_payment_factor(table(), 0.9) == 0.991


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"n": [25]}, ""),
        ({"n": [24]}, "below_minimum"),
        ({"n": [24], "err": [None], "drg_ratio": [None]}, "below_minimum"),
        ({"err": [1.0]}, "not_above_peers"),
        ({"err": [0.97], "peer_median": [0.96]}, ""),
        ({"err": [1.2], "peer_median": [1.3]}, "not_above_peers"),
        ({"peer_median": [None]}, "suppressed"),
        ({"peer_median": [None], "drg_ratio": [None]}, "suppressed"),
        ({"n": ["NQ"], "err": ["NQ"], "drg_ratio": ["NQ"]}, "no_result"),
        ({"n": [None], "err": [np.nan], "peer_median": [None]}, "no_result"),
    ],
)
def test_a_measure_counts_or_says_why_not(changed, reason):
    found = hrrp_penalties(table(**changed), 1.0).loc["HF"]
    assert found["reason"] == reason
    assert (found["penalty"] > 0) == (reason == "")
    assert reason in REASONS


@pytest.mark.parametrize(
    ("text", "number"), [("10%", 0.1), (" 0.07% ", 0.0007), ("0.1", 0.1), ("100%", 1.0)]
)
def test_text_of_the_reports_is_read_as_the_number_it_means(text, number):
    found = hrrp_penalties(table(drg_ratio=[text]), 1.0)
    assert found.loc["HF", "drg_ratio"] == pytest.approx(number, rel=1e-15)


@pytest.mark.parametrize("kind", [object, "string", "str"])
def test_text_and_numbers_give_the_same_factor(kind):
    as_text = table(n=["100"], err=["1.1"], peer_median=["1.0"], drg_ratio=["10%"]).astype(kind)
    assert hrrp_payment_factor(as_text, 0.9) == hrrp_payment_factor(table(), 0.9)


def test_nullable_numbers_are_numbers():
    nullable = table().convert_dtypes()
    nullable.loc["COPD"] = [pd.NA, pd.NA, 1.0, pd.NA]
    assert hrrp_payment_factor(nullable, 0.9) == 0.991


def test_the_reduction_is_capped():
    assert hrrp_payment_factor(table(err=[9.0]), 1.0) == 0.97
    assert hrrp_payment_factor(table(err=[9.0]), 1.0, cap=0.01) == 0.99
    assert hrrp_payment_factor(table(err=[1.1]), 1.0, cap=0.0) == 1.0


def test_without_measures_there_is_no_penalty():
    assert hrrp_payment_factor(table().iloc[:0], 0.9) == 1.0


measure = st.tuples(
    st.integers(0, 60), st.floats(0.5, 1.5), st.floats(0.8, 1.2), st.floats(0.0, 0.2)
)


@given(st.lists(measure, min_size=1, max_size=6), st.floats(0.5, 1.5), st.floats(0, 0.2))
def test_a_factor_is_between_its_floor_and_1_and_worse_ratios_never_raise_it(rows, modifier, more):
    measures = pd.DataFrame(rows, columns=["n", "err", "peer_median", "drg_ratio"])
    factor = hrrp_payment_factor(measures, modifier)
    assert 0.97 <= factor <= 1
    worse = measures.assign(err=measures["err"] + more)
    assert hrrp_payment_factor(worse, modifier) <= factor
    penalties = hrrp_penalties(measures, modifier)["penalty"]
    assert (penalties >= 0).all()
    assert factor == pytest.approx(1 - min(0.03, penalties.sum()), abs=5.1e-5)
    shuffled = measures.iloc[::-1]
    assert hrrp_penalties(shuffled, modifier)["penalty"].loc[measures.index].equals(penalties)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"n": [-1]}, "wanted n a whole number of 0 or more; got -1 for 'HF'"),
        ({"n": [30.5]}, "wanted n a whole number"),
        ({"err": [-0.1]}, "wanted err a finite ratio"),
        ({"err": [np.inf]}, "wanted err a finite ratio"),
        ({"peer_median": [0.0]}, "wanted peer_median a finite ratio above 0"),
        ({"drg_ratio": [4.9]}, "wanted drg_ratio a share from 0 to 1; got 4.9"),
        ({"drg_ratio": ["101%"]}, "wanted drg_ratio a share from 0 to 1; got 1.01"),
        ({"drg_ratio": [-0.01]}, "wanted drg_ratio a share from 0 to 1; got -0.01"),
        ({"drg_ratio": ["a lot"]}, "wanted numbers, percentages or NQ in drg_ratio; got 'a lot'"),
        ({"err": ["1.08 [k]"]}, r"in err; got '1.08 \[k\]'"),
        ({"err": [None]}, "got no err for 'HF'"),
        ({"drg_ratio": [None]}, "got no drg_ratio for 'HF'"),
        ({"n": [None]}, "got no n for 'HF'"),
    ],
)
def test_what_cannot_be_right_is_refused_by_name(changed, words):
    with pytest.raises(ValuesError, match=words) as refused:
        hrrp_payment_factor(table(**changed), 0.9)
    check_refusal(refused.value)


def test_what_is_on_the_border_is_no_fault():
    found = hrrp_penalties(table(n=[0], err=[0], drg_ratio=[0]), 1.0)
    assert found["reason"].tolist() == ["below_minimum"]
    assert hrrp_penalties(table(drg_ratio=[1]), 1.0)["penalty"].tolist() == pytest.approx([0.1])
    assert hrrp_payment_factor(table(n=[1]), 0.9, minimum=1) == 0.991
    assert hrrp_payment_factor(table(err=[9.0]), 2.0, cap=1.0) == 0.0
    assert hrrp_payment_factor(table(err=[9.0]), 1.0, cap=1) == 0.2


def test_a_factor_is_rounded_to_four_decimals_half_to_even_of_what_was_computed():
    assert hrrp_payment_factor(table(drg_ratio=[0.0012]), 1.0) == 0.9999
    assert hrrp_payment_factor(table(drg_ratio=[0.00004]), 1.0) == 1.0


def test_the_modifier_and_the_least_number_of_cases_are_of_all_measures():
    """0.5 x (0.1 x 0.1 + 0.2 x 0.2), the third having too few."""
    three = pd.DataFrame(
        {"n": [40, 41, 39], "err": [1.1, 1.2, 3.0], "peer_median": 1.0, "drg_ratio": [0.1, 0.2, 1]}
    )
    found = hrrp_penalties(three, 0.5, minimum=40)
    assert found["penalty"].tolist() == pytest.approx([0.005, 0.02, 0.0])
    assert found["excess"].tolist() == pytest.approx([0.1, 0.2, 2.0])
    assert hrrp_payment_factor(three, 0.5, minimum=40) == 0.975


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"neutrality_modifier": 0.0}, "neutrality_modifier: wanted a number above 0"),
        ({"neutrality_modifier": float("nan")}, "neutrality_modifier"),
        ({"minimum": 0}, "minimum: wanted a whole number of 1 or more"),
        ({"minimum": 2.5}, "minimum"),
        ({"cap": 3}, "cap: wanted a share from 0 to 1; got 3"),
        ({"cap": 1.01}, "cap: wanted a share from 0 to 1; got 1.01"),
        ({"cap": -0.01}, "cap: wanted a share from 0 to 1; got -0.01"),
        ({"minimum": True}, "minimum: wanted a whole number of 1 or more; got True"),
        ({"neutrality_modifier": float("inf")}, "neutrality_modifier: wanted a number above 0"),
        ({"cap": float("nan")}, "cap"),
    ],
)
def test_rules_that_cannot_be_right_are_refused(other, words):
    with pytest.raises(ValuesError, match=words):
        hrrp_payment_factor(table(), **({"neutrality_modifier": 0.9} | other))


def test_a_missing_column_is_refused_with_the_nearest_name():
    words = r"peer_median, drg_ratio; got no 'drg_ratio'\. Did you mean 'drg_ratios'"
    with pytest.raises(ColumnError, match=words) as refused:
        hrrp_penalties(table().rename(columns={"drg_ratio": "drg_ratios"}), 0.9)
    check_refusal(refused.value)


def test_a_measure_that_comes_twice_is_refused():
    with pytest.raises(ValuesError, match="wanted each measure once; got 'HF' twice") as refused:
        hrrp_penalties(pd.concat([table(), table()]), 0.9)
    check_refusal(refused.value)


def test_the_table_given_is_not_changed():
    given_table = table(drg_ratio=["10%"])
    before = given_table.copy()
    hrrp_penalties(given_table, 0.9)
    pd.testing.assert_frame_equal(given_table, before)


# --- the excess ratio ---


@pytest.fixture
def patients():
    rng = np.random.default_rng(3)
    return pd.DataFrame({"age": rng.normal(0, 10, 50), "male": rng.integers(0, 2, 50), "id": "x"})


def test_predicted_and_expected_are_means_of_risks(patients):
    found = excess_readmission_ratio(patients, {"age": 0.03, "male": -0.2}, -1.8, -2.0)
    linear = 0.03 * patients["age"] - 0.2 * patients["male"]
    assert found.predicted == pytest.approx(expit(linear - 1.8).mean(), rel=1e-14)
    assert found.expected == pytest.approx(expit(linear - 2.0).mean(), rel=1e-14)
    assert found.ratio == pytest.approx(found.predicted / found.expected, rel=1e-14)
    assert (found.n, found.observed, found.observed_ratio) == (50, None, None)


def test_coefficients_belong_to_columns_by_name_and_not_by_place(patients):
    one = excess_readmission_ratio(patients, {"age": 0.03, "male": -0.2}, -1.8, -2.0)
    other = excess_readmission_ratio(
        patients[["male", "age"]], pd.Series({"male": -0.2, "age": 0.03}), -1.8, -2.0
    )
    assert other.ratio == pytest.approx(one.ratio, rel=1e-14)


def test_the_average_hospital_has_a_ratio_of_1(patients):
    assert excess_readmission_ratio(patients, {"age": 0.03}, -2.0, -2.0).ratio == 1.0


def test_observed_over_expected_stands_beside_it(patients):
    event = np.arange(50) < 10
    found = excess_readmission_ratio(patients, {"age": 0.03}, -1.8, -2.0, event)
    assert found.observed == pytest.approx(0.2)
    assert found.observed_ratio == pytest.approx(0.2 / found.expected, rel=1e-12)


def test_a_coefficient_without_a_column_is_refused(patients):
    with pytest.raises(ColumnError, match=r"got none for 'ages'\. Did you mean 'age'"):
        excess_readmission_ratio(patients, {"ages": 0.03}, -1.8, -2.0)


def test_a_missing_risk_factor_is_refused(patients):
    patients.loc[3, "age"] = np.nan
    with pytest.raises(ArrayError, match="linear_predictor: wanted finite numbers"):
        excess_readmission_ratio(patients, {"age": 0.03}, -1.8, -2.0)


def test_nobody_is_refused(patients):
    with pytest.raises(ArrayError, match="provider"):
        excess_readmission_ratio(patients.iloc[:0], {"age": 0.03}, -1.8, -2.0)
