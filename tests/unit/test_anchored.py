"""Thresholds that a cohort's own anchor question gives."""

import numpy as np
import pandas as pd
import pytest
from worlds import cohort_of, episode_frame, make_study, typed, write_study

from riskadj.cohort import anchored_thresholds
from riskadj.errors import ColumnError, EmptyCohortError, UnknownNameError
from riskadj.pipeline import anchor_study
from riskadj.stats.anchors import estimate_threshold

TRUE_THRESHOLD = 12.0


def answered(n=4000, seed=3):
    """Return episodes whose patients call a gain of about 12 points an improvement."""
    frame = episode_frame(n, providers=20, seed=seed)
    rng = np.random.default_rng(seed)
    gain = frame["q2_score_ohs"] - frame["q1_score_ohs"]
    cut = TRUE_THRESHOLD + rng.normal(0, 3, n)
    better = gain.to_numpy() >= cut
    return typed(frame.assign(anchor_change=np.where(better, rng.integers(1, 3, n), 4)))


def with_items(frame, seed=5):
    """Return the frame with items that sum to its scores."""
    rng = np.random.default_rng(seed)
    for q in ("q1", "q2"):
        codes = np.zeros((len(frame), 12))
        for row, total in enumerate(frame[f"{q}_score_ohs"].astype(int)):
            spots = rng.permutation(np.repeat(np.arange(12), 4))[:total]
            np.add.at(codes[row], spots, 1)
        frame = frame.assign(**{f"{q}_item_ohs_{i:02}": codes[:, i - 1] for i in range(1, 13)})
    return typed(frame)


def test_it_estimates_what_the_episodes_compared_say():
    cohort = cohort_of(answered())
    found = anchored_thresholds(cohort, 2, replicates=100)
    rows = cohort.test
    want = estimate_threshold(
        rows["score_after"] - rows["baseline_score"], rows["anchor_change"] <= 2
    )
    assert repr(found.measured) == repr(want)
    got = found.thresholds.set_index("method")
    assert got.loc["predictive", "value"] == want.predictive
    corrected = got.loc["adjusted predictive"]
    assert corrected["lower95"] < TRUE_THRESHOLD < corrected["upper95"]
    assert found.answers["n"].sum() == len(rows)


def test_a_score_that_falls_when_better_is_turned_round():
    frame = answered()
    turned = frame.drop(columns=["reference_predicted_ohs"]).rename(
        columns={"q1_score_ohs": "q1_score_odi", "q2_score_ohs": "q2_score_odi"}
    )
    turned[["q1_score_odi", "q2_score_odi"]] = 48 - turned[["q1_score_odi", "q2_score_odi"]]
    study = make_study(
        outcomes=[{"name": "odi", "instrument": "ODI", "kind": "gain"}],
        casemix={"columns": ["q1_score_odi"], "allow_provider_influenced": False},
    )
    mine, theirs = (
        anchored_thresholds(one, replicates=100)
        for one in (cohort_of(turned, study), cohort_of(frame))
    )
    assert repr(mine.measured) == repr(theirs.measured)
    assert mine.slope[0] == pytest.approx(-theirs.slope[0])


def test_halves_of_the_items_keep_the_error_of_the_baseline_out_of_the_change():
    """The same cut for everybody: the line over the score itself bends all the same."""
    frame = answered()
    bent = anchored_thresholds(cohort_of(frame), replicates=100)
    straight = anchored_thresholds(cohort_of(with_items(frame)), replicates=100)
    assert (bent.baseline_of, straight.baseline_of) == ("score", "items")
    pd.testing.assert_frame_equal(bent.thresholds, straight.thresholds)


def test_without_the_anchor_question_it_says_what_is_wanted():
    with pytest.raises(ColumnError, match="'anchor_change'"):
        anchored_thresholds(cohort_of(episode_frame()))


def test_with_no_answer_to_it_nobody_is_left():
    frame = answered(400).assign(anchor_change=np.nan)
    with pytest.raises(EmptyCohortError, match="none of"):
        anchored_thresholds(cohort_of(frame))


def test_an_outcome_that_the_study_lacks_is_refused_by_name(tmp_path):
    from riskadj.study import load_study

    study = load_study(write_study(tmp_path))
    with pytest.raises(UnknownNameError, match=r"outcome of the study \(ohs\); got 'oh'"):
        anchor_study(study, "oh")
