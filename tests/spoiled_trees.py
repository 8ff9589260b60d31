"""Trees spoiled by chance, and given to LightGBM where they pass for whole.

    PYTHONPATH=tests .venv/bin/python -m spoiled_trees TREES FIRST LAST

A process of its own, as LightGBM ends it over trees that are none. Says each number before its
text is read, so that the last one said is the one that ended it, and at last how many were read.
"""

import random
import re
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np

NUMBER = re.compile(r"-?[\d.]+(?:e[-+]?\d+)?")
PAIR = re.compile(r"(\S+) (\S+)")
ODD = (
    "0", "-1", "1", "2", "-2", "99999999", "-99999999", "2147483648", "9999999999", "1e999",
    "-1e999", "1e-400", "inf", "-inf", "nan", "1_0", "0x1", "+1", "1.", ".5", "1e", "-", "-0",
    "007", "1.5", "none", "[0:1]", "a", "1e+308", "123456789012345678901234567890",
)  # fmt: skip


def _put(text: str, found: re.Match[str], instead: str) -> str:
    return text[: found.start()] + instead + text[found.end() :]


def _number(chance: random.Random, text: str) -> str:
    return _put(text, chance.choice([*NUMBER.finditer(text)]), chance.choice(ODD))


def _exchange(chance: random.Random, text: str) -> str:
    pair = chance.choice([*PAIR.finditer(text)])
    return _put(text, pair, f"{pair[2]} {pair[1]}")


def _letter(chance: random.Random, text: str) -> str:
    at = chance.randrange(len(text))
    return text[:at] + chr(chance.randrange(128)) + text[at + chance.randrange(2) :]


def _cut(chance: random.Random, text: str) -> str:
    at = chance.randrange(len(text))
    return text[:at] + text[at + chance.randrange(1, 60) :]


def _line(chance: random.Random, text: str) -> str:
    lines = text.split("\n")
    at, other = chance.randrange(len(lines)), chance.randrange(len(lines))
    lines[at : at + chance.randrange(2)] = [lines[other]]
    return "\n".join(lines)


CHANGES: tuple[Callable[[random.Random, str], str], ...] = (
    _number, _number, _number, _exchange, _letter, _cut, _line,
)  # fmt: skip


def sized(text: str) -> str:
    """Return a text that says of each of its trees how long it is."""
    starts = [one.start() for one in re.finditer(r"^(Tree=|end of trees)", text, re.MULTILINE)]
    sizes = " ".join(str(b - a) for a, b in pairwise(starts))
    return re.sub(r"tree_sizes=.*", f"tree_sizes={sizes}", text, count=1)


def spoiled(text: str, seed: int) -> str:
    """Return a text with one to three changes before its parameters."""
    chance = random.Random(seed)
    trees, end, settings = text.partition("end of trees")
    for _ in range(chance.choice([1, 1, 2, 3])):
        trees = chance.choice(CHANGES)(chance, trees)
    return sized(trees + end + settings)


def _read(text: str, rows: np.ndarray) -> bool:
    import lightgbm

    from riskadj.expected.trees_text import check_trees

    try:
        check_trees(text)
        booster = lightgbm.Booster(model_str=text)
    except (ValueError, lightgbm.basic.LightGBMError):
        return False
    booster.predict(rows, raw_score=True, num_threads=1)
    booster.predict(rows, pred_contrib=True, num_threads=1)
    return True


def main(path: str, first: str, last: str) -> None:
    text = Path(path).read_text(encoding="utf-8")
    rows = np.random.default_rng(0).normal(30, 30, (8, 9))
    rows[0] = np.nan
    read = 0
    for seed in range(int(first), int(last)):
        print(seed, flush=True)
        read += _read(spoiled(text, seed), rows)
    print(f"read {read}")


if __name__ == "__main__":
    main(*sys.argv[1:])
