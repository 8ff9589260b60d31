"""One outcome under every declared analysis: whose flag holds, and which choice moves it."""

from dataclasses import dataclass
from functools import cached_property
from typing import get_args

import pandas as pd

from riskadj.profile.sensitivity import CHOICES
from riskadj.report.findings import Findings
from riskadj.report.lookup import called, learner_names, once, rows_of
from riskadj.report.subject import WithPlaces
from riskadj.study import Outcome
from riskadj.study.profile import Limits, Method, ProfileRules

MOST_SHOWN = 40
"""Providers in one figure."""


@dataclass(frozen=True)
class Contest(WithPlaces):
    """The flags of one outcome, a row per provider compared and a column per analysis.

    Attributes
    ----------
    outcome : Outcome
    called : str
        What a sentence calls it.
    rules : ProfileRules
    flags : DataFrame
        By `provider_id`; columns are `learner, method, limits`, grouped by learner and limits.
        Providers from best to worst mean z.
    """

    outcome: Outcome
    called: str
    rules: ProfileRules
    flags: pd.DataFrame

    @property
    def learner(self) -> str:
        """No single one: all learners are in it."""
        return ""

    @property
    def title(self) -> str:
        """What its learners are called in a caption."""
        return "every learner"

    @property
    def analyses(self) -> list[tuple[str, str, str]]:
        """Learner, method and limits of every analysis."""
        return list(self.flags.columns)

    @property
    def own(self) -> list[tuple[str, str, str]]:
        """The analyses by the study's own method and limits, one per learner."""
        mine = (self.rules.method, self.rules.limits)
        return [one for one in self.analyses if one[1:] == mine]

    @cached_property
    def agreeing(self) -> "pd.Series[int]":
        """Of each provider, how many analyses give the flag that most of them give."""
        return pd.DataFrame(
            {flag: (self.flags == flag).sum(axis=1) for flag in self.told.flags}
        ).max(axis=1)

    @property
    def firm(self) -> "pd.Series[bool]":
        """Whether each provider has one flag under every analysis."""
        return self.agreeing == self.flags.notna().sum(axis=1)

    @property
    def one_sided(self) -> "pd.Series[bool]":
        """Whether each provider is on one side under every analysis: better, inside or worse."""
        sides = self.flags.apply(lambda column: column.map(self.told.sides))
        return sides.nunique(axis=1) == 1

    @property
    def flagged_by_own(self) -> "pd.Series[bool]":
        """Whether the study's own method and limits put each provider outside, by any learner."""
        return self.flags[self.own].isin(self.told.outside).any(axis=1)

    @property
    def flagged(self) -> "pd.Series[bool]":
        """Whether each provider is outside limits under any analysis."""
        return self.flags.isin(self.told.outside).any(axis=1)

    def most_contested(self) -> pd.DataFrame:
        """Return the flags of those flagged under any analysis, most contested first."""
        share = (self.agreeing / self.flags.notna().sum(axis=1))[self.flagged]
        return self.flags.loc[share.sort_values(kind="stable").index[:MOST_SHOWN]]

    def options(self, choice: str) -> list[str]:
        """Return the options of a choice that the analyses have, in their order."""
        place = CHOICES.index(choice)
        return list(dict.fromkeys(one[place] for one in self.analyses))

    def moved(self, choice: str, option: str) -> list[int | None]:
        """Return how many providers another option moves, all else equal, by learner of `own`.

        None where the option is the study's own, or no analysis has it.
        """
        place = CHOICES.index(choice)
        counts: list[int | None] = []
        for one in self.own:
            other = (*one[:place], option, *one[place + 1 :])
            known = other != one and other in self.flags
            counts.append(self._differing(one, other) if known else None)
        return counts

    def _differing(self, one: tuple[str, ...], other: tuple[str, ...]) -> int:
        both = self.flags[[one, other]].dropna()
        return int((both[one] != both[other]).sum())


@once
def contest(findings: Findings, outcome: Outcome) -> Contest:
    """Return the flags of an outcome under every declared analysis."""
    rows = rows_of(findings.analyses, outcome=outcome.name)
    wide = rows.pivot(index="provider_id", columns=list(CHOICES), values="flag").astype(object)
    middle = rows.groupby("provider_id")["z"].mean()
    order = sorted(wide.index, key=lambda name: (-middle[name], name))
    learners, limits, methods = learner_names(findings), get_args(Limits), get_args(Method)
    columns = sorted(
        wide.columns,
        key=lambda one: (learners.index(one[0]), limits.index(one[2]), methods.index(one[1])),
    )
    flags, rules = wide.loc[order, columns], findings.study.profile
    return Contest(outcome, called(findings, outcome), rules, flags)
