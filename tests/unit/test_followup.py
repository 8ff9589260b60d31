"""Who did not answer: whom they are, what is made of them, and what of it may leave."""

import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError
from scipy import stats
from worlds import LINEAR, as_episodes, casemix_of, cohort_of, episode_frame, make_study

from riskadj.casemix import choose_casemix
from riskadj.cohort import Cohort, response_by_provider, select_cohort
from riskadj.cohort.rates import ALL, FROM_COUNTS, NOT_HERE
from riskadj.episodes.participation import COUNTS, Participation, read_participation
from riskadj.errors import ColumnError, InSampleError, RiskadjError, StudyError, ValuesError
from riskadj.expected import Expectations, cross_fit, evaluate
from riskadj.followup import ANALYSES, FollowUp, follow_up
from riskadj.followup.analyses import Comparing, Place, tipping_in_words
from riskadj.followup.everybody import covariates_of, expected_by, without_expectation
from riskadj.followup.follow import ALL_ANSWERED, NOT_THERE
from riskadj.profile import NHS_ENGLAND, profile_providers
from riskadj.report.card.sections.followup import _result, followup
from riskadj.report.card.sections.limitations import limitations
from riskadj.report.disclosure import suppress_balance, suppress_rates
from riskadj.report.figures import draw_figures, figure_descriptions
from riskadj.report.results import OutcomeResults, build_findings
from riskadj.stats import Z95
from riskadj.stats.imputation import impute
from riskadj.stats.pooling import student_cut
from riskadj.stats.provider_draws import pool_differences, pool_ratios
from riskadj.study import Study
from riskadj.study.outcomes import Outcome
from riskadj.study.profile import FollowUpRules, ProfileRules

KEYS = ["outcome", "learner", "provider_id"]
OHS = {"name": "ohs", "instrument": "OHS"}
CHANGE = {"kind": "change", "value": 14, "source": "a test"}
RESPONDERS = {"outcomes": [OHS | {"kind": "responder", "threshold": CHANGE}]}
GIVEN = {"outcomes": [OHS | {"kind": "gain", "reference": {"gain": 15.0, "sd": 8.0}}]}


def asked_frame(seed: int = 3) -> pd.DataFrame:
    """Return episodes of which those with poor scores before answer less, and some providers."""
    frame = episode_frame(1600, 8, seed)
    rng = np.random.default_rng(seed)
    provider = frame["provider_id"].str[1:].astype(int)
    odds = 0.4 + 0.08 * (frame["q1_score_ohs"] - 22) + 0.25 * (provider - 3.5)
    silent = rng.random(len(frame)) > 1 / (1 + np.exp(-odds))
    return frame.assign(q2_score_ohs=frame["q2_score_ohs"].mask(silent))


def expectations_in(frame: pd.DataFrame, study: Study) -> Expectations:
    return cross_fit(casemix_of(frame, study), study)


@pytest.fixture(scope="module")
def asked() -> pd.DataFrame:
    return asked_frame()


@pytest.fixture(scope="module")
def study() -> Study:
    return make_study(learners=LINEAR)


@pytest.fixture(scope="module")
def known(asked: pd.DataFrame, study: Study) -> Expectations:
    return expectations_in(asked, study)


@pytest.fixture(scope="module")
def found(known: Expectations, study: Study) -> FollowUp:
    return follow_up(known, study)


# --- whom they are --------------------------------------------------------------------------------


def test_who_did_not_answer_is_eligible_with_a_score_before_and_none_after() -> None:
    frame = episode_frame()
    late = frame["period"] == "2022"
    rows = frame.index[late][:5]
    frame.loc[rows, "q2_score_ohs"] = np.nan
    frame.loc[rows[0], "q1_score_ohs"] = np.nan
    frame.loc[rows[1], "procedure_group"] = "HIP_REV"
    frame.loc[frame.index[~late][0], "q2_score_ohs"] = np.nan
    assert set(cohort_of(frame).unanswered["episode_id"]) == set(frame.loc[rows[2:], "episode_id"])


def test_an_answer_outside_the_window_is_none_and_its_score_is_not_told() -> None:
    frame = episode_frame()
    study = make_study(cohort__follow_up_days={"at_least": 200, "at_most": 300})
    cohort = cohort_of(frame, study)
    outside = frame[(frame["period"] == "2022") & ~frame["q2_days"].between(200, 300)]
    assert set(cohort.unanswered["episode_id"]) == set(outside["episode_id"])
    assert cohort.unanswered[["score_after", "observed_score"]].isna().all(axis=None)
    told = cohort.rates.set_index("provider_id").loc[ALL]
    assert told["q1"] - told["answered"] == len(outside)


def test_the_dead_and_those_without_anything_to_compare_are_not_among_them() -> None:
    frame = episode_frame()
    rows = frame.index[frame["period"] == "2022"][:3]
    frame["deceased"] = 0.0
    frame.loc[rows, "q2_score_ohs"] = np.nan
    frame.loc[rows[0], "deceased"] = 1.0
    frame.loc[rows[1], "q1_score_ohs"] = 0.0
    change = {"name": "ohs", "instrument": "OHS", "kind": "percentage_change"}
    cohort = cohort_of(frame, make_study(outcomes=[change]))
    assert list(cohort.unanswered["episode_id"]) == [frame.loc[rows[2], "episode_id"]]


def test_who_did_not_answer_changes_nothing_of_who_did(asked: pd.DataFrame) -> None:
    with_them, without = cohort_of(asked), cohort_of(asked.dropna(subset="q2_score_ohs"))
    pd.testing.assert_frame_equal(with_them.test, without.test)
    assert without.unanswered.empty


# --- three analyses -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"profile__reference": "median"},
        {"profile__reference": 16.0},
        {"profile__peer_group": "sex"},
        {"profile__levels": [0.9, 0.99]},
        GIVEN,
        RESPONDERS,
        {"split__train": ["2021", "2022"], "split__test": ["2021", "2022"]},
    ],
)
def test_complete_cases_are_the_studys_own_comparison(
    changes: dict[str, Any], asked: pd.DataFrame
) -> None:
    study = make_study(learners=LINEAR, **changes)
    known = expectations_in(asked, study)
    own, found = profile_providers(known, study).table, follow_up(known, study)
    both = own.merge(found.analyses, on=KEYS)
    assert len(both) == 8
    assert (both["eligible"] > both["answered"]).all()
    np.testing.assert_allclose(both["adjusted"], both["adjusted_complete"], rtol=1e-12)
    np.testing.assert_allclose(both["z"], both["z_complete"], rtol=1e-9, atol=1e-12)
    assert both["flag"].tolist() == both["flag_complete"].tolist()
    np.testing.assert_allclose(both["ratio"], both["ratio_complete"], rtol=1e-12)
    assert both[[f"z_{one}" for one in ANALYSES]].notna().all(axis=None)


def test_all_three_are_of_every_provider_and_learner(asked: pd.DataFrame) -> None:
    study = make_study()
    found = follow_up(expectations_in(asked, study), study)
    assert found.analyses.groupby("learner").size().to_dict() == {"linear": 8, "lightgbm": 8}
    assert found.summary["learner"].tolist() == ["linear", "lightgbm"]
    assert found.summary["effective_n"].nunique() == 1


def test_the_summary_counts_flags_that_differ(found: FollowUp) -> None:
    one, rows = found.summary.iloc[0], found.analyses
    other = rows["flag_imputed"] != rows["flag_complete"]
    assert one["imputed_differs"] == other.sum()
    assert one["any_differs"] == (other | (rows["flag_weighted"] != rows["flag_complete"])).sum()
    assert one["response"] == rows["answered"].sum() / rows["eligible"].sum()
    assert rows["answered"].sum() > one["effective_n"] > 0.8 * rows["answered"].sum()


def test_weights_bring_those_who_answered_near_everybody(found: FollowUp) -> None:
    told = found.balance.set_index("covariate").loc["q1_score_ohs"]
    assert told["difference"] > 0.15
    assert abs(told["difference_weighted"]) < 0.3 * told["difference"]
    assert told["answered"] > told["weighted"]


def test_balance_has_plain_means_beside_differences_within_providers(
    found: FollowUp, known: Expectations
) -> None:
    told = found.balance.set_index("covariate").loc["q1_score_ohs"]
    answered = known.cohort.test["baseline_score"]
    asked = pd.concat([answered, known.cohort.unanswered["baseline_score"]])
    assert told["answered"] == pytest.approx(answered.mean())
    assert told["everybody"] == pytest.approx(asked.mean())
    plain = (told["answered"] - told["everybody"]) / told["sd"]
    assert abs(plain - told["difference"]) > 0.01


def test_a_weighted_mean_counts_answers_by_their_weight(
    known: Expectations, study: Study, asked: pd.DataFrame
) -> None:
    equal = study.model_copy(update={"follow_up": FollowUpRules(trim=(0.5, 0.500001))})
    rows = follow_up(known, equal).analyses
    np.testing.assert_allclose(rows["adjusted_weighted"] - rows["adjusted_complete"], 0, atol=1e-3)
    np.testing.assert_allclose(rows["effective_n"], rows["answered"], rtol=1e-4)
    np.testing.assert_allclose(rows["error_weighted"], rows["error_complete"], rtol=1e-4)


def test_imputation_is_less_sure_than_as_many_answers_would_be(found: FollowUp) -> None:
    rows = found.analyses
    assert rows["missing_information"].between(0.01, 0.9).all()
    sd = rows["error_complete"] * np.sqrt(rows["answered"])
    assert (rows["error_imputed"] > 0.9 * sd / np.sqrt(rows["eligible"])).all()
    low, high = rows["response"].idxmin(), rows["response"].idxmax()
    assert rows.loc[low, "missing_information"] > rows.loc[high, "missing_information"]


def test_rubins_rules_reach_observed_over_expected(
    known: Expectations, study: Study, found: FollowUp
) -> None:
    everybody = without_expectation(known.cohort)
    rows = next(part for _, part in known.by_learner())
    everybody = expected_by(everybody, known, "linear", rows, study)
    draws = impute(
        everybody.observed,
        everybody.expected,
        everybody.groups.labels[everybody.groups.codes],
        seed=study.split.seed,
        covariates=covariates_of(known.casemix).X,
        imputations=study.follow_up.imputations,
    )
    pooled, table = pool_differences(draws), found.analyses
    np.testing.assert_allclose(table["ratio_imputed"], pool_ratios(draws).estimate, rtol=1e-10)
    np.testing.assert_allclose(table["error_imputed"], pooled.error, rtol=1e-10)
    np.testing.assert_allclose(table["df_imputed"], pooled.df, rtol=1e-10)
    np.testing.assert_allclose(table["z_imputed"], pooled.z(0.0), rtol=1e-6)
    half = student_cut(Z95, pooled.df) * pooled.error * draws.eligible / draws.expected
    for side, away in (("lower", -half), ("upper", half)):
        wanted = table["ratio_imputed"] + away
        np.testing.assert_allclose(table[f"ratio_imputed_{side}95"], wanted, rtol=1e-10)
    for one in ANALYSES:
        inside = table[f"ratio_{one}"].between(
            table[f"ratio_{one}_lower95"], table[f"ratio_{one}_upper95"], inclusive="neither"
        )
        assert inside.all()


def test_no_row_contradicts_itself(asked: pd.DataFrame) -> None:
    """With few imputations t and normal limits are far apart."""
    given = make_study(learners=LINEAR, profile__reference=16.0)
    study = given.model_copy(update={"follow_up": FollowUpRules(imputations=2)})
    rows = follow_up(expectations_in(asked, study), study).analyses
    assert rows["df_imputed"].min() < 10
    for one in ANALYSES:
        df = rows["df_imputed"] if one == "imputed" else np.full(len(rows), np.inf)
        away = (rows[f"adjusted_{one}"] - 16.0) / rows[f"error_{one}"]
        assert ((away.abs() > student_cut(Z95, df)) == (rows[f"z_{one}"].abs() > Z95)).all()
        assert (np.sign(away) == np.sign(rows[f"z_{one}"])).all()
    places = rows["flag_imputed"].str.contains("alert|alarm", case=False)
    assert (places == (rows["z_imputed"].abs() > Z95)).all()


def test_without_imputations_there_are_two(known: Expectations, study: Study) -> None:
    two = study.model_copy(update={"follow_up": FollowUpRules(imputations=0)})
    rows = follow_up(known, two).analyses
    nothing = [
        "adjusted_imputed",
        "z_imputed",
        "ratio_imputed",
        "missing_information",
        "tipping_nearest",
    ]
    assert rows[nothing].isna().all(axis=None)
    assert (rows["flag_imputed"] == "").all()
    assert rows["z_weighted"].notna().all()


def test_the_same_seed_gives_the_same_and_another_does_not(
    known: Expectations, study: Study, found: FollowUp
) -> None:
    assert follow_up(known, study).digest == found.digest
    split = study.split.model_copy(update={"seed": 2})
    other = follow_up(known, study.model_copy(update={"split": split})).analyses
    assert (other["z_imputed"] != found.analyses["z_imputed"]).all()
    assert (other["z_weighted"] == found.analyses["z_weighted"]).all()


@pytest.mark.parametrize(
    "rules",
    [{"draw": "donors"}, {"numerator": "overall"}, {"imputations": 5}, {"effects": "random"}],
)
def test_every_rule_changes_what_it_is_about(
    rules: dict[str, Any], known: Expectations, study: Study, found: FollowUp
) -> None:
    changed = follow_up(known, study.model_copy(update={"follow_up": FollowUpRules(**rules)}))
    about = "weighted" if "numerator" in rules else "imputed"
    assert (changed.analyses[f"z_{about}"] != found.analyses[f"z_{about}"]).all()


@pytest.mark.parametrize(
    "wrong",
    [
        {"imputations": 1},
        {"trim": (0.9, 0.1)},
        {"trim": (0, 2)},
        {"draw": "mean"},
        {"effects": "none"},
    ],
)
def test_rules_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        FollowUpRules(**wrong)


def test_nobody_is_expected_by_a_member_that_learned_from_the_provider(
    asked: pd.DataFrame,
) -> None:
    study = make_study(learners=LINEAR, split__train=["2021", "2022"], split__test=["2021", "2022"])
    known = expectations_in(asked, study)
    rows = known.table[known.table["learner"] == "linear"]
    everybody = expected_by(without_expectation(known.cohort), known, "linear", rows, study)
    silent, model = known.cohort.unanswered, known.models["linear"]
    for provider, some in silent.groupby("provider_id"):
        (fold,) = rows.loc[rows["provider_id"] == provider, "fold"].unique()
        alone = model.expect(some, np.full(len(some), fold)) - some["baseline_score"]
        mine = everybody.expected[len(rows) :][silent["provider_id"] == provider]
        np.testing.assert_allclose(mine, alone, rtol=1e-12)


def test_a_provider_that_nobody_answered_is_expected_by_all_members(asked: pd.DataFrame) -> None:
    study = make_study(learners=LINEAR, split__train=["2021", "2022"], split__test=["2021", "2022"])
    frame = asked.assign(q2_score_ohs=asked["q2_score_ohs"].mask(asked["provider_id"] == "H00"))
    rows = follow_up(expectations_in(frame, study), study).analyses.set_index("provider_id")
    assert rows.loc["H00", "answered"] == 0
    assert rows.loc["H00", "flag_imputed"] == ""
    assert rows.drop("H00")["z_imputed"].notna().all()


def test_case_mix_without_gaps_says_where_they_were(asked: pd.DataFrame, study: Study) -> None:
    frame = asked.assign(age_years=asked["age_years"].mask(np.arange(len(asked)) % 5 == 0))
    covariates = covariates_of(casemix_of(frame, study))
    assert np.isfinite(covariates.X).all()
    gone = covariates.X[:, covariates.names.index("age_years (not recorded)")].astype(bool)
    age = covariates.X[:, covariates.names.index("age_years")]
    assert gone.any()
    np.testing.assert_allclose(age[gone], np.median(age[~gone]), atol=1)


def test_only_expectations_are_taken(study: Study) -> None:
    with pytest.raises(InSampleError, match="wanted Expectations"):
        follow_up("none", study)  # type: ignore[arg-type]


def student_t_of(z: float, df: float) -> float:
    return float(np.sign(z) * student_cut(abs(z), df))


def test_by_own_effects_a_provider_is_moved_no_nearer_to_the_others(
    known: Expectations, study: Study, found: FollowUp
) -> None:
    random = study.model_copy(update={"follow_up": FollowUpRules(effects="random")})
    drawn = follow_up(known, random).analyses
    complete, own = found.analyses["adjusted_complete"], found.analyses["adjusted_imputed"]
    assert drawn["adjusted_imputed"].std() < 0.95 * own.std()
    assert abs(own.std() / complete.std() - 1) < 0.1


# --- tipping points -------------------------------------------------------------------------------


@pytest.mark.parametrize("changes", [{}, GIVEN, {"profile__peer_group": "sex"}])
def test_at_the_tipping_point_a_provider_is_on_the_limit(
    changes: dict[str, Any], asked: pd.DataFrame
) -> None:
    study = make_study(learners=LINEAR, **changes)
    rows = follow_up(expectations_in(asked, study), study).analyses
    if "profile__peer_group" in changes:
        late = asked[(asked["period"] == "2022") & asked["q2_score_ohs"].notna()]
        counts = late.groupby("provider_id")["sex"].value_counts().unstack()
        group = rows["provider_id"].map(counts.idxmax(axis=1))
        whole = rows["eligible"].groupby(group).transform("sum")
    else:
        whole = rows["eligible"].sum()
    slope = (1 - rows["response"]) * (1 - rows["eligible"] / whole)
    told = 0
    for side in ("down", "up"):
        delta = rows[f"tipping_{side}"]
        df = rows["df_imputed"].to_numpy()
        t = [student_t_of(*one) for one in zip(rows["z_imputed"], df, strict=True)]
        at = (t + slope * delta / rows["error_imputed"])[delta.notna()].abs()
        np.testing.assert_allclose(at, student_cut(Z95, df)[delta.notna()], rtol=1e-7)
        told += delta.notna().sum()
    assert told >= 8


def test_the_scale_bounds_what_those_who_did_not_answer_may_have(
    found: FollowUp, known: Expectations
) -> None:
    silent = known.cohort.unanswered.groupby("provider_id")["baseline_score"].mean()
    rows = found.analyses.set_index("provider_id")
    assert (rows["tipping_up"].dropna() < 48 - silent.min()).all()
    assert (rows["tipping_down"].dropna() > -48).all()


def comparing(outcome: Outcome) -> Comparing:
    rules = ProfileRules(method="nhs_england", minimum_n=30, suppress_below=6)
    return Comparing(outcome, rules, NHS_ENGLAND, None, np.array([True]), 0.0, 1.0, 0.0)


@pytest.mark.parametrize(
    ("instrument", "kind", "delta", "place", "words"),
    [
        ("OHS", "gain", -3.14, 1, "no longer be outside the 95 % limits if those who did not "
         "answer were worse than expected by 3.1 points"),
        ("OHS", "gain", 0.01, 0, "be outside the 95 % limits if those who did not answer were "
         "better than expected by less than 0.1 points"),
        ("ODI", "final_score", -2.0, 0, "be outside the 95 % limits if those who did not answer "
         "were better than expected by 2.0 "),
        ("EQ5D3L_UK_TTO", "gain", 0.04, 0, "be outside the 95 % limits if those who did not "
         "answer were better than expected by 0.040 on the index"),
    ],
)  # fmt: skip
def test_a_tipping_point_says_which_way_is_worse(
    instrument: str, kind: str, delta: float, place: int, words: str
) -> None:
    outcome = Outcome(name="one", instrument=instrument, kind=kind)  # type: ignore[arg-type]
    said = tipping_in_words(delta, Place(place, place), 0.3, comparing(outcome))
    assert said.startswith(f"by imputation would {words}")


@pytest.mark.parametrize(
    ("place", "delta", "words"),
    [
        (Place(imputed=0, complete=-1), -1.0, "inside the 95 % limits already; would be outside if "
         "those who did not answer were worse than expected by 1.0 points"),
        (Place(imputed=1, complete=0), -1.0, "outside the 95 % limits already; would be inside if "
         "those who did not answer were worse than expected by 1.0 points"),
        (Place(imputed=1, complete=-1), -1.0, "outside the 95 % limits on the other side; would be "
         "inside if those who did not answer were worse than expected by 1.0 points"),
        (Place(imputed=0, complete=1), np.inf, "inside the 95 % limits already; nothing that the "
         "scale allows would change that"),
    ],
)  # fmt: skip
def test_where_imputation_changes_the_flag_already_that_is_said_first(
    place: Place, delta: float, words: str
) -> None:
    one = comparing(Outcome(name="one", instrument="OHS", kind="gain"))
    assert tipping_in_words(delta, place, 0.3, one) == f"by imputation {words}"


def test_where_nothing_could_change_the_flag_the_words_say_so() -> None:
    one, inside = comparing(Outcome(name="one", instrument="OHS", kind="gain")), Place(0, 0)
    said = tipping_in_words(np.inf, inside, 0.3, one)
    assert said == "nothing that the scale allows would change the flag by imputation"
    assert tipping_in_words(np.inf, inside, 0.0, one) == "everybody answered"
    differs = tipping_in_words(np.inf, Place(0, 1), 0.0, one)
    assert differs == "by imputation inside the 95 % limits already; everybody answered"


def test_the_words_of_every_row_go_with_its_two_flags(asked: pd.DataFrame) -> None:
    """With half of providers worse, and few imputations, some flags differ."""
    late = (asked["period"] == "2022") & (asked["provider_id"] < "H04")
    shift = np.where(late, 3.0, 0.0)
    study = make_study(learners=LINEAR).model_copy(
        update={"follow_up": FollowUpRules(imputations=3)}
    )
    frame = asked.assign(q2_score_ohs=(asked["q2_score_ohs"] - shift).clip(0, 48))
    rows = follow_up(expectations_in(frame, study), study).analyses
    places = [np.sign(rows[z]) * (rows[z].abs() > Z95) for z in ("z_complete", "z_imputed")]
    already = rows["tipping"].str.startswith(("by imputation inside", "by imputation outside"))
    assert (already == (places[0] != places[1])).all()
    assert 0 < already.sum() < len(already)


# --- where there is nobody to follow --------------------------------------------------------------


def test_where_everybody_answered_that_is_said(frame: pd.DataFrame, study: Study) -> None:
    found = follow_up(expectations_in(frame, study), study)
    assert found.told == ALL_ANSWERED
    assert found.analyses.empty
    assert (
        found.rates.set_index("provider_id").loc[ALL, "answered"]
        == (frame["period"] == "2022").sum()
    )


def test_files_of_pairs_say_nothing_of_the_others(asked: pd.DataFrame) -> None:
    study = make_study(learners=LINEAR, data={"format": "nhs_proms", "paths": ["a.csv"]})
    found = follow_up(expectations_in(asked, study), study)
    assert found.told == NOT_THERE
    assert found.analyses.empty
    assert found.rates.empty


# --- rates ----------------------------------------------------------------------------------------


def with_flags(frame: pd.DataFrame) -> pd.DataFrame:
    returned = frame["q2_score_ohs"].notna().astype(float)
    sent = np.maximum(returned, np.arange(len(frame)) % 2)
    return frame.assign(q2_sent=sent, q2_returned=returned)


def test_rates_of_episodes_are_by_the_formulas(asked: pd.DataFrame) -> None:
    frame = with_flags(asked)
    rates = cohort_of(frame).rates.set_index("provider_id")
    late = frame[frame["period"] == "2022"]
    sums = late.groupby("provider_id")[["q2_sent", "q2_returned"]].sum()
    size = late.groupby("provider_id").size()
    issue, response = sums["q2_sent"] / size, sums["q2_returned"] / sums["q2_sent"]
    np.testing.assert_allclose(rates["issue"].drop(ALL), issue)
    np.testing.assert_allclose(rates["response"].drop(ALL), response)
    assert rates.loc[ALL, "q1"] == len(late)
    assert rates[["participation", "linkage", "procedures"]].isna().all(axis=None)


def test_a_blank_is_not_taken_for_a_no(asked: pd.DataFrame) -> None:
    """Who leaves blank whom it asked is held against all who answered before."""
    frame = with_flags(asked)
    mine = frame["provider_id"] == "H03"
    frame.loc[mine, ["q2_sent", "q2_returned"]] = np.nan
    rates = cohort_of(frame).rates
    late = frame[mine & (frame["period"] == "2022")]
    assert response_by_provider(rates)["H03"] == late["q2_score_ohs"].notna().mean()
    assert np.isnan(rates.set_index("provider_id").loc[ALL, "response"])
    study = make_study(profile__minimum_response=0.9, learners=LINEAR)
    table = profile_providers(expectations_in(frame, study), study).table
    assert table.set_index("provider_id").loc["H03", "flag"] == NHS_ENGLAND.low_response


def test_procedures_are_told_where_some_have_no_score_before(asked: pd.DataFrame) -> None:
    frame = asked.copy()
    late = frame.index[(frame["period"] == "2022") & (frame["provider_id"] == "H01")]
    frame.loc[late[:10], ["q1_score_ohs", "q2_score_ohs"]] = np.nan
    row = cohort_of(frame).rates.set_index("provider_id").loc["H01"]
    assert row["procedures"] == len(late)
    assert row["participation"] == 1 - 10 / len(late)


def test_more_returned_than_sent_is_refused(asked: pd.DataFrame) -> None:
    frame = with_flags(asked)
    frame.loc[frame["provider_id"] == "H03", "q2_sent"] = 0.0
    with pytest.raises(ValuesError, match=r"H03: .* response rate is above 100 %"):
        cohort_of(frame)


@pytest.mark.parametrize(("flags", "part"), [(True, "sent"), (False, "asked")])
def test_response_is_of_those_sent_or_where_nobody_says_of_those_asked(
    flags: bool, part: str, asked: pd.DataFrame
) -> None:
    frame = with_flags(asked) if flags else asked
    late = frame[frame["period"] == "2022"]
    of = late[late["q2_sent"] == 1] if part == "sent" else late
    own = of["q2_score_ohs"].notna().groupby(of["provider_id"]).mean()
    pd.testing.assert_series_equal(
        response_by_provider(cohort_of(frame).rates).sort_index(), own, check_names=False
    )


# --- participation files --------------------------------------------------------------------------

GROUPS = ("All Procedures", "Hip Replacement", "Primary Hip Replacement")
ROWS = {
    "England": (1000, 700, 600, 650, 400),
    "H00": (100, 120, 80, 110, 99),
    "H01": (90, 60, 50, 60, 12),
    "H02": ("*", "*", "*", "*", "*"),
    "X99": (20, 10, 9, 8, 6),
}


def participation_file(
    folder: Path, rows: dict[str, Any] | None = None, groups: tuple[str, ...] = GROUPS, **more: Any
) -> Path:
    """Write a participation file in which all groups of procedures count alike, but for `*`."""
    rows = rows or ROWS
    table = pd.DataFrame({"Organisation Code": [*rows], "Organisation Name": [*rows]})
    for group in groups:
        for place, name in enumerate(COUNTS.values()):
            cells = [one[place] for one in rows.values()]
            joint = group != "Primary Hip Replacement"
            table[f"{group} - {name}"] = [40 if c == "*" and joint else c for c in cells]
        table[f"{group} - Response rate"] = "0.5"
    path = folder / f"participation_{len(list(folder.iterdir()))}.csv"
    table.assign(**more).to_csv(path, index=False, encoding="latin-1")
    return path


def cohort_with(participation: Participation, frame: pd.DataFrame, study: Study) -> Cohort:
    episodes = dataclasses.replace(as_episodes(frame), participation=participation)
    return select_cohort(episodes, study, study.outcomes[0])


def test_counts_of_the_procedure_come_first_and_the_joints_where_they_are_hidden(
    tmp_path: Path,
) -> None:
    counts = read_participation([participation_file(tmp_path)]).of("HIP_PRIM")
    assert counts.loc["H00", "counted"] == "Primary Hip Replacement"
    assert counts.loc["H00", [*COUNTS]].tolist() == [*ROWS["H00"]]
    assert counts.loc["H02", "counted"] == "Hip Replacement"
    assert counts.loc["H02", "q1"] == 40


def test_counts_of_several_files_are_added_and_a_hidden_one_hides_the_sum(tmp_path: Path) -> None:
    one = participation_file(tmp_path, {"H00": (9, 8, 7, 6, 5), "H01": (9, 8, 7, 6, 5)})
    two = participation_file(tmp_path, {"H00": (1, 1, 1, 1, 1), "H01": ("*", "*", "*", "*", "*")})
    found = read_participation([one, two])
    counts = found.table.set_index(["counted", "provider_id"]).loc["Primary Hip Replacement"]
    assert counts.loc["H00", [*COUNTS]].tolist() == [10, 9, 8, 7, 6]
    assert counts.loc["H01", [*COUNTS]].isna().all()
    assert [one.rows for one in found.sources] == [2, 2]


def test_rates_of_counts_are_by_the_formulas_and_participation_may_exceed(
    tmp_path: Path, asked: pd.DataFrame
) -> None:
    study = make_study(learners=LINEAR, data={"format": "nhs_proms", "paths": ["a.csv"]})
    counts = read_participation([participation_file(tmp_path)])
    rates = cohort_with(counts, asked, study).rates.set_index("provider_id")
    assert set(rates["source"]) == {FROM_COUNTS}
    assert rates.loc["H00", [*COUNTS]].tolist() == [*ROWS["H00"]]
    wanted = [1.2, 80 / 120, 110 / 120, 0.9]
    names = ["participation", "linkage", "issue", "response"]
    np.testing.assert_allclose(rates.loc["H00", names].astype(float), wanted)
    assert rates.loc[ALL, "q1"] == 700
    assert rates.loc[["H03", "H07"], names].isna().all(axis=None)
    assert rates.loc[NOT_HERE, ["q1", "counted"]].tolist() == [10, "1 provider, 1 counted"]
    assert set(response_by_provider(cohort_with(counts, asked, study).rates).index) == {
        "H00", "H01", "H02",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda f: participation_file(f, **{"Hip Replacement - Rate of reply": 1}),
         ColumnError, "'Hip Replacement - Rate of reply'"),
        (lambda f: participation_file(f, Region="North"), ColumnError, "got 'Region'"),
        (lambda f: participation_file(f, {"H00": (9, 8, 7, 6, 7)}), ValuesError,
         "All Procedures, H00: .* above 100 %; got 7 of 6"),
        (lambda f: participation_file(f, {"H00": (9, 8, 7, 9, 7)}), ValuesError, "above 100 %"),
        (lambda f: participation_file(f, {"H00": (9, "x", 7, 6, 5)}), ValuesError, "'x' in row 1"),
        (lambda f: participation_file(f, {"H00": (9, -8, 7, 6, 5)}), ValuesError, "got '-8'"),
        (lambda f: participation_file(f, {"H00": (9, 8.5, 7, 6, 5)}), ValuesError, "got '8.5'"),
        (lambda f: participation_file(f, groups=()), ColumnError, "there are none"),
        (lambda f: participation_file(f, {"H00": (9, 8, 7, 6, 5), "H00 ": (9, 8, 7, 6, 5)}),
         ValuesError, "'H00' twice"),
    ],
)  # fmt: skip
def test_a_file_that_is_none_is_refused_in_a_line(
    make: Any, error: type[RiskadjError], words: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=words):
        read_participation([make(tmp_path)])


def test_counts_of_another_procedure_are_refused(tmp_path: Path) -> None:
    counts = read_participation([participation_file(tmp_path)])
    with pytest.raises(ColumnError, match="Primary Knee Replacement or Knee Replacement"):
        counts.of("KNEE_PRIM")


# --- the minimum response -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def held(asked: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame, pd.Series]:
    """Return profiles with and without a minimum response, and who is under it."""
    strict = make_study(learners=LINEAR, profile__minimum_response=0.6)
    free = make_study(learners=LINEAR)
    known = expectations_in(asked, free)
    tables = [
        profile_providers(known, one).table.set_index("provider_id") for one in (strict, free)
    ]
    return *tables, response_by_provider(known.cohort.rates).reindex(tables[0].index) < 0.6


def test_too_low_a_response_is_adjusted_but_neither_flagged_nor_ranked(
    held: tuple[pd.DataFrame, pd.DataFrame, pd.Series],
) -> None:
    strict, free, low = held
    assert 0 < low.sum() < len(low)
    assert (strict.loc[low, "flag"] == "Response too low").all()
    blank = ["z", "rank", "p_best_fifth", "p_worst_fifth", "flag_share", "shrunken"]
    assert strict.loc[low, blank].isna().all(axis=None)
    kept = ["adjusted", "lower95", "ci_lower95", "observed", "n"]
    pd.testing.assert_frame_equal(strict[kept], free[kept])
    assert (strict.loc[~low, "flag"] == free.loc[~low, "flag"]).all()
    assert strict.loc[~low, "rank"].max() <= (~low).sum()


def test_who_is_held_back_has_no_flag_under_any_analysis(asked: pd.DataFrame) -> None:
    study = make_study(learners=LINEAR, profile__minimum_response=0.6)
    known = expectations_in(asked, study)
    held_back = {
        one for one, rate in response_by_provider(known.cohort.rates).items() if rate < 0.6
    }
    assert held_back.isdisjoint(profile_providers(known, study).analyses["provider_id"])
    rows = follow_up(known, study).analyses.set_index("provider_id").loc[sorted(held_back)]
    assert (rows[[f"flag_{one}" for one in ANALYSES]] == "").all(axis=None)


def test_nobody_left_to_flag_is_no_error(asked: pd.DataFrame) -> None:
    study = make_study(learners=LINEAR, profile__minimum_response=1.0)
    table = profile_providers(expectations_in(asked, study), study).table
    assert set(table["flag"]) == {"Response too low"}


def test_a_minimum_without_any_rate_is_refused(asked: pd.DataFrame) -> None:
    data = {"format": "nhs_proms", "paths": ["a.csv"]}
    study = make_study(learners=LINEAR, profile__minimum_response=0.5, data=data)
    with pytest.raises(StudyError, match=r"profile\.minimum_response: wanted response rates"):
        profile_providers(expectations_in(asked, study), study)


def test_the_participation_file_speaks_before_the_episodes(
    tmp_path: Path, asked: pd.DataFrame
) -> None:
    counts = read_participation([participation_file(tmp_path)])
    rates = cohort_with(counts, asked, make_study(learners=LINEAR)).rates
    response = response_by_provider(rates)
    assert response["H01"] == 12 / 60
    assert len(response) == 8


def test_whose_response_is_not_known_is_compared_and_counted(
    tmp_path: Path, asked: pd.DataFrame
) -> None:
    data = {"format": "nhs_proms", "paths": ["a.csv"]}
    study = make_study(learners=LINEAR, profile__minimum_response=0.5, data=data)
    counts = read_participation([participation_file(tmp_path)])
    known = cross_fit(choose_casemix(cohort_with(counts, asked, study), study), study)
    flags = profile_providers(known, study).table.set_index("provider_id")["flag"]
    assert flags[flags == "Response too low"].index.tolist() == ["H01"]
    said = follow_up(known, study).warnings
    assert said == ("ohs, response: not known of 5 of 8 providers, which are compared",)


# --- what may leave -------------------------------------------------------------------------------


def rates_of(q1: list[float], returned: list[float]) -> pd.DataFrame:
    names = [ALL, *(f"P{one}" for one in range(len(q1)))]
    q1, returned = [sum(q1), *q1], [sum(returned), *returned]
    counts = {"q1": q1, "q2_sent": q1, "q2_returned": returned, "answered": returned}
    blank = dict.fromkeys(("procedures", "linked", "participation", "linkage", "issue"), np.nan)
    return pd.DataFrame(
        {"outcome": "ohs", "source": "episodes", "counted": "", "provider_id": names,
         **counts, **blank, "response": np.divide(returned, q1)}
    )  # fmt: skip


def hidden_of(rates: pd.DataFrame, suppressed: tuple[str, ...] = ()) -> set[str]:
    providers = pd.DataFrame(
        {"outcome": "ohs", "provider_id": rates["provider_id"],
         "suppression": np.where(rates["provider_id"].isin(suppressed), "all", "")}
    )  # fmt: skip
    left = suppress_rates(rates, providers, 6)
    figures = left[["q1", "q2_sent", "q2_returned", "answered", "response"]]
    assert (figures.isna().all(axis=1) | figures.notna().all(axis=1)).all()
    return set(left.loc[figures.isna().all(axis=1), "provider_id"])


def test_small_counts_hide_a_provider_and_never_just_one() -> None:
    assert hidden_of(rates_of([80, 60, 40], [70, 50, 30])) == set()
    assert hidden_of(rates_of([80, 60, 40, 50], [70, 50, 3, 30])) == {"P2", "P3"}
    assert hidden_of(rates_of([80, 4, 3, 50], [70, 4, 3, 30])) == {"P1", "P2"}


def test_a_hidden_provider_is_hidden_here_too() -> None:
    assert hidden_of(rates_of([80, 60, 40], [70, 50, 30]), ("P0", "P1")) == {"P0", "P1"}
    assert hidden_of(rates_of([80, 60, 40], [70, 50, 30]), ("P0",)) == {"P0", "P2"}


def test_a_level_that_few_have_is_hidden_and_never_just_one() -> None:
    names = ["age", "lives=alone", "lives=care", "lives=family", "heart", "liver"]
    fewest = [np.nan, 80, 3, 90, 40, 2]
    numbers = dict.fromkeys(("everybody", "answered", "weighted", "sd", "difference"), 0.5)
    table = pd.DataFrame({"outcome": "ohs", "covariate": names, **numbers, "fewest": fewest})
    left = suppress_balance(table, 6)
    assert "fewest" not in left
    shown = left.loc[left["everybody"].notna(), "covariate"]
    assert shown.tolist() == ["age", "lives=family", "heart"]


@pytest.fixture(scope="module")
def results(known: Expectations, study: Study, found: FollowUp) -> OutcomeResults:
    return OutcomeResults(
        known.casemix, known, evaluate(known), profile_providers(known, study), None, found
    )


def test_the_figure_and_the_section_say_what_the_table_does(
    results: OutcomeResults, study: Study, found: FollowUp
) -> None:
    findings = build_findings(study, [results], {"data": []})
    svg = draw_figures(findings)["follow_up_ohs_linear.svg"]
    written = " ".join("".join(one.itertext()) for one in ElementTree.fromstring(svg).iter())
    assert all(f"H0{one}" in written for one in range(8))
    told = figure_descriptions(findings, "follow_up", study.outcomes[0])["linear"]
    differ = found.summary["any_differs"].iloc[0]
    assert f"Of 8 providers, {differ} change flag between the analyses" in told
    tables = {one["caption"]: one for one in followup(findings) if one["kind"] == "table"}
    (row,) = tables["All providers together"]["rows"]
    assert row[2:4] == found.summary.loc[0, ["eligible", "answered"]].tolist()
    (nearest,) = [one for name, one in tables.items() if "would change first" in name]
    smallest = found.analyses.loc[found.analyses["tipping_nearest"].abs().idxmin()]
    assert nearest["rows"][0][0] == smallest["provider_id"]
    labels = [one["label"] for one in nearest["columns"]]
    assert labels[3:] == ["Place, complete", "Place, imputed", "Tipping point"]
    words = {"Not an outlier": "within limits", "Positive outlier (95%)": "above 95 %",
             "Negative outlier (95%)": "below 95 %"}  # fmt: skip
    assert nearest["rows"][0][4] == words[smallest["flag_imputed"]]
    assert nearest["rows"][0][5] == smallest["tipping"]


def test_adjusted_results_have_their_interval_and_the_balance_its_episodes(
    results: OutcomeResults, study: Study, found: FollowUp
) -> None:
    blocks = [*followup(build_findings(study, [results], {"data": []}))]
    (balance,) = [one for one in blocks if "differ most" in one.get("caption", "")]
    asked, answered = found.summary.loc[0, ["eligible", "answered"]]
    assert any(f"All asked: {asked} episodes; answered: {answered}" in x for x in balance["notes"])
    one = found.analyses[found.analyses["z_imputed"].notna()].iloc[0]
    for name, df in (("complete", np.inf), ("weighted", np.inf), ("imputed", one["df_imputed"])):
        middle, error = one[f"adjusted_{name}"], one[f"error_{name}"]
        half = stats.t.ppf(stats.norm.cdf(1.96), df) * error
        (shown, _) = _result(one, name, {})
        assert shown == pytest.approx([middle, middle - half, middle + half])


def test_the_section_tells_answers_from_returns_and_says_how_imputation_is_done(
    results: OutcomeResults, study: Study, known: Expectations
) -> None:
    blocks = [*followup(build_findings(study, [results], {"data": []}))]
    rates = next(one for one in blocks if one.get("caption") == "Questionnaires, all providers")
    answered = [one["label"] for one in rates["columns"]].index("Answered")
    assert rates["rows"][0][answered] == len(known.cohort.test)
    (said,) = [one["text"] for one in blocks if "Three analyses" in one.get("text", "")]
    assert "by their provider's own effect, 20 times" in said
    assert "Barnard and Rubin (1999, Biometrika 86:948-955)" in said
    (balance,) = [one for one in blocks if "differ most" in one.get("caption", "")]
    assert "they are not those of the means" in balance["notes"][0]
    random = study.model_copy(update={"follow_up": FollowUpRules(effects="random")})
    other = [*followup(build_findings(random, [results], {"data": []}))]
    assert any("drawn towards that of the others, 20 times" in one.get("text", "") for one in other)


def test_a_hidden_provider_is_in_neither_table_nor_figure(
    asked: pd.DataFrame, study: Study
) -> None:
    small = asked[(asked["period"] == "2022") & asked["q2_score_ohs"].notna()]
    drop = [
        index for name in ("H02", "H03") for index in small.index[small["provider_id"] == name][4:]
    ]
    known = expectations_in(asked.drop(index=drop), study)
    found = follow_up(known, study)
    results = OutcomeResults(
        known.casemix, known, evaluate(known), profile_providers(known, study), None, found
    )
    findings = build_findings(study, [results], {"data": []})
    assert {"H02", "H03"} <= set(found.analyses["provider_id"])
    assert {"H02", "H03"}.isdisjoint(findings.follow_up["provider_id"])
    rates = findings.rates.set_index("provider_id").loc[["H02", "H03"]]
    assert rates[["q1", "answered"]].isna().all(axis=None)
    assert "H02" not in draw_figures(findings)["follow_up_ohs_linear.svg"]


def told_of_missing(findings: Any) -> str:
    items = [one for block in limitations(findings) for one in block.get("items", ())]
    return next(one["value"] for one in items if one["label"] == "Missing follow-up")


def test_the_limitations_say_what_was_done(
    results: OutcomeResults, study: Study, frame: pd.DataFrame
) -> None:
    findings = build_findings(study, [results], {"data": []})
    assert "Tipping points say" in told_of_missing(findings)
    known = expectations_in(frame, study)
    all_there = dataclasses.replace(
        findings,
        follow_up_summary=findings.follow_up_summary.head(0),
        follow_up_told={"ohs": follow_up(known, study).told},
    )
    assert "Everybody in the files" in told_of_missing(all_there)
    pairs = dataclasses.replace(all_there, follow_up_told={"ohs": NOT_THERE})
    assert "of the others no more than their number" in told_of_missing(pairs)
    (said,) = [one["text"] for one in followup(pairs) if NOT_THERE in one.get("text", "")]
    assert said.startswith("ohs: no analysis")


def test_a_level_that_nobody_has_who_answered_sends_nobody_off_the_scale() -> None:
    answered = pd.DataFrame({"lives": ["alone", "family", None, "family"] * 5})
    silent = pd.DataFrame({"lives": ["home", "family"]})
    cohort = SimpleNamespace(test=answered, unanswered=silent)
    casemix: Any = SimpleNamespace(names=["lives"], cohort=cohort)
    found = covariates_of(casemix).X
    spread = found[: len(answered)].std(axis=0)
    off = np.abs(found - found[: len(answered)].mean(axis=0))
    assert ((spread == 0) | (off.max(axis=0) < 5 * spread)).all()
    assert (spread == 0).any()
