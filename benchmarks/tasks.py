"""What is measured: tasks by entrants by sizes, as tables."""

from collections.abc import Callable
from dataclasses import dataclass, field

import objective

OURS = "riskadj"


@dataclass(frozen=True)
class Entrant:
    """A way to fit: `where` names who runs it (see peers.py), `fits` its file under entrants/."""

    name: str
    where: str
    fits: str


@dataclass(frozen=True)
class Task:
    """What is asked of the entrants, by size.

    `yardstick` and `answer`: the function of objective.py, and what of an answer it takes.
    `times`: an entrant's seconds are those of one such fit, times this.
    `turns`: of each entrant, where those of the size are too many.
    `figure`: what of an answer is kept as it is.
    """

    title: str
    outcome: str
    entrants: dict[str, tuple[str, ...]]
    yardstick: Callable | None = None
    answer: tuple[str, ...] = ()
    times: dict[str, int] = field(default_factory=dict)
    turns: int | None = None
    figure: str = ""
    note: str = ""


@dataclass(frozen=True)
class Faster:
    """At least so many times as fast as an entrant of the same run."""

    task: str
    size: str
    entrant: str
    at_least: float


@dataclass(frozen=True)
class Seconds:
    """At most so many seconds; `of` says whose figure that is."""

    task: str
    size: str
    at_most: float
    of: str = ""


@dataclass(frozen=True)
class Level:
    """CPU time per episode at the largest size, at most so many times the least of any size."""

    task: str
    at_most: float


@dataclass(frozen=True)
class Figure:
    """A figure of the answer, at most so much."""

    task: str
    size: str
    at_most: float
    of: str


Target = Faster | Seconds | Level | Figure


ENTRANTS = {
    one.name: one
    for one in (
        Entrant(OURS, "project", "riskadj_fits"),
        Entrant("GPBoost", "peers", "gpboost_fits"),
        Entrant("GPBoost, estimates only", "peers", "gpboost_estimates"),
        Entrant("glum", "peers", "glum_fits"),
        Entrant("block Newton (stand-in)", "peers", "block_newton"),
        Entrant("lme4", "R", "lme4_fits.R"),
        Entrant("pprof_py", "nowhere", ""),
        Entrant("pprof (R)", "nowhere", ""),
    )
}

SIZES = {"100k": (100_000, 500), "1M": (1_000_000, 4_000), "5M": (5_000_000, 20_000)}
REPEATS = {"100k": 5, "1M": 3, "5M": 2}

TASKS = {
    "logistic": Task(
        "Logistic random intercept",
        "binary",
        {
            "100k": (OURS, "GPBoost", "GPBoost, estimates only", "lme4"),
            "1M": (OURS, "GPBoost", "GPBoost, estimates only", "lme4"),
            "5M": (OURS,),
        },
        objective.laplace,
        ("intercept", "coef", "sigma"),
        note="Laplace's approximation. lme4 is glmer with nAGQ = 0, a cheaper approximation.",
    ),
    "linear": Task(
        "Linear random intercept",
        "continuous",
        {"100k": (OURS, "GPBoost", "lme4"), "1M": (OURS, "GPBoost", "lme4"), "5M": (OURS,)},
        objective.gaussian,
        ("intercept", "coef", "sigma", "residual_sd"),
        note="Maximum likelihood by all, for GPBoost has no REML. lme4 is lmer.",
    ),
    "fixed": Task(
        "Logistic fixed effects",
        "binary",
        {
            "100k": (OURS, "block Newton (stand-in)", "glum", "pprof_py", "pprof (R)"),
            "1M": (OURS, "block Newton (stand-in)", "glum", "pprof_py", "pprof (R)"),
            "5M": (OURS,),
        },
        objective.fixed,
        ("coef", "effects"),
        note="The stand-in is the block inversion of pprof and pprof_py as it was published, "
        "in numpy; it says nothing of their other costs.",
    ),
    "bootstrap": Task(
        "Provider bootstrap, 1,000 resamples, logistic random intercept",
        "binary",
        {"100k": (OURS, "GPBoost, estimates only")},
        times={"GPBoost, estimates only": 1000},
        turns=2,
        note="GPBoost has no bootstrap of its own: one resample of providers and its fit, "
        "times 1,000 (extrapolated).",
    ),
    "widths": Task(
        "Widths of the bootstrap's intervals, 120 resamples refitted in full beside",
        "binary",
        {"100k": (OURS,)},
        turns=1,
        figure="widest",
        note="The same 120 resamples twice: refits from the fit to all providers, as by default, "
        "and refits from nothing to convergence. Seconds are those of both.",
    ),
}

KERNEL = "pprof_py's kernel, as measured elsewhere"
TARGETS: tuple[Target, ...] = (
    Faster("logistic", "1M", "GPBoost", 4),
    Faster("logistic", "1M", "GPBoost, estimates only", 4),
    Faster("logistic", "100k", "lme4", 20),
    Faster("linear", "100k", "GPBoost", 15),
    Faster("linear", "1M", "GPBoost", 15),
    Seconds("fixed", "100k", 0.129, KERNEL),
    Seconds("fixed", "1M", 2.7, KERNEL),
    Faster("fixed", "100k", "pprof (R)", 10),
    Faster("fixed", "1M", "pprof (R)", 10),
    Seconds("bootstrap", "100k", 60),
    Figure("widths", "100k", 0.05, "largest difference in width from full refits"),
    Level("logistic", 1.5),
    Level("linear", 1.5),
    Level("fixed", 1.5),
)
TARGETS_NOTE = (
    "pprof (R) and pprof_py cannot be installed from the package indexes that are reached here, so "
    "no ratio to either is measured. What stands in for the second is a figure in seconds of its "
    "kernel alone, without reading a frame, from another machine; against it riskadj's whole call "
    "is set. The block Newton stand-in above is the nearest that runs here. Level cost: CPU time "
    "per episode at the largest size over the least of all sizes; 1 is linear."
)
