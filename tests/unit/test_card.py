"""The card: one source of truth, nothing hidden shown, nothing unwritten passed over."""

import dataclasses
import json
from html.parser import HTMLParser
from types import SimpleNamespace

import pandas as pd
import pytest
from findings_example import LEARNERS, OUTCOMES, example_findings, example_study

from riskadj.report.card import build_card
from riskadj.report.figures import draw_figures
from riskadj.report.render import format_value, render_html, render_markdown
from riskadj.study.records import CardText

HOSTILE = "<script>alert('x')</script> | [a](javascript:b) `c`"
SECTIONS = [
    "Identity", "Intended use", "Data and flow", "Outcome definition", "Case mix", "Models",
    "Performance", "Calibration", "Subgroups", "Providers", "Explanation", "Limitations",
    "Provenance",
]  # fmt: skip
WRITTEN = {
    name: f"Somebody wrote the {name}." for name in CardText.model_fields if name != "limitations"
}


@pytest.fixture(scope="module")
def findings():
    return example_findings()


@pytest.fixture(scope="module")
def card(findings):
    return build_card(findings)


@pytest.fixture(scope="module")
def drawn(findings):
    return draw_figures(findings)


def section(card, anchor):
    return next(one for one in card["sections"] if one["anchor"] == anchor)


def tables(card, anchor, caption=""):
    """Return the tables of a section as frames, by caption."""
    blocks = [one for one in section(card, anchor)["blocks"] if one["kind"] == "table"]
    return {
        one["caption"]: pd.DataFrame(one["rows"], columns=[c["label"] for c in one["columns"]])
        for one in blocks
        if caption in one["caption"]
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


# --- what a person has still to write -------------------------------------------------------------


def test_todo_lists_exactly_what_is_not_written(card):
    assert card["todo"] == [
        "population", "out_of_scope", "rationale", "payment_use", "appeal_route",
        "human_oversight", "consent_and_representativeness", "maintenance", "contact", "licence",
    ]  # fmt: skip


def test_every_unwritten_field_is_marked_in_both_renderings(card):
    page = Page(render_html(card, {}))
    marked = [one for one in page.all("dd") if one.get("class") == "todo"]
    assert len(marked) == len(card["todo"])
    assert render_markdown(card).count("**TODO: to be written by a person**") == len(card["todo"])


def test_a_written_card_says_todo_nowhere():
    study = example_study(card=WRITTEN | {"limitations": ["One."]})
    card = build_card(example_findings(study))
    assert card["todo"] == []
    assert "TODO" not in json.dumps(card)
    page = render_html(card, {})
    assert "TODO" not in page
    assert all(text in page for text in WRITTEN.values()), "every text of a person is shown"


def test_limitations_that_nobody_stated_are_to_do():
    card = build_card(example_findings(example_study(card=WRITTEN)))
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
    assert section(again, "providers") == section(build_card(findings), "providers")


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
    lines = [one for one in render_markdown(card).splitlines() if one.startswith("| P010 |")]
    assert lines
    assert all("| withheld |" in one for one in lines)


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
        assert sorted(table.loc[learner]) == sorted(metrics.values())
    assert "held-out" in paragraphs(card, "performance")[0]


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


def test_calibration_shows_the_learner_that_is_worst(findings):
    calibration = findings.calibration.copy()
    worst = (calibration["outcome"] == "ohs") & (calibration["learner"] == "linear")
    calibration.loc[worst & (calibration["decile"] == 4), "difference"] = -9.5
    card = build_card(dataclasses.replace(findings, calibration=calibration))
    table = only(
        tables(card, "calibration", "Oxford Hip Score (ohs), points: calibration of linear")
    )
    assert table.iloc[3, -1] == -9.5


def test_sources_and_chain_name_every_digest(findings, card):
    origin = findings.provenance
    chain = set(only(tables(card, "provenance", "chain"))["Digest (SHA-256)"])
    assert {one["digest"] for one in origin["stages"]} <= chain
    assert {origin["study"]["digest"], origin["code"]["digest"]} <= chain
    assert {one["digest"] for one in origin["data"]} <= chain


def test_refused_columns_say_why(card):
    table = only(tables(card, "casemix", "Refused")).set_index("Because")["Columns"]
    assert table["it is known only after the episode"] == "q2_score_ohs, q2_score_eq5d"
    assert table["it is known only during the episode"] == "discharge_date"


# --- the worked example ---------------------------------------------------------------------------


def contributions(provider, values, learner="lightgbm"):
    total = sum(values.values())
    return [("ohs", learner, provider, 90, *one, total) for one in values.items()]


def worked(findings, *rows):
    columns = ["outcome", "learner", "provider_id", "n", "feature", "contribution", "difference"]
    table = pd.DataFrame([one for some in rows for one in some], columns=columns)
    card = build_card(dataclasses.replace(findings, provider_features=table))
    return [one for one in paragraphs(card, "explanation") if one.startswith("An example")]


BELOW = {
    "q1_score_ohs": -1.1, "comorb_heart": -0.4, "sex": -0.3, "age_band_10y": -0.15,
    "symptom_period": 0.1,
}  # fmt: skip


def test_the_example_adds_up_in_words(findings):
    (sentence,) = worked(findings, contributions("P005", BELOW), contributions("P006", {"sex": 1}))
    assert (
        "provider P005's expected score after is 1.85 points below that of the reference "
        "population: 1.10 from Oxford Hip Score (before), 0.40 from comorbidity: heart, 0.30 from "
        "sex and 0.05 from the 2 other columns together."
    ) in sentence


def test_the_example_says_what_points_the_other_way(findings):
    values = {"q1_score_ohs": 2.0, "sex": 0.5, "comorb_heart": -0.25}
    (sentence,) = worked(findings, contributions("P005", values))
    assert "2.25 points above" in sentence
    assert "and 0.25 the other way from the 1 other column together" in sentence


def test_the_example_is_never_of_a_suppressed_provider(findings):
    far = {"q1_score_ohs": -40.0}
    rows = [contributions(one, far) for one in ("P000", "P001", "P002")]
    assert worked(findings, *rows) == []
    (sentence,) = worked(findings, *rows, contributions("P005", BELOW))
    assert "P005" in sentence


# --- other studies --------------------------------------------------------------------------------


def labels_of_limits(card):
    return {one["label"] for one in facts(card, "limitations")}


def test_limitations_follow_from_the_method(card):
    assert {"Over-dispersion", "Missing follow-up", "Relative comparison"} <= labels_of_limits(card)
    assert not {"Published expectation", "Influence of providers"} & labels_of_limits(card)


def test_limitations_follow_from_the_study():
    study = example_study(
        learners=[{"kind": "reference"}, {"kind": "linear"}],
        recalibration={"method": "none"},
        casemix={"columns": ["sex"], "allow_provider_influenced": True},
    )
    found = example_findings()
    renamed = {
        one.name: getattr(found, one.name).replace({"learner": {"lightgbm": "reference"}})
        for one in dataclasses.fields(found)
        if isinstance(getattr(found, one.name), pd.DataFrame)
    }
    labels = labels_of_limits(build_card(dataclasses.replace(found, study=study, **renamed)))
    assert {"Published expectation", "Influence of providers"} <= labels
    assert "Relative comparison" not in labels


def test_folds_are_told_where_periods_are_shared():
    split = {"train": ["2018/19"], "test": ["2018/19"], "folds": 4, "seed": 1}
    told = {one["label"]: one["value"] for one in facts(build_card(
        example_findings(example_study(split=split))), "models")}  # fmt: skip
    assert told["Folds"] == "4 folds, each provider whole in one"
    assert told["Split"].startswith("Out of fold within 2018/19")


def test_one_learner_has_nobody_to_agree_with():
    found = example_findings(example_study(learners=[{"kind": "linear"}]))
    card = build_card(found)
    assert any("With one learner" in one for one in paragraphs(card, "providers"))
    assert all("change flag" not in one for one in card["summary"])


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
    study = example_study(title=HOSTILE, card=WRITTEN | {"limitations": [HOSTILE]})
    found = example_findings(study)
    providers = found.providers.copy()
    providers["provider_id"] += HOSTILE
    flow = found.flow.assign(reason=HOSTILE)
    return dataclasses.replace(found, providers=providers, flow=flow)


def test_no_text_becomes_markup_in_html(hostile):
    page = Page(render_html(build_card(hostile), draw_figures(hostile)))
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
    assert len(page.all("svg")) == 16


def test_the_page_can_be_read_by_ear(card, drawn):
    page = Page(render_html(card, drawn))
    ids = [some["id"] for _, some in page.tags if "id" in some]
    assert len(ids) == len(set(ids))
    assert all(one["href"][1:] in ids for one in page.all("a"))
    assert len(page.all("caption")) == len(page.all("table")) > 0
    assert all(one.get("scope") == "col" for one in page.all("th"))
    assert len(page.all("h1")) == 1
    assert page.all("html")[0]["lang"] == "en-GB"


def test_a_figure_that_was_not_drawn_leaves_its_description(card):
    assert "Funnel plot of 37 providers" in " ".join(Page(render_html(card, {})).texts)


def test_markdown_links_figures_and_keeps_tables_whole(card):
    text = render_markdown(card)
    assert text.count("](figures/") == 16
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
        ("ab" * 32, {"format": "code"}, "abababababab"),
        ("q1_score_ohs", {"format": "code"}, "q1_score_ohs"),
        (21034, {"format": "number", "decimals": 0}, "21,034"),
        (None, {"format": "number", "decimals": 0, "missing": "suppressed"}, "suppressed"),
    ],
)  # fmt: skip
def test_values_are_shown_as_their_column_wants(value, column, text):
    assert format_value(value, column) == text
