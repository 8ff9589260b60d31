"""Pseudonyms: the same with the same key, nothing without it, and no identifier anywhere."""

import hashlib
import json
import random
import zipfile
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_numbers import SECRET, Hostile
from worlds import as_episodes, episode_frame, study_content, text_table, write_study

from riskadj import load_study
from riskadj.episodes import Column, read_episodes
from riskadj.episodes.pseudonyms import KEY_SOURCE, Key, pseudonymised, read_key
from riskadj.episodes.shown import NOT_SHOWN, shown_cell
from riskadj.errors import FileMissingError, RiskadjError, StudyError
from riskadj.pipeline import check_study, read_study

KEY = Key(bytes(range(32)))
BOTH = ("patient_id", "episode_id")


def study_with(home: Path, **rules: Any) -> Path:
    content = study_content()
    content["data"]["pseudonymise"] = rules
    return write_study(home, content)


# --- the key --------------------------------------------------------------------------------------


@pytest.mark.parametrize("secret", [b"", b"short", bytes(31), bytes(64), b"ab" * 40])
def test_a_key_that_is_short_or_repeats_itself_is_refused_without_being_shown(
    secret: bytes, tmp_path: Path
) -> None:
    (tmp_path / "key").write_bytes(secret)
    with pytest.raises(StudyError, match="wanted a key of 32 random bytes") as refused:
        read_key(tmp_path / "key")
    assert not secret or secret.decode() not in str(refused.value)


def test_a_key_comes_from_a_file_or_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "key").write_text(f"{SECRET}\r\n")
    monkeypatch.setenv("THE_KEY", SECRET)
    assert read_key(tmp_path / "key") == read_key(variable="THE_KEY") == Key(SECRET.encode())


def test_a_key_that_is_nowhere_is_said_to_be(tmp_path: Path) -> None:
    with pytest.raises(FileMissingError, match="wanted a file with the key"):
        read_key(tmp_path / "nothing")
    with pytest.raises(StudyError, match="it is not set"):
        read_key(variable="NOT_A_VARIABLE_OF_OURS")
    with pytest.raises(StudyError, match="got neither"):
        read_key()


def test_nothing_that_prints_a_key_shows_it() -> None:
    assert "not shown" in f"{KEY!r} {KEY} {[KEY]}"
    assert str(KEY.secret) not in f"{KEY!r} {KEY}"


def test_the_fingerprint_tells_keys_apart_and_is_no_plain_digest_of_one() -> None:
    other = Key(bytes(range(1, 33)))
    assert KEY.fingerprint == Key(bytes(range(32))).fingerprint != other.fingerprint
    plain = (hashlib.new(one, KEY.secret).hexdigest() for one in ("md5", "sha1", "sha256"))
    assert KEY.fingerprint not in plain


# --- pseudonyms -----------------------------------------------------------------------------------


@settings(max_examples=50, deadline=None)
@given(st.text(), st.text(), st.binary(min_size=32, max_size=64))
def test_the_same_key_gives_the_same_pseudonym_and_another_another(
    one: str, other: str, secret: bytes
) -> None:
    key = Key(secret)
    again = Key(secret).pseudonym("patient_id", one)
    assert key.pseudonym("patient_id", one) == again
    assert (again == key.pseudonym("patient_id", other)) == (one == other)
    assert again != Key(secret[:-1] + bytes([secret[-1] ^ 1])).pseudonym("patient_id", one)
    assert again != key.pseudonym("episode_id", one)


def test_patients_are_linked_across_files_as_they_were(tmp_path: Path) -> None:
    frame = episode_frame(40)
    halves = {"a.csv": frame.iloc[::2], "b.csv": frame.iloc[1::2]}
    linked = []
    for name, half in halves.items():
        text_table(half).to_csv(tmp_path / name, index=False)
        found = pseudonymised(read_episodes([tmp_path / name], "csv"), BOTH, KEY).table
        linked.append(found.assign(was=half["patient_id"].to_numpy()))
    table = pd.concat(linked)
    assert table.groupby("patient_id")["was"].nunique().eq(1).all()
    assert table.groupby("was")["patient_id"].nunique().eq(1).all()
    assert table["patient_id"].nunique() == 20


def test_whoever_knows_every_identifier_but_not_the_key_finds_none() -> None:
    """A dictionary: every number that a patient can have, hashed in every plain way."""
    frame = episode_frame(200)
    shown = set(pseudonymised(as_episodes(frame), BOTH, KEY).table["patient_id"])
    space = [f"P{one:05d}" for one in range(3000)]
    assert set(frame["patient_id"]) <= set(space)
    tried = {
        hashlib.new(how, f"{before}{one}".encode()).hexdigest()[:32]
        for one in space
        for before in ("", "patient_id", "patient_id\0")
        for how in ("md5", "sha1", "sha256", "sha512", "blake2b")
    }
    guessed = random.Random(1).randbytes(32)  # nor with a key that is guessed
    tried |= {Key(guessed).pseudonym("patient_id", one) for one in space}
    assert not shown & tried


def test_what_is_not_recorded_stays_so_and_other_columns_stay_as_they_are() -> None:
    frame = episode_frame(20)
    frame.loc[3, "patient_id"] = None
    found = pseudonymised(as_episodes(frame), BOTH, KEY).table
    assert found["patient_id"].isna().tolist() == frame["patient_id"].isna().tolist()
    pd.testing.assert_frame_equal(found.drop(columns=[*BOTH]), frame.drop(columns=[*BOTH]))


@pytest.mark.parametrize("name", ["provider_id", "period", "sex", "patientid"])
def test_only_identifiers_that_no_report_is_about_become_pseudonyms(name: str) -> None:
    with pytest.raises(StudyError, match="wanted identifiers"):
        pseudonymised(as_episodes(episode_frame(10)), [name], KEY)


def test_identifiers_of_the_studys_own_become_pseudonyms_too() -> None:
    own = Column(name="ward", kind="text", known_at="baseline", role="identifier", meaning="ward")
    frame = episode_frame(10).assign(ward=pd.Series([f"ward {one % 2}" for one in range(10)]))
    found = pseudonymised(as_episodes(frame, own), ["ward"], KEY).table
    assert found["ward"].nunique() == 2
    assert not set(found["ward"]) & set(frame["ward"])


def test_the_digest_of_the_episodes_depends_on_the_key() -> None:
    episodes = as_episodes(episode_frame(10))
    one, other = (pseudonymised(episodes, BOTH, Key(bytes(range(n, n + 32)))) for n in (0, 1))
    assert len({episodes.digest, one.digest, other.digest}) == 3
    assert one.sources[-1].name == KEY_SOURCE


@pytest.mark.parametrize(
    "rules", [{}, {"key_file": "a", "key_variable": "B"}, {"key_file": "a", "columns": []}]
)
def test_a_study_names_one_key_and_some_columns(rules: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"data\.pseudonymise"):
        load_study(study_with(tmp_path, **rules))


def test_a_key_is_looked_for_beside_the_study_and_a_bad_one_is_among_its_faults(
    tmp_path: Path,
) -> None:
    text_table(episode_frame(60)).to_csv(tmp_path / "episodes.csv", index=False)
    study = study_with(tmp_path, key_file="secret.key")
    found = [str(one) for one in check_study(study).faults]
    assert any("wanted a file with the key" in one for one in found)
    (tmp_path / "secret.key").write_text(SECRET)
    assert not check_study(study).faults
    assert not set(read_study(load_study(study)).table["patient_id"]) & {"P00000", "P00001"}


# --- a run ----------------------------------------------------------------------------------------


def bytes_of(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder, what is packed unpacked."""
    found = {}
    for path in sorted(one for one in folder.rglob("*") if one.is_file()):
        found[str(path.relative_to(folder))] = path.read_bytes()
        if path.suffix == ".parquet":
            table = pd.read_parquet(path)
            found[f"{path.name} unpacked"] = table.to_csv().encode()
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                found |= {f"{path.name}/{one}": archive.read(one) for one in archive.namelist()}
    return found


def test_no_identifier_is_in_any_byte_of_a_run_or_of_what_is_logged(
    hostile: Hostile,
) -> None:
    ids = {one.encode() for name in BOTH for one in hostile.frame[name]}
    some = sorted(ids)[:: max(1, len(ids) // 60)]
    places = {one: bytes_of(hostile.home / one) for one in ("run", "store")}
    assert min(len(files) for files in places.values()) > 20
    for place, files in places.items():
        for name, content in files.items():
            assert not [one for one in some if one in content], f"{place}/{name}"
    kept = pd.read_parquet(hostile.home / "run" / "expectations.parquet")
    assert not set(kept["episode_id"]) & set(hostile.frame["episode_id"])


def test_no_identifier_goes_to_the_terminal_or_a_log(hostile: Hostile) -> None:
    assert not [one for name in BOTH for one in hostile.frame[name] if one in hostile.said]


def test_the_key_is_in_no_file_and_where_it_was_is_not_told(hostile: Hostile) -> None:
    for place in ("run", "store"):
        for name, content in bytes_of(hostile.home / place).items():
            assert SECRET.encode() not in content, name
            assert bytes.fromhex(SECRET) not in content, name
            assert str(hostile.home / "secret.key").encode() not in content, name


def test_two_runs_can_be_seen_to_share_pseudonyms(hostile: Hostile) -> None:
    provenance = json.loads((hostile.home / "run" / "provenance.json").read_text())
    of_key = [one for one in provenance["data"] if one["name"] == KEY_SOURCE]
    assert [one["digest"] for one in of_key] == [Key(SECRET.encode()).fingerprint]


# --- errors ---------------------------------------------------------------------------------------

NUMBER = "943 476 5919"
"""A made-up number in the form that patients' numbers have in England."""
WRONG: dict[str, Any] = {
    "an identifier twice": lambda frame: frame.assign(episode_id=NUMBER),
    "an identifier where there is none": lambda frame: frame.assign(provider_id=""),
    "columns shifted": lambda frame: frame.assign(sex=NUMBER, age_years=NUMBER, q1_date=NUMBER),
    "an identifier as a number": lambda frame: frame.assign(age_years=NUMBER.replace(" ", "")),
    "an identifier as a code": lambda frame: frame.assign(comorb_heart=NUMBER.replace(" ", "")),
    "an identifier as a header": lambda frame: frame.rename(columns={"provider_id": NUMBER}),
    "a row too long": lambda frame: frame.assign(sex="a,b,c"),
}


@pytest.mark.parametrize("kind", WRONG)
@pytest.mark.parametrize("format", ["csv", "parquet"])
def test_no_error_of_reading_shows_what_could_identify_somebody(
    kind: str, format: str, tmp_path: Path
) -> None:
    frame = WRONG[kind](text_table(episode_frame(12)).assign(patient_id=NUMBER))
    path = tmp_path / f"episodes.{format}"
    if format == "csv":
        path.write_text("\n".join(",".join(row) for row in [frame.columns, *frame.to_numpy()]))
    else:
        frame.to_parquet(path)
    try:
        read_episodes([path], format, columns=())
    except RiskadjError as error:
        told = f"{error} {[str(one) for one in error.faults]}"
        assert NUMBER not in told
        assert NUMBER.replace(" ", "") not in told
        assert "943476" not in told
        assert "9.43476" not in told


def test_a_header_that_is_a_patient_is_not_shown(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(f"{NUMBER},{NUMBER},sex\n1,2,3\n")
    with pytest.raises(RiskadjError, match="each column once") as refused:
        read_episodes([tmp_path / "a.csv"], "csv")
    assert NUMBER not in str(refused.value)


@pytest.mark.parametrize(
    ("cell", "shown"),
    [
        ("M", "M"), ("31/02/2019", "31/02/2019"), ("2019-02-30 10:00", "2019-02-30 10:00"),
        (49.0, "49"), (float("inf"), "inf"), (NUMBER, NOT_SHOWN), (9434765919.0, NOT_SHOWN),
        ("Jones, Mary, 4 Elm Street, Leeds", NOT_SHOWN), ("QRX-0012345", NOT_SHOWN),
    ],
)  # fmt: skip
def test_what_helps_to_mend_a_file_is_shown_and_nothing_else(cell: object, shown: str) -> None:
    assert shown_cell(cell) == shown
