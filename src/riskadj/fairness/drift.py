"""What changes from period to period: who is treated, by whom, what is recorded, what still holds.

Where results are paid for, whom providers take and what they write down may change before what they
do. So case mix, access of every declared group, calibration of models and coding of comorbidity are
followed, each against the first period of the study. A change is told; its cause is not, as none
of these figures knows it: patients, referrals, records and answers may all have changed.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from riskadj.episodes.mapped import chosen, joined
from riskadj.errors import ArrayError, NoVariationError
from riskadj.expected import Expectations
from riskadj.expected.crossfit import SUPPLIED, never_in_sample
from riskadj.expected.evaluate import KIND_OF, NOT_RECORDED, VOLUME, levels_of
from riskadj.fairness.groupings import (
    Grouping,
    groupings,
    is_adjusted_for,
    published_levels,
    smallest_cells,
)
from riskadj.fairness.intervals import interval_method
from riskadj.profile.flags import cut_of
from riskadj.stats import Z95, Estimate, assess_calibration, mean_by_cluster
from riskadj.stats.period_changes import (
    PeriodChange,
    ProviderChanges,
    period_change,
    provider_changes,
    stability_index,
)
from riskadj.study import Study

CASE_MIX, ACCESS, CALIBRATION, CODING = "case mix", "access", "calibration", "coding"
HARD, WORST = "(hard cases)", "worst fifth expected"
WORST_SHARE = 0.2
TAUGHT = {
    "earlier": "taught by earlier periods",
    "others": "taught by others of the same periods",
    "published": "published; whom by is not known",
}
CODED: Mapping[str, str] = {
    "comorbidities as asked": "comorb_*",
    "Charlson conditions": "charlson_*",
    "Elixhauser conditions": "elixhauser_*",
}
"""What is counted of an episode, by the columns that hold it."""
NOT_CODED = ("comorb_block_answered",)
DRIFT_KEYS = [
    "outcome", "learner", "part", "column", "level", "provider_id", "adjusted_for", "from_period",
    "to_period",
]  # fmt: skip
DRIFT_COLUMNS = [
    *DRIFT_KEYS, "n_from", "n_to", "fewest", "before", "after", "change", "lower95", "upper95",
    "standardised", "stability", "stability_by_chance", "z", "providers", "between", "fell", "rose",
]  # fmt: skip
_TEXTS = ("learner", "level", "provider_id", "adjusted_for")


def follow_drift(expectations: Expectations, study: Study) -> pd.DataFrame:
    """Return what changes from the first period of a study to each later one.

    Parameters
    ----------
    expectations : Expectations
    study : Study

    Returns
    -------
    DataFrame
        The columns of `DRIFT_COLUMNS`; empty where there is one period. `before`, `after`: means or
        shares; `change`, with a 95 % interval that draws providers; `standardised`: the change in
        standard deviations of patients. By `part`:

        `case mix`: the mean of every column, or the share of each level of a text; where `level` is
        empty also `stability`, the population stability index of the column's levels or fifths, and
        `stability_by_chance`, what it would be on average had nothing changed.
        `access`: the share of episodes that are of each level of each declared group, and of
        `(hard cases)`, the fifth of the first period of whom the worst is expected.
        `coding`: the mean number of comorbidities on record.
        Of both also `providers`, those with `FEWEST` episodes in both periods; `between`, the
        standard deviation of their changes beyond chance; `fell` and `rose`, how many changed
        otherwise than all together by more than the outer limits of the study. Rows with a
        `provider_id` are of one provider, with `z`, how far its change is from that of all in
        standard errors, and an interval by chance alone: of `access` those beyond the limits, of
        `coding` all.
        `calibration`: slope, intercept and mean residual (observed - expected, on what is modelled)
        in each period compared, before recalibration; `before` is what they would be if nothing
        had changed, `level` whom the model learned from, `from_period` when. Intervals take the
        model as it is: that it would be another had others taught it is not in them.

        `fewest`: the smallest number of episodes behind a share, for disclosure control.
        Episodes are those that are compared or teach: with a result.

    Raises
    ------
    InSampleError
        When given anything but `Expectations`.
    """
    never_in_sample("follow_drift", expectations)
    rows = [*_calibrations(expectations, study)]
    first, *later = sorted({*study.split.train, *study.split.test})
    for period in later:
        rows += _Pair.of(expectations, study, first, period).rows()
    same = {"outcome": expectations.cohort.outcome.name} | dict.fromkeys(_TEXTS, "")
    return pd.DataFrame([same | one for one in rows]).reindex(columns=DRIFT_COLUMNS)


# --- calibration ----------------------------------------------------------------------------------


def _calibrations(expectations: Expectations, study: Study) -> Iterator[dict[str, Any]]:
    """Yield slope, intercept and mean residual of every learner in each period compared."""
    family = expectations.cohort.outcome.compares.family
    for learner, rows in expectations.by_learner():
        supplied = learner == SUPPLIED and learner not in expectations.models
        taught = "published" if supplied else "earlier" if study.split.out_of_time else "others"
        keys = {
            "learner": learner,
            "part": CALIBRATION,
            "level": TAUGHT[taught],
            "from_period": "" if supplied else ", ".join(study.split.train),
        }
        for period, some in rows.groupby("period", sort=True):
            told = {**keys, "to_period": period, "n_to": len(some)}
            yield from ({**told, **one} for one in _calibration(some, KIND_OF[family]))


def _calibration(rows: pd.DataFrame, kind: str) -> Iterator[dict[str, Any]]:
    observed, expected = (rows[one].to_numpy() for one in ("observed_score", "expected_score_raw"))
    provider = rows["provider_id"].to_numpy()
    figures: dict[str, tuple[float, Estimate]] = {}
    try:
        figures["mean residual"] = 0.0, mean_by_cluster(observed - expected, provider)
        found = assess_calibration(observed, expected, kind, provider)
        figures |= {"slope": (1.0, found.slope), "intercept": (0.0, found.intercept)}
    except (ArrayError, NoVariationError):
        pass
    for name, (ideal, one) in figures.items():
        yield {
            "column": name, "before": ideal, "after": one.value, "change": one.value - ideal,
            "lower95": one.lower - ideal, "upper95": one.upper - ideal,
        }  # fmt: skip


# --- two periods ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Pair:
    """The episodes of two periods of a study."""

    expectations: Expectations
    study: Study
    episodes: pd.DataFrame
    first: str
    last: str

    @classmethod
    def of(cls, expectations: Expectations, study: Study, first: str, last: str) -> "_Pair":
        cohort = expectations.cohort
        parts = [cohort.train, cohort.test] if study.split.out_of_time else [cohort.test]
        some = [chosen(one, one["period"].isin((first, last)).to_numpy()) for one in parts]
        return cls(expectations, study, joined(some), first, last)

    @cached_property
    def later(self) -> NDArray[np.bool_]:
        return np.asarray(self.episodes["period"] == self.last)

    @cached_property
    def providers(self) -> tuple[NDArray[np.intp], pd.Index]:
        """The place of each episode's provider in the order of their names, and these."""
        codes, names = pd.factorize(self.episodes["provider_id"], sort=True)
        return codes, pd.Index(names)

    @property
    def cut(self) -> float:
        return cut_of(self.study.profile.levels[1])

    def rows(self) -> list[dict[str, Any]]:
        """Return the rows of case mix, access and coding; none where a period has no episode."""
        if not self.later.any() or self.later.all():
            return []
        found = [*self._casemix(), *self._access(), *self._coding()]
        return [{"from_period": self.first, "to_period": self.last, **one} for one in found]

    def _casemix(self) -> Iterator[dict[str, Any]]:
        for column in self.expectations.casemix.names:
            keys = {"part": CASE_MIX, "column": column, "level": "", "adjusted_for": "yes"}
            values = self.episodes[column]
            levels = levels_of(values, values[~self.later]).astype("str").fillna(NOT_RECORDED)
            yield {**keys, **self._stability(levels), **self._mean(values)}
            told = sorted(levels.unique()) if not _is_number(values) else [NOT_RECORDED]
            for level in told:
                if (levels == level).any() and levels.nunique() > 1:
                    yield {**keys, "level": level, **self._share((levels == level).to_numpy())}

    def _stability(self, levels: pd.Series) -> dict[str, Any]:
        codes, names = pd.factorize(levels)
        counts = [
            np.bincount(codes[one], minlength=len(names)) for one in (~self.later, self.later)
        ]
        index, chance = stability_index(*counts)
        return {"stability": index, "stability_by_chance": chance}

    def _mean(self, values: pd.Series) -> dict[str, Any]:
        """Return the change of a number where it is recorded; nothing of a text."""
        known = values.notna().to_numpy()
        if not _is_number(values):
            return {}
        told = values.to_numpy(dtype=float)
        only = told[known]
        fewest = {}
        if np.isin(only, (0.0, 1.0)).all():
            fewest = {"fewest": self._fewest(told == 1, known)}
        return _told_of(self._change(only, known)) | fewest

    def _share(self, member: NDArray[np.bool_]) -> dict[str, Any]:
        fewest = self._fewest(member, np.ones(len(member), dtype=bool))
        return _told_of(self._change(member.astype(float))) | {"fewest": fewest}

    def _fewest(self, member: NDArray[np.bool_], known: NDArray[np.bool_]) -> float:
        """Return the smallest number of members, or of others, in a period that has any."""
        counts = [
            int((known & one & when).sum())
            for one in (member, ~member)
            for when in (self.later, ~self.later)
        ]
        return float(min((one for one in counts if one), default=np.nan))

    def _change(
        self, values: NDArray[np.float64], known: NDArray[np.bool_] | None = None
    ) -> PeriodChange | None:
        here, how = slice(None) if known is None else known, interval_method(self.study)
        try:
            return period_change(values, self.later[here], self.providers[0][here], **how)
        except ArrayError:
            return None

    def _access(self) -> Iterator[dict[str, Any]]:
        cohort, casemix = self.expectations.cohort, self.expectations.casemix
        made = [one for one in groupings(self.study, cohort) if one.column != VOLUME]
        cells = self._cells(made)
        for one in made:
            adjusted = "yes" if is_adjusted_for(one, casemix) else "no"
            for level, member in one.members(self.episodes):
                keys = {"part": ACCESS, "column": one.group, "level": level}
                keys |= {"adjusted_for": adjusted}
                fewest = cells.get((one.group, level), np.nan)
                yield from self._followed(keys, member.astype(float), fewest)
        yield from self._hard_cases()

    def _cells(self, made: Sequence[Grouping]) -> Mapping[tuple[str, str], float]:
        """Return the smallest cell of each level of each group, in either period."""
        if not made:
            return {}
        also = published_levels(self.study, self.expectations.casemix)
        asked = {*also, *(one.column for one in made)}
        columns = self.episodes[[one for one in self.episodes if one in asked]]
        parts = [smallest_cells(made, also, columns[when]) for when in (self.later, ~self.later)]
        least = pd.concat(parts).groupby(["group", "level"])["fewest"].min()
        return {key: float(value) for key, value in least.items()}

    def _hard_cases(self) -> Iterator[dict[str, Any]]:
        """Yield access of those of whom the first learner that is taught here expects the worst."""
        learner = next(iter(self.expectations.models), None)
        if learner is None:
            return
        outcome = self.expectations.cohort.outcome
        side = outcome.measured.direction if outcome.compares.of_score else outcome.better
        expected = side * self._expected(learner)
        member = expected <= np.quantile(expected[~self.later], WORST_SHARE)
        keys = {
            "learner": learner, "part": ACCESS, "column": HARD, "level": WORST,
            "adjusted_for": "yes",
        }  # fmt: skip
        fewest = self._fewest(member, np.ones(len(member), dtype=bool))
        yield from self._followed(keys, member.astype(float), fewest)

    def _expected(self, learner: str) -> NDArray[np.float64]:
        """Return what a learner expects of every episode, of those that taught it too."""
        if self.study.split.out_of_time:
            return self.expectations.models[learner].expect_raw(self.episodes)
        rows = self.expectations.table[self.expectations.table["learner"] == learner]
        known = rows.set_index("episode_id")["expected_score_raw"]
        return np.asarray(known.loc[self.episodes["episode_id"]], dtype=float)

    def _coding(self) -> Iterator[dict[str, Any]]:
        cohort = self.expectations.cohort
        for name, pattern in CODED.items():
            columns = [
                one
                for one, declared in cohort.columns.items()
                if fnmatchcase(one, pattern) and declared.kind == "flag" and one not in NOT_CODED
            ]
            there = [one for one in columns if one in self.episodes]
            if there:
                coded = (self.episodes[there] == 1).sum(axis=1).to_numpy(dtype=float)
                keys = {"part": CODING, "column": name, "level": ""}
                yield from self._followed(keys, coded, np.nan)

    def _followed(
        self, keys: Mapping[str, Any], values: NDArray[np.float64], fewest: float
    ) -> Iterator[dict[str, Any]]:
        """Yield the change of all together, then of the providers that are told of."""
        told = _told_of(self._change(values))
        if not told:
            return
        codes, names = self.providers
        found = provider_changes(values, self.later, codes)
        found = replace(found, providers=names[found.providers].to_numpy(dtype=object))
        outside = {"fell": found.z < -self.cut, "rose": found.z > self.cut}
        counts = {name: int(one.sum()) for name, one in outside.items()}
        yield {
            **keys, **told, **counts, "fewest": fewest, "providers": len(found.providers),
            "between": found.between,
        }  # fmt: skip
        every = np.ones(len(found.z), dtype=bool)
        named = every if keys["part"] == CODING else outside["fell"] | outside["rose"]
        is_share = keys["part"] == ACCESS
        yield from ({**keys, **one} for one in _of_providers(found, named, is_share=is_share))


def _is_number(values: pd.Series) -> bool:
    return bool(pd.api.types.is_numeric_dtype(values))


def _told_of(found: PeriodChange | None) -> dict[str, Any]:
    if found is None:
        return {}
    return {
        "n_from": found.n_before,
        "n_to": found.n_after,
        "before": found.before,
        "after": found.after,
        "change": found.change.value,
        "lower95": found.change.lower,
        "upper95": found.change.upper,
        "standardised": found.standardised,
    }


def _of_providers(
    found: ProviderChanges, named: NDArray[np.bool_], *, is_share: bool
) -> Iterator[dict[str, Any]]:
    """Yield a row per provider that is told of, with the smallest number behind its shares."""
    for at in np.flatnonzero(named):
        half = Z95 * found.error[at]
        sizes = found.n_before[at], found.n_after[at]
        means = found.before[at], found.after[at]
        cells = [
            round(n * share)
            for n, mean in zip(sizes, means, strict=True)
            for share in (mean, 1 - mean)
        ]
        least = min((one for one in cells if one), default=0) if is_share else min(sizes)
        yield {
            "provider_id": found.providers[at], "n_from": sizes[0], "n_to": sizes[1],
            "fewest": float(least), "before": means[0], "after": means[1],
            "change": found.change[at], "lower95": found.change[at] - half,
            "upper95": found.change[at] + half, "z": found.z[at],
        }  # fmt: skip
