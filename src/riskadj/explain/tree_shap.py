"""SHAP values and interactions of boosted trees over whole cohorts, in double precision.

Equal to LightGBM's own (`pred_contrib`) but for rounding, and many times faster; `benchmarks` has
by how much. What is said of an episode depends neither on the others nor on the threads.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from riskadj.errors import ArrayError
from riskadj.explain.forest import Forest

Floats = NDArray[np.float64]


class TreeValues(NamedTuple):
    """Contributions of shape (n_episodes, n_features), and the mean expectation they start from."""

    values: Floats
    base: float


def tree_contributions(forest: Forest, X: ArrayLike, threads: int = 1) -> TreeValues | None:
    """Return path-dependent SHAP values (Lundberg et al. 2020, Nat Mach Intell 2:56-67).

    Parameters
    ----------
    forest : Forest
    X : array-like of shape (n_episodes, n_features)
        NaN is missing.
    threads : int
        Changes the time it takes and nothing else.

    Returns
    -------
    TreeValues or None
        On the scale of the trees' sum; None where a path asks more than 31 features.

    Raises
    ------
    ArrayError
        When X has another number of columns than the trees know.

    Examples
    --------
    >>> from riskadj.expected import LightGBMExpectation
    >>> from riskadj.explain.forest import read_forest
    >>> x = np.repeat([0.0, 1.0], 50)[:, None]
    >>> learner = LightGBMExpectation(trees=3, leaves=2, min_episodes_per_leaf=1, column_share=1)
    >>> learner = learner.fit(x, 10 * x[:, 0])
    >>> found = tree_contributions(read_forest(learner.booster_.model_to_string()), [[1.0]])
    >>> bool(np.isclose(found.base + found.values.sum(), learner.predict([[1.0]])[0]))
    True
    """
    across = _across(forest, X)
    parts = np.array_split(np.arange(across.shape[1]), max(1, min(threads, across.shape[1])))
    edges = [(int(one[0]), int(one[-1]) + 1) for one in parts if one.size] or [(0, 0)]
    out = np.zeros_like(across)
    with ThreadPoolExecutor(len(edges)) as pool:
        bases = list(pool.map(lambda one: _add_all(forest, across, out, *one), edges))
    return None if np.isnan(bases[0]) else TreeValues(out.T, bases[0])


def tree_interactions(forest: Forest, X: ArrayLike) -> Floats | None:
    """Return SHAP interaction values between different features.

    Parameters
    ----------
    forest : Forest
    X : array-like of shape (n_episodes, n_features)
        They take n_features^2 numbers for each episode.

    Returns
    -------
    ndarray of shape (n_episodes, n_features, n_features) or None
        Half of what two features do together in each of both halves, as in Lundberg et al. 2020;
        0 on the diagonal. None where a path asks more than 31 features.

    Raises
    ------
    ArrayError
        When X has another number of columns than the trees know.
    """
    from riskadj.explain.kernel import BLOCK, add_pairs, rule

    across, points = _across(forest, X), rule()
    out = np.zeros((across.shape[1], len(across), len(across)))
    for start in range(0, len(out), BLOCK):
        part = np.ascontiguousarray(across[:, start : start + BLOCK])
        for tree in trees_of(forest):
            if not add_pairs(tree, points, part, out[start : start + BLOCK]):
                return None
    return out


def _across(forest: Forest, X: ArrayLike) -> Floats:
    """Return a row for each feature."""
    matrix = np.asarray(X, dtype=np.float64)
    if matrix.ndim != 2 or matrix.shape[1] != forest.n_features:
        raise ArrayError(
            f"X: wanted shape (n_episodes, {forest.n_features}), as the trees learned from; got "
            f"{matrix.shape}."
        )
    return np.ascontiguousarray(matrix.T)


def _add_all(forest: Forest, across: Floats, out: Floats, start: int, stop: int) -> float:
    """Add what all trees give to some episodes, and return the mean."""
    from riskadj.explain.kernel import add_tree, rule

    part, points = np.ascontiguousarray(across[:, start:stop]), rule()
    given, base = np.zeros_like(part), 0.0
    for tree in trees_of(forest):
        base += add_tree(tree, points, part, given)
    out[:, start:stop] = given
    return base


def trees_of(forest: Forest) -> Iterator[Any]:
    """Yield each tree of a forest as the kernel takes it."""
    from riskadj.explain.kernel import Tree

    for k in range(len(forest.first_node) - 1):
        nodes = slice(*forest.first_node[k : k + 2])
        leaves = slice(*forest.first_leaf[k : k + 2])
        yield Tree(
            forest.feature[nodes], forest.left[nodes], forest.right[nodes],
            forest.threshold[nodes], forest.visits[nodes], forest.missing[nodes],
            forest.default_left[nodes], forest.value[leaves], forest.leaf_visits[leaves],
        )  # fmt: skip
