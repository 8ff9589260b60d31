"""A question from its file to its answer, and a model from its run to its approval."""

import json
import shutil
from pathlib import Path

import pytest
from worlds import episode_frame, study_content, write_study

from riskadj import load_study, run_study
from riskadj.experiment import run_experiment
from riskadj.study.report import CardText
from riskadj.tracking.registry import APPROVED, CANDIDATE

pytestmark = pytest.mark.usefixtures("undrawn")

ROOT = Path(__file__).parents[2]
DATA = ROOT.parent / "shared" / "data" / "nhs_proms"
WRITTEN = {
    name: "written by a person" if isinstance(one.default, str) else ["written by a person"]
    for name, one in CardText.model_fields.items()
}
EXPERIMENT = {
    "question": "Does it matter?",
    "expectation": "Hardly.",
    "study": "study.yaml",
    "settings": ["profile.minimum_n=10"],
    "grid": [
        {"linear": ["learners=[{kind: linear}]"],
         "flat": ["learners=[{kind: linear, ridge: 1e6}]"]},
        {"chance": [], "additive": ["profile.limits=additive"]},
    ],
    "figures": ["r2", "r2_difference", "spearman", "flags_changed"],
    "seed": 3,
    "replicates": 100,
}  # fmt: skip


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Return a folder with episodes, an experiment and a store."""
    home = tmp_path_factory.mktemp("journey")
    folder = home / "01_small"
    folder.mkdir()
    episode_frame(900, providers=8).to_csv(folder / "episodes.csv", index=False)
    write_study(folder)
    tracking = {"uri": f"sqlite:///{home / 'mlflow.db'}", "experiment": "questions"}
    (folder / "experiment.yaml").write_text(json.dumps(EXPERIMENT | {"tracking": tracking}))
    return home


@pytest.fixture(scope="module")
def client(world):
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=f"sqlite:///{world / 'mlflow.db'}")


def children(client, parent):
    number = client.get_experiment_by_name("questions").experiment_id
    return client.search_runs([number], f"tags.`mlflow.parentRunId` = '{parent}'")


# An experiment -----------------------------------------------------------------------------------


def test_an_experiment_runs_is_logged_nested_and_does_only_what_is_missing(
    world, client, riskadj, monkeypatch
):
    monkeypatch.chdir(world)
    folder, work = world / "01_small", world / "runs" / "experiments" / "01_small"
    code, out, err = riskadj("experiment", folder)
    assert (code, "4 cells worked out, 0 kept" in out) == (0, True)
    assert "4/4" in err
    number = client.get_experiment_by_name("questions").experiment_id
    parent = client.search_runs([number], "tags.mlflow.runName = '01_small'")[0]
    nested = children(client, parent.info.run_id)
    assert {one.info.run_name for one in nested} == {
        "linear / chance", "linear / additive", "flat / chance", "flat / additive",
    }  # fmt: skip
    results = json.loads((folder / "results.json").read_text())
    r2 = results["cells"][0]["rows"]["ohs-linear"]["r2"]
    first = next(one for one in nested if one.info.run_name == "linear / chance")
    assert first.data.metrics["ohs-linear.r2"] == r2
    assert first.data.params["learners"] == "[{kind: linear}]"
    logged = {one.path for one in client.list_artifacts(parent.info.run_id)}
    assert logged == {
        "experiment.yaml", "results.json", "comparison.csv", "comparison.md", "comparison.svg",
    }  # fmt: skip

    before = (folder / "results.json").read_bytes()
    digest = results["cells"][3]["parts"][0]["digest"]
    shutil.rmtree(work / "cells" / digest)
    code, out, _ = riskadj("experiment", folder)
    assert (code, "1 cells worked out, 3 kept" in out) == (0, True)
    assert (folder / "results.json").read_bytes() == before
    assert len(children(client, parent.info.run_id)) == 4
    assert client.get_run(parent.info.run_id).info.status == "FINISHED"


def test_two_processes_find_what_one_does(world, riskadj, tmp_path):
    folder = world / "01_small"
    code, _, _ = riskadj("experiment", folder, "--tracking-uri", "off", "--work", tmp_path / "one")
    before = {one.name: one.read_bytes() for one in folder.iterdir()}
    code, out, _ = riskadj(
        "experiment", folder, "--jobs", 2, "--work", tmp_path / "two", "--tracking-uri", "off"
    )
    assert (code, "4 cells worked out" in out) == (0, True)
    assert {one.name: one.read_bytes() for one in folder.iterdir()} == before


def test_an_experiment_that_cannot_be_logged_keeps_its_cells(world, riskadj, tmp_path):
    code, _, err = riskadj(
        "experiment", world / "01_small", "--tracking-uri", "http://127.0.0.1:9",
        "--work", tmp_path,
    )  # fmt: skip
    assert code == 41
    assert "--tracking-uri off" in err


@pytest.mark.parametrize(("arguments", "code"), [(["nowhere"], 20), ([], 2)])
def test_what_is_no_experiment_is_refused(riskadj, arguments, code):
    assert riskadj("experiment", *arguments)[0] == code


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.skipif(not DATA.is_dir(), reason="the public NHS files are not here")
def test_a_shipped_experiment_gives_its_figures_again(tmp_path):
    """Takes half a minute: the real hip study, by line and by trees."""
    shipped = ROOT / "experiments" / "04_linear_or_boosting"
    home = tmp_path / shipped.name
    home.mkdir()
    content = (shipped / "experiment.yaml").read_text()
    (home / "experiment.yaml").write_text(content.replace("../../configs", str(ROOT / "configs")))
    results = run_experiment(home, work=tmp_path / "work", uri="off").results
    before = json.loads((shipped / "results.json").read_text())
    for old, new in zip(before["cells"], results["cells"], strict=True):
        for row, figures in old["rows"].items():
            assert new["rows"][row].get("flags_changed") == figures.get("flags_changed")
            assert new["rows"][row]["r2"] == pytest.approx(figures["r2"], rel=1e-6)


# Approval ----------------------------------------------------------------------------------------


def study_of(home, name, written, **tracking):
    place = home / name
    place.mkdir()
    shutil.copy(home / "01_small" / "episodes.csv", place)
    content = study_content(
        learners=[{"kind": "linear"}], card=WRITTEN if written else {"users": "somebody"},
        tracking={"uri": f"sqlite:///{home / 'models.db'}", "experiment": "hips", **tracking},
    )  # fmt: skip
    return load_study(write_study(place, content))


@pytest.fixture(scope="module")
def registered(world):
    """Return the folder of a run that was logged and registered, with a whole card."""
    study = study_of(world, "registered", True, registered_model="hip")
    return run_study(study, world / "runs" / "registered").folder


@pytest.fixture(scope="module")
def unfinished(world):
    """Return the folder of a run whose card has fields to write, and that nobody logged."""
    study = study_of(world, "unfinished", False)
    quiet = study.model_copy(update={"tracking": study.tracking.model_copy(update={"uri": "off"})})
    return run_study(quiet, world / "runs" / "unfinished").folder


@pytest.fixture(scope="module")
def registry(world):
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=f"sqlite:///{world / 'models.db'}")


def test_a_registered_model_is_a_candidate_until_somebody_approves_it(
    registered, registry, riskadj
):
    aliases = registry.get_registered_model("hip-ohs-linear").aliases
    assert dict(aliases) == {CANDIDATE: "1"} or dict(aliases) == {CANDIDATE: 1}
    code, out, err = riskadj(
        "approve", registered, "--by", "A. Person", "--card", registered / "card.json"
    )
    assert (code, err) == (0, "")
    assert "approved hip-ohs-linear version 1" in out
    version = registry.get_model_version_by_alias("hip-ohs-linear", APPROVED)
    provenance = json.loads((registered / "provenance.json").read_text())
    assert version.tags["approved.by"] == "A. Person"
    assert version.tags["approved.card"] == provenance["files"]["card.json"]
    assert version.tags["approved.run"] == provenance["stages"][-1]["digest"]
    assert version.tags["approved.at"].endswith("+00:00")
    assert "A. Person" in version.description


def test_the_approved_model_can_be_asked_for_by_its_alias(registered, registry, riskadj):
    import mlflow

    riskadj("approve", registered, "--by", "A. Person", "--card", registered)
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(registry.tracking_uri)
    try:
        model = mlflow.pyfunc.load_model(f"models:/hip-ohs-linear@{APPROVED}")
    finally:
        mlflow.set_tracking_uri(before)
    assert len(model.predict(episode_frame(5))) == 5


def test_logging_again_makes_a_new_candidate_and_leaves_the_approved_one(
    registered, registry, riskadj
):
    riskadj("approve", registered, "--by", "A. Person", "--card", registered)
    approved = registry.get_model_version_by_alias("hip-ohs-linear", APPROVED).version
    assert riskadj("log", registered)[0] == 0
    aliases = dict(registry.get_registered_model("hip-ohs-linear").aliases)
    assert int(aliases[CANDIDATE]) > int(approved)
    assert aliases[APPROVED] == approved


def test_a_card_with_fields_to_write_is_refused_and_they_are_named(unfinished, riskadj):
    code, _, err = riskadj(
        "approve", unfinished, "--by", "A. Person", "--card", unfinished / "card.json"
    )
    assert code == 60
    assert "intended_use" in err
    assert "under card: in the study" in err


def change(path, how):
    content = json.loads(path.read_text())
    how(content)
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("how", "code", "words"),
    [
        (lambda one: one.update(format=2), 21, "wanted format 1, which this version writes"),
        (lambda one: one.pop("sections"), 21, "got JSON without sections"),
        (lambda one: one.update(todo=[]), 50, "wanted the card that the run wrote"),
    ],
)
def test_another_card_is_refused(registered, riskadj, tmp_path, how, code, words):
    card = tmp_path / "card.json"
    shutil.copy(registered / "card.json", card)
    change(card, how)
    got, _, err = riskadj("approve", registered, "--by", "A. Person", "--card", card)
    assert (got, words in err) == (code, True)


def test_the_card_of_another_run_is_refused(registered, unfinished, riskadj):
    code, _, err = riskadj("approve", registered, "--by", "A", "--card", unfinished)
    assert (code, "wanted the card that the run wrote" in err) == (50, True)


def test_a_run_that_was_not_logged_is_refused(world, registered, riskadj):
    other = run_study(
        study_of(world, "quiet", True).model_copy(
            update={"version": "2", "tracking": load_study(
                world / "quiet" / "study.yaml", ["tracking.uri=off"]).tracking}
        ),
        world / "runs" / "quiet",
    ).folder  # fmt: skip
    place = ("--tracking-uri", f"sqlite:///{world / 'models.db'}", "--experiment", "hips")
    asked = ("approve", other, "--by", "A. Person", "--card", other)
    code, _, err = riskadj(*asked, *place)
    assert (code, "Log it first: riskadj log" in err) == (41, True)
    assert riskadj("log", other, *place[:2], "--experiment", "hips")[0] == 0
    code, _, err = riskadj(*asked, *place)
    assert (code, "--model NAME" in err) == (41, True)
    code, out, _ = riskadj(*asked, *place, "--model", "second")
    assert (code, "approved second-ohs-linear version 1" in out) == (0, True)
    code, _, err = riskadj(*asked)
    assert (code, "no place that runs were logged to" in err) == (41, True)


def test_a_store_that_is_not_there_or_has_moved_is_refused(world, registered, riskadj, tmp_path):
    asked = ("approve", registered, "--by", "A. Person", "--card", registered)
    code, _, err = riskadj(*asked, "--tracking-uri", f"sqlite:///{tmp_path / 'none.db'}")
    assert (code, "no database at" in err) == (41, True)
    assert not (tmp_path / "none.db").exists()
    artifacts = world / "mlartifacts"
    artifacts.rename(tmp_path / "elsewhere")
    try:
        code, _, err = riskadj(*asked)
    finally:
        (tmp_path / "elsewhere").rename(artifacts)
    assert (code, "a store that has moved" in err) == (41, True)


@pytest.mark.parametrize(
    ("by", "card", "code"), [(" ", "card.json", 23), ("A. Person", "none.json", 20)]
)
def test_nobody_and_nothing_approve_nothing(registered, riskadj, by, card, code):
    assert riskadj("approve", registered, "--by", by, "--card", registered / card)[0] == code


# Comparison --------------------------------------------------------------------------------------


def test_runs_are_compared_within_80_columns(registered, unfinished, riskadj, tmp_path):
    out = tmp_path / "compared.json"
    code, told, err = riskadj("compare", registered, unfinished, "--out", out)
    assert (code, err) == (0, "")
    assert all(len(line) <= 80 for line in told.splitlines() if "all of it" not in line)
    assert "0 of" in told
    row = json.loads(out.read_text())["rows"][0]
    assert (row["r2_difference"], row["spearman"], row["flags_changed"]) == (0.0, 1.0, 0)


def test_an_unknown_run_is_refused_by_compare(registered, riskadj, tmp_path):
    code, _, err = riskadj("compare", registered, tmp_path)
    assert (code, "wanted the folder of a finished run" in err) == (20, True)
