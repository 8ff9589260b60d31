"""Whole-cohort SHAP: this package beside shap.TreeExplainer, on the same trees, one thread each.

    OMP_NUM_THREADS=1 OMP_WAIT_POLICY=passive python benchmarks/shap_speed.py

TreeExplainer is timed on samples of the episodes; that its time goes with their number is shown by
two sizes. Everything else is measured on the whole cohort.
"""

import argparse
import json
import os
import platform
from pathlib import Path
from time import perf_counter
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import lightgbm
import numpy as np
import shap

from riskadj.explain import read_forest, tree_contributions

RESULTS = Path(__file__).parent / "results"
HEADER = ("| | episodes | seconds | per 1,000 episodes, s |", "|---|--:|--:|--:|")


def world(n: int, p: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return half continuous, half discrete columns, 3 % of them missing, and scores."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p))
    X[:, p // 2 :] = rng.integers(0, 5, size=(n, p - p // 2))
    y = X @ rng.normal(size=p) + X[:, 0] * X[:, 1] + np.sin(2 * X[:, 2]) + 4 * rng.normal(size=n)
    X[rng.random((n, p)) < 0.03] = np.nan
    return X, y


def grow(X: np.ndarray, y: np.ndarray, trees: int, leaves: int) -> lightgbm.Booster:
    settings = {
        "num_leaves": leaves, "learning_rate": 0.05, "min_data_in_leaf": 50, "verbose": -1,
        "feature_fraction": 0.5, "bagging_fraction": 0.7, "bagging_freq": 1, "num_threads": 1,
        "seed": 1, "deterministic": True, "force_row_wise": True,
    }  # fmt: skip
    return lightgbm.train(settings, lightgbm.Dataset(X, y), trees)


def timed(work: Any, *args: Any) -> tuple[float, Any]:
    began = perf_counter()
    found = work(*args)
    return perf_counter() - began, found


def measure(args: argparse.Namespace) -> dict[str, Any]:
    X, y = world(args.episodes, args.features, args.seed)
    booster = grow(X, y, args.trees, args.leaves)
    forest = read_forest(booster.model_to_string())
    assert forest is not None
    first, _ = timed(tree_contributions, forest, X[:10])
    ours, found = timed(tree_contributions, forest, X)
    explainer = shap.TreeExplainer(booster)
    samples = []
    for size in args.samples:
        seconds, values = timed(explainer.shap_values, X[:size])
        gap = float(np.abs(values - found.values[:size]).max())
        samples.append({"episodes": size, "seconds": seconds, "largest_difference": gap})
    total = found.values.sum(axis=1) + found.base
    per_episode = samples[-1]["seconds"] / samples[-1]["episodes"]
    return {
        "episodes": args.episodes, "trees": args.trees, "leaves": args.leaves,
        "features": args.features, "mean_leaves": forest.value.size / args.trees,
        "ours_seconds": ours, "compile_or_load_seconds": first,
        "additivity": float(np.abs(total - booster.predict(X)).max()),
        "tree_explainer": samples,
        "linearity": per_episode / (samples[0]["seconds"] / samples[0]["episodes"]),
        "tree_explainer_seconds": per_episode * args.episodes,
        "ratio": per_episode * args.episodes / ours,
        "versions": {one.__name__: one.__version__ for one in (lightgbm, np, shap)},
        "machine": f"{platform.machine()}, {platform.python_version()}, one thread",
    }  # fmt: skip


def table(found: dict[str, Any]) -> str:
    rows = [("riskadj", found["episodes"], found["ours_seconds"])]
    rows += [
        ("shap.TreeExplainer, measured", one["episodes"], one["seconds"])
        for one in found["tree_explainer"]
    ]
    rows.append(("shap.TreeExplainer, scaled", found["episodes"], found["tree_explainer_seconds"]))
    gap = max(one["largest_difference"] for one in found["tree_explainer"])
    lines = [
        f"{found['trees']} trees of {found['leaves']} leaves, {found['features']} columns, "
        f"{found['machine']}.", "", *HEADER,
        *(f"| {who} | {n:,} | {s:.2f} | {1000 * s / n:.3f} |" for who, n, s in rows), "",
        f"{found['ratio']:.0f} times as fast. Largest difference {gap:.1e}; base plus "
        f"contributions differ from the expectation by at most {found['additivity']:.1e}. Time per "
        f"episode of the larger sample over that of the smaller: {found['linearity']:.2f}. "
        f"Compiling, or loading what was compiled: {found['compile_or_load_seconds']:.1f} s, once.",
        "", "`python benchmarks/shap_speed.py`", "",
    ]  # fmt: skip
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("episodes", 100_000), ("trees", 500), ("leaves", 31), ("features", 40),
                          ("seed", 0)):  # fmt: skip
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--samples", type=int, nargs="+", default=[1000, 3000])
    parser.add_argument("--out", type=Path, default=RESULTS / "shap.json")
    args = parser.parse_args()
    found = measure(args)
    args.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    args.out.with_suffix(".md").write_text(table(found), encoding="utf-8")
    print(table(found))


if __name__ == "__main__":
    main()
