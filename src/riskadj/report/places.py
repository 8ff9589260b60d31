"""Where a study's flags say that providers are, in the words and at the levels of its profile."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import NamedTuple

from riskadj.profile.flags import PLACES, FlagLabels, flag_labels, level_names, per_cent
from riskadj.study.profile import ProfileRules

SIDES = ("better", "worse")


class Place(NamedTuple):
    """What one flag says.

    Attributes
    ----------
    flag : str
        Its label, as in the tables.
    words : str
        Where a provider with it is, in a sentence.
    side : int
        1 on the better side of the limits, 0 within them, -1 on the worse side.
    beyond : bool
        Whether it lies beyond the outermost limits that flags tell apart.
    """

    flag: str
    words: str
    side: int
    beyond: bool


class Told(NamedTuple):
    """Whom a report names: those beyond the outermost limits; if nobody is, those outside any.

    Attributes
    ----------
    flags : tuple of str
        Their labels, from best to worst.
    limits : str
        The name of the limits in columns.
    words : str
        Those limits in words.
    rest : str
        Words of the limits that nobody is beyond; empty where somebody is.
    """

    flags: tuple[str, ...]
    limits: str
    words: str
    rest: str = ""

    @property
    def whom(self) -> str:
        """Whom a caption says are named."""
        nobody = f" (nobody is beyond the {self.rest} ones)" if self.rest else ""
        return f"beyond the {self.words} limits{nobody}"


@dataclass(frozen=True)
class Places:
    """The places that a study's flags tell apart, from best to worst.

    Attributes
    ----------
    rules : ProfileRules
    called : tuple of str
        What a provider on the better side is called, and one on the worse.

    Examples
    --------
    >>> rules = ProfileRules(method="nhs_england", minimum_n=30, suppress_below=6)
    >>> [one.words for one in Places(rules).all]
    ['above 99.8 %', 'above 95 %', 'within limits', 'below 95 %', 'below 99.8 %']
    >>> Places(rules.model_copy(update={"labels": "cms"})).outermost
    '95 %'
    >>> [one.words for one in Places(rules, ("cheaper", "dearer")).all][:2]
    ['cheaper beyond 99.8 %', 'cheaper beyond 95 %']
    """

    rules: ProfileRules
    called: tuple[str, str] = SIDES

    @cached_property
    def all(self) -> tuple[Place, ...]:
        """Every place once; only providers that are compared have one."""
        by_flag: dict[str, list[int]] = {}
        for number in PLACES:
            by_flag.setdefault(self._labels.of[number], []).append(number)
        return tuple(self._place(flag, numbers) for flag, numbers in by_flag.items())

    @cached_property
    def flags(self) -> tuple[str, ...]:
        """The labels, from best to worst."""
        return tuple(one.flag for one in self.all)

    @cached_property
    def sides(self) -> dict[str, int]:
        """The side of each label."""
        return {one.flag: one.side for one in self.all}

    @cached_property
    def beyond(self) -> tuple[str, ...]:
        """The labels beyond the outermost limits: better, worse."""
        return tuple(one.flag for one in self.all if one.beyond)

    @cached_property
    def outside(self) -> tuple[str, ...]:
        """The labels outside any limits."""
        return tuple(one.flag for one in self.all if one.side)

    def told_of(self, flags: Iterable[str]) -> Told:
        """Return whom to name among providers with these flags."""
        inner, outer = self.limits[0], self.limits[-1]
        if inner == outer or not set(flags).isdisjoint(self.beyond):
            return Told(self.beyond, outer[0], outer[2])
        return Told(self.outside, inner[0], inner[2], outer[2])

    @property
    def limits(self) -> tuple[tuple[str, float, str], ...]:
        """Of each pair told apart, the inner first: its name in columns, its level, its words."""
        pairs = zip(level_names(self.rules), self.rules.levels, strict=True)
        told = tuple((name, level, f"{per_cent(level)} %") for name, level in pairs)
        return told[: self._steps]

    @property
    def outermost(self) -> str:
        """The words of the outermost limits that flags tell apart."""
        return self.limits[-1][2]

    @property
    def _labels(self) -> FlagLabels:
        return flag_labels(self.rules.labels, self.rules.levels)

    @property
    def _steps(self) -> int:
        return len(set(self._labels.of.values())) // 2

    def _place(self, flag: str, numbers: list[int]) -> Place:
        step, side = min(map(abs, numbers)), (numbers[0] > 0) - (numbers[0] < 0)
        level = f"{per_cent(self.rules.levels[step - 1])} %" if step else ""
        words = _WORDS[self.rules.labels](side, level, self.called)
        return Place(flag, words, side, beyond=step == self._steps)


def _of_limits(side: int, level: str, called: tuple[str, str]) -> str:
    if not side:
        return "within limits"
    if called != SIDES:
        return f"{called[side < 0]} beyond {level}"
    return f"{'above' if side > 0 else 'below'} {level}"


def _of_category(side: int, _level: str, called: tuple[str, str]) -> str:
    return {1: called[0], 0: "no different", -1: called[1]}[side]


_WORDS: Mapping[str, Callable[[int, str, tuple[str, str]], str]] = MappingProxyType(
    {"nhs_england": _of_limits, "cms": _of_category}
)
