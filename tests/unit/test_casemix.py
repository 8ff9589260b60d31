"""What may be adjusted for, and how it becomes numbers."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from worlds import casemix_of, make_study

from riskadj.casemix import CaseMixEncoder
from riskadj.casemix.roles import refusal
from riskadj.episodes import COLUMNS, Column
from riskadj.errors import CaseMixError, RiskadjError, UnknownNameError

NAN = float("nan")
WAIT = Column(
    name="wait_days", kind="number", known_at="baseline", role="provider_influenced",
    meaning="days on the waiting list",
)  # fmt: skip


def chosen(frame: pd.DataFrame, *patterns: str, **changes: Any) -> list[str]:
    extra = [WAIT] if "wait_days" in frame else []
    return casemix_of(frame, make_study(casemix__columns=patterns, **changes), *extra).names


@pytest.mark.parametrize(
    ("column", "reason"),
    [
        ("q2_score_ohs", "known only after the episode"),
        ("q2_days", "known only after the episode"),
        ("provider_id", "by whom"),
        ("patient_id", "who was treated"),
        ("period", "who was treated or by whom"),
        ("reference_predicted_ohs", "another model's expectation"),
    ],
)
def test_what_may_not_be_case_mix_is_refused_with_its_name_and_the_reason(
    column: str, reason: str, frame: pd.DataFrame
) -> None:
    with pytest.raises(CaseMixError, match=rf"'{column}': .*{reason}"):
        chosen(frame, "age_years", column)


@pytest.mark.parametrize(
    ("column", "reason"),
    [
        ("cost_index", "only during the episode"),
        ("discharge_date", "only during the episode"),
        ("readmitted", "only after the episode"),
        ("index_date", "it is a date"),
        ("surgeon_id", "by whom"),
    ],
)
def test_columns_that_say_too_much_have_a_reason_against_them(column: str, reason: str) -> None:
    assert reason in refusal(COLUMNS[column])
    assert reason in refusal(COLUMNS[column], allow_provider_influenced=True)


@pytest.mark.parametrize("allowed", [True, False])
def test_what_a_provider_influences_comes_in_only_by_the_study(
    allowed: bool, frame: pd.DataFrame
) -> None:
    frame = frame.assign(wait_days=frame["age_years"] * 2)
    changes = {"casemix__allow_provider_influenced": allowed}
    if allowed:
        assert chosen(frame, "wait_days", **changes) == ["wait_days"]
        return
    with pytest.raises(CaseMixError, match="allow_provider_influenced: true would let it in"):
        chosen(frame, "wait_days", **changes)


@pytest.mark.parametrize(
    ("pattern", "want"),
    [
        ("comorb_*", ["comorb_heart", "comorb_depression"]),
        ("q1_score_*", ["q1_score_ohs"]),
        ("*e*x", ["sex"]),
        ("[as]*e[ax]*", ["sex", "age_years"]),
    ],
)
def test_patterns_take_the_columns_that_they_match(
    pattern: str, want: list[str], frame: pd.DataFrame
) -> None:
    assert sorted(chosen(frame, pattern)) == sorted(want)


def test_a_pattern_that_reaches_too_far_is_refused(frame: pd.DataFrame) -> None:
    with pytest.raises(CaseMixError, match="got 'q2_"):
        chosen(frame, "q*")


def test_columns_come_in_the_order_of_the_episodes_once_each(frame: pd.DataFrame) -> None:
    assert chosen(frame, "sex", "comorb_heart", "comorb_*", "age_years") == [
        "age_years", "sex", "comorb_heart", "comorb_depression",
    ]  # fmt: skip


def test_a_pattern_without_a_column_is_named_with_the_one_that_was_meant(
    frame: pd.DataFrame,
) -> None:
    with pytest.raises(UnknownNameError, match=r"'age_year', which matches none.*'age_years'"):
        chosen(frame, "age_year")


def test_a_column_that_train_never_recorded_is_left_out(frame: pd.DataFrame) -> None:
    bare = frame.assign(age_years=frame["age_years"].where(frame["period"] == "2022"))
    assert chosen(bare, "age_years", "sex") == ["sex"]


def test_case_mix_without_any_value_is_refused(frame: pd.DataFrame) -> None:
    with pytest.raises(CaseMixError, match="wanted a column with values in train"):
        chosen(frame.assign(age_years=NAN), "age_years")


def test_case_mix_holds_the_same_columns_of_both_parts(frame: pd.DataFrame) -> None:
    casemix = casemix_of(frame)
    assert list(casemix.train.columns) == list(casemix.test.columns) == casemix.names
    assert len(casemix.train) == len(casemix.cohort.train)


def encoded(fit: dict[str, list[Any]], ask: dict[str, list[Any]] | None = None) -> np.ndarray:
    return CaseMixEncoder().fit(pd.DataFrame(fit)).transform(pd.DataFrame(ask or fit))


def test_numbers_pass_as_they_are_missing_or_not() -> None:
    assert encoded({"a": [1.5, NAN], "b": [0.0, 1.0]}) == pytest.approx(
        np.array([[1.5, 0.0], [NAN, 1.0]]), nan_ok=True
    )


def test_a_text_becomes_a_column_per_level_in_alphabetical_order() -> None:
    got = encoded({"sex": ["male", "female", "male"]})
    assert got.tolist() == [[0, 1], [1, 0], [0, 1]]


def test_a_missing_text_is_missing_in_every_level() -> None:
    got = encoded({"sex": ["male", "female", None]})
    assert np.isnan(got[2]).all()
    assert not np.isnan(got[:2]).any()


def test_a_level_never_seen_is_0_in_every_level() -> None:
    assert encoded({"sex": ["male", "female"]}, {"sex": ["other"]}).tolist() == [[0, 0]]


def test_features_are_named_by_column_and_level_and_know_their_column() -> None:
    encoder = CaseMixEncoder().fit(pd.DataFrame({"age": [1.0, 2.0], "sex": ["m", "f"]}))
    assert encoder.get_feature_names_out().tolist() == ["age", "sex=f", "sex=m"]
    assert encoder.sources_ == ["age", "sex", "sex"]


def test_the_encoding_does_not_depend_on_the_order_of_rows() -> None:
    fit = pd.DataFrame({"sex": ["m", "f", "x"], "age": [1.0, 2.0, 3.0]})
    upside_down = CaseMixEncoder().fit(fit.iloc[::-1])
    assert upside_down.features_ == CaseMixEncoder().fit(fit).features_


def test_other_columns_than_those_learned_are_refused() -> None:
    encoder = CaseMixEncoder().fit(pd.DataFrame({"a": [1.0], "b": [2.0]}))
    with pytest.raises(ValueError, match=r"[Ff]eature names"):
        encoder.transform(pd.DataFrame({"b": [1.0], "a": [2.0]}))


def test_a_column_of_numbers_given_as_text_is_refused() -> None:
    with pytest.raises(ValueError, match="could not convert"):
        encoded({"age": [1.0]}, {"age": ["old"]})


@pytest.mark.parametrize(
    ("name", "code"),
    [("provider_id", 11), ("q2_score_ohs", 11), ("patient_id", 11), ("nonesuch", 12)],
)
def test_a_peer_group_is_known_at_baseline_and_identifies_nobody(
    name: str, code: int, frame: pd.DataFrame
) -> None:
    with pytest.raises(RiskadjError, match=rf"^profile\.peer_group.*'{name}'") as refused:
        casemix_of(frame, make_study(profile__peer_group=name))
    assert refused.value.exit_code == code
    assert f"Did you mean '{name}'" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "code"), [("patient_id", 11), ("q2_score_ohs", 11), ("nonesuch", 12)]
)
def test_a_subgroup_is_known_at_baseline_and_identifies_nobody(
    name: str, code: int, frame: pd.DataFrame
) -> None:
    with pytest.raises(RiskadjError, match=r"^report\.subgroups") as refused:
        casemix_of(frame, make_study(report={"subgroups": [name]}))
    assert refused.value.exit_code == code
