"""What could be gained by recording more, measuring lower before, or losing whom to ask.

Columns are changed, the models that did not learn from an episode are asked about it once more, and
the difference is what the change is worth, everybody else staying as they are. How sure that is
depends on who taught: so all is done again without each group of providers, who then teach
nothing either. A comorbidity that is coded because it is there is no gaming; what the table says is
how much hangs on it.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from riskadj.casemix import CaseMix
from riskadj.expected import ExpectationModel, Expectations
from riskadj.fairness.graded import Comparing
from riskadj.fairness.left_out import LeftOut, leave_out_groups
from riskadj.profile.analysis import analyse
from riskadj.stats.arrays import Bools, Floats
from riskadj.stats.clusters import FEWEST, jackknife_groups
from riskadj.stats.lowest import expected_lowest
from riskadj.study import Outcome, Study
from riskadj.study.kinds import shown
from riskadj.study.profile import SHRUNKEN_METHODS

EVERY, ONE = "every patient it can be done to", "one patient"
COUNTS = ("charlson_index", "elixhauser_count", "cms_hcc_count")
"""Case mix that counts conditions, and can go up by one."""
COUNTED_BY = MappingProxyType({"elixhauser_": ("elixhauser_count",)})
"""Counts that go up with a condition, by how the names of its columns begin."""
_NO_CONDITIONS = frozenset({"comorb_block_answered"})
MOST_ASKED = 10_000
"""Episodes that models taught without a group are asked about, evenly picked: intervals need no
more."""
_ENDS_OF: Mapping[str, str] = MappingProxyType(
    {one: f"{one}_" for one in ("worth", "z", "response", "money")} | {"per_patient": ""}
)
"""Figures that have an interval, and how the names of its ends begin."""
GAMING_COLUMNS = [
    "outcome", "learner", "action", "column", "done_to", "share", "patients", "per_patient",
    "lower95", "upper95", "n",
    *(f"{one}{end}" for one in ("worth", "z", "response", "money")
      for end in ("", "_lower95", "_upper95")),
    "currency", "groups",
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
        patient who did not answer. `done_to`: whom. `share`, `patients`: to how many it can be
        done, of those compared. `per_patient`: by how much the patient's result is better against
        what is expected, in the unit of what is compared, of costs the share by which it is lower.
        `worth`: by how much the adjusted result of a provider with `n` episodes is better, in the
        unit of what is compared, of costs too. `z`: the same in spreads. `response`: by how much
        its response rate is higher. `money`: `worth` times `n` times what is paid per unit.
        `lower95`, `upper95`: the interval of `per_patient`; with a name before it, of that.
        `groups`: of providers left out in turn for it; 0 where there is none.

    Notes
    -----
    Intervals are by the delete-a-group jackknife (`jackknife_groups`): each group of providers is
    left out of those who teach and of those asked about (`leave_out_groups`). So they allow for
    what a learner takes a condition for being learned from these providers, whatever the learner.
    They do not make it causal, and what a learner shrinks to be safe stays shrunken.
    Taken as they are: settings, recalibration, `n` and the spread. Figures that are what they are
    by rule have no interval; nor have those of learners in `NOT_AGAIN` where there are no folds.

    Results that got worse by it are below 0. `n` is the median of providers with enough episodes;
    their z is by the method of NHS England and the study's limits. The worst of n is the expected
    smallest of n residuals drawn from those of all episodes. By complete cases a patient who did
    not answer counts for nothing, so that dropping one changes the response rate alone.
    """
    price = price or Price.of(study, expectations.cohort.outcome)
    parts = []
    for learner, rows in expectations.by_learner():
        provider = _Provider.of(expectations, rows, study, price)
        subject = _Subject.of(expectations, learner, rows, provider, study.profile.suppress_below)
        left = leave_out_groups(expectations, learner, study)
        parts.append(_with_intervals(subject.table(), subject, left).assign(learner=learner))
    outcome = expectations.cohort.outcome.name
    return pd.concat(parts, ignore_index=True).assign(outcome=outcome)[GAMING_COLUMNS]


@dataclass(frozen=True)
class _Provider:
    """Whom a change is worth something to: a provider of median size.

    Attributes
    ----------
    n : int
        Its episodes.
    spread : float
        Of its effect, in which z counts.
    price : Price or None
    """

    n: int
    spread: float
    price: Price | None

    @classmethod
    def of(
        cls, expectations: Expectations, rows: pd.DataFrame, study: Study, price: Price | None
    ) -> "_Provider":
        comparing, outcome = Comparing(expectations.cohort, study), expectations.cohort.outcome
        rules, sample = comparing.rules(None), comparing.sample(rows["expected"].to_numpy(float))
        limits = "nominal" if rules.method in SHRUNKEN_METHODS else rules.limits
        mean = outcome.reference.gain if outcome.reference else float(sample.observed.mean())
        analysis = analyse(sample, rules, mean, None, "nhs_england", limits, outcome.better)
        sizes = rows["provider_id"].value_counts()
        judged = sizes.reindex(analysis.table.index)
        n = int((judged if len(judged) else sizes).median())
        error = np.sqrt(_variance(outcome, sample.observed, sample.expected) / n)
        return cls(n, float(analysis.measured.spread(np.array([error]))[0]), price)


def _variance(outcome: Outcome, observed: Floats, expected: Floats) -> float:
    """Return the variance of an episode; of costs, relative to the squared mean."""
    given, residual = outcome.reference, observed - expected
    if outcome.compares.family == "gamma":
        phi = given.sd**2 if given else float(np.mean((residual / expected) ** 2))
        return phi * float(np.mean(expected**2) / expected.mean() ** 2)
    if given:
        return given.sd**2
    if outcome.compares.family == "binomial":
        return float(np.mean(expected * (1 - expected)))
    return float(residual.var(ddof=1))


@dataclass(frozen=True)
class _Subject:
    """Episodes whose records change, the models that are asked again, and who did not answer.

    Attributes
    ----------
    test, rows : DataFrame
        The episodes that models are asked about, and what is expected of them.
    model : ExpectationModel or None
    observed, expected : ndarray of shape (n_episodes,)
        What is compared, of all episodes.
    silent : int
        How many did not answer.
    conditions : tuple of str
        Those that may be told of.
    """

    outcome: Outcome
    casemix: CaseMix
    provider: _Provider
    test: pd.DataFrame
    rows: pd.DataFrame
    model: ExpectationModel | None
    observed: Floats
    expected: Floats
    silent: int
    conditions: tuple[str, ...]

    @classmethod
    def of(
        cls, expectations: Expectations, learner: str, rows: pd.DataFrame, provider: _Provider,
        fewest: int,
    ) -> "_Subject":  # fmt: skip
        cohort, casemix = expectations.cohort, expectations.casemix
        told = [one for one in conditions_of(casemix) if _smaller(cohort.test[one]) >= fewest]
        observed, expected = (rows[one].to_numpy(dtype=float) for one in ("observed", "expected"))
        return cls(
            cohort.outcome, casemix, provider, cohort.test, rows, expectations.models.get(learner),
            observed, expected, len(cohort.unanswered), tuple(told),
        )  # fmt: skip

    @property
    def is_cost(self) -> bool:
        return bool(self.outcome.compares.family == "gamma")

    @property
    def mean(self) -> float:
        """The result of the reference population."""
        given = self.outcome.reference
        return float(given.gain if given else self.observed.mean())

    def without(self, group: int, left: LeftOut) -> "_Subject":
        """Return the same without a group of providers, who taught nothing either."""
        model = left.models[group] if left.models else None
        step = -(-len(self.test) // MOST_ASKED)
        some = np.arange(0, len(self.test), step)
        some, kept = some[left.asked[some] != group], left.asked != group
        test, rows = self.test.iloc[some], self.rows.iloc[some]
        if model is not None:
            rows = rows.assign(fold=0, expected_score=model.expect(test))
        return replace(
            self, test=test, rows=rows, model=model, observed=self.observed[kept],
            expected=self.expected[kept], silent=int((left.silent != group).sum()),
        )  # fmt: skip

    def table(self) -> pd.DataFrame:
        """Return what every change is worth, without intervals."""
        actions = (*(_ASKING if self.model else ()), _drops)
        found = [row for one in actions for row in one(self)]
        return pd.DataFrame(found, columns=GAMING_COLUMNS)

    def better_by(self, changed: pd.DataFrame, before: Floats | None = None) -> Floats:
        """Return by how much every episode is better against its expectation, when records change.

        Parameters
        ----------
        changed : DataFrame
            Episodes with changed columns.
        before : ndarray of shape (n_episodes,), optional
            The score before, where it is what changes: the observed result then changes too.
        """
        outcome, test = self.outcome, self.test
        if self.model is None:
            return np.full(len(test), np.nan)
        expected = self.model.expect(changed, self.rows["fold"].to_numpy())
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
        if self.outcome.compares.of_score:
            return target
        after = self.test["score_after"].to_numpy(dtype=float)
        found = self.outcome.compares.target(self.outcome, before, after)
        return np.where(np.isfinite(found), found, target)

    def row(self, action: str, column: str, better: Floats, can: Bools) -> dict[str, Any]:
        """Return what is gained where something is done to all to whom it can be done."""
        share = float(can.mean())
        per = float(better[can].mean()) if can.any() else np.nan
        return self._valued(action, column, EVERY, share, share * per) | {
            "per_patient": per, "patients": int(can.sum()),
        }  # fmt: skip

    def of_one(self, action: str, patients: int, share: float, better: float) -> dict[str, Any]:
        """Return what is gained where the mean of a provider is better by doing it once."""
        return self._valued(action, "", ONE, share, better) | {"patients": patients}

    def _valued(
        self, action: str, column: str, done_to: str, share: float, gained: float
    ) -> dict[str, Any]:
        """Return a mean gain in the unit of what is compared, in spreads and in money."""
        n, price = self.provider.n, self.provider.price
        worth = self.mean * gained / (1 + gained) if self.is_cost else gained
        effect = float(np.log1p(gained)) if self.is_cost else gained
        return {
            "action": action, "column": column, "done_to": done_to, "share": share, "n": n,
            "worth": worth, "z": effect / self.provider.spread,
            "money": worth * n * price.per_unit if price else np.nan,
            "currency": price.currency if price else "",
        }  # fmt: skip


def _with_intervals(found: pd.DataFrame, subject: _Subject, left: LeftOut) -> pd.DataFrame:
    """Return a table with how far its figures hang on who taught and who was asked about."""
    if left.n_groups < FEWEST or found.empty:
        return found.assign(groups=0)
    figures, keys = list(_ENDS_OF), ["action", "column"]
    same = pd.MultiIndex.from_frame(found[keys])
    again = [
        subject.without(one, left).table().set_index(keys).reindex(same)
        for one in range(left.n_groups)
    ]
    value = found[figures].to_numpy(dtype=float)
    got = jackknife_groups(
        value.ravel(), [one[figures].to_numpy(dtype=float).ravel() for one in again]
    )
    sure = got.standard_error.reshape(value.shape) > 0  # 0 where a figure is what it is by rule
    for place, figure in enumerate(figures):
        for end in ("lower", "upper"):
            ends = getattr(got, end).reshape(value.shape)[:, place]
            found[f"{_ENDS_OF[figure]}{end}95"] = np.where(sure[:, place], ends, np.nan)
    return found.assign(groups=np.where(sure.any(axis=1), left.n_groups, 0))


def _smaller(flag: "pd.Series[float]") -> int:
    """Return how many have a condition, or have it not, whichever is less."""
    return int(min((flag == 0).sum(), (flag == 1).sum()))


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
    test = one.test
    total, number = np.zeros(len(test)), np.zeros(len(test))
    for name in one.conditions:
        can = (test[name] == 0).to_numpy()
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
    test = one.test
    for name in COUNTS:
        if name in one.casemix.names:
            can = test[name].notna().to_numpy()
            yield one.row("count", name, one.better_by(test.assign(**{name: test[name] + 1})), can)


def _baseline(one: _Subject) -> Iterator[dict[str, Any]]:
    """Yield what a worse score before is worth."""
    outcome, test = one.outcome, one.test
    name = outcome.measured.before
    if name is None:
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
    n, answered = one.provider.n, len(one.observed)
    if not one.outcome.compares.asked or n < 2:
        return
    residual = one.outcome.better * (one.observed - one.expected)
    worst = expected_lowest(residual - residual.mean(), n)
    yield one.of_one("drop_worst", answered, 1.0, -worst / (n - 1)) | {"per_patient": -worst}
    if one.silent:
        asked = one.silent + answered
        rate = answered / asked
        higher = n / (n / rate - 1) - rate
        yield one.of_one("drop_silent", one.silent, one.silent / asked, 0.0) | {
            "per_patient": 0.0, "response": higher,
        }  # fmt: skip


Action = Callable[[_Subject], Iterator[dict[str, Any]]]
_ASKING: tuple[Action, ...] = (_codes, _counts, _baseline)
"""Those for which models are asked again."""
WORDS: Mapping[str, str] = MappingProxyType(
    {
        "code": "one more condition recorded",
        "code_any": "one more condition recorded, whichever",
        "count": "one more condition counted",
        "baseline": "a score before that is worse by one unit",
        "drop_worst": "the one responder who did worst left out",
        "drop_silent": "one who did not answer no longer counted",
    }
)
