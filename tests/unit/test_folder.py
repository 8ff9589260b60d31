"""The run folder: all of it or nothing, wherever it is and whatever goes wrong."""

import errno
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from riskadj.errors import EmptyCohortError, OutputError
from riskadj.report.folder import (
    MARK,
    run_folder,
    run_of_other_data,
    write_csv,
    write_json,
    write_parquet,
    write_text,
)


def run(out: Path, text: str = "new") -> None:
    with run_folder(out) as staging:
        write_json({"run": text, "files": {"card.md": "its digest"}}, staging / MARK)
        write_text(text, staging / "card.md")


def run_then(error: BaseException, out: Path) -> None:
    with run_folder(out) as staging:
        write_text("half", staging / "card.md")
        raise error


def everything_in(folder: Path) -> set[str]:
    return {one.relative_to(folder).as_posix() for one in folder.rglob("*")}


def test_a_run_is_there_when_it_is_finished_and_nothing_besides(tmp_path: Path) -> None:
    run(tmp_path / "out")
    assert everything_in(tmp_path) == {"out", f"out/{MARK}", "out/card.md"}


def test_a_run_is_not_there_before_it_is_finished(tmp_path: Path) -> None:
    with run_folder(tmp_path / "out") as staging:
        write_text("half", staging / "card.md")
        assert not (tmp_path / "out").exists()


def test_folders_above_are_made(tmp_path: Path) -> None:
    run(tmp_path / "some" / "where" / "out")
    assert (tmp_path / "some" / "where" / "out" / MARK).exists()


@pytest.mark.parametrize(
    "error", [EmptyCohortError("nobody"), KeyboardInterrupt(), ValueError("x")]
)
def test_an_error_inside_leaves_nothing_and_stays_itself(
    error: BaseException, tmp_path: Path
) -> None:
    with pytest.raises(type(error)):
        run_then(error, tmp_path / "out")
    assert everything_in(tmp_path) == set()


def test_an_error_inside_leaves_no_folders_above_either(tmp_path: Path) -> None:
    with pytest.raises(EmptyCohortError):
        run_then(EmptyCohortError("nobody"), tmp_path / "runs" / "deep" / "out")
    assert everything_in(tmp_path) == set()


def test_an_earlier_run_stays_when_a_later_one_fails(tmp_path: Path) -> None:
    run(tmp_path / "out", "old")
    with pytest.raises(EmptyCohortError):
        run_then(EmptyCohortError("nobody"), tmp_path / "out")
    assert (tmp_path / "out" / "card.md").read_text() == "old"
    assert everything_in(tmp_path) == {"out", f"out/{MARK}", "out/card.md"}


def test_an_earlier_run_is_replaced_whole(tmp_path: Path) -> None:
    run(tmp_path / "out", "old")
    (tmp_path / "out" / "figures").mkdir()
    run(tmp_path / "out")
    assert (tmp_path / "out" / "card.md").read_text() == "new"
    assert everything_in(tmp_path) == {"out", f"out/{MARK}", "out/card.md"}


def test_a_run_with_a_strangers_file_in_it_is_refused_and_left_alone(tmp_path: Path) -> None:
    run(tmp_path / "out", "old")
    (tmp_path / "out" / "mine").mkdir()
    (tmp_path / "out" / "mine" / "notes.txt").write_text("years of work")
    with pytest.raises(OutputError, match=r"such as mine/notes\.txt"):
        run(tmp_path / "out")
    assert (tmp_path / "out" / "mine" / "notes.txt").read_text() == "years of work"


def test_an_empty_folder_may_be_written_to(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    run(tmp_path / "out")
    assert (tmp_path / "out" / MARK).exists()


@pytest.mark.parametrize("out", [".", "..", "../../out"])
def test_the_current_folder_is_refused_as_it_would_be_taken_away(
    out: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(tmp_path / "out", "old")
    inside = tmp_path / "out" / ("" if out == "." else "figures")
    inside.mkdir(exist_ok=True)
    monkeypatch.chdir(inside)
    with pytest.raises(OutputError, match="got the current one"):
        run(Path(out))
    assert (tmp_path / "out" / "card.md").read_text() == "old"


def test_a_link_to_an_earlier_run_leads_to_the_new_one(tmp_path: Path) -> None:
    run(tmp_path / "real", "old")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    run(tmp_path / "link")
    assert (tmp_path / "real" / "card.md").read_text() == "new"
    assert {one.name for one in tmp_path.iterdir()} == {"real", "link"}


def test_a_folder_with_other_things_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(OutputError, match="other things in it"):
        run(tmp_path)
    assert everything_in(tmp_path) == {"thesis.txt"}


def test_a_file_in_the_way_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("years of work")
    with pytest.raises(OutputError, match="got a file"):
        run(tmp_path / "out")
    assert (tmp_path / "out").read_text() == "years of work"


def test_a_folder_under_a_file_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="choose another --out"):
        run(tmp_path / "file" / "out")


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a folder nobody can write to")
def test_a_folder_nobody_can_write_to_is_refused() -> None:
    with pytest.raises(OutputError, match="wanted to write the results"):
        run(Path("/proc/out"))


@pytest.mark.parametrize("earlier", [True, False])
def test_a_full_disk_is_one_line_and_keeps_nothing_new(
    earlier: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if earlier:
        run(tmp_path / "out", "old")
    before = everything_in(tmp_path)

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OutputError, match=r"'No space left on device'\. Nothing") as caught:
        run(tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert everything_in(tmp_path) == before


def test_when_the_swap_fails_the_earlier_run_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(tmp_path / "out", "old")
    rename = Path.rename

    def fail(self: Path, target: Path) -> Path:
        if "partial" in self.name and "old" not in self.name:
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(OutputError):
        run(tmp_path / "out")
    assert (tmp_path / "out" / "card.md").read_text() == "old"


def of_data(*digests: str) -> dict[str, Any]:
    data = [{"name": f"{number}.csv", "digest": one} for number, one in enumerate(digests)]
    return {"data": data, "created": "2026-01-02T03:04:05+00:00", "seal": "5ea1"}


@pytest.mark.parametrize(
    ("earlier", "told"),
    [
        (None, ""),
        ({"contract": {}}, ""),
        (of_data("a", "b"), ""),
        (of_data("a", "c"), "0.csv, 1.csv, made 2026-01-02T03:04:05+00:00, seal 5ea1"),
        (of_data("a"), "0.csv, made 2026-01-02T03:04:05+00:00, seal 5ea1"),
    ],
    ids=["nothing", "no run", "the same data", "a file corrected", "a file more"],
)
def test_an_earlier_run_of_other_data_is_told_from_one_of_the_same(
    earlier: dict[str, Any] | None, told: str, tmp_path: Path
) -> None:
    if earlier is not None:
        write_json(earlier, tmp_path / MARK)
    new = of_data("a", "b")
    for place, one in enumerate(new["data"]):
        one["name"] = f"moved-{place}.csv"
    assert run_of_other_data(tmp_path, new) == told


def test_csv_has_twelve_digits_and_unix_lines(tmp_path: Path) -> None:
    write_csv(pd.DataFrame({"a": [1 / 3, None], "b": ["x", "é"]}), tmp_path / "t.csv")
    assert (tmp_path / "t.csv").read_bytes() == "a,b\n0.333333333333,x\n,é\n".encode()


def test_json_has_sorted_keys_and_null_for_what_is_no_number(tmp_path: Path) -> None:
    content = {"b": float("nan"), "a": [float("inf"), 1.5], "c": (1, "é")}
    write_json(content, tmp_path / "t.json")
    text = (tmp_path / "t.json").read_text(encoding="utf-8")
    assert json.loads(text) == {"a": [None, 1.5], "b": None, "c": [1, "é"]}
    assert text.index('"a"') < text.index('"b"') < text.index('"c"')


def test_the_same_table_is_the_same_bytes_of_parquet(tmp_path: Path) -> None:
    table = pd.DataFrame({"a": range(100), "b": "x"})
    for name in ("one", "two"):
        write_parquet(table, tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
