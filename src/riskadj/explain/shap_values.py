"""What each column adds to the expectation of every episode, of every learner that adds up.

Boosted trees have exact path-dependent SHAP values (Lundberg et al. 2020, Nature Machine
Intelligence 2:56-67), lines their terms: see `additive`. What is expected of an episode is taken
apart by the model that did not learn from it. Contributions describe the model, not causes.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from riskadj.casemix.roles import refusal, refusal_by
from riskadj.cohort import Cohort
from riskadj.digest import digest_of_frame
from riskadj.engine import in_use
from riskadj.episodes import Column
from riskadj.episodes.mapped import joined, room_for
from riskadj.errors import CaseMixError
from riskadj.expected import ExpectationModel, Expectations, LightGBMExpectation
from riskadj.explain.additive import Asked, Taught, contributions_of, why_not
from riskadj.explain.pairs import PAIR_COLUMNS, pairs_of, sampled
from riskadj.stats.links import link_named
from riskadj.study.cohort import CaseMixRules

if TYPE_CHECKING:
    import shap

FOLD = "(fold)"
"""Stands for differences in base between the models of different folds."""
START = "(score before)"
"""Stands for the gain that is left when patients start higher or lower."""
COARSE = "(rounding)"
"""Stands for what rounding contributions takes from their sum; see `report.disclosure`."""
ADDITIVITY = 1e-6
LARGEST = {"logit": 15.0}
"""By link: how far out numbers still tell chances from 0 and 1 to the last digits wanted."""
ROUNDING = 1e-9
_MANY = ("number", "whole")
"""Kinds of columns that may have many values."""
_FEW = 12
"""Values, constants each perhaps, that are few."""
AT_A_TIME = 8
"""Columns of all episodes that are looked at together."""
KEYS = ["outcome", "learner"]
ROLE_COLUMNS = [*KEYS, "role", "columns", "mean_absolute", "share"]
STEP_COLUMNS = [*KEYS, "provider_id", "feature", "origin", "step", "near", "far"]
PART_COLUMNS = [*KEYS, "part", "n", "feature", "mean_absolute", "share", "rank"]


def _nothing(columns: list[str]) -> pd.DataFrame:
    return pd.DataFrame(columns=columns)


@dataclass(frozen=True)
class Explanation:
    """Contributions to the expectation, in its unit; to a chance, in log-odds; to a cost, in logs.

    Contributions to the logarithm of a cost multiply: 0.1 makes it dearer by a factor of exp(0.1).

    Attributes
    ----------
    episodes : DataFrame
        A row per learner and episode: `outcome, learner, episode_id, provider_id, base`, one
        column per case-mix column, `expected_score` (of a chance its log-odds, of a cost its
        logarithm); base plus contributions is the latter. Null where a learner does not ask for
        the column.
    features : DataFrame
        `outcome, learner, feature, theme, mean_absolute, share, role`, largest first.
    providers : DataFrame
        `outcome, learner, provider_id, n, feature, theme, contribution, difference`: how far
        the mean contribution of the provider's episodes to the expectation is from that of all,
        positive when better (of a cost: when dearer), and, where gains are compared, as
        `(score before)`, how far their start is, negative when better. They sum to `difference`,
        the provider's mean expected gain (or what else is compared; of chances their log-odds, of
        costs their logarithms) minus that of all.
    digest : str
    roles : DataFrame
        `outcome, learner, role, columns, mean_absolute, share`: how many columns of a role there
        are, and the sum of what they move.
    folds : DataFrame
        `outcome, learner, part, n, feature, mean_absolute, share, rank`: the same as in `features`
        by fold, each expected by another model; of a single model, by random halves of the
        providers.
    interactions : DataFrame
        `outcome, learner, first, second, n, mean_absolute`: what two columns do together in
        boosted trees, in a random sample of `n` episodes; the largest. Empty unless asked for.
    steps : DataFrame
        `outcome, learner, provider_id, feature, origin, step, near, far`: how contributions of
        single episodes lie, of those that the provider's model expects, on the scale of
        `providers`: `origin` their median, `far` the end that is farther from it, `near` the other.
        `step` goes from the origin towards the far end: as wide as all of them where they have few
        values, else the root mean square distance of those who are not at the origin. It never
        leaves.
    """

    episodes: pd.DataFrame
    features: pd.DataFrame
    providers: pd.DataFrame
    digest: str
    roles: pd.DataFrame = field(default_factory=partial(_nothing, ROLE_COLUMNS))
    folds: pd.DataFrame = field(default_factory=partial(_nothing, PART_COLUMNS))
    interactions: pd.DataFrame = field(default_factory=partial(_nothing, PAIR_COLUMNS))
    steps: pd.DataFrame = field(default_factory=partial(_nothing, STEP_COLUMNS))

    def of(self, learner: str) -> pd.DataFrame:
        """Return the episodes of one learner, without columns that it does not ask for."""
        rows = self.episodes[self.episodes["learner"] == learner]
        return rows.dropna(axis=1, how="all").reset_index(drop=True)

    def to_shap(self, casemix: pd.DataFrame, learner: str | None = None) -> "shap.Explanation":
        """Return a `shap.Explanation`, which that library's own plots take.

        A run folder has contributions and no values of patients, so that this is for who holds the
        episodes: of each column, how its values go with what it adds.

        Parameters
        ----------
        casemix : DataFrame of shape (n_episodes, n_columns)
            What the episodes hold, in their order: `expectations.casemix.test`. Texts stay texts.
        learner : str, optional
            The first that is explained, unless given.

        Returns
        -------
        shap.Explanation
            `values` and `data` of shape (n_episodes, n_columns), `base_values` of (n_episodes,).

        Examples
        --------
        >>> import shap  # doctest: +SKIP
        >>> explanation = explain_expectations(expectations)  # doctest: +SKIP
        >>> told = explanation.to_shap(expectations.casemix.test, "lightgbm")  # doctest: +SKIP
        >>> shap.plots.scatter(told[:, "age_years"])  # doctest: +SKIP
        >>> shap.plots.waterfall(told[0])  # doctest: +SKIP
        """
        import shap

        episodes = self.of(learner or str(self.episodes["learner"].iloc[0]))
        names = feature_columns(episodes)
        return shap.Explanation(
            values=episodes[names].to_numpy(),
            base_values=episodes["base"].to_numpy(),
            data=casemix[names].to_numpy(),
            feature_names=names,
        )


def feature_columns(episodes: pd.DataFrame) -> list[str]:
    """Return the names of the contribution columns of an explanation's `episodes`."""
    fixed = {*KEYS, "episode_id", "provider_id", "base", "expected_score"}
    return [one for one in episodes.columns if one not in fixed]


def explain_expectations(
    expectations: Expectations,
    rules: CaseMixRules | None = None,
    *,
    interactions: bool = False,
    seed: int = 0,
) -> Explanation | None:
    """Explain the expectations of every learner that adds up, or return None when none does.

    Parameters
    ----------
    expectations : Expectations
    rules : CaseMixRules, optional
        What the study lets in; without them, whatever a study could let in.
    interactions : bool
        Whether to look at pairs of columns, too.
    seed : int
        Of halves of the providers, and of the episodes whose pairs are looked at.

    Raises
    ------
    CaseMixError
        When a column carries weight that may be no case mix: an identifier, one that is not known
        at baseline, or one that the provider influences and the study does not let in.
    ArithmeticError
        When base plus contributions differ from the expected score by more than 1e-6.
    """
    parts = [
        _explain(expectations, model, rows, rules, interactions, seed)
        for model, rows in _additive(expectations)
    ]
    if not parts:
        return None
    tables = {name: _stacked([getattr(one, name) for one in parts]) for name in _TABLES}
    return Explanation(**tables, digest=digest_of_frame(tables["episodes"], expectations.digest))


_TABLES = ("episodes", "features", "providers", "roles", "folds", "interactions", "steps")


def _stacked(tables: list[pd.DataFrame]) -> pd.DataFrame:
    return joined([one for one in tables if not one.empty] or tables[:1])


def unexplained(expectations: Expectations) -> dict[str, str]:
    """Return why the other learners are not explained, by learner."""
    reasons = {
        learner: why_not(expectations.models[learner].members[0])
        if learner in expectations.models
        else "its expectations come from outside"
        for learner, _ in expectations.by_learner()
    }
    return {learner: why for learner, why in reasons.items() if why}


def _additive(expectations: Expectations) -> Iterator[tuple[ExpectationModel, pd.DataFrame]]:
    for learner, rows in expectations.by_learner():
        model = expectations.models.get(learner)
        if model is not None and not any(why_not(one) for one in model.members):
            yield model, rows


def _explain(
    expectations: Expectations,
    model: ExpectationModel,
    rows: pd.DataFrame,
    rules: CaseMixRules | None,
    interactions: bool,
    seed: int,
) -> Explanation:
    episodes = _episodes(expectations, model, rows)
    features = _by_feature(episodes, model)
    _refuse_banned(features, expectations.cohort, model, rules)
    return Explanation(
        episodes,
        features,
        _by_provider(episodes, _themes(model), expectations.cohort),
        "",
        _by_role(features),
        _by_part(episodes, rows["fold"].to_numpy(), len(model.members), seed),
        _pairs(expectations, model, rows, seed) if interactions else _nothing(PAIR_COLUMNS),
        _steps(episodes, model, expectations.cohort, rows["fold"].to_numpy()),
    )


def _episodes(
    expectations: Expectations, model: ExpectationModel, rows: pd.DataFrame
) -> pd.DataFrame:
    parts = _contributions(expectations, model, rows["fold"].to_numpy())
    table = pd.concat(
        [
            rows[[*KEYS, "episode_id", "provider_id"]].reset_index(drop=True),
            pd.DataFrame(parts.T, columns=["base", *(c.name for c in model.columns)], copy=False),
            pd.DataFrame({"expected_score": _on_scale(model, rows["expected_score"])}),
        ],
        axis=1,
    )
    _check_additive(table, LARGEST.get(model.link, np.inf))
    return table


def _on_scale(model: ExpectationModel, expected: pd.Series) -> np.ndarray:
    return link_named(model.link).predictor(expected.to_numpy(dtype=float))


def _contributions(
    expectations: Expectations, model: ExpectationModel, fold: np.ndarray
) -> np.ndarray:
    """Return what each episode starts from, and what each column adds: a row of numbers each."""
    test = expectations.cohort.test[[one.name for one in model.columns]]
    taught = [_taught(expectations, model, k) for k in range(len(model.members))]
    parts = room_for(len(test), 1 + len(model.columns))
    for rows, found in in_use().over_rows(_parts_of_block, (test, fold), model, taught):
        parts[:, rows] = found
    return parts


def _parts_of_block(
    casemix: pd.DataFrame, fold: np.ndarray, model: ExpectationModel, taught: list[Taught]
) -> np.ndarray:
    """Return the parts of each episode, each by its own member."""
    X = model.encode(casemix)
    values, base = np.zeros_like(X), np.zeros(len(X))
    for k, member in enumerate(model.members):
        inside = fold == k
        if inside.any():
            asked = Asked(X[inside], taught[k], getattr(member, "threads", 1))
            values[inside], base[inside] = contributions_of(member, asked)
    by_column = model.slope * sum_by_source(values, model)
    return np.vstack([model.intercept + model.slope * base, by_column.T])


def _taught(expectations: Expectations, model: ExpectationModel, k: int) -> Taught:
    """Return what is asked of those whom a member learned from; of trees, which know it, nothing.

    One episode is asked for all the means that the others will want.
    """
    member = model.members[k]
    if isinstance(member, LightGBMExpectation):
        return Taught(None, model.encode)
    train, learned = expectations.cohort.train, expectations.learned[model.learner][k]
    inside = train["episode_id"].isin(learned.episode_ids).to_numpy()
    casemix = train[[one.name for one in model.columns]]
    taught = Taught(casemix if inside.all() else casemix[inside], model.encode)
    contributions_of(member, Asked(model.encode(casemix.iloc[:1]), taught))
    return taught.told()


def sum_by_source(values: np.ndarray, model: ExpectationModel) -> np.ndarray:
    """Add up the features that come from one case-mix column, such as the levels of a text."""
    names = [one.name for one in model.columns]
    summed = np.zeros((len(values), len(names)))
    for position, source in enumerate(model.encoder.sources_):
        summed[:, names.index(source)] += values[:, position]
    return summed


def _check_additive(table: pd.DataFrame, most: float) -> None:
    gaps = [_gap(table.iloc[rows], most) for rows in in_use().cuts(len(table))]
    gap = float(np.max(gaps))
    if not gap <= ADDITIVITY:
        raise ArithmeticError(
            f"wanted base plus contributions within {ADDITIVITY:g} of the expectation; got {gap:g}"
        )


def _gap(table: pd.DataFrame, most: float) -> float:
    total = table["base"] + table[feature_columns(table)].sum(axis=1)
    apart = total.clip(-most, most) - table["expected_score"].clip(-most, most)
    return float(apart.abs().max())


# --- what may carry weight ------------------------------------------------------------------------


def _refuse_banned(
    features: pd.DataFrame, cohort: Cohort, model: ExpectationModel, rules: CaseMixRules | None
) -> None:
    """Refuse weight on what may be no case mix, whatever way it came in."""
    for one in model.columns:
        declared = cohort.columns.get(one.name, one)
        weight = float(features.set_index("feature").at[one.name, "mean_absolute"])
        why = "" if one.name == cohort.outcome.measured.supplied else _banned(declared, rules)
        if why and weight > ROUNDING:
            raise CaseMixError(
                f"{cohort.outcome.name} by {model.learner}: wanted no weight on what may be no "
                f"case mix; got a mean contribution of {weight:.3g} from {one.name!r}: {why}. Take "
                "it out of casemix.columns and run again."
            )


def _banned(column: Column, rules: CaseMixRules | None) -> str:
    if rules is None:
        return refusal(column, allow_provider_influenced=True, coded_at_discharge=True)
    return refusal_by(rules, column)


# --- tables ---------------------------------------------------------------------------------------


def _by_role(features: pd.DataFrame) -> pd.DataFrame:
    sums = features.groupby([*KEYS, "role"], sort=False, as_index=False).agg(
        columns=("feature", "size"), mean_absolute=("mean_absolute", "sum"), share=("share", "sum")
    )
    return sums.sort_values(["mean_absolute", "role"], ascending=[False, True])[ROLE_COLUMNS]


def _by_part(episodes: pd.DataFrame, fold: np.ndarray, members: int, seed: int) -> pd.DataFrame:
    """Return the size of contributions by fold, or of a single model by half of the providers."""
    part = fold if members > 1 else _halves(episodes["provider_id"], seed)
    word = "fold" if members > 1 else "half"
    size = _by_columns(episodes, feature_columns(episodes), lambda v: v.abs().groupby(part).mean())
    table = size.stack().rename("mean_absolute").rename_axis(["at", "feature"]).reset_index()
    sums = table.groupby("at")["mean_absolute"]
    table = table.assign(
        part=[f"{word} {one + 1}" for one in table["at"]],
        n=table["at"].map(pd.Series(part).value_counts()),
        share=_share(table["mean_absolute"], sums.transform("sum")),
        rank=sums.rank(ascending=False, method="first").astype(int),
    )
    ordered = table.sort_values(["at", "rank"])
    return _keyed(ordered, episodes, PART_COLUMNS[len(KEYS) :])


def _halves(provider: pd.Series, seed: int) -> np.ndarray:
    names = np.sort(provider.unique())
    order = np.random.default_rng(seed).permutation(len(names))
    return np.asarray(provider.map(dict(zip(names, order % 2, strict=True))))


def _share(part: pd.Series, whole: Any) -> pd.Series:
    """Return shares; 0 where nothing moves."""
    return (part / whole).fillna(0.0)


def _pairs(
    expectations: Expectations, model: ExpectationModel, rows: pd.DataFrame, seed: int
) -> pd.DataFrame:
    few = sampled(len(rows), seed)
    X = model.encode(expectations.cohort.test.iloc[few])
    found = pairs_of(model, X, rows["fold"].to_numpy()[few], seed)
    return _keyed(found, rows, PAIR_COLUMNS[len(KEYS) :])


def _themes(model: ExpectationModel) -> dict[str, str]:
    return {one.name: one.theme for one in model.columns} | {FOLD: FOLD, START: "room to gain"}


def _by_feature(episodes: pd.DataFrame, model: ExpectationModel) -> pd.DataFrame:
    size = _by_columns(episodes, feature_columns(episodes), lambda v: v.abs().mean())
    table = size.rename("mean_absolute").rename_axis("feature").reset_index()
    table["share"] = _share(table["mean_absolute"], table["mean_absolute"].sum())
    table = table.sort_values(["mean_absolute", "feature"], ascending=[False, True])
    table["theme"] = table["feature"].map(_themes(model))
    table["role"] = table["feature"].map({one.name: one.role for one in model.columns})
    return _keyed(table, episodes, ["feature", "theme", "mean_absolute", "share", "role"])


def _sign(cohort: Cohort) -> int:
    """Return what makes a contribution positive when better, or of a cost when dearer."""
    if cohort.outcome.compares.family == "gamma":
        return 1
    is_gain = cohort.outcome.kind == "gain"
    return cohort.outcome.measured.direction if is_gain else cohort.outcome.better


def _steps(
    episodes: pd.DataFrame, model: ExpectationModel, cohort: Cohort, fold: np.ndarray
) -> pd.DataFrame:
    """Return how far apart what a column adds to single episodes is, from where and how far."""
    own = pd.Series(fold).groupby(episodes["provider_id"].to_numpy()).agg(["min", "max"])
    if not own["min"].equals(own["max"]):  # folds are within providers
        fold = np.zeros_like(fold)
    inside = {one: fold == one for one in np.unique(fold)}
    rows, sign = [], _sign(cohort)
    for one in model.columns:
        adds = sign * episodes[one.name].to_numpy()
        for part, which in inside.items():
            found = _step_of(adds[which], one.kind in _MANY)
            rows.append((part, one.name, found[0], *(place - adds.mean() for place in found[1:])))
    by_part = pd.DataFrame(rows, columns=["part", "feature", "step", "origin", "near", "far"])
    part = pd.DataFrame({"provider_id": episodes["provider_id"], "part": fold}).drop_duplicates()
    return _keyed(part.merge(by_part, on="part"), episodes, STEP_COLUMNS[len(KEYS) :])


def _step_of(adds: np.ndarray, many: bool) -> tuple[float, float, float, float]:
    """Return by how much one episode moves a sum of many, from where, and the ends of what can be.

    Counted from the median, which of a yes or no is the commoner.
    """
    origin = np.quantile(adds, 0.5, method="lower")
    near, far = sorted((adds.min(), adds.max()), key=lambda end: abs(end - origin))
    step = abs(far - near)
    if many and not _are_few(adds):
        away = adds[np.abs(adds - origin) > ROUNDING] - origin
        step = np.sqrt(np.mean(away**2)) if away.size else 0.0
    return float(np.copysign(step, far - origin)), float(origin), float(near), float(far)


def _are_few(values: np.ndarray) -> bool:
    return all(len(np.unique(some)) <= _FEW for some in (values[: 100 * _FEW], values))


def _by_provider(episodes: pd.DataFrame, themes: dict[str, str], cohort: Cohort) -> pd.DataFrame:
    sign, start = _sign(cohort), None
    if cohort.outcome.kind == "gain":
        start = pd.DataFrame({START: -cohort.test["baseline_score"].to_numpy()})
    codes, labels = pd.factorize(episodes["provider_id"], sort=True)

    def gap_of(values: pd.DataFrame) -> pd.DataFrame:
        values = values * sign
        return values.groupby(codes).mean() - values.mean()

    gap = _by_columns(episodes, ["base", *feature_columns(episodes)], gap_of)
    gap = gap if start is None else gap.join(gap_of(start))
    gap = gap.set_axis(labels).rename(columns={"base": FOLD})
    if gap[FOLD].abs().max() <= ROUNDING:
        gap = gap.drop(columns=FOLD)
    table = gap.stack().rename("contribution").rename_axis(["provider_id", "feature"])
    table = table.reset_index()
    table["n"] = table["provider_id"].map(episodes["provider_id"].value_counts())
    table["difference"] = table.groupby("provider_id")["contribution"].transform("sum")
    table["theme"] = table["feature"].map(themes)
    wanted = ["provider_id", "n", "feature", "theme", "contribution", "difference"]
    return _keyed(table, episodes, wanted)


def _by_columns(
    table: pd.DataFrame, names: list[str], summarise: Callable[[pd.DataFrame], Any]
) -> Any:
    """Return a summary of columns that takes a few of them at a time, as each is in memory then."""
    few = [names[k : k + AT_A_TIME] for k in range(0, len(names), AT_A_TIME)]
    found = [summarise(table[some]) for some in few]
    return pd.concat(found, axis=0 if isinstance(found[0], pd.Series) else 1)


def _keyed(table: pd.DataFrame, episodes: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    keys = {name: episodes[name].iloc[0] for name in KEYS}
    return table.assign(**keys)[[*KEYS, *columns]].reset_index(drop=True)
