"""The audit log: nothing is lost, whatever is changed is found, and what is torn is told."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riskadj import journal
from riskadj.errors import FileFormatError, FileMissingError, OutputError, RiskadjError
from riskadj.journal import ACTS, JOURNAL, Journal, journal_of, read_journal, write_entry

SEAL = "5ea1" * 16


def written(folder, many=5):
    """Return the bytes of a log of a few acts."""
    for number in range(many):
        act = ACTS[number % (len(ACTS) - 1)]
        write_entry(act, folder / f"run {number}", {"seal": f"{number:064x}", "data": ("a", "b")})
    return (folder / JOURNAL).read_bytes()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return written(tmp_path_factory.mktemp("runs"))


def read_bytes(content, folder) -> Journal:
    path = folder / JOURNAL
    path.write_bytes(content)
    return read_journal(path)


def is_found(content, folder) -> bool:
    """Whether a log that was changed is seen to be: refused, at fault, or torn."""
    try:
        found = read_bytes(content, folder)
    except RiskadjError:
        return True
    return bool(found.faults or found.torn)


# What is written ----------------------------------------------------------------------------------


def test_an_act_is_one_line_that_follows_from_the_one_before(tmp_path):
    first = write_entry("run", tmp_path / "hip", {"seal": SEAL})
    second = write_entry("approve", tmp_path / "hip", {"seal": SEAL}, told="A. Person")
    found = read_journal(tmp_path)
    assert found.entries == (first, second)
    assert not found.faults
    assert (first.number, first.before, first.place) == (1, "", "hip")
    assert (second.number, second.before, second.told) == (2, first.digest, "A. Person")
    assert found.head == second.digest
    assert found.of_run(SEAL) == (first, second)
    assert found.of_run("0" * 64) == ()
    assert len((tmp_path / JOURNAL).read_bytes().splitlines()) == 2


def test_a_line_says_who_by_the_account_of_the_system_whatever_the_environment_says(
    tmp_path, monkeypatch
):
    for name in ("LOGNAME", "USER", "USERNAME"):
        monkeypatch.setenv(name, "somebody else")
    import pwd

    entry = write_entry("run", tmp_path / "hip", {})
    assert entry.account == pwd.getpwuid(os.getuid()).pw_name


def test_an_account_without_a_name_is_a_number(monkeypatch):
    monkeypatch.setattr(journal.os, "getuid", lambda: 4_000_000_000)
    assert journal.account() == "uid 4000000000"


@pytest.mark.parametrize("name", ["ü", "a\nb", "=1+1", os.fsdecode(b"\xff\xfe"), "a\u2028b", '"'])
def test_any_name_of_a_folder_is_one_line_that_holds(name, tmp_path):
    write_entry("run", tmp_path / name, {}, told=name)
    found = read_journal(tmp_path)
    assert len(found.entries) == 1
    assert not found.faults


def test_a_clock_that_jumps_back_breaks_nothing(tmp_path, monkeypatch):
    written(tmp_path, 2)
    line = (tmp_path / JOURNAL).read_bytes()
    assert b'"at":"20' in line

    class Earlier(journal.datetime):
        @classmethod
        def now(cls, zone=None):
            return cls(1999, 1, 1, tzinfo=zone)

    monkeypatch.setattr(journal, "datetime", Earlier)
    entry = write_entry("run", tmp_path / "hip", {})
    assert entry.at.startswith("1999")
    assert not read_journal(tmp_path).faults


def test_a_link_to_a_log_elsewhere_is_followed(tmp_path):
    (tmp_path / "runs").mkdir()
    (tmp_path / "central.jsonl").touch()
    (tmp_path / "runs" / JOURNAL).symlink_to(tmp_path / "central.jsonl")
    write_entry("run", tmp_path / "runs" / "hip", {})
    assert len((tmp_path / "central.jsonl").read_bytes().splitlines()) == 1


def test_a_run_behind_a_link_is_written_down_where_it_is(tmp_path):
    (tmp_path / "disk" / "hip").mkdir(parents=True)
    (tmp_path / "hip").symlink_to(tmp_path / "disk" / "hip")
    assert journal_of(tmp_path / "hip") == tmp_path / "disk" / JOURNAL


# What is changed is found -------------------------------------------------------------------------


def test_every_flipped_bit_is_found(whole, tmp_path):
    for place in range(len(whole)):
        changed = bytearray(whole)
        changed[place] ^= 1 << place % 8
        assert is_found(bytes(changed), tmp_path), place


@given(data=st.data())
def test_any_change_but_a_cut_tail_is_found(data, whole, tmp_path_factory):
    lines = whole.splitlines(keepends=True)
    changed = data.draw(st.sampled_from([_changed, _taken, _put_in, _exchanged]))(data, lines)
    left = b"".join(changed)
    is_tail_cut = whole.startswith(left)
    folder = tmp_path_factory.getbasetemp()
    assert is_found(left, folder) or is_tail_cut or left == whole


def _changed(data, lines):
    place = data.draw(st.integers(0, len(lines) - 1))
    content = json.loads(lines[place])
    key = data.draw(st.sampled_from(sorted(content)))
    content[key] = data.draw(st.sampled_from(["", "x", 0, 7, None, [], {}, {"seal": "0" * 64}]))
    text = json.dumps(content, sort_keys=True, separators=(",", ":")).encode() + b"\n"
    return [*lines[:place], text, *lines[place + 1 :]]


def _taken(data, lines):
    begin = data.draw(st.integers(0, len(lines) - 1))
    return lines[:begin] + lines[data.draw(st.integers(begin, len(lines))) :]


def _put_in(data, lines):
    place = data.draw(st.integers(0, len(lines)))
    texts = st.sampled_from(lines) | st.binary(max_size=40)
    return [*lines[:place], data.draw(texts), *lines[place:]]


def _exchanged(data, lines):
    return data.draw(st.permutations(lines))


def test_a_line_with_a_digest_of_its_own_that_fits_is_found_by_the_next_one(whole, tmp_path):
    first, *others = whole.splitlines(keepends=True)
    entry = journal.Entry.model_validate_json(first).model_copy(update={"account": "nobody"})
    entry = entry.model_copy(update={"digest": journal._digest(entry)})
    found = read_bytes(journal._line(entry) + b"\n" + b"".join(others), tmp_path)
    assert found.faults == ("line 2 does not follow from the one before it (entry 2)",)


def test_a_cut_tail_cannot_be_seen_but_by_a_digest_that_was_kept(whole, tmp_path):
    *lines, last = whole.splitlines(keepends=True)
    head = json.loads(last)["digest"]
    found = read_bytes(b"".join(lines), tmp_path)
    assert not found.faults
    assert head not in [one.digest for one in found.entries]


@pytest.mark.parametrize("taken", ["all", "first"])
def test_what_is_no_log_is_refused_and_never_written_to(taken, tmp_path):
    content = {"all": b"notes of mine\n", "first": b'{"id": 1}\n{"id": 2}\n'}[taken]
    (tmp_path / JOURNAL).write_bytes(content)
    with pytest.raises(FileFormatError, match="got another file"):
        read_journal(tmp_path)
    with pytest.raises(FileFormatError, match="got another file"):
        write_entry("run", tmp_path / "hip", {})
    assert (tmp_path / JOURNAL).read_bytes() == content


def test_a_log_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(FileMissingError, match="there is none"):
        read_journal(tmp_path)


def test_a_newer_format_is_refused_and_never_taken_for_torn(tmp_path):
    content = written(tmp_path, 1).replace(b'"format":1', b'"format":2,"machine":"m"')
    (tmp_path / JOURNAL).write_bytes(content)
    for call in (lambda: read_journal(tmp_path), lambda: write_entry("run", tmp_path / "a", {})):
        with pytest.raises(FileFormatError, match="of format 1, which this version writes; got 2"):
            call()
    assert (tmp_path / JOURNAL).read_bytes() == content


# What is torn -------------------------------------------------------------------------------------


def test_a_line_torn_at_any_byte_is_told_then_mended_and_hides_nothing(tmp_path):
    whole = written(tmp_path, 3)
    begin = whole.rindex(b"\n", 0, -1) + 1
    for end in range(begin + 1, len(whole)):
        (tmp_path / JOURNAL).write_bytes(whole[:end])
        is_whole = end == len(whole) - 1  # but for its end
        found = read_journal(tmp_path)
        assert (found.torn, found.faults) == (0 if is_whole else end - begin, ())
        entry = write_entry("run", tmp_path / "later", {})
        mended = read_journal(tmp_path)
        assert (mended.torn, mended.faults) == (0, ())
        assert mended.entries[-1] == entry
        assert (mended.entries[-2].act == "mend") is not is_whole
        assert (tmp_path / JOURNAL).read_bytes().startswith(whole[:end])  # only ever added to


def test_torn_twice_is_mended_once(tmp_path):
    written(tmp_path, 2)
    with (tmp_path / JOURNAL).open("ab") as stream:
        stream.write(b'{"account":"a\n{"acc')
    write_entry("run", tmp_path / "later", {})
    found = read_journal(tmp_path)
    assert not found.faults
    assert [one.act for one in found.entries].count("mend") == 1


def test_bytes_that_were_mended_are_held_to_their_digest(tmp_path):
    written(tmp_path, 2)
    with (tmp_path / JOURNAL).open("ab") as stream:
        stream.write(b'{"account":"torn')
    write_entry("run", tmp_path / "later", {})
    content = (tmp_path / JOURNAL).read_bytes()
    for other in (b'{"account":"born\n', b"", b'{"account":"torn\n{"account":"more\n'):
        found = read_bytes(content.replace(b'{"account":"torn\n', other), tmp_path)
        assert len(found.faults) == 1


def test_the_first_line_of_all_may_be_torn(tmp_path):
    (tmp_path / JOURNAL).write_bytes(b'{"acc')
    write_entry("run", tmp_path / "hip", {})
    found = read_journal(tmp_path)
    assert [(one.number, one.act) for one in found.entries] == [(1, "mend"), (2, "run")]
    assert not found.faults


# Faults of the machine ----------------------------------------------------------------------------


def test_a_full_disk_refuses_the_act_and_the_next_one_mends_it(tmp_path, monkeypatch):
    written(tmp_path, 1)
    real = journal._add

    def half(file, content):
        real(file, content[: len(content) // 2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(journal, "_add", half)
    with pytest.raises(OutputError, match=r"got 'No space left on device'\. Nothing was done"):
        write_entry("run", tmp_path / "hip", {})
    monkeypatch.undo()
    assert read_journal(tmp_path).torn
    write_entry("run", tmp_path / "hip", {})
    assert [one.act for one in read_journal(tmp_path).entries] == ["run", "mend", "run"]
    assert not read_journal(tmp_path).faults


def test_a_log_that_cannot_be_opened_refuses_the_act(tmp_path):
    (tmp_path / JOURNAL).mkdir()
    with pytest.raises(OutputError, match="no plain file"):
        write_entry("run", tmp_path / "hip", {})


def test_a_log_that_somebody_holds_is_waited_for_and_then_refused(tmp_path, monkeypatch):
    import fcntl

    written(tmp_path, 1)
    monkeypatch.setattr(journal, "LONGEST_WAIT", 0.05)
    with (tmp_path / JOURNAL).open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(OutputError, match="does not let go"):
            write_entry("run", tmp_path / "hip", {})
    write_entry("run", tmp_path / "hip", {})
    assert len(read_journal(tmp_path).entries) == 2


MANY = """
import sys
from pathlib import Path
from riskadj.journal import write_entry
home, name, many = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
for number in range(many):
    write_entry("run", home / name, {"seal": f"{number:064x}"})
"""


def start(home: Path, name: str, many: int) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-c", MANY, home, name, str(many)])


def test_eight_processes_at_once_lose_nothing(tmp_path):
    started = [start(tmp_path, f"run{number}", 12) for number in range(8)]
    assert [one.wait(60) for one in started] == [0] * 8
    found = read_journal(tmp_path)
    assert not found.faults
    assert len(found.entries) == 8 * 12
    for number in range(8):
        mine = [one for one in found.entries if one.place == f"run{number}"]
        assert [one.digests["seal"] for one in mine] == [f"{one:064x}" for one in range(12)]


def test_processes_that_are_killed_leave_a_log_that_holds_and_can_be_added_to(tmp_path):
    path = tmp_path / JOURNAL
    for number, pause in enumerate((0.0, 0.003, 0.011, 0.02)):
        before = path.stat().st_size if path.exists() else 0
        killed = start(tmp_path, f"killed{number}", 100_000)
        while not path.exists() or path.stat().st_size == before:
            time.sleep(0.002)
        time.sleep(pause)
        killed.send_signal(signal.SIGKILL)
        killed.wait(10)
        assert not read_journal(tmp_path).faults
        entry = write_entry("run", tmp_path / "after", {})
        found = read_journal(tmp_path)
        assert (found.faults, found.torn, found.entries[-1]) == ((), 0, entry)
