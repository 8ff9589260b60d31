"""Fuzz readers, each for some time in a process of its own:

    python tests/bad_input/fuzz.py study contract --seconds 60 --seed 1
    python tests/bad_input/fuzz.py all --seconds 60 --seed 1 --keep

Whatever leaves a reader that is no `RiskadjError`, or takes over 10 seconds of work, or ends the
process, is written to found/<target>/<digest>, which `test_found.py` replays. `--keep` puts what
came of each into benchmarks/results/fuzz.json, and all of that as a table into fuzz.md beside it.
Seconds are those of work (CPU), not of the clock. Needs `pip install -e '.[fuzz]'` (Atheris;
Linux).
"""

import argparse
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import date
from hashlib import sha256
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from time import process_time
from typing import NamedTuple

HERE = Path(__file__).parent
FOUND = HERE / "found"
RESULTS = HERE.parents[1] / "benchmarks" / "results" / "fuzz.json"
STARTED = "STARTED"
SOON = 10
_RAW = 32
"""First bytes below this: what follows is the file; above: it decides on changes of a good one."""
_NO_CHANGE = (ValueError, LookupError, TypeError, OverflowError)
"""What a spoiler raises where no change comes of the bytes."""
_SEEDS = 20
_OPTIONS = ("-rss_limit_mb=6000", "-timeout=600")


class Outcome(NamedTuple):
    """What came of fuzzing a target."""

    target: str
    executed: int
    read: int
    refused: int
    found: list[str]


class _Stuck(BaseException):
    """What ends a reader that works for too long; nothing of ours catches it."""


def main() -> None:
    """Fuzz what is asked for, and leave with 1 where anything was found."""
    asked = _asked()
    if find_spec("atheris") is None:
        sys.exit("wanted Atheris; it is not installed. Say: pip install -e '.[fuzz]'")
    sys.path.insert(0, str(HERE.parent))
    if asked.home is not None:
        _fuzz(asked)
        return
    from bad_input.targets import TARGETS

    names = list(TARGETS) if asked.targets == ["all"] else asked.targets
    unknown = [one for one in names if one not in TARGETS]
    if unknown:
        sys.exit(f"wanted all, or some of {', '.join(TARGETS)}; got {', '.join(unknown)}")
    print(*Outcome._fields, sep="\t", flush=True)
    found = 0
    for outcome in _fuzzed(names, asked):
        print(*outcome[:-1], *(outcome.found or ["nothing"]), sep="\t", flush=True)
        found += len(outcome.found)
        if asked.keep:
            _write_down(outcome, asked)
    sys.exit(int(found > 0))


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("targets", nargs="+", help="readers, as targets.py names them, or all")
    parser.add_argument("--seconds", type=int, default=60, help="for how long each is fuzzed")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=1, help="how many at once")
    parser.add_argument("--keep", action="store_true", help="write it down in benchmarks/")
    parser.add_argument("--home", type=Path, help=argparse.SUPPRESS)  # a process of ours
    return parser.parse_args()


def _fuzzed(names: list[str], asked: argparse.Namespace) -> Iterator[Outcome]:
    """Make each good one once, by code that nothing slows down, and fuzz copies of it."""
    from bad_input.good import GOOD
    from bad_input.targets import TARGETS

    with tempfile.TemporaryDirectory(prefix="fuzz-") as place:
        goods, homes = Path(place) / "good", Path(place) / "home"
        for good in dict.fromkeys(TARGETS[one].good for one in names):
            (goods / good).mkdir(parents=True)
            GOOD[good](goods / good)

        def fuzzed(name: str) -> Outcome:
            shutil.copytree(goods / TARGETS[name].good, homes / name)
            return _in_a_process(name, homes / name, asked)

        with ThreadPoolExecutor(asked.jobs) as pool:
            yield from pool.map(fuzzed, names)


def _in_a_process(name: str, home: Path, asked: argparse.Namespace) -> Outcome:
    from bad_input.targets import TARGETS

    command = [sys.executable, __file__, name, "--home", str(home),
               "--seconds", str(asked.seconds), "--seed", str(asked.seed)]  # fmt: skip
    with tempfile.TemporaryFile("w+", errors="replace") as log:
        code = subprocess.run(command, stdout=log, stderr=log, check=False).returncode
        log.seek(0)
        told = log.read()
    if STARTED not in told:  # nothing that a file could be to blame for
        sys.exit(f"{name} did not start:\n{told[-2000:]}")
    found = re.findall(r"^FOUND (.*)$", told, re.M)
    if code != 0:
        content = (home / TARGETS[name].file).read_bytes()
        found.append(f"the process ended with {code}, see {_kept(name, content)}: {told[-300:]!r}")
    return Outcome(name, *_counted(told), found)


def _counted(told: str) -> Iterator[int]:
    for what in ("executed", "read", "refused"):
        yield sum(map(int, re.findall(rf"^{what} (\d+)$", told, re.M)))


def _write_down(outcome: Outcome, asked: argparse.Namespace) -> None:
    """Put an outcome in the place of the last one of its target."""
    from bad_input.targets import TARGETS

    kept = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.is_file() else {}
    by = {"seconds": asked.seconds, "seed": asked.seed, "date": str(date.today()),
          "atheris": version("atheris"), "python": platform.python_version()}  # fmt: skip
    kept[outcome.target] = outcome._asdict() | by
    kept = {name: kept[name] for name in TARGETS if name in kept}
    RESULTS.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    RESULTS.with_suffix(".md").write_text(_page(kept), encoding="utf-8")


def _page(kept: dict[str, dict]) -> str:
    from bad_input.targets import TARGETS

    rows = "".join(
        f"| `{name}` | {one['seconds']} | {one['seed']} | {one['executed']:,} | {one['read']:,} "
        f"| {one['refused']:,} | {len(one['found']) or 'nothing'} | {one['date']} |\n"
        for name, one in kept.items()
    )
    executed = sum(one["executed"] for one in kept.values())
    found = sum(len(one["found"]) for one in kept.values())
    return f"""# What fuzzing found

    python tests/bad_input/fuzz.py READER --seconds SECONDS --seed SEED --keep

The last run of each of {len(kept)} out of {len(TARGETS)} readers of
`tests/bad_input/targets.py`, some of which share a file: {executed:,} executions, {found} inputs
that are neither read nor refused by an error of ours. Seconds are those of work
(CPU), after the start. Executions that are neither read nor refused are bytes of which no change of
a good file comes. What was found before is in `tests/bad_input/found/`.

| reader | seconds | seed | executions | read | refused | found | date |
|---|---:|---:|---:|---:|---:|---|---|
{rows}"""


def _fuzz(asked: argparse.Namespace) -> None:
    """Fuzz one target in this process, whose code is watched."""
    import atheris

    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"
    with atheris.instrument_imports(include=["riskadj", "ruamel"]):
        from bad_input.targets import TARGETS, good_bytes
    (name,) = asked.targets
    target = TARGETS[name]
    os.chdir(asked.home)
    good = good_bytes(name, asked.home)
    seeds = asked.home / "seeds"
    seeds.mkdir()
    (seeds / "good").write_bytes(b"\0" + good)
    for number in range(_SEEDS):
        (seeds / f"{number}").write_bytes(b"\xff" + sha256(bytes([number])).digest()[:14])
    warnings.simplefilter("ignore")
    atheris.Setup(
        [sys.argv[0], str(seeds), f"-seed={asked.seed}", f"-max_len={len(good) + 500}",
         f"-artifact_prefix={asked.home}/", *_OPTIONS],
        _one_input(name, target, good, asked),
    )  # fmt: skip
    print(STARTED, flush=True)
    atheris.Fuzz()


def _one_input(
    name: str, target, good: bytes, asked: argparse.Namespace
) -> Callable[[bytes], None]:
    from riskadj.errors import RiskadjError

    known: set[str] = set()
    count = Counter(executed=0, read=0, refused=0)
    end = process_time() + asked.seconds

    def one_input(data: bytes) -> None:
        if process_time() > end:
            _leave(count)
        count["executed"] += 1
        try:
            content = data[1:] if data[:1] < bytes([_RAW]) else target.spoil(good, data[1:])
        except _NO_CHANGE:
            return
        target.put(content, asked.home)
        try:
            with _soon():
                target.read()
            count["read"] += 1
        except RiskadjError:
            count["refused"] += 1
        except (Exception, _Stuck) as error:
            _keep(name, content, error, known)

    return one_input


def _leave(count: Counter[str]) -> None:
    """End the process here, as the fuzzer knows no time but that of the clock."""
    print(*(f"{what} {number}" for what, number in count.items()), sep="\n", flush=True)
    os._exit(0)


@contextmanager
def _soon() -> Iterator[None]:
    """Stop what works for too long; the time of others' work does not count."""

    def stop(*_: object) -> None:
        raise _Stuck(f"over {SOON} s")

    signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, SOON)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def _keep(name: str, content: bytes, error: BaseException, known: set[str]) -> None:
    """Write down the first input that leads to an error at a place."""
    ours = [
        one for one in traceback.extract_tb(error.__traceback__) if "src/riskadj" in one.filename
    ]
    at = f"{ours[-1].filename.partition('src/')[2]}:{ours[-1].lineno}" if ours else "?"
    which = f"{type(error).__name__} at {at}"
    if which in known:
        return
    known.add(which)
    print(f"FOUND {which}: {str(error)[:200]!r} by {_kept(name, content)}", flush=True)


def _kept(name: str, content: bytes) -> str:
    place = FOUND / name / sha256(content).hexdigest()[:16]
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content)
    return str(place.relative_to(HERE))


if __name__ == "__main__":
    main()
