"""Whatever is done with a run is written down beside it first, or not done at all."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

import riskadj
from riskadj.digest import digest_of_file
from riskadj.errors import OutputError
from riskadj.journal import JOURNAL, read_journal
from riskadj.payment.contract import load_contract
from riskadj.report.acts import note_run
from riskadj.report.card.published import publish_card
from riskadj.report.explained import write_explanation
from riskadj.report.explaining import explain_provider, read_explained
from riskadj.report.folder import MARK, run_folder
from riskadj.report.page.build import write_page
from riskadj.report.portal.export import export_skde
from riskadj.report.provenance import AGAIN
from riskadj.report.settlement import settle_run, write_settlement
from riskadj.tracking import log_run, registry

KEPT = Path(__file__).parents[1] / "compatibility" / riskadj.__version__


@pytest.fixture
def runs(tmp_path) -> Path:
    """Return a folder with a finished run, and a contract, and no log yet."""
    folder = tmp_path / "runs"
    shutil.copytree(KEPT / "run", folder / "hip")
    shutil.copy(KEPT / "contract.yaml", folder)
    return folder


@pytest.fixture
def no_log(runs) -> None:
    """Let nothing be written down."""
    (runs / JOURNAL).mkdir()


def seal_of(run: Path) -> str:
    return str(json.loads((run / MARK).read_bytes())["seal"])


def exported(runs):
    export_skde(runs / "hip", runs.parent / "skde.csv")
    return runs.parent / "skde.csv"


def published(runs):
    publish_card(runs / "hip", runs.parent / "shelf")
    return runs.parent / "shelf" / "old" / "1" / "card.json"


def settled(runs):
    out = runs.parent / "paid"
    write_settlement(settle_run(load_contract(runs / "contract.yaml"), runs / "hip"), out)
    return out / "settlement.json"


def paged(runs):
    return write_page(runs / "hip", runs.parent / "page.html").path


def explained(runs):
    answer = explain_provider(read_explained(runs / "hip"), "H01")
    write_explanation(answer, runs.parent / "why", runs / "hip")
    return runs.parent / "why" / MARK


def run_again(runs):
    with run_folder(runs / "other") as staging:
        shutil.copytree(runs / "hip", staging, dirs_exist_ok=True)
        note_run(runs / "other", staging)
    return runs / "other" / MARK


ACTS = {"export": exported, "publish": published, "settle": settled, "run": run_again,
        "page": paged, "explanation": explained}  # fmt: skip
NOTED = {"page": ("export", "page: page.html"), "explanation": ("export", "explanation: why"),
         "settle": ("settle", "paid"), "publish": ("publish", "shelf"), "run": ("run", ""),
         "export": ("export", "skde: skde.csv")}  # fmt: skip
OF_FILE = {"export": "file", "publish": "card", "page": "file", "explanation": "provenance"}


@pytest.mark.parametrize("act", ACTS)
def test_an_act_is_written_down_with_the_digest_of_what_it_made(act, runs):
    made = ACTS[act](runs)
    (entry,) = read_journal(runs).entries
    assert (entry.act, entry.told) == NOTED[act]
    assert entry.place == ("other" if act == "run" else "hip")
    given = entry.digests
    assert given["seal"] == seal_of(runs / "hip")
    if act == "settle":
        assert (
            given["run"] == json.loads((runs / "hip" / MARK).read_bytes())["stages"][-1]["digest"]
        )
        assert given["settlement"] == json.loads(made.read_bytes())["digest"]
    if act in OF_FILE:
        assert given[OF_FILE[act]] == digest_of_file(made)


def test_a_settlement_is_found_from_its_run_wherever_it_was_written(runs):
    settled(runs)
    assert [one.act for one in read_journal(runs).of_run(seal_of(runs / "hip"))] == ["settle"]
    assert not (runs.parent / JOURNAL).exists()


def test_a_settlement_is_noted_with_the_seal_of_the_run_as_it_was_settled(runs):
    found = settle_run(load_contract(runs / "contract.yaml"), runs / "hip")
    seal = seal_of(runs / "hip")
    (runs / "hip" / MARK).write_text('{"seal": "of a later run"}', encoding="utf-8")
    write_settlement(found, runs.parent / "paid")
    assert [one.digests["seal"] for one in read_journal(runs).entries] == [seal]


def test_a_settlement_of_tables_that_are_of_no_run_folder_is_written_down_beside_it(runs):
    found = settle_run(load_contract(runs / "contract.yaml"), runs / "hip")
    write_settlement(replace(found, source=None), runs.parent / "paid")
    (entry,) = read_journal(runs.parent).entries
    assert (entry.act, entry.place, "seal" in entry.digests) == ("settle", "paid", False)


@pytest.mark.usefixtures("no_log")
@pytest.mark.parametrize("act", ACTS)
def test_what_cannot_be_written_down_is_not_done(act, runs):
    before = sorted(runs.parent.rglob("*"))
    with pytest.raises(OutputError, match="Nothing was done"):
        ACTS[act](runs)
    left = [one for one in sorted(runs.parent.rglob("*")) if one not in before]
    assert [one for one in left if one.is_file()] == []


def test_no_run_is_put_in_place_unseen_by_taking_over_the_times_of_another(runs, monkeypatch):
    monkeypatch.setenv(AGAIN, str(runs / "hip" / MARK))
    run_again(runs)
    assert [one.act for one in read_journal(runs).entries] == ["run"]


def test_mlflow_keeps_the_head_of_the_log_and_an_approval_says_by_whom(runs, monkeypatch):
    from mlflow import MlflowClient

    uri = f"sqlite:///{runs.parent / 'mlflow.db'}"
    logged = log_run(runs / "hip", uri)
    head = read_journal(runs).head
    assert MlflowClient(uri).get_run(logged.run_id).data.tags["riskadj.journal"] == head
    monkeypatch.setattr(registry, "check_card", lambda *_: "c" * 64)
    registry.approve_run(runs / "hip", "A. Person", "card.json", uri=uri, name="hips")
    log, approval = read_journal(runs).entries
    assert (log.act, log.told) == ("log", uri)
    assert (approval.act, approval.told) == ("approve", "A. Person")
    assert approval.digests == {"seal": seal_of(runs / "hip"), "card": "c" * 64}


@pytest.mark.usefixtures("no_log")
def test_nothing_is_logged_or_approved_that_cannot_be_written_down(runs):
    from mlflow import MlflowClient

    uri = f"sqlite:///{runs.parent / 'mlflow.db'}"
    with pytest.raises(OutputError, match="Nothing was done"):
        log_run(runs / "hip", uri)
    found = MlflowClient(uri)
    numbers = [one.experiment_id for one in found.search_experiments()]
    assert found.search_runs(numbers) == []
