"""How many profiles a second each instrument scores, on one thread.

    .venv/bin/python benchmarks/scoring.py [--rows 1000000] [--folder FOLDER]

Prints a table; the best of three passes over a whole column of items, kept as whole numbers of one
byte and as floats of which one in fifty is missing. EQ-5D-5L takes a value set made up here unless
a folder of value sets is given. The target is a million a second.
"""

import argparse
import os
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from riskadj.instruments import (
    INSTRUMENTS,
    UK_TTO_1997,
    make_value_set,
    read_value_sets,
    score,
    with_value_set,
)

TARGET = 1e6
PASSES = 3
SEED = 20


def main() -> None:
    asked = _arguments()
    slowest = float("inf")
    print(f"{'instrument':<16}{'items':>6}{'bytes, M/s':>12}{'floats, M/s':>13}")
    for one in _instruments(asked.folder):
        whole = _items(one, asked.rows)
        rates = [_rate(one, items) for items in (whole, _with_gaps(whole))]
        slowest = min(slowest, *rates)
        print(f"{one.id:<16}{one.items:>6}{rates[0] / 1e6:>12.1f}{rates[1] / 1e6:>13.1f}")
    verdict = "reached" if slowest >= TARGET else "MISSED"
    print(f"slowest {slowest / 1e6:.1f} M/s; target {TARGET / 1e6:.0f} M/s {verdict}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--folder", help="EQ-5D value sets, as read_value_sets reads them")
    return parser.parse_args()


def _instruments(folder: str | None):
    made_up = make_value_set("EQ-5D-5L", "VT", "Nowhere", "made up", np.linspace(1, -0.5, 3125))
    england = read_value_sets(folder).find("EQ-5D-5L/VT/England") if folder else made_up
    chosen = {"EQ-5D-3L": UK_TTO_1997, "EQ-5D-5L": england}
    for one in INSTRUMENTS.values():
        yield with_value_set(one, chosen[one.version]) if one.rule == "value_set" else one


def _items(one, rows: int) -> np.ndarray:
    low, high = one.item_range if one.items else one.score_range
    shape = rows, max(one.items, 1)
    return np.random.default_rng(SEED).integers(low, high, shape, dtype=np.int8, endpoint=True)


def _with_gaps(items: np.ndarray) -> np.ndarray:
    gaps = items.astype(float)
    gaps[np.random.default_rng(SEED).random(items.shape) < 0.02] = np.nan
    return gaps


def _rate(one, items: np.ndarray) -> float:
    taken = []
    for _ in range(PASSES):
        began = time.perf_counter()
        score(one, items)
        taken.append(time.perf_counter() - began)
    return len(items) / min(taken)


if __name__ == "__main__":
    main()
