"""Measure what each method recovers of a known truth, and write benchmarks/results/recovery.*.

    python benchmarks/recovery.py       everything (make recovery)

The figures are those that tests/recovery asserts, by the same functions and seeds.
"""

import argparse
import datetime
import json
import sys
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).parent
# In front of this folder, whose own `recovery` is this script.
sys.path.insert(0, str(HERE.parent / "tests"))

from recovery import comparisons, covering, flagging, spreading  # noqa: E402

COMMAND = "python benchmarks/recovery.py"
LIMITS = (
    "nominal",
    "multiplicative",
    "additive",
    "winsorised",
    "trimmed",
    "empirical_null",
    "benjamini_hochberg",
)
SPREADS = (0.2, 0.6, 1.0)
ESTIMATORS = ("dersimonian_laird", "paule_mandel", "reml", "winsorised", "trimmed")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=HERE / "results", help="where the tables go")
    chosen = parser.parse_args()
    findings = {
        "date": datetime.date.today().isoformat(),
        "command": COMMAND,
        "versions": {name: version(name) for name in ("riskadj", "numpy", "scipy")},
    }
    for name, (_, _, measure) in PARTS.items():
        findings[name] = measure()
        print(f"{name}: {len(findings[name])} rows", file=sys.stderr, flush=True)
    chosen.out.mkdir(parents=True, exist_ok=True)
    text = as_markdown(findings)
    (chosen.out / "recovery.json").write_text(json.dumps(findings, indent=1) + "\n")
    (chosen.out / "recovery.md").write_text(text)
    print(text)


def methods():
    return [
        asdict(line)
        for family in comparisons.FAMILIES
        for confounding in (0.0, comparisons.CONFOUNDING)
        for line in comparisons.compare(family, confounding).values()
    ]


def shrunken():
    return [
        {"providers": providers, "reliability": reliability, "allow_for_estimation": allow}
        | asdict(covering.shrunken(providers, reliability, allow))
        for allow in (False, True)
        for providers in (10, 20, 40, 100)
        for reliability in (0.3, 0.5, 0.7, 0.9)
    ]


def gains():
    return [
        {"method": method, "providers": providers, "expected_gain": gain}
        | asdict(covering.adjusted_gains(method, providers, gain))
        for method in covering.PROFILE_METHODS
        for providers, gain in ((40, covering.GAIN), (10, covering.GAIN), (40, 0.0))
    ]


def ranks():
    return [
        {"providers": providers, "reliability": reliability}
        | asdict(covering.ranked(providers, reliability))
        for providers in (20, 60)
        for reliability in (0.5, 0.8)
    ]


def ratios():
    return [
        {"family": family, "ratio": name} | found
        for family in ("gaussian", "binomial")
        for name, found in asdict(covering.bootstrapped(family)).items()
    ]


def counts():
    shares = {f"Wilson, n = {n}": covering.wilson(n) for n in (5, 10, 20, 50, 200)}
    for method in ("exact", "midp", "byar"):
        for low, high in ((1.0, 50.0), (20.0, 500.0)):
            name = f"{method}, {low:g} to {high:g} expected"
            shares[name] = covering.poisson(method, low, high)
    for method in ("exact", "midp"):
        shares[f"{method}, 25 episodes of unequal risk"] = covering.sums_of_events(method)
    return [
        {"interval": name, "mean": float(one.mean()), "least": float(one.min())}
        for name, one in shares.items()
    ]


def flags():
    return [
        {"limits": limits, "reliability": round(reliability, 2)}
        | {
            f"sizes_{spread:g}": flagging.share_flagged(limits, reliability, spread)
            for spread in SPREADS
        }
        for limits in LIMITS
        for reliability in (flagging.NONE_TRULY, 0.3, 0.6)
    ]


def variances():
    return [
        {"estimator": name}
        | {f"reliability_{one:g}": flagging.tau2_recovered(name, one) for one in (0.3, 0.6)}
        for name in ESTIMATORS
    ]


def false_discoveries():
    return [
        {"limits": limits, "out": out, "over_dispersion": tau}
        | asdict(flagging.discoveries(limits, out, tau=tau))
        for limits in ("nominal", "benjamini_hochberg")
        for tau in (0.0, 1.0)
        for out in (0, 5, 15, 30)
    ]


def tests():
    return [
        {
            "expected_events": expected,
            **{
                name: float(flagging.size_of_test(name, expected).mean()) for name in flagging.TESTS
            },
            "score_at_worst": float(flagging.size_of_test("score", expected).max()),
        }
        for expected in (1.0, 2.0, 5.0, 10.0)
    ]


def sigmas():
    linear = [
        {"family": "gaussian", "method": method, "size": 10, "providers": providers}
        | asdict(spreading.recover_sigma("gaussian", 10, method, providers, 1_000))
        for method in ("reml", "ml")
        for providers in (12, 40)
    ]
    laplace = [
        {"family": family, "method": "laplace", "size": size, "providers": 40}
        | asdict(spreading.recover_sigma(family, size, replicates=replicates))
        for family, replicates in (("binomial", 500), ("gamma", 200))
        for size in (5, 10, 20, 50)
    ]
    return linear + laplace


PARTS = {
    "methods": (
        "Fixed, random and correlated effects",
        "40 providers of 50 episodes at the median, sigma 0.4; `confounding` is the correlation of "
        "a provider's effect with its mean of each of three covariates. `bias` to `coverage`: of "
        "the coefficients. `effect_bias`: how much farther from the average than it is a provider "
        "of at most 30 episodes is placed, below 0 nearer; `effect_rmse`: its error; "
        "`rank_correlation`: of all effects with the truth. `failed`: fits that raised an error.",
        methods,
    ),
    "shrunken": (
        "Empirical Bayes intervals of 95 %",
        "Centre and variance estimated (DerSimonian and Laird).",
        shrunken,
    ),
    "gains": (
        "Intervals of 95 % of the adjusted gain",
        "Expectations are the true ones; `expected_gain` is their mean.",
        gains,
    ),
    "ranks": ("Intervals of 95 % of the rank", "A rank is a whole number: at least 95 %.", ranks),
    "ratios": (
        "The provider bootstrap of predicted over expected, 95 %",
        "30 providers of 30 episodes, 200 draws. What is covered is the ratio that the true "
        "effects and coefficients make: to the average that effects were drawn about "
        "(`of_the_world`), or to the average of these 30 (`of_the_sample`).",
        ratios,
    ),
    "counts": (
        "Intervals of 95 % of counts and proportions",
        "Exact sums over every count, no simulation; mean and least over true values.",
        counts,
    ),
    "flags": (
        "Share flagged at 95 % of providers from one normal distribution",
        "150 providers; `reliability` of one of median size, 0: chance is all. Columns: standard "
        "deviation of the logarithm of sizes.",
        flags,
    ),
    "variances": (
        "Variance between providers, estimated over true",
        "The last two pull in or leave out extremes as published, which takes away true variance.",
        variances,
    ),
    "false_discoveries": (
        "False discoveries at 95 %",
        "150 providers, `out` of them 4 standard errors away. `over_dispersion`: standard "
        "deviation of the others' true effects, in standard errors.",
        false_discoveries,
    ),
    "tests": (
        "How often tests of 5 % refuse an average provider",
        "60 episodes of unequal risk; mean over 40 case mixes.",
        tests,
    ),
    "sigmas": (
        "Standard deviation between providers, estimated over true",
        "`size`: episodes of a provider; `zero`: share of estimates that are 0.",
        sigmas,
    ),
}


def as_markdown(findings):
    versions = ", ".join(f"{name} {one}" for name, one in findings["versions"].items())
    head = (
        f"# What is recovered of a known truth, {findings['date']}\n\n"
        f"`{findings['command']}`; {versions}. Simulated worlds with fixed seeds; "
        "tests/recovery asserts these figures. `error` is Monte Carlo error."
    )
    parts = [
        f"## {title}\n\n{note}\n\n{_table(findings[name])}"
        for name, (title, note, _) in PARTS.items()
    ]
    return "\n\n".join([head, *parts]) + "\n"


def _table(rows):
    lines = [
        [*rows[0]],
        ["---"] * len(rows[0]),
        *([_cell(one) for one in row.values()] for row in rows),
    ]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cell(value):
    if isinstance(value, bool):
        return "yes" if value else "no"
    # Rounding may leave a minus before a zero; adding zero takes it away.
    return f"{round(value, 4) + 0.0:.4f}" if isinstance(value, float) else f"{value}"


if __name__ == "__main__":
    main()
