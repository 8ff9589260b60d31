"""How intervals of groups and of changes are made: one way for all that `fairness` tells."""

from typing import Any

from riskadj.study import Study


def interval_method(study: Study) -> dict[str, Any]:
    """Return what functions of `riskadj.stats` that draw providers are told of how to.

    The jackknife, or where the study says how many replicates there shall be, the
    bias-corrected and accelerated bootstrap.
    """
    replicates = study.fairness.replicates
    if not replicates:
        return {"method": "jackknife"}
    return {"method": "bca", "replicates": replicates, "seed": study.split.seed}
