"""Whether a text is trees that can be given to LightGBM.

LightGBM reads trees in several threads, and ends the whole program over one that is none, or over
settings that are cut off; of trees that are cut off it takes what there is. So a text is looked
through before, and is taken only where it is, line by line, what LightGBM writes: whatever else
LightGBM and this module could read in two ways is refused.
"""

import re

import numpy as np
from numpy.typing import NDArray

_MOST_LEAVES = 2**17
_DEEPEST = 2**10
"""LightGBM explains with memory that grows with the square of the depth, and ends when it lacks."""
_OF_NODES = ("split_gain", "threshold", "internal_value", "internal_weight", "internal_count")
_OF_LEAVES = ("leaf_value", "leaf_weight", "leaf_count")
_WHOLE = ("split_feature", "decision_type", "left_child", "right_child")
_CATEGORICAL, _MOST_KINDS = 1, 12


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
    _wanted(_PLAIN.fullmatch(text) is not None, "plain text")
    head, _, _ = text.partition("\n\n")
    _wanted(_HEAD.fullmatch(head) is not None, "a head as LightGBM writes it")
    settings = _fields(head)
    features = int(settings["max_feature_idx"]) + 1
    for name in _OF_FEATURES:
        many = len(settings.get(name, "0 " * features).split())
        _wanted(many == features, f"{features} {name}")
    at = len(head) + 2
    for number, size in enumerate(map(int, settings["tree_sizes"].split())):
        tree = _TREE.fullmatch(text, at, at + size)
        where = f"tree {number}"
        if tree is None or tree["number"] != str(number):
            raise ValueError(f"trees: wanted {where} in its place; got another text")
        _check_tree(tree.groupdict(), features, where)
        at += size
    _wanted(_TAIL.fullmatch(text, at) is not None, "an end as LightGBM writes it")
    plain = {"0"}.issuperset(_LINEAR.findall(text, at))
    _wanted(plain, "trees whose leaves are values")


_PLAIN = re.compile(r"[\n -~]*")
_WHOLE_NUMBER = r"-?\d{1,10}"
_NUMBER = r"-?(?:\d{1,400}(?:\.\d{1,400})?(?:e[+-]\d{1,3})?|inf|nan)"
_INFO = rf"(?:\[{_NUMBER}:{_NUMBER}\]|none)"
_HEAD = re.compile(
    r"tree\nversion=v4\nnum_class=1\nnum_tree_per_iteration=1\nlabel_index=0\n"
    r"max_feature_idx=\d{1,5}\n"
    rf"objective=(?:regression|binary|gamma|tweedie)(?: [a-z_]+:{_NUMBER})*\n"
    r"feature_names=\w+(?: \w+)*\n"
    r"(?:monotone_constraints=-?[01](?: -?[01])*\n)?"
    rf"feature_infos={_INFO}(?: {_INFO})*\n"
    r"tree_sizes=\d{1,9}(?: \d{1,9})*"
)
_OF_TREES = {
    "num_leaves": _WHOLE_NUMBER, "num_cat": _WHOLE_NUMBER, "split_feature": _WHOLE_NUMBER,
    "split_gain": _NUMBER, "threshold": _NUMBER, "decision_type": _WHOLE_NUMBER,
    "left_child": _WHOLE_NUMBER, "right_child": _WHOLE_NUMBER, "leaf_value": _NUMBER,
    "leaf_weight": _NUMBER, "leaf_count": _WHOLE_NUMBER, "internal_value": _NUMBER,
    "internal_weight": _NUMBER, "internal_count": _WHOLE_NUMBER, "is_linear": _WHOLE_NUMBER,
    "shrinkage": _NUMBER,
}  # fmt: skip
"""Lines of a tree in their order, and of what each has any number."""
_TREE = re.compile(
    r"Tree=(?P<number>\d{1,9})\n"
    + "".join(f"{name}=(?P<{name}>(?:{one}(?: {one})*)?)\n" for name, one in _OF_TREES.items())
    + r"\n\n"
)
_TAIL = re.compile(
    r"end of trees\n\n"
    r"(feature_importances:\n(\w+=\d+\n)*)?\n?"
    r"parameters:\n(\[\w+: [\w.,+-]*\]\n)+\nend of parameters\n\n"
    r"pandas_categorical:(null|\[\])\n?"
)
_LINEAR = re.compile(r"\[linear_tree: (.*)\]")
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
    if leaves > _DEEPEST:
        _wanted(_depth(left, right) <= _DEEPEST, f"{_DEEPEST} splits or fewer to a leaf of {where}")


def _depth(left: NDArray[np.int64], right: NDArray[np.int64]) -> int:
    """Return how many splits are on the longest way to a leaf; ways lead onward."""
    depth = [1] * len(left)
    for node, children in enumerate(zip(left.tolist(), right.tolist(), strict=True)):
        for child in children:
            if child > 0:
                depth[child] = depth[node] + 1
    return max(depth)


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
    lines = (one.partition("=") for one in block.split("\n"))
    return {name: value for name, _, value in lines}


def _wanted(holds: bool | np.bool_ | NDArray[np.bool_], what: str) -> None:
    if not np.all(holds):
        raise ValueError(f"trees: wanted {what}; got another text")
