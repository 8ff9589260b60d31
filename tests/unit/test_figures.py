"""Figures: what they show, that they are silent but for one description, and that they repeat."""

import dataclasses
import re
from itertools import pairwise
from xml.etree import ElementTree

import pandas as pd
import pytest
from findings_example import EXPLAINED, LEARNERS, OUTCOMES, example_findings, example_study

from riskadj.episodes.columns import COLUMNS
from riskadj.report import charts, labels
from riskadj.report.charts import FLAG_STYLES
from riskadj.report.comparison import comparison as compare
from riskadj.report.figures import _KINDS, _draw, draw_figures, figure_descriptions
from riskadj.report.words import FLAG_PLACES, LONGEST_LABEL, feature_label, format_number

SVG = "{http://www.w3.org/2000/svg}"
KINDS = ("funnel", "caterpillar", "calibration", "features")
FEATURES = {f"features_{one}_{EXPLAINED}.svg" for one in OUTCOMES}


@pytest.fixture(scope="module")
def findings():
    return example_findings()


@pytest.fixture(scope="module")
def drawn(findings):
    return draw_figures(findings)


@pytest.fixture(scope="module")
def comparison(findings):
    return compare(findings, findings.study.outcomes[0], "linear")


def draw(findings, kind="funnel", learner="linear"):
    """Draw one figure of the first outcome."""
    outcome = findings.study.outcomes[0]
    return _draw(kind, compare(findings, outcome, learner))


def texts(svg):
    return [one.text or "" for one in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def test_one_figure_per_kind_outcome_and_learner(drawn):
    wanted = {f"{k}_{o}_{one}.svg" for k in KINDS[:3] for o in OUTCOMES for one in LEARNERS}
    assert set(drawn) == wanted | FEATURES


def test_features_are_drawn_only_where_there_are_any(findings, drawn):
    bare = draw_figures(dataclasses.replace(findings, features=findings.features.head(0)))
    assert set(bare) == set(drawn) - FEATURES


def test_same_findings_same_bytes(findings, drawn):
    assert draw_figures(findings) == drawn


def test_order_of_rows_does_not_matter(findings, drawn):
    shuffled = findings.providers.sample(frac=1, random_state=3)
    again = dataclasses.replace(findings, providers=shuffled)
    assert draw(again) == drawn["funnel_ohs_linear.svg"]
    assert draw(again, "caterpillar") == drawn["caterpillar_ohs_linear.svg"]


def test_every_figure_has_one_description_and_silent_marks(findings, drawn):
    for name, svg in drawn.items():
        root = ElementTree.fromstring(svg)
        spoken = [one for one in root.iter() if "aria-label" in one.attrib or "role" in one.attrib]
        assert spoken == [root], name
        kind, outcome, learner = name.removesuffix(".svg").split("_")
        chosen = next(one for one in findings.study.outcomes if one.name == outcome)
        description = figure_descriptions(findings, kind, chosen)[learner]
        assert root.attrib["aria-label"].endswith(description)


def test_nothing_is_fetched_or_run(drawn):
    for svg in drawn.values():
        addresses = set(re.findall(r"https?://[^\"' )]+", svg))
        assert addresses <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
        assert not re.search("<script|<image|@import", svg)


def test_ids_differ_between_figures_so_that_a_page_can_hold_all(drawn):
    ids = [found for svg in drawn.values() for found in re.findall(r'\bid="([^"]+)"', svg)]
    assert len(ids) == len(set(ids))


def test_ids_do_not_depend_on_what_was_drawn_before():
    svg = '<svg width="9" role="x"><path id="{0}"/><g clip-path="url(#{0})" aria-level="b"/></svg>'
    first, later = (charts._tidied(svg.format(one), "funnel_a", "A < B") for one in ("c1", "c17"))
    assert first == later
    assert first == (
        '<svg role="img" aria-label="A &lt; B" width="9"><path id="funnel_a-0"/>'
        '<g clip-path="url(#funnel_a-0)"/></svg>'
    )


@pytest.mark.parametrize("kind", KINDS)
def test_charts_satisfy_the_schema(kind, findings):
    one = compare(findings, findings.study.outcomes[0], EXPLAINED)
    assert _KINDS[kind].draw(one).to_dict(validate=True)


def test_limits_are_those_of_the_method(comparison):
    limits = charts._limits(comparison)
    gain, sd = comparison.reference["gain"], comparison.reference["sd"]
    for n, low, high in limits[["n", "lower998", "upper998"]].itertuples(index=False):
        assert high == pytest.approx(gain + 3.0902 * sd / n**0.5)
        assert low == pytest.approx(gain - 3.0902 * sd / n**0.5)
    assert limits["n"].iloc[0] == 30


def test_funnel_names_only_those_beyond_the_outer_limits(findings, drawn):
    rows = findings.providers
    for outcome in OUTCOMES:
        for learner in LEARNERS:
            mine = rows[(rows["outcome"] == outcome) & (rows["learner"] == learner)]
            beyond = set(mine.loc[mine["flag"].str.contains("99.8"), "provider_id"])
            named = set(texts(drawn[f"funnel_{outcome}_{learner}.svg"])) & set(rows["provider_id"])
            assert named, "wanted at least one provider named"
            assert named <= beyond


def test_hidden_providers_are_nowhere(findings, drawn):
    hidden = set(findings.providers.loc[findings.providers["suppression"] == "all", "provider_id"])
    assert hidden
    assert not any(one in svg for one in hidden for svg in drawn.values())


def test_labels_keep_clear_of_each_other_and_of_marks():
    findings = example_findings(n_providers=238)
    for learner in LEARNERS:
        one = compare(findings, findings.study.outcomes[0], learner)
        points = charts._with_places(one).assign(x=one.compared["n"].astype(float))
        frame = labels.Frame((0.0, points["x"].max() * 1.04), charts._padded([*points["y"]]))
        rows = labels.place_labels(points, frame)
        assert len(rows) >= 5
        boxes = [
            labels.around(*frame.at(row["x"], row["y"]), 6.2 * len(row["text"]), 12.0)
            for row in rows
        ]
        marks = [labels.around(*frame.at(x, y), 8, 8) for x, y in points[["x", "y"]].to_numpy()]
        for place, box in enumerate(boxes):
            assert not any(box.hits(other) for other in [*boxes[:place], *marks])


def test_flags_differ_in_shape_or_filling_and_not_only_in_colour():
    looks = [(style.shape, style.fill == style.colour) for style in FLAG_STYLES]
    assert len(set(looks)) == len(looks) == len(FLAG_PLACES)


def test_margin_labels_are_a_line_apart():
    placed = labels.spread_lines([100.0, 101.0, 102.0, 103.0, 150.0])
    assert placed[2] == 102.0
    assert min(b - a for a, b in pairwise(placed)) >= labels.LINE_HEIGHT


def test_text_of_the_data_is_escaped(findings):
    providers = findings.providers.copy()
    providers["provider_id"] = "<b>&" + providers["provider_id"]
    svg = draw(dataclasses.replace(findings, providers=providers))
    assert "<b>" not in svg
    assert any(one.startswith("<b>&P") for one in texts(svg))


def test_figures_of_a_small_study_are_its_own():
    study = example_study(
        learners=[{"kind": "linear"}],
        outcomes=[{"name": "ohs", "instrument": "OHS", "kind": "gain"}],
    )
    assert set(draw_figures(example_findings(study))) == {
        "funnel_ohs_linear.svg", "caterpillar_ohs_linear.svg", "calibration_ohs_linear.svg",
    }  # fmt: skip


def test_a_reference_that_the_study_gives_is_named_as_its():
    reference = {"gain": 21.5, "sd": 8.0}
    outcome = {"name": "ohs", "instrument": "OHS", "kind": "gain", "reference": reference}
    findings = example_findings(example_study(outcomes=[outcome]))
    told = figure_descriptions(findings, "funnel", findings.study.outcomes[0])["linear"]
    assert told.endswith("centred on the reference gain of 21.5 points, as the study gives it.")


def test_descriptions_count_one_and_none_as_people_do(findings):
    rows = findings.providers[findings.providers["suppression"] == ""]
    outcome = findings.study.outcomes[0]

    def describe(providers, kind="funnel"):
        some = dataclasses.replace(findings, providers=providers)
        return figure_descriptions(some, kind, outcome)["linear"]

    assert describe(findings.providers).startswith("Funnel plot of 37 providers, ")
    assert "; not compared, having too few episodes: 3 more providers. " in describe(
        findings.providers
    )
    assert "not compared" not in describe(rows)
    one = rows[rows["provider_id"] == "P005"]
    assert describe(one).startswith("Funnel plot of 1 provider, ")
    assert describe(one, "caterpillar").startswith("Caterpillar plot of 1 provider in order")
    assert draw(dataclasses.replace(findings, providers=one))


def test_nobody_compared_leaves_out_the_provider_figures(findings):
    providers = findings.providers.assign(adjusted=float("nan"), flag="Insufficient records")
    drawn = draw_figures(dataclasses.replace(findings, providers=providers))
    assert {name.split("_")[0] for name in drawn} == {"calibration", "features"}


def test_whole_numbers_that_may_be_missing_are_drawn_alike(findings, drawn):
    providers = findings.providers.assign(n=findings.providers["n"].round().astype("Int64"))
    again = dataclasses.replace(findings, providers=providers)
    assert draw(again) == drawn["funnel_ohs_linear.svg"]


def test_two_hundred_and_fifty_providers_fit():
    findings = example_findings(n_providers=250)
    svg = draw(findings, "caterpillar")
    assert svg.count("<line") >= 240


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("q1_score_ohs", "Oxford Hip Score (before)"),
        ("q1_score_eq5d", "EQ-5D-3L index (before)"),
        ("symptom_period", "symptom period"),
        ("comorb_heart", "comorbidity: heart"),
        ("(fold)", "(fold)"),
    ],
)
def test_feature_labels_are_short(name, label):
    assert feature_label(name, COLUMNS) == label
    assert len(label) <= LONGEST_LABEL


@pytest.mark.parametrize(
    ("value", "decimals", "text"),
    [
        (38136, None, "38,136"),
        (22.6798, 2, "22.68"),
        (-0.004, 2, "0.00"),
        (-0.0104, 4, "\N{MINUS SIGN}0.0104"),
        (1.7e-15, None, "0"),
        (0.0, None, "0"),
        (float("nan"), 1, "nan"),
        (1234567.8, None, "1,234,568"),
    ],
)
def test_numbers_read_as_people_write_them(value, decimals, text):
    assert format_number(value, decimals) == text


def test_places_count_everybody_compared(comparison):
    assert sum(comparison.places.values()) == len(comparison.compared)
    assert isinstance(comparison.compared, pd.DataFrame)
