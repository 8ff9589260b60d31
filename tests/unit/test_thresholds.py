"""Responder thresholds: each kind's rule, what is undefined, what is refused, what is certain."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from riskadj.errors import ArrayError, StudyError, UnknownNameError, ValuesError
from riskadj.instruments import INSTRUMENTS, instrument
from riskadj.instruments.thresholds import (
    KINDS,
    THRESHOLDS,
    Threshold,
    attainable,
    check_threshold,
    responds,
    threshold,
    thresholds_of,
)

NAN = float("nan")

# Interval scores by raw score, from a raw score of 0 on.
HOOS_JR = [100.0, 92.340, 85.257, 80.550, 76.776, 73.472, 70.426, 67.516, 64.664, 61.815, 58.930]
KOOS_JR = [100.0, 91.975, 84.600, 79.914, 76.332, 73.342, 70.704, 68.284, 65.994, 63.776, 61.583]
KOOS_JR_14, KOOS_JR_6, KOOS_JR_4 = 52.465, 70.704, 76.332
HOOS_JR_14, HOOS_JR_6 = 46.652, 70.426


def _own(kind="change", value=10.0, **other):
    words = dict.fromkeys(("anchor", "method", "follow_up", "population"), "not stated")
    given_ = {"id": "OURS", "instrument": "OHS", "meaning": "success", "unit": "points"}
    return Threshold(kind=kind, value=value, **(given_ | words | {"source": "Minutes"} | other))


@pytest.mark.parametrize(
    ("kind", "value", "before", "after", "direction", "want"),
    [
        ("change", 8, 20, 28, 1, 1),
        ("change", 8, 20, 27, 1, 0),
        ("change", 8, 28, 20, 1, 0),
        ("change", 20, 60, 40, -1, 1),
        ("change", 20, 60, 41, -1, 0),
        ("change", 20, 40, 60, -1, 0),
        ("percent_change", 35, 40, 26, -1, 1),
        ("percent_change", 35, 40, 27, -1, 0),
        ("percent_change", 30, 20, 26, 1, 1),
        ("percent_change", 30, 20, 25, 1, 0),
        ("percent_change", 30, 0, 0, -1, NAN),
        ("percent_change", 30, 0, 10, -1, NAN),
        ("final", 42, 10, 42, 1, 1),
        ("final", 42, 41, 41, 1, 0),
        ("final", 22, 90, 22, -1, 1),
        ("final", 22, 90, 23, -1, 0),
        ("failure", 13, 60, 47, -1, 0),
        ("failure", 13, 60, 48, -1, 1),
        ("failure", 13, 60, 90, -1, 1),
        ("percent_failure", 33, 100, 67, -1, 0),
        ("percent_failure", 33, 100, 68, -1, 1),
        ("percent_failure", 33, 0, 68, -1, NAN),
        ("worsening", 8, 20, 12, 1, 1),
        ("worsening", 8, 20, 13, 1, 0),
        ("worsening", 10, 20, 30, -1, 1),
        ("worsening", 10, 20, 10, -1, 0),
        ("poor_state", 48, 90, 49, -1, 1),
        ("poor_state", 48, 90, 48, -1, 0),
        ("poor_state", 29.3, 10, 29, 1, 1),
        ("poor_state", 29.3, 10, 30, 1, 0),
    ],
)
def test_each_kind_has_its_rule(kind, value, before, after, direction, want):
    got = responds(_own(kind, value), [before], [after], direction)
    np.testing.assert_array_equal(got, [want])


@pytest.mark.parametrize("kind", KINDS)
def test_a_missing_score_that_is_needed_leaves_the_answer_open(kind):
    got = responds(_own(kind, 10.0), [NAN, 20.0], [20.0, NAN], 1)
    assert np.isnan(got).tolist() == [not KINDS[kind].of_score, True]


@pytest.mark.parametrize("before", [0.0, -0.2])
def test_a_percentage_of_nothing_or_less_is_undefined(before):
    assert np.isnan(responds(_own("percent_change"), [before], [0.9], 1)).all()


def test_a_gain_of_the_value_counts_however_binary_fractions_round():
    """Of gains of 0.3 between values of three decimals one in eight falls short in binary."""
    thousandths = np.arange(-594, 701)
    before, after = thousandths / 1000, (thousandths + 300) / 1000
    assert (after - before < 0.3).any()
    rule = THRESHOLDS["EQ5D_DISC_SUCCESS_0_3"]
    assert responds(rule, before, after, 1).all()
    assert not responds(rule, before, after - 0.001, 1).any()


def test_every_whole_number_of_per_cent_counts_from_its_value_on():
    before = np.repeat(np.arange(1.0, 101.0), 101)
    after = np.tile(np.arange(101.0), 100)
    exact = 100 * (before - after) >= 35 * before
    got = responds(THRESHOLDS["NDI_SUCCESS_35PCT"], before, after, -1)
    np.testing.assert_array_equal(got, exact)


SCORES = st.lists(st.tuples(st.integers(0, 48), st.integers(0, 48)), min_size=1, max_size=20)


@given(SCORES, st.integers(1, 48))
def test_failure_is_what_is_no_change_and_worsening_is_change_run_backwards(pairs, value):
    before, after = np.array(pairs, dtype=float).T
    gained = responds(_own("change", value), before, after, 1)
    np.testing.assert_array_equal(responds(_own("failure", value), before, after, 1), 1 - gained)
    np.testing.assert_array_equal(responds(_own("worsening", value), after, before, 1), gained)


WITHOUT_PERCENT = sorted(one for one in KINDS if not KINDS[one].of_percent)


@given(SCORES, st.integers(1, 48), st.sampled_from(WITHOUT_PERCENT))
def test_turning_the_scale_round_changes_no_answer(pairs, value, kind):
    before, after = np.array(pairs, dtype=float).T
    turned = 48 - value if KINDS[kind].of_score else value
    np.testing.assert_array_equal(
        responds(_own(kind, value), before, after, 1),
        responds(_own(kind, turned), 48 - before, 48 - after, -1),
    )


def test_the_joint_replacement_scores_follow_the_worked_examples():
    hip, knee = THRESHOLDS["HOOS_JR_SCB_22"], THRESHOLDS["KOOS_JR_SCB_20"]
    assert responds(knee, [KOOS_JR_14] * 2, [KOOS_JR_4, KOOS_JR_6], 1).tolist() == [1, 0]
    assert responds(hip, [HOOS_JR_14], [HOOS_JR_6], 1).tolist() == [1]


@pytest.mark.parametrize(
    ("name", "by_raw", "last_certain"),
    [("HOOS_JR_SCB_22", HOOS_JR, 3), ("KOOS_JR_SCB_20", KOOS_JR, 2)],
)
def test_very_good_joints_can_never_gain_enough(name, by_raw, last_certain):
    got = attainable(THRESHOLDS[name], by_raw, (0.0, 100.0), 1)
    assert got.tolist() == [raw > last_certain for raw in range(len(by_raw))]


def test_rounding_decides_who_attains_an_acceptable_state():
    """A raw score of 4 is 76.776: it attains 76.7, and would attain 76.8 only when rounded."""
    after = [HOOS_JR[4]]
    assert responds(THRESHOLDS["HOOS_JR_PASS_76_7"], after, after, 1) == 1
    assert responds(THRESHOLDS["HOOS_JR_PASS_76_8"], after, after, 1) == 0
    assert not THRESHOLDS["HOOS_JR_PASS_76_8"].verified


@pytest.mark.parametrize(
    ("kind", "value", "before", "direction", "want"),
    [
        ("change", 20, [100, 20, 19, 0], -1, [True, True, False, False]),
        ("percent_change", 30, [100, 1, 0, NAN], -1, [True, True, False, False]),
        ("percent_change", 30, [100, 77, 76, 0], 1, [False, False, True, False]),
        ("failure", 13, [100, 13, 12], -1, [True, True, False]),
        ("percent_failure", 33, [100, 1, 0], -1, [True, True, False]),
        ("worsening", 10, [0, 90, 91], -1, [True, True, False]),
        ("final", 42, [0, 100, NAN], 1, [True, True, True]),
        ("poor_state", 48, [0, 100, NAN], -1, [True, True, True]),
        ("change", 20, [NAN], 1, [False]),
    ],
)
def test_attainable_is_what_the_baseline_leaves_open(kind, value, before, direction, want):
    got = attainable(_own(kind, value), before, (0.0, 100.0), direction)
    assert got.tolist() == want


@given(st.integers(0, 48), st.integers(1, 48), st.sampled_from(sorted(KINDS)))
def test_attainable_is_found_by_trying_every_score(before, value, kind):
    rule, after = _own(kind, value), np.arange(49.0)
    tried = responds(rule, np.full(49, before), after, 1)
    assert attainable(rule, [before], (0, 48), 1)[0] == (set(tried) == {0.0, 1.0})


@pytest.mark.parametrize("name", THRESHOLDS)
def test_every_threshold_has_a_source_and_fits_its_instrument(name):
    one = THRESHOLDS[name]
    assert one.id == name
    assert one.source
    if one.instrument not in INSTRUMENTS:
        pytest.skip(f"instrument {one.instrument} is not there")
    assert threshold(name, allow_unverified=True) is one


@pytest.mark.parametrize("name", [one for one in THRESHOLDS if not THRESHOLDS[one].verified])
def test_an_unverified_threshold_is_no_default_and_says_why(name):
    with pytest.raises(StudyError) as caught:
        threshold(name)
    assert THRESHOLDS[name].why_unverified in str(caught.value)
    assert "allow unverified" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_unverified_is_known():
    unverified = {one.id for one in THRESHOLDS.values() if not one.verified}
    assert unverified == {"OHS_MIC_GROUP_11", "OKS_MIC_GROUP_9", "HOOS_JR_PASS_76_8"}


@pytest.mark.parametrize(
    ("name", "kind", "value"),
    [
        ("OHS_MIC_8", "change", 8),
        ("OKS_MIC_7", "change", 7),
        ("OHS_PASS_42", "final", 42),
        ("OKS_PASS_37", "final", 37),
        ("HOOS_JR_SCB_22", "change", 22),
        ("KOOS_JR_SCB_20", "change", 20),
        ("HOOS_JR_MCID_7_76", "change", 7.76),
        ("ODI_DISC_SUCCESS_20", "change", 20),
        ("NRS_BACK_DISC_SUCCESS_2_5", "change", 2.5),
        ("NRS_LEG_DISC_SUCCESS_3_5", "change", 3.5),
        ("EQ5D_DISC_SUCCESS_0_3", "change", 0.3),
        ("ODI_MIC_10", "change", 10),
        ("ODI_MIC_30PCT", "percent_change", 30),
        ("ODI_STENOSIS_SUCCESS_30PCT", "percent_change", 30),
        ("ODI_DISC_FAILURE_13", "failure", 13),
        ("ODI_POOR_STATE_48", "poor_state", 48),
        ("NDI_SUCCESS_35PCT", "percent_change", 35),
        ("NRS_ARM_SUCCESS_30PCT", "percent_change", 30),
    ],
)
def test_published_values_are_those_of_their_sources(name, kind, value):
    assert (THRESHOLDS[name].kind, THRESHOLDS[name].value) == (kind, value)
    assert THRESHOLDS[name].verified


def test_thresholds_of_an_instrument_are_listed():
    assert {one.instrument for one in thresholds_of("ODI")} == {"ODI"}
    assert thresholds_of("OHS")
    assert thresholds_of("nothing") == ()


def test_an_unknown_threshold_is_refused_with_the_nearest():
    with pytest.raises(UnknownNameError, match=r"got 'OHS_MIC_9'\. Did you mean 'OHS_MIC_8'"):
        threshold("OHS_MIC_9")


@pytest.mark.parametrize("source", ["", "  ", None])
def test_a_threshold_without_a_source_is_refused(source):
    with pytest.raises(StudyError, match=r"wanted a source; got none\. Say where the value 10"):
        _own(source=source)


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        ({"kind": "chagne"}, UnknownNameError, "Did you mean 'change'"),
        ({"value": NAN}, ValuesError, "finite number"),
        ({"value": "10"}, ValuesError, "finite number as value; got '10'"),
        ({"value": True}, ValuesError, "finite number"),
        ({"value": 0.0}, ValuesError, "an amount above 0; got 0"),
        ({"value": -8.0}, ValuesError, "whichever way the instrument runs"),
        ({"anchor": " "}, StudyError, "words for anchor"),
        ({"id": ""}, StudyError, "words for id"),
        ({"verified": False}, StudyError, "why_unverified"),
        ({"why_unverified": "heard of"}, StudyError, "why_unverified"),
    ],
)
def test_what_is_no_threshold_is_refused(change, error, says):
    with pytest.raises(error, match=says):
        _own(**change)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"instrument": "OKS"}, "wanted scores of OKS; got OHS"),
        ({"value": 49.0}, "from 0 to 48"),
        ({"kind": "final", "value": -1.0}, "from 0 to 48"),
        ({"kind": "final", "value": 49.0}, "from 0 to 48"),
    ],
)
def test_a_threshold_that_no_score_of_the_instrument_meets_is_refused(change, says):
    with pytest.raises(ValuesError, match=says):
        check_threshold(replace(_own(), **change), instrument("OHS"))


def test_percentages_of_a_scale_that_does_not_begin_at_0_are_refused():
    rule = _own("percent_change", 30.0, instrument="EQ5D3L_UK_TTO")
    with pytest.raises(ValuesError, match=r"begin at 0; got -0\.594 to 1"):
        check_threshold(rule, instrument("EQ5D3L_UK_TTO"))


@pytest.mark.parametrize(
    ("before", "after", "direction", "error", "says"),
    [
        ([1.0], [1.0, 2.0], 1, ArrayError, "wanted 1 scores, as many as before; got 2"),
        ([np.inf], [1.0], 1, ArrayError, "before: wanted finite"),
        ([1.0], [-np.inf], 1, ArrayError, "after: wanted finite"),
        (["a"], [1.0], 1, ArrayError, "before: wanted numbers"),
        ([[1.0]], [1.0], 1, ArrayError, "one score per episode"),
        ([1.0], [1.0], 0, ValuesError, "direction: wanted 1"),
        ([1.0], [1.0], 2, ValuesError, "direction: wanted 1"),
    ],
)
def test_scores_that_are_none_are_refused(before, after, direction, error, says):
    with pytest.raises(error, match=says):
        responds(_own(), before, after, direction)


@pytest.mark.parametrize(
    ("before", "score_range", "says"),
    [
        ([49.0, -1.0], (0.0, 48.0), r"baselines from 0 to 48; got 49 \(2 in all\)"),
        ([1.0], (48.0, 0.0), "a lowest and a highest"),
        ([1.0], (0.0, np.inf), "a lowest and a highest"),
    ],
)
def test_baselines_off_the_scale_are_refused(before, score_range, says):
    with pytest.raises(ValuesError, match=says):
        attainable(_own(), before, score_range, 1)


def test_no_episodes_are_no_answers():
    assert responds(_own(), [], [], 1).shape == (0,)
    assert attainable(_own(), [], (0.0, 48.0), 1).shape == (0,)
