"""Profiles: each provider's observed against its expected, with limits, flags and their doubts."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from riskadj.cohort import Cohort, response_by_provider
from riskadj.digest import digest_of_frame
from riskadj.engine import in_use
from riskadj.errors import StudyError, TooFewProvidersError
from riskadj.expected import Expectations
from riskadj.expected.crossfit import never_in_sample
from riskadj.profile.analysis import Analysis, without_peers
from riskadj.profile.belief import (
    BELIEF_COLUMNS,
    Raw,
    agreements,
    believe,
    overlap,
    reliabilities,
)
from riskadj.profile.estimates import Sample, estimate, residuals
from riskadj.profile.flags import flag_labels, level_names
from riskadj.profile.predicted import PREDICTED_COLUMNS, predict
from riskadj.profile.sensitivity import (
    SENSITIVITY_COLUMNS,
    analyse_all,
    flags_of_all,
    sensitivity,
)
from riskadj.stats import Z95, Values, provider_sums
from riskadj.study import Study
from riskadj.study.kinds import Family
from riskadj.study.outcomes import ReferencePopulation
from riskadj.study.profile import ProfileRules

RATIO_WITHHELD = "ratio withheld: the expected gain is within sampling error of 0"


@dataclass(frozen=True)
class Profiles:
    """Providers of one outcome, by every learner; before disclosure control.

    Attributes
    ----------
    table : DataFrame
        One row per learner and provider; the columns of `provider_columns`. `observed`,
        `expected`: mean gain (or what else the outcome compares) per episode; `ratio`: their ratio;
        `difference`: observed - expected; `adjusted`: what the reference population would have had
        there; `z`: its distance from where a provider that is not to be flagged would be, in
        spreads; `lower95` ... `upper998`: limits; `flag`; `ci_lower95`, `ci_upper95`: interval of
        the provider's own adjusted result; `sd`: of its residuals, of costs relative to what was
        expected; `n`: episodes with both scores;
        `episodes`: all eligible ones; `peer_group`: whom it is compared with, empty without groups;
        `centre`: their adjusted result.
    analyses : DataFrame
        The columns of `analysis_columns`: every analysis of the declared set.
    reference : DataFrame
        `outcome, learner, n, gain, baseline, sd, drift, mean_residual`: the population compared
        with; `centre, inner, outer, shift, factor, tau`: what providers are held against, as in
        `Analysis` and `Yardstick`.
    reliability : DataFrame
        By learner and estimator of the variance between providers.
    agreement : DataFrame
        By learner: agreement between halves, and between years where there are several.
    warnings : tuple of str
        What fits warned of, which declared analyses were left out, and who has nobody to be
        compared with: by which learners, and why.
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
        "peer_group", "centre",
    ]  # fmt: skip


def profile_providers(expectations: Expectations, study: Study) -> Profiles:
    """Compare providers, as the study's `profile` says.

    Raises
    ------
    InSampleError
        When given anything but `Expectations`.
    TooFewProvidersError
        When limits that learn from how providers differ have too few to learn from.
    """
    never_in_sample("profile_providers", expectations)
    rules, cohort = study.profile, expectations.cohort
    peers = None if rules.peer_group is None else peer_groups(cohort.test, rules.peer_group)
    parts = {
        learner: _Part.of(rows, learner, cohort, study, peers)
        for learner, rows in expectations.by_learner()
    }
    analyses = flags_of_all(
        cohort.outcome.name, {name: one.flagged() for name, one in parts.items()}, rules
    )
    beside = sensitivity(analyses, rules).set_index("provider_id")
    table = pd.concat([one.table(beside) for one in parts.values()], ignore_index=True)
    return Profiles(
        table=table,
        analyses=analyses,
        reference=pd.DataFrame([one.held_against() for one in parts.values()]),
        reliability=_stacked({name: one.reliability() for name, one in parts.items()}, cohort),
        agreement=_stacked({name: one.agreement() for name, one in parts.items()}, cohort),
        warnings=told_once({name: part.warnings() for name, part in parts.items()}),
        digest=digest_of_frame(table, expectations.digest),
    )


def told_once(told: Mapping[str, Iterable[str]]) -> tuple[str, ...]:
    """Return what is told of several, with their names before it; what is the same, once.

    Examples
    --------
    >>> told_once({"linear": ["not converged"], "lightgbm": ["not converged", "too few"]})
    ('linear and lightgbm, not converged', 'lightgbm, too few')
    """
    names: dict[str, list[str]] = {}
    for name, several in told.items():
        for one in several:
            names.setdefault(one, []).append(name)
    return tuple(f"{' and '.join(some)}, {one}" for one, some in names.items())


def peer_groups(episodes: pd.DataFrame, column: str) -> pd.Series:
    """Return the commonest value of a column among each provider's episodes; ties go by value."""
    counts = episodes.groupby("provider_id")[column].value_counts().reset_index(name="n")
    counts = counts.sort_values(["n", column], ascending=[False, True], kind="stable")
    peers = counts.drop_duplicates("provider_id").set_index("provider_id")[column]
    peers = peers.map(lambda one: one if isinstance(one, str) else f"{one:g}").astype("str")
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
    held_back: pd.Index
    peers: pd.Series | None
    alone: pd.Index

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
        family = cohort.outcome.compares.family
        reference = _reference(rows, learner, given, family)
        sample = Sample(
            rows["observed"].to_numpy(float),
            rows["expected"].to_numpy(float),
            rows["provider_id"].to_numpy(),
            given.sd if given else None,
            rules.between,
            family,
        )
        mean, better = float(reference["gain"]), cohort.outcome.better
        analyses, left_out = analyse_all(sample, rules, mean, peers, better)
        low = held_back(cohort, rules)
        judged = analyses[0].table.index.difference(low, sort=False)
        raw = _raw(sample, judged, float(reference["sd"]), better)
        predicted, told = predict(rows, sample.family, rules.replicates, study.split.seed)
        alone, count = alone_in_group(cohort, rules), rows["provider_id"].nunique()
        said = [*left_out, *told, *_not_compared(rules, count, len(alone), len(judged))]
        return cls(
            rows, learner, cohort, study, reference, analyses, raw, predicted, said, low, peers,
            alone,
        )  # fmt: skip

    @property
    def rules(self) -> ProfileRules:
        return self.study.profile

    @property
    def family(self) -> Family:
        return self.cohort.outcome.compares.family

    @property
    def gain(self) -> float:
        return float(self.reference["gain"])

    def flagged(self) -> list[Analysis]:
        """Return the analyses of providers that may be flagged."""
        if self.held_back.empty:
            return self.analyses
        return [
            replace(one, table=one.table[~one.table.index.isin(self.held_back)])
            for one in self.analyses
        ]

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
        return agreements(self.rows, self.rules.minimum_n, self.study.split.seed, self.family)

    def table(self, beside: pd.DataFrame) -> pd.DataFrame:
        """Return the rows of the provider table."""
        table = _means(self.rows, self.family).reindex(self.cohort.volumes.index)
        table["episodes"] = self.cohort.volumes
        table["n"] = table["n"].fillna(0).astype(int)
        table["difference"] = table["observed"] - table["expected"]
        table = _with_ratio(table, float(self.reference["sd"]), self.family)
        table["sd"] = table["sd"].where(table["n"] >= self.rules.minimum_n)
        table = (
            table.join(self._compared())
            .join(self._believed())
            .join(overlap(self.rows).rename("overlap"))
        )
        table = _with_predicted(table, self.predicted)
        table["flag"] = self._flags(table)
        peers = pd.Series(dtype="str") if self.peers is None else self.peers
        table["peer_group"] = peers.reindex(table.index).fillna("").astype("str")
        return self._keyed(table, beside)

    def _compared(self) -> pd.DataFrame:
        """Return adjusted gain, limits and interval of the study's own analysis."""
        own = self.analyses[0]
        shown = own.table[["adjusted", "z", "place", "ci_lower", "ci_upper", "centre"]]
        shown = shown.rename(columns={"ci_lower": "ci_lower95", "ci_upper": "ci_upper95"})
        judged = ~shown.index.isin(self.held_back)
        shown = shown.assign(**{one: shown[one].where(judged) for one in ("z", "place")})
        for which, name in zip(("inner", "outer"), level_names(self.rules), strict=True):
            shown[f"lower{name}"] = own.table[f"{which}_lower"]
            shown[f"upper{name}"] = own.table[f"{which}_upper"]
        return shown

    def _believed(self) -> pd.DataFrame:
        return believe(self.raw, self.rules, self.gain, self.study.split.seed)

    def _flags(self, table: pd.DataFrame) -> np.ndarray:
        labels = flag_labels(self.rules.labels, self.rules.levels)
        compared, adjusted = table["place"].notna(), table["adjusted"].notna()
        return np.select(
            [compared, adjusted, table["episodes"] == 0, table.index.isin(self.alone)],
            [
                labels.at(table["place"].fillna(0)),
                labels.low_response,
                labels.none,
                labels.no_peers,
            ],
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
    rows: pd.DataFrame, learner: str, given: ReferencePopulation | None, family: Family
) -> dict[str, Any]:
    difference = rows["observed"] - rows["expected"]
    residual = _residuals(rows, family)
    return {
        "outcome": rows["outcome"].iloc[0],
        "learner": learner,
        "n": len(rows),
        "gain": given.gain if given else rows["observed"].mean(),
        "baseline": rows["baseline_score"].mean(),
        "sd": given.sd if given else _spread(residual, family),
        "drift": (rows["observed_score"] - rows["expected_score_raw"]).mean(),
        "mean_residual": difference.mean(),
    }


def alone_in_group(cohort: Cohort, rules: ProfileRules) -> pd.Index:
    """Return providers with enough episodes that nobody else in their peer group has."""
    if rules.peer_group is None:
        return pd.Index([], dtype="str")
    n = cohort.test["provider_id"].value_counts()
    return without_peers(n, rules, peer_groups(cohort.test, rules.peer_group))


def held_back(cohort: Cohort, rules: ProfileRules) -> pd.Index:
    """Return providers that get no flag, however many episodes they have.

    Their response rate is known and too low (where patients are asked), or nobody is in their peer
    group.

    Raises
    ------
    StudyError
        When a minimum is asked for and no rate is known.
    """
    alone = alone_in_group(cohort, rules)
    if rules.minimum_response is None or not cohort.outcome.compares.asked:
        return alone
    response = response_by_provider(cohort.rates)
    if response.empty:
        raise StudyError(
            f"profile.minimum_response: wanted response rates to hold against "
            f"{rules.minimum_response:g}; got none, as the files hold only those who answered. "
            "Name participation files under data.participation, or leave it out."
        )
    return response.index[response < rules.minimum_response].union(alone)


def _not_compared(rules: ProfileRules, count: int, alone: int, judged: int) -> list[str]:
    """Return who is not compared, where a reader would not expect it."""
    told = []
    if alone:
        told.append(
            f"peer_group: {alone} of {count} providers not compared, as nobody else in the group "
            f"has {rules.minimum_n} episodes"
        )
    if not judged:
        wanted = [f"{rules.minimum_n} episodes with both scores"]
        wanted += ["peers with as many"] * (rules.peer_group is not None)
        if rules.minimum_response is not None:
            wanted.append(f"a response of {100 * rules.minimum_response:g} %")
        told.append(f"nobody is compared: no provider has {' and '.join(wanted)}")
    return told


def _raw(sample: Sample, providers: pd.Index, sd: float, better: int) -> Raw:
    found = estimate("nhs_england", sample)
    effect = pd.Series(found.effect, index=found.providers).loc[providers]
    error = pd.Series(found.error, index=found.providers).loc[providers]
    return Raw(effect, error, sd, better, found.link)


def _residuals(rows: pd.DataFrame, family: Family) -> "pd.Series[float]":
    observed, expected = (rows[one].to_numpy(dtype=float) for one in ("observed", "expected"))
    return pd.Series(residuals(observed, expected, family), index=rows.index)


def _spread(residual: "pd.Series[float]", family: Family) -> float:
    """Return the standard deviation of single residuals; of costs about 0, as in their errors."""
    if family == "gamma":
        return float(np.sqrt((residual**2).mean()))
    return float(residual.std(ddof=1))


def _means(rows: pd.DataFrame, family: Family) -> pd.DataFrame:
    """Return means by provider, summed wherever the engine in use has the episodes."""
    values = rows[["observed", "expected"]].assign(residual=_residuals(rows, family))
    found = provider_sums(in_use().lay(_as_values, [rows["provider_id"], values], len(rows)))
    observed, expected, residual = found.sums / found.n
    spread = (found.squares[2] - found.n * residual**2).clip(0)
    sd = np.sqrt(spread / np.where(found.n > 1, found.n - 1, np.nan))
    return pd.DataFrame(
        {"n": found.n, "observed": observed, "expected": expected, "sd": sd},
        index=pd.Index(found.providers, name="provider_id"),
    )


def _as_values(provider: "pd.Series[Any]", values: pd.DataFrame) -> Values:
    return Values(provider.to_numpy(), values.to_numpy(dtype=float).T)


def _with_ratio(table: pd.DataFrame, sd: float, family: Family) -> pd.DataFrame:
    """Divide, but not by an expected gain that cannot be told from 0; shares and costs can."""
    error = 0.0 if family != "gaussian" else sd / np.sqrt(table["n"].where(table["n"] > 0))
    unstable = table["expected"].abs() < Z95 * error
    ratio = (table["observed"] / table["expected"]).where(~unstable)
    return table.assign(ratio=ratio, note=np.where(unstable, RATIO_WITHHELD, ""))


def _with_predicted(table: pd.DataFrame, predicted: pd.DataFrame) -> pd.DataFrame:
    """Add predicted over expected; ratios where observed over expected is shown."""
    joined = table.join(predicted)
    ratios = PREDICTED_COLUMNS[1:]
    joined[ratios] = joined[ratios].where(joined["ratio"].notna(), axis=0)
    return joined
