"""What an outcome compares: the kinds that a study can choose, as data.

A kind says what is modelled, the target, and what is shown of it. A gain is modelled as the score
after, given the score before, and shown as the improvement; the others are modelled as they are
shown.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from riskadj.instruments.thresholds import KINDS as THRESHOLD_KINDS
from riskadj.instruments.thresholds import responds

if TYPE_CHECKING:
    from riskadj.study.records import Outcome

Floats = NDArray[np.float64]
Family = Literal["gaussian", "binomial"]
LINK_OF: Mapping[str, str] = MappingProxyType({"gaussian": "identity", "binomial": "logit"})
"""On whose scale expectations are recalibrated and explained, and effects fitted, by family."""


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
    family : {"gaussian", "binomial"}
        How the target varies about its expectation.
    of_score : bool
        Whether the score after is the target.
    target : callable
        From outcome, score before and score after to what is modelled; NaN where undefined.
    undefined : str
        Why it can be undefined where both scores are there, for the flow.
    """

    noun: str
    words: str
    unit: str
    family: Family
    of_score: bool
    target: Callable[["Outcome", Floats, Floats], Floats]
    undefined: str = ""


def _after(_: "Outcome", __: Floats, after: Floats) -> Floats:
    return after


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
            "a score before of 0: no percentage of it",
        ),
        "responder": OutcomeKind(
            "share",
            "Responders: the share of episodes that reach a threshold. Whether an episode does is "
            "modelled given the score before.",
            "share",
            "binomial",
            False,
            _responder,
            "a score before of 0: no percentage of it",
        ),
    }
)
"""By the name a study calls them."""


def shown(outcome: "Outcome", target: Floats, before: Floats) -> Floats:
    """Return what is compared, from what is modelled and the score before.

    Examples
    --------
    >>> from riskadj.study.records import Outcome
    >>> ohs = Outcome(name="ohs", instrument="OHS", kind="gain")
    >>> shown(ohs, np.array([40.0]), np.array([18.0]))
    array([22.])
    """
    if outcome.kind != "gain":
        return target
    return outcome.definition.direction * (target - before)
