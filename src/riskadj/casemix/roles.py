"""The guard: case mix holds what is known at baseline and belongs to the patient, nothing else."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

import pandas as pd

from riskadj.cohort import Cohort
from riskadj.episodes import Column
from riskadj.errors import (
    CaseMixError,
    RiskadjError,
    UnknownNameError,
    did_you_mean,
    raise_all,
)
from riskadj.study import Study
from riskadj.study.cohort import CaseMixRules

_REFUSED_ROLES = {
    "identifier": "it says who was treated or by whom, so adjusting for it would adjust the "
    "difference between providers away",
    "reference": "it is another model's expectation, not a property of the patient",
}
_UNDECLARED = " riskadj columns lists the known ones; declare others under data.columns."
_LET_IN = " (casemix.coded_at_discharge would let it in by name)"
_WHEN = {"baseline": "before it", "after": "after it"}
_KNOWN_AT = {"during": "only during the episode", "after": "only after the episode"}


@dataclass(frozen=True)
class CaseMix:
    """What the episodes of one outcome are adjusted for.

    Attributes
    ----------
    cohort : Cohort
    columns : tuple of Column
        In the order of the episode table; all known at baseline, but those that the study lets in
        as coded at discharge.
    """

    cohort: Cohort
    columns: tuple[Column, ...]

    @property
    def names(self) -> list[str]:
        """Names of the columns."""
        return [one.name for one in self.columns]

    @property
    def train(self) -> pd.DataFrame:
        """Case mix of the episodes that teach, of shape (n_train, n_columns)."""
        return self.cohort.train[self.names]

    @property
    def test(self) -> pd.DataFrame:
        """Case mix of the episodes compared, of shape (n_test, n_columns)."""
        return self.cohort.test[self.names]


def choose_casemix(cohort: Cohort, study: Study) -> CaseMix:
    """Return the case mix that a study asks for, or say why it may not.

    Raises
    ------
    UnknownNameError
        When a name or pattern matches no column of the episodes.
    CaseMixError
        When a column is known too late, or is not the patient's.
    """
    raise_all(casemix_faults(cohort.columns, study))
    wanted = {
        name
        for pattern in study.casemix.columns
        for name in cohort.columns
        if fnmatchcase(name, pattern)
    }
    recorded = [
        one
        for name, one in cohort.columns.items()
        if name in wanted and cohort.train[name].notna().any()
    ]
    if not recorded:
        raise CaseMixError("casemix.columns: wanted a column with values in train; got none.")
    return CaseMix(cohort, tuple(recorded))


def casemix_faults(columns: Mapping[str, Column], study: Study) -> Iterator[RiskadjError]:
    """Yield what a study asks to adjust for, or to report by, and may not or does not exist."""
    yield from _subgroup_faults(columns, study)
    yield from _peer_group_faults(columns, study)
    yield from _discharge_faults(columns, study)
    refused: set[str] = set()
    for pattern in study.casemix.columns:
        matched = [name for name in columns if fnmatchcase(name, pattern)]
        if not matched:
            yield UnknownNameError(
                f"casemix.columns: wanted columns of the episodes; got {pattern!r}, which matches "
                f"none.{did_you_mean(pattern, columns) or _UNDECLARED}"
            )
        for name in matched:
            why = refusal_by(study.casemix, columns[name])
            if why and name not in refused:
                refused.add(name)
                yield CaseMixError(
                    "casemix.columns: wanted what is known at baseline and is the patient's; got "
                    f"{name!r}: {why}. Remove it."
                )


def _subgroup_faults(columns: Mapping[str, Column], study: Study) -> Iterator[RiskadjError]:
    for name in study.report.subgroups:
        if name not in columns:
            yield UnknownNameError(
                f"report.subgroups: wanted columns of the episodes; got {name!r}."
                f"{did_you_mean(name, columns)}"
            )
            continue
        why = refusal(columns[name], allow_provider_influenced=True)
        if why:
            yield CaseMixError(
                "report.subgroups: wanted groups of patients that are known at baseline; got "
                f"{name!r}: {why}. Remove it."
            )


def _peer_group_faults(columns: Mapping[str, Column], study: Study) -> Iterator[RiskadjError]:
    name = study.profile.peer_group
    if name is None:
        return
    if name not in columns:
        yield UnknownNameError(
            f"profile.peer_group: wanted a column of the episodes; got {name!r}."
            f"{did_you_mean(name, columns)}"
        )
        return
    why = refusal(columns[name], allow_provider_influenced=True)
    if why:
        yield CaseMixError(
            "profile.peer_group: wanted what providers can be alike in before they treat; got "
            f"{name!r}: {why}. Choose another column."
        )


def _discharge_faults(columns: Mapping[str, Column], study: Study) -> Iterator[RiskadjError]:
    for name in study.casemix.coded_at_discharge:
        if name not in columns:
            yield UnknownNameError(
                f"casemix.coded_at_discharge: wanted columns of the episodes; got {name!r}."
                f"{did_you_mean(name, columns)}"
            )
        elif columns[name].known_at != "during":
            yield CaseMixError(
                "casemix.coded_at_discharge: wanted columns that are known during the episode; got "
                f"{name!r}, known {_WHEN[columns[name].known_at]}. Remove it."
            )


def refusal_by(rules: CaseMixRules, column: Column) -> str:
    """Return why a column may not be the case mix of a study, or nothing when it may."""
    coded = column.name in rules.coded_at_discharge
    why = refusal(
        column,
        allow_provider_influenced=rules.allow_provider_influenced,
        coded_at_discharge=coded,
    )
    return f"{why}{_LET_IN}" if why and column.known_at == "during" and not coded else why


def refusal(
    column: Column, *, allow_provider_influenced: bool = False, coded_at_discharge: bool = False
) -> str:
    """Return why a column may not be case mix, or nothing when it may.

    Parameters
    ----------
    column : Column
    allow_provider_influenced, coded_at_discharge : bool
        Whether the study lets in such columns, and this one as coded at discharge.

    Examples
    --------
    >>> from riskadj.episodes import COLUMNS
    >>> refusal(COLUMNS["q1_score_ohs"])
    ''
    >>> refusal(COLUMNS["q2_score_ohs"])
    'it is known only after the episode'
    """
    late = column.known_at == "after" or (column.known_at == "during" and not coded_at_discharge)
    if late:
        return f"it is known {_KNOWN_AT[column.known_at]}"
    if column.role == "provider_influenced" and not allow_provider_influenced:
        return (
            "the provider influences it (casemix.allow_provider_influenced: true would let it in)"
        )
    if column.kind == "date":
        return "it is a date; declare the number that matters, such as a duration"
    return _REFUSED_ROLES.get(column.role, "")
