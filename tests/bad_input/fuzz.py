"""Fuzz a reader for some time: python tests/bad_input/fuzz.py study --seconds 60 --seed 1

Whatever leaves a reader that is no `RiskadjError`, or takes over 10 seconds, is written to
found/<target>/<digest>, which `test_found.py` replays. Needs `pip install atheris` (Linux).
"""

import argparse
import os
import signal
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

HERE = Path(__file__).parent
FOUND = HERE / "found"
SOON = 10
_RAW = 32
"""First bytes below this: what follows is the file; above: it decides on changes of a good one."""
_INSTRUMENTED = ["riskadj.yaml_text", "riskadj.record", "riskadj.study", "riskadj.episodes",
                 "riskadj.claims", "riskadj.payment", "riskadj.instruments", "riskadj.expected",
                 "riskadj.experiment", "riskadj.report", "riskadj.simulate", "ruamel"]  # fmt: skip


def main() -> None:
    """Fuzz one target."""
    import atheris  # only here, as the suite imports every file of the tests

    asked = _asked()
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"
    sys.path.insert(0, str(HERE.parent))
    with atheris.instrument_imports(include=_INSTRUMENTED):
        from bad_input.good import GOOD
        from bad_input.targets import TARGETS, good_bytes

    target = TARGETS[asked.target]
    home = Path(tempfile.mkdtemp(prefix=f"fuzz-{asked.target}-", dir=asked.folder))
    GOOD[target.good](home)
    os.chdir(home)
    good = good_bytes(asked.target, home)
    seeds = home / "seeds"
    seeds.mkdir()
    (seeds / "good").write_bytes(b"\0" + good)
    for number in range(20):
        (seeds / f"{number}").write_bytes(b"\xff" + sha256(bytes([number])).digest()[:14])
    warnings.simplefilter("ignore")
    atheris.Setup(
        [sys.argv[0], str(seeds), f"-max_total_time={asked.seconds}", f"-seed={asked.seed}",
         f"-max_len={len(good) + 500}", "-rss_limit_mb=6000", "-print_final_stats=1", "-timeout=60",
         f"-artifact_prefix={home}/"],
        _one_input(asked.target, target, good, home),
    )  # fmt: skip
    atheris.Fuzz()


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", default=None, help="where the good ones are made")
    return parser.parse_args()


def _one_input(name: str, target, good: bytes, home: Path) -> Callable[[bytes], None]:
    from riskadj.errors import RiskadjError

    known: set[str] = set()
    signal.signal(signal.SIGALRM, _too_long)

    def one_input(data: bytes) -> None:
        try:
            content = data[1:] if data[:1] < bytes([_RAW]) else target.spoil(good, data[1:])
        except (ValueError, LookupError, TypeError, OverflowError):
            return  # no change comes of these bytes
        target.put(content, home)
        signal.alarm(SOON)
        try:
            target.read()
        except RiskadjError:
            pass
        except Exception as error:  # whatever it is
            _keep(name, content, error, known)
        finally:
            signal.alarm(0)

    return one_input


def _keep(name: str, content: bytes, error: Exception, known: set[str]) -> None:
    """Write down the first input that leads to an error at a place."""
    ours = [one for one in traceback.extract_tb(error.__traceback__) if "riskadj" in one.filename]
    at = f"{ours[-1].filename.partition('src/')[2]}:{ours[-1].lineno}" if ours else "?"
    which = f"{type(error).__name__} at {at}"
    if which in known:
        return
    known.add(which)
    place = FOUND / name / sha256(content).hexdigest()[:16]
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content)
    print(f"FOUND {name}: {which}: {str(error)[:200]!r} in {place}", flush=True)


def _too_long(*_: object) -> None:
    raise TimeoutError(f"over {SOON} s")


if __name__ == "__main__":
    main()
