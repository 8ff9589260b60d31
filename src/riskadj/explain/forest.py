"""Boosted trees as arrays, read from LightGBM's own text."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Whole = NDArray[np.int32]

CATEGORICAL, DEFAULT_LEFT = 1, 2
_MISSING_FROM = 2
_TYPES = {"split_feature": np.int32, "decision_type": np.int32, "left_child": np.int32,
          "right_child": np.int32, "threshold": np.float64, "internal_count": np.float64,
          "leaf_value": np.float64, "leaf_count": np.float64}  # fmt: skip


class Forest(NamedTuple):
    """All trees of a model, their nodes and leaves one after the other.

    Attributes
    ----------
    first_node, first_leaf : ndarray of int of shape (n_trees + 1,)
        Where the nodes and leaves of each tree begin.
    feature, left, right : ndarray of int of shape (n_nodes,)
        A child below 0 is leaf -1 - child of its tree, another is a node of its tree.
    threshold, visits : ndarray of shape (n_nodes,)
        Values up to the threshold go left; episodes learned from that came by.
    missing : ndarray of int of shape (n_nodes,)
        0: a missing value counts as 0; 1: it goes the default way, and so does 0; 2: it goes the
        default way.
    default_left : ndarray of bool of shape (n_nodes,)
    value, leaf_visits : ndarray of shape (n_leaves,)
    n_features : int
    """

    first_node: Whole
    first_leaf: Whole
    feature: Whole
    left: Whole
    right: Whole
    threshold: Floats
    visits: Floats
    missing: Whole
    default_left: NDArray[np.bool_]
    value: Floats
    leaf_visits: Floats
    n_features: int


def read_forest(text: str) -> Forest | None:
    """Return the trees of a model's text, or None where they are none that can be taken apart.

    Splits of categories as such, linear leaves, averaged trees and nodes that no episode came by
    cannot.

    Parameters
    ----------
    text : str
        As `lightgbm.Booster.model_to_string` returns it.

    Examples
    --------
    >>> from riskadj.expected import LightGBMExpectation
    >>> x = np.repeat([0.0, 1.0], 50)[:, None]
    >>> learner = LightGBMExpectation(trees=3, leaves=2, min_episodes_per_leaf=1, column_share=1)
    >>> forest = read_forest(learner.fit(x, 10 * x[:, 0]).booster_.model_to_string())
    >>> forest.threshold.size, forest.value.size
    (3, 6)
    """
    head, *blocks = text.split("\nTree=")
    trees = [_fields(one) for one in blocks]
    if "\naverage_output" in head or any(one.get("is_linear", "0") != "0" for one in trees):
        return None
    forest = _joined(trees, int(_fields(head)["max_feature_idx"]) + 1)
    return forest if _can_be_taken_apart(forest, trees) else None


def _fields(block: str) -> dict[str, str]:
    lines = (one.partition("=") for one in block.split("\n\n", 1)[0].splitlines())
    return {name: value for name, _, value in lines}


def _joined(trees: list[dict[str, str]], n_features: int) -> Forest:
    leaves = np.array([int(one["num_leaves"]) for one in trees], dtype=np.int32)
    got = {name: _column(trees, name, kind) for name, kind in _TYPES.items()}
    kinds = got["decision_type"]
    # A tree that is one leaf has no count of its own.
    whole = got["leaf_count"] if got["leaf_count"].size == leaves.sum() else _with_ones(trees)
    return Forest(
        np.concatenate([[0], np.cumsum(leaves - 1)]).astype(np.int32),
        np.concatenate([[0], np.cumsum(leaves)]).astype(np.int32),
        got["split_feature"],
        got["left_child"],
        got["right_child"],
        got["threshold"],
        got["internal_count"],
        (kinds >> _MISSING_FROM) & 3,
        (kinds & DEFAULT_LEFT) > 0,
        got["leaf_value"],
        whole,
        n_features,
    )


def _column(trees: list[dict[str, str]], name: str, kind: type) -> NDArray[Any]:
    text = " ".join(one.get(name, "") for one in trees if name == "leaf_value" or _splits(one))
    return np.array(text.split(), dtype=kind)


def _splits(tree: dict[str, str]) -> bool:
    return int(tree["num_leaves"]) > 1


def _with_ones(trees: list[dict[str, str]]) -> Floats:
    texts = [one["leaf_count"] if _splits(one) else "1" for one in trees]
    return np.array(" ".join(texts).split(), dtype=np.float64)


def _can_be_taken_apart(forest: Forest, trees: list[dict[str, str]]) -> bool:
    numbers = all(one.get("num_cat", "0") == "0" for one in trees)
    seen = (forest.visits > 0).all() and (forest.leaf_visits > 0).all()
    return bool(numbers and seen)
