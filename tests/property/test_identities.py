"""Identities that hold for any episodes: what a comparison may depend on, and what it may not."""

import itertools
from typing import Any

import numpy as np
import pandas as pd
import pytest
from cost_worlds import cost_frame, cost_study
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from worlds import LINEAR, OUT_OF_FOLD, cohort_of, episode_frame, expectations_of, make_study

from riskadj.casemix import CaseMixEncoder
from riskadj.explain import explain_expectations
from riskadj.explain.shap_values import START, feature_columns
from riskadj.instruments import INSTRUMENTS, Instrument, score
from riskadj.profile import flag_from_z, profile_providers
from riskadj.report.disclosure import SUPPRESSED, suppress_providers
from riskadj.stats import accuracy, calibration_line, groups_by_rank

few = settings(max_examples=8, deadline=None, derandomize=True)
many = settings(max_examples=60, deadline=None, derandomize=True)

SEEDS = st.integers(0, 10_000)
WORLDS = st.builds(episode_frame, n=st.integers(200, 400), providers=st.integers(3, 8), seed=SEEDS)
WHEN = st.sampled_from([{}, OUT_OF_FOLD])
UNPENALISED = [{"kind": "linear", "ridge": 0}]
VALUES = st.floats(-1e3, 1e3).map(lambda one: round(one, 3))
NUMBERS = arrays(float, st.integers(2, 40), elements=VALUES)
BOTH = {"reference": {"kind": "reference"}, "linear": {"kind": "linear"}}


def profiled(frame: pd.DataFrame, **changes: Any) -> pd.DataFrame:
    study = make_study(**{"learners": LINEAR, "profile__minimum_n": 2, **changes})
    return profile_providers(expectations_of(frame, study), study).table


# --- providers are names ---


@few
@given(frame=WORLDS, when=WHEN, order=st.randoms(use_true_random=False))
def test_relabelling_providers_permutes_rows_only(
    frame: pd.DataFrame, when: dict[str, Any], order: Any
) -> None:
    names = sorted(frame["provider_id"].unique())
    shuffled = names.copy()
    order.shuffle(shuffled)
    new = dict(zip(names, shuffled, strict=True))
    table = profiled(frame, **when)
    renamed = profiled(frame.assign(provider_id=frame["provider_id"].map(new)), **when)
    back = renamed.assign(provider_id=renamed["provider_id"].map({b: a for a, b in new.items()}))
    pd.testing.assert_frame_equal(
        back.sort_values("provider_id", ignore_index=True), table, rtol=1e-9
    )


@few
@given(frame=WORLDS)
def test_merging_two_providers_adds_their_observed_and_expected(frame: pd.DataFrame) -> None:
    def sums(table: pd.DataFrame) -> pd.DataFrame:
        rows = table.set_index("provider_id")
        totals = rows[["observed", "expected"]].mul(rows["n"], axis=0).fillna(0.0)
        return totals.assign(n=rows["n"], episodes=rows["episodes"])

    apart = sums(profiled(frame))
    together = sums(profiled(frame.replace({"provider_id": {"H01": "H00"}})))
    want = apart.rename(index={"H01": "H00"}).groupby(level=0).sum()
    pd.testing.assert_frame_equal(together, want, check_dtype=False)


@few
@given(frame=WORLDS, seed=SEEDS)
def test_the_order_of_the_file_changes_no_profile_out_of_time(
    frame: pd.DataFrame, seed: int
) -> None:
    shuffled = frame.sample(frac=1, random_state=seed, ignore_index=True)
    pd.testing.assert_frame_equal(profiled(shuffled), profiled(frame), rtol=1e-9)


# --- observed and expected ---


@few
@given(frame=WORLDS, when=WHEN, method=st.sampled_from(["shift", "line"]))
def test_recalibrated_expectations_sum_to_what_was_observed(
    frame: pd.DataFrame, when: dict[str, Any], method: str
) -> None:
    study = make_study(**when, recalibration={"method": method}, learners=[*BOTH.values()])
    for _, rows in expectations_of(frame, study).by_learner():
        assert rows["expected"].sum() == pytest.approx(rows["observed"].sum(), abs=1e-6)
        assert rows["expected_score"].sum() == pytest.approx(rows["observed_score"].sum())


@few
@given(frame=WORLDS, shift=st.floats(-20, 20))
def test_a_shift_of_the_expectation_moves_no_provider(frame: pd.DataFrame, shift: float) -> None:
    shifted = frame.assign(reference_predicted_ohs=frame["reference_predicted_ohs"] + shift)
    tables = [profiled(one, learners=[BOTH["reference"]]) for one in (frame, shifted)]
    pd.testing.assert_frame_equal(*tables, rtol=1e-8, atol=1e-8)


@few
@given(frame=WORLDS, shift=st.integers(-100, 100))
def test_a_shift_of_the_scale_changes_no_gain(frame: pd.DataFrame, shift: int) -> None:
    columns = ["q1_score_ohs", "q2_score_ohs"]
    moved = frame.assign(**{name: frame[name] + shift for name in columns})
    tables = [profiled(one, learners=UNPENALISED) for one in (frame, moved)]
    pd.testing.assert_frame_equal(*tables, rtol=1e-6, atol=1e-7)


@few
@given(frame=WORLDS, unit=st.floats(0.01, 100))
def test_another_unit_changes_no_ratio_no_z_and_no_flag(frame: pd.DataFrame, unit: float) -> None:
    columns = ["q1_score_ohs", "q2_score_ohs"]
    scaled = frame.assign(**{name: frame[name] * unit for name in columns})
    was, now = (profiled(one, learners=UNPENALISED) for one in (frame, scaled))
    for name in ("ratio", "z"):
        np.testing.assert_allclose(now[name], was[name], rtol=1e-6, atol=1e-7)
    assert now["flag"].tolist() == was["flag"].tolist()
    for name in ("observed", "difference", "adjusted", "lower95", "ci_upper95", "sd"):
        np.testing.assert_allclose(now[name], was[name] * unit, rtol=1e-6, atol=1e-7 * unit)


@few
@given(frame=WORLDS, when=WHEN)
def test_base_and_contributions_are_the_expectation(
    frame: pd.DataFrame, when: dict[str, Any]
) -> None:
    expectations = expectations_of(frame, make_study(**when))
    explanation = explain_expectations(expectations)
    assert explanation is not None
    episodes = explanation.episodes
    total = episodes["base"] + episodes[feature_columns(episodes)].sum(axis=1)
    assert (total - episodes["expected_score"]).abs().max() < 1e-6
    providers = explanation.providers
    to_score = providers[providers["feature"] != START]
    explained = [name for name in ("linear", "lightgbm") if name in set(providers["learner"])]
    assert "lightgbm" in explained
    for learner, (given_by, table, figure) in itertools.product(
        explained,
        ((to_score, episodes, "expected_score"), (providers, expectations.table, "expected")),
    ):
        mine = table[table["learner"] == learner]
        gap = given_by[given_by["learner"] == learner].groupby("provider_id")["contribution"].sum()
        means = mine.groupby("provider_id")[figure].mean()
        assert (gap - means + mine[figure].mean()).abs().max() < 1e-9


@few
@given(frame=WORLDS, hide=st.floats(0, 0.6), seed=SEEDS)
def test_everybody_who_left_is_in_the_flow(frame: pd.DataFrame, hide: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    names = ["q1_score_ohs", "q2_score_ohs", "period", "procedure_group"]
    hidden = frame.assign(**{one: frame[one].mask(rng.random(len(frame)) < hide) for one in names})
    cohort = cohort_of(hidden)
    flow = cohort.flow[cohort.flow["station"] == "cohort"]
    assert flow["left"].sum() + flow["remaining"].iloc[-1] == len(frame)
    assert len(cohort.train) + len(cohort.test) == flow["remaining"].iloc[-1]


# --- costs ---

COST_WORLDS = st.builds(
    cost_frame, n=st.integers(300, 500), providers=st.integers(3, 8), seed=SEEDS
)
COST_LEARNERS = st.sampled_from(["linear", "gamma", "tweedie", "two_part", "log_smearing"])


def costed(frame: pd.DataFrame, kind: str, **changes: Any) -> pd.DataFrame:
    study = cost_study(learners=[{"kind": kind}], **{"profile__minimum_n": 2, **changes})
    return profile_providers(expectations_of(frame, study), study).table


@few
@given(frame=COST_WORLDS, when=WHEN, kind=COST_LEARNERS, method=st.sampled_from(["shift", "line"]))
def test_expected_costs_are_positive_and_sum_to_the_observed(
    frame: pd.DataFrame, when: dict[str, Any], kind: str, method: str
) -> None:
    study = cost_study(learners=[{"kind": kind}], recalibration={"method": method}, **when)
    rows = expectations_of(frame, study).table
    assert (rows["expected"] > 0).all()
    assert rows["expected"].sum() == pytest.approx(rows["observed"].sum(), rel=1e-10)


@few
@given(frame=COST_WORLDS, rate=st.floats(0.01, 100), kind=COST_LEARNERS)
def test_another_currency_changes_no_ratio_no_z_and_no_flag(
    frame: pd.DataFrame, rate: float, kind: str
) -> None:
    was = costed(frame, kind)
    now = costed(frame.assign(cost_total_90d=frame["cost_total_90d"] * rate), kind)
    for name in ("ratio", "z", "sd", "reliability", "predicted_ratio"):
        np.testing.assert_allclose(now[name], was[name], rtol=1e-4, atol=1e-4)
    assert (now["flag"] == was["flag"]).mean() > 0.85  # one may lie on a limit
    for name in ("observed", "expected", "adjusted", "lower95", "shrunken"):
        np.testing.assert_allclose(now[name], was[name] * rate, rtol=1e-4)


@few
@given(frame=COST_WORLDS, kind=COST_LEARNERS)
def test_ratios_of_cost_weighted_by_what_is_expected_are_one(
    frame: pd.DataFrame, kind: str
) -> None:
    table = costed(frame, kind)
    weight = table["n"] * table["expected"]
    assert (weight * table["ratio"]).sum() / weight.sum() == pytest.approx(1)


# --- scores, flags, and what is shown ---


@st.composite
def answers(draw: st.DrawFn) -> tuple[Instrument, np.ndarray]:
    scored = [one for one in INSTRUMENTS.values() if one.rule != "value_set" or one.value_set]
    one = draw(st.sampled_from(scored))
    low, high = one.item_range if one.items else one.score_range
    codes = st.integers(int(low), int(high)).map(float) | st.just(float("nan"))
    shape = (draw(st.integers(1, 6)), max(one.items, 1))
    return one, draw(arrays(float, shape, elements=codes, fill=st.nothing()))


@many
@given(asked=answers())
def test_a_score_is_null_or_within_its_range(asked: tuple[Instrument, np.ndarray]) -> None:
    one, items = asked
    scores = score(one, items)
    low, high = one.score_range
    assert (np.isnan(scores) | ((scores >= low) & (scores <= high))).all()
    missing = np.isnan(items).sum(axis=1)
    assert (np.isnan(scores) == (missing > one.max_missing)).all()


@many
@given(asked=answers(), data=st.data())
def test_a_better_answer_never_makes_a_score_worse(
    asked: tuple[Instrument, np.ndarray], data: st.DataObject
) -> None:
    one, items = asked
    low, high = one.item_range if one.items else one.score_range
    better = high if one.id in ("OHS", "OKS", "EQ_VAS") else low
    improved = items.copy()
    place = data.draw(st.integers(0, items.shape[1] - 1))
    improved[:, place] = np.where(np.isnan(items[:, place]), np.nan, better)
    was, now = score(one, items), score(one, improved)
    assert (np.isnan(was) | (one.direction * (now - was) >= -1e-12)).all()


@many
@given(z=arrays(float, st.integers(1, 30), elements=st.floats(-6, 6)))
def test_flags_change_sides_with_the_sign(z: np.ndarray) -> None:
    sides = {"Positive": "Negative", "Negative": "Positive"}
    turned = [
        " ".join([sides.get(one.split()[0], one.split()[0]), *one.split()[1:]])
        for one in flag_from_z(z)
    ]
    assert flag_from_z(-z).tolist() == turned


@few
@given(frame=WORLDS)
def test_worse_for_better_turns_every_profile_round(frame: pd.DataFrame) -> None:
    columns = ["q1_score_ohs", "q2_score_ohs"]
    turned = frame.assign(**{name: 48 - frame[name] for name in columns})
    was, now = (profiled(one, learners=UNPENALISED) for one in (frame, turned))
    for name in ("observed", "expected", "difference", "z"):
        np.testing.assert_allclose(now[name], -was[name], atol=1e-6)


@many
@given(
    episodes=st.lists(st.integers(0, 40), min_size=1, max_size=12),
    below=st.integers(1, 10),
)
def test_no_hidden_provider_follows_from_the_total(episodes: list[int], below: int) -> None:
    table = pd.DataFrame(
        {
            "outcome": "ohs", "learner": "a", "provider_id": range(len(episodes)),
            "n": episodes, "observed": 1.0, "adjusted": 1.0, "episodes": episodes,
            "flag": "Not an outlier", "note": "",
        }
    )  # fmt: skip
    hidden = suppress_providers(table, below)["suppression"] == SUPPRESSED
    small = np.array([0 < one < below for one in episodes])
    assert hidden[small].all()
    assert hidden.sum() != 1 or sum(one > 0 for one in episodes) == 1
    assert not hidden[np.array(episodes) == 0].any()


# --- arithmetic ---


@many
@given(observed=NUMBERS, slope=st.floats(0.1, 5), intercept=VALUES)
def test_accuracy_does_not_depend_on_the_unit(
    observed: np.ndarray, slope: float, intercept: float
) -> None:
    expected = observed[::-1]
    was = accuracy(observed, expected)
    now = accuracy(intercept + slope * observed, intercept + slope * expected)
    assert now.r2 == pytest.approx(was.r2, rel=1e-5, nan_ok=True)
    assert now.mae == pytest.approx(slope * was.mae, rel=1e-6, abs=1e-9)
    assert was.mae <= was.rmse + 1e-9


@many
@given(expected=NUMBERS, slope=st.floats(-3, 3), intercept=VALUES)
def test_a_line_is_found_again(expected: np.ndarray, slope: float, intercept: float) -> None:
    got = calibration_line(intercept + slope * expected, expected)
    if np.ptp(expected) > 1:
        assert got == pytest.approx((intercept, slope), rel=1e-6, abs=1e-6)


@many
@given(values=NUMBERS, groups=st.integers(1, 12))
def test_ranked_groups_follow_the_values(values: np.ndarray, groups: int) -> None:
    group = groups_by_rank(values, groups)
    assert ((group >= 1) & (group <= groups)).all()
    assert (np.diff(group[np.argsort(values, kind="stable")]) >= 0).all()


@many
@given(texts=st.lists(st.sampled_from(["a", "b", "c", None]), min_size=1, max_size=20))
def test_each_known_text_is_exactly_one_of_its_levels(texts: list[str | None]) -> None:
    frame = pd.DataFrame({"text": pd.Series(texts, dtype="str")})
    matrix = CaseMixEncoder().fit(frame).transform(frame)
    known = frame["text"].notna().to_numpy()
    assert (matrix[known].sum(axis=1) == 1).all()
    assert np.isnan(matrix[~known]).all()
