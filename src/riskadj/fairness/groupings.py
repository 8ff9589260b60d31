"""Who is in which group: the patients that a study declares, level by level."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from riskadj.casemix import CaseMix
from riskadj.cohort import Cohort
from riskadj.expected.evaluate import NOT_RECORDED, VOLUME, levels_of, volume_thirds
from riskadj.study import Study
from riskadj.study.fairness import GroupRule

BASELINE = "baseline_score"
"""Stands for the score before of each outcome, as a column to group by."""
OTHERS = "others"
USUAL = (
    ("age_years", "age_band_10y", "age_group"),
    ("sex",),
    ("deprivation_decile",),
    ("ethnicity",),
    ("race",),
    ("insurance",),
    (BASELINE,),
)
"""Groups that are audited where a study declares none; of several columns the first there is."""
COMORBIDITIES = ("comorb_*", "charlson_*", "elixhauser_*")
RARE = 0.05
"""Share of episodes below which a comorbidity is rare."""
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
    """Return the groups to audit: those declared, or else those of subgroups and the usual ones.

    The usual ones, where the episodes hold them: age, sex, deprivation, ethnicity, payer, score
    before, comorbidities that few patients have, and thirds of providers by volume.
    Fifths are those of the episodes compared, whichever episodes are put into them.

    Examples
    --------
    >>> [one.group for one in groupings(study, cohort)]  # doctest: +SKIP
    ['sex', 'deprivation_decile', '(provider volume)']
    """
    rules = study.fairness.groups
    if rules:
        return tuple(made_by(rules, cohort))
    names = (*study.report.subgroups, *_usual(study.report.subgroups, cohort))
    return (*made_by([GroupRule(column=one) for one in names], cohort), _by_volume())


def _usual(named: Sequence[str], cohort: Cohort) -> Iterator[str]:
    """Yield columns that anybody would ask about, one of each kind, and rare comorbidities."""
    there = [*cohort.columns, BASELINE]
    for alike in USUAL:
        if not set(alike) & set(named):
            yield from [one for one in alike if one in there][:1]
    ill = ([one for one in there if fnmatchcase(one, pattern)] for pattern in COMORBIDITIES)
    for name in next((some for some in ill if some), []):
        if name not in named and 0 < (cohort.test[name] == 1).mean() < RARE:
            yield name


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


# --- how levels come about ------------------------------------------------------------------------


def made_by(rules: Sequence[GroupRule], cohort: Cohort) -> Iterator[Grouping]:
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
    named = [as_text(one) for one in rule.values]
    order = (", ".join(named), OTHERS)
    return order, lambda values: (~values.map(as_text).isin(named)).to_numpy(dtype=int)


_WAYS: Mapping[str, Callable[[GroupRule], Cut]] = {
    "below": _below,
    "above": _above,
    "bands": _bands,
    "values": _values,
}
"""By what a rule says."""


def as_text(value: object) -> str:
    """Return a value as its level is called, numbers without needless zeros.

    Examples
    --------
    >>> as_text(1.0), as_text("1"), as_text("alone")
    ('1', '1', 'alone')
    """
    return f"{value:g}" if isinstance(value, (int, float)) else str(value)
