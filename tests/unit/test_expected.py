"""Expectations: never in-sample, the same whatever the names and threads, saved and read again."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from worlds import LINEAR, OUT_OF_FOLD, casemix_of, expectations_of, make_study

from riskadj.errors import (
    ChangedFileError,
    ColumnError,
    FileFormatError,
    InSampleError,
    TooFewProvidersError,
    ValuesError,
)
from riskadj.expected import (
    Expectations,
    Learned,
    LightGBMExpectation,
    LinearExpectation,
    cross_fit,
    evaluate,
    load_model,
    save_model,
)
from riskadj.expected.crossfit import recalibration
from riskadj.expected.evaluate import NOT_RECORDED, VOLUME, levels_of
from riskadj.instruments import instrument
from riskadj.stats import accuracy_by_cluster
from riskadj.study import Outcome

NAN = float("nan")
LEARNERS = ("linear", "lightgbm")
SMALL = {"trees": 5, "min_episodes_per_leaf": 2}


def rows_of(expectations: Expectations, learner: str) -> pd.DataFrame:
    return dict(expectations.by_learner())[learner]


# --- in-sample expectations cannot be made ---


def test_an_expectation_for_an_episode_learned_from_cannot_be_built(
    expectations: Expectations,
) -> None:
    seen = expectations.table["episode_id"].iloc[3]
    learned = {"linear": (Learned(frozenset({seen}), frozenset()),)}
    with pytest.raises(InSampleError, match=r"linear: .*got 1 that it did"):
        replace(expectations, learned=expectations.learned | learned)


def test_an_expectation_for_a_provider_learned_from_cannot_be_built_out_of_fold(
    folded: Expectations,
) -> None:
    fold_0 = rows_of(folded, "linear").query("fold == 0")
    stranger = Learned(frozenset(), frozenset({fold_0["provider_id"].iloc[0]}))
    members = (stranger, *folded.learned["linear"][1:])
    with pytest.raises(InSampleError):
        replace(folded, learned=folded.learned | {"linear": members})


@pytest.mark.parametrize("fold", [-1, 1, 7])
def test_an_expectation_by_a_member_that_nobody_knows_cannot_be_built(
    fold: int, expectations: Expectations
) -> None:
    with pytest.raises(InSampleError):
        replace(expectations, table=expectations.table.assign(fold=fold))


def test_an_expectation_of_a_model_that_hides_whom_it_learned_from_cannot_be_built(
    expectations: Expectations,
) -> None:
    with pytest.raises(InSampleError):
        replace(expectations, learned={})


def test_folds_of_another_order_cannot_be_built(folded: Expectations) -> None:
    turned = {name: members[::-1] for name, members in folded.learned.items()}
    with pytest.raises(InSampleError):
        replace(folded, learned=turned)


# --- who teaches and who is asked about ---


@pytest.mark.parametrize("group", ["provider", "patient"])
def test_folds_keep_groups_whole(group: str, frame: pd.DataFrame) -> None:
    study = make_study(**OUT_OF_FOLD, split__group=group, learners=LINEAR)
    rows = expectations_of(frame, study).table.merge(frame[["episode_id", "patient_id"]])
    assert rows.groupby(f"{group}_id")["fold"].nunique().max() == 1
    assert sorted(rows["fold"].unique()) == [0, 1, 2]


@pytest.mark.parametrize("group", ["provider", "patient"])
def test_each_member_learned_from_everybody_outside_its_fold(
    group: str, frame: pd.DataFrame
) -> None:
    study = make_study(**OUT_OF_FOLD, split__group=group, learners=LINEAR)
    expectations = expectations_of(frame, study)
    table = expectations.table
    for fold, learned in enumerate(expectations.learned["linear"]):
        inside = set(table.loc[table["fold"] == fold, "episode_id"])
        assert learned.episode_ids == set(frame["episode_id"]) - inside


def test_out_of_time_the_later_periods_are_expected_by_the_earlier(
    expectations: Expectations, frame: pd.DataFrame
) -> None:
    assert set(expectations.table["period"]) == {"2022"}
    (learned,) = expectations.learned["lightgbm"]
    assert learned.episode_ids == set(frame.query("period == '2021'")["episode_id"])


def test_every_learner_expects_every_episode_compared(expectations: Expectations) -> None:
    wanted = expectations.cohort.test["episode_id"].tolist()
    for _, rows in expectations.by_learner():
        assert rows["episode_id"].tolist() == wanted
    assert [name for name, _ in expectations.by_learner()] == list(LEARNERS)


def test_what_happened_afterwards_changes_no_expectation_out_of_time(frame: pd.DataFrame) -> None:
    later = frame["period"] == "2022"
    worse = frame.assign(
        q2_score_ohs=frame["q2_score_ohs"].where(~later, 48 - frame["q2_score_ohs"])
    )
    raw = [expectations_of(one).table["expected_score_raw"] for one in (frame, worse)]
    np.testing.assert_array_equal(*raw)


def test_a_providers_own_results_change_none_of_its_expectations_out_of_fold(
    frame: pd.DataFrame,
) -> None:
    mine = frame["provider_id"] == "H03"
    worse = frame.assign(q2_score_ohs=frame["q2_score_ohs"].where(~mine, 0.0))
    study = make_study(**OUT_OF_FOLD)
    mine_of = [
        expectations_of(one, study).table.query("provider_id == 'H03'") for one in (frame, worse)
    ]
    np.testing.assert_array_equal(*(one["expected_score_raw"] for one in mine_of))


def test_folds_need_as_many_groups(frame: pd.DataFrame) -> None:
    study = make_study(**OUT_OF_FOLD, split__folds=7)
    with pytest.raises(TooFewProvidersError, match=r"wanted 7 or more .*'provider_id'; got 6"):
        expectations_of(frame, study)


@pytest.mark.parametrize("spoil", ["drop", "null"])
def test_folds_of_patients_need_to_know_them(spoil: str, frame: pd.DataFrame) -> None:
    frame = (
        frame.drop(columns="patient_id")
        if spoil == "drop"
        else frame.assign(patient_id=frame["patient_id"].where(frame.index > 0))
    )
    with pytest.raises(ColumnError, match="wanted 'patient_id' for every episode"):
        expectations_of(frame, make_study(**OUT_OF_FOLD, split__group="patient"))


def test_folds_do_not_depend_on_the_names_of_providers(
    frame: pd.DataFrame, folded: Expectations
) -> None:
    names = {f"H{one:02d}": f"Z{(one * 5) % 6}" for one in range(6)}
    renamed = frame.assign(provider_id=frame["provider_id"].map(names))
    got = expectations_of(renamed, make_study(**OUT_OF_FOLD)).table
    pd.testing.assert_series_equal(got["fold"], folded.table["fold"])
    pd.testing.assert_series_equal(got["expected"], folded.table["expected"])


def test_another_seed_makes_other_folds(frame: pd.DataFrame, folded: Expectations) -> None:
    other = expectations_of(frame, make_study(**OUT_OF_FOLD, split__seed=2))
    assert not other.table["fold"].equals(folded.table["fold"])


@pytest.mark.parametrize("changes", [{}, OUT_OF_FOLD], ids=["out of time", "out of fold"])
def test_the_number_of_threads_does_not_change_a_byte(
    changes: dict[str, Any], frame: pd.DataFrame
) -> None:
    runs = [
        expectations_of(frame, make_study(**changes, compute={"threads": one})) for one in (1, 3)
    ]
    assert runs[0].digest == runs[1].digest
    first, second = (one.table["expected"].to_numpy().tobytes() for one in runs)
    assert first == second


def test_the_same_study_twice_has_the_same_digest(
    frame: pd.DataFrame, expectations: Expectations
) -> None:
    assert expectations_of(frame).digest == expectations.digest


# --- recalibration, and what is gained ---


@pytest.mark.parametrize("learner", LEARNERS)
@pytest.mark.parametrize(
    ("method", "bias", "slope"), [("shift", 0.0, None), ("line", 0.0, 1.0), ("none", None, None)]
)
def test_recalibration_does_what_its_name_says(
    method: str, bias: float | None, slope: float | None, learner: str, frame: pd.DataFrame
) -> None:
    expectations = expectations_of(frame, make_study(recalibration={"method": method}))
    rows, got = rows_of(expectations, learner), evaluate(expectations).metrics[learner]
    if bias is None:
        assert (rows["expected_score"] == rows["expected_score_raw"]).all()
        return
    assert got["bias"] == pytest.approx(bias, abs=1e-9)
    moved = (rows["expected_score"] - rows["expected_score_raw"]).std()
    assert (moved < 1e-9) == (method == "shift")
    if slope is not None:
        assert got["calibration_slope"] == pytest.approx(slope)


def test_a_line_through_one_expectation_for_all_is_a_shift() -> None:
    assert recalibration(np.array([3.0, 5.0]), np.array([1.0, 1.0]), "line") == (3.0, 1.0)


def test_drift_is_what_recalibration_removed(frame: pd.DataFrame) -> None:
    later = (frame["period"] == "2022") & (frame["q2_score_ohs"] < 44)
    better = frame.assign(q2_score_ohs=frame["q2_score_ohs"] + 4.0 * later)
    got, before = (evaluate(expectations_of(one)).metrics["linear"] for one in (better, frame))
    share = later.sum() / (frame["period"] == "2022").sum()
    assert got["drift"] - before["drift"] == pytest.approx(4 * share)
    assert got["bias"] == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("method", ["shift", "none"])
def test_figures_come_with_intervals_by_provider(method: str, frame: pd.DataFrame) -> None:
    expectations = expectations_of(frame, make_study(recalibration={"method": method}))
    rows, got = rows_of(expectations, "linear"), evaluate(expectations).metrics["linear"]
    for name in ("r2", "mae", "rmse", "drift", "r2_before_recalibration", "calibration_intercept"):
        assert got[f"{name}_lower95"] < got[name] < got[f"{name}_upper95"]
    wanted = accuracy_by_cluster(
        rows["observed_score"], rows["expected_score"], rows["provider_id"], "mae"
    )
    assert (got["mae_lower95"], got["mae_upper95"]) == pytest.approx((wanted.lower, wanted.upper))
    assert ("bias_lower95" in got) == (method == "none")  # 0 by recalibration, else as drift


def test_a_reference_is_taken_as_it_was_supplied(frame: pd.DataFrame) -> None:
    study = make_study(learners=[{"kind": "reference"}], recalibration={"method": "none"})
    expectations = expectations_of(frame, study)
    supplied = expectations.cohort.test["reference_predicted_ohs"]
    assert expectations.table["expected_score"].tolist() == supplied.tolist()
    assert expectations.models == {}


def test_gains_are_what_came_after_less_what_was_before(expectations: Expectations) -> None:
    table = expectations.table
    assert (table["observed"] == table["observed_score"] - table["baseline_score"]).all()
    assert (table["expected"] == table["expected_score"] - table["baseline_score"]).all()


def test_gains_are_positive_when_better_where_a_lower_score_is_better(
    frame: pd.DataFrame, monkeypatch: pytest.MonkeyPatch, expectations: Expectations
) -> None:
    downwards = replace(instrument("OHS"), direction=-1)
    monkeypatch.setattr(Outcome, "definition", property(lambda _: downwards))
    got = expectations_of(frame).table
    pd.testing.assert_series_equal(got["observed"], -expectations.table["observed"])
    pd.testing.assert_series_equal(got["expected"], -expectations.table["expected"])
    pd.testing.assert_series_equal(got["expected_score"], expectations.table["expected_score"])


# --- learners ---


def test_the_linear_learner_finds_a_constant_per_level_and_a_multiplier() -> None:
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.normal(50, 10, 3000), rng.integers(0, 3, 3000)]).astype(float)
    y = 10 + 0.5 * X[:, 0] + np.array([0.0, 4.0, -2.0])[X[:, 1].astype(int)]
    learner = LinearExpectation(ridge=1e-9).fit(X, y)
    assert [one.levels for one in learner.factors_] == [(), (0.0, 1.0, 2.0)]
    assert learner.coef_ == pytest.approx([0.5, 4.0, -2.0])
    assert learner.intercept_ == pytest.approx(10)


@pytest.mark.parametrize("ridge", [0, 1e-6, 1.0])
def test_collinear_levels_have_small_constants_whatever_the_penalty(ridge: float) -> None:
    male = np.random.default_rng(0).integers(0, 2, 500).astype(float)
    X = np.column_stack([male, 1 - male])
    learner = LinearExpectation(ridge=ridge).fit(X, 30 + 4 * male)
    assert learner.coef_ == pytest.approx([2.0, -2.0], abs=0.02)
    assert learner.predict([[1.0, 0.0], [0.0, 1.0]]) == pytest.approx([34.0, 30.0], abs=0.02)


def test_the_linear_learner_gives_missing_values_a_constant_of_their_own() -> None:
    X = np.array([[one] for one in [*range(20), *[NAN] * 20]], dtype=float)
    y = np.array([*range(20), *[100.0] * 20])
    learner = LinearExpectation(ridge=1e-9).fit(X, y)
    assert learner.predict([[NAN], [7.0]]) == pytest.approx([100.0, 7.0])


@pytest.mark.parametrize("learner", [LinearExpectation(), LightGBMExpectation(**SMALL)])
@pytest.mark.parametrize("value", [5.0, NAN])
def test_case_mix_without_variation_expects_the_mean(learner: Any, value: float) -> None:
    y = np.arange(20.0)
    got = learner.fit(np.full((20, 1), value), y).predict(np.full((3, 1), value))
    assert got == pytest.approx([9.5] * 3)


@pytest.mark.parametrize("learner", [LinearExpectation(), LightGBMExpectation(**SMALL)])
def test_learners_expect_something_for_every_missing_value(learner: Any) -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 3))
    learner.fit(X, X[:, 0])
    assert np.isfinite(learner.predict(np.full((2, 3), NAN))).all()


def test_more_trees_fit_better() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(500, 2))
    y = X[:, 0] + X[:, 1] ** 2
    scores = [LightGBMExpectation(trees, min_episodes_per_leaf=5).fit(X, y).score(X, y)
              for trees in (1, 50, 300)]  # fmt: skip
    assert scores == sorted(scores)
    assert scores[-1] > 0.5


# --- models ---


@pytest.mark.parametrize("learner", LEARNERS)
@pytest.mark.parametrize("which", ["expectations", "folded"])
def test_a_model_saved_and_read_gives_the_same_numbers(
    learner: str, which: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    expectations: Expectations = request.getfixturevalue(which)
    save_model(expectations.models[learner], tmp_path / "model")
    model = load_model(tmp_path / "model")
    rows = rows_of(expectations, learner)
    got = model.expect(expectations.casemix.test, rows["fold"])
    np.testing.assert_array_equal(got, rows["expected_score"])
    np.testing.assert_array_equal(
        model.expect(expectations.casemix.test),
        expectations.models[learner].expect(expectations.casemix.test),
    )


@pytest.mark.parametrize(
    ("learner", "files"),
    [
        ("linear", ["digests.json", "model.json"]),
        ("lightgbm", ["digests.json", "model.json", *(f"trees_{k}.txt" for k in range(3))]),
    ],
)
def test_a_saved_model_is_text_and_nothing_that_runs(
    learner: str, files: list[str], folded: Expectations, tmp_path: Path
) -> None:
    save_model(folded.models[learner], tmp_path)
    assert sorted(one.name for one in tmp_path.iterdir()) == files
    for name in files:
        assert "\0" not in (tmp_path / name).read_text(encoding="utf-8")
    content = json.loads((tmp_path / "model.json").read_text())
    assert [one["name"] for one in content["columns"]] == folded.casemix.names


def test_without_a_fold_all_members_are_asked(folded: Expectations) -> None:
    model, casemix = folded.models["linear"], folded.casemix.test.head(10)
    each = [model.expect(casemix, np.full(10, fold)) for fold in range(3)]
    assert model.expect(casemix) == pytest.approx(np.mean(each, axis=0))


@pytest.mark.parametrize("fold", [-1, 3])
def test_a_fold_that_the_model_lacks_is_refused(fold: int, folded: Expectations) -> None:
    with pytest.raises(ValuesError, match="wanted folds from 0 to 2"):
        folded.models["linear"].expect(folded.casemix.test.head(2), [0, fold])


def test_a_model_asked_about_other_columns_names_those_that_it_lacks(
    expectations: Expectations,
) -> None:
    with pytest.raises(ColumnError, match="none called age_years, sex"):
        expectations.models["linear"].expect(expectations.casemix.test[["q1_score_ohs"]])


def test_the_typical_episode_has_the_median_and_the_commonest(expectations: Expectations) -> None:
    typical, train = expectations.models["linear"].typical, expectations.casemix.train
    assert typical["age_years"] == train["age_years"].median()
    assert typical["sex"] == train["sex"].value_counts().idxmax()


@pytest.mark.parametrize(
    "content",
    [
        None,
        "",
        "{",
        "[]",
        "{}",
        '{"format": "something else"}',
        '{"format": "riskadj expectation 1"}',
    ],
)
def test_a_folder_without_a_model_is_refused(content: str | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "model.json").write_text(content)
    with pytest.raises(FileFormatError, match="wanted"):
        load_model(tmp_path)


def test_a_model_that_lost_its_trees_is_refused(expectations: Expectations, tmp_path: Path) -> None:
    save_model(expectations.models["lightgbm"], tmp_path)
    (tmp_path / "trees_0.txt").unlink()
    with pytest.raises(FileFormatError, match=r"trees_0\.txt"):
        load_model(tmp_path)


def test_a_model_with_spoiled_trees_is_refused(expectations: Expectations, tmp_path: Path) -> None:
    save_model(expectations.models["lightgbm"], tmp_path)
    (tmp_path / "trees_0.txt").write_text("not trees")
    with pytest.raises(ChangedFileError, match=r"trees_0\.txt: wanted the file as it was saved"):
        load_model(tmp_path)


# --- evaluation ---


def test_metrics_are_of_the_score_after(expectations: Expectations) -> None:
    rows = rows_of(expectations, "linear")
    got = evaluate(expectations).metrics["linear"]
    residual = rows["observed_score"] - rows["expected_score"]
    assert got["rmse"] == pytest.approx(np.sqrt((residual**2).mean()))
    assert got["n"] == len(rows)
    spread = rows["observed_score"] - rows["observed_score"].mean()
    assert got["r2"] == pytest.approx(1 - (residual**2).sum() / (spread**2).sum())


def test_deciles_of_calibration_share_out_every_episode(expectations: Expectations) -> None:
    calibration = evaluate(expectations).calibration.query("learner == 'lightgbm'")
    assert calibration["decile"].tolist() == list(range(1, 11))
    assert calibration["n"].sum() == len(expectations.cohort.test)
    assert calibration["expected"].is_monotonic_increasing
    gap = calibration["observed"] - calibration["expected"]
    assert calibration["difference"].tolist() == gap.tolist()


def test_subgroups_cover_everybody_once_missing_or_not(frame: pd.DataFrame) -> None:
    gaps = frame.assign(sex=frame["sex"].where(frame.index % 5 > 0))
    expectations = expectations_of(gaps, make_study(learners=LINEAR))
    table = evaluate(expectations, ("sex", "comorb_heart")).subgroups
    assert set(table.query("column == 'sex'")["level"]) == {"female", "male", "not recorded"}
    assert set(table.query("column == 'comorb_heart'")["level"]) == {"0", "1"}
    assert set(table.groupby("column")["n"].sum()) == {len(expectations.cohort.test)}
    assert (
        (table["lower95"] < table["difference"]) & (table["difference"] < table["upper95"])
    ).all()


@pytest.mark.parametrize("kind", ["float64", "Int64", "object", "datetime64[us]", "category"])
def test_a_subgroup_of_which_nothing_is_recorded_is_one_level(kind: str) -> None:
    values = pd.Series([None, None, None]).astype(kind)
    assert set(levels_of(values).fillna(NOT_RECORDED)) == {NOT_RECORDED}


@pytest.mark.parametrize(
    ("values", "names"),
    [
        ([34, 40, 61, 61, 62, 62, 67, 70, 71, 80, 90, 95, 96], ["34 to 61", "62", "63 to 70"]),
        ([0] * 30 + [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 1_234_567], ["0 to 3", "4 to 1234567"]),
        ([*np.arange(11.0) / 4], ["0.00 to under 0.50", "0.50 to under 1.00"]),
        ([*np.linspace(-0.594, 1, 12)], ["-0.60 to under -0.28", "-0.28 to under 0.04"]),
    ],
)
def test_a_value_belongs_to_one_name_of_a_group_of_numbers_alone(
    values: list[float], names: list[str]
) -> None:
    """`34 to 61` and `61 to 67` would both be of 61."""
    numbers = pd.Series(values, dtype=float)
    found = levels_of(numbers)
    assert list(dict.fromkeys(found[numbers.argsort()]))[: len(names)] == names
    for value, name in zip(numbers, found, strict=True):
        assert [one for one in found.unique() if _is_named(value, one)] == [name]


def _is_named(value: float, name: str) -> bool:
    low, _, high = name.partition(" to ")
    if high.startswith("under "):
        return float(low) <= value < float(high.removeprefix("under "))
    return float(low) <= value <= float(high or low)


@pytest.mark.parametrize("kind", ["float64", "Int64"])
def test_fifths_of_others_hold_what_is_beyond_them_and_what_is_not_recorded(kind: str) -> None:
    like = pd.Series(range(40, 91), dtype=kind)
    found = levels_of(pd.Series([30, 51, None, 99], dtype=kind, index=[4, 5, 6, 7]), like)
    assert found.fillna(NOT_RECORDED).to_dict() == {
        4: "40 to 50", 5: "51 to 60", 6: NOT_RECORDED, 7: "81 to 90",
    }  # fmt: skip


def test_subgroups_that_the_data_lack_are_passed_over(expectations: Expectations) -> None:
    found = evaluate(expectations, ("ethnicity",)).subgroups
    assert set(found["column"]) == {VOLUME}


def test_thirds_of_providers_by_volume_hold_everybody(expectations: Expectations) -> None:
    rows = evaluate(expectations).subgroups.query("learner == 'linear'").set_index("level")
    assert set(rows.index) == {"small", "middle", "large"}
    assert rows["n"].sum() == len(expectations.cohort.test)
    assert rows["n"]["small"] <= rows["n"]["middle"] <= rows["n"]["large"]


def test_only_the_study_decides_which_learners_there_are(frame: pd.DataFrame) -> None:
    study = make_study(learners=LINEAR)
    assert list(cross_fit(casemix_of(frame, study), study).models) == ["linear"]


def test_a_level_never_seen_is_the_nearest_and_a_value_never_missing_the_average() -> None:
    asa = np.repeat([1.0, 2.0, 3.0, 4.0], [100, 300, 400, 200])
    score = np.select([asa == 1, asa == 2, asa == 3], [45.0, 40.0, 35.0], 30.0)
    learner = LinearExpectation(ridge=1e-9).fit(asa[:, None], score)
    got = learner.predict(np.array([[5.0], [0.0], [2.4], [np.nan]]))
    assert got == pytest.approx([30, 45, 40, score.mean()], abs=1e-6)


def test_a_learner_that_nobody_vouches_for_is_refused(expectations: Expectations) -> None:
    with pytest.raises(InSampleError, match="whom the model of every fold learned from"):
        replace(expectations, models={}, learned={})
