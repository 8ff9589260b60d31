"""Discrimination and the Brier score: other software, brute force, identities, known truth."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn.metrics import brier_score_loss, roc_auc_score

from riskadj.errors import ArrayError, NoVariationError
from riskadj.stats.cluster_accuracy import accuracy_by_cluster
from riskadj.stats.discrimination import (
    brier_score,
    c_statistic,
    discrimination,
    discrimination_difference,
    performance_by_cluster,
)

PAIRS = st.lists(st.tuples(st.booleans(), st.integers(0, 8)), min_size=4, max_size=60)


def both(event):
    assume(2 <= sum(event) <= len(event) - 2)


def expit(x):
    return 1 / (1 + np.exp(-x))


@given(PAIRS)
def test_c_is_the_area_under_the_curve_ties_included(pairs):
    event, risk = zip(*pairs, strict=True)
    both(event)
    assert c_statistic(event, risk) == pytest.approx(roc_auc_score(event, risk), abs=1e-12)


@given(PAIRS)
def test_turning_risks_round_turns_c_round(pairs):
    event, risk = np.array(pairs).T
    both(event)
    assert c_statistic(event, -risk) == pytest.approx(1 - c_statistic(event, risk))
    assert c_statistic(event, np.exp(risk)) == c_statistic(event, risk)


def kernel(event, risk):
    """Return for every pair of an event and a non-event how far it is in order."""
    x, y = risk[event][:, None], risk[~event][None]
    return (x > y) + 0.5 * (x == y)


@given(PAIRS)
def test_the_error_is_delongs_from_every_pair(pairs):
    event, risk = (np.array(one) for one in zip(*pairs, strict=True))
    both(event)
    psi = kernel(event, risk)
    wanted = psi.mean(axis=1).var(ddof=1) / event.sum()
    wanted += psi.mean(axis=0).var(ddof=1) / (~event).sum()
    got = discrimination(event, risk)
    assert got.standard_error == pytest.approx(np.sqrt(wanted), abs=1e-12)
    assert got.method == "DeLong"


def test_clusters_of_one_leave_delongs_error():
    rng = np.random.default_rng(1)
    event, risk = rng.random(200) < 0.3, rng.integers(0, 20, 200)
    one, two = discrimination(event, risk), discrimination(event, risk, np.arange(200))
    assert two.standard_error == pytest.approx(one.standard_error, rel=1e-12)
    assert two.method == "Obuchowski"


def test_the_error_with_clusters_is_obuchowskis_by_hand():
    """Her three sums, written out cluster by cluster."""
    rng = np.random.default_rng(2)
    cluster = rng.integers(0, 12, 150)
    event = (rng.random(150) < 0.4) & (cluster != 3)  # one cluster without an event
    risk = rng.normal(size=150) + event + rng.normal(size=12)[cluster]
    psi = kernel(event, risk)
    c, m, n = psi.mean(), event.sum(), (~event).sum()
    x = [psi.mean(axis=1)[cluster[event] == k] for k in range(12)]
    y = [psi.mean(axis=0)[cluster[~event] == k] for k in range(12)]
    a = np.array([one.sum() - len(one) * c for one in x])
    b = np.array([one.sum() - len(one) * c for one in y])
    s10, s01 = 11 / (10 * m) * (a**2).sum(), 12 / (11 * n) * (b**2).sum()
    s11 = 12 / 11 * (a * b).sum()
    wanted = s10 / m + s01 / n + 2 * s11 / (m * n)
    got = discrimination(event, risk, cluster)
    assert got.standard_error == pytest.approx(np.sqrt(wanted), rel=1e-12)


def test_the_error_with_clusters_is_near_the_jackknife():
    rng = np.random.default_rng(3)
    cluster = np.repeat(np.arange(60), 15)
    event = rng.random(900) < expit(rng.normal(0, 1, 60)[cluster])
    risk = event + rng.normal(0, 1.5, 900) + rng.normal(0, 1, 60)[cluster]
    without = [c_statistic(event[cluster != k], risk[cluster != k]) for k in range(60)]
    wanted = np.sqrt(59 / 60 * np.sum((without - np.mean(without)) ** 2))
    got = discrimination(event, risk, cluster)
    assert got.standard_error == pytest.approx(wanted, rel=0.03)
    assert got.standard_error > 1.3 * discrimination(event, risk).standard_error


def test_intervals_cover_where_clusters_share_risk_and_luck():
    """40 clusters whose C differs; episodes alone are too sure. Truth from 4,000 clusters."""
    rng = np.random.default_rng(4)

    def world(clusters):
        cluster = np.repeat(np.arange(clusters), 25)
        luck, shift = rng.normal(0, 0.8, clusters)[cluster], rng.normal(0, 1, clusters)[cluster]
        x = rng.normal(size=len(cluster))
        return rng.random(len(cluster)) < expit(x + luck - 1), x + shift, cluster

    truth = c_statistic(*world(4000)[:2])
    inside, alone = 0, 0
    for _ in range(300):
        event, risk, cluster = world(40)
        one, two = discrimination(event, risk, cluster), discrimination(event, risk)
        inside += one.lower < truth < one.upper
        alone += two.lower < truth < two.upper
    assert inside >= 274  # 0.95 less 3 standard errors
    assert alone < inside - 10


def test_the_difference_has_the_covariance_in_it():
    """DeLong's variance of a difference from the 2 x 2 covariance of both C-statistics."""
    rng = np.random.default_rng(5)
    event = rng.random(300) < 0.4
    one = event + rng.normal(size=300)
    two = one + rng.normal(size=300)
    parts = [kernel(event, risk) for risk in (one, two)]
    x = np.cov([psi.mean(axis=1) for psi in parts]) / event.sum()
    y = np.cov([psi.mean(axis=0) for psi in parts]) / (~event).sum()
    wanted = np.sqrt(np.array([1, -1]) @ (x + y) @ np.array([1, -1]))
    got = discrimination_difference(event, one, two)
    assert got.standard_error == pytest.approx(wanted, rel=1e-10)
    assert got.value == pytest.approx(roc_auc_score(event, one) - roc_auc_score(event, two))


def test_a_learner_does_not_differ_from_itself():
    rng = np.random.default_rng(6)
    event, risk = rng.random(100) < 0.5, rng.normal(size=100)
    got = discrimination_difference(event, risk, np.exp(risk), rng.integers(0, 9, 100))
    assert (got.value, got.standard_error) == (0, 0)


def test_a_perfect_c_has_no_interval():
    got = discrimination([0, 0, 1, 1], [1, 2, 3, 4])
    assert (got.value, got.standard_error) == (1, 0)
    assert np.isnan([got.lower, got.upper]).all()


RISKS = st.lists(st.tuples(st.booleans(), st.floats(0, 1)), min_size=4, max_size=60)


@given(RISKS, st.sampled_from([None, 1, 2, 5, 10]))
def test_the_parts_of_the_brier_score_sum_to_it(pairs, groups):
    event, risk = zip(*pairs, strict=True)
    both(event)
    got = brier_score(event, risk, groups)
    parts = got.reliability - got.resolution + got.uncertainty
    parts += got.within_variance - got.within_covariance
    assert parts == pytest.approx(got.brier, abs=1e-12)
    assert got.brier == pytest.approx(brier_score_loss(event, risk), abs=1e-12)
    assert got.scaled == pytest.approx(1 - got.brier / got.uncertainty, abs=1e-12)


@given(RISKS)
def test_groups_of_one_risk_have_nothing_within(pairs):
    event, risk = zip(*[(one, round(two, 1)) for one, two in pairs], strict=True)
    both(event)
    got = brier_score(event, risk, None)
    assert got.within_variance == pytest.approx(0, abs=1e-15)
    assert got.within_covariance == pytest.approx(0, abs=1e-15)
    assert got.n_groups == len(set(risk))


def test_everybodys_share_as_risk_scores_nothing():
    got = brier_score([0, 0, 0, 1], [0.25] * 4)
    assert (got.scaled, got.brier, got.uncertainty) == pytest.approx((0, 0.1875, 0.1875))


def test_the_brier_score_is_a_mean_of_squares_and_its_scaled_form_r2():
    rng = np.random.default_rng(7)
    risk, cluster = rng.uniform(size=500), rng.integers(0, 20, 500)
    event = (rng.random(500) < risk).astype(float)
    got = brier_score(event, risk)
    assert accuracy_by_cluster(event, risk, cluster, "mse").value == pytest.approx(got.brier)
    assert accuracy_by_cluster(event, risk, cluster, "r2").value == pytest.approx(got.scaled)


def validated(kind, clusters=30, size=200, seed=8):
    """Return performance in clusters whose slope is 0.8 and whose level has an SD of 0.3."""
    rng = np.random.default_rng(seed)
    cluster = np.repeat(np.arange(clusters), size)
    x = rng.normal(size=len(cluster))
    eta = 0.8 * x + rng.normal(0, 0.3, clusters)[cluster]
    if kind == "mean":
        return performance_by_cluster(eta + rng.normal(size=len(x)), x, cluster)
    return performance_by_cluster(rng.random(len(x)) < expit(eta), expit(x), cluster, "risk")


@pytest.mark.parametrize("kind", ["mean", "risk"])
def test_performance_over_clusters_finds_what_was_planted(kind):
    worlds = [validated(kind, seed=seed).figures for seed in range(20)]
    slopes, levels = ([one[name].pooled for one in worlds] for name in ("slope", "in_the_large"))
    assert np.mean([one.value for one in slopes]) == pytest.approx(0.8, abs=0.025)
    assert np.mean([one.tau for one in levels]) == pytest.approx(0.3, abs=0.03)
    assert sum(one.lower < 0.8 < one.upper for one in slopes) >= 17
    assert sum(one.lower < 0 < one.upper for one in levels) >= 17
    assert np.mean([one.prediction_upper for one in levels]) > 0.5


def test_c_over_clusters_is_that_within_clusters():
    got = validated("risk").figures["c"]
    rng = np.random.default_rng(9)
    x = rng.normal(size=400_000)
    eta = 0.8 * x
    within = c_statistic(rng.random(400_000) < expit(eta), x)
    assert got.pooled.lower - 0.005 < within < got.pooled.upper + 0.005
    assert got.n_left_out == 0


def test_clusters_too_small_to_judge_are_counted_and_left_out():
    rng = np.random.default_rng(10)
    cluster = np.repeat(["big", "huge", "lucky", "small"], [100, 300, 60, 12])
    risk = rng.uniform(0.2, 0.8, 472)
    event = (rng.random(472) < risk) & (cluster != "lucky")
    got = performance_by_cluster(event, risk, cluster, "risk")
    assert got.labels.tolist() == ["big", "huge", "lucky", "small"]
    assert got.n.tolist() == [100, 300, 60, 12]
    for one in got.figures.values():
        assert np.isnan(one.value).tolist() == [False, False, True, True]
        assert (one.n_left_out, one.pooled.n_clusters) == (2, 2)


@pytest.mark.parametrize(("fewest", "left_out"), [(9, 1), (10, 0)])
@pytest.mark.parametrize("with_event", [True, False])
def test_ten_with_the_event_and_ten_without_are_wanted(with_event, fewest, left_out):
    rng = np.random.default_rng(12)
    cluster = np.repeat(["a", "b", "c"], [200, 200, 60])
    risk = rng.uniform(0.2, 0.8, 460)
    event = rng.random(460) < risk
    few = rng.permutation(60) < fewest
    event[400:] = few if with_event else ~few
    got = performance_by_cluster(event, risk, cluster, "risk")
    assert {one.n_left_out for one in got.figures.values()} == {left_out}


def test_one_usable_cluster_is_not_pooled():
    rng = np.random.default_rng(11)
    x = rng.normal(size=60)
    got = performance_by_cluster(x + rng.normal(size=60), x, ["a"] * 50 + ["b"] * 10)
    assert got.figures["slope"].pooled is None
    assert got.figures["slope"].n_left_out == 1


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda: c_statistic([0, 0], [0.1, 0.2]), NoVariationError, "0 of 2"),
        (lambda: c_statistic([1, 1], [0.1, 0.2]), NoVariationError, "2 of 2"),
        (lambda: c_statistic([0, 2], [0.1, 0.2]), ArrayError, "0 or 1; got 2"),
        (lambda: c_statistic([0, 1], [0.1]), ArrayError, "risk: wanted shape"),
        (lambda: c_statistic([0, np.nan], [0.1, 0.2]), ArrayError, "event: wanted finite"),
        (lambda: discrimination([0, 0, 1], [1, 2, 3]), ArrayError, "at least 2 with an event"),
        (lambda: discrimination([0, 1], [1, 2], [1, 1]), ArrayError, "at least 2 clusters"),
        (
            lambda: discrimination([0, 1, 1, 0], [1, 2, 1, 2], [1, 1, 1, 2]),
            ArrayError,
            "got 1 and 2",
        ),
        (lambda: brier_score([0, 1], [0.1, 1.2]), ArrayError, "0 to 1; got 0.1 to 1.2"),
        (lambda: brier_score([0, 1], [0.1, 0.2], 0), ArrayError, "groups"),
        (lambda: performance_by_cluster([1, 2], [1, 2, 3], [1, 2]), ArrayError, "as many of each"),
        (lambda: performance_by_cluster([1, 2], [1, 2], [1, 2], "share"), ArrayError, "kind"),
        (
            lambda: performance_by_cluster([1, 0, 1], [1, 0.2, 0.3], [1, 2, 1], "risk"),
            ArrayError,
            "above 0 and below 1",
        ),
    ],
)
def test_what_has_no_discrimination_is_refused(call, error, says):
    with pytest.raises(error, match=says):
        call()
