"""Tipping points, against a search over deltas, and worked by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from riskadj.errors import ArrayError
from riskadj.stats.tipping import delta_range, effect_with_delta, place_of, tipping_points

SEARCHED = np.linspace(-60, 60, 2_401)


def found_of(effect, error=1.0, missing=0.5, **choices):
    return tipping_points([effect], [error], [missing], **choices)


def z_at(delta, effect, error, missing, target, share):
    """Return z once the provider's effect, and with it the target, has moved."""
    deltas = np.reshape(delta, (-1, 1))
    moved = effect_with_delta([effect], [effect], [missing], deltas)[:, 0] - effect
    return (effect + moved - (target + share * moved)) / error


@pytest.mark.parametrize(
    ("effect", "place", "down", "up"),
    [
        (3.96, 1, -4.0, np.inf),
        (0.0, 0, -3.92, 3.92),
        (1.0, 0, -5.92, 1.92),
        (1.96, 0, -7.84, 0.0),
        (-2.96, -1, -np.inf, 2.0),
    ],
)
def test_points_are_what_is_worked_by_hand(effect, place, down, up):
    found = found_of(effect)
    assert (found.place[0], found.z[0]) == (place, effect)
    assert (found.down[0], found.up[0]) == (pytest.approx(down), pytest.approx(up))
    assert found.delta[0] == pytest.approx(down if -down < up else up)


@given(
    effect=st.floats(-8, 8),
    error=st.floats(0.3, 3),
    missing=st.floats(0.05, 1),
    target=st.floats(-2, 2),
    share=st.floats(0, 0.5),
    cut=st.sampled_from([1.96, 3.0902]),
)
def test_points_are_those_that_a_search_finds(effect, error, missing, target, share, cut):
    one = (effect, error, missing, target, share)
    found = found_of(*one[:3], target=target, share=share, cut=cut)
    z = z_at(SEARCHED, *one)
    changed = place_of(z, cut) != found.place[0]
    step = SEARCHED[1] - SEARCHED[0]
    for wanted, on_side, sign in (
        (found.down[0], SEARCHED <= 0, -1),
        (found.up[0], SEARCHED >= 0, 1),
    ):
        places = np.abs(SEARCHED[on_side & changed])
        if places.size:
            # The first delta of the search that changes the place is within a step of the point.
            assert -1e-9 <= places.min() - sign * wanted <= step + 1e-9
        else:
            assert sign * wanted >= SEARCHED.max() - step


def test_each_provider_has_its_own_limit():
    effect, cuts = [3.0, 3.0, -3.0], [1.96, 4.0, 2.5]
    found = tipping_points(effect, [1.0] * 3, [0.5] * 3, cut=cuts)
    assert found.place.tolist() == [1, 0, -1]
    for one, (value, cut) in enumerate(zip(effect, cuts, strict=True)):
        alone = found_of(value, cut=cut)
        assert (found.down[one], found.up[one]) == (alone.down[0], alone.up[0])
    assert place_of([2.0, 2.0], [1.9, 2.1]).tolist() == [1, 0]


@given(
    effect=st.floats(-6, 6),
    missing=st.floats(0.01, 1),
    share=st.floats(0, 0.9),
)
def test_just_beyond_a_point_the_place_is_another_and_just_before_it_is_not(effect, missing, share):
    found = found_of(effect, missing=missing, share=share)
    for point in (found.down[0], found.up[0]):
        if np.isfinite(point):
            z = z_at(point * np.array([0.999, 1.001]), effect, 1.0, missing, 0.0, share)
            near_zero = abs(point) < 1e-6
            assert near_zero or (place_of(z) != found.place[0]).tolist() == [False, True]


def test_a_flag_of_nhs_england_needs_non_responders_only_a_little_better():
    """RVR, Oxford Hip Score 2018/19: z is -3.0926; with 40 per cent missing, 0.7576 points."""
    error = 7.67145 / np.sqrt(822)
    found = found_of(21.8523, error, 0.4, target=22.6798)
    assert found.place[0] == -1
    assert found.up[0] == pytest.approx((22.6798 - 1.96 * error - 21.8523) / 0.4)
    assert found.up[0] == pytest.approx(0.7576, abs=1e-4)
    outer = found_of(21.8523, error, 0.4, target=22.6798, cut=3.0902)
    assert outer.up[0] == pytest.approx(0.0016, abs=1e-4)


def test_where_everybody_answered_nothing_changes_a_flag():
    found = tipping_points([3.0, 0.0, -3.0], [1.0] * 3, [0.0] * 3)
    assert np.isneginf(found.down).all()
    assert np.isposinf(found.up).all()
    assert np.isposinf(found.delta).all()


def test_deltas_beyond_the_scale_are_none():
    within = found_of(3.0, lowest=-2.1, highest=5.0)
    beyond = found_of(3.0, lowest=-2.0, highest=5.0)
    assert within.down[0] == pytest.approx(-2.08)
    assert (beyond.down[0], beyond.delta[0]) == (-np.inf, np.inf)


def test_the_range_of_delta_is_what_the_scale_leaves():
    lowest, highest = delta_range([38.0, 48.5, np.nan], 0.0, 48.0)
    assert lowest.tolist() == [-38.0, -48.5, -np.inf]
    assert highest.tolist() == [10.0, 0.0, np.inf]


def test_a_target_that_moves_along_asks_for_more():
    fixed, moving = found_of(3.0), found_of(3.0, share=0.2)
    assert moving.down[0] == pytest.approx(fixed.down[0] / 0.8)


@given(
    missing=st.floats(0, 1),
    delta=st.floats(-20, 20),
    responders=st.floats(-10, 10),
    imputed=st.floats(-10, 10),
)
def test_the_whole_is_responders_and_the_others_by_their_shares(
    missing, delta, responders, imputed
):
    got = effect_with_delta([responders], [imputed], [missing], delta)[0]
    assert got == pytest.approx((1 - missing) * responders + missing * (imputed + delta))


def test_what_nobody_has_may_be_missing():
    assert effect_with_delta([np.nan, 2.0], [1.0, np.nan], [1.0, 0.0], -3.0).tolist() == [-2.0, 2.0]


def test_several_deltas_at_once_are_a_row_each():
    got = effect_with_delta([1.0, 2.0], [1.0, 2.0], [0.5, 0.25], np.array([[-4.0], [0.0]]))
    assert got.tolist() == [[-1.0, 1.0], [1.0, 2.0]]


GOOD = {"effect": [1.0, 2.0], "error": [1.0, 1.0], "missing": [0.5, 0.5]}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"effect": [np.nan, 1.0]}, "effect: wanted finite numbers"),
        ({"effect": []}, "effect: wanted one number per provider"),
        ({"error": [0.0, 1.0]}, "error: wanted numbers above 0"),
        ({"error": [1.0]}, "error: wanted shape"),
        ({"missing": [0.5, 1.2]}, "missing: wanted numbers of 1 or less"),
        ({"missing": [-0.1, 0.5]}, "missing: wanted numbers of 0 or more"),
        ({"missing": [0.1, 0.2, 0.3]}, "missing: wanted shape"),
        ({"share": 1.0}, "share: wanted numbers under 1"),
        ({"target": [0.0] * 3}, "target: wanted shape"),
        ({"cut": 0.0}, "cut: wanted numbers above 0"),
        ({"lowest": 1.0}, "wanted a range of delta with 0 in it"),
        ({"highest": np.nan}, "wanted a range of delta with 0 in it"),
    ],
)
def test_what_cannot_be_meant_is_refused(wrong, said):
    with pytest.raises(ArrayError, match=said):
        tipping_points(**{**GOOD, **wrong})


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: effect_with_delta([np.nan], [1.0], [0.5], 0.0), "responders: wanted finite"),
        (lambda: effect_with_delta([1.0], [np.nan], [0.5], 0.0), "imputed: wanted finite"),
        (lambda: effect_with_delta([1.0], [1.0], [1.5], 0.0), "missing: wanted numbers of 1"),
        (lambda: effect_with_delta([1.0, 2.0], [1.0], [0.5], 0.0), "responders: wanted shape"),
        (lambda: delta_range([1.0], 48.0, 0.0), "wanted the ends of a scale, in order"),
    ],
)
def test_parts_that_do_not_fit_are_refused(call, said):
    with pytest.raises(ArrayError, match=said):
        call()
