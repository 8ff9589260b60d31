"""Fair regression on top of a learner: the constraint, its price, and what others pay."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression
from worlds import LINEAR, OUT_OF_FOLD, episode_frame, expectations_of, make_study, typed

from riskadj.cohort.rates import ALL
from riskadj.errors import ArrayError, StudyError, UnknownNameError
from riskadj.fairness.fair import FAIR_COLUMNS, LEARNER, adjust_fairly, shown_groups
from riskadj.fairness.lessons import lessons_of
from riskadj.stats.fair_regression import fit_fair, independent_columns, penalty_path


@pytest.fixture(scope="module")
def payment():
    rng = np.random.default_rng(8)
    n = 1_000
    X = np.column_stack([rng.normal(50, 10, n), rng.random(n) < 0.4, rng.gamma(1, 2, n)])
    ill = rng.random(n) < np.where(X[:, 1] > 0, 0.5, 0.2)
    poor = rng.random(n) < 0.3
    y = 3000 + 40 * X[:, 0] + 900 * X[:, 1] + 1500 * ill + 300 * poor + rng.gamma(1, 800, n)
    return {"y": y, "X": X, "groups": np.vstack([ill, poor]), "weights": rng.uniform(0.5, 2, n)}


def test_it_solves_the_equations_of_karush_kuhn_and_tucker(payment):
    """The whole system at once, with the total held as a constraint of its own."""
    y, w = payment["y"], payment["weights"]
    design = np.column_stack([np.ones(len(y)), payment["X"]])
    held = np.vstack([np.ones(len(y)), payment["groups"]]) * w
    a, b = held @ design, held @ y
    inner = np.block([[(design.T * w) @ design, a.T], [a, np.zeros((3, 3))]])
    solved = np.linalg.solve(inner, np.concatenate([(design.T * w) @ y, b]))[:4]
    got = fit_fair(**payment)
    np.testing.assert_allclose([got.intercept, *got.coef], solved, rtol=1e-6)
    np.testing.assert_allclose(got.net_compensation, 0, atol=1e-6)


def test_without_a_penalty_it_is_weighted_least_squares(payment):
    got = fit_fair(**payment, penalty=0)
    model = LinearRegression().fit(payment["X"], payment["y"], payment["weights"])
    np.testing.assert_allclose(got.expect(payment["X"]), model.predict(payment["X"]), rtol=1e-9)
    assert got.r2 == got.r2_unconstrained


def test_along_the_path_groups_get_nearer_and_the_fit_worse(payment):
    path = penalty_path(**payment, penalties=[0, 10, 1e3, 1e5, np.inf])
    squares = (path.net_compensation**2).sum(axis=1)
    assert (np.diff(squares) < 0).all()
    assert (np.diff(path.r2) < 0).all()
    assert squares[0] > 1e5
    assert squares[-1] < 1e-9


def test_with_the_group_among_covariates_the_constraint_costs_nothing(payment):
    rows = np.column_stack([payment["X"], payment["groups"].T])
    got = fit_fair(payment["y"], rows, payment["groups"])
    plain = fit_fair(payment["y"], rows, payment["groups"], penalty=0)
    assert got.r2 == pytest.approx(plain.r2)
    blind = fit_fair(payment["y"], payment["X"], payment["groups"])
    assert blind.r2 < got.r2 - 0.05


def test_covariates_that_follow_from_others_are_passed_over(payment):
    X = payment["X"]
    more = np.column_stack([X[:, 0], 2 * X[:, 0] + 5, X[:, 1:], X[:, 1] + X[:, 2], np.ones(1_000)])
    one, other = fit_fair(**payment), fit_fair(**payment | {"X": more})
    assert other.dropped.tolist() == [1, 4, 5]
    np.testing.assert_allclose(other.expect(more), one.expect(X), rtol=1e-8)


def test_columns_in_any_unit_are_told_apart():
    rng = np.random.default_rng(3)
    X = rng.normal(size=(100, 3)) * [1e-8, 1.0, 1e8] + [0, 2021, 1e9]
    assert independent_columns(X).tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"groups": np.eye(1_000)[:5]}, "groups that can all be paid what they cost"),
        ({"X": np.ones((1_000, 2))}, "a covariate that varies"),
        ({"X": np.ones(7)}, "X: wanted 1,000 rows"),
        ({"groups": np.zeros((1, 1_000))}, "empty group"),
        ({"penalty": -1.0}, "penalty: wanted a number of 0 or more"),
    ],
)
def test_what_cannot_be_fair_is_refused(payment, changed, words):
    with pytest.raises(ArrayError, match=words):
        fit_fair(**payment | changed)
    with pytest.raises(ArrayError, match="penalties: wanted one or more"):
        penalty_path(**payment, penalties=[])
    with pytest.raises(ArrayError, match="X: wanted 3 covariates; got 1"):
        fit_fair(**payment).expect(np.ones(4))


# --- on top of a learner ---

CASEMIX = {
    "columns": ["age_years", "sex", "comorb_heart", "comorb_depression", "q1_score_ohs"],
    "allow_provider_influenced": False,
}


def poor_frame(n=4_000, seed=2):
    """Those who live alone gain 4 points less, and are older; nobody's case mix says so."""
    frame = episode_frame(n, providers=20, seed=seed)
    alone = (frame["living_arrangements"] == "alone").to_numpy()
    frame["provider_id"] = np.random.default_rng(seed).permutation(frame["provider_id"])
    frame["age_years"] = frame["age_years"] + 8.0 * alone
    frame["q2_score_ohs"] = (frame["q2_score_ohs"] - 4.0 * alone).clip(0, 48)
    return typed(frame)


def fair_study(learner="lightgbm", **changes):
    rules = {
        "groups": ["sex", "comorb_heart"],
        "fair": {"groups": [{"column": "living_arrangements", "values": ["alone"]}],
                 "learner": learner},
    }  # fmt: skip
    return make_study(casemix=CASEMIX, fairness=rules, **changes)


@pytest.fixture(scope="module", params=[{}, OUT_OF_FOLD], ids=["out of time", "out of fold"])
def found(request):
    study = fair_study(**request.param)
    return adjust_fairly(expectations_of(poor_frame(), study), study)


def test_named_groups_are_right_out_of_fold_and_were_not_before(found):
    named = found.fair[found.fair["targeted"]].set_index(["model", "level"])["mean_residual"]
    assert named[LEARNER, "alone"] < -1.5
    for model in ("fair", "fair_blind"):
        assert abs(named[model, "alone"]) < -named[LEARNER, "alone"] / 3
        assert abs(named[model, "others"]) < named[LEARNER, "others"] / 3
    assert found.told == ()


def test_every_group_is_shown_under_every_model_and_everybody_is_right_on_average(found):
    table = found.fair
    assert list(table.columns) == FAIR_COLUMNS
    levels = table.groupby("model")[["group", "level"]].apply(lambda one: one.to_numpy().tolist())
    assert all(one == levels.iloc[0] for one in levels)
    assert set(table["group"]) == {ALL, "living_arrangements", "sex", "comorb_heart"}
    whole = table[table["group"] == ALL]
    np.testing.assert_allclose(whole["mean_residual"], 0, atol=1e-9)
    inside = table["lower95"].le(table["mean_residual"])
    assert (inside & table["mean_residual"].le(table["upper95"])).all()


def test_what_the_blind_fit_takes_from_others_is_seen(found):
    """It has only case mix to pay with: others lose by it, and so does the fit."""
    table = found.fair.set_index(["model", "group", "level"])
    fits = table.xs((ALL, ""), level=("group", "level"))["r2"]
    assert fits["fair_blind"] < fits["penalised_blind"] < fits["fair"]
    others = table[~table["targeted"]].drop(index=ALL, level="group")["change"].abs()
    assert others["fair_blind"].max() > others["fair"].max()


@pytest.fixture(scope="module", params=[{}, OUT_OF_FOLD], ids=["out of time", "out of fold"])
def known(request):
    """The group named is case mix, too; with the same of those whose case mix lacks it."""
    frame, tables = poor_frame(2_000), []
    for column in ("living_arrangements", None):
        casemix = CASEMIX | {"columns": [*CASEMIX["columns"], *([column] if column else [])]}
        study = fair_study("linear", learners=LINEAR, **request.param)
        study = study.model_copy(update={"casemix": type(study.casemix).model_validate(casemix)})
        tables.append(adjust_fairly(expectations_of(frame, study), study).fair)
    return [one.set_index(["model", "group", "level"]) for one in tables]


@pytest.mark.parametrize("model", ["fair_blind", "penalised_blind"])
def test_a_blind_model_knows_nothing_of_a_group_that_is_case_mix(known, model):
    """It is the same, digit by digit, as where the case mix does not hold the group."""
    told, untold = (one.xs(model)[["mean_residual", "r2"]] for one in known)
    np.testing.assert_allclose(told, untold, atol=1e-9)


def test_models_that_know_of_the_group_are_better_than_the_blind_ones(known):
    fits = known[0].xs((ALL, ""), level=("group", "level"))["r2"]
    assert fits["fair_blind"] < fits["penalised_blind"] < fits["fair"] - 0.005
    assert fits["stacked"] == pytest.approx(fits["fair"], abs=0.002)


def test_a_group_that_is_all_of_the_case_mix_is_refused():
    casemix = CASEMIX | {"columns": ["living_arrangements"]}
    study = fair_study("linear", learners=LINEAR).model_copy(
        update={"casemix": type(make_study().casemix).model_validate(casemix)}
    )
    with pytest.raises(StudyError, match=r"fairness\.fair\.groups: wanted case mix besides"):
        adjust_fairly(expectations_of(poor_frame(600), study), study)


def test_a_published_expectation_is_not_said_to_be_blind():
    frame = poor_frame(600)
    frame["reference_predicted_ohs"] = 26 + 0.3 * frame["q1_score_ohs"]
    study = fair_study("reference", learners=[{"kind": "reference"}])
    (told,) = adjust_fairly(expectations_of(typed(frame), study), study).told
    assert "it may know of the groups named" in told


def test_changes_are_from_the_learner(found):
    table = found.fair.set_index(["model", "group", "level"])
    away = (
        table["mean_residual"]
        - table["mean_residual"].xs(LEARNER).reindex(table.index.droplevel("model")).to_numpy()
    )
    np.testing.assert_allclose(table["change"], away, atol=1e-9)
    assert (table["change"].xs(LEARNER) == 0).all()


def test_results_of_the_periods_compared_teach_nothing():
    """Out of time: other results there move the mean, and no more than that."""
    frame, study = poor_frame(), fair_study("linear", learners=LINEAR)
    other = frame.copy()
    later = other["period"] == "2022"
    other.loc[later, "q2_score_ohs"] = other.loc[later, "q2_score_ohs"].to_numpy()[::-1]
    tables = [adjust_fairly(expectations_of(one, study), study).fair for one in (frame, other)]
    keys = ["model", "group", "level"]
    first, second = (one.set_index(keys)["change"] for one in tables)
    np.testing.assert_allclose(first, second, atol=1e-9)


def test_lessons_keep_who_is_asked_apart_from_who_teaches():
    study = fair_study("linear", learners=LINEAR, **OUT_OF_FOLD)
    lessons = lessons_of(expectations_of(poor_frame(600), study), "linear", study)
    asked = np.concatenate([outside for _, outside in lessons.folds])
    assert sorted(asked) == list(range(len(lessons.asked)))
    for inside, outside in lessons.folds:
        taught = set(lessons.teach["provider_id"].to_numpy()[inside])
        assert taught.isdisjoint(lessons.asked["provider_id"].to_numpy()[outside])


def test_a_learner_without_expectations_is_refused_and_one_of_another_outcome_passed_over():
    study = fair_study("linear", learners=LINEAR)
    expectations = expectations_of(poor_frame(600), study)
    with pytest.raises(UnknownNameError, match=r"with expectations \(linear\); got 'linaer'"):
        lessons_of(expectations, "linaer", study)
    other = study.fairness.fair.model_copy(update={"learner": "gamma"})
    without = study.model_copy(
        update={"fairness": study.fairness.model_copy(update={"fair": other})}
    )
    assert adjust_fairly(expectations, without).fair.empty
    assert adjust_fairly(expectations, make_study(learners=LINEAR)).fair.empty


def test_groups_with_a_small_level_are_not_shown_at_all(found):
    table = found.fair.copy()
    small = (table["group"] == "sex") & (table["level"] == "male")
    table.loc[small, "fewest"] = 3
    assert set(shown_groups(table, 6)["group"]) == {ALL, "living_arrangements", "comorb_heart"}
    pd.testing.assert_frame_equal(shown_groups(found.fair, 1), found.fair)
