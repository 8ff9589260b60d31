"""Outcome and cost together: the pair's covariance from chance, and what changes nothing."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

from riskadj.errors import ArrayError, NoVariationError, TooFewProvidersError
from riskadj.stats.joint import joint_profile

CHANCES = (
    "p_better_and_cheaper",
    "p_better_and_dearer",
    "p_worse_and_cheaper",
    "p_worse_and_dearer",
)


def world(providers=20, size=60, seed=0, correlation=-0.3):
    """Return outcome, its expectation, cost, its expectation, provider, and the true pairs."""
    rng = np.random.default_rng(seed)
    provider = np.repeat(np.arange(providers), size)
    true = rng.normal(size=(providers, 2)) * [1.0, 0.15]
    noise = rng.multivariate_normal([0, 0], [[1, correlation], [correlation, 1]], provider.size)
    expected = rng.normal(20, 3, provider.size)
    dear = 100 * np.exp(rng.normal(0, 0.3, provider.size))
    outcome = expected + true[provider, 0] + 6 * noise[:, 0]
    cost = dear * np.exp(true[provider, 1] + 0.45 * noise[:, 1] - 0.45**2 / 2)
    return [outcome, expected, cost, dear, provider], true


def profile(arrays, **settings):
    return joint_profile(*arrays, **{"replicates": 50} | settings)


def chances(found):
    return np.column_stack([getattr(found, name) for name in CHANCES])


# --- what is observed ---


def test_the_pair_is_the_mean_difference_and_the_log_of_the_ratio_of_sums():
    arrays, _ = world()
    o, e, c, d, provider = arrays
    found = profile(arrays)
    mine = provider == 3
    assert found.effect[3, 0] == pytest.approx((o - e)[mine].mean() - (o - e).mean())
    ratio = c[mine].sum() / d[mine].sum() / (c.sum() / d.sum())
    assert np.exp(found.effect[3, 1]) == pytest.approx(ratio)
    assert found.outcome_ratio[3] == pytest.approx(o[mine].sum() / e[mine].sum())


def test_chance_is_that_of_repeated_draws():
    seen, said = [], []
    for seed in range(250):
        arrays, true = world(providers=10, size=80, seed=seed, correlation=-0.6)
        found = profile(arrays, replicates=2)
        centre = true.mean(axis=0)
        seen.append((found.effect - (true - centre))[0])
        said.append(found.covariance[0])
    # A tenth of the chance of one goes with the centre of ten.
    drawn, told = np.cov(np.transpose(seen)), np.mean(said, axis=0) * 0.9
    assert np.sqrt(np.diag(drawn)) == pytest.approx(np.sqrt(np.diag(told)), rel=0.12)
    correlations = [one[0, 1] / np.sqrt(one[0, 0] * one[1, 1]) for one in (drawn, told)]
    assert correlations[0] == pytest.approx(correlations[1], abs=0.1)
    assert correlations[1] < -0.4


def test_residuals_go_together_only_where_an_episode_has_both():
    arrays, _ = world(correlation=-0.8)
    half = np.arange(arrays[0].size) % 2 == 0
    apart = [np.where(keep, one, np.nan) for one, keep in
             zip(arrays[:4], (half, half, ~half, ~half), strict=True)]  # fmt: skip
    found = profile([*apart, arrays[4]])
    assert found.n_both.sum() == 0
    assert found.within_correlation == 0
    assert (found.covariance[:, 0, 1] == 0).all()
    assert profile(arrays).covariance[0, 0, 1] < 0


def test_an_episode_with_one_of_the_two_counts_for_that_one():
    arrays, _ = world()
    without = [one.copy() for one in arrays]
    for column in (0, 1):
        without[column][::3] = np.nan
    found = profile(without)
    assert (found.n_outcome == 40).all()
    assert (found.n_cost == 60).all()
    assert (found.n_both == 40).all()
    assert found.effect[:, 1] == pytest.approx(profile(arrays).effect[:, 1])


def test_a_provider_without_any_cost_has_no_pair_and_is_not_judged():
    arrays, _ = world()
    arrays[2][arrays[4] == 5] = arrays[3][arrays[4] == 5] = np.nan
    found = profile(arrays)
    assert np.isnan(found.covariance[5]).all()
    assert np.isfinite(found.effect[5, 0])
    assert np.isnan(found.effect[5, 1])
    assert np.isnan(chances(found)[5]).all()
    assert list(np.flatnonzero(~found.judged)) == [5]


def test_costs_of_0_have_a_logarithm():
    arrays, _ = world()
    arrays[2][arrays[4] == 5] = 0.0
    assert profile(arrays).effect[5, 1] < -3


def test_small_providers_are_part_of_the_reference_and_no_more():
    arrays, _ = world()
    keep = (arrays[4] != 7) | (np.arange(arrays[4].size) % 10 == 0)
    arrays = [one[keep] for one in arrays]
    found = profile(arrays, minimum_n=30)
    assert list(np.flatnonzero(~found.judged)) == [7]
    assert np.isfinite(found.effect).all()
    weights = found.n_outcome / found.n_outcome.sum()
    assert weights @ found.effect[:, 0] == pytest.approx(0)


def test_shares_vary_by_their_chance():
    arrays, _ = world()
    rng = np.random.default_rng(1)
    arrays[1] = rng.uniform(0.05, 0.95, arrays[0].size)
    arrays[0] = (rng.random(arrays[0].size) < arrays[1]).astype(float)
    found = profile(arrays, outcome_family="binomial")
    wanted = [np.sum(e * (1 - e)) / 60**2 for e in arrays[1].reshape(20, 60)]
    assert found.covariance[:, 0, 0] == pytest.approx(wanted, rel=0.1)


# --- identities ---


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    providers=st.integers(4, 12),
    unit=st.floats(0.01, 1000),
    price=st.floats(0.01, 1000),
)
def test_units_and_prices_change_no_chance(seed, providers, unit, price):
    arrays, _ = world(providers, 20, seed)
    plain = profile(arrays)
    o, e, c, d, provider = arrays
    scaled = profile([unit * o, unit * e, price * c, 3 * price * d, provider])
    assert chances(scaled) == pytest.approx(chances(plain), abs=1e-6)
    assert scaled.shrunken[:, 0] == pytest.approx(unit * plain.shrunken[:, 0], abs=1e-6 * unit)
    assert chances(plain).sum(axis=1) == pytest.approx(1)
    assert (np.linalg.eigvalsh(plain.shrunken_covariance) > 0).all()
    assert (np.linalg.eigvalsh(plain.between) > 0).all()


def test_where_less_is_better_the_quarters_change_places():
    arrays, _ = world()
    o, e, *rest = arrays
    turned = profile([-o, -e, *rest], better=-1)
    assert chances(turned) == pytest.approx(chances(profile(arrays)), abs=1e-9)


def test_other_names_and_another_order_of_episodes_move_rows_only():
    arrays, _ = world()
    order = np.random.default_rng(0).permutation(arrays[0].size)
    found, again = profile(arrays), profile([one[order] for one in arrays])
    assert chances(again) == pytest.approx(chances(found), abs=1e-9)


def test_the_same_seed_gives_the_same_bytes_and_another_nearly_the_same():
    arrays, _ = world()
    first, same, other = (profile(arrays, replicates=300, seed=one) for one in (1, 1, 2))
    assert chances(first).tobytes() == chances(same).tobytes()
    assert np.abs(chances(first) - chances(other)).max() < 0.03


def test_everybody_is_drawn_to_the_middle_the_small_ones_more():
    rng = np.random.default_rng(3)
    arrays, _ = world(30, 80, 1)
    keep = (arrays[4] % 2 == 0) | (rng.random(arrays[0].size) < 0.15)
    found = profile([one[keep] for one in arrays], replicates=200)
    kept = np.abs(found.shrunken) / np.abs(found.effect)
    big = found.n_both > 40
    assert np.median(kept[big, 0]) > np.median(kept[~big, 0])
    spread = np.linalg.det(found.shrunken_covariance) / np.linalg.det(found.covariance)
    assert np.median(spread) < 1


def test_a_provider_that_is_better_and_cheaper_by_far_is_found():
    arrays, _ = world()
    arrays[0] = arrays[0] + 6 * (arrays[4] == 0)
    arrays[2] = arrays[2] * np.where(arrays[4] == 0, 0.5, 1.0)
    assert profile(arrays).p_better_and_cheaper[0] > 0.99


# --- what is refused ---


def changed(place, row, value):
    arrays, _ = world()
    arrays[place] = arrays[place].copy()
    arrays[place][row] = value
    return arrays


@pytest.mark.parametrize(
    ("arrays", "settings", "told"),
    [
        (changed(0, 0, np.nan), {}, "outcome_observed, outcome_expected: wanted both or neither"),
        (changed(2, 0, -1.0), {}, "costs of 0 or more"),
        (changed(3, 0, 0.0), {}, "expectations above 0"),
        (changed(3, 0, np.inf), {}, "cost_expected: wanted finite"),
        (changed(0, slice(None), 1.0), {"outcome_family": "binomial"}, "chances between 0 and 1"),
        (world()[0], {"better": 0}, "better: wanted 1 or -1; got 0"),
        (world()[0], {"replicates": 1}, "replicates: wanted a whole number of 2 or more"),
    ],
)
def test_arrays_that_cannot_be_used_are_refused(arrays, settings, told):
    with pytest.raises(ArrayError, match=told):
        profile(arrays, **settings)


def test_too_few_providers_are_refused():
    with pytest.raises(TooFewProvidersError, match="wanted 4 providers or more with 30 episodes"):
        profile(world(providers=3)[0], minimum_n=30)
    with pytest.raises(TooFewProvidersError, match="got 0"):
        profile(world()[0], minimum_n=61)


def test_costs_exactly_as_expected_are_refused():
    arrays, _ = world()
    arrays[2] = arrays[3]
    with pytest.raises(NoVariationError, match="cost: wanted episodes"):
        profile(arrays)


def test_chances_are_those_of_the_shrunken_pair_and_its_covariance():
    found = profile(world(providers=40, seed=8)[0], replicates=100)
    sd = np.sqrt(np.diagonal(found.shrunken_covariance, axis1=1, axis2=2))
    better, cheaper = special.ndtr(found.shrunken / sd * [1, -1]).T
    each = chances(found)
    assert np.abs(each[:, :2].sum(axis=1) - better).max() < 0.02
    assert np.abs(each[:, [0, 2]].sum(axis=1) - cheaper).max() < 0.02
