"""Worked numbers of cost models and payment: what is published, and what must hold by arithmetic.

The Rao-Wu, constrained-fit and compensation identities are those that the package riskfair holds
itself to; the risk score as paid is the worked example of Tuva Health's CMS-HCC documentation; the
logistic numbers are those of Keet Health's registry of outcome measures (2020 and 2023 tables).
"""

from fractions import Fraction

import numpy as np
import pytest

from riskadj.payment import (
    currency_of,
    multiplied,
    payable_score,
    risk_transfers,
    to_minor,
    transfers_in_minor,
)
from riskadj.stats.constrained import constrained_least_squares
from riskadj.stats.cost_fit import cost_fit
from riskadj.stats.links import link_named
from riskadj.stats.predictive_ratios import net_compensation, predictive_ratio
from riskadj.stats.rescaling import rescaling_weights

Y = np.array([100.0, 100.0, 300.0, 300.0])
PAYS = np.array([150.0, 150.0, 200.0, 200.0])
LAST_TWO = np.array([False, False, True, True])
USD = currency_of("USD")


# --- fit and groups ---


@pytest.mark.parametrize("weights", [None, [1.0, 2.0, 3.0, 0.5]])
def test_a_perfect_expectation_has_a_fit_of_1_and_the_mean_one_of_0(weights):
    perfect = cost_fit(Y, Y, weights)
    assert (perfect.r2, perfect.cpm, perfect.mae, perfect.total_ratio) == (1, 1, 0, 1)
    mean = cost_fit(Y, np.full(4, np.average(Y, weights=weights)), weights)
    assert mean.r2 == pytest.approx(0, abs=1e-15)
    assert mean.cpm == pytest.approx(0, abs=1e-15)


def test_a_group_that_costs_300_and_is_paid_200_is_100_short():
    row = Y, PAYS, LAST_TWO, np.arange(4)
    assert net_compensation(*row, method="jackknife").value == -100
    assert predictive_ratio(*row, method="jackknife").value == pytest.approx(2 / 3, rel=1e-15)


@pytest.fixture
def episodes():
    rng = np.random.default_rng(8)
    X = rng.normal(size=(500, 3))
    group = rng.random(500) < 0.25
    y = 5000 + X @ [800.0, -300.0, 200.0] + 2500 * group + rng.gamma(1, 3000, 500)
    return y, X, group, rng.uniform(0.5, 2, 500)


@pytest.mark.parametrize("balanced", [True, False])
def test_a_constrained_fit_compensates_its_group_to_less_than_a_millionth(episodes, balanced):
    got = constrained_least_squares(*episodes, balanced=balanced)
    assert abs(got.net_compensation[0]) < 1e-6


def test_a_penalty_moves_compensation_one_way_and_none_is_plain_least_squares(episodes):
    y, X, _, w = episodes
    short = [
        abs(constrained_least_squares(*episodes, penalty=one).net_compensation[0])
        for one in (0, 1, 10, 100, 1_000, 10_000)
    ]
    assert (np.diff(short) < 0).all()
    root = np.sqrt(w)[:, None]
    design = np.column_stack([np.ones(500), X])
    plain = np.linalg.lstsq(root * design, root[:, 0] * y)[0]
    unpenalised = constrained_least_squares(*episodes, penalty=0)
    np.testing.assert_allclose(unpenalised.coef, plain, rtol=1e-10)


def test_of_two_clusters_one_is_drawn_and_counts_2_of_four_three_that_count_4_thirds():
    got = rescaling_weights(["a", "b", "a", "b", "b", "b"], replicates=200, seed=1)
    of_two, of_four = got[:, [0, 2]], got[:, [1, 3, 4, 5]]
    assert set(of_two.ravel().tolist()) == {0.0, 2.0}
    assert (of_two.sum(axis=1) == 2).all()
    assert ((of_four * 3 / 4).round(12).sum(axis=1) == 3).all()
    np.testing.assert_allclose(np.unique(of_four), np.arange(4) * 4 / 3, rtol=1e-15)


# --- transfers, scores, trend ---


def test_a_transfer_between_two_plans_of_equal_size():
    """Scores 1.2 and 0.9, all else equal, mean premium 400."""
    got = risk_transfers([0.5, 0.5], [1.2, 0.9], 400.0)
    np.testing.assert_allclose(got, [57.142857, -57.142857], atol=5e-7)
    assert abs(0.5 * got[0] + 0.5 * got[1]) < 1e-12
    in_cents = transfers_in_minor({"a": 50, "b": 50}, dict(zip("ab", got, strict=True)), USD)
    assert in_cents == {"a": 285714, "b": -285714}


def test_a_risk_score_as_it_is_paid():
    """0.754 / 1.015 x (1 - 0.059) = 0.699."""
    assert round(payable_score(0.754, 1.015, 0.059), 3) == 0.699


def test_a_price_that_goes_from_20000_to_25000_has_the_trend_1_25():
    earlier, later = to_minor("20000", USD), to_minor("25000", USD)
    assert Fraction(later, earlier) == Fraction("1.25")
    assert multiplied(earlier, "1.25") == later
    assert multiplied(earlier, Fraction(later, earlier)) == later


# --- the logistic function, and one that is not it ---


def chance(x):
    return float(link_named("logit").mean(np.array([x]))[0])


@pytest.mark.parametrize(("x", "risk"), [(-0.4655297080, 0.3856748461), (0.2756133, 0.5684704395)])
def test_the_chance_of_failure_of_a_registrys_worked_examples(x, risk):
    assert chance(x) == pytest.approx(risk, abs=5e-10)


def test_the_formula_as_the_registry_printed_it_gives_everybody_the_same_chance():
    """e^x / e^(1 + x) is 1 / e whatever x is."""
    printed = [np.exp(x) / np.exp(1 + x) for x in (-2.0, 0.2756133, 3.0)]
    np.testing.assert_allclose(printed, 0.36787944, atol=5e-9)
    assert abs(chance(0.2756133) - printed[1]) > 0.2
    assert len({round(chance(x), 6) for x in (-2.0, 0.2756133, 3.0)}) == 3


def test_a_failure_where_46_per_cent_were_expected_is_53_per_cent_worse():
    """Observed minus predicted, and put on a scale from 0 to 1."""
    x = float(link_named("logit").predictor(np.array([0.4642194335]))[0])
    difference = 1 - chance(x)
    assert difference == pytest.approx(0.5357805665, abs=5e-11)
    assert (difference + 1) / 2 == pytest.approx(0.7678902832, abs=1e-10)
