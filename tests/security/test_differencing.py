"""Two releases held against each other: what few patients make the difference is found."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_numbers import Hostile
from worlds import LINEAR, episode_frame, study_content, write_study

from riskadj.audit import diff_runs
from riskadj.digest import digest_of_file
from riskadj.errors import FileFormatError, FileMissingError
from riskadj.pipeline import run_study
from riskadj.report.differencing import BY_DIFFERENCE, BY_ONE, BY_TOTAL, told_by_both
from riskadj.study import load_study

KEYS = ["outcome", "learner", "provider_id", "n", "episodes", "suppression", "flag"]


def release(folder: Path, sizes: dict[str, int], below: int = 6, **tables: pd.DataFrame) -> Path:
    """Write a run folder of providers with so many episodes each; those below 6 are hidden."""
    folder.mkdir()
    rows = [("a", "linear", name, n, n, "" if n >= below else "all", "") for name, n in
            sizes.items()]  # fmt: skip
    providers = pd.DataFrame(rows, columns=KEYS)
    hidden = providers["suppression"] == "all"
    providers[["n", "episodes"]] = providers[["n", "episodes"]].astype("Int64").mask(hidden)
    flow = pd.DataFrame({"outcome": ["a"], "station": "test", "reason": "periods 1", "left": 0,
                         "remaining": sum(sizes.values())})  # fmt: skip
    for name, table in {"providers": providers, "flow": flow, **tables}.items():
        table.to_csv(folder / f"{name}.csv", index=False)
    study = {
        "name": "s",
        "profile": {"suppress_below": below},
        "data": {},
        "learners": [],
        "outcomes": [{"name": "a"}],
    }
    (folder / "study.json").write_text(json.dumps(study))
    metrics = {"a": {"linear": {"n": sum(sizes.values())}}}
    (folder / "metrics.json").write_text(json.dumps(metrics))
    files = {one.name: digest_of_file(one) for one in sorted(folder.iterdir())}
    provenance: dict[str, Any] = {
        "files": files, "data": [], "code": {"version": "0", "digest": "0"},
        "environment": {"python": "3", "packages": {}},
        "stages": [{"stage": "run", "digest": str(sizes)}],
    }  # fmt: skip
    (folder / "provenance.json").write_text(json.dumps(provenance))
    return folder


def both(home: Path, a: dict[str, int], b: dict[str, int]) -> pd.DataFrame:
    return told_by_both(release(home / "a", a), release(home / "b", b))


def of_providers(found: pd.DataFrame) -> list[tuple[str, str]]:
    rows = found[(found["table"] == "providers.csv") & (found["count"] == "n")]
    return [(row.split(", ")[-1], why) for row, why in zip(rows["row"], rows["why"], strict=True)]


@pytest.mark.parametrize("more", [1, 5, -3])
def test_one_provider_with_a_few_episodes_more_is_named(tmp_path: Path, more: int) -> None:
    found = both(tmp_path, {"P1": 40, "P2": 50}, {"P1": 40 + more, "P2": 50})
    assert of_providers(found) == [("P1", BY_DIFFERENCE)]
    row = found[found["count"] == "n"].iloc[0]
    assert (row["a"], row["b"], row["difference"]) == (40, 40 + more, more)


@pytest.mark.parametrize("more", [0, 6, 400])
def test_nobody_or_many_more_tell_of_nobody(tmp_path: Path, more: int) -> None:
    assert both(tmp_path, {"P1": 40, "P2": 50}, {"P1": 40 + more, "P2": 50}).empty


def test_a_total_that_grows_by_few_more_than_what_is_shown_tells_of_those_hidden(
    tmp_path: Path,
) -> None:
    found = both(tmp_path, {"P1": 40, "P2": 4, "P3": 5}, {"P1": 60, "P2": 4, "P3": 3})
    assert of_providers(found) == [("linear: 2 hidden", BY_TOTAL)]
    assert found.loc[found["why"] == BY_TOTAL, "difference"].tolist() == [-2]


def test_who_is_hidden_in_one_and_hardly_shown_in_the_other_is_named(tmp_path: Path) -> None:
    found = both(tmp_path, {"P1": 40, "P2": 5, "P3": 5}, {"P1": 80, "P2": 7, "P3": 90})
    assert of_providers(found)[0] == ("P2", BY_ONE)
    assert found.loc[found["why"] == BY_ONE, "a"].isna().all()


def test_groups_of_patients_are_held_against_each_other_too(tmp_path: Path) -> None:
    keys = {"outcome": "a", "learner": "linear", "column": ["sex", "sex", "(provider volume)"],
            "level": ["f", "m", "small"]}  # fmt: skip
    a = release(tmp_path / "a", {"P1": 90}, subgroups=pd.DataFrame(keys | {"n": [40, 50, 30]}))
    b = release(tmp_path / "b", {"P1": 90}, subgroups=pd.DataFrame(keys | {"n": [38, 52, 33]}))
    found = told_by_both(a, b)
    assert found["row"].tolist() == ["a, linear, sex, f", "a, linear, sex, m"]
    assert set(found["table"]) == {"subgroups.csv"}


def test_conditions_that_few_more_have_are_named(tmp_path: Path) -> None:
    keys = {"outcome": "a", "learner": "linear", "done_to": "all"}
    of = {"action": ["code", "code", "code_any"], "column": ["hiv", "lung", ""]}
    a = pd.DataFrame(keys | of | {"patients": [60, 70, 80]})
    b = pd.DataFrame(keys | of | {"patients": [61, 70, 86]})
    found = told_by_both(
        release(tmp_path / "a", {"P1": 90}, gaming=a), release(tmp_path / "b", {"P1": 90}, gaming=b)
    )
    assert found[["table", "row", "count", "difference", "why"]].to_numpy().tolist() == [
        ["gaming.csv", "a, linear, code, hiv", "patients", 1, BY_DIFFERENCE]
    ]


def test_a_condition_that_is_told_of_in_one_release_only_is_no_difference(tmp_path: Path) -> None:
    keys = {"outcome": "a", "learner": "linear", "action": "code"}
    a = pd.DataFrame(keys | {"column": ["hiv"], "patients": [60]})
    b = pd.DataFrame(keys | {"column": ["lung"], "patients": [8]})
    assert told_by_both(
        release(tmp_path / "a", {"P1": 90}, gaming=a), release(tmp_path / "b", {"P1": 90}, gaming=b)
    ).empty


def test_fewer_may_be_few_if_that_is_asked_for(tmp_path: Path) -> None:
    a, b = release(tmp_path / "a", {"P1": 40}), release(tmp_path / "b", {"P1": 44})
    assert told_by_both(a, b, below=4).empty
    assert not told_by_both(a, b, below=5).empty


def test_a_folder_that_was_changed_is_refused(tmp_path: Path) -> None:
    a, b = release(tmp_path / "a", {"P1": 40}), release(tmp_path / "b", {"P1": 44})
    (b / "providers.csv").write_text("outcome\n")
    with pytest.raises(FileFormatError, match="wanted the file as its run wrote it"):
        told_by_both(a, b)
    with pytest.raises(FileMissingError):
        told_by_both(a, tmp_path / "nothing")


sizes = st.dictionaries(st.sampled_from(["P1", "P2", "P3", "P4"]), st.integers(6, 60), min_size=4)


@settings(max_examples=10, deadline=None, derandomize=True)
@given(sizes, st.sampled_from(["P1", "P2", "P3", "P4"]), st.integers(1, 5))
def test_whoever_has_a_few_more_is_found_and_nobody_else(
    tmp_path_factory: pytest.TempPathFactory, a: dict[str, int], who: str, more: int
) -> None:
    found = both(tmp_path_factory.mktemp("two"), a, a | {who: a[who] + more})
    assert of_providers(found) == [(who, BY_DIFFERENCE)]


def test_the_command_that_compares_runs_says_which_rows_and_not_how_many(tmp_path: Path) -> None:
    a = release(tmp_path / "a", {"P1": 40, "P2": 70})
    found = diff_runs(a, release(tmp_path / "b", {"P1": 43, "P2": 70}))
    assert found.together["row"].tolist() == ["a, test, periods 1", *2 * ["a, linear, P1"]]
    assert not {"a", "b", "difference"} & set(found.together)
    assert "Do not publish both" in found.warning
    assert not diff_runs(a, a).warning


def test_a_run_says_what_it_tells_beside_the_one_that_it_replaces(tmp_path: Path) -> None:
    frame = episode_frame(400, providers=4)
    content = study_content(learners=LINEAR)

    def told(rows: pd.DataFrame) -> int:
        rows.to_csv(tmp_path / "episodes.csv", index=False)
        study = load_study(write_study(tmp_path, content))
        return run_study(study, tmp_path / "run").told_with_replaced

    last = frame["period"] == frame["period"].max()
    three = frame.index[last & (frame["provider_id"] == "H01") & frame["q2_score_ohs"].notna()][:3]
    assert told(frame) == 0
    assert told(frame) == 0
    assert told(frame.drop(three)) > 0


def test_a_run_tells_nothing_together_with_itself(hostile: Hostile) -> None:
    assert told_by_both(hostile.run.folder, hostile.run.folder).empty
