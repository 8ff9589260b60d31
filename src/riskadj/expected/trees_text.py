"""Whether a text is trees that can be given to LightGBM.

LightGBM reads trees in several threads, and ends the whole program over one that is none, or over
settings that are cut off; of trees that are cut off it takes what there is. So a text is looked
through before.
"""

import re

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
    ValueError: trees: wanted a head as LightGBM writes it; got another text
    """
    _wanted(text.isascii() and "\r" not in text, "plain text")
    head, _, _ = text.partition("\n\n")
    _wanted(_HEAD.fullmatch(head) is not None, "a head as LightGBM writes it")
    settings = _fields(head)
    features = int(settings["max_feature_idx"]) + 1
    for name in _OF_FEATURES:
        many = len(settings.get(name, "0 " * features).split())
        _wanted(many == features, f"{features} {name}")
    at = text.find("\n\nTree=0\n") + 2
    for number, size in enumerate(map(int, settings["tree_sizes"].split())):
        block = text[at : at + size]
        _wanted(size > 0 and block.startswith(f"Tree={number}\n"), f"tree {number} in its place")
        _check_tree(_fields(block), features, f"tree {number}")
        at += size
    _wanted(_TAIL.fullmatch(text, at) is not None, "an end as LightGBM writes it")


_NUMBER = r"-?[\d.e+-]+"
_HEAD = re.compile(
    r"tree\nversion=v4\nnum_class=1\nnum_tree_per_iteration=1\nlabel_index=0\n"
    r"max_feature_idx=\d{1,5}\n"
    rf"objective=[a-z_]+( [a-z_]+:{_NUMBER})*\n"
    r"feature_names=[\w ]+\n"
    r"(monotone_constraints=[-\d ]+\n)?"
    rf"feature_infos=((\[{_NUMBER}:{_NUMBER}\]|none) ?)+\n"
    r"tree_sizes=\d{1,9}( \d{1,9})*"
)
_TAIL = re.compile(
    r"end of trees\n\n"
    r"(feature_importances:\n(\w+=\d+\n)*)?\n?"
    r"parameters:\n(\[\w+: [\w.,+-]*\]\n)+\nend of parameters\n\n"
    r"pandas_categorical:(null|\[\])\n?"
)
_OF_FEATURES = ("feature_names", "feature_infos", "monotone_constraints")


def _check_tree(tree: dict[str, str], features: int, where: str) -> None:
    leaves = int(tree["num_leaves"])
    _wanted(0 < leaves <= _MOST_LEAVES, f"leaves of {where}")
    _wanted(tree.get("num_cat") == "0" and tree.get("is_linear") == "0", f"plain splits of {where}")
    float(tree["shrinkage"])
    if leaves == 1:
        _wanted(np.isfinite(_numbers(tree["leaf_value"], 1, where)), f"a leaf of {where}")
        return
    nodes = leaves - 1
    for names, many in ((_OF_NODES, nodes), (_OF_LEAVES, leaves)):
        for name in names:
            _numbers(tree[name], many, where)
    _wanted(np.isfinite(_numbers(tree["leaf_value"], leaves, where)), f"leaves of {where}")
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
    """Return numbers; a threshold is infinite where only what is missing goes the other way."""
    numbers = np.array(text.split(), dtype=np.float64)
    _wanted(len(numbers) == many and not np.isnan(numbers).any(), f"{many} numbers in {where}")
    return numbers


def _whole(text: str, many: int, where: str) -> NDArray[np.int64]:
    numbers = np.array(text.split(), dtype=np.int64)
    _wanted(len(numbers) == many, f"{many} numbers in {where}")
    return numbers


def _fields(block: str) -> dict[str, str]:
    lines = (one.partition("=") for one in block.splitlines())
    return {name: value for name, _, value in lines}


def _wanted(holds: bool | np.bool_ | NDArray[np.bool_], what: str) -> None:
    if not np.all(holds):
        raise ValueError(f"trees: wanted {what}; got another text")
