"""What groups are paid of their cost: figures of their members, and intervals that cover."""

import numpy as np
import pytest
from cost_arrays import cost_world, costs

from riskadj.errors import ArrayError
from riskadj.stats.calibration import calibration_bins
from riskadj.stats.predictive_ratios import (
    net_compensation,
    predictive_ratio,
    predictive_ratios_by_tenth,
)

METHODS = ("bca", "percentile", "jackknife")


GROUP = {"predictive_ratio": predictive_ratio, "net_compensation": net_compensation}


@pytest.fixture(scope="module")
def world():
    return cost_world()


@pytest.mark.parametrize("method", METHODS)
def test_a_groups_figures_are_those_of_its_members(world, method):
    y, e, w, inside = (world[one] for one in ("y", "expected", "weights", "member"))
    rest = {"method": method, "replicates": 200, "weights": w}
    ratio = predictive_ratio(y, e, inside, world["cluster"], **rest)
    net = net_compensation(y, e, inside, world["cluster"], **rest)
    assert ratio.value == pytest.approx((w * e)[inside].sum() / (w * y)[inside].sum(), rel=1e-12)
    assert net.value == pytest.approx(np.average((e - y)[inside], weights=w[inside]), rel=1e-12)
    for one in (ratio, net):
        assert one.lower < one.value < one.upper
        assert (one.n, one.n_clusters) == (inside.sum(), 40)


@pytest.mark.parametrize("name", GROUP)
def test_providers_are_drawn_whole(world, name):
    """Leave out one provider's members at a time."""
    y, e, inside, cluster = (world[one] for one in ("y", "expected", "member", "cluster"))

    def without(one):
        kept = inside & (cluster != one)
        return GROUP[name](y, e, kept, cluster, method="jackknife").value

    left_out = np.array([without(one) for one in range(40)])
    wanted = np.sqrt(39 / 40 * np.sum((left_out - left_out.mean()) ** 2))
    got = GROUP[name](y, e, inside, cluster, method="jackknife")
    assert got.standard_error == pytest.approx(wanted, rel=1e-9)


@pytest.mark.parametrize("name", GROUP)
def test_a_group_that_few_providers_see_has_an_interval_still(world, name):
    """Samples of all 40 providers would often hold nobody of the group."""
    inside = world["member"] & (world["cluster"] < 3)
    got = GROUP[name](world["y"], world["expected"], inside, world["cluster"], replicates=100)
    assert got.n_clusters == 3
    assert np.isfinite([got.lower, got.upper]).all()


@pytest.mark.parametrize("name", GROUP)
def test_the_seed_alone_decides_the_draws(world, name):
    row = [world[one] for one in ("y", "expected", "member", "cluster")]
    one, two, other = (GROUP[name](*row, replicates=60, seed=seed) for seed in (1, 1, 2))
    assert one == two
    assert one.lower != other.lower


def test_intervals_by_provider_cover_the_truth_as_often_as_they_say():
    """A group costs 10 % more than is expected; providers differ by 10 %."""
    rng, inside = np.random.default_rng(5), 0
    for _ in range(150):
        y, expected, cluster = costs(rng)
        member = rng.random(y.size) < 0.5
        y = np.where(member, 1.1 * y, y)
        got = predictive_ratio(y, expected, member, cluster, method="jackknife")
        inside += got.lower < 1 / (1.1 * np.exp(0.1**2 / 2)) < got.upper
    assert 0.90 <= inside / 150 <= 0.99


@pytest.mark.parametrize(
    ("member", "words"),
    [
        ([0, 0, 0, 0], "wanted somebody"),
        ([1, 1, 0, 2], "wanted True or False"),
        ([1, 1], r"member: wanted shape \(4,\)"),
        ([1, 1, 0, 0], "wanted at least 2 clusters; got 1"),
        ([1, 0, 0, np.nan], "member: wanted finite"),
    ],
)
@pytest.mark.parametrize("name", GROUP)
def test_a_group_that_cannot_be_judged_is_refused(name, member, words):
    with pytest.raises(ArrayError, match=words):
        GROUP[name]([1, 2, 3, 4], [1, 2, 3, 4], member, list("aabc"))


def test_a_group_that_cost_nothing_has_no_ratio_but_a_net_compensation():
    row = [0, 0, 3], [5, 7, 3], [True, True, False], list("abc")
    with pytest.raises(ArrayError, match="Ask for its net compensation"):
        predictive_ratio(*row)
    assert net_compensation(*row, method="jackknife").value == 6


@pytest.mark.parametrize("weighted", [False, True])
def test_tenths_are_those_of_the_calibration_table(world, weighted):
    y, e, cluster = world["y"], world["expected"], world["cluster"]
    w = world["weights"] if weighted else np.ones_like(y)
    got = predictive_ratios_by_tenth(y, e, cluster, w)
    rank = np.argsort(np.argsort(e)) * 10 // e.size
    for tenth in range(10):
        rows = rank == tenth
        assert got.n[tenth] == rows.sum()
        assert got.observed[tenth] == pytest.approx(np.average(y[rows], weights=w[rows]))
        wanted = predictive_ratio(y, e, rows, cluster, w, method="jackknife")
        assert got.ratio[tenth] == pytest.approx(wanted.value, rel=1e-12)
        error = (got.upper[tenth] - got.ratio[tenth]) / (wanted.upper - wanted.value)
        assert error == pytest.approx(1, abs=0.15)
    if not weighted:
        bins = calibration_bins(y, e)
        np.testing.assert_allclose(got.expected, bins.expected, rtol=1e-12)
        np.testing.assert_allclose(got.observed, bins.observed, rtol=1e-12)


def test_three_times_the_expectation_is_three_times_the_ratio_with_its_interval(world):
    y, e, cluster = world["y"], world["expected"], world["cluster"]
    one, three = (predictive_ratios_by_tenth(y, by * e, cluster) for by in (1, 3))
    for name in ("ratio", "lower", "upper"):
        np.testing.assert_allclose(getattr(three, name), 3 * getattr(one, name), rtol=1e-12)


def test_a_tenth_that_cost_nothing_has_no_ratio():
    got = predictive_ratios_by_tenth([0, 0, 3, 5], [1, 1, 4, 4], groups=2)
    assert np.isnan([got.ratio[0], got.lower[0], got.upper[0]]).all()
    assert got.ratio[1] == 1.0
    assert got.observed.tolist() == [0, 4]


def test_a_tenth_without_weight_is_refused():
    with pytest.raises(ArrayError, match="wanted some above 0 in each share"):
        predictive_ratios_by_tenth([1, 2, 3, 4], [1, 2, 3, 4], None, [0, 0, 1, 1], groups=2)
