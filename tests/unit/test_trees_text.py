"""Trees are read where they are what LightGBM writes, and by LightGBM as they are looked through.

LightGBM ends the process over what is refused here, so nothing but `check_trees` reads it.
"""

import re
import subprocess
import sys
from pathlib import Path

import lightgbm
import numpy as np
import pytest
from spoiled_trees import sized

from riskadj.expected import LightGBMExpectation
from riskadj.expected.trees_text import check_trees

TESTS = Path(__file__).parents[1]
FILE = TESTS / "compatibility" / "0.1.0" / "models" / "ohs-lightgbm" / "trees_0.txt"
TEXT = FILE.read_text(encoding="utf-8")
OUT = "left_child=99999999 -2 -1"
SPOILED = {
    "a line behind a form feed": {"left_child=2 -2 -1": OUT,
                                  "shrinkage=1\n": "shrinkage=1\x0cleft_child=2 -2 -1\n"},
    "a line behind a blank one": {"left_child=2 -2 -1": OUT,
                                  "shrinkage=1\n\n": "shrinkage=1\n\nleft_child=2 -2 -1\n\n"},
    "a line twice": {"left_child=2 -2 -1": f"{OUT}\nleft_child=2 -2 -1"},
    "a line of another name": {"is_linear=0": "is_linear=0\nmore=1"},
    "a line of no name": {"is_linear=0": "is_linear=0\nmore"},
    "a tree that ends early": {"leaf_weight=": "\nleaf_weight="},
    "a head that goes on": {"\n\nTree=0": "\n\nmax_feature_idx=99999\n\nTree=0"},
    "a number with an underscore": {"left_child=2 -2 -1": "left_child=0_2 -2 -1"},
    "a number with a sign": {"left_child=2 -2 -1": "left_child=+2 -2 -1"},
    "a number that begins with a dot": {"leaf_value=38.": "leaf_value=.38"},
    "an exponent of nothing": {"threshold=1.0000000180025095e-35": "threshold=1e"},
    "a count of half an episode": {"leaf_count=31": "leaf_count=30.5"},
    "two spaces": {"left_child=2 -2": "left_child=2  -2"},
    "a tab": {"left_child=2 -2": "left_child=2\t-2"},
    "a byte of nothing": {"left_child=2 -2": "left_child=2 \x00-2"},
    "another end of a line": {"num_cat=0\n": "num_cat=0\r\n"},
    "letters of elsewhere": {"left_child=2 -2": "left_child=2 -\N{ARABIC-INDIC DIGIT TWO}"},
    "a number of another tree": {"Tree=1\n": "Tree=2\n"},
    "another objective": {"objective=regression": "objective=multiclass num_class:0"},
    "a missing value of no kind": {"decision_type=2 2 2": "decision_type=14 2 2"},
    "leaves that are lines": {"[linear_tree: 0]": "[linear_tree: 1]"},
}  # fmt: skip


def spoiled(changes: dict[str, str]) -> str:
    text = TEXT
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new, 1)
    return sized(text)


def test_what_lightgbm_wrote_is_taken() -> None:
    check_trees(TEXT)
    assert sized(TEXT) == TEXT


@pytest.mark.parametrize("name", SPOILED)
def test_what_could_be_read_in_two_ways_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="trees: wanted"):
        check_trees(spoiled(SPOILED[name]))


def test_a_head_of_many_numbers_and_a_wrong_end_is_refused_at_once() -> None:
    ranges = "feature_infos=" + "[-1:-1] " * 40 + "x"
    with pytest.raises(ValueError, match="wanted a head"):
        check_trees(re.sub("feature_infos=.*", ranges, TEXT))


def in_a_row(leaves: int) -> str:
    """Return a text of one tree whose every split leads to a leaf and the next split."""
    nodes = leaves - 1
    lines = {
        "num_leaves": [leaves], "num_cat": [0], "split_feature": [0] * nodes,
        "split_gain": [1] * nodes, "threshold": range(nodes), "decision_type": [2] * nodes,
        "left_child": range(-1, -leaves, -1), "right_child": [*range(1, nodes), -leaves],
        "leaf_value": [1] * leaves, "leaf_weight": [1] * leaves, "leaf_count": [1] * leaves,
        "internal_value": [1] * nodes, "internal_weight": [1] * nodes,
        "internal_count": [2] * nodes, "is_linear": [0], "shrinkage": [1],
    }  # fmt: skip
    tree = "".join(f"{name}={' '.join(map(str, of))}\n" for name, of in lines.items())
    head, tail = TEXT.partition("Tree=0")[0], TEXT.partition("end of trees")[2]
    return sized(f"{head}Tree=0\n{tree}\n\nend of trees{tail}")


def test_a_tree_too_deep_to_be_explained_is_refused() -> None:
    check_trees(in_a_row(1_025))
    with pytest.raises(ValueError, match="1024 splits or fewer to a leaf of tree 0"):
        check_trees(in_a_row(1_026))


@pytest.mark.parametrize("family", ["gaussian", "binomial", "gamma", "tweedie"])
@pytest.mark.parametrize("rows", [400, 12])
def test_trees_of_every_family_are_taken_as_they_are_written(family: str, rows: int) -> None:
    """Of few episodes come trees of one leaf; of large and small values, numbers of all forms."""
    rng = np.random.default_rng(3)
    X = np.column_stack([
        rng.normal(size=rows) * 1e300, rng.normal(size=rows) * 1e-300, rng.integers(0, 2, rows),
        np.where(rng.random(rows) < 0.5, np.nan, -7.0), np.full(rows, 3.0),
    ])  # fmt: skip
    y = rng.integers(0, 2, rows) if family == "binomial" else rng.gamma(2.0, 1e4, rows)
    learner = LightGBMExpectation(
        trees=20, min_episodes_per_leaf=10, family=family, column_share=1.0, monotone={0: 1, 2: -1}
    )
    text = learner.fit(X, y).booster_.model_to_string()
    check_trees(text)
    check_trees(lightgbm.Booster(model_str=text).model_to_string())


def test_no_tree_spoiled_by_chance_ends_the_process() -> None:
    asked = [sys.executable, "-m", "spoiled_trees", str(FILE), "0", "600"]
    done = subprocess.run(
        asked, cwd=TESTS, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, (done.stdout[-200:], done.stderr[-1000:])
    assert int(done.stdout.split()[-1]) > 20  # some pass for whole, and are given to LightGBM
