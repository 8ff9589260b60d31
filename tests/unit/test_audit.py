"""The parts of an audit: keys that differ, figures that are apart, the answer in one sentence."""

import json
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from riskadj import errors
from riskadj.audit.again import run_again
from riskadj.audit.figures import compare_folders
from riskadj.audit.keys import changed_keys
from riskadj.audit.verdict import Audit, Fault, Step
from riskadj.errors import IncompleteError, NotRederivedError
from riskadj.report.folder import files_in, json_text, write_json, write_text
from riskadj.report.provenance import AGAIN, build_provenance, run_digest, sealed

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)
CONTENT = st.dictionaries(st.text(max_size=4), VALUES, max_size=4)
PROVIDERS = (
    "outcome,learner,provider_id,adjusted,flag\n"
    "ohs,linear,H01,20.25,Not an outlier\n"
    "ohs,linear,H02,,Insufficient records\n"
)


# Seals and keys -----------------------------------------------------------------------------------


@given(CONTENT)
def test_a_seal_fits_what_it_was_put_on_whatever_the_order_of_keys(content):
    once = sealed(content)
    assert sealed(once) == once
    assert sealed(dict(reversed(once.items())))["seal"] == once["seal"]


@given(CONTENT, st.integers())
def test_a_seal_does_not_fit_anything_else(content, more):
    assert sealed({**content, "more": more})["seal"] != sealed(content)["seal"]


@given(CONTENT)
def test_a_study_does_not_differ_from_itself(content):
    assert changed_keys(content, json.loads(json_text(content))) == []


def test_one_more_learner_is_its_own_keys_and_no_change_of_those_behind_it():
    old = {"learners": [{"kind": "linear", "ridge": 1}, {"kind": "lightgbm", "trees": 9}]}
    new = {"learners": [{"kind": "gamma"}, *old["learners"]]}
    assert [(one.key, one.old, one.new) for one in changed_keys(old, new)] == [
        ("learners.gamma.kind", None, "gamma")
    ]


def test_the_chain_of_a_provenance_leads_to_its_run(study):
    content = build_provenance(study, (), [{"stage": "read", "digest": "a", "seconds": 1.0}])
    assert run_digest(content) == content["stages"][-1]["digest"]
    content["stages"][0]["digest"] = "b"
    assert run_digest(content) != content["stages"][-1]["digest"]


def test_a_run_that_is_made_again_takes_over_the_times_of_the_first(study, tmp_path, monkeypatch):
    first = build_provenance(study, (), [{"stage": "read", "digest": "a", "seconds": 12.5}])
    write_json({**first, "created": "then"}, tmp_path / "first.json")
    monkeypatch.setenv(AGAIN, str(tmp_path / "first.json"))
    again = build_provenance(study, (), [{"stage": "read", "digest": "a", "seconds": 3.0}])
    assert again == {**first, "created": "then"}


@pytest.fixture
def study():
    from worlds import make_study

    return make_study()


# Figures ------------------------------------------------------------------------------------------


def written(folder: Path, **files: str) -> Path:
    folder.mkdir()
    for name, text in files.items():
        write_text(text, folder / name.replace("__", "."))
    return folder


def compared(tmp_path: Path, old: str, new: str, name: str = "providers.csv", **settings):
    first = written(tmp_path / "old", **{name.replace(".", "__"): old})
    second = written(tmp_path / "new", **{name.replace(".", "__"): new})
    return compare_folders(files_in(first), second, **settings)


def test_the_same_bytes_are_the_same_figures(tmp_path):
    found = compared(tmp_path, PROVIDERS, PROVIDERS)
    assert found.faults == ()
    assert found.told.endswith("gives the file again, byte for byte")


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("20.25", "20.26", "adjusted of ohs, linear, H01 was 20.25, is 20.26"),
        ("Not an", "An", "flag of ohs, linear, H01 was Not an outlier, is An outlier"),
        (",,", ",1,", "adjusted of ohs, linear, H02 was , is 1"),
        ("H02", "H03", "provider_id of ohs, linear was H02, is H03"),
        ("ohs,linear,H02,,Insufficient records\n", "", "2 rows then, 1 now"),
        (",adjusted,", ",unadjusted,", "no column adjusted now"),
        ("20.25", "20.250", "the bytes differ, and no figure."),
        (",flag\n", ",flag\r\n", "the bytes differ, and no figure"),
    ],
)
def test_the_first_figure_that_differs_is_told(old, new, told, tmp_path):
    first = written(tmp_path / "old", providers__csv=PROVIDERS)
    second = tmp_path / "new"
    second.mkdir()
    (second / "providers.csv").write_bytes(PROVIDERS.replace(old, new).encode())
    faults = compare_folders(files_in(first), second).faults
    assert [one.name for one in faults] == ["providers.csv"]
    assert told in str(faults[0].error)


@pytest.mark.parametrize(
    ("new", "holds"),
    [
        ("20.2500000001", True),
        ("20.250001", False),
        ("", False),
        ("nan", False),
        ("inf", False),
    ],
)
def test_other_software_may_move_figures_by_as_much_as_allowed(new, holds, tmp_path):
    found = compared(tmp_path, PROVIDERS, PROVIDERS.replace("20.25", new), within=1e-9)
    assert (found.faults == ()) == holds


def test_a_difference_that_another_processor_may_make_says_how_to_allow_for_it(tmp_path):
    found = compared(tmp_path, PROVIDERS, PROVIDERS.replace("20.25", "20.2500000001"))
    assert "--within 1e-9" in str(found.faults[0].error)


def test_a_flag_is_not_a_figure_that_may_move(tmp_path):
    found = compared(tmp_path, PROVIDERS, PROVIDERS.replace("Not an", "An"), within=1e9)
    assert len(found.faults) == 1


def test_a_card_is_compared_without_what_it_says_of_software(tmp_path):
    def card(code: str, n: float) -> str:
        sections = [
            {"anchor": "identity", "blocks": [code]},
            {"anchor": "providers", "blocks": [{"rows": [["H01", n]]}]},
        ]
        return json_text({"title": "t", "sections": sections, "provenance": code})

    found = compared(tmp_path, card("a", 1.0), card("b", 1.0 + 1e-12), "card.json", within=1e-9)
    assert found.faults == ()
    write_text(card("b", 2.0), tmp_path / "new" / "card.json")
    faults = compare_folders(files_in(tmp_path / "old"), tmp_path / "new", 1e-9).faults
    assert "value of providers.blocks.0.rows.0.1 was 1.0, is 2.0" in str(faults[0].error)


def test_what_has_no_figures_of_its_own_is_said_to_be_left_out(tmp_path):
    first = written(tmp_path / "old", providers__csv=PROVIDERS, card__md="a", page__html="a")
    second = written(tmp_path / "new", providers__csv=PROVIDERS, card__md="b", page__html="b")
    found = compare_folders(files_in(first), second, 1e-9)
    assert found.faults == ()
    assert "2 files that only show them were not compared" in found.told


def test_parquet_is_compared_cell_by_cell(tmp_path):
    table = pd.DataFrame({"episode_id": ["E1", "E2"], "expected": [1.0, float("nan")]})
    for name, more in (("old", 0), ("new", 1)):
        (tmp_path / name).mkdir()
        (table.assign(expected=table["expected"] + more)).to_parquet(tmp_path / name / "e.parquet")
    faults = compare_folders(files_in(tmp_path / "old"), tmp_path / "new").faults
    assert "expected of E1 was 1.0, is 2.0" in str(faults[0].error)


def test_a_file_that_a_fresh_run_does_not_give_is_told(tmp_path):
    first = written(tmp_path / "old", more__csv="a\n1\n")
    (tmp_path / "new").mkdir()
    faults = compare_folders(files_in(first), tmp_path / "new").faults
    assert "it gives no such file" in str(faults[0].error)


# The fresh process --------------------------------------------------------------------------------


def test_a_study_that_is_refused_is_not_derived_again(tmp_path):
    lines: list[str] = []
    with pytest.raises(NotRederivedError, match=r"it was refused: .*wanted a value"):
        run_again({"name": "small"}, {"stages": [], "created": ""}, tmp_path, lines.append)
    assert any("error" in one for one in lines)


def test_a_run_that_cannot_be_written_is_not_the_studys_fault(tmp_path, monkeypatch):
    stub = tmp_path / "python"
    stub.write_text("#!/bin/sh\necho 'riskadj: error: disk full' >&2\nexit 40\n")
    stub.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(stub))
    with pytest.raises(IncompleteError, match="stopped with 40: disk full"):
        run_again({}, {}, tmp_path, lambda _: None)


# The answer ---------------------------------------------------------------------------------------


def audited(*faults: Fault) -> Audit:
    figures = Step("figures", "fails" if faults else "holds", "a fresh run gives it again")
    return Audit(Path("runs/demo"), (figures,), faults, "seal", "run")


@pytest.mark.parametrize(
    ("kind", "answer"),
    [
        ("ChangedFileError", "Does not hold: x is not what the run wrote."),
        ("ChangedDataError", "Does not hold: x is not what the run was made from."),
        ("OtherCodeError", "Not told: x is not what the run was made by."),
        ("NotRederivedError", "Does not hold: x is not what a fresh run gives."),
        ("IncompleteError", "Not told: x is not at hand."),
    ],
)
def test_each_kind_of_fault_has_its_sentence_and_its_exit_code(kind, answer):
    error = getattr(errors, kind)("why")
    found = audited(Fault("x", error))
    assert found.answer == answer
    assert found.exit_code == error.exit_code
    with pytest.raises(type(error), match="why"):
        found.check()


def test_the_first_fault_decides_and_others_of_its_kind_are_counted():
    first = [Fault(one, errors.ChangedFileError("why")) for one in "abcde"]
    found = audited(*first, Fault("data", errors.ChangedDataError("why")))
    assert found.answer == "Does not hold: a, b, c and 2 more are not what the run wrote."
    assert len(found.as_json()["faults"]) == 6


def test_what_was_changed_is_missing_and_was_added_is_told_apart():
    error = errors.ChangedFileError("why")
    found = audited(
        Fault("a", error), Fault("d", error, "added"), Fault("b", error, "missing"),
        Fault("c", error, "missing"),
    )  # fmt: skip
    assert found.answer == (
        "Does not hold: a is not what the run wrote; b and c are missing; d was added."
    )
    assert [one["how"] for one in found.as_json()["faults"]] == [
        "changed", "added", "missing", "missing",
    ]  # fmt: skip


def test_what_holds_says_so_and_raises_nothing():
    found = audited()
    assert found.answer == "Holds: a fresh run gives it again."
    assert found.exit_code == 0
    found.check()
