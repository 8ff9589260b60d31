"""The card's section on social circumstances, and its figure."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from findings_example import example_findings, example_study
from worlds import episode_frame, expectations_of, make_study, typed

from riskadj.fairness.social import adjust_socially
from riskadj.report.card.sections.social import social
from riskadj.report.charts.graded import DOWN, UP, graded_curve
from riskadj.report.figures import draw_figures, figure_descriptions

RULES = {
    "groups": ["sex"],
    "social": {"columns": ["living_arrangements"]},
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
    found = adjust_socially(expectations, study)
    return replace(
        example_findings(example_study(fairness=RULES)),
        social=found.social,
        graded=found.graded,
        social_slopes=found.slopes,
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
    rows = tables(findings)["Providers under each way"]["rows"]
    assert len(rows) == 8
    assert [row[2] for row in rows if row[3] == "yes"] == ["none: case mix alone"] * 2
    whole = findings.social[(findings.social["stratum"] == "") & findings.social["z"].notna()]
    for outcome, learner, words, _, compared, better, worse, moved in rows:
        mode = words.split(":")[0].replace(" ", "_")
        mine = whole[(whole["learner"] == learner) & (whole["mode"] == mode)]
        none = whole[(whole["learner"] == learner) & (whole["mode"] == "none")]
        flags = mine.set_index("provider_id")["flag"]
        assert outcome == "ohs"
        assert compared == len(mine)
        assert better == flags.str.startswith("Positive").sum()
        assert worse == flags.str.startswith("Negative").sum()
        assert moved == (flags != none.set_index("provider_id")["flag"].loc[flags.index]).sum()


def test_slopes_are_shown_with_intervals_and_factors_in_words(findings):
    title = "What social factors do: within providers, and between them"
    slopes = findings.social_slopes.copy()
    slopes.loc[0, ["between_lower95", "between_upper95"]] = np.nan
    gap = slopes.iloc[:1].assign(factor="living_arrangements (not recorded)")
    changed = replace(findings, social_slopes=pd.concat([slopes, gap]))
    found = tables(changed)[title]
    assert [row[2] for row in found["rows"]] == [
        *["living arrangements: alone"] * 2, "living arrangements: not recorded",
    ]  # fmt: skip
    first, second, _ = found["rows"]
    assert first[5] is None
    assert found["columns"][5]["missing"] == "too few providers"
    for within in (*first[3:5], *second[3:6]):
        assert within[1] < within[0] < within[2]
    assert first[6:] == [int(slopes["n"].iloc[0]), 30]


def test_a_result_whose_flag_changes_has_its_episodes_and_an_interval(findings):
    title = next(one for one in tables(findings) if "hangs on how far" in one)
    given = findings.graded.set_index(["learner", "provider_id", "lambda"])
    for name, learner, n, *_, none, full in tables(findings)[title]["rows"]:
        for share, shown in ((0.0, none), (1.0, full)):
            row = given.loc[(learner, name, share)]
            assert shown == list(row[["adjusted", "ci_lower95", "ci_upper95"]])
            assert n == row["n"]


def test_a_study_that_adjusts_for_a_social_factor_has_a_way_of_its_own(findings):
    extra = findings.social[findings.social["mode"] == "adjust"].assign(mode="study", own=True)
    both = pd.concat([findings.social.assign(own=False), extra])
    rows = tables(replace(findings, social=both))["Providers under each way"]["rows"]
    assert [row[2] for row in rows if row[3]] == ["as the study has it: in the case mix"] * 2


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


def test_where_no_flag_hangs_on_it_that_is_said(findings):
    still = findings.graded.assign(flag_changes_at=np.nan)
    said = [one["text"] for one in social(replace(findings, graded=still)) if "text" in one]
    assert any("no flag hangs on how far circumstances are adjusted" in one for one in said)
