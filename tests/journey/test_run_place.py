"""Where a run goes: a folder per study and data, and a word where other data are replaced."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from worlds import LINEAR, episode_frame, study_content, write_study

import riskadj
from riskadj.cli.progress import show_run
from riskadj.errors import OutputError
from riskadj.report.folder import MARK, read_json

CONTENT: dict[str, Any] = study_content(
    learners=LINEAR,
    profile__replicates=0,
    profile__sensitivity={},
    report={"subgroups": []},
    data={"format": "parquet", "paths": ["episodes.parquet"]},
)


@pytest.fixture(scope="module")
def first() -> pd.DataFrame:
    return episode_frame()


@pytest.fixture(scope="module")
def corrected(first: pd.DataFrame) -> pd.DataFrame:
    return first.assign(age_years=first["age_years"].where(first.index > 0, 41.0))


def run_of(home: Path, data: pd.DataFrame, out: str | None = None, **changes: Any) -> Any:
    data.to_parquet(home / "episodes.parquet")
    path = write_study(home, CONTENT | changes)
    return riskadj.run_study(riskadj.load_study(path), out)


def test_corrected_data_are_a_folder_of_their_own_and_the_same_data_are_not(
    first: pd.DataFrame, corrected: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = run_of(tmp_path, first).folder
    kept = (before / "expectations.parquet").read_bytes()
    after = run_of(tmp_path, corrected)
    assert {one.name for one in Path("runs").iterdir()} == {before.name, after.folder.name}
    assert before != after.folder
    assert (before / "expectations.parquet").read_bytes() == kept
    again = run_of(tmp_path, first)
    assert again.folder == before
    assert again.replaced == ""
    assert before.parent == Path("runs")
    assert before.name.startswith("small-")


def test_a_place_that_is_named_is_replaced_with_a_word_where_data_are_others(
    first: pd.DataFrame,
    corrected: pd.DataFrame,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = str(tmp_path / "out")
    assert run_of(tmp_path, first, out).replaced == ""
    same = run_of(tmp_path, first, out, title="Another study of the same data")
    assert same.replaced == ""
    show_run(same)
    assert "replaced" not in capsys.readouterr().out
    earlier = read_json(Path(out) / MARK)
    other = run_of(tmp_path, corrected, out)
    show_run(other)
    told = [one for one in capsys.readouterr().out.splitlines() if one.startswith("replaced")]
    assert told == [
        f"replaced  a run of other data: episodes.parquet, made {earlier['created']}, "
        f"seal {earlier['seal']}"
    ]


def test_a_place_that_would_be_refused_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("years of work")
    study = riskadj.load_study(write_study(tmp_path, json.loads(json.dumps(CONTENT))))
    assert not (tmp_path / "episodes.parquet").exists()
    with pytest.raises(OutputError, match="other things in it"):
        riskadj.run_study(study, tmp_path / "out")
