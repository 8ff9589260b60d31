"""Full disks, places nobody may write to, clocks that jump, two runs at once, and interruptions."""

import errno
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import cycle
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from ended import Told, bytes_of, home_with
from killed import hold, run_verb, run_within
from killing import NURSERY, PATIENCE

import riskadj
from riskadj import journal, load_study, pipeline, run_study
from riskadj.episodes import mapped
from riskadj.errors import EmptyCohortError, EngineError, OutputError
from riskadj.report import figures, provenance
from riskadj.report import folder as report_folder
from riskadj.report.folder import run_folder
from riskadj.report.page.build import write_page
from riskadj.stages.kept import is_whole
from riskadj.study import Study
from riskadj.study.report import Tracking

QUICK: dict[str, Any] = {
    "outcomes": [{"name": "ohs", "instrument": "OHS", "kind": "gain"}],
    "learners": [{"kind": "linear"}],
    "value": None,
    "report": {"subgroups": []},
    "follow_up": {"imputations": 0},
    "fairness": {"groups": [], "replicates": 0, "drift": False},
    "explain": {},
    "profile": {"method": "nhs_england", "minimum_n": 30, "suppress_below": 6,
                "replicates": 0, "sensitivity": {}},
}  # fmt: skip
ALL_KEPT = ["ohs: expect", "ohs: profile", "ohs: follow_up", "ohs: fairness", "ohs: explain"]
READ_AGAIN = ["read", "ohs: select"]
pytestmark = pytest.mark.usefixtures("undisturbed")


class Undisturbed(NamedTuple):
    """A study, and the run of it that nothing happened to."""

    path: Path
    study: Study
    out: Path
    told: Told


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Undisturbed]:
    home, told = tmp_path_factory.mktemp("undisturbed"), Told()
    path = home_with("all on", home, **QUICK)
    study = load_study(path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figures, "_draw", lambda *_: '<svg xmlns="http://www.w3.org/2000/svg"/>')
        run_study(study, home / "run", told)
        yield Undisturbed(path, study, home / "run", told)


@pytest.fixture
def study(undisturbed: Undisturbed) -> Study:
    return undisturbed.study


def tables_of(folder: Path) -> dict[str, str]:
    """Return the digests of what has no time in it."""
    return {name: one for name, one in bytes_of(folder).items() if name.endswith(("csv", "quet"))}


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def beside(out: Path) -> set[str]:
    """Return what a run left beside its folder; the audit log is no leftover."""
    return {one.name for one in out.parent.iterdir() if one.name.lstrip(".").startswith(out.name)}


def failing(error: BaseException) -> Callable[..., None]:
    def fail(*_: object, **__: object) -> None:
        raise error

    return fail


FULL = OSError(errno.ENOSPC, "No space left on device")


# A stage after which the run was ended -----------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "caught"),
    [
        (FULL, OutputError),
        (EngineError("the cluster is gone"), EngineError),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ],
    ids=["full disk", "cluster", "interrupted"],
)
def test_what_the_machine_ended_is_taken_up_and_what_the_study_did_is_not(
    error: BaseException,
    caught: type[BaseException],
    study: Study,
    out: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(pipeline, "build_findings", failing(error))
        with pytest.raises(caught):
            run_study(study, out)
    assert beside(out) == {"out.stages"}
    with monkeypatch.context() as patch:
        patch.setattr(pipeline, "follow_outcome", failing(EmptyCohortError("nobody")))
        with pytest.raises(EmptyCohortError):
            run_study(study, out)
    assert beside(out) == set(), "a study that is refused is changed, and then all is another"


def test_a_run_goes_on_where_it_was_ended_or_afresh_if_asked(
    undisturbed: Undisturbed, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert undisturbed.told.worked_out == [*READ_AGAIN, *ALL_KEPT, "report"]
    for fresh, taken_up in ((False, []), (False, ALL_KEPT), (True, [])):
        told = Told()
        with monkeypatch.context() as patch:
            patch.setattr(pipeline, "build_findings", failing(FULL))
            with pytest.raises(OutputError, match=r"'No space left on device'\. Nothing"):
                run_study(undisturbed.study, out, told, fresh=fresh)
        assert told.taken_up == taken_up
    monkeypatch.setenv(provenance.AGAIN, str(undisturbed.out / "provenance.json"))
    told = Told()
    run_study(undisturbed.study, out, told)
    assert told.taken_up == ALL_KEPT
    assert bytes_of(out) == bytes_of(undisturbed.out)
    assert beside(out) == {"out"}


def test_another_study_takes_up_nothing_and_leaves_what_is_kept(
    study: Study, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "build_findings", failing(FULL))
    with pytest.raises(OutputError):
        run_study(study, out)
    told = Told()
    with pytest.raises(OutputError):
        run_study(study.model_copy(update={"title": "Another"}), out, told)
    assert told.taken_up == []
    assert len([*out.with_name("out.stages").iterdir()]) == 2
    monkeypatch.undo()
    run_study(study, out, told)
    assert told.taken_up, "what is of this study has stayed"
    assert not out.with_name("out.stages").exists()


# The disk ----------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Return a disk of 300 kB, which can be made read-only by `remount`."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", place], check=False,
        capture_output=True,
    )  # fmt: skip
    if mounted.returncode:
        pytest.skip(f"no disk of our own can be mounted here: {mounted.stderr.decode().strip()}")
    yield place
    subprocess.run(["umount", place], check=True)


def test_a_disk_that_gets_full_keeps_nothing_half_written(study: Study, small_disk: Path) -> None:
    with pytest.raises(OutputError, match="No space left on device") as caught:
        run_study(study, small_disk / "out")
    assert "\n" not in str(caught.value)
    assert beside(small_disk / "out") <= {"out.stages"}
    for one in (small_disk / "out.stages").glob("*/*"):
        assert is_whole(one)


def test_a_read_only_place_is_refused_before_anything_is_read(
    study: Study, small_disk: Path
) -> None:
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    told = Told()
    with pytest.raises(OutputError, match=r"'Read-only file system'"):
        run_study(study, small_disk / "out", told)
    assert told.worked_out == []
    assert [*small_disk.iterdir()] == []


def test_files_that_may_not_grow_are_one_line(undisturbed: Undisturbed, tmp_path: Path) -> None:
    said = in_a_process(run_within, str(undisturbed.path), str(tmp_path / "out"), 20_000)
    assert said.startswith("OutputError: ")
    assert "File too large" in said
    assert beside(tmp_path / "out") <= {"out.stages"}


@pytest.mark.parametrize("named", [True, False], ids=["--out", "its own place"])
def test_no_room_for_temporary_files_is_said(
    named: bool, study: Study, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(out.parent)
    monkeypatch.setattr(mapped, "MAPPED_FROM", 1)
    monkeypatch.setattr(tempfile, "tempdir", str(out.parent / "nowhere"))
    with pytest.raises(OutputError, match="set TMPDIR"):
        run_study(study, out if named else None)
    assert beside(out) == set()
    assert not (out.parent / "runs").exists()


def test_large_tables_that_are_kept_are_read_where_they_are(
    undisturbed: Undisturbed, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = undisturbed.study
    monkeypatch.setattr(mapped, "MAPPED_FROM", 1)
    with monkeypatch.context() as patch:
        patch.setattr(pipeline, "build_findings", failing(FULL))
        with pytest.raises(OutputError):
            run_study(study, out)
    told = Told()
    run_study(study, out, told)
    assert told.taken_up == ALL_KEPT
    assert tables_of(out) == tables_of(undisturbed.out)


def test_a_page_is_replaced_whole_or_stays(
    undisturbed: Undisturbed, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = out.with_name("page.html")
    page.write_text("earlier")

    def half(text: str, path: Path) -> None:
        path.write_text(text[:1000])
        raise FULL

    with monkeypatch.context() as patch:
        patch.setattr(report_folder, "write_text", half)
        with pytest.raises(OutputError, match="No space left"):
            write_page(undisturbed.out, page)
    assert page.read_text() == "earlier"
    write_page(undisturbed.out, page)
    assert page.stat().st_size > 10_000
    assert [one.name for one in out.parent.iterdir()] == ["page.html"]


# The clock ---------------------------------------------------------------------------------------


CLOCKS = {
    "demo.py": {"perf_counter"},
    "experiment/keep.py": {"time.monotonic"},
    "experiment/run.py": {"perf_counter"},
    "journal.py": {"datetime.now", "time.monotonic"},
    "pipeline.py": {"perf_counter"},
    "report/portal/export.py": {"datetime.now"},
    "report/provenance.py": {"datetime.now"},
    "tracking/log.py": {"time.time"},
    "tracking/nested.py": {"time.time"},
    "tracking/registry.py": {"datetime.now"},
    "tracking/serve.py": {"time.monotonic"},
    "trial/run.py": {"perf_counter"},
}
"""Who asks what clock. A run asks those of `pipeline`, `provenance`, `journal` and `tracking`."""
ASKED = re.compile(
    r"\b(?:time\.(?:time|monotonic|perf_counter|process_time|localtime|gmtime|strftime)(?:_ns)?"
    r"|(?<!\.)(?:perf_counter|process_time|monotonic)(?:_ns)?"
    r"|datetime\.(?:now|utcnow|today|fromtimestamp)|date\.(?:today|fromtimestamp)"
    r"|Timestamp\.(?:now|today|utcnow)|st_[acm]time(?:_ns)?)(?=\(|\b$)"
)


def test_somebody_has_thought_of_every_clock() -> None:
    """Who asks another has to say here what becomes of it when that jumps."""
    home = Path(riskadj.__file__).parent
    found = {
        path.relative_to(home).as_posix(): {*ASKED.findall(path.read_text(encoding="utf-8"))}
        for path in home.rglob("*.py")
    }
    assert {name: asked for name, asked in found.items() if asked} == CLOCKS


class Jumping(datetime):
    """Times of day that go forwards by centuries and back."""

    years = cycle([2199, 1971, 2026, 1999])

    @classmethod
    def now(cls, tz: Any = None) -> "Jumping":
        return cls(next(cls.years), 2, 28, 23, 59, 59, tzinfo=tz)


def test_clocks_that_jump_change_times_only_and_none_is_negative(
    undisturbed: Undisturbed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jumps = cycle([1e9, 5.0, 3600.0, 0.0, 86400.0])
    monkeypatch.setattr(pipeline, "perf_counter", lambda: next(jumps))
    monkeypatch.setattr(time, "time", lambda: next(jumps))
    for asking in (provenance, journal):
        monkeypatch.setattr(asking, "datetime", Jumping)
    tracking = Tracking(uri=f"sqlite:///{tmp_path}/mlflow.db")
    run = run_study(undisturbed.study.model_copy(update={"tracking": tracking}), tmp_path / "out")
    assert tables_of(run.folder) == tables_of(undisturbed.out)
    assert min(run.seconds.values()) >= 0
    spent = [one["seconds"] for one in run.findings.provenance["stages"]]
    assert all(one is None or one >= 0 for one in spent)
    made = {run.findings.provenance["created"][:4]}
    made |= {one.at[:4] for one in journal.read_journal(tmp_path).entries}
    assert made <= {"2199", "1971", "2026", "1999"}
    assert len(made) > 1
    assert run.logged is not None
    assert not journal.read_journal(tmp_path).faults


# Two at once -------------------------------------------------------------------------------------


def test_a_second_run_into_a_folder_is_refused_at_once_and_told_who_has_it(
    study: Study, out: Path
) -> None:
    told = Told()
    with run_folder(out) as staging:
        (staging / "a.txt").write_text("first")
        with pytest.raises(OutputError, match=rf"process {os.getpid()} on .+ is writing there"):
            run_study(study, out, told)
    assert told.worked_out == []
    assert (out / "a.txt").read_text() == "first"
    assert beside(out) == {"out"}


def test_the_lock_of_a_killed_process_is_gone_and_so_is_what_it_left(out: Path) -> None:
    ear, mouth = NURSERY.Pipe(duplex=False)
    holder = NURSERY.Process(target=hold, args=(str(out), mouth))
    holder.start()
    assert ear.poll(PATIENCE)
    with pytest.raises(OutputError, match=f"process {holder.pid} "), run_folder(out):
        pass
    holder.kill()
    holder.join(PATIENCE)
    assert beside(out) == {f".out.partial-{holder.pid}", ".out.partial-lock"}
    with run_folder(out) as staging:
        (staging / "a.txt").write_text("second")
    assert beside(out) == {"out"}


def test_an_earlier_run_that_was_being_replaced_comes_back(out: Path) -> None:
    with run_folder(out) as staging:
        (staging / "provenance.json").write_text('{"files": {}}')
    out.rename(out.with_name(".out.partial-old-4711"))
    (out.with_name(".out.partial-4711")).mkdir()
    with pytest.raises(EmptyCohortError), run_folder(out):
        raise EmptyCohortError("nobody")
    assert (out / "provenance.json").is_file()
    assert beside(out) == {"out"}


def test_what_is_left_of_a_run_that_was_being_deleted_does_not_come_back(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("shutil.rmtree", lambda *_, **__: None)  # ended before it deletes anything
        for _ in range(2):
            with run_folder(out) as staging:
                (staging / "provenance.json").write_text('{"files": {}}')
    assert len(beside(out)) == 2
    shutil.rmtree(out)
    with pytest.raises(EmptyCohortError), run_folder(out):
        raise EmptyCohortError("nobody")
    assert beside(out) == set()


def test_what_somebody_puts_there_during_a_run_stays(out: Path) -> None:
    def run() -> None:
        with run_folder(out):
            out.mkdir()
            (out / "thesis.txt").write_text("mine")

    with pytest.raises(OutputError, match=r"such as thesis\.txt"):
        run()
    assert (out / "thesis.txt").read_text() == "mine"
    assert beside(out) == {"out"}


def test_what_only_looks_like_a_leftover_stays(out: Path) -> None:
    for name in (
        ".out.partial-notes",
        ".out.partial-1.txt",
        ".another.partial-1",
        "out.partial-1",
        "out.lock",
    ):
        out.with_name(name).mkdir()
    with run_folder(out):
        pass
    assert beside(out) == {
        "out",
        ".out.partial-notes",
        ".out.partial-1.txt",
        "out.partial-1",
        "out.lock",
    }
    assert out.with_name(".another.partial-1").is_dir()


@pytest.mark.parametrize("code", [errno.ENOTSUP, errno.ENOSYS, errno.ENOLCK])
def test_a_file_system_without_locks_can_be_written_to(
    code: int, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fcntl.flock", failing(OSError(code, "no locks")))
    out.with_name(".out.partial-1").mkdir()
    with run_folder(out) as staging:
        (staging / "a.txt").write_text("x")
    assert beside(out) == {"out", ".out.partial-1"}, "it may be somebody's who is at work"


# Interruptions -----------------------------------------------------------------------------------


def in_a_process(target: Callable[..., None], *given: object) -> str:
    """Return what a function says in a process of its own."""
    ear, mouth = NURSERY.Pipe(duplex=False)
    child = NURSERY.Process(target=target, args=(*given, mouth))
    child.start()
    mouth.close()
    assert ear.poll(PATIENCE)
    said = str(ear.recv())
    child.join(PATIENCE)
    return said


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_keeps_whole_stages_only_and_says_so(
    how: signal.Signals, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    out, heard = tmp_path / "out", tmp_path / "heard.txt"
    child = NURSERY.Process(
        target=run_verb, args=(["run", str(undisturbed.path), "--out", str(out)], str(heard))
    )
    child.start()
    kept = tmp_path / "out.stages"
    _wait(lambda: len([*kept.glob("*/*/seal.json")]) > 1, child)
    assert child.pid
    os.kill(child.pid, how)
    child.join(PATIENCE)
    assert child.exitcode == 130
    said = " ".join(heard.read_text().split())
    assert re.search(r"interrupted\. No results were kept\. What stages had finished is in", said)
    assert beside(out) == {"out.stages"}
    assert all(is_whole(one) for one in kept.glob("*/*"))


def _wait(until: Callable[[], bool], child: Any) -> None:
    end = time.monotonic() + PATIENCE
    while not until():
        assert child.is_alive(), "it was over before"
        assert time.monotonic() < end
        time.sleep(0.002)
