"""The card's sections on being fair to named groups and on what is recorded: n, interval, words."""

from dataclasses import replace

import numpy as np
import pytest
from findings_example import example_findings, example_study
from worlds import episode_frame, expectations_of, make_study, typed

from riskadj.fairness.fair import LEARNER, MODELS, adjust_fairly
from riskadj.fairness.gaming import Price, gaming_sensitivity
from riskadj.report.card.sections.fair import fair
from riskadj.report.card.sections.gaming import gaming

RULES = {"groups": ["sex"], "fair": {"groups": ["living_arrangements"], "learner": "lightgbm"}}
CASEMIX = {"columns": ["age_years", "comorb_*", "q1_score_ohs"], "allow_provider_influenced": False}
FITS = "Oxford Hip Score (ohs), points: fit of fair regressions"


@pytest.fixture(scope="module")
def findings():
    frame = episode_frame(2_400, providers=12, seed=9)
    frame.loc[::6, "q2_score_ohs"] = np.nan
    study = make_study(fairness=RULES, casemix=CASEMIX)
    expectations = expectations_of(typed(frame), study)
    return replace(
        example_findings(example_study(fairness=RULES)),
        fair=adjust_fairly(expectations, study).fair,
        gaming=gaming_sensitivity(expectations, study, Price(5.0, "GBP")),
    )


def tables(blocks):
    return {one["caption"]: one for one in blocks if one["kind"] == "table"}


def said(blocks, kind="paragraph"):
    return [one["text"] for one in blocks if one["kind"] == kind]


def test_a_study_that_asks_for_neither_has_no_such_section():
    assert [*fair(example_findings()), *gaming(example_findings())] == []


# --- being fair to groups ---


def test_a_group_whose_rows_are_all_hidden_has_a_fit_and_no_table_of_its_own(findings):
    whole = findings.fair[findings.fair["group"] == "(all)"]
    assert list(tables(fair(replace(findings, fair=whole)))) == [FITS]


def test_fair_regressions_show_n_and_intervals_in_words(findings):
    found = tables(fair(findings))
    fits, whole = found[FITS], findings.fair[findings.fair["group"] == "(all)"]
    names = ["learner alone", *(one.replace("_", " ") for one in MODELS)]
    assert [row[:2] for row in fits["rows"]] == [["boosted trees", one] for one in names]
    assert [row[2] for row in fits["rows"]] == list(whole["n"])
    assert [row[3] for row in fits["rows"]] == [12] * 5
    assert all(len(row[4]) == 3 for row in fits["rows"])
    assert fits["rows"][0][5] is None


def test_every_model_has_intervals_for_every_group_and_the_one_sign(findings):
    found = tables(fair(findings))
    (title,) = (one for one in found if "observed \N{MINUS SIGN} expected" in one)
    rows = found[title]["rows"]
    assert [row[2] for row in rows] == ["yes"] * 3 + [""] * 2
    wanted = findings.fair.set_index(["model", "level"])
    for row in rows:
        assert row[3] == wanted.loc[(LEARNER, row[1]), "n"]
        for model, cell in zip([LEARNER, *MODELS], row[4:], strict=True):
            one = wanted.loc[(model, row[1])]
            assert cell == pytest.approx([one["mean_residual"], one["lower95"], one["upper95"]])


@pytest.mark.parametrize(("upper", "chance"), [(-0.01, False), (0.02, True)])
def test_a_model_that_is_worse_than_the_mean_is_warned_of(findings, upper, chance):
    assert said(fair(replace(findings, fair=findings.fair.assign(r2=0.1))), "warning") == []
    worse = findings.fair.copy()
    blind = (worse["model"] == "fair_blind") & (worse["group"] == "(all)")
    worse.loc[blind, ["r2", "r2_lower95", "r2_upper95"]] = [-0.05, -0.1, upper]
    (words,) = said(fair(replace(findings, fair=worse)), "warning")
    assert "fair blind has an R\N{SUPERSCRIPT TWO} below 0, \N{MINUS SIGN}0.050" in words
    assert ("may be chance" in words) == chance


# --- what is recorded ---


def worth_of(findings):
    return next(
        one for name, one in tables(gaming(findings)).items() if "records are worth" in name
    )


def test_every_figure_of_a_change_has_an_interval_and_its_patients(findings):
    shown = worth_of(findings)
    labels = [one["label"] for one in shown["columns"]]
    assert labels == [
        "Learner", "Change", "Patients", "Of all", "Per patient, points", "Adjusted gain", "z",
        "Money, GBP",
    ]  # fmt: skip
    rows = findings.gaming[findings.gaming["action"] != "drop_silent"]
    assert len(shown["rows"]) == len(rows)
    for row, one in zip(shown["rows"], rows.to_dict("records"), strict=True):
        assert row[2] == one["patients"]
        assert row[4] == pytest.approx([one["per_patient"], one["lower95"], one["upper95"]])
        assert all(low < middle < high for middle, low, high in row[4:])
    assert "limits of flags by z are at 1.96 and 3.09, either side of 0" in shown["notes"][0]
    words = {row[1] for row in shown["rows"]}
    assert "one more condition recorded: heart disease" in words
    assert not any("_" in one for row in shown["rows"] for one in row[:2])


def test_one_who_did_not_answer_is_a_sentence_with_its_interval(findings):
    (told,) = [one for one in said(gaming(findings)) if "did not answer" in one]
    row = findings.gaming[findings.gaming["action"] == "drop_silent"].iloc[0]
    assert f"({row['patients']} did not)" in told
    ends = [f"{100 * row[f'response{one}95']:.2f}" for one in ("_lower", "_upper")]
    assert f"({ends[0]} to {ends[1]}) percentage points" in told


def test_money_is_shown_only_where_a_price_was_given(findings):
    unpaid = replace(findings, gaming=findings.gaming.assign(money=np.nan))
    labels = [one["label"] for one in worth_of(unpaid)["columns"]]
    assert labels[-1] == "z"


def test_a_learner_without_intervals_is_apart_and_says_why(findings):
    without = findings.gaming.copy()
    without.loc[without["learner"] == "linear", "groups"] = 0
    found = tables(gaming(replace(findings, gaming=without)))
    (title,) = (one for one in found if one.endswith("without intervals"))
    assert {row[0] for row in found[title]["rows"]} == {"the linear model"}
    assert all(not isinstance(one, list) for row in found[title]["rows"] for one in row)
    assert found[title]["notes"][1].startswith("No intervals:")
