"""EQ-5D value sets: each term does what its name says, and what has no rule is refused."""

import gzip
import itertools
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from riskadj.errors import FileFormatError, FileMissingError, RiskadjError, UnknownNameError
from riskadj.instruments import UK_TTO_1997, instrument, make_value_set, read_value_sets, score
from riskadj.instruments.value_set_terms import DIMENSIONS, profiles, values_of_terms
from riskadj.instruments.value_sets import ValueSets

NAMES_3L = ["".join(one) for one in itertools.product("123", repeat=5)]
NAMES_5L = ["".join(one) for one in itertools.product("12345", repeat=5)]
REFERENCES = "Version,Type,Country,PubMed,DOI,ISBN,ExternalURL\n"


def weights(levels: int, start: str) -> dict[str, float]:
    """Return a value set of main effects that leaves room for any one term."""
    every = itertools.product(DIMENSIONS, range(2, levels + 1))
    return {start: 0.9} | {f"{one}{level}": -0.01 * (level - 1) for one, level in every}


def by_profile(values: np.ndarray, names: list[str]) -> dict[str, float]:
    return dict(zip(names, values.tolist(), strict=True))


def gained(version: str, term: str, weight: float) -> dict[str, float]:
    """Return how often a term counts in each profile, by the difference it makes."""
    levels, start, names = {
        "EQ-5D-3L": (3, "FullHealth", NAMES_3L),
        "EQ-5D-5L": (5, "StartValue", NAMES_5L),
    }[version]
    base = weights(levels, start)
    without = values_of_terms("a", version, base)
    with_it = values_of_terms("a", version, base | {term: weight})
    return by_profile(np.round((with_it - without) / weight, 6), names)


def test_profiles_are_in_the_order_of_their_digits() -> None:
    assert ["".join(map(str, one)) for one in profiles(3)] == NAMES_3L
    assert ["".join(map(str, one)) for one in profiles(5)] == NAMES_5L


COUNTS_3L: dict[str, Callable[[str], int]] = {
    "AtLeastOne2Or3": lambda s: int(s != "11111"),
    "AtLeastOne3": lambda s: int("3" in s),
    "D1": lambda s: max(5 - s.count("1") - 1, 0),
    "I2": lambda s: max(s.count("2") - 1, 0),
    "I2square": lambda s: max(s.count("2") - 1, 0) ** 2,
    "I3": lambda s: max(s.count("3") - 1, 0),
    "I3square": lambda s: max(s.count("3") - 1, 0) ** 2,
    "O2": lambda s: int(set(s) in ({"1", "2"}, {"2"})),
    "O3": lambda s: int(set(s) in ({"1", "3"}, {"3"})),
    "Z2": lambda s: int("2" in s and "3" in s),
    "Z3": lambda s: s.count("2") if "3" in s else 0,
    "C2square": lambda s: s.count("2") ** 2,
    "C3square": lambda s: s.count("3") ** 2,
    "X5": lambda s: int("1" not in s),
    "MO3SC3": lambda s: int(s.startswith("33")),
    "UA2AD3": lambda s: int(s[2] == "2" and s[4] == "3"),
}
COUNTS_5L: dict[str, Callable[[str], int]] = {
    "Intercept": lambda s: int(s != "11111"),
    "N4": lambda s: int("4" in s or "5" in s),
    "N5": lambda s: int("5" in s),
    "MO45": lambda s: int(s[0] in "45"),
    "AD45": lambda s: int(s[4] in "45"),
    "Num45sq": lambda s: max(s.count("4") + s.count("5") - 1, 0) ** 2,
    "MOAD": lambda s: (int(s[0]) - 1) * (int(s[4]) - 1),
    "PDAD": lambda s: (int(s[3]) - 1) * (int(s[4]) - 1),
    "SC1": lambda s: int(s[1] == "1"),
}


@pytest.mark.parametrize("term", COUNTS_3L)
def test_each_term_of_3l_counts_as_its_name_says(term: str) -> None:
    got = gained("EQ-5D-3L", term, -0.001)
    assert got == {name: COUNTS_3L[term](name) for name in NAMES_3L}


@pytest.mark.parametrize("term", COUNTS_5L)
def test_each_term_of_5l_counts_as_its_name_says(term: str) -> None:
    weight = 0.001 if term == "SC1" else -0.001
    got = gained("EQ-5D-5L", term, weight)
    assert got == {name: COUNTS_5L[term](name) for name in NAMES_5L}


@pytest.mark.parametrize(
    ("version", "term"),
    [("EQ-5D-3L", "N3"), ("EQ-5D-3L", "MO4"), ("EQ-5D-3L", "MO45"), ("EQ-5D-3L", "MO4SC3"),
     ("EQ-5D-5L", "I3"), ("EQ-5D-5L", "MO6"), ("EQ-5D-5L", "MOSC"), ("EQ-5D-5L", "D1square")],
)  # fmt: skip
def test_a_term_without_a_rule_is_refused_and_never_guessed(version: str, term: str) -> None:
    levels, start = (3, "FullHealth") if version == "EQ-5D-3L" else (5, "StartValue")
    with pytest.raises(
        FileFormatError, match=f"mine: wanted terms whose rule is known; got '{term}"
    ):
        values_of_terms("mine", version, weights(levels, start) | {term: -0.1})


@pytest.mark.parametrize("absent", ["FullHealth", "MO2", "AD3"])
def test_a_value_set_without_a_weight_is_refused(absent: str) -> None:
    terms = weights(3, "FullHealth")
    del terms[absent]
    with pytest.raises(FileFormatError, match=f"wanted a weight for {absent}; got none"):
        values_of_terms("mine", "EQ-5D-3L", terms)


def test_weights_that_multiply_are_refused_where_weights_add() -> None:
    factors = dict.fromkeys(weights(3, "FullHealth"), 0.9)
    with pytest.raises(FileFormatError, match="no value above that of 11111"):
        values_of_terms("mine", "EQ-5D-3L", factors)


def test_the_german_scale_multiplies_its_weights() -> None:
    factors = dict.fromkeys(weights(3, "FullHealth"), 0.9) | {"FullHealth": 1.0}
    values = values_of_terms("EQ-5D-3L/VAS/Germany", "EQ-5D-3L", factors)
    assert values[[0, 1, -1]].tolist() == [1.0, 0.9, round(0.9**5, 3)]


@pytest.mark.parametrize("weight", [float("nan"), float("inf")])
def test_a_weight_that_is_no_number_is_refused(weight: float) -> None:
    with pytest.raises(FileFormatError, match="finite weights; got others for MO2"):
        values_of_terms("mine", "EQ-5D-3L", weights(3, "FullHealth") | {"MO2": weight})


@pytest.mark.parametrize("version", ["EQ-5D-Y-3L", "3L"])
def test_another_version_of_the_questionnaire_is_refused(version: str) -> None:
    with pytest.raises(UnknownNameError, match=f"EQ-5D-3L or EQ-5D-5L; got '{version}'"):
        make_value_set(version, "TTO", "UK", "none", np.linspace(1, 0, 243))


def test_the_wrong_number_of_values_is_refused() -> None:
    with pytest.raises(FileFormatError, match=r"wanted 3125 values; got shape \(243,\)"):
        make_value_set("EQ-5D-5L", "VT", "UK", "none", np.linspace(1, 0, 243))


def test_a_value_set_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="read-only"):
        UK_TTO_1997.values[0] = 0.5


def test_a_value_set_is_told_from_another_edition_by_its_digest() -> None:
    first = make_value_set("EQ-5D-3L", "TTO", "UK", "none", np.linspace(1, 0, 243))
    second = make_value_set("EQ-5D-3L", "TTO", "UK", "none", np.linspace(1, -0.001, 243))
    assert first.id == second.id
    assert first != second
    assert pickle.loads(pickle.dumps(first)) == first


# --- a folder of them -----------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with one value set of each kind, as the published one is laid out."""
    main = {
        start: weights(levels, start) for levels, start in ((3, "FullHealth"), (5, "StartValue"))
    }
    references = REFERENCES
    for file, version, kind, start in (
        ("TTO.csv", "EQ-5D-3L", "TTO", "FullHealth"),
        ("VAS.csv", "EQ-5D-3L", "VAS", "FullHealth"),
        ("VT.csv", "EQ-5D-5L", "VT", "StartValue"),
    ):
        rows = [f"{term},{weight}" for term, weight in main[start].items()]
        (tmp_path / file).write_text("\n".join([",Here", *rows, "D1,NA"]) + "\n")
        references += f"{version},{kind},Here,123,10.1/{kind}.,,\n"
    for file, version, kind, names in (
        ("RCW.csv.gz", "EQ-5D-3L", "RCW", NAMES_3L),
        ("CW.csv.gz", "EQ-5D-5L", "CW", NAMES_5L),
    ):
        values = np.round(np.linspace(0.95, 0, len(names)), 3)
        rows = [f"{name},{value}" for name, value in zip(names, values, strict=True)]
        with gzip.open(tmp_path / file, "wt") as stream:
            stream.write("\n".join([",Here", *rows[::-1]]) + "\n")
        references += f"{version},{kind},Here,,,,https://example.org/{kind}\n"
    (tmp_path / "references.csv").write_text(references)
    return tmp_path


def add_column(file: Path, name: str, cells: dict[str, str]) -> None:
    header, *rows = file.read_text().splitlines()
    rows = [f"{row},{cells.get(row.split(',')[0], row.split(',')[1])}" for row in rows]
    file.write_text("\n".join([f"{header},{name}", *rows]) + "\n")


def test_every_kind_of_table_is_read_with_its_source(folder: Path) -> None:
    found = read_value_sets(folder)
    assert {one.id: one.source for one in found.usable.values()} == {
        "EQ-5D-3L/TTO/Here": "doi:10.1/TTO; PubMed 123",
        "EQ-5D-3L/VAS/Here": "doi:10.1/VAS; PubMed 123",
        "EQ-5D-3L/RCW/Here": "https://example.org/RCW",
        "EQ-5D-5L/VT/Here": "doi:10.1/VT; PubMed 123",
        "EQ-5D-5L/CW/Here": "https://example.org/CW",
    }
    assert not found.refused
    assert found.of_version("EQ-5D-5L") == ("EQ-5D-5L/VT/Here", "EQ-5D-5L/CW/Here")


def test_answers_in_5l_can_have_the_values_of_3l_and_the_other_way_round(folder: Path) -> None:
    found = read_value_sets(folder)
    crosswalk = found.find("EQ-5D-5L/CW/Here")
    assert score(instrument("EQ5D5L"), [[1] * 5, [5] * 5], crosswalk).tolist() == [0.95, 0.0]
    reverse = found.find("EQ-5D-3L/RCW/Here")
    assert score(instrument("EQ5D3L"), [[1] * 5, [3] * 5], reverse).tolist() == [0.95, 0.0]


def test_an_unknown_value_set_is_named_with_the_one_that_was_meant(folder: Path) -> None:
    found = read_value_sets(folder)
    near = (
        r"got 'EQ-5D-3L/TTO/Her'\. Did you mean 'EQ-5D-3L/TTO/Here'\? There are EQ-5D-3L/TTO/Here"
    )
    with pytest.raises(UnknownNameError, match=near):
        found.find("EQ-5D-3L/TTO/Her")
    kinds = r"got 'UK'\. There are EQ-5D-3L/TTO/\.\.\., EQ-5D-3L/VAS/\.\.\."
    with pytest.raises(UnknownNameError, match=kinds):
        found.find("UK")


def test_of_many_value_sets_five_are_shown() -> None:
    values = np.linspace(1, 0, 243)
    many = {
        f"EQ-5D-3L/TTO/C{one}": make_value_set("EQ-5D-3L", "TTO", f"C{one}", "none", values)
        for one in range(9)
    }
    with pytest.raises(UnknownNameError) as caught:
        ValueSets("here", many, {}).find("EQ-5D-3L/TTO/D7")
    assert str(caught.value).endswith("C0, EQ-5D-3L/TTO/C1, EQ-5D-3L/TTO/C2, EQ-5D-3L/TTO/C3, "
                                      "EQ-5D-3L/TTO/C4 and 4 more.")  # fmt: skip


@pytest.mark.parametrize("name", ["EQ-5D-3L/TTO/Her", "EQ-5D-3L/TTO/Bad"])
def test_the_key_that_asked_for_a_value_set_comes_first(name: str) -> None:
    sets = ValueSets("here", {}, {"EQ-5D-3L/TTO/Bad": "EQ-5D-3L/TTO/Bad: no source"})
    with pytest.raises(RiskadjError, match=r"^data\.value_sets\.EQ5D3L: "):
        sets.find(name, "data.value_sets.EQ5D3L")
    with pytest.raises(RiskadjError, match=r"^(wanted|EQ-5D-3L/TTO/Bad: no source$)"):
        sets.find(name)


def test_a_column_that_cannot_be_applied_is_refused_by_name_and_leaves_the_others(
    folder: Path,
) -> None:
    with (folder / "TTO.csv").open("a") as stream:
        stream.write("N3x,NA\n")
    add_column(folder / "TTO.csv", "There", {"N3x": "-0.2"})
    references = folder / "references.csv"
    references.write_text(references.read_text() + "EQ-5D-3L,TTO,There,1,,,\n")
    found = read_value_sets(folder)
    assert list(found.refused) == ["EQ-5D-3L/TTO/There"]
    assert "EQ-5D-3L/TTO/Here" in found.usable
    with pytest.raises(FileFormatError, match="rule is known; got 'N3x'"):
        found.find("EQ-5D-3L/TTO/There")


def test_a_value_set_without_a_source_is_refused(folder: Path) -> None:
    add_column(folder / "TTO.csv", "There", {})
    with pytest.raises(FileFormatError, match=r"There: wanted its source in references\.csv"):
        read_value_sets(folder).find("EQ-5D-3L/TTO/There")


def test_a_blank_cell_of_a_needed_weight_is_refused(folder: Path) -> None:
    add_column(folder / "VAS.csv", "There", {"SC3": ""})
    references = folder / "references.csv"
    references.write_text(references.read_text() + "EQ-5D-3L,VAS,There,1,,,\n")
    with pytest.raises(FileFormatError, match="There: wanted a weight for SC3"):
        read_value_sets(folder).find("EQ-5D-3L/VAS/There")


def test_a_crosswalk_that_lacks_a_profile_is_refused(folder: Path) -> None:
    with gzip.open(folder / "CW.csv.gz", "rt") as stream:
        rows = stream.read().splitlines()
    with gzip.open(folder / "CW.csv.gz", "wt") as stream:
        stream.write("\n".join(rows[:-1]) + "\n")
    with pytest.raises(FileFormatError, match="each of the 3125 profiles; got 3124 values"):
        read_value_sets(folder).find("EQ-5D-5L/CW/Here")


def test_a_cell_that_is_no_number_is_refused(folder: Path) -> None:
    file = folder / "VT.csv"
    file.write_text(file.read_text().replace("MO2,-0.01", "MO2,a lot"))
    with pytest.raises(FileFormatError, match="VT/Here: wanted numbers or NA"):
        read_value_sets(folder).find("EQ-5D-5L/VT/Here")


def test_a_folder_without_references_or_tables_is_refused(folder: Path) -> None:
    for one in folder.glob("*.csv.gz"):
        one.unlink()
    for name in ("TTO.csv", "VAS.csv", "VT.csv"):
        (folder / name).unlink()
    with pytest.raises(FileMissingError, match=r"wanted one of TTO\.csv"):
        read_value_sets(folder)
    with pytest.raises(FileMissingError, match=r"references\.csv"):
        read_value_sets(folder / "nowhere")


@pytest.mark.parametrize("content", [b"", b"\x1f\x8b\x00broken", b"\xff\xfe,\xff\n\xff,1\n"])
def test_a_file_that_is_no_table_is_refused(folder: Path, content: bytes) -> None:
    (folder / "CW.csv.gz").write_bytes(content)
    with pytest.raises(FileFormatError, match=r"CW\.csv\.gz: wanted a CSV table"):
        read_value_sets(folder)


def test_references_without_a_column_are_refused(folder: Path) -> None:
    (folder / "references.csv").write_text("Version,Type,Country\nEQ-5D-3L,TTO,Here\n")
    with pytest.raises(FileFormatError, match="wanted a column PubMed"):
        read_value_sets(folder)


def test_a_row_that_comes_twice_is_refused(folder: Path) -> None:
    file = folder / "TTO.csv"
    file.write_text(file.read_text() + "MO2,-0.5\n")
    with pytest.raises(FileFormatError, match="each row to have a name of its own"):
        read_value_sets(folder)
