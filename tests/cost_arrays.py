"""Costs of providers as arrays: observed, expected, and whose."""

import numpy as np


def costs(rng, clusters=40, size=25, power=2.0):
    """Return observed and expected cost, and the provider of each episode."""
    cluster = np.repeat(np.arange(clusters), size)
    expected = np.exp(rng.normal(8, 0.6, clusters * size))
    true = expected * np.exp(rng.normal(0, 0.1, clusters))[cluster]
    # Gamma with the variance 0.3 x 3000^(2 - power) x mean^power.
    shape = true ** (2 - power) / (0.3 * 3000 ** (2 - power))
    return rng.gamma(shape, true / shape), expected, cluster


def cost_world():
    """Return costs, a group of episodes, and weights."""
    rng = np.random.default_rng(11)
    y, expected, cluster = costs(rng)
    return {
        "y": y, "expected": expected, "cluster": cluster,
        "member": rng.random(y.size) < 0.3, "weights": rng.uniform(0, 3, y.size),
    }  # fmt: skip
