"""SHAP values of the boosted trees, on the scale of the expected score.

Path-dependent TreeSHAP (Lundberg et al. 2020, Nature Machine Intelligence 2:56-67) as LightGBM
computes it, exactly and in double precision. Contributions describe the model, not causes.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from riskadj.cohort import Cohort
from riskadj.digest import digest_of_frame
from riskadj.expected import ExpectationModel, Expectations, LightGBMExpectation
from riskadj.stats.links import link_named

if TYPE_CHECKING:
    import shap

FOLD = "(fold)"
"""Stands for differences in base between the models of different folds."""
START = "(score before)"
"""Stands for the gain that is left when patients start higher or lower."""
ADDITIVITY = 1e-6
ROUNDING = 1e-9
KEYS = ["outcome", "learner"]


@dataclass(frozen=True)
class Explanation:
    """Contributions to the expectation, in its unit; to a chance, in log-odds; to a cost, in logs.

    Contributions to the logarithm of a cost multiply: 0.1 makes it dearer by a factor of exp(0.1).

    Attributes
    ----------
    episodes : DataFrame
        A row per learner and episode: `outcome, learner, episode_id, provider_id, base`, one
        column per case-mix column, `expected_score` (of a chance its log-odds, of a cost its
        logarithm); base plus contributions is the latter.
    features : DataFrame
        `outcome, learner, feature, theme, mean_absolute, share`, largest first.
    providers : DataFrame
        `outcome, learner, provider_id, n, feature, theme, contribution, difference`: how far
        the mean contribution of the provider's episodes to the expectation is from that of all,
        positive when better (of a cost: when dearer), and, where gains are compared, as
        `(score before)`, how far their start is, negative when better. They sum to `difference`,
        the provider's mean expected gain (or what else is compared; of chances their log-odds, of
        costs their logarithms) minus that of all.
    digest : str
    """

    episodes: pd.DataFrame
    features: pd.DataFrame
    providers: pd.DataFrame
    digest: str

    def to_shap(self, casemix: pd.DataFrame) -> "shap.Explanation":
        """Return a `shap.Explanation`, for that library's plots.

        Parameters
        ----------
        casemix : DataFrame of shape (n_episodes, n_columns)
            What the episodes hold, in their order.
        """
        import shap

        names = feature_columns(self.episodes)
        return shap.Explanation(
            values=self.episodes[names].to_numpy(),
            base_values=self.episodes["base"].to_numpy(),
            data=casemix[names].to_numpy(),
            feature_names=names,
        )


def feature_columns(episodes: pd.DataFrame) -> list[str]:
    """Return the names of the contribution columns of an explanation's `episodes`."""
    fixed = {*KEYS, "episode_id", "provider_id", "base", "expected_score"}
    return [one for one in episodes.columns if one not in fixed]


def explain_expectations(expectations: Expectations) -> Explanation | None:
    """Explain the expectations of the boosted trees, or return None when there are none.

    Raises
    ------
    ArithmeticError
        When base plus contributions differ from the expected score by more than 1e-6.
    """
    for learner, rows in expectations.by_learner():
        model = expectations.models.get(learner)
        if model and isinstance(model.members[0], LightGBMExpectation):
            episodes = _episodes(expectations, model, rows)
            return Explanation(
                episodes,
                _by_feature(episodes, _themes(model)),
                _by_provider(episodes, _themes(model), expectations.cohort),
                digest_of_frame(episodes, expectations.digest),
            )
    return None


def _episodes(
    expectations: Expectations, model: ExpectationModel, rows: pd.DataFrame
) -> pd.DataFrame:
    values = _contributions(model, expectations.casemix.test, rows["fold"].to_numpy())
    by_column = _sum_by_source(values[:, :-1], model)
    base = model.intercept + model.slope * values[:, -1]
    table = pd.concat(
        [
            rows[[*KEYS, "episode_id", "provider_id"]].reset_index(drop=True),
            pd.DataFrame({"base": base}),
            pd.DataFrame(model.slope * by_column, columns=[one.name for one in model.columns]),
            pd.DataFrame({"expected_score": _on_scale(model, rows["expected_score"])}),
        ],
        axis=1,
    )
    _check_additive(table)
    return table


def _on_scale(model: ExpectationModel, expected: pd.Series) -> np.ndarray:
    return link_named(model.link).predictor(expected.to_numpy(dtype=float))


def _contributions(model: ExpectationModel, casemix: pd.DataFrame, fold: np.ndarray) -> np.ndarray:
    X = model.encode(casemix)
    values = np.empty((len(X), X.shape[1] + 1))
    for k, member in enumerate(model.members):
        inside = fold == k
        if inside.any() and isinstance(member, LightGBMExpectation):
            values[inside] = member.contributions(X[inside])
    return values


def _sum_by_source(values: np.ndarray, model: ExpectationModel) -> np.ndarray:
    """Add up the features that come from one case-mix column, such as the levels of a text."""
    names = [one.name for one in model.columns]
    summed = np.zeros((len(values), len(names)))
    for position, source in enumerate(model.encoder.sources_):
        summed[:, names.index(source)] += values[:, position]
    return summed


def _check_additive(table: pd.DataFrame) -> None:
    total = table["base"] + table[feature_columns(table)].sum(axis=1)
    gap = float((total - table["expected_score"]).abs().max())
    if not gap <= ADDITIVITY:
        raise ArithmeticError(
            f"wanted base plus contributions within {ADDITIVITY:g} of the expectation; got {gap:g}"
        )


def _themes(model: ExpectationModel) -> dict[str, str]:
    return {one.name: one.theme for one in model.columns} | {FOLD: FOLD, START: "room to gain"}


def _by_feature(episodes: pd.DataFrame, themes: dict[str, str]) -> pd.DataFrame:
    size = episodes[feature_columns(episodes)].abs().mean()
    table = size.rename("mean_absolute").rename_axis("feature").reset_index()
    table["share"] = table["mean_absolute"] / table["mean_absolute"].sum()
    table = table.sort_values(["mean_absolute", "feature"], ascending=[False, True])
    table["theme"] = table["feature"].map(themes)
    return _keyed(table, episodes, ["feature", "theme", "mean_absolute", "share"])


def _by_provider(episodes: pd.DataFrame, themes: dict[str, str], cohort: Cohort) -> pd.DataFrame:
    values = episodes[["base", *feature_columns(episodes)]]
    sign = 1 if cohort.outcome.compares.family == "gamma" else cohort.outcome.better
    if cohort.outcome.kind == "gain":
        values = values.assign(**{START: -cohort.test["baseline_score"].to_numpy()})
        sign = cohort.outcome.measured.direction
    values = values * sign
    gap = values.groupby(episodes["provider_id"]).mean() - values.mean()
    gap = gap.rename(columns={"base": FOLD})
    if gap[FOLD].abs().max() <= ROUNDING:
        gap = gap.drop(columns=FOLD)
    table = gap.stack().rename("contribution").rename_axis(["provider_id", "feature"])
    table = table.reset_index()
    table["n"] = table["provider_id"].map(episodes["provider_id"].value_counts())
    table["difference"] = table.groupby("provider_id")["contribution"].transform("sum")
    table["theme"] = table["feature"].map(themes)
    wanted = ["provider_id", "n", "feature", "theme", "contribution", "difference"]
    return _keyed(table, episodes, wanted)


def _keyed(table: pd.DataFrame, episodes: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    keys = {name: episodes[name].iloc[0] for name in KEYS}
    return table.assign(**keys)[[*KEYS, *columns]].reset_index(drop=True)
