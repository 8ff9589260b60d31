"""What a study's `fairness` asks for and cannot have: found before anything is learned."""

from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Any

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
from riskadj.fairness.graded import social_coding
from riskadj.fairness.groupings import BASELINE, as_text, made_by
from riskadj.fairness.social import strata_of
from riskadj.study import Study
from riskadj.study.fairness import GroupRule

_NUMBERS = ("number", "whole", "flag")


def fairness_faults(episodes: Episodes, study: Study) -> Iterator[RiskadjError]:
    """Yield what `fairness` names and the episodes cannot be grouped or adjusted by."""
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
    yield from _social_faults(episodes, study)


def fairness_cohort_faults(cohort: Cohort, study: Study) -> Iterator[RiskadjError]:
    """Yield what `fairness` names and the episodes of an outcome are too alike or too unlike in.

    Columns that the episodes lack are passed over, as `fairness_faults` yields them.
    """
    teach = cohort.train if study.split.out_of_time else cohort.test
    social, fair = study.fairness.social, study.fairness.fair
    factors = [one for one in (social.columns if social else ()) if one in teach]
    if factors:
        yield from _raised(strata_of, factors, cohort.test)
    for name in factors:
        yield from _raised(social_coding, [name], teach)
    if fair and study.expects(cohort.outcome, fair.learner):
        yield from _nothing_beside(fair.groups, cohort, study)
    for rule in fair.groups if fair else ():
        made = made_by((rule,), cohort)
        if not any(one.levels(teach).nunique() > 1 for one in made) and _is_there(rule, cohort):
            yield StudyError(
                "fairness.fair.groups: wanted a group with members and others among the episodes "
                f"that teach; got {rule.called!r}, which all or none are in. Leave it out."
            )


def _nothing_beside(
    rules: Sequence[GroupRule], cohort: Cohort, study: Study
) -> Iterator[RiskadjError]:
    """Yield a fault where models that are to know nothing of the groups would know nothing."""
    casemix = {
        name
        for name in cohort.columns
        if any(fnmatchcase(name, pattern) for pattern in study.casemix.columns)
        and cohort.train[name].notna().any()
    }
    if casemix and casemix <= {one.column for one in made_by(rules, cohort)}:
        yield StudyError(
            "fairness.fair.groups: wanted case mix besides the columns of the groups, as blind "
            f"models know of nothing else; got all of it ({', '.join(sorted(casemix))}). Name "
            "other groups, or add case mix."
        )


def _raised(step: Callable[..., Any], *given: Any) -> Iterator[RiskadjError]:
    try:
        step(*given)
    except RiskadjError as why:
        yield why


def _is_there(rule: GroupRule, cohort: Cohort) -> bool:
    """Whether a rule is about anything of an outcome; a cost has no score before."""
    if rule.column == BASELINE:
        return cohort.outcome.measured.before is not None
    return any(fnmatchcase(one, rule.column) for one in cohort.columns)


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
    known = {as_text(one) for one in episodes.table[column.name].dropna().unique()}
    strange = [one for one in map(as_text, rule.values) if one not in known]
    if strange:
        yield ValuesError(
            f"{where}: wanted values of {column.name!r}; got {', '.join(strange)}, which no "
            f"episode has.{did_you_mean(strange[0], known)}"
        )


def _social_faults(episodes: Episodes, study: Study) -> Iterator[RiskadjError]:
    social, where = study.fairness.social, "fairness.social.columns"
    let_in = study.casemix.allow_provider_influenced
    if social is None:
        return
    for name in social.columns:
        if name not in episodes.columns:
            yield UnknownNameError(
                f"{where}: wanted columns of the episodes; got {name!r}."
                f"{did_you_mean(name, episodes.columns)}"
            )
        elif why := refusal(episodes.columns[name], allow_provider_influenced=let_in):
            yield CaseMixError(
                f"{where}: wanted what is known at baseline and is the patient's; got {name!r}: "
                f"{why}. Remove it."
            )
    casemix = {
        name
        for name in episodes.columns
        if any(fnmatchcase(name, pattern) for pattern in study.casemix.columns)
    }
    if casemix and casemix <= set(social.columns):
        yield StudyError(
            f"{where}: wanted case mix besides; got all of it ({', '.join(sorted(casemix))}). "
            "Leave some out, or add case mix."
        )
