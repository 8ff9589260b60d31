"""A model is text whose digests are looked at before anything of it is."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from riskadj.digest import digest_of_file
from riskadj.errors import ChangedFileError, FileFormatError
from riskadj.expected import Expectations, load_model, save_model
from riskadj.expected.model import DIGESTS


@pytest.fixture(scope="module")
def saved(expectations: Expectations, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("model") / "ohs-lightgbm"
    save_model(expectations.models["lightgbm"], folder)
    return folder


@pytest.fixture
def model(saved: Path, tmp_path: Path) -> Path:
    return shutil.copytree(saved, tmp_path / "model")


@pytest.fixture
def no_lightgbm(monkeypatch):
    """Fail the test when LightGBM is given anything to read."""

    def never(*args, **kwargs):
        raise AssertionError("LightGBM was asked")

    monkeypatch.setattr("lightgbm.Booster", never)


def resealed(folder: Path) -> Path:
    """Write the digests of whatever is there, as somebody would who can write to the folder."""
    digests = {one.name: digest_of_file(one) for one in folder.iterdir() if one.name != DIGESTS}
    (folder / DIGESTS).write_text(json.dumps(digests))
    return folder


def test_a_saved_model_names_all_its_files_and_is_read_again(saved: Path, expectations):
    digests = json.loads((saved / DIGESTS).read_text())
    assert {*digests, DIGESTS} == {one.name for one in saved.iterdir()}
    rows = expectations.casemix.test.head(5)
    assert (load_model(saved).expect(rows) == expectations.models["lightgbm"].expect(rows)).all()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    name=st.sampled_from(["model.json", "trees_0.txt"]), at=st.floats(0, 1), by=st.integers(1, 255)
)
def test_any_changed_byte_is_refused_before_lightgbm_sees_it(
    name: str, at: float, by: int, saved: Path, tmp_path: Path, no_lightgbm
):
    folder = tmp_path / "model"
    shutil.copytree(saved, folder, dirs_exist_ok=True)
    content = bytearray((saved / name).read_bytes())
    content[int(at * (len(content) - 1))] ^= by
    (folder / name).write_bytes(content)
    with pytest.raises(ChangedFileError, match=f"{name}: wanted the file as it was saved"):
        load_model(folder)


@pytest.mark.parametrize("content", [None, "", "[]", "3", "{}", '{"model.json": 3}', "[" * 100_000])
def test_without_the_digests_there_is_no_model(content: str | None, model: Path, no_lightgbm):
    (model / DIGESTS).unlink()
    if content is not None:
        (model / DIGESTS).write_text(content)
    with pytest.raises((FileFormatError, ChangedFileError), match="wanted"):
        load_model(model)


@pytest.mark.parametrize("name", ["../outside.txt", "/etc/hostname", "sub/trees.txt", "..", "."])
def test_no_file_outside_the_folder_is_read(name: str, model: Path, no_lightgbm):
    (model.parent / "outside.txt").write_text("tree")
    digests = json.loads((model / DIGESTS).read_text())
    (model / DIGESTS).write_text(json.dumps({name: "0" * 64} | digests))
    with pytest.raises(FileFormatError, match=r"a file outside the folder|Error"):
        load_model(model)


def test_trees_that_the_digests_do_not_name_are_not_read(model: Path, no_lightgbm):
    content = json.loads((model / "model.json").read_text())
    content["members"][0]["trees"] = "../outside.txt"
    (model.parent / "outside.txt").write_text("tree")
    (model / "model.json").write_text(json.dumps(content))
    with pytest.raises(FileFormatError, match="wanted a saved model"):
        load_model(resealed(model))


STRANGE = {
    "deep": '{"format": ' * 50_000,
    "nested learners": json.dumps({"format": "riskadj expectation 2"})[:-1]
    + ', "members": ' + '[{"kind": "two_part", "any": ' * 2_000,
    "huge number": '{"format": ' + "9" * 10_000 + "}",
    "other": '{"format": "riskadj expectation 99"}',
    "empty": '{"format": "riskadj expectation 2"}',
    "a list": "[]",
    "text": '"model"',
    "half a sign": "\ud800",
}  # fmt: skip


@pytest.mark.parametrize("name", STRANGE)
def test_a_model_of_strange_json_is_refused(name: str, model: Path, no_lightgbm):
    (model / "model.json").write_bytes(STRANGE[name].encode("utf-8", "surrogatepass"))
    with pytest.raises(FileFormatError, match="wanted"):
        load_model(resealed(model))


@pytest.mark.parametrize(
    "key", ["columns", "levels", "features", "members", "sources", "link", "typical", "slope"]
)
@pytest.mark.parametrize("value", [None, "x", [], [[]], {"kind": "no such"}, float("nan")])
def test_a_model_with_a_part_of_another_kind_is_refused(key: str, value: object, model: Path):
    content = json.loads((model / "model.json").read_text())
    (model / "model.json").write_text(json.dumps(content | {key: value}))
    with pytest.raises(FileFormatError, match="wanted"):
        load_model(resealed(model))


def test_trees_that_are_none_are_refused_when_their_digest_is_right(model: Path):
    (model / "trees_0.txt").write_text("tree\nversion=v4\nnum_class=1\n")
    with pytest.raises(FileFormatError, match="wanted"):
        load_model(resealed(model))


def test_a_logged_model_is_read_in_the_same_way(model: Path, no_lightgbm):
    from riskadj.tracking.expectation_pyfunc import ExpectationPyfunc

    with (model / "trees_0.txt").open("a") as stream:
        stream.write(" ")
    with pytest.raises(ChangedFileError):
        ExpectationPyfunc().load_context(SimpleNamespace(artifacts={"model": str(model)}))
