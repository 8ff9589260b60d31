"""Measure what each method recovers of a known truth, and write benchmarks/results/recovery.*.

    python benchmarks/recovery.py       everything (make recovery)

The figures come from the functions and seeds of tests/recovery. Its tests assert many of them, and
each table says which; the others are shown.
"""

import argparse
import datetime
import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
# In front of this folder, whose own `recovery` is this script.
sys.path.insert(0, str(HERE.parent / "tests"))

from recovery import comparisons, covering, flagging, missing, spreading  # noqa: E402

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
TRIMS = ((0.0, 1.0), (0.01, 0.99), (0.05, 0.95))
ESTIMATORS = ("dersimonian_laird", "paule_mandel", "reml", "winsorised", "trimmed")


class Part(NamedTuple):
    """One table: `asserted` says what of it the tests hold; `measure` returns its rows."""

    title: str
    note: str
    asserted: str
    measure: Callable


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=HERE / "results", help="where the tables go")
    chosen = parser.parse_args()
    findings = {
        "date": datetime.date.today().isoformat(),
        "command": COMMAND,
        "versions": {name: version(name) for name in ("riskadj", "numpy", "scipy")},
    }
    for name, part in PARTS.items():
        findings[name] = part.measure()
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


def follow_up():
    return [asdict(line) for who in missing.RECIPES for line in missing.compare(who).values()]


def trimming():
    return [
        asdict(missing.trimmed(numerator, trim))
        for numerator in ("provider", "overall")
        for trim in TRIMS
    ]


def planted():
    return [asdict(missing.planted())]


def boundary():
    return [asdict(missing.boundary())]


def imputed_ratios():
    return [asdict(missing.ratios())]


KNOWN = "known to miss, and asserted to"
PARTS = {
    "methods": Part(
        "Fixed, random and correlated effects",
        "40 providers of 50 episodes at the median, sigma 0.4; `confounding` is the correlation of "
        "a provider's effect with its mean of each of three covariates. `bias` to `coverage`: of "
        "the coefficients. `effect_bias`: how much farther from the average than it is a provider "
        "of at most 30 episodes is placed, below 0 nearer; `effect_rmse`: its error; "
        "`rank_correlation`: of all effects with the truth. `failed`: fits that raised an error.",
        "`bias` and `coverage` of every method but effects beside case mix (random intercepts "
        "under confounding are biased and cover too seldom, and are asserted to), "
        "`effect_coverage` of fixed effects, `effect_bias` without confounding, the order of "
        "`effect_rmse` and of `rank_correlation`, `failed`.",
        methods,
    ),
    "shrunken": Part(
        "Empirical Bayes intervals of 95 %",
        "Centre and variance estimated (DerSimonian and Laird).",
        f"all that allow for estimation (10 and 40 providers at reliability 0.3 are {KNOWN}); that "
        "those of 10 and 20 providers that do not are too narrow up to reliability 0.7.",
        shrunken,
    ),
    "gains": Part(
        "Intervals of 95 % of the adjusted gain",
        "Expectations are the true ones; `expected_gain` is their mean.",
        "all of 40 providers with a gain, and fixed effects without; all of 10 providers (random "
        f"intercepts and correlated effects are {KNOWN}).",
        gains,
    ),
    "ranks": Part(
        "Intervals of 95 % of the rank",
        "A rank is a whole number: at least 95 %.",
        "all.",
        ranks,
    ),
    "ratios": Part(
        "The provider bootstrap of predicted over expected, 95 %",
        "30 providers of 30 episodes, 200 draws. What is covered is the ratio that the true "
        "effects and coefficients make: to the average that effects were drawn about "
        "(`of_the_world`), or to the average of these 30 (`of_the_sample`).",
        f"all (`of_the_world` of binomial outcomes is {KNOWN}).",
        ratios,
    ),
    "counts": Part(
        "Intervals of 95 % of counts and proportions",
        "Exact sums over every count, no simulation; mean and least over true values.",
        "`mean` of Wilson, of mid-P from 1 and of unequal risks, and of Byar from 20 expected "
        f"(from 1 it is {KNOWN}); `least` of exact ones from 1 and of unequal risks.",
        counts,
    ),
    "flags": Part(
        "Share flagged at 95 % of providers from one normal distribution",
        "150 providers; `reliability` of one of median size, 0: chance is all. Columns: standard "
        "deviation of the logarithm of sizes.",
        "`additive`; `empirical_null` of providers alike in size (of unequal ones at reliability "
        f"0.6 it is {KNOWN}); at sizes of 0.6 also `nominal`, and `winsorised` and `trimmed` where "
        "providers differ, as too many.",
        flags,
    ),
    "variances": Part(
        "Variance between providers, estimated over true",
        "The last two pull in or leave out extremes as published, which takes away true variance.",
        "all, the last two as under 0.6.",
        variances,
    ),
    "false_discoveries": Part(
        "False discoveries at 95 %",
        "150 providers, `out` of them 4 standard errors away. `over_dispersion`: standard "
        "deviation of the others' true effects, in standard errors.",
        "`benjamini_hochberg`: `false` without over-dispersion, `power` with 15 out, and that with "
        "over-dispersion and 15 out it holds no rate.",
        false_discoveries,
    ),
    "tests": Part(
        "How often tests of 5 % refuse an average provider",
        "60 episodes of unequal risk; mean over 40 case mixes.",
        "`exact` (at the worst case mix as well), `midp`, and `score` from 5 expected events.",
        tests,
    ),
    "sigmas": Part(
        "Standard deviation between providers, estimated over true",
        "`size`: episodes of a provider; `zero`: share of estimates that are 0.",
        "`variance` of REML and ML, `sigma` of Laplace's approximation.",
        sigmas,
    ),
    "follow_up": Part(
        "Missing follow-up: complete cases, weights, imputation",
        "40 providers of 100 episodes at the median; who answers depends on what the first column "
        "says. `bias_few`, `bias_many`: of effects, in points, at the quarter of providers whose "
        "patients are least and most likely to answer; `bias_error`: the Monte Carlo error of the "
        "larger. `spread`: standard deviation of effects over that with full data. `same_flag`: "
        "share of providers whose 95 % flag is that of full data.",
        "`coverage` and both biases (with `not at random`, that every analysis fails, and complete "
        "cases most), the order of `rmse` and of `same_flag`, `spread` at the ceiling.",
        follow_up,
    ),
    "trimming": Part(
        "Missing follow-up: what trimming leaves of the weights",
        "Answers go with a covariate. `trim`: quantiles at which weights are cut.",
        "the order of `bias_few` and `rmse` untrimmed and at 0.01 to 0.99; 0.05 to 0.95 is shown.",
        trimming,
    ),
    "planted": Part(
        "Missing follow-up: flags with the delta that was planted",
        f"Non-responders of one provider in {missing.EACH} are worse by "
        f"{-missing.PLANTED:g} points than others alike. Share of these providers whose flag is "
        "that of full data, with delta taken as 0 and as planted; `expected_share`: what the "
        "second should be.",
        "all.",
        planted,
    ),
    "boundary": Part(
        "Missing follow-up: the delta that takes a provider to its limit",
        "`planted` to `rmse` in points; `coverage`: of the planted delta, 95 %; `flagged`: with "
        "full data at that delta, which at a limit is a half.",
        "`bias`, `coverage` and `flagged`.",
        boundary,
    ),
    "imputed_ratios": Part(
        "Missing follow-up: observed over expected events",
        "Biases at the quarter of providers where fewest answered; intervals of 95 %.",
        "all.",
        imputed_ratios,
    ),
}


def as_markdown(findings):
    versions = ", ".join(f"{name} {one}" for name, one in findings["versions"].items())
    head = (
        f"# What is recovered of a known truth, {findings['date']}\n\n"
        f"`{findings['command']}`; {versions}. Simulated worlds with fixed seeds. Of each table, "
        "what is named as asserted is held by the slow tests of tests/recovery (`make slow`), "
        "within bounds that they state; all else is shown. `error` is Monte Carlo error."
    )
    parts = [
        f"## {one.title}\n\n{one.note}\n\nAsserted: {one.asserted}\n\n{_table(findings[name])}"
        for name, one in PARTS.items()
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
