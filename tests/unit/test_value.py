"""Values: what a provider is called, what may leave of it, and what figure and card make of it."""

import dataclasses
import re

import numpy as np
import pandas as pd
import pytest
from findings_example import example_findings
from worlds import OUT_OF_FOLD, as_episodes, episode_frame, make_study

from riskadj.casemix import choose_casemix
from riskadj.cohort import select_cohort
from riskadj.errors import ArrayError, InSampleError, StudyError
from riskadj.expected import cross_fit
from riskadj.report.card.card import build_card
from riskadj.report.card.sections.value import value as section
from riskadj.report.charts.value import CLASS_STYLES, MOST_REGIONS, value_planes
from riskadj.report.disclosure import suppress_value
from riskadj.report.figures import _KINDS, _draw
from riskadj.value import CLASSES, NOT_COMPARED, classify, profile_value
from riskadj.value.classes import QUARTERS, chances_of_sides
from riskadj.value.profile import CHANCE_COLUMNS, VALUE_COLUMNS

COST = {"name": "cost", "kind": "cost", "column": "cost_total_90d", "currency": "SEK",
        "price_year": 2023}  # fmt: skip
OUTCOMES = [{"name": "ohs", "instrument": "OHS", "kind": "gain"}, COST]
VALUE = {"outcome": "ohs", "cost": "cost", "replicates": 100}
ONE = [{"kind": "linear"}]


def study_of(**changes):
    return make_study(**{"outcomes": OUTCOMES, "learners": ONE, "value": VALUE, **OUT_OF_FOLD}
                      | changes)  # fmt: skip


def episodes_of(providers=12, n=1800, small=()):
    """Return episodes of providers, the first of which is better and cheaper by far."""
    rng = np.random.default_rng(5)
    frame = episode_frame(n, providers)
    code = frame["provider_id"].str[1:].astype(int)
    first = (code == 0).to_numpy()
    gain = np.where(first, 8.0, -0.5 * code.to_numpy())
    frame["q2_score_ohs"] = np.clip(frame["q2_score_ohs"] + gain, 0, 48).round()
    ratio = np.where(first, 0.5, np.exp(0.1 * rng.normal(size=providers))[code])
    frame["cost_total_90d"] = 9000 * ratio * rng.gamma(4, 1 / 4, n)
    keep = ~frame["provider_id"].isin(small) | (np.arange(n) % 20 == 0)
    return frame[keep].reset_index(drop=True)


def expectations(frame, study):
    episodes = as_episodes(frame)
    return [
        cross_fit(choose_casemix(select_cohort(episodes, study, one), study), study)
        for one in study.outcomes
    ]


@pytest.fixture(scope="module")
def study():
    return study_of()


@pytest.fixture(scope="module")
def frame():
    return episodes_of(small=("H05",))


@pytest.fixture(scope="module")
def both(frame, study):
    return expectations(frame, study)


@pytest.fixture(scope="module")
def values(both, study):
    return profile_value(*both, study)


@pytest.fixture(scope="module")
def findings(values, study):
    return dataclasses.replace(
        example_findings(), study=study, value=values.table, value_summary=values.summary
    )


# --- classes ---


@pytest.mark.parametrize(
    ("chances", "name"),
    [
        ((0.96, 0.02, 0.01, 0.01), "better and cheaper"),
        ((0.01, 0.97, 0.01, 0.01), "better and dearer"),
        ((0.01, 0.01, 0.97, 0.01), "worse and cheaper"),
        ((0.01, 0.01, 0.01, 0.97), "worse and dearer"),
        ((0.50, 0.47, 0.02, 0.01), "better, cost unclear"),
        ((0.01, 0.02, 0.47, 0.50), "worse, cost unclear"),
        ((0.47, 0.02, 0.50, 0.01), "cheaper, outcome unclear"),
        ((0.02, 0.50, 0.01, 0.47), "dearer, outcome unclear"),
        ((0.92, 0.05, 0.03, 0.00), "better, cost unclear"),
        ((0.92, 0.03, 0.05, 0.00), "cheaper, outcome unclear"),
        ((0.25, 0.25, 0.25, 0.25), "not told apart"),
        ((np.nan,) * 4, "not compared"),
    ],
)
def test_a_class_is_given_from_the_level_on(chances, name):
    assert classify([chances], 0.95).tolist() == [name]


def test_sides_are_sums_of_quarters():
    assert chances_of_sides([[0.4, 0.3, 0.2, 0.1]]) == pytest.approx(
        np.array([[0.7, 0.3, 0.6, 0.4]])
    )


@pytest.mark.parametrize(("chances", "level"), [([[0.5] * 3], 0.9), ([[0.25] * 4], 0.5)])
def test_chances_and_levels_that_cannot_be_are_refused(chances, level):
    with pytest.raises(ArrayError, match="wanted"):
        classify(chances, level)


# --- values ---


def test_the_table_has_a_row_per_provider_and_the_first_is_better_and_cheaper(values):
    assert list(values.table) == VALUE_COLUMNS
    row = values.table.set_index("provider_id").loc["H00"]
    assert row["class"] == "better and cheaper"
    assert row["outcome_difference"] > 0
    assert row["cost_ratio"] < 1
    assert row["outcome_ratio"] > 1


def test_differences_and_ratios_are_those_of_the_expectations(values, both):
    rows = values.table.set_index("provider_id")
    ours, theirs = (one.table.groupby("provider_id")[["observed", "expected"]] for one in both)
    means, sums = ours.mean(), theirs.sum()
    difference = means["observed"] - means["expected"]
    assert rows["outcome_difference"].to_numpy() == pytest.approx(difference.to_numpy(), abs=1e-9)
    ratio = sums["observed"] / sums["expected"]
    assert rows["cost_ratio"].to_numpy() == pytest.approx(ratio.to_numpy())


def test_under_the_minimum_nothing_is_drawn_to_the_middle_and_no_class_given(values, study):
    small = values.table[values.table["provider_id"] == "H05"].iloc[0]
    assert small["n_outcome"] < study.profile.minimum_n
    assert small["class"] == NOT_COMPARED
    assert small[[*CHANCE_COLUMNS, "shrunken_outcome", "shrunken_cost_ratio"]].isna().all()
    assert np.isfinite(small["outcome_difference"])
    assert values.summary["n_compared"].tolist() == [11]


def test_every_learner_is_paired_with_its_namesake_or_the_first(frame):
    study = study_of(learners=[*ONE, {"kind": "gamma"}])
    found = profile_value(*expectations(frame, study), study)
    pairs = found.summary[["learner", "cost_learner"]].itertuples(index=False, name=None)
    assert list(pairs) == [("linear", "linear"), ("linear", "gamma")]


def test_who_cannot_be_compared_is_told(frame):
    study = study_of(profile={"method": "nhs_england", "minimum_n": 900, "suppress_below": 6})
    found = profile_value(*expectations(frame, study), study)
    assert found.table.empty
    assert list(found.table) == VALUE_COLUMNS
    assert found.warnings[0].startswith("linear, value: joint_profile: wanted 4 providers")


def test_the_digest_hangs_on_the_rules_and_repeats(values, both, study):
    assert profile_value(*both, study).digest == values.digest
    other = study.model_copy(update={"value": study.value.model_copy(update={"level": 0.9})})
    assert profile_value(*both, other).digest != values.digest


def test_only_expectations_of_what_the_study_names_are_taken(both, study):
    with pytest.raises(InSampleError, match="wanted Expectations"):
        profile_value(both[0].table, both[1], study)
    with pytest.raises(StudyError, match="wanted expectations of ohs and cost"):
        profile_value(both[1], both[0], study)
    with pytest.raises(StudyError, match="got none"):
        profile_value(*both, study.model_copy(update={"value": None}))


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ({"outcome": "ohs", "cost": "ohs"}, "value.cost: wanted an outcome of the study of kind"),
        ({"outcome": "cost", "cost": "cost"}, "value.outcome: wanted an outcome of the study that"),
        ({"outcome": "oh", "cost": "cost"}, "Did you mean 'ohs'"),
        (VALUE | {"level": 0.5}, "greater than 0.5"),
        (VALUE | {"replicates": 99}, "greater than or equal to 100"),
    ],
)
def test_rules_that_name_nothing_are_refused(value, told):
    with pytest.raises(ValueError, match=re.escape(told)):
        study_of(value=value)


# --- what may leave ---


def shown(table, hidden=(), outcome="ohs"):
    """Return provider rows of outcome and cost, some of them hidden with one of the two."""
    rows = table[["provider_id"]]
    parts = [rows.assign(outcome=one, learner="linear", suppression="") for one in ("ohs", "cost")]
    providers = pd.concat(parts, ignore_index=True)
    gone = providers["provider_id"].isin(hidden) & (providers["outcome"] == outcome)
    return providers.assign(suppression=providers["suppression"].mask(gone, "all"))


@pytest.mark.parametrize("outcome", ["ohs", "cost"])
def test_who_is_hidden_with_either_is_hidden_here(values, outcome):
    table = values.table
    left = suppress_value(table, shown(table, ["H00"], outcome), 6).set_index("provider_id")
    assert left.loc["H00", "class"] == NOT_COMPARED
    figures = left.columns.difference(["outcome", "cost_outcome", "learner", "cost_learner",
                                       "class"])  # fmt: skip
    assert left.loc["H00", figures].isna().all()
    assert left.loc["H01", "n_both"] == table.set_index("provider_id").loc["H01", "n_both"]


def test_few_episodes_with_both_are_hidden(values):
    table = values.table.assign(n_both=values.table["n_both"].where(
        values.table["provider_id"] != "H01", 5))  # fmt: skip
    left = suppress_value(table, shown(table), 6).set_index("provider_id")
    assert pd.isna(left.loc["H01", "cost_ratio"])
    assert left["cost_ratio"].notna().sum() == len(left) - 1


# --- figure and card ---


def test_shapes_and_filling_tell_classes_apart_without_colour():
    looks = [(one.shape, one.fill == "#ffffff") for one in CLASS_STYLES.values()]
    assert len(set(looks)) == len(CLASS_STYLES)
    assert list(CLASS_STYLES) == [one.name for one in CLASSES]


def test_the_figure_names_quarters_and_the_providers_told_apart(findings, study):
    plane = value_planes(findings, study.outcomes[0])[0]
    svg = _draw("value", plane)
    assert all(one.name in svg for one in QUARTERS)
    assert "H00" in svg
    assert "(log scale)" in svg
    said = _KINDS["value"].describe(plane)
    assert "with 11 providers" in said
    assert "not compared: 1 provider" in said
    assert _draw("value", plane) == svg


def test_rings_are_of_the_surest(findings, study):
    plane = value_planes(findings, study.outcomes[0])[0]
    rows = pd.concat([plane.rows] * 30, ignore_index=True)
    rows = rows.assign(**{"class": "better and cheaper"})
    assert len(dataclasses.replace(plane, rows=rows).regions()) == MOST_REGIONS


def test_the_card_tells_it_in_sentences(findings):
    blocks = [*section(findings)]
    first = blocks[0]["text"]
    assert first.startswith("Oxford Hip Score and cost, by the linear model: of 11 providers")
    classes, _, told = [one for one in blocks if one["kind"] == "table"]
    labels = [one["label"] for one in classes["columns"]]
    counts = dict(zip(labels, classes["rows"][0], strict=True))
    assert counts["Not compared"] == 1
    assert counts["Better and cheaper"] >= 1
    assert told["rows"][0][:2] == ["H00", "better and cheaper"]


def test_a_study_that_does_not_ask_has_no_such_section():
    card = build_card(example_findings())
    anchors = [one["anchor"] for one in card["sections"]]
    assert "value" not in anchors
    assert "providers" in anchors
