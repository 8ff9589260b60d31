"""Who is in which group: the patients that a study declares, level by level."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from riskadj.casemix import CaseMix
from riskadj.casemix.roles import refusal
from riskadj.cohort import Cohort
from riskadj.episodes import Column, Episodes
from riskadj.errors import (
    CaseMixError,
    RiskadjError,
    StudyError,
    UnknownNameError,
    ValuesError,
    did_you_mean,
)
from riskadj.expected.evaluate import NOT_RECORDED, VOLUME, levels_of, volume_thirds
from riskadj.study import Study
from riskadj.study.records import GroupRule

BASELINE = "baseline_score"
"""Stands for the score before of each outcome, as a column to group by."""
OTHERS = "others"
_NUMBERS = ("number", "whole", "flag")
_FIRST_NUMBER = re.compile(r"^-?\d+(?:\.\d+)?")

Levels = Callable[[pd.DataFrame], pd.Series]
"""From episodes to the level of each."""


@dataclass(frozen=True)
class Grouping:
    """One way to put patients into groups.

    Attributes
    ----------
    group : str
        What it is called.
    column : str
        Of the episodes; `VOLUME` for what is none of theirs.
    levels : callable
        From episodes to the level of each, none missing.
    order : tuple of str
        Of the levels, where it is not that of their numbers and letters.
    """

    group: str
    column: str
    levels: Levels
    order: tuple[str, ...] = ()

    def members(self, episodes: pd.DataFrame) -> Iterator[tuple[str, NDArray[np.bool_]]]:
        """Yield each level with who has it, in the order that people expect."""
        codes, names = pd.factorize(self.levels(episodes))
        for at in sorted(range(len(names)), key=lambda one: self._place(names[one])):
            yield str(names[at]), codes == at

    def _place(self, level: str) -> tuple[bool, float, str]:
        if level in self.order:
            return False, self.order.index(level), ""
        number = _FIRST_NUMBER.match(level)
        last = level == NOT_RECORDED
        return last or not number, float(number.group()) if number else float(last), level


def groupings(study: Study, cohort: Cohort) -> tuple[Grouping, ...]:
    """Return the groups to audit: those declared, or those of the subgroup table.

    Fifths are those of the episodes compared, whichever episodes are put into them.

    Examples
    --------
    >>> [one.group for one in groupings(study, cohort)]  # doctest: +SKIP
    ['sex', 'deprivation_decile', '(provider volume)']
    """
    rules = study.fairness.groups
    if rules:
        return tuple(_made(rules, cohort))
    named = tuple(GroupRule(column=one) for one in study.report.subgroups)
    return (*_made(named, cohort), _by_volume())


def published_levels(study: Study, casemix: CaseMix) -> tuple[str, ...]:
    """Return the columns whose levels other tables of a run count: subgroups, and case mix."""
    texts = (one.name for one in casemix.columns if one.kind == "text")
    return tuple(dict.fromkeys((*study.report.subgroups, *texts)))


def smallest_cells(
    made: Sequence[Grouping], also: Sequence[str], episodes: pd.DataFrame
) -> pd.DataFrame:
    """Return the fewest episodes that any two groups of the same column can be told apart by.

    Someone who knows how many are under 60 and how many under 61 knows how many are 60. So the
    levels of a group are cut by those of every other group of its column, and by those that other
    tables count; of every level the smallest part is returned.

    Parameters
    ----------
    made : sequence of Grouping
    also : sequence of str
        Columns whose levels are counted elsewhere, as from `published_levels`.
    episodes : DataFrame
        Of the cohort.

    Returns
    -------
    DataFrame
        `group, level, n, fewest`.
    """
    plain = [
        Grouping(f"(levels of {one})", one, _plain(one, episodes))
        for one in also
        if one in episodes
    ]
    parts = []
    for one in made:
        same = [other for other in (*made, *plain) if other.column == one.column]
        cut = pd.DataFrame({other.group: other.levels(episodes) for other in same})
        sizes = cut.value_counts(sort=False).rename("fewest").reset_index()
        by_level = sizes.groupby(one.group)["fewest"].agg(n="sum", fewest="min")
        parts.append(by_level.rename_axis("level").reset_index().assign(group=one.group))
    return pd.concat(parts, ignore_index=True)[["group", "level", "n", "fewest"]]


def is_adjusted_for(one: Grouping, casemix: CaseMix) -> bool:
    """Whether the column of a group is among the case mix."""
    return one.column in casemix.names


def group_faults(episodes: Episodes, study: Study) -> Iterator[RiskadjError]:
    """Yield what a study declares as a group and the episodes cannot be grouped by."""
    fair = study.fairness.fair
    declared = [("fairness.groups", one) for one in study.fairness.groups]
    declared += [("fairness.fair.groups", one) for one in (fair.groups if fair else ())]
    for where, rule in declared:
        matched = [one for one in episodes.columns if fnmatchcase(one, rule.column)]
        if not matched and rule.column != BASELINE:
            yield UnknownNameError(
                f"{where}: wanted columns of the episodes, or {BASELINE}; got {rule.column!r}."
                f"{did_you_mean(rule.column, episodes.columns)}"
            )
        for name in matched:
            yield from _column_faults(where, rule, episodes.columns[name], study)
            yield from _value_faults(where, rule, episodes.columns[name], episodes)


def _column_faults(
    where: str, rule: GroupRule, column: Column, study: Study
) -> Iterator[RiskadjError]:
    coded = column.name in study.casemix.coded_at_discharge
    why = refusal(column, allow_provider_influenced=True, coded_at_discharge=coded)
    if why:
        yield CaseMixError(
            f"{where}: wanted groups of patients that are known at baseline; got "
            f"{column.name!r}: {why}. Remove it."
        )
    of_numbers = rule.below is not None or rule.above is not None or rule.bands
    if of_numbers and column.kind not in _NUMBERS:
        yield StudyError(
            f"{where}: wanted numbers to cut at; got {column.name!r}, which is {column.kind}. "
            "Name its values instead."
        )


def _value_faults(
    where: str, rule: GroupRule, column: Column, episodes: Episodes
) -> Iterator[RiskadjError]:
    if not rule.values:
        return
    known = {_as_text(one) for one in episodes.table[column.name].dropna().unique()}
    strange = [one for one in map(_as_text, rule.values) if one not in known]
    if strange:
        yield ValuesError(
            f"{where}: wanted values of {column.name!r}; got {', '.join(strange)}, which no "
            f"episode has.{did_you_mean(strange[0], known)}"
        )


# --- how levels come about ------------------------------------------------------------------------


def _made(rules: Sequence[GroupRule], cohort: Cohort) -> Iterator[Grouping]:
    """Yield the groups of each rule; columns that the cohort lacks, or has no value of, do not."""
    seen: set[str] = set()
    for rule in rules:
        for name in _names(rule, cohort):
            there = name in cohort.test and cohort.test[name].notna().any()
            called = rule.called if rule.column == BASELINE else rule.name or name
            if there and called not in seen:
                seen.add(called)
                yield _grouping(called, name, rule, cohort)


def _names(rule: GroupRule, cohort: Cohort) -> list[str]:
    """Return the columns that a rule is about; a cost has no score before."""
    if rule.column == BASELINE:
        return [one] if (one := cohort.outcome.measured.before) else []
    return [one for one in cohort.columns if fnmatchcase(one, rule.column)]


def _grouping(called: str, name: str, rule: GroupRule, cohort: Cohort) -> Grouping:
    way = next((one for one in _WAYS if getattr(rule, one) not in (None, ())), "")
    if not way:
        return Grouping(called, name, _plain(name, cohort.test))
    order, place = _WAYS[way](rule)

    def levels(episodes: pd.DataFrame) -> pd.Series:
        values = episodes[name]
        labels = np.array(order, dtype=object)[place(values)]
        return pd.Series(labels, values.index).where(values.notna(), NOT_RECORDED)

    return Grouping(called, name, levels, order)


def _plain(name: str, like: pd.DataFrame) -> Levels:
    return lambda episodes: levels_of(episodes[name], like[name]).astype("str").fillna(NOT_RECORDED)


def _by_volume() -> Grouping:
    def levels(episodes: pd.DataFrame) -> pd.Series:
        return pd.Series(volume_thirds(episodes["provider_id"]), episodes.index)

    return Grouping(VOLUME, VOLUME, levels, ("small", "middle", "large"))


Cut = tuple[tuple[str, ...], Callable[[pd.Series], "np.ndarray"]]
"""The levels in order, and from values to the place of each among them."""


def _below(rule: GroupRule) -> Cut:
    order = (f"below {rule.below:g}", f"{rule.below:g} or more")
    return order, lambda values: (values >= rule.below).to_numpy(dtype=int)


def _above(rule: GroupRule) -> Cut:
    order = (f"{rule.above:g} or less", f"above {rule.above:g}")
    return order, lambda values: (values > rule.above).to_numpy(dtype=int)


def _bands(rule: GroupRule) -> Cut:
    first, last = rule.bands[0], rule.bands[-1]
    inner = (
        f"{low:g} to under {high:g}"
        for low, high in zip(rule.bands[:-1], rule.bands[1:], strict=True)
    )
    order = (f"under {first:g}", *inner, f"{last:g} or more")
    return order, lambda values: np.searchsorted(rule.bands, values.fillna(first), side="right")


def _values(rule: GroupRule) -> Cut:
    named = [_as_text(one) for one in rule.values]
    order = (", ".join(named), OTHERS)
    return order, lambda values: (~values.map(_as_text).isin(named)).to_numpy(dtype=int)


_WAYS: Mapping[str, Callable[[GroupRule], Cut]] = {
    "below": _below,
    "above": _above,
    "bands": _bands,
    "values": _values,
}
"""By what a rule says."""


def _as_text(value: object) -> str:
    """Return a value as its level is called, numbers without needless zeros.

    Examples
    --------
    >>> _as_text(1.0), _as_text("1"), _as_text("alone")
    ('1', '1', 'alone')
    """
    return f"{value:g}" if isinstance(value, (int, float)) else str(value)
