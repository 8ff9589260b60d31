"""A seeded world of providers of very unequal size, and the files it is handed over in.

Entrants of every language read the same raw files: a matrix by columns and a vector each.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

N_COVARIATES = 30
OUTCOMES = ("binary", "continuous")


@dataclass(frozen=True)
class World:
    X: np.ndarray
    provider: np.ndarray
    outcomes: dict[str, np.ndarray]


def make_world(n, n_providers, seed=20250117):
    rng = np.random.default_rng(seed)
    provider = rng.permutation(np.repeat(np.arange(n_providers), _sizes(rng, n, n_providers)))
    quality = rng.normal(0, 0.4, n_providers)
    X = _covariates(rng, n)
    fixed = X @ rng.normal(0, 0.15, N_COVARIATES)
    eta = fixed + quality[provider]
    binary = (rng.random(n) < 1 / (1 + np.exp(1.0 - eta))).astype(float)
    _both_outcomes(binary, provider)
    return World(X, provider, {"binary": binary, "continuous": eta + rng.normal(0, 1.5, n)})


def write_world(world, folder):
    world.X.T.tofile(folder / "X.f64")
    world.provider.astype(np.int32).tofile(folder / "provider.i32")
    for name, values in world.outcomes.items():
        values.tofile(folder / f"{name}.f64")
    shape = {"rows": len(world.provider), "columns": world.X.shape[1]}
    (folder / "shape.json").write_text(json.dumps(shape))


def read_world(folder):
    folder = Path(folder)
    shape = json.loads((folder / "shape.json").read_text())
    columns = np.fromfile(folder / "X.f64").reshape(shape["columns"], shape["rows"])
    outcomes = {name: np.fromfile(folder / f"{name}.f64") for name in OUTCOMES}
    provider = np.fromfile(folder / "provider.i32", dtype=np.int32).astype(np.int64)
    return World(columns.T, provider, outcomes)


def _sizes(rng, n, n_providers):
    """Lognormal in expectation, two at least, n in all."""
    share = rng.lognormal(0, 1, n_providers)
    return 2 + rng.multinomial(n - 2 * n_providers, share / share.sum())


def _covariates(rng, n):
    """Two thirds of the columns are measurements, one third ticks of unequal prevalence."""
    columns = np.empty((N_COVARIATES, n))
    for number, column in enumerate(columns):
        if number % 3 < 2:
            column[:] = rng.normal(size=n)
        else:
            column[:] = rng.random(n) < 0.05 + 0.015 * number
    return columns.T


def _both_outcomes(binary, provider):
    """Change one episode of a provider without both outcomes: its fixed effect is not finite."""
    _, first = np.unique(provider, return_index=True)
    events, size = np.bincount(provider, binary), np.bincount(provider)
    uniform = (events == 0) | (events == size)
    binary[first[uniform]] = 1 - binary[first[uniform]]
