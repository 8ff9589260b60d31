"""A card as a record: what a person has to write, which formats are read, what gets on a shelf."""

import json
import shutil
import signal
import subprocess
import sys
from dataclasses import replace

import pytest
from findings_example import example_findings, example_study

from riskadj.cli import main
from riskadj.digest import digest_of_file
from riskadj.errors import FileFormatError, FileMissingError, OutputError
from riskadj.report.blocks import TODO_MARK
from riskadj.report.card.card import SECTIONS, build_card
from riskadj.report.card.person import ASKED, told, unwritten
from riskadj.report.card.published import (
    figures_of,
    publish_card,
    read_card,
    unwritten_of_card,
    unwritten_of_study,
)
from riskadj.report.folder import MARK, files_in, read_json, write_json, write_text
from riskadj.report.provenance import FORMAT, sealed
from riskadj.report.render import render_html, render_markdown
from riskadj.study.report import CardText

SEVERAL = ("limitations", "change_log")
WRITTEN = {one: ["One."] if one in SEVERAL else "Somebody wrote it." for one in ASKED}
FIELDS_OF_AN_AUDITOR = {
    "identity": {
        "Version", "Made", "Seed", "Digest of the study", "Digest of the code", "Contact",
        "Licence",
    },
    "use": {"Intended use", "Users", "Population", "Out of scope"},
    "payment": {"Use in payment", "Perverse incentives", "Route of appeal", "Human oversight"},
    "data": {"Collected as", "Periods", "Consent and representativeness"},
    "outcome": {"Instrument", "Window", "Why these outcomes"},
    "predictors": {"Columns that the provider can influence", "Why these columns"},
    "model": {"Split", "Folds", "Recalibration"},
    "limits": {
        "Stated by the study", "Maintenance", "Plan against drift", "Change", "Sign-off",
    },
}  # fmt: skip
TABLES_OF_AN_AUDITOR = (
    "Environment", "The chain of digests", "Sources", "flow of episodes",
    "Case mix that was not recorded", "Adjusted for", "Refused", "Learners", "performance",
    "reliability",
)  # fmt: skip


@pytest.fixture(scope="module")
def card():
    return build_card(example_findings())


@pytest.fixture
def shelved(card, tmp_path):
    """Return a function that writes a card, with changes, and gives its file."""

    def write(**changes):
        content = {key: one for key, one in (card | changes).items() if one is not None}
        write_json(content, tmp_path / "card.json")
        return tmp_path / "card.json"

    return write


@pytest.fixture
def run(card, tmp_path):
    """Return the folder of a run with little more than its card."""
    folder = tmp_path / "run"
    (folder / "figures").mkdir(parents=True)
    drawn = {one: f"<svg><title>{one}</title></svg>" for one in figures_of(card)}
    for name, svg in (drawn | {"not_of_the_card.svg": "<svg/>"}).items():
        write_text(svg, folder / "figures" / name)
    write_json(card, folder / "card.json")
    write_text(render_markdown(card), folder / "card.md")
    write_text(render_html(card, drawn), folder / "card.html")
    write_text("a,b\n", folder / "providers.csv")
    files = {name: digest_of_file(path) for name, path in files_in(folder).items()}
    write_json(sealed({**card["provenance"], "files": files}), folder / MARK)
    return folder


def facts(card):
    blocks = [block for section in card["sections"] for block in section["blocks"]]
    return [item for block in blocks if block["kind"] == "facts" for item in block["items"]]


def captions(card):
    blocks = [block for section in card["sections"] for block in section["blocks"]]
    return [block["caption"] for block in blocks if block["kind"] == "table"]


# --- the fields -----------------------------------------------------------------------------------


@pytest.mark.parametrize("part", FIELDS_OF_AN_AUDITOR)
def test_every_field_that_an_auditor_expects_is_there(card, part):
    assert {one["label"] for one in facts(card)} >= FIELDS_OF_AN_AUDITOR[part]


@pytest.mark.parametrize("words", TABLES_OF_AN_AUDITOR)
def test_every_table_that_an_auditor_expects_is_there(card, words):
    assert any(words in one for one in captions(card))


def test_a_record_says_its_format_in_itself_and_to_its_reader(card):
    assert card["format"] == FORMAT
    assert ("Format of this record", FORMAT) in {
        (one["label"], one["value"]) for one in facts(card)
    }


def test_columns_that_could_be_adjusted_for_are_named(card):
    found = example_findings()
    some = build_card(replace(found, unused=found.casemix[:2]))
    told_here = {one["label"]: one["value"] for one in facts(some)}
    names = ", ".join(one.name for one in found.casemix[:2])
    assert told_here["In the data, and not adjusted for"] == names
    assert "In the data, and not adjusted for" not in {one["label"] for one in facts(card)}


# --- what a person has to write -------------------------------------------------------------------


def test_every_field_of_a_person_is_asked_for_where_it_stands():
    assert set(ASKED) == set(CardText.model_fields)
    assert {one.section for one in ASKED.values()} <= {anchor for _, anchor, _ in SECTIONS}
    assert len({one.label for one in ASKED.values()}) == len(ASKED)


@pytest.mark.parametrize("left_out", [["users"], list(ASKED)], ids=["one", "every one"])
def test_a_field_left_out_is_shown_in_its_section_and_listed(left_out):
    study = example_study(card={one: of for one, of in WRITTEN.items() if one not in left_out})
    card = build_card(example_findings(study))
    assert card["todo"] == left_out
    shown = [
        (part["anchor"], item["label"])
        for part in card["sections"]
        for block in part["blocks"]
        if block["kind"] == "facts"
        for item in block["items"]
        if item["todo"]
    ]
    assert sorted(shown) == sorted((ASKED[one].section, ASKED[one].label) for one in left_out)


@pytest.mark.parametrize("text", ["", "  ", "\n", "TODO", "todo: ask Anna", " ToDo"])
def test_a_text_that_says_nothing_is_not_written(text):
    card = CardText(**(WRITTEN | {"users": text}))
    assert unwritten(card) == ["users"]
    assert told(card, "users")[0][1].startswith(TODO_MARK)


def test_a_reminder_keeps_its_words():
    assert told(CardText(users="todo: ask Anna"), "users") == [("Users", "TODO: ask Anna")]


@pytest.mark.parametrize("text", ["Todos los hospitales.", "Nothing to do with TODO."])
def test_a_text_that_only_resembles_the_mark_is_written(text):
    assert unwritten(CardText(**(WRITTEN | {"users": text}))) == []


def test_one_of_several_texts_is_enough_to_wait_for():
    some = WRITTEN | {"change_log": ["1: the first.", "TODO: 2"]}
    assert unwritten(CardText(**some)) == ["change_log"]
    assert [text for _, text in told(CardText(**some), "change_log")] == [
        "1: the first.",
        "TODO: 2",
    ]


def test_study_and_card_list_the_same(card):
    of_study = unwritten_of_study(example_study())
    assert of_study.fields == tuple(card["todo"]) == unwritten_of_card(card).fields
    assert (of_study.name, of_study.version) == ("example_hip", "1")


def test_a_card_whose_list_was_emptied_is_refused(card):
    with pytest.raises(FileFormatError, match=r"wanted one that lists .*Contact.*; got none\."):
        unwritten_of_card(card | {"todo": []})


# --- riskadj card check ---------------------------------------------------------------------------


@pytest.fixture
def riskadj(capsys, monkeypatch):
    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["riskadj", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            main()
        printed = capsys.readouterr()
        return left.value.code or 0, printed.out, printed.err

    return call


def study_file(tmp_path, card):
    content = json.loads(example_study(card=card).model_dump_json())
    content["data"] = {"format": "csv", "paths": ["episodes.csv"]}
    path = tmp_path / "study.yaml"
    write_json({key: one for key, one in content.items() if one is not None}, path)
    return path


def test_a_run_a_card_and_its_folder_are_checked_alike(riskadj, run):
    for subject in (run, run / "card.json"):
        code, out, err = riskadj("card", "check", subject)
        assert code == 60
        assert all(one in out for one in ("sign_off", "drift_plan", "Use in payment"))
        told = " ".join(f"{out} {err}".split())
        assert "example_hip, version 1: 15 of 18 texts are still to be written: contact," in told
        assert "Traceback" not in err


def test_a_study_is_checked_before_it_is_run(riskadj, tmp_path):
    assert riskadj("card", "check", study_file(tmp_path, {}))[0] == 60
    code, out, err = riskadj("card", "check", study_file(tmp_path, WRITTEN))
    assert (code, err) == (0, "")
    assert out == (
        "example_hip, version 1: all 18 texts that only a person can write are written.\n"
    )


def test_a_written_card_passes(riskadj, shelved):
    written = build_card(example_findings(example_study(card=WRITTEN)))
    assert riskadj("card", "check", shelved(**written))[0] == 0


@pytest.mark.parametrize(
    ("name", "code"), [("nowhere", 20), ("nowhere.yaml", 20), ("card.json", 21)]
)
def test_what_is_no_card_has_another_exit_code(riskadj, tmp_path, name, code):
    if code == 21:
        write_json({"a": 1}, tmp_path / name)
    assert riskadj("card", "check", tmp_path / name)[0] == code


# --- formats --------------------------------------------------------------------------------------


def test_a_card_comes_back_as_it_was_written(shelved, card):
    file = shelved()
    assert read_card(file) == read_card(file.parent) == json.loads(json.dumps(card))


def test_a_card_of_a_newer_version_is_refused_and_says_what_to_do(shelved):
    with pytest.raises(FileFormatError, match=rf"wanted format {FORMAT}, .*got {FORMAT + 1}\. Use"):
        read_card(shelved(format=FORMAT + 1, sections={"of": "another kind"}))


@pytest.mark.parametrize("got", [None, 0, "1", -1, 1.5])
def test_a_card_of_no_format_of_ours_is_refused(shelved, got):
    with pytest.raises(FileFormatError, match=r"older version, or a changed one\. Run the study"):
        read_card(shelved(format=got))


def test_a_card_without_where_it_comes_from_is_of_an_older_version(shelved):
    with pytest.raises(FileFormatError, match="older version"):
        read_card(shelved(provenance=None))


@pytest.mark.parametrize("content", ["[1]", "{}", '{"sections": []}', "1", "no JSON"])
def test_what_is_no_card_is_refused(tmp_path, content):
    (tmp_path / "card.json").write_text(content, encoding="utf-8")
    with pytest.raises(FileFormatError, match=r"card\.json: wanted"):
        read_card(tmp_path)


def test_a_card_that_its_run_did_not_write_is_refused(run):
    content = read_json(run / "card.json")
    write_json(content | {"todo": []}, run / "card.json")
    with pytest.raises(FileFormatError, match="as its run wrote it"):
        read_card(run)


# --- riskadj card publish -------------------------------------------------------------------------


def test_a_published_card_is_that_of_its_run_with_the_figures_that_it_shows(run, tmp_path, card):
    place = publish_card(run, tmp_path / "shelf")
    assert place == tmp_path / "shelf" / "example_hip" / "1"
    there = files_in(place)
    assert set(there) == {
        "card.json", "card.md", "card.html", *(f"figures/{one}" for one in figures_of(card))
    }  # fmt: skip
    assert all(path.read_bytes() == (run / name).read_bytes() for name, path in there.items())
    assert [one.name for one in place.parent.iterdir()] == ["1"]
    assert place.stat().st_mode == place.parent.stat().st_mode  # who may look at the shelf may here


def test_an_earlier_card_goes_with_the_figures_that_are_no_more(run, riskadj, tmp_path):
    place = publish_card(run, tmp_path / "shelf")
    write_text("<svg/>", place / "figures" / "of_yesterday.svg")
    write_text("changed", place / "card.md")
    code, out, _ = riskadj("card", "publish", run, "--to", tmp_path / "shelf")
    left = "15 of its texts are still to be written"
    told = f"published {place}\n{left}; riskadj card check {place} lists them\n"
    assert (code, out) == (0, told)
    assert not (place / "figures" / "of_yesterday.svg").exists()
    assert (place / "card.md").read_text(encoding="utf-8") != "changed"


def test_nothing_else_is_replaced_by_a_card(run, tmp_path):
    place = tmp_path / "shelf" / "example_hip" / "1"
    place.mkdir(parents=True)
    write_text("mine", place / "notes.txt")
    with pytest.raises(OutputError, match=r"wanted an earlier card to replace.*got notes\.txt"):
        publish_card(run, tmp_path / "shelf")
    assert (place / "notes.txt").read_text(encoding="utf-8") == "mine"


def test_a_card_that_was_changed_is_not_published(run, tmp_path):
    write_text("better", run / "card.md")
    with pytest.raises(FileFormatError, match=r"card\.md: wanted the file as its run wrote it"):
        publish_card(run, tmp_path / "shelf")
    assert not (tmp_path / "shelf").exists()


def test_a_card_without_its_run_is_not_published(run, tmp_path):
    place = publish_card(run, tmp_path / "shelf")
    with pytest.raises(FileMissingError, match="finished run"):
        publish_card(place, tmp_path / "elsewhere")


KILLED = """
import os, signal, sys
from pathlib import Path
from riskadj.report.card.published import publish_card
at, run, shelf = int(sys.argv[1]), *map(Path, sys.argv[2:])
real, calls = Path.rename, []
def rename(self, to):
    calls.append(to)
    if len(calls) == at:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(self, to)
Path.rename = rename
publish_card(run, shelf)
"""


@pytest.mark.parametrize("at", [1, 2, 3])
def test_a_publication_that_is_killed_leaves_a_shelf_that_the_next_one_puts_right(
    run, tmp_path, at
):
    place = publish_card(run, tmp_path / "shelf")
    wanted = {name: path.read_bytes() for name, path in files_in(place).items()}
    command = [sys.executable, "-c", KILLED, str(at), run, tmp_path / "shelf"]
    assert subprocess.run(command, check=False, timeout=60).returncode == -signal.SIGKILL
    assert len([*place.parent.iterdir()]) > 1
    publish_card(run, tmp_path / "shelf")
    assert [one.name for one in place.parent.iterdir()] == ["1"]
    assert {name: path.read_bytes() for name, path in files_in(place).items()} == wanted


def test_two_publications_to_one_place_are_not_mixed(run, tmp_path, monkeypatch):
    real, refused = shutil.copyfile, []

    def meanwhile(*args):
        if not refused:
            refused.append(True)
            with pytest.raises(OutputError, match="is writing there"):
                publish_card(run, tmp_path / "shelf")
        return real(*args)

    monkeypatch.setattr(shutil, "copyfile", meanwhile)
    place = publish_card(run, tmp_path / "shelf")
    assert refused
    assert [one.name for one in place.parent.iterdir()] == ["1"]


def test_a_shelf_that_cannot_be_written_leaves_nothing(run, tmp_path):
    write_text("a file", tmp_path / "shelf")
    with pytest.raises(OutputError, match="wanted to write the card"):
        publish_card(run, tmp_path / "shelf")
    shutil.rmtree(run)
