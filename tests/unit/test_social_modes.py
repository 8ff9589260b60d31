"""The four modes for social factors and the curve between them, on worlds whose truth is known."""

import numpy as np
import pandas as pd
import pytest
from worlds import (
    LINEAR,
    OUT_OF_FOLD,
    as_episodes,
    cohort_of,
    episode_frame,
    expectations_of,
    make_study,
    study_content,
    typed,
    write_study,
)

from riskadj.errors import StudyError, TooFewProvidersError, UnknownNameError
from riskadj.fairness.faults import fairness_cohort_faults, fairness_faults
from riskadj.fairness.graded import (
    FIGURE_COLUMNS,
    GRADED_COLUMNS,
    Comparing,
    SocialPart,
    grade,
    peers_by_circumstances,
    social_part,
)
from riskadj.fairness.lessons import coding_of, without_columns
from riskadj.fairness.social import (
    MODES,
    SOCIAL_COLUMNS,
    TOGETHER,
    adjust_socially,
    directly_standardised,
    standard_weights,
)
from riskadj.pipeline import check_study, follow_outcome, read_study
from riskadj.profile import profile_providers
from riskadj.profile.estimates import Sample, estimate
from riskadj.profile.flags import flag_labels
from riskadj.study import Study
from riskadj.study.load import build, load_study

EFFECT = -3.0
PROVIDERS = 24
CASEMIX = {"columns": ["age_years", "sex", "q1_score_ohs"], "allow_provider_influenced": False}
RESPONDER = {
    "name": "better", "instrument": "OHS", "kind": "responder",
    "threshold": {"kind": "change", "value": 10, "source": "an example"},
}  # fmt: skip
COST = {
    "name": "cost", "kind": "cost", "column": "cost_total_90d", "currency": "GBP",
    "price_year": 2021,
}  # fmt: skip


def poor_frame(n=4_800, seed=5):
    """Those who live alone gain 3 points less anywhere, and go to worse providers."""
    rng = np.random.default_rng(seed)
    frame = episode_frame(n, seed=seed)
    quality = np.linspace(-3, 3, PROVIDERS)
    provider = rng.integers(PROVIDERS, size=n)
    alone = rng.random(n) < 0.45 - 0.12 * quality[provider]
    before = rng.integers(5, 30, n)
    after = 26 + 0.3 * before + EFFECT * alone + quality[provider] + rng.normal(0, 4, n)
    return typed(
        frame.assign(
            provider_id=[f"H{one:02d}" for one in provider],
            living_arrangements=np.where(alone, "alone", "with_family"),
            deprivation_decile=np.where(alone, rng.integers(1, 4, n), rng.integers(4, 11, n)),
            q1_score_ohs=before,
            q2_score_ohs=after.clip(0, 48),
            cost_total_90d=5_000 * np.exp(-after / 40) * rng.gamma(20, 0.05, n),
        )
    )


def truth():
    return pd.Series(np.linspace(-3, 3, PROVIDERS), [f"H{one:02d}" for one in range(PROVIDERS)])


def social_study(columns=("living_arrangements",), **changes):
    given = {"casemix": CASEMIX, "learners": LINEAR} | changes
    return make_study(fairness={"social": {"columns": list(columns)}}, **given)


@pytest.fixture(scope="module", params=[{}, OUT_OF_FOLD], ids=["out of time", "out of fold"])
def world(request):
    study = social_study(**request.param)
    expectations = expectations_of(poor_frame(), study)
    return study, expectations, adjust_socially(expectations, study)


def slope_on_truth(rows):
    difference = rows.set_index("provider_id")["difference"]
    return np.polyfit(truth()[difference.index], difference, 1)[0]


def of_mode(found, mode):
    return found.social[(found.social["mode"] == mode) & (found.social["stratum"] == TOGETHER)]


# --- what is adjusted for, and what is not ---


def test_the_slope_used_is_the_truth_and_the_others_are_not(world):
    slopes = world[2].slopes.iloc[0]
    assert slopes["factor"] == "living_arrangements=alone"
    assert slopes["lower95"] < EFFECT < slopes["upper95"]
    assert slopes["pooled"] < EFFECT - 0.5
    assert slopes["between"] < EFFECT - 3
    assert slopes["lowest_of_folds"] <= slopes["highest_of_folds"]
    for name in ("pooled", "between"):
        assert slopes[f"{name}_lower95"] < slopes[name] < slopes[f"{name}_upper95"]
    assert slopes["between_upper95"] < EFFECT - 2


def test_full_adjustment_leaves_the_difference_in_quality_where_it_is(world):
    """Without any, providers of the poor look worse than they are; pooled, better."""
    found = world[2]
    assert slope_on_truth(of_mode(found, "none")) > 1.25
    assert slope_on_truth(of_mode(found, "adjust")) == pytest.approx(1, abs=0.06)
    assert slope_on_truth(of_mode(found, "stratify")) == pytest.approx(1, abs=0.06)
    excess = found.slopes["within"].iloc[0] - found.slopes["pooled"].iloc[0]
    assert excess * 0.12 > 0.1  # what a pooled slope would take from that of 1


IN_CASEMIX = {"casemix": CASEMIX | {"columns": [*CASEMIX["columns"], "living_arrangements"]}}
PEERS = {"profile__peer_group": "sex"}
SUPPLIED = {"learners": [{"kind": "reference"}, *LINEAR]}
TREES = {"learners": [{"kind": "lightgbm", "trees": 5, "min_episodes_per_leaf": 10}]}


@pytest.mark.parametrize(
    ("changes", "own"),
    [
        ({}, {"linear": "none"}),
        (IN_CASEMIX, {"linear": "study"}),
        (IN_CASEMIX | TREES, {"lightgbm": "study"}),
        (IN_CASEMIX | OUT_OF_FOLD, {"linear": "study"}),
        (IN_CASEMIX | SUPPLIED, {"reference": "none", "linear": "study"}),
        (PEERS, {"linear": "peer_group"}),
        (IN_CASEMIX | PEERS | {"profile__limits": "additive"}, {"linear": "study"}),
        ({"profile__method": "random_intercept"}, {"linear": "none"}),
        (IN_CASEMIX | {"outcomes": [RESPONDER]}, {"linear": "study"}),
        ({"outcomes": [COST], "profile__minimum_n": 100}, {"linear": "none"}),
    ],
)
def test_the_studys_own_way_has_the_figures_of_its_provider_table(changes, own):
    study, frame = social_study(**changes), poor_frame(2_400)
    frame["sex"] = np.where(frame["provider_id"] < "H12", "male", "female")
    frame["reference_predicted_ohs"] = 26 + 0.3 * frame["q1_score_ohs"]
    expectations = expectations_of(typed(frame), study)
    found = adjust_socially(expectations, study).social
    mine = found[found["own"]]
    assert dict(mine.groupby("learner")["mode"].unique().explode()) == own
    wanted = profile_providers(expectations, study).table
    keys = ["learner", "provider_id"]
    pd.testing.assert_frame_equal(
        mine.set_index(keys)[[*FIGURE_COLUMNS, "peer_group"]].sort_index(),
        wanted[wanted["n"] > 0].set_index(keys)[[*FIGURE_COLUMNS, "peer_group"]].sort_index(),
        check_dtype=False,
        rtol=1e-12,
    )
    assert (mine["limits"] == study.profile.limits).all()
    if "study" in own.values():
        adjusted = mine[mine["mode"] == "study"].set_index(keys)["expected"]
        none = found[found["mode"] == "none"].set_index(keys)["expected"]
        assert (adjusted - none.loc[adjusted.index]).abs().max() > 0.01


def test_a_study_cannot_name_a_way_as_its_own():
    content = study_content(fairness={"social": {"columns": ["sex"], "mode": "none"}})
    with pytest.raises(StudyError, match="follows from its case mix and its profile"):
        build(Study, content, "study.yaml")


def test_the_curve_goes_from_none_to_full_adjustment(world):
    _, _, found = world
    for share, mode in ((0.0, "none"), (1.0, "adjust")):
        one = found.graded[found.graded["lambda"] == share].set_index("provider_id")
        other = of_mode(found, mode).set_index("provider_id").loc[one.index]
        pd.testing.assert_frame_equal(one[FIGURE_COLUMNS], other[FIGURE_COLUMNS])
    assert list(found.graded["lambda"].unique()) == [0, 0.25, 0.5, 0.75, 1]


def test_what_is_expected_sums_to_what_was_observed_in_every_mode_and_at_every_share(world):
    for table in (world[2].graded, world[2].social):
        whole = table[table.get("stratum", pd.Series("", table.index)) == ""]
        whole = whole[whole.get("mode", pd.Series("", whole.index)) != "stratify"]
        key = "lambda" if "lambda" in whole else "mode"
        away = (whole["n"] * whole["difference"]).groupby(whole[key]).sum()
        np.testing.assert_allclose(away, 0, atol=1e-7)


def test_case_mix_that_holds_the_factor_is_taken_without_it():
    casemix = CASEMIX | {"columns": [*CASEMIX["columns"], "living_arrangements"]}
    frame = poor_frame()
    tables = [
        adjust_socially(expectations_of(frame, one), one)
        for one in (social_study(), social_study(casemix=casemix))
    ]
    plain, other = (one.social.drop(columns="own") for one in tables)
    other = other[other["mode"] != "study"].reset_index(drop=True)
    pd.testing.assert_frame_equal(plain, other)
    pd.testing.assert_frame_equal(tables[0].graded, tables[1].graded)


def test_results_of_the_periods_compared_teach_nothing_about_circumstances():
    frame, study = poor_frame(), social_study()
    other = frame.copy()
    later = other["period"] == "2022"
    other.loc[later, "q2_score_ohs"] = other.loc[later, "q2_score_ohs"].to_numpy()[::-1]
    parts = [
        social_part(expectations_of(one, study), "linear", ["living_arrangements"], study)
        for one in (frame, other)
    ]
    np.testing.assert_array_equal(parts[0].beyond, parts[1].beyond)


def test_out_of_fold_a_provider_has_no_part_in_what_its_patients_are_expected_to_have():
    """Its results enter through the expectations of others alone, which hardly move."""
    frame, study = poor_frame(), social_study(**OUT_OF_FOLD)
    other = frame.copy()
    own = (other["provider_id"] == "H03").to_numpy()
    alone = (other["living_arrangements"] == "alone").to_numpy()
    other.loc[own & alone, "q2_score_ohs"] = 0.0
    parts = [
        social_part(expectations_of(one, study), "linear", ["living_arrangements"], study).beyond
        for one in (frame, other)
    ]
    moved = np.abs(parts[1] - parts[0])
    assert moved[~own].max() > 0.5
    assert moved[own].max() < 0.1


@pytest.mark.parametrize("outcome", [RESPONDER, COST], ids=["responder", "cost"])
def test_shares_and_costs_go_the_same_way(outcome):
    study = social_study(outcomes=[outcome])
    found = adjust_socially(expectations_of(poor_frame(), study), study)
    slopes = found.slopes.iloc[0]
    sign = -1 if outcome is RESPONDER else 1
    assert 0 < sign * slopes["within"] < sign * slopes["pooled"] < sign * slopes["between"]
    assert list(found.social["mode"].unique()) == list(MODES[:4])
    none, adjust = (of_mode(found, one).set_index("provider_id") for one in ("none", "adjust"))
    assert adjust["z"].abs().mean() < none["z"].abs().mean()
    own = profile_providers(expectations_of(poor_frame(), study), study).table
    np.testing.assert_allclose(none["z"], own.set_index("provider_id").loc[none.index, "z"])


def test_the_slope_of_costs_is_a_share():
    study = social_study(outcomes=[COST])
    slopes = adjust_socially(expectations_of(poor_frame(), study), study).slopes.iloc[0]
    assert slopes["within"] == pytest.approx(-EFFECT / 40, abs=4 * slopes["standard_error"])


# --- where flags change ---


def test_flags_change_where_the_curve_says(world):
    """Just before it the flag is the first, just after it another."""
    study, expectations, _ = world
    part = social_part(expectations, "linear", ["living_arrangements"], study)
    comparing = Comparing(expectations.cohort, study)
    expected = expectations.table["expected_score"].to_numpy(dtype=float)
    graded = grade(comparing, expected, part, (0.0, 0.25, 0.5, 0.75, 1.0))
    first = graded[graded["lambda"] == 0].set_index("provider_id")
    changing = first["flag_changes_at"].dropna()
    assert 2 <= len(changing) < PROVIDERS
    for name, share in changing.items():
        near = [grade(comparing, expected, part, (0.0, share + by)) for by in (-0.01, 0.01)]
        flags = [one.loc[one["provider_id"] == name, "flag"].iloc[-1] for one in near]
        assert flags[0] == first.at[name, "flag"] != flags[1]


def test_flags_that_never_change_change_nowhere(world):
    graded = world[2].graded
    flags = graded.groupby("provider_id")["flag"].nunique()
    changes = graded.groupby("provider_id")["flag_changes_at"].first()
    assert (changes.isna() == (flags == 1)).all()


def test_labels_of_one_side_alone_change_at_its_inner_limit_only():
    study = social_study(profile__labels="cms", **OUT_OF_FOLD)
    graded = adjust_socially(expectations_of(poor_frame(), study), study).graded
    labels = flag_labels("cms", (0.95, 0.998)).all
    assert set(graded["flag"]) <= set(labels)
    flags = graded.groupby("provider_id")["flag"].nunique()
    assert (graded.groupby("provider_id")["flag_changes_at"].first().isna() == (flags == 1)).all()


def test_without_any_circumstances_nothing_moves():
    study = social_study()
    expectations = expectations_of(poor_frame(1_200), study)
    nothing = np.zeros(len(expectations.cohort.test))
    expected = expectations.table["expected_score"].to_numpy(dtype=float)
    part = SocialPart("linear", nothing, nothing, pd.DataFrame())
    graded = grade(Comparing(expectations.cohort, study), expected, part, (0.0, 1.0))
    assert graded["flag_changes_at"].isna().all()
    np.testing.assert_allclose(graded["social"], 0, atol=1e-12)


# --- strata ---


def test_strata_in_the_shares_of_the_population_are_the_whole():
    """A provider's weighted figures are the shares times those of each stratum."""
    study = social_study(**OUT_OF_FOLD)
    found = adjust_socially(expectations_of(poor_frame(), study), study)
    rows = found.social[found.social["mode"] == "stratify"]
    share = poor_frame()["living_arrangements"].value_counts(normalize=True)
    whole = rows[rows["stratum"] == TOGETHER].set_index("provider_id")
    by_stratum = rows.pivot(index="provider_id", columns="stratum", values="difference")
    by_stratum = by_stratum[share.index]
    np.testing.assert_allclose(whole["difference"], by_stratum @ share, atol=0.02)
    assert (whole["strata"] == 2).all()


def test_in_each_stratum_all_together_are_as_expected(world):
    rows = world[2].social
    rows = rows[rows["stratum"] != TOGETHER]
    away = (rows["n"] * rows["difference"]).groupby(rows["stratum"]).sum()
    np.testing.assert_allclose(away, 0, atol=1e-7)
    assert set(rows["stratum"]) == {"alone", "with_family"}


@pytest.mark.parametrize("family", ["gaussian", "binomial", "gamma"])
def test_with_one_stratum_standardising_is_the_method_of_nhs_england(family):
    rng = np.random.default_rng(4)
    provider = rng.integers(8, size=900)
    expected = rng.uniform(0.2, 0.8, 900)
    observed = {
        "gaussian": expected + rng.normal(size=900),
        "binomial": (rng.random(900) < expected).astype(float),
        "gamma": expected * rng.gamma(2, 0.5, 900),
    }[family]
    expected = expected * observed.sum() / expected.sum()
    sample = Sample(observed, expected, provider, None, "dersimonian_laird", family)
    weights, count = standard_weights(provider, np.array(["one"] * 900, dtype=object))
    got, other = directly_standardised(sample, weights), estimate("nhs_england", sample)
    np.testing.assert_allclose(got.effect, other.effect, atol=1e-12)
    np.testing.assert_allclose(got.error, other.error, rtol=1e-12)
    assert (count == 1).all()


def test_too_many_strata_are_refused():
    study = social_study(["deprivation_decile", "age_years"])
    with pytest.raises(StudyError, match="at most 20 strata; got"):
        adjust_socially(expectations_of(poor_frame(1_200), study), study)


# --- peers ---


def test_peers_are_the_studys_own_where_it_has_some():
    study = social_study(profile__peer_group="living_arrangements", **OUT_OF_FOLD)
    expectations = expectations_of(poor_frame(), study)
    found = adjust_socially(expectations, study)
    own = profile_providers(expectations, study).table.set_index("provider_id")
    peers = of_mode(found, "peer_group").set_index("provider_id").loc[own.index]
    np.testing.assert_allclose(peers["z"], own["z"])
    assert (peers["flag"] == own["flag"]).all()
    assert (peers["peer_group"] == own["peer_group"]).all()


def test_otherwise_peers_are_alike_in_circumstances(world):
    rows = of_mode(world[2], "peer_group").set_index("provider_id")
    by_quality = rows["peer_group"].loc[truth().index]
    assert rows["peer_group"].nunique() == 5 or PROVIDERS < 25
    ranks = truth().groupby(by_quality.to_numpy()).mean()
    assert (np.diff(ranks) > 0).all()


@pytest.mark.parametrize(("providers", "groups"), [(50, 5), (25, 5), (8, 4), (4, 2)])
def test_few_providers_make_few_groups(providers, groups):
    provider = np.repeat(np.arange(providers), 10)
    got = peers_by_circumstances(provider * 1.0, provider, 10)
    assert got.nunique() == groups
    assert got.iloc[-1] == f"{groups} of {groups}"


def test_too_few_providers_for_peers_leave_that_mode_out():
    with pytest.raises(TooFewProvidersError, match="4 providers or more"):
        peers_by_circumstances(np.zeros(30), np.repeat([0, 1, 2], 10), 10)
    frame = poor_frame(1_200)
    frame = frame[frame["provider_id"].isin(["H01", "H12", "H20"])].reset_index(drop=True)
    study = social_study(split__train=["2021", "2022"], split__test=["2021", "2022"])
    found = adjust_socially(expectations_of(frame, study), study)
    assert list(found.social["mode"].unique()) == list(MODES[:3])
    assert found.told[0].startswith("ohs, linear: peer_group left out.")


# --- what is not there, and what cannot be ---


def test_a_study_without_social_factors_gets_empty_tables():
    study = make_study(learners=LINEAR)
    found = adjust_socially(expectations_of(episode_frame(), study), study)
    assert list(found.social.columns) == SOCIAL_COLUMNS
    assert list(found.graded.columns) == GRADED_COLUMNS
    assert found.social.empty
    assert found.slopes.empty


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        (["wealth"], "got wealth, which they lack"),
        (["procedure_group"], "two of its levels; got procedure_group"),
    ],
)
def test_columns_that_tell_nothing_are_refused(columns, words):
    study = social_study(columns)
    with pytest.raises(StudyError, match=words):
        adjust_socially(expectations_of(poor_frame(1_200), study), study)


def test_a_factor_that_is_the_providers_is_refused():
    frame = poor_frame(1_200)
    frame["living_arrangements"] = np.where(frame["provider_id"] < "H12", "alone", "other")
    study = social_study()
    with pytest.raises(StudyError, match="patients of the same provider; got living_arrangements"):
        adjust_socially(expectations_of(typed(frame), study), study)


def faults_of(frame, **changes):
    """Return what validation finds, before anything is learned."""
    study = make_study(**{"casemix": CASEMIX} | changes)
    episodes = as_episodes(typed(frame))
    cohort = cohort_of(typed(frame), study)
    return [*fairness_faults(episodes, study), *fairness_cohort_faults(cohort, study)]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"social": {"columns": ["wealth"]}}, "wanted columns of the episodes; got 'wealth'"),
        ({"social": {"columns": ["sexx"]}}, "Did you mean 'sex'"),
        ({"social": {"columns": ["q2_score_ohs"]}}, "known only after the episode"),
        ({"social": {"columns": ["provider_id"]}}, "who was treated or by whom"),
        ({"social": {"columns": ["deprivation_decile", "age_years"]}}, "at most 20 strata; got"),
        ({"social": {"columns": ["procedure_group"]}}, "two of its levels; got procedure_group"),
        ({"social": {"columns": ["area"]}}, "of the same provider; got area="),
        ({"social": {"columns": CASEMIX["columns"]}}, "wanted case mix besides; got all of it"),
        ({"fair": {"groups": ["smoker"], "learner": "linear"}}, "members and others"),
        ({"fair": {"groups": [{"column": "age_years", "below": 10}], "learner": "linear"}},
         "got 'age_years', which all or none are in"),
        ({"fair": {"groups": ["wealth"], "learner": "linear"}}, "fairness.fair.groups: wanted"),
        ({"fair": {"groups": ["age_years", "sex", "baseline_score"], "learner": "linear"}},
         "got all of it (age_years, q1_score_ohs, sex)"),
    ],
)  # fmt: skip
def test_what_fairness_cannot_have_is_found_before_anything_is_learned(changes, words):
    frame = poor_frame(1_200)
    frame = frame.assign(smoker=0.0, area=np.where(frame["provider_id"] < "H12", "010", "020"))
    found = [str(one) for one in faults_of(frame, fairness=changes)]
    assert any(words in one and one.startswith("fairness.") for one in found), found


def test_every_fault_of_fairness_is_found_at_once():
    rules = {
        "groups": ["sexx"],
        "social": {"columns": ["wealth", "age_years", "deprivation_decile"]},
        "fair": {"groups": ["smoker"], "learner": "linear"},
    }
    found = " ".join(str(one) for one in faults_of(poor_frame(1_200).assign(smoker=1.0),
                                                   fairness=rules))  # fmt: skip
    for words in ("'sexx'", "'wealth'", "at most 20 strata", "got 'smoker'"):
        assert words in found


def test_a_study_that_can_be_fair_has_no_faults():
    rules = {"groups": ["sex"], "social": {"columns": ["living_arrangements"]},
             "fair": {"groups": ["comorb_*", "baseline_score"], "learner": "linear"}}  # fmt: skip
    assert faults_of(poor_frame(1_200), fairness=rules) == []
    assert faults_of(poor_frame(1_200), fairness=rules, outcomes=[COST]) == []


def test_validation_lists_faults_of_fairness_and_a_run_stops_at_the_first(tmp_path):
    frame = poor_frame(600)
    frame.to_csv(tmp_path / "episodes.csv", index=False)
    rules = {"social": {"columns": ["wealth", "age_years", "deprivation_decile"]}}
    path = write_study(tmp_path, study_content(fairness=rules))
    found = [str(one) for one in check_study(path).faults]
    assert len(found) == 2
    assert "'wealth'" in found[0]
    assert "at most 20 strata" in found[1]
    study = load_study(path)
    with pytest.raises(UnknownNameError, match="wealth"):
        follow_outcome(read_study(study), study, study.outcomes[0])


def test_case_mix_has_to_be_more_than_social_factors():
    study = social_study(casemix=CASEMIX | {"columns": ["living_arrangements"]})
    with pytest.raises(StudyError, match="wanted case mix besides"):
        without_columns(expectations_of(poor_frame(600), study), ["living_arrangements"], study)


def test_demands_on_columns_that_are_taken_out_go_with_them():
    trees = {"kind": "lightgbm", "trees": 5, "min_episodes_per_leaf": 10}
    study = social_study(
        ["deprivation_decile"],
        casemix=CASEMIX | {"columns": ["age_years", "deprivation_decile"]},
        learners=[trees | {"monotone": {"deprivation_decile": 1, "age_years": -1}}],
    )
    plain = without_columns(expectations_of(poor_frame(600), study), ["deprivation_decile"], study)
    assert plain.casemix.names == ["age_years"]


def test_a_supplied_expectation_is_taken_as_it_is():
    study = social_study(
        learners=[{"kind": "reference"}],
        casemix=CASEMIX | {"columns": [*CASEMIX["columns"], "living_arrangements"]},
    )
    frame = poor_frame()
    frame["reference_predicted_ohs"] = 26 + 0.3 * frame["q1_score_ohs"]
    frame.loc[::7, "reference_predicted_ohs"] = np.nan
    found = adjust_socially(expectations_of(typed(frame), study), study)
    assert found.slopes["within"].iloc[0] == pytest.approx(EFFECT, abs=0.4)


def test_gaps_are_a_level_of_their_own():
    like = pd.DataFrame({"sex": ["f", "f", "m", None], "age": [60.0, np.nan, 70.0, 80.0]})
    coding = coding_of(["sex", "age"], like.astype({"sex": "str"}))
    assert coding.names == ("sex=m", "age", "sex (not recorded)", "age (not recorded)")
    assert np.isfinite(coding.code(like.astype({"sex": "str"}))).all()
