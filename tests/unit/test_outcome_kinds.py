"""Gains, final scores, percentages and responders: what is modelled, compared and flagged."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from worlds import casemix_of, cohort_of, episode_frame, expectations_of, make_study

from riskadj.errors import StudyError
from riskadj.expected import evaluate, load_model, save_model
from riskadj.explain import explain_expectations
from riskadj.profile import profile_providers
from riskadj.study.outcomes import Outcome

OWN = {"kind": "change", "value": 8, "source": "a paper"}
FAILED = {"kind": "failure", "value": 8, "source": "a paper"}
KINDS: dict[str, dict[str, Any]] = {
    "gain": {"kind": "gain"},
    "final_score": {"kind": "final_score"},
    "percentage_change": {"kind": "percentage_change"},
    "responder": {"kind": "responder", "threshold": OWN},
    "failure": {"kind": "responder", "threshold": FAILED},
}


def study_of(kind: str, **changes: Any) -> Any:
    outcome = {"name": "ohs", "instrument": "OHS"} | KINDS[kind]
    return make_study(outcomes=[outcome], **changes)


@pytest.fixture
def large() -> pd.DataFrame:
    return episode_frame(n=1500, providers=8)


def test_each_kind_compares_what_it_says(frame: pd.DataFrame) -> None:
    before, after = 20.0, 30.0
    frame = frame.assign(q1_score_ohs=before, q2_score_ohs=after)
    frame.loc[frame.index[::3], "q2_score_ohs"] = 22.0
    wanted = {
        "gain": (30, 10),
        "final_score": (30, 30),
        "percentage_change": (50, 50),
        "responder": (1, 1),
        "failure": (0, 0),
    }
    for kind, (target, _) in wanted.items():
        test = cohort_of(frame, study_of(kind)).test
        assert set(test.loc[test["q2_score_ohs"] == after, "observed_score"]) == {target}, kind


@pytest.mark.parametrize("kind", KINDS)
def test_observed_and_expected_have_one_sum_after_recalibration(
    kind: str, large: pd.DataFrame
) -> None:
    for _, rows in expectations_of(large, study_of(kind)).by_learner():
        assert rows["expected"].sum() == pytest.approx(rows["observed"].sum(), rel=1e-6)


@pytest.mark.parametrize("kind", ["responder", "failure"])
def test_chances_are_chances_and_recalibrated_on_their_log_odds(
    kind: str, large: pd.DataFrame
) -> None:
    expectations = expectations_of(large, study_of(kind, recalibration={"method": "line"}))
    found = evaluate(expectations).metrics
    for learner, rows in expectations.by_learner():
        metrics = found[learner]
        assert rows["expected"].between(0, 1, inclusive="neither").all()
        assert metrics["calibration_slope"] == pytest.approx(1, abs=1e-4)
        assert 0.5 < metrics["c_statistic"] < 1
        assert metrics["brier"] == pytest.approx(
            np.mean((rows["observed"] - rows["expected"]) ** 2)
        )


def test_failing_is_the_other_side_of_responding(large: pd.DataFrame) -> None:
    tables = {
        kind: profile_providers(
            expectations_of(large, study_of(kind, learners=[{"kind": "linear"}])), study_of(kind)
        ).table.set_index("provider_id")
        for kind in ("responder", "failure")
    }
    responded, failed = tables["responder"], tables["failure"]
    assert failed["observed"].to_numpy() == pytest.approx(1 - responded["observed"])
    assert failed["z"].to_numpy() == pytest.approx(-responded["z"], abs=1e-4)
    assert (failed["flag"] == responded["flag"]).all()
    assert failed["rank"].to_numpy() == pytest.approx(responded["rank"], abs=0.1)
    assert (responded["z"].abs() > 1.96).any()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "method", ["nhs_england", "fixed_effects", "random_intercept", "empirical_bayes"]
)
def test_every_method_goes_with_every_kind(kind: str, method: str, large: pd.DataFrame) -> None:
    profile = {"method": method, "minimum_n": 30, "suppress_below": 6}
    study = study_of(kind, profile=profile, learners=[{"kind": "linear"}])
    table = profile_providers(expectations_of(large, study), study).table
    assert table["adjusted"].notna().all()
    assert np.corrcoef(table["adjusted"], table["difference"])[0, 1] > 0.9
    if kind in ("responder", "failure") and method in ("fixed_effects", "random_intercept"):
        limits = table[["adjusted", "lower998", "upper998", "ci_lower95", "ci_upper95"]]
        assert ((limits > 0) & (limits < 1)).all(axis=None)


def test_the_ratio_of_shares_is_never_withheld(large: pd.DataFrame) -> None:
    rare = {"kind": "change", "value": 30, "source": "a paper"}
    outcome = {"name": "ohs", "instrument": "OHS", "kind": "responder", "threshold": rare}
    study = make_study(outcomes=[outcome], learners=[{"kind": "linear"}])
    table = profile_providers(expectations_of(large, study), study).table
    assert table["ratio"].notna().all()
    assert table["observed"].max() < 0.3


def test_a_percentage_of_nothing_leaves_and_is_counted(frame: pd.DataFrame) -> None:
    frame = frame.copy()
    frame.loc[frame.index[:11], "q1_score_ohs"] = 0.0
    flow = cohort_of(frame, study_of("percentage_change")).flow.set_index("reason")["left"]
    assert flow["a score before of 0: no percentage of it"] == 11
    assert "a score before of 0: no percentage of it" not in set(
        cohort_of(frame, study_of("gain")).flow["reason"]
    )


@pytest.mark.parametrize(
    ("kind", "applies"),
    [("change", False), ("failure", False), ("percent_change", True), ("percent_failure", True)],
)
def test_a_responder_leaves_for_a_percentage_only_where_its_threshold_is_one(
    kind: str, applies: bool, frame: pd.DataFrame
) -> None:
    rule = {"kind": kind, "value": 14, "source": "a test"}
    outcome = {"name": "ohs", "instrument": "OHS", "kind": "responder", "threshold": rule}
    flow = cohort_of(frame, make_study(outcomes=[outcome])).flow
    assert flow["reason"].eq("a score before of 0: no percentage of it").any() == applies


@pytest.mark.parametrize("kind", ["responder", "percentage_change"])
def test_a_supplied_score_expects_scores_only(kind: str, large: pd.DataFrame) -> None:
    study = study_of(kind, learners=[{"kind": "reference"}, {"kind": "linear"}])
    assert set(expectations_of(large, study).table["learner"]) == {"linear"}
    with pytest.raises(ValueError, match="wanted a learner that expects ohs"):
        study_of(kind, learners=[{"kind": "reference"}])


def test_contributions_to_a_chance_add_up_to_its_log_odds(large: pd.DataFrame) -> None:
    expectations = expectations_of(large, study_of("responder"))
    explained = explain_expectations(expectations)
    assert explained is not None
    chance = expectations.table.query("learner == 'lightgbm'")["expected_score"].to_numpy()
    odds = np.log(chance / (1 - chance))
    assert explained.of("lightgbm")["expected_score"].to_numpy() == pytest.approx(odds)
    assert "(score before)" not in set(explained.providers["feature"])
    providers = explained.providers.groupby(["learner", "provider_id"])
    sums = providers["contribution"].sum()
    by_provider = providers["difference"].first()
    assert sums.to_numpy() == pytest.approx(by_provider.to_numpy())


@pytest.mark.parametrize("learner", ["linear", "lightgbm"])
def test_a_saved_chance_is_the_same_chance(
    learner: str, large: pd.DataFrame, tmp_path: Any
) -> None:
    expectations = expectations_of(large, study_of("responder"))
    save_model(expectations.models[learner], tmp_path)
    rows = expectations.table.query("learner == @learner")
    again = load_model(tmp_path).expect(expectations.casemix.test, rows["fold"])
    assert again == pytest.approx(rows["expected_score"].to_numpy(), abs=1e-12)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"kind": "responder"}, "wanted a threshold with kind responder"),
        ({"kind": "gain", "threshold": OWN}, "none with another"),
        ({"kind": "responder", "threshold": "OHS_MIC_9"}, "Did you mean 'OHS_MIC_8'"),
        ({"kind": "responder", "threshold": "OKS_MIC_7"}, "wanted scores of OKS; got OHS"),
        ({"kind": "responder", "threshold": "OHS_MIC_GROUP_11"}, "has been verified"),
        ({"kind": "responder", "threshold": OWN | {"source": ""}}, "at least 1 character"),
        ({"kind": "responder", "threshold": OWN | {"value": 80}}, "from 0 to 48"),
        (
            {"instrument": "EQ5D3L_UK_TTO", "kind": "percentage_change"},
            "percentages of scores that begin at 0",
        ),
    ],
)
def test_an_outcome_that_makes_no_sense_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises((ValueError, StudyError), match=words):
        Outcome.model_validate({"name": "ohs", "instrument": "OHS"} | changes)


def test_an_unverified_threshold_is_taken_when_the_study_says_so() -> None:
    outcome = Outcome(
        name="ohs", instrument="OHS", kind="responder", threshold="OHS_MIC_GROUP_11",
        allow_unverified=True,
    )  # fmt: skip
    assert not outcome.rule.verified
    assert outcome.rule.value == 11


def test_case_mix_never_holds_what_is_known_after(large: pd.DataFrame) -> None:
    names = {one.name for one in casemix_of(large, study_of("responder")).columns}
    assert not {one for one in names if one.startswith("q2_")}
