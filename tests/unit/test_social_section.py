"""The card's section on social circumstances, fair regressions and records, and its figure."""

from dataclasses import replace

import numpy as np
import pytest
from findings_example import example_findings, example_study
from worlds import episode_frame, expectations_of, make_study, typed

from riskadj.fairness.fair import adjust_fairly
from riskadj.fairness.gaming import Price, gaming_sensitivity
from riskadj.fairness.social import adjust_socially
from riskadj.report.card.sections.social import social
from riskadj.report.charts.graded import DOWN, UP, graded_curve
from riskadj.report.figures import draw_figures, figure_descriptions

RULES = {
    "groups": ["sex"],
    "social": {"columns": ["living_arrangements"], "mode": "stratify"},
    "fair": {"groups": ["living_arrangements"], "learner": "lightgbm"},
    "gaming": True,
}


def frame():
    """Those who live alone do worse, and are unevenly spread over 30 providers."""
    rng = np.random.default_rng(9)
    one = episode_frame(3_600, seed=9)
    provider = rng.integers(30, size=len(one))
    alone = rng.random(len(one)) < provider / 32
    after = 34 - 6.0 * alone + rng.normal(0, 5, len(one))
    return typed(
        one.assign(
            provider_id=[f"H{name:02d}" for name in provider],
            living_arrangements=np.where(alone, "alone", "with_family"),
            q2_score_ohs=after.clip(0, 48),
        )
    )


@pytest.fixture(scope="module")
def findings():
    study = make_study(
        fairness=RULES,
        casemix={
            "columns": ["age_years", "sex", "comorb_*", "q1_score_ohs"],
            "allow_provider_influenced": False,
        },
    )
    expectations = expectations_of(frame(), study)
    found, fair = adjust_socially(expectations, study), adjust_fairly(expectations, study)
    return replace(
        example_findings(example_study(fairness=RULES)),
        social=found.social,
        graded=found.graded,
        social_slopes=found.slopes,
        fair=fair.fair,
        gaming=gaming_sensitivity(expectations, study, Price(5.0, "GBP")),
        fairness_told=("ohs: something was left out.",),
    )


def tables(findings):
    return {one["caption"]: one for one in social(findings) if one["kind"] == "table"}


def test_a_study_that_asks_for_none_of_it_has_no_section():
    assert [*social(example_findings())] == []


def test_what_could_not_be_done_is_told_first(findings):
    first = next(iter(social(findings)))
    assert first == {"kind": "warning", "text": "ohs: something was left out."}


def test_modes_are_counted_as_their_flags_are(findings):
    rows = tables(findings)["Providers under each of the four ways"]["rows"]
    assert len(rows) == 8
    whole = findings.social[(findings.social["stratum"] == "") & findings.social["z"].notna()]
    for outcome, learner, words, compared, better, worse, moved in rows:
        mode = words.split(":")[0].replace(" ", "_")
        mine = whole[(whole["learner"] == learner) & (whole["mode"] == mode)]
        none = whole[(whole["learner"] == learner) & (whole["mode"] == "none")]
        flags = mine.set_index("provider_id")["flag"]
        assert outcome == "ohs"
        assert compared == len(mine)
        assert better == flags.str.startswith("Positive").sum()
        assert worse == flags.str.startswith("Negative").sum()
        assert moved == (flags != none.set_index("provider_id")["flag"].loc[flags.index]).sum()


def test_providers_whose_flag_changes_are_named_and_drawn(findings):
    outcome = findings.study.outcomes[0]
    curve = graded_curve(findings, outcome, "linear")
    assert len(curve.changing) > 3
    title = next(one for one in tables(findings) if "hangs on how far" in one)
    named = [row[0] for row in tables(findings)[title]["rows"] if row[1] == "linear"]
    assert named == list(curve.changing.index)
    drawn = draw_figures(findings)
    svg = drawn["graded_ohs_linear.svg"]
    assert UP in svg
    assert DOWN in svg
    words = figure_descriptions(findings, "graded", outcome)["linear"]
    assert f"The flags of {len(curve.changing)} change" in words
    assert "graded_eq5d_linear.svg" not in drawn


def test_better_is_up_whatever_the_sign(findings):
    curve = graded_curve(findings, findings.study.outcomes[0], "linear")
    up = curve.changing["moved"] > 0
    wide = curve.wide.loc[curve.changing.index]
    assert ((wide[1.0] > wide[0.0]) == up).all()


def test_fair_regressions_show_their_price_and_who_else_moves(findings):
    found = tables(findings)
    fits = found["Oxford Hip Score (ohs), points: fit of fair regressions"]["rows"]
    assert [row[1] for row in fits] == [*dict.fromkeys(findings.fair["model"])]
    assert fits[0][3] is None
    nets = found[
        "Oxford Hip Score (ohs), points: expected \N{MINUS SIGN} observed, groups named and others"
    ]
    assert [row[2] for row in nets["rows"]] == ["yes", "yes", "", ""]
    assert {row[0] for row in nets["rows"][2:]} == {"sex"}


def test_money_is_shown_only_where_a_price_was_given(findings):
    title = next(one for one in tables(findings) if "what records are worth" in one)
    labels = [one["label"] for one in tables(findings)[title]["columns"]]
    assert labels[-1] == "Money, GBP"
    unpaid = replace(findings, gaming=findings.gaming.assign(money=np.nan))
    labels = [one["label"] for one in tables(unpaid)[title]["columns"]]
    assert "Money, GBP" not in labels


def test_where_no_flag_hangs_on_it_that_is_said(findings):
    still = findings.graded.assign(flag_changes_at=np.nan)
    said = [one["text"] for one in social(replace(findings, graded=still)) if "text" in one]
    assert any("no flag hangs on how far circumstances are adjusted" in one for one in said)
