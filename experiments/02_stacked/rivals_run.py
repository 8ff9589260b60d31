"""Which learner expects best one year ahead, and which knows the ceiling best? Into rivals.json.

.venv/bin/python experiments/02_stacked/rivals_run.py choose     learn 2016/17, ask about 2017/18
.venv/bin/python experiments/02_stacked/rivals_run.py ceiling    the same years
.venv/bin/python experiments/02_stacked/rivals_run.py growth     the same, from part of 2016/17
.venv/bin/python experiments/02_stacked/rivals_run.py once       learn both, ask about 2018/19
.venv/bin/python experiments/02_stacked/rivals_run.py again      both, with smaller trees for EQ-5D
"""

import json
import os
import sys
from pathlib import Path
from time import perf_counter

os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import numpy as np
import pandas as pd
from rivals import ordinal, tobit
from threadpoolctl import threadpool_limits

import riskadj
from riskadj.casemix import CaseMixEncoder
from riskadj.expected import (
    CeilingExpectation,
    LightGBMExpectation,
    LinearExpectation,
    NetExpectation,
    PartsExpectation,
    StackedExpectation,
    last_period,
    score_parts,
)
from riskadj.expected.learners import design_matrix, factors_of
from riskadj.stats import accuracy, groups_by_rank

HERE = Path(__file__).parent
STUDY = HERE.parents[1] / "configs" / "studies" / "nhs_hip.yaml"
CHOOSE = ["split.train=[2016/17]", "split.test=[2017/18]"]
BEST = {"ohs": 48.0, "eq5d": 1.0, "eqvas": 100.0}
SEED = 20190213
DRAWS = 1_000


def trees(**more):
    """Return boosted trees of the experiment's seed."""
    return LightGBMExpectation(seed=SEED, **more)


MEMBERS = {
    "linear": LinearExpectation,
    "lightgbm": trees,
    "parts": lambda: PartsExpectation(trees(trees=180, leaves=12, learning_rate=0.05)),
    "nets": lambda: NetExpectation(nets=10, seed=1),
}
SMALLER = MEMBERS | {
    "parts": lambda: PartsExpectation(trees(trees=250, leaves=8, learning_rate=0.05)),
    "nets": lambda: NetExpectation(nets=16, seed=1),
}
CEILING = {
    "two parts, linear": lambda: CeilingExpectation(
        LinearExpectation(family="binomial"), LinearExpectation()
    ),
    "two parts, boosted": lambda: CeilingExpectation(trees(family="binomial", trees=400), trees()),
}


def worlds(settings=()):
    """Yield each outcome with the matrices, scores and parts of those who teach and are asked."""
    study = riskadj.load_study(STUDY, list(settings))
    episodes = riskadj.read_study(study)
    for outcome in study.outcomes:
        cohort = riskadj.select_cohort(episodes, study, outcome)
        casemix = riskadj.choose_casemix(cohort, study)
        encoder = CaseMixEncoder().fit(casemix.train)
        train, test = cohort.train, cohort.test
        items = train.filter(regex=f"^q2_item_{outcome.definition.measure}_")
        y = train["observed_score"].to_numpy(dtype=float)
        yield {
            "outcome": outcome.name,
            "X": encoder.transform(casemix.train),
            "y": y,
            "parts": score_parts(y, items if items.shape[1] else None),
            "train": train,
            "Z": encoder.transform(casemix.test),
            "asked": test["observed_score"].to_numpy(dtype=float),
            "test": test,
        }


def fit(learner, world, rows=slice(None)):
    """Return what the learner expects of those asked, and the seconds it took."""
    begun = perf_counter()
    given = {"parts": world["parts"][rows]} if learner.takes_parts else {}
    learner.fit(world["X"][rows], world["y"][rows], **given)
    return learner.predict(world["Z"]), perf_counter() - begun


def stack(world, extra=None, members=MEMBERS):
    """Return expectations and seconds of the stack and each of its learners; weights as well.

    Weights come from the last training year, or, where there is one only, from halves of providers.
    """
    X, Z, train = world["X"], world["Z"], world["train"]
    if extra:
        X, Z = (np.column_stack([a, world[b][extra]]) for a, b in ((X, "train"), (Z, "test")))
    folds = last_period(train["period"]) if train["period"].nunique() > 1 else None
    learner = StackedExpectation([make() for make in members.values()], seed=SEED)
    begun = perf_counter()
    learner.fit(X, world["y"], train["provider_id"].to_numpy(), folds, world["parts"])
    seconds = perf_counter() - begun
    label = ", with reference" if extra else ""
    for name, one in zip(members, learner.learners_, strict=True):
        yield f"{name}{label}", one.predict(Z), {}
    weights = dict(zip(members, learner.weights_.round(3).tolist(), strict=True))
    yield f"stacked{label}", learner.predict(Z), {"weights": weights, "seconds": round(seconds, 1)}


def figures(world, expected, seconds=None, share=None):
    """Return held-out figures after recentring."""
    known = ~np.isnan(expected)
    asked, expected = world["asked"][known], expected[known]
    moved = expected + np.mean(asked - expected)
    tenth = np.asarray(groups_by_rank(moved, 10))
    gaps = pd.Series(asked - moved).groupby(tenth).mean().abs()
    told = {
        "r2": accuracy(asked, moved).r2,
        "largest_decile_error": float(gaps.max()),
        "slope": float(np.polyfit(moved, asked, 1)[0]),
    }
    if seconds is not None:
        told["seconds"] = seconds
    if share is not None:
        told |= ceiling_figures(asked == BEST[world["outcome"]], share)
    return {name: float(f"{value:.5g}") for name, value in told.items()}


def ceiling_figures(there, share):
    """Return how the expected share at the ceiling compares with that observed."""
    tenth = np.asarray(groups_by_rank(share, 10))
    chance = np.clip(share, 1e-9, 1 - 1e-9)
    return {
        "share_observed": there.mean(),
        "share_expected": share.mean(),
        "largest_decile_error_of_share": pd.Series(there - share).groupby(tenth).mean().abs().max(),
        "log_loss": -np.mean(np.where(there, np.log(chance), np.log(1 - chance))),
    }


def choose():
    """Yield figures: the stack and each of its learners."""
    for world in worlds(CHOOSE):
        own = f"reference_predicted_{world['outcome']}"
        with_own = stack(world, own) if world["outcome"] == "ohs" else []
        for name, expected, more in [*stack(world), *with_own]:
            yield f"{world['outcome']} {name}", figures(world, expected) | more


def ceiling():
    """Yield figures: models that know of the ceiling, and two that do not."""
    for world in worlds(CHOOSE):
        best = BEST[world["outcome"]]
        factors = factors_of(world["X"], 6)
        Z, asked = (design_matrix(world[one], factors) for one in ("X", "Z"))
        Z, asked = ((one - Z.mean(axis=0)) / Z.std(axis=0) for one in (Z, asked))
        for name in ("linear", "lightgbm"):
            yield f"{world['outcome']} {name}", figures(world, *fit(MEMBERS[name](), world))
        for name, rival in (("Tobit", tobit), ("ordinal", ordinal)):
            begun = perf_counter()
            expected, share = rival(Z, world["y"], asked, best)
            told = figures(world, expected, perf_counter() - begun, share)
            yield f"{world['outcome']} {name}, linear", told
        for name, make in CEILING.items():
            learner = make()
            expected, seconds = fit(learner, world)
            share = learner.expected_share_at_ceiling(world["Z"])
            yield f"{world['outcome']} {name}", figures(world, expected, seconds, share)


def once():
    """Yield figures: the stack on the year compared, with intervals on differences."""
    for world in worlds():
        own = f"reference_predicted_{world['outcome']}"
        with_own = stack(world, own) if world["outcome"] == "ohs" else []
        told = [*stack(world), *with_own]
        told.append(("reference", world["test"][own].to_numpy(dtype=float), {}))
        by_name = {name: expected for name, expected, _ in told}
        for name, expected, more in told:
            against = {
                f"r2_minus_{rival}": interval(world, expected, by_name[rival])
                for rival in ("reference", "linear", "lightgbm")
            }
            yield f"{world['outcome']} {name}", figures(world, expected) | more | against
        learner = CEILING["two parts, boosted"]()
        expected, seconds = fit(learner, world)
        share = learner.expected_share_at_ceiling(world["Z"])
        yield f"{world['outcome']} two parts, boosted", figures(world, expected, seconds, share)


def again():
    """Yield figures: trees of 8 leaves, the shape that 2017/18 likes best for EQ-5D."""
    for settings in (CHOOSE, ()):
        world = next(one for one in worlds(settings) if one["outcome"] == "eq5d")
        year = world["test"]["period"].iloc[0]
        for name, expected, more in stack(world, members=SMALLER):
            yield f"eq5d {name} {year}", figures(world, expected) | more


def interval(world, expected, rival):
    """Return the difference in R2 with a 95 % interval over providers drawn anew."""
    asked = world["asked"]
    known = ~np.isnan(rival)
    y, ours, theirs = asked[known], expected[known], rival[known]
    codes, _ = pd.factorize(world["test"]["provider_id"][known])
    left = [y - one - np.mean(y - one) for one in (ours, theirs)]
    terms = np.column_stack([np.ones(len(y)), y, y**2, left[0] ** 2, left[1] ** 2])
    sums = np.column_stack([np.bincount(codes, column) for column in terms.T])
    rng = np.random.default_rng(SEED)
    times = rng.multinomial(len(sums), np.full(len(sums), 1 / len(sums)), size=DRAWS)
    n, one, two, mine, other = (np.vstack([np.ones(len(sums)), times]) @ sums).T
    gained = (other - mine) / (two - one**2 / n)
    low, high = np.quantile(gained[1:], [0.025, 0.975])
    return [float(f"{value:.4g}") for value in (gained[0], low, high)]


def growth():
    """Yield figures: how much more episodes to learn from would help."""
    for world in worlds(CHOOSE):
        rng = np.random.default_rng(SEED)
        order = rng.permutation(len(world["y"]))
        for share in (0.125, 0.25, 0.5, 1.0):
            rows = np.sort(order[: int(share * len(order))])
            told = fit(MEMBERS["parts"](), world, rows)
            yield f"{world['outcome']} parts, {len(rows)} episodes", figures(world, *told)


PARTS = {one.__name__: one for one in (choose, ceiling, growth, once, again)}


def main(names):
    """Run parts and write their results beside this file."""
    path = HERE / "rivals.json"
    results = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    for name in names or PARTS:
        results[name] = {}
        with threadpool_limits(1, user_api="blas"):
            for key, told in PARTS[name]():
                results[name][key] = told
                print(name, key, told, flush=True)
        path.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
