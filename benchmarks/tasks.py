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
    """

    title: str
    outcome: str
    entrants: dict[str, tuple[str, ...]]
    yardstick: Callable | None = None
    answer: tuple[str, ...] = ()
    times: dict[str, int] = field(default_factory=dict)
    turns: int | None = None
    note: str = ""


@dataclass(frozen=True)
class Target:
    task: str
    size: str
    entrant: str
    at_least: float


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
}

TARGETS = (
    Target("logistic", "1M", "GPBoost", 4),
    Target("logistic", "1M", "GPBoost, estimates only", 4),
    Target("logistic", "100k", "lme4", 20),
    Target("linear", "100k", "GPBoost", 15),
    Target("linear", "1M", "GPBoost", 15),
    Target("fixed", "100k", "pprof (R)", 10),
    Target("fixed", "1M", "pprof (R)", 10),
)
