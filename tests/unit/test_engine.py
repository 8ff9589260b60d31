"""Engines: the same answers, in order, from blocks that stay where they are; what is refused."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from laid import FITS, apart, lay, make_episodes, outcome_of
from threadpoolctl import threadpool_info, threadpool_limits

from riskadj.engine import Blocks, Dask, Local, start_engine
from riskadj.engine.cluster import ATTEMPTS, LOOPBACK
from riskadj.errors import ArrayError, EngineError, StudyError, UnknownNameError
from riskadj.stats import Rows, fixed_effects_over, random_intercept_over
from riskadj.stats.blocks import in_order
from riskadj.stats.design import design_over

SAME = 1e-9
WORLD = make_episodes()


def whole(kind, world=WORLD):
    return FITS[kind](Local().place(lay(world, outcome_of(kind))))


def slept(seconds):
    time.sleep(seconds)
    return seconds


def sent_again(part, places):
    return places[part]


@pytest.fixture(scope="module")
def threads():
    pytest.importorskip("distributed", reason="dask and distributed are not installed")
    with Dask(workers=2, processes=False) as engine:
        yield engine


@pytest.fixture(params=["local", "local threads", "dask"])
def engine(request):
    if request.param == "dask":
        return request.getfixturevalue("threads")
    return Local(2 if "threads" in request.param else 1)


def test_answers_come_in_block_order_whoever_is_first(engine):
    waits = [0.04, 0.0, 0.02]
    assert engine.place(waits).map(slept) == waits
    assert engine.place(waits).keep(slept).map(round, 1) == [0.0, 0.0, 0.0]


def test_what_is_a_block_s_own_comes_before_what_is_the_same_for_all(engine):
    blocks = engine.place([2, 3])
    assert blocks.map(pow, 10, each=[5, 4]) == [pow(2, 5, 10), pow(3, 4, 10)]
    assert blocks.keep(pow, each=[5, 4]).keep(divmod, 10).map(list) == [[3, 2], [8, 1]]
    with pytest.raises(ValueError):
        blocks.map(pow, each=[1])


def test_no_blocks_have_no_answers(engine):
    assert engine.place([]).keep(len).map(len) == []


def test_an_error_of_a_function_comes_through(engine):
    with pytest.raises(ZeroDivisionError):
        engine.place([1, 0]).map(divmod, each=[1, 0])


@pytest.mark.parametrize("kind", ["reml", "fixed binomial", "firth", "random gamma"])
def test_dask_says_what_one_block_in_memory_does(threads, kind):
    blocks = threads.place(lay(WORLD, outcome_of(kind), [60, 60, 200, 333]))
    assert apart(FITS[kind](blocks), whole(kind)) < SAME


def test_the_bootstrap_draws_the_same_providers_on_dask(threads):
    blocks = threads.place(lay(WORLD, "scores", [300]))
    assert apart(FITS["bootstrap gaussian"](blocks), whole("bootstrap gaussian")) < SAME


def test_blocks_that_are_lost_are_sent_and_made_again(threads):
    blocks = threads.place([0, 1]).keep(sent_again, [5, 7])
    for one in blocks.parts:
        one.cancel()
    assert blocks.map(int) == [5, 7]


def test_dask_knows_the_size_of_blocks_so_that_they_stay_where_they_are(threads):
    blocks = design_over(threads.place(lay(WORLD, "scores", [100, 200, 300]))).blocks
    blocks = blocks.keep(in_order)
    assert len(blocks.map(id)) == 4
    known = threads._client.nbytes([one.key for one in blocks.parts], summary=False)
    assert sum(known.values()) > 0.9 * WORLD.X.nbytes
    assert {len(one) for one in threads._client.who_has(blocks.parts).values()} == {1}


def test_workers_that_die_again_and_again_are_given_up(threads, monkeypatch):
    lost = threads._distributed.client.FutureCancelledError
    tried = []

    def gather(futures):
        tried.append(futures)
        raise lost("block", "gone")

    monkeypatch.setattr(threads._client, "gather", gather)
    with pytest.raises(EngineError, match=r"^engine: wanted workers that stay; got none"):
        threads.place([1]).map(int)
    assert len(tried) == ATTEMPTS


@pytest.mark.parametrize(
    ("name", "kind", "says"),
    [
        ("dusk", UnknownNameError, r"^engine: wanted local, dask or an address .* mean 'dask'"),
        ("tcp://127.0.0.1:9", EngineError, "^engine: wanted a Dask scheduler at tcp://127.0.0.1:9"),
    ],
)
def test_an_engine_that_is_not_there_is_refused(name, kind, says, monkeypatch):
    monkeypatch.setattr(Dask.__init__, "__defaults__", (None, 2, True, 0.2))
    with pytest.raises(kind, match=says):
        start_engine(name)


def test_a_scheduler_without_workers_is_refused():
    distributed = pytest.importorskip("distributed")
    quiet = {"dashboard_address": None, "scheduler_kwargs": {"dashboard_address": LOOPBACK}}
    with (
        distributed.LocalCluster(n_workers=0, processes=False, **quiet) as idle,
        pytest.raises(EngineError, match="wanted workers of the scheduler at inproc://"),
    ):
        Dask(idle.scheduler_address, timeout=0.2)


def test_without_dask_the_way_out_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(EngineError, match=r"pip install 'riskadj\[dask\]'"):
        start_engine("dask")


@pytest.mark.parametrize(
    ("make", "error"), [(Local, StudyError), (lambda n: Dask(workers=n), EngineError)]
)
def test_an_engine_without_workers_is_refused(make, error):
    with pytest.raises(error, match="wanted 1 or more; got 0"):
        make(0)


@pytest.mark.slow
def test_workers_that_do_not_start_are_told_of(tmp_path):
    script = tmp_path / "unguarded.py"
    script.write_text("from riskadj.engine import Dask\nDask(workers=1)\n")
    ended = subprocess.run(
        [sys.executable, script], check=False, capture_output=True, text=True, timeout=120
    )
    last = ended.stderr.strip().splitlines()[-1]
    assert last.startswith("riskadj.errors.EngineError: engine: wanted workers on this machine, 1;")


@pytest.mark.slow
def test_a_scheduler_that_goes_away_is_told_of(tmp_path):
    script = tmp_path / "scheduler.py"
    script.write_text(SCHEDULER)
    with (
        subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True) as away,
        Dask(away.stdout.readline().strip(), timeout=5) as engine,
    ):
        blocks = engine.place([[1, 2], [3]])
        assert blocks.map(len) == [2, 1]
        away.kill()
        with pytest.raises(EngineError, match="the scheduler has gone"):
            blocks.map(len)


SCHEDULER = """
from time import sleep
from distributed import LocalCluster

if __name__ == "__main__":
    cluster = LocalCluster(
        n_workers=1, processes=False, protocol="tcp://", host="127.0.0.1", dashboard_address=None
    )
    print(cluster.scheduler_address, flush=True)
    sleep(300)
"""


def rows(**changes):
    made = {"y": [1.0, 2.0, 4.0], "X": np.arange(3.0)[:, None] ** 2, "provider": ["a", "a", "b"]}
    return Rows(**{**made, **changes})


@pytest.mark.parametrize(
    ("second", "says"),
    [
        ({"y": [1.0, np.nan, 2.0]}, "^block 2: y: wanted finite numbers; got 1 .* row 1"),
        ({"provider": ["a"]}, "^block 2: provider: wanted one per episode, 3; got 1"),
        ({"X": np.zeros((3, 2))}, "^blocks: wanted the same covariates .* block 2"),
        ({"weights": np.ones(3)}, "^blocks: wanted .* weights and offset in each or in none"),
    ],
)
def test_a_block_that_is_not_sound_is_refused_by_number(engine, second, says):
    with pytest.raises(ArrayError, match=says):
        fixed_effects_over(engine.place([rows(), rows(**second)]))


def test_of_several_blocks_that_are_not_sound_the_first_is_told(engine):
    wrong = [rows(), rows(y=["?"] * 3), rows(provider=["a"])]
    with pytest.raises(ArrayError, match=r"^block 2: y: wanted numbers"):
        fixed_effects_over(engine.place(wrong))


def test_blocks_without_an_episode_are_refused():
    empty = rows(y=[], X=np.zeros((0, 1)), provider=[])
    for blocks in ([empty, empty], []):
        with pytest.raises(ArrayError, match=r"^y: wanted one outcome per episode; got none"):
            random_intercept_over(Local().place(blocks))


def test_a_provider_needs_weight_in_one_block_only():
    here, gone = {"weights": [1.0, 1.0, 1.0]}, {"weights": [0.0, 0.0, 1.0]}
    laid = [rows(**here), rows(**gone), rows(**here)]
    assert fixed_effects_over(Local().place(laid)).n.tolist() == [4, 3]
    with pytest.raises(ArrayError, match=r"^weights: wanted an episode .* 1 provider without"):
        fixed_effects_over(Local().place([rows(**gone), rows(**gone)]))


def test_labels_of_two_kinds_go_together_as_they_do_in_one_block():
    laid = [rows(provider=[10, 10, 2]), rows(provider=["x", "x", "y"])]
    one = rows(y=[1.0, 2.0, 4.0] * 2, X=np.tile(np.arange(3.0) ** 2, 2)[:, None])
    one = fixed_effects_over(
        Local().place([rows(**{**vars(one), "provider": [10, 10, 2, "x", "x", "y"]})])
    )
    found = fixed_effects_over(Local().place(laid))
    assert found.providers.tolist() == one.providers.tolist() == [10, 2, "x", "y"]
    assert apart(found, one) < SAME


def listening(engine):
    """Return the addresses at which the processes of a cluster listen."""
    psutil = pytest.importorskip("psutil")
    pids = {os.getpid(), *engine._client.run(os.getpid).values()}
    every = [one for pid in pids for one in psutil.Process(pid).net_connections()]
    return {one.laddr.ip for one in every if one.status == psutil.CONN_LISTEN}


def test_nobody_else_is_listened_to_and_nothing_is_put_on_disk(threads):
    assert listening(threads) <= {"127.0.0.1"}
    workers = threads._cluster.workers.values()
    assert [type(one.data) for one in workers] == [dict, dict]


def kill_a_worker(engine):
    pids = engine._client.run(os.getpid)
    os.kill(next(iter(pids.values())), signal.SIGKILL)


class Killing(Dask):
    """A cluster one of whose workers is killed when it is asked for the k-th time."""

    asked, at, made = 0, 6, 0

    def _made(self, recipe):
        self.made += 1
        return super()._made(recipe)

    def map(self, function, blocks, *args, each=None):
        self.asked += 1
        if self.asked == self.at:
            kill_a_worker(self)
        return super().map(function, blocks, *args, each=each)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["reml", "firth", "random gamma", "bootstrap binomial"])
def test_processes_say_what_one_block_does_though_a_worker_is_killed(kind):
    with Killing(workers=2) as engine:
        blocks = engine.place(lay(WORLD, outcome_of(kind), [50, 50, 170, 300]))
        assert apart(FITS[kind](blocks), whole(kind)) < SAME
        assert engine.made > 1
        assert engine._cluster.scheduler_address.startswith("tls://127.0.0.1:")
        assert listening(engine) == {"127.0.0.1"}


def test_blocks_know_their_engine_and_their_number():
    blocks = Local().place([1, 2])
    assert isinstance(blocks, Blocks)
    assert (len(blocks), blocks.engine) == (2, Local())


# The workers of others ---------------------------------------------------------------------------


def fail_in_one(item, _seat):
    if item:
        raise ValueError("an ordinary error")
    return item


@pytest.fixture
def theirs():
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, host="127.0.0.1"
    ) as cluster:
        yield cluster


@pytest.mark.slow
def test_the_workers_of_others_outlive_an_error_of_ours(theirs):
    with Dask(theirs.scheduler_address) as engine, theirs.get_client() as client:
        before = client.run(os.getpid)
        with pytest.raises(ValueError, match="an ordinary error"):
            engine.together(fail_in_one, [0, 1])
        assert client.run(os.getpid) == before


def threads_of_blas(_=None):
    return {one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"}


def two_threads():
    threadpool_limits(2, user_api="blas")


@pytest.mark.slow
def test_the_workers_of_others_keep_their_threads(theirs):
    with theirs.get_client() as client:
        everywhere = sorted(client.nthreads())
        for one in everywhere:
            client.submit(two_threads, workers=[one], pure=False).result()
        with Dask(theirs.scheduler_address) as engine:
            meanwhile = engine.map(threads_of_blas, engine.place([0, 1, 2, 3]))
        after = [client.submit(threads_of_blas, workers=[one], pure=False) for one in everywhere]
        assert {1} == set.union(*meanwhile)
        assert [one.result() for one in after] == [{2}, {2}]


def test_a_worker_that_dies_before_it_is_asked_is_done_without(monkeypatch):
    pytest.importorskip("distributed")
    with Dask(workers=2, processes=False) as engine:
        asked = []

        def run_once_in_vain(function, *args, **given):
            asked.append(function)
            return {} if len(asked) == 1 else again(function, *args, **given)

        again = engine._client.run
        monkeypatch.setattr(engine._client, "run", run_once_in_vain)
        assert engine.together(seat_of, [0, 1]) == [0, 1]
        assert len(asked) > 1


def seat_of(item, _seat):
    return item
