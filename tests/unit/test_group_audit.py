"""Groups of patients: whether what is expected of them is right, and who treats them."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from cost_worlds import cost_frame, cost_study
from hypothesis import given, settings
from hypothesis import strategies as st
from worlds import (
    LINEAR,
    OUT_OF_FOLD,
    as_episodes,
    casemix_of,
    episode_frame,
    make_study,
    study_content,
    typed,
)

from riskadj.casemix import choose_casemix
from riskadj.cohort import select_cohort
from riskadj.cohort.rates import ALL
from riskadj.errors import ArrayError, InSampleError, RiskadjError
from riskadj.expected import cross_fit, evaluate
from riskadj.expected.evaluate import NOT_RECORDED, VOLUME
from riskadj.fairness import assess_fairness, audit_groups, fairness_faults, groupings, in_sample
from riskadj.fairness.groups import GROUP_COLUMNS, HELD_OUT, IN_SAMPLE
from riskadj.pipeline import read_study
from riskadj.profile import profile_providers
from riskadj.report.card.sections.fairness import fairness
from riskadj.report.charts.drawing import BLUE, ORANGE
from riskadj.report.charts.groups import draw_groups, group_forest
from riskadj.report.disclosure import suppress_groups, suppress_subgroups
from riskadj.report.results import OutcomeResults, build_findings
from riskadj.stats.group_audit import difference_within, share_against_all
from riskadj.study import Study

DATA = Path(__file__).parents[3] / "shared" / "data" / "nhs_proms"
HIPS = DATA / "Hip Replacement Provider 1819.csv.zip"
WITHOUT_HEART = {"casemix__columns": ["age_years", "sex", "q1_score_ohs"], "learners": LINEAR}
HEART = 3.0
"""Points that those with heart disease are worse off after, in the small world."""


def audited(frame: pd.DataFrame, study: Study) -> pd.DataFrame:
    """Return the audit of the first outcome of a study."""
    expectations = cross_fit(casemix_of(frame, study), study)
    return audit_groups(expectations, profile_providers(expectations, study), study)


def row(table: pd.DataFrame, group: str, level: str, **wanted: str) -> pd.Series:
    found = table[(table["group"] == group) & (table["level"] == level)]
    for name, value in ({"fold": HELD_OUT, "learner": "linear"} | wanted).items():
        found = found[found[name] == value]
    assert len(found) == 1
    return found.iloc[0]


@pytest.fixture(scope="module")
def world() -> pd.DataFrame:
    """Return many providers that differ little, and nobody at the best score."""
    frame = episode_frame(4000, 40, seed=3)
    rng = np.random.default_rng(4)
    number = frame["provider_id"].str[1:].astype(float)
    after = 22 + 0.4 * frame["q1_score_ohs"] - HEART * frame["comorb_heart"]
    after += 2.0 * (frame["sex"] == "male") + 0.08 * (number - 20) + rng.normal(0, 5, len(frame))
    return frame.assign(q2_score_ohs=after.round().clip(0, 48))


@pytest.fixture(scope="module")
def unforeseen(world: pd.DataFrame) -> pd.DataFrame:
    """Return the audit of a study that does not adjust for heart disease."""
    study = make_study(**WITHOUT_HEART, fairness={"groups": ["comorb_heart", "sex"]})
    return audited(world, study)


# --- arithmetic -----------------------------------------------------------------------------------


def test_the_difference_within_is_the_coefficient_beside_an_intercept_per_provider() -> None:
    rng = np.random.default_rng(1)
    provider, member = rng.integers(0, 8, 200), rng.random(200) < 0.3
    values = 2.0 * member + provider + rng.normal(size=200)
    X = np.column_stack([member, *(provider == one for one in range(8))]).astype(float)
    coef = np.linalg.lstsq(X, values, rcond=None)[0][0]
    assert difference_within(values, member, provider).value == pytest.approx(coef)


def test_what_providers_differ_in_is_out_of_the_difference_within() -> None:
    rng = np.random.default_rng(2)
    provider = np.repeat(np.arange(30), 40)
    member = rng.random(1200) < provider / 30
    values = 10.0 * provider + rng.normal(size=1200)
    found = difference_within(values, member, provider)
    assert found.lower < 0 < found.upper
    assert abs(found.value) < 0.5


def test_a_share_against_all_is_the_difference_of_two_shares() -> None:
    event, member = np.array([1, 1, 0, 0, 0, 1.0]), np.array([1, 1, 1, 0, 0, 0.0])
    found = share_against_all(event, member, list("aabbcc"))
    assert found.value == pytest.approx(2 / 3 - 1 / 2)


@pytest.mark.parametrize(
    ("figure", "values", "member", "provider", "words"),
    [
        (difference_within, [1.0, 2.0], [True, True], [1, 2], "members of the group and others"),
        (difference_within, [1.0, 2.0], [2.0, 0.0], [1, 2], "True or False"),
        (share_against_all, [1.0, 0.0], [False, False], [1, 2], "somebody in the group"),
        (share_against_all, [1.0, 0.5], [True, False], [1, 2], "True or False"),
    ],
)
def test_a_group_that_says_nothing_is_refused(
    figure: Any, values: list, member: list, provider: list, words: str
) -> None:
    with pytest.raises(ArrayError, match=words):
        figure(values, member, provider)


# --- the audit ------------------------------------------------------------------------------------


@settings(max_examples=15, deadline=None)
@given(cut=st.integers(45, 85), seed=st.integers(0, 5))
def test_net_compensation_is_the_mirror_image_of_the_residual_and_sums_to_nothing(
    cut: int, seed: int
) -> None:
    study = make_study(
        learners=LINEAR, fairness={"groups": [{"column": "age_years", "below": cut}]}
    )
    table = audited(_SMALL[seed], study)
    np.testing.assert_allclose(table["net_compensation"], -table["mean_residual"], atol=1e-12)
    parts = table[(table["group"] != ALL) & (table["fold"] == HELD_OUT)]
    assert (parts["n"] * parts["net_compensation"]).sum() == pytest.approx(0, abs=1e-8)
    ratio = 1 + table["net_compensation"] / table["observed"]
    told = table["predictive_ratio"].notna()
    np.testing.assert_allclose(table["predictive_ratio"][told], ratio[told], rtol=1e-12)


_SMALL = [episode_frame(300, seed=one) for one in range(6)]


def test_a_bias_against_a_group_that_is_not_adjusted_for_is_recovered(unforeseen) -> None:
    ill, well = (row(unforeseen, "comorb_heart", one) for one in ("1", "0"))
    for figure, truth in (("net_compensation", HEART / 2), ("within_providers", -HEART)):
        assert ill[f"{figure}_lower95"] < truth < ill[f"{figure}_upper95"]
        assert well[f"{figure}_lower95"] < -truth < well[f"{figure}_upper95"]
    assert (ill["adjusted_for"], ill["come_out"]) == ("no", "worse")
    assert (well["adjusted_for"], well["come_out"]) == ("no", "better")
    assert ill["predictive_ratio"] > 1 > well["predictive_ratio"]


def test_a_group_that_is_adjusted_for_is_not_off(unforeseen) -> None:
    for level in ("female", "male"):
        one = row(unforeseen, "sex", level)
        assert (one["adjusted_for"], one["come_out"]) == ("yes", "")
        assert one["net_compensation_lower95"] < 0 < one["net_compensation_upper95"]
        assert one["slope_lower95"] < 1 < one["slope_upper95"]


def test_what_a_model_cannot_tell_apart_is_off_in_sample_too(unforeseen) -> None:
    ill = row(unforeseen, "comorb_heart", "1", fold=IN_SAMPLE)
    assert ill["within_providers_lower95"] < -HEART < ill["within_providers_upper95"]
    assert abs(row(unforeseen, "sex", "male", fold=IN_SAMPLE)["net_compensation"]) < 0.01


def test_drawn_intervals_are_much_like_those_that_leave_providers_out(world) -> None:
    rules = {"groups": ["comorb_heart"], "in_sample": False}
    drawn, left_out = (
        row(audited(world, make_study(**WITHOUT_HEART, fairness=one)), "comorb_heart", "1")
        for one in (rules | {"replicates": 400}, rules)
    )
    for end in ("net_compensation_lower95", "net_compensation_upper95"):
        assert drawn[end] == pytest.approx(left_out[end], abs=0.1)
        assert drawn[end] != left_out[end]


def test_a_group_that_costs_more_than_expected_is_paid_too_little() -> None:
    study = cost_study(casemix__columns=["age_years", "sex"], fairness={"groups": ["comorb_heart"]})
    table = audited(cost_frame(3000, 20, apart=0.002), study)
    ill = row(table, "comorb_heart", "1", learner="gamma")
    assert ill["net_compensation_upper95"] < 0
    assert ill["predictive_ratio_upper95"] < 1
    assert ill["come_out"] == "worse"
    assert row(table, "comorb_heart", "0", learner="gamma")["come_out"] == "better"


def test_shares_at_flagged_providers_are_those_of_the_profile(world) -> None:
    study = make_study(learners=LINEAR, fairness={"groups": ["sex"]})
    expectations = cross_fit(casemix_of(world, study), study)
    profiles = profile_providers(expectations, study)
    table = audit_groups(expectations, profiles, study)
    flags = profiles.table.set_index("provider_id")["flag"]
    test = expectations.cohort.test
    for name, word in (("at_better", "Positive"), ("at_worse", "Negative")):
        there = test["provider_id"].map(flags).str.startswith(word)
        share = there[test["sex"] == "male"].mean()
        one = row(table, "sex", "male")
        assert one[name] == pytest.approx(share)
        assert one[f"{name}_above_all"] == pytest.approx(share - there.mean())
        assert 0 < share < 1
    assert table.loc[table["fold"] == IN_SAMPLE, ["at_better", "at_worse"]].isna().all(axis=None)


def test_without_declared_groups_the_audit_is_of_the_usual_ones_that_there_are(frame) -> None:
    rare = np.arange(len(frame)) % 25 == 0
    full = typed(
        frame.assign(
            deprivation_decile=1.0, ethnicity="a", race="b", insurance="c", age_band_10y=60.0,
            comorb_liver=rare.astype(float), comorb_stroke=0.0,
        )
    )  # fmt: skip
    study = make_study(learners=LINEAR, report={"subgroups": ["sex"]})
    named = [one.group for one in groupings(study, casemix_of(full, study).cohort)]
    assert named == [
        "sex", "age_years", "deprivation_decile", "ethnicity", "race", "insurance",
        "baseline_score", "comorb_liver", VOLUME,
    ]  # fmt: skip
    study = make_study(learners=LINEAR, report={"subgroups": ["age_band_10y"]})
    named = [one.group for one in groupings(study, casemix_of(full, study).cohort)]
    assert named[:2] == ["age_band_10y", "sex"]
    assert "age_years" not in named


def test_without_declared_groups_the_audit_has_the_subgroup_table(world) -> None:
    study = make_study(learners=LINEAR, report={"subgroups": ["sex", "age_years"]})
    expectations = cross_fit(casemix_of(world, study), study)
    theirs = evaluate(expectations, study.report.subgroups).subgroups
    ours = audit_groups(expectations, profile_providers(expectations, study), study)
    ours = ours[(ours["fold"] == HELD_OUT) & (ours["group"] != ALL)]
    both = theirs.merge(ours, on=["column", "level"], suffixes=("", "_ours"))
    assert len(both) == len(theirs) < len(ours)
    assert set(ours["group"]) - set(both["group"]) == {"baseline_score"}
    assert set(both["column"]) == {"sex", "age_years", VOLUME}
    pairs = {"n": "n_ours", "difference": "mean_residual", "slope": "slope_ours"}
    pairs |= {"intercept_lower95": "intercept_lower95_ours"}
    for name, ours_too in pairs.items():
        np.testing.assert_allclose(both[name], both[ours_too], rtol=1e-9)


@pytest.mark.parametrize(
    ("rule", "levels"),
    [
        ({"column": "age_years", "bands": [60, 75]}, ["under 60", "60 to under 75", "75 or more"]),
        ({"column": "age_years", "below": 60}, ["below 60", "60 or more"]),
        ({"column": "age_years", "above": 60}, ["60 or less", "above 60"]),
        ({"column": "living_arrangements", "values": ["alone", "care_home"]},
         ["alone, care_home", "others"]),
        ({"column": "comorb_heart", "values": [1]}, ["1", "others"]),
        ("baseline_score", ["5 to 12", "13 to 19", "20 to 25", "26 to 32", "33 to 39"]),
    ],
)  # fmt: skip
def test_every_way_to_declare_a_group_puts_each_episode_into_one_level(
    rule: Any, levels: list[str], frame: pd.DataFrame
) -> None:
    study = make_study(learners=LINEAR, fairness={"groups": [rule]})
    cohort = casemix_of(frame, study).cohort
    (one,) = groupings(study, cohort)
    found = dict(one.members(cohort.test))
    assert [*found] == levels or one.group == "baseline_score"
    assert len(found) == len(levels)
    assert (np.array([*found.values()]).sum(axis=0) == 1).all()


@pytest.mark.parametrize(
    ("rule", "ages", "level"),
    [
        ({"bands": [60, 75]}, [59.9, 60.0, 75.0], ["under 60", "60 to under 75", "75 or more"]),
        ({"below": 60}, [59.9, 60.0, 75.0], ["below 60", "60 or more", "60 or more"]),
        ({"above": 60}, [59.9, 60.0, 75.0], ["60 or less", "60 or less", "above 60"]),
    ],
)
def test_cuts_are_where_they_are_said_to_be(
    rule: dict, ages: list[float], level: list[str], frame: pd.DataFrame
) -> None:
    study = make_study(learners=LINEAR, fairness={"groups": [{"column": "age_years", **rule}]})
    (one,) = groupings(study, casemix_of(frame, study).cohort)
    few = pd.DataFrame({"age_years": [*ages, np.nan]})
    assert one.levels(few).tolist() == [*level, NOT_RECORDED]


def test_a_pattern_is_a_group_for_each_column_that_it_matches(frame) -> None:
    study = make_study(learners=LINEAR, fairness={"groups": ["comorb_*", "comorb_heart"]})
    made = groupings(study, casemix_of(frame, study).cohort)
    assert [one.group for one in made] == ["comorb_heart", "comorb_depression"]


# --- in sample, and never in a profile ------------------------------------------------------------


def test_out_of_fold_the_models_that_learned_from_an_episode_are_asked(frame) -> None:
    study = make_study(learners=LINEAR, recalibration={"method": "none"}, **OUT_OF_FOLD)
    expectations = cross_fit(casemix_of(frame, study), study)
    found = in_sample(expectations, "linear", study)
    model, rows = expectations.models["linear"], expectations.table
    first = rows["fold"].to_numpy() == 0
    others = [model.expect_raw(found[first], np.full(first.sum(), one)) for one in (1, 2)]
    np.testing.assert_allclose(found["expected_score"][first], np.mean(others, axis=0))
    assert not np.allclose(found["expected_score"], rows["expected_score"])


def test_nobody_knows_what_a_published_expectation_learned_from(frame) -> None:
    study = make_study(learners=[{"kind": "reference"}], fairness={"groups": ["sex"]})
    table = audited(frame, study)
    assert set(table["fold"]) == {HELD_OUT}
    assert set(table.loc[table["group"] == "sex", "adjusted_for"]) == {"not known"}


def test_a_profile_is_the_same_whether_or_not_in_sample_figures_are_asked_for(frame) -> None:
    with_them, without = (
        make_study(learners=LINEAR, fairness={"in_sample": one}) for one in (True, False)
    )
    digests = []
    for study in (with_them, without):
        expectations = cross_fit(casemix_of(frame, study), study)
        profiles = profile_providers(expectations, study)
        table = assess_fairness(expectations, profiles, study).groups
        digests.append((profiles.digest, IN_SAMPLE in set(table["fold"])))
    assert digests[0][0] == digests[1][0]
    assert [one for _, one in digests] == [True, False]


def test_anything_but_expectations_is_refused(frame) -> None:
    with pytest.raises(InSampleError, match="never in-sample"):
        audit_groups(frame, None, make_study())


def test_names_of_providers_do_not_matter(frame) -> None:
    study = make_study(learners=LINEAR, fairness={"groups": ["sex"]})
    names = {f"H{one:02d}": f"Z{9 - one}" for one in range(6)}
    renamed = typed(frame.assign(provider_id=frame["provider_id"].map(names)))
    one, other = audited(frame, study), audited(renamed, study)
    pd.testing.assert_frame_equal(one, other, rtol=1e-9, atol=1e-9)


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("sexx", "Did you mean 'sex'"),
        ("q2_score_ohs", "known only after"),
        ("provider_id", "who was treated or by whom"),
        ({"column": "sex", "below": 3}, "Name its values"),
        ({"column": "sex", "values": ["femal"]}, "Did you mean 'female'"),
    ],
)
def test_what_cannot_be_grouped_by_is_refused_with_a_way_out(rule, words, frame) -> None:
    study = make_study(fairness={"groups": [rule]})
    (fault,) = fairness_faults(as_episodes(frame), study)
    assert isinstance(fault, RiskadjError)
    assert words in str(fault)
    assert str(fault).startswith("fairness.groups: wanted ")


@pytest.mark.parametrize(
    "fairness_rules",
    [
        {"groups": [{"column": "age_years", "below": 60, "above": 70}]},
        {"groups": [{"column": "age_years", "bands": [70, 60]}]},
        {"groups": [{"column": "comorb_*", "name": "ill"}]},
        {"groups": ["sex", "sex"]},
        {"replicates": 20},
        {"social": {"columns": ["deprivation_decile"], "lambdas": [0, 2]}},
        {"fair": {"groups": ["sex"], "learner": "gamma"}},
        {"unknown": 1},
    ],
)
def test_a_study_that_declares_groups_otherwise_is_refused(fairness_rules) -> None:
    with pytest.raises(ValueError, match=r"wanted|Extra"):
        Study.model_validate(study_content(fairness=fairness_rules))


# --- disclosure -----------------------------------------------------------------------------------


def levels(sizes: dict[str, int], **figures: Any) -> pd.DataFrame:
    """Return the audit of one group with levels of these sizes."""
    table = pd.DataFrame({"level": [*sizes], "n": [*sizes.values()], "fewest": [*sizes.values()]})
    table = table.assign(
        outcome="ohs", learner="linear", fold=HELD_OUT, group="g", column="g", adjusted_for="no",
        net_compensation=1.0, come_out="better", at_better=0.5, at_worse=0.2, **figures,
    )  # fmt: skip
    return table.reindex(columns=GROUP_COLUMNS)


NO_SUBGROUPS = pd.DataFrame(columns=["outcome", "learner", "column", "level", "n"])


def hidden(table: pd.DataFrame, subgroups: pd.DataFrame = NO_SUBGROUPS) -> set[str]:
    shown = suppress_groups(table, subgroups, 6)
    assert "fewest" not in shown
    assert (
        shown.loc[shown["n"].isna(), ["net_compensation", "at_worse", "come_out"]]
        .isna()
        .all(axis=None)
    )
    return set(shown.loc[shown["n"].isna(), "level"])


def test_a_small_group_is_hidden_and_never_just_one() -> None:
    assert hidden(levels({"a": 3, "b": 50, "c": 60})) == {"a", "b"}
    assert hidden(levels({"a": 30, "b": 50, "c": 60})) == set()


def test_a_group_that_another_tells_apart_by_a_few_is_hidden(frame) -> None:
    cuts = [{"column": "age_years", "below": 60}, {"column": "age_years", "below": 61, "name": "b"}]
    few = frame[(frame["age_years"] != 60) | (frame.index < 80)]
    table = audited(few, make_study(learners=LINEAR, fairness={"groups": cuts}))
    held_out = table[table["fold"] == HELD_OUT]
    between = int((few["age_years"].eq(60) & few["period"].eq("2022")).sum())
    assert 0 < between < 6
    cells = held_out.set_index(["group", "level"])["fewest"]
    assert cells["age_years", "60 or more"] == cells["b", "below 61"] == between
    shown = suppress_groups(table, NO_SUBGROUPS, 6)
    kept = shown[(shown["fold"] == HELD_OUT) & shown["n"].notna()]
    assert set(kept["group"]) == {ALL}


def test_what_the_subgroup_table_hides_is_hidden_here() -> None:
    theirs = pd.DataFrame(
        {"outcome": "ohs", "learner": "linear", "column": "g", "level": ["a", "b"], "n": [3, 40.0]}
    )
    gone = suppress_subgroups(theirs, 6)
    assert gone["n"].isna().all()
    assert hidden(levels({"a": 30, "b": 50, "c": 60}), gone) == {"a", "b"}


def test_a_few_at_flagged_providers_are_not_told_of() -> None:
    table = levels({"a": 30, "b": 50, "c": 60}).assign(at_worse=[3 / 30, 0.2, 0.2])
    shown = suppress_groups(table, NO_SUBGROUPS, 6)
    assert shown["n"].notna().all()
    assert shown["at_worse"].isna().tolist() == [True, True, False]
    assert shown["at_better"].notna().all()


# --- the card -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def findings(world):
    study = make_study(**WITHOUT_HEART, fairness={"groups": ["comorb_heart", "sex"]})
    casemix = casemix_of(world, study)
    expectations = cross_fit(casemix, study)
    profiles = profile_providers(expectations, study)
    found = assess_fairness(expectations, profiles, study)
    results = [
        OutcomeResults(casemix, expectations, evaluate(expectations), profiles, None, None, found)
    ]
    return build_findings(study, results, {})


def test_the_card_names_the_group_that_is_off_and_the_side_on_which_it_is(findings) -> None:
    blocks = [*fairness(findings)]
    tables = {one["caption"]: one for one in blocks if one["kind"] == "table"}
    off = next(
        one
        for caption, one in tables.items()
        if "groups that are off, or off within providers" in caption
    )
    ((label, off_by, within, *_),) = off["rows"]
    assert label == "with heart disease"
    assert off["columns"][1]["label"] == "Observed \N{MINUS SIGN} expected (95 %)"
    assert off_by[0] < off_by[2] < 0
    assert within[0] == pytest.approx(-HEART, abs=0.6)
    assert off["notes"][0].startswith(
        "Of 1 row, a group by a learner each, 1 has an interval that leaves out 0, and 0 only one"
    )
    (figure,) = [one for one in blocks if one["kind"] == "figure"]
    assert figure["file"] == "groups_ohs.svg"
    assert "with heart disease" in figure["alt"]
    words = json.dumps(blocks)
    for raw in ("comorb_", "compensation", "expected \\u2212 observed"):
        assert raw not in words
    assert all(len(one["columns"]) <= 7 for one in tables.values())


def test_the_card_says_how_many_are_off_within_providers_only(findings) -> None:
    groups = findings.groups.copy()
    heart = (groups["column"] == "comorb_heart") & (groups["level"] == "1")
    groups.loc[heart, "come_out"] = ""
    blocks = [*fairness(dataclasses.replace(findings, groups=groups))]
    (off,) = [one for one in blocks if "groups that are off" in one.get("caption", "")]
    words = json.dumps(off["notes"])
    assert "0 have an interval that leaves out 0, and 1 only one within providers" in words
    assert "Not counted: groups that are too small" in words
    (told,) = [one for one in blocks if "intervals." in one.get("text", "")]
    assert "0 leave out 0; within providers 1 leaves out 0." in told["text"]
    assert "would by chance alone" in told["text"]


def test_the_card_says_nothing_where_nobody_looked(findings) -> None:
    assert not [*fairness(dataclasses.replace(findings, groups=findings.groups.iloc[:0]))]


def test_the_forest_shows_who_comes_out_worse_on_the_left_for_a_gain(findings) -> None:
    one = group_forest(findings, findings.study.outcomes[0])
    assert one.off == ["with heart disease"]
    row = one.rows.set_index("label").loc["with heart disease"]
    assert row["mean_residual"] == pytest.approx(row["observed"] - row["expected"])
    assert row["mean_residual"] < 0
    drawn = json.dumps(draw_groups(one).to_dict())
    assert drawn.index("come out worse") < drawn.index("come out better")
    assert BLUE not in drawn
    assert ORANGE in drawn


# --- real data ------------------------------------------------------------------------------------


@pytest.mark.data
@pytest.mark.skipif(not DATA.is_dir(), reason="the public NHS files are not here")
def test_the_public_hip_files_have_groups_by_sex_age_home_and_illness_and_none_by_deprivation():
    study = make_study(
        data={"format": "nhs_proms", "paths": [str(HIPS)]},
        casemix={"columns": ["sex", "q1_score_ohs"], "allow_provider_influenced": False},
        learners=[{"kind": "reference"}],
        split={"train": ["2018/19"], "test": ["2018/19"], "seed": 1},
        fairness={"groups": ["sex", "age_band_10y", "living_arrangements", "comorb_*", "disability",
                             "baseline_score"]},
    )  # fmt: skip
    episodes = read_study(study)
    assert not [*fairness_faults(episodes, study)]
    wanted = make_study(fairness={"groups": ["deprivation_decile"]})
    assert len([*fairness_faults(episodes, wanted)]) == 1
    cohort = select_cohort(episodes, study, study.outcomes[0])
    expectations = cross_fit(choose_casemix(cohort, study), study)
    table = audit_groups(expectations, profile_providers(expectations, study), study)
    sums = (table["n"] * table["net_compensation"]).groupby(table["group"]).sum()
    np.testing.assert_allclose(sums, 0, atol=1e-6)
    fifths = table[table["group"] == "baseline_score"]
    assert fifths["n"].sum() == 38_029
    assert fifths["net_compensation"].iloc[0] < 0 < fifths["net_compensation"].iloc[-1]
