"""What a record is worth: by hand where it can be, and in the unit, spreads and money of it."""

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError
from scipy.special import expit
from worlds import (
    LINEAR,
    OUT_OF_FOLD,
    casemix_of,
    episode_frame,
    expectations_of,
    make_study,
    typed,
)

from riskadj.errors import ArrayError
from riskadj.fairness.gaming import GAMING_COLUMNS, Price, conditions_of, gaming_sensitivity
from riskadj.fairness.left_out import GROUPS, GROUPS_OF_TREES, leave_out_groups
from riskadj.stats.clusters import jackknife_groups
from riskadj.stats.lowest import expected_lowest

CONDITIONS = ["comorb_heart", "comorb_depression"]
CASEMIX = {
    "columns": ["age_years", "comorb_*", "q1_score_ohs"], "allow_provider_influenced": False,
}  # fmt: skip
KEYS = ["action", "column"]


def linear_study(**changes):
    return make_study(**({"casemix": CASEMIX, "learners": LINEAR} | changes))


def gaming_of(frame, study, price=None):
    table = gaming_sensitivity(expectations_of(frame, study), study, price)
    return table.set_index(KEYS)


@pytest.fixture(scope="module")
def hips():
    return episode_frame(3_000, providers=10)


@pytest.fixture(scope="module")
def found(hips):
    return gaming_of(hips, linear_study(), Price(10.0, "GBP"))


# --- by hand ---


def test_a_condition_is_worth_what_the_model_takes_for_it(hips, found):
    study = linear_study()
    expectations = expectations_of(hips, study)
    model, test = expectations.models["linear"], expectations.cohort.test
    for name in CONDITIONS:
        low, high = (model.expect(test.assign(**{name: one}))[0] for one in (0.0, 1.0))
        row, lacking = found.loc["code", name], (test[name] == 0).mean()
        assert row["per_patient"] == pytest.approx(low - high)
        assert row["share"] == pytest.approx(lacking)
        assert row["worth"] == pytest.approx((low - high) * lacking)
    assert found.loc[("code", "comorb_heart"), "per_patient"] == pytest.approx(3, abs=1)


def test_of_any_condition_each_that_is_lacking_is_as_likely(hips, found):
    test = expectations_of(hips, linear_study()).cohort.test
    effects = found.loc["code"].loc[CONDITIONS, "per_patient"].to_numpy()
    lacking = (test[CONDITIONS] == 0).to_numpy()
    some = lacking.any(axis=1)
    by_patient = (lacking @ effects)[some] / lacking[some].sum(axis=1)
    row = found.loc["code_any", ""]
    assert row["per_patient"] == pytest.approx(by_patient.mean())
    assert row["share"] == pytest.approx(some.mean())


def test_a_worse_score_before_is_worth_the_slope_of_what_is_expected_after(hips, found):
    """The gain is a point more, and so would be the gain expected but for the slope."""
    study = linear_study()
    expectations = expectations_of(hips, study)
    model, test = expectations.models["linear"], expectations.cohort.test
    name = "q1_score_ohs"
    slope = np.mean(model.expect(test) - model.expect(test.assign(**{name: test[name] - 1})))
    row = found.loc["baseline", name]
    assert row["per_patient"] == pytest.approx(slope)
    assert row["per_patient"] == pytest.approx(0.4, abs=0.1)
    assert row["share"] == 1


def test_the_worst_left_out_is_worth_the_expected_smallest_of_so_many(hips, found):
    study = linear_study()
    expectations = expectations_of(hips, study)
    rows, row = expectations.table, found.loc["drop_worst", ""]
    residual = (rows["observed"] - rows["expected"]).to_numpy()
    n = int(rows["provider_id"].value_counts().median())
    assert row["n"] == n
    rng = np.random.default_rng(0)
    lowest = rng.choice(residual, (20_000, n)).min(axis=1).mean()
    assert row["per_patient"] == pytest.approx(-lowest, rel=0.02)
    assert row["worth"] == pytest.approx(row["per_patient"] / (n - 1))
    assert row["done_to"] == "one patient"


@pytest.mark.parametrize("n", [1, 2, 5, 200])
def test_the_expected_smallest_is_that_of_many_draws(n):
    rng = np.random.default_rng(1)
    values = rng.normal(size=50)
    drawn = rng.choice(values, (40_000, n)).min(axis=1)
    assert expected_lowest(values, n) == pytest.approx(
        drawn.mean(), abs=5 * drawn.std() / 200 + 1e-9
    )


def test_the_smallest_of_no_draws_is_refused():
    with pytest.raises(ArrayError, match="n: wanted a whole number of 1 or more"):
        expected_lowest([1.0], 0)


# --- intervals ---


def test_an_interval_is_that_of_models_taught_without_each_group(hips):
    """By hand: the study is run without the episodes of each group."""
    study = linear_study()
    expectations = expectations_of(hips, study)
    left = leave_out_groups(expectations, "linear", study)
    assert (left.n_groups, len(left.models)) == (GROUPS, GROUPS)
    test = expectations.cohort.test
    by_hand = []
    for group in range(left.n_groups):
        (gone,) = test["provider_id"][left.asked == group].unique()
        rest = gaming_of(hips[hips["provider_id"] != gone].reset_index(drop=True), study)
        by_hand.append(rest["per_patient"].drop(index=("drop_worst", "")))
    found = gaming_of(hips, study).drop(index=("drop_worst", ""))
    wanted = jackknife_groups(found["per_patient"], by_hand)
    np.testing.assert_allclose(found["lower95"], wanted.lower)
    np.testing.assert_allclose(found["upper95"], wanted.upper)


@pytest.mark.parametrize("split", [{}, OUT_OF_FOLD], ids=["out of time", "out of fold"])
@pytest.mark.parametrize("learner", ["linear", "lightgbm"])
def test_every_figure_of_every_learner_has_an_interval_with_a_width(hips, split, learner):
    study = make_study(casemix=CASEMIX, **split)
    table = gaming_sensitivity(expectations_of(hips, study), study, Price(10.0, "GBP"))
    table = table[table["learner"] == learner]
    groups = {"linear": GROUPS, "lightgbm": GROUPS_OF_TREES if not split else study.split.folds}
    assert set(table["groups"]) == {groups[learner]}
    ends = (("per_patient", ""), ("worth", "worth_"), ("z", "z_"), ("money", "money_"))
    for name, begin in ends:
        lower, upper = table[f"{begin}lower95"], table[f"{begin}upper95"]
        assert (lower < table[name]).all()
        assert (table[name] < upper).all()
    np.testing.assert_allclose(table["money_lower95"], 10 * table["worth_lower95"] * table["n"])


def test_models_were_taught_by_nobody_of_the_group_that_is_left_out(hips):
    study = make_study(casemix=CASEMIX, learners=LINEAR)
    expectations = expectations_of(hips, study)
    left = leave_out_groups(expectations, "linear", study)
    gone = set(expectations.cohort.test["provider_id"][left.asked == 0])
    other = hips.copy()
    theirs = other["provider_id"].isin(gone) & (other["period"] == "2021")
    other.loc[theirs, "q2_score_ohs"] = 0.0
    again = leave_out_groups(expectations_of(other, study), "linear", study)
    test = expectations.cohort.test
    np.testing.assert_array_equal(left.models[0].expect_raw(test), again.models[0].expect_raw(test))
    assert abs(left.models[1].expect_raw(test) - again.models[1].expect_raw(test)).min() > 0.1


def test_folds_of_whole_providers_are_taken_as_they_are_by_trees(hips):
    study = make_study(casemix=CASEMIX, **OUT_OF_FOLD)
    expectations = expectations_of(hips, study)
    left = leave_out_groups(expectations, "lightgbm", study)
    rows = expectations.table[expectations.table["learner"] == "lightgbm"]
    np.testing.assert_array_equal(left.asked, rows["fold"])
    members = [one.members[0] for one in left.models]
    assert members == list(expectations.models["lightgbm"].members)


def test_where_all_who_are_asked_about_are_in_one_group_there_is_no_interval(hips):
    study = make_study(casemix=CASEMIX, learners=[{"kind": "lightgbm", "trees": 5}])
    expectations = expectations_of(hips, study)
    asked = leave_out_groups(expectations, "lightgbm", study).asked
    together = expectations.cohort.test["provider_id"][asked == 0].unique()
    assert len(together) == 2
    frame = hips[(hips["period"] == "2021") | hips["provider_id"].isin(together)]
    found = gaming_of(frame.reset_index(drop=True), study)
    assert set(found["groups"]) == {0}
    assert found["lower95"].isna().all()
    assert found["per_patient"].notna().all()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["linear", "lightgbm"])
def test_intervals_hold_what_is_true_on_average(kind):
    """Of 200 worlds 95 % should, give or take 1.5; providers differ in level and in slope.

    What is true of trees is what they take a condition for on average: they shrink it.
    """
    settings = {"trees": 20, "min_episodes_per_leaf": 10} if kind == "lightgbm" else {}
    study = linear_study(
        learners=[{"kind": kind} | settings],
        casemix=CASEMIX | {"columns": ["comorb_heart", "q1_score_ohs"]},
    )
    found = [gaming_of(_clustered_world(seed), study) for seed in range(200)]
    for key, truth in ((("code", "comorb_heart"), 3.0), (("baseline", "q1_score_ohs"), 0.3)):
        rows = pd.DataFrame([one.loc[key, ["per_patient", "lower95", "upper95"]] for one in found])
        true = truth if kind == "linear" else rows["per_patient"].mean()
        held = ((rows["lower95"] <= true) & (true <= rows["upper95"])).mean()
        assert 0.9 <= held <= 0.995


def _clustered_world(seed, n=1_600, providers=40):
    rng = np.random.default_rng(seed)
    provider = np.arange(n) % providers
    heart = rng.random(n) < rng.uniform(0.2, 0.6, providers)[provider]
    before = rng.integers(5, 40, n)
    level, slope = rng.normal(0, 1.5, providers), rng.normal(-3, 1, providers)
    after = 20 + 0.3 * before + slope[provider] * heart + level[provider] + rng.normal(0, 5, n)
    return typed(
        episode_frame(n, providers, seed).assign(
            period=np.where(np.arange(n) % (2 * providers) < providers, "2021", "2022"),
            provider_id=[f"H{one:02d}" for one in provider],
            comorb_heart=heart.astype(float),
            q1_score_ohs=before,
            q2_score_ohs=after,
        )
    )


# --- spreads and money ---


def test_z_is_the_worth_in_spreads_of_a_provider_of_that_size(hips, found):
    rows = expectations_of(hips, linear_study()).table
    sd = (rows["observed"] - rows["expected"]).std(ddof=1)
    np.testing.assert_allclose(found["z"], found["worth"] / (sd / np.sqrt(found["n"])))


def test_wider_limits_make_less_of_it(hips, found):
    wide = gaming_of(hips, linear_study(profile__limits="additive"))
    np.testing.assert_allclose(wide["worth"], found["worth"])
    assert (wide["z"].abs() <= found["z"].abs() + 1e-12).all()
    assert wide["z"].abs().sum() < found["z"].abs().sum()


def test_money_is_what_is_paid_for_the_worth_of_all_episodes(hips, found):
    np.testing.assert_allclose(found["money"], 10 * found["worth"] * found["n"])
    assert set(found["currency"]) == {"GBP"}
    unpaid = gaming_of(hips, linear_study())
    assert unpaid["money"].isna().all()
    assert set(unpaid["currency"]) == {""}


def test_the_price_that_a_study_says_is_the_one_that_is_given(hips, found):
    said = {"gaming": True, "price": {"currency": "GBP", "per_unit": {"ohs": 10.0}}}
    pd.testing.assert_frame_equal(gaming_of(hips, linear_study(fairness=said)), found)


def test_a_price_that_is_given_goes_before_that_of_the_study(hips, found):
    said = {"gaming": True, "price": {"currency": "SEK", "per_unit": {"ohs": 99.0}}}
    given = gaming_of(hips, linear_study(fairness=said), Price(10.0, "GBP"))
    pd.testing.assert_frame_equal(given, found)


def test_an_outcome_without_a_price_has_no_money(hips):
    said = {"gaming": True, "price": {"currency": "GBP", "per_unit": {"better": 900.0}}}
    study = linear_study(
        outcomes=[{"name": "ohs", "instrument": "OHS", "kind": "gain"}, RESPONDER], fairness=said
    )
    assert [Price.of(study, one) for one in study.outcomes] == [None, Price(900.0, "GBP")]
    unpaid = gaming_of(hips, study)
    assert unpaid["money"].isna().all()
    assert set(unpaid["currency"]) == {""}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"gaming": False}, r"fairness.price: wanted gaming with it.*Set fairness.gaming to true"),
        ({"per_unit": {"osh": 10.0}}, r"wanted outcomes of the study \(ohs\).*Did you mean 'ohs'"),
        ({"per_unit": {"ohs": 0.0}}, "greater than 0"),
        ({"per_unit": {"ohs": float("nan")}}, "finite number|greater than 0"),
        ({"per_unit": {}}, "at least 1 item"),
        ({"currency": "gbp"}, r"ISO 4217 code of a currency; got 'gbp'.*Did you mean 'GBP'"),
    ],
)
def test_a_price_that_could_not_be_paid_is_refused(changes, says):
    price = {"currency": "GBP", "per_unit": {"ohs": 10.0}} | changes
    gaming = price.pop("gaming", True)
    with pytest.raises(ValidationError, match=says):
        linear_study(fairness={"gaming": gaming, "price": price})


def test_a_price_in_another_currency_than_that_of_costs_is_refused():
    price = {"currency": "SEK", "per_unit": {"cost": 1.0}}
    with pytest.raises(ValidationError, match=r"wanted that of the study's costs \(GBP of cost\)"):
        linear_study(
            outcomes=[COST], learners=[{"kind": "gamma"}],
            fairness={"gaming": True, "price": price},
        )  # fmt: skip


def test_a_provider_that_does_it_rises_by_as_much(hips):
    """Held out and with the same models: what its own figures would have been."""
    study = linear_study(**OUT_OF_FOLD)
    expectations = expectations_of(hips, study)
    rows, test = expectations.table, expectations.cohort.test
    own = (test["provider_id"] == "H03").to_numpy()
    model = expectations.models["linear"]
    coded = test.assign(comorb_heart=1.0)
    higher = model.expect(test, rows["fold"]) - model.expect(coded, rows["fold"])
    row = gaming_sensitivity(expectations, study).set_index(KEYS).loc["code", "comorb_heart"]
    assert higher[own].mean() == pytest.approx(row["worth"], rel=0.25)


# --- who did not answer ---


def test_one_who_did_not_answer_changes_the_response_rate_alone(hips):
    frame = hips.copy()
    frame.loc[::5, "q2_score_ohs"] = np.nan
    row = gaming_of(frame, linear_study()).loc["drop_silent", ""]
    assert row["worth"] == 0
    assert row["z"] == 0
    assert row["share"] == pytest.approx(0.2, abs=0.03)
    rate = 1 - row["share"]
    asked = row["n"] / rate
    assert row["response"] == pytest.approx(row["n"] / (asked - 1) - rate)
    assert row["response_lower95"] < row["response"] < row["response_upper95"]
    assert row[["lower95", "worth_lower95", "money_lower95"]].isna().all()


def test_where_everybody_answered_nobody_can_be_dropped(found):
    assert "drop_silent" not in found.index.get_level_values("action")
    assert found["response"].isna().all()


# --- other outcomes ---

RESPONDER = {
    "name": "better", "instrument": "OHS", "kind": "responder",
    "threshold": {"kind": "change", "value": 18, "source": "an example"},
}  # fmt: skip
COST = {
    "name": "cost", "kind": "cost", "column": "cost_total_90d", "currency": "GBP",
    "price_year": 2021,
}  # fmt: skip


def test_of_a_share_the_result_itself_moves_with_the_score_before(hips):
    """A point less before, and some reach the threshold who did not."""
    study = linear_study(outcomes=[RESPONDER])
    row = gaming_of(hips, study).loc["baseline", "q1_score_ohs"]
    expectations = expectations_of(hips, study)
    test = expectations.cohort.test
    reached = (test["q2_score_ohs"] - test["q1_score_ohs"] + 1 >= 18).mean()
    before = test["q1_score_ohs"] - 1
    changed = test.assign(q1_score_ohs=before)
    model = expectations.models["linear"]
    expected = model.expect(changed).mean() - model.expect(test).mean()
    assert row["per_patient"] == pytest.approx(
        reached - test["observed_score"].mean() - expected, abs=1e-9
    )


def test_a_condition_makes_cost_look_lower_by_what_it_adds_to_the_expectation(hips):
    rng = np.random.default_rng(6)
    frame = hips.copy()
    frame["cost_total_90d"] = (
        4_000 * np.exp(0.3 * frame["comorb_heart"]) * rng.gamma(10, 0.1, len(frame))
    )
    study = linear_study(outcomes=[COST], learners=[{"kind": "gamma"}])
    found = gaming_of(typed(frame), study, Price(1.0, "GBP"))
    row = found.loc["code", "comorb_heart"]
    assert row["per_patient"] == pytest.approx(np.exp(0.3) - 1, rel=0.15)
    assert set(found.reset_index()["action"]) == {"code", "code_any"}
    gained = row["share"] * row["per_patient"]
    mean = expectations_of(typed(frame), study).table["observed"].mean()
    assert row["worth"] == pytest.approx(mean * gained / (1 + gained))


def test_scores_that_are_better_when_lower_are_made_worse_upwards():
    rng = np.random.default_rng(2)
    n = 2_000
    before = rng.integers(30, 80, n).astype(float)
    frame = episode_frame(n, providers=8).assign(
        procedure_group="LUMBAR",
        q1_score_odi=before,
        q2_score_odi=(0.5 * before + rng.normal(0, 8, n)).clip(0, 100),
    )
    study = linear_study(
        outcomes=[{"name": "odi", "instrument": "ODI", "kind": "gain"}],
        cohort={"procedure_group": "LUMBAR", "follow_up_days": None, "exclude": []},
        casemix={"columns": ["age_years", "q1_score_odi"], "allow_provider_influenced": False},
    )
    row = gaming_of(typed(frame), study).loc["baseline", "q1_score_odi"]
    assert row["per_patient"] == pytest.approx(0.5, abs=0.05)


def test_counts_go_up_with_their_conditions_and_by_themselves(hips):
    rng = np.random.default_rng(3)
    frame = hips.copy()
    frame["elixhauser_diabetes"] = (rng.random(len(frame)) < 0.3) * 1.0
    frame["elixhauser_count"] = frame["elixhauser_diabetes"] + rng.integers(0, 6, len(frame))
    frame["q2_score_ohs"] = (frame["q2_score_ohs"] - 2 * frame["elixhauser_count"]).clip(0, 48)
    casemix = CASEMIX | {"columns": ["elixhauser_*", "q1_score_ohs"]}
    learners = [{"kind": "linear", "discrete_up_to": 2}]
    found = gaming_of(typed(frame), linear_study(casemix=casemix, learners=learners))
    count = found.loc[("count", "elixhauser_count"), "per_patient"]
    assert count == pytest.approx(2, abs=0.3)
    assert found.loc[("code", "elixhauser_diabetes"), "per_patient"] > 0.5 * count


# --- who is left out ---


def test_conditions_that_hardly_anybody_has_are_not_told(hips):
    frame = hips.copy()
    frame["comorb_liver"] = 0.0
    frame.loc[:3, "comorb_liver"] = 1.0
    found = gaming_of(typed(frame), linear_study())
    assert "comorb_liver" not in found.index.get_level_values("column")


def test_whether_any_was_ticked_is_no_condition(hips):
    frame = typed(hips.assign(comorb_block_answered=1.0))
    assert conditions_of(casemix_of(frame, linear_study())) == CONDITIONS


def test_a_supplied_expectation_cannot_be_asked_again_but_responders_can_be_lost(hips):
    study = linear_study(learners=[{"kind": "reference"}])
    found = gaming_of(hips, study)
    assert set(found.reset_index()["action"]) == {"drop_worst"}


@pytest.mark.parametrize("split", [{}, OUT_OF_FOLD], ids=["out of time", "out of fold"])
def test_all_learners_are_asked_and_the_table_is_as_declared(hips, split):
    study = make_study(casemix=CASEMIX, **split)
    table = gaming_sensitivity(expectations_of(hips, study), study)
    assert list(table.columns) == GAMING_COLUMNS
    assert set(table["learner"]) == {"linear", "lightgbm"}
    inside = table["lower95"].le(table["per_patient"]) & table["per_patient"].le(table["upper95"])
    assert (inside | table["lower95"].isna()).all()
    again = gaming_sensitivity(expectations_of(hips, study), study)
    pd.testing.assert_frame_equal(table, again)


def test_the_logit_of_a_chance_is_what_a_condition_moves(hips):
    study = linear_study(outcomes=[RESPONDER])
    row = gaming_of(hips, study).loc["code", "comorb_heart"]
    assert 0 < row["per_patient"] < expit(3) - 0.5
