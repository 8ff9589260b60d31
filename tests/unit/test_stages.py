"""What stages make is kept whole or not at all, comes back as it was, and is never just trusted."""

import json
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from functools import partial
from pathlib import Path
from typing import Any, get_args, get_type_hints

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from worlds import as_episodes, episode_frame, expectations_of, make_study

from riskadj.casemix import CaseMix
from riskadj.cli.progress import _told
from riskadj.episodes import mapped
from riskadj.expected import Evaluation, ExpectationModel, Expectations
from riskadj.explain import Explanation
from riskadj.fairness import Fairness
from riskadj.followup import FollowUp
from riskadj.pipeline import TakenUp
from riskadj.profile import Profiles
from riskadj.report.results import OutcomeResults
from riskadj.stages import (
    NOTHING,
    KeptStages,
    UnkeptError,
    kept,
    of_run,
    read_record,
    write_record,
)
from riskadj.stages.written import CONTENT, RECORDS
from riskadj.value import Values

OF, ANOTHER = "a" * 64, "b" * 64


def again(value: Any, folder: Path, at_hand: dict[str, Any] | None = None) -> Any:
    """Return a value written and read."""
    folder.mkdir(exist_ok=True)
    write_record(value, folder, at_hand)
    return read_record(folder, at_hand)


def check_same(one: Any, other: Any) -> None:
    """Hold two values to be of the same types and content, bit for bit."""
    assert type(one) is type(other)
    for kind, check in CHECKS.items():
        if isinstance(one, kind):
            check(one, other)
            return
    if is_dataclass(one):
        one, other = ([getattr(of, each.name) for each in fields(of)] for of in (one, other))
        same_each(one, other)
    else:
        np.testing.assert_equal(one, other)


def same_table(one: pd.DataFrame, other: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(one, other, check_exact=True, check_column_type="equiv")
    assert [*one.dtypes] == [*other.dtypes]
    bits = one.select_dtypes("floating").to_numpy().tobytes()
    assert bits == other.select_dtypes("floating").to_numpy().tobytes()


def same_each(one: Any, other: Any) -> None:
    assert len(one) == len(other)
    for pair in zip(one, other, strict=True):
        check_same(*pair)


CHECKS: dict[Any, Callable[[Any, Any], object]] = {
    pd.DataFrame: same_table,
    pd.Series: partial(pd.testing.assert_series_equal, check_exact=True),
    np.ndarray: np.testing.assert_array_equal,
    dict: lambda one, other: same_each([*one.items()], [*other.items()]),
    (list, tuple): same_each,
    (ExpectationModel, CaseMix): lambda one, other: None,
}


# Values ------------------------------------------------------------------------------------------

PLAIN = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.sampled_from(
        [np.float64(0.1), np.float64("nan"), np.int64(3), np.bool_(True), np.float32(0.1)]
    )
)  # fmt: skip
VALUES = st.recursive(
    PLAIN,
    lambda inside: st.one_of(
        st.lists(inside, max_size=3),
        st.lists(inside, max_size=3).map(tuple),
        st.dictionaries(st.one_of(st.text(), st.integers()), inside, max_size=3),
    ),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None)
@given(value=VALUES)
def test_a_plain_value_comes_back_as_it_was(
    value: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    check_same(again(value, tmp_path_factory.mktemp("value")), value)


TABLES: dict[str, pd.DataFrame] = {
    "all kinds": pd.DataFrame(
        {
            "score": [1.5, np.nan, -0.0, np.inf],
            "small": np.array([1, 2, 3, 4], dtype=np.int8),
            "single": np.array([0.1, np.nan, 1, 2], dtype=np.float32),
            "text": pd.array(["a", None, "", "später"], dtype="str"),
            "truth": [True, False, True, True],
            "date": pd.to_datetime(["2024-01-01", None, "2024-01-03", "2024-01-04"]),
            "level": pd.Categorical(["x", "y", None, "x"], ["y", "x", "z"], ordered=True),
            "object": pd.Series([None, float("nan"), "text", (1, 2.5)], dtype=object),
        }
    ),
    "no rows": pd.DataFrame({"x": pd.Series([], dtype=float), "y": pd.Series([], dtype="str")}),
    "no columns": pd.DataFrame(index=pd.RangeIndex(3)),
    "nothing": pd.DataFrame(),
    "only names": pd.DataFrame(columns=["outcome", "learner"]),
    "rows with names": pd.DataFrame({"n": [1, 2]}, index=pd.Index(["H1", "H2"], name="provider")),
    "rows from elsewhere": pd.DataFrame({"n": [1.0, 2.0]}, index=[7, 3]),
    "a name twice": pd.DataFrame([[1, 2.5]], columns=["a", "a"]),
    "texts in objects": pd.DataFrame({"x": ["a", None]}, dtype=object),
    "a part of another": pd.DataFrame({"x": ["a", None, "b"]}).astype("str").iloc[1:],
}


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("mapped_from", [0, mapped.MAPPED_FROM], ids=["mapped", "in memory"])
def test_a_table_comes_back_as_it_was(
    name: str, mapped_from: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mapped, "MAPPED_FROM", mapped_from)
    table = TABLES[name]
    check_same(again(table, tmp_path), table)
    for place in range(table.shape[1]):
        column = table.iloc[:, place]
        check_same(again(column, tmp_path / "column"), column)


def test_numbers_of_a_large_table_stay_in_their_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = TABLES["all kinds"]
    write_record(table, tmp_path)
    monkeypatch.setattr(mapped, "MAPPED_FROM", 0)
    held = read_record(tmp_path)["score"].to_numpy()
    assert not held.flags.writeable
    (tmp_path / "0.arrow").unlink()
    np.testing.assert_array_equal(held, table["score"])


def test_what_is_at_hand_is_named_and_not_copied(tmp_path: Path) -> None:
    casemix, ids = object(), pd.Series(["a", "b", "b", "c"])
    value = {"mine": casemix, "sets": [frozenset("ab"), frozenset("ab"), frozenset("xa")]}
    read = again(value, tmp_path, {"casemix": casemix, "ids": ids})
    assert read["mine"] is casemix
    assert read["sets"] == value["sets"]
    assert read["sets"][0] is read["sets"][1]
    held = json.loads((tmp_path / CONTENT).read_bytes())["sets"]
    assert held == [{"of": "ids", "inside": {"array": "0.npy"}}, ["a", "x"]]


STRANGE: dict[str, Any] = {
    "a class": Path,
    "an object": object(),
    "a path": Path("x"),
    "objects in an array": np.array([object()]),
    "a date": pd.Timestamp("2024-01-01"),
    "numbers of pandas": pd.DataFrame({"x": pd.array([1, None], dtype="Int64")}),
    "rows in levels": pd.DataFrame({"x": [1]}, index=pd.MultiIndex.from_tuples([(1, 2)])),
    "a set of numbers": frozenset([1]),
    "an object in a table": pd.DataFrame({"x": [object()]}),
    "a study": make_study(),
}


@pytest.mark.parametrize("name", STRANGE)
def test_what_has_no_written_form_is_refused_when_written(name: str, tmp_path: Path) -> None:
    with pytest.raises(UnkeptError):
        write_record({"inside": STRANGE[name]}, tmp_path)


def test_what_is_read_cannot_name_another_class_or_another_place(tmp_path: Path) -> None:
    for node in ({"record": ["Path", {}]}, {"array": "../other.npy"}, {"model": "/etc"}):
        (tmp_path / CONTENT).write_text(json.dumps({"sets": [], "content": node}))
        with pytest.raises((KeyError, ValueError)):
            read_record(tmp_path)


# Records -----------------------------------------------------------------------------------------

ROOTS = (Expectations, Evaluation, Profiles, FollowUp, Fairness, Explanation, Values)
OTHERWISE = (CaseMix, ExpectationModel)
"""Named as what is at hand, and written as models are."""


def records_inside(kind: Any) -> set[type]:
    """Return the dataclasses that a type says it is made of."""
    inside = {one for part in get_args(kind) for one in records_inside(part)}
    if not is_dataclass(kind) or kind in OTHERWISE:
        return inside
    hints = get_type_hints(kind).values()
    return inside | {kind} | {one for hint in hints for one in records_inside(hint)}


def test_every_record_that_a_stage_makes_is_known() -> None:
    hints = get_type_hints(OutcomeResults)
    made = {one for hint in hints.values() for one in records_inside(hint)} | {Values}
    assert made - {CaseMix} == set(RECORDS.values())
    assert set(ROOTS) <= set(RECORDS.values())


def test_expectations_come_back_with_their_models_and_are_checked_again(
    folded: Expectations, tmp_path: Path
) -> None:
    cohort = folded.cohort
    at_hand = {"casemix": folded.casemix, "taught": cohort.train["episode_id"],
               "groups": cohort.train["provider_id"]}  # fmt: skip
    read = again(folded, tmp_path, at_hand)
    check_same(read, folded)
    assert read.casemix is folded.casemix
    for name, model in folded.models.items():
        expected = model.expect(cohort.test)
        np.testing.assert_array_equal(read.models[name].expect(cohort.test), expected)
    content = json.loads((tmp_path / CONTENT).read_bytes())
    assert all(isinstance(one, dict) for one in content["sets"]), "sets of places, not of texts"
    learned = content["content"]["record"][1]["learned"]
    assert "set" in json.dumps(learned)


# Places ------------------------------------------------------------------------------------------


@pytest.fixture
def store(tmp_path: Path) -> KeptStages:
    return KeptStages(tmp_path / "run", OF)


def kept_file(store: KeptStages, name: str) -> Path:
    (found,) = store.place.rglob(name)
    return found


def test_what_is_kept_is_found_by_stage_and_by_what_it_was_made_from(store: KeptStages) -> None:
    assert not store
    assert store.keep(None, "ohs: explain", "digest")
    assert store
    assert store.find("ohs: explain", "digest") is None
    for key in (("ohs: explain", "another"), ("ohs: expect", "digest"), ("ohs: explain",)):
        assert store.find(*key) is NOTHING


def test_only_its_owner_can_read_it(store: KeptStages) -> None:
    store.keep(TABLES["all kinds"], "x")
    folders = [store.folder, *(one for one in store.folder.rglob("*") if one.is_dir())]
    assert {one.stat().st_mode & 0o777 for one in folders} == {0o700}


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-2])


def _besides(path: Path) -> None:
    (path.parent / "more.npy").write_bytes(b"x")


DAMAGE: dict[str, Callable[[Path], object]] = {
    "a bit": _flip, "its end": _cut, "gone": Path.unlink, "one more": _besides,
    "empty": lambda path: path.write_bytes(b""),
}  # fmt: skip


@pytest.mark.parametrize("name", [CONTENT, "0.arrow", kept.SEAL, "digests.json", "model.json"])
@pytest.mark.parametrize("how", DAMAGE)
def test_damage_is_never_trusted(
    name: str, how: str, store: KeptStages, expectations: Expectations
) -> None:
    value = (TABLES["all kinds"], expectations.models["linear"])
    store.keep(value, "ohs: expect")
    assert store.find("ohs: expect") is not NOTHING
    DAMAGE[how](kept_file(store, name))
    assert store.find("ohs: expect") is NOTHING
    assert store.keep(value, "ohs: expect"), "worked out again, it is kept in the place of that"
    assert store.find("ohs: expect") is not NOTHING


def test_what_is_half_written_is_not_there_and_in_nobodys_way(
    store: KeptStages, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(kept, "flushed", stopped)
    with pytest.raises(KeyboardInterrupt):
        store.keep([1.5], "x")
    monkeypatch.undo()
    half = store.place / f"{store._place_of('x', ()).name}.partial"
    half.mkdir()
    (half / CONTENT).write_text("{")
    assert store.find("x") is NOTHING
    assert store.keep([1.5], "x")
    assert store.find("x") == [1.5]
    assert not half.exists()


@pytest.mark.parametrize(
    "error", [OSError(28, "No space left on device"), UnkeptError("x"), ValueError("x")]
)
def test_what_cannot_be_kept_is_left_out_without_a_trace(
    error: Exception, store: KeptStages, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(kept, "write_record", fail)
    assert not store.keep([1.5], "x")
    assert not store
    assert [*store.place.iterdir()] == []


def test_nothing_is_kept_that_leaves_no_room_for_the_results(
    store: KeptStages, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full:
        free = 100

    monkeypatch.setattr(kept.shutil, "disk_usage", lambda _: Full)
    assert not store.keep(TABLES["all kinds"], "x")
    assert store.find("x") is NOTHING


def test_of_other_runs_everything_stays_until_one_is_in_place(tmp_path: Path) -> None:
    first, other = KeptStages(tmp_path / "run", OF), KeptStages(tmp_path / "run", ANOTHER)
    assert first.keep(1, "x")
    assert other.keep(2, "x")
    assert (first.find("x"), other.find("x")) == (1, 2)
    other.remove(every=False)
    assert (first.find("x"), other.find("x")) == (1, NOTHING)
    assert KeptStages(tmp_path / "run", ANOTHER, fresh=True).find("x") is NOTHING
    assert first.find("x") is NOTHING


def test_what_is_somebody_elses_stays(tmp_path: Path) -> None:
    first = KeptStages(tmp_path / "run", OF)
    first.keep(1, "x")
    (first.folder / "notes.txt").write_text("years of work")
    first.remove()
    assert {one.name for one in first.folder.iterdir()} == {"notes.txt"}


def test_where_others_may_write_nothing_is_taken_up(store: KeptStages) -> None:
    store.keep(1, "x")
    store.folder.chmod(0o777)
    assert store.find("x") is NOTHING
    store.folder.chmod(0o700)
    assert store.find("x") == 1


def test_the_folder_goes_with_what_was_in_it(store: KeptStages) -> None:
    store.keep(1, "x")
    store.remove()
    assert not store.folder.exists()
    store.remove()


def test_a_run_is_another_with_other_data_engine_or_choices() -> None:
    frame, study = episode_frame(60), make_study()
    of = [
        of_run(study, as_episodes(frame)),
        of_run(study, as_episodes(frame.iloc[1:])),
        of_run(make_study(split__seed=2), as_episodes(frame)),
        of_run(make_study(engine="dask"), as_episodes(frame)),
    ]
    assert len(set(of)) == len(of)
    assert of_run(make_study(tracking={"uri": "sqlite:///x.db"}), as_episodes(frame)) == of[0]
    assert len(OF) == len(of[0])


def test_expectations_that_would_be_in_sample_are_not_taken_up(
    store: KeptStages, frame: pd.DataFrame
) -> None:
    expectations = expectations_of(frame)
    at_hand = {"casemix": expectations.casemix}
    store.keep(expectations, "x", at_hand=at_hand)
    content = json.loads(kept_file(store, CONTENT).read_bytes())
    content["sets"] = [sorted(expectations.cohort.test["episode_id"])] * len(content["sets"])
    kept_file(store, CONTENT).write_text(json.dumps(content))
    place = kept_file(store, CONTENT).parent
    (place / kept.SEAL).unlink()
    (place / kept.SEAL).write_text(json.dumps(kept._digests(place)))
    assert kept.is_whole(place)
    assert store.find("x", at_hand=at_hand) is NOTHING


def test_progress_says_which_stages_were_taken_up() -> None:
    assert [_told(one).split() for one in (TakenUp(0.5), 0.5)] == [["taken", "up"], ["0.5", "s"]]
