"""What could be gained by recording more, measuring lower before, or losing whom to ask.

Nothing is taught again: columns are changed, the models that did not learn from an episode are
asked about it once more, and the difference is what the change is worth, everybody else staying as
they are. A comorbidity that is coded because it is there is no gaming; what the table says is how
much hangs on it.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from riskadj.casemix import CaseMix
from riskadj.cohort import Cohort
from riskadj.errors import ArrayError
from riskadj.expected import Expectations
from riskadj.fairness.graded import Comparing
from riskadj.profile.analysis import Analysis, analyse
from riskadj.stats import mean_by_cluster
from riskadj.stats.arrays import Bools, Floats
from riskadj.stats.lowest import expected_lowest
from riskadj.study import Outcome, Study
from riskadj.study.kinds import shown
from riskadj.study.records import SHRUNKEN_METHODS

EVERY, ONE = "every patient it can be done to", "one patient"
COUNTS = ("charlson_index", "elixhauser_count", "cms_hcc_count")
"""Case mix that counts conditions, and can go up by one."""
COUNTED_BY = MappingProxyType({"elixhauser_": ("elixhauser_count",)})
"""Counts that go up with a condition, by how the names of its columns begin."""
_NO_CONDITIONS = frozenset({"comorb_block_answered"})
GAMING_COLUMNS = [
    "outcome", "learner", "action", "column", "done_to", "share", "per_patient", "lower95",
    "upper95", "n", "worth", "z", "response", "money", "currency",
]  # fmt: skip


class Price(NamedTuple):
    """What a payer pays for a result.

    Attributes
    ----------
    per_unit : float
        Money per episode for one unit of adjusted result in the better direction: a point, a share
        of 1, or of a cost one unit of its currency.
    currency : str
    """

    per_unit: float
    currency: str

    @classmethod
    def of(cls, study: Study, outcome: Outcome) -> "Price | None":
        """Return what a study says is paid for an outcome; None where it says nothing."""
        said = study.fairness.price
        if said is None or outcome.name not in said.per_unit:
            return None
        return cls(said.per_unit[outcome.name], said.currency)


no_gaming = partial(pd.DataFrame, columns=GAMING_COLUMNS)


def gaming_sensitivity(
    expectations: Expectations, study: Study, price: Price | None = None
) -> pd.DataFrame:
    """Return what changes in records are worth to a provider of median size.

    Parameters
    ----------
    expectations : Expectations
    study : Study
    price : Price, optional
        Else that of the study's `fairness.price`. Without either `money` is NaN and `currency`
        empty.

    Returns
    -------
    DataFrame
        The columns of `GAMING_COLUMNS`, a row per learner and change. `action`: `code`, one more
        condition of that `column` for all who have it not, unless so few have it or have it not
        that they could be recognised; `code_any`, one more condition for each patient, any that it
        has not being equally likely; `count`, a count of conditions one higher; `baseline`, a
        score before that is worse by one unit (of an index, by a hundredth of its range), the
        answers that it was made of and other scores staying; `drop_worst`, leaving out the
        responder who did worst against what was expected; `drop_silent`, no longer counting a
        patient who did not answer. `done_to`: whom. `share`: of patients to whom it can be done.
        `per_patient`: by how much the patient's result is better against what is expected, in the
        unit of what is compared, of costs the share by which it is lower; `lower95`, `upper95`:
        its interval by provider, the models being taken as they are. `worth`: by how much the
        adjusted result of a provider with `n` episodes is better, in the unit of what is compared,
        of costs too. `z`: the same in spreads. `response`: by how much its response rate is
        higher. `money`: `worth` times `n` times what is paid per unit.

    Notes
    -----
    Results that got worse by it are below 0. `n` is the median of providers with enough episodes;
    their z is by the method of NHS England and the study's limits. The worst of n is the expected
    smallest of n residuals drawn from those of all episodes. By complete cases a patient who did
    not answer counts for nothing, so that dropping one changes the response rate alone.
    """
    price = price or Price.of(study, expectations.cohort.outcome)
    parts = [
        _Subject.of(expectations, learner, rows, study, price).table()
        for learner, rows in expectations.by_learner()
    ]
    outcome = expectations.cohort.outcome.name
    return pd.concat(parts, ignore_index=True).assign(outcome=outcome)[GAMING_COLUMNS]


@dataclass(frozen=True)
class _Subject:
    """The episodes of one learner, and how providers are held against each other."""

    expectations: Expectations
    learner: str
    rows: pd.DataFrame
    study: Study
    price: Price | None
    comparing: Comparing
    analysis: Analysis
    n: int

    @classmethod
    def of(
        cls,
        expectations: Expectations,
        learner: str,
        rows: pd.DataFrame,
        study: Study,
        price: Price | None,
    ) -> "_Subject":
        comparing = Comparing(expectations.cohort, study)
        rules, outcome = comparing.rules(None), expectations.cohort.outcome
        sample = comparing.sample(rows["expected"].to_numpy(dtype=float))
        limits = "nominal" if rules.method in SHRUNKEN_METHODS else rules.limits
        mean = outcome.reference.gain if outcome.reference else float(sample.observed.mean())
        analysis = analyse(sample, rules, mean, None, "nhs_england", limits, outcome.better)
        sizes = rows["provider_id"].value_counts()
        judged = sizes.reindex(analysis.table.index)
        n = int((judged if len(judged) else sizes).median())
        return cls(expectations, learner, rows, study, price, comparing, analysis, n)

    @property
    def cohort(self) -> Cohort:
        return self.expectations.cohort

    @property
    def casemix(self) -> CaseMix:
        return self.expectations.casemix

    @property
    def is_cost(self) -> bool:
        return bool(self.cohort.outcome.compares.family == "gamma")

    @property
    def mean(self) -> float:
        """The result of the reference population."""
        given = self.cohort.outcome.reference
        return float(given.gain if given else self.comparing.observed.mean())

    def table(self) -> pd.DataFrame:
        found = [row for one in _ACTIONS for row in one(self)]
        return pd.DataFrame(found, columns=GAMING_COLUMNS).assign(learner=self.learner)

    def better_by(self, changed: pd.DataFrame, before: Floats | None = None) -> Floats:
        """Return by how much every episode is better against its expectation, when records change.

        Parameters
        ----------
        changed : DataFrame
            Episodes with changed columns.
        before : ndarray of shape (n_episodes,), optional
            The score before, where it is what changes: the observed result then changes too.
        """
        outcome, test = self.cohort.outcome, self.cohort.test
        model = self.expectations.models[self.learner]
        expected = model.expect(changed, self.rows["fold"].to_numpy())
        was = self.rows["expected_score"].to_numpy(dtype=float)
        if self.is_cost:
            return np.asarray(expected / was - 1)
        old = test["baseline_score"].to_numpy(dtype=float)
        new, target = old if before is None else before, test["observed_score"].to_numpy(float)
        moved = target if before is None else self._target(new, target)
        first = shown(outcome, target, old) - shown(outcome, was, old)
        second = shown(outcome, moved, new) - shown(outcome, expected, new)
        return np.asarray(outcome.better * (second - first))

    def _target(self, before: Floats, target: Floats) -> Floats:
        """Return what is modelled, with other scores before."""
        if self.cohort.outcome.compares.of_score:
            return target
        after = self.cohort.test["score_after"].to_numpy(dtype=float)
        found = self.cohort.outcome.compares.target(self.cohort.outcome, before, after)
        return np.where(np.isfinite(found), found, target)

    def row(self, action: str, column: str, better: Floats, can: Bools) -> dict[str, Any]:
        """Return what is gained where something is done to all to whom it can be done."""
        share = float(can.mean())
        provider = self.rows["provider_id"].to_numpy()
        per = self._mean(better[can], provider[can])
        return self._valued(action, column, EVERY, share, share * per[0]) | {
            "per_patient": per[0], "lower95": per[1], "upper95": per[2],
        }  # fmt: skip

    def of_one(self, action: str, share: float, better: float) -> dict[str, Any]:
        """Return what is gained where the mean of a provider is better by doing it once."""
        return self._valued(action, "", ONE, share, better)

    def _valued(
        self, action: str, column: str, done_to: str, share: float, gained: float
    ) -> dict[str, Any]:
        """Return a mean gain in the unit of what is compared, in spreads and in money."""
        worth = self.mean * gained / (1 + gained) if self.is_cost else gained
        effect = float(np.log1p(gained)) if self.is_cost else gained
        paid = worth * self.n * self.price.per_unit if self.price else np.nan
        return {
            "action": action, "column": column, "done_to": done_to, "share": share, "n": self.n,
            "worth": worth, "z": effect / self._spread(), "money": paid,
            "currency": self.price.currency if self.price else "",
        }  # fmt: skip

    def _spread(self) -> float:
        """Return the spread of the effect of a provider of this size."""
        sample = self.comparing.sample(self.rows["expected"].to_numpy(dtype=float))
        error = np.sqrt(self._variance(sample.observed, sample.expected) / self.n)
        return float(self.analysis.measured.spread(np.array([error]))[0])

    def _variance(self, observed: Floats, expected: Floats) -> float:
        """Return the variance of an episode; of costs, relative to the squared mean."""
        given, residual = self.cohort.outcome.reference, observed - expected
        if self.is_cost:
            phi = given.sd**2 if given else float(np.mean((residual / expected) ** 2))
            return phi * float(np.mean(expected**2) / expected.mean() ** 2)
        if given:
            return given.sd**2
        if self.cohort.outcome.compares.family == "binomial":
            return float(np.mean(expected * (1 - expected)))
        return float(residual.var(ddof=1))

    def _mean(self, values: Floats, provider: NDArray[Any]) -> tuple[float, float, float]:
        try:
            found = mean_by_cluster(values, provider)
        except ArrayError:
            return (float(values.mean()) if values.size else np.nan, np.nan, np.nan)
        return found.value, found.lower, found.upper


# --- the actions ----------------------------------------------------------------------------------


def conditions_of(casemix: CaseMix) -> list[str]:
    """Return the columns of the case mix that say whether a patient has a condition."""
    return [
        one.name
        for one in casemix.columns
        if one.kind == "flag" and one.theme == "comorbidity" and one.name not in _NO_CONDITIONS
    ]


def _codes(one: _Subject) -> Iterator[dict[str, Any]]:
    """Yield what a further condition is worth, each of them and any of them."""
    if one.learner not in one.expectations.models:
        return
    test = one.cohort.test
    total, number = np.zeros(len(test)), np.zeros(len(test))
    for name in conditions_of(one.casemix):
        can = (test[name] == 0).to_numpy()
        if min(can.sum(), (test[name] == 1).sum()) < one.study.profile.suppress_below:
            continue
        better = np.where(can, one.better_by(_with_condition(test, name, can)), 0.0)
        total, number = total + better, number + can
        yield one.row("code", name, better, can)
    some = number > 0
    if some.any():
        yield one.row("code_any", "", total / np.maximum(number, 1), some)


def _with_condition(episodes: pd.DataFrame, name: str, can: Bools) -> pd.DataFrame:
    changed = {name: episodes[name].mask(can, 1.0)}
    for begins, counts in COUNTED_BY.items():
        for count in counts if name.startswith(begins) else ():
            if count in episodes:
                changed[count] = episodes[count] + can
    return episodes.assign(**changed)


def _counts(one: _Subject) -> Iterator[dict[str, Any]]:
    """Yield what a count that is higher by one is worth."""
    if one.learner not in one.expectations.models:
        return
    test = one.cohort.test
    for name in COUNTS:
        if name in one.casemix.names:
            can = test[name].notna().to_numpy()
            yield one.row("count", name, one.better_by(test.assign(**{name: test[name] + 1})), can)


def _baseline(one: _Subject) -> Iterator[dict[str, Any]]:
    """Yield what a worse score before is worth."""
    outcome, test = one.cohort.outcome, one.cohort.test
    name = outcome.measured.before
    if name is None or one.learner not in one.expectations.models:
        return
    low, high = outcome.measured.range
    step = 1.0 if high - low >= 10 else (high - low) / 100
    old = test["baseline_score"].to_numpy(dtype=float)
    new = np.clip(old - outcome.measured.direction * step, low, high)
    can = new != old
    changed = test.assign(**{name: test[name].where(~can, new), "baseline_score": new})
    yield one.row("baseline", name, one.better_by(changed, new), can)


def _drops(one: _Subject) -> Iterator[dict[str, Any]]:
    """Yield what it is worth to lose the worst responder, and one who did not answer."""
    if not one.cohort.outcome.compares.asked or one.n < 2:
        return
    expected = one.rows["expected"].to_numpy(dtype=float)
    residual = one.cohort.outcome.better * (one.comparing.observed - expected)
    worst = expected_lowest(residual - residual.mean(), one.n)
    yield one.of_one("drop_worst", 1.0, -worst / (one.n - 1)) | {"per_patient": -worst}
    silent = len(one.cohort.unanswered)
    if silent:
        asked = silent + len(one.rows)
        rate = len(one.rows) / asked
        higher = one.n / (one.n / rate - 1) - rate
        yield one.of_one("drop_silent", silent / asked, 0.0) | {
            "per_patient": 0.0, "response": higher,
        }  # fmt: skip


Action = Callable[[_Subject], Iterator[dict[str, Any]]]
_ACTIONS: tuple[Action, ...] = (_codes, _counts, _baseline, _drops)
WORDS: Mapping[str, str] = MappingProxyType(
    {
        "code": "one more condition recorded",
        "code_any": "one more condition recorded, whichever",
        "count": "one more condition counted",
        "baseline": "a score before that is worse by one unit",
        "drop_worst": "the responder who did worst left out",
        "drop_silent": "one who did not answer no longer counted",
    }
)
