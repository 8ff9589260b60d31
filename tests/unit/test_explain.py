"""What makes an expectation high or low: sums that must hold, and the library that defines them."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from worlds import LINEAR, OUT_OF_FOLD, expectations_of, make_study

from riskadj.errors import CaseMixError
from riskadj.expected import Expectations
from riskadj.explain import Explanation, explain_expectations, unexplained
from riskadj.explain.shap_values import FOLD, feature_columns

WHICH = pytest.mark.parametrize("which", ["expectations", "folded"])
LEARNER = pytest.mark.parametrize("learner", ["linear", "lightgbm"])
SEEN = {"expectations": ["half 1", "half 2"], "folded": ["fold 1", "fold 2", "fold 3"]}


@pytest.fixture
def explained(which: str, request: pytest.FixtureRequest) -> tuple[Expectations, Explanation]:
    expectations: Expectations = request.getfixturevalue(which)
    return expectations, explain(expectations)


Explained = tuple[Expectations, Explanation]


def explain(expectations: Expectations, **settings: object) -> Explanation:
    explanation = explain_expectations(expectations, **settings)  # type: ignore[arg-type]
    assert explanation is not None
    return explanation


def of(table: pd.DataFrame, learner: str) -> pd.DataFrame:
    return table[table["learner"] == learner].reset_index(drop=True)


@WHICH
@LEARNER
def test_base_and_contributions_add_up_to_the_expected_score(
    explained: Explained, learner: str
) -> None:
    expectations, explanation = explained
    episodes = explanation.of(learner)
    total = episodes["base"] + episodes[feature_columns(episodes)].sum(axis=1)
    want = of(expectations.table, learner).set_index("episode_id")
    gap = total.to_numpy() - want.loc[episodes["episode_id"], "expected_score"].to_numpy()
    assert np.abs(gap).max() < 1e-9


@WHICH
@LEARNER
def test_contributions_of_a_provider_sum_to_its_difference_in_expectation(
    explained: Explained, learner: str
) -> None:
    expectations, explanation = explained
    rows = of(expectations.table, learner)
    by_provider = rows.groupby("provider_id")["expected"].mean()
    want = by_provider - rows["expected"].mean()
    providers = of(explanation.providers, learner).groupby("provider_id")
    assert (providers["contribution"].sum() - want).abs().max() < 1e-9
    assert (providers["difference"].first() - want).abs().max() < 1e-9
    assert providers["n"].first().to_dict() == rows["provider_id"].value_counts().to_dict()


@WHICH
def test_contributions_of_all_providers_cancel(explained: Explained) -> None:
    _, explanation = explained
    table = explanation.providers.assign(
        total=explanation.providers["contribution"] * explanation.providers["n"]
    )
    assert table.groupby(["learner", "feature"])["total"].sum().abs().max() < 1e-9


@LEARNER
def test_differences_in_base_between_folds_are_shown_and_only_there(
    learner: str, expectations: Expectations, folded: Expectations
) -> None:
    out_of_time, out_of_fold = explain(expectations), explain(folded)
    assert FOLD not in set(of(out_of_time.providers, learner)["feature"])
    assert FOLD in set(of(out_of_fold.providers, learner)["feature"])


@WHICH
def test_contributions_are_those_of_the_library_that_defines_them(explained: Explained) -> None:
    import shap

    expectations, explanation = explained
    model = expectations.models["lightgbm"]
    X = model.encode(expectations.casemix.test)
    fold = of(expectations.table, "lightgbm")["fold"].to_numpy()
    for k, member in enumerate(model.members):
        explainer = shap.TreeExplainer(member.booster_)
        values = explainer.shap_values(X[fold == k])
        summed = pd.DataFrame(values, columns=model.encoder.sources_).T.groupby(level=0).sum().T
        episodes = explanation.of("lightgbm")[fold == k]
        want = summed[feature_columns(episodes)].to_numpy()
        got = episodes[feature_columns(episodes)].to_numpy()
        assert np.abs(got - want).max() < 1e-6
        base = episodes["base"] - model.intercept
        assert base.to_numpy() == pytest.approx(float(np.ravel(explainer.expected_value)[0]))


@WHICH
def test_a_line_starts_from_the_mean_of_those_it_learned_from(explained: Explained) -> None:
    expectations, explanation = explained
    model, train = expectations.models["linear"], expectations.cohort.train
    fold = of(expectations.table, "linear")["fold"].to_numpy()
    base = explanation.of("linear")["base"].to_numpy() - model.intercept
    for k, member in enumerate(model.members):
        inside = train["episode_id"].isin(expectations.learned["linear"][k].episode_ids)
        mean = member.predict(model.encode(train[inside])).mean()
        assert base[fold == k] == pytest.approx(mean)


def test_a_column_of_a_line_adds_its_multiplier_times_its_distance_from_the_mean(
    expectations: Expectations,
) -> None:
    line = expectations.models["linear"].members[0]
    names = expectations.casemix.names
    age = expectations.models["linear"].encoder.features_.index("age_years")
    design = np.cumsum([0, *(len(f.levels[1:]) or 1 for f in line.factors_)])
    at = next(k for k, one in enumerate(line.factors_) if one.feature == age)
    train, test = expectations.casemix.train["age_years"], expectations.casemix.test["age_years"]
    want = line.coef_[design[at]] * (test - train.mean())
    got = explain(expectations).of("linear")["age_years"]
    assert "age_years" in names
    assert got.to_numpy() == pytest.approx(want.to_numpy())


def test_the_levels_of_a_text_are_one_column(expectations: Expectations) -> None:
    explanation = explain(expectations)
    assert feature_columns(explanation.episodes) == expectations.casemix.names
    assert any("=" in one for one in expectations.models["lightgbm"].encoder.features_)


@LEARNER
@pytest.mark.parametrize("slope", [0.5, 2.0])
def test_contributions_follow_the_slope_of_recalibration(
    slope: float, learner: str, expectations: Expectations
) -> None:
    model = expectations.models[learner]
    steeper = replace(model, intercept=slope * model.intercept, slope=slope)
    table = of(expectations.table, learner)
    table = table.assign(expected_score=slope * table["expected_score"])
    changed = replace(expectations, models=expectations.models | {learner: steeper}, table=table)
    got, was = explain(changed).of(learner), explain(expectations).of(learner)
    names = feature_columns(was)
    np.testing.assert_allclose(got[names], slope * was[names], atol=1e-12)


def test_contributions_that_do_not_add_up_are_refused(expectations: Expectations) -> None:
    moved = expectations.table.assign(expected_score=expectations.table["expected_score"] + 1e-5)
    with pytest.raises(ArithmeticError, match="within 1e-06 of the expectation"):
        explain_expectations(replace(expectations, table=moved))


@LEARNER
def test_shares_of_features_sum_to_1_largest_first(
    learner: str, expectations: Expectations
) -> None:
    features = of(explain(expectations).features, learner)
    assert features["share"].sum() == pytest.approx(1.0)
    assert features["mean_absolute"].is_monotonic_decreasing
    assert set(features["feature"]) == set(expectations.casemix.names)
    assert features["feature"].iloc[0] == "q1_score_ohs"


def test_without_learners_that_add_up_there_is_nothing_to_explain(frame: pd.DataFrame) -> None:
    study = make_study(learners=[{"kind": "reference"}])
    expectations = expectations_of(frame, study)
    assert explain_expectations(expectations) is None
    assert unexplained(expectations) == {"reference": "its expectations come from outside"}


def test_nothing_is_left_unexplained_of_lines_and_trees(expectations: Expectations) -> None:
    assert unexplained(expectations) == {}


@LEARNER
def test_the_plots_of_the_library_get_the_same_numbers(
    learner: str, expectations: Expectations
) -> None:
    explanation = explain(expectations)
    got = explanation.to_shap(expectations.casemix.test, learner)
    assert got.values.shape == expectations.casemix.test.shape
    assert list(got.feature_names) == expectations.casemix.names
    total = got.base_values + got.values.sum(axis=1)
    assert total == pytest.approx(explanation.of(learner)["expected_score"].to_numpy())


def test_explaining_out_of_fold_asks_the_member_that_did_not_learn(frame: pd.DataFrame) -> None:
    expectations = expectations_of(frame, make_study(**OUT_OF_FOLD))
    episodes = explain(expectations).of("lightgbm")
    fold = of(expectations.table, "lightgbm")["fold"].to_numpy()
    assert episodes.groupby(fold)["base"].nunique().tolist() == [1, 1, 1]
    assert episodes["base"].nunique() == 3


# --- roles ----------------------------------------------------------------------------------------


@LEARNER
def test_roles_share_out_what_their_columns_move(learner: str, expectations: Expectations) -> None:
    explanation = explain(expectations)
    roles, features = of(explanation.roles, learner), of(explanation.features, learner)
    assert roles["share"].sum() == pytest.approx(1.0)
    assert roles["columns"].sum() == len(expectations.casemix.columns)
    social = features.query("role == 'social'")
    assert social["feature"].tolist() == ["living_arrangements"]
    got = roles.set_index("role").at["social", "mean_absolute"]
    assert got == pytest.approx(social["mean_absolute"].sum())


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"role": "identifier"}, "it says who was treated or by whom"),
        ({"known_at": "after"}, "it is known only after the episode"),
        ({"known_at": "during"}, "it is known only during the episode"),
        ({"role": "provider_influenced"}, "the provider influences it"),
    ],
)
def test_weight_on_what_may_be_no_case_mix_is_refused(
    change: dict[str, str], why: str, expectations: Expectations
) -> None:
    study = make_study()
    cohort = expectations.cohort
    column = cohort.columns["age_years"].model_copy(update=change)
    bent = replace(cohort, columns=dict(cohort.columns) | {"age_years": column})
    leaking = replace(expectations, casemix=replace(expectations.casemix, cohort=bent))
    with pytest.raises(CaseMixError, match=f"from 'age_years': {why}"):
        explain_expectations(leaking, study.casemix)


def test_a_banned_column_that_carries_no_weight_is_let_be(frame: pd.DataFrame) -> None:
    constant = frame.assign(comorb_depression=1.0)
    expectations = expectations_of(constant, make_study())
    cohort = expectations.cohort
    column = cohort.columns["comorb_depression"].model_copy(update={"known_at": "after"})
    bent = replace(cohort, columns=dict(cohort.columns) | {"comorb_depression": column})
    idle = replace(expectations, casemix=replace(expectations.casemix, cohort=bent))
    assert explain_expectations(idle, make_study().casemix) is not None


def test_what_the_study_lets_in_may_carry_weight(expectations: Expectations) -> None:
    cohort = expectations.cohort
    column = cohort.columns["age_years"].model_copy(update={"role": "provider_influenced"})
    bent = replace(cohort, columns=dict(cohort.columns) | {"age_years": column})
    allowed = replace(expectations, casemix=replace(expectations.casemix, cohort=bent))
    rules = make_study().casemix.model_copy(update={"allow_provider_influenced": True})
    assert explain_expectations(allowed, rules) is not None


# --- stability and pairs --------------------------------------------------------------------------


@pytest.mark.parametrize("which", list(SEEN))
@LEARNER
def test_parts_hold_every_episode_once_and_average_to_the_whole(
    which: str, learner: str, request: pytest.FixtureRequest
) -> None:
    expectations: Expectations = request.getfixturevalue(which)
    explanation = explain(expectations)
    parts = of(explanation.folds, learner)
    assert sorted(parts["part"].unique()) == SEEN[which]
    sizes = parts.groupby("part")["n"].first()
    assert sizes.sum() == len(explanation.of(learner))
    weighted = (parts["mean_absolute"] * parts["n"]).groupby(parts["feature"]).sum() / sizes.sum()
    want = of(explanation.features, learner).set_index("feature")["mean_absolute"]
    pd.testing.assert_series_equal(weighted.sort_index(), want.sort_index(), check_names=False)
    ranks = parts.groupby("part")["rank"].apply(list)
    assert all(one == list(range(1, len(want) + 1)) for one in ranks)


def test_halves_keep_providers_whole(expectations: Expectations) -> None:
    from riskadj.explain.shap_values import _halves

    provider = expectations.cohort.test["provider_id"]
    halves = _halves(provider, seed=3)
    assert pd.Series(halves).groupby(provider.to_numpy()).nunique().eq(1).all()
    assert set(halves) == {0, 1}


def test_pairs_are_told_on_request_only_and_of_trees_only(expectations: Expectations) -> None:
    assert explain(expectations).interactions.empty
    pairs = explain(expectations, interactions=True).interactions
    assert set(pairs["learner"]) == {"lightgbm"}
    assert pairs["mean_absolute"].is_monotonic_decreasing
    assert (pairs["first"] != pairs["second"]).all()
    assert (pairs["n"] == len(expectations.cohort.test)).all()


def test_pairs_of_trees_that_cannot_be_taken_apart_are_not_made_up(
    expectations: Expectations, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("riskadj.explain.pairs.read_forest", lambda _: None)
    assert explain(expectations, interactions=True).interactions.empty


def test_pairs_of_few_episodes_are_of_everybody_whatever_the_seed(folded: Expectations) -> None:
    from riskadj.explain import pairs

    model = folded.models["lightgbm"]
    X = model.encode(folded.cohort.test)
    fold = of(folded.table, "lightgbm")["fold"].to_numpy()
    whole = pairs.pairs_of(model, X, fold, seed=1)
    again = pairs.pairs_of(model, X, fold, seed=2)
    pd.testing.assert_frame_equal(whole, again)


def test_a_study_of_lines_alone_is_explained(frame: pd.DataFrame) -> None:
    explanation = explain(expectations_of(frame, make_study(learners=LINEAR)))
    assert set(explanation.episodes["learner"]) == {"linear"}
