"""The card: one source of truth, nothing hidden shown, nothing unwritten passed over."""

import dataclasses
import json
import re
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser
from types import SimpleNamespace
from typing import get_args

import pandas as pd
import pytest
from findings_example import (
    EXPLAINED,
    LEARNERS,
    OUTCOMES,
    PROVIDER_FEATURES,
    example_findings,
    example_rules,
    example_study,
)

from riskadj.cli.progress import _metrics_table
from riskadj.episodes.columns import COLUMNS
from riskadj.explain.shap_values import FOLD
from riskadj.instruments.thresholds import KINDS as THRESHOLD_KINDS
from riskadj.report.card.card import build_card
from riskadj.report.card.sections.providers import providers
from riskadj.report.choices import rules_in_words
from riskadj.report.contest import contest
from riskadj.report.families import FAMILIES, families_in_words
from riskadj.report.figures import draw_figures
from riskadj.report.render import format_value, render_html, render_markdown
from riskadj.report.words import REACHED, measure
from riskadj.study import Outcome
from riskadj.study.learners import Learner
from riskadj.study.profile import SHRUNKEN_METHODS, Between, Limits, Method, ProfileRules
from riskadj.study.report import CardText

HOSTILE = "<script>alert('x')</script> | [a](javascript:b) `c`"
SECTIONS = [
    "Identity", "Intended use", "Data and flow", "Outcome definition", "Case mix", "Models",
    "Performance", "Calibration", "Subgroups", "Providers", "How far flags hang on choices",
    "How much to believe it", "Who answered", "Explanation", "Limitations", "Provenance",
    "Crosswalk to other frameworks",
]  # fmt: skip
SEVERAL = ("limitations", "change_log")
WRITTEN = {
    name: f"Somebody wrote the {name}." for name in CardText.model_fields if name not in SEVERAL
} | {"change_log": ["Somebody changed something."]}


CARDS = {}


def card_of(findings):
    """Return the card of findings that nobody changes, made once."""
    if id(findings) not in CARDS:
        CARDS[id(findings)] = findings, build_card(findings)
    return CARDS[id(findings)][1]


@pytest.fixture(scope="module")
def findings():
    return example_findings()


@pytest.fixture(scope="module")
def card(findings):
    return card_of(findings)


@pytest.fixture(scope="module")
def drawn(findings):
    return draw_figures(findings)


def section(card, anchor):
    return next(one for one in card["sections"] if one["anchor"] == anchor)


def tables(card, anchor, *captions):
    """Return the tables of a section as frames, by caption; every part given must be in it."""
    blocks = [one for one in section(card, anchor)["blocks"] if one["kind"] == "table"]
    return {
        one["caption"]: pd.DataFrame(one["rows"], columns=[c["label"] for c in one["columns"]])
        for one in blocks
        if all(part in one["caption"] for part in captions)
    }


def only(found):
    assert len(found) == 1, list(found)
    return next(iter(found.values()))


def facts(card, anchor):
    blocks = [one for one in section(card, anchor)["blocks"] if one["kind"] == "facts"]
    return [item for block in blocks for item in block["items"]]


def paragraphs(card, anchor):
    return [one["text"] for one in section(card, anchor)["blocks"] if one["kind"] == "paragraph"]


class Page(HTMLParser):
    """What a browser would make of a page: tags with attributes, and the texts between them."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.texts = [], []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.texts.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


# --- the whole ------------------------------------------------------------------------------------


def test_sections_stand_in_the_order_that_an_auditor_reads(card):
    assert [one["title"] for one in card["sections"]] == SECTIONS
    anchors = [one["anchor"] for one in card["sections"]]
    assert len(anchors) == len(set(anchors))


def test_json_holds_all_that_the_renderings_need(card, drawn):
    again = json.loads(json.dumps(card, allow_nan=False, sort_keys=True))
    assert again == card
    assert render_html(again, drawn) == render_html(card, drawn)
    assert render_markdown(again) == render_markdown(card)


def test_figures_of_the_card_are_those_drawn(card, drawn):
    shown = [
        one["file"]
        for part in card["sections"]
        for one in part["blocks"]
        if one["kind"] == "figure"
    ]
    assert sorted(shown) == sorted(drawn)


def test_the_summary_says_how_far_flags_hang_on_the_learner(findings, card):
    flags = findings.providers[findings.providers["suppression"] == ""].pivot(
        index=["outcome", "provider_id"], columns="learner", values="flag"
    )
    changed = (flags["linear"] != flags["lightgbm"]).groupby("outcome").sum()
    for sentence, outcome in zip(card["summary"][1:], OUTCOMES, strict=True):
        assert f"{changed[outcome]} of 37 change flag when the learner changes" in sentence


def test_the_learner_is_named_only_where_it_makes_a_difference(findings, card):
    assert "limits alone, depending on the learner." in card["summary"][1]
    of_first = findings.providers[findings.providers["learner"] == "linear"]
    alike = pd.concat([of_first.assign(learner=one) for one in LEARNERS], ignore_index=True)
    told = build_card(dataclasses.replace(findings, providers=alike))["summary"][1]
    assert "limits alone. 0 of 37 change flag when the learner changes." in told


def test_the_summary_counts_each_pair_of_limits(findings, card):
    flags = findings.providers.query("outcome == 'ohs'").groupby(["learner", "flag"]).size()
    words = {
        "Positive outlier (99.8%)": "{} above and ",
        "Negative outlier (99.8%)": "{} below the 99.8 % limits, ",
        "Positive outlier (95%)": "{} above and ",
        "Negative outlier (95%)": "{} below the 95 % limits alone",
    }
    wanted = ""
    for flag, text in words.items():
        low, *_, high = sorted(flags.xs(flag, level="flag").reindex(LEARNERS, fill_value=0))
        wanted += text.format(low if low == high else f"{low} to {high}")
    assert wanted in card["summary"][1]


def test_what_sections_ask_alike_is_worked_out_once(findings):
    outcome, again = findings.study.outcomes[0], dataclasses.replace(findings)
    assert contest(findings, outcome) is contest(findings, outcome)
    assert contest(again, outcome) is not contest(findings, outcome)
    assert contest(findings, findings.study.outcomes[1]) is not contest(findings, outcome)


# --- flags at the inner limits only ---------------------------------------------------------------


def inner_only(findings):
    """Return findings in which nobody is beyond the outermost limits."""
    changed = {
        name: getattr(findings, name).replace(r"99\.8%", "95%", regex=True)
        for name in ("providers", "analyses")
    }
    return dataclasses.replace(findings, **changed)


@pytest.mark.parametrize("anchor", ["providers", "belief", "sensitivity"])
def test_where_nobody_is_beyond_the_outermost_limits_those_outside_any_are_listed(findings, anchor):
    found = inner_only(findings)
    table = only(tables(card_of(found), anchor, "(ohs)", "beyond the 95 % limits (nobody is"))
    rows = found.providers.query("outcome == 'ohs'")
    outside = rows[rows["flag"].str.contains("outlier (95%)", regex=False)]
    assert set(table["Provider"]) == set(outside["provider_id"])
    assert len(table) > 5


def test_their_limits_are_the_inner_ones(findings):
    found = inner_only(findings)
    table = only(tables(card_of(found), "providers", "Oxford")).iloc[0]
    row = found.providers.query("outcome == 'ohs'").set_index(["provider_id", "learner"]).loc[
        (table["Provider"], table["Learner"])
    ]  # fmt: skip
    assert (table["Lower limit"], table["Upper limit"]) == (row["lower95"], row["upper95"])
    assert "0 above and 0 below the 99.8 % limits, " in card_of(found)["summary"][1]


def test_nobody_outside_any_limits_is_said_so(findings):
    changed = {
        name: getattr(findings, name).replace(r".*outlier \(.*", "Not an outlier", regex=True)
        for name in ("providers", "analyses")
    }
    card = build_card(dataclasses.replace(findings, **changed))
    assert (
        "0 above and 0 below the 99.8 % limits, 0 above and 0 below the 95 % limits alone. 0 of 37 "
        "change flag when the learner changes. 37 have one flag under all 10 analyses. The study's "
        "own analysis puts nobody outside limits with any learner."
    ) in card["summary"][1]
    (caption,) = tables(card, "providers", "Oxford")
    assert "(ohs), points: providers beyond the 95 % limits (nobody" in caption
    lines = render_markdown(card).splitlines()
    place = next(n for n, one in enumerate(lines) if caption.split(":")[1] in one)
    assert lines[place + 4].startswith("| none |  |")


# --- several outcomes of one instrument -----------------------------------------------------------

BETTER = {"kind": "percent_change", "value": 35, "source": "an example"}
ALIKE = [
    {"name": "ohs", "instrument": "OHS", "kind": "final_score"},
    {"name": "eq5d", "instrument": "OHS", "kind": "responder", "threshold": BETTER},
]


def test_outcomes_of_one_instrument_are_told_apart():
    card = card_of(example_findings(example_study(outcomes=ALIKE)))
    names = (
        "Oxford Hip Score (ohs, final score)",
        "Oxford Hip Score improved by 35 % or more (eq5d)",
    )
    assert f"compared on {names[0]} and {names[1]} under" in card["summary"][0]
    assert [one.partition(":")[0] for one in card["summary"][1:]] == [*names]
    (chance,) = [one for one in paragraphs(card, "belief") if "chance makes up" in one]
    assert all(f"{one} (" in chance for one in names)
    captions = [*tables(card, "providers"), *tables(card, "belief"), *tables(card, "calibration")]
    assert len(set(captions)) == len(captions)


@pytest.mark.parametrize(
    ("kind", "instrument", "words"),
    [
        ("change", "OHS", "Oxford Hip Score improved by 8 points or more"),
        ("percent_change", "OHS", "Oxford Hip Score improved by 8 % or more"),
        ("final", "OHS", "Oxford Hip Score of 8 points or more after"),
        ("final", "NDI", "Neck Disability Index of 8 points or less after"),
        ("failure", "OHS", "Oxford Hip Score improved by less than 8 points"),
        ("percent_failure", "OHS", "Oxford Hip Score improved by less than 8 %"),
        ("worsening", "OHS", "Oxford Hip Score worse by 8 points or more"),
        ("poor_state", "OHS", "Oxford Hip Score below 8 points after"),
        ("poor_state", "NDI", "Neck Disability Index above 8 points after"),
    ],
)
def test_a_responder_is_called_by_what_it_reaches(kind, instrument, words):
    rule = {"kind": kind, "value": 8, "source": "an example"}
    one = {"name": "one", "instrument": instrument, "kind": "responder", "threshold": rule}
    assert measure(Outcome.model_validate(one)) == words


def test_every_kind_of_threshold_has_words():
    assert set(REACHED) == set(THRESHOLD_KINDS)


# --- what a person has still to write -------------------------------------------------------------


def test_todo_lists_exactly_what_is_not_written(card):
    assert card["todo"] == [
        "contact", "licence", "population", "out_of_scope", "payment_use", "perverse_incentives",
        "appeal_route", "human_oversight", "consent_and_representativeness", "rationale",
        "casemix_rationale", "maintenance", "drift_plan", "change_log", "sign_off",
    ]  # fmt: skip


def test_every_unwritten_field_is_marked_in_both_renderings(card):
    page = Page(render_html(card, {}))
    marked = [one for one in page.all("dd") if one.get("class") == "todo"]
    assert len(marked) == len(card["todo"])
    assert render_markdown(card).count("**TODO: to be written by a person**") == len(card["todo"])


def test_a_written_card_says_todo_nowhere():
    study = example_study(card=WRITTEN | {"limitations": ["One."]})
    card = card_of(example_findings(study))
    assert card["todo"] == []
    assert "TODO" not in json.dumps(card)
    page = render_html(card, {})
    assert "TODO" not in page
    texts = [
        one for text in WRITTEN.values() for one in ([text] if isinstance(text, str) else text)
    ]
    assert all(text in page for text in texts), "every text of a person is shown"


def test_limitations_that_nobody_stated_are_to_do():
    card = card_of(example_findings(example_study(card=WRITTEN)))
    assert card["todo"] == ["limitations"]
    assert facts(card, "limitations")[0]["todo"]


# --- nothing hidden is shown ----------------------------------------------------------------------


def test_hidden_providers_are_nowhere(findings, card, drawn):
    hidden = findings.providers.loc[findings.providers["suppression"] == "all", "provider_id"]
    everything = json.dumps(card) + render_markdown(card) + render_html(card, drawn)
    assert len(hidden) > 0
    assert not [one for one in hidden.unique() if one in everything]


def test_a_hidden_provider_that_kept_its_flag_is_not_counted_as_flagged(findings):
    providers = findings.providers.copy()
    providers.loc[providers["suppression"] == "all", "flag"] = "Negative outlier (99.8%)"
    again = build_card(dataclasses.replace(findings, providers=providers))
    assert section(again, "providers") == section(card_of(findings), "providers")


def test_suppressed_subgroups_are_null_and_say_so(card):
    table = only(tables(card, "subgroups", "Oxford"))
    row = table[table["Level"] == "unknown"].iloc[0]
    assert row[["Episodes", "Observed", *LEARNERS]].isna().all()
    line = next(one for one in render_markdown(card).splitlines() if "| unknown |" in one)
    assert line.count("suppressed") == 2 + len(LEARNERS)


def test_a_withheld_ratio_says_so(card):
    table = only(tables(card, "providers", "Oxford"))
    row = table[table["Provider"] == "P010"].iloc[0]
    assert row["O/E"] is None or pd.isna(row["O/E"])
    results = render_markdown(card).split("## How far flags")[0]
    lines = [one for one in results.splitlines() if one.startswith("| P010 |")]
    assert lines
    assert all(one.count("| withheld | withheld |") == 1 for one in lines)


# --- the numbers ----------------------------------------------------------------------------------


def test_numbers_keep_their_full_precision(findings, card):
    rows = findings.providers[findings.providers["outcome"] == "ohs"]
    wanted = rows[rows["flag"].str.contains("99.8")].set_index(["provider_id", "learner"])["z"]
    table = only(tables(card, "providers", "Oxford")).set_index(["Provider", "Learner"])["z"]
    assert dict(table) == dict(wanted)


def test_performance_has_every_figure_of_the_metrics(findings, card):
    table = only(tables(card, "performance", "(eq5d)")).set_index("Learner")
    for learner in LEARNERS:
        metrics = findings.metrics["eq5d"][learner]
        shown = [
            number
            for cell in table.loc[learner]
            for number in (cell if isinstance(cell, list) else [cell])
        ]
        assert sorted(shown) == sorted(metrics.values())
    assert "held-out" in paragraphs(card, "performance")[0]


def test_a_figure_has_an_interval_where_every_learner_has_one(findings, card):
    shown = only(tables(card, "performance", "(ohs)"))
    assert not any(isinstance(one, list) for one in shown["MAE"])
    ends = {"mae_lower95": 5.0, "mae_upper95": 7.0}
    metrics = {
        name: {learner: one | ends for learner, one in by_learner.items()}
        for name, by_learner in findings.metrics.items()
    }
    sure = build_card(dataclasses.replace(findings, metrics=metrics))
    cells = only(tables(sure, "performance", "(ohs)"))["MAE"]
    assert [one[1:] for one in cells] == [[5, 7]] * 2
    metrics["ohs"]["linear"]["mae_lower95"] = None
    unsure = build_card(dataclasses.replace(findings, metrics=metrics))
    assert list(only(tables(unsure, "performance", "(ohs)"))["MAE"]) == list(shown["MAE"])


def test_learners_are_held_against_each_other_and_elsewhere(findings, card):
    against = only(tables(card, "performance", "Learners against each other"))
    assert len(against) == len(findings.differences)
    assert against["Difference"].iloc[0] == [0.015, 0.012, 0.018]
    elsewhere = only(tables(card, "performance", "elsewhere"))
    assert elsewhere["At the next one"].iloc[0] == [0.95, 0.7, 1.2]
    assert set(elsewhere["Over"]) == {"providers"}


def test_a_learner_alone_is_held_against_nobody(findings):
    alone = replace(
        findings,
        differences=findings.differences.head(0),
        validation=findings.validation.head(0),
    )
    assert not tables(build_card(alone), "performance", "against each other")
    assert not tables(build_card(alone), "performance", "elsewhere")


def test_providers_are_counted_by_flag(findings, card):
    table = only(tables(card, "providers", "by flag")).set_index(["Outcome", "Learner"])
    rows = findings.providers
    for outcome, learner in table.index:
        mine = rows[(rows["outcome"] == outcome) & (rows["learner"] == learner)]["flag"]
        row = table.loc[(outcome, learner)]
        assert row["Above 99.8 %"] == (mine == "Positive outlier (99.8%)").sum()
        assert row["Below 95 %"] == (mine == "Negative outlier (95%)").sum()
        assert row["Not compared"] == (mine == "Insufficient records").sum()
        assert row.sum() == len(mine)


def test_agreement_counts_changes_of_flag(findings):
    providers = findings.providers[findings.providers["suppression"] == ""].copy()
    providers["flag"] = "Not an outlier"
    change = {"P005": "Negative outlier (95%)", "P006": "Positive outlier (99.8%)"}
    trees = (providers["outcome"] == "ohs") & (providers["learner"] == "lightgbm")
    for provider, flag in change.items():
        providers.loc[trees & (providers["provider_id"] == provider), "flag"] = flag
    crossed = (providers["outcome"] == "ohs") & (providers["provider_id"] == "P007")
    providers.loc[crossed & trees, "flag"] = "Positive outlier (95%)"
    providers.loc[crossed & ~trees, "flag"] = "Negative outlier (95%)"
    card = build_card(dataclasses.replace(findings, providers=providers))
    rows = only(tables(card, "providers", "change flag")).set_index("Outcome")
    assert list(rows.loc["ohs"])[2:] == [37, 34, 3, 1, 1]
    assert list(rows.loc["eq5d"])[2:] == [37, 37, 0, 0, 0]


_DIFFERENCE = ["difference", "lower95", "upper95"]


def test_calibration_shows_the_learner_that_is_worst(findings):
    calibration = findings.calibration.copy()
    worst = (calibration["outcome"] == "ohs") & (calibration["learner"] == "linear")
    calibration.loc[worst & (calibration["decile"] == 4), _DIFFERENCE] = [-9.5, -9.9, -9.1]
    card = build_card(dataclasses.replace(findings, calibration=calibration))
    table = only(
        tables(card, "calibration", "Oxford Hip Score (ohs), points: calibration of linear")
    )
    assert table.iloc[3, -1] == [-9.5, -9.9, -9.1]
    assert set(table["Episodes"]) == {2_103}


def test_ratios_lead_where_a_cost_is_compared():
    cost = {"name": "ohs", "kind": "cost", "column": "cost_total_90d", "currency": "SEK",
            "price_year": 2023}  # fmt: skip
    found = example_findings(example_study(outcomes=[cost]))
    (table,) = [one for one in providers(found) if "providers beyond" in one.get("caption", "")]
    labels = [one["label"] for one in table["columns"]]
    assert labels[:7] == [
        "Provider", "Learner", "Episodes", "O/E", "P/E", "Observed cost", "Expected cost",
    ]  # fmt: skip
    first = found.providers.set_index(["provider_id", "learner"]).loc[tuple(table["rows"][0][:2])]
    assert table["rows"][0][2:6] == [first["n"], *first[["ratio", "predicted_ratio", "observed"]]]


def test_a_source_without_rows_says_nothing_of_them(findings):
    mapping = {"name": "mapping.yaml", "digest": "cd" * 32, "rows": 0}
    data = [*findings.provenance["data"], mapping]
    found = dataclasses.replace(findings, provenance={**findings.provenance, "data": data})
    card = build_card(found)
    assert only(tables(card, "data", "Sources"))["Rows"].isna().tolist() == [False, True]
    assert "| mapping.yaml | `cdcdcdcdcdcdcdcd` |  |" in render_markdown(card)


def test_sources_and_chain_name_every_digest(findings, card):
    origin = findings.provenance
    chain = set(only(tables(card, "provenance", "chain"))["Digest (SHA-256)"])
    assert {one["digest"] for one in origin["stages"]} <= chain
    assert {origin["study"]["digest"], origin["code"]["digest"]} <= chain
    assert {one["digest"] for one in origin["data"]} <= chain


def test_refused_columns_say_why(card):
    table = only(tables(card, "casemix", "Refused")).set_index("Because")["Columns"]
    assert table["it is known only after the episode"] == "q2_score_ohs, q2_score_eq5d"
    (during,) = (why for why in table.index if why.startswith("it is known only during"))
    assert table[during] == "discharge_date"
    assert "casemix.coded_at_discharge would let it in" in during


# --- what makes expectations differ ---------------------------------------------------------------


def contributions(provider, values, learner=EXPLAINED):
    """Return rows of a provider's contributions by column, or by theme where there is no column."""
    total = sum(values.values())
    for name, value in values.items():
        theme = COLUMNS[name].theme if name in COLUMNS else name
        yield ("ohs", learner, provider, 90, name, theme, value, total)


def explained(findings, *rows):
    table = pd.DataFrame([one for some in rows for one in some], columns=list(PROVIDER_FEATURES))
    return build_card(dataclasses.replace(findings, provider_features=table))


def worked(findings, *rows):
    told = paragraphs(explained(findings, *rows), "explanation")
    return [one for one in told if one.startswith("An example, Oxford")]


BELOW = {
    "q1_score_ohs": -1.1, "q1_score_eq5d": -0.3, "comorb_heart": -0.4, "symptom_period": 0.1,
    "sex": 0.2, "age_band_10y": 0.1,
}  # fmt: skip


def test_the_example_adds_up_in_words_by_theme(findings):
    (sentence,) = worked(findings, contributions("P005", BELOW), contributions("P006", {"sex": 1}))
    assert (
        "in boosted trees provider P005's expected gain is 1.4 points below that of the reference "
        "population: 1.4 from scores before, 0.4 from comorbidity, 0.3 the other way from age and "
        "sex, 0.1 the other way from health and history. That describes"
    ) in sentence


def test_the_example_shows_decimals_enough_to_add_up(findings):
    values = {"q1_score_ohs": 2.04, "sex": 0.54, "comorb_heart": 0.24, "symptom_period": -0.1}
    (sentence,) = worked(findings, contributions("P005", values))
    assert (
        "2.72 points above that of the reference population: 2.04 from scores before, 0.54 from "
        "age and sex, 0.24 from comorbidity, 0.10 the other way from health and history."
    ) in sentence


def test_the_example_says_what_hardly_matters(findings):
    values = {"q1_score_ohs": 2.0, "comorb_heart": 0.0002, "sex": -0.0001}
    (sentence,) = worked(findings, contributions("P005", values))
    assert "2.0 from scores before, hardly anything from comorbidity or from age and sex." in (
        sentence
    )


def test_the_example_names_the_model_of_the_fold(findings):
    (sentence,) = worked(findings, contributions("P005", {"sex": 1.0, FOLD: 0.5}))
    assert "1.0 from age and sex, 0.5 from the model of the fold." in sentence
    assert FOLD not in sentence


def test_without_differences_there_is_no_example(findings):
    told = explained(findings, contributions("P005", {"sex": 0.0}))
    assert "no provider's expected gain is as far as 0.1 points" in " ".join(
        paragraphs(told, "explanation")
    )


def test_the_example_is_never_of_a_suppressed_provider(findings):
    far = {"q1_score_ohs": -40.0}
    rows = [[*contributions(one, far)] for one in ("P000", "P001", "P002")]
    assert worked(findings, *rows) == []
    (sentence,) = worked(findings, *rows, contributions("P005", BELOW))
    assert "P005" in sentence


def test_rows_of_providers_sum_to_their_difference(findings, card):
    for outcome in OUTCOMES:
        table = only(tables(card, "explanation", f"({outcome})", "by theme"))
        rows = findings.provider_features[findings.provider_features["outcome"] == outcome]
        wanted = rows.drop_duplicates("provider_id").set_index("provider_id")["difference"]
        for row in table.set_index("Provider").itertuples():
            assert sum(row[2:-1]) == pytest.approx(row[-1])
            assert row[-1] == pytest.approx(wanted[row[0]])


def test_those_whose_expectation_differs_most_and_those_beyond_the_limits_are_listed(
    findings, card
):
    table = only(tables(card, "explanation", "(ohs)", "by theme"))
    found = findings.providers[findings.providers["suppression"] == ""]
    rows = findings.provider_features.merge(found, on=["outcome", "learner", "provider_id"])
    mine = rows[rows["outcome"] == "ohs"].drop_duplicates("provider_id").set_index("provider_id")
    largest = mine["difference_x"].abs().sort_values(ascending=False)
    beyond = set(mine.index[mine["flag"].str.contains("99.8", regex=False)])
    wanted = [one for one in largest.index if one in beyond | set(largest.index[:8])]
    assert len(wanted) > 8
    assert list(table["Provider"]) == wanted
    assert not {"P000", "P001", "P002"} & set(table["Provider"])
    assert list(table.columns)[:2] == ["Provider", "Episodes"]
    assert set(table.columns[2:-1]) == {
        "Scores before", "Comorbidity", "Age and sex", "Health and history",
        "Social circumstances",
    }  # fmt: skip


def test_the_model_of_the_fold_is_a_theme_with_a_note(findings):
    card = explained(findings, contributions("P005", {"sex": 1.0, FOLD: 0.5}))
    table = only(tables(card, "explanation", "by theme"))
    assert list(table.columns[2:]) == ["Age and sex", "Model of the fold", "Difference (sum)"]
    assert "Model of the fold: " in render_markdown(card)
    assert "odel of the fold" not in render_markdown(card_of(findings))


def test_tables_of_themes_say_who_is_not_in_them(card):
    text = render_markdown(card)
    assert "of 37 providers with 30 episodes or more: those beyond the 99.8 % limits and" in text
    assert (
        "Every provider but those that are suppressed is in the table shap_providers.csv of the "
        "run folder." in text
    )


def test_what_is_not_explained_is_named(card):
    assert "They are not worked out for the linear model." in paragraphs(card, "explanation")[0]


def test_nobody_whose_contributions_can_be_shown(findings):
    none = dataclasses.replace(findings, provider_features=findings.provider_features.head(0))
    told = build_card(none)
    assert paragraphs(told, "explanation")[1:] == 2 * [
        "No provider has enough episodes for its contributions to be shown."
    ]
    assert len(tables(told, "explanation")) == len(OUTCOMES)


# --- other studies --------------------------------------------------------------------------------


def told(anchor, **changes):
    """Return the labelled facts of a section of the card of a changed study."""
    card = card_of(example_findings(example_study(**changes)))
    return {one["label"]: one["value"] for one in facts(card, anchor)}


def labels_of_limits(card):
    return {one["label"] for one in facts(card, "limitations")}


FOLDED = {"train": ["2018/19"], "test": ["2018/19"], "folds": 4, "seed": 1}


@cache
def as_published(*learners):
    """Return findings whose boosted trees are the publisher's expectation instead."""
    found = example_findings()
    tables = {one.name: getattr(found, one.name) for one in dataclasses.fields(found)}
    renamed = {
        name: table.replace({"learner": {"lightgbm": "reference"}})
        for name, table in tables.items()
        if isinstance(table, pd.DataFrame)
    }
    renamed = {
        name: table[table["learner"].isin(learners)] if "learner" in table else table
        for name, table in renamed.items()
    }
    metrics = {
        name: dict.fromkeys(learners, one["lightgbm"]) for name, one in found.metrics.items()
    }
    study = example_study(
        learners=[{"kind": one} for one in learners],
        casemix={"columns": ["sex"], "allow_provider_influenced": True},
    )
    empty = {name: tables[name].head(0) for name in ("features", "provider_features")}
    return dataclasses.replace(found, study=study, metrics=metrics, **(renamed | empty))


def test_limitations_follow_from_the_method(card):
    assert {"Over-dispersion", "Missing follow-up", "Relative comparison"} <= labels_of_limits(card)
    assert not {"Published expectation", "Influence of providers"} & labels_of_limits(card)
    assert "Own episodes" not in labels_of_limits(card)


def test_limitations_follow_from_the_study():
    labels = labels_of_limits(card_of(as_published("reference", "linear")))
    assert {"Published expectation", "Influence of providers"} <= labels


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "shows only in the bias before recalibration."),
        ({"recalibration": {"method": "none"}}, "shows only in the bias."),
        ({"split": FOLDED}, "nothing here shows whether all of them have become better or worse"),
    ],
)
def test_the_comparison_is_relative_whatever_the_study_does(changes, words):
    assert words in told("limitations", **changes)["Relative comparison"]


@pytest.mark.parametrize("method", ["shift", "line", "none"])
def test_performance_says_what_recalibration_alone_makes_true(method):
    found = example_findings(example_study(recalibration={"method": method}))
    card = card_of(found)
    columns = list(only(tables(card, "performance", "(ohs)")).columns)
    before = "Bias before recalibration" in columns
    assert before == (method != "none")
    last = paragraphs(card, "performance")[-1]
    wanted = {
        "shift": "makes the bias 0 and total O/E 1",
        "line": "the calibration slope 1 and its intercept 0",
        "none": "Nothing is recalibrated.",
    }
    assert wanted[method] in last
    assert ("slope 1" in last) == (method == "line")
    text = render_markdown(card)
    assert ("Without recalibration O \N{MINUS SIGN} E" in text) == (method == "none")


@pytest.mark.parametrize("group", ["provider", "patient"])
def test_folds_are_told_where_periods_are_shared(group):
    split = FOLDED | {"group": group}
    models = told("models", split=split)
    assert models["Folds"] == f"4 folds, each {group} whole in one"
    assert models["Split"] == (
        f"Out of fold within 2018/19: what is expected of a {group}'s episodes was learned from "
        f"other {group}s only."
    )
    assert told("outcomes", split=split)["Learned from"] == "2018/19, out of fold"
    assert ("Own episodes" in told("limitations", split=split)) == (group == "patient")


def test_nothing_is_said_to_be_learned_where_all_is_published():
    card = card_of(as_published("reference"))
    models = {one["label"]: one["value"] for one in facts(card, "models")}
    assert models["Split"] == "Nothing is learned here; compared in 2018/19."
    assert "held-out" not in paragraphs(card, "performance")[0]
    assert "Whether the published expectation was fitted" in paragraphs(card, "performance")[0]
    assert "expects by the publisher's model." in paragraphs(card, "explanation")[0]
    mixed = card_of(as_published("reference", "linear"))
    assert "The published expectation is the exception" in paragraphs(mixed, "performance")[0]


def test_one_learner_has_nobody_to_agree_with():
    found = example_findings(example_study(learners=[{"kind": "lightgbm"}]))
    card = card_of(found)
    assert any("With one learner" in one for one in paragraphs(card, "providers"))
    assert all("change flag" not in one for one in card["summary"])
    assert "under 1 expectation from" in card["summary"][0]
    assert "Learners that agree" not in only(tables(card, "providers", "Oxford")).columns
    assert len(paragraphs(card, "calibration")[0].split(". ")) == 1
    assert "not worked out" not in paragraphs(card, "explanation")[0]
    assert {one["Learner"] for _, one in only(tables(card, "providers", "flag")).iterrows()} == {
        "lightgbm"
    }


def test_a_study_without_trees_says_why_nothing_is_explained():
    card = card_of(example_findings(example_study(learners=[{"kind": "linear"}])))
    assert section(card, "explanation")["blocks"] == [
        {"kind": "paragraph", "text": "No learner of this study has contributions to show: they "
         "are worked out for lines, boosted trees and weighted sums of them, and the study expects "
         "by the linear model."}
    ]  # fmt: skip


def test_one_outcome_stands_alone():
    study = example_study(
        outcomes=[{"name": "eq5d", "instrument": "EQ5D3L_UK_TTO", "kind": "gain"}]
    )
    card = card_of(example_findings(study))
    assert "compared on EQ-5D-3L index under" in card["summary"][0]
    assert len(card["summary"]) == 2
    assert "Oxford" not in json.dumps([section(card, one) for one in ("data", "providers")])


def test_given_figures_of_the_reference_population_are_stated():
    given = {
        "name": "ohs",
        "instrument": "OHS",
        "kind": "gain",
        "reference": {"gain": 21.5, "sd": 8},
    }
    plain = {"name": "eq5d", "instrument": "EQ5D3L_UK_TTO", "kind": "gain"}
    card = card_of(example_findings(example_study(outcomes=[given, plain])))
    items = {one["label"]: one["value"] for one in facts(card, "providers")}
    assert items["Reference figures (ohs)"] == (
        "Oxford Hip Score is compared with figures the study gives, not with these episodes: a "
        "mean gain of 21.5 points, and a standard deviation of residuals of 8.0."
    )
    assert "Reference figures (eq5d)" not in items
    table = only(tables(card, "providers", "reference population")).set_index("Outcome")
    assert set(table.loc["ohs", "Mean and SD from"]) == {"the study"}
    assert set(table.loc["eq5d", "Mean and SD from"]) == {"the episodes compared"}
    assert set(table.loc["ohs", "Mean gain"]) == {21.5}
    examples = [one for one in paragraphs(card, "explanation") if one.startswith("An example")]
    assert ["that of all episodes compared" in one for one in examples] == [True, False]


def test_without_given_figures_the_episodes_are_the_reference(card):
    assert "Reference figures (ohs)" not in {one["label"] for one in facts(card, "providers")}
    assert only(tables(card, "providers", "The reference population: all episodes compared")).size


def test_a_study_in_which_nobody_is_compared_says_so(findings):
    few = findings.providers.assign(
        adjusted=float("nan"), flag="Insufficient records", suppression="adjusted"
    )
    card = build_card(dataclasses.replace(findings, providers=few))
    assert card["summary"][1] == (
        "Oxford Hip Score: no provider has enough episodes to be compared."
    )
    assert "Chance" not in labels_of_limits(card)
    assert any("No provider has enough" in one for one in paragraphs(card, "explanation"))


def test_what_a_study_lacks_is_said(findings):
    bare = dataclasses.replace(
        findings,
        subgroups=findings.subgroups.head(0),
        features=findings.features.head(0),
        provider_features=findings.provider_features.head(0),
        missing=findings.missing.head(0),
    )
    card = build_card(bare)
    assert "names no subgroups" in paragraphs(card, "subgroups")[0]
    assert "No learner" in paragraphs(card, "explanation")[0]
    assert render_html(card, {}).count("<h2") == len(SECTIONS)


# --- rendering ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def hostile():
    study = example_study(
        title=HOSTILE,
        card=WRITTEN | {"limitations": [HOSTILE]},
        outcomes=[{"name": "ohs", "instrument": "OHS", "kind": "gain"}],
        learners=[{"kind": "lightgbm"}],
    )
    found = example_findings(study)
    providers = found.providers.copy()
    providers["provider_id"] += HOSTILE
    flow = found.flow.assign(reason=HOSTILE)
    return dataclasses.replace(found, providers=providers, flow=flow)


def test_no_text_becomes_markup_in_html(hostile, drawn):
    figures = draw_figures(hostile)
    assert {one.split("_")[0] for one in figures} == {one.split("_")[0] for one in drawn}
    page = Page(render_html(build_card(hostile), figures))
    assert page.all("script") == []
    assert page.all("a") == [one for one in page.all("a") if one["href"].startswith("#")]
    assert not [name for _, some in page.tags for name in some if name.startswith("on")]
    assert HOSTILE in page.texts


def test_no_text_becomes_markup_in_markdown(hostile):
    text = render_markdown(build_card(hostile))
    assert "<script" not in text
    assert "](javascript" not in text.replace("\\](", "")
    rows = [one for one in text.splitlines() if one.startswith("| rows read |")]
    assert rows
    assert all(one.replace("\\|", "").count("|") == 5 for one in rows)


def test_the_page_stands_alone(card, drawn):
    page = Page(render_html(card, drawn))
    assert not {"script", "iframe", "object", "embed", "form"} & {name for name, _ in page.tags}
    assert [one["href"] for one in page.all("link")] == ["data:,"]
    policy = next(one for one in page.all("meta") if "http-equiv" in one)
    assert policy["content"].startswith("default-src 'none'")
    assert len(page.all("svg")) == 20


def test_the_page_can_be_read_by_ear(card, drawn):
    page = Page(render_html(card, drawn))
    ids = [some["id"] for _, some in page.tags if "id" in some]
    assert len(ids) == len(set(ids))
    assert all(one["href"][1:] in ids for one in page.all("a"))
    assert len(page.all("caption")) == len(page.all("table")) > 0
    assert {one.get("scope") for one in page.all("th")} == {"col", "row"}
    assert len(page.all("h1")) == 1
    assert page.all("html")[0]["lang"] == "en-GB"


def test_a_figure_that_was_not_drawn_leaves_its_description(card):
    assert "Funnel plot of 37 providers" in " ".join(Page(render_html(card, {})).texts)


def test_markdown_links_figures_and_keeps_tables_whole(card):
    text = render_markdown(card)
    assert text.count("](figures/") == 20
    widths = SimpleNamespace(now=0)
    for line in text.splitlines():
        columns = line.count("|") if line.startswith("|") else 0
        assert not (columns and widths.now) or columns == widths.now
        widths.now = columns


@pytest.mark.parametrize(
    ("value", "column", "text"),
    [
        (0.0812, {"format": "percent", "decimals": 1}, "8.1 %"),
        ([-0.31, -0.52, 0.1], {"format": "estimate", "decimals": 1},
         "\N{MINUS SIGN}0.3 (\N{MINUS SIGN}0.5 to 0.1)"),
        ("ab" * 32, {"format": "code"}, "abababababababab"),
        ("q1_score_ohs", {"format": "code"}, "q1_score_ohs"),
        (21034, {"format": "number", "decimals": 0}, "21,034"),
        (None, {"format": "number", "decimals": 0, "missing": "suppressed"}, "suppressed"),
    ],
)  # fmt: skip
def test_values_are_shown_as_their_column_wants(value, column, text):
    assert format_value(value, column) == text


# --- how providers are compared -------------------------------------------------------------------


def under(**rules):
    """Return findings of the example under other rules."""
    return example_findings(example_study(profile=example_rules(**rules)))


def rules_told(**rules):
    return dict(rules_in_words(ProfileRules.model_validate(example_rules(**rules))))


@pytest.mark.parametrize("method", get_args(Method))
def test_every_method_is_told_in_a_sentence(method):
    told = rules_told(method=method)
    assert len(told["Method"].split()) > 15
    assert told["Method"].endswith(".")
    shrunken = method in SHRUNKEN_METHODS
    assert ("already drawn to the middle" in told["Limits"]) == shrunken
    assert ("drawn to the middle" in told["Method"]) == shrunken


@pytest.mark.parametrize("limits", get_args(Limits))
def test_every_kind_of_limits_is_told_in_a_sentence(limits):
    told = rules_told(limits=limits)["Limits"]
    assert told.startswith(limits.split("_")[0].capitalize())
    assert limits == "nominal" or re.search(r"\b(19|20)\d\d\b", told), "wanted its source"


@pytest.mark.parametrize("between", get_args(Between))
def test_every_estimator_is_told_with_its_source(between):
    told = rules_told(between=between)["Variance between providers"]
    assert re.search(r"\b(19|20)\d\d\b", told)


@pytest.mark.parametrize(
    ("rules", "label", "words"),
    [
        ({}, "Levels of the limits", "95 % and 99.8 % of a normal distribution: 1.96 and 3.0902"),
        ({"levels": [0.9, 0.99]}, "Levels of the limits", "90 % and 99 % of a normal distribution: "
         "1.6449 and 2.5758"),
        ({"labels": "cms"}, "Levels of the limits", "95 % of a normal distribution: 1.96 standard"),
        ({"labels": "cms"}, "Words of flags", "better, no different or worse"),
        ({"reference": "median"}, "Compared with", "The median provider"),
        ({"reference": 21.5}, "Compared with", "An adjusted gain of 21.5 that the study gives."),
        ({"peer_group": "sex"}, "Compared with", "of those alone that are alike in sex"),
        ({"peer_group": "sex"}, "Compared with", "alike with enough episodes is not compared"),
        ({"limits": "benjamini_hochberg"}, "Levels of the limits", "95 % and 99.8 %: false "
         "discovery rates of 5 % and 0.2 %"),
        ({"replicates": 250}, "Predicted over expected", "from 250 sets of providers"),
        ({}, "Predicted over expected", "the study asks for no bootstrap"),
    ],
)  # fmt: skip
def test_the_rules_in_force_are_told(rules, label, words):
    assert words in rules_told(**rules)[label]


def test_what_limits_learned_is_shown_where_they_learn(card):
    assert not tables(card, "providers", "limits learned")
    found = under(limits="winsorised")
    table = only(tables(card_of(found), "providers", "limits learned"))
    assert table["SD between providers"].tolist() == found.reference["tau"].tolist()
    assert set(table["99.8 % limits at"]) == {3.0902}


def test_peer_groups_have_centres_of_their_own():
    table = only(
        tables(card_of(under(limits="winsorised", peer_group="sex")), "providers", "learned")
    )
    assert table["Centre"].isna().all()


def test_peer_groups_are_shown_with_what_each_is_compared_with():
    assert not tables(card_of(under()), "providers", "Peer groups")
    found = under(peer_group="sex")
    table = only(tables(card_of(found), "providers", "Peer groups"))
    rows = found.providers[found.providers["peer_group"] != ""]
    assert len(table) == 2 * 2 * 2
    for one in table.itertuples(index=False):
        key = {"outcome": one.Outcome, "learner": one.Learner, "peer_group": one.Group}
        mine = rows[(rows[list(key)] == list(key.values())).all(axis=1)]
        assert one[3] == len(mine)
        assert one.Compared == mine["adjusted"].notna().sum()
        assert one.Centre == mine["centre"].max()


@pytest.mark.parametrize("anchor", ["providers", "sensitivity", "belief", "explanation"])
def test_a_card_with_cmss_words_says_nothing_of_nhs_englands(anchor):
    found = under(labels="cms", levels=[0.9, 0.99])
    card = card_of(found)
    said = json.dumps([card["summary"], section(card, anchor)])
    assert "99.8" not in said
    assert "95 % limits" not in said
    assert "utlier" not in said
    assert "beyond the 90 % limits" in said


def test_cmss_places_are_counted():
    found = under(labels="cms")
    table = only(tables(card_of(found), "providers", "by flag"))
    assert list(table)[2:] == ["Better", "No different", "Worse", "Not compared"]
    first = found.providers.query("outcome == 'ohs' and learner == 'linear'")["flag"]
    assert table.loc[0, "Better"] == (first == "Better than the reference").sum()
    assert table.iloc[0, 2:].sum() == len(first)


def test_limits_in_the_tables_are_those_of_the_levels():
    found = under(levels=[0.9, 0.99])
    table = only(tables(card_of(found), "providers", "Oxford")).iloc[0]
    rows = found.providers.query("outcome == 'ohs'").set_index(["provider_id", "learner"])
    row = rows.loc[(table["Provider"], table["Learner"])]
    assert (table["Lower limit"], table["Upper limit"]) == (row["lower99"], row["upper99"])


def test_predicted_over_expected_stands_beside_observed_over_expected(findings, card):
    table = only(tables(card, "providers", "Oxford")).set_index(["Provider", "Learner"])
    rows = findings.providers.query("outcome == 'ohs'").set_index(["provider_id", "learner"])
    shown = table["P/E"].dropna()
    assert shown.to_dict() == rows.loc[shown.index, "predicted_ratio"].to_dict()
    assert list(table)[3:5] == ["O/E", "P/E"]


def test_a_bootstrap_gives_predicted_over_expected_its_interval():
    found = under(replicates=100)
    table = only(tables(card_of(found), "providers", "Oxford"))
    rows = found.providers.query("outcome == 'ohs'").set_index(["provider_id", "learner"])
    for one in table[table["O/E"].notna()].itertuples(index=False):
        row = rows.loc[(one.Provider, one.Learner)]
        assert table.columns[6] == "P/E (95 %)"
        assert one[6] == [row["predicted_ratio"], row["predicted_ratio_lower95"],
                          row["predicted_ratio_upper95"]]  # fmt: skip


@pytest.mark.parametrize(
    ("rules", "label", "words"),
    [
        ({}, "Over-dispersion", "ignore over-dispersion"),
        ({"limits": "winsorised"}, "Over-dispersion", "wider limits also hide"),
        ({"limits": "benjamini_hochberg"}, "Over-dispersion", "ignore over-dispersion"),
        ({"method": "random_intercept"}, "Shrinkage", "shows less than about a large one"),
        ({}, "Chance", "about 2 outside the 95 % limits and 0.1 outside the 99.8 % limits"),
        ({"levels": [0.9, 0.99]}, "Chance", "about 4 outside the 90 % limits and 0.4 outside"),
        ({"limits": "winsorised"}, "Chance", "37 that differ no more than most do"),
    ],
)
def test_limitations_follow_from_the_limits(rules, label, words):
    told = {one["label"]: one["value"] for one in facts(card_of(under(**rules)), "limitations")}
    assert words in told[label]


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ({}, "providers are compared with their mean."),
        ({"reference": "median"}, "providers are compared with their median."),
        ({"peer_group": "sex"}, "providers are compared with their peer group's mean."),
    ],
)
def test_whom_providers_are_compared_with_limits_what_it_says(rules, words):
    told = {one["label"]: one["value"] for one in facts(card_of(under(**rules)), "limitations")}
    assert words in told["Relative comparison"]


def test_a_given_number_is_not_called_the_mean_of_providers():
    one = [{"name": "ohs", "instrument": "OHS", "kind": "gain"}]
    study = example_study(outcomes=one, profile=example_rules(reference=21.5))
    card = card_of(example_findings(study))
    told = {one["label"]: one["value"] for one in facts(card, "limitations")}
    assert "an adjusted gain of 21.5 that the study gives" in told["Given reference"]
    assert "Relative comparison" not in told
    assert "their mean" not in json.dumps(section(card, "limitations"))


@pytest.mark.parametrize("rules", [{"limits": "benjamini_hochberg"}, {"method": "empirical_bayes"}])
def test_chance_is_not_counted_where_limits_are_not_for_it(rules):
    assert "Chance" not in labels_of_limits(card_of(under(**rules)))


# --- warnings -------------------------------------------------------------------------------------


def test_without_warnings_one_line_says_that_all_fits_converged(card):
    first = section(card, "providers")["blocks"][0]
    assert first["kind"] == "paragraph"
    assert first["text"].startswith("All fits behind the comparison converged")
    assert not [one for one in card["summary"] if "warning" in one]


def test_warnings_are_loud_and_first(findings):
    told = ("ohs, linear, random_intercept: not converged <b>", "eq5d, linear: left out")
    card = build_card(dataclasses.replace(findings, fit_warnings=told))
    first, second, third = section(card, "providers")["blocks"][:3]
    assert (first, second) == tuple({"kind": "warning", "text": one} for one in told)
    assert third["kind"] == "facts"
    assert card["summary"][-1] == "Read with care: 2 warnings under Providers."
    page = Page(render_html(card, {}))
    assert len([one for one in page.all("p") if one.get("class") == "warning"]) == 2
    assert told[0] in page.texts
    assert "**ohs, linear, random_intercept: not converged &lt;b&gt;**" in render_markdown(card)


# --- how far flags hang on choices ----------------------------------------------------------------


def test_the_summary_says_how_many_flags_hold_whatever_is_chosen(findings, card):
    flags = findings.analyses.groupby(["outcome", "provider_id"])["flag"].nunique()
    for sentence, outcome in zip(card["summary"][1:], OUTCOMES, strict=True):
        assert f"{(flags[outcome] == 1).sum()} have one flag under all 10 analyses." in sentence
        rows = findings.analyses.query(f"outcome == '{outcome}'")
        own = rows.query("method == 'nhs_england' and limits == 'nominal'")
        mine = set(own.loc[own["flag"] != "Not an outlier", "provider_id"])
        firm = {one for one in mine if flags[outcome][one] == 1}
        side = rows["flag"].str.partition(" ")[0].groupby(rows["provider_id"]).nunique()
        sided = {one for one in mine if side[one] == 1}
        assert (
            f"Of the {len(mine)} that the study's own analysis puts outside limits with any "
            f"learner, the flag holds under all for {len(firm)}, and the side for {len(sided)}."
        ) in sentence
        assert len(firm) <= len(sided) <= len(mine)


def test_flags_that_hold_and_move_are_counted(findings, card):
    table = only(tables(card, "sensitivity", "How many flags hold")).set_index(
        ["Outcome", "Learner"]
    )
    rows = findings.providers[findings.providers["flag_share"].notna()]
    for key, mine in rows.groupby(["outcome", "learner"]):
        row = table.loc[key]
        assert row["Compared"] == len(mine)
        assert row["One flag in all analyses"] == (mine["flag_share"] == 1).sum()
        assert row["Share"] == (mine["flag_share"] == 1).mean()
        flagged = mine[mine["flag"] != "Not an outlier"]
        assert row["Flagged"] == len(flagged) > 0
        assert row["Same flag in all"] == (flagged["flag_share"] == 1).sum()
        assert row["Same side in all"] == (flagged["flag_side_share"] == 1).sum()
        for label, choice in (
            ("Moved by another learner", "learner"), ("Moved by another method", "method"),
            ("Moved by other limits", "limits"),
        ):  # fmt: skip
            assert row[label] == mine["flag_moved_by"].str.contains(choice).sum()


def test_every_option_says_how_many_flags_it_changes(findings, card):
    table = only(tables(card, "sensitivity", "(ohs)", "one choice changes"))
    wide = findings.analyses.query("outcome == 'ohs'").pivot(
        index="provider_id", columns=["learner", "method", "limits"], values="flag"
    )
    own = ("linear", "nhs_england", "nominal")
    for label, other in (
        ("boosted trees", ("lightgbm", *own[1:])),
        ("fixed effects", ("linear", "fixed_effects", "nominal")),
        ("empirical Bayes", ("linear", "empirical_bayes", "nominal")),
        ("winsorised", ("linear", "nhs_england", "winsorised")),
    ):
        row = table[table["To"] == label].iloc[0]
        assert row["From linear"] == (wide[own] != wide[other]).sum()
    assert pd.isna(table[table["To"] == "boosted trees"].iloc[0]["From lightgbm"])
    assert "nominal" not in set(table["To"])


def test_flags_beyond_the_limits_say_how_firm_they_are(findings, card):
    table = only(tables(card, "sensitivity", "(ohs)", "how firm"))
    rows = findings.providers.query("outcome == 'ohs'")
    rows = rows[rows["flag"].str.contains("99.8", regex=False)]
    assert len(table) == len(rows.drop_duplicates(["provider_id", "flag"]))
    agreeing = []
    for one in table.itertuples(index=False):
        mine = rows[rows["provider_id"] == one.Provider]
        mine = mine[mine["flag"].str.startswith("Pos") == one.Place.startswith("above")]
        assert one.Under.split() == list(mine["learner"])
        count, _, total = one[3].partition(" of ")
        assert int(count) / int(total) == pytest.approx(mine["flag_share"].iloc[0])
        moving = {choice for cell in mine["flag_moved_by"] for choice in cell.split()}
        assert all((choice in one[5]) == (choice in moving) for choice in
                   ("learner", "method", "limits"))  # fmt: skip
        sided, _, whole = one[4].partition(" of ")
        assert int(sided) / int(whole) == pytest.approx(mine["flag_side_share"].iloc[0])
        assert int(sided) >= int(count)
        agreeing.append(int(count))
    assert agreeing == sorted(agreeing)


def test_a_choice_that_is_not_varied_is_said_to_be_so():
    found = example_findings(example_study(profile=example_rules(sensitivity={})))
    card = card_of(found)
    table = only(tables(card, "sensitivity", "How many flags hold"))
    assert table["Moved by another learner"].notna().all()
    assert table[["Moved by another method", "Moved by other limits"]].isna().all(axis=None)
    assert "| not varied | not varied |" in render_markdown(card)


def test_a_study_that_declares_nothing_says_that_nothing_is_known():
    alone = example_study(learners=[{"kind": "linear"}], profile=example_rules(sensitivity={}))
    (told,) = section(card_of(example_findings(alone)), "sensitivity")["blocks"]
    assert "how far its flags hang on its choices is not known" in told["text"]


# --- how much to believe it -----------------------------------------------------------------------


def test_the_share_of_chance_is_told_at_the_median_volume(findings, card):
    used = findings.reliability[findings.reliability["used"]]
    words = paragraphs(card, "belief")[0]
    for outcome, title in zip(OUTCOMES, ("Oxford Hip Score", "EQ-5D-3L index"), strict=True):
        shares = 100 * (1 - used.loc[used["outcome"] == outcome, "median_reliability"])
        volume = findings.providers.query("adjusted.notna()")["n"].median()
        low, high = f"{shares.min():.0f}", f"{shares.max():.0f}"
        span = f"{low} %" if low == high else f"{low} to {high} %"
        assert f"{title} ({volume:.0f} episodes), {span}" in words


def test_reliability_is_told_by_every_estimator(findings, card):
    table = only(tables(card, "belief", "(ohs)", "reliability"))
    rows = findings.reliability.query("outcome == 'ohs'")
    assert len(table) == len(rows) == 2 * 5
    assert table["SD between providers"].tolist() == rows["tau"].tolist()
    assert (table["Episodes for 0.7"] >= rows["volume_07"].to_numpy()).all()
    assert table.loc[table["Used"] == "here", "Estimator"].tolist() == (
        ["DerSimonian\N{EN DASH}Laird"] * 2
    )


def test_figures_without_an_interval_say_of_how_many_and_why(findings, card):
    table = only(tables(card, "belief", "(ohs)", "reliability"))
    assert table["Providers"].tolist() == (
        findings.reliability.query("outcome == 'ohs'")["n_providers"].tolist()
    )
    blocks = [one for name in ("belief", "explanation") for one in section(card, name)["blocks"]]
    notes = {one["caption"]: " ".join(one["notes"]) for one in blocks if one["kind"] == "table"}
    for caption, why in (
        ("reliability, by estimator", "None of these figures has an interval"),
        ("come out again", "the mean over 100 random splits. No interval is shown"),
        ("to the expectation", "Neither has an interval"),
    ):
        told = [words for name, words in notes.items() if caption in name]
        assert told
        assert all(why in one for one in told), caption
    assert all(
        words.startswith("Of ") for name, words in notes.items() if "to the expectation" in name
    )


def test_procedures_and_levels_are_in_words(findings):
    assert "Providers of primary hip replacement in" in build_card(findings)["summary"][0]
    levels = findings.subgroups["level"]
    named = findings.subgroups.assign(level=levels.replace(levels.iloc[0], "care_home"))
    told = build_card(dataclasses.replace(findings, subgroups=named))
    shown = {row[1] for one in section(told, "subgroups")["blocks"]
              if one["kind"] == "table" for row in one["rows"]}  # fmt: skip
    assert "care home" in shown
    assert not [one for one in shown if "_" in str(one)]


def test_a_volume_that_does_not_exist_is_said_in_words(findings):
    none = findings.reliability.assign(volume_07=float("inf"), volume_09=float("inf"))
    card = build_card(dataclasses.replace(findings, reliability=none))
    assert "| no volume | no volume |" in render_markdown(card)
    assert json.loads(json.dumps(card, allow_nan=False)) == card


def test_agreement_says_what_was_held_against_what(findings, card):
    table = only(tables(card, "belief", "come out again"))
    assert set(table["Correlation of providers between"]) == {
        "random halves of the episodes", "2017/18 and 2018/19",
    }  # fmt: skip
    assert table["Correlation"].tolist() == findings.agreement["correlation"].tolist()
    assert "| cannot be told |" in render_markdown(card)
    bare = build_card(dataclasses.replace(findings, agreement=findings.agreement.head(0)))
    assert any("Too few providers" in one for one in paragraphs(bare, "belief"))


def test_those_who_can_be_told_to_be_in_a_fifth_are_counted(findings, card):
    table = only(tables(card, "belief", "fifth")).set_index(["Outcome", "Learner"])
    rows = findings.providers[findings.providers["adjusted"].notna()]
    for key, mine in rows.groupby(["outcome", "learner"]):
        row = table.loc[key]
        assert row["Surely in the best"] == (mine["p_best_fifth"] >= 0.9).sum()
        assert row["Surely in the worst"] == (mine["p_worst_fifth"] >= 0.9).sum()
        assert row["A fifth is"] == 7


def test_what_is_left_of_those_beyond_the_limits_is_shown(findings, card):
    table = only(tables(card, "belief", "(ohs)", "less chance"))
    rows = findings.providers.query("outcome == 'ohs'").set_index(["provider_id", "learner"])
    beyond = rows[rows["flag"].str.contains("99.8", regex=False)]
    assert len(table) == len(beyond)
    for one in table.itertuples(index=False):
        row = beyond.loc[(one.Provider, one.Learner)]
        assert one[5] == [row["shrunken"], row["shrunken_lower95"], row["shrunken_upper95"]]
        assert one.Rank[0] == row["rank"]


def test_nobody_compared_can_be_told_from_chance(findings):
    few = findings.providers.assign(
        adjusted=float("nan"), flag="Insufficient records", suppression="adjusted"
    )
    empty = {name: getattr(findings, name).head(0) for name in
             ("analyses", "reliability", "agreement")}  # fmt: skip
    card = build_card(dataclasses.replace(findings, providers=few, **empty))
    assert "too few providers to tell" in paragraphs(card, "belief")[0]
    assert "not known" in paragraphs(card, "sensitivity")[0]
    assert render_html(card, {})


def test_one_outcome_without_anybody_to_compare_leaves_the_other_whole(findings):
    mine = findings.providers["outcome"] == "ohs"
    providers = findings.providers.copy()
    providers.loc[mine, ["adjusted", "flag"]] = [float("nan"), "Insufficient records"]
    rest = {name: getattr(findings, name).query("outcome == 'eq5d'") for name in
            ("analyses", "reliability", "agreement")}  # fmt: skip
    found = dataclasses.replace(findings, providers=providers, **rest)
    card = card_of(found)
    assert "no provider has enough episodes" in card["summary"][1]
    assert "37 providers compared" in card["summary"][2]
    assert "up to 10 analyses" in paragraphs(card, "sensitivity")[0]
    assert only(tables(card, "sensitivity", "(ohs)", "how firm")).empty
    assert not only(tables(card, "sensitivity", "(eq5d)", "how firm")).empty
    assert {name for name in draw_figures(found) if "ohs" in name} == {
        "calibration_ohs_linear.svg", "calibration_ohs_lightgbm.svg", "features_ohs_lightgbm.svg",
    }  # fmt: skip
    assert render_html(card, {})


# --- the command line -----------------------------------------------------------------------------


@pytest.mark.parametrize("rules", [{}, {"labels": "cms"}, {"levels": [0.9, 0.99]}], ids=str)
def test_the_command_line_counts_who_is_outside_by_place(rules):
    found = under(**rules)
    table = _metrics_table(SimpleNamespace(findings=found))
    level = f"{100 * rules.get('levels', [0.95])[0]:g}"
    assert f"outside the {level} % limits" in table.title
    rows = found.providers.query("adjusted.notna()")
    outside = ~rows["adjusted"].between(rows[f"lower{level}"], rows[f"upper{level}"])
    wanted = outside.groupby([rows["outcome"], rows["learner"]], sort=False).agg(["sum", "size"])
    assert [*table.columns[-1].cells] == [f"{sum_}/{size}" for sum_, size in wanted.to_numpy()]


# --- how tables are shown -------------------------------------------------------------------------


def test_performance_is_shown_with_a_line_per_figure(card):
    text = render_markdown(card)
    start = text.index("**Oxford Hip Score (ohs), points: performance**")
    lines = text[start:].split("\n\n")[1].splitlines()
    assert lines[0] == "| Learner | `linear` | `lightgbm` |"
    assert lines[1] == "| --- | ---: | ---: |"
    labels = [line.split(" | ")[0].removeprefix("| ") for line in lines[2:]]
    table = only(tables(card, "performance", "(ohs), points: performance"))
    assert labels == list(table.columns[1:])


def test_a_card_from_before_tables_could_be_turned_is_shown_as_it_was(card):
    columns = [{"label": "A", "format": "text"}, {"label": "B", "format": "number"}]
    block = {"kind": "table", "caption": "Old", "notes": [], "columns": columns, "rows": [["a", 1]]}
    section = {"title": "One", "anchor": "one", "blocks": [block]}
    old = {**card, "sections": [section]}
    assert "| A | B |" in render_markdown(old)
    assert "<td" in render_html(old, {})


def test_every_figure_with_a_short_name_is_explained(card):
    (told,) = [one for one in section(card, "performance")["blocks"]
               if one["kind"] == "facts"]  # fmt: skip
    labels = {one["label"] for one in told["items"]}
    table = only(tables(card, "performance", "(ohs), points: performance"))
    assert {"MAE", "RMSE", "Bias", "Total O/E"} <= labels <= set(table.columns)
    assert "C-statistic" not in labels


def test_levels_of_subgroups_stand_in_the_order_of_numbers(findings):
    one = findings.subgroups.query("outcome == 'ohs' and column == 'sex'").iloc[[0]]
    levels = ["1", "10", "2", "not recorded", "9"]
    rows = pd.concat([one.assign(column="deprivation_decile", level=level) for level in levels])
    card = build_card(dataclasses.replace(findings, subgroups=rows))
    table = only(tables(card, "subgroups", "(ohs)"))
    assert list(table["Level"]) == ["1", "2", "9", "10", "not recorded"]


def test_files_are_named_with_what_they_are(card):
    notes = [note for one in card["sections"] for block in one["blocks"]
             for note in block.get("notes", ())]  # fmt: skip
    named = [one for note in notes for one in note.split(". ") if ".csv" in one]
    assert named
    assert all(re.search(r"(is|are) in the table \w+\.csv of the run folder", one) for one in named)


def test_an_estimate_without_decimals_has_those_of_its_largest_number():
    column = {"format": "estimate", "decimals": None}
    assert format_value([11210.253, 3640.96, 18779.546], column) == "11,210 (3,641 to 18,780)"
    assert format_value([1.531, 0.691, 2.371], column) == "1.53 (0.69 to 2.37)"


@pytest.mark.parametrize(
    ("slope", "low", "high", "words"),
    [
        (2.1, 1.95, 2.25, ", gamma, two_part, or lightgbm with objective gamma."),
        (1.6, 1.5, 1.7, "tweedie with power 1.6, or lightgbm with objective tweedie."),
        (1.9, 1.5, 2.3, "tweedie with power 1.9, or lightgbm with objective tweedie; or gamma, "),
        (
            2.9,
            1.6,
            4.1,
            "by the gamma model, gamma, two_part, or lightgbm with objective gamma; or",
        ),
        (3.0, 2.8, 3.2, "though variance is steeper than in any family here."),
        (0.1, -0.2, 0.4, "linear (normal)."),
        (0.6, 0.4, 0.8, "tweedie with power 1.1, or lightgbm with objective tweedie, though it"),
    ],
)
def test_the_park_slope_names_learners_of_ours(slope, low, high, words):
    figures = {"park_slope": slope, "park_slope_lower95": low, "park_slope_upper95": high}
    told = families_in_words("cost", {"gamma": figures})
    assert told.startswith("Nearest family for cost: by the gamma model, ")
    assert words in told


def test_learners_that_are_suggested_are_learners():
    kinds = {get_args(one.model_fields["kind"].annotation)[0]
             for one in get_args(get_args(Learner)[0])}  # fmt: skip
    words = {word for one in FAMILIES for word in re.findall("[a-z_]+", one.learners)}
    assert {"linear", "tweedie", "lightgbm", "gamma", "two_part"} == words & kinds


def test_nothing_is_said_of_a_slope_that_is_not_known():
    none = {"park_slope": float("nan"), "park_slope_lower95": None}
    assert families_in_words("cost", {"gamma": none, "linear": {}}) == ""
