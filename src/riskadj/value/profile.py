"""Outcome and cost of every provider as a pair, from the expectations of both."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from riskadj.digest import digest_of_frame
from riskadj.errors import (
    NoVariationError,
    StudyError,
    TooFewProvidersError,
    ValuesError,
)
from riskadj.expected import Expectations
from riskadj.expected.crossfit import never_in_sample
from riskadj.profile.providers import held_back, told_once
from riskadj.stats import Z95
from riskadj.stats.joint import JointProfile, joint_profile
from riskadj.study import Study
from riskadj.study.profile import ValueRules
from riskadj.value.classes import NOT_COMPARED, QUARTERS, SIDES, chances_of_sides, classify

_TEXTS = ("outcome", "cost_outcome", "learner", "cost_learner", "provider_id", "class")
CHANCE_COLUMNS = [f"p_{one.name.replace(' ', '_')}" for one in QUARTERS]
KEYS = ["outcome", "cost_outcome", "learner", "cost_learner"]
VALUE_COLUMNS = [
    *KEYS, "provider_id", "n_outcome", "n_cost", "n_both", "outcome_difference", "outcome_ratio",
    "cost_ratio", "outcome_error", "cost_error", "correlation", "shrunken_outcome",
    "shrunken_cost_ratio", "shrunken_outcome_error", "shrunken_cost_error",
    "shrunken_correlation", *CHANCE_COLUMNS, "class",
]  # fmt: skip
SUMMARY_COLUMNS = [
    *KEYS, "n_providers", "n_compared", "sd_outcome", "sd_cost", "correlation",
    "within_correlation", "expected_wrong",
]  # fmt: skip


@dataclass(frozen=True)
class Values:
    """Outcome and cost of providers together; before disclosure control.

    Attributes
    ----------
    table : DataFrame
        A row per pair of learners and provider; `VALUE_COLUMNS`. `outcome_difference`: mean of
        observed - expected, positive when better; `outcome_ratio`: observed / expected, NaN where
        what is expected cannot be told from 0; `cost_ratio`: observed / expected;
        `outcome_error`, `cost_error`, `correlation`: from chance, of the difference and of the
        logarithm of the ratio; `shrunken_...`: the same of the true pair, given what was observed;
        `p_...`: chances of the four quarters; `class`.
    summary : DataFrame
        A row per pair of learners; `SUMMARY_COLUMNS`: standard deviations and correlation of the
        true pairs between providers (of costs on the log scale), the correlation within a
        provider's patients, and how many of the classes given are expected to be wrong.
    warnings : tuple of str
        Which pairs of learners could not be compared, and why.
    digest : str
    """

    table: pd.DataFrame
    summary: pd.DataFrame
    warnings: tuple[str, ...]
    digest: str


def no_values() -> pd.DataFrame:
    """Return the table without a row."""
    return _typed(pd.DataFrame(columns=VALUE_COLUMNS), VALUE_COLUMNS)


def no_summary() -> pd.DataFrame:
    """Return the summary without a row."""
    return _typed(pd.DataFrame(columns=SUMMARY_COLUMNS), SUMMARY_COLUMNS)


def profile_value(outcome: Expectations, cost: Expectations, study: Study) -> Values:
    """Compare providers by an outcome and a cost of the same study at once.

    Learners of the outcome are paired with those of the cost that have their name; one without a
    namesake with the first of the others.

    Parameters
    ----------
    outcome, cost : Expectations
        Of the outcomes that the study's `value` names.
    study : Study

    Raises
    ------
    InSampleError
        When given anything but `Expectations`.
    StudyError
        When the study has no `value`, or expectations are of other outcomes than it names.
    """
    rules = _checked(outcome, cost, study)
    parts = [_part(outcome, cost, one, study, rules) for one in _pairs(outcome, cost)]
    table, summary = no_values(), no_summary()
    if found := [one for one in parts if one.summary]:
        table = pd.concat([one.table for one in found], ignore_index=True)
        summary = _typed(pd.DataFrame([one.summary for one in found]), SUMMARY_COLUMNS)
    return Values(
        table=table,
        summary=summary,
        warnings=told_once({one.name: one.told for one in parts}),
        digest=digest_of_frame(table, outcome.digest, cost.digest, rules.model_dump_json()),
    )


def _checked(outcome: Expectations, cost: Expectations, study: Study) -> ValueRules:
    for one in (outcome, cost):
        never_in_sample("profile_value", one)
    if study.value is None:
        raise StudyError("value: wanted the names of an outcome and a cost; got none. Add them.")
    wanted = (study.value.outcome, study.value.cost)
    got = (outcome.cohort.outcome.name, cost.cohort.outcome.name)
    if wanted != got:
        raise StudyError(
            f"profile_value: wanted expectations of {' and '.join(wanted)}, as the study's value "
            f"says; got {' and '.join(got)}."
        )
    return study.value


def _pairs(outcome: Expectations, cost: Expectations) -> Iterator[tuple[str, str]]:
    """Yield learners of the outcome and of the cost, every one of them at least once."""
    ours, theirs = ([name for name, _ in one.by_learner()] for one in (outcome, cost))
    for name in ours:
        yield name, name if name in theirs else theirs[0]
    for name in theirs:
        if name not in ours:
            yield ours[0], name


class _Part(NamedTuple):
    """What is found of one pair of learners; no summary where they could not be compared."""

    name: str
    table: pd.DataFrame
    summary: dict[str, object]
    told: tuple[str, ...] = ()


def _part(
    outcome: Expectations,
    cost: Expectations,
    learners: tuple[str, str],
    study: Study,
    rules: ValueRules,
) -> _Part:
    keys = dict(zip(KEYS, (rules.outcome, rules.cost, *learners), strict=True))
    name = " with ".join(dict.fromkeys(learners))
    rows, better = _joined(outcome, cost, learners), outcome.cohort.outcome
    try:
        found = joint_profile(
            rows["observed"], rows["expected"], rows["cost_observed"], rows["cost_expected"],
            rows["provider_id"].to_numpy(),
            better=better.better,
            outcome_family=better.compares.family,
            minimum_n=study.profile.minimum_n,
            replicates=rules.replicates,
            seed=study.split.seed,
        )  # fmt: skip
    except (TooFewProvidersError, NoVariationError) as error:
        return _Part(name, pd.DataFrame(), {}, (f"value: {error}",))
    low = held_back(outcome.cohort, study.profile).union(held_back(cost.cohort, study.profile))
    expected = rows.groupby("provider_id")["expected"].mean().reindex(found.providers)
    away = np.abs(expected.to_numpy()) if better.compares.family == "gaussian" else np.inf
    table = _table(found, away, low, rules.level)
    table = _typed(table.assign(**keys), VALUE_COLUMNS)
    return _Part(name, table, keys | _summary(found, table))


def _table(
    found: JointProfile, away: np.ndarray | float, held_back: pd.Index, level: float
) -> pd.DataFrame:
    """Return what is found, `away` being how far from 0 the expected outcome is."""
    told = ~pd.Index(found.providers).isin(held_back)
    chances = np.column_stack([getattr(found, name) for name in CHANCE_COLUMNS])
    chances = np.where(told[:, None], chances, np.nan)
    seen, known = _spread(found.covariance), _spread(found.shrunken_covariance)
    withheld = away < Z95 * seen[0]
    table = pd.DataFrame(
        {
            "provider_id": found.providers,
            "n_outcome": found.n_outcome,
            "n_cost": found.n_cost,
            "n_both": found.n_both,
            "outcome_difference": found.effect[:, 0],
            "outcome_ratio": np.where(withheld, np.nan, found.outcome_ratio),
            "cost_ratio": np.exp(found.effect[:, 1]),
            "outcome_error": seen[0],
            "cost_error": seen[1],
            "correlation": seen[2],
            "shrunken_outcome": found.shrunken[:, 0],
            "shrunken_cost_ratio": np.exp(found.shrunken[:, 1]),
            "shrunken_outcome_error": known[0],
            "shrunken_cost_error": known[1],
            "shrunken_correlation": known[2],
            **dict(zip(CHANCE_COLUMNS, chances.T, strict=True)),
        }
    )
    return table.assign(**{"class": classify(chances, level)})


def _summary(found: JointProfile, table: pd.DataFrame) -> dict[str, object]:
    first, last = np.sqrt(np.diag(found.between))
    return {
        "n_providers": len(table),
        "n_compared": int((table["class"] != NOT_COMPARED).sum()),
        "sd_outcome": first,
        "sd_cost": last,
        "correlation": found.between[0, 1] / (first * last),
        "within_correlation": found.within_correlation,
        "expected_wrong": _expected_wrong(table),
    }


def _joined(outcome: Expectations, cost: Expectations, learners: tuple[str, str]) -> pd.DataFrame:
    """Return a row per episode that has an outcome, a cost or both."""
    keys, figures = ["episode_id", "provider_id"], ["observed", "expected"]
    ours, theirs = (
        one.table.loc[one.table["learner"] == name, [*keys, *figures]]
        for one, name in zip((outcome, cost), learners, strict=True)
    )
    renamed = theirs.rename(columns={one: f"cost_{one}" for one in figures})
    rows = ours.merge(renamed, on=keys, how="outer", sort=True)
    if rows["episode_id"].duplicated().any():
        raise ValuesError(
            "profile_value: wanted outcome and cost of the same episodes; got an episode with two "
            "providers. Take both from the same episodes."
        )
    return rows


def _spread(covariance: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return two standard deviations and the correlation."""
    first, last = np.sqrt(covariance[:, 0, 0]), np.sqrt(covariance[:, 1, 1])
    return first, last, covariance[:, 0, 1] / (first * last)


def _expected_wrong(table: pd.DataFrame) -> float:
    """Return how many of the classes given are expected to be wrong."""
    quarters = table[CHANCE_COLUMNS].to_numpy()
    chances = np.column_stack([quarters, chances_of_sides(quarters)])
    names = np.array([one.name for one in (*QUARTERS, *SIDES)])
    given = table["class"].to_numpy()[:, None] == names
    return float(np.where(given, 1 - chances, 0.0).sum())


def _typed(table: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    kinds = {
        name: "str" if name in _TEXTS else "int64" if name.startswith("n_") else "float64"
        for name in columns
    }
    return table[columns].astype(kinds)
