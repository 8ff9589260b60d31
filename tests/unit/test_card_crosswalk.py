"""The crosswalk: every place it names exists, nothing is claimed, and its counts are right."""

import re

import pytest
from findings_example import example_findings, example_study

from riskadj.report.card.card import CROSSWALK, SECTIONS, build_card
from riskadj.report.card.crosswalk import FRAMEWORKS, SUMMARY
from riskadj.report.card.person import ASKED
from riskadj.report.card.sections.crosswalk import NOT_CHECKED, NOTHING, Contents, crosswalk

ANCHORS = {anchor: title for title, anchor, _ in SECTIONS}
ENTRIES = [(one.title, entry) for one in FRAMEWORKS for entry in one.entries]
PLACES = sorted({place for _, entry in ENTRIES for place in entry.where})
ALL = Contents(ANCHORS, ANCHORS.keys(), ())


@pytest.fixture(scope="module")
def card():
    return build_card(example_findings())


def tables(blocks):
    return [one for one in blocks if one["kind"] == "table"]


@pytest.mark.parametrize("place", PLACES)
def test_a_place_is_a_section_or_a_field_of_a_person_in_its_section(place):
    section, _, field = place.partition(": ")
    assert section in ANCHORS or place == SUMMARY
    assert not field or ASKED[field].section == section


def test_every_field_of_a_person_serves_some_framework():
    named = {place.partition(": ")[2] for place in PLACES} - {""}
    whole = {place for place in PLACES if ":" not in place}
    unnamed = set(ASKED) - named
    assert {ASKED[one].section for one in unnamed} <= whole
    assert unnamed == {"appeal_route", "limitations", "sign_off"}


@pytest.mark.parametrize("one", FRAMEWORKS, ids=lambda one: one.title)
def test_a_framework_asks_for_each_thing_once(one):
    asked = [entry.asks for entry in one.entries]
    assert len(set(asked)) == len(asked)
    assert one.seen
    assert one.about.endswith(".")


@pytest.mark.parametrize(("title", "entry"), ENTRIES)
def test_what_is_lacking_is_of_something_that_is_partly_there(title, entry):
    assert entry.where or not entry.lacks, f"{title}: {entry.asks}"
    assert len(set(entry.where)) == len(entry.where)


def test_no_numbers_of_clauses_are_given():
    words = " ".join(f"{one.title} {entry.asks} {entry.lacks}" for one in FRAMEWORKS
                     for entry in one.entries)  # fmt: skip
    assert set(re.findall(r"\d[\d.]*", words)) == {"0.2", "1"}, "v0.2 and HTI-1"
    assert not re.search(r"\(\w\)|§|[Aa]rticle|[Cc]lause|[Ii]tem \d", words)


def test_conformity_is_claimed_with_nothing(card):
    appendix = card["sections"][-1]
    assert (appendix["title"], appendix["anchor"]) == CROSSWALK
    assert "claim conformity with nothing" in appendix["blocks"][0]["text"]
    shown = " ".join(note for one in tables(appendix["blocks"]) for note in one["notes"]).lower()
    assert not re.search("complian|conform|satisf|fulfil|meets", shown)


@pytest.mark.parametrize("one", FRAMEWORKS, ids=lambda one: one.title)
def test_a_framework_whose_own_text_was_not_seen_says_so_over_its_rows(card, one):
    (block,) = [
        x for x in tables(card["sections"][-1]["blocks"]) if x["caption"].startswith(one.title)
    ]
    assert (NOT_CHECKED in block["caption"]) != one.is_checked
    assert (block["columns"][0]["label"] == "Asked for, as summarised") != one.is_checked
    assert ("not at hand" in block["notes"][0]) != one.is_checked
    own, others = card["sections"][-1]["blocks"][1]["text"].split("Only as summarised")
    assert one.title in (own if one.is_checked else others)


def test_only_the_card_whose_schema_was_read_is_said_to_be_checked():
    assert [one.title for one in FRAMEWORKS if one.is_checked] == ["CHAI Applied Model Card, v0.2"]


def test_the_card_has_a_row_for_every_heading(card):
    shown = tables(card["sections"][-1]["blocks"])
    assert [len(one["rows"]) for one in shown] == [len(one.entries) for one in FRAMEWORKS]
    assert [len(one.entries) for one in FRAMEWORKS] == [39, 50, 31, 26]


def test_what_nobody_covers_is_said_so_and_nothing_else():
    rows = [row for one in tables(crosswalk(ALL)) for row in one["rows"]]
    for (_, entry), (_, here, not_here) in zip(ENTRIES, rows, strict=True):
        assert bool(here) == bool(entry.where)
        assert not_here == (entry.lacks if entry.where else NOTHING)


def test_a_text_still_to_be_written_is_marked_wherever_it_is_needed():
    contents = Contents(ANCHORS, ANCHORS.keys(), ("contact",))
    rows = [row for one in tables(crosswalk(contents)) for row in one["rows"]]
    marked = [asks for asks, here, _ in rows if "still to be written" in here]
    assert marked == [entry.asks for _, entry in ENTRIES if "identity: contact" in entry.where]
    assert len(marked) == 3


def test_a_section_that_a_run_does_not_have_is_not_pointed_to():
    there = ANCHORS.keys() - {"fairness"}
    rows = [row for one in tables(crosswalk(Contents(ANCHORS, there, ()))) for row in one["rows"]]
    for (_, entry), (_, here, not_here) in zip(ENTRIES, rows, strict=True):
        assert ANCHORS["fairness"] not in here
        assert ("this run has no section" in not_here) == ("fairness" in entry.where)


def test_the_counts_below_a_table_are_those_of_its_rows(card):
    todo = [ASKED[one].label.lower() for one in card["todo"]]
    for one in tables(card["sections"][-1]["blocks"]):
        whole, here, waiting, nothing = map(int, re.findall(r"\d+", one["notes"][1]))
        assert whole == len(one["rows"]) == here + nothing
        assert here == sum(bool(row[1]) for row in one["rows"])
        assert waiting == sum("(still to be written)" in row[1] for row in one["rows"])
    assert todo


def test_nothing_waits_in_a_card_that_is_written():
    several = ("limitations", "change_log")
    written = {one: ["One."] if one in several else "Text." for one in ASKED}
    card = build_card(example_findings(example_study(card=written)))
    notes = [one["notes"][1] for one in tables(card["sections"][-1]["blocks"])]
    assert all(", 0 of them with a text that is still to be written" in one for one in notes)
