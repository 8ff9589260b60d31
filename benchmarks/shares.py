"""Trees that several workers grow together, against trees that are grown in one piece.

    OMP_WAIT_POLICY=passive python benchmarks/shares.py [--episodes 100000] [--keep]

`lightgbm: {shares: 2}` in a study grows trees by LightGBM's data-parallel learning. They are the
same trees wherever they grow (this is checked), and not those of one share. How far that moves
expectations and providers is told beside how far another seed moves them.
"""

import argparse
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import numpy as np
from world import make_world

from riskadj.engine import Dask, using
from riskadj.expected import LightGBMExpectation

RESULTS = Path(__file__).parent / "results"
OTHERS = {
    "1 share, another seed": {"seed": 2},
    "2 shares": {"shares": 2},
    "4 shares": {"shares": 4},
}
HEAD = ["", "R2", "expectation: mean", "largest", "provider: mean", "largest"]


def main() -> None:
    """Print (and keep) a line for each way to grow trees: how far it is from one share."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--episodes", type=int, default=100_000)
    parser.add_argument("--providers", type=int, default=500)
    parser.add_argument("--keep", action="store_true", help="write results/shares.md")
    asked = parser.parse_args()
    world = make_world(2 * asked.episodes, asked.providers)
    y, teaches = world.outcomes["continuous"], np.arange(2 * asked.episodes) < asked.episodes
    provider = world.provider[~teaches]

    def grown(**settings: Any) -> LightGBMExpectation:
        return LightGBMExpectation(trees=200, **settings).fit(world.X[teaches], y[teaches])

    def told(model: LightGBMExpectation) -> tuple[np.ndarray, np.ndarray]:
        expected = model.predict(world.X[~teaches])
        sums = np.bincount(provider, y[~teaches] - expected, asked.providers)
        return expected, sums / np.maximum(np.bincount(provider, minlength=asked.providers), 1)

    whole = told(grown())
    table = [f"| {' | '.join(cells)} |" for cells in rows(whole, y[~teaches], grown, told)]
    with Dask(workers=2) as cluster, using(cluster):
        there = grown(shares=2).booster_.model_to_string()
    same = there == grown(shares=2).booster_.model_to_string()
    text = "\n".join([
        f"{asked.episodes:,} episodes teach, as many are compared, of {asked.providers:,} "
        "providers; 200 trees. Differences from 1 share, in standard deviations of what is told.",
        "",
        *table,
        "",
        f"2 shares on 2 worker processes and in 2 threads: {'same' if same else 'other'} trees",
        "",
    ])  # fmt: skip
    print(text)
    if asked.keep:
        (RESULTS / "shares.md").write_text(text)


def rows(whole: Any, y: np.ndarray, grown: Any, told: Any) -> Iterator[list[str]]:
    yield HEAD
    yield ["---", *["--:"] * (len(HEAD) - 1)]
    yield ["1 share", f"{_r2(y, whole[0]):.4f}", *["0"] * 4]
    for name, settings in OTHERS.items():
        found = told(grown(**settings))
        cells = [name, f"{_r2(y, found[0]):.4f}"]
        for one, other in zip(whole, found, strict=True):
            apart = np.abs(one - other) / one.std()
            cells += [f"{apart.mean():.3f}", f"{apart.max():.3f}"]
        yield cells


def _r2(y: np.ndarray, expected: np.ndarray) -> float:
    return 1 - float(np.var(y - expected) / np.var(y))


if __name__ == "__main__":
    main()
