"""What changes between periods: found where it was planted, and nowhere else."""

import dataclasses
import re
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from worlds import LINEAR, OUT_OF_FOLD, casemix_of, episode_frame, expectations_of, make_study

from riskadj.errors import ArrayError, InSampleError
from riskadj.expected import Expectations, cross_fit, evaluate
from riskadj.fairness import assess_fairness, follow_drift
from riskadj.fairness.drift import (
    ACCESS,
    CALIBRATION,
    CASE_MIX,
    CODING,
    DRIFT_COLUMNS,
    HARD,
    TAUGHT,
)
from riskadj.profile import profile_providers
from riskadj.report.card.sections.fairness import fairness
from riskadj.report.disclosure import SUPPRESSED, suppress_drift
from riskadj.report.results import OutcomeResults, build_findings
from riskadj.stats.period_changes import period_change, provider_changes, stability_index
from riskadj.study import Study

N, PROVIDERS = 6000, 30
PICKS, CODES = "H07", "H11"
"""The provider that chooses its patients, and the one that writes down more."""
SETTINGS: dict[str, Any] = {
    "learners": LINEAR,
    "fairness": {"groups": ["sex", {"column": "age_years", "bands": [60, 75]}]},
    "casemix": {
        "columns": ["age_years", "sex", "comorb_*", "q1_score_ohs"],
        "allow_provider_influenced": False,
    },
}


def quiet_world(seed: int = 5) -> pd.DataFrame:
    """Return two periods between which nothing changes but by chance."""
    frame = episode_frame(N, PROVIDERS, seed)
    rng = np.random.default_rng(seed)
    after = 15 + 0.5 * frame["q1_score_ohs"] - 3 * frame["comorb_heart"] + rng.normal(0, 5, N)
    return frame.assign(q2_score_ohs=after.round().clip(0, 48))


def moved_world(seed: int = 5) -> pd.DataFrame:
    """Return a world in which one provider picks, another codes, and all improve by 2 points."""
    frame, rng = quiet_world(seed), np.random.default_rng(seed + 1)
    later = frame["period"] == "2022"
    picks = later & (frame["provider_id"] == PICKS)
    codes = later & (frame["provider_id"] == CODES)
    worst = frame["q1_score_ohs"] < 15
    left = picks & worst & (rng.random(N) < 0.9)
    more = codes & (rng.random(N) < 0.8)
    after = frame["q2_score_ohs"] + 2.0 * later
    return frame.assign(
        q2_score_ohs=after.clip(0, 48),
        comorb_depression=frame["comorb_depression"].mask(more, 1.0),
        comorb_heart=frame["comorb_heart"].mask(more, 1.0),
        age_years=frame["age_years"] + 4.0 * later,
    )[~left].reset_index(drop=True)


def followed(frame: pd.DataFrame, **changes: Any) -> pd.DataFrame:
    study = make_study(**(SETTINGS | changes))
    return follow_drift(expectations_of(frame, study), study)


def whole(table: pd.DataFrame, **wanted: str) -> pd.Series:
    """Return the row of all providers together."""
    rows = table[table["provider_id"] == ""]
    for name, value in wanted.items():
        rows = rows[rows[name] == value]
    assert len(rows) == 1
    return rows.iloc[0]


def holds(row: pd.Series, truth: float) -> bool:
    return bool(row["lower95"] < truth < row["upper95"])


@pytest.fixture(scope="module")
def moved() -> pd.DataFrame:
    return followed(moved_world())


@pytest.fixture(scope="module")
def quiet() -> pd.DataFrame:
    return followed(quiet_world(6))


# --- arithmetic -----------------------------------------------------------------------------------


def test_the_change_of_all_is_the_difference_of_two_means() -> None:
    rng = np.random.default_rng(0)
    values, later, provider = rng.normal(size=90), rng.random(90) < 0.4, np.arange(90) % 9
    found = period_change(values, later, provider)
    before, after = values[~later], values[later]
    assert found.change.value == pytest.approx(after.mean() - before.mean())
    spread = np.sqrt((before.var() + after.var()) / 2)
    assert found.standardised == pytest.approx(found.change.value / spread)
    assert (found.n_before, found.n_after) == (before.size, after.size)


def test_what_a_provider_keeps_cancels_in_the_interval_of_a_change() -> None:
    rng = np.random.default_rng(1)
    provider, later = np.tile(np.arange(20), 20), np.repeat([False, True], 200)
    noise = rng.normal(size=400)
    apart = period_change(noise + 50.0 * provider, later, provider).change
    alike = period_change(noise, later, provider).change
    assert apart.standard_error == pytest.approx(alike.standard_error, rel=0.05)


def test_by_chance_alone_distances_of_providers_are_standard_normal() -> None:
    rng = np.random.default_rng(2)
    provider, later = np.repeat(np.arange(400), 60), np.tile([False, True], 12_000)
    found = provider_changes(rng.normal(size=24_000), later, provider)
    assert found.z.std() == pytest.approx(1, abs=0.1)
    assert found.between < 0.1
    assert np.mean(np.abs(found.z) > 1.96) == pytest.approx(0.05, abs=0.03)


def test_how_differently_providers_change_is_recovered() -> None:
    rng = np.random.default_rng(3)
    provider, later = np.repeat(np.arange(400), 60), np.tile([False, True], 12_000)
    own = rng.normal(1.0, 0.5, 400)[provider]
    found = provider_changes(rng.normal(size=24_000) + own * later, later, provider)
    assert found.between == pytest.approx(0.5, abs=0.06)
    assert found.everybody == pytest.approx(1.0, abs=0.08)


def test_providers_with_few_episodes_in_a_period_are_left_out() -> None:
    provider = np.array(["a"] * 24 + ["b"] * 20 + ["c"] * 24)
    later = np.concatenate([np.arange(24) % 2, np.arange(20) < 3, np.arange(24) % 2]) == 1
    found = provider_changes(np.arange(68.0), later, provider)
    assert found.providers.tolist() == ["a", "c"]


def test_where_nothing_varies_nothing_is_known_of_chance() -> None:
    found = provider_changes(np.ones(80), np.tile([0, 1], 40), np.repeat([1, 2], 40))
    assert found.change.tolist() == [0.0, 0.0]
    assert np.isnan(found.z).all()
    assert np.isnan(found.between)


counts = st.lists(st.integers(0, 500), min_size=2, max_size=6)


@given(first=counts, second=counts)
def test_the_stability_index_is_not_negative_and_is_the_same_both_ways(first, second) -> None:
    size = min(len(first), len(second))
    first, second = first[:size], second[:size]
    if not sum(first) or not sum(second):
        with pytest.raises(ArrayError, match="somebody in each period"):
            stability_index(first, second)
        return
    index, chance = stability_index(first, second)
    assert index >= -1e-12
    assert stability_index(second, first) == pytest.approx((index, chance))
    assert stability_index(first, first)[0] == pytest.approx(0, abs=1e-12)


def test_the_stability_index_is_by_chance_what_it_is_said_to_be() -> None:
    rng = np.random.default_rng(4)
    p = [0.1, 0.2, 0.3, 0.4]
    drawn = [stability_index(rng.multinomial(400, p), rng.multinomial(600, p)) for _ in range(2000)]
    index, chance = np.mean(drawn, axis=0)
    assert index == pytest.approx(chance, rel=0.06)


@pytest.mark.parametrize("later", [[True, True], [False, False]])
def test_one_period_is_no_change(later: list[bool]) -> None:
    with pytest.raises(ArrayError, match="both periods"):
        period_change([1.0, 2.0], later, [1, 2])


# --- what was planted -----------------------------------------------------------------------------


def test_a_shift_of_age_is_found_in_case_mix_and_in_access(moved) -> None:
    age = whole(moved, part=CASE_MIX, column="age_years")
    assert holds(age, 4.0)
    assert age["standardised"] == pytest.approx(4 / 14.4, abs=0.06)
    assert age["stability"] > 5 * age["stability_by_chance"]
    assert whole(moved, part=ACCESS, column="age_years", level="75 or more")["lower95"] > 0.03
    sex = whole(moved, part=CASE_MIX, column="sex", level="")
    assert sex["stability"] < 8 * sex["stability_by_chance"]


def test_the_provider_that_takes_fewer_hard_cases_is_named(moved) -> None:
    hard = whole(moved, part=ACCESS, column=HARD)
    assert hard["before"] == pytest.approx(0.2, abs=0.01)
    assert hard["fell"] == 1
    named = moved[(moved["column"] == HARD) & (moved["z"] < 0)]
    assert named["provider_id"].tolist() == [PICKS]
    assert named["upper95"].iloc[0] < 0


def test_the_provider_that_codes_more_is_furthest_from_all(moved) -> None:
    rows = moved[(moved["part"] == CODING) & (moved["provider_id"] != "")]
    assert len(rows) == PROVIDERS
    furthest = rows.loc[rows["z"].abs().idxmax()]
    assert furthest["provider_id"] == CODES
    assert holds(furthest, 0.8)
    assert whole(moved, part=CODING)["rose"] == 1


def test_a_model_taught_earlier_is_off_by_what_all_improved(moved) -> None:
    residual = whole(moved, part=CALIBRATION, column="mean residual")
    assert holds(residual, 2.0)
    assert residual["lower95"] > 1
    assert residual["level"] == TAUGHT["earlier"]
    assert (residual["from_period"], residual["to_period"]) == ("2021", "2022")
    slope = whole(moved, part=CALIBRATION, column="slope")
    assert slope["lower95"] < 0 < slope["upper95"]


def test_where_nothing_changes_hardly_anything_is_told(quiet) -> None:
    told = quiet[(quiet["provider_id"] == "") & quiet["lower95"].notna()]
    outside = (told["lower95"] > 0) | (told["upper95"] < 0)
    assert outside.mean() < 0.2
    access = quiet[(quiet["part"] == ACCESS) & (quiet["provider_id"] == "")]
    assert (access["fell"] + access["rose"]).sum() <= 2
    assert holds(whole(quiet, part=CALIBRATION, column="mean residual"), 0.0)


def test_each_later_period_is_held_against_the_first() -> None:
    frame = quiet_world()
    last = frame["period"].where(frame.index % 3 > 0, "2023")
    split = {"train": ["2021"], "test": ["2022", "2023"], "seed": 1}
    table = followed(frame.assign(period=last), split=split)
    rows = table[table["part"] != CALIBRATION]
    pairs = set(zip(rows["from_period"], rows["to_period"], strict=True))
    assert pairs == {("2021", "2022"), ("2021", "2023")}
    assert set(table.loc[table["part"] == CALIBRATION, "to_period"]) == {"2022", "2023"}


def test_out_of_fold_models_were_taught_by_others_of_the_same_periods(folded) -> None:
    table = follow_drift(folded, make_study(**OUT_OF_FOLD))
    assert set(table.loc[table["part"] == CALIBRATION, "level"]) == {TAUGHT["others"]}
    assert {CASE_MIX, ACCESS, CODING} < set(table["part"])


def test_one_period_has_calibration_and_no_change() -> None:
    split = {"train": ["2021"], "test": ["2021"], "folds": 3, "seed": 1}
    table = followed(quiet_world(), split=split)
    assert set(table["part"]) == {CALIBRATION}
    assert [*table.columns] == DRIFT_COLUMNS


def test_a_published_model_is_held_against_each_period_too(frame) -> None:
    study = make_study(learners=[{"kind": "reference"}])
    table = follow_drift(expectations_of(frame, study), study)
    assert set(table.loc[table["part"] == CALIBRATION, "level"]) == {TAUGHT["published"]}
    assert HARD not in set(table["column"])


def test_what_is_not_recorded_is_followed_like_a_level() -> None:
    frame, rng = quiet_world(), np.random.default_rng(6)
    gone = (frame["period"] == "2022") & (rng.random(N) < 0.3)
    table = followed(frame.assign(age_years=frame["age_years"].mask(gone)))
    assert holds(whole(table, part=CASE_MIX, column="age_years", level="not recorded"), 0.3)


def test_anything_but_expectations_is_refused(frame) -> None:
    with pytest.raises(InSampleError, match="never in-sample"):
        follow_drift(frame, make_study())


# --- disclosure -----------------------------------------------------------------------------------

NO_GROUPS = pd.DataFrame(columns=["outcome", "group", "column", "n"])


def everybody_shown(names: list[str]) -> pd.DataFrame:
    return pd.DataFrame({"outcome": "ohs", "provider_id": names, "suppression": ""})


def shares(sizes: dict[str, int]) -> pd.DataFrame:
    """Return access to levels with these smallest numbers, and a number of another column."""
    table = pd.DataFrame({"level": [*sizes], "fewest": [float(one) for one in sizes.values()]})
    table = table.assign(
        outcome="ohs", learner="", part=ACCESS, column="g", provider_id="", to_period="2022",
        n_from=100, n_to=100, change=0.1, stability=np.nan,
    )  # fmt: skip
    other = table.head(1).assign(part=CASE_MIX, column="age_years", level="", fewest=np.nan)
    return pd.concat([table, other], ignore_index=True).reindex(columns=DRIFT_COLUMNS)


def test_shares_of_a_column_are_blank_together_where_one_is_small() -> None:
    shown = suppress_drift(shares({"a": 3, "b": 40, "c": 50}), NO_GROUPS, everybody_shown([]), 6)
    assert shown["change"].isna().tolist() == [True, True, True, False]
    kept = suppress_drift(shares({"a": 30, "b": 40}), NO_GROUPS, everybody_shown([]), 6)
    assert kept["change"].notna().all()
    assert "fewest" not in kept


def test_shares_of_a_group_that_the_audit_hides_are_blank() -> None:
    hidden = pd.DataFrame({"outcome": ["ohs"], "group": ["g"], "column": ["g"], "n": [np.nan]})
    shown = suppress_drift(shares({"a": 30, "b": 40}), hidden, everybody_shown([]), 6)
    assert shown["change"].isna().tolist() == [True, True, False]


def coding(sizes: dict[str, int], total: int) -> pd.DataFrame:
    """Return coding of all together, and of providers with so many episodes in either period."""
    n = [total, *sizes.values()]
    table = pd.DataFrame({"provider_id": ["", *sizes], "n_from": n, "n_to": n, "fewest": n})
    table.loc[0, "fewest"] = np.nan
    table = table.assign(
        outcome="ohs", learner="", part=CODING, column="c", level="", to_period="2022", change=0.1,
    )  # fmt: skip
    return table.reindex(columns=DRIFT_COLUMNS)


@pytest.mark.parametrize(
    ("total", "shown"),
    [(60, ["A", "B", "C"]), (63, ["B", "C"]), (80, ["A", "B", "C"])],
)
def test_so_few_are_never_left_without_a_row_that_the_others_would_tell_them(total, shown) -> None:
    table = coding({"A": 10, "B": 20, "C": 30}, total)
    kept = suppress_drift(table, NO_GROUPS, everybody_shown(["A", "B", "C"]), 6)
    assert kept["provider_id"].tolist() == ["", *shown]


def test_a_hidden_provider_has_no_row() -> None:
    providers = everybody_shown(["A", "B", "C"])
    providers.loc[1, "suppression"] = SUPPRESSED
    table = coding({"A": 10, "B": 20, "C": 30}, 60)
    kept = suppress_drift(table, NO_GROUPS, providers, 6)
    assert kept["provider_id"].tolist() == ["", "A", "C"]


# --- the card -------------------------------------------------------------------------------------


def findings_of(expectations: Expectations, study: Study):
    profiles = profile_providers(expectations, study)
    found = assess_fairness(expectations, profiles, study)
    one = OutcomeResults(
        expectations.casemix, expectations, evaluate(expectations), profiles, None, None, found
    )
    return build_findings(study, [one], {})


@pytest.fixture(scope="module")
def findings():
    study = make_study(**SETTINGS)
    return findings_of(cross_fit(casemix_of(moved_world(), study), study), study)


def test_the_card_tells_of_each_kind_of_change_and_names_who_codes_more(findings) -> None:
    blocks = [*fairness(findings)]
    captions = [one["caption"] for one in blocks if one["kind"] == "table"]
    for words in ("still hold", "case mix that changed most", "who is treated", "on record"):
        assert any(words in one for one in captions)
    last = blocks[-1]
    assert any(CODES in one for one in last["notes"])
    assert all(len(one["columns"]) <= 7 for one in blocks if one["kind"] == "table")


def test_the_card_never_says_why(findings) -> None:
    said = " ".join(str(one) for one in fairness(findings))
    assert "cannot tell" in said
    assert not re.search(r"\b(causes?|caused|because of|due to|led to|gaming)\b", said)


def test_a_provider_that_is_hidden_is_not_named(findings) -> None:
    drift = findings.drift[findings.drift["provider_id"] != CODES]
    said = " ".join(str(one) for one in fairness(dataclasses.replace(findings, drift=drift)))
    assert CODES not in said


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"fairness": {"drift": False}}, "were not looked at"),
        ({"split": {"train": ["2021"], "test": ["2021"], "folds": 3, "seed": 1}}, "one period"),
    ],
)
def test_the_card_says_why_nothing_is_told_of_change(changes: dict, words: str) -> None:
    study = make_study(**(SETTINGS | changes))
    findings = findings_of(expectations_of(quiet_world(), study), study)
    assert words in " ".join(str(one) for one in fairness(findings))
