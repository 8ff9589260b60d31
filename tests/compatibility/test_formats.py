"""What a version wrote is read by every later one, and what this one writes is what it wrote.

`write.py` beside this file makes the folder of a version; `read.py` says what is read of it.
"""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
from compatibility.read import READERS, RECORDS, public
from compatibility.write import write_all

import riskadj
from riskadj.report.folder import files_in, json_text
from riskadj.yaml_text import parse_yaml, plain

pytestmark = pytest.mark.usefixtures("undrawn")

HERE = Path(__file__).parent
VERSIONS = sorted(one.name for one in HERE.iterdir() if (one / "golden.json").is_file())
PRESENT = HERE / riskadj.__version__
WRITE = "PYTHONPATH=tests .venv/bin/python -m compatibility.write"
ON_PURPOSE = (
    "Was it on purpose? Where something is gone or means something else, raise the FORMAT of its "
    f"file. Name it in CHANGELOG.md. Then, while this version is not released: {WRITE} --again; "
    f"where it is, raise the version first: {WRITE}"
)
CHANGES = re.compile(r"work/cells/[0-9a-f]{64}")
"""Cells of an experiment are called by a digest in which the code has a part."""


@pytest.fixture(scope="module", params=VERSIONS)
def old(request) -> Path:
    """Return what a version wrote; it is only read."""
    return HERE / request.param


@pytest.fixture(scope="module")
def golden(old) -> dict[str, Any]:
    return json.loads((old / "golden.json").read_bytes())


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every number, text and nothing of what JSON holds, with its path."""
    if isinstance(value, dict):
        for key, one in value.items():
            yield from leaves(one, f"{path}.{key}")
    elif isinstance(value, list):
        for place, one in enumerate(value):
            yield from leaves(one, f"{path}[{place}]")
    else:
        yield path, value


def test_there_is_a_folder_of_this_version() -> None:
    assert PRESENT.name in VERSIONS, WRITE


# What was written is read -------------------------------------------------------------------------


@pytest.mark.parametrize("name", READERS)
def test_what_a_version_wrote_is_read_to_the_same_values(name, old, golden) -> None:
    if name not in golden:
        pytest.skip(f"{old.name} did not write it")
    found = dict(leaves(json.loads(json_text(READERS[name](old)))))
    wanted = dict(leaves(golden[name]))
    assert found.keys() == wanted.keys()
    numbers = {one for one, value in wanted.items() if isinstance(value, float)}
    assert [found[one] for one in numbers] == pytest.approx(
        [wanted[one] for one in numbers], rel=1e-9
    )
    assert {one: found[one] for one in wanted.keys() - numbers} == {
        one: wanted[one] for one in wanted.keys() - numbers
    }


# What others build on -----------------------------------------------------------------------------


def gone(old: Mapping[str, list[str]], new: Mapping[str, list[str]]) -> list[str]:
    """Return what is there no longer, or in another order."""
    lost = [name for name in old if name not in new]
    return lost + [
        f"{name}: {', '.join(names)}"
        for name, names in old.items()
        if name in new and [one for one in new[name] if one in names] != names
    ]


@pytest.mark.parametrize("what", ["names.riskadj", "names.riskadj.stats"])
def test_public_names_and_their_parameters_are_all_there(what, golden) -> None:
    module = what.partition(".")[2]
    assert gone(golden["public"]["names"][module], public()["names"][module]) == []


@pytest.mark.parametrize("what", ["verbs", "study", "contract", *RECORDS])
def test_verbs_options_and_keys_are_all_there(what, golden) -> None:
    old, new = golden["public"][what], public()[what]
    assert gone({one: sorted(of) for one, of in old.items()},
                {one: sorted(of) for one, of in new.items()}) == []  # fmt: skip


@pytest.mark.parametrize("what", ["exit_codes", "thresholds"])
def test_exit_codes_and_thresholds_mean_what_they_meant(what, golden) -> None:
    old, new = golden["public"][what], public()[what]
    assert {one: new.get(one) for one in old} == old


def test_what_is_gone_would_be_found() -> None:
    assert gone({"fit": ["x", "y"]}, {"fit": ["x", "y", "z"], "more": []}) == []
    assert gone({"fit": ["x", "y"]}, {"fit": ["y", "x"]}) == ["fit: x, y"]
    assert gone({"fit": []}, {}) == ["fit"]


# What is written is what was ----------------------------------------------------------------------


def shapes(home: Path) -> dict[str, list[str]]:
    """Return every file with its columns or keys; those of others only by name."""
    return {
        CHANGES.sub("work/cells/DIGEST", name): shape(path)
        for name, path in files_in(home).items()
        if not name.startswith("configs/") and name != "golden.json"
    }


def shape(path: Path) -> list[str]:
    if path.suffix == ".csv":
        return path.read_text(encoding="utf-8").partition("\n")[0].split(",")
    if path.suffix == ".parquet":
        return [f"{one.name} {one.type}" for one in pyarrow.parquet.read_schema(path)]
    if path.suffix == ".json":
        return keys_of(json.loads(path.read_bytes()))
    if path.suffix == ".jsonl":
        return keys_of([json.loads(one) for one in path.read_bytes().splitlines()])
    return columns_of_model(path) if path.name == "MLmodel" else []


def columns_of_model(path: Path) -> list[str]:
    """Return what a model that MLflow keeps takes and gives; the rest of the file is MLflow's."""
    signature = plain(parse_yaml(path.read_text(encoding="utf-8")))["signature"]
    return [
        f"{part} {one['name']} {one['type']}"
        for part in ("inputs", "outputs")
        for one in json.loads(signature[part])
    ]


def keys_of(content: Any) -> list[str]:
    """Return the paths of all keys, and what numbers of a format and a version say."""
    told = {
        f"{path} {value}" if re.search(r"\.format$", path) else path
        for path, value in ((re.sub(r"\[\d+\]", "[]", one), of) for one, of in leaves(content))
    }
    return sorted(told)


@pytest.fixture(scope="module")
def today(tmp_path_factory) -> Path:
    home = tmp_path_factory.mktemp("today")
    write_all(home)
    return home


def test_this_version_writes_the_same_files_columns_keys_and_formats(today) -> None:
    before, now = shapes(PRESENT), shapes(today)
    assert sorted(before.keys() ^ now.keys()) == [], ON_PURPOSE
    changed = {
        name: {"gone": sorted(set(before[name]) - set(now[name])),
               "new": sorted(set(now[name]) - set(before[name]))}
        for name in before
        if before[name] != now[name]
    }  # fmt: skip
    assert changed == {}, ON_PURPOSE


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("run/provenance.json", "format"),
        ("filled/provenance.json", "format"),
        ("run/card.json", "format"),
        ("cards/filled/1/card.json", "format"),
        ("run/models/better-linear/model.json", "format"),
        ("logged/artifacts/better-linear/model.json", "format"),
        ("settled/provenance.json", "format"),
        ("windows/provenance.json", "format"),
        ("explained/provenance.json", "format"),
        ("explained_episode/provenance.json", "format"),
        ("trial/provenance.json", "format"),
        ("experiment/results.json", "format"),
    ],
)
def test_whatever_is_read_again_says_its_format(name, key) -> None:
    assert key in json.loads((PRESENT / name).read_bytes())
