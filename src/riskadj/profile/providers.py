"""Profiles: each provider's observed against its expected, with limits, flags and their doubts."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from riskadj.cohort import Cohort
from riskadj.digest import digest_of_frame
from riskadj.errors import InSampleError, TooFewProvidersError
from riskadj.expected import Expectations
from riskadj.profile.analysis import Analysis
from riskadj.profile.belief import (
    BELIEF_COLUMNS,
    Raw,
    agreements,
    believe,
    overlap,
    reliabilities,
)
from riskadj.profile.estimates import Sample, estimate
from riskadj.profile.flags import flag_labels, per_cent
from riskadj.profile.predicted import PREDICTED_COLUMNS, predict
from riskadj.profile.sensitivity import (
    SENSITIVITY_COLUMNS,
    analyse_all,
    flags_of_all,
    sensitivity,
)
from riskadj.stats import Z95
from riskadj.study import Study
from riskadj.study.records import ProfileRules, ReferencePopulation

RATIO_WITHHELD = "ratio withheld: the expected gain is within sampling error of 0"


@dataclass(frozen=True)
class Profiles:
    """Providers of one outcome, by every learner; before disclosure control.

    Attributes
    ----------
    table : DataFrame
        One row per learner and provider; the columns of `provider_columns`. `observed`,
        `expected`: mean gain per episode, in the unit of the score; `ratio`: their ratio;
        `difference`: observed - expected; `adjusted`: adjusted gain; `z`: its distance from where a
        provider that is not to be flagged would be, in spreads; `lower95` ... `upper998`: limits;
        `flag`; `ci_lower95`, `ci_upper95`: interval of the provider's own adjusted gain; `sd`: of
        its residuals; `n`: episodes with both scores; `episodes`: all eligible ones.
    analyses : DataFrame
        `outcome, learner, method, limits, provider_id, adjusted, z, flag`: every analysis of the
        declared set.
    reference : DataFrame
        `outcome, learner, n, gain, baseline, sd, drift, mean_residual`: the population compared
        with; `centre, inner, outer, shift, factor, tau`: what providers are held against, as in
        `Analysis` and `Yardstick`.
    reliability : DataFrame
        By learner and estimator of the variance between providers.
    agreement : DataFrame
        By learner: agreement between halves, and between years where there are several.
    warnings : tuple of str
        What fits warned of, and which declared analyses were left out: by which learner, and why.
    digest : str
    """

    table: pd.DataFrame
    analyses: pd.DataFrame
    reference: pd.DataFrame
    reliability: pd.DataFrame
    agreement: pd.DataFrame
    warnings: tuple[str, ...]
    digest: str


def provider_columns(rules: ProfileRules) -> list[str]:
    """Return the columns of the provider table, in order; limits are named by their level.

    Examples
    --------
    >>> rules = ProfileRules(method="nhs_england", minimum_n=30, suppress_below=6)
    >>> provider_columns(rules)[9:13]
    ['z', 'lower95', 'upper95', 'flag']
    """
    inner, outer = level_names(rules)
    return [
        "outcome", "learner", "provider_id", "n", "observed", "expected", "ratio", "difference",
        "adjusted", "z", f"lower{inner}", f"upper{inner}", "flag", f"lower{outer}",
        f"upper{outer}", "ci_lower95", "ci_upper95", "sd", "episodes", "note",
        *SENSITIVITY_COLUMNS, *BELIEF_COLUMNS, *PREDICTED_COLUMNS, "overlap",
    ]  # fmt: skip


def level_names(rules: ProfileRules) -> tuple[str, str]:
    """Return what the inner and the outer limits are called in column names: 95 and 998."""
    inner, outer = (per_cent(one).replace(".", "") for one in rules.levels)
    return inner, outer


def profile_providers(expectations: Expectations, study: Study) -> Profiles:
    """Compare providers, as the study's `profile` says.

    Raises
    ------
    InSampleError
        When given anything but `Expectations`.
    TooFewProvidersError
        When limits that learn from how providers differ have too few to learn from.
    """
    if not isinstance(expectations, Expectations):
        raise InSampleError(
            "profile_providers: wanted Expectations, which are never in-sample; got "
            f"{type(expectations).__name__}. Make them with cross_fit."
        )
    rules, cohort = study.profile, expectations.cohort
    peers = None if rules.peer_group is None else _peers(cohort.test, rules.peer_group)
    parts = {
        learner: _Part.of(rows, learner, cohort, study, peers)
        for learner, rows in expectations.by_learner()
    }
    labels = flag_labels(rules.labels, rules.levels)
    analyses = flags_of_all(
        cohort.outcome.name, {name: one.analyses for name, one in parts.items()}, labels.of
    )
    beside = sensitivity(analyses, rules).set_index("provider_id")
    table = pd.concat([one.table(beside) for one in parts.values()], ignore_index=True)
    return Profiles(
        table=table,
        analyses=analyses,
        reference=pd.DataFrame([one.held_against() for one in parts.values()]),
        reliability=_stacked({name: one.reliability() for name, one in parts.items()}, cohort),
        agreement=_stacked({name: one.agreement() for name, one in parts.items()}, cohort),
        warnings=tuple(
            f"{cohort.outcome.name}, {name}, {one}"
            for name, part in parts.items()
            for one in part.warnings()
        ),
        digest=digest_of_frame(table, expectations.digest),
    )


def _peers(episodes: pd.DataFrame, column: str) -> pd.Series:
    """Return the commonest value of a column among each provider's episodes; ties go by value."""
    counts = episodes.groupby("provider_id")[column].value_counts().reset_index(name="n")
    counts = counts.sort_values(["n", column], ascending=[False, True], kind="stable")
    peers = counts.drop_duplicates("provider_id").set_index("provider_id")[column].astype(str)
    without = set(episodes["provider_id"]) - set(peers.index)
    if without:
        raise TooFewProvidersError(
            f"profile.peer_group: wanted {column!r} for every provider; got {len(without)} "
            "without any value of it. Choose another column."
        )
    return peers


def _stacked(tables: Mapping[str, pd.DataFrame], cohort: Cohort) -> pd.DataFrame:
    """Put tables by learner on top of each other, outcome and learner first."""
    named = [one.assign(outcome=cohort.outcome.name, learner=name) for name, one in tables.items()]
    whole = pd.concat(named, ignore_index=True)
    return whole[
        ["outcome", "learner", *(one for one in whole if one not in ("outcome", "learner"))]
    ]


@dataclass(frozen=True)
class _Part:
    """One learner's comparison, on the way to its rows."""

    rows: pd.DataFrame
    learner: str
    cohort: Cohort
    study: Study
    reference: dict[str, Any]
    analyses: list[Analysis]
    raw: Raw
    predicted: pd.DataFrame
    told: list[str]

    @classmethod
    def of(
        cls,
        rows: pd.DataFrame,
        learner: str,
        cohort: Cohort,
        study: Study,
        peers: pd.Series | None,
    ) -> "_Part":
        rules, given = study.profile, cohort.outcome.reference
        reference = _reference(rows, learner, given)
        sample = Sample(
            rows["observed"].to_numpy(float),
            rows["expected"].to_numpy(float),
            rows["provider_id"].to_numpy(),
            given.sd if given else None,
            rules.between,
        )
        analyses, left_out = analyse_all(sample, rules, float(reference["gain"]), peers)
        raw = _raw(sample, analyses[0].table.index, float(reference["sd"]))
        predicted, told = predict(rows, rules.replicates, study.split.seed)
        return cls(
            rows, learner, cohort, study, reference, analyses, raw, predicted, [*left_out, *told]
        )

    @property
    def rules(self) -> ProfileRules:
        return self.study.profile

    @property
    def gain(self) -> float:
        return float(self.reference["gain"])

    def warnings(self) -> list[str]:
        """Return what fits warned of, and the analyses left out; what several warn of, once."""
        told = [f"{one.method}: {why}" for one in self.analyses for why in one.warnings]
        return [*dict.fromkeys(told), *self.told]

    def held_against(self) -> dict[str, Any]:
        """Return the row of the reference table."""
        own = self.analyses[0]
        return self.reference | {"centre": own.centre} | asdict(own.measured)

    def reliability(self) -> pd.DataFrame:
        return reliabilities(self.raw, self.rules)

    def agreement(self) -> pd.DataFrame:
        return agreements(self.rows, self.rules.minimum_n, self.study.split.seed)

    def table(self, beside: pd.DataFrame) -> pd.DataFrame:
        """Return the rows of the provider table."""
        table = _means(self.rows).reindex(self.cohort.volumes.index)
        table["episodes"] = self.cohort.volumes
        table["n"] = table["n"].fillna(0).astype(int)
        table["difference"] = table["observed"] - table["expected"]
        table = _with_ratio(table, float(self.reference["sd"]))
        table["sd"] = table["sd"].where(table["n"] >= self.rules.minimum_n)
        table = (
            table.join(self._compared())
            .join(self._believed())
            .join(overlap(self.rows).rename("overlap"))
        )
        table = _with_predicted(table, self.predicted)
        table["flag"] = self._flags(table)
        return self._keyed(table, beside)

    def _compared(self) -> pd.DataFrame:
        """Return adjusted gain, limits and interval of the study's own analysis."""
        own = self.analyses[0]
        shown = own.table[["adjusted", "z", "place"]].copy()
        cuts = (own.measured.inner, own.measured.outer)
        for name, cut in zip(level_names(self.rules), cuts, strict=True):
            shown[f"lower{name}"] = own.table["middle"] - cut * own.table["spread"]
            shown[f"upper{name}"] = own.table["middle"] + cut * own.table["spread"]
        shown["ci_lower95"] = shown["adjusted"] - Z95 * own.table["error"]
        shown["ci_upper95"] = shown["adjusted"] + Z95 * own.table["error"]
        return shown

    def _believed(self) -> pd.DataFrame:
        return believe(self.raw, self.rules, self.gain, self.study.split.seed)

    def _flags(self, table: pd.DataFrame) -> np.ndarray:
        labels = flag_labels(self.rules.labels, self.rules.levels)
        compared = table["place"].notna()
        return np.select(
            [compared, table["episodes"] == 0],
            [labels.at(table["place"].fillna(0)), labels.none],
            default=labels.too_few,
        )

    def _keyed(self, table: pd.DataFrame, beside: pd.DataFrame) -> pd.DataFrame:
        mine = beside.loc[beside["learner"] == self.learner, SENSITIVITY_COLUMNS]
        keyed = table.join(mine).rename_axis("provider_id").reset_index()
        keyed["outcome"], keyed["learner"] = self.cohort.outcome.name, self.learner
        texts = ["flag_moved_by", "flag_holds_under"]
        keyed[texts] = keyed[texts].fillna("").astype("str")
        return keyed[provider_columns(self.rules)]


def _reference(
    rows: pd.DataFrame, learner: str, given: ReferencePopulation | None
) -> dict[str, Any]:
    residual = rows["observed"] - rows["expected"]
    return {
        "outcome": rows["outcome"].iloc[0],
        "learner": learner,
        "n": len(rows),
        "gain": given.gain if given else rows["observed"].mean(),
        "baseline": rows["baseline_score"].mean(),
        "sd": given.sd if given else residual.std(ddof=1),
        "drift": (rows["observed_score"] - rows["expected_score_raw"]).mean(),
        "mean_residual": residual.mean(),
    }


def _raw(sample: Sample, providers: pd.Index, sd: float) -> Raw:
    found = estimate("nhs_england", sample)
    effect = pd.Series(found.effect, index=found.providers).loc[providers]
    error = pd.Series(found.error, index=found.providers).loc[providers]
    return Raw(effect, error, sd)


def _means(rows: pd.DataFrame) -> pd.DataFrame:
    residual = rows["observed"] - rows["expected"]
    return (
        rows.assign(residual=residual)
        .groupby("provider_id")
        .agg(
            n=("observed", "size"),
            observed=("observed", "mean"),
            expected=("expected", "mean"),
            sd=("residual", "std"),
        )
    )


def _with_ratio(table: pd.DataFrame, sd: float) -> pd.DataFrame:
    """Divide, but not by an expected gain that cannot be told from 0."""
    unstable = table["expected"].abs() < Z95 * sd / np.sqrt(table["n"].where(table["n"] > 0))
    ratio = (table["observed"] / table["expected"]).where(~unstable)
    return table.assign(ratio=ratio, note=np.where(unstable, RATIO_WITHHELD, ""))


def _with_predicted(table: pd.DataFrame, predicted: pd.DataFrame) -> pd.DataFrame:
    """Add predicted over expected; ratios where observed over expected is shown."""
    joined = table.join(predicted)
    ratios = PREDICTED_COLUMNS[1:]
    joined[ratios] = joined[ratios].where(joined["ratio"].notna(), axis=0)
    return joined
