"""Over many worlds: slopes within providers are unbiased and cover, pooled ones hide quality."""

from functools import cache

import numpy as np
import pytest
from scipy.special import expit

from riskadj.stats.graded import slope_between, slopes_within

TRUTH, WORLDS, PROVIDERS, PATIENTS = -0.6, 400, 50, 40
FAMILIES = ("gaussian", "binomial", "gamma")


def world(family, seed):
    """Poorer patients go to worse providers; poverty goes with case mix; sizes differ."""
    rng = np.random.default_rng([seed, FAMILIES.index(family)])
    quality = rng.normal(0, 0.4, PROVIDERS)
    sizes = np.maximum(12, rng.lognormal(np.log(PATIENTS), 0.5, PROVIDERS)).astype(int)
    provider = np.repeat(np.arange(PROVIDERS), sizes)
    casemix = rng.normal(size=len(provider))
    poor = 0.4 * casemix - 1.5 * quality[provider] + rng.normal(size=len(provider))
    linear = 0.5 * casemix + TRUTH * poor + quality[provider]
    y = {
        "gaussian": lambda: linear + rng.normal(size=len(linear)),
        "binomial": lambda: (rng.random(len(linear)) < expit(linear)).astype(float),
        "gamma": lambda: np.exp(linear) * rng.gamma(2, 0.5, len(linear)),
    }[family]()
    return y, poor, casemix, provider, quality


@cache
def recovered(family, worlds=WORLDS):
    rows = []
    for seed in range(worlds):
        y, poor, casemix, provider, quality = world(family, seed)
        nothing = np.zeros(len(y))
        one = slopes_within(y, nothing, poor, provider, family, casemix)
        pooled = slopes_within(y, nothing, poor, provider, family, casemix, within=False)
        between = slope_between(y, 0.5 * casemix, poor, provider, family)
        rows.append([one.coef[0], one.standard_error[0], pooled.coef[0], between.coef[0],
                     *(kept_of_quality(y, quality, casemix, poor, provider, at)
                       for at in (one.coef[0], pooled.coef[0]))])  # fmt: skip
    return np.array(rows)


def kept_of_quality(y, quality, casemix, poor, provider, slope):
    """Return the slope of providers' adjusted means on their true quality: 1, nothing is hidden."""
    left = y - 0.5 * casemix - slope * (poor - poor.mean())
    count = np.bincount(provider)
    means = np.bincount(provider, left) / count
    return np.polyfit(quality, means, 1, w=np.sqrt(count))[0]


def test_a_few_worlds_already_tell_within_from_pooled():
    within, _, pooled, between, kept, hidden = recovered("gaussian", 20).mean(axis=0)
    assert within == pytest.approx(TRUTH, abs=0.03)
    assert pooled < TRUTH - 0.1
    assert between < TRUTH - 0.3
    assert kept == pytest.approx(1, abs=0.06)
    assert hidden < 0.85


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_slopes_within_providers_are_unbiased(family):
    slopes = recovered(family)[:, 0]
    error = slopes.std(ddof=1) / np.sqrt(len(slopes))
    # Provider intercepts of a logistic model bias slopes by about 1 in 50 here.
    allowed = {"binomial": 0.03 * abs(TRUTH)}.get(family, 0.0)
    assert abs(slopes.mean() - TRUTH) < 4 * error + allowed


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_their_intervals_cover(family):
    slopes, errors = recovered(family)[:, :2].T
    covered = np.mean(np.abs(slopes - TRUTH) < 1.96 * errors)
    assert 0.915 < covered < 0.97


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_pooled_and_between_slopes_are_not_the_truth(family):
    pooled, between = recovered(family)[:, 2:4].mean(axis=0)
    assert between < TRUTH - 0.2
    assert pooled < TRUTH - 0.1


@pytest.mark.slow
def test_full_adjustment_keeps_quality_by_slopes_within_and_not_by_pooled_ones():
    kept, hidden = recovered("gaussian")[:, 4:].mean(axis=0)
    assert kept == pytest.approx(1, abs=0.01)
    assert hidden < 0.85
