"""What an outcome compares: the kinds that a study can choose, as data.

A kind says what is modelled, the target, and what is shown of it. A gain is modelled as the score
after, given the score before, and shown as the improvement; the others are modelled as they are
shown. Where it is read from, `Measured` says: from two columns of an instrument, or from one of a
cost.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from riskadj.episodes.columns import COLUMNS
from riskadj.instruments import Instrument
from riskadj.instruments.thresholds import KINDS as THRESHOLD_KINDS
from riskadj.instruments.thresholds import responds

if TYPE_CHECKING:
    from riskadj.study.outcomes import Outcome

Floats = NDArray[np.float64]
Family = Literal["gaussian", "binomial", "gamma"]
"""`gamma`: above 0 and skewed, with a standard deviation in proportion to the mean."""
LINK_OF: Mapping[str, str] = MappingProxyType(
    {"gaussian": "identity", "binomial": "logit", "gamma": "log"}
)
"""On whose scale expectations are recalibrated and explained, and effects fitted, by family."""
SCORES = (("baseline_score", "no score before"), ("score_after", "no score after"))
"""What an episode needs to be compared on a score, and why it leaves without."""


@dataclass(frozen=True)
class OutcomeKind:
    """One way of comparing results.

    Attributes
    ----------
    noun : str
        What is compared, as a sentence calls it.
    words : str
        What it is, for the card.
    unit : str
        Of what is compared; empty: that of the score.
    family : {"gaussian", "binomial", "gamma"}
        How the target varies about its expectation.
    of_score : bool
        Whether the score after is the target.
    target : callable
        From outcome, score before and score after to what is modelled; NaN where undefined.
    undefined : callable
        From outcome to why it can be undefined where both scores are there, for the flow; empty:
        it cannot.
    needs : tuple of (str, str)
        Columns of the cohort without which an episode leaves, each with the reason for the flow.
    asked : bool
        Whether patients are asked for it, so that they may not answer.
    sides : tuple of str
        What a provider is called on the better side, and on the worse.
    """

    noun: str
    words: str
    unit: str
    family: Family
    of_score: bool
    target: Callable[["Outcome", Floats, Floats], Floats]
    undefined: Callable[["Outcome"], str] = lambda _: ""
    needs: tuple[tuple[str, str], ...] = SCORES
    asked: bool = True
    sides: tuple[str, str] = ("better", "worse")


@dataclass(frozen=True)
class Measured:
    """What an outcome is read from.

    Attributes
    ----------
    title : str
        Of the instrument, or of the cost.
    unit : str
        That of a score, or a currency.
    before, after : str or None, str
        Columns of the episode table; None where nothing is measured before.
    supplied : str or None
        Column of an expectation from outside; None where there can be none.
    items : str or None
        Pattern of the columns of the answers after.
    range : tuple of float
        Lowest and highest value.
    best : float or None
        The best value that there is.
    direction : {1, -1}
        Whether more is better, or less.
    """

    title: str
    unit: str
    before: str | None
    after: str
    supplied: str | None
    items: str | None
    range: tuple[float, float]
    best: float | None
    direction: int


def measured_by(one: Instrument) -> Measured:
    """Return what the scores of an instrument are read from.

    Examples
    --------
    >>> from riskadj.instruments import instrument
    >>> one = measured_by(instrument("OHS"))
    >>> one.before, one.after, one.range
    ('q1_score_ohs', 'q2_score_ohs', (0.0, 48.0))
    """
    name = one.measure
    return Measured(
        title=one.title,
        unit=one.unit,
        before=f"q1_score_{name}",
        after=f"q2_score_{name}",
        supplied=f"reference_predicted_{name}",
        items=f"^q2_item_{name}_\\d+$",
        range=one.score_range,
        best=one.best,
        direction=one.direction,
    )


def measured_as_cost(column: str, currency: str) -> Measured:
    """Return what a cost is read from.

    Examples
    --------
    >>> measured_as_cost("my_cost", "SEK").title
    'Cost: my cost'
    """
    meaning = COLUMNS[column].meaning if column in COLUMNS else column.replace("_", " ")
    said = meaning.removeprefix("cost: ").replace(",", "")
    return Measured(
        title=f"Cost: {said}",
        unit=currency,
        before=None,
        after=column,
        supplied=None,
        items=None,
        range=(0.0, float("inf")),
        best=None,
        direction=-1,
    )


def _after(_: "Outcome", __: Floats, after: Floats) -> Floats:
    return after


NO_PERCENTAGE = "a score before of 0: no percentage of it"


def _of_percentages(outcome: "Outcome") -> str:
    """Return why an outcome is undefined, where it or its threshold is a percentage."""
    by_amount = outcome.kind == "responder" and not THRESHOLD_KINDS[outcome.rule.kind].of_percent
    return "" if by_amount else NO_PERCENTAGE


def _percentage(outcome: "Outcome", before: Floats, after: Floats) -> Floats:
    amount = THRESHOLD_KINDS["percent_change"].amount
    return amount(before, after, outcome.definition.direction)


def _responder(outcome: "Outcome", before: Floats, after: Floats) -> Floats:
    return responds(outcome.rule, before, after, outcome.definition.direction)


KINDS: Mapping[str, OutcomeKind] = MappingProxyType(
    {
        "gain": OutcomeKind(
            "gain",
            "Gain: the score after minus the score before, signed so that positive is better. The "
            "score after is modelled given the score before.",
            "",
            "gaussian",
            True,
            _after,
        ),
        "final_score": OutcomeKind(
            "score after",
            "Final score: the score after, modelled given the score before.",
            "",
            "gaussian",
            True,
            _after,
        ),
        "percentage_change": OutcomeKind(
            "change",
            "Percentage change: the improvement in per cent of the score before, positive when "
            "better. Undefined where the score before is not above 0.",
            "%",
            "gaussian",
            False,
            _percentage,
            _of_percentages,
        ),
        "responder": OutcomeKind(
            "share",
            "Responders: the share of episodes that reach a threshold. Whether an episode does is "
            "modelled given the score before.",
            "share",
            "binomial",
            False,
            _responder,
            _of_percentages,
        ),
        "cost": OutcomeKind(
            "cost",
            "Cost: what the episode cost; less is better. Expectations are above 0, and sum to "
            "what was observed by a factor. Providers are compared by the ratio of their summed "
            "cost to what was expected, on the log scale; chance varies with the cost expected.",
            "",
            "gamma",
            False,
            _after,
            needs=(("score_after", "no cost"),),
            asked=False,
            sides=("cheaper", "dearer"),
        ),
    }
)
"""By the name a study calls them."""


def shown(outcome: "Outcome", target: Floats, before: Floats) -> Floats:
    """Return what is compared, from what is modelled and the score before.

    Examples
    --------
    >>> from riskadj.study.outcomes import Outcome
    >>> ohs = Outcome(name="ohs", instrument="OHS", kind="gain")
    >>> shown(ohs, np.array([40.0]), np.array([18.0]))
    array([22.])
    """
    if outcome.kind != "gain":
        return target
    return outcome.definition.direction * (target - before)
