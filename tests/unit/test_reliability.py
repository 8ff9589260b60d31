"""Reliability, against textbook cases, scipy's F, and NHS England's published results."""

import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import f_oneway

from riskadj.errors import ArrayError
from riskadj.stats.reliability import (
    inter_unit_reliability,
    intraclass_correlation,
    reliability,
    volume_needed,
)
from riskadj.stats.shrinkage import shrink

NHS = Path(__file__).parents[3] / "shared/data/nhs_proms/published_provider_results.csv"
ERROR = np.array([0.2, 0.7, 1.0, 3.0])


def test_reliability_is_the_share_of_variance_that_is_between_providers():
    got = reliability(ERROR, 0.49, estimator="reml")
    np.testing.assert_allclose(got.value, [0.49 / 0.53, 0.5, 0.49 / 1.49, 0.49 / 9.49])


def test_reliability_is_the_weight_of_a_shrunken_effect():
    got = reliability(ERROR, 0.3, estimator="reml").value
    np.testing.assert_allclose(got, shrink(np.ones(4), ERROR, 0.3).weight)


def test_reliability_is_the_squared_correlation_with_the_truth():
    rng = np.random.default_rng(3)
    true = rng.normal(0, 0.8, 200_000)
    observed = rng.normal(true, 1.1)
    got = reliability(1.1, 0.64, estimator="known").value
    assert np.corrcoef(true, observed)[0, 1] ** 2 == pytest.approx(got, abs=0.005)


def test_without_variance_between_providers_nothing_is_reliable():
    assert (reliability(ERROR, 0.0, estimator="reml").value == 0).all()
    assert intraclass_correlation(2.0, 0.0, estimator="reml").value == 0
    assert np.isinf(volume_needed([0.1, 0.9], 2.0, 0.0, estimator="reml").n).all()


@given(target=st.floats(0.01, 0.99), sigma2=st.floats(1e-3, 1e3), tau2=st.floats(1e-3, 1e3))
def test_the_volume_needed_gives_the_reliability_that_was_wanted(target, sigma2, tau2):
    n = volume_needed(target, sigma2, tau2, estimator="reml").n
    got = reliability(np.sqrt(sigma2 / n), tau2, estimator="reml").value
    assert got == pytest.approx(target)


@given(n=st.integers(1, 500), sigma2=st.floats(1e-3, 1e3), tau2=st.floats(1e-3, 1e3))
def test_reliability_is_the_intraclass_correlation_stepped_up(n, sigma2, tau2):
    icc = intraclass_correlation(sigma2, tau2, estimator="reml").value
    got = reliability(np.sqrt(sigma2 / n), tau2, estimator="reml").value
    assert got == pytest.approx(n * icc / (1 + (n - 1) * icc))


@pytest.mark.parametrize("name", ["dersimonian_laird", "winsorised"])
def test_figures_name_their_estimator(name):
    assert reliability(ERROR, 0.1, estimator=name).estimator == name
    assert volume_needed(0.7, 1.0, 0.1, estimator=name).estimator == name
    assert intraclass_correlation(1.0, 0.1, estimator=name).estimator == name
    assert "variance" in inter_unit_reliability([1, 2, 3, 5], [1, 1, 2, 2]).estimator


@pytest.mark.parametrize(
    ("compute", "says"),
    [
        (lambda: reliability([1.0, 0.0], 1.0, estimator="x"), "standard_error"),
        (lambda: reliability([1.0], -1.0, estimator="x"), "tau2"),
        (lambda: reliability([1.0], np.nan, estimator="x"), "tau2"),
        (lambda: reliability([1.0], 1.0, estimator=" "), "estimator"),
        (lambda: volume_needed(1.0, 1.0, 1.0, estimator="x"), "target: wanted .* below 1"),
        (lambda: volume_needed([0.5, 0.0], 1.0, 1.0, estimator="x"), "target"),
        (lambda: volume_needed(0.5, 0.0, 1.0, estimator="x"), "sigma2"),
        (lambda: volume_needed(0.5, np.inf, 1.0, estimator="x"), "sigma2"),
        (lambda: volume_needed(0.5, 1.0, 1.0, estimator=""), "estimator"),
        (lambda: intraclass_correlation(0.0, 1.0, estimator="x"), "sigma2"),
        (lambda: intraclass_correlation(1.0, -1.0, estimator="x"), "tau2"),
        (lambda: intraclass_correlation(1.0, [1.0, 2.0], estimator="x"), "tau2: wanted one"),
        (lambda: inter_unit_reliability([1.0, 2.0], ["a", "a"]), "provider: wanted two"),
        (lambda: inter_unit_reliability([1.0, 2.0], ["a", "b"]), "provider: wanted two"),
        (lambda: inter_unit_reliability([0.1] * 4, list("aabb")), "values: wanted .* differ"),
        (lambda: inter_unit_reliability([1.0, 2.0], list("aab")), "values: wanted shape"),
        (lambda: inter_unit_reliability([1.0, np.nan, 2], list("aab")), "values"),
    ],
)
def test_what_has_no_reliability_is_refused(compute, says):
    with pytest.raises(ArrayError, match=says):
        compute()


def _episodes(seed=5, providers=30):
    rng = np.random.default_rng(seed)
    provider = np.repeat(np.arange(providers), rng.integers(1, 40, providers))
    return rng.normal(0, 0.5, providers)[provider] + rng.normal(size=provider.size), provider


def test_inter_unit_reliability_is_that_of_the_f_of_scipy():
    values, provider = _episodes()
    expected = f_oneway(*(values[provider == one] for one in np.unique(provider))).statistic
    got = inter_unit_reliability(values, provider)
    assert got.f == pytest.approx(expected)
    assert got.value == pytest.approx(1 - 1 / expected)


def test_inter_unit_reliability_is_between_over_total():
    got = inter_unit_reliability(*_episodes())
    total = got.between + got.within / got.effective_n
    assert got.value == pytest.approx(got.between / total)


def test_with_equal_volumes_the_effective_volume_is_that_volume():
    rng = np.random.default_rng(1)
    got = inter_unit_reliability(rng.normal(size=120), np.repeat(np.arange(10), 12))
    assert (got.effective_n, got.n_providers, got.n_episodes) == (12, 10, 120)


def test_inter_unit_reliability_finds_the_variances_it_was_given():
    rng = np.random.default_rng(7)
    provider = np.repeat(np.arange(4_000), rng.integers(20, 60, 4_000))
    values = rng.normal(0, 0.3, 4_000)[provider] + rng.normal(0, 2.0, provider.size)
    got = inter_unit_reliability(values, provider)
    assert got.within == pytest.approx(4.0, rel=0.02)
    assert got.between == pytest.approx(0.09, rel=0.1)
    expected = reliability(2.0 / np.sqrt(got.effective_n), 0.09, estimator="known").value
    assert got.value == pytest.approx(expected, abs=0.02)


def test_providers_that_differ_less_than_chance_have_a_negative_reliability():
    got = inter_unit_reliability([0.0, 10.0, 1.0, 9.5], list("aabb"))
    assert got.value < 0
    assert got.between < 0


def test_episodes_that_differ_between_providers_only_have_a_reliability_of_1():
    assert inter_unit_reliability([1.0, 1.0, 2.0, 2.0], list("aabb")).value == 1


@pytest.mark.parametrize("values", [[1.0, 3.0, 1.0, 3.0], [0.1, 0.2, 0.3, 0.1, 0.2, 0.3]])
@pytest.mark.parametrize("shift", [0.0, 0.7, 1e3])
def test_provider_means_that_are_all_the_same_have_no_reliability(values, shift):
    provider = np.repeat(["a", "b"], len(values) // 2)
    got = inter_unit_reliability(np.array(values) + shift, provider)
    assert np.isnan(got.value)
    assert got.f == pytest.approx(0, abs=1e-20)
    assert got.between < 0


@given(st.permutations(range(12)), st.floats(-1e3, 1e3), st.floats(0.01, 100))
def test_neither_labels_nor_order_nor_unit_nor_origin_matter(order, shift, unit):
    values = np.array([1.0, 2, 4, 3, 3, 8, 6, 7, 5, 1, 0, 2])
    provider = np.repeat(list("abcd"), 3)
    one = inter_unit_reliability(values, provider)
    renamed = np.array([{"a": "z", "b": "m", "c": "k", "d": "a"}[name] for name in provider])
    other = inter_unit_reliability(unit * (values + shift)[list(order)], renamed[list(order)])
    assert other.value == pytest.approx(one.value, abs=1e-8)
    assert other.between == pytest.approx(unit**2 * one.between, rel=1e-6, abs=1e-6)


@pytest.mark.data
@pytest.mark.skipif(not NHS.is_file(), reason="the public NHS files are not here")
@pytest.mark.parametrize(
    ("estimator", "share", "n"), [("dersimonian_laird", 0.0, 235), ("winsorised", 0.1, 810)]
)
def test_the_volume_that_nhs_hips_need_depends_on_the_estimator(estimator, share, n):
    """Oxford Hip Score, primaries 2018/19, 234 published adjusted gains; reliability 0.7.

    The variance between providers by the additive method of Spiegelhalter (2005), Statistics in
    Medicine 24:1185-1202, about England's gain, z clipped at the given share of either end.
    """
    gain, volume, centre, sd = _hips()
    assert gain.size == 234
    w = volume / sd**2
    z = (gain - centre) * np.sqrt(w)
    z = np.clip(z, *np.quantile(z, [share, 1 - share]))
    tau2 = ((z**2).sum() - (z.size - 1)) / (w.sum() - (w**2).sum() / w.sum())
    assert np.ceil(volume_needed(0.7, sd**2, tau2, estimator=estimator).n) == n


def _hips():
    with NHS.open(encoding="utf-8") as file:
        rows = [
            row
            for row in csv.DictReader(file)
            if row["Procedure"] == "Hip Replacement Primary"
            and row["Measure"] == "Oxford Hip Score"
            and row["year"] == "1819"
        ]
    england = next(row for row in rows if row["Organisation Type"] == "England")
    judged = [
        (float(row["Adjusted Average Health Gain"]), float(row["Modelled Records"]))
        for row in rows
        if row["Organisation Type"] == "Provider"
        and row["Outlier"] not in ("Insufficient records", "No procedures")
    ]
    gain, volume = np.array(judged).T
    return gain, volume, float(england["Health Gain"]), float(england["Standard Deviation"])
