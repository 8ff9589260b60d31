"""Rows in order of their provider, against numpy's own sums; labels of every kind, and none."""

import datetime
import decimal

import numpy as np
import pandas as pd
import pytest

from riskadj.errors import ArrayError
from riskadj.stats.arrays import finite
from riskadj.stats.groups import group_rows

NAN = float("nan")
TEXT = np.array(["b", "c", "a", "c", "b", "c"], dtype=object)
KINDS = {
    "text": TEXT,
    "fixed-width text": TEXT.astype(str),
    "bytes": TEXT.astype("S1"),
    "a list": TEXT.tolist(),
    "a tuple": tuple(TEXT),
    "a series": pd.Series(TEXT),
    "an object series": pd.Series(TEXT, dtype=object),
    "a categorical": pd.Categorical(TEXT),
    "a series of categories": pd.Series(TEXT, dtype="category"),
    "categories in another order": pd.Categorical(TEXT, list("zcyba"), ordered=True),
    "integers": np.array([5, 9, -2, 9, 5, 9]),
    "integers far apart": np.array([0, 2**62, -(2**62), 2**62, 0, 2**62]),
    "unsigned integers": np.array([5, 9, 2, 9, 5, 9], dtype=np.uint8),
    "large unsigned integers": np.array([5, 9, 2, 9, 5, 9], dtype=np.uint64) + np.uint64(2**63),
    "nullable integers": pd.Series([5, 9, 2, 9, 5, 9], dtype="Int64"),
    "whole floats": np.array([5.0, 9.0, -2.0, 9.0, 5.0, 9.0]),
    "floats": np.array([0.5, 0.9, 0.2, 0.9, 0.5, 0.9]),
    "floats beyond integers": np.array([0.0, np.inf, -1e300, np.inf, 0.0, np.inf]),
    "dates": np.array([2, 3, 1, 3, 2, 3], dtype="M8[D]"),
    "dates as objects": [datetime.date(2020, 1, day) for day in (2, 3, 1, 3, 2, 3)],
    "mixed kinds": np.array([1, "1", 0, "1", 1, "1"], dtype=object),
}
RNG = np.random.default_rng(1)
MANY = {
    "integers": RNG.integers(-40, 60, 500),
    "text": RNG.integers(0, 100, 500).astype(str).astype(object),
    "sorted integers": np.sort(RNG.integers(0, 100, 500)),
    "floats": RNG.integers(0, 100, 500) / 7,
}
many = pytest.mark.parametrize("labels", MANY.values(), ids=MANY)


@pytest.mark.parametrize("labels", KINDS.values(), ids=KINDS)
def test_labels_of_every_kind_give_the_same_groups(labels):
    groups = group_rows(labels)
    assert len(groups) == 3
    assert groups.n_rows == 6
    assert groups.order.tolist() == [2, 0, 4, 1, 3, 5]
    assert groups.starts.tolist() == [0, 1, 3]
    assert groups.sizes.tolist() == [1, 2, 3]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "mixed kinds"])
def test_labels_come_back_sorted_as_they_went_in(kind):
    labels = KINDS[kind]
    plain = labels.to_numpy() if isinstance(labels, pd.Series) else np.asarray(labels)
    assert group_rows(labels).labels.tolist() == np.unique(plain).tolist()


@pytest.mark.parametrize("kind", ["int8", "int16", "int32", "int64", "uint8", "uint16"])
def test_small_integers_from_end_to_end_of_their_type_are_told_apart(kind):
    ends = np.iinfo(kind)
    low, high = max(ends.min, -30_000), min(ends.max, 30_000)
    labels = np.repeat(np.arange(low, high, 50, dtype=kind), 30)
    groups = group_rows(labels)
    assert groups.labels.dtype == labels.dtype
    assert groups.labels.tolist() == list(range(low, high, 50))
    assert (groups.sizes == 30).all()


@many
def test_totals_and_means_are_those_of_numpy(labels):
    values = RNG.normal(size=(2, 500))
    unique, codes = np.unique(labels, return_inverse=True)
    totals = np.array([np.bincount(codes, row) for row in values])
    groups = group_rows(labels)
    np.testing.assert_array_equal(groups.labels, unique)
    np.testing.assert_array_equal(groups.sizes, np.bincount(codes))
    np.testing.assert_allclose(groups.total(values), totals, atol=1e-12)
    np.testing.assert_allclose(groups.mean(values[0]), totals[0] / np.bincount(codes), atol=1e-12)


@many
def test_rows_come_back_as_they_came(labels):
    groups, rows = group_rows(labels), np.arange(1_000).reshape(2, 500)
    np.testing.assert_array_equal(groups.unsort(groups.sort(rows)), rows)


@many
def test_every_row_gets_the_value_of_its_group(labels):
    groups = group_rows(labels)
    np.testing.assert_array_equal(groups.at_rows(groups.labels), labels)
    np.testing.assert_array_equal(groups.spread(groups.labels), groups.sort(labels))


@many
def test_rows_of_a_group_stay_in_the_order_they_came(labels):
    groups = group_rows(labels)
    ordered = groups.sort(np.arange(500))
    for start, size in zip(groups.starts, groups.sizes, strict=True):
        assert (np.diff(ordered[start : start + size]) > 0).all()


def test_rows_in_order_are_left_where_they_are():
    groups = group_rows(["a", "a", "b"])
    rows = np.arange(3.0)
    assert groups.order is None
    assert groups.sort(rows) is rows
    assert groups.unsort(rows) is rows


def test_whole_numbers_are_totalled_as_floats():
    assert group_rows([1, 1, 2]).total([True, True, False]).tolist() == [2.0, 0.0]


def test_text_that_only_reads_like_a_missing_label_is_a_label():
    assert group_rows(np.array(["nan", "None", "NaT"], dtype=object)).n_rows == 3


@pytest.mark.parametrize(
    "labels",
    [
        [1.0, NAN],
        ["a", None],
        [1, None],
        np.array(["a", NAN], dtype=object),
        pd.Series(["a", None]),
        pd.Series(["a", pd.NA], dtype=object),
        pd.Series(["a", pd.NaT], dtype=object),
        pd.Series(["a", None], dtype="string"),
        pd.Series([1, None], dtype="Int64"),
        pd.Series(["a", None], dtype="category"),
        pd.Categorical(["a", None]),
        pd.Categorical([]),
    ],
)
def test_a_missing_label_is_refused(labels):
    with pytest.raises(ArrayError, match="provider: wanted a label for every row"):
        group_rows(labels)


def test_a_missing_label_in_a_list_of_text_is_refused():
    with pytest.raises(ArrayError, match="provider"):
        group_rows(["a", NAN])


@pytest.mark.parametrize("make", [np.asarray, pd.Series])
def test_a_missing_date_is_refused(make):
    with pytest.raises(ArrayError, match="provider"):
        group_rows(make(np.array(["2020-01-01", "NaT"], dtype="M8[s]")))


@pytest.mark.parametrize("missing", [np.float64(NAN), decimal.Decimal("nan")])
def test_a_missing_number_among_objects_is_refused(missing):
    labels = np.array([decimal.Decimal(1), missing], dtype=object)
    with pytest.raises(ArrayError, match="provider"):
        group_rows(labels)


@pytest.mark.parametrize("labels", [[], [["a"], ["b"]], "a", 3])
def test_anything_but_one_label_per_row_is_refused(labels):
    with pytest.raises(ArrayError, match="provider: wanted one label per row; got shape"):
        group_rows(labels)


@pytest.mark.parametrize("labels", [pd.Series([("a", 1), ("b", 2)]), pd.Series([["a"], ["b"]])])
def test_labels_of_several_parts_are_refused(labels):
    with pytest.raises(ArrayError, match="provider"):
        group_rows(labels)


def test_the_error_calls_the_groups_what_they_are():
    with pytest.raises(ArrayError, match=r"^hospital: wanted a label"):
        group_rows([NAN], name="hospital")


@pytest.mark.parametrize(
    "values", [[np.inf, -np.inf], [1e308, 1e308, NAN], [[1.0, NAN]], None, [None, 1.0]]
)
def test_values_that_are_not_finite_are_refused_without_another_warning(values):
    with pytest.raises(ArrayError, match=r"^X: wanted finite numbers; got"):
        finite("X", values)


def test_values_whose_sum_overflows_are_finite():
    assert finite("X", [1e308, 1e308]).tolist() == [1e308, 1e308]


def test_a_missing_date_is_no_number():
    with pytest.raises(ArrayError, match="X"):
        finite("X", np.array(["2020-01-01", "NaT"], dtype="M8[s]"))
