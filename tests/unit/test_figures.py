"""Figures: what they show, that they are silent but for one description, and that they repeat."""

import dataclasses
import re
from itertools import pairwise
from xml.etree import ElementTree

import pandas as pd
import pytest
from findings_example import (
    EXPLAINED,
    LEARNERS,
    OUTCOMES,
    example_findings,
    example_rules,
    example_study,
)

from riskadj.episodes.columns import COLUMNS
from riskadj.report.charts import compared as charts
from riskadj.report.charts import labels
from riskadj.report.charts.comparison import comparison as compare
from riskadj.report.charts.drawing import FLAG_STYLES, _tidied, _wrapped, padded, style_of
from riskadj.report.contest import MOST_SHOWN, contest
from riskadj.report.figures import (
    _KINDS,
    _draw,
    _subjects,
    draw_figures,
    figure_blocks,
    figure_descriptions,
)
from riskadj.report.places import Places
from riskadj.report.words import LONGEST_LABEL, feature_label, format_number

SVG = "{http://www.w3.org/2000/svg}"
KINDS = ("funnel", "caterpillar", "sensitivity", "reliability", "calibration", "features")
BY_LEARNER = ("funnel", "caterpillar", "reliability", "calibration")
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
    """Draw one figure of the first outcome, of one learner or of all."""
    subjects = _subjects(findings, kind, findings.study.outcomes[0])
    return _draw(kind, next(one for one in subjects if one.learner in (learner, "")))


def texts(svg):
    return [one.text or "" for one in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def read(svg):
    """Return all that is written, titles of several lines too."""
    parts = [
        part for one in ElementTree.fromstring(svg).iter(f"{SVG}text") for part in one.itertext()
    ]
    return " ".join(parts)


def test_one_figure_per_kind_outcome_and_learner(drawn):
    wanted = {f"{k}_{o}_{one}.svg" for k in BY_LEARNER for o in OUTCOMES for one in LEARNERS}
    assert set(drawn) == wanted | FEATURES | {f"sensitivity_{one}.svg" for one in OUTCOMES}


def test_features_are_drawn_only_where_there_are_any(findings, drawn, monkeypatch):
    monkeypatch.setattr("riskadj.report.figures._draw", lambda *_: "<svg></svg>")
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
        kind, outcome, *learner = name.removesuffix(".svg").split("_")
        chosen = next(one for one in findings.study.outcomes if one.name == outcome)
        description = figure_descriptions(findings, kind, chosen)["".join(learner)]
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
    first, later = (_tidied(svg.format(one), "funnel_a", "A < B") for one in ("c1", "c17"))
    assert first == later
    assert first == (
        '<svg role="img" aria-label="A &lt; B" width="9"><path id="funnel_a-0"/>'
        '<g clip-path="url(#funnel_a-0)"/></svg>'
    )


@pytest.mark.parametrize("kind", KINDS)
def test_charts_satisfy_the_schema(kind, findings):
    one = _subjects(findings, kind, findings.study.outcomes[0])[-1]
    assert _KINDS[kind].draw(one).to_dict(validate=True)


def test_nominal_limits_are_those_of_nhs_england(comparison):
    limits = charts._limits(comparison)
    gain, sd = comparison.reference["gain"], comparison.reference["sd"]
    for n, low, high in limits[["n", "lower998", "upper998"]].itertuples(index=False):
        assert high == pytest.approx(gain + 3.0902 * sd / n**0.5)
        assert low == pytest.approx(gain - 3.0902 * sd / n**0.5)
    assert limits["n"].iloc[0] == 30


# --- other rules ----------------------------------------------------------------------------------


def under(**rules):
    """Return the findings of the example under other rules, and its first comparison."""
    found = example_findings(example_study(profile=example_rules(**rules)))
    return found, compare(found, found.study.outcomes[0], "linear")


@pytest.mark.parametrize(
    "limits",
    ["nominal", "multiplicative", "winsorised", "empirical_null", "benjamini_hochberg"],
)
def test_curves_go_through_every_providers_own_limits(limits):
    _, one = under(limits=limits, levels=[0.9, 0.99])
    assert one.by_volume
    drawn = one.limits_at(one.compared["n"])
    for name in ("lower90", "upper90", "lower99", "upper99"):
        assert drawn[name].to_numpy() == pytest.approx(one.compared[name].to_numpy())


@pytest.mark.parametrize(
    "rules",
    [{"method": "random_intercept"}, {"method": "fixed_effects"}, {"peer_group": "sex"}],
    ids=str,
)
def test_limits_that_do_not_hang_on_volume_alone_are_ticks(rules):
    found, one = under(**rules)
    assert not one.by_volume
    limits = charts._limits(one)
    assert len(limits) == len(one.compared)
    assert sorted(limits["upper998"]) == pytest.approx(sorted(one.compared["upper998"]))
    svg = draw(found)
    assert "Ticks are each provider's own limits." in read(svg)
    assert svg.count("<line") >= 4 * len(one.compared)
    assert "<path" in draw(example_findings())


def test_each_provider_has_limits_of_its_own_where_peers_differ():
    found, one = under(peer_group="living_arrangements")
    assert one.centre is None
    svg = draw(found)
    assert "alike in living arrangements" in read(svg)
    assert not [text for text in texts(svg) if text.startswith("reference")]
    assert not [text for text in texts(draw(found, "caterpillar")) if text.startswith("reference")]


def test_a_shifted_middle_is_not_called_the_reference():
    found, _ = under(limits="empirical_null")
    words = texts(draw(found))
    assert "middle" in words
    assert not [one for one in words if one.startswith("reference ")]
    assert "not on the reference gain of 22.7 points" in read(draw(found))


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ({}, "Chance alone would put 1 provider in 20 outside the 95 % limits and 1 in 500 outside "
         "the 99.8 % ones."),
        ({"levels": [0.9, 0.99]}, "1 provider in 10 outside the 90 % limits and 1 in 100 outside "
         "the 99 % ones."),
        ({"labels": "cms"}, "Chance alone would put 1 provider in 20 outside the 95 % limits."),
        ({"limits": "winsorised"}, "Of providers that differ no more than most do there would be "
         "1 provider in 20"),
        ({"limits": "benjamini_hochberg"}, "at most 5 % of those outside the 95 % limits and 0.2 % "
         "of those outside the 99.8 % ones are there by chance alone."),
        ({"method": "empirical_bayes"}, "Effects are drawn to the middle"),
    ],
    ids=lambda value: str(value)[:40],
)  # fmt: skip
def test_the_funnel_says_what_its_limits_allow_for(rules, words):
    found, _ = under(**rules)
    assert words in read(draw(found))


def test_margins_name_the_levels_of_the_study():
    found, _ = under(levels=[0.9, 0.99])
    words = texts(draw(found))
    assert words.count("90 %") == words.count("99 %") == 2
    assert "95 %" not in words


def test_cms_has_three_places_and_one_pair_of_limits():
    found, one = under(labels="cms")
    assert list(one.places) == ["better", "no different", "worse"]
    assert sum(one.places.values()) == len(one.compared)
    words = texts(draw(found))
    assert words.count("95 %") == 2
    assert "99.8 %" not in words
    assert [text for text in words if text.startswith("worse (")]
    named = set(words) & set(found.providers["provider_id"])
    assert named
    assert named <= set(one.compared.loc[one.compared["flag"].isin(one.told.beyond), "provider_id"])


@pytest.mark.parametrize("labels", ["nhs_england", "cms"])
def test_places_that_flags_tell_apart_look_different(labels):
    rules = example_study(profile=example_rules(labels=labels)).profile
    told = Places(rules)
    looks = {style_of(one) for one in told.all}
    assert len(looks) == len(told.all) == {"nhs_england": 5, "cms": 3}[labels]
    assert [one.side for one in told.all if one.beyond] == [1, -1]
    assert set(told.outside) == set(told.flags) - {told.all[len(told.all) // 2].flag}


# --- whose flag holds -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def contested(findings):
    return contest(findings, findings.study.outcomes[0])


def test_every_analysis_has_a_column_grouped_by_learner_and_limits(contested):
    assert contested.analyses == [
        (learner, method, limits)
        for learner in LEARNERS
        for limits, methods in (
            ("nominal", ("nhs_england", "fixed_effects", "empirical_bayes")),
            ("winsorised", ("nhs_england", "fixed_effects")),
        )
        for method in methods
    ]
    assert contested.own == [(one, "nhs_england", "nominal") for one in LEARNERS]


def test_the_most_contested_come_first(findings, contested):
    rows = findings.analyses[findings.analyses["outcome"] == "ohs"]
    counts = rows.groupby("provider_id")["flag"].value_counts().groupby("provider_id").max()
    flagged = rows[rows["flag"] != "Not an outlier"]["provider_id"].unique()
    shown = contested.most_contested()
    assert set(shown.index) == set(flagged)
    assert counts[shown.index].is_monotonic_increasing
    assert contested.agreeing[shown.index].tolist() == counts[shown.index].tolist()


def test_a_row_has_a_mark_for_every_analysis(contested, drawn):
    svg = drawn["sensitivity_ohs.svg"]
    shown = contested.most_contested()
    assert len(marks_of(svg)) == shown.size
    words = texts(svg)
    assert [one for one in words if one in set(shown.index)] == list(shown.index)
    assert words.count("N") == 4
    assert words.count("E") == words.count("nominal") == words.count("winsorised") == 2
    assert {*LEARNERS, f"{contested.agreeing[shown.index[0]]}/10"} <= set(words)


def marks_of(svg):
    """Return the paths of the marks of a figure, in order."""
    root = ElementTree.fromstring(svg)
    groups = [one for one in root.iter() if "mark-symbol role-mark" in one.get("class", "")]
    return [path.attrib for path in groups[0].iter(f"{SVG}path")]


def test_marks_say_what_the_analyses_say(contested, findings, drawn):
    rows = findings.analyses[findings.analyses["outcome"] == "ohs"].set_index(
        ["provider_id", "learner", "method", "limits"]
    )["flag"]
    styles = {place.flag: style_of(place) for place in contested.told.all}
    wanted = [
        (styles[rows[(provider, *key)]].fill, styles[rows[(provider, *key)]].colour)
        for provider in contested.most_contested().index
        for key in contested.analyses
    ]
    marks = marks_of(drawn["sensitivity_ohs.svg"])
    assert [(one["fill"], one["stroke"]) for one in marks] == wanted
    assert len(set(wanted)) == 5


def test_the_order_of_analyses_does_not_matter(findings, drawn):
    shuffled = findings.analyses.sample(frac=1, random_state=3)
    again = dataclasses.replace(findings, analyses=shuffled)
    assert draw(again, "sensitivity") == drawn["sensitivity_ohs.svg"]


def test_those_who_have_no_room_are_counted_in_words():
    findings = example_findings(n_providers=238)
    one = contest(findings, findings.study.outcomes[0])
    flagged = int(one.flagged.sum())
    assert flagged > MOST_SHOWN == len(one.most_contested())
    (told,) = figure_descriptions(findings, "sensitivity", one.outcome).values()
    assert f"The {MOST_SHOWN} most contested of the {flagged} that are outside limits" in told
    assert f"Of {len(one.flags)} providers {flagged} are outside limits in any of them" in told


def test_long_names_are_cut_short(findings):
    renamed = {
        name: getattr(findings, name).assign(
            provider_id="The Royal Hospital of " + getattr(findings, name)["provider_id"]
        )
        for name in ("providers", "analyses")
    }
    svg = draw(dataclasses.replace(findings, **renamed), "sensitivity")
    assert "The Royal Hospita\N{HORIZONTAL ELLIPSIS}" in texts(svg)


def test_one_analysis_is_not_held_against_itself():
    alone = example_study(learners=[{"kind": "linear"}], profile=example_rules(sensitivity={}))
    found = example_findings(alone)
    assert not _subjects(found, "sensitivity", found.study.outcomes[0])
    assert _subjects(found, "funnel", found.study.outcomes[0])


def test_learners_alone_are_held_against_each_other():
    found = example_findings(example_study(profile=example_rules(sensitivity={})))
    words = texts(draw(found, "sensitivity"))
    assert set(LEARNERS) <= set(words)
    assert not {"N", "nominal"} & set(words)


# --- reliability ----------------------------------------------------------------------------------


def test_reliability_is_drawn_for_everybody_with_the_volumes_that_are_needed(comparison, drawn):
    svg = drawn["reliability_ohs_linear.svg"]
    assert len(marks_of(svg)) == len(comparison.compared)
    volumes = comparison.reliability.query("used").iloc[0]
    words = texts(svg)
    assert f"0.7: {format_number(-int(-volumes['volume_07'] // 1))}" in words
    assert {"REML", "winsorised", "trimmed"} <= set(words)


def test_providers_lie_on_the_curve_of_the_estimator_that_is_used(comparison):
    tau = comparison.taus["dersimonian_laird"]
    error2 = comparison.reference["sd"] ** 2 / comparison.compared["n"]
    wanted = tau**2 / (tau**2 + error2)
    assert comparison.compared["reliability"].to_numpy() == pytest.approx(wanted.to_numpy())
    curve = charts._reliability_curve(comparison, tau)
    assert curve["y"].is_monotonic_increasing


def test_where_no_volume_is_enough_the_figure_says_so(findings):
    none = findings.reliability.assign(
        tau=0.0, icc=0.0, median_reliability=0.0, volume_07=float("inf"), volume_09=float("inf")
    )
    found = dataclasses.replace(findings, reliability=none)
    assert "0.9: no volume" in texts(draw(found, "reliability"))
    told = figure_descriptions(found, "reliability", found.study.outcomes[0])["linear"]
    assert "for which no volume is enough" in told


def test_funnel_names_only_those_beyond_the_outer_limits(findings, drawn):
    rows = findings.providers
    for outcome in OUTCOMES:
        for learner in LEARNERS:
            mine = rows[(rows["outcome"] == outcome) & (rows["learner"] == learner)]
            beyond = set(mine.loc[mine["flag"].str.contains("99.8"), "provider_id"])
            named = set(texts(drawn[f"funnel_{outcome}_{learner}.svg"])) & set(rows["provider_id"])
            assert named, "wanted at least one provider named"
            assert named <= beyond


def test_caterpillars_name_the_same_providers(findings, drawn):
    for outcome in findings.study.outcomes:
        for learner in LEARNERS:
            one = compare(findings, outcome, learner)
            beyond = one.compared["flag"].str.contains("99.8", regex=False)
            written = set(texts(drawn[f"caterpillar_{outcome.name}_{learner}.svg"]))
            named = written & set(findings.providers["provider_id"])
            assert named, "wanted at least one provider named"
            assert named <= set(one.compared.loc[beyond, "provider_id"])


def test_names_in_a_caterpillar_keep_clear_of_every_bar():
    findings = example_findings(n_providers=238)
    one = compare(findings, findings.study.outcomes[0], "linear")
    points = charts._with_places(one).assign(x=[float(n + 1) for n in range(len(one.compared))])
    low, high = charts._interval(one)
    frame = labels.Frame((0.0, len(points) + 1.0), padded([*low, *high], charts.ROOM_FOR_NAMES))
    rows = charts._at_the_ends(points, one, frame)
    assert len(rows) >= 5
    boxes = [
        labels.around(*frame.at(row["x"], row["y"]), 6.2 * len(row["text"]), 12.0) for row in rows
    ]
    bars = [labels._bar(frame, *bar) for bar in zip(points["x"], low, high, strict=True)]
    for place, box in enumerate(boxes):
        assert not any(box.hits(other) for other in [*boxes[:place], *bars])


@pytest.mark.parametrize("kind", ["funnel", "caterpillar"])
def test_where_nobody_is_beyond_the_outer_limits_those_outside_any_are_named(findings, kind):
    changed = findings.providers.replace(r"99\.8%", "95%", regex=True)
    found = dataclasses.replace(findings, providers=changed)
    named = set(texts(draw(found, kind))) & set(changed["provider_id"])
    rows = changed.query("outcome == 'ohs' and learner == 'linear'")
    assert named
    assert named <= set(
        rows.loc[rows["flag"].str.contains("outlier (9", regex=False), "provider_id"]
    )


# --- shares, and several outcomes of one instrument -----------------------------------------------

RESPONDER = {
    "name": "eq5d", "instrument": "OHS", "kind": "responder",
    "threshold": {"kind": "percent_change", "value": 35, "source": "an example"},
}  # fmt: skip
FINAL = {"name": "ohs", "instrument": "OHS", "kind": "final_score"}


@pytest.mark.parametrize("kind", ["funnel", "caterpillar"])
def test_no_share_is_drawn_beyond_its_ends(kind):
    found = example_findings(example_study(outcomes=[RESPONDER]))
    beyond = found.providers.assign(upper998=1.2, ci_upper95=1.1, lower998=-0.1, ci_lower95=-0.2)
    svg = draw(dataclasses.replace(found, providers=beyond), kind)
    ticks = [float(one) for one in texts(svg) if re.fullmatch(r"\d\.\d+", one)]
    assert max(ticks) == 1.0
    assert min(ticks) == 0.0
    assert not [one for one in texts(svg) if re.fullmatch("\N{MINUS SIGN}\\d\\.\\d+", one)]
    assert "adjusted share of episodes" in texts(svg)


def test_titles_tell_outcomes_of_one_instrument_apart():
    drawn = draw_figures(example_findings(example_study(outcomes=[FINAL, RESPONDER])))
    for kind in BY_LEARNER:
        assert "Oxford Hip Score (ohs, final score)" in read(drawn[f"{kind}_ohs_linear.svg"])
        assert "improved by 35 % or more (eq5d)" in " ".join(
            read(drawn[f"{kind}_eq5d_linear.svg"]).split()
        )


def test_hidden_providers_are_nowhere(findings, drawn):
    hidden = set(findings.providers.loc[findings.providers["suppression"] == "all", "provider_id"])
    assert hidden
    assert not any(one in svg for one in hidden for svg in drawn.values())


def test_labels_keep_clear_of_each_other_and_of_marks():
    findings = example_findings(n_providers=238)
    for learner in LEARNERS:
        one = compare(findings, findings.study.outcomes[0], learner)
        points = charts._with_places(one).assign(x=one.compared["n"].astype(float))
        frame = labels.Frame((0.0, points["x"].max() * 1.04), padded([*points["y"]]))
        rows = labels.place_labels(points, frame, one.told.beyond)
        assert len(rows) >= 5
        boxes = [
            labels.around(*frame.at(row["x"], row["y"]), 6.2 * len(row["text"]), 12.0)
            for row in rows
        ]
        marks = [labels.around(*frame.at(x, y), 8, 8) for x, y in points[["x", "y"]].to_numpy()]
        for place, box in enumerate(boxes):
            assert not any(box.hits(other) for other in [*boxes[:place], *marks])


def test_flags_differ_in_shape_or_filling_and_not_only_in_colour():
    looks = [(style.shape, style.fill == style.colour) for style in FLAG_STYLES.values()]
    assert len(set(looks)) == len(looks) == 5


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
        "reliability_ohs_linear.svg", "sensitivity_ohs.svg",
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
    nobody = dataclasses.replace(
        findings,
        providers=providers,
        analyses=findings.analyses.head(0),
        reliability=findings.reliability.head(0),
    )
    drawn = draw_figures(nobody)
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


# --- intervals beside limits ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ({}, "Bars are 95 % intervals. Expected"),
        ({"limits": "additive"}, "by chance alone (nominal); a flag's limits allow for more,"),
        ({"limits": "benjamini_hochberg"}, "limits allow for how many providers are looked at"),
        ({"method": "empirical_bayes"}, "Bars are 95 % intervals of effects drawn to the middle."),
    ],
    ids=str,
)  # fmt: skip
def test_the_caterpillar_says_whether_its_bars_are_as_its_limits(rules, words):
    found, _ = under(**rules)
    assert words in read(draw(found, "caterpillar"))


def test_captions_name_outcome_and_learner_as_people_do():
    found = example_findings()
    (outcome, *_) = found.study.outcomes
    captions = [one["caption"] for one in figure_blocks(found, "funnel", outcome)]
    assert captions == ["Oxford Hip Score, the linear model", "Oxford Hip Score, boosted trees"]
    (grid,) = figure_blocks(found, "sensitivity", outcome)
    assert grid["caption"] == "Oxford Hip Score, every learner"


def test_no_line_of_a_title_ends_between_a_number_and_its_per_cent_sign():
    words = "Bars are intervals of "
    for width in range(10, 40):
        lines = _wrapped(f"{words}95 % and of {words}99.8 % by chance", width)
        assert not any(line.startswith("%") for line in lines)
        assert " ".join(lines) == f"{words}95 % and of {words}99.8 % by chance"
