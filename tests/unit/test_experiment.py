"""An experiment is its grid: read with every fault, worked out once, and the same however it is."""

import fcntl
import json
import os
import re
import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from worlds import episode_frame, study_content, write_study

from riskadj.errors import (
    FileMissingError,
    OutputError,
    RiskadjError,
    StudyError,
    TooFewProvidersError,
)
from riskadj.experiment import compare_runs, keep, load_experiment, run_experiment
from riskadj.experiment.cells import Worked
from riskadj.experiment.commands import commands_of
from riskadj.experiment.figures import FIGURES, told
from riskadj.experiment.keep import Store, write_together
from riskadj.experiment.paired import ends_of_changes
from riskadj.experiment.plan import CODE, plan
from riskadj.experiment.records import FILE
from riskadj.experiment.results import FIGURE, MARKDOWN, RESULTS, TABLE, files_of, markdown_of
from riskadj.pipeline import run_study
from riskadj.report.provenance import digest_of_study
from riskadj.study import load_study

ROOT = Path(__file__).parents[2]
SHIPPED = sorted((ROOT / "experiments").glob("[0-9]*"))
GRID = [
    {"linear": ["learners=[{kind: linear}]"], "flat": ["learners=[{kind: linear, ridge: 1e6}]"]},
    {"chance": [], "additive": ["profile.limits=additive"]},
]
CONTENT = {
    "question": "Does it matter?",
    "expectation": "Hardly.",
    "study": "study.yaml",
    "settings": ["profile.minimum_n=10"],
    "grid": GRID,
    "figures": ["r2", "r2_difference", "spearman", "flags_changed"],
    "seed": 3,
    "replicates": 100,
    "tracking": {"uri": "off"},
}


def write_experiment(folder: Path, **changes) -> Path:
    """Write a small experiment, its study and its episodes."""
    home = folder / "01_small"
    home.mkdir(parents=True, exist_ok=True)
    episode_frame(900, providers=8).to_csv(home / "episodes.csv", index=False)
    write_study(home, study_content())
    content = {key: value for key, value in (CONTENT | changes).items() if value is not None}
    (home / "experiment.yaml").write_text(json.dumps(content, indent=1))
    return home


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("experiment")
    home = write_experiment(folder)
    return run_experiment(home, work=folder / "work")


def cell(results, name):
    return next(one for one in results["cells"] if one["name"] == name)


# What an experiment says -------------------------------------------------------------------------


def test_cells_are_the_product_of_the_axes_in_order(tmp_path):
    one = load_experiment(write_experiment(tmp_path))
    assert one.names == (
        "linear / chance", "linear / additive", "flat / chance", "flat / additive",
    )  # fmt: skip
    assert one.against == "linear / chance"
    assert [*one.cells()][1].settings[-1] == "profile.limits=additive"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"figures": ["r22"]}, "Did you mean 'r2'"),
        ({"figures": []}, "one or more"),
        ({"grid": []}, "one or more"),
        ({"grid": [{}]}, "one option or more"),
        ({"grid": [{"a": ["learners"]}]}, "KEY=VALUE"),
        ({"grid": [{"a / b": [], "a": []}, {"c": [], "b / c": []}]}, "twice"),
        ({"baseline": "linear / chanse"}, "Did you mean 'linear / chance'"),
        ({"question": None}, "question"),
        ({"expectation": ""}, "expectation"),
        ({"chart": "nothing"}, "figures among those"),
        ({"figures": ["truth_rmse"]}, "wanted a scenario"),
        ({"replicates": 10}, "replicates"),
        ({"variants": {"a": []}}, "wanted a grid"),
        ({"grdi": []}, "Did you mean 'grid'"),
    ],
)
def test_a_fault_is_named_with_its_file(tmp_path, changes, words):
    home = write_experiment(tmp_path, **changes)
    with pytest.raises(StudyError, match=re.escape(words)) as refused:
        load_experiment(home)
    assert "experiment.yaml" in str(refused.value)


def test_a_folder_without_an_experiment_is_refused(tmp_path):
    with pytest.raises(FileMissingError, match=r"wanted the folder of an experiment"):
        load_experiment(tmp_path)


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"settings": ["profile.minimum=10"]}, StudyError, "cell 'linear / chance'"),
        ({"settings": ["scenario.seed=1"]}, StudyError, "wanted a scenario"),
        ({"settings": ["data.paths=[none.csv]"]}, FileMissingError, "none.csv"),
        ({"study": "none.yaml"}, FileMissingError, "none.yaml"),
        ({"scenario": "none.yaml"}, FileMissingError, "none.yaml"),
    ],
)
def test_what_makes_no_study_is_refused_before_any_cell_is_worked_out(
    tmp_path, changes, error, words
):
    home = write_experiment(tmp_path, **changes)
    with pytest.raises(error, match=words):
        plan(load_experiment(home), tmp_path)


def test_all_code_that_figures_hang_on_is_there():
    assert all((ROOT / "src" / "riskadj" / one).exists() for one in CODE)


# What comes of it --------------------------------------------------------------------------------


def test_figures_of_a_cell_are_those_of_the_study_itself(finished):
    import riskadj

    path = finished.folder / "study.yaml"
    study = riskadj.load_study(path, ["profile.minimum_n=10", "learners=[{kind: linear}]"])
    cohort = riskadj.select_cohort(riskadj.read_study(study), study, study.outcomes[0])
    expectations = riskadj.cross_fit(riskadj.choose_casemix(cohort, study), study)
    metrics = riskadj.evaluate(expectations).metrics["linear"]
    row = cell(finished.results, "linear / chance")["rows"]["ohs-linear"]
    for name in ("n", "r2", "mae", "calibration_slope", "r2_lower95"):
        assert row[name] == pytest.approx(metrics[name], rel=1e-9)


def test_limits_change_flags_and_nothing_else(finished):
    row = cell(finished.results, "linear / additive")["rows"]["ohs-linear"]
    assert (row["r2_difference"], row["spearman"]) == (0.0, 1.0)
    assert row["flags_changed"] > 0
    assert sum(one["providers"] for one in row["moves"]) == row["flags_changed"]
    assert len(row["changed"]) == row["flags_changed"] <= row["flags_compared"] == 8


def test_a_worse_learner_is_told_from_a_better_one(finished):
    row = cell(finished.results, "flat / chance")["rows"]["ohs-linear"]
    assert row["r2_difference_upper95"] < 0 < row["mae_difference_lower95"]


def test_the_same_comes_again_and_nothing_is_worked_out_twice(finished):
    before = {name: (finished.folder / name).read_bytes() for name in (RESULTS, TABLE, FIGURE)}
    told_of = []
    again = run_experiment(
        finished.folder, work=finished.work, on_cell=lambda *one: told_of.append(one)
    )
    assert (again.worked_out, again.kept, again.results) == (0, 4, finished.results)
    assert [one[3] for one in told_of] == [None] * 4
    assert before == {name: (finished.folder / name).read_bytes() for name in before}


def test_again_works_out_everything_anew(finished):
    other = run_experiment(finished.folder, work=finished.work, again=True)
    assert (other.worked_out, other.results) == (4, finished.results)


def test_a_cell_that_was_changed_on_disk_is_worked_out_anew(finished):
    digest = cell(finished.results, "flat / additive")["parts"][0]["digest"]
    path = finished.work / "cells" / digest / "providers.csv"
    whole = path.read_bytes()
    path.write_bytes(whole + b"ohs,linear,H99,9,1,1,9,Not an outlier\n")
    other = run_experiment(finished.folder, work=finished.work)
    assert (other.worked_out, other.results, path.read_bytes()) == (1, finished.results, whole)


def test_an_interruption_keeps_what_was_done_and_says_where(tmp_path):
    home = write_experiment(tmp_path)

    def stop(label, done, of, seconds):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt, match="Cells that were done are kept in"):
        run_experiment(home, work=tmp_path / "work", on_cell=stop)
    assert not (home / RESULTS).exists()
    assert run_experiment(home, work=tmp_path / "work").kept == 2


def test_other_data_are_worked_out_anew(tmp_path):
    home = write_experiment(tmp_path, grid=[{"only": ["learners=[{kind: linear}]"]}])
    one = run_experiment(home, work=tmp_path / "work")
    episode_frame(900, providers=8, seed=5).to_csv(home / "episodes.csv", index=False)
    other = run_experiment(home, work=tmp_path / "work")
    assert other.worked_out == 1
    assert other.results["digest"] != one.results["digest"]


def test_a_cell_that_fails_says_which_and_leaves_the_others_kept(tmp_path):
    grid = [{"fine": [], "fails": ["cohort.procedure_group=KNEE_PRIM"]}]
    home = write_experiment(tmp_path, grid=grid)
    with pytest.raises(RiskadjError, match=r"cell 'fails': .*Other cells are kept") as refused:
        run_experiment(home, work=tmp_path / "work")
    assert refused.value.exit_code >= TooFewProvidersError.exit_code - 1
    assert not (home / RESULTS).exists()
    assert len([*(tmp_path / "work" / "cells").iterdir()]) == 1


def test_every_file_follows_from_the_results_alone(finished):
    stored = json.loads((finished.folder / RESULTS).read_text())
    for name, text in files_of(stored).items():
        assert (finished.folder / name).read_text() == text
    table = pd.read_csv(finished.folder / TABLE)
    assert len(table) == 4
    assert {"r2", "spearman", "spearman_lower95", "flags_changed"}.issubset(table.columns)


def test_the_figure_says_what_it_shows(finished):
    svg = (finished.folder / FIGURE).read_text()
    assert svg.startswith("<svg ")
    assert 'aria-label="Does it matter?' in svg
    assert "flat / additive" in svg


def test_no_folder_outside_the_work_folder_holds_an_episode(finished):
    names = {one.name for one in finished.folder.iterdir()}
    assert names == {
        "episodes.csv", "study.yaml", "experiment.yaml", RESULTS, TABLE, MARKDOWN, FIGURE,
    }  # fmt: skip
    assert "E0000" not in (finished.folder / RESULTS).read_text()


def test_repeats_are_averaged_with_an_interval(tmp_path):
    repeat = {"one": ["split.seed=1"], "two": ["split.seed=2"], "three": ["split.seed=3"]}
    home = write_experiment(
        tmp_path, repeat=repeat,
        settings=["profile.minimum_n=10", "split.train=[2021, 2022]", "split.test=[2021, 2022]"],
        grid=[{"a": ["learners=[{kind: linear}]"]}],
    )  # fmt: skip
    done = run_experiment(home, work=tmp_path / "work")
    only = done.results["cells"][0]
    row = only["rows"]["ohs-linear"]
    kept = [Store(done.work).find(one["digest"]) for one in only["parts"]]
    values = [one.record["rows"]["ohs-linear"]["r2"] for one in kept]
    assert len({*values}) == 3
    assert row["repeats"] == 3
    assert row["r2"] == pytest.approx(np.mean(values), rel=1e-9)
    half = 4.302653 * np.std(values, ddof=1) / 3**0.5
    assert row["r2_upper95"] - row["r2"] == pytest.approx(half, rel=1e-5)
    assert only["settings"][0] == "profile.minimum_n=10"


def test_a_world_is_simulated_once_and_held_against_its_truth(tmp_path):
    (tmp_path / "scenario.yaml").write_text((ROOT / "configs/scenarios/demo.yaml").read_text())
    study = study_content(
        data={"format": "parquet", "paths": ["nowhere.parquet"]}, split__train=["2022"],
        split__test=["2023"], profile__minimum_n=10,
    )  # fmt: skip
    home = write_experiment(
        tmp_path, scenario="../scenario.yaml", figures=["truth_rmse_complete", "response"],
        settings=["scenario.periods=['2022', '2023']", "scenario.episodes_per_period=800",
                  "scenario.providers.number=12", "learners=[{kind: linear}]",
                  "follow_up.imputations=2"],
        grid=[{"few": ["scenario.follow_up.missing=0.1"],
               "many": ["scenario.follow_up.missing=0.5"]}],
    )  # fmt: skip
    write_study(home, study)
    done = run_experiment(home, work=tmp_path / "work")
    few, many = (cell(done.results, one)["rows"]["ohs-linear"] for one in ("few", "many"))
    assert few["response"] == pytest.approx(0.9, abs=0.05)
    assert many["response"] == pytest.approx(0.5, abs=0.05)
    lost = few["truth_rmse_weighted"] - few["truth_rmse_complete"]
    assert few["truth_rmse_difference_weighted"] == pytest.approx(lost, abs=1e-8)
    assert 0 < few["truth_correlation_complete"] <= 1
    assert len([*(tmp_path / "work" / "worlds").glob("*.parquet")]) == 2


WORKED = Worked(
    {"rows": {"ohs": {"r2": 0.5}}},
    pd.DataFrame({"episode_id": ["a", "b"]}),
    pd.DataFrame({"provider_id": ["H1"], "flag": ["none"]}),
)
OF = "d" * 64
PUTS = """
import sys
from pathlib import Path
import pandas as pd
from riskadj.experiment.cells import Worked
from riskadj.experiment.keep import Store
store, episodes = Store(Path(sys.argv[1])), pd.DataFrame({"episode_id": range(20_000)})
print("ready", flush=True)
sys.stdin.readline()
for number in range(20):
    worked = Worked({"n": number}, episodes, pd.DataFrame({"provider_id": ["a"], "flag": ["x"]}))
    store.put("d" * 64, worked)
"""


def test_two_experiments_at_once_keep_the_same_cell(tmp_path):
    started = [
        subprocess.Popen([sys.executable, "-c", PUTS, tmp_path], text=True,
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(2)
    ]  # fmt: skip
    for one in started:
        assert one.stdout.readline() == "ready\n"
    for one in started:
        one.stdin.write("\n")
        one.stdin.flush()
    told = [one.communicate(timeout=60)[1] for one in started]
    assert [one.returncode for one in started] == [0, 0], told
    assert Store(tmp_path).find(OF).record["n"] == 19
    assert [one.name for one in (tmp_path / "cells").iterdir()] == [OF]


def test_where_no_locks_are_a_cell_that_somebody_else_has_just_kept_is_taken(tmp_path, monkeypatch):
    real = Path.rename

    def late(self, target):
        monkeypatch.setattr(Path, "rename", real)
        Store(tmp_path).put(OF, WORKED)
        return real(self, target)

    monkeypatch.setattr(keep, "_locked", lambda _: False)
    monkeypatch.setattr(keep.os, "getpid", iter([1, 2]).__next__)
    monkeypatch.setattr(Path, "rename", late)
    assert Store(tmp_path).put(OF, WORKED).record["rows"] == WORKED.record["rows"]
    assert [one.name for one in (tmp_path / "cells").iterdir()] == [OF]


def test_rows_that_a_killed_experiment_left_go_with_the_next_cell(tmp_path):
    left = tmp_path / "cells" / f"{'e' * 64}.partial-999999"
    left.mkdir(parents=True)
    (left / "episodes.parquet").write_bytes(b"rows")
    strange = tmp_path / "cells" / "notes.partial-1"
    strange.mkdir()
    Store(tmp_path).put(OF, WORKED)
    assert sorted(one.name for one in (tmp_path / "cells").iterdir()) == [OF, strange.name]


def test_what_an_experiment_is_writing_is_not_taken_away_by_another(tmp_path, monkeypatch):
    monkeypatch.setattr(keep, "LONGEST_WAIT", 0.0)
    at_work = tmp_path / "cells" / f"{'e' * 64}.partial-1"
    at_work.mkdir(parents=True)
    handle = os.open(tmp_path / "cells", os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    with pytest.raises(OutputError, match="does not let go"):
        Store(tmp_path).put(OF, WORKED)
    assert at_work.exists()
    os.close(handle)
    Store(tmp_path).put(OF, WORKED)
    assert not at_work.exists()


def test_a_kept_cell_that_says_the_same_stays_and_another_is_replaced(tmp_path):
    store = Store(tmp_path)
    first = store.put(OF, WORKED).folder.stat().st_ino
    assert store.put(OF, WORKED).folder.stat().st_ino == first
    other = replace(WORKED, record={"rows": {}})
    assert store.put(OF, other).record["rows"] == {}
    assert store.find(OF).record["rows"] == {}


def test_a_cell_is_on_disk_before_it_has_its_name(tmp_path, monkeypatch):
    target, seen = tmp_path / "cells" / OF, []
    real = keep.flushed

    def watched(folder):
        seen.append((sorted(one.name for one in folder.iterdir()), target.exists()))
        real(folder)

    monkeypatch.setattr(keep, "flushed", watched)
    Store(tmp_path).put(OF, WORKED)
    assert seen == [(["cell.json", "episodes.parquet", "providers.csv"], False)]


def test_files_are_written_together_or_not_at_all(tmp_path):
    (tmp_path / "b").mkdir()
    with pytest.raises(OutputError, match="wanted to write results"):
        write_together(tmp_path / "missing", {"a": "1"})
    write_together(tmp_path, {"a": "1"})
    assert sorted(one.name for one in tmp_path.iterdir()) == ["a", "b"]


@pytest.mark.parametrize(
    ("row", "name", "words"),
    [
        ({"flags_changed": 3}, "flags_changed", "3"),
        ({"flags_changed": 3.25, "repeats": 4}, "flags_changed", "3.2"),
        ({"r2_difference": -1e-9}, "r2_difference", "0.0000"),
        ({"r2": None}, "r2", ""),
    ],
)
def test_figures_are_told_with_as_many_decimals_as_they_have(row, name, words):
    assert told(row, name) == words


# Cells as run folders ----------------------------------------------------------------------------


def words_of(line: str, verb: str) -> tuple[str, list[str], Path]:
    """Return file, settings and place of a command line."""
    program, said, source, *rest = shlex.split(line)
    assert (program, said, rest[-2]) == ("riskadj", verb, "--out")
    assert set(rest[:-2:2]) <= {"--set"}
    return source, rest[1:-2:2], Path(rest[-1])


def studies_of(folder, work=None):
    """Return each cell's study, and the place of its run, as the lines of --list have them."""
    lines = [one for one in commands_of(folder, work) if one.startswith("riskadj run")]
    told = [words_of(one, "run") for one in lines]
    return [(load_study(source, settings), out) for source, settings, out in told]


def test_a_listed_command_makes_the_run_of_its_cell(finished, tmp_path):
    study, _ = studies_of(finished.folder)[1]
    study = study.model_copy(update={"tracking": study.tracking.model_copy(update={"uri": "off"})})
    run = run_study(study, tmp_path / "run").folder
    part = cell(finished.results, "linear / additive")["parts"][0]
    assert digest_of_study(study) == part["study"]
    kept = Store(finished.work).find(part["digest"]).providers.set_index("provider_id")
    mine = pd.read_csv(run / "providers.csv", dtype={"provider_id": str}).set_index("provider_id")
    assert [*mine.loc[kept.index, "flag"]] == [*kept["flag"]]
    assert mine.loc[kept.index, "adjusted"].to_numpy() == pytest.approx(kept["adjusted"], rel=1e-6)
    compare_runs([run, run])


def test_every_cell_has_a_folder_of_its_own_and_the_first_is_what_others_are_held_against(tmp_path):
    grid = [{"a b": [], "A-b": ["profile.minimum_n=11"], "é": ["profile.minimum_n=12"]}]
    home = write_experiment(tmp_path, grid=grid, baseline="A-b")
    lines = [*commands_of(home)]
    places = [out for _, out in studies_of(home)]
    assert places == [Path("runs/01_small") / one for one in ("a_b", "a_b_2", "cell")]
    assert lines[0] == "# a b"
    last = shlex.split(lines[-1])
    assert last == ["riskadj", "compare", *(f"runs/01_small/{x}" for x in ("a_b_2", "a_b", "cell"))]


def test_a_listed_world_is_made_once_where_the_experiment_keeps_it(tmp_path):
    (tmp_path / "scenario.yaml").write_text((ROOT / "configs/scenarios/demo.yaml").read_text())
    home = write_experiment(
        tmp_path, scenario="../scenario.yaml", settings=["scenario.episodes_per_period=60"],
        grid=[{"chance": [], "additive": ["profile.limits=additive"]}],
        repeat={"one": ["scenario.seed=1"], "two": ["scenario.seed=2"]},
    )  # fmt: skip
    lines = [*commands_of(home, tmp_path / "work")]
    worlds = [words_of(one, "simulate") for one in lines if one.startswith("riskadj simulate")]
    assert len(worlds) == 2
    assert [settings[-1] for _, settings, _ in worlds] == ["seed=1", "seed=2"]
    tasks = plan(load_experiment(home), tmp_path / "work")
    listed = studies_of(home, tmp_path / "work")
    assert [digest_of_study(one) for one, _ in listed] == [digest_of_study(x.study) for x in tasks]
    assert all(Path(one.data.paths[0]).is_file() for one, _ in listed)
    compared = [shlex.split(one) for one in lines if one.startswith("riskadj compare")]
    assert [len(one) for one in compared] == [4, 4]


@pytest.mark.parametrize(
    ("mark", "words"), [("cell.json", "a cell of an experiment"), (FILE, "an experiment")]
)
def test_what_is_no_run_but_of_an_experiment_says_how_it_becomes_one(tmp_path, mark, words):
    (tmp_path / mark).write_text("{}")
    with pytest.raises(FileMissingError, match=f"got {words}.*--list prints"):
        compare_runs([tmp_path, tmp_path])


# The experiments that are here -------------------------------------------------------------------


@pytest.mark.parametrize("folder", SHIPPED, ids=lambda one: one.name)
def test_the_listed_studies_of_a_shipped_experiment_are_those_of_its_cells(folder):
    one = load_experiment(folder)
    cells, listed = [*one.cells()], studies_of(folder)
    assert len(listed) == len(cells) == len({out for _, out in listed})
    for cell_, (study, _) in zip(cells, listed, strict=True):
        wanted = load_study(one.study, cell_.of_study)
        if one.scenario is None:
            assert digest_of_study(study) == digest_of_study(wanted)
        else:
            assert study.learners == wanted.learners


@pytest.mark.parametrize("folder", SHIPPED, ids=lambda one: one.name)
def test_a_shipped_experiment_can_be_read_and_tells_what_it_says(folder):
    one = load_experiment(folder)
    results = json.loads((folder / RESULTS).read_text())
    assert results["question"] == one.question
    assert results["expectation"] == one.expectation
    assert [cell["name"] for cell in results["cells"]] == list(one.names)
    assert set(one.figures) <= set(FIGURES)


FEW = 20
"""Providers: a correlation of the results of fewer is told in `comparison.md` alone."""


def of_too_few(line: str, results: dict) -> bool:
    few = {
        one["name"]
        for one in results["cells"]
        for row in one["rows"].values()
        if row.get("year_on_year_corrected") and row["year_on_year_providers"] < FEW
    }
    asked = "year_on_year_corrected" in results["figures"]
    return asked and any(line.startswith(f"| {one} |") for one in few)


def test_a_readme_leaves_out_correlations_of_a_few_providers_and_says_so():
    folder = ROOT / "experiments" / "08_reliability_at_30"
    readme = (folder / "README.md").read_text()
    assert "| 400 or more a year |" in (folder / MARKDOWN).read_text()
    assert "| 400 or more a year |" not in readme
    assert "too few for any correlation" in " ".join(readme.split())


@pytest.mark.parametrize("folder", SHIPPED, ids=lambda one: one.name)
def test_every_shipped_file_follows_from_its_results(folder):
    stored = json.loads((folder / RESULTS).read_text())
    for name, text in files_of(stored).items():
        assert (folder / name).read_text() == text, name


@pytest.mark.parametrize("folder", SHIPPED, ids=lambda one: one.name)
def test_changed_flags_of_a_shipped_experiment_have_an_interval_where_any_changed(folder):
    results = json.loads((folder / RESULTS).read_text())
    for one in results["cells"]:
        for row in one["rows"].values():
            if "repeats" in row or "flags_compared" not in row:
                continue
            at = np.arange(row["flags_compared"])
            changes = np.column_stack([at < row["flags_changed"], at < row["sides_changed"]])
            again = ends_of_changes(changes, results["seed"], results["replicates"])
            assert again.items() <= row.items()
            assert (row["flags_changed_upper95"] is None) == (row["flags_changed"] == 0)


@pytest.mark.parametrize("folder", SHIPPED, ids=lambda one: one.name)
def test_the_table_of_a_readme_is_that_of_its_results(folder):
    readme = (folder / "README.md").read_text()
    results = json.loads((folder / RESULTS).read_text())
    told = [one for one in markdown_of(results).splitlines() if not of_too_few(one, results)]
    assert "\n".join(["", *told, ""]) in readme
    assert not any(of_too_few(one, results) for one in readme.splitlines())
    assert f"riskadj experiment experiments/{folder.name}" in readme
    for title in ("**Question.**", "**Expectation", "**Finding"):
        assert title in readme


def figures_in(folder: str, cell_name: str, row: str):
    results = json.loads((ROOT / "experiments" / folder / RESULTS).read_text())
    return cell(results, cell_name)["rows"][row]


OHS, EQ5D, BOOSTED = "ohs-linear", "eq5d-linear", "ohs-lightgbm"
WORSE = "without depression"
CLAIMS = [
    ("01_tree_shape", "linear", OHS, "r2", "| linear | ohs | linear | {:.4f} "),
    ("02_stacked", "stacked", "ohs-stacked", "r2_difference", "The stack gains {:.4f} of R2 on"),
    ("02_stacked", "NHS England's", "ohs-reference", "flags_changed", "is used ({:.0f} flags)"),
    ("03_change_or_follow_up_score", "follow-up", OHS, "flags_changed", "and {:.0f} of 234 flags"),
    ("03_change_or_follow_up_score", "change", OHS, "raw_spearman", "adjusted result at {:.3f}"),
    ("04_linear_or_boosting", "boosted", BOOSTED, "r2_difference", "trees explain {:.4f} of R2"),
    ("04_linear_or_boosting", "boosted", BOOSTED, "spearman",
     "Spearman {:.3f} (0.995 to 0.997), and 8 of 234"),
    ("05_over_dispersion", "chance alone", OHS, "outside", "chance alone put {:.0f} of 234"),
    ("05_over_dispersion", "additive", OHS, "outside", "leaves {:.0f} (additive)"),
    ("06_missing_follow_up", "by what is known", OHS, "truth_rmse_difference_weighted",
     "every kind of world: by {:.3f}"),
    ("06_missing_follow_up", "by the result too", OHS, "truth_correlation_complete",
     "correlation {:.3f} (0.677 to 0.765) against"),
    ("07_which_comorbidities", WORSE, OHS, "r2_difference", "depression ({:.4f}; 0.0018"),
    ("07_which_comorbidities", "none", OHS, "flags_changed", "without any, {:.0f} of 234 flags"),
    ("08_reliability_at_30", "30 or more a year", OHS, "reliability_30",
     "With 30 patients the reliability is {:.2f} for the Oxford score"),
    ("09_cost_learner", "least squares", "cost-linear", "r2_difference", "by {:.4f} of R2"),
    ("09_cost_learner", "log, smeared", "cost-log_smearing", "r2_difference", "is not: {:.4f} of"),
    ("08_reliability_at_30", "30 or more a year", EQ5D, "volume_07", "takes 152, {:.0f} and"),
]  # fmt: skip


def test_every_shipped_experiment_has_a_sentence_that_is_held_to_its_results():
    assert {one[0] for one in CLAIMS} == {one.name for one in SHIPPED}


@pytest.mark.parametrize(
    ("folder", "name", "row", "figure", "words"), CLAIMS, ids=[f"{x[0]} {x[3]}" for x in CLAIMS]
)
def test_a_sentence_of_a_readme_has_the_number_of_its_results(folder, name, row, figure, words):
    readme = " ".join((ROOT / "experiments" / folder / "README.md").read_text().split())
    value = figures_in(folder, name, row)[figure]
    said = words.format(abs(value))  # what is worth less is said without its sign
    assert said in readme


END_OF_FINDING = {"02_stacked": "How the stack was chosen follows"}
NOT_A_FIGURE = {
    "01_tree_shape": {"600"},
    "05_over_dispersion": {"99.8"},  # the outer limits
    "06_missing_follow_up": {"3,700", "2,200"},
    "08_reliability_at_30": {"0.7", "100", "150", "400"},  # what was asked for, and round numbers
    "09_cost_learner": {"12,000"},
}
"""Numbers in what was found that are none of `results.json`, or rounded there."""


def numbers_of(value):
    """Return a figure as it may be written: with any sign and up to four decimals."""
    return {f"{abs(value):,.{digits}f}" for digits in range(5)}


@pytest.mark.parametrize("folder", SHIPPED, ids=lambda one: one.name)
def test_every_number_in_what_was_found_is_one_of_the_results(folder):
    readme = (folder / "README.md").read_text().partition("**Finding**")[2]
    prose = " ".join(one for one in readme.splitlines() if not one.startswith("|"))
    prose = re.sub(r"`[^`]*`|experiment \d+", "", prose)
    prose = prose.partition(END_OF_FINDING.get(folder.name, "\0"))[0]
    said = {one.rstrip(",") for one in re.findall(r"\d[\d,]*(?:\.\d+)?", prose)}
    others = NOT_A_FIGURE.get(folder.name, set())
    told = {one for one in said if "." in one or len(one) > 2} - others
    cells = json.loads((folder / RESULTS).read_text())["cells"]
    values = [value for one in cells for row in one["rows"].values() for value in row.values()
              if isinstance(value, (int, float))]  # fmt: skip
    assert told
    assert told <= set().union(*map(numbers_of, values))


@pytest.mark.parametrize("folder", SHIPPED, ids=lambda one: one.name)
def test_a_finding_says_of_how_many_and_what_brackets_are(folder):
    finding = " ".join((folder / "README.md").read_text().partition("**Finding**")[2].split())
    rows = [row for one in json.loads((folder / RESULTS).read_text())["cells"]
            for row in one["rows"].values()]  # fmt: skip
    if not any("repeats" in one for one in rows):
        assert all(f"{one['n']:,.0f}" in finding for one in rows)
    assert re.search("95 %|without an interval|draws no intervals", finding)


@pytest.mark.parametrize(
    ("limits", "left", "far"), [("additive", 12, 10), ("multiplicative", 12, 12)]
)
def test_most_whom_wider_limits_leave_were_far_outside_before(limits, left, far):
    row = figures_in("05_over_dispersion", limits, OHS)
    inner = figures_in("05_over_dispersion", "chance alone", OHS)
    near = inner["outside"] - inner["far_outside"]
    gone = [one for one in row["moves"] if "outlier (95%)" in one["from"]]
    assert row["outside"] == left
    assert left - (near - sum(one["providers"] for one in gone)) == far
    readme = (ROOT / "experiments" / "05_over_dispersion" / "README.md").read_text()
    assert "limits leave 10 were outside 99.8 % before" in " ".join(readme.split())
