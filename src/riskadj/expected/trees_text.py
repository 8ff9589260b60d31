"""Whether a text is trees that can be given to LightGBM.

LightGBM reads trees in several threads, and ends the whole program over one that is none; of a
text that is cut off it takes what there is. So a text is looked through before.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

_MOST_LEAVES = 2**17
_OF_NODES = ("split_gain", "threshold", "internal_value", "internal_weight", "internal_count")
_OF_LEAVES = ("leaf_value", "leaf_weight", "leaf_count")
_WHOLE = ("split_feature", "decision_type", "left_child", "right_child")
_CATEGORICAL, _MOST_KINDS = 1, 16


def check_trees(text: str) -> None:
    r"""Raise unless a text is whole trees of numbers, as LightGBM writes them.

    Raises
    ------
    ValueError
        When a part is missing, is no number, or leads to a node, a leaf or a feature that is not
        there, or to one twice.

    Examples
    --------
    >>> check_trees("tree\nversion=v4\n")
    Traceback (most recent call last):
    ValueError: trees: wanted max_feature_idx in the head; got none
    """
    head, _, _ = text.partition("\n\n")
    settings = _fields(head)
    for name in ("version", "max_feature_idx", "tree_sizes"):
        _wanted(name in settings, f"{name} in the head; got none")
    _wanted(text.isascii() and "\r" not in text, "plain text; got other signs")
    _wanted("average_output" not in settings, "trees that are added up; got averaged ones")
    features = int(settings["max_feature_idx"]) + 1
    for number, block in enumerate(_blocks(text, settings["tree_sizes"])):
        _check_tree(_fields(block), features, f"tree {number}")


def _blocks(text: str, sizes: str) -> Iterator[str]:
    """Yield the text of each tree, which is as long as the head says."""
    at = text.find("\n\nTree=0\n") + 2
    _wanted(at > 1, "a first tree; got none")
    for number, size in enumerate(map(int, sizes.split())):
        block = text[at : at + size]
        _wanted(size > 0 and block.startswith(f"Tree={number}\n"), f"tree {number} in its place")
        yield block
        at += size
    _wanted(text.startswith("end of trees\n", at), "as many trees as the head says")


def _check_tree(tree: dict[str, str], features: int, where: str) -> None:
    leaves = int(tree["num_leaves"])
    _wanted(0 < leaves <= _MOST_LEAVES, f"leaves of {where}")
    _wanted(tree.get("num_cat") == "0" and tree.get("is_linear") == "0", f"plain splits of {where}")
    float(tree["shrinkage"])
    if leaves == 1:
        _numbers(tree["leaf_value"], 1, where)
        return
    nodes = leaves - 1
    for names, many in ((_OF_NODES, nodes), (_OF_LEAVES, leaves)):
        for name in names:
            _numbers(tree[name], many, where)
    feature, kind, left, right = (_whole(tree[name], nodes, where) for name in _WHOLE)
    _wanted((feature >= 0) & (feature < features), f"features of the model in {where}")
    _wanted((kind >= 0) & (kind < _MOST_KINDS) & (kind % 2 != _CATEGORICAL), f"kinds in {where}")
    _check_ways(left, right, leaves, where)


def _check_ways(left: NDArray[np.int64], right: NDArray[np.int64], leaves: int, where: str) -> None:
    """Raise unless the ways from the first node lead to each other node and leaf once."""
    led_to = np.sort(np.concatenate([left, right]))
    everything = np.concatenate([np.arange(-leaves, 0), np.arange(1, leaves - 1)])
    _wanted(np.array_equal(led_to, everything), f"one way to each leaf of {where}")
    onward = np.arange(leaves - 1)
    forth = ((left < 0) | (left > onward)) & ((right < 0) | (right > onward))
    _wanted(forth, f"ways that do not lead back in {where}")


def _numbers(text: str, many: int, where: str) -> NDArray[np.float64]:
    numbers = np.array(text.split(), dtype=np.float64)
    _wanted(len(numbers) == many and np.isfinite(numbers).all(), f"{many} numbers in {where}")
    return numbers


def _whole(text: str, many: int, where: str) -> NDArray[np.int64]:
    numbers = np.array(text.split(), dtype=np.int64)
    _wanted(len(numbers) == many, f"{many} numbers in {where}")
    return numbers


def _fields(block: str) -> dict[str, str]:
    lines = (one.partition("=") for one in block.splitlines())
    return {name: value for name, _, value in lines}


def _wanted(holds: bool | NDArray[np.bool_], what: str) -> None:
    if not np.all(holds):
        raise ValueError(f"trees: wanted {what}{'' if 'got' in what else '; got others'}")
