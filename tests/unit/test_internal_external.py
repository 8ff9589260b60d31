"""Would expectations do as well elsewhere, and do they hold within every subgroup?

Internal-external validation: who is left out teaches nothing, and shows how it differs. Subgroups:
every figure and curve, with intervals that allow for providers, as far as they may leave.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from cost_worlds import cost_frame, cost_study
from findings_example import example_findings, example_study
from worlds import LINEAR, OUT_OF_FOLD, casemix_of, episode_frame, expectations_of, make_study

from riskadj.errors import InSampleError, StudyError, TooFewProvidersError
from riskadj.expected import evaluate, validation
from riskadj.expected.evaluate import CURVE_COLUMNS, FIFTHS, VALIDATION_COLUMNS, VOLUME
from riskadj.expected.validation import (
    LeftOut,
    leave_out,
    pooled_figures,
    validate_elsewhere,
)
from riskadj.report.card.sections.performance import performance
from riskadj.report.card.sections.subgroups import subgroups
from riskadj.report.disclosure import suppress_curves, suppress_subgroups
from riskadj.stats import (
    assess_calibration,
    brier_score,
    calibration_bins,
    groups_by_rank,
    mean_by_cluster,
    pool_estimates,
)

BOTH = ["provider", "period"]
STRANGE = "H03"
"""The provider, and `2022` the period, in which things are otherwise."""
BOOSTED = {
    "kind": "lightgbm", "trees": 20, "learning_rate": 0.3, "min_episodes_per_leaf": 10,
    "column_share": 0.8,
}  # fmt: skip
RESPONDER = [{"name": "ohs", "instrument": "OHS", "kind": "responder", "threshold": "OHS_MIC_8"}]


def study_of(*learners: str, by: Any = BOTH, folds: int = 3, **changes: Any) -> Any:
    rules = {"learners": list(learners or ["linear"]), "by": by, "folds": folds}
    return make_study(**({"learners": [*LINEAR, BOOSTED], "validation": rules} | changes))


def left_out(frame: pd.DataFrame, by: str, study: Any = None, learner: int = 0) -> LeftOut:
    study = study or study_of()
    return leave_out(study.learners[learner], casemix_of(frame, study), study, by)


def off(table: pd.DataFrame, expected: str, cluster: str) -> "pd.Series[float]":
    """Return the mean of observed - expected by cluster."""
    return (table["observed_score"] - table[expected]).groupby(table[cluster]).mean()


@pytest.fixture(scope="module")
def large() -> pd.DataFrame:
    return episode_frame(n=1500, providers=8)


@pytest.fixture(scope="module")
def recognisable(large: pd.DataFrame) -> pd.DataFrame:
    """Return a world in which one provider's patients, known by where they live, do 12 worse."""
    mine = large["provider_id"] == STRANGE
    return large.assign(
        living_arrangements=large["living_arrangements"]
        .where(large["living_arrangements"] != "care_home", "alone")
        .where(~mine, "care_home"),
        q2_score_ohs=(large["q2_score_ohs"] - 12 * mine).clip(lower=0),
    )


# --- what is different shows when it is left out ---


@pytest.mark.parametrize("learner", [0, 1], ids=["linear", "lightgbm"])
def test_a_provider_that_is_otherwise_shows_once_it_is_left_out(
    learner: int, recognisable: pd.DataFrame
) -> None:
    study = study_of()
    known = expectations_of(recognisable, study).table
    known = known[known["learner"] == study.learners[learner].kind]
    assert abs(off(known, "expected_score", "provider_id")[STRANGE]) < 3

    found = off(
        left_out(recognisable, "provider", study, learner).table,
        "expected_score_raw",
        "provider_id",
    )
    assert found[STRANGE] < -8
    assert found.drop(STRANGE).abs().max() < 5


def test_a_provider_that_is_otherwise_widens_what_is_foreseen_of_the_next_one(
    large: pd.DataFrame, recognisable: pd.DataFrame
) -> None:
    study = study_of(by=["provider"])
    alike, otherwise = (
        validate_elsewhere(casemix_of(frame, study), study).set_index("figure").loc["in_the_large"]
        for frame in (large, recognisable)
    )
    assert otherwise["tau"] > 3 > 2 > alike["tau"]
    assert otherwise["prediction_lower95"] < -8 < alike["prediction_lower95"]


def test_a_period_that_is_otherwise_shows_in_level_and_slope_although_recalibration_hid_it(
    large: pd.DataFrame,
) -> None:
    later = large["period"] == "2022"
    steeper = large.assign(
        q2_score_ohs=large["q2_score_ohs"].where(~later, 10 + 0.8 * large["q1_score_ohs"])
    )
    study = study_of(recalibration={"method": "line"})
    known = expectations_of(steeper, study).table
    assert np.polyfit(known["expected_score"], known["observed_score"], 1)[0] == pytest.approx(1)
    assert off(known, "expected_score", "period")["2022"] == pytest.approx(0, abs=1e-9)

    rows = left_out(steeper, "period", study).table.query("period == '2022'")
    assert np.polyfit(rows["expected_score_raw"], rows["observed_score"], 1)[0] > 1.2
    assert off(rows, "expected_score_raw", "period")["2022"] < -5


# --- nobody left out teaches ---


@pytest.mark.parametrize("split", [{}, OUT_OF_FOLD], ids=["out of time", "out of fold"])
@pytest.mark.parametrize("by", BOTH)
def test_nothing_of_those_left_out_is_taught(
    by: str, split: dict[str, Any], large: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    taught: list[Any] = []
    teach = validation.teach

    def spy(maker: Any, one: Any) -> Any:
        taught.append(one)
        return teach(maker, one)

    monkeypatch.setattr(validation, "teach", spy)
    study = study_of(**split)
    found = left_out(large, by, study)
    folds = [one for _, one in found.table.groupby("fold")]
    assert len(taught) == len(folds) == {"provider": 3, "period": 2}[by]
    everybody = large.set_index("episode_id")
    for one, asked in zip(taught, folds, strict=True):
        column = validation.CLUSTERS[by]
        assert not set(getattr(one, by)) & set(asked[column])
        outside = everybody[~everybody[column].isin(asked[column])]
        assert sorted(one.y) == sorted(outside["q2_score_ohs"])
    assert sorted(found.table["episode_id"]) == sorted(large["episode_id"])


@pytest.mark.parametrize(("by", "cluster"), [("provider", STRANGE), ("period", "2022")])
def test_no_result_of_those_left_out_moves_what_is_expected_of_them(
    by: str, cluster: str, large: pd.DataFrame
) -> None:
    mine = large[validation.CLUSTERS[by]] == cluster
    worse = large.assign(
        q2_score_ohs=large["q2_score_ohs"].where(~mine, 48 - large["q2_score_ohs"])
    )
    first, second = (
        left_out(one, by).table.set_index("episode_id")["expected_score_raw"]
        for one in (large, worse)
    )
    ids = large.loc[mine, "episode_id"]
    np.testing.assert_array_equal(first[ids], second[ids])
    assert not np.array_equal(first.drop(ids), second.drop(ids))


def test_not_even_the_levels_of_those_left_out_are_learned(recognisable: pd.DataFrame) -> None:
    """A level that one provider alone has is nothing special to who never saw it."""
    rows = left_out(recognisable, "provider").table
    moved = recognisable.assign(
        living_arrangements=recognisable["living_arrangements"].replace("care_home", "hospice")
    )
    again = left_out(moved, "provider").table
    mine = rows["provider_id"] == STRANGE
    np.testing.assert_array_equal(
        rows.loc[mine, "expected_score_raw"], again.loc[mine, "expected_score_raw"]
    )


def test_settings_are_searched_among_those_who_teach(large: pd.DataFrame) -> None:
    mine = large["provider_id"] == STRANGE
    worse = large.assign(q2_score_ohs=large["q2_score_ohs"].where(~mine, 0.0))
    study = study_of(learners=[{"kind": "linear", "tune": 3}])
    first, second = (left_out(one, "provider", study).table for one in (large, worse))
    rows = first["provider_id"] == STRANGE
    np.testing.assert_array_equal(
        first.loc[rows, "expected_score_raw"], second.loc[rows, "expected_score_raw"]
    )


@pytest.mark.parametrize("by", BOTH)
def test_expectations_of_a_cluster_that_taught_cannot_be_built(
    by: str, large: pd.DataFrame
) -> None:
    found = left_out(large, by)
    with pytest.raises(InSampleError, match=rf"{by}s that taught nothing; got 1,500 of others"):
        replace(found, learned=found.learned[::-1]) if by == "period" else replace(
            found, learned=found.learned[1:] + found.learned[:1]
        )


def test_expectations_by_a_model_that_nobody_knows_cannot_be_built(large: pd.DataFrame) -> None:
    found = left_out(large, "period")
    with pytest.raises(InSampleError, match="whom the model of every fold learned from"):
        replace(found, learned=found.learned[:1])


# --- figures ---


def test_every_learner_asked_for_has_every_figure_by_provider_and_by_period(
    large: pd.DataFrame,
) -> None:
    study = study_of("linear", "lightgbm", outcomes=RESPONDER)
    found = validate_elsewhere(casemix_of(large, study), study)
    assert list(found) == VALIDATION_COLUMNS
    keys = found[["learner", "left_out", "figure"]].itertuples(index=False, name=None)
    figures = ("c_statistic", "r2", "calibration_slope", "in_the_large")
    assert list(keys) == [
        (learner, by, figure)
        for learner in ("linear", "lightgbm")
        for by in BOTH
        for figure in figures
    ]
    assert found.query("left_out == 'provider'")["prediction_lower95"].notna().all()
    assert found.query("left_out == 'period'")["prediction_lower95"].isna().all()  # of 2 periods
    assert (found["lower95"] < found["value"]).all()


def test_the_level_by_provider_is_that_of_its_means_pooled(large: pd.DataFrame) -> None:
    found = left_out(large, "provider")
    rest = found.table["observed_score"] - found.table["expected_score_raw"]
    means = [
        mean_by_cluster(one) for _, one in rest.groupby(found.table["provider_id"], sort=False)
    ]
    wanted = pool_estimates([one.value for one in means], [one.standard_error for one in means])
    pooled = {one["figure"]: one for one in pooled_figures(found, "gaussian")}["in_the_large"]
    assert (pooled["value"], pooled["tau"]) == (wanted.value, wanted.tau)
    assert (pooled["lower95"], pooled["upper95"]) == (wanted.lower, wanted.upper)
    assert pooled["prediction_upper95"] == wanted.prediction_upper
    assert pooled["groups"] == 8
    assert pooled["smallest_n"] == found.table["provider_id"].value_counts().min()


def test_the_level_of_a_period_is_as_unsure_as_providers_make_it(large: pd.DataFrame) -> None:
    found = left_out(large, "period")
    rest = found.table["observed_score"] - found.table["expected_score_raw"]
    means = [
        mean_by_cluster(one, found.table.loc[one.index, "provider_id"])
        for _, one in rest.groupby(found.table["period"], sort=False)
    ]
    wanted = pool_estimates([one.value for one in means], [one.standard_error for one in means])
    pooled = {one["figure"]: one for one in pooled_figures(found, "gaussian")}["in_the_large"]
    assert (pooled["lower95"], pooled["upper95"]) == (wanted.lower, wanted.upper)


def test_where_all_providers_are_alike_figures_are_what_they_were_made_to_be() -> None:
    rng = np.random.default_rng(3)
    frame = episode_frame(n=6000, providers=20)
    truth = 15 + 0.5 * frame["q1_score_ohs"] - 3 * frame["comorb_heart"]
    frame = frame.assign(q2_score_ohs=truth + rng.normal(0, 4, 6000))
    study = study_of(folds=5)
    found = validate_elsewhere(casemix_of(frame, study), study)
    r2 = truth.var() / (truth.var() + 16)
    for figure, value, near in (("r2", r2, 0.03), ("calibration_slope", 1, 0.05),
                                ("in_the_large", 0, 0.2)):  # fmt: skip
        rows = found[found["figure"] == figure]
        assert rows["value"].tolist() == pytest.approx([value] * 2, abs=near)


def test_small_providers_have_no_figures_and_are_counted(large: pd.DataFrame) -> None:
    few = large.groupby("provider_id").cumcount() < 20
    kept = large[~large["provider_id"].isin(["H00", "H01"]) | few]
    study = study_of(by=["provider"])
    found = validate_elsewhere(casemix_of(kept, study), study)
    assert set(found["groups"]) == {6}
    assert set(found["too_small"]) == {2}
    assert found["smallest_n"].min() > 100


def test_where_all_are_too_small_nothing_is_pooled_and_that_is_told(large: pd.DataFrame) -> None:
    kept = large[large.groupby("provider_id").cumcount() < 20]
    study = study_of(by=["provider"])
    found = validate_elsewhere(casemix_of(kept, study), study)
    assert found["value"].isna().all()
    assert (found["groups"] == 0).all()
    assert (found["too_small"] == 8).all()


def test_costs_are_validated_too() -> None:
    study = cost_study(validation={"learners": ["gamma"], "folds": 3})
    found = validate_elsewhere(casemix_of(cost_frame(), study), study)
    assert set(found["figure"]) == {"r2", "calibration_slope", "in_the_large"}
    assert found["value"].notna().all()


# --- the same again, and only when asked for ---


def test_it_comes_out_the_same_again_whatever_the_threads_and_the_names(
    large: pd.DataFrame,
) -> None:
    tables = []
    for threads, name in ((1, str), (2, str), (1, lambda one: f"Z{9 - int(one[1:])}")):
        frame = large.assign(provider_id=large["provider_id"].map(name))
        study = study_of("linear", "lightgbm", folds=2, compute={"threads": threads})
        tables.append(validate_elsewhere(casemix_of(frame, study), study))
    pd.testing.assert_frame_equal(tables[0], tables[1], check_exact=True)
    pd.testing.assert_frame_equal(tables[0], tables[2], rtol=1e-7)


def test_without_learners_nobody_is_taught(
    large: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(validation, "teach", None)
    found = validate_elsewhere(casemix_of(large, make_study()), make_study())
    assert found.empty
    assert list(found) == VALIDATION_COLUMNS


@pytest.mark.parametrize(
    ("rules", "told"),
    [
        ({"learners": ["linaer"]}, r"validation.learners: .* got 'linaer'. Did you mean 'linear'"),
        ({"learners": ["reference"]}, r"taught here \(linear\); got 'reference'"),
        ({"learners": ["linear", "linear"]}, "wanted each once; got linear twice"),
        ({"learners": ["linear"], "by": ["year"]}, "'provider' or 'period'"),
        ({"learners": ["linear"], "by": []}, "at least 1 item"),
        ({"learners": ["linear"], "folds": 1}, "greater than or equal to 2"),
    ],
)
def test_a_study_that_validates_what_it_cannot_is_refused(rules: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        make_study(validation=rules, learners=[*LINEAR, {"kind": "reference"}])


def test_the_only_period_cannot_be_left_out() -> None:
    one = {"split__train": ["2021"], "split__test": ["2021"]}
    with pytest.raises(ValueError, match=r"2 periods or more in the split.*got 2021 alone"):
        study_of(**one)
    assert study_of(by=["provider"], **one).validation.folds == 3


def test_a_period_in_which_nobody_answered_is_none_to_leave_out(large: pd.DataFrame) -> None:
    answered = large["q2_score_ohs"].where(large["period"] == "2021")
    with pytest.raises(StudyError, match=r"validation\.by: .*got 2021 alone"):
        left_out(large.assign(q2_score_ohs=answered), "period", study_of(**OUT_OF_FOLD))


def test_fewer_providers_than_folds_are_refused(large: pd.DataFrame) -> None:
    with pytest.raises(TooFewProvidersError, match=r"wanted 9 or more providers; got 8\. Lower"):
        left_out(large, "provider", study_of(folds=9))


# --- the card ---


def test_a_card_tells_what_was_left_out_and_never_what_was_not() -> None:
    rules = {"learners": ["linear"], "by": ["provider"], "folds": 4}
    findings = example_findings(example_study(validation=rules))
    done = findings.validation.assign(too_small=7, smallest_n=31).query("learner == 'linear'")
    (table,) = [
        one
        for one in performance(replace(findings, validation=done))
        if "elsewhere" in one.get("caption", "")
    ]
    words = " ".join(table["notes"])
    assert "without each of 4 folds of providers and asked" in words
    assert "period in turn" not in words
    assert "Not looked at: lightgbm." in words
    assert [one[5] for one in table["rows"]] == [7] * len(done)


def test_a_card_says_that_nothing_was_left_out() -> None:
    findings = replace(example_findings(), validation=example_findings().validation.head(0))
    blocks = list(performance(findings))
    assert not [one for one in blocks if "elsewhere" in one.get("caption", "")]
    assert "was not looked at: no learner was taught again" in str(blocks[-1])


def test_a_period_that_cannot_be_foreseen_is_not_called_suppressed() -> None:
    findings = example_findings()
    nothing = findings.validation.assign(prediction_lower95=np.nan)
    (table,) = [
        one
        for one in performance(replace(findings, validation=nothing))
        if "elsewhere" in one.get("caption", "")
    ]
    assert [one[7] for one in table["rows"]] == [None] * len(nothing)
    assert table["columns"][7]["missing"] == "too few to say"


# --- subgroups ---


@pytest.fixture(scope="module")
def of_responders(large: pd.DataFrame) -> Any:
    study = study_of(outcomes=RESPONDER, learners=LINEAR)
    return expectations_of(large, study)


def test_a_subgroup_has_its_intercept_and_brier_score_with_their_intervals(
    of_responders: Any,
) -> None:
    rows = evaluate(of_responders, ("sex",)).subgroups.set_index("level").loc["male"]
    male = (of_responders.cohort.test["sex"] == "male").to_numpy()
    part = of_responders.table[male]
    observed, expected, provider = (
        part[one] for one in ("observed_score", "expected_score", "provider_id")
    )
    wanted = assess_calibration(observed, expected, "risk", provider).intercept
    found = rows[["intercept", "intercept_lower95", "intercept_upper95"]].astype(float)
    assert found.tolist() == pytest.approx([wanted.value, wanted.lower, wanted.upper])
    assert rows["brier"] == pytest.approx(brier_score(observed, expected).brier)
    assert rows["brier_lower95"] < rows["brier"] < rows["brier_upper95"]


def test_scores_have_no_brier_score(large: pd.DataFrame) -> None:
    found = evaluate(expectations_of(large, study_of(learners=LINEAR)), ("sex",)).subgroups
    assert found["brier"].isna().all()
    assert found["intercept"].notna().all()


def test_everybody_has_tenths_and_every_subgroup_and_volume_fifths(large: pd.DataFrame) -> None:
    found = evaluate(expectations_of(large), ("sex", "comorb_heart"))
    assert list(found.calibration) == list(found.curves) == CURVE_COLUMNS
    assert (found.calibration[["column", "level"]] == "").all(axis=None)
    assert found.calibration.groupby("learner")["decile"].max().eq(10).all()
    assert found.curves["decile"].max() == FIFTHS
    assert set(found.curves["column"]) == {"sex", "comorb_heart", VOLUME}
    keys = ["learner", "column", "level"]
    sizes = found.subgroups.set_index(keys)["n"].sort_index()
    pd.testing.assert_series_equal(found.curves.groupby(keys)["n"].sum(), sizes)


def test_a_fifth_of_a_subgroup_has_the_interval_of_its_mean_by_provider(
    large: pd.DataFrame,
) -> None:
    expectations = expectations_of(large, study_of(learners=LINEAR))
    curve = evaluate(expectations, ("sex",)).curves.query("level == 'male'")
    rows = expectations.table[(expectations.cohort.test["sex"] == "male").to_numpy()]
    fifth = groups_by_rank(rows["expected_score"], FIFTHS)
    for one in curve.itertuples(index=False):
        part = rows[fifth == one.decile]
        wanted = mean_by_cluster(
            part["observed_score"] - part["expected_score"], part["provider_id"]
        )
        found = (one.difference, one.lower95, one.upper95)
        assert found == pytest.approx((wanted.value, wanted.lower, wanted.upper))


def test_shares_have_wilsons_interval_which_holds_where_everybody_responds(
    of_responders: Any,
) -> None:
    curve = evaluate(of_responders, ("sex",)).curves.query("level == 'male'")
    rows = of_responders.table[(of_responders.cohort.test["sex"] == "male").to_numpy()]
    wanted = calibration_bins(
        rows["observed_score"], rows["expected_score"], FIFTHS, "risk", rows["provider_id"]
    )
    assert curve["upper95"].tolist() == pytest.approx((wanted.upper - wanted.expected).tolist())

    best = rows["expected_score"] > rows["expected_score"].quantile(0.75)
    changed = of_responders.table.assign(
        observed_score=of_responders.table["observed_score"].where(
            ~best.reindex(of_responders.table.index, fill_value=False), 1.0
        )
    )
    last = evaluate(replace(of_responders, table=changed), ("sex",)).curves
    last = last.query("level == 'male' and decile == 5").iloc[0]
    assert last["observed"] == 1
    assert last["upper95"] - last["lower95"] > 0.02


def test_a_relation_that_is_otherwise_in_a_subgroup_shows_in_its_curve_alone(
    large: pd.DataFrame,
) -> None:
    after = 20 + 0.4 * large["q1_score_ohs"]
    steep = 10 + 0.9 * large["q1_score_ohs"]
    noise = np.random.default_rng(5).normal(0, 2, len(large))
    rare = large["comorb_heart"].eq(1) & large["comorb_depression"].eq(1)
    frame = large.assign(q2_score_ohs=after.where(~rare, steep) + noise)
    casemix = {"columns": ["q1_score_ohs", "sex"], "allow_provider_influenced": False}
    study = study_of(learners=LINEAR, casemix=casemix)
    frame = frame.assign(living_arrangements=np.where(rare, "care_home", "alone"))
    found = evaluate(expectations_of(frame, study), ("living_arrangements",)).curves
    odd = found.query("level == 'care_home'").set_index("decile")
    assert odd.loc[1, "upper95"] < 0 < odd.loc[5, "lower95"]


@pytest.mark.parametrize("below", [1, 6, 40])
def test_curves_leave_when_their_subgroup_and_all_their_fifths_may(
    below: int, large: pd.DataFrame
) -> None:
    rare = np.where(np.arange(len(large)) % 50 == 0, "x", large["sex"])
    rare = np.where(np.arange(len(large)) % 375 == 1, "y", rare)
    found = evaluate(expectations_of(large.assign(sex=rare), study_of(learners=LINEAR)), ("sex",))
    subgroups = suppress_subgroups(found.subgroups, below)
    curves = suppress_curves(found.curves, subgroups, below)
    keys = ["column", "level"]
    smallest = found.curves.groupby(keys)["n"].min()
    shown = set(subgroups[subgroups["n"].notna()].set_index(keys).index)
    wanted = shown & set(smallest.index[smallest >= below])
    assert set(curves.set_index(keys).index) == wanted
    assert (len(wanted) < len(smallest)) == (below > 1)
    kept = found.curves.set_index(keys).loc[sorted(wanted)]
    pd.testing.assert_frame_equal(curves.set_index(keys).loc[sorted(wanted)], kept)


def test_a_card_counts_the_fifths_that_are_off_and_names_the_farthest(
    large: pd.DataFrame,
) -> None:
    found = evaluate(expectations_of(large), ("sex",)).curves
    off = found.assign(difference=0.1, lower95=-1.0, upper95=1.0)
    findings = replace(example_findings(), curves=off)
    captions = [one.get("caption", "") for one in subgroups(findings)]
    assert not [one for one in captions if "within subgroups" in one]
    off.loc[[2, 3], ["difference", "lower95", "upper95"]] = [[9.0, 1.0, 17.0], [-4.0, -6.0, -2.0]]
    *_, table = subgroups(replace(findings, curves=off))
    ((_, learner, known, number, column, level, fifth, _, shown, unit),) = table["rows"]
    far = off.loc[3]
    assert (learner, known, number) == (far["learner"], (off["learner"] == learner).sum(), 2)
    assert [column, level, fifth] == far[["column", "level", "decile"]].tolist()
    assert shown == [-4, -6, -2]
    assert unit == "points"


def test_no_curves_stay_none(large: pd.DataFrame) -> None:
    found = evaluate(expectations_of(large, study_of(learners=LINEAR)))
    assert suppress_curves(found.curves.head(0), found.subgroups, 6).empty
