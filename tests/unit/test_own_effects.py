"""A provider's own log-odds: near their posterior, and the likeliest where it says."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special, stats

from riskadj.stats.own_effects import own_log_odds


@pytest.mark.parametrize(("n", "events"), [(1, 0), (4, 4), (20, 3), (300, 150)])
def test_log_odds_of_alike_episodes_are_those_of_a_beta_distribution(n, events):
    found = own_log_odds((np.arange(n) < events) * 1.0, np.full(n, 0.7), np.zeros(n, dtype=int))
    np.testing.assert_allclose(found.events, events + 0.5, rtol=1e-6)
    np.testing.assert_allclose(found.others, n - events + 0.5, rtol=1e-6)
    rng = np.random.default_rng(1)
    chance = special.expit(
        0.7 + found.mode + np.concatenate([found.draw(rng) for _ in range(4_000)])
    )
    _, p = stats.kstest(chance, stats.beta(events + 0.5, n - events + 0.5).cdf)
    assert p > 0.001


@pytest.mark.parametrize(
    ("n", "events", "spread"), [(10, 0, 1.0), (10, 5, 2.0), (30, 3, 1.5), (30, 30, 1.0)]
)
def test_log_odds_of_unlike_episodes_are_near_their_posterior(n, events, spread):
    """Of the mean chance: a grid of the likelihood times the root of the information."""
    rng = np.random.default_rng(3)
    offset = spread * rng.standard_normal(n) - 1
    y = np.zeros(n)
    y[np.argsort(rng.standard_normal(n) - offset)[:events]] = 1
    grid = np.linspace(-30, 30, 12_001)
    p = special.expit(offset[:, None] + grid)
    likelihood = events * grid - np.logaddexp(0, offset[:, None] + grid).sum(axis=0)
    density = np.exp(likelihood - likelihood.max()) * np.sqrt((p * (1 - p)).sum(axis=0))
    density /= density.sum()
    mean = density @ p.mean(axis=0)
    sd = np.sqrt(density @ (p.mean(axis=0) - mean) ** 2)
    found = own_log_odds(y, offset, np.zeros(n, dtype=int))
    assert found.mode[0] == pytest.approx(grid[density.argmax()], abs=0.01)
    effect = found.mode + np.concatenate([found.draw(rng) for _ in range(4_000)])
    chance = special.expit(offset[:, None] + effect).mean(axis=0)
    assert chance.mean() == pytest.approx(mean, abs=0.08 * sd)
    assert chance.std() == pytest.approx(sd, rel=0.08)


@given(seed=st.integers(0, 10_000), n=st.integers(1, 40), spread=st.floats(0, 4))
def test_the_likeliest_log_odds_solve_the_penalised_score(seed, n, spread):
    rng = np.random.default_rng(seed)
    offset, y = spread * rng.standard_normal(n), (rng.random(n) < rng.random()) * 1.0
    found = own_log_odds(y, offset, np.zeros(n, dtype=int))
    p = special.expit(offset + found.mode)
    weight = p * (1 - p)
    score = (y - p).sum() + (weight * (1 - 2 * p)).sum() / weight.sum() / 2
    assert abs(score) < 1e-6 * n
    assert min(found.events[0], found.others[0]) > 0
    assert np.isfinite(found.draw(rng)).all()
