"""Published scores and values, recomputed: every NHS record, the Dutch tariff, value sets, tables.

The files are public but not ours to pass on; these tests say so and are skipped where
../shared/data is absent. Published values by profile are as collected by the tests of the R package
`eq5d` (fragla/eq5d) from each country's paper; `tolerance` is what rounded weights leave.
"""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from riskadj.episodes.columns import COLUMNS
from riskadj.episodes.distinct import map_distinct
from riskadj.episodes.nhs import read_nhs_file
from riskadj.episodes.scores import add_scores
from riskadj.errors import FileFormatError
from riskadj.instruments import INSTRUMENTS, UK_TTO_1997, instrument, read_value_sets, score
from riskadj.instruments.value_set_terms import _REPLACED, values_of_terms

DATA = Path(__file__).parents[3] / "shared" / "data"
pytestmark = [
    pytest.mark.data,
    pytest.mark.skipif(not DATA.is_dir(), reason="the public files are not here"),
]

# --- every record of every NHS file ---------------------------------------------------------------

NHS = {
    "Hip Replacement Provider 1617.csv.zip": ("ohs", 44_241),
    "Hip Replacements Provider 1718.csv.zip": ("ohs", 39_323),
    "Hip Replacement Provider 1819.csv.zip": ("ohs", 41_280),
    "Knee Replacement Provider 1617.csv.zip": ("oks", 47_604),
}
PUBLISHED_SCORES = 668_539
"""Oxford and EQ-5D scores that the four files hold, both rounds."""


@pytest.fixture(scope="module")
def nhs() -> dict[str, pd.DataFrame]:
    return {name: read_nhs_file(DATA / "nhs_proms" / name) for name in NHS}


def numbers(table: pd.DataFrame) -> pd.DataFrame:
    return table.apply(lambda text: map_distinct(text, _as_numbers))


def _as_numbers(distinct: pd.Series) -> pd.Series:
    return pd.to_numeric(distinct.replace("", None))


@pytest.mark.parametrize("name", NHS)
@pytest.mark.parametrize("q", ["q1", "q2"])
def test_no_published_nhs_score_differs_from_that_of_its_items(nhs, name, q) -> None:
    oxford, rows = NHS[name]
    table = nhs[name]
    assert len(table) == rows
    for one in (instrument(oxford.upper()), instrument("EQ5D3L_UK_TTO")):
        items = [f"{q}_item_{one.measure}_{at:02d}" for at in range(1, one.items + 1)]
        published = numbers(table[[f"{q}_score_{one.measure}"]]).to_numpy()[:, 0]
        computed = score(one, numbers(table[items]))
        np.testing.assert_array_equal(computed, published)


def test_the_nhs_files_hold_so_many_scores_to_compare(nhs) -> None:
    found = sum(
        int((table[f"{q}_score_{measure}"] != "").sum())
        for name, table in nhs.items()
        for q in ("q1", "q2")
        for measure in (NHS[name][0], "eq5d")
    )
    assert found == PUBLISHED_SCORES


# --- Dutch low back pain (Ben et al. 2023) --------------------------------------------------------

ODI_ITEMS = [f"ODI{number}" for number in (1, 2, 3, 4, 5, 6, 7, 9, 10)]


@pytest.fixture(scope="module")
def dutch() -> pd.DataFrame:
    return pd.read_parquet(DATA / "odi_eq5d_nl" / "odi_eq5d3l_lbp_nl.parquet")


@pytest.fixture(scope="module")
def value_sets():
    return read_value_sets(DATA / "eq5d_value_sets")


def test_every_dutch_utility_is_that_of_the_tariff_of_2006(dutch, value_sets) -> None:
    tariff = value_sets.find("EQ-5D-3L/TTO/Netherlands_2006")
    got = score(instrument("EQ5D3L"), dutch[["MO", "SC", "UA", "PD", "AD"]], tariff)
    assert len(got) == 13_087
    np.testing.assert_array_equal(got, dutch["utility"].to_numpy().round(3))
    np.testing.assert_allclose(got, dutch["utility"], rtol=0, atol=1e-6)


def test_another_tariff_gives_other_dutch_utilities(dutch, value_sets) -> None:
    items = dutch[["MO", "SC", "UA", "PD", "AD"]]
    for other in ("EQ-5D-3L/TTO/Netherlands_2026", "EQ-5D-3L/TTO/UK", "EQ-5D-3L/RCW/Netherlands"):
        got = score(instrument("EQ5D3L"), items, value_sets.find(other))
        assert (np.abs(got - dutch["utility"]) > 0.0005).mean() > 0.9


def test_the_supplied_dutch_disability_score_is_ours_over_nine_tenths(dutch) -> None:
    ours = score(instrument("ODI9"), dutch[ODI_ITEMS])
    assert ours.min() == 0
    assert ours.max() == 100
    assert dutch["ODI_score"].max() == pytest.approx(111.1)
    # it is published to one decimal
    assert np.abs(dutch["ODI_score"] * 0.9 - ours).max() <= 0.9 * 0.05 + 1e-9


def test_the_inflated_dutch_score_is_beyond_its_range_and_not_that_of_its_items(dutch) -> None:
    assert (dutch["ODI_score"] > COLUMNS["q1_score_odi9"].high).sum() == 16
    names = {old: f"q1_item_odi9_{at:02d}" for at, old in enumerate(ODI_ITEMS, start=1)}
    table = dutch[[*ODI_ITEMS, "ODI_score"]].rename(columns=names | {"ODI_score": "q1_score_odi9"})
    _, (fault,) = add_scores(table)
    assert fault.column == "q1_score_odi9"
    assert fault.count == (dutch["ODI_score"] > 0).sum()
    assert "its items give" in str(fault)


# --- conversion tables ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["HOOS_PS", "KOOS_PS", "HOOS_JR", "KOOS_JR"])
def test_conversion_tables_are_those_on_file(name: str) -> None:
    on_file = json.loads((DATA / "prom_tables" / "conversion_tables.json").read_text())
    table = on_file[name.lower()]
    assert instrument(name).conversion == tuple(table[str(raw)] for raw in range(len(table)))


# --- EQ-5D value sets -----------------------------------------------------------------------------

PUBLISHED_3L_TTO = """
Argentina 11111 1 12222 .711 12233 .258 22232 .493 33313 -.121 33333 -.376
Australia 11111 1 11121 .828 12233 .101 22232 .141 33331 -.143 33333 -.217
Brazil 11111 1 11222 .640 12133 .477 12232 .425 33323 -.073 33333 -.176
Canada 11111 1 11212 .754 12123 .494 22232 .340 32323 .066 33333 -.340
Chile 11111 1 12212 .564 12313 .134 22332 -.168 33311 -.129 33333 -.497
China 11111 1 11211 .887 23221 .466 22233 .220 33333 -.149
Denmark 11111 1 32123 -.018 12111 .823 12121 .761 32323 -.161 33333 -.624
France 11111 1 11233 .201 21212 .600 32133 -.228 33333 -.529
Germany 11111 1 12211 .912 12213 .524 33333 -.205
Italy 11111 1 21321 .714 12332 .402 32233 -.078 33333 -.380
Japan 11111 1 21111 .773 31113 .318 31223 .194 33333 -.111
SouthKorea 11111 1 11121 .913 22232 .513 21221 .766 22222 .677 32322 .148 33333 -.171
Netherlands_2006 11111 1 21211 .861 21231 .298 21333 -.052 33333 -.329
Poland 11111 1 11112 .925 21221 .796 21333 -.009 33333 -.523
Portugal 11111 1 11121 .694 11212 .665 11312 .444 22222 .288 31313 -.274 31323 -.143 31331 -.344
Portugal 33323 -.335 33333 -.496
Singapore 11111 1 11121 .854 33333 -.769
Spain 11111 1 11122 .825 23133 -.135 33133 -.459 33333 -.654
SriLanka 11111 1 22212 .395 33333 -.711
Sweden 11111 .969 11121 .935 12321 .728 12313 .555 22223 .489 32323 .396 33233 .375 33333 .340
Taiwan 11111 1 21112 .539 21313 .012 23232 -.273 33333 -.674
Thailand 11111 1 11112 .766 21212 .586 23232 -.005 33333 -.454
Trinidad_and_Tobago 11111 1 11112 .896 21212 .807 23232 .406 33333 -.163
UK 11111 1 11121 .796 11221 .760 33221 -.037 12321 .329 23312 .202 33333 -.594
USA 11111 1 11121 .827 22112 .759 33113 .102 33333 -.109
Zimbabwe 11111 1 11211 .857 23211 .570 31131 .394 33333 -.145
"""
PUBLISHED_3L_VAS = """
Belgium 11111 1 21111 .774 21311 .456 32311 .299 33333 -.158
Denmark 11111 1 11131 .619 23323 .037 33213 .053 33333 -.167
Europe 11111 1 11221 .753 33112 .215 31233 .141 33333 -.074
Finland 11111 1 12111 .744 12321 .502 32131 .361 32333 .034 33323 .031 33333 -.011
Germany 11111 1 32111 .294 31131 .170 32232 .099 33333 .021
Iran 11111 1 11112 .749 11113 .640 21232 .295 32223 .043 33333 -.070
Malaysia 11111 1 11121 .879 11312 .614 13311 .535 32313 .321 33333 .130
NewZealand 11111 1 11211 .782 11112 .704 22222 .464 12321 .401 11133 .236 33321 .179 32123 .094
NewZealand 23232 .096 33333 -.085
Slovenia 11111 1 11112 .779 12321 .560 21212 .519 22222 .315 23222 .222 23232 .111 31133 .052
Slovenia 33322 -.038 33333 -.242
Spain 11111 1 13111 .436 13312 .274 33222 .090 33333 -.076
UK 11111 1 11211 .814 22222 .503 32323 .066 33333 -.073
"""
PUBLISHED_5L_VT = """
Belgium 11111 1 22222 .755 33333 .577 44444 -.215 15342 .309 54321 .491 55555 -.532
Canada 23145 .275 11111 .949 55555 -.148
China 11111 1 11211 .955 21111 .934 55555 -.391
Denmark 11111 1 13224 .439 55555 -.758
England 23245 .247 11111 1 11112 .922 11121 .937 11211 .950 12111 .950 21111 .942 55555 -.285
Ethiopia 11111 1 11112 .974 11121 .964 11122 .938 11113 .915 55555 -.718
France 11111 1 22222 .850 33333 .768 44444 .028 54321 .441 55555 -.525
Germany 11111 1 21111 .974 12111 .950 11211 .964 11121 .943 11112 .970 12345 .141 55555 -.661
HongKong 11111 1 21111 .891 12111 .913 11211 .933 11121 .924 11112 .920 55555 -.865
Hungary 11111 1 21111 .965 12345 .242 33333 .571 45555 -.656 54555 -.723 55455 -.789 55545 -.725
Hungary 55554 -.769 55555 -.848
Indonesia 11111 1 11112 .921 21111 .881 12345 .240 55555 -.865
Ireland 11111 1 11211 .951 23243 .225 55555 -.974
Italy 11111 1 11211 .950 12345 .215 55555 -.571
Japan_DCE 11111 1 35341 .450 12111 .900 55555 -.025
SouthKorea 11111 1 12345 .440 11211 .883 55555 -.066
Mexico 11111 1 21111 .984 12345 .295 55555 -.596
Malaysia 11111 1 11211 .952 12345 .315 55555 -.441
Netherlands 11111 1 21111 .918 55511 .390 44444 -.289 55555 -.446
Peru_cTTO 11111 1 22222 .441 33333 .146 44444 -.285 55555 -1.076
Peru_DCE 11111 1 22222 .810 33333 .640 44444 .299 55555 -.213
Poland 11111 1 11112 .982 12345 .436 22222 .873 33333 .800 44444 .296 55555 -.590
Portugal 11111 1 11112 .964 11121 .959 14235 .415 33333 .589 44444 .061 55555 -.603
Singapore 11111 1 55555 -.851
Spain 11111 1 21111 .916 12111 .950 11211 .956 11121 .922 11112 .919 55555 -.416
Sweden_2020 11111 .975 12345 .497 22335 .528 34543 .503 55555 .243
Taiwan 11111 1 12345 .039 42114 .219 55545 -.913 55444 -.761 55555 -1.026
Thailand 11111 1 11121 .944 31245 .353 55555 -.421
Uruguay 11111 1 11112 .978 31412 .827 25413 .538 44444 .353 55511 .184 55555 -.264
USA 11111 1 21111 .904 12111 .911 11211 .932 11121 .940 11112 .943 21354 .090 55555 -.573
Vietnam 11111 1 21111 .931 12111 .957 11211 .954 11121 .916 11112 .936 12345 .390 55555 -.511
"""
PUBLISHED_CROSSWALKS = """
5L/CW/Denmark 11111 1 32123 .663 12112 .784 13131 .761 32424 .437 55555 -.624
5L/CW/France 11111 1 11233 .673 33444 .009 34455 -.205 55555 -.530
5L/CW/Germany 11111 1 12211 .927 44313 .679 44444 .274 55555 -.205
5L/CW/Japan 11111 1 21331 .662 33333 .532 41433 .532 55555 -.111
5L/CW/Netherlands 11111 1 21213 .750 33433 .484 45454 -.094 55555 -.329
5L/CW/Spain 11111 1 11122 .857 33553 -.073 43555 -.178 55555 -.654
5L/CW/Thailand 11111 1 11115 .549 34243 .245 55255 -.381 55555 -.452
5L/CW/UK 11111 1 11221 .795 44441 .226 44525 .004 55555 -.594
5L/CW/USA 11111 1 12221 .778 52342 .216 55513 .162 55555 -.109
5L/CW/Zimbabwe 11111 .9 22222 .653 23334 .544 45454 .119 55555 -.145
3L/RCW/England 11111 .965 22222 .540 32123 .289 33333 -.172
3L/RCW/Germany 11111 .977 22222 .620 32123 .332 33333 -.329
3L/RCW/Netherlands 11111 .947 22222 .486 32123 .215 33333 -.312
3L/RCW/USA 11111 .962 22222 .417 32123 .176 33333 -.422
"""
ROUNDED_WEIGHTS = """
3L/TTO/Argentina 12222 .712 22232 .491 33313 -.118 33333 -.372
3L/TTO/Australia 11121 .827
3L/TTO/Brazil 12133 .476 12232 .424 33333 -.177
3L/TTO/Canada 12123 .493 22232 .339
3L/TTO/Denmark 32123 -.017
3L/TTO/France 21212 .599 32133 -.227 33333 -.530
3L/TTO/Sweden 22223 .488 33233 .374
3L/TTO/Taiwan 21112 .538 23232 -.274
3L/TTO/Thailand 23232 -.004 33333 -.452
3L/TTO/Trinidad_and_Tobago 21212 .808
3L/VAS/Malaysia 33333 .131
5L/VT/Malaysia 12345 .314 55555 -.442
5L/VT/Poland 44444 .297
5L/VT/Sweden_2020 11111 .976
5L/VT/Taiwan 12345 .040
"""
"""What printed weights sum to where that is not the printed value, as they are coarser than it."""


def by_name(*texts: tuple[str, str]) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for prefix, text in texts:
        for line in text.strip().splitlines():
            name, *pairs = line.split()
            values = {one: float(value) for one, value in zip(pairs[::2], pairs[1::2], strict=True)}
            found.setdefault(f"EQ-5D-{prefix}{name}", {}).update(values)
    return found


PUBLISHED = by_name(
    ("3L/TTO/", PUBLISHED_3L_TTO),
    ("3L/VAS/", PUBLISHED_3L_VAS),
    ("5L/VT/", PUBLISHED_5L_VT),
    ("", PUBLISHED_CROSSWALKS),
)
WEIGHTS_GIVE = by_name(("", ROUNDED_WEIGHTS))


@pytest.mark.parametrize("name", PUBLISHED)
def test_value_sets_give_their_published_values(value_sets, name: str) -> None:
    chosen = value_sets.find(name)
    one = instrument(chosen.version.replace("-", ""))
    got = score(one, [[int(digit) for digit in profile] for profile in PUBLISHED[name]], chosen)
    want = PUBLISHED[name] | WEIGHTS_GIVE.get(name, {})
    assert got.round(3).tolist() == [round(want[profile], 3) for profile in PUBLISHED[name]]


def test_most_published_values_are_met_to_the_last_digit() -> None:
    """Weights of 15 sets do not sum to 27 of the values, most by 0.001, Argentina's by 0.004."""
    away = [
        abs(PUBLISHED[name][profile] - value)
        for name, values in WEIGHTS_GIVE.items()
        for profile, value in values.items()
    ]
    assert (len(away), sum(map(len, PUBLISHED.values()))) == (27, 441)
    assert min(away) > 0.0005
    assert max(away) == pytest.approx(0.004)


def test_every_value_set_of_the_folder_can_be_worked_out_and_has_a_source(value_sets) -> None:
    assert len(value_sets.of_version("EQ-5D-3L")) == 33 + 11 + 4
    assert len(value_sets.of_version("EQ-5D-5L")) == 49 + 13
    assert not value_sets.refused
    assert all(one.source for one in value_sets.usable.values())


def test_every_value_set_is_within_the_declared_range_of_its_instrument(value_sets) -> None:
    for one in value_sets.usable.values():
        low, high = instrument(one.version.replace("-", "")).score_range
        assert low <= one.range[0] <= one.range[1] <= high


def test_the_value_set_that_is_shipped_is_the_one_on_file(value_sets) -> None:
    assert value_sets.find("EQ-5D-3L/TTO/UK").digest == UK_TTO_1997.digest
    assert INSTRUMENTS["EQ5D3L_UK_TTO"].value_set is UK_TTO_1997


CROSSWALKED = {
    "Bermuda": "Bermuda", "Denmark": "Denmark", "France": "France", "Germany": "Germany",
    "Japan": "Japan", "Netherlands": "Netherlands_2006", "Russia": "Russia", "Spain": "Spain",
    "Thailand": "Thailand", "UK": "UK", "USA": "USA",
}  # fmt: skip
"""Crosswalk by the value set behind it. Two are left out, as their published tables do not agree
with it: Jordan's (by up to 0.007) and Zimbabwe's (0.9 for 11111, where the value set has 1)."""


@pytest.mark.parametrize("country", CROSSWALKED)
def test_a_crosswalk_is_the_value_set_behind_it_where_every_answer_is_extreme(
    value_sets, country: str
) -> None:
    """Best maps onto best and worst onto worst with certainty (van Hout et al. 2012)."""
    crosswalk = value_sets.find(f"EQ-5D-5L/CW/{country}").values.reshape((5,) * 5)
    behind = value_sets.find(f"EQ-5D-3L/TTO/{CROSSWALKED[country]}").values.reshape((3,) * 5)
    extremes = np.ix_(*[[0, 4]] * 5), np.ix_(*[[0, 2]] * 5)
    np.testing.assert_array_equal(crosswalk[extremes[0]], behind[extremes[1]])


def test_australian_values_that_replace_implausible_ones_are_means_of_two_states() -> None:
    """Each is the mean of its state and of the neighbour that it most implausibly differs from."""
    table = pd.read_csv(DATA / "eq5d_value_sets" / "TTO.csv", index_col=0)["Australia"].dropna()
    raw = values_of_terms("as it is", "EQ-5D-3L", table.to_dict()).reshape((3,) * 5)
    replaced = _REPLACED["EQ-5D-3L/TTO/Australia"]
    implausible = {}
    for state in np.ndindex(raw.shape):
        gaps = [gap for gap in _implausible_gaps(raw, state) if abs(gap) > 0.0005]
        if gaps:
            other = raw[state] + max(gaps, key=abs)
            implausible["".join(str(level + 1) for level in state)] = (raw[state] + other) / 2
    assert implausible.keys() == replaced.keys()
    for state, value in implausible.items():
        assert replaced[state] == pytest.approx(value, abs=0.001)


def _implausible_gaps(raw: np.ndarray, state: tuple[int, ...]) -> list[float]:
    gaps = []
    for item, level in enumerate(state):
        for step in (-1, 1):
            if 0 <= level + step <= 2:
                neighbour = (*state[:item], level + step, *state[item + 1 :])
                gap = raw[neighbour] - raw[state]
                gaps += [gap] if gap * step > 0 else []
    return gaps


def test_a_published_column_with_a_term_added_is_refused() -> None:
    table = pd.read_csv(DATA / "eq5d_value_sets" / "VT.csv", index_col=0)["England"].dropna()
    with pytest.raises(FileFormatError, match="rule is known; got 'N45'"):
        values_of_terms("EQ-5D-5L/VT/England", "EQ-5D-5L", table.to_dict() | {"N45": -0.02})
