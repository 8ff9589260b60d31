"""How answers become scores: published examples, missing answers, answers that are none."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from riskadj.errors import UnknownNameError, ValuesError
from riskadj.instruments import (
    INSTRUMENTS,
    UK_TTO_1997,
    Instrument,
    instrument,
    make_value_set,
    score,
    with_value_set,
)
from riskadj.instruments.scoring import BLOCK

NAN = float("nan")
EQ5D = instrument("EQ5D3L_UK_TTO")
OXFORD = [instrument("OHS"), instrument("OKS")]
DISABILITY = [instrument("ODI"), instrument("NDI")]
CONVERTED = [instrument(f"{joint}_{form}") for joint in ("HOOS", "KOOS") for form in ("PS", "JR")]
SUBSCALES = [one for one in INSTRUMENTS.values() if one.rule == "health_percentage"]
MADE_UP_5L = make_value_set("EQ-5D-5L", "VT", "Nowhere", "none", np.linspace(1, -0.5, 3125))
CHOSEN = {"EQ-5D-3L": UK_TTO_1997, "EQ-5D-5L": MADE_UP_5L}
SCORED = [
    with_value_set(one, CHOSEN[one.version]) if one.rule == "value_set" else one
    for one in INSTRUMENTS.values()
]
MULTI_ITEM = [one for one in SCORED if one.items]
EVERY = pytest.mark.parametrize("one", SCORED, ids=lambda one: one.id)
EVERY_MULTI_ITEM = pytest.mark.parametrize("one", MULTI_ITEM, ids=lambda one: one.id)


# --- published examples ---------------------------------------------------------------------------


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


@pytest.mark.parametrize("one", OXFORD, ids=lambda one: one.id)
@pytest.mark.parametrize(
    ("missing", "rest", "want"), [(0, 4, 48), (0, 0, 0), (1, 2, 24), (2, 4, 48), (2, 3, 36)]
)
def test_oxford_scores_let_the_mean_stand_in_for_two_answers(
    one: Instrument, missing: int, rest: int, want: float
) -> None:
    items = [[NAN] * missing + [rest] * (12 - missing)]
    assert score(one, items).tolist() == [want]


def test_a_complete_oxford_score_is_the_sum_of_its_items() -> None:
    items = np.random.default_rng(0).integers(0, 5, (200, 12))
    assert (score(instrument("OHS"), items) == items.sum(axis=1)).all()


@pytest.mark.parametrize("one", DISABILITY, ids=lambda one: one.id)
@pytest.mark.parametrize(
    ("items", "want"),
    [
        ([5] * 10, 100),
        ([0] * 10, 0),
        ([NAN] + [5] * 9, 100),
        ([1, 2, 3, 4, 5, 1, 2, NAN, 3, 4], 100 * 25 / 45),
        ([1, 2, 3, 4, 5, 1, 2, 0, 3, 4], 50),
    ],
)
def test_disability_indices_are_the_percentage_of_what_was_answered(
    one: Instrument, items: list[float], want: float
) -> None:
    assert score(one, [items])[0] == pytest.approx(want, abs=1e-12)


def test_the_dutch_oswestry_index_is_that_of_ten_items_without_the_eighth() -> None:
    nine = np.random.default_rng(1).integers(0, 6, (500, 9)).astype(float)
    ten = np.insert(nine, 7, NAN, axis=1)
    np.testing.assert_array_equal(score(instrument("ODI9"), nine), score(instrument("ODI"), ten))


@pytest.mark.parametrize(
    ("name", "raw", "want"),
    [
        ("HOOS_PS", 0, 100), ("HOOS_PS", 1, 95.4), ("HOOS_PS", 5, 80), ("HOOS_PS", 10, 62.3),
        ("HOOS_PS", 15, 38.4), ("HOOS_PS", 20, 0), ("KOOS_PS", 14, 59.7), ("KOOS_PS", 28, 0),
        ("HOOS_JR", 3, 80.55), ("HOOS_JR", 12, 52.965), ("HOOS_JR", 24, 0),
        ("KOOS_JR", 2, 84.6), ("KOOS_JR", 14, 52.465), ("KOOS_JR", 28, 0),
    ],
)  # fmt: skip
def test_short_forms_are_converted_from_their_sum(name: str, raw: int, want: float) -> None:
    one = instrument(name)
    items = np.zeros(one.items)
    for step in range(raw):
        items[step % one.items] += 1
    assert score(one, [items]).tolist() == [want]


@pytest.mark.parametrize("one", CONVERTED, ids=lambda one: one.id)
def test_conversion_tables_fall_strictly_from_100_to_0(one: Instrument) -> None:
    assert len(one.conversion) == 4 * one.items + 1
    assert (np.diff(one.conversion) < 0).all()
    assert (one.conversion[0], one.conversion[-1]) == (100.0, 0.0)


@pytest.mark.parametrize("one", SUBSCALES, ids=lambda one: one.id)
def test_subscales_are_100_less_25_times_the_mean_of_the_answered(one: Instrument) -> None:
    rng = np.random.default_rng(2)
    items = rng.integers(0, 5, (100, one.items)).astype(float)
    items[:, : one.max_missing] = NAN
    want = 100 - 25 * np.nanmean(items, axis=1)
    np.testing.assert_allclose(score(one, items), want, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "needed"),
    [
        ("KOOS_PAIN", 5), ("KOOS_SYMPTOMS", 4), ("KOOS_ADL", 9), ("KOOS_SPORT", 3), ("KOOS_QOL", 2),
        ("HOOS_PAIN", 5), ("HOOS_SYMPTOMS", 3), ("HOOS_ADL", 9), ("HOOS_SPORT", 2), ("HOOS_QOL", 2),
    ],
)  # fmt: skip
def test_subscales_need_as_many_answers_as_their_instructions_say(name: str, needed: int) -> None:
    one = instrument(name)
    items = np.full((2, one.items), NAN)
    items[0, :needed] = 1
    items[1, : needed - 1] = 1
    got = score(one, items)
    assert got[0] == 75
    assert np.isnan(got[1])


@pytest.mark.parametrize("name", ["EQ_VAS", "NRS_BACK", "NRS_LEG", "NRS_ARM", "NRS_NECK"])
def test_a_score_that_is_asked_for_directly_is_its_own(name: str) -> None:
    got = score(instrument(name), [[0.0], [7.0], [NAN]])
    assert got == pytest.approx([0.0, 7.0, NAN], nan_ok=True)


# --- missing answers ------------------------------------------------------------------------------


@EVERY_MULTI_ITEM
def test_a_score_is_null_exactly_beyond_the_missing_rule(one: Instrument) -> None:
    items = np.full((one.items + 1, one.items), float(one.item_range[0]))
    for missing in range(one.items + 1):
        items[missing, :missing] = NAN
    null = np.isnan(score(one, items))
    assert null.tolist() == [missing > one.max_missing for missing in range(one.items + 1)]


@EVERY_MULTI_ITEM
def test_which_answer_is_missing_makes_no_difference_to_whether_there_is_a_score(
    one: Instrument,
) -> None:
    items = np.full((one.items, one.items), float(one.item_range[1]))
    np.fill_diagonal(items, NAN)
    assert (np.isnan(score(one, items)) == (one.max_missing < 1)).all()


# --- answers that are none ------------------------------------------------------------------------


@EVERY
@pytest.mark.parametrize("wrong", [-1, 1])
def test_another_number_of_items_is_refused_with_both_numbers(one: Instrument, wrong: int) -> None:
    wanted = max(one.items, 1)
    with pytest.raises(ValuesError, match=f"wanted {wanted} items.*got {wanted + wrong}"):
        score(one, np.ones((2, wanted + wrong)))


def test_a_table_of_three_dimensions_is_refused() -> None:
    with pytest.raises(ValuesError, match="got 5 in 3 dimensions"):
        score(EQ5D, np.ones((2, 2, 5)))


@EVERY
@pytest.mark.parametrize("side", ["below", "above"])
@pytest.mark.parametrize("dtype", [float, np.int64])
def test_a_code_out_of_range_is_refused_with_its_place(
    one: Instrument, side: str, dtype: type
) -> None:
    low, high = one.item_range if one.items else one.score_range
    items = np.full((3, max(one.items, 1)), low, dtype=dtype)
    items[1, -1] = low - 1 if side == "below" else high + 1
    place = f"got {items[1, -1]:g} for item {items.shape[1]} in row 2 \\(1 rows in all\\)"
    with pytest.raises(ValuesError, match=place):
        score(one, items)


@pytest.mark.parametrize("code", [257, 65_537, 2**40 + 1])
def test_a_code_that_only_looks_right_in_eight_bits_is_refused(code: int) -> None:
    with pytest.raises(ValuesError, match="for item 1 in row 1"):
        score(EQ5D, [[code, 1, 1, 1, 1]])


@EVERY
@pytest.mark.parametrize("code", [np.inf, -np.inf])
def test_an_infinite_code_is_no_missing_one(one: Instrument, code: float) -> None:
    items = np.full((1, max(one.items, 1)), 1.0)
    items[0, 0] = code
    with pytest.raises(ValuesError, match=f"got {code:g} for item 1"):
        score(one, items)


@EVERY_MULTI_ITEM
def test_half_a_code_is_refused(one: Instrument) -> None:
    items = np.full((1, one.items), 1.5)
    with pytest.raises(ValuesError, match=r"got 1\.5"):
        score(one, items)


def test_a_wrong_code_far_down_is_counted_among_all_rows() -> None:
    items = np.ones((2 * BLOCK + 5, 5))
    items[[BLOCK + 1, 2 * BLOCK], 2] = 4
    with pytest.raises(ValuesError, match=f"item 3 in row {BLOCK + 2} .2 rows in all"):
        score(EQ5D, items)


def test_text_is_refused_without_showing_it() -> None:
    with pytest.raises(ValuesError, match="wanted codes as numbers") as caught:
        score(EQ5D, [["1", "1", "Smith", "1", "1"]])
    assert "Smith" not in str(caught.value)


def test_scoring_leaves_the_items_as_they_were() -> None:
    items = np.array([[NAN] + [2.0] * 11])
    score(instrument("OHS"), items)
    assert np.isnan(items[0, 0])


# --- however the items are kept -------------------------------------------------------------------


@EVERY_MULTI_ITEM
def test_a_score_does_not_depend_on_how_its_items_are_kept(one: Instrument) -> None:
    low, high = one.item_range
    items = np.random.default_rng(3).integers(low, high + 1, (50, one.items))
    want = score(one, items.astype(float))
    kept = (
        items.astype(np.int8), np.asfortranarray(items), items.astype(np.float32),
        pd.DataFrame(items), pd.DataFrame(items).astype("Int8"), items.astype(object),
        items.tolist(), np.repeat(items, 2, axis=0)[::2],
    )  # fmt: skip
    for one_way in kept:
        np.testing.assert_array_equal(score(one, one_way), want)


@EVERY_MULTI_ITEM
@pytest.mark.parametrize("n", [0, BLOCK - 1, BLOCK + 1])
def test_a_row_is_scored_the_same_in_whatever_company(one: Instrument, n: int) -> None:
    low, high = one.item_range
    items = np.random.default_rng(4).integers(low, high + 1, (n, one.items)).astype(float)
    items[::7, 0] = NAN
    together = score(one, items)
    assert together.shape == (n,)
    some = np.arange(0, n, 1_009)
    alone = [score(one, items[[row]])[0] for row in some]
    np.testing.assert_array_equal(together[some], alone)


def test_missing_answers_of_nullable_columns_are_missing() -> None:
    items = pd.DataFrame([[1, 1, 1, 1, None], [1, 1, 1, 1, 1]]).astype("Int8")
    assert score(EQ5D, items) == pytest.approx([NAN, 1.0], nan_ok=True)


# --- what holds for every instrument --------------------------------------------------------------


@EVERY_MULTI_ITEM
def test_the_best_and_worst_answers_span_the_declared_range(one: Instrument) -> None:
    low, high = one.item_range
    extremes = score(one, [[low] * one.items, [high] * one.items])
    assert sorted(extremes) == list(one.score_range)


@st.composite
def answers(draw: st.DrawFn) -> tuple[Instrument, np.ndarray]:
    one = draw(st.sampled_from(SCORED))
    low, high = one.item_range if one.items else one.score_range
    codes = st.integers(int(low), int(high)).map(float) | st.just(NAN)
    shape = (draw(st.integers(1, 6)), max(one.items, 1))
    return one, draw(arrays(float, shape, elements=codes, fill=st.nothing()))


BEST_IS_HIGH = {"OHS", "OKS", "EQ_VAS"}


@settings(max_examples=150, deadline=None, derandomize=True)
@given(asked=answers(), data=st.data())
def test_a_better_answer_never_makes_a_score_worse(
    asked: tuple[Instrument, np.ndarray], data: st.DataObject
) -> None:
    one, items = asked
    low, high = one.item_range if one.items else one.score_range
    better = high if one.id in BEST_IS_HIGH else low
    improved = items.copy()
    place = data.draw(st.integers(0, items.shape[1] - 1))
    improved[:, place] = np.where(np.isnan(items[:, place]), np.nan, better)
    gain = one.direction * (score(one, improved) - score(one, items))
    assert (np.isnan(gain) | (gain >= -1e-12)).all()


@settings(max_examples=100, deadline=None, derandomize=True)
@given(asked=answers())
def test_a_score_is_null_or_within_its_range(asked: tuple[Instrument, np.ndarray]) -> None:
    one, items = asked
    scores = score(one, items)
    low, high = one.score_range
    assert (np.isnan(scores) | ((scores >= low) & (scores <= high))).all()


@pytest.mark.parametrize("one", INSTRUMENTS.values(), ids=INSTRUMENTS)
def test_every_instrument_says_its_direction_unit_version_and_source(one: Instrument) -> None:
    assert one.direction in (-1, 1)
    assert one.unit
    assert one.version
    assert one.source
    assert INSTRUMENTS[one.id] is one


def test_disability_and_pain_are_better_when_lower_and_nothing_else_is() -> None:
    lower = {one.id for one in INSTRUMENTS.values() if one.direction == -1}
    assert lower == {"ODI", "ODI9", "NDI", "NRS_BACK", "NRS_LEG", "NRS_ARM", "NRS_NECK"}


def test_the_tables_of_a_single_lineage_are_marked_and_say_why() -> None:
    marked = {one.id for one in INSTRUMENTS.values() if not one.verified}
    assert marked == {"HOOS_JR", "KOOS_JR"}
    assert "single lineage" in instrument("HOOS_JR").unverified


def test_measures_are_unique_so_that_columns_are() -> None:
    measures = [one.measure for one in INSTRUMENTS.values()]
    assert len(set(measures)) == len(measures)


def test_an_unknown_instrument_is_named_with_those_that_exist() -> None:
    with pytest.raises(UnknownNameError, match=r"OHS, OKS.*got 'EQ5D3L_UK'.*Did you mean"):
        instrument("EQ5D3L_UK")


# --- the value set is a choice --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "known"), [("EQ5D3L", "EQ-5D-3L/TTO/UK, those of a folder"), ("EQ5D5L", "those of a")]
)
def test_an_eq5d_index_without_a_value_set_is_refused(name: str, known: str) -> None:
    with pytest.raises(ValuesError, match=f"wanted a value set among {known}.*got none"):
        score(instrument(name), [[1, 1, 1, 1, 1]])


def test_an_unknown_value_set_is_named_with_the_likely_one() -> None:
    with pytest.raises(UnknownNameError, match=r"got 'EQ-5D-3L/TTO/GB'.*mean 'EQ-5D-3L/TTO/UK'"):
        score(instrument("EQ5D3L"), [[1, 1, 1, 1, 1]], value_set="EQ-5D-3L/TTO/GB")


def test_a_value_set_of_the_other_version_is_refused() -> None:
    with pytest.raises(ValuesError, match="answers to EQ-5D-5L; got EQ-5D-3L/TTO/UK"):
        score(instrument("EQ5D5L"), [[1, 1, 1, 1, 1]], value_set=UK_TTO_1997)


def test_an_instrument_with_a_value_set_of_its_own_keeps_it() -> None:
    other = make_value_set("EQ-5D-3L", "TTO", "Nowhere", "none", np.linspace(1, 0, 243))
    assert score(EQ5D, [[3] * 5], value_set=UK_TTO_1997).tolist() == [-0.594]
    with pytest.raises(ValuesError, match=r"its own value set, EQ-5D-3L/TTO/UK; got .*Nowhere"):
        score(EQ5D, [[1] * 5], value_set=other)


def test_a_value_set_is_refused_where_there_is_no_index() -> None:
    with pytest.raises(ValuesError, match="OHS: wanted no value set"):
        score(instrument("OHS"), [[4] * 12], value_set=UK_TTO_1997)


def test_the_chosen_value_set_shows_in_title_range_and_source() -> None:
    chosen = with_value_set(instrument("EQ5D5L"), MADE_UP_5L)
    assert chosen.title == "EQ-5D-5L index, Nowhere VT value set"
    assert chosen.score_range == (-0.5, 1.0)
    assert chosen.source == "none"
    assert (chosen.id, chosen.measure) == ("EQ5D5L", "eq5d5l")


@pytest.mark.parametrize("name", ["EQ5D3L", "EQ5D5L"])
def test_every_profile_is_looked_up_in_its_own_place(name: str) -> None:
    one = instrument(name)
    codes = np.array(list(np.ndindex((one.item_range[1],) * 5))) + 1
    chosen = CHOSEN[one.version]
    np.testing.assert_array_equal(score(one, codes, chosen), chosen.values)
