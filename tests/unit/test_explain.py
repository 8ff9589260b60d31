"""What makes an expectation high or low: sums that must hold, and the library that defines them."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from worlds import LINEAR, OUT_OF_FOLD, expectations_of, make_study

from riskadj.expected import Expectations
from riskadj.explain import Explanation, explain_expectations
from riskadj.explain.shap_values import FOLD, feature_columns

WHICH = pytest.mark.parametrize("which", ["expectations", "folded"])


@pytest.fixture
def explained(which: str, request: pytest.FixtureRequest) -> tuple[Expectations, Explanation]:
    expectations: Expectations = request.getfixturevalue(which)
    explanation = explain_expectations(expectations)
    assert explanation is not None
    return expectations, explanation


Explained = tuple[Expectations, Explanation]


@WHICH
def test_base_and_contributions_add_up_to_the_expected_score(explained: Explained) -> None:
    expectations, explanation = explained
    episodes = explanation.episodes
    total = episodes["base"] + episodes[feature_columns(episodes)].sum(axis=1)
    want = expectations.table.query("learner == 'lightgbm'").set_index("episode_id")
    gap = total.to_numpy() - want.loc[episodes["episode_id"], "expected_score"].to_numpy()
    assert np.abs(gap).max() < 1e-6


@WHICH
def test_contributions_of_a_provider_sum_to_its_difference_in_expectation(
    explained: Explained,
) -> None:
    expectations, explanation = explained
    rows = expectations.table.query("learner == 'lightgbm'")
    by_provider = rows.groupby("provider_id")["expected"].mean()
    want = by_provider - rows["expected"].mean()
    providers = explanation.providers.groupby("provider_id")
    assert (providers["contribution"].sum() - want).abs().max() < 1e-9
    assert (providers["difference"].first() - want).abs().max() < 1e-9
    assert providers["n"].first().to_dict() == rows["provider_id"].value_counts().to_dict()


@WHICH
def test_contributions_of_all_providers_cancel(explained: Explained) -> None:
    _, explanation = explained
    table = explanation.providers.assign(
        total=explanation.providers["contribution"] * explanation.providers["n"]
    )
    assert table.groupby("feature")["total"].sum().abs().max() < 1e-9


def test_differences_in_base_between_folds_are_shown_and_only_there(
    expectations: Expectations, folded: Expectations
) -> None:
    out_of_time, out_of_fold = explain_expectations(expectations), explain_expectations(folded)
    assert out_of_time is not None
    assert out_of_fold is not None
    assert FOLD not in set(out_of_time.providers["feature"])
    assert FOLD in set(out_of_fold.providers["feature"])


@WHICH
def test_contributions_are_those_of_the_library_that_defines_them(explained: Explained) -> None:
    import shap

    expectations, explanation = explained
    model = expectations.models["lightgbm"]
    X = model.encode(expectations.casemix.test)
    fold = expectations.table.query("learner == 'lightgbm'")["fold"].to_numpy()
    for k, member in enumerate(model.members):
        explainer = shap.TreeExplainer(member.booster_)  # type: ignore[union-attr]
        values = explainer.shap_values(X[fold == k])
        summed = pd.DataFrame(values, columns=model.encoder.sources_).T.groupby(level=0).sum().T
        episodes = explanation.episodes[fold == k]
        want = summed[feature_columns(explanation.episodes)].to_numpy()
        got = episodes[feature_columns(explanation.episodes)].to_numpy()
        assert np.abs(got - want).max() < 1e-6
        base = episodes["base"] - model.intercept
        assert base.to_numpy() == pytest.approx(float(np.ravel(explainer.expected_value)[0]))


def test_the_levels_of_a_text_are_one_column(expectations: Expectations) -> None:
    explanation = explain_expectations(expectations)
    assert explanation is not None
    assert feature_columns(explanation.episodes) == expectations.casemix.names
    assert any("=" in one for one in expectations.models["lightgbm"].encoder.features_)


@pytest.mark.parametrize("slope", [0.5, 2.0])
def test_contributions_follow_the_slope_of_recalibration(
    slope: float, expectations: Expectations
) -> None:
    model = expectations.models["lightgbm"]
    steeper = replace(model, intercept=slope * model.intercept, slope=slope)
    table = expectations.table.assign(expected_score=slope * expectations.table["expected_score"])
    changed = replace(expectations, models=expectations.models | {"lightgbm": steeper}, table=table)
    got, was = explain_expectations(changed), explain_expectations(expectations)
    assert got is not None
    assert was is not None
    names = feature_columns(was.episodes)
    np.testing.assert_allclose(got.episodes[names], slope * was.episodes[names])


def test_contributions_that_do_not_add_up_are_refused(expectations: Expectations) -> None:
    moved = expectations.table.assign(expected_score=expectations.table["expected_score"] + 1e-5)
    with pytest.raises(ArithmeticError, match="within 1e-06 of the expectation"):
        explain_expectations(replace(expectations, table=moved))


def test_shares_of_features_sum_to_1_largest_first(expectations: Expectations) -> None:
    explanation = explain_expectations(expectations)
    assert explanation is not None
    features = explanation.features
    assert features["share"].sum() == pytest.approx(1.0)
    assert features["mean_absolute"].is_monotonic_decreasing
    assert set(features["feature"]) == set(expectations.casemix.names)
    assert features["feature"].iloc[0] == "q1_score_ohs"


def test_without_trees_there_is_nothing_to_explain(frame: pd.DataFrame) -> None:
    assert explain_expectations(expectations_of(frame, make_study(learners=LINEAR))) is None


def test_the_plots_of_the_library_get_the_same_numbers(expectations: Expectations) -> None:
    explanation = explain_expectations(expectations)
    assert explanation is not None
    got = explanation.to_shap(expectations.casemix.test)
    assert got.values.shape == expectations.casemix.test.shape
    assert list(got.feature_names) == expectations.casemix.names
    total = got.base_values + got.values.sum(axis=1)
    assert total == pytest.approx(explanation.episodes["expected_score"].to_numpy())


def test_explaining_out_of_fold_asks_the_member_that_did_not_learn(frame: pd.DataFrame) -> None:
    study = make_study(**OUT_OF_FOLD)
    expectations = expectations_of(frame, study)
    explanation = explain_expectations(expectations)
    assert explanation is not None
    fold = expectations.table.query("learner == 'lightgbm'")["fold"].to_numpy()
    bases = explanation.episodes.groupby(fold)["base"].nunique()
    assert bases.tolist() == [1, 1, 1]
    assert explanation.episodes["base"].nunique() == 3
