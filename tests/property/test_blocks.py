"""What a fit may depend on of how episodes are cut into blocks: nothing but rounding."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from laid import FITS, Scrambled, apart, lay, make_episodes, outcome_of, reordered

from riskadj.engine import Local
from riskadj.stats import Values, provider_sums

few = settings(
    max_examples=6,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
SAME = 1e-9
"""The same steps, sums rounded elsewhere."""
WORLD = make_episodes()
N = len(WORLD.X)
every_fit = pytest.mark.parametrize("kind", FITS)
cuts = st.lists(st.integers(0, N) | st.sampled_from([0, 7, N]), min_size=1, max_size=9)


@pytest.fixture(scope="module")
def whole():
    """Return each fit to one block."""
    return {kind: fit(Local().place(lay(WORLD, outcome_of(kind)))) for kind, fit in FITS.items()}


@every_fit
@few
@given(cuts=cuts, seed=st.integers(0, 1000))
def test_neither_cuts_nor_the_order_of_workers_change_a_fit(whole, kind, cuts, seed):
    blocks = Scrambled(seed).place(lay(WORLD, outcome_of(kind), cuts))
    assert apart(FITS[kind](blocks), whole[kind]) < SAME


@every_fit
def test_a_block_may_be_one_episode_or_one_provider(whole, kind):
    outcome = outcome_of(kind)
    single = lay(WORLD, outcome, [1, 2, 3, 3, 3])
    assert apart(FITS[kind](Local().place(single)), whole[kind]) < SAME
    by_provider = np.argsort(WORLD.provider, kind="stable")
    sorted_world = reordered(WORLD, by_provider)
    _, starts = np.unique(sorted_world.provider, return_index=True)
    blocks = Local(threads=2).place(lay(sorted_world, outcome, starts[1:]))
    assert apart(FITS[kind](blocks), whole[kind]) < SAME


@few
@given(cuts=cuts, seed=st.integers(0, 1000))
def test_provider_sums_are_the_same_bits_however_episodes_are_cut_and_ordered(cuts, seed):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(2, N)) * np.exp(6 * rng.normal(size=N))
    one = provider_sums(Local().place([Values(WORLD.provider, values)]))
    order, edges = rng.permutation(N), [0, *sorted(cuts), N]
    laid = [Values(WORLD.provider[order[a:b]], values[:, order[a:b]]) for a, b in pairwise(edges)]
    other = provider_sums(Scrambled(seed).place(laid))
    for name in ("providers", "n", "sums", "squares"):
        assert np.array_equal(getattr(one, name), getattr(other, name)), name
