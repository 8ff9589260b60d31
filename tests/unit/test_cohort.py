"""Who counts, who left and why, and cohorts that cannot answer a question."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from worlds import as_episodes, cohort_of, episode_frame, make_study, typed

from riskadj.cohort import Cohort, select_cohort
from riskadj.digest import digest_of_file, digest_of_frame, digest_of_json
from riskadj.errors import (
    ColumnError,
    EmptyCohortError,
    NoVariationError,
    RiskadjError,
    TooFewProvidersError,
)


def flow_of(cohort: Cohort) -> dict[str, int]:
    return dict(zip(cohort.flow["reason"], cohort.flow["left"], strict=True))


def spoiled(frame: pd.DataFrame, column: str, rows: slice | np.ndarray, value: Any) -> pd.DataFrame:
    frame = frame.copy()
    frame.loc[frame.index[rows], column] = value
    return frame


def test_the_flow_starts_with_everybody_and_accounts_for_each_who_left(frame: pd.DataFrame) -> None:
    frame = spoiled(frame, "procedure_group", slice(0, 7), "HIP_REV")
    frame = spoiled(frame, "q2_score_ohs", slice(7, 12), np.nan)
    cohort = cohort_of(frame)
    assert cohort.flow["remaining"].iloc[0] == len(frame)
    assert cohort.flow["left"].sum() == 12
    assert len(cohort.train) + len(cohort.test) == len(frame) - 12


def test_what_reading_left_out_comes_first(frame: pd.DataFrame) -> None:
    episodes = replace(as_episodes(frame), left_out={"responses: no operation": 4})
    flow = select_cohort(episodes, make_study(), make_study().outcomes[0]).flow
    assert flow.iloc[0].tolist()[1:4] == ["reading", "left out of responses: no operation", 4]
    assert flow["remaining"].iloc[0] == len(frame)


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("procedure_group", "KNEE_PRIM", "another procedure than HIP_PRIM"),
        ("procedure_group", None, "another procedure than HIP_PRIM"),
        ("period", "2019", "a period neither in train nor in test"),
        ("period", None, "a period neither in train nor in test"),
        ("q1_score_ohs", np.nan, "no score before"),
        ("q2_score_ohs", np.nan, "no score after"),
    ],
)
def test_who_leaves_is_counted_under_the_reason(
    column: str, value: object, reason: str, frame: pd.DataFrame
) -> None:
    assert flow_of(cohort_of(spoiled(frame, column, slice(0, 9), value)))[reason] == 9


@pytest.mark.parametrize(
    ("rule", "leaves"),
    [
        ({"missing": True}, 3),
        ({"below": 50}, 4),
        ({"above": 80}, 5),
        ({"below": 50, "above": 80}, 9),
        ({"values": [50, 80]}, 2),
        ({"missing": True, "below": 50}, 7),
    ],
)
def test_exclusions_leave_out_what_they_say(
    rule: dict[str, Any], leaves: int, frame: pd.DataFrame
) -> None:
    ages = np.full(len(frame), 65.0)
    ages[:14] = [np.nan] * 3 + [49] * 4 + [81] * 5 + [50, 80]
    study = make_study(cohort__exclude=[{"column": "age_years", "reason": "age", **rule}])
    assert flow_of(cohort_of(frame.assign(age_years=ages), study))["age"] == leaves


def test_exclusions_may_name_texts(frame: pd.DataFrame) -> None:
    rule = {"column": "living_arrangements", "reason": "in a care home", "values": ["care_home"]}
    cohort = cohort_of(frame, make_study(cohort__exclude=[rule]))
    assert flow_of(cohort)["in a care home"] == (frame["living_arrangements"] == "care_home").sum()


def test_an_excluded_column_that_is_not_there_is_named(frame: pd.DataFrame) -> None:
    rule = {"column": "age_year", "reason": "x", "missing": True}
    with pytest.raises(ColumnError, match=r"exclude\.0\.column.*'age_year'.*'age_years'"):
        cohort_of(frame, make_study(cohort__exclude=[rule]))


@pytest.mark.parametrize(("days", "stays"), [(149, 0), (150, 1), (365, 1), (366, 0), (np.nan, 0)])
def test_both_ends_of_the_follow_up_window_are_inside(
    days: float, stays: int, frame: pd.DataFrame
) -> None:
    study = make_study(cohort__follow_up_days={"at_least": 150, "at_most": 365})
    cohort = cohort_of(spoiled(frame, "q2_days", slice(0, 1), days), study)
    assert flow_of(cohort)["follow-up not within 150 to 365 days"] == 1 - stays


def test_who_never_answered_leaves_for_that_and_not_for_the_window(frame: pd.DataFrame) -> None:
    frame = spoiled(frame, "q2_score_ohs", slice(0, 4), np.nan)
    frame = spoiled(frame, "q2_days", slice(0, 4), np.nan)
    study = make_study(cohort__follow_up_days={"at_least": 150, "at_most": 365})
    flow = flow_of(cohort_of(frame, study))
    assert flow["follow-up not within 150 to 365 days"] == 0
    assert flow["no score after"] == 4


def test_the_window_may_come_from_dates(frame: pd.DataFrame) -> None:
    dates = pd.Series(pd.Timestamp("2021-01-01"), index=frame.index)
    after = dates + pd.to_timedelta(frame["q2_days"], unit="D")
    dated = frame.drop(columns="q2_days").assign(index_date=dates, q2_date=after)
    study = make_study(cohort__follow_up_days={"at_least": 200, "at_most": 300})
    pd.testing.assert_frame_equal(cohort_of(dated, study).flow, cohort_of(frame, study).flow)


def test_a_window_without_days_or_dates_is_refused(frame: pd.DataFrame) -> None:
    study = make_study(cohort__follow_up_days={"at_least": 150, "at_most": 365})
    with pytest.raises(ColumnError, match="wanted q2_days, or q2_date and index_date"):
        cohort_of(frame.drop(columns="q2_days"), study)


def test_periods_make_the_two_parts(frame: pd.DataFrame) -> None:
    cohort = cohort_of(frame)
    assert set(cohort.train["period"]) == {"2021"}
    assert set(cohort.test["period"]) == {"2022"}


def test_baseline_and_observed_are_the_scores_of_the_instrument(frame: pd.DataFrame) -> None:
    test = cohort_of(frame).test
    assert (test["baseline_score"] == test["q1_score_ohs"]).all()
    assert (test["observed_score"] == test["q2_score_ohs"]).all()


def test_who_has_no_reference_expectation_is_not_compared(frame: pd.DataFrame) -> None:
    study = make_study(learners=[{"kind": "reference"}])
    everybody = len(cohort_of(frame, study).test)
    test_rows = np.flatnonzero(frame["period"] == "2022")[:6]
    cohort = cohort_of(spoiled(frame, "reference_predicted_ohs", test_rows, np.nan), study)
    assert flow_of(cohort)["no reference expectation"] == 6
    assert len(cohort.test) == everybody - 6


@pytest.mark.parametrize("column", ["q1_score_ohs", "q2_score_ohs", "reference_predicted_ohs"])
def test_a_column_that_the_outcome_needs_is_named(column: str, frame: pd.DataFrame) -> None:
    study = make_study(learners=[{"kind": "reference"}])
    with pytest.raises(ColumnError, match=f"wanted the column '{column}'"):
        cohort_of(frame.drop(columns=column), study)


def test_volumes_count_eligible_episodes_with_or_without_scores() -> None:
    frame = typed(
        pd.DataFrame(
            {
                "episode_id": list("abcdefg"),
                "provider_id": ["B", "B", "B", "A", "A", "C", "D"],
                "period": ["2022", "2022", "2021", "2022", "2021", "2022", "2021"],
                "procedure_group": ["HIP_PRIM"] * 5 + ["KNEE_PRIM", "HIP_PRIM"],
                "q1_score_ohs": [10, None, 12, 13, 14, 15, 16],
                "q2_score_ohs": [30, 31, 32, 33, 34, 35, 36],
            }
        )
    )
    assert cohort_of(frame).volumes.to_dict() == {"A": 1, "B": 2, "C": 0}


@pytest.mark.parametrize(("part", "periods"), [("test", ["1999"]), ("train", ["1999"])])
def test_nobody_left_is_refused_with_the_periods(
    part: str, periods: list[str], frame: pd.DataFrame
) -> None:
    with pytest.raises(
        EmptyCohortError, match=rf"split\.{part}: wanted periods .*2021.*got '1999'"
    ):
        cohort_of(frame, make_study(**{f"split__{part}": periods}))


def test_nobody_left_names_the_reason_for_which_most_did(frame: pd.DataFrame) -> None:
    with pytest.raises(EmptyCohortError, match=r"another procedure than KNEE_PRIM \(600\)"):
        cohort_of(frame, make_study(cohort__procedure_group="KNEE_PRIM"))


def test_one_provider_cannot_be_compared(frame: pd.DataFrame) -> None:
    with pytest.raises(TooFewProvidersError, match="two providers or more to compare; got 1"):
        cohort_of(frame.assign(provider_id="H00"))


@pytest.mark.parametrize("period", ["2021", "2022"])
def test_an_outcome_in_which_nothing_differs_is_refused(period: str, frame: pd.DataFrame) -> None:
    same = spoiled(frame, "q2_score_ohs", (frame["period"] == period).to_numpy(), 40.0)
    with pytest.raises(NoVariationError, match="got 40 for all"):
        cohort_of(same)


def test_selecting_changes_nothing_in_the_episodes(frame: pd.DataFrame) -> None:
    episodes = as_episodes(frame.copy())
    study = make_study()
    select_cohort(episodes, study, study.outcomes[0])
    pd.testing.assert_frame_equal(episodes.table, frame)


@pytest.mark.parametrize(
    "change",
    [
        lambda one: one.assign(age_years=one["age_years"] + (one.index == 5)),
        lambda one: one.rename(columns={"age_years": "bmi"}),
        lambda one: one.iloc[::-1],
        lambda one: one.iloc[1:],
    ],
    ids=["value", "name", "order", "row"],
)
def test_the_digest_of_a_table_changes_with_anything_in_it(change: Any) -> None:
    frame = episode_frame(30)
    assert digest_of_frame(frame) == digest_of_frame(frame.copy())
    assert digest_of_frame(change(frame)) != digest_of_frame(frame)


def test_the_digest_of_a_result_changes_with_its_parents(frame: pd.DataFrame) -> None:
    assert digest_of_frame(frame, "one") != digest_of_frame(frame, "two")
    older = spoiled(frame, "age_years", slice(0, 1), 99.0)
    assert cohort_of(older).digest != cohort_of(frame).digest


def test_the_digest_of_json_depends_on_values_and_not_on_the_order_of_keys() -> None:
    assert digest_of_json({"a": [1, 2], "b": "é"}) == digest_of_json({"b": "é", "a": [1, 2]})
    assert digest_of_json({"a": [1, 2]}) != digest_of_json({"a": [2, 1]})


def test_the_digest_of_a_file_is_its_sha_256(tmp_path: Any) -> None:
    (tmp_path / "file").write_bytes(b"abc")
    assert digest_of_file(tmp_path / "file").startswith("ba7816bf8f01cfea")


# --- rules that mean something -------------------------------------------------------------------


def test_an_excluded_value_may_be_written_as_the_file_codes_it(frame: pd.DataFrame) -> None:
    women = {"column": "sex", "values": [2], "reason": "women"}
    flow = cohort_of(frame, make_study(cohort__exclude=[women])).flow.set_index("reason")
    assert flow.loc["women", "left"] == (frame["sex"] == "female").sum() > 0


@pytest.mark.parametrize(
    "rule",
    [
        {"column": "sex", "values": ["femal"]},
        {"column": "sex", "below": 3},
        {"column": "age_years", "values": ["old"]},
        {"column": "nowhere", "missing": True},
    ],
)
def test_an_exclusion_that_can_mean_nothing_is_refused(
    rule: dict[str, Any], frame: pd.DataFrame
) -> None:
    study = make_study(cohort__exclude=[rule | {"reason": "any"}])
    with pytest.raises(RiskadjError, match=r"^cohort\.exclude\.0") as refused:
        cohort_of(frame, study)
    assert refused.value.exit_code in (10, 22)


def test_all_rules_that_cannot_be_applied_are_named_at_once(frame: pd.DataFrame) -> None:
    rules = [{"column": one, "missing": True, "reason": one} for one in ("nowhere", "no_more")]
    with pytest.raises(RiskadjError) as refused:
        cohort_of(frame, make_study(cohort__exclude=rules))
    assert [one.exit_code for one in refused.value.faults] == [22, 22]


def test_excluded_episodes_are_not_eligible(frame: pd.DataFrame) -> None:
    old = {"column": "age_years", "above": 70, "reason": "old"}
    everybody = cohort_of(frame, make_study()).volumes
    eligible = cohort_of(frame, make_study(cohort__exclude=[old])).volumes
    compared = frame[(frame["period"] == "2022") & (frame["procedure_group"] == "HIP_PRIM")]
    wanted = compared[~(compared["age_years"] > 70)]["provider_id"].value_counts()
    assert eligible.sum() < everybody.sum()
    assert eligible[eligible > 0].to_dict() == wanted.to_dict()
