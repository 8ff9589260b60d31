"""Variation by window and component: its sums, what is left out, its words, figure and folder."""

import json
import re
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from window_worlds import WINDOWS, costly, study_of
from worlds import as_episodes

from riskadj.casemix import choose_casemix
from riskadj.cohort import select_cohort
from riskadj.digest import digest_of_file
from riskadj.errors import (
    ColumnError,
    EmptyCohortError,
    OutputError,
    StudyError,
    TooFewProvidersError,
    ValuesError,
)
from riskadj.expected.windows import COMPONENTS, cost_columns, expect_windows
from riskadj.profile.windows import TOTAL, WINDOW_COLUMNS, vary_by_window
from riskadj.report.windows import answer, by_component, by_window, figure, text, write_windows

PROVENANCE = {
    "study": {"digest": "1" * 64},
    "data": [],
    "code": {"digest": "2" * 64},
    "stages": [{"stage": "read", "digest": "0" * 64, "seconds": 0.1}],
}


def costs_of(frame, study=None):
    study = study or study_of()
    outcome = study.outcomes[0]
    whole = outcome.model_copy(update={"winsorise": None})
    casemix = choose_casemix(select_cohort(as_episodes(frame), study, whole), study)
    return expect_windows(casemix, study, outcome)


@pytest.fixture(scope="module")
def costs():
    return costs_of(costly())


@pytest.fixture(scope="module")
def found(costs):
    return vary_by_window(costs, study_of(), 200)


def test_what_is_expected_sums_to_what_was_observed_part_by_part(costs):
    np.testing.assert_allclose(costs.expected.sum(axis=1), costs.observed.sum(axis=1), rtol=1e-9)
    assert (costs.expected > 0).all()


def test_parts_with_zeros_are_expected_in_two_parts_and_rare_ones_by_the_total(costs):
    ways = {name: costs.how[90, name] for name in COMPONENTS}
    assert ways == {
        "index": "learner", "readmit": "two_part", "postacute": "two_part",
        "outpatient": "two_part", "professional": "learner",
    }  # fmt: skip
    frame = costly(windows=(90,))
    some = frame.index[frame["cost_readmit_90d"] > 0]
    lost = frame.loc[some[30:], "cost_readmit_90d"]
    frame.loc[some[30:], "cost_readmit_90d"] = 0
    frame.loc[some[30:], "cost_total_90d"] -= lost
    rare = costs_of(frame)
    assert rare.how[90, "readmit"] == "total"
    share = rare.expected[0, :, 1] / rare.expected[0].sum(axis=1)
    assert share.max() < 1.6 * share.min()


def test_a_part_that_nobody_has_carries_nothing():
    frame = costly(windows=(90,))
    frame["cost_total_90d"] -= frame["cost_readmit_90d"]
    frame["cost_readmit_90d"] = 0.0
    row = vary_by_window(costs_of(frame), study_of(), 100).row(90, "readmit")
    assert row[["mean", "between_sd", "share_of_variance", "gap"]].tolist() == [0, 0, 0, 0]
    assert np.isnan(row["cv"])


def test_the_columns_are_those_that_are_documented(found):
    assert tuple(found.table.columns) == WINDOW_COLUMNS
    assert found.table["component"].tolist() == [*COMPONENTS, TOTAL] * len(WINDOWS)


@pytest.mark.parametrize(
    "name", ["mean", "share_of_variance", "variance_added", "quintile_1", "quintile_5", "gap",
             "relative_gap", "gap_by_longest"],
)  # fmt: skip
def test_components_add_up_to_the_total(found, name):
    for days in WINDOWS:
        rows = found.table[found.table["window"] == days].set_index("component")[name]
        assert rows.drop(TOTAL).sum() == pytest.approx(rows[TOTAL])


def test_what_windows_add_sums_to_all(found):
    totals = found.table[found.table["component"] == TOTAL]
    assert totals["variance_added"].sum() == pytest.approx(1)
    assert totals["share_of_variance"].tolist() == [1, 1]


def test_fifths_are_ranked_by_observed_over_expected(costs, found):
    """By hand, for the total of the longest window."""
    table = pd.DataFrame(
        {"o": costs.observed[1].sum(axis=1), "e": costs.expected[1].sum(axis=1)}
    ).groupby(costs.provider).sum()  # fmt: skip
    ordered = table.assign(ratio=table["o"] / table["e"]).sort_values("ratio")
    mean = costs.observed[1].sum(axis=1).mean()
    low, high = ordered.iloc[:3].sum(), ordered.iloc[-2:].sum()
    row = found.row(90)
    assert row["quintile_1"] == pytest.approx(mean * low["o"] / low["e"])
    assert row["quintile_5"] == pytest.approx(mean * high["o"] / high["e"])


def test_intervals_hold_the_estimate_and_the_known_spread(found):
    true = 0.15 * np.linspace(-1.5, 1.5, 12).std(ddof=1)
    for days in WINDOWS:
        row = found.row(days)
        for name in ("between_sd", "cv", "log_sd", "relative_gap", "relative_gap_beyond_chance"):
            assert row[f"{name}_lower95"] <= row[name] <= row[f"{name}_upper95"]
        assert row["log_sd_lower95"] < true < row["log_sd_upper95"]
        assert row["log_sd"] == pytest.approx(true, rel=0.15)


def test_adjusting_takes_case_mix_out_of_the_comparison():
    frame = costly(effect=0.0)
    order = pd.factorize(frame["provider_id"], sort=True)[0]
    for name in [one for one in frame if one.startswith("cost_")]:
        frame[name] = frame[name] * np.exp(0.03 * order) if "total" not in name else 0.0
    frame["age_years"] = frame["age_years"] + 3 * order
    for days in WINDOWS:
        frame[f"cost_total_{days}d"] = frame[cost_columns(days)].sum(axis=1)
    plain = vary_by_window(costs_of(frame, study_of(casemix__columns=["sex"])), study_of(), 100)
    adjusted = vary_by_window(costs_of(frame), study_of(), 100)
    assert adjusted.row(90)["cv"] < 0.3 * plain.row(90)["cv"]


def test_the_same_seed_gives_the_same_digest_and_another_another(costs, found):
    assert vary_by_window(costs, study_of(), 200).digest == found.digest
    assert vary_by_window(costs, study_of(split__seed=2), 200).digest != found.digest


def test_capping_holds_for_totals_and_takes_as_much_of_every_part():
    frame = costly()
    plain = costs_of(frame)
    capped = costs_of(frame, study_of(cost={"winsorise": {"upper": 0.9}}))
    factor = capped.observed / np.where(plain.observed > 0, plain.observed, np.nan)
    totals = capped.observed.sum(axis=2) / plain.observed.sum(axis=2)
    np.testing.assert_allclose(np.nanmin(factor, axis=2), totals, rtol=1e-9)
    np.testing.assert_allclose(np.nanmax(factor, axis=2), totals, rtol=1e-9)
    assert plain.capped == {}
    lost = 1 - capped.observed.sum(axis=(1, 2)) / plain.observed.sum(axis=(1, 2))
    assert list(capped.capped.values()) == pytest.approx(lost.tolist())
    assert (lost > 0.005).all()


# --- disclosure -----------------------------------------------------------------------------------


def test_providers_with_few_episodes_are_left_out_of_every_figure(costs):
    """Nothing of them is in the table: it is the table of the others alone."""
    counts = pd.Series(costs.provider).value_counts()
    few = counts.index[-2:]
    limit = int(counts.iloc[-3])
    study = study_of(profile__suppress_below=limit, profile__minimum_n=limit)
    found = vary_by_window(costs, study, 100)
    others = ~np.isin(costs.provider, few)
    alone = replace(
        costs, provider=costs.provider[others], observed=costs.observed[:, others],
        expected=costs.expected[:, others],
    )  # fmt: skip
    without = vary_by_window(alone, study_of(), 100)
    assert (found.left_out, found.providers) == (int((counts < limit).sum()), 10)
    pd.testing.assert_frame_equal(found.table, without.table)


def test_no_provider_is_named_in_any_file(costs, found, tmp_path):
    write_windows(found, study_of(), PROVENANCE, tmp_path / "out")
    for path in (tmp_path / "out").iterdir():
        told = path.read_text(encoding="utf-8")
        assert not any(one in told for one in set(costs.provider)), path.name


def test_a_fifth_that_could_be_one_provider_is_not_shown():
    study = study_of()
    found = vary_by_window(costs_of(costly(n=900, providers=9), study), study, 100)
    hidden = found.table.filter(regex="quintile|^gap|^relative_gap(?!_beyond)")
    assert hidden.isna().all(axis=None)
    assert found.row(90)[["cv", "relative_gap_beyond_chance"]].notna().all()
    assert by_window(found)["fifths %"].tolist() == ["-", "-"]
    assert "nor are fifths with fewer than 10 providers" in text(found, study)
    assert "NaN" not in figure(found, study)


def test_fewer_than_five_providers_are_not_compared(costs):
    limit = int(pd.Series(costs.provider).value_counts().iloc[3])
    study = study_of(profile__suppress_below=limit, profile__minimum_n=limit)
    with pytest.raises(TooFewProvidersError, match="wanted 5 providers or more"):
        vary_by_window(costs, study, 100)


# --- words, figure, folder ------------------------------------------------------------------------


def test_the_answer_is_one_sentence_with_the_figures_of_the_table(found):
    told = answer(found)
    assert told.count(". ") == 0
    assert f"{100 * found.row(30)['cv']:.1f} % (" in told
    assert f"{100 * found.row(90)['cv']:.1f} % (" in told
    added = 100 * (1 - found.row(30)["variance_added"])
    assert re.search(rf"add .?{abs(added):.0f} % of it", told)
    share = 100 * found.row(90, "index")["share_of_variance"]
    assert f"the index stay carries {share:.0f} % of the variance" in told


def test_one_window_alone_says_that_there_is_no_longer_one():
    study = study_of()
    found = vary_by_window(costs_of(costly(windows=(90,)), study), study, 100)
    assert "no longer window is in the episodes" in answer(found)
    assert by_window(found)["variance added %"].tolist() == ["100 (100 to 100)"]
    ElementTree.fromstring(figure(found, study))


def test_where_chance_is_all_nothing_more_is_claimed():
    study = study_of()
    for seed in range(20):
        found = vary_by_window(costs_of(costly(n=700, effect=0.0, seed=seed), study), study, 100)
        if found.row(90)["between_sd"] == 0:
            break
    assert "no more than chance" in answer(found)
    assert set(by_component(found)["90"]) == {"-"}
    assert "NaN" not in figure(found, study)
    ElementTree.fromstring(figure(found, study))


def test_tables_fit_eighty_columns(found):
    for table in (by_window(found), by_component(found, bounds=False)):
        widths = [max(len(name), table[name].str.len().max()) for name in table]
        assert sum(widths) + 2 * len(widths) <= 78


def test_the_figure_holds_every_component_and_window(found):
    drawn = figure(found, study_of())
    ElementTree.fromstring(drawn)
    for told in ("index stay", "readmission", "post-acute care", "outpatient", "professional",
                 "beyond chance", "days of the window"):  # fmt: skip
        assert told in drawn
    assert drawn == figure(found, study_of())


def test_the_text_says_how_it_was_done(found):
    study = study_of(cost={"winsorise": {"upper": 0.95}})
    told = text(vary_by_window(costs_of(costly(), study), study, 100), study)
    assert "by the chance of any and the mean of some: readmission" in told
    assert "Totals are capped as the study says; that leaves out" in told
    assert "Totals are capped" not in text(found, study_of())
    assert "From day 30 to day 90 the standard deviation" in told
    tables = re.findall(r"(?:^\|.*\n)+", told, re.M)
    assert [len(one.splitlines()) - 2 for one in tables] == [2, 5, 12]
    for one in tables:
        assert len({row.count("|") for row in one.splitlines()}) == 1


def test_every_file_is_in_the_provenance_and_an_earlier_comparison_is_replaced(found, tmp_path):
    out = tmp_path / "out"
    for _ in range(2):
        write_windows(found, study_of(), PROVENANCE, out)
    names = sorted(one.name for one in out.iterdir())
    kinds = ("csv", "html", "json", "md", "svg")
    assert names == ["provenance.json", *(f"windows.{one}" for one in kinds)]
    listed = json.loads((out / "provenance.json").read_bytes())
    assert sorted([*listed["files"], "provenance.json"]) == names
    assert all(digest_of_file(out / one) == digest for one, digest in listed["files"].items())
    assert listed["windows"] == json.loads((out / "windows.json").read_bytes())["digest"]
    assert len(pd.read_csv(out / "windows.csv")) == len(found.table)


@pytest.mark.parametrize("inside", [".", "figures"])
def test_the_folder_of_something_else_is_never_written_into(found, tmp_path, inside):
    (tmp_path / "provenance.json").write_text('{"files": {}}', encoding="utf-8")
    with pytest.raises(OutputError, match="a folder of its own"):
        write_windows(found, study_of(), PROVENANCE, tmp_path / inside)
    assert [one.name for one in tmp_path.iterdir()] == ["provenance.json"]


# --- refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "error", "told"),
    [
        (lambda one: one.drop(columns="cost_index"), ColumnError, "the total and every component"),
        (lambda one: one.assign(cost_index=np.nan), EmptyCohortError, "every cost to day 90"),
        (lambda one: one.assign(cost_index=one["cost_index"] + 1), ValuesError, "the sum of"),
        (
            lambda one: one.assign(
                cost_readmit_90d=-1.0,
                cost_total_90d=one["cost_total_90d"] - one["cost_readmit_90d"] - 1,
            ),
            ValuesError,
            "cost_readmit: wanted 0 or more",
        ),
    ],
)
def test_costs_that_cannot_be_compared_are_refused(change, error, told):
    with pytest.raises(error, match=told):
        costs_of(change(costly(n=600)))


def test_episodes_without_a_window_are_left_out_and_counted():
    frame = costly(n=1200)
    lost = frame.index[frame["period"] == "2022"][:9]
    frame.loc[lost, "cost_postacute_30d"] = np.nan
    assert costs_of(frame).incomplete == 9


def test_too_few_replicates_are_refused(costs):
    with pytest.raises(StudyError, match="100 or more; got 50"):
        vary_by_window(costs, study_of(), 50)
