"""riskadj settle, from a run folder or a study to a folder of statements."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from settling import OURS, check_by_hand, step
from worlds import LINEAR, OUT_OF_FOLD, episode_frame, study_content, write_study

from riskadj.digest import digest_of_file
from riskadj.errors import FileFormatError, FileMissingError, OutputError, StudyError, ValuesError
from riskadj.payment.contract import Contract, load_contract
from riskadj.pipeline import run_study
from riskadj.report.settlement import read_run, settle_run, write_settlement
from riskadj.study import load_study

pytestmark = pytest.mark.usefixtures("undrawn")

HIP = Path(__file__).parents[2] / "configs" / "contracts" / "england_bpt_hip.yaml"
COUNTS = {
    "Total HES Procedures": "procedures", "Total Pre-Op Qs": "q1", "Total Linked": "q1",
    "Total Q2s sent to date": "q1", "Total Q2s returned to date": "answered",
}  # fmt: skip
COST = {"name": "cost", "kind": "cost", "column": "cost_total_90d", "currency": "GBP",
        "price_year": 2020}  # fmt: skip
WIDER = {"methods": ["nhs_england"], "limits": ["additive"]}


def participation(frame):
    """Return a participation file in which H01 took part too rarely."""
    q1 = frame.groupby("provider_id").size()
    whole = pd.DataFrame({"q1": q1, "answered": q1, "procedures": (q1 / 0.8).round().astype(int)})
    whole.loc["H01", "procedures"] = 3 * q1["H01"]
    whole.loc["England"] = whole.sum()
    table = {f"Primary Hip Replacement - {name}": whole[one] for name, one in COUNTS.items()}
    return pd.DataFrame({"Organisation Code": whole.index, **table})


def england(folder, *more, **profile):
    """Write a small study of hips, one provider far below the others, and its participation."""
    frame = episode_frame(n=900, providers=6, seed=3)
    worse = frame["provider_id"] == "H04"
    frame.loc[worse, "q2_score_ohs"] = (frame.loc[worse, "q2_score_ohs"] - 9).clip(0)
    frame["cost_total_90d"] = 9000 + 40 * frame["age_years"] + 500 * worse
    frame.to_csv(folder / "episodes.csv", index=False)
    participation(frame).to_csv(folder / "participation.csv", index=False)
    content = study_content(**OUT_OF_FOLD, learners=LINEAR)
    content["data"]["participation"] = ["participation.csv"]
    content["outcomes"] += more
    content["profile"] |= profile
    return write_study(folder, content)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Return the folder of a finished run of outcome and cost, flags under two limits."""
    folder = tmp_path_factory.mktemp("england")
    study = load_study(england(folder, COST, sensitivity=WIDER))
    return run_study(study, folder / "run").folder


@pytest.fixture
def set_linear():
    return ["--set", "learner=linear"]


def files_of(folder):
    return sorted(one.relative_to(folder).as_posix() for one in folder.rglob("*") if one.is_file())


def test_england_pays_the_uplift_to_who_took_part_and_is_no_outlier(run, tmp_path):
    settled = settle_run(load_contract(HIP, ["learner=linear"]), run)
    assert check_by_hand(settled) >= 12
    totals = settled.totals.set_index("provider_id")
    assert totals.index[totals["total_minor"] == 0].tolist() == ["H01", "H04"]
    procedures = read_run(run).rates.query("provider_id == 'H00'")["procedures"].iloc[-1]
    assert totals.loc["H00", "total_minor"] == 55_000 * float(procedures)
    gates = dict(settled.lines.query("kind == 'test'")[["label", "value"]].to_numpy())
    assert gates["Consent not recorded, under 15 %"] == "not known (passes by the contract)"


def test_the_command_writes_statements_that_can_be_checked(riskadj, run, tmp_path, set_linear):
    out = tmp_path / "settled"
    code, told, _ = riskadj("settle", HIP, run, "--out", out, *set_linear)
    assert code == 0
    assert "Best-practice tariff, primary hip" in told
    assert "not confirmed in its source: step 1, gate: Average health gain" in told
    assert "budget open" in told
    assert all(len(one) <= 80 for one in told.splitlines() if "statements" not in one)
    statements = [f"statements/H0{one}.txt" for one in range(6)]
    wanted = ["lines.csv", "provenance.json", "settlement.csv", "settlement.json",
              "statements.html", *statements]  # fmt: skip
    assert files_of(out) == sorted(wanted)
    summary = json.loads((out / "settlement.json").read_text(encoding="utf-8"))
    totals = pd.read_csv(out / "settlement.csv")
    lines = pd.read_csv(out / "lines.csv")
    assert summary["pool_minor"] == totals["total_minor"].sum() == lines["amount_minor"].sum()
    provenance = json.loads((run / "provenance.json").read_text(encoding="utf-8"))
    assert summary["run"] == provenance["stages"][-1]["digest"]
    assert all(one["holds"] for one in summary["checks"])
    text = (out / "statements" / "H04.txt").read_text(encoding="utf-8")
    assert "Gate best_practice: not passed" in text
    assert re.search(r"^TOTAL +0\.00$", text, re.M)


def test_every_file_of_a_settlement_is_in_its_provenance(run, tmp_path):
    settled = settle_run(load_contract(HIP, ["learner=linear"]), run)
    write_settlement(settled, tmp_path / "out")
    listed = json.loads((tmp_path / "out" / "provenance.json").read_bytes())["files"]
    assert sorted([*listed, "provenance.json"]) == files_of(tmp_path / "out")
    for name, digest in listed.items():
        assert digest_of_file(tmp_path / "out" / name) == digest


def test_the_same_run_and_contract_give_the_same_bytes(run, tmp_path):
    for name in ("one", "two"):
        write_settlement(settle_run(load_contract(HIP, ["learner=linear"]), run), tmp_path / name)
    for name in files_of(tmp_path / "one"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_an_earlier_settlement_is_replaced_and_nothing_else_is(run, tmp_path):
    settled = settle_run(load_contract(HIP, ["learner=linear"]), run)
    write_settlement(settled, tmp_path / "out")
    write_settlement(settled, tmp_path / "out")
    (tmp_path / "out" / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(OutputError, match=r"such as notes\.txt"):
        write_settlement(settled, tmp_path / "out")


@pytest.mark.parametrize("inside", [".", "settled", "figures/settled"])
def test_a_run_folder_is_never_written_into(run, inside):
    settled = settle_run(load_contract(HIP, ["learner=linear"]), run)
    before = files_of(run)
    with pytest.raises(OutputError, match="a folder of its own for the settlement"):
        write_settlement(settled, run / inside)
    assert files_of(run) == before


def test_a_changed_run_is_refused(run, tmp_path):
    copy = shutil.copytree(run, tmp_path / "run")
    table = (copy / "providers.csv").read_text(encoding="utf-8")
    (copy / "providers.csv").write_text(table.replace("H00", "H09"), encoding="utf-8")
    with pytest.raises(FileFormatError, match="wanted the file as its run wrote it"):
        settle_run(load_contract(HIP, ["learner=linear"]), copy)


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(FileMissingError, match="wanted the folder of a finished run"):
        settle_run(load_contract(HIP), tmp_path)


@pytest.mark.parametrize(
    ("change", "code", "told"),
    [
        ("providers=[{id: H00}, {id: H77}]", 12, "got 'H77'"),
        ("learner=lightgbm", 12, "got 'lightgbm'"),
        ("outcomes=[oks]", 10, "wanted steps on the contract's outcomes"),
        ("steps.1.amount=-1", 10, "greater than or equal to 0"),
        ("provider_table=none.csv", 20, "none.csv"),
    ],
)
def test_what_is_refused_leaves_nothing(riskadj, run, tmp_path, set_linear, change, code, told):
    out = tmp_path / "settled"
    left, _, error = riskadj("settle", HIP, run, "--out", out, *set_linear, "--set", change)
    assert (left, out.exists()) == (code, False)
    assert told in error
    assert error.count("\n") == 1


def test_a_settlement_that_cannot_be_written_leaves_nothing(run, tmp_path, monkeypatch):
    settled = settle_run(load_contract(HIP, ["learner=linear"]), run)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("riskadj.report.settlement.statement_texts", full)
    with pytest.raises(OutputError, match="No space left"):
        write_settlement(settled, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_help_speaks_of_keys_of_the_contract_and_says_where_a_study_is_set(riskadj):
    code, told, _ = riskadj("settle", "--help")
    words = " ".join(told.replace("│", " ").split())
    assert code == 0
    assert "--set target.discount.share=0.03" in words
    assert "riskadj run STUDY.yaml --set KEY=VALUE" in words
    assert "split.test" not in words


def test_a_run_that_is_not_there_is_refused_with_the_way_to_one(riskadj, tmp_path):
    code, _, error = riskadj("settle", HIP, tmp_path / "nope", "--out", tmp_path / "settled")
    assert code == 20
    assert "wanted the folder of a finished run, or a study to run first; got neither" in error
    assert f"riskadj run STUDY.yaml --out {tmp_path / 'nope'}" in error


def test_a_settlement_that_no_longer_adds_up_is_not_written(run, tmp_path):
    settled = settle_run(load_contract(HIP, ["learner=linear"]), run)
    settled.totals.loc[0, "total_minor"] += 1
    with pytest.raises(ValuesError, match="every total is the sum of its lines"):
        write_settlement(settled, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_study_is_run_first(riskadj, tmp_path, monkeypatch, set_linear):
    monkeypatch.chdir(tmp_path)
    out = tmp_path / "settled"
    code, told, _ = riskadj("settle", HIP, england(tmp_path), "--out", out, *set_linear)
    assert code == 0
    assert "providers.csv" in told
    assert (out / "statements.html").is_file()


def test_an_over_dispersed_analysis_of_the_run_opens_the_gate(run):
    """H04 is beyond nominal limits; limits that allow for differences let it pass."""
    other = ["steps.0.criteria.0.method=nhs_england", "steps.0.criteria.0.limits=additive"]
    lost = [
        settle_run(load_contract(HIP, ["learner=linear", *some]), run)
        .totals.query("total_minor == 0")["provider_id"].tolist()
        for some in ([], other)
    ]  # fmt: skip
    assert lost == [["H01", "H04"], ["H01"]]


BUNDLE = {
    "name": "bundle", "version": "1", "title": "A bundle", "about": "Ours.",
    "currency": {"code": "GBP"}, "price_year": 2020, "outcomes": ["ohs"], "cost": "cost",
    "learner": "linear", "count": "records", "too_few": "no_settlement",
    "target": {"baseline": {"kind": "expected"} | OURS},
    "steps": [step("reconcile"), step("stop_loss", share=0.02)],
    "budget": {"kind": "neutral", "how": "shift"} | OURS,
}  # fmt: skip


def test_a_bundle_on_cost_and_outcome_of_one_run_is_settled_to_the_cent(run):
    settled = settle_run(Contract.model_validate(BUNDLE), run)
    assert check_by_hand(settled) >= 24
    assert settled.pool == 0
    totals = settled.totals.set_index("provider_id")
    assert totals["total_minor"].idxmin() == "H04"
    target, actual = (totals[one].astype(float) for one in ("target", "actual"))
    np.testing.assert_allclose(target.sum(), actual.sum(), rtol=1e-5)


@pytest.mark.parametrize(("name", "value"), [("currency", {"code": "EUR"}), ("price_year", 2023)])
def test_money_of_another_kind_than_the_runs_is_refused(run, name, value):
    other = Contract.model_validate(BUNDLE | {name: value})
    with pytest.raises(StudyError, match=f"wanted one {name} in contract and study"):
        settle_run(other, run)
