"""Where a run goes: a folder per study and data, and a word where other data are replaced."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from worlds import LINEAR, episode_frame, study_content, write_study

import riskadj
from riskadj.cli.progress import show_run
from riskadj.errors import OutputError
from riskadj.pipeline import Run, default_folder, read_study
from riskadj.report.folder import MARK, read_json

CONTENT: dict[str, Any] = study_content(
    learners=LINEAR,
    profile__replicates=0,
    profile__sensitivity={},
    report={"subgroups": []},
    data={"format": "parquet", "paths": ["episodes.parquet"]},
)
FIRST = episode_frame()
CORRECTED = FIRST.assign(age_years=FIRST["age_years"].where(FIRST.index > 0, 41.0))


def study_of(home: Path, data: pd.DataFrame, **changes: Any) -> Any:
    data.to_parquet(home / "episodes.parquet")
    return riskadj.load_study(write_study(home, CONTENT | changes))


def told_of(run: Run, capsys: pytest.CaptureFixture[str]) -> list[str]:
    show_run(run)
    return [one for one in capsys.readouterr().out.splitlines() if one.startswith("replaced")]


def test_a_folder_by_default_is_named_by_study_and_data_together(tmp_path: Path) -> None:
    asked = [(FIRST, {}), (CORRECTED, {}), (FIRST, {"title": "Another"}), (FIRST, {})]
    studies = ((study_of(tmp_path, data, **changes)) for data, changes in asked)
    first, *others, again = [default_folder(one, read_study(one)) for one in studies]
    assert first.parent == Path("runs")
    assert first.name.startswith("small-")
    assert len({first, *others}) == 3
    assert again == first


def test_corrected_data_replace_only_what_is_named_and_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    before = riskadj.run_study(study := study_of(tmp_path, FIRST))
    assert before.folder == default_folder(study, read_study(study))
    assert told_of(before, capsys) == []
    earlier = read_json(before.folder / MARK)
    study = study_of(tmp_path, CORRECTED)
    after = riskadj.run_study(study, before.folder)
    assert read_json(after.folder / MARK)["seal"] != earlier["seal"]
    assert told_of(after, capsys) == [
        f"replaced  a run of other data: episodes.parquet, made {earlier['created']}, "
        f"seal {earlier['seal']}"
    ]


def test_a_place_that_would_be_refused_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("years of work")
    study = study_of(tmp_path, FIRST)
    (tmp_path / "episodes.parquet").unlink()
    with pytest.raises(OutputError, match="other things in it"):
        riskadj.run_study(study, tmp_path / "out")
