"""A study says where it runs: the same tables from this process and from a Dask cluster."""

import os
import shutil
import signal
import threading
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.linear_model import Ridge
from worlds import OUT_OF_FOLD, episode_frame, make_study

from riskadj import engine, pipeline
from riskadj.casemix import choose_casemix
from riskadj.cohort import select_cohort
from riskadj.engine import Dask, Local, choice, in_use, using
from riskadj.engine.seats import free_ports
from riskadj.engine.use import ROWS
from riskadj.episodes import ValuesFault, mapped, pieces, read_episodes
from riskadj.errors import (
    ArrayError,
    ChangedFileError,
    EngineError,
    FileMissingError,
    StudyError,
)
from riskadj.expected import LightGBMExpectation, cross_fit
from riskadj.expected.learners import design_matrix, factors_of, line_by_blocks
from riskadj.expected.written import read_learner, write_learner
from riskadj.pipeline import run_study
from riskadj.report.provenance import digest_of_study
from riskadj.report.results import OutcomeResults
from riskadj.study import Study

pytestmark = pytest.mark.usefixtures("undrawn")

SAME = 1e-9
EPISODES = 900
MANY_ANALYSES = {
    "method": "random_intercept",
    "minimum_n": 30,
    "suppress_below": 6,
    "sensitivity": {
        "methods": ["nhs_england", "fixed_effects"],
        "limits": ["nominal"],
    },
}
ENDS = {"name": "ohs_high", "instrument": "OHS", "kind": "threshold"}


@pytest.fixture(scope="module")
def parquet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "e.parquet"
    frame = episode_frame(EPISODES).sample(frac=1, random_state=1, ignore_index=True)
    pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), path, row_group_size=100)
    return path


@pytest.fixture(scope="module")
def threads():
    pytest.importorskip("distributed", reason="dask and distributed are not installed")
    with Dask(workers=2, processes=False) as cluster:
        yield cluster


@pytest.fixture
def _in_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have `dask` start threads, which takes a moment, where it would start processes."""
    pytest.importorskip("distributed", reason="dask and distributed are not installed")
    monkeypatch.setitem(choice.ENGINES, "dask", lambda n: Dask(workers=n, processes=False))


def study_of(path: Path, replicates: int = 0, **changes: object) -> Study:
    data = {"format": "parquet", "paths": [str(path)]}
    profile = MANY_ANALYSES | {"replicates": replicates}
    return make_study(data=data, profile=profile, **changes)


def tables_of(folder: Path) -> dict[str, pd.DataFrame]:
    csv = {one.name: pd.read_csv(one) for one in folder.glob("*.csv")}
    return csv | {one.name: pd.read_parquet(one) for one in folder.glob("*.parquet")}


def furthest(one: dict[str, pd.DataFrame], other: dict[str, pd.DataFrame]) -> float:
    """Return the largest difference of a number, of large ones relative; all else is the same."""
    assert one.keys() == other.keys()
    apart = [0.0]
    for name, table in one.items():
        numbers = table.select_dtypes("number").columns
        pd.testing.assert_frame_equal(
            table.drop(columns=numbers), other[name].drop(columns=numbers)
        )
        values, others = (which[numbers].to_numpy(float) for which in (table, other[name]))
        finite = np.isfinite(values)
        np.testing.assert_array_equal(values[~finite], others[~finite])
        gap = np.abs(values[finite] - others[finite]) / np.maximum(1, np.abs(values[finite]))
        apart.append(gap.max(initial=0.0))
    return max(apart)


@pytest.fixture(scope="module")
def local(parquet: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, pd.DataFrame]:
    return tables_of(run_study(study_of(parquet), tmp_path_factory.mktemp("runs") / "run").folder)


@pytest.mark.usefixtures("_in_threads")
def test_a_study_says_the_same_on_dask(
    local: dict[str, pd.DataFrame], parquet: Path, tmp_path: Path
) -> None:
    study = study_of(parquet, engine={"name": "dask", "rows": 200})
    found = tables_of(run_study(study, tmp_path / "run").folder)
    assert {"providers.csv", "analyses.csv", "shap.parquet", "reference.csv"} <= found.keys()
    assert furthest(local, found) < SAME
    assert in_use().engine == Local()


def cut_into(frame: pd.DataFrame, sizes: list[int], group: int, folder: Path) -> Path:
    """Write files of so many episodes each, the last one of all that are left."""
    folder.mkdir()
    ends = [0, *np.cumsum(sizes), len(frame)]
    for k, (start, stop) in enumerate(pairwise(ends)):
        table = pa.Table.from_pandas(frame.iloc[start:stop], preserve_index=False)
        pq.write_table(table, folder / f"part-{k:03d}.parquet", row_group_size=group)
    return folder


@pytest.mark.usefixtures("_in_threads")
@pytest.mark.parametrize(
    ("sizes", "group", "rows"),
    [
        ([1, 0, 250], 70, 131),
        pytest.param([], 10_000, 10_000, marks=pytest.mark.slow),
        pytest.param([450], 450, 450, marks=pytest.mark.slow),
        pytest.param([300, 300], 7, 300, marks=pytest.mark.slow),
        pytest.param([0, 899], 500, 899, marks=pytest.mark.slow),
        pytest.param([13, 200, 5, 331, 90, 1], 40, 53, marks=pytest.mark.slow),
    ],
)
def test_a_study_says_the_same_however_its_episodes_are_cut(
    local: dict[str, pd.DataFrame],
    parquet: Path,
    tmp_path: Path,
    sizes: list[int],
    group: int,
    rows: int,
) -> None:
    folder = cut_into(pd.read_parquet(parquet), sizes, group, tmp_path / "parts")
    study = study_of(folder, engine={"name": "dask", "rows": rows})
    assert furthest(local, tables_of(run_study(study, tmp_path / "run").folder)) < SAME


@pytest.fixture(scope="module")
def folded(parquet: Path) -> OutcomeResults:
    study = study_of(parquet, **OUT_OF_FOLD)
    return pipeline.follow_outcome(read_episodes([parquet], "parquet"), study, study.outcomes[0])


@pytest.mark.parametrize("where", ["local", "dask"])
def test_out_of_fold_every_member_is_asked_about_its_own_in_every_block(
    folded: OutcomeResults, parquet: Path, where: str, request: pytest.FixtureRequest
) -> None:
    study = study_of(parquet, **OUT_OF_FOLD)
    cluster = request.getfixturevalue("threads") if where == "dask" else Local()
    with using(cluster, rows=210):
        episodes = read_episodes([parquet], "parquet")
        blocks = pipeline.follow_outcome(episodes, study, study.outcomes[0])
    for one, other in (
        (folded.expectations.table, blocks.expectations.table),
        (folded.explanation.episodes, blocks.explanation.episodes),
        (folded.profiles.table, blocks.profiles.table),
    ):
        assert furthest({"table": one}, {"table": other}) < SAME


def test_where_it_runs_is_no_part_of_what_a_result_depends_on(parquet: Path) -> None:
    digests = {
        digest_of_study(study_of(parquet, **engine))
        for engine in ({}, {"engine": "dask"}, {"engine": {"name": "tls://h:1", "rows": 7}})
    }
    assert len(digests) == 1


@pytest.mark.parametrize("name", ["local", "dask", "tcp://127.0.0.1:8786", "tls://host:8786"])
def test_the_name_alone_stands_for_an_engine(parquet: Path, name: str) -> None:
    assert study_of(parquet, engine=name).engine.name == name


@pytest.mark.parametrize(
    "said",
    [
        "dusk",
        "http://host:1",
        "tcp://me:secret@host:1",
        "tcp://10.0.0.1:8786",
        {"workers": 0},
        {"rows": 0},
    ],
)
def test_an_engine_that_cannot_be_is_refused_before_anything_is_read(
    parquet: Path, said: object
) -> None:
    with pytest.raises(ValueError, match="engine"):
        study_of(parquet, engine=said)


# --- rows -----------------------------------------------------------------------------------------


def total(column: pd.Series, weights: np.ndarray | None, times: float) -> float:
    return float(column.to_numpy() @ (np.ones(len(column)) if weights is None else weights) * times)


def threads_here(_: object) -> tuple[bool, int]:
    return in_use().engine == Local(), in_use().threads_of(4)


@pytest.mark.parametrize("where", ["local", "local threads", "dask"])
def test_rows_are_gone_through_in_order_and_cut_by_number_alone(
    where: str, request: pytest.FixtureRequest
) -> None:
    cluster = request.getfixturevalue("threads") if where == "dask" else Local(1 + len(where) // 9)
    column = pd.Series(np.arange(10.0))
    with using(cluster, rows=4) as run:
        found = list(run.over_rows(total, (column, column.to_numpy()), 2.0))
        none = list(run.over_rows(total, (column.iloc[:0], None), 2.0))
    assert [(one.start, one.stop) for one, _ in found] == [(0, 4), (4, 8), (8, 10)]
    assert [value for _, value in found] == [28.0, 252.0, 290.0]
    assert [value for _, value in none] == [0.0]


def test_no_more_rows_are_under_way_than_workers_need(threads: Dask) -> None:
    begun = []

    def items():
        for one in range(40):
            begun.append(one)
            yield one

    answers = threads.through(abs, items())
    assert next(answers) == 0
    assert len(begun) == 4
    assert list(answers) == list(range(1, 40))


def test_what_runs_on_a_worker_uses_no_cluster_itself(threads: Dask) -> None:
    with using(threads):
        assert threads.place([1]).map(threads_here) == [(True, 4)]
        assert in_use().engine is threads
    assert in_use().rows == ROWS


def test_an_item_that_was_lost_on_its_way_is_sent_again(threads: Dask) -> None:
    def items():
        for one in range(6):
            yield -one
            for key in list(threads._client.futures):
                threads._client.futures[key].cancel()

    assert list(threads.through(abs, items())) == list(range(6))


def test_room_in_a_file_is_room_like_any_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mapped, "MAPPED_FROM", 64)
    room = mapped.room_for(rows=7, columns=3)
    assert (room == 0).all()
    room[1, 2:5] = [1.0, 2.0, 3.0]
    table = pd.DataFrame(room.T, columns=list("abc"), copy=False)
    assert table["b"].tolist() == [0, 0, 1, 2, 3, 0, 0]


@pytest.mark.parametrize("rows", [0, -3])
def test_blocks_without_rows_are_refused(rows: int) -> None:
    with (
        pytest.raises(StudyError, match=f"wanted 1 or more in a block; got {rows}"),
        using(Local(), rows),
    ):
        pass


# --- reading --------------------------------------------------------------------------------------


def test_a_file_that_a_worker_does_not_see_is_told_from_one_that_is_not_there(
    parquet: Path, tmp_path: Path
) -> None:
    path = Path(shutil.copy(parquet, tmp_path))
    part = pieces.parquet_pieces(path).parts[0]
    path.unlink()
    with pytest.raises(FileMissingError, match="wherever it is read; a worker has none"):
        part.read()
    pq.write_table(pa.table({"x": [1.0]}), path)
    with pytest.raises(ChangedFileError, match="wanted the file that was opened"):
        part.read()


def test_faults_that_workers_find_have_their_rows_in_the_file(
    threads: Dask, parquet: Path, tmp_path: Path
) -> None:
    table = pd.read_parquet(parquet)
    table.loc[[3, 250, 777], "q1_score_ohs"] = 99
    path = tmp_path / "e.parquet"
    pq.write_table(pa.Table.from_pandas(table, preserve_index=False), path, row_group_size=100)
    with using(threads, rows=100), pytest.raises(ValuesFault, match="3 rows differ") as caught:
        read_episodes([path], "parquet")
    for row in (4, 251, 778):
        assert f"row {row}: 99" in str(caught.value)


# --- learning -------------------------------------------------------------------------------------


@pytest.mark.parametrize("ridge", [0.01, 1.0, 100.0])
def test_a_line_is_that_of_scikit_learn_in_one_block_and_in_many(ridge: float) -> None:
    rng = np.random.default_rng(2)
    X = rng.normal(size=(3000, 5))
    X[:, 1] = rng.integers(0, 4, 3000)
    X[rng.random(3000) < 0.1, 2] = np.nan
    X[:, 3] += 2000
    y = np.nansum(X, axis=1) + rng.normal(size=3000)
    factors = factors_of(X, 6)
    wanted = Ridge(alpha=ridge, solver="cholesky").fit(design_matrix(X, factors), y)
    whole = line_by_blocks(X, factors, y, ridge)
    with using(Local(), rows=333):
        blocks = line_by_blocks(X, factors, y, ridge)
    for line in (whole, blocks):
        np.testing.assert_allclose(line.coef, wanted.coef_, rtol=0, atol=1e-10)
        assert line.intercept == pytest.approx(wanted.intercept_, abs=2000 * 1e-10)


def taught(shares: int, n: int = 4000) -> tuple[np.ndarray, LightGBMExpectation]:
    rng = np.random.default_rng(1)
    X = rng.normal(size=(n, 6))
    y = X[:, 0] + X[:, 1] * X[:, 2] + rng.normal(size=n)
    return X, LightGBMExpectation(trees=30, min_episodes_per_leaf=40, shares=shares).fit(X, y)


def test_trees_of_shares_are_the_same_wherever_they_grow_and_like_those_of_one(
    threads: Dask,
) -> None:
    X, here = taught(2)
    _, alone = taught(1)
    with using(threads):
        _, there = taught(2)
    assert here.booster_.model_to_string() == there.booster_.model_to_string()
    assert "127.0.0.1" not in here.booster_.model_to_string()
    one, other = alone.predict(X), here.predict(X)
    assert 0 < np.abs(one - other).mean() < 0.2 * one.std()


def test_a_study_may_ask_for_shares_and_its_model_is_kept_as_text(parquet: Path) -> None:
    learners = [{"kind": "lightgbm", "trees": 5, "min_episodes_per_leaf": 10, "shares": 2}]
    study = study_of(parquet, learners=learners)
    cohort = select_cohort(read_episodes([parquet], "parquet"), study, study.outcomes[0])
    (member,) = cross_fit(choose_casemix(cohort, study), study).models["lightgbm"].members
    again = read_learner(write_learner(member))
    X = np.random.default_rng(1).normal(size=(50, member.n_features_in_))
    np.testing.assert_array_equal(again.predict(X), member.predict(X))
    assert again.shares == 2
    assert digest_of_study(study) != digest_of_study(study_of(parquet))


def test_more_shares_than_workers_or_episodes_are_refused(threads: Dask, monkeypatch) -> None:
    monkeypatch.setattr(threads, "timeout", 0.1)
    with using(threads), pytest.raises(EngineError, match="wanted 3 workers at the same time"):
        taught(3)
    with pytest.raises(ArrayError, match="wanted an episode or more in each; got 3"):
        LightGBMExpectation(shares=4).fit(np.eye(3), np.arange(3.0))


def test_ports_are_different_ones() -> None:
    assert len(set(free_ports(20))) == 20


# --- processes ------------------------------------------------------------------------------------


def process_of(_: object) -> int:
    return os.getpid()


@pytest.mark.slow
def test_a_study_ends_the_same_though_a_worker_is_killed_in_every_stage(
    parquet: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed: list[str] = []

    class Watched(Dask):
        def __enter__(self) -> Dask:
            started.append(self)
            return self

    started: list[Dask] = []
    monkeypatch.setitem(choice.ENGINES, "dask", lambda n: Watched(workers=n))

    def on_stage(stage: str, _: str, seconds: float | None) -> None:
        if seconds is None and stage in ("read", "expect", "profile", "explain"):
            threading.Thread(target=kill_one, args=(started[0], stage), daemon=True).start()

    def kill_one(cluster: Dask, stage: str) -> None:
        time.sleep(0.05)
        pids = cluster._client.run(os.getpid)
        os.kill(pids[sorted(pids)[0]], signal.SIGKILL)
        killed.append(stage)

    changes = {"replicates": 100, "engine": {"name": "dask", "rows": 100}}
    found = tables_of(run_study(study_of(parquet, **changes), tmp_path / "run", on_stage).folder)
    whole = tables_of(run_study(study_of(parquet, 100), tmp_path / "local").folder)
    assert found["providers.csv"]["predicted_ratio_lower95"].notna().any()
    assert furthest(whole, found) < SAME
    assert killed == ["read", "expect", "profile", "explain"]


@pytest.mark.slow
def test_trees_of_shares_grow_again_where_a_worker_is_killed_on_the_way() -> None:
    pytest.importorskip("distributed", reason="dask and distributed are not installed")
    _, here = taught(2, 200_000)
    with engine.Dask(workers=2) as cluster, using(cluster):
        first = cluster._client.run(os.getpid)
        threading.Timer(0.7, lambda: os.kill(next(iter(first.values())), signal.SIGKILL)).start()
        _, there = taught(2, 200_000)
        assert cluster._client.run(os.getpid) != first
    assert here.booster_.model_to_string() == there.booster_.model_to_string()
