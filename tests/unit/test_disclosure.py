"""What may leave: small numbers leave nothing, and cannot be worked out from the rest."""

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from worlds import casemix_of, episode_frame, expectations_of, make_study

from riskadj.cohort.rates import ALL, RATE_COLUMNS
from riskadj.expected import cross_fit, evaluate
from riskadj.expected.evaluate import VOLUME, VOLUMES
from riskadj.profile import Profiles, flag_labels, profile_providers
from riskadj.report.card.card import build_card
from riskadj.report.disclosure import (
    NOT_ADJUSTED,
    SUPPRESSED,
    keep_rated,
    keep_shown,
    suppress_gaming,
    suppress_providers,
    suppress_rates,
    suppress_subgroups,
    suppress_thirds,
)
from riskadj.report.disclosure.rounding import PATIENTS, rounded_table
from riskadj.report.figures import draw_figures
from riskadj.report.findings import Findings
from riskadj.report.results import OutcomeResults, build_findings
from riskadj.study import Study
from riskadj.study.report import Report

KEYS = ["outcome", "learner", "provider_id", "flag", "suppression", "note"]


def providers(episodes: list[int], records: list[int] | None = None) -> pd.DataFrame:
    """Return profiles of as many providers, P0, P1, ..., for two learners."""
    n = pd.Series(records or episodes)
    one = pd.DataFrame(
        {
            "outcome": "ohs",
            "provider_id": [f"P{number}" for number in range(len(n))],
            "n": n,
            "observed": np.where(n > 0, 20.0, np.nan),
            "adjusted": np.where(n >= 30, 21.0, np.nan),
            "flag": np.where(n >= 30, "Not an outlier", "Insufficient records"),
            "episodes": episodes,
            "note": "ratio withheld",
        }
    )
    return pd.concat([one.assign(learner=name) for name in ("a", "b")], ignore_index=True)


def marks(table: pd.DataFrame, below: int = 6) -> dict[str, str]:
    shown = suppress_providers(table, below).query("learner == 'a'")
    return dict(zip(shown["provider_id"], shown["suppression"], strict=True))


@pytest.mark.parametrize(
    ("episodes", "mark"), [(1, SUPPRESSED), (5, SUPPRESSED), (6, NOT_ADJUSTED), (30, "")]
)
def test_one_to_five_episodes_hide_every_figure(episodes: int, mark: str) -> None:
    assert marks(providers([episodes, 3, 4, 200]))["P0"] == mark


@pytest.mark.parametrize(
    ("records", "mark"), [(0, NOT_ADJUSTED), (1, SUPPRESSED), (5, SUPPRESSED), (6, NOT_ADJUSTED)]
)
def test_one_to_five_records_hide_every_figure_however_many_episodes(
    records: int, mark: str
) -> None:
    assert marks(providers([100, 3, 4, 200], [records, 3, 4, 180]))["P0"] == mark


@pytest.mark.parametrize(("records", "mark"), [(29, NOT_ADJUSTED), (30, "")])
def test_under_thirty_records_raw_figures_are_shown_and_adjusted_ones_not(
    records: int, mark: str
) -> None:
    table = providers([100, 200], [records, 180])
    shown = suppress_providers(table, 6).iloc[0]
    assert shown["suppression"] == mark
    assert (shown["n"], shown["observed"]) == (records, 20.0)
    assert pd.isna(shown["adjusted"]) == (mark == NOT_ADJUSTED)


def test_nothing_but_names_is_left_of_a_hidden_provider() -> None:
    shown = suppress_providers(providers([3, 4, 200]), 6)
    hidden = shown[shown["suppression"] == SUPPRESSED]
    assert hidden.drop(columns=KEYS).isna().all(axis=None)
    assert set(hidden["note"]) == {""}


def test_a_single_hidden_provider_hides_the_next_smallest_too() -> None:
    assert marks(providers([3, 200, 40, 80])) == {
        "P0": SUPPRESSED, "P1": "", "P2": SUPPRESSED, "P3": "",
    }  # fmt: skip


def test_two_hidden_providers_need_no_third() -> None:
    assert list(marks(providers([3, 4, 40, 80])).values()) == [SUPPRESSED, SUPPRESSED, "", ""]


def test_a_hidden_peer_does_not_follow_from_the_centre_of_its_group() -> None:
    n = [3, 4, 40, 80, 90]
    whole = providers(n)
    assert list(marks(whole).values()) == [SUPPRESSED, SUPPRESSED, "", "", ""]
    grouped = whole.assign(peer_group=["a", "b", "a", "b", "b"] * 2)
    hidden = suppress_providers(grouped, 6).query("learner == 'a' and suppression == 'all'")
    assert hidden["provider_id"].tolist() == ["P0", "P1", "P2", "P3"]
    assert set(hidden["peer_group"]) == {""}


def test_a_provider_hidden_for_anothers_sake_does_not_follow_from_its_own_group() -> None:
    grouped = providers([3, 40, 50, 60]).assign(peer_group=["a", "b", "b", "b"] * 2)
    hidden = suppress_providers(grouped, 6).query("learner == 'a' and suppression == 'all'")
    assert hidden["provider_id"].tolist() == ["P0", "P1", "P2"]


def test_no_procedures_are_nothing_to_hide() -> None:
    assert marks(providers([0, 40, 80])) == {"P0": "", "P1": "", "P2": ""}


def test_every_learner_hides_the_same_providers() -> None:
    shown = suppress_providers(providers([3, 40, 80]), 6)
    a, b = (shown.query(f"learner == '{one}'")["suppression"].tolist() for one in "ab")
    assert a == b == [SUPPRESSED, SUPPRESSED, ""]


def test_counts_stay_whole_numbers_beside_hidden_ones() -> None:
    shown = suppress_providers(providers([3, 4, 200]), 6)
    assert str(shown["n"].dtype) == "Int64"
    assert shown["n"].tolist()[2] == 200


def test_suppressing_leaves_the_profiles_as_they_were() -> None:
    table = providers([3, 4, 200])
    before = table.copy()
    suppress_providers(table, 6)
    pd.testing.assert_frame_equal(table, before)


def test_the_real_columns_of_profiles_are_hidden_too() -> None:
    frame = episode_frame(900, providers=5)
    compared = frame["period"] == "2022"
    few = frame[compared & (frame["provider_id"] == "H04")].index[4:]
    study = make_study()
    profiles: Profiles = profile_providers(expectations_of(frame.drop(index=few), study), study)
    shown = suppress_providers(profiles.table, 6)
    hidden = shown[shown["suppression"] == SUPPRESSED]
    assert "H04" in set(hidden["provider_id"])
    assert hidden["provider_id"].nunique() == 2
    texts = ["note", "flag_moved_by", "flag_holds_under", "peer_group"]
    assert (hidden[texts] == "").all(axis=None)
    assert hidden.drop(columns=[*KEYS, *texts], errors="ignore").isna().all(axis=None)


ORIGIN = {
    "study": {"digest": "5"}, "data": [], "code": {"version": "0", "digest": "c"}, "seed": 1,
    "environment": {"python": "3", "packages": {}}, "stages": [], "created": "now",
}  # fmt: skip
OTHERS = {"methods": ["nhs_england", "fixed_effects"], "limits": ["nominal", "additive"]}


def hidden_of(found: Findings) -> set[str]:
    rows = found.providers
    return set(rows.loc[rows["suppression"] == SUPPRESSED, "provider_id"])


def small_world() -> tuple[OutcomeResults, Study]:
    """Return the results of five providers, the last with four episodes, and their study."""
    frame = episode_frame(900, providers=5)
    compared = frame["period"] == "2022"
    few = frame[compared & (frame["provider_id"] == "H04")].index[4:]
    study = make_study(profile__sensitivity=OTHERS, profile__labels="cms")
    casemix = casemix_of(frame.drop(index=few), study)
    expectations = cross_fit(casemix, study)
    profiles = profile_providers(expectations, study)
    evaluation = evaluate(expectations, study.report.subgroups)
    return OutcomeResults(casemix, expectations, evaluation, profiles, None), study


def test_hidden_providers_are_in_no_analysis_even_when_hidden_for_anothers_sake() -> None:
    results, study = small_world()
    found = build_findings(study, [results], ORIGIN)
    hidden = hidden_of(found)
    assert len(hidden) == 2
    assert hidden & set(results.profiles.analyses["provider_id"]), "one of them was compared"
    assert not hidden & set(found.analyses["provider_id"])
    assert found.analyses.groupby("provider_id").size().tolist() == 3 * [2 * 4]


def test_hidden_providers_are_in_no_file_but_by_name_in_their_own_row() -> None:
    results, study = small_world()
    found = build_findings(study, [results], ORIGIN)
    figures = draw_figures(found)
    assert "sensitivity_ohs.svg" in figures
    everything = json.dumps(build_card(found)) + "".join(figures.values())
    assert not [one for one in hidden_of(found) if one in everything]


def test_a_hidden_provider_has_the_programmes_own_word_for_too_few() -> None:
    results, study = small_world()
    providers = build_findings(study, [results], ORIGIN).providers
    hidden = providers["suppression"] == SUPPRESSED
    too_few = flag_labels("cms", study.profile.levels).too_few
    assert set(providers.loc[hidden, "flag"]) == {too_few}
    assert "Insufficient records" not in set(providers["flag"])


def subgroups(*sizes: int) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "outcome": "ohs",
            "learner": "a",
            "column": "sex",
            "level": [f"l{one}" for one in range(len(sizes))],
            "n": sizes,
            "difference": 0.5,
        }
    )


@pytest.mark.parametrize(
    ("sizes", "shown"),
    [((3, 40, 80), [80]), ((3, 4, 80), [80]), ((6, 40), [6, 40]), ((3, 40), []), ((2,), [])],
)
def test_small_subgroups_are_blank_and_never_just_one(
    sizes: tuple[int, ...], shown: list[int]
) -> None:
    table = suppress_subgroups(subgroups(*sizes), 6)
    assert table["n"].dropna().tolist() == shown
    assert table["difference"].notna().tolist() == table["n"].notna().tolist()
    assert table["level"].notna().all()


def test_subgroups_of_different_columns_do_not_hide_one_another() -> None:
    table = pd.concat([subgroups(3, 4, 90), subgroups(40, 50).assign(column="asa")])
    shown = suppress_subgroups(table.reset_index(drop=True), 6)
    assert shown.query("column == 'asa'")["n"].tolist() == [40, 50]


def test_no_subgroups_stay_none() -> None:
    assert suppress_subgroups(subgroups(), 6).empty


@pytest.mark.parametrize("below", [1, 6])
def test_tables_by_provider_lose_the_rows_of_hidden_ones(below: int) -> None:
    shown = suppress_providers(providers([3, 4, 200]), below)
    features = shown[["outcome", "learner", "provider_id"]].assign(contribution=1.0)
    kept: Any = set(keep_shown(features, shown, below)["provider_id"])
    assert kept == ({"P2"} if below == 6 else {"P0", "P1", "P2"})


def test_what_is_hidden_together_is_not_small_either() -> None:
    shown = suppress_providers(providers([1, 1, 3, 8, 200]), 6)
    hidden = shown["suppression"] == "all"
    assert hidden.tolist() == 2 * [True, True, True, True, False]


def test_contributions_of_few_records_stay_whatever_is_counted() -> None:
    table = providers([9, 40, 200], [3, 40, 200])
    shown = suppress_providers(table, 6, by="episodes")
    assert shown["suppression"].tolist()[0] != "all"
    features = shown[["outcome", "learner", "provider_id"]].assign(contribution=1.0)
    kept = set(keep_shown(features, shown, 6)["provider_id"])
    assert kept == {"P1", "P2"}


# --- rounding -------------------------------------------------------------------------------------


@pytest.mark.parametrize("base", [2, 5, 10])
@settings(max_examples=30, deadline=None)
@given(counts=st.lists(st.integers(0, 10**6), min_size=1))
def test_rounded_counts_are_multiples_near_what_they_were(base: int, counts: list[int]) -> None:
    table = rounded_table(pd.DataFrame({"n": counts}), base)
    away = (table["n"] - pd.Series(counts)).abs()
    assert (table["n"] % base == 0).all()
    assert (away[pd.Series(counts) >= base] <= base / 2).all()
    assert ((table["n"] == 0) == (pd.Series(counts) == 0)).all()


def test_hidden_counts_stay_hidden_and_rates_follow_from_rounded_ones() -> None:
    table = pd.DataFrame({
        "q1": pd.array([38, None], dtype="Int64"), "procedures": pd.array([52, 41], dtype="Int64"),
        "participation": [38 / 52, np.nan], "z": [-1.23456, np.nan], "rank": pd.array([3, 4]),
    })  # fmt: skip
    found = rounded_table(table, 5)
    assert found["q1"].tolist() == [40, pd.NA]
    assert found["procedures"].tolist() == [50, 40]
    assert found["participation"].tolist()[0] == 0.8
    assert found["z"].tolist()[0] == -1.23
    assert found["rank"].tolist() == [3, 4]
    assert found[["participation", "z"]].isna().iloc[1].all()


def test_every_count_of_findings_is_rounded_where_the_study_asks_and_the_card_says_so() -> None:
    results, study = small_world()
    study = study.model_copy(update={"report": Report(round_counts_to=5)})
    origin = ORIGIN | {"data": [{"name": "a", "digest": "0", "rows": 903}]}
    found = build_findings(study, [results], origin)
    for name, value in vars(found).items():
        for column in PATIENTS & set(value) if isinstance(value, pd.DataFrame) else ():
            counts = pd.to_numeric(value[column]).dropna()
            assert (counts % 5 == 0).all(), f"{name}.{column}"
    assert found.metrics["ohs"]["linear"]["n"] % 5 == 0
    assert found.provenance["data"][0]["rows"] == 905
    exact = build_findings(small_world()[1], [results], ORIGIN)
    assert hidden_of(found) == hidden_of(exact)
    card = json.dumps(build_card(found))
    assert "Rounded: numbers of patients are multiples of 5" in card
    assert "Rounded:" not in json.dumps(build_card(exact))


def test_figures_keep_three_digits_where_counts_are_rounded() -> None:
    results, study = small_world()
    study = study.model_copy(update={"report": Report(round_counts_to=5)})
    shown = build_findings(study, [results], ORIGIN).providers["observed"].dropna()
    assert [float(f"{one:.3g}") for one in shown] == shown.tolist()


# --- what one table tells of another --------------------------------------------------------------


def test_a_third_that_holds_one_hidden_provider_is_not_shown() -> None:
    profiled = providers([4, 30, 80]).assign(n=[4, 30, 80] * 2)
    shown = suppress_providers(profiled, 6)
    thirds = pd.DataFrame({"outcome": "ohs", "learner": ["a"] * 3 + ["b"] * 3, "column": VOLUME,
                           "level": [*VOLUMES] * 2, "n": [4, 30, 80] * 2})  # fmt: skip
    assert suppress_thirds(thirds, profiled, shown, 6)["n"].isna().all()
    large = suppress_providers(profiled, 3)
    assert suppress_thirds(thirds, profiled, large, 3)["n"].notna().all()


def test_who_is_hidden_among_rates_is_hidden_in_every_outcome_and_in_the_analysis() -> None:
    names = [ALL, "P0", "P1", "P2", "P3"]
    counts = {"procedures": [300, 60, 70, 80, 90], "q1": [300, 60, 70, 80, 90],
              "q2_returned": [203, 3, 50, 70, 80], "answered": [203, 3, 50, 70, 80]}  # fmt: skip
    one = pd.DataFrame({"provider_id": names, "source": "episodes", "counted": ""} | counts)
    other = one.assign(q2_returned=one["q1"], answered=one["q1"])
    table = pd.concat([one.assign(outcome="ohs"), other.assign(outcome="eq5d")], ignore_index=True)
    table = table.reindex(columns=RATE_COLUMNS).astype(dict.fromkeys(counts, float))
    records = {"ohs": [3, 50, 70, 80], "eq5d": [60, 70, 80, 90]}
    profiled = [providers(records["eq5d"], n).assign(outcome=one) for one, n in records.items()]
    shown = suppress_rates(table, suppress_providers(pd.concat(profiled, ignore_index=True), 6), 6)
    hidden = shown[shown["q1"].isna()]
    assert hidden.groupby("outcome")["provider_id"].agg(list).tolist() == 2 * [["P0", "P1"]]
    analysis = pd.DataFrame({"outcome": "ohs", "provider_id": names[1:], "answered": 1})
    assert keep_rated(analysis, shown)["provider_id"].tolist() == ["P2", "P3"]


def test_a_provider_of_few_records_and_hardly_more_episodes_is_hidden_everywhere() -> None:
    both = providers([7, 9, 200], [5, 9, 200])
    cost = providers([7, 9, 200]).assign(outcome="cost")
    shown = suppress_providers(pd.concat([both, cost], ignore_index=True), 6)
    hidden = shown[shown["suppression"] == SUPPRESSED]
    assert hidden.groupby("outcome")["provider_id"].agg(set).tolist() == 2 * [{"P0", "P1"}]


def test_changes_of_records_that_few_patients_allow_do_not_leave() -> None:
    gaming = pd.DataFrame({
        "action": ["code", "code_any", "code", "drop_worst"], "patients": [3, 298, 120, 1],
        "share": [0.01, 298 / 300, 0.4, 1.0],
        "done_to": [*3 * ["every patient it can be done to"], "one patient"],
    })  # fmt: skip
    assert suppress_gaming(gaming, 6)["patients"].tolist() == [120, 1]


def test_few_answers_may_show_where_a_study_counts_episodes_and_then_hide_nobody_else() -> None:
    counted = {"q1": [60, 7, 30, 23], "answered": [49, 4, 24, 21]}
    rates = pd.DataFrame({"outcome": "ohs", "source": "episodes", "counted": "",
                          "provider_id": ["(all)", "A", "B", "C"]} | counted)  # fmt: skip
    rates = rates.reindex(columns=RATE_COLUMNS)
    of_each = {"n": [4, 24, 21], "episodes": [7, 30, 23], "suppression": ""}
    named = pd.DataFrame(
        {"outcome": "ohs", "learner": "linear", "provider_id": ["A", "B", "C"]} | of_each
    )
    shown = suppress_rates(rates, named, 6, "episodes")
    assert shown["answered"].tolist() == [49, 4, 24, 21]
    assert suppress_rates(rates, named, 6)["answered"].isna().any()
    few = rates.assign(q1=[60, 5, 32, 23])
    assert suppress_rates(few, named, 6, "episodes")["q1"].isna().sum() >= 2
