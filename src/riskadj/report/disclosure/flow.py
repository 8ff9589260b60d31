"""What may leave of the flow: who left, and why, where they are not few.

A flow is a sum in two parts, as how many are eligible is known from other tables: those read are
those who left by the rules and those eligible; these are those without the scores that are needed
and those compared or taught from. So where few left for a reason, how many did is hidden, with the
next smallest reason of its part or how many were read, and so is how many remain in between.
"""

import pandas as pd

from riskadj.report.disclosure.hiding import complete, is_small
from riskadj.study.cohort import CohortRules

READ, READING, TRAIN = "episodes", "reading", "train"
"""Stations: of the episodes read, of what else the files hold, and of those who teach."""
_ALWAYS = 2
"""Rules of every study: procedure and periods."""


def suppress_flow(flow: pd.DataFrame, rules: CohortRules, below: int) -> tuple[pd.DataFrame, bool]:
    """Return the flow that may leave, and whether others may tell how many episodes were read.

    Parameters
    ----------
    flow : DataFrame
        `outcome, station, reason, left, remaining`: of every outcome, of each in order.
    rules : CohortRules
        Of the study, for how many of its reasons are about who is eligible.
    below : int
        Fewer who left than this are few.

    Returns
    -------
    DataFrame
        `left` and `remaining` null where they would tell of few.
    bool
        Where False, no other file may tell how many episodes were read.
    """
    flow = flow.reset_index(drop=True)
    read = flow["station"] == READ
    part = _part(flow, read, _ALWAYS + len(rules.exclude))
    counts = flow["left"].mask(read, flow["remaining"]).where(part > 0, 0).astype(float)
    hidden = _hidden(flow, counts, part, below)
    between = _between(hidden & (part > 0), [flow["outcome"], part])
    whole = flow.astype({"left": "Int64", "remaining": "Int64"})
    whole["left"] = whole["left"].mask(hidden & ~read)
    whole["remaining"] = whole["remaining"].mask(between & (flow["station"] != TRAIN))
    return whole, not bool((hidden & read).any())


def _part(flow: pd.DataFrame, read: pd.Series, eligibility: int) -> pd.Series:
    """Return 1 for rows about who is eligible, 2 for those after, 0 for those before."""
    since = flow.groupby("outcome", sort=False).cumcount()
    since -= since.where(read).groupby(flow["outcome"]).transform("max")
    return (since >= 0).astype(int) + (since > eligibility)


def _hidden(flow: pd.DataFrame, counts: pd.Series, part: pd.Series, below: int) -> pd.Series:
    few = is_small(flow["left"], below)
    sets = [flow["outcome"], part]
    step = [flow["station"], flow["reason"], flow["left"]]
    hidden = few
    while True:
        more = complete(hidden, counts, below, sets).groupby(step).transform("any")
        if more.equals(hidden):
            break
        hidden = more
    together = counts.where(hidden, 0).groupby(sets).transform("sum")
    alone = (hidden & (counts > 0)).groupby(sets).transform("sum") == 1
    return hidden | ((is_small(together, below) | alone) & (part > 0))


def _between(hidden: pd.Series, sets: list[pd.Series]) -> pd.Series:
    """Return rows from the first that is hidden in a set to before the last."""
    met = hidden.astype(int).groupby(sets).cumsum()
    return (met > 0) & (met < hidden.astype(int).groupby(sets).transform("sum"))
