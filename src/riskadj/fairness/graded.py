r"""Social circumstances adjusted for by degrees: from not at all to all that they do.

The curve is this package's own proposal; no publication's formula is claimed. That adjustment is a
matter of degree and a choice, not a fact to be found, is an argument of others.

With :math:`o` the linear predictor of an expectation from case mix alone, whoever learned it, and
:math:`\tilde s` what social circumstances are beyond what goes with case mix anyhow, the
expectation at the share :math:`\lambda` is :math:`g(o + \lambda \tilde s'\beta + c)`, where
:math:`c` keeps the sum of all expectations. At 0 it is the expectation from case mix. At 1 it is
that of patients alike in case mix and circumstances. :math:`\beta` compares patients of the same
provider, so that a difference in quality between providers of the poor and of the rich stays a
difference; it is learned from other episodes than those it is used for, like the expectation.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from riskadj.cohort import Cohort
from riskadj.errors import StudyError, TooFewProvidersError
from riskadj.expected import Expectations
from riskadj.fairness.lessons import Coding, Lessons, casemix_coding, coding_of, lessons_of
from riskadj.profile.analysis import Analysis, hold
from riskadj.profile.estimates import Estimates, Sample, estimate
from riskadj.profile.flags import flag_labels
from riskadj.profile.providers import held_back
from riskadj.stats import Z95
from riskadj.stats.arrays import Floats
from riskadj.stats.graded import (
    WithinSlopes,
    crossing,
    shift_to_total,
    slope_between,
    slopes_within,
)
from riskadj.stats.links import link_named
from riskadj.study import Study
from riskadj.study.kinds import LINK_OF, shown
from riskadj.study.profile import ProfileRules

FEWEST_OF_LEVEL = 30
"""Episodes without which a level of a social factor counts with the commonest one."""
FIGURE_COLUMNS = [
    "n", "observed", "expected", "ratio", "difference", "adjusted", "ci_lower95", "ci_upper95", "z",
    "flag",
]  # fmt: skip
"""As in the provider table of a run."""
GRADED_COLUMNS = [
    "outcome", "learner", "lambda", "provider_id", *FIGURE_COLUMNS, "social", "flag_changes_at",
]  # fmt: skip
SLOPE_COLUMNS = [
    "outcome", "learner", "factor", "within", "standard_error", "lower95", "upper95",
    "lowest_of_folds", "highest_of_folds", "pooled", "pooled_lower95", "pooled_upper95", "between",
    "between_lower95", "between_upper95", "n", "providers",
]  # fmt: skip


# --- what social circumstances add ----------------------------------------------------------------


@dataclass(frozen=True)
class SocialPart:
    """What social circumstances add to what a learner expects of each episode compared.

    Attributes
    ----------
    learner : str
    beyond : ndarray of shape (n_episodes,)
        Beyond what goes with case mix, on the scale of the linear predictor.
    whole : ndarray of shape (n_episodes,)
        All of it.
    slopes : DataFrame
        The columns of `SLOPE_COLUMNS` but `outcome`.
    """

    learner: str
    beyond: Floats
    whole: Floats
    slopes: pd.DataFrame


def social_part(
    expectations: Expectations, learner: str, columns: Sequence[str], study: Study
) -> SocialPart:
    """Return what social circumstances add, each episode's by slopes learned without its group.

    Parameters
    ----------
    expectations : Expectations
        From case mix without the social columns, as from `without_columns`.
    learner : str
    columns : sequence of str
        Of the episodes; numbers count by their value, texts by level.
    study : Study

    Raises
    ------
    StudyError
        As `social_coding` raises.
    ArrayError
        When a factor follows from others, or from case mix.
    """
    lessons = lessons_of(expectations, learner, study)
    social = social_coding(columns, lessons.teach)
    beside = casemix_coding(expectations.casemix, lessons.teach)
    link = link_named(LINK_OF[lessons.family])
    rows = _Rows.of(lessons.teach, lessons.expected_teach, social, beside, link.predictor)
    asked = _Rows.of(lessons.asked, lessons.expected_asked, social, beside, link.predictor)
    beyond, whole = np.zeros(len(lessons.asked)), np.zeros(len(lessons.asked))
    fits = []
    for inside, outside in lessons.folds:
        fit = _fit(lessons, rows, inside)
        fits.append(fit)
        beyond[outside] = fit.part(asked.social[outside], asked.beside[outside])
        whole[outside] = fit.part(asked.social[outside])
    return SocialPart(learner, beyond, whole, _slopes(lessons, rows, social, fits))


@dataclass(frozen=True)
class _Rows:
    """Episodes as numbers: their linear predictor, social circumstances and case mix."""

    predictor: Floats
    social: Floats
    beside: Floats

    @classmethod
    def of(
        cls,
        episodes: pd.DataFrame,
        expected: Floats,
        social: Coding,
        beside: Coding,
        predictor_of: Callable[[Floats], Floats],
    ) -> "_Rows":
        return cls(predictor_of(expected), social.code(episodes), beside.code(episodes))


def social_coding(columns: Sequence[str], like: pd.DataFrame) -> Coding:
    """Return how social factors become numbers, learned from the episodes that teach.

    Levels of fewer than `FEWEST_OF_LEVEL` episodes count with the commonest one.

    Raises
    ------
    StudyError
        When a column is not in the episodes, is the same for nearly everybody, or for all patients
        of every provider.
    """
    absent = [one for one in columns if one not in like.columns]
    if absent:
        raise StudyError(
            f"fairness.social.columns: wanted columns of the episodes; got {', '.join(absent)}, "
            "which they lack. Leave it out."
        )
    whole = coding_of(columns, like)
    X = whole.code(like)
    held = np.array([np.count_nonzero(one != one[0]) for one in X.T])
    kept = np.flatnonzero(np.minimum(held, len(X) - held) >= min(FEWEST_OF_LEVEL, len(X) // 10))
    numbers = np.array([np.unique(one).size > 2 for one in X.T], dtype=bool)
    kept = np.union1d(kept, np.flatnonzero(numbers))
    if not kept.size:
        raise StudyError(
            f"fairness.social.columns: wanted a factor with {FEWEST_OF_LEVEL} episodes or more of "
            f"two of its levels; got {', '.join(columns)}. Leave fairness.social out."
        )
    names = tuple(whole.names[one] for one in kept)
    by_provider = pd.DataFrame(X[:, kept]).groupby(like["provider_id"].to_numpy())
    same = ~(by_provider.max() > by_provider.min()).any().to_numpy()
    if same.any():
        raise StudyError(
            "fairness.social.columns: wanted factors that differ between patients of the same "
            f"provider; got {names[int(np.argmax(same))]}, which does not. Leave it out; "
            "profile.peer_group compares providers that are alike in it."
        )
    return Coding(names, lambda episodes: whole.code(episodes)[:, kept])


def _fit(lessons: Lessons, rows: _Rows, at: NDArray[np.intp], within: bool = True) -> WithinSlopes:
    return slopes_within(
        lessons.y[at], rows.predictor[at], rows.social[at], lessons.provider[at], lessons.family,
        rows.beside[at], within=within,
    )  # fmt: skip


def _slopes(
    lessons: Lessons, rows: _Rows, social: Coding, fits: Sequence[WithinSlopes]
) -> pd.DataFrame:
    everybody = np.arange(len(lessons.teach))
    one, pooled = _fit(lessons, rows, everybody), _fit(lessons, rows, everybody, within=False)
    by_fold = np.array([fit.coef for fit in fits])
    between = slope_between(
        lessons.y, rows.predictor, rows.social, lessons.provider, lessons.family
    )
    table = pd.DataFrame(
        {
            "learner": lessons.learner,
            "factor": social.names,
            **_ends("within", one.coef, one.standard_error, ""),
            "standard_error": one.standard_error,
            "lowest_of_folds": by_fold.min(axis=0),
            "highest_of_folds": by_fold.max(axis=0),
            **_ends("pooled", pooled.coef, pooled.standard_error, "pooled_"),
            **_ends("between", between.coef, between.standard_error, "between_"),
            "n": one.n,
            "providers": one.n_providers,
        }
    )
    return table[SLOPE_COLUMNS[1:]]


def _ends(name: str, coef: Floats, error: Floats, prefix: str) -> dict[str, Floats]:
    """Return slopes with the ends of their intervals of 95 %."""
    half = Z95 * error
    return {name: coef, f"{prefix}lower95": coef - half, f"{prefix}upper95": coef + half}


# --- providers under an expectation ---------------------------------------------------------------


@dataclass(frozen=True)
class Compared:
    """Providers under one expectation.

    Attributes
    ----------
    table : DataFrame
        By provider: the columns of `FIGURE_COLUMNS`, and `place`, as in `Analysis`; NaN where not
        compared.
    analysis : Analysis
    """

    table: pd.DataFrame
    analysis: Analysis


@dataclass(frozen=True)
class Comparing:
    """How the providers of a cohort are compared: as the study's profile does, but for peers.

    Attributes
    ----------
    cohort : Cohort
    study : Study
    """

    cohort: Cohort
    study: Study

    @property
    def provider(self) -> NDArray[np.object_]:
        """Of every episode compared."""
        return np.asarray(self.cohort.test["provider_id"])

    @property
    def observed(self) -> Floats:
        """What is compared, of every episode."""
        return self.shown(self.cohort.test["observed_score"].to_numpy(dtype=float))

    def shown(self, target: Floats) -> Floats:
        """Return what is compared, from what is modelled."""
        before = self.cohort.test["baseline_score"].to_numpy(dtype=float)
        return shown(self.cohort.outcome, target, before)

    def rules(self, peers: pd.Series | None) -> ProfileRules:
        """Return how providers are compared: with everybody, or with their peers."""
        rules = self.study.profile
        if peers is None:
            return rules.model_copy(update={"peer_group": None})
        given = {} if isinstance(rules.reference, str) else {"reference": "volume_weighted"}
        return rules.model_copy(update={"peer_group": "(peers)"} | given)

    def by(self, expected_score: Floats, peers: pd.Series | None = None) -> Compared:
        """Compare providers by the study's method, given what is expected of what is modelled."""
        sample, rules = self.sample(self.shown(expected_score)), self.rules(peers)
        found = estimate(rules.method, sample)
        return self.held(found, sample, rules.limits, peers=peers)

    def sample(self, expected: Floats) -> Sample:
        """Return the episodes with what is expected of what is compared."""
        given, outcome = self.cohort.outcome.reference, self.cohort.outcome
        return Sample(
            self.observed, expected, self.provider, given.sd if given else None,
            self.study.profile.between, outcome.compares.family,
        )  # fmt: skip

    def held(
        self,
        found: Estimates,
        sample: Sample,
        limits: str,
        weights: Floats | None = None,
        peers: pd.Series | None = None,
    ) -> Compared:
        """Return providers whose effects were estimated, held against limits.

        Parameters
        ----------
        found : Estimates
        sample : Sample
        limits : str
        weights : ndarray of shape (n_episodes,), optional
            What episodes count for in their provider's means.
        peers : Series, optional
        """
        outcome, rules = self.cohort.outcome, self.rules(peers)
        mean = outcome.reference.gain if outcome.reference else float(self.observed.mean())
        analysis = hold(found, sample, rules, mean, peers, rules.method, limits, outcome.better)
        ends = {"ci_lower": "ci_lower95", "ci_upper": "ci_upper95"}
        judged = analysis.table[["adjusted", *ends, "z", "place"]].rename(columns=ends)
        table = _means(sample, weights).join(judged)
        silent = held_back(self.cohort, self.rules(None))
        table.loc[table.index.isin(silent), ["z", "place"]] = np.nan
        return Compared(table.assign(flag=self._flags(table, silent)), analysis)

    def _flags(self, table: pd.DataFrame, silent: pd.Index) -> NDArray[np.object_]:
        rules = self.study.profile
        labels = flag_labels(rules.labels, rules.levels)
        enough = (table["n"] >= rules.minimum_n).to_numpy()
        return np.select(
            [table["place"].notna(), table.index.isin(silent) & enough, enough],
            [labels.at(table["place"].fillna(0)), labels.low_response, labels.no_peers],
            default=labels.too_few,
        )


def _means(sample: Sample, weights: Floats | None = None) -> pd.DataFrame:
    """Return counts, means, their ratio and difference; a ratio to about 0 is withheld."""
    w = np.ones(len(sample.observed)) if weights is None else weights
    rows = pd.DataFrame(
        {"n": 1, "w": w, "observed": w * sample.observed, "expected": w * sample.expected}
    )
    sums = rows.groupby(sample.provider).sum()
    observed, expected = sums["observed"] / sums["w"], sums["expected"] / sums["w"]
    sd = sample.sd or float(np.std(sample.observed - sample.expected, ddof=1))
    error = 0.0 if sample.family != "gaussian" else sd / np.sqrt(sums["n"])
    ratio = (observed / expected.where(expected != 0)).where(expected.abs() >= Z95 * error)
    return pd.DataFrame(
        {
            "n": sums["n"].astype(int),
            "observed": observed,
            "expected": expected,
            "ratio": ratio,
            "difference": observed - expected,
        }
    ).rename_axis("provider_id")


# --- the curve ------------------------------------------------------------------------------------


def expected_at(share: float, expected_score: Floats, part: Floats, link: str) -> Floats:
    """Return expectations with a share of what social circumstances add; their sum is kept.

    Parameters
    ----------
    share : float
        From 0 to 1.
    expected_score : ndarray of shape (n_episodes,)
        Without them.
    part : ndarray of shape (n_episodes,)
        All that they add, on the scale of the link.
    link : {"identity", "logit", "log"}

    Examples
    --------
    >>> expected_at(0.5, np.array([10.0, 20.0]), np.array([-4.0, 2.0]), "identity").tolist()
    [8.5, 21.5]
    """
    if share == 0:
        return expected_score
    scale = link_named(link)
    predictor = scale.predictor(expected_score) + share * part
    return scale.mean(predictor + shift_to_total(predictor, float(expected_score.sum()), link))


def grade(
    comparing: Comparing, expected_score: Floats, part: SocialPart, lambdas: Sequence[float]
) -> pd.DataFrame:
    """Return every provider's figures and flag along the curve, and where its flag changes.

    Parameters
    ----------
    comparing : Comparing
    expected_score : ndarray of shape (n_episodes,)
        From case mix without social circumstances, recalibrated.
    part : SocialPart
    lambdas : sequence of float
        From 0 to 1, in order.

    Returns
    -------
    DataFrame
        The columns of `GRADED_COLUMNS` but `outcome`. `social`: how much more (or less) is
        expected of the provider's patients than at the first of `lambdas`, in the unit of what is
        compared. `flag_changes_at`: the least share at which the flag is no longer that at the
        first of `lambdas`, by a straight line between neighbouring shares; NaN where it stays.
    """
    link = LINK_OF[comparing.cohort.outcome.compares.family]
    steps = {
        share: comparing.by(expected_at(share, expected_score, part.beyond, link))
        for share in lambdas
    }
    first = steps[lambdas[0]].table
    changes = _changes(steps, comparing)
    parts = [
        one.table.assign(
            learner=part.learner,
            social=one.table["expected"] - first["expected"],
            flag_changes_at=changes,
            **{"lambda": share},
        ).reset_index()
        for share, one in steps.items()
    ]
    return pd.concat(parts, ignore_index=True)[GRADED_COLUMNS[1:]]


def _changes(steps: dict[float, Compared], comparing: Comparing) -> "pd.Series[float]":
    """Return the share at which each provider's flag first changes; NaN where it stays."""
    rules, better = comparing.study.profile, comparing.cohort.outcome.better
    labels = flag_labels(rules.labels, rules.levels).of
    first = next(iter(steps.values())).table
    found = pd.Series(np.nan, index=first.index)
    shares = list(steps)
    for before, after in pairwise(shares):
        here, there = steps[before], steps[after]
        waits = found.isna() & here.table["place"].notna() & there.table["place"].notna()
        for name in found.index[waits]:
            old, new = (int(one.table.at[name, "place"]) for one in (here, there))
            bound = _first_bound(old, new, labels)
            if bound is None:
                continue
            away = [
                better * float(one.table.at[name, "z"]) - _cut(one.analysis, bound)
                for one in (here, there)
            ]
            found[name] = _between(away, before, after)
    return found


def _between(away: Sequence[float], before: float, after: float) -> float:
    """Return where a limit is met; a provider that was on it leaves it at once."""
    here, there = away
    return before if here * there > 0 or here == there else crossing(here, there, before, after)


def _first_bound(old: int, new: int, labels: Mapping[int, str]) -> float | None:
    """Return the limit that is met first on the way to another flag, between two places."""
    step = 1 if new > old else -1
    for place in range(old, new, step):
        if labels[place] != labels[place + step]:
            return place + step / 2
    return None


def _cut(analysis: Analysis, bound: float) -> float:
    """Return the limit between two places, in spreads; 0.5 is the upper inner one."""
    size = analysis.measured.inner if abs(bound) < 1 else analysis.measured.outer
    return float(np.sign(bound) * size)


def peers_by_circumstances(
    whole: Floats, provider: NDArray[np.object_], minimum_n: int
) -> "pd.Series[str]":
    """Return fifths of providers by what circumstances do to their patients on average.

    As payers group hospitals by the share of their patients that is poor; with fewer than 25
    providers that have episodes enough, fewer and larger groups.

    Parameters
    ----------
    whole : ndarray of shape (n_episodes,)
        As in `SocialPart`.
    provider : ndarray of shape (n_episodes,)
    minimum_n : int
        Providers with fewer episodes do not count when groups are cut.

    Raises
    ------
    TooFewProvidersError
        With fewer than 4 providers that have as many episodes.
    """
    means = pd.Series(whole).groupby(provider).agg(["mean", "size"])
    enough = means["size"] >= minimum_n
    count = min(5, int(enough.sum()) // (5 if enough.sum() >= 25 else 2))
    if count < 2:
        raise TooFewProvidersError(
            f"fairness.social: wanted 4 providers or more with {minimum_n} episodes, to make peer "
            f"groups of; got {int(enough.sum())}."
        )
    cuts = np.quantile(means.loc[enough, "mean"], np.arange(1, count) / count)
    group = np.searchsorted(cuts, means["mean"], side="right") + 1
    return pd.Series([f"{one} of {count}" for one in group], index=means.index, dtype="str")
