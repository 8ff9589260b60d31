"""Cost as an outcome: what a study says, who counts, what is expected, how providers compare."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from cost_worlds import COST, GAIN, cost_frame, cost_study
from worlds import OUT_OF_FOLD, as_episodes, cohort_of, expectations_of, make_study, write_study

from riskadj.cohort import anchored_thresholds, select_cohort
from riskadj.episodes import COLUMNS
from riskadj.errors import (
    ArrayError,
    ColumnError,
    NoVariationError,
    RiskadjError,
    StudyError,
    ValuesError,
)
from riskadj.expected import Expectations, evaluate, load_model, save_model
from riskadj.explain import explain_expectations
from riskadj.followup import follow_up
from riskadj.followup.follow import NOT_ASKED
from riskadj.profile import profile_providers
from riskadj.report.places import Places
from riskadj.report.words import measure, named, table_decimals
from riskadj.study import load_study
from riskadj.study.outcomes import Outcome

METHODS = (
    "nhs_england",
    "fixed_effects",
    "random_intercept",
    "correlated_random_effects",
    "empirical_bayes",
)
LIMITS = ("nominal", "multiplicative", "additive", "winsorised", "trimmed", "benjamini_hochberg")
LEARNERS = ("linear", "lightgbm", "gamma", "tweedie", "two_part", "log_smearing")
TREES = {"kind": "lightgbm", "trees": 20, "min_episodes_per_leaf": 10, "column_share": 0.7}
CAPPED = {"winsorise": {"upper": 0.95}}


@pytest.fixture(scope="module")
def costs() -> pd.DataFrame:
    return cost_frame()


@pytest.fixture(scope="module")
def expected(costs: pd.DataFrame) -> Expectations:
    return expectations_of(costs, cost_study())


def rules(method: str = "nhs_england", **changes: Any) -> dict[str, Any]:
    return {"method": method, "minimum_n": 30, "suppress_below": 6} | changes


def profiled(frame: pd.DataFrame, study: Any) -> pd.DataFrame:
    return profile_providers(expectations_of(frame, study), study).table.set_index("provider_id")


# --- what a study says ---


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        ({"column": None}, "wanted column with kind cost; it is missing. Add it"),
        ({"price_year": None}, "wanted price_year with kind cost; it is missing"),
        ({"column": None, "currency": None}, "wanted column, currency with kind cost; each is"),
        ({"instrument": "OHS"}, "wanted no instrument with kind cost"),
        ({"threshold": {"kind": "change", "value": 8, "source": "a"}}, "wanted no threshold"),
        ({"currency": "kr"}, "wanted the ISO 4217 code of a currency; got 'kr'"),
        ({"currency": "sek"}, "Did you mean 'SEK'"),
        ({"winsorise": {"upper": 1.0}}, "less than 1"),
        ({"winsorise": {"upper": 0.2}}, "greater than 0.5"),
    ],
)
def test_a_cost_says_what_it_is_and_nothing_else(
    outcome: dict[str, Any], words: str, tmp_path: Path
) -> None:
    content = json.loads(make_study().model_dump_json())
    content["outcomes"], content["learners"] = [COST | outcome], [{"kind": "gamma"}]
    with pytest.raises(StudyError, match=words):
        load_study(write_study(tmp_path, content))


@pytest.mark.parametrize("key", ["column", "currency", "price_year", "winsorise"])
def test_a_score_has_nothing_of_a_cost(key: str) -> None:
    value = (COST | CAPPED)[key]
    with pytest.raises(ValueError, match=f"wanted no {key} with kind gain"):
        make_study(outcomes=[GAIN | {key: value}])


@pytest.mark.parametrize(("key", "other"), [("currency", "EUR"), ("price_year", 2020)])
def test_costs_of_a_study_are_in_one_money(key: str, other: Any) -> None:
    second = COST | {"name": "index", "column": "cost_index", key: other}
    with pytest.raises(ValueError, match=f"wanted one {key} of all costs; got .*{other}"):
        make_study(outcomes=[COST, second])


@pytest.mark.parametrize("kind", ["gamma", "tweedie", "two_part", "log_smearing"])
def test_a_learner_of_costs_wants_a_cost(kind: str) -> None:
    learners = [{"kind": "linear"}, {"kind": kind}]
    with pytest.raises(ValueError, match=f"got {kind}, which speak of costs only"):
        make_study(learners=learners)
    study = make_study(outcomes=[GAIN, COST], learners=learners)
    assert [one.kind for one in study.learners_of(study.outcomes[0])] == ["linear"]
    assert [one.kind for one in study.learners_of(study.outcomes[1])] == ["linear", kind]


@pytest.mark.parametrize("kind", ["reference", "ceiling"])
def test_a_learner_of_scores_expects_no_cost(kind: str) -> None:
    with pytest.raises(ValueError, match="wanted a learner that expects cost"):
        cost_study(learners=[{"kind": kind}])


def test_an_outcome_answers_what_it_is_asked() -> None:
    cost, gain = Outcome.model_validate(COST), Outcome.model_validate(GAIN)
    assert (cost.unit, cost.better, cost.measured.after) == ("SEK", -1, "cost_total_90d")
    assert cost.measured.before is cost.measured.supplied is cost.measured.best is None
    assert (gain.measured.before, gain.measured.best) == ("q1_score_ohs", 48.0)
    assert cost.can_be(1e6)
    assert not cost.can_be(0.0)
    assert not cost.can_be(-1.0)
    with pytest.raises(ValueError, match="kind cost has no instrument"):
        cost.definition  # noqa: B018
    assert measure(cost).startswith("Cost, ")
    assert named(cost).endswith("(cost), SEK")
    assert table_decimals(cost) == 0


# --- who counts ---


def test_an_episode_without_a_cost_leaves_and_no_score_is_asked_for(costs: pd.DataFrame) -> None:
    frame = costs.drop(columns=["q1_score_ohs", "q2_score_ohs", "q2_days"])
    frame.loc[frame.index[:7], "cost_total_90d"] = np.nan
    study = cost_study(
        casemix__columns=["age_years", "sex", "comorb_*"],
        cohort__follow_up_days={"at_least": 180, "at_most": 365},
    )
    cohort = cohort_of(frame, study)
    left = cohort.flow.set_index("reason")["left"]
    assert left["no cost"] == 7
    assert not [one for one in left.index if "score" in one or "follow-up" in one]
    assert cohort.test["baseline_score"].isna().all()
    assert cohort.rates.empty
    assert cohort.unanswered.empty
    assert len(cohort.train) + len(cohort.test) == len(frame) - 7


def test_a_negative_cost_of_an_own_column_is_refused(costs: pd.DataFrame) -> None:
    own = COLUMNS["cost_total_90d"].model_copy(update={"name": "own_cost", "range": None})
    frame = costs.assign(own_cost=costs["cost_total_90d"] - costs["cost_total_90d"].mean())
    with pytest.raises(ValuesError, match="wanted 'own_cost' of 0 or more; got -"):
        cohort_of(frame, cost_study({"column": "own_cost"}), own)


@pytest.mark.parametrize(
    ("outcome", "error", "words"),
    [
        ({"column": "cost_nothing"}, ColumnError, "wanted the column 'cost_nothing'"),
        ({"column": "age_years"}, StudyError, "wanted an amount known during or after"),
        ({"winsorise": {"upper": 0.9, "by": "drg"}}, ColumnError, "winsorise.by: wanted the"),
    ],
)
def test_a_column_that_is_no_cost_is_refused(
    outcome: dict[str, Any], error: type[RiskadjError], words: str, costs: pd.DataFrame
) -> None:
    with pytest.raises(error, match=words):
        cohort_of(costs, cost_study(outcome))


def test_costs_that_are_all_the_same_cannot_be_compared(costs: pd.DataFrame) -> None:
    with pytest.raises(NoVariationError, match=r"wanted results \(cost\) that differ"):
        cohort_of(costs.assign(cost_total_90d=100.0), cost_study())


# --- winsorising ---


def test_costs_above_the_quantile_of_those_who_teach_count_as_it(costs: pd.DataFrame) -> None:
    plain, capped = cohort_of(costs, cost_study()), cohort_of(costs, cost_study(CAPPED))
    cap = plain.train["observed_score"].quantile(0.95)
    for part in ("train", "test"):
        was, now = (getattr(one, part)["observed_score"] for one in (plain, capped))
        assert now.to_numpy() == pytest.approx(np.minimum(was, cap))
        assert getattr(capped, part)["score_after"].equals(was.rename("score_after"))
    told = capped.winsorising
    assert told is not None
    assert plain.winsorising is None
    whole = pd.concat([plain.train, plain.test])["observed_score"]
    assert told.n_capped == (whole > cap).sum() > 0
    cut = plain.test["observed_score"] - capped.test["observed_score"]
    assert told.share_capped == pytest.approx(cut.sum() / plain.test["observed_score"].sum())
    row = capped.flow[capped.flow["reason"] == told.told].iloc[0]
    assert (row["left"], row["remaining"]) == (0, len(whole))
    assert f"{told.n_capped:,}" in row["reason"]


def test_each_group_has_a_quantile_of_its_own(costs: pd.DataFrame) -> None:
    by = {"winsorise": {"upper": 0.95, "by": "comorb_heart"}}
    plain, capped = cohort_of(costs, cost_study()), cohort_of(costs, cost_study(by))
    for value in (0.0, 1.0):
        mine = plain.train["comorb_heart"] == value
        cap = plain.train.loc[mine, "observed_score"].quantile(0.95)
        assert capped.train.loc[mine, "observed_score"].max() == pytest.approx(cap)
    assert capped.winsorising is not None
    assert capped.winsorising.groups == 2


def test_a_small_dear_group_is_not_cut_down_to_all_others(costs: pd.DataFrame) -> None:
    frame = costs.copy()
    dear = frame.index[:8]
    frame.loc[dear, "living_arrangements"] = "other"
    frame.loc[dear, "cost_total_90d"] = 1e6 + np.arange(8)
    by = {"winsorise": {"upper": 0.99, "by": "living_arrangements"}}
    cohort = cohort_of(frame, cost_study(by))
    kept = pd.concat([cohort.train, cohort.test])
    assert kept.loc[kept["living_arrangements"] == "other", "observed_score"].min() >= 1e6 - 1


def test_what_capping_took_is_in_the_metrics(costs: pd.DataFrame) -> None:
    expectations = expectations_of(costs, cost_study(CAPPED))
    found = evaluate(expectations).metrics["gamma"]
    told = expectations.cohort.winsorising
    assert told is not None
    assert (found["top_coded_n"], found["top_coded_share"]) == (told.n_capped, told.share_capped)


# --- what is expected ---


@pytest.mark.parametrize("when", [{}, OUT_OF_FOLD], ids=["out of time", "out of fold"])
@pytest.mark.parametrize("kind", LEARNERS)
def test_expectations_are_positive_and_sum_to_what_was_observed(
    kind: str, when: dict[str, Any], costs: pd.DataFrame
) -> None:
    learner = TREES if kind == "lightgbm" else {"kind": kind}
    rows = expectations_of(costs, cost_study(learners=[learner], **when)).table
    assert (rows["expected"] > 0).all()
    assert rows["expected"].sum() == pytest.approx(rows["observed"].sum(), rel=1e-12)
    assert rows["baseline_score"].isna().all()


@pytest.mark.parametrize("method", ["line", "none"])
def test_other_ways_of_recalibrating_costs(method: str, costs: pd.DataFrame) -> None:
    study = cost_study(recalibration={"method": method}, learners=[TREES])
    rows = expectations_of(costs, study).table
    total = rows["expected"].sum() / rows["observed"].sum()
    raw = rows["expected_score_raw"].sum() / rows["observed"].sum()
    assert total == pytest.approx(1.0 if method == "line" else raw, rel=1e-12)
    logs = np.log(rows[["expected", "expected_score_raw"]])
    slope = np.ptp(logs["expected"]) / np.ptp(logs["expected_score_raw"])
    assert slope == pytest.approx(1.0) if method == "none" else slope > 1.2


@pytest.mark.parametrize("objective", ["gamma", "tweedie"])
def test_trees_climb_the_likelihood_that_the_study_says(
    objective: str, costs: pd.DataFrame
) -> None:
    expectations = expectations_of(costs, cost_study(learners=[TREES | {"objective": objective}]))
    assert expectations.models["lightgbm"].members[0].family == objective
    assert expectations.models["lightgbm"].link == "log"


def test_learners_with_slopes_within_a_stack_and_a_search_go_with_costs(
    costs: pd.DataFrame,
) -> None:
    learners = [
        {"kind": "linear", "slopes": "within"},
        TREES | {"slopes": "within", "rounds": 2},
        {"kind": "stacked"},
        {"kind": "gamma", "tune": 3},
    ]
    expectations = expectations_of(costs, cost_study(learners=learners))
    assert set(expectations.table["learner"]) == {"linear", "lightgbm", "stacked", "gamma"}
    assert (expectations.table["expected"] > 0).all()
    assert len(expectations.searches["gamma"]) == 1
    assert set(expectations.shifts) == {"linear", "lightgbm"}


def test_a_stack_cannot_take_an_expectation_that_there_is_none_of(costs: pd.DataFrame) -> None:
    study = cost_study(learners=[{"kind": "stacked", "with_reference": True}])
    with pytest.raises(StudyError, match="wanted an expectation of cost in the episodes"):
        expectations_of(costs, study)


def test_costs_of_zero_are_for_learners_that_expect_some() -> None:
    frame = cost_frame(zero=0.2)
    with pytest.raises(ArrayError, match="Choose two_part or tweedie"):
        expectations_of(frame, cost_study())
    study = cost_study(learners=[{"kind": "two_part"}, {"kind": "tweedie"}, TREES])
    rows = expectations_of(frame, study).table
    assert (rows["expected"] > 0).all()
    assert (rows["observed"] == 0).any()


@pytest.mark.parametrize("kind", LEARNERS)
def test_a_saved_model_of_costs_expects_the_same(
    kind: str, costs: pd.DataFrame, tmp_path: Path
) -> None:
    learner = TREES if kind == "lightgbm" else {"kind": kind}
    expectations = expectations_of(costs, cost_study(learners=[learner]))
    save_model(expectations.models[kind], tmp_path)
    again = load_model(tmp_path).expect(expectations.casemix.test)
    assert again == pytest.approx(expectations.table["expected"].to_numpy(), rel=1e-12)


def test_figures_of_cost_are_told(expected: Expectations) -> None:
    found = evaluate(expected)
    metrics, rows = found.metrics["gamma"], expected.table
    off = np.abs(rows["observed"] - rows["expected"]).sum()
    away = np.abs(rows["observed"] - rows["observed"].mean()).sum()
    assert metrics["cpm"] == pytest.approx(1 - off / away)
    assert metrics["cpm_lower95"] < metrics["cpm"] < metrics["cpm_upper95"]
    assert metrics["total_ratio"] == pytest.approx(1)
    assert metrics["park_slope_lower95"] < 2 < metrics["park_slope_upper95"]
    assert metrics["negative_share"] == 0
    tenths = found.calibration
    ratio = tenths["expected"] / tenths["observed"]
    assert tenths["predictive_ratio"].to_numpy() == pytest.approx(ratio)
    assert (tenths["predictive_ratio_lower95"] < ratio).all()
    assert (ratio < tenths["predictive_ratio_upper95"]).all()


def test_a_gain_has_no_figures_of_cost(expectations: Expectations) -> None:
    found = evaluate(expectations)
    assert "cpm" not in found.metrics["linear"]
    assert "predictive_ratio" not in found.calibration


# --- how providers compare ---


def test_providers_are_compared_by_the_log_of_their_ratio(expected: Expectations) -> None:
    study = cost_study()
    table = profile_providers(expected, study).table.set_index("provider_id")
    rows = expected.table
    phi = np.mean((rows["observed"] / rows["expected"] - 1) ** 2)
    mean = rows["observed"].mean()
    sums = rows.groupby("provider_id").agg(o=("observed", "sum"), e=("expected", "sum"))
    squares = (rows["expected"] ** 2).groupby(rows["provider_id"]).sum()
    effect, error = np.log(sums["o"] / sums["e"]), np.sqrt(phi * squares) / sums["e"]
    assert table["ratio"].to_numpy() == pytest.approx(sums["o"] / sums["e"])
    assert table["adjusted"].to_numpy() == pytest.approx(mean * table["ratio"])
    assert table["z"].to_numpy() == pytest.approx(effect / error)
    assert table["upper95"].to_numpy() == pytest.approx(mean * np.exp(1.96 * error), rel=1e-5)
    assert table["centre"].to_numpy() == pytest.approx(mean)
    assert (table["note"] == "").all()


def test_dearer_is_worse(costs: pd.DataFrame) -> None:
    table = profiled(cost_frame(3000, apart=0.1), cost_study())
    dearest, cheapest = table["ratio"].idxmax(), table["ratio"].idxmin()
    assert (dearest, cheapest) == ("H09", "H00")
    assert table.loc[dearest, "flag"].startswith("Negative")
    assert table.loc[cheapest, "flag"].startswith("Positive")
    assert table.loc[cheapest, "rank"] < table.loc[dearest, "rank"]
    assert table.loc[cheapest, "p_best_fifth"] > 0.5 > table.loc[dearest, "p_best_fifth"]


@pytest.mark.parametrize("method", METHODS)
def test_every_method_finds_who_is_dear(method: str, expected: Expectations) -> None:
    study = cost_study(profile=rules(method))
    table = profile_providers(expected, study).table
    assert np.corrcoef(table["adjusted"], table["ratio"])[0, 1] > 0.95
    assert (table["ci_lower95"] > 0).all()
    assert table["lower998"].lt(table["upper998"]).all()
    assert table["shrunken"].between(table["shrunken_lower95"], table["shrunken_upper95"]).all()
    raw = np.abs(np.log(table["ratio"]))
    assert np.abs(np.log(table["predicted_ratio"])).mean() < raw.mean()


@pytest.mark.parametrize("limits", LIMITS)
def test_every_kind_of_limits_goes_with_costs(limits: str, expected: Expectations) -> None:
    study = cost_study(profile=rules(limits=limits))
    table = profile_providers(expected, study).table
    assert (table["lower95"] > 0).all()
    assert (table["lower95"] < table["upper95"]).all()


def test_predicted_is_expected_times_the_shrunken_ratio_with_its_interval(
    expected: Expectations,
) -> None:
    study = cost_study(profile=rules(replicates=200))
    table = profile_providers(expected, study).table
    assert table["predicted"].to_numpy() == pytest.approx(
        table["expected"] * table["predicted_ratio"]
    )
    lower, upper = table["predicted_ratio_lower95"], table["predicted_ratio_upper95"]
    assert (lower < table["predicted_ratio"]).all()
    assert (table["predicted_ratio"] < upper).all()


def test_a_given_reference_speaks_of_cost_and_relative_spread(expected: Expectations) -> None:
    given = {"reference": {"gain": 10_000.0, "sd": 1.0}}
    outcome = expected.cohort.outcome
    theirs = outcome.model_validate(outcome.model_dump() | given)
    cohort = replace(expected.cohort, outcome=theirs)
    moved = replace(expected, casemix=replace(expected.casemix, cohort=cohort))
    study = cost_study(given)
    table = profile_providers(moved, study).table
    assert table["adjusted"].to_numpy() == pytest.approx(10_000 * table["ratio"])
    phi = profile_providers(expected, cost_study()).reference["sd"].iloc[0] ** 2
    own = profile_providers(expected, cost_study()).table
    assert table["z"].to_numpy() == pytest.approx(own["z"] * np.sqrt(phi))


def test_a_number_to_compare_with_is_a_cost(expected: Expectations) -> None:
    study = cost_study(profile=rules(reference=9000.0))
    table = profile_providers(expected, study).table
    assert table["centre"].to_numpy() == pytest.approx(9000.0)
    assert ((table["adjusted"] > 9000) == (table["z"] > 0)).all()
    with pytest.raises(ValueError, match=r"a mean of cost can be \(cost of cost_total_90d\)"):
        cost_study(profile=rules(reference=-1.0))


def test_a_minimum_response_holds_back_nobody_whose_cost_is_known(expected: Expectations) -> None:
    study = cost_study(profile=rules(minimum_response=0.99))
    assert profile_providers(expected, study).table["z"].notna().all()


def test_nobody_was_asked_what_an_episode_cost(expected: Expectations) -> None:
    found = follow_up(expected, cost_study())
    assert found.told == NOT_ASKED
    assert found.analyses.empty
    assert found.rates.empty


def test_nobody_says_which_cost_counts_as_an_improvement(expected: Expectations) -> None:
    with pytest.raises(StudyError, match="wanted a score that patients gave; got kind cost"):
        anchored_thresholds(expected.cohort)


# --- why, and in which words ---


def test_contributions_to_a_cost_add_up_on_the_log_scale(costs: pd.DataFrame) -> None:
    expectations = expectations_of(costs, cost_study(learners=[TREES]))
    explained = explain_expectations(expectations)
    assert explained is not None
    logs = np.log(expectations.table["expected"].to_numpy())
    assert explained.episodes["expected_score"].to_numpy() == pytest.approx(logs)
    sums = explained.providers.groupby("provider_id")["contribution"].sum()
    by_provider = pd.Series(logs).groupby(expectations.table["provider_id"].to_numpy()).mean()
    assert sums.to_numpy() == pytest.approx(by_provider.to_numpy() - logs.mean())


def test_sides_are_cheaper_and_dearer() -> None:
    study = cost_study()
    told = Places(study.profile, study.outcomes[0].compares.sides)
    assert [one.words for one in told.all] == [
        "cheaper beyond 99.8 %",
        "cheaper beyond 95 %",
        "within limits",
        "dearer beyond 95 %",
        "dearer beyond 99.8 %",
    ]


def test_a_gain_beside_a_cost_is_what_it_is_alone(costs: pd.DataFrame) -> None:
    learners = [{"kind": "linear"}]
    alone = make_study(learners=learners)
    both = make_study(learners=[*learners, {"kind": "gamma"}], outcomes=[GAIN, COST])
    episodes = as_episodes(costs)
    first = select_cohort(episodes, alone, alone.outcomes[0])
    second = select_cohort(episodes, both, both.outcomes[0])
    assert first.digest == second.digest
