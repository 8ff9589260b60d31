"""Two workers against one: provider effects and scoring, on a Dask cluster of this machine.

    OMP_WAIT_POLICY=passive python benchmarks/engine.py [--keep]

Blocks are made on the workers and stay there; what is timed is what a study asks of them. Scoring
is timed twice: of blocks that are there, and as a study scores, a table that is here going out in
blocks and coming back as expectations. The load of the machine is written beside each figure: with
both cores taken by others, two workers have nothing to gain, and a ratio says nothing. Answers of
all engines are held against each other.
"""

import argparse
import json
import os
import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import numpy as np
import pandas as pd
from report import commit

from riskadj.casemix import CaseMixEncoder
from riskadj.engine import Blocks, Dask, Engine, Local, using
from riskadj.episodes import Column
from riskadj.expected import ExpectationModel, LightGBMExpectation
from riskadj.stats import (
    Rows,
    Values,
    bootstrap_over,
    fixed_effects_over,
    provider_sums,
    random_intercept_over,
)

RESULTS = Path(__file__).parent / "results"
WANTED = 1.6
"""Times that two workers are to be faster than one, both cores being free."""
FREE = 0.5
"""Load before the start up to which the machine counts as free."""


def make_rows(block: int, n: int, p: int, providers: int) -> Rows:
    """Return the block of this number: event by case mix and provider."""
    rng = np.random.default_rng([1, block])
    coef, effect = np.linspace(-0.3, 0.3, p), 0.3 * np.sin(np.arange(providers))
    provider, X = rng.integers(0, providers, n), rng.normal(size=(n, p))
    chance = 1 / (1 + np.exp(1 - X @ coef - effect[provider]))
    return Rows((rng.random(n) < chance).astype(float), X, provider)


def score(rows: Rows, trees: str) -> Values:
    """Return what a boosted model expects of each episode, beside what was observed."""
    import lightgbm

    booster = lightgbm.Booster(model_str=trees)
    expected = booster.predict(rows.X, num_threads=1)
    return Values(rows.provider, np.stack([np.asarray(rows.y), expected]))


class Given(NamedTuple):
    """Trees as text, the model that they are in, and case mix to score, with rows of a block."""

    trees: str
    model: ExpectationModel
    casemix: pd.DataFrame
    rows: int


def make_given(args: argparse.Namespace) -> Given:
    """Grow 200 trees of 31 leaves, and make as much case mix as is to be scored."""
    p, size = args.covariates, args.scored // args.blocks
    taught = make_rows(10**6, 20_000, p, 100)
    member = LightGBMExpectation(trees=200, leaves=31, family="binomial", seed=1)
    member.fit(taught.X, taught.y)
    names = [f"x{one}" for one in range(p)]
    columns = tuple(
        Column(name=name, kind="number", role="clinical", known_at="baseline", meaning=name)
        for name in names
    )
    blocks = [make_rows(one, size, p, args.providers).X for one in range(args.blocks)]
    casemix = pd.DataFrame(np.vstack(blocks), columns=names)
    encoder = CaseMixEncoder().fit(casemix.iloc[:100])
    model = ExpectationModel("event", "lightgbm", columns, encoder, (member,), {}, "logit")
    return Given(member.booster_.model_to_string(), model, casemix, size)


def score_from_here(blocks: Blocks, given: Given) -> np.ndarray:
    """Return the expectations of case mix that is here, by whoever holds the blocks."""
    with using(blocks.engine, given.rows):
        return given.model.expect(given.casemix)


Task = Callable[[Blocks, Given], Any]
FITS: dict[str, Task] = {
    "fixed effects, logistic": lambda b, _: fixed_effects_over(b, "binomial").effects,
    "random intercepts, linear": lambda b, _: random_intercept_over(b).effects,
    "random intercepts, logistic": lambda b, _: random_intercept_over(b, "binomial").effects,
    "bootstrap, logistic, 5 refits": lambda b, _: bootstrap_over(b, replicates=5).ratio,
}
SCORING: dict[str, Task] = {
    "scoring, 200 trees, and O and E": lambda b, given: provider_sums(
        b.keep(score, given.trees)
    ).sums.ravel(),
    "scoring, 200 trees, from here and back": score_from_here,
}


@contextmanager
def engines(most: int) -> Iterator[dict[str, Engine]]:
    """Start this process, one worker, and as many as asked for; idle ones take no time."""
    with Dask(workers=1) as one, Dask(workers=most) as many:
        yield {"local": Local(), "1 worker": one, f"{most} workers": many}


def timed(task: Task, blocks: Blocks, given: Given) -> tuple[float, Any]:
    began = perf_counter()
    found = task(blocks, given)
    return perf_counter() - began, found


def lay(engine: Engine, episodes: int, args: argparse.Namespace) -> Blocks:
    numbers = engine.place(range(args.blocks))
    return numbers.keep(make_rows, episodes // args.blocks, args.covariates, args.providers)


def measure(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Time every task on every engine in turn, so that all see the same load; keep the best."""
    given, rows = make_given(args), []
    with engines(args.workers) as running:
        for tasks, episodes in ((FITS, args.episodes), (SCORING, args.scored)):
            laid = {name: lay(engine, episodes, args) for name, engine in running.items()}
            for name, task in tasks.items():
                rows.append(raced(f"{name}, {episodes:,} episodes", task, laid, given, args.repeat))
                print("|", " | ".join(cells(rows[-1])), "|", flush=True)
    return rows


def raced(
    name: str, task: Task, laid: dict[str, Blocks], given: Given, repeat: int
) -> dict[str, Any]:
    best, answers = dict.fromkeys(laid, np.inf), {}
    loads = []
    for _ in range(repeat):
        for engine, blocks in laid.items():
            loads.append(os.getloadavg()[0])
            seconds, answers[engine] = timed(task, blocks, given)
            best[engine] = min(best[engine], seconds)
    return row(name, best, answers, loads)


def row(
    name: str, best: dict[str, float], answers: dict[str, Any], loads: list[float]
) -> dict[str, Any]:
    local, one, many = best.values()
    first, *others = answers.values()
    apart = max(float(np.nanmax(np.abs(other - first))) for other in others)
    largest = max(1.0, float(np.nanmax(np.abs(first[np.isfinite(first)]))))
    return {
        "task": name,
        "local": local,
        "one": one,
        "many": many,
        "ratio": one / many,
        "ratio_to_local": local / many,
        "apart": apart / largest,
        "load": [min(loads), max(loads)],
    }


_FIGURES = ("local", "one", "many", "ratio", "ratio_to_local")


def cells(row: dict[str, Any]) -> list[str]:
    low, high = row["load"]
    seconds = [f"{row[name]:.2f}" for name in _FIGURES]
    return [row["task"], *seconds, f"{row['apart']:.0e}", f"{low:.1f} to {high:.1f}"]


def table(rows: list[dict[str, Any]], args: argparse.Namespace, before: float) -> str:
    free = before <= FREE
    said = f"load before the start {before:.1f}: " + (
        f"both cores free; wanted at least {WANTED}"
        if free
        else f"cores taken by others, so that ratios say nothing of the wanted {WANTED}"
    )
    head = ["", "local, s", "1 worker, s", f"{args.workers} workers, s", "times faster"]
    head += ["than local", "largest difference", "load"]
    lines = [head, ["---", *["--:"] * (len(head) - 1)], *(cells(one) for one in rows)]
    asked = f"{args.providers:,} providers, p = {args.covariates}, "
    return "\n".join(
        [
            f"`python benchmarks/engine.py --repeat {args.repeat} --keep` at {commit()}: two "
            "workers against one, and against one process without a cluster (local).",
            "",
            f"{asked}{args.blocks} blocks; best of {args.repeat}; {platform.machine()}, {said}.",
            "",
            *("| " + " | ".join(line) + " |" for line in lines),
            "",
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--episodes", type=int, default=4_000_000, help="to fit")
    parser.add_argument("--scored", type=int, default=1_000_000, help="episodes to score")
    parser.add_argument("--providers", type=int, default=4_000)
    parser.add_argument("--covariates", type=int, default=40)
    parser.add_argument("--blocks", type=int, default=4)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--keep", action="store_true", help="write results/engine.md and .json")
    args, before = parser.parse_args(), os.getloadavg()[0]
    rows = measure(args)
    print("\n" + table(rows, args, before))
    if args.keep:
        (RESULTS / "engine.md").write_text(table(rows, args, before))
        kept = {"source": commit(), "asked": {**vars(args)}, "load_before": before, "rows": rows}
        (RESULTS / "engine.json").write_text(json.dumps(kept, indent=2) + "\n")


if __name__ == "__main__":
    main()
