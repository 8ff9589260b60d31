"""What a fuzzer once found is refused, or read, since; so is what chance makes of good files."""

import warnings
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bad_input.targets import TARGETS, good_bytes
from riskadj.errors import RiskadjError

FOUND = sorted(one for one in (Path(__file__).parent / "found").rglob("*") if one.is_file())
QUICK = (
    "study", "study_claims", "yaml", "setting", "scenario", "contract", "experiment",
    "redcap_mapping", "fhir_mapping", "csv", "fhir", "fhir_bytes", "participation", "value_sets",
    "references", "organisations", "model", "trees", "card",
)  # fmt: skip
"""Readers that take some milliseconds."""
EXAMPLES, MORE = 10, 60


def read_or_refused(name: str, content: bytes, home: Path) -> None:
    """Put a file in the place of a good one; whatever comes of it is no error but one of ours."""
    TARGETS[name].put(content, home)
    told = "wanted"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            TARGETS[name].read()
        except RiskadjError as error:
            told = " ".join(str(error).split())
    assert "wanted" in told


@pytest.mark.parametrize("path", FOUND, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_what_a_fuzzer_found_is_read_or_refused(path: Path, home, soon):
    name = path.parent.name
    folder = home(TARGETS[name].good)
    with soon:
        read_or_refused(name, path.read_bytes(), folder)


SLOWER = [pytest.param(one, marks=pytest.mark.slow) for one in TARGETS if one not in QUICK]


@pytest.mark.parametrize("name", [*QUICK, *SLOWER])
def test_the_good_one_of_every_reader_is_read(name: str, home):
    folder = home(TARGETS[name].good)
    TARGETS[name].put(good_bytes(name, folder), folder)
    TARGETS[name].read()


def by_chance(name: str, home, examples: int) -> None:
    folder = home(TARGETS[name].good)
    good = good_bytes(name, folder)

    @settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.binary(min_size=2, max_size=24))
    def changed(data: bytes) -> None:
        try:
            content = TARGETS[name].spoil(good, data)
        except (ValueError, LookupError, TypeError, OverflowError):
            return  # no change comes of these bytes
        read_or_refused(name, content, folder)

    changed()


@pytest.mark.parametrize("name", QUICK)
def test_a_change_of_chance_is_read_or_refused(name: str, home):
    by_chance(name, home, EXAMPLES)


@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
def test_many_changes_of_chance_are_read_or_refused(name: str, home):
    by_chance(name, home, MORE)
