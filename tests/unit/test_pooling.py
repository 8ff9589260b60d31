"""Rubin's rules: what is worked by hand, and normal scores however far out."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from riskadj.errors import ArrayError
from riskadj.stats.pooling import normal_score, pool, student_cut

NAN = float("nan")


def test_pooling_is_what_is_worked_by_hand():
    found = pool([[1.0, 5.0], [2.0, 5.0], [6.0, 5.0]], [[2.0, 1.0], [4.0, 1.0], [6.0, 1.0]])
    assert found.estimate.tolist() == [3.0, 5.0]
    assert (found.within.tolist(), found.between.tolist()) == ([4.0, 1.0], [7.0, 0.0])
    np.testing.assert_allclose(found.variance, [4 + 4 / 3 * 7, 1.0])
    r = 4 / 3 * 7 / 4
    np.testing.assert_allclose(found.df, [2 * (1 + 1 / r) ** 2, np.inf])
    np.testing.assert_allclose(
        found.missing_information, [(r + 2 / (found.df[0] + 3)) / (r + 1), 0.0]
    )
    assert found.imputations == 3


@pytest.mark.parametrize("complete", [5.0, 50.0, 1e9])
def test_degrees_of_freedom_are_those_of_barnard_and_rubin(complete):
    q, u = np.array([1.0, 2.0, 6.0, 4.0]), np.full(4, 3.0)
    found = pool(q, u, complete_df=complete)
    share = 1.25 * q.var(ddof=1) / (3 + 1.25 * q.var(ddof=1))
    old = 3 / share**2
    observed = (complete + 1) / (complete + 3) * complete * (1 - share)
    assert found.df == pytest.approx(old * observed / (old + observed))
    assert found.df < min(complete, old)


def test_without_disagreement_degrees_of_freedom_are_those_of_complete_data():
    found = pool([2.0, 2.0], [1.0, 1.0], complete_df=30.0)
    assert found.df == pytest.approx(31 / 33 * 30)
    assert found.missing_information == 0.0


@given(shift=st.floats(-50, 50), scale=st.floats(0.1, 10))
def test_pooling_goes_along_with_shift_and_scale(shift, scale):
    q, u = np.array([1.0, 2.5, 4.0]), np.array([1.0, 2.0, 1.5])
    one, other = pool(q, u), pool(shift + scale * q, scale**2 * u)
    assert other.estimate == pytest.approx(shift + scale * one.estimate)
    assert other.error == pytest.approx(scale * one.error)
    assert other.df == pytest.approx(one.df)
    assert other.z(shift) == pytest.approx(one.z(0.0), rel=1e-6)


def test_a_z_is_as_far_out_as_its_t():
    found = pool([1.0, 2.0, 6.0], [1.0, 1.0, 1.0])
    t = found.estimate / found.error
    assert 2 * stats.norm.sf(found.z()) == pytest.approx(2 * stats.t.sf(t, found.df))
    assert 0 < found.z() < t
    assert found.z(6.0) == pytest.approx(-found.z(0.0))


def test_an_interval_and_a_z_agree_about_the_target():
    found = pool([1.0, 2.0, 6.0], [1.0, 1.0, 1.0])
    low, high = found.interval(0.95)
    assert found.z(low) == pytest.approx(1.959964, abs=1e-5)
    assert found.z(high) == pytest.approx(-1.959964, abs=1e-5)


@given(t=st.floats(-30, 30), df=st.floats(1, 1e4))
def test_a_score_is_beyond_its_limit_where_t_is_beyond_its_own(t, df):
    cut = student_cut(1.959964, df)
    assert cut > 1.959964
    assert normal_score(cut, df) == pytest.approx(1.959964)
    assert (np.abs(normal_score(t, df)) > 1.959964) == (np.abs(t) > cut)
    assert normal_score(t, df) * t >= 0


@pytest.mark.parametrize("df", [300.0, 5000.0, 1e7, np.inf])
def test_however_far_out_a_score_is_a_number_and_grows_with_its_t(df):
    t = np.linspace(0, 200, 2001)
    score = normal_score(t, np.full(t.size, df))
    assert np.isfinite(score).all()
    # Where tails are too small for numbers scores are approximate, to a thousandth of themselves.
    assert (np.diff(score) > -1e-3 * score[1:]).all()
    assert (np.diff(score)[:100] > 0).all()
    assert (score <= t + 1e-9).all()
    near = slice(0, 200)
    wanted = stats.norm.isf(stats.t.sf(t[near], df))
    np.testing.assert_allclose(score[near], wanted, rtol=1e-7, atol=1e-12)


def test_imputations_that_agree_leave_the_normal_distribution():
    found = pool([3.0, 3.0], [4.0, 4.0])
    assert found.z() == pytest.approx(1.5)
    assert found.interval().upper == pytest.approx(3 + 2 * 1.959964, abs=1e-5)


@pytest.mark.parametrize(
    ("estimates", "variances", "df", "said"),
    [
        ([1.0], [1.0], np.inf, "wanted two imputations or more"),
        (1.0, 1.0, np.inf, "wanted two imputations or more"),
        ([1.0, NAN], [1.0, 1.0], np.inf, "estimates: wanted finite"),
        ([1.0, 2.0], [1.0], np.inf, "variances: wanted shape"),
        ([1.0, 2.0], [1.0, 0.0], np.inf, "variances: wanted numbers above 0"),
        ([1.0, 2.0], [1.0, 1.0], 0.0, "complete_df: wanted numbers above 0"),
        ([1.0, 2.0], [1.0, 1.0], NAN, "complete_df: wanted numbers above 0"),
    ],
)
def test_what_cannot_be_pooled_is_refused(estimates, variances, df, said):
    with pytest.raises(ArrayError, match=said):
        pool(estimates, variances, df)
