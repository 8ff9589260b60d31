"""How providers differ in a total and its parts: identities, chance taken off, and coverage."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from riskadj.errors import ArrayError, TooFewProvidersError
from riskadj.stats.cost_parts import (
    FIFTH_OF_NORMAL,
    between_parts,
    outer_fifths,
    part_excess,
    rake,
)

LEVELS = np.array([800.0, 60.0, 140.0])
NOISE = np.array([0.25, 1.2, 0.5])
SPREAD = np.array([0.10, 0.30, 0.0])


def world(seed, providers=60, size=40, spread=SPREAD, vary=True):
    """Return observed and expected costs and providers; parts differ by independent effects."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(size // 2, 2 * size, providers) if vary else np.full(providers, size)
    provider = np.repeat(np.arange(providers), sizes)
    effect = spread * rng.uniform(-np.sqrt(3), np.sqrt(3), (providers, 3))
    severity = rng.lognormal(0, 0.3, len(provider))[:, None]
    expected = LEVELS * severity
    shape = 1 / NOISE**2
    noise = rng.gamma(shape, 1 / shape, (len(provider), 3))
    return expected * (1 + effect[provider]) * noise, expected, provider


def draws_of(providers, replicates, seed=0):
    return np.random.default_rng(seed).integers(0, providers, (replicates, providers))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 30), st.integers(2, 6))
def test_a_raked_table_has_the_sums_that_were_asked_for(seed, n_rows, n_columns):
    rng = np.random.default_rng(seed)
    asked = rng.lognormal(0, 1, (n_rows, n_columns))
    asked[:, 0] *= rng.integers(0, 2)
    found = rake(rng.lognormal(0, 1, (n_rows, n_columns)), asked.sum(axis=1), asked.sum(axis=0))
    np.testing.assert_allclose(found.sum(axis=1), asked.sum(axis=1), rtol=1e-9)
    np.testing.assert_allclose(found.sum(axis=0), asked.sum(axis=0), atol=1e-8 * asked.sum())


@pytest.mark.parametrize(
    ("rows", "columns", "told"),
    [([1.0, 1.0], [1.0, 2.0], "the sum of the rows"), ([2.0, 0.0], [1.0, 1.0], "above 0"),
     ([1.0, 1.0], [3.0, -1.0], "wanted 0 or more")],
)  # fmt: skip
def test_sums_that_no_table_has_are_refused(rows, columns, told):
    with pytest.raises(ArrayError, match=told):
        rake(np.ones((2, 2)), rows, columns)


def test_the_parts_of_an_excess_sum_to_that_of_the_total():
    observed, expected, provider = world(1)
    found = part_excess(observed, expected, provider)
    alone = part_excess(observed.sum(axis=1)[:, None], expected.sum(axis=1)[:, None], provider)
    np.testing.assert_allclose(found.ratio, alone.ratio)
    np.testing.assert_allclose(found.total_error, alone.total_error)
    np.testing.assert_allclose(found.weight, alone.weight)
    assert between_parts(found).sum() == pytest.approx(between_parts(alone)[0, 0])


def test_the_order_of_episodes_and_the_names_of_providers_change_nothing():
    observed, expected, provider = world(2)
    order = np.random.default_rng(0).permutation(len(provider))
    plain = between_parts(part_excess(observed, expected, provider))
    other = between_parts(part_excess(observed[order], expected[order], 99 - provider[order]))
    np.testing.assert_allclose(other, plain, atol=1e-12)


def test_the_unit_of_cost_changes_nothing():
    observed, expected, provider = world(3)
    plain = part_excess(observed, expected, provider)
    other = part_excess(1000 * observed, 1000 * expected, provider)
    np.testing.assert_allclose(other.excess, plain.excess)
    np.testing.assert_allclose(other.error, plain.error)


def test_drawing_each_provider_once_is_the_estimate_but_for_its_correction():
    found = part_excess(*world(4))
    n = len(found.n)
    once = between_parts(found, np.arange(n)[None, :])[0]
    w, away = found.weight, found.excess - np.average(found.excess, axis=0, weights=found.weight)
    among = (w[:, None] * away).T @ away / (w.sum() - (w**2).sum() / w.sum())
    np.testing.assert_allclose(once - between_parts(found), among / (n - 1), atol=1e-12)


def test_chance_is_taken_off_without_bias():
    """Means over worlds of the estimated variances, against those the worlds are made of."""
    seen = np.array([between_parts(part_excess(*world(seed))) for seed in range(120)])
    share = LEVELS / LEVELS.sum()
    true = np.diag((SPREAD * share) ** 2)
    error = seen.std(axis=0) / np.sqrt(len(seen))
    assert (np.abs(seen.mean(axis=0) - true) < 3.5 * error).all()
    assert error[0, 0] < 0.05 * true[0, 0]


def test_the_bootstrap_interval_holds_the_truth_as_often_as_it_says():
    inside = []
    for seed in range(150):
        found = part_excess(*world(1000 + seed))
        drawn = between_parts(found, draws_of(len(found.n), 200, seed)).sum(axis=(1, 2))
        low, high = np.percentile(drawn, [2.5, 97.5])
        inside.append(low <= ((SPREAD * LEVELS / LEVELS.sum()) ** 2).sum() <= high)
    assert 0.88 <= np.mean(inside) <= 0.99


def test_where_providers_differ_by_chance_alone_nothing_is_left_on_average():
    seen = [
        between_parts(part_excess(*world(seed, spread=0 * SPREAD))).sum() for seed in range(100)
    ]
    assert abs(np.mean(seen)) < 3.5 * np.std(seen) / 10
    assert min(seen) < 0 < max(seen)


def test_a_provider_with_one_episode_has_the_chance_of_all():
    observed, expected, provider = world(5)
    observed, expected = np.vstack([observed, LEVELS]), np.vstack([expected, LEVELS])
    found = part_excess(observed, expected, np.append(provider, 999))
    assert np.isfinite(found.error).all()
    assert found.total_error[-1] > 10 * np.median(found.total_error[:-1])


def test_log_ratios_are_close_to_the_excess_where_both_are_small():
    found = part_excess(*world(6, spread=np.array([0.05, 0.0, 0.0])))
    logs = found.on_log_scale()
    assert np.sqrt(between_parts(logs)[0, 0]) == pytest.approx(
        np.sqrt(between_parts(found).sum()), rel=0.1
    )
    observed, expected, provider = world(6)
    observed[provider == 0] = 0.0
    with pytest.raises(ArrayError, match="a sum above 0 for every provider"):
        part_excess(observed, expected, provider).on_log_scale()


def test_outer_fifths_of_a_normal_distribution_are_as_far_apart_as_the_constant_says():
    z = np.random.default_rng(0).standard_normal(400_000)
    low, high = outer_fifths(z, z, np.ones(len(z)))
    assert high == pytest.approx(FIFTH_OF_NORMAL, abs=0.01)
    assert low == pytest.approx(-FIFTH_OF_NORMAL, abs=0.01)


def test_with_equal_sizes_and_no_case_mix_it_is_the_analysis_of_variance():
    observed, expected, provider = world(7, vary=False)
    flat = np.broadcast_to(observed.mean(axis=0), expected.shape)
    found = part_excess(observed, flat, provider)
    parts = np.column_stack([observed, observed.sum(axis=1)])
    means = pd.DataFrame(parts).groupby(provider).mean().to_numpy()
    size = np.bincount(provider)[0]
    away, within = means - means.mean(axis=0), parts - means[provider]
    noise = within.T @ within[:, -1] / (len(parts) - len(means))
    theirs = (away.T @ away[:, -1] / (len(means) - 1) - noise / size)[:-1]
    ours = between_parts(found).sum(axis=1) * observed.sum(axis=1).mean() ** 2
    np.testing.assert_allclose(ours, theirs, rtol=1e-9)


@pytest.mark.parametrize(
    ("change", "error", "told"),
    [
        (lambda o, e, p: (-o, e, p), ArrayError, "wanted 0 or more"),
        (lambda o, e, p: (o, 0 * e, p), ArrayError, "an expected total above 0"),
        (lambda o, e, p: (o, e[:, :2], p), ArrayError, "expected"),
        (lambda o, e, p: (o, e, 0 * p), TooFewProvidersError, "got 1 and"),
        (lambda o, e, p: (o, e, np.arange(len(p))), TooFewProvidersError, "more episodes"),
    ],
)
def test_what_cannot_be_compared_is_refused(change, error, told):
    with pytest.raises(error, match=told):
        part_excess(*change(*world(8)))


def test_a_provider_counts_by_its_chance_and_what_lies_between():
    sizes = np.array([5, 10, 20, 40, 80, 160])
    provider = np.repeat(np.arange(6), sizes)
    rng = np.random.default_rng(3)
    true = np.array([0.5, -0.4, 0.3, -0.3, 0.2, -0.1])
    cost = 100 * (1 + true[provider] + rng.normal(0, 0.2, provider.size))
    found = part_excess(cost[:, None], np.full((cost.size, 1), 100.0), provider)
    means = np.bincount(provider, cost / 100) / sizes
    within = ((cost / 100 - means[provider]) ** 2).sum() / (cost.size - 6)
    between = 1 / found.weight - within / sizes
    assert between == pytest.approx(np.full(6, between[0]))
    assert 0.05 < between[0] < 0.3  # of the true ones: 0.13
