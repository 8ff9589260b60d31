"""Which of our learners of cost have a variance as the residuals seen: the Park test in words."""

from collections.abc import Mapping
from math import isfinite
from typing import Any, NamedTuple

from riskadj.report.words import format_number, learner_title, listed


class Family(NamedTuple):
    """A family of learners of cost.

    Attributes
    ----------
    low, high : float
        Powers of the mean that its variance can go with.
    learners : str
        What a study writes for it.
    """

    low: float
    high: float
    learners: str


FAMILIES = (
    Family(0.0, 0.0, "linear (normal)"),
    Family(1.1, 1.9, "tweedie with power {power}, or lightgbm with objective tweedie"),
    Family(2.0, 2.0, "gamma, two_part, or lightgbm with objective gamma"),
)
"""In order of power."""
_STEEPEST = FAMILIES[-1].high


def families_in_words(outcome: str, by_learner: Mapping[str, Mapping[str, Any]]) -> str:
    """Return which of our learners of cost the Park slopes of an outcome suggest.

    A family is suggested where its power of the mean lies in the 95 % interval of the slope, the
    nearest first; where that of none does, the nearest one is. Nothing is said of a slope without
    an interval.

    Parameters
    ----------
    outcome : str
        Its name.
    by_learner : mapping of str to mapping
        Of each learner the figures `park_slope`, `park_slope_lower95` and `park_slope_upper95`.

    Examples
    --------
    >>> slope = {"park_slope": 2.1, "park_slope_lower95": 1.95, "park_slope_upper95": 2.25}
    >>> families_in_words("cost", {"linear": slope})  # doctest: +ELLIPSIS
    'Nearest family for cost: by the linear model, gamma, two_part, or lightgbm with objective ...'
    """
    told: dict[str, list[str]] = {}
    for name, figures in by_learner.items():
        ends = [figures.get(f"park_slope{end}") for end in ("", "_lower95", "_upper95")]
        slope, low, high = (float("nan") if one is None else float(one) for one in ends)
        if isfinite(slope + low + high):
            told.setdefault(_suggested(slope, low, high), []).append(learner_title(name))
    if not told:
        return ""
    said = "; ".join(f"by {listed(whom)}, {words}" for words, whom in told.items())
    return (
        f"Nearest family for {outcome}: {said}. That is of the variance of residuals alone; which "
        "learner expects best, the figures above say."
    )


def _suggested(slope: float, low: float, high: float) -> str:
    """Return the learners whose power lies in the interval, or the nearest."""
    nearest = sorted(FAMILIES, key=lambda one: max(one.low - slope, slope - one.high, 0.0))
    fitting = [one for one in nearest if one.low <= high and one.high >= low]
    if fitting:
        return "; or ".join(_named(one, slope) for one in fitting)
    words = _named(nearest[0], slope)
    if low > _STEEPEST:
        return f"{words}, though variance is steeper than in any family here"
    return f"{words}, though it does not fit quite"


def _named(one: Family, slope: float) -> str:
    return one.learners.format(power=format_number(min(max(slope, one.low), one.high), 1))
