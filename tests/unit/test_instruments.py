"""How answers become scores: published examples, missing answers, answers that are none."""

import numpy as np
import pytest

from riskadj.errors import UnknownNameError, ValuesError
from riskadj.instruments import INSTRUMENTS, Instrument, instrument, score

NAN = float("nan")
EQ5D = instrument("EQ5D3L_UK_TTO")
OXFORD = [instrument("OHS"), instrument("OKS")]
MULTI_ITEM = [one for one in INSTRUMENTS.values() if one.items]


@pytest.mark.parametrize(
    ("profile", "value"),
    [("11111", 1.0), ("11121", 0.796), ("23312", 0.202), ("33333", -0.594), ("22222", 0.516)],
)
def test_eq5d_profiles_have_their_published_values(profile: str, value: float) -> None:
    assert score(EQ5D, [[int(one) for one in profile]]).tolist() == [value]


@pytest.mark.parametrize(
    ("item", "some", "extreme"),
    [(0, 0.069, 0.314), (1, 0.104, 0.214), (2, 0.036, 0.094), (3, 0.123, 0.386), (4, 0.071, 0.236)],
)
def test_eq5d_takes_off_the_weight_of_each_dimension(
    item: int, some: float, extreme: float
) -> None:
    profiles = np.ones((2, 5))
    profiles[:, item] = 2, 3
    want = [1 - 0.081 - some, 1 - 0.081 - 0.269 - extreme]
    assert score(EQ5D, profiles) == pytest.approx(want, abs=1e-12)


@pytest.mark.parametrize("item", range(5))
def test_eq5d_without_one_answer_has_no_value(item: int) -> None:
    profile = np.ones((1, 5))
    profile[0, item] = NAN
    assert np.isnan(score(EQ5D, profile)).all()


@pytest.mark.parametrize("one", OXFORD, ids=lambda one: one.id)
@pytest.mark.parametrize(
    ("missing", "rest", "want"), [(0, 4, 48), (0, 0, 0), (1, 2, 24), (2, 4, 48), (2, 3, 36)]
)
def test_oxford_scores_let_the_mean_stand_in_for_two_answers(
    one: Instrument, missing: int, rest: int, want: float
) -> None:
    items = [[NAN] * missing + [rest] * (12 - missing)]
    assert score(one, items).tolist() == [want]


@pytest.mark.parametrize("one", OXFORD, ids=lambda one: one.id)
@pytest.mark.parametrize("missing", [3, 12])
def test_oxford_scores_without_three_answers_are_null(one: Instrument, missing: int) -> None:
    items = [[4] * (12 - missing) + [NAN] * missing]
    assert np.isnan(score(one, items)).all()


def test_a_complete_oxford_score_is_the_sum_of_its_items() -> None:
    items = np.random.default_rng(0).integers(0, 5, (200, 12))
    assert (score(instrument("OHS"), items) == items.sum(axis=1)).all()


def test_the_visual_analogue_scale_is_its_own_score() -> None:
    got = score(instrument("EQ_VAS"), [[0.0], [77.0], [NAN]])
    assert got == pytest.approx([0.0, 77.0, NAN], nan_ok=True)


@pytest.mark.parametrize("one", INSTRUMENTS.values(), ids=INSTRUMENTS)
@pytest.mark.parametrize("wrong", [-1, 1])
def test_another_number_of_items_is_refused_with_both_numbers(one: Instrument, wrong: int) -> None:
    wanted = max(one.items, 1)
    with pytest.raises(ValuesError, match=f"wanted {wanted} items.*got {wanted + wrong}"):
        score(one, np.ones((2, wanted + wrong)))


@pytest.mark.parametrize("one", INSTRUMENTS.values(), ids=INSTRUMENTS)
@pytest.mark.parametrize("side", ["below", "above"])
def test_a_code_out_of_range_is_refused_with_its_place(one: Instrument, side: str) -> None:
    low, high = one.item_range if one.items else one.score_range
    items = np.full((3, max(one.items, 1)), float(low))
    items[1, -1] = low - 1 if side == "below" else high + 1
    place = f"got {items[1, -1]:g} for item {items.shape[1]} in row 2 \\(1 rows in all\\)"
    with pytest.raises(ValuesError, match=place):
        score(one, items)


@pytest.mark.parametrize("one", MULTI_ITEM, ids=lambda one: one.id)
def test_half_a_code_is_refused(one: Instrument) -> None:
    items = np.full((1, one.items), 1.5)
    with pytest.raises(ValuesError, match=r"got 1\.5"):
        score(one, items)


@pytest.mark.parametrize("one", MULTI_ITEM, ids=lambda one: one.id)
def test_the_best_and_worst_answers_span_the_declared_range(one: Instrument) -> None:
    low, high = one.item_range
    extremes = score(one, [[low] * one.items, [high] * one.items])
    assert sorted(extremes) == list(one.score_range)


@pytest.mark.parametrize("one", INSTRUMENTS.values(), ids=INSTRUMENTS)
def test_every_instrument_says_its_direction_unit_and_source(one: Instrument) -> None:
    assert one.direction in (-1, 1)
    assert one.unit
    assert one.source
    assert INSTRUMENTS[one.id] is one


def test_a_higher_oxford_score_and_eq5d_value_is_better() -> None:
    assert {one.direction for one in INSTRUMENTS.values()} == {1}


def test_measures_are_unique_so_that_columns_are() -> None:
    measures = [one.measure for one in INSTRUMENTS.values()]
    assert len(set(measures)) == len(measures)


def test_an_unknown_instrument_is_named_with_those_that_exist() -> None:
    with pytest.raises(UnknownNameError, match=r"OHS, OKS.*got 'EQ5D3L_UK'.*Did you mean"):
        instrument("EQ5D3L_UK")


def test_scoring_leaves_the_items_as_they_were() -> None:
    items = np.array([[NAN] + [2.0] * 11])
    score(instrument("OHS"), items)
    assert np.isnan(items[0, 0])
