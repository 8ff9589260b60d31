"""riskadj audit: every changed byte is found and named, and figures come out again or do not."""

import json
import shutil
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path

import pandas as pd
import pytest
from worlds import LINEAR, episode_frame, study_content, write_study

from riskadj import pipeline, tracking
from riskadj.audit import audit_run, auditing
from riskadj.audit.files import check_files
from riskadj.audit.subject import open_subject
from riskadj.digest import digest_of_file, digest_of_json
from riskadj.errors import (
    ChangedFileError,
    ChangedJournalError,
    FileFormatError,
    FileMissingError,
    NotRederivedError,
    RiskadjError,
    ValuesError,
)
from riskadj.journal import JOURNAL, write_entry
from riskadj.report.folder import MARK, files_in, write_json
from riskadj.report.provenance import run_digest, sealed
from riskadj.study import load_study

CARD_FILES = ("card.json", "card.md", "card.html")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Return a folder with data, a study that wants to be logged, and its run."""
    folder = tmp_path_factory.mktemp("home")
    episode_frame().to_csv(folder / "episodes.csv", index=False)
    boosted = {"kind": "lightgbm", "trees": 5, "min_episodes_per_leaf": 10}
    content = study_content(learners=[*LINEAR, boosted])
    content["tracking"]["uri"] = "sqlite:///nowhere.db"
    study = write_study(folder, content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tracking, "log_run", lambda *_: None)
        pipeline.run_study(load_study(study), folder / "run")
    return folder


@pytest.fixture
def copied(home, tmp_path):
    """Return a copy of it all, to be tampered with."""
    shutil.copytree(home, tmp_path / "home")
    return tmp_path / "home"


@pytest.fixture
def run(copied):
    return copied / "run"


@pytest.fixture
def card(copied):
    """Return a folder with the card of the run and its figures, as they are published."""
    folder = copied / "model_cards"
    shutil.copytree(copied / "run" / "figures", folder / "figures")
    for name in CARD_FILES:
        shutil.copy(copied / "run" / name, folder)
    return folder


@pytest.fixture
def made_again(home, monkeypatch):
    """Let a fresh run give what the first one did, without the wait."""
    monkeypatch.setattr(auditing, "run_again", lambda *_: home / "run")


@contextmanager
def flipped(path, place):
    """Flip a bit of one byte of a file, for a moment."""
    whole = path.read_bytes()
    changed = bytearray(whole)
    changed[place] ^= 1
    path.write_bytes(changed)
    yield
    path.write_bytes(whole)


def quick(folder, **settings):
    return audit_run(folder, rerun=False, **settings)


def seal_again(folder):
    """Do what somebody does who knows how: make digests, chain and seal fit, take the log away."""
    (folder.parent / JOURNAL).unlink(missing_ok=True)
    content = json.loads((folder / MARK).read_bytes())
    content["files"] = {
        name: digest_of_file(path) for name, path in files_in(folder).items() if name != MARK
    }
    content["stages"][-1]["digest"] = run_digest(content)
    write_json(sealed(content), folder / MARK)


def change_json(path, change):
    content = json.loads(path.read_bytes())
    change(content)
    write_json(content, path)


# A run that holds ---------------------------------------------------------------------------------


def test_a_quick_look_says_that_it_was_one(run):
    found = quick(run)
    assert found.exit_code == 0
    assert found.answer == "Holds as far as was looked: no figure was derived again."
    assert [one.outcome for one in found.steps] == ["holds"] * 5 + ["not done"]


def test_a_card_is_found_in_its_study_and_data(card, made_again):
    found = audit_run(card)
    assert found.exit_code == 0, found.steps
    assert f"gives all {len(files_in(card))} files again" in found.answer


@pytest.mark.parametrize("name", ["card.json", "a.json"])
def test_a_card_alone_is_one_file_whatever_its_name_and_whatever_is_beside_it(
    name, copied, made_again
):
    """Beside it: a run folder with its log, data, a study, and the table of some other run."""
    alone = shutil.copy(copied / "run" / "card.json", copied / name)
    if name != "card.json":
        shutil.copy(copied / "run" / "providers.csv", copied)
    for settings in ({}, {"within": 1e-9}):
        assert audit_run(alone, **settings).exit_code == 0
    found = audit_run(alone)
    assert "a fresh run from the same study and data gives the file again" in found.answer
    change_json(alone, lambda one: one["summary"].append("All is well."))
    found = audit_run(alone)
    assert found.exit_code == NotRederivedError.exit_code
    assert found.answer == f"Does not hold: {name} is not what a fresh run gives."


def test_the_answer_for_machines_is_json_and_nothing_else(run, riskadj):
    code, out, _ = riskadj("audit", run, "--no-rerun", "--json")
    told = json.loads(out)
    assert code == told["exit_code"] == 0
    assert [one["name"] for one in told["steps"]] == [
        "files", "journal", "study", "data", "code", "figures"
    ]  # fmt: skip


# Every changed byte -------------------------------------------------------------------------------


ARTEFACTS = (
    "page.html", "figures/*.svg", "models/*/model.json", "models/*/trees_0.txt",
    "models/*/digests.json", "*.parquet", "*.csv", "study.json", "metrics.json", "card.json",
    "card.md", "card.html",
)  # fmt: skip
"""What a run writes besides its record."""


def test_one_flipped_bit_is_found_and_named_in_every_artefact(run):
    names = files_in(run)
    assert all(any(fnmatch(one, kind) for one in names) for kind in ARTEFACTS)
    assert all(any(fnmatch(one, kind) for kind in ARTEFACTS) for one in names.keys() - {MARK})
    for name in names.keys() - {MARK}:
        path = run / name
        for place in {0, path.stat().st_size // 2, path.stat().st_size - 1}:
            with flipped(path, place):
                found = quick(run)
            assert found.exit_code == ChangedFileError.exit_code
            assert found.answer == f"Does not hold: {name} is not what the run wrote."
    assert quick(run).exit_code == 0


RECORD = {
    "seed": lambda one: one.update(seed=2),
    "created": lambda one: one.update(created="2020-01-01T00:00:00+00:00"),
    "data": lambda one: one["data"][0].update(digest="0" * 64),
    "study": lambda one: one["study"].update(digest="0" * 64),
    "code": lambda one: one["code"].update(digest="0" * 64),
    "stages": lambda one: one["stages"][0].update(digest="0" * 64),
    "file": lambda one: one["files"].update({"providers.csv": "0" * 64}),
    "no file": lambda one: one["files"].pop("flow.csv"),
    "more files": lambda one: one["files"].update({"notes.txt": "0" * 64}),
    "seal": lambda one: one.update(seal="0" * 64),
}


@pytest.mark.parametrize("change", RECORD.values(), ids=RECORD)
def test_an_edited_record_is_named_once_and_nothing_else_is_blamed(change, run):
    change_json(run / MARK, change)
    found = quick(run)
    assert found.exit_code == ChangedFileError.exit_code
    assert [one.name for one in found.faults] == [MARK]
    assert found.answer == f"Does not hold: {MARK} is not what the run wrote."
    assert [one.outcome for one in found.steps] == ["fails"] + ["not done"] * 5


@pytest.mark.parametrize(
    ("change", "told"),
    [("seed", "another seed than card.json has"), ("file", "other digests of providers.csv")],
)
def test_what_of_the_record_was_edited_is_told(change, told, run):
    change_json(run / MARK, RECORD[change])
    assert told in str(quick(run).faults[0].error)


def test_several_changes_are_each_named_once_and_told_apart(run):
    (run / "flow.csv").unlink()
    (run / "page.html").write_text("")
    (run / "notes.txt").write_text("more")
    found = quick(run)
    assert [(one.name, one.how) for one in found.faults] == [
        ("flow.csv", "missing"), ("page.html", "changed"), ("notes.txt", "added"),
    ]  # fmt: skip
    assert found.answer == (
        "Does not hold: page.html is not what the run wrote; flow.csv is missing; "
        "notes.txt was added."
    )


def test_a_change_of_record_and_file_names_both(run):
    change_json(run / MARK, RECORD["seed"])
    (run / "flow.csv").write_text("")
    assert [one.name for one in quick(run).faults] == [MARK, "flow.csv"]


def test_one_flipped_bit_anywhere_in_the_record_is_found_and_named(run):
    for place in range(0, (run / MARK).stat().st_size, 11):
        with flipped(run / MARK, place):
            try:
                error = check_files(open_subject(run)).faults[0].error
            except RiskadjError as refusal:
                error = refusal
        assert isinstance(error, (ChangedFileError, FileFormatError)), place
        assert MARK in str(error), place


@pytest.mark.parametrize("name", ["providers.csv", "models/ohs-linear/model.json", "card.html"])
def test_a_file_that_was_taken_away_is_named(name, run):
    (run / name).unlink()
    found = quick(run)
    assert found.exit_code == ChangedFileError.exit_code
    assert found.answer == f"Does not hold: {name} is missing."


def test_a_record_that_was_taken_away_is_named(run):
    (run / MARK).unlink()
    with pytest.raises(ChangedFileError, match=r"provenance\.json: wanted the record"):
        quick(run)


@pytest.mark.parametrize("name", ["notes.txt", "figures/funnel.svg", ".hidden"])
def test_a_file_that_was_added_is_named(name, run):
    (run / name).write_text("more")
    found = quick(run)
    assert found.exit_code == ChangedFileError.exit_code
    assert found.answer == f"Does not hold: {name} was added."


def test_a_link_to_nowhere_is_a_file_that_was_added(run):
    (run / "link").symlink_to(run / "nowhere")
    assert quick(run).answer == "Does not hold: link was added."


def test_nothing_is_derived_from_a_run_that_was_changed(run, monkeypatch):
    monkeypatch.setattr(auditing, "run_again", lambda *_: pytest.fail("ran again"))
    (run / "flow.csv").write_text("")
    assert audit_run(run).steps[-1].outcome == "not done"


# Study, data and code -----------------------------------------------------------------------------


def test_changed_data_are_named(copied, run, riskadj):
    table = pd.read_csv(copied / "episodes.csv")
    table.loc[0, "q2_score_ohs"] += 1
    table.to_csv(copied / "episodes.csv", index=False)
    code, out, _ = riskadj("audit", run)
    assert code == 51
    assert "Does not hold: episodes.csv is not what the run was made from." in out


@pytest.mark.parametrize("what", ["file", "folder"])
def test_data_that_moved_are_looked_for_where_one_says(what, copied, run, tmp_path):
    away = tmp_path / "archive" / "2021"
    away.mkdir(parents=True)
    (copied / "episodes.csv").rename(away / "episodes.csv")
    lost = quick(run)
    assert lost.exit_code == 54
    assert "--data PATH" in str(lost.faults[0].error)
    assert lost.answer == "Not told: episodes.csv is not at hand."
    assert quick(run, data=[away / "episodes.csv" if what == "file" else away]).exit_code == 0


def test_of_files_with_one_name_the_right_one_is_taken(copied, run, tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "episodes.csv").write_text("not these\n")
    assert quick(run, data=[tmp_path / "other"]).exit_code == 0


def test_an_edited_study_is_named_with_its_key(copied, run):
    change_json(copied / "study.yaml", lambda one: one["profile"].update(minimum_n=20))
    found = quick(run, study=copied / "study.yaml")
    assert found.exit_code == 51
    assert "study.yaml is not what the run was made from" in found.answer
    assert "Other keys: profile.minimum_n." in str(found.faults[0].error)


def test_a_study_edited_in_the_folder_does_not_fit_its_digest_even_when_sealed_again(run):
    change_json(run / "study.json", lambda one: one["profile"].update(minimum_n=20))
    seal_again(run)
    found = quick(run)
    assert found.exit_code == 51
    assert found.answer == "Does not hold: study.json is not what the run was made from."


@pytest.mark.parametrize("any_code", [False, True])
def test_other_code_is_said_and_stops_unless_it_is_allowed(any_code, home, monkeypatch, made_again):
    monkeypatch.setattr("riskadj.audit.inputs.digest_of_code", lambda: "0" * 64)
    found = audit_run(home / "run", any_code=any_code)
    if not any_code:
        assert found.exit_code == 52
        assert found.answer == "Not told: the code is not what the run was made by."
        return
    assert found.exit_code == 0
    assert "files with figures again, to 1e-09" in found.answer


# Who rewrites everything --------------------------------------------------------------------------


def raise_a_figure(run):
    table = pd.read_csv(run / "providers.csv", dtype=str, keep_default_na=False)
    row = table.index[table["adjusted"] != ""][0]
    table.loc[row, "adjusted"] = "47.5"
    table.to_csv(run / "providers.csv", index=False, lineterminator="\n")
    return table.loc[row, "provider_id"]


def test_a_figure_that_was_changed_and_sealed_again_does_not_come_out(run, made_again):
    provider = raise_a_figure(run)
    seal_again(run)
    assert quick(run).exit_code == 0  # what a look at files alone cannot see
    found = audit_run(run)
    assert found.exit_code == NotRederivedError.exit_code
    assert "providers.csv" in found.answer
    told = str(found.faults[0].error)
    assert f"adjusted of ohs, linear, {provider} was 47.5, is " in told


def test_a_rewritten_run_is_not_the_one_whose_digest_was_kept(run, home, made_again):
    kept = json.loads((run / MARK).read_bytes())
    for one in (kept["seal"], kept["seal"][:16], kept["stages"][-1]["digest"].upper()):
        assert quick(run, digest=one).exit_code == 0
    change_json(run / MARK, lambda one: one.update(created="2020-01-01T00:00:00+00:00"))
    content = json.loads((run / MARK).read_bytes())
    card = json.loads((run / "card.json").read_bytes())
    card["provenance"]["created"] = content["created"]
    write_json(card, run / "card.json")
    seal_again(run)
    assert quick(run).exit_code == 0  # times prove nothing
    found = quick(run, digest=kept["seal"])
    assert found.exit_code == 50
    assert f"wanted the run with digest {kept['seal']}" in str(found.faults[0].error)


def test_the_card_of_another_run_is_found_even_when_sealed_again(run):
    change_json(run / "card.json", lambda one: one["provenance"].update(seed=2))
    seal_again(run)
    found = quick(run)
    assert found.answer == "Does not hold: card.json is not what the run wrote."


def test_a_figure_changed_in_a_card_does_not_come_out(card, made_again):
    change_json(card / "card.json", lambda one: one["summary"].append("All is well."))
    found = audit_run(card)
    assert found.exit_code == NotRederivedError.exit_code
    assert "card.json" in found.answer


def test_a_file_beside_a_card_that_is_none_of_the_run_is_named(card, made_again):
    (card / "figures" / "praise.svg").write_text("<svg/>")
    found = audit_run(card)
    assert found.exit_code == ChangedFileError.exit_code
    assert "figures/praise.svg" in found.answer


def test_a_study_that_is_refused_now_does_not_give_its_figures(run, copied, riskadj):
    """Data and study that name each other rightly, and that no run can have come from."""
    table = pd.read_csv(copied / "episodes.csv").drop(columns="age_years")
    table.to_csv(copied / "episodes.csv", index=False)
    digest = digest_of_file(copied / "episodes.csv")
    for name in (MARK, "card.json"):
        content = json.loads((run / name).read_bytes())
        origin = content if name == MARK else content["provenance"]
        origin["data"][0]["digest"] = digest
        origin["stages"][-1]["digest"] = run_digest(origin)
        write_json(content, run / name)
    seal_again(run)
    code, out, _ = riskadj("audit", run)
    assert code == NotRederivedError.exit_code, out
    assert "it was refused" in " ".join(out.split())


# The log ------------------------------------------------------------------------------------------


def test_a_run_is_looked_up_in_the_log_beside_it(run):
    found = quick(run)
    step = found.steps[1]
    assert (step.name, step.outcome) == ("journal", "holds")
    assert step.told.startswith("run by ")
    assert step.told.endswith("(entry 1 of 1)")


def test_a_run_that_was_copied_elsewhere_has_no_log_and_says_so(run, tmp_path):
    shutil.copytree(run, tmp_path / "elsewhere" / "run")
    found = quick(tmp_path / "elsewhere" / "run", data=[run.parent])
    assert found.exit_code == 0
    assert found.steps[1].outcome == "not done"
    assert "no log beside this folder" in found.steps[1].told


def test_a_run_that_was_rewritten_as_a_whole_is_unknown_to_the_log(run, copied):
    log = (copied / JOURNAL).read_bytes()
    raise_a_figure(run)
    seal_again(run)
    (copied / JOURNAL).write_bytes(log)
    found = quick(run)
    assert found.exit_code == ChangedJournalError.exit_code
    assert found.answer == f"Does not hold: {JOURNAL} is not whole, or does not know this run."


def test_a_log_that_was_changed_is_found_from_each_of_its_runs(run, copied, riskadj):
    write_entry("approve", run, {}, "A. Person")
    log = (copied / JOURNAL).read_bytes()
    (copied / JOURNAL).write_bytes(log.replace(b"A. Person", b"B. Person"))
    code, out, _ = riskadj("audit", run, "--no-rerun")
    assert code == ChangedJournalError.exit_code
    assert "line 2 was changed (entry 2)" in " ".join(out.split())


def test_an_earlier_run_that_was_put_back_is_told(run, copied):
    write_entry("run", run, {"seal": "0" * 64})
    assert "a later run was put into this folder (entry 2)" in quick(run).steps[1].told


def test_what_was_done_with_a_run_is_told_with_it(run):
    write_entry("export", run, {"seal": json.loads((run / MARK).read_bytes())["seal"]}, "skde: a")
    assert "; export (skde: a) by " in quick(run).steps[1].told


def test_the_log_of_a_folder_of_runs_is_shown_and_its_head_is_what_to_keep(
    run, copied, riskadj, monkeypatch
):
    monkeypatch.setenv("COLUMNS", "160")
    head = write_entry("approve", run, {}, "A. Person").digest
    for subject in (copied, copied / JOURNAL):
        code, out, _ = riskadj("audit", subject)
        assert code == 0
        assert "A. Person" in out
        assert "Holds: 2 entries, each following from the one before it; 1 run folder beside" in out
        assert f"head  {head}" in out
    assert (
        "up to entry 2 as when its digest was kept"
        in riskadj("audit", copied, "--digest", head[:16])[1]
    )
    told = json.loads(riskadj("audit", copied, "--json")[1])
    assert [one["act"] for one in told["entries"]] == ["run", "approve"]
    assert told["head"] == head


def test_a_log_whose_end_was_cut_holds_but_for_a_digest_that_was_kept(run, copied, riskadj):
    head = write_entry("approve", run, {}, "A. Person").digest
    (copied / JOURNAL).write_bytes((copied / JOURNAL).read_bytes().splitlines(True)[0])
    assert riskadj("audit", copied)[0] == 0
    code, out, _ = riskadj("audit", copied, "--digest", head)
    assert code == ChangedJournalError.exit_code
    assert "taken away from the end" in " ".join(out.split())


def test_a_log_whose_end_was_cut_does_not_hold_beside_a_run_that_it_had(run, copied, riskadj):
    later = copied / "later"
    shutil.copytree(run, later)
    raise_a_figure(later)
    first = (copied / JOURNAL).read_bytes()
    seal_again(later)
    (copied / JOURNAL).write_bytes(first)
    seal = json.loads((later / MARK).read_bytes())["seal"]
    write_entry("run", later, {"seal": seal})
    assert riskadj("audit", copied)[0] == 0
    whole = (copied / JOURNAL).read_bytes()
    for end in (len(first), len(first) + 60, len(whole) - 2):
        (copied / JOURNAL).write_bytes(whole[:end])
        code, out, _ = riskadj("audit", copied)
        assert code == ChangedJournalError.exit_code
        words = " ".join(out.split())
        assert f"the run in later with seal {seal[:16]} was made; got none among 1 entry" in words
        assert "the end of the log was cut" in words
    shutil.rmtree(later)
    assert riskadj("audit", copied)[0] == 0  # of what is gone the log still tells


def test_a_run_that_was_rewritten_is_not_known_by_an_export_of_it(run, copied, riskadj):
    log = (copied / JOURNAL).read_bytes()
    raise_a_figure(run)
    seal_again(run)
    (copied / JOURNAL).write_bytes(log)
    write_entry("export", run, {"seal": json.loads((run / MARK).read_bytes())["seal"]}, "page: a")
    assert quick(run).exit_code == ChangedJournalError.exit_code
    assert riskadj("audit", copied)[0] == ChangedJournalError.exit_code


def test_a_run_that_was_copied_before_something_was_done_with_it_is_told_so(run, tmp_path, riskadj):
    copy = tmp_path / "elsewhere" / "run"
    shutil.copytree(run, copy)
    write_entry("export", copy, {"seal": json.loads((copy / MARK).read_bytes())["seal"]})
    found = quick(copy, data=[run.parent])
    assert found.exit_code == 0
    assert "no entry says that it was run here: it was copied" in found.steps[1].told
    code, out, _ = riskadj("audit", copy.parent)
    assert code == 0
    assert "run: no entry says that it was run here" in " ".join(out.split())


def test_runs_whose_log_was_taken_away_miss_it(run, copied, riskadj):
    (copied / JOURNAL).unlink()
    for subject in (copied, copied / JOURNAL):
        code, _, err = riskadj("audit", subject)
        assert code == FileMissingError.exit_code
        assert "wanted the log of the runs beside it (run); it is missing" in " ".join(err.split())


def test_a_run_that_is_being_written_or_lies_behind_a_link_is_not_of_this_log(run, copied, riskadj):
    (copied / "away").mkdir()
    for name in (".run.partial-7", ".run.partial-old-7", "away/run"):
        shutil.copytree(run, copied / name)
        change_json(copied / name / MARK, RECORD["seal"])
    (copied / "link").symlink_to(copied / "away" / "run")
    (copied / "broken").mkdir()
    (copied / "broken" / MARK).write_text("{")
    assert riskadj("audit", copied)[0] == 0
    (copied / "away" / "run").rename(copied / "other")
    assert riskadj("audit", copied)[0] == ChangedJournalError.exit_code


@pytest.mark.parametrize("what", ["seal", "run"])
def test_the_seal_of_a_run_is_no_head_of_its_log(what, run, copied, riskadj):
    content = json.loads((run / MARK).read_bytes())
    digest = content["seal"] if what == "seal" else content["stages"][-1]["digest"]
    code, _, err = riskadj("audit", copied, "--digest", digest)
    assert code == ValuesError.exit_code
    assert "of the run in entry 1 (run)" in " ".join(err.split())


def test_two_lines_that_changed_places_are_told_of_one_log(run, copied):
    for name in ("A. Person", "B. Person"):
        write_entry("approve", run, {}, name)
    first, *others = (copied / JOURNAL).read_bytes().splitlines(True)
    (copied / JOURNAL).write_bytes(first + b"".join(reversed(others)))
    found = quick(run)
    assert len(found.faults) > 1
    assert found.answer == f"Does not hold: {JOURNAL} is not whole, or does not know this run."


def test_a_line_that_was_torn_and_mended_is_told(run, copied, riskadj):
    for many, told in ((1, "1 line was torn and mended (entry 2)"),
                       (2, "2 lines were torn and mended (entries 2 and 4)")):  # fmt: skip
        with (copied / JOURNAL).open("ab") as stream:
            stream.write(b'{"account":"ro')
        write_entry("approve", run, {}, "A. Person")
        code, out, _ = riskadj("audit", copied)
        assert (code, told in " ".join(out.split())) == (0, True), many


def test_a_torn_line_of_the_log_is_told_and_no_fault(run, copied, riskadj):
    with (copied / JOURNAL).open("ab") as stream:
        stream.write(b'{"account":"ro')
    assert riskadj("audit", run, "--no-rerun")[0] == 0
    code, out, _ = riskadj("audit", copied)
    assert code == 0
    words = " ".join(out.split())
    assert "the last line is torn (14 bytes): either it was being written when its process" in words
    assert "or the end of the log was cut." in words


# Bad input ----------------------------------------------------------------------------------------


def test_a_run_that_is_not_there_gets_a_hint(copied):
    with pytest.raises(FileMissingError, match="Did you mean 'run'"):
        quick(copied / "runn")


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(FileMissingError, match=r"neither provenance\.json nor card\.json"):
        quick(tmp_path)


def test_the_folder_of_something_else_is_refused(tmp_path):
    write_json({"settlement": digest_of_json({}), "files": {}}, tmp_path / MARK)
    with pytest.raises(FileFormatError, match="got the folder of something else"):
        quick(tmp_path)


@pytest.mark.parametrize("name", ["providers.csv", "study.json", "card.html"])
def test_a_file_of_a_run_is_no_run(name, run):
    with pytest.raises(FileFormatError, match=rf"got another file\. Give .*{run.name}\."):
        quick(run / name)


def test_another_file_is_refused(tmp_path):
    write_json({"a": 1}, tmp_path / "other.json")
    with pytest.raises(FileFormatError, match=r"Give the card\.json"):
        quick(tmp_path / "other.json")


def test_a_card_of_a_newer_version_is_refused(card):
    change_json(card / "card.json", lambda one: one.update(format=2))
    with pytest.raises(FileFormatError, match="wanted format 1, which this version writes; got 2"):
        quick(card)


def test_a_card_of_an_older_version_is_refused(card):
    change_json(card / "card.json", lambda one: one.pop("provenance"))
    with pytest.raises(FileFormatError, match="older version"):
        quick(card)


def test_a_card_without_its_study_says_how_to_give_it(card, tmp_path, monkeypatch):
    shutil.move(card, tmp_path / "alone" / "cards")
    monkeypatch.chdir(tmp_path / "alone")
    found = quick(tmp_path / "alone" / "cards")
    assert found.exit_code == 54
    assert "Give it with --study." in str(found.faults[0].error)


@pytest.mark.parametrize("digest", ["abc", "x" * 20, "a" * 65])
def test_a_digest_that_is_none_is_refused(digest, run, riskadj):
    code, _, err = riskadj("audit", run, "--digest", digest, "--no-rerun")
    assert code == 23
    assert "16 to 64 hexadecimal signs" in err


def test_data_that_were_given_and_are_not_there_are_refused(run, tmp_path):
    with pytest.raises(FileMissingError, match="--data"):
        quick(run, data=[Path(tmp_path, "nowhere")])
