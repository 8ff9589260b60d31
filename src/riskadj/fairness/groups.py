"""Whether expectations are right for every group of patients, and who treats those they are not.

What is expected of a group may be too little or too much, even when it is right for everybody on
average. Whoever treats many of them then seems better or worse than they are. Figures are on what
is compared, held out; on the episodes that models learned from they are a diagnostic, which tells
what a model could not fit from what it could not foresee, and never reach a profile.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from riskadj.cohort.rates import ALL
from riskadj.expected import Expectations, recalibration
from riskadj.expected.crossfit import SUPPLIED, never_in_sample
from riskadj.expected.evaluate import KIND_OF, unless_impossible
from riskadj.expected.model import moved
from riskadj.fairness.groupings import (
    Grouping,
    groupings,
    is_adjusted_for,
    published_levels,
    smallest_cells,
)
from riskadj.fairness.intervals import interval_method
from riskadj.profile import Profiles, flag_labels
from riskadj.stats import Estimate, assess_calibration, mean_by_cluster
from riskadj.stats.group_audit import difference_within, share_against_all
from riskadj.stats.predictive_ratios import net_compensation, predictive_ratio
from riskadj.study import Study
from riskadj.study.kinds import LINK_OF, shown

HELD_OUT, IN_SAMPLE = "held out", "in sample"
NOT_KNOWN = "not known"
FAR_FROM_0 = 3.0
"""Standard errors that a mean observed result is from 0, or nothing is divided by it."""
_ENDS = ("", "_lower95", "_upper95")
_ESTIMATES = (
    "mean_residual", "predictive_ratio", "net_compensation", "within_providers", "slope",
    "intercept",
)  # fmt: skip
_SHARES = ("at_better", "at_worse")
GROUP_KEYS = ["outcome", "learner", "fold", "group", "column", "level", "adjusted_for"]
GROUP_COLUMNS = [
    *GROUP_KEYS, "n", "fewest", "providers", "observed", "expected",
    *(f"{figure}{end}" for figure in _ESTIMATES for end in _ENDS),
    *(name for share in _SHARES for name in (share, *(f"{share}_above_all{end}" for end in _ENDS))),
    "come_out",
]  # fmt: skip


def audit_groups(expectations: Expectations, profiles: Profiles, study: Study) -> pd.DataFrame:
    """Return what is expected of every declared group against what was observed.

    Parameters
    ----------
    expectations : Expectations
    profiles : Profiles
        Of these expectations.
    study : Study

    Returns
    -------
    DataFrame
        The columns of `GROUP_COLUMNS`, a row per learner, fold, group and level, `(all)` first.
        `fold`: `held out`, or `in sample` where models are asked about episodes that taught them.
        `adjusted_for`: whether the column is case mix; `not known` of a supplied expectation.
        `fewest`: as in `smallest_cells`, for disclosure control.
        `observed`, `expected`: means of what is compared. `mean_residual`: of observed - expected.
        `predictive_ratio`: summed expected over summed observed; NaN where a mean that can be
        negative is within `FAR_FROM_0` standard errors of 0. `net_compensation`: mean of
        expected - observed, as payers have it; below 0 less is expected of the group than it has,
        or it is paid less than it costs. `within_providers`: how far the mean residual is from that
        of others of the same provider, so that which providers treat the group is out of it.
        `slope`, `intercept`: of calibration, on what is modelled.
        `at_better`, `at_worse`: share of the group's episodes at providers flagged on either side;
        `..._above_all`: how much more than of everybody; NaN in sample, and where none or all are.
        `come_out`: how providers that treat the group come out for it alone, `better` or `worse`,
        where the interval of the mean residual leaves out 0; else empty.
        Intervals of 95 % draw providers; NaN where fewer than 2 have members, where nothing
        varies, or where risks separate events.

    Raises
    ------
    InSampleError
        When given anything but `Expectations`.

    Notes
    -----
    Predictive ratio and net compensation as in fair regression of payments (Zink and Rose 2020,
    Biometrics 76:973-982). Fifths of numbers, levels and calibration are those of `evaluate`.
    """
    never_in_sample("audit_groups", expectations)
    cohort = expectations.cohort
    made = groupings(study, cohort)
    parts = [
        one.table(made, published_levels(study, expectations.casemix))
        for learner, rows in expectations.by_learner()
        for one in _samples(learner, rows, expectations, profiles, study)
    ]
    table = pd.concat(parts, ignore_index=True)
    return table.assign(outcome=cohort.outcome.name)[GROUP_COLUMNS]


def in_sample(expectations: Expectations, learner: str, study: Study) -> pd.DataFrame | None:
    """Return a learner's expectations for the episodes that it learned from: a diagnostic only.

    Out of time they are the episodes of the periods that teach; out of fold those compared, each
    expected by the mean of the models that learned from it. Recalibrated to these same episodes.

    Parameters
    ----------
    expectations : Expectations
    learner : str
    study : Study

    Returns
    -------
    DataFrame or None
        `provider_id, observed_score, expected_score, observed, expected` and the cohort's columns;
        None of a supplied expectation.
    """
    model = expectations.models.get(learner)
    if model is None:
        return None
    cohort, link = expectations.cohort, LINK_OF[expectations.cohort.outcome.compares.family]
    if study.split.out_of_time:
        episodes, raw = cohort.train, model.expect_raw(cohort.train)
    else:
        rows = expectations.table[expectations.table["learner"] == learner]
        own, members = rows["fold"].to_numpy(), len(model.members)
        others = ((own + step) % members for step in range(1, members))
        episodes = cohort.test
        raw = np.mean([model.expect_raw(episodes, fold) for fold in others], axis=0)
    target = episodes["observed_score"].to_numpy(dtype=float)
    before = episodes["baseline_score"].to_numpy(dtype=float)
    intercept, slope = recalibration(target, raw, study.recalibration.method, link)
    expected = moved(raw, intercept, slope, link)
    return episodes.assign(
        expected_score=expected,
        observed=shown(cohort.outcome, target, before),
        expected=shown(cohort.outcome, expected, before),
    )


def _samples(
    learner: str, rows: pd.DataFrame, expectations: Expectations, profiles: Profiles, study: Study
) -> Iterator["_Sample"]:
    """Yield the episodes to audit a learner on: held out, and those it learned from."""
    extra = ["expected_score", "observed", "expected"]
    test = expectations.cohort.test.assign(**{one: rows[one].to_numpy() for one in extra})
    sides = _sides(profiles, learner, study)
    yield _Sample(learner, HELD_OUT, test, expectations, study, sides)
    learned = in_sample(expectations, learner, study) if study.fairness.in_sample else None
    if learned is not None:
        yield _Sample(learner, IN_SAMPLE, learned, expectations, study)


def _sides(profiles: Profiles, learner: str, study: Study) -> "pd.Series[int]":
    """Return the side of each provider's flag: 1 better, -1 worse, 0 neither or no flag."""
    labels = flag_labels(study.profile.labels, study.profile.levels)
    side = {label: (place > 0) - (place < 0) for place, label in labels.of.items()}
    mine = profiles.table[profiles.table["learner"] == learner].set_index("provider_id")["flag"]
    return mine.map(side).fillna(0).astype(int)


@dataclass(frozen=True)
class _Sample:
    """Episodes with what is expected of them, to be audited by group."""

    learner: str
    fold: str
    episodes: pd.DataFrame
    expectations: Expectations
    study: Study
    sides: "pd.Series[int] | None" = None

    def table(self, made: Sequence[Grouping], also: Sequence[str]) -> pd.DataFrame:
        """Return the rows of every group; `also` as in `smallest_cells`."""
        whole = np.ones(len(self.episodes), dtype=bool)
        everybody = {"group": ALL, "level": "", "fewest": len(whole)} | self.figures(whole)
        rows = [{**everybody, "column": "", "adjusted_for": ""}]
        for one in made:
            keys = {"group": one.group, "column": one.column, "adjusted_for": self._adjusted(one)}
            rows += [
                {**keys, "level": level, **self.figures(member)}
                for level, member in one.members(self.episodes)
            ]
        table = pd.DataFrame(rows)
        if made:  # every episode is in some level of every group
            cells = smallest_cells(made, also, self.episodes).drop(columns="n")
            beside = table[["group", "level"]].merge(cells, how="left")["fewest"]
            table["fewest"] = table["fewest"].fillna(beside).astype(int)
        kept = table.assign(learner=self.learner, fold=self.fold)
        return kept.reindex(columns=GROUP_COLUMNS)

    def _adjusted(self, one: Grouping) -> str:
        if self.learner == SUPPLIED and SUPPLIED not in self.expectations.models:
            return NOT_KNOWN
        return "yes" if is_adjusted_for(one, self.expectations.casemix) else "no"

    @cached_property
    def provider(self) -> NDArray[np.intp]:
        """Providers as numbers in the order of their names."""
        return np.asarray(pd.factorize(self.episodes["provider_id"], sort=True)[0])

    @cached_property
    def columns(self) -> Mapping[str, NDArray[np.float64]]:
        """What is expected and observed, as compared and as modelled."""
        names = ("observed", "expected", "observed_score", "expected_score")
        return {one: self.episodes[one].to_numpy(dtype=float) for one in names}

    @cached_property
    def flagged(self) -> Mapping[str, NDArray[np.bool_]]:
        """Whether the provider of each episode is flagged on either side."""
        if self.sides is None:
            return {}
        side = self.episodes["provider_id"].map(self.sides).to_numpy()
        return {"at_better": side > 0, "at_worse": side < 0}

    @cached_property
    def how(self) -> dict[str, Any]:
        """How intervals are made."""
        return interval_method(self.study)

    def figures(self, member: NDArray[np.bool_]) -> dict[str, Any]:
        """Return the row of a group."""
        o, e = self.columns["observed"], self.columns["expected"]
        observed, expected = o[member], e[member]
        found: dict[str, Any] = {
            "n": int(member.sum()),
            "providers": int(np.unique(self.provider[member]).size),
            "observed": observed.mean(),
            "expected": expected.mean(),
            "mean_residual": (observed - expected).mean(),
            "net_compensation": (expected - observed).mean(),
        }
        found |= self._ratio(observed, expected, member)
        if np.ptp(self.columns["observed_score"][member]) == 0:  # what does not vary seems sure
            return found | {"come_out": ""}
        found |= self._compensation(member) | self._calibration(member) | self._flags(member)
        return found

    def _compensation(self, member: NDArray[np.bool_]) -> dict[str, Any]:
        """Return net compensation with its interval, its mirror image, and that within."""
        o, e = self.columns["observed"], self.columns["expected"]
        net = unless_impossible(lambda: net_compensation(o, e, member, self.provider, **self.how))
        within = unless_impossible(
            lambda: difference_within(o - e, member, self.provider, **self.how)
        )
        if net is None:
            return {"come_out": ""} | _ends("within_providers", within)
        mirrored = Estimate(
            -net.value, net.standard_error, -net.upper, -net.lower, net.level, net.n,
            net.n_clusters, net.method,
        )  # fmt: skip
        side = ((net.upper < 0) - (net.lower > 0)) * self.expectations.cohort.outcome.better
        return (
            _ends("net_compensation", net)
            | _ends("mean_residual", mirrored)
            | _ends("within_providers", within)
            | {"come_out": {1: "better", 0: "", -1: "worse"}[side]}
        )

    def _ratio(
        self,
        observed: NDArray[np.float64],
        expected: NDArray[np.float64],
        member: NDArray[np.bool_],
    ) -> dict[str, float]:
        """Return the predictive ratio; nothing where what it is divided by may be 0."""
        provider = self.provider[member]
        if self.expectations.cohort.outcome.compares.family == "gaussian":
            mean = unless_impossible(lambda: mean_by_cluster(observed, provider))
            if mean is None or not mean.value > FAR_FROM_0 * mean.standard_error:
                return {}
        if not observed.sum() > 0:
            return {}
        o, e = self.columns["observed"], self.columns["expected"]
        ratio = unless_impossible(lambda: predictive_ratio(o, e, member, self.provider, **self.how))
        value = {"predictive_ratio": float(expected.sum() / observed.sum())}
        return value | _ends("predictive_ratio", ratio)

    def _calibration(self, member: NDArray[np.bool_]) -> dict[str, float]:
        family = self.expectations.cohort.outcome.compares.family
        o, e = self.columns["observed_score"], self.columns["expected_score"]
        found = unless_impossible(
            lambda: assess_calibration(o[member], e[member], KIND_OF[family], self.provider[member])
        )
        if found is None:
            return {}
        return _ends("slope", found.slope) | _ends("intercept", found.intercept)

    def _flags(self, member: NDArray[np.bool_]) -> dict[str, float]:
        """Return the share of a group at flagged providers, and how far above that of all."""
        found: dict[str, float] = {}
        for name, flagged in self.flagged.items():
            found |= {name: float(flagged[member].mean())}
            if 0 < found[name] < 1:  # what does not vary seems sure
                compare = partial(share_against_all, flagged, member, self.provider, **self.how)
                found |= _ends(f"{name}_above_all", unless_impossible(compare))
        return found


def _ends(name: str, found: Estimate | None) -> dict[str, float]:
    if found is None:
        return {}
    ends = (found.value, found.lower, found.upper)
    return {f"{name}{end}": float(value) for end, value in zip(_ENDS, ends, strict=True)}
