"""Episodes laid in blocks, for tests: worlds, cuts, and how far two fits are apart."""

import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
from scipy.special import expit

from riskadj.engine import Blocks
from riskadj.stats import Rows, bootstrap_over, fixed_effects_over, random_intercept_over

FITS = {
    "fixed gaussian": fixed_effects_over,
    "fixed binomial": lambda blocks: fixed_effects_over(blocks, "binomial"),
    "firth": lambda blocks: fixed_effects_over(blocks, "binomial", firth=True),
    "reml": random_intercept_over,
    "ml, correlated": lambda blocks: random_intercept_over(blocks, method="ml", correlated=True),
    "random binomial": lambda blocks: random_intercept_over(blocks, "binomial"),
    "random gamma": lambda blocks: random_intercept_over(blocks, "gamma"),
    "bootstrap gaussian": lambda blocks: bootstrap_over(blocks, "gaussian", replicates=3),
    "bootstrap binomial": lambda blocks: bootstrap_over(blocks, replicates=3),
}
OUTCOMES = {"firth": "events", "random gamma": "amounts"}


def outcome_of(kind):
    return OUTCOMES.get(kind, "events" if "binomial" in kind else "scores")


def make_episodes(seed=0, providers=8, n=400):
    """Return episodes out of order, with weights (some 0), offset, and a covariate far from 0."""
    rng = np.random.default_rng(seed)
    code = np.r_[np.repeat(np.arange(providers), 6), rng.integers(0, providers, n)]
    X = rng.normal(size=(len(code), 3)) * [1.0, 2.0, 0.5] + [0.0, 40.0, 0.0]
    offset = rng.normal(size=len(code)) / 4
    effect = 0.5 * rng.normal(size=providers)
    eta = (X - [0.0, 40.0, 0.0]) @ [0.3, -0.2, 0.4] + effect[code] + offset
    weights = rng.uniform(0.5, 2.0, len(code))
    weights[rng.random(len(code)) < 0.03] = 0.0
    return SimpleNamespace(
        scores=eta + rng.normal(size=len(code)),
        events=(rng.random(len(code)) < expit(eta)).astype(float),
        amounts=rng.gamma(2, np.exp(eta) / 2),
        X=X,
        provider=np.array([f"hospital {one}" for one in range(providers)])[code],
        weights=weights,
        offset=offset,
    )


def lay(world, outcome, cuts=()):
    """Return the rows in blocks that begin at cuts."""
    edges = [0, *sorted(cuts), len(world.X)]
    y = getattr(world, outcome)
    return [
        Rows(y[a:b], world.X[a:b], world.provider[a:b], world.weights[a:b], world.offset[a:b])
        for a, b in pairwise(edges)
    ]


def reordered(world, order):
    return SimpleNamespace(**{name: rows[order] for name, rows in vars(world).items()})


def apart(one, other):
    """Return the largest difference between two results, relative to their size or to one."""
    found = [0.0]
    for field in fields(one):
        a, b = getattr(one, field.name), getattr(other, field.name)
        if np.asarray(a).dtype.kind not in "fi":
            continue
        np.testing.assert_array_equal(np.isfinite(a), np.isfinite(b), err_msg=field.name)
        kept = np.isfinite(a)
        near = np.abs(np.asarray(a)[kept] - np.asarray(b)[kept])
        found.append(np.max(near / np.maximum(1.0, np.abs(np.asarray(b)[kept])), initial=0.0))
    return float(max(found))


@dataclass(frozen=True)
class Scrambled:
    """An engine whose workers finish in an order of chance."""

    seed: int = 0

    def place(self, parts):
        return Blocks(self, list(parts))

    def make(self, function, items):
        return self.place(map(function, items))

    def map(self, function, blocks, *args, each=None):
        owns = [()] * len(blocks) if each is None else [(own,) for own in each]
        order = random.Random(self.seed).sample(range(len(blocks)), len(blocks))
        with ThreadPoolExecutor(2) as pool:
            found = {i: pool.submit(function, blocks.parts[i], *owns[i], *args) for i in order}
        return [found[i].result() for i in range(len(blocks))]

    def keep(self, function, blocks, *args, each=None):
        return self.place(self.map(function, blocks, *args, each=each))
