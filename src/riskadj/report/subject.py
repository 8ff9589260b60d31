"""What those things have in common that a figure or a section is about."""

from functools import cached_property

from riskadj.report.places import Places
from riskadj.report.words import learner_title
from riskadj.study import Outcome
from riskadj.study.profile import ProfileRules


class OfLearner:
    """Something under one learner."""

    learner: str

    @property
    def title(self) -> str:
        """What the learner is called in a sentence."""
        return learner_title(self.learner)


class WithPlaces:
    """Something with the flags of one outcome."""

    outcome: Outcome
    rules: ProfileRules

    @cached_property
    def told(self) -> Places:
        """The places that flags tell apart."""
        return Places(self.rules, self.outcome.compares.sides)
