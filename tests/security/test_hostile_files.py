"""Files made to fill the memory, to lead out of a folder or to never end are refused in a moment.

Memory is measured in a process of its own that may hold little more than the program itself.
"""

import gzip
import json
import stat
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from worlds import study_content

from riskadj.claims.database import open_database, view_file
from riskadj.episodes import read_episodes
from riskadj.episodes.fhir_json import documents
from riskadj.episodes.fhir_mapping import FhirMapping
from riskadj.episodes.files import MOST_COLUMNS, read_text_table
from riskadj.episodes.mapping import read_mapping
from riskadj.episodes.pieces import read_parquet_table
from riskadj.errors import FileFormatError, RiskadjError, StudyError
from riskadj.study import load_study, read_yaml

CSV = b"provider_id,note\nH01,a\n"
SOON = 10.0
"""Seconds."""


@contextmanager
def refused(kind: type[RiskadjError], said: str) -> Iterator[None]:
    began = time.perf_counter()
    with pytest.raises(kind, match=said) as caught:
        yield
    assert time.perf_counter() - began < SOON
    assert len(str(caught.value)) < 600
    assert "\n" not in str(caught.value)


def zipped(path: Path, *members: tuple[str | zipfile.ZipInfo, bytes], method: int = 8) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


def gzipped(path: Path, *parts: bytes) -> Path:
    with gzip.open(path, "wb", compresslevel=6) as stream:
        for one in parts:
            stream.write(one)
    return path


def link(name: str) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(name)
    member.external_attr = (stat.S_IFLNK | 0o777) << 16
    return member


# --- archives ---


@pytest.mark.parametrize(
    "name",
    ["../a.csv", "a/../../b.csv", "/etc/a.csv", "C:\\a.csv", "..\\a.csv", "a/../b.txt", "c:a.csv"],
)
@pytest.mark.parametrize("beside", [True, False])
def test_a_name_that_leads_out_of_the_archive_is_refused(name: str, beside: bool, tmp_path: Path):
    members = [(name, CSV)] + [("table.csv", CSV)] * beside
    with refused(FileFormatError, "wanted names of files inside the zip"):
        read_text_table(zipped(tmp_path / "t.zip", *members))


def test_a_link_in_an_archive_is_refused(tmp_path: Path):
    path = zipped(tmp_path / "t.zip", (link("table.csv"), b"/etc/passwd"))
    with refused(FileFormatError, "wanted files in the zip; got a link"):
        read_text_table(path)


def test_nothing_of_an_archive_is_written_to_disk(tmp_path: Path, monkeypatch):
    path = zipped(tmp_path / "t.zip", ("inner/table.csv", CSV))
    monkeypatch.chdir(tmp_path)
    assert len(read_text_table(path)) == 1
    assert [one.name for one in tmp_path.rglob("*")] == ["t.zip"]


def test_an_archive_in_an_archive_is_not_opened(tmp_path: Path):
    inner = zipped(tmp_path / "inner.zip", ("table.csv", CSV)).read_bytes()
    with refused(FileFormatError, "wanted a zip with one CSV file in it; got 0"):
        read_text_table(zipped(tmp_path / "t.zip", ("inner.zip", inner)))


@pytest.mark.parametrize(
    ("n", "letters", "said"),
    [(1_500, 4, "over 1,000 files in it"), (40, 30_000, "a list of files in it that is too long")],
)
def test_an_archive_of_too_many_files_is_refused(n: int, letters: int, said: str, tmp_path: Path):
    path = zipped(tmp_path / "t.zip", *((f"{one:0{letters}}", b"") for one in range(n)))
    with refused(FileFormatError, said):
        read_text_table(path)


def test_an_encrypted_archive_says_what_to_do(tmp_path: Path):
    path = zipped(tmp_path / "t.zip", ("table.csv", CSV))
    content = bytearray(path.read_bytes())
    content[6] |= 1
    content[content.rindex(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)
    with refused(FileFormatError, "with a password.*Unpack it"):
        read_text_table(path)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_method_that_unpacks_without_bounds_is_refused(method: int, tmp_path: Path):
    with refused(FileFormatError, "stored or deflated"):
        read_text_table(zipped(tmp_path / "t.zip", ("table.csv", CSV * 9), method=method))


def bomb(size: int) -> bytes:
    return b"provider_id,note\n" + b"H01,a\n" * (size // 6)


def declared(path: Path, size: int) -> Path:
    """Make an archive say another size of its only member, in both places."""
    content = bytearray(path.read_bytes())
    for at in (content.index(b"PK\x03\x04") + 22, content.rindex(b"PK\x01\x02") + 24):
        content[at : at + 4] = size.to_bytes(4, "little")
    path.write_bytes(content)
    return path


def test_an_archive_that_would_fill_the_memory_is_refused_unopened(tmp_path: Path):
    with refused(FileFormatError, "wanted up to 16,777,216 bytes out of an archive of its size"):
        read_text_table(zipped(tmp_path / "t.zip", ("table.csv", bomb(20_000_000))))


@pytest.mark.parametrize(
    ("size", "said"),
    [
        (0xFFFF_FFF0, "out of an archive of its size"),
        (40, "does not"),
        (0, "does not|wanted a CSV"),
    ],
)
def test_an_archive_that_lies_about_its_size_is_refused(size: int, said: str, tmp_path: Path):
    with refused(FileFormatError, said):
        read_text_table(declared(zipped(tmp_path / "t.zip", ("table.csv", bomb(600_000))), size))


def test_a_stream_that_would_fill_the_memory_is_refused_before_it_is_a_table(
    tmp_path: Path, monkeypatch
):
    path = gzipped(tmp_path / "t.csv.gz", CSV, *[b"H01,a\n" * 200_000] * 20)
    monkeypatch.setattr("pandas.read_csv", None)
    with refused(FileFormatError, "out of an archive of its size"):
        read_text_table(path)


def test_a_packed_bundle_that_would_fill_the_memory_is_refused(tmp_path: Path):
    path = gzipped(tmp_path / "b.json.gz", b'{"resourceType": "Bundle", "entry": [',
                   *[b"{}," * 400_000] * 20, b"{}]}")  # fmt: skip
    with refused(FileFormatError, "out of an archive of its size"):
        list(documents(path))


def test_packed_claims_that_would_fill_the_disk_are_refused(tmp_path: Path):
    path = gzipped(tmp_path / "c.csv.gz", CSV, *[b"H01,a\n" * 200_000] * 20)
    with open_database() as database, refused(FileFormatError, "out of an archive of its size"):
        view_file(database, path, "raw", {})


def test_an_archive_of_an_ordinary_table_is_read(tmp_path: Path):
    rows = b"".join(b"H%02d,%d\n" % (one % 60, one * one % 9973) for one in range(200_000))
    for path in (
        zipped(tmp_path / "t.zip", ("table.csv", CSV + rows)),
        gzipped(tmp_path / "t.csv.gz", CSV + rows),
    ):
        assert len(read_text_table(path)) == 200_001


LITTLE = """
import resource, sys, time
from pathlib import Path
from riskadj.episodes.files import read_text_table
from riskadj.episodes.pieces import read_parquet_table
from riskadj.errors import FileFormatError
import pyarrow.parquet
now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (now + 2**28, now + 2**28))
for name in sys.argv[1:]:
    read = read_parquet_table if name.endswith("parquet") else read_text_table
    try:
        read(Path(name))
    except FileFormatError as error:
        print(error)
"""


@pytest.mark.slow
def test_bombs_are_refused_within_a_quarter_of_a_gigabyte(tmp_path: Path):
    member = zipped(tmp_path / "a.zip", ("table.csv", bomb(200_000_000)))
    zeros = gzipped(tmp_path / "b.csv.gz", CSV, *[bytes(2**22)] * 75)
    lines = gzipped(tmp_path / "c.csv.gz", CSV, *[b"H01,a\n" * 2**19] * 80)
    constant = rows_of_one_value(tmp_path / "d.parquet", 60_000_000)
    done = subprocess.run(
        [sys.executable, "-c", LITTLE, member, zeros, lines, constant],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-500:]
    assert len(done.stdout.splitlines()) == 4


# --- tables ---


def rows_of_one_value(path: Path, rows: int) -> Path:
    part = pa.table({"provider_id": pa.array([1] * 1_000_000, pa.int64())})
    with pq.ParquetWriter(path, part.schema, compression="zstd") as writer:
        for _ in range(rows // len(part)):
            writer.write_table(part, row_group_size=len(part))
    return path


def test_a_few_bytes_that_say_they_are_very_many_rows_are_refused(tmp_path: Path):
    path = rows_of_one_value(tmp_path / "t.parquet", 60_000_000)
    assert path.stat().st_size < 400_000
    with refused(FileFormatError, "60,000,000 rows out of"):
        read_parquet_table(path)
    with refused(FileFormatError, "60,000,000 rows out of"):
        read_episodes([path], "parquet")


@pytest.mark.parametrize("ending", ["csv", "csv.gz", "zip"])
@pytest.mark.parametrize("sign", [b"x", b",", b"\0", b'"', b" "])
def test_a_file_of_one_huge_line_is_refused(sign: bytes, ending: str, tmp_path: Path):
    content = CSV + sign * 9_000_000
    path = tmp_path / f"t.{ending}"
    if ending == "zip":
        zipped(path, ("table.csv", content))
    else:
        path.write_bytes(gzip.compress(content) if ending == "csv.gz" else content)
    with refused(FileFormatError, "wanted lines of up to 1,048,576 bytes|field larger than"):
        read_text_table(path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"a," * (MOST_COLUMNS + 1) + b"\n1\n", "wanted up to 10,000 columns"),
        (b"a,b\n" + (b"1," * 400_000 + b"\n") * 2, "got more in the first row"),
        (b"a,b\n1,2\n" + b"1," * 400_000 + b"\n", "Expected 2 fields"),
        (b'a,"b\n' + b"1,2\n" * 1_000_000, "field larger than"),
        (b'a,b\n"' + b"1,2\n" * 1_000_000, "field larger than"),
        (b'a,b\n1,2\n"' + b"1,2\n" * 1_000_000, "EOF inside string"),
    ],
)
def test_a_table_of_too_many_cells_is_refused(content: bytes, said: str, tmp_path: Path):
    (tmp_path / "t.csv").write_bytes(content)
    with refused(FileFormatError, said):
        read_text_table(tmp_path / "t.csv")


# --- JSON ---


def nested(depth: int) -> str:
    return '{"resourceType": "Bundle", "entry": ' + '{"a":' * depth + "1" + "}" * depth + "}"


@pytest.mark.parametrize("ending", ["json", "ndjson", "json.gz"])
@pytest.mark.parametrize(
    "text",
    [
        nested(100_000),
        '{"resourceType": "Bundle", "entry": ' + "[" * 1_000_000,
        '{"resourceType": "Bundle", "total": ' + "9" * 5_000_000 + "}",
        '{"resourceType": "Bundle", "total": NaN}',
        '{"resourceType": "Bundle", "total": -Infinity}',
        '{"resourceType": "Bundle", "resourceType": "Bundle"}',
        '{"resourceType": "Bundle", "total": "\ud800"}',
    ],
    ids=["deep", "open", "huge number", "NaN", "infinite", "twice", "half a sign"],
)
def test_strange_json_is_refused(text: str, ending: str, tmp_path: Path):
    path = tmp_path / f"b.{ending}"
    content = text.encode("utf-8", "surrogatepass")
    path.write_bytes(gzip.compress(content) if ending.endswith("gz") else content)
    with refused(FileFormatError, "wanted FHIR R4 JSON"):
        list(documents(path))


# --- YAML ---

LAUGHS = "a0: &a0 [x, x]\n" + "".join(
    f"a{one}: &a{one} [{', '.join([f'*a{one - 1}'] * 9)}]\n" for one in range(1, 12)
)
MERGES = "a0: &a0 {x: 1}\n" + "".join(
    f"a{one}: &a{one} {{<<: [{', '.join([f'*a{one - 1}'] * 9)}], y{one}: 1}}\n"
    for one in range(1, 12)
)
YAML = {
    "laughs": (LAUGHS, "named again until they are"),
    "itself": ("a: &a\n  - *a\n", "wanted"),
    "deep brackets": ("a: " + "[" * 5000 + "]" * 5000, "nested more than"),
    "deep lines": ("".join(f"{' ' * one}a:\n" for one in range(400)), "nested more than"),
    "deep dashes": ("- " * 5000 + "x", "nested more than"),
    "many values": ("a: [" + "1, " * 400_000 + "1]", "lines and commas|more than 1 MB"),
    "long": ("a: " + "x" * 3_000_000, "more than 1 MB"),
    "twice": ("name: a\nname: b\n", "duplicate key"),
    "twice inside": ("a:\n  b: 1\n  b: 2\n", "duplicate key"),
    "class": ("a: !!python/object/apply:os.system ['touch owned']\n", "names a class"),
    "class of a word": ("a: !!python/name:os.system x\n", "names a class"),
    "huge number": ("a: " + "9" * 100_000 + "\n", "integer string"),
    "merges": (MERGES, "wanted a known key|wanted a mapping with format|named again"),
}


@pytest.mark.parametrize("name", YAML)
def test_strange_yaml_is_refused_as_a_study_and_as_a_mapping(name: str, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text, said = YAML[name]
    path = tmp_path / "s.yaml"
    path.write_text(text, encoding="utf-8")
    with refused(StudyError, said):
        load_study(path)
    with refused(StudyError, f"{said}|wanted a mapping"):
        read_mapping(path, FhirMapping)
    assert [one.name for one in tmp_path.iterdir()] == ["s.yaml"]


@pytest.mark.parametrize("value", ["[" * 5000, "!!python/name:os.system x", "&a [*a, *b]", "'"])
def test_strange_yaml_in_an_override_is_refused(value: str, tmp_path: Path):
    path = tmp_path / "s.yaml"
    path.write_text(json.dumps(study_content()))
    with refused(StudyError, "--set split.seed: wanted a YAML value"):
        load_study(path, [f"split.seed={value}"])


def test_parts_that_are_named_again_are_fine_in_measure(tmp_path: Path):
    path = tmp_path / "s.yaml"
    path.write_text("a: &a {x: [1, 2]}\nb: *a\nc: {<<: *a, y: 3}\n")
    assert read_yaml(path)["c"]["x"] == [1, 2]
