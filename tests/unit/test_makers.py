"""From a study's learners to fitted ones: settings, tuning, slopes, the reference, the ceiling."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from worlds import OUT_OF_FOLD, casemix_of, episode_frame, expectations_of, make_study

from riskadj.errors import StudyError
from riskadj.expected import cross_fit, evaluate, load_model, save_model

SMALL_STACK = {"kind": "stacked", "trees_by_parts": 10, "leaves_by_parts": 4, "nets": 1}
SMALL_CEILING = {"kind": "ceiling", "trees_at_best": 20, "trees_below": 20}


def study_of(*learners: dict[str, Any], **changes: Any) -> Any:
    return make_study(learners=list(learners), **changes)


@pytest.fixture(scope="module")
def large() -> pd.DataFrame:
    return episode_frame(n=1500, providers=8)


@pytest.mark.parametrize("learner", [SMALL_STACK, SMALL_CEILING], ids=lambda one: one["kind"])
@pytest.mark.parametrize("split", [{}, OUT_OF_FOLD], ids=["out of time", "out of fold"])
def test_every_learner_is_saved_as_text_and_expects_the_same_again(
    learner: dict[str, Any], split: dict[str, Any], large: pd.DataFrame, tmp_path: Any
) -> None:
    expectations = expectations_of(large, study_of(learner, **split))
    save_model(expectations.models[learner["kind"]], tmp_path)
    again = load_model(tmp_path).expect(expectations.cohort.test, expectations.table["fold"])
    assert again == pytest.approx(expectations.table["expected_score"].to_numpy(), abs=1e-9)


def test_the_share_at_the_ceiling_is_expected_and_held_against_what_came(
    large: pd.DataFrame,
) -> None:
    large = large.assign(q2_score_ohs=(large["q2_score_ohs"] + 8).clip(upper=48))
    found = evaluate(expectations_of(large, study_of({"kind": "linear"}, SMALL_CEILING))).ceiling
    assert set(found["learner"]) == {"ceiling"}
    there = large.loc[large["period"] == "2022", "q2_score_ohs"] == 48
    assert np.average(found["observed"], weights=found["n"]) == pytest.approx(there.mean())
    assert found["expected"].is_monotonic_increasing
    assert np.corrcoef(found["expected"], found["observed"])[0, 1] > 0.8


def test_a_learner_that_expects_no_share_has_no_table(large: pd.DataFrame) -> None:
    found = evaluate(expectations_of(large, study_of({"kind": "linear"}))).ceiling
    assert found.empty
    assert list(found) == [
        "outcome", "learner", "decile", "n", "expected", "observed", "difference",
        "lower95", "upper95",
    ]  # fmt: skip


def test_settings_are_searched_among_those_who_teach_alone(large: pd.DataFrame) -> None:
    study = study_of({"kind": "linear", "tune": 4}, {"kind": "lightgbm", "trees": 10, "tune": 3})
    first = expectations_of(large, study)
    spoiled = large.copy()
    rng = np.random.default_rng(0)
    asked = spoiled["period"] == "2022"
    spoiled.loc[asked, "q2_score_ohs"] = rng.integers(0, 49, int(asked.sum()))
    second = expectations_of(spoiled, study)
    assert [len(one) for one in first.searches.values()] == [1, 1]
    for learner in ("linear", "lightgbm"):
        assert first.searches[learner] == second.searches[learner]
        assert first.searches[learner][0].value <= first.searches[learner][0].start


def test_every_fold_searches_for_itself(large: pd.DataFrame) -> None:
    study = study_of({"kind": "linear", "tune": 2}, **OUT_OF_FOLD)
    searches = expectations_of(large, study).searches["linear"]
    assert len(searches) == study.split.folds
    assert len({one.value for one in searches}) == study.split.folds


def test_it_is_shown_how_far_slopes_within_providers_move_expectations(
    large: pd.DataFrame,
) -> None:
    pooled = expectations_of(large, study_of({"kind": "linear"}))
    within = expectations_of(large, study_of({"kind": "linear", "slopes": "within"}))
    told = evaluate(pooled).slopes.iloc[0], evaluate(within).slopes.iloc[0]
    assert [bool(one["used"]) for one in told] == [False, True]
    assert told[0]["sd"] == pytest.approx(told[1]["sd"])
    assert 0 < told[0]["sd"] < told[0]["largest"]
    gap = within.table["expected"] - pooled.table["expected"]
    by_provider = (gap - gap.mean()).groupby(pooled.table["provider_id"]).mean()
    assert told[0]["largest"] == pytest.approx(by_provider.abs().max())


def test_the_stack_takes_the_supplied_expectation_only_when_asked(large: pd.DataFrame) -> None:
    alone = expectations_of(large, study_of(SMALL_STACK))
    with_it = expectations_of(large, study_of(SMALL_STACK | {"with_reference": True}))
    names = [[one.name for one in e.models["stacked"].columns] for e in (alone, with_it)]
    assert "reference_predicted_ohs" not in names[0]
    assert names[1] == [*names[0], "reference_predicted_ohs"]
    without = large.drop(columns="reference_predicted_ohs")
    with pytest.raises(StudyError, match="with_reference"):
        expectations_of(without, study_of(SMALL_STACK | {"with_reference": True}))


def test_monotone_columns_are_named_as_in_the_case_mix(large: pd.DataFrame) -> None:
    learner = {"kind": "lightgbm", "trees": 30, "monotone": {"q1_score_ohs": 1}}
    expectations = expectations_of(large, study_of(learner))
    model = expectations.models["lightgbm"]
    asked = expectations.casemix.test.head(40)
    rising = [model.expect(asked.assign(q1_score_ohs=float(score))) for score in range(5, 40, 5)]
    assert (np.diff(rising, axis=0) >= -1e-9).all()
    wrong = learner | {"monotone": {"q1_score_oks": 1}}
    with pytest.raises(StudyError, match=r"monotone: .*Did you mean 'q1_score_ohs'"):
        expectations_of(large, study_of(wrong))


@pytest.mark.parametrize("kind", ["percentage_change", "responder"])
def test_a_stack_goes_with_other_kinds_and_a_ceiling_does_not(
    kind: str, large: pd.DataFrame
) -> None:
    outcome: dict[str, Any] = {"name": "ohs", "instrument": "OHS", "kind": kind}
    if kind == "responder":
        outcome["threshold"] = "OHS_MIC_8"
    study = study_of(SMALL_STACK, SMALL_CEILING, outcomes=[outcome])
    assert set(expectations_of(large, study).table["learner"]) == {"stacked"}


def test_the_same_study_gives_the_same_expectations(large: pd.DataFrame) -> None:
    study = study_of(SMALL_STACK, SMALL_CEILING, {"kind": "linear", "tune": 3})
    casemix = casemix_of(large, study)
    threads = study.model_copy(update={"compute": study.compute.model_copy(update={"threads": 1})})
    assert cross_fit(casemix, study).digest == cross_fit(casemix, threads).digest
